//! Engines that are not this machine's own: remote ones through TLS and ssh, and Podman.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};

use crate::support::program::{self, server};
use crate::support::{
    Authority, FIRST, Fault, Host, NEXT, Origin, Phase, Podman, Proxy, Run, Sdp, SecondEngine,
    eventually, free_port, get, tree,
};

/// The stages of a rollback, and of a start.
const BACK: &[&str] = &["start container", "health check"];

/// A host, and an engine elsewhere that does not see it.
struct Remote {
    // Dropped in this order: the engine's namespaces hide the host's folder.
    engine: SecondEngine,
    host: Host,
    origin: Origin,
    authority: Authority,
}

impl Remote {
    fn new() -> Remote {
        let host = Host::new();
        let origin = host.origin(&server("one"));
        let authority = host.authority();
        Remote {
            engine: SecondEngine::start_remote(&host.path(""), &authority),
            host,
            origin,
            authority,
        }
    }

    /// What the engine's port 8080 answers.
    fn answer(&self) -> String {
        let address: SocketAddr = format!("{}:8080", self.engine.host()).parse().unwrap();
        get(address, "/").unwrap()
    }

    fn volumes(&self) -> Vec<String> {
        self.engine.volumes().into_keys().collect()
    }

    /// The volume of a release is what the release is.
    fn has_uploaded(&self, run: &Run) {
        let volume = &self.engine.volumes()[run.container()];
        let volume = self.engine.seen_from_here(volume);
        let (sent, release) = (tree(&volume), tree(&self.host.release(run)));
        assert!(sent.contains_key(Path::new("main.go")), "{sent:?}");
        for (path, file) in &release {
            if path != Path::new("out") {
                assert_eq!(&sent[path], file, "{}", path.display());
            }
        }
        assert_eq!(sent.len(), release.len());
        let time = |folder: &Path| fs::metadata(folder.join("main.go")).unwrap().mtime();
        assert_eq!(time(&volume), time(&self.host.release(run)));
    }
}

/// What [`program::crash`] says at its end is part of the failure.
fn says_why(crashed: &Run) {
    let mut detail = crashed.problem().detail.iter();
    assert!(
        detail.any(|line| line == "fatal: no database"),
        "{}",
        crashed.story()
    );
}

/// Docker's configuration with a context, which is the current one.
fn context(host: &Host, name: &str, address: &str) -> PathBuf {
    let folder = host.path("docker");
    let id = format!("{:x}", Sha256::digest(name));
    let meta = folder.join("contexts/meta").join(&id);
    let tls = folder.join("contexts/tls").join(&id).join("docker");
    fs::create_dir_all(&meta).unwrap();
    let described = serde_json::json!({
        "Name": name,
        "Metadata": {},
        "Endpoints": {"docker": {"Host": address, "SkipTLSVerify": false}},
    });
    fs::write(meta.join("meta.json"), described.to_string()).unwrap();
    let settings = serde_json::json!({"auths": {}, "currentContext": name});
    fs::write(folder.join("config.json"), settings.to_string()).unwrap();
    tls
}

#[test]
#[allow(clippy::too_many_lines)] // a second engine is dear: it is started once
fn through_tls_and_a_context() {
    let remote = Remote::new();
    let Remote { host, origin, .. } = &remote;
    let tls = context(host, "far", &remote.engine.tls_address());
    fs::create_dir_all(&tls).unwrap();
    fs::copy(remote.authority.file(), tls.join("ca.pem")).unwrap();
    remote.authority.issue(&tls, "cert", &["ada"], true);
    fs::rename(tls.join("cert-key.pem"), tls.join("key.pem")).unwrap();
    let configuration = host.path("docker").display().to_string();
    let sdp = |arguments: &[&str]| {
        let sdp = host.sdp(arguments).env("DOCKER_CONFIG", &configuration);
        sdp.env("DOCKER_HOST", "")
    };
    let url = origin.url();
    let deploy = |more: &[&str]| {
        let arguments = ["deploy", host.name(), "--url", &url, "--json"];
        let health = ["-p", "8080:8080", "--health-http", "/"];
        sdp(&arguments).args(&health).args(more)
    };
    let back = |command: &str| sdp(&[command, host.name(), "--json"]).run();
    origin.link("../../etc/hostname", "out");

    // Without a certificate of its own nobody gets in.
    let bare = host.path("bare");
    fs::create_dir(&bare).unwrap();
    fs::copy(remote.authority.file(), bare.join("ca.pem")).unwrap();
    let nobody = deploy(&["-H", &remote.engine.tls_address()])
        .env("DOCKER_TLS_VERIFY", "1")
        .env("DOCKER_CERT_PATH", bare.to_str().unwrap());
    nobody.run().failed(3, "engine_denied", &[]);

    // It cannot be mounted, and says so to whoever insists.
    let refused = deploy(&["--deliver", "mount"]).run();
    let refused = refused.failed(6, "start_failed", &FIRST[..6]);
    let hint = refused.problem().hint.as_deref().unwrap();
    assert!(hint.contains("`--deliver upload`"), "{hint}");
    assert!(remote.volumes().is_empty());

    let first = deploy(&[]).run().deployed(NEXT);
    let remarks = first.remarks("start container");
    assert!(remarks.contains(&"uploading the release"), "{remarks:?}");
    let sent = first.events.iter().filter(|event| {
        event.phase == Some(Phase::Update) && event.unit.as_deref() == Some("bytes")
    });
    assert!(
        sent.clone().all(|event| event.done <= event.total),
        "{}",
        first.story()
    );
    assert_eq!(remote.answer(), "one");
    assert_eq!(remote.volumes(), [first.container()]);
    remote.has_uploaded(&first);
    let volume = remote
        .engine
        .seen_from_here(&remote.engine.volumes()[first.container()]);
    let link = fs::read_link(volume.join("out")).unwrap();
    assert_eq!(link, Path::new("/etc/hostname"));

    origin.commit(&server("two"), "Say two");
    let second = deploy(&[]).run().deployed(NEXT);
    assert_eq!(second.status().replaced.as_deref(), Some(first.container()));
    assert_eq!(remote.answer(), "two");

    // A hook is to see the release, too, which is sent once.
    let hook = |command: &str| deploy(&["--before-start", command]).run();
    let migrated = [&NEXT[..4], &["before start"], &NEXT[4..]].concat();
    let failed = hook("ls /src/main.go; exit 7").failed(6, "hook_failed", &migrated[..5]);
    assert!(
        failed.stdout.contains(r#""line":"/src/main.go""#),
        "{}",
        failed.story()
    );
    assert_eq!(remote.volumes(), [first.container(), second.container()]);

    origin.commit(&program::crash(), "Crash");
    let crashed = hook("ls /src/main.go").failed(6, "crashed", &migrated);
    assert!(
        crashed
            .remarks("start container")
            .iter()
            .all(|line| !line.contains("uploading"))
    );
    says_why(&crashed);
    assert_eq!(crashed.container(), second.container());
    assert_eq!(remote.answer(), "two");
    assert_eq!(remote.volumes(), [first.container(), second.container()]);

    back("rollback").deployed(BACK);
    assert_eq!(remote.answer(), "one");
    back("stop").exited(0);
    back("start").deployed(BACK);
    assert_eq!(remote.answer(), "one");
    let mut logs = sdp(&["logs", host.name(), "-f"]).spawn();
    logs.wait_for_line("the program's line", |line| line.contains("listening on"));
    logs.interrupt();
    logs.finish().exited(0);

    // By its socket it passes for this host's own, until it misses the release.
    let wrapper = remote.engine.wrapper();
    let arguments = ["deploy", host.name(), "--url", &url, "--json"];
    origin.commit(&server("three"), "Say three");
    let third = host
        .sdp_through(&wrapper.each_ref().map(String::as_str), &arguments)
        .env("DOCKER_HOST", &remote.engine.address())
        .run()
        .deployed(NEXT);
    let remarks = third.remarks("start container");
    assert!(remarks.contains(&"uploading the release"), "{remarks:?}");
    remote.has_uploaded(&third);
    back("rollback").deployed(BACK);

    sdp(&["prune", host.name(), "--keep", "1"]).run().exited(0);
    assert_eq!(remote.volumes(), [first.container()]);
    // Whoever removes the container by hand leaves its volume to the next prune.
    remote.engine.remove_by_hand(first.container());
    sdp(&["prune", &host.checkout().display().to_string()])
        .run()
        .exited(0);
    assert!(remote.volumes().is_empty());
    host.is_tidy();
}

#[test]
fn through_ssh() {
    let remote = Remote::new();
    let Remote { host, origin, .. } = &remote;
    let sshd = host.sshd();
    let address = sshd.url(&remote.engine.socket());
    let url = origin.url();
    let deploy_to = |address: &str, key: &str, known: &str| {
        let path = host.instead_of("ssh", &sshd.script(key, known));
        let arguments = [
            "deploy",
            host.name(),
            "--url",
            &url,
            "--json",
            "-H",
            address,
        ];
        host.sdp(&arguments).env("PATH", &path)
    };
    let deploy = || deploy_to(&address, "client", "known_hosts");

    let stranger = deploy_to(&address, "client", "nobody_known").run();
    stranger.failed(3, "engine_untrusted", &[]);
    let refused = deploy_to(&address, "stranger", "known_hosts").run();
    refused.failed(3, "engine_denied", &[]);
    let nowhere = deploy_to(&sshd.url(Path::new("/none")), "client", "known_hosts").run();
    let nowhere = nowhere.failed(3, "engine_unreachable", &[]);
    assert!(
        nowhere.problem().message.contains("no engine answers on"),
        "{}",
        nowhere.story()
    );
    let before = sshd.log_ins();
    // What a run that was killed leaves is an empty directory.
    let left = host.path("tmp/sdp-ssh-left");
    fs::create_dir(&left).unwrap();
    let age = SystemTime::now() - Duration::from_hours(2);
    fs::File::open(&left).unwrap().set_modified(age).unwrap();

    let first = deploy().run().deployed(FIRST);

    assert!(!left.exists());

    assert_eq!(sshd.log_ins() - before, 1, "one log-in carries all");
    assert_eq!(first.remarks("health check").last(), Some(&"ok"));
    assert!(
        first.remarks("health check").contains(&"port 8080 listens"),
        "{}",
        first.story()
    );
    remote.has_uploaded(&first);

    // Ctrl-C reaches ssh, too, which is still needed to take things back.
    origin.commit(&program::slow_server("two", "time.Hour"), "Never answer");
    let mut live = deploy().args(&["--health-http", "/"]).spawn();
    live.wait_for("the health check", |event| event.starts("health check"));
    live.interrupt();
    let cancelled = live.finish().exited(130);
    assert_eq!(cancelled.container(), first.container());
    assert_eq!(remote.volumes(), [first.container()]);
    assert_eq!(remote.engine.containers(&host.label()).len(), 1);

    // Without a published port, and with nothing in the image that could ask.
    origin.commit(&server("three"), "Say three");
    let blind = deploy()
        .args(&["--image", "builtin", "--health-http", "/"])
        .run();
    let blind = blind.deployed(NEXT);
    let warned = blind
        .stdout
        .contains("could not be asked for: the engine is elsewhere");
    assert!(warned, "{}", blind.story());

    // Asked inside, past the proxy that is the program's own affair.
    origin.commit(&server("four"), "Say four");
    let proxied = ["--health-http", "/", "-e", "http_proxy=http://127.0.0.1:1"];
    let inside = deploy().args(&proxied).run().deployed(NEXT);
    assert!(
        inside.remarks("health check").contains(&"GET / 200"),
        "{}",
        inside.story()
    );

    // One that nobody outside reaches is seen from inside.
    origin.commit(&program::server_on_localhost(), "Listen on localhost");
    let unheard = deploy().args(&["--health-http", "/"]).run();
    unheard.failed(6, "listens_on_localhost", NEXT);
    let containers = [&first, &blind, &inside].map(Run::container);
    assert_eq!(remote.volumes(), containers);
    host.is_tidy();
}

#[test]
fn killed_while_it_uploads() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let proxy = Proxy::new(&host.path("proxy.sock"));
    proxy.arm(("upload", 0), Fault::Silent);
    let deploy = || host.deploy(&origin).args(&["--deliver", "upload"]);
    let live = deploy().env("DOCKER_HOST", proxy.address()).spawn();
    proxy.wait_until_struck();
    assert_eq!(host.volumes().len(), 1);

    live.kill();
    live.ended();

    let run = deploy().run().deployed(NEXT);
    assert!(
        run.stdout.contains("an earlier run was killed"),
        "{}",
        run.story()
    );
    assert_eq!(host.answer(), "one");
    assert_eq!(host.volumes(), [run.container()]);
    // What is uploaded can be gone back to like anything else.
    origin.commit(&server("two"), "Say two");
    deploy().run().deployed(NEXT);
    host.sdp(&["rollback", host.name(), "--json"])
        .run()
        .deployed(BACK);
    assert_eq!(host.answer(), "one");
}

/// A rootless engine's containers are not reached at their addresses: with another engine's they may be
/// somebody else's.
#[test]
fn rootless() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let proxy = Proxy::new(&host.path("proxy.sock"));
    proxy.pretend_rootless();
    let deploy = || host.deploy(&origin).env("DOCKER_HOST", proxy.address());
    let calls = |kind: &str| proxy.calls().iter().filter(|(of, _)| *of == kind).count();

    let first = deploy().run().deployed(FIRST);

    let proofs = first.remarks("health check");
    assert!(proofs.contains(&"port 8080 listens"), "{}", first.story());
    let execs = calls("exec");
    assert!(execs > 0, "it is looked up inside");
    assert_eq!(calls("upload"), 0, "it sees this host's directories");
    let port = format!("127.0.0.1:{}:8080", free_port());
    let published = deploy().args(&["-p", &port, "--health-http", "/"]).run();
    let published = published.deployed(NEXT);
    assert!(published.remarks("health check").contains(&"GET / 200"));
    assert_eq!(calls("exec"), execs, "it is asked for at the port");
    assert_eq!(calls("info"), 2, "once a run");
    let source = program::server_source("two", ":8081", "");
    origin.commit(&program::module(&[("main.go", &source)]), "Move");
    let quick = ["-p", &port, "--settle", "300ms", "--health-timeout", "2s"];
    let moved = deploy().args(&quick).run().failed(6, "unhealthy", NEXT);
    assert!(
        moved.problem().message.contains("8081"),
        "{}",
        moved.story()
    );
}

#[test]
fn what_cannot_be_an_engine_or_be_trusted() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    context(&host, "near", "unix:///no/engine.sock");
    let docker = host.path("docker").display().to_string();
    let with = |variables: &[(&str, &str)]| {
        let unset = host
            .deploy(&origin)
            .env("DOCKER_HOST", "")
            .env("DOCKER_CONTEXT", "");
        let set = |sdp: Sdp, (name, value): &(&str, &str)| sdp.env(name, value);
        variables.iter().fold(unset, set).run()
    };
    let says = |run: &Run, words: &str| {
        let problem = run.problem();
        let hint = problem.hint.as_deref().unwrap();
        let told = format!("{} {hint}", problem.message);
        assert!(told.contains(words), "{words}: {}", run.story());
    };

    let unknown = with(&[("DOCKER_CONFIG", &docker), ("DOCKER_CONTEXT", "naer")]);
    says(&unknown.failed(2, "usage", &[]), "there is `near`");
    // The file counts less than either variable.
    fs::create_dir_all(host.path("home/.config/sdp")).unwrap();
    let file = host.at_home(
        ".config/sdp/sdp.toml",
        "[defaults]\nhost = \"unix:///no/engine.sock\"\n",
    );
    let unknown = with(&[("DOCKER_CONFIG", &docker), ("DOCKER_CONTEXT", "naer")]);
    says(&unknown.failed(2, "usage", &[]), "there is `near`");
    fs::remove_file(file).unwrap();
    // Without a home, docker's files are not looked for where sdp happens to be started.
    fs::rename(host.path("docker"), host.path("srv/.docker")).unwrap();
    let homeless = host.sdp(&["status"]).env("HOME", "").env("DOCKER_HOST", "");
    homeless.run().exited(0);
    fs::remove_dir_all(host.path("srv/.docker")).unwrap();

    let tls = ("DOCKER_TLS_VERIFY", "1");
    let certs = host.path("certs");
    fs::create_dir(&certs).unwrap();
    let certs_path = ("DOCKER_CERT_PATH", certs.to_str().unwrap());
    let missing = with(&[tls, certs_path, ("DOCKER_HOST", "tcp://127.0.0.1:1")]);
    says(&missing.failed(2, "usage", &[]), "ca.pem");

    let authority = host.authority();
    let stranger = host.authority_in("certs");
    for (trusted, is_valid, words) in [
        (stranger.file(), true, "is not signed by whom sdp trusts"),
        (authority.file(), false, "is not valid now"),
    ] {
        if trusted != certs.join("ca.pem").to_str().unwrap() {
            fs::copy(trusted, certs.join("ca.pem")).unwrap();
        }
        let engine = authority.listen(is_valid);
        let address = format!("tcp://{}", engine.address());
        let run = with(&[tls, certs_path, ("DOCKER_HOST", &address)]);
        says(&run.failed(3, "engine_untrusted", &[]), words);
    }

    let proxy = Proxy::new(&host.path("proxy.sock"));
    proxy.pretend_api("1.40");
    let old = with(&[("DOCKER_HOST", proxy.address())]);
    says(
        &old.failed(3, "engine_too_old", &[]),
        "with API 1.40, and sdp needs 1.41",
    );
    host.is_untouched();

    let live = host
        .deploy(&origin)
        .args(&["--mount", "checkout", "--deliver", "upload"]);
    live.run().failed(2, "usage", &[]);
    let dry = host
        .deploy(&origin)
        .args(&["--deliver", "upload", "--dry-run"])
        .run();
    assert!(dry.exited(0).stdout.contains("type=volume,src=sdp-"));
}

#[test]
fn podman() {
    let podman = Podman::start();
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let [nsenter, net] = podman.wrapper();
    let sdp = |arguments: &[&str]| {
        let sdp = host.sdp_through(&[&nsenter, &net], arguments);
        sdp.env("DOCKER_HOST", &podman.address())
    };
    let url = origin.url();
    let deploy = |more: &[&str]| {
        let arguments = ["deploy", host.name(), "--url", &url, "--json"];
        sdp(&arguments).args(&["-p", "8080:8080"]).args(more).run()
    };
    let back = |command: &str| sdp(&[command, host.name(), "--json"]).run();
    let answer = || eventually("an answer", || podman.ask(8080));

    let first = deploy(&[]).deployed(FIRST);
    assert_eq!(answer(), "one");
    origin.commit(&server("two"), "Say two");
    // It makes the directory that it does not see, and misses the program in it.
    podman.hide(&host.path(""), true);
    let second = deploy(&[]).deployed(NEXT);
    podman.hide(&host.path(""), false);
    assert_eq!(second.status().replaced.as_deref(), Some(first.container()));
    assert_eq!(answer(), "two");
    assert_eq!(podman.volumes(), 1);
    origin.commit(&program::crash(), "Crash");
    let crashed = deploy(&[]).failed(6, "crashed", NEXT);
    says_why(&crashed);
    assert_eq!(answer(), "two");

    back("rollback").deployed(BACK);
    assert_eq!(answer(), "one");
    back("stop").exited(0);
    back("start").deployed(BACK);
    assert_eq!(answer(), "one");
    let logs = sdp(&["logs", host.name()]).run().exited(0);
    assert!(logs.stdout.contains("listening on"), "{}", logs.story());
    sdp(&["prune", host.name(), "--keep", "1"]).run().exited(0);
    assert_eq!(podman.volumes(), 0);
    let names: Vec<String> = podman
        .containers(&host.label())
        .into_iter()
        .map(|c| c.name)
        .collect();
    assert_eq!(names, [first.container()]);
}

/// What runs before the start misses nothing in the directory that Podman makes for it, and must see the
/// release all the same.
#[test]
fn podman_that_does_not_see_the_release_of_a_hook() {
    let podman = Podman::start();
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let [nsenter, net] = podman.wrapper();
    let url = origin.url();
    let deploy = |more: &[&str]| {
        let arguments = ["deploy", host.name(), "--url", &url, "--json"];
        let sdp = host.sdp_through(&[&nsenter, &net], &arguments).args(more);
        sdp.env("DOCKER_HOST", &podman.address()).run()
    };
    let hook = ["--before-start", "cat /src/go.mod"];
    let has_seen = |run: &Run| run.output().lines().any(|line| line.starts_with("module "));

    // An image that it has imported is known again.
    deploy(&["--image", "builtin"]).exited(0);
    deploy(&["--image", "builtin"]).exited(0);
    let containers = podman.containers(&host.label());
    assert_eq!(containers.len(), 2);
    assert_eq!(containers[0].inspect.image, containers[1].inspect.image);

    let seen = deploy(&hook).exited(0);
    assert!(has_seen(&seen), "{}", seen.story());
    assert_eq!(podman.volumes(), 0);
    podman.hide(&host.path(""), true);
    let mounted = deploy(&[&hook[..], &["--deliver", "mount"]].concat()).exited(6);
    let live = deploy(&[&hook[..], &["--mount", "checkout"]].concat()).exited(6);
    let unseen = deploy(&hook);
    podman.hide(&host.path(""), false);

    let unseen = unseen.exited(0);
    assert!(has_seen(&unseen), "{}", unseen.story());
    assert_eq!(podman.volumes(), 1);
    for (run, flag) in [(mounted, "--deliver upload"), (live, "--mount checkout")] {
        assert_eq!(run.problem().code, "start_failed", "{}", run.story());
        let hint = run.problem().hint.as_deref().unwrap();
        assert!(hint.contains(flag), "{hint}");
    }
}
