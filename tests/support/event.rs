//! The wire as a reader knows it: written from the contract, not from sdp's own types, and without
//! patience for keys that the contract does not name.

use serde::Deserialize;

const STAGES: [&str; 11] = [
    "git clone",
    "git fetch",
    "git checkout",
    "git pull",
    "before build",
    "go build",
    "before start",
    "start container",
    "health check",
    "after deploy",
    "stop container",
];

/// The stages of a deployment that has to clone.
pub const FIRST: &[&str] = &[
    "git clone",
    "git fetch",
    "git checkout",
    "git pull",
    "go build",
    "start container",
    "health check",
];

/// The stages of a deployment into a checkout that is there.
pub const NEXT: &[&str] = &[
    "git fetch",
    "git checkout",
    "git pull",
    "go build",
    "start container",
    "health check",
];

/// The same with all hooks.
pub const HOOKED: &[&str] = &[
    "git fetch",
    "git checkout",
    "git pull",
    "before build",
    "go build",
    "before start",
    "start container",
    "health check",
    "after deploy",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Progress,
    Status,
    Log,
    Warning,
    Plan,
    Service,
    History,
    Check,
    Config,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    Started,
    Update,
    Output,
    Finished,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Problem {
    pub code: String,
    pub message: String,
    pub hint: Option<String>,
    #[serde(default)]
    pub detail: Vec<String>,
    #[serde(default)]
    pub places: Vec<Place>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    pub file: String,
    pub line: u32,
    pub column: Option<u32>,
    pub message: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageTime {
    pub stage: String,
    pub elapsed_ms: u64,
    pub waited_ms: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)] // that the keys are there, and no others, is what is tested
pub struct Event {
    pub v: u32,
    pub deployment_id: String,
    pub seq: u64,
    pub at: u64,
    pub kind: Kind,
    #[serde(default)]
    pub stage: String,
    pub state: String,
    pub line: String,
    pub phase: Option<Phase>,
    pub done: Option<u64>,
    pub total: Option<u64>,
    pub unit: Option<String>,
    pub elapsed_ms: Option<u64>,
    pub waited_ms: Option<u64>,
    pub waited_for: Option<String>,
    pub own_ms: Option<u64>,
    pub error: Option<Problem>,
    pub hint: Option<String>,
    pub stream: Option<String>,
    pub time: Option<String>,
    pub outcome: Option<String>,
    pub exit_code: Option<i32>,
    pub branch: Option<String>,
    pub commit: Option<String>,
    pub subject: Option<String>,
    pub container: Option<String>,
    pub container_id: Option<String>,
    pub address: Option<String>,
    pub replaced: Option<String>,
    #[serde(default)]
    pub ports: Vec<String>,
    pub downtime_ms: Option<u64>,
    #[serde(default)]
    pub stages: Vec<StageTime>,
    pub repository: Option<String>,
    pub path: Option<String>,
    pub started_at: Option<String>,
    pub up_ms: Option<u64>,
    pub restarts: Option<u64>,
    /// Ids of `sdp prune`, objects of `sdp status`.
    #[serde(default)]
    pub releases: Vec<serde_json::Value>,
    pub key: Option<String>,
    pub value: Option<String>,
    pub origin: Option<String>,
    pub place: Option<String>,
    pub began_at: Option<String>,
    pub what: Option<String>,
    pub who: Option<String>,
    pub containers: Option<Vec<String>>,
    pub freed_bytes: Option<u64>,
    pub dry_run: Option<bool>,
    pub check: Option<String>,
    pub code: Option<String>,
    #[serde(default)]
    pub detail: Vec<String>,
}

impl Event {
    pub fn parse(line: &str) -> Event {
        serde_json::from_str(line)
            .unwrap_or_else(|error| panic!("not an event of the contract: {error}: {line}"))
    }

    pub fn stage(&self) -> &str {
        &self.stage
    }

    pub fn starts(&self, stage: &str) -> bool {
        self.phase == Some(Phase::Started) && self.stage == stage
    }
}

/// Checks what holds for the events of every run, whatever became of it. Only the status of a
/// deployment, a rollback or a start has an outcome.
/// `code` is the exit code of the process that wrote them.
pub fn check(events: &[Event], code: i32) {
    let mut open: Option<&str> = None;
    let mut reached = None;
    let mut finished = Vec::new();
    let mut status: Option<&Event> = None;
    let mut at = 0;

    for (seq, event) in (0..).zip(events) {
        assert_eq!(event.v, 1, "{event:?}");
        assert_eq!(event.seq, seq, "a hole in the sequence: {event:?}");
        assert!(event.at >= at, "time goes back: {event:?}");
        at = event.at;
        let tells_of_another = matches!(event.kind, Kind::Service | Kind::History);
        let of_the_run = event.deployment_id == events[events.len() - 1].deployment_id;
        assert!(tells_of_another || of_the_run, "another id: {event:?}");
        assert!(
            status.is_none() || matches!(event.kind, Kind::Log | Kind::Warning),
            "only the program's log, and what happens to it, may follow the status: {event:?}"
        );
        match event.kind {
            Kind::Progress => {
                let stage = event.stage.as_str();
                if event.phase == Some(Phase::Started) {
                    let place = STAGES.iter().position(|known| *known == stage);
                    assert!(
                        place.is_some() && place > reached,
                        "out of order: {event:?}"
                    );
                    assert_eq!(open, None, "started within another stage: {event:?}");
                    assert_eq!(event.line, format!("starting {stage}"));
                    (reached, open) = (place, Some(stage));
                } else {
                    assert_eq!(open, Some(stage), "outside its stage: {event:?}");
                }
                check_progress(event);
                if event.phase == Some(Phase::Finished) {
                    let time = StageTime {
                        stage: stage.to_owned(),
                        elapsed_ms: event.elapsed_ms.unwrap_or_default(),
                        waited_ms: event.waited_ms.unwrap_or_default(),
                    };
                    assert!(time.waited_ms <= time.elapsed_ms, "{event:?}");
                    assert!(event.waited_for.is_some(), "{event:?}");
                    finished.push(time);
                    open = None;
                }
            }
            Kind::Status => {
                assert_eq!(open, None, "a stage without end before {event:?}");
                assert_eq!(event.exit_code, Some(code), "{event:?}");
                match &event.outcome {
                    None => check_other_status(event),
                    Some(_) => {
                        check_status(event);
                        assert_eq!(event.stages, finished, "{event:?}");
                    }
                }
                status = Some(event);
            }
            Kind::Log => {
                let stream = event.stream.as_deref();
                assert!(
                    matches!(stream, Some("stdout" | "stderr")) && event.state.is_empty(),
                    "{event:?}"
                );
                let time = event.time.as_deref();
                assert!(time.is_none_or(|time| time.contains('T')), "{event:?}");
            }
            Kind::Plan | Kind::Service | Kind::History | Kind::Config => {
                assert!(!event.line.is_empty() && event.error.is_none(), "{event:?}");
            }
            Kind::Check => {
                let known = matches!(event.state.as_str(), "OK" | "WARNING" | "FAILED");
                assert!(known && !event.line.is_empty(), "{event:?}");
                let is_ok = event.state == "OK";
                assert_eq!(
                    event.hint.is_none(),
                    is_ok,
                    "no way out, or a needless one: {event:?}"
                );
            }
            Kind::Warning => {
                let hint = event.hint.as_deref();
                assert!(!event.line.is_empty() && hint != Some(""), "{event:?}");
            }
        }
    }
    assert!(status.is_some(), "no last status in {events:#?}");
}

fn check_progress(event: &Event) {
    match event.phase.expect("progress has a phase") {
        Phase::Started => assert_eq!(event.state, "", "{event:?}"),
        Phase::Update => {
            assert!(
                event.done.is_some() || !event.line.is_empty(),
                "an update of nothing: {event:?}"
            );
            assert_eq!(event.done.is_some(), event.unit.is_some(), "{event:?}");
            if let (Some(done), Some(total)) = (event.done, event.total) {
                assert!(done <= total, "{event:?}");
            }
        }
        Phase::Output => assert!(event.stream.is_some(), "{event:?}"),
        Phase::Finished => {
            assert!(event.elapsed_ms.is_some(), "{event:?}");
            if event.state.is_empty() {
                assert_eq!(event.line, "ok", "{event:?}");
                assert!(event.error.is_none(), "{event:?}");
            } else {
                assert_eq!(event.state, "FAILED", "{event:?}");
                let error = event.error.as_ref().expect("a failed stage has an error");
                assert_eq!(event.line, error.message, "{event:?}");
            }
        }
    }
}

/// The last word of a command that has deployed nothing.
fn check_other_status(event: &Event) {
    match event.state.as_str() {
        "FAILED" | "CANCELLED" => {
            assert!(
                event.error.is_some() && event.exit_code != Some(0),
                "{event:?}"
            );
        }
        "DONE" | "STOPPED" | "PRUNED" => assert_eq!(event.exit_code, Some(0), "{event:?}"),
        "PLANNED" => assert_eq!(event.dry_run, Some(true), "{event:?}"),
        other => panic!("no such state: {other}"),
    }
}

fn check_status(event: &Event) {
    let outcome = event.outcome.as_deref().expect("a status has an outcome");
    assert!(event.elapsed_ms.is_some(), "{event:?}");
    assert!(event.own_ms <= event.elapsed_ms, "{event:?}");
    match event.state.as_str() {
        "RUNNING" => {
            assert!(matches!(outcome, "deployed" | "unchanged"), "{event:?}");
            assert_eq!(event.exit_code, Some(0), "{event:?}");
            assert!(event.error.is_none(), "{event:?}");
            assert!(event.container.is_some() && event.container_id.is_some());
            assert!(event.commit.as_ref().is_some_and(|id| id.len() == 40));
        }
        "PLANNED" => {
            assert_eq!(
                (outcome, event.exit_code),
                ("planned", Some(0)),
                "{event:?}"
            );
        }
        "FAILED" => {
            assert!(
                matches!(outcome, "failed_old_serving" | "failed_down" | "locked"),
                "{event:?}"
            );
            let error = event.error.as_ref().expect("a failure has an error");
            assert!(!error.message.is_empty() && !error.message.ends_with('.'));
        }
        "CANCELLED" => {
            assert_eq!(outcome, "cancelled");
            assert!(matches!(event.exit_code, Some(130 | 143)), "{event:?}");
        }
        other => panic!("no such state: {other}"),
    }
}
