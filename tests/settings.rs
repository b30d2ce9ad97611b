//! Every flag of `deploy` has an effect, as a flag, as a key of sdp.toml and as a key of a request:
//! on the container, or on the run.
//!
//! A new flag comes with a row here: without one, `every_key_has_a_row` fails.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use bollard::models::HostConfig;

use crate::contents::{add_submodule, allowing_paths};
use crate::support::program::module;
use crate::support::{
    Access, BASE, Container, HOOKED, Host, Kind, Run, Sdp, Server, Terminal, free_port, get,
    listing,
};

enum Value {
    Switch,
    Word(String),
    Words(Vec<String>),
}

/// A key, a value, and what shows that it counts.
struct Row {
    key: &'static str,
    value: Value,
    shows: fn(&Seen<'_>) -> bool,
}

/// What became of a run.
struct Seen<'a> {
    host: &'a Host,
    run: &'a Run,
}

#[derive(Clone, Copy, Debug)]
enum Way {
    Flags,
    File,
    Request,
}

fn switch(key: &'static str, shows: fn(&Seen<'_>) -> bool) -> Row {
    let value = Value::Switch;
    Row { key, value, shows }
}

fn word(key: &'static str, value: impl Into<String>, shows: fn(&Seen<'_>) -> bool) -> Row {
    let value = Value::Word(value.into());
    Row { key, value, shows }
}

fn words(key: &'static str, value: &[&str], shows: fn(&Seen<'_>) -> bool) -> Row {
    let value = Value::Words(value.iter().map(|word| (*word).to_owned()).collect());
    Row { key, value, shows }
}

impl Row {
    fn json(&self) -> serde_json::Value {
        match &self.value {
            Value::Switch => true.into(),
            Value::Word(word) => word.as_str().into(),
            Value::Words(words) => words.clone().into(),
        }
    }

    fn flags(&self) -> Vec<String> {
        let flag = |word: &String| format!("--{}={word}", self.key);
        match &self.value {
            Value::Switch => vec![format!("--{}", self.key)],
            Value::Word(word) => vec![flag(word)],
            Value::Words(words) if self.key == "args" => std::iter::once("--".to_owned())
                .chain(words.iter().cloned())
                .collect(),
            Value::Words(words) => words.iter().map(flag).collect(),
        }
    }
}

/// A deployment with these rows, told in one way or another.
fn deploy(host: &Host, way: Way, rows: &[&Row], more: &[&str]) -> Sdp {
    let name = host.name();
    let sdp = host.sdp(&["deploy", name]).args(more);
    // What the host sets for other tests would beat a file.
    let sdp = sdp.env("SDP_IMAGE", "").env("SDP_SETTLE", "");
    let sdp = if rows.iter().any(|row| row.key == "host") {
        sdp.env("DOCKER_HOST", "")
    } else {
        sdp
    };
    match way {
        Way::Flags => {
            // The program's arguments come last.
            let is_last = |row: &&&Row| row.key == "args";
            let last = rows.iter().filter(is_last);
            let flags = rows.iter().filter(|row| !is_last(row)).chain(last);
            let flags = flags.flat_map(|row| row.flags());
            let flags: Vec<String> = flags.collect();
            sdp.args(&flags.iter().map(String::as_str).collect::<Vec<_>>())
        }
        Way::File => {
            // A string and an array of them are written as in JSON.
            let lines = rows
                .iter()
                .map(|row| format!("{} = {}\n", row.key, row.json()));
            let text = format!("[repos.{name}]\n{}", lines.collect::<String>());
            let file = host.at_home("sdp.toml", &text);
            sdp.env("SDP_CONFIG", &file)
        }
        Way::Request => {
            let pairs = rows
                .iter()
                .map(|row| (row.key.replace('-', "_"), row.json()));
            let request: serde_json::Map<_, _> = pairs.collect();
            let request = serde_json::Value::from(request).to_string();
            sdp.args(&["--request", "-"]).with_input(&request)
        }
    }
}

fn check(rows: &[&Row], way: Way, seen: &Seen<'_>) {
    for row in rows {
        let key = row.key;
        assert!(
            (row.shows)(seen),
            "no effect of `{key}` ({way:?}): {}",
            seen.run.story()
        );
    }
}

/// Where the rows' files are.
#[derive(Default)]
struct World {
    root: PathBuf,
    name: String,
    port: u16,
    url: String,
    commit: String,
}

impl World {
    fn of(host: &Host) -> World {
        World {
            root: host.path(""),
            name: host.name().to_owned(),
            port: free_port(),
            ..World::default()
        }
    }

    fn path(&self, below: &str) -> String {
        self.root.join(below).display().to_string()
    }
}

impl Seen<'_> {
    fn container(&self) -> Container {
        self.host.running()
    }

    fn limits(&self) -> HostConfig {
        self.container().inspect.host_config.unwrap()
    }

    fn has_variable(&self, pair: &str) -> bool {
        let container = self.container();
        let env = container.inspect.config.as_ref().unwrap().env.clone();
        env.unwrap().iter().any(|other| other == pair)
    }

    fn has_mount(&self, target: &str, source: &Path, writable: bool) -> bool {
        let container = self.container();
        let mounts = container.inspect.mounts.as_ref().unwrap();
        mounts.iter().any(|mount| {
            mount.destination.as_deref() == Some(target)
                && mount.source.as_deref() == source.to_str()
                && mount.rw == Some(writable)
        })
    }

    fn has_label(&self, name: &str, value: &str) -> bool {
        self.container().label(name) == Some(value)
    }

    /// What the program says of how it was built.
    fn built(&self, part: &str) -> bool {
        let facts = get(self.container().address(9090), "/facts").unwrap();
        facts.contains(part)
    }

    /// Everything in the container's description, as text.
    fn described(&self, part: &str) -> bool {
        format!("{:?}", self.container().inspect).contains(part)
    }

    /// Whether a line of a rehearsal is such a one.
    fn plans(&self, is_such: impl Fn(&str) -> bool) -> bool {
        let events = self.run.events.iter();
        let mut plan = events.filter(|event| event.kind == Kind::Plan);
        plan.any(|event| is_such(&event.line))
    }

    fn failed(&self, code: &str, word: &str) -> bool {
        self.run.problem().code == code && self.run.stdout.contains(word)
    }

    fn checkout(&self) -> PathBuf {
        self.host.path(&format!("elsewhere/{}", self.host.name()))
    }
}

fn container_rows(world: &World) -> Vec<Row> {
    let publish = format!("127.0.0.1:{}:9090", world.port);
    let checkout = world.path(&format!("elsewhere/{}", world.name));
    let volume = format!("{}:/data:ro", world.path("home"));
    let secret = format!("TOKEN={}", world.path("home/token"));
    vec![
        word("path", checkout, |seen| {
            seen.has_label("sdp.path", seen.checkout().to_str().unwrap())
        }),
        word("branch", "feature", |seen| {
            seen.has_label("sdp.branch", "feature")
        }),
        switch("force", |seen| {
            let notes = fs::read_to_string(seen.checkout().join("notes.txt")).unwrap();
            notes == "committed\n"
        }),
        word("workdir", "app", |seen| seen.built("example.com/app")),
        word("package", "./cmd/shop", |seen| {
            seen.built("path=example.com/app/cmd/shop")
        }),
        word("tags", "extra", |seen| seen.built("extra=yes")),
        word("ldflags", "-X main.stamp={{branch}}", |seen| {
            seen.built("stamp=feature")
        }),
        words("build-env", &["FOR_GO=told"], |seen| {
            let told = fs::read_to_string(seen.host.path("home/mygo-env")).unwrap();
            told.contains("FOR_GO=told")
        }),
        word("go", world.path("bin/mygo"), |seen| {
            seen.host.path("home/mygo-env").exists()
        }),
        word("image", BASE, |seen| {
            let container = seen.container();
            let config = container.inspect.config.as_ref().unwrap();
            config.image.as_deref() == Some(BASE)
        }),
        words("env", &["LEVEL=flag"], |seen| {
            seen.has_variable("LEVEL=flag")
        }),
        words("env-file", &[&world.path("home/shop.env")], |seen| {
            seen.has_variable("PLACE=file town")
        }),
        word("env-command", "echo FROM_COMMAND=printed", |seen| {
            seen.has_variable("FROM_COMMAND=printed")
        }),
        words("secret", &[&secret], |seen| {
            seen.has_variable("TOKEN_FILE=/run/secrets/TOKEN")
                && seen.has_mount("/run/secrets/TOKEN", &seen.host.path("home/token"), false)
        }),
        words("publish", &[&publish], |seen| {
            let ports = seen.run.stdout.contains("->9090/tcp");
            ports && seen.described("host_ip: Some(\"127.0.0.1\")")
        }),
        words("volume", &[&volume], |seen| {
            seen.has_mount("/data", &seen.host.path("home"), false)
        }),
        word("port", "9090", |seen| seen.has_label("sdp.port", "9090")),
        word("network", "bridge", |seen| {
            let container = seen.container();
            let config = container.inspect.host_config.as_ref().unwrap();
            config.network_mode.as_deref() == Some("bridge")
        }),
        words("label", &["team=shop"], |seen| {
            seen.has_label("team", "shop")
        }),
        word("stop-timeout", "7s", |seen| {
            let container = seen.container();
            container.inspect.config.as_ref().unwrap().stop_timeout == Some(7)
        }),
        words("include", &["assets/*.txt"], |seen| {
            let id = seen.run.deployment();
            let release = seen.checkout().join(".sdp/releases").join(id);
            listing(&release.join("assets")).contains("left.txt")
        }),
        words("args", &["--workers", "4"], |seen| {
            let container = seen.container();
            let command = container
                .inspect
                .config
                .as_ref()
                .unwrap()
                .cmd
                .clone()
                .unwrap();
            command == ["--workers", "4"]
        }),
        word("keep", "1", |seen| seen.host.containers().len() <= 2),
        word("health-http", "/healthz", |seen| {
            seen.has_label("sdp.health-http", "/healthz")
        }),
        word("health-timeout", "11s", |seen| {
            seen.has_label("sdp.health-timeout-ms", "11000")
        }),
        word("settle", "1234ms", |seen| {
            seen.has_label("sdp.settle-ms", "1234")
        }),
        word("deliver", "upload", |seen| {
            let container = seen.container();
            let mounts = container.inspect.mounts.as_ref().unwrap();
            mounts
                .iter()
                .any(|mount| mount.destination.as_deref() == Some("/src") && mount.name.is_some())
        }),
        switch("hardened", |seen| {
            seen.limits().readonly_rootfs == Some(true)
        }),
        word("memory", "64m", |seen| {
            seen.limits().memory == Some(64 << 20)
        }),
        word("cpus", "0.5", |seen| {
            seen.limits().nano_cpus == Some(500_000_000)
        }),
        word("pids", "100", |seen| seen.limits().pids_limit == Some(100)),
        words("ulimit", &["nofile=500:600"], |seen| {
            let limits = seen.limits().ulimits.unwrap_or_default();
            limits
                .iter()
                .any(|limit| (limit.soft, limit.hard) == (Some(500), Some(600)))
        }),
        words("log-opt", &["max-size=1m"], |seen| {
            let config = seen.limits().log_config.and_then(|log| log.config);
            config.is_some_and(|config| config["max-size"] == "1m")
        }),
        word("restart", "on-failure:3", |seen| {
            let policy = seen.limits().restart_policy;
            policy.is_some_and(|policy| policy.maximum_retry_count == Some(3))
        }),
        word("user", "1234:5678", |seen| {
            let container = seen.container();
            let config = container.inspect.config.as_ref().unwrap();
            config.user.as_deref() == Some("1234:5678")
        }),
        word("before-build", "echo $((40 + 2)) builds", |seen| {
            seen.run.stdout.contains("42 builds")
        }),
        word("before-start", "echo $((40 + 2)) starts", |seen| {
            seen.run.stdout.contains("42 starts")
        }),
        word("after-deploy", "echo $((40 + 2)) deployed", |seen| {
            seen.run.stdout.contains("42 deployed")
        }),
    ]
}

const SHOP: &str = r#"package main

import (
	"fmt"
	"net/http"
	"runtime/debug"
)

var stamp, extra = "none", "no"

func main() {
	http.HandleFunc("/healthz", func(w http.ResponseWriter, r *http.Request) {})
	http.HandleFunc("/facts", func(w http.ResponseWriter, r *http.Request) {
		info, _ := debug.ReadBuildInfo()
		fmt.Fprintf(w, "stamp=%s\nextra=%s\npath=%s\n", stamp, extra, info.Path)
		for _, setting := range info.Settings {
			fmt.Fprintf(w, "%s=%s\n", setting.Key, setting.Value)
		}
	})
	fmt.Println(http.ListenAndServe(":9090", nil))
}
"#;

#[test]
fn settings_of_the_container() {
    let host = Host::new();
    let world = World::of(&host);
    let text = |path: &str, content: &str| (path.to_owned(), content.to_owned());
    let origin = host.origin(&vec![
        text("app/go.mod", "module example.com/app\n\ngo 1.19\n"),
        text("app/cmd/shop/main.go", SHOP),
        text(
            "app/cmd/shop/extra.go",
            "//go:build extra\n\npackage main\n\nfunc init() { extra = \"yes\" }\n",
        ),
        text("app/cmd/other/main.go", "package main\n\nfunc main() {}\n"),
        text("notes.txt", "committed\n"),
    ]);
    origin.branch("feature", &vec![text("of-the-branch", "")]);
    let rows = container_rows(&world);
    let rows: Vec<&Row> = rows.iter().collect();
    fs::create_dir(host.path("elsewhere")).unwrap();
    let seen_at = host.path(&format!("elsewhere/{}", host.name()));
    host.git_in(
        "elsewhere",
        &["clone", "-q", &origin.url(), seen_at.to_str().unwrap()],
    );
    fs::create_dir(seen_at.join("assets")).unwrap();
    fs::write(seen_at.join("assets/left.txt"), "untracked\n").unwrap();
    host.at_home("token", "s3cret-in-a-file\n");
    host.at_home("shop.env", "PLACE='file town'\n");
    host.instead_of("mygo", "env > $HOME/mygo-env; exec go \"$@\"");

    for way in [Way::Flags, Way::File, Way::Request] {
        fs::write(seen_at.join("notes.txt"), "changed by hand\n").unwrap();
        fs::remove_file(host.path("home/mygo-env")).ok();

        let run = deploy(&host, way, &rows, &["--json"])
            .run()
            .deployed(HOOKED);

        let seen = Seen {
            host: &host,
            run: &run,
        };
        check(&rows, way, &seen);
    }
}

fn service_rows(_: &World) -> Vec<Row> {
    // What shows them is in the test.
    let shown = |_: &Seen<'_>| true;
    vec![
        word("mount", "checkout", |seen| {
            seen.has_mount("/src", &seen.host.checkout(), true)
        }),
        switch("follow", shown),
        switch("redact-logs", shown),
        switch("raw", shown),
        switch("if-changed", |seen| {
            seen.run.status().outcome.as_deref() == Some("unchanged")
        }),
        switch("no-canary", |seen| {
            seen.plans(|line| line.ends_with(" stops first"))
        }),
        switch("cgo", |seen| {
            seen.plans(|line| line.contains(", with cgo, "))
        }),
        word("lock-wait", "300ms", |seen| {
            let waited = seen.run.status().elapsed_ms;
            seen.failed("locked", "") && waited.is_some_and(|ms| ms >= 300)
        }),
    ]
}

/// A worker that shows its password, and goes back on its line.
const TALKER: &str = r#"package main

import (
	"fmt"
	"os"
	"time"
)

func main() {
	fmt.Println("password", os.Getenv("PASSWORD"))
	fmt.Print("wrong\x1b[5Dright\n")
	time.Sleep(time.Hour)
}
"#;

#[test]
fn settings_of_the_run() {
    let host = Host::new();
    let origin = host.origin(&module(&[("main.go", TALKER)]));
    host.clone_by_hand(&origin);
    let rows = service_rows(&World::default());
    let named = |keys: &[&str]| -> Vec<&Row> {
        rows.iter().filter(|row| keys.contains(&row.key)).collect()
    };
    let base = ["--image", BASE, "--settle", "300ms", "-e", "PASSWORD"];
    let told = |way, rows: &[&Row], more: &[&str]| {
        deploy(&host, way, rows, more)
            .args(&base)
            .env("PASSWORD", "hunter2-of-a-test")
    };

    for way in [Way::Flags, Way::File, Way::Request] {
        if !matches!(way, Way::Request) {
            // A request comes from no terminal.
            let followed = named(&["mount", "follow", "redact-logs", "raw"]);
            let mut terminal = Terminal::run(120, told(way, &followed, &[]));
            terminal.shows("right");
            let screen = terminal.screen();
            assert!(screen.contains("password ***"), "{way:?}: {screen}");
            assert!(!screen.contains("wrong"), "{way:?}: {screen}");
            terminal.press(b"\x03");
            assert_eq!(terminal.code(), Some(0), "{way:?}: {screen}");
        }
        let seen = |rows: &[&Row], more: &[&str]| {
            let run = told(way, rows, &["--json"]).args(more).run();
            check(
                rows,
                way,
                &Seen {
                    host: &host,
                    run: &run,
                },
            );
        };
        seen(&named(&["mount", "if-changed"]), &[]);
        seen(&named(&["no-canary", "cgo"]), &["--dry-run"]);
        let lock = fs::File::open(host.checkout().join(".sdp/lock")).unwrap();
        lock.lock().unwrap();
        seen(&named(&["lock-wait"]), &[]);
    }
}

/// What is seen before anything is built: each by itself, in a run that comes no further.
fn early_rows(world: &World) -> Vec<Row> {
    fn readme(seen: &Seen<'_>) -> String {
        fs::read_to_string(seen.host.checkout().join("README")).unwrap_or_default()
    }
    vec![
        word("url", &world.url, |seen| readme(seen) == "second"),
        word("depth", "1", |seen| {
            seen.host.git(&["rev-parse", "--is-shallow-repository"]) == "true"
        }),
        word("tag", "v1", |seen| readme(seen) == "first"),
        word("commit", &world.commit, |seen| readme(seen) == "first"),
        switch("submodules", |seen| {
            seen.host.checkout().join("lib/lib.go").exists()
        }),
        word("git-token-file", world.path("home/token"), |seen| {
            readme(seen) == "second"
        }),
        word("ssh-key", world.path("home/a-key"), |seen| {
            let asked = fs::read_to_string(seen.host.path("home/ssh-asked"));
            asked.is_ok_and(|asked| asked.contains("home/a-key"))
        }),
        word("git-timeout", "300ms", |seen| {
            seen.failed("remote_timeout", "")
        }),
        word("pull", "never", |seen| {
            seen.failed("image_missing", "") && seen.run.stages().is_empty()
        }),
        word("image-archive", world.path("home/no.tar"), |seen| {
            seen.failed("usage", "home/no.tar")
        }),
        word("host", "unix:///nowhere.sock", |seen| {
            seen.failed("engine_unreachable", "/nowhere.sock")
        }),
    ]
}

#[test]
fn settings_of_git_and_the_host() {
    let host = Host::new();
    let file = |path: &str, content: &str| vec![(path.to_owned(), content.to_owned())];
    let origin = host.origin(&file("README", "first"));
    let first = origin.git(&["rev-parse", "HEAD"]);
    origin.tag("v1");
    let library = host.origin_in("library", &file("lib.go", "package lib\n"));
    add_submodule(&origin, &library, "lib");
    origin.commit(&file("README", "second"), "Say more");
    let open = origin.over_http(Access::default());
    let closed = origin.over_http(Access {
        login: Some(("ada", "t0ken-of-a-test")),
        ..Access::default()
    });
    let silent = Server::silent();
    let world = World {
        url: open.url(),
        commit: first,
        ..World::of(&host)
    };
    host.at_home("token", "t0ken-of-a-test\n");
    host.at_home("a-key", "no key");
    let path = host.instead_of("ssh", "echo \"$@\" >> $HOME/ssh-asked; exit 1");

    for row in &early_rows(&world) {
        let (url, image) = match row.key {
            "git-token-file" => (closed.url(), BASE),
            "ssh-key" => ("ssh://git@127.0.0.1:1/shop.git".to_owned(), BASE),
            "git-timeout" => (silent.url("http"), BASE),
            "pull" | "image-archive" => (open.url(), "sdp-test/no-such-image:1"),
            _ => (open.url(), BASE),
        };
        for way in [Way::Flags, Way::File] {
            fs::remove_dir_all(host.checkout()).ok();
            fs::remove_file(host.path("home/ssh-asked")).ok();
            let sdp = deploy(&host, way, &[row], &["--json", "--image", image]);
            // Where a file with a URL has its checkouts.
            let sdp = sdp.env("SDP_HOME", host.path("srv").to_str().unwrap());
            let sdp = allowing_paths(sdp)
                .env("PATH", &path)
                .env("SDP_GIT_USER", "ada");
            let run = match row.key {
                "url" => sdp.run(),
                _ => sdp.env("SDP_URL", &url).run(),
            };
            check(
                &[row],
                way,
                &Seen {
                    host: &host,
                    run: &run,
                },
            );
        }
    }
}

#[test]
fn every_key_has_a_row() {
    let schema: serde_json::Value =
        serde_json::from_str(include_str!("../examples/sdp.schema.json")).unwrap();
    let keys = schema["definitions"].as_object().unwrap().keys().cloned();
    let keys: BTreeSet<String> = keys.collect();
    let world = World::default();
    let rows = [container_rows, service_rows, early_rows].map(|rows| rows(&world));
    let rows: Vec<&str> = rows.iter().flatten().map(|row| row.key).collect();
    let known: BTreeSet<String> = rows.iter().map(|key| (*key).to_owned()).collect();
    assert_eq!(keys, known);
    assert_eq!(rows.len(), known.len(), "a key has two rows");
}
