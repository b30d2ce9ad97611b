//! Which engine is meant, and how it is reached: the flag, docker's variables, docker's contexts.
//!
//! `-H` or `DOCKER_HOST` beats `DOCKER_CONTEXT`, which beats `host` in sdp.toml, and that `currentContext`
//! in docker's `config.json`; without any of them it is this host's own engine, as for docker itself
//! (docs.docker.com, "Docker contexts" and "Protect the Docker daemon socket").

use std::env;
use std::fs;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::failure::{Code, Failure, Result};
use crate::shell::quoted;

const DEFAULT: &str = "/var/run/docker.sock";

/// Docker's own name for the engine that no context describes.
const DEFAULT_CONTEXT: &str = "default";

/// An engine's address and what it takes to talk to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// For people, and for whoever needs it as it was given.
    pub address: String,
    pub way: Way,
}

/// How an engine is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// What bollard does by itself: a unix socket, or plain HTTP.
    Plain,
    /// HTTP through TLS.
    Tls {
        host: String,
        port: u16,
        files: Files,
    },
    /// Through `docker system dial-stdio` on the other host.
    Ssh(Target),
}

/// Who is trusted, and what sdp proves itself with; PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Files {
    /// `None`: whom this host trusts.
    pub authority: Option<PathBuf>,
    /// The certificate and its key.
    pub own: Option<(PathBuf, PathBuf)>,
}

/// What ssh is to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub user: Option<String>,
    /// Never looks like one of ssh's options.
    pub host: String,
    pub port: Option<u16>,
    /// The engine's socket on the other host; `None`: what docker there takes.
    pub socket: Option<String>,
}

/// `meta.json` of a context, as docker writes it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Meta {
    name: String,
    #[serde(default)]
    endpoints: Endpoints,
}

#[derive(Default, Deserialize)]
struct Endpoints {
    docker: Option<Described>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Described {
    #[serde(default)]
    host: String,
    #[serde(default, rename = "SkipTLSVerify")]
    skip_tls_verify: bool,
}

/// The part of docker's `config.json` that says which engine is meant.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Settings {
    #[serde(default)]
    current_context: String,
}

impl Endpoint {
    /// The engine that `host`, the flag's or variable's value, means, or without it docker's context.
    ///
    /// # Errors
    /// `usage`: an address of an unknown kind, a context that is not there, a file that cannot be read.
    pub fn find(host: Option<&str>) -> Result<Endpoint> {
        if let Some(host) = host.filter(|host| !host.is_empty()) {
            let is_tcp = ["tcp://", "https://"]
                .iter()
                .any(|kind| host.starts_with(kind));
            let tls = if is_tcp { variables_tls()? } else { None };
            return Endpoint::new(host, tls);
        }
        match variable("DOCKER_CONTEXT") {
            Some(name) => Endpoint::of_context(&name, "DOCKER_CONTEXT"),
            None => match directory().map(|directory| directory.join("config.json")) {
                Some(file) => {
                    Endpoint::of_context(&current_context(&file)?, &file.display().to_string())
                }
                None => Endpoint::new(&default_address(), None),
            },
        }
    }

    /// `source` is where the name stands.
    fn of_context(name: &str, source: &str) -> Result<Endpoint> {
        if name.is_empty() || name == DEFAULT_CONTEXT {
            return Endpoint::new(&default_address(), None);
        }
        let contexts = some_directory()?.join("contexts");
        let id = format!("{:x}", Sha256::digest(name));
        let path = contexts.join("meta").join(&id).join("meta.json");
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(unknown(name, source, &contexts));
            }
            Err(error) => return Err(unreadable(&path, error)),
        };
        let meta: Meta = serde_json::from_slice(&text).map_err(|error| unreadable(&path, error))?;
        let Some(docker) = meta.endpoints.docker else {
            let message = format!("docker's context `{name}` has no engine");
            let hint = format!(
                "`docker context inspect {}` shows what it says",
                quoted(name)
            );
            return Err(usage(message, hint));
        };
        if docker.skip_tls_verify {
            let message = format!(
                "docker's context `{name}` trusts any certificate, and the engine is told secrets"
            );
            return Err(usage(
                message,
                format!(
                    "`docker context update {} --docker {}` names whom to trust",
                    quoted(name),
                    quoted(format!("host={},ca=CA.PEM", docker.host))
                ),
            ));
        }
        let below = contexts.join("tls").join(&id).join("docker");
        let there = |name: &str| Some(below.join(name)).filter(|path| path.exists());
        let (authority, certificate, key) = (there("ca.pem"), there("cert.pem"), there("key.pem"));
        let tls = (authority.is_some() || certificate.is_some()).then(|| Files {
            authority,
            own: certificate.zip(key),
        });
        let host = if docker.host.is_empty() {
            default_address()
        } else {
            docker.host
        };
        Endpoint::new(&host, tls)
    }

    fn new(address: &str, tls: Option<Files>) -> Result<Endpoint> {
        let way = match (address.split_once("://"), tls) {
            (Some(("ssh", rest)), _) => Way::Ssh(Target::parse(rest).ok_or_else(|| {
                usage(
                    format!("`{}` is no address for ssh", crate::redact::url(address)),
                    "`-H ssh://USER@HOST:PORT`; a password belongs to ssh's agent, not into an address",
                )
            })?),
            (Some(("tcp" | "https", rest)), Some(files)) => {
                let (host, port) = host_and_port(rest).ok_or_else(|| unknown_kind(address))?;
                Way::Tls {
                    host,
                    port: port.unwrap_or(2376),
                    files,
                }
            }
            _ => Way::Plain,
        };
        Ok(Endpoint {
            address: address.to_owned(),
            way,
        })
    }

    /// The host on which the engine publishes ports, as far as the address tells.
    pub fn host(&self) -> String {
        match &self.way {
            Way::Tls { host, .. } => host.clone(),
            Way::Ssh(target) => target.host.clone(),
            Way::Plain => match self.address.split_once("://") {
                Some(("tcp" | "http", rest)) => {
                    host_and_port(rest).map_or_else(String::new, |(host, _)| host)
                }
                _ => "127.0.0.1".to_owned(),
            },
        }
    }

    /// Its socket, if that is what it listens on.
    pub fn socket(&self) -> Option<&Path> {
        self.address.strip_prefix("unix://").map(Path::new)
    }

    /// It listens on this host, or something here passes on what it is told.
    pub fn is_loopback(&self) -> bool {
        let host = self.host();
        !matches!(self.way, Way::Ssh(_))
            && (host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback()))
    }
}

impl Target {
    /// `[user@]host[:port][/socket]`, as docker reads it.
    fn parse(text: &str) -> Option<Target> {
        let (place, socket) = match text.find('/') {
            Some(slash) => text.split_at(slash),
            None => (text, ""),
        };
        let (user, place) = match place.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, place),
        };
        let (host, port) = host_and_port(place)?;
        let plain = |text: &str| !text.is_empty() && !text.starts_with('-');
        let good = plain(&host) && user.is_none_or(|user| plain(user) && !user.contains(':'));
        good.then(|| Target {
            user: user.map(str::to_owned),
            host,
            port,
            socket: Some(socket.to_owned()).filter(|socket| socket.len() > 1),
        })
    }
}

/// `HOST[:PORT]` before a path, with an IPv6 address in brackets.
fn host_and_port(text: &str) -> Option<(String, Option<u16>)> {
    let text = text.split('/').next()?;
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port.parse().ok()?)),
        _ => (text, None),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    (!host.is_empty()).then(|| (host.to_owned(), port))
}

/// This host's engine; a rootless one where there is no other.
fn default_address() -> String {
    let rootless = variable("XDG_RUNTIME_DIR").map(|dir| Path::new(&dir).join("docker.sock"));
    let socket = rootless
        .filter(|socket| socket.exists() && !Path::new(DEFAULT).exists())
        .unwrap_or_else(|| DEFAULT.into());
    format!("unix://{}", socket.display())
}

/// What docker's variables say of TLS.
fn variables_tls() -> Result<Option<Files>> {
    if variable("DOCKER_TLS_VERIFY").is_none() {
        return Ok(None);
    }
    let below = variable("DOCKER_CERT_PATH").map(PathBuf::from);
    let below = below.map_or_else(some_directory, Ok)?;
    let [authority, certificate, key] = ["ca.pem", "cert.pem", "key.pem"].map(|n| below.join(n));
    if !authority.exists() {
        return Err(usage(
            format!(
                "there is no `{}`, and DOCKER_TLS_VERIFY is set",
                authority.display()
            ),
            "set DOCKER_CERT_PATH to the directory with ca.pem, cert.pem and key.pem",
        ));
    }
    let own = (certificate.exists() || key.exists()).then_some((certificate, key));
    Ok(Some(Files {
        authority: Some(authority),
        own,
    }))
}

fn current_context(file: &Path) -> Result<String> {
    let text = match fs::read(file) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(String::new()),
        Err(error) => return Err(unreadable(file, error)),
    };
    let settings: Settings =
        serde_json::from_slice(&text).map_err(|error| unreadable(file, error))?;
    Ok(settings.current_context)
}

/// Docker's own directory. Without a home there is none: never one below the current directory, which
/// may be anybody's.
fn directory() -> Option<PathBuf> {
    let own = variable("DOCKER_CONFIG").map(PathBuf::from);
    own.or_else(|| Some(Path::new(&variable("HOME")?).join(".docker")))
}

fn some_directory() -> Result<PathBuf> {
    directory().ok_or_else(|| {
        usage(
            "there is no home directory with docker's files in it",
            "set HOME, or DOCKER_CONFIG",
        )
    })
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn unknown(name: &str, source: &str, contexts: &Path) -> Failure {
    let metas = fs::read_dir(contexts.join("meta")).into_iter().flatten();
    let mut names: Vec<String> = metas
        .flatten()
        .filter_map(|entry| fs::read(entry.path().join("meta.json")).ok())
        .filter_map(|text| serde_json::from_slice::<Meta>(&text).ok())
        .map(|meta| meta.name)
        .collect();
    names.push(DEFAULT_CONTEXT.to_owned());
    names.sort_by(|a, b| {
        let likeness = |other: &str| strsim::jaro_winkler(name, other);
        likeness(b).total_cmp(&likeness(a))
    });
    names.truncate(5);
    let message = format!("docker has no context `{name}`, which {source} names");
    usage(
        message,
        format!(
            "there is `{}`; `docker context ls` lists all",
            names.join("`, `")
        ),
    )
}

fn unreadable(path: &Path, error: impl Into<anyhow::Error>) -> Failure {
    usage(
        format!("could not read `{}`", path.display()),
        "`-H` or DOCKER_HOST names the engine without it",
    )
    .source(error)
}

/// What bollard does not know either.
pub(super) fn unknown_kind(address: &str) -> Failure {
    usage(
        format!("`{address}` is no engine's address that sdp knows"),
        "`-H unix:///var/run/docker.sock`, `-H tcp://HOST:PORT` or `-H ssh://USER@HOST`",
    )
}

fn usage(message: impl Into<String>, hint: impl Into<String>) -> Failure {
    Failure::new(Code::Usage, message).hint(hint)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_address_for_ssh_is_read_as_docker_reads_it() {
        let target = |text| {
            let target = Target::parse(text)?;
            Some((target.user, target.host, target.port, target.socket))
        };
        let ada = Some("ada".to_owned());
        let host = "host".to_owned();
        assert_eq!(target("host"), Some((None, host.clone(), None, None)));
        assert_eq!(
            target("ada@host:2222/run/docker.sock"),
            Some((ada, host, Some(2222), Some("/run/docker.sock".to_owned())))
        );
        assert_eq!(
            target("[fe80::1]:22/"),
            Some((None, "fe80::1".to_owned(), Some(22), None))
        );
        for bad in [
            "",
            "-oProxyCommand=x",
            "-l@host",
            "ada:secret@host",
            "host:x",
        ] {
            assert_eq!(Target::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn ports_are_published_on_the_engines_host() {
        let files = Files {
            authority: None,
            own: None,
        };
        let host = |address: &str| Endpoint::new(address, None).unwrap().host();
        assert_eq!(host("unix:///run/docker.sock"), "127.0.0.1");
        assert_eq!(host("tcp://10.0.0.7:2375"), "10.0.0.7");
        assert_eq!(host("ssh://ada@build:22"), "build");
        let tls = Endpoint::new("tcp://[::1]", Some(files)).unwrap();
        assert_eq!((tls.host().as_str(), tls.is_loopback()), ("::1", true));
        assert!(matches!(tls.way, Way::Tls { port: 2376, .. }));
    }
}
