//! Files that Git LFS keeps.

use std::fs;

use crate::support::program::{Files, module, server, server_source};
use crate::support::{FIRST, Host, NEXT, Origin};

/// An origin that keeps `data.bin` and `more.bin` with Git LFS, and a program that carries the former.
fn lfs_origin(host: &Host, answer: &str) -> Origin {
    let source = server_source("?", ":8080", "")
        .replace("\"?\"", "answer")
        .replace("import (", "import (\n\t_ \"embed\"")
        .replace(
            "func main",
            "//go:embed data.bin\nvar answer string\n\nfunc main",
        );
    let origin = host.origin(&module(&[("main.go", &source)]));
    origin.git(&["lfs", "install", "--local"]);
    let attributes = "*.bin filter=lfs diff=lfs merge=lfs -text\n";
    origin.commit(
        &vec![(".gitattributes".to_owned(), attributes.to_owned())],
        "Use LFS",
    );
    origin.commit(&lfs_files(answer), "Carry data");
    origin
}

fn lfs_files(answer: &str) -> Files {
    let more = "more ".repeat(1000) + answer;
    [("data.bin", answer), ("data/more.bin", &more)]
        .map(|(path, content)| (path.to_owned(), content.to_owned()))
        .to_vec()
}

#[test]
fn lfs_files_are_fetched_and_deployed() {
    let host = Host::new();
    let origin = lfs_origin(&host, "one");

    let first = host.deploy(&origin).run().deployed(FIRST);

    assert_eq!(host.answer(), "one");
    assert!(
        first
            .remarks("git pull")
            .contains(&"fetching files of Git LFS"),
        "{}",
        first.story()
    );
    let content = fs::read_to_string(host.release(&first).join("data/more.bin")).unwrap();
    assert_eq!(content, lfs_files("one")[1].1);
    // Nobody has run `git lfs install` here, and it makes no difference.
    assert!(!host.git(&["config", "--list"]).contains("filter.lfs"));
    let second = host.deploy(&origin).run().deployed(NEXT);
    assert!(
        !second
            .remarks("git pull")
            .contains(&"fetching files of Git LFS"),
        "{}",
        second.story()
    );
    host.git(&["lfs", "install", "--local"]);
    assert_eq!(host.git(&["status", "--porcelain"]), "");

    origin.commit(&lfs_files("two"), "Carry other data");
    let third = host.deploy(&origin).run().deployed(NEXT);
    assert_eq!(host.answer(), "two");
    assert_eq!(host.git(&["status", "--porcelain"]), "");

    fs::write(host.checkout().join("data.bin"), "by hand").unwrap();
    let refused = host
        .deploy(&origin)
        .run()
        .failed(4, "checkout_dirty", &NEXT[..2]);
    assert!(
        refused.problem().message.contains("`data.bin`"),
        "{}",
        refused.story()
    );
    let fourth = host.deploy(&origin).args(&["--force"]).run().deployed(NEXT);
    assert_eq!(host.answer(), "two");
    host.holds(&[&fourth], &[&first, &second, &third]);
}

#[test]
fn lfs_files_that_cannot_be_had() {
    let host = Host::new();
    let origin = lfs_origin(&host, "one");
    let path = host.path_with_only(&["git", "git-upload-pack", "go"]);

    let run = host.deploy(&origin).env("PATH", &path).run();
    let run = run.failed(4, "lfs_pointer", &FIRST[..4]);
    let problem = run.problem();
    assert_eq!(problem.detail, ["data.bin", "data/more.bin"], "{problem:?}");
    let hint = problem.hint.as_deref().unwrap();
    assert!(hint.starts_with("`sudo apt install git-lfs`"), "{hint}");

    // The same where `git lfs install` was run before git-lfs was removed.
    let installed = [
        ("GIT_CONFIG_COUNT", "2"),
        ("GIT_CONFIG_KEY_0", "filter.lfs.process"),
        ("GIT_CONFIG_VALUE_0", "git-lfs filter-process"),
        ("GIT_CONFIG_KEY_1", "filter.lfs.required"),
        ("GIT_CONFIG_VALUE_1", "true"),
    ];
    origin.commit(&lfs_files("two"), "Carry other data");
    let sdp = host.deploy(&origin).env("PATH", &path);
    let sdp = installed
        .iter()
        .fold(sdp, |sdp, (name, value)| sdp.env(name, value));
    let run = sdp.run().exited(4);
    assert_eq!(run.problem().code, "lfs_pointer", "{}", run.story());
    let hint = run.problem().hint.as_deref().unwrap();
    assert!(hint.starts_with("`sudo apt install git-lfs`"), "{hint}");
    let first = host.deploy(&origin).run().deployed(NEXT);
    origin.commit(&lfs_files("three"), "Carry new data");

    let objects = origin.path().join("lfs");
    fs::rename(&objects, host.path("elsewhere")).unwrap();
    let run = host
        .deploy(&origin)
        .run()
        .failed(4, "lfs_pointer", &NEXT[..3]);
    let problem = run.problem();
    assert!(
        problem.message.contains("`git lfs pull` failed"),
        "{problem:?}"
    );
    assert!(!problem.detail.is_empty(), "{problem:?}");

    fs::remove_dir_all(&objects).unwrap();
    fs::rename(host.path("elsewhere"), objects).unwrap();
    // Those that the configuration leaves out.
    host.git(&["config", "lfs.fetchexclude", "data.bin"]);
    let run = host
        .deploy(&origin)
        .run()
        .failed(4, "lfs_pointer", &NEXT[..3]);
    assert_eq!(run.problem().detail, ["data.bin"], "{}", run.story());
    host.git(&["config", "--unset", "lfs.fetchexclude"]);
    let run = host.deploy(&origin).run().deployed(NEXT);
    assert_eq!(host.answer(), "three");
    host.holds(&[&run], &[&first]);
}

/// What a sparse checkout leaves out is not fetched, whatever the names of the others are.
#[test]
fn lfs_files_of_a_sparse_checkout() {
    let host = Host::new();
    let origin = lfs_origin(&host, "one");
    let odd = ["odd, [name]*.bin", "tiefe/grö\\ße?.bin"];
    let files = odd.map(|path| (path.to_owned(), format!("in {path}")));
    origin.commit(&files.to_vec(), "Be odd");
    host.command("mkdir")
        .current_dir(host.path("srv"))
        .arg(host.name())
        .status()
        .unwrap();
    let skip = ["-c", "filter.lfs.smudge=cat", "-c", "filter.lfs.process="];
    let clone = ["clone", "-q", "--sparse", &origin.url(), "."];
    host.git(&[&skip[..], &clone].concat());
    host.git(&[&skip[..], &["sparse-checkout", "set", "--cone", "tiefe"]].concat());

    let run = host.deploy(&origin).run().deployed(NEXT);

    assert_eq!(host.answer(), "one");
    for (path, content) in &files {
        let there = fs::read_to_string(host.release(&run).join(path)).unwrap();
        assert_eq!(there, *content);
    }
    assert!(!host.checkout().join("data").exists());
}

/// A text that only looks like a pointer is nobody's business.
#[test]
fn pointers_without_the_attribute_are_files() {
    let host = Host::new();
    let mut files = server("one");
    let pointer = format!(
        "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 3\n",
        "0".repeat(64)
    );
    files.push(("fixture.txt".to_owned(), pointer));
    files.push((".gitattributes".to_owned(), "*.bin filter=lfs\n".to_owned()));
    let origin = host.origin(&files);
    host.deploy(&origin).run().deployed(FIRST);
}
