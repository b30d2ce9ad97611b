//! A stream that can close at any moment without anybody noticing.

use std::io::{self, ErrorKind, Write};
use std::time::{Duration, Instant};

/// Bytes that are collected before they are written in any case.
const ROOM: usize = 64 * 1024;

/// How long a line of a program's log may wait for more of its kind.
const LINGER: Duration = Duration::from_millis(10);

/// Collects what goes to one stream. Writing to it never fails: once the reader is gone, it goes
/// silent, so that a deployment never stops half-way because of `| head -1`.
pub struct Sink<W> {
    to: W,
    pending: Vec<u8>,
    flushed: Option<Instant>,
    closed: bool,
}

impl<W: Write> Sink<W> {
    pub fn new(to: W) -> Sink<W> {
        Sink {
            to,
            pending: Vec::with_capacity(ROOM),
            flushed: None,
            closed: false,
        }
    }

    /// Writes everything that is pending, now.
    pub fn send(&mut self, now: Instant) {
        self.write_out();
        self.flushed = Some(now);
    }

    /// Writes what is pending, unless something was written a moment ago: then [`Sink::wake`] does
    /// it. A single line thus passes at once, and a million lines make few system calls.
    pub fn send_soon(&mut self, now: Instant) {
        if self.flushed.is_none_or(|at| now >= at + LINGER) {
            self.send(now);
        }
    }

    /// When [`Sink::wake`] has something to do.
    pub fn deadline(&self) -> Option<Instant> {
        (!self.pending.is_empty())
            .then_some(self.flushed)
            .flatten()
            .map(|at| at + LINGER)
    }

    /// Writes what has waited long enough.
    pub fn wake(&mut self, now: Instant) {
        if self.deadline().is_some_and(|at| at <= now) {
            self.send(now);
        }
    }

    fn write_out(&mut self) {
        let mut rest = self.pending.as_slice();
        while !rest.is_empty() && !self.closed {
            match self.to.write(rest) {
                Ok(0) => self.closed = true,
                Ok(n) => rest = &rest[n..],
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                // Somebody else who has the same pipe or terminal open made it non-blocking.
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err(_) => self.closed = true,
            }
        }
        self.pending.clear();
        if !self.closed {
            self.closed = self.to.flush().is_err();
        }
    }
}

impl<W: Write> Write for Sink<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.closed {
            self.pending.extend_from_slice(bytes);
            if self.pending.len() >= ROOM {
                self.write_out();
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.write_out();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// Takes so many bytes, then fails as a closed pipe does.
    struct Pipe {
        taken: Vec<u8>,
        room: usize,
        calls: usize,
    }

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.calls += 1;
            let n = bytes.len().min(self.room);
            if n == 0 {
                return Err(ErrorKind::BrokenPipe.into());
            }
            self.taken.extend_from_slice(&bytes[..n]);
            self.room -= n;
            Ok(n)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn sink(room: usize) -> Sink<Pipe> {
        Sink::new(Pipe {
            taken: Vec::new(),
            room,
            calls: 0,
        })
    }

    #[test]
    fn a_closed_pipe_is_written_to_once_and_then_left_alone() {
        let mut sink = sink(3);
        let now = Instant::now();
        for _ in 0..3 {
            sink.write_all(b"hello\n").unwrap();
            sink.send(now);
        }
        assert_eq!(sink.to.taken, b"hel");
        assert_eq!(sink.to.calls, 2);
        assert_eq!(sink.deadline(), None);
    }

    #[test]
    fn the_first_line_passes_at_once_and_the_next_ones_together() {
        let mut sink = sink(usize::MAX);
        let now = Instant::now();
        let line = |sink: &mut Sink<Pipe>, at| {
            sink.write_all(b"x\n").unwrap();
            sink.send_soon(at);
        };
        line(&mut sink, now);
        assert_eq!(sink.to.taken, b"x\n");
        line(&mut sink, now + LINGER / 2);
        line(&mut sink, now + LINGER / 2);
        assert_eq!(sink.to.taken, b"x\n");
        let deadline = sink.deadline().unwrap();
        assert_eq!(deadline, now + LINGER);
        sink.wake(deadline);
        assert_eq!(sink.to.taken, b"x\nx\nx\n");
        assert_eq!(sink.deadline(), None);
    }

    #[test]
    fn a_full_buffer_is_written_without_being_asked() {
        let mut sink = sink(usize::MAX);
        sink.send(Instant::now());
        for _ in 0..ROOM {
            sink.write_all(b"123\n").unwrap();
        }
        assert_eq!(sink.to.calls, 4);
    }
}
