//! What a client that asks every millisecond sees of a deployment, a failed one and a rollback.

use std::time::Duration;

use crate::support::program::{self, server};
use crate::support::{Asked, Client, FIRST, Host, NEXT, Run, free_port};

/// sdp asks the new program every 50 ms at the latest; the rest is for a busy machine.
const TOLERANCE: Duration = Duration::from_millis(100);

fn without_a_failed_request(asked: &Asked, answers: &[&str]) {
    assert_eq!(asked.answers, answers, "{asked:?}");
    assert!(asked.failed.is_empty(), "{asked:?}");
    assert!(asked.requests > 20, "{asked:?}");
}

/// sdp counts from its stop call on, the client from when the program is gone. The time between the
/// two is the engine's, and the engine tells when the program was gone.
fn gap_is_what_was_said(host: &Host, asked: &Asked, run: &Run) {
    let told = Duration::from_millis(run.status().downtime_ms.unwrap());
    let seen = asked.gap;
    let former = run.status().replaced.as_ref().unwrap();
    let stopping = format!("stopping {former}");
    let stop = run.events.iter().find(|event| event.line == stopping);
    let gone = host.finished_at(former);
    let lead = gone.saturating_sub(Duration::from_millis(stop.unwrap().at));
    assert!(seen < told + TOLERANCE, "told {told:?}, seen {seen:?}");
    assert!(
        told < seen + lead + TOLERANCE,
        "told {told:?}, seen {seen:?} from {lead:?} after the stop on"
    );
}

fn publish(port: u16) -> [String; 2] {
    ["-p".to_owned(), format!("127.0.0.1:{port}:8080")]
}

#[test]
fn no_gap_without_a_port_in_common() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let first = host.deploy(&origin).run().deployed(FIRST);
    origin.commit(&server("two"), "Say two");
    let client = Client::of_containers(&host);

    let second = host.deploy(&origin).run().deployed(NEXT);

    without_a_failed_request(&client.finish(), &["one", "two"]);
    assert_eq!(second.status().downtime_ms, Some(0));
    let client = Client::of_containers(&host);

    let back = host.sdp(&["rollback", host.name(), "--json"]).run();

    without_a_failed_request(&client.finish(), &["two", "one"]);
    assert_eq!(back.exited(0).status().downtime_ms, Some(0));
    host.holds(&[&first], &[&second]);
}

#[test]
fn no_gap_from_a_release_that_crashes() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let first = host.deploy(&origin).run().deployed(FIRST);
    origin.commit(&program::crash(), "Need a database");
    let client = Client::of_containers(&host);

    host.deploy(&origin).run().failed(6, "crashed", NEXT);

    without_a_failed_request(&client.finish(), &["one"]);
    host.holds(&[&first], &[]);
}

#[test]
fn gap_of_a_port_in_common() {
    let host = Host::new();
    let port = free_port();
    let publish = publish(port);
    let publish = publish.each_ref().map(String::as_str);
    let origin = host.origin(&server("one"));
    let first = host.deploy(&origin).args(&publish).run().deployed(FIRST);
    origin.commit(&server("two"), "Say two");
    let client = Client::through_the_gap(port);

    let second = host.deploy(&origin).args(&publish).run().deployed(NEXT);

    let asked = client.finish();
    assert_eq!(asked.answers, ["one", "two"]);
    gap_is_what_was_said(&host, &asked, &second);
    let client = Client::through_the_gap(port);

    let back = host.sdp(&["rollback", host.name(), "--json"]).run();

    let asked = client.finish();
    assert_eq!(asked.answers, ["two", "one"]);
    gap_is_what_was_said(&host, &asked, &back.exited(0));
    host.holds(&[&first], &[&second]);
}

/// Proven or not in the canary: the port is never given up for it.
#[test]
fn no_gap_from_a_release_that_crashes_with_a_port_in_common() {
    let host = Host::new();
    let port = free_port();
    let publish = publish(port);
    let publish = publish.each_ref().map(String::as_str);
    let origin = host.origin(&server("one"));
    let first = host.deploy(&origin).args(&publish).run().deployed(FIRST);
    origin.commit(&program::crash(), "Need a database");
    let client = Client::of_port(port);

    let failed = host.deploy(&origin).args(&publish).run();

    without_a_failed_request(&client.finish(), &["one"]);
    let failed = failed.failed(6, "crashed", NEXT);
    assert_eq!(failed.status().downtime_ms, Some(0));
    host.holds(&[&first], &[]);
}

/// The new release binds its port 400 ms after it started: that much longer is the gap, and it is told.
#[test]
fn gap_of_a_slow_start() {
    let host = Host::new();
    let port = free_port();
    let publish = publish(port);
    let publish = publish.each_ref().map(String::as_str);
    let origin = host.origin(&server("one"));
    let first = host.deploy(&origin).args(&publish).run().deployed(FIRST);
    let slow = program::slow_server("two", "400 * time.Millisecond");
    origin.commit(&slow, "Take time");
    let client = Client::through_the_gap(port);

    let second = host.deploy(&origin).args(&publish).run().deployed(NEXT);

    let asked = client.finish();
    assert_eq!(asked.answers, ["one", "two"]);
    assert!(asked.gap > Duration::from_millis(400), "{asked:?}");
    gap_is_what_was_said(&host, &asked, &second);
    host.holds(&[&second], &[&first]);
}
