//! Images: is it there, and if not, can it be had.

use std::collections::HashMap;

use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::StreamExt as _;

use super::{BUILTIN, Engine, builtin, error};
use crate::event::{Amount, Unit};
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
    /// In Go's terms.
    pub arch: String,
}

impl Engine {
    /// Looks for an image. `None`: it is not there.
    ///
    /// # Errors
    /// Those of any call to the engine.
    pub async fn image(&self, reference: &str) -> Result<Option<Image>> {
        let reference = if reference == BUILTIN {
            builtin::REFERENCE
        } else {
            reference
        };
        check(reference)?;
        match self.docker.inspect_image(reference).await {
            Ok(found) => Ok(Some(Image {
                id: found.id.unwrap_or_default(),
                arch: found.architecture.unwrap_or_default(),
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

    /// Sees to it that the image is there: imports the built-in one, pulls any other as `pull` allows.
    /// `progress` is told how much of it has come.
    ///
    /// # Errors
    /// `image_missing`, with the ways to get it.
    pub async fn provide_image(
        &self,
        wanted: &str,
        pull: Pull,
        present: Option<Image>,
        progress: impl Fn(Amount),
    ) -> Result<Image> {
        match (present, pull) {
            (Some(image), _) if wanted == BUILTIN => return Ok(image),
            (Some(image), Pull::Missing | Pull::Never) => return Ok(image),
            (None, _) if wanted == BUILTIN => self.import_builtin().await?,
            (None, Pull::Never) => {}
            (_, Pull::Always) | (None, Pull::Missing) => self.pull(wanted, progress).await?,
        }
        self.image(wanted)
            .await?
            .ok_or_else(|| missing_image(wanted, None))
    }

    async fn pull(&self, reference: &str, progress: impl Fn(Amount)) -> Result<()> {
        let tagged = if reference
            .rsplit('/')
            .next()
            .is_some_and(|last| last.contains([':', '@']))
        {
            reference.to_owned()
        } else {
            format!("{reference}:latest")
        };
        let options = CreateImageOptionsBuilder::new().from_image(&tagged).build();
        let mut pulled = self.docker.create_image(Some(options), None, None);
        let mut layers = HashMap::new();
        while let Some(step) = pulled.next().await {
            let step = step.map_err(|error| {
                let told = error::answer(&error).map(|(_, message)| message.to_owned());
                let failure = self.failure(format_args!("pull `{reference}`"), error);
                match told {
                    Some(message) if failure.code == Code::EngineError => {
                        missing_image(reference, Some(&message))
                    }
                    _ => failure,
                }
            })?;
            if let Some(error) = step.error_detail.and_then(|error| error.message) {
                return Err(missing_image(reference, Some(&error)));
            }
            // Extracting counts the same bytes again.
            if let (Some("Downloading"), Some(layer), Some(detail)) =
                (step.status.as_deref(), step.id, step.progress_detail)
                && let (Some(done), Some(total)) = (detail.current, detail.total)
            {
                layers.insert(layer, (done, total));
                let sum = |part: fn(&(i64, i64)) -> i64| {
                    u64::try_from(layers.values().map(part).sum::<i64>()).unwrap_or(0)
                };
                progress(Amount {
                    done: sum(|layer| layer.0),
                    total: Some(sum(|layer| layer.1)),
                    unit: Unit::Bytes,
                });
            }
        }
        Ok(())
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
        let mut steps = self.docker.create_image(Some(options), Some(body), None);
        while let Some(step) = steps.next().await {
            step.map_err(|error| self.failure("import the built-in image", error))?;
        }
        Ok(())
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
        "`docker pull {}`, `docker load -i FILE`, or `--image builtin`, a minimal image that sdp carries",
        quoted(reference)
    ))
}

/// A reference goes into a path of the engine's API as it is.
fn check(reference: &str) -> Result<()> {
    let good = reference.starts_with(|c: char| c.is_ascii_alphanumeric())
        && reference
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._-/:@".contains(c))
        && !reference.contains("..");
    if good {
        Ok(())
    } else {
        Err(
            Failure::new(Code::Usage, format!("`{reference}` is no image"))
                .hint("`--image alpine:3.20`, `--image REGISTRY/NAME@sha256:DIGEST`"),
        )
    }
}
