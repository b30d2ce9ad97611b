//! What happens, as values: the one thing that passes between the work and the reports.
//!
//! The work calls [`Emitter::emit`]; a report reads [`Record`]s at the other end of the channel and
//! decides what they look like. Nothing here knows either side.

mod emitter;
mod log;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use emitter::{Emitter, Record, StageEmitter, unix_millis};
pub use log::{LogLine, LogLines};

/// A stage of a deployment, in the order in which they run, or of `sdp stop`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    Clone,
    Fetch,
    Checkout,
    Pull,
    BeforeBuild,
    Build,
    BeforeStart,
    Start,
    Health,
    AfterDeploy,
    /// Of `sdp stop`; in a deployment it is part of the stages before.
    Stop,
}

impl Stage {
    /// The name on the wire and on the screen; part of the interface.
    pub const fn name(self) -> &'static str {
        match self {
            Stage::Clone => "git clone",
            Stage::Fetch => "git fetch",
            Stage::Checkout => "git checkout",
            Stage::Pull => "git pull",
            Stage::BeforeBuild => "before build",
            Stage::Build => "go build",
            Stage::BeforeStart => "before start",
            Stage::Start => "start container",
            Stage::Health => "health check",
            Stage::AfterDeploy => "after deploy",
            Stage::Stop => "stop container",
        }
    }

    /// Whose work a stage waits for: part of the interface, too.
    pub const fn party(self) -> &'static str {
        match self {
            Stage::Clone | Stage::Fetch | Stage::Checkout | Stage::Pull => "remote",
            Stage::Build => "go",
            Stage::Start | Stage::Health | Stage::Stop => "engine",
            Stage::BeforeBuild | Stage::BeforeStart | Stage::AfterDeploy => "hook",
        }
    }
}

/// How long a stage took, and how much of that it waited for its [`Stage::party`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Took {
    pub elapsed: Duration,
    pub waited: Duration,
}

/// What `done` and `total` of an update count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Objects,
    Bytes,
    Files,
    Packages,
}

impl Unit {
    /// The name on the wire and on the screen.
    pub const fn name(self) -> &'static str {
        match self {
            Unit::Objects => "objects",
            Unit::Bytes => "bytes",
            Unit::Files => "files",
            Unit::Packages => "packages",
        }
    }
}

/// Which of a process's two output streams a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stream {
    Stdout,
    Stderr,
}

impl Stream {
    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        }
    }
}

/// How far something has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amount {
    pub done: u64,
    pub total: Option<u64>,
    pub unit: Unit,
}

/// An error as a reader sees it: what happened to what, and what to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Stable identifier for scripts, such as `branch_diverged`.
    pub code: &'static str,
    /// One sentence: what happened, to what.
    pub message: String,
    /// What to do next, starting with what to type.
    pub hint: Option<String>,
    /// Lines that explain it: file names, the program's last output, a cause.
    pub detail: Vec<String>,
    /// Where in the repository's files the mistakes are, as the compiler tells them.
    pub places: Vec<Place>,
}

/// A place in a file of the repository, and what is wrong there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Relative to the repository's root.
    pub file: String,
    /// From 1.
    pub line: u32,
    /// In bytes, from 1.
    pub column: Option<u32>,
    /// One or more lines.
    pub message: String,
}

/// The state in the last `status` event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Running,
    Planned,
    Failed,
    Cancelled,
}

impl State {
    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            State::Running => "RUNNING",
            State::Planned => "PLANNED",
            State::Failed => "FAILED",
            State::Cancelled => "CANCELLED",
        }
    }
}

/// What became of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The new release runs.
    Deployed,
    /// What runs is what was asked for; nothing was touched.
    Unchanged,
    /// It was said what would be done.
    Planned,
    /// The new release failed, or never started; what served before still serves (or nothing did).
    FailedOldServing,
    /// The new release failed and what served before could not be brought back.
    FailedDown,
    /// Interrupted; what served before still serves.
    Cancelled,
    /// Another deployment of the repository is under way.
    Locked,
}

impl Outcome {
    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Outcome::Deployed => "deployed",
            Outcome::Unchanged => "unchanged",
            Outcome::Planned => "planned",
            Outcome::FailedOldServing => "failed_old_serving",
            Outcome::FailedDown => "failed_down",
            Outcome::Cancelled => "cancelled",
            Outcome::Locked => "locked",
        }
    }
}

/// The commit that a deployment is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The full object id in hex.
    pub id: String,
    /// The first line of the message.
    pub subject: String,
}

impl Commit {
    /// The id as people see it: 9 characters.
    pub fn short(&self) -> &str {
        self.id.get(..9).unwrap_or(&self.id)
    }
}

/// The container that a deployment ended with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    pub name: String,
    pub id: String,
    /// `ADDRESS:PORT` on the container network, where there is one.
    pub address: Option<String>,
    /// Published ports, as `HOST_IP:HOST_PORT->PORT/PROTO`.
    pub ports: Vec<String>,
}

/// The last word on a deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// `deploy`, `rollback` or `start`, as in the history.
    pub what: &'static str,
    pub state: State,
    pub outcome: Outcome,
    pub exit_code: u8,
    pub elapsed: Duration,
    /// What of it sdp itself took; the rest is others' time.
    pub own: Duration,
    pub branch: Option<String>,
    /// The commit that was built, once it is known.
    pub commit: Option<Commit>,
    /// What runs now, where this deployment knows it.
    pub container: Option<Running>,
    /// It is known that nothing runs.
    pub nothing_runs: bool,
    /// The name of the container that was stopped in its favour.
    pub replaced: Option<String>,
    /// How long a published port went unanswered; zero without a port in common.
    pub downtime: Option<Duration>,
    /// How long each stage took, in the order in which they ran.
    pub stages: Vec<(Stage, Took)>,
    pub problem: Option<Problem>,
}

/// A repository's service as `sdp status` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    pub repository: String,
    /// The checkout.
    pub path: String,
    /// The engine's word for its newest container: `running`, `exited`, `restarting`, …
    pub state: String,
    /// RFC 3339; `None` for one that does not run.
    pub started_at: Option<String>,
    /// How long it has been running, where it is.
    pub up: Option<Duration>,
    /// How often the engine had to start it again.
    pub restarts: u64,
    pub deployment: String,
    /// The branch, or `tag NAME`; `None` if a commit was named.
    pub branch: Option<String>,
    pub commit: Commit,
    pub container: Running,
    /// What one can go back to, newest first; asked for one repository only.
    pub releases: Vec<Kept>,
}

/// A release that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    pub deployment: String,
    /// The branch, or `tag NAME`; `None` if a commit was named.
    pub branch: Option<String>,
    pub commit: Commit,
}

/// A setting that a deployment would use, of `sdp config`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// A flag's long name, or `repository`; it comes once for each value of a list.
    pub key: String,
    /// Without what may be secret.
    pub value: String,
    /// `flag`, `request`, `variable`, `file`, `checkout` or `default`.
    pub origin: &'static str,
    /// The variable's name, `FILE:LINE`, or the checkout.
    pub place: Option<String>,
}

/// Something that was done to a service, as the history keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    /// When it began, RFC 3339.
    pub at: String,
    /// `deploy`, `rollback`, `stop` or `start`.
    pub what: String,
    /// The deployment's id.
    pub id: String,
    /// Who gave the command.
    pub who: String,
    #[serde(default)]
    pub branch: Option<String>,
    #[serde(default)]
    pub commit: Option<String>,
    pub outcome: String,
    pub exit_code: u8,
    /// What it failed with, as in `error.code`; older lines do not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    pub elapsed_ms: u64,
}

/// What `sdp doctor` thinks of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Ok,
    /// A deployment gets on with it, perhaps not for long.
    Warning,
    /// A deployment would fail.
    Failed,
}

impl Verdict {
    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Verdict::Ok => "OK",
            Verdict::Warning => "WARNING",
            Verdict::Failed => "FAILED",
        }
    }
}

/// Something that `sdp doctor` has looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What was looked at: `engine`, `go`, `remote`, …; part of the interface.
    pub subject: &'static str,
    pub verdict: Verdict,
    /// What was found.
    pub line: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// What a deployment would fail with.
    pub code: Option<&'static str>,
    /// Lines that explain it.
    pub detail: Vec<String>,
}

/// Everything that can happen.
#[derive(Debug)]
pub enum Event {
    Started(Stage),
    /// What a stage would do, of `--dry-run`.
    Planned {
        stage: Stage,
        line: String,
    },
    /// A remark on a stage that goes on: what it found out, or what it waits for.
    Note {
        stage: Stage,
        line: String,
    },
    /// How far a stage has come.
    Update {
        stage: Stage,
        amount: Amount,
    },
    /// A line from a tool that a stage runs, the compiler for one.
    Output {
        stage: Stage,
        stream: Stream,
        line: String,
    },
    Finished {
        stage: Stage,
        took: Took,
    },
    Failed {
        stage: Stage,
        took: Took,
        problem: Problem,
    },
    Warning {
        stage: Option<Stage>,
        line: String,
        hint: Option<String>,
    },
    Log(LogLines),
    /// The last event of a deployment, but for the log lines of `--follow`.
    Status(Box<Summary>),
    /// The last event of `sdp status`, `sdp logs` and `sdp config`: there is no more.
    Answered,
    /// The last event of a command that could not do its work, where it is no deployment.
    Aborted {
        exit_code: u8,
        problem: Problem,
    },
    /// `sdp status`: one of what there is; they come sorted by name.
    Service(Box<Service>),
    /// `sdp config`: one of the settings a deployment would use.
    Setting(Setting),
    /// `sdp status --history`: one of what was done, oldest first.
    Past {
        repository: String,
        past: Box<Past>,
    },
    /// `sdp doctor`: one of the things that it has looked at.
    Check(Box<Check>),
    /// The last event of `sdp doctor` where nothing has failed.
    Ready {
        warnings: usize,
    },
    /// The last event of `sdp prune`: what was removed, or would be.
    Pruned {
        repository: String,
        containers: Vec<String>,
        releases: Vec<String>,
        /// Bytes on disk.
        freed: u64,
        /// Nothing was removed yet.
        pretended: bool,
    },
    /// The last event of `sdp stop`: what does not run any more.
    Stopped {
        repository: String,
        containers: Vec<String>,
        /// `None`: nothing ran before.
        elapsed: Option<Duration>,
    },
}

impl Event {
    /// Calls `f` on each text in the event that may hold something that was not meant for display,
    /// one or several lines that belong together. Lines of a stream, which belong to those before
    /// them, are left out: [`Event::Output`] and [`Event::Log`].
    pub fn for_each_text(&mut self, mut f: impl FnMut(&mut [String])) {
        use std::slice::from_mut;
        let problem = |p: &mut Problem, f: &mut dyn FnMut(&mut [String])| {
            f(from_mut(&mut p.message));
            f(p.hint.as_mut_slice());
            f(&mut p.detail);
            for place in &mut p.places {
                f(from_mut(&mut place.message));
            }
        };
        match self {
            Event::Started(_)
            | Event::Update { .. }
            | Event::Output { .. }
            | Event::Finished { .. }
            | Event::Log(_)
            | Event::Service(_)
            | Event::Past { .. }
            | Event::Answered
            | Event::Ready { .. }
            | Event::Pruned { .. }
            | Event::Stopped { .. } => {}
            Event::Check(check) => {
                f(from_mut(&mut check.line));
                f(check.hint.as_mut_slice());
                f(&mut check.detail);
            }
            Event::Planned { line, .. } | Event::Note { line, .. } => f(from_mut(line)),
            Event::Setting(setting) => f(from_mut(&mut setting.value)),
            Event::Failed { problem: p, .. } | Event::Aborted { problem: p, .. } => {
                problem(p, &mut f);
            }
            Event::Warning { line, hint, .. } => {
                f(from_mut(line));
                f(hint.as_mut_slice());
            }
            Event::Status(summary) => {
                if let Some(commit) = &mut summary.commit {
                    f(from_mut(&mut commit.subject));
                }
                if let Some(p) = &mut summary.problem {
                    problem(p, &mut f);
                }
            }
        }
    }
}
