//! From the built program to the proven container, and the end of what served before.

use super::warn_of;
use crate::engine::{Container, Engine, Image, Platform, Spec};
use crate::event::Stage;
use crate::failure::{Code, Failure, Result};
use crate::golang::Toolchain;
use crate::handover::{Canary, Handover, Incoming};
use crate::plan::{Mount, Plan};
use crate::provision::Provision;
use crate::release::{self, Store};
use crate::run::{Ending, Run};
use crate::stage::build::Binary;
use crate::stage::hook::{self, Facts};
use crate::stage::pull::Pulled;
use crate::stage::start::Origin;
use crate::stage::{Context, health, start};
use crate::upkeep;

/// What git and go have made.
#[derive(Clone, Copy)]
pub struct Made<'a> {
    pub pulled: &'a Pulled,
    pub binary: &'a Binary,
    pub toolchain: &'a Toolchain,
    pub facts: &'a Facts,
    pub platform: &'a Platform,
}

/// From the built program to the proven container.
pub async fn replace(
    run: &mut Run<'_>,
    plan: &Plan,
    engine: &Engine,
    store: &Store,
    made: Made<'_>,
    mut image: Provision,
    formers: Vec<Container>,
) -> Result<Ending> {
    let mut handover = None;
    let interrupt = run.interrupt;
    let mut prepared = None;
    if let Some(command) = &plan.hooks.before_start {
        let ran = run.stage(Stage::BeforeStart, async |cx| {
            let mut spec = prepare(&cx, plan, engine, store, made, &mut image).await?;
            let (program, facts) = (made.binary, made.facts);
            hook::in_container(&cx, engine, plan, &mut spec, program, command, facts).await?;
            Ok(spec)
        });
        prepared = Some(ran.await?);
    }
    let started = run
        .stage(Stage::Start, async |cx| {
            let spec = match prepared {
                Some(spec) => spec,
                None => prepare(&cx, plan, engine, store, made, &mut image).await?,
            };
            start::place(plan, made.binary)?;
            let canary = canary(engine, plan, &spec, &formers).await?;
            let incoming = Incoming::New(Box::new(spec));
            let handover =
                handover.insert(Handover::new(engine, store, interrupt, incoming, formers));
            start::start(&cx, handover, canary).await
        })
        .await;
    let handed = match (started, &mut handover) {
        (Ok(started), Some(handover)) => {
            run.stage(Stage::Health, async |cx| {
                health::health(&cx, handover, started).await
            })
            .await
        }
        (Err(failure), _) => Err(failure),
        (Ok(_), None) => Err(Failure::new(
            Code::Internal,
            "a container without a hand-over",
        )),
    };
    if handed.is_ok() {
        retire(run, plan, engine, store).await;
    }
    if let Some(handover) = handover {
        run.downtime = Some(handover.close(run.emitter).await);
    }
    Ok(Ending::Handed {
        handed: handed?,
        port: plan.container.port,
    })
}

/// Writes the release, and says what its container is to be like.
async fn prepare(
    cx: &Context,
    plan: &Plan,
    engine: &Engine,
    store: &Store,
    made: Made<'_>,
    image: &mut Provision,
) -> Result<Spec> {
    let image = image.wait(cx).await?;
    warn_of(start::writable_volumes(plan, &image), |line, hint| {
        cx.events.warn(line, hint);
    });
    let pulled = made.pulled;
    let origin = Origin {
        git: &pulled.git,
        branch: pulled.revision.label(),
        commit: &pulled.commit,
    };
    let settings = settings(plan, made.toolchain, &image);
    let (binary, platform) = (made.binary, made.platform);
    if plan.container.mount == Mount::Release {
        store.mark(&plan.id, &engine.mark().await?, engine.address())?;
    }
    start::prepare(plan, store, origin, binary, &image, platform, settings)
}

/// What a canary of the release would be good for.
async fn canary(
    engine: &Engine,
    plan: &Plan,
    spec: &Spec,
    formers: &[Container],
) -> Result<Canary> {
    if !plan.canary {
        return Ok(Canary::Never);
    }
    let [former] = formers else {
        return Ok(Canary::First);
    };
    let serves_already = former.identity.as_ref().is_some_and(|identity| {
        identity.commit == spec.identity.commit
            && identity.settings == spec.identity.settings
            && plan.container.include.is_empty()
            && release::same_program(&identity.release, &spec.identity.release, &plan.repository)
    });
    if !serves_already {
        return Ok(Canary::First);
    }
    let others = engine.running_containers().await?;
    let keeps_bridge_up = others.iter().any(|other| {
        other.id != former.id
            && other
                .networks
                .iter()
                .any(|name| former.networks.contains(name))
    });
    Ok(if keeps_bridge_up {
        Canary::Needless
    } else {
        Canary::First
    })
}

/// Nothing that fails here makes the deployment a failure.
async fn retire(run: &Run<'_>, plan: &Plan, engine: &Engine, store: &Store) {
    let retired = upkeep::retire(engine, store, &plan.repository, plan.keep, false);
    if let Err(failure) = run.interrupt.or(retired).await {
        let hint = "the next deployment tries again, and `sdp prune` does";
        run.emitter.warn(
            format!("old releases stay: {failure}"),
            Some(hint.to_owned()),
        );
    }
}

/// A digest of all that makes a container beside its commit; no value can be read from it.
pub fn settings(plan: &Plan, toolchain: &Toolchain, image: &Image) -> String {
    use sha2::{Digest as _, Sha256};
    let all = format!(
        "{} {} {:?} {:?} {:?} {:?} {:?} {} {}",
        env!("CARGO_PKG_VERSION"),
        plan.submodules,
        plan.build,
        plan.container,
        plan.health,
        plan.hooks.before_build,
        plan.hooks.before_start,
        toolchain.version,
        image.id
    );
    format!("{:x}", Sha256::digest(all))
}
