//! The everyday life of one program: first deployment, changes, and changes that do not work.

use crate::support::program::{self, module, server, server_source};
use crate::support::{FIRST, Host, NEXT, free_port};

#[test]
fn first_deployment() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let head = origin.commit(&server("one"), "Say one");

    let run = host.deploy(&origin).run().deployed(FIRST);

    let status = run.status();
    assert_eq!(status.branch.as_deref(), Some("main"));
    assert_eq!(status.commit.as_deref(), Some(head.as_str()));
    assert_eq!(status.subject.as_deref(), Some("Say one"));
    assert_eq!(status.replaced, None);
    assert_eq!(status.downtime_ms.unwrap_or(0), 0);
    assert!(status.ports.is_empty());
    let container = host.running();
    assert_eq!(run.container(), container.name);
    assert_eq!(status.container_id, container.inspect.id);
    assert_eq!(status.address, Some(container.address(8080).to_string()));
    assert_eq!(host.answer(), "one");
    assert_eq!(host.git(&["rev-parse", "HEAD"]), head);
    assert_eq!(host.git(&["status", "--porcelain"]), "");
    host.holds(&[&run], &[]);
}

#[test]
fn no_change() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let first = host.deploy(&origin).run().deployed(FIRST);

    let second = host.deploy(&origin).run().deployed(NEXT);

    assert_ne!(first.deployment(), second.deployment());
    assert_eq!(first.status().commit, second.status().commit);
    assert_eq!(second.status().replaced.as_deref(), Some(first.container()));
    assert_eq!(host.answer(), "one");
    host.holds(&[&second], &[&first]);
}

#[test]
fn changed_line() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let first = host.deploy(&origin).run().deployed(FIRST);
    let head = origin.commit(&server("two"), "Say two");

    let second = host.deploy(&origin).run().deployed(NEXT);

    assert_eq!(second.status().commit.as_deref(), Some(head.as_str()));
    assert_eq!(second.status().replaced.as_deref(), Some(first.container()));
    assert_eq!(host.answer(), "two");
    host.holds(&[&second], &[&first]);
}

#[test]
fn second_package() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let first = host.deploy(&origin).run().deployed(FIRST);
    origin.commit(
        &module(&[
            ("words/words.go", "package words\n\nconst Two = \"two\"\n"),
            (
                "main.go",
                &server_source("two", ":8080", "fmt.Println(words.Two)")
                    .replace("\t\"fmt\"\n", "\t\"example.com/app/words\"\n\t\"fmt\"\n"),
            ),
        ]),
        "Move the words out",
    );

    let second = host.deploy(&origin).run().deployed(NEXT);

    assert_eq!(host.answer(), "two");
    host.holds(&[&second], &[&first]);
}

#[test]
fn failed_build() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let first = host.deploy(&origin).run().deployed(FIRST);
    origin.commit(&program::broken(), "Break it");

    let second = host.deploy(&origin).run();

    let second = second.failed(5, "build_failed", &NEXT[..4]);
    assert_eq!(
        second.status().outcome.as_deref(),
        Some("failed_old_serving")
    );
    let output = second.output();
    assert!(
        output.contains("main.go:4:2: undefined: undefinedName"),
        "{output}"
    );
    assert_eq!(host.answer(), "one");
    host.holds(&[&first], &[]);

    origin.commit(&server("three"), "Mend it");
    let third = host.deploy(&origin).run().deployed(NEXT);
    assert_eq!(host.answer(), "three");
    host.holds(&[&third], &[&first]);
}

#[test]
fn failed_first_build() {
    let host = Host::new();
    let origin = host.origin(&program::broken());

    host.deploy(&origin)
        .run()
        .failed(5, "build_failed", &FIRST[..5]);

    host.holds(&[], &[]);
}

#[test]
fn crash_at_start() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let first = host.deploy(&origin).run().deployed(FIRST);
    origin.commit(&program::crash(), "Need a database");

    let second = host.deploy(&origin).run().failed(6, "crashed", NEXT);

    assert_eq!(
        second.status().outcome.as_deref(),
        Some("failed_old_serving")
    );
    let problem = second.problem();
    assert!(problem.message.contains("exit code 3"), "{problem:?}");
    assert_eq!(problem.detail.len(), 20, "{problem:?}");
    for last in ["step 29", "fatal: no database"] {
        assert!(
            problem.detail.iter().any(|line| line.contains(last)),
            "{problem:?}"
        );
    }
    assert_eq!(host.answer(), "one");
    host.holds(&[&first], &[]);
}

#[test]
fn crash_at_first_start() {
    let host = Host::new();
    let origin = host.origin(&program::crash());

    let run = host.deploy(&origin).run().failed(6, "crashed", FIRST);

    assert!(run.problem().message.contains("exit code 3"));
    host.holds(&[], &[]);
}

/// A file that the program lacks is not a loader that the image lacks.
#[test]
fn crash_with_one_line_and_with_none() {
    let host = Host::new();
    let ends = |saying: &str| {
        let source = format!(
            "package main\n\nimport \"os\"\n\nfunc main() {{\n\tprint({saying:?})\n\tos.Exit(1)\n}}\n"
        );
        module(&[("main.go", &source)])
    };
    let built = format!(".sdp/build/app-{}", host.name());
    let built = host.checkout().join(built).display().to_string();
    let by_hand = format!("it printed nothing; `{built}` runs it by hand");
    let lacks = "open config.yaml: no such file or directory\n";
    let origin = host.origin(&server("one"));
    for (saying, hint) in [(lacks, "what it printed last is above"), ("", &by_hand)] {
        origin.commit(&ends(saying), "End at once");

        let run = host.deploy(&origin).run().exited(6);

        let problem = run.problem();
        assert_eq!(problem.code, "crashed", "{problem:?}");
        let told = problem.hint.as_deref().unwrap();
        assert!(told.starts_with(hint), "{problem:?}");
    }
    host.holds(&[], &[]);
}

#[test]
fn listener_on_localhost() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let first = host.deploy(&origin).run().deployed(FIRST);
    origin.commit(&program::server_on_localhost(), "Hide");

    let second = host.deploy(&origin).args(&["--settle", "2s"]).run();

    let second = second.failed(6, "listens_on_localhost", NEXT);
    let problem = second.problem();
    assert!(problem.message.contains("127.0.0.1"), "{problem:?}");
    assert!(problem.hint.is_some(), "{problem:?}");
    assert_eq!(host.answer(), "one");
    host.holds(&[&first], &[]);
}

#[test]
fn program_that_listens_on_nothing() {
    let host = Host::new();
    let origin = host.origin(&program::worker());

    let run = host.deploy(&origin).run().deployed(FIRST);

    assert!(host.logs(run.container()).contains("round 1\n"));
    host.holds(&[&run], &[]);
}

#[test]
fn slow_starter_serves_only_when_it_answers() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let first = host.deploy(&origin).run().deployed(FIRST);
    origin.commit(&program::slow_server("two", "2 * time.Second"), "Take time");

    let mut live = host.deploy(&origin).args(&["--health-http", "/"]).spawn();
    live.wait_for("the health check", |event| event.starts("health check"));
    assert!(
        host.containers()
            .iter()
            .any(|c| c.is_running() && c.name == first.container()),
        "the former one serves until the new one is proven"
    );
    let second = live.finish().deployed(NEXT);

    assert_eq!(host.answer(), "two");
    host.holds(&[&second], &[&first]);
}

#[test]
fn program_that_never_answers() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let first = host.deploy(&origin).run().deployed(FIRST);

    let second = host
        .deploy(&origin)
        .args(&[
            "--health-http",
            "/",
            "--port",
            "8081",
            "--health-timeout",
            "1s",
        ])
        .run();

    let second = second.failed(6, "unhealthy", NEXT);
    assert!(
        second.problem().message.contains("8081"),
        "{}",
        second.story()
    );
    assert_eq!(host.answer(), "one");
    host.holds(&[&first], &[]);
}

#[test]
fn only_the_newest_releases_are_kept() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    host.deploy(&origin).run().deployed(FIRST);
    let second = host.deploy(&origin).run().deployed(NEXT);

    let third = host.deploy(&origin).args(&["--keep", "2"]).run();

    let third = third.deployed(NEXT);
    host.holds(&[&third], &[&second]);
}

/// A canary that is still being removed is no release.
#[test]
fn as_many_releases_are_kept_after_a_canary() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let publish = format!("127.0.0.1:{}:8080", free_port());
    let deploy = || {
        let deploy = host.deploy(&origin);
        deploy.args(&["-p", &publish, "--keep", "2"]).run()
    };
    deploy().deployed(FIRST);
    origin.commit(&server("two"), "Say two");
    let second = deploy().deployed(NEXT);
    origin.commit(&server("three"), "Say three");

    let third = deploy().deployed(NEXT);
    host.holds(&[&third], &[&second]);
}
