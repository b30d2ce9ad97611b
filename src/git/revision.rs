//! What of a repository is to be deployed.

use std::collections::HashSet;
use std::fmt;

use gix::refs::FullName;

use super::{Git, Id, trouble};
use crate::failure::{Code, Failure, Result};

/// git does not look commits up by fewer digits.
const SHORTEST: usize = 4;
const FULL: usize = 40;

/// A branch, which is followed, or a tag or a commit, which stay where they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revision {
    Branch(String),
    Tag(String),
    /// The id or its beginning, of lower-case hexadecimal digits.
    Commit(String),
}

impl Revision {
    /// # Errors
    /// `usage`, if that cannot be the name of a branch.
    pub fn branch(name: &str) -> Result<Revision> {
        Revision::Branch(name.to_owned()).checked()
    }

    /// # Errors
    /// `usage`, if that cannot be the name of a tag.
    pub fn tag(name: &str) -> Result<Revision> {
        Revision::Tag(name.to_owned()).checked()
    }

    fn checked(self) -> Result<Revision> {
        self.reference().map(|_| self)
    }

    /// # Errors
    /// `usage`, if that cannot be the id of a commit.
    pub fn commit(id: &str) -> Result<Revision> {
        let id = id.to_ascii_lowercase();
        let is_hex = id.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_hex && (SHORTEST..=FULL).contains(&id.len()) {
            return Ok(Revision::Commit(id));
        }
        Err(Failure::new(
            Code::Usage,
            format!("`--commit {id}` cannot be the id of a commit"),
        )
        .hint("`--commit` takes 4 to 40 hexadecimal digits; `--branch` and `--tag` are for names"))
    }

    /// The name of a branch or a tag; commits have none.
    pub fn name(&self) -> Option<&str> {
        match self {
            Revision::Branch(name) | Revision::Tag(name) => Some(name),
            Revision::Commit(_) => None,
        }
    }

    /// How people are told what runs: `main`, or `tag v1.0`, which cannot be the name of a branch;
    /// commits speak for themselves.
    pub fn label(&self) -> Option<String> {
        match self {
            Revision::Branch(name) => Some(name.clone()),
            Revision::Tag(name) => Some(format!("tag {name}")),
            Revision::Commit(_) => None,
        }
    }

    /// What stands for it in a program: the name, or for a commit what git itself says instead.
    pub fn stamp(&self) -> &str {
        self.name().unwrap_or("HEAD")
    }

    /// The reference, as in `refs/heads/main`; commits have none.
    ///
    /// # Errors
    /// `usage`, if git would not have such a name.
    pub(super) fn reference(&self) -> Result<Option<FullName>> {
        let (folder, name, kind) = match self {
            Revision::Branch(name) => ("heads", name, "branch"),
            Revision::Tag(name) => ("tags", name, "tag"),
            Revision::Commit(_) => return Ok(None),
        };
        FullName::try_from(format!("refs/{folder}/{name}"))
            .map(Some)
            .map_err(|_| {
                Failure::new(
                    Code::Usage,
                    format!("`{name}` cannot be the name of a {kind}"),
                )
                .hint(format!(
                    "`--{kind} NAME` takes the name alone, such as `{}`",
                    if kind == "tag" { "v1.0" } else { "main" }
                ))
            })
    }
}

/// As in "the remote has no {}".
impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Revision::Branch(name) => write!(f, "branch `{name}`"),
            Revision::Tag(name) => write!(f, "tag `{name}`"),
            Revision::Commit(id) => write!(f, "commit `{id}`"),
        }
    }
}

impl Git {
    /// The commit whose id, or that of a tag of it, is or begins with `id`; `None` if it is not here.
    ///
    /// # Errors
    /// `usage`, if there are several.
    pub fn local_commit(&self, id: &str) -> Result<Option<Id>> {
        let repo = self.local();
        let read = || -> gix::Result<Vec<gix::ObjectId>> {
            let prefix = gix::hash::Prefix::from_hex(id)?;
            let mut candidates = HashSet::new();
            repo.objects.lookup_prefix(prefix, Some(&mut candidates))?;
            let commit = |id: gix::ObjectId| {
                let found = repo.find_object(id).ok()?;
                let may_be =
                    [gix::object::Kind::Commit, gix::object::Kind::Tag].contains(&found.kind);
                let found = found.peel_to_commit().ok().filter(|_| may_be)?;
                Some(found.id)
            };
            let found: HashSet<_> = candidates.into_iter().filter_map(commit).collect();
            Ok(found.into_iter().collect())
        };
        let mut found =
            read().map_err(|error| trouble::git(format_args!("look for commit `{id}`"), &error))?;
        match found[..] {
            [] => Ok(None),
            [only] => Ok(Some(Id(only))),
            _ => {
                found.sort();
                Err(Failure::new(
                    Code::Usage,
                    format!("`{id}` is the beginning of several commits"),
                )
                .hint("`--commit` with more digits")
                .detail(found.iter().map(ToString::to_string).take(10)))
            }
        }
    }
}
