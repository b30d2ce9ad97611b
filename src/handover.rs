//! From the former container to the new one, and back again if the new one fails.
//!
//! Without a host port in common the new one is proven beside the former one: no gap. With one, a
//! *canary* of the new release, the same container without host ports, is proven first, and only then
//! is the former one stopped. The canary goes last: with no other container on the bridge, the bridge
//! loses its carrier meanwhile and the gap triples.

use std::time::{Duration, Instant};

use crate::engine::{Container, Engine, Spec, shared_host_port};
use crate::event::StageEmitter;
use crate::failure::{Code, Failure, Result};
use crate::interrupt::Interrupt;
use crate::plan::Health;
use crate::probe::{self, Candidate, Proof};

/// What is left of a hand-over that worked.
#[derive(Debug)]
pub struct Handed {
    pub id: String,
    pub name: String,
    pub proof: Proof,
    /// The containers that were stopped in its favour, newest first.
    pub replaced: Vec<String>,
}

/// The container that is to be proven first.
#[derive(Debug)]
pub struct Started {
    pub candidate: Candidate,
    pub is_canary: bool,
}

/// A hand-over under way. What has been done so far is kept, so that it can be undone.
#[derive(Debug)]
pub struct Handover<'a> {
    engine: &'a Engine,
    health: &'a Health,
    spec: Spec,
    /// The running containers of the repository, newest first.
    formers: Vec<Container>,
    created: Vec<String>,
    stopped: Vec<Container>,
    down_since: Option<Instant>,
    downtime: Duration,
}

/// How the new container takes the former one's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Both run for a while.
    Beside,
    /// A canary first.
    Canary,
    /// The former one stops before anything of the new release runs.
    After,
}

impl<'a> Handover<'a> {
    /// Plans to replace `formers`, of which only those that run matter, by a container like `spec`.
    pub fn new(
        engine: &'a Engine,
        health: &'a Health,
        spec: Spec,
        formers: Vec<Container>,
    ) -> Handover<'a> {
        let formers = formers
            .into_iter()
            .filter(|former| former.running)
            .collect();
        Handover {
            engine,
            health,
            spec,
            formers,
            created: Vec::new(),
            stopped: Vec::new(),
            down_since: None,
            downtime: Duration::ZERO,
        }
    }

    fn way(&self, canary: bool) -> Way {
        let shared = self
            .formers
            .iter()
            .any(|former| shared_host_port(former, &self.spec.publish).is_some());
        match (shared, canary) {
            (false, true) => Way::Beside,
            (false, false) if self.formers.is_empty() => Way::Beside,
            (true, true) => Way::Canary,
            (_, false) => Way::After,
        }
    }

    /// Starts the container that is to be proven first: the new one, or its canary. On an error all
    /// is as it was before.
    ///
    /// # Errors
    /// `port_taken`, `start_failed`, `former_lost`, and those of any call to the engine.
    pub async fn start(
        &mut self,
        canary: bool,
        interrupt: &Interrupt,
        events: &StageEmitter,
    ) -> Result<Started> {
        match self.try_start(canary, interrupt, events).await {
            Ok(started) => Ok(started),
            Err(failure) => Err(self.undo(failure, events).await),
        }
    }

    /// Proves what was started and completes the hand-over. On an error all is as it was before.
    ///
    /// # Errors
    /// Why the new release cannot serve, or `former_lost`.
    pub async fn finish(
        &mut self,
        started: Started,
        interrupt: &Interrupt,
        events: &StageEmitter,
    ) -> Result<Handed> {
        match self.try_finish(started, interrupt, events).await {
            Ok(handed) => Ok(handed),
            Err(failure) => Err(self.undo(failure, events).await),
        }
    }

    /// How long nothing served, so far as the hand-over caused it.
    pub fn downtime(&self) -> Duration {
        self.downtime
    }

    async fn try_start(
        &mut self,
        canary: bool,
        interrupt: &Interrupt,
        events: &StageEmitter,
    ) -> Result<Started> {
        interrupt.check()?;
        match self.way(canary) {
            Way::Beside => {}
            Way::Canary => {
                let spec = canary_of(&self.spec);
                let candidate = self.launch(&spec).await?;
                return Ok(Started {
                    candidate,
                    is_canary: true,
                });
            }
            Way::After => {
                self.stop_formers(events).await?;
                interrupt.check()?;
            }
        }
        let spec = self.spec.clone();
        let candidate = self.launch(&spec).await?;
        Ok(Started {
            candidate,
            is_canary: false,
        })
    }

    async fn try_finish(
        &mut self,
        started: Started,
        interrupt: &Interrupt,
        events: &StageEmitter,
    ) -> Result<Handed> {
        let Started {
            mut candidate,
            is_canary,
        } = started;
        let mut proof = probe::prove(
            self.engine,
            &mut candidate,
            self.health,
            Some(interrupt),
            events,
        )
        .await?;
        if is_canary {
            events.note(format!("{}; handing over", proof.how));
            let canary = candidate;
            let spec = self.spec.clone();
            // Whatever is wrong with it costs no gap yet.
            let id = self.create(&spec).await?;
            interrupt.check()?;
            self.stop_formers(events).await?;
            interrupt.check()?;
            candidate = self.run(id, &spec).await?;
            let proven = probe::prove(
                self.engine,
                &mut candidate,
                self.health,
                Some(interrupt),
                events,
            );
            let (proven, removed) = tokio::join!(proven, self.engine.remove(&canary.id));
            proof = proven?;
            if let Err(failure) = removed {
                events.warn(
                    failure.to_string(),
                    Some(format!("`docker rm -f {}`", canary.name)),
                );
            }
        }
        self.downtime = self
            .down_since
            .map_or(Duration::ZERO, |since| since.elapsed());
        // The new container is proven: from here on nothing takes it back.
        events.note(proof.how.clone());
        let mut replaced: Vec<String> = self
            .stopped
            .iter()
            .map(|former| former.name.clone())
            .collect();
        if self.down_since.is_none() {
            for former in &self.formers {
                events.note(format!("{}; stopping {}", proof.how, former.name));
                match self.engine.stop(&former.id, self.spec.stop_timeout).await {
                    Ok(()) => replaced.push(former.name.clone()),
                    Err(failure) => {
                        events.warn(
                            failure.to_string(),
                            Some(format!("`docker stop {}`", former.name)),
                        );
                    }
                }
            }
        }
        Ok(Handed {
            id: candidate.id,
            name: candidate.name,
            proof,
            replaced,
        })
    }

    /// Takes everything back: removes what was created, starts again what was stopped. Returns the
    /// failure that led here, or a worse one.
    async fn undo(&mut self, failure: Failure, events: &StageEmitter) -> Failure {
        // Frees the port that the former container needs.
        for name in &self.created {
            if let Err(error) = self.engine.remove(name).await {
                events.warn(error.to_string(), Some(format!("`docker rm -f {name}`")));
            }
        }
        let mut outcome = failure;
        for former in self.stopped.iter().rev() {
            events.note(format!("starting {} again", former.name));
            if let Err(error) = self.revive(former, events).await {
                outcome = Failure::new(
                    Code::FormerLost,
                    format!(
                        "{outcome}; then `{}` did not come back: {error}",
                        former.name
                    ),
                )
                .hint(format!(
                    "`docker start {0}`, and `docker logs {0}` if it ends again",
                    former.name
                ))
                .detail(outcome.detail);
            }
        }
        self.downtime = self
            .down_since
            .map_or(Duration::ZERO, |since| since.elapsed());
        outcome
    }

    async fn revive(&self, former: &Container, events: &StageEmitter) -> Result<()> {
        let watch = self.engine.watch(&former.id);
        self.engine.start(&former.id, &former.name).await?;
        let mut candidate = Candidate {
            id: former.id.clone(),
            name: former.name.clone(),
            port: former
                .identity
                .as_ref()
                .map_or(self.spec.identity.port, |identity| identity.port),
            watch,
        };
        // Its health path need not be the new release's.
        let health = Health {
            http: None,
            ..*self.health
        };
        probe::prove(self.engine, &mut candidate, &health, None, events)
            .await
            .map(drop)
    }

    async fn launch(&mut self, spec: &Spec) -> Result<Candidate> {
        let id = self.create(spec).await?;
        self.run(id, spec).await
    }

    async fn create(&mut self, spec: &Spec) -> Result<String> {
        // Before the call: the engine may do it and its answer be lost.
        self.created.push(spec.name.clone());
        let created = self.engine.create(spec).await;
        if created
            .as_ref()
            .is_err_and(|failure| failure.code == Code::StartFailed)
        {
            self.created.pop();
        }
        created
    }

    async fn run(&self, id: String, spec: &Spec) -> Result<Candidate> {
        let watch = self.engine.watch(&id);
        match self.engine.start(&id, &spec.name).await {
            Ok(()) => Ok(Candidate {
                id,
                name: spec.name.clone(),
                port: spec.identity.port,
                watch,
            }),
            Err(failure) if failure.code == Code::PortTaken => {
                Err(self.port_taken(spec, failure).await)
            }
            Err(failure) => Err(failure),
        }
    }

    async fn stop_formers(&mut self, events: &StageEmitter) -> Result<()> {
        for former in self.formers.clone() {
            events.note(format!("stopping {}", former.name));
            self.down_since.get_or_insert_with(Instant::now);
            // Before the call: it may have worked though its answer was lost.
            self.stopped.push(former.clone());
            self.engine.stop(&former.id, self.spec.stop_timeout).await?;
        }
        Ok(())
    }

    /// The engine's message names the port, but not who holds it.
    async fn port_taken(&self, spec: &Spec, failure: Failure) -> Failure {
        let others = self.engine.running_containers().await.unwrap_or_default();
        match others
            .iter()
            .find_map(|other| Some((other, shared_host_port(other, &spec.publish)?)))
        {
            Some((holder, port)) => held(&holder.name, port),
            None => {
                let mut wanted = spec.publish.iter().filter_map(|publish| publish.host);
                let port = wanted.find(|port| failure.message.contains(&format!(":{port}")));
                let port = port.map_or_else(|| "a port".to_owned(), |port| format!("port {port}"));
                let message = format!("{port} of the host is taken by another process");
                Failure::new(Code::PortTaken, message)
                    .hint("`ss -ltnp` shows which one; `-p` publishes another port")
                    .detail([failure.message])
            }
        }
    }
}

/// Another container than the repository's own holds a port that the plan wants.
///
/// # Errors
/// `port_taken`, with its name; or those of any call to the engine.
pub fn check_ports(
    running: &[Container],
    formers: &[Container],
    spec: &[crate::plan::Publish],
) -> Result<()> {
    let foreign = running
        .iter()
        .filter(|other| formers.iter().all(|former| former.id != other.id));
    for other in foreign {
        if let Some(port) = shared_host_port(other, spec) {
            return Err(held(&other.name, port));
        }
    }
    Ok(())
}

fn held(container: &str, port: u16) -> Failure {
    Failure::new(
        Code::PortTaken,
        format!("port {port} of the host is taken by the container `{container}`"),
    )
    .hint(format!(
        "`docker stop {container}` frees it; `-p` publishes another one"
    ))
}

fn canary_of(spec: &Spec) -> Spec {
    let mut canary = spec.clone();
    canary.name.push_str("-canary");
    canary.identity.canary = true;
    canary.publish.clear();
    canary.restart = false;
    canary
}
