//! What happens, as values: the one thing that passes between the work and the reports.
//!
//! The work calls [`Emitter::emit`]; a report reads [`Record`]s at the other end of the channel and
//! decides what they look like. Nothing here knows either side.

mod log;

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

pub use log::{LogLine, LogLines};

/// A stage of a deployment, in the order in which they run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    Clone,
    Fetch,
    Checkout,
    Pull,
    Build,
    Start,
    Health,
}

impl Stage {
    /// The name on the wire and on the screen; part of the interface.
    pub const fn name(self) -> &'static str {
        match self {
            Stage::Clone => "git clone",
            Stage::Fetch => "git fetch",
            Stage::Checkout => "git checkout",
            Stage::Pull => "git pull",
            Stage::Build => "go build",
            Stage::Start => "start container",
            Stage::Health => "health check",
        }
    }
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
    pub state: State,
    pub outcome: Outcome,
    pub exit_code: u8,
    pub elapsed: Duration,
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
    pub stages: Vec<(Stage, Duration)>,
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
    /// The branch or the tag; `None` if a commit was named.
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
    /// The branch or the tag; `None` if a commit was named.
    pub branch: Option<String>,
    pub commit: Commit,
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
    pub elapsed_ms: u64,
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
        elapsed: Duration,
    },
    Failed {
        stage: Stage,
        elapsed: Duration,
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
    /// The last event of any other command that could not do its work.
    Aborted {
        exit_code: u8,
        problem: Problem,
    },
    /// `sdp status`: one of what there is; they come sorted by name.
    Service(Box<Service>),
    /// `sdp status --history`: one of what was done, oldest first.
    Past {
        repository: String,
        past: Box<Past>,
    },
    /// `sdp prune`: what was removed, or would be.
    Pruned {
        repository: String,
        containers: Vec<String>,
        releases: Vec<String>,
        /// Bytes on disk.
        freed: u64,
        /// Nothing was removed yet.
        pretended: bool,
    },
    /// `sdp stop`: a container that does not run any more.
    Stopped {
        repository: String,
        container: String,
        /// `None`: it did not run before.
        elapsed: Option<Duration>,
    },
}

impl Event {
    /// Calls `f` on each text in the event that may hold something that was not meant for display.
    /// The program's own log lines are its own affair and left out.
    pub fn for_each_text(&mut self, mut f: impl FnMut(&mut String)) {
        let problem = |p: &mut Problem, f: &mut dyn FnMut(&mut String)| {
            f(&mut p.message);
            p.hint.iter_mut().for_each(&mut *f);
            p.detail.iter_mut().for_each(&mut *f);
        };
        match self {
            Event::Started(_)
            | Event::Update { .. }
            | Event::Finished { .. }
            | Event::Log(_)
            | Event::Service(_)
            | Event::Past { .. }
            | Event::Pruned { .. }
            | Event::Stopped { .. } => {}
            Event::Planned { line, .. } | Event::Note { line, .. } | Event::Output { line, .. } => {
                f(line);
            }
            Event::Failed { problem: p, .. } | Event::Aborted { problem: p, .. } => {
                problem(p, &mut f);
            }
            Event::Warning { line, hint, .. } => {
                f(line);
                hint.iter_mut().for_each(f);
            }
            Event::Status(summary) => {
                if let Some(commit) = &mut summary.commit {
                    f(&mut commit.subject);
                }
                if let Some(p) = &mut summary.problem {
                    problem(p, &mut f);
                }
            }
        }
    }
}

/// An event with its place in the stream.
#[derive(Debug)]
pub struct Record {
    pub deployment_id: Arc<str>,
    /// 0, 1, 2, … without a hole; of log lines the first one's, and each has its own.
    pub seq: u64,
    /// Unix milliseconds; never goes back within a stream.
    pub at: u64,
    pub event: Event,
}

/// How many bytes of log lines may wait for the report before whoever reads them has to wait.
const LOG_QUEUE: u32 = 256 * 1024;

/// The sending end of the event stream; cheap to clone.
#[derive(Clone, Debug)]
pub struct Emitter {
    deployment_id: Arc<str>,
    tail: Arc<Mutex<Tail>>,
    log_slots: Arc<Semaphore>,
}

#[derive(Debug)]
struct Tail {
    seq: u64,
    at: u64,
    records: Sender<Record>,
}

impl Emitter {
    /// A new event stream and its receiving end.
    pub fn new(deployment_id: &str) -> (Emitter, Receiver<Record>) {
        let (records, receiver) = channel();
        let emitter = Emitter {
            deployment_id: deployment_id.into(),
            tail: Arc::new(Mutex::new(Tail {
                seq: 0,
                at: 0,
                records,
            })),
            log_slots: Arc::new(Semaphore::new(LOG_QUEUE as usize)),
        };
        (emitter, receiver)
    }

    /// Sends an event. Never blocks, and never fails: a report that is gone must not stop the work.
    pub fn emit(&self, event: Event) {
        let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        tail.at = tail.at.max(unix_millis());
        let record = Record {
            deployment_id: Arc::clone(&self.deployment_id),
            seq: tail.seq,
            at: tail.at,
            event,
        };
        tail.seq += match &record.event {
            Event::Log(lines) => lines.count() as u64,
            _ => 1,
        };
        tail.records.send(record).ok();
    }

    /// Sends lines of the program's, once the report has room for them, and leaves none behind.
    pub async fn log(&self, lines: &mut LogLines) {
        let size = u32::try_from(lines.size()).unwrap_or(LOG_QUEUE);
        let slots = Arc::clone(&self.log_slots);
        lines.slot = slots.acquire_many_owned(size.min(LOG_QUEUE)).await.ok();
        self.emit(Event::Log(std::mem::take(lines)));
    }

    /// The same stream, for what is about another deployment.
    pub fn about(&self, deployment_id: &str) -> Emitter {
        Emitter {
            deployment_id: deployment_id.into(),
            ..self.clone()
        }
    }

    /// Sends a warning that belongs to no stage.
    pub fn warn(&self, line: impl Into<String>, hint: Option<String>) {
        self.emit(Event::Warning {
            stage: None,
            line: line.into(),
            hint,
        });
    }

    /// An emitter for the events of one stage.
    pub fn stage(&self, stage: Stage) -> StageEmitter {
        StageEmitter {
            emitter: self.clone(),
            stage,
        }
    }
}

/// What a stage tells while it runs. Its beginning and end are told by the pipeline.
#[derive(Clone, Debug)]
pub struct StageEmitter {
    emitter: Emitter,
    stage: Stage,
}

impl StageEmitter {
    /// A remark: what the stage found out or waits for.
    pub fn note(&self, line: impl Into<String>) {
        self.emitter.emit(Event::Note {
            stage: self.stage,
            line: line.into(),
        });
    }

    /// How far the stage has come.
    pub fn update(&self, amount: Amount) {
        self.emitter.emit(Event::Update {
            stage: self.stage,
            amount,
        });
    }

    /// A line from a tool that the stage runs.
    pub fn output(&self, stream: Stream, line: impl Into<String>) {
        self.emitter.emit(Event::Output {
            stage: self.stage,
            stream,
            line: line.into(),
        });
    }

    /// Something that did not stop the stage but should be known.
    pub fn warn(&self, line: impl Into<String>, hint: Option<String>) {
        self.emitter.emit(Event::Warning {
            stage: Some(self.stage),
            line: line.into(),
            hint,
        });
    }
}

fn unix_millis() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}
