//! `sdp stop`: what runs, runs no more, and stays as it is.

use std::time::{Duration, Instant};

use crate::engine::{Container, Engine};
use crate::event::{Emitter, Event};
use crate::failure::{Code, Failure, Result};
use crate::release::Store;

/// Stops the running ones of a repository's containers. That nothing runs is no error.
///
/// # Errors
/// `not_deployed`, `locked`, and those of any call to the engine.
pub async fn stop(
    engine: &Engine,
    repository: &str,
    containers: &[Container],
    timeout: Duration,
    emitter: &Emitter,
) -> Result<()> {
    let [newest, ..] = containers else {
        return Err(Failure::new(
            Code::NotDeployed,
            format!("nothing of `{repository}` is deployed here"),
        )
        .hint("`sdp status` lists what is"));
    };
    let stopped = |container: &Container, elapsed| {
        emitter.emit(Event::Stopped {
            repository: repository.to_owned(),
            container: container.name.clone(),
            elapsed,
        });
    };
    let running: Vec<&Container> = containers
        .iter()
        .filter(|container| container.running)
        .collect();
    if running.is_empty() {
        stopped(newest, None);
    }
    for container in running {
        // A deployment under way must not find its former container stopped under its feet.
        let path = container
            .identity
            .as_ref()
            .map(|identity| identity.path.as_path());
        let _store = match path.filter(|path| path.is_dir()) {
            Some(path) => Some(Store::lock(path, "stop")?),
            None => None,
        };
        let begun = Instant::now();
        engine.stop(&container.id, timeout).await?;
        stopped(container, Some(begun.elapsed()));
    }
    Ok(())
}
