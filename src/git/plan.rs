//! Which files a switch writes and deletes, and in which order.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::Path;

use gix::bstr::{BString, ByteSlice};
use gix::index::State;
use gix::index::entry::{Flags, Mode, Stat};

use super::place::{self, Clearing};
use super::survey::{is_same, join};

/// What to do with which path.
#[derive(Default)]
pub struct Plan {
    /// Entries (of the new index) to write.
    pub write: Vec<usize>,
    /// Those among them that replace a tracked file.
    pub replace: HashSet<BString>,
    /// Entries of the new index that are what an entry of the old one is.
    pub keep: Vec<(usize, usize)>,
    /// Tracked files to delete.
    pub leaving: HashSet<BString>,
    /// Submodules that come, and whose directory stays empty.
    pub submodules: Vec<BString>,
    /// Submodules that go, with their directory if that is empty.
    pub former_submodules: Vec<BString>,
}

impl Plan {
    pub fn new(old: &State, new: &State, stale: &HashSet<BString>) -> Plan {
        let mut plan = Plan::default();
        let is_absent = |entry: &gix::index::Entry| entry.flags.contains(Flags::SKIP_WORKTREE);
        join(old, new, |path, at_old, at_new| {
            let former = at_old.map(|at| &old.entries()[at]);
            let next = at_new.map(|at| &new.entries()[at]);
            if let (Some(a), Some(b), Some(at_old), Some(at_new)) = (former, next, at_old, at_new)
                && is_same(a, b)
                && (is_absent(a) || !is_absent(b))
                && !stale.contains(path)
            {
                plan.keep.push((at_new, at_old));
                return;
            }
            // What a sparse checkout leaves out is not there, and if it is, it is not git's.
            let was_file =
                former.is_some_and(|entry| entry.mode != Mode::COMMIT && !is_absent(entry));
            if former.is_some_and(|entry| entry.mode == Mode::COMMIT) {
                plan.former_submodules.push(path.to_owned());
            }
            match (next, at_new) {
                (Some(next), Some(at)) if !is_absent(next) && next.mode != Mode::COMMIT => {
                    plan.write.push(at);
                    if was_file {
                        plan.replace.insert(path.to_owned());
                    }
                }
                _ => {
                    if next.is_some_and(|next| next.mode == Mode::COMMIT) {
                        plan.submodules.push(path.to_owned());
                    }
                    if was_file {
                        plan.leaving.insert(path.to_owned());
                    }
                }
            }
        });
        plan
    }
}

/// Changes the work tree; says how many files were deleted.
pub fn apply(
    work_tree: &Path,
    staged: &Path,
    new: &mut State,
    plan: &Plan,
    clearing: &Clearing,
) -> io::Result<usize> {
    let mut deleted = 0;
    for path in &plan.leaving {
        deleted += usize::from(place::remove_file(work_tree, path.as_bstr())?);
    }
    for path in &clearing.ignored {
        place::remove_file(work_tree, path.as_bstr())?;
    }
    for path in &plan.former_submodules {
        fs::remove_dir(place::below(work_tree, path.as_bstr())).ok();
    }
    let gone = plan.leaving.iter().chain(&plan.former_submodules);
    place::remove_empty_parents(work_tree, gone.map(|path| path.as_bstr()));
    for path in &clearing.directories {
        let directory = place::below(work_tree, path.as_bstr());
        if directory.symlink_metadata().is_ok() {
            place::remove_empty_tree(&directory)?;
        }
    }
    if !plan.write.is_empty() {
        place::merge(staged, work_tree, &plan.replace)?;
    }
    for path in &plan.submodules {
        fs::create_dir_all(place::below(work_tree, path.as_bstr()))?;
    }
    // The move has changed the files' ctime, which the index is to know.
    for &at in &plan.write {
        let path = place::below(work_tree, new.entries()[at].path(new));
        let meta = gix::index::fs::Metadata::from_path_no_follow(&path)?;
        new.entries_mut()[at].stat = Stat::from_fs(&meta).map_err(io::Error::other)?;
    }
    Ok(deleted)
}
