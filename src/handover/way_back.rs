//! The way back of a hand-over: what was created goes, what was stopped serves again.

use std::time::Duration;

use super::{Handover, Incoming, launch};
use crate::engine::{Container, Engine, Identity};
use crate::event::StageEmitter;
use crate::failure::{Code, Failure, Result};
use crate::plan::Publish;
use crate::probe::{self, Candidate};
use crate::release;
use crate::shell::quoted;

/// How long each call may take when things are taken back, perhaps because the engine is stuck.
const WAY_BACK: Duration = Duration::from_secs(20);

impl Handover<'_> {
    /// Takes everything back: removes what was created, starts again what was stopped. Returns the
    /// failure that led here, or a worse one. What cannot be taken back now stays written down, for
    /// the next command.
    pub(super) async fn undo(&mut self, failure: Failure, events: &StageEmitter) -> Failure {
        // What runs by then may look well, but it was told to be a failure.
        self.store.begin(&self.underway(true)).ok();
        self.see_off().await.ok();
        let engine = self.engine.impatient(WAY_BACK);
        let mut undone = self.remove_created(&engine).await;
        let mut outcome = failure;
        for former in self.stopped.iter().rev() {
            events.note(format!("starting {} again", former.name));
            // Without the port freed, or an engine that answers, there is no use in trying.
            let revived = match &undone {
                Ok(()) => revive(&engine, former).await,
                Err(failure) => Err(Failure::new(failure.code, failure.message.clone())),
            };
            if let Err(error) = revived {
                let message = format!(
                    "{outcome}; then `{}` did not come back: {error}",
                    former.name
                );
                let hint = format!(
                    "`sdp start {}` takes the rest back and starts it again; `docker logs {}` shows what it \
                     printed last",
                    quoted(&self.incoming.identity().path),
                    former.name
                );
                outcome = Failure::new(Code::FormerLost, message)
                    .hint(hint)
                    .detail(outcome.detail);
                undone = Err(error);
            }
        }
        self.downtime = self
            .down_since
            .map_or(Duration::ZERO, |since| since.elapsed());
        match undone {
            Ok(()) if !self.cut => {
                if let Err(error) = self.store.end() {
                    events.warn(error.to_string(), error.hint);
                }
            }
            Ok(()) => {}
            Err(error) => {
                let hint = "the next command that changes something takes the rest back";
                events.warn(error.to_string(), Some(hint.to_owned()));
            }
        }
        outcome
    }

    /// Removes what did not exist before, and stops what did not run; that frees the port which a
    /// former container needs.
    pub(super) async fn remove_created(&self, engine: &Engine) -> Result<()> {
        for name in &self.created {
            engine.remove(name).await?;
        }
        if let Some(volume) = &self.uploaded {
            engine.remove_volume(volume).await?;
        }
        match &self.incoming {
            Incoming::Kept {
                container,
                identity,
                ..
            } if self.woken => engine.stop(container, identity.stop_timeout).await,
            _ => Ok(()),
        }
    }
}

/// Starts a container that served before, and proves it.
///
/// # Errors
/// Why it does not serve again.
pub async fn revive(engine: &Engine, former: &Container) -> Result<()> {
    let Some(identity) = &former.identity else {
        return Ok(());
    };
    engine.rearm(&former.id, identity).await?;
    let (id, name) = (former.id.clone(), former.name.clone());
    // It is to be as it was before, whether its published port led anywhere or not.
    let mut candidate = launch(engine, id, name, identity, None).await?;
    let proven = probe::prove(engine, &mut candidate, None, None).await;
    proven.map(drop)
}

/// Proves a container that runs already.
///
/// # Errors
/// Why it does not serve.
pub async fn examine(engine: &Engine, container: &Container, identity: &Identity) -> Result<()> {
    let details = engine.inspect(&container.id).await?.unwrap_or_default();
    let mut candidate = Candidate {
        id: container.id.clone(),
        name: container.name.clone(),
        program: release::built(&identity.path, &identity.repository),
        port: identity.port,
        published: Publish::of_port(&details.publish, identity.port),
        health: identity.health.clone(),
        watch: engine.watch(&container.id).await?,
    };
    let proven = probe::prove(engine, &mut candidate, None, None).await;
    proven.map(drop)
}
