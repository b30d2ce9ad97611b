//! What GitHub Actions can show beside a job's log: a summary of the step.
//!
//! Workflow commands and the summary's file are described at
//! <https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands>.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;

use html_escape::encode_text;

use super::style::{clean, duration};
use super::words::{self, Course};
use crate::event::{Event, Outcome, Place, Summary};

/// Begins a group of lines that is folded up.
pub const GROUP: &str = "::group::";
pub const END_GROUP: &str = "::endgroup::\n";

/// Put before a line, it keeps the runner from taking it for a command.
pub const DISARM: &str = "| ";

/// Text without commands for the runner: else whoever gets a line into the log commands the job.
pub fn disarmed(text: &str) -> String {
    let line = |line: &str| {
        let mark = if commands(line.as_bytes()) {
            DISARM
        } else {
            ""
        };
        format!("{mark}{line}")
    };
    text.split_inclusive('\n').map(line).collect()
}

/// Whether the runner would take the line for a command.
pub fn commands(line: &[u8]) -> bool {
    let line = line.trim_ascii_start();
    line.starts_with(b"::") || line.starts_with(b"##[")
}

/// A place in a file as a workflow command of GitHub Actions, which marks it in the file.
///
/// The escapes are those of its toolkit, `packages/core/src/command.ts`.
pub fn annotation(place: &Place) -> String {
    let message: Vec<String> = place
        .message
        .lines()
        .map(|line| clean(line).into())
        .collect();
    let data = |text: &str| {
        let text = text.replace('%', "%25");
        text.replace('\r', "%0D").replace('\n', "%0A")
    };
    let file = data(&place.file).replace(':', "%3A").replace(',', "%2C");
    let column = place.column.map(|column| format!(",col={column}"));
    format!(
        "::error file={file},line={}{}::{}\n",
        place.line,
        column.unwrap_or_default(),
        data(&message.join("\n"))
    )
}

/// The step's summary, to which the end of the deployment is added.
pub struct StepSummary {
    file: File,
    course: Course,
}

impl StepSummary {
    /// `None` where there is no such file, or it cannot be written to: that fails no deployment.
    pub fn open(variable: impl Fn(&str) -> Option<String>) -> Option<StepSummary> {
        let path = variable("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty())?;
        let file = File::options().append(true).create(true).open(path).ok()?;
        Some(StepSummary {
            file,
            course: Course::default(),
        })
    }

    pub fn follow(&mut self, event: &Event, now: std::time::Instant) {
        self.course.follow(event, now);
        if let Event::Status(summary) = event {
            let text = page(summary, &self.course);
            self.file.write_all(text.as_bytes()).ok();
        }
    }
}

/// HTML, as it can be escaped without knowing where in a line Markdown means something.
fn page(summary: &Summary, course: &Course) -> String {
    let mut page = String::new();
    let escaped = |text: &str| encode_text(&clean(text)).into_owned();
    let (mark, word) = match summary.outcome {
        Outcome::Deployed => ("✅ ", words::handed(summary)),
        Outcome::Unchanged => ("✅ ", "unchanged"),
        Outcome::Planned => ("", "planned"),
        Outcome::Cancelled => ("⚠️ ", "cancelled"),
        Outcome::Locked | Outcome::FailedOldServing | Outcome::FailedDown => ("❌ ", "failed"),
    };
    write!(page, "<h3>{mark}{word}").ok();
    if let Some(branch) = &summary.branch {
        write!(page, " {}", escaped(branch)).ok();
    }
    if let Some(commit) = &summary.commit {
        let (id, subject) = (escaped(commit.short()), escaped(&commit.subject));
        write!(page, " <code>{id}</code> {subject}").ok();
    }
    page.push_str("</h3>\n");

    if let Some(problem) = &summary.problem {
        let stage = course
            .stage
            .map_or_else(String::new, |stage| format!("{}: ", stage.name()));
        writeln!(page, "<p><b>{stage}{}</b></p>", escaped(&problem.message)).ok();
        if !problem.detail.is_empty() {
            let detail: Vec<String> = problem.detail.iter().map(|line| escaped(line)).collect();
            writeln!(page, "<pre>{}</pre>", detail.join("\n")).ok();
        }
        if let Some(hint) = &problem.hint {
            writeln!(page, "<p>hint: {}</p>", escaped(hint)).ok();
        }
    }

    page.push_str("<table>\n");
    let mut row = |name: &str, value: &str| {
        writeln!(page, "<tr><td>{name}</td><td>{}</td></tr>", escaped(value)).ok();
    };
    if let Some(container) = &summary.container {
        row("container", &container.name);
        if !container.ports.is_empty() {
            row("ports", &container.ports.join(", "));
        }
    }
    if let Some(replaced) = &summary.replaced {
        row("replaced", replaced);
    }
    if let Some(downtime) = summary.downtime.filter(|gap| !gap.is_zero()) {
        row("downtime", &duration(downtime));
    }
    row("time", &duration(summary.elapsed));
    page.push_str("</table>\n");

    if !summary.stages.is_empty() {
        page.push_str("<table>\n<tr><th>stage</th><th>time</th><th>waited for</th></tr>\n");
        for (stage, took) in &summary.stages {
            writeln!(
                page,
                "<tr><td>{}</td><td>{}</td><td>{} {}</td></tr>",
                stage.name(),
                duration(took.elapsed),
                stage.party(),
                duration(took.waited)
            )
            .ok();
        }
        page.push_str("</table>\n");
    }
    page.push('\n');
    page
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Instant;

    use super::*;
    use crate::report::fixtures;

    fn page_of(events: Vec<Event>) -> String {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().display().to_string();
        let mut summary = StepSummary::open(|name| match name {
            "GITHUB_STEP_SUMMARY" => Some(path.clone()),
            _ => None,
        })
        .unwrap();
        for record in fixtures::records(events) {
            summary.follow(&record.event, Instant::now());
        }
        std::fs::read_to_string(file.path()).unwrap()
    }

    #[test]
    fn a_success_is_a_page_with_its_times() {
        assert_eq!(
            page_of(fixtures::success()),
            "<h3>✅ deployed main <code>3f9c2ab1d</code> Say hello in 日本語 and in many other languages</h3>
<table>
<tr><td>container</td><td>sdp-shop-20261124-061512-3f9c</td></tr>
<tr><td>ports</td><td>0.0.0.0:8080-&gt;8080/tcp</td></tr>
<tr><td>replaced</td><td>sdp-shop-20261123-101112-aaaa</td></tr>
<tr><td>downtime</td><td>0.4s</td></tr>
<tr><td>time</td><td>2.3s</td></tr>
</table>
<table>
<tr><th>stage</th><th>time</th><th>waited for</th></tr>
<tr><td>git fetch</td><td>0.1s</td><td>remote 0.1s</td></tr>
<tr><td>go build</td><td>1.2s</td><td>go 1.2s</td></tr>
</table>

"
        );
    }

    #[test]
    fn a_failure_is_a_page_with_its_reason_and_no_markup_of_others() {
        let mut events = fixtures::failure();
        if let Some(Event::Status(summary)) = events.last_mut() {
            let problem = summary.problem.as_mut().unwrap();
            problem.detail = vec!["<script>\u{1b}[1m".to_owned()];
        }
        let page = page_of(events);
        assert!(page.contains("<p><b>go build: `go build` failed in `./cmd/shop`</b></p>"));
        assert!(page.contains("<pre>&lt;script&gt;"), "{page}");
        assert!(!page.contains('\u{1b}'));
    }

    #[test]
    fn lines_of_others_are_no_commands() {
        assert_eq!(
            disarmed("a::b\n  ::error::x\n##[group]x\n"),
            "a::b\n|   ::error::x\n| ##[group]x\n"
        );
    }

    #[test]
    fn an_annotation_holds_whatever_a_compiler_says() {
        let place = |column| Place {
            file: "a,b:c%.go".to_owned(),
            line: 4,
            column,
            message: "100% wrong: this, that\nhave (int)".to_owned(),
        };
        let message = "100%25 wrong: this, that%0Ahave (int)\n";
        assert_eq!(
            annotation(&place(Some(2))),
            format!("::error file=a%2Cb%3Ac%25.go,line=4,col=2::{message}")
        );
        assert_eq!(
            annotation(&place(None)),
            format!("::error file=a%2Cb%3Ac%25.go,line=4::{message}")
        );
    }
}
