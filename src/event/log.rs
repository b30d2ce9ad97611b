//! What a deployed program printed, many lines at once: a million of them must not cost a million
//! messages and allocations.

use tokio::sync::OwnedSemaphorePermit;

use super::Stream;

/// Lines that a program printed, in the order in which they came.
#[derive(Debug, Default)]
pub struct LogLines {
    /// All of them as they are printed: the time and a blank where it was asked for, the bytes, a newline.
    text: Vec<u8>,
    marks: Vec<Mark>,
    /// A place in the queue, given back when the lines have been written.
    pub(super) slot: Option<OwnedSemaphorePermit>,
}

#[derive(Clone, Copy, Debug)]
struct Mark {
    stream: Stream,
    /// How long the time is, without the blank; 0 if there is none.
    time: usize,
    /// Where the text of the next line begins.
    end: usize,
}

/// A line that a program printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLine<'a> {
    pub stream: Stream,
    /// The engine's RFC 3339 timestamp, where it was asked for.
    pub time: Option<&'a str>,
    /// The bytes without the newline; not necessarily UTF-8.
    pub bytes: &'a [u8],
}

impl LogLines {
    /// Adds a line, given without its newline.
    pub fn push(&mut self, line: LogLine<'_>) {
        if let Some(time) = line.time {
            self.text.extend_from_slice(time.as_bytes());
            self.text.push(b' ');
        }
        self.text.extend_from_slice(line.bytes);
        self.text.push(b'\n');
        self.marks.push(Mark {
            stream: line.stream,
            time: line.time.map_or(0, str::len),
            end: self.text.len(),
        });
    }

    /// How many lines there are.
    pub fn count(&self) -> usize {
        self.marks.len()
    }

    /// How much memory the text takes, in bytes.
    pub fn size(&self) -> usize {
        self.text.len()
    }

    /// The lines, one by one.
    pub fn iter(&self) -> impl Iterator<Item = LogLine<'_>> {
        let mut begin = 0;
        self.marks.iter().map(move |mark| {
            let text = &self.text[begin..mark.end - 1];
            begin = mark.end;
            let (time, bytes) = match mark.time {
                0 => (None, text),
                n => (std::str::from_utf8(&text[..n]).ok(), &text[n + 1..]),
            };
            LogLine {
                stream: mark.stream,
                time,
                bytes,
            }
        })
    }

    /// Puts what `change` makes of each line in its place.
    pub fn rewrite(&mut self, mut change: impl FnMut(LogLine<'_>) -> Vec<u8>) {
        let mut changed = LogLines::default();
        for line in self.iter() {
            let bytes = &change(line);
            changed.push(LogLine { bytes, ..line });
        }
        (self.text, self.marks) = (changed.text, changed.marks);
    }

    /// The text of the lines as they are printed, in pieces of one stream as long as can be.
    pub fn runs(&self) -> impl Iterator<Item = (Stream, &[u8])> {
        let mut begin = 0;
        self.marks
            .chunk_by(|a, b| a.stream == b.stream)
            .filter_map(move |run| {
                let last = run.last()?;
                let text = &self.text[begin..last.end];
                begin = last.end;
                Some((last.stream, text))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_out_as_they_went_in_and_runs_as_they_are_printed() {
        let line = |stream, time, bytes| LogLine {
            stream,
            time,
            bytes,
        };
        let pushed = [
            line(Stream::Stdout, None, &b"one"[..]),
            line(Stream::Stdout, Some("12:00Z"), b""),
            line(Stream::Stderr, Some("12:01Z"), b"a b\xff"),
            line(Stream::Stdout, None, b"\n"),
        ];
        let mut lines = LogLines::default();
        for line in pushed {
            lines.push(line);
        }
        assert_eq!(lines.iter().collect::<Vec<_>>(), pushed);
        lines.rewrite(|line| line.bytes.to_vec());
        assert_eq!(lines.iter().collect::<Vec<_>>(), pushed);
        assert_eq!(
            lines.runs().collect::<Vec<_>>(),
            [
                (Stream::Stdout, &b"one\n12:00Z \n"[..]),
                (Stream::Stderr, b"12:01Z a b\xff\n"),
                (Stream::Stdout, b"\n\n"),
            ]
        );
    }
}
