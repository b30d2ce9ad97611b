//! One release directory, filled file by file.

use std::collections::HashSet;
use std::fs::{self, File, FileTimes, OpenOptions, Permissions};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Component, Path, PathBuf};

use super::io;
use crate::failure::{Code, Failure, Result};
use crate::git;

/// How much of two files is compared at once.
const PIECE: usize = 64 * 1024;

/// Fills one release directory.
pub(super) struct Writer<'a> {
    root: &'a Path,
    former: Option<&'a Path>,
    /// The directories made so far; nothing is written anywhere else.
    directories: HashSet<PathBuf>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(root: &'a Path, former: Option<&'a Path>) -> Result<Writer<'a>> {
        fs::create_dir_all(root.parent().unwrap_or(root))
            .and_then(|()| fs::create_dir(root))
            .and_then(|()| fs::set_permissions(root, Permissions::from_mode(0o755)))
            .map_err(|error| io(format_args!("create `{}`", root.display()), error))?;
        Ok(Writer {
            root,
            former,
            directories: HashSet::from([PathBuf::new()]),
        })
    }

    pub(super) fn copy(&mut self, checkout: &Path, path: &Path, kind: git::Kind) -> Result<()> {
        if !path
            .components()
            .all(|part| matches!(part, Component::Normal(_)))
        {
            return Err(Failure::new(
                Code::StartFailed,
                format!(
                    "the commit has a file `{}`, which leaves the release",
                    path.display()
                ),
            ));
        }
        match kind {
            git::Kind::Submodule => self.directory(path),
            git::Kind::Symlink => {
                self.parent(path)?;
                fs::read_link(checkout.join(path))
                    .and_then(|link| std::os::unix::fs::symlink(link, self.root.join(path)))
                    .map_err(|error| io(format_args!("copy the link `{}`", path.display()), error))
            }
            git::Kind::File => self.file(&checkout.join(path), path, 0o644),
            git::Kind::Executable => self.file(&checkout.join(path), path, 0o755),
        }
    }

    pub(super) fn file(&mut self, source: &Path, path: &Path, mode: u32) -> Result<()> {
        self.parent(path)?;
        let target = self.root.join(path);
        let what = || format!("copy `{}` into the release", path.display());
        let attributes = fs::metadata(source).map_err(|error| io(what(), error))?;
        if let Some(former) = self.former.map(|former| former.join(path))
            && fs::symlink_metadata(&former).is_ok_and(|former| {
                former.is_file()
                    && former.len() == attributes.len()
                    && former.mode() & 0o777 == mode
            })
            && (same_time(&former, &attributes) || same_content(&former, source))
            && fs::hard_link(&former, &target).is_ok()
        {
            return Ok(());
        }
        let copy = || {
            // The program replaces a tracked file of its name, as `go build -o` would.
            match fs::remove_file(&target) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            fs::copy(source, &target)?;
            let copied = OpenOptions::new().write(true).open(&target);
            // The source's mode may forbid to open the copy for writing.
            let copied = copied.or_else(|_| File::open(&target))?;
            copied.set_permissions(Permissions::from_mode(mode))?;
            copied.set_times(FileTimes::new().set_modified(attributes.modified()?))
        };
        copy().map_err(|error| io(what(), error))
    }

    fn parent(&mut self, path: &Path) -> Result<()> {
        path.parent()
            .map_or(Ok(()), |parent| self.directory(parent))
    }

    /// Makes a directory and those above it. One that is there but was not made here (through a link
    /// in the commit) is an error.
    fn directory(&mut self, path: &Path) -> Result<()> {
        if self.directories.contains(path) {
            return Ok(());
        }
        self.parent(path)?;
        let target = self.root.join(path);
        fs::create_dir(&target)
            .and_then(|()| fs::set_permissions(&target, Permissions::from_mode(0o755)))
            .map_err(|error| io(format_args!("create `{}`", target.display()), error))?;
        self.directories.insert(path.to_owned());
        Ok(())
    }
}

/// Git gives a changed file a new time, and copies keep it.
fn same_time(former: &Path, attributes: &fs::Metadata) -> bool {
    let time = |meta: &fs::Metadata| (meta.mtime(), meta.mtime_nsec());
    fs::symlink_metadata(former).is_ok_and(|former| time(&former) == time(attributes))
}

/// Go gives the program a new time with each build, changed or not.
fn same_content(one: &Path, other: &Path) -> bool {
    let (Ok(one), Ok(other)) = (File::open(one), File::open(other)) else {
        return false;
    };
    let mut one = BufReader::with_capacity(PIECE, one);
    let mut other = BufReader::with_capacity(PIECE, other);
    loop {
        let (Ok(a), Ok(b)) = (one.fill_buf(), other.fill_buf()) else {
            return false;
        };
        let length = a.len().min(b.len());
        if a[..length] != b[..length] {
            return false;
        }
        if length == 0 {
            return a.is_empty() && b.is_empty();
        }
        one.consume(length);
        other.consume(length);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn contents_are_compared_to_the_last_byte() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| {
            let path = dir.path().join(name);
            fs::write(&path, bytes).unwrap();
            path
        };
        let long = vec![7; 3 * PIECE + 1];
        let mut other = long.clone();
        other[3 * PIECE] = 8;
        let one = write("one", &long);
        assert!(same_content(&one, &write("same", &long)));
        assert!(!same_content(&one, &write("other", &other)));
        assert!(!same_content(&one, &write("shorter", &long[1..])));
        assert!(!same_content(&one, &dir.path().join("none")));
        assert!(same_content(&write("a", b""), &write("b", b"")));
    }
}
