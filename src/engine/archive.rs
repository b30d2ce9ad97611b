//! Images in files, as `docker save` writes them, for hosts without a registry.

use std::fs::{self, File};
use std::io::{self, Read, Seek as _, SeekFrom};
use std::path::Path;

use bollard::query_parameters::ImportImageOptionsBuilder;
use flate2::read::MultiGzDecoder;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use hyper::body::Bytes;
use serde::Deserialize;

use super::Engine;
use super::images::Arrival;
use super::reference::Reference;
use crate::event::{Amount, Unit};
use crate::failure::{Code, Failure, Result};
use crate::shell::quoted;

/// How much of the file is read at once.
const PIECE: usize = 256 * 1024;

/// No list of what is in an archive is longer.
const LONGEST_LIST: u64 = 4 * 1024 * 1024;

/// How many tags an error names.
const NAMED: usize = 20;

/// One of the images that `manifest.json` lists (moby, image/spec).
#[derive(Deserialize)]
struct Listed {
    #[serde(rename = "RepoTags")]
    tags: Option<Vec<String>>,
}

/// `index.json` of an OCI image layout (image-spec, image-layout.md).
#[derive(Deserialize)]
struct Index {
    manifests: Vec<Described>,
}

#[derive(Deserialize)]
struct Described {
    #[serde(default)]
    annotations: std::collections::HashMap<String, String>,
}

/// Whether a file holds the image that is wanted: nothing else must be loaded.
///
/// # Errors
/// `usage`, with the tags that it has.
pub fn check_archive(file: &Path, wanted: &str) -> Result<()> {
    let shown = file.display();
    let tags = tags(file).map_err(|error| {
        Failure::io(
            Code::Usage,
            format_args!("read `{shown}` as an archive of images"),
            error,
        )
        .hint("`docker save IMAGE -o FILE` makes one; it may be compressed with gzip")
    })?;
    let reference = Reference::parse(wanted)?;
    let is_wanted = |tag: &String| Reference::parse(tag).is_ok_and(|tag| tag.is_same(&reference));
    if tags.iter().any(is_wanted) {
        if tags.iter().all(is_wanted) {
            return Ok(());
        }
        let message = format!("`{shown}` holds more images than `{wanted}`");
        let hint = format!(
            "all of them would be loaded, in place of those with the same names; `docker save {} -o FILE` writes the one alone",
            quoted(wanted)
        );
        let failure = Failure::new(Code::Usage, message).hint(hint);
        return Err(failure.detail(tags.into_iter().take(NAMED)));
    }
    let message = format!("`{shown}` does not hold the image `{wanted}`");
    let hint = match tags.first() {
        Some(tag) => format!("`--image {}` takes what it holds", quoted(tag)),
        None => format!(
            "`docker save {}` writes the name, too, unlike the same with an id",
            quoted(wanted)
        ),
    };
    let failure = Failure::new(Code::Usage, message).hint(hint);
    Err(failure.detail(tags.into_iter().take(NAMED)))
}

/// The names of the images in an archive.
fn tags(path: &Path) -> io::Result<Vec<String>> {
    // The opening of a pipe would wait for whoever writes into it.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut file = File::open(path)?;
    let mut magic = [0; 2];
    let read = file.read(&mut magic)?;
    file.seek(SeekFrom::Start(0))?;
    // RFC 1952, 2.3.1.
    if read == magic.len() && magic == [0x1f, 0x8b] {
        listed(tar::Archive::new(MultiGzDecoder::new(file)).entries()?)
    } else {
        listed(tar::Archive::new(file).entries_with_seek()?)
    }
}

/// Newer archives hold both lists, and which of them counts is the engine's affair: `index.json` where it
/// has containerd's store of images, `manifest.json` where it has its own.
fn listed<R: Read>(entries: tar::Entries<'_, R>) -> io::Result<Vec<String>> {
    let (mut index, mut tags) = (None, None);
    for entry in entries {
        let entry = entry?;
        let name = entry.path_bytes();
        let name = name.strip_prefix(b"./").unwrap_or(&name);
        let is_second = if name == b"manifest.json" {
            let images: Vec<Listed> = serde_json::from_reader(entry.take(LONGEST_LIST))?;
            let images = images.into_iter().filter_map(|image| image.tags);
            tags.replace(images.flatten().collect::<Vec<_>>()).is_some()
        } else if name == b"index.json" {
            let list: Index = serde_json::from_reader(entry.take(LONGEST_LIST))?;
            index.replace(list).is_some()
        } else {
            false
        };
        // The engine takes the last one.
        if is_second {
            return Err(io::Error::other("it has a list of its images twice"));
        }
    }
    if tags.is_none() && index.is_none() {
        return Err(io::Error::other(
            "it has neither manifest.json nor index.json",
        ));
    }
    let mut tags = tags.unwrap_or_default();
    let described = index.into_iter().flat_map(|index| index.manifests);
    tags.extend(described.filter_map(Described::name));
    Ok(tags)
}

impl Described {
    /// What containerd would call it.
    fn name(self) -> Option<String> {
        [
            "io.containerd.image.name",
            "org.opencontainers.image.ref.name",
        ]
        .iter()
        .find_map(|name| self.annotations.get(*name).cloned())
    }
}

impl Engine {
    /// Loads all that an archive holds, which is sent as it is read.
    ///
    /// # Errors
    /// `image_missing`, with the engine's reason, and those of any call to it.
    pub(super) async fn load(
        &self,
        file: &Path,
        wanted: &str,
        progress: impl Fn(Arrival) + Send + Sync + 'static,
    ) -> Result<()> {
        let shown = file.display();
        let open = || {
            let open = File::open(file)?;
            let size = open.metadata()?.len();
            Ok((open, size))
        };
        let (open, size) = open()
            .map_err(|error| Failure::io(Code::Usage, format_args!("read `{shown}`"), error))?;
        let mut done = 0;
        let pieces = stream::try_unfold(open, read_piece).inspect_ok(move |piece: &Bytes| {
            done += piece.len() as u64;
            progress(Arrival {
                amount: Some(Amount {
                    done: done.min(size),
                    total: Some(size),
                    unit: Unit::Bytes,
                }),
                layers: None,
            });
        });
        let options = ImportImageOptionsBuilder::new().quiet(true).build();
        // The engine answers when it has unpacked everything.
        let docker = self.docker.clone().with_timeout(UNPACKING);
        let mut steps = docker.import_image_stream(options, pieces, None);
        while let Some(step) = steps.next().await {
            step.map_err(|error| {
                let failure = self.failure(format_args!("load `{shown}`"), error);
                if failure.code == Code::EngineError {
                    let message =
                        format!("the image `{wanted}` is not there, and {}", failure.message);
                    Failure::new(Code::ImageMissing, message)
                        .hint(format!("`docker load -i {}` tries the same", quoted(file)))
                } else {
                    failure
                }
            })?;
        }
        Ok(())
    }
}

/// How long the engine may unpack a large archive on a slow disk.
const UNPACKING: std::time::Duration = std::time::Duration::from_hours(1);

/// Reads on a thread of its own: a slow disk must not keep signals waiting.
async fn read_piece(mut file: File) -> io::Result<Option<(Bytes, File)>> {
    let read = tokio::task::spawn_blocking(move || {
        let mut piece = vec![0; PIECE];
        let length = file.read(&mut piece)?;
        piece.truncate(length);
        Ok((length > 0).then(|| (Bytes::from(piece), file)))
    });
    read.await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn write(file: &Path, lists: &[(&str, String)]) {
        let mut archive = tar::Builder::new(File::create(file).unwrap());
        for (path, list) in lists {
            let mut header = tar::Header::new_gnu();
            header.set_size(list.len() as u64);
            archive
                .append_data(&mut header, path, list.as_bytes())
                .unwrap();
        }
        archive.finish().unwrap();
    }

    fn index(names: &[&str]) -> String {
        let described = names
            .iter()
            .map(|name| serde_json::json!({"annotations": {"io.containerd.image.name": name}}));
        serde_json::json!({"manifests": described.collect::<Vec<_>>()}).to_string()
    }

    #[test]
    fn nothing_else_comes_with_the_image() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("image.tar");
        let check = |lists: &[&str]| {
            let list = |tags| ("manifest.json", format!(r#"[{{"RepoTags": [{tags}]}}]"#));
            write(&file, &lists.iter().map(list).collect::<Vec<_>>());
            check_archive(&file, "shop:1")
        };
        check(&[r#""shop:1""#]).unwrap();
        for lists in [
            &[r#""shop:1", "sdp-builtin:1""#][..],
            &[r#""shop:1""#, r#""other:1""#],
            &[r#""other:1""#],
        ] {
            assert_eq!(check(lists).unwrap_err().code, Code::Usage, "{lists:?}");
        }

        // An engine with containerd's store goes by the other list.
        let check = |names: &[&str]| {
            let lists = [
                ("manifest.json", r#"[{"RepoTags": ["shop:1"]}]"#.to_owned()),
                ("index.json", index(names)),
            ];
            write(&file, &lists);
            check_archive(&file, "shop:1")
        };
        check(&[]).unwrap();
        check(&["docker.io/library/shop:1"]).unwrap();
        for names in [
            &["docker.io/library/other:1"][..],
            &["docker.io/library/shop:1", "docker.io/library/other:1"],
        ] {
            assert_eq!(check(names).unwrap_err().code, Code::Usage, "{names:?}");
        }

        let pipe = folder.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).unwrap();
        assert_eq!(
            check_archive(&pipe, "shop:1").unwrap_err().code,
            Code::Usage
        );
    }
}
