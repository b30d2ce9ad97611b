//! Images: is it there, and if not, can it be had.

use std::path::Path;

use bollard::query_parameters::{CreateImageOptionsBuilder, TagImageOptionsBuilder};
use futures_util::StreamExt as _;

use super::reference::Reference;
use super::{BUILTIN, Engine, Platform, builtin, error};
use crate::event::Amount;
use crate::failure::{Code, Failure, Result};
use crate::plan::Pull;
use crate::shell::quoted;

/// An image that the engine has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// What the container is created from: the reference as it was given, or the built-in image's.
    pub reference: String,
    /// The digest of its content.
    pub id: String,
    /// In Go's terms; empty where the engine does not know.
    os: String,
    arch: String,
    /// Such as `v7`.
    variant: String,
    /// Where it asks for volumes: the engine makes one for each that nothing else is mounted at.
    volumes: Vec<String>,
}

/// How an image that is not there may be had.
#[derive(Clone, Copy, Debug)]
pub struct Ways<'a> {
    pub pull: Pull,
    /// A file that holds it.
    pub archive: Option<&'a Path>,
}

/// How much of an image has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arrival {
    pub amount: Option<Amount>,
    /// How many layers are there, of how many.
    pub layers: Option<(usize, usize)>,
}

impl Image {
    /// The volumes that it asks for and that are not among what is mounted, sorted.
    pub fn own_volumes<'a>(&'a self, mounted: &[&str]) -> Vec<&'a str> {
        let bare = |path: &'a str| path.trim_end_matches('/');
        let all = self.volumes.iter().map(|path| bare(path));
        let is_mounted = |path: &&str| {
            mounted
                .iter()
                .any(|other| other.trim_end_matches('/') == *path)
        };
        let mut own: Vec<&str> = all.filter(|path| !is_mounted(path)).collect();
        own.sort_unstable();
        own
    }

    /// An image for another platform is refused also where the engine could emulate that: programs are
    /// built for the engine's own.
    ///
    /// # Errors
    /// `wrong_image`.
    pub fn check(&self, platform: &Platform) -> Result<()> {
        let is = |ours: &str, theirs: &str| ours.is_empty() || ours == theirs;
        let version = self
            .variant
            .strip_prefix('v')
            .and_then(|v| v.parse::<u8>().ok());
        let is_too_new = self.arch == "arm" && platform.arm.is_some_and(|arm| version > Some(arm));
        if is(&self.os, &platform.os) && is(&self.arch, &platform.arch) && !is_too_new {
            return Ok(());
        }
        let variant = if self.variant.is_empty() { "" } else { "/" };
        let message = format!(
            "the image `{}` is for {}/{}{variant}{}, and the engine is {}/{}",
            self.reference, self.os, self.arch, self.variant, platform.os, platform.arch
        );
        Err(Failure::new(Code::WrongImage, message).hint(format!(
            "`--image` names one that is built for the engine, as `{BUILTIN}` always is; `--pull always` replaces one that was brought here by hand"
        )))
    }
}

impl Engine {
    /// Looks for an image. `None`: it is not there, or another one has the built-in image's name.
    ///
    /// # Errors
    /// Those of any call to the engine.
    pub async fn image(&self, reference: &str) -> Result<Option<Image>> {
        let is_builtin = reference == BUILTIN;
        let reference = if is_builtin {
            builtin::REFERENCE
        } else {
            reference
        };
        // It goes into a path of the engine's API as it is.
        Reference::parse(reference)?;
        match self.docker.inspect_image(reference).await {
            Ok(found) if is_builtin && !builtin::is_ours(&found) => Ok(None),
            Ok(found) => Ok(Some(Image {
                id: found.id.unwrap_or_default(),
                os: found.os.unwrap_or_default(),
                arch: found.architecture.unwrap_or_default(),
                variant: found.variant.unwrap_or_default(),
                volumes: found
                    .config
                    .and_then(|config| config.volumes)
                    .unwrap_or_default(),
                reference: reference.to_owned(),
            })),
            Err(error) if error::answer(&error).is_some_and(|(status, _)| status == 404) => {
                Ok(None)
            }
            Err(error) => {
                Err(self.failure(format_args!("look for the image `{reference}`"), error))
            }
        }
    }

    /// Sees to it that the image is there, and for the engine's platform: imports the built-in one, loads
    /// or pulls any other as `ways` allow. `progress` is told how much of it has come.
    ///
    /// # Errors
    /// `image_missing`, `wrong_image`, `registry_denied`, `registry_unreachable`, with the ways to get it.
    pub async fn provide_image(
        &self,
        wanted: &str,
        ways: Ways<'_>,
        present: Option<Image>,
        platform: &Platform,
        progress: impl Fn(Arrival) + Send + Sync + 'static,
    ) -> Result<Image> {
        match (present, ways.archive, ways.pull) {
            (Some(image), ..) if wanted == BUILTIN && image.check(platform).is_ok() => {
                return Ok(image);
            }
            _ if wanted == BUILTIN => self.import_builtin().await?,
            (Some(image), _, Pull::Missing | Pull::Never) => {
                return image.check(platform).map(|()| image);
            }
            (_, Some(archive), _) => self.load(archive, wanted, progress).await?,
            (None, None, Pull::Never) => {}
            (_, None, Pull::Always) | (None, None, Pull::Missing) => {
                self.pull(wanted, progress).await?;
            }
        }
        let image = self.image(wanted).await?;
        let image = image.ok_or_else(|| missing_image(wanted, None))?;
        image.check(platform).map(|()| image)
    }

    async fn import_builtin(&self) -> Result<()> {
        let (name, tag) = builtin::REFERENCE.split_once(':').unwrap_or_default();
        let options = CreateImageOptionsBuilder::new()
            .from_src("-")
            .repo(name)
            .tag(tag)
            .changes(builtin::changes())
            .build();
        let root = builtin::root().map_err(anyhow::Error::from)?;
        let body = bollard::body_full(root.into());
        let failed = |error| self.failure("import the built-in image", error);
        let mut steps = self.docker.create_image(Some(options), Some(body), None);
        let mut id = None;
        while let Some(step) = steps.next().await {
            id = step.map_err(failed)?.status.or(id);
        }
        // Podman calls it `latest`, whatever it was asked for.
        let Some(id) = id.filter(|id| id.starts_with("sha256:")) else {
            return Ok(());
        };
        let options = TagImageOptionsBuilder::new().repo(name).tag(tag).build();
        let tagged = self.docker.tag_image(&id, Some(options)).await;
        tagged.map_err(failed)
    }
}

/// The failure of an image that is not there, with the ways to get it.
pub fn missing_image(reference: &str, cause: Option<&str>) -> Failure {
    let message = match cause {
        Some(cause) => {
            format!("the image `{reference}` is not there and could not be pulled: {cause}")
        }
        None => format!("the image `{reference}` is not there"),
    };
    Failure::new(Code::ImageMissing, message).hint(format!(
        "`docker pull {}`, `--image-archive FILE`, or `--image builtin`, a minimal image that sdp carries",
        quoted(reference)
    ))
}
