//! A program's lines, cut as the engine cuts them and delivered as a connection delivers them, are the lines again.
//!
//!     cargo +nightly fuzz run --fuzz-dir tests/fuzz reassembly -- -max_total_time=300
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use event::{LogLine, Stream};
use lines::Lines;

// The file itself, as the crate need not show it to anybody.
#[allow(dead_code)]
#[path = "../../../src/engine/lines.rs"]
mod lines;

/// What it needs of the crate.
mod event {
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Stream {
        Stdout,
        Stderr,
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct LogLine<'a> {
        pub stream: Stream,
        pub time: Option<&'a str>,
        pub bytes: &'a [u8],
    }
}

/// Where the engine cuts a line.
const PIECE: usize = 16 * 1024;

#[derive(Arbitrary, Debug)]
struct Log {
    tty: bool,
    timestamps: bool,
    lines: Vec<Printed>,
    /// How many bytes come at once, over and over.
    deliveries: Vec<u16>,
    /// What comes instead of a log.
    garbage: Vec<u8>,
}

#[derive(Arbitrary, Debug)]
struct Printed {
    to_stderr: bool,
    text: Vec<u8>,
    /// How often the text is repeated, so that lines become longer than a piece.
    times: u16,
    /// The program ends, and with it a line without a newline.
    unfinished: bool,
}

type Read = (bool, Vec<u8>);

fn read(log: &Log, bytes: &[u8]) -> Vec<Read> {
    let mut lines = Lines::new(log.tty, log.timestamps);
    let mut read = Vec::new();
    let mut each = |line: LogLine<'_>| read.push((line.stream == Stream::Stderr, line.bytes.to_vec()));
    let mut sizes = log.deliveries.iter().map(|size| usize::from(*size) + 1).cycle();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (part, after) = rest.split_at(sizes.next().unwrap_or(rest.len()).min(rest.len()));
        lines.feed(part, &mut each);
        rest = after;
    }
    lines.finish(|_| false, each);
    read
}

fuzz_target!(|log: Log| {
    let mut sent = Vec::new();
    let mut expected = Vec::new();
    let last = log.lines.len();
    for (number, line) in log.lines.iter().enumerate() {
        let text: Vec<u8> = line.text.iter().copied().filter(|byte| *byte != b'\n').collect();
        let mut text = text.repeat(usize::from(line.times).min(100_000 / text.len().max(1)));
        // A terminal's line ends with a carriage return of its own.
        while log.tty && text.last() == Some(&b'\r') {
            text.pop();
        }
        let to_stderr = line.to_stderr && !log.tty;
        // Only with times can the end of such a line be seen, and without headers only at the end of all.
        let can_end = if log.tty { number + 1 == last } else { log.timestamps };
        let unfinished = line.unfinished && can_end && !text.is_empty();
        let time = format!("2026-01-02T03:04:05.{number:09}Z ");
        let end: &[u8] = if log.tty { b"\r\n" } else { b"\n" };
        let mut pieces: Vec<&[u8]> = text.chunks(PIECE).collect();
        // Text that fills its last piece is followed by a piece with nothing but the newline.
        if pieces.last().is_none_or(|piece| piece.len() == PIECE && !unfinished) {
            pieces.push(b"");
        }
        let count = pieces.len();
        for (at, piece) in pieces.into_iter().enumerate() {
            let end = if at + 1 == count && !unfinished { end } else { b"" };
            let time = if log.timestamps { time.as_bytes() } else { b"" };
            let payload = [time, piece, end].concat();
            if !log.tty {
                let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
                sent.extend_from_slice(&[1 + u8::from(to_stderr), 0, 0, 0]);
                sent.extend_from_slice(&length);
            }
            sent.extend_from_slice(&payload);
        }
        expected.push((to_stderr, text));
    }
    // The order between the streams is the order in which lines end, of which unfinished ones have none.
    let of = |lines: &[Read], stderr| -> Vec<Vec<u8>> {
        let of = lines.iter().filter(|(to_stderr, _)| *to_stderr == stderr);
        of.map(|(_, text)| text.clone()).collect()
    };
    let read_back = read(&log, &sent);
    for stderr in [false, true] {
        assert!(of(&read_back, stderr) == of(&expected, stderr), "{stderr}");
    }

    let total: usize = read(&log, &log.garbage).iter().map(|(_, text)| text.len()).sum();
    assert!(total <= log.garbage.len());
});
