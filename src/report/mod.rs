//! What people and scripts see of the events: bars, lines or JSON.
//!
//! A report runs on a thread of its own and owns both streams. It reads [`Record`]s, takes the
//! secrets out of them, and hands them to one of three [`Show`]s. The work never waits for it,
//! except that the program's own log lines queue up no further than `event` allows.

mod bars;
#[cfg(test)]
mod fixtures;
mod github;
mod json;
mod lines;
mod out;
mod sink;
mod style;
mod table;
mod wire;
mod words;

use std::fs::File;
use std::io::{self, IsTerminal as _, Write};
use std::os::fd::AsFd;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Instant;

use tokio::sync::watch;

use crate::event::{Event, Record};
use crate::failure::{Code, Failure};
use crate::panics;
use crate::redact::{self, Redactor};
use bars::Bars;
use github::StepSummary;
use json::Json;
use lines::{Lines, Side};
use out::Out;
use style::Paint;
use words::Look;

/// When to color.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Color {
    /// As `NO_COLOR`, `CLICOLOR_FORCE` and the terminal say.
    #[default]
    Auto,
    Always,
    Never,
}

/// What the user asked for.
#[allow(clippy::struct_excessive_bools)] // they are flags
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// JSON lines on stdout and nothing else, on either stream.
    pub json: bool,
    /// Only warnings, errors and the program's log.
    pub quiet: bool,
    /// Also the start of each stage and every remark.
    pub verbose: bool,
    /// The program's log goes to a terminal as it is, escapes and all.
    pub raw: bool,
    pub color: Color,
}

/// A running report.
#[derive(Debug)]
pub struct Report {
    /// Says when the report has ended, and how.
    done: Receiver<Shown>,
    /// Why standard output takes no more.
    gone: watch::Receiver<Option<io::ErrorKind>>,
}

/// How a report ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// All of it, or as much as the reader wanted.
    All,
    /// Standard output could not be written to.
    Lost,
    /// Something in the report itself went wrong.
    Broken,
}

/// Starts the report of `records` on a thread of its own.
pub fn start(records: Receiver<Record>, options: Options, redactor: Redactor) -> Report {
    let (ended, done) = mpsc::channel();
    let (out, gone) = Out::new(stream(io::stdout()));
    let lost = gone.clone();
    std::thread::spawn(move || {
        let last_words = redactor.clone();
        let shown = panics::caught_here(|| show_all(&records, out, options, redactor));
        let lost = lost
            .borrow()
            .filter(|kind| *kind != io::ErrorKind::BrokenPipe);
        let (shown, failure) = match (shown, lost) {
            (Err(failure), _) => (Shown::Broken, Some(failure)),
            (Ok(()), Some(kind)) => {
                let failure = Failure::io(Code::Internal, "write to standard output", kind.into());
                (Shown::Lost, Some(failure))
            }
            (Ok(()), None) => (Shown::All, None),
        };
        if let Some(failure) = failure {
            tell(&failure, &last_words, io::stderr());
        }
        ended.send(shown).ok();
    });
    Report { done, gone }
}

/// Tells that the report itself has failed, and can tell nothing any more.
fn tell(failure: &Failure, redactor: &Redactor, mut to: impl Write) {
    let mut line = format!("error: {failure}; what was done since is not shown");
    redactor.scrub(&mut line);
    // There is nobody left to tell if that fails, too.
    writeln!(to, "{line}").ok();
}

fn show_all(records: &Receiver<Record>, out: Out, options: Options, redactor: Redactor) {
    let console = Console::look(
        options,
        [io::stdout().is_terminal(), io::stderr().is_terminal()],
        |name| std::env::var(name).ok(),
    );
    let out: Box<dyn Write + Send> = Box::new(out);
    let err = stream(io::stderr());
    let [out_look, err_look] = console.looks;
    let summary = StepSummary::open(|name| std::env::var(name).ok());
    match console.shape {
        Shape::Json => run(records, redactor, summary, Json::new(out)),
        Shape::Lines => {
            let (out, err) = (Side::new(out, out_look), Side::new(err, err_look));
            let lines = Lines::new(out, err, options).on_github(console.github);
            run(records, redactor, summary, lines);
        }
        Shape::Bars => {
            let bars = Bars::new(out, err, err_look, columns, options);
            run(records, redactor, summary, bars);
        }
    }
}

impl Report {
    /// Waits until everything is written. Call it when all emitters are gone. A reader that has
    /// stopped reading without closing its end holds it up for ever.
    pub fn finish(self) -> Shown {
        self.done.recv().unwrap_or(Shown::Broken)
    }

    /// Returns once nobody reads standard output any more: what is only told is told to nobody then.
    pub fn gone(&self) -> impl Future<Output = ()> + use<> {
        let mut gone = self.gone.clone();
        async move {
            if gone.wait_for(Option::is_some).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

/// One way to show what happens.
trait Show {
    /// Shows an event that has just come.
    fn show(&mut self, record: &Record, now: Instant);
    /// When [`Show::wake`] has something to do.
    fn deadline(&self) -> Option<Instant>;
    /// Does what has to be done without an event.
    fn wake(&mut self, now: Instant);
    /// No more events.
    fn end(&mut self, now: Instant);
}

/// Takes the secrets out of all that is shown.
struct Gate {
    redactor: Redactor,
    /// The tool's two streams.
    tool: [redact::Lines; 2],
    /// The program's.
    program: [redact::Lines; 2],
}

impl Gate {
    fn pass(&mut self, event: &mut Event) {
        match event {
            Event::Output { stream, line, .. } => {
                let lines = &mut self.tool[*stream as usize];
                self.redactor.scrub_line(lines, line);
            }
            Event::Log(log) if self.redactor.wants_logs() => {
                log.rewrite(|log| {
                    let lines = &mut self.program[log.stream as usize];
                    let mut line = String::from_utf8_lossy(log.bytes).into_owned();
                    self.redactor.scrub_line(lines, &mut line);
                    line.into_bytes()
                });
            }
            Event::Started(_) => self.tool = Default::default(),
            event => event.for_each_text(|lines| self.redactor.scrub_lines(lines)),
        }
    }
}

fn run(
    records: &Receiver<Record>,
    redactor: Redactor,
    mut summary: Option<StepSummary>,
    mut show: impl Show,
) {
    let mut gate = Gate {
        redactor,
        tool: Default::default(),
        program: Default::default(),
    };
    loop {
        let received = match show.deadline() {
            None => records.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(at) => records.recv_timeout(at.saturating_duration_since(Instant::now())),
        };
        let now = Instant::now();
        match received {
            Ok(mut record) => {
                gate.pass(&mut record.event);
                if let Some(summary) = &mut summary {
                    summary.follow(&record.event, now);
                }
                show.show(&record, now);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break show.end(now),
        }
        if show.deadline().is_some_and(|at| at <= now) {
            show.wake(now);
        }
    }
}

/// The stream without the standard library's line buffering.
fn stream(stream: impl AsFd + Write + Send + 'static) -> Box<dyn Write + Send> {
    match stream.as_fd().try_clone_to_owned() {
        Ok(fd) => Box::new(File::from(fd)),
        Err(_) => Box::new(stream),
    }
}

/// How wide the terminal is now. Some terminals do not tell: 80.
fn columns() -> u16 {
    match console::Term::stderr().size_checked() {
        Some((_, columns)) if columns > 0 => columns,
        _ => 80,
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Shape {
    Bars,
    Lines,
    Json,
}

/// What the report is shown on; looked at once.
#[derive(Debug)]
struct Console {
    shape: Shape,
    /// Of stdout and stderr.
    looks: [Look; 2],
    /// What is written is the log of a GitHub Actions job.
    github: bool,
}

impl Console {
    fn look(
        options: Options,
        terminals: [bool; 2],
        variable: impl Fn(&str) -> Option<String>,
    ) -> Console {
        let variable = |name| variable(name).filter(|value| !value.is_empty());
        let dumb = variable("TERM").is_none_or(|term| term == "dumb");
        let unicode = ["LC_ALL", "LC_CTYPE", "LANG"]
            .into_iter()
            .find_map(variable)
            .is_some_and(|locale| {
                let locale = locale.to_ascii_lowercase();
                locale.contains("utf-8") || locale.contains("utf8")
            });
        let color = |terminal: bool| match options.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto if variable("NO_COLOR").is_some() => false,
            Color::Auto if variable("CLICOLOR_FORCE").is_some_and(|force| force != "0") => true,
            Color::Auto => terminal && !dumb,
        };
        Console {
            shape: if options.json {
                Shape::Json
            } else if terminals == [true, true] && !dumb && !options.quiet {
                Shape::Bars
            } else {
                Shape::Lines
            },
            github: variable("GITHUB_ACTIONS").is_some_and(|value| value == "true"),
            looks: terminals.map(|terminal| Look {
                terminal,
                unicode,
                paint: Paint {
                    color: color(terminal),
                },
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::fixtures::{self, Shared};
    use super::*;
    use crate::event::{Emitter, Event, Outcome, Problem, Stage, State};

    fn console(options: Options, terminals: [bool; 2], env: &[(&str, &str)]) -> Console {
        Console::look(options, terminals, |name| {
            env.iter()
                .find(|(n, _)| *n == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn bars_need_two_terminals_that_can_move_the_cursor() {
        let plain = Options::default();
        let quiet = Options {
            quiet: true,
            ..plain
        };
        let json = Options {
            json: true,
            ..plain
        };
        let xterm = [("TERM", "xterm")];
        let shape = |options, terminals, env| console(options, terminals, env).shape;
        assert_eq!(shape(plain, [true, true], &xterm), Shape::Bars);
        assert_eq!(shape(plain, [false, true], &xterm), Shape::Lines);
        assert_eq!(shape(plain, [true, false], &xterm), Shape::Lines);
        assert_eq!(
            shape(plain, [true, true], &[("TERM", "dumb")]),
            Shape::Lines
        );
        assert_eq!(shape(plain, [true, true], &[]), Shape::Lines);
        assert_eq!(shape(quiet, [true, true], &xterm), Shape::Lines);
        assert_eq!(shape(json, [true, true], &xterm), Shape::Json);
    }

    #[test]
    fn the_flag_beats_no_color_beats_force_beats_the_terminal() {
        let colors = |color, env: &[(&str, &str)]| {
            let options = Options {
                color,
                ..Options::default()
            };
            console(options, [true, false], env)
                .looks
                .map(|look| look.paint.color)
        };
        let xterm = ("TERM", "xterm");
        let (no, force) = (("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1"));
        assert_eq!(colors(Color::Auto, &[xterm]), [true, false]);
        assert_eq!(colors(Color::Auto, &[("TERM", "dumb")]), [false, false]);
        assert_eq!(colors(Color::Auto, &[xterm, force]), [true, true]);
        assert_eq!(colors(Color::Auto, &[xterm, force, no]), [false, false]);
        assert_eq!(
            colors(Color::Auto, &[xterm, ("NO_COLOR", "")]),
            [true, false]
        );
        assert_eq!(colors(Color::Always, &[no]), [true, true]);
        assert_eq!(colors(Color::Never, &[xterm, force]), [false, false]);
    }

    #[test]
    fn the_first_locale_variable_that_is_set_decides_on_ascii() {
        let unicode =
            |env: &[(&str, &str)]| console(Options::default(), [true, true], env).looks[0].unicode;
        assert!(unicode(&[("LANG", "de_DE.UTF-8")]));
        assert!(unicode(&[("LC_ALL", ""), ("LC_CTYPE", "C.utf8")]));
        assert!(!unicode(&[("LC_ALL", "C"), ("LANG", "de_DE.UTF-8")]));
        assert!(!unicode(&[]));
    }

    /// Sends the events through the gate to whatever shows them.
    fn pass(events: Vec<Event>, show: impl Show) {
        let (emitter, records) = Emitter::new(Some(fixtures::ID));
        for event in events {
            emitter.emit(event);
        }
        drop(emitter);
        let redactor = Redactor::new([("TOKEN", "hunter2")]);
        run(&records, redactor, None, show);
    }

    #[test]
    fn secrets_are_taken_out_in_every_shape() {
        let events = || {
            let mut summary = fixtures::ended(State::Failed, Outcome::FailedOldServing);
            summary.problem = Some(Problem {
                code: "internal",
                message: "hunter2".to_owned(),
                hint: Some("hunter2".to_owned()),
                detail: vec!["hunter2".to_owned()],
                places: Vec::new(),
            });
            vec![
                Event::Started(Stage::Build),
                fixtures::note(Stage::Build, "hunter2"),
                fixtures::output("hunter2"),
                fixtures::finished(Stage::Build, 1),
                Event::Status(Box::new(summary)),
            ]
        };
        let look = Look {
            terminal: false,
            unicode: true,
            paint: Paint { color: false },
        };
        let shown = Shared::default();
        pass(events(), Json::new(shown.clone()));
        let side = || Side::new(shown.clone(), look);
        pass(events(), Lines::new(side(), side(), Options::default()));
        let (out, err) = (shown.clone(), shown.clone());
        pass(
            events(),
            Bars::new(out, err, look, || 60, Options::default()),
        );
        assert!(shown.text().matches("***").count() > 10);
        assert!(!shown.text().contains("hunter2"));
    }

    /// A report that panics ends, says so without secrets, and makes sdp fail.
    #[test]
    fn a_report_that_fails_says_so() {
        struct Broken;
        impl Show for Broken {
            fn show(&mut self, _: &Record, _: Instant) {
                panic!("hunter2 cannot be shown")
            }
            fn deadline(&self) -> Option<Instant> {
                None
            }
            fn wake(&mut self, _: Instant) {}
            fn end(&mut self, _: Instant) {}
        }
        let redactor = Redactor::new([("TOKEN", "hunter2")]);
        let failure = panics::caught_here(|| pass(fixtures::success(), Broken)).unwrap_err();
        let mut told = Vec::new();
        tell(&failure, &redactor, &mut told);
        let told = String::from_utf8(told).unwrap();
        assert!(told.starts_with("error: sdp panicked"), "{told}");
        assert!(told.contains("*** cannot be shown; what"), "{told}");
    }

    #[test]
    fn a_reader_that_is_gone_stops_nothing() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let out = || stream(writer.try_clone().unwrap());
        pass(fixtures::success(), Json::new(out()));
        let look = console(Options::default(), [false, false], &[]).looks[0];
        let side = || Side::new(out(), look);
        pass(
            fixtures::success(),
            Lines::new(side(), side(), Options::default()),
        );
        pass(
            fixtures::failure(),
            Bars::new(out(), out(), look, || 60, Options::default()),
        );
    }
}
