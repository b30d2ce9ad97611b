//! The end of a container's first process, from the engine's event stream.

use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;

use bollard::models::EventMessage;
use bollard::query_parameters::EventsOptionsBuilder;
use futures_util::{Stream, StreamExt as _};
use jiff::Timestamp;

use super::Engine;
use crate::failure::Result;

/// A process's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    pub code: i64,
    /// `None` if the engine did not say.
    pub at: Option<Timestamp>,
}

type Events = Pin<Box<dyn Stream<Item = Result<EventMessage, bollard::errors::Error>> + Send>>;

/// Sees every exit of one container from before its start.
pub struct Watch {
    engine: Engine,
    container: String,
    events: Events,
}

impl Engine {
    /// Watches a container that has been created but not started.
    ///
    /// The stream connects when it is first asked, which may be after the start: asking for what
    /// happened since now closes that gap.
    ///
    /// # Errors
    /// Those of any call to the engine.
    pub async fn watch(&self, container: &str) -> Result<Watch> {
        let since = self.now().await?;
        let filters = HashMap::from([
            ("type", vec!["container"]),
            // Podman 4.3 tells of a `die`, but is asked for what it calls `died` itself.
            ("event", vec!["die", "died"]),
            ("container", vec![container]),
        ]);
        let options = EventsOptionsBuilder::new()
            .since(&format!(
                "{}.{:09}",
                since.as_second(),
                since.subsec_nanosecond()
            ))
            .filters(&filters)
            .build();
        Ok(Watch {
            engine: self.clone(),
            container: container.to_owned(),
            events: Box::pin(self.docker.events(Some(options))),
        })
    }
}

impl Watch {
    /// Waits until the container's process ends. May be dropped and asked again.
    ///
    /// # Errors
    /// When the engine can no longer be asked.
    pub async fn exit(&mut self) -> Result<Exit> {
        match self.events.next().await {
            Some(Ok(event)) => {
                let actor = event.actor;
                let attributes = actor.and_then(|actor| actor.attributes).unwrap_or_default();
                let code = attributes
                    .get("exitCode")
                    .and_then(|code| code.parse().ok());
                let nanos = event.time_nano.map(i128::from);
                Ok(Exit {
                    code: code.unwrap_or(-1),
                    at: nanos.and_then(|nanos| Timestamp::from_nanosecond(nanos).ok()),
                })
            }
            Some(Err(error)) => Err(self.engine.failure("watch the container", error)),
            None => match self.engine.inspect(&self.container).await? {
                Some(details) if details.running && details.restarts == 0 => {
                    Err(crate::failure::Failure::new(
                        crate::failure::Code::EngineUnreachable,
                        "the engine ended its event stream while the container was watched",
                    )
                    .hint("`docker info` shows whether it runs; then deploy again"))
                }
                Some(details) => Ok(Exit {
                    at: details.finished_at.parse().ok(),
                    code: details.exit_code,
                }),
                None => Ok(Exit { code: -1, at: None }),
            },
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("container", &self.container)
            .finish_non_exhaustive()
    }
}
