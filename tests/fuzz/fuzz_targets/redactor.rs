//! Whatever the text and however it is cut into lines, no known secret comes through; and text without
//! secrets is left as it is.
//!
//!     cargo +nightly fuzz run --fuzz-dir tests/fuzz redactor -- -max_total_time=300
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use redact::{Lines, Redactor};

// The file itself: it needs nothing of the crate, and the crate need not show it to anybody.
#[allow(dead_code)]
#[path = "../../../src/redact/mod.rs"]
mod redact;

#[derive(Arbitrary, Debug)]
struct Input {
    variables: Vec<(bool, String)>,
    pieces: Vec<Piece>,
}

#[derive(Arbitrary, Debug)]
enum Piece {
    Text(String),
    /// One of the secrets.
    Secret(u8),
    /// A part of one of them.
    Part(u8, u8),
    Encoded(u8, String),
    /// What a rule looks for.
    Sign(u8),
    Cut,
}

const SIGNS: [&str; 8] = [
    "https://",
    "postgres://u:",
    "@host/",
    "Authorization: Basic ",
    "-----BEGIN PRIVATE KEY-----",
    "-----END PRIVATE KEY-----",
    "***",
    "\"",
];

fuzz_target!(|input: Input| {
    let variables: Vec<(&str, &str)> = input
        .variables
        .iter()
        .map(|(secret, value)| (if *secret { "TOKEN" } else { "LEVEL" }, value.as_str()))
        .collect();
    let one = |n: u8| match variables.len() {
        0 => "",
        count => variables[usize::from(n) % count].1,
    };
    let mut text = String::new();
    for piece in &input.pieces {
        match piece {
            Piece::Text(piece) => text += piece,
            Piece::Secret(n) => text += one(*n),
            Piece::Part(n, to) => text.extend(one(*n).chars().take(usize::from(*to))),
            Piece::Encoded(n, user) => {
                use base64::Engine as _;
                let engine = base64::engine::general_purpose::STANDARD;
                text += &engine.encode(format!("{user}:{}", one(*n)));
            }
            Piece::Sign(n) => text += SIGNS[usize::from(*n) % SIGNS.len()],
            Piece::Cut => text.push('\n'),
        }
    }
    let redactor = Redactor::new(variables.iter().copied());

    let mut whole = text.clone();
    redactor.scrub(&mut whole);
    let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
    let mut stream = Lines::default();
    for line in &mut lines {
        redactor.scrub_line(&mut stream, line);
    }
    for (name, value) in &variables {
        let shortest = if *name == "TOKEN" { 3 } else { 6 };
        let parts = std::iter::once(*value).chain(value.lines()).map(str::trim);
        for secret in parts.filter(|part| part.len() >= shortest && part.bytes().any(|b| b != b'*'))
        {
            assert!(
                !whole.contains(secret),
                "{secret:?} in {whole:?} of {text:?}"
            );
            for line in &lines {
                assert!(!line.contains(secret), "{secret:?} in {line:?} of {text:?}");
            }
        }
    }
    let lower = text.to_ascii_lowercase();
    let signs = ["://", "authorization", "private key"];
    if !signs.iter().any(|sign| lower.contains(sign)) {
        let none = Redactor::default();
        let mut same = text.clone();
        none.scrub(&mut same);
        assert_eq!(same, text);
    }
    let harmless = "0 words of every text, 1 info: 8080";
    let mut same = harmless.to_owned();
    let named = variables.iter().any(|(_, value)| {
        value.lines().chain([*value]).any(|part| {
            let part = part.trim();
            part.len() >= 3 && harmless.contains(part)
        })
    });
    redactor.scrub(&mut same);
    assert!(named || same == harmless || variables.iter().any(|(_, v)| encodes(v, harmless)));
});

/// A form of the value may be in the text where the value is not, such as `a+b` of `a b`.
fn encodes(value: &str, text: &str) -> bool {
    value
        .lines()
        .chain([value])
        .any(|part| text.contains(&part.trim().replace(' ', "+")))
}
