//! The host itself: the engine, who may talk to it, go, disks, the clock.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;

use super::{PATIENCE, careful, failed, lenient, limited, of_commit, ok, silent, warning};
use crate::engine::{BUILTIN, Engine, Facts, Platform, missing_image};
use crate::event::Check;
use crate::failure::{Code, Failure};
use crate::git::Git;
use crate::golang::{Target, Toolchain};
use crate::interrupt::Interrupt;
use crate::plan::{self, Build, Plan, Pull};
use crate::provision;
use crate::release::history;
use crate::shell::quoted;
use crate::stage::{build, package, start};
use crate::units;

/// Free space and files below which a deployment is likely to fail, and below which it soon may.
const LITTLE: (u64, u64) = (64 << 20, 1_000);
const LOW: (u64, u64) = (1 << 30, 10_000);

/// What clocks may differ by: sdp asks the engine for what has happened since a moment of its own.
const SKEW: Duration = Duration::from_secs(1);

/// The engine, which answers.
pub fn engine(facts: &Facts) -> Check {
    let Platform { os, arch, .. } = &facts.platform;
    let rootless = if facts.rootless { ", rootless" } else { "" };
    let line = format!(
        "{}, API {}, {os}/{arch}, {}, {}{rootless}",
        facts.version, facts.api, facts.storage, facts.cgroup
    );
    if facts.storage == "vfs" {
        let hint = "`\"storage-driver\": \"overlay2\"` in the engine's daemon.json shares what vfs copies for each container";
        return warning("engine", line, hint);
    }
    ok("engine", line)
}

/// Who may talk to the engine, which this user may; `None` if that cannot be seen.
pub fn permissions(socket: &Path) -> Option<Check> {
    let found = fs::metadata(socket).ok()?;
    let mode = found.permissions().mode() & 0o777;
    let line = format!(
        "`{}` is for user {} and group {} (mode {mode:o}), and this user may use it",
        socket.display(),
        found.uid(),
        found.gid()
    );
    if mode & 0o002 == 0 {
        return Some(ok("permissions", line));
    }
    let line = format!("{line}, as may everybody: that is root's power on this host");
    let hint = format!("`sudo chmod o-rw {}`", quoted(socket));
    Some(warning("permissions", line, hint))
}

/// The go command, or what is wrong with it.
pub async fn find_go(build: &Build) -> Result<Toolchain, Check> {
    match limited(Toolchain::find(build.go.as_deref())).await {
        Some(found) => found.map_err(|failure| failed("go", &failure)),
        None => Err(go_is_silent("go version")),
    }
}

fn go_is_silent(what: &str) -> Check {
    let message = format!("`{what}` has not answered for {PATIENCE:?}");
    let failure = Failure::new(Code::GoMissing, message).hint("`--go PATH` names another go");
    silent("go", &failure, None)
}

/// How go is asked.
pub struct Look<'a> {
    /// What to build for.
    pub platform: Platform,
    /// What is checked out is what a deployment would build.
    pub is_current: bool,
    pub interrupt: &'a Interrupt,
}

impl Look<'_> {
    /// Whether go is new enough for what is checked out now, and what it is to build is there.
    pub async fn go(&self, plan: Option<&Plan>, toolchain: &Toolchain) -> Check {
        let has_files = |plan: &&Plan| {
            let git = Git::open(&plan.repository.path);
            git.is_ok_and(|git| git.head().is_ok())
        };
        let Some(plan) = plan.filter(has_files) else {
            return ok("go", &toolchain.version);
        };
        match limited(self.for_module(plan, toolchain)).await {
            Some(Ok(check)) => check,
            Some(Err(failure)) => of_commit("go", &failure, self.is_current),
            None => go_is_silent("go list"),
        }
    }

    async fn for_module(&self, plan: &Plan, toolchain: &Toolchain) -> Result<Check, Failure> {
        let root = &plan.repository.path;
        let (directory, _) = package::module(root, &plan.build)?;
        let scratch = std::env::temp_dir();
        let whole = build::target(root, &self.platform, &scratch, &[]);
        let target = Target {
            directory: &directory,
            ..whole
        };
        let interrupt = self.interrupt;
        let build = toolchain.read_only(target, &plan.build, interrupt).await?;
        let build = without_network(build);
        let version = &toolchain.version;
        let asked = match toolchain.asked_for(target, &build, interrupt).await {
            Err(failure) if failure.code == Code::GoTooOld => {
                let mode = toolchain.variable("GOTOOLCHAIN", target, &plan.build, interrupt);
                // Then it downloads the one that is asked for.
                return if mode.await?.ends_with("auto") {
                    Ok(lenient("go", &failure))
                } else {
                    Err(failure)
                };
            }
            asked => asked?,
        };
        // What is named by its import path may have to be fetched first.
        let package = plan.build.package.as_deref();
        if self.is_current && package.is_none_or(|package| package.starts_with('.')) {
            let found = package::find(toolchain, whole, &build, &plan.repository, interrupt).await;
            match found {
                // What other modules have to do with it, only a build can tell.
                Err(failure) if failure.code != Code::BuildFailed => return Err(failure),
                _ => {}
            }
        }
        Ok(match asked {
            Some(asked) if toolchain.is_older_than(&asked) => warning(
                "go",
                format!(
                    "{version}, but go.mod asks for {asked}: what is new in that does not build"
                ),
                "`--go PATH` names a newer go",
            ),
            Some(asked) => ok("go", format!("{version}; go.mod asks for {asked}")),
            None => ok("go", version),
        })
    }

    /// Where go keeps what it has built, if that can be told.
    pub async fn build_cache(&self, build: &Build, toolchain: &Toolchain) -> Option<PathBuf> {
        let here = std::env::current_dir().ok()?;
        let scratch = std::env::temp_dir();
        let target = build::target(&here, &self.platform, &scratch, &[]);
        let asked = toolchain.variable("GOCACHE", target, build, self.interrupt);
        limited(asked).await?.ok().map(PathBuf::from)
    }
}

/// The same build by a go that downloads nothing.
fn without_network(mut build: Build) -> Build {
    let settings = [
        ("GOTOOLCHAIN", "local"),
        ("GOPROXY", "off"),
        ("GONOPROXY", "none"),
    ];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    build.env.extend(settings);
    build
}

/// go takes what is empty for what is not set.
pub fn native() -> Platform {
    Platform {
        os: String::new(),
        arch: String::new(),
        arm: None,
        logs_grow: false,
    }
}

/// The image: is it there, or to be had, and for the engine's platform?
pub async fn image(plan: &Plan, engine: &Engine, platform: &Platform) -> Check {
    let wanted = &plan.container.image;
    let present = match engine.image(wanted).await {
        Ok(present) => present,
        Err(failure) => return failed("image", &failure),
    };
    if let Err(failure) = provision::check(plan, present.as_ref(), platform).await {
        return failed("image", &failure);
    }
    let careless = present
        .as_ref()
        .and_then(|image| start::writable_volumes(plan, image));
    if let Some(warning) = careless {
        return careful("image", &warning);
    }
    match (present, &plan.image_archive) {
        (Some(_), _) if plan.pull == Pull::Always && wanted != BUILTIN => ok(
            "image",
            format!("`{wanted}` is there, and is pulled for each deployment"),
        ),
        (Some(_), _) => ok("image", format!("`{wanted}` is there")),
        (None, _) if wanted == BUILTIN => ok(
            "image",
            "the built-in one, which the first deployment imports",
        ),
        (None, Some(archive)) => ok("image", format!("`{wanted}` is in `{}`", archive.display())),
        (None, None) => {
            let mut check = lenient("image", &missing_image(wanted, None));
            check.line += ", and a deployment pulls it";
            check
        }
    }
}

/// The disks that a deployment writes to: that of the checkout, the temporary files' and `others`.
pub fn disks(plan: Option<&Plan>, others: impl Iterator<Item = PathBuf>) -> Vec<Check> {
    let home = match plan {
        Some(plan) => Some(plan.repository.path.clone()),
        None => plan::home().ok(),
    };
    let places = home.into_iter().chain([std::env::temp_dir()]).chain(others);
    let mut seen = HashSet::new();
    let mut checks = Vec::new();
    for place in places {
        let Some((place, found)) = existing(&place) else {
            continue;
        };
        if seen.insert(found.dev()) {
            checks.extend(disk(&place));
        }
    }
    checks
}

/// The path, or the nearest directory above it that is there.
pub fn existing(path: &Path) -> Option<(PathBuf, fs::Metadata)> {
    let path: PathBuf = path.components().collect();
    path.ancestors()
        .find_map(|path| Some((path.to_owned(), fs::metadata(path).ok()?)))
}

fn disk(place: &Path) -> Option<Check> {
    let found = rustix::fs::statvfs(place).ok()?;
    let space = found.f_bavail * found.f_frsize;
    // Some file systems have no limit.
    let files = (found.f_files > 0).then_some(found.f_favail);
    let shown = files.map_or_else(String::new, |files| format!(" and {files} inodes"));
    let line = format!(
        "{}{shown} free at `{}`",
        units::size(space),
        place.display()
    );
    let below =
        |(least, fewest): (u64, u64)| space < least || files.is_some_and(|files| files < fewest);
    let hint = format!(
        "`df -h {0}` and `df -i {0}`; `sdp prune REPO --keep 2`, `go clean -cache` and `docker image prune` free \
         some (not `docker system prune`: it removes the releases that `sdp rollback` needs)",
        quoted(place)
    );
    Some(if below(LITTLE) {
        let failure = Failure::new(Code::DiskFull, line).hint(hint);
        failed("disk", &failure)
    } else if below(LOW) {
        warning("disk", line, hint)
    } else {
        ok("disk", line)
    })
}

/// The clock: against the engine's, from which it differs by `skew`, and the last commit's.
pub fn clock(plan: Option<&Plan>, skew: Option<Duration>) -> Check {
    let now = SystemTime::now();
    let hint = "`timedatectl` shows whether the clock is synchronized; `sudo timedatectl set-ntp true` has it so";
    let commit = plan.and_then(|plan| Git::open(&plan.repository.path).ok()?.head_time());
    if let Some(ahead) = commit.and_then(|at| at.duration_since(now).ok())
        && ahead > Duration::from_mins(1)
    {
        let line = format!(
            "the commit that is checked out was made {} from now: this clock is wrong, or the committer's was",
            units::span(ahead)
        );
        return warning("clock", line, hint);
    }
    let time = history::time(Timestamp::now());
    match skew {
        None => ok("clock", time),
        Some(skew) if skew > SKEW => {
            let skew = units::span(skew);
            let line = format!(
                "the engine's clock and this one differ by {skew}: sdp may miss what happens there"
            );
            warning("clock", line, hint)
        }
        Some(_) => ok("clock", format!("{time}, as the engine's")),
    }
}
