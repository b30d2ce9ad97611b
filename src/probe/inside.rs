//! What can be learned inside a container, with the programs that its image has.

use std::io::{BufReader, Cursor};
use std::net::SocketAddr;
use std::time::Duration;

use procfs::net::{TcpNetEntries, TcpNetEntry, TcpState};
use procfs::{FromBufReadSI as _, current_system_info};
use tokio::time::timeout;

use crate::engine::Engine;
use crate::failure::Result;

/// One question may take this long.
const QUESTION: Duration = Duration::from_secs(10);

/// Asks from inside a running container.
#[derive(Debug)]
pub(super) struct Inside<'a> {
    pub engine: &'a Engine,
    pub id: &'a str,
}

impl Inside<'_> {
    /// What its processes listen on. `None`: the image has no `cat`.
    pub(super) async fn listeners(&self) -> Option<Result<Vec<SocketAddr>, String>> {
        // Where there is no IPv6 there is no second file; the first one is read all the same.
        let printed = self
            .run(&["cat", "/proc/net/tcp", "/proc/net/tcp6"])
            .await?;
        Some(printed.map(|(stdout, _)| listening(&stdout)))
    }

    /// The status of a GET request. `None`: the image has no `wget`.
    pub(super) async fn get(&self, address: &str, path: &str) -> Option<Result<u16, String>> {
        let url = format!("http://{address}{path}");
        // The words that busybox and GNU have in common; with `-T`, Debian's busybox crashes.
        let wget = ["wget", "-S", "-O", "/dev/null", "-t", "1", &url];
        let printed = self.run(&wget).await?;
        Some(printed.and_then(|(_, stderr)| {
            status(&stderr).ok_or_else(|| match stderr.lines().last() {
                Some(last) => last.trim().trim_start_matches("wget: ").to_owned(),
                None => "it does not answer".to_owned(),
            })
        }))
    }

    async fn run(&self, command: &[&str]) -> Option<Result<(String, String), String>> {
        match timeout(QUESTION, self.engine.exec(self.id, command)).await {
            Ok(Ok(Some(output))) => Some(Ok((output.stdout, output.stderr))),
            Ok(Ok(None)) => None,
            Ok(Err(failure)) => Some(Err(failure.to_string())),
            Err(_) => Some(Err("it does not answer".to_owned())),
        }
    }
}

/// The first status line that `wget -S` prints: of the path itself, not of where it leads.
fn status(printed: &str) -> Option<u16> {
    let line = printed
        .lines()
        .map(str::trim)
        .find(|line| line.starts_with("HTTP/"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Of `/proc/net/tcp` and `/proc/net/tcp6`, one after the other; proc(5).
fn listening(printed: &str) -> Vec<SocketAddr> {
    let mut entries = Vec::new();
    for table in printed
        .split("  sl ")
        .filter(|table| !table.trim().is_empty())
    {
        let reader = BufReader::new(Cursor::new(table));
        if let Ok(TcpNetEntries(found)) =
            TcpNetEntries::from_buf_read(reader, current_system_info())
        {
            entries.extend(found);
        }
    }
    addresses(entries)
}

/// The addresses of those that listen.
pub(super) fn addresses(entries: impl IntoIterator<Item = TcpNetEntry>) -> Vec<SocketAddr> {
    let mut found: Vec<SocketAddr> = entries
        .into_iter()
        .filter(|entry| entry.state == TcpState::Listen)
        .map(|entry| entry.local_address)
        .collect();
    found.sort();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_are_read_from_both_tables() {
        let printed = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 20000 1 0000000000000000 100 0 0 10 0\n   1: 0100007F:1F90 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 20001 1 0000000000000000 20 0 0 10 -1\n  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   0: 00000000000000000000000000000000:1F91 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 20002 1 0000000000000000 100 0 0 10 0\n";
        let found: Vec<String> = listening(printed).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["127.0.0.1:8080", "[::]:8081"]);
        assert!(listening("").is_empty());
    }

    #[test]
    fn the_paths_own_status_counts() {
        let busybox = "Connecting to 127.0.0.1:8080 (127.0.0.1:8080)\n  HTTP/1.1 302 Found\n  Location: /x\n  HTTP/1.1 404 Not Found\nwget: server returned error: HTTP/1.1 404 Not Found\n";
        assert_eq!(status(busybox), Some(302));
        assert_eq!(status("wget: can't connect to remote host\n"), None);
    }
}
