//! git checkout: the branch in the work tree.

use std::future::pending;

use super::fetch::Fetched;
use super::{Context, sampled};
use crate::failure::Result;
use crate::git::{Changes, CleanTree, Git, Id, Meter, Program};

/// A checkout that is on the branch, with nothing changed in it.
#[derive(Debug)]
pub struct CheckedOut {
    pub git: Git,
    pub branch: String,
    /// Where the branch is at the remote.
    pub upstream: Id,
    clean: CleanTree,
}

impl CheckedOut {
    /// What is needed to go on from here.
    pub fn into_parts(self) -> (Git, String, Id, CleanTree) {
        (self.git, self.branch, self.upstream, self.clean)
    }
}

/// Checks the branch out. Local changes are refused, or dropped with `force`.
///
/// Not cancelled half-way: a work tree is at one commit or at the other.
pub async fn checkout(cx: &Context, fetched: Fetched, force: bool) -> Result<CheckedOut> {
    cx.interrupt.check()?;
    let Fetched {
        git,
        branch,
        upstream,
    } = fetched;
    let program = Program {
        directory: git.path(),
        environment: &[],
        interrupt: &cx.interrupt,
    };
    git.expand_index(program).await?;
    let meter = Meter::default();
    let work = {
        let (git, branch, meter) = (git.clone(), branch.clone(), meter.clone());
        move || git.checkout(&branch, upstream, force, &meter)
    };
    let done = sampled::run(&cx.events, &meter, pending(), work).await?;
    match (&done.left, done.created) {
        (Some(left), false) => cx.events.note(format!("from `{left}` to `{branch}`")),
        (Some(left), true) => cx
            .events
            .note(format!("from `{left}` to the new `{branch}`")),
        (None, true) => cx.events.note(format!("new branch `{branch}`")),
        (None, false) => {}
    }
    if done.changes != Changes::default() {
        cx.events.note(done.changes.to_string());
    }
    Ok(CheckedOut {
        git,
        branch,
        upstream,
        clean: done.clean,
    })
}
