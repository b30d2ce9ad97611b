//! What is cleared away: after a run that was killed, and after a success.

use crate::engine::{Container, Engine};
use crate::event::Emitter;
use crate::failure::Result;
use crate::plan::{Plan, Repository};
use crate::release::Store;

/// Removes what a run that was killed left: half-written releases, canaries, and containers that
/// were created but never started.
///
/// # Errors
/// Those of any call to the engine, and of the file system.
pub async fn clear_leftovers(
    engine: &Engine,
    store: &Store,
    repository: &Repository,
    containers: &[Container],
    emitter: &Emitter,
) -> Result<()> {
    let mut cleared: Vec<&str> = Vec::new();
    for container in containers {
        let Some(identity) = &container.identity else {
            continue;
        };
        let left = identity.canary || container.state == "created";
        if left && identity.path == repository.path {
            engine.remove(&container.id).await?;
            cleared.push(&container.name);
        }
    }
    if store.sweep()? > 0 {
        cleared.push("a half-written release");
    }
    if !cleared.is_empty() {
        let line = format!(
            "an earlier deployment was killed; removed {}",
            cleared.join(", ")
        );
        emitter.warn(line, None);
    }
    Ok(())
}

/// Removes all but the newest releases, with their stopped containers. Nothing that fails here
/// makes the deployment a failure.
pub async fn retire(engine: &Engine, store: &Store, plan: &Plan, emitter: &Emitter) {
    if let Err(failure) = try_retire(engine, store, plan).await {
        let hint = "the next deployment tries again".to_owned();
        emitter.warn(format!("old releases stay: {failure}"), Some(hint));
    }
}

async fn try_retire(engine: &Engine, store: &Store, plan: &Plan) -> Result<()> {
    let mut kept = Vec::new();
    for container in engine.containers(Some(&plan.repository.name)).await? {
        let Some(identity) = container.identity else {
            continue;
        };
        if identity.path != plan.repository.path {
            continue;
        }
        if container.running || kept.len() < plan.keep {
            kept.push(identity.deployment);
        } else {
            engine.remove(&container.id).await?;
        }
    }
    for id in store.list()? {
        if !kept.contains(&id) {
            store.remove(&id)?;
        }
    }
    Ok(())
}
