//! What lies in a folder, to be compared.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Modes, and bytes or where a link leads, by path; folders only where they are empty.
pub type Tree = BTreeMap<PathBuf, (u32, Vec<u8>)>;

/// All that is in a folder but for git's and sdp's own.
pub fn tree(folder: &Path) -> Tree {
    let mut found = Tree::new();
    add(folder, folder, &mut found);
    found
}

fn add(root: &Path, folder: &Path, found: &mut Tree) {
    for entry in fs::read_dir(folder).expect("read a folder") {
        let entry = entry.expect("read a folder");
        let path = entry.path();
        let meta = entry.metadata().expect("look at a file");
        let own = [".git", ".sdp"].iter().any(|own| entry.file_name() == *own);
        if own {
            continue;
        }
        let content = if meta.is_symlink() {
            let target = fs::read_link(&path).expect("read a link");
            target.as_os_str().as_bytes().to_vec()
        } else if meta.is_dir() {
            add(root, &path, found);
            let is_empty = fs::read_dir(&path).expect("read a folder").next().is_none();
            if !is_empty {
                continue;
            }
            Vec::new()
        } else {
            fs::read(&path).expect("read a file")
        };
        let relative = path.strip_prefix(root).expect("below the folder");
        found.insert(relative.to_owned(), (meta.mode(), content));
    }
}
