//! Readers that go, and readers that do not read: the deployment is not theirs to stop.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};

use crate::support::program::{server, worker};
use crate::support::{Container, Event, FIRST, Host, Kind, eventually, get};

fn piped(mut command: Command) -> std::process::Child {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command.spawn().unwrap()
}

#[test]
fn a_reader_that_has_what_it_wants_stops_nothing() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    host.deploy(&origin).run().deployed(FIRST);
    for (answer, flags) in [
        ("two", &["--json"][..]),
        ("three", &["--verbose"]),
        ("four", &[]),
    ] {
        origin.commit(&server(answer), answer);
        let command = ["deploy", host.name()];
        let sdp = host.sdp(&command).args(flags).raw();
        let mut child = piped(sdp.into_command());
        let mut reader = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        assert!(line.contains("git fetch"), "{line}");
        drop(reader);
        let status = eventually("the end of sdp", || child.try_wait().unwrap());
        assert_eq!(status.code(), Some(0), "{flags:?}");
        assert_eq!(host.answer(), answer);
    }
}

#[test]
fn a_reader_that_does_not_read_holds_up_nothing_but_the_report() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    host.deploy(&origin).run().deployed(FIRST);
    origin.commit(&server("two"), "two");
    // More than any pipe holds.
    let talkative = host.instead_of(
        "go",
        "PATH=${PATH#*:}\n[ \"$1\" = build ] && yes 'not a package' | head -n 20000 >&2\nexec go \"$@\"",
    );
    let sdp = host
        .sdp(&["deploy", host.name(), "--json"])
        .env("PATH", &talkative)
        .raw();
    let mut child = piped(sdp.into_command());
    eventually("the new release serves alone", || {
        let mut running = host.containers();
        running.retain(Container::is_running);
        let [only] = &running[..] else { return None };
        let answer = get(only.address(8080), "/").ok()?;
        (answer == "two").then_some(())
    });
    let mut text = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    let last = Event::parse(text.lines().last().unwrap());
    assert_eq!(
        (last.kind, last.exit_code),
        (Kind::Status, Some(0)),
        "{last:?}"
    );
    assert!(text.lines().count() > 20_000);
    let status = eventually("the end of sdp", || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));
}

/// What only shows something ends when nobody looks; docker's own command does so, too.
#[test]
fn following_ends_with_its_reader() {
    let host = Host::new();
    let origin = host.origin(&worker());
    host.deploy(&origin).run().deployed(FIRST);
    for flags in [&["-f"][..], &["-f", "--json"]] {
        let sdp = host.sdp(&["logs", host.name()]).args(flags).raw();
        let mut child = piped(sdp.into_command());
        let mut reader = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        drop(reader);
        let status = eventually("the end of sdp", || child.try_wait().unwrap());
        assert_eq!(status.code(), Some(0), "{flags:?}");
    }
}

/// A full disk is no reader that has what it wanted.
#[test]
fn output_that_cannot_be_written_is_an_error() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    host.deploy(&origin).run().deployed(FIRST);
    for (arguments, code) in [
        (&["logs"][..], 3),
        (&["status", "--json"], 3),
        // What it did, it did.
        (&["deploy"], 0),
        (&["completions"], 3),
    ] {
        let full = std::fs::File::options()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let (first, rest) = arguments.split_first().unwrap();
        let object = if *first == "completions" {
            "bash"
        } else {
            host.name()
        };
        let mut command = host.sdp(&[first, object]).args(rest).raw().into_command();
        let output = command.stdout(full).stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains("standard output"), "{arguments:?}: {said}");
    }
}
