//! The commands: what each needs before it can begin, and where it reports to.

use std::ffi::OsString;

use clap::ArgMatches;

use crate::cli::{self, Cli, Command, Repo};
use crate::config::Config;
use crate::deploy;
use crate::doctor::{self, Patient};
use crate::engine::{self, Engine, LogQuery};
use crate::event::{self, Emitter, Event};
use crate::failure::{Failure, Result};
use crate::git::Git;
use crate::handover::Canary;
use crate::interrupt::{self, Interrupt};
use crate::plan::{self, Build, Plan, Repository, Secret};
use crate::redact::Redactor;
use crate::rollback::{self, Goal};
use crate::session::{Session, abort, answer};
use crate::{logs, panics, prune, report, status, stop, upkeep};

/// Runs the command of `arguments`, which `cli` and `matches` are parsed from.
pub async fn run(
    cli: Cli,
    matches: &ArgMatches,
    arguments: Vec<OsString>,
    options: report::Options,
) -> u8 {
    let interrupt = match Interrupt::listen() {
        Ok(interrupt) => interrupt,
        Err(error) => return abort(options, Redactor::default(), &error.into()),
    };
    let mut config = Config::new(arguments);
    let applied = panics::caught(config.apply(cli, matches, &interrupt)).await;
    let code = match applied {
        Ok(cli) => {
            let host = cli.global.host.as_deref();
            dispatch(cli.command, host, &mut config, options, &interrupt).await
        }
        Err(failure) => refuse(failure, &config, None, options, &interrupt).await,
    };
    if code != 0 || interrupt.signal().is_some() {
        // What a cancelled fetch has started must not outlive it.
        interrupt::kill_children();
    }
    code
}

/// Ends a command that could not begin: `flags` are those of a deployment of which no plan could be made.
async fn refuse(
    failure: Failure,
    config: &Config,
    flags: Option<&cli::Deploy>,
    options: report::Options,
    interrupt: &Interrupt,
) -> u8 {
    let secrets = redactor(&config.secrets_in(flags));
    let session = Session::new(config.id.as_deref(), options, secrets);
    config.tell(&session.emitter);
    session.end(Err(failure), interrupt).await
}

async fn dispatch(
    command: Command,
    host: Option<&str>,
    config: &mut Config,
    options: report::Options,
    interrupt: &Interrupt,
) -> u8 {
    match command {
        Command::Deploy(flags) => deploy(*flags, host, config, options, interrupt).await,
        Command::Config(flags) => show(&flags, config, options, interrupt).await,
        Command::Logs(flags) => logs(&flags, host, config, options, interrupt).await,
        Command::Rollback(flags) => {
            let goal = flags.to.as_deref().map_or(Goal::Previous, Goal::Deployment);
            let canary = if flags.no_canary {
                Canary::Never
            } else {
                Canary::First
            };
            rollback(&flags.repo, goal, canary, host, config, options, interrupt).await
        }
        Command::Start(flags) => {
            let (goal, canary) = (Goal::Last, Canary::First);
            rollback(&flags.repo, goal, canary, host, config, options, interrupt).await
        }
        Command::Stop(flags) => stop(&flags, host, config, options, interrupt).await,
        Command::Prune(flags) => {
            answer(Some(""), options, interrupt, async |emitter| {
                config.tell(emitter);
                let (engine, repository) = deployed(host, &flags.repo).await?;
                let keep = usize::from(flags.keep);
                prune::prune(&engine, &repository, keep, flags.dry_run, emitter).await
            })
            .await
        }
        Command::Status(flags) => {
            answer(Some(""), options, interrupt, async |emitter| {
                config.tell(emitter);
                status(&flags, host, emitter).await
            })
            .await
        }
        Command::Doctor(flags) => doctor(*flags, host, config, options, interrupt).await,
        Command::Completions(_) => 0,
    }
}

async fn show(
    flags: &cli::Deploy,
    config: &mut Config,
    options: report::Options,
    interrupt: &Interrupt,
) -> u8 {
    let settings = async {
        config.read(flags, interrupt).await?;
        config.settings(flags)
    };
    let settings = match panics::caught(settings).await {
        Ok(settings) => settings,
        Err(failure) => return refuse(failure, config, Some(flags), options, interrupt).await,
    };
    let secrets = redactor(&config.secrets_in(Some(flags)));
    let session = Session::new(Some(""), options, secrets);
    config.tell(&session.emitter);
    for setting in settings {
        session.emitter.emit(Event::Setting(setting));
    }
    session.end(Ok(Event::Answered), interrupt).await
}

/// No signal cuts it in the middle of its stage: that has an end on every exit.
async fn stop(
    flags: &cli::Stop,
    host: Option<&str>,
    config: &Config,
    options: report::Options,
    interrupt: &Interrupt,
) -> u8 {
    let session = Session::new(None, options, Redactor::default());
    let emitter = &session.emitter;
    config.tell(emitter);
    let stopped = async {
        let timeout = flags.stop_timeout.as_deref();
        let timeout = timeout.map(|text| plan::duration("--stop-timeout", text));
        let timeout = timeout.transpose()?;
        let found = deployed(host, &flags.repo);
        let (engine, repository) = interrupt.or(found).await?;
        stop::stop(&engine, &repository, timeout, emitter, interrupt).await
    };
    let result = panics::caught(stopped).await;
    session.end(result, interrupt).await
}

async fn status(flags: &cli::Status, host: Option<&str>, emitter: &Emitter) -> Result<Event> {
    if let (Some(repo), true) = (&flags.repo, flags.history) {
        let (_, repository) = deployed(host, repo).await?;
        status::history(&repository, emitter)?;
        return Ok(Event::Answered);
    }
    let repository = flags.repo.as_ref().map(Repository::resolve).transpose()?;
    let (engine, containers) = containers(host, repository.as_ref()).await?;
    status::status(&engine, &containers, repository.as_ref(), emitter).await?;
    Ok(Event::Answered)
}

async fn rollback(
    repo: &Repo,
    goal: Goal<'_>,
    canary: Canary,
    host: Option<&str>,
    config: &Config,
    options: report::Options,
    interrupt: &Interrupt,
) -> u8 {
    let found = interrupt.or(panics::caught(rollback_of(host, repo))).await;
    let (engine, repository, secrets) = match found {
        Ok(found) => found,
        Err(failure) => return refuse(failure, config, None, options, interrupt).await,
    };
    let session = Session::new(None, options, redactor(&secrets));
    let emitter = &session.emitter;
    config.tell(emitter);
    let ended = rollback::rollback(goal, canary, &repository, &engine, emitter, interrupt).await;
    session.finish(ended.exit_code, 0, interrupt).await
}

/// What there is to go back to, and the variables of it, which no event may show.
async fn rollback_of(
    host: Option<&str>,
    repo: &Repo,
) -> Result<(Engine, Repository, Vec<(String, String)>)> {
    let (engine, repository) = deployed(host, repo).await?;
    let mut secrets = Vec::new();
    for container in upkeep::containers(&engine, &repository).await? {
        secrets.extend(secrets_of(&engine, &container.id).await?);
    }
    let stored = Git::stored_secret(&repository.path);
    secrets.extend(stored.map(|secret| ("password".to_owned(), secret)));
    Ok((engine, repository, secrets))
}

/// A container's variables and the files of `--secret`, as far as they are still there.
async fn secrets_of(engine: &Engine, id: &str) -> Result<Vec<(String, String)>> {
    let given = engine.given(id, plan::SECRETS).await?;
    let contents = tokio::task::spawn_blocking(move || {
        let files = given.files.into_iter();
        let contents =
            files.filter_map(|(name, file)| Some((name, Secret::content(file.as_ref())?)));
        contents.collect::<Vec<_>>()
    });
    let contents = contents.await.map_err(anyhow::Error::from)?;
    Ok(given.variables.into_iter().chain(contents).collect())
}

fn redactor(variables: &[(String, String)]) -> Redactor {
    Redactor::new(
        variables
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str())),
    )
}

/// For what a deployment knows and no event may show.
fn redactor_of(plan: &Plan) -> Redactor {
    let stored = Git::stored_secret(&plan.repository.path);
    let stored = stored.as_deref().map(|secret| ("password", secret));
    Redactor::new(plan.secrets().chain(stored))
}

async fn deploy(
    flags: cli::Deploy,
    host: Option<&str>,
    config: &mut Config,
    options: report::Options,
    interrupt: &Interrupt,
) -> u8 {
    let planned = async {
        config.read(&flags, interrupt).await?;
        config.ask(&flags, interrupt).await?;
        config.plan(&flags)
    };
    let plan = match panics::caught(planned).await {
        Ok(plan) => plan,
        Err(failure) => return refuse(failure, config, Some(&flags), options, interrupt).await,
    };
    let redactor = redactor_of(&plan).with_logs(flags.redact_logs);
    let options = report::Options {
        raw: flags.raw,
        ..options
    };
    let session = Session::new(Some(&plan.id), options, redactor);
    let deployed = deploy::deploy(&plan, host, &session.emitter, interrupt).await;
    if let (true, Some(container)) = (plan.follow, &deployed.container) {
        let wanted = LogQuery {
            follow: true,
            ..LogQuery::default()
        };
        let program = logs::Program {
            id: container.clone(),
            service: None,
        };
        let followed = match Engine::connect(host) {
            Ok(engine) => {
                let logs = logs::logs(&engine, program, wanted, &session.emitter, interrupt);
                session.while_read(panics::caught(logs)).await
            }
            Err(failure) => Err(failure),
        };
        if let Err(failure) = followed {
            // The deployment has succeeded, and says so with its exit code.
            session.emitter.warn(failure.to_string(), failure.hint);
        }
    }
    session.finish(deployed.exit_code, 0, interrupt).await
}

async fn doctor(
    flags: cli::Doctor,
    host: Option<&str>,
    config: &mut Config,
    options: report::Options,
    interrupt: &Interrupt,
) -> u8 {
    let go = flags.settings.build.go.clone();
    let flags = flags.into_deploy();
    let planned = async {
        let Some(flags) = &flags else { return Ok(None) };
        config.read(flags, interrupt).await?;
        config.plan(flags).map(Some)
    };
    let plan = match panics::caught(planned).await {
        Ok(plan) => plan,
        Err(failure) => return refuse(failure, config, flags.as_ref(), options, interrupt).await,
    };
    let redactor = plan.as_ref().map(redactor_of).unwrap_or_default();
    let build = match &plan {
        Some(plan) => plan.build.clone(),
        None => Build {
            go,
            ..Build::default()
        },
    };
    let patient = Patient {
        plan: plan.as_ref(),
        build: &build,
        host,
        has_env_command: flags.is_some_and(|flags| flags.settings.container.env_command.is_some()),
    };
    let session = Session::new(Some(""), options, redactor);
    config.tell(&session.emitter);
    let looked = panics::caught(doctor::doctor(&patient, &session.emitter, interrupt));
    let result = interrupt.or(looked).await;
    session.end(result, interrupt).await
}

async fn logs(
    flags: &cli::Logs,
    host: Option<&str>,
    config: &Config,
    options: report::Options,
    interrupt: &Interrupt,
) -> u8 {
    let found = async {
        let moment = |flag, text: &Option<String>| {
            let text = text.as_deref();
            text.map(|text| plan::moment(flag, text)).transpose()
        };
        let wanted = LogQuery {
            follow: flags.follow,
            tail: flags.tail.0,
            since: moment("--since", &flags.since)?,
            until: moment("--until", &flags.until)?,
            timestamps: flags.timestamps,
            only: flags.stream.map(|stream| match stream {
                cli::Stream::Stdout => event::Stream::Stdout,
                cli::Stream::Stderr => event::Stream::Stderr,
            }),
            ..LogQuery::default()
        };
        let repository = Repository::resolve(&flags.repo)?;
        let (engine, containers) = containers(host, Some(&repository)).await?;
        let chosen = logs::choose(&containers, &repository.name)?.clone();
        let secrets = if flags.redact_logs {
            secrets_of(&engine, &chosen.id).await?
        } else {
            Vec::new()
        };
        Ok((engine, chosen, secrets, wanted))
    };
    let options = report::Options {
        raw: flags.raw,
        ..options
    };
    let (engine, chosen, secrets, wanted) = match interrupt.or(panics::caught(found)).await {
        Ok(found) => found,
        Err(failure) => return refuse(failure, config, None, options, interrupt).await,
    };
    let id = chosen
        .identity
        .as_ref()
        .map(|identity| identity.deployment.clone());
    let redactor = redactor(&secrets).with_logs(flags.redact_logs);
    let session = Session::new(id.as_deref(), options, redactor);
    config.tell(&session.emitter);
    let program = logs::Program {
        id: chosen.id,
        service: chosen.identity,
    };
    let logs = logs::logs(&engine, program, wanted, &session.emitter, interrupt);
    let result = session.while_read(panics::caught(logs)).await;
    let result = result.map(|()| Event::Answered);
    session.end(result, interrupt).await
}

/// sdp's containers: those of a repository, or all.
async fn containers(
    host: Option<&str>,
    repository: Option<&Repository>,
) -> Result<(Engine, Vec<engine::Container>)> {
    let engine = Engine::connect(host)?;
    let containers = engine.containers().await?;
    let containers = match repository {
        Some(repository) => status::select(containers, repository)?,
        None => containers,
    };
    Ok((engine, containers))
}

/// The repository that a word on the command line stands for, with the checkout that it was
/// deployed from, which a name alone does not tell.
async fn deployed(host: Option<&str>, repo: &Repo) -> Result<(Engine, Repository)> {
    let mut repository = Repository::resolve(repo)?;
    let (engine, containers) = containers(host, Some(&repository)).await?;
    if let Some(identity) = containers
        .iter()
        .find_map(|container| container.identity.as_ref())
    {
        repository.path.clone_from(&identity.path);
    }
    Ok((engine, repository))
}
