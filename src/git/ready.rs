//! What a deployment would find in a checkout or at a remote, without changing anything.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use super::journal::Scratch;
use super::remote::{absent, list};
use super::{Git, Id, Revision, branch, clone, trouble};
use crate::credentials::Credentials;
use crate::failure::{Code, Failure, Result};
use crate::stale::stale;

impl Git {
    /// Refuses what a checkout of `branch` would refuse before it touches anything; local changes only
    /// without `force`. What a killed deployment of sdp's has left, the next one puts in order.
    ///
    /// # Errors
    /// `git_unfinished`, `git_locked`, `checkout_dirty`.
    pub fn refuse_unready(&self, branch: Option<&str>, force: bool) -> Result<()> {
        self.refuse_unfinished()?;
        if Scratch::new(self.path()).journal().is_some() {
            return Ok(());
        }
        let repo = self.local();
        self.refuse_locked_index()?;
        let branch = branch.map(branch::full_name).transpose()?;
        branch::refuse_locked(&repo, branch.as_ref())?;
        let changed = if force {
            Vec::new()
        } else {
            self.local_changes()?
        };
        if changed.is_empty() {
            Ok(())
        } else {
            Err(trouble::dirty(&changed))
        }
    }

    /// Asks the remote which branches it has: it answers, takes the credentials, and is not empty.
    ///
    /// # Errors
    /// Those of any conversation with a remote, and `branch_not_found`.
    pub fn greet(&self) -> Result<()> {
        let repo = self.local();
        let remote = self.remote(&repo)?;
        let listed = list(&remote, &self.credentials, "refs/heads")?;
        if listed.is_empty() {
            return Err(absent(&remote, &self.credentials, None, &listed));
        }
        Ok(())
    }

    /// git's own directory.
    pub fn directory(&self) -> &Path {
        self.repo.git_dir()
    }
}

/// How the names of temporary repositories begin.
const STRANGER: &str = "sdp-doctor-";

/// A remote that is talked to without a checkout, through an empty repository that is gone with this.
#[derive(Debug)]
pub struct Stranger {
    git: Git,
    _directory: TempDir,
}

impl Stranger {
    /// # Errors
    /// `usage` for a URL that is none; `disk_full`, `permission_denied`.
    pub fn new(url: &str, credentials: &Credentials, patience: Duration) -> Result<Stranger> {
        let folder = std::env::temp_dir();
        for entry in stale(&folder, &[STRANGER]) {
            // What a killed doctor has left. What is somebody else's stays.
            fs::remove_dir_all(entry.path()).ok();
        }
        // Made here and for nobody else: whoever could write into it would configure git.
        let made = tempfile::Builder::new()
            .prefix(STRANGER)
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir_in(&folder);
        let directory = made.map_err(|error| {
            let what = format_args!("create a directory in `{}`", folder.display());
            Failure::io(Code::GitFailed, what, error)
        })?;
        let repo = clone::empty_repository(url, directory.path())?;
        Ok(Stranger {
            git: Git {
                repo: repo.into_sync(),
                credentials: Arc::new(credentials.clone()),
                patience,
            },
            _directory: directory,
        })
    }

    /// The repository, for a thread of its own.
    pub fn git(&self) -> Git {
        self.git.clone()
    }
}

/// Where `revision` is at the remote, if the remote can tell without a fetch.
///
/// # Errors
/// Those of any conversation with a remote, and that it has no such branch or tag.
pub fn ask(git: &Git, revision: Option<&Revision>) -> Result<Option<Id>> {
    match revision {
        Some(revision @ (Revision::Branch(_) | Revision::Tag(_))) => git.tip(revision),
        Some(Revision::Commit(id)) => git.greet().and_then(|()| git.local_commit(id)),
        None => git.greet().map(|()| None),
    }
}
