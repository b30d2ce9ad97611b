//! The go command; nothing else runs it.

mod progress;
mod trouble;

use std::cell::RefCell;
use std::convert::Infallible;
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use rustix::process::Signal;
use serde::Deserialize;
use tokio::process::Command;
use tokio::sync::Notify;

use crate::child;
use crate::event::{StageEmitter, Stream};
use crate::failure::{Code, Failure, Result};
use crate::interrupt::{self, Interrupt};
use crate::plan::Build;
use crate::shell::quoted;
use progress::Compiled;
use trouble::Attempt;

/// Where Go's own archive goes, which seldom stands in a service's PATH.
const USUAL_PLACE: &str = "/usr/local/go/bin/go";

/// Prints the packages that have to be compiled: others are only not installed, which nobody wants.
const STALE: &str = r#"{{if and .Stale (ne .StaleReason "not installed but available in build cache")}}{{.ImportPath}}{{end}}"#;

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
    /// The repository's root.
    pub root: &'a Path,
    /// The directory that the packages are relative to.
    pub directory: &'a Path,
    /// Where go works; what an interrupted go leaves there is removed.
    pub scratch: &'a Path,
    pub os: &'a str,
    pub arch: &'a str,
    /// Variables for go and what it starts, beside those of the plan.
    pub env: &'a [(OsString, OsString)],
}

/// What `go work edit -json` prints, so far as it is wanted.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Workspace {
    #[serde(rename = "Use")]
    modules: Option<Vec<Module>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Module {
    disk_path: String,
}

impl Toolchain {
    /// Finds the go command and asks for its version.
    ///
    /// # Errors
    /// `go_missing`, or the interruption.
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
            let mut version = Command::new(&go);
            version
                .arg("version")
                // Else it answers for the module that sdp happens to be started in.
                .env("GOTOOLCHAIN", "local")
                .stdin(Stdio::null())
                .process_group(0)
                .kill_on_drop(true);
            let output = child::deaf_to_ctrl_z(|| version.output()).await;
            // Until it has a process group of its own, Ctrl-C in the terminal is meant for it, too.
            let killed_by = output.as_ref().ok().and_then(|it| it.status.signal());
            if killed_by == Some(Signal::INT.as_raw()) {
                return Err(interrupt::Signal::Interrupt.into());
            }
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

    /// The directories of the modules that the workspace in the target's directory uses, as its
    /// go.work names them.
    ///
    /// # Errors
    /// `go_too_old`, `build_failed` with what go printed, or the interruption.
    pub async fn modules(
        &self,
        target: Target<'_>,
        build: &Build,
        interrupt: &Interrupt,
    ) -> Result<Vec<String>> {
        let mut command = self.command("work", target, build);
        command.args(["edit", "-json"]);
        let what = "go work edit -json";
        let printed = self.printed(command, what, target, interrupt).await?;
        let workspace: Workspace = serde_json::from_str(&printed.join("\n")).map_err(|error| {
            Failure::new(Code::BuildFailed, format!("`{what}` printed no JSON")).source(error)
        })?;
        let modules = workspace.modules.unwrap_or_default().into_iter();
        Ok(modules.map(|module| module.disk_path).collect())
    }

    /// The newest Go that a module in the target's directory asks for, such as `1.22`.
    ///
    /// # Errors
    /// `go_too_old` where this go refuses it, `build_failed` with what go printed, or the interruption.
    pub async fn asked_for(
        &self,
        target: Target<'_>,
        build: &Build,
        interrupt: &Interrupt,
    ) -> Result<Option<String>> {
        let mut command = self.command("list", target, build);
        command.args(["-m", "-f", "{{if .Main}}{{.GoVersion}}{{end}}"]);
        let printed = self
            .printed(command, "go list -m", target, interrupt)
            .await?;
        Ok(printed.into_iter().max_by_key(|version| numbers(version)))
    }

    /// Whether this go is older than a version such as `1.22`.
    pub fn is_older_than(&self, version: &str) -> bool {
        numbers(self.version.trim_start_matches("go")) < numbers(version)
    }

    /// The same build, but go never writes to go.mod and go.sum, which `-mod=mod` has it do when it is only
    /// asked.
    ///
    /// # Errors
    /// `build_failed` with what go printed, or the interruption.
    pub async fn read_only(
        &self,
        target: Target<'_>,
        build: &Build,
        interrupt: &Interrupt,
    ) -> Result<Build> {
        let mut build = build.clone();
        let flags = self.variable("GOFLAGS", target, &build, interrupt).await?;
        if flags.contains("mod=mod") {
            // The last one counts.
            let flags = format!("{flags} -mod=readonly");
            build.env.push(("GOFLAGS".to_owned(), flags));
        }
        Ok(build)
    }

    /// The value of one of go's own variables, which need not be set. Nothing is downloaded.
    ///
    /// # Errors
    /// `build_failed` with what go printed, or the interruption.
    pub async fn variable(
        &self,
        name: &str,
        target: Target<'_>,
        build: &Build,
        interrupt: &Interrupt,
    ) -> Result<String> {
        let mut command = self.command("env", target, build);
        command.arg(name);
        // This one go tells without the toolchain that go.mod asks for.
        if name != "GOTOOLCHAIN" {
            command.env("GOTOOLCHAIN", "local");
        }
        let printed = self.printed(command, "go env", target, interrupt).await?;
        Ok(printed.join("\n"))
    }

    /// The directories of the main packages that the patterns match.
    ///
    /// # Errors
    /// `go_too_old`, `build_failed` with what go printed, or the interruption.
    pub async fn main_packages(
        &self,
        target: Target<'_>,
        build: &Build,
        patterns: &[String],
        interrupt: &Interrupt,
    ) -> Result<Vec<PathBuf>> {
        let format = r#"{{if and (eq .Name "main") (or .GoFiles .CgoFiles)}}{{.Dir}}{{end}}"#;
        let mut command = self.on_packages("list", target, build);
        // -e: a broken package elsewhere in the module does not hide the ones that build.
        command.args(["-e", "-find", "-f", format, "--"]);
        command.args(patterns);
        let words: Vec<String> = patterns.iter().map(quoted).collect();
        let what = format!("go list {}", words.join(" "));
        let printed = self.printed(command, &what, target, interrupt).await?;
        Ok(printed
            .into_iter()
            .filter(|line| !line.is_empty())
            .map(PathBuf::from)
            .collect())
    }

    /// Builds `package` into `output`. What the compiler prints goes out as events, as it is.
    ///
    /// # Errors
    /// `go_too_old`, `build_failed` with the last lines and the places that they name or because go wrote
    /// nothing, `disk_full`, or the interruption.
    pub async fn build(
        &self,
        target: Target<'_>,
        build: &Build,
        package: &str,
        output: &Path,
        events: &StageEmitter,
        interrupt: &Interrupt,
    ) -> Result<()> {
        let mut command = self.on_packages("build", target, build);
        command.args(["-trimpath", "-v"]).arg("-o").arg(output);
        if let Some(ldflags) = &build.ldflags {
            command.arg("-ldflags").arg(ldflags);
        }
        command.args(["--", package]);
        let former = written(output);
        let compiled = RefCell::new(Compiled::default());
        let several = Notify::new();
        let mut said = Vec::new();
        let building = child::run(command, Code::BuildFailed, interrupt, |stream, line| {
            if compiled.borrow_mut().take(&line) {
                let amount = compiled.borrow().amount();
                events.update(amount);
                // A new commit alone makes go compile the main package, and nothing else: not worth a question.
                if amount.done == 2 {
                    several.notify_one();
                }
            } else {
                events.output(stream, line.clone());
                said.push(line);
            }
        });
        let counting = async {
            several.notified().await;
            if let Ok(stale) = self.stale(target, build, package, interrupt).await {
                compiled.borrow_mut().expect(stale);
                events.update(compiled.borrow().amount());
            }
            std::future::pending::<Infallible>().await
        };
        let ended = tokio::select! {
            ended = building => ended?,
            never = counting => match never {},
        };
        let what = format!("go build {}", quoted(package));
        if ended.success() {
            // go touches a program that is up to date. One that it leaves alone is an older commit's.
            if written(output) == former {
                return Err(trouble::nothing_built(&what));
            }
            if compiled.borrow_mut().finish() {
                events.update(compiled.borrow().amount());
            }
            return Ok(());
        }
        Err(trouble::failure(self.attempt(&what, target), said))
    }

    /// The packages that a build of `package` would have to compile now.
    async fn stale(
        &self,
        target: Target<'_>,
        build: &Build,
        package: &str,
        interrupt: &Interrupt,
    ) -> Result<Vec<String>> {
        let mut command = self.on_packages("list", target, build);
        command.args(["-trimpath", "-buildvcs=false", "-deps", "-f", STALE]);
        command.args(["--", package]);
        let mut printed = self
            .printed(command, "go list -deps", target, interrupt)
            .await?;
        printed.retain(|line| !line.is_empty());
        Ok(printed)
    }

    /// What a command prints on standard output.
    async fn printed(
        &self,
        command: Command,
        what: &str,
        target: Target<'_>,
        interrupt: &Interrupt,
    ) -> Result<Vec<String>> {
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
        if ended.success() {
            Ok(printed)
        } else {
            Err(trouble::failure(self.attempt(what, target), errors))
        }
    }

    fn attempt<'a>(&'a self, what: &'a str, target: Target<'a>) -> Attempt<'a> {
        Attempt {
            what,
            directory: target.directory,
            root: target.root,
            version: &self.version,
        }
    }

    fn on_packages(&self, verb: &str, target: Target<'_>, build: &Build) -> Command {
        let mut command = self.command(verb, target, build);
        if let Some(tags) = &build.tags {
            command.arg("-tags").arg(tags);
        }
        command
    }

    fn command(&self, verb: &str, target: Target<'_>, build: &Build) -> Command {
        let mut command = child::on_leash(&self.go);
        command
            .arg(verb)
            .current_dir(target.directory)
            .envs(build.env.iter().map(|(name, value)| (name, value)))
            .envs(target.env.iter().map(|(name, value)| (name, value)))
            .env("CGO_ENABLED", if build.cgo { "1" } else { "0" })
            .env("GOOS", target.os)
            .env("GOARCH", target.arch)
            .env("GOTMPDIR", target.scratch)
            // go asks `git status`, which would refresh the index: killed meanwhile, it leaves its lock.
            .env("GIT_OPTIONAL_LOCKS", "0")
            .env("PWD", target.directory);
        command
    }
}

/// 1, 22, 3 of `1.22.3` and of `1.22.3rc1`.
fn numbers(version: &str) -> Vec<u32> {
    let digits = |part: &str| {
        let end = part.find(|c: char| !c.is_ascii_digit());
        part[..end.unwrap_or(part.len())].parse().ok()
    };
    version.split('.').map_while(digits).collect()
}

/// Tells one writing of a file from the next; `None` if there is no file.
fn written(file: &Path) -> Option<(u64, i64, i64)> {
    let file = file.metadata().ok()?;
    Some((file.ino(), file.mtime(), file.mtime_nsec()))
}
