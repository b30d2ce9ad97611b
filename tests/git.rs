//! The checkout: what a deployment does to it, and what it refuses to do.

use std::fs;

use crate::support::program::{module, server, server_source};
use crate::support::{FIRST, Host, NEXT};

#[test]
fn local_changes_are_refused_and_forced() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let first = host.deploy(&origin).run().deployed(FIRST);
    origin.commit(&server("two"), "Say two");
    let edited = host.checkout().join("main.go");
    fs::write(&edited, "package main // by hand\n").unwrap();

    let refused = host.deploy(&origin).run();

    let refused = refused.failed(4, "checkout_dirty", &NEXT[..2]);
    let problem = refused.problem();
    assert!(format!("{problem:?}").contains("main.go"), "{problem:?}");
    assert!(
        problem.hint.as_ref().unwrap().contains("--force"),
        "{problem:?}"
    );
    assert_eq!(
        fs::read_to_string(&edited).unwrap(),
        "package main // by hand\n"
    );
    assert_eq!(host.answer(), "one");
    host.holds(&[&first], &[]);

    let forced = host.deploy(&origin).args(&["--force"]).run().deployed(NEXT);
    assert_eq!(host.answer(), "two");
    assert_eq!(host.git(&["status", "--porcelain"]), "");
    host.holds(&[&forced], &[&first]);
}

#[test]
fn untracked_files_stay() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    host.deploy(&origin).run().deployed(FIRST);
    let notes = host.checkout().join("notes.txt");
    fs::write(&notes, "mine").unwrap();
    origin.commit(&server("two"), "Say two");

    host.deploy(&origin).run().deployed(NEXT);
    host.deploy(&origin).args(&["--force"]).run().deployed(NEXT);

    assert_eq!(fs::read_to_string(notes).unwrap(), "mine");
    assert_eq!(host.git(&["status", "--porcelain"]), "?? notes.txt");
}

#[test]
fn untracked_file_in_the_way() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let first = host.deploy(&origin).run().deployed(FIRST);
    fs::write(host.checkout().join("notes.txt"), "mine").unwrap();
    let notes = ("notes.txt".to_owned(), "theirs".to_owned());
    origin.commit(&vec![notes], "Take notes");

    let run = host.deploy(&origin).run().exited(4);

    assert_eq!(
        run.problem().code,
        "untracked_in_the_way",
        "{}",
        run.story()
    );
    let kept = fs::read_to_string(host.checkout().join("notes.txt")).unwrap();
    assert_eq!(kept, "mine");
    assert_eq!(host.answer(), "one");
    host.holds(&[&first], &[]);
}

#[test]
fn diverged_branch_is_refused_and_forced() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let first = host.deploy(&origin).run().deployed(FIRST);
    host.git(&["commit", "--quiet", "--allow-empty", "-m", "By hand"]);
    let local = host.git(&["rev-parse", "HEAD"]);
    origin.commit(&server("two"), "Say two");

    let refused = host.deploy(&origin).run();

    let refused = refused.failed(4, "branch_diverged", &NEXT[..3]);
    assert!(refused.problem().hint.as_ref().unwrap().contains("--force"));
    assert_eq!(host.git(&["rev-parse", "HEAD"]), local);
    assert_eq!(host.answer(), "one");
    host.holds(&[&first], &[]);

    let forced = host.deploy(&origin).args(&["--force"]).run().deployed(NEXT);
    assert_eq!(host.answer(), "two");
    host.holds(&[&forced], &[&first]);
}

#[test]
fn rewritten_branch_is_refused_and_forced() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    origin.commit(&server("two"), "Say two");
    let first = host.deploy(&origin).run().deployed(FIRST);
    let head = origin.rewrite(&server("three"), "Say three instead");

    host.deploy(&origin)
        .run()
        .failed(4, "branch_diverged", &NEXT[..3]);
    assert_eq!(host.answer(), "two");

    let forced = host.deploy(&origin).args(&["--force"]).run().deployed(NEXT);
    assert_eq!(host.git(&["rev-parse", "HEAD"]), head);
    assert_eq!(host.answer(), "three");
    host.holds(&[&forced], &[&first]);
}

#[test]
fn from_branch_to_branch() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    origin.branch("develop", &server("two"));
    let first = host.deploy(&origin).args(&["--branch", "develop"]).run();
    let first = first.deployed(FIRST);
    assert_eq!(host.answer(), "two");

    let second = host.deploy(&origin).args(&["--branch", "main"]).run();

    let second = second.deployed(NEXT);
    assert_eq!(second.status().branch.as_deref(), Some("main"));
    assert_eq!(host.answer(), "one");
    assert_eq!(
        host.git(&["status", "--porcelain", "--branch"]),
        "## main...origin/main"
    );
    host.holds(&[&second], &[&first]);
}

#[test]
fn missing_branch() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let first = host.deploy(&origin).run().deployed(FIRST);

    let run = host.deploy(&origin).args(&["--branch", "mian"]).run();

    let run = run.failed(4, "branch_not_found", &NEXT[..1]);
    assert!(run.problem().message.contains("mian"), "{}", run.story());
    assert_eq!(host.answer(), "one");
    host.holds(&[&first], &[]);
}

#[test]
fn missing_repository() {
    let host = Host::new();
    let nowhere = format!("file://{}", host.path("nowhere.git").display());

    let run = host.deploy_from(&nowhere).run();

    run.failed(4, "remote_not_found", &FIRST[..1]);
    host.is_untouched();
}

#[test]
fn checkout_follows_the_commit() {
    let host = Host::new();
    let origin = host.origin(&module(&[
        ("main.go", &server_source("one", ":8080", "")),
        ("data/old.txt", "old"),
        ("thing/inside.txt", "a folder"),
        ("same.txt", "same"),
    ]));
    host.deploy(&origin).run().deployed(FIRST);
    let modified = |name: &str| {
        let metadata = fs::metadata(host.checkout().join(name)).unwrap();
        metadata.modified().unwrap()
    };
    let before = (modified("same.txt"), modified("main.go"));
    origin.remove("data");
    origin.remove("thing");
    let new = [("thing", "a file"), ("neu/größe.txt", "ü")];
    origin.commit(
        &new.map(|(path, content)| (path.to_owned(), content.to_owned()))
            .to_vec(),
        "Move things",
    );

    host.deploy(&origin).run().deployed(NEXT);

    let checkout = host.checkout();
    assert!(!checkout.join("data").exists());
    assert_eq!(
        fs::read_to_string(checkout.join("thing")).unwrap(),
        "a file"
    );
    assert_eq!(
        fs::read_to_string(checkout.join("neu/größe.txt")).unwrap(),
        "ü"
    );
    assert_eq!((modified("same.txt"), modified("main.go")), before);
    assert_eq!(host.git(&["status", "--porcelain"]), "");
}

/// A checkout that people made with the `git` program serves as well as one of sdp's.
#[test]
fn checkout_made_by_hand() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    host.clone_by_hand(&origin);
    let path = host.checkout();

    let by_path = host
        .sdp(&["deploy", path.to_str().unwrap(), "--json"])
        .run();
    let here = host.sdp(&["deploy", ".", "--json"]).within(&path).run();

    let (by_path, here) = (by_path.deployed(NEXT), here.deployed(NEXT));
    assert_eq!(here.status().replaced.as_deref(), Some(by_path.container()));
    assert_eq!(here.status().branch.as_deref(), Some("main"));
    assert_eq!(host.answer(), "one");
    host.holds(&[&here], &[&by_path]);
}

/// What stands in a path need not do as a container's name.
#[test]
fn path_with_blanks_and_umlauts() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let path = host.path(&format!("Große Läden/{} ü", host.name()));
    let deploy = [
        "deploy",
        path.to_str().unwrap(),
        "--url",
        &origin.url(),
        "--json",
    ];

    let first = host.sdp(&deploy).run().deployed(FIRST);
    let second = host.sdp(&deploy).run().deployed(NEXT);

    let name = format!("sdp-{}---{}", host.name(), first.deployment());
    assert_eq!(first.container(), name);
    assert_eq!(second.status().replaced.as_deref(), Some(first.container()));
    host.sdp(&["stop", path.to_str().unwrap()]).run().exited(0);
}

/// A URL in the place of the name: the checkout goes below `$SDP_HOME`.
#[test]
fn url_instead_of_a_name() {
    let host = Host::new();
    let origin = host.origin(&server("one"));

    let run = host.sdp(&[
        "deploy",
        &origin.url(),
        "--json",
        "--image",
        crate::support::BASE,
    ]);

    run.run().deployed(FIRST);
    assert_eq!(host.answer(), "one");

    // By its name from then on, wherever one is.
    origin.commit(&server("two"), "Say two");
    let again = host.sdp(&["deploy", host.name(), "--json"]);
    again.run().deployed(NEXT);
    assert_eq!(host.answer(), "two");
}
