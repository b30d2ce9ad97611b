//! `sdp logs`, and the end of `sdp deploy --follow`: what a container prints.

use std::time::Duration;

use futures_util::StreamExt as _;

use crate::engine::{Container, Engine, LogOptions};
use crate::event::Emitter;
use crate::failure::{Failure, Result};
use crate::interrupt::Interrupt;

/// How often a container between two attempts is looked at.
const RESTART: Duration = Duration::from_millis(100);

/// Sends a container's lines to the report. Following goes on over restarts, until Ctrl-C or until
/// the program has ended for good; neither is an error.
///
/// # Errors
/// Those of any call to the engine.
pub async fn logs(
    engine: &Engine,
    container: &str,
    mut options: LogOptions,
    emitter: &Emitter,
    interrupt: &Interrupt,
) -> Result<()> {
    let shown = options.timestamps;
    // Where to go on after a restart is known from the last line's time.
    options.timestamps |= options.follow;
    loop {
        let mut last = None;
        let mut lines = std::pin::pin!(engine.logs(container, &options));
        loop {
            let line = tokio::select! {
                biased;
                _ = interrupt.cancelled() => return Ok(()),
                line = lines.next() => line,
            };
            let Some(line) = line.transpose()? else { break };
            let time = line.time.clone().filter(|_| shown);
            last = line.time;
            tokio::select! {
                biased;
                _ = interrupt.cancelled() => return Ok(()),
                () = emitter.log(line.source, line.bytes, time) => {}
            }
        }
        if !options.follow {
            return Ok(());
        }
        if let Some(last) = last {
            options.after = Some(last);
            options.tail = None;
        }
        loop {
            match engine.inspect(container).await? {
                Some(details) if details.running => break,
                Some(details) if details.restarting => {
                    tokio::select! {
                        _ = interrupt.cancelled() => return Ok(()),
                        () = tokio::time::sleep(RESTART) => {}
                    }
                }
                Some(details) => {
                    emitter.warn(
                        format!("the program ended with exit code {}", details.exit_code),
                        None,
                    );
                    return Ok(());
                }
                None => {
                    emitter.warn("the container was removed", None);
                    return Ok(());
                }
            }
        }
    }
}

/// The container whose log a repository's name stands for: the one that runs, else the newest.
///
/// # Errors
/// `not_deployed`.
pub fn choose<'a>(containers: &'a [Container], repository: &str) -> Result<&'a Container> {
    let canary = |container: &&Container| {
        container
            .identity
            .as_ref()
            .is_some_and(|identity| identity.canary)
    };
    let mut own = containers.iter().filter(|container| !canary(container));
    let newest = own.clone().next();
    own.find(|container| container.running)
        .or(newest)
        .ok_or_else(|| Failure::not_deployed(repository))
}
