//! The wire format, version 1: one JSON object per line on stdout, and nothing else there.
//!
//! These are the only types that are serialized for a reader. Keys that do not apply to a line are
//! left out; the first seven are always there. Readers ignore keys that they do not know, so keys
//! may be added to version 1; a change of meaning makes version 2.

use std::borrow::Cow;
use std::time::Duration;

use serde::Serialize;

use crate::event::{Place, Problem, Service, Setting, Summary};

/// The wire format's version.
pub const VERSION: u8 = 1;

/// One line.
#[derive(Serialize, Default)]
pub struct LineV1<'a> {
    /// The version of the format; a reader refuses one that it does not know.
    pub v: u8,
    /// The deployment that the run is about, the same on all of its lines, or empty; on `service` and
    /// `history`: the one that the line is about.
    pub deployment_id: &'a str,
    /// 0, 1, 2, … without a hole.
    pub seq: u64,
    /// When it happened, in Unix milliseconds; never less than on the line before.
    pub at: u64,
    /// `progress`: a stage; `status`: the deployment; `warning`; `log`: the program's output;
    /// `plan`: what `--dry-run` would do; `service`: a line of `sdp status`; `history`: one of its `--history`;
    /// `config`: one of `sdp config`; `check`: what `sdp doctor` has looked at.
    pub kind: &'static str,
    /// `FAILED` where a stage failed; on `status`: how the run ended; on `service`: the engine's word;
    /// else empty.
    pub state: &'a str,
    /// The line in words: `starting STAGE`, `ok`, a remark, a tool's or the program's output, the
    /// error's message.
    pub line: Cow<'a, str>,

    /// The stage's name, such as `git fetch`; on `status`: the one that failed or was cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<&'static str>,
    /// On `progress`: `started`, `update`, `output` (of a tool) or `finished`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<&'static str>,
    /// On `update`: how many of `unit` are done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub done: Option<u64>,
    /// On `update`: how many there are, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// On `update`: `objects`, `bytes`, `files` or `packages`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<&'static str>,
    /// On `finished`, `status` and `history`: how long it took, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub elapsed_ms: Option<u64>,
    /// On `finished`: how much of that it waited for somebody else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waited_ms: Option<u64>,
    /// Whom it waited for: `remote`, `go`, `engine` or `hook`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waited_for: Option<&'static str>,
    /// Why the stage or the deployment failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Error<'a>>,
    /// On `warning` and `check`: what to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<&'a str>,
    /// On `output` and `log`: `stdout` or `stderr`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<&'static str>,
    /// On `log`: the engine's RFC 3339 timestamp, where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<&'a str>,
    #[serde(flatten)]
    pub rest: Option<Rest<'a>>,
}

/// The keys of one kind of line only.
#[derive(Serialize)]
#[serde(untagged)]
pub enum Rest<'a> {
    Last(Last<'a>),
    Service(ServiceKeys<'a>),
    /// The last `status` of `sdp stop`: what does not run any more.
    Stopped {
        exit_code: u8,
        repository: &'a str,
        containers: &'a [String],
    },
    /// The last `status` of `sdp prune`: what was removed, or would be.
    Pruned {
        exit_code: u8,
        repository: &'a str,
        containers: &'a [String],
        releases: &'a [String],
        /// Bytes on disk.
        freed_bytes: u64,
        /// Nothing was removed.
        dry_run: bool,
    },
    Past(PastKeys<'a>),
    /// A check of `sdp doctor`; `state` is `OK`, `WARNING` or `FAILED`.
    Check {
        /// What was looked at: `engine`, `go`, `remote`, …
        check: &'static str,
        /// What a deployment would fail with.
        #[serde(skip_serializing_if = "Option::is_none")]
        code: Option<&'static str>,
        /// Lines that explain it.
        #[serde(skip_serializing_if = "<[String]>::is_empty")]
        detail: &'a [String],
    },
    Setting(SettingKeys<'a>),
    /// The last `status` of any other command, and of one that failed before it began.
    Ended {
        exit_code: u8,
    },
}

/// The keys of `sdp config`: the settings a deployment would use, one line a value.
#[derive(Serialize)]
pub struct SettingKeys<'a> {
    /// A flag's long name, or `repository`.
    pub key: &'a str,
    /// `***` in place of a secret.
    pub value: &'a str,
    /// `flag`, `request`, `variable`, `file`, `checkout` or `default`.
    pub origin: &'static str,
    /// The variable's name, `FILE:LINE`, or the checkout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<&'a str>,
}

impl<'a> From<&'a Setting> for SettingKeys<'a> {
    fn from(setting: &'a Setting) -> SettingKeys<'a> {
        SettingKeys {
            key: &setting.key,
            value: &setting.value,
            origin: setting.origin,
            place: setting.place.as_deref(),
        }
    }
}

/// The keys of `sdp status --history`; `line` says it in words.
#[derive(Serialize)]
pub struct PastKeys<'a> {
    pub repository: &'a str,
    /// When it began, RFC 3339.
    pub began_at: &'a str,
    /// `deploy`, `rollback`, `stop` or `start`.
    pub what: &'a str,
    /// Who gave the command.
    pub who: &'a str,
    pub outcome: &'a str,
    pub exit_code: u8,
    /// What it failed with, as in `error.code`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<&'a str>,
}

/// A release that `sdp rollback --to` takes.
#[derive(Serialize)]
pub struct KeptV1<'a> {
    pub deployment_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<&'a str>,
}

/// The keys of `sdp status`; `state` is the engine's word for the container's state.
#[derive(Serialize)]
pub struct ServiceKeys<'a> {
    pub repository: &'a str,
    /// The checkout.
    pub path: &'a str,
    /// RFC 3339; not there for a service that does not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<&'a str>,
    /// How long it has been running, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub up_ms: Option<u64>,
    /// How often the engine had to start it again.
    pub restarts: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<&'a str>,
    pub container: &'a str,
    pub container_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<&'a str>,
    pub ports: &'a [String],
    /// What one can go back to, newest first; only where one repository was asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub releases: Vec<KeptV1<'a>>,
}

/// A commit's id; anybody can give a container sdp's labels, and not every value is one.
fn full(id: &str) -> Option<&str> {
    let is_full = matches!(id.len(), 40 | 64) && id.bytes().all(|b| b.is_ascii_hexdigit());
    Some(id).filter(|_| is_full)
}

impl<'a> From<&'a Service> for ServiceKeys<'a> {
    fn from(service: &'a Service) -> ServiceKeys<'a> {
        ServiceKeys {
            repository: &service.repository,
            path: &service.path,
            started_at: service.started_at.as_deref(),
            up_ms: service.up.map(millis),
            restarts: service.restarts,
            branch: service.branch.as_deref(),
            commit: full(&service.commit.id),
            container: &service.container.name,
            container_id: &service.container.id,
            address: service.container.address.as_deref(),
            ports: &service.container.ports,
            releases: service
                .releases
                .iter()
                .map(|kept| KeptV1 {
                    deployment_id: &kept.deployment,
                    branch: kept.branch.as_deref(),
                    commit: full(&kept.commit.id),
                })
                .collect(),
        }
    }
}

/// The keys of the last `status`.
#[derive(Serialize)]
pub struct Last<'a> {
    /// `deployed`, `unchanged`, `planned`, `failed_old_serving`, `failed_down`, `cancelled` or `locked`.
    pub outcome: &'static str,
    /// The exit code of the process.
    pub exit_code: u8,
    /// The branch, or `tag NAME`, that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch: Option<&'a str>,
    /// The full id of the commit that was built, once it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<&'a str>,
    /// The first line of its message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<&'a str>,
    /// The name of the container that runs now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<&'a str>,
    /// Its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container_id: Option<&'a str>,
    /// `ADDRESS:PORT` of it on the container network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<&'a str>,
    /// Its published ports, as `HOST_IP:HOST_PORT->PORT/PROTO`; empty if there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ports: Option<&'a [String]>,
    /// The name of the container that was stopped in its favour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaced: Option<&'a str>,
    /// How long a published port went unanswered, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub downtime_ms: Option<u64>,
    /// What of the time sdp itself took, in milliseconds; the rest is others'.
    pub own_ms: u64,
    /// How long each stage took, in the order in which they ran.
    pub stages: Vec<Took>,
}

#[derive(Serialize)]
pub struct Took {
    pub stage: &'static str,
    pub elapsed_ms: u64,
    /// How much of that it waited for git's remote, for go, or for the engine.
    pub waited_ms: u64,
}

#[derive(Serialize)]
pub struct Error<'a> {
    /// A stable identifier, such as `branch_diverged`.
    pub code: &'static str,
    /// What happened, to what.
    pub message: &'a str,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<&'a str>,
    /// Lines that explain it.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub detail: &'a [String],
    /// Where in the repository's files the mistakes are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<PlaceV1<'a>>,
}

/// A place in a file of the repository.
#[derive(Serialize)]
pub struct PlaceV1<'a> {
    /// Relative to the repository's root.
    pub file: &'a str,
    /// From 1.
    pub line: u32,
    /// In bytes, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// One or more lines.
    pub message: &'a str,
}

impl<'a> From<&'a Place> for PlaceV1<'a> {
    fn from(place: &'a Place) -> PlaceV1<'a> {
        PlaceV1 {
            file: &place.file,
            line: place.line,
            column: place.column,
            message: &place.message,
        }
    }
}

impl<'a> From<&'a Problem> for Error<'a> {
    fn from(problem: &'a Problem) -> Error<'a> {
        Error {
            code: problem.code,
            message: &problem.message,
            hint: problem.hint.as_deref(),
            detail: &problem.detail,
            places: problem.places.iter().map(PlaceV1::from).collect(),
        }
    }
}

impl<'a> From<&'a Summary> for Last<'a> {
    fn from(summary: &'a Summary) -> Last<'a> {
        let container = summary.container.as_ref();
        let commit = summary.commit.as_ref();
        Last {
            outcome: summary.outcome.name(),
            exit_code: summary.exit_code,
            branch: summary.branch.as_deref(),
            commit: commit.map(|c| c.id.as_str()),
            subject: commit.map(|c| c.subject.as_str()),
            container: container.map(|c| c.name.as_str()),
            container_id: container.map(|c| c.id.as_str()),
            address: container.and_then(|c| c.address.as_deref()),
            ports: container.map(|c| c.ports.as_slice()),
            replaced: summary.replaced.as_deref(),
            downtime_ms: summary.downtime.map(millis),
            own_ms: millis(summary.own),
            stages: summary
                .stages
                .iter()
                .map(|&(stage, took)| Took {
                    stage: stage.name(),
                    elapsed_ms: millis(took.elapsed),
                    waited_ms: millis(took.waited),
                })
                .collect(),
        }
    }
}

pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
