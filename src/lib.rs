//! sdp turns a git branch of a Go program into a running container on this machine's engine.
//!
//! The modules, from the edge to the middle; each names only those further down:
//!
//! - `cli`: the command line as clap sees it, `plan`: the same as a validated plan
//! - `report`: events as bars, lines or JSON
//! - `deploy`: the pipeline, `rehearse`: the same without doing it; `rollback`, `stop`, `logs`, `status`,
//!   `prune`: the other commands; `run`: what a deployment and a rollback have in common
//! - `stage`: one function per stage, each taking what the former one made
//! - `handover`: from the former container to the new one, and back; `probe`: does it serve?
//! - `release`: what lies in `.sdp/`; `upkeep`: what is cleared away; `provision`: the image
//! - `git`, `golang`, `engine`: the outside worlds; nobody else names gix, runs go or names bollard
//! - `credentials`, `interrupt`, `redact`, `units`, `event`, `failure`: what all of them speak

mod cli;
mod credentials;
mod deploy;
mod engine;
mod event;
mod failure;
mod git;
mod golang;
mod handover;
mod interrupt;
mod logs;
mod plan;
mod probe;
mod provision;
mod prune;
mod redact;
mod rehearse;
mod release;
mod report;
mod rollback;
mod run;
mod stage;
mod status;
mod stop;
mod units;
mod upkeep;

/// What tests/fuzz reaches into.
#[cfg(fuzzing)]
pub mod fuzz {
    pub use crate::engine::Lines;
    pub use crate::event::{LogLine, Stream};
}

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::CommandFactory as _;

use cli::{Cli, Command, Global};
use engine::{Container, Engine};
use event::{Emitter, Event};
use failure::{Failure, Result};
use git::Git;
use handover::Canary;
use interrupt::Interrupt;
use plan::{Plan, Repository};
use redact::Redactor;
use rollback::Goal;

/// After a signal, a reader that has stopped reading is waited for no longer than this.
const PATIENCE: Duration = Duration::from_secs(2);

/// The whole program: parses the command line, runs the command, and tells the exit code.
pub fn run() -> ExitCode {
    let arguments = || std::env::args_os().skip(1);
    let as_helper =
        credentials::answer_git(arguments()).or_else(|| golang::run_on_leash(arguments()));
    if let Some(code) = as_helper {
        return ExitCode::from(code);
    }
    let cli = Cli::parse_arguments();
    if let Command::Completions(completions) = &cli.command {
        let mut script = Vec::new();
        clap_complete::generate(completions.shell, &mut Cli::command(), "sdp", &mut script);
        // A reader that has gone has what it wanted.
        std::io::stdout().write_all(&script).ok();
        return ExitCode::SUCCESS;
    }
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    else {
        return ExitCode::FAILURE;
    };
    let code = runtime.block_on(command(cli));
    // A fetch that hangs in a system call is not waited for.
    runtime.shutdown_background();
    ExitCode::from(code)
}

async fn command(cli: Cli) -> u8 {
    let global = cli.global;
    let verbose = global.verbose || cli.verbose_first;
    let interrupt = match Interrupt::listen() {
        Ok(interrupt) => interrupt,
        Err(error) => {
            let session = Session::new("", &global, verbose, Redactor::default());
            let problem = Failure::from(error).problem();
            session.emitter.emit(Event::Aborted {
                exit_code: 1,
                problem,
            });
            drop(session.emitter);
            session.report.finish();
            return 1;
        }
    };
    let code = dispatch(cli.command, &global, verbose, &interrupt).await;
    if code != 0 || interrupt.signal().is_some() {
        // What a cancelled fetch has started must not outlive it.
        interrupt::kill_children();
    }
    code
}

async fn dispatch(command: Command, global: &Global, verbose: bool, interrupt: &Interrupt) -> u8 {
    match command {
        Command::Deploy(flags) => deploy(&flags, global, verbose, interrupt).await,
        Command::Logs(flags) => logs(&flags, global, verbose, interrupt).await,
        Command::Rollback(flags) => {
            let goal = flags.to.as_deref().map_or(Goal::Previous, Goal::Deployment);
            rollback(
                &flags.repo,
                goal,
                if flags.no_canary {
                    Canary::Never
                } else {
                    Canary::First
                },
                global,
                verbose,
                interrupt,
            )
            .await
        }
        Command::Start(flags) => {
            rollback(
                &flags.repo,
                Goal::Last,
                Canary::First,
                global,
                verbose,
                interrupt,
            )
            .await
        }
        Command::Stop(flags) => {
            let session = Session::new("", global, verbose, Redactor::default());
            let work = async {
                let timeout = plan::duration("--stop-timeout", &flags.stop_timeout)?;
                let (engine, repository) = deployed(global, &flags.repo).await?;
                stop::stop(&engine, &repository, timeout, &session.emitter).await
            };
            let result = interrupt.or(work).await;
            session.end(result, interrupt).await
        }
        Command::Prune(flags) => {
            let session = Session::new("", global, verbose, Redactor::default());
            let work = async {
                let (engine, repository) = deployed(global, &flags.repo).await?;
                let keep = usize::from(flags.keep);
                prune::prune(&engine, &repository, keep, flags.dry_run, &session.emitter).await
            };
            let result = interrupt.or(work).await;
            session.end(result, interrupt).await
        }
        Command::Status(flags) => {
            let session = Session::new("", global, verbose, Redactor::default());
            let result = interrupt.or(status(&flags, global, &session.emitter)).await;
            session.end(result, interrupt).await
        }
        Command::Completions(_) => 0,
    }
}

async fn status(flags: &cli::Status, global: &Global, emitter: &Emitter) -> Result<()> {
    if let (Some(repo), true) = (&flags.repo, flags.history) {
        let (_, repository) = deployed(global, repo).await?;
        return status::history(&repository, emitter);
    }
    let repository = flags
        .repo
        .as_deref()
        .map(|repo| Repository::resolve(repo))
        .transpose()?;
    let (engine, containers) = containers(global, repository.as_ref()).await?;
    status::status(&engine, &containers, repository.is_some(), emitter).await
}

async fn rollback(
    repo: &str,
    goal: Goal<'_>,
    canary: Canary,
    global: &Global,
    verbose: bool,
    interrupt: &Interrupt,
) -> u8 {
    let id = plan::fresh_id();
    match interrupt.or(rollback_of(global, repo)).await {
        Ok((engine, repository, secrets)) => {
            let secrets = secrets
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()));
            let session = Session::new(&id, global, verbose, Redactor::new(secrets));
            let emitter = &session.emitter;
            let ended =
                rollback::rollback(goal, canary, &repository, &engine, emitter, interrupt).await;
            session.finish(interrupt).await;
            ended.exit_code
        }
        Err(failure) => {
            let session = Session::new(&id, global, verbose, Redactor::default());
            session.end(Err(failure), interrupt).await
        }
    }
}

/// What there is to go back to, and the variables of it, which no event may show.
async fn rollback_of(
    global: &Global,
    repo: &str,
) -> Result<(Engine, Repository, Vec<(String, String)>)> {
    let (engine, repository) = deployed(global, repo).await?;
    let mut secrets = Vec::new();
    for container in upkeep::containers(&engine, &repository).await? {
        secrets.extend(engine.variables(&container.id).await?);
    }
    Ok((engine, repository, secrets))
}

async fn deploy(flags: &cli::Deploy, global: &Global, verbose: bool, interrupt: &Interrupt) -> u8 {
    let plan = match Plan::new(flags) {
        Ok(plan) => plan,
        Err(failure) => {
            let session = Session::new("", global, verbose, Redactor::default());
            return session.end(Err(failure), interrupt).await;
        }
    };
    let stored = Git::stored_secret(&plan.repository.path);
    let secrets = plan
        .secrets()
        .chain(stored.as_deref().map(|secret| ("password", secret)));
    let options = report::Options {
        raw: flags.raw,
        ..options(global, verbose)
    };
    let session = Session::start(&plan.id, options, Redactor::new(secrets));
    let host = global.host.as_deref();
    let deployed = deploy::deploy(&plan, host, &session.emitter, interrupt).await;
    if let (true, Some(container)) = (plan.follow, &deployed.container) {
        let request = logs::Request {
            follow: true,
            ..logs::Request::default()
        };
        let program = logs::Program {
            id: container.clone(),
            service: None,
        };
        let followed = match Engine::connect(host) {
            Ok(engine) => logs::logs(&engine, program, request, &session.emitter, interrupt).await,
            Err(failure) => Err(failure),
        };
        if let Err(failure) = followed {
            // The deployment has succeeded, and says so with its exit code.
            session.emitter.warn(failure.to_string(), failure.hint);
        }
    }
    session.finish(interrupt).await;
    deployed.exit_code
}

async fn logs(flags: &cli::Logs, global: &Global, verbose: bool, interrupt: &Interrupt) -> u8 {
    let found = async {
        let moment = |flag, text: &Option<String>| {
            let text = text.as_deref();
            text.map(|text| plan::moment(flag, text)).transpose()
        };
        let request = logs::Request {
            follow: flags.follow,
            tail: flags.tail.0,
            since: moment("--since", &flags.since)?,
            until: moment("--until", &flags.until)?,
            timestamps: flags.timestamps,
            only: flags.stream.map(|stream| match stream {
                cli::Stream::Stdout => event::Stream::Stdout,
                cli::Stream::Stderr => event::Stream::Stderr,
            }),
        };
        let repository = Repository::resolve(&flags.repo)?;
        let (engine, containers) = containers(global, Some(&repository)).await?;
        let chosen = logs::choose(&containers, &repository.name)?.clone();
        Ok((engine, chosen, request))
    };
    let found: Result<_> = interrupt.or(found).await;
    let id = match &found {
        Ok((
            _,
            Container {
                identity: Some(identity),
                ..
            },
            _,
        )) => identity.deployment.as_str(),
        _ => "",
    };
    let options = report::Options {
        raw: flags.raw,
        ..options(global, verbose)
    };
    let session = Session::start(id, options, Redactor::default());
    let result = match found {
        Ok((engine, chosen, request)) => {
            let program = logs::Program {
                id: chosen.id,
                service: chosen.identity,
            };
            logs::logs(&engine, program, request, &session.emitter, interrupt).await
        }
        Err(failure) => Err(failure),
    };
    session.end(result, interrupt).await
}

/// sdp's containers: those of a repository, or all.
async fn containers(
    global: &Global,
    repository: Option<&Repository>,
) -> Result<(Engine, Vec<Container>)> {
    let engine = Engine::connect(global.host.as_deref())?;
    let containers = engine.containers().await?;
    let containers = match repository {
        Some(repository) => status::select(containers, repository)?,
        None => containers,
    };
    Ok((engine, containers))
}

/// The repository that a word on the command line stands for, with the checkout that it was
/// deployed from, which a name alone does not tell.
async fn deployed(global: &Global, repo: &str) -> Result<(Engine, Repository)> {
    let mut repository = Repository::resolve(repo)?;
    let (engine, containers) = containers(global, Some(&repository)).await?;
    if let Some(identity) = containers
        .iter()
        .find_map(|container| container.identity.as_ref())
    {
        repository.path.clone_from(&identity.path);
    }
    Ok((engine, repository))
}

fn options(global: &Global, verbose: bool) -> report::Options {
    report::Options {
        json: global.json,
        quiet: global.quiet,
        verbose,
        raw: false,
        color: match global.color {
            cli::Color::Auto => report::Color::Auto,
            cli::Color::Always => report::Color::Always,
            cli::Color::Never => report::Color::Never,
        },
    }
}

/// An event stream with its report.
struct Session {
    emitter: Emitter,
    report: report::Report,
}

impl Session {
    fn new(id: &str, global: &Global, verbose: bool, redactor: Redactor) -> Session {
        Session::start(id, options(global, verbose), redactor)
    }

    fn start(id: &str, options: report::Options, redactor: Redactor) -> Session {
        let (emitter, records) = Emitter::new(id);
        Session {
            emitter,
            report: report::start(records, options, redactor),
        }
    }

    /// Tells how the command ended, and returns its exit code.
    async fn end(self, result: Result<(), Failure>, interrupt: &Interrupt) -> u8 {
        let code = match result {
            Ok(()) => 0,
            Err(failure) => {
                let exit_code = failure.exit_code();
                let problem = failure.problem();
                self.emitter.emit(Event::Aborted { exit_code, problem });
                exit_code
            }
        };
        self.finish(interrupt).await;
        code
    }

    /// Waits until everything is written; after a signal, not much longer.
    async fn finish(self, interrupt: &Interrupt) {
        drop(self.emitter);
        let report = self.report;
        let mut written = tokio::task::spawn_blocking(move || report.finish());
        tokio::select! {
            _ = &mut written => {}
            _ = interrupt.cancelled() => {
                tokio::time::timeout(PATIENCE, written).await.ok();
            }
        }
    }
}
