//! What the engine says of itself and of the machine that it runs on.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;

use super::place::is_rootless;
use super::{Engine, Platform};
use crate::failure::Result;

/// What the engine says of itself.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Such as `20.10.24`.
    pub version: String,
    /// The newest version of the API that it speaks, such as `1.41`.
    pub api: String,
    pub platform: Platform,
    /// The storage driver, such as `overlay2`.
    pub storage: String,
    /// The version of the cgroups, and what manages them.
    pub cgroup: String,
    pub rootless: bool,
    /// Where it keeps images and containers, on its machine.
    pub root: PathBuf,
    /// By how much its machine's clock and this one differ at least, if it tells.
    pub skew: Option<Duration>,
}

impl Engine {
    /// Asks the engine about itself.
    ///
    /// # Errors
    /// `engine_unreachable`, `engine_denied`, `engine_error`.
    pub async fn facts(&self) -> Result<Facts> {
        let before = Timestamp::now();
        let (version, info) = self.description().await?;
        let after = Timestamp::now();
        let platform = self.platform_of(&version, &info);
        let rootless = is_rootless(&info);
        let driver = info.cgroup_driver.map(|driver| driver.to_string());
        let cgroup = info.cgroup_version.map(|version| version.to_string());
        Ok(Facts {
            platform,
            version: version.version.unwrap_or_default(),
            api: version.api_version.unwrap_or_default(),
            storage: info.driver.unwrap_or_default(),
            cgroup: format!(
                "cgroup v{} by {}",
                cgroup
                    .filter(|version| !version.is_empty())
                    .as_deref()
                    .unwrap_or("1"),
                driver.as_deref().unwrap_or("none")
            ),
            rootless,
            root: info.docker_root_dir.unwrap_or_default().into(),
            skew: info
                .system_time
                .and_then(|time| time.parse().ok())
                .map(|time: Timestamp| {
                    time.duration_since(time.clamp(before, after.max(before)))
                        .unsigned_abs()
                }),
        })
    }

    /// The engine's socket; `None` if it is talked to over the network, and thus may run elsewhere.
    pub fn socket(&self) -> Option<&Path> {
        self.endpoint.socket()
    }
}
