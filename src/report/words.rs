//! What the two reports for people have in common: what they remember of a deployment, and the
//! texts at its end.

use std::fmt::{Display, Write as _};
use std::io::Write;
use std::time::{Duration, Instant};

use super::style::{self, Paint, Tone, clean, duration, fit};
use crate::event::{Amount, Check, Event, Outcome, Problem, Stage, State, Summary, Verdict};
use crate::failure::Code;
use crate::units::size;

/// What one of the two streams is to its reader.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// Text from outside must not steer it.
    pub terminal: bool,
    /// More than ASCII can be shown.
    pub unicode: bool,
    pub paint: Paint,
}

impl Look {
    pub fn ellipsis(self) -> &'static str {
        if self.unicode { "…" } else { "..." }
    }
}

/// How many lines of a tool's output are remembered.
const REMEMBERED: usize = 1000;

/// The stage that runs or was the last to run, and what is known of it.
#[derive(Debug, Default)]
pub struct Course {
    /// The stage that runs or that failed.
    pub stage: Option<Stage>,
    pub running: bool,
    since: Option<Instant>,
    /// The last remark; it stays when the stage has finished.
    pub note: String,
    pub amount: Option<Amount>,
    /// The tool's output that has been shown.
    shown: Vec<String>,
}

impl Course {
    /// Takes an event in. Call it before the event is shown.
    pub fn follow(&mut self, event: &Event, now: Instant) {
        match event {
            Event::Started(stage) => {
                *self = Course {
                    stage: Some(*stage),
                    running: true,
                    since: Some(now),
                    ..Course::default()
                }
            }
            Event::Note { line, .. } => self.note = clean(line).replace('\t', " "),
            Event::Update { amount, .. } => self.amount = Some(*amount),
            Event::Finished { .. } => (self.stage, self.running) = (None, false),
            Event::Failed { stage, .. } => (self.stage, self.running) = (Some(*stage), false),
            Event::Output { .. }
            | Event::Warning { .. }
            | Event::Log(_)
            | Event::Status(_)
            | Event::Aborted { .. }
            | Event::Service(_)
            | Event::Past { .. }
            | Event::Setting(_)
            | Event::Answered
            | Event::Check(_)
            | Event::Ready { .. }
            | Event::Pruned { .. }
            | Event::Planned { .. }
            | Event::Stopped { .. } => {}
        }
    }

    /// How long the stage has run.
    pub fn elapsed(&self, now: Instant) -> Duration {
        self.since
            .map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }

    /// Remembers a line of the tool's output that has been shown: an error need not repeat it.
    pub fn has_shown(&mut self, line: &str) {
        if self.shown.len() < REMEMBERED {
            self.shown.push(line.trim().to_owned());
        }
    }

    /// How far the stage has come, in words; empty if nothing is known.
    pub fn progress(&self) -> String {
        match (&self.amount, self.note.as_str()) {
            (None, note) => note.to_owned(),
            (Some(amount), "") => style::amount(amount).to_string(),
            (Some(amount), note) => format!("{}, {note}", style::amount(amount)),
        }
    }

    fn repeats(&self, detail: &[String]) -> bool {
        detail
            .iter()
            .all(|line| self.shown.iter().any(|shown| shown == clean(line).trim()))
    }
}

/// What became of a stage.
#[derive(Clone, Copy, Debug)]
pub enum End {
    NotYet,
    Ok,
    Failed,
    Cancelled,
}

impl End {
    /// The end of a stage that failed, or was told to end.
    pub fn of_stage(problem: &Problem) -> End {
        let told = [Code::Interrupted, Code::Terminated].map(Code::name);
        if told.contains(&problem.code) {
            End::Cancelled
        } else {
            End::Failed
        }
    }

    /// The end of a stage that was running when the deployment ended.
    pub fn of_deployment(summary: &Summary) -> End {
        match summary.state {
            State::Cancelled => End::Cancelled,
            State::Failed | State::Running | State::Planned => End::Failed,
        }
    }
}

/// A warning and what to do about it, as lines.
pub fn warning(stage: Option<Stage>, line: &str, hint: Option<&str>, look: Look) -> String {
    let mut text = String::new();
    let label = look.paint.paint(Tone::Careful, "warning:");
    sentence(&mut text, &label, stage, line);
    advice(&mut text, hint, look);
    text
}

/// Lines of the program's log, as bytes: as they are, or harmless on a terminal.
pub fn log(to: &mut impl Write, text: &[u8], harmless: bool) {
    if !harmless {
        to.write_all(text).ok();
        return;
    }
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        to.write_all(style::clean_bytes(line).as_bytes()).ok();
        to.write_all(b"\n").ok();
    }
}

/// The last lines of a deployment that went well, none wider than `width`.
pub fn success(summary: &Summary, look: Look, width: Option<usize>, verbose: bool) -> String {
    let mut text = String::new();
    let mut line = |line: &dyn Display| {
        text.push_str(&fit(&line.to_string(), width, look.ellipsis()));
        text.push('\n');
    };
    if summary.outcome == Outcome::Planned {
        return "nothing was touched\n".to_owned();
    }
    let word = match summary.outcome {
        Outcome::Unchanged => "unchanged",
        _ => handed(summary),
    };
    let mut headline = look.paint.paint(Tone::Good, word).to_string();
    if let Some(branch) = &summary.branch {
        write!(headline, " {}", clean(branch)).ok();
    }
    if let Some(commit) = &summary.commit {
        let id = look.paint.paint(Tone::Careful, commit.short());
        write!(headline, " {id}").ok();
        if !commit.subject.is_empty() {
            write!(headline, " \"{}\"", clean(&commit.subject)).ok();
        }
    }
    line(&headline);
    let mut row = |name: &str, value: &str| {
        let name = look.paint.paint(Tone::Faint, format!("{name:<9}"));
        line(&format_args!("  {name}  {}", clean(value)));
    };
    if let Some(container) = &summary.container {
        row("container", &container.name);
        if let Some(address) = &container.address {
            row("address", address);
        }
        if !container.ports.is_empty() {
            row("ports", &container.ports.join(", "));
        }
    }
    if let Some(replaced) = &summary.replaced {
        row("replaced", replaced);
    }
    if let Some(downtime) = summary.downtime.filter(|d| !d.is_zero()) {
        row("downtime", &duration(downtime));
    }
    row("time", &times(summary));
    if verbose {
        row("of it", &shares(summary));
    }
    text
}

/// What a command that hands over to a container has done.
pub fn handed(summary: &Summary) -> &'static str {
    match summary.what {
        "rollback" => "rolled back to",
        "start" => "started",
        _ => "deployed",
    }
}

/// Whose time it was: `sdp 35ms, remote 6ms, go 120ms, engine 350ms`.
fn shares(summary: &Summary) -> String {
    let mut shares = vec![("sdp", summary.own)];
    for (stage, took) in &summary.stages {
        let party = stage.party();
        match shares.last_mut() {
            Some((last, time)) if *last == party => *time += took.waited,
            _ => shares.push((party, took.waited)),
        }
    }
    let shares: Vec<String> = shares
        .iter()
        .map(|(party, time)| format!("{party} {}ms", time.as_millis()))
        .collect();
    shares.join(", ")
}

/// The whole time, and the stages that took most of it; each stage's own time stands in its line.
fn times(summary: &Summary) -> String {
    let total = summary.elapsed;
    let mut stages: Vec<_> = summary
        .stages
        .iter()
        .map(|(stage, took)| (stage, took.elapsed))
        .filter(|(_, took)| *took >= Duration::from_millis(50) && *took * 10 >= total)
        .collect();
    stages.sort_by_key(|(_, took)| std::cmp::Reverse(*took));
    let stages: Vec<String> = stages
        .iter()
        .take(2)
        .map(|(stage, took)| format!("{} {}", stage.name(), duration(*took)))
        .collect();
    match stages.as_slice() {
        [] => duration(total),
        stages => format!("{} ({})", duration(total), stages.join(", ")),
    }
}

/// The last lines of a deployment that went wrong or was cancelled: where, why, what to do, and
/// what serves now.
pub fn defeat(summary: &Summary, course: &Course, look: Look) -> String {
    let mut text = String::new();
    let problem = summary.problem.as_ref();
    if summary.state == State::Cancelled {
        let label = look.paint.paint(Tone::Careful, "cancelled");
        match course.stage {
            Some(stage) => writeln!(text, "{label} during {}", stage.name()),
            None => writeln!(text, "{label}"),
        }
        .ok();
    } else {
        let label = look.paint.paint(Tone::Bad, "error:");
        let message = problem.map_or("failed", |p| p.message.as_str());
        sentence(&mut text, &label, course.stage, message);
    }
    if let Some(problem) = problem {
        if !course.repeats(&problem.detail) {
            for line in problem.detail.iter().flat_map(|line| line.lines()) {
                writeln!(text, "  {}", clean(line)).ok();
            }
        }
        advice(&mut text, problem.hint.as_deref(), look);
    }
    if let Some(serving) = serving(summary, course) {
        writeln!(text, "{}", look.paint.paint(Tone::Strong, serving)).ok();
    }
    text
}

/// The last lines of any other command that failed.
pub fn aborted(problem: &Problem, look: Look) -> String {
    let mut text = String::new();
    let label = look.paint.paint(Tone::Bad, "error:");
    sentence(&mut text, &label, None, &problem.message);
    for line in &problem.detail {
        writeln!(text, "  {}", clean(line)).unwrap_or_default();
    }
    advice(&mut text, problem.hint.as_deref(), look);
    text
}

/// Something that `sdp doctor` has looked at, with the way out where there is something wrong.
pub fn check(check: &Check, look: Look) -> String {
    let (tone, mark, ascii) = match check.verdict {
        Verdict::Ok => (Tone::Good, "✓", "+"),
        Verdict::Warning => (Tone::Careful, "!", "!"),
        Verdict::Failed => (Tone::Bad, "✗", "x"),
    };
    let mark = look
        .paint
        .paint(tone, if look.unicode { mark } else { ascii });
    let mut text = String::new();
    let mut lines = check
        .line
        .lines()
        .chain(check.detail.iter().flat_map(|line| line.lines()));
    let first = clean(lines.next().unwrap_or_default());
    writeln!(text, "{mark} {:<11}  {first}", check.subject).ok();
    for line in lines {
        writeln!(text, "{:<15}{}", "", clean(line)).ok();
    }
    for hint in check.hint.iter().flat_map(|hint| hint.lines()) {
        let label = look.paint.paint(Tone::Advice, "hint:");
        writeln!(text, "{:<15}{label} {}", "", clean(hint)).ok();
    }
    text
}

/// The last word of `sdp doctor` where nothing has failed.
pub fn ready(warnings: usize) -> String {
    match warnings {
        0 => "ready".to_owned(),
        1 => "ready, with 1 warning".to_owned(),
        many => format!("ready, with {many} warnings"),
    }
}

/// What a stage would do.
pub fn planned(stage: Stage, line: &str) -> String {
    format!("{:<15}  {}\n", stage.name(), clean(line))
}

/// What `sdp stop` did to a container.
pub fn stopped(containers: &[String], elapsed: Option<Duration>) -> String {
    let containers = containers.join(", ");
    match elapsed {
        Some(elapsed) => format!("stopped {} ({})", clean(&containers), duration(elapsed)),
        None => format!("{} is stopped already", clean(&containers)),
    }
}

/// What `sdp prune` did, or would do.
pub fn pruned(containers: &[String], releases: &[String], freed: u64, pretended: bool) -> String {
    let verb = if pretended { "would remove" } else { "removed" };
    let plural = |count: usize, noun: &str| match count {
        1 => format!("1 {noun}"),
        count => format!("{count} {noun}s"),
    };
    format!(
        "{verb} {} and {} ({})",
        plural(releases.len(), "release"),
        plural(containers.len(), "container"),
        size(freed)
    )
}

/// One sentence on what serves now. It says no more than the summary knows: without a container in
/// it, either nothing was deployed before or the deployment ended before anybody looked.
fn serving(summary: &Summary, course: &Course) -> Option<String> {
    let container = summary.container.as_ref().map(|c| clean(&c.name));
    let gap = summary.downtime.filter(|d| !d.is_zero()).map(duration);
    match (summary.outcome, container) {
        (Outcome::FailedDown, _) => Some("nothing serves now".to_owned()),
        (Outcome::Deployed | Outcome::Unchanged, Some(name)) => Some(format!("`{name}` serves")),
        (_, Some(name)) => Some(match gap {
            Some(gap) => format!("`{name}` serves again, after a gap of {gap}"),
            None => format!("`{name}` still serves"),
        }),
        (_, None) if summary.nothing_runs => Some("nothing of it runs, as before".to_owned()),
        // Before the first stage there was nothing that could have changed.
        (_, None) if course.stage.is_none() && summary.stages.is_empty() => None,
        (_, None) => Some("what ran before, if anything, was left as it was".to_owned()),
    }
}

fn sentence(text: &mut String, label: &dyn Display, stage: Option<Stage>, message: &str) {
    let mut lines = message.lines();
    let first = clean(lines.next().unwrap_or_default());
    match stage {
        Some(stage) => writeln!(text, "{label} {}: {first}", stage.name()),
        None => writeln!(text, "{label} {first}"),
    }
    .ok();
    for line in lines {
        writeln!(text, "  {}", clean(line)).ok();
    }
}

fn advice(text: &mut String, hint: Option<&str>, look: Look) {
    for hint in hint.into_iter().flat_map(str::lines) {
        let label = look.paint.paint(Tone::Advice, "hint:");
        writeln!(text, "{label} {}", clean(hint)).ok();
    }
}
