//! What somebody has begun in a checkout and not finished.

use gix::state::InProgress;

use super::Git;
use crate::failure::{Code, Failure, Result};

impl Git {
    /// Refuses a checkout in the middle of a merge and the like: to leave that is a decision of whoever
    /// began it.
    ///
    /// # Errors
    /// `git_unfinished`.
    pub fn refuse_unfinished(&self) -> Result<()> {
        let Some(state) = self.local().state() else {
            return Ok(());
        };
        let (what, way_out) = match state {
            InProgress::Merge => ("merge", "git merge --abort"),
            InProgress::Rebase | InProgress::RebaseInteractive => ("rebase", "git rebase --abort"),
            InProgress::ApplyMailbox | InProgress::ApplyMailboxRebase => ("am", "git am --abort"),
            InProgress::CherryPick | InProgress::CherryPickSequence => {
                ("cherry-pick", "git cherry-pick --abort")
            }
            InProgress::Revert | InProgress::RevertSequence => ("revert", "git revert --abort"),
            InProgress::Bisect => ("bisect", "git bisect reset"),
        };
        let path = self.path().display();
        Err(Failure::new(
            Code::GitUnfinished,
            format!("a `git {what}` is unfinished in `{path}`"),
        )
        .hint(format!(
            "`{way_out}` there takes it back; `--force` does not, as work may be in it"
        )))
    }
}
