//! An origin over HTTP: `git http-backend` behind a server of the tests' own.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::host::Environment;
use super::http::Request;
use super::serve::Port;
use super::tls::Authority;
use super::{Origin, PATIENCE};

/// Who gets in, and how.
#[derive(Clone, Copy, Default)]
pub struct Access<'a> {
    /// User and password; anybody without.
    pub login: Option<(&'a str, &'a str)>,
    /// https with a certificate of this authority's; http without.
    pub authority: Option<&'a Authority>,
}

/// What becomes of the requests to come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Answered with this status.
    Status(u16),
    /// Sent to the same path at another place, such as `https://host:port`.
    Redirect(String),
    /// Those that bring a password are not answered before [`GitHttp::mend`].
    Hold,
    /// An answer with a pack stops after this many bytes of it, until [`GitHttp::mend`].
    StallInPack(usize),
}

pub struct GitHttp {
    // Dropped in this order: those who wait are let go, then their connections are closed.
    watch: Arc<Watch>,
    port: Port,
    scheme: &'static str,
    name: String,
}

impl GitHttp {
    pub(super) fn new(origin: &Origin, access: Access<'_>) -> GitHttp {
        let watch = Arc::new(Watch::default());
        let site = Site {
            environment: origin.environment().clone(),
            root: origin.root().to_owned(),
            login: access.login.map(|(user, pass)| format!("{user}:{pass}")),
            watch: Arc::clone(&watch),
        };
        let tls = access.authority.map(Authority::server);
        let scheme = if tls.is_some() { "https" } else { "http" };
        // A client that goes away has its reasons.
        let port = Port::new(move |stream| drop(site.serve(stream, tls.clone())));
        GitHttp {
            watch,
            port,
            scheme,
            name: origin.name(),
        }
    }

    /// Scheme, host and port.
    pub fn base(&self) -> String {
        format!("{}://{}", self.scheme, self.authority())
    }

    /// Host and port.
    pub fn authority(&self) -> String {
        self.port.address().to_string()
    }

    pub fn url(&self) -> String {
        format!("{}/{}", self.base(), self.name)
    }

    /// The URL with a user, or with `user:password`.
    pub fn url_as(&self, login: &str) -> String {
        format!(
            "{}://{login}@{}/{}",
            self.scheme,
            self.authority(),
            self.name
        )
    }

    /// The URL of a repository that is not there.
    pub fn nowhere(&self) -> String {
        format!("{}/nowhere.git", self.base())
    }

    /// What came with each request so far: `user:password`, or nothing.
    pub fn logins(&self) -> Vec<Option<String>> {
        self.watch.state.lock().unwrap().logins.clone()
    }

    pub fn break_with(&self, fault: Fault) {
        self.watch.state.lock().unwrap().fault = Some(fault);
    }

    /// From now on all is well; who waited is answered.
    pub fn mend(&self) {
        self.watch.mend();
    }

    /// Waits until a request is held, or stalled.
    pub fn wait_until_it_waits(&self) {
        let state = self.watch.state.lock().unwrap();
        let waited = self
            .watch
            .changed
            .wait_timeout_while(state, PATIENCE, |state| state.waiting == 0);
        assert!(!waited.unwrap().1.timed_out(), "nobody waits");
    }
}

impl Drop for GitHttp {
    fn drop(&mut self) {
        self.watch.mend();
    }
}

#[derive(Default)]
struct Watch {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    logins: Vec<Option<String>>,
    fault: Option<Fault>,
    waiting: usize,
}

impl Watch {
    fn mend(&self) {
        self.state.lock().unwrap().fault = None;
        self.changed.notify_all();
    }

    fn wait_until_mended(&self) {
        let mut state = self.state.lock().unwrap();
        state.waiting += 1;
        self.changed.notify_all();
        let mended = self
            .changed
            .wait_while(state, |state| state.fault.is_some());
        mended.unwrap().waiting -= 1;
    }
}

struct Site {
    environment: Environment,
    /// The folder that the bare repository is in.
    root: PathBuf,
    login: Option<String>,
    watch: Arc<Watch>,
}

impl Site {
    fn serve(&self, stream: TcpStream, tls: Option<Arc<ServerConfig>>) -> io::Result<()> {
        match tls {
            None => self.converse(stream),
            Some(config) => {
                let session = ServerConnection::new(config).map_err(io::Error::other)?;
                self.converse(StreamOwned::new(session, stream))
            }
        }
    }

    fn converse(&self, stream: impl Read + Write) -> io::Result<()> {
        let mut stream = BufReader::new(stream);
        while let Some(request) = Request::read(&mut stream)? {
            let closes = request
                .header("Connection")
                .is_some_and(|value| value.eq_ignore_ascii_case("close"));
            self.answer(&request, stream.get_mut())?;
            if closes {
                break;
            }
        }
        Ok(())
    }

    fn answer(&self, request: &Request, to: &mut impl Write) -> io::Result<()> {
        let login = request
            .header("Authorization")
            .and_then(|value| {
                let (scheme, login) = value.split_once(' ')?;
                let is_basic = scheme.eq_ignore_ascii_case("basic");
                BASE64.decode(login).ok().filter(|_| is_basic)
            })
            .map(|login| String::from_utf8_lossy(&login).into_owned());
        let fault = {
            let mut state = self.watch.state.lock().unwrap();
            state.logins.push(login.clone());
            state.fault.clone()
        };
        match &fault {
            Some(Fault::Status(status)) => return respond(to, &status.to_string(), &[], b""),
            Some(Fault::Redirect(base)) => {
                let place = format!("Location: {base}{}", request.target);
                return respond(to, "302 Found", &[place], b"");
            }
            Some(Fault::Hold) if login.is_some() => self.watch.wait_until_mended(),
            _ => {}
        }
        if self.login.is_some() && self.login != login {
            let wanted = "WWW-Authenticate: Basic realm=\"git\"".to_owned();
            return respond(to, "401 Unauthorized", &[wanted], b"");
        }
        let (status, headers, body) = self.ask_git(request)?;
        let pack = body.windows(4).position(|part| part == b"PACK");
        match (fault, pack) {
            (Some(Fault::StallInPack(after)), Some(pack)) => {
                let (first, rest) = body.split_at(body.len().min(pack + after));
                head(to, &status, &headers, body.len())?;
                to.write_all(first)?;
                to.flush()?;
                self.watch.wait_until_mended();
                to.write_all(rest)?;
                to.flush()
            }
            _ => respond(to, &status, &headers, &body),
        }
    }

    /// Status, headers and body, from the CGI program that git brings for this.
    fn ask_git(&self, request: &Request) -> io::Result<(String, Vec<String>, Vec<u8>)> {
        let target = &request.target;
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut git: Command = self.environment.server("git", &self.root);
        git.arg("http-backend")
            .env("GIT_PROJECT_ROOT", &self.root)
            .env("GIT_HTTP_EXPORT_ALL", "1")
            .env("REQUEST_METHOD", &request.method)
            .env("PATH_INFO", path)
            .env("QUERY_STRING", query)
            .env("CONTENT_LENGTH", request.body.len().to_string());
        for (variable, header) in [
            ("CONTENT_TYPE", "Content-Type"),
            ("HTTP_CONTENT_ENCODING", "Content-Encoding"),
            ("HTTP_GIT_PROTOCOL", "Git-Protocol"),
        ] {
            if let Some(value) = request.header(header) {
                git.env(variable, value);
            }
        }
        let mut child = git
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut input = child.stdin.take().expect("a pipe");
        input.write_all(&request.body).ok();
        drop(input);
        let mut output = child.wait_with_output()?.stdout;
        let mut reader = output.as_slice();
        let (mut status, mut headers) = ("200 OK".to_owned(), Vec::new());
        let mut line = String::new();
        while reader.read_line(&mut line)? > 0 && !line.trim().is_empty() {
            match line.trim().strip_prefix("Status: ") {
                Some(given) => given.clone_into(&mut status),
                None => headers.push(line.trim().to_owned()),
            }
            line.clear();
        }
        let body = output.split_off(output.len() - reader.len());
        Ok((status, headers, body))
    }
}

fn respond(to: &mut impl Write, status: &str, headers: &[String], body: &[u8]) -> io::Result<()> {
    head(to, status, headers, body.len())?;
    to.write_all(body)?;
    to.flush()
}

fn head(to: &mut impl Write, status: &str, headers: &[String], length: usize) -> io::Result<()> {
    write!(to, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\n")?;
    for header in headers {
        write!(to, "{header}\r\n")?;
    }
    to.write_all(b"\r\n")
}
