//! Published ports: handed over from one container to the next, or held by somebody else.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use crate::support::program::{self, server};
use crate::support::{FIRST, Host, Kind, NEXT, free_port, get};

/// A client that asks without pause and remembers each change of what it is answered.
struct Client {
    enough: Arc<AtomicBool>,
    thread: JoinHandle<Vec<String>>,
}

impl Client {
    fn of(port: u16) -> Client {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let enough = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&enough);
        let thread = std::thread::spawn(move || {
            let mut answers: Vec<String> = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let answer = get(address, "/").unwrap_or_else(|_| "(none)".to_owned());
                if answers.last() != Some(&answer) {
                    answers.push(answer);
                }
            }
            answers
        });
        Client { enough, thread }
    }

    fn answers(self) -> Vec<String> {
        self.enough.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

#[test]
fn published_port_is_handed_over() {
    let host = Host::new();
    let port = free_port();
    let publish = ["-p", &format!("127.0.0.1:{port}:8080")];
    let origin = host.origin(&server("one"));
    let first = host.deploy(&origin).args(&publish).run().deployed(FIRST);
    assert_eq!(
        first.status().ports,
        [format!("127.0.0.1:{port}->8080/tcp")]
    );
    origin.commit(&server("two"), "Say two");
    let client = Client::of(port);

    let second = host.deploy(&origin).args(&publish).run().deployed(NEXT);

    assert_eq!(client.answers(), ["one", "(none)", "two"]);
    let status = second.status();
    assert_eq!(status.ports, [format!("127.0.0.1:{port}->8080/tcp")]);
    assert_eq!(status.replaced.as_deref(), Some(first.container()));
    assert!(status.downtime_ms.unwrap() > 0);
    host.holds(&[&second], &[&first]);
}

/// A release that cannot run costs no gap: it never got as far as the port.
#[test]
fn crash_at_start_does_not_cost_the_port() {
    let host = Host::new();
    let port = free_port();
    let publish = ["-p", &format!("127.0.0.1:{port}:8080")];
    let origin = host.origin(&server("one"));
    let first = host.deploy(&origin).args(&publish).run().deployed(FIRST);
    origin.commit(&program::crash(), "Need a database");
    let client = Client::of(port);

    let second = host.deploy(&origin).args(&publish).run();

    assert_eq!(client.answers(), ["one"]);
    second.failed(6, "crashed", NEXT);
    host.holds(&[&first], &[]);
}

/// Ctrl-C between the end of the former one and the beginning of the new one: the former one is back.
#[test]
fn ctrl_c_in_the_hand_over() {
    let host = Host::new();
    let port = free_port();
    let publish = ["-p", &format!("127.0.0.1:{port}:8080")];
    let origin = host.origin(&server("one"));
    let first = host.deploy(&origin).args(&publish).run().deployed(FIRST);
    origin.commit(&server("two"), "Say two");
    let mut live = host.deploy(&origin).args(&publish).spawn();
    live.wait_for("the hand-over", |event| {
        event.line == format!("stopping {}", first.container())
    });

    live.interrupt();

    let run = live.finish().exited(130);
    assert_eq!(run.status().state, "CANCELLED", "{}", run.story());
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    assert_eq!(get(address, "/").unwrap(), "one");
    host.holds(&[&first], &[]);
}

/// While the former one ends, Ctrl-C can do nothing but wait, and says so.
#[test]
fn ctrl_c_while_the_former_ends_slowly() {
    let host = Host::new();
    let publish = format!("127.0.0.1:{}:8080", free_port());
    let flags = ["-p", &publish, "--stop-timeout", "4s"];
    let origin = host.origin(&program::deaf_server("one"));
    let first = host.deploy(&origin).args(&flags).run().deployed(FIRST);
    origin.commit(&server("two"), "Say two");
    let mut live = host.deploy(&origin).args(&flags).spawn();
    live.wait_for("the hand-over", |event| {
        event.line == format!("stopping {}", first.container())
    });

    live.interrupt();

    let waits = format!("waiting until `{}` has stopped", first.container());
    live.wait_for("what it waits for", |event| {
        event.kind == Kind::Warning && event.line.contains(&waits)
    });
    live.finish().exited(130);
    assert_eq!(host.running().name, first.container());
}

#[test]
fn port_that_the_engine_picks() {
    let host = Host::new();
    let origin = host.origin(&server("one"));

    let run = host.deploy(&origin).args(&["-p", "127.0.0.1::8080"]).run();

    let run = run.deployed(FIRST);
    let [port] = run.status().ports.as_slice() else {
        panic!("not one port: {}", run.story());
    };
    let address = port.strip_suffix("->8080/tcp").unwrap().parse().unwrap();
    assert_eq!(get(address, "/").unwrap(), "one");
    host.holds(&[&run], &[]);
}

/// Nobody would reach it through the published port, where the former one is reached.
#[test]
fn listener_beside_the_published_port() {
    let host = Host::new();
    let port = free_port();
    let publish = format!("127.0.0.1:{port}:8080");
    let quick = ["--settle", "300ms", "--health-timeout", "2s"];
    let origin = host.origin(&server("one"));
    let deploy = |more: &[&str]| host.deploy(&origin).args(&quick).args(more).run();
    let first = deploy(&["-p", &publish]).deployed(FIRST);
    let source = program::server_source("two", ":8081", "");
    origin.commit(&program::module(&[("main.go", &source)]), "Move");
    let client = Client::of(port);

    let second = deploy(&["-p", &publish]);

    assert_eq!(client.answers(), ["one"]);
    let second = second.failed(6, "unhealthy", NEXT);
    let problem = second.problem();
    let said = "the program listens on port 8081, not on 8080";
    assert!(problem.message.contains(said), "{problem:?}");
    let hint = problem.hint.as_deref().unwrap();
    let way_out = format!("`--port 8081 -p 127.0.0.1:{port}:8081/tcp`");
    assert!(hint.contains(&way_out), "{hint}");
    let remarks = second.remarks("health check");
    assert!(
        remarks.contains(&said),
        "before the time is up: {remarks:?}"
    );
    host.holds(&[&first], &[]);

    // Where it is not published, it may serve otherwise.
    let third = deploy(&[]).deployed(NEXT);
    assert!(third.stdout.contains(said), "{}", third.story());
    let publish = format!("127.0.0.1:{port}:8081");
    deploy(&["--port", "8081", "-p", &publish]).deployed(NEXT);
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    assert_eq!(get(address, "/").unwrap(), "two");
}

#[test]
fn published_port_is_waited_for() {
    let host = Host::new();
    let publish = ["-p", &format!("127.0.0.1:{}:8080", free_port())];
    let origin = host.origin(&program::slow_server("one", "time.Second"));
    let deploy = |more: &[&str]| {
        let deploy = host.deploy(&origin).args(&publish);
        deploy.args(&["--settle", "200ms"]).args(more).run()
    };

    let first = deploy(&[]).deployed(FIRST);

    let remarks = first.remarks("health check");
    assert!(remarks.contains(&"port 8080 answers"), "{remarks:?}");
    origin.commit(&program::worker(), "Listen on nothing");
    let second = deploy(&["--health-timeout", "1s"]).failed(6, "unhealthy", NEXT);
    let problem = second.problem();
    assert!(problem.message.contains("port 8080"), "{problem:?}");
    assert!(!problem.detail.is_empty(), "{problem:?}");
    assert_eq!(host.answer(), "one");
    host.holds(&[&first], &[]);
}

/// A program that must not run twice is stopped before the new one starts, port in common or not.
#[test]
fn never_two_at_once() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let first = host.deploy(&origin).run().deployed(FIRST);
    origin.commit(&program::crash(), "Need a database");

    let second = host.deploy(&origin).args(&["--no-canary"]).run();

    second.failed(6, "crashed", NEXT);
    assert_eq!(host.answer(), "one", "it is back");
    host.holds(&[&first], &[]);
    origin.commit(&server("three"), "Mend it");
    let third = host.deploy(&origin).args(&["--no-canary"]).run();
    let third = third.deployed(NEXT);
    assert!(third.status().downtime_ms.unwrap() > 0);
    assert_eq!(host.answer(), "three");
    host.holds(&[&third], &[&first]);
}

#[test]
fn port_taken_by_a_container() {
    let host = Host::new();
    let port = free_port();
    let stranger = host.stranger(port);
    let origin = host.origin(&server("one"));
    let first = host.deploy(&origin).run().deployed(FIRST);
    origin.commit(&server("two"), "Say two");

    let run = host
        .deploy(&origin)
        .args(&["-p", &format!("127.0.0.1:{port}:8080")])
        .run();

    let run = run.failed(6, "port_taken", &[]); // known before anything starts
    let problem = format!("{:?}", run.problem());
    assert!(problem.contains(&stranger), "{problem}");
    assert!(problem.contains(&port.to_string()), "{problem}");
    assert_eq!(host.answer(), "one");
    host.holds(&[&first], &[]);
}

#[test]
fn port_taken_by_another_service() {
    let neighbour = Host::new();
    let publish = format!("127.0.0.1:{}:8080", free_port());
    let theirs = neighbour.deploy(&neighbour.origin(&server("theirs")));
    theirs.args(&["-p", &publish]).run().deployed(FIRST);
    let host = Host::new();
    let deploy = host.deploy(&host.origin(&server("one")));

    let run = deploy.args(&["-p", &publish]).run();

    let run = run.failed(6, "port_taken", &[]);
    let stop = format!("`sdp stop {}`", neighbour.checkout().display());
    let hint = run.problem().hint.as_deref().unwrap();
    assert!(hint.contains(&stop), "{hint}");
    assert_eq!(neighbour.answer(), "theirs");
}

#[test]
fn port_taken_by_a_process() {
    let host = Host::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let origin = host.origin(&server("one"));

    let run = host
        .deploy(&origin)
        .args(&["-p", &format!("127.0.0.1:{port}:8080")])
        .run();

    let run = run.failed(6, "port_taken", &FIRST[..6]);
    assert!(run.problem().message.contains(&port.to_string()));
    host.holds(&[], &[]);
}
