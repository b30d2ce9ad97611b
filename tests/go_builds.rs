//! What a build is given and what it leaves: stamps, variables, C, architectures, progress, mistakes.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use crate::support::bench::{Bench, Go, MODULE, newest_go, saying, with};
use crate::support::{Event, FIRST, Fault, Host, NEXT, Phase, Proxy, Run, free_port, get, program};

/// git refuses to look into a checkout of somebody else, and go then does not build. git is asked
/// without a lock on the index, which it would leave there when it is killed.
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
            "export PATH={real}\n[ \"$1 $GIT_OPTIONAL_LOCKS\" != \"status 0\" ] || exec sh -c \
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
    let port = free_port();
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
    proxy.arm(("archive", 9), Fault::Gone);
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
        // Nothing imported: a cold cache is soon filled. What becomes of it afterwards does not matter.
        let files: &[(&str, &str)] = &[
            ("go.mod", MODULE),
            ("main.go", "package main\n\nfunc main() {}\n"),
        ];
        let counted = |run: &Run| -> usize {
            assert!(run.stages().contains(&"start container"), "{}", run.story());
            let asked = std::fs::read_to_string(&log).unwrap();
            std::fs::remove_file(&log).unwrap();
            asked.lines().filter(|line| line.contains("-deps")).count()
        };
        let cold = bench.deploy(files, &["--build-env", &cache], Some(&logging));
        assert_eq!(counted(&cold), 1);
        let packages = |event: &&Event| event.unit.as_deref() == Some("packages");
        let updates: Vec<_> = cold.events.iter().filter(packages).collect();
        let totals: BTreeSet<u64> = updates.iter().filter_map(|event| event.total).collect();
        let last = updates.last().unwrap();
        assert!(
            updates
                .iter()
                .all(|event| event.phase == Some(Phase::Update))
        );
        assert!(
            last.done.unwrap() > 5 && last.done == last.total,
            "{last:?}"
        );
        assert!(totals.len() <= 2, "the total moves: {totals:?}");
        let known = updates
            .iter()
            .position(|event| event.total.is_some())
            .unwrap();
        assert!(
            known + 1 < updates.len(),
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

/// An older commit's program, left where it was, would be taken for the new one.
#[test]
fn a_go_that_writes_nothing() {
    let newest = newest_go();
    let bench = Bench::new();
    let (one, two) = (saying("one"), saying("two"));
    with(Go::Both, newest.as_deref(), |go| {
        let run = bench.deploy(&[("go.mod", MODULE), ("main.go", &one)], &[], go);
        assert_eq!(run.code, 0, "{}", run.story());
        let before = bench.host.running();

        let files: &[(&str, &str)] = &[("go.mod", MODULE), ("main.go", &two)];
        let run = bench
            .deploy(files, &["--build-env", "GOFLAGS=-n"], go)
            .failed(5, "build_failed", &NEXT[..4]);

        assert!(run.problem().message.ends_with("wrote no program"));
        let hint = run.problem().hint.as_deref().unwrap();
        assert!(hint.starts_with("`go env GOFLAGS`"), "{hint}");
        assert_eq!(bench.host.running().name, before.name);
        // What is up to date is not written again, and is none of that.
        let mut arguments = vec!["deploy", bench.host.name()];
        arguments.extend(go.map(|go| ["--go", go.to_str().unwrap()]).iter().flatten());
        for _ in 0..2 {
            let run = bench.host.sdp(&arguments).args(&["--json"]).run();
            bench.says(&run, "two");
        }
    });
}

/// As the server of a compiler cache does, which the first build starts.
#[test]
fn what_go_leaves_running_is_not_waited_for() {
    let bench = Bench::new();
    let fifo = bench.host.path("fifo");
    let made = Command::new("mkfifo").arg(&fifo).status().unwrap();
    assert!(made.success());
    let path = std::env::var("PATH").unwrap();
    let script = format!(
        "export PATH={path}\n[ $1 != build ] || cat {} &\nexec go \"$@\"",
        fifo.display()
    );
    bench.host.instead_of("go", &script);
    let one = saying("one");
    let files: &[(&str, &str)] = &[("go.mod", MODULE), ("main.go", &one)];

    let run = bench.deploy(files, &[], Some(&bench.host.path("bin/go")));

    let run = run.deployed(FIRST);
    bench.says(&run, "one");
    assert_eq!(bench.host.processes("fifo").len(), 1);
    // Its end: somebody has written, and gone.
    std::fs::write(&fifo, "").unwrap();
    bench.host.is_tidy();
}

/// Who can push must not choose what of this host is built.
#[test]
fn links_out_of_the_repository() {
    let bench = Bench::new();
    let outside = bench.host.path("outside");
    std::fs::create_dir_all(outside.join("cmd")).unwrap();
    std::fs::write(outside.join("go.mod"), MODULE).unwrap();
    std::fs::write(outside.join("main.go"), saying("outside")).unwrap();
    std::fs::write(outside.join("cmd/main.go"), saying("outside")).unwrap();
    let one = saying("one");
    let work = "go 1.19\n\nuse ./out\n";
    bench.origin.link(outside.to_str().unwrap(), "out");
    for (files, package, code) in [
        (&[("main.go", one.as_str())][..], "./out", "usage"),
        (&[("main.go", &one)], "./out/...", "usage"),
        (&[("main.go", &one)], "./out/cmd", "usage"),
        (
            &[("go.mod", MODULE), ("main.go", &one)],
            "./out/cmd",
            "usage",
        ),
        (&[("go.work", work)], "./...", "no_main_package"),
    ] {
        bench.origin.remove(".");
        std::os::unix::fs::symlink(&outside, bench.origin.work().join("out")).unwrap();
        let files: program::Files = files
            .iter()
            .map(|(path, content)| ((*path).to_owned(), (*content).to_owned()))
            .collect();
        bench.origin.commit(&files, "With a link");

        let sdp = bench.host.deploy(&bench.origin);
        let run = sdp.args(&["--package", package]).run();

        assert_eq!(run.problem().code, code, "{package}: {}", run.story());
    }
    assert!(bench.host.containers().is_empty());
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
