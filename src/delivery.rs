//! How a release gets to the engine: mounted from this host, or uploaded to a volume where the engine
//! cannot see this host's directories.

use crate::engine::{Engine, Spec};
use crate::event::StageEmitter;
use crate::failure::{Code, Failure, Result};

/// What engines say of a directory to mount that is not there for them: Docker, Docker Desktop, Podman.
const UNSEEN: [&str; 3] = [
    "bind source path does not exist",
    "mounts denied",
    "statfs ",
];

/// Whether the engine has refused a container as it cannot see the release, which is there: its name,
/// with digits drawn by lot, is in the engine's words.
pub fn is_unseen(failure: &Failure, spec: &Spec) -> bool {
    let words = failure.message.to_ascii_lowercase();
    let release = spec.identity.release.to_string_lossy();
    failure.code == Code::StartFailed
        && failure.message.contains(&*release)
        && UNSEEN.iter().any(|unseen| words.contains(unseen))
        && spec.identity.release.is_dir()
}

/// The failure of an engine that does not see the release, where nothing is to be uploaded.
pub fn explained(failure: Failure, spec: &Spec) -> Failure {
    failure.hint(if spec.identity.release == spec.identity.path {
        "the engine cannot see this host's directories: leave out `--mount checkout`, and the release is uploaded"
    } else {
        "the engine cannot see this host's directories: `--deliver upload` sends the release to it"
    })
}

/// Uploads the release to the volume that `spec` names, and tells how far that has come.
///
/// # Errors
/// `start_failed`, and those of any call to the engine.
pub async fn upload(engine: &Engine, spec: &Spec, events: &StageEmitter) -> Result<()> {
    events.note("uploading the release");
    engine.upload(spec, |amount| events.update(amount)).await
}
