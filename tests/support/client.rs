//! A client that asks every millisecond, on a new connection each time.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::engine;
use super::host::Host;
use super::http::get_within;

const PERIOD: Duration = Duration::from_millis(1);

/// A request that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(1);

/// The same for a client that looks for the end of a gap: what it sends to a container that has just
/// ended is answered by nobody, and it would sleep through the end.
const IMPATIENCE: Duration = Duration::from_millis(20);

pub struct Client {
    enough: Arc<AtomicBool>,
    thread: JoinHandle<Asked>,
}

/// What became of a client's requests.
#[derive(Debug, Default)]
pub struct Asked {
    /// What it was answered, each change once.
    pub answers: Vec<String>,
    pub requests: usize,
    pub failed: Vec<String>,
    /// The longest time in which nothing was answered, from the end of an answer to the end of the next.
    pub gap: Duration,
}

impl Client {
    /// Asks at a port of 127.0.0.1.
    pub fn of_port(port: u16) -> Client {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        Client::new(move || get_within(address, "/", PATIENCE))
    }

    /// The same, where a gap is to be expected.
    pub fn through_the_gap(port: u16) -> Client {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        Client::new(move || get_within(address, "/", IMPATIENCE))
    }

    /// Asks whichever container of the host's repository runs, as a proxy on the container network
    /// does: the one that answered last, else each of those that the engine lists then.
    pub fn of_containers(host: &Host) -> Client {
        let label = host.label();
        let mut known: Option<SocketAddr> = None;
        let docker = engine::connect();
        Client::new(move || {
            let before = known.map(|address| get_within(address, "/", PATIENCE));
            if let Some(Ok(answer)) = before {
                return Ok(answer);
            }
            let listed = engine::labelled(&docker, &label);
            let mut last = io::Error::other("no container runs");
            for container in listed.iter().filter(|container| container.is_running()) {
                let Some(address) = container.reached_at(8080) else {
                    continue;
                };
                match get_within(address, "/", PATIENCE) {
                    Ok(answer) => {
                        known = Some(address);
                        return Ok(answer);
                    }
                    Err(error) => last = error,
                }
            }
            Err(last)
        })
    }

    fn new(mut ask: impl FnMut() -> io::Result<String> + Send + 'static) -> Client {
        let enough = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&enough);
        let (sender, first) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let mut asked = Asked::default();
            let mut answered = Instant::now();
            loop {
                let begun = Instant::now();
                let last = stop.load(Ordering::Relaxed);
                asked.requests += 1;
                match ask() {
                    Ok(answer) => {
                        asked.gap = asked.gap.max(answered.elapsed());
                        answered = Instant::now();
                        if asked.answers.last() != Some(&answer) {
                            asked.answers.push(answer);
                        }
                        sender.send(()).ok();
                    }
                    Err(error) => asked.failed.push(error.to_string()),
                }
                if last {
                    return asked;
                }
                std::thread::sleep(PERIOD.saturating_sub(begun.elapsed()));
            }
        });
        first.recv().expect("a first answer");
        Client { enough, thread }
    }

    /// Asks once more, and tells what it saw.
    pub fn finish(self) -> Asked {
        self.enough.store(true, Ordering::Relaxed);
        self.thread.join().expect("the client ends")
    }
}
