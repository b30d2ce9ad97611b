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
use crate::event::StageEmitter;
use crate::failure::{Code, Failure, Result};
use crate::interrupt::Interrupt;
use crate::plan::Health;

/// How many of the program's last lines an error carries.
const LAST_LINES: usize = 20;

/// One attempt may take this long, however long all of them may.
const ATTEMPT: Duration = Duration::from_secs(5);

/// A container that has been started and is watched.
#[derive(Debug)]
pub struct Candidate {
    pub id: String,
    pub name: String,
    /// The port that its program should listen on.
    pub port: u16,
    pub watch: Watch,
}

/// Why a container is believed to serve.
#[derive(Debug)]
pub struct Proof {
    /// For people: `GET /healthz 200`, `port 8080 answers`, `up for 2.0s`.
    pub how: String,
    pub details: Details,
}

/// Waits until the candidate is proven.
///
/// With `health.http`: the path answers 2xx or 3xx. Else the port takes a connection, or the program
/// has stayed up for `health.settle`.
///
/// # Errors
/// `crashed` as soon as its process ends, `unhealthy`, `listens_on_localhost`, or the interruption.
pub async fn prove(
    engine: &Engine,
    candidate: &mut Candidate,
    health: &Health,
    interrupt: Option<&Interrupt>,
    events: &StageEmitter,
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
        watch,
    } = candidate;
    tokio::select! {
        biased;
        exit = watch.exit() => Err(crashed(engine, id, name, exit?, since.elapsed()).await),
        signal = cancelled => Err(signal.into()),
        proof = answers(engine, id, name, *port, health, events) => proof,
    }
}

async fn answers(
    engine: &Engine,
    id: &str,
    name: &str,
    port: u16,
    health: &Health,
    events: &StageEmitter,
) -> Result<Proof> {
    let since = Instant::now();
    let gone = || {
        Failure::new(
            Code::Crashed,
            format!("the container `{name}` was removed while it was checked"),
        )
    };
    let details = engine.inspect(id).await?.ok_or_else(gone)?;
    let address = match details.address {
        _ if details.host_network => Some(IpAddr::from([127, 0, 0, 1])),
        address => address,
    }
    .map(|ip| SocketAddr::new(ip, port));
    let patience = if health.http.is_some() {
        health.timeout
    } else {
        health.settle
    };
    let mut pause = Duration::from_millis(2);
    let mut last = String::new();
    let mut settled = false;
    loop {
        let how = match (&health.http, address) {
            (Some(path), Some(address)) => match get(address, path).await {
                Ok(status) if (200..400).contains(&status) => Some(format!("GET {path} {status}")),
                Ok(status) => {
                    last = format!("it answers {status}");
                    None
                }
                Err(error) => {
                    last = error;
                    None
                }
            },
            (None, Some(address)) => connect(address)
                .await
                .ok()
                .map(|_| format!("port {port} answers")),
            (Some(_), None) => {
                return Err(Failure::new(
                    Code::Unhealthy,
                    format!("`{name}` has no address at which its health could be asked for"),
                )
                .hint("leave out `--health-http`, or `--network` with one that gives addresses"));
            }
            (None, None) => None,
        };
        if let Some(how) = how {
            return Ok(Proof { how, details });
        }
        let elapsed = since.elapsed();
        // What it listens on has no meaning before it had time to begin.
        if !settled && elapsed >= health.settle.min(patience) {
            settled = true;
            let details = engine.inspect(id).await?.ok_or_else(gone)?;
            look_at_listeners(&details, id, name, port, events)?;
        }
        if elapsed >= patience {
            return match &health.http {
                None => {
                    let details = engine.inspect(id).await?.ok_or_else(gone)?;
                    Ok(Proof { how: format!("up for {:.1}s", elapsed.as_secs_f64()), details })
                }
                Some(path) => Err(Failure::new(
                    Code::Unhealthy,
                    format!("`GET {path}` on port {port} of `{name}` did not answer 2xx or 3xx within {:.0}s: {last}", patience.as_secs_f64()),
                )
                .hint("`--health-timeout` gives it more time, `--port` names another port")
                .detail(engine.last_lines(id, LAST_LINES).await)),
            };
        }
        sleep(pause.min(patience.saturating_sub(elapsed))).await;
        pause = (pause * 3 / 2).min(Duration::from_millis(50));
    }
}

async fn crashed(engine: &Engine, id: &str, name: &str, exit: Exit, after: Duration) -> Failure {
    let out_of_memory = match engine.inspect(id).await {
        Ok(Some(details)) => details.out_of_memory,
        _ => false,
    };
    let message = format!(
        "the program in `{name}` ended with exit code {} after {:.1}s",
        exit.code,
        after.as_secs_f64()
    );
    let lines = engine.last_lines(id, LAST_LINES).await;
    let says = |text: &str| lines.iter().any(|line| line.contains(text));
    let hint = if out_of_memory {
        "it ran out of memory: give the container, or the host, more of it"
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

/// Tells a program that nobody can reach from one that does not listen at all.
fn look_at_listeners(
    details: &Details,
    id: &str,
    name: &str,
    port: u16,
    events: &StageEmitter,
) -> Result<()> {
    let listeners = listeners(details, id).unwrap_or_default();
    let on_port = || listeners.iter().filter(|listener| listener.port() == port);
    if on_port().next().is_some()
        && on_port().all(|listener| listener.ip().is_loopback())
        && !details.host_network
    {
        let listener = on_port()
            .next()
            .map(SocketAddr::to_string)
            .unwrap_or_default();
        return Err(Failure::new(
            Code::ListensOnLocalhost,
            format!("the program in `{name}` listens on {listener}, where nobody outside its container reaches it"),
        )
        .hint(format!("let it listen on `:{port}`, or `0.0.0.0:{port}`, and deploy again")));
    }
    let elsewhere: Vec<u16> = listeners
        .iter()
        .filter(|listener| !listener.ip().is_loopback() && listener.port() != port)
        .map(SocketAddr::port)
        .collect();
    if let Some(other) = elsewhere.first()
        && on_port().next().is_none()
        && !details.host_network
    {
        events.warn(
            format!("the program in `{name}` listens on port {other}, not on {port}"),
            Some(format!("`--port {other}` checks that one")),
        );
    }
    Ok(())
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
