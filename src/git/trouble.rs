//! gix's errors as failures that say what happened and what to do.

use std::error::Error as _;
use std::io::ErrorKind;

use gix::bstr::{BString, ByteSlice};

use super::lfs;
use crate::failure::{Code, Failure};
use crate::redact;

/// How many files a message names.
const NAMED_FILES: usize = 10;

/// What gix puts before each cause of a failed fetch.
const FILLERS: [&str; 2] = [
    "Transport handshake failed: ",
    "An IO error occurred when talking to the server: ",
];

/// An error of gix while doing `what` (such as "read `/srv/shop/.git/index`").
pub fn git(what: impl std::fmt::Display, error: &gix::Error) -> Failure {
    if let Some(failure) = lfs::missing(&what, &chain(error)) {
        return failure;
    }
    match io_kind(error) {
        Some(kind @ (ErrorKind::StorageFull | ErrorKind::QuotaExceeded)) => {
            Failure::io(Code::GitFailed, what, kind.into())
        }
        Some(kind @ (ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem)) => {
            Failure::io(Code::GitFailed, what, kind.into()).detail([chain(error)])
        }
        _ => Failure::new(Code::GitFailed, format!("could not {what}"))
            .source(anyhow::anyhow!(chain(error))),
    }
}

/// How far a fetch had come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Reached {
    /// Not as far as the remote's first answer.
    Nothing,
    /// The remote has told which branches it has.
    Branches,
}

/// An error while talking to the remote at `url`. `said` is what a program on the way, ssh for one,
/// had to say.
pub fn remote(url: &gix::Url, reached: Reached, error: &gix::Error, said: &[String]) -> Failure {
    let shown = shown(url);
    if let Some(kind @ (ErrorKind::StorageFull | ErrorKind::QuotaExceeded)) = io_kind(error) {
        return Failure::io(
            Code::GitFailed,
            format!("fetch from `{shown}`"),
            kind.into(),
        );
    }
    let mut cause = chain(error).replace(&url.to_bstring().to_string(), &shown);
    for filler in FILLERS {
        cause = cause.replace(filler, "");
    }
    if let Some(password) = url.password() {
        cause = cause.replace(password, "***");
    }
    let text = format!("{cause}\n{}", said.join("\n")).to_lowercase();
    let any = |needles: &[&str]| needles.iter().any(|needle| text.contains(needle));
    let is_local = url.scheme == gix::url::Scheme::File;

    let failure = if any(&["failed to invoke program"]) {
        let program = if is_local { "git" } else { "ssh" };
        Failure::new(
            Code::GitFailed,
            format!("could not run `{program}` to fetch from `{shown}`"),
        )
        .hint(format!("`command -v {program}` must find it"))
    } else if reached == Reached::Branches {
        Failure::new(
            Code::GitFailed,
            format!("the fetch from `{shown}` broke off"),
        )
        .hint("`git fetch` in the checkout shows what git makes of it")
    } else if error.is_unauthenticated()
        || any(&[
            "status 401",
            "status 403",
            "permission denied (",
            "host key verification failed",
            "authentication failed",
            "could not read from remote repository.\nplease make sure you have the correct access",
            "failed to obtain credentials",
            "credentials",
        ])
    {
        Failure::new(Code::RemoteDenied, format!("`{shown}` refuses access")).hint(denied_hint(url))
    } else if any(&[
        "status 404",
        "repository not found",
        "repository not exported",
        "does not appear to be a git repository",
        "not a valid git directory",
        "is a valid git directory",
        "no such file or directory",
    ]) {
        Failure::new(
            Code::RemoteNotFound,
            format!("there is no git repository at `{shown}`"),
        )
        .hint(format!(
            "`git ls-remote {shown}` must list branches; a hosting service answers the same \
             where access is missing"
        ))
    } else if is_local {
        Failure::new(Code::GitFailed, format!("could not fetch from `{shown}`"))
    } else {
        Failure::new(
            Code::RemoteUnreachable,
            format!("could not reach `{shown}`"),
        )
        .hint(format!(
            "`git ls-remote {shown}` shows whether git reaches it; check the network, proxy and \
             certificates"
        ))
    };
    match said {
        // gix only knows that the program has gone.
        [only] => failure.source(anyhow::anyhow!(only.clone())),
        [.., last] => failure
            .source(anyhow::anyhow!(last.clone()))
            .detail(said.iter().take(NAMED_FILES).cloned()),
        [] => failure.source(anyhow::anyhow!(cause)),
    }
}

fn denied_hint(url: &gix::Url) -> String {
    match (&url.scheme, url.host()) {
        (gix::url::Scheme::Ssh, Some(host)) => {
            let user = url.user().unwrap_or("git");
            format!("`ssh -T {user}@{host}` must work without a question: a key, and a known host")
        }
        _ => "`git config --global credential.helper store` and a `git fetch` by hand: sdp uses \
              git's credential helpers and never asks"
            .to_owned(),
    }
}

/// `url` for display: without user and password.
pub fn shown(url: &gix::Url) -> String {
    redact::url(&url.to_bstring().to_str_lossy())
}

/// Local changes to tracked files.
pub fn dirty(files: &[BString]) -> Failure {
    let message = match files {
        [one] => format!("`{one}` has local changes"),
        many => format!("{} tracked files have local changes", many.len()),
    };
    Failure::new(Code::CheckoutDirty, message)
        .hint("`--force` drops them; `git stash` keeps them for later")
        .detail(named(files))
}

/// Untracked files where the commit has files of its own.
pub fn in_the_way(files: &[BString]) -> Failure {
    let message = match files {
        [one] => format!("`{one}` is untracked and stands where the commit has a file of its own"),
        many => format!(
            "{} untracked files stand where the commit has files of its own",
            many.len()
        ),
    };
    Failure::new(Code::UntrackedInTheWay, message)
        .hint(
            "`mv` them out of the way: sdp never touches untracked files, not even with `--force`",
        )
        .detail(named(files))
}

/// The first files by name, and how many more there are.
fn named(files: &[BString]) -> Vec<String> {
    let mut lines: Vec<String> = files
        .iter()
        .take(NAMED_FILES)
        .map(BString::to_string)
        .collect();
    if let Some(more) = files
        .len()
        .checked_sub(NAMED_FILES)
        .filter(|more| *more > 0)
    {
        lines.push(format!("and {more} more"));
    }
    lines
}

/// The texts of all errors beneath, outermost first, each once.
fn chain(error: &gix::Error) -> String {
    let mut texts: Vec<String> = Vec::new();
    let mut add = |text: String| {
        let text = text.trim().to_owned();
        if !text.is_empty() && !texts.iter().any(|known| known.contains(&text)) {
            texts.push(text);
        }
    };
    for error in error.iter_errors() {
        add(error.to_string());
        let mut source = error.source();
        while let Some(cause) = source {
            add(cause.to_string());
            source = cause.source();
        }
    }
    texts.join(": ")
}

fn io_kind(error: &gix::Error) -> Option<ErrorKind> {
    error
        .iter_errors()
        .find_map(|error| error.downcast_ref::<std::io::Error>())
        .map(std::io::Error::kind)
        .or_else(|| {
            error
                .source()?
                .downcast_ref::<std::io::Error>()
                .map(std::io::Error::kind)
        })
}
