//! Untracked files that a release takes along.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::DIRECTORY;
use crate::failure::{Code, Failure, Result};
use crate::git::{self, Tracked};
use crate::shell::quoted;

/// Whether each pattern of what a release takes along matches something in the checkout as it is now.
///
/// # Errors
/// `start_failed`.
pub fn check_include(checkout: &Path, patterns: &[String]) -> Result<()> {
    included(checkout, patterns, &[]).map(drop)
}

/// The untracked files that the patterns match. A directory stands for all that is in it; git's and
/// sdp's own directories are never taken along, nor is what a link leads to outside the checkout.
pub(super) fn included(
    checkout: &Path,
    patterns: &[String],
    tracked: &[Tracked],
) -> Result<Vec<Tracked>> {
    let mut found = BTreeMap::new();
    for pattern in patterns {
        let within = glob::Pattern::escape(&checkout.to_string_lossy());
        let matches = |pattern: &str| {
            glob::glob(&format!("{within}/{pattern}"))
                .into_iter()
                .flatten()
                .flatten()
        };
        let before = found.len();
        let mut any = false;
        for path in matches(pattern).chain(matches(&format!("{pattern}/**/*"))) {
            let inside = path.parent().and_then(|parent| parent.canonicalize().ok());
            if !inside.is_some_and(|parent| parent.starts_with(checkout)) {
                continue;
            }
            let Ok(relative) = path.strip_prefix(checkout) else {
                continue;
            };
            if relative.components().any(|part| {
                [".git", DIRECTORY]
                    .iter()
                    .any(|own| part.as_os_str() == *own)
            }) {
                continue;
            }
            let Ok(kind) = fs::symlink_metadata(&path) else {
                continue;
            };
            any = true;
            let kind = match kind {
                kind if kind.is_symlink() => git::Kind::Symlink,
                kind if kind.is_file() && kind.mode() & 0o100 != 0 => git::Kind::Executable,
                kind if kind.is_file() => git::Kind::File,
                _ => continue,
            };
            found.insert(relative.to_owned(), kind);
        }
        if !any && found.len() == before {
            let message = format!("`--include {pattern}` matches no file of the checkout");
            return Err(Failure::new(Code::StartFailed, message)
                .hint(format!("`ls {}` shows what is there", quoted(checkout))));
        }
    }
    for file in tracked {
        found.remove(&file.path);
    }
    Ok(found
        .into_iter()
        .map(|(path, kind)| Tracked { path, kind })
        .collect())
}
