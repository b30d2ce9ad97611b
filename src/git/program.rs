//! The `git` program, for the few things that gix does not do.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::child;
use crate::failure::{Code, Failure, Result};
use crate::interrupt::Interrupt;
use crate::shell::quoted;

/// How many of its last lines a failure repeats.
const LAST_LINES: usize = 10;

/// The `git` program in a checkout. It never asks anything, and ends when sdp is interrupted or dies.
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    /// Where it runs.
    pub directory: &'a Path,
    /// Variables that it gets beside those of sdp itself, such as credentials.
    pub environment: &'a [(OsString, OsString)],
    pub interrupt: &'a Interrupt,
}

impl Program<'_> {
    /// Runs git with these arguments, and with `settings` (such as `index.sparse=false`) in place of
    /// the configured ones.
    ///
    /// # Errors
    /// `git_failed` with git's last lines, or the interruption.
    pub async fn run(&self, settings: &[&str], arguments: &[&str]) -> Result<()> {
        let words: Vec<String> = arguments.iter().map(quoted).collect();
        let shown = format!("git {}", words.join(" "));
        let Some(git) = find("git") else {
            return Err(Failure::new(
                Code::GitFailed,
                format!("there is no `git` program in PATH, and `{shown}` is needed here"),
            )
            .hint("`sudo apt install git` on Debian and Ubuntu"));
        };
        let mut command = child::on_leash(git);
        for setting in settings {
            command.args(["-c", setting]);
        }
        command
            .args(arguments)
            .current_dir(self.directory)
            .env("GIT_TERMINAL_PROMPT", "0");
        let mut variables = ["GIT_SSH_COMMAND", "GIT_SSH"].iter();
        // Whoever has chosen an ssh is the one to keep it from asking.
        if variables.all(|variable| std::env::var_os(variable).is_none())
            && !configures_ssh(self.directory)
        {
            command.env("GIT_SSH_COMMAND", "ssh -o BatchMode=yes");
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let mut said = Vec::new();
        let ended = child::run(command, Code::GitFailed, self.interrupt, |_, line| {
            // What overwrites itself on a terminal.
            let line = line.rsplit('\r').next().unwrap_or_default().trim_end();
            if !line.is_empty() {
                said.push(line.to_owned());
            }
        })
        .await?;
        if ended.success() {
            return Ok(());
        }
        let skipped = said.len().saturating_sub(LAST_LINES);
        let hint = format!("`cd {} && {shown}` shows the same", quoted(self.directory));
        Err(Failure::new(Code::GitFailed, format!("`{shown}` failed"))
            .hint(hint)
            .detail(said.split_off(skipped)))
    }
}

/// Whether git is configured to use another ssh.
fn configures_ssh(directory: &Path) -> bool {
    let repo = gix::open(directory);
    repo.is_ok_and(|repo| repo.config_snapshot().string("core.sshCommand").is_some())
}

/// Where a program is in PATH.
pub fn find(program: &str) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt as _;
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|directory| directory.join(program))
        .find(|file| {
            file.metadata()
                .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
        })
}
