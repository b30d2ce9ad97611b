//! How a release gets to the engine: mounted from this host, or uploaded to a volume where the engine
//! cannot see this host's directories.

use crate::engine::{Engine, Spec};
use crate::event::StageEmitter;
use crate::failure::{Code, Failure, Result};
use crate::plan::Deliver;
use crate::release;

/// What [`refuse_unseen`] says of it.
const OTHER: &str = "the engine shows another directory in place of";

/// What engines say of a directory to mount that is not there for them: Docker, Docker Desktop, Podman.
const UNSEEN: [&str; 4] = [
    "bind source path does not exist",
    "mounts denied",
    "statfs ",
    OTHER,
];

/// Whether the release is to be uploaded without trying to mount it: to another host by default.
pub fn is_upload(engine: &Engine, deliver: Deliver) -> bool {
    match deliver {
        Deliver::Auto => engine.is_remote(),
        Deliver::Mount => false,
        Deliver::Upload => true,
    }
}

/// After the failure of a container that was to mount the release: `Ok` if that shows that it is to be
/// uploaded.
///
/// # Errors
/// The failure, if it has another reason, or nothing is to be uploaded.
pub fn upload_after(failure: Failure, spec: &Spec) -> Result<()> {
    if spec.identity.volume.is_some() || !is_unseen(&failure, spec) {
        return Err(failure);
    }
    if spec.deliver == Deliver::Auto {
        return Ok(());
    }
    Err(failure.hint(if spec.identity.release == spec.identity.path {
        "the engine cannot see this host's directories: leave out `--mount checkout`, and the release is uploaded"
    } else {
        "the engine cannot see this host's directories: `--deliver upload` sends the release to it"
    }))
}

/// Whether the engine has refused a container as it cannot see the release, which is there: its name,
/// with digits drawn by lot, is in the engine's words. Podman makes the directory that it misses, and then
/// misses the program in it.
fn is_unseen(failure: &Failure, spec: &Spec) -> bool {
    let release = &spec.identity.release;
    let words = failure.message.to_ascii_lowercase();
    let misses = |name: &str| failure.message.contains(name);
    let is_refused =
        misses(&release.to_string_lossy()) && UNSEEN.iter().any(|unseen| words.contains(unseen));
    let is_empty = words.contains("no such file or directory")
        && spec.loader.is_none()
        && spec.command.first().is_some_and(|program| misses(program));
    failure.code == Code::StartFailed && (is_refused || is_empty) && release.is_dir()
}

/// Refuses a container that does not have the release at /src, of which nothing else would tell if it runs
/// anything but the release's program: Podman makes the directory that it misses.
///
/// # Errors
/// `start_failed`, which [`upload_after`] understands, and those of any call to the engine.
pub async fn refuse_unseen(engine: &Engine, id: &str, spec: &Spec) -> Result<()> {
    let identity = &spec.identity;
    let known = if identity.release == identity.path {
        ".git".to_owned()
    } else {
        release::program(&identity.repository)
    };
    if identity.volume.is_some() || engine.has_file(id, &format!("/src/{known}")).await? {
        return Ok(());
    }
    let message = format!("{OTHER} `{}`", identity.release.display());
    Err(Failure::new(Code::StartFailed, message))
}

/// Uploads the release to the volume that `spec` names, and tells how far that has come.
///
/// # Errors
/// `start_failed`, and those of any call to the engine.
pub async fn upload(engine: &Engine, spec: &Spec, events: &StageEmitter) -> Result<()> {
    events.note("uploading the release");
    engine.upload(spec, |amount| events.update(amount)).await
}
