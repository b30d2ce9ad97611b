//! Whether a configuration may be trusted: not what somebody else can push or write.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::failure::{Code, Failure, Result};
use crate::release;
use crate::shell::quoted;

/// What is said of a file in a checkout.
pub fn pushed(path: &Path, checkout: &Path) -> String {
    format!(
        "`{}` lies in the checkout `{}`, which is deployed: whoever pushes there could change it",
        path.display(),
        checkout.display()
    )
}

/// The checkout that the file lies in, if that is one of these or one that has been deployed, or
/// belongs to a work tree of the same repository.
pub fn checkout_around(path: &Path, deployed: &[PathBuf]) -> Option<PathBuf> {
    let is_deployed = |folder: &Path| {
        let canonical = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        deployed.contains(&canonical) || canonical.join(release::DIRECTORY).join("lock").exists()
    };
    folders_around(path).iter().find_map(|folder| {
        let main = main_work_tree(folder);
        let mut trees = std::iter::once(folder.as_path()).chain(main.as_deref());
        trees.find(|tree| is_deployed(tree)).map(Path::to_owned)
    })
}

/// The checkout of whatever repository that the file lies in.
pub fn any_checkout_around(path: &Path) -> Option<PathBuf> {
    let mut around = folders_around(path).into_iter();
    around.find(|folder| folder.join(".git").symlink_metadata().is_ok())
}

/// The directories that a file lies in, by its own name and, if that is a link, by what it leads to.
fn folders_around(path: &Path) -> Vec<PathBuf> {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    // `..` leads out of a checkout.
    let named = absolute.parent().map(|folder| {
        let folder = folder.canonicalize();
        folder.unwrap_or_else(|_| absolute.clone())
    });
    let led_to = absolute.canonicalize().ok();
    let led_to = led_to.and_then(|path| Some(path.parent()?.to_owned()));
    let innermost = [named, led_to].into_iter().flatten();
    let around = innermost.flat_map(|folder| {
        let around = folder.ancestors().map(Path::to_owned);
        around.collect::<Vec<_>>()
    });
    around.collect()
}

/// The work tree that a linked one belongs to, whose `.git` is a file:
/// <https://git-scm.com/docs/gitrepository-layout>.
fn main_work_tree(folder: &Path) -> Option<PathBuf> {
    let text = fs::read_to_string(folder.join(".git")).ok()?;
    let git = folder.join(text.strip_prefix("gitdir:")?.trim());
    let common = git
        .parent()
        .filter(|folder| folder.ends_with("worktrees"))?;
    Some(common.parent()?.parent()?.to_owned())
}

/// As ssh has it of its own: what somebody else can write is theirs.
///
/// # Errors
/// `usage`.
pub fn check_owner(path: &Path, metadata: &fs::Metadata) -> Result<()> {
    let us = rustix::process::getuid().as_raw();
    let (owner, group, mode) = (metadata.uid(), metadata.gid(), metadata.mode());
    // A group of the user's own has the same number, and nobody else in it.
    let others = if group == owner { 0o002 } else { 0o022 };
    let (message, hint) = if ![0, us].contains(&owner) {
        let message = format!("`{}` belongs to user {owner}", path.display());
        (
            message,
            format!("`sudo chown {us} {}`, once you have read it", quoted(path)),
        )
    } else if mode & others != 0 {
        let message = format!("`{}` can be changed by other users", path.display());
        (message, format!("`chmod go-w {}`", quoted(path)))
    } else {
        return Ok(());
    };
    let message = format!("{message}, who could mount the host with it");
    Err(Failure::new(Code::Usage, message).hint(hint))
}
