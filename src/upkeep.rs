//! What is put in order: after a run that was killed, and after a success.

use std::path::Path;

use jiff::Timestamp;
use tokio::time::timeout;

use crate::engine::{Container, Engine};
use crate::event::Emitter;
use crate::failure::{Code, Failure, Result};
use crate::git::{self, Git};
use crate::handover::{examine, revive};
use crate::plan::{Repository, Warning};
use crate::release::{self, Stop, Store, Underway};
use crate::shell::quoted;

/// The command that puts in order what a killed run has left: `status`, `logs` and `doctor` change nothing.
pub const NEXT: &str = "the next `deploy`, `start`, `stop`, `rollback` or `prune`";

/// How many files a warning names.
const NAMED_FILES: usize = 10;

/// The containers of one checkout, newest first, and canaries that a killed run left.
///
/// # Errors
/// Those of any call to the engine.
pub async fn containers(engine: &Engine, repository: &Repository) -> Result<Vec<Container>> {
    let mut containers = engine.containers().await?;
    containers.retain(|container| is_of(container, repository));
    Ok(containers)
}

/// A container of the service that runs from another checkout: sdp.toml had another `path` before, and
/// nobody would stop it.
pub fn left_behind(running: &[Container], repository: &Repository) -> Option<Warning> {
    let name = &repository.name;
    let elsewhere = running.iter().find_map(|container| {
        let identity = container.identity.as_ref()?;
        let is_it = identity.repository == *name && identity.path != repository.path;
        (is_it && !identity.canary).then_some((container, identity))
    });
    let (container, identity) = elsewhere.filter(|_| repository.is_configured)?;
    let old = identity.path.display();
    // A checkout that was moved, or is another host's, has no place here to take a lock in.
    let stop = if identity.path.is_dir() {
        format!("sdp stop {}", quoted(&identity.path))
    } else {
        format!("docker stop {}", container.name)
    };
    Some(Warning {
        line: format!(
            "`{}` still runs from `{old}`, which is another checkout of `{name}` than sdp.toml has",
            container.name
        ),
        hint: format!("`{stop}`, unless it is to serve, too"),
    })
}

/// By its path alone: the name of a checkout depends on how it was named.
fn is_of(container: &Container, repository: &Repository) -> bool {
    container
        .identity
        .as_ref()
        .is_some_and(|identity| identity.path == repository.path)
}

/// Those of the containers that do not run, the one that ran last first: after a rollback the newest
/// one is not the last good one.
///
/// # Errors
/// Those of any call to the engine.
pub async fn stopped(engine: &Engine, containers: &[Container]) -> Result<Vec<Container>> {
    let mut stopped: Vec<(Option<Timestamp>, Container)> = Vec::new();
    for container in containers.iter().filter(|container| !container.running) {
        if let Some(details) = engine.inspect(&container.id).await? {
            stopped.push((details.finished_at.parse().ok(), container.clone()));
        }
    }
    stopped.sort_by_key(|(finished, _)| std::cmp::Reverse(*finished));
    Ok(stopped
        .into_iter()
        .map(|(_, container)| container)
        .collect())
}

/// Takes the lock of a checkout that has been deployed from; see [`Store::of`].
///
/// # Errors
/// `not_deployed`, `locked`, and those of any call to the engine.
pub async fn store(engine: &Engine, repository: &Repository, what: &str) -> Result<Store> {
    let is_known = repository.path.join(release::DIRECTORY).is_dir();
    let has_containers = !is_known && !containers(engine, repository).await?.is_empty();
    Store::of(repository, what, has_containers)
}

/// Puts in order what a run that was killed left, tells so, and returns the containers that there
/// are then.
///
/// A hand-over that was cut is completed if its container is there and proves itself now; else it
/// is taken back and the former container started again, unless it still runs.
///
/// # Errors
/// Those of any call to the engine, and of the file system.
pub async fn recover(
    engine: &Engine,
    store: &Store,
    repository: &Repository,
    emitter: &Emitter,
) -> Result<Vec<Container>> {
    let path = repository.path.clone();
    tokio::task::spawn_blocking(move || git::remove_leftovers(&path))
        .await
        .map_err(anyhow::Error::from)?;
    let found = containers(engine, repository).await?;
    let mut done = Vec::new();
    let underway = store.underway();
    if let Some(underway) = &underway
        && underway.is_elsewhere(&engine.mark().await?)
    {
        return Err(underway_elsewhere(underway, &repository.path));
    }
    let settled = match &underway {
        Some(underway) => settle(engine, underway, &found, &mut done, emitter).await?,
        None => true,
    };
    for container in found.iter().filter(|container| is_leftover(container)) {
        // A migration is asked to end before it is killed, and so is a program.
        if container.running {
            let patience = container.identity.as_ref().map(|of| of.stop_timeout);
            let patience = patience.unwrap_or_default();
            engine.terminate(&container.id, patience).await?;
            done.push(format!("stopped {}, which still ran", container.name));
        }
        engine.remove(&container.id).await?;
        done.push(format!("removed {}", container.name));
    }
    if underway.is_some() || has_volumes(&found) {
        let cleared = clear_volumes(engine, repository).await?;
        done.extend(
            cleared
                .iter()
                .map(|name| format!("removed the volume {name}")),
        );
    }
    // A former container that does not come back now is tried again by the next command.
    if settled {
        store.end()?;
    }
    if store.sweep()? > 0 {
        done.push("removed a half-written release".to_owned());
    }
    if done.is_empty() {
        return Ok(found);
    }
    emitter.warn(
        format!("an earlier run was killed: {}", done.join(", ")),
        None,
    );
    containers(engine, repository).await
}

/// The failure of whoever finds a hand-over that was cut at another engine: what the containers there are
/// like nobody can tell here.
pub fn underway_elsewhere(underway: &Underway, checkout: &Path) -> Failure {
    let message = format!(
        "an earlier run was killed as it handed over to `{}` at another engine, `{}`",
        underway.incoming, underway.address
    );
    Failure::new(Code::Locked, message).hint(format!(
        "`sdp -H {0} status` shows what runs there; `deploy`, `start`, `stop`, `rollback` or `prune` with `-H {0}` \
         puts it in order; if that engine is gone for good, `rm {1}`",
        quoted(&underway.address),
        quoted(release::underway_file(checkout))
    ))
}

/// What the next command that changes something will make of a hand-over that was cut.
pub fn cut_line(underway: &Underway) -> String {
    let incoming = &underway.incoming;
    let back = match underway.formers.as_slice() {
        [] => String::new(),
        formers => format!(
            ", and `{}` started again unless it still runs",
            formers.join("`, `")
        ),
    };
    if underway.failed {
        return format!(
            "an earlier run was killed as it took `{incoming}` back: that is completed by {NEXT}{back}"
        );
    }
    format!(
        "an earlier run was killed as it handed over to `{incoming}`: {NEXT} completes that if \
         it proves itself; else it is taken back{back}"
    )
}

async fn settle(
    engine: &Engine,
    underway: &Underway,
    found: &[Container],
    done: &mut Vec<String>,
    emitter: &Emitter,
) -> Result<bool> {
    let of = |name: &String| found.iter().find(|container| container.name == *name);
    let formers: Vec<&Container> = underway.formers.iter().filter_map(of).collect();
    let incoming = of(&underway.incoming);
    if let Some(incoming) = incoming
        && let Some(identity) = &incoming.identity
        && incoming.running
        && !underway.failed
        && identity.has_release()
        && examine(engine, incoming, identity).await.is_ok()
    {
        for former in formers.iter().filter(|former| former.running) {
            engine.stop(former, identity.stop_timeout).await?;
            done.push(format!("stopped {}", former.name));
        }
        return Ok(true);
    }
    if let Some(incoming) = incoming {
        match &incoming.identity {
            Some(identity) if !underway.is_new => {
                engine.stop(incoming, identity.stop_timeout).await?;
            }
            _ => engine.remove(&incoming.id).await?,
        }
        done.push(format!("took {} back", incoming.name));
    }
    let mut settled = true;
    for former in formers {
        if former.running && outlasts(engine, former, underway.stop, emitter).await? {
            continue;
        }
        match revive(engine, former).await {
            Ok(()) => done.push(format!("started {} again", former.name)),
            Err(failure) => {
                settled = false;
                done.push(format!("could not start {} again ({failure})", former.name));
            }
        }
    }
    Ok(settled)
}

/// Whether a former container, which runs, still does when the engine has carried through what a killed run
/// may have asked it for: nothing tells whether that came to ask for the stop.
async fn outlasts(
    engine: &Engine,
    former: &Container,
    stop: Option<Stop>,
    emitter: &Emitter,
) -> Result<bool> {
    let Some(stop) = stop else {
        return Ok(true);
    };
    let mut watch = engine.watch(&former.id).await?;
    let details = engine.inspect(&former.id).await?;
    if !details.is_some_and(|details| details.running) {
        return Ok(false);
    }
    let left = stop.left();
    if !left.is_zero() {
        emitter.warn(
            format!(
                "an earlier run was killed, perhaps once it had told `{}` to stop: waiting up to {:.1}s for that",
                former.name,
                left.as_secs_f64()
            ),
            None,
        );
    }
    if let Ok(exit) = timeout(left, watch.exit()).await {
        return exit.map(|_| false);
    }
    if let Some(identity) = &former.identity {
        engine.rearm(&former.id, identity).await?;
    }
    Ok(true)
}

/// Puts tracked files back that have changed while go or a hook was building, so that the release has the
/// commit's and the next deployment meets no local changes. What they were is kept: it may be
/// somebody's work, and the only copy. Returns what people should know of it.
///
/// # Errors
/// `git_failed`, `disk_full`, `permission_denied`.
pub fn put_back(git: &Git, store: &Store, id: &str) -> Result<Option<Warning>> {
    let keep = store.changed(id);
    let changed = git.restore(&keep)?;
    let named: Vec<String> = changed
        .iter()
        .take(NAMED_FILES)
        .map(|path| format!("`{}`", path.display()))
        .collect();
    let more = match changed.len().saturating_sub(NAMED_FILES) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    store.end_build()?;
    if named.is_empty() {
        return Ok(None);
    }
    store.retire_changed()?;
    Ok(Some(Warning {
        line: format!(
            "tracked files changed during the build and are put back: {}{more}",
            named.join(", ")
        ),
        hint: format!(
            "`ls -R {}` lists what they were; commit that if it is meant",
            quoted(keep)
        ),
    }))
}

/// Only then are the volumes asked for: most engines mount releases.
fn has_volumes(containers: &[Container]) -> bool {
    let volume = |container: &Container| container.identity.as_ref()?.volume.clone();
    containers
        .iter()
        .any(|container| volume(container).is_some())
}

/// Removes the volumes of a checkout's releases that no container has any more, and returns their names.
///
/// # Errors
/// Those of any call to the engine.
pub async fn clear_volumes(engine: &Engine, repository: &Repository) -> Result<Vec<String>> {
    let volumes = engine.volumes(&repository.path).await?;
    if volumes.is_empty() {
        return Ok(Vec::new());
    }
    let containers = containers(engine, repository).await?;
    let mut cleared = Vec::new();
    for volume in volumes {
        let identities = containers
            .iter()
            .filter_map(|other| other.identity.as_ref());
        if identities
            .filter_map(|other| other.volume.as_ref())
            .any(|name| *name == volume)
        {
            continue;
        }
        engine.remove_volume(&volume).await?;
        cleared.push(volume);
    }
    Ok(cleared)
}

/// Of local changes after a build that was killed nobody knows whether they are the build's or somebody's
/// later work: only people can tell. `cut_build` is the deployment whose build that was.
pub fn after_cut_build(cut_build: Option<String>, failure: Failure) -> Failure {
    match cut_build {
        Some(id) if failure.code == Code::CheckoutDirty => failure.hint(format!(
            "the build of {id} was killed, and may have left them: `--force` puts them back and keeps \
             what they were; `git stash` keeps them for later"
        )),
        _ => failure,
    }
}

/// A canary, or a container that was created but never started.
pub fn is_leftover(container: &Container) -> bool {
    container.state == "created"
        || container
            .identity
            .as_ref()
            .is_some_and(|identity| identity.canary)
}

/// What was cleared away, or would be.
#[derive(Debug, Default)]
pub struct Cleared {
    pub containers: Vec<String>,
    pub releases: Vec<String>,
    /// Bytes on disk.
    pub freed: u64,
}

/// Removes all but the `keep` releases that ran last, with their stopped containers, and releases
/// whose container is gone. What runs stays, whatever its age, and so do releases that were made for
/// another engine, of whose containers nothing is known here. With `pretend` nothing is removed.
///
/// # Errors
/// Those of any call to the engine, and of the file system.
pub async fn retire(
    engine: &Engine,
    store: &Store,
    repository: &Repository,
    keep: usize,
    pretend: bool,
) -> Result<Cleared> {
    let mut cleared = Cleared::default();
    let (found, others): (Vec<_>, Vec<_>) = engine
        .containers()
        .await?
        .into_iter()
        .partition(|container| is_of(container, repository));
    let mark = engine.mark().await?;
    let deployment = |container: &Container| {
        container
            .identity
            .as_ref()
            .map(|identity| identity.deployment.clone())
    };
    // The canary of what serves now may still be there; it is not a release of its own.
    let serving = found.iter();
    let serving = serving.filter(|container| container.running && !is_leftover(container));
    let mut kept: Vec<String> = serving.filter_map(deployment).collect();
    for container in stopped(engine, &found).await? {
        if is_leftover(&container) {
            // The engine may carry out what a killed run asked for after `recover` has looked.
            if !pretend {
                engine.remove(&container.id).await?;
            }
        } else if kept.len() < keep {
            kept.extend(deployment(&container));
        } else {
            if !pretend {
                engine.remove(&container.id).await?;
            }
            cleared.containers.push(container.name);
        }
    }
    if !pretend && has_volumes(&found) {
        clear_volumes(engine, repository).await?;
    }
    // Whatever runs has its release still mounted.
    let mounting = others.iter().filter(|other| may_mount(other, store));
    let mounting = found.iter().chain(mounting);
    kept.extend(mounting.filter(|it| it.running).filter_map(deployment));
    for id in store.list()? {
        if !kept.contains(&id) && store.other_engine(&id, &mark).is_none() {
            cleared.freed += if pretend {
                store.size(&id)
            } else {
                store.remove(&id)?
            };
            cleared.releases.push(id);
        }
    }
    Ok(cleared)
}

/// Whether a container of another path may have one of the store's releases, because the checkout was moved
/// or has two paths. Another checkout can have a release of the same id.
fn may_mount(container: &Container, store: &Store) -> bool {
    container.identity.as_ref().is_some_and(|identity| {
        let id = &identity.deployment;
        release::is_same(&store.release(id), &release::path(&identity.path, id)) != Some(false)
    })
}
