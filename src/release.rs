//! What lies in `.sdp/`: the lock, the releases, and the program that go keeps up to date.

use std::collections::HashSet;
use std::fs::{self, DirBuilder, File, FileTimes, OpenOptions, Permissions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::failure::{Code, Failure, Result};
use crate::git::{self, Tracked};

/// The name of sdp's directory in a checkout.
pub const DIRECTORY: &str = ".sdp";

/// sdp's directory in a checkout, with the lock held: nobody else deploys there.
#[derive(Debug)]
pub struct Store {
    directory: PathBuf,
    /// The kernel lets go of it when the process ends, however it ends.
    _lock: File,
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
        DirBuilder::new()
            .recursive(true)
            .create(checkout)
            .map_err(|error| io(format_args!("create `{}`", checkout.display()), error))?;
        match DirBuilder::new().mode(0o700).create(&directory) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                return Err(io(format_args!("create `{}`", directory.display()), error));
            }
            _ => {}
        }
        let ignore = directory.join(".gitignore");
        if !ignore.exists() {
            write_atomically(&ignore, b"*\n")?;
        }
        let path = directory.join("lock");
        let what = || format!("open `{}`", path.display());
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|error| io(what(), error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                let mut text = String::new();
                lock.read_to_string(&mut text).ok();
                return Err(locked(checkout, &text));
            }
            Err(fs::TryLockError::Error(error)) => return Err(io(what(), error)),
        }
        let holder = Holder {
            pid: std::process::id(),
            deployment: deployment.to_owned(),
            since: jiff::Timestamp::now()
                .strftime("%Y-%m-%dT%H:%M:%SZ")
                .to_string(),
        };
        let text = serde_json::to_vec(&holder).map_err(anyhow::Error::from)?;
        lock.set_len(0)
            .and_then(|()| lock.write_all(&text))
            .map_err(|error| io(format_args!("write `{}`", path.display()), error))?;
        Ok(Store {
            directory,
            _lock: lock,
        })
    }

    /// Where go builds to: one place per repository, so that it finds its last result up to date.
    pub fn binary(&self, repository: &str) -> PathBuf {
        self.directory.join("build").join(program(repository))
    }

    /// Where a release is, or goes.
    pub fn release(&self, id: &str) -> PathBuf {
        self.releases().join(id)
    }

    fn releases(&self) -> PathBuf {
        self.directory.join("releases")
    }

    /// Removes what a killed run left half-written, and tells how many releases that were.
    ///
    /// # Errors
    /// `permission_denied` and the like.
    pub fn sweep(&self) -> Result<usize> {
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

    /// Removes a release.
    ///
    /// # Errors
    /// `permission_denied` and the like.
    pub fn remove(&self, id: &str) -> Result<()> {
        let path = self.release(id);
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(io(format_args!("remove `{}`", path.display()), error))
            }
            _ => Ok(()),
        }
    }

    /// Writes a release: the checkout's tracked files and the program.
    ///
    /// A file whose size, mode and time are those of the newest release's is a hard link to it:
    /// git gives a changed file a new time, and nobody writes into a release.
    ///
    /// # Errors
    /// `disk_full`, `permission_denied`, `start_failed`.
    pub fn write(
        &self,
        id: &str,
        files: &[Tracked],
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

/// The program's file name in a release.
pub fn program(repository: &str) -> String {
    format!("app-{repository}")
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

/// Fills one release directory.
struct Writer<'a> {
    root: &'a Path,
    former: Option<&'a Path>,
    /// The directories made so far; nothing is written anywhere else.
    directories: HashSet<PathBuf>,
}

impl<'a> Writer<'a> {
    fn new(root: &'a Path, former: Option<&'a Path>) -> Result<Writer<'a>> {
        fs::create_dir_all(root.parent().unwrap_or(root))
            .and_then(|()| fs::create_dir(root))
            .and_then(|()| fs::set_permissions(root, Permissions::from_mode(0o755)))
            .map_err(|error| io(format_args!("create `{}`", root.display()), error))?;
        Ok(Writer {
            root,
            former,
            directories: HashSet::from([PathBuf::new()]),
        })
    }

    fn copy(&mut self, checkout: &Path, path: &Path, kind: git::Kind) -> Result<()> {
        if !path
            .components()
            .all(|part| matches!(part, Component::Normal(_)))
        {
            return Err(Failure::new(
                Code::StartFailed,
                format!(
                    "the commit has a file `{}`, which leaves the release",
                    path.display()
                ),
            ));
        }
        match kind {
            git::Kind::Submodule => self.directory(path),
            git::Kind::Symlink => {
                self.parent(path)?;
                fs::read_link(checkout.join(path))
                    .and_then(|link| std::os::unix::fs::symlink(link, self.root.join(path)))
                    .map_err(|error| io(format_args!("copy the link `{}`", path.display()), error))
            }
            git::Kind::File => self.file(&checkout.join(path), path, 0o644),
            git::Kind::Executable => self.file(&checkout.join(path), path, 0o755),
        }
    }

    fn file(&mut self, source: &Path, path: &Path, mode: u32) -> Result<()> {
        self.parent(path)?;
        let target = self.root.join(path);
        let what = || format!("copy `{}` into the release", path.display());
        let attributes = fs::metadata(source).map_err(|error| io(what(), error))?;
        if let Some(former) = self.former.map(|former| former.join(path))
            && fs::symlink_metadata(&former).is_ok_and(|former| {
                former.is_file()
                    && former.len() == attributes.len()
                    && (former.mtime(), former.mtime_nsec())
                        == (attributes.mtime(), attributes.mtime_nsec())
                    && former.mode() & 0o777 == mode
            })
            && fs::hard_link(&former, &target).is_ok()
        {
            return Ok(());
        }
        let copy = || {
            // The program replaces a tracked file of its name, as `go build -o` would.
            match fs::remove_file(&target) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            fs::copy(source, &target)?;
            let copied = OpenOptions::new().write(true).open(&target);
            // The source's mode may forbid to open the copy for writing.
            let copied = copied.or_else(|_| File::open(&target))?;
            copied.set_permissions(Permissions::from_mode(mode))?;
            copied.set_times(FileTimes::new().set_modified(attributes.modified()?))
        };
        copy().map_err(|error| io(what(), error))
    }

    fn parent(&mut self, path: &Path) -> Result<()> {
        path.parent()
            .map_or(Ok(()), |parent| self.directory(parent))
    }

    /// Makes a directory and those above it. One that is there but was not made here (through a link
    /// in the commit) is an error.
    fn directory(&mut self, path: &Path) -> Result<()> {
        if self.directories.contains(path) {
            return Ok(());
        }
        self.parent(path)?;
        let target = self.root.join(path);
        fs::create_dir(&target)
            .and_then(|()| fs::set_permissions(&target, Permissions::from_mode(0o755)))
            .map_err(|error| io(format_args!("create `{}`", target.display()), error))?;
        self.directories.insert(path.to_owned());
        Ok(())
    }
}

fn write_atomically(path: &Path, content: &[u8]) -> Result<()> {
    let temporary = path.with_extension("tmp");
    fs::write(&temporary, content)
        .and_then(|()| fs::rename(&temporary, path))
        .map_err(|error| io(format_args!("write `{}`", path.display()), error))
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
