//! How far a container's log has been read, so that reading can go on without loss or doubling.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use jiff::{SignedDuration, Timestamp};

use crate::engine::tails;
use crate::event::{LogLine, Stream};

/// The engine does not keep the order between the two streams: one may lag behind the other by this much.
const LAG: SignedDuration = SignedDuration::from_secs(1);

/// Of how many lines it is known that they have been seen. The engine repeats what it has read of a new
/// file of a rotated log before it notices the rotation: some hundred lines in a flood.
const KNOWN: usize = 64 * 1024;

/// So much of a line, beside its time and its length, tells it from others.
const BEGINNING: usize = 256;

/// How far both streams of a log have been read.
///
/// The engine can be asked for what there is since a moment. Lines can share a moment, so those seen
/// of the last one are counted, to be left out when they come again.
#[derive(Debug, Default)]
pub struct Place {
    stdout: Side,
    stderr: Side,
    /// Nothing before this is wanted at all.
    pub floor: Option<Timestamp>,
}

#[derive(Debug, Default)]
struct Side {
    /// The time of the last line.
    last: String,
    /// How many lines of that time have been seen.
    seen: u32,
    /// Of the reading that goes on: the end of what had been seen when it began.
    until: Option<Again>,
    /// The last lines, oldest first, each as its mark.
    known: VecDeque<u64>,
    /// Lines come again: where among the known ones the next is.
    replay: Option<usize>,
}

#[derive(Debug)]
struct Again {
    time: Timestamp,
    /// How many lines of that time are still to be left out.
    left: u32,
}

impl Place {
    /// Nothing has been read, and nothing before `floor` is wanted.
    pub fn beginning(floor: Option<Timestamp>) -> Place {
        Place {
            floor,
            ..Place::default()
        }
    }

    /// Begins another reading: since when. `None`: from the beginning.
    pub fn resume(&mut self) -> Option<Timestamp> {
        let sides = [&mut self.stdout, &mut self.stderr].map(Side::resume);
        let newest = sides.iter().flatten().max();
        let newest = newest.and_then(|time| time.checked_sub(LAG).ok());
        // A side that has nothing to show yet may lag, too.
        let oldest = sides.into_iter().min().flatten();
        newest.max(oldest).max(self.floor)
    }

    /// Whether a line is later than all that has been read of its stream, and wanted. It is not taken for read.
    pub fn is_behind(&self, line: &LogLine<'_>) -> bool {
        let Some(time) = line.time else { return false };
        let side = match line.stream {
            Stream::Stdout => &self.stdout,
            Stream::Stderr => &self.stderr,
        };
        let moment = time.parse().ok();
        time > side.last.as_str() && moment.is_some() && moment >= self.floor
    }

    /// Whether a line is new. Call it for each line of a reading.
    pub fn is_new(&mut self, line: &LogLine<'_>) -> bool {
        let Some(time) = line.time else { return true };
        let side = match line.stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        if side.has_seen(time) || side.comes_again(time, line.bytes) {
            return false;
        }
        if side.last == time {
            side.seen += 1;
        } else {
            side.last.clear();
            side.last.push_str(time);
            side.seen = 1;
        }
        true
    }
}

impl Side {
    fn resume(&mut self) -> Option<Timestamp> {
        let time = self.last.parse().ok();
        self.until = time.map(|time| Again {
            time,
            left: self.seen,
        });
        time
    }

    fn has_seen(&mut self, time: &str) -> bool {
        let Some(again) = &mut self.until else {
            return false;
        };
        let Ok(time) = time.parse::<Timestamp>() else {
            return false;
        };
        if time < again.time {
            return true;
        }
        if time == again.time && again.left > 0 {
            again.left -= 1;
            return true;
        }
        self.until = None;
        false
    }

    /// Whether the engine repeats a line within one reading, as this engine (moby 20.10) does after the log
    /// was rotated: those of the new file, from its first one on. A time that is earlier than the last is
    /// not enough, as clocks are set back; nor is the same one, where the clock is coarse.
    fn comes_again(&mut self, time: &str, text: &[u8]) -> bool {
        let line = mark(time, text);
        // Times of one log are all of the same length, in UTC.
        let is_later = time > self.last.as_str();
        let is_exact = !time.ends_with("000Z");
        let next = self
            .replay
            .take()
            .filter(|next| self.known.get(*next) == Some(&line));
        let place = match next {
            None if is_later || (time == self.last && !is_exact) => None,
            None => self.known.iter().rposition(|known| *known == line),
            next => next,
        };
        self.replay = place.map(|place| place + 1);
        if place.is_none() {
            // The new file may begin in the middle of a line.
            for tail in tails(text) {
                self.know(mark(time, tail));
            }
            self.know(line);
        }
        place.is_some()
    }

    fn know(&mut self, line: u64) {
        if self.known.len() == KNOWN {
            self.known.pop_front();
        }
        self.known.push_back(line);
    }
}

/// Tells a line from others: their times differ, but where a clock is coarse.
fn mark(time: &str, text: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    (time, text.len(), &text[..text.len().min(BEGINNING)]).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(stream: Stream, second: u32) -> (Stream, String) {
        (stream, format!("2026-01-02T03:04:{second:02}.000000000Z"))
    }

    fn out(second: u32) -> (Stream, String) {
        line(Stream::Stdout, second)
    }

    fn err(second: u32) -> (Stream, String) {
        line(Stream::Stderr, second)
    }

    /// Which of the lines are new.
    fn read(place: &mut Place, lines: &[(Stream, String)]) -> Vec<bool> {
        let is_new = |(stream, time): &(Stream, String)| {
            place.is_new(&LogLine {
                stream: *stream,
                time: Some(time),
                bytes: b"",
            })
        };
        lines.iter().map(is_new).collect()
    }

    fn since(place: &mut Place) -> Option<String> {
        place.resume().map(|time| time.to_string())
    }

    #[test]
    fn lines_of_one_moment_are_told_apart_by_their_number() {
        let mut place = Place::default();
        assert_eq!(since(&mut place), None);
        assert_eq!(read(&mut place, &[out(1), out(2), out(2)]), [true; 3]);
        assert_eq!(since(&mut place).as_deref(), Some("2026-01-02T03:04:01Z"));
        let again = [out(1), out(2), out(2), out(2), out(2), out(3)];
        assert_eq!(
            read(&mut place, &again),
            [false, false, false, true, true, true]
        );
        assert_eq!(since(&mut place).as_deref(), Some("2026-01-02T03:04:02Z"));
        assert_eq!(read(&mut place, &[out(2), out(3)]), [false, false]);
        // It ended before anything new came, twice.
        since(&mut place);
        assert_eq!(read(&mut place, &[out(3), out(3)]), [false, true]);
    }

    #[test]
    fn lines_that_come_again_in_a_reading_are_left_out_and_those_of_a_clock_set_back_are_not() {
        let at = |nanos: u32| {
            let time = format!("2026-01-02T03:04:05.{nanos:09}Z");
            (Stream::Stdout, time)
        };
        let mut place = Place::default();
        let first = [at(1), at(2), at(3), at(4)];
        assert_eq!(read(&mut place, &first), [true; 4]);
        // The new file began with the second or the last line.
        let again = [at(2), at(3), at(4), at(5), at(5), at(6)];
        let new = [false, false, false, true, false, true];
        assert_eq!(read(&mut place, &again), new);
        // A clock is set back by an hour, and the log is rotated then.
        assert_eq!(read(&mut place, &[out(1), out(2), out(3)]), [true; 3]);
        assert_eq!(
            read(&mut place, &[out(2), out(3), out(4)]),
            [false, false, true]
        );
        // A clock that counts microseconds gives two lines one time.
        assert_eq!(read(&mut place, &[out(4)]), [true]);
    }

    #[test]
    fn a_long_line_that_comes_again_from_its_middle_on_is_left_out() {
        let long = [&[b'x'; 16 * 1024][..], b"and the rest"].concat();
        let mut place = Place::default();
        let mut is_new = |nanos: u32, bytes: &[u8]| {
            let time = format!("2026-01-02T03:04:05.{nanos:09}Z");
            place.is_new(&LogLine {
                stream: Stream::Stdout,
                time: Some(&time),
                bytes,
            })
        };
        assert!(is_new(1, &long) && is_new(2, b"next"));
        assert!(!is_new(1, b"and the rest") && !is_new(2, b"next"));
        assert!(is_new(3, b"and the rest"));
    }

    #[test]
    fn each_stream_has_a_place_of_its_own() {
        let mut place = Place::default();
        read(&mut place, &[out(5), err(5), out(6)]);
        assert_eq!(since(&mut place).as_deref(), Some("2026-01-02T03:04:05Z"));
        // A line of stderr comes late.
        let again = [out(5), err(5), out(6), err(5), err(6), out(6)];
        assert_eq!(
            read(&mut place, &again),
            [false, false, false, true, true, true]
        );
    }

    #[test]
    fn a_stream_that_is_silent_does_not_make_everything_read_again() {
        let mut place = Place::default();
        read(&mut place, &[err(1), out(50)]);
        assert_eq!(since(&mut place).as_deref(), Some("2026-01-02T03:04:49Z"));
        place.floor = "2026-01-02T03:04:50Z".parse().ok();
        assert_eq!(since(&mut place).as_deref(), Some("2026-01-02T03:04:50Z"));
    }
}
