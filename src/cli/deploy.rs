//! `sdp deploy` as clap sees it.
#![allow(clippy::doc_markdown)] // these comments are the help's text

use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};

use super::{Layer, Repo};

/// Fetch, check out, build and start a branch; replace what runs once the new release is proven
///
/// The stages are git fetch, git checkout, git pull, go build, start container and health check. A
/// deployment that fails leaves what was serving, serving.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sdp deploy . --branch main -p 8080:8080
  sdp deploy /srv/shop --package ./cmd/shop --env-file /etc/shop.env --health-http /healthz
  sdp deploy https://git.example.com/team/shop.git -f
  sdp deploy shop -e LOG_LEVEL=debug -- --workers 4

Exit codes:
  0 deployed, or unchanged      3 host not ready
  1 a fault in sdp              4 a git stage failed
  2 usage                       5 go build, or the hook before it, failed
  6 the new container, or the hook before it, failed; what served before, if anything, still serves
  7 the new container failed, and the former one did not come back
  8 another deployment is under way     130, 143 interrupted")]
pub struct Deploy {
    /// A name in sdp.toml, a checkout (., ./shop, /srv/shop), a git URL, or the name of a directory
    /// below $SDP_ROOT or of a clone of a URL
    #[arg(value_hint = ValueHint::AnyPath, required_unless_present = "request")]
    pub repo: Option<Repo>,

    /// Read further flags from a JSON object, - for standard input; keeps secrets out of the process
    /// list
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub request: Option<PathBuf>,

    /// Arguments for the program
    #[arg(last = true, value_name = "APP-ARGS")]
    pub args: Vec<String>,

    #[command(flatten)]
    pub settings: Settings,

    /// Follow the program's output after the deployment, until Ctrl-C
    #[arg(short, long, help_heading = "Output", conflicts_with = "dry_run")]
    pub follow: bool,

    /// Mask the values of the container's variables in that output, too
    #[arg(long, help_heading = "Output")]
    pub redact_logs: bool,

    /// Let the program's output steer the terminal: colours, but anything else, too
    #[arg(long, help_heading = "Output")]
    pub raw: bool,
}

/// What a deployment is like, and what can be asked about one.
#[derive(Debug, Args)]
pub struct Settings {
    #[command(flatten)]
    pub source: Source,
    #[command(flatten)]
    pub build: Build,
    #[command(flatten)]
    pub container: Container,
    #[command(flatten)]
    pub limits: Limits,
    #[command(flatten)]
    pub release: Release,
    #[command(flatten)]
    pub hooks: Hooks,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Source")]
pub struct Source {
    /// The branch to deploy [default: the one that is checked out]
    #[arg(short, long, env = "SDP_BRANCH")]
    pub branch: Option<String>,

    /// The tag to deploy instead
    #[arg(long, env = "SDP_TAG")]
    pub tag: Option<String>,

    /// The commit to deploy instead: its id, or the beginning of it
    #[arg(long, env = "SDP_COMMIT", value_name = "ID")]
    pub commit: Option<String>,

    /// Where the checkout is, or goes when it is cloned
    #[arg(long, env = "SDP_PATH", value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub path: Option<PathBuf>,

    /// Where to clone from when there is no checkout yet
    #[arg(long, env = "SDP_URL", hide_env_values = true)]
    pub url: Option<String>,

    /// Drop local changes to tracked files, and follow a rewritten branch or a moved tag
    #[arg(long)]
    pub force: bool,

    /// Clone no more than the last N commits
    #[arg(long, env = "SDP_DEPTH", value_name = "N")]
    pub depth: Option<NonZeroU32>,

    /// The private key for ssh, before any other
    #[arg(long, env = "SDP_SSH_KEY", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub ssh_key: Option<PathBuf>,

    /// A file with the password or token for http; else SDP_GIT_TOKEN, or what git has
    #[arg(long, env = "SDP_GIT_TOKEN_FILE", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub git_token_file: Option<PathBuf>,

    /// How long a transfer may make no progress
    #[arg(
        long,
        env = "SDP_GIT_TIMEOUT",
        default_value = "60s",
        value_name = "DURATION"
    )]
    pub git_timeout: String,

    /// Bring submodules to where the commit has them, which takes the git program
    #[arg(long, env = "SDP_SUBMODULES")]
    pub submodules: bool,

    /// User and token of a request.
    #[arg(skip)]
    pub login: Option<Login>,
}

/// User, and password or token, for http.
#[derive(Clone, Debug)]
pub struct Login {
    pub user: Option<String>,
    pub token: String,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Build")]
pub struct Build {
    /// The main package to build, such as ./cmd/shop [default: the only one, else ./cmd/REPO]
    #[arg(long, env = "SDP_PACKAGE")]
    pub package: Option<String>,

    /// The directory in the repository to build in, where the module is not at its root
    #[arg(long, env = "SDP_WORKDIR", value_name = "DIR")]
    pub workdir: Option<PathBuf>,

    /// Build tags, separated by commas
    #[arg(long, env = "SDP_TAGS")]
    pub tags: Option<String>,

    /// Flags for the linker, as go build takes them; {{commit}}, {{branch}} and {{id}} are filled in
    #[arg(long, env = "SDP_LDFLAGS", allow_hyphen_values = true)]
    pub ldflags: Option<String>,

    /// Build with cgo; the image must have the C library that the program is linked against
    #[arg(long, env = "SDP_CGO")]
    pub cgo: bool,

    /// Set a variable for the build only, such as GOPRIVATE, or take sdp's own with the name alone
    #[arg(long = "build-env", value_name = "NAME[=VALUE]")]
    pub variables: Vec<String>,

    /// The go command to use [default: the one in PATH, else /usr/local/go/bin/go]
    #[arg(long, env = "SDP_GO", value_name = "PATH", value_hint = ValueHint::ExecutablePath)]
    pub go: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Container")]
pub struct Container {
    /// The image to run the program in; `builtin` is a minimal one that sdp carries
    #[arg(long, env = "SDP_IMAGE", default_value = "alpine:3.20")]
    pub image: String,

    /// When to pull the image
    #[arg(long, env = "SDP_PULL", value_enum, default_value_t = Pull::Missing, value_name = "WHEN")]
    pub pull: Pull,

    /// Load the image from this file, as docker save writes it, where it would be pulled
    #[arg(long, env = "SDP_IMAGE_ARCHIVE", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub image_archive: Option<PathBuf>,

    /// Set a variable, or pass on sdp's own with the name alone
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    pub env: Vec<String>,

    /// Set the variables in this file
    #[arg(long, env = "SDP_ENV_FILE", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub env_file: Vec<PathBuf>,

    /// Set the variables that a shell command prints, as in a file
    #[arg(long, env = "SDP_ENV_COMMAND", value_name = "COMMAND", value_hint = ValueHint::CommandString)]
    pub env_command: Option<String>,

    /// Where its variables come from.
    #[arg(skip)]
    pub layers: Layers,

    /// Mount a file at /run/secrets/NAME, and set NAME_FILE to that
    #[arg(long, value_name = "NAME=FILE", value_hint = ValueHint::FilePath)]
    pub secret: Vec<String>,

    /// Publish a port; without HOST the engine picks the host's port
    #[arg(short, long, value_name = "[IP:][HOST:]PORT[/PROTO]")]
    pub publish: Vec<String>,

    /// Mount a directory of the host, or a named volume
    #[arg(short = 'v', long, value_name = "SOURCE:TARGET[:ro]")]
    pub volume: Vec<String>,

    /// The port that the program listens on
    #[arg(long, env = "SDP_PORT", default_value_t = 8080, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: u16,

    /// The network to join
    #[arg(long, env = "SDP_NETWORK", value_name = "NAME")]
    pub network: Option<String>,

    /// Add a label
    #[arg(long, value_name = "NAME=VALUE")]
    pub label: Vec<String>,

    /// How long a container may take to stop before it is killed
    #[arg(
        long,
        env = "SDP_STOP_TIMEOUT",
        default_value = "10s",
        value_name = "DURATION"
    )]
    pub stop_timeout: String,

    /// What is mounted at /src: this deployment's own copy, or the live checkout, writable
    #[arg(long, env = "SDP_MOUNT", value_enum, default_value_t = Mount::Release, value_name = "WHAT")]
    pub mount: Mount,

    /// How the release gets to the engine
    #[arg(long, env = "SDP_DELIVER", value_enum, default_value_t = Deliver::Auto, value_name = "HOW")]
    pub deliver: Deliver,

    /// Untracked files that the release takes along, such as 'assets/**/*.css'
    #[arg(long, value_name = "GLOB")]
    pub include: Vec<String>,
}

/// Where variables come from, by kind; `env` tells it of each word.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    pub env_file: Layer,
    pub env_command: Layer,
    pub env: Vec<Layer>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Pull {
    /// When it is not there
    Missing,
    /// Before every deployment
    Always,
    /// Not at all
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mount {
    /// .sdp/releases/ID, read-only
    Release,
    /// The checkout itself, writable
    Checkout,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Deliver {
    /// Mounted; uploaded to another host, or where the engine cannot see this one's directories
    Auto,
    /// A directory of this host
    Mount,
    /// A volume of the engine's, filled through its API
    Upload,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub struct Limits {
    /// Take away what servers seldom need: a read-only root, no capabilities, not root, 512 processes
    #[arg(long, env = "SDP_HARDENED")]
    pub hardened: bool,

    /// Who the program runs as [default: the image's user; with --hardened 65534:65534]
    #[arg(long, env = "SDP_USER", value_name = "UID[:GID]|NAME")]
    pub user: Option<String>,

    /// How much memory it may take, such as 256m
    #[arg(long, env = "SDP_MEMORY", value_name = "BYTES")]
    pub memory: Option<String>,

    /// How many processors it may keep busy, such as 1.5
    #[arg(long, env = "SDP_CPUS", value_name = "NUMBER")]
    pub cpus: Option<String>,

    /// How many processes and threads it may have [with --hardened: 512]
    #[arg(long, env = "SDP_PIDS", value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    pub pids: Option<u32>,

    /// A limit of the kernel's, such as nofile=1024:2048
    #[arg(long, value_name = "NAME=SOFT[:HARD]")]
    pub ulimit: Vec<String>,

    /// An option of the log driver [json-file: max-size=10m and max-file=3, unless the engine has others]
    #[arg(long, value_name = "NAME=VALUE")]
    pub log_opt: Vec<String>,

    /// When the engine starts it again: no, always, on-failure, on-failure:N or unless-stopped
    #[arg(
        long,
        env = "SDP_RESTART",
        default_value = "unless-stopped",
        value_name = "POLICY"
    )]
    pub restart: String,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Release")]
pub struct Release {
    /// The deployment's id [default: the time and four random digits]
    #[arg(long, env = "SDP_ID")]
    pub id: Option<String>,

    /// How many releases stay, with their stopped containers; the one that serves counts
    #[arg(long, env = "SDP_KEEP", default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub keep: u16,

    /// The path that must answer with 2xx or 3xx on the program's port
    #[arg(long, env = "SDP_HEALTH_HTTP", value_name = "PATH")]
    pub health_http: Option<String>,

    /// How long --health-http, or the port that -p publishes, may take to answer
    #[arg(
        long,
        env = "SDP_HEALTH_TIMEOUT",
        default_value = "30s",
        value_name = "DURATION"
    )]
    pub health_timeout: String,

    /// How long a program that does not listen must stay up
    #[arg(
        long,
        env = "SDP_SETTLE",
        default_value = "2s",
        value_name = "DURATION"
    )]
    pub settle: String,

    /// Never run two releases at once: with a host port in common, stop the former one first
    #[arg(long)]
    pub no_canary: bool,

    /// Leave what runs alone if commit, settings and image are the same, and it is healthy
    #[arg(long)]
    pub if_changed: bool,

    /// Only say what would be done, with the docker run line that comes nearest to it
    #[arg(long)]
    pub dry_run: bool,

    /// How long to wait for another deployment of the repository to end
    #[arg(
        long,
        env = "SDP_LOCK_WAIT",
        default_value = "0s",
        value_name = "DURATION"
    )]
    pub lock_wait: String,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Hooks")]
pub struct Hooks {
    /// A shell command on this host, in --workdir, before go build; what it changes in tracked files is
    /// part of the build and is put back after it
    #[arg(long, env = "SDP_BEFORE_BUILD", value_name = "CMD")]
    pub before_build: Option<String>,

    /// A shell command in a container of the new release, before that replaces what runs: a migration;
    /// if it fails, what runs stays
    #[arg(long, env = "SDP_BEFORE_START", value_name = "CMD")]
    pub before_start: Option<String>,

    /// A shell command on this host, in --workdir, once a new release serves; not where nothing changed,
    /// and not after a rollback
    #[arg(long, env = "SDP_AFTER_DEPLOY", value_name = "CMD")]
    pub after_deploy: Option<String>,
}
