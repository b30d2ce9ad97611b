//! No secret comes out: not of any command, in any mode, by any failure; nor does one stay on disk.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::program::{Files, module, server, server_source};
use crate::support::{FIRST, Host, Kind, NEXT, Sdp};

/// It stands in every secret of these tests.
const SENTINEL: &str = "s3ntinel";

/// What the tests hide: from a file, from sdp's own environment, and for git.
const VALUE: &str = "s3ntinel/of a+file";
const OWN: &str = "s3ntinel-of-the-environment";
const TOKEN: &str = "s3ntinel-for-git";

/// With secrets in an env file, in sdp's own environment, and for git: where they belong.
fn with_secrets(sdp: Sdp, host: &Host) -> Sdp {
    let file = host.path("app.env");
    private(&file, &format!("FROM_FILE='{VALUE}'\n"));
    let file = file.to_str().unwrap().to_owned();
    sdp.args(&["--env-file", &file, "-e", "OWN"])
        .env("OWN", OWN)
        .env("SDP_GIT_TOKEN", TOKEN)
}

fn private(file: &Path, text: &str) {
    fs::write(file, text).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Runs `sdp` in all the ways that it shows things, each time with a new id.
fn in_every_mode(host: &Host, exit_code: i32, arguments: &[&str], with: impl Fn(Sdp) -> Sdp) {
    let terminal = ["sh", "-c", "exec script -qefc \"$*\" /dev/null", "sh"];
    for mode in [
        "--json",
        "--verbose",
        "--quiet",
        "--color=always",
        "terminal",
    ] {
        let sdp = match mode {
            "terminal" => host
                .sdp_through(&terminal, arguments)
                .env("TERM", "xterm")
                .env("SHELL", "/bin/sh"),
            mode => host.sdp(arguments).args(&[mode]),
        };
        let run = with(sdp).run();
        assert_eq!(run.code, exit_code, "{mode}: {}", run.story());
        let said = run.story();
        assert!(!said.contains(SENTINEL), "{mode} {arguments:?}: {said}");
    }
    nothing_stays(host);
}

/// No secret in what sdp and git keep, nor on the containers but as their environment.
fn nothing_stays(host: &Host) {
    let kept = [host.checkout().join(".sdp"), host.checkout().join(".git")];
    for folder in kept.iter().filter(|folder| folder.exists()) {
        search(folder);
    }
    search(&host.path("home"));
    search(&host.path("tmp"));
    for container in host.containers() {
        let mut config = container.inspect.config.unwrap();
        config.env = None;
        let config = format!("{config:?}{:?}", container.inspect.args);
        assert!(!config.contains(SENTINEL), "{config}");
    }
}

fn search(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.to_string_lossy();
        assert!(!name.contains(SENTINEL), "{name}");
        if path.is_symlink() {
        } else if path.is_dir() {
            search(&path);
        } else {
            let bytes = fs::read(&path).unwrap();
            let found = bytes
                .windows(SENTINEL.len())
                .any(|part| part == SENTINEL.as_bytes());
            assert!(!found, "in {}", path.display());
        }
    }
}

/// A server that says after a statement what it was given.
fn talkative(statement: &str) -> Files {
    let say = format!(
        "fmt.Fprintln(os.Stderr, os.Getenv(\"FROM_FILE\"), os.Getenv(\"OWN\")); {statement}"
    );
    module(&[("main.go", &server_source("one", ":8080", &say))])
}

/// While `work` runs, no process of the host has a secret on its command line.
fn with_clean_command_lines(host: &Host, work: impl FnOnce()) {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let seen = host.processes(SENTINEL);
                assert!(seen.is_empty(), "{seen:?}");
            }
        });
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        done.store(true, Ordering::Relaxed);
        watcher.join().unwrap();
        ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

/// An option of the log driver may be one, such as Splunk's token; this engine's driver does not know it.
#[test]
fn no_option_of_the_log_driver_shows() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    host.clone_by_hand(&origin);
    let file = host.path("sdp.toml");
    let options = format!("log-opt = [\"splunk-token={SENTINEL}/of-splunk+\", \"tag=x\"]");
    private(&file, &format!("[defaults]\n{options}\n"));
    let with = |sdp: Sdp| sdp.args(&["--config", file.to_str().unwrap()]);

    let planned = with(host.sdp(&["deploy", host.name(), "--dry-run"])).run();
    let masked = "--log-opt 'splunk-token=***'";
    assert!(planned.stdout.contains(masked), "{}", planned.story());
    for (exit_code, command) in [
        (0, &["deploy", "--dry-run"][..]),
        (6, &["deploy"]),
        (0, &["config"]),
        (0, &["doctor"]),
    ] {
        let arguments = [command, &[host.name()]].concat();
        in_every_mode(&host, exit_code, &arguments, with);
    }
}

#[test]
fn no_deployment_shows_a_secret() {
    let host = Host::new();
    let origin = host.origin(&talkative(""));
    let url = origin.url();
    let deploy = ["deploy", host.name(), "--url", &url];
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = format!("{}:8080", busy.local_addr().unwrap());
    let published = [&deploy[..], &["-p", &port]].concat();
    let sick = [
        "--health-http",
        "/env?FROM_FILE",
        "--health-timeout",
        "300ms",
        "--port",
        "8081",
    ];
    let sick = [&deploy[..], &sick].concat();
    // The compiler quotes the constant.
    let broken = format!("package main\n\nfunc main() {{ var n int = {VALUE:?}; _ = n }}\n");
    with_clean_command_lines(&host, || {
        for (files, exit_code, arguments) in [
            (talkative(""), 0, &deploy[..]),
            (module(&[("main.go", &broken)]), 5, &deploy),
            (talkative("panic(os.Getenv(\"OWN\"))"), 6, &deploy),
            (talkative(""), 6, &published),
            (talkative(""), 6, &sick),
        ] {
            origin.commit(&files, "Next");
            in_every_mode(&host, exit_code, arguments, |sdp| with_secrets(sdp, &host));
        }
    });
}

#[test]
fn no_error_quotes_a_secret() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let url = origin.url();
    host.deploy(&origin).run().deployed(FIRST);
    let deploy = ["deploy", host.name(), "--url", &url];
    let encoded = format!("http://me:{TOKEN}@127.0.0.1:1/shop.git");
    let label = format!("owner={OWN}");
    let argument = format!("--password={VALUE}");
    let pair = format!("PASSWORD={OWN}");
    let no_name = format!("={OWN}");
    let of_the_build = format!("of the build {SENTINEL}");
    let build_variable = format!("GOPROXY={of_the_build}");
    for (exit_code, arguments) in [
        // The engine quotes the network that it does not know.
        (6, &["--network", OWN][..]),
        (2, &["-p", OWN]),
        (2, &["--build-env", &build_variable, "-p", &of_the_build]),
        (2, &["-v", VALUE]),
        (2, &["--settle", OWN]),
        (2, &["--health-http", OWN]),
        (2, &["--label", &no_name]),
        (2, &["-e", &no_name]),
        (2, &["-e", OWN]),
        (2, &["--port", OWN]),
        (2, &["--keep", OWN]),
        (2, &[&pair]),
        (0, &["--dry-run", "--label", &label, "--", &argument]),
    ] {
        // A terminal's command line goes through a shell, which would take the words apart.
        for mode in ["--json", "--verbose"] {
            let mode = host.sdp(&deploy).args(&[mode]);
            let run = with_secrets(mode, &host).args(arguments).run();
            let said = run.story();
            assert_eq!(run.code, exit_code, "{arguments:?}: {said}");
            assert!(!said.contains(SENTINEL), "{arguments:?}: {said}");
        }
    }
    let elsewhere = host.path("elsewhere");
    let elsewhere = elsewhere.to_str().unwrap();
    let clone = ["deploy", "shop", "--path", elsewhere, "--url", &encoded];
    in_every_mode(&host, 4, &clone, |sdp| sdp);
    for misplaced in [
        &["stop", host.name(), "-e", &pair][..],
        &["logs", host.name(), &pair],
        &["completions", OWN],
        &[OWN],
    ] {
        in_every_mode(&host, 2, misplaced, |sdp| sdp);
    }
}

#[test]
fn no_other_command_shows_a_secret() {
    let host = Host::new();
    let origin = host.origin(&talkative(""));
    let first = with_secrets(host.deploy(&origin), &host)
        .run()
        .deployed(FIRST);
    origin.commit(&server("two"), "Say two");
    with_secrets(host.deploy(&origin), &host)
        .run()
        .deployed(NEXT);
    let name = host.name();
    with_clean_command_lines(&host, || {
        for arguments in [
            &["status"][..],
            &["status", name],
            &["status", name, "--history"],
            &["rollback", name, "--to", first.deployment()],
            &["logs", name, "--redact-logs"],
            &["stop", name],
            &["start", name],
            &["prune", name, "--keep", "1", "--dry-run"],
        ] {
            in_every_mode(&host, 0, arguments, |sdp| sdp);
        }
    });
}

/// What a container has mounted is known to be a secret as long as it is there.
#[test]
fn files_of_secrets_are_masked_by_other_commands() {
    let host = Host::new();
    let file = host.path("key");
    private(&file, &format!("{VALUE}\n"));
    let secret = format!("KEY={}", file.display());
    fs::create_dir(host.path("data")).unwrap();
    let volume = format!("{}:/data", host.path("data").display());
    let say = "content, _ := os.ReadFile(os.Getenv(\"KEY_FILE\")); fmt.Println(string(content)); \
               if _, err := os.Stat(\"/data/fail\"); err == nil { panic(string(content)) }";
    let origin = host.origin(&module(&[("main.go", &server_source("one", ":8080", say))]));
    let deploy = || {
        host.deploy(&origin)
            .args(&["--secret", &secret, "-v", &volume])
    };
    deploy().run().deployed(FIRST);
    deploy().run().deployed(NEXT);
    fs::write(host.path("data/fail"), "").unwrap();

    for mode in ["--json", "--verbose"] {
        let run = host.sdp(&["rollback", host.name(), mode]).run().exited(6);
        let said = run.story();
        assert!(said.contains("panic: ***"), "{said}");
        assert!(!said.contains(SENTINEL), "{said}");
    }
    let logs = |flags: &[&str]| {
        let sdp = host.sdp(&["logs", host.name()]).args(flags);
        sdp.run().exited(0).stdout
    };
    assert!(logs(&[]).contains(VALUE));
    let masked = logs(&["--redact-logs"]);
    assert!(masked.contains("***"), "{masked}");
    assert!(!masked.contains(SENTINEL), "{masked}");
}

/// What its name tells to be a secret is one, wherever it stands.
#[test]
fn settings_are_shown_without_secrets() {
    let host = Host::new();
    let file = host.at_home(
        "sdp.toml",
        "[repos.shop]\nhealth-http = \"/healthz?token=s3ntinel&deep=1\"\n\
         log-opt = [\"splunk-token=s3ntinel\", \"tag=shop\"]\n\
         before-build = \"curl -s --oauth-token 's3ntinel' https://me:s3ntinel@example.com\"\n\
         args = [\"--db-password=s3ntinel\", \"--token\", \"s3ntinel\", \"--db=postgres://me:s3ntinel@db\"]\n\
         secret = [\"KEY=/etc/hostname\"]\n",
    );
    let config = ["config", "shop", "--config", &file];
    for mode in [&["--json"][..], &[], &["--", "--api-key", SENTINEL]] {
        let run = host.sdp(&config).args(mode).run().exited(0);
        let said = run.story();
        assert!(!said.contains(SENTINEL), "{mode:?}: {said}");
        for shown in [
            "/healthz?token=***&deep=1",
            "splunk-token=***",
            "tag=shop",
            "curl -s --oauth-token *** https://***@example.com",
            "KEY=/etc/hostname",
        ] {
            assert!(said.contains(shown), "no `{shown}` in {said}");
        }
        let of_file = ["--db-password=***", "--token", "--db=postgres://***@db"];
        let (is_flag, own) = (mode.len() == 3, ["--api-key"]);
        for shown in if is_flag { &own[..] } else { &of_file } {
            assert!(said.contains(shown), "no `{shown}` in {said}");
        }
    }
}

/// What is typed into a hook is not in its deployment's variables: its name alone tells of it.
#[test]
fn hooks_are_quoted_without_secrets() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let deploy = |flag: &str, hook: &str, more: &[&str]| {
        let run = host.deploy(&origin).args(&[flag, hook]).args(more).run();
        assert!(!run.story().contains(SENTINEL), "{}", run.story());
        assert!(run.story().contains("***"), "{}", run.story());
        run
    };
    let variable = format!("MIGRATE_PASSWORD={SENTINEL} false");
    let header = format!("API_TOKEN={SENTINEL} false -sH \"X-Api-Key: {SENTINEL}\"");
    let moving =
        format!("A_KEY={SENTINEL} git -c user.name=a -c user.email=b commit --allow-empty -qm m");

    deploy("--after-deploy", &header, &[]).exited(0);
    for flag in ["--before-build", "--before-start", "--after-deploy"] {
        deploy(flag, &header, &["--dry-run"]).exited(0);
    }
    deploy("--before-build", &variable, &[]).exited(5);
    deploy("--before-start", &variable, &[]).exited(6);
    deploy("--before-start", &variable, &["--image", "builtin"]).exited(2);
    deploy("--before-build", &moving, &[]).exited(5);
}

/// The program's own lines are left alone unless one asks for it.
#[test]
fn log_lines_are_masked_where_it_is_asked_for() {
    let host = Host::new();
    let encoded = r#"fmt.Println("one " + os.Getenv("OWN")); fmt.Println(url.QueryEscape(os.Getenv("FROM_FILE"))); fmt.Println("last")"#;
    let source = server_source("one", ":8080", encoded).replace("\"os\"", "\"net/url\"\n\t\"os\"");
    let origin = host.origin(&module(&[("main.go", &source)]));
    let follow = |flags: &[&str]| {
        let mut live = with_secrets(host.deploy(&origin), &host)
            .args(flags)
            .spawn();
        live.wait_for("the last line", |event| {
            event.kind == Kind::Log && event.line == "last"
        });
        live.interrupt();
        live.finish().exited(0)
    };

    let open = follow(&["-f"]);
    let masked = follow(&["-f", "--redact-logs"]);

    let lines = |run: &crate::support::Run| -> Vec<String> {
        run.log("stdout")[1..4]
            .iter()
            .map(|line| (*line).to_owned())
            .collect()
    };
    let own = format!("one {OWN}");
    assert_eq!(
        lines(&open),
        [own.as_str(), "s3ntinel%2Fof+a%2Bfile", "last"]
    );
    assert_eq!(lines(&masked), ["one ***", "***", "last"]);
    let open = host.sdp(&["logs", host.name()]).run().exited(0);
    assert!(open.stdout.contains(&own), "{}", open.story());
    let masked = host.sdp(&["logs", host.name(), "--redact-logs"]).run();
    assert!(
        masked.stdout.contains("one ***\n***\nlast\n"),
        "{}",
        masked.story()
    );
}

#[test]
fn files_of_secrets_that_others_can_read_are_warned_of() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let (variables, token) = (host.path("an env"), host.path("token"));
    private(&variables, "A=b\n");
    private(&token, "t0ken-of-git\n");
    let files = [
        "--env-file",
        variables.to_str().unwrap(),
        "--git-token-file",
        token.to_str().unwrap(),
    ];
    let warnings = |mode: u32| {
        fs::set_permissions(&variables, fs::Permissions::from_mode(mode)).unwrap();
        fs::set_permissions(&token, fs::Permissions::from_mode(mode)).unwrap();
        let run = host.deploy(&origin).args(&files).run().exited(0);
        let early = run
            .events
            .iter()
            .take_while(|event| event.kind == Kind::Warning);
        let told = early.map(|event| (event.line.clone(), event.hint.clone().unwrap()));
        told.collect::<Vec<_>>()
    };

    assert_eq!(warnings(0o600), []);
    let told = warnings(0o640);

    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].0.contains(&format!("`{}`", variables.display())));
    assert_eq!(told[0].1, format!("`chmod 600 '{}'`", variables.display()));
    assert_eq!(told[1].1, format!("`chmod 600 {}`", token.display()));
}

/// `--hardened` takes the program's user from it: a file of root's is a secret from the program, too.
#[test]
fn secret_that_the_program_cannot_read_is_warned_of() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let file = host.path("tls.key");
    private(&file, "k3y\n");
    let secret = format!("TLS={}", file.display());
    let warned = |arguments: &[&str]| {
        let deploy = host.deploy(&origin).args(&["--secret", &secret]);
        deploy.args(arguments).run().exited(0).warnings()
    };
    let line = format!(
        "user 65534 of the container cannot read `{}`",
        file.display()
    );
    let hint = format!("`sudo chown 65534 {}`", file.display());

    assert_eq!(warned(&[]), [], "root reads it");
    assert_eq!(
        warned(&["--user", "nobody"]),
        [],
        "the image knows who that is"
    );
    assert_eq!(warned(&["--hardened"]), [(line.clone(), hint.clone())]);
    assert_eq!(warned(&["--hardened", "--dry-run"]), [(line.clone(), hint)]);
    let doctor = host
        .sdp(&[
            "doctor",
            host.name(),
            "--json",
            "--hardened",
            "--secret",
            &secret,
        ])
        .run();
    let mut checks = doctor.events.iter().filter(|event| event.line == line);
    assert!(
        checks.any(|event| event.kind == Kind::Check),
        "{}",
        doctor.story()
    );
    chown(&file, Some(65534), None).unwrap();
    assert_eq!(warned(&["--hardened"]), []);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(warned(&["--hardened"]).len(), 1, "others can read it");
    // The way of those who deploy without being root.
    chown(&file, Some(0), Some(65534)).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(warned(&["--hardened"]), []);
}
