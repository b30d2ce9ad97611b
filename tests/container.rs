//! The container that a deployment ends with: its shape, its environment, its mounts.

use std::collections::BTreeSet;
use std::fs;

use bollard::models::RestartPolicyNameEnum;

use crate::support::program::server;
use crate::support::{BASE, FIRST, Host, listing};

#[test]
fn shape_of_the_container() {
    let host = Host::new();
    let origin = host.origin(&server("one"));

    let run = host.deploy(&origin).run().deployed(FIRST);

    let container = host.running();
    let (name, id) = (host.name(), run.deployment());
    assert_eq!(container.name, format!("sdp-{name}-{id}"));
    let release = host.checkout().join(format!(".sdp/releases/{id}"));
    assert_eq!(
        listing(&release),
        BTreeSet::from([format!("app-{name}"), "go.mod".into(), "main.go".into()])
    );
    let commit = run.status().commit.as_deref();
    for (key, value) in [
        ("sdp.repository", Some(name)),
        ("sdp.deployment", Some(id)),
        ("sdp.branch", Some("main")),
        ("sdp.commit", commit),
    ] {
        assert_eq!(container.label(key), value, "{key}");
    }
    assert!(
        container
            .label("sdp.release")
            .is_some_and(|label| label.contains(id))
    );

    let config = container.inspect.config.as_ref().unwrap();
    assert_eq!(config.image.as_deref(), Some(BASE));
    assert_eq!(config.working_dir.as_deref(), Some("/src"));
    let command: Vec<String> = [config.entrypoint.clone(), config.cmd.clone()]
        .into_iter()
        .flatten()
        .flatten()
        .collect();
    assert_eq!(command, [format!("/src/app-{name}")]);
    assert!(format!("{:?}", config.exposed_ports).contains("8080/tcp"));

    let host_config = container.inspect.host_config.as_ref().unwrap();
    let policy = host_config.restart_policy.as_ref().unwrap();
    assert_eq!(policy.name, Some(RestartPolicyNameEnum::UNLESS_STOPPED));
    let [mount] = container.inspect.mounts.as_deref().unwrap() else {
        panic!("not one mount: {:?}", container.inspect.mounts);
    };
    assert_eq!(mount.source.as_deref(), release.to_str());
    assert_eq!(mount.destination.as_deref(), Some("/src"));
    assert_eq!(mount.rw, Some(false));
}

#[test]
fn environment_of_the_program() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let file = host.path("shop.env");
    fs::write(
        &file,
        "# of the shop\nLEVEL=file\nPLACE='file town'\nEMPTY=\n",
    )
    .unwrap();

    let run = host
        .deploy(&origin)
        .env("PASSED_ON", "sesame-open")
        .args(&["--env-file", file.to_str().unwrap()])
        .args(&["-e", "LEVEL=flag", "-e", "PASSED_ON", "-e", "EQUAL=a=b"])
        .run()
        .deployed(FIRST);

    for (name, value) in [
        ("LEVEL", "flag"),
        ("PLACE", "file town"),
        ("EMPTY", ""),
        ("PASSED_ON", "sesame-open"),
        ("EQUAL", "a=b"),
    ] {
        assert_eq!(host.ask(&format!("/env?{name}")), value, "{name}");
    }
    assert!(!run.story().contains("sesame-open"), "{}", run.story());
}

#[test]
fn flags_of_the_container() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let data = host.path("data");
    fs::create_dir(&data).unwrap();

    let run = host
        .deploy(&origin)
        .args(&[
            "--label",
            "team=shop",
            "--port",
            "8080",
            "--stop-timeout",
            "3s",
        ])
        .args(&["-v", &format!("{}:/data:ro", data.display())])
        .args(&["--", "--verbose", "two words"])
        .run()
        .deployed(FIRST);

    let container = host.running();
    assert_eq!(container.label("team"), Some("shop"));
    let config = container.inspect.config.as_ref().unwrap();
    assert_eq!(config.stop_timeout, Some(3));
    let mounts = container.inspect.mounts.as_deref().unwrap();
    let mut targets = mounts
        .iter()
        .map(|mount| (mount.destination.as_deref(), mount.rw));
    assert!(
        targets.any(|mount| mount == (Some("/data"), Some(false))),
        "{mounts:?}"
    );
    let logs = host.logs(run.container());
    assert!(logs.contains("args [--verbose two words]"), "{logs}");
}

#[test]
fn live_checkout_as_the_mount() {
    let host = Host::new();
    let origin = host.origin(&server("one"));

    host.deploy(&origin)
        .args(&["--mount", "checkout"])
        .run()
        .deployed(FIRST);

    let container = host.running();
    let mounts = container.inspect.mounts.as_deref().unwrap();
    assert_eq!(mounts.len(), 1);
    assert_eq!(mounts[0].source.as_deref(), host.checkout().to_str());
    assert_eq!(mounts[0].rw, Some(true));
    assert_eq!(host.answer(), "one");
    assert_eq!(host.git(&["status", "--porcelain"]), "");
}

#[test]
fn image_that_sdp_carries() {
    let host = Host::new();
    let origin = host.origin(&server("one"));

    let run = host
        .deploy(&origin)
        .args(&["--image", "builtin"])
        .run()
        .deployed(FIRST);

    assert_eq!(host.answer(), "one");
    host.holds(&[&run], &[]);
}
