//! The engine ends in the middle of a deployment, and is there again: a second engine, never the machine's.

use crate::support::program::{self, server};
use crate::support::{Host, Live, Origin, Run, Sdp, SecondEngine, eventually};

struct Service {
    // Dropped in this order: the engine's containers use the host's folders.
    engine: SecondEngine,
    host: Host,
    origin: Origin,
}

impl Service {
    fn new() -> Service {
        let host = Host::new();
        let origin = host.origin(&server("one"));
        let service = Service {
            engine: SecondEngine::start(),
            host,
            origin,
        };
        let first = service.deploy().run();
        assert_eq!(first.code, 0, "{}", first.story());
        assert_eq!(service.answer(), "one");
        service
    }

    fn deploy(&self) -> Sdp {
        let wrapper = self.engine.wrapper();
        let url = self.origin.url();
        let arguments = ["deploy", self.host.name(), "--url", &url, "--json"];
        self.host
            .sdp_through(&wrapper.each_ref().map(String::as_str), &arguments)
            .env("DOCKER_HOST", &self.engine.address())
    }

    /// A deployment as its health check begins.
    fn in_the_health_check(&self) -> Live {
        let never = program::slow_server("two", "time.Hour");
        self.origin.commit(&never, "Never answer");
        let mut live = self.deploy().args(&["--health-http", "/"]).spawn();
        live.wait_for("the health check", |event| event.starts("health check"));
        live
    }

    /// What the running containers answer, those that do not answer left out.
    fn answers(&self) -> Vec<String> {
        let label = self.host.label();
        let containers = self.engine.containers(&label);
        let running = containers.iter().filter(|container| container.is_running());
        running.filter_map(|c| self.engine.ask(c)).collect()
    }

    fn answer(&self) -> String {
        let answers = self.answers();
        let [answer] = answers.as_slice() else {
            let containers = self.engine.containers(&self.host.label());
            let states = containers.iter().map(|container| {
                let address = container.reached_at(8080);
                (container.name.as_str(), container.state(), address)
            });
            let states: Vec<_> = states.collect();
            panic!("not one that answers, but {answers:?}; there are {states:#?}");
        };
        answer.clone()
    }

    /// The engine starts what it was told to keep running.
    fn former_is_back(&self) {
        eventually("the former program is back with its engine", || {
            self.answers().contains(&"one".to_owned()).then_some(())
        });
    }

    /// The next deployment needs no help.
    fn recovers(&self) {
        self.origin.commit(&server("three"), "Say three");
        let run = self.deploy().run();
        assert_eq!(run.code, 0, "{}", run.story());
        let label = self.host.label();
        let states = self.engine.containers(&label);
        let states = states.iter().map(|container| {
            assert_eq!(
                container.label("sdp.canary"),
                Some("false"),
                "{}",
                container.name
            );
            (container.name.as_str(), container.state())
        });
        let states: Vec<(&str, String)> = states.collect();
        let running = states.iter().filter(|(_, state)| state == "running");
        let running: Vec<&str> = running.map(|(name, _)| *name).collect();
        assert_eq!(running, [run.container()], "{states:?}");
        assert!(
            states
                .iter()
                .all(|(_, s)| matches!(s.as_str(), "running" | "exited")),
            "{states:?}"
        );
        assert_eq!(self.answer(), "three");
        let releases = crate::support::listing(&self.host.checkout().join(".sdp/releases"));
        assert_eq!(releases.len(), states.len(), "{releases:?}, {states:?}");
        self.host.is_tidy();
    }
}

fn is_honest(run: &Run) {
    assert!(matches!(run.code, 3 | 6 | 7), "{}", run.story());
    let outcome = run.status().outcome.as_deref();
    assert!(
        matches!(outcome, Some("failed_old_serving" | "failed_down")),
        "{}",
        run.story()
    );
    assert!(run.problem().hint.is_some(), "{}", run.story());
}

#[test]
fn engine_stopped_in_the_health_check() {
    let mut service = Service::new();
    let live = service.in_the_health_check();
    service.engine.down();
    let run = live.finish();
    is_honest(&run);
    service.engine.up();
    service.former_is_back();
    service.recovers();
}

/// The engine does not bring its containers back after this, or not all of them: sdp deploys all the same.
#[test]
fn engine_crashes_in_the_health_check() {
    let mut service = Service::new();
    let live = service.in_the_health_check();
    service.engine.crash();
    let run = live.finish();
    is_honest(&run);
    service.engine.up();
    service.recovers();
}

/// It comes and goes while go builds: the deployment does not notice.
#[test]
fn engine_restarted_in_the_build() {
    let mut service = Service::new();
    service.origin.commit(&server("two"), "Say two");
    let go = service.host.instead_of(
        "go",
        "case $1 in build) touch \"$HOME/building\"; while [ -e \"$HOME/building\" ]; do sleep 0.05; done;; esac\n\
         PATH=${PATH#*:} exec go \"$@\"",
    );
    let live = service.deploy().env("PATH", &go).spawn();
    let building = service.host.path("home/building");
    eventually("the build", || building.exists().then_some(()));
    service.engine.down();
    service.engine.up();
    std::fs::remove_file(building).unwrap();
    let run = live.finish();
    assert_eq!(run.code, 0, "{}", run.story());
    assert_eq!(service.answer(), "two");
    service.origin.commit(&server("one"), "Say one again");
    assert_eq!(service.deploy().run().code, 0);
    service.recovers();
}

/// An engine that starts again starts what serves, and nothing that was replaced, whatever the policies.
#[test]
fn engine_restarted_with_policies_that_outlive_a_stop() {
    let mut service = Service::new();
    for (policy, word) in [
        ("on-failure", "two"),
        ("always", "three"),
        ("always", "four"),
    ] {
        service.origin.commit(&server(word), word);
        let run = service.deploy().args(&["--restart", policy]).run();
        assert_eq!(run.code, 0, "{}", run.story());
    }
    service.engine.down();
    service.engine.up();
    eventually("the last one is back with its engine", || {
        service.answers().contains(&"four".to_owned()).then_some(())
    });
    assert_eq!(service.answers(), ["four"]);
    let containers = service.engine.containers(&service.host.label());
    let running = containers.iter().filter(|container| container.is_running());
    assert_eq!(running.count(), 1);
}

/// The name of the image that sdp carries is free for anybody to give away: what has it is not taken for
/// that image.
#[test]
fn another_image_has_the_name_of_the_one_that_sdp_carries() {
    let service = Service::new();
    let version = env!("CARGO_PKG_VERSION");
    let other = service.engine.tag_base("sdp-builtin", version);
    let images = || {
        let run = service.deploy().args(&["--image", "builtin"]).run();
        assert_eq!(run.code, 0, "{}", run.story());
        assert_eq!(service.answer(), "one");
        let containers = service.engine.containers(&service.host.label());
        let running = containers.iter().find(|container| container.is_running());
        let running = running.unwrap();
        running.inspect.image.clone()
    };

    // It is imported once, and taken for what it is then.
    let first = images();
    assert_ne!(first, other);
    assert_eq!(first, images());
}
