//! Ctrl-C and SIGTERM in each stage: the stage ends and so do its processes, what served before
//! serves, nothing half-done is left, and the next deployment needs no help.

use crate::support::program::{self, Files, server};
use crate::support::{FIRST, Host, Live, NEXT, Run, Server, eventually};

#[derive(Clone, Copy)]
enum By {
    CtrlC,
    Sigterm,
}

fn cancel(live: Live, by: By) -> Run {
    match by {
        By::CtrlC => live.interrupt(),
        By::Sigterm => live.terminate(),
    }
    let run = live.finish().exited(match by {
        By::CtrlC => 130,
        By::Sigterm => 143,
    });
    assert_eq!(run.status().state, "CANCELLED", "{}", run.story());
    let code = match by {
        By::CtrlC => "interrupted",
        By::Sigterm => "terminated",
    };
    assert_eq!(run.problem().code, code, "{}", run.story());
    run
}

/// Cancels a clone that never gets on: no trace is left.
fn in_clone(url: impl Fn(&Host) -> String, path: Option<&str>, by: By) {
    let host = Host::new();
    let mut deploy = host.deploy_from(&url(&host));
    if let Some(script) = path {
        deploy = deploy.env("PATH", &host.instead_of("git-upload-pack", script));
    }
    let mut live = deploy.spawn();
    live.wait_for("the clone", |event| event.starts("git clone"));

    let run = cancel(live, by);

    assert_eq!(run.stages(), &FIRST[..1]);
    host.is_untouched();
}

/// Cancels the deployment of a second commit when the stage has started, and `deep` within it.
/// Stages that end within milliseconds may have ended when the signal arrives.
fn in_stage(stage: &str, second: &Files, arguments: &[&str], by: By, deep: impl Fn(&Host)) {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let first = host.deploy(&origin).run().deployed(FIRST);
    origin.commit(second, "Second");
    let mut live = host.deploy(&origin).args(arguments).spawn();
    live.wait_for(stage, |event| event.starts(stage));
    deep(&host);

    let run = cancel(live, by);

    let reached = 1 + NEXT.iter().position(|known| *known == stage).unwrap();
    assert_eq!(run.stages()[..reached], NEXT[..reached]);
    assert_eq!(host.answer(), "one");
    host.holds(&[&first], &[]);

    origin.commit(&server("three"), "Third");
    let third = host.deploy(&origin).run().deployed(NEXT);
    assert_eq!(host.answer(), "three");
    host.holds(&[&third], &[&first]);
}

fn at_once(_: &Host) {}

fn hanging_git(host: &Host) -> String {
    let origin = host.origin(&server("one"));
    origin.url()
}

const HANG: &str = "exec sleep 600";

#[test]
fn ctrl_c_in_clone_over_http() {
    in_clone(|_| Server::silent().url("http"), None, By::CtrlC);
}

#[test]
fn sigterm_in_clone_over_git() {
    in_clone(|_| Server::silent().url("git"), None, By::Sigterm);
}

#[test]
fn ctrl_c_in_clone_through_a_process() {
    in_clone(hanging_git, Some(HANG), By::CtrlC);
}

#[test]
fn sigterm_in_clone_through_a_process() {
    in_clone(hanging_git, Some(HANG), By::Sigterm);
}

/// Cancels a fetch from a remote that never answers.
fn in_fetch(by: By) {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let first = host.deploy(&origin).run().deployed(FIRST);
    origin.commit(&server("two"), "Second");
    let hanging = host.instead_of("git-upload-pack", HANG);
    let mut live = host.deploy(&origin).env("PATH", &hanging).spawn();
    live.wait_for("the fetch", |event| event.starts("git fetch"));
    eventually("the remote is asked", || {
        (!host.processes("sleep 600").is_empty()).then_some(())
    });

    let run = cancel(live, by);

    assert_eq!(run.stages(), &NEXT[..1]);
    assert_eq!(host.answer(), "one");
    host.holds(&[&first], &[]);
    let third = host.deploy(&origin).run().deployed(NEXT);
    assert_eq!(host.answer(), "two");
    host.holds(&[&third], &[&first]);
}

#[test]
fn ctrl_c_in_fetch() {
    in_fetch(By::CtrlC);
}

#[test]
fn sigterm_in_fetch() {
    in_fetch(By::Sigterm);
}

#[test]
fn ctrl_c_in_checkout() {
    in_stage("git checkout", &server("two"), &[], By::CtrlC, at_once);
}

#[test]
fn ctrl_c_in_pull() {
    in_stage("git pull", &server("two"), &[], By::CtrlC, at_once);
}

fn until_the_compiler_runs(host: &Host) {
    eventually("the compiler runs", || {
        (!host.processes("/compile ").is_empty()).then_some(())
    });
}

#[test]
fn ctrl_c_in_build() {
    let slow = program::slow_to_compile();
    in_stage("go build", &slow, &[], By::CtrlC, until_the_compiler_runs);
}

#[test]
fn sigterm_in_build() {
    let slow = program::slow_to_compile();
    in_stage("go build", &slow, &[], By::Sigterm, until_the_compiler_runs);
}

#[test]
fn ctrl_c_in_start() {
    in_stage("start container", &server("two"), &[], By::CtrlC, at_once);
}

#[test]
fn sigterm_in_start() {
    in_stage("start container", &server("two"), &[], By::Sigterm, at_once);
}

/// Who presses Ctrl-C twice does not want to wait: no second word from anything.
#[test]
fn second_ctrl_c() {
    let host = Host::new();
    let url = Server::silent().url("git");
    let mut live = host.deploy_from(&url).spawn();
    live.wait_for("the clone", |event| event.starts("git clone"));
    live.interrupt();

    live.interrupt();

    assert_eq!(live.code(), 130);
}

const PATIENT: &[&str] = &["--health-http", "/", "--health-timeout", "10m"];

#[test]
fn ctrl_c_in_health_check() {
    let never = program::slow_server("two", "time.Hour");
    in_stage("health check", &never, PATIENT, By::CtrlC, at_once);
}

#[test]
fn sigterm_in_health_check() {
    let never = program::slow_server("two", "time.Hour");
    in_stage("health check", &never, PATIENT, By::Sigterm, at_once);
}

/// A go that the terminal's Ctrl-C reaches, too, would seem to be none that runs.
#[test]
fn while_go_is_asked_for_its_version() {
    let host = Host::new();
    let (asked, reached) = (host.path("asked"), host.path("reached"));
    let script = format!(
        "trap 'touch {}; exit 1' INT\ntouch {}\nwhile :; do :; done",
        reached.display(),
        asked.display()
    );
    let live = host
        .deploy_from("https://127.0.0.1:1/shop.git")
        .env("PATH", &host.instead_of("go", &script))
        .spawn();
    eventually("go is asked", || asked.exists().then_some(()));

    live.interrupt();

    let run = live.finish().exited(130);
    assert_eq!(run.problem().code, "interrupted", "{}", run.story());
    host.is_tidy();
    assert!(!reached.exists(), "it has no process group of its own");
}

/// Somebody's own ssh, which gix starts and of which nobody knows what it is, whatever it is called: it ends with
/// sdp, however that ends, and with all that it has started.
#[test]
fn an_ssh_that_is_not_openssh() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let first = host.deploy(&origin).run().deployed(FIRST);
    let url = "ssh://git@host.invalid/shop.git";
    host.git(&["remote", "set-url", "origin", url]);
    let began = host.path("began");
    // gix asks it first which kind it is, unless that is known by its name.
    let asked = "[ \"$1\" != -G ] || exit 1\n";
    for (name, unless_asked) in [("my-ssh", ""), ("my-ssh", asked), ("ssh", "")] {
        let ssh = host.path("bin").join(name).display().to_string();
        // What it starts has a process group of its own.
        let work = "timeout 600 sleep 600; :";
        let script = format!("{unless_asked}touch {}; {work}", began.display());
        host.instead_of(name, &script);
        for arguments in [
            &["deploy", host.name()][..],
            &["deploy", "other", "--url", url],
            &["doctor", host.name()],
        ] {
            for end in [Live::interrupt, Live::terminate, Live::kill] {
                std::fs::remove_file(&began).ok();
                let sdp = host.sdp(arguments).args(&["--json"]);
                let live = sdp.env("GIT_SSH_COMMAND", &ssh).spawn();
                eventually("it runs", || began.exists().then_some(()));

                end(&live);
                live.ended();

                let what = format!("{arguments:?} leaves nothing of {script:?}");
                eventually(&what, || {
                    let left = |what| !host.processes(what).is_empty();
                    (!left(&ssh) && !left("sleep 600")).then_some(())
                });
            }
        }
    }
    // A clone that was killed is put in order by the next one.
    std::fs::remove_dir_all(host.path("srv/other")).ok();
    host.holds(&[&first], &[]);
}
