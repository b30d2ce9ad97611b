//! The built `sdp`, run to its end or watched while it runs.

use std::io::{BufRead as _, BufReader, PipeReader, Read as _, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::event::{self, Event, Kind, Phase, Problem};
use super::lookout::command_line;
use super::{PATIENCE, eventually, schema};

/// A command line of sdp in a host's environment.
pub struct Sdp {
    command: Command,
    wants_events: bool,
    input: Stdio,
    is_json: bool,
}

impl Sdp {
    pub(super) fn new(command: Command, arguments: &[&str]) -> Sdp {
        Sdp {
            command,
            wants_events: false,
            input: Stdio::null(),
            is_json: false,
        }
        .args(arguments)
    }

    pub fn args(mut self, arguments: &[&str]) -> Sdp {
        let before_program = |argument: &&&str| **argument != "--";
        let json = |argument: &&str| *argument == "--json";
        let asked = arguments.iter().take_while(before_program).any(json);
        self.is_json |= asked;
        self.wants_events |= asked;
        self.command.args(arguments);
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Sdp {
        self.command.env(name, value);
        self
    }

    pub fn within(mut self, folder: &Path) -> Sdp {
        self.command.current_dir(folder);
        self
    }

    /// Runs it to its end.
    pub fn run(self) -> Run {
        self.spawn().finish()
    }

    /// What it prints is no deployment's events, though it be JSON: the test reads it itself.
    pub fn raw(mut self) -> Sdp {
        self.wants_events = false;
        self
    }

    /// Its input stays open, and nothing comes: who asks a question waits for ever.
    pub fn with_open_input(mut self) -> Sdp {
        self.input = Stdio::piped();
        self
    }

    /// This is all that comes in.
    pub fn with_input(mut self, text: &str) -> Sdp {
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        // No more than a pipe holds.
        writer.write_all(text.as_bytes()).expect("write to a pipe");
        self.input = reader.into();
        self
    }

    /// Starts it, as the leader of a process group of its own, as a shell does.
    pub fn spawn(mut self) -> Live {
        let mut child = self
            .command
            .process_group(0)
            .stdin(self.input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("start sdp");
        let stdout = child.stdout.take().expect("a pipe");
        let mut stderr = child.stderr.take().expect("a pipe");
        Live {
            child,
            lines: read_lines(stdout),
            stdout: String::new(),
            stderr: std::thread::spawn(move || {
                let mut text = Vec::new();
                stderr.read_to_end(&mut text).ok();
                String::from_utf8_lossy(&text).into_owned()
            }),
            events: self.wants_events.then(Vec::new),
            is_json: self.is_json,
            unread: None,
        }
    }

    /// Starts it, and reads nothing of its standard output.
    pub fn spawn_unread(mut self) -> Live {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        let child = self
            .command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(writer)
            .stderr(Stdio::null())
            .spawn()
            .expect("start sdp");
        let (_, lines) = channel();
        Live {
            child,
            lines,
            stdout: String::new(),
            stderr: std::thread::spawn(String::new),
            events: None,
            is_json: false,
            unread: Some(reader),
        }
    }

    /// The command itself, for a test that arranges the pipes on its own.
    pub fn into_command(self) -> Command {
        self.command
    }
}

/// Passes lines on as they come. The thread ends with the pipe.
fn read_lines(stdout: ChildStdout) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut reader = BufReader::new(stdout);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            let text = String::from_utf8_lossy(&line).into_owned();
            if sender.send(text).is_err() {
                return;
            }
            line.clear();
        }
    });
    receiver
}

/// A running sdp.
pub struct Live {
    child: Child,
    lines: Receiver<String>,
    stdout: String,
    stderr: JoinHandle<String>,
    events: Option<Vec<Event>>,
    is_json: bool,
    /// Kept open, but not read.
    #[expect(dead_code)]
    unread: Option<PipeReader>,
}

impl Live {
    /// Reads on until a line of standard output fits.
    pub fn wait_for_line(&mut self, what: &str, fits: impl Fn(&str) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while let Some(line) = self.next_line(deadline) {
            if fits(&line) {
                return;
            }
        }
        panic!("sdp ended before {what}:\n{}", self.stdout);
    }

    /// Reads on until an event fits.
    pub fn wait_for(&mut self, what: &str, fits: impl Fn(&Event) -> bool) {
        self.wait_for_line(what, |line| fits(&Event::parse(line)));
    }

    /// Ctrl-C: SIGINT to the whole process group, as a terminal sends it.
    pub fn interrupt(&self) {
        kill_process_group(self.pid(), Signal::INT).expect("send SIGINT");
    }

    /// SIGTERM to the process alone, as a supervisor sends it.
    pub fn terminate(&self) {
        kill_process(self.pid(), Signal::TERM).expect("send SIGTERM");
    }

    /// SIGKILL to the process alone.
    pub fn kill(&self) {
        kill_process(self.pid(), Signal::KILL).expect("send SIGKILL");
    }

    /// Reads on until `count` lines of standard output have been read; `false` if it ended before.
    pub fn read(&mut self, count: usize) -> bool {
        let deadline = Instant::now() + PATIENCE;
        while self.stdout.lines().count() < count {
            if self.next_line(deadline).is_none() {
                return false;
            }
        }
        true
    }

    /// Reads the rest, waits for the end, and checks the events if there are any.
    pub fn finish(self) -> Run {
        let wants_events = self.events.is_some();
        let run = self.ended();
        if wants_events {
            event::check(&run.events, run.code);
        }
        run
    }

    /// The same for one that was killed: its last words may be missing.
    pub fn ended(mut self) -> Run {
        let deadline = Instant::now() + PATIENCE;
        while self.next_line(deadline).is_some() {}
        let status = eventually("the end of sdp", || self.child.try_wait().expect("wait"));
        let events = self.events.take();
        let run = Run {
            // A shell's convention for a death by signal, which no test expects.
            code: status.code().or(status.signal().map(|n| -n)).unwrap_or(-1),
            stdout: std::mem::take(&mut self.stdout),
            stderr: self.take_stderr(),
            events: events.unwrap_or_default(),
        };
        assert!(!run.stderr.contains("panicked at"), "{run:#?}");
        run
    }

    /// What the process takes of the memory, in KiB, as the kernel calls it: `VmRSS`, `RssAnon`.
    pub fn memory(&self, what: &str) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).expect("it runs");
        let line = status.lines().find(|line| line.starts_with(what));
        let size = line.and_then(|line| line.split_whitespace().nth(1));
        size.and_then(|size| size.parse().ok()).expect("a size")
    }

    /// The processor time that the process has taken, in the kernel's ticks.
    pub fn ticks(&self) -> u64 {
        let path = format!("/proc/{}/stat", self.child.id());
        let stat = std::fs::read_to_string(path).expect("it runs");
        let (_, fields) = stat.rsplit_once(')').expect("a name");
        let fields = fields.split_whitespace().skip(11).take(2);
        fields.filter_map(|field| field.parse::<u64>().ok()).sum()
    }

    /// Waits for the end without asking more of the events.
    pub fn code(mut self) -> i32 {
        let status = eventually("the end of sdp", || self.child.try_wait().expect("wait"));
        status.code().or(status.signal().map(|n| -n)).unwrap_or(-1)
    }

    fn next_line(&mut self, deadline: Instant) -> Option<String> {
        let left = deadline.saturating_duration_since(Instant::now());
        match self.lines.recv_timeout(left) {
            Ok(line) => {
                self.stdout += &line;
                if self.is_json {
                    schema::check(&line);
                }
                if let Some(events) = &mut self.events {
                    events.push(Event::parse(&line));
                }
                Some(line)
            }
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => {
                panic!("sdp says nothing more, after:\n{}", self.stdout)
            }
        }
    }

    fn take_stderr(&mut self) -> String {
        let done = std::thread::spawn(String::new);
        std::mem::replace(&mut self.stderr, done)
            .join()
            .expect("read standard error")
    }

    /// Its command line, as everybody on the machine sees it.
    pub fn command_line(&self) -> String {
        command_line(&Path::new("/proc").join(self.child.id().to_string()))
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            kill_process_group(self.pid(), Signal::KILL).ok();
            self.child.wait().ok();
        }
    }
}

/// What became of a run.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
    pub events: Vec<Event>,
}

impl Run {
    /// Its warnings, each with its hint.
    pub fn warnings(&self) -> Vec<(String, String)> {
        let warnings = self.events.iter();
        let warnings = warnings.filter(|event| event.kind == Kind::Warning);
        let told = warnings.map(|event| (event.line.clone(), event.hint.clone().unwrap()));
        told.collect()
    }

    /// The run deployed, through these stages and no other.
    pub fn deployed(self, stages: &[&str]) -> Run {
        assert_eq!(self.code, 0, "{}", self.story());
        assert_eq!(self.status().state, "RUNNING", "{}", self.story());
        assert_eq!(self.stages(), stages, "{}", self.story());
        self
    }

    /// The run failed with these codes, in the last of these stages.
    pub fn failed(self, exit_code: i32, code: &str, stages: &[&str]) -> Run {
        assert_eq!(
            (self.code, self.problem().code.as_str()),
            (exit_code, code),
            "{}",
            self.story()
        );
        assert_eq!(self.stages(), stages, "{}", self.story());
        assert_eq!(self.failed_stage(), stages.last().copied());
        self
    }

    /// The run ended with this exit code.
    pub fn exited(self, code: i32) -> Run {
        assert_eq!(self.code, code, "{}", self.story());
        self
    }

    /// The stages that started, in that order.
    pub fn stages(&self) -> Vec<&str> {
        let started = |event: &&Event| event.phase == Some(Phase::Started);
        let stage = |event| Event::stage(event);
        self.events.iter().filter(started).map(stage).collect()
    }

    fn failed_stage(&self) -> Option<&str> {
        self.events
            .iter()
            .find(|event| event.kind == Kind::Progress && event.state == "FAILED")
            .map(Event::stage)
    }

    /// The last status.
    pub fn status(&self) -> &Event {
        self.events
            .iter()
            .find(|event| event.kind == Kind::Status)
            .unwrap_or_else(|| panic!("no status: {}", self.story()))
    }

    /// The error in the last status.
    pub fn problem(&self) -> &Problem {
        let error = self.status().error.as_ref();
        error.unwrap_or_else(|| panic!("no error: {}", self.story()))
    }

    /// The container that the run ended with.
    pub fn container(&self) -> &str {
        let container = self.status().container.as_deref();
        container.unwrap_or_else(|| panic!("no container: {}", self.story()))
    }

    pub fn deployment(&self) -> &str {
        &self.status().deployment_id
    }

    /// What the tools of the stages printed.
    pub fn output(&self) -> String {
        let output = |event: &&Event| event.phase == Some(Phase::Output);
        let lines = self.events.iter().filter(output);
        lines
            .map(|event| event.line.as_str())
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// What a stage remarked, and its first and last word.
    pub fn remarks(&self, stage: &str) -> Vec<&str> {
        let progress = |event: &&Event| event.kind == Kind::Progress && event.stage == stage;
        let events = self.events.iter().filter(progress);
        events.map(|event| event.line.as_str()).collect()
    }

    /// The program's log lines of one stream.
    pub fn log(&self, stream: &str) -> Vec<&str> {
        let log =
            |event: &&Event| event.kind == Kind::Log && event.stream.as_deref() == Some(stream);
        self.events
            .iter()
            .filter(log)
            .map(|event| event.line.as_str())
            .collect()
    }

    /// Everything it said, for the message of a failed test.
    pub fn story(&self) -> String {
        format!("exit code {}\n{}{}", self.code, self.stdout, self.stderr)
    }
}
