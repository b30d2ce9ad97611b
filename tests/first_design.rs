//! The repositories that `go build -o FILE ./...` with the host's cgo cannot deploy.

use crate::support::program::{Files, module, server_source};
use crate::support::{FIRST, Host};

fn serves(answer: &str) -> String {
    server_source(answer, ":8080", "")
}

fn deploys(host: &Host, files: &Files, arguments: &[&str], answer: &str) {
    let origin = host.origin(files);
    let run = host.deploy(&origin).args(arguments).run().deployed(FIRST);
    assert_eq!(host.answer(), answer);
    assert_eq!(host.git(&["status", "--porcelain"]), "");
    host.holds(&[&run], &[]);
}

#[test]
fn main_under_cmd() {
    let host = Host::new();
    let files = module(&[
        ("app.go", "package app\n\nconst Name = \"app\"\n"),
        ("cmd/serve/main.go", &serves("under cmd")),
    ]);
    deploys(&host, &files, &[], "under cmd");
}

#[test]
fn one_of_several_mains() {
    let host = Host::new();
    let files = module(&[
        ("cmd/serve/main.go", &serves("serve")),
        ("cmd/import/main.go", "package main\n\nfunc main() {}\n"),
    ]);
    deploys(&host, &files, &["--package", "./cmd/serve"], "serve");
}

#[test]
fn several_mains_and_none_named() {
    let host = Host::new();
    let origin = host.origin(&module(&[
        ("cmd/serve/main.go", &serves("serve")),
        ("cmd/import/main.go", "package main\n\nfunc main() {}\n"),
    ]));

    let run = host.deploy(&origin).run();

    let run = run.failed(5, "several_main_packages", &FIRST[..5]);
    let problem = format!("{:?}", run.problem());
    for candidate in ["./cmd/serve", "./cmd/import", "--package"] {
        assert!(problem.contains(candidate), "{problem}");
    }
    host.holds(&[], &[]);
}

#[test]
fn the_main_that_bears_the_repositorys_name() {
    let host = Host::new();
    let files = module(&[
        (&format!("cmd/{}/main.go", host.name()), &serves("mine")),
        ("cmd/other/main.go", "package main\n\nfunc main() {}\n"),
    ]);
    deploys(&host, &files, &[], "mine");
}

#[test]
fn main_plus_library() {
    let host = Host::new();
    let files = module(&[
        ("main.go", &serves("with a library")),
        ("library/library.go", "package library\n"),
    ]);
    deploys(&host, &files, &[], "with a library");
}

#[test]
fn linked_to_libc_by_net_and_user() {
    let host = Host::new();
    let who = "user.Current()";
    let files = module(&[(
        "main.go",
        &server_source("static", ":8080", who).replace("\"os\"\n", "\"os\"\n\t\"os/user\"\n"),
    )]);
    deploys(&host, &files, &[], "static");
}

#[test]
fn module_below_the_root() {
    let host = Host::new();
    let mut files = module(&[("main.go", &serves("below"))]);
    for (path, _) in &mut files {
        path.insert_str(0, "services/shop/");
    }
    files.push(("README.md".to_owned(), "A collection.\n".to_owned()));
    deploys(&host, &files, &["--package", "./services/shop"], "below");
}

#[test]
fn no_main_at_all() {
    let host = Host::new();
    let origin = host.origin(&module(&[("library.go", "package library\n")]));

    host.deploy(&origin)
        .run()
        .failed(5, "no_main_package", &FIRST[..5]);

    host.holds(&[], &[]);
}

#[test]
fn no_module() {
    let host = Host::new();
    let origin = host.origin(&vec![("main.go".to_owned(), serves("lost"))]);

    host.deploy(&origin)
        .run()
        .failed(5, "no_module", &FIRST[..5]);

    host.holds(&[], &[]);
}
