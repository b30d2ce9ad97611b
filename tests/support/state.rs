//! What holds after any fault, once the next command has run.

use std::collections::BTreeSet;

use super::host::{Host, listing};
use super::run::Run;

impl Host {
    /// Exactly one container of the repository runs, the one that `run` ended with. What is stopped
    /// belongs to a release that is kept. No container without release or the other way round, no
    /// canary, none that never started, no half-written release, no hand-over under way, and git finds
    /// nothing to complain about.
    pub fn is_settled(&self, run: &Run) {
        self.serves_alone(run.container());
    }

    /// The same, by the name of the container that is to run.
    pub fn serves_alone(&self, container: &str) {
        let containers = self.containers();
        let mut running = BTreeSet::new();
        let mut releases = BTreeSet::new();
        for found in &containers {
            match found.state().as_str() {
                "running" => drop(running.insert(found.name.as_str())),
                "exited" => {}
                state => panic!("`{}` is {state}", found.name),
            }
            assert_eq!(
                found.label("sdp.canary"),
                Some("false"),
                "`{}` is left",
                found.name
            );
            releases.extend(found.label("sdp.deployment").map(str::to_owned));
        }
        assert_eq!(running, BTreeSet::from([container]), "what runs");
        let directory = self.checkout().join(".sdp");
        assert_eq!(listing(&directory.join("releases")), releases, "releases");
        let marks = listing(&directory.join("engines"));
        assert!(marks.is_subset(&releases), "{marks:?} of {releases:?}");
        let known = [
            ".gitignore",
            "build",
            "engines",
            "history.jsonl",
            "lock",
            "releases",
        ];
        let strange: Vec<String> = listing(&directory)
            .into_iter()
            .filter(|name| !known.contains(&name.as_str()))
            .collect();
        assert!(strange.is_empty(), "{strange:?} in .sdp");
        assert_eq!(self.git(&["status", "--porcelain"]), "");
        self.is_tidy();
    }
}
