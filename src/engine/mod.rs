//! The container engine, through bollard; nothing outside this folder names it.
//!
//! Names and messages that come back are the engine's own and untrusted; ids that go in come from
//! the engine or are checked by [`crate::plan`], as bollard puts them into paths unescaped.

mod archive;
mod builtin;
mod containers;
mod endpoint;
mod error;
mod exec;
mod facts;
mod identity;
mod images;
mod lines;
mod logs;
mod place;
mod platform;
mod pull;
mod reference;
mod registry;
mod spec;
mod ssh;
mod transport;
mod upload;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use bollard::Docker;
use tokio::sync::OnceCell;

pub use archive::check_archive;
pub use builtin::BUILTIN;
pub use containers::{Binding, Container, Details, is_others_network, shared_host_port};
pub use facts::Facts;
pub use identity::Identity;
pub use images::{Arrival, Image, Ways, missing_image};
pub use lines::{goes_on, tails};
pub use logs::{LogQuery, LogReader};
pub use place::Place;
pub use platform::Platform;
pub use reference::check_image;
pub use spec::{NO_NEW_PRIVILEGES, Spec};
pub use upload::uploader;
pub use watch::{Exit, Watch};

use crate::failure::{Failure, Result};
use endpoint::Endpoint;
use error::failure;
use place::Circumstances;

/// The engine's answer to a call may take this long, on top of what the call itself waits for.
pub const PATIENCE: Duration = Duration::from_mins(2);

/// A connection to the engine; cheap to clone.
#[derive(Clone, Debug)]
pub struct Engine {
    docker: Docker,
    endpoint: Arc<Endpoint>,
    circumstances: Arc<OnceCell<Circumstances>>,
    mark: Arc<OnceCell<String>>,
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
            mark: Arc::default(),
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
