//! Commands before the build, before the start and after the deployment.

use std::fs;
use std::net::SocketAddr;

use crate::support::images::Images;
use crate::support::program::server;
use crate::support::{
    Event, FIRST, HOOKED, Host, Kind, Live, NEXT, Origin, Phase, Run, Terminal, eventually,
    free_port, get,
};

/// The lines of a stage's tool, with the streams that they came on.
fn output<'a>(run: &'a Run, stage: &str) -> Vec<(&'a str, &'a str)> {
    let of_it = |event: &&Event| event.stage == stage && event.phase == Some(Phase::Output);
    let lines = run.events.iter().filter(of_it);
    lines
        .map(|event| (event.stream.as_deref().unwrap(), event.line.as_str()))
        .collect()
}

fn says(event: &Event, line: &str) -> bool {
    event.phase == Some(Phase::Output) && event.line == line
}

/// Each hook where and when it belongs, with the facts and no more.
#[test]
fn each_in_its_place() {
    let host = Host::new();
    let port = free_port();
    let publish = ["-p", &format!("127.0.0.1:{port}:8080")];
    let mut files = server("committed");
    files.push((
        "word.go".to_owned(),
        "package main\n\nconst word = \"committed\"\n".to_owned(),
    ));
    let main = files
        .iter_mut()
        .find(|(path, _)| path == "main.go")
        .unwrap();
    main.1 = main.1.replace("\"committed\"", "word");
    let origin = host.origin(&files);
    let first = host.deploy(&origin).args(&publish).run().deployed(FIRST);
    let generate = r#"echo "$PWD"; echo "token ${SDP_GIT_TOKEN-none}" >&2; echo "own $OWN"
        printf 'package main\n\nconst word = "generated"\n' > word.go"#;
    let migrate = r#"echo "$SDP_HOOK_COMMIT $SDP_HOOK_BRANCH $KEY"; echo "$PWD" >&2; ls /src
        test -z "$SDP_HOOK_PATH" && printf 'no newline'"#;
    let facts = host.path("facts");
    let tell = format!("env | grep ^SDP_ | sort > {}", facts.display());
    let hooks = [
        ["--before-build", generate],
        ["--before-start", migrate],
        ["--after-deploy", &tell],
    ];
    let hooks = hooks.concat();

    let planned = host.deploy(&origin).args(&hooks).args(&["--dry-run"]).run();
    let run = host
        .deploy(&origin)
        .args(&publish)
        .args(&hooks)
        .args(&["-e", "KEY=open sesame"])
        .env("SDP_GIT_TOKEN", "hunter2hunter2")
        .env("OWN", "mine")
        .run()
        .deployed(HOOKED);

    let plans = planned.exited(0);
    let named = plans.events.iter().filter(|event| event.kind == Kind::Plan);
    let named: Vec<&str> = named.map(|event| event.stage.as_str()).collect();
    for stage in ["before build", "before start", "after deploy"] {
        assert!(named.contains(&stage), "{}", plans.story());
    }
    let checkout = host.checkout().display().to_string();
    let mut told = output(&run, "before build");
    told.sort_unstable();
    let wanted = [
        ("stderr", "token none"),
        ("stdout", &checkout),
        ("stdout", "own mine"),
    ];
    assert_eq!(told, wanted);
    let commit = run.status().commit.clone().unwrap();
    let program = format!("app-{}", host.name());
    let mut told = output(&run, "before start");
    told.sort_unstable();
    let mut wanted = vec![("stderr", "/src".to_owned())];
    let lines = [format!("{commit} main ***"), program, "go.mod".to_owned()];
    wanted.extend(lines.map(|line| ("stdout", line)));
    wanted.extend(["main.go", "no newline", "word.go"].map(|line| ("stdout", line.to_owned())));
    wanted.sort_unstable();
    let wanted: Vec<(&str, &str)> = wanted.iter().map(|(s, line)| (*s, line.as_str())).collect();
    assert_eq!(told, wanted);

    // What it generated is in the program, and nowhere else.
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    assert_eq!(get(address, "/").unwrap(), "generated");
    let released = fs::read_to_string(host.release(&run).join("word.go")).unwrap();
    assert!(released.contains("committed"), "{released}");
    assert_eq!(host.git(&["status", "--porcelain"]), "");

    let facts = fs::read_to_string(facts).unwrap();
    let status = run.status();
    for (name, value) in [
        ("DEPLOYMENT_ID", run.deployment()),
        ("REPOSITORY", host.name()),
        ("PATH", &checkout),
        ("BRANCH", "main"),
        ("COMMIT", &commit),
        ("OUTCOME", "deployed"),
        ("CONTAINER", run.container()),
        ("CONTAINER_ID", status.container_id.as_deref().unwrap()),
        ("REPLACED", first.container()),
        ("DOWNTIME_MS", &status.downtime_ms.unwrap().to_string()),
    ] {
        let line = format!("SDP_HOOK_{name}={value}");
        assert!(
            facts.lines().any(|known| known == line),
            "{line} in {facts}"
        );
    }
    assert!(
        !facts.contains("TOKEN") && !facts.contains("SDP_AFTER"),
        "{facts}"
    );
    host.holds(&[&run], &[&first]);
}

/// Set in the environment, they run for deployments that change something, and for nothing else.
#[test]
fn neither_for_what_is_unchanged_nor_for_a_rollback() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let first = host.deploy(&origin).run().deployed(FIRST);
    let marks = host.path("marks");
    let mark = format!("echo x >> {}", marks.display());
    let with_hooks = || {
        let sdp = host.deploy(&origin).args(&["--if-changed"]);
        sdp.env("SDP_AFTER_DEPLOY", &mark)
            .env("SDP_BEFORE_START", "true")
    };

    // A hook that makes the release another one is a change.
    let second = with_hooks().run().exited(0);
    let third = with_hooks().run().exited(0);
    let back = host
        .sdp(&["rollback", host.name(), "--json"])
        .env("SDP_AFTER_DEPLOY", &mark)
        .run()
        .exited(0);

    assert!(
        second.stages().contains(&"before start"),
        "{}",
        second.story()
    );
    assert_eq!(third.status().outcome.as_deref(), Some("unchanged"));
    assert_eq!(third.stages(), &NEXT[..3], "{}", third.story());
    assert_eq!(back.container(), first.container());
    assert_eq!(fs::read_to_string(marks).unwrap(), "x\n");
}

/// What is wrong before the new release serves leaves the former one serving, and nothing behind.
#[test]
fn a_failure_stops_the_deployment() {
    let host = Host::new();
    let port = free_port();
    let publish = ["-p", &format!("127.0.0.1:{port}:8080")];
    let origin = host.origin(&server("one"));
    let first = host.deploy(&origin).args(&publish).run().deployed(FIRST);
    origin.commit(&server("two"), "Say two");
    let deploy = |hook: &[&str]| host.deploy(&origin).args(&publish).args(hook).run();
    let serves = |run: &Run| {
        assert_eq!(run.status().outcome.as_deref(), Some("failed_old_serving"));
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        assert_eq!(get(address, "/").unwrap(), "one");
        assert_eq!(host.git(&["status", "--porcelain"]), "");
        host.holds(&[&first], &[]);
    };

    let build = [
        "--before-build",
        "echo garbage > main.go; echo no generator >&2; exit 3",
    ];
    let run = deploy(&build).failed(5, "hook_failed", &HOOKED[..4]);
    let problem = run.problem();
    assert!(problem.message.ends_with("exit code 3"), "{problem:?}");
    assert_eq!(problem.detail, ["no generator"]);
    serves(&run);

    let killed = ["--before-build", "kill -9 $$"];
    let run = deploy(&killed).failed(5, "hook_failed", &HOOKED[..4]);
    assert_eq!(run.problem().message, "`kill -9 $$` was killed by signal 9");

    // What is built and labelled is what was pulled.
    let moves = ["--before-build", "git checkout --quiet --detach HEAD~1"];
    let run = deploy(&moves).failed(5, "hook_failed", &HOOKED[..4]);
    let problem = run.problem();
    assert!(problem.message.contains("moved HEAD from "), "{problem:?}");
    let hint = problem.hint.as_deref().unwrap();
    assert!(hint.contains("--force --branch main"), "{hint}");
    serves(&run);
    host.git(&["checkout", "--quiet", "main"]);

    let stages = [
        "git fetch",
        "git checkout",
        "git pull",
        "go build",
        "before start",
    ];
    let start = ["--before-start", "echo step; echo no database >&2; exit 4"];
    let run = deploy(&start).failed(6, "hook_failed", &stages);
    let problem = run.problem();
    assert!(problem.message.ends_with("exit code 4"), "{problem:?}");
    let mut detail = problem.detail.clone();
    detail.sort_unstable();
    assert_eq!(detail, ["no database", "step"]);
    assert!(problem.hint.is_some(), "{problem:?}");
    serves(&run);

    let shell = ["--image", "builtin", "--before-start", "true"];
    let run = deploy(&shell).failed(2, "usage", &[]);
    let problem = run.problem();
    assert!(problem.message.contains("has no shell"), "{problem:?}");
    // It may come with a volume.
    let volume = format!("{}:/bin", host.path("tmp").display());
    let shell = [&shell[..], &["-v", &volume]].concat();
    let run = deploy(&shell).failed(6, "hook_failed", &stages);
    let problem = run.problem();
    assert!(problem.message.contains("has no shell"), "{problem:?}");
    assert!(problem.hint.as_ref().unwrap().contains("--image"));
    serves(&run);
}

/// The new release serves: whatever the last hook does, that is a success.
#[test]
fn a_failure_after_the_deployment_is_a_warning() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let hook = "sleep 605 & sleep 605 >/dev/null 2>&1 & echo nobody to tell; exit 1";
    let hook = ["--after-deploy", hook];

    let run = host.deploy(&origin).args(&hook).run().exited(0);

    assert_eq!(run.status().state, "RUNNING", "{}", run.story());
    let left = host.processes("sleep 605");
    assert!(left.is_empty(), "what it left running: {left:?}");
    let warned = run.events.iter().find(|event| event.kind == Kind::Warning);
    let warned = warned.unwrap();
    assert!(warned.line.ends_with("exit code 1"), "{}", warned.line);
    let told = output(&run, "after deploy");
    assert_eq!(told, [("stdout", "nobody to tell")], "and not once more");
    let hint = warned.hint.as_deref().unwrap();
    assert!(hint.contains("by hand") && !hint.contains("deploy again"));
    assert_eq!(run.events.last().unwrap().kind, Kind::Status);

    // Ctrl-C comes too late to take anything back.
    origin.commit(&server("two"), "Say two");
    let hook = ["--after-deploy", "echo waiting; exec sleep 600"];
    let mut live = host.deploy(&origin).args(&hook).spawn();
    live.wait_for("the hook", |event| says(event, "waiting"));
    live.interrupt();

    let second = live.finish().exited(0);
    assert_eq!(second.status().outcome.as_deref(), Some("deployed"));
    assert_eq!(host.answer(), "two");
    host.holds(&[&second], &[&run]);
    assert_eq!(history(&host).len(), 2);
}

/// The ids of the deployments that are remembered.
fn history(host: &Host) -> Vec<String> {
    let lines = fs::read_to_string(host.checkout().join(".sdp/history.jsonl")).unwrap();
    let lines = lines.lines().map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        line["id"].as_str().unwrap().to_owned()
    });
    lines.collect()
}

/// There is no terminal for it to stop at, and one that is stopped all the same ends with Ctrl-C.
#[test]
fn none_can_wait_for_keys() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let url = origin.url();
    let deploy = ["deploy", host.name(), "--url", &url, "--before-build"];
    let asks = host.sdp(&deploy).args(&["read -r answer </dev/tty"]);
    let mut terminal = Terminal::run(100, asks);
    assert_eq!(terminal.code(), Some(5), "{}", terminal.screen());

    let hook = ["--before-build", "echo at it; kill -STOP 0; echo on"];
    let mut live = host.deploy(&origin).args(&hook).spawn();
    live.wait_for("the hook", |event| says(event, "at it"));
    live.interrupt();
    live.finish().exited(130);
    host.is_tidy();
}

/// What serves from the live checkout stays what it is until the migration is done, which sees the new one.
#[test]
fn a_failure_leaves_the_program_of_a_live_checkout() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let mount = ["--mount", "checkout"];
    let program = host.checkout().join(format!("app-{}", host.name()));
    let none = host.deploy(&origin).args(&mount);
    none.args(&["--before-start", "exit 1"]).run().exited(6);
    assert!(!program.exists(), "the engine has made one");
    let first = host.deploy(&origin).args(&mount).run().deployed(NEXT);
    let served = fs::read(&program).unwrap();
    origin.commit(&server("two"), "Say two");
    let compare = "cd /src && cmp app-* .sdp/build/app-* && echo the new one";
    let deploy = |hook: &str| {
        let sdp = host.deploy(&origin).args(&mount);
        sdp.args(&["--before-start", hook]).run()
    };

    let run = deploy(&format!("{compare}; exit 1")).exited(6);

    assert_eq!(output(&run, "before start"), [("stdout", "the new one")]);
    assert!(fs::read(&program).unwrap() == served, "it was replaced");
    assert_eq!(host.running().name, first.container());

    let run = deploy(compare).exited(0);
    assert_eq!(host.answer(), "two");
    assert_eq!(host.running().name, run.container());
    assert_eq!(host.git(&["status", "--porcelain"]), "");
}

/// Neither the program nor a hook is handed to what an image would start.
#[test]
fn entry_points_are_replaced() {
    let host = Host::new();
    let images = Images::of(&host);
    let image = format!("{}:entry", host.name());
    let entry = r#"echo wrapped; exec "$@"; :"#;
    images.with_entry_point(&image, &["sh", "-c", entry, "entry"]);
    let origin = host.origin(&server("one"));
    let hook = ["--image", &image, "--before-start", "echo migrated"];

    let run = host.deploy(&origin).args(&hook).run().exited(0);

    assert_eq!(output(&run, "before start"), [("stdout", "migrated")]);
    assert!(!host.logs(run.container()).contains("wrapped"));
    assert_eq!(host.answer(), "one");
}

#[test]
fn ctrl_c_during_a_migration() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let first = host.deploy(&origin).run().deployed(FIRST);
    origin.commit(&server("two"), "Say two");
    let hook = ["--before-start", "echo migrating; exec sleep 600"];
    let mut live = host.deploy(&origin).args(&hook).spawn();
    live.wait_for("the hook", |event| says(event, "migrating"));

    live.interrupt();

    let run = live.finish().exited(130);
    assert_eq!(run.status().state, "CANCELLED", "{}", run.story());
    assert_eq!(host.answer(), "one");
    host.holds(&[&first], &[]);
}

/// `timeout`, and shells with jobs of their own, give what they start a process group of its own.
#[test]
fn hooks_of_several_process_groups() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let is_gone = |what: &str| {
        eventually(&format!("`{what}` ends"), || {
            host.processes(what).is_empty().then_some(())
        });
    };
    for end in [Live::interrupt, Live::terminate, Live::kill] {
        let hook = ["--before-build", "echo at it; timeout 600 sleep 604"];
        let mut live = host.deploy(&origin).args(&hook).spawn();
        live.wait_for("the hook", |event| says(event, "at it"));
        eventually("it sleeps", || {
            let running = host.processes("sleep 604").into_values();
            running.into_iter().find(|line| line.starts_with("sleep"))
        });

        end(&live);
        live.ended();

        is_gone("sleep 604");
    }

    let background = "set -m; sleep 605 >/dev/null 2>&1 & echo at it";
    let hook = ["--before-build", background];
    host.deploy(&origin).args(&hook).run().exited(0);

    is_gone("sleep 605");
}

/// `kill -9` while a hook runs: the hook on the host goes at once, the one in a container with the next
/// deployment, which needs no help.
#[test]
fn killed_in_each() {
    let host = Host::new();
    let origin = host.origin(&server("0"));
    host.deploy(&origin).run().deployed(FIRST);
    let hooks = [
        (
            "--before-build",
            "echo garbage > main.go; echo at it; sleep 601",
        ),
        (
            "--before-start",
            "trap 'echo asked > /out/asked; exit 1' TERM; echo at it; sleep 602 & wait",
        ),
        ("--after-deploy", "echo at it; sleep 603"),
    ];
    let out = host.path("out");
    fs::create_dir(&out).unwrap();
    let volume = format!("{}:/out", out.display());
    for (round, (flag, command)) in (1..).zip(hooks) {
        origin.commit(&server(&round.to_string()), "More");
        let hook = [flag, command, "-v", &volume];
        let mut live = host.deploy(&origin).args(&hook).spawn();
        live.wait_for("the hook", |event| says(event, "at it"));

        live.kill();
        let killed = live.ended();

        let serving = if flag == "--after-deploy" {
            round
        } else {
            round - 1
        };
        let containers = host.containers();
        let serves = |c: &crate::support::Container| {
            c.is_running() && get(c.address(8080), "/").is_ok_and(|it| it == serving.to_string())
        };
        assert!(containers.iter().any(serves), "{flag}: {containers:?}");
        eventually("the hook ends", || {
            (host.processes("sleep 60").is_empty()).then_some(())
        });

        let mut force = &[][..];
        match flag {
            "--before-build" => {
                refuses_what_a_killed_build_left(&host, &origin);
                force = &["--force"];
            }
            "--after-deploy" => {
                assert_eq!(history(&host).last(), Some(&killed.events[0].deployment_id));
            }
            _ => {}
        }
        let next = host.deploy(&origin).args(force).run().deployed(NEXT);
        assert_eq!(host.answer(), round.to_string());
        assert_eq!(out.join("asked").exists(), round > 1);
        assert_eq!(host.git(&["status", "--porcelain"]), "");
        if flag == "--before-build" {
            let kept = "tracked files changed during the build and are put back: `main.go`";
            assert!(
                next.events.iter().any(|event| event.line == kept),
                "{}",
                next.story()
            );
        }
        assert_eq!(host.running().name, next.container());
        host.is_tidy();
    }
}

/// Nobody knows whether it is the hook's or somebody's later work.
fn refuses_what_a_killed_build_left(host: &Host, origin: &Origin) {
    let changed = || fs::read_to_string(host.checkout().join("main.go")).unwrap();
    let run = host.deploy(origin).run();
    let run = run.failed(4, "checkout_dirty", &NEXT[..2]);
    let hint = run.problem().hint.as_deref().unwrap();
    assert!(
        hint.contains("was killed") && hint.contains("--force"),
        "{hint}"
    );
    assert_eq!(changed(), "garbage\n");

    // Not even with --force where somebody is at work.
    let merging = host.checkout().join(".git/MERGE_HEAD");
    fs::write(&merging, host.git(&["rev-parse", "HEAD"])).unwrap();
    let run = host.deploy(origin).args(&["--force"]).run().exited(4);
    assert_eq!(run.problem().code, "git_unfinished", "{}", run.story());
    assert_eq!(changed(), "garbage\n");
    fs::remove_file(merging).unwrap();
}
