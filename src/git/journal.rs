//! What a switch leaves behind if it is killed, and how the next one recognises it.
//!
//! A switch works in `.sdp/switch/`: `journal` says from which commit to which, and which
//! `index.lock` is ours; `tree/` holds the files that are not in place yet. Both are gone once the
//! switch is complete. Callers hold sdp's own lock on the checkout, so a journal that is there
//! belongs to a dead process.

use std::fs;
use std::io::{BufWriter, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use gix::ObjectId;

use super::{OWN_DIR, trouble};
use crate::failure::{Code, Failure, Result};

/// The directory that a switch works in.
pub struct Scratch {
    own: PathBuf,
    dir: PathBuf,
}

impl Scratch {
    pub fn new(work_tree: &Path) -> Scratch {
        let own = work_tree.join(OWN_DIR);
        Scratch {
            dir: own.join("switch"),
            own,
        }
    }

    /// Where the files are written before they are moved into place.
    pub fn tree(&self) -> PathBuf {
        self.dir.join("tree")
    }

    /// What a switch that was killed has left to say.
    pub fn journal(&self) -> Option<Journal> {
        Journal::parse(&fs::read_to_string(self.dir.join("journal")).ok()?)
    }

    /// Writes the journal, to an otherwise empty directory.
    pub fn begin(&self, journal: &Journal) -> Result<()> {
        let io = |error| {
            let what = format_args!("write `{}`", self.dir.display()).to_string();
            Failure::io(Code::GitFailed, what, error)
        };
        remove_dir(&self.tree()).map_err(io)?;
        fs::create_dir_all(&self.dir).map_err(io)?;
        fs::write(self.dir.join("journal"), journal.to_string()).map_err(io)
    }

    /// Clears the directory, the journal last.
    pub fn end(&self) {
        // What is left here costs disk space until the next switch, and nothing else.
        if remove_dir(&self.tree()).is_ok() {
            fs::remove_dir_all(&self.dir).ok();
        }
        // Where a release never lived in there, nothing of ours needs to stay.
        fs::remove_dir(&self.own).ok();
    }
}

fn remove_dir(dir: &Path) -> std::io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Which switch is, or was, under way.
#[derive(Debug, PartialEq, Eq)]
pub struct Journal {
    /// The commit at HEAD when it began; `None` if there was none.
    from: Option<ObjectId>,
    /// Where it was to lead, and where those before it that were killed too.
    pub goals: Vec<ObjectId>,
    /// The `index.lock` that it held.
    lock: Option<FileId>,
}

impl Journal {
    /// A journal for the switch to `goal` that begins now, after `former` which never ended.
    pub fn new(
        from: Option<ObjectId>,
        goal: ObjectId,
        former: Option<&Journal>,
        lock: &IndexLock,
    ) -> Journal {
        let mut goals = former.map_or_else(Vec::new, |former| former.goals.clone());
        if !goals.contains(&goal) {
            goals.push(goal);
        }
        Journal {
            from: former.map_or(from, |former| former.from),
            goals,
            lock: FileId::of(lock.lock.lock_path()),
        }
    }

    /// Whether it still explains what is in the work tree: nobody has moved HEAD elsewhere since.
    pub fn explains(&self, head: Option<ObjectId>) -> bool {
        head == self.from || head.is_some_and(|head| self.goals.contains(&head))
    }

    fn parse(text: &str) -> Option<Journal> {
        let fields = |name| text.lines().filter_map(move |line| line.strip_prefix(name));
        let id = |hex: &str| ObjectId::from_hex(hex.as_bytes()).ok();
        Some(Journal {
            from: id(fields("from ").next()?),
            goals: fields("to ").filter_map(id).collect(),
            lock: fields("lock ").find_map(FileId::parse),
        })
    }
}

impl std::fmt::Display for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let from = self
            .from
            .map_or_else(|| "nothing".to_owned(), |id| id.to_string());
        writeln!(f, "from {from}")?;
        for goal in &self.goals {
            writeln!(f, "to {goal}")?;
        }
        match &self.lock {
            Some(FileId { inode, born }) => writeln!(f, "lock {inode} {born}"),
            None => Ok(()),
        }
    }
}

/// Tells a file from any other that ever had its name: inode numbers are used again, but not at
/// the same nanosecond.
#[derive(Debug, PartialEq, Eq)]
struct FileId {
    inode: u64,
    born: u128,
}

impl FileId {
    fn of(path: &Path) -> Option<FileId> {
        let meta = path.symlink_metadata().ok()?;
        let born = meta.created().ok()?.duration_since(UNIX_EPOCH).ok()?;
        Some(FileId {
            inode: meta.ino(),
            born: born.as_nanos(),
        })
    }

    fn parse(text: &str) -> Option<FileId> {
        let (inode, born) = text.split_once(' ')?;
        Some(FileId {
            inode: inode.parse().ok()?,
            born: born.parse().ok()?,
        })
    }
}

/// git's lock on the index, which keeps other gits and other copies of us away.
pub struct IndexLock {
    lock: gix::lock::File,
}

impl IndexLock {
    /// Takes the lock, which may be there already if the process that wrote `former` died with it.
    pub fn take(repo: &gix::Repository, former: Option<&Journal>) -> Result<IndexLock> {
        let index = repo.index_path();
        let acquire = || {
            let at_once = gix::lock::acquire::Fail::Immediately;
            gix::lock::File::acquire_to_update_resource(&index, at_once, None, 0)
        };
        let path = lock_of(&index);
        let lock = acquire().or_else(|error| {
            let is_ours = former
                .and_then(|journal| journal.lock.as_ref())
                .is_some_and(|lock| FileId::of(&path).as_ref() == Some(lock));
            if is_ours {
                fs::remove_file(&path).ok();
                acquire()
            } else {
                Err(error)
            }
        });
        match lock {
            Ok(lock) => Ok(IndexLock { lock }),
            Err(_) if path.symlink_metadata().is_ok() => Err(trouble::locked(&path)),
            Err(error) => {
                let what = format!("lock `{}`", index.display());
                Err(trouble::git(what, &gix::Error::from(error)))
            }
        }
    }

    /// Puts `index` in place of the present one.
    pub fn commit(self, index: &gix::index::File) -> gix::Result<()> {
        let mut out = BufWriter::with_capacity(64 * 1024, self.lock);
        index.write_to(&mut out, gix::index::write::Options::default())?;
        out.flush().map_err(gix::Error::from_error)?;
        let lock = out
            .into_inner()
            .map_err(|error| gix::Error::from_error(error.into_error()))?;
        lock.commit()
            .map_err(|error| gix::Error::from_error(error.error))?;
        Ok(())
    }
}

/// The lock file of `resource`, git's way.
pub fn lock_of(resource: &Path) -> PathBuf {
    let mut path = resource.as_os_str().to_owned();
    path.push(".lock");
    path.into()
}
