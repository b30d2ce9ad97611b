//! How far a build has come.

use std::collections::HashSet;

use crate::event::{Amount, Unit};

/// The packages that a build compiles.
#[derive(Debug, Default)]
pub(super) struct Compiled {
    /// Those that it has printed.
    done: HashSet<String>,
    /// Those that were found to be out of date and were not printed yet. `None`: nobody has asked.
    left: Option<HashSet<String>>,
}

impl Compiled {
    /// With -v, go prints the import path of each package that it compiles on a line of its own;
    /// whatever else it prints there has a blank, a colon or a `#` in it. Such a line is counted.
    pub(super) fn take(&mut self, line: &str) -> bool {
        if line.is_empty() || line.contains([' ', '\t', ':', '#']) {
            return false;
        }
        if let Some(left) = &mut self.left {
            left.remove(line);
        }
        self.done.insert(line.to_owned());
        true
    }

    /// Takes note of the packages that are out of date, some of which may be compiled by now.
    pub(super) fn expect(&mut self, stale: impl IntoIterator<Item = String>) {
        let stale = stale.into_iter();
        self.left = Some(stale.filter(|name| !self.done.contains(name)).collect());
    }

    /// Nothing more is compiled. Whether anything is known that was not said.
    pub(super) fn finish(&mut self) -> bool {
        self.left
            .as_mut()
            .is_some_and(|left| left.drain().count() > 0)
    }

    pub(super) fn amount(&self) -> Amount {
        let count = |packages: &HashSet<String>| packages.len() as u64;
        Amount {
            done: count(&self.done),
            total: self
                .left
                .as_ref()
                .map(|left| count(&self.done) + count(left)),
            unit: Unit::Packages,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_all_that_was_printed_and_all_that_is_stale() {
        let mut compiled = Compiled::default();
        let told = |compiled: &Compiled| (compiled.amount().done, compiled.amount().total);
        for line in ["", "# example.com/a", "./a.go:1:2: no", "go: finding x"] {
            assert!(!compiled.take(line), "{line}");
        }
        assert_eq!(told(&compiled), (0, None));
        assert!(compiled.take("a") && compiled.take("b"));
        assert_eq!(told(&compiled), (2, None));
        compiled.expect(["b", "c", "d"].map(str::to_owned));
        assert_eq!(told(&compiled), (2, Some(4)));
        assert!(compiled.take("c") && compiled.take("unforeseen"));
        assert_eq!(told(&compiled), (4, Some(5)));
        assert!(compiled.finish());
        assert_eq!(told(&compiled), (4, Some(4)));
        assert!(!compiled.finish());
    }
}
