//! Going back, starting again, clearing away; and what a release is made of.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use crate::support::program::{self, module, server};
use crate::support::{FIRST, Host, NEXT, Origin, Run, Sdp, listing};

/// The stages of a rollback, and of a start.
const BACK: &[&str] = &["start container", "health check"];

fn rollback(host: &Host) -> Sdp {
    host.sdp(&["rollback", host.name(), "--json"])
}

/// Three deployments, which answer `one`, `two` and `three`.
fn three() -> (Host, Origin, [Run; 3]) {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let first = host.deploy(&origin).run().deployed(FIRST);
    let [second, third] = ["two", "three"].map(|answer| {
        origin.commit(&server(answer), answer);
        host.deploy(&origin).run().deployed(NEXT)
    });
    (host, origin, [first, second, third])
}

#[test]
fn back_and_further_back() {
    let (host, origin, [first, second, third]) = three();

    let back = rollback(&host).run().deployed(BACK);

    assert_eq!(back.container(), second.container());
    let status = back.status();
    assert_eq!(status.replaced.as_deref(), Some(third.container()));
    assert_eq!(status.commit, second.status().commit);
    assert_eq!(host.answer(), "two");
    let to = ["--to", first.deployment()];

    let further = rollback(&host).args(&to).run().deployed(BACK);

    assert_eq!(further.container(), first.container());
    assert_eq!(host.answer(), "one");
    host.holds(&[&first], &[&second, &third]);
    let same = rollback(&host).args(&to).run().exited(0);
    assert_eq!(same.status().outcome.as_deref(), Some("unchanged"));
    let none = rollback(&host).run().failed(2, "no_release", &[]);
    assert!(none.problem().hint.is_some(), "{}", none.story());
    let unknown = rollback(&host).args(&["--to", "nobody"]).run();
    let unknown = unknown.failed(2, "no_release", &[]);
    let hint = unknown.problem().hint.as_deref().unwrap_or_default();
    assert!(hint.contains(third.deployment()), "{hint}");

    // Forward again is a deployment like any other.
    origin.commit(&server("four"), "four");
    let fourth = host.deploy(&origin).run().deployed(NEXT);
    assert_eq!(host.answer(), "four");
    host.holds(&[&fourth], &[&first, &second, &third]);
}

/// The older release needs a file of the host that is gone meanwhile.
#[test]
fn back_to_what_cannot_run() {
    let host = Host::new();
    let data = host.path("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("key"), "").unwrap();
    let need = r#"if _, err := os.Stat("/data/key"); err != nil { fmt.Println(err); os.Exit(4) }"#;
    let needy = program::server_source("one", ":8080", need);
    let origin = host.origin(&module(&[("main.go", &needy)]));
    let volume = format!("{}:/data:ro", data.display());
    let with_data = ["-v", volume.as_str()];
    let first = host.deploy(&origin).args(&with_data).run().deployed(FIRST);
    origin.commit(&server("two"), "two");
    let second = host.deploy(&origin).run().deployed(NEXT);
    fs::remove_file(data.join("key")).unwrap();

    let back = rollback(&host).run().failed(6, "crashed", BACK);

    let outcome = back.status().outcome.as_deref();
    assert_eq!(outcome, Some("failed_old_serving"));
    assert_eq!(back.status().container.as_deref(), Some(second.container()));
    let detail = &back.problem().detail;
    assert!(
        detail.iter().any(|line| line.contains("/data/key")),
        "{detail:?}"
    );
    assert_eq!(host.answer(), "two");
    host.holds(&[&second], &[&first]);
    fs::write(data.join("key"), "").unwrap();
    rollback(&host).run().deployed(BACK);
    assert_eq!(host.answer(), "one");
    host.holds(&[&first], &[&second]);
}

/// The last word tells what was done, and to which commit.
#[test]
fn the_words_for_people() {
    let (host, _, [_, second, third]) = three();
    let commit = |run: &Run| run.status().commit.as_ref().unwrap()[..9].to_owned();
    let headline = |command: &str| {
        let output = host.sdp(&[command, host.name()]).into_command().output();
        let text = String::from_utf8(output.unwrap().stdout).unwrap();
        let mut lines = text.lines().map(str::to_owned);
        let line = lines.find(|line| line.contains(" main "));
        line.unwrap_or_else(|| panic!("no headline: {text}"))
    };
    let back = headline("rollback");
    assert!(
        back.starts_with(&format!("rolled back to main {} \"", commit(&second))),
        "{back}"
    );
    host.sdp(&["stop", host.name()]).run().exited(0);
    let started = headline("start");
    assert_eq!(started, back.replace("rolled back to", "started"));
    assert_ne!(commit(&second), commit(&third));
}

#[test]
fn start_after_stop() {
    let (host, _, [first, second, third]) = three();
    rollback(&host).run().deployed(BACK);
    host.sdp(&["stop", host.name()]).run().exited(0);
    host.holds(&[], &[&first, &second, &third]);
    let start = || host.sdp(&["start", host.name(), "--json"]).run();

    let started = start().deployed(BACK);

    assert_eq!(started.container(), second.container(), "what ran last");
    assert_eq!(host.answer(), "two");
    let again = start().exited(0);
    assert_eq!(again.status().outcome.as_deref(), Some("unchanged"));
    host.holds(&[&second], &[&first, &third]);

    // As in a fresh clone at the same path; the releases are gone with the directory.
    fs::remove_dir_all(host.checkout().join(".sdp")).unwrap();
    host.sdp(&["stop", host.name()]).run().exited(0);
    let states = host.containers();
    assert!(states.iter().all(|container| !container.is_running()));
}

#[test]
fn prune() {
    let (host, _, [first, second, third]) = three();
    let prune = |arguments: &[&str]| {
        let run = host.sdp(&["prune", host.name(), "--json"]).args(arguments);
        let output = run.into_command().output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        serde_json::from_str::<serde_json::Value>(text.lines().last().unwrap()).unwrap()
    };

    let would = prune(&["--keep", "2", "--dry-run"]);

    host.holds(&[&third], &[&first, &second]);
    let did = prune(&["--keep", "2"]);
    host.holds(&[&third], &[&second]);
    for (told, pretended, state) in [(&would, true, "PLANNED"), (&did, false, "PRUNED")] {
        assert_eq!(told["state"], state, "{told}");
        assert_eq!(told["dry_run"], pretended, "{told}");
        assert_eq!(told["containers"], serde_json::json!([first.container()]));
        assert_eq!(told["releases"], serde_json::json!([first.deployment()]));
        assert!(told["freed_bytes"].as_u64().unwrap() > 1 << 20, "{told}");
    }
    assert_eq!(would["freed_bytes"], did["freed_bytes"]);
    assert_eq!(prune(&["--keep", "2"])["releases"], serde_json::json!([]));
    // What another engine may run stays, as nothing is known of it here, and so does what was begun there.
    let releases = host.checkout().join(".sdp/releases");
    let mark = |id: &str| host.checkout().join(".sdp/engines").join(id);
    assert!(!mark(first.deployment()).exists(), "its release is gone");
    fs::create_dir(releases.join("far")).unwrap();
    fs::write(mark("far"), "another engine\ntcp://far:1").unwrap();
    let told = host.sdp(&["prune", host.name(), "--keep", "2"]).run();
    let by_hand = format!("`rm -r {}`", releases.join("far").display());
    let words = ["1 release for another engine", "`tcp://far:1`", &by_hand];
    for word in words {
        assert!(told.stderr.contains(word), "{word}: {}", told.story());
    }
    assert!(releases.join("far").is_dir(), "another engine's release");
    let underway = host.checkout().join(".sdp/handover.json");
    let begun = r#"{"incoming":"sdp-far","is_new":true,"formers":[],"engine":"another engine","address":"tcp://far:1"}"#;
    fs::write(&underway, begun).unwrap();
    let refused = host.sdp(&["stop", host.name(), "--json"]).run();
    assert_ne!(refused.code, 0, "{}", refused.story());
    assert!(refused.stdout.contains("tcp://far:1"), "{}", refused.stdout);
    let by_hand = format!("`rm {}`", underway.display());
    assert!(refused.stdout.contains(&by_hand), "{}", refused.stdout);
    assert_eq!(fs::read_to_string(&underway).unwrap(), begun);
    assert_eq!(host.answer(), "three");
    fs::remove_file(&underway).unwrap();
    fs::copy(mark(third.deployment()), mark("far")).unwrap();
    // What runs stays, however little is kept.
    prune(&["--keep", "1"]);
    host.holds(&[&third], &[]);
    assert_eq!(host.answer(), "three");
}

/// The good one that was gone back to outlives failures and successes that come after it.
#[test]
fn failures_push_nothing_out() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let deploy = || host.deploy(&origin).args(&["--keep", "2"]).run();
    let first = deploy().deployed(FIRST);
    origin.commit(&server("two"), "two");
    let second = deploy().deployed(NEXT);
    origin.commit(&program::crash(), "crash");
    for _ in 0..3 {
        deploy().failed(6, "crashed", NEXT);
    }
    host.holds(&[&second], &[&first]);
    rollback(&host).run().deployed(BACK);
    assert_eq!(host.answer(), "one");
    origin.commit(&server("three"), "three");
    let third = deploy().deployed(NEXT);
    // The last good one is the one that served until now, not the newest of the others.
    host.holds(&[&third], &[&first]);
}

#[test]
fn if_changed() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let deploy = |more: &[&str]| {
        let deploy = host.deploy(&origin).args(&["--if-changed"]);
        deploy.args(more).run().exited(0)
    };
    let outcome = |run: &Run| run.status().outcome.clone().unwrap();
    let first = deploy(&["-e", "LEVEL=1"]);
    assert_eq!(outcome(&first), "deployed");
    let since = host.running().started_at();

    let same = deploy(&["-e", "LEVEL=1"]);

    assert_eq!(outcome(&same), "unchanged", "{}", same.story());
    assert_eq!(same.container(), first.container());
    assert_eq!(same.stages(), &NEXT[..3], "{}", same.story());
    assert_eq!(host.running().started_at(), since, "not restarted");
    host.holds(&[&first], &[]);
    let mut settings = vec!["-e", "LEVEL=2"];
    assert_eq!(outcome(&deploy(&settings)), "deployed", "another value");
    assert_eq!(outcome(&deploy(&settings)), "unchanged");
    settings.extend(["--label", "team=a"]);
    assert_eq!(outcome(&deploy(&settings)), "deployed", "another flag");
    settings.extend(["--image", "builtin"]);
    assert_eq!(outcome(&deploy(&settings)), "deployed", "another image");
    assert_eq!(outcome(&deploy(&settings)), "unchanged");
    origin.commit(&server("two"), "two");
    assert_eq!(outcome(&deploy(&settings)), "deployed", "another commit");
    assert_eq!(host.answer(), "two");
    host.sdp(&["stop", host.name()]).run().exited(0);
    let last = deploy(&settings);
    assert_eq!(outcome(&last), "deployed", "it did not run");
    host.is_settled(&last);
}

/// The same commit and settings, but what runs is not well any more.
#[test]
fn if_changed_but_unhealthy() {
    let host = Host::new();
    let data = host.path("data");
    fs::create_dir(&data).unwrap();
    let sick = r#"http.HandleFunc("/health", func(w http.ResponseWriter, r *http.Request) { if _, err := os.Stat("/data/sick"); err == nil { w.WriteHeader(503) } })"#;
    let source = program::server_source("one", ":8080", sick);
    let origin = host.origin(&module(&[("main.go", &source)]));
    let volume = format!("{}:/data:ro", data.display());
    let deploy = || {
        let flags = [
            "--if-changed",
            "-v",
            &volume,
            "--health-http",
            "/health",
            "--health-timeout",
            "2s",
        ];
        host.deploy(&origin).args(&flags).run()
    };
    let first = deploy().deployed(FIRST);
    fs::write(data.join("sick"), "").unwrap();

    let second = deploy().failed(6, "unhealthy", NEXT);

    assert_eq!(
        second.status().outcome.as_deref(),
        Some("failed_old_serving")
    );
    fs::remove_file(data.join("sick")).unwrap();
    let third = deploy().exited(0);
    assert_eq!(third.status().outcome.as_deref(), Some("unchanged"));
    host.holds(&[&first], &[]);
}

#[test]
fn history() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let first = host.deploy(&origin).run().deployed(FIRST);
    origin.commit(&program::crash(), "crash");
    let second = host.deploy(&origin).run().failed(6, "crashed", NEXT);
    origin.commit(&server("three"), "three");
    let third = host.deploy(&origin).run().deployed(NEXT);
    rollback(&host).run().deployed(BACK);
    host.sdp(&["stop", host.name()]).run().exited(0);
    host.sdp(&["start", host.name()]).run().exited(0);
    // What cannot be meant was not done.
    let nowhere = rollback(&host).args(&["--to", "nope"]).run();
    assert_eq!(nowhere.exited(2).problem().code, "no_release");

    let path = host.checkout().join(".sdp/history.jsonl");
    let lines = fs::read_to_string(path).unwrap();

    let lines: Vec<serde_json::Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let told: Vec<(&str, &str, &str, i64)> = lines
        .iter()
        .map(|line| {
            let text = |key: &str| line[key].as_str().unwrap();
            let code = line["exit_code"].as_i64().unwrap();
            (text("what"), text("id"), text("outcome"), code)
        })
        .collect();
    let (one, two, three) = (first.deployment(), second.deployment(), third.deployment());
    let expected = [
        ("deploy", one, "deployed", 0),
        ("deploy", two, "failed_old_serving", 6),
        ("deploy", three, "deployed", 0),
        ("rollback", one, "deployed", 0),
        ("stop", one, "stopped", 0),
        ("start", one, "deployed", 0),
    ];
    assert_eq!(told, expected);
    assert!(lines.iter().all(|line| line["who"].is_string()));
    assert_eq!(lines[2]["commit"], serde_json::json!(third.status().commit));
    let shown = host.sdp(&["status", host.name(), "--history"]).run();
    let shown = shown.exited(0).stdout;
    for (_, id, _, _) in expected {
        assert!(shown.contains(id), "no {id} in {shown}");
    }
    let failed = shown.lines().find(|line| line.contains(two)).unwrap();
    assert!(failed.contains(" crashed "), "{shown}");
    let events = host.sdp(&["status", host.name(), "--history", "--json"]);
    let events = events.run().exited(0).events;
    let codes: Vec<Option<&str>> = events.iter().map(|event| event.code.as_deref()).collect();
    assert_eq!(codes[..3], [None, Some("crashed"), None]);
}

/// What git does not track comes along where it is asked for; git's own never does.
#[test]
fn what_is_in_a_release() {
    let host = Host::new();
    let mut files = server("one");
    files.push(("static/page.html".to_owned(), "<p>".to_owned()));
    files.push((".gitignore".to_owned(), "/dist/\n*.env\n".to_owned()));
    let origin = host.origin(&files);
    origin.link("static/page.html", "page");
    origin.link("/etc/passwd", "outside");
    host.clone_by_hand(&origin);
    let put = |path: &str| {
        let path = host.checkout().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x").unwrap();
    };
    for path in [
        "dist/app.js",
        "dist/deep/app.css",
        "secret.env",
        "dist/.git/config",
    ] {
        put(path);
    }
    let include = ["--include", "dist"];

    let first = host.deploy(&origin).args(&include).run().deployed(NEXT);

    let release = |run: &Run| host.checkout().join(".sdp/releases").join(run.deployment());
    let one = release(&first);
    let program = format!("app-{}", host.name());
    let expected = [
        ".gitignore",
        "dist",
        "go.mod",
        "main.go",
        "outside",
        "page",
        "static",
        &program,
    ];
    assert_eq!(listing(&one), expected.map(str::to_owned).into());
    assert_eq!(
        listing(&one.join("dist")),
        ["app.js", "deep"].map(str::to_owned).into()
    );
    assert_eq!(
        fs::read_link(one.join("page")).unwrap().to_str(),
        Some("static/page.html")
    );
    assert_eq!(
        fs::read_link(one.join("outside")).unwrap().to_str(),
        Some("/etc/passwd")
    );
    origin.commit(&server("two"), "two");
    let second = host.deploy(&origin).args(&include).run().deployed(NEXT);
    let two = release(&second);
    let inode = |path: std::path::PathBuf| fs::metadata(path).unwrap().ino();
    for path in [
        "go.mod",
        "static/page.html",
        "dist/app.js",
        "dist/deep/app.css",
    ] {
        let (before, after) = (inode(one.join(path)), inode(two.join(path)));
        assert_eq!(before, after, "{path} takes space twice");
    }
    for path in ["main.go", program.as_str()] {
        let (before, after) = (inode(one.join(path)), inode(two.join(path)));
        assert_ne!(before, after, "{path} changed");
    }
    origin.commit(&server("three"), "three");
    let none = host.deploy(&origin).args(&["--include", "no/such/*"]).run();
    let none = none.failed(6, "start_failed", &NEXT[..5]);
    assert!(none.problem().hint.is_some(), "{}", none.story());
    assert_eq!(host.answer(), "two");
    host.holds(&[&second], &[&first]);
}
