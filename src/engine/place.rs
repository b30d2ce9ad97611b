//! Where the engine's containers are, seen from here, and what time it is there.

use std::os::unix::fs::MetadataExt as _;

use bollard::models::SystemInfo;
use jiff::{SignedDuration, Timestamp};

use super::Engine;
use crate::failure::Result;

/// Whether this host sees an engine's containers: their addresses, and their processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Here,
    /// A container's process tells, if it can be seen.
    Perhaps,
    Elsewhere,
}

/// What does not change while sdp runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Circumstances {
    place: Place,
    /// How far the engine's clock is ahead of this host's.
    ahead: SignedDuration,
}

impl Engine {
    /// Where its containers are. The system's own engine is not asked.
    ///
    /// # Errors
    /// Those of any call to the engine.
    pub async fn place(&self) -> Result<Place> {
        Ok(self.circumstances().await?.place)
    }

    /// The host on which it publishes ports, as one calls it from here.
    pub fn host(&self) -> String {
        self.endpoint.host()
    }

    /// Whether its address is another host's.
    pub fn is_remote(&self) -> bool {
        !self.endpoint.is_loopback()
    }

    /// The time by the engine's own clock, which its events go by.
    ///
    /// # Errors
    /// Those of any call to the engine.
    pub(super) async fn now(&self) -> Result<Timestamp> {
        let ahead = self.circumstances().await?.ahead;
        let now = Timestamp::now();
        Ok(now.checked_add(ahead).unwrap_or(now))
    }

    async fn circumstances(&self) -> Result<Circumstances> {
        let found = self.circumstances.get_or_try_init(|| self.look_around());
        found.await.copied()
    }

    async fn look_around(&self) -> Result<Circumstances> {
        if self.is_roots_own() {
            return Ok(Circumstances {
                place: Place::Here,
                ahead: SignedDuration::ZERO,
            });
        }
        let info = self.docker.info().await;
        // Rather too early than too late: what happened before an answer came must not be missed.
        let heard = Timestamp::now();
        let info = info.map_err(|error| self.failure("ask the engine about its host", error))?;
        Ok(self.seen_in(&info, heard))
    }

    /// Whoever asks the engine about itself for another reason need not do so again.
    pub(super) fn learn(&self, info: &SystemInfo, heard: Timestamp) {
        if !self.is_roots_own() {
            self.circumstances.set(self.seen_in(info, heard)).ok();
        }
    }

    fn is_roots_own(&self) -> bool {
        let is_roots = |socket| std::fs::metadata(socket).is_ok_and(|meta| meta.uid() == 0);
        self.endpoint.socket().is_some_and(is_roots)
    }

    fn seen_in(&self, info: &SystemInfo, heard: Timestamp) -> Circumstances {
        let told = info.system_time.as_deref();
        let told = told.and_then(|time| time.parse::<Timestamp>().ok());
        // A rootless engine's containers are in a network of their own, Docker Desktop's in a machine.
        let system = info.operating_system.as_deref().unwrap_or_default();
        let is_apart = is_rootless(info) || system.contains("Docker Desktop");
        Circumstances {
            place: match self.endpoint.socket() {
                _ if is_apart => Place::Elsewhere,
                Some(_) => Place::Here,
                None if self.endpoint.is_loopback() => Place::Perhaps,
                None => Place::Elsewhere,
            },
            ahead: told.map_or(SignedDuration::ZERO, |told| told.duration_since(heard)),
        }
    }
}

/// Whether the engine runs as a user other than root.
pub(super) fn is_rootless(info: &SystemInfo) -> bool {
    let mut options = info.security_options.iter().flatten();
    options.any(|option| option.contains("name=rootless"))
}
