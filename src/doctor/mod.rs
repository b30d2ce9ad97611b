//! `sdp doctor`: what a deployment would meet, found out without changing anything.
//!
//! Each check asks what the deployment itself asks, and tells the failure that it would have.

mod checkout;
mod host;
mod ports;

use std::time::Duration;

use crate::engine::{Engine, Platform};
use crate::event::{Check, Emitter, Event, Verdict};
use crate::failure::{Code, Failure, Result};
use crate::interrupt::Interrupt;
use crate::plan::{Build, Plan, Warning};
use crate::{run, upkeep};

/// No answer is waited for longer than this, whatever a deployment would do.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is looked at.
#[derive(Debug)]
pub struct Patient<'a> {
    /// `None`: the host alone.
    pub plan: Option<&'a Plan>,
    /// How to find and run go.
    pub build: &'a Build,
    pub host: Option<&'a str>,
}

/// Tells about everything that a deployment needs.
///
/// # Errors
/// `host_not_ready` if a deployment would fail, or the interruption.
pub async fn doctor(
    patient: &Patient<'_>,
    emitter: &Emitter,
    interrupt: &Interrupt,
) -> Result<Event> {
    let mut chart = Chart::new(emitter);
    let near = look_at_host(patient, interrupt, &mut chart);
    let far = async {
        match patient.plan {
            Some(plan) => checkout::remote(plan).await,
            None => Vec::new(),
        }
    };
    let ((), remote) = tokio::join!(near, far);
    chart.note_all(remote);
    chart.verdict()
}

async fn look_at_host(patient: &Patient<'_>, interrupt: &Interrupt, chart: &mut Chart<'_>) {
    let Patient { plan, build, host } = *patient;
    let asked = async {
        let engine = Engine::connect(host)?.impatient(PATIENCE);
        engine.facts().await.map(|facts| (engine, facts))
    };
    let go = host::go(plan, build, interrupt);
    let (asked, (go, toolchain)) = tokio::join!(asked, go);
    match &asked {
        Ok((engine, facts)) => {
            chart.note(host::engine(facts));
            chart.note_all(engine.socket().and_then(host::permissions));
        }
        Err(failure) if failure.code == Code::EngineDenied => {
            chart.note(failed("permissions", failure));
        }
        Err(failure) => chart.note(failed("engine", failure)),
    }
    chart.note(go);
    if let Some(plan) = plan {
        let careless = plan.warnings.iter();
        chart.note_all(careless.map(|warning| careful("secrets", warning)));
        chart.note_all(checkout::checkout(plan).await);
        chart.note(checkout::files(plan));
    }
    match (&asked, plan) {
        (Ok((engine, facts)), Some(plan)) => {
            chart.note_all(look_at_service(plan, engine, &facts.platform).await);
        }
        (Err(_), Some(plan)) => chart.note_all(checkout::underway(plan)),
        (_, None) => {}
    }
    let cache = host::build_cache(plan, build, toolchain.as_ref(), interrupt).await;
    let root = match &asked {
        Ok((engine, facts)) if engine.socket().is_some() => Some(facts.root.clone()),
        _ => None,
    };
    chart.note_all(host::disks(plan, root.into_iter().chain(cache)));
    let skew = asked.as_ref().ok().and_then(|(_, facts)| facts.skew);
    chart.note(host::clock(plan, skew));
}

/// What the engine has of the repository: what serves, its image, its ports.
async fn look_at_service(plan: &Plan, engine: &Engine, platform: &Platform) -> Vec<Check> {
    let found = async {
        tokio::try_join!(
            upkeep::containers(engine, &plan.repository),
            engine.running_containers(),
        )
    };
    let image = host::image(plan, engine, platform);
    let (found, image) = tokio::join!(found, image);
    let (own, running) = match found {
        Ok(found) => found,
        Err(failure) => return vec![failed("service", &failure), image],
    };
    let formers = run::serving(&own);
    let mut checks = vec![checkout::service(plan, &own, &formers), image];
    checks.extend(ports::ports(
        &plan.container.publish,
        &running,
        &formers,
        engine.socket().is_some(),
    ));
    checks
}

/// What has been found so far.
struct Chart<'a> {
    emitter: &'a Emitter,
    failed: Vec<&'static str>,
    warnings: usize,
}

impl Chart<'_> {
    fn new(emitter: &Emitter) -> Chart<'_> {
        Chart {
            emitter,
            failed: Vec::new(),
            warnings: 0,
        }
    }

    fn note(&mut self, check: Check) {
        match check.verdict {
            Verdict::Ok => {}
            Verdict::Warning => self.warnings += 1,
            Verdict::Failed if self.failed.contains(&check.subject) => {}
            Verdict::Failed => self.failed.push(check.subject),
        }
        self.emitter.emit(Event::Check(Box::new(check)));
    }

    fn note_all(&mut self, checks: impl IntoIterator<Item = Check>) {
        for check in checks {
            self.note(check);
        }
    }

    fn verdict(self) -> Result<Event> {
        if self.failed.is_empty() {
            let warnings = self.warnings;
            return Ok(Event::Ready { warnings });
        }
        let failed = self.failed.join(", ");
        let message = format!("a deployment would fail: {failed}");
        let hint = "each line above that failed says how to mend it; `sdp doctor` again then";
        Err(Failure::new(Code::HostNotReady, message).hint(hint))
    }
}

fn ok(subject: &'static str, line: impl Into<String>) -> Check {
    Check {
        subject,
        verdict: Verdict::Ok,
        line: line.into(),
        hint: None,
        code: None,
        detail: Vec::new(),
    }
}

fn warning(subject: &'static str, line: impl Into<String>, hint: impl Into<String>) -> Check {
    Check {
        verdict: Verdict::Warning,
        hint: Some(hint.into()),
        ..ok(subject, line)
    }
}

fn careful(subject: &'static str, known: &Warning) -> Check {
    warning(subject, &known.line, &known.hint)
}

/// What a deployment would fail with.
fn failed(subject: &'static str, failure: &Failure) -> Check {
    let problem = failure.problem();
    Check {
        subject,
        verdict: Verdict::Failed,
        line: problem.message,
        hint: problem.hint,
        code: Some(problem.code),
        detail: problem.detail,
    }
}

/// The same where a deployment gets on with it.
fn lenient(subject: &'static str, failure: &Failure) -> Check {
    Check {
        verdict: Verdict::Warning,
        ..failed(subject, failure)
    }
}

/// Waits for an answer no longer than [`PATIENCE`]; `silence` is what to say then.
async fn limited<T>(
    silence: impl FnOnce(String) -> Failure,
    answer: impl Future<Output = Result<T>>,
) -> Result<T> {
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(silence(format!("has not answered for {PATIENCE:?}"))),
    }
}
