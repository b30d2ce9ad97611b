//! The command line as clap sees it, and nothing else; [`crate::plan`] gives it meaning.
#![allow(clippy::doc_markdown)] // these comments are the help's text

use std::ffi::OsStr;
use std::num::{NonZeroU32, ParseIntError};
use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::{FalseyValueParser, Resettable};
use clap::parser::ValueSource;
use clap::{
    Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum, ValueHint,
};
use clap_complete::Shell;

/// Deploy a git branch of a Go program as a container: git and go build on the host, a stock image,
/// no Dockerfile.
#[derive(Debug, Parser)]
#[command(name = "sdp", version, max_term_width = 100, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,

    #[command(flatten)]
    pub global: Global,

    /// --verbose, before the command (after `deploy`, -v mounts a volume)
    #[arg(short = 'v')]
    pub verbose_first: bool,
}

const EXAMPLES: &str = "\
Examples:
  sdp deploy . --branch main -p 8080:8080      deploy the checkout in this directory
  sdp deploy https://git.example.com/shop.git  clone it first, below $SDP_HOME
  sdp deploy shop --json | jq -r .line         the same events for a script
  sdp logs shop -f                             what the program prints, until Ctrl-C
  sdp status                                   what runs on this host
  sdp rollback shop                            the release before this one, without a build";

#[derive(Debug, Subcommand)]
pub enum Command {
    Deploy(Box<Deploy>),
    Rollback(Rollback),
    Start(Start),
    Stop(Stop),
    Logs(Logs),
    Status(Status),
    Prune(Prune),
    Completions(Completions),
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Write JSON lines to standard output, and nothing else
    #[arg(long, global = true)]
    pub json: bool,

    /// Say nothing but warnings and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,

    /// Say more: each stage as it starts, each remark
    #[arg(long, global = true)]
    pub verbose: bool,

    /// When to use colour; NO_COLOR and CLICOLOR_FORCE are respected
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    pub color: Color,

    /// The engine's address, such as unix:///run/docker.sock or tcp://127.0.0.1:2375
    #[arg(
        short = 'H',
        long,
        global = true,
        env = "DOCKER_HOST",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub host: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    Auto,
    Always,
    Never,
}

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
  0 deployed              4 a git stage failed      8 another deployment is under way
  1 a fault in sdp        5 go build failed         130, 143 interrupted
  2 usage                 6 the new container failed; what served before still serves
  3 host not ready        7 the new container failed, and the former one did not come back")]
pub struct Deploy {
    /// A checkout (., ./shop, /srv/shop), a git URL, or a directory's name below $SDP_ROOT
    #[arg(value_hint = ValueHint::AnyPath)]
    pub repo: String,

    /// Arguments for the program
    #[arg(last = true, value_name = "APP-ARGS")]
    pub args: Vec<String>,

    #[command(flatten)]
    pub source: Source,
    #[command(flatten)]
    pub build: Build,
    #[command(flatten)]
    pub container: Container,
    #[command(flatten)]
    pub release: Release,

    /// Follow the program's output after the deployment, until Ctrl-C
    #[arg(short, long, help_heading = "Output")]
    pub follow: bool,

    /// Mask the values of the container's variables in that output, too
    #[arg(long, requires = "follow", help_heading = "Output")]
    pub redact_logs: bool,

    /// Let the program's output steer the terminal: colours, but anything else, too
    #[arg(long, help_heading = "Output", requires = "follow")]
    pub raw: bool,
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
    #[arg(long, env = "SDP_SUBMODULES", value_parser = FalseyValueParser::new())]
    pub submodules: bool,
}

impl Cli {
    /// Parses the command line. A flag beats a variable, also where they name different kinds of
    /// revision.
    ///
    /// # Errors
    /// What clap has to say, which may be the help; it quotes the words that it does not understand.
    pub fn parse_arguments() -> Result<Cli, clap::Error> {
        let matches = without_empty(Cli::command()).try_get_matches()?;
        let mut cli = Cli::from_arg_matches(&matches)?;
        if let (Command::Deploy(deploy), Some((_, matches))) =
            (&mut cli.command, matches.subcommand())
        {
            let is_flag = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
            if ["branch", "tag", "commit"].into_iter().any(is_flag) {
                let source = &mut deploy.source;
                source.branch = source.branch.take().filter(|_| is_flag("branch"));
                source.tag = source.tag.take().filter(|_| is_flag("tag"));
                source.commit = source.commit.take().filter(|_| is_flag("commit"));
            }
        }
        Ok(cli)
    }
}

/// A variable that is set to nothing is one that is not set, as secrets of CI jobs are.
fn without_empty(command: clap::Command) -> clap::Command {
    let is_empty = |name: &OsStr| std::env::var_os(name).is_some_and(|value| value.is_empty());
    command
        .mut_args(|argument| match argument.get_env() {
            Some(name) if is_empty(name) => argument.env(Resettable::Reset),
            _ => argument,
        })
        .mut_subcommands(without_empty)
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
    #[arg(long, env = "SDP_CGO", value_parser = FalseyValueParser::new())]
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

    /// Set a variable, or pass on sdp's own with the name alone
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    pub env: Vec<String>,

    /// Set the variables in this file
    #[arg(long, env = "SDP_ENV_FILE", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub env_file: Vec<PathBuf>,

    /// Publish a port
    #[arg(short, long, value_name = "[IP:][HOST:]PORT[/PROTO]")]
    pub publish: Vec<String>,

    /// Mount a directory of the host, or a named volume
    #[arg(short = 'v', long, value_name = "SOURCE:TARGET[:ro]")]
    pub volume: Vec<String>,

    /// The port that the program listens on
    #[arg(long, env = "SDP_PORT", default_value_t = 8080, value_name = "PORT")]
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

    /// Untracked files that the release takes along, such as 'assets/**/*.css'
    #[arg(long, value_name = "GLOB")]
    pub include: Vec<String>,
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

#[derive(Debug, Args)]
#[command(next_help_heading = "Release")]
pub struct Release {
    /// The deployment's id [default: the time and four random digits]
    #[arg(long, env = "SDP_ID")]
    pub id: Option<String>,

    /// How many releases stay, with their stopped containers
    #[arg(long, env = "SDP_KEEP", default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub keep: u16,

    /// The path that must answer with 2xx or 3xx on the program's port
    #[arg(long, env = "SDP_HEALTH_HTTP", value_name = "PATH")]
    pub health_http: Option<String>,

    /// How long --health-http may take to answer
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
    #[arg(long, conflicts_with = "follow")]
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

/// Show what the program printed
#[derive(Debug, Args)]
#[allow(clippy::struct_field_names)] // the flag's name
#[command(after_help = "\
Examples:
  sdp logs shop -f                 until Ctrl-C
  sdp logs shop --tail 100 --since 10m --timestamps")]
#[allow(clippy::struct_excessive_bools)] // they are flags
pub struct Logs {
    /// The repository: a name, a checkout, or a URL
    #[arg(value_hint = ValueHint::AnyPath)]
    pub repo: String,

    /// Go on with what it prints from now on, also after restarts and deployments, until Ctrl-C
    #[arg(short, long)]
    pub follow: bool,

    /// Begin with the last N lines
    #[arg(short = 'n', long, value_name = "N|all", default_value = "all")]
    pub tail: Tail,

    /// Begin that long ago, or at that moment: 10m, 2026-11-24T06:15:00Z
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,

    /// End that long ago, or at that moment; with --follow, when it comes
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,

    /// Only one of the two streams
    #[arg(long, value_enum, value_name = "STREAM")]
    pub stream: Option<Stream>,

    /// Let the program's output steer the terminal: colours, but anything else, too
    #[arg(long)]
    pub raw: bool,

    /// Put the time before each line
    #[arg(short, long)]
    pub timestamps: bool,

    /// Mask the values of the container's variables
    #[arg(long)]
    pub redact_logs: bool,
}

/// How many of the last lines; `None`: all.
#[derive(Clone, Copy, Debug)]
pub struct Tail(pub Option<u32>);

impl FromStr for Tail {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Tail, ParseIntError> {
        match text {
            "all" => Ok(Tail(None)),
            count => count.parse().map(|count| Tail(Some(count))),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Stream {
    Stdout,
    Stderr,
}

/// Show what runs, since when, and on which commit
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sdp status                       everything that sdp runs on this host
  sdp status shop --json | jq -r .commit
  sdp status shop --history        what was done to it")]
pub struct Status {
    /// The repository: a name, a checkout, or a URL [default: all]
    #[arg(value_hint = ValueHint::AnyPath)]
    pub repo: Option<String>,

    /// What was done to it, oldest first
    #[arg(long, requires = "repo")]
    pub history: bool,
}

/// Go back to an earlier release: no git, no build, the same health check
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sdp rollback shop                           to the release before the one that runs
  sdp rollback shop --to 20261124-061512-3f9c")]
pub struct Rollback {
    /// The repository: a name, a checkout, or a URL
    #[arg(value_hint = ValueHint::AnyPath)]
    pub repo: String,

    /// The deployment to go back to; `sdp status REPO` lists them
    #[arg(long, value_name = "ID")]
    pub to: Option<String>,

    /// Never run two releases at once: stop the one that runs first
    #[arg(long)]
    pub no_canary: bool,
}

/// Start again what stop stopped
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sdp start shop")]
pub struct Start {
    /// The repository: a name, a checkout, or a URL
    #[arg(value_hint = ValueHint::AnyPath)]
    pub repo: String,
}

/// Remove old releases and their stopped containers
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sdp prune shop --keep 2
  sdp prune shop --keep 1 --dry-run")]
pub struct Prune {
    /// The repository: a name, a checkout, or a URL
    #[arg(value_hint = ValueHint::AnyPath)]
    pub repo: String,

    /// How many releases stay
    #[arg(long, env = "SDP_KEEP", default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub keep: u16,

    /// Only say what would be removed
    #[arg(long)]
    pub dry_run: bool,
}

/// Stop what runs
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sdp stop shop
  sdp stop /srv/shop --stop-timeout 1m")]
pub struct Stop {
    /// The repository: a name, a checkout, or a URL
    #[arg(value_hint = ValueHint::AnyPath)]
    pub repo: String,

    /// How long the program may take to stop before it is killed
    #[arg(
        long,
        env = "SDP_STOP_TIMEOUT",
        default_value = "10s",
        value_name = "DURATION"
    )]
    pub stop_timeout: String,
}

/// Write the completions for a shell to standard output
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sdp completions bash > /etc/bash_completion.d/sdp
  sdp completions zsh > ~/.zfunc/_sdp")]
pub struct Completions {
    pub shell: Shell,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound_and_every_flag_is_in_the_readme() {
        let mut cli = Cli::command();
        cli.build();
        cli.clone().debug_assert();
        let readme = include_str!("../README.md");
        for command in cli.get_subcommands() {
            for flag in command.get_arguments().filter_map(clap::Arg::get_long) {
                let known = readme.contains(&format!("--{flag}"));
                assert!(
                    known || flag == "help",
                    "--{flag} of {}",
                    command.get_name()
                );
            }
            for variable in command.get_arguments().filter_map(clap::Arg::get_env) {
                let variable = variable.to_string_lossy();
                assert!(
                    readme.contains(&*variable),
                    "{variable} of {}",
                    command.get_name()
                );
            }
        }
    }
}
