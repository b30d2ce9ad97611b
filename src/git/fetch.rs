//! What comes from the remote.

use std::num::NonZeroU32;
use std::sync::atomic::AtomicBool;

use gix::refs::FullName;
use gix::refs::transaction::{PreviousValue, RefEdit};

use super::remote::{Missing, Received, Transfer, absent, list};
use super::{Git, Id, Meter, Revision, trouble};
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
        match revision {
            Revision::Branch(branch) => self.fetch_branch(branch, revision, depth, meter, stop),
            Revision::Tag(tag) => self.fetch_tag(tag, revision, depth, force, meter, stop),
            Revision::Commit(id) => self.fetch_commit(id, revision, depth, meter, stop),
        }
    }

    fn fetch_branch(
        &self,
        branch: &str,
        revision: &Revision,
        depth: Option<NonZeroU32>,
        meter: &Meter,
        stop: &AtomicBool,
    ) -> Result<Fetched> {
        let repo = self.local();
        let remote = self.remote(&repo)?;
        let name = super::branch::full_name(branch)?;
        let tracking = format!("refs/remotes/origin/{branch}");
        let is_known = matches!(repo.try_find_reference(&tracking), Ok(Some(_)));
        let transfer = Transfer {
            specs: &[&format!("+{name}:{tracking}")],
            head: false,
            depth: depth.filter(|_| !is_known && is_shallow(&repo)),
            missing: Missing::Revision(revision),
        };
        let (outcome, received) =
            meter.waiting(|| transfer.run(&remote, &self.credentials, meter, stop))?;
        let upstream = outcome.ref_map.mappings.iter().find_map(|mapping| {
            let is_it = mapping.remote.as_name() == Some(name.as_bstr());
            is_it.then(|| mapping.remote.peeled_id().map(ToOwned::to_owned))?
        });
        match upstream {
            Some(id) => Ok(Fetched {
                upstream: Id(id),
                received,
            }),
            None => Err(absent(&remote, &self.credentials, transfer.missing, &[])),
        }
    }

    fn fetch_tag(
        &self,
        tag: &str,
        revision: &Revision,
        depth: Option<NonZeroU32>,
        force: bool,
        meter: &Meter,
        stop: &AtomicBool,
    ) -> Result<Fetched> {
        let repo = self.local();
        let remote = self.remote(&repo)?;
        let Some(name) = revision.reference()? else {
            return Err(Failure::new(Code::Internal, "a tag without a name"));
        };
        let here = || -> Result<Option<gix::ObjectId>> {
            let found = repo.try_find_reference(&name);
            let found =
                found.map_err(|error| trouble::git(format!("read the tag `{tag}`"), &error))?;
            Ok(found.and_then(|found| Some(found.target().try_id()?.to_owned())))
        };
        let before = here()?;
        let transfer = Transfer {
            specs: &[&name.as_bstr().to_string()],
            head: false,
            depth: depth.filter(|_| before.is_none() && is_shallow(&repo)),
            missing: Missing::Revision(revision),
        };
        let (outcome, received) =
            meter.waiting(|| transfer.run(&remote, &self.credentials, meter, stop))?;
        let there = outcome.ref_map.mappings.iter().find_map(|mapping| {
            let is_it = mapping.remote.as_name() == Some(name.as_bstr());
            is_it.then(|| mapping.remote.as_id().map(ToOwned::to_owned))?
        });
        let Some(there) = there else {
            return Err(absent(&remote, &self.credentials, transfer.missing, &[]));
        };
        if let Some(before) = before
            && before != there
            && !force
        {
            let short = |id: gix::ObjectId| id.to_hex_with_len(9).to_string();
            return Err(Failure::new(
                Code::TagMoved,
                format!(
                    "the tag `{tag}` is {} at the remote, but {} here",
                    short(there),
                    short(before)
                ),
            )
            .hint("`--force` takes the remote's; a tag that moves is better a branch"));
        }
        if here()? != Some(there) {
            let edit = RefEdit::update(name, there, PreviousValue::Any, "fetch");
            repo.edit_reference(edit)
                .map_err(|error| trouble::git(format!("write the tag `{tag}`"), &error))?;
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

    fn fetch_commit(
        &self,
        id: &str,
        revision: &Revision,
        depth: Option<NonZeroU32>,
        meter: &Meter,
        stop: &AtomicBool,
    ) -> Result<Fetched> {
        if let Some(upstream) = self.local_commit(id)? {
            return Ok(Fetched {
                upstream,
                received: None,
            });
        }
        let repo = self.local();
        let remote = self.remote(&repo)?;
        let fetch = |specs: &[&str], depth| {
            let transfer = Transfer {
                specs,
                head: false,
                depth,
                missing: Missing::Revision(revision),
            };
            meter.waiting(|| transfer.run(&remote, &self.credentials, meter, stop))
        };
        // A full id can be asked for, although servers may refuse that; the beginning of one has to
        // be looked for in all there is.
        let depth = depth.filter(|_| is_shallow(&repo));
        let mut received = None;
        if gix::ObjectId::from_hex(id.as_bytes()).is_ok() {
            match fetch(&[id], depth) {
                Ok((_, some)) => received = some,
                Err(failure) if failure.code == Code::GitFailed => {}
                Err(failure) => return Err(failure),
            }
        }
        let mut found = self.local_commit(id)?;
        if found.is_none() {
            let all = [
                "+refs/heads/*:refs/remotes/origin/*",
                "refs/tags/*:refs/tags/*",
            ];
            received = fetch(&all, depth)?.1;
            found = self.local_commit(id)?;
        }
        match found {
            Some(upstream) => Ok(Fetched { upstream, received }),
            None => Err(self.unknown(revision, depth.is_some())),
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
            None => Err(absent(
                &remote,
                &self.credentials,
                Missing::Revision(revision),
                &listed,
            )),
        }
    }

    /// The remote `origin`.
    pub(super) fn remote<'repo>(&self, repo: &'repo gix::Repository) -> Result<gix::Remote<'repo>> {
        repo.find_remote("origin").map_err(|_| {
            Failure::new(
                Code::Usage,
                format!(
                    "the checkout `{}` has no remote `origin`",
                    self.path().display()
                ),
            )
            .hint("`git remote add origin URL` in the checkout")
        })
    }
}

/// Removes what a fetch that had to be left behind on its thread has not finished.
pub fn abandon_fetch() {
    gix::tempfile::registry::cleanup_tempfiles();
}

/// Whether its history is cut off, as that of a clone which has nothing yet may be.
fn is_shallow(repo: &gix::Repository) -> bool {
    repo.is_shallow().unwrap_or(false) || repo.head_id().is_err()
}
