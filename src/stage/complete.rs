//! What a commit only refers to: submodules and Git LFS files. A part of `git pull`.

use std::ffi::OsString;
use std::path::PathBuf;

use super::Context;
use crate::failure::Result;
use crate::git::{Git, Program};

/// Brings the submodules, if they are wanted, and the files of Git LFS into the work tree. Does
/// nothing where all of them are there.
///
/// # Errors
/// `git_failed`, `checkout_dirty`, `lfs_pointer`, or the interruption.
pub async fn complete(cx: &Context, git: &Git, submodules: bool, force: bool) -> Result<()> {
    let environment = git.environment();
    let stale = git.stale_submodules(force)?;
    if submodules && !stale.is_empty() {
        cx.events.note("updating submodules");
        git.update_submodules(program(cx, git, &environment), force)
            .await?;
        // What is dirty still would be compiled into the program, and not be the commit's.
        git.refuse_changed_submodules()?;
        let left = git.stale_submodules(force)?;
        warn_of(
            cx,
            &left,
            "`git submodule status --recursive` in the checkout shows where they are",
        );
    } else {
        warn_of(cx, &stale, "`--submodules` brings them there");
    }
    let within = git.submodule_checkouts()?;
    for checkout in std::iter::once(git).chain(within.iter().map(|(_, checkout)| checkout)) {
        let pointers = checkout.lfs_pointers()?;
        if !pointers.is_empty() {
            cx.events.note("fetching files of Git LFS");
            checkout
                .fetch_lfs(program(cx, checkout, &environment), &pointers)
                .await?;
        }
    }
    Ok(())
}

fn warn_of(cx: &Context, stale: &[PathBuf], hint: &str) {
    let line = match stale {
        [] => return,
        [one] => format!(
            "the submodule `{}` is not as the commit has it",
            one.display()
        ),
        [one, more @ ..] => format!(
            "the submodule `{}` and {} more are not as the commit has them",
            one.display(),
            more.len()
        ),
    };
    cx.events.warn(line, Some(hint.to_owned()));
}

/// A git program that is told the deployment's own credentials, wherever below it works.
fn program<'a>(
    cx: &'a Context,
    git: &'a Git,
    environment: &'a [(OsString, OsString)],
) -> Program<'a> {
    Program {
        directory: git.path(),
        environment,
        interrupt: &cx.interrupt,
    }
}
