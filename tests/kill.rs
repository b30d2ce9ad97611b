//! `kill -9` and SIGTERM at every event of a deployment over an existing one, and of a rollback.
//!
//! One host goes through every other event of the list, so that two tests share the time.

use std::net::SocketAddr;

use crate::support::program::{self, server};
use crate::support::{FIRST, Host, Live, NEXT, Origin, Run, Sdp, free_port, get, within};

#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Sigkill,
    Sigterm,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Port {
    None,
    Published(u16),
}

impl Port {
    fn published() -> Port {
        Port::Published(free_port())
    }

    fn arguments(self) -> Vec<String> {
        match self {
            Port::None => Vec::new(),
            Port::Published(port) => vec!["-p".to_owned(), format!("127.0.0.1:{port}:8080")],
        }
    }
}

/// A service that is deployed again and again, each time with another answer.
struct Service {
    host: Host,
    origin: Origin,
    port: Port,
    round: usize,
    /// What serves, and what it answers.
    last: Run,
    serving: String,
}

impl Service {
    fn new(port: Port) -> Service {
        let host = Host::new();
        let origin = host.origin(&server("0"));
        let last = host
            .deploy(&origin)
            .args(&borrowed(&port.arguments()))
            .run()
            .deployed(FIRST);
        Service {
            host,
            origin,
            port,
            round: 0,
            last,
            serving: "0".to_owned(),
        }
    }

    fn deploy(&self) -> Sdp {
        // What a killed run may have told to stop is waited for so long.
        self.host
            .deploy(&self.origin)
            .args(&borrowed(&self.port.arguments()))
            .args(&["--stop-timeout", "1s"])
    }

    /// A commit that answers something new.
    fn change(&mut self) {
        self.round += 1;
        let answer = self.round.to_string();
        self.origin.commit(&server(&answer), &answer);
    }

    /// Deploys to the end: nothing that was done before is in its way.
    fn complete(&mut self) {
        let run = self.deploy().run().deployed(NEXT);
        self.host.is_settled(&run);
        self.now_serves(run);
    }

    fn now_serves(&mut self, run: Run) {
        self.last = run;
        self.serving = self.round.to_string();
        assert_eq!(self.answer(), self.serving);
    }

    /// What a client is answered.
    fn answer(&self) -> String {
        match self.port {
            Port::None => self.host.answer(),
            Port::Published(port) => {
                get(SocketAddr::from(([127, 0, 0, 1], port)), "/").expect("an answer")
            }
        }
    }

    /// The container that ran before the fault still does, and answers at its own address.
    fn former_answers(&self) {
        let containers = self.host.containers();
        let former = containers
            .iter()
            .find(|container| container.name == self.last.container())
            .expect("the former container is there");
        assert!(former.is_running(), "the former is {}", former.state());
        assert_eq!(get(former.address(8080), "/").unwrap(), self.serving);
        if let Port::Published(port) = self.port {
            let address = SocketAddr::from(([127, 0, 0, 1], port));
            assert_eq!(get(address, "/").unwrap(), self.serving);
        }
    }
}

fn borrowed(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

/// Whether the run told that it was about to stop what served before.
fn handed_over(run: &Run, former: &str) -> bool {
    let stopping = format!("stopping {former}");
    run.events
        .iter()
        .any(|event| event.line.ends_with(&stopping))
}

fn strike(live: &Live, by: By) {
    match by {
        By::Sigkill => live.kill(),
        By::Sigterm => live.terminate(),
    }
}

/// Goes through the first, third, … or the second, fourth, … event of a deployment.
fn at_every_other_event(by: By, port: Port, first: usize) {
    let mut service = Service::new(port);
    service.change();
    service.complete();
    let events = service.last.events.len();
    for count in (first..=events).step_by(2) {
        service.change();
        let mut live = service.deploy().spawn();
        if live.read(count) {
            strike(&live, by);
        }
        match by {
            By::Sigkill => after_sigkill(&mut service, &live.ended()),
            By::Sigterm => after_sigterm(&mut service, live.finish()),
        }
    }
    service.complete();
}

fn after_sigkill(service: &mut Service, run: &Run) {
    // What sdp does is written down before, while its last words may be lost with it.
    let handed_over = service.host.checkout().join(".sdp/handover.json").exists()
        || handed_over(run, service.last.container());
    if handed_over && service.port == Port::None {
        // The former one is only stopped when the new one is proven.
        let now = [service.serving.clone(), service.round.to_string()];
        let answers = service.host.containers().iter().any(|container| {
            container.is_running()
                && get(container.address(8080), "/").is_ok_and(|answer| now.contains(&answer))
        });
        assert!(answers, "nothing serves, after {}", run.story());
    } else if !handed_over {
        service.former_answers();
    }
    service.complete();
}

fn after_sigterm(service: &mut Service, run: Run) {
    match run.code {
        0 => service.now_serves(run),
        143 => {
            let outcome = run.status().outcome.as_deref();
            assert_eq!(outcome, Some("cancelled"), "{}", run.story());
            service.former_answers();
        }
        _ => panic!("neither cancelled nor deployed: {}", run.story()),
    }
    service.host.serves_alone(service.last.container());
}

#[test]
fn sigkill_at_odd_events() {
    at_every_other_event(By::Sigkill, Port::None, 1);
}

#[test]
fn sigkill_at_even_events() {
    at_every_other_event(By::Sigkill, Port::None, 2);
}

#[test]
fn sigkill_at_odd_events_with_a_port() {
    at_every_other_event(By::Sigkill, Port::published(), 1);
}

#[test]
fn sigkill_at_even_events_with_a_port() {
    at_every_other_event(By::Sigkill, Port::published(), 2);
}

#[test]
fn sigterm_at_odd_events() {
    at_every_other_event(By::Sigterm, Port::None, 1);
}

#[test]
fn sigterm_at_even_events() {
    at_every_other_event(By::Sigterm, Port::None, 2);
}

#[test]
fn sigterm_at_odd_events_with_a_port() {
    at_every_other_event(By::Sigterm, Port::published(), 1);
}

#[test]
fn sigterm_at_even_events_with_a_port() {
    at_every_other_event(By::Sigterm, Port::published(), 2);
}

/// Each rollback goes to the other one of two releases, until one is killed; the next one needs no help.
fn in_rollbacks(port: Port) {
    let mut service = Service::new(port);
    let old = service.last.deployment().to_owned();
    service.change();
    service.complete();
    let new = service.last.deployment().to_owned();
    let rollback = |service: &Service, to: &str| {
        let arguments = ["rollback", service.host.name(), "--to", to, "--json"];
        service.host.sdp(&arguments)
    };
    let complete = rollback(&service, &old).run().exited(0);
    let mut serving = (old, "0");
    let mut other = (new, "1");
    for count in 1..=complete.events.len() {
        let mut live = rollback(&service, &other.0).spawn();
        if live.read(count) {
            live.kill();
        }
        let run = live.ended();
        let former = format!("sdp-{}-{}", service.host.name(), serving.0);
        let begun = service.host.checkout().join(".sdp/handover.json").exists();
        if !begun && !handed_over(&run, &former) {
            let containers = service.host.containers();
            let former = containers.iter().find(|c| c.name == former).unwrap();
            assert_eq!(get(former.address(8080), "/").unwrap(), serving.1);
        }

        let next = rollback(&service, &other.0).run().exited(0);

        service.host.is_settled(&next);
        assert_eq!(service.answer(), other.1, "{}", next.story());
        std::mem::swap(&mut serving, &mut other);
    }
    service.complete();
}

#[test]
fn sigkill_in_rollbacks() {
    in_rollbacks(Port::None);
}

#[test]
fn sigkill_in_rollbacks_with_a_port() {
    in_rollbacks(Port::published());
}

/// A compiler that outlives sdp must not put its program in place of a later one.
#[test]
fn sigkill_while_the_compiler_runs() {
    let mut service = Service::new(Port::None);
    service.origin.commit(&program::slow_to_compile(), "Slow");
    let mut live = service.deploy().spawn();
    live.wait_for("the build", |event| event.starts("go build"));
    within(crate::support::PATIENCE, "the compiler runs", || {
        (!service.host.processes("/compile ").is_empty()).then_some(())
    });
    live.kill();
    live.ended();
    service.former_answers();
    service.change();
    service.complete();
}
