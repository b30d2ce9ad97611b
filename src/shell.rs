//! Words for a shell, in what people are told to type.

use std::borrow::Cow;
use std::ffi::OsStr;

/// The word as a shell takes it for one word and nothing else: paths have blanks in them, and
/// whoever can push names branches and directories.
pub fn quoted(word: impl AsRef<OsStr>) -> String {
    // No word of a command line has a NUL in it.
    let word = word.as_ref().to_string_lossy().replace('\0', "");
    shlex::try_quote(&word).map_or_else(|_| String::new(), Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_shell_would_take_apart_is_quoted() {
        for (word, shown) in [
            ("./cmd/shop", "./cmd/shop"),
            (
                "https://git.example.com:8443/a.git",
                "https://git.example.com:8443/a.git",
            ),
            ("a b", "'a b'"),
            ("x$(id)", "'x$(id)'"),
            ("it's", "\"it's\""),
            ("", "''"),
        ] {
            assert_eq!(quoted(word), shown);
        }
    }
}
