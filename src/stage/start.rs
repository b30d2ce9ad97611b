//! `start container`: a release and its container.

use std::path::PathBuf;

use super::Context;
use super::build::Binary;
use crate::engine::{Identity, Image, Platform, Spec};
use crate::event::Commit;
use crate::failure::Result;
use crate::git::Git;
use crate::handover::{Canary, Handover, Started};
use crate::plan::{Mount, Plan, Warning};
use crate::release::{self, Store};

/// What the program came from.
#[derive(Clone, Debug)]
pub struct Origin<'a> {
    pub git: &'a Git,
    /// The branch, or `tag NAME`; `None` if a commit was named.
    pub branch: Option<String>,
    pub commit: &'a Commit,
}

/// What a hardened program may write to although its root is read-only: the engine makes a volume, which
/// goes with the container, wherever the image asks for one.
pub fn writable_volumes(plan: &Plan, image: &Image) -> Option<Warning> {
    let limits = &plan.container.limits;
    let mounts = plan.container.mounts();
    let mut mounted: Vec<&str> = mounts.iter().map(|mount| mount.target.as_str()).collect();
    mounted.extend(limits.tmpfs().map(|(path, _)| path));
    mounted.push("/src");
    let writable = image.own_volumes(&mounted);
    let first = writable.first().filter(|_| limits.hardened)?;
    Some(Warning {
        line: format!(
            "the image `{}` has volumes that a hardened program may write to all the same: `{}`",
            plan.container.image,
            writable.join("`, `")
        ),
        hint: format!(
            "`-v NAME:{first}` keeps what is written there, which is gone with the container else; \
             `-v NAME:{first}:ro` keeps it from being written to"
        ),
    })
}

/// Writes what the container will see at /src and returns what the container is to be like.
///
/// # Errors
/// `disk_full`, `permission_denied`.
pub fn prepare(
    plan: &Plan,
    store: &Store,
    origin: Origin<'_>,
    binary: &Binary,
    image: &Image,
    platform: &Platform,
    settings: String,
) -> Result<Spec> {
    let repository = &plan.repository;
    let release: PathBuf = match plan.container.mount {
        Mount::Release => store.write(
            &plan.id,
            &origin.git.tracked_files()?,
            &plan.container.include,
            &binary.path,
            &repository.name,
        )?,
        Mount::Checkout => {
            origin.git.ignore(&release::program(&repository.name))?;
            repository.path.clone()
        }
    };
    let mut command = vec![format!("/src/{}", release::program(&repository.name))];
    command.extend(plan.container.args.iter().cloned());
    Ok(Spec {
        name: container_name(plan),
        identity: Identity {
            repository: repository.name.clone(),
            path: repository.path.clone(),
            deployment: plan.id.clone(),
            branch: origin.branch,
            commit: origin.commit.id.clone(),
            release,
            volume: None,
            port: plan.container.port,
            health: plan.health.clone(),
            stop_timeout: plan.container.stop_timeout,
            restart: plan.container.limits.restart,
            created: i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or_default(),
            settings,
            canary: false,
        },
        labels: plan.container.labels.clone(),
        image: image.reference.clone(),
        loader: binary.interpreter.clone(),
        command,
        env: plan.container.variables(),
        publish: plan.container.publish.clone(),
        volumes: plan.container.mounts(),
        source_read_only: plan.container.mount == Mount::Release,
        deliver: plan.container.deliver,
        network: plan.container.network.clone(),
        limits: plan.container.limits.clone(),
        log_options: plan.container.limits.log_options(platform.logs_grow),
    })
}

/// Puts the program into the live checkout, if that is what the container mounts: what serves runs it
/// from then on, too, when it is started again.
///
/// # Errors
/// `disk_full`, `permission_denied`.
pub fn place(plan: &Plan, binary: &Binary) -> Result<()> {
    match plan.container.mount {
        Mount::Release => Ok(()),
        Mount::Checkout => {
            let repository = &plan.repository;
            release::place_in_checkout(&repository.path, &binary.path, &repository.name)
        }
    }
}

/// `sdp-REPOSITORY-ID`.
pub fn container_name(plan: &Plan) -> String {
    format!("sdp-{}-{}", plan.repository.name, plan.id)
}

/// Starts the new container, or its canary.
///
/// # Errors
/// `wrong_binary`, `port_taken`, `start_failed`, and those of any call to the engine.
pub async fn start(cx: &Context, handover: &mut Handover<'_>, canary: Canary) -> Result<Started> {
    handover.start(canary, &cx.events).await
}
