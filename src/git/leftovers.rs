//! What sdp leaves if it is killed while it edits git's files, above all lock files.
//!
//! gix locks a reference as git does, for less than a millisecond; a lock file that outlives its process
//! keeps every git away for good. A record in `.sdp/` says which ones an edit takes. Whoever edits or removes
//! holds sdp's own lock on the checkout, so a record that it finds belongs to a dead process.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use super::journal::{SWITCH_DIR, Scratch, lock_of};
use super::{Git, OWN_DIR, clone, held, work_tree};
use crate::failure::{Code, Failure, Result};

const RECORD: &str = "git-locks";

/// A living process has a reference's lock, or a pack without its index, for much less than that.
const ABANDONED: Duration = Duration::from_secs(2);

/// Where packs are. Those of a transfer that was killed are no use to anybody.
pub const PACKS: &str = "objects/pack";

/// Edits files of git's: `resources` are their paths in git's directory. One that is a directory stands for
/// all files in it.
///
/// # Errors
/// Those of `edit`; `git_locked` instead, where somebody holds a lock; `disk_full`, `permission_denied`.
pub fn recorded<T>(
    repo: &gix::Repository,
    resources: &[&str],
    edit: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let record = Record::of(work_tree(repo));
    // Where it is a file, gix locks it for any edit of a reference.
    let resources = [resources, &["packed-refs"]].concat();
    let is_new = record.begin(&resources).map_err(|error| {
        let what = format_args!("write `{}`", record.file.display()).to_string();
        Failure::io(Code::GitFailed, what, error)
    })?;
    let done = edit();
    if is_new {
        record.end();
    }
    done.map_err(|failure| match locks(repo, resources).first() {
        Some(lock) if failure.problem().message.contains("The lock for resource") => {
            held::locked(lock, work_tree(repo))
        }
        _ => failure,
    })
}

/// Ends an edit that had to be left behind on its thread, but has been cleared up.
pub fn forget(repo: &gix::Repository) {
    Record::of(work_tree(repo)).end_if_clear(repo);
}

/// Removes what a killed sdp has left in the way of git, or of nobody: locks, packs that are not complete, and
/// what was not a switch yet, or a clone or switch no longer. What may be somebody else's stays.
pub fn remove_leftovers(work_tree: &Path) {
    let own = work_tree.join(OWN_DIR);
    let is_there = |name| own.join(name).symlink_metadata().is_ok();
    if ![SWITCH_DIR, clone::CLONE_DIR, RECORD]
        .into_iter()
        .any(is_there)
    {
        return;
    }
    let Ok(git) = Git::open(work_tree) else {
        return;
    };
    let repo = git.local();
    clone::remove_stage(work_tree);
    Scratch::new(work_tree).tidy(&repo);
    let record = Record::of(work_tree);
    for (path, found) in record.left(&repo) {
        if let Some(left) = ABANDONED.checked_sub(found.age()) {
            thread::sleep(left);
        }
        if Identity::of(&path).as_ref() != Some(&found) {
            continue;
        }
        if !held::is_held(&path, &repo) {
            fs::remove_file(&path).ok();
        }
    }
    record.end_if_clear(&repo);
}

/// The lock files that a killed sdp has left, as far as can be told without waiting.
pub fn own_locks(repo: &gix::Repository) -> Vec<PathBuf> {
    let left = Record::of(work_tree(repo)).left(repo).into_iter();
    let left = left.map(|(path, _)| path);
    left.filter(|path| !held::is_held(path, repo)).collect()
}

/// The edit that is under way: the names of what it edits, in a file whose time is that of its beginning, by
/// the coarse clock of all files.
struct Record {
    file: PathBuf,
}

impl Record {
    fn of(work_tree: &Path) -> Record {
        Record {
            file: work_tree.join(OWN_DIR).join(RECORD),
        }
    }

    /// Whether it is new. What an edit that was killed has left, and could not be removed, stays on record.
    fn begin(&self, resources: &[&str]) -> std::io::Result<bool> {
        if let Some(own) = self.file.parent() {
            fs::create_dir_all(own)?;
        }
        let known = Identity::of(&self.file);
        let mut text = match &known {
            Some(_) => fs::read_to_string(&self.file)?,
            None => String::new(),
        };
        for resource in resources {
            text.push_str(resource);
            text.push('\n');
        }
        let new = self.file.with_extension("tmp");
        let mut file = fs::File::create(&new)?;
        file.write_all(text.as_bytes())?;
        if let Some(known) = &known {
            file.set_modified(known.modified)?;
        }
        fs::rename(&new, &self.file)?;
        Ok(known.is_none())
    }

    fn end(&self) {
        fs::remove_file(&self.file).ok();
        // Where a release never lived in there, nothing of ours needs to stay.
        self.file.parent().map(fs::remove_dir);
    }

    fn end_if_clear(&self, repo: &gix::Repository) {
        if self.left(repo).is_empty() {
            self.end();
        }
    }

    /// The files that the edit may have made: none is older than it, and all have the owner of the record.
    fn left(&self, repo: &gix::Repository) -> Vec<(PathBuf, Identity)> {
        let Some(record) = Identity::of(&self.file) else {
            return Vec::new();
        };
        let text = fs::read_to_string(&self.file).unwrap_or_default();
        let mut lines = text.lines();
        let files = locks(repo, lines.clone()).into_iter();
        let packs = lines.any(|line| line == PACKS).then(|| loose_packs(repo));
        let files = files.chain(packs.into_iter().flatten());
        let known = files.filter_map(|path| Identity::of(&path).map(|found| (path, found)));
        known
            .filter(|(_, found)| found.owner == record.owner && found.modified >= record.modified)
            .collect()
    }
}

/// The lock files that there are of `resources`, as [`recorded`] names them.
fn locks<'a>(repo: &gix::Repository, resources: impl IntoIterator<Item = &'a str>) -> Vec<PathBuf> {
    let mut locks = Vec::new();
    for resource in resources {
        let path = match resource {
            "HEAD" => repo.git_dir().join(resource),
            "config" | "shallow" | "packed-refs" => repo.common_dir().join(resource),
            _ if is_reference(resource) => repo.common_dir().join(resource),
            _ => continue,
        };
        locks.push(lock_of(&path));
        collect(&path, &mut locks);
    }
    locks.retain(|lock| lock.symlink_metadata().is_ok());
    locks
}

fn is_reference(resource: &str) -> bool {
    resource.starts_with("refs/")
        && !resource
            .split('/')
            .any(|part| matches!(part, "" | "." | ".."))
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

/// Packs on their way, those without an index, and the marks with which a transfer keeps them until its
/// references are there: those of people and of git say why.
fn loose_packs(repo: &gix::Repository) -> Vec<PathBuf> {
    let entries = fs::read_dir(repo.objects.store_ref().path().join("pack"));
    let paths = entries.into_iter().flatten().flatten().map(|it| it.path());
    let is_loose = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        match path.extension().and_then(|end| end.to_str()) {
            Some("keep") => path.metadata().is_ok_and(|meta| meta.len() == 0),
            Some("pack") => !path.with_extension("idx").exists(),
            _ => name.starts_with(b".tmp"),
        }
    };
    paths.filter(is_loose).collect()
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
