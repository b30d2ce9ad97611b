//! The lock of a checkout: one deployment at a time, and who holds it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::Duration;

use procfs::{Current as _, LockType};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use super::{DIRECTORY, Store, history, io, write_atomically};
use crate::event::Emitter;
use crate::failure::{Code, Failure, Result};
use crate::interrupt::Interrupt;
use crate::plan::Repository;
use crate::shell::quoted;

/// The kernel tells nobody that a lock is free without keeping a thread waiting for it.
const LOCK_POLL: Duration = Duration::from_millis(50);

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

/// Who holds the lock; for whoever meets it.
#[derive(Debug, Serialize, Deserialize)]
struct Holder {
    pid: u32,
    /// The command, such as `deploy`.
    what: String,
    /// Empty: the command is no deployment.
    deployment: String,
    since: String,
}

impl Store {
    /// Opens the directory in `checkout`, making it if need be, and takes its lock for the command `what`,
    /// with the id of what it deploys, or without.
    ///
    /// # Errors
    /// `locked`, with who holds it; `disk_full`, `permission_denied`.
    pub fn lock(checkout: &Path, what: &str, deployment: &str) -> Result<Store> {
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
            what: what.to_owned(),
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
            return Store::lock(path, what, "");
        }
        if path.is_dir() || !has_containers {
            return Err(Failure::not_deployed(&repository.name));
        }
        let message = format!(
            "there is no checkout at `{}` any more",
            repository.path.display()
        );
        // A disk that is not mounted is not there either, and what ran from it still does.
        let there = path.ancestors().find(|path| path.exists());
        let there = quoted(there.unwrap_or(path));
        Err(
            Failure::new(Code::NotDeployed, message).hint(format!(
                "`findmnt -T {there}` and `ls -ld {there}`: if a disk is not mounted, mount it; `sdp deploy` with \
                 `--url` clones it anew; what runs stays as it is until then"
            )),
        )
    }

    /// Takes the lock for a deployment, and waits for it up to `wait`.
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
            match Store::lock(checkout, "deploy", deployment) {
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

fn locked(checkout: &Path, text: &str) -> Failure {
    let path = checkout.display();
    let failure = |message| Failure::new(Code::Locked, message);
    let Ok(holder) = serde_json::from_str::<Holder>(text) else {
        return failure(format!("`{path}` is in use by another process"))
            .hint("`sdp deploy --lock-wait 10m` waits until it has ended");
    };
    let Holder {
        pid,
        what,
        deployment,
        since,
    } = holder;
    let deployment = match deployment.as_str() {
        "" => String::new(),
        id => format!("deployment `{id}`, "),
    };
    failure(format!(
        "`{path}` is in use by `sdp {what}` ({deployment}process {pid}) since {since}"
    ))
    .hint(format!(
        "`ps -fp {pid}` shows it, `kill {pid}` ends it in good order; `sdp deploy --lock-wait 10m` waits"
    ))
}
