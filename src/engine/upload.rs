//! A release for an engine that cannot see this host's directories: a volume, filled through a
//! container that is never started.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bollard::models::VolumeCreateRequest;
use bollard::query_parameters::{
    ListVolumesOptionsBuilder, RemoveVolumeOptions, UploadToContainerOptionsBuilder,
};
use futures_util::stream;
use hyper::body::Bytes;
use tar::{Builder, EntryType, Header, HeaderMode};
use tokio::sync::mpsc::{Sender, channel};
use tokio::time::{Instant, interval};

use super::identity::PATH;
use super::{Engine, PATIENCE, Spec, error};
use crate::event::{Amount, Unit};
use crate::failure::{Code, Failure, Result};

/// How often progress is told.
const TICK: Duration = Duration::from_millis(100);

/// How long a whole upload may take; one that stands still is given up much earlier.
const LONGEST: Duration = Duration::from_hours(24);

/// The archive goes in pieces of this size, a few of which may wait to be sent.
const PIECE: usize = 64 * 1024;
const WAITING: usize = 8;

impl Engine {
    /// Makes the volume of the release that `spec` names, and fills it. `progress` is told how much has
    /// been sent. What it leaves when it fails is removed with [`Engine::remove_volume`] and
    /// [`Engine::remove`] of [`uploader`].
    ///
    /// # Errors
    /// `start_failed`, `permission_denied`, and those of any call to the engine.
    pub async fn upload(&self, spec: &Spec, progress: impl Fn(Amount)) -> Result<()> {
        let identity = &spec.identity;
        let Some(volume) = &identity.volume else {
            return Err(Failure::new(Code::Internal, "a release without its volume"));
        };
        let labels: HashMap<String, String> = identity.labels().into_iter().collect();
        let request = VolumeCreateRequest {
            name: Some(volume.clone()),
            labels: Some(labels),
            ..VolumeCreateRequest::default()
        };
        let made = self.docker.create_volume(request).await;
        made.map_err(|error| self.failure(format_args!("create the volume `{volume}`"), error))?;
        let filled = self
            .create_from(&uploader(&spec.name), spec.uploader_body())
            .await?;
        self.fill(&filled, &identity.release, progress).await?;
        self.remove(&filled).await
    }

    async fn fill(&self, id: &str, release: &Path, progress: impl Fn(Amount)) -> Result<()> {
        let entries = entries(release)?;
        let total = entries.iter().map(Entry::packed).sum();
        let sent = Arc::new(AtomicU64::new(0));
        let (sender, receiver) = channel(WAITING);
        let pieces = stream::unfold(receiver, async |mut receiver| {
            let piece: io::Result<Bytes> = receiver.recv().await?;
            Some((piece, receiver))
        });
        let packing = {
            let (release, sent) = (release.to_owned(), Arc::clone(&sent));
            tokio::task::spawn_blocking(move || {
                let writer = Pieces {
                    sender: sender.clone(),
                    piece: Vec::with_capacity(PIECE),
                    sent,
                };
                let packed = pack(&release, &entries, writer);
                if packed.is_err() {
                    // Without it the engine would take the archive for complete.
                    sender
                        .blocking_send(Err(io::ErrorKind::Interrupted.into()))
                        .ok();
                }
                packed
            })
        };
        let options = UploadToContainerOptionsBuilder::new().path("/src").build();
        let docker = self.docker.clone().with_timeout(LONGEST);
        let body = bollard::body_try_stream(pieces);
        let call = docker.upload_to_container(id, Some(options), body);
        tokio::pin!(call);
        let mut ticks = interval(TICK);
        let mut moved = (0, Instant::now());
        let uploaded = loop {
            tokio::select! {
                biased;
                uploaded = &mut call => break uploaded,
                _ = ticks.tick() => {
                    let done = sent.load(Ordering::Relaxed).min(total);
                    if done != moved.0 {
                        moved = (done, Instant::now());
                        progress(Amount { done, total: Some(total), unit: Unit::Bytes });
                    }
                    if moved.1.elapsed() > PATIENCE {
                        break Err(bollard::errors::Error::RequestTimeoutError);
                    }
                }
            }
        };
        match uploaded {
            Ok(()) => Ok(()),
            Err(error) => {
                // A file that could not be read cut the connection, and is the better reason.
                let failure = self.failure("upload the release", error);
                match tokio::time::timeout(TICK, packing).await {
                    Ok(Ok(Err(packed))) if packed.kind() != io::ErrorKind::BrokenPipe => {
                        Err(Failure::io(Code::StartFailed, "read the release", packed))
                    }
                    _ => Err(failure),
                }
            }
        }
    }

    /// The names of the volumes of a checkout's releases.
    ///
    /// # Errors
    /// Those of any call to the engine.
    pub async fn volumes(&self, checkout: &Path) -> Result<Vec<String>> {
        let label = format!("{PATH}={}", checkout.display());
        let filters = HashMap::from([("label", vec![label])]);
        let options = ListVolumesOptionsBuilder::new().filters(&filters).build();
        let listed = self.docker.list_volumes(Some(options)).await;
        let listed = listed.map_err(|error| self.failure("list the volumes", error))?;
        let volumes = listed.volumes.unwrap_or_default().into_iter();
        Ok(volumes.map(|volume| volume.name).collect())
    }

    /// Removes a volume. One that is gone is removed already, and one that a container has stays.
    ///
    /// # Errors
    /// Those of any call to the engine.
    pub async fn remove_volume(&self, name: &str) -> Result<()> {
        match self
            .docker
            .remove_volume(name, None::<RemoveVolumeOptions>)
            .await
        {
            Err(error)
                if !error::answer(&error)
                    .is_some_and(|(status, _)| matches!(status, 404 | 409)) =>
            {
                Err(self.failure(format_args!("remove the volume `{name}`"), error))
            }
            _ => Ok(()),
        }
    }
}

/// The name of the container through which the volume of `container` is filled.
pub fn uploader(container: &str) -> String {
    format!("{container}-upload")
}

/// Something that a release has.
struct Entry {
    /// Relative to the release.
    path: PathBuf,
    /// The content's, in bytes.
    size: u64,
}

impl Entry {
    /// What it takes in the archive: a header, and whole blocks of 512 bytes.
    fn packed(&self) -> u64 {
        512 + self.size.next_multiple_of(512)
    }
}

/// All that is in the release, directories before what is in them.
fn entries(release: &Path) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    let mut directories = vec![PathBuf::new()];
    while let Some(directory) = directories.pop() {
        let listed = || -> io::Result<Vec<(PathBuf, fs::Metadata)>> {
            fs::read_dir(release.join(&directory))?
                .map(|entry| {
                    let entry = entry?;
                    Ok((directory.join(entry.file_name()), entry.metadata()?))
                })
                .collect()
        };
        let listed = listed().map_err(|error| {
            let what = format!("read `{}`", release.join(&directory).display());
            Failure::io(Code::StartFailed, what, error)
        })?;
        for (path, meta) in listed {
            let size = if meta.is_file() { meta.len() } else { 0 };
            if meta.is_dir() {
                directories.push(path.clone());
            }
            entries.push(Entry { path, size });
        }
    }
    Ok(entries)
}

fn pack(release: &Path, entries: &[Entry], writer: Pieces) -> io::Result<()> {
    let mut archive = Builder::new(writer);
    for entry in entries {
        let source = release.join(&entry.path);
        let meta = fs::symlink_metadata(&source)?;
        let mut header = Header::new_gnu();
        header.set_metadata_in_mode(&meta, HeaderMode::Complete);
        // Whoever runs sdp is nobody in the container.
        header.set_uid(0);
        header.set_gid(0);
        if meta.is_symlink() {
            header.set_size(0);
            let target = link_target(&entry.path, &fs::read_link(&source)?);
            archive.append_link(&mut header, &entry.path, target)?;
        } else if meta.is_dir() {
            header.set_entry_type(EntryType::Directory);
            header.set_size(0);
            archive.append_data(&mut header, &entry.path, io::empty())?;
        } else {
            archive.append_data(&mut header, &entry.path, File::open(&source)?)?;
        }
    }
    archive.into_inner()?.flush()
}

/// Engines refuse a relative link that leads out of the directory that is filled; the same link as it
/// will be in the container, from its root, they take.
fn link_target(link: &Path, target: &Path) -> PathBuf {
    if target.is_absolute() {
        return target.to_owned();
    }
    let mut resolved = PathBuf::from("/src");
    let steps = link.parent().into_iter().flat_map(Path::components);
    for step in steps.chain(target.components()) {
        match step {
            Component::ParentDir => {
                resolved.pop();
            }
            Component::Normal(name) => resolved.push(name),
            _ => {}
        }
    }
    if resolved.starts_with("/src") {
        target.to_owned()
    } else {
        resolved
    }
}

/// Hands what is written on, piece by piece, and adds it up.
struct Pieces {
    sender: Sender<io::Result<Bytes>>,
    piece: Vec<u8>,
    sent: Arc<AtomicU64>,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE));
        let size = piece.len() as u64;
        self.sent.fetch_add(size, Ordering::Relaxed);
        self.sender
            .blocking_send(Ok(piece.into()))
            .map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_that_leads_out_of_the_release_leads_where_it_would_in_the_container() {
        let target = |link: &str, target: &str| link_target(link.as_ref(), target.as_ref());
        assert_eq!(target("a/b", "../c"), Path::new("../c"));
        assert_eq!(target("b", "/etc/hosts"), Path::new("/etc/hosts"));
        assert_eq!(target("a/b", "../../etc/hosts"), Path::new("/etc/hosts"));
        assert_eq!(target("b", "../../.."), Path::new("/"));
        assert_eq!(target("b", "../srcs/x"), Path::new("/srcs/x"));
    }
}
