//! The go command; nothing else runs it.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use crate::child;
use crate::event::{Amount, StageEmitter, Stream, Unit};
use crate::failure::{Code, Failure, Result};
use crate::interrupt::Interrupt;
use crate::plan::Build;

/// Where Go's own archive goes, which seldom stands in a service's PATH.
const USUAL_PLACE: &str = "/usr/local/go/bin/go";

/// A go command that runs.
#[derive(Clone, Debug)]
pub struct Toolchain {
    go: PathBuf,
    /// Such as `go1.27.3`.
    pub version: String,
}

/// Where and for what to build.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The directory that the packages are relative to.
    pub directory: &'a Path,
    /// Where go works; what an interrupted go leaves there is removed.
    pub scratch: &'a Path,
    pub os: &'a str,
    pub arch: &'a str,
}

impl Toolchain {
    /// Finds the go command and asks for its version.
    ///
    /// # Errors
    /// `go_missing`.
    pub async fn find(go: Option<&Path>) -> Result<Toolchain> {
        let candidates = match go {
            // Relative to where sdp was started, not to where it builds.
            Some(go) if go.components().count() > 1 => {
                vec![std::path::absolute(go).unwrap_or_else(|_| go.to_owned())]
            }
            Some(go) => vec![go.to_owned()],
            None => vec![PathBuf::from("go"), PathBuf::from(USUAL_PLACE)],
        };
        for go in candidates {
            let output = Command::new(&go)
                .arg("version")
                .stdin(Stdio::null())
                .output()
                .await;
            if let Ok(output) = output
                && output.status.success()
            {
                // go version go1.27.3 linux/amd64
                let text = String::from_utf8_lossy(&output.stdout);
                let version = text.split_whitespace().nth(2).unwrap_or("go").to_owned();
                return Ok(Toolchain { go, version });
            }
        }
        let message = match go {
            Some(go) => format!("`{}` is no go command that runs", go.display()),
            None => format!("there is no `go` in PATH, nor at `{USUAL_PLACE}`"),
        };
        Err(Failure::new(Code::GoMissing, message)
            .hint("`sudo apt install golang-go` on Debian and Ubuntu, or `--go PATH` to one that is elsewhere"))
    }

    /// The directories of the main packages that `pattern` matches.
    ///
    /// # Errors
    /// `build_failed` with what go printed, or the interruption.
    pub async fn main_packages(
        &self,
        target: Target<'_>,
        build: &Build,
        pattern: &str,
        interrupt: &Interrupt,
    ) -> Result<Vec<PathBuf>> {
        let format = r#"{{if and (eq .Name "main") (or .GoFiles .CgoFiles)}}{{.Dir}}{{end}}"#;
        let mut command = self.command("list", target, build);
        // -e: a broken package elsewhere in the module does not hide the ones that build.
        command.args(["-e", "-find", "-f", format, "--", pattern]);
        let mut printed = Vec::new();
        let mut errors = Vec::new();
        let ended = child::run(
            command,
            Code::BuildFailed,
            interrupt,
            |stream, line| match stream {
                Stream::Stdout => printed.push(line),
                Stream::Stderr => errors.push(line),
            },
        )
        .await?;
        if !ended.success() {
            return Err(
                Failure::new(Code::BuildFailed, format!("`go list {pattern}` failed"))
                    .detail(errors),
            );
        }
        Ok(printed
            .into_iter()
            .filter(|line| !line.is_empty())
            .map(PathBuf::from)
            .collect())
    }

    /// Builds `package` into `output`. What the compiler prints goes out as events, as it is.
    ///
    /// # Errors
    /// `build_failed` with the last lines, or the interruption.
    pub async fn build(
        &self,
        target: Target<'_>,
        build: &Build,
        package: &str,
        output: &Path,
        events: &StageEmitter,
        interrupt: &Interrupt,
    ) -> Result<()> {
        let mut command = self.command("build", target, build);
        command.args(["-trimpath", "-v"]).arg("-o").arg(output);
        if let Some(ldflags) = &build.ldflags {
            command.arg("-ldflags").arg(ldflags);
        }
        command.args(["--", package]);
        let mut compiled = 0;
        let mut said = Vec::new();
        let ended = child::run(command, Code::BuildFailed, interrupt, |stream, line| {
            if is_package(&line) {
                compiled += 1;
                events.update(Amount {
                    done: compiled,
                    total: None,
                    unit: Unit::Packages,
                });
            } else {
                events.output(stream, line.clone());
                said.push(line);
            }
        })
        .await?;
        if ended.success() {
            return Ok(());
        }
        let full = [
            "no space left on device",
            "Out of diskspace",
            "disk quota exceeded",
        ]
        .iter()
        .any(|text| said.iter().any(|line| line.contains(text)));
        let code = if full {
            Code::DiskFull
        } else {
            Code::BuildFailed
        };
        let skipped = said.len().saturating_sub(20);
        let mut failure = Failure::new(code, format!("`go build {package}` failed"))
            .detail(said.split_off(skipped));
        failure.hint = Some(if full {
            "`df -h` shows which disk is full; `go clean -cache` empties Go's build cache"
                .to_owned()
        } else {
            format!(
                "`cd {} && go build {package}` shows the same; fix it, push, and deploy again",
                target.directory.display()
            )
        });
        Err(failure)
    }

    fn command(&self, verb: &str, target: Target<'_>, build: &Build) -> Command {
        let mut command = child::on_leash(&self.go);
        command
            .arg(verb)
            .current_dir(target.directory)
            .env("CGO_ENABLED", "0")
            .env("GOOS", target.os)
            .env("GOARCH", target.arch)
            .env("GOTMPDIR", target.scratch)
            .env("PWD", target.directory);
        if let Some(tags) = &build.tags {
            command.arg("-tags").arg(tags);
        }
        command
    }
}

/// With -v, go prints the import path of each package that it compiles on a line of its own; whatever
/// else it prints there has a blank, a colon or a `#` in it.
fn is_package(line: &str) -> bool {
    !line.is_empty() && !line.contains([' ', '\t', ':', '#'])
}
