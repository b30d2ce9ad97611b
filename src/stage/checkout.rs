//! git checkout: the branch in the work tree.

use std::future::pending;
use std::sync::atomic::AtomicBool;

use super::fetch::Fetched;
use super::{Context, sampled};
use crate::failure::Result;
use crate::git::{Changes, CleanTree, Git, Id, Meter, Program, Revision};

/// A checkout that is at the revision, with nothing changed in it.
#[derive(Debug)]
pub struct CheckedOut {
    pub git: Git,
    pub revision: Revision,
    /// Where the revision is at the remote.
    pub upstream: Id,
    clean: CleanTree,
}

impl CheckedOut {
    /// What is needed to go on from here.
    pub fn into_parts(self) -> (Git, Revision, Id, CleanTree) {
        (self.git, self.revision, self.upstream, self.clean)
    }
}

/// Checks the revision out. Local changes are refused, or dropped with `force`; those in submodules
/// only if `submodules` are to be brought to where the commit has them, as nothing else resets them.
///
/// Not cancelled half-way: a work tree is at one commit or at the other.
pub async fn checkout(
    cx: &Context,
    fetched: Fetched,
    force: bool,
    submodules: bool,
) -> Result<CheckedOut> {
    cx.interrupt.check()?;
    let Fetched {
        git,
        revision,
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
        let (git, revision, meter) = (git.clone(), revision.clone(), meter.clone());
        move |_: &AtomicBool| {
            if !(force && submodules) {
                git.refuse_changed_submodules()?;
            }
            git.checkout(&revision, upstream, force, &meter)
        }
    };
    let done = sampled::run(&cx.events, &meter, pending(), work).await?;
    match (&done.left, done.created) {
        (Some(left), false) => cx.events.note(format!("from `{left}` to {revision}")),
        (Some(left), true) => cx
            .events
            .note(format!("from `{left}` to the new {revision}")),
        (None, true) => cx.events.note(format!("new {revision}")),
        (None, false) => {}
    }
    if let Some((last, count)) = done.abandoned {
        let last = last.short();
        let many = match count {
            1 => "a commit".to_owned(),
            more => format!("{more} commits"),
        };
        cx.events.warn(
            format!("{many} that no branch or tag holds stayed behind at `{last}`"),
            Some(format!(
                "`git branch NAME {last}` in the checkout keeps them reachable"
            )),
        );
    }
    if done.changes != Changes::default() {
        cx.events.note(done.changes.to_string());
    }
    Ok(CheckedOut {
        git,
        revision,
        upstream,
        clean: done.clean,
    })
}
