//! Calls to the engine that go wrong, each in turn: the exit code is honest, what served serves, and the
//! next deployment through the real socket needs no help.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::support::program::server;
use crate::support::{Call, FIRST, Fault, Host, NEXT, Origin, Proxy, Run, Sdp, free_port, get};

/// A service behind a host port whose deployments go through a proxy.
struct Service {
    host: Host,
    origin: Origin,
    proxy: Proxy,
    publish: Option<String>,
    address: Option<SocketAddr>,
    /// Releases go to volumes.
    is_uploaded: bool,
    round: usize,
    /// What serves, and what it answers.
    last: Run,
    serving: String,
}

impl Service {
    fn new(port: Option<u16>) -> Service {
        let host = Host::new();
        let origin = host.origin(&server("here"));
        let publish = port.map(|port| format!("127.0.0.1:{port}:8080"));
        let proxy = Proxy::new(&host.path("engine.sock"));
        let last = deploy(&host, &origin, publish.as_deref(), 0)
            .run()
            .deployed(FIRST);
        Service {
            address: port.map(|port| SocketAddr::from(([127, 0, 0, 1], port))),
            serving: "0".to_owned(),
            is_uploaded: false,
            round: 0,
            host,
            origin,
            proxy,
            publish,
            last,
        }
    }

    fn deploy(&self) -> Sdp {
        let publish = self.publish.as_deref();
        let deploy = deploy(&self.host, &self.origin, publish, self.round);
        if self.is_uploaded {
            deploy.args(&["--deliver", "upload"])
        } else {
            deploy
        }
    }

    fn deploy_through_the_proxy(&self) -> Sdp {
        self.deploy().env("DOCKER_HOST", self.proxy.address())
    }

    /// All calls of a deployment that nothing happens to.
    fn calls(&mut self) -> Vec<Call> {
        self.round += 1;
        let run = self.deploy_through_the_proxy().run().deployed(NEXT);
        self.host.is_settled(&run);
        self.now_serves(run);
        self.proxy.calls()
    }

    fn now_serves(&mut self, run: Run) {
        self.last = run;
        self.serving = self.round.to_string();
        self.answers();
    }

    /// What is said to serve answers: at the host port, else at the container's own address.
    fn answers(&self) {
        let containers = self.host.containers();
        let serving = containers
            .iter()
            .find(|container| container.name == self.last.container())
            .expect("the container is there");
        assert!(serving.is_running(), "it is {}", serving.state());
        let address = self.address.unwrap_or_else(|| serving.address(8080));
        assert_eq!(get(address, "/env?ROUND").unwrap(), self.serving);
    }

    /// What the run said of itself is so.
    fn is_honest(&mut self, run: Run, what: (Call, Fault)) {
        let story = run.story();
        match (run.status().outcome.as_deref(), run.code) {
            (Some("deployed"), 0) => self.now_serves(run),
            (Some("failed_old_serving"), 3 | 6) | (Some("cancelled"), 143) => {
                self.answers();
                let serves = run.status().container.as_deref();
                assert!(
                    serves.is_none_or(|name| name == self.last.container()),
                    "{story}"
                );
            }
            (Some("failed_down"), 7) => {
                assert_eq!(what.1, Fault::Gone, "nothing kept it down: {story}");
                let hint = run.problem().hint.as_deref().unwrap_or_default();
                assert!(hint.starts_with("`sdp start "), "{story}");
            }
            other => panic!("{what:?}: {other:?}: {story}"),
        }
    }

    /// The next deployment needs no help.
    fn recovers(&mut self) {
        let run = self.deploy().run().deployed(NEXT);
        self.host.is_settled(&run);
        self.now_serves(run);
        let containers = self.host.containers();
        let volumes = containers.iter().filter_map(|c| c.label("sdp.volume"));
        let volumes = volumes.filter(|name| !name.is_empty());
        let volumes: BTreeSet<&str> = volumes.collect();
        assert!(
            self.host.volumes().iter().eq(volumes),
            "no other volume is left"
        );
    }
}

/// A deployment that tells its program which one it is: the same commit, so that git and go cost little.
fn deploy(host: &Host, origin: &Origin, publish: Option<&str>, round: usize) -> Sdp {
    let deploy = host.deploy(origin).args(&["-e", &format!("ROUND={round}")]);
    match publish {
        Some(publish) => deploy.args(&["-p", publish]),
        None => deploy,
    }
}

/// Every call of a deployment goes wrong, one after the other.
fn at_every_call(fault: Fault, port: Option<u16>) {
    at_every_call_of(Service::new(port), fault);
}

fn at_every_call_of(mut service: Service, fault: Fault) {
    for call in service.calls() {
        service.round += 1;
        service.proxy.arm(call, fault);

        let run = service.deploy_through_the_proxy().run();

        service.is_honest(run, (call, fault));
        service.recovers();
    }
}

#[test]
fn cut_before_every_call_without_a_port() {
    at_every_call(Fault::CutBefore, None);
}

#[test]
fn cut_after_every_call() {
    at_every_call(Fault::CutAfter, Some(free_port()));
}

#[test]
fn cut_after_every_call_without_a_port() {
    at_every_call(Fault::CutAfter, None);
}

#[test]
fn cut_after_every_call_of_an_upload() {
    let service = Service {
        is_uploaded: true,
        ..Service::new(None)
    };
    at_every_call_of(service, Fault::CutAfter);
}

#[test]
fn gone_from_every_call_on() {
    at_every_call(Fault::Gone, Some(free_port()));
}

#[test]
fn gone_from_every_call_on_without_a_port() {
    at_every_call(Fault::Gone, None);
}

#[test]
fn error_to_every_call() {
    at_every_call(Fault::Error, Some(free_port()));
}

/// A reply that never comes: SIGTERM ends the wait for it.
fn silent(call: Call, fault: Fault, port: Option<u16>) {
    let mut service = Service::new(port);
    service.round += 1;
    service.proxy.arm(call, fault);
    let live = service.deploy_through_the_proxy().spawn();
    service.proxy.wait_until_struck();
    let begun = Instant::now();

    live.terminate();

    let run = live.finish();
    let took = begun.elapsed();
    assert_eq!(run.code, 143, "{}", run.story());
    service.is_honest(run, (call, fault));
    // The time that a stop may take, and a grace for each call of the way back.
    assert!(took < Duration::from_secs(40), "it took {took:?}");
    service.recovers();
}

#[test]
fn no_reply_to_create() {
    silent(("create", 0), Fault::Silent, None);
}

#[test]
fn no_reply_to_create_that_worked() {
    silent(("create", 0), Fault::SilentAfter, None);
}

#[test]
fn no_reply_to_start() {
    silent(("start", 0), Fault::Silent, None);
}

#[test]
fn no_reply_to_start_that_worked() {
    silent(("start", 0), Fault::SilentAfter, None);
}

/// The former container is asked to stop, and stops, and nobody hears of it.
#[test]
fn no_reply_to_stop_in_the_hand_over() {
    silent(("stop", 0), Fault::SilentAfter, Some(free_port()));
}
