//! What sdp writes on its containers; the labels are the truth about what runs.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::plan::{Health, Restart};

pub(super) const REPOSITORY: &str = "sdp.repository";
pub(super) const PATH: &str = "sdp.path";
const DEPLOYMENT: &str = "sdp.deployment";
const BRANCH: &str = "sdp.branch";
const COMMIT: &str = "sdp.commit";
const RELEASE: &str = "sdp.release";
const VOLUME: &str = "sdp.volume";
const PORT: &str = "sdp.port";
const HEALTH_HTTP: &str = "sdp.health-http";
const HEALTH_TIMEOUT: &str = "sdp.health-timeout-ms";
const SETTLE: &str = "sdp.settle-ms";
const STOP_TIMEOUT: &str = "sdp.stop-timeout-ms";
const RESTART: &str = "sdp.restart";
const SETTINGS: &str = "sdp.settings";
const CREATED: &str = "sdp.created-ns";
pub(super) const CANARY: &str = "sdp.canary";

/// What a container's labels say: whose it is and what it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub repository: String,
    /// The checkout. Two checkouts with the same name on one host are two services.
    pub path: PathBuf,
    pub deployment: String,
    /// The branch, or `tag NAME`; `None` if a commit was named.
    pub branch: Option<String>,
    pub commit: String,
    /// The directory at /src, on the host that it was deployed from.
    pub release: PathBuf,
    /// The volume at /src instead, to which the release was uploaded.
    pub volume: Option<String>,
    /// Exposed, and where a health check asks.
    pub port: u16,
    /// What proves it, now and when it is started again.
    pub health: Health,
    /// How long it may take to stop.
    pub stop_timeout: Duration,
    /// When the engine is to start it again, as long as it serves.
    pub restart: Restart,
    /// When it was made, in Unix nanoseconds; the engine lists whole seconds, which tie.
    pub created: i64,
    /// A digest of all that makes the container beside its commit.
    pub settings: String,
    /// A trial run of a release without host ports, or one of its hook; never what serves.
    pub canary: bool,
}

impl Identity {
    /// Whether what it runs is still there.
    pub fn has_release(&self) -> bool {
        // The engine does not give up a volume that a container has.
        self.volume.is_some() || self.release.is_dir()
    }

    pub(super) fn labels(&self) -> Vec<(String, String)> {
        let path = |path: &PathBuf| path.to_string_lossy().into_owned();
        let mut labels = vec![
            (REPOSITORY.to_owned(), self.repository.clone()),
            (PATH.to_owned(), path(&self.path)),
            (DEPLOYMENT.to_owned(), self.deployment.clone()),
            (COMMIT.to_owned(), self.commit.clone()),
            (RELEASE.to_owned(), path(&self.release)),
            (PORT.to_owned(), self.port.to_string()),
            (RESTART.to_owned(), self.restart.to_string()),
            (SETTINGS.to_owned(), self.settings.clone()),
            (CREATED.to_owned(), self.created.to_string()),
            (
                HEALTH_TIMEOUT.to_owned(),
                self.health.timeout.as_millis().to_string(),
            ),
            (
                SETTLE.to_owned(),
                self.health.settle.as_millis().to_string(),
            ),
            (
                STOP_TIMEOUT.to_owned(),
                self.stop_timeout.as_millis().to_string(),
            ),
        ];
        if let Some(branch) = &self.branch {
            labels.push((BRANCH.to_owned(), branch.clone()));
        }
        if let Some(path) = &self.health.http {
            labels.push((HEALTH_HTTP.to_owned(), path.clone()));
        }
        if let Some(volume) = &self.volume {
            labels.push((VOLUME.to_owned(), volume.clone()));
        }
        if self.canary {
            labels.push((CANARY.to_owned(), "true".to_owned()));
        }
        labels
    }

    pub(super) fn from_labels(labels: &HashMap<String, String>) -> Option<Identity> {
        let label = |name: &str| labels.get(name).cloned().unwrap_or_default();
        let millis =
            |name: &str, otherwise| label(name).parse().map_or(otherwise, Duration::from_millis);
        Some(Identity {
            repository: labels.get(REPOSITORY)?.clone(),
            path: label(PATH).into(),
            deployment: label(DEPLOYMENT),
            branch: labels.get(BRANCH).cloned(),
            commit: label(COMMIT),
            release: label(RELEASE).into(),
            volume: labels.get(VOLUME).cloned(),
            port: label(PORT).parse().unwrap_or_default(),
            health: Health {
                http: labels.get(HEALTH_HTTP).cloned(),
                timeout: millis(HEALTH_TIMEOUT, Duration::from_secs(30)),
                settle: millis(SETTLE, Duration::from_secs(2)),
            },
            created: label(CREATED).parse().unwrap_or_default(),
            restart: label(RESTART).parse().unwrap_or_default(),
            settings: label(SETTINGS),
            stop_timeout: millis(STOP_TIMEOUT, Duration::from_secs(10)),
            canary: labels.contains_key(CANARY),
        })
    }
}
