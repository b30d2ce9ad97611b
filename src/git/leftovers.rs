//! What sdp leaves if it is killed while it edits git's files, above all lock files.
//!
//! gix locks a reference as git does, for less than a millisecond; a lock file that outlives its process
//! keeps every git away for good. A record in `.sdp/` says which ones an edit takes. Callers hold sdp's own
//! lock on the checkout, so a record that is there belongs to a dead process.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use super::journal::{Scratch, lock_of};
use super::{Git, OWN_DIR, clone, held, work_tree};
use crate::failure::{Code, Failure, Result};

const RECORD: &str = "locks";

/// A living process has a reference's lock for much less than that.
const ABANDONED: Duration = Duration::from_secs(1);

/// Edits files of git's: `resources` are their paths in git's directory. One that is a directory stands for
/// all files in it.
///
/// # Errors
/// Those of `edit`; `disk_full`, `permission_denied`.
pub fn recorded<T>(
    repo: &gix::Repository,
    resources: &[&str],
    edit: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let own = work_tree(repo).join(OWN_DIR);
    let record = own.join(RECORD);
    fs::create_dir_all(&own)
        .and_then(|()| fs::write(&record, resources.join("\n")))
        .map_err(|error| {
            let what = format_args!("write `{}`", record.display()).to_string();
            Failure::io(Code::GitFailed, what, error)
        })?;
    let done = edit();
    fs::remove_file(record).ok();
    // Where a release never lived in there, nothing of ours needs to stay.
    fs::remove_dir(own).ok();
    done
}

impl Git {
    /// Removes the locks that a killed sdp has left, and what was not a switch yet, or a clone or switch no
    /// longer. What may be somebody else's stays.
    pub(super) fn remove_leftovers(&self) {
        let repo = self.local();
        clone::remove_stage(self.path());
        Scratch::new(self.path()).tidy(&repo);
        for lock in own_locks(&repo) {
            let age = |lock: &Path| Some(Identity::of(lock)?.age());
            if let Some(left) = age(&lock).and_then(|age| ABANDONED.checked_sub(age)) {
                let before = Identity::of(&lock);
                thread::sleep(left);
                if before != Identity::of(&lock) {
                    continue;
                }
            }
            fs::remove_file(lock).ok();
        }
        fs::remove_file(self.path().join(OWN_DIR).join(RECORD)).ok();
    }
}

/// The lock files that a killed sdp may have left, and that nobody is seen to hold.
pub fn own_locks(repo: &gix::Repository) -> Vec<PathBuf> {
    let record = work_tree(repo).join(OWN_DIR).join(RECORD);
    let (Some(begun), Ok(text)) = (Identity::of(&record), fs::read_to_string(&record)) else {
        return Vec::new();
    };
    let mut locks = locks(repo, text.lines());
    locks.retain(|lock| {
        let found = Identity::of(lock);
        found.is_some_and(|found| found.owner == begun.owner && found.modified >= begun.modified)
            && !held::is_held(lock, work_tree(repo))
    });
    locks
}

/// The lock files that `resources` may have, as [`recorded`] names them.
pub fn locks<'a>(
    repo: &gix::Repository,
    resources: impl IntoIterator<Item = &'a str>,
) -> Vec<PathBuf> {
    let mut locks = Vec::new();
    for resource in resources.into_iter().map(Path::new) {
        let is_inside = |part| matches!(part, Component::Normal(_));
        if !resource.components().all(is_inside) {
            continue;
        }
        let root = match resource.to_str() {
            Some("HEAD") => repo.git_dir(),
            _ => repo.common_dir(),
        };
        let path = root.join(resource);
        locks.push(lock_of(&path));
        collect(&path, &mut locks);
    }
    locks.retain(|lock| lock.symlink_metadata().is_ok());
    locks
}

/// The lock files in `folder`, if it is one.
fn collect(folder: &Path, locks: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect(&path, locks);
        } else if path.extension().is_some_and(|end| end == "lock") {
            locks.push(path);
        }
    }
}

/// What tells a file from others of its name.
#[derive(PartialEq, Eq)]
struct Identity {
    owner: u32,
    inode: u64,
    modified: SystemTime,
}

impl Identity {
    fn of(path: &Path) -> Option<Identity> {
        let meta = path.symlink_metadata().ok()?;
        Some(Identity {
            owner: meta.uid(),
            inode: meta.ino(),
            modified: meta.modified().ok()?,
        })
    }

    fn age(&self) -> Duration {
        self.modified.elapsed().unwrap_or_default()
    }
}
