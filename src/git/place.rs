//! Files in and out of a work tree, never through a symlink and never over what is not git's.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use gix::bstr::{BStr, BString, ByteSlice};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

/// The path of `relative` below `root`.
pub fn below(root: &Path, relative: &BStr) -> PathBuf {
    root.join(std::ffi::OsStr::from_bytes(relative))
}

/// The directories that lead to `relative`, outermost first.
pub fn parents(relative: &BStr) -> impl Iterator<Item = &BStr> {
    relative
        .find_iter(b"/")
        .map(|slash| relative[..slash].as_bstr())
}

/// What stands at a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    Nothing,
    Directory,
    /// A file, a symlink, anything that is one thing.
    File,
}

fn look(path: &Path) -> io::Result<Found> {
    match path.symlink_metadata() {
        Ok(meta) if meta.is_dir() => Ok(Found::Directory),
        Ok(_) => Ok(Found::File),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(Found::Nothing)
        }
        Err(error) => Err(error),
    }
}

/// Looks whether files can be placed.
pub struct Ground<'a> {
    pub root: &'a Path,
    /// Tracked paths that will be gone.
    pub leaving: &'a HashSet<BString>,
    /// Whether git may overwrite an untracked path because it is ignored.
    pub is_ignored: &'a mut dyn FnMut(&BStr) -> io::Result<bool>,
}

/// What has to happen before files can be placed.
#[derive(Default)]
pub struct Clearing {
    /// Untracked files that must not be touched.
    pub in_the_way: BTreeSet<BString>,
    /// Ignored files that give way.
    pub ignored: BTreeSet<BString>,
    /// Directories that will be empty and must go.
    pub directories: BTreeSet<BString>,
}

impl Ground<'_> {
    /// What stands in the way of `paths`. With `true`, a file right at the path may be replaced.
    pub fn survey<'p>(
        &mut self,
        paths: impl Iterator<Item = (&'p BStr, bool)>,
    ) -> io::Result<Clearing> {
        let mut clearing = Clearing::default();
        let mut known: HashMap<&BStr, Found> = HashMap::new();
        'paths: for (path, replaceable) in paths {
            for parent in parents(path) {
                let found = if let Some(found) = known.get(parent) {
                    *found
                } else {
                    let found = look(&below(self.root, parent))?;
                    if found == Found::File {
                        self.file(parent, &mut clearing)?;
                    }
                    known.insert(parent, found);
                    found
                };
                if found != Found::Directory {
                    continue 'paths;
                }
            }
            match look(&below(self.root, path))? {
                Found::Nothing => {}
                Found::File if replaceable => {}
                Found::File => self.file(path, &mut clearing)?,
                Found::Directory => {
                    self.directory(path, &mut clearing)?;
                    clearing.directories.insert(path.to_owned());
                }
            }
        }
        Ok(clearing)
    }

    /// What stands where there are to be `directories`; one that is there already may stay.
    pub fn survey_directories<'p>(
        &mut self,
        directories: impl Iterator<Item = &'p BStr>,
        clearing: &mut Clearing,
    ) -> io::Result<()> {
        for directory in directories {
            for path in parents(directory).chain([directory]) {
                if look(&below(self.root, path))? == Found::File {
                    self.file(path, clearing)?;
                }
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &BStr, clearing: &mut Clearing) -> io::Result<()> {
        if self.leaving.contains(path) {
            return Ok(());
        }
        let list = if (self.is_ignored)(path)? {
            &mut clearing.ignored
        } else {
            &mut clearing.in_the_way
        };
        list.insert(path.to_owned());
        Ok(())
    }

    fn directory(&mut self, path: &BStr, clearing: &mut Clearing) -> io::Result<()> {
        for entry in fs::read_dir(below(self.root, path))? {
            let entry = entry?;
            let mut child = path.to_owned();
            child.push(b'/');
            child.extend_from_slice(entry.file_name().as_bytes());
            if entry.file_name() == ".git" {
                // Somebody else's repository, whatever is ignored in it.
                clearing.in_the_way.insert(child);
            } else if entry.file_type()?.is_dir() {
                self.directory(child.as_bstr(), clearing)?;
            } else {
                self.file(child.as_bstr(), clearing)?;
            }
        }
        Ok(())
    }
}

/// Removes the file at `relative`; says whether there was one. Whatever is reached through a
/// symlink, or is a directory by now, is not git's.
pub fn remove_file(root: &Path, relative: &BStr) -> io::Result<bool> {
    for parent in parents(relative) {
        if look(&below(root, parent))? != Found::Directory {
            return Ok(false);
        }
    }
    let path = below(root, relative);
    match look(&path)? {
        Found::File => fs::remove_file(path).map(|()| true),
        Found::Directory | Found::Nothing => Ok(false),
    }
}

/// Removes the directories that led to `removed` and are empty now.
pub fn remove_empty_parents<'a>(root: &Path, removed: impl Iterator<Item = &'a BStr>) {
    let directories: BTreeSet<&BStr> = removed.flat_map(parents).collect();
    // Children sort behind their parents.
    for directory in directories.into_iter().rev() {
        fs::remove_dir(below(root, directory)).ok();
    }
}

/// Removes `directory`, in which there are only directories.
pub fn remove_empty_tree(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        remove_empty_tree(&entry?.path())?;
    }
    fs::remove_dir(directory)
}

/// Moves all that is in `from` to `to`, merging directories. A file that is there already is
/// replaced, in one step, if `replaceable` holds its path, and an error if not.
pub fn merge(from: &Path, to: &Path, replaceable: &HashSet<BString>) -> io::Result<()> {
    merge_below(from, to, BStr::new(b""), replaceable)
}

fn merge_below(
    from: &Path,
    to: &Path,
    prefix: &BStr,
    replaceable: &HashSet<BString>,
) -> io::Result<()> {
    let entries: Vec<_> = fs::read_dir(from)?.collect::<Result<_, _>>()?;
    for entry in entries {
        let source = entry.path();
        let target = to.join(entry.file_name());
        if move_if_free(&source, &target)? {
            continue;
        }
        let mut relative = prefix.to_owned();
        relative.extend_from_slice(entry.file_name().as_bytes());
        match (entry.file_type()?.is_dir(), look(&target)?) {
            (true, Found::Directory) => {
                relative.push(b'/');
                merge_below(&source, &target, relative.as_bstr(), replaceable)?;
            }
            (false, Found::File) if replaceable.contains(&relative) => fs::rename(source, target)?,
            _ => {
                let text = format!("`{}` is in the way", target.display());
                return Err(io::Error::new(ErrorKind::AlreadyExists, text));
            }
        }
    }
    Ok(())
}

/// Moves `source` to `target` unless something is there; says whether it did.
pub fn move_if_free(source: &Path, target: &Path) -> io::Result<bool> {
    match renameat_with(CWD, source, CWD, target, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(true),
        Err(Errno::EXIST) => Ok(false),
        // Some file systems know no exclusive rename; nobody else writes here in earnest.
        Err(Errno::INVAL | Errno::NOSYS) => match look(target)? {
            Found::Nothing => fs::rename(source, target).map(|()| true),
            _ => Ok(false),
        },
        Err(error) => Err(error.into()),
    }
}
