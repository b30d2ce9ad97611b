//! Does a container's program run, and answer?
//!
//! It is asked at the container's own address: a connection to a published port succeeds even when
//! nothing listens, as the engine's own proxy takes it.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use http_body_util::Empty;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use procfs::net::TcpState;
use procfs::process::Process;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::engine::{Details, Engine, Exit, Watch};
use crate::failure::{Code, Failure, Result};
use crate::interrupt::Interrupt;
use crate::plan::Health;

/// How many of the program's last lines an error carries.
const LAST_LINES: usize = 20;

/// What a program printed last may be in its log a little later than the engine tells of its end; it is
/// not started again before twice that time.
const LOG_DELAY: Duration = Duration::from_millis(50);

/// The pause between two attempts is a part of the time that it took so far: a gap is no longer than
/// it has to be, and a slow start is not asked a thousand times.
const SHORTEST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// One attempt may take this long, however long all of them may.
const ATTEMPT: Duration = Duration::from_secs(5);

/// A container that has been started and is watched.
#[derive(Debug)]
pub struct Candidate {
    pub id: String,
    pub name: String,
    /// The port that its program should listen on.
    pub port: u16,
    pub health: Health,
    pub watch: Watch,
}

/// Why a container is believed to serve.
#[derive(Debug)]
pub struct Proof {
    /// For people: `GET /healthz 200`, `port 8080 answers`, `up for 2.0s`.
    pub how: String,
    pub remark: Option<Remark>,
    pub details: Details,
}

/// Something odd about a program that serves all the same.
#[derive(Debug)]
pub struct Remark {
    pub line: String,
    /// What to do about it.
    pub hint: String,
}

/// Waits until the candidate is proven.
///
/// With a health path: it answers 2xx or 3xx. Else the port takes a connection, or the program has
/// stayed up for the time to settle.
///
/// # Errors
/// `crashed` as soon as its process ends, `unhealthy`, `listens_on_localhost`, or the interruption.
pub async fn prove(
    engine: &Engine,
    candidate: &mut Candidate,
    interrupt: Option<&Interrupt>,
) -> Result<Proof> {
    let since = Instant::now();
    let cancelled = async {
        match interrupt {
            Some(interrupt) => interrupt.cancelled().await,
            None => std::future::pending().await,
        }
    };
    let Candidate {
        id,
        name,
        port,
        health,
        watch,
    } = candidate;
    let container = Asked {
        engine,
        id,
        name,
        port: *port,
    };
    tokio::select! {
        biased;
        exit = watch.exit() => Err(container.crashed(exit?, since.elapsed()).await),
        signal = cancelled => Err(signal.into()),
        proof = container.answers(health) => proof,
    }
}

/// The container whose program is asked.
struct Asked<'a> {
    engine: &'a Engine,
    id: &'a str,
    name: &'a str,
    port: u16,
}

impl Asked<'_> {
    async fn answers(&self, health: &Health) -> Result<Proof> {
        let since = Instant::now();
        let details = self.details().await?;
        let ip = if details.host_network {
            Some(IpAddr::from([127, 0, 0, 1]))
        } else {
            details.address
        };
        let address = ip.map(|ip| SocketAddr::new(ip, self.port));
        let patience = if health.http.is_some() {
            health.timeout
        } else {
            health.settle
        };
        let mut remark = None;
        loop {
            let answer = match address {
                Some(address) => self.ask(address, health.http.as_deref()).await,
                None if health.http.is_some() => return Err(self.no_address()),
                None => Err("it has no address".to_owned()),
            };
            let why = match answer {
                Ok(how) => {
                    return Ok(Proof {
                        how,
                        remark,
                        details,
                    });
                }
                Err(why) => why,
            };
            let elapsed = since.elapsed();
            // What it listens on has no meaning before it had time to begin.
            if remark.is_none() && elapsed >= health.settle.min(patience) {
                remark = self.look_at_listeners().await?;
            }
            if elapsed >= patience {
                return match &health.http {
                    None => Ok(Proof {
                        how: format!("up for {:.1}s", elapsed.as_secs_f64()),
                        remark,
                        details: self.details().await?,
                    }),
                    Some(path) => Err(self.unhealthy(path, &why, patience, remark).await),
                };
            }
            let pause = (elapsed / 20).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
            sleep(pause.min(patience.saturating_sub(elapsed))).await;
        }
    }

    /// How the program answered, or why it did not.
    async fn ask(&self, address: SocketAddr, path: Option<&str>) -> Result<String, String> {
        match path {
            None => connect(address)
                .await
                .map(|_| format!("port {} answers", self.port)),
            Some(path) => match get(address, path).await? {
                status @ 200..400 => Ok(format!("GET {path} {status}")),
                status => Err(format!("it answers {status}")),
            },
        }
    }

    async fn details(&self) -> Result<Details> {
        let message = format!(
            "the container `{}` was removed while it was checked",
            self.name
        );
        let gone = || Failure::new(Code::Crashed, message);
        self.engine.inspect(self.id).await?.ok_or_else(gone)
    }

    fn no_address(&self) -> Failure {
        let message = format!(
            "`{}` has no address at which its health could be asked for",
            self.name
        );
        Failure::new(Code::Unhealthy, message)
            .hint("leave out `--health-http`, or `--network` with one that gives addresses")
    }

    async fn unhealthy(
        &self,
        path: &str,
        why: &str,
        patience: Duration,
        remark: Option<Remark>,
    ) -> Failure {
        let message = format!(
            "`GET {path}` on port {} of `{}` did not answer 2xx or 3xx within {:.0}s: {why}",
            self.port,
            self.name,
            patience.as_secs_f64(),
        );
        let failure = Failure::new(Code::Unhealthy, message)
            .detail(self.engine.last_lines(self.id, LAST_LINES, None).await);
        match remark {
            Some(remark) => failure.hint(format!("{}; {}", remark.line, remark.hint)),
            None => {
                failure.hint("`--health-timeout` gives it more time, `--port` names another port")
            }
        }
    }

    async fn crashed(&self, exit: Exit, after: Duration) -> Failure {
        let details = match self.engine.inspect(self.id).await {
            Ok(Some(details)) => details,
            _ => Details::default(),
        };
        let message = format!(
            "the program in `{}` ended with exit code {} after {:.1}s",
            self.name,
            exit.code,
            after.as_secs_f64()
        );
        // The engine may have started it again by now, and the next attempt speaks, too.
        let until = exit.at.and_then(|at| at.checked_add(LOG_DELAY).ok());
        let lines = self.engine.last_lines(self.id, LAST_LINES, until).await;
        let says = |text: &str| lines.iter().any(|line| line.contains(text));
        let is_root = ["", "0", "root"].contains(&details.user.split(':').next().unwrap_or(""));
        let hint = if details.out_of_memory {
            "it ran out of memory: `--memory` gives it more, if the host has more"
        } else if says("ead-only file system") && details.root_is_read_only {
            "with `--hardened` it can write to /tmp alone: mount a directory for its data with `-v SOURCE:TARGET`"
        } else if says("ermission denied") && !is_root {
            "it runs as another user than root (`--user`, `--hardened`): `sudo chown UID` what it needs of the mounts of `-v`, and let it listen on a port above 1023 (`--port`)"
        } else if says("exec format error") {
            "it is built for another architecture than the engine's: `docker version` and `go env GOARCH`"
        } else if says("no such file or directory") && exit.code == 1 && lines.len() == 1 {
            "it is linked against a loader that the image lacks: `--image` names one that has it"
        } else if lines.is_empty() {
            "it printed nothing; run it by hand from `.sdp/build`"
        } else {
            "what it printed last is above; mend that, or its settings (`-e`, `--env-file`), and deploy again"
        };
        Failure::new(Code::Crashed, message)
            .hint(hint)
            .detail(lines)
    }

    /// Tells a program that nobody can reach from one that does not listen at all.
    async fn look_at_listeners(&self) -> Result<Option<Remark>> {
        let details = self.details().await?;
        if details.host_network {
            return Ok(None);
        }
        let listeners = listeners(&details, self.id).unwrap_or_default();
        let (on_port, elsewhere): (Vec<_>, Vec<_>) = listeners
            .iter()
            .partition(|listener| listener.port() == self.port);
        let reachable = |listener: &&SocketAddr| !listener.ip().is_loopback();
        if let Some(listener) = on_port.first()
            && !on_port.iter().any(reachable)
        {
            let message = format!(
                "the program in `{}` listens on {listener}, where nobody outside its container reaches it",
                self.name
            );
            return Err(
                Failure::new(Code::ListensOnLocalhost, message).hint(format!(
                    "let it listen on `:{0}`, or `0.0.0.0:{0}`, and deploy again",
                    self.port
                )),
            );
        }
        let other = elsewhere
            .into_iter()
            .find(reachable)
            .filter(|_| on_port.is_empty());
        Ok(other.map(|other| Remark {
            line: format!(
                "the program listens on port {}, not on {}",
                other.port(),
                self.port
            ),
            hint: format!("`--port {}` checks that one", other.port()),
        }))
    }
}

async fn connect(address: SocketAddr) -> Result<TcpStream, String> {
    match timeout(ATTEMPT, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            Err("nothing listens there".to_owned())
        }
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("it does not answer".to_owned()),
    }
}

/// The status of one GET request.
async fn get(address: SocketAddr, path: &str) -> Result<u16, String> {
    let ask = async {
        let stream = connect(address).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| error.to_string())?;
        let request = hyper::Request::get(path)
            .header(hyper::header::HOST, address.to_string())
            .header(
                hyper::header::USER_AGENT,
                concat!("sdp/", env!("CARGO_PKG_VERSION")),
            )
            .body(Empty::<Bytes>::new())
            .map_err(|error| error.to_string())?;
        // The connection is driven only until the answer's head is there; the body is not read.
        tokio::select! {
            response = sender.send_request(request) => {
                response.map(|response| response.status().as_u16()).map_err(|error| error.to_string())
            }
            ended = connection => Err(ended.err().map_or_else(
                || "it closed the connection".to_owned(),
                |error| error.to_string(),
            )),
        }
    };
    timeout(ATTEMPT, ask)
        .await
        .unwrap_or_else(|_| Err("it does not answer".to_owned()))
}

/// What the container's processes listen on; `None` where this host cannot tell.
fn listeners(details: &Details, id: &str) -> Option<Vec<SocketAddr>> {
    let process = Process::new(i32::try_from(details.pid?).ok()?).ok()?;
    // The engine's number may mean another process here, as when sdp runs in a container itself.
    let cgroups = process.cgroups().ok()?;
    if !cgroups.0.iter().any(|group| group.pathname.contains(id)) {
        return None;
    }
    let mut found: Vec<SocketAddr> = process
        .tcp()
        .into_iter()
        .chain(process.tcp6())
        .flatten()
        .filter(|entry| entry.state == TcpState::Listen)
        .map(|entry| entry.local_address)
        .collect();
    found.sort();
    found.dedup();
    Some(found)
}
