//! Reading what a container prints.

use std::fmt;
use std::pin::Pin;

use bollard::errors::Error;
use futures_util::{Stream as _, StreamExt as _};
use hyper::body::Bytes;
use jiff::Timestamp;

use super::Engine;
use super::lines::Lines;
use crate::event::{LogLine, Stream};
use crate::failure::{Code, Failure, Result};

/// Which lines to read.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogQuery {
    /// Go on until the container's process ends.
    pub follow: bool,
    /// Only the last so many of those there are.
    pub tail: Option<u32>,
    /// Only those of this moment or later.
    pub since: Option<Timestamp>,
    /// Only those of this moment or earlier.
    pub until: Option<Timestamp>,
    pub timestamps: bool,
    /// Only those of one of the two streams.
    pub only: Option<Stream>,
    /// The container has a terminal.
    pub tty: bool,
}

/// A container's log that is being read, oldest lines first.
pub struct LogReader {
    engine: Engine,
    bytes: Pin<Box<dyn futures_util::Stream<Item = Result<Bytes, Error>> + Send>>,
    lines: Lines,
}

impl Engine {
    /// Begins to read a container's log.
    ///
    /// bollard's own call takes the log apart frame by frame, which costs a third of the speed, and
    /// misreads a terminal's. Its export of a container gives the answer's bytes as they come: it is
    /// sent to the log's address instead.
    pub fn read_log(&self, container: &str, query: &LogQuery) -> LogReader {
        let path = format!("/containers/{container}/logs?{}", query.text());
        let docker = self
            .docker
            .clone()
            .with_request_modifier(move |mut request| {
                let mut parts = request.uri().clone().into_parts();
                if let Ok(path) = path.parse() {
                    parts.path_and_query = Some(path);
                    if let Ok(uri) = hyper::Uri::from_parts(parts) {
                        *request.uri_mut() = uri;
                    }
                }
                request
            });
        LogReader {
            engine: self.clone(),
            bytes: Box::pin(docker.export_container(container)),
            lines: Lines::new(query.tty, query.timestamps),
        }
    }

    /// The last lines of a container, for an error.
    ///
    /// The engine does not keep the order between the two streams, and a panic on stderr must not be
    /// lost among what stdout printed before it: up to five of stderr's lines stay, from among many
    /// more than are asked for.
    pub async fn last_lines(
        &self,
        container: &str,
        count: usize,
        until: Option<Timestamp>,
    ) -> Vec<String> {
        let query = LogQuery {
            tail: Some(1000),
            until,
            timestamps: true,
            ..LogQuery::default()
        };
        let mut reader = self.read_log(container, &query);
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let mut keep = |line: LogLine<'_>| {
            let side = match line.stream {
                Stream::Stdout => &mut stdout,
                Stream::Stderr => &mut stderr,
            };
            side.push(Last {
                time: line.time.unwrap_or_default().to_owned(),
                text: String::from_utf8_lossy(line.bytes).into_owned(),
            });
        };
        while let Ok(true) = reader.more(&mut keep).await {}
        reader.finish(|_| false, keep);
        merge(stdout, stderr, count)
    }
}

impl LogQuery {
    /// As the engine wants it.
    fn text(&self) -> String {
        let wanted = |stream| u8::from(self.only.is_none_or(|only| only == stream));
        let nanos = |time: Timestamp| {
            format!(
                "{}.{:09}",
                time.as_second(),
                time.subsec_nanosecond().max(0)
            )
        };
        let always = format!(
            "stdout={}&stderr={}&follow={}&timestamps={}",
            wanted(Stream::Stdout),
            wanted(Stream::Stderr),
            u8::from(self.follow),
            u8::from(self.timestamps),
        );
        let asked = [
            Some(always),
            self.tail.map(|tail| format!("tail={tail}")),
            self.since.map(|since| format!("since={}", nanos(since))),
            self.until.map(|until| format!("until={}", nanos(until))),
        ];
        let asked: Vec<String> = asked.into_iter().flatten().collect();
        asked.join("&")
    }
}

impl LogReader {
    /// Waits for more and passes on the lines that it completes; `false` at the end. May be dropped
    /// and asked again.
    ///
    /// # Errors
    /// `log_unreadable`, and those of any call to the engine.
    pub async fn more(&mut self, each: impl FnMut(LogLine<'_>)) -> Result<bool> {
        match self.bytes.next().await {
            Some(Ok(bytes)) => {
                self.lines.feed(&bytes, each);
                Ok(true)
            }
            Some(Err(error)) => Err(unreadable(
                self.engine.failure("read the container's log", error),
            )),
            None => Ok(false),
        }
    }

    /// Passes on what has come without a newline, but for what `stays` says is to be read again later.
    pub fn finish(mut self, stays: impl Fn(&LogLine<'_>) -> bool, each: impl FnMut(LogLine<'_>)) {
        self.lines.finish(stays, each);
    }
}

impl fmt::Debug for LogReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogReader")
            .field("lines", &self.lines)
            .field("bytes", &self.bytes.size_hint())
            .finish_non_exhaustive()
    }
}

/// The engine says so with the status of any other fault.
fn unreadable(failure: Failure) -> Failure {
    if !failure.message.contains("does not support reading") {
        return failure;
    }
    Failure::new(
        Code::LogUnreadable,
        "the container's log driver keeps nothing that could be read",
    )
    .hint("`docker info --format '{{.LoggingDriver}}'` shows the default; `json-file` and `local` in the engine's daemon.json can be read")
    .detail([failure.message])
}

/// A line that may be one of the last.
#[derive(Clone, Debug)]
struct Last {
    time: String,
    text: String,
}

fn merge(mut stdout: Vec<Last>, mut stderr: Vec<Last>, count: usize) -> Vec<String> {
    while stdout.len() + stderr.len() > count {
        let older =
            |a: &[Last], b: &[Last]| a.first().map(|l| &l.time) <= b.first().map(|l| &l.time);
        if !stdout.is_empty() && (stderr.len() <= 5 || older(&stdout, &stderr)) {
            stdout.remove(0);
        } else {
            stderr.remove(0);
        }
    }
    stdout.append(&mut stderr);
    stdout.sort_by(|a, b| a.time.cmp(&b.time));
    stdout.into_iter().map(|line| line.text).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_query_is_in_the_engines_words() {
        let all = LogQuery::default();
        assert_eq!(all.text(), "stdout=1&stderr=1&follow=0&timestamps=0");
        let query = LogQuery {
            follow: true,
            tail: Some(7),
            since: Some(Timestamp::new(12, 5).unwrap()),
            until: Some(Timestamp::new(13, 0).unwrap()),
            timestamps: true,
            only: Some(Stream::Stderr),
            tty: false,
        };
        assert_eq!(
            query.text(),
            "stdout=0&stderr=1&follow=1&timestamps=1&tail=7&since=12.000000005&until=13.000000000"
        );
    }

    #[test]
    fn the_last_words_on_stderr_are_kept() {
        let lines = |times: std::ops::Range<usize>| -> Vec<Last> {
            let line = |time: usize| Last {
                time: format!("2026-01-02T03:04:05.{time:09}Z"),
                text: time.to_string(),
            };
            times.map(line).collect()
        };
        assert_eq!(merge(lines(10..20), Vec::new(), 3), ["17", "18", "19"]);
        assert_eq!(
            merge(lines(10..20), lines(0..7), 7),
            ["2", "3", "4", "5", "6", "18", "19"]
        );
    }
}
