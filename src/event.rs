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

    /// Whose work a stage waits for: part of the interface, too.
    pub const fn party(self) -> &'static str {
        match self {
            Stage::Clone | Stage::Fetch | Stage::Checkout | Stage::Pull => "remote",
            Stage::Build => "go",
            Stage::Start | Stage::Health => "engine",
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
    /// The last event of `sdp status` and `sdp logs`: there is no more.
    Answered,
    /// The last event of a command that could not do its work, where it is no deployment.
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
            | Event::Pruned { .. }
            | Event::Stopped { .. } => {}
            Event::Planned { line, .. } | Event::Note { line, .. } => f(from_mut(line)),
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
    tail: Arc<Mutex<Tail>>,
    log_slots: Arc<Semaphore>,
    /// What its events are about; `None`: what the stream is about.
    deployment_id: Option<Arc<str>>,
}

#[derive(Debug)]
struct Tail {
    /// `None` until it is known which deployment the stream is about.
    deployment_id: Option<Arc<str>>,
    /// What was said before that, and when.
    held: Vec<(u64, Event)>,
    seq: u64,
    at: u64,
    records: Sender<Record>,
}

impl Tail {
    fn send(&mut self, deployment_id: Arc<str>, at: u64, event: Event) {
        let record = Record {
            deployment_id,
            seq: self.seq,
            at,
            event,
        };
        self.seq += match &record.event {
            Event::Log(lines) => lines.count() as u64,
            _ => 1,
        };
        self.records.send(record).ok();
    }
}

impl Emitter {
    /// A new event stream and its receiving end. Without an id it holds everything back until
    /// [`Emitter::about`] tells the one that all events of a stream carry.
    pub fn new(deployment_id: Option<&str>) -> (Emitter, Receiver<Record>) {
        let (records, receiver) = channel();
        let emitter = Emitter {
            tail: Arc::new(Mutex::new(Tail {
                deployment_id: deployment_id.map(Arc::from),
                held: Vec::new(),
                seq: 0,
                at: 0,
                records,
            })),
            log_slots: Arc::new(Semaphore::new(LOG_QUEUE as usize)),
            deployment_id: None,
        };
        (emitter, receiver)
    }

    /// Sends an event. Never blocks, and never fails: a report that is gone must not stop the work.
    pub fn emit(&self, event: Event) {
        let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        // The clock may be set back.
        tail.at = tail.at.max(unix_millis());
        let at = tail.at;
        match self.deployment_id.as_ref().or(tail.deployment_id.as_ref()) {
            Some(id) => {
                let id = Arc::clone(id);
                tail.send(id, at, event);
            }
            None => tail.held.push((at, event)),
        }
    }

    /// Tells which deployment the stream is about, if that is not known yet; empty if it is about no
    /// single one.
    pub fn about(&self, deployment_id: &str) {
        let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        if tail.deployment_id.is_none() {
            let id: Arc<str> = deployment_id.into();
            for (at, event) in std::mem::take(&mut tail.held) {
                tail.send(Arc::clone(&id), at, event);
            }
            tail.deployment_id = Some(id);
        }
    }

    /// Sends lines of the program's, once the report has room for them, and leaves none behind.
    pub async fn log(&self, lines: &mut LogLines) {
        let size = u32::try_from(lines.size()).unwrap_or(LOG_QUEUE);
        let slots = Arc::clone(&self.log_slots);
        lines.slot = slots.acquire_many_owned(size.min(LOG_QUEUE)).await.ok();
        self.emit(Event::Log(std::mem::take(lines)));
    }

    /// The same stream, for lines of another deployment's.
    pub fn of(&self, deployment_id: &str) -> Emitter {
        Emitter {
            deployment_id: Some(deployment_id.into()),
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_clock_that_is_set_back_does_not_take_the_stream_along() {
        let (emitter, records) = Emitter::new(Some("id"));
        let ahead = unix_millis() + 3_600_000;
        emitter.tail.lock().unwrap().at = ahead;
        emitter.warn("one", None);
        emitter.warn("two", None);
        drop(emitter);
        let told: Vec<(u64, u64)> = records.iter().map(|r| (r.seq, r.at)).collect();
        assert_eq!(told, [(0, ahead), (1, ahead)]);
    }

    #[test]
    fn all_events_carry_the_id_that_is_told_first() {
        let (emitter, records) = Emitter::new(None);
        emitter.warn("early", None);
        assert!(records.try_recv().is_err());
        emitter.about("id");
        emitter.about("other");
        emitter.warn("late", None);
        drop(emitter);
        let told: Vec<(u64, String)> = records
            .iter()
            .map(|r| (r.seq, r.deployment_id.to_string()))
            .collect();
        assert_eq!(told, [(0, "id".to_owned()), (1, "id".to_owned())]);
    }
}
