//! The way to a remote: http, ssh and credentials, none of which ever asks on the terminal.

use std::any::Any;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Once};

use gix::bstr::{BStr, ByteSlice};
use gix::credentials::helper::Action;
use gix::credentials::protocol::Outcome;
use gix::error::{ResultExt, message};
use gix::protocol::transport::client::blocking_io::{Transport, connect, http, ssh};
use gix::remote::{Connection, Direction};
use gix::sec::identity::Account;

use super::ssh::quiet;
use crate::credentials::Credentials;

/// Connects to the fetch URL of `remote`. ssh's own words go to `ssh_words`.
pub fn connection<'a, 'repo>(
    remote: &'a gix::Remote<'repo>,
    own: &Credentials,
    ssh_words: &Path,
) -> gix::Result<Connection<'a, 'static, 'repo, Box<dyn Transport + Send>>> {
    let repo = remote.repo();
    let (mut url, version) = remote.sanitized_url_and_version(Direction::Fetch)?;
    let known = url.user().map(str::to_owned);
    if own.login(None).is_some() {
        // What was given for this run beats what stands in the configuration.
        url.set_password(None);
        url.set_user(None);
    }
    let is_http = matches!(url.scheme, gix::url::Scheme::Http | gix::url::Scheme::Https);
    let options = connect::Options {
        version,
        ssh: if url.scheme == gix::url::Scheme::Ssh {
            quiet(&repo.ssh_connect_options()?, own, ssh_words)
        } else {
            ssh::connect::Options::default()
        },
        trace: false,
    };
    let http_options = if is_http {
        http_options(repo, remote)?
    } else {
        None
    };
    let asked = credentials(repo.clone(), own.clone(), url.clone(), known);
    let connection = remote
        .to_connection_with_transport(connect::connect(url, options)?)
        .with_credentials(asked);
    Ok(match http_options {
        Some(options) => connection.with_transport_options(options),
        None => connection,
    })
}

/// The deployment's own credentials, for its remote and no other; else git's own sources, in git's
/// order, but for the last one: the question on the terminal.
fn credentials(
    repo: gix::Repository,
    own: Credentials,
    remote: gix::Url,
    known: Option<String>,
) -> impl FnMut(Action) -> gix::Result<Option<Outcome>> {
    let mut former = None;
    move |action| {
        if let Action::Get(context) = &action {
            let url = context.url.clone().or_else(|| context.to_url());
            let url = gix::url::parse(url.unwrap_or_default().as_bstr())?;
            // A redirect may have led elsewhere.
            let is_remote = |url: &gix::Url| {
                url.scheme == remote.scheme
                    && url.host() == remote.host()
                    && url.port_or_default() == remote.port_or_default()
            };
            let own = own.login(known.as_deref()).filter(|_| is_remote(&url));
            let own = own.map(|(user, token)| (user.to_owned(), token.to_owned()));
            if let Some((username, password)) = own.or_else(|| netrc(&url)) {
                return Ok(Some(Outcome {
                    identity: Account {
                        username,
                        password,
                        oauth_refresh_token: None,
                    },
                    next: context.clone().into(),
                }));
            }
            let (mut cascade, _, mut prompt) = repo.config_snapshot().credential_helpers(url)?;
            cascade.stderr = false;
            if prompt.askpass.is_none() {
                prompt.mode = gix::prompt::Mode::Disable;
            }
            let outcome = cascade.invoke(action, prompt.clone());
            former = Some((cascade, prompt));
            outcome
        } else {
            // Helpers are told whether what they gave was any good.
            match &mut former {
                Some((cascade, prompt)) => cascade.invoke(action, prompt.clone()),
                None => Ok(None),
            }
        }
    }
}

/// User and password for the URL's host from `$NETRC` or `~/.netrc`, as curl finds them for git: for
/// the user that the URL names, if it names one.
fn netrc(url: &gix::Url) -> Option<(String, String)> {
    let netrc = netrc::Netrc::new().ok()?;
    let host = url.host()?.to_ascii_lowercase();
    let entry = netrc
        .hosts
        .get(&host)
        .or_else(|| netrc.hosts.get("default"))?;
    let is_wanted = url.user().is_none_or(|user| user == entry.login);
    is_wanted.then(|| (entry.login.clone(), entry.password.clone()))
}

/// What gix read from `http.*`, with the parts that its client does not apply by itself.
fn http_options(
    repo: &gix::Repository,
    remote: &gix::Remote<'_>,
) -> gix::Result<Option<Box<dyn Any>>> {
    static CRYPTO: Once = Once::new();
    CRYPTO.call_once(|| {
        // Fails only where somebody installed one before us, which is as good.
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
    });

    let Some(url) = remote.url(Direction::Fetch).map(gix::Url::to_bstring) else {
        return Ok(None);
    };
    let name = remote.name().map(gix::remote::Name::as_bstr);
    let Some(mut options) = repo.transport_options(url.as_bstr(), name)? else {
        return Ok(None);
    };
    if let Some(options) = options.downcast_mut::<http::Options>() {
        let config = repo.config_snapshot();
        let configured = |key: &str| config.string(key).map(|value| value.to_string());
        // What the environment says, the client finds by itself, for each scheme its own.
        let proxy = for_url(repo, url.as_bstr(), "proxy")
            .or_else(|| configured("remote.origin.proxy"))
            .or_else(|| configured("http.proxy"))
            .filter(|proxy| !proxy.is_empty());
        let no_proxy = options.no_proxy.clone();
        let authorities = std::env::var_os("GIT_SSL_CAINFO")
            .map(PathBuf::from)
            .or_else(|| for_url(repo, url.as_bstr(), "sslCAInfo").map(PathBuf::from))
            .or_else(|| options.ssl_ca_info.clone());
        let verify = for_url(repo, url.as_bstr(), "sslVerify")
            .map_or(options.ssl_verify, |verify| {
                !["false", "no", "off", "0"].contains(&verify.to_ascii_lowercase().as_str())
            });
        // Sent to this host alone: with such headers gix follows no redirect.
        options.extra_headers.extend(
            for_url(repo, url.as_bstr(), "extraHeader").filter(|header| !header.is_empty()),
        );
        options.backend = Some(Arc::new(Mutex::new(http::reqwest::Options {
            configure_client: Some(Box::new(move |mut client| {
                if let Some(proxy) = &proxy {
                    let except = no_proxy.as_deref().and_then(reqwest::NoProxy::from_string);
                    client = client.proxy(reqwest::Proxy::all(proxy).or_error()?.no_proxy(except));
                }
                if let Some(file) = &authorities {
                    client = client.tls_certs_merge(certificates(file)?);
                }
                Ok(client.tls_danger_accept_invalid_certs(!verify))
            })),
            configure_request: None,
        })));
    }
    Ok(Some(options))
}

/// The setting of the `http.URL` section that fits best, which gix does not look for: same scheme,
/// host and port, and the longest path that leads to it. See `http.<url>.*` in git-config(1).
fn for_url(repo: &gix::Repository, url: &BStr, key: &str) -> Option<String> {
    let url = gix::url::parse(url).ok()?;
    let fits = |pattern: &gix::Url| {
        let path = pattern.path.trim_end_with(|c| c == '/');
        let rest = url.path.strip_prefix(path);
        pattern.scheme == url.scheme
            && pattern.host() == url.host()
            && pattern.port_or_default() == url.port_or_default()
            && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
    };
    let config = repo.config_snapshot();
    let settings = config.plumbing().sections_by_name("http")?;
    let (_, value) = settings
        .filter_map(|section| {
            let pattern = gix::url::parse(section.header().subsection_name()?).ok()?;
            let value = section.value(key)?.to_string();
            fits(&pattern).then_some((pattern.path.len(), value))
        })
        .max_by_key(|(length, _)| *length)?;
    Some(value)
}

fn certificates(file: &PathBuf) -> gix::Result<Vec<reqwest::Certificate>> {
    let pem = std::fs::read(file)
        .or_raise(|| message!("could not read http.sslCAInfo `{}`", file.display()))?;
    reqwest::Certificate::from_pem_bundle(&pem).or_error()
}
