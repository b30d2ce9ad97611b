//! What else one does with a deployment: look at it, stop it, not start two at once.

use std::fs;
use std::path::PathBuf;

use serde::Deserialize;

use crate::support::program::{self, deaf_server, server};
use crate::support::{FIRST, Host, NEXT, Proxy};

#[test]
fn status_of_what_runs() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let deployed = host.deploy(&origin).run().deployed(FIRST);

    let one = host.sdp(&["status", host.name()]).run().exited(0);
    let all = host.sdp(&["status"]).run().exited(0);

    let commit = &deployed.status().commit.as_ref().unwrap()[..9];
    for text in [&one.stdout, &all.stdout] {
        for part in [host.name(), commit, "main", "running"] {
            assert!(text.contains(part), "no {part} in {text}");
        }
    }
}

/// A line of `sdp status --json`, as its reader knows it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)] // that the keys are there, and no others, is what is tested
struct Service {
    v: u32,
    deployment_id: String,
    seq: u64,
    at: u64,
    kind: String,
    state: String,
    line: String,
    repository: String,
    path: PathBuf,
    started_at: Option<String>,
    up_ms: Option<u64>,
    restarts: u64,
    branch: String,
    commit: String,
    container: String,
    container_id: String,
    address: Option<String>,
    ports: Vec<String>,
    #[serde(default)]
    releases: Vec<Kept>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    deployment_id: String,
    branch: String,
    commit: String,
}

#[test]
fn status_for_scripts() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let first = host.deploy(&origin).run().deployed(FIRST);
    origin.commit(&server("two"), "Say two");
    let second = host.deploy(&origin).run().deployed(NEXT);

    let run = host.sdp(&["status", host.name(), "--json"]).raw().run();

    let (line, _) = run.stdout.split_once('\n').unwrap();
    let service: Service = serde_json::from_str(line).unwrap();
    assert_eq!(
        (service.v, service.seq, service.kind.as_str()),
        (1, 0, "service")
    );
    assert_eq!((service.state.as_str(), service.restarts), ("running", 0));
    assert_eq!(
        (service.repository.as_str(), service.path),
        (host.name(), host.checkout())
    );
    assert_eq!(service.deployment_id, second.deployment());
    assert_eq!(service.container, second.container());
    assert_eq!(service.address, second.status().address);
    assert!(service.started_at.is_some() && service.up_ms.is_some());
    let former = first.status();
    let kept = Kept {
        deployment_id: former.deployment_id.clone(),
        branch: "main".to_owned(),
        commit: former.commit.clone().unwrap(),
    };
    assert_eq!(service.releases, [kept]);
}

/// Two checkouts of one name are two services, which their paths tell apart.
#[test]
fn status_of_two_of_one_name() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    host.deploy(&origin).run().deployed(FIRST);
    let twin = host.path("twin").join(host.name());
    let path = twin.to_str().unwrap();
    let own = host.checkout();
    let own = own.to_str().unwrap();
    let deploy = [
        "deploy",
        host.name(),
        "--url",
        &origin.url(),
        "--path",
        path,
    ];
    host.sdp(&deploy).run().exited(0);
    let all = host.sdp(&["status"]).run().exited(0).stdout;
    let mine = all.lines().filter(|line| line.starts_with(host.name()));
    let rows: Vec<&str> = mine.collect();
    assert_eq!(rows.len(), 2, "{rows:#?}");
    assert!(rows[0].ends_with(own), "{rows:#?}");
    assert!(rows[1].ends_with(path), "{rows:#?}");
    let one = host.sdp(&["status", own]).run().exited(0).stdout;
    assert!(!one.contains(own), "{one}");
}

/// What was to serve when its deployment was killed is not proven: nothing to go back to.
#[test]
fn status_of_a_hand_over_that_was_cut() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let first = host.deploy(&origin).run().deployed(FIRST);
    let second = host.deploy(&origin).run().deployed(NEXT);
    let underway = host.checkout().join(".sdp/handover.json");
    let status = |begun: &str| {
        fs::write(&underway, begun).unwrap();
        host.sdp(&["status", host.name()]).run().exited(0)
    };
    let (one, two) = (first.container(), second.container());
    let kept = status("");
    assert!(kept.stdout.contains(&format!("\n{}", first.deployment())));
    assert_eq!(kept.stderr, "");
    let cut = status(&format!(
        r#"{{"incoming":"{one}","is_new":true,"formers":["{two}"]}}"#
    ));
    assert!(!cut.stdout.contains(first.deployment()), "{cut:#?}");
    assert!(cut.stderr.contains("was killed as it handed over to"));
    let far = status(
        r#"{"incoming":"sdp-far","is_new":true,"formers":[],"engine":"another","address":"tcp://far:1"}"#,
    );
    assert!(far.stderr.contains("`sdp -H tcp://far:1 status`"));
    fs::remove_file(&underway).unwrap();
}

/// Whoever may start containers may give them sdp's labels: what does not fit is left out.
#[test]
fn status_of_a_container_of_somebody_elses() {
    let host = Host::new();
    host.printer(false, "json-file", "sleep 3600");
    let run = host.sdp(&["status", host.name(), "--json"]).run().exited(0);
    let line = run.stdout.lines().next().unwrap();
    assert!(line.contains(r#""kind":"service""#), "{line}");
    assert!(!line.contains("commit"), "{line}");
}

/// `sdp status` of a service that does not run says so, and stopping it again is no error.
#[test]
fn status_of_what_is_stopped() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    host.deploy(&origin).run().deployed(FIRST);
    host.sdp(&["stop", host.name()]).run().exited(0);

    let status = host.sdp(&["status", host.name()]).run().exited(0);
    let stop = host.sdp(&["stop", host.name()]).run().exited(0);

    assert!(status.stdout.contains(host.name()), "{status:#?}");
    assert!(!status.stdout.contains("running"), "{status:#?}");
    assert!(!stop.stdout.is_empty(), "{stop:#?}");
}

#[test]
fn stop_and_deploy_again() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let first = host.deploy(&origin).run().deployed(FIRST);

    host.sdp(&["stop", host.name()]).run().exited(0);
    host.holds(&[], &[&first]);

    let second = host.deploy(&origin).run().deployed(NEXT);
    assert_eq!(host.answer(), "one");
    host.holds(&[&second], &[&first]);
}

/// A program gets as long to stop as its deployment was told, unless the stop is told otherwise.
#[test]
fn stop_takes_no_longer_than_the_deployment_was_told() {
    let host = Host::new();
    let origin = host.origin(&deaf_server("one"));
    let flags = ["--stop-timeout", "1s"];
    host.deploy(&origin).args(&flags).run().deployed(FIRST);
    let proxy = Proxy::new(&host.path("engine.sock"));
    let took = |flags: &[&str]| {
        let stop = [&["stop", host.name(), "--json"], flags].concat();
        let stop = host.sdp(&stop).env("DOCKER_HOST", proxy.address());
        let run = stop.run().exited(0);
        let patience = flags.last().unwrap_or(&"1s");
        let begun = format!("stopping {}, up to {patience}", host.containers()[0].name);
        let remarks = run.remarks("stop container");
        assert_eq!(remarks[1..3], [&begun, "killed: it ignored SIGTERM"]);
        run.status().elapsed_ms.unwrap()
    };
    let own = took(&[]);
    assert!(own >= 1000, "{own} ms");
    host.sdp(&["start", host.name()]).run().exited(0);
    let told = took(&["--stop-timeout", "3s"]);
    assert!(told >= 3000, "{told} ms");
    // How soon after that the engine tells of the end is its own affair.
    assert_eq!(proxy.queries("stop"), ["t=1", "t=3"]);
}

/// Ctrl-C ends the wait, and not in the middle of a stage. Who comes meanwhile is told what is under way.
#[test]
fn a_stop_that_is_interrupted() {
    let host = Host::new();
    let origin = host.origin(&deaf_server("one"));
    let flags = ["--stop-timeout", "3s"];
    host.deploy(&origin).args(&flags).run().deployed(FIRST);
    let mut live = host.sdp(&["stop", host.name(), "--json"]).spawn();
    live.wait_for("the stop", |event| event.line.ends_with(", up to 3s"));
    let prune = host.sdp(&["prune", host.name(), "--json"]).run().exited(8);
    live.interrupt();
    let run = live.finish().exited(130);
    assert_eq!(run.stages(), ["stop container"], "{}", run.story());
    assert_eq!(run.status().state, "CANCELLED", "{}", run.story());
    let problem = prune.problem();
    let whose = "is in use by `sdp stop` (process ";
    assert!(problem.message.contains(whose), "{problem:?}");
    let hint = problem.hint.as_deref().unwrap();
    assert!(hint.contains("` ends it in good order"), "{hint}");
}

#[test]
fn nothing_deployed() {
    let host = Host::new();

    let status = host.sdp(&["status", host.name()]).run().exited(0);
    let named = format!("nothing of `{}` is deployed here", host.name());
    for part in [&named, "`sdp status` lists what is"] {
        assert!(status.stderr.contains(part), "{status:#?}");
    }
    for command in ["stop", "logs"] {
        let run = host.sdp(&[command, host.name()]).run().exited(2);
        assert!(run.stderr.contains(host.name()), "{run:#?}");
    }
    host.is_untouched();
}

/// A disk that is not mounted is no reason to take away what runs from it.
#[test]
fn a_checkout_that_has_gone() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let first = host.deploy(&origin).run().deployed(FIRST);
    let (checkout, aside) = (host.checkout(), host.path("aside"));
    fs::rename(&checkout, &aside).unwrap();

    let stop = ["stop", checkout.to_str().unwrap()];
    let run = host.sdp(&stop).run().exited(2);

    let above = checkout.parent().unwrap().display();
    let hint = format!("`findmnt -T {above}` and `ls -ld {above}`");
    assert!(run.stderr.contains(&hint), "{}", run.stderr);
    assert!(!run.stderr.contains("docker"), "{}", run.stderr);
    assert_eq!(host.answer(), "one");
    fs::rename(&aside, &checkout).unwrap();
    host.holds(&[&first], &[]);
}

#[test]
fn one_deployment_at_a_time() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let first = host.deploy(&origin).run().deployed(FIRST);
    origin.commit(&program::slow_server("two", "3 * time.Second"), "Take time");
    let mut slow = host.deploy(&origin).args(&["--health-http", "/"]).spawn();
    slow.wait_for("the health check", |event| event.starts("health check"));

    let other = host.deploy(&origin).run().exited(8);

    let problem = other.problem();
    assert_eq!(problem.code, "locked");
    let path = host.checkout().display().to_string();
    let whose = format!("`{path}` is in use by `sdp deploy` (deployment `");
    assert!(problem.message.starts_with(&whose), "{problem:?}");
    assert_eq!(other.status().outcome.as_deref(), Some("locked"));
    assert!(other.stages().is_empty(), "{}", other.story());
    let second = slow.finish().deployed(NEXT);
    assert_eq!(host.answer(), "two");
    host.holds(&[&second], &[&first]);
}

/// Even a command line that cannot be meant ends with a last status where events were asked for.
#[test]
fn usage_error_with_events() {
    let host = Host::new();

    let run = host
        .sdp(&["deploy", "shop", "--json", "-p", "no-port"])
        .run();

    let run = run.exited(2);
    assert_eq!(run.problem().code, "usage");
    assert!(run.problem().message.contains("no-port"), "{}", run.story());
    host.is_untouched();
}

#[test]
fn usage_errors() {
    let host = Host::new();
    for arguments in [
        &["deploy"][..],
        &["deploy", "shop", "--no-such-flag"],
        &["deploy", "shop", "-p", "no-port"],
        &["deploy", "shop", "-e", "=value"],
        &["deploy", "no-such-checkout"],
    ] {
        let run = host.sdp(arguments).run().exited(2);
        assert!(!run.stderr.is_empty() && run.stdout.is_empty(), "{run:#?}");
    }
    host.is_untouched();
}
