//! What a program may do and take: its user, its limits, its restarts, and how long its log grows.

use std::fmt;
use std::str::FromStr;

use super::Volume;
use super::arguments::{each, usage};
use super::secrets::Reader;
use crate::cli;
use crate::failure::Result;
use crate::redact;

/// Who a hardened program runs as: the user and the group that are called `nobody`.
const NOBODY: &str = "65534:65534";

/// How many processes and threads a hardened program may have; a Go program has tens of them.
const PIDS: i64 = 512;

/// The engine takes no less (moby, `daemon/daemon_unix.go`).
const LEAST_MEMORY: i64 = 6 << 20;

/// What keeps a log from filling the disk, in the options of the driver `json-file`.
const ROTATION: [(&str, &str); 2] = [("max-size", "10m"), ("max-file", "3")];

/// What `setrlimit` knows, without the prefix `RLIMIT_` (docker/go-units, ulimit.go).
const ULIMITS: [&str; 15] = [
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

/// What a program may do and take.
#[derive(Clone, Debug)]
pub struct Limits {
    /// A read-only root and no capabilities.
    pub hardened: bool,
    /// `None`: the image's.
    pub user: Option<String>,
    pub restart: Restart,
    /// In bytes.
    pub memory: Option<i64>,
    /// In billionths of a processor.
    pub nano_cpus: Option<i64>,
    pub pids: Option<i64>,
    pub ulimits: Vec<Ulimit>,
    /// As they were given; see [`Limits::log_options`].
    log_options: Vec<(String, String)>,
    /// Something of the host is mounted at `/tmp`.
    has_tmp: bool,
}

/// When the engine starts a program again that has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Restart {
    No,
    /// Even one that was stopped, when the engine itself starts again.
    Always,
    /// One that failed: so many times, or without end.
    OnFailure(Option<u32>),
    #[default]
    UnlessStopped,
}

/// A limit of the kernel's; -1: none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ulimit {
    pub name: String,
    pub soft: i64,
    pub hard: i64,
}

impl Limits {
    pub(super) fn new(flags: &cli::Limits, volumes: &[Volume]) -> Result<Limits> {
        let hardened = flags.hardened;
        Ok(Limits {
            hardened,
            user: match &flags.user {
                Some(user) => Some(checked_user(user)?),
                None => hardened.then(|| NOBODY.to_owned()),
            },
            restart: flags.restart.parse()?,
            memory: flags.memory.as_deref().map(memory).transpose()?,
            nano_cpus: flags.cpus.as_deref().map(nano_cpus).transpose()?,
            pids: flags.pids.map(i64::from).or(hardened.then_some(PIDS)),
            ulimits: each(&flags.ulimit, str::parse)?,
            log_options: each(&flags.log_opt, log_option)?,
            has_tmp: volumes
                .iter()
                .any(|volume| volume.target.trim_end_matches('/') == "/tmp"),
        })
    }

    /// Where a hardened program may write, with the options of the mount. Nothing can be run from there;
    /// it counts as memory, so it has a bound.
    pub fn tmpfs(&self) -> Option<(&'static str, &'static str)> {
        (self.hardened && !self.has_tmp)
            .then_some(("/tmp", "rw,noexec,nosuid,nodev,size=64m,mode=1777"))
    }

    /// Who reads what is mounted, unless it is root, or one whose number the image alone knows.
    pub(super) fn reader(&self) -> Option<Reader> {
        let user = self.user.as_deref()?;
        let (uid, gid) = user.split_once(':').unwrap_or((user, ""));
        Some(Reader {
            uid: uid.parse().ok().filter(|uid| *uid != 0)?,
            gid: gid.parse().ok(),
        })
    }

    /// The options of the log driver that are likely to be secret, such as `splunk-token`.
    pub(super) fn secrets(&self) -> impl Iterator<Item = (&str, &str)> {
        let options = self.log_options.iter();
        options
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .filter(|(name, _)| redact::speaks_of_secrets(name))
    }

    /// The options for the log driver. One that `grows` without end is given an end, unless that was
    /// spoken of.
    pub fn log_options(&self, grows: bool) -> Vec<(String, String)> {
        let given = |name: &str| self.log_options.iter().any(|(other, _)| other == name);
        let mut options = self.log_options.clone();
        if grows && !given("max-size") {
            let missing = ROTATION.into_iter().filter(|(name, _)| !given(name));
            options.extend(missing.map(|(name, value)| (name.to_owned(), value.to_owned())));
        }
        options
    }
}

impl Restart {
    /// Whether the engine starts a container again that somebody has stopped, as soon as it is itself
    /// started again: a Go program that is told to stop often ends with exit code 2.
    pub fn outlives_a_stop(self) -> bool {
        matches!(self, Restart::Always | Restart::OnFailure(_))
    }
}

impl fmt::Display for Restart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Restart::No => f.write_str("no"),
            Restart::Always => f.write_str("always"),
            Restart::OnFailure(None) => f.write_str("on-failure"),
            Restart::OnFailure(Some(times)) => write!(f, "on-failure:{times}"),
            Restart::UnlessStopped => f.write_str("unless-stopped"),
        }
    }
}

impl FromStr for Restart {
    type Err = crate::failure::Failure;

    fn from_str(text: &str) -> Result<Restart> {
        match text.split_once(':') {
            None if text == "no" => return Ok(Restart::No),
            None if text == "always" => return Ok(Restart::Always),
            None if text == "on-failure" => return Ok(Restart::OnFailure(None)),
            None if text == "unless-stopped" => return Ok(Restart::UnlessStopped),
            Some(("on-failure", times)) => {
                if let Some(times) = times.parse().ok().filter(|times| *times > 0) {
                    return Ok(Restart::OnFailure(Some(times)));
                }
            }
            _ => {}
        }
        Err(usage(
            format!("`--restart {text}` is no policy"),
            "`--restart no`, `always`, `on-failure`, `on-failure:3` or `unless-stopped`",
        ))
    }
}

impl fmt::Display for Ulimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}:{}", self.name, self.soft, self.hard)
    }
}

impl FromStr for Ulimit {
    type Err = crate::failure::Failure;

    fn from_str(text: &str) -> Result<Ulimit> {
        let parsed = || {
            let (name, limits) = text.split_once('=')?;
            let (soft, hard) = limits.split_once(':').unwrap_or((limits, limits));
            let number = |text: &str| text.parse::<i64>().ok().filter(|number| *number >= -1);
            let (soft, hard) = (number(soft)?, number(hard)?);
            let ordered = hard == -1 || (soft != -1 && soft <= hard);
            (ULIMITS.contains(&name) && ordered).then(|| Ulimit {
                name: name.to_owned(),
                soft,
                hard,
            })
        };
        parsed().ok_or_else(|| {
            usage(
                format!("`--ulimit {text}` is no limit"),
                format!(
                    "`--ulimit nofile=1024:2048`, the soft one first, -1 for none; the names are {}",
                    ULIMITS.join(", ")
                ),
            )
        })
    }
}

/// Names and numbers, as the engine looks them up in the image's `/etc/passwd` and `/etc/group`.
fn checked_user(text: &str) -> Result<String> {
    let is_name = |name: &str| {
        !name.is_empty()
            && !name.starts_with('-')
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
    };
    let (user, group) = text.split_once(':').unwrap_or((text, "0"));
    if is_name(user) && is_name(group) {
        Ok(text.to_owned())
    } else {
        Err(usage(
            format!("`--user {text}` is no user"),
            "`--user 1000`, `--user 1000:1000` or `--user nobody`",
        ))
    }
}

/// Bytes, with the units that the engine's own command has: `k`, `m`, `g`, each 1024 times the last.
fn memory(text: &str) -> Result<i64> {
    let lower = text.to_ascii_lowercase();
    let split = lower.find(|c: char| !c.is_ascii_digit());
    let (number, unit) = lower.split_at(split.unwrap_or(lower.len()));
    let shift = match unit {
        "" | "b" => Some(0),
        "k" | "kb" | "kib" => Some(10),
        "m" | "mb" | "mib" => Some(20),
        "g" | "gb" | "gib" => Some(30),
        _ => None,
    };
    let bytes = number
        .parse::<i64>()
        .ok()
        .zip(shift)
        .and_then(|(number, shift)| number.checked_mul(1 << shift));
    match bytes {
        Some(bytes) if bytes >= LEAST_MEMORY => Ok(bytes),
        Some(_) => Err(usage(
            format!("`--memory {text}` is less than the engine's least, 6m"),
            "`--memory 64m` is little for a Go program",
        )),
        None => Err(usage(
            format!("`--memory {text}` is no amount of memory"),
            "`--memory 256m`, `--memory 1g`",
        )),
    }
}

#[allow(clippy::cast_possible_truncation)] // after the bounds are checked
fn nano_cpus(text: &str) -> Result<i64> {
    let cpus = text.parse::<f64>().ok();
    match cpus.filter(|cpus| (0.01..=4096.0).contains(cpus)) {
        Some(cpus) => Ok((cpus * 1e9).round() as i64),
        None => Err(usage(
            format!("`--cpus {text}` is no number of processors"),
            "`--cpus 1.5`, and no less than 0.01",
        )),
    }
}

fn log_option(text: &str) -> Result<(String, String)> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(usage(
            format!("`--log-opt {text}` is no option with a value"),
            "`--log-opt max-size=50m`, `--log-opt max-file=5`",
        )),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn amounts_have_the_engines_units() {
        let amounts = ["6291456", "6m", "256M", "1g", "1GiB", "8192kb"];
        let bytes = amounts.map(|text| memory(text).unwrap());
        let mib = bytes.map(|bytes| bytes >> 20);
        assert_eq!(mib, [6, 6, 256, 1024, 1024, 8]);
        for bad in ["", "m", "1t", "-6m", "1.5g", "5m", "9999999999999g"] {
            assert!(memory(bad).is_err(), "{bad}");
        }
        assert_eq!(nano_cpus("1.5").unwrap(), 1_500_000_000);
        for bad in ["", "0", "0.001", "-1", "nan", "inf", "two"] {
            assert!(nano_cpus(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn policies_and_limits_are_read_and_written_alike() {
        for text in [
            "no",
            "always",
            "on-failure",
            "on-failure:3",
            "unless-stopped",
        ] {
            assert_eq!(text.parse::<Restart>().unwrap().to_string(), text);
        }
        for bad in ["", "never", "always:3", "on-failure:0", "on-failure:x"] {
            assert!(bad.parse::<Restart>().is_err(), "{bad}");
        }
        let limit = |text: &str| text.parse::<Ulimit>().map(|limit| limit.to_string());
        assert_eq!(limit("nofile=1024:2048").unwrap(), "nofile=1024:2048");
        assert_eq!(limit("core=0").unwrap(), "core=0:0");
        assert_eq!(limit("memlock=64:-1").unwrap(), "memlock=64:-1");
        for bad in [
            "nofile",
            "nofile=",
            "files=1",
            "nofile=2:1",
            "nofile=-1:5",
            "nofile=-2",
        ] {
            assert!(limit(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn users_are_names_or_numbers() {
        for good in ["1000", "1000:1000", "nobody", "www-data:www-data"] {
            assert_eq!(checked_user(good).unwrap(), good);
        }
        for bad in ["", ":", "1000:", ":1000", "a b", "-1", "a:b:c", "a/b"] {
            assert!(checked_user(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn options_of_logs_may_be_secret() {
        let log_options = ["splunk-token=hunter22", "max-size=10m"];
        let limits = Limits {
            hardened: false,
            user: None,
            restart: Restart::No,
            memory: None,
            nano_cpus: None,
            pids: None,
            ulimits: Vec::new(),
            log_options: log_options.map(|text| log_option(text).unwrap()).to_vec(),
            has_tmp: false,
        };
        let secrets: Vec<_> = limits.secrets().collect();
        assert_eq!(secrets, [("splunk-token", "hunter22")]);
    }
}
