//! A program run in a container that runs already.

use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, StartExecResults};
use futures_util::StreamExt as _;

use super::{Engine, error};
use crate::failure::Result;

/// A program's output may be so long; the rest is not read.
const LONGEST: usize = 256 * 1024;

/// From here on, exit codes are those of engines and shells: there is no such program, it cannot be run,
/// or a signal has ended it.
const NOT_RUN: i64 = 126;

/// What a program printed.
#[derive(Debug, Default)]
pub struct Output {
    pub stdout: String,
    pub stderr: String,
}

impl Engine {
    /// Runs a program in a container, and reads what it prints. `None`: the container has no such one, or
    /// none that works.
    ///
    /// # Errors
    /// Those of any call to the engine; the container does not run any more.
    pub async fn exec(&self, id: &str, command: &[&str]) -> Result<Option<Output>> {
        let what = format!("run `{}` in the container `{id}`", command[0]);
        let failed = |error| self.failure(&what, error);
        let options = CreateExecOptions {
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            cmd: Some(command.to_vec()),
            // What is asked for is in the container, and not behind the proxy that its program may have.
            env: Some(vec!["http_proxy="]),
            ..CreateExecOptions::default()
        };
        let created = self.docker.create_exec(id, options).await.map_err(failed)?;
        let started = match self.docker.start_exec(&created.id, None).await {
            // Podman says so with an error.
            Err(error) if error::answer(&error).is_some_and(|(_, text)| is_missing(text)) => {
                return Ok(None);
            }
            started => started.map_err(failed)?,
        };
        let mut output = Output::default();
        if let StartExecResults::Attached {
            output: mut pieces, ..
        } = started
        {
            while let Some(piece) = pieces.next().await {
                let (to, bytes) = match piece.map_err(failed)? {
                    LogOutput::StdErr { message } => (&mut output.stderr, message),
                    LogOutput::StdOut { message }
                    | LogOutput::StdIn { message }
                    | LogOutput::Console { message } => (&mut output.stdout, message),
                };
                to.push_str(&String::from_utf8_lossy(&bytes));
                if to.len() > LONGEST {
                    break;
                }
            }
        }
        let ended = self
            .docker
            .inspect_exec(&created.id)
            .await
            .map_err(failed)?;
        let is_run = ended.exit_code.is_none_or(|code| code < NOT_RUN);
        Ok(is_run.then_some(output))
    }
}

fn is_missing(text: &str) -> bool {
    text.contains("executable file not found") || text.contains("no such file or directory")
}
