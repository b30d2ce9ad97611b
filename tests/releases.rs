//! Releases that are kept: gone back to, started again, left alone, removed.

use std::fs;

use crate::support::program::server;
use crate::support::{FIRST, Host, NEXT, listing};

const SWITCH: &[&str] = &["start container", "health check"];

#[test]
fn back_and_forth() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let first = host.deploy(&origin).run().deployed(FIRST);
    origin.commit(&server("two"), "Say two");
    let second = host.deploy(&origin).run().deployed(NEXT);

    let back = host.sdp(&["rollback", host.name(), "--json"]).run();

    let back = back.deployed(SWITCH);
    assert_eq!(back.container(), first.container());
    assert_eq!(back.status().replaced.as_deref(), Some(second.container()));
    assert_eq!(back.status().commit, first.status().commit);
    assert_eq!(host.answer(), "one");
    host.holds(&[&first], &[&second]);

    let forth = [
        "rollback",
        host.name(),
        "--json",
        "--to",
        second.deployment(),
    ];
    host.sdp(&forth).run().deployed(SWITCH);
    assert_eq!(host.answer(), "two");
    host.holds(&[&second], &[&first]);
}

#[test]
fn back_to_nothing() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let first = host.deploy(&origin).run().deployed(FIRST);

    let run = host
        .sdp(&["rollback", host.name(), "--json"])
        .run()
        .exited(2);

    assert_eq!(run.problem().code, "no_release", "{}", run.story());
    assert_eq!(host.answer(), "one");
    host.holds(&[&first], &[]);
}

/// A release that has lost its files cannot run again; what serves goes on.
#[test]
fn back_to_a_release_that_is_gone() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let first = host.deploy(&origin).run().deployed(FIRST);
    let second = host.deploy(&origin).run().deployed(NEXT);
    let releases = host.checkout().join(".sdp/releases");
    fs::remove_dir_all(releases.join(first.deployment())).unwrap();

    let run = host.sdp(&["rollback", host.name(), "--json"]).run();

    assert_eq!(run.status().state, "FAILED", "{}", run.story());
    assert_eq!(host.running().name, second.container());
    assert_eq!(host.answer(), "one");
}

/// `sdp start` cannot be told which one: what can be is named.
#[test]
fn start_of_a_release_that_is_gone() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let first = host.deploy(&origin).run().deployed(FIRST);
    let second = host.deploy(&origin).run().deployed(NEXT);
    host.sdp(&["stop", host.name()]).run().exited(0);
    let releases = host.checkout().join(".sdp/releases");
    fs::remove_dir_all(releases.join(second.deployment())).unwrap();

    let run = host.sdp(&["start", host.name(), "--json"]).run().exited(2);

    assert_eq!(run.problem().code, "no_release", "{}", run.story());
    let path = host.checkout().display().to_string();
    let (id, hint) = (first.deployment(), run.problem().hint.as_deref().unwrap());
    assert_eq!(
        hint,
        format!("`sdp rollback {path} --to ID` takes one of {id}")
    );
    let back = host.sdp(&["rollback", &path, "--to", id, "--json"]).run();
    assert_eq!(back.exited(0).container(), first.container());
}

#[test]
fn stopped_and_started_again() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let first = host.deploy(&origin).run().deployed(FIRST);
    host.sdp(&["stop", host.name()]).run().exited(0);

    let run = host.sdp(&["start", host.name(), "--json"]).run();

    let run = run.deployed(SWITCH);
    assert_eq!(run.container(), first.container());
    assert_eq!(host.answer(), "one");
    host.holds(&[&first], &[]);

    let again = host.sdp(&["start", host.name(), "--json"]).run().exited(0);
    assert_eq!(again.status().outcome.as_deref(), Some("unchanged"));
    host.holds(&[&first], &[]);
}

#[test]
fn only_if_changed() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let if_changed = || host.deploy(&origin).args(&["--if-changed"]);
    let first = if_changed().run().deployed(FIRST);

    let second = if_changed().run().exited(0);

    assert_eq!(second.status().outcome.as_deref(), Some("unchanged"));
    assert_eq!(second.container(), first.container());
    host.holds(&[&first], &[]);

    let third = if_changed()
        .args(&["-e", "LEVEL=debug"])
        .run()
        .deployed(NEXT);
    assert_eq!(host.ask("/env?LEVEL"), "debug");
    host.holds(&[&third], &[&first]);
}

#[test]
fn untracked_files_that_the_release_takes_along() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    host.deploy(&origin).run().deployed(FIRST);
    let checkout = host.checkout();
    fs::create_dir_all(checkout.join("generated/deep")).unwrap();
    fs::write(checkout.join("generated/deep/page.html"), "<p>").unwrap();
    fs::write(checkout.join("secret.txt"), "no").unwrap();

    let run = host
        .deploy(&origin)
        .args(&["--include", "generated/**"])
        .run();

    let run = run.deployed(NEXT);
    let release = checkout.join(".sdp/releases").join(run.deployment());
    assert!(release.join("generated/deep/page.html").is_file());
    assert!(!release.join("secret.txt").exists());
}

#[test]
fn pruned() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let first = host.deploy(&origin).run().deployed(FIRST);
    let second = host.deploy(&origin).run().deployed(NEXT);
    let third = host.deploy(&origin).run().deployed(NEXT);

    let dry = ["prune", host.name(), "--keep", "2", "--dry-run"];
    let dry = host.sdp(&dry).run().exited(0);
    assert!(!dry.stdout.is_empty());
    host.holds(&[&third], &[&first, &second]);

    host.sdp(&["prune", host.name(), "--keep", "2"])
        .run()
        .exited(0);
    host.holds(&[&third], &[&second]);
}

/// A pipeline's number may be the id of a release of each of its services.
#[test]
fn pruned_beside_a_release_of_the_same_id() {
    let (host, other) = (Host::new(), Host::new());
    let id = format!("{}-7", host.name());
    let origin = host.origin(&server("one"));
    let deploy = || host.deploy(&origin).args(&["--keep", "1"]);
    deploy().args(&["--id", &id]).run().deployed(FIRST);
    let beside = other.deploy(&other.origin(&server("two")));
    let beside = beside.args(&["--id", &id]).run().deployed(FIRST);

    let second = deploy().run().deployed(NEXT);

    host.holds(&[&second], &[]);
    other.holds(&[&beside], &[]);
}

/// `--lock-wait` has patience where a deployment without it is told to come again.
#[test]
fn waits_for_the_lock() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let first = host.deploy(&origin).run().deployed(FIRST);
    origin.commit(
        &crate::support::program::slow_server("two", "2 * time.Second"),
        "Take time",
    );
    let mut slow = host.deploy(&origin).args(&["--health-http", "/"]).spawn();
    slow.wait_for("the health check", |event| event.starts("health check"));

    let waiting = host
        .deploy(&origin)
        .args(&["--lock-wait", "1m", "--health-http", "/"]);
    let third = waiting.run().deployed(NEXT);

    let second = slow.finish().deployed(NEXT);
    assert_eq!(third.status().replaced.as_deref(), Some(second.container()));
    host.holds(&[&third], &[&first, &second]);
}

/// Files that did not change between two releases are on the disk once.
#[test]
fn unchanged_files_are_shared() {
    use std::os::unix::fs::MetadataExt as _;
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let first = host.deploy(&origin).run().deployed(FIRST);
    origin.commit(&server("two"), "Say two");
    let second = host.deploy(&origin).run().deployed(NEXT);

    let releases = host.checkout().join(".sdp/releases");
    let inode = |id: &str, file: &str| fs::metadata(releases.join(id).join(file)).unwrap().ino();
    let same = |file| inode(first.deployment(), file) == inode(second.deployment(), file);
    assert!(same("go.mod"));
    assert!(!same("main.go"));
    assert_eq!(listing(&releases.join(first.deployment())).len(), 3);
}
