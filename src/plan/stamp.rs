//! `--ldflags` with places for what is known only when the commit is.

use super::arguments::usage;
use crate::failure::Result;

/// What fills the places `{{id}}`, `{{branch}}` and `{{commit}}`.
#[derive(Clone, Copy, Debug)]
pub struct Stamp<'a> {
    pub id: &'a str,
    pub branch: &'a str,
    /// The full id.
    pub commit: &'a str,
}

impl Stamp<'_> {
    /// Fills the places in `template`.
    ///
    /// # Errors
    /// `usage`, for a place of another name, and for a branch that the linker's flags cannot hold.
    pub fn fill(&self, template: &str) -> Result<String> {
        let mut filled = String::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once("{{") {
            let (name, after) = after.split_once("}}").ok_or_else(|| {
                usage(
                    format!("`--ldflags {template}` has a `{{{{` without its `}}}}`"),
                    "`{{commit}}`, `{{branch}}` and `{{id}}` are filled in",
                )
            })?;
            filled += before;
            filled += match name.trim() {
                "id" => self.id,
                "branch" if self.branch.contains([' ', '\t', '\'', '"']) => {
                    return Err(usage(
                        format!(
                            "`{{{{branch}}}}` in `--ldflags` cannot stand for `{}`, which has a blank or a quote in it",
                            self.branch
                        ),
                        "`{{commit}}` stands for the commit's id; or rename the branch",
                    ));
                }
                "branch" => self.branch,
                "commit" => self.commit,
                other => {
                    return Err(usage(
                        format!("`{{{{{other}}}}}` in `--ldflags` is not known"),
                        "`{{commit}}`, `{{branch}}` and `{{id}}` are filled in",
                    ));
                }
            };
            rest = after;
        }
        filled += rest;
        Ok(filled)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn places_are_filled_and_strange_ones_refused() {
        let stamp = Stamp {
            id: "1",
            branch: "main",
            commit: "abc",
        };
        for (template, filled) in [
            ("-s -w", "-s -w"),
            (
                "-X a={{commit}} -X b={{ branch }}-{{id}}",
                "-X a=abc -X b=main-1",
            ),
        ] {
            assert_eq!(stamp.fill(template).unwrap(), filled);
        }
        for bad in ["{{tag}}", "{{commit", "{{}}"] {
            let failure = stamp.fill(bad).unwrap_err();
            assert!(failure.hint.unwrap().contains("{{commit}}"), "{bad}");
        }
        for branch in ["it's", "a\"b", "a b"] {
            let stamp = Stamp { branch, ..stamp };
            assert!(stamp.fill("{{branch}}").is_err(), "{branch}");
            assert!(stamp.fill("{{commit}}").is_ok(), "{branch}");
        }
    }
}
