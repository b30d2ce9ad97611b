//! git clone and git fetch: what the remote has.

use std::path::Path;

use super::{Context, sampled};
use crate::failure::Result;
use crate::git::{self, Git, Id, Meter, Received};
use crate::units::size;

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
        move || Git::clone_url(&url, &path, branch.as_deref(), &meter, interrupt.flag())
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
    let plural = if objects == 1 { "" } else { "s" };
    format!("{objects} object{plural}, {}", size(bytes))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::Read;
    use std::net::TcpListener;
    use std::process::Command;

    use super::*;
    use crate::event::{Emitter, Stage};
    use crate::failure::Code;
    use crate::interrupt::Signal;

    #[test]
    fn a_server_that_stalls_does_not_hold_sdp() {
        let server = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let url = format!("git://{}/x.git", server.local_addr().unwrap());
        let dir = tempfile::tempdir().unwrap();
        for args in [vec!["init", "-q"], vec!["remote", "add", "origin", &url]] {
            let mut git = Command::new("git");
            let done = git.args(args).current_dir(dir.path()).status().unwrap();
            assert!(done.success());
        }
        let git = Git::open(dir.path()).unwrap();

        let (asked, is_asked) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            let (mut stream, _) = server.accept().unwrap();
            stream.read_exact(&mut [0; 4]).unwrap();
            asked.send(stream).unwrap();
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        let result = runtime.unwrap().block_on(async {
            let (emitter, _records) = Emitter::new("test");
            let meter = Meter::default();
            let stream = std::cell::OnceCell::new();
            let cancelled = async {
                stream.set(is_asked.await.unwrap()).unwrap();
                Signal::Interrupt
            };
            let work = {
                let meter = meter.clone();
                move || git.fetch("main", &meter, &false.into())
            };
            sampled::run(&emitter.stage(Stage::Fetch), &meter, cancelled, work).await
        });
        assert_eq!(result.unwrap_err().code, Code::Interrupted);
    }

    #[test]
    fn what_was_received_is_counted_and_measured() {
        let received = |objects, bytes| shown(Received { objects, bytes });
        assert_eq!(received(1, 300), "1 object, 1 KiB");
        assert_eq!(received(42, 1_300_000), "42 objects, 1.2 MiB");
    }
}
