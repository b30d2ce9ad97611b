//! What may be secret: variables and the files that they are in, tokens, keys.

use std::env;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::arguments::{each, usage};
use super::contents::{Contents, open_file, read};
use super::env_file;
use super::{Container, Warning};
use crate::cli;
use crate::credentials::Credentials;
use crate::failure::{Code, Failure, Result};
use crate::git::Login;
use crate::redact;
use crate::shell::quoted;

/// The variables, each once: what is said nearer to the deployment counts more, and in the same place
/// those of the files less than those of the command, and these less than those of the flags.
pub(super) fn variables(
    container: &cli::Container,
    contents: &Contents,
) -> Result<Vec<(String, String)>> {
    let layers = &container.layers;
    let mut said = Vec::new();
    for file in &container.env_file {
        let found = env_file::read(file, contents)?.into_iter();
        said.extend(found.map(|variable| (layers.env_file, variable)));
    }
    let has_command = container.env_command.is_some();
    let commanded = contents.commanded.iter().filter(|_| has_command).cloned();
    said.extend(commanded.map(|variable| (layers.env_command, variable)));
    for (at, text) in container.env.iter().enumerate() {
        let layer = layers.env.get(at).copied().unwrap_or_default();
        said.push((layer, variable("-e", text)?));
    }
    // Of the same layer they stay in their order.
    said.sort_by_key(|(layer, _)| *layer);
    let mut variables: Vec<(String, String)> = Vec::new();
    for (_, (name, value)) in said {
        variables.retain(|(other, _)| *other != name);
        variables.push((name, value));
    }
    Ok(variables)
}

/// Where the container sees its secrets.
pub const SECRETS: &str = "/run/secrets";

/// A file of the host that the container sees below /run/secrets, where `NAME_FILE` tells of it.
#[derive(Clone, Debug)]
pub struct Secret {
    pub name: String,
    /// Absolute, free of symbolic links.
    pub file: PathBuf,
    /// What no event may show.
    content: String,
}

impl Secret {
    /// Reads `NAME=FILE`.
    ///
    /// # Errors
    /// `usage`; those of the file system.
    pub(super) fn parse(text: &str, contents: &Contents) -> Result<Secret> {
        let (name, file) = text.split_once('=').unwrap_or((text, ""));
        let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !is_name || file.is_empty() {
            return Err(usage(
                "`--secret` takes a name of letters, digits and `_`, and a file",
                "`--secret TOKEN=/etc/shop/token`",
            ));
        }
        let content = contents.bytes(Path::new(file));
        let read = content.and_then(|content| Ok((content, fs::canonicalize(file)?)));
        let (content, file) = read.map_err(|error| {
            Failure::io(Code::Usage, format_args!("read `{file}`"), error).hint(format!(
                "`ls -l {}`; --secret {name}=FILE names a file with a secret in it",
                quoted(file)
            ))
        })?;
        Ok(Secret {
            name: name.to_owned(),
            file,
            content: String::from_utf8_lossy(content).into_owned(),
        })
    }

    /// What a file that a container has mounted holds, if it is still there.
    pub fn content(file: &Path) -> Option<String> {
        let bytes = read(file, false).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Where the container sees it.
    pub fn target(&self) -> String {
        format!("{SECRETS}/{}", self.name)
    }

    /// Name and content, which no event may show.
    pub(super) fn pair(&self) -> (&str, &str) {
        (&self.name, &self.content)
    }
}

/// What sdp sets itself when it builds, and what decides on it.
const BUILD_OWN: [(&str, &str); 4] = [
    ("CGO_ENABLED", "`--cgo` switches cgo on"),
    ("GOOS", "the engine's platform is built for"),
    ("GOARCH", "the engine's platform is built for"),
    ("GOTMPDIR", "`.sdp/build/tmp` is where go works"),
];

/// The variables of `--build-env`.
pub(super) fn build_variables(flags: &[String]) -> Result<Vec<(String, String)>> {
    each(flags, |text| {
        let (name, value) = variable("--build-env", text)?;
        match BUILD_OWN.iter().find(|(own, _)| *own == name) {
            Some((_, hint)) => Err(usage(
                format!("`--build-env {name}` is one that sdp sets itself"),
                *hint,
            )),
            None => Ok((name, value)),
        }
    })
}

/// `NAME=VALUE`, or `NAME` with the value of sdp's own.
fn variable(flag: &str, text: &str) -> Result<(String, String)> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, value.to_owned()),
        None => match env::var(text) {
            Ok(value) => (text, value),
            Err(_) => {
                return Err(usage(
                    format!(
                        "`{flag} {text}` takes its value from sdp's own environment, which has none"
                    ),
                    format!("`export {text}=...` first, or `{flag} {text}=VALUE`"),
                ));
            }
        },
    };
    if name.is_empty() {
        return Err(usage(
            format!("`{flag}` is given a value without a name"),
            format!("`{flag} NAME=VALUE`"),
        ));
    }
    Ok((name.to_owned(), value))
}

/// Values of variables and the token, with names; what cannot be read is left out.
pub(super) fn secrets(deploy: &cli::Deploy, contents: &Contents) -> Vec<(String, String)> {
    let cli::Settings {
        source,
        build,
        container,
        limits,
        ..
    } = &deploy.settings;
    let flags = container.env.iter().chain(&build.variables);
    let flags = flags.filter_map(|flag| match flag.split_once('=') {
        Some((name, value)) => Some((name.to_owned(), value.to_owned())),
        None => Some((flag.clone(), env::var(flag).ok()?)),
    });
    let files = container.env_file.iter();
    let files = files.filter_map(|file| env_file::read(file, contents).ok());
    let token = match (&source.git_token_file, &source.login) {
        (_, Some(login)) => Some(login.token.clone()),
        (Some(file), None) => token_in(file, contents).ok(),
        (None, None) => env::var("SDP_GIT_TOKEN").ok(),
    };
    let mounted = container.secret.iter();
    let mounted = mounted.filter_map(|text| Secret::parse(text, contents).ok());
    let of_logs = limits.log_opt.iter();
    let of_logs = of_logs
        .filter_map(|option| option.split_once('='))
        .filter(|(name, _)| redact::speaks_of_secrets(name))
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    flags
        .chain(files.flatten())
        .chain(contents.commanded.iter().cloned())
        .chain(mounted.map(|secret| (secret.name, secret.content)))
        .chain(token.map(|token| ("token".to_owned(), token)))
        .chain(of_logs)
        .collect()
}

/// Which of these files, and of those that the container has mounted, others can read or change though
/// secrets are in them. One that is not there, or is a pipe, is not among them.
pub(super) fn exposed_files<'a>(
    files: impl Iterator<Item = &'a PathBuf>,
    container: &Container,
) -> Vec<Warning> {
    let reader = container.limits.reader();
    let mounted = container.secrets.iter();
    let mounted = mounted.filter_map(|secret| exposed(&secret.file, reader));
    let files = files.filter_map(|file| exposed(file, None));
    files.chain(mounted).collect()
}

/// Only the `reader` in a container may read it, beside who deploys.
fn exposed(file: &Path, reader: Option<Reader>) -> Option<Warning> {
    let metadata = fs::metadata(file).ok().filter(fs::Metadata::is_file)?;
    let shown = file.display();
    let us = rustix::process::getuid().as_raw();
    let is_readers = reader.is_some_and(|reader| reader.uid == metadata.uid());
    let is_its_groups = reader.is_some_and(|reader| reader.gid == Some(metadata.gid()));
    let others = if is_its_groups { 0o037 } else { 0o077 };
    if metadata.mode() & others != 0 {
        let quoted = quoted(file);
        Some(Warning {
            line: format!("`{shown}` holds secrets, and other users can read or change it"),
            hint: match reader {
                Some(Reader { uid, .. }) if !is_readers && us == 0 => {
                    format!(
                        "`chmod 600 {quoted}`, owned by user {uid} of the container, who is to read it"
                    )
                }
                Some(Reader { uid, .. }) if !is_readers => format!(
                    "`chmod 640 {quoted}`, with the group of user {uid} of the container, who is to read it"
                ),
                _ => format!("`chmod 600 {quoted}`"),
            },
        })
    } else if ![0, us].contains(&metadata.uid()) && !is_readers {
        Some(Warning {
            line: format!(
                "`{shown}` holds secrets, and belongs to user {}",
                metadata.uid()
            ),
            hint: format!("`sudo chown {us} {}`", quoted(file)),
        })
    } else {
        None
    }
}

/// The user of a container, where it is told as a number and is not root.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader {
    pub uid: u32,
    /// `None`: as the image has it.
    pub gid: Option<u32>,
}

impl Reader {
    /// Whether it cannot read a file of this host that is mounted in its container, and the way out: one
    /// after which `us`, who deploys, still can.
    pub(super) fn fails_at(self, file: &Path, us: u32) -> Option<Warning> {
        let metadata = fs::metadata(file).ok()?;
        let Reader { uid, gid } = self;
        let may = if metadata.uid() == uid {
            0o400
        } else if gid.is_none_or(|gid| gid == metadata.gid()) {
            0o044
        } else {
            0o004
        };
        if metadata.mode() & may != 0 {
            return None;
        }
        let quoted = quoted(file);
        let group = gid.unwrap_or(uid);
        Some(Warning {
            line: format!(
                "user {uid} of the container cannot read `{}`",
                file.display()
            ),
            hint: match gid {
                _ if us == 0 || us == uid => format!("`sudo chown {uid} {quoted}`"),
                Some(_) => format!("`sudo chown {us}:{group} {quoted} && sudo chmod 640 {quoted}`"),
                None => format!(
                    "`--user {uid}:{group}`, and `sudo chown {us}:{group} {quoted} && sudo chmod 640 {quoted}`"
                ),
            },
        })
    }
}

/// The deployment's own credentials. A token that is given by itself beats the one in the URL.
pub(super) fn credentials(
    source: &cli::Source,
    login: Option<Login>,
    contents: &Contents,
) -> Result<Credentials> {
    let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    let (user, token) = match (&source.login, &source.git_token_file) {
        (Some(login), _) => (login.user.clone(), Some(login.token.clone())),
        (None, Some(file)) => (variable("SDP_GIT_USER"), Some(token_in(file, contents)?)),
        (None, None) => (variable("SDP_GIT_USER"), variable("SDP_GIT_TOKEN")),
    };
    let ssh_key = source.ssh_key.as_deref().map(ssh_key).transpose()?;
    let (user, token) = match (token, login) {
        (Some(token), login) => (user.or(login.map(|login| login.user)), Some(token)),
        (None, Some(login)) => (Some(user.unwrap_or(login.user)), Some(login.password)),
        (None, None) => (user, None),
    };
    Ok(Credentials {
        user,
        token,
        ssh_key,
    })
}

/// The first line of a file, which is the token.
fn token_in(file: &Path, contents: &Contents) -> Result<String> {
    let text = contents.text(file).map_err(|error| {
        Failure::io(
            Code::Usage,
            format_args!("read `{}`", file.display()),
            error,
        )
        .hint(format!(
            "`ls -l {}`; --git-token-file names a file with a token in it",
            quoted(file)
        ))
    })?;
    match text.lines().next().map(str::trim) {
        Some(token) if !token.is_empty() => Ok(token.to_owned()),
        _ => Err(usage(
            format!("there is no token in `{}`", file.display()),
            "its first line is to be the token",
        )),
    }
}

/// A key that is there and can be read more than once; ssh would only say that it was refused.
fn ssh_key(file: &Path) -> Result<PathBuf> {
    let found = std::path::absolute(file).and_then(|path| open_file(&path).map(|_| path));
    found.map_err(|error| {
        Failure::io(
            Code::Usage,
            format_args!("read the key `{}`", file.display()),
            error,
        )
        .hint("`--ssh-key FILE` names a private key, such as ~/.ssh/id_ed25519")
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Layer};

    #[test]
    fn what_is_nearer_counts_more_whatever_its_kind() {
        let words = ["sdp", "deploy", "shop", "--env-file", "a.env"];
        let flags = [
            "-e",
            "A=repository",
            "-e",
            "B=environment",
            "-e",
            "D=repository",
        ];
        let cli = Cli::try_parse_from(words.iter().chain(&flags)).unwrap();
        let mut container = cli.command.into_deploy().unwrap().settings.container;
        container.env_command = Some("pass".to_owned());
        let mut contents = Contents::default();
        contents.put("a.env", "A=file\nB=file\nC=file\n");
        contents.commanded = vec![("C".to_owned(), "command".to_owned())];
        container.layers.env_file = Layer::Environment;
        container.layers.env_command = Layer::Repository;
        container.layers.env = vec![Layer::Repository, Layer::Environment, Layer::Repository];
        let mut found = variables(&container, &contents).unwrap();
        found.sort();
        let found: Vec<String> = found
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        assert_eq!(found, ["A=file", "B=environment", "C=file", "D=repository"]);
    }
}
