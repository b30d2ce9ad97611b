//! How things look: colors, durations, sizes; and text from outside, made harmless.

use std::borrow::Cow;
use std::fmt::{self, Display};
use std::time::Duration;

use console::{Style, StyledObject};

use crate::event::{Amount, Unit};
use crate::units::size;

/// What a piece of text is to its reader.
#[derive(Clone, Copy, Debug)]
pub enum Tone {
    Good,
    Bad,
    Careful,
    Advice,
    Strong,
    Faint,
}

/// Colors, or none.
#[derive(Clone, Copy, Debug)]
pub struct Paint {
    pub color: bool,
}

impl Paint {
    pub fn paint<D: Display>(self, tone: Tone, text: D) -> StyledObject<D> {
        let style = match tone {
            Tone::Good => Style::new().green(),
            Tone::Bad => Style::new().red().bold(),
            Tone::Careful => Style::new().yellow(),
            Tone::Advice => Style::new().cyan(),
            Tone::Strong => Style::new().bold(),
            Tone::Faint => Style::new().dim(),
        };
        style.force_styling(self.color).apply_to(text)
    }
}

/// A duration as people read it: `0.3s`, `1m05s`, `2h07m`; at most 5 columns below 100 hours.
pub fn duration(duration: Duration) -> String {
    let tenths = (duration.as_millis() + 50) / 100;
    let seconds = (duration.as_millis() + 500) / 1000;
    if tenths < 600 {
        format!("{}.{}s", tenths / 10, tenths % 10)
    } else if seconds < 3600 {
        format!("{}m{:02}s", seconds / 60, seconds % 60)
    } else {
        format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60)
    }
}

/// How far something has come: `12 of 40 objects`, `1.5 MiB`.
pub fn amount(amount: &Amount) -> impl Display {
    fmt::from_fn(move |f| {
        let quantity = |n| match amount.unit {
            Unit::Bytes => size(n),
            _ => n.to_string(),
        };
        f.write_str(&quantity(amount.done))?;
        if let Some(total) = amount.total {
            write!(f, " of {}", quantity(total))?;
        }
        match amount.unit {
            Unit::Bytes => Ok(()),
            unit if amount.total.unwrap_or(amount.done) == 1 => {
                write!(f, " {}", unit.name().trim_end_matches('s'))
            }
            unit => write!(f, " {}", unit.name()),
        }
    })
}

/// One line of text from outside without anything that moves the cursor, colors, renames the
/// window or turns the reading direction.
pub fn clean(text: &str) -> Cow<'_, str> {
    if !text.contains(harmful) {
        return Cow::Borrowed(text);
    }
    let text = console::strip_ansi_codes(text);
    let text = text.trim_end_matches(['\r', '\n']);
    let clean = text.chars().map(|c| match c {
        '\r' | '\n' | '\u{2028}' | '\u{2029}' => ' ',
        c if harmful(c) => char::REPLACEMENT_CHARACTER,
        c => c,
    });
    Cow::Owned(clean.collect())
}

/// The same for a program's log line, which may be anything.
pub fn clean_bytes(bytes: &[u8]) -> Cow<'_, str> {
    match String::from_utf8_lossy(bytes) {
        Cow::Borrowed(text) => clean(text),
        Cow::Owned(text) => Cow::Owned(clean(&text).into_owned()),
    }
}

fn harmful(c: char) -> bool {
    c.is_control() && c != '\t' || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A clean line cut to `width` columns, where there is a width, tabs taken as blanks.
pub fn fit(line: &str, width: Option<usize>, ellipsis: &str) -> String {
    match width {
        Some(width) => {
            let line = line.replace('\t', " ");
            console::truncate_str(&line, width, ellipsis).into_owned()
        }
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short_at_every_length() {
        let shown = [
            0, 49, 50, 1_240, 59_949, 59_950, 65_000, 3_599_999, 7_620_000,
        ]
        .map(|ms| duration(Duration::from_millis(ms)));
        assert_eq!(
            shown,
            [
                "0.0s", "0.0s", "0.1s", "1.2s", "59.9s", "1m00s", "1m05s", "1h00m", "2h07m"
            ]
        );
    }

    #[test]
    fn amounts_say_what_they_count() {
        let shown = |done, total, unit| amount(&Amount { done, total, unit }).to_string();
        assert_eq!(shown(12, Some(40), Unit::Objects), "12 of 40 objects");
        assert_eq!(shown(7, None, Unit::Packages), "7 packages");
        assert_eq!(shown(1, None, Unit::Packages), "1 package");
        assert_eq!(
            shown(1 << 20, Some(3 << 20), Unit::Bytes),
            "1.0 MiB of 3.0 MiB"
        );
    }

    #[test]
    fn nothing_that_steers_a_terminal_is_left() {
        assert_eq!(clean("plain\ttext, 日本"), "plain\ttext, 日本");
        assert_eq!(clean("\u{1b}[31mred\u{1b}[0m\r"), "red");
        assert_eq!(clean("a\nb"), "a b");
        for evil in [
            "\u{1b}]0;title\u{7}",
            "\u{1b}",
            "\u{1b}[",
            "\u{1b}Pq\u{1b}\\",
            "\u{9b}2J",
            "\u{7}\u{8}\u{7f}\u{0}",
            "\u{202e}txt.exe",
            "\u{2066}x\u{2069}",
            "\u{1b}\u{1b}[2J[2J",
        ] {
            let clean = clean(evil);
            assert!(!clean.contains(harmful), "{evil:?} became {clean:?}");
        }
        assert_eq!(clean_bytes(b"a\xff\x1b[1mb"), "a\u{fffd}b");
    }

    #[test]
    fn lines_are_cut_by_columns_and_not_by_characters() {
        assert_eq!(fit("日本語日本語", Some(7), "…"), "日本語…");
        assert_eq!(fit("日本語日本語", Some(6), "…"), "日本…");
        assert_eq!(fit("short", Some(7), "…"), "short");
        assert_eq!(fit("any length", None, "…"), "any length");
    }
}
