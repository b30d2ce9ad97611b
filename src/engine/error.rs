//! What the engine says and how its connection fails, as failures with a way out.

use std::error::Error as _;
use std::fmt::Display;
use std::io;

use bollard::errors::Error;

use crate::failure::{Code, Failure};

/// The failure of a call that was to do `what` (such as "create the container `x`").
pub(super) fn failure(endpoint: &str, what: impl Display, error: Error) -> Failure {
    match &error {
        Error::SocketNotFoundError(_) => unreachable(endpoint),
        Error::RequestTimeoutError => Failure::new(
            Code::EngineUnreachable,
            format!("could not {what}: the engine at `{endpoint}` does not answer"),
        )
        .hint(
            "`docker info` shows whether it is stuck; `sudo systemctl restart docker` restarts it",
        ),
        Error::DockerResponseServerError { message, .. } => {
            let message = message.trim().trim_end_matches('.');
            let code = if message.contains("no space left on device") {
                Code::DiskFull
            } else {
                Code::EngineError
            };
            Failure::new(code, format!("could not {what}: {message}"))
        }
        Error::DockerStreamError { error } => Failure::new(
            Code::EngineError,
            format!("could not {what}: {}", error.trim().trim_end_matches('.')),
        ),
        _ => match io_kind(&error) {
            Some(io::ErrorKind::PermissionDenied) => denied(endpoint),
            Some(io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
                unreachable(endpoint)
            }
            Some(_) => Failure::new(
                Code::EngineUnreachable,
                format!("could not {what}: the connection to the engine at `{endpoint}` broke"),
            )
            .hint("`docker info` shows whether it runs; then deploy again")
            .source(error),
            None => Failure::new(Code::EngineError, format!("could not {what}")).source(error),
        },
    }
}

/// The status and message of an answer that is an error.
pub(super) fn answer(error: &Error) -> Option<(u16, &str)> {
    match error {
        Error::DockerResponseServerError {
            status_code,
            message,
        } => Some((*status_code, message)),
        _ => None,
    }
}

/// What the engine says of an error, at once or in the middle of an answer.
pub(super) fn told(error: &Error) -> Option<&str> {
    match error {
        Error::DockerResponseServerError { message, .. } => Some(message.trim()),
        Error::DockerStreamError { error } => Some(error.trim()),
        _ => None,
    }
}

/// What to do about a setting that the engine finds fault with, when it creates the container or when it
/// starts it. The message is in lower case.
pub(super) fn hint_on_settings(message: &str) -> Option<&'static str> {
    let has = |text: &str| message.contains(text);
    if has("unable to find user") || has("unable to find group") {
        Some("the image knows no such name: `--user UID:GID` needs none")
    } else if has("log opt") || has("logging driver") {
        Some(
            "`docker info --format '{{.LoggingDriver}}'` shows whose option `--log-opt` has to give",
        )
    } else if has("range of cpus") {
        Some("`--cpus` is to name no more than the engine has")
    } else if has("setting rlimit") {
        Some("`--ulimit` is to name no more than the engine itself may: `ulimit -H -a`")
    } else {
        None
    }
}

fn unreachable(endpoint: &str) -> Failure {
    Failure::new(Code::EngineUnreachable, format!("no engine answers at `{endpoint}`")).hint(
        "`sudo systemctl start docker` starts it; `-H` or DOCKER_HOST names one that listens elsewhere",
    )
}

fn denied(endpoint: &str) -> Failure {
    Failure::new(
        Code::EngineDenied,
        format!("this user may not talk to the engine at `{endpoint}`"),
    )
    .hint("`sudo usermod -aG docker $USER` and log in again, or run sdp with sudo")
}

/// hyper wraps the operating system's error several times over.
fn io_kind(error: &Error) -> Option<io::ErrorKind> {
    let mut cause = error.source();
    if let Error::IOError { err } = error {
        return Some(err.kind());
    }
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return Some(error.kind());
        }
        if let Some(error) = error.downcast_ref::<hyper::Error>()
            && (error.is_incomplete_message() || error.is_closed())
        {
            return Some(io::ErrorKind::ConnectionAborted);
        }
        cause = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engines_sentences_are_told_without_their_full_stop() {
        let error = Error::DockerResponseServerError {
            status_code: 409,
            message: "Conflict. You have to remove that container.\n".to_owned(),
        };
        let told = failure("unix:///x", "create the container `a`", error).to_string();
        assert_eq!(
            told,
            "could not create the container `a`: Conflict. You have to remove that container"
        );
    }
}
