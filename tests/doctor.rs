//! `sdp doctor` on hosts that are ready, and on hosts that are broken in each way that it knows.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::support::program::server;
use crate::support::{
    Access, BASE, Event, FIRST, Host, Kind, Mount, Origin, Proxy, Run, Sdp, Server, eventually,
    free_port,
};

fn doctor(host: &Host, origin: &Origin) -> Sdp {
    doctor_of(host, &origin.url())
}

fn doctor_of(host: &Host, url: &str) -> Sdp {
    host.sdp(&["doctor", host.name(), "--url", url, "--json"])
}

/// The checks of a subject.
fn checks<'a>(run: &'a Run, subject: &str) -> Vec<&'a Event> {
    let of_it = |event: &&Event| event.check.as_deref() == Some(subject);
    run.events.iter().filter(of_it).collect()
}

/// The one check of a subject.
fn check<'a>(run: &'a Run, subject: &str) -> &'a Event {
    let checks = checks(run, subject);
    assert_eq!(checks.len(), 1, "{subject}: {}", run.story());
    checks[0]
}

/// What is not as it should be: subjects and states.
fn ailments(run: &Run) -> Vec<(&str, &str)> {
    let checks = run.events.iter().filter(|event| event.kind == Kind::Check);
    let ill = checks.filter(|event| event.state != "OK");
    ill.map(|event| (event.check.as_deref().unwrap(), event.state.as_str()))
        .collect()
}

/// The run ended with exit code 3 for this check alone, which told this code and these words.
fn fails<'a>(run: &'a Run, subject: &str, code: &str, words: &[&str]) -> &'a Event {
    assert_eq!(run.code, 3, "{}", run.story());
    assert_eq!(run.problem().code, "host_not_ready");
    assert!(run.problem().message.ends_with(subject), "{}", run.story());
    assert_eq!(ailments(run), [(subject, "FAILED")], "{}", run.story());
    tells(run, subject, code, words)
}

/// A deployment would get on with it, but should be careful of this check alone.
fn warns<'a>(run: &'a Run, subject: &str, words: &[&str]) -> &'a Event {
    assert_eq!(run.code, 0, "{}", run.story());
    assert_eq!(ailments(run), [(subject, "WARNING")], "{}", run.story());
    let check = checks(run, subject);
    let check = check.into_iter().find(|check| check.state != "OK").unwrap();
    says(check, words);
    check
}

fn tells<'a>(run: &'a Run, subject: &str, code: &str, words: &[&str]) -> &'a Event {
    let failed = checks(run, subject);
    let check = failed
        .into_iter()
        .find(|check| check.state == "FAILED")
        .unwrap();
    assert_eq!(check.code.as_deref(), Some(code), "{check:?}");
    says(check, words);
    check
}

fn says(check: &Event, words: &[&str]) {
    let text = format!("{} {:?} {:?}", check.line, check.hint, check.detail);
    for word in words {
        assert!(text.contains(word), "no `{word}` in {text}");
    }
}

/// Everything on a host: kind, size and times of each path.
fn inventory(folder: &Path) -> BTreeMap<PathBuf, (u32, u64, i64, i64)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let meta = fs::symlink_metadata(&folder).unwrap();
        let facts = (meta.mode(), meta.len(), meta.mtime(), meta.mtime_nsec());
        if meta.is_dir() {
            let entries = fs::read_dir(&folder).unwrap();
            folders.extend(entries.map(|entry| entry.unwrap().path()));
        }
        found.insert(folder, facts);
    }
    found
}

/// With what was deployed, all is well, and nothing is touched; nor is it before the first deployment.
#[test]
fn a_host_that_is_ready() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let port = free_port();
    let publish = ["-p", &format!("127.0.0.1:{port}:8080")];
    let everything = || {
        // git's own temporary repository is made and removed again.
        let mut all = inventory(&host.path("."));
        all.remove(&host.path("./tmp"));
        all
    };
    let before = everything();

    let run = doctor(&host, &origin).args(&publish).run().exited(0);

    assert_eq!(ailments(&run), [], "{}", run.story());
    assert_eq!(everything(), before);
    host.is_untouched();
    let first = host.deploy(&origin).args(&publish).run().deployed(FIRST);
    let id = first.container().rsplit_once(host.name()).unwrap().1;
    let id = id.trim_start_matches('-');
    let taken = doctor(&host, &origin).args(&["--id", id]).run();
    fails(&taken, "service", "usage", &[id, "--id"]);
    let before = everything();

    let run = doctor(&host, &origin).args(&publish).run().exited(0);

    assert_eq!(ailments(&run), [], "{}", run.story());
    assert_eq!(run.status().line, "ready");
    for (subject, words) in [
        ("engine", "API 1."),
        ("permissions", "docker.sock"),
        ("go", "go.mod asks for 1.19"),
        ("checkout", "on main at"),
        ("files", ".sdp"),
        ("service", first.container()),
        ("image", BASE),
        ("ports", "hands it over"),
        ("clock", "as the engine's"),
        ("remote", "branch `main` is at"),
    ] {
        assert!(
            check(&run, subject).line.contains(words),
            "{subject}: {}",
            run.story()
        );
    }
    assert!(!checks(&run, "disk").is_empty());
    assert_eq!(everything(), before);
    host.holds(&[&first], &[]);
}

/// For people: a line for each thing, the way out below, and a last word.
#[test]
fn without_a_repository_and_for_people() {
    let host = Host::new();

    let run = host.sdp(&["doctor"]).run().exited(0);

    let first = run.stdout.lines().next().unwrap();
    assert!(first.starts_with("✓ engine       "), "{}", run.story());
    assert!(
        run.stdout.lines().last().unwrap().starts_with("ready"),
        "{}",
        run.story()
    );
    let quiet = host
        .sdp(&["doctor", "-q", "--go", "/no/go"])
        .run()
        .exited(3);
    let lines: Vec<&str> = quiet.stdout.lines().collect();
    assert_eq!(
        lines[0],
        "✗ go           `/no/go` is no go command that runs"
    );
    assert!(
        lines[1].trim_start().starts_with("hint: "),
        "{}",
        quiet.story()
    );
    assert_eq!(lines.len(), 2, "{}", quiet.story());
    assert!(
        quiet
            .stderr
            .starts_with("error: a deployment would fail: go\n")
    );
    let refused = [
        ["--image", "Bad Image!"].as_slice(),
        &["--image", "builtin", "--before-start", "true"],
    ];
    for flags in refused {
        let run = host.sdp(&["doctor", "shop", "--json"]).args(flags);
        run.run().exited(2);
    }
    for flag in [&["--image", "x"][..], &["--force"]] {
        let run = host.sdp(&["doctor", "--json"]).args(flag).run().exited(2);
        assert!(run.problem().message.contains(flag[0]), "{}", run.story());
    }
    host.is_untouched();
}

#[test]
fn an_engine_that_is_not_there_silent_or_out_of_bounds() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let nowhere = format!("unix://{}", host.path("no.sock").display());

    let run = doctor(&host, &origin).env("DOCKER_HOST", &nowhere).run();

    fails(&run, "engine", "engine_unreachable", &["no.sock"]);
    // What can be said without it is said all the same.
    assert_eq!(check(&run, "remote").state, "OK");
    assert_eq!(check(&run, "go").state, "OK");

    let socket = host.path("silent.sock");
    let _silent = UnixListener::bind(&socket).unwrap();
    let silent = format!("unix://{}", socket.display());
    let run = host.sdp(&["doctor", "--json", "-H", &silent]).run();
    warns(&run, "engine", &["for 5s", "waits for 120s"]);

    // A user who is in no group; what belongs to root is out of reach for it, too.
    let nobody = [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
    ];
    let run = host
        .sdp_through(&nobody, &["doctor", "--json"])
        .within(Path::new("/"))
        .env("HOME", "/")
        .env("TMPDIR", "/tmp")
        .env("SDP_HOME", "/tmp")
        .env("GOCACHE", "/tmp")
        .run();
    assert_eq!(run.code, 3, "{}", run.story());
    tells(
        &run,
        "permissions",
        "engine_denied",
        &["docker.sock", "usermod"],
    );
    assert!(checks(&run, "engine").is_empty(), "{}", run.story());
}

#[test]
fn an_engine_that_is_old_late_or_elsewhere() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let proxy = Proxy::new(&host.path("proxy.sock"));
    let doctor = || {
        doctor(&host, &origin)
            .env("DOCKER_HOST", proxy.address())
            .run()
    };
    let socket = host.path("proxy.sock");
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o660)).unwrap();

    proxy.alter("version", "ApiVersion", "1.39");
    fails(&doctor(), "engine", "engine_too_old", &["API 1.39", "1.41"]);
    proxy.alter("info", "Driver", "vfs");
    warns(&doctor(), "engine", &["overlay2"]);
    proxy.alter("info", "SystemTime", "2026-01-02T03:04:05.000000006Z");
    warns(&doctor(), "clock", &["differ by", "days", "timedatectl"]);
    proxy.alter("image", "Architecture", "riscv64");
    let words = ["is for linux/riscv64", "--image"];
    fails(&doctor(), "image", "wrong_image", &words);
    proxy.alter("version", "Os", "linux");
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o666)).unwrap();
    warns(&doctor(), "permissions", &["everybody", "chmod"]);
}

/// The time of a copied file says nothing about the clock.
#[test]
fn a_program_from_the_future() {
    let host = Host::new();
    let copy = host.path("bin/sdp");
    fs::copy(env!("CARGO_BIN_EXE_sdp"), &copy).unwrap();
    written(&copy, SystemTime::now() + Duration::from_hours(73));

    let run = host
        .sdp_copied_to(&copy, &["env"], &["doctor", "--json"])
        .run()
        .exited(0);

    says(check(&run, "clock"), &["as the engine's"]);
    assert_eq!(ailments(&run), [], "{}", run.story());
}

fn written(path: &Path, at: SystemTime) {
    fs::File::open(path).unwrap().set_modified(at).unwrap();
}

#[test]
fn no_go_an_old_one_and_one_that_hangs() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let path = host.path_with_only(&["git", "git-upload-pack", "sh"]);
    let run = doctor(&host, &origin).env("PATH", &path).run();
    fails(&run, "go", "go_missing", &["apt install"]);

    let mut files = server("one");
    files[0].1 = "module example.com/app\n\ngo 1.99.0\n".to_owned();
    origin.commit(&files, "Ask for what is to come");
    host.clone_by_hand(&origin);
    let run = doctor(&host, &origin).run();
    fails(&run, "go", "go_too_old", &["1.99.0", "--go PATH"]);

    let hangs = host.instead_of("go", "exec sleep 600");
    let run = host.sdp(&["doctor", "--json"]).env("PATH", &hangs).run();
    warns(
        &run,
        "go",
        &["has not answered for 5s", "as long as it takes"],
    );
    eventually("go ends", || host.processes("").is_empty().then_some(()));
}

/// go is asked, and neither writes to go.mod for that nor downloads another go.
#[test]
fn a_go_that_would_write_and_download() {
    let host = Host::new();
    let mut files = server("one");
    files[0].1 = "module example.com/app\n".to_owned();
    let origin = host.origin(&files);
    host.clone_by_hand(&origin);
    let log = host.path("calls");
    let script = format!(
        "echo \"$GOTOOLCHAIN/$*\" >>'{}'\nexec /usr/bin/env PATH=\"${{PATH#*:}}\" go \"$@\"",
        log.display()
    );
    let path = host.instead_of("go", &script);
    let with = |sdp: Sdp| sdp.env("PATH", &path).env("GOFLAGS", "-mod=mod").run();

    let run = with(doctor(&host, &origin));
    assert_eq!(ailments(&run), [], "{}", run.story());
    says(check(&run, "go"), &["go.mod asks for"]);
    let flag = ["--build-env", "GOFLAGS=-mod=mod"];
    let run = doctor(&host, &origin).args(&flag).run().exited(0);
    assert_eq!(ailments(&run), [], "{}", run.story());
    let calls = fs::read_to_string(&log).unwrap();
    let mut calls = calls
        .lines()
        .filter(|call| !call.contains("env GOTOOLCHAIN"));
    assert!(calls.all(|call| call.starts_with("local/")), "{log:?}");

    with(host.deploy(&origin).args(&["--dry-run"])).exited(0);
    assert_eq!(host.git(&["status", "--porcelain"]), "");
}

/// What is checked out is not always what is deployed.
#[test]
fn what_only_another_commit_has() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    host.clone_by_hand(&origin);
    let doctor = |arguments: &[&str]| doctor(&host, &origin).args(arguments).run();
    let package = ["--package", "./cmd/nope"];
    let include = ["--include", "nothing.txt"];

    fails(&doctor(&package), "go", "no_main_package", &["cmd/nope"]);
    fails(&doctor(&["--workdir", "svc"]), "go", "no_module", &["svc"]);
    fails(
        &doctor(&include),
        "checkout",
        "start_failed",
        &["nothing.txt"],
    );
    let hook = ["--before-build", "true"];
    warns(
        &doctor(&[include, hook].concat()),
        "checkout",
        &["checked out now"],
    );
    assert_eq!(ailments(&doctor(&[package, hook].concat())), []);

    let files: Vec<_> = server("one")
        .into_iter()
        .map(|(path, text)| (format!("svc/{path}"), text))
        .collect();
    origin.branch("next", &files);
    let next = ["--branch", "next", "--workdir", "svc"];
    warns(&doctor(&next), "go", &["svc", "checked out now"]);

    // The remote has mended it meanwhile.
    let broken = vec![("go.mod".to_owned(), "modul example.com/app\n".to_owned())];
    origin.commit(&broken, "Break it");
    host.git(&["pull", "--quiet"]);
    fails(&doctor(&[]), "go", "build_failed", &["go.mod"]);
    origin.commit(&server("two"), "Mend it");
    warns(&doctor(&[]), "go", &["go.mod", "checked out now"]);

    // Without a commit there is nothing to judge.
    let checkout = host.checkout();
    fs::remove_dir_all(&checkout).unwrap();
    fs::create_dir(&checkout).unwrap();
    host.git(&["init", "--quiet", "-b", "main"]);
    host.git(&["remote", "add", "origin", &origin.url()]);
    assert_eq!(ailments(&doctor(&[])), []);

    host.git(&["pull", "--quiet", "origin", "main"]);
    origin.rewrite(&server("three"), "Say three");
    assert_eq!(ailments(&doctor(&[])), [], "only a fetch could tell");
    host.git(&["fetch", "--quiet"]);
    fails(
        &doctor(&[]),
        "checkout",
        "branch_diverged",
        &["diverged", "--force"],
    );
    assert_eq!(ailments(&doctor(&["--force"])), []);
    host.is_tidy();
}

#[test]
fn a_remote_out_of_reach() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let closed = format!("http://127.0.0.1:{}/shop.git", free_port());
    let run = doctor_of(&host, &closed).run();
    fails(&run, "remote", "remote_unreachable", &["refused"]);

    let silent = Server::silent().url("git");
    let run = doctor_of(&host, &silent)
        .args(&["--git-timeout", "1s"])
        .run();
    fails(&run, "remote", "remote_timeout", &["for 1s"]);

    // doctor's own patience is no deployment's. Whatever it has begun ends with it.
    let ssh = host.instead_of("slow-ssh", "echo waiting >&2; exec sleep 600");
    let killed = host.path("tmp/sdp-doctor-1-1");
    fs::create_dir(&killed).unwrap();
    written(&killed, SystemTime::now() - Duration::from_hours(2));
    let run = doctor_of(&host, "ssh://git@127.0.0.1/shop.git")
        .env("PATH", &ssh)
        .env("GIT_SSH_COMMAND", "slow-ssh")
        .run();
    warns(&run, "remote", &["for 5s", "waits for 60s"]);
    eventually("ssh ends", || host.processes("").is_empty().then_some(()));
    assert!(!killed.exists());

    let login = Some(("ada", "hunter2hunter2"));
    let git = origin.over_http(Access {
        login,
        ..Access::default()
    });
    let wrong = |token| {
        doctor_of(&host, &git.url())
            .env("SDP_GIT_TOKEN", token)
            .run()
    };
    let run = wrong("wrong-token");
    fails(&run, "remote", "remote_denied", &["refuses"]);
    assert!(!run.stdout.contains("wrong-token"), "{}", run.story());

    let branch = ["--branch", "mian"];
    let run = doctor(&host, &origin).args(&branch).run();
    fails(
        &run,
        "remote",
        "branch_not_found",
        &["mian", "--branch main", "branches: main"],
    );
    // The same of a checkout.
    host.clone_by_hand(&origin);
    let run = doctor(&host, &origin).args(&branch).run();
    fails(&run, "remote", "branch_not_found", &["mian"]);
    host.is_tidy();
}

#[test]
fn no_image_and_ports_that_are_held() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let missing = ["--image", "sdp-test/no-such-image:1"];
    let doctor = |arguments: &[&str]| doctor(&host, &origin).args(arguments).run();

    warns(
        &doctor(&missing),
        "image",
        &["a deployment pulls it", "docker pull"],
    );
    let never = [missing[0], missing[1], "--pull", "never"];
    fails(&doctor(&never), "image", "image_missing", &["builtin"]);

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let held = doctor(&[
        "-p",
        &format!("{port}:8080"),
        "-p",
        &format!("{}:81", free_port()),
    ]);
    let process = format!("(process {})", std::process::id());
    fails(&held, "ports", "port_taken", &[&port.to_string(), &process]);
    assert_eq!(checks(&held, "ports").len(), 2, "{}", held.story());
    let other = doctor(&["-p", &format!("127.0.0.2:{port}:8080")]);
    assert_eq!(check(&other, "ports").state, "OK", "{}", other.story());

    let port = free_port();
    let stranger = host.stranger(port);
    let held = doctor(&["-p", &format!("127.0.0.1:{port}:8080")]);
    fails(&held, "ports", "port_taken", &[&stranger, "docker stop"]);
}

/// It looks at what a deployment would be told, by sdp.toml, too.
#[test]
fn settings_of_sdp_toml() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let toml = format!(
        "[repos.{}]\npath = {:?}\nurl = {:?}\nimage = \"sdp-test/no-such-image:1\"\npull = \"never\"\nlog-odd = 1\n",
        host.name(),
        host.checkout(),
        origin.url(),
    );
    let doctor = |toml: &str| {
        let file = host.at_home("sdp.toml", toml);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        let sdp = host.sdp(&["doctor", host.name(), "--json"]);
        sdp.env("SDP_CONFIG", &file).env("SDP_IMAGE", "").run()
    };
    let run = doctor(&toml).exited(2);
    assert!(
        run.problem().message.contains("sdp.toml:6:1"),
        "{}",
        run.story()
    );
    let secret = "env-command = 'touch ran'\nenv = { KEY = \"hunter2hunter2\" }\n";
    let run = doctor(
        &toml
            .replace("pull = \"never\"\n", "")
            .replace("log-odd = 1\n", secret),
    );
    let secrets = checks(&run, "secrets");
    let told: Vec<_> = secrets.iter().map(|check| check.state.as_str()).collect();
    assert_eq!(told, ["WARNING", "OK"], "{}", run.story());
    says(secrets[0], &["sdp.toml", "chmod"]);
    says(secrets[1], &["not run"]);
    let run = doctor(&toml.replace("log-odd = 1\n", ""));
    fails(&run, "image", "image_missing", &["builtin"]);
    assert_eq!(check(&run, "remote").state, "OK", "{}", run.story());
}

#[test]
fn disks_that_are_full() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let srv = host.path("srv");
    let disk = Mount::small_disk(&srv, 256);
    warns(
        &doctor(&host, &origin).run(),
        "disk",
        &["MiB", "df -h", "docker image prune"],
    );
    let filler = disk.fill(1 << 20);
    fails(
        &doctor(&host, &origin).run(),
        "disk",
        "disk_full",
        &["1.0 MiB", "sdp prune"],
    );
    drop((filler, disk));

    let _disk = Mount::few_files(&srv, 500);
    let run = doctor(&host, &origin).run();
    fails(&run, "disk", "disk_full", &["inodes", "df -i"]);
}

#[test]
fn a_checkout_that_cannot_be_deployed() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    host.deploy(&origin).run().deployed(FIRST);
    let doctor = || doctor(&host, &origin).run();
    let checkout = host.checkout();
    let own = checkout.join(".sdp");

    let lock = checkout.join(".git/index.lock");
    fs::write(&lock, "").unwrap();
    fails(&doctor(), "checkout", "git_locked", &["index.lock", "rm "]);
    fs::remove_file(&lock).unwrap();

    let source = checkout.join("main.go");
    let text = fs::read_to_string(&source).unwrap();
    fs::write(&source, "package lost\n").unwrap();
    fails(
        &doctor(),
        "checkout",
        "checkout_dirty",
        &["main.go", "--force"],
    );
    let building = own.join("building");
    fs::write(&building, "some-build").unwrap();
    let words = ["main.go", "some-build was killed"];
    fails(&doctor(), "checkout", "checkout_dirty", &words);
    fs::write(&source, text).unwrap();
    assert_eq!(ailments(&doctor()), [], "nothing has changed");
    fs::remove_file(&building).unwrap();

    fs::write(
        checkout.join(".git/MERGE_HEAD"),
        host.git(&["rev-parse", "HEAD"]),
    )
    .unwrap();
    fails(
        &doctor(),
        "checkout",
        "git_unfinished",
        &["git merge --abort"],
    );
    fs::remove_file(checkout.join(".git/MERGE_HEAD")).unwrap();

    fs::set_permissions(&own, fs::Permissions::from_mode(0o777)).unwrap();
    warns(&doctor(), "files", &["others may write", "chmod 700"]);
    fs::set_permissions(&own, fs::Permissions::from_mode(0o700)).unwrap();
    let read_only = Mount::read_only(&own);
    fails(&doctor(), "files", "permission_denied", &[".sdp"]);
    drop(read_only);

    fs::write(host.path("srv/file"), "").unwrap();
    let run = host.sdp(&["doctor", "./file", "--json"]).run();
    assert_eq!(run.code, 3, "{}", run.story());
    tells(&run, "checkout", "not_a_checkout", &["--url"]);
    fs::remove_file(host.path("srv/file")).unwrap();
    assert_eq!(ailments(&doctor()), []);
}

/// What others are at, and what a killed run has left.
#[test]
fn a_deployment_under_way_and_one_that_was_killed() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let port = free_port();
    let publish = ["-p", &format!("127.0.0.1:{port}:8080")];
    let first = host.deploy(&origin).args(&publish).run().deployed(FIRST);
    let doctor = || doctor(&host, &origin).args(&publish).run();

    let hook = ["--before-start", "echo at it; sleep 600"];
    let hook = [&hook[..], &["--stop-timeout", "1s"]].concat();
    let mut live = host.deploy(&origin).args(&publish).args(&hook).spawn();
    live.wait_for("the hook", |event| event.line == "at it");
    let under_way = ["is in use by `sdp deploy` (deployment `", "process"];
    fails(&doctor(), "service", "locked", &under_way);
    let patient = doctor_of(&host, &origin.url()).args(&["--lock-wait", "1m"]);
    let run = patient.run();
    let told = warns(&run, "service", &under_way);
    assert_eq!(told.code.as_deref(), Some("locked"));
    live.kill();
    live.ended();
    eventually("the lock is free", || {
        let run = doctor();
        let told = warns(&run, "service", &[]);
        told.line
            .contains("was killed")
            .then(|| says(told, &["before-start", "sdp deploy"]))
    });

    origin.commit(&server("two"), "Say two");
    let stopping = format!("stopping {}", first.container());
    let mut live = host.deploy(&origin).args(&publish).spawn();
    live.wait_for("the hand-over", |event| event.line == stopping);
    live.kill();
    live.ended();
    let run = doctor();
    warns(
        &run,
        "service",
        &["handed over to", "proves itself", first.container()],
    );

    origin.commit(&server("three"), "Say three");
    host.deploy(&origin).args(&publish).run().exited(0);
    assert_eq!(ailments(&doctor()), []);

    let handover = host.checkout().join(".sdp/handover.json");
    let begun = r#"{"incoming":"sdp-far","is_new":true,"formers":[],"engine":"another","address":"tcp://far:1"}"#;
    fs::write(&handover, begun).unwrap();
    let words = [
        "another engine",
        "`tcp://far:1`",
        "`sdp -H tcp://far:1 status`",
    ];
    fails(&doctor(), "service", "locked", &words);
    fs::remove_file(handover).unwrap();
    host.is_tidy();
}
