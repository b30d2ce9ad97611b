//! The container engine, through bollard; nothing outside this folder names it.
//!
//! Names and messages that come back are the engine's own and untrusted; ids that go in come from
//! the engine or are checked by [`crate::plan`], as bollard puts them into paths unescaped.

mod archive;
mod builtin;
mod containers;
mod error;
mod facts;
mod identity;
mod images;
mod lines;
mod logs;
mod platform;
mod pull;
mod reference;
mod registry;
mod spec;
mod watch;

use std::time::Duration;

use bollard::Docker;

pub use archive::check_archive;
pub use builtin::BUILTIN;
pub use containers::{Binding, Container, Details, shared_host_port};
pub use facts::Facts;
pub use identity::Identity;
pub use images::{Arrival, Image, Ways, missing_image};
pub use logs::{LogQuery, LogReader};
pub use platform::Platform;
pub use reference::check_image;
pub use spec::{NO_NEW_PRIVILEGES, Spec};
pub use watch::{Exit, Watch};

use crate::failure::{Code, Failure, Result};
use error::failure;

const DEFAULT_ENDPOINT: &str = "unix:///var/run/docker.sock";

/// The engine's answer to a call may take this long, on top of what the call itself waits for.
pub const PATIENCE: Duration = Duration::from_mins(2);

/// A connection to the engine; cheap to clone.
#[derive(Clone, Debug)]
pub struct Engine {
    docker: Docker,
    endpoint: String,
}

impl Engine {
    /// Prepares a connection to `host` (`unix://` or `tcp://`), by default the local engine's socket.
    /// Only a missing socket fails here; the first call finds out about everything else.
    ///
    /// # Errors
    /// `engine_unreachable`, or `usage` for an address of an unknown kind.
    pub fn connect(host: Option<&str>) -> Result<Engine> {
        let endpoint = host
            .filter(|host| !host.is_empty())
            .unwrap_or(DEFAULT_ENDPOINT);
        let docker = Docker::connect_with_host(endpoint).map_err(|error| match error {
            bollard::errors::Error::UnsupportedURISchemeError { .. } => Failure::new(
                Code::Usage,
                format!("`{endpoint}` is no engine's address that sdp knows"),
            )
            .hint("`-H unix:///var/run/docker.sock` or `-H tcp://HOST:PORT`"),
            error => failure(endpoint, "reach the engine", error),
        })?;
        Ok(Engine {
            docker: docker.with_timeout(PATIENCE),
            endpoint: endpoint.to_owned(),
        })
    }

    /// The same engine, whose answers are not waited for longer than this.
    pub fn impatient(&self, patience: Duration) -> Engine {
        Engine {
            docker: self.docker.clone().with_timeout(patience),
            endpoint: self.endpoint.clone(),
        }
    }

    fn failure(&self, what: impl std::fmt::Display, error: bollard::errors::Error) -> Failure {
        failure(&self.endpoint, what, error)
    }
}
