//! Does a container's program run, and answer?
//!
//! It is asked at the container's own address: a connection to a published port succeeds even when
//! nothing listens, as the engine's own proxy takes it. Where the container is not on this host, what
//! listens is looked up inside the container, and a path is asked for through the published port, else
//! inside.

mod inside;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::Empty;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use procfs::process::Process;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::engine::{Details, Engine, Exit, Place, Watch};
use crate::event::StageEmitter;
use crate::failure::{Code, Failure, Result};
use crate::interrupt::Interrupt;
use crate::plan::{Health, Publish};
use crate::shell::quoted;
use inside::Inside;

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
    /// Its program as go has built it, on this host.
    pub program: PathBuf,
    /// The port that its program should listen on.
    pub port: u16,
    /// What leads to that port from the engine's host, now or, for a canary, once the release serves: the
    /// port must answer then.
    pub published: Option<Publish>,
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
/// With a health path: it answers 2xx or 3xx. Else the port takes a connection; where it is not published,
/// it is enough that the program has stayed up for the time to settle.
///
/// # Errors
/// `crashed` as soon as its process ends, `unhealthy`, `listens_on_localhost`, or the interruption.
pub async fn prove(
    engine: &Engine,
    candidate: &mut Candidate,
    interrupt: Option<&Interrupt>,
    events: Option<&StageEmitter>,
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
        program,
        port,
        published,
        health,
        watch,
    } = candidate;
    let container = Asked {
        engine,
        id,
        name,
        program,
        port: *port,
        published: published.as_ref(),
        events,
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
    program: &'a Path,
    port: u16,
    published: Option<&'a Publish>,
    events: Option<&'a StageEmitter>,
}

/// How a program is asked.
enum Way {
    /// At its container's own address.
    Address(String),
    /// From another host: inside, at the container's `own` address, and at a port of the engine's host if
    /// one is published.
    Elsewhere {
        own: String,
        published: Option<String>,
    },
    /// Its container has no address.
    None,
}

/// Why there is no proof yet.
enum Not {
    Answering(String),
    /// Neither a published port nor a program in the image tells.
    Known,
}

impl Asked<'_> {
    async fn answers(&self, health: &Health) -> Result<Proof> {
        let since = Instant::now();
        let details = self.details().await?;
        let way = self.way(&details).await?;
        if matches!(way, Way::None) && health.http.is_some() {
            return Err(self.no_address());
        }
        let has_way = !matches!(way, Way::None) && !details.host_network;
        let published = self.published.filter(|_| has_way);
        let patience = if health.http.is_some() || published.is_some() {
            health.timeout
        } else {
            health.settle
        };
        let mut remark: Option<Remark> = None;
        loop {
            let why = match self.ask(&way, health.http.as_deref()).await {
                Ok(how) => {
                    return Ok(Proof {
                        how,
                        remark: None,
                        details,
                    });
                }
                Err(Not::Answering(why)) => Some(why),
                Err(Not::Known) => None,
            };
            let patience = if why.is_some() {
                patience
            } else {
                health.settle
            };
            let elapsed = since.elapsed();
            // What it listens on has no meaning before it had time to begin.
            let is_over = elapsed >= patience;
            let is_news = remark.is_none() && elapsed >= health.settle;
            if why.is_some() && (is_over || is_news) {
                remark = self.look_at_listeners(&way).await?;
                if let (Some(events), Some(remark), false) = (self.events, &remark, is_over) {
                    events.note(&remark.line);
                }
            }
            if is_over {
                return match (&health.http, why) {
                    (Some(path), Some(why)) => {
                        Err(self.unhealthy(path, &why, patience, remark).await)
                    }
                    (None, Some(why)) if let Some(published) = published => {
                        Err(self.unreached(published, &why, patience, remark).await)
                    }
                    (None, Some(_)) => self.settled(&details, elapsed, "", remark).await,
                    (path, None) => {
                        let blind = "; nothing tells from here whether it listens";
                        let remark = path.as_deref().map(unasked).or(remark);
                        self.settled(&details, elapsed, blind, remark).await
                    }
                };
            }
            let pause = (elapsed / 20).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
            sleep(pause.min(patience.saturating_sub(elapsed))).await;
        }
    }

    /// It has stayed up since `before`. The engine's events should have told if it has not, and an
    /// engine may keep none.
    async fn settled(
        &self,
        before: &Details,
        elapsed: Duration,
        qualified: &str,
        remark: Option<Remark>,
    ) -> Result<Proof> {
        let details = self.details().await?;
        if !details.running || details.restarts > before.restarts {
            let exit = Exit {
                code: details.exit_code,
                at: details.finished_at.parse().ok(),
            };
            return Err(self.crashed(exit, elapsed).await);
        }
        Ok(Proof {
            how: format!("up for {:.1}s{qualified}", elapsed.as_secs_f64()),
            remark,
            details,
        })
    }

    async fn way(&self, details: &Details) -> Result<Way> {
        let is_here = match self.engine.place().await? {
            Place::Here => true,
            Place::Perhaps => first_process(details, self.id).is_some(),
            Place::Elsewhere => false,
        };
        if is_here {
            let ip = if details.host_network {
                Some(IpAddr::from([127, 0, 0, 1]))
            } else {
                details.address
            };
            return Ok(ip.map_or(Way::None, |ip| {
                Way::Address(SocketAddr::new(ip, self.port).to_string())
            }));
        }
        let host = self.engine.host();
        let at = |host: &str, port| {
            if host.contains(':') {
                format!("[{host}]:{port}")
            } else {
                format!("{host}:{port}")
            }
        };
        // Who listens on localhost only is not reached at the container's own address inside, either.
        let own = details.address.map(|ip| ip.to_string());
        let own = at(own.as_deref().unwrap_or("127.0.0.1"), self.port);
        if details.host_network {
            let published = Some(at(&host, self.port));
            return Ok(Way::Elsewhere { own, published });
        }
        let mut bindings = details.bindings.iter();
        let binding = bindings.find(|binding| {
            binding.port == self.port
                && binding.protocol == "tcp"
                // Of the engine's host: it is reached from here only if that is this host.
                && (host.starts_with("127.") || !binding.ip.is_some_and(|ip| ip.is_loopback()))
        });
        let published = binding.map(|binding| match binding.ip {
            Some(ip) if !ip.is_unspecified() => at(&ip.to_string(), binding.host),
            _ => at(&host, binding.host),
        });
        Ok(Way::Elsewhere { own, published })
    }

    fn inside(&self) -> Inside<'_> {
        Inside {
            engine: self.engine,
            id: self.id,
        }
    }

    /// How the program answered, or why it did not.
    async fn ask(&self, way: &Way, path: Option<&str>) -> Result<String, Not> {
        let answering = |answer: Result<u16, String>, path| match answer {
            Ok(status @ 200..400) => Ok(format!("GET {path} {status}")),
            Ok(status) => Err(Not::Answering(format!("it answers {status}"))),
            Err(why) => Err(Not::Answering(why)),
        };
        match (way, path) {
            (Way::None, _) => Err(Not::Answering("it has no address".to_owned())),
            (Way::Address(address), None) => match connect(address).await {
                Ok(_) => Ok(format!("port {} answers", self.port)),
                Err(why) => Err(Not::Answering(why)),
            },
            (Way::Address(address), Some(path)) => {
                let answer = match connect(address).await {
                    Ok(stream) => get(stream, address, path).await,
                    Err(why) => Err(why),
                };
                answering(answer, path)
            }
            (Way::Elsewhere { .. }, None) => match self.inside().listeners().await {
                Some(Ok(listeners)) if listeners.iter().any(|l| self.is_reached_at(l)) => {
                    Ok(format!("port {} listens", self.port))
                }
                Some(Ok(_)) => Err(Not::Answering("nothing listens there".to_owned())),
                Some(Err(why)) => Err(Not::Answering(why)),
                None => Err(Not::Known),
            },
            (Way::Elsewhere { own, published }, Some(path)) => {
                let refused = match published {
                    Some(address) => match connect(address).await {
                        Ok(stream) => return answering(get(stream, address, path).await, path),
                        Err(why) => Some(format!("{address}: {why}")),
                    },
                    None => None,
                };
                match (self.inside().get(own, path).await, refused) {
                    (Some(answer), _) => answering(answer, path),
                    (None, Some(refused)) => Err(Not::Answering(refused)),
                    (None, None) => Err(Not::Known),
                }
            }
        }
    }

    fn is_reached_at(&self, listener: &SocketAddr) -> bool {
        listener.port() == self.port && !listener.ip().is_loopback()
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

    /// What the engine's host publishes would lead nowhere.
    async fn unreached(
        &self,
        published: &Publish,
        why: &str,
        patience: Duration,
        remark: Option<Remark>,
    ) -> Failure {
        let (name, port) = (self.name, self.port);
        let (message, hint) = match remark {
            Some(Remark { line, hint }) => (
                format!("in `{name}` {line}, which `-p {published}` publishes"),
                hint,
            ),
            None => (
                format!(
                    "port {port} of `{name}`, which `-p {published}` publishes, took no connection within {:.0}s: {why}",
                    patience.as_secs_f64(),
                ),
                "`--health-timeout` gives it more time, `--port` names another port; a program that listens on \
                 nothing needs no `-p`"
                    .to_owned(),
            ),
        };
        Failure::new(Code::Unhealthy, message)
            .hint(hint)
            .detail(self.engine.last_lines(self.id, LAST_LINES, None).await)
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
        } else if says("no such file or directory") && exit.code == 1 && is_of_runc(&lines) {
            "it is linked against a loader that the image lacks: `--image` names one that has it"
        } else if lines.is_empty() {
            &format!(
                "it printed nothing; `{}` runs it by hand",
                quoted(self.program)
            )
        } else {
            "what it printed last is above; fix that, or its settings (`-e`, `--env-file`), and deploy again"
        };
        Failure::new(Code::Crashed, message)
            .hint(hint)
            .detail(lines)
    }

    /// Tells a program that nobody can reach from one that does not listen at all.
    async fn look_at_listeners(&self, way: &Way) -> Result<Option<Remark>> {
        let details = self.details().await?;
        if details.host_network {
            return Ok(None);
        }
        let listeners = match way {
            Way::Elsewhere { .. } => {
                let inside = self.inside().listeners().await;
                inside.and_then(Result::ok).unwrap_or_default()
            }
            Way::Address(_) | Way::None => listeners(&details, self.id).unwrap_or_default(),
        };
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
        Ok(other.map(|other| {
            let (port, expected) = (other.port(), self.port);
            let line = format!("the program listens on port {port}, not on {expected}");
            let hint = match self.published {
                Some(published) => {
                    let published = Publish {
                        port,
                        ..published.clone()
                    };
                    format!(
                        "`--port {port} -p {published}` leads there; or let it listen on `:{expected}`"
                    )
                }
                None => format!("`--port {port}` checks that one"),
            };
            Remark { line, hint }
        }))
    }
}

/// Whether these are what runc prints in the program's place where the kernel does not start it, and not what
/// a program says of a file that it lacks: `exec /src/app: no such file or directory`, and before 1.1
/// `standard_init_linux.go:228: exec user process caused: ...`.
fn is_of_runc(lines: &[String]) -> bool {
    let [line] = lines else {
        return false;
    };
    line.starts_with("exec /") || line.starts_with("standard_init_linux.go:")
}

/// The remark on a program that could not be asked for a path.
fn unasked(path: &str) -> Remark {
    Remark {
        line: format!(
            "`GET {path}` could not be asked for: the engine is elsewhere, the port is not published, and \
             the image has no wget"
        ),
        hint: "`-p` publishes the port; `--image` names an image with wget, such as `alpine:3.20`"
            .to_owned(),
    }
}

async fn connect(address: &str) -> Result<TcpStream, String> {
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
async fn get(stream: TcpStream, address: &str, path: &str) -> Result<u16, String> {
    let ask = async {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| error.to_string())?;
        let request = hyper::Request::get(path)
            .header(hyper::header::HOST, address)
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

/// The container's first process, where this host sees it.
fn first_process(details: &Details, id: &str) -> Option<Process> {
    let process = Process::new(i32::try_from(details.pid?).ok()?).ok()?;
    // The engine's number may mean another process here, as when sdp runs in a container itself.
    let cgroups = process.cgroups().ok()?;
    let is_its = cgroups.0.iter().any(|group| group.pathname.contains(id));
    is_its.then_some(process)
}

/// What the container's processes listen on; `None` where this host cannot tell.
fn listeners(details: &Details, id: &str) -> Option<Vec<SocketAddr>> {
    let process = first_process(details, id)?;
    let entries = process.tcp().into_iter().chain(process.tcp6());
    Some(inside::addresses(entries.flatten()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_lacks_a_file_is_not_one_that_was_not_started() {
        for line in [
            "exec /src/app-shop: no such file or directory",
            "standard_init_linux.go:228: exec user process caused: no such file or directory",
        ] {
            assert!(is_of_runc(&[line.to_owned()]), "{line}");
        }
        for line in [
            "2026/11/24 06:15:00 open config.yaml: no such file or directory",
            "open config.yaml: no such file or directory",
            "exec: \"migrate\": executable file not found in $PATH",
            "exec migrations: open 1.sql: no such file or directory",
            "fork/exec ./migrate: no such file or directory",
        ] {
            assert!(!is_of_runc(&[line.to_owned()]), "{line}");
        }
    }
}
