//! `kill -9` as an event appears: what served before serves, or is brought back by the next
//! deployment, which needs no help and leaves no trace of the killed one.

use std::net::SocketAddr;

use bollard::models::RestartPolicyNameEnum;

use crate::support::program::{deaf_server, server};
use crate::support::{Event, FIRST, Fault, Host, NEXT, Proxy, eventually, free_port, get};

fn killed_when(what: &str, fits: impl Fn(&Event) -> bool) {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let first = host.deploy(&origin).run().deployed(FIRST);
    origin.commit(&server("two"), "Say two");
    let mut live = host.deploy(&origin).spawn();
    live.wait_for(what, fits);

    live.kill();
    live.ended();

    let containers = host.containers();
    let former = containers.iter().find(|c| c.name == first.container());
    let former = former.unwrap();
    assert!(former.is_running(), "what served before serves");
    assert_eq!(get(former.address(8080), "/").unwrap(), "one");

    origin.commit(&server("three"), "Say three");
    let third = host.deploy(&origin).run().exited(0);
    assert_eq!(third.stages(), NEXT, "{}", third.story());
    assert_eq!(host.answer(), "three");
    assert_eq!(host.git(&["status", "--porcelain"]), "");
    host.holds(&[&third], &[&first]);
}

#[test]
fn in_fetch() {
    killed_when("the fetch", |event| event.starts("git fetch"));
}

#[test]
fn in_checkout() {
    killed_when("the checkout", |event| event.starts("git checkout"));
}

#[test]
fn in_pull() {
    killed_when("the pull", |event| event.starts("git pull"));
}

#[test]
fn in_build() {
    killed_when("the build", |event| event.starts("go build"));
}

#[test]
fn in_start() {
    killed_when("the start", |event| event.starts("start container"));
}

#[test]
fn in_clone() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let mut live = host.deploy(&origin).spawn();
    live.wait_for("the clone", |event| event.starts("git clone"));

    live.kill();
    live.ended();

    let run = host.deploy(&origin).run().exited(0);
    assert_eq!(host.answer(), "one", "{}", run.story());
    host.holds(&[&run], &[]);
}

/// Killed between the end of the former one and the beginning of the new one: the only gap that
/// nobody is there to close, until the next command.
#[test]
fn in_the_hand_over() {
    let host = Host::new();
    let port = free_port();
    let publish = ["-p", &format!("127.0.0.1:{port}:8080")];
    let origin = host.origin(&server("one"));
    let first = host.deploy(&origin).args(&publish).run().deployed(FIRST);
    origin.commit(&server("two"), "Say two");
    let mut live = host.deploy(&origin).args(&publish).spawn();
    let stopping = format!("stopping {}", first.container());
    live.wait_for("the hand-over", |event| event.line == stopping);

    live.kill();
    live.ended();

    let status = host.sdp(&["status", host.name(), "--json"]).run().exited(0);
    let mut warnings = status.events.iter();
    let told = warnings.find(|event| event.line.contains("was killed as it handed over to"));
    let told = told.unwrap_or_else(|| panic!("no warning: {}", status.story()));
    let start = format!("`sdp start {}`", host.checkout().display());
    assert!(told.hint.as_ref().unwrap().contains(&start), "{told:?}");
    assert!(told.line.contains(first.container()), "{told:?}");

    origin.commit(&server("three"), "Say three");
    let third = host.deploy(&origin).args(&publish).run().exited(0);
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    assert_eq!(get(address, "/").unwrap(), "three", "{}", third.story());
    assert_eq!(host.running().name, third.container());
    host.is_tidy();
}

/// Killed while the engine waits for a former one that takes its time to end: the engine carries the stop
/// through, and the next command must not take what is about to end for what serves.
#[test]
fn while_the_former_ends_slowly() {
    let host = Host::new();
    let port = free_port();
    let publish = ["-p", &format!("127.0.0.1:{port}:8080")];
    let origin = host.origin(&deaf_server("one"));
    let slow = ["--stop-timeout", "5s", "--restart", "always"];
    let first = host
        .deploy(&origin)
        .args(&publish)
        .args(&slow)
        .run()
        .deployed(FIRST);
    origin.commit(&server("two"), "Say two");
    let proxy = Proxy::new(&host.path("proxy.sock"));
    proxy.arm(("stop", 0), Fault::SilentAfter);
    let deploy = host.deploy(&origin).args(&publish).args(&slow);
    let live = deploy.env("DOCKER_HOST", proxy.address()).spawn();
    proxy.wait_until_struck();
    live.kill();
    live.ended();

    let killed = std::time::UNIX_EPOCH.elapsed().unwrap();
    let start = host.sdp(&["start", host.name(), "--json"]).run().exited(0);

    assert_eq!(host.running().name, first.container(), "{}", start.story());
    let wait = format!("told `{}` to stop: waiting", first.container());
    let is_told = start.events.iter().any(|event| event.line.contains(&wait));
    assert!(is_told, "{}", start.story());
    assert!(
        host.finished_at(first.container()) > killed,
        "the stop is over"
    );
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    assert_eq!(get(address, "/").unwrap(), "one");
}

/// Killed when it is written down that the former one is to be stopped, but before the engine hears of it:
/// what still serves is not started anew.
#[test]
fn before_the_former_is_told_to_end() {
    let host = Host::new();
    let port = free_port();
    let publish = format!("127.0.0.1:{port}:8080");
    let flags = [
        "-p",
        &publish,
        "--stop-timeout",
        "1s",
        "--restart",
        "always",
    ];
    let origin = host.origin(&server("one"));
    let first = host.deploy(&origin).args(&flags).run().deployed(FIRST);
    let former = || {
        let mut containers = host.containers().into_iter();
        let former = containers.find(|container| container.name == first.container());
        former.unwrap()
    };
    let since = former().started_at();
    origin.commit(&server("two"), "Say two");
    let proxy = Proxy::new(&host.path("proxy.sock"));
    proxy.arm(("stop", 0), Fault::Silent);
    let deploy = host.deploy(&origin).args(&flags);
    let live = deploy.env("DOCKER_HOST", proxy.address()).spawn();
    proxy.wait_until_struck();

    live.kill();
    live.ended();

    let start = host.sdp(&["start", host.name(), "--json"]).run().exited(0);
    assert_eq!(host.running().name, first.container(), "{}", start.story());
    assert_eq!(former().started_at(), since, "{}", start.story());
    let policy = former().inspect.host_config.unwrap().restart_policy;
    assert_eq!(policy.unwrap().name, Some(RestartPolicyNameEnum::ALWAYS));
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    assert_eq!(get(address, "/").unwrap(), "one");
    host.is_tidy();
}

/// A connection that hangs would keep ssh alive for as long as the network does.
#[test]
fn in_clone_over_ssh() {
    let host = Host::new();
    let ssh = host.instead_of("ssh", "exec sleep 600");
    let mut live = host
        .deploy_from("ssh://git@127.0.0.1/shop.git")
        .env("PATH", &ssh)
        .spawn();
    live.wait_for("the clone", |event| event.starts("git clone"));
    eventually("ssh runs", || {
        (!host.processes("sleep 600").is_empty()).then_some(())
    });

    live.kill();
    live.ended();

    eventually("ssh ends", || host.processes("").is_empty().then_some(()));
}
