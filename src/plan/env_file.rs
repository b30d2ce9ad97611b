//! Env files, and what `--env-command` prints: `NAME=VALUE` lines as docker compose reads them.
//!
//! dotenvy reads them. What it and compose read differently is refused before, so that a file means
//! the same to both: <https://docs.docker.com/reference/compose-file/services/#env_file-format>. No
//! message quotes a line, which may hold a secret.

use std::collections::HashSet;
use std::env;
use std::path::Path;

use super::arguments::usage;
use super::contents::Contents;
use crate::failure::{Code, Failure, Result};
use crate::shell::quoted;

/// The variables in a file, in its order; of two with the same name the later one counts.
///
/// # Errors
/// `usage`, with the line; those of the file system.
pub fn read(file: &Path, contents: &Contents) -> Result<Vec<(String, String)>> {
    let text = contents.text(file).map_err(|error| {
        let what = format_args!("read `{}`", file.display());
        Failure::io(Code::Usage, what, error).hint(format!(
            "`ls -l {}`; --env-file names a file of NAME=VALUE lines",
            quoted(file)
        ))
    })?;
    parse(text, &format!("`{}`", file.display()))
}

/// The same for text that comes from `source`.
///
/// # Errors
/// `usage`, with the line.
pub fn parse(text: &str, source: &str) -> Result<Vec<(String, String)>> {
    let fault = |fault: Fault| {
        let message = format!("{source} line {}: {}", fault.line, fault.message);
        usage(message, fault.hint)
    };
    check(text).map_err(fault)?;
    // Without its last newline dotenvy takes a blank before the end for a value that goes on.
    let text = format!("{}\n", text.trim_start_matches('\u{feff}'));
    let entries = dotenvy::from_read_iter(text.as_bytes());
    entries.collect::<Result<_, _>>().map_err(|_| {
        let message = format!("{source} cannot be read as an env file");
        usage(message, "it holds NAME=VALUE lines")
    })
}

/// What is wrong with a line, and how it is to be written.
#[derive(Debug)]
struct Fault {
    line: usize,
    message: &'static str,
    hint: &'static str,
}

const SINGLE: &str = "put the value between single quotes, which takes it as it is";
const REFER: &str =
    "`${NAME}` stands for a variable; a value with a `$` of its own goes between single quotes";

/// Refuses what is no env file, or not the same one to everybody.
fn check(text: &str) -> Result<(), Fault> {
    let mut rest = text.trim_start_matches('\u{feff}');
    let mut line = 1;
    let mut known = HashSet::new();
    while !rest.is_empty() {
        let taken = match statement(rest, &mut known) {
            Ok(taken) => taken,
            Err((message, hint)) => {
                return Err(Fault {
                    line,
                    message,
                    hint,
                });
            }
        };
        let (statement, after) = rest.split_at(taken);
        line += statement.matches('\n').count();
        rest = after;
    }
    Ok(())
}

type Wrong = (&'static str, &'static str);

/// The variables that are set further up.
type Known<'a> = HashSet<&'a str>;

/// How long the statement is that the text begins with, its newline included.
fn statement<'a>(text: &'a str, known: &mut Known<'a>) -> Result<usize, Wrong> {
    let end = text.find('\n').map_or(text.len(), |at| at + 1);
    let begun = text[..end].trim_start();
    if begun.is_empty() || begun.starts_with('#') {
        return Ok(end);
    }
    let begun = match begun.strip_prefix("export") {
        Some(rest) if rest.starts_with(BLANKS) => rest.trim_start_matches(BLANKS),
        _ => begun,
    };
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    let after_name = begun.trim_start_matches(is_name);
    let name = &begun[..begun.len() - after_name.len()];
    if !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') || name == "export" {
        return Err((
            "there is no name to begin with",
            "NAME=VALUE, the name of letters, digits and `_`",
        ));
    }
    let Some(value) = after_name.trim_start_matches(BLANKS).strip_prefix('=') else {
        return Err((
            "no `=` follows the name",
            "NAME=VALUE; `-e NAME` passes on a variable of sdp's own",
        ));
    };
    let value = value.trim_start_matches(BLANKS);
    let at = end - value.len();
    match value.chars().next() {
        Some(quote @ ('\'' | '"')) => {
            let closed = at + 1 + quoted_value(&text[at + 1..], quote, known)?;
            let end = text[closed..]
                .find('\n')
                .map_or(text.len(), |more| closed + more + 1);
            let tail = &text[closed..end];
            let is_clean = tail.trim().is_empty()
                || tail.starts_with(BLANKS) && tail.trim_start_matches(BLANKS).starts_with('#');
            if is_clean {
                known.insert(name);
                Ok(end)
            } else {
                Err((
                    "something follows the closing quote",
                    "quote the whole value, and leave a blank before a comment",
                ))
            }
        }
        _ => {
            plain(value.trim_end(), known)?;
            known.insert(name);
            Ok(end)
        }
    }
}

const BLANKS: [char; 2] = [' ', '\t'];

/// How long a value is up to and with its closing quote.
fn quoted_value(text: &str, quote: char, known: &Known<'_>) -> Result<usize, Wrong> {
    let mut characters = text.char_indices().peekable();
    while let Some((at, c)) = characters.next() {
        match c {
            '\r' => {
                return Err((
                    "a quoted value goes on in a line that ends with a carriage return",
                    "write the file with newlines alone",
                ));
            }
            '\\' => match (quote, characters.peek().map(|(_, next)| *next)) {
                ('\'', Some('\'')) => {
                    return Err((
                        "a backslash stands before a single quote",
                        "put the value between double quotes, each of its backslashes doubled",
                    ));
                }
                ('\'', _) => {}
                (_, Some('"' | 'n')) => drop(characters.next()),
                (_, Some('\\')) => {
                    characters.next();
                    if characters.peek().is_some_and(|(_, next)| *next == '"') {
                        return Err(("a backslash ends a value between double quotes", SINGLE));
                    }
                }
                _ => {
                    return Err((
                        "a backslash between double quotes stands before none of `\\`, `\"` and `n`",
                        SINGLE,
                    ));
                }
            },
            '$' if quote == '"' => {
                let name = reference(&text[at..], known)?;
                for _ in 1..name {
                    characters.next();
                }
            }
            _ if c == quote => return Ok(at + 1),
            _ => {}
        }
    }
    Err((
        "a quote is not closed",
        "close it with the quote that opened it",
    ))
}

/// A value without quotes.
fn plain(value: &str, known: &Known<'_>) -> Result<(), Wrong> {
    if value.starts_with('#') {
        return Err((
            "a comment takes the place of the value",
            "NAME= alone sets it to nothing; a value with `#` goes between single quotes",
        ));
    }
    let value = value.split(" #").next().unwrap_or_default().trim_end();
    if value.contains(char::is_whitespace) {
        return Err(("a value without quotes has a blank in it", SINGLE));
    }
    if value.contains(['\'', '"', '\\']) {
        return Err((
            "a value without quotes has a quote or a backslash in it",
            SINGLE,
        ));
    }
    let mut rest = value;
    while let Some(at) = rest.find('$') {
        let name = reference(&rest[at..], known)?;
        rest = &rest[at + name..];
    }
    Ok(())
}

/// How long the `${NAME}` is that the text begins with.
fn reference(text: &str, known: &Known<'_>) -> Result<usize, Wrong> {
    let name = text
        .strip_prefix("${")
        .and_then(|rest| rest.split_once('}'));
    match name {
        Some((name, _))
            if name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') =>
        {
            // As dotenvy looks for it.
            if !known.contains(name) && env::var(name).is_err() {
                return Err((
                    "a variable that it refers to is set neither further up nor in sdp's own environment",
                    "set it before, or `export` it; a value with a `$` of its own goes between single quotes",
                ));
            }
            Ok(name.len() + 3)
        }
        _ => Err(("a `$` stands for no variable", REFER)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_compose_reads_is_read_the_same() {
        let text = concat!(
            "\u{feff}# it's a comment\n\n  A=1\nexport B = two # it's another\r\nC=\n",
            "D=a#b\nE='$A \"x\" \\n #y'\nF=\"${A}\\\"\\n\\\\x\" # z\nG=${A}-${B}\nH='one\ntwo'\n",
            "I=\"one\n  two\" \nJ=k=v://$\u{7b}A}\nA=2\nK=${A} "
        );
        let read = parse(text, "here").unwrap();
        let value = |name: &str| {
            let found = read.iter().rev().find(|(other, _)| other == name);
            found.unwrap().1.as_str()
        };
        for (name, expected) in [
            ("A", "2"),
            ("B", "two"),
            ("C", ""),
            ("D", "a#b"),
            ("E", "$A \"x\" \\n #y"),
            ("F", "1\"\n\\x"),
            ("G", "1-two"),
            ("H", "one\ntwo"),
            ("I", "one\n  two"),
            ("J", "k=v://1"),
            ("K", "2"),
        ] {
            assert_eq!(value(name), expected, "{name}");
        }
    }

    #[test]
    fn what_differs_is_refused_with_its_line() {
        for bad in [
            "A",
            "A: b",
            "=b",
            "1A=b",
            "export=b",
            "A=b c",
            "A=b\tc",
            "A=b\t# c",
            "A= # c",
            "A=b\"c\"",
            "A=${A}",
            "A=\"b ${Y}\"",
            "A=it's",
            "A=C:\\dir",
            "A=$B",
            "A=a$",
            "A=$$",
            "A=${B:-c}",
            "A=${B",
            "A=\"$B\"",
            "A=\"\\$B\"",
            "A=\"\\t\"",
            "A=\"\\\\\"",
            "A=\"b",
            "A='b",
            "A='b\\'",
            "A='b'c",
            "A='b'# c",
            "A=\"b\r\nc\"",
        ] {
            let text = format!("# one\nX=\"a\nb\"\n{bad}\nY=1\n");
            let failure = parse(&text, "here").unwrap_err();
            assert!(
                failure.message.starts_with("here line 4: "),
                "{bad}: {failure:?}"
            );
            assert!(failure.hint.is_some(), "{bad}");
        }
    }
}
