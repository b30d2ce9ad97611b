//! Branches: which one is checked out, and where it stands against the remote's.

use std::fs;
use std::io::Write;

use gix::ObjectId;
use gix::bstr::BStr;
use gix::refs::transaction::{PreviousValue, RefEdit};
use gix::refs::{FullName, Target};

use super::journal::lock_of;
use super::standing::Standing;
use super::switch::{Changes, CleanTree, Switch};
use super::{Git, Id, Meter, Revision, held, leftovers, trouble, work_tree};
use crate::failure::{Code, Failure, Result};

/// A branch that has been checked out.
#[derive(Debug)]
pub struct Checkout {
    /// What was checked out before, if it was something else: a branch's name, or a commit.
    pub left: Option<String>,
    /// The branch was not there before.
    pub created: bool,
    pub changes: Changes,
    /// Commits made here that no branch or tag holds: the last one, and how many there are.
    pub abandoned: Option<(Id, usize)>,
    /// For [`Git::pull`].
    pub clean: CleanTree,
}

/// How a branch got to where it is to be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pull {
    /// It was there.
    UpToDate,
    /// It has commits that the remote does not have, which is fine.
    Ahead { commits: usize },
    /// It followed the remote.
    FastForward {
        from: Id,
        to: Id,
        commits: usize,
        changes: Changes,
    },
    /// It was forced to where the remote is; `dropped` commits are on it no more.
    Reset {
        from: Id,
        to: Id,
        dropped: usize,
        changes: Changes,
    },
}

impl Git {
    /// Checks out `revision`, which is at `upstream` at the remote. A branch that is not there yet is
    /// made there; a tag or a commit leaves HEAD on no branch.
    ///
    /// Local changes to tracked files are refused, or dropped with `force`, even where nothing has
    /// to be written: what is deployed is the commit. Untracked files are never touched. Unfinished
    /// work, such as a merge, is refused with `force` too. Submodules are not looked into.
    pub fn checkout(
        &self,
        revision: &Revision,
        upstream: Id,
        force: bool,
        meter: &Meter,
    ) -> Result<Checkout> {
        self.refuse_unfinished()?;
        match revision {
            Revision::Branch(branch) => self.checkout_branch(branch, upstream, force, meter),
            Revision::Tag(_) | Revision::Commit(_) => {
                self.checkout_commit(revision, upstream, force, meter)
            }
        }
    }

    /// Checks out the commit `target` itself.
    fn checkout_commit(
        &self,
        revision: &Revision,
        Id(target): Id,
        force: bool,
        meter: &Meter,
    ) -> Result<Checkout> {
        let repo = self.local();
        let (current, head) = read_head(&repo)?;
        refuse_locked(&repo, None)?;
        let is_there = current.is_none() && head == Some(target);
        let abandoned = abandoned(&repo, current.as_ref(), head, target);
        let left = left(current.as_ref(), head).filter(|_| !is_there);
        let switch = Switch {
            repo: &repo,
            head,
            target,
            force,
            meter,
        };
        let (clean, changes) = switch.run(None, || {
            if is_there {
                return Ok(());
            }
            let to = revision
                .name()
                .map_or_else(|| target.to_string(), str::to_owned);
            let from = left.as_deref().unwrap_or("nothing");
            let edit = RefEdit::update(
                head_name(),
                Target::Object(target),
                PreviousValue::Any,
                format!("checkout: moving from {from} to {to}"),
            );
            leftovers::recorded(&repo, &["HEAD"], || {
                repo.edit_reference(edit)
                    .map_err(|error| trouble::git(format!("check out the {revision}"), &error))?;
                Ok(())
            })
        })?;
        Ok(Checkout {
            left,
            created: false,
            changes,
            abandoned,
            clean,
        })
    }

    fn checkout_branch(
        &self,
        branch: &str,
        upstream: Id,
        force: bool,
        meter: &Meter,
    ) -> Result<Checkout> {
        let repo = self.local();
        let name = full_name(branch)?;
        let (current, head) = read_head(&repo)?;
        let local = branch_id(&repo, &name)?;
        let target = local.unwrap_or(upstream.0);
        refuse_locked(&repo, Some(&name))?;

        let is_current = current.as_ref() == Some(&name);
        let abandoned = abandoned(&repo, current.as_ref(), head, target);
        if !is_current {
            self.refuse_elsewhere(&name)?;
        }
        let left = left(current.as_ref(), head).filter(|_| !is_current);
        let switch = Switch {
            repo: &repo,
            head,
            target,
            force,
            meter,
        };
        let (clean, changes) = switch.run(None, || {
            let created = format!("branch: Created from refs/remotes/origin/{branch}");
            let mut edits = Vec::new();
            if local.is_none() {
                // Through HEAD where that names the branch already, for its reflog.
                let through = if is_current {
                    head_name()
                } else {
                    name.clone()
                };
                let create = RefEdit::update(through, target, PreviousValue::MustNotExist, created);
                edits.push(create.with_deref(true));
            }
            let moving = left
                .as_deref()
                .map(|left| format!("checkout: moving from {left} to {branch}"));
            if !is_current {
                let to = Target::Symbolic(name.clone());
                let log = moving.clone().unwrap_or_default();
                edits.push(RefEdit::update(head_name(), to, PreviousValue::Any, log));
            }
            if edits.is_empty() {
                return Ok(());
            }
            let branch_file = name.as_bstr().to_string();
            leftovers::recorded(&repo, &["HEAD", &branch_file, "config"], || {
                // First: a branch that is there is not looked at again.
                if local.is_none() {
                    track(&repo, branch)?;
                }
                repo.edit_references(edits)
                    .map_err(|error| trouble::git(format!("check out `{branch}`"), &error))?;
                if let (Some(moving), Some(head)) = (moving, head) {
                    log_head(&repo, head, target, &moving);
                }
                Ok(())
            })
        })?;
        Ok(Checkout {
            left,
            created: local.is_none(),
            changes,
            abandoned,
            clean,
        })
    }

    /// Refuses what a pull of `branch` to `upstream` would refuse, if that can be told without a fetch.
    ///
    /// # Errors
    /// `branch_diverged`.
    pub fn refuse_diverged(&self, branch: &str, Id(remote): Id) -> Result<()> {
        let repo = self.local();
        match branch_id(&repo, &full_name(branch)?)? {
            Some(local) if local != remote && repo.has_object(remote) => {
                let standing = Standing::of(&repo, branch, local, remote)?;
                standing.refuse_apart(&repo, branch, local, remote)
            }
            _ => Ok(()),
        }
    }

    /// Takes `branch`, which is checked out, to `upstream`, if that is a step forward. With `force`
    /// it follows the remote wherever that went.
    pub fn pull(
        &self,
        branch: &str,
        upstream: Id,
        force: bool,
        clean: CleanTree,
        meter: &Meter,
    ) -> Result<Pull> {
        let repo = self.local();
        let name = full_name(branch)?;
        let (_, head) = read_head(&repo)?;
        let Some(local) = head else {
            return Err(Failure::new(
                Code::GitFailed,
                format!("`{branch}` has no commit"),
            ));
        };
        let Id(remote) = upstream;
        if local == remote {
            return Ok(Pull::UpToDate);
        }
        let standing = Standing::of(&repo, branch, local, remote)?;
        let Standing {
            base,
            ahead,
            behind,
        } = standing;
        if !force {
            standing.refuse_apart(&repo, branch, local, remote)?;
            if base == Some(remote) {
                return Ok(Pull::Ahead { commits: ahead });
            }
        }
        let is_forward = base == Some(local);
        refuse_locked(&repo, Some(&name))?;
        let switch = Switch {
            repo: &repo,
            head,
            target: remote,
            force,
            meter,
        };
        let (_, changes) = switch.run(Some(clean), || {
            let log = if is_forward {
                "pull: Fast-forward".to_owned()
            } else {
                format!("reset: moving to {remote}")
            };
            let expected = PreviousValue::MustExistAndMatch(Target::Object(local));
            let edit = RefEdit::update(head_name(), remote, expected, log).with_deref(true);
            leftovers::recorded(&repo, &["HEAD", &name.as_bstr().to_string()], || {
                repo.edit_reference(edit)
                    .map_err(|error| trouble::git(format!("move `{branch}`"), &error))?;
                Ok(())
            })
        })?;
        let (from, to) = (Id(local), upstream);
        Ok(if is_forward {
            Pull::FastForward {
                from,
                to,
                commits: behind,
                changes,
            }
        } else {
            Pull::Reset {
                from,
                to,
                dropped: ahead,
                changes,
            }
        })
    }
}

/// `refs/heads/BRANCH`.
pub fn full_name(branch: &str) -> Result<FullName> {
    let revision = Revision::Branch(branch.to_owned());
    let name = revision.reference()?;
    name.ok_or_else(|| Failure::new(Code::Internal, "a branch without a name"))
}

pub fn head_name() -> FullName {
    FullName::try_from("HEAD").expect("a valid name")
}

/// The branch that HEAD names, and the commit that it leads to.
fn read_head(repo: &gix::Repository) -> Result<(Option<FullName>, Option<ObjectId>)> {
    let head = repo
        .head()
        .map_err(|error| trouble::git("read HEAD", &error))?;
    let name = head.referent_name().map(ToOwned::to_owned);
    Ok((name, head.id().map(gix::Id::detach)))
}

/// What is checked out, as git's log names it; `None` before the first commit.
fn left(current: Option<&FullName>, head: Option<ObjectId>) -> Option<String> {
    let head = head?;
    Some(current.map_or_else(|| head.to_string(), |name| name.shorten().to_string()))
}

fn branch_id(repo: &gix::Repository, name: &FullName) -> Result<Option<ObjectId>> {
    let read = || -> gix::Result<Option<ObjectId>> {
        let found = repo.try_find_reference(name)?;
        found
            .map(|mut found| Ok(found.peel_to_id()?.detach()))
            .transpose()
    };
    read().map_err(|error| trouble::git(format!("read `{}`", name.shorten()), &error))
}

/// Looks for locks before anything is touched; they are taken when everything is in place.
pub(super) fn refuse_locked(repo: &gix::Repository, branch: Option<&FullName>) -> Result<()> {
    let branch = branch.and_then(|branch| branch.to_path().ok());
    let files = std::iter::once(repo.git_dir().join("HEAD"))
        .chain(branch.map(|branch| repo.common_dir().join(branch)));
    let mut present = files
        .map(|file| lock_of(&file))
        .filter(|lock| lock.exists());
    match present.find(|lock| !leftovers::own_locks(repo).contains(lock)) {
        Some(lock) => Err(held::locked(&lock, work_tree(repo))),
        None => Ok(()),
    }
}

/// The commits of a detached HEAD that was made here, and not got from the remote, which neither a
/// branch nor a tag nor `target` holds: only the reflog knows them when HEAD has left.
fn abandoned(
    repo: &gix::Repository,
    current: Option<&FullName>,
    head: Option<ObjectId>,
    target: ObjectId,
) -> Option<(Id, usize)> {
    let head = head.filter(|head| current.is_none() && *head != target)?;
    let log = repo.find_reference("HEAD").ok()?;
    let mut log = log.log_iter();
    let made = |message: &BStr| {
        !["checkout:", "clone:"]
            .iter()
            .any(|got| message.starts_with(got.as_bytes()))
    };
    let mut lines = log.all().ok()??.flatten();
    if !lines.any(|line| line.new_oid() == head && made(line.message)) {
        return None;
    }
    let references = repo.references().ok()?;
    let tips = references.all().ok()?.peeled().ok()?.flatten();
    let holding = tips.map(|reference| reference.id().detach());
    let walk = repo
        .rev_walk([head])
        .with_hidden(holding.chain([target]))
        .all();
    let count = walk.map_or(0, |walk| walk.flatten().count());
    (count > 0).then_some((Id(head), count))
}

/// Tells git where the branch comes from, so that `git pull` and `git status` know.
fn track(repo: &gix::Repository, branch: &str) -> Result<()> {
    if repo
        .config_snapshot()
        .string(&format!("branch.{branch}.remote"))
        .is_some()
    {
        return Ok(());
    }
    let path = repo.common_dir().join("config");
    let section = format!(
        "[branch \"{}\"]\n\tremote = origin\n\tmerge = refs/heads/{branch}\n",
        branch.replace('"', "\\\""),
    );
    let lock = lock_of(&path);
    let write = || -> std::io::Result<()> {
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&lock)?;
        let mut config = fs::read(&path)?;
        if config.last().is_some_and(|last| *last != b'\n') {
            config.push(b'\n');
        }
        config.extend_from_slice(section.as_bytes());
        file.write_all(&config)?;
        fs::set_permissions(&lock, path.metadata()?.permissions())?;
        fs::rename(&lock, &path)
    };
    write().map_err(|error| {
        if error.kind() == std::io::ErrorKind::AlreadyExists {
            return held::locked(&lock, work_tree(repo));
        }
        fs::remove_file(&lock).ok();
        Failure::io(
            Code::GitFailed,
            format!("write `{}`", path.display()),
            error,
        )
    })
}

/// Adds to HEAD's reflog what gix leaves out when HEAD comes to name another branch. Best effort,
/// as a log is.
fn log_head(repo: &gix::Repository, from: ObjectId, to: ObjectId, message: &str) {
    let config = repo.config_snapshot();
    if config.boolean("core.logAllRefUpdates") == Some(false) {
        return;
    }
    let Some(Ok(who)) = repo.committer() else {
        return;
    };
    let line = format!(
        "{from} {to} {} <{}> {}\t{message}\n",
        who.name, who.email, who.time
    );
    let path = repo.git_dir().join("logs").join("HEAD");
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).ok();
    }
    if let Ok(mut log) = fs::OpenOptions::new().append(true).create(true).open(path) {
        log.write_all(line.as_bytes()).ok();
    }
}
