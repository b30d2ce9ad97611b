//! The go command; nothing else runs it.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, BufReader, Split};
use tokio::process::{Child, Command};

use crate::event::{Amount, StageEmitter, Stream, Unit};
use crate::failure::{Code, Failure, Result};
use crate::interrupt::Interrupt;
use crate::plan::Build;

/// Where Go's own archive goes, which seldom stands in a service's PATH.
const USUAL_PLACE: &str = "/usr/local/go/bin/go";

/// The hidden first argument with which sdp starts itself to become a child on a leash.
const LEASH: &str = "__on-leash";

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
        let ended = run(command, interrupt, |stream, line| match stream {
            Stream::Stdout => printed.push(line),
            Stream::Stderr => errors.push(line),
        })
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
        let ended = run(command, interrupt, |stream, line| {
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
        let mut command = Command::new("/proc/self/exe");
        command
            .arg(LEASH)
            .arg(&self.go)
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

/// Runs the command that follows in `arguments`, and kills it with all its children when standard
/// input ends: that is when the sdp that started this one dies, even of SIGKILL. A go that lives on
/// would rename an older commit's program over the next deployment's. Does nothing if `arguments`
/// are not of [`Toolchain::command`]'s making; else returns the exit code.
pub fn run_on_leash(mut arguments: impl Iterator<Item = OsString>) -> Option<u8> {
    use rustix::process::{Signal, getpid, kill_process_group};
    if arguments.next()? != LEASH {
        return None;
    }
    let mut command = std::process::Command::new(arguments.next()?);
    let mut child = match command.args(arguments).stdin(Stdio::null()).spawn() {
        Ok(child) => child,
        Err(error) => {
            // To the sdp that is waiting for what go has to say.
            writeln!(std::io::stderr(), "go does not start: {error}").ok();
            return Some(127);
        }
    };
    std::thread::spawn(|| {
        std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).ok();
        // Its own group, too: sdp made it the leader.
        kill_process_group(getpid(), Signal::KILL).ok();
    });
    let code = child.wait().ok().and_then(|status| status.code());
    Some(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

/// With -v, go prints the import path of each package that it compiles on a line of its own; whatever
/// else it prints there has a blank, a colon or a `#` in it.
fn is_package(line: &str) -> bool {
    !line.is_empty() && !line.contains([' ', '\t', ':', '#'])
}

/// Runs a command in a process group of its own, line by line; an interruption kills the group.
async fn run(
    mut command: Command,
    interrupt: &Interrupt,
    mut line: impl FnMut(Stream, String),
) -> Result<std::process::ExitStatus> {
    let io = |error| Failure::io(Code::BuildFailed, "run go", error);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(io)?;
    // Dropped when the child is not wanted any more; waiting for it would drop it too early.
    let _leash = child.stdin.take();
    let text = |bytes: Vec<u8>| {
        String::from_utf8_lossy(&bytes)
            .trim_end_matches('\r')
            .to_owned()
    };
    let mut stdout = child
        .stdout
        .take()
        .map(|pipe| BufReader::new(pipe).split(b'\n'));
    let mut stderr = child
        .stderr
        .take()
        .map(|pipe| BufReader::new(pipe).split(b'\n'));
    while stdout.is_some() || stderr.is_some() {
        tokio::select! {
            next = next(&mut stdout), if stdout.is_some() => match next {
                Some(bytes) => line(Stream::Stdout, text(bytes)),
                None => stdout = None,
            },
            next = next(&mut stderr), if stderr.is_some() => match next {
                Some(bytes) => line(Stream::Stderr, text(bytes)),
                None => stderr = None,
            },
            signal = interrupt.cancelled() => {
                end(&mut child).await;
                return Err(signal.into());
            }
        }
    }
    tokio::select! {
        ended = child.wait() => ended.map_err(io),
        signal = interrupt.cancelled() => {
            end(&mut child).await;
            Err(signal.into())
        }
    }
}

/// Go keeps its cache in order by itself, and what it leaves in its scratch directory is removed.
async fn end(child: &mut Child) {
    use rustix::process::{Pid, Signal, kill_process_group};
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
    if let Some(group) = pid.and_then(Pid::from_raw) {
        kill_process_group(group, Signal::KILL).ok();
    }
    child.wait().await.ok();
}

async fn next<R: AsyncBufRead + Unpin>(lines: &mut Option<Split<R>>) -> Option<Vec<u8>> {
    lines.as_mut()?.next_segment().await.ok().flatten()
}
