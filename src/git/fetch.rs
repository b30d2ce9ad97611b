//! What comes from the remote.

use std::ffi::OsStr;
use std::num::NonZeroU32;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use gix::bstr::ByteSlice as _;
use gix::refs::FullName;
use gix::refs::transaction::{PreviousValue, RefEdit};
use gix::remote::Direction;
use gix::remote::fetch::Outcome;
use gix::remote::fetch::refmap::Source;

use super::remote::{Received, Transfer, absent, list};
use super::{Git, Id, Meter, Revision, leftovers, trouble};
use crate::failure::{Code, Failure, Result};

/// What a fetch found.
#[derive(Clone, Copy, Debug)]
pub struct Fetched {
    /// Where the revision is at the remote.
    pub upstream: Id,
    /// `None` where there was nothing new.
    pub received: Option<Received>,
}

impl Git {
    /// Fetches `revision` from `origin`, in one round trip: a branch into `refs/remotes/origin/`, a
    /// tag into `refs/tags/`. A commit that is here already is not asked for.
    ///
    /// `depth` limits what is new to a shallow repository. A tag that is another one here than at
    /// the remote is refused, or with `force` taken from there.
    pub fn fetch(
        &self,
        revision: &Revision,
        depth: Option<NonZeroU32>,
        force: bool,
        meter: &Meter,
        stop: &AtomicBool,
    ) -> Result<Fetched> {
        if let Revision::Commit(id) = revision
            && let Some(upstream) = self.local_commit(id)?
        {
            return Ok(Fetched {
                upstream,
                received: None,
            });
        }
        let repo = self.local();
        let fetch = Fetch {
            git: self,
            remote: self.remote(&repo)?,
            revision,
            depth,
            meter,
            stop,
        };
        match revision {
            Revision::Branch(branch) => fetch.branch(branch),
            Revision::Tag(tag) => fetch.tag(tag, force),
            Revision::Commit(id) => fetch.commit(id),
        }
    }

    /// The failure to find a commit; its history was fetched to a `depth` only, or not.
    fn unknown(&self, revision: &Revision, depth: bool) -> Failure {
        let shown = crate::redact::url(&self.origin().unwrap_or_default());
        if self.local().is_shallow().unwrap_or(false) {
            let message = format!(
                "`{shown}` has no {revision} in the history that is here, which is cut off"
            );
            return Failure::new(Code::CommitNotFound, message).hint(if depth {
                "`--commit` with all 40 digits, or leave out `--depth` to look further back"
            } else {
                "`--commit` with all 40 digits, or `git fetch --unshallow` in the checkout to look further back"
            });
        }
        let message = format!("`{shown}` has no {revision} on any branch or tag");
        Failure::new(Code::CommitNotFound, message)
            .hint("`git push` it, or `--commit` with another id")
    }

    /// Where `revision` is at the remote, without getting anything of it; `None` if only a fetch can
    /// tell.
    pub fn tip(&self, revision: &Revision) -> Result<Option<Id>> {
        let folder = match revision {
            Revision::Branch(_) => "refs/heads",
            Revision::Tag(_) => "refs/tags",
            Revision::Commit(id) => return self.local_commit(id),
        };
        let repo = self.local();
        let remote = self.remote(&repo)?;
        let name = revision.reference()?;
        let listed = list(&remote, &self.credentials, folder)?;
        let found = listed.iter().find_map(|known| {
            let (full, target, peeled) = known.unpack();
            let id = peeled.or(target)?;
            (Some(full) == name.as_ref().map(FullName::as_bstr)).then(|| Id(id.to_owned()))
        });
        match found {
            Some(id) => Ok(Some(id)),
            None => Err(absent(&remote, &self.credentials, Some(revision), &listed)),
        }
    }

    /// The remote `origin`. As git sees it, a relative path begins at the checkout, wherever sdp runs.
    pub(super) fn remote<'repo>(&self, repo: &'repo gix::Repository) -> Result<gix::Remote<'repo>> {
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
        match remote.url(Direction::Fetch).and_then(relative_path) {
            Some(path) => {
                let path = self.path().join(path);
                remote
                    .with_url_without_url_rewrite(path.as_os_str().as_bytes().as_bstr())
                    .map_err(|error| trouble::git("read the URL of `origin`", &error))
            }
            None => Ok(remote),
        }
    }
}

fn relative_path(url: &gix::Url) -> Option<PathBuf> {
    let path = Path::new(OsStr::from_bytes(&url.path));
    (url.scheme == gix::url::Scheme::File && path.is_relative()).then(|| path.to_owned())
}

/// One fetch of one revision.
struct Fetch<'a> {
    git: &'a Git,
    remote: gix::Remote<'a>,
    revision: &'a Revision,
    depth: Option<NonZeroU32>,
    meter: &'a Meter,
    stop: &'a AtomicBool,
}

impl Fetch<'_> {
    fn branch(&self, branch: &str) -> Result<Fetched> {
        let name = super::branch::full_name(branch)?;
        let tracking = format!("refs/remotes/origin/{branch}");
        let known = self.remote.repo().try_find_reference(&tracking);
        let is_known = matches!(known, Ok(Some(_)));
        let (there, received) = self.reference(&name, &format!("+{name}:{tracking}"), is_known)?;
        match there.peeled_id() {
            Some(id) => Ok(Fetched {
                upstream: Id(id.to_owned()),
                received,
            }),
            None => Err(self.absent()),
        }
    }

    fn tag(&self, tag: &str, force: bool) -> Result<Fetched> {
        let repo = self.remote.repo();
        let Some(name) = self.revision.reference()? else {
            return Err(Failure::new(Code::Internal, "a tag without a name"));
        };
        let here = || -> Result<Option<gix::ObjectId>> {
            let found = repo.try_find_reference(&name);
            let found =
                found.map_err(|error| trouble::git(format!("read the tag `{tag}`"), &error))?;
            Ok(found.and_then(|found| Some(found.target().try_id()?.to_owned())))
        };
        let before = here()?;
        let spec = name.as_bstr().to_string();
        let (there, received) = self.reference(&name, &spec, before.is_some())?;
        let Some(there) = there.as_id().map(ToOwned::to_owned) else {
            return Err(self.absent());
        };
        if let Some(before) = before
            && before != there
            && !force
        {
            return Err(Failure::new(
                Code::TagMoved,
                format!(
                    "the tag `{tag}` is {} at the remote, but {} here",
                    Id(there).short(),
                    Id(before).short()
                ),
            )
            .hint("`--force` takes the remote's; a tag that moves is better a branch"));
        }
        if here()? != Some(there) {
            let edit = RefEdit::update(name, there, PreviousValue::Any, "fetch");
            leftovers::recorded(repo, &["refs/tags"], || {
                repo.edit_reference(edit)
                    .map_err(|error| trouble::git(format!("write the tag `{tag}`"), &error))
            })?;
        }
        let commit = repo
            .find_object(there)
            .and_then(gix::Object::peel_to_commit)
            .map_err(|error| trouble::git(format!("find the commit of the tag `{tag}`"), &error))?;
        Ok(Fetched {
            upstream: Id(commit.id),
            received,
        })
    }

    fn commit(&self, id: &str) -> Result<Fetched> {
        // A full id can be asked for, although servers may refuse that; the beginning of one has to
        // be looked for in all there is.
        let depth = self.depth.filter(|_| is_shallow(self.remote.repo()));
        let mut received = None;
        if gix::ObjectId::from_hex(id.as_bytes()).is_ok() {
            match self.get(&[id], depth) {
                Ok((_, some)) => received = some,
                Err(failure) if failure.code == Code::GitFailed => {}
                Err(failure) => return Err(failure),
            }
        }
        let mut found = self.git.local_commit(id)?;
        if found.is_none() {
            let all = [
                "+refs/heads/*:refs/remotes/origin/*",
                "refs/tags/*:refs/tags/*",
            ];
            received = self.get(&all, depth)?.1;
            found = self.git.local_commit(id)?;
        }
        match found {
            Some(upstream) => Ok(Fetched { upstream, received }),
            None => Err(self.git.unknown(self.revision, depth.is_some())),
        }
    }

    /// Gets the reference `name`, and tells what the remote has under it. The depth limits only what
    /// is not known here.
    fn reference(
        &self,
        name: &FullName,
        spec: &str,
        is_known: bool,
    ) -> Result<(Source, Option<Received>)> {
        let limits = |_: &NonZeroU32| !is_known && is_shallow(self.remote.repo());
        let (outcome, received) = self.get(&[spec], self.depth.filter(limits))?;
        let mut mappings = outcome.ref_map.mappings.into_iter();
        let found = mappings.find(|mapping| mapping.remote.as_name() == Some(name.as_bstr()));
        let found = found.ok_or_else(|| self.absent())?;
        Ok((found.remote, received))
    }

    fn get(
        &self,
        specs: &[&str],
        depth: Option<NonZeroU32>,
    ) -> Result<(Outcome, Option<Received>)> {
        let transfer = Transfer {
            specs,
            head: false,
            depth,
            wanted: Some(self.revision),
        };
        let targets = specs.iter().filter_map(|spec| spec.rsplit(':').next());
        let targets = targets.map(|target| target.trim_end_matches("/*"));
        // Tags that lead to what comes are brought, too.
        let more = ["refs/tags", "shallow", leftovers::PACKS];
        let edited: Vec<&str> = targets.chain(more).collect();
        leftovers::recorded(self.remote.repo(), &edited, || {
            transfer.run(&self.remote, &self.git.credentials, self.meter, self.stop)
        })
    }

    fn absent(&self) -> Failure {
        absent(
            &self.remote,
            &self.git.credentials,
            Some(self.revision),
            &[],
        )
    }
}

/// Removes what a fetch that had to be left behind on its thread has not finished.
pub fn abandon_fetch(git: &Git) {
    gix::tempfile::registry::cleanup_tempfiles();
    leftovers::forget(&git.local());
}

/// Whether its history is cut off, as that of a clone which has nothing yet may be.
fn is_shallow(repo: &gix::Repository) -> bool {
    repo.is_shallow().unwrap_or(false) || repo.head_id().is_err()
}
