//! A clone, without its files: a checkout writes them.

use std::fs;
use std::io::{ErrorKind, Write};
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use gix::bstr::{BStr, ByteSlice};
use gix::protocol::handshake::Ref;
use gix::refs::Target;
use gix::refs::transaction::{PreviousValue, RefEdit};

use super::remote::Transfer;
use super::{Git, Meter, OWN_DIR, Revision, branch, trouble, url};
use crate::credentials::Credentials;
use crate::failure::{Code, Failure, Result};

/// Where a clone happens, below sdp's own directory.
pub(super) const CLONE_DIR: &str = "clone-tmp";

/// What to clone, and to where.
#[derive(Clone, Debug)]
pub struct CloneRequest<'a> {
    pub url: &'a str,
    /// May be there already, but hold nothing but `.sdp/`.
    pub path: &'a Path,
    /// `None`: the remote's main branch.
    pub revision: Option<&'a Revision>,
    /// No more commits than that.
    pub depth: Option<NonZeroU32>,
    pub credentials: &'a Credentials,
    /// How long a transfer may make no progress.
    pub patience: Duration,
}

impl CloneRequest<'_> {
    /// Clones. The work tree stays empty: a checkout fills it. HEAD names the branch, else the
    /// remote's own choice.
    ///
    /// Everything happens below `.sdp/` until it is complete, so that a clone that was killed
    /// leaves nothing that looks like a checkout.
    pub fn run(&self, meter: &Meter, stop: &AtomicBool) -> Result<Git> {
        let path = self.path;
        let stage = path.join(OWN_DIR).join(CLONE_DIR);
        if stage.symlink_metadata().is_ok() {
            fs::remove_dir_all(&stage).map_err(|error| io("remove", &stage, error))?;
        }
        refuse_occupied(path)?;
        fs::create_dir_all(&stage).map_err(|error| io("create", &stage, error))?;

        let cloned = self.clone_into(&stage, meter, stop).and_then(|()| {
            let target = path.join(".git");
            fs::rename(stage.join(".git"), &target).map_err(|error| io("create", &target, error))
        });
        fs::remove_dir_all(&stage).ok();
        remove_if_empty(path);
        cloned.and_then(|()| Ok(Git::open(path)?.with(self.credentials, self.patience)))
    }

    /// A complete clone in `stage/.git`.
    fn clone_into(&self, stage: &Path, meter: &Meter, stop: &AtomicBool) -> Result<()> {
        let repo = empty_repository(self.url, stage)?;
        let git = Git {
            repo: repo.into_sync(),
            credentials: Arc::new(self.credentials.clone()),
            patience: self.patience,
        };
        let head = match self.revision {
            Some(revision) => {
                git.fetch(revision, self.depth, false, meter, stop)?;
                match revision {
                    Revision::Branch(branch) => branch::full_name(branch)?,
                    // The checkout detaches it.
                    Revision::Tag(_) | Revision::Commit(_) => return Ok(()),
                }
            }
            None => self.fetch_main(&git, meter, stop)?,
        };
        let edit = RefEdit::update(
            branch::head_name(),
            Target::Symbolic(head),
            PreviousValue::Any,
            "clone",
        );
        git.local()
            .edit_reference(edit)
            .map_err(|error| trouble::git("set HEAD", &error))?;
        Ok(())
    }

    /// Fetches all branches, and tells which one the remote's HEAD names.
    fn fetch_main(
        &self,
        git: &Git,
        meter: &Meter,
        stop: &AtomicBool,
    ) -> Result<gix::refs::FullName> {
        let repo = git.local();
        let remote = git.remote(&repo)?;
        let transfer = Transfer {
            specs: &["+refs/heads/*:refs/remotes/origin/*"],
            head: true,
            depth: self.depth,
            wanted: None,
        };
        let (outcome, _) = transfer.run(&remote, &git.credentials, meter, stop)?;
        let named = outcome
            .ref_map
            .remote_refs
            .iter()
            .find_map(|known| match known {
                Ref::Symbolic {
                    full_ref_name,
                    target,
                    ..
                } if full_ref_name == "HEAD" => target.as_bstr().try_into().ok(),
                _ => None,
            });
        named.ok_or_else(|| {
            Failure::new(
                Code::BranchNotFound,
                format!(
                    "`{}` does not say which branch is its main one",
                    crate::redact::url(self.url)
                ),
            )
            .hint("`--branch NAME` picks one")
        })
    }
}

/// Refuses to clone into a directory that has something in it.
///
/// # Errors
/// `not_a_checkout`, `permission_denied`.
pub fn refuse_occupied(path: &Path) -> Result<()> {
    match fs::read_dir(path) {
        Ok(entries) => {
            if entries.flatten().any(|entry| entry.file_name() != OWN_DIR) {
                return Err(Failure::new(
                    Code::NotACheckout,
                    format!("`{}` is neither empty nor a git checkout", path.display()),
                )
                .hint("`--path DIR` names another directory to clone to"));
            }
            Ok(())
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(io("read", path, error)),
    }
}

/// A new repository in `directory` whose remote `origin` is `url`.
pub(super) fn empty_repository(url: &str, directory: &Path) -> Result<gix::Repository> {
    let mut url = url::parse(url)?;
    let mut create = || -> gix::Result<gix::Repository> {
        // A relative path must mean the same to whoever runs git in there.
        let current = std::env::current_dir().map_err(gix::Error::from_error)?;
        url.canonicalize(&current).map_err(gix::Error::from_error)?;
        let repo = gix::init(directory)?;
        let mut config = fs::OpenOptions::new()
            .append(true)
            .open(repo.git_dir().join("config"))
            .map_err(gix::Error::from_error)?;
        config
            .write_all(&remote_section(url.to_bstring().as_bstr()))
            .map_err(gix::Error::from_error)?;
        let mut repo = gix::open(directory)?;
        repo.committer_or_set_generic_fallback()?;
        Ok(repo)
    };
    let what = format!("create a repository in `{}`", directory.display());
    create().map_err(|error| trouble::git(&what, &error))
}

/// Removes what a clone into `path` that had to be left behind on its thread has not finished.
pub fn abandon_clone(path: &Path) {
    gix::tempfile::registry::cleanup_tempfiles();
    remove_stage(path);
    remove_if_empty(path);
}

/// Removes what a clone into `path` that was killed has left, if it came so far as to make a checkout of it.
pub(super) fn remove_stage(path: &Path) {
    fs::remove_dir_all(path.join(OWN_DIR).join(CLONE_DIR)).ok();
}

/// Removes the directories that only a clone has made: they are empty.
fn remove_if_empty(path: &Path) {
    fs::remove_dir(path.join(OWN_DIR)).ok();
    fs::remove_dir(path).ok();
}

fn remote_section(url: &BStr) -> Vec<u8> {
    let quoted = url.replace(b"\\", b"\\\\").replace(b"\"", b"\\\"");
    let mut section = b"[remote \"origin\"]\n\turl = \"".to_vec();
    section.extend_from_slice(&quoted);
    section.extend_from_slice(b"\"\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n");
    section
}

fn io(what: &str, path: &Path, error: std::io::Error) -> Failure {
    Failure::io(
        Code::GitFailed,
        format_args!("{what} `{}`", path.display()),
        error,
    )
}
