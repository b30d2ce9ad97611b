//! What stands behind single flags: ports, volumes, variables, durations.

use std::env;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;

use super::{Publish, Volume, Warning};
use crate::cli;
use crate::credentials::Credentials;
use crate::failure::{Code, Failure, Result};
use crate::git::{Login, Revision};
use crate::shell::quoted;

impl Publish {
    pub(super) fn parse(text: &str) -> Result<Publish> {
        let bad = || {
            usage(
                format!("`{text}` is no port to publish"),
                "`-p 8080:8080`, `-p 127.0.0.1:8080:8080`, `-p 53:53/udp` or `-p 8080`",
            )
        };
        let number = |text: &str| {
            text.parse::<u16>()
                .ok()
                .filter(|port| *port != 0)
                .ok_or_else(bad)
        };
        let (ports, protocol) = match text.split_once('/') {
            None | Some((_, "tcp")) => (text.trim_end_matches("/tcp"), "tcp"),
            Some((ports, "udp")) => (ports, "udp"),
            Some((ports, "sctp")) => (ports, "sctp"),
            Some(_) => return Err(bad()),
        };
        let (rest, port) = ports
            .rsplit_once(':')
            .map_or((None, ports), |(rest, port)| (Some(rest), port));
        let (ip, host) = match rest {
            None => (None, None),
            Some(rest) => match rest.rsplit_once(':') {
                None => (None, Some(rest)),
                Some((ip, host)) => (
                    Some(ip.trim_start_matches('[').trim_end_matches(']')),
                    Some(host),
                ),
            },
        };
        if let Some(ip) = ip {
            ip.parse::<std::net::IpAddr>().map_err(|_| bad())?;
        }
        Ok(Publish {
            ip: ip.map(str::to_owned),
            host: host
                .filter(|host| !host.is_empty())
                .map(number)
                .transpose()?,
            port: number(port)?,
            protocol,
        })
    }
}

impl Volume {
    pub(super) fn parse(text: &str) -> Result<Volume> {
        let bad = || {
            usage(
                format!("`{text}` is no volume"),
                "`-v /srv/data:/data`, `-v /srv/data:/data:ro` or `-v NAME:/data`",
            )
        };
        let (rest, read_only) = match text.rsplit_once(':') {
            Some((rest, "ro")) => (rest, true),
            Some((rest, "rw")) => (rest, false),
            _ => (text, false),
        };
        let (source, target) = rest.split_once(':').ok_or_else(bad)?;
        if source.is_empty() || !target.starts_with('/') || target.contains(':') {
            return Err(bad());
        }
        if Path::new(target)
            .components()
            .eq(Path::new("/src").components())
        {
            return Err(usage(
                format!("`{text}` would cover the release at /src"),
                "choose another target",
            ));
        }
        let source = if source.contains('/') || source == "." || source == ".." {
            std::path::absolute(source)
                .map_err(|error| Failure::io(Code::Usage, format_args!("find `{source}`"), error))?
                .to_string_lossy()
                .into_owned()
        } else {
            source.to_owned()
        };
        Ok(Volume {
            source,
            target: target.to_owned(),
            read_only,
        })
    }
}

/// Beyond that nobody waits, and sums of times overflow.
const LONGEST: Duration = Duration::from_hours(24 * 366);

/// A duration such as `30s`, `1m 30s` or `500ms`.
///
/// # Errors
/// `usage`, naming `flag`.
pub fn duration(flag: &str, text: &str) -> Result<Duration> {
    text.parse::<jiff::SignedDuration>()
        .ok()
        .and_then(|duration| Duration::try_from(duration).ok())
        .filter(|duration| *duration <= LONGEST)
        .ok_or_else(|| {
            usage(
                format!("`{flag} {text}` is no duration"),
                format!("`{flag} 30s`, `{flag} 5m`"),
            )
        })
}

/// A moment: that long ago, or an RFC 3339 timestamp.
///
/// # Errors
/// `usage`.
pub fn moment(flag: &str, text: &str) -> Result<Timestamp> {
    if let Ok(moment) = text.parse() {
        return Ok(moment);
    }
    let ago = duration(flag, text).map_err(|_| {
        usage(
            format!("`{flag} {text}` is neither a duration nor a moment"),
            format!("`{flag} 10m`, `{flag} 2026-11-24T06:15:00Z`"),
        )
    })?;
    Ok(Timestamp::now().checked_sub(ago).unwrap_or(Timestamp::MIN))
}

/// The same, but not nothing.
pub(super) fn some_time(flag: &str, text: &str) -> Result<Duration> {
    let duration = duration(flag, text)?;
    if duration.is_zero() {
        return Err(usage(
            format!("`{flag} {text}` gives no time at all"),
            format!("`{flag} 1h` is patient"),
        ));
    }
    Ok(duration)
}

pub(super) fn label(text: &str) -> Result<(String, String)> {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    if name.is_empty() {
        return Err(usage(
            "`--label` is given a value without a name",
            "`--label NAME=VALUE`",
        ));
    }
    if name.starts_with("sdp.") {
        return Err(usage(
            format!("the label `{name}` is one of sdp's own"),
            "choose a name that does not begin with `sdp.`",
        ));
    }
    Ok((name.to_owned(), value.to_owned()))
}

pub(super) fn health_path(path: &str) -> Result<String> {
    if path.starts_with('/') && path.chars().all(|c| c.is_ascii_graphic()) {
        Ok(path.to_owned())
    } else {
        Err(usage(
            format!("`--health-http {path}` is no path"),
            "`--health-http /healthz`",
        ))
    }
}

/// The variables of the files, then those of the flags.
pub(super) fn variables(flags: &[String], files: &[PathBuf]) -> Result<Vec<(String, String)>> {
    let mut variables: Vec<(String, String)> = Vec::new();
    let mut set = |name: String, value: String| {
        variables.retain(|(other, _)| *other != name);
        variables.push((name, value));
    };
    for file in files {
        let entries =
            dotenvy::from_path_iter(file).map_err(|error| env_file_failure(file, error))?;
        for entry in entries {
            let (name, value) = entry.map_err(|error| env_file_failure(file, error))?;
            set(name, value);
        }
    }
    for text in flags {
        let (name, value) = variable("-e", text)?;
        set(name, value);
    }
    Ok(variables)
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

/// Says where the file is at fault without quoting the line, which may hold a secret.
fn env_file_failure(file: &Path, error: dotenvy::Error) -> Failure {
    let shown = file.display();
    match error {
        dotenvy::Error::Io(error) => {
            Failure::io(Code::Usage, format_args!("read `{shown}`"), error).hint(format!(
                "`ls -l {}`; --env-file names a file of NAME=VALUE lines",
                quoted(file)
            ))
        }
        dotenvy::Error::LineParse(line, column) => {
            let number = fs::read_to_string(file)
                .ok()
                .and_then(|text| text.lines().position(|other| other.contains(line.trim())))
                .map_or_else(String::new, |index| format!(" line {}", index + 1));
            usage(
                format!(
                    "`{shown}`{number} is no NAME=VALUE line (column {})",
                    column + 1
                ),
                "put values with spaces, quotes or `#` between single quotes",
            )
        }
        _ => usage(
            format!("`{shown}` cannot be read as an env file"),
            "it holds NAME=VALUE lines",
        ),
    }
}

/// Values of variables and the token, with names; what cannot be read is left out.
pub(super) fn secrets(container: &cli::Container, source: &cli::Source) -> Vec<(String, String)> {
    let flags = container
        .env
        .iter()
        .filter_map(|flag| match flag.split_once('=') {
            Some((name, value)) => Some((name.to_owned(), value.to_owned())),
            None => Some((flag.clone(), env::var(flag).ok()?)),
        });
    let files = container
        .env_file
        .iter()
        .filter_map(|file| dotenvy::from_path_iter(file).ok());
    let token = match &source.git_token_file {
        Some(file) => token_in(file).ok(),
        None => env::var("SDP_GIT_TOKEN").ok(),
    };
    flags
        .chain(files.flatten().filter_map(Result::ok))
        .chain(token.map(|token| ("token".to_owned(), token)))
        .collect()
}

/// Which of these files with secrets in them others can read or change. One that is not there, or is
/// a pipe, is not among them.
pub(super) fn exposed_files<'a>(files: impl Iterator<Item = &'a PathBuf>) -> Vec<Warning> {
    files.filter_map(|file| exposed(file)).collect()
}

fn exposed(file: &Path) -> Option<Warning> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = fs::metadata(file).ok().filter(fs::Metadata::is_file)?;
    let shown = file.display();
    let us = rustix::process::getuid().as_raw();
    if metadata.mode() & 0o077 != 0 {
        Some(Warning {
            line: format!("`{shown}` holds secrets, and other users can read or change it"),
            hint: format!("`chmod 600 {}`", quoted(file)),
        })
    } else if ![0, us].contains(&metadata.uid()) {
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

/// What is to be deployed; one of the three flags, or none.
pub(super) fn revision(source: &cli::Source) -> Result<Option<Revision>> {
    match (&source.branch, &source.tag, &source.commit) {
        (None, None, None) => Ok(None),
        (Some(branch), None, None) => Revision::branch(branch).map(Some),
        (None, Some(tag), None) => Revision::tag(tag).map(Some),
        (None, None, Some(commit)) => Revision::commit(commit).map(Some),
        _ => Err(usage(
            "a branch, a tag and a commit cannot be deployed at once",
            "give one of `--branch`, `--tag` and `--commit`; SDP_BRANCH, SDP_TAG and SDP_COMMIT count too",
        )),
    }
}

/// The deployment's own credentials. A token that is given by itself beats the one in the URL.
pub(super) fn credentials(source: &cli::Source, login: Option<Login>) -> Result<Credentials> {
    let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    let token = match &source.git_token_file {
        Some(file) => Some(token_in(file)?),
        None => variable("SDP_GIT_TOKEN"),
    };
    let user = variable("SDP_GIT_USER");
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
fn token_in(file: &Path) -> Result<String> {
    let text = fs::read_to_string(file).map_err(|error| {
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

/// A key that is there; ssh would only say that it was refused.
fn ssh_key(file: &Path) -> Result<PathBuf> {
    let found = std::path::absolute(file).and_then(|path| fs::File::open(&path).map(|_| path));
    found.map_err(|error| {
        Failure::io(
            Code::Usage,
            format_args!("read the key `{}`", file.display()),
            error,
        )
        .hint("`--ssh-key FILE` names a private key, such as ~/.ssh/id_ed25519")
    })
}

/// A pattern that stays inside the checkout.
pub(super) fn include(pattern: &str) -> Result<String> {
    inside("--include", Path::new(pattern))?;
    glob::Pattern::new(pattern)
        .map(|_| pattern.to_owned())
        .map_err(|error| {
            usage(
                format!("`--include {pattern}` is no pattern: {error}"),
                "`--include 'assets/**/*.css'`",
            )
        })
}

/// A path that stays inside the checkout.
pub(super) fn inside(flag: &str, path: &Path) -> Result<PathBuf> {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::Normal(part) => clean.push(part),
            _ => {
                return Err(usage(
                    format!("`{flag} {}` leaves the repository", path.display()),
                    format!("`{flag} DIR`, relative to the repository's root"),
                ));
            }
        }
    }
    Ok(clean)
}

pub(super) fn checked_name(flag: &str, name: &str) -> Result<String> {
    let good = name.len() <= 64
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
    if good {
        Ok(name.to_owned())
    } else {
        Err(usage(
            format!("`{flag} {name}` is no name"),
            "up to 64 letters, digits, `_`, `.` and `-`, the first a letter or digit",
        ))
    }
}

pub(super) fn each<T>(texts: &[String], parse: impl Fn(&str) -> Result<T>) -> Result<Vec<T>> {
    texts.iter().map(|text| parse(text)).collect()
}

pub(super) fn usage(message: impl Into<String>, hint: impl Into<String>) -> Failure {
    Failure::new(Code::Usage, message).hint(hint)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn ports_are_read_as_docker_reads_them() {
        let port = |text: &str| {
            let p = Publish::parse(text).unwrap();
            (p.ip, p.host, p.port, p.protocol)
        };
        assert_eq!(port("8080"), (None, None, 8080, "tcp"));
        assert_eq!(port("80:8080"), (None, Some(80), 8080, "tcp"));
        assert_eq!(port("53:53/udp"), (None, Some(53), 53, "udp"));
        assert_eq!(
            port("127.0.0.1:80:8080/tcp"),
            (Some("127.0.0.1".into()), Some(80), 8080, "tcp")
        );
        assert_eq!(
            port("127.0.0.1::8080"),
            (Some("127.0.0.1".into()), None, 8080, "tcp")
        );
        assert_eq!(
            port("[::1]:80:8080"),
            (Some("::1".into()), Some(80), 8080, "tcp")
        );
        for bad in [
            "",
            "0:1",
            "a:1",
            "1:a",
            "70000:1",
            "1:2/icmp",
            "host:1:2",
            "8000-8010:80",
        ] {
            assert_eq!(Publish::parse(bad).unwrap_err().code, Code::Usage, "{bad}");
        }
    }

    #[test]
    fn volumes_are_directories_or_names_and_never_cover_the_release() {
        let volume = Volume::parse("/a:/b:ro").unwrap();
        assert_eq!(
            (
                volume.source.as_str(),
                volume.target.as_str(),
                volume.read_only
            ),
            ("/a", "/b", true)
        );
        assert_eq!(Volume::parse("data:/b").unwrap().source, "data");
        for bad in ["/a", ":/b", "/a:b", "/a:/b:z", "/a:/src", "/a:/src/"] {
            assert_eq!(Volume::parse(bad).unwrap_err().code, Code::Usage, "{bad}");
        }
    }

    #[test]
    fn a_workdir_stays_inside() {
        assert_eq!(
            inside("--workdir", Path::new("./a/b")).unwrap(),
            Path::new("a/b")
        );
        assert!(inside("--workdir", Path::new("../a")).is_err());
        assert!(inside("--workdir", Path::new("/a")).is_err());
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(
            duration("--settle", "500ms").unwrap(),
            Duration::from_millis(500)
        );
        assert_eq!(
            duration("--settle", "1m 30s").unwrap(),
            Duration::from_secs(90)
        );
        assert!(duration("--settle", "-1s").is_err());
        assert!(duration("--settle", "5").is_err());
    }
}
