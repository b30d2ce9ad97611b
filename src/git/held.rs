//! Lock files of git's that are in the way: whose they are, and since when.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use procfs::process::{FDTarget, Process, all_processes};

use super::journal::lock_of;
use super::{Git, work_tree};
use crate::failure::{Code, Failure, Result};
use crate::shell::quoted;
use crate::units;

impl Git {
    /// # Errors
    /// `git_locked`, if there is a lock file beside the index.
    pub(super) fn refuse_locked_index(&self) -> Result<()> {
        let lock = lock_of(&self.local().index_path());
        if lock.symlink_metadata().is_ok() {
            return Err(locked(&lock, self.path()));
        }
        Ok(())
    }
}

/// A lock file that is not sdp's own, in the checkout at `work_tree`.
pub fn locked(lock: &Path, work_tree: &Path) -> Failure {
    match holder(lock, &[work_tree.to_owned()]) {
        Some((pid, command)) => Failure::new(
            Code::GitLocked,
            format!(
                "`{command}` (pid {pid}) holds `{}`, which is {} old",
                lock.display(),
                age(lock)
            ),
        )
        .hint(format!(
            "`sdp deploy` again when it has ended; `ps -fp {pid}` shows what it is at"
        )),
        None => unheld(lock, rustix::process::geteuid().is_root()),
    }
}

/// A lock file that nobody is seen to hold. Who does not see `all` processes may miss its holder.
fn unheld(lock: &Path, all: bool) -> Failure {
    let (shown, word, age) = (lock.display(), quoted(lock), age(lock));
    let (whose, hint) = if all {
        (
            "no git process holds it any more",
            format!("`rm {word}` and deploy again"),
        )
    } else {
        (
            "no git process of this user holds it",
            format!(
                "`sudo fuser -v {word}` and `pgrep -a git` show who may hold it; only if nobody does: `rm {word}`, \
                 and deploy again"
            ),
        )
    };
    Failure::new(
        Code::GitLocked,
        format!("`{shown}` is {age} old, and {whose}"),
    )
    .hint(hint)
}

/// Whether somebody is seen to hold a file of the repository, be it from another of its work trees.
pub fn is_held(file: &Path, repo: &gix::Repository) -> bool {
    let linked = repo.worktrees().unwrap_or_default();
    let linked = linked.into_iter().filter_map(|linked| linked.base().ok());
    let main = repo.common_dir().parent().map(Path::to_owned);
    let own = [work_tree(repo).to_owned(), repo.common_dir().to_owned()];
    let places: Vec<PathBuf> = linked.chain(main).chain(own).collect();
    holder(file, &places).is_some()
}

/// Who has the file open, else which git works in the checkout: most close a lock file before they
/// rename it. Processes of other users tell only root.
fn holder(lock: &Path, work_trees: &[PathBuf]) -> Option<(i32, String)> {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let lock = real(lock);
    let work_trees: Vec<PathBuf> = work_trees.iter().map(|path| real(path)).collect();
    let own = std::process::id();
    let others: Vec<Process> = all_processes()
        .ok()?
        .flatten()
        .filter(|process| process.pid.unsigned_abs() != own)
        .collect();
    let found = others
        .iter()
        .find(|process| has_open(process, &lock))
        .or_else(|| {
            others.iter().find(|process| {
                let is_in_one = |cwd: PathBuf| work_trees.iter().any(|tree| cwd.starts_with(tree));
                is_git(process) && process.cwd().is_ok_and(is_in_one)
            })
        })?;
    Some((found.pid, command(found)))
}

fn has_open(process: &Process, file: &Path) -> bool {
    let mut open = process.fd().into_iter().flatten().flatten();
    open.any(|fd| matches!(fd.target, FDTarget::Path(path) if path == file))
}

fn is_git(process: &Process) -> bool {
    process.exe().is_ok_and(|exe| {
        let name = exe.file_name().unwrap_or_default().to_string_lossy();
        name == "git" || name.starts_with("git-")
    })
}

/// The command line as people typed it, more or less: `git gc --auto`.
fn command(process: &Process) -> String {
    let words = process.cmdline().unwrap_or_default();
    let mut words = words.iter().map(String::as_str);
    let program = words.next().map(PathBuf::from).unwrap_or_default();
    let program = program.file_name().unwrap_or_default().to_string_lossy();
    let shown: Vec<&str> = std::iter::once(program.as_ref())
        .chain(words.take(2))
        .collect();
    shown.join(" ")
}

fn age(file: &Path) -> String {
    let modified = file.symlink_metadata().and_then(|meta| meta.modified());
    let age = modified
        .ok()
        .and_then(|then| SystemTime::now().duration_since(then).ok())
        .unwrap_or(Duration::ZERO);
    units::span(age)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Another user's git would lose its work.
    #[test]
    fn only_who_sees_all_processes_is_told_to_remove_a_lock_at_once() {
        let lock = Path::new("/nowhere/a b.lock");

        let failure = unheld(lock, true);
        assert_eq!(
            failure.message,
            "`/nowhere/a b.lock` is 0 s old, and no git process holds it any more"
        );
        assert_eq!(
            failure.hint.unwrap(),
            "`rm '/nowhere/a b.lock'` and deploy again"
        );

        let failure = unheld(lock, false);
        assert_eq!(
            failure.message,
            "`/nowhere/a b.lock` is 0 s old, and no git process of this user holds it"
        );
        let hint = failure.hint.unwrap();
        assert!(
            hint.starts_with("`sudo fuser -v '/nowhere/a b.lock'` and"),
            "{hint}"
        );
        assert!(hint.contains("only if nobody does: `rm "), "{hint}");
    }
}
