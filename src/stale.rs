//! What runs that were killed have left in places that others use, too.

use std::fs::{self, DirEntry};
use std::path::Path;
use std::time::{Duration, SystemTime};

/// What has not changed for so long belongs to nobody any more.
const STALE: Duration = Duration::from_hours(1);

/// What lies in `folder` since long ago, with a name that begins so.
pub fn stale(folder: &Path, begins: &[&str]) -> impl Iterator<Item = DirEntry> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter(|entry| {
        let name = entry.file_name();
        let name = name.as_encoded_bytes();
        let modified = entry.metadata().and_then(|meta| meta.modified()).ok();
        let age = modified.and_then(|then| SystemTime::now().duration_since(then).ok());
        begins
            .iter()
            .any(|begin| name.starts_with(begin.as_bytes()))
            && age.is_some_and(|age| age > STALE)
    })
}
