//! What a switch leaves behind if it is killed, and how the next one recognises it.
//!
//! A switch works in `.sdp/switch/`: `journal` says from which commit to which, and which
//! `index.lock` is ours; `tree/` holds the files that are not in place yet. Both are gone once the
//! switch is complete. Callers hold sdp's own lock on the checkout, so a journal that is there
//! belongs to a dead process.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use gix::ObjectId;

use super::{OWN_DIR, held, place, work_tree};
use crate::failure::{Code, Failure, Result};

/// Where a switch works, below sdp's own directory.
pub const SWITCH_DIR: &str = "switch";

/// The directory that a switch works in.
pub struct Scratch {
    own: PathBuf,
    dir: PathBuf,
}

impl Scratch {
    pub fn new(work_tree: &Path) -> Scratch {
        let own = work_tree.join(OWN_DIR);
        Scratch {
            dir: own.join(SWITCH_DIR),
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

    /// Begins a switch from `head` to `goal`: takes git's lock on the index, which may be there
    /// already if the process that wrote `former` died with it.
    ///
    /// The journal knows the lock before it is one, so that there is no moment in which a killed
    /// process leaves a lock that nobody recognises.
    pub fn begin(
        &self,
        repo: &gix::Repository,
        former: Option<&Journal>,
        head: Option<ObjectId>,
        goal: ObjectId,
    ) -> Result<IndexLock> {
        let index = repo.index_path();
        let path = lock_of(&index);
        if let Some(present) = FileId::of(&path)
            && former.is_some_and(|former| former.lock.as_ref() == Some(&present))
        {
            fs::remove_file(&path).ok();
        }
        if path.symlink_metadata().is_ok() {
            return Err(held::locked(&path, work_tree(repo)));
        }
        let former = former.filter(|former| former.explains(head));
        let lock = self.lock(&index, &path, |lock| Journal {
            from: former.map_or(head, |former| former.from),
            goals: goals(former, goal),
            lock,
        });
        match lock {
            Ok(Some(lock)) => Ok(lock),
            Ok(None) => {
                self.forget(former);
                Err(held::locked(&path, work_tree(repo)))
            }
            Err(error) => {
                let what = format!("lock the git index `{}`", index.display());
                Err(Failure::io(Code::GitFailed, what, error))
            }
        }
    }

    /// The lock, unless somebody was faster.
    fn lock(
        &self,
        index: &Path,
        path: &Path,
        journal: impl FnOnce(Option<FileId>) -> Journal,
    ) -> io::Result<Option<IndexLock>> {
        remove_dir(&self.tree())?;
        fs::create_dir_all(&self.dir)?;
        let new = new_lock(index);
        let file = fs::File::create(&new)?;
        self.write(&journal(FileId::of(&new)))?;
        let is_ours = place::move_if_free(&new, path)?;
        if !is_ours {
            fs::remove_file(&new)?;
            return Ok(None);
        }
        Ok(Some(IndexLock {
            file,
            path: Some(path.to_owned()),
            index: index.to_owned(),
        }))
    }

    /// Takes a switch back that has not touched anything. What `former` has left is still there,
    /// and to be explained.
    pub fn forget(&self, former: Option<&Journal>) {
        match former {
            Some(former) => drop(self.write(former)),
            None => self.end(),
        }
    }

    /// Clears what a process has left that was killed before its journal was written, or as it was removed.
    pub fn tidy(&self, repo: &gix::Repository) {
        let is_gone = match fs::read_to_string(self.dir.join("journal")) {
            Ok(text) => Journal::parse(&text).is_none(),
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        if is_gone {
            fs::remove_file(new_lock(&repo.index_path())).ok();
            self.end();
        }
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

    fn write(&self, journal: &Journal) -> io::Result<()> {
        let new = self.dir.join("journal.new");
        fs::write(&new, journal.to_string())?;
        fs::rename(new, self.dir.join("journal"))
    }
}

fn remove_dir(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
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
        let from = self.from.map(|id| id.to_string());
        writeln!(f, "from {}", from.as_deref().unwrap_or("nothing"))?;
        for goal in &self.goals {
            writeln!(f, "to {goal}")?;
        }
        match &self.lock {
            Some(FileId { inode, born }) => writeln!(f, "lock {inode} {born}"),
            None => Ok(()),
        }
    }
}

fn goals(former: Option<&Journal>, goal: ObjectId) -> Vec<ObjectId> {
    let mut goals = former.map_or_else(Vec::new, |former| former.goals.clone());
    if !goals.contains(&goal) {
        goals.push(goal);
    }
    goals
}

/// Tells a file from any other that ever had its name: inode numbers are used again, but not at
/// the same nanosecond.
#[derive(Debug, PartialEq, Eq)]
struct FileId {
    inode: u64,
    born: u128,
}

impl FileId {
    /// `None` where there is no file, or a file system that does not know.
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

/// git's lock on the index, which keeps other gits away. Given back when dropped.
pub struct IndexLock {
    file: fs::File,
    /// `None` once it has become the index.
    path: Option<PathBuf>,
    index: PathBuf,
}

impl IndexLock {
    /// Puts `index` in place of the present one.
    pub fn commit(mut self, index: &gix::index::File) -> gix::Result<()> {
        let mut out = BufWriter::with_capacity(64 * 1024, &self.file);
        index.write_to(&mut out, gix::index::write::Options::default())?;
        out.flush().map_err(gix::Error::from_error)?;
        drop(out);
        if let Some(path) = self.path.take() {
            fs::rename(path, &self.index).map_err(gix::Error::from_error)?;
        }
        Ok(())
    }
}

impl Drop for IndexLock {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            fs::remove_file(path).ok();
        }
    }
}

/// The lock file of `resource`, git's way.
pub fn lock_of(resource: &Path) -> PathBuf {
    with_suffix(resource, ".lock")
}

/// Where the lock of the index is made before it becomes one.
fn new_lock(index: &Path) -> PathBuf {
    with_suffix(index, ".sdp")
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}
