//! From the former container to the new one, and back again if the new one fails.
//!
//! Without a host port in common the new one is proven beside the former one: no gap. With one, a
//! *canary* of the new release, the same container without host ports, is proven first, and only then
//! is the former one stopped. The canary goes last: with no other container on the bridge, the bridge
//! loses its carrier meanwhile and the gap triples.
//!
//! What is under way is written down before it is done, so that the next command can complete or
//! take back what a killed one left; see [`crate::upkeep`].

mod incoming;
mod ports;
mod way_back;

use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::delivery;
use crate::engine::{Container, Engine, Identity, Spec, uploader};
use crate::event::{Emitter, StageEmitter};
use crate::failure::{Code, Failure, Result};
use crate::interrupt::Interrupt;
use crate::plan::{Deliver, Publish, Restart};
use crate::probe::{self, Candidate, Proof};
use crate::release::{self, Stop, Store, Underway};

pub use incoming::Incoming;
pub use ports::{check_ports, held_by_process};
pub use way_back::{examine, revive};

/// How long a call to the engine is still waited for after a signal.
const GRACE: Duration = Duration::from_secs(5);

/// How much longer than it may the engine is expected to take for a stop.
const SURPLUS: Duration = Duration::from_secs(2);

/// How long somebody who has pressed Ctrl-C waits before it seems to have been ignored.
const SILENCE: Duration = Duration::from_secs(1);

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
    store: &'a Store,
    interrupt: &'a Interrupt,
    incoming: Incoming,
    /// The running containers of the repository, newest first.
    formers: Vec<Container>,
    /// The names of the containers that did not exist before.
    created: Vec<String>,
    /// The volume that did not exist before.
    uploaded: Option<String>,
    /// A kept container was told to start.
    woken: bool,
    stopped: Vec<Container>,
    down_since: Option<Instant>,
    downtime: Duration,
    /// The canary's removal, which nobody has to wait for but the end.
    leaving: Option<JoinHandle<Result<()>>>,
    /// A call to the engine was given up before its answer: it may still be carried out.
    cut: bool,
    /// The engine's mark, as it is written down.
    mark: String,
    /// What is written down of the stop of the former containers.
    stop: Option<Stop>,
}

/// What a canary would be good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Canary {
    /// It shows whether a new release runs before that costs a gap.
    First,
    /// The very same release serves already, and other containers keep the bridge up.
    Needless,
    /// Two of its kind must not run at once.
    Never,
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
    /// Plans to replace `formers`, all of which run, by `incoming`, whose release may have been
    /// uploaded before.
    pub fn new(
        engine: &'a Engine,
        store: &'a Store,
        interrupt: &'a Interrupt,
        incoming: Incoming,
        formers: Vec<Container>,
    ) -> Handover<'a> {
        let uploaded = match &incoming {
            Incoming::New(spec) => spec.identity.volume.clone(),
            Incoming::Kept { .. } => None,
        };
        Handover {
            engine,
            store,
            interrupt,
            incoming,
            formers,
            created: Vec::new(),
            uploaded,
            woken: false,
            stopped: Vec::new(),
            down_since: None,
            downtime: Duration::ZERO,
            leaving: None,
            cut: false,
            mark: String::new(),
            stop: None,
        }
    }

    /// Starts the container that is to be proven first: the new one, or its canary. On an error all
    /// is as it was before.
    ///
    /// # Errors
    /// `wrong_binary`, `port_taken`, `start_failed`, `former_lost`, and those of any call to the engine.
    pub async fn start(&mut self, canary: Canary, events: &StageEmitter) -> Result<Started> {
        match self.deliver_and_start(canary, events).await {
            Ok(started) => Ok(started),
            Err(failure) => Err(self.undo(failure, events).await),
        }
    }

    /// Proves what was started and completes the hand-over. On an error all is as it was before.
    ///
    /// # Errors
    /// Why the new release cannot serve, or `former_lost`.
    pub async fn finish(&mut self, started: Started, events: &StageEmitter) -> Result<Handed> {
        match self.try_finish(started, events).await {
            Ok(handed) => Ok(handed),
            Err(failure) => Err(self.undo(failure, events).await),
        }
    }

    /// Waits until everything that was temporary is gone, and returns how long nothing served, so
    /// far as the hand-over caused it.
    pub async fn close(mut self, emitter: &Emitter) -> Duration {
        if let Err(failure) = self.see_off().await {
            emitter.warn(failure.to_string(), failure.hint);
        }
        self.downtime
    }

    async fn see_off(&mut self) -> Result<()> {
        match self.leaving.take() {
            Some(leaving) => leaving.await.map_err(anyhow::Error::from)?,
            None => Ok(()),
        }
    }

    /// What a former container was promised, if the new one is not more patient.
    fn time_to_stop(&self, former: &Container) -> Duration {
        let promised = former
            .identity
            .as_ref()
            .map(|identity| identity.stop_timeout);
        promised
            .unwrap_or_default()
            .max(self.incoming.identity().stop_timeout)
    }

    fn underway(&self, failed: bool) -> Underway {
        Underway {
            incoming: self.incoming.name().to_owned(),
            is_new: matches!(self.incoming, Incoming::New(_)),
            formers: self
                .formers
                .iter()
                .map(|former| former.name.clone())
                .collect(),
            failed,
            engine: self.mark.clone(),
            address: self.engine.address().to_owned(),
            stop: self.stop,
        }
    }

    /// Whoever comes after a kill cannot see that the engine is still stopping a container.
    fn begin_to_stop(&mut self) -> Result<()> {
        let patience = self.formers.iter().map(|former| self.time_to_stop(former));
        self.stop = Some(Stop::begin(patience.sum::<Duration>() + SURPLUS));
        self.store.begin(&self.underway(false))
    }

    /// Waits for a call to the engine that changes something: after a signal, a little longer, as it
    /// is not known what became of a call that was given up.
    async fn hear<T>(
        &mut self,
        grace: Duration,
        call: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let result = self.interrupt.or_after(grace, call).await;
        self.cut |= result
            .as_ref()
            .is_err_and(|failure| matches!(failure.code, Code::Interrupted | Code::Terminated));
        result
    }

    /// What the former containers ask for counts, not what they hold: one that crashes again and
    /// again holds its port only now and then.
    async fn way(&self, canary: Canary) -> Result<Way> {
        let mut shared = false;
        for former in &self.formers {
            let Some(details) = self.engine.inspect(&former.id).await? else {
                continue;
            };
            let theirs = &details.publish;
            shared |= self
                .incoming
                .publish()
                .iter()
                .any(|p| theirs.iter().any(|t| t.collides(p)));
            // Both would listen in the same place, and the one would prove the other.
            if self.incoming.shares_ports_unpublished() || details.host_network {
                return Ok(Way::After);
            }
        }
        Ok(match (shared, canary) {
            (_, Canary::Never) if !self.formers.is_empty() => Way::After,
            (true, Canary::First) => Way::Canary,
            (true, Canary::Needless | Canary::Never) => Way::After,
            (false, _) => Way::Beside,
        })
    }

    /// On another host the engine is not expected to see the release; elsewhere that shows when it is to
    /// be mounted.
    async fn deliver_and_start(
        &mut self,
        canary: Canary,
        events: &StageEmitter,
    ) -> Result<Started> {
        self.interrupt.check()?;
        self.mark = self.engine.mark().await?;
        self.store.begin(&self.underway(false))?;
        let deliver = match &self.incoming {
            Incoming::New(spec) => spec.deliver,
            Incoming::Kept { .. } => Deliver::Mount,
        };
        if self.uploaded.is_none() && delivery::is_upload(self.engine, deliver) {
            self.upload(events).await?;
        }
        match (self.try_start(canary, events).await, &self.incoming) {
            (Err(failure), Incoming::New(spec)) => {
                delivery::upload_after(failure, spec)?;
                self.remove_created(self.engine).await?;
                self.created.clear();
                self.upload(events).await?;
                self.try_start(canary, events).await
            }
            (started, _) => started,
        }
    }

    async fn upload(&mut self, events: &StageEmitter) -> Result<()> {
        let Incoming::New(spec) = &mut self.incoming else {
            return Ok(());
        };
        let volume = spec.name.clone();
        spec.identity.volume = Some(volume.clone());
        let (engine, spec) = (self.engine, spec.clone());
        self.created.push(uploader(&spec.name));
        self.uploaded = Some(volume);
        self.hear(Duration::ZERO, delivery::upload(engine, &spec, events))
            .await
    }

    async fn try_start(&mut self, canary: Canary, events: &StageEmitter) -> Result<Started> {
        let way = self.way(canary).await?;
        match way {
            Way::Canary => {
                let (id, name) = self.create_canary().await?;
                self.check_loader(&id).await?;
                let candidate = self.run(id, name).await?;
                events.note(format!("{}, as a host port is in use", candidate.name));
                return Ok(Started {
                    candidate,
                    is_canary: true,
                });
            }
            Way::Beside | Way::After => {}
        }
        // Whatever is wrong with it costs no gap yet.
        let id = self.provide().await?;
        self.check_loader(&id).await?;
        if way == Way::After {
            self.interrupt.check()?;
            self.stop_formers(events).await?;
            self.interrupt.check()?;
        }
        let candidate = self.run(id, self.incoming.name().to_owned()).await?;
        events.note(candidate.name.clone());
        Ok(Started {
            candidate,
            is_canary: false,
        })
    }

    async fn try_finish(&mut self, started: Started, events: &StageEmitter) -> Result<Handed> {
        let Started {
            mut candidate,
            is_canary,
        } = started;
        let (engine, interrupt) = (self.engine, Some(self.interrupt));
        let mut proof = probe::prove(engine, &mut candidate, interrupt, Some(events)).await?;
        if is_canary {
            events.note(format!("{}; handing over", proof.how));
            let canary = candidate;
            // Whatever is wrong with it costs no gap yet.
            let id = self.provide().await?;
            self.interrupt.check()?;
            self.stop_formers(events).await?;
            self.interrupt.check()?;
            candidate = self.run(id, self.incoming.name().to_owned()).await?;
            let engine = self.engine.clone();
            self.leaving = Some(tokio::spawn(async move {
                let hint = format!("`docker rm -f {}`", canary.name);
                engine
                    .remove(&canary.id)
                    .await
                    .map_err(|failure| failure.hint(hint))
            }));
            proof = probe::prove(self.engine, &mut candidate, interrupt, Some(events)).await?;
        }
        self.downtime = self
            .down_since
            .map_or(Duration::ZERO, |since| since.elapsed());
        // The new container is proven: from here on nothing takes it back.
        if let Some(remark) = proof.remark.take() {
            events.warn(remark.line, Some(remark.hint));
        }
        let mut replaced: Vec<String> = self
            .stopped
            .iter()
            .map(|former| former.name.clone())
            .collect();
        if self.down_since.is_none() {
            if !self.formers.is_empty()
                && let Err(failure) = self.begin_to_stop()
            {
                events.warn(failure.to_string(), failure.hint);
            }
            for former in self.formers.clone() {
                let timeout = self.time_to_stop(&former);
                events.note(format!("{}; stopping {}", proof.how, former.name));
                match self.stop(&former, timeout, events).await {
                    Ok(()) => replaced.push(former.name.clone()),
                    Err(failure) => {
                        let hint = format!("`docker stop {}`", former.name);
                        events.warn(failure.to_string(), Some(hint));
                    }
                }
            }
        }
        if let Err(failure) = self.store.end() {
            events.warn(failure.to_string(), failure.hint);
        }
        events.note(proof.how.clone());
        Ok(Handed {
            id: candidate.id,
            name: candidate.name,
            proof,
            replaced,
        })
    }

    /// The incoming container, created if it does not exist yet.
    async fn provide(&mut self) -> Result<String> {
        match &self.incoming {
            Incoming::New(spec) => {
                let (engine, spec) = (self.engine, spec.clone());
                self.create(spec.name.clone(), async move { engine.create(&spec).await })
                    .await
            }
            Incoming::Kept {
                container,
                identity,
                ..
            } => {
                self.woken = true;
                self.engine.rearm(&container.id, identity).await?;
                Ok(container.id.clone())
            }
        }
    }

    async fn create_canary(&mut self) -> Result<(String, String)> {
        let name = format!("{}-canary", self.incoming.name());
        let engine = self.engine;
        let id = match &self.incoming {
            Incoming::New(spec) => {
                let mut canary = spec.clone();
                canary.name.clone_from(&name);
                canary.identity.canary = true;
                canary.publish.clear();
                canary.limits.restart = Restart::No;
                self.create(name.clone(), async move { engine.create(&canary).await })
                    .await?
            }
            Incoming::Kept { container, .. } => {
                let (id, canary) = (container.id.clone(), name.clone());
                let call = async move { engine.create_canary_of(&id, &canary).await };
                self.create(name.clone(), call).await?
            }
        };
        Ok((id, name))
    }

    async fn check_loader(&self, id: &str) -> Result<()> {
        match &self.incoming {
            Incoming::New(spec) => {
                let checked = check_loader(self.engine, id, spec);
                self.interrupt.or(checked).await
            }
            Incoming::Kept { .. } => Ok(()),
        }
    }

    /// Remembers the name before the call: the engine may do it and its answer be lost. An answer
    /// that says no is one.
    async fn create(
        &mut self,
        name: String,
        call: impl Future<Output = Result<String>>,
    ) -> Result<String> {
        self.created.push(name);
        let created = self.hear(GRACE, call).await;
        if created
            .as_ref()
            .is_err_and(|failure| failure.code == Code::StartFailed)
        {
            self.created.pop();
        }
        created
    }

    async fn run(&mut self, id: String, name: String) -> Result<Candidate> {
        let (engine, identity) = (self.engine, self.incoming.identity().clone());
        let published = Publish::of_port(self.incoming.publish(), identity.port);
        let launched = async move { launch(engine, id, name, &identity, published).await };
        match self.hear(GRACE, launched).await {
            Err(failure) if failure.code == Code::PortTaken => {
                Err(ports::taken(self.engine, self.incoming.publish(), failure).await)
            }
            launched => launched,
        }
    }

    /// Stops a container, which a signal does not cut; whoever sent that is told so.
    async fn stop(
        &mut self,
        former: &Container,
        timeout: Duration,
        events: &StageEmitter,
    ) -> Result<()> {
        let (engine, interrupt) = (self.engine, self.interrupt);
        let told = async {
            interrupt.cancelled().await;
            sleep(SILENCE).await;
            let line = format!(
                "cancelled: waiting until `{}` has stopped, for up to {}s",
                former.name,
                timeout.as_secs()
            );
            let hint = "a second signal ends sdp at once, and leaves the rest to the next command";
            events.warn(line, Some(hint.to_owned()));
            std::future::pending().await
        };
        let stopped = async {
            tokio::select! {
                stopped = engine.stop(former, timeout) => stopped,
                never = told => never,
            }
        };
        self.hear(timeout + GRACE, stopped).await
    }

    async fn stop_formers(&mut self, events: &StageEmitter) -> Result<()> {
        if !self.formers.is_empty() {
            self.begin_to_stop()?;
        }
        for former in self.formers.clone() {
            if self.stopped.iter().any(|stopped| stopped.id == former.id) {
                continue;
            }
            let timeout = self.time_to_stop(&former);
            events.note(format!("stopping {}", former.name));
            self.down_since.get_or_insert_with(Instant::now);
            // Before the call: it may have worked though its answer was lost.
            self.stopped.push(former.clone());
            self.stop(&former, timeout, events).await?;
        }
        Ok(())
    }
}

/// The image must have what loads the program: else the program starts and ends at once, with no
/// better reason than `no such file or directory`. `id` is a container of it.
///
/// # Errors
/// `wrong_binary`, and those of any call to the engine.
pub async fn check_loader(engine: &Engine, id: &str, spec: &Spec) -> Result<()> {
    let Some(loader) = &spec.loader else {
        return Ok(());
    };
    if engine.has_file(id, loader).await? {
        return Ok(());
    }
    Err(Failure::new(
        Code::WrongBinary,
        format!("the program asks for the loader `{loader}`, which the image `{}` lacks", spec.image),
    )
    .hint(
        "`--cgo --ldflags '-linkmode external -extldflags -static'` needs none, nor does `--tags netgo,osusergo` \
         without `--cgo` where the program itself has no C; or name an image that has it, such as \
         `--image debian:12`",
    ))
}

async fn launch(
    engine: &Engine,
    id: String,
    name: String,
    identity: &Identity,
    published: Option<Publish>,
) -> Result<Candidate> {
    let watch = engine.watch(&id).await?;
    engine.start(&id, &name).await?;
    Ok(Candidate {
        id,
        name,
        program: release::built(&identity.path, &identity.repository),
        port: identity.port,
        published,
        health: identity.health.clone(),
        watch,
    })
}
