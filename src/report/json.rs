//! Events as JSON lines; [`super::wire`] is what they look like.

use std::borrow::Cow;
use std::io::Write;
use std::time::Instant;

use super::sink::Sink;
use super::wire::{Error, LineV1, PastKeys, Rest, VERSION, millis};
use super::{Show, style, words};
use crate::event::{Check, Event, Record, Stage, State};

/// Writes the wire format.
pub struct Json<W> {
    out: Sink<W>,
    /// The stage that runs, or failed.
    stage: Option<Stage>,
}

impl<W: Write> Json<W> {
    pub fn new(out: W) -> Json<W> {
        Json {
            out: Sink::new(out),
            stage: None,
        }
    }

    fn write<'a>(&mut self, mut line: LineV1<'a>, record: &'a Record) {
        (line.v, line.at) = (VERSION, record.at);
        if line.deployment_id.is_empty() {
            line.deployment_id = &record.deployment_id;
        }
        // Neither can fail: all keys are strings, and a sink takes everything.
        serde_json::to_writer(&mut self.out, &line).ok();
        self.out.write_all(b"\n").ok();
    }
}

/// What a line says about a stage, but for its text.
fn progress(stage: Stage, phase: &'static str) -> LineV1<'static> {
    LineV1 {
        kind: "progress",
        stage: Some(stage.name()),
        phase: Some(phase),
        ..LineV1::default()
    }
}

fn line(event: &Event, running: Option<Stage>) -> LineV1<'_> {
    match event {
        Event::Started(stage) => LineV1 {
            line: format!("starting {}", stage.name()).into(),
            ..progress(*stage, "started")
        },
        Event::Planned { stage, line } => LineV1 {
            kind: "plan",
            stage: Some(stage.name()),
            line: line.into(),
            ..LineV1::default()
        },
        Event::Note { stage, line } => LineV1 {
            line: line.into(),
            ..progress(*stage, "update")
        },
        Event::Update { stage, amount } => LineV1 {
            line: style::amount(amount).to_string().into(),
            done: Some(amount.done),
            total: amount.total,
            unit: Some(amount.unit.name()),
            ..progress(*stage, "update")
        },
        Event::Output {
            stage,
            stream,
            line,
        } => LineV1 {
            line: line.into(),
            stream: Some(stream.name()),
            ..progress(*stage, "output")
        },
        Event::Finished { stage, took } => LineV1 {
            line: "ok".into(),
            elapsed_ms: Some(millis(took.elapsed)),
            waited_ms: Some(millis(took.waited)),
            waited_for: Some(stage.party()),
            ..progress(*stage, "finished")
        },
        Event::Failed {
            stage,
            took,
            problem,
        } => LineV1 {
            state: "FAILED",
            line: (&problem.message).into(),
            elapsed_ms: Some(millis(took.elapsed)),
            waited_ms: Some(millis(took.waited)),
            waited_for: Some(stage.party()),
            error: Some(problem.into()),
            ..progress(*stage, "finished")
        },
        Event::Warning { stage, line, hint } => LineV1 {
            kind: "warning",
            stage: stage.map(Stage::name),
            line: line.into(),
            hint: hint.as_deref(),
            ..LineV1::default()
        },
        Event::Status(summary) => LineV1 {
            kind: "status",
            state: summary.state.name(),
            line: match (&summary.problem, summary.state) {
                (Some(problem), _) => (&problem.message).into(),
                (None, State::Running) => "running".into(),
                (None, State::Planned) => "planned".into(),
                (None, State::Failed) => "failed".into(),
                (None, State::Cancelled) => "cancelled".into(),
            },
            stage: running
                .filter(|_| matches!(summary.state, State::Failed | State::Cancelled))
                .map(Stage::name),
            elapsed_ms: Some(millis(summary.elapsed)),
            error: summary.problem.as_ref().map(Error::from),
            rest: Some(Rest::Last(summary.as_ref().into())),
            ..LineV1::default()
        },
        event => answer(event),
    }
}

fn check(check: &Check) -> LineV1<'_> {
    LineV1 {
        kind: "check",
        state: check.verdict.name(),
        line: (&check.line).into(),
        hint: check.hint.as_deref(),
        rest: Some(Rest::Check {
            check: check.subject,
            code: check.code,
            detail: &check.detail,
        }),
        ..LineV1::default()
    }
}

/// The last word of a command that only shows something.
fn done(line: Cow<'_, str>) -> LineV1<'_> {
    LineV1 {
        kind: "status",
        state: "DONE",
        line,
        rest: Some(Rest::Ended { exit_code: 0 }),
        ..LineV1::default()
    }
}

/// What the commands other than `deploy` and `logs` say.
fn answer(event: &Event) -> LineV1<'_> {
    match event {
        Event::Aborted { exit_code, problem } => LineV1 {
            kind: "status",
            state: match problem.code {
                "interrupted" | "terminated" => State::Cancelled.name(),
                _ => State::Failed.name(),
            },
            line: (&problem.message).into(),
            error: Some(problem.into()),
            rest: Some(Rest::Ended {
                exit_code: *exit_code,
            }),
            ..LineV1::default()
        },
        Event::Answered => done("done".into()),
        Event::Check(check) => self::check(check),
        Event::Ready { warnings } => done(words::ready(*warnings).into()),
        Event::Service(service) => LineV1 {
            kind: "service",
            state: &service.state,
            deployment_id: &service.deployment,
            line: format!(
                "{} {} on {}",
                service.repository,
                service.state,
                service.commit.short()
            )
            .into(),
            rest: Some(Rest::Service(service.as_ref().into())),
            ..LineV1::default()
        },
        Event::Past { repository, past } => LineV1 {
            kind: "history",
            deployment_id: &past.id,
            line: format!("{} {}", past.what, past.outcome).into(),
            elapsed_ms: Some(past.elapsed_ms),
            rest: Some(Rest::Past(PastKeys {
                repository,
                began_at: &past.at,
                what: &past.what,
                who: &past.who,
                outcome: &past.outcome,
                exit_code: past.exit_code,
                code: past.code.as_deref(),
                branch: past.branch.as_deref(),
                commit: past.commit.as_deref(),
            })),
            ..LineV1::default()
        },
        Event::Setting(setting) => LineV1 {
            kind: "config",
            line: format!("{} = {}", setting.key, setting.value).into(),
            rest: Some(Rest::Setting(setting.into())),
            ..LineV1::default()
        },
        Event::Pruned {
            repository,
            containers,
            releases,
            freed,
            pretended,
        } => LineV1 {
            kind: "status",
            state: if *pretended { "PLANNED" } else { "PRUNED" },
            line: words::pruned(containers, releases, *freed, *pretended).into(),
            rest: Some(Rest::Pruned {
                exit_code: 0,
                repository,
                containers,
                releases,
                freed_bytes: *freed,
                dry_run: *pretended,
            }),
            ..LineV1::default()
        },
        Event::Stopped {
            repository,
            containers,
            elapsed,
        } => LineV1 {
            kind: "status",
            state: "STOPPED",
            line: words::stopped(containers, *elapsed).into(),
            elapsed_ms: elapsed.map(millis),
            rest: Some(Rest::Stopped {
                exit_code: 0,
                repository,
                containers,
            }),
            ..LineV1::default()
        },
        // All others are the deployment's.
        _ => LineV1::default(),
    }
}

impl<W: Write> Show for Json<W> {
    fn show(&mut self, record: &Record, now: Instant) {
        match record.event {
            Event::Finished { .. } => self.stage = None,
            Event::Started(stage) | Event::Failed { stage, .. } => self.stage = Some(stage),
            _ => {}
        }
        if let Event::Log(lines) = &record.event {
            for (seq, log) in (record.seq..).zip(lines.iter()) {
                let line = LineV1 {
                    seq,
                    kind: "log",
                    line: String::from_utf8_lossy(log.bytes),
                    stream: Some(log.stream.name()),
                    time: log.time,
                    ..LineV1::default()
                };
                self.write(line, record);
            }
            return self.out.send_soon(now);
        }
        let mut line = line(&record.event, self.stage);
        line.seq = record.seq;
        self.write(line, record);
        self.out.send(now);
    }

    fn deadline(&self) -> Option<Instant> {
        self.out.deadline()
    }

    fn wake(&mut self, now: Instant) {
        self.out.wake(now);
    }

    fn end(&mut self, now: Instant) {
        self.out.send(now);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde::Deserialize;

    use super::*;
    use crate::report::fixtures::{self, Shared};

    /// The wire format as a reader knows it, who knows nothing of the writer's types.
    #[derive(Deserialize, Debug, PartialEq, Default)]
    #[serde(deny_unknown_fields, default)]
    struct Read {
        v: u64,
        deployment_id: String,
        seq: u64,
        at: u64,
        kind: String,
        state: String,
        line: String,
        stage: Option<String>,
        phase: Option<String>,
        done: Option<u64>,
        total: Option<u64>,
        unit: Option<String>,
        elapsed_ms: Option<u64>,
        waited_ms: Option<u64>,
        waited_for: Option<String>,
        own_ms: Option<u64>,
        error: Option<ReadError>,
        hint: Option<String>,
        stream: Option<String>,
        time: Option<String>,
        outcome: Option<String>,
        exit_code: Option<u8>,
        branch: Option<String>,
        commit: Option<String>,
        subject: Option<String>,
        container: Option<String>,
        container_id: Option<String>,
        address: Option<String>,
        ports: Option<Vec<String>>,
        replaced: Option<String>,
        downtime_ms: Option<u64>,
        stages: Option<Vec<ReadTook>>,
    }

    #[derive(Deserialize, Debug, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct ReadError {
        code: String,
        message: String,
        hint: Option<String>,
        #[serde(default)]
        detail: Vec<String>,
    }

    #[derive(Deserialize, Debug, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct ReadTook {
        stage: String,
        elapsed_ms: u64,
        waited_ms: u64,
    }

    fn written(events: Vec<Event>) -> String {
        let out = Shared::default();
        let mut json = Json::new(out.clone());
        let now = Instant::now();
        for record in fixtures::records(events) {
            json.show(&record, now);
        }
        json.end(now);
        out.text()
    }

    fn read(events: Vec<Event>) -> Vec<Read> {
        written(events)
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    #[test]
    fn the_first_keys_are_always_there_and_the_others_only_where_they_apply() {
        assert_eq!(
            written(vec![
                Event::Started(Stage::Fetch),
                fixtures::update(Stage::Fetch, 12, 40),
                fixtures::log(b"GET / \xff\x1b[1m"),
            ]),
            r#"{"v":1,"deployment_id":"20261124-061512-3f9c","seq":0,"at":1000,"kind":"progress","state":"","line":"starting git fetch","stage":"git fetch","phase":"started"}
{"v":1,"deployment_id":"20261124-061512-3f9c","seq":1,"at":1001,"kind":"progress","state":"","line":"12 of 40 objects","stage":"git fetch","phase":"update","done":12,"total":40,"unit":"objects"}
{"v":1,"deployment_id":"20261124-061512-3f9c","seq":2,"at":1002,"kind":"log","state":"","line":"GET / �\u001b[1m","stream":"stdout"}
"#
        );
    }

    #[test]
    fn every_line_of_a_success_is_what_a_stranger_expects() {
        let lines = read(fixtures::success());
        let brief: Vec<String> = lines
            .iter()
            .map(|l| {
                [&l.stage, &l.phase, &l.stream]
                    .into_iter()
                    .flatten()
                    .fold(l.kind.clone(), |all, word| format!("{all}, {word}"))
                    + &format!(": {}{}", l.state, l.line)
            })
            .collect();
        assert_eq!(
            brief,
            [
                "progress, git fetch, started: starting git fetch",
                "progress, git fetch, update: 12 of 40 objects",
                "progress, git fetch, update: 2 new commits",
                "progress, git fetch, finished: ok",
                "warning: `.env` can be read by everybody",
                "progress, go build, started: starting go build",
                "progress, go build, output, stderr: # example.com/shop",
                "progress, go build, update: ./cmd/shop, 6.9 MiB",
                "progress, go build, finished: ok",
                "status: RUNNINGrunning",
                "log, stdout: listening on :8080",
            ]
        );
        assert_eq!(lines[3].elapsed_ms, Some(120));
        assert_eq!(lines[4].hint.as_deref(), Some("`chmod 600 .env`"));
        assert_eq!(lines[3].waited_ms, Some(100));
        assert_eq!(lines[3].waited_for.as_deref(), Some("remote"));
        let took = |stage: &str, elapsed_ms| ReadTook {
            stage: stage.into(),
            elapsed_ms,
            waited_ms: elapsed_ms - 20,
        };
        let expected = Read {
            v: 1,
            deployment_id: fixtures::ID.into(),
            seq: 9,
            at: 1009,
            kind: "status".into(),
            state: "RUNNING".into(),
            line: "running".into(),
            elapsed_ms: Some(2345),
            own_ms: Some(45),
            outcome: Some("deployed".into()),
            exit_code: Some(0),
            branch: Some("main".into()),
            commit: Some("3f9c2ab1d0e4f5a6b7c8d9e0f1a2b3c4d5e6f7a8".into()),
            subject: Some("Say hello in 日本語 and in many other languages".into()),
            container: Some("sdp-shop-20261124-061512-3f9c".into()),
            container_id: Some("c0ffee".into()),
            address: Some("172.17.0.3:8080".into()),
            ports: Some(vec!["0.0.0.0:8080->8080/tcp".into()]),
            replaced: Some("sdp-shop-20261123-101112-aaaa".into()),
            downtime_ms: Some(404),
            stages: Some(vec![took("git fetch", 120), took("go build", 1234)]),
            ..Read::default()
        };
        assert_eq!(lines[9], expected);
    }

    #[test]
    fn a_failure_carries_its_error_twice_and_names_its_stage() {
        let lines = read(fixtures::failure());
        let (failed, status) = (&lines[2], &lines[3]);
        let error = ReadError {
            code: "build_failed".into(),
            message: "`go build` failed in `./cmd/shop`".into(),
            hint: Some("`go build ./cmd/shop` shows the same".into()),
            detail: vec!["main.go:7:2: undefined: helo".into()],
        };
        assert_eq!(failed.state, "FAILED");
        assert_eq!(failed.phase.as_deref(), Some("finished"));
        assert_eq!(failed.line, error.message);
        assert_eq!(failed.error.as_ref(), Some(&error));
        assert_eq!(status.state, "FAILED");
        assert_eq!(status.exit_code, Some(5));
        assert_eq!(status.stage.as_deref(), Some("go build"));
        assert_eq!(status.line, error.message);
        assert_eq!(status.error.as_ref(), Some(&error));
        assert_eq!(status.ports, Some(vec![]));
    }

    #[test]
    fn a_cancelled_deployment_says_so() {
        let lines = read(fixtures::cancelled());
        let status = lines.last().unwrap();
        assert_eq!(status.state, "CANCELLED");
        assert_eq!(status.outcome.as_deref(), Some("cancelled"));
        assert_eq!(status.stage.as_deref(), Some("git fetch"));
        assert_eq!((&status.container, &status.ports), (&None, &None));
    }
}
