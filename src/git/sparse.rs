//! Sparse checkouts: those that leave files out.

use super::journal::lock_of;
use super::program::Program;
use super::{Git, held, trouble};
use crate::failure::Result;

impl Git {
    /// Makes a sparse index a full one, in which no entry stands for a whole directory: gix cannot
    /// work with those. The configuration stays; git makes the index sparse again when it writes it.
    ///
    /// # Errors
    /// `git_locked`, `git_failed`, or the interruption.
    pub async fn expand_index(&self, program: Program<'_>) -> Result<()> {
        if !self.has_sparse_index()? {
            return Ok(());
        }
        let lock = lock_of(&self.local().index_path());
        if lock.exists() {
            return Err(held::locked(&lock, self.path()));
        }
        let settings = ["index.sparse=false", "advice.sparseIndexExpanded=false"];
        program
            .run(&settings, &["update-index", "--force-write-index"])
            .await
    }

    fn has_sparse_index(&self) -> Result<bool> {
        let repo = self.local();
        let config = repo.config_snapshot();
        if config.boolean("core.sparseCheckout") != Some(true) || !repo.index_path().exists() {
            return Ok(false);
        }
        repo.open_index()
            .map(|index| index.is_sparse())
            .map_err(|error| trouble::git("read the git index", &error))
    }
}

/// Marks the entries that a sparse checkout leaves out.
pub fn leave_out(repo: &gix::Repository, index: &mut gix::index::File) -> gix::Result<()> {
    let config = repo.config_snapshot();
    if !config.boolean("core.sparseCheckout").unwrap_or(false) {
        return Ok(());
    }
    let patterns = gix::worktree::sparse::read_patterns(repo.git_dir());
    let patterns = patterns.map_err(gix::Error::from_error)?;
    if let Some(patterns) = patterns {
        gix::worktree::sparse::apply_patterns(
            index,
            &patterns,
            &repo.git_dir().join("info/sparse-checkout"),
            config.boolean("core.sparseCheckoutCone").unwrap_or(true),
            gix::glob::pattern::Case::Sensitive,
        )?;
    }
    Ok(())
}
