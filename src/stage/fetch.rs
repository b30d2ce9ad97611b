//! git clone and git fetch: what the remote has.

use std::path::Path;

use super::{Context, sampled};
use crate::failure::Result;
use crate::git::{self, Git, Id, Meter, Received};

/// A checkout whose remote has been asked.
#[derive(Debug)]
pub struct Fetched {
    pub git: Git,
    pub branch: String,
    /// Where the branch is at the remote.
    pub upstream: Id,
}

/// Clones `url` into `path`; a checkout then fills the work tree.
pub async fn clone(cx: &Context, url: &str, path: &Path, branch: Option<&str>) -> Result<Git> {
    let meter = Meter::default();
    let interrupt = cx.interrupt.clone();
    let work = {
        let (url, path, meter) = (url.to_owned(), path.to_owned(), meter.clone());
        let branch = branch.map(str::to_owned);
        move || Git::clone_from(&url, &path, branch.as_deref(), &meter, interrupt.flag())
    };
    let cloned = sampled::run(&cx.events, &meter, cx.interrupt.cancelled(), work).await;
    if cx.interrupt.signal().is_some() && cloned.is_err() {
        git::abandon_clone(path);
    }
    cloned
}

/// Asks the remote where `branch` is, and gets what is new.
pub async fn fetch(cx: &Context, git: Git, branch: &str) -> Result<Fetched> {
    let meter = Meter::default();
    let interrupt = cx.interrupt.clone();
    let work = {
        let (git, branch, meter) = (git.clone(), branch.to_owned(), meter.clone());
        move || git.fetch(&branch, &meter, interrupt.flag())
    };
    let fetched = sampled::run(&cx.events, &meter, cx.interrupt.cancelled(), work).await;
    if cx.interrupt.signal().is_some() {
        git::abandon_fetch();
    }
    let fetched = fetched?;
    cx.events.note(match fetched.received {
        Some(received) => shown(received),
        None => "nothing new".to_owned(),
    });
    Ok(Fetched {
        git,
        branch: branch.to_owned(),
        upstream: fetched.upstream,
    })
}

fn shown(Received { objects, bytes }: Received) -> String {
    let tenths = bytes.saturating_mul(10) / (1024 * 1024);
    let plural = if objects == 1 { "" } else { "s" };
    format!(
        "{objects} object{plural}, {}.{} MiB",
        tenths / 10,
        tenths % 10
    )
}
