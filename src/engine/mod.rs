//! The container engine, through bollard; nothing outside this folder names it.
//!
//! Names and messages that come back are the engine's own and untrusted; ids that go in come from
//! the engine or are checked by [`crate::plan`], as bollard puts them into paths unescaped.

mod builtin;
mod containers;
mod endpoint;
mod error;
mod exec;
mod identity;
mod images;
mod lines;
mod logs;
mod place;
mod spec;
mod ssh;
mod transport;
mod upload;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use bollard::Docker;
use tokio::sync::OnceCell;

pub use builtin::BUILTIN;
pub use containers::{Binding, Container, Details, shared_host_port};
pub use identity::Identity;
pub use images::{Image, missing_image};
pub use logs::{LogQuery, LogReader};
pub use place::Place;
pub use spec::Spec;
pub use upload::uploader;
pub use watch::{Exit, Watch};

use crate::failure::{Code, Failure, Result};
use endpoint::Endpoint;
use error::failure;
use place::Circumstances;

/// The oldest API that has all that sdp asks for: Docker Engine 20.10's, and Podman 4's.
const OLDEST_API: (u32, u32) = (1, 41);

/// The engine's answer to a call may take this long, on top of what the call itself waits for.
const PATIENCE: Duration = Duration::from_mins(2);

/// A connection to the engine; cheap to clone.
#[derive(Clone, Debug)]
pub struct Engine {
    docker: Docker,
    endpoint: Arc<Endpoint>,
    circumstances: Arc<OnceCell<Circumstances>>,
}

/// What the engine runs on, in Go's terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platform {
    pub os: String,
    pub arch: String,
}

impl Engine {
    /// Prepares a connection to the engine that `host` names, by default the one of docker's context.
    /// Only a missing socket fails here; the first call finds out about everything else.
    ///
    /// # Errors
    /// `engine_unreachable`, or `usage` for an address of an unknown kind and a context that is not there.
    pub fn connect(host: Option<&str>) -> Result<Engine> {
        let endpoint = Endpoint::find(host)?;
        let docker = match transport::connect(&endpoint)? {
            Some(docker) => docker,
            None => Docker::connect_with_host(&endpoint.address).map_err(|error| match error {
                bollard::errors::Error::UnsupportedURISchemeError { .. } => {
                    endpoint::unknown_kind(&endpoint.address)
                }
                error => failure(&endpoint.address, "reach the engine", error),
            })?,
        };
        Ok(Engine {
            docker: docker.with_timeout(PATIENCE),
            endpoint: Arc::new(endpoint),
            circumstances: Arc::default(),
        })
    }

    /// Asks what the engine runs on; the cheapest proof that it answers, and is new enough.
    ///
    /// # Errors
    /// `engine_too_old`, `engine_unreachable`, `engine_denied`, `engine_untrusted`, `engine_error`.
    pub async fn platform(&self) -> Result<Platform> {
        let version = self
            .docker
            .version()
            .await
            .map_err(|error| self.failure("ask the engine for its version", error))?;
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
        Ok(Platform {
            os: version.os.unwrap_or_else(|| "linux".to_owned()),
            arch: version.arch.unwrap_or_else(|| "amd64".to_owned()),
        })
    }

    /// The same engine, whose answers are not waited for longer than this.
    pub fn impatient(&self, patience: Duration) -> Engine {
        Engine {
            docker: self.docker.clone().with_timeout(patience),
            ..self.clone()
        }
    }

    fn failure(&self, what: impl std::fmt::Display, error: bollard::errors::Error) -> Failure {
        failure(&self.endpoint.address, what, error)
    }
}

/// A version of the API, such as 1.41, as two numbers.
fn number(version: &str) -> Option<(u32, u32)> {
    let (major, minor) = version.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
