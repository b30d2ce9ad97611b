//! What a commit holds or refers to: submodules, attributes, links, odd names.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::support::program::{Files, module, server, server_source};
use crate::support::{FIRST, Host, Kind, NEXT, Origin, Run, Sdp, eventually, listing, tree};

/// Git clones submodules from paths only if it is told to.
const FROM_PATHS: [(&str, &str); 3] = [
    ("GIT_CONFIG_COUNT", "1"),
    ("GIT_CONFIG_KEY_0", "protocol.file.allow"),
    ("GIT_CONFIG_VALUE_0", "always"),
];

pub fn allowing_paths(sdp: Sdp) -> Sdp {
    FROM_PATHS
        .iter()
        .fold(sdp, |sdp, (name, value)| sdp.env(name, value))
}

fn warnings(run: &Run) -> Vec<(&str, &str)> {
    let warning = |event: &&crate::support::Event| event.kind == Kind::Warning;
    let shown = run.events.iter().filter(warning);
    shown
        .map(|event| (event.line.as_str(), event.hint.as_deref().unwrap_or("")))
        .collect()
}

/// A library with what it answers in a package of its own.
fn library(answer: &str) -> Files {
    [
        ("go.mod", "module example.com/lib\n\ngo 1.19\n".to_owned()),
        (
            "lib.go",
            format!("package lib\n\nconst Answer = {answer:?}\n"),
        ),
    ]
    .map(|(path, content)| (path.to_owned(), content))
    .to_vec()
}

/// A repository whose submodule `lib` has a submodule `deep/inner`, and a program that needs both.
struct Nested {
    host: Host,
    origin: Origin,
    library: Origin,
    inner: Origin,
}

impl Nested {
    fn new() -> Nested {
        let host = Host::new();
        let inner = host.origin_in("inner", &vec![("asset.txt".to_owned(), "inner".to_owned())]);
        let library = host.origin_in("library", &library("one"));
        add_submodule(&library, &inner, "deep/inner");
        let source = server_source("?", ":8080", "")
            .replace("\"?\"", "lib.Answer")
            .replace("import (", "import (\n\t\"example.com/lib\"");
        let mut files = module(&[("main.go", &source)]);
        files[0].1 += "\nrequire example.com/lib v0.0.0\n\nreplace example.com/lib => ./lib\n";
        let origin = host.origin(&files);
        add_submodule(&origin, &library, "lib");
        Nested {
            host,
            origin,
            library,
            inner,
        }
    }

    fn deploy(&self) -> Sdp {
        allowing_paths(self.host.deploy(&self.origin)).args(&["--submodules"])
    }

    /// Commits in the library, and takes the submodule there.
    fn change(&self, answer: &str) {
        let id = self.library.commit(&library(answer), answer);
        let submodule = self.origin.work().join("lib");
        let submodule = submodule.to_str().unwrap();
        self.origin.git(&["-C", submodule, "fetch", "-q"]);
        self.origin.git(&["-C", submodule, "checkout", "-q", &id]);
        self.origin.commit(&Files::new(), answer);
    }

    fn submodules(&self) -> String {
        self.host.git(&["submodule", "status", "--recursive"])
    }
}

pub fn add_submodule(to: &Origin, submodule: &Origin, path: &str) {
    let allow = ["-c", "protocol.file.allow=always"];
    to.git(
        &[
            &allow[..],
            &["submodule", "add", "-q", &submodule.url(), path],
        ]
        .concat(),
    );
    to.git(
        &[
            &allow[..],
            &["submodule", "update", "-q", "--init", "--recursive"],
        ]
        .concat(),
    );
    to.commit(&Files::new(), "Add a submodule");
}

#[test]
fn submodules_are_brought_and_deployed() {
    let nested = Nested::new();
    let host = &nested.host;

    let run = allowing_paths(host.deploy(&nested.origin)).run();
    let run = run.failed(5, "build_failed", &FIRST[..5]);
    let (line, hint) = warnings(&run)[0];
    assert!(
        line.contains("`lib`") && hint.starts_with("`--submodules`"),
        "{line}: {hint}"
    );

    let first = nested.deploy().run().deployed(NEXT);
    assert_eq!(host.answer(), "one");
    assert_eq!(warnings(&first), []);
    let files = listing(&host.release(&first).join("lib"));
    assert!(
        files.contains("lib.go") && !files.contains(".git"),
        "{files:?}"
    );
    let inner = host.release(&first).join("lib/deep/inner");
    assert_eq!(
        listing(&inner).into_iter().collect::<Vec<_>>(),
        ["asset.txt"]
    );

    nested.change("two");
    let second = nested.deploy().run().deployed(NEXT);
    assert_eq!(host.answer(), "two");
    assert!(
        nested
            .submodules()
            .lines()
            .all(|line| line.starts_with(' ')),
        "{}",
        nested.submodules()
    );
    assert_eq!(host.git(&["status", "--porcelain"]), "");

    // Nothing is new: git is not asked.
    let without_submodules = host.instead_of(
        "git",
        r#"case " $* " in *" submodule "*) exit 99 ;; esac
        PATH=${PATH#*:} exec git "$@""#,
    );
    let third = nested.deploy().env("PATH", &without_submodules).run();
    let third = third.deployed(NEXT);
    assert!(
        !third.remarks("git pull").contains(&"updating submodules"),
        "{}",
        third.story()
    );

    // Without the flag they stay as they are, and that is said.
    nested.change("three");
    let fourth = allowing_paths(host.deploy(&nested.origin))
        .run()
        .deployed(NEXT);
    assert_eq!(warnings(&fourth).len(), 1);
    assert_eq!(host.answer(), "two");
    let fifth = nested.deploy().run().deployed(NEXT);
    assert_eq!(host.answer(), "three");
    host.holds(&[&fifth], &[&first, &second, &third, &fourth]);
}

type Spoil = fn(&Host);

#[test]
fn submodule_that_is_not_as_the_commit_has_it_is_brought_back() {
    let nested = Nested::new();
    let host = &nested.host;
    nested.deploy().run().deployed(FIRST);
    let rows: [(&str, Spoil); 4] = [
        ("emptied", |host| {
            fs::remove_dir_all(host.checkout().join("lib")).unwrap();
            fs::create_dir(host.checkout().join("lib")).unwrap();
        }),
        ("forgotten", |host| {
            host.git(&["submodule", "deinit", "-q", "--all", "--force"]);
        }),
        ("the inner one emptied", |host| {
            let inner = host.checkout().join("lib/deep/inner");
            fs::remove_dir_all(&inner).unwrap();
            fs::create_dir(inner).unwrap();
        }),
        ("at another commit", |host| {
            host.git(&["-C", "lib", "checkout", "-q", "HEAD~1"]);
        }),
    ];
    for (what, spoil) in rows {
        spoil(host);
        let run = nested.deploy().run();
        assert_eq!(run.code, 0, "{what}: {}", run.story());
        assert_eq!(host.git(&["status", "--porcelain"]), "", "{what}");
        let status = nested.submodules();
        assert!(
            status.lines().count() == 2 && !status.contains(['+', '-']),
            "{what}: {status}"
        );
    }
}

#[test]
fn local_changes_in_a_submodule_are_refused_and_forced() {
    let nested = Nested::new();
    let host = &nested.host;
    let first = nested.deploy().run().deployed(FIRST);
    nested.change("two");
    let edited = host.checkout().join("lib/deep/inner/asset.txt");
    fs::write(&edited, "by hand").unwrap();
    fs::write(host.checkout().join("lib/untracked.txt"), "mine").unwrap();

    for flag in [&["--submodules"][..], &[]] {
        let run = allowing_paths(host.deploy(&nested.origin)).args(flag).run();
        let run = run.failed(4, "checkout_dirty", &NEXT[..2]);
        assert!(
            run.problem().message.contains("`lib/deep/inner/asset.txt`"),
            "{}",
            run.story()
        );
        assert_eq!(fs::read_to_string(&edited).unwrap(), "by hand");
    }
    assert_eq!(host.answer(), "one");

    // A tag is no way around that, nor is force where nothing brings the submodules back.
    nested.origin.tag("v1");
    for (what, flag) in [("--tag", "--submodules"), ("--branch", "--force")] {
        let name = if what == "--tag" { "v1" } else { "main" };
        let run = allowing_paths(host.deploy(&nested.origin))
            .args(&[what, name, flag])
            .run();
        let run = run.failed(4, "checkout_dirty", &NEXT[..2]);
        let hint = run.problem().hint.as_deref().unwrap();
        assert!(hint.starts_with("`--force --submodules`"), "{hint}");
        assert_eq!(fs::read_to_string(&edited).unwrap(), "by hand");
    }

    let second = nested.deploy().args(&["--force"]).run().deployed(NEXT);
    assert_eq!(fs::read_to_string(&edited).unwrap(), "inner");
    assert_eq!(host.answer(), "two");
    assert!(host.checkout().join("lib/untracked.txt").exists());
    assert!(!host.release(&second).join("lib/untracked.txt").exists());
    host.holds(&[&second], &[&first]);
}

#[test]
fn submodule_that_cannot_be_had() {
    let nested = Nested::new();
    let host = &nested.host;
    fs::rename(nested.inner.path(), host.path("elsewhere")).unwrap();

    let run = nested.deploy().run().failed(4, "git_failed", &FIRST[..4]);

    let problem = run.problem();
    assert!(
        problem
            .message
            .contains("`git submodule update --init --recursive`"),
        "{problem:?}"
    );
    assert!(
        problem
            .detail
            .join("\n")
            .contains("does not appear to be a git repository"),
        "{problem:?}"
    );
    assert!(
        problem.hint.as_ref().unwrap().starts_with("`cd "),
        "{problem:?}"
    );

    let path = host.path_with_only(&["git-upload-pack", "go"]);
    let run = nested
        .deploy()
        .env("PATH", &path)
        .run()
        .failed(4, "git_failed", &NEXT[..3]);
    assert!(
        run.problem().message.contains("no `git` program"),
        "{}",
        run.story()
    );
}

/// A killed git leaves a repository without a commit, and a work tree that names it.
#[test]
fn half_clones_of_submodules_are_made_anew() {
    let nested = Nested::new();
    let host = &nested.host;
    let (library, inner) = (".git/modules/lib", ".git/modules/lib/modules/deep/inner");
    let rows = [("lib", library), ("lib/deep/inner", inner)];
    host.clone_by_hand(&nested.origin);
    for (at, repository) in rows {
        let (at, repository) = (host.checkout().join(at), host.checkout().join(repository));
        fs::remove_dir_all(&at).ok();
        fs::remove_dir_all(&repository).ok();
        fs::create_dir_all(repository.parent().unwrap()).unwrap();
        host.git(&[
            "init",
            "-q",
            "--separate-git-dir",
            repository.to_str().unwrap(),
            at.to_str().unwrap(),
        ]);

        let run = nested.deploy().run();

        assert_eq!(run.code, 0, "{}: {}", at.display(), run.story());
        let status = nested.submodules();
        assert!(status.lines().all(|line| line.starts_with(' ')), "{status}");
    }
    assert_eq!(host.answer(), "one");
}

#[test]
fn submodule_that_has_moved() {
    let nested = Nested::new();
    let host = &nested.host;
    nested.deploy().run().deployed(FIRST);
    let library = nested.library.path().with_file_name("moved.git");
    fs::rename(nested.library.path(), &library).unwrap();
    let url = format!("file://{}", library.display());
    nested
        .library
        .git(&["remote", "set-url", "origin", library.to_str().unwrap()]);
    nested
        .origin
        .git(&["config", "-f", ".gitmodules", "submodule.lib.url", &url]);
    nested.origin.git(&["submodule", "--quiet", "sync"]);
    nested.change("two");

    nested.deploy().run().deployed(NEXT);

    assert_eq!(host.answer(), "two");
}

#[test]
fn submodule_whose_repository_is_gone() {
    let nested = Nested::new();
    let host = &nested.host;
    nested.deploy().run().deployed(FIRST);
    fs::remove_dir_all(host.checkout().join(".git/modules/lib")).unwrap();

    // Nobody knows which commit its files are of.
    let run = allowing_paths(host.deploy(&nested.origin)).run();

    assert_ne!(run.code, 4, "{}", run.story());
    let (line, hint) = warnings(&run)[0];
    assert!(
        line.contains("`lib`") && hint.starts_with("`--submodules`"),
        "{line}: {hint}"
    );
    let run = nested.deploy().run().failed(4, "git_failed", &NEXT[..3]);
    let hint = run.problem().hint.as_deref().unwrap();
    assert!(hint.starts_with("`mv` lib"), "{hint}");
    fs::remove_dir_all(host.checkout().join("lib")).unwrap();
    nested.deploy().run().deployed(NEXT);
}

/// Somebody's own ssh is asked for submodules, too.
#[test]
fn submodule_over_a_configured_ssh() {
    let nested = Nested::new();
    let host = &nested.host;
    let bare = nested.library.path().display();
    let url = format!("ssh://nobody.invalid{bare}");
    nested
        .origin
        .git(&["config", "-f", ".gitmodules", "submodule.lib.url", &url]);
    nested.origin.commit(&Files::new(), "Over ssh");
    host.instead_of("my-ssh", "for last; do :; done\nexec sh -c \"$last\"");
    let ssh = host.path("bin/my-ssh");
    let config = host.at_home(
        "gitconfig",
        &format!("[core]\n\tsshCommand = {}\n", ssh.display()),
    );

    let run = nested.deploy().env("GIT_CONFIG_GLOBAL", &config).run();

    run.deployed(FIRST);
    assert_eq!(host.answer(), "one");

    // A key for this deployment goes to the same ssh.
    let asked = host.path("asked");
    let script = format!(
        "echo \"$*\" >> {}\nfor last; do :; done\nexec sh -c \"$last\"",
        asked.display()
    );
    host.instead_of("my-ssh", &script);
    fs::remove_dir_all(host.checkout().join("lib")).unwrap();
    fs::remove_dir_all(host.checkout().join(".git/modules/lib")).unwrap();
    let key = host.at_home("key", "");
    let run = nested.deploy().env("GIT_CONFIG_GLOBAL", &config);
    run.args(&["--ssh-key", &key]).run().deployed(NEXT);
    let asked = fs::read_to_string(asked).unwrap();
    assert!(asked.contains(&format!("-i {key} ")), "{asked}");
}

/// A lock file that a killed git has left in a submodule is told as one of the checkout's own is.
#[test]
fn submodule_that_is_locked() {
    let nested = Nested::new();
    let host = &nested.host;
    nested.deploy().run().deployed(FIRST);
    let lock = host.checkout().join(".git/modules/lib/index.lock");
    fs::write(&lock, "").unwrap();
    nested.change("two");

    let run = nested.deploy().run().failed(4, "git_locked", &NEXT[..3]);

    let problem = run.problem();
    let (message, hint) = (&problem.message, problem.hint.as_deref().unwrap());
    assert!(message.contains("no git process holds it"), "{message}");
    assert_eq!(hint, format!("`rm {}` and deploy again", lock.display()));
    fs::remove_file(lock).unwrap();
    nested.deploy().run().deployed(NEXT);
    assert_eq!(host.answer(), "two");
}

/// Git gets the time to take its lock files with it.
#[test]
fn interrupted_while_submodules_come() {
    let nested = Nested::new();
    let host = &nested.host;
    let (begun, tidied) = (host.path("home/begun"), host.path("home/tidied"));
    let slow = host.instead_of(
        "git",
        r#"case " $* " in *" submodule "*)
            trap 'touch ~/tidied; exit 1' TERM
            touch ~/begun
            sleep 600 & wait ;;
        esac
        PATH=${PATH#*:} exec git "$@""#,
    );
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let live = nested.deploy().env("PATH", &slow).spawn();
        eventually("git begins", || begun.exists().then_some(()));
        match signal {
            "INT" => live.interrupt(),
            _ => live.terminate(),
        }
        live.finish().exited(code);
        assert!(tidied.exists(), "after {signal}");
        host.is_tidy();
        fs::remove_file(&begun).unwrap();
        fs::remove_file(&tidied).unwrap();
    }
    nested.deploy().run().deployed(NEXT);
}

#[test]
fn attributes_links_and_odd_names() {
    let host = Host::new();
    let mut files = server("one");
    let attributes = "*.crlf text eol=crlf\n*.id ident\n*.utf16 text working-tree-encoding=UTF-16LE\n\
                      *.sh export-ignore\n*.up filter=up\nraw/* -text\n";
    files.extend(
        [
            (".gitattributes", attributes),
            ("raw/.gitattributes", "*.crlf text eol=lf\n"),
            ("a.crlf", "a\nb\n"),
            ("raw/a.crlf", "a\nb\n"),
            ("raw/b", "a\r\nb\n"),
            ("a.id", "$Id$\n"),
            ("a.up", "lower\n"),
            ("tool.sh", "#!/bin/sh\n"),
            ("with blanks/and\nnewline", "x"),
            ("größe/日本", "x"),
            ("-dash", "x"),
            ("\"quoted\"\t\\", "x"),
        ]
        .map(|(path, content)| (path.to_owned(), content.to_owned())),
    );
    let origin = host.origin(&files);
    let work = origin.work();
    let utf16: Vec<u8> = "größe\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    fs::write(work.join("a.utf16"), utf16).unwrap();
    fs::write(work.join(OsStr::from_bytes(b"not utf-8 \xff")), "x").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(work.join("tool.sh"), mode).unwrap();
    let secret = host.path("secret");
    fs::create_dir(&secret).unwrap();
    fs::write(secret.join("key"), "never to be copied").unwrap();
    for (target, path) in [
        ("nowhere", "dangling"),
        (secret.to_str().unwrap(), "absolute"),
        ("/etc/hostname", "host"),
        ("raw", "folder"),
        ("../..", "out"),
        ("a.crlf", "with blanks/link"),
    ] {
        symlink(target, work.join(path)).unwrap();
    }
    origin.commit(&Files::new(), "Be odd");
    let filter = [
        ("GIT_CONFIG_COUNT", "2"),
        ("GIT_CONFIG_KEY_0", "filter.up.smudge"),
        ("GIT_CONFIG_VALUE_0", "tr a-z A-Z"),
        ("GIT_CONFIG_KEY_1", "filter.up.clean"),
        ("GIT_CONFIG_VALUE_1", "tr A-Z a-z"),
    ];
    let filtering = |sdp: Sdp| {
        filter
            .iter()
            .fold(sdp, |sdp, (name, value)| sdp.env(name, value))
    };
    let smudge = ["-c", "filter.up.smudge=tr a-z A-Z"];
    let clone = ["clone", "-q", &origin.url(), "../reference"];
    host.git_in("tmp", &[&smudge[..], &clone].concat());

    let first = filtering(host.deploy(&origin)).run().deployed(FIRST);
    let second = filtering(host.deploy(&origin)).run().deployed(NEXT);

    let gits = tree(&host.path("reference"));
    assert_eq!(gits[Path::new("a.up")].1, b"LOWER\n");
    assert_eq!(tree(&host.checkout()), gits);
    for run in [&first, &second] {
        let mut release = tree(&host.release(run));
        release.remove(Path::new(&format!("app-{}", host.name())));
        assert_eq!(release, gits);
    }
    host.holds(&[&second], &[&first]);
}
