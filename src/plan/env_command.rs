//! `--env-command`: variables from a program that keeps secrets.

use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;

use super::arguments::usage;
use super::env_file;
use crate::child;
use crate::event::Stream;
use crate::failure::{Code, Result};
use crate::interrupt::Interrupt;
use crate::redact::Redactor;

/// How long it may take; one that asks somebody would take for ever.
const PATIENCE: Duration = Duration::from_mins(1);

/// Nobody has more variables, in bytes.
const LARGEST: usize = 1024 * 1024;

/// How much of what it says on standard error is told.
const LAST_LINES: usize = 20;

/// Runs a shell command that ends with sdp and has no terminal, and reads what it prints as an env
/// file; in the current directory, unless a folder is told. Nothing of that is written anywhere.
///
/// # Errors
/// `usage`, with what the command said on standard error; the interruption.
pub async fn from_command(
    command: &str,
    folder: Option<&Path>,
    interrupt: &Interrupt,
) -> Result<Vec<(String, String)>> {
    let mut shell = child::on_leash("sh");
    shell.arg("-c").arg(command);
    if let Some(folder) = folder {
        shell.current_dir(folder);
    }
    let mut printed = Vec::new();
    let mut said = VecDeque::new();
    let ran = child::run_raw(shell, Code::Usage, interrupt, |stream, line| match stream {
        Stream::Stdout if printed.len() > LARGEST => {}
        Stream::Stdout => {
            printed.extend(line);
            printed.push(b'\n');
        }
        Stream::Stderr => {
            said.push_back(child::text(&line));
            if said.len() > LAST_LINES {
                said.pop_front();
            }
        }
    });
    let ended = tokio::time::timeout(PATIENCE, ran).await;
    let failed = |message: String, hint: &str, said: VecDeque<String>| {
        // What it has printed so far may come again in what it says.
        let printed = String::from_utf8_lossy(&printed);
        let printed = printed.lines().filter_map(|line| line.split_once('='));
        let redactor = Redactor::new(printed);
        let mut said: Vec<String> = said.into();
        redactor.scrub_lines(&mut said);
        Err(usage(message, hint).detail(said))
    };
    match ended {
        Ok(Ok(_)) if printed.len() > LARGEST => failed(
            "the command of `--env-command` prints more than 1 MiB".to_owned(),
            "run it by itself; it is to print NAME=VALUE lines",
            said,
        ),
        Ok(Ok(status)) if status.success() => {
            let source = "the output of `--env-command`";
            match std::str::from_utf8(&printed) {
                Ok(text) => env_file::parse(text, source),
                Err(error) => {
                    let before = &printed[..error.valid_up_to()];
                    let line = 1 + memchr::memchr_iter(b'\n', before).count();
                    failed(
                        format!("{source} line {line}: it is no text in UTF-8"),
                        "a value of other bytes goes into a file of its own, for `--secret`",
                        said,
                    )
                }
            }
        }
        Ok(Ok(status)) => failed(
            format!("the command of `--env-command` ended with {status}"),
            "run it by itself; it is to print NAME=VALUE lines and end with 0",
            said,
        ),
        Ok(Err(failure)) => Err(failure),
        Err(_) => failed(
            format!("the command of `--env-command` has not ended after {PATIENCE:?}"),
            "run it by itself; it must not ask, as there is no terminal to answer at",
            said,
        ),
    }
}
