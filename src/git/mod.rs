//! git, in process: the only place that names gix and its HTTP client.
//!
//! gix fetches, reads and compares; what it lacks is written here: taking an existing work tree to
//! another commit (`switch`), and the refs that go with it (`branch`). For the rest there is the
//! `git` program (`program`).

mod attributes;
mod branch;
mod clone;
mod fetch;
mod held;
mod journal;
mod leftovers;
mod lfs;
mod linked;
mod place;
mod plan;
mod program;
mod progress;
mod ready;
mod remote;
mod restore;
mod revision;
mod sparse;
mod ssh;
mod standing;
mod submodules;
mod survey;
mod switch;
mod transport;
mod trouble;
mod unfinished;
mod url;

#[cfg(test)]
mod tests;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gix::bstr::ByteSlice;
use gix::index::entry::{Flags, Mode, Stage};

pub use self::branch::Pull;
pub use self::clone::{CloneRequest, abandon_clone, refuse_occupied};
pub use self::fetch::abandon_fetch;
pub use self::leftovers::remove_leftovers;
pub use self::program::Program;
pub use self::progress::Meter;
pub use self::ready::{Stranger, ask};
pub use self::remote::Received;
pub use self::revision::Revision;
pub use self::switch::{Changes, CleanTree};
pub use self::url::{Login, is_same, split_login};
use crate::append;
use crate::credentials::Credentials;
use crate::event::Commit;
use crate::failure::{Code, Failure, Result};
use crate::shell::quoted;

/// A checkout: a repository with a work tree. Cheap to clone.
#[derive(Clone)]
pub struct Git {
    repo: gix::ThreadSafeRepository,
    credentials: Arc<Credentials>,
    /// How long a transfer may make no progress.
    patience: Duration,
}

/// The id of a commit.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Id(gix::ObjectId);

impl Id {
    /// As people see it: 9 characters.
    pub fn short(&self) -> String {
        self.0.to_hex_with_len(9).to_string()
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A file that the index knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tracked {
    /// Relative to the work tree; not necessarily UTF-8.
    pub path: PathBuf,
    pub kind: Kind,
}

/// What a tracked file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    File,
    Executable,
    Symlink,
    /// Another repository's place.
    Submodule,
}

impl Git {
    /// Whether there is a checkout at `path`.
    pub fn exists(path: &Path) -> bool {
        path.join(".git").symlink_metadata().is_ok()
    }

    /// Whether there is a repository without a checkout at `path`:
    /// <https://git-scm.com/docs/gitrepository-layout>.
    pub fn is_bare(path: &Path) -> bool {
        !Git::exists(path) && path.join("HEAD").is_file() && path.join("objects").is_dir()
    }

    /// Opens the checkout at `path`, not one above it.
    pub fn open(path: &Path) -> Result<Git> {
        let shown = path.display();
        if !Git::exists(path) {
            return Err(Failure::new(
                Code::NotACheckout,
                format!("`{shown}` is not a git checkout"),
            )
            .hint("`--url URL` clones it there on first use"));
        }
        let options = gix::open::Options::default().config_overrides(lfs::filter().iter().copied());
        let opened = gix::open_opts(path, options);
        let mut repo: gix::Repository = opened.map_err(|error| {
            let failure = trouble::git(format_args!("open the git checkout `{shown}`"), &error);
            match failure.code {
                Code::GitFailed => Failure {
                    code: Code::NotACheckout,
                    ..failure
                },
                _ => failure,
            }
        })?;
        if repo.git_dir_trust() != gix::sec::Trust::Full {
            return Err(Failure::new(
                Code::NotACheckout,
                format!("the checkout `{shown}` belongs to another user"),
            )
            .hint(format!(
                "`git config --global --add safe.directory {}` if you trust it",
                quoted(absolute(path))
            )));
        }
        if repo.workdir().is_none() {
            return Err(Failure::new(
                Code::NotACheckout,
                format!("`{shown}` is a bare repository, without files"),
            )
            .hint("`git clone` it to a directory of its own and deploy that"));
        }
        // Inherited from a git hook, these would have us work on somebody else's files.
        for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
            if std::env::var_os(variable).is_some() {
                return Err(Failure::new(
                    Code::Usage,
                    format!("`{variable}` is set and points git somewhere else"),
                )
                .hint(format!("`unset {variable}` and run sdp again")));
            }
        }
        // Reflog entries want a name, which a deployment user seldom has configured.
        repo.committer_or_set_generic_fallback()
            .map_err(|error| trouble::git("read the git configuration", &error))?;
        Ok(Git {
            repo: repo.into_sync(),
            credentials: Arc::default(),
            patience: PATIENCE,
        })
    }

    /// The same checkout, whose remote is told these credentials, and is waited for so long.
    #[must_use]
    pub fn with(self, credentials: &Credentials, patience: Duration) -> Git {
        Git {
            repo: self.repo,
            credentials: Arc::new(credentials.clone()),
            patience,
        }
    }

    /// The branch that is checked out; `None` where HEAD is detached.
    pub fn current_branch(&self) -> Result<Option<String>> {
        let head = self
            .local()
            .head_name()
            .map_err(|error| trouble::git("read HEAD", &error))?;
        Ok(head.map(|name| name.shorten().to_string()))
    }

    /// Where the local `branch` is; `None` if there is none of this name.
    pub fn local_tip(&self, branch: &str) -> Result<Option<Id>> {
        let name = branch::full_name(branch)?;
        let repo = self.local();
        let found = repo.try_find_reference(name.as_ref());
        let tip = found.and_then(|found| {
            found
                .map(|mut found| found.peel_to_id().map(|id| Id(id.detach())))
                .transpose()
        });
        tip.map_err(|error| trouble::git(format_args!("read the branch `{branch}`"), &error))
    }

    /// Lets git ignore a file in this checkout, whatever the commit's own `.gitignore` says.
    pub fn ignore(&self, name: &str) -> Result<()> {
        let path = self.local().common_dir().join("info/exclude");
        let io = |error| {
            Failure::io(
                Code::GitFailed,
                format_args!("write `{}`", path.display()),
                error,
            )
        };
        let line = format!("/{name}");
        // People's own lines may be in any encoding.
        let text = match std::fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            text => text.map_err(io)?,
        };
        if text
            .split(|byte| *byte == b'\n')
            .any(|known| known == line.as_bytes())
        {
            return Ok(());
        }
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory).map_err(io)?;
        }
        append::line(&path, line.as_bytes(), 0o666).map_err(io)
    }

    /// The URL of `origin` as it is configured; it may hold a password.
    pub fn origin(&self) -> Option<String> {
        let config = self.local();
        let url = config.config_snapshot().string("remote.origin.url")?;
        Some(url.to_string())
    }

    /// The URL that `origin` is fetched from, as `url.*.insteadOf` rewrites it.
    fn address(&self) -> Option<gix::Url> {
        let repo = self.local();
        let remote = repo.find_remote("origin").ok()?;
        remote.url(gix::remote::Direction::Fetch).cloned()
    }

    /// The password that stands in the configuration of the checkout at `path`, where `git clone` has
    /// put it: nobody may see it.
    pub fn stored_secret(path: &Path) -> Option<String> {
        let repo = gix::open(path).ok()?;
        let config = repo.config_snapshot();
        let url = config.string("remote.origin.url")?;
        let login = split_login(&url.to_str_lossy()).ok()?.1?;
        Some(match login.password.as_str() {
            "" => login.user,
            _ => login.password,
        })
    }

    /// The variables for processes that run the `git` program for this deployment, so that it gets
    /// at what the deployment's own credentials open.
    pub fn environment(&self) -> Vec<(OsString, OsString)> {
        let address = self.address();
        let origin = address.as_ref().and_then(url::origin);
        let known = address.as_ref().and_then(gix::Url::user);
        let mut variables = self.credentials.environment(origin.as_deref(), known);
        let configured = self.local().ssh_connect_options().unwrap_or_default();
        let ssh = ssh::with_key(&configured, &self.credentials);
        variables.extend(ssh.map(|ssh| ("GIT_SSH_COMMAND".into(), ssh)));
        let seconds = self.patience.as_secs().max(1).to_string();
        variables.push(("GIT_HTTP_LOW_SPEED_LIMIT".into(), "1".into()));
        variables.push(("GIT_HTTP_LOW_SPEED_TIME".into(), seconds.into()));
        variables
    }

    /// The same for a clone of `url`.
    pub fn would_tell_in_clear(url: &str, credentials: &Credentials) -> Option<String> {
        credentials.login(None)?;
        tells_in_clear(&url::parse(url).ok()?)
    }

    /// The host that is told the deployment's own token without encryption, if there is one.
    pub fn tells_in_clear(&self) -> Option<String> {
        self.credentials.login(None)?;
        tells_in_clear(&self.address()?)
    }

    /// The commit that is checked out.
    pub fn head(&self) -> Result<Commit> {
        let repo = self.local();
        let read = || -> gix::Result<Commit> {
            let commit = repo.head_commit()?;
            Ok(Commit {
                id: commit.id.to_string(),
                subject: commit.message()?.summary().to_str_lossy().into_owned(),
            })
        };
        read().map_err(|error| trouble::git("read the commit at HEAD", &error))
    }

    /// The first line of the message of a commit that is here.
    pub fn subject(&self, id: &str) -> Option<String> {
        let repo = self.local();
        let id = gix::ObjectId::from_hex(id.as_bytes()).ok()?;
        let commit = repo.find_commit(id).ok()?;
        let message = commit.message().ok()?;
        Some(message.summary().to_str_lossy().into_owned())
    }

    /// When the commit that is checked out was made, if there is one.
    pub fn head_time(&self) -> Option<SystemTime> {
        let time = self.local().head_commit().ok()?.time().ok()?;
        let since = Duration::from_secs(u64::try_from(time.seconds).ok()?);
        UNIX_EPOCH.checked_add(since)
    }

    /// The tracked files, each repository's in its index's order, and those of the submodules that
    /// are in the work tree. Those that a sparse checkout leaves out are not among them.
    pub fn tracked_files(&self) -> Result<Vec<Tracked>> {
        let mut files = self.own_files()?;
        for (directory, submodule) in self.submodule_checkouts()? {
            files.extend(submodule.own_files()?.into_iter().map(|file| Tracked {
                path: directory.join(file.path),
                kind: file.kind,
            }));
        }
        Ok(files)
    }

    fn own_files(&self) -> Result<Vec<Tracked>> {
        let index = self
            .local()
            .index_or_empty()
            .map_err(|error| trouble::git("read the git index", &error))?;
        Ok(index
            .entries()
            .iter()
            .filter(|entry| {
                entry.stage() == Stage::Unconflicted && !entry.flags.contains(Flags::SKIP_WORKTREE)
            })
            .map(|entry| Tracked {
                path: PathBuf::from(OsStr::from_bytes(entry.path(&index).as_bytes())),
                kind: match entry.mode {
                    Mode::FILE_EXECUTABLE => Kind::Executable,
                    Mode::SYMLINK => Kind::Symlink,
                    Mode::COMMIT => Kind::Submodule,
                    _ => Kind::File,
                },
            })
            .collect())
    }

    /// The root of the work tree.
    pub fn path(&self) -> &Path {
        self.repo.work_dir().unwrap_or_else(|| self.repo.git_dir())
    }

    /// A handle for one thread.
    fn local(&self) -> gix::Repository {
        self.repo.to_thread_local()
    }
}

impl fmt::Debug for Git {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Git").field(&self.path()).finish()
    }
}

/// The host that a token for `url` goes to without encryption: over plain http, beyond this machine.
fn tells_in_clear(url: &gix::Url) -> Option<String> {
    let host = url
        .host()
        .filter(|_| url.scheme == gix::url::Scheme::Http)?;
    let is_loopback = host == "localhost"
        || host
            .parse()
            .is_ok_and(|address: std::net::IpAddr| address.is_loopback());
    (!is_loopback).then(|| host.to_owned())
}

/// How long the remote of a checkout is waited for if nothing is said of it.
const PATIENCE: Duration = Duration::from_mins(1);

/// sdp's own directory in a checkout.
const OWN_DIR: &str = ".sdp";

/// The root of the work tree, which every checkout has.
fn work_tree(repo: &gix::Repository) -> &Path {
    repo.workdir().unwrap_or_else(|| repo.git_dir())
}

fn absolute(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}
