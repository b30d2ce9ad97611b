//! `.sdp/history.jsonl`: one line per deployment, rollback, stop and start.

use super::{Store, io};
use crate::append;
use crate::event::Past;
use crate::failure::Result;

const FILE: &str = "history.jsonl";

impl Store {
    /// Adds a line.
    ///
    /// # Errors
    /// `disk_full`, `permission_denied`.
    pub fn remember(&self, past: &Past) -> Result<()> {
        let path = self.directory.join(FILE);
        let line = serde_json::to_vec(past).map_err(anyhow::Error::from)?;
        append::line(&path, &line, 0o600)
            .map_err(|error| io(format_args!("write `{}`", path.display()), error))
    }
}

/// The lines of a checkout, oldest first. A line that a full disk tore is left out.
///
/// # Errors
/// `permission_denied` and the like; that there is none is no error.
pub fn read(checkout: &std::path::Path) -> Result<Vec<Past>> {
    let path = checkout.join(super::DIRECTORY).join(FILE);
    match std::fs::read(&path) {
        Ok(text) => Ok(String::from_utf8_lossy(&text)
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(io(format_args!("read `{}`", path.display()), error)),
    }
}

/// A moment as the history writes it.
pub fn time(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Who gives the command: the person behind sudo, if there is one.
pub fn who() -> String {
    ["SUDO_USER", "USER", "LOGNAME"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|user| !user.is_empty()))
        .unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()))
}
