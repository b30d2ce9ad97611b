//! Readers that go, and readers that do not read: the deployment is not theirs to stop.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};

use crate::support::program::server;
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
