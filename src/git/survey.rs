//! What in the work tree and in the index is not as the commit at HEAD has it.

use std::collections::{BTreeSet, HashSet};
use std::sync::atomic::AtomicBool;

use gix::ObjectId;
use gix::bstr::{BStr, BString};
use gix::index::entry::{Flags, Mode, Stage, Stat};
use gix::index::fs::Metadata;
use gix::index::{Entry, State};
use gix::status::plumbing::index_as_worktree::traits::{FastEq, SubmoduleStatus};
use gix::status::plumbing::index_as_worktree::{Change, EntryStatus};
use gix::status::plumbing::index_as_worktree_with_renames as status;

use super::attributes::Written;
use super::{attributes, place, work_tree};

/// Where the checkout differs from the commit at HEAD.
#[derive(Default)]
pub struct Survey {
    /// Local changes: what people would lose.
    pub changed: BTreeSet<BString>,
    /// Tracked files that are not, or not only, what the index says: to be written anew.
    pub stale: HashSet<BString>,
    /// Entries of the index that now know their file again, and need not read it next time.
    pub refreshed: usize,
}

/// Compares the work tree with `index`, and `index` with the tree at HEAD.
///
/// What switches that were killed have left, on their way to `goals`, is not a local change: it is
/// taken into `index`, as if it had been there all the time.
pub fn survey(
    repo: &gix::Repository,
    index: &mut State,
    head: Option<ObjectId>,
    goals: &[State],
) -> gix::Result<Survey> {
    let mut found = compare(repo, index)?;
    for goal in goals {
        adopt(repo, index, &mut found.modified, goal)?;
    }
    let mut survey = Survey {
        stale: found
            .modified
            .iter()
            .chain(&found.removed)
            .chain(&found.vanished)
            .cloned()
            .collect(),
        changed: found.modified,
        refreshed: found.refreshed,
    };
    if goals.is_empty() {
        survey.changed.extend(found.removed);
    }
    if let Some(head) = head {
        staged(repo, index, head, goals, &mut survey.changed)?;
    } else {
        let explained = |entry: &Entry, goal: &State| {
            let there = goal.entry_by_path(entry.path(index));
            there.is_some_and(|there| is_same(entry, there))
        };
        let entries = index.entries().iter();
        let changed = entries.filter(|entry| !goals.iter().any(|goal| explained(entry, goal)));
        let changed = changed.map(|entry| entry.path(index).to_owned());
        survey.changed.extend(changed);
    }
    Ok(survey)
}

/// How the work tree differs from an index.
struct Differences {
    modified: BTreeSet<BString>,
    removed: BTreeSet<BString>,
    /// Submodules without a directory.
    vanished: BTreeSet<BString>,
    refreshed: usize,
}

/// Compares by stat information where that settles it, by content where it does not.
fn compare(repo: &gix::Repository, index: &mut State) -> gix::Result<Differences> {
    // `git update-index --assume-unchanged` is a promise that a deployment cannot rely on.
    let mut assumed = Vec::new();
    for (at, entry) in index.entries_mut().iter_mut().enumerate() {
        if entry.flags.contains(Flags::ASSUME_VALID) {
            entry.flags.remove(Flags::ASSUME_VALID);
            assumed.push(at);
        }
    }
    let unreadable = attributes::unreadable(repo, index)?;
    for &at in &unreadable {
        index.entries_mut()[at].flags.insert(Flags::ASSUME_VALID);
    }
    let mut found = Collector::default();
    repo.index_worktree_status(
        index,
        None::<&BStr>,
        &mut found,
        FastEq,
        Unopened,
        &mut gix::progress::Discard,
        &AtomicBool::new(false),
        gix::status::index_worktree::Options::default(),
    )?;
    let Collector {
        mut modified,
        mut removed,
        vanished,
        refreshed,
    } = found;
    for &at in &unreadable {
        index.entries_mut()[at].flags.remove(Flags::ASSUME_VALID);
    }
    if !unreadable.is_empty() {
        let mut written = Written::new(repo, index)?;
        for entry in unreadable.iter().map(|at| &index.entries()[*at]) {
            let path = entry.path(index);
            if !place::below(work_tree(repo), path).exists() {
                removed.insert(path.to_owned());
            } else if !written.is_at(work_tree(repo), path, entry)? {
                modified.insert(path.to_owned());
            }
        }
    }
    for (at, stat) in &refreshed {
        index.entries_mut()[*at].stat = *stat;
    }
    for at in assumed {
        index.entries_mut()[at].flags.insert(Flags::ASSUME_VALID);
    }
    Ok(Differences {
        modified,
        removed,
        vanished,
        refreshed: refreshed.len(),
    })
}

#[derive(Default)]
struct Collector {
    modified: BTreeSet<BString>,
    removed: BTreeSet<BString>,
    vanished: BTreeSet<BString>,
    refreshed: Vec<(usize, Stat)>,
}

impl<'index> status::VisitEntry<'index> for Collector {
    type ContentChange = ();
    type SubmoduleStatus = ();

    fn visit_entry(&mut self, entry: status::Entry<'index, (), ()>) {
        let status::Entry::Modification {
            entry,
            entry_index,
            rela_path,
            status,
            ..
        } = entry
        else {
            return;
        };
        match status {
            EntryStatus::NeedsUpdate(stat) => self.refreshed.push((entry_index, stat)),
            // The directory of a submodule is nobody's loss.
            EntryStatus::Change(Change::Removed) if entry.mode == Mode::COMMIT => {
                self.vanished.insert(rela_path.to_owned());
            }
            EntryStatus::Change(Change::Removed) => {
                self.removed.insert(rela_path.to_owned());
            }
            EntryStatus::Change(_) | EntryStatus::Conflict { .. } | EntryStatus::IntentToAdd => {
                self.modified.insert(rela_path.to_owned());
            }
        }
    }
}

/// Submodules are repositories of their own, and not looked into.
#[derive(Clone)]
struct Unopened;

impl SubmoduleStatus for Unopened {
    type Output = ();

    fn status(&mut self, _entry: &Entry, _path: &BStr) -> gix::Result<Option<()>> {
        Ok(None)
    }
}

/// Takes the files that a killed switch has put in place on its way to `goal` into `index`.
fn adopt(
    repo: &gix::Repository,
    index: &mut State,
    modified: &mut BTreeSet<BString>,
    goal: &State,
) -> gix::Result<()> {
    let mut candidates = goal.clone();
    candidates.remove_entries(|_, path, _| {
        let is_known = index.entry_by_path(path).is_some();
        is_known && !modified.contains(path)
    });
    if candidates.entries().is_empty() {
        return Ok(());
    }
    let differences = compare(repo, &mut candidates)?;
    let mut written = Written::new(repo, goal)?;
    let root = work_tree(repo);
    for entry in candidates.entries() {
        let path = entry.path(&candidates);
        let mut differing = [
            &differences.modified,
            &differences.removed,
            &differences.vanished,
        ]
        .into_iter();
        let mut stat = entry.stat;
        if differing.any(|paths| paths.contains(path)) {
            // It may be as its own attributes say, which are not those in the work tree yet.
            if !written.is_at(root, path, entry)? {
                continue;
            }
            let file = Metadata::from_path_no_follow(&place::below(root, path));
            let file = file.map_err(gix::Error::from_error)?;
            stat = Stat::from_fs(&file).map_err(gix::Error::from_error)?;
        }
        modified.remove(path);
        if let Some(at) = index.entry_index_by_path_and_stage(path, Stage::Unconflicted) {
            let known = &mut index.entries_mut()[at];
            (known.id, known.mode, known.stat) = (entry.id, entry.mode, stat);
        } else {
            index.dangerously_push_entry(stat, entry.id, entry.flags, entry.mode, path);
            index.sort_entries();
        }
    }
    Ok(())
}

/// Finds what `git add` and its kin have prepared for a commit.
fn staged(
    repo: &gix::Repository,
    index: &State,
    head: ObjectId,
    goals: &[State],
    changed: &mut BTreeSet<BString>,
) -> gix::Result<()> {
    let tree = repo.find_commit(head)?.tree_id()?.detach();
    let is_known_equal = index.tree().is_some_and(|cached| {
        cached.id == tree && cached.num_entries.map(|n| n as usize) == Some(index.entries().len())
    });
    if is_known_equal {
        return Ok(());
    }
    let head = repo.index_from_tree(&tree)?;
    join(index, &head, |path, ours, theirs| {
        let explains = |other: &State| match (ours, other.entry_by_path(path)) {
            (None, None) => true,
            (Some(at), Some(other)) => is_same(&index.entries()[at], other),
            _ => false,
        };
        let is_clean = match (ours, theirs) {
            (Some(ours), Some(theirs)) => is_same(&index.entries()[ours], &head.entries()[theirs]),
            _ => false,
        };
        if !is_clean && !goals.iter().any(explains) {
            changed.insert(path.to_owned());
        }
    });
    Ok(())
}

/// Whether both stand for the same file.
pub fn is_same(a: &Entry, b: &Entry) -> bool {
    a.stage() == b.stage() && a.id == b.id && a.mode == b.mode
}

/// Walks two indices in step: each path once, with the place of its (first) entry in both.
pub fn join<'a>(
    a: &'a State,
    b: &'a State,
    mut visit: impl FnMut(&'a BStr, Option<usize>, Option<usize>),
) {
    let (mut at_a, mut at_b) = (0, 0);
    let path = |state: &'a State, at: usize| Some(state.entries().get(at)?.path(state));
    // Paths in conflict have several entries, which count as one.
    let after = |state: &'a State, mut at: usize| {
        let this = path(state, at);
        while path(state, at) == this {
            at += 1;
        }
        at
    };
    loop {
        match (path(a, at_a), path(b, at_b)) {
            (None, None) => return,
            (Some(left), right) if right.is_none_or(|right| left < right) => {
                visit(left, Some(at_a), None);
                at_a = after(a, at_a);
            }
            (left, Some(right)) if left.is_none_or(|left| right < left) => {
                visit(right, None, Some(at_b));
                at_b = after(b, at_b);
            }
            (left, _) => {
                visit(left.unwrap_or_default(), Some(at_a), Some(at_b));
                at_a = after(a, at_a);
                at_b = after(b, at_b);
            }
        }
    }
}
