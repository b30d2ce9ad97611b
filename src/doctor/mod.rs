//! `sdp doctor`: what a deployment would meet, found out without changing anything.
//!
//! Each check asks what the deployment itself asks, and tells the failure that it would have.

mod checkout;
mod host;
mod ports;

use std::time::Duration;

use crate::engine::{self, Engine, Facts, Platform};
use crate::event::{Check, Emitter, Event, Verdict};
use crate::failure::{Code, Failure, Result};
use crate::golang::Toolchain;
use crate::interrupt::{self, Interrupt};
use crate::plan::{Build, Plan, Warning};
use crate::{deploy, run, upkeep};
use checkout::Remote;

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
    /// A command gives more variables; it is not run.
    pub has_env_command: bool,
}

/// What the engine says of itself; `None`: nothing, so far.
type Answer = Option<Result<(Engine, Facts)>>;

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
    let asked = async {
        let engine = match Engine::connect(patient.host) {
            Ok(engine) => engine,
            Err(failure) => return Some(Err(failure)),
        };
        let facts = limited(engine.facts()).await?;
        Some(facts.map(|facts| (engine, facts)))
    };
    let remote = async {
        match patient.plan {
            Some(plan) => checkout::remote(plan).await,
            None => Remote::default(),
        }
    };
    let go = host::find_go(patient.build);
    let (asked, go, mut remote) = tokio::join!(asked, go, remote);
    let is_current = patient
        .plan
        .zip(remote.tip)
        .is_some_and(|(plan, tip)| checkout::is_current(plan, tip));
    let near = Near {
        asked,
        go,
        is_current,
    };
    near.look(patient, interrupt, &mut chart).await;
    chart.note_all(remote.checks.drain(..));
    // What has not answered may still be at it.
    remote.hang_up().await;
    interrupt::kill_children();
    chart.verdict()
}

/// What is known of this host before anything is told.
struct Near {
    asked: Answer,
    go: std::result::Result<Toolchain, Check>,
    /// What is checked out is what a deployment would build.
    is_current: bool,
}

impl Near {
    async fn look(self, patient: &Patient<'_>, interrupt: &Interrupt, chart: &mut Chart<'_>) {
        let Patient { plan, build, .. } = *patient;
        let engine = match &self.asked {
            Some(Ok((engine, facts))) => {
                chart.note(host::engine(facts));
                chart.note_all(engine.socket().and_then(host::permissions));
                Some((engine, facts))
            }
            Some(Err(failure)) => {
                let subject = match failure.code {
                    Code::EngineDenied => "permissions",
                    _ => "engine",
                };
                chart.note(failed(subject, failure));
                None
            }
            None => {
                chart.note(engine_is_silent("engine"));
                None
            }
        };
        let checkout = match plan {
            Some(plan) => checkout::checkout(plan, self.is_current).await,
            None => Vec::new(),
        };
        let is_clean = checkout.iter().all(|check| check.verdict == Verdict::Ok);
        let platform = engine.map(|(_, facts)| facts.platform.clone());
        let look = host::Look {
            platform: platform.unwrap_or_else(host::native),
            is_current: self.is_current && is_clean,
            interrupt,
        };
        let mut cache = None;
        match self.go {
            Ok(toolchain) => {
                chart.note(look.go(plan, &toolchain).await);
                cache = look.build_cache(build, &toolchain).await;
            }
            Err(check) => chart.note(check),
        }
        if let Some(plan) = plan {
            let careless = plan.warnings.iter();
            chart.note_all(careless.map(|warning| careful("secrets", warning)));
            if let Some((engine, _)) = engine
                && let Ok(unreadable) = deploy::unreadable_secrets(plan, engine).await
            {
                let unreadable = unreadable.iter();
                chart.note_all(unreadable.map(|warning| careful("secrets", warning)));
            }
            if patient.has_env_command {
                let line = "`--env-command` is not run: only a deployment finds out what it gives";
                chart.note(ok("secrets", line));
            }
            chart.note_all(checkout);
            chart.note(checkout::files(plan));
            match engine {
                Some((engine, facts)) => {
                    chart.note_all(look_at_service(plan, engine, &facts.platform).await);
                }
                None => chart.note_all(checkout::underway(plan, None)),
            }
        }
        let root = engine.filter(|(engine, _)| engine.socket().is_some());
        let root = root.map(|(_, facts)| facts.root.clone());
        chart.note_all(host::disks(plan, root.into_iter().chain(cache)));
        chart.note(host::clock(plan, engine.and_then(|(_, facts)| facts.skew)));
    }
}

/// What the engine has of the repository: what serves, its image, its ports.
async fn look_at_service(plan: &Plan, engine: &Engine, platform: &Platform) -> Vec<Check> {
    let found = limited(async {
        tokio::try_join!(
            upkeep::containers(engine, &plan.repository),
            engine.running_containers(),
            engine.mark(),
        )
    });
    let image = limited(host::image(plan, engine, platform));
    let (found, image) = tokio::join!(found, image);
    let image = image.unwrap_or_else(|| engine_is_silent("image"));
    let (own, running, mark) = match found {
        Some(Ok(found)) => found,
        Some(Err(failure)) => return vec![failed("service", &failure), image],
        None => return vec![engine_is_silent("service"), image],
    };
    let formers = run::serving(&own);
    let mut checks = vec![checkout::service(plan, &mark, &own, &formers), image];
    let left_behind = upkeep::left_behind(&running, &plan.repository);
    checks.extend(left_behind.map(|warning| careful("service", &warning)));
    if let Err(failure) = deploy::check_id(plan, &own) {
        checks.push(failed("service", &failure));
    }
    checks.extend(ports::ports(
        &plan.container.publish,
        &running,
        &formers,
        engine.socket().is_some(),
    ));
    checks
}

fn engine_is_silent(subject: &'static str) -> Check {
    let message = format!("the engine has not answered for {PATIENCE:?}");
    let failure = Failure::new(Code::EngineUnreachable, message).hint(
        "`docker version` shows whether it answers, `journalctl -u docker -n 50` why not; restarting the engine \
         stops every container on its host",
    );
    silent(subject, &failure, Some(engine::PATIENCE))
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
        let hint = "each line above that failed says how to fix it; `sdp doctor` again then";
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

/// Waits for an answer no longer than [`PATIENCE`].
async fn limited<T>(answer: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(PATIENCE, answer).await.ok()
}

/// Something that has not answered in time; a deployment waits for it up to `limit`, if it has one.
fn silent(subject: &'static str, failure: &Failure, limit: Option<Duration>) -> Check {
    let check = lenient(subject, failure);
    let limit = limit.map_or("as long as it takes".to_owned(), |limit| {
        format!("{limit:?}")
    });
    Check {
        line: format!("{}; a deployment waits for {limit}", check.line),
        ..check
    }
}

/// What holds for the commit that is checked out, if a deployment would build that one; else it may be
/// otherwise with the one that it builds.
fn of_commit(subject: &'static str, failure: &Failure, is_current: bool) -> Check {
    if is_current {
        return failed(subject, failure);
    }
    let mut check = lenient(subject, failure);
    check.line += ", in what is checked out now";
    check
}
