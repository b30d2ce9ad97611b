//! Secrets out of text, wherever events are written.
//!
//! What this run knows to be secret is found as it is and as tools write it: percent-encoded, in
//! base64 at whatever offset, with escapes. What looks like a secret is masked whoever's it is: user
//! and password in a URL, the value of an `Authorization` header, a PEM block with a private key.

mod named;

use std::fmt;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use regex_lite::Regex;

pub use named::{command, mask_named, mask_named_in, speaks_of_secrets};

/// What stands in place of a secret.
const MASK: &str = "***";

/// Values shorter than this are words of every text (`1`, `info`, `8080`): masking them would
/// destroy the text and protect nothing.
const SHORTEST: usize = 6;

/// Values of variables whose names speak of secrets are masked from this length on.
const SHORTEST_NAMED: usize = 3;

/// A shorter piece of base64 may stand in any text by chance. A value of [`SHORTEST`] bytes has this
/// many characters at least that do not depend on its neighbours.
const SHORTEST_BASE64: usize = 7;

/// What secrets with more bytes than this in all are looked for with is built in seconds if it is to
/// be the fastest kind.
const LARGE: usize = 8 * 1024;

/// Tools break the encoded form of longer values into lines.
const LONGEST_ENCODED: usize = 512;

/// No private key has more lines; after that a block that never ends is taken for ended.
const LONGEST_KEY: usize = 256;

/// One of these stands in every text that a rule of its place here matches: a pattern by itself takes
/// much longer to say no.
static SIGNS: LazyLock<AhoCorasick> = LazyLock::new(|| {
    AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .build(["://", "authorization", "private key"])
        .expect("three short words")
});
const URL: usize = 0;
const HEADER: usize = 1;
const PEM: usize = 2;

/// User and password in a URL, or a token alone where it is one of http.
static LOGINS: LazyLock<[Regex; 2]> = LazyLock::new(|| {
    [
        r#"(?i)(https?://)[^\s/?#"'`<>]+@"#,
        r#"([A-Za-z][A-Za-z0-9+.-]*://)[^\s/?#"'`<>:@]*:[^\s/?#"'`<>]*@"#,
    ]
    .map(regex)
});

static AUTHORIZATION: LazyLock<Regex> =
    LazyLock::new(|| regex(r#"(?i)(authorization["']?[ \t]*[:=][ \t]*["'\[]?)[^"'\]\r\n]+"#));

static KEY: LazyLock<Regex> = LazyLock::new(|| regex(&format!("(?s){BEGIN}.*?(?:{END}|$)")));
static KEY_BEGINS: LazyLock<Regex> = LazyLock::new(|| regex(BEGIN));
static KEY_ENDS: LazyLock<Regex> = LazyLock::new(|| regex(END));

const BEGIN: &str = "-----BEGIN [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----";
const END: &str = "-----END [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----";

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a pattern of our own")
}

/// Knows this run's secrets and takes them out of text.
#[derive(Clone, Default)]
pub struct Redactor {
    known: Option<AhoCorasick>,
    logs: bool,
}

/// The lines of one stream: whether a private key has begun in them, and how many more lines of it
/// may come.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lines {
    key: usize,
}

impl Redactor {
    /// A redactor for the values of these variables: env entries, tokens, passwords from URLs.
    pub fn new<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Redactor {
        let mut forms: Vec<String> = Vec::new();
        for (name, value) in variables {
            let shortest = if speaks_of_secrets(name) {
                SHORTEST_NAMED
            } else {
                SHORTEST
            };
            let long_enough = |secret: &&str| secret.len() >= shortest;
            // Tools print a long value line by line.
            let parts = std::iter::once(value).chain(value.lines()).map(str::trim);
            forms.extend(parts.filter(long_enough).flat_map(forms_of));
        }
        // Masking what is a mask already would never end.
        forms.retain(|form| form.bytes().any(|byte| byte != b'*'));
        forms.sort_unstable();
        forms.dedup();
        let known = (!forms.is_empty())
            .then(|| {
                let size: usize = forms.iter().map(String::len).sum();
                AhoCorasick::builder()
                    .match_kind(MatchKind::LeftmostLongest)
                    .kind((size > LARGE).then_some(AhoCorasickKind::ContiguousNFA))
                    .build(forms)
                    .ok()
            })
            .flatten();
        Redactor { known, logs: false }
    }

    /// The same for the program's own log lines too, which are else left alone.
    #[must_use]
    pub fn with_logs(self, logs: bool) -> Redactor {
        Redactor { logs, ..self }
    }

    /// Whether the program's log lines are to be scrubbed.
    pub fn wants_logs(&self) -> bool {
        self.logs
    }

    /// Masks every secret in `text`.
    pub fn scrub(&self, text: &mut String) {
        self.mask_known(text);
        let mut signs = [false; 3];
        for sign in SIGNS.find_iter(text.as_str()) {
            signs[sign.pattern().as_usize()] = true;
        }
        if signs[URL] && text.contains('@') {
            for login in LOGINS.iter() {
                replace(text, login, "${1}***@");
            }
        }
        if signs[HEADER] {
            replace(text, &AUTHORIZATION, "${1}***");
        }
        if signs[PEM] {
            replace(text, &KEY, MASK);
        }
        if signs != [false; 3] {
            // What was masked may have joined two halves.
            self.mask_known(text);
        }
    }

    /// The same for the next line of a stream, in which a private key may stand line by line.
    pub fn scrub_line(&self, lines: &mut Lines, line: &mut String) {
        if lines.key > 0 {
            match KEY_ENDS.find(line) {
                Some(end) => line.replace_range(..end.end(), MASK),
                None => {
                    MASK.clone_into(line);
                    lines.key -= 1;
                    return;
                }
            }
        }
        lines.key = if opens_key(line) { LONGEST_KEY } else { 0 };
        self.scrub(line);
    }

    /// The same for lines that belong together.
    pub fn scrub_lines(&self, text: &mut [String]) {
        let mut lines = Lines::default();
        for line in text {
            self.scrub_line(&mut lines, line);
        }
    }

    /// Each round leaves fewer characters that are no mask, so it ends.
    fn mask_known(&self, text: &mut String) {
        let Some(known) = &self.known else { return };
        while known.is_match(text.as_str()) {
            let mut masked = String::with_capacity(text.len());
            known.replace_all_with(text, &mut masked, |_, _, masked| {
                masked.push_str(MASK);
                true
            });
            *text = masked;
        }
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor").finish_non_exhaustive()
    }
}

fn replace(text: &mut String, pattern: &Regex, by: &str) {
    if pattern.is_match(text) {
        *text = pattern.replace_all(text, by).into_owned();
    }
}

/// A key begins in the line and does not end in it.
fn opens_key(line: &str) -> bool {
    line.contains("PRIVATE KEY")
        && KEY_BEGINS
            .find_iter(line)
            .last()
            .is_some_and(|begin| !KEY_ENDS.is_match(&line[begin.end()..]))
}

/// A secret as it is, and as tools write it.
fn forms_of(secret: &str) -> Vec<String> {
    let mut forms = vec![secret.to_owned()];
    if secret.len() > LONGEST_ENCODED {
        return forms;
    }
    if let Ok(quoted) = serde_json::to_string(secret) {
        forms.push(quoted[1..quoted.len() - 1].to_owned());
    }
    let upper = percent_encoded(secret);
    forms.push(upper.replace("%20", "+"));
    forms.push(with_small_digits(&upper));
    forms.push(upper);
    forms.extend(in_base64(secret.as_bytes()));
    forms
}

fn percent_encoded(text: &str) -> String {
    use fmt::Write as _;
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("a string grows");
        }
    }
    encoded
}

/// `%2f` for `%2F`.
fn with_small_digits(encoded: &str) -> String {
    let mut pieces = encoded.split('%');
    let mut small = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (digits, rest) = piece.split_at(2);
        small.push('%');
        small.push_str(&digits.to_ascii_lowercase());
        small.push_str(rest);
    }
    small
}

/// Those characters of a base64 text that tell of the secret alone, wherever in it the secret stands,
/// such as after `user:`; and the same up to the text's end.
fn in_base64(secret: &[u8]) -> Vec<String> {
    let mut forms = Vec::new();
    for alphabet in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
        for (before, start) in [(0, 0), (1, 2), (2, 3)] {
            let text = alphabet.encode([&[0; 2][..before], secret].concat());
            let whole = (before + secret.len()) * 8 / 6;
            if whole < start + SHORTEST_BASE64 {
                continue;
            }
            forms.push(text[start..whole].to_owned());
            if whole < text.len() {
                forms.push(text[start..].to_owned());
                let padding = "=".repeat(4 - text.len() % 4);
                forms.push(format!("{}{padding}", &text[start..]));
            }
        }
    }
    forms
}

/// A URL without the user and password that may stand in it, for display; but for the user of ssh,
/// who is a part of the address.
pub fn url(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let end = rest.find('/').unwrap_or(rest.len());
            match rest[..end].rfind('@') {
                Some(at) if scheme.ends_with("ssh") => {
                    let user = rest[..at].split(':').next().unwrap_or_default();
                    format!("{scheme}://{user}{}", &rest[at..])
                }
                Some(at) => format!("{scheme}://{}", &rest[at + 1..]),
                None => url.to_owned(),
            }
        }
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scrubbed(variables: &[(&str, &str)], text: &str) -> String {
        let mut text = text.to_owned();
        Redactor::new(variables.iter().copied()).scrub(&mut text);
        text
    }

    #[test]
    fn long_values_and_named_secrets_are_masked_and_common_words_are_not() {
        let variables = [
            ("DB", "postgres://u:p@db/x"),
            ("API_KEY", "k3y"),
            ("LEVEL", "info"),
        ];
        assert_eq!(
            scrubbed(&variables, "info: k3y for postgres://u:p@db/x"),
            "info: *** for ***"
        );
    }

    #[test]
    fn each_line_of_a_long_value_is_masked() {
        let variables = [("PEM", "-----BEGIN-----\nabcdefgh\n-----END-----")];
        assert_eq!(scrubbed(&variables, "got abcdefgh here"), "got *** here");
    }

    #[test]
    fn a_url_is_shown_without_its_user() {
        assert_eq!(url("https://u:p@host/x@y.git"), "https://host/x@y.git");
        assert_eq!(url("https://host/x.git"), "https://host/x.git");
        assert_eq!(url("git@host:x.git"), "git@host:x.git");
        assert_eq!(url("ssh://git:pw@host/x"), "ssh://git@host/x");
    }

    #[test]
    fn a_secret_is_found_as_tools_write_it() {
        let secret = "p/ss\"wörd é+";
        let variables = [("TOKEN", secret)];
        for form in [
            "p%2Fss%22w%C3%B6rd%20%C3%A9%2B",
            "p%2fss%22w%c3%b6rd%20%c3%a9%2b",
            "p%2Fss%22w%C3%B6rd+%C3%A9%2B",
            r#"p/ss\"wörd é+"#,
        ] {
            assert_eq!(scrubbed(&variables, &format!("<{form}>")), "<***>");
        }
        for user in ["", "a", "ab", "abc", "x-access-token"] {
            let login = format!("{user}:{secret}");
            for encoded in [
                STANDARD_NO_PAD.encode(&login),
                URL_SAFE_NO_PAD.encode(&login),
                STANDARD_NO_PAD.encode(login.clone() + ":more"),
                base64::engine::general_purpose::STANDARD.encode(&login),
            ] {
                let text = scrubbed(&variables, &format!("basic {encoded}"));
                assert!(text.contains(MASK), "{user}: {text}");
                assert!(text.len() < "basic ".len() + 34, "{user}: {text}");
            }
        }
    }

    #[test]
    fn what_looks_like_a_secret_is_masked_whoever_s_it_is() {
        for (text, expected) in [
            (
                "clone `https://u:p@h/x`, https://TOKEN@h",
                "clone `https://***@h/x`, https://***@h",
            ),
            ("https://u:p@ss@h:8443/x", "https://***@h:8443/x"),
            (
                "postgres://me:pw@db:5432/x?a=b@c",
                "postgres://***@db:5432/x?a=b@c",
            ),
            ("ssh://git@host/x", "ssh://git@host/x"),
            ("see https://host/a@b", "see https://host/a@b"),
            ("> Authorization: Bearer abc.def", "> Authorization: ***"),
            (
                r#"{"authorization":"Basic YQ==","a":1}"#,
                r#"{"authorization":"***","a":1}"#,
            ),
            (
                "-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY----- x",
                "*** x",
            ),
            (
                "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----",
                "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----",
            ),
        ] {
            assert_eq!(scrubbed(&[], text), expected);
        }
    }

    #[test]
    fn a_private_key_is_masked_line_by_line_and_what_follows_is_not() {
        let mut lines = [
            "one",
            "key: -----BEGIN PRIVATE KEY-----",
            "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQ",
            "ab==",
            "-----END PRIVATE KEY----- and",
            "two",
        ]
        .map(str::to_owned);
        Redactor::default().scrub_lines(&mut lines);
        assert_eq!(lines, ["one", "key: ***", "***", "***", "*** and", "two"]);
    }

    #[test]
    fn a_private_key_without_end_does_not_take_everything() {
        let mut lines = vec!["line".to_owned(); LONGEST_KEY + 2];
        lines[0] = "-----BEGIN PRIVATE KEY-----".to_owned();
        Redactor::default().scrub_lines(&mut lines);
        assert_eq!(lines[LONGEST_KEY], MASK);
        assert_eq!(lines[LONGEST_KEY + 1], "line");
    }

    #[test]
    fn masks_are_no_secrets_and_make_none() {
        assert_eq!(scrubbed(&[("A", "******")], "a ****** b"), "a ****** b");
        let variables = [("A_KEY", "a***b"), ("B_KEY", "XYZ")];
        assert_eq!(scrubbed(&variables, "aXYZb"), "***");
    }
}
