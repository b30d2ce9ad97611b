//! The repository: its checkout, sdp's own files in it, what is left of earlier runs, its remote.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use rustix::fs::Access;
use tokio::task::JoinHandle;

use super::host::existing;
use super::{PATIENCE, careful, failed, lenient, limited, of_commit, ok, silent, warning};
use crate::deploy;
use crate::engine::Container;
use crate::event::{Check, Verdict};
use crate::failure::{Code, Failure, Result};
use crate::git::{self, Git, Id, Revision, Stranger};
use crate::interrupt;
use crate::plan::{Mount, Plan};
use crate::redact;
use crate::release;
use crate::shell::quoted;
use crate::stage::fetch;
use crate::upkeep;

/// How often whoever asks the remote for too long is ended, and how long that is waited for each time.
const HANG_UPS: usize = 20;
const HANG_UP: Duration = Duration::from_millis(100);

/// The checkout as a deployment would find it, or the place where it is to be cloned to.
pub async fn checkout(plan: &Plan, is_current: bool) -> Vec<Check> {
    let path = &plan.repository.path;
    let found = match deploy::url_to_clone(plan) {
        Ok(Some(url)) => git::refuse_occupied(path).map(|()| {
            let url = redact::url(url);
            ok(
                "checkout",
                format!("`{url}` is cloned to `{}`", path.display()),
            )
        }),
        // Whoever deploys there now changes it all the time.
        Ok(None) if release::is_locked(path) => return Vec::new(),
        Ok(None) => opened(plan).await,
        Err(failure) => Err(failure),
    };
    let found = found.unwrap_or_else(|failure| failed("checkout", &failure));
    let is_there = found.verdict != Verdict::Failed && Git::exists(path);
    let include = &plan.container.include;
    let missed = if is_there && plan.container.mount == Mount::Release {
        release::check_include(path, include).err()
    } else {
        None
    };
    let missed = missed.map(|failure| of_commit("checkout", &failure, is_current));
    std::iter::once(found).chain(missed).collect()
}

/// Whether what is checked out is what a deployment would build, with the remote at `tip`.
pub fn is_current(plan: &Plan, tip: Id) -> bool {
    let path = &plan.repository.path;
    let head = Git::open(path).and_then(|git| git.head());
    // Local changes would be dropped, and the hook may change whatever it likes.
    let stays = !plan.force && plan.hooks.before_build.is_none();
    stays && release::cut(path).1.is_none() && head.is_ok_and(|head| head.id == tip.to_string())
}

async fn opened(plan: &Plan) -> Result<Check> {
    let git = deploy::open(plan)?;
    let revision = deploy::revision(plan, &git)?;
    let (_, cut_build) = release::cut(&plan.repository.path);
    let looked = {
        let (git, force) = (git.clone(), plan.force);
        let branch = match &revision {
            Revision::Branch(branch) => Some(branch.clone()),
            Revision::Tag(_) | Revision::Commit(_) => None,
        };
        tokio::task::spawn_blocking(move || git.refuse_unready(branch.as_deref(), force))
    };
    let Some(looked) = limited(looked).await else {
        let path = plan.repository.path.display();
        let message = format!("`{path}` has not been read within {PATIENCE:?}");
        let failure = Failure::new(Code::GitFailed, message)
            .hint("`git status` in the checkout shows whether the disk is that slow");
        return Ok(silent("checkout", &failure, None));
    };
    let looked = looked.map_err(anyhow::Error::from)?;
    looked.map_err(|failure| upkeep::after_cut_build(cut_build, failure))?;
    let head = git.head();
    let at = head.as_ref().map_or("no commit", |commit| commit.short());
    let branch = git
        .current_branch()?
        .unwrap_or_else(|| "no branch".to_owned());
    let line = format!("`{}`, on {branch} at {at}", plan.repository.path.display());
    Ok(ok("checkout", line))
}

/// Whether sdp may write what it has to: git's directory and its own.
pub fn files(plan: &Plan) -> Check {
    let path = &plan.repository.path;
    let own = path.join(release::DIRECTORY);
    let inside = ["lock", "history.jsonl", "releases", "build"].map(|name| own.join(name));
    let git = Git::open(path).ok();
    let git = git.as_ref().map(|git| git.directory().to_owned());
    let all = [path.clone(), own.clone()]
        .into_iter()
        .chain(git)
        .chain(inside);
    for path in all {
        let Some((path, found)) = existing(&path) else {
            continue;
        };
        let mut wanted = Access::READ_OK | Access::WRITE_OK;
        if found.is_dir() {
            wanted |= Access::EXEC_OK;
        }
        if let Err(error) = rustix::fs::access(&path, wanted) {
            let what = format_args!("write to `{}`", path.display()).to_string();
            let failure = Failure::io(Code::PermissionDenied, what, io::Error::from(error));
            return failed("files", &failure);
        }
    }
    let Ok(found) = fs::metadata(&own) else {
        return ok("files", format!("`{}` can be made", own.display()));
    };
    let mode = found.permissions().mode();
    if mode & 0o022 != 0 {
        let line = format!(
            "others may write to `{}`, and thus change what is deployed",
            own.display()
        );
        return warning("files", line, format!("`chmod 700 {}`", quoted(&own)));
    }
    ok(
        "files",
        format!("`{}` is there and can be written to", own.display()),
    )
}

/// What puts in order what a killed run has left.
const IN_ORDER: &str = "`sdp deploy`, `start`, `stop`, `rollback` or `prune` does that first";

/// Who is deploying, or the hand-over that a killed run has left, if that is so. `mark` is the engine's.
pub fn underway(plan: &Plan, mark: Option<&str>) -> Option<Check> {
    let path = &plan.repository.path;
    match release::in_use(path) {
        Some(failure) if plan.lock_wait.is_zero() => Some(failed("service", &failure)),
        Some(failure) => Some(lenient("service", &failure)),
        None => {
            let underway = release::cut(path).0?;
            if mark.is_some_and(|mark| underway.is_elsewhere(mark)) {
                return Some(failed(
                    "service",
                    &upkeep::underway_elsewhere(&underway, path),
                ));
            }
            Some(warning("service", upkeep::cut_line(&underway), IN_ORDER))
        }
    }
}

/// What serves, who is deploying, and what a killed run has left.
pub fn service(plan: &Plan, mark: &str, own: &[Container], formers: &[Container]) -> Check {
    if let Some(check) = underway(plan, Some(mark)) {
        return check;
    }
    let left: Vec<&str> = own
        .iter()
        .filter(|container| upkeep::is_leftover(container))
        .map(|container| container.name.as_str())
        .collect();
    if !left.is_empty() {
        let line = format!(
            "an earlier run was killed; {} removes {}",
            upkeep::NEXT,
            left.join(", ")
        );
        return warning("service", line, IN_ORDER);
    }
    match formers {
        [] => ok("service", "nothing of it runs"),
        [former, ..] => ok("service", format!("`{}` serves", former.name)),
    }
}

/// What the remote has said.
#[derive(Default)]
pub struct Remote {
    pub checks: Vec<Check>,
    /// Where it has what is to be deployed, if it can tell without a fetch.
    pub tip: Option<Id>,
    /// Whoever still asks it: nobody waits for the answer any more.
    pending: Option<JoinHandle<Result<Option<Id>>>>,
}

impl Remote {
    /// Ends what is still asking. It may start another program when the first is killed, as gix does
    /// after it has asked ssh of which kind it is.
    pub async fn hang_up(mut self) {
        let Some(pending) = &mut self.pending else {
            return;
        };
        for _ in 0..HANG_UPS {
            interrupt::kill_children();
            if tokio::time::timeout(HANG_UP, &mut *pending).await.is_ok() {
                break;
            }
        }
    }
}

/// Whether the remote can be reached, takes the credentials and has what is asked for.
pub async fn remote(plan: &Plan) -> Remote {
    match deploy::url_to_clone(plan) {
        Ok(Some(url)) => {
            let source = &plan.source;
            let clear = Git::would_tell_in_clear(url, &source.credentials);
            let stranger = Stranger::new(url, &source.credentials, source.timeout);
            let asked = match &stranger {
                Ok(stranger) => asked(plan, stranger.git(), source.revision.clone(), url).await,
                Err(failure) => Remote::from(failed("remote", failure)),
            };
            with_clear(asked, clear)
        }
        Ok(None) => {
            let opened = deploy::open(plan).and_then(|git| {
                let revision = deploy::revision(plan, &git)?;
                Ok((git, revision))
            });
            // The checkout is what is wrong then, and that is told already.
            let Ok((git, revision)) = opened else {
                return Remote::default();
            };
            let url = git.origin().unwrap_or_default();
            let clear = git.tells_in_clear();
            let asked = asked(plan, git.clone(), Some(revision.clone()), &url).await;
            let mut remote = with_clear(asked, clear);
            if let (Revision::Branch(branch), Some(tip), false) = (revision, remote.tip, plan.force)
                && let Err(failure) = git.refuse_diverged(&branch, tip)
            {
                remote.checks.push(failed("checkout", &failure));
            }
            remote
        }
        Err(_) => Remote::default(),
    }
}

fn with_clear(mut remote: Remote, clear: Option<String>) -> Remote {
    let clear = clear.map(|host| careful("remote", &deploy::told_in_clear(&host)));
    remote.checks.extend(clear);
    remote
}

impl From<Check> for Remote {
    fn from(check: Check) -> Remote {
        Remote {
            checks: vec![check],
            ..Remote::default()
        }
    }
}

async fn asked(plan: &Plan, git: Git, revision: Option<Revision>, url: &str) -> Remote {
    let timeout = plan.source.timeout;
    let limit = timeout.min(PATIENCE);
    let url = redact::url(url);
    let wanted = revision.clone();
    let mut asked = tokio::task::spawn_blocking(move || git::ask(&git, wanted.as_ref()));
    let answer = match tokio::time::timeout(limit, &mut asked).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => Err(anyhow::Error::from(error).into()),
        Err(_) => {
            let failure = fetch::timed_out(limit, &url);
            let check = if timeout > limit {
                silent("remote", &failure, Some(timeout))
            } else {
                failed("remote", &failure)
            };
            return Remote {
                pending: Some(asked),
                ..Remote::from(check)
            };
        }
    };
    let tip = answer.as_ref().ok().copied().flatten();
    let check = match (answer, revision) {
        (Err(failure), _) => failed("remote", &failure),
        (Ok(Some(id)), Some(revision)) => ok(
            "remote",
            format!("{revision} is at {} at `{url}`", id.short()),
        ),
        (Ok(_), Some(revision)) => ok(
            "remote",
            format!("`{url}` answers; whether it has {revision}, a fetch will tell"),
        ),
        (Ok(_), None) => ok("remote", format!("`{url}` answers")),
    };
    Remote {
        tip,
        ..Remote::from(check)
    }
}
