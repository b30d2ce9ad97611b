//! What the engine runs on, and what it does with logs.

use std::path::{Path, PathBuf};

use bollard::models::{SystemInfo, SystemVersion};
use jiff::Timestamp;
use serde::Deserialize;

use super::Engine;
use crate::failure::{Code, Failure, Result};

/// The oldest API that has all that sdp asks for: Docker Engine 20.10's, and Podman 4's.
const OLDEST_API: (u32, u32) = (1, 41);

/// What the engine runs on, in Go's terms, and what it does with logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platform {
    pub os: String,
    pub arch: String,
    /// The version of a 32-bit ARM processor: 5 to 8.
    pub arm: Option<u8>,
    /// A container's log grows without end, unless its own options say otherwise.
    pub logs_grow: bool,
}

impl Engine {
    /// Asks what the engine runs on; the cheapest proof that it answers, and is new enough.
    ///
    /// # Errors
    /// `engine_too_old`, `engine_unreachable`, `engine_denied`, `engine_untrusted`, `engine_error`.
    pub async fn platform(&self) -> Result<Platform> {
        let (version, info) = self.description().await?;
        Ok(self.platform_of(&version, &info))
    }

    /// What the engine says of itself, if it is new enough.
    pub(super) async fn description(&self) -> Result<(SystemVersion, SystemInfo)> {
        let (version, info) = tokio::try_join!(self.docker.version(), self.docker.info())
            .map_err(|error| self.failure("ask the engine about itself", error))?;
        self.learn(&info, Timestamp::now());
        self.mark.set(mark_of(&version, &info)).ok();
        // An engine that does not tell is believed to be new.
        let api = version.api_version.as_deref().unwrap_or_default();
        if number(api).is_some_and(|api| api < OLDEST_API) {
            let name = version.version.as_deref().unwrap_or_default();
            let (major, minor) = OLDEST_API;
            let message = format!(
                "the engine at `{}` is {name} with API {api}, and sdp needs {major}.{minor}",
                self.endpoint.address
            );
            return Err(Failure::new(Code::EngineTooOld, message)
                .hint("Docker Engine 20.10 and Podman 4.0 have it, and everything newer"));
        }
        Ok((version, info))
    }

    /// What tells this engine from others for as long as it has its data, whatever its address.
    ///
    /// # Errors
    /// Those of [`Engine::platform`].
    pub async fn mark(&self) -> Result<String> {
        if let Some(mark) = self.mark.get() {
            return Ok(mark.clone());
        }
        let (version, info) = self.description().await?;
        Ok(mark_of(&version, &info))
    }

    /// Its address, for people.
    pub fn address(&self) -> &str {
        &self.endpoint.address
    }

    pub(super) fn platform_of(&self, version: &SystemVersion, info: &SystemInfo) -> Platform {
        let or = |word: &Option<String>, otherwise: &str| {
            word.clone().unwrap_or_else(|| otherwise.to_owned())
        };
        // `local` rotates by itself, and others keep nothing here.
        let grows = info.logging_driver.as_deref() == Some("json-file");
        Platform {
            os: or(&version.os, "linux"),
            arch: or(&version.arch, "amd64"),
            arm: info.architecture.as_deref().and_then(arm),
            logs_grow: grows && !self.settings().is_some_and(|file| bounds_logs(&file)),
        }
    }

    /// Where an engine of this machine has its settings: the system's, else a user's own.
    fn settings(&self) -> Option<PathBuf> {
        let socket = self.endpoint.socket()?;
        let usual = ["/var/run/docker.sock", "/run/docker.sock"];
        if usual.iter().any(|usual| socket == Path::new(usual)) {
            return Some(PathBuf::from("/etc/docker/daemon.json"));
        }
        let set = |name: &str| std::env::var_os(name).map(PathBuf::from);
        let config = set("XDG_CONFIG_HOME").or_else(|| Some(set("HOME")?.join(".config")));
        Some(config?.join("docker/daemon.json"))
    }
}

/// Docker's ID is its own for good, while Podman draws another one for each answer.
fn mark_of(version: &SystemVersion, info: &SystemInfo) -> String {
    let mut components = version.components.iter().flatten();
    let is_podman = components.any(|component| component.name.starts_with("Podman"));
    match &info.id {
        Some(id) if !is_podman && !id.is_empty() => id.clone(),
        _ => format!(
            "{}:{}",
            info.name.as_deref().unwrap_or_default(),
            info.docker_root_dir.as_deref().unwrap_or_default()
        ),
    }
}

/// Whether the engine's settings say how large a log may grow. The engine itself does not tell.
fn bounds_logs(file: &Path) -> bool {
    #[derive(Deserialize)]
    struct Settings {
        #[serde(rename = "log-opts", default)]
        log_options: serde_json::Map<String, serde_json::Value>,
    }
    let text = std::fs::read(file).unwrap_or_default();
    serde_json::from_slice(&text)
        .is_ok_and(|settings: Settings| settings.log_options.contains_key("max-size"))
}

/// The kernel's `armv7l` and the like.
fn arm(machine: &str) -> Option<u8> {
    machine.strip_prefix("armv")?.get(..1)?.parse().ok()
}

/// A version of the API, such as 1.41, as two numbers.
fn number(version: &str) -> Option<(u32, u32)> {
    let (major, minor) = version.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
