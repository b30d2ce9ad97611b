//! go as a child of sdp: on a leash, line by line, and gone when nobody wants it any more.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal, getpid, kill_process_group};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, BufReader, Split};
use tokio::process::{Child, Command};

use crate::event::Stream;
use crate::failure::{Code, Failure, Result};
use crate::interrupt::Interrupt;

/// The hidden first argument with which sdp starts itself to become a child on a leash.
const LEASH: &str = "__on-leash";

/// A command that runs `program` on a leash.
pub(super) fn command(program: &Path) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg(LEASH).arg(program);
    command
}

/// Runs the command that follows in `arguments`, and kills it with all its children when standard
/// input ends: that is when the sdp that started this one dies, even of SIGKILL. A go that lives on
/// would rename an older commit's program over the next deployment's. Does nothing if `arguments`
/// are not of [`command`]'s making; else returns the exit code.
pub fn run_on_leash(mut arguments: impl Iterator<Item = OsString>) -> Option<u8> {
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

/// A process group; dropping it kills what is left of it.
struct Group {
    leader: Child,
}

impl Group {
    fn kill(&self) {
        // `None`: it has ended, and its number may be another's by now.
        let id = self.leader.id().and_then(|id| i32::try_from(id).ok());
        if let Some(id) = id.and_then(Pid::from_raw) {
            kill_process_group(id, Signal::KILL).ok();
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs a command in a process group of its own, line by line; an interruption kills the group, and
/// so does dropping the future.
pub(super) async fn run(
    mut command: Command,
    interrupt: &Interrupt,
    mut line: impl FnMut(Stream, String),
) -> Result<ExitStatus> {
    let io = |error| Failure::io(Code::BuildFailed, "run go", error);
    let leader = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(io)?;
    let mut group = Group { leader };
    let child = &mut group.leader;
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
                end(group).await;
                return Err(signal.into());
            }
        }
    }
    tokio::select! {
        ended = group.leader.wait() => ended.map_err(io),
        signal = interrupt.cancelled() => {
            end(group).await;
            Err(signal.into())
        }
    }
}

/// Go keeps its cache in order by itself, and what it leaves in its scratch directory is removed.
async fn end(mut group: Group) {
    group.kill();
    group.leader.wait().await.ok();
}

async fn next<R: AsyncBufRead + Unpin>(lines: &mut Option<Split<R>>) -> Option<Vec<u8>> {
    lines.as_mut()?.next_segment().await.ok().flatten()
}
