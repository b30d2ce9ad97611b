//! How far a container's log has been read, so that reading can go on without loss or doubling.

use jiff::{SignedDuration, Timestamp};

use crate::event::{LogLine, Stream};

/// The engine does not keep the order between the two streams: one may lag behind the other by this much.
const LAG: SignedDuration = SignedDuration::from_secs(1);

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

    /// Whether a line is new. Call it for each line of a reading.
    pub fn is_new(&mut self, line: &LogLine<'_>) -> bool {
        let Some(time) = line.time else { return true };
        let side = match line.stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        if side.has_seen(time) {
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
