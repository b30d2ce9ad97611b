//! `sdp stop`: what runs, runs no more, and stays as it is.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::engine::{Container, Engine};
use crate::event::{Emitter, Event, Past};
use crate::failure::{Failure, Result};
use crate::plan::Repository;
use crate::release::history;
use crate::upkeep;

/// Stops the running ones of a checkout's containers, and returns what there is to tell. That nothing
/// runs is no error. Without a `timeout` each may take as long as its deployment was told.
///
/// # Errors
/// `not_deployed`, `locked`, and those of any call to the engine.
pub async fn stop(
    engine: &Engine,
    repository: &Repository,
    timeout: Option<Duration>,
    emitter: &Emitter,
) -> Result<Event> {
    // A deployment under way must not find its former container stopped under its feet.
    let store = upkeep::store(engine, repository, "stop").await?;
    let containers = upkeep::recover(engine, &store, repository, emitter).await?;
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
        let last = upkeep::stopped(engine, &containers).await?;
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
        let (at, begun) = (Timestamp::now(), Instant::now());
        let timeout = timeout.unwrap_or(identity.stop_timeout);
        engine.stop(container, timeout).await?;
        store.remember(&Past {
            at: history::time(at),
            what: "stop".to_owned(),
            id: identity.deployment.clone(),
            who: history::who(),
            branch: identity.branch.clone(),
            commit: Some(identity.commit.clone()),
            outcome: "stopped".to_owned(),
            exit_code: 0,
            elapsed_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        })?;
        // The engine's list still has it running until its end is written down (moby, handleContainerExit),
        // for which a look at the container waits.
        engine.inspect(&container.id).await?;
    }
    Ok(stopped(&running, Some(all_begun.elapsed())))
}
