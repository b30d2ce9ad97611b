//! The command line as clap sees it, and nothing else; [`crate::plan`] gives it meaning.
#![allow(clippy::doc_markdown)] // these comments are the help's text

mod deploy;
mod doctor;
mod parse;

use std::convert::Infallible;
use std::num::ParseIntError;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;

pub use deploy::{Container, Deliver, Deploy, Limits, Login, Mount, Pull, Settings, Source};
pub use doctor::Doctor;
pub use parse::{Given, Layer, REVISIONS, is_merged, is_revision, keys, name_in, parse};

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
  sdp rollback shop                            the release before this one, without a build
  sdp doctor shop                              is this host ready to deploy it";

#[derive(Debug, Subcommand)]
pub enum Command {
    Deploy(Box<Deploy>),
    Rollback(Rollback),
    Start(Start),
    Stop(Stop),
    Logs(Logs),
    Status(Status),
    Prune(Prune),
    Doctor(Box<Doctor>),
    /// Show the settings a deployment would use, and where each comes from (flag, variable, sdp.toml, default)
    ///
    /// Takes REPO and the flags of deploy, and does nothing. Values of variables are left out.
    #[command(after_help = "\
Examples:
  sdp config shop                       what sdp.toml says of shop, and the rest
  sdp config .                          the same, if this is shop's checkout
  sdp config shop --environment staging
  sdp config shop --json | jq -r 'select(.key == \"image\") | .value'")]
    Config(Box<Deploy>),
    Completions(Completions),
}

impl Command {
    /// The repository that the command is about.
    pub fn repo_mut(&mut self) -> Option<&mut Repo> {
        match self {
            Command::Deploy(flags) | Command::Config(flags) => flags.repo.as_mut(),
            Command::Rollback(flags) => Some(&mut flags.repo),
            Command::Start(flags) => Some(&mut flags.repo),
            Command::Stop(flags) => Some(&mut flags.repo),
            Command::Logs(flags) => Some(&mut flags.repo),
            Command::Status(flags) => flags.repo.as_mut(),
            Command::Prune(flags) => Some(&mut flags.repo),
            Command::Doctor(flags) => flags.repo.as_mut(),
            Command::Completions(_) => None,
        }
    }

    /// What the command says of a deployment.
    pub fn settings_mut(&mut self) -> Option<&mut Settings> {
        match self {
            Command::Deploy(flags) | Command::Config(flags) => Some(&mut flags.settings),
            Command::Doctor(flags) => Some(&mut flags.settings),
            _ => None,
        }
    }

    /// The deployment that the command makes, shows or asks about.
    pub fn into_deploy(self) -> Option<Deploy> {
        match self {
            Command::Deploy(flags) | Command::Config(flags) => Some(*flags),
            Command::Doctor(flags) => flags.into_deploy(),
            _ => None,
        }
    }
}

/// REPO: the word on the command line, and what it stands for if it is a name in sdp.toml.
#[derive(Clone, Debug)]
pub struct Repo {
    pub word: String,
    pub place: Option<Place>,
}

/// What sdp.toml says of a repository, or of one of its environments.
#[derive(Clone, Debug)]
pub struct Place {
    pub name: String,
    /// The checkout.
    pub path: PathBuf,
    /// The checkout is where it is wherever sdp is started.
    pub is_fixed: bool,
}

impl FromStr for Repo {
    type Err = Infallible;

    fn from_str(word: &str) -> Result<Repo, Infallible> {
        let word = word.to_owned();
        Ok(Repo { word, place: None })
    }
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

    /// The engine's address, such as unix:///run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST
    /// [default: DOCKER_CONTEXT, else host in sdp.toml, else docker's current context]
    #[arg(
        short = 'H',
        long,
        global = true,
        env = "DOCKER_HOST",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub host: Option<String>,

    /// The environment of a repository in sdp.toml: a deployment of its own
    #[arg(long, global = true, env = "SDP_ENVIRONMENT", value_name = "ENV")]
    pub environment: Option<String>,

    /// The configuration [default: ./sdp.toml, else in $XDG_CONFIG_HOME/sdp, else in /etc/sdp]
    #[arg(long, global = true, env = "SDP_CONFIG", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    Auto,
    Always,
    Never,
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
    pub repo: Repo,

    /// Go on with what it prints from now on, also after restarts and deployments, until Ctrl-C or `sdp stop`
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
  sdp status shop --json | jq -r 'select(.kind == \"service\").commit'
  sdp status shop --history        what was done to it")]
pub struct Status {
    /// The repository: a name, a checkout, or a URL [default: all]
    #[arg(value_hint = ValueHint::AnyPath)]
    pub repo: Option<Repo>,

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
    pub repo: Repo,

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
    pub repo: Repo,
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
    pub repo: Repo,

    /// How many releases stay; the one that serves counts
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
    pub repo: Repo,

    /// How long the program may take to stop before it is killed [default: as its deployment was told]
    #[arg(long, env = "SDP_STOP_TIMEOUT", value_name = "DURATION")]
    pub stop_timeout: Option<String>,
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
