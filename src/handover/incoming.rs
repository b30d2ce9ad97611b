//! The container that is to serve: a new one, or one of an earlier release.

use crate::engine::{Container, Identity, Spec, is_others_network};
use crate::plan::Publish;

/// The container that is to serve.
#[derive(Debug)]
pub enum Incoming {
    /// One that does not exist yet.
    New(Box<Spec>),
    /// A stopped one of an earlier release.
    Kept {
        container: Container,
        identity: Identity,
        publish: Vec<Publish>,
        /// It lives in the host's network, or another container's.
        in_others_network: bool,
    },
}

impl Incoming {
    pub(super) fn name(&self) -> &str {
        match self {
            Incoming::New(spec) => &spec.name,
            Incoming::Kept { container, .. } => &container.name,
        }
    }

    pub(super) fn identity(&self) -> &Identity {
        match self {
            Incoming::New(spec) => &spec.identity,
            Incoming::Kept { identity, .. } => identity,
        }
    }

    /// It lives in the host's network, or another container's.
    pub(super) fn shares_ports_unpublished(&self) -> bool {
        match self {
            Incoming::New(spec) => spec.network.as_deref().is_some_and(is_others_network),
            Incoming::Kept {
                in_others_network, ..
            } => *in_others_network,
        }
    }

    pub(super) fn publish(&self) -> &[Publish] {
        match self {
            Incoming::New(spec) => &spec.publish,
            Incoming::Kept { publish, .. } => publish,
        }
    }
}
