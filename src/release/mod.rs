//! What lies in `.sdp/`: the lock, the releases, and the program that go keeps up to date.

pub mod history;
mod writer;

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use procfs::{Current as _, LockType};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use crate::event::Emitter;
use crate::failure::{Code, Failure, Result};
use crate::git::{self, Tracked};
use crate::interrupt::Interrupt;
use crate::plan::Repository;
use crate::shell::quoted;
use writer::Writer;

/// The name of sdp's directory in a checkout.
pub const DIRECTORY: &str = ".sdp";

const RELEASES: &str = "releases";

const UNDERWAY: &str = "handover.json";

/// Holds a file for each release, with the mark of the engine that it is for.
const ENGINES: &str = "engines";

/// Holds the id of the deployment whose build is under way.
const BUILDING: &str = "building";

/// Of how many deployments the files are kept that have changed during their builds.
const CHANGED_KEPT: usize = 5;

/// The kernel tells nobody that a lock is free without keeping a thread waiting for it.
const LOCK_POLL: Duration = Duration::from_millis(50);

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
    /// The engine may have been told to stop the former containers, and carry that out still.
    #[serde(default)]
    pub stopping: bool,
}

/// Whether somebody holds a checkout's lock, without touching it: whoever tries it for a moment only may
/// still turn a deployment away.
pub fn is_locked(checkout: &Path) -> bool {
    let Ok(lock) = fs::metadata(checkout.join(DIRECTORY).join("lock")) else {
        return false;
    };
    let device = (rustix::fs::major(lock.dev()), rustix::fs::minor(lock.dev()));
    procfs::Locks::current().is_ok_and(|locks| {
        locks.0.iter().any(|held| {
            held.inode == lock.ino()
                && (held.devmaj, held.devmin) == device
                && held.lock_type == LockType::FLock
        })
    })
}

/// The failure of a deployment that meets the lock, with who holds it; `None` if nobody does. Looks as
/// [`is_locked`] does.
pub fn in_use(checkout: &Path) -> Option<Failure> {
    let text = fs::read_to_string(checkout.join(DIRECTORY).join("lock")).unwrap_or_default();
    is_locked(checkout).then(|| locked(checkout, &text))
}

/// The hand-over that a killed command left in a checkout, and the deployment whose build was cut.
pub fn cut(checkout: &Path) -> (Option<Underway>, Option<String>) {
    let directory = checkout.join(DIRECTORY);
    (underway(&directory), cut_build(&directory))
}

/// Whether a checkout has a release of this id.
pub fn exists(checkout: &Path, id: &str) -> bool {
    checkout.join(DIRECTORY).join(RELEASES).join(id).exists()
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

/// Who holds the lock; for whoever meets it.
#[derive(Debug, Serialize, Deserialize)]
struct Holder {
    pid: u32,
    deployment: String,
    since: String,
}

impl Store {
    /// Opens the directory in `checkout`, making it if need be, and takes its lock.
    ///
    /// # Errors
    /// `locked`, with who holds it; `disk_full`, `permission_denied`.
    pub fn lock(checkout: &Path, deployment: &str) -> Result<Store> {
        let directory = checkout.join(DIRECTORY);
        let path = directory.join("lock");
        let (is_new, mut lock) = loop {
            let is_new = make_directory(checkout, &directory)?;
            let opened = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(&path);
            let mut lock = match opened {
                Ok(lock) => lock,
                // Taken back since it was made.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(io(format_args!("open `{}`", path.display()), error)),
            };
            match lock.try_lock() {
                Ok(()) => {}
                Err(fs::TryLockError::WouldBlock) => {
                    let mut text = String::new();
                    lock.read_to_string(&mut text).ok();
                    return Err(locked(checkout, &text));
                }
                Err(fs::TryLockError::Error(error)) => {
                    return Err(io(format_args!("lock `{}`", path.display()), error));
                }
            }
            // Whoever held it may have taken its directory back, and the file with it.
            if is_at(&lock, &path) {
                break (is_new, lock);
            }
        };
        let ignore = directory.join(".gitignore");
        if !ignore.exists() {
            write_atomically(&ignore, b"*\n")?;
        }
        let holder = Holder {
            pid: std::process::id(),
            deployment: deployment.to_owned(),
            since: history::time(jiff::Timestamp::now()),
        };
        let text = serde_json::to_vec(&holder).map_err(anyhow::Error::from)?;
        lock.set_len(0)
            .and_then(|()| lock.write_all(&text))
            .map_err(|error| io(format_args!("write `{}`", path.display()), error))?;
        Ok(Store {
            directory,
            is_new,
            _lock: lock,
        })
    }

    /// Takes the lock of a checkout that has been deployed from. `has_containers`: it has some, though
    /// perhaps no directory of sdp's, as in a fresh clone.
    ///
    /// # Errors
    /// `not_deployed`, and those of [`Store::lock`].
    pub fn of(repository: &Repository, what: &str, has_containers: bool) -> Result<Store> {
        let path = &repository.path;
        if path.join(DIRECTORY).is_dir() || (path.is_dir() && has_containers) {
            return Store::lock(path, what);
        }
        if path.is_dir() {
            return Err(Failure::not_deployed(&repository.name));
        }
        let message = format!(
            "there is no checkout at `{}` any more",
            repository.path.display()
        );
        Err(Failure::new(Code::NotDeployed, message)
            .hint("`sdp status` shows its container; `docker stop` and `docker rm` take that away"))
    }

    /// Takes the lock, and waits for it up to `wait`.
    ///
    /// # Errors
    /// Those of [`Store::lock`], or the interruption.
    pub async fn wait(
        checkout: &Path,
        deployment: &str,
        wait: Duration,
        emitter: &Emitter,
        interrupt: &Interrupt,
    ) -> Result<Store> {
        let until = Instant::now() + wait;
        let mut told = false;
        loop {
            match Store::lock(checkout, deployment) {
                Err(failure) if failure.code == Code::Locked && Instant::now() < until => {
                    if !told {
                        emitter.warn(format!("{failure}; waiting for it"), None);
                        told = true;
                    }
                }
                locked => return locked,
            }
            tokio::select! {
                signal = interrupt.cancelled() => return Err(signal.into()),
                () = sleep(LOCK_POLL) => {}
            }
        }
    }

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
        self.directory.join("build").join(program(repository))
    }

    /// Where the tracked files are kept that have changed during a deployment's build.
    pub fn changed(&self, id: &str) -> PathBuf {
        self.directory.join("build").join("changed").join(id)
    }

    /// Removes the kept files of all but the newest deployments that have kept some.
    ///
    /// # Errors
    /// `permission_denied` and the like.
    pub fn retire_changed(&self) -> Result<()> {
        let directory = self.directory.join("build").join("changed");
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

    /// Writes down which engine a release is for, before there is a release.
    ///
    /// # Errors
    /// `disk_full`, `permission_denied`.
    pub fn mark(&self, id: &str, engine: &str) -> Result<()> {
        let path = self.directory.join(ENGINES);
        match fs::create_dir(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                return Err(io(format_args!("create `{}`", path.display()), error));
            }
            _ => {}
        }
        write_atomically(&path.join(id), engine.as_bytes())
    }

    /// Whether a release is for another engine than this one. One without a mark is of an older sdp, and
    /// counts as this one's.
    pub fn is_others(&self, id: &str, engine: &str) -> bool {
        let marked = fs::read_to_string(self.directory.join(ENGINES).join(id));
        marked.is_ok_and(|marked| marked != engine)
    }

    fn releases(&self) -> PathBuf {
        self.directory.join(RELEASES)
    }

    /// Removes what a killed run left half-written, and tells how many releases that were.
    ///
    /// # Errors
    /// `permission_denied` and the like.
    pub fn sweep(&self) -> Result<usize> {
        fs::remove_dir_all(self.directory.join("build").join("tmp")).ok();
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

/// Whether each pattern of what a release takes along matches something in the checkout as it is now.
///
/// # Errors
/// `start_failed`.
pub fn check_include(checkout: &Path, patterns: &[String]) -> Result<()> {
    included(checkout, patterns, &[]).map(drop)
}

/// The untracked files that the patterns match. A directory stands for all that is in it; git's and
/// sdp's own directories are never taken along, nor is what a link leads to outside the checkout.
fn included(checkout: &Path, patterns: &[String], tracked: &[Tracked]) -> Result<Vec<Tracked>> {
    let mut found = BTreeMap::new();
    for pattern in patterns {
        let within = glob::Pattern::escape(&checkout.to_string_lossy());
        let matches = |pattern: &str| {
            glob::glob(&format!("{within}/{pattern}"))
                .into_iter()
                .flatten()
                .flatten()
        };
        let before = found.len();
        let mut any = false;
        for path in matches(pattern).chain(matches(&format!("{pattern}/**/*"))) {
            let inside = path.parent().and_then(|parent| parent.canonicalize().ok());
            if !inside.is_some_and(|parent| parent.starts_with(checkout)) {
                continue;
            }
            let Ok(relative) = path.strip_prefix(checkout) else {
                continue;
            };
            if relative.components().any(|part| {
                [".git", DIRECTORY]
                    .iter()
                    .any(|own| part.as_os_str() == *own)
            }) {
                continue;
            }
            let Ok(kind) = fs::symlink_metadata(&path) else {
                continue;
            };
            any = true;
            let kind = match kind {
                kind if kind.is_symlink() => git::Kind::Symlink,
                kind if kind.is_file() && kind.mode() & 0o100 != 0 => git::Kind::Executable,
                kind if kind.is_file() => git::Kind::File,
                _ => continue,
            };
            found.insert(relative.to_owned(), kind);
        }
        if !any && found.len() == before {
            let message = format!("`--include {pattern}` matches no file of the checkout");
            return Err(Failure::new(Code::StartFailed, message)
                .hint(format!("`ls {}` shows what is there", quoted(checkout))));
        }
    }
    for file in tracked {
        found.remove(&file.path);
    }
    Ok(found
        .into_iter()
        .map(|(path, kind)| Tracked { path, kind })
        .collect())
}

/// The program's file name in a release.
pub fn program(repository: &str) -> String {
    format!("app-{repository}")
}

/// Whether two releases hold the very same program: one file with two names.
pub fn same_program(one: &Path, other: &Path, repository: &Repository) -> bool {
    let identity = |release: &Path| {
        let found = fs::symlink_metadata(release.join(program(&repository.name))).ok()?;
        Some((found.dev(), found.ino()))
    };
    one != other && identity(one).is_some_and(|one| identity(other) == Some(one))
}

/// Puts the program into the live checkout, for `--mount checkout`.
///
/// # Errors
/// `disk_full`, `permission_denied`.
pub fn place_in_checkout(checkout: &Path, binary: &Path, repository: &str) -> Result<()> {
    let target = checkout.join(program(repository));
    let temporary = checkout.join(DIRECTORY).join("build").join(".placing");
    fs::copy(binary, &temporary)
        .and_then(|_| fs::rename(&temporary, &target))
        .map_err(|error| io(format_args!("write `{}`", target.display()), error))
}

/// Makes sdp's directory, and the checkout's if need be; tells whether it was not there before.
fn make_directory(checkout: &Path, directory: &Path) -> Result<bool> {
    DirBuilder::new()
        .recursive(true)
        .create(checkout)
        .map_err(|error| io(format_args!("create `{}`", checkout.display()), error))?;
    let is_new = match DirBuilder::new().mode(0o700).create(directory) {
        Ok(()) => true,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            keep_private(directory);
            false
        }
        Err(error) => return Err(io(format_args!("create `{}`", directory.display()), error)),
    };
    Ok(is_new)
}

/// Takes others' rights to sdp's directory away: programs and releases in it may hold what only their
/// containers should see. These see their own release all the same, as the engine mounts it past the
/// directories above. A directory that is somebody else's is theirs to close.
fn keep_private(directory: &Path) {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
    let Ok(open) = rustix::fs::open(directory, flags, Mode::empty()) else {
        return;
    };
    if rustix::fs::fstat(&open).is_ok_and(|found| found.st_mode & 0o077 != 0) {
        rustix::fs::fchmod(&open, Mode::RWXU).ok();
    }
}

/// Whether an open file is the one that stands at `path` now.
fn is_at(file: &File, path: &Path) -> bool {
    let identity = |meta: fs::Metadata| (meta.dev(), meta.ino());
    match (file.metadata(), fs::metadata(path)) {
        (Ok(open), Ok(there)) => identity(open) == identity(there),
        _ => false,
    }
}

fn write_atomically(path: &Path, content: &[u8]) -> Result<()> {
    let temporary = path.with_extension("tmp");
    fs::write(&temporary, content)
        .and_then(|()| fs::rename(&temporary, path))
        .map_err(|error| io(format_args!("write `{}`", path.display()), error))
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

fn locked(checkout: &Path, text: &str) -> Failure {
    let who = serde_json::from_str::<Holder>(text).map_or_else(
        |_| "another process".to_owned(),
        |holder| {
            format!(
                "deployment `{}` (process {}) since {}",
                holder.deployment, holder.pid, holder.since
            )
        },
    );
    Failure::new(
        Code::Locked,
        format!("`{}` is being deployed by {who}", checkout.display()),
    )
    .hint("wait for it to end, or end it with Ctrl-C or SIGTERM; then deploy again")
}

fn io(what: impl std::fmt::Display, error: std::io::Error) -> Failure {
    Failure::io(Code::StartFailed, what, error)
}
