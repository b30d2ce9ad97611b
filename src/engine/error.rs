//! What the engine says and how its connection fails, as failures with a way out.

use std::error::Error as _;
use std::fmt::Display;
use std::io;

use bollard::errors::Error;

use crate::failure::{Code, Failure};
use crate::shell::quoted;

/// The failure of a call that was to do `what` (such as "create the container `x`").
pub(super) fn failure(endpoint: &str, what: impl Display, error: Error) -> Failure {
    let error = match of_transport(error) {
        Ok(failure) => return failure,
        Err(error) => error,
    };
    if let Some(tls) = cause::<rustls::Error>(&error) {
        return untrusted(endpoint, tls);
    }
    match &error {
        Error::SocketNotFoundError(_) => unreachable(endpoint),
        Error::RequestTimeoutError => Failure::new(
            Code::EngineUnreachable,
            format!("could not {what}: the engine at `{endpoint}` does not answer"),
        )
        .hint(
            "`docker info` shows whether it is stuck, `journalctl -u docker -n 50` why; restarting the engine \
             stops every container on its host",
        ),
        Error::DockerResponseServerError { message, .. } => {
            let message = message.trim().trim_end_matches('.');
            let code = if message.contains("no space left on device") {
                Code::DiskFull
            } else {
                Code::EngineError
            };
            let failure = Failure::new(code, format!("could not {what}: {message}"));
            if message.contains("HTTP request to an HTTPS server") {
                return failure.hint("set DOCKER_TLS_VERIFY=1, and DOCKER_CERT_PATH to where ca.pem, cert.pem and key.pem are");
            }
            failure
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
    if has(": network ") && message.ends_with(" not found") {
        Some("`docker network ls` lists the networks; `docker network create` makes one")
    } else if has("unable to find user") || has("unable to find group") {
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
    let hint = match endpoint.strip_prefix("unix://") {
        Some("/var/run/docker.sock" | "/run/docker.sock") => {
            "`sudo systemctl start docker` starts it; `-H` or DOCKER_HOST names one that listens elsewhere"
                .to_owned()
        }
        Some(socket) => format!("`ls -l {}`: whose service makes it? `-H` names another", quoted(socket)),
        None => format!("`-H` names another; is the engine at `{endpoint}` up, and the port right?"),
    };
    let message = format!("no engine answers at `{endpoint}`");
    Failure::new(Code::EngineUnreachable, message).hint(hint)
}

fn denied(endpoint: &str) -> Failure {
    Failure::new(
        Code::EngineDenied,
        format!("this user may not talk to the engine at `{endpoint}`"),
    )
    .hint("`sudo usermod -aG docker $USER` and log in again: who is in that group has root's power on this host")
}

/// What sdp's own transport says.
fn of_transport(error: Error) -> Result<Failure, Error> {
    match error {
        Error::IOError { err } => err.downcast().map_err(Error::from),
        error => Err(error),
    }
}

/// The connection's TLS failed, on this side or on the other.
fn untrusted(endpoint: &str, error: &rustls::Error) -> Failure {
    use rustls::{CertificateError as Bad, Error as Tls};
    let (code, message, hint) = match error {
        Tls::InvalidCertificate(
            Bad::Expired
            | Bad::ExpiredContext { .. }
            | Bad::NotValidYet
            | Bad::NotValidYetContext { .. },
        ) => (
            Code::EngineUntrusted,
            format!("the certificate of the engine at `{endpoint}` is not valid now"),
            "a new one for the engine, or `date` if this host's clock is wrong",
        ),
        Tls::InvalidCertificate(Bad::NotValidForName | Bad::NotValidForNameContext { .. }) => (
            Code::EngineUntrusted,
            format!("the certificate of the engine at `{endpoint}` is for another host"),
            "`-H` must name the host as its certificate does",
        ),
        Tls::InvalidCertificate(_) => (
            Code::EngineUntrusted,
            format!(
                "the certificate of the engine at `{endpoint}` is not signed by whom sdp trusts"
            ),
            "ca.pem in DOCKER_CERT_PATH, or the context's own, must be the authority that signed it",
        ),
        Tls::AlertReceived(_) => (
            Code::EngineDenied,
            format!("the engine at `{endpoint}` does not accept sdp's certificate"),
            "cert.pem and key.pem in DOCKER_CERT_PATH, or the context's own, must be signed by its authority and not expired",
        ),
        _ => (
            Code::EngineUnreachable,
            format!("what answers at `{endpoint}` does not speak TLS as it should"),
            "unset DOCKER_TLS_VERIFY if the engine does without, or fix the port",
        ),
    };
    Failure::new(code, message)
        .hint(hint)
        .detail([error.to_string()])
}

/// The causes of an error, from the outside in.
fn causes(error: &Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    // bollard shows these as if they were its own, and an `io::Error` shows only the cause of what is in it.
    let first: Option<&(dyn std::error::Error + 'static)> = match error {
        Error::IOError { err } => Some(err),
        Error::HyperResponseError { err } => Some(err),
        error => error.source(),
    };
    std::iter::successors(first, |error| inner(*error))
}

fn inner<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> Option<&'a (dyn std::error::Error + 'static)> {
    match error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref)
    {
        Some(inside) => Some(inside),
        None => error.source(),
    }
}

fn cause<T: std::error::Error + 'static>(error: &Error) -> Option<&T> {
    causes(error).find_map(|cause| cause.downcast_ref())
}

/// hyper wraps the operating system's error several times over.
fn io_kind(error: &Error) -> Option<io::ErrorKind> {
    causes(error).find_map(|cause| {
        if let Some(error) = cause.downcast_ref::<io::Error>() {
            return Some(error.kind());
        }
        let hyper = cause.downcast_ref::<hyper::Error>()?;
        let is_cut = hyper.is_incomplete_message() || hyper.is_closed();
        is_cut.then_some(io::ErrorKind::ConnectionAborted)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// systemd's docker makes its own socket, and no other.
    #[test]
    fn an_engine_that_does_not_answer_is_looked_for_where_it_should_be() {
        for (endpoint, hint) in [
            (
                "unix:///var/run/docker.sock",
                "`sudo systemctl start docker` starts it;",
            ),
            (
                "unix:///run/docker.sock",
                "`sudo systemctl start docker` starts it;",
            ),
            (
                "unix:///run/user/1000/docker.sock",
                "`ls -l /run/user/1000/docker.sock`:",
            ),
            ("unix:///run/a b.sock", "`ls -l '/run/a b.sock'`:"),
            (
                "tcp://far:2376",
                "`-H` names another; is the engine at `tcp://far:2376` up",
            ),
        ] {
            let failure = failure(endpoint, "list", Error::SocketNotFoundError(String::new()));
            assert!(failure.message.contains(endpoint), "{failure:?}");
            assert!(
                failure.hint.as_ref().unwrap().starts_with(hint),
                "{failure:?}"
            );
        }
    }

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
