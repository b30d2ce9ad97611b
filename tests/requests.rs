//! `sdp deploy --request`: a deployment that a program asks for.

use crate::support::program::server;
use crate::support::{Access, FIRST, Host, Kind, NEXT, Terminal, eventually};

/// All in one object, and nothing of it in the process list or the events.
#[test]
fn a_request_is_a_whole_deployment() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let git = origin.over_http(Access {
        login: Some(("ada", "t0ken-of-a-test")),
        ..Access::default()
    });
    let request = serde_json::json!({
        "id": "from-a-program",
        "repository": host.name(),
        "path": host.checkout(),
        "url": git.url(),
        "branch": "main",
        "env": {"PASSWORD": "hunter2-of-a-test", "LEVEL": 3},
        "creds": {"user": "ada", "token": "t0ken-of-a-test"},
        "settle": "300ms",
    });

    let mut live = host
        .sdp(&["deploy", "--request", "-", "--json"])
        // A request counts more than a variable.
        .env("SDP_TAG", "no-such-tag")
        .env("SDP_SETTLE", "never")
        .with_input(&request.to_string())
        .spawn();
    live.wait_for("the build", |event| event.starts("go build"));
    let words = live.command_line();
    let run = live.finish().deployed(FIRST);

    assert!(
        !words.contains("hunter2") && !words.contains("t0ken"),
        "{words}"
    );
    assert!(!run.story().contains("hunter2") && !run.story().contains("t0ken"));
    assert!(
        run.events
            .iter()
            .all(|event| event.deployment_id == "from-a-program")
    );
    assert_eq!(host.ask("/env?PASSWORD"), "hunter2-of-a-test");
    assert_eq!(host.ask("/env?LEVEL"), "3");

    let path = host.at_home("request.json", &request.to_string());
    let run = host
        .sdp(&["deploy", host.name(), "--request", &path, "--json"])
        .args(&["--id", "by-hand", "-e", "LEVEL=4"])
        .run()
        .deployed(NEXT);
    assert_eq!(run.deployment(), "by-hand");
    assert_eq!(host.ask("/env?LEVEL"), "4");
    assert_eq!(host.ask("/env?PASSWORD"), "hunter2-of-a-test");
}

#[test]
fn a_request_that_cannot_be_meant_fails_with_its_id_and_no_value() {
    let host = Host::new();
    let large = format!(
        r#"{{"id": "mine", "env": {{"A": "{}"}}}}"#,
        "x".repeat(40_000)
    );
    let deep = "[".repeat(30_000);
    for (id, request, named) in [
        (
            "mine",
            r#"{"id": "mine", "repository": "shop", "imagee": "hunter2"}"#,
            "`image`",
        ),
        (
            "mine",
            r#"{"id": "mine", "repository": "shop", "port": "hunter2"}"#,
            "`port`",
        ),
        (
            "mine",
            r#"{"id": "mine", "repository": "shop", "settle": "hunter2"}"#,
            "`settle`",
        ),
        (
            "mine",
            r#"{"id": "mine", "path": "/nowhere/shop", "env": ["PASS=hunter2", "=hunter2"]}"#,
            "`env`",
        ),
        (
            "mine",
            r#"{"id": "mine", "creds": {"token": "hunter2"}}"#,
            "repository",
        ),
        (
            "mine",
            r#"{"id": "mine", "repository": "shop", "url": "https://me:hunter2@[/"}"#,
            "`url`",
        ),
        ("mine", large.as_str(), "repository"),
        ("", r#"{"id": "mine"} hunter2"#, "line 1"),
        ("", r#"{"id": "mine", "id": "hunter2"}"#, "twice"),
        ("", r#"{"id": "mine", "image": "hunter2"#, "too early"),
        ("", r#"["hunter2"]"#, "an object"),
        ("", deep.as_str(), "the request"),
        ("", "", "too early"),
    ] {
        for more in [&["--json"][..], &[]] {
            let sdp = host.sdp(&["deploy", "--request", "-"]).args(more);
            let run = sdp.with_input(request).run();
            let story = run.story();
            assert_eq!(run.code, 2, "{request:.80}: {story}");
            assert!(story.contains(named), "{request:.80}: {story}");
            assert!(!story.contains("hunter2"), "{request:.80}: {story}");
            if let [last] = run.events.as_slice() {
                assert_eq!((last.kind, last.deployment_id.as_str()), (Kind::Status, id));
            }
        }
    }
    host.is_untouched();
}

/// Whoever gives a deployment its id finds it on all that is said, whatever cannot be read.
#[test]
fn an_id_is_on_every_event() {
    let host = Host::new();
    let file = host.at_home("sdp.toml", "[repos.shop]\nimagee = 1\n");
    let request = host.at_home("request.json", "{");
    for (arguments, variable) in [
        (&["--config", &file, "--id", "mine"][..], "other"),
        (&["--config", "/nowhere.toml"], "mine"),
        (&["--request", "/nowhere.json", "--id", "mine"], ""),
        (&["--request", &request], "mine"),
        (&["--settle", "5"], "mine"),
    ] {
        let sdp = host.sdp(&["deploy", "shop", "--json"]).args(arguments);
        let run = sdp.env("SDP_ID", variable).run().exited(2);
        assert_eq!(run.deployment(), "mine", "{arguments:?}: {}", run.story());
    }
    let request = host.at_home("request.json", r#"{"id": "mine", "imagee": 1}"#);
    let sdp = host.sdp(&["deploy", "shop", "--request", &request, "--json"]);
    let run = sdp.env("SDP_ID", "other").run().exited(2);
    assert_eq!(run.deployment(), "mine", "{}", run.story());
}

/// Who types a request by hand sees why nothing happens; one that never comes can be given up.
#[test]
fn a_request_is_not_waited_for_at_a_terminal_nor_after_ctrl_c() {
    let host = Host::new();
    let mut terminal = Terminal::run(100, host.sdp(&["deploy", "--request", "-"]));
    terminal.shows("which is a terminal");
    assert_eq!(terminal.code(), Some(2));

    let live = host
        .sdp(&["deploy", "--request", "-", "--json"])
        .with_open_input()
        .spawn();
    eventually("sdp listens to signals", || {
        let mut found = host.processes("--request").into_keys();
        found.any(catches_interrupts).then_some(())
    });
    live.interrupt();
    let run = live.finish().exited(130);
    assert_eq!(run.status().state, "CANCELLED");
}

/// Whether a process has a handler for SIGINT: <https://man7.org/linux/man-pages/man5/proc_pid_status.5.html>.
pub fn catches_interrupts(id: i32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    caught.is_some_and(|mask| mask & 0b10 != 0)
}
