//! git pull: the branch where the remote has it.

use std::future::pending;
use std::sync::atomic::AtomicBool;

use super::checkout::CheckedOut;
use super::{Context, complete, sampled};
use crate::event::Commit;
use crate::failure::Result;
use crate::git::{CleanTree, Git, Id, Meter, Pull, Revision};

/// A checkout at the commit that will be built.
#[derive(Debug)]
pub struct Pulled {
    pub git: Git,
    pub revision: Revision,
    pub commit: Commit,
}

/// Takes a branch to where the remote has it, if that is a step forward; anywhere with `force`. Tags
/// and commits stay where they are.
/// Then brings what the commit refers to: `submodules` if they are wanted, files of Git LFS.
///
/// The first of the two is not cancelled half-way: a work tree is at one commit or at the other.
pub async fn pull(
    cx: &Context,
    checked_out: CheckedOut,
    force: bool,
    submodules: bool,
) -> Result<Pulled> {
    cx.interrupt.check()?;
    let (git, revision, upstream, clean) = checked_out.into_parts();
    let commit = match &revision {
        Revision::Branch(branch) => follow(cx, &git, branch, upstream, force, clean).await?,
        Revision::Tag(_) | Revision::Commit(_) => {
            cx.events.note(format!("{revision} has nothing to pull"));
            git.head()?
        }
    };
    complete::complete(cx, &git, submodules, force).await?;
    Ok(Pulled {
        git,
        revision,
        commit,
    })
}

/// Takes a branch to where the remote has it; returns the commit.
async fn follow(
    cx: &Context,
    git: &Git,
    branch: &str,
    upstream: Id,
    force: bool,
    clean: CleanTree,
) -> Result<Commit> {
    let meter = Meter::default();
    let work = {
        let (git, branch, meter) = (git.clone(), branch.to_owned(), meter.clone());
        move |_: &AtomicBool| {
            let pull = git.pull(&branch, upstream, force, clean, &meter)?;
            Ok((pull, git.head()?))
        }
    };
    let (pull, commit) = sampled::run(&cx.events, &meter, pending(), work).await?;
    let short = commit.short();
    cx.events.note(match pull {
        Pull::UpToDate => "up to date".to_owned(),
        Pull::Ahead { commits: 1 } => "1 commit ahead of the remote".to_owned(),
        Pull::Ahead { commits } => format!("{commits} commits ahead of the remote"),
        Pull::FastForward {
            commits, changes, ..
        } => {
            let plural = if commits == 1 { "" } else { "s" };
            format!("{commits} commit{plural} forward to {short}, {changes}")
        }
        Pull::Reset {
            dropped: 0,
            changes,
            ..
        } => format!("reset to {short}, {changes}"),
        Pull::Reset {
            dropped, changes, ..
        } => {
            let plural = if dropped == 1 { "" } else { "s" };
            format!("reset to {short}, {dropped} commit{plural} dropped, {changes}")
        }
    });
    Ok(commit)
}
