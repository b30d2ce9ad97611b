//! `sdp rollback`: an earlier release's container serves again; no git, no build. And `sdp start`,
//! which is the same for what `sdp stop` stopped.

use std::rc::Rc;

use crate::engine::{Container, Engine, Identity};
use crate::event::{Commit, Emitter, Stage};
use crate::failure::{Code, Failure, Result};
use crate::git::Git;
use crate::handover::{Canary, Handover, Incoming};
use crate::interrupt::Interrupt;
use crate::panics;
use crate::plan::Repository;
use crate::run::{self, Ended, Ending, Run};
use crate::shell::quoted;
use crate::stage::{health, start};
use crate::upkeep;

/// What to go back to.
#[derive(Clone, Copy, Debug)]
pub enum Goal<'a> {
    /// The newest release before the one that serves.
    Previous,
    /// This deployment's release.
    Deployment(&'a str),
    /// What ran last, if nothing runs.
    Last,
}

/// Hands over to a container that was kept. One that fails leaves what serves as it is.
pub async fn rollback(
    goal: Goal<'_>,
    canary: Canary,
    repository: &Repository,
    engine: &Engine,
    emitter: &Emitter,
    interrupt: &Interrupt,
) -> Ended {
    let what = if matches!(goal, Goal::Last) {
        "start"
    } else {
        "rollback"
    };
    let id = match goal {
        Goal::Deployment(id) => id,
        Goal::Previous | Goal::Last => "",
    };
    let mut run = Run::begin(what, id, repository, emitter, interrupt);
    let work = hand_over(&mut run, what, goal, canary, repository, engine);
    let result = panics::caught(work).await;
    run.end(Some(engine), result).await
}

async fn hand_over(
    run: &mut Run<'_>,
    what: &str,
    goal: Goal<'_>,
    canary: Canary,
    repository: &Repository,
    engine: &Engine,
) -> Result<Ending> {
    let store = upkeep::store(engine, repository, what).await?;
    let store = Rc::clone(run.store.insert(Rc::new(store)));
    let recovered = upkeep::recover(engine, &store, repository, run.emitter);
    let containers = run.interrupt.or(recovered).await?;
    let serving = run::serving(&containers);
    if let (Goal::Last, [running, ..]) = (goal, serving.as_slice()) {
        run.about(repository, running.identity.as_ref());
        return Ok(Ending::Unchanged(Box::new(running.clone())));
    }
    let (container, identity) = choose(engine, goal, repository, &containers, &serving).await?;
    run.about(repository, Some(&identity));
    if let Some(running) = serving.iter().find(|running| running.id == container.id) {
        return Ok(Ending::Unchanged(Box::new(running.clone())));
    }
    if identity.release == identity.path && !matches!(goal, Goal::Last) {
        let message = format!(
            "`{}` ran from the live checkout (`--mount checkout`), of which no release was kept",
            container.name
        );
        return Err(Failure::new(Code::NoRelease, message)
            .hint("`sdp deploy` with `--branch` builds what you want to go back to"));
    }
    if !identity.has_release() {
        let message = format!("the release `{}` is gone", identity.release.display());
        return Err(Failure::new(Code::NoRelease, message).hint(others(repository, &containers)));
    }
    let details = engine
        .inspect(&container.id)
        .await?
        .ok_or_else(|| Failure::not_deployed(&repository.name))?;
    let port = identity.port;
    let incoming = Incoming::Kept {
        container,
        identity,
        publish: details.publish,
        in_others_network: details.in_others_network,
    };
    let mut handover = Handover::new(engine, &store, run.interrupt, incoming, serving);
    let started = run
        .stage(Stage::Start, async |cx| {
            start::start(&cx, &mut handover, canary).await
        })
        .await;
    let handed = match started {
        Ok(started) => {
            run.stage(Stage::Health, async |cx| {
                health::health(&cx, &mut handover, started).await
            })
            .await
        }
        Err(failure) => Err(failure),
    };
    run.downtime = Some(handover.close(run.emitter).await);
    Ok(Ending::Handed {
        handed: handed?,
        port,
    })
}

async fn choose(
    engine: &Engine,
    goal: Goal<'_>,
    repository: &Repository,
    containers: &[Container],
    serving: &[Container],
) -> Result<(Container, Identity)> {
    let chosen = match goal {
        Goal::Deployment(id) => containers
            .iter()
            .find(|container| {
                container
                    .identity
                    .as_ref()
                    .is_some_and(|identity| identity.deployment == id)
            })
            .cloned(),
        // Not a newer one, from which somebody has rolled back already.
        Goal::Previous => {
            let newest = serving
                .first()
                .or(containers.first())
                .map(|container| container.created);
            let stopped = upkeep::stopped(engine, containers).await?;
            stopped
                .into_iter()
                .find(|other| Some(other.created) < newest)
        }
        Goal::Last => upkeep::stopped(engine, containers)
            .await?
            .into_iter()
            .next(),
    };
    if let Some(container) = chosen
        && let Some(identity) = &container.identity
    {
        let identity = identity.clone();
        return Ok((container, identity));
    }
    if containers.is_empty() {
        return Err(Failure::not_deployed(&repository.name));
    }
    let message = match goal {
        Goal::Deployment(id) => format!("there is no release `{id}` of `{}`", repository.name),
        Goal::Previous | Goal::Last => {
            format!(
                "there is no earlier release of `{}` to go back to",
                repository.name
            )
        }
    };
    Err(Failure::new(Code::NoRelease, message).hint(others(repository, containers)))
}

fn others(repository: &Repository, containers: &[Container]) -> String {
    let ids: Vec<&str> = containers
        .iter()
        .filter_map(|container| container.identity.as_ref())
        .filter(|identity| identity.has_release())
        .map(|identity| identity.deployment.as_str())
        .collect();
    match ids.as_slice() {
        [] => "`sdp deploy` makes a new one".to_owned(),
        ids => format!(
            "`sdp rollback {} --to ID` takes one of {}",
            quoted(&repository.path),
            ids.join(", ")
        ),
    }
}

impl Run<'_> {
    /// Says which deployment is gone back to: its id is that of the events and of the history.
    fn about(&mut self, repository: &Repository, identity: Option<&Identity>) {
        if let Some(identity) = identity {
            self.id.clone_from(&identity.deployment);
            self.emitter.about(&self.id);
            self.branch.clone_from(&identity.branch);
            let id = identity.commit.clone();
            // The checkout may be gone, or have been cloned anew without it.
            let git = Git::open(&repository.path).ok();
            let subject = git.and_then(|git| git.subject(&id)).unwrap_or_default();
            self.commit = Some(Commit { id, subject });
        }
    }
}
