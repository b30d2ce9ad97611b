//! `sdp stop`: what runs, runs no more, and stays as it is.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::engine::{Container, Engine};
use crate::event::{Emitter, Event, Past, Stage, Took};
use crate::failure::{Failure, Result};
use crate::interrupt::Interrupt;
use crate::plan::Repository;
use crate::release::history;
use crate::upkeep;

/// The exit code of a program that SIGKILL has ended.
const KILLED: i64 = 137;

/// Stops the running ones of a checkout's containers, and returns what there is to tell. That nothing
/// runs is no error. Without a `timeout` each may take as long as its deployment was told.
///
/// # Errors
/// `not_deployed`, `locked`, those of any call to the engine, and `interrupted` or `terminated`: a signal
/// ends the wait, not what the engine has been told.
pub async fn stop(
    engine: &Engine,
    repository: &Repository,
    timeout: Option<Duration>,
    emitter: &Emitter,
    interrupt: &Interrupt,
) -> Result<Event> {
    // A deployment under way must not find its former container stopped under its feet.
    let store = upkeep::store(engine, repository, "stop");
    let store = interrupt.or(store).await?;
    let recovered = upkeep::recover(engine, &store, repository, emitter);
    let containers = interrupt.or(recovered).await?;
    let running: Vec<&Container> = containers
        .iter()
        .filter(|container| container.running)
        .collect();
    let stopped = |containers: &[&Container], elapsed| {
        if let Some(identity) = containers.first().and_then(|first| first.identity.as_ref()) {
            emitter.about(&identity.deployment);
        }
        let repository = repository.name.clone();
        let containers = containers.iter().map(|container| container.name.clone());
        Event::Stopped {
            repository,
            containers: containers.collect(),
            elapsed,
        }
    };
    if running.is_empty() {
        let last = upkeep::stopped(engine, &containers);
        let last = interrupt.or(last).await?;
        let last = last.first();
        let last = last.ok_or_else(|| Failure::not_deployed(&repository.name))?;
        return Ok(stopped(&[last], None));
    }
    let all_begun = Instant::now();
    for container in &running {
        // Without one it is nothing of sdp's.
        let Some(identity) = &container.identity else {
            continue;
        };
        emitter.about(&identity.deployment);
        let (at, begun) = (Timestamp::now(), Instant::now());
        let timeout = timeout.unwrap_or(identity.stop_timeout);
        end(engine, container, timeout, emitter, interrupt).await?;
        store.remember(&Past {
            at: history::time(at),
            what: "stop".to_owned(),
            id: identity.deployment.clone(),
            who: history::who(),
            branch: identity.branch.clone(),
            commit: Some(identity.commit.clone()),
            outcome: "stopped".to_owned(),
            exit_code: 0,
            code: None,
            elapsed_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        })?;
    }
    Ok(stopped(&running, Some(all_begun.elapsed())))
}

/// Stops a container and tells so, as a stage: a program may take its time.
async fn end(
    engine: &Engine,
    container: &Container,
    timeout: Duration,
    emitter: &Emitter,
    interrupt: &Interrupt,
) -> Result<()> {
    let stage = Stage::Stop;
    emitter.emit(Event::Started(stage));
    let events = emitter.stage(stage);
    events.note(format!("stopping {}, up to {timeout:?}", container.name));
    let begun = Instant::now();
    let ended = interrupt.or(async {
        engine.stop(container, timeout).await?;
        // The engine's list still has it running until its end is written down (moby, handleContainerExit),
        // for which a look at the container waits.
        engine.inspect(&container.id).await
    });
    let ended = ended.await;
    let elapsed = begun.elapsed();
    let waited = elapsed;
    let took = Took { elapsed, waited };
    match ended {
        Ok(details) => {
            let is_killed = details.is_some_and(|details| details.exit_code == KILLED);
            if is_killed && !timeout.is_zero() && elapsed >= timeout {
                events.note("killed: it ignored SIGTERM");
            } else {
                events.note(&container.name);
            }
            emitter.emit(Event::Finished { stage, took });
            Ok(())
        }
        Err(failure) => {
            let problem = failure.problem();
            emitter.emit(Event::Failed {
                stage,
                took,
                problem,
            });
            Err(failure)
        }
    }
}
