//! For where there is no terminal: a line per stage, in the order in which things happen.

use std::fmt::Display;
use std::io::Write;
use std::time::{Duration, Instant};

use super::github;
use super::sink::Sink;
use super::style::{Tone, clean, duration};
use super::table::Table;
use super::words::{self, Course, End, Look};
use super::{Options, Show};
use crate::event::{Check, Event, Record, Stage, State, Stream, Verdict};

/// How long a stage may run without a word: the log of a CI job must not look stuck.
const SILENCE: Duration = Duration::from_secs(5);

/// How often it is told after that how far the stage has come.
const REMINDER: Duration = Duration::from_secs(30);

/// One of the two streams.
pub struct Side<W> {
    sink: Sink<W>,
    look: Look,
}

impl<W: Write> Side<W> {
    pub fn new(to: W, look: Look) -> Side<W> {
        Side {
            sink: Sink::new(to),
            look,
        }
    }
}

/// Writes lines: what was asked for to stdout, warnings and errors to stderr.
#[allow(clippy::struct_excessive_bools)] // they are flags
pub struct Lines<W> {
    out: Side<W>,
    err: Side<W>,
    quiet: bool,
    verbose: bool,
    /// What is written is the log of a GitHub Actions job.
    github: bool,
    /// A group of lines has been begun in it.
    in_group: bool,
    raw: bool,
    course: Course,
    table: Table,
    /// When the running stage is heard of next.
    notice: Option<Instant>,
}

impl<W: Write> Lines<W> {
    pub fn new(out: Side<W>, err: Side<W>, options: Options) -> Lines<W> {
        Lines {
            out,
            err,
            quiet: options.quiet,
            verbose: options.verbose,
            github: false,
            in_group: false,
            raw: options.raw,
            course: Course::default(),
            table: Table::default(),
            notice: None,
        }
    }

    /// Whether a runner of GitHub Actions reads it, which takes some lines for commands.
    pub fn on_github(self, github: bool) -> Lines<W> {
        Lines { github, ..self }
    }

    /// The side of a stream, ready to be written to. Where the two streams end in the same place,
    /// their lines must stay in order: what waits in the other one goes out first.
    fn side(&mut self, stream: Stream, now: Instant) -> &mut Side<W> {
        let (this, other) = match stream {
            Stream::Stdout => (&mut self.out, &mut self.err),
            Stream::Stderr => (&mut self.err, &mut self.out),
        };
        if other.sink.deadline().is_some() {
            other.sink.send(now);
        }
        this
    }

    fn print(&mut self, stream: Stream, text: &str, now: Instant) {
        if self.github {
            self.put(stream, &github::disarmed(text), now);
        } else {
            self.put(stream, text, now);
        }
    }

    /// Commands the runner of a GitHub Actions job.
    fn command(&mut self, text: &str, now: Instant) {
        self.put(Stream::Stdout, text, now);
    }

    /// Begins a group, if none is begun.
    fn begin_group(&mut self, name: &str, now: Instant) {
        if self.github && !self.in_group {
            self.command(&format!("{}{name}\n", github::GROUP), now);
            self.in_group = true;
        }
    }

    /// A line of a stage's tool.
    fn output(&mut self, stage: Stage, stream: Stream, line: &str, now: Instant) {
        if self.quiet {
            return;
        }
        let line = clean(line);
        self.begin_group(stage.name(), now);
        self.print(stream, &format!("{line}\n"), now);
        // What is folded up is not seen.
        if !self.in_group {
            self.course.has_shown(&line);
        }
    }

    /// Lines of the program's, all of one stream.
    fn log(&mut self, stream: Stream, text: &[u8], now: Instant) {
        let (raw, github) = (self.raw, self.github);
        let side = self.side(stream, now);
        if github {
            for line in text.split_inclusive(|byte| *byte == b'\n') {
                if github::commands(line) {
                    side.sink.write_all(github::DISARM.as_bytes()).ok();
                }
                side.sink.write_all(line).ok();
            }
        } else {
            words::log(&mut side.sink, text, side.look.terminal && !raw);
        }
        side.sink.send_soon(now);
    }

    fn pruned(
        &mut self,
        containers: &[String],
        releases: &[String],
        freed: u64,
        pretended: bool,
        now: Instant,
    ) {
        if self.quiet {
            return;
        }
        for name in releases.iter().chain(containers) {
            self.say(format_args!("  {}", clean(name)), now);
        }
        self.say(words::pruned(containers, releases, freed, pretended), now);
    }

    fn check(&mut self, check: &Check, now: Instant) {
        if !self.quiet || check.verdict != Verdict::Ok {
            let text = words::check(check, self.out.look);
            self.print(Stream::Stdout, &text, now);
        }
    }

    fn end_group(&mut self, now: Instant) {
        if std::mem::take(&mut self.in_group) {
            self.command(github::END_GROUP, now);
        }
    }

    fn put(&mut self, stream: Stream, text: &str, now: Instant) {
        let side = self.side(stream, now);
        side.sink.write_all(text.as_bytes()).ok();
        side.sink.send(now);
    }

    /// A stage's line: its name, what became of it, how long it took, the last remark.
    fn stage(&mut self, stage: Stage, end: End, took: Duration, remark: &str, now: Instant) {
        if self.quiet {
            return;
        }
        let paint = self.out.look.paint;
        let (tone, word) = match end {
            End::NotYet => (Tone::Faint, "..."),
            End::Ok => (Tone::Good, "ok"),
            End::Failed => (Tone::Bad, "FAILED"),
            End::Cancelled => (Tone::Careful, "cancelled"),
        };
        let line = format!(
            "{:<15}  {}  {:>5}  {remark}",
            stage.name(),
            paint.paint(tone, word),
            duration(took),
        );
        self.print(Stream::Stdout, &format!("{}\n", line.trim_end()), now);
    }

    fn say(&mut self, line: impl Display, now: Instant) {
        self.print(Stream::Stdout, &format!("{line}\n"), now);
    }
}

impl<W: Write> Show for Lines<W> {
    fn show(&mut self, record: &Record, now: Instant) {
        self.course.follow(&record.event, now);
        match &record.event {
            Event::Started(stage) => {
                self.notice = (!self.quiet).then_some(now + SILENCE);
                if self.verbose {
                    self.say(format_args!("{:<15}  ...", stage.name()), now);
                }
            }
            Event::Note { stage, line } => {
                if self.verbose {
                    self.say(format_args!("{}: {}", stage.name(), clean(line)), now);
                }
            }
            Event::Ready { warnings } if !self.quiet => self.say(words::ready(*warnings), now),
            Event::Update { .. } | Event::Answered | Event::Ready { .. } => {}
            Event::Planned { stage, line } => {
                let line = words::planned(*stage, line);
                self.print(Stream::Stdout, &line, now);
            }
            Event::Output {
                stage,
                stream,
                line,
            } => self.output(*stage, *stream, line, now),
            Event::Finished { stage, took } => {
                self.notice = None;
                self.end_group(now);
                let note = std::mem::take(&mut self.course.note);
                self.stage(*stage, End::Ok, took.elapsed, &note, now);
            }
            Event::Failed {
                stage,
                took,
                problem,
            } => {
                self.notice = None;
                self.end_group(now);
                self.stage(*stage, End::of_stage(problem), took.elapsed, "", now);
                if self.github {
                    let text: String = problem.places.iter().map(github::annotation).collect();
                    self.command(&text, now);
                }
            }
            Event::Warning { stage, line, hint } => {
                let text = words::warning(*stage, line, hint.as_deref(), self.err.look);
                self.print(Stream::Stderr, &text, now);
            }
            Event::Log(lines) => {
                for (stream, text) in lines.runs() {
                    self.log(stream, text, now);
                }
            }
            Event::Status(summary) => {
                self.notice = None;
                self.end_group(now);
                if let (Some(stage), true) = (self.course.stage, self.course.running) {
                    self.stage(
                        stage,
                        End::of_deployment(summary),
                        self.course.elapsed(now),
                        "",
                        now,
                    );
                }
                if matches!(summary.state, State::Failed | State::Cancelled) {
                    let text = words::defeat(summary, &self.course, self.err.look);
                    self.print(Stream::Stderr, &text, now);
                } else if !self.quiet {
                    let text = words::success(summary, self.out.look, None, self.verbose);
                    self.print(Stream::Stdout, &text, now);
                }
            }
            Event::Aborted { problem, .. } => {
                let text = words::aborted(problem, self.err.look);
                self.print(Stream::Stderr, &text, now);
            }
            Event::Service(service) => self.table.add(service),
            Event::Past { past, .. } => self.table.add_past(past),
            Event::Check(check) => self.check(check, now),
            Event::Setting(setting) => self.table.add_setting(setting),
            Event::Pruned {
                containers,
                releases,
                freed,
                pretended,
                ..
            } => self.pruned(containers, releases, *freed, *pretended, now),
            Event::Stopped {
                containers,
                elapsed,
                ..
            } => {
                if !self.quiet {
                    self.say(words::stopped(containers, *elapsed), now);
                }
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        [
            self.out.sink.deadline(),
            self.err.sink.deadline(),
            self.notice,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn wake(&mut self, now: Instant) {
        self.out.sink.wake(now);
        self.err.sink.wake(now);
        if self.notice.is_some_and(|at| at <= now) {
            self.notice = Some(now + REMINDER);
            if let Some(stage) = self.course.stage {
                let progress = self.course.progress();
                self.stage(stage, End::NotYet, self.course.elapsed(now), &progress, now);
            }
        }
    }

    fn end(&mut self, now: Instant) {
        let table = self.table.text(None);
        self.print(Stream::Stdout, &table, now);
        self.out.sink.send(now);
        self.err.sink.send(now);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::event::{Outcome, Problem};
    use crate::report::fixtures::{self, Shared};
    use crate::report::style::Paint;

    const PLAIN: Look = Look {
        terminal: false,
        unicode: true,
        paint: Paint { color: false },
    };

    /// What stands in stdout and in stderr at the end.
    fn shown(events: Vec<Event>, options: Options) -> [String; 2] {
        let (out, err) = (Shared::default(), Shared::default());
        let mut lines = Lines::new(
            Side::new(out.clone(), PLAIN),
            Side::new(err.clone(), PLAIN),
            options,
        );
        let now = Instant::now();
        for record in fixtures::records(events) {
            lines.show(&record, now);
        }
        lines.end(now);
        [out.text(), err.text()]
    }

    #[test]
    fn a_success_is_a_line_per_stage_and_a_summary() {
        let [out, err] = shown(fixtures::success(), Options::default());
        assert_eq!(
            out,
            r#"git fetch        ok   0.1s  2 new commits
go build         ok   1.2s  ./cmd/shop, 6.9 MiB
deployed main 3f9c2ab1d "Say hello in 日本語 and in many other languages"
  container  sdp-shop-20261124-061512-3f9c
  address    172.17.0.3:8080
  ports      0.0.0.0:8080->8080/tcp
  replaced   sdp-shop-20261123-101112-aaaa
  downtime   0.4s
  time       2.3s (go build 1.2s)
listening on :8080
"#
        );
        assert_eq!(
            err,
            "warning: `.env` can be read by everybody
hint: `chmod 600 .env`
# example.com/shop
"
        );
    }

    #[test]
    fn quiet_leaves_warnings_and_the_log_and_verbose_adds_starts_and_remarks() {
        let quiet = Options {
            quiet: true,
            ..Options::default()
        };
        assert_eq!(
            shown(fixtures::success(), quiet),
            [
                "listening on :8080\n",
                "warning: `.env` can be read by everybody\nhint: `chmod 600 .env`\n"
            ]
        );
        let verbose = Options {
            verbose: true,
            ..Options::default()
        };
        let [out, _] = shown(fixtures::success(), verbose);
        let head: Vec<&str> = out.lines().take(3).collect();
        assert_eq!(
            head,
            [
                "git fetch        ...",
                "git fetch: 2 new commits",
                "git fetch        ok   0.1s  2 new commits"
            ]
        );
    }

    #[test]
    fn a_failure_shows_its_error_once_and_what_serves_now() {
        let [out, err] = shown(fixtures::failure(), Options::default());
        assert_eq!(out, "go build         FAILED   1.2s\n");
        assert_eq!(
            err,
            "main.go:7:2: undefined: helo
error: go build: `go build` failed in `./cmd/shop`
hint: `go build ./cmd/shop` shows the same
`sdp-shop-20261123-101112-aaaa` still serves
"
        );
        let quiet = Options {
            quiet: true,
            ..Options::default()
        };
        assert_eq!(
            shown(fixtures::failure(), quiet),
            [
                "",
                "error: go build: `go build` failed in `./cmd/shop`
  main.go:7:2: undefined: helo
hint: `go build ./cmd/shop` shows the same
`sdp-shop-20261123-101112-aaaa` still serves
"
            ]
        );
    }

    #[test]
    fn a_cancelled_stage_is_not_called_failed() {
        assert_eq!(
            shown(fixtures::cancelled(), Options::default()),
            [
                "git fetch        cancelled   0.0s\n",
                "cancelled during git fetch\nwhat ran before, if anything, was left as it was\n"
            ]
        );
    }

    #[test]
    fn the_last_sentence_says_no_more_than_is_known() {
        let said = |started: bool, outcome, millis: Option<u64>| {
            let mut summary = fixtures::ended(State::Failed, outcome);
            summary.downtime = millis.map(Duration::from_millis);
            if millis.is_some() {
                summary.container = Some(fixtures::running());
            }
            summary.problem = Some(Problem {
                code: "internal",
                message: "no".to_owned(),
                hint: None,
                detail: Vec::new(),
                places: Vec::new(),
            });
            let mut events = vec![Event::Status(Box::new(summary))];
            if started {
                events.insert(0, Event::Started(Stage::Start));
            }
            let [_, err] = shown(events, Options::default());
            err
        };
        assert_eq!(said(false, Outcome::Locked, None), "error: no\n");
        assert_eq!(
            said(true, Outcome::FailedOldServing, Some(724)),
            "error: start container: no\n`sdp-shop-old` serves again, after a gap of 0.7s\n"
        );
        assert_eq!(
            said(true, Outcome::FailedDown, None),
            "error: start container: no\nnothing serves now\n"
        );
    }

    #[test]
    fn a_long_stage_is_heard_of_though_nothing_happens() {
        let out = Shared::default();
        let mut lines = Lines::new(
            Side::new(out.clone(), PLAIN),
            Side::new(Shared::default(), PLAIN),
            Options::default(),
        );
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        for record in fixtures::records(vec![
            Event::Started(Stage::Fetch),
            fixtures::update(Stage::Fetch, 12, 40),
        ]) {
            lines.show(&record, start);
        }
        assert_eq!(lines.deadline(), Some(at(5)));
        lines.wake(at(5));
        assert_eq!(lines.deadline(), Some(at(35)));
        lines.wake(at(34));
        lines.wake(at(65));
        for record in fixtures::records(vec![fixtures::finished(Stage::Fetch, 70_000)]) {
            lines.show(&record, at(70));
        }
        assert_eq!(lines.deadline(), None);
        assert_eq!(
            out.text(),
            "git fetch        ...   5.0s  12 of 40 objects
git fetch        ...  1m05s  12 of 40 objects
git fetch        ok  1m10s
"
        );
    }

    #[test]
    fn the_program_s_bytes_pass_as_they_are_except_on_a_terminal() {
        let log = || {
            vec![
                fixtures::log_to(Stream::Stdout, b"\x1b[2J\xff", None),
                fixtures::log_to(Stream::Stderr, b"oops", Some("2026-11-24T06:15:12Z")),
            ]
        };
        for (terminal, raw, expected) in [
            (false, false, &b"\x1b[2J\xff\n"[..]),
            (true, false, "\u{fffd}\n".as_bytes()),
            (true, true, b"\x1b[2J\xff\n"),
        ] {
            let (out, err) = (Shared::default(), Shared::default());
            let look = Look { terminal, ..PLAIN };
            let mut lines = Lines::new(
                Side::new(out.clone(), look),
                Side::new(err.clone(), look),
                Options {
                    raw,
                    ..Options::default()
                },
            );
            for record in fixtures::records(log()) {
                lines.show(&record, Instant::now());
            }
            assert_eq!(out.bytes(), expected);
            assert_eq!(err.text(), "2026-11-24T06:15:12Z oops\n");
        }
    }

    #[test]
    fn text_from_outside_never_carries_escapes() {
        let evil = "\u{1b}]0;pwned\u{7}\u{1b}[2Jtext\r\u{202e}";
        let mut summary = fixtures::ended(State::Failed, Outcome::FailedOldServing);
        summary.problem = Some(Problem {
            code: "internal",
            message: format!("{evil}\n{evil}"),
            hint: Some(evil.to_owned()),
            detail: vec![evil.to_owned()],
            places: Vec::new(),
        });
        let events = vec![
            Event::Started(Stage::Build),
            fixtures::note(Stage::Build, evil),
            fixtures::output(evil),
            Event::Warning {
                stage: Some(Stage::Build),
                line: evil.to_owned(),
                hint: Some(evil.to_owned()),
            },
            fixtures::finished(Stage::Build, 1),
            Event::Status(Box::new(summary)),
        ];
        let verbose = Options {
            verbose: true,
            ..Options::default()
        };
        for text in shown(events, verbose) {
            assert!(text.contains("text"), "{text:?}");
            assert!(
                !text.contains(['\u{1b}', '\u{7}', '\r', '\u{202e}']),
                "{text:?}"
            );
        }
    }
}
