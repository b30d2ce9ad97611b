//! A proxy on a unix socket in front of the real engine, which does to one call what a test wants.
//!
//! sdp opens a connection for each call, so a connection is one request and its reply.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use super::eventually;

/// What becomes of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection is cut before the engine hears of the call.
    CutBefore,
    /// The engine does what it is asked, and the connection is cut before its reply.
    CutAfter,
    /// From this call on the engine hears nothing: it is gone.
    Gone,
    /// The engine hears nothing, and no reply comes.
    Silent,
    /// The engine does what it is asked, and no reply comes.
    SilentAfter,
    /// The reply comes to a standstill after its first bytes.
    Standstill,
    /// The reply is status 500, and the engine hears nothing.
    Error,
}

/// A call by its kind, such as `create`, and how many of the kind came before it.
pub type Call = (&'static str, usize);

#[derive(Debug, Default)]
struct State {
    calls: Vec<Call>,
    /// What the calls were asked with, of those by kind that were.
    queries: Vec<(&'static str, String)>,
    fault: Option<(Call, Fault)>,
    gone: bool,
    /// Words that are put into all answers of a kind, in place of the engine's.
    pretences: Vec<Pretence>,
    /// It passes for a rootless one.
    is_rootless: bool,
    struck: bool,
    /// Connections that are kept open without a word.
    held: Vec<UnixStream>,
}

/// A kind of call, a key of its answer, and the word to put there.
type Pretence = (&'static str, &'static str, String);

pub struct Proxy {
    state: Arc<Mutex<State>>,
    address: String,
}

impl Proxy {
    /// Listens at a path, with nothing to do but pass everything on.
    pub fn new(path: &Path) -> Proxy {
        let listener = UnixListener::bind(path).expect("listen on a unix socket");
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || serve(client, &shared).ok());
            }
        });
        Proxy {
            state,
            address: format!("unix://{}", path.display()),
        }
    }

    /// For `DOCKER_HOST`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Forgets the calls so far, and does this to one of those to come.
    pub fn arm(&self, call: Call, fault: Fault) {
        *self.state.lock().unwrap() = State {
            fault: Some((call, fault)),
            ..State::default()
        };
    }

    /// Lets the engine pass for one on a machine of this architecture, in Go's terms, with images for it.
    pub fn pretend(&self, arch: &'static str) {
        self.state.lock().unwrap().pretences = vec![
            ("version", "Arch", arch.to_owned()),
            ("image", "Architecture", arch.to_owned()),
        ];
    }

    /// Puts a word into all answers of a kind.
    pub fn alter(&self, kind: &'static str, key: &'static str, word: &str) {
        self.state.lock().unwrap().pretences = vec![(kind, key, word.to_owned())];
    }

    /// Lets the engine pass for one with this API.
    pub fn pretend_api(&self, api: &'static str) {
        self.alter("version", "ApiVersion", api);
    }

    /// Lets the engine pass for a rootless one, whose socket is a user's.
    pub fn pretend_rootless(&self) {
        let path = self.address.strip_prefix("unix://").expect("a socket");
        std::os::unix::fs::chown(path, Some(65534), None).expect("give the socket away");
        self.state.lock().unwrap().is_rootless = true;
    }

    /// The calls since it was last armed, in the order in which they came.
    pub fn calls(&self) -> Vec<Call> {
        self.state.lock().unwrap().calls.clone()
    }

    /// What the calls of a kind were asked with, such as `t=10`.
    pub fn queries(&self, kind: &str) -> Vec<String> {
        let state = self.state.lock().unwrap();
        let of_kind = state.queries.iter().filter(|(of, _)| *of == kind);
        of_kind.map(|(_, query)| query.clone()).collect()
    }

    /// Whether the call came that it was armed for.
    pub fn has_struck(&self) -> bool {
        self.state.lock().unwrap().struck
    }

    pub fn wait_until_struck(&self) {
        eventually("the call is made", || self.has_struck().then_some(()));
    }
}

/// Decides what becomes of the next call.
fn decide(state: &Mutex<State>, kind: &'static str) -> Option<Fault> {
    let mut state = state.lock().unwrap();
    let before = state.calls.iter().filter(|(of, _)| *of == kind).count();
    let call = (kind, before);
    state.calls.push(call);
    if state.gone {
        return Some(Fault::Gone);
    }
    let (at, fault) = state.fault?;
    if at != call {
        return None;
    }
    state.struck = true;
    state.gone = fault == Fault::Gone;
    Some(fault)
}

fn serve(mut client: UnixStream, state: &Mutex<State>) -> io::Result<()> {
    let (head, rest) = read_head(&mut client)?;
    let mut request = head.clone().into_bytes();
    request.extend(rest);
    if let Some((_, query)) = head
        .split("\r\n")
        .next()
        .and_then(|line| line.split_once('?'))
    {
        let query = query.split(' ').next().unwrap_or_default().to_owned();
        state.lock().unwrap().queries.push((kind(&head), query));
    }
    let fault = decide(state, kind(&head));
    match fault {
        Some(Fault::CutBefore | Fault::Gone) => return Ok(()),
        Some(Fault::Silent) => {
            state.lock().unwrap().held.push(client);
            return Ok(());
        }
        Some(Fault::Error) => {
            let body = r#"{"message":"out of order"}"#;
            return reply(&mut client, "500 Internal Server Error", body);
        }
        Some(Fault::CutAfter | Fault::SilentAfter | Fault::Standstill) | None => {}
    }
    let mut pretences = state.lock().unwrap().pretences.clone();
    pretences.retain(|(of, _, _)| *of == kind(&head));
    if kind(&head) == "info" && state.lock().unwrap().is_rootless {
        return reply(
            &mut client,
            "200 OK",
            r#"{"SecurityOptions":["name=rootless"]}"#,
        );
    }
    let mut engine = UnixStream::connect(engine_socket())?;
    if !pretences.is_empty() {
        // An answer to HTTP/1.0 comes in one piece.
        engine.write_all(head.replacen(" HTTP/1.1", " HTTP/1.0", 1).as_bytes())?;
        return answer_with(&mut engine, &mut client, &pretences);
    }
    engine.write_all(&request)?;
    let (mut from, mut to) = (client.try_clone()?, engine.try_clone()?);
    let upstream = std::thread::spawn(move || {
        io::copy(&mut from, &mut to).ok();
        to.shutdown(Shutdown::Write).ok();
    });
    if fault.is_some() {
        // The engine writes its reply when it has done what it was asked.
        let (head, rest) = read_head(&mut engine)?;
        if fault == Some(Fault::Standstill) {
            client.write_all(&[head.as_bytes(), &rest].concat())?;
        }
        if fault == Some(Fault::CutAfter) {
            client.shutdown(Shutdown::Both).ok();
        } else {
            state.lock().unwrap().held.push(client);
        }
        return Ok(());
    }
    io::copy(&mut engine, &mut client).ok();
    client.shutdown(Shutdown::Both).ok();
    engine.shutdown(Shutdown::Both).ok();
    upstream.join().ok();
    Ok(())
}

/// Passes on the engine's answer with other words in it.
fn answer_with(
    engine: &mut UnixStream,
    client: &mut UnixStream,
    pretences: &[Pretence],
) -> io::Result<()> {
    let (_, mut body) = read_head(engine)?;
    engine.read_to_end(&mut body)?;
    let mut answer: serde_json::Value = serde_json::from_slice(&body)?;
    for (_, key, word) in pretences {
        answer[key] = word.as_str().into();
    }
    reply(client, "200 OK", &answer.to_string())
}

fn reply(client: &mut UnixStream, status: &str, body: &str) -> io::Result<()> {
    write!(
        client,
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    )
}

/// The head of a message up to its empty line, and what came with it.
fn read_head(stream: &mut UnixStream) -> io::Result<(String, Vec<u8>)> {
    const END: &[u8] = b"\r\n\r\n";
    let mut read = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some(at) = read.windows(END.len()).position(|part| part == END) {
            let rest = read.split_off(at + END.len());
            return Ok((String::from_utf8_lossy(&read).into_owned(), rest));
        }
        match stream.read(&mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => read.extend_from_slice(&buffer[..count]),
        }
    }
}

/// What a request asks for, from its first line.
fn kind(head: &str) -> &'static str {
    let mut line = head.split([' ', '?']);
    let method = line.next().unwrap_or_default();
    let path = line.next().unwrap_or_default().trim_start_matches('/');
    let parts: Vec<&str> = path.split('/').collect();
    match (method, parts.as_slice()) {
        ("GET", ["version"]) => "version",
        ("GET", ["info"]) => "info",
        ("GET", ["events"]) => "events",
        ("POST", ["containers", _, "exec"] | ["exec", ..]) | ("GET", ["exec", ..]) => "exec",
        ("GET", ["images", ..]) => "image",
        ("GET", ["containers", "json"]) => "list",
        ("GET", ["containers", _, "json"]) => "inspect",
        ("GET", ["containers", _, "logs"]) => "logs",
        ("HEAD", ["containers", _, "archive"]) => "archive",
        ("PUT", ["containers", _, "archive"]) => "upload",
        ("GET", ["volumes"]) => "volumes",
        ("POST", ["volumes", "create"]) => "volume",
        ("DELETE", ["volumes", _]) => "remove volume",
        ("POST", ["containers", "create"]) => "create",
        ("POST", ["containers", _, "start"]) => "start",
        ("POST", ["containers", _, "stop"]) => "stop",
        ("POST", ["containers", _, "update"]) => "update",
        ("DELETE", ["containers", _]) => "remove",
        _ => panic!("a call that the proxy does not know: {head}"),
    }
}

fn engine_socket() -> String {
    match std::env::var("DOCKER_HOST") {
        Ok(host) if !host.is_empty() => host
            .strip_prefix("unix://")
            .expect("the proxy stands before a unix socket")
            .to_owned(),
        _ => "/var/run/docker.sock".to_owned(),
    }
}
