//! One conversation with a remote.

use std::fs;
use std::num::NonZeroU32;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use gix::bstr::{BStr, ByteSlice};
use gix::protocol::handshake::Ref;
use gix::remote::Direction;
use gix::remote::fetch::refmap::Mapping;
use gix::remote::fetch::{Outcome, Shallow, Status};
use rustix::fs::MemfdFlags;

use super::trouble::Reached;
use super::{Meter, Revision, transport, trouble};
use crate::child::deaf_to_ctrl_z;
use crate::credentials::Credentials;
use crate::failure::{Code, Failure, Result};
use crate::shell::quoted;
use crate::stale::stale;

/// What came over the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    pub objects: u64,
    pub bytes: u64,
}

/// What to get, in one round trip.
pub struct Transfer<'a> {
    pub specs: &'a [&'a str],
    /// Learn, too, what the remote's HEAD names.
    pub head: bool,
    /// No more commits than that; `None` leaves a shallow repository as it is.
    pub depth: Option<NonZeroU32>,
    /// What people asked for; `None`: whatever there is.
    pub wanted: Option<&'a Revision>,
}

impl Transfer<'_> {
    /// Its time counts as waiting for the remote.
    pub fn run(
        &self,
        remote: &gix::Remote<'_>,
        credentials: &Credentials,
        meter: &Meter,
        stop: &AtomicBool,
    ) -> Result<(Outcome, Option<Received>)> {
        meter.waiting(|| self.converse(remote, credentials, meter, stop))
    }

    fn converse(
        &self,
        remote: &gix::Remote<'_>,
        credentials: &Credentials,
        meter: &Meter,
        stop: &AtomicBool,
    ) -> Result<(Outcome, Option<Received>)> {
        let repo = remote.repo();
        sweep(repo);
        let mut remote = remote.clone();
        let Some(url) = remote.url(Direction::Fetch).cloned() else {
            return Err(
                Failure::new(Code::Usage, "the remote `origin` has no URL to fetch from")
                    .hint("`git remote set-url origin URL` in the checkout"),
            );
        };
        let words = SshWords::new();
        let failed = |reached, error: &gix::Error| {
            trouble::remote(&url, credentials, reached, error, &words.lines())
        };
        remote
            .replace_refspecs(self.specs.iter().map(BStr::new), Direction::Fetch)
            .map_err(|error| trouble::git("read the name of what to fetch", &error))?;
        let options = gix::remote::ref_map::Options {
            extra_refspecs: self
                .head
                .then(|| refspec("HEAD"))
                .flatten()
                .into_iter()
                .collect(),
            ..Default::default()
        };
        let prepared = transport::connection(&remote, credentials, &words.file)
            .and_then(|connection| connection.prepare_fetch(meter.root(), options))
            .map_err(|error| failed(Reached::Nothing, &error))?;
        let map = prepared.ref_map();
        // gix adds tags of its own accord.
        let was_asked_for = |mapping: &Mapping| mapping.spec_index.implicit_index().is_none();
        let is_there = map.mappings.iter().any(was_asked_for);
        if !is_there {
            let known = map.remote_refs.clone();
            drop(prepared);
            return Err(absent(&remote, credentials, self.wanted, &known));
        }
        let shallow = self.depth.map_or(Shallow::NoChange, Shallow::DepthAtRemote);
        let outcome = prepared
            .with_shallow(shallow)
            .receive(meter.root(), stop)
            .map_err(|error| failed(Reached::Branches, &error))?;
        if stop.load(Ordering::SeqCst) {
            // Whatever gix made of it, nobody wants it any more.
            return Err(Failure::new(Code::Interrupted, "interrupted"));
        }
        let received = received(&outcome, meter);
        Ok((outcome, received))
    }
}

fn received(outcome: &Outcome, meter: &Meter) -> Option<Received> {
    let Status::Change {
        write_pack_bundle: pack,
        ..
    } = &outcome.status
    else {
        return None;
    };
    if let Some(keep) = &pack.keep_path {
        // Left where no reference was written: what was asked for by its id is checked out at once.
        fs::remove_file(keep).ok();
    }
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

fn refspec(spec: &str) -> Option<gix::refspec::RefSpec> {
    let spec = gix::refspec::parse(spec.into(), gix::refspec::parse::Operation::Fetch).ok()?;
    Some(spec.to_owned())
}

/// The references that the remote has below `folder`, such as `refs/heads`.
pub fn list(remote: &gix::Remote<'_>, credentials: &Credentials, folder: &str) -> Result<Vec<Ref>> {
    let mut remote = remote
        .clone()
        .with_fetch_tags(gix::remote::fetch::Tags::None);
    let Some(url) = remote.url(Direction::Fetch).cloned() else {
        return Ok(Vec::new());
    };
    let words = SshWords::new();
    // gix wants globs on both sides, but nothing is written.
    let spec = format!("{folder}/*:{folder}/*");
    let listed = remote
        .replace_refspecs([spec.as_str()], Direction::Fetch)
        .and_then(|()| {
            deaf_to_ctrl_z(|| {
                transport::connection(&remote, credentials, &words.file)?.ref_map(
                    gix::progress::Discard,
                    gix::remote::ref_map::Options::default(),
                )
            })
        });
    listed.map(|(map, _)| map.remote_refs).map_err(|error| {
        trouble::remote(&url, credentials, Reached::Nothing, &error, &words.lines())
    })
}

/// Says what the remote has instead of what it was asked for.
pub fn absent(
    remote: &gix::Remote<'_>,
    credentials: &Credentials,
    wanted: Option<&Revision>,
    known: &[Ref],
) -> Failure {
    let shown = remote
        .url(Direction::Fetch)
        .map(trouble::shown)
        .unwrap_or_default();
    let (code, kind, folder, name) = match wanted {
        Some(Revision::Tag(name)) => (Code::TagNotFound, "tag", "refs/tags", name.as_str()),
        Some(Revision::Branch(name)) => {
            (Code::BranchNotFound, "branch", "refs/heads", name.as_str())
        }
        Some(Revision::Commit(_)) | None => (Code::BranchNotFound, "branch", "refs/heads", ""),
    };
    let listed = list(remote, credentials, folder).ok();
    let from = listed.as_deref().unwrap_or(known);
    let names = names_below(folder, from);
    if names.is_empty() && kind == "branch" {
        let tags = list(remote, credentials, "refs/tags").unwrap_or_default();
        let tags = names_below("refs/tags", &tags);
        if !tags.is_empty() {
            return Failure::new(code, format!("`{shown}` has tags, but no branches"))
                .hint("`--tag NAME` picks one of the tags")
                .detail(std::iter::once(format!("tags: {}", some_of(&tags))));
        }
        return Failure::new(code, format!("`{shown}` has no commits yet"))
            .hint("`git push origin HEAD` from where the program is written");
    }
    let failure = Failure::new(code, format!("`{shown}` has no {kind} `{name}`"));
    if names.is_empty() {
        return failure.hint("`git tag NAME` and `git push origin NAME` make one");
    }
    let plural = if kind == "tag" { "tags" } else { "branches" };
    match nearest(name, &names) {
        Some(near) => failure.hint(format!(
            "`--{kind} {}`, if that is what was meant",
            quoted(near)
        )),
        None => failure.hint(format!(
            "`--{kind} NAME` picks one of the remote's {plural}"
        )),
    }
    .detail(std::iter::once(format!("{plural}: {}", some_of(&names))))
}

fn names_below(folder: &str, known: &[Ref]) -> Vec<String> {
    known
        .iter()
        .filter_map(|known| known.unpack().0.strip_prefix(folder.as_bytes()))
        .map(|name| name.to_str_lossy().trim_start_matches('/').to_owned())
        .collect()
}

fn some_of(names: &[String]) -> String {
    const SHOWN: usize = 10;
    let mut text = names[..names.len().min(SHOWN)].join(", ");
    if names.len() > SHOWN {
        text.push_str(", …");
    }
    text
}

/// The name that was probably meant: the only one, the other name of the main branch, or one that
/// is spelt much like it.
fn nearest<'a>(wanted: &str, names: &'a [String]) -> Option<&'a str> {
    if let [only] = names {
        return Some(only);
    }
    let mains = ["main", "master", "trunk"];
    let find = |test: &dyn Fn(&str) -> bool| names.iter().map(String::as_str).find(|b| test(b));
    find(&|name| name.eq_ignore_ascii_case(wanted))
        .or_else(|| find(&|name| mains.contains(&wanted) && mains.contains(&name)))
        .or_else(|| alike(wanted, names))
        .or_else(|| find(&|name| name.contains(wanted) || wanted.contains(name)))
}

/// The one that is most alike by the measure of Jaro and Winkler, if it is much alike.
fn alike<'a>(wanted: &str, names: &'a [String]) -> Option<&'a str> {
    names
        .iter()
        .map(|name| (strsim::jaro_winkler(wanted, name), name.as_str()))
        .filter(|(likeness, _)| *likeness > 0.85)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

/// What ssh has to say, in a file that has no name and thus is gone with this, however sdp ends.
struct SshWords {
    /// `None` where it could not be made: nobody hears ssh then.
    _kept: Option<OwnedFd>,
    file: PathBuf,
}

impl SshWords {
    fn new() -> SshWords {
        let kept = rustix::fs::memfd_create("ssh", MemfdFlags::CLOEXEC).ok();
        let file = match &kept {
            Some(kept) => format!("/proc/{}/fd/{}", std::process::id(), kept.as_raw_fd()),
            None => "/dev/null".to_owned(),
        };
        SshWords {
            _kept: kept,
            file: PathBuf::from(file),
        }
    }

    fn lines(&self) -> Vec<String> {
        let text = fs::read(&self.file).unwrap_or_default();
        let text = text.to_str_lossy();
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        lines.map(str::to_owned).collect()
    }
}

/// Removes what killed transfers left: packs, which neither gix nor `git gc` removes, and what ssh had to
/// say to an earlier sdp.
fn sweep(repo: &gix::Repository) {
    let packs = repo.objects.store_ref().path().join("pack");
    let words = stale(repo.git_dir(), &["sdp-ssh-"]);
    for entry in stale(&packs, &[".tmp", "tmp_"]).chain(words) {
        fs::remove_file(entry.path()).ok();
    }
}
