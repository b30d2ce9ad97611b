//! `sdp prune`: old releases, their containers, and releases whose container is gone.

use crate::engine::Engine;
use crate::event::{Emitter, Event};
use crate::failure::Result;
use crate::plan::Repository;
use crate::upkeep;

/// Removes all but the newest `keep` releases, or only tells what that would be; returns what there is
/// to tell.
///
/// # Errors
/// `not_deployed`, `locked`, and those of the engine and the file system.
pub async fn prune(
    engine: &Engine,
    repository: &Repository,
    keep: usize,
    pretend: bool,
    emitter: &Emitter,
) -> Result<Event> {
    let store = upkeep::store(engine, repository, "prune").await?;
    if !pretend {
        upkeep::recover(engine, &store, repository, emitter).await?;
    }
    let cleared = upkeep::retire(engine, &store, repository, keep, pretend).await?;
    if !pretend {
        upkeep::clear_volumes(engine, repository).await?;
    }
    Ok(Event::Pruned {
        repository: repository.name.clone(),
        containers: cleared.containers,
        releases: cleared.releases,
        freed: cleared.freed,
        pretended: pretend,
    })
}
