//! A newer Docker beside this machine's own: what it says and keeps in another way.

use std::fs;
use std::process::Stdio;

use crate::support::program::{self, server};
use crate::support::{BASE, FIRST, Host, Kind, NEXT, Origin, Run, Sdp, SecondEngine, eventually};

/// The stages of a rollback, and of a start.
const BACK: &[&str] = &["start container", "health check"];

struct Newer {
    // Dropped in this order: the engine's containers use the host's folders.
    engine: SecondEngine,
    host: Host,
    origin: Origin,
}

impl Newer {
    fn start() -> Option<Newer> {
        let engine = SecondEngine::start_newer()?;
        let host = Host::new();
        let origin = host.origin(&server("one"));
        Some(Newer {
            engine,
            host,
            origin,
        })
    }

    fn sdp(&self, arguments: &[&str]) -> Sdp {
        let wrapper = self.engine.wrapper();
        let wrapper = wrapper.each_ref().map(String::as_str);
        let sdp = self.host.sdp_through(&wrapper, arguments);
        sdp.env("DOCKER_HOST", &self.engine.address())
    }

    fn deploy(&self, more: &[&str]) -> Run {
        let arguments = ["deploy", self.host.name(), "--url", &self.origin.url()];
        self.sdp(&arguments).args(&["--json"]).args(more).run()
    }

    fn back(&self, command: &str) -> Run {
        self.sdp(&[command, self.host.name(), "--json"]).run()
    }

    /// What is answered at the port 8080 of the engine's host.
    fn answer(&self) -> String {
        eventually("an answer", || self.engine.ask_port(8080))
    }

    fn volumes(&self) -> Vec<String> {
        self.engine.volumes().into_keys().collect()
    }
}

#[test]
fn from_the_first_release_to_the_next_and_back() {
    let Some(newer) = Newer::start() else {
        return;
    };
    let hooked = |stages: &[&'static str]| {
        let (before, after) = stages.split_at(stages.len() - BACK.len());
        [before, &["before start"], after].concat()
    };
    let port = ["-p", "8080:8080", "--health-http", "/"];
    let deploy = |hook: &str| newer.deploy(&[&port, &["--before-start", hook][..]].concat());

    let first = deploy("ls main.go").deployed(&hooked(FIRST));
    assert!(first.output().contains("main.go"), "{}", first.story());
    assert_eq!(newer.answer(), "one");
    let published = "0.0.0.0:8080->8080/tcp".to_owned();
    assert!(
        first.status().ports.contains(&published),
        "{}",
        first.story()
    );
    let mut logs = newer
        .sdp(&["logs", newer.host.name(), "-f", "--json"])
        .spawn();
    let listens = |of: &Run| {
        let id = of.deployment().to_owned();
        move |event: &crate::support::Event| {
            event.kind == Kind::Log && event.deployment_id == id && event.line.contains("listening")
        }
    };
    logs.wait_for("the program's line", listens(&first));

    newer.origin.commit(&server("two"), "Say two");
    let failed = deploy("exit 7").failed(6, "hook_failed", &hooked(NEXT)[..5]);
    assert_eq!(failed.container(), first.container());
    let second = deploy("true").deployed(&hooked(NEXT));
    assert_eq!(second.status().replaced.as_deref(), Some(first.container()));
    assert_eq!(newer.answer(), "two");
    logs.wait_for("the next program's line", listens(&second));
    logs.interrupt();
    logs.ended();

    newer.origin.commit(&program::crash(), "Crash");
    let crashed = deploy("true").failed(6, "crashed", &hooked(NEXT));
    let mut detail = crashed.problem().detail.iter();
    assert!(
        detail.any(|line| line == "fatal: no database"),
        "{}",
        crashed.story()
    );
    assert_eq!(newer.answer(), "two");

    newer.back("rollback").deployed(BACK);
    assert_eq!(newer.answer(), "one");
    newer.back("stop").exited(0);
    newer.back("start").deployed(BACK);
    assert_eq!(newer.answer(), "one");
    newer.host.is_tidy();
}

/// It is told what is wrong in the engine's own words, which change.
#[test]
fn what_is_refused() {
    let Some(newer) = Newer::start() else {
        return;
    };
    // It belongs to the host, and ends with it.
    let [nsenter, namespace] = newer.engine.wrapper();
    let mut holder = newer.host.command(&nsenter);
    let holder = holder.args([&namespace, "busybox", "nc", "-lp", "8080"]);
    let holder = holder.current_dir(newer.host.path(""));
    let mut holder = holder.stdout(Stdio::null()).spawn().unwrap();
    for (arguments, code, words) in [
        (["-p", "8080:8080"], "port_taken", "8080"),
        (
            ["--network", "nowhere"],
            "start_failed",
            "docker network create",
        ),
        (["--user", "somebody"], "start_failed", "`--user UID:GID`"),
        (["--log-opt", "colour=red"], "start_failed", "LoggingDriver"),
        (["--cpus", "1000"], "start_failed", "`--cpus`"),
        (
            ["--image", "127.0.0.1:1/x:1"],
            "registry_unreachable",
            "curl -v",
        ),
    ] {
        let run = newer.deploy(&arguments);
        let problem = run.problem();
        let told = format!("{} {:?}", problem.message, problem.hint);
        assert!(
            problem.code == code && told.contains(words),
            "{arguments:?}: {}",
            run.story()
        );
    }
    holder.kill().unwrap();
    holder.wait().unwrap();
    newer.deploy(&["-p", "8080:8080"]).deployed(NEXT);
    assert_eq!(newer.answer(), "one");
}

#[test]
fn images_and_uploads() {
    let Some(newer) = Newer::start() else {
        return;
    };
    let (id, saved) = newer.engine.take_base();
    let file = newer.host.path("base.tar");
    fs::write(&file, saved).unwrap();

    // As this engine itself has written it, with both lists.
    let archive = ["--image-archive", file.to_str().unwrap()];
    let first = newer.deploy(&[&["--deliver", "upload"][..], &archive].concat());
    let first = first.deployed(FIRST);
    assert_eq!(newer.volumes(), [first.container()]);
    let digest = format!("{BASE}@{id}");
    newer.origin.commit(&server("two"), "Say two");
    let by_digest = ["--image", &digest, "--pull", "never", "-p", "8080:8080"];
    let second = newer.deploy(&by_digest).deployed(NEXT);
    assert_eq!(newer.answer(), "two");
    let again = newer.deploy(&[&by_digest[..], &["--if-changed"]].concat());
    assert_eq!(again.status().outcome.as_deref(), Some("unchanged"));

    newer.back("rollback").deployed(BACK);
    let running = newer.engine.containers(&newer.host.label());
    let running = running.iter().find(|container| container.is_running());
    assert_eq!(running.unwrap().name, first.container());
    let prune = ["prune", newer.host.name(), "--keep", "1"];
    newer.sdp(&prune).run().exited(0);
    assert_eq!(newer.volumes(), [first.container()]);
    assert_ne!(second.container(), first.container());
}
