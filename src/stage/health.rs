//! `health check`: the new container is proven and takes over.

use super::Context;
use crate::failure::Result;
use crate::handover::{Handed, Handover, Started};

/// Proves what was started, and completes the hand-over.
///
/// # Errors
/// `crashed`, `unhealthy`, `listens_on_localhost`, or the interruption.
pub async fn health(cx: &Context, handover: &mut Handover<'_>, started: Started) -> Result<Handed> {
    handover.finish(started, &cx.events).await
}
