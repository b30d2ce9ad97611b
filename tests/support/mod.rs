//! What the tests stand on: a [`Host`] of one's own for each test, with git origins made on the spot,
//! Go programs to put into them, and the built `sdp` to deploy them with.

mod base;
pub mod bench;
mod client;
mod disk;
mod engine;
mod event;
mod git_daemon;
mod git_http;
mod host;
mod http;
mod http_proxy;
pub mod images;
mod lookout;
mod origin;
mod podman;
pub mod program;
mod proxy;
mod run;
pub mod schema;
mod second_engine;
mod serve;
mod ssh;
mod state;
mod terminal;
mod tls;
mod tree;

use std::path::PathBuf;
use std::time::{Duration, Instant};

pub use base::BASE;
pub use client::{Asked, Client};
pub use disk::Mount;
pub use engine::Container;
pub use event::{Event, FIRST, HOOKED, Kind, NEXT, Phase};
pub use git_daemon::GitDaemon;
pub use git_http::{Access, Fault as GitFault, GitHttp};
pub use host::{Host, Server, free_port, listing};
pub use http::get;
pub use http_proxy::HttpProxy;
pub use lookout::Lookout;
pub use origin::Origin;
pub use podman::Podman;
pub use proxy::{Call, Fault, Proxy};
pub use run::{Live, Run, Sdp};
pub use second_engine::SecondEngine;
pub use ssh::Sshd;
pub use terminal::Terminal;
pub use tls::Authority;
pub use tree::tree;

/// How long anything may take before a test gives up on it.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Asks until there is an answer, or panics with `what` was waited for.
pub fn eventually<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    within(PATIENCE, what, ask)
}

/// The same, with less patience.
pub fn within<T>(patience: Duration, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// A folder below `target/` that all tests and runs share.
fn shared(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&path).expect("make a folder below target/");
    path
}

/// Runs `work` while no other test, of this process or another, runs work of the same name.
fn alone<T>(name: &str, work: impl FnOnce() -> T) -> T {
    let lock = std::fs::File::create(shared("locks").join(name)).expect("create a lock file");
    lock.lock().expect("wait for the lock");
    work()
}
