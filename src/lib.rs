//! sdp turns a git branch of a Go program into a running container on this machine's engine.
//!
//! The modules, from the edge to the middle; each names only those further down:
//!
//! - `cli`: the command line as clap sees it, `plan`: the same as a validated plan; `misread`: one that
//!   clap does not understand
//! - `report`: events as bars, lines or JSON
//! - `deploy`: the pipeline, `rehearse`: the same without doing it; `rollback`, `stop`, `logs`, `status`,
//!   `prune`: the other commands; `run`: what a deployment and a rollback have in common
//! - `stage`: one function per stage, each taking what the former one made
//! - `handover`: from the former container to the new one, and back; `probe`: does it serve?
//! - `release`: what lies in `.sdp/`; `upkeep`: what is cleared away; `provision`: the image
//! - `git`, `golang`, `engine`: the outside worlds; nobody else names gix, runs go or names bollard
//! - `child`, `credentials`, `interrupt`, `panics`, `redact`, `shell`, `units`, `event`, `failure`: what all of them
//!   speak

mod child;
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
mod misread;
mod panics;
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
mod shell;
mod stage;
mod status;
mod stop;
mod units;
mod upkeep;

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::CommandFactory as _;

use cli::{Cli, Command, Global};
use engine::{Engine, LogQuery};
use event::{Emitter, Event};
use failure::{Code, Failure, Result};
use git::Git;
use handover::Canary;
use interrupt::Interrupt;
use plan::{Plan, Repository};
use redact::Redactor;
use report::Shown;
use rollback::Goal;

/// After a signal, a reader that has stopped reading is waited for no longer than this.
const PATIENCE: Duration = Duration::from_secs(2);

/// The whole program: parses the command line, runs the command, and tells the exit code.
pub fn run() -> ExitCode {
    let arguments = || std::env::args_os().skip(1);
    let as_helper = credentials::answer_git(arguments())
        .or_else(|| child::run_on_leash(arguments()))
        .or_else(|| child::run_dying_with(arguments()));
    if let Some(code) = as_helper {
        return ExitCode::from(code);
    }
    panics::hush();
    let cli = match Cli::parse_arguments() {
        Ok(cli) => cli,
        Err(error) => return ExitCode::from(misread::misread(&error)),
    };
    let options = options(&cli.global, cli.global.verbose || cli.verbose_first);
    if let Command::Completions(completions) = &cli.command {
        if options.json {
            let failure = Failure::new(Code::Usage, "`completions` writes a script, not events");
            let failure = failure.hint("leave out `--json`");
            return ExitCode::from(abort(options, Redactor::default(), &failure));
        }
        let mut script = Vec::new();
        clap_complete::generate(completions.shell, &mut Cli::command(), "sdp", &mut script);
        // A reader that has gone has what it wanted.
        std::io::stdout().write_all(&script).ok();
        return ExitCode::SUCCESS;
    }
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            let failure = Failure::io(Code::Internal, "start the runtime", error);
            return ExitCode::from(abort(options, Redactor::default(), &failure));
        }
    };
    let code = runtime.block_on(command(cli, options));
    // A fetch that hangs in a system call is not waited for.
    runtime.shutdown_background();
    ExitCode::from(code)
}

/// Tells of a failure before there is anything to tell it with.
fn abort(options: report::Options, redactor: Redactor, failure: &Failure) -> u8 {
    let exit_code = failure.exit_code();
    let problem = failure.problem();
    let (emitter, records) = Emitter::new(Some(""));
    emitter.emit(Event::Aborted { exit_code, problem });
    drop(emitter);
    report::start(records, options, redactor).finish();
    exit_code
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

async fn command(cli: Cli, options: report::Options) -> u8 {
    let interrupt = match Interrupt::listen() {
        Ok(interrupt) => interrupt,
        Err(error) => return abort(options, Redactor::default(), &error.into()),
    };
    let code = dispatch(cli.command, cli.global.host.as_deref(), options, &interrupt).await;
    if code != 0 || interrupt.signal().is_some() {
        // What a cancelled fetch has started must not outlive it.
        interrupt::kill_children();
    }
    code
}

async fn dispatch(
    command: Command,
    host: Option<&str>,
    options: report::Options,
    interrupt: &Interrupt,
) -> u8 {
    match command {
        Command::Deploy(flags) => deploy(&flags, host, options, interrupt).await,
        Command::Logs(flags) => logs(&flags, host, options, interrupt).await,
        Command::Rollback(flags) => {
            let goal = flags.to.as_deref().map_or(Goal::Previous, Goal::Deployment);
            let canary = if flags.no_canary {
                Canary::Never
            } else {
                Canary::First
            };
            rollback(&flags.repo, goal, canary, host, options, interrupt).await
        }
        Command::Start(flags) => {
            let (goal, canary) = (Goal::Last, Canary::First);
            rollback(&flags.repo, goal, canary, host, options, interrupt).await
        }
        Command::Stop(flags) => {
            answer(None, options, interrupt, async |emitter| {
                let timeout = plan::duration("--stop-timeout", &flags.stop_timeout)?;
                let (engine, repository) = deployed(host, &flags.repo).await?;
                stop::stop(&engine, &repository, timeout, emitter).await
            })
            .await
        }
        Command::Prune(flags) => {
            answer(Some(""), options, interrupt, async |emitter| {
                let (engine, repository) = deployed(host, &flags.repo).await?;
                let keep = usize::from(flags.keep);
                prune::prune(&engine, &repository, keep, flags.dry_run, emitter).await
            })
            .await
        }
        Command::Status(flags) => {
            answer(Some(""), options, interrupt, async |emitter| {
                status(&flags, host, emitter).await
            })
            .await
        }
        Command::Completions(_) => 0,
    }
}

/// Runs a command that a signal may cut at any point, and returns its exit code. `id` is that of the
/// deployment which it is about, as for [`Session::new`].
async fn answer(
    id: Option<&str>,
    options: report::Options,
    interrupt: &Interrupt,
    work: impl AsyncFnOnce(&Emitter) -> Result<Event>,
) -> u8 {
    let session = Session::new(id, options, Redactor::default());
    let work = panics::caught(work(&session.emitter));
    let result = interrupt.or(work).await;
    session.end(result, interrupt).await
}

async fn status(flags: &cli::Status, host: Option<&str>, emitter: &Emitter) -> Result<Event> {
    if let (Some(repo), true) = (&flags.repo, flags.history) {
        let (_, repository) = deployed(host, repo).await?;
        status::history(&repository, emitter)?;
        return Ok(Event::Answered);
    }
    let repository = flags.repo.as_deref().map(Repository::resolve).transpose()?;
    let (engine, containers) = containers(host, repository.as_ref()).await?;
    status::status(&engine, &containers, repository.is_some(), emitter).await?;
    Ok(Event::Answered)
}

async fn rollback(
    repo: &str,
    goal: Goal<'_>,
    canary: Canary,
    host: Option<&str>,
    options: report::Options,
    interrupt: &Interrupt,
) -> u8 {
    let found = interrupt.or(panics::caught(rollback_of(host, repo))).await;
    let (engine, repository, secrets) = match found {
        Ok(found) => found,
        Err(failure) => {
            let session = Session::new(None, options, Redactor::default());
            return session.end(Err(failure), interrupt).await;
        }
    };
    let session = Session::new(None, options, redactor(&secrets));
    let emitter = &session.emitter;
    let ended = rollback::rollback(goal, canary, &repository, &engine, emitter, interrupt).await;
    session.finish(ended.exit_code, 0, interrupt).await
}

/// What there is to go back to, and the variables of it, which no event may show.
async fn rollback_of(
    host: Option<&str>,
    repo: &str,
) -> Result<(Engine, Repository, Vec<(String, String)>)> {
    let (engine, repository) = deployed(host, repo).await?;
    let mut secrets = Vec::new();
    for container in upkeep::containers(&engine, &repository).await? {
        secrets.extend(engine.variables(&container.id).await?);
    }
    Ok((engine, repository, secrets))
}

fn redactor(variables: &[(String, String)]) -> Redactor {
    Redactor::new(
        variables
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str())),
    )
}

async fn deploy(
    flags: &cli::Deploy,
    host: Option<&str>,
    options: report::Options,
    interrupt: &Interrupt,
) -> u8 {
    let plan = match panics::caught(async { Plan::new(flags) }).await {
        Ok(plan) => plan,
        Err(failure) => {
            let session = Session::new(None, options, redactor(&Plan::secrets_in(flags)));
            return session.end(Err(failure), interrupt).await;
        }
    };
    let stored = Git::stored_secret(&plan.repository.path);
    let secrets = plan
        .secrets()
        .chain(stored.as_deref().map(|secret| ("password", secret)));
    let redactor = Redactor::new(secrets).with_logs(flags.redact_logs);
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

async fn logs(
    flags: &cli::Logs,
    host: Option<&str>,
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
            engine.variables(&chosen.id).await?
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
        Err(failure) => {
            let session = Session::new(None, options, Redactor::default());
            return session.end(Err(failure), interrupt).await;
        }
    };
    let id = chosen
        .identity
        .as_ref()
        .map(|identity| identity.deployment.clone());
    let redactor = redactor(&secrets).with_logs(flags.redact_logs);
    let session = Session::new(id.as_deref(), options, redactor);
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
async fn deployed(host: Option<&str>, repo: &str) -> Result<(Engine, Repository)> {
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

/// The exit code of a command that has nothing to do but show something, and could not.
const LOST: u8 = 3;

/// An event stream with its report.
struct Session {
    emitter: Emitter,
    report: report::Report,
}

impl Session {
    /// Without an id nothing is shown until [`Emitter::about`] tells it, or the session ends.
    fn new(id: Option<&str>, options: report::Options, redactor: Redactor) -> Session {
        let (emitter, records) = Emitter::new(id);
        Session {
            emitter,
            report: report::start(records, options, redactor),
        }
    }

    /// Says the last word, and returns the exit code.
    async fn end(self, result: Result<Event>, interrupt: &Interrupt) -> u8 {
        let (code, last) = match result {
            Ok(last) => (0, last),
            Err(failure) => {
                let exit_code = failure.exit_code();
                let problem = failure.problem();
                (exit_code, Event::Aborted { exit_code, problem })
            }
        };
        self.emitter.emit(last);
        self.finish(code, LOST, interrupt).await
    }

    /// Does work that only shows something, for as long as somebody looks.
    async fn while_read(&self, work: impl Future<Output = Result<()>>) -> Result<()> {
        tokio::select! {
            result = work => result,
            () = self.report.gone() => Ok(()),
        }
    }

    /// Waits until everything is written; after a signal, not much longer. Returns the exit code: that
    /// of the work, unless it went well and the report did not; `lost` if only standard output could not
    /// be written to.
    async fn finish(self, code: u8, lost: u8, interrupt: &Interrupt) -> u8 {
        self.emitter.about("");
        drop(self.emitter);
        let report = self.report;
        let mut written = tokio::task::spawn_blocking(move || report.finish());
        let shown = tokio::select! {
            shown = &mut written => shown.unwrap_or(Shown::Broken),
            _ = interrupt.cancelled() => match tokio::time::timeout(PATIENCE, written).await {
                Ok(shown) => shown.unwrap_or(Shown::Broken),
                // Its reader is the one who does not read.
                Err(_) => Shown::All,
            },
        };
        match (code, shown) {
            (0, Shown::Broken) => Failure::new(Code::Internal, "nothing was shown").exit_code(),
            (0, Shown::Lost) => lost,
            (code, _) => code,
        }
    }
}
