//! Several work trees of one repository.

use gix::refs::FullName;

use super::{Git, trouble};
use crate::failure::{Code, Failure, Result};
use crate::shell::quoted;

impl Git {
    /// Refuses a branch, not checked out here, that another work tree of the repository has checked out: moving it would
    /// leave that one with the difference as local changes. Git refuses it too.
    ///
    /// # Errors
    /// `git_failed`.
    pub fn refuse_elsewhere(&self, branch: &FullName) -> Result<()> {
        let repo = self.local();
        if !repo.common_dir().join("worktrees").is_dir() {
            return Ok(());
        }
        let others = repo
            .worktrees_including_main()
            .map_err(|error| trouble::git("list the repository's work trees", &error))?;
        // One that cannot be opened has nobody who works in it.
        for other in others.flatten() {
            let Some(path) = other.workdir() else {
                continue;
            };
            let has_it = other
                .head_name()
                .is_ok_and(|name| name.as_ref() == Some(branch));
            if has_it && path.is_dir() {
                let branch = branch.shorten();
                return Err(Failure::new(
                    Code::GitFailed,
                    format!(
                        "`{branch}` is checked out in `{}`, a work tree of the same repository",
                        path.display()
                    ),
                )
                .hint(format!(
                    "`git -C {} checkout --detach` frees it",
                    quoted(path)
                )));
            }
        }
        Ok(())
    }
}
