//! gix's errors as failures that say what happened and what to do.

use std::error::Error as _;
use std::io::ErrorKind;

use gix::bstr::{BString, ByteSlice};

use super::lfs;
use crate::credentials::Credentials;
use crate::failure::{Code, Failure};
use crate::redact;
use crate::shell::quoted;

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
pub fn remote(
    url: &gix::Url,
    own: &Credentials,
    reached: Reached,
    error: &gix::Error,
    said: &[String],
) -> Failure {
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
    let failure = explain(url, own, reached, error, &text);
    match said {
        [] if failure.code == Code::GitFailed => failure.source(anyhow::anyhow!(cause)),
        // Where the message has it all, the chain of causes is only for who wants to know.
        [] => failure.detail(cause.lines().map(str::trim)),
        // gix only knows that the program has gone.
        said => failure.detail(said.iter().take(NAMED_FILES).cloned()),
    }
}

/// Tells by the error's `text`, in lower case, what is to be done about it. The texts are those of
/// gix, reqwest, rustls, git and OpenSSH.
fn explain(
    url: &gix::Url,
    own: &Credentials,
    reached: Reached,
    error: &gix::Error,
    text: &str,
) -> Failure {
    let shown = shown(url);
    let host = url.host().unwrap_or("localhost");
    let any = |needles: &[&str]| needles.iter().any(|needle| text.contains(needle));
    let is_local = url.scheme == gix::url::Scheme::File;
    if any(&["failed to invoke program"]) {
        let program = if is_local { "git" } else { "ssh" };
        return Failure::new(
            Code::GitFailed,
            format!("could not run `{program}` to fetch from `{shown}`"),
        )
        .hint(format!("`command -v {}` must find it", quoted(program)));
    }
    if reached == Reached::Branches {
        return Failure::new(
            Code::GitFailed,
            format!("the fetch from `{shown}` broke off"),
        )
        .hint("`sdp deploy` again; `git fetch` in the checkout shows what git makes of it");
    }
    if any(&[
        "host key verification failed",
        "host identification has changed",
    ]) {
        let target = ssh_target(url, host);
        // ssh refuses a changed key by hand, too.
        let (message, hint) = if any(&["identification has changed"]) {
            (
                format!("the host key of `{host}` is not the one that ssh knows"),
                format!(
                    "`ssh {target}` tells where the old one stands; ask who runs `{host}` whether its key was \
                     changed; only then `ssh-keygen -R {}`, and `ssh {target}` once by hand",
                    known_as(url, host)
                ),
            )
        } else {
            (
                format!("ssh does not know the host key of `{host}`"),
                format!(
                    "`ssh {target}` once by hand, and compare its fingerprint with the one that the host publishes"
                ),
            )
        };
        return Failure::new(Code::RemoteDenied, message).hint(hint);
    }
    let is_denied = error.is_unauthenticated()
        || any(&[
            "status 401",
            "status 403",
            "permission denied (",
            "unprotected private key file",
            "authentication failed",
            "could not read from remote repository.\nplease make sure you have the correct access",
            "credentials",
        ]);
    if is_denied {
        return denied(url, own, host, text);
    }
    if any(&[
        "status 404",
        "repository not found",
        "repository not exported",
        "does not appear to be a git repository",
        "not a valid git directory",
        "is a valid git directory",
        "no such file or directory",
    ]) {
        return Failure::new(
            Code::RemoteNotFound,
            format!("there is no git repository at `{shown}`"),
        )
        .hint(format!(
            "`git ls-remote {}` must list branches; a hosting service answers the same \
             where access is missing",
            quoted(&shown)
        ));
    }
    if is_local {
        return Failure::new(Code::GitFailed, format!("could not fetch from `{shown}`"));
    }
    unreachable(&shown, host, text)
}

/// Tells why no answer came.
fn unreachable(shown: &str, host: &str, text: &str) -> Failure {
    let any = |needles: &[&str]| needles.iter().any(|needle| text.contains(needle));
    let (address, name) = (quoted(shown), quoted(host));
    let unreachable = |message: String| Failure::new(Code::RemoteUnreachable, message);
    if let Some(status) = text
        .split("status ")
        .filter_map(|rest| rest.get(..3))
        .find(|status| status.starts_with('5') && status.parse::<u16>().is_ok())
    {
        unreachable(format!("`{shown}` answered with status {status}")).hint(format!(
            "`git ls-remote {address}` once the server is well again"
        ))
    } else if any(&[
        "dns error",
        "could not resolve",
        "failed to lookup",
        "name or service not known",
    ]) {
        unreachable(format!("the name of the host `{host}` cannot be resolved")).hint(format!(
            "`getent hosts {name}` must print its address; is the name right, and the network up?"
        ))
    } else if any(&["connection refused"]) {
        unreachable(format!(
            "nothing listens at `{shown}`: the connection was refused"
        ))
        .hint(format!(
            "`git ls-remote {address}` once the server is up; is the port right?"
        ))
    } else if any(&["invalid peer certificate", "unknownissuer", "certificate"]) {
        unreachable(format!("the certificate of `{host}` is not trusted"))
            .hint("`SSL_CERT_FILE=FILE` or `git config --global http.sslCAInfo FILE` names the authority that signed it")
    } else if any(&["timed out", "timeout"]) {
        Failure::new(Code::RemoteTimeout, format!("`{shown}` does not answer")).hint(format!(
            "`git ls-remote {address}` shows whether git reaches it; check network and firewall"
        ))
    } else {
        unreachable(format!("could not reach `{shown}`")).hint(format!(
            "`git ls-remote {address}` shows whether git reaches it; check the network, proxy and \
             certificates"
        ))
    }
}

/// Says whose credentials were refused, and where sdp takes them from.
fn denied(url: &gix::Url, own: &Credentials, host: &str, text: &str) -> Failure {
    let shown = shown(url);
    let failure = |message: String| Failure::new(Code::RemoteDenied, message);
    if url.scheme == gix::url::Scheme::Ssh {
        let target = ssh_target(url, host);
        return match &own.ssh_key {
            Some(key) if text.contains("unprotected private key file") => {
                failure(format!("ssh does not take the key `{}`: others may read it", key.display()))
                    .hint(format!("`chmod 600 {}`", quoted(key)))
            }
            Some(key) => failure(format!("`{shown}` refuses the key `{}`", key.display())).hint(
                format!(
                    "`ssh -i {} -o IdentitiesOnly=yes -o BatchMode=yes {target}` must get in: is its \
                     public half at the host, and is it without passphrase?",
                    quoted(key)
                ),
            ),
            None => failure(format!("`{shown}` refuses the keys that ssh has")).hint(format!(
                "`ssh -o BatchMode=yes {target}` must get in without a question; `--ssh-key FILE` \
                 names a key, `ssh-add` gives one to the agent"
            )),
        };
    }
    let has_own_login = url.password().is_some();
    if own.login(None).is_some() {
        failure(format!("`{shown}` refuses the user or token that was given")).hint(
            "`SDP_GIT_USER` and `SDP_GIT_TOKEN`, or `--git-token-file FILE`: has the token expired, \
             and may it read this repository?",
        )
    } else if has_own_login {
        failure(format!("`{shown}` refuses the user and password in the URL of `origin`")).hint(
            "`SDP_GIT_USER` and `SDP_GIT_TOKEN` beat them; `git remote set-url origin URL` changes them",
        )
    } else if ["status 401", "status 403"]
        .iter()
        .any(|status| text.contains(status))
        && !text.contains("failed to obtain credentials")
    {
        failure(format!("`{shown}` refuses what git has for it")).hint(
            "`SDP_GIT_USER` and `SDP_GIT_TOKEN` give others; `git credential reject` forgets those of a helper",
        )
    } else {
        failure(format!(
            "`{shown}` wants a user and a password, and git has none for it"
        ))
        .hint(
            "`SDP_GIT_TOKEN=TOKEN` (and `SDP_GIT_USER`), `--git-token-file FILE`, ~/.netrc or a \
             credential helper of git's: sdp never asks",
        )
    }
}

/// The host as `known_hosts` names it, for ssh-keygen: with the port if it is another than ssh's own.
fn known_as(url: &gix::Url, host: &str) -> String {
    match url.port {
        Some(port) if port != 22 => quoted(format!("[{host}]:{port}")),
        _ => quoted(host),
    }
}

/// What to give to ssh to get where the URL leads.
fn ssh_target(url: &gix::Url, host: &str) -> String {
    let user = url
        .user()
        .map_or_else(String::new, |user| format!("{user}@"));
    let port = url
        .port
        .map_or_else(String::new, |port| format!("-p {port} "));
    format!("{port}{}", quoted(format!("{user}{host}")))
}

/// `url` for display: without user and password, but for the user of ssh, which is a part of the
/// address.
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
        .hint("`git stash` in the checkout keeps them; `--force` drops them for good")
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
