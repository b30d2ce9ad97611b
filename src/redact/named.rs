//! Secrets that are known by their names alone.

use std::sync::LazyLock;

use regex_lite::Regex;

use super::{MASK, regex, replace};

/// A variable whose name has one of these in it is likely to hold a secret.
const NAMES: [&str; 6] = ["pass", "secret", "token", "key", "credential", "auth"];

/// Whether a variable of this name is likely to hold a secret.
pub fn speaks_of_secrets(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    NAMES.iter().any(|word| name.contains(word))
}

/// What stands behind a name that speaks of secrets: `--db-password=x`, `?token=x`, `--token x`, and in what a
/// command sends, `-H 'X-Api-Key: x'`, `-HX-Api-Key:x` and `{"token": "x"}`.
static NAMED: LazyLock<[Regex; 5]> = LazyLock::new(|| {
    let name = format!(r"[\w.-]*(?:{})[\w.-]*", NAMES.join("|"));
    let quoted = r#""[^"]*"|'[^']*'|["']\S*"#;
    [
        format!(r#"(?i)({name}=)(?:{quoted}|[^\s&"']+)+"#),
        format!(r#"(?i)((?:^|[ \t])--?{name}[ \t]+)(?:{quoted}|[^\s"'-][^\s"']*)+"#),
        format!(r#"(?i)(["']{name}:[ \t]*)[^"'\r\n]+"#),
        format!(r#"(?i)((?:-H|--header)[ \t=]*{name}:)[^\s"']+"#),
        format!(r#"(?i)(\\?"{name}\\?"[ \t]*:[ \t]*\\?")[^"\\]+"#),
    ]
    .map(|pattern| regex(&pattern))
});

/// Masks in a text, such as a command for a shell, what its name tells to be a secret.
pub fn mask_named(text: &mut String) {
    for pattern in NAMED.iter() {
        replace(text, pattern, "${1}***");
    }
}

/// A command for a shell, as events quote it.
pub fn command(text: &str) -> String {
    let mut text = text.to_owned();
    mask_named(&mut text);
    text
}

/// Masks the same in the words of a command line, which end where they end.
pub fn mask_named_in(words: &mut [String]) {
    let mut is_value = false;
    for word in words {
        let is_flag = word.starts_with('-');
        let name = word.split('=').next().unwrap_or_default();
        let is_secret = !name.contains(|c: char| c.is_whitespace() || "/?&".contains(c))
            && speaks_of_secrets(name);
        if is_value && !is_flag {
            MASK.clone_into(word);
        } else if is_secret && name.len() < word.len() {
            *word = format!("{name}={MASK}");
        } else {
            mask_named(word);
        }
        is_value = is_flag && is_secret && !word.contains('=');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_its_name_tells_to_be_a_secret_is_masked() {
        for (text, expected) in [
            ("--db-password=a=b", "--db-password=***"),
            ("curl -d 'x' --token 'a b' h", "curl -d 'x' --token *** h"),
            ("API_KEY=\"a b\"c run", "API_KEY=*** run"),
            ("/healthz?token=x&y=1", "/healthz?token=***&y=1"),
            ("-X main.apiKey=x -s", "-X main.apiKey=*** -s"),
            ("pass show shop", "pass show shop"),
            ("--monkey", "--monkey"),
            ("--anyauth -s h", "--anyauth -s h"),
            ("--token 'x y", "--token *** y"),
            (
                "API_TOKEN=abc curl -sH \"X-Api-Key: q r\" h",
                "API_TOKEN=*** curl -sH \"X-Api-Key: ***\" h",
            ),
            ("curl -H X-Auth-Token:x h", "curl -H X-Auth-Token:*** h"),
            (
                r#"curl -d '{"user": "u", "password": "x y"}' h"#,
                r#"curl -d '{"user": "u", "password": "***"}' h"#,
            ),
            (
                r#"curl -d "{\"apiKey\":\"x\"}" h"#,
                r#"curl -d "{\"apiKey\":\"***\"}" h"#,
            ),
            ("-v /keys:/data 'a: b'", "-v /keys:/data 'a: b'"),
        ] {
            let mut masked = text.to_owned();
            mask_named(&mut masked);
            assert_eq!(masked, expected);
        }
        let words = [
            "--token",
            "x y",
            "--auth",
            "-v",
            "x",
            "--key=a&b c",
            "/h?token=x&y",
        ];
        let mut words = words.map(str::to_owned);
        mask_named_in(&mut words);
        let masked = [
            "--token",
            "***",
            "--auth",
            "-v",
            "x",
            "--key=***",
            "/h?token=***&y",
        ];
        assert_eq!(words, masked);
    }
}
