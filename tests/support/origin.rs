//! Git repositories to deploy from, made with the `git` program.

use std::fs;
use std::path::{Path, PathBuf};

use super::host::Environment;
use super::program::Files;
use super::{Access, GitDaemon, GitHttp};

/// A bare repository, and a work tree from which commits are pushed to it.
pub struct Origin {
    environment: Environment,
    bare: PathBuf,
    work: PathBuf,
}

impl Origin {
    /// A repository `folder/NAME.git` with one commit on `main`.
    pub(super) fn new(environment: &Environment, folder: &Path, files: &Files) -> Origin {
        let origin = Origin::empty(environment, folder);
        origin.commit(files, "First");
        origin
    }

    /// The same without a commit.
    pub(super) fn empty(environment: &Environment, folder: &Path) -> Origin {
        let origin = Origin {
            environment: environment.clone(),
            bare: folder.join(format!("{}.git", environment.name)),
            work: folder.join("work"),
        };
        fs::create_dir_all(&origin.work).expect("make a folder for the origin");
        let bare = origin.bare.to_str().expect("a path of text");
        origin.git(&["init", "--quiet", "--bare", "--initial-branch=main", bare]);
        origin.git(&["init", "--quiet", "--initial-branch=main"]);
        origin.git(&["remote", "add", "origin", bare]);
        origin
    }

    pub fn url(&self) -> String {
        format!("file://{}", self.bare.display())
    }

    /// The bare repository, which commits are pushed to.
    pub fn path(&self) -> &Path {
        &self.bare
    }

    /// The folder that it is in.
    pub(super) fn root(&self) -> &Path {
        self.bare.parent().expect("a folder")
    }

    /// Its name in that folder.
    pub(super) fn name(&self) -> String {
        format!("{}.git", self.environment.name)
    }

    pub(super) fn environment(&self) -> &Environment {
        &self.environment
    }

    /// A server for it over HTTP.
    pub fn over_http(&self, access: Access<'_>) -> GitHttp {
        GitHttp::new(self, access)
    }

    /// A `git daemon` for it.
    pub fn over_git(&self) -> GitDaemon {
        GitDaemon::new(self)
    }

    /// Writes the files over what is there and pushes them to `main`; returns the commit's id.
    pub fn commit(&self, files: &Files, message: &str) -> String {
        self.write(files);
        self.git(&["commit", "--quiet", "--allow-empty", "-m", message]);
        self.push("main")
    }

    /// The same, in place of the last commit.
    pub fn rewrite(&self, files: &Files, message: &str) -> String {
        self.write(files);
        self.git(&["commit", "--quiet", "--amend", "-m", message]);
        self.push("main")
    }

    /// The same on a branch of its own.
    pub fn branch(&self, branch: &str, files: &Files) -> String {
        self.git(&["checkout", "--quiet", "-B", branch]);
        self.write(files);
        self.git(&["commit", "--quiet", "-m", branch]);
        let id = self.push(branch);
        self.git(&["checkout", "--quiet", "main"]);
        id
    }

    /// Tags the newest commit, with a message; returns the tag's own id.
    pub fn tag(&self, tag: &str) -> String {
        self.git(&["tag", "--force", "-m", tag, tag]);
        self.git(&[
            "push",
            "--quiet",
            "--force",
            "origin",
            &format!("refs/tags/{tag}"),
        ]);
        self.git(&["rev-parse", tag])
    }

    /// Commits a symbolic link.
    pub fn link(&self, target: &str, path: &str) -> String {
        std::os::unix::fs::symlink(target, self.work.join(path)).expect("make a link");
        self.commit(&Files::new(), path)
    }

    pub fn remove(&self, path: &str) {
        self.git(&["rm", "--quiet", "-r", path]);
    }

    fn write(&self, files: &Files) {
        for (path, content) in files {
            let path = self.work.join(path);
            fs::create_dir_all(path.parent().expect("a file has a folder")).expect("make a folder");
            fs::write(path, content).expect("write a source file");
        }
        self.git(&["add", "--all"]);
    }

    /// Where commits are made.
    pub fn work(&self) -> &Path {
        &self.work
    }

    /// Pushes what has been committed.
    pub fn push(&self, branch: &str) -> String {
        self.git(&["push", "--quiet", "--force", "origin", branch]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// Runs `git` where commits are made.
    pub fn git(&self, arguments: &[&str]) -> String {
        self.environment.git(&self.work, arguments)
    }
}
