//! sdp turns a git branch of a Go program into a running container on this machine's engine.
//!
//! The modules, from the edge to the middle; each names only those further down:
//!
//! - `cli`: the command line as clap sees it, `plan`: the same as a validated plan; `misread`: one that
//!   clap does not understand
//! - `config`: sdp.toml and requests, which give flags their defaults
//! - `command`: what each command needs before it can begin; `session`: its events and their report
//! - `report`: events as bars, lines or JSON
//! - `deploy`: the pipeline, `rehearse`: the same without doing it; `rollback`, `stop`, `logs`, `status`,
//!   `prune`, `doctor`: the other commands; `run`: what a deployment and a rollback have in common
//! - `stage`: one function per stage, each taking what the former one made
//! - `handover`: from the former container to the new one, and back; `probe`: does it serve?
//! - `delivery`: how a release gets to the engine
//! - `release`: what lies in `.sdp/`; `upkeep`: what is cleared away; `provision`: the image
//! - `git`, `golang`, `engine`: the outside worlds; nobody else names gix, runs go or names bollard
//! - `append`, `child`, `credentials`, `interrupt`, `panics`, `redact`, `shell`, `stale`, `units`, `event`, `failure`: what all of them
//!   speak

mod append;
mod child;
mod cli;
mod command;
mod config;
mod credentials;
mod delivery;
mod deploy;
mod doctor;
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
mod session;
mod shell;
mod stage;
mod stale;
mod status;
mod stop;
mod units;
mod upkeep;

use std::io::{ErrorKind, Write as _};
use std::process::ExitCode;

use clap::CommandFactory as _;

use cli::{Cli, Command, Global};
use failure::{Code, Failure};
use redact::Redactor;
use session::abort;

/// The whole program: parses the command line, runs the command, and tells the exit code.
pub fn run() -> ExitCode {
    let arguments = || std::env::args_os().skip(1);
    let as_helper = credentials::answer_git(arguments())
        .or_else(|| child::run_on_leash(arguments()))
        .or_else(|| child::run_on_tether(arguments()))
        .or_else(|| child::run_dying_with(arguments()));
    if let Some(code) = as_helper {
        return ExitCode::from(code);
    }
    panics::hush();
    let arguments: Vec<_> = std::env::args_os().collect();
    let (cli, matches) = match cli::parse(&arguments, &[]) {
        Ok(parsed) => parsed,
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
        return match std::io::stdout().write_all(&script) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                let failure = Failure::io(Code::Internal, "write to standard output", error);
                abort(options, Redactor::default(), &failure);
                ExitCode::from(session::LOST)
            }
            _ => ExitCode::SUCCESS,
        };
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
    let code = runtime.block_on(command::run(cli, &matches, arguments, options));
    // A fetch that hangs in a system call is not waited for.
    runtime.shutdown_background();
    ExitCode::from(code)
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
