//! Lines that are added to files.

use std::fs::OpenOptions;
use std::io::{Result, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

/// Adds a line to a file, which is made with this mode if it is not there. One write, so that a kill cannot
/// tear it, nor another writer's line be lost; one that a full disk has torn before stays by itself.
pub fn line(path: &Path, line: &[u8], mode: u32) -> Result<()> {
    let mut file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(mode)
        .open(path)?;
    let mut text = Vec::with_capacity(line.len() + 2);
    if let Some(end) = file.metadata()?.len().checked_sub(1) {
        let mut last = [0];
        file.read_exact_at(&mut last, end)?;
        if last != *b"\n" {
            text.push(b'\n');
        }
    }
    text.extend_from_slice(line);
    text.push(b'\n');
    file.write_all(&text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_torn_line_does_not_spoil_the_next_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lines");
        line(&path, b"one", 0o600).unwrap();
        line(&path, b"two", 0o600).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"one\ntwo\n");
        std::fs::write(&path, b"one\nto").unwrap();
        line(&path, b"three", 0o600).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"one\nto\nthree\n");
    }
}
