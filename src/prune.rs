//! `sdp prune`: old releases, their containers, and releases whose container is gone.

use std::collections::BTreeMap;

use crate::engine::Engine;
use crate::event::{Emitter, Event};
use crate::failure::Result;
use crate::plan::Repository;
use crate::release::Store;
use crate::shell::quoted;
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
    tell_of_other_engines(engine, &store, repository, emitter).await?;
    Ok(Event::Pruned {
        repository: repository.name.clone(),
        containers: cleared.containers,
        releases: cleared.releases,
        freed: cleared.freed,
        pretended: pretend,
    })
}

/// Of the releases of an engine that is gone for good nobody else would ever hear.
async fn tell_of_other_engines(
    engine: &Engine,
    store: &Store,
    repository: &Repository,
    emitter: &Emitter,
) -> Result<()> {
    let mark = engine.mark().await?;
    let mut others: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for id in store.list()? {
        if let Some(other) = store.other_engine(&id, &mark) {
            others.entry(other).or_default().push(id);
        }
    }
    for (other, ids) in others {
        let (releases, stay) = match ids.len() {
            1 => ("release", "stays"),
            _ => ("releases", "stay"),
        };
        let line = format!(
            "{} {releases} for another engine, `{other}`, {stay}: nothing is known here of what runs there",
            ids.len()
        );
        let folders = ids.iter().map(|id| quoted(store.release(id)));
        let folders: Vec<String> = folders.collect();
        let hint = format!(
            "`sdp -H {} prune {}` removes old ones; if that engine is gone for good, `rm -r {}`",
            quoted(&other),
            quoted(&repository.path),
            folders.join(" ")
        );
        emitter.warn(line, Some(hint));
    }
    Ok(())
}
