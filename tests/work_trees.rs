//! Work trees as people have them: sparse, linked, shared, left in the middle of something, owned by
//! somebody else, written into by a build.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use crate::support::program::{Files, module, server, server_source};
use crate::support::{FIRST, Host, Kind, NEXT, Origin, Run, eventually, listing, tree};

/// A server, and files in folders beside it.
fn shop(answer: &str) -> Files {
    module(&[
        ("main.go", &server_source(answer, ":8080", "")),
        ("assets/style.css", answer),
        ("docs/guide/start.md", answer),
        ("docs/index.md", answer),
    ])
}

/// The checkout, and the release that serves, are as the `git` program has them in `reference`.
fn is_like(host: &Host, run: &Run, reference: &str) {
    let gits = tree(&host.path(reference));
    assert_eq!(tree(&host.checkout()), gits, "the checkout");
    let mut release = tree(&host.checkout().join(".sdp/releases").join(run.deployment()));
    release.remove(format!("app-{}", host.name()).as_ref() as &std::path::Path);
    assert_eq!(release, gits, "the release");
    assert_eq!(host.git(&["status", "--porcelain"]), "");
}

/// Who makes a work tree, given the origin's URL: it goes to `srv/NAME`, and one of the `git` program's
/// to `reference`.
type Make = fn(host: &Host, url: &str, checkout: &str);

#[test]
fn any_layout_is_deployed() {
    let rows: [(&str, Make); 9] = [
        ("a plain clone", |host, url, at| {
            host.git_in("srv", &["clone", "-q", url, at]);
        }),
        ("sparse, cone", |host, url, at| {
            host.git_in("srv", &["clone", "-q", url, at]);
            host.git_in(
                at,
                &["sparse-checkout", "set", "--no-sparse-index", "assets"],
            );
        }),
        ("sparse, cone, sparse index", |host, url, at| {
            host.git_in("srv", &["clone", "-q", url, at]);
            host.git_in(
                at,
                &[
                    "sparse-checkout",
                    "set",
                    "--cone",
                    "--sparse-index",
                    "assets",
                ],
            );
        }),
        ("sparse, no cone", |host, url, at| {
            host.git_in("srv", &["clone", "-q", url, at]);
            host.git_in(
                at,
                &[
                    "sparse-checkout",
                    "set",
                    "--no-cone",
                    "/*",
                    "!/docs/guide",
                    "!*.css",
                ],
            );
        }),
        ("a linked work tree", |host, url, at| {
            host.git_in("tmp", &["clone", "-q", "--no-checkout", url, "../main"]);
            host.git_in("main", &["checkout", "-q", "--detach"]);
            host.git_in("main", &["worktree", "add", "-q", at, "main"]);
        }),
        ("a linked, sparse work tree", |host, url, at| {
            host.git_in("tmp", &["clone", "-q", "--no-checkout", url, "../main"]);
            host.git_in("main", &["checkout", "-q", "--detach"]);
            host.git_in("main", &["worktree", "add", "-q", at, "main"]);
            host.git_in(at, &["sparse-checkout", "set", "--sparse-index", "docs"]);
        }),
        ("a shared clone", |host, url, at| {
            host.git_in("tmp", &["clone", "-q", url, "../main"]);
            host.git_in("srv", &["clone", "-q", "--shared", "../main", at]);
            host.git_in(at, &["remote", "set-url", "origin", url]);
        }),
        ("a clone with a reference", |host, url, at| {
            host.git_in("tmp", &["clone", "-q", url, "../main"]);
            host.git_in("srv", &["clone", "-q", "--reference", "../main", url, at]);
        }),
        ("a repository elsewhere", |host, url, at| {
            host.git_in(
                "srv",
                &["clone", "-q", "--separate-git-dir", "../main", url, at],
            );
        }),
    ];
    for (what, make) in rows {
        let host = Host::new();
        let origin = host.origin(&shop("one"));
        let checkout = host.checkout();
        make(&host, &origin.url(), checkout.to_str().unwrap());
        let config = host.git(&["config", "--list"]);
        let reference = host.path("reference");
        make_reference(&host, &origin, &config);

        let first = host.deploy(&origin).run();
        assert_eq!(first.code, 0, "{what}: {}", first.story());
        is_like(&host, &first, "reference");
        origin.commit(&shop("two"), "Say two");
        let second = host.deploy(&origin).run();

        assert_eq!(second.code, 0, "{what}: {}", second.story());
        let second = second.deployed(NEXT);
        assert_eq!(host.answer(), "two", "{what}");
        host.git_in(reference.to_str().unwrap(), &["pull", "-q"]);
        is_like(&host, &second, "reference");
        assert_eq!(host.git(&["config", "--list"]), config, "{what}");
        assert!(listing(&checkout.join(".sdp")).contains("lock"), "{what}");
        host.holds(&[&second], &[&first]);
    }
}

/// A clone of the `git` program's with the same sparse patterns as the checkout.
fn make_reference(host: &Host, origin: &Origin, config: &str) {
    host.git_in("tmp", &["clone", "-q", &origin.url(), "../reference"]);
    if config.to_lowercase().contains("core.sparsecheckout=true") {
        let cone = if config
            .to_lowercase()
            .contains("core.sparsecheckoutcone=true")
        {
            "--cone"
        } else {
            "--no-cone"
        };
        let patterns = host.git(&["sparse-checkout", "list"]);
        let set = ["sparse-checkout", "set", cone];
        let all: Vec<&str> = set.into_iter().chain(patterns.lines()).collect();
        host.git_in("reference", &all);
    }
}

#[test]
fn sparse_index_without_git() {
    let host = Host::new();
    let origin = host.origin(&shop("one"));
    host.clone_by_hand(&origin);
    host.git(&["sparse-checkout", "set", "--sparse-index", "assets"]);
    let path = host.path_with_only(&["git-upload-pack", "go"]);

    let run = host.deploy(&origin).env("PATH", &path).run();

    let run = run.failed(4, "git_failed", &NEXT[..2]);
    let problem = run.problem();
    assert!(problem.message.contains("no `git` program"), "{problem:?}");
    let hint = problem.hint.as_deref().unwrap();
    assert!(hint.starts_with("`sudo apt install git`"), "{hint}");
}

#[test]
fn unfinished_work_is_refused() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let notes = |text: &str| vec![("notes.txt".to_owned(), text.to_owned())];
    origin.commit(&notes("zero\n"), "Take notes");
    origin.commit(&notes("one\n"), "Change notes");
    let id = origin.commit(&notes("two\n"), "Change them again");
    origin.tag("v1");
    let first = host.deploy(&origin).run().deployed(FIRST);
    host.git(&["checkout", "-q", "-b", "mine", "HEAD~2"]);
    fs::write(host.checkout().join("notes.txt"), "mine\n").unwrap();
    host.git(&["commit", "-q", "-am", "By hand"]);
    host.git(&[
        "format-patch",
        "-q",
        "-1",
        "-o",
        host.path("tmp").to_str().unwrap(),
    ]);
    host.git(&["checkout", "-q", "main"]);
    let patch = host.path("tmp/0001-By-hand.patch");
    let patch = patch.to_str().unwrap();

    // What is begun, its name, the way out.
    let rows: [(&[&str], &str, &str); 7] = [
        (&["merge", "mine"], "merge", "git merge --abort"),
        (&["rebase", "mine"], "rebase", "git rebase --abort"),
        (
            &["cherry-pick", "mine"],
            "cherry-pick",
            "git cherry-pick --abort",
        ),
        (
            &["cherry-pick", "mine", "mine~1"],
            "cherry-pick",
            "git cherry-pick --abort",
        ),
        (&["revert", "HEAD~1"], "revert", "git revert --abort"),
        (&["am", patch], "am", "git am --abort"),
        (&["bisect", "start"], "bisect", "git bisect reset"),
    ];
    for (begin, name, way_out) in rows {
        let begun = host.command("git").args(begin).output().unwrap();
        assert_eq!(
            begun.status.success(),
            name == "bisect",
            "{begin:?}: {begun:?}"
        );
        let whats = [["--branch", "main"], ["--tag", "v1"], ["--commit", &id]];
        let forced = whats.map(|what| [&what[..], &["--force"]].concat());
        for what in whats.map(Vec::from).iter().chain(&forced) {
            let refused = host.deploy(&origin).args(what).run();
            let refused = refused.failed(4, "git_unfinished", &NEXT[..2]);
            let problem = refused.problem();
            let what = format!("a `git {name}` is unfinished");
            assert!(problem.message.contains(&what), "{problem:?}");
            let hint = problem.hint.as_deref().unwrap();
            assert!(hint.starts_with(&format!("`{way_out}`")), "{hint}");
        }
        let words: Vec<&str> = way_out.split(' ').skip(1).collect();
        host.git(&words);
    }
    fs::remove_file(patch).unwrap();
    let second = host.deploy(&origin).run().deployed(NEXT);
    host.holds(&[&second], &[&first]);
}

#[test]
fn lock_of_a_git_that_works() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let first = host.deploy(&origin).run().deployed(FIRST);
    fs::write(host.checkout().join("notes.txt"), "mine").unwrap();
    host.git(&["add", "notes.txt"]);
    // A commit holds the lock as long as its message is written: until the pipe is closed.
    let mut commit = host
        .command("git")
        .args(["commit", "--all", "--quiet"])
        .env("GIT_EDITOR", "cat >/dev/null; false")
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lock = host.checkout().join(".git/index.lock");
    eventually("the lock", || lock.exists().then_some(()));

    let run = host.deploy(&origin).args(&["--force"]).run();

    let run = run.failed(4, "git_locked", &NEXT[..2]);
    let message = &run.problem().message;
    let whose = format!("`git commit --all` (pid {}) holds", commit.id());
    assert!(message.contains(&whose), "{message}");
    let hint = run.problem().hint.as_deref().unwrap();
    assert!(hint.starts_with("`sdp deploy` again"), "{hint}");
    drop(commit.stdin.take());
    assert!(!commit.wait().unwrap().success());
    host.git(&["rm", "-q", "--cached", "notes.txt"]);
    let second = host.deploy(&origin).run().deployed(NEXT);
    host.holds(&[&second], &[&first]);
}

#[test]
fn lock_that_somebody_or_nobody_holds() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let first = host.deploy(&origin).run().deployed(FIRST);
    origin.commit(&server("two"), "Say two");
    let locks = [
        "index.lock",
        "HEAD.lock",
        "refs/heads/main.lock",
        "refs/remotes/origin/main.lock",
        "packed-refs.lock",
    ];
    host.git(&["pack-refs", "--all"]);
    for lock in locks {
        let path = host.checkout().join(".git").join(lock);
        let mut held = fs::File::create(&path).unwrap();
        held.write_all(b"x").unwrap();

        let run = host.deploy(&origin).run().exited(4);
        assert_eq!(run.problem().code, "git_locked");
        let whose = format!("(pid {}) holds `{}`", std::process::id(), path.display());
        let message = &run.problem().message;
        assert!(message.contains(&whose), "{message}");

        drop(held);
        let run = host.deploy(&origin).run().exited(4);
        assert_eq!(run.problem().code, "git_locked");
        let problem = run.problem();
        assert!(
            problem.message.contains("no git process holds it"),
            "{problem:?}"
        );
        let remedy = format!("`rm {}`", path.display());
        assert!(
            problem.hint.as_ref().unwrap().starts_with(&remedy),
            "{problem:?}"
        );
        fs::remove_file(path).unwrap();
    }
    let second = host.deploy(&origin).run().deployed(NEXT);
    host.holds(&[&second], &[&first]);
}

/// Only the reflog would know them.
#[test]
fn commits_on_a_detached_head_are_named_when_it_leaves() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let first = origin.git(&["rev-parse", "HEAD"]);
    origin.tag("v1");
    origin.commit(&server("two"), "Say two");
    host.deploy(&origin).run().deployed(FIRST);
    let rows: [(&[&str], usize); 3] = [
        (&["--branch", "main"], 2),
        (&["--tag", "v1"], 1),
        // Nobody made a commit here.
        (&["--branch", "main"], 0),
    ];
    for (what, count) in rows {
        let at = if count == 0 { &first } else { "main" };
        host.git(&["checkout", "-q", "--detach", at]);
        for _ in 0..count {
            host.git(&["commit", "-q", "--allow-empty", "-m", "By hand"]);
        }
        let made = host.git(&["rev-parse", "--short=9", "HEAD"]);

        let run = host.deploy(&origin).args(what).run().deployed(NEXT);

        let warnings = warnings(&run);
        assert_eq!(warnings.len(), usize::from(count > 0), "{warnings:?}");
        if count > 0 {
            assert!(warnings[0].ends_with(&format!("`{made}`")), "{warnings:?}");
            assert_eq!(
                warnings[0].contains("2 commits"),
                count == 2,
                "{warnings:?}"
            );
        }
    }
}

#[test]
fn checkout_of_another_user() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    host.clone_by_hand(&origin);
    let checkout = host.checkout();
    let given = host
        .command("chown")
        .args(["-R", "65534", "."])
        .status()
        .unwrap();
    assert!(given.success(), "this test gives a checkout away, as root");
    let config = host.path("home/gitconfig");
    let config = config.to_str().unwrap();

    let refused = host.deploy(&origin).env("GIT_CONFIG_GLOBAL", config).run();

    let refused = refused.failed(2, "not_a_checkout", &[]);
    let hint = refused.problem().hint.as_deref().unwrap();
    let path = checkout.display().to_string();
    assert!(
        hint.starts_with(&format!(
            "`git config --global --add safe.directory {path}`"
        )),
        "{hint}"
    );
    let trusted = host
        .command("git")
        .args(["config", "--global", "--add", "safe.directory", &path])
        .env("GIT_CONFIG_GLOBAL", config)
        .status();
    assert!(trusted.unwrap().success());
    let run = host
        .deploy(&origin)
        .env("GIT_CONFIG_GLOBAL", config)
        .run()
        .deployed(NEXT);
    assert_eq!(host.answer(), "one");
    let program = checkout.join(format!(".sdp/build/app-{}", host.name()));
    let stamped = host
        .command("go")
        .args(["version", "-m"])
        .arg(program)
        .output()
        .unwrap();
    let stamp = String::from_utf8(stamped.stdout).unwrap();
    let commit = run.status().commit.as_deref().unwrap();
    assert!(stamp.contains(&format!("vcs.revision={commit}")), "{stamp}");
    assert!(stamp.contains("vcs.modified=false"), "{stamp}");
    let back = host
        .command("chown")
        .args(["-R", "0", "."])
        .status()
        .unwrap();
    assert!(back.success());
    host.holds(&[&run], &[]);
}

fn warnings(run: &Run) -> Vec<&str> {
    let warning = |event: &&crate::support::Event| event.kind == Kind::Warning;
    run.events
        .iter()
        .filter(warning)
        .map(|event| event.line.as_str())
        .collect()
}

#[test]
fn files_that_the_build_changes_are_put_back() {
    let host = Host::new();
    let mut files = server("one");
    let more = [
        ("data/table.txt", "1\n"),
        ("data/gone.txt", "here"),
        ("run.sh", "#!/bin/sh\n"),
    ];
    files.extend(more.map(|(path, content)| (path.to_owned(), content.to_owned())));
    let origin = host.origin(&files);
    host.instead_of(
        "generating-go",
        r#"case "$1" in build)
            echo "$$" >> data/table.txt; rm data/gone.txt; chmod +x run.sh; echo x > new.txt ;;
        esac
        exec go "$@""#,
    );
    let go = host.path("bin/generating-go");
    let go = ["--go", go.to_str().unwrap()];
    host.git_in("tmp", &["clone", "-q", &origin.url(), "../reference"]);

    let first = host.deploy(&origin).args(&go).run().deployed(FIRST);

    let warning = warnings(&first).join("\n");
    for file in ["`data/table.txt`", "`data/gone.txt`", "`run.sh`"] {
        assert!(warning.contains(file), "{warning}");
    }
    assert!(!warning.contains("new.txt"), "{warning}");
    let changed = host.checkout().join(".sdp/build/changed");
    let kept = changed.join(first.deployment());
    let table = fs::read_to_string(kept.join("data/table.txt")).unwrap();
    assert!(table.starts_with("1\n") && table.len() > 2, "{table}");
    assert_eq!(listing(&kept.join("data")).len(), 1);
    fs::remove_file(host.checkout().join("new.txt")).unwrap();
    is_like(&host, &first, "reference");

    // A build that fails leaves nothing changed either.
    origin.commit(&crate::support::program::broken(), "Break it");
    let failed = host.deploy(&origin).args(&go).run();
    failed.failed(5, "build_failed", &NEXT[..4]);
    assert_eq!(host.git(&["status", "--porcelain"]), "?? new.txt");

    origin.commit(&server("two"), "Say two");
    let second = host.deploy(&origin).run().deployed(NEXT);
    assert_eq!(warnings(&second), Vec::<&str>::new());
    assert_eq!(host.answer(), "two");
    host.holds(&[&second], &[&first]);

    // What was put back may be somebody's work: later builds leave it, up to a number.
    assert!(kept.join("data/table.txt").exists(), "of the first build");
    assert_eq!(listing(&changed).len(), 2);
    let ids = ["a", "b", "c", "d"];
    for id in ids {
        let run = host.deploy(&origin).args(&go).args(&["--id", id]).run();
        run.deployed(NEXT);
        fs::remove_file(host.checkout().join("new.txt")).ok();
    }
    let left = listing(&changed);
    assert!(left.len() == 5 && !kept.exists(), "{left:?}");
    assert!(ids.iter().all(|id| left.contains(*id)), "{left:?}");
}

/// Without a `go` line, go adds one.
#[test]
fn go_mod_that_go_changes_is_put_back() {
    let host = Host::new();
    let mut files = server("one");
    files[0].1 = "module example.com/app\n".to_owned();
    let origin = host.origin(&files);

    let run = host
        .deploy(&origin)
        .env("GOFLAGS", "-mod=mod")
        .run()
        .deployed(FIRST);

    assert!(
        warnings(&run).join("\n").contains("`go.mod`"),
        "{}",
        run.story()
    );
    let mine = fs::read_to_string(host.checkout().join("go.mod")).unwrap();
    assert_eq!(mine, "module example.com/app\n");
    let kept = host
        .checkout()
        .join(".sdp/build/changed")
        .join(run.deployment())
        .join("go.mod");
    assert!(fs::read_to_string(kept).unwrap().contains("\ngo 1."));
    host.deploy(&origin)
        .env("GOFLAGS", "-mod=mod")
        .run()
        .deployed(NEXT);
}
