//! What sdp writes on its containers; the labels are the truth about what runs.

use std::collections::HashMap;
use std::path::PathBuf;

pub(super) const REPOSITORY: &str = "sdp.repository";
const PATH: &str = "sdp.path";
const DEPLOYMENT: &str = "sdp.deployment";
const BRANCH: &str = "sdp.branch";
const COMMIT: &str = "sdp.commit";
const RELEASE: &str = "sdp.release";
const PORT: &str = "sdp.port";
const CANARY: &str = "sdp.canary";

/// What a container's labels say: whose it is and what it runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    pub repository: String,
    /// The checkout. Two checkouts with the same name on one host are two services.
    pub path: PathBuf,
    pub deployment: String,
    pub branch: String,
    pub commit: String,
    /// The directory at /src.
    pub release: PathBuf,
    /// Exposed, and where a health check asks.
    pub port: u16,
    /// A trial run of a release without host ports; never what serves.
    pub canary: bool,
}

impl Identity {
    pub(super) fn labels(&self) -> Vec<(String, String)> {
        let path = |path: &PathBuf| path.to_string_lossy().into_owned();
        let mut labels = vec![
            (REPOSITORY.to_owned(), self.repository.clone()),
            (PATH.to_owned(), path(&self.path)),
            (DEPLOYMENT.to_owned(), self.deployment.clone()),
            (BRANCH.to_owned(), self.branch.clone()),
            (COMMIT.to_owned(), self.commit.clone()),
            (RELEASE.to_owned(), path(&self.release)),
            (PORT.to_owned(), self.port.to_string()),
        ];
        if self.canary {
            labels.push((CANARY.to_owned(), "true".to_owned()));
        }
        labels
    }

    pub(super) fn from_labels(labels: &HashMap<String, String>) -> Option<Identity> {
        let label = |name: &str| labels.get(name).cloned().unwrap_or_default();
        Some(Identity {
            repository: labels.get(REPOSITORY)?.clone(),
            path: label(PATH).into(),
            deployment: label(DEPLOYMENT),
            branch: label(BRANCH),
            commit: label(COMMIT),
            release: label(RELEASE).into(),
            port: label(PORT).parse().unwrap_or_default(),
            canary: labels.contains_key(CANARY),
        })
    }
}
