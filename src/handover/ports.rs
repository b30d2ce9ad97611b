//! The ports of the host that a container wants, and who holds them.

use crate::engine::{Container, Engine, shared_host_port};
use crate::failure::{Code, Failure, Result};
use crate::plan::Publish;
use crate::shell::quoted;

/// Another container than the repository's own holds a port that the plan wants.
///
/// # Errors
/// `port_taken`, with its name.
pub fn check_ports(
    running: &[Container],
    formers: &[Container],
    publish: &[Publish],
) -> Result<()> {
    let foreign = running
        .iter()
        .filter(|other| formers.iter().all(|former| former.id != other.id));
    for other in foreign {
        if let Some(port) = shared_host_port(other, publish) {
            return Err(held(other, port));
        }
    }
    Ok(())
}

/// `port` is held by a process that is no container's.
pub fn held_by_process(port: &str, process: &str) -> Failure {
    let message = format!("{port} of the host is taken by {process}");
    Failure::new(Code::PortTaken, message)
        .hint("`ss -ltnp` shows which one; `-p` publishes another port")
}

fn held(container: &Container, port: u16) -> Failure {
    let name = &container.name;
    let stop = match &container.identity {
        Some(identity) => format!("sdp stop {}", quoted(&identity.path)),
        None => format!("docker stop {name}"),
    };
    let message = format!("port {port} of the host is taken by the container `{name}`");
    Failure::new(Code::PortTaken, message).hint(format!(
        "`-p` publishes another one; `{stop}` frees it, and stops what serves there"
    ))
}

/// The failure of a container that did not get its port. The engine's message names the port, but not
/// who holds it.
pub(super) async fn taken(engine: &Engine, publish: &[Publish], failure: Failure) -> Failure {
    let others = engine.running_containers().await.unwrap_or_default();
    let holder = others
        .iter()
        .find_map(|other| shared_host_port(other, publish).map(|port| (other, port)));
    if let Some((holder, port)) = holder {
        return held(holder, port);
    }
    let mut wanted = publish.iter().filter_map(|publish| publish.host);
    let port = wanted.find(|port| failure.message.contains(&format!(":{port}")));
    let port = port.map_or_else(|| "a port".to_owned(), |port| format!("port {port}"));
    held_by_process(&port, "another process").detail([failure.message])
}
