//! For terminals: one line per stage, the running one alive. The only place that names indicatif.
//!
//! Only the last line of the screen is ever drawn again; a stage that has ended is printed above
//! it for good, as are a tool's output and warnings. So everything stands in the order in which it
//! happened, and neither a flood of output nor a new window size can garble more than one line.
//! It is drawn on this thread alone and sent in one piece: nothing flickers.

use std::fmt;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle, TermLike};

use super::sink::Sink;
use super::style::{Tone, clean, duration, fit};
use super::table::Table;
use super::words::{self, Course, End, Look};
use super::{Options, Show};
use crate::event::{Event, Record, Stage, State, Stream};

/// How often the running stage's line is drawn.
const TICK: Duration = Duration::from_millis(100);

/// Stderr as the terminal that it is.
struct Screen<W> {
    sink: Arc<Mutex<Sink<W>>>,
    /// Asked at each drawing, as windows change.
    width: fn() -> u16,
}

impl<W: Write> Screen<W> {
    fn sink(&self) -> MutexGuard<'_, Sink<W>> {
        self.sink.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn columns(&self) -> usize {
        usize::from((self.width)())
    }

    fn put(&self, text: fmt::Arguments<'_>) -> io::Result<()> {
        self.sink().write_fmt(text)
    }

    fn go(&self, n: usize, direction: char) -> io::Result<()> {
        match n {
            // To a terminal, 0 means 1.
            0 => Ok(()),
            n => self.put(format_args!("\u{1b}[{n}{direction}")),
        }
    }
}

impl<W> fmt::Debug for Screen<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Screen").finish_non_exhaustive()
    }
}

impl<W: Write + Send> TermLike for Screen<W> {
    fn width(&self) -> u16 {
        (self.width)()
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.go(n, 'A')
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.go(n, 'B')
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.go(n, 'C')
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.go(n, 'D')
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.put(format_args!("{text}\n"))
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        // indicatif fills a line with blanks up to the edge: in a window made narrower they would
        // become a second line.
        if text.bytes().all(|b| b == b' ') {
            return Ok(());
        }
        self.put(format_args!("{text}"))
    }

    fn clear_line(&self) -> io::Result<()> {
        self.put(format_args!("\r\u{1b}[2K"))
    }

    fn flush(&self) -> io::Result<()> {
        // The report sends the screen once it is complete.
        Ok(())
    }
}

/// Draws stages on a terminal that both streams lead to.
pub struct Bars<W> {
    out: Sink<W>,
    screen: Screen<W>,
    look: Look,
    verbose: bool,
    raw: bool,
    course: Course,
    table: Table,
    bar: ProgressBar,
    /// How wide the bar within the line is; 0 if there is none.
    bar_columns: usize,
    /// The running stage's time in milliseconds, as the line shows it.
    took: Arc<AtomicU64>,
    /// When the line is drawn next.
    tick: Option<Instant>,
}

impl<W: Write + Send + 'static> Bars<W> {
    /// `width` tells how many columns the terminal has at this moment.
    pub fn new(out: W, err: W, look: Look, width: fn() -> u16, options: Options) -> Bars<W> {
        let sink = Arc::new(Mutex::new(Sink::new(err)));
        let screen = |sink| Screen { sink, width };
        let target = ProgressDrawTarget::term_like(Box::new(screen(Arc::clone(&sink))));
        let took = Arc::default();
        let bar = ProgressBar::with_draw_target(None, target).with_style(style(
            0,
            look,
            Arc::clone(&took),
        ));
        bar.finish_and_clear();
        Bars {
            out: Sink::new(out),
            screen: screen(sink),
            look,
            verbose: options.verbose,
            raw: options.raw,
            course: Course::default(),
            table: Table::default(),
            bar,
            bar_columns: 0,
            took,
            tick: None,
        }
    }

    fn begin(&mut self, stage: Stage, now: Instant) {
        self.bar.set_prefix(stage.name());
        self.bar.set_message("");
        self.bar.unset_length();
        self.bar.reset();
        self.draw(now);
    }

    /// Draws the running stage's line.
    fn draw(&mut self, now: Instant) {
        let amount = self.course.amount;
        let columns = match amount.and_then(|a| a.total).map(|_| self.screen.columns()) {
            Some(90..) => 24,
            Some(56..) => 12,
            _ => 0,
        };
        if self.bar_columns != columns {
            self.bar_columns = columns;
            self.bar
                .set_style(style(columns, self.look, Arc::clone(&self.took)));
        }
        let message = self.course.progress();
        if self.bar.message() != message {
            self.bar.set_message(message);
        }
        let took = u64::try_from(self.course.elapsed(now).as_millis()).unwrap_or(u64::MAX);
        self.took.store(took, Ordering::Relaxed);
        self.bar.update(|state| {
            if let Some(amount) = amount
                && let Some(total) = amount.total
            {
                state.set_len(total);
                state.set_pos(amount.done);
            }
        });
        self.screen.sink().send(now);
        self.tick = Some(now + TICK);
    }

    /// Prints whole lines above the running stage's.
    fn print(&mut self, text: &str, now: Instant) {
        self.bar
            .suspend(|| self.screen.put(format_args!("{text}")).ok());
        self.screen.sink().send(now);
    }

    fn say(&mut self, line: impl fmt::Display, now: Instant) {
        self.print(&format!("{line}\n"), now);
    }

    /// Leaves a stage's line behind for good.
    fn settle(&mut self, stage: Stage, end: End, took: Duration, now: Instant) {
        let (tone, mark, ascii, remark) = match end {
            End::NotYet => return,
            End::Ok => (Tone::Good, "✓", "+", self.course.note.as_str()),
            End::Failed => (Tone::Bad, "✗", "x", "failed"),
            End::Cancelled => (Tone::Careful, "✗", "x", "cancelled"),
        };
        let mark = if self.look.unicode { mark } else { ascii };
        let line = format!(
            "{} {:<15} {:>5}  {remark}",
            self.look.paint.paint(tone, mark),
            stage.name(),
            duration(took),
        );
        let line = fit(
            line.trim_end(),
            Some(self.screen.columns()),
            self.look.ellipsis(),
        );
        self.clear();
        self.print(&format!("{line}\n"), now);
    }

    fn clear(&mut self) {
        self.tick = None;
        self.bar.finish_and_clear();
    }
}

/// The running stage's line, with or without a bar in it.
fn style(bar_columns: usize, look: Look, took: Arc<AtomicU64>) -> ProgressStyle {
    let (ticks, bar) = if look.unicode {
        ("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ ", "━╸─")
    } else {
        ("-\\|/ ", "=>-")
    };
    let bar_template = match bar_columns {
        0 => String::new(),
        n => format!(
            "{}  ",
            look.paint.paint(Tone::Advice, format_args!("{{bar:{n}}}"))
        ),
    };
    let template = format!("{{spinner}} {{prefix:15}} {{took:>5}}  {bar_template}{{wide_msg}}");
    let ticks: Vec<String> = ticks
        .chars()
        .map(|tick| look.paint.paint(Tone::Advice, tick).to_string())
        .collect();
    let ticks: Vec<&str> = ticks.iter().map(String::as_str).collect();
    ProgressStyle::with_template(&template)
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
        .with_key("took", move |_: &ProgressState, to: &mut dyn fmt::Write| {
            let took = Duration::from_millis(took.load(Ordering::Relaxed));
            to.write_str(&duration(took)).ok();
        })
        .tick_strings(&ticks)
        .progress_chars(bar)
}

impl<W: Write + Send + 'static> Show for Bars<W> {
    fn show(&mut self, record: &Record, now: Instant) {
        self.course.follow(&record.event, now);
        match &record.event {
            Event::Started(stage) => self.begin(*stage, now),
            Event::Note { stage, line } if self.verbose => {
                let line = format!("{}: {}\n", stage.name(), clean(line));
                self.print(&line, now);
            }
            Event::Planned { stage, line } => {
                let line = words::planned(*stage, line);
                self.print(&line, now);
            }
            // The next tick shows it.
            Event::Note { .. } | Event::Update { .. } | Event::Answered => {}
            Event::Output { line, .. } => {
                let line = clean(line);
                self.print(&format!("{line}\n"), now);
                self.course.has_shown(&line);
            }
            Event::Finished { stage, took } => {
                self.settle(*stage, End::Ok, took.elapsed, now);
            }
            Event::Failed {
                stage,
                took,
                problem,
            } => {
                self.settle(*stage, End::of_stage(problem), took.elapsed, now);
            }
            Event::Warning { stage, line, hint } => {
                let text = words::warning(*stage, line, hint.as_deref(), self.look);
                self.print(&text, now);
            }
            Event::Status(summary) => {
                if let (Some(stage), true) = (self.course.stage, self.course.running) {
                    self.settle(
                        stage,
                        End::of_deployment(summary),
                        self.course.elapsed(now),
                        now,
                    );
                }
                let text = match summary.state {
                    State::Running | State::Planned => words::success(
                        summary,
                        self.look,
                        Some(self.screen.columns()),
                        self.verbose,
                    ),
                    State::Failed | State::Cancelled => {
                        words::defeat(summary, &self.course, self.look)
                    }
                };
                self.print(&text, now);
            }
            Event::Aborted { problem, .. } => {
                let text = words::aborted(problem, self.look);
                self.print(&text, now);
            }
            Event::Service(service) => self.table.add(service),
            Event::Past { past, .. } => self.table.add_past(past),
            Event::Check(check) => self.print(&words::check(check, self.look), now),
            Event::Ready { warnings } => self.say(words::ready(*warnings), now),
            Event::Setting(setting) => self.table.add_setting(setting),
            Event::Pruned {
                containers,
                releases,
                freed,
                pretended,
                ..
            } => {
                for name in releases.iter().chain(containers) {
                    self.say(format_args!("  {}", clean(name)), now);
                }
                self.say(words::pruned(containers, releases, *freed, *pretended), now);
            }
            Event::Stopped {
                containers,
                elapsed,
                ..
            } => self.say(words::stopped(containers, *elapsed), now),
            // These come when no stage runs any more: there is no line to take care of.
            Event::Log(lines) => {
                for (stream, text) in lines.runs() {
                    match stream {
                        Stream::Stdout => {
                            self.screen.sink().send(now);
                            words::log(&mut self.out, text, !self.raw);
                            self.out.send_soon(now);
                        }
                        Stream::Stderr => {
                            self.out.send(now);
                            let mut sink = self.screen.sink();
                            words::log(&mut *sink, text, !self.raw);
                            sink.send_soon(now);
                        }
                    }
                }
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let sinks = [self.out.deadline(), self.screen.sink().deadline()];
        sinks.into_iter().flatten().chain(self.tick).min()
    }

    fn wake(&mut self, now: Instant) {
        self.out.wake(now);
        self.screen.sink().wake(now);
        if self.tick.is_some_and(|at| at <= now) {
            self.draw(now);
        }
    }

    fn end(&mut self, now: Instant) {
        let table = self.table.text(Some(self.screen.columns()));
        self.print(&table, now);
        self.clear();
        self.out.send(now);
        self.screen.sink().send(now);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::report::fixtures::{self, Emulator};
    use crate::report::style::Paint;

    const LOOK: Look = Look {
        terminal: true,
        unicode: true,
        paint: Paint { color: true },
    };

    fn bars(terminal: &Emulator, look: Look, width: fn() -> u16) -> Bars<Emulator> {
        Bars::new(
            terminal.clone(),
            terminal.clone(),
            look,
            width,
            Options::default(),
        )
    }

    /// Shows the events with a tick after each, a second apart.
    fn play(bars: &mut Bars<Emulator>, events: Vec<Event>) {
        let mut now = Instant::now();
        for record in fixtures::records(events) {
            bars.show(&record, now);
            now += Duration::from_secs(1);
            bars.wake(now);
        }
    }

    #[test]
    fn a_stage_lives_until_it_becomes_a_line() {
        let terminal = Emulator::new(60);
        let mut bars = bars(&terminal, LOOK, || 60);
        play(
            &mut bars,
            vec![
                Event::Started(Stage::Fetch),
                fixtures::update(Stage::Fetch, 12, 40),
                fixtures::note(Stage::Fetch, "2 new\tcommits"),
                fixtures::finished(Stage::Fetch, 120),
            ],
        );
        assert_eq!(
            terminal.pictures(),
            [
                "⠙ git fetch        0.0s",
                "⠹ git fetch        1.0s",
                "⠸ git fetch        2.0s  ━━━╸────────  12 of 40 objects",
                "⠼ git fetch        3.0s  ━━━╸────────  12 of 40 objects, 2 n",
                "✓ git fetch        0.1s  2 new commits",
            ]
        );
        assert_eq!(bars.deadline(), None);
    }

    #[test]
    fn what_is_left_is_a_line_per_stage_and_a_summary() {
        let terminal = Emulator::new(60);
        let mut bars = bars(&terminal, LOOK, || 60);
        play(&mut bars, fixtures::success());
        bars.end(Instant::now());
        assert_eq!(
            terminal.screen(),
            "\
✓ git fetch        0.1s  2 new commits
warning: `.env` can be read by everybody
hint: `chmod 600 .env`
# example.com/shop
✓ go build         1.2s  ./cmd/shop, 6.9 MiB
deployed main 3f9c2ab1d \"Say hello in 日本語 and in many ot…
  container  sdp-shop-20261124-061512-3f9c
  address    172.17.0.3:8080
  ports      0.0.0.0:8080->8080/tcp
  replaced   sdp-shop-20261123-101112-aaaa
  downtime   0.4s
  time       2.3s (go build 1.2s)
listening on :8080"
        );
    }

    #[test]
    fn no_line_wraps_at_any_width() {
        let widths: [fn() -> u16; 5] = [|| 40, || 41, || 60, || 120, || 250];
        for width in widths {
            let terminal = Emulator::new(width());
            let mut bars = bars(&terminal, LOOK, width);
            let wide = "日本語の長い件名".repeat(20);
            let mut events = vec![
                Event::Started(Stage::Start),
                fixtures::note(Stage::Start, &wide),
                fixtures::update(Stage::Start, 123_456, 1_234_567),
                fixtures::finished(Stage::Start, 120),
                Event::Started(Stage::Health),
                fixtures::note(Stage::Health, &format!("x{wide}")),
            ];
            events.extend(fixtures::success());
            let mut now = Instant::now();
            for record in fixtures::records(events) {
                bars.show(&record, now);
                now += Duration::from_secs(1);
                bars.wake(now);
                assert_eq!(terminal.wrapped(), [0_u16; 0], "{}", terminal.screen());
            }
        }
    }

    #[test]
    fn output_scrolls_past_above_the_living_line_without_a_flicker() {
        let terminal = Emulator::new(40);
        let mut bars = bars(&terminal, LOOK, || 40);
        let long = "a line of the compiler's that is longer than the screen is wide";
        play(
            &mut bars,
            vec![
                Event::Started(Stage::Build),
                fixtures::output("first"),
                fixtures::output(long),
            ],
        );
        for picture in terminal.pictures() {
            let last = picture.lines().last().unwrap();
            assert!(last.contains(" go build "), "{picture}");
            assert_eq!(picture.matches(" go build ").count(), 1, "{picture}");
        }
        bars.end(Instant::now());
        assert_eq!(terminal.screen(), format!("first\n{long}"));
    }

    #[test]
    fn failed_and_cancelled_stages_look_different() {
        let terminal = Emulator::new(60);
        let mut failed = bars(&terminal, LOOK, || 60);
        play(&mut failed, fixtures::failure());
        assert_eq!(
            terminal.screen(),
            "\
main.go:7:2: undefined: helo
✗ go build         1.2s  failed
error: go build: `go build` failed in `./cmd/shop`
hint: `go build ./cmd/shop` shows the same
`sdp-shop-20261123-101112-aaaa` still serves"
        );
        let terminal = Emulator::new(60);
        let ascii = Look {
            unicode: false,
            ..LOOK
        };
        let mut cancelled = bars(&terminal, ascii, || 60);
        play(&mut cancelled, fixtures::cancelled());
        assert_eq!(
            terminal.screen(),
            "\
x git fetch        1.0s  cancelled
cancelled during git fetch
what ran before, if anything, was left as it was"
        );
        assert!(terminal.pictures().iter().all(|picture| picture.is_ascii()));
    }
}
