//! What the engine proves itself with to registries: what `docker login` has left in the configuration
//! of the engine's own command, or given to a helper.
//!
//! The files and the helpers' words are those of docker/cli (cli/config) and
//! docker/docker-credential-helpers. A secret goes to the engine in a header, and nowhere else.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};
use serde::{Deserialize, Serialize};

use super::reference::Reference;
use crate::child;
use crate::redact::Redactor;

/// What the default registry is called in the configuration.
const DEFAULT_SERVER: &str = "https://index.docker.io/v1/";

/// How long a helper may think: some ask a service on the network.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a helper says, with a status that is not zero, when it has nothing.
const NOTHING: &str = "credentials not found in native keychain";

/// The user name with which a helper says that its secret is an identity token.
const TOKEN_USER: &str = "<token>";

/// What is known for a registry.
#[derive(Debug, Default)]
pub(super) struct Credentials {
    login: Option<Login>,
    /// Why there might be some that could not be read; without a secret.
    pub trouble: Option<String>,
}

/// The engine's `AuthConfig`.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
struct Login {
    username: String,
    password: String,
    identitytoken: String,
    registrytoken: String,
    serveraddress: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Config {
    auths: HashMap<String, Entry>,
    #[serde(rename = "credHelpers")]
    helpers: HashMap<String, String>,
    #[serde(rename = "credsStore")]
    store: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    /// `user:password` in base64.
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
    registrytoken: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

impl Credentials {
    /// Looks for those of an image's registry.
    pub async fn find(image: &Reference) -> Credentials {
        let trouble = |trouble: String| Credentials {
            login: None,
            trouble: Some(trouble),
        };
        let Some(path) = config_file() else {
            return Credentials::default();
        };
        let config = match read(&path) {
            Ok(Some(config)) => config,
            Ok(None) => return Credentials::default(),
            Err(why) => return trouble(why),
        };
        let is_default = image.is_in_default_registry();
        let server = if is_default {
            DEFAULT_SERVER
        } else {
            &image.registry
        };
        let helper = config.helpers.get(server).unwrap_or(&config.store);
        let login = if helper.is_empty() {
            config.login(server)
        } else {
            ask(helper, server).await
        };
        match login {
            Ok(login) => Credentials {
                login: login.map(|login| Login {
                    serveraddress: server.to_owned(),
                    ..login
                }),
                trouble: None,
            },
            Err(why) => trouble(why),
        }
    }

    pub fn is_none(&self) -> bool {
        self.login.is_none()
    }

    /// For the header `X-Registry-Auth`, of which the engine reads the base64 for URLs only: anything
    /// else is no credentials to it.
    pub fn header(&self) -> Option<String> {
        let json = serde_json::to_vec(self.login.as_ref()?).ok()?;
        Some(BASE64_URL_SAFE.encode(json))
    }

    /// Takes the secrets out of what the engine says.
    pub fn scrub(&self, text: &mut String) {
        let secrets = self
            .login
            .iter()
            .flat_map(|login| [&login.password, &login.identitytoken, &login.registrytoken]);
        let secrets = secrets.filter(|secret| !secret.is_empty());
        Redactor::new(secrets.map(|secret| ("password", secret.as_str()))).scrub(text);
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").finish_non_exhaustive()
    }
}

impl Config {
    /// What the file itself holds for a server, which may be written as a URL there.
    fn login(&self, server: &str) -> Result<Option<Login>, String> {
        let host = host(server);
        let written = self.auths.iter().find(|(name, _)| name.as_str() == server);
        let mut alike = self
            .auths
            .iter()
            .filter(|(name, _)| self::host(name) == host);
        let Some((_, entry)) = written.or_else(|| alike.next()) else {
            return Ok(None);
        };
        entry.login().map_err(|Garbled| {
            format!("what the configuration of docker holds for `{server}` is not `user:password` in base64")
        })
    }
}

/// It is not `user:password` in base64.
struct Garbled;

impl Entry {
    fn login(&self) -> Result<Option<Login>, Garbled> {
        let (username, password) = if self.auth.is_empty() {
            (self.username.clone(), self.password.clone())
        } else {
            let text = BASE64_STANDARD.decode(self.auth.trim());
            let text = text.ok().and_then(|text| String::from_utf8(text).ok());
            let text = text.ok_or(Garbled)?;
            let (user, password) = text.split_once(':').ok_or(Garbled)?;
            (user.to_owned(), password.trim_end_matches('\0').to_owned())
        };
        let login = Login {
            username,
            password,
            identitytoken: self.identitytoken.clone(),
            registrytoken: self.registrytoken.clone(),
            serveraddress: String::new(),
        };
        // A helper's place in the file is kept by an empty entry.
        Ok((login != Login::default()).then_some(login))
    }
}

/// The host and port of a server that may be written as a URL.
fn host(server: &str) -> &str {
    let rest = server.split_once("://").map_or(server, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

fn config_file() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let folder = match set("DOCKER_CONFIG") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(&set("HOME")?).join(".docker"),
    };
    Some(folder.join("config.json"))
}

/// `None`: there is no such file. What is wrong with one is told without a word of it.
fn read(path: &Path) -> Result<Option<Config>, String> {
    let shown = path.display();
    match std::fs::read(path) {
        Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            format!(
                "`{shown}` cannot be read as docker's configuration (line {line}, column {column})"
            )
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("`{shown}` could not be read: {error}")),
    }
}

/// Asks `docker-credential-HELPER` for a server's credentials.
async fn ask(helper: &str, server: &str) -> Result<Option<Login>, String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    if !helper.chars().all(is_name) {
        return Err(
            "the configuration of docker names a credential helper that is no name".to_owned(),
        );
    }
    let program = format!("docker-credential-{helper}");
    let mut command = child::dying_with(&program);
    // gpg would ask on the terminal.
    command.arg("get").env_remove("GPG_TTY");
    let told = match child::ask(command, server, PATIENCE).await {
        Ok(told) => told,
        Err(error) => return Err(format!("`{program}` could not be asked: {error}")),
    };
    match told.code {
        Some(0) => {}
        Some(child::NOT_FOUND) => return Err(format!("there is no `{program}` in PATH")),
        _ if String::from_utf8_lossy(&told.output).contains(NOTHING) => return Ok(None),
        Some(code) => {
            return Err(format!(
                "`{program}` ended with exit code {code}; `echo {server} | {program} get` shows why"
            ));
        }
        None => return Err(format!("`{program}` was killed")),
    }
    let answer: Answer = serde_json::from_slice(&told.output)
        .map_err(|_| format!("`{program}` did not answer as a credential helper does"))?;
    let is_token = answer.username == TOKEN_USER;
    Ok(Some(if is_token {
        Login {
            identitytoken: answer.secret,
            ..Login::default()
        }
    } else {
        Login {
            username: answer.username,
            password: answer.secret,
            ..Login::default()
        }
    }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_file_is_read_as_docker_reads_it() {
        let auth = BASE64_STANDARD.encode("me:a:b");
        let config = format!(
            r#"{{"auths": {{"https://index.docker.io/v1/": {{"auth": "{auth}"}}, "r.example": {{}},
               "https://old.example/v1/": {{"username": "u", "password": "p"}},
               "t.example:5000": {{"identitytoken": "t"}}, "bad.example": {{"auth": "?"}}}},
               "HttpHeaders": {{}}}}"#
        );
        let config: Config = serde_json::from_str(&config).unwrap();
        let found = |server: &str| {
            let login = config.login(server).unwrap()?;
            Some(format!(
                "{} {} {}",
                login.username, login.password, login.identitytoken
            ))
        };
        assert_eq!(found(DEFAULT_SERVER).as_deref(), Some("me a:b "));
        assert_eq!(found("old.example").as_deref(), Some("u p "));
        assert_eq!(found("t.example:5000").as_deref(), Some("  t"));
        assert_eq!(found("t.example"), None);
        assert_eq!(found("r.example"), None);
        let told = config.login("bad.example").unwrap_err();
        assert!(told.contains("bad.example"), "{told}");
    }

    #[test]
    fn secrets_are_not_shown() {
        let login = Login {
            password: "hush".to_owned(),
            ..Login::default()
        };
        let credentials = Credentials {
            login: Some(login),
            trouble: None,
        };
        assert!(!format!("{credentials:?}").contains("hush"));
        let mut text = "the password hush is wrong".to_owned();
        credentials.scrub(&mut text);
        assert!(!text.contains("hush"), "{text}");
    }
}
