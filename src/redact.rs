//! Secrets out of text, wherever events are written.

use std::fmt;

use aho_corasick::{AhoCorasick, MatchKind};

/// What stands in place of a secret.
const MASK: &str = "***";

/// Values shorter than this are words of every text (`1`, `info`, `8080`): masking them would
/// destroy the text and protect nothing.
const SHORTEST: usize = 6;

/// Values of variables whose names speak of secrets are masked from this length on.
const SHORTEST_NAMED: usize = 3;

/// Knows this run's secrets and takes them out of text.
#[derive(Default)]
pub struct Redactor {
    secrets: Option<AhoCorasick>,
}

impl Redactor {
    /// A redactor for the values of these variables: env entries, tokens, passwords from URLs.
    pub fn new<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Redactor {
        let secrets: Vec<&str> = variables
            .into_iter()
            .flat_map(|(name, value)| {
                let shortest = if speaks_of_secrets(name) {
                    SHORTEST_NAMED
                } else {
                    SHORTEST
                };
                // Tools print a long value line by line.
                std::iter::once(value)
                    .chain(value.lines())
                    .map(str::trim)
                    .filter(move |secret| secret.len() >= shortest)
            })
            .collect();
        let secrets = (!secrets.is_empty())
            .then(|| {
                AhoCorasick::builder()
                    .match_kind(MatchKind::LeftmostLongest)
                    .build(secrets)
                    .ok()
            })
            .flatten();
        Redactor { secrets }
    }

    /// Replaces every secret in `text`.
    pub fn scrub(&self, text: &mut String) {
        if let Some(secrets) = &self.secrets
            && secrets.is_match(text.as_str())
        {
            let masks = vec![MASK; secrets.patterns_len()];
            *text = secrets.replace_all(text, &masks);
        }
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor").finish_non_exhaustive()
    }
}

fn speaks_of_secrets(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["pass", "secret", "token", "key", "credential", "auth"]
        .iter()
        .any(|word| name.contains(word))
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
}
