//! Flags and variables become a validated plan. Nothing is touched here.

mod arguments;
mod contents;
mod env_command;
mod env_file;
mod limits;
mod repository;
mod secrets;
mod stamp;

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use arguments::{checked_name, duration, moment};
use arguments::{delivery, each, health_path, include, inside, label, revision, some_time, usage};
pub use contents::{Contents, open_file};
pub use secrets::{SECRETS, Secret};
use secrets::{build_variables, credentials, exposed_files, variables};

use crate::cli;
pub use crate::cli::{Deliver, Mount, Pull};
use crate::credentials::Credentials;
use crate::engine::{BUILTIN, check_image};
use crate::failure::Result;
use crate::git::Revision;
use crate::redact;
pub use limits::{Limits, Restart};
pub use repository::{Repository, below_root, home, is_path, is_url, named, resolved};
pub use stamp::Stamp;

/// Everything that a deployment is to do.
#[allow(clippy::struct_excessive_bools)] // they are flags
#[derive(Debug)]
pub struct Plan {
    pub id: String,
    pub repository: Repository,
    pub source: Source,
    pub force: bool,
    pub submodules: bool,
    pub build: Build,
    pub container: Container,
    pub pull: Pull,
    /// A file to load the image from, if it is not there.
    pub image_archive: Option<PathBuf>,
    pub health: Health,
    pub hooks: Hooks,
    pub keep: usize,
    pub canary: bool,
    pub if_changed: bool,
    pub dry_run: bool,
    pub lock_wait: Duration,
    pub follow: bool,
    /// What should be known before the deployment begins.
    pub warnings: Vec<Warning>,
}

/// Something that does not keep a plan from being carried out.
#[derive(Debug)]
pub struct Warning {
    pub line: String,
    /// What to do about it.
    pub hint: String,
}

/// What to get of the repository, and how.
#[derive(Clone, Debug)]
pub struct Source {
    /// `None`: the branch that is checked out, or the remote's main one.
    pub revision: Option<Revision>,
    /// How many commits a clone takes at most.
    pub depth: Option<NonZeroU32>,
    pub credentials: Credentials,
    /// How long a transfer may make no progress.
    pub timeout: Duration,
}

/// How to build.
#[derive(Clone, Debug, Default)]
pub struct Build {
    pub package: Option<String>,
    /// Relative to the checkout, and inside it.
    pub workdir: PathBuf,
    pub tags: Option<String>,
    /// With places for a [`Stamp`], until [`Build::stamped`] has filled them.
    pub ldflags: Option<String>,
    pub cgo: bool,
    /// For go and what it starts.
    pub env: Vec<(String, String)>,
    pub go: Option<PathBuf>,
}

/// What the container is like.
#[derive(Debug)]
pub struct Container {
    pub image: String,
    /// The later one of two with the same name counts.
    pub env: Vec<(String, String)>,
    pub publish: Vec<Publish>,
    pub volumes: Vec<Volume>,
    pub port: u16,
    pub network: Option<String>,
    pub labels: Vec<(String, String)>,
    pub args: Vec<String>,
    pub stop_timeout: Duration,
    pub mount: Mount,
    pub deliver: Deliver,
    /// Untracked files that the release takes along, as patterns relative to the checkout.
    pub include: Vec<String>,
    pub secrets: Vec<Secret>,
    pub limits: Limits,
}

/// What proves a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    pub http: Option<String>,
    pub timeout: Duration,
    pub settle: Duration,
}

/// Commands for a shell, at three points of a deployment.
#[derive(Clone, Debug, Default)]
pub struct Hooks {
    /// On the host, in the directory that is built in.
    pub before_build: Option<String>,
    /// In a container of the new release.
    pub before_start: Option<String>,
    /// On the host, once the new release serves.
    pub after_deploy: Option<String>,
}

/// A host port that leads to a port of the container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish {
    /// `None`: all of the host's addresses.
    pub ip: Option<String>,
    /// `None`: the engine picks one.
    pub host: Option<u16>,
    pub port: u16,
    pub protocol: &'static str,
}

/// A directory of the host or a named volume, and where it appears in the container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// An absolute path, or a volume's name.
    pub source: String,
    pub target: String,
    pub read_only: bool,
}

impl Publish {
    /// Whether both want the same port of the host.
    pub fn collides(&self, other: &Publish) -> bool {
        other
            .host
            .is_some_and(|host| self.wants(other.address(), host, other.protocol))
    }

    /// Whether it wants this port of the host; no address, or an unspecified one, means all of them.
    pub fn wants(&self, ip: Option<IpAddr>, host: u16, protocol: &str) -> bool {
        let specified = |ip: Option<IpAddr>| ip.filter(|ip| !ip.is_unspecified());
        let (ours, theirs) = (specified(self.address()), specified(ip));
        self.host == Some(host)
            && self.protocol == protocol
            && (ours.is_none() || theirs.is_none() || ours == theirs)
    }

    /// The first one that leads to this TCP port of the container.
    pub fn of_port(publish: &[Publish], port: u16) -> Option<Publish> {
        let mut publish = publish.iter();
        let found = publish.find(|p| p.port == port && p.protocol == "tcp");
        found.cloned()
    }

    fn address(&self) -> Option<IpAddr> {
        self.ip.as_ref().and_then(|ip| ip.parse().ok())
    }
}

impl Plan {
    /// `contents` are those of the deployment's files.
    ///
    /// # Errors
    /// `usage`, where a value cannot be meant.
    pub fn new(deploy: &cli::Deploy, contents: &Contents) -> Result<Plan> {
        let cli::Settings {
            source,
            build,
            container,
            limits,
            release,
            hooks,
        } = &deploy.settings;
        let Some(repo) = &deploy.repo else {
            return Err(usage(
                "the request names no repository",
                "give `repository` or `path` in it, or REPO on the command line",
            ));
        };
        let (repository, login) =
            Repository::with_login(repo, source.path.as_deref(), source.url.as_deref())?;
        check_image(&container.image, container.image_archive.is_some())?;
        if let Some(command) = &hooks.before_start
            && container.image == BUILTIN
            && container.volume.is_empty()
        {
            let command = redact::command(command);
            return Err(usage(
                format!("the image `{BUILTIN}` has no shell to run `{command}` with"),
                "`--image alpine:3.20` has one; without `--before-start`, the program itself can do it when it starts",
            ));
        }
        let volumes = each(&container.volume, Volume::parse)?;
        let mut plan = Plan {
            id: match &release.id {
                Some(id) => checked_name("--id", id)?,
                None => fresh_id(),
            },
            repository,
            source: Source {
                revision: revision(source)?,
                depth: source.depth,
                credentials: credentials(source, login, contents)?,
                timeout: some_time("--git-timeout", &source.git_timeout)?,
            },
            force: source.force,
            submodules: source.submodules,
            build: Build {
                package: build.package.clone(),
                workdir: inside(
                    "--workdir",
                    build.workdir.as_deref().unwrap_or(Path::new("")),
                )?,
                tags: build.tags.clone(),
                ldflags: build.ldflags.clone(),
                cgo: build.cgo,
                env: build_variables(&build.variables)?,
                go: build.go.clone(),
            },
            container: Container {
                image: container.image.clone(),
                env: variables(container, contents)?,
                publish: each(&container.publish, Publish::parse)?,
                limits: Limits::new(limits, &volumes)?,
                volumes,
                port: container.port,
                network: container.network.clone(),
                labels: each(&container.label, label)?,
                args: deploy.args.clone(),
                stop_timeout: duration("--stop-timeout", &container.stop_timeout)?,
                mount: container.mount,
                deliver: delivery(container.deliver, container.mount)?,
                include: each(&container.include, include)?,
                secrets: each(&container.secret, |word| Secret::parse(word, contents))?,
            },
            pull: container.pull,
            image_archive: container.image_archive.clone(),
            health: Health {
                http: release
                    .health_http
                    .as_deref()
                    .map(health_path)
                    .transpose()?,
                timeout: duration("--health-timeout", &release.health_timeout)?,
                settle: duration("--settle", &release.settle)?,
            },
            hooks: Hooks {
                before_build: hooks.before_build.clone(),
                before_start: hooks.before_start.clone(),
                after_deploy: hooks.after_deploy.clone(),
            },
            keep: usize::from(release.keep),
            canary: !release.no_canary,
            if_changed: release.if_changed,
            dry_run: release.dry_run,
            lock_wait: duration("--lock-wait", &release.lock_wait)?,
            follow: deploy.follow,
            warnings: Vec::new(),
        };
        let files = container.env_file.iter().chain(&source.git_token_file);
        plan.warnings = exposed_files(files, &plan.container);
        let revision = plan.source.revision.as_ref();
        plan.check_stamp(revision.map_or("", Revision::stamp))?;
        Ok(plan)
    }

    /// The mounted secrets that the container's user cannot read, as far as both are of this host: whether
    /// they are, the engine knows.
    pub fn unreadable_secrets(&self) -> Vec<Warning> {
        let Some(reader) = self.container.limits.reader() else {
            return Vec::new();
        };
        let us = rustix::process::getuid().as_raw();
        let secrets = self.container.secrets.iter();
        let failing = secrets.filter_map(|secret| reader.fails_at(&secret.file, us));
        failing.collect()
    }

    /// Whether the linker's flags can be filled in for this branch.
    ///
    /// # Errors
    /// `usage`.
    pub fn check_stamp(&self, branch: &str) -> Result<()> {
        let commit = "";
        let id = &self.id;
        self.build.stamped(Stamp { id, branch, commit }).map(drop)
    }

    /// The secrets among the flags of a deployment of which no plan can be made, as far as they can be
    /// read: an error may quote any word of the command line.
    pub fn secrets_in(deploy: &cli::Deploy, contents: &Contents) -> Vec<(String, String)> {
        secrets::secrets(deploy, contents)
    }

    /// The secrets that no event may show, with the names of their variables.
    pub fn secrets(&self) -> impl Iterator<Item = (&str, &str)> {
        let credentials = &self.source.credentials;
        let token = credentials
            .token
            .as_deref()
            .filter(|token| !token.is_empty());
        // Where there is no password, the user is the secret.
        let is_alone = credentials.token.as_deref() == Some("");
        let user = credentials.user.as_deref().filter(|_| is_alone);
        self.container
            .env
            .iter()
            .chain(&self.build.env)
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .chain(self.container.secrets.iter().map(Secret::pair))
            .chain(token.or(user).map(|secret| ("token", secret)))
            .chain(self.container.limits.secrets())
    }
}

impl Container {
    /// The variables of the container, those that tell of secrets among them.
    pub fn variables(&self) -> Vec<(String, String)> {
        let of_secrets = self.secrets.iter();
        let of_secrets =
            of_secrets.map(|secret| (format!("{}_FILE", secret.name), secret.target()));
        let is_free =
            |(name, _): &(String, String)| !self.env.iter().any(|(other, _)| other == name);
        let of_secrets = of_secrets.filter(is_free);
        self.env.iter().cloned().chain(of_secrets).collect()
    }

    /// What is mounted beside the release.
    pub fn mounts(&self) -> Vec<Volume> {
        let of_secrets = self.secrets.iter().map(|secret| Volume {
            source: secret.file.to_string_lossy().into_owned(),
            target: secret.target(),
            read_only: true,
        });
        self.volumes.iter().cloned().chain(of_secrets).collect()
    }
}

impl Build {
    /// The same with the linker's flags filled in.
    ///
    /// # Errors
    /// `usage`, where they cannot be.
    pub fn stamped(&self, stamp: Stamp<'_>) -> Result<Build> {
        let ldflags = self.ldflags.as_deref();
        Ok(Build {
            ldflags: ldflags.map(|flags| stamp.fill(flags)).transpose()?,
            ..self.clone()
        })
    }
}

/// The time and four random digits: sorts by time, and two at once do not meet.
pub fn fresh_id() -> String {
    use std::hash::{BuildHasher as _, RandomState};
    let random = RandomState::new().hash_one(0) & 0xffff;
    let now = jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S");
    format!("{now}-{random:04x}")
}
