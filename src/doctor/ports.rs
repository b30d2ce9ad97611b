//! The ports of the host that are to be published: free, or held by whom?

use std::net::IpAddr;

use procfs::net::{TcpState, tcp, tcp6, udp, udp6};
use procfs::process::{FDTarget, all_processes};

use super::{failed, ok};
use crate::engine::{Container, shared_host_port};
use crate::event::Check;
use crate::handover;
use crate::plan::Publish;

/// A socket of this host that waits for clients.
struct Listener {
    ip: IpAddr,
    port: u16,
    protocol: &'static str,
    inode: u64,
}

/// A check for each port. `formers` serve now and make room; `is_here`: the engine's ports are this host's.
pub fn ports(
    publish: &[Publish],
    running: &[Container],
    formers: &[Container],
    is_here: bool,
) -> Vec<Check> {
    let mut listeners = None;
    let mut check = |publish: &Publish| {
        let port = publish.host?;
        let one = std::slice::from_ref(publish);
        if let Err(failure) = handover::check_ports(running, formers, one) {
            return Some(failed("ports", &failure));
        }
        let holds = |former: &&Container| shared_host_port(former, one).is_some();
        if let Some(former) = formers.iter().find(holds) {
            return Some(ok(
                "ports",
                format!("{port} is held by `{}`, which hands it over", former.name),
            ));
        }
        let listeners = listeners.get_or_insert_with(|| {
            if is_here {
                listeners_here()
            } else {
                Vec::new()
            }
        });
        let held = |one: &&Listener| publish.wants(Some(one.ip), one.port, one.protocol);
        Some(match listeners.iter().find(held) {
            Some(listener) => {
                let failure =
                    handover::held_by_process(&format!("port {port}"), &process(listener.inode));
                failed("ports", &failure)
            }
            None => ok("ports", format!("{port} is free")),
        })
    };
    publish.iter().filter_map(&mut check).collect()
}

/// What listens on this host, as far as the kernel tells.
fn listeners_here() -> Vec<Listener> {
    let streams = [tcp(), tcp6()].into_iter().flatten().flatten();
    let streams = streams.filter(|entry| entry.state == TcpState::Listen);
    let streams = streams.map(|entry| (entry.local_address, entry.inode, "tcp"));
    let datagrams = [udp(), udp6()].into_iter().flatten().flatten();
    let datagrams = datagrams.map(|entry| (entry.local_address, entry.inode, "udp"));
    let all = streams.chain(datagrams);
    all.map(|(address, inode, protocol)| Listener {
        ip: address.ip(),
        port: address.port(),
        protocol,
        inode,
    })
    .collect()
}

/// Whose socket it is. Processes of other users tell only root.
fn process(inode: u64) -> String {
    let processes = all_processes().into_iter().flatten().flatten();
    let mut owners = processes.filter(|process| {
        let mut open = process.fd().into_iter().flatten().flatten();
        open.any(|fd| matches!(fd.target, FDTarget::Socket(socket) if socket == inode))
    });
    let owner = owners.next().and_then(|process| process.stat().ok());
    owner.map_or_else(
        || "another process".to_owned(),
        |stat| format!("`{}` (process {})", stat.comm, stat.pid),
    )
}
