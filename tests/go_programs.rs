//! Go programs as they are in the wild: how they are laid out, what they ask of the toolchain, and
//! what is said when they do not build.

use std::io::Write as _;
use std::net::TcpListener;

use crate::support::bench::{Bench, Go, MODULE, newest_go, saying, with};
use crate::support::program;

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
#[allow(clippy::too_many_lines)] // it is a table
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
#[allow(clippy::too_many_lines)] // it is a table
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
            "no main package without cgo",
            Go::Both,
            &[("go.mod", MODULE), ("main.go", cgo)],
            &[],
            (5, "no_main_package"),
            "`./...` has no main package without C",
            "`--cgo --ldflags",
        ),
        (
            "a named package without a file that is built without cgo",
            Go::Both,
            &[
                ("go.mod", MODULE),
                ("main.go", &one),
                ("cmd/c/main.go", cgo),
            ],
            &["--package", "./cmd/c"],
            (5, "no_main_package"),
            "`./cmd/c` has no main package without C",
            "`--cgo --ldflags",
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
            "a newer Go, which an old one finds out when it does not compile",
            Go::Old,
            &[
                ("go.mod", "module example.com/app\n\ngo 1.99\n"),
                ("main.go", "package main\n\nfunc main() { newer() }\n"),
            ],
            &[],
            (3, "go_too_old"),
            "Go 1.99 or newer is asked for, and this is go1.",
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

/// What people paste is what was meant: paths have blanks, and whoever can push names branches.
#[test]
fn hints_are_quoted() {
    let bench = Bench::new();
    let broken = "package main\n\nfunc main() { nothing() }\n";
    let files = |files: &[(&str, &str)]| -> program::Files {
        let owned = |(path, text): &(&str, &str)| ((*path).to_owned(), (*text).to_owned());
        files.iter().map(owned).collect()
    };
    let evil = [("go.mod", MODULE), ("main.go", broken)];
    bench.origin.branch("x$(id)", &files(&evil));
    bench
        .origin
        .commit(&files(&[("a b/go.mod", MODULE)]), "A module");
    let path = bench.host.path("srv/sp ace");
    let path = path.to_str().unwrap();
    let built = format!("`cd '{path}' && go build .` shows the same");
    for (branch, hint) in [
        ("x$(ie)", "`--branch 'x$(id)'`, if"),
        ("main", "`--workdir 'a b'` builds"),
        ("x$(id)", &built),
    ] {
        let sdp = bench.host.deploy(&bench.origin);
        let run = sdp.args(&["--path", path, "--branch", branch]).run();
        let told = run.problem().hint.as_deref().unwrap();
        assert!(told.starts_with(hint), "{branch}: {}", run.story());
    }
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
