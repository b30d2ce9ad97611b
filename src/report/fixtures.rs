//! Deployments for the tests of the reports.
#![allow(clippy::unwrap_used)]

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::event::{
    Amount, Commit, Emitter, Event, LogLine, LogLines, Outcome, Problem, Record, Running, Stage,
    State, Stream, Summary, Took, Unit,
};

pub const ID: &str = "20261124-061512-3f9c";

/// A stream whose text can be read while something else writes to it.
#[derive(Clone, Default)]
pub struct Shared(Arc<Mutex<Vec<u8>>>);

impl Shared {
    pub fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.bytes()).unwrap()
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A terminal of 30 lines, and all that it has shown.
#[derive(Clone)]
pub struct Emulator(Arc<Mutex<(vt100::Parser, Vec<String>)>>);

impl Emulator {
    pub fn new(columns: u16) -> Emulator {
        let parser = vt100::Parser::new(30.try_into().unwrap(), columns.try_into().unwrap(), 0);
        Emulator(Arc::new(Mutex::new((parser, Vec::new()))))
    }

    pub fn screen(&self) -> String {
        self.0.lock().unwrap().0.screen().contents()
    }

    /// The screen after each piece that was sent.
    pub fn pictures(&self) -> Vec<String> {
        self.0.lock().unwrap().1.clone()
    }

    /// The rows that go on in the next one.
    pub fn wrapped(&self) -> Vec<u16> {
        let guard = self.0.lock().unwrap();
        (0..30)
            .filter(|row| guard.0.screen().row_wrapped(*row))
            .collect()
    }
}

impl Write for Emulator {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut guard = self.0.lock().unwrap();
        // What the terminal driver does.
        let text = std::str::from_utf8(bytes).unwrap().replace('\n', "\r\n");
        guard.0.process(text.as_bytes());
        let picture = guard.0.screen().contents().trim_end().to_owned();
        guard.1.push(picture);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The events as an emitter sends them, at times that are known.
pub fn records(events: Vec<Event>) -> Vec<Record> {
    let (emitter, receiver) = Emitter::new(Some(ID));
    for event in events {
        emitter.emit(event);
    }
    drop(emitter);
    let mut records: Vec<Record> = receiver.iter().collect();
    for record in &mut records {
        record.at = 1000 + record.seq;
    }
    records
}

/// A line of the program's log. Only an emitter can make one.
pub fn log(bytes: &[u8]) -> Event {
    log_to(Stream::Stdout, bytes, None)
}

pub fn log_to(stream: Stream, bytes: &[u8], time: Option<&str>) -> Event {
    let (emitter, receiver) = Emitter::new(Some(ID));
    let mut lines = LogLines::default();
    lines.push(LogLine {
        stream,
        time,
        bytes,
    });
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(emitter.log(&mut lines));
    receiver.recv().unwrap().event
}

pub fn update(stage: Stage, done: u64, total: u64) -> Event {
    Event::Update {
        stage,
        amount: Amount {
            done,
            total: Some(total),
            unit: Unit::Objects,
        },
    }
}

pub fn note(stage: Stage, line: &str) -> Event {
    Event::Note {
        stage,
        line: line.to_owned(),
    }
}

pub fn output(line: &str) -> Event {
    Event::Output {
        stage: Stage::Build,
        stream: Stream::Stderr,
        line: line.to_owned(),
    }
}

pub fn finished(stage: Stage, millis: u64) -> Event {
    Event::Finished {
        stage,
        took: took(millis),
    }
}

/// A stage that took so long, and 20 ms of that for itself.
fn took(millis: u64) -> Took {
    Took {
        elapsed: Duration::from_millis(millis),
        waited: Duration::from_millis(millis.saturating_sub(20)),
    }
}

/// A container that serves.
pub fn running() -> Running {
    container("sdp-shop-old", &[])
}

fn container(name: &str, ports: &[&str]) -> Running {
    Running {
        name: name.to_owned(),
        id: "c0ffee".to_owned(),
        address: Some("172.17.0.3:8080".to_owned()),
        ports: ports.iter().map(ToString::to_string).collect(),
    }
}

pub fn success() -> Vec<Event> {
    vec![
        Event::Started(Stage::Fetch),
        update(Stage::Fetch, 12, 40),
        note(Stage::Fetch, "2 new commits"),
        finished(Stage::Fetch, 120),
        Event::Warning {
            stage: None,
            line: "`.env` can be read by everybody".to_owned(),
            hint: Some("`chmod 600 .env`".to_owned()),
        },
        Event::Started(Stage::Build),
        output("# example.com/shop"),
        note(Stage::Build, "./cmd/shop, 6.9 MiB"),
        finished(Stage::Build, 1234),
        Event::Status(Box::new(Summary {
            what: "deploy",
            state: State::Running,
            outcome: Outcome::Deployed,
            exit_code: 0,
            elapsed: Duration::from_millis(2345),
            own: Duration::from_millis(45),
            branch: Some("main".to_owned()),
            commit: Some(Commit {
                id: "3f9c2ab1d0e4f5a6b7c8d9e0f1a2b3c4d5e6f7a8".to_owned(),
                subject: "Say hello in 日本語 and in many other languages".to_owned(),
            }),
            container: Some(container(
                "sdp-shop-20261124-061512-3f9c",
                &["0.0.0.0:8080->8080/tcp"],
            )),
            nothing_runs: false,
            replaced: Some("sdp-shop-20261123-101112-aaaa".to_owned()),
            downtime: Some(Duration::from_millis(404)),
            stages: vec![(Stage::Fetch, took(120)), (Stage::Build, took(1234))],
            problem: None,
        })),
        log(b"listening on :8080"),
    ]
}

pub fn failure() -> Vec<Event> {
    let problem = Problem {
        code: "build_failed",
        message: "`go build` failed in `./cmd/shop`".to_owned(),
        hint: Some("`go build ./cmd/shop` shows the same".to_owned()),
        detail: vec!["main.go:7:2: undefined: helo".to_owned()],
        places: Vec::new(),
    };
    vec![
        Event::Started(Stage::Build),
        output("main.go:7:2: \u{1b}[31mundefined\u{1b}[0m: helo"),
        Event::Failed {
            stage: Stage::Build,
            took: took(1234),
            problem: problem.clone(),
        },
        Event::Status(Box::new(Summary {
            exit_code: 5,
            container: Some(container("sdp-shop-20261123-101112-aaaa", &[])),
            problem: Some(problem),
            ..ended(State::Failed, Outcome::FailedOldServing)
        })),
    ]
}

/// The fetch is told to end, and no stage event says so.
pub fn cancelled() -> Vec<Event> {
    vec![
        Event::Started(Stage::Fetch),
        Event::Status(Box::new(Summary {
            exit_code: 130,
            problem: Some(Problem {
                code: "interrupted",
                message: "interrupted".to_owned(),
                hint: None,
                detail: Vec::new(),
                places: Vec::new(),
            }),
            ..ended(State::Cancelled, Outcome::Cancelled)
        })),
    ]
}

pub fn ended(state: State, outcome: Outcome) -> Summary {
    Summary {
        what: "deploy",
        state,
        outcome,
        exit_code: 6,
        elapsed: Duration::from_millis(1300),
        own: Duration::from_millis(30),
        branch: Some("main".to_owned()),
        commit: None,
        container: None,
        nothing_runs: false,
        replaced: None,
        downtime: None,
        stages: Vec::new(),
        problem: None,
    }
}
