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

    /// All of them, also those that say nothing: one that was left out would be the image's.
    pub(super) fn labels(&self) -> Vec<(String, String)> {
        let path = |path: &PathBuf| path.to_string_lossy().into_owned();
        let or_empty = |label: &Option<String>| label.clone().unwrap_or_default();
        vec![
            (REPOSITORY.to_owned(), self.repository.clone()),
            (PATH.to_owned(), path(&self.path)),
            (DEPLOYMENT.to_owned(), self.deployment.clone()),
            (BRANCH.to_owned(), or_empty(&self.branch)),
            (COMMIT.to_owned(), self.commit.clone()),
            (RELEASE.to_owned(), path(&self.release)),
            (VOLUME.to_owned(), or_empty(&self.volume)),
            (PORT.to_owned(), self.port.to_string()),
            (HEALTH_HTTP.to_owned(), or_empty(&self.health.http)),
            (RESTART.to_owned(), self.restart.to_string()),
            (SETTINGS.to_owned(), self.settings.clone()),
            (CREATED.to_owned(), self.created.to_string()),
            (CANARY.to_owned(), self.canary.to_string()),
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
        ]
    }

    pub(super) fn from_labels(labels: &HashMap<String, String>) -> Option<Identity> {
        let label = |name: &str| labels.get(name).cloned().unwrap_or_default();
        let filled = |name: &str| labels.get(name).filter(|label| !label.is_empty()).cloned();
        let millis =
            |name: &str, otherwise| label(name).parse().map_or(otherwise, Duration::from_millis);
        Some(Identity {
            repository: labels.get(REPOSITORY)?.clone(),
            path: label(PATH).into(),
            deployment: label(DEPLOYMENT),
            branch: filled(BRANCH),
            commit: label(COMMIT),
            release: label(RELEASE).into(),
            volume: filled(VOLUME),
            port: label(PORT).parse().unwrap_or_default(),
            health: Health {
                http: filled(HEALTH_HTTP),
                timeout: millis(HEALTH_TIMEOUT, Duration::from_secs(30)),
                settle: millis(SETTLE, Duration::from_secs(2)),
            },
            created: label(CREATED).parse().unwrap_or_default(),
            restart: label(RESTART).parse().unwrap_or_default(),
            settings: label(SETTINGS),
            stop_timeout: millis(STOP_TIMEOUT, Duration::from_secs(10)),
            canary: label(CANARY) == "true",
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// The engine puts an image's labels under those of the container.
    #[test]
    fn an_images_labels_are_not_taken_for_sdps_own() {
        let identity = Identity {
            repository: "shop".to_owned(),
            path: "/srv/shop".into(),
            deployment: "1".to_owned(),
            branch: None,
            commit: "c0ffee".to_owned(),
            release: "/srv/shop/.sdp/releases/1".into(),
            volume: None,
            port: 8080,
            health: Health {
                http: None,
                timeout: Duration::from_secs(1),
                settle: Duration::from_secs(2),
            },
            stop_timeout: Duration::from_secs(3),
            restart: Restart::Always,
            created: 4,
            settings: "5".to_owned(),
            canary: false,
        };
        let optional = [CANARY, BRANCH, VOLUME, HEALTH_HTTP];
        let mut labels = HashMap::from(optional.map(|name| (name.to_owned(), "true".to_owned())));
        labels.extend(identity.labels());
        assert_eq!(Identity::from_labels(&labels).unwrap(), identity);

        let trial = Identity {
            canary: true,
            volume: Some("v".to_owned()),
            ..identity
        };
        let labels = trial.labels().into_iter().collect();
        assert_eq!(Identity::from_labels(&labels).unwrap(), trial);
    }
}
