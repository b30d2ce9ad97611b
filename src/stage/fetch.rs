//! git clone and git fetch: what the remote has.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::{Context, sampled};
use crate::failure::{Code, Failure, Result};
use crate::git::{self, Git, Id, Meter, Received, Revision};
use crate::plan::Source;
use crate::redact;
use crate::shell::quoted;
use crate::units::size;

/// A checkout whose remote has been asked.
#[derive(Debug)]
pub struct Fetched {
    pub git: Git,
    pub revision: Revision,
    /// Where the revision is at the remote.
    pub upstream: Id,
}

/// Clones; a checkout then fills the work tree.
///
/// # Errors
/// Those of git, `remote_timeout` after `timeout` without progress, or the interruption.
pub async fn clone(cx: &Context, source: &Source, url: &str, path: &Path) -> Result<Git> {
    let meter = Meter::default();
    let work = {
        let (source, url, path, meter) = (
            source.clone(),
            url.to_owned(),
            path.to_owned(),
            meter.clone(),
        );
        move |stop: &AtomicBool| {
            let clone = git::CloneRequest {
                url: &url,
                path: &path,
                revision: source.revision.as_ref(),
                depth: source.depth,
                credentials: &source.credentials,
                patience: source.timeout,
            };
            clone.run(&meter, stop)
        }
    };
    converse(cx, source, url, &meter, work, || git::abandon_clone(path)).await
}

/// Asks the remote where `revision` is, and gets what is new.
///
/// # Errors
/// Those of git, `remote_timeout` after `timeout` without progress, or the interruption.
pub async fn fetch(
    cx: &Context,
    source: &Source,
    git: Git,
    revision: Revision,
    force: bool,
) -> Result<Fetched> {
    let meter = Meter::default();
    let work = {
        let (git, revision, meter) = (git.clone(), revision.clone(), meter.clone());
        let depth = source.depth;
        move |stop: &AtomicBool| git.fetch(&revision, depth, force, &meter, stop)
    };
    let url = git.origin().unwrap_or_default();
    let abandon = || git::abandon_fetch(&git);
    let fetched = converse(cx, source, &url, &meter, work, abandon).await?;
    cx.events.note(match (fetched.received, &revision) {
        (Some(received), _) => shown(received),
        (None, Revision::Commit(_)) => "the commit is here".to_owned(),
        (None, _) => "nothing new".to_owned(),
    });
    Ok(Fetched {
        git,
        revision,
        upstream: fetched.upstream,
    })
}

/// Does work that talks to the remote at `url`, until a signal comes or the remote has stopped
/// answering; what had to be left behind then is `abandon`ed.
async fn converse<T: Send + 'static>(
    cx: &Context,
    source: &Source,
    url: &str,
    meter: &Meter,
    work: impl FnOnce(&AtomicBool) -> Result<T> + Send + 'static,
    abandon: impl FnOnce(),
) -> Result<T> {
    let mut is_cancelled = false;
    let cancelled = async {
        let reason = tokio::select! {
            signal = cx.interrupt.cancelled() => signal.into(),
            () = sampled::stalled(meter, source.timeout, &cx.events) => {
                timed_out(source.timeout, &redact::url(url))
            }
        };
        is_cancelled = true;
        reason
    };
    let done = sampled::run(&cx.events, meter, cancelled, work).await;
    cx.waited_for_remote(meter.waited());
    if is_cancelled {
        abandon();
    }
    done
}

/// The `remote` has not made progress for `limit`.
pub fn timed_out(limit: Duration, remote: &str) -> Failure {
    Failure::new(
        Code::RemoteTimeout,
        format!("`{remote}` has sent nothing for {limit:?}"),
    )
    .hint(format!(
        "`git ls-remote {}` shows whether git reaches it; deploy again, or with a longer \
         `--git-timeout`",
        quoted(remote)
    ))
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
            let (emitter, _records) = Emitter::new(Some("test"));
            let meter = Meter::default();
            let stream = std::cell::OnceCell::new();
            let cancelled = async {
                stream.set(is_asked.await.unwrap()).unwrap();
                Signal::Interrupt.into()
            };
            let work = {
                let meter = meter.clone();
                let main = Revision::Branch("main".to_owned());
                move |stop: &AtomicBool| git.fetch(&main, None, false, &meter, stop)
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
