//! Git LFS: files of which the repository holds pointers only. To fetch them is git-lfs' work.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use gix::index::Entry;
use gix::index::entry::{Flags, Mode};
use gix::worktree::stack::state::attributes::Source;

use super::program::{self, Program};
use super::{Git, attributes, trouble};
use crate::failure::{Code, Failure, Result};

/// How a pointer begins, and how long one may be, in bytes: git-lfs' specification.
const POINTER: &[u8] = b"version https://git-lfs.github.com/spec/v1";
const LONGEST_POINTER: u32 = 1024;

/// The kernel takes 128 KiB in one argument, and a path has up to 4 KiB, but seldom.
const INCLUDED_AT_ONCE: usize = 500;

/// How many files a failure names.
const NAMED_FILES: usize = 10;

const INSTALL: &str =
    "`sudo apt install git-lfs` on Debian and Ubuntu, and deploy again: sdp fetches them with it";

/// What `git lfs install` configures, but for `--skip`: what is not there yet is fetched all at once,
/// later, and not by every reader of a file.
const FILTER: [&str; 4] = [
    "filter.lfs.clean=git-lfs clean -- %f",
    "filter.lfs.smudge=git-lfs smudge --skip -- %f",
    "filter.lfs.process=git-lfs filter-process --skip",
    "filter.lfs.required=true",
];

/// The configuration that makes git understand fetched files, whether or not somebody has run
/// `git lfs install`; none without git-lfs.
pub fn filter() -> &'static [&'static str] {
    match program::find("git-lfs") {
        Some(_) => &FILTER,
        None => &[],
    }
}

/// A failure to do `what` for want of the git-lfs that somebody has once configured, if that is its
/// `cause`.
pub fn missing(what: &dyn std::fmt::Display, cause: &str) -> Option<Failure> {
    let is_wanted = cause.contains("git-lfs") && program::find("git-lfs").is_none();
    is_wanted.then(|| {
        let message =
            format!("could not {what}: git is configured to ask `git-lfs`, which is not there");
        Failure::new(Code::LfsPointer, message).hint(INSTALL)
    })
}

impl Git {
    /// The tracked files that are pointers still. Costs next to nothing where no attribute names LFS.
    ///
    /// # Errors
    /// `git_failed`.
    pub fn lfs_pointers(&self) -> Result<Vec<PathBuf>> {
        let what = || format!("look for Git LFS files in `{}`", self.path().display());
        self.find_pointers()
            .map_err(|error| trouble::git(what(), &error))
    }

    fn find_pointers(&self) -> gix::Result<Vec<PathBuf>> {
        let repo = self.local();
        let index = repo.index_or_empty()?;
        if !attributes::mention(&repo, &index, &["filter=lfs"])? {
            return Ok(Vec::new());
        }
        let mut attributes = repo.attributes_only(&index, Source::WorktreeThenIdMapping)?;
        let mut found = Vec::new();
        for entry in index.entries() {
            let is_file = matches!(entry.mode, Mode::FILE | Mode::FILE_EXECUTABLE);
            let is_there = !entry.flags.contains(Flags::SKIP_WORKTREE);
            if !is_file || !is_there || entry.stat.size > LONGEST_POINTER {
                continue;
            }
            let path = entry.path(&index);
            let relative = OsStr::from_bytes(path);
            if !is_pointer(&self.path().join(relative)) {
                continue;
            }
            let [filter] = attributes::values(&mut attributes, path, ["filter"])?;
            if filter.is_some_and(|filter| filter == "lfs") {
                found.push(PathBuf::from(relative));
            }
        }
        Ok(found)
    }

    /// What git-lfs is to be told to limit itself to, in turn. It limits itself to nothing, so that it
    /// would write what a sparse checkout leaves out.
    fn includes(&self, pointers: &[PathBuf]) -> Result<Vec<Option<String>>> {
        let repo = self.local();
        let index = repo
            .index_or_empty()
            .map_err(|error| trouble::git("read the git index", &error))?;
        let is_left_out = |entry: &Entry| entry.flags.contains(Flags::SKIP_WORKTREE);
        if !index.entries().iter().any(is_left_out) {
            return Ok(vec![None]);
        }
        let patterns: Vec<String> = pointers.iter().map(|path| pattern(path)).collect();
        let several = patterns.chunks(INCLUDED_AT_ONCE);
        let setting = |some: &[String]| Some(format!("lfs.fetchinclude={}", some.join(",")));
        Ok(several.map(setting).collect())
    }

    /// Fetches the contents of all LFS files and puts them in place.
    ///
    /// # Errors
    /// `lfs_pointer` with git-lfs' words or the names of the `pointers`, or the interruption.
    pub async fn fetch_lfs(&self, program: Program<'_>, pointers: &[PathBuf]) -> Result<()> {
        if program::find("git-lfs").is_none() {
            return Err(unfetched(pointers).hint(INSTALL));
        }
        for include in self.includes(pointers)? {
            let settings: Vec<&str> = FILTER.into_iter().chain(include.as_deref()).collect();
            program
                .run(&settings, &["lfs", "pull"])
                .await
                .map_err(|failure| match failure.code {
                    Code::GitFailed => Failure {
                        code: Code::LfsPointer,
                        ..failure
                    },
                    _ => failure,
                })?;
        }
        let left = self.lfs_pointers()?;
        if left.is_empty() {
            return Ok(());
        }
        Err(unfetched(&left).hint(
            "`git config --get-regexp 'lfs\\.fetch.*'` in the checkout shows what keeps `git lfs pull` from fetching them",
        ))
    }
}

fn unfetched(pointers: &[PathBuf]) -> Failure {
    let message = match pointers {
        [one] => format!("`{}` is a Git LFS pointer, not the file", one.display()),
        many => format!("{} files are Git LFS pointers, not the files", many.len()),
    };
    let named = pointers.iter().take(NAMED_FILES);
    Failure::new(Code::LfsPointer, message).detail(named.map(|path| path.display().to_string()))
}

/// A pattern of git-lfs' for one path. There is no way to quote what separates patterns.
fn pattern(path: &Path) -> String {
    let mut pattern = String::from("/");
    for letter in path.to_string_lossy().chars() {
        match letter {
            ',' | char::REPLACEMENT_CHARACTER => pattern.push('?'),
            '*' | '?' | '[' | '\\' => pattern.extend(['\\', letter]),
            other => pattern.push(other),
        }
    }
    pattern
}

fn is_pointer(path: &Path) -> bool {
    let mut begin = Vec::with_capacity(POINTER.len());
    let read =
        File::open(path).and_then(|file| file.take(POINTER.len() as u64).read_to_end(&mut begin));
    read.is_ok() && begin == POINTER
}
