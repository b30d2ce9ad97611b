//! What a container prints, as whole lines.

use std::time::Duration;

use bollard::container::LogOutput;
use bollard::query_parameters::LogsOptionsBuilder;
use futures_util::{Stream, StreamExt as _};
use jiff::Timestamp;

use super::Engine;
use crate::event::Stream as Source;
use crate::failure::Result;

/// A program that never ends its line must not eat the memory.
const LONGEST_LINE: usize = 8 * 1024 * 1024;

/// Which lines to read.
#[derive(Clone, Debug, Default)]
pub struct LogOptions {
    pub follow: bool,
    /// Only the last so many of those there are.
    pub tail: Option<u32>,
    /// Only those of that long ago or later.
    pub since: Option<Duration>,
    pub timestamps: bool,
    /// Only what comes after the line with this timestamp; beats `since`.
    pub after: Option<String>,
}

/// A line without its newline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub source: Source,
    /// The engine's RFC 3339 timestamp, where it was asked for.
    pub time: Option<String>,
    pub bytes: Vec<u8>,
}

impl Engine {
    /// The lines of a container, oldest first. Following ends when the container stops.
    pub fn logs(
        &self,
        container: &str,
        options: &LogOptions,
    ) -> impl Stream<Item = Result<Line>> + Send + use<> {
        let mut query = LogsOptionsBuilder::new()
            .stdout(true)
            .stderr(true)
            .follow(options.follow)
            .timestamps(options.timestamps);
        if let Some(tail) = options.tail {
            query = query.tail(&tail.to_string());
        }
        let since = match (&options.after, options.since) {
            (Some(after), _) => after
                .parse::<Timestamp>()
                .ok()
                .and_then(|last| last.checked_add(Duration::from_nanos(1)).ok()),
            (None, Some(since)) => Timestamp::now().checked_sub(since).ok(),
            (None, None) => None,
        };
        let docker = match since {
            Some(since) => self.docker.clone().with_request_modifier(move |request| {
                with_since(
                    request,
                    &format!("{}.{:09}", since.as_second(), since.subsec_nanosecond()),
                )
            }),
            None => self.docker.clone(),
        };
        let pieces = docker.logs(container, Some(query.build()));
        let engine = self.clone();
        let mut lines = Lines {
            timestamps: options.timestamps,
            ..Lines::default()
        };
        pieces
            .map(Some)
            .chain(futures_util::stream::once(async { None }))
            .flat_map(move |piece| {
                let whole = match piece {
                    Some(Ok(output)) => lines.push(output).into_iter().map(Ok).collect(),
                    Some(Err(error)) => {
                        vec![Err(engine.failure("read the container's log", error))]
                    }
                    None => lines.finish().into_iter().map(Ok).collect::<Vec<_>>(),
                };
                futures_util::stream::iter(whole)
            })
    }

    /// The last lines of a container, for an error.
    ///
    /// The engine does not keep the order between the two streams, and a panic on stderr must not be
    /// lost among what stdout printed before it: up to five of stderr's lines stay, from among many
    /// more than are asked for.
    pub async fn last_lines(&self, container: &str, count: usize) -> Vec<String> {
        let options = LogOptions {
            tail: Some(1000),
            timestamps: true,
            ..LogOptions::default()
        };
        let lines = self
            .logs(container, &options)
            .filter_map(|line| async { line.ok() });
        let lines: Vec<Line> = lines.collect().await;
        let (stdout, stderr) = lines
            .into_iter()
            .partition(|line| line.source == Source::Stdout);
        merge(stdout, stderr, count)
    }
}

fn merge(mut stdout: Vec<Line>, mut stderr: Vec<Line>, count: usize) -> Vec<String> {
    while stdout.len() + stderr.len() > count {
        let older =
            |a: &[Line], b: &[Line]| a.first().map(|l| &l.time) <= b.first().map(|l| &l.time);
        if !stdout.is_empty() && (stderr.len() <= 5 || older(&stdout, &stderr)) {
            stdout.remove(0);
        } else {
            stderr.remove(0);
        }
    }
    stdout.append(&mut stderr);
    stdout.sort_by(|a, b| a.time.cmp(&b.time));
    stdout
        .iter()
        .map(|line| String::from_utf8_lossy(&line.bytes).into_owned())
        .collect()
}

/// The engine takes nanoseconds, but bollard's own option whole seconds (and sends 0 by default).
fn with_since<B>(mut request: hyper::Request<B>, since: &str) -> hyper::Request<B> {
    let query = request.uri().query().unwrap_or_default();
    let others = query.split('&').filter(|pair| !pair.starts_with("since="));
    let query: Vec<&str> = others.collect();
    let path = format!("{}?{}&since={since}", request.uri().path(), query.join("&"));
    let mut parts = request.uri().clone().into_parts();
    if let Ok(path) = path.parse() {
        parts.path_and_query = Some(path);
        if let Ok(uri) = hyper::Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
    }
    request
}

/// Puts together what the engine cuts at 16 KiB: a piece without a newline goes on in the next one
/// of the same stream.
#[derive(Debug, Default)]
struct Lines {
    timestamps: bool,
    stdout: Option<Line>,
    stderr: Option<Line>,
}

impl Lines {
    fn push(&mut self, piece: LogOutput) -> Option<Line> {
        let source = match piece {
            LogOutput::StdErr { .. } => Source::Stderr,
            _ => Source::Stdout,
        };
        let bytes = piece.into_bytes();
        let (bytes, complete) = match bytes.strip_suffix(b"\n") {
            Some(line) => (line, true),
            None => (&bytes[..], false),
        };
        // Each piece of a line carries the line's timestamp.
        let (time, bytes) = match bytes.iter().position(|byte| *byte == b' ') {
            Some(blank) if self.timestamps => (
                Some(String::from_utf8_lossy(&bytes[..blank]).into_owned()),
                &bytes[blank + 1..],
            ),
            _ => (None, bytes),
        };
        let slot = match source {
            Source::Stdout => &mut self.stdout,
            Source::Stderr => &mut self.stderr,
        };
        let line = slot.get_or_insert_with(|| Line {
            source,
            time,
            bytes: Vec::new(),
        });
        line.bytes.extend_from_slice(bytes);
        if complete || line.bytes.len() >= LONGEST_LINE {
            slot.take()
        } else {
            None
        }
    }

    fn finish(&mut self) -> Vec<Line> {
        [self.stdout.take(), self.stderr.take()]
            .into_iter()
            .flatten()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn out(text: &'static str) -> LogOutput {
        LogOutput::StdOut {
            message: text.into(),
        }
    }

    fn err(text: &'static str) -> LogOutput {
        LogOutput::StdErr {
            message: text.into(),
        }
    }

    #[test]
    fn pieces_are_joined_within_their_own_stream() {
        let mut lines = Lines::default();
        assert_eq!(lines.push(out("one ")), None);
        assert_eq!(lines.push(err("other\n")).unwrap().bytes, b"other");
        let line = lines.push(out("line\r\n")).unwrap();
        assert_eq!(
            (line.source, line.bytes.as_slice()),
            (Source::Stdout, &b"one line\r"[..])
        );
        assert_eq!(lines.push(out("no newline")), None);
        assert_eq!(lines.finish()[0].bytes, b"no newline");
        assert!(lines.finish().is_empty());
    }

    #[test]
    fn the_timestamp_is_taken_from_each_piece() {
        let mut lines = Lines {
            timestamps: true,
            ..Lines::default()
        };
        assert_eq!(lines.push(out("2026-01-02T03:04:05.6Z one ")), None);
        let line = lines.push(out("2026-01-02T03:04:05.6Z line\n")).unwrap();
        assert_eq!(line.time.as_deref(), Some("2026-01-02T03:04:05.6Z"));
        assert_eq!(line.bytes, b"one line");
        let empty = lines.push(out("2026-01-02T03:04:05.7Z \n")).unwrap();
        assert_eq!(empty.bytes, b"");
    }

    #[test]
    fn the_last_words_on_stderr_are_kept() {
        let line = |source, time: usize| Line {
            source,
            time: Some(format!("2026-01-02T03:04:05.{time:09}Z")),
            bytes: time.to_string().into_bytes(),
        };
        let stdout: Vec<Line> = (10..20).map(|time| line(Source::Stdout, time)).collect();
        let stderr: Vec<Line> = (0..7).map(|time| line(Source::Stderr, time)).collect();
        assert_eq!(merge(stdout.clone(), Vec::new(), 3), ["17", "18", "19"]);
        assert_eq!(
            merge(stdout, stderr, 7),
            ["2", "3", "4", "5", "6", "18", "19"]
        );
    }

    #[test]
    fn a_line_without_end_is_cut_rather_than_kept() {
        let mut lines = Lines::default();
        let piece = || LogOutput::StdOut {
            message: vec![b'x'; 1024 * 1024].into(),
        };
        let cut = (0..8).find_map(|_| lines.push(piece())).unwrap();
        assert_eq!(cut.bytes.len(), LONGEST_LINE);
    }
}
