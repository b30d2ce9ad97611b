//! Ports of loopback that the tests themselves serve.

use std::collections::BTreeSet;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use rustix::process::{Pid, Signal, kill_process_group};

/// A port whose connections each have a thread. When it is dropped, nobody listens any more and every
/// connection is closed.
pub struct Port {
    address: SocketAddr,
    open: Arc<Mutex<Open>>,
}

#[derive(Default)]
struct Open {
    is_over: bool,
    connections: Vec<TcpStream>,
}

impl Port {
    /// `serve` has a connection until it returns.
    pub fn new(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Port {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind a port");
        let address = listener.local_addr().expect("a bound port");
        let open = Arc::new(Mutex::new(Open::default()));
        let (shared, serve) = (Arc::clone(&open), Arc::new(serve));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let Ok(kept) = stream.try_clone() else {
                    continue;
                };
                let mut open = shared.lock().unwrap();
                if open.is_over {
                    return;
                }
                open.connections.push(kept);
                drop(open);
                let serve = Arc::clone(&serve);
                std::thread::spawn(move || {
                    let end = stream.try_clone();
                    serve(stream);
                    // The copy that is kept would hold the connection open.
                    end.and_then(|end| end.shutdown(Shutdown::Both)).ok();
                });
            }
        });
        Port { address, open }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        let mut open = self.open.lock().unwrap();
        open.is_over = true;
        for connection in open.connections.drain(..) {
            connection.shutdown(Shutdown::Both).ok();
        }
        drop(open);
        // Wakes the one that listens.
        TcpStream::connect(self.address).ok();
    }
}

/// A program behind a port, started for each connection with the connection as its standard input and
/// output, as inetd does: it cannot be late, and it cannot find its port taken.
pub struct Inetd {
    port: Port,
    groups: Arc<Mutex<BTreeSet<i32>>>,
}

impl Inetd {
    pub fn new(program: impl Fn() -> Command + Send + Sync + 'static) -> Inetd {
        let groups = Arc::new(Mutex::new(BTreeSet::new()));
        let running = Arc::clone(&groups);
        let port = Port::new(move |stream| {
            let copy = stream.try_clone().expect("copy a socket");
            let mut child = program()
                .process_group(0)
                .stdin(Stdio::from(OwnedFd::from(copy)))
                .stdout(Stdio::from(OwnedFd::from(stream)))
                .stderr(Stdio::null())
                .spawn()
                .expect("start a server");
            let group = Pid::from_child(&child).as_raw_nonzero().get();
            running.lock().unwrap().insert(group);
            child.wait().ok();
            running.lock().unwrap().remove(&group);
        });
        Inetd { port, groups }
    }

    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }
}

impl Drop for Inetd {
    fn drop(&mut self) {
        for group in self.groups.lock().unwrap().iter() {
            if let Some(group) = Pid::from_raw(*group) {
                kill_process_group(group, Signal::KILL).ok();
            }
        }
    }
}
