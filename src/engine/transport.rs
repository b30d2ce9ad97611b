//! Connections to an engine elsewhere, through TLS or through ssh.
//!
//! bollard's own TLS trusts this host's authorities beside the one that it is told, and its ssh puts
//! the port into the host's name. Connections are kept and used again, as each costs round trips.

use std::error::Error as StdError;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bollard::errors::Error;
use bollard::{API_DEFAULT_VERSION, BollardRequest, Docker};
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::Response;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{HOST, HeaderValue};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::endpoint::{Endpoint, Files, Target, Way};
use super::ssh::{Ssh, Words};
use crate::failure::{Code, Failure, Result};

/// How long a host may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(30);

/// How long a connection waits for its next request: what lies between the hosts may forget about it.
const IDLE: Duration = Duration::from_secs(30);

type Body = UnsyncBoxBody<Bytes, Box<dyn StdError + Send + Sync>>;

/// A client of the engine at an endpoint that bollard cannot reach by itself.
///
/// # Errors
/// `usage`, where a certificate or key cannot be used.
pub(super) fn connect(endpoint: &Endpoint) -> Result<Option<Docker>> {
    let dial = match &endpoint.way {
        Way::Plain => return Ok(None),
        Way::Tls { host, port, files } => Dial::tls(host, *port, files)?,
        Way::Ssh(target) => Dial::ssh(target),
    };
    let transport = Transport {
        dial: Arc::new(dial),
        idle: Arc::default(),
    };
    let call = move |request| {
        let transport = transport.clone();
        async move { transport.call(request).await }
    };
    let patience = super::PATIENCE.as_secs();
    Docker::connect_with_custom_transport(
        call,
        Some("http://engine"),
        patience,
        API_DEFAULT_VERSION,
    )
    .map(Some)
    .map_err(|error| super::error::failure(&endpoint.address, "reach the engine", error))
}

#[derive(Clone)]
struct Transport {
    dial: Arc<Dial>,
    /// Connections that wait for their next request.
    idle: Arc<Mutex<Vec<Link>>>,
}

/// A connection that takes requests one after the other.
struct Link {
    sender: SendRequest<Body>,
    /// What the program has to say through which it goes.
    words: Option<Words>,
    /// When it was used last.
    used: Instant,
}

enum Dial {
    Tls {
        host: String,
        port: u16,
        name: ServerName<'static>,
        config: Arc<ClientConfig>,
    },
    Ssh(Ssh),
}

impl Transport {
    async fn call(&self, request: BollardRequest) -> Result<Response<Incoming>, Error> {
        let (mut parts, body) = request.into_parts();
        // HTTP/1.1 names the host in a header, and the path alone in its first line.
        let path = parts.uri.path_and_query().cloned();
        parts.uri = path.map_or_else(hyper::Uri::default, hyper::Uri::from);
        parts
            .headers
            .insert(HOST, HeaderValue::from_static("engine"));
        let request = hyper::Request::from_parts(parts, body.boxed_unsync());

        let mut link = match self.idle() {
            Some(link) => link,
            None => self.dial.open().await?,
        };
        match link.sender.send_request(request).await {
            Ok(response) => {
                self.keep(link);
                Ok(response)
            }
            Err(error) => match link.words {
                // It knows better why the connection has ended.
                Some(words) => Err(wrapped(words.failure().await)),
                None => Err(error.into()),
            },
        }
    }

    fn idle(&self) -> Option<Link> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|link| !link.sender.is_closed() && link.used.elapsed() < IDLE);
        let ready = idle.iter().position(|link| link.sender.is_ready())?;
        Some(idle.swap_remove(ready))
    }

    /// Keeps a connection once the answer has been read to its end; one whose answer is not is dropped.
    fn keep(&self, mut link: Link) {
        let idle = Arc::downgrade(&self.idle);
        tokio::spawn(async move {
            if link.sender.ready().await.is_ok()
                && let Some(idle) = idle.upgrade()
            {
                link.used = Instant::now();
                idle.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(link);
            }
        });
    }
}

impl Dial {
    fn tls(host: &str, port: u16, files: &Files) -> Result<Dial> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| super::endpoint::unknown_kind(&format!("tcp://{host}:{port}")))?;
        Ok(Dial::Tls {
            host: host.to_owned(),
            port,
            name,
            config: Arc::new(config(files)?),
        })
    }

    fn ssh(target: &Target) -> Dial {
        Dial::Ssh(Ssh::new(target))
    }

    async fn open(&self) -> Result<Link, Error> {
        match self {
            Dial::Tls {
                host,
                port,
                name,
                config,
            } => {
                let dialled = async {
                    let stream = TcpStream::connect((host.as_str(), *port)).await?;
                    stream.set_nodelay(true)?;
                    let connector = TlsConnector::from(Arc::clone(config));
                    connector.connect(name.clone(), stream).await
                };
                let stream = timeout(CONNECT, dialled)
                    .await
                    .map_err(|_| Error::RequestTimeoutError)??;
                link(stream, None).await
            }
            Dial::Ssh(ssh) => {
                let (pipe, words) = ssh.open().await.map_err(wrapped)?;
                link(pipe, Some(words)).await
            }
        }
    }
}

/// Lets HTTP/1.1 be spoken on the stream, which ends with the link.
async fn link(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    words: Option<Words>,
) -> Result<Link, Error> {
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection.with_upgrades());
    Ok(Link {
        sender,
        words,
        used: Instant::now(),
    })
}

/// A failure on its way through bollard; [`super::error`] takes it out again.
fn wrapped(failure: Failure) -> Error {
    io::Error::other(failure).into()
}

fn config(files: &Files) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    match &files.authority {
        Some(path) => {
            for certificate in certificates(path)? {
                roots
                    .add(certificate)
                    .map_err(|error| bad_file(path, error))?;
            }
        }
        None => {
            let native = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(native.certs);
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(anyhow::Error::from)?
        .with_root_certificates(roots);
    match &files.own {
        None => Ok(builder.with_no_client_auth()),
        Some((certificate, key)) => {
            let chain = certificates(certificate)?;
            let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| bad_file(key, error))?;
            builder
                .with_client_auth_cert(chain, secret)
                .map_err(|error| bad_file(key, error))
        }
    }
}

fn certificates(path: &std::path::Path) -> Result<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let found: Vec<_> = read.map_err(|error| bad_file(path, error))?;
    if found.is_empty() {
        return Err(bad_file(
            path,
            anyhow::anyhow!("there is no certificate in it"),
        ));
    }
    Ok(found)
}

fn bad_file(path: &std::path::Path, error: impl Into<anyhow::Error>) -> Failure {
    let message = format!("could not use `{}` for the engine", path.display());
    Failure::new(Code::Usage, message)
        .hint("DOCKER_CERT_PATH names the directory with ca.pem, cert.pem and key.pem")
        .source(error)
}
