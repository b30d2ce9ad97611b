//! What stands behind single flags: ports, volumes, durations.

use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;

use super::{Deliver, Mount, Publish, Volume, is_path};
use crate::cli;
use crate::failure::{Code, Failure, Result};
use crate::git::Revision;

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
        let source = if is_path(source) {
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
                format!("a unit is needed: `{flag} 30s`, `{flag} 5m`"),
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

/// How the release gets to the engine. The live checkout is nothing that could be sent.
pub(super) fn delivery(deliver: Deliver, mount: Mount) -> Result<Deliver> {
    match (mount, deliver) {
        (Mount::Checkout, Deliver::Upload) => Err(usage(
            "the live checkout cannot be uploaded: what is uploaded changes no more",
            "leave out `--mount checkout`, or `--deliver upload`",
        )),
        (Mount::Checkout, _) => Ok(Deliver::Mount),
        (Mount::Release, deliver) => Ok(deliver),
    }
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

/// A name that containers and files can bear.
///
/// # Errors
/// `usage`, naming `flag`.
pub fn checked_name(flag: &str, name: &str) -> Result<String> {
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
        assert_eq!(
            duration("--settle", "1h30m").unwrap(),
            Duration::from_mins(90)
        );
        let failure = duration("--settle", "5").unwrap_err();
        let hint = failure.hint.unwrap();
        assert!(
            hint.starts_with("a unit is needed: `--settle 30s`"),
            "{hint}"
        );
    }
}
