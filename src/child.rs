//! Child processes that end with sdp, however it ends, and never ask on the terminal.

use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{SIGTSTP, SigSet, SigmaskHow};
use rustix::process::{
    Pid, Signal, getpid, getppid, kill_process, kill_process_group,
    set_parent_process_death_signal, setsid,
};
use tokio::io::{
    AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Split,
};
use tokio::process::{Child, Command};
use tokio::time::sleep;

use crate::event::Stream;
use crate::failure::{Code, Failure, Result};
use crate::interrupt::{self, Interrupt};
use crate::shell::quoted;

/// How long programs may take to end once they are asked to, and how often it is looked whether they
/// have: the kernel tells only their parents.
const PATIENCE: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(10);

/// How long a program that has ended is listened to: what it leaves running may hold its output open
/// for ever, as the server of a compiler cache does.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// The hidden first argument with which sdp starts itself to become a child on a leash.
const LEASH: &str = "__on-leash";

/// The same for one that is to leave nothing running.
const SHORT_LEASH: &str = "__on-short-leash";

/// The same for a child that needs its standard input.
const DYING_WITH: &str = "__dying-with";

/// The hidden first argument with which sdp starts itself to keep a child on a tether, and that child's.
const TETHER: &str = "__tether";
const TETHERED: &str = "__tethered";

/// A command that runs `program` on a leash: see [`run_on_leash`].
pub fn on_leash(program: impl AsRef<OsStr>) -> Command {
    // The leader of a group could not begin a session, which makes it one.
    let mut command = Command::new("/proc/self/exe");
    command.arg(LEASH).arg(program);
    command
}

/// The same; what the program leaves running ends with it, but for what has begun a session of its own.
pub fn on_short_leash(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg(SHORT_LEASH).arg(program);
    command
}

/// Runs the command that follows in `arguments`, and ends it with all its children when standard
/// input ends: that is when the sdp that started this one dies, even of SIGKILL. A go that lives on
/// would rename an older commit's program over the next deployment's; a git that is not asked leaves its lock
/// files. It has a session of its own: what opens the terminal to ask for a password finds none, where one in
/// the background would be stopped.
/// Does nothing if `arguments` are not of [`on_leash`]'s or [`on_short_leash`]'s making; else returns
/// the exit code, which is 128 and the signal's number for a program that was killed, as in a shell.
pub fn run_on_leash(mut arguments: impl Iterator<Item = OsString>) -> Option<u8> {
    let first = arguments.next()?;
    if first != LEASH && first != SHORT_LEASH {
        return None;
    }
    setsid().ok();
    SigSet::from(SIGTSTP).thread_unblock().ok();
    let mut child = match spawn(&arguments.next()?, arguments, Stdio::null()) {
        Ok(child) => child,
        Err(code) => return Some(code),
    };
    let is_cut = Arc::new(AtomicBool::new(false));
    let cut = Arc::clone(&is_cut);
    let watch = std::thread::spawn(move || {
        std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).ok();
        cut.store(true, Ordering::SeqCst);
        end_the_rest();
        kill_session(getpid());
    });
    let ended = child.wait();
    if is_cut.load(Ordering::SeqCst) {
        watch.join().ok();
    }
    if first == SHORT_LEASH {
        end_the_rest();
    }
    Some(exit_code(ended))
}

/// Does what starts a child while this thread is deaf to Ctrl-Z, and the child with it. Until it has a
/// process group of its own the terminal's signal is meant for it, too, and whoever starts a child waits until
/// it is another program: for one that is stopped before that, for ever.
pub fn deaf_to_ctrl_z<T>(start: impl FnOnce() -> T) -> T {
    let before = SigSet::from(SIGTSTP).thread_swap_mask(SigmaskHow::SIG_BLOCK);
    let started = start();
    if let Ok(before) = before {
        before.thread_set_mask().ok();
    }
    started
}

/// Starts a command, deaf to Ctrl-Z, whose process is killed when it is dropped.
///
/// # Errors
/// When it does not start.
pub fn start(command: &mut Command) -> std::io::Result<Child> {
    command.kill_on_drop(true);
    deaf_to_ctrl_z(|| command.spawn())
}

/// Starts a program; else returns the exit code for that.
fn spawn(
    program: &OsStr,
    arguments: impl Iterator<Item = OsString>,
    input: Stdio,
) -> std::result::Result<std::process::Child, u8> {
    let mut command = std::process::Command::new(program);
    command
        .args(arguments)
        .stdin(input)
        .spawn()
        .map_err(|error| {
            // To the sdp that is waiting for what the program has to say.
            let program = program.display();
            writeln!(std::io::stderr(), "`{program}` does not start: {error}").ok();
            127
        })
}

fn exit_code(ended: std::io::Result<ExitStatus>) -> u8 {
    let code = ended
        .ok()
        .and_then(|ended| ended.code().or(ended.signal().map(|signal| 128 + signal)));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

/// Turns a shell's `words` into others, which run them with the shell's arguments so that all that they
/// start ends with this thread, and thus with sdp, even of SIGKILL, and with the process that runs them.
/// For what needs its standard input, and is started and killed by somebody else.
pub fn tethered_to_us(words: &OsStr) -> OsString {
    if cfg!(test) {
        // The program that runs is the tests', which cannot become anything else.
        return words.to_owned();
    }
    let all = " \"$@\"";
    let mut script = words.to_owned();
    script.push(all);
    let id = getpid().as_raw_nonzero();
    let own = format!("/proc/{id}/exe");
    let mut tethered = OsString::from(format!(
        "exec {own} {DYING_WITH} {id} {own} {TETHER} sh -c "
    ));
    tethered.push(quoted(script));
    // Whoever runs it, as gix, appends the arguments only to words that do not have them yet.
    tethered.push(" sh");
    tethered.push(all);
    tethered
}

/// Runs the command that follows in `arguments` at one end of a tether; does nothing if they are not of
/// [`tethered_to_us`]'s making; else returns the exit code.
///
/// This is the process that is killed. The other end sees that and kills its whole session.
pub fn run_on_tether(mut arguments: impl Iterator<Item = OsString>) -> Option<u8> {
    let first = arguments.next()?;
    if first == TETHER {
        let id = getpid().as_raw_nonzero().to_string();
        let more = [TETHERED.into(), id.into()].into_iter().chain(arguments);
        let other = spawn("/proc/self/exe".as_ref(), more, Stdio::inherit());
        return Some(other.map_or_else(|code| code, |mut other| exit_code(other.wait())));
    }
    if first != TETHERED {
        return None;
    }
    let parent = arguments.next()?;
    setsid().ok();
    let program = arguments.next()?;
    if !is_parent(&parent) {
        return Some(1);
    }
    let mut child = match spawn(&program, arguments, Stdio::inherit()) {
        Ok(child) => child,
        Err(code) => return Some(code),
    };
    let kill_if_cut = move || {
        if !is_parent(&parent) {
            kill_session(getpid());
        }
    };
    let watch = kill_if_cut.clone();
    std::thread::spawn(move || {
        loop {
            watch();
            std::thread::sleep(POLL);
        }
    });
    let code = exit_code(child.wait());
    kill_if_cut();
    Some(code)
}

/// Whether a process ends, with all that it has started, when its parent does: to kill it alone while it
/// starts something would leave that behind.
pub fn is_tethered(id: i32) -> bool {
    let process = procfs::process::Process::new(id);
    let words = process.and_then(|process| process.cmdline());
    words.is_ok_and(|words| words.get(1).is_some_and(|word| word == TETHERED))
}

fn is_parent(id: &OsStr) -> bool {
    getppid().is_some_and(|parent| *parent.as_raw_nonzero().to_string() == *id)
}

/// Ends what this process's own session has beside it.
fn end_the_rest() {
    let own = getpid();
    let others = || members(own).filter(|id| *id != own);
    for signal in [Signal::TERM, Signal::KILL] {
        for other in others() {
            kill_process(other, signal).ok();
        }
        let asked = Instant::now();
        while others().next().is_some() && asked.elapsed() < PATIENCE {
            std::thread::sleep(POLL);
        }
    }
}

/// A command that runs `program` so that it ends when this thread does, and thus with sdp, even of SIGKILL: ssh
/// would only find out when its connection times out.
pub fn dying_with(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("/proc/self/exe");
    let id = getpid().as_raw_nonzero().to_string();
    command.arg(DYING_WITH).arg(id).arg(program);
    command
}

/// Becomes the command that follows in `arguments`. Does nothing if they are not of
/// [`tethered_to_us`]'s or [`dying_with`]'s making; returns only if that fails.
pub fn run_dying_with(mut arguments: impl Iterator<Item = OsString>) -> Option<u8> {
    if arguments.next()? != DYING_WITH {
        return None;
    }
    let parent = arguments.next()?;
    set_parent_process_death_signal(Some(Signal::TERM)).ok();
    // It may have died before the kernel was told.
    if !is_parent(&parent) {
        return Some(1);
    }
    let program = arguments.next()?;
    let error = std::process::Command::new(&program).args(arguments).exec();
    writeln!(std::io::stderr(), "{}: {error}", program.display()).ok();
    Some(127)
}

/// The exit code of a program that is not there.
pub const NOT_FOUND: i32 = 127;

/// No answer of [`ask`]'s is longer.
const LONGEST_ANSWER: u64 = 1024 * 1024;

/// What a program has answered; perhaps a secret.
pub struct Answer {
    /// `None`: it was killed.
    pub code: Option<i32>,
    pub output: Vec<u8>,
}

/// Asks a command of [`dying_with`]'s a question on its standard input and waits for the answer; what it
/// says on standard error goes nowhere. It has a process group of its own, which ends with the future.
///
/// # Errors
/// When it cannot be asked, or has not answered within `limit`.
pub async fn ask(mut command: Command, question: &str, limit: Duration) -> std::io::Result<Answer> {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0);
    let leader = start(&mut command)?;
    let mut group = Group { leader };
    let asked = async {
        if let Some(mut input) = group.leader.stdin.take() {
            // One that does not listen may answer all the same.
            input.write_all(question.as_bytes()).await.ok();
        }
        let mut output = Vec::new();
        if let Some(answer) = group.leader.stdout.take() {
            answer.take(LONGEST_ANSWER).read_to_end(&mut output).await?;
        }
        let code = group.leader.wait().await?.code();
        Ok(Answer { code, output })
    };
    tokio::time::timeout(limit, asked)
        .await
        .unwrap_or_else(|_| {
            let message = format!("no answer within {limit:?}");
            Err(std::io::Error::other(message))
        })
}

/// Runs a command of [`on_leash`]'s or [`on_short_leash`]'s, which has a session of its own, line by
/// line; an interruption ends the session, and so does dropping the future. Nothing asks on the terminal:
/// there is none, and standard input is at its end.
///
/// # Errors
/// `otherwise` where the command cannot be run, or the interruption.
pub async fn run(
    command: Command,
    otherwise: Code,
    interrupt: &Interrupt,
    mut line: impl FnMut(Stream, String),
) -> Result<ExitStatus> {
    let line = |stream, bytes: Vec<u8>| line(stream, text(&bytes));
    run_raw(command, otherwise, interrupt, line).await
}

/// A line as people read it.
pub fn text(line: &[u8]) -> String {
    String::from_utf8_lossy(line)
        .trim_end_matches('\r')
        .to_owned()
}

/// The same with lines as they come, without their newlines.
///
/// # Errors
/// Those of [`run`].
pub async fn run_raw(
    mut command: Command,
    otherwise: Code,
    interrupt: &Interrupt,
    mut line: impl FnMut(Stream, Vec<u8>),
) -> Result<ExitStatus> {
    let io = |error| Failure::io(otherwise, "run a program", error);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let leader = start(&mut command).map_err(io)?;
    let mut group = Group { leader };
    let child = &mut group.leader;
    // Dropped when the child is not wanted any more; waiting for it would drop it too early.
    let _leash = child.stdin.take();
    let mut stdout = child
        .stdout
        .take()
        .map(|pipe| BufReader::new(pipe).split(b'\n'));
    let mut stderr = child
        .stderr
        .take()
        .map(|pipe| BufReader::new(pipe).split(b'\n'));
    let mut ended = None;
    let silence = sleep(Duration::MAX);
    tokio::pin!(silence);
    loop {
        if let Some(status) = ended
            && stdout.is_none()
            && stderr.is_none()
        {
            return Ok(status);
        }
        tokio::select! {
            next = next(&mut stdout), if stdout.is_some() => match next {
                Some(bytes) => line(Stream::Stdout, bytes),
                None => stdout = None,
            },
            next = next(&mut stderr), if stderr.is_some() => match next {
                Some(bytes) => line(Stream::Stderr, bytes),
                None => stderr = None,
            },
            status = group.leader.wait(), if ended.is_none() => {
                let status = status.map_err(io)?;
                // Until it has a session of its own, Ctrl-C in the terminal is meant for it, too.
                if status.signal() == Some(Signal::INT.as_raw()) {
                    return Err(interrupt::Signal::Interrupt.into());
                }
                ended = Some(status);
                silence.as_mut().reset(tokio::time::Instant::now() + LAST_WORDS);
            }
            () = &mut silence, if ended.is_some() => (stdout, stderr) = (None, None),
            signal = interrupt.cancelled() => {
                group.end().await;
                return Err(signal.into());
            }
        }
    }
}

/// A process group or a session; dropping it kills what is left of it.
struct Group {
    leader: Child,
}

impl Group {
    /// `None` if the leader has ended: its number may be another's by now.
    fn id(&self) -> Option<Pid> {
        let id = self.leader.id().and_then(|id| i32::try_from(id).ok());
        id.and_then(Pid::from_raw)
    }

    /// Asks all of it to end, so that git can take its lock files with it, and then kills it.
    async fn end(mut self) {
        if let Some(id) = self.id() {
            let all: Vec<Pid> = members(id).collect();
            // One that is to begin a session may not have come that far.
            kill_process(id, Signal::TERM).ok();
            // One that is stopped is not asked before it goes on.
            for signal in [Signal::TERM, Signal::CONT] {
                for member in all.iter().filter(|member| **member != id) {
                    kill_process(*member, signal).ok();
                }
            }
            let asked = Instant::now();
            tokio::time::timeout(PATIENCE, self.leader.wait())
                .await
                .ok();
            while members(id).next().is_some() && asked.elapsed() < PATIENCE {
                sleep(POLL).await;
            }
            kill_session(id);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(id) = self.id() {
            kill_session(id);
        }
    }
}

/// Kills the process group and the session of this leader. `timeout` and shells give what they start groups of
/// its own; the leader's, which may be the caller's, goes last.
fn kill_session(leader: Pid) {
    let asked = Instant::now();
    loop {
        let others = members(leader).filter(|id| *id != leader);
        // One that is killed may just have started another.
        let killed = others.filter(|id| kill_process(*id, Signal::KILL).is_ok());
        if killed.count() == 0 || asked.elapsed() > PATIENCE {
            break;
        }
        std::thread::sleep(POLL);
    }
    kill_process_group(leader, Signal::KILL).ok();
}

/// The processes of the leader's group and session that run. Those that have ended and that nobody has asked
/// about yet, being no children of sdp's, do not.
fn members(leader: Pid) -> impl Iterator<Item = Pid> {
    let leader = leader.as_raw_nonzero().get();
    let processes = procfs::process::all_processes().into_iter().flatten();
    processes.flatten().filter_map(move |process| {
        let stat = process.stat().ok()?;
        let is_member = stat.pgrp == leader || stat.session == leader;
        let runs = is_member && !matches!(stat.state, 'Z' | 'X');
        runs.then(|| Pid::from_raw(stat.pid)).flatten()
    })
}

async fn next<R: AsyncBufRead + Unpin>(lines: &mut Option<Split<R>>) -> Option<Vec<u8>> {
    lines.as_mut()?.next_segment().await.ok().flatten()
}
