//! What a deployment is told, and by whom: flags, a request, variables, sdp.toml.
//!
//! The command line is parsed twice. The first time tells which file counts and what it is asked
//! about; the second time, what stands there is the default of the flags. So each flag is a key of
//! its own accord, a flag beats a request beats a variable beats the file, and values are
//! understood in one place.

mod entries;
mod file;
mod request;
#[cfg(test)]
mod schema;
mod tree;
mod trust;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use clap::parser::ValueSource;

use entries::{Entry, Origin, key_name, lay};
use file::File;
use tree::Place;

use crate::cli::{self, Cli, Command, Given, Layer, Login};
use crate::event::{Emitter, Setting};
use crate::failure::{Code, Failure, Result};
use crate::interrupt::Interrupt;
use crate::plan::{Contents, Plan, Repository, Warning, checked_name, resolved};
use crate::redact;

/// A command line and what belongs to it.
#[derive(Debug)]
pub struct Config {
    arguments: Vec<OsString>,
    entries: Vec<Entry>,
    place: Option<cli::Place>,
    login: Option<Login>,
    /// Where sdp.toml is.
    folder: Option<PathBuf>,
    contents: Contents,
    /// What should be known before the command begins.
    pub warnings: Vec<Warning>,
    /// What may be secret of a request, with names, as soon as there is any.
    secrets: Vec<(String, String)>,
    /// The deployment's that is asked for, if it can be one.
    pub id: Option<String>,
}

impl Config {
    pub fn new(arguments: Vec<OsString>) -> Config {
        Config {
            arguments,
            entries: Vec::new(),
            place: None,
            login: None,
            folder: None,
            contents: Contents::default(),
            warnings: Vec::new(),
            secrets: Vec::new(),
            id: None,
        }
    }

    /// Reads the request and sdp.toml, and the command line again in their light.
    ///
    /// # Errors
    /// `usage`, with the place; those of the file system; the interruption.
    pub async fn apply(
        &mut self,
        cli: Cli,
        matches: &ArgMatches,
        interrupt: &Interrupt,
    ) -> Result<Cli> {
        let of_command = matches.subcommand().map_or(matches, |(_, matches)| matches);
        let is_flag = |id: &str| {
            let is_there = of_command.ids().any(|known| known == id);
            is_there && of_command.value_source(id) == Some(ValueSource::CommandLine)
        };
        if let Command::Deploy(flags) = &cli.command {
            self.identify(flags.settings.release.id.as_deref());
        }
        let mut request = self.request(&cli, is_flag("id"), interrupt).await?;
        if is_flag("repo") {
            request.repository = None;
        }
        if is_flag("environment") {
            request.environment = None;
        }
        if !is_flag("git_token_file") {
            self.login = request.login.take();
        }
        let mut cli = cli;
        let repo = cli.command.repo_mut().map(|repo| repo.word.clone());
        let repo = request.repository.clone().or(repo);
        let environment = request.environment.or(cli.global.environment.clone());
        // A variable may tell of one where everything is asked about.
        let environment = environment.filter(|_| repo.is_some());

        let settings = cli.command.settings_mut();
        let path = settings.and_then(|settings| settings.source.path.clone());
        let deployed = deployed(path, repo.as_deref(), &request.entries);
        let file = File::find(cli.global.config.as_deref(), &deployed, &mut self.warnings)?;
        self.folder = file.as_ref().and_then(File::folder).map(Path::to_owned);
        match (&file, &repo, &environment) {
            (Some(file), repo, environment) => {
                let repo = repo.as_deref().unwrap_or_default();
                (self.entries, self.place) = file.select(repo, environment.as_deref())?;
                if self.place.is_none() {
                    self.warnings.extend(file.likely_slip(repo));
                }
            }
            (None, _, Some(environment)) => {
                let message = format!("there is no sdp.toml that could tell of `{environment}`");
                return Err(Failure::new(Code::Usage, message).hint(
                    "`--config FILE` names one; `[repos.NAME.environments.ENV]` in it is an environment",
                ));
            }
            (None, _, None) => {}
        }
        lay(&mut self.entries, request.entries);
        if let Some(repository) = request.repository {
            let words = vec![entries::Word {
                text: repository,
                origin: Origin::Request,
                layer: Layer::Request,
            }];
            self.entries.push(Entry {
                key: "repo".to_owned(),
                id: "repo".to_owned(),
                words,
                from_request: true,
            });
        }
        if self.entries.is_empty() && self.place.is_none() && self.login.is_none() {
            return Ok(cli);
        }
        self.parse(&self.entries).map(|(cli, _)| cli)
    }

    async fn request(
        &mut self,
        cli: &Cli,
        has_id: bool,
        interrupt: &Interrupt,
    ) -> Result<request::Request> {
        let (Command::Deploy(flags) | Command::Config(flags)) = &cli.command else {
            return Ok(request::Request::default());
        };
        let Some(path) = flags.request.clone() else {
            return Ok(request::Request::default());
        };
        // Standard input may be silent for ever.
        let read = tokio::task::spawn_blocking(move || request::read(&path));
        let read = async { read.await.map_err(anyhow::Error::from)? };
        let members = interrupt.or(read).await?;
        self.secrets = request::secrets(&members);
        if let (Command::Deploy(_), false, Some(id)) = (&cli.command, has_id, request::id(&members))
        {
            self.identify(Some(id));
        }
        request::request(members)
    }

    fn identify(&mut self, id: Option<&str>) {
        let id = id.filter(|id| checked_name("--id", id).is_ok());
        self.id = id.map(str::to_owned);
    }

    /// The command line with these entries.
    fn parse(&self, entries: &[Entry]) -> Result<(Cli, ArgMatches)> {
        let names_revision = |entry: &Entry| entry.from_request && entry.names_revision();
        let revision = entries.iter().any(names_revision);
        let mut given: Vec<Given> = entries.iter().map(Entry::given).collect();
        if revision {
            // A variable of another kind of revision is beaten, too.
            for id in cli::REVISIONS {
                if !given.iter().any(|given| given.id == id) {
                    given.push(Given {
                        id: id.to_owned(),
                        words: Vec::new(),
                        layers: Vec::new(),
                        beats_variable: true,
                    });
                }
            }
        }
        let (mut cli, matches) = cli::parse(&self.arguments, &given).map_err(|error| {
            // It was understood once, and every value was looked at: nothing is quoted here.
            let kind = error.kind();
            Failure::new(
                Code::Usage,
                format!("the settings do not go together: {kind}"),
            )
            .hint("`sdp config REPO` shows them")
        })?;
        if let Some(repo) = cli.command.repo_mut() {
            repo.place.clone_from(&self.place);
        }
        if let Command::Deploy(deploy) | Command::Config(deploy) = &mut cli.command {
            deploy.settings.source.login.clone_from(&self.login);
        }
        Ok((cli, matches))
    }

    /// Tells the warnings.
    pub fn tell(&self, emitter: &Emitter) {
        for Warning { line, hint } in &self.warnings {
            emitter.warn(line, Some(hint.clone()));
        }
    }

    /// Reads the files that a deployment is told of: see [`Contents::read`].
    ///
    /// # Errors
    /// The interruption.
    pub async fn read(&mut self, deploy: &cli::Deploy, interrupt: &Interrupt) -> Result<()> {
        self.contents.read(deploy, interrupt).await
    }

    /// Runs the command of `--env-command`, if there is one; that of sdp.toml where the file is, as its
    /// paths are relative to that, too.
    ///
    /// # Errors
    /// Those of [`Contents::ask`].
    pub async fn ask(&mut self, deploy: &cli::Deploy, interrupt: &Interrupt) -> Result<()> {
        let container = &deploy.settings.container;
        let Some(command) = &container.env_command else {
            return Ok(());
        };
        let is_of_file = container.layers.env_command < Layer::Variable;
        let folder = self.folder.as_deref().filter(|_| is_of_file);
        self.contents.ask(command, folder, interrupt).await
    }

    /// What no event may show, as far as it is known: an error may quote any word of a deployment of
    /// which no plan can be made, and of a request.
    pub fn secrets_in(&self, deploy: Option<&cli::Deploy>) -> Vec<(String, String)> {
        let of_deploy = deploy.map(|deploy| Plan::secrets_in(deploy, &self.contents));
        let of_request = self.secrets.iter().cloned();
        of_deploy.into_iter().flatten().chain(of_request).collect()
    }

    /// The plan of a deployment, whose files have been read.
    ///
    /// # Errors
    /// Those of [`Plan::new`], with the place of what is to blame for them.
    pub fn plan(&mut self, deploy: &cli::Deploy) -> Result<Plan> {
        let mut plan = Plan::new(deploy, &self.contents).map_err(|failure| self.blame(failure))?;
        plan.warnings.splice(0..0, self.warnings.drain(..));
        Ok(plan)
    }

    /// Puts the place before a failure's message: that of the word without which there is no failure,
    /// or at least another one.
    fn blame(&self, failure: Failure) -> Failure {
        let mut suspect = None;
        for (at, entry) in self.entries.iter().enumerate() {
            // Without a repository there is always another failure.
            let words = entry.words.iter().filter(|_| entry.id != "repo");
            for (number, word) in words.enumerate() {
                match self.plan_without(at, number) {
                    Some(Ok(_)) => return told_at(failure, entry, word),
                    Some(Err(other)) if other.message != failure.message => {
                        suspect.get_or_insert((entry, word));
                    }
                    _ => {}
                }
            }
        }
        match suspect {
            Some((entry, word)) => told_at(failure, entry, word),
            None => failure,
        }
    }

    fn plan_without(&self, entry: usize, word: usize) -> Option<Result<Plan>> {
        let mut entries = self.entries.clone();
        entries[entry].words.remove(word);
        let (cli, _) = self.parse(&entries).ok()?;
        let other = cli.command.into_deploy()?;
        Some(Plan::new(&other, &self.contents))
    }

    /// The flags of a deployment with their values and where these come from; secrets are left out.
    ///
    /// # Errors
    /// Those of [`Plan::new`].
    pub fn settings(&mut self, deploy: &cli::Deploy) -> Result<Vec<Setting>> {
        let plan = self.plan(deploy)?;
        self.warnings = plan.warnings;
        let (_, matches) = self.parse(&self.entries)?;
        let source = &deploy.settings.source;
        let counts = |id: &str| match id {
            "branch" => source.branch.is_some(),
            "tag" => source.tag.is_some(),
            "commit" => source.commit.is_some(),
            "git_token_file" => source.git_token_file.is_some(),
            id => id != "dry_run",
        };
        let of_command = matches
            .subcommand()
            .map_or(&matches, |(_, matches)| matches);
        let is_requested = self.entries.iter().any(|entry| entry.id == "repo");
        let named = |key: &str, value: String| Setting {
            key: key.to_owned(),
            value,
            origin: if is_requested { "request" } else { "flag" },
            place: None,
        };
        let mut settings = vec![named("repository", plan.repository.name)];
        for key in cli::keys() {
            let found = if counts(key.get_id().as_str()) {
                self.setting(&key, of_command)
            } else {
                Vec::new()
            };
            // REPO tells the path, too.
            let path = plan.repository.path.display().to_string();
            let is_path = key.get_id() == "path";
            match found.as_slice() {
                [] if is_path => settings.push(named("path", path)),
                _ => settings.extend(found),
            }
        }
        Ok(settings)
    }

    fn setting(&self, key: &clap::Arg, matches: &ArgMatches) -> Vec<Setting> {
        let id = key.get_id().as_str();
        let name = key_name(key);
        let entry = self.entries.iter().find(|entry| entry.id == id);
        let given = entry.map_or(&[][..], |entry| &entry.words);
        let setting = |text: &str, origin: &'static str, place: Option<String>| Setting {
            key: name.to_owned(),
            value: text.to_owned(),
            origin,
            place,
        };
        let told = |word: &entries::Word| {
            let (origin, place) = word.origin.told();
            setting(&word.text, origin, place)
        };
        let raw = matches.get_raw(id).into_iter().flatten();
        let raw: Vec<String> = raw
            .map(|word| word.to_string_lossy().into_owned())
            .collect();
        let mut settings: Vec<Setting> = match matches.value_source(id) {
            Some(ValueSource::CommandLine) => {
                let is_other = |word: &&entries::Word| {
                    let same = |raw: &String| cli::name_in(raw) == cli::name_in(&word.text);
                    cli::is_merged(id) && !raw.iter().any(same)
                };
                let others = given.iter().filter(is_other).map(told);
                let flags = raw.iter().map(|word| setting(word, "flag", None));
                others.chain(flags).collect()
            }
            Some(ValueSource::EnvVariable) => {
                let variable = key
                    .get_env()
                    .map(|name| name.to_string_lossy().into_owned());
                raw.iter()
                    .map(|word| setting(word, "variable", variable.clone()))
                    .collect()
            }
            _ if !given.is_empty() => given.iter().map(told).collect(),
            Some(_) => raw
                .iter()
                .map(|word| setting(word, "default", None))
                .collect(),
            None => Vec::new(),
        };
        let values: Vec<String> = settings
            .iter()
            .map(|setting| setting.value.clone())
            .collect();
        for (setting, value) in settings.iter_mut().zip(shown(id, values)) {
            setting.value = value;
        }
        settings
    }
}

impl Entry {
    fn given(&self) -> Given {
        Given {
            id: self.id.clone(),
            words: self.words.iter().map(|word| word.text.clone()).collect(),
            layers: self.words.iter().map(|word| word.layer).collect(),
            beats_variable: self.from_request,
        }
    }
}

impl Origin {
    /// What it is on the wire, and where.
    fn told(&self) -> (&'static str, Option<String>) {
        match self {
            Origin::File { name, place } => ("file", Some(format!("{name}:{}", place.line))),
            Origin::Request => ("request", None),
            Origin::Checkout(path) => ("checkout", Some(path.display().to_string())),
        }
    }
}

/// The checkouts that the command is about as far as no file has told of others.
fn deployed(path: Option<PathBuf>, repo: Option<&str>, request: &[Entry]) -> Vec<PathBuf> {
    let repo = repo.map(|word| cli::Repo {
        word: word.to_owned(),
        place: None,
    });
    let repo = repo.and_then(|repo| Some(Repository::resolve(&repo).ok()?.path));
    let of_request = request.iter().filter(|entry| entry.key == "path");
    let of_request = of_request.flat_map(|entry| &entry.words);
    let mut paths: Vec<PathBuf> = of_request.map(|word| word.text.clone().into()).collect();
    paths.extend(path);
    let paths = paths.iter().filter_map(|path| resolved(path).ok());
    paths.chain(repo).collect()
}

/// What a failure says with the place of the word that is to blame.
fn told_at(failure: Failure, entry: &Entry, word: &entries::Word) -> Failure {
    match &word.origin {
        Origin::File { name, place } => {
            let Place { line, column } = place;
            let message = format!("{name}:{line}:{column}: {}", failure.message);
            Failure { message, ..failure }
        }
        Origin::Request => {
            // Which may hold a secret in any place.
            let masked = |text: &str| match word.text.as_str() {
                "" => text.to_owned(),
                word => text.replace(word, "***"),
            };
            let message = format!("the request: `{}`: {}", entry.key, masked(&failure.message));
            let hint = failure.hint.as_deref().map(masked);
            Failure {
                message,
                hint,
                ..failure
            }
        }
        Origin::Checkout(_) => failure,
    }
}

/// Values without what may be secret in them.
fn shown(id: &str, mut values: Vec<String>) -> Vec<String> {
    match id {
        "env" | "variables" => {
            for value in &mut values {
                if let Some((name, _)) = value.split_once('=') {
                    *value = format!("{name}=***");
                }
            }
        }
        "url" | "host" => values
            .iter_mut()
            .for_each(|value| *value = redact::url(value)),
        // The name of a secret, and of the file that it is in.
        "secret" => {}
        "args" | "label" | "log_opt" => redact::mask_named_in(&mut values),
        _ => values.iter_mut().for_each(redact::mask_named),
    }
    values
}
