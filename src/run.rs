//! What a deployment and a rollback have in common: stages with their times, one last word, and a
//! line of history.

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::engine::{Binding, Container, Details, Engine};
use crate::event::{Commit, Emitter, Event, Outcome, Past, Running, Stage, State, Summary, Took};
use crate::failure::{Code, Failure, Result};
use crate::handover::Handed;
use crate::interrupt::Interrupt;
use crate::panics;
use crate::plan::Repository;
use crate::release::{Store, history};
use crate::stage::Context;
use crate::upkeep;

/// What a run ended with that did not fail.
#[derive(Debug)]
pub enum Ending {
    /// Another container serves now. The port is the program's.
    Handed { handed: Handed, port: u16 },
    /// What serves is what was asked for.
    Unchanged(Box<Container>),
    /// It was said what would be done.
    Planned,
}

/// What is left to do after a run: which container to follow, and what to exit with.
#[derive(Debug)]
pub struct Ended {
    pub exit_code: u8,
    /// The id of the container that serves; `None` if the run failed.
    pub container: Option<String>,
}

/// A run and what is known of it so far.
#[derive(Debug)]
pub struct Run<'a> {
    pub emitter: &'a Emitter,
    pub interrupt: &'a Interrupt,
    pub branch: Option<String>,
    pub commit: Option<Commit>,
    pub downtime: Option<Duration>,
    /// What sdp itself was busy for, without its threads.
    pub busy: Duration,
    /// Held from the moment when something may change.
    pub store: Option<Rc<Store>>,
    what: &'static str,
    /// The deployment that the run is about.
    pub id: String,
    repository: &'a Repository,
    at: Timestamp,
    begun: Instant,
    times: Vec<(Stage, Took)>,
    /// It has its line in the history.
    remembered: bool,
    /// What git was busy for on threads.
    threads: Duration,
}

impl<'a> Run<'a> {
    /// Begins a run; `what` is its name in the history, `id` the deployment that it is about, as far
    /// as that is known yet.
    pub fn begin(
        what: &'static str,
        id: &str,
        repository: &'a Repository,
        emitter: &'a Emitter,
        interrupt: &'a Interrupt,
    ) -> Run<'a> {
        Run {
            emitter,
            interrupt,
            branch: None,
            commit: None,
            downtime: None,
            busy: Duration::ZERO,
            store: None,
            what,
            id: id.to_owned(),
            repository,
            at: Timestamp::now(),
            begun: Instant::now(),
            times: Vec::new(),
            remembered: false,
            threads: Duration::ZERO,
        }
    }

    /// Tells a stage's beginning and end, and keeps its time. A stage that begins always runs, so
    /// that what the former one started is taken back by it: an interruption is its own affair.
    ///
    /// # Errors
    /// Those of the work.
    pub async fn stage<T>(
        &mut self,
        stage: Stage,
        work: impl AsyncFnOnce(Context) -> Result<T>,
    ) -> Result<T> {
        self.emitter.emit(Event::Started(stage));
        let begun = Instant::now();
        let cx = Context {
            events: self.emitter.stage(stage),
            interrupt: self.interrupt.clone(),
            remote: Rc::default(),
        };
        let remote = Rc::clone(&cx.remote);
        let (result, busy) = measured(panics::caught(work(cx))).await;
        let elapsed = begun.elapsed();
        let waited = match stage {
            // Git works on threads: what is not the remote's is ours.
            Stage::Clone | Stage::Fetch | Stage::Checkout | Stage::Pull => {
                let waited = remote.get().min(elapsed);
                self.threads += elapsed.saturating_sub(waited + busy);
                waited
            }
            Stage::BeforeBuild
            | Stage::Build
            | Stage::BeforeStart
            | Stage::Start
            | Stage::Health
            | Stage::AfterDeploy
            | Stage::Stop => elapsed.saturating_sub(busy),
        };
        let took = Took { elapsed, waited };
        self.times.push((stage, took));
        match result {
            Ok(product) => {
                self.emitter.emit(Event::Finished { stage, took });
                Ok(product)
            }
            Err(mut failure) => {
                failure.stage = Some(stage);
                let problem = failure.problem();
                self.emitter.emit(Event::Failed {
                    stage,
                    took,
                    problem,
                });
                Err(failure)
            }
        }
    }

    /// Says the last word, and writes it into the history.
    pub async fn end(mut self, engine: Option<&Engine>, result: Result<Ending>) -> Ended {
        let (summary, container) = match result {
            Ok(Ending::Handed { handed, port }) => {
                let summary = Summary {
                    replaced: handed.replaced.first().cloned(),
                    container: Some(running(
                        &handed.name,
                        &handed.id,
                        &handed.proof.details,
                        port,
                    )),
                    ..self.summary(State::Running, Outcome::Deployed)
                };
                (summary, Some(handed.id))
            }
            Ok(Ending::Unchanged(container)) => {
                let summary = self.summary(State::Running, Outcome::Unchanged);
                let serving = match engine {
                    Some(engine) => describe(engine, &container).await,
                    None => Serving::Unknown,
                };
                (serving.into_summary(summary), Some(container.id))
            }
            Ok(Ending::Planned) => {
                let summary = self.summary(State::Planned, Outcome::Planned);
                let serving = match engine {
                    Some(engine) => what_serves(engine, self.repository).await,
                    None => Serving::Unknown,
                };
                (serving.into_summary(summary), None)
            }
            Err(failure) => {
                let serving = match engine {
                    Some(engine) => what_serves(engine, self.repository).await,
                    None => Serving::Unknown,
                };
                (serving.into_summary(self.defeat(&failure)), None)
            }
        };
        let code = summary.problem.as_ref().map(|problem| problem.code);
        // What cannot be meant, and is found out before the first stage, was not tried.
        if summary.exit_code != 2 || !self.times.is_empty() {
            self.remember(summary.outcome, summary.exit_code, code);
        }
        self.emitter.about(&self.id);
        let exit_code = summary.exit_code;
        self.emitter.emit(Event::Status(Box::new(summary)));
        Ended {
            exit_code,
            container,
        }
    }

    fn defeat(&self, failure: &Failure) -> Summary {
        let (state, outcome) = match failure.code {
            Code::Interrupted | Code::Terminated => (State::Cancelled, Outcome::Cancelled),
            Code::FormerLost => (State::Failed, Outcome::FailedDown),
            Code::Locked => (State::Failed, Outcome::Locked),
            _ => (State::Failed, Outcome::FailedOldServing),
        };
        Summary {
            exit_code: failure.exit_code(),
            problem: Some(failure.problem()),
            ..self.summary(state, outcome)
        }
    }

    fn summary(&self, state: State, outcome: Outcome) -> Summary {
        Summary {
            what: self.what,
            state,
            outcome,
            exit_code: 0,
            elapsed: self.begun.elapsed(),
            own: self.busy + self.threads,
            branch: self.branch.clone(),
            commit: self.commit.clone(),
            container: None,
            nothing_runs: false,
            replaced: None,
            downtime: self.downtime,
            stages: self.times.clone(),
            problem: None,
        }
    }

    /// Writes the run's one line of history. One that never held the lock changed nothing and leaves none.
    /// `code` is what it failed with.
    pub fn remember(&mut self, outcome: Outcome, exit_code: u8, code: Option<&str>) {
        let Some(store) = self.store.as_ref().filter(|_| !self.remembered) else {
            return;
        };
        self.remembered = true;
        let remembered = store.remember(&Past {
            at: history::time(self.at),
            what: self.what.to_owned(),
            id: self.id.clone(),
            who: history::who(),
            branch: self.branch.clone(),
            commit: self.commit.as_ref().map(|commit| commit.id.clone()),
            outcome: outcome.name().to_owned(),
            exit_code,
            code: code.map(str::to_owned),
            elapsed_ms: u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        });
        if let Err(failure) = remembered {
            self.emitter.warn(failure.to_string(), failure.hint);
        }
    }
}

/// Does `work`, and tells how long it kept this thread busy: the rest of the time it waited.
pub async fn measured<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let mut work = pin!(work);
    let mut busy = Duration::ZERO;
    let done = poll_fn(|cx| {
        let begun = Instant::now();
        let polled = work.as_mut().poll(cx);
        busy += begun.elapsed();
        polled
    })
    .await;
    (done, busy)
}

/// The last word is not kept waiting for an engine that does not answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What serves after a run that failed.
enum Serving {
    This(Running),
    Nothing,
    /// The engine could not be asked.
    Unknown,
}

impl Serving {
    fn into_summary(self, summary: Summary) -> Summary {
        let nothing_runs = matches!(self, Serving::Nothing);
        let container = match self {
            Serving::This(running) => Some(running),
            Serving::Nothing | Serving::Unknown => None,
        };
        Summary {
            container,
            nothing_runs,
            ..summary
        }
    }
}

async fn what_serves(engine: &Engine, repository: &Repository) -> Serving {
    let engine = &engine.impatient(PATIENCE);
    match upkeep::containers(engine, repository).await {
        Ok(containers) => match serving(&containers).first() {
            Some(container) => describe(engine, container).await,
            None => Serving::Nothing,
        },
        Err(_) => Serving::Unknown,
    }
}

async fn describe(engine: &Engine, container: &Container) -> Serving {
    match engine.inspect(&container.id).await {
        Ok(Some(details)) => {
            let port = container
                .identity
                .as_ref()
                .map_or(0, |identity| identity.port);
            Serving::This(running(&container.name, &container.id, &details, port))
        }
        Ok(None) => Serving::Nothing,
        Err(_) => Serving::Unknown,
    }
}

/// Those of a checkout's containers that serve: they run, and are no canaries.
pub fn serving(containers: &[Container]) -> Vec<Container> {
    let serves = |container: &&Container| {
        container.running
            && container
                .identity
                .as_ref()
                .is_some_and(|identity| !identity.canary)
    };
    containers.iter().filter(serves).cloned().collect()
}

/// What a container looks like from outside.
pub fn running(name: &str, id: &str, details: &Details, port: u16) -> Running {
    // The engine lists 0.0.0.0 and [::] apart.
    let wildcard = |binding: &Binding, v4: bool| {
        binding
            .ip
            .is_some_and(|ip| ip.is_unspecified() && ip.is_ipv4() == v4)
    };
    let doubled = |binding: &Binding| {
        wildcard(binding, false)
            && details
                .bindings
                .iter()
                .any(|other| wildcard(other, true) && other.host == binding.host)
    };
    Running {
        name: name.to_owned(),
        id: id.to_owned(),
        address: details
            .address
            .map(|ip| std::net::SocketAddr::new(ip, port).to_string()),
        ports: details
            .bindings
            .iter()
            .filter(|b| !doubled(b))
            .map(Binding::display)
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// The stage that panics ends, and so does the run, as with any other error.
    #[tokio::test]
    async fn a_panic_in_a_stage_is_told_as_any_error() {
        let (emitter, records) = Emitter::new(Some("id"));
        let interrupt = Interrupt::listen().unwrap();
        let repository = Repository::resolve(&"/nowhere/shop".parse().unwrap()).unwrap();
        let mut run = Run::begin("deploy", "id", &repository, &emitter, &interrupt);

        let result = run.stage(Stage::Build, async |_| panic!("no way")).await;
        let ended = run.end(None, result).await;

        assert_eq!(ended.exit_code, 1);
        drop(emitter);
        let told: Vec<Event> = records.iter().map(|record| record.event).collect();
        let [
            Event::Started(_),
            Event::Failed { problem, .. },
            Event::Status(summary),
        ] = &told[..]
        else {
            panic!("{told:?}");
        };
        assert_eq!((problem.code, summary.exit_code), ("internal", 1));
        assert!(problem.message.contains("no way"), "{problem:?}");
        assert_eq!(summary.problem.as_ref(), Some(problem));
    }
}
