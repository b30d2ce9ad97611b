//! From one commit to another in a work tree that is in use.
//!
//! Files are written next to the work tree first and moved into place when all of them are there:
//! a missing object or a full disk is found out before anything is touched, no file is ever seen
//! half-written, and the time in which the work tree is neither here nor there is short. Should sdp
//! be killed in just that time, the journal tells the next run what it finds.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use gix::ObjectId;
use gix::bstr::{BStr, BString, ByteSlice};
use gix::index::entry::{Flags, Mode};
use gix::index::{File as Index, State};
use gix::worktree::stack::state::{attributes::Source, ignore};

use super::journal::{Journal, Scratch};
use super::place::{Clearing, Ground};
use super::plan::{Plan, apply};
use super::survey::survey;
use super::{Meter, OWN_DIR, attributes, sparse, trouble, work_tree};
use crate::failure::{Code, Failure, Result};

/// What a switch did to the work tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    pub written: usize,
    pub deleted: usize,
}

impl std::fmt::Display for Changes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let count = |count, what| match count {
            1 => format!("1 file {what}"),
            many => format!("{many} files {what}"),
        };
        match *self {
            Changes {
                written,
                deleted: 0,
            } => f.write_str(&count(written, "written")),
            Changes {
                written: 0,
                deleted,
            } => f.write_str(&count(deleted, "deleted")),
            Changes { written, deleted } => {
                write!(f, "{}, {deleted} deleted", count(written, "written"))
            }
        }
    }
}

/// The proof that all tracked files are as the commit at HEAD has them.
pub struct CleanTree {
    index: Index,
    stamp: Option<Stamp>,
}

impl CleanTree {
    fn new(repo: &gix::Repository, index: Index) -> CleanTree {
        CleanTree {
            index,
            stamp: Stamp::of(&repo.index_path()),
        }
    }

    /// Whether nobody has written to the index since.
    fn holds(&self, repo: &gix::Repository) -> bool {
        self.stamp.is_some() && self.stamp == Stamp::of(&repo.index_path())
    }
}

impl std::fmt::Debug for CleanTree {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CleanTree").finish_non_exhaustive()
    }
}

/// Which version of a file it is.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl Stamp {
    fn of(path: &Path) -> Option<Stamp> {
        let meta = path.symlink_metadata().ok()?;
        Some(Stamp {
            inode: meta.ino(),
            size: meta.len(),
            modified: (meta.mtime(), meta.mtime_nsec()),
        })
    }
}

/// A switch to `target`.
pub struct Switch<'a> {
    pub repo: &'a gix::Repository,
    /// The commit at HEAD; `None` before the first one.
    pub head: Option<ObjectId>,
    pub target: ObjectId,
    /// Local changes may be dropped.
    pub force: bool,
    pub meter: &'a Meter,
}

impl Switch<'_> {
    /// Takes the work tree and the index to the target, and calls `update_refs` when they are there.
    /// With a `proof`, nothing is compared again.
    pub fn run(
        &self,
        proof: Option<CleanTree>,
        update_refs: impl FnOnce() -> Result<()>,
    ) -> Result<(CleanTree, Changes)> {
        let repo = self.repo;
        let work_tree = self.work_tree();
        let scratch = Scratch::new(work_tree);
        let former = scratch.journal();
        let mut proof = proof.filter(|proof| former.is_none() && proof.holds(repo));

        let has_nothing_to_do = former.is_none() && self.head == Some(self.target);
        if has_nothing_to_do && let Some(clean) = self.unchanged(proof.take())? {
            update_refs()?;
            return Ok((clean, Changes::default()));
        }

        let lock = scratch.begin(repo, former.as_ref(), self.head, self.target)?;
        let former = former.filter(|former| former.explains(self.head));
        let (mut new, plan, clearing) = match self.prepare(proof, former.as_ref(), &scratch.tree())
        {
            Ok(prepared) => prepared,
            Err(failure) => {
                // As long as there is a lock, the journal knows it.
                drop(lock);
                scratch.forget(former.as_ref());
                return Err(failure);
            }
        };
        let deleted =
            apply(work_tree, &scratch.tree(), &mut new, &plan, &clearing).map_err(|error| {
                let what =
                    format_args!("take `{}` to {}", work_tree.display(), self.target).to_string();
                let failure = Failure::io(Code::GitFailed, what, error);
                match failure.hint {
                    Some(_) => failure,
                    None => failure.hint("`sdp deploy` again: it finishes what was begun"),
                }
            })?;
        lock.commit(&new)
            .map_err(|error| trouble::git("write the git index", &error))?;
        update_refs()?;
        scratch.end();
        let changes = Changes {
            written: plan.write.len(),
            deleted,
        };
        Ok((CleanTree::new(repo, new), changes))
    }

    /// All that can fail without having touched anything; the files to come stand in `tree`.
    fn prepare(
        &self,
        proof: Option<CleanTree>,
        former: Option<&Journal>,
        tree: &Path,
    ) -> Result<(Index, Plan, Clearing)> {
        let (old, stale) = match proof {
            Some(proof) => (proof.index, HashSet::new()),
            None => self.present(former)?,
        };
        let mut new = self.target_index()?;
        let plan = Plan::new(&old, &new, &stale);
        let clearing = self.clear_ground(&old, &new, &plan)?;
        self.stage(&mut new, &old, &plan, tree)?;
        Ok((new, plan, clearing))
    }

    /// The usual case, nothing to do, found out without a lock and without a write.
    fn unchanged(&self, proof: Option<CleanTree>) -> Result<Option<CleanTree>> {
        let repo = self.repo;
        if proof.is_some() {
            return Ok(proof);
        }
        if !repo.index_path().exists() {
            return Ok(None);
        }
        let stamp = Stamp::of(&repo.index_path());
        let mut index = open_index(repo)?;
        let found = survey(repo, &mut index, self.head, &[])
            .map_err(|error| trouble::git("compare the work tree with the git index", &error))?;
        if !found.changed.is_empty() {
            if self.force {
                return Ok(None);
            }
            return Err(trouble::dirty(&Vec::from_iter(found.changed)));
        }
        let mut clean = CleanTree { index, stamp };
        if found.refreshed > 0 {
            self.refresh(&mut clean);
        }
        Ok(Some(clean))
    }

    /// Writes what the comparison has found out about unchanged files, so that it need not read
    /// them next time, as `git status` does. Not worth a failure.
    fn refresh(&self, clean: &mut CleanTree) {
        let repo = self.repo;
        let scratch = Scratch::new(self.work_tree());
        let is_plain = clean.index.link().is_none();
        if is_plain && let Ok(lock) = scratch.begin(repo, None, self.head, self.target) {
            if !clean.holds(repo) {
                drop(lock);
            } else if lock.commit(&clean.index).is_ok() {
                clean.stamp = Stamp::of(&repo.index_path());
            }
            scratch.end();
        }
    }

    /// The index as it is, and the files that are not as it says. Local changes are refused.
    fn present(&self, former: Option<&Journal>) -> Result<(Index, HashSet<BString>)> {
        let repo = self.repo;
        // Goals whose objects are gone explain nothing, and need no explanation.
        let goals: Vec<State> = former.map_or_else(Vec::new, |journal| {
            let index_at =
                |id: &ObjectId| index_at(repo, *id).ok().map(|index| index.into_parts().0);
            journal.goals.iter().filter_map(index_at).collect()
        });
        let mut index = if repo.index_path().exists() {
            open_index(repo)?
        } else if self.head.is_none() && !goals.is_empty() {
            empty_index(repo)
        } else {
            // A fresh clone: no file is tracked, none can have changed.
            return Ok((empty_index(repo), HashSet::new()));
        };
        let found = survey(repo, &mut index, self.head, &goals)
            .map_err(|error| trouble::git("compare the work tree with the git index", &error))?;
        if !found.changed.is_empty() && !self.force {
            return Err(trouble::dirty(&Vec::from_iter(found.changed)));
        }
        Ok((index, found.stale))
    }

    /// The index of the target, without stat information.
    fn target_index(&self) -> Result<Index> {
        let read = || -> gix::Result<Index> {
            let mut index = index_at(self.repo, self.target)?;
            sparse::leave_out(self.repo, &mut index)?;
            Ok(index)
        };
        let index =
            read().map_err(|error| trouble::git(format!("read commit {}", self.target), &error))?;
        let owned = index
            .entries()
            .iter()
            .map(|entry| entry.path(&index))
            .find(|path| {
                path.strip_prefix(OWN_DIR.as_bytes())
                    .is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
            });
        match owned {
            Some(path) => Err(Failure::new(
                Code::GitFailed,
                format!("the commit has `{path}`, but `{OWN_DIR}` in a checkout is sdp's own"),
            )
            .hint(format!("`git rm -r --cached {OWN_DIR}` and commit that"))),
            None => Ok(index),
        }
    }

    /// Refuses if untracked files are in the way.
    fn clear_ground(&self, old: &State, new: &State, plan: &Plan) -> Result<Clearing> {
        let compare = || -> gix::Result<Clearing> {
            let source = ignore::Source::WorktreeThenIdMappingIfNotSkipped;
            let mut excludes = self.repo.excludes(old, None, source)?;
            let mut is_ignored = |path: &BStr| {
                excludes
                    .at_entry(path, Some(Mode::FILE))
                    .map(|at| at.is_excluded())
                    .map_err(|error| io::Error::other(error.to_string()))
            };
            let mut ground = Ground {
                root: self.work_tree(),
                leaving: &plan.leaving,
                is_ignored: &mut is_ignored,
            };
            let write = plan.write.iter().map(|at| new.entries()[*at].path(new));
            let write = write.map(|path| (path, plan.replace.contains(path)));
            let mut clearing = ground.survey(write).map_err(gix::Error::from_error)?;
            let submodules = plan.submodules.iter().map(|path| path.as_bstr());
            ground
                .survey_directories(submodules, &mut clearing)
                .map_err(gix::Error::from_error)?;
            Ok(clearing)
        };
        let clearing = compare().map_err(|error| {
            trouble::git(
                format!("look into `{}`", self.work_tree().display()),
                &error,
            )
        })?;
        if clearing.in_the_way.is_empty() {
            Ok(clearing)
        } else {
            Err(trouble::in_the_way(&Vec::from_iter(clearing.in_the_way)))
        }
    }

    /// Writes the files of the plan below `tree`, and what is known of the others into `new`.
    fn stage(&self, new: &mut Index, old: &State, plan: &Plan, tree: &Path) -> Result<()> {
        let what = |path: &dyn std::fmt::Display| format!("write `{path}`");
        let io = |error| Failure::io(Code::GitFailed, what(&tree.display()), error);
        // gix checks out whatever is not left out.
        let mut left_out = Vec::new();
        for &(at_new, at_old) in &plan.keep {
            let (entry, known) = (&mut new.entries_mut()[at_new], &old.entries()[at_old]);
            entry.stat = known.stat;
            entry.flags |= known.flags & (Flags::ASSUME_VALID | Flags::SKIP_WORKTREE);
            if entry.flags.contains(Flags::SKIP_WORKTREE) {
                entry.flags.insert(Flags::EXTENDED);
            } else {
                entry.flags.insert(Flags::SKIP_WORKTREE);
                left_out.push(at_new);
            }
        }
        if !plan.write.is_empty() {
            fs::create_dir(tree).map_err(io)?;
            let device = |path: &Path| path.metadata().map(|meta| meta.dev());
            if device(tree).map_err(io)? != device(self.work_tree()).map_err(io)? {
                return Err(Failure::new(
                    Code::GitFailed,
                    format!("`{OWN_DIR}` is on another file system than its checkout"),
                )
                .hint(format!("`mv` {OWN_DIR} back into the checkout")));
            }
            let outcome = self
                .write_files(new, tree, plan.write.len())
                .map_err(|error| trouble::git(what(&tree.display()), &error))?;
            if let Some(record) = outcome.errors.first() {
                return Err(trouble::git(what(&record.path), &record.error));
            }
            if let Some(collision) = outcome.collisions.first() {
                return Err(Failure::new(
                    Code::GitFailed,
                    format!(
                        "the commit has `{}` twice on this file system",
                        collision.path
                    ),
                )
                .hint("`git mv` one of the two and commit that"));
            }
        }
        attributes::finish(self.repo, new, &plan.write, tree)
            .map_err(|error| trouble::git(what(&tree.display()), &error))?;
        for at in left_out {
            new.entries_mut()[at].flags.remove(Flags::SKIP_WORKTREE);
        }
        Ok(())
    }

    fn write_files(
        &self,
        new: &mut Index,
        tree: &Path,
        total: usize,
    ) -> gix::Result<gix::worktree::state::checkout::Outcome> {
        let repo = self.repo;
        let mut options = repo.checkout_options(Source::IdMapping)?;
        options.destination_is_initially_empty = true;
        options.keep_going = true;
        let objects = repo
            .objects
            .clone()
            .into_arc()
            .map_err(gix::Error::from_error)?;
        gix::worktree::state::checkout(
            new,
            tree,
            objects,
            &self.meter.files(total),
            &gix::progress::Discard,
            &AtomicBool::new(false),
            options,
        )
    }

    fn work_tree(&self) -> &Path {
        work_tree(self.repo)
    }
}

pub fn open_index(repo: &gix::Repository) -> Result<Index> {
    repo.open_index()
        .map_err(|error| trouble::git("read the git index", &error))
}

fn empty_index(repo: &gix::Repository) -> Index {
    Index::from_state(State::new(repo.object_hash()), repo.index_path())
}

fn index_at(repo: &gix::Repository, commit: ObjectId) -> gix::Result<Index> {
    let tree = repo.find_commit(commit)?.tree_id()?;
    repo.index_from_tree(&tree)
}
