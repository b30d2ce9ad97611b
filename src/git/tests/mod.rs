//! Against the `git` program, in an environment of its own.
#![allow(clippy::unwrap_used)]

mod remote;
mod switch;
mod walk;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::branch::Checkout;
use super::journal::Scratch;
use super::{CloneRequest, Git, Id, Kind, Meter, Pull, Revision};
use crate::credentials::Credentials;
use crate::failure::{Code, Failure, Result};

static NEVER: AtomicBool = AtomicBool::new(false);

/// Runs the `git` program in `dir`; gives its output.
fn git(dir: &Path, args: &[&str]) -> String {
    let (ok, out) = try_git(dir, args);
    assert!(ok, "git {args:?}: {out}");
    out
}

fn try_git(dir: &Path, args: &[&str]) -> (bool, String) {
    let output = output(dir, args);
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        text.push_str(&String::from_utf8_lossy(&output.stderr));
    }
    (output.status.success(), text)
}

fn output(dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new("git");
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"GIT_") {
            command.env_remove(name);
        }
    }
    command
        .args([
            "-c",
            "init.defaultBranch=main",
            "-c",
            "commit.gpgSign=false",
        ])
        .args(args)
        .current_dir(dir)
        .envs([
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_AUTHOR_NAME", "Ada"),
            ("GIT_AUTHOR_EMAIL", "ada@example.com"),
            ("GIT_COMMITTER_NAME", "Ada"),
            ("GIT_COMMITTER_EMAIL", "ada@example.com"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("LC_ALL", "C"),
        ])
        .output()
        .unwrap()
}

/// An origin to push to, by committing there, and a place for checkouts of it.
struct World {
    dir: tempfile::TempDir,
}

impl World {
    fn new() -> World {
        let world = World {
            dir: tempfile::tempdir().unwrap(),
        };
        fs::create_dir(world.origin()).unwrap();
        git(&world.origin(), &["init", "-q"]);
        world
    }

    /// A world with one commit of these files.
    fn with(files: &[(&str, &str)]) -> World {
        let world = World::new();
        world.commit(files);
        world
    }

    fn origin(&self) -> PathBuf {
        self.dir.path().join("origin")
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("checkout")
    }

    /// Writes files in the origin and commits them.
    fn commit(&self, files: &[(&str, &str)]) -> String {
        for (name, content) in files {
            write(&self.origin(), name, content);
        }
        self.commit_all()
    }

    fn commit_all(&self) -> String {
        git(&self.origin(), &["add", "-A"]);
        git(
            &self.origin(),
            &["commit", "-q", "--allow-empty", "-m", "a change"],
        );
        self.tip()
    }

    fn tip(&self) -> String {
        git(&self.origin(), &["rev-parse", "HEAD"])
            .trim()
            .to_owned()
    }

    fn clone(&self) -> Git {
        let url = self.origin();
        let meter = Meter::default();
        let url = url.to_str().unwrap();
        clone_from(url, &self.path(), Some("main"), &meter).unwrap()
    }

    /// A clone with its files.
    fn deployed(&self) -> Git {
        let checkout = self.clone();
        deploy(&checkout, "main", false).unwrap();
        checkout
    }

    /// What the git program thinks of the checkout: nothing to say, and healthy.
    fn assert_clean(&self) {
        assert_eq!(
            git(&self.path(), &["status", "--porcelain", "--ignored"]),
            ""
        );
        git(&self.path(), &["fsck", "--strict"]);
    }
}

fn branch(name: &str) -> Revision {
    Revision::Branch(name.to_owned())
}

fn clone_from(url: &str, path: &Path, named: Option<&str>, meter: &Meter) -> Result<Git> {
    let revision = named.map(branch);
    let clone = CloneRequest {
        url,
        path,
        revision: revision.as_ref(),
        depth: None,
        credentials: &Credentials::default(),
        patience: Duration::from_mins(1),
    };
    clone.run(meter, &NEVER)
}

fn fetch(checkout: &Git, name: &str) -> Result<Id> {
    let fetched = checkout.fetch(&branch(name), None, false, &Meter::default(), &NEVER)?;
    Ok(fetched.upstream)
}

fn check_out(checkout: &Git, name: &str, upstream: Id, force: bool) -> Result<Checkout> {
    checkout.checkout(&branch(name), upstream, force, &Meter::default())
}

/// Fetch, checkout and pull.
fn deploy(checkout: &Git, branch: &str, force: bool) -> Result<Pull> {
    let upstream = fetch(checkout, branch)?;
    let done = check_out(checkout, branch, upstream, force)?;
    checkout.pull(branch, upstream, force, done.clean, &Meter::default())
}

fn write(dir: &Path, name: &str, content: &str) {
    let path = dir.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn read(dir: &Path, name: &str) -> String {
    fs::read_to_string(dir.join(name)).unwrap()
}

fn make_executable(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Tells a file from one with the same name that was written later.
fn identity(path: &Path) -> (u64, i64, i64) {
    let meta = path.symlink_metadata().unwrap();
    (meta.ino(), meta.mtime(), meta.mtime_nsec())
}

fn code<T: std::fmt::Debug>(result: Result<T>) -> Code {
    result.unwrap_err().code
}

fn link(target: &str, path: &Path) {
    symlink(target, path).unwrap();
}

fn shown(failure: &Failure) -> String {
    let problem = failure.problem();
    format!(
        "{}\n{}\n{}",
        problem.message,
        problem.hint.unwrap_or_default(),
        problem.detail.join("\n")
    )
}

/// Leaves a checkout as a switch to `goal` leaves it that is killed half-way: the journal and the
/// lock are there, and of its changes those that `done` makes.
fn killed_switch(checkout: &Git, goal: &str, done: impl FnOnce(&Path)) {
    let repo = checkout.local();
    let head = repo.head_id().unwrap().detach();
    let scratch = Scratch::new(checkout.path());
    let former = scratch.journal();
    let goal = goal.parse().unwrap();
    let lock = scratch
        .begin(&repo, former.as_ref(), Some(head), goal)
        .unwrap();
    done(checkout.path());
    // As if the process were gone.
    std::mem::forget(lock);
    assert!(checkout.path().join(".git/index.lock").exists());
}

#[test]
fn what_people_exclude_stays_as_it_is() {
    let world = World::with(&[("a", "1")]);
    let checkout = world.deployed();
    let path = world.path().join(".git/info/exclude");
    fs::write(&path, b"gr\xf6\xdfe.txt").unwrap();
    checkout.ignore("app-shop").unwrap();
    checkout.ignore("app-shop").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"gr\xf6\xdfe.txt\n/app-shop\n");
}
