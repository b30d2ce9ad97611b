//! sdp.toml: which file counts, what it says of whom, and what is told of mistakes in it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::support::program::server;
use crate::support::{FIRST, Host, Kind, NEXT, Run, eventually, within};

/// Writes a configuration where sdp looks in this user's home, and returns what it is called.
fn write(host: &Host, text: &str) -> String {
    fs::create_dir_all(host.path("home/.config/sdp")).unwrap();
    host.at_home(".config/sdp/sdp.toml", text)
}

/// `sdp config`, as lines of `key value origin place`.
fn resolved(host: &Host, arguments: &[&str]) -> Vec<String> {
    let run = host
        .sdp(&["config", "--json"])
        .args(arguments)
        .run()
        .exited(0);
    let settings = run.events.iter().filter(|event| event.kind == Kind::Config);
    let settings = settings.map(|event| {
        let words = [&event.key, &event.value, &event.origin, &event.place];
        let words: Vec<&str> = words.into_iter().flatten().map(String::as_str).collect();
        words.join(" ")
    });
    settings.collect()
}

/// Environments are services of their own, and all commands know them by their names.
#[test]
fn a_repository_and_its_environment() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    origin.branch("develop", &server("two"));
    let name = host.name();
    let staging = format!("{name}-staging");
    let both = ["--environment", "staging"];
    write(
        &host,
        &format!(
            "[defaults]\nkeep = 2\nenv = {{ A = \"a0\", B = \"b0\" }}\n\
             [repos.shop]\npath = \"{}\"\nurl = \"{}\"\nbranch = \"main\"\nenv.A = \"a1\"\nlabel.of = \"shop\"\n\
             [repos.shop.environments.staging]\nbranch = \"develop\"\nenv.B = \"b2\"\n",
            host.checkout().display(),
            origin.url()
        )
        .replace("shop", name),
    );

    let main = host.sdp(&["deploy", name, "--json"]).run().deployed(FIRST);
    let other = host
        .sdp(&["deploy", name, "--json"])
        .args(&both)
        .run()
        .deployed(FIRST);

    assert_eq!(host.answer(), "one");
    assert!(
        other.container().starts_with(&format!("sdp-{staging}-")),
        "{}",
        other.story()
    );
    assert!(host.path("srv").join(&staging).join(".sdp/lock").exists());
    let asked = |arguments: &[&str]| {
        let run = host
            .sdp(&["status", "--json", name])
            .args(arguments)
            .run()
            .exited(0);
        let services = run
            .events
            .iter()
            .filter(|event| event.kind == Kind::Service);
        let services =
            services.map(|event| (event.container.clone().unwrap(), event.state.clone()));
        services.collect::<Vec<_>>()
    };
    let running = |run: &Run| vec![(run.container().to_owned(), "running".to_owned())];
    assert_eq!(asked(&[]), running(&main));
    assert_eq!(asked(&both), running(&other));
    for (command, state) in [("stop", "exited"), ("start", "running")] {
        host.sdp(&[command, name]).args(&both).run().exited(0);
        assert_eq!(
            asked(&both),
            [(other.container().to_owned(), state.to_owned())]
        );
        assert_eq!(asked(&[]), running(&main));
    }
    let logs = host.sdp(&["logs", name]).args(&both).run().exited(0);
    assert!(logs.stdout.contains("listening"), "{}", logs.story());
    let next = host
        .sdp(&["deploy", name, "--json"])
        .args(&both)
        .run()
        .deployed(NEXT);
    assert_eq!(next.status().replaced.as_deref(), Some(other.container()));
    host.sdp(&["rollback", name]).args(&both).run().exited(0);
    assert_eq!(asked(&both), running(&other));
    host.sdp(&["prune", name, "--keep", "1"])
        .args(&both)
        .run()
        .exited(0);

    let lines = resolved(&host, &[name, "--environment", "staging", "-e", "A=flag"]);
    let has = |line: &str| lines.iter().any(|other| other.starts_with(line));
    for line in [
        &format!("repository {staging} flag"),
        "branch develop file ",
        "env B=*** file ",
        "env A=*** flag",
        "keep 2 file ",
        "settle 500ms variable SDP_SETTLE",
        "health-timeout 30s default",
        &format!("label of={name} file "),
    ] {
        assert!(has(line), "no `{line}` in {lines:#?}");
    }
    assert!(!has("env A=*** file"), "{lines:#?}");

    // Where no URL is told, an environment comes from where its repository does.
    write(
        &host,
        &format!(
            "[repos.{name}]\npath = \"{}\"\n[repos.{name}.environments.qa]\nbranch = \"develop\"\n",
            host.checkout().display()
        ),
    );
    let lines = resolved(&host, &[name, "--environment", "qa"]);
    let line = format!(
        "url {} checkout {}",
        origin.url(),
        host.checkout().display()
    );
    assert!(lines.contains(&line), "{lines:#?}");
}

#[test]
fn a_flag_beats_a_variable_beats_the_file() {
    let host = Host::new();
    write(
        &host,
        "[defaults]\nsettle = \"3s\"\nforce = true\nbranch = \"main\"\nnetwork = \"a\"\n[repos.shop]\nnetwork = \"\"\n",
    );
    let has = |arguments: &[&str], line: &str| {
        let lines = resolved(&host, arguments);
        assert!(
            lines.iter().any(|other| other.starts_with(line)),
            "no `{line}` in {lines:#?}"
        );
    };
    has(&["./other"], "settle 500ms variable SDP_SETTLE");
    has(&["./other", "--settle", "4s"], "settle 4s flag");
    has(&["./other"], "force true file");
    has(&["./other", "--force=false"], "force false flag");
    has(&["./other", "--tag", "v1"], "tag v1 flag");
    has(&["./other"], "network a file");
    let with_tag = resolved(&host, &["./other", "--tag", "v1"]);
    let taken_back = resolved(&host, &["shop"]);
    let gone = |lines: &[String], key: &str| !lines.iter().any(|line| line.starts_with(key));
    assert!(gone(&with_tag, "branch "), "{with_tag:#?}");
    assert!(gone(&taken_back, "network "), "{taken_back:#?}");
    // What is empty names no revision.
    for empty in ["{\"tag\": \"\"}", "{\"commit\": \"\", \"tag\": null}"] {
        let path = host.at_home("request.json", empty);
        has(&["./other", "--request", &path], "branch main file");
    }
    let table = host.sdp(&["config", "shop"]).run().exited(0).stdout;
    assert!(table.starts_with("KEY "), "{table}");
    assert!(table.contains("variable SDP_SETTLE"), "{table}");
}

#[test]
fn other_commands_take_what_they_have_flags_for() {
    let host = Host::new();
    write(
        &host,
        "[defaults]\nhost = \"unix:///nowhere.sock\"\nstop-timeout = \"never\"\nfollow = true\n",
    );
    let said = |code: i32, arguments: &[&str]| {
        let sdp = host.sdp(arguments).args(&["--json"]).env("DOCKER_HOST", "");
        let run = sdp.env("SDP_ENVIRONMENT", "").run().exited(code);
        run.problem().message.clone()
    };
    assert!(said(2, &["stop", "shop"]).contains("`--stop-timeout never`"));
    let reached = said(3, &["stop", "shop", "--stop-timeout", "1s"]);
    assert!(reached.contains("/nowhere.sock"), "{reached}");
    for arguments in [&["status"][..], &["logs", "shop"], &["prune", "shop"]] {
        let reached = said(3, arguments);
        assert!(
            reached.contains("/nowhere.sock"),
            "{arguments:?}: {reached}"
        );
    }
    for command in ["status", "doctor"] {
        let all = host.sdp(&[command, "--json", "--environment", "staging"]);
        let all = all.run().exited(2);
        let message = &all.problem().message;
        let typed = format!("`--environment` needs REPO: `sdp {command} REPO --environment ...`");
        assert_eq!(*message, typed);
    }
    // It says nothing of everything.
    let all = host.sdp(&["status", "--json"]).env("DOCKER_HOST", "");
    let all = all.env("SDP_ENVIRONMENT", "staging").run().exited(3);
    assert!(
        all.problem().message.contains("/nowhere.sock"),
        "{}",
        all.story()
    );
}

/// A file, where the mistake in it is and what is said of it, and what is told beside that.
const MISTAKES: &[(&str, &str, &str)] = &[
    ("[defaults]\nimage = \n", "2:9: ", "string"),
    (
        "[defaults]\nimage = \"hunter2\"\nimage = \"hunter2\"\n",
        "3:1: ",
        "",
    ),
    (
        "[repos.shop]\nimagee = \"hunter2\"\n",
        "2:1: there is no key `imagee`",
        "`image`",
    ),
    ("[repo.shop]\n", "1:2: there is no table `repo`", "`repos`"),
    (
        "image = \"hunter2\"\n",
        "1:1: there is no table `image`",
        "[defaults]",
    ),
    (
        "[repos.shop]\nport = \"hunter2\"\n",
        "2:8: `port` does not take",
        "8080",
    ),
    (
        "[repos.shop]\nport = 70000\n",
        "2:8: `port` does not take",
        "8080",
    ),
    (
        "[repos.shop]\nforce = \"yes\"\n",
        "2:9: `force` is to be true or false",
        "",
    ),
    (
        "[repos.shop]\npublish = [\"1:1\", [\"hunter2\"]]\n",
        "2:19: `publish` is to be",
        "",
    ),
    (
        "[repos.shop]\npull = \"alwais\"\n",
        "2:8: `pull` is to be one of",
        "`always`",
    ),
    (
        "[repos.shop]\nenv = { A = [\"hunter2\"] }\n",
        "2:13: `env` is to be",
        "",
    ),
    (
        "[repos.shop]\nid = \"a\"\n",
        "2:1: `id` means nothing here",
        "`--id`",
    ),
    (
        "[repos.shop]\ndry-run = true\n",
        "2:1: `dry-run` means nothing",
        "",
    ),
    (
        "[defaults]\npath = \"/srv\"\n",
        "2:8: `path` cannot be",
        "[repos.NAME]",
    ),
    ("[repos.\"a/b\"]\n", "1:8: this name", "letters"),
    (
        "[repos.shop]\npath = \"/a\"\n[repos.other]\npath = \"/a/\"\n",
        "3:8: `shop` and `other`",
        "",
    ),
    (
        "[repos.shop.environments.b]\n[repos.shop-b]\n",
        "2:8: there is another service",
        "",
    ),
    // What only a plan tells is found, too.
    (
        "[repos.shop]\npublish = [\"1:1\", \"x:1\"]\n",
        "2:19: `x:1` is no port",
        "",
    ),
    (
        "[defaults]\nsettle = \"5\"\n",
        "2:10: `--settle 5` is no duration",
        "30s",
    ),
    (
        "[repos.shop]\nenv-file = \"none.env\"\n",
        "2:12: ",
        "none.env",
    ),
    (
        "[repos.shop]\nbranch = \"a\"\ntag = \"b\"\n",
        "2:10: a branch, a tag",
        "",
    ),
    (
        "[repos.shop]\nsecret = [\"a-b=/hunter2\"]\n",
        "2:11: `--secret` takes a name",
        "TOKEN",
    ),
    (
        "[repos.shop]\nsecret = [\"A=.\"]\n",
        "2:11: ",
        "a regular file",
    ),
];

#[test]
fn mistakes_are_told_with_their_place() {
    let host = Host::new();
    let file = host.path("sdp.toml").display().to_string();
    for (text, place, told) in MISTAKES {
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        let run = host
            .sdp(&["deploy", "shop", "--json", "--config", &file])
            .env("SDP_SETTLE", "")
            .run();
        let problem = run.problem();
        let expected = format!("{file}:{place}");
        assert_eq!(run.code, 2, "{text}: {}", run.story());
        assert!(
            problem.message.starts_with(&expected),
            "{text}: {problem:?}"
        );
        let said = format!("{problem:?}");
        assert!(said.contains(told), "{text}: {problem:?}");
        assert!(!said.contains("hunter2"), "{text}: {problem:?}");
    }
    let run = |arguments: &[&str]| {
        host.sdp(&["deploy", "--json"])
            .args(arguments)
            .run()
            .exited(2)
    };
    fs::write(&file, "[repos.shop.environments.staging]\n[repos.other]\n").unwrap();
    for (arguments, message, hint) in [
        (
            &["shop", "--environment", "stagin"][..],
            "no environment `stagin`",
            "`staging`",
        ),
        (
            &["shpo", "--environment", "staging"],
            "no repository `shpo`",
            "`shop`",
        ),
        (
            &["other", "--environment", "staging"],
            "no environment `staging`",
            "no environment at all",
        ),
    ] {
        let run = run(&[arguments, &["--config", &file]].concat());
        let problem = run.problem();
        assert!(problem.message.contains(message), "{problem:?}");
        assert!(problem.hint.as_ref().unwrap().contains(hint), "{problem:?}");
    }
    let none = run(&["shop", "--environment", "staging"]);
    assert!(
        none.problem().message.contains("no sdp.toml"),
        "{}",
        none.story()
    );
    let none = run(&["shop", "--config", "/nowhere.toml"]);
    assert!(
        none.problem().message.contains("/nowhere.toml"),
        "{}",
        none.story()
    );
    host.is_untouched();
}

/// Whoever can push must not be able to mount the host.
#[test]
fn a_file_in_what_is_deployed_never_counts() {
    let host = Host::new();
    let mut files = server("one");
    let evil = "[defaults]\nvolume = [\"/:/host\"]\n[repos.shop]\nvolume = [\"/:/host\"]\n";
    files.push(("sdp.toml".to_owned(), evil.to_owned()));
    let origin = host.origin(&files);
    host.clone_by_hand(&origin);
    let checkout = host.checkout();
    let outside = host.path("home/.config/sdp/sdp.toml");
    write(&host, "[defaults]\nlabel.by = \"the-host\"\n");

    let run = host
        .sdp(&["deploy", ".", "--json"])
        .within(&checkout)
        .run()
        .deployed(NEXT);

    let warning = &run.events[0];
    assert_eq!(warning.kind, Kind::Warning, "{}", run.story());
    assert!(
        warning.line.contains("`sdp.toml` lies in the checkout"),
        "{warning:?}"
    );
    let running = host.running();
    assert_eq!(running.inspect.mounts.as_ref().unwrap().len(), 1);
    assert_eq!(running.label("by"), Some("the-host"));

    // By whatever way sdp comes upon it.
    let linked = host.path("linked");
    host.git(&[
        "worktree",
        "add",
        "-q",
        "-b",
        "other",
        linked.to_str().unwrap(),
    ]);
    let alias = host.path("srv/alias.toml");
    std::os::unix::fs::symlink(checkout.join("sdp.toml"), &alias).unwrap();
    let own = host.path("srv/own");
    fs::create_dir(&own).unwrap();
    fs::write(own.join("sdp.toml"), "[repos.shop]\npath = \".\"\n").unwrap();
    for (folder, arguments) in [
        (&checkout, &["shop"][..]),
        (&linked, &["shop"]),
        (&linked, &[host.name()]),
        (&own, &["shop"]),
    ] {
        let run = host
            .sdp(&["config", "--json"])
            .args(arguments)
            .within(folder)
            .run()
            .exited(0);
        let warned = run.events[0].line.contains("lies in the checkout");
        assert!(warned, "{folder:?}: {}", run.story());
        assert!(
            !run.stdout.contains("/:/host"),
            "{folder:?}: {}",
            run.story()
        );
    }
    // Nor does one in a clone that nothing is deployed from, unless it is asked for.
    let second = host.path("second");
    host.git(&["clone", "-q", &origin.url(), second.to_str().unwrap()]);
    let inner = second.join("inner");
    fs::create_dir(&inner).unwrap();
    fs::copy(second.join("sdp.toml"), inner.join("sdp.toml")).unwrap();
    let config = |folder: &Path, arguments: &[&str]| {
        let sdp = host.sdp(&["config", "shop", "--json"]).args(arguments);
        sdp.within(folder).run().exited(0)
    };
    for folder in [&second, &inner] {
        let run = config(folder, &[]);
        let warned = run.events[0].line.contains("lies in the checkout");
        assert!(warned, "{folder:?}: {}", run.story());
        assert!(!run.stdout.contains("/:/host"), "{}", run.story());
        let run = config(folder, &["--config", "sdp.toml"]);
        assert!(run.stdout.contains("/:/host"), "{}", run.story());
    }
    // One beside the checkout does not lie in it.
    let beside = host.path("srv/sdp.toml");
    fs::write(&beside, "[defaults]\nlabel.by = \"beside\"\n").unwrap();
    let run = config(&checkout, &["--config", "../sdp.toml"]);
    assert!(run.stdout.contains("by=beside"), "{}", run.story());
    fs::remove_file(&beside).unwrap();
    for path in [&checkout.join("sdp.toml"), &linked.join("sdp.toml"), &alias] {
        let path = path.to_str().unwrap();
        let run = host
            .sdp(&["config", "shop", "--json"])
            .env("SDP_CONFIG", path)
            .run()
            .exited(2);
        assert!(
            run.problem().message.contains("lies in the checkout"),
            "{}",
            run.story()
        );
    }
    // The very same file elsewhere is the host's.
    fs::copy(checkout.join("sdp.toml"), &outside).unwrap();
    let run = host.sdp(&["config", "shop", "--json"]).run().exited(0);
    assert!(run.stdout.contains("/:/host"), "{}", run.story());
}

#[test]
fn a_file_that_others_can_change_is_refused() {
    let host = Host::new();
    let file = write(&host, "[repos.shop]\nenv = { TOKEN = \"abcdef\" }\n");
    let with_mode = |mode: u32| {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        host.sdp(&["config", "shop", "--json"]).run()
    };
    let warned = |run: &Run| run.events.iter().any(|event| event.kind == Kind::Warning);
    assert!(!warned(&with_mode(0o600).exited(0)));
    let open = with_mode(0o644).exited(0);
    assert!(warned(&open), "{}", open.story());
    assert!(
        open.events[0]
            .hint
            .as_ref()
            .unwrap()
            .contains(&format!("chmod 600 {file}"))
    );
    for arguments in [
        &["rollback", "shop"][..],
        &["start", "shop"],
        &["logs", "shop"],
    ] {
        let sdp = host.sdp(arguments).args(&["--json"]);
        let failed = sdp
            .env("DOCKER_HOST", "unix:///nowhere.sock")
            .run()
            .exited(3);
        assert!(warned(&failed), "{arguments:?}: {}", failed.story());
    }
    let changeable = with_mode(0o606).exited(2);
    assert!(
        changeable.problem().message.contains("other users"),
        "{}",
        changeable.story()
    );

    if rustix::process::getuid().is_root() {
        std::os::unix::fs::chown(&file, Some(65534), Some(65534)).unwrap();
        let foreign = with_mode(0o600).exited(2);
        assert!(
            foreign.problem().message.contains("user 65534"),
            "{}",
            foreign.story()
        );
    }
}

/// A command tells secrets to sdp and to nobody else, and does not outlive it.
#[test]
fn secrets_of_a_command() {
    let host = Host::new();
    let deploy = |command: &str| {
        host.sdp(&["deploy", "shop", "--url", "/nowhere.git", "--json"])
            .args(&["--env-command", command])
    };
    let failed = |command: &str| {
        let run = deploy(command).run().exited(2);
        assert!(!run.story().contains("hunter2"), "{}", run.story());
        run
    };
    let run = failed("echo TOKEN=hunter2-a; echo hunter2-a is wrong >&2; exit 3");
    assert_eq!(run.problem().detail, ["*** is wrong"]);
    let run = failed("echo A=1; echo 'B=hunter2 hunter2'");
    assert!(run.problem().message.contains("line 2"), "{}", run.story());
    // There is no terminal to ask at, though sdp has one.
    let asks = deploy("echo asked >/dev/tty; echo A=1; exit 4");
    let mut terminal = crate::support::Terminal::run(120, asks);
    terminal.shows("/dev/tty");
    assert_eq!(terminal.code(), Some(2), "{}", terminal.screen());
    assert!(
        !terminal.screen().contains("asked"),
        "{}",
        terminal.screen()
    );

    let live = deploy("sleep 86399").spawn();
    let sleeps = || {
        let mut found = host.processes("sleep 86399").into_values();
        found.any(|line| line.starts_with("sleep "))
    };
    eventually("the command runs", || sleeps().then_some(()));
    live.interrupt();
    live.finish().exited(130);
    within(std::time::Duration::from_secs(5), "it ends, too", || {
        (!sleeps()).then_some(())
    });
    assert!(!Path::new(&host.path("srv/shop")).exists());
}

/// What the schema says of the example, and of files that sdp refuses.
#[test]
fn the_schema_describes_the_example() {
    let schema = include_str!("../examples/sdp.schema.json");
    let schema = serde_json::from_str(schema).unwrap();
    let validator = jsonschema::draft7::new(&schema).unwrap();
    let example = include_str!("../examples/sdp.toml");
    let host = Host::new();
    write(&host, example);
    let value = |text: &str| -> serde_json::Value { json_of(text) };
    assert!(validator.is_valid(&value(example)));
    assert!(!validator.is_valid(&value(&example.replace("keep = 3", "keeep = 3"))));
    assert!(!validator.is_valid(&value(&example.replace("keep = 3", "force = 3"))));
    let lines = resolved(&host, &["mailer"]);
    assert!(
        lines.iter().any(|line| line.starts_with("settle")),
        "{lines:#?}"
    );
}

fn json_of(text: &str) -> serde_json::Value {
    toml::from_str(text).unwrap()
}
