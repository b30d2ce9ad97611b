//! Which service a word on the command line is: names, checkouts, and sdp.toml's word on them.

use crate::support::program::server;
use crate::support::{FIRST, Host, NEXT, Run, free_port};

fn value(run: &Run, key: &str) -> Option<String> {
    let of_key = |setting: &&crate::support::Event| setting.key.as_deref() == Some(key);
    run.events.iter().find(of_key)?.value.clone()
}

/// Whoever names the checkout of a service means the service.
#[test]
fn a_checkout_is_the_service_that_has_it() {
    let host = Host::new();
    let srv = host.path("srv");
    std::os::unix::fs::symlink(&srv, host.path("linked")).unwrap();
    let file = host.at_home(
        "sdp.toml",
        &format!(
            "[repos.shop]\npath = \"{0}/checkout\"\nlabel.of = \"shop\"\nurl = \"/nowhere\"\n\
             [repos.shop.environments.staging]\nlabel.of = \"staging\"\n\
             [repos.shop.environments.live]\nlabel.of = \"live\"\n\
             [repos.other]\nlabel.of = \"other\"\n",
            srv.display()
        ),
    );
    let config = |arguments: &[&str]| {
        let sdp = host.sdp(&["config", "--json", "--config", &file]);
        let run = sdp.args(arguments).run().exited(0);
        (value(&run, "repository").unwrap(), value(&run, "label"))
    };
    let is = |arguments: &[&str], name: &str, of: Option<&str>| {
        let of = of.map(|of| format!("of={of}"));
        assert_eq!(config(arguments), (name.to_owned(), of), "{arguments:?}");
    };
    let absolute = srv.join("checkout").display().to_string();
    let linked = host.path("linked/checkout").display().to_string();
    for word in [
        "shop",
        "./checkout",
        "../srv/checkout/",
        "checkout",
        &absolute,
        &linked,
    ] {
        is(&[word], "shop", Some("shop"));
        is(
            &[word, "--environment", "staging"],
            "shop-staging",
            Some("staging"),
        );
    }
    for word in ["./checkout-staging", "checkout-staging"] {
        is(&[word], "shop-staging", Some("staging"));
        let same = [word, "--environment", "staging"];
        is(&same, "shop-staging", Some("staging"));
        // Neither of the two is what is meant, and nobody's service is touched.
        for command in ["config", "stop"] {
            let sdp = host.sdp(&[command, word, "--json", "--config", &file]);
            let run = sdp.env("SDP_ENVIRONMENT", "live").run().exited(2);
            let message = &run.problem().message;
            assert!(message.contains("`live` is asked for"), "{message}");
        }
    }
    is(&["./other"], "other", Some("other"));
    is(&["./another"], "another", None);
    is(&["https://git.example.com/checkout.git"], "checkout", None);
    let request = host.at_home("request.json", r#"{"path": "checkout"}"#);
    is(&["--request", &request], "shop", Some("shop"));
    // It is relative to where sdp is started.
    let sdp = host.sdp(&["config", "--json", "--config", &file, "--request", &request]);
    let run = sdp.within(&host.path("home")).run().exited(0);
    assert_eq!(value(&run, "repository").unwrap(), "checkout");

    // The other commands know it, too.
    let origin = host.origin(&server("one"));
    let name = host.name();
    let path = srv.join("checkout").display().to_string();
    let table = format!(
        "[repos.{name}]\npath = {path:?}\nurl = {:?}\n",
        origin.url()
    );
    host.at_home("sdp.toml", &table);
    let run = |command: &str| {
        let sdp = host.sdp(&[command, &path, "--json", "--config", &file]);
        sdp.run().exited(0)
    };
    let deployed = run("deploy").deployed(FIRST);
    let prefix = format!("sdp-{name}-");
    assert!(
        deployed.container().starts_with(&prefix),
        "{}",
        deployed.story()
    );
    assert_eq!(host.answer(), "one");
    assert_eq!(run("stop").status().state, "STOPPED");
}

/// `sdp deploy NAME --path DIR`: NAME is what the service is called.
#[test]
fn a_name_before_a_path_is_the_service_s() {
    let host = Host::new();
    let name = |arguments: &[&str]| {
        let sdp = host.sdp(&["config", "--json"]).args(arguments);
        let run = sdp.run().exited(0);
        (
            value(&run, "repository").unwrap(),
            value(&run, "path").unwrap(),
        )
    };
    let srv = host.path("srv");
    let at = |below: &str| srv.join(below).display().to_string();
    let is = |arguments: &[&str], expected: &str, below: &str| {
        let (name, path) = name(arguments);
        let path = srv.join(path).display().to_string();
        assert_eq!(
            (name.as_str(), path),
            (expected, at(below)),
            "{arguments:?}"
        );
    };
    is(&["shop", "--path", "checkout"], "shop", "checkout");
    is(&["shop"], "shop", "shop");
    is(&["./checkout"], "checkout", "checkout");
    is(
        &["./checkout", "--path", &at("checkout")],
        "checkout",
        at("checkout").as_str(),
    );
    let url = "https://git.example.com/team/shop.git";
    is(&[url, "--path", "checkout"], "shop", "checkout");
    let file = host.at_home("sdp.toml", "[repos.shop]\npath = \"/srv/shop\"\n");
    is(
        &["shop", "--path", "checkout", "--config", &file],
        "shop",
        "checkout",
    );

    let two = |sdp: crate::support::Sdp| {
        let run = sdp.run().exited(2);
        let message = run.problem().message.as_str();
        assert!(message.contains("two checkouts"), "{}", run.story());
    };
    two(host.sdp(&["config", "./shop", "--path", "checkout", "--json"]));
    two(host
        .sdp(&["config", ".", "--json"])
        .env("SDP_PATH", "checkout"));

    // One who has deployed it knows it by that name.
    let origin = host.origin(&server("one"));
    let checkout = host.path("elsewhere").display().to_string();
    let sdp = host.deploy(&origin).args(&["--path", &checkout]);
    let run = sdp.run().deployed(FIRST);
    let prefix = format!("sdp-{}-", host.name());
    assert!(run.container().starts_with(&prefix), "{}", run.story());
    host.sdp(&["stop", host.name()]).run().exited(0);
    assert!(!host.containers()[0].is_running());
}

/// Another `path` in sdp.toml is another service; whoever writes it is told what still runs.
#[test]
fn a_container_of_a_former_path_is_told() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let name = host.name();
    let port = free_port();
    let deploy = |folder: &str, port: u16, more: &[&str]| {
        let path = host.path(folder).display().to_string();
        let text = format!(
            "[repos.{name}]\npath = {path:?}\nurl = {:?}\npublish = [\"127.0.0.1:{port}:8080\"]\n",
            origin.url()
        );
        let file = host.at_home("sdp.toml", &text);
        let sdp = host.sdp(&["deploy", name, "--json", "--config", &file]);
        sdp.args(more).run()
    };
    let first = deploy("srv/old", port, &[]).deployed(FIRST);
    assert_eq!(first.warnings(), []);
    assert_eq!(deploy("srv/old", port, &[]).deployed(NEXT).warnings(), []);

    // It may be the reason for what fails.
    let old = host.path("srv/old").display().to_string();
    for (port, flags, code) in [
        (port, &[][..], 6),
        (free_port(), &["--dry-run"], 0),
        (free_port(), &[], 0),
    ] {
        let run = deploy("srv/new", port, flags).exited(code);
        let told = run.warnings();
        assert_eq!(told.len(), 1, "{}", run.story());
        assert!(told[0].0.contains(&old), "{told:?}");
        assert!(told[0].0.contains(&format!("`sdp-{name}-")), "{told:?}");
        assert!(told[0].1.contains(&format!("`sdp stop {old}`")), "{told:?}");
    }
    host.sdp(&["stop", &old]).run().exited(0);
    assert_eq!(deploy("srv/new", free_port(), &[]).exited(0).warnings(), []);

    // One that was moved is not there to be stopped by its path.
    std::fs::rename(host.path("srv/new"), host.path("srv/moved")).unwrap();
    let run = deploy("srv/moved", free_port(), &["--dry-run"]).exited(0);
    let hint = &run.warnings()[0].1;
    assert!(
        hint.contains(&format!("`docker stop sdp-{name}-")),
        "{hint}"
    );
}
