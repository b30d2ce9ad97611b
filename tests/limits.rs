//! What a program may do and take: its user, its limits, its restarts, and how long its log grows.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use bollard::models::{HostConfig, RestartPolicyNameEnum};

use crate::support::images::Images;
use crate::support::program::{self, server, server_source};
use crate::support::{FIRST, Host, NEXT, Proxy, Run, free_port};

/// A server that says who it is, and what it may write.
fn curious() -> program::Files {
    let handler = r#"http.HandleFunc("/may", func(w http.ResponseWriter, r *http.Request) {
		status, _ := os.ReadFile("/proc/self/status")
		source, read := os.ReadFile("/src/main.go")
		write := func(path string) bool { return os.WriteFile(path, source, 0o600) == nil }
		fmt.Fprintf(w, "uid %d gid %d read %t root %t tmp %t src %t\n%s", os.Getuid(), os.Getgid(),
			read == nil, write("/x"), write("/tmp/x"), write("/src/x"), status)
	})"#;
    program::module(&[("main.go", &server_source("one", ":80", handler))])
}

fn may(host: &Host) -> String {
    let address = host.running().address(80);
    crate::support::get(address, "/may").unwrap()
}

fn confinement(host: &Host) -> HostConfig {
    host.running().inspect.host_config.unwrap()
}

/// The `docker run` line of a dry run.
fn rehearsed(run: &Run) -> String {
    let mut lines = run.stdout.lines();
    let line = lines.find(|line| line.contains("docker run"));
    let line = line.unwrap_or_else(|| panic!("{}", run.story()));
    line.replace('\'', "")
}

#[test]
fn hardened() {
    let host = Host::new();
    let origin = host.origin(&curious());
    let publish = format!("127.0.0.1:{}:80", free_port());
    let deploy = |arguments: &[&str]| {
        let flags = ["--port", "80", "-p", &publish];
        host.deploy(&origin).args(&flags).args(arguments).run()
    };

    deploy(&[]).deployed(FIRST);
    let said = may(&host);
    assert!(
        said.starts_with("uid 0 gid 0 read true root true tmp true src false\n"),
        "{said}"
    );
    assert!(said.contains("NoNewPrivs:\t1"), "{said}");

    // Its directory is nobody else's, and the containers of other users see their release all the same.
    let own = host.checkout().join(".sdp");
    let mode = || fs::metadata(&own).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(), 0o700);
    fs::set_permissions(&own, fs::Permissions::from_mode(0o755)).unwrap();

    // A port below 1024 as a user who is not root, and the canary of it before.
    deploy(&["--hardened"]).deployed(NEXT);
    let said = may(&host);
    assert!(
        said.starts_with("uid 65534 gid 65534 read true root false tmp true src false\n"),
        "{said}"
    );
    for line in [
        "CapPrm:\t0000000000000000",
        "CapBnd:\t0000000000000000",
        "NoNewPrivs:\t1",
    ] {
        assert!(said.contains(line), "{line} in {said}");
    }
    assert_eq!(confinement(&host).pids_limit, Some(512));
    assert_eq!(mode(), 0o700);

    deploy(&["--user", "1234:5678"]).deployed(NEXT);
    assert!(may(&host).starts_with("uid 1234 gid 5678 read true root false"));
    // The container that was kept is as it was, and so is its canary.
    host.sdp(&["rollback", host.name()]).run().exited(0);
    let said = may(&host);
    assert!(said.starts_with("uid 65534 gid 65534"), "{said}");
    assert!(said.contains("CapBnd:\t0000000000000000"), "{said}");
}

#[test]
fn limits() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let flags = [
        "--memory",
        "64m",
        "--cpus",
        "0.5",
        "--pids",
        "100",
        "--ulimit",
        "nofile=500:600",
        "--ulimit",
        "core=0",
        "--log-opt",
        "max-size=2m",
        "--restart",
        "on-failure:3",
    ];
    let deploy = |flags: &[&str]| host.deploy(&origin).args(flags);

    let first = deploy(&flags).run().deployed(FIRST);
    let is_limited = || {
        let config = confinement(&host);
        let limits = (config.memory, config.nano_cpus, config.pids_limit);
        assert_eq!(limits, (Some(64 << 20), Some(500_000_000), Some(100)));
        let ulimits = config.ulimits.unwrap_or_default();
        let ulimit = |name: &str| {
            let mut limits = ulimits.iter();
            let found = limits.find(|limit| limit.name.as_deref() == Some(name));
            found.map(|limit| (limit.soft, limit.hard))
        };
        assert_eq!(ulimit("nofile"), Some((Some(500), Some(600))));
        assert_eq!(ulimit("core"), Some((Some(0), Some(0))));
        let log = config
            .log_config
            .and_then(|log| log.config)
            .unwrap_or_default();
        assert_eq!(log.get("max-size").map(String::as_str), Some("2m"));
        let restart = config.restart_policy.unwrap();
        assert_eq!(restart.name, Some(RestartPolicyNameEnum::ON_FAILURE));
        assert_eq!(restart.maximum_retry_count, Some(3));
    };
    is_limited();

    // The same again is unchanged, and with another limit it is not.
    let again = deploy(&flags).args(&["--if-changed"]).run().exited(0);
    assert_eq!(again.status().outcome.as_deref(), Some("unchanged"));
    let flags = ["--memory", "65m"];
    deploy(&flags).args(&["--if-changed"]).run().deployed(NEXT);

    // An engine that starts again must not start the one that was replaced.
    let containers = host.containers();
    let replaced = containers
        .iter()
        .find(|other| other.name == first.container());
    let config = replaced.unwrap().inspect.host_config.as_ref().unwrap();
    let policy = config.restart_policy.as_ref().unwrap();
    assert_eq!(policy.name, Some(RestartPolicyNameEnum::UNLESS_STOPPED));
    host.sdp(&["rollback", host.name()]).run().exited(0);
    is_limited();
}

/// A program that needs what it is not given says so, and the hint says how to give it.
#[test]
fn what_a_hardened_program_misses() {
    let host = Host::new();
    let data = host.path("data");
    fs::create_dir(&data).unwrap();
    let volume = format!("{}:/data", data.display());
    let write = |path: &str| {
        let write = format!("if e := os.WriteFile({path:?}, nil, 0o600); e != nil {{ panic(e) }}");
        program::module(&[("main.go", &server_source("one", ":8080", &write))])
    };
    let origin = host.origin(&write("/x"));
    let deploy = || {
        host.deploy(&origin)
            .args(&["--hardened", "-v", &volume])
            .run()
    };

    let run = deploy().failed(6, "crashed", FIRST);
    let hint = run.problem().hint.as_deref().unwrap();
    assert!(hint.contains("-v SOURCE:TARGET"), "{hint}");

    origin.commit(&write("/data/x"), "Write to the volume");
    let run = deploy().failed(6, "crashed", NEXT);
    let hint = run.problem().hint.as_deref().unwrap();
    assert!(hint.contains("chown"), "{hint}");

    let run = host.deploy(&origin).args(&["--user", "nosuchuser"]).run();
    let run = run.failed(6, "start_failed", &NEXT[..5]);
    let hint = run.problem().hint.as_deref().unwrap();
    assert!(hint.contains("--user UID:GID"), "{hint}");
    for (flag, word) in [
        ("--log-opt=max-size=much", "--log-opt"),
        ("--cpus=4000", "--cpus"),
        ("--network=nowhere", "docker network create"),
    ] {
        let run = host.deploy(&origin).args(&[flag]).run();
        let run = run.failed(6, "start_failed", &NEXT[..5]);
        let hint = run.problem().hint.as_deref().unwrap();
        assert!(hint.contains(word), "{hint}");
    }
    assert!(host.containers().is_empty());
}

/// A read-only root has holes where the image asks for volumes: that is told once, of those that nobody
/// has mounted anything at.
#[test]
fn volumes_of_an_image() {
    let host = Host::new();
    let images = Images::of(&host);
    let image = format!("{}:volumes", host.name());
    images.with_volumes(&image, &["/cache", "/data/", "/kept", "/src", "/tmp"]);
    let origin = host.origin(&server("one"));
    let deploy = |flags: &[&str]| {
        let deploy = host.deploy(&origin).args(&["--image", &image]);
        deploy.args(flags).run().exited(0)
    };
    let names = |run: &Run, paths: &str, first: &str| {
        let told = run.warnings();
        let [(line, hint)] = told.as_slice() else {
            panic!("not one warning: {}", run.story());
        };
        assert!(line.ends_with(&format!(": {paths}")), "{line}");
        assert!(
            hint.starts_with(&format!("`-v NAME:{first}` keeps")),
            "{hint}"
        );
    };
    let kept = host.path("tmp").display().to_string();
    let kept = ["--hardened", "-v", &format!("{kept}:/kept:ro")];

    let hook = [
        "--before-build",
        "true",
        "--before-start",
        "true",
        "--after-deploy",
        "true",
    ];
    let run = deploy(&[&kept[..], &hook].concat());
    names(&run, "`/cache`, `/data`", "/cache");
    let anonymous: Vec<String> = host
        .running()
        .inspect
        .mounts
        .unwrap()
        .into_iter()
        .filter(|mount| mount.rw == Some(true))
        .filter_map(|mount| mount.destination)
        .collect();
    assert_eq!(anonymous.len(), 2, "{anonymous:?}");
    let rest = ["-v", &format!("{}:/cache/", host.path("home").display())];
    names(&deploy(&[&kept[..], &rest].concat()), "`/data`", "/data");
    names(
        &deploy(&[&kept[..], &["--dry-run"]].concat()),
        "`/cache`, `/data`",
        "/cache",
    );
    assert_eq!(deploy(&[]).warnings(), []);
}

#[test]
fn limits_that_cannot_be_meant() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    for flag in [
        ["--memory", "much"],
        ["--cpus", "0"],
        ["--ulimit", "files=1"],
        ["--log-opt", "max-size"],
        ["--user", "a b"],
        ["--restart", "sometimes"],
    ] {
        let run = host.deploy(&origin).args(&flag).run().exited(2);
        let problem = run.problem();
        let quoted = format!("{} {}", flag[0], flag[1]);
        assert!(problem.message.contains(&quoted), "{problem:?}");
        assert!(problem.hint.is_some(), "{problem:?}");
    }
    host.is_untouched();
}

/// The engine's own word on rotation counts, and that of the flags more. What the engine's file says it
/// does not tell; sdp reads it where it lies for an engine of a user's own.
#[test]
fn log_that_is_rotated() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let proxy = Proxy::new(&host.path("engine.sock"));
    let rehearse = |flags: &[&str]| {
        let deploy = host.deploy(&origin).args(&["--dry-run"]).args(flags);
        rehearsed(&deploy.env("DOCKER_HOST", proxy.address()).run().exited(0))
    };
    host.clone_by_hand(&origin);

    let line = rehearse(&[]);
    assert!(
        line.contains("--log-opt max-size=10m --log-opt max-file=3"),
        "{line}"
    );
    assert!(line.contains("--security-opt no-new-privileges"), "{line}");
    let line = rehearse(&["--log-opt", "max-file=7"]);
    assert!(
        line.contains("--log-opt max-file=7 --log-opt max-size=10m "),
        "{line}"
    );
    let line = rehearse(&["--log-opt", "max-size=-1"]);
    assert!(
        line.contains("--log-opt max-size=-1 ") && !line.contains("max-file"),
        "{line}"
    );
    let line = rehearse(&[
        "--hardened",
        "--memory",
        "64m",
        "--cpus",
        "1.5",
        "--restart",
        "no",
    ]);
    for part in [
        "--restart no",
        "--cap-drop ALL",
        "--tmpfs /tmp:rw,noexec,",
        "--user 65534:65534",
        "--memory 67108864",
        "--cpus 1.500000000",
        "--pids-limit 512",
        "--read-only",
    ] {
        assert!(line.contains(part), "{part} in {line}");
    }

    let deploy = host.deploy(&origin).env("DOCKER_HOST", proxy.address());
    deploy
        .args(&["--log-opt", "max-file=4"])
        .run()
        .deployed(NEXT);
    let log = confinement(&host).log_config.unwrap().config.unwrap();
    let option = |name: &str| log.get(name).map(String::as_str);
    assert_eq!(
        (option("max-size"), option("max-file")),
        (Some("10m"), Some("4"))
    );

    fs::create_dir_all(host.path("home/.config/docker")).unwrap();
    let settings = r#"{"log-opts": {"max-size": "50m"}, "debug": true}"#;
    host.at_home(".config/docker/daemon.json", settings);
    let line = rehearse(&[]);
    assert!(!line.contains("--log-opt"), "{line}");
}
