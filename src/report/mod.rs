//! What people and scripts see of the events: bars, lines or JSON.
//!
//! A report runs on a thread of its own and owns both streams. It reads [`Record`]s, takes the
//! secrets out of them, and hands them to one of three [`Show`]s. The work never waits for it,
//! except that the program's own log lines queue up no further than `event` allows.

#[cfg(test)]
mod fixtures;
mod json;
mod lines;
mod sink;
mod style;
mod words;

use std::fs::File;
use std::io::{self, IsTerminal as _, Write};
use std::os::fd::AsFd;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use crate::event::Record;
use crate::redact::Redactor;
use json::Json;
use lines::{Lines, Side};
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
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// JSON lines on stdout and nothing else, on either stream.
    pub json: bool,
    /// Only warnings, errors and the program's log.
    pub quiet: bool,
    /// Also the start of each stage and every remark.
    pub verbose: bool,
    pub color: Color,
}

/// A running report.
#[derive(Debug)]
pub struct Report {
    /// Closes when the report has written everything.
    done: Receiver<()>,
}

/// Starts the report of `records` on a thread of its own.
pub fn start(mut records: Receiver<Record>, options: Options, redactor: Redactor) -> Report {
    let (alive, done) = mpsc::channel();
    std::thread::spawn(move || {
        let console = Console::look(
            options,
            [io::stdout().is_terminal(), io::stderr().is_terminal()],
            |name| std::env::var(name).ok(),
        );
        match console.shape {
            Shape::Json => run(&mut records, &redactor, Json::new(stream(io::stdout()))),
            Shape::Lines | Shape::Bars => {
                let [out, err] = console.looks;
                let lines = Lines::new(
                    Side::new(stream(io::stdout()), out),
                    Side::new(stream(io::stderr()), err),
                    options,
                );
                run(&mut records, &redactor, lines);
            }
        }
        drop(alive);
    });
    Report { done }
}

impl Report {
    /// Waits until everything is written. Call it when all emitters are gone.
    ///
    /// With `patience` it waits no longer than that: a reader that stopped reading without closing
    /// its end must not hold up the exit for ever.
    pub fn finish(self, patience: Option<Duration>) {
        match patience {
            None => self.done.recv().unwrap_or_default(),
            Some(patience) => self.done.recv_timeout(patience).unwrap_or_default(),
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

fn run(records: &mut Receiver<Record>, redactor: &Redactor, mut show: impl Show) {
    loop {
        let received = match show.deadline() {
            None => records.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(at) => records.recv_timeout(at.saturating_duration_since(Instant::now())),
        };
        let now = Instant::now();
        match received {
            Ok(mut record) => {
                record.event.for_each_text(|text| redactor.scrub(text));
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
