//! The command line as clap sees it, and nothing else; [`crate::plan`] gives it meaning.
#![allow(clippy::doc_markdown)] // these comments are the help's text

mod deploy;

use std::ffi::OsStr;
use std::num::ParseIntError;
use std::str::FromStr;

use clap::builder::Resettable;
use clap::parser::ValueSource;
use clap::{
    Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum, ValueHint,
};
use clap_complete::Shell;

pub use deploy::{Deliver, Deploy, Mount, Pull, Source};

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

    /// The engine's address, such as unix:///run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST
    /// [default: that of docker's context]
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
