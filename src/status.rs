//! `sdp status`: what runs, since when, on which commit.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::engine::{Container, Engine, Identity};
use crate::event::{Commit, Emitter, Event, Kept, Service};
use crate::failure::{Code, Failure, Result};
use crate::plan::Repository;
use crate::release::{self, Underway, history};
use crate::run;
use crate::shell::quoted;
use crate::upkeep;

/// Tells about each service among `containers`, which come newest first; of a repository's, with what one
/// can go back to.
///
/// # Errors
/// Those of any call to the engine.
pub async fn status(
    engine: &Engine,
    containers: &[Container],
    repository: Option<&Repository>,
    emitter: &Emitter,
) -> Result<()> {
    let identities = containers.iter().filter_map(|c| c.identity.as_ref());
    let paths: BTreeSet<&Path> = identities.map(|identity| identity.path.as_path()).collect();
    let mut cuts: BTreeMap<&Path, Underway> = BTreeMap::new();
    for path in paths {
        if let Some(cut) = cut(engine, path, emitter).await? {
            cuts.insert(path, cut);
        }
    }
    let mut services: Vec<Service> = Vec::new();
    for container in newest(containers) {
        let Some(identity) = &container.identity else {
            continue;
        };
        let Some(details) = engine.inspect(&container.id).await? else {
            continue;
        };
        let started_at = Some(details.started_at.clone()).filter(|_| container.running);
        let up = started_at
            .as_ref()
            .and_then(|then| then.parse::<jiff::Timestamp>().ok())
            .and_then(|then| Duration::try_from(jiff::Timestamp::now().duration_since(then)).ok());
        services.push(Service {
            repository: identity.repository.clone(),
            path: identity.path.to_string_lossy().into_owned(),
            state: container.state.clone(),
            started_at,
            up,
            restarts: u64::try_from(details.restarts).unwrap_or_default(),
            deployment: identity.deployment.clone(),
            releases: if repository.is_some() {
                let cut = cuts.get(identity.path.as_path());
                releases(containers, identity, cut)
            } else {
                Vec::new()
            },
            branch: identity.branch.clone(),
            commit: Commit {
                id: identity.commit.clone(),
                subject: String::new(),
            },
            container: run::running(&container.name, &container.id, &details, identity.port),
        });
    }
    services.sort_by(|a, b| (&a.repository, &a.path).cmp(&(&b.repository, &b.path)));
    match repository {
        Some(repository) if services.is_empty() => {
            let told = Failure::not_deployed(&repository.name);
            emitter.warn(told.message, told.hint);
        }
        None if services.is_empty() => {
            let hint = "`sdp deploy .` deploys the checkout in this directory";
            emitter.warn("nothing is deployed here", Some(hint.to_owned()));
        }
        _ => {}
    }
    for service in services {
        emitter.emit(Event::Service(Box::new(service)));
    }
    Ok(())
}

/// Tells what was done to a checkout's service.
///
/// # Errors
/// Those of the file system.
pub fn history(repository: &Repository, emitter: &Emitter) -> Result<()> {
    let history = history::read(&repository.path)?;
    if history.is_empty() {
        emitter.warn(
            format!("nothing was done to `{}` yet", repository.name),
            None,
        );
    }
    for past in history {
        let repository = repository.name.clone();
        emitter.emit(Event::Past {
            repository,
            past: Box::new(past),
        });
    }
    Ok(())
}

/// One container a checkout: the one that runs, else the newest.
fn newest(containers: &[Container]) -> Vec<&Container> {
    let mut chosen: Vec<&Container> = Vec::new();
    for container in containers
        .iter()
        .filter(|c| c.running)
        .chain(containers.iter().filter(|c| !c.running))
    {
        let Some(identity) = &container.identity else {
            continue;
        };
        let known = chosen.iter().any(|other| {
            other.identity.as_ref().is_some_and(|other| {
                (&other.repository, &other.path) == (&identity.repository, &identity.path)
            })
        });
        if !known && !identity.canary {
            chosen.push(container);
        }
    }
    chosen
}

/// The hand-over that a killed run has left in a checkout, with a warning.
async fn cut(engine: &Engine, path: &Path, emitter: &Emitter) -> Result<Option<Underway>> {
    if release::is_locked(path) {
        return Ok(None);
    }
    let Some(underway) = release::cut(path).0 else {
        return Ok(None);
    };
    if underway.is_elsewhere(&engine.mark().await?) {
        let told = upkeep::underway_elsewhere(&underway, path);
        emitter.warn(told.message, told.hint);
        return Ok(None);
    }
    let hint = format!("`sdp start {}` does that now", quoted(path));
    emitter.warn(upkeep::cut_line(&underway), Some(hint));
    Ok(Some(underway))
}

/// The other releases of the same checkout that one can go back to, newest first. What was to serve
/// when its deployment was killed is none of them: nothing has proven it.
fn releases(containers: &[Container], of: &Identity, cut: Option<&Underway>) -> Vec<Kept> {
    let unproven = cut.filter(|cut| cut.is_new).map(|cut| &cut.incoming);
    let others = containers
        .iter()
        .filter(|container| Some(&container.name) != unproven)
        .filter_map(|container| container.identity.as_ref());
    others
        .filter(|other| {
            (&other.repository, &other.path) == (&of.repository, &of.path)
                && other.deployment != of.deployment
                && !other.canary
                && other.has_release()
        })
        .map(|other| Kept {
            deployment: other.deployment.clone(),
            branch: other.branch.clone(),
            commit: Commit {
                id: other.commit.clone(),
                subject: String::new(),
            },
        })
        .collect()
}

/// The containers that a repository on the command line stands for: those of its checkout; of a bare
/// name or a URL else those of that name, if that is one service only.
///
/// # Errors
/// `usage`, where the name stands for several.
pub fn select(containers: Vec<Container>, repository: &Repository) -> Result<Vec<Container>> {
    let path = |container: &Container| container.identity.as_ref().map(|i| i.path.clone());
    let of_checkout = |container: &Container| path(container).as_ref() == Some(&repository.path);
    if containers.iter().any(of_checkout) {
        return Ok(containers.into_iter().filter(of_checkout).collect());
    }
    if repository.by_path {
        return Ok(Vec::new());
    }
    let named = |container: &Container| {
        container
            .identity
            .as_ref()
            .is_some_and(|identity| identity.repository == repository.name)
    };
    let containers: Vec<Container> = containers.into_iter().filter(named).collect();
    let mut paths: Vec<PathBuf> = containers.iter().filter_map(path).collect();
    paths.sort();
    paths.dedup();
    match paths.as_slice() {
        [] | [_] => Ok(containers),
        [first, ..] => Err(Failure::new(
            Code::Usage,
            format!(
                "`{}` is deployed from {} checkouts",
                repository.name,
                paths.len()
            ),
        )
        .hint(format!("name the checkout, such as `{}`", quoted(first)))
        .detail(paths.iter().map(|path| path.display().to_string()))),
    }
}
