//! The command line together with what stands elsewhere: in sdp.toml, and in a request.

use std::ffi::{OsStr, OsString};

use clap::builder::{BoolishValueParser, Resettable};
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command as Clap, CommandFactory as _, FromArgMatches as _};

use super::deploy::{Build, Container, Layers, Settings, Source};
use super::{Cli, Command, doctor};

/// What somebody else than the command line says of a flag, or of the argument `repo`.
#[derive(Debug)]
pub struct Given {
    /// The flag's id.
    pub id: String,
    /// None: as if the flag had never been spoken of.
    pub words: Vec<String>,
    /// Where each word stands.
    pub layers: Vec<Layer>,
    /// It counts more than a variable.
    pub beats_variable: bool,
}

/// Where something is said; the greater one counts more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    Defaults,
    Repository,
    Environment,
    Variable,
    Request,
    #[default]
    Flag,
}

/// Ids of flags that add to what stands elsewhere, name by name, instead of replacing it.
const MERGED: [&str; 3] = ["env", "label", "variables"];

/// Ids of what a deployment can be of.
pub const REVISIONS: [&str; 3] = ["branch", "tag", "commit"];

/// The flags and the one argument that can stand elsewhere: those of `deploy`, and the engine's
/// address.
pub fn keys() -> Vec<Arg> {
    let command = Cli::command();
    let host = command
        .get_arguments()
        .filter(|argument| argument.get_id() == "host");
    let deploy = command.find_subcommand("deploy").into_iter();
    let deploy = deploy.flat_map(Clap::get_arguments);
    let deploy = deploy.filter(|argument| {
        argument.get_id() == "args"
            || argument.get_long().is_some() && argument.get_id() != "request"
    });
    deploy.chain(host).cloned().collect()
}

/// Whether what is said of a flag in several places is put together name by name.
pub fn is_merged(id: &str) -> bool {
    MERGED.contains(&id)
}

/// Whether it names what is deployed; one such flag takes the place of another.
pub fn is_revision(id: &str) -> bool {
    REVISIONS.contains(&id)
}

/// Parses a command line. A flag beats a variable beats what is given, also where they name
/// different kinds of revision.
///
/// # Errors
/// What clap has to say, which may be the help; it quotes the words that it does not understand.
pub fn parse(arguments: &[OsString], given: &[Given]) -> Result<(Cli, ArgMatches), clap::Error> {
    let command = without_empty(switchable(Cli::command()));
    let mut command = with(command, given);
    let matches = command
        .try_get_matches_from_mut(arguments)
        .map_err(|error| help(arguments).unwrap_or(error))?;
    let mut cli = Cli::from_arg_matches(&matches)?;
    let Some((name, of_command)) = matches.subcommand() else {
        return Ok((cli, matches));
    };
    if let Some(settings) = cli.command.settings_mut() {
        let Settings {
            source,
            container,
            build,
            ..
        } = settings;
        keep_one_revision(source, of_command);
        keep_one_token(source, of_command, given);
        merge(container, build, given);
        rank(container, given, of_command);
    }
    let is_flag = |id: &str| of_command.value_source(id) == Some(ValueSource::CommandLine);
    let environment = is_flag("environment").then(|| "environment".to_owned());
    let stray = match &cli.command {
        Command::Doctor(flags) if flags.repo.is_none() => {
            environment.or_else(|| doctor::of_a_repository(of_command))
        }
        Command::Status(flags) if flags.repo.is_none() => environment,
        _ => None,
    };
    if let Some(flag) = stray {
        let message = format!("`--{flag}` needs REPO: `sdp {name} REPO --{flag} ...`");
        return Err(misuse(&mut command, name, message));
    }
    if let Command::Deploy(deploy) = &cli.command
        && !deploy.follow
        && let Some(id) = ["redact_logs", "raw"].into_iter().find(|id| is_flag(id))
    {
        let flag = id.replace('_', "-");
        let message = format!("the argument '--{flag}' goes with '--follow' only");
        return Err(misuse(&mut command, name, message));
    }
    Ok((cli, matches))
}

/// The error of the command `name`, with how that is used.
fn misuse(command: &mut Clap, name: &str, message: String) -> clap::Error {
    let kind = ErrorKind::MissingRequiredArgument;
    match command.find_subcommand_mut(name) {
        Some(of) => of.error(kind, message),
        None => command.error(kind, message),
    }
}

/// A switch in sdp.toml can be switched off: `--force=false`.
fn switchable(command: Clap) -> Clap {
    command.mut_subcommands(|command| {
        command.mut_args(|argument| match argument.get_action() {
            ArgAction::SetTrue => argument
                .action(ArgAction::Set)
                .num_args(0..=1)
                .require_equals(true)
                .value_name("true|false")
                .default_missing_value("true")
                .default_value("false")
                .value_parser(BoolishValueParser::new()),
            _ => argument,
        })
    })
}

/// The help, as it is without the values of switches, which would be noise in it.
fn help(arguments: &[OsString]) -> Option<clap::Error> {
    let error = Cli::command().try_get_matches_from(arguments).err()?;
    (!error.use_stderr()).then_some(error)
}

/// A variable that is set to nothing is one that is not set, as secrets of CI jobs are.
fn without_empty(command: Clap) -> Clap {
    let is_empty = |name: &OsStr| std::env::var_os(name).is_some_and(|value| value.is_empty());
    command
        .mut_args(|argument| match argument.get_env() {
            Some(name) if is_empty(name) => argument.env(Resettable::Reset),
            _ => argument,
        })
        .mut_subcommands(without_empty)
}

/// Whatever is given is a default, unless it is merged later on. Commands take from it what flags
/// they have, but none begins to follow because a deployment would.
fn with(command: Clap, given: &[Given]) -> Clap {
    let fill = |argument: Arg| {
        let id = argument.get_id().as_str();
        let Some(found) = given.iter().find(|given| given.id == id) else {
            return argument;
        };
        // Docker's other variable counts as much as the flag's own, which is DOCKER_HOST.
        if id == "host" && !found.beats_variable && names_context() {
            return argument;
        }
        let argument = if found.beats_variable {
            argument.env(Resettable::Reset)
        } else {
            argument
        };
        if found.words.is_empty() || is_merged(&found.id) {
            argument
        } else {
            argument.default_values(found.words.clone())
        }
    };
    command
        .mut_args(fill)
        .mut_subcommands(|command| match command.get_name() {
            "deploy" | "config" => command.mut_args(fill),
            _ => command.mut_args(|argument| match argument.get_id().as_str() {
                "follow" | "repo" => argument,
                _ => fill(argument),
            }),
        })
}

fn names_context() -> bool {
    std::env::var_os("DOCKER_CONTEXT").is_some_and(|name| !name.is_empty())
}

fn keep_one_revision(source: &mut Source, matches: &ArgMatches) {
    let rank = |id: &str| match matches.value_source(id) {
        Some(ValueSource::CommandLine) => 3,
        Some(ValueSource::EnvVariable) => 2,
        Some(_) => 1,
        None => 0,
    };
    let highest = REVISIONS.into_iter().map(rank).max();
    let counts = |id: &str| Some(rank(id)) == highest;
    source.branch = source.branch.take().filter(|_| counts("branch"));
    source.tag = source.tag.take().filter(|_| counts("tag"));
    source.commit = source.commit.take().filter(|_| counts("commit"));
}

/// A token in a variable counts more than a file that sdp.toml names.
fn keep_one_token(source: &mut Source, matches: &ArgMatches, given: &[Given]) {
    let said = given.iter().find(|given| given.id == "git_token_file");
    let is_of_file = matches.value_source("git_token_file") == Some(ValueSource::DefaultValue)
        && said.is_some_and(|said| !said.beats_variable);
    if is_of_file && std::env::var_os("SDP_GIT_TOKEN").is_some_and(|token| !token.is_empty()) {
        source.git_token_file = None;
    }
}

fn merge(container: &mut Container, build: &mut Build, given: &[Given]) {
    for given in given {
        let flags = match given.id.as_str() {
            "env" => &mut container.env,
            "label" => &mut container.label,
            "variables" => &mut build.variables,
            _ => continue,
        };
        let others = given.words.iter().filter(|word| {
            let same = |flag: &String| name_in(flag) == name_in(word);
            !flags.iter().any(same)
        });
        let others: Vec<String> = others.cloned().collect();
        flags.splice(0..0, others);
    }
}

/// Keeps where variables come from: what is nearer counts more, whether it is a file or not.
fn rank(container: &mut Container, given: &[Given], matches: &ArgMatches) {
    let given = |id: &str| given.iter().find(|given| given.id == id);
    let layer = |id: &str| match matches.value_source(id) {
        Some(ValueSource::CommandLine) => Layer::Flag,
        Some(ValueSource::EnvVariable) => Layer::Variable,
        _ => given(id)
            .and_then(|given| given.layers.first().copied())
            .unwrap_or_default(),
    };
    container.layers = Layers {
        env_file: layer("env_file"),
        env_command: layer("env_command"),
        env: container
            .env
            .iter()
            .map(|word| {
                let given = given("env")?;
                let at = given.words.iter().position(|other| other == word)?;
                given.layers.get(at).copied()
            })
            .map(Option::unwrap_or_default)
            .collect(),
    };
}

/// The name in `NAME=VALUE`, or in a name alone.
pub fn name_in(word: &str) -> &str {
    word.split_once('=').map_or(word, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_flag_about_a_repository_needs_one() {
        for (words, told, usage) in [
            (
                &["sdp", "doctor", "-e", "X=1"][..],
                "`--env` needs REPO: `sdp doctor REPO --env ...`",
                "Usage: sdp doctor ",
            ),
            (
                &["sdp", "status", "--environment", "staging"],
                "`--environment` needs REPO: `sdp status REPO --environment ...`",
                "Usage: sdp status ",
            ),
        ] {
            let words: Vec<OsString> = words.iter().map(OsString::from).collect();
            let error = parse(&words, &[]).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
            assert!(error.contains(usage), "{error}");
        }
    }

    #[test]
    fn variables_keep_where_they_come_from() {
        let given = |id: &str, word: &str, layer| Given {
            id: id.to_owned(),
            words: vec![word.to_owned()],
            layers: vec![layer],
            beats_variable: false,
        };
        let given = [
            given("env_file", "a.env", Layer::Environment),
            given("env", "A=1", Layer::Repository),
        ];
        let words = ["sdp", "deploy", "shop", "-e", "B=2", "--env-command", "c"];
        let (cli, _) = parse(&words.map(OsString::from), &given).unwrap();
        let container = cli.command.into_deploy().unwrap().settings.container;
        assert_eq!(container.env, ["A=1", "B=2"]);
        assert_eq!(container.layers.env, [Layer::Repository, Layer::Flag]);
        assert_eq!(container.layers.env_file, Layer::Environment);
        assert_eq!(container.layers.env_command, Layer::Flag);
    }
}
