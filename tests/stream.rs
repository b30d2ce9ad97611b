//! The event stream as an API: one last status on every exit, one id for every event, and a schema.

use std::fs;
use std::io;
use std::net::TcpListener;
use std::process::Stdio;

use crate::support::program::server;
use crate::support::{FIRST, Host, Kind, NEXT, Run, schema};

/// The last line of a run is its status: with this state, exit code and deployment.
fn last_word(run: &Run, state: &str, exit_code: i32, deployment: &str) {
    let last = run.events.last().unwrap();
    assert_eq!(last.kind, Kind::Status, "{}", run.story());
    let told = (last.state.as_str(), last.exit_code, run.code);
    assert_eq!(told, (state, Some(exit_code), exit_code), "{}", run.story());
    assert_eq!(last.deployment_id, deployment, "{}", run.story());
    assert_eq!(run.stderr, "", "only JSON lines");
}

#[test]
fn every_command_ends_with_a_status() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let first = host.deploy(&origin).run().deployed(FIRST);
    origin.commit(&server("two"), "Say two");
    let second = host.deploy(&origin).run().deployed(NEXT);
    let (one, two) = (first.deployment(), second.deployment());
    let name = host.name();
    for (arguments, state, deployment) in [
        (&["status"][..], "DONE", ""),
        (&["status", name], "DONE", ""),
        (&["status", name, "--history"], "DONE", ""),
        (&["logs", name], "DONE", two),
        (&["rollback", name], "RUNNING", one),
        (&["rollback", name, "--to", one], "RUNNING", one),
        (&["stop", name], "STOPPED", one),
        (&["stop", name], "STOPPED", one),
        (&["start", name], "RUNNING", one),
        (&["prune", name, "--keep", "1", "--dry-run"], "PLANNED", ""),
        (&["prune", name, "--keep", "1"], "PRUNED", ""),
        (
            &["deploy", name, "--id", "rehearsal", "--dry-run"],
            "PLANNED",
            "rehearsal",
        ),
    ] {
        let run = host.sdp(arguments).args(&["--json"]).run();
        last_word(&run, state, 0, deployment);
    }
    let history = fs::read_to_string(host.checkout().join(".sdp/history.jsonl")).unwrap();
    let ids: Vec<String> = history
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["id"].to_string())
        .collect();
    assert_eq!(&ids[2..], vec![format!("{one:?}"); 4], "as in the events");
}

/// What was said before it was known which deployment is gone back to carries its id, too.
#[test]
fn a_rollback_has_one_id_from_its_first_event_on() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let first = host.deploy(&origin).run().deployed(FIRST);
    origin.commit(&server("two"), "Say two");
    host.deploy(&origin).run().deployed(NEXT);
    let half = host.checkout().join(".sdp/releases/.half");
    fs::create_dir(&half).unwrap();

    let run = host.sdp(&["rollback", host.name(), "--json"]).run();

    assert_eq!(run.events[0].kind, Kind::Warning, "{}", run.story());
    last_word(&run, "RUNNING", 0, first.deployment());
    let none = host.sdp(&["rollback", host.name(), "--to", "nobody", "--json"]);
    last_word(&none.run(), "FAILED", 2, "nobody");
}

#[test]
fn a_command_line_that_cannot_be_meant_ends_with_a_status() {
    let host = Host::new();
    for arguments in [
        &["--json"][..],
        &["--json", "no-such-command"],
        &["deploy", "--json"],
        &["deploy", "shop", "--json", "--no-such-flag"],
        &["deploy", "shop", "--json", "--port", "none"],
        &["deploy", "shop", "--json", "--redact-logs"],
        &["status", "--history", "--json"],
        &["logs", "shop", "--json", "-n"],
    ] {
        let run = host.sdp(arguments).run().exited(2);
        assert_eq!(run.events.len(), 1, "{}", run.story());
        assert_eq!(run.problem().code, "usage", "{}", run.story());
        assert!(run.problem().hint.is_some(), "{}", run.story());
        assert!(!run.stderr.is_empty(), "{}", run.story());
    }
    for arguments in [
        &["deploy", "shop", "--json", "-p", "none"][..],
        &["deploy", "shop", "--json", "--settle", "5"],
        &["deploy", "shop", "--json", "--branch", "a", "--tag", "b"],
        &["logs", "shop", "--json", "--since", "5"],
        &["stop", "shop", "--json", "--stop-timeout", "5"],
        &["completions", "bash", "--json"],
    ] {
        let run = host.sdp(arguments).run();
        last_word(&run, "FAILED", 2, "");
        assert_eq!(run.problem().code, "usage", "{}", run.story());
    }
    for arguments in [&["--help", "--json"][..], &["deploy", "--json", "--help"]] {
        let run = host.sdp(arguments).into_command().output().unwrap();
        assert!(run.status.success(), "{run:#?}");
        assert!(String::from_utf8_lossy(&run.stdout).contains("Usage:"));
    }
    let other = ["deploy", "shop", "--no-such-flag", "--", "--json"];
    let run = host.sdp(&other).run().exited(2);
    assert_eq!(run.stdout, "", "that flag is the program's");
    host.is_untouched();
}

const COMMANDS: [&[&str]; 7] = [
    &["deploy", "."],
    &["rollback", "."],
    &["start", "."],
    &["stop", "."],
    &["logs", "."],
    &["status"],
    &["prune", "."],
];

#[test]
fn an_engine_that_is_not_there_ends_in_a_status() {
    let host = Host::new();
    let nowhere = format!("unix://{}", host.path("no.sock").display());
    for command in COMMANDS {
        let run = host.sdp(command).args(&["--json", "-H", &nowhere]);
        let run = run.within(&host.path("home")).run().exited(3);
        assert_eq!(run.problem().code, "engine_unreachable", "{}", run.story());
        assert_eq!(run.status().state, "FAILED", "{}", run.story());
    }
}

#[test]
fn a_signal_ends_in_a_status() {
    let host = Host::new();
    host.clone_by_hand(&host.origin(&server("one")));
    for (index, command) in COMMANDS.into_iter().enumerate() {
        let engine = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("tcp://{}", engine.local_addr().unwrap());
        let sdp = host.sdp(command).args(&["--json", "-H", &address]);
        let live = sdp.within(&host.checkout()).spawn();
        // It asks the engine, which never answers.
        let asked = engine.accept().unwrap();
        let (code, name) = if index % 2 == 0 {
            live.interrupt();
            (130, "interrupted")
        } else {
            live.terminate();
            (143, "terminated")
        };
        let run = live.finish().exited(code);
        assert_eq!(run.problem().code, name, "{}", run.story());
        assert_eq!(run.status().state, "CANCELLED", "{}", run.story());
        drop(asked);
    }
}

/// A reader that is gone before the first line changes no exit code.
#[test]
fn a_reader_that_never_came_changes_nothing() {
    let host = Host::new();
    for (arguments, code) in [
        (&["status", "--json"][..], 0),
        (&["deploy", "--json", "--no-such-flag"], 2),
        (&["stop", host.name(), "--json"], 2),
    ] {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let status = host
            .sdp(arguments)
            .into_command()
            .stdout(writer)
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert_eq!(status.code(), Some(code), "{arguments:?}");
    }
}

/// The schema is closed: it would not let pass what the contract does not name.
#[test]
fn the_schema_is_closed() {
    let head = r#""v":1,"deployment_id":"a","seq":0,"at":1,"state":"","line":"x""#;
    let with = |rest: &str| schema::objection(&format!("{{{head},{rest}}}"));
    let log = r#""kind":"log","stream":"stdout""#;
    assert_eq!(with(log), None);
    for rest in [
        r#""kind":"log""#,
        r#""kind":"log","stream":"stdin""#,
        r#""kind":"log","stream":"stdout","extra":1"#,
        r#""kind":"log","stream":"stdout","exit_code":0"#,
        r#""kind":"progress","stage":"git push","phase":"update""#,
        r#""kind":"progress","stage":"git pull","phase":"update","done":1"#,
        r#""kind":"progress","stage":"git pull","phase":"finished","elapsed_ms":1"#,
        r#""kind":"status","exit_code":0"#,
        r#""kind":"news""#,
    ] {
        assert!(with(rest).is_some(), "{rest}");
    }
    let status = r#"{"v":1,"deployment_id":"","seq":0,"at":1,"kind":"status","state":"FAILED","line":"x","exit_code":2,"error":{"code":"usage","message":"x"}}"#;
    assert_eq!(schema::objection(status), None);
    for (good, bad) in [
        (r#""usage""#, r#""odd""#),
        (r#""exit_code":2"#, r#""exit_code":0"#),
        (r#""exit_code":2"#, r#""exit_code":9"#),
        (r#""v":1"#, r#""v":2"#),
        (r#""FAILED""#, r#""DONE""#),
    ] {
        let status = status.replace(good, bad);
        assert!(schema::objection(&status).is_some(), "{status}");
    }
}
