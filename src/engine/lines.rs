//! A container's log as the engine sends it, put together to whole lines.
//!
//! The engine cuts lines at 16 KiB, and the connection delivers what it likes at once. Without a
//! terminal each piece of a line has a header in front (its stream and its length), with one it is
//! bare; with timestamps each piece begins with that of its line.

use memchr::memchr;

use crate::event::{LogLine, Stream};

/// A program that never ends its line must not eat the memory.
const LONGEST_LINE: usize = 8 * 1024 * 1024;

/// Where the engine cuts a line.
const PIECE: usize = 16 * 1024;

/// No timestamp is longer.
const LONGEST_TIME: usize = 40;

/// What stands before each piece: the stream, three zeros, the length, big-endian.
const HEADER: usize = 8;

/// Puts lines together, whatever the pieces that they come in.
#[derive(Debug)]
pub struct Lines {
    tty: bool,
    timestamps: bool,
    header: [u8; HEADER],
    /// How many bytes of the header have come.
    known: usize,
    /// How many bytes of the piece are still to come.
    left: usize,
    stream: Stream,
    stdout: Pending,
    stderr: Pending,
}

/// The line of one stream that goes on.
#[derive(Debug, Default)]
struct Pending {
    time: Vec<u8>,
    text: Vec<u8>,
    /// As much as has come of the timestamp at the beginning of a piece.
    stamp: Option<Vec<u8>>,
}

impl Lines {
    /// `tty`: the container has a terminal; `timestamps`: they were asked for.
    pub fn new(tty: bool, timestamps: bool) -> Lines {
        Lines {
            tty,
            timestamps,
            header: [0; HEADER],
            known: 0,
            left: 0,
            stream: Stream::Stdout,
            stdout: Pending::default(),
            stderr: Pending::default(),
        }
    }

    /// Takes bytes as they come and passes on the lines that they complete.
    pub fn feed(&mut self, mut bytes: &[u8], mut each: impl FnMut(LogLine<'_>)) {
        if self.tty {
            return self.feed_terminal(bytes, &mut each);
        }
        while !bytes.is_empty() {
            if self.left == 0 {
                bytes = self.feed_header(bytes);
                continue;
            }
            let (part, rest) = bytes.split_at(self.left.min(bytes.len()));
            self.left -= part.len();
            bytes = rest;
            let pending = match self.stream {
                Stream::Stdout => &mut self.stdout,
                Stream::Stderr => &mut self.stderr,
            };
            pending.feed(self.stream, part, &mut each);
        }
    }

    /// Passes on what has no newline yet. `stays` tells of a line whether it is to be kept back for a
    /// later reading.
    pub fn finish(
        &mut self,
        stays: impl Fn(&LogLine<'_>) -> bool,
        mut each: impl FnMut(LogLine<'_>),
    ) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let pending = match stream {
                Stream::Stdout => std::mem::take(&mut self.stdout),
                Stream::Stderr => std::mem::take(&mut self.stderr),
            };
            if pending.text.is_empty() {
                continue;
            }
            let mut unless_it_stays = |line: LogLine<'_>| {
                if !stays(&line) {
                    each(line);
                }
            };
            if self.tty {
                terminal_line(&pending.text, self.timestamps, &mut unless_it_stays);
            } else {
                unless_it_stays(line(stream, &pending.time, &pending.text));
            }
        }
    }

    fn feed_header<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let (part, rest) = bytes.split_at((HEADER - self.known).min(bytes.len()));
        self.header[self.known..self.known + part.len()].copy_from_slice(part);
        self.known += part.len();
        if self.known == HEADER {
            let [stream, _, _, _, length @ ..] = self.header;
            self.known = 0;
            self.left = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
            // Beside 1 and 2 there is 3, a fault of the engine's in the middle of the log.
            let pending = if stream > 1 {
                self.stream = Stream::Stderr;
                &mut self.stderr
            } else {
                self.stream = Stream::Stdout;
                &mut self.stdout
            };
            pending.stamp = self.timestamps.then(Vec::new);
        }
        rest
    }

    fn feed_terminal(&mut self, mut bytes: &[u8], each: &mut impl FnMut(LogLine<'_>)) {
        let text = &mut self.stdout.text;
        while let Some(end) = memchr(b'\n', bytes) {
            if text.is_empty() {
                terminal_line(&bytes[..end], self.timestamps, each);
            } else {
                text.extend_from_slice(&bytes[..end]);
                terminal_line(text, self.timestamps, each);
                text.clear();
            }
            bytes = &bytes[end + 1..];
        }
        text.extend_from_slice(bytes);
        if text.len() >= LONGEST_LINE {
            terminal_line(text, self.timestamps, each);
            text.clear();
        }
    }
}

impl Pending {
    /// Takes a part of a piece.
    fn feed(&mut self, stream: Stream, mut part: &[u8], each: &mut impl FnMut(LogLine<'_>)) {
        if let Some(mut stamp) = self.stamp.take() {
            let room = LONGEST_TIME - stamp.len();
            match memchr(b' ', &part[..room.min(part.len())]) {
                Some(end) => {
                    stamp.extend_from_slice(&part[..end]);
                    part = &part[end + 1..];
                    // The pieces of one line share its time: what was before has ended without a newline.
                    if self.time != stamp {
                        self.pass_on(stream, each);
                        self.time = stamp;
                    }
                }
                None if part.len() < room => {
                    stamp.extend_from_slice(part);
                    self.stamp = Some(stamp);
                    return;
                }
                // No time after all.
                None => self.append(stream, &stamp, each),
            }
        }
        while let Some(end) = memchr(b'\n', part) {
            if self.text.is_empty() && end <= LONGEST_LINE {
                each(line(stream, &self.time, &part[..end]));
            } else {
                self.append(stream, &part[..end], each);
                each(line(stream, &self.time, &self.text));
                self.forget();
            }
            part = &part[end + 1..];
        }
        self.append(stream, part, each);
    }

    /// Makes the line longer, and cuts off what nobody should have to keep.
    fn append(&mut self, stream: Stream, mut part: &[u8], each: &mut impl FnMut(LogLine<'_>)) {
        while self.text.len() + part.len() > LONGEST_LINE {
            let (fits, rest) = part.split_at(LONGEST_LINE - self.text.len());
            self.text.extend_from_slice(fits);
            self.pass_on(stream, each);
            part = rest;
        }
        self.text.extend_from_slice(part);
    }

    fn pass_on(&mut self, stream: Stream, each: &mut impl FnMut(LogLine<'_>)) {
        if !self.text.is_empty() {
            each(line(stream, &self.time, &self.text));
            self.forget();
        }
    }

    /// A line that was long once must not hold its memory for ever.
    fn forget(&mut self) {
        self.text.clear();
        self.text.shrink_to(PIECE * 4);
    }
}

/// Whether a line without its newline goes on, as far as its length tells: the engine cuts off so much and
/// no less, but for a program's last words.
pub fn goes_on(line: &LogLine<'_>) -> bool {
    !line.bytes.is_empty() && line.bytes.len().is_multiple_of(PIECE)
}

/// What is left of a long line without the first of its pieces, the first two, …
pub fn tails(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    (PIECE..line.len()).step_by(PIECE).map(|at| &line[at..])
}

fn line<'a>(stream: Stream, time: &'a [u8], bytes: &'a [u8]) -> LogLine<'a> {
    let time = std::str::from_utf8(time).ok();
    LogLine {
        stream,
        time: time.filter(|time| !time.is_empty()),
        bytes,
    }
}

/// A line of a terminal: everything is its output, and it ends lines with a carriage return, too.
fn terminal_line(text: &[u8], timestamps: bool, each: &mut impl FnMut(LogLine<'_>)) {
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    let time = memchr(b' ', &text[..LONGEST_TIME.min(text.len())]).filter(|_| timestamps);
    let Some(end) = time else {
        return each(line(Stream::Stdout, b"", text));
    };
    let (time, mut text) = (&text[..end], &text[end + 1..]);
    let stamp = [time, b" "].concat();
    let again = |text: &[u8]| {
        text.get(PIECE..)
            .is_some_and(|rest| rest.starts_with(&stamp))
    };
    if !again(text) {
        return each(line(Stream::Stdout, time, text));
    }
    let mut whole = Vec::with_capacity(text.len());
    while again(text) {
        whole.extend_from_slice(&text[..PIECE]);
        text = &text[PIECE + stamp.len()..];
    }
    whole.extend_from_slice(text);
    each(line(Stream::Stdout, time, &whole));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A piece as the engine sends it to a container without a terminal.
    fn piece(stream: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len())
            .unwrap_or(u32::MAX)
            .to_be_bytes();
        [&[stream, 0, 0, 0], &length[..], payload].concat()
    }

    type Read = (Stream, String, Vec<u8>);

    /// The lines that come of the bytes when so many of them come at once.
    fn read(lines: &mut Lines, bytes: &[u8], at_once: usize) -> Vec<Read> {
        let mut read = Vec::new();
        let mut each = |line: LogLine<'_>| {
            let time = line.time.unwrap_or_default().to_owned();
            read.push((line.stream, time, line.bytes.to_vec()));
        };
        for part in bytes.chunks(at_once) {
            lines.feed(part, &mut each);
        }
        lines.finish(|_| false, each);
        read
    }

    /// The same, however the bytes come.
    fn lines(tty: bool, timestamps: bool, bytes: &[u8]) -> Vec<Read> {
        let all = read(&mut Lines::new(tty, timestamps), bytes, usize::MAX);
        for at_once in [1, 2, 3, 7, 8, 9, 100] {
            assert_eq!(read(&mut Lines::new(tty, timestamps), bytes, at_once), all);
        }
        all
    }

    fn out(time: &str, bytes: &[u8]) -> Read {
        (Stream::Stdout, time.to_owned(), bytes.to_vec())
    }

    fn err(time: &str, bytes: &[u8]) -> Read {
        (Stream::Stderr, time.to_owned(), bytes.to_vec())
    }

    #[test]
    fn pieces_are_joined_within_their_own_stream() {
        let bytes = [
            piece(1, b"one "),
            piece(2, b"other\n"),
            piece(1, b"line\r\n"),
            piece(1, b"\n"),
            piece(1, b""),
            piece(1, b"no newline"),
        ];
        assert_eq!(
            lines(false, false, &bytes.concat()),
            [
                err("", b"other"),
                out("", b"one line\r"),
                out("", b""),
                out("", b"no newline")
            ]
        );
    }

    #[test]
    fn the_timestamp_is_taken_from_each_piece() {
        let bytes = [
            piece(1, b"2026-01-02T03:04:05.6Z one "),
            piece(2, b"2026-01-02T03:04:05.6Z a\n"),
            piece(1, b"2026-01-02T03:04:05.6Z line\n"),
            piece(1, b"2026-01-02T03:04:05.7Z \n"),
        ];
        assert_eq!(
            lines(false, true, &bytes.concat()),
            [
                err("2026-01-02T03:04:05.6Z", b"a"),
                out("2026-01-02T03:04:05.6Z", b"one line"),
                out("2026-01-02T03:04:05.7Z", b"")
            ]
        );
    }

    #[test]
    fn a_line_without_newline_ends_where_another_time_begins() {
        let bytes = [piece(1, b"T1 last words"), piece(1, b"T2 first words\n")];
        assert_eq!(
            lines(false, true, &bytes.concat()),
            [out("T1", b"last words"), out("T2", b"first words")]
        );
    }

    #[test]
    fn what_is_no_timestamp_is_text() {
        let long = [b'x'; 100];
        let bytes = piece(1, &[&long[..], b" y\n"].concat());
        assert_eq!(
            lines(false, true, &bytes),
            [out("", &[&long[..], b" y"].concat())]
        );
    }

    #[test]
    fn a_terminal_has_no_headers_and_may_say_anything() {
        let text = b"\x01\0\0\0\0\0\0\x05hello\r\n\x02\r\n\xff end";
        assert_eq!(
            lines(true, false, text),
            [
                out("", b"\x01\0\0\0\0\0\0\x05hello"),
                out("", b"\x02"),
                out("", b"\xff end")
            ]
        );
    }

    #[test]
    fn a_long_line_of_a_terminal_loses_the_times_within() {
        let x = [b'x'; PIECE];
        let bytes = [&b"T "[..], &x, b"T ", &x, b"T y\r\nU z\r\n"].concat();
        let all = read(&mut Lines::new(true, true), &bytes, 1000);
        assert_eq!(
            all,
            [out("T", &[&x[..], &x, b"y"].concat()), out("U", b"z")]
        );
    }

    #[test]
    fn the_beginning_of_a_long_line_goes_on_and_last_words_do_not() {
        let finish = |bytes: &[u8]| {
            let mut lines = Lines::new(false, false);
            lines.feed(&piece(1, bytes), |_| panic!("a line without a newline"));
            let mut read = 0;
            lines.finish(goes_on, |_| read += 1);
            read
        };
        assert_eq!(finish(&[b'x'; PIECE]), 0);
        assert_eq!(finish(b"last words"), 1);
        assert_eq!(finish(&[b'x'; PIECE - 1]), 1);
    }

    #[test]
    fn a_line_without_end_is_cut_rather_than_kept() {
        let mut lines = Lines::new(false, false);
        let mut lengths = Vec::new();
        for _ in 0..17 {
            let bytes = piece(1, &vec![b'x'; 1024 * 1024]);
            lines.feed(&bytes, |line| lengths.push(line.bytes.len()));
        }
        assert_eq!(lengths, [LONGEST_LINE, LONGEST_LINE]);
    }
}
