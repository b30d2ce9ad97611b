//! Where a branch here stands against the remote's.

use gix::ObjectId;

use super::trouble;
use crate::failure::{Code, Failure, Result};
use crate::shell::quoted;

/// Where a branch stands against the remote's.
pub struct Standing {
    pub base: Option<ObjectId>,
    /// Commits that only the branch here has.
    pub ahead: usize,
    /// Commits that only the remote's has.
    pub behind: usize,
}

impl Standing {
    /// Compares `local`, where the branch is, with `remote`.
    pub fn of(
        repo: &gix::Repository,
        branch: &str,
        local: ObjectId,
        remote: ObjectId,
    ) -> Result<Standing> {
        let base = repo.merge_base(local, remote).map_err(|error| {
            trouble::git(format!("compare `{branch}` with `origin/{branch}`"), &error)
        })?;
        Ok(Standing {
            base: base.map(gix::Id::detach),
            ahead: count(repo, local, remote),
            behind: count(repo, remote, local),
        })
    }

    /// Refuses what only `--force` follows.
    pub fn refuse_apart(
        &self,
        repo: &gix::Repository,
        branch: &str,
        local: ObjectId,
        remote: ObjectId,
    ) -> Result<()> {
        let ahead = commits(self.ahead);
        let dropped = quoted(format!("origin/{branch}..{branch}"));
        if self.base == Some(remote) && once_upstream(repo, branch, local) {
            let message = format!("`origin/{branch}` has gone back by {ahead}");
            return Err(Failure::new(Code::BranchDiverged, message).hint(format!(
                "`git log {dropped}` shows what would be dropped; `--force` follows the remote"
            )));
        }
        let message = match self.base {
            Some(base) if base == local || base == remote => return Ok(()),
            Some(_) => format!(
                "`{branch}` and `origin/{branch}` have diverged: {ahead} here, {} there",
                commits(self.behind),
            ),
            None => format!("`{branch}` and `origin/{branch}` have no commit in common"),
        };
        Err(Failure::new(Code::BranchDiverged, message).hint(format!(
            "`--force` follows the remote; `git log {dropped}` shows what that drops"
        )))
    }
}

/// How many commits lead to `tip` but not to `other`; zero where that cannot be told.
fn count(repo: &gix::Repository, tip: ObjectId, other: ObjectId) -> usize {
    let walk = repo.rev_walk([tip]).with_hidden([other]).all();
    walk.map_or(0, |walk| walk.flatten().count())
}

fn commits(count: usize) -> String {
    match count {
        1 => "1 commit".to_owned(),
        many => format!("{many} commits"),
    }
}

/// Whether the remote's branch was at `id` before: a commit from there, not one made here.
fn once_upstream(repo: &gix::Repository, branch: &str, id: ObjectId) -> bool {
    let name = format!("refs/remotes/origin/{branch}");
    let Ok(Some(tracking)) = repo.try_find_reference(&name) else {
        return false;
    };
    let mut log = tracking.log_iter();
    let Ok(Some(lines)) = log.all() else {
        return false;
    };
    lines
        .flatten()
        .any(|line| line.new_oid() == id || line.previous_oid() == id)
}
