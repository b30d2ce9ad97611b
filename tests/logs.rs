//! The program's output: followed after a deployment, asked for later, cut off by its reader.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use crate::support::program::{self, server};
use crate::support::{FIRST, Host, Kind};

#[test]
fn follow_until_ctrl_c() {
    let host = Host::new();
    let origin = host.origin(&program::worker());
    let mut live = host.deploy(&origin).args(&["--follow"]).spawn();
    live.wait_for("a line of the program", |event| {
        event.kind == Kind::Log && event.line == "round 20"
    });

    live.interrupt();

    let run = live.finish().deployed(FIRST);
    let rounds = run.log("stdout");
    let expected: Vec<String> = (1..=rounds.len()).map(|n| format!("round {n}")).collect();
    assert_eq!(rounds, expected, "each line once, from the first on");
    assert!(run.log("stderr").contains(&"trouble 10"));
    host.holds(&[&run], &[]);
}

#[test]
fn streams_are_told_apart() {
    let host = Host::new();
    let origin = host.origin(&program::worker());
    host.deploy(&origin).run().deployed(FIRST);

    let run = host
        .sdp(&["logs", host.name(), "--tail", "4"])
        .run()
        .exited(0);

    assert_eq!(
        run.stdout.lines().count() + run.stderr.lines().count(),
        4,
        "{run:#?}"
    );
    assert!(
        run.stdout.lines().all(|line| line.starts_with("round ")),
        "{run:#?}"
    );
    assert!(
        run.stderr.lines().all(|line| line.starts_with("trouble ")),
        "{run:#?}"
    );
}

#[test]
fn logs_followed_until_ctrl_c() {
    let host = Host::new();
    let origin = host.origin(&program::worker());
    let deployed = host.deploy(&origin).run().deployed(FIRST);
    let mut live = host.sdp(&["logs", host.name(), "-f"]).spawn();
    live.wait_for_line("the tenth round", |line| line == "round 10\n");

    live.interrupt();

    live.finish().exited(0);
    host.holds(&[&deployed], &[]);
}

#[test]
fn long_lines_and_odd_bytes() {
    let host = Host::new();
    let origin = host.origin(&program::odd_printer());
    let long = "x".repeat(100_000);
    let mut live = host.deploy(&origin).args(&["-f"]).spawn();
    live.wait_for("the last line", |event| event.line == "done");
    live.interrupt();
    let run = live.finish().deployed(FIRST);
    assert_eq!(run.log("stdout"), [&long, "caf\u{fffd}", "done"]);

    let run = host.sdp(&["logs", host.name()]).run().exited(0);

    assert_eq!(run.stdout, format!("{long}\ncaf\u{fffd}\ndone\n"));
}

#[test]
fn timestamps_and_since() {
    let host = Host::new();
    let origin = host.origin(&program::worker());
    host.deploy(&origin).run().deployed(FIRST);

    let stamped = host.sdp(&["logs", host.name(), "--timestamps", "--tail", "2"]);
    let stamped = stamped.run().exited(0);
    let lines = stamped.stdout.lines().chain(stamped.stderr.lines());
    for line in lines {
        let (time, rest) = line.split_once(' ').unwrap();
        assert!(time.starts_with("20") && time.contains('T'), "{line}");
        assert!(
            rest.starts_with("round ") || rest.starts_with("trouble "),
            "{line}"
        );
    }

    let recent = host
        .sdp(&["logs", host.name(), "--since", "10m"])
        .run()
        .exited(0);
    assert!(recent.stdout.starts_with("round 1\n"), "{recent:#?}");
}

/// `sdp deploy --json | head -1`: who stops reading does not stop the deployment.
#[test]
fn reader_that_leaves() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let mut child = host
        .deploy(&origin)
        .into_command()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    reader.read_line(&mut line).unwrap();
    drop(reader);

    let status = child.wait().unwrap();

    assert_eq!(status.code(), Some(0), "after {line}");
    assert_eq!(host.answer(), "one");
    host.is_tidy();
}
