//! What lies in `.sdp/`: the lock, the releases, and the program that go keeps up to date.

pub mod history;
mod include;
mod lock;
mod writer;

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::event::unix_millis;
use crate::failure::{Code, Failure, Result};
use crate::git::Tracked;
use crate::plan::Repository;
use include::included;
use writer::Writer;

pub use include::check_include;
pub use lock::{in_use, is_locked};

/// The name of sdp's directory in a checkout.
pub const DIRECTORY: &str = ".sdp";

const RELEASES: &str = "releases";

/// Holds what go has built last, and what else a build leaves.
const BUILD: &str = "build";

const UNDERWAY: &str = "handover.json";

/// Holds a file for each release, with the mark of the engine that it is for.
const ENGINES: &str = "engines";

/// Holds the id of the deployment whose build is under way.
const BUILDING: &str = "building";

/// In the directory of the build: the program on its way into the checkout.
const PLACING: &str = ".placing";

/// Of how many deployments the files are kept that have changed during their builds.
const CHANGED_KEPT: usize = 5;

/// sdp's directory in a checkout, with the lock held: nobody else deploys there.
#[derive(Debug)]
pub struct Store {
    directory: PathBuf,
    /// The directory was not there before.
    pub is_new: bool,
    /// The kernel lets go of it when the process ends, however it ends.
    _lock: File,
}

/// A hand-over that has begun; what is there when a command starts was cut by a kill.
#[derive(Debug, Serialize, Deserialize)]
pub struct Underway {
    /// The name of the container that was to serve.
    pub incoming: String,
    /// It was made for this hand-over, and goes if it fails.
    pub is_new: bool,
    /// The names of the containers that served.
    pub formers: Vec<String>,
    /// It was told to be a failure: it is to be taken back, whatever it looks like by now.
    #[serde(default)]
    pub failed: bool,
    /// The engine's mark; empty: written by an older sdp.
    #[serde(default)]
    pub engine: String,
    /// The engine's address, for people.
    #[serde(default)]
    pub address: String,
    /// `None`: the former containers are not stopped yet.
    #[serde(default)]
    pub stop: Option<Stop>,
}

impl Underway {
    /// It was begun at another engine than the one with this mark.
    pub fn is_elsewhere(&self, mark: &str) -> bool {
        !self.engine.is_empty() && self.engine != mark
    }
}

/// The engine is about to be told to stop the former containers, and carries that out whatever becomes of
/// sdp.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Stop {
    /// Unix milliseconds.
    told_at: u64,
    /// How long it may take, in milliseconds.
    patience: u64,
}

impl Stop {
    /// One that begins now.
    pub fn begin(patience: Duration) -> Stop {
        Stop {
            told_at: unix_millis(),
            patience: u64::try_from(patience.as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// How long it may take from now on.
    pub fn left(self) -> Duration {
        let passed = unix_millis().saturating_sub(self.told_at);
        Duration::from_millis(self.patience.saturating_sub(passed))
    }
}

/// The hand-over that a killed command left in a checkout, and the deployment whose build was cut.
pub fn cut(checkout: &Path) -> (Option<Underway>, Option<String>) {
    let directory = checkout.join(DIRECTORY);
    (underway(&directory), cut_build(&directory))
}

/// Where the release of this id is in a checkout, if there is one.
pub fn path(checkout: &Path, id: &str) -> PathBuf {
    checkout.join(DIRECTORY).join(RELEASES).join(id)
}

/// Whether two paths lead to one directory or file; `None` if one of them leads nowhere.
pub fn is_same(one: &Path, other: &Path) -> Option<bool> {
    let identity = |path: &Path| fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()));
    Some(identity(one).ok()? == identity(other).ok()?)
}

fn underway(directory: &Path) -> Option<Underway> {
    let text = fs::read(directory.join(UNDERWAY)).ok()?;
    serde_json::from_slice(&text).ok()
}

fn cut_build(directory: &Path) -> Option<String> {
    let id = fs::read_to_string(directory.join(BUILDING)).ok()?;
    let is_name = Path::new(&id).file_name() == Some(id.as_ref());
    is_name.then_some(id)
}

impl Store {
    /// Writes down a hand-over before anything of it is done.
    ///
    /// # Errors
    /// `disk_full`, `permission_denied`.
    pub fn begin(&self, underway: &Underway) -> Result<()> {
        let text = serde_json::to_vec(underway).map_err(anyhow::Error::from)?;
        write_atomically(&self.directory.join(UNDERWAY), &text)
    }

    /// The hand-over is complete, or taken back.
    ///
    /// # Errors
    /// `permission_denied`.
    pub fn end(&self) -> Result<()> {
        self.forget(UNDERWAY)
    }

    fn forget(&self, file: &str) -> Result<()> {
        let path = self.directory.join(file);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(io(format_args!("remove `{}`", path.display()), error))
            }
            _ => Ok(()),
        }
    }

    /// The hand-over that a killed command left. One that cannot be read was never begun: the file
    /// is renamed into place when it is complete.
    pub fn underway(&self) -> Option<Underway> {
        underway(&self.directory)
    }

    /// Writes down that tracked files may change from now on, which a killed run does not put back.
    ///
    /// # Errors
    /// `disk_full`, `permission_denied`.
    pub fn begin_build(&self, id: &str) -> Result<()> {
        write_atomically(&self.directory.join(BUILDING), id.as_bytes())
    }

    /// The tracked files are as they were.
    ///
    /// # Errors
    /// `permission_denied`.
    pub fn end_build(&self) -> Result<()> {
        self.forget(BUILDING)
    }

    /// The id of the deployment whose build was cut by a kill.
    pub fn cut_build(&self) -> Option<String> {
        cut_build(&self.directory)
    }

    /// Where go builds to: one place per repository, so that it finds its last result up to date.
    pub fn binary(&self, repository: &str) -> PathBuf {
        binary(&self.directory, repository)
    }

    /// Where the tracked files are kept that have changed during a deployment's build.
    pub fn changed(&self, id: &str) -> PathBuf {
        self.directory.join(BUILD).join("changed").join(id)
    }

    /// Removes the kept files of all but the newest deployments that have kept some.
    ///
    /// # Errors
    /// `permission_denied` and the like.
    pub fn retire_changed(&self) -> Result<()> {
        let directory = self.directory.join(BUILD).join("changed");
        let failed =
            |error: std::io::Error| io(format_args!("clear `{}`", directory.display()), error);
        let mut kept = Vec::new();
        for entry in fs::read_dir(&directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let modified = entry.metadata().and_then(|meta| meta.modified());
            kept.push((modified.map_err(failed)?, entry.path()));
        }
        kept.sort();
        let old = kept.len().saturating_sub(CHANGED_KEPT);
        for (_, path) in kept.drain(..old) {
            fs::remove_dir_all(path).map_err(failed)?;
        }
        Ok(())
    }

    /// Where a release is, or goes.
    pub fn release(&self, id: &str) -> PathBuf {
        self.releases().join(id)
    }

    /// Writes down which engine a release is for, by its mark and, for people, its address; before there is
    /// a release.
    ///
    /// # Errors
    /// `disk_full`, `permission_denied`.
    pub fn mark(&self, id: &str, engine: &str, address: &str) -> Result<()> {
        let path = self.directory.join(ENGINES);
        match fs::create_dir(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                return Err(io(format_args!("create `{}`", path.display()), error));
            }
            _ => {}
        }
        write_atomically(&path.join(id), format!("{engine}\n{address}").as_bytes())
    }

    /// The address of the engine that a release is for, if it is another one than this; its mark, where an
    /// older sdp has not written the address down. A release without a mark counts as this engine's.
    pub fn other_engine(&self, id: &str, engine: &str) -> Option<String> {
        let marked = fs::read_to_string(self.directory.join(ENGINES).join(id)).ok()?;
        let (mark, address) = marked.split_once('\n').unwrap_or((&marked, &marked));
        (mark != engine).then(|| address.to_owned())
    }

    fn releases(&self) -> PathBuf {
        self.directory.join(RELEASES)
    }

    /// Removes what a killed run left half-written, and tells how many releases that were.
    ///
    /// # Errors
    /// `permission_denied` and the like.
    pub fn sweep(&self) -> Result<usize> {
        let build = self.directory.join(BUILD);
        fs::remove_dir_all(build.join("tmp")).ok();
        for file in [
            temporary(&self.directory.join(UNDERWAY)),
            temporary(&self.directory.join(BUILDING)),
            build.join(PLACING),
        ] {
            fs::remove_file(file).ok();
        }
        let marks = fs::read_dir(self.directory.join(ENGINES));
        for mark in marks.into_iter().flatten().flatten() {
            if !self.releases().join(mark.file_name()).exists() {
                fs::remove_file(mark.path()).ok();
            }
        }
        let mut swept = 0;
        for name in self.names()? {
            if name.starts_with('.') {
                self.remove(&name)?;
                swept += 1;
            }
        }
        Ok(swept)
    }

    /// The ids of the releases, oldest first as far as ids sort by time.
    ///
    /// # Errors
    /// `permission_denied` and the like.
    pub fn list(&self) -> Result<Vec<String>> {
        let mut names = self.names()?;
        names.retain(|name| !name.starts_with('.'));
        names.sort();
        Ok(names)
    }

    fn names(&self) -> Result<Vec<String>> {
        let releases = self.releases();
        let what = || format!("read `{}`", releases.display());
        let entries = match fs::read_dir(&releases) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(io(what(), error)),
        };
        entries
            .map(|entry| {
                let entry = entry.map_err(|error| io(what(), error))?;
                Ok(entry.file_name().to_string_lossy().into_owned())
            })
            .collect()
    }

    /// Removes a release and tells how many bytes of the disk that freed: hard links to files of
    /// other releases free nothing.
    ///
    /// # Errors
    /// `permission_denied` and the like.
    pub fn remove(&self, id: &str) -> Result<u64> {
        let path = self.release(id);
        let freed = allocated(&path);
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(io(format_args!("remove `{}`", path.display()), error))
            }
            _ => {
                fs::remove_file(self.directory.join(ENGINES).join(id)).ok();
                Ok(freed)
            }
        }
    }

    /// What removing a release would free, in bytes on disk.
    pub fn size(&self, id: &str) -> u64 {
        allocated(&self.release(id))
    }

    /// Writes a release: the checkout's tracked files, those that `include` matches, and the program.
    ///
    /// A file whose size, mode and time, or content, are those of the newest release's is a hard link
    /// to it: nobody writes into a release.
    ///
    /// # Errors
    /// `disk_full`, `permission_denied`, `start_failed`.
    pub fn write(
        &self,
        id: &str,
        files: &[Tracked],
        include: &[String],
        binary: &Path,
        repository: &str,
    ) -> Result<PathBuf> {
        let former = self.newest()?;
        let target = self.release(id);
        let temporary = self.releases().join(format!(".{id}"));
        let checkout = self.directory.parent().unwrap_or(&self.directory);
        let written = Writer::new(&temporary, former.as_deref()).and_then(|mut writer| {
            for file in files {
                writer.copy(checkout, &file.path, file.kind)?;
            }
            for file in included(checkout, include, files)? {
                writer.copy(checkout, &file.path, file.kind)?;
            }
            writer.file(binary, Path::new(&program(repository)), 0o755)
        });
        let renamed = written.and_then(|()| {
            fs::rename(&temporary, &target)
                .map_err(|error| io(format_args!("rename `{}`", temporary.display()), error))
        });
        match renamed {
            Ok(()) => Ok(target),
            Err(failure) => {
                fs::remove_dir_all(&temporary).ok();
                Err(failure)
            }
        }
    }

    fn newest(&self) -> Result<Option<PathBuf>> {
        let times = self.list()?.into_iter().filter_map(|name| {
            let path = self.release(&name);
            let created = fs::symlink_metadata(&path)
                .and_then(|meta| meta.modified())
                .ok()?;
            Some((created, path))
        });
        Ok(times.max().map(|(_, path)| path))
    }
}

/// Where go builds to in the checkout at `path`; see [`Store::binary`].
pub fn built(path: &Path, repository: &str) -> PathBuf {
    binary(&path.join(DIRECTORY), repository)
}

fn binary(directory: &Path, repository: &str) -> PathBuf {
    directory.join(BUILD).join(program(repository))
}

/// Where it is written down what is under way, in the checkout at `path`.
pub fn underway_file(path: &Path) -> PathBuf {
    path.join(DIRECTORY).join(UNDERWAY)
}

/// The program's file name in a release.
pub fn program(repository: &str) -> String {
    format!("app-{repository}")
}

/// Whether two releases hold the very same program: one file with two names.
pub fn same_program(one: &Path, other: &Path, repository: &Repository) -> bool {
    let name = program(&repository.name);
    one != other && is_same(&one.join(&name), &other.join(&name)) == Some(true)
}

/// Puts the program into the live checkout, for `--mount checkout`.
///
/// # Errors
/// `disk_full`, `permission_denied`.
pub fn place_in_checkout(checkout: &Path, binary: &Path, repository: &str) -> Result<()> {
    let target = checkout.join(program(repository));
    let temporary = checkout.join(DIRECTORY).join(BUILD).join(PLACING);
    fs::copy(binary, &temporary)
        .and_then(|_| fs::rename(&temporary, &target))
        .map_err(|error| io(format_args!("write `{}`", target.display()), error))
}

fn write_atomically(path: &Path, content: &[u8]) -> Result<()> {
    let temporary = temporary(path);
    fs::write(&temporary, content)
        .and_then(|()| fs::rename(&temporary, path))
        .map_err(|error| io(format_args!("write `{}`", path.display()), error))
}

/// Where a file is written before it gets its name.
fn temporary(path: &Path) -> PathBuf {
    path.with_extension("tmp")
}

/// The bytes on disk that go with this file or directory.
fn allocated(path: &Path) -> u64 {
    let Ok(found) = fs::symlink_metadata(path) else {
        return 0;
    };
    let own = if found.is_dir() || found.nlink() == 1 {
        found.blocks() * 512
    } else {
        0
    };
    let inside = fs::read_dir(path).into_iter().flatten().flatten();
    if found.is_dir() {
        own + inside.map(|entry| allocated(&entry.path())).sum::<u64>()
    } else {
        own
    }
}

fn io(what: impl std::fmt::Display, error: std::io::Error) -> Failure {
    Failure::io(Code::StartFailed, what, error)
}
