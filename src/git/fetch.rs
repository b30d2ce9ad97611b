//! What comes from the remote: clone and fetch.

use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use gix::bstr::{BStr, ByteSlice};
use gix::protocol::handshake::Ref;
use gix::refs::Target;
use gix::refs::transaction::{PreviousValue, RefEdit};
use gix::remote::Direction;
use gix::remote::fetch::Status;

use super::trouble::Reached;
use super::{Git, Id, Meter, OWN_DIR, branch, transport, trouble};
use crate::failure::{Code, Failure, Result};

/// What a fetch found.
#[derive(Clone, Copy, Debug)]
pub struct Fetched {
    /// Where the branch is at the remote.
    pub upstream: Id,
    /// `None` where there was nothing new.
    pub received: Option<Received>,
}

/// What came over the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    pub objects: u64,
    pub bytes: u64,
}

/// Where a clone happens, below sdp's own directory.
const CLONE_DIR: &str = "clone-tmp";

/// Unfinished packs of this age belong to nobody any more.
const STALE: Duration = Duration::from_hours(1);

impl Git {
    /// Clones `url` into `path`, which may be there already but hold nothing but `.sdp/`. The work
    /// tree stays empty: a checkout fills it. HEAD names `branch`, else the remote's own choice.
    ///
    /// Everything happens below `.sdp/` until it is complete, so that a clone that was killed
    /// leaves nothing that looks like a checkout.
    pub fn clone_url(
        url: &str,
        path: &Path,
        branch: Option<&str>,
        meter: &Meter,
        stop: &AtomicBool,
    ) -> Result<Git> {
        let stage = path.join(OWN_DIR).join(CLONE_DIR);
        if stage.symlink_metadata().is_ok() {
            fs::remove_dir_all(&stage).map_err(|error| io("remove", &stage, error))?;
        }
        match fs::read_dir(path) {
            Ok(entries) => {
                if entries.flatten().any(|entry| entry.file_name() != OWN_DIR) {
                    return Err(Failure::new(
                        Code::NotACheckout,
                        format!("`{}` is neither empty nor a git checkout", path.display()),
                    )
                    .hint("`--path DIR` names another directory to clone to"));
                }
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(io("read", path, error)),
        }
        fs::create_dir_all(&stage).map_err(|error| io("create", &stage, error))?;

        let cloned = clone_into(&stage, url, branch, meter, stop).and_then(|()| {
            let target = path.join(".git");
            fs::rename(stage.join(".git"), &target).map_err(|error| io("create", &target, error))
        });
        fs::remove_dir_all(&stage).ok();
        remove_if_empty(path);
        cloned.and_then(|()| Git::open(path))
    }

    /// Fetches `branch` from `origin` into `refs/remotes/origin/`, in one round trip.
    pub fn fetch(&self, branch: &str, meter: &Meter, stop: &AtomicBool) -> Result<Fetched> {
        let repo = self.local();
        let remote = repo.find_remote("origin").map_err(|_| {
            Failure::new(
                Code::Usage,
                format!(
                    "the checkout `{}` has no remote `origin`",
                    self.path().display()
                ),
            )
            .hint("`git remote add origin URL` in the checkout")
        })?;
        sweep_packs(&repo);
        let name = branch::full_name(branch)?;
        let spec = format!("+{name}:refs/remotes/origin/{branch}");
        let (outcome, received) = receive(&remote, &spec, Some(branch), meter, stop)?;
        let upstream = outcome.ref_map.mappings.iter().find_map(|mapping| {
            let is_it = mapping.remote.as_name() == Some(name.as_bstr());
            is_it.then(|| mapping.remote.peeled_id().map(ToOwned::to_owned))?
        });
        match upstream {
            Some(id) => Ok(Fetched {
                upstream: Id(id),
                received,
            }),
            None => Err(no_such_branch(&remote, branch, &[])),
        }
    }
}

/// Removes what a fetch that had to be left behind on its thread has not finished.
pub fn abandon_fetch() {
    gix::tempfile::registry::cleanup_tempfiles();
}

/// Removes what a clone into `path` that had to be left behind on its thread has not finished.
pub fn abandon_clone(path: &Path) {
    abandon_fetch();
    fs::remove_dir_all(path.join(OWN_DIR).join(CLONE_DIR)).ok();
    remove_if_empty(path);
}

/// Removes the directories that only a clone has made: they are empty.
fn remove_if_empty(path: &Path) {
    fs::remove_dir(path.join(OWN_DIR)).ok();
    fs::remove_dir(path).ok();
}

/// A complete clone of `url` in `stage/.git`.
fn clone_into(
    stage: &Path,
    url: &str,
    branch: Option<&str>,
    meter: &Meter,
    stop: &AtomicBool,
) -> Result<()> {
    let mut url = gix::url::parse(url.as_bytes().as_bstr()).map_err(|error| {
        Failure::new(
            Code::Usage,
            "the repository's URL is not one that git knows",
        )
        .source(anyhow::anyhow!(error.to_string()))
    })?;
    let mut create = || -> gix::Result<gix::Repository> {
        // A relative path must mean the same to whoever runs git in there.
        let current = std::env::current_dir().map_err(gix::Error::from_error)?;
        url.canonicalize(&current).map_err(gix::Error::from_error)?;
        let repo = gix::init(stage)?;
        let mut config = fs::OpenOptions::new()
            .append(true)
            .open(repo.git_dir().join("config"))
            .map_err(gix::Error::from_error)?;
        config
            .write_all(&remote_section(url.to_bstring().as_bstr()))
            .map_err(gix::Error::from_error)?;
        let mut repo = gix::open(stage)?;
        repo.committer_or_set_generic_fallback()?;
        Ok(repo)
    };
    let what = format!("create a repository in `{}`", stage.display());
    let repo = create().map_err(|error| trouble::git(&what, &error))?;
    let remote = repo
        .find_remote("origin")
        .map_err(|error| trouble::git(&what, &error))?;

    let spec = match branch {
        Some(branch) => {
            let name = branch::full_name(branch)?;
            format!("+{name}:refs/remotes/origin/{branch}")
        }
        None => "+refs/heads/*:refs/remotes/origin/*".to_owned(),
    };
    let (outcome, _) = receive(&remote, &spec, branch, meter, stop)?;

    let head = match branch {
        Some(branch) => branch::full_name(branch)?,
        None => outcome
            .ref_map
            .remote_refs
            .iter()
            .find_map(|remote_ref| match remote_ref {
                Ref::Symbolic {
                    full_ref_name,
                    target,
                    ..
                } if full_ref_name == "HEAD" => target.as_bstr().try_into().ok(),
                _ => None,
            })
            .ok_or_else(|| {
                Failure::new(
                    Code::BranchNotFound,
                    format!(
                        "`{}` does not say which branch is its main one",
                        trouble::shown(&url)
                    ),
                )
                .hint("`--branch NAME` picks one")
            })?,
    };
    let edit = RefEdit::update(
        branch::head_name(),
        Target::Symbolic(head),
        PreviousValue::Any,
        "clone",
    );
    repo.edit_reference(edit)
        .map_err(|error| trouble::git("set HEAD", &error))?;
    Ok(())
}

/// Fetches what `spec` says. `branch` is what to tell people that they asked for.
fn receive(
    remote: &gix::Remote<'_>,
    spec: &str,
    branch: Option<&str>,
    meter: &Meter,
    stop: &AtomicBool,
) -> Result<(gix::remote::fetch::Outcome, Option<Received>)> {
    let repo = remote.repo();
    let mut remote = remote.clone();
    let Some(url) = remote.url(Direction::Fetch).cloned() else {
        return Err(
            Failure::new(Code::Usage, "the remote `origin` has no URL to fetch from")
                .hint("`git remote set-url origin URL` in the checkout"),
        );
    };
    let words = SshWords::new(repo);
    let failed =
        |reached, error: &gix::Error| trouble::remote(&url, reached, error, &words.lines());

    remote
        .replace_refspecs([spec.as_bytes().as_bstr()], Direction::Fetch)
        .map_err(|error| trouble::git("read the branch name", &error))?;
    // A clone without a branch has to learn what the remote's HEAD names.
    let extra = branch.is_none().then_some("HEAD");
    let options = gix::remote::ref_map::Options {
        extra_refspecs: extra.into_iter().filter_map(refspec).collect(),
        ..Default::default()
    };
    let prepared = transport::connection(&remote, &words.file)
        .and_then(|connection| connection.prepare_fetch(meter.root(), options))
        .map_err(|error| failed(Reached::Nothing, &error))?;
    let map = prepared.ref_map();
    let is_there = map.mappings.iter().any(|mapping| {
        let name = mapping.remote.as_name();
        name.is_some_and(|name| name.starts_with(b"refs/heads/"))
    });
    if !is_there {
        let known = map.remote_refs.clone();
        drop(prepared);
        return Err(no_such_branch(&remote, branch.unwrap_or("HEAD"), &known));
    }
    let outcome = prepared
        .receive(meter.root(), stop)
        .map_err(|error| failed(Reached::Branches, &error))?;
    if stop.load(Ordering::SeqCst) {
        // Whatever gix made of it, nobody wants it any more.
        return Err(Failure::new(Code::Interrupted, "interrupted"));
    }
    let received = match &outcome.status {
        Status::Change {
            write_pack_bundle: pack,
            ..
        } => {
            // git keeps packs from being written to, and readable for whoever may read the rest.
            for file in [&pack.data_path, &pack.index_path].into_iter().flatten() {
                fs::set_permissions(file, fs::Permissions::from_mode(0o444)).ok();
            }
            let objects = u64::from(pack.index.num_objects);
            (objects > 0).then(|| Received {
                objects,
                bytes: meter.received(),
            })
        }
        Status::NoPackReceived { .. } => None,
    };
    Ok((outcome, received))
}

fn refspec(spec: &str) -> Option<gix::refspec::RefSpec> {
    let spec = gix::refspec::parse(spec.into(), gix::refspec::parse::Operation::Fetch).ok()?;
    Some(spec.to_owned())
}

impl Git {
    /// Where `branch` is at the remote, without getting anything of it.
    pub fn tip(&self, branch: &str) -> Result<Id> {
        let repo = self.local();
        let remote = repo
            .find_remote("origin")
            .map_err(|error| trouble::git("find the remote `origin`", &error))?;
        let name = branch::full_name(branch)?;
        let listed = list_branches(&remote).ok_or_else(|| {
            let shown = remote
                .url(Direction::Fetch)
                .map(trouble::shown)
                .unwrap_or_default();
            Failure::new(
                Code::RemoteUnreachable,
                format!("`{shown}` does not tell its branches"),
            )
            .hint("`git ls-remote origin` in the checkout shows why")
        })?;
        let found = listed.iter().find_map(|known| {
            let (full, target, peeled) = known.unpack();
            let id = peeled.or(target)?;
            (full == name.as_bstr()).then(|| Id(id.to_owned()))
        });
        found.ok_or_else(|| no_such_branch(&remote, branch, &listed))
    }
}

/// Says what there is instead of `branch`; asks the remote for that.
fn no_such_branch(remote: &gix::Remote<'_>, branch: &str, known: &[Ref]) -> Failure {
    let shown = remote
        .url(Direction::Fetch)
        .map(trouble::shown)
        .unwrap_or_default();
    let listed = list_branches(remote);
    let from = listed.as_deref().unwrap_or(known);
    let branches: Vec<String> = from
        .iter()
        .filter_map(|known| known.unpack().0.strip_prefix(b"refs/heads/"))
        .map(|name| name.to_str_lossy().into_owned())
        .collect();
    if branches.is_empty() {
        return Failure::new(
            Code::BranchNotFound,
            format!("`{shown}` has no commits yet"),
        )
        .hint("`git push origin HEAD` from where the program is written");
    }
    let failure = Failure::new(
        Code::BranchNotFound,
        format!("`{shown}` has no branch `{branch}`"),
    );
    match nearest(branch, &branches) {
        Some(near) => failure.hint(format!("`--branch {near}`, if that is what was meant")),
        None => failure.hint("`--branch NAME` picks one of the remote's branches"),
    }
    .detail(std::iter::once(format!("branches: {}", some_of(&branches))))
}

fn some_of(branches: &[String]) -> String {
    const SHOWN: usize = 10;
    let mut text = branches[..branches.len().min(SHOWN)].join(", ");
    if branches.len() > SHOWN {
        text.push_str(", …");
    }
    text
}

/// The branch that was probably meant: the only one, the other name of the main one, or one that
/// differs in case or is part of it.
fn nearest<'a>(wanted: &str, branches: &'a [String]) -> Option<&'a str> {
    if let [only] = branches {
        return Some(only);
    }
    let mains = ["main", "master", "trunk"];
    let same = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
    let find = |test: &dyn Fn(&str) -> bool| branches.iter().map(String::as_str).find(|b| test(b));
    find(&|branch| same(branch, wanted))
        .or_else(|| find(&|branch| mains.contains(&wanted) && mains.contains(&branch)))
        .or_else(|| find(&|branch| branch.contains(wanted) || wanted.contains(branch)))
}

fn list_branches(remote: &gix::Remote<'_>) -> Option<Vec<Ref>> {
    let mut remote = remote
        .clone()
        .with_fetch_tags(gix::remote::fetch::Tags::None);
    let all = "refs/heads/*:refs/remotes/origin/*".as_bytes().as_bstr();
    remote.replace_refspecs([all], Direction::Fetch).ok()?;
    let words = SshWords::new(remote.repo());
    let connection = transport::connection(&remote, &words.file).ok()?;
    let (map, _) = connection
        .ref_map(
            gix::progress::Discard,
            gix::remote::ref_map::Options::default(),
        )
        .ok()?;
    Some(map.remote_refs)
}

/// What ssh has to say, in a file that lives as long as this.
struct SshWords {
    file: PathBuf,
}

impl SshWords {
    fn new(repo: &gix::Repository) -> SshWords {
        let name = format!("sdp-ssh-{}", std::process::id());
        SshWords {
            file: super::absolute(repo.git_dir()).join(name),
        }
    }

    fn lines(&self) -> Vec<String> {
        let text = fs::read(&self.file).unwrap_or_default();
        let text = text.to_str_lossy();
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        lines.map(str::to_owned).collect()
    }
}

impl Drop for SshWords {
    fn drop(&mut self) {
        fs::remove_file(&self.file).ok();
    }
}

/// Removes packs that killed fetches did not finish; neither gix nor `git gc` does.
fn sweep_packs(repo: &gix::Repository) {
    let packs = repo.objects.store_ref().path().join("pack");
    let Ok(entries) = fs::read_dir(packs) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.as_encoded_bytes();
        let is_stale = || {
            let modified = entry.metadata().and_then(|meta| meta.modified()).ok();
            let age = modified.and_then(|then| SystemTime::now().duration_since(then).ok());
            age.is_some_and(|age| age > STALE)
        };
        if (name.starts_with(b".tmp") || name.starts_with(b"tmp_")) && is_stale() {
            fs::remove_file(entry.path()).ok();
        }
    }
}

fn remote_section(url: &BStr) -> Vec<u8> {
    let quoted = url.replace(b"\\", b"\\\\").replace(b"\"", b"\\\"");
    let mut section = b"[remote \"origin\"]\n\turl = \"".to_vec();
    section.extend_from_slice(&quoted);
    section.extend_from_slice(b"\"\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n");
    section
}

fn io(what: &str, path: &Path, error: std::io::Error) -> Failure {
    Failure::io(
        Code::GitFailed,
        format_args!("{what} `{}`", path.display()),
        error,
    )
}
