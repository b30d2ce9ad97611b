//! Submodules: whether they are in the work tree as the commit has them. To fetch them is the `git`
//! program's work.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use gix::ObjectId;
use gix::bstr::BString;
use gix::index::entry::{Flags, Mode};

use super::program::Program;
use super::survey::survey;
use super::switch::open_index;
use super::{Git, trouble};
use crate::failure::Result;

/// A submodule of a commit, or one within a submodule.
struct Submodule {
    /// Relative to the outermost work tree.
    path: PathBuf,
    /// Where it is to be.
    commit: ObjectId,
    /// `None` where it is not in the work tree.
    checkout: Option<Git>,
}

impl Git {
    /// The paths of the submodules that are not as the commit has them: missing, at another commit or,
    /// if `pristine` is asked for, locally changed.
    ///
    /// # Errors
    /// `git_failed`.
    pub fn stale_submodules(&self, pristine: bool) -> Result<Vec<PathBuf>> {
        let mut stale = Vec::new();
        for submodule in self.submodules()? {
            let is_as_wanted = match &submodule.checkout {
                Some(checkout) if checkout.is_at(submodule.commit) => {
                    !pristine || checkout.local_changes()?.is_empty()
                }
                _ => false,
            };
            if !is_as_wanted {
                stale.push(submodule.path);
            }
        }
        Ok(stale)
    }

    /// The submodules that are in the work tree, by their paths.
    ///
    /// # Errors
    /// `git_failed`.
    pub fn submodule_checkouts(&self) -> Result<Vec<(PathBuf, Git)>> {
        let submodules = self.submodules()?.into_iter();
        let present = submodules.filter_map(|found| Some((found.path, found.checkout?)));
        Ok(present.collect())
    }

    /// Takes all submodules to where the commit has them. With `force`, local changes are dropped.
    ///
    /// # Errors
    /// `git_failed` with git's last lines, or the interruption.
    pub async fn update_submodules(&self, program: Program<'_>, force: bool) -> Result<()> {
        let mut arguments = vec!["submodule", "update", "--init", "--recursive"];
        if force {
            arguments.push("--force");
        }
        program.run(&[], &arguments).await
    }

    /// Refuses local changes to the tracked files of submodules.
    ///
    /// # Errors
    /// `checkout_dirty`, `git_failed`.
    pub fn refuse_changed_submodules(&self) -> Result<()> {
        let mut changed: Vec<BString> = Vec::new();
        for (path, submodule) in self.submodule_checkouts()? {
            changed.extend(submodule.local_changes()?.into_iter().map(|file| {
                let file = path.join(OsStr::from_bytes(&file));
                BString::from(file.as_os_str().as_bytes())
            }));
        }
        if changed.is_empty() {
            Ok(())
        } else {
            Err(trouble::dirty(&changed)
                .hint("`--force --submodules` drops them; `git stash` there keeps them for later"))
        }
    }

    /// All submodules, each before those within it. Those that a sparse checkout leaves out are not
    /// among them.
    fn submodules(&self) -> Result<Vec<Submodule>> {
        let index = self
            .local()
            .index_or_empty()
            .map_err(|error| trouble::git("read the git index", &error))?;
        let entries = index.entries().iter().filter(|entry| {
            entry.mode == Mode::COMMIT && !entry.flags.contains(Flags::SKIP_WORKTREE)
        });
        let mut found = Vec::new();
        for entry in entries {
            let path = PathBuf::from(OsStr::from_bytes(entry.path(&index)));
            let root = self.path().join(&path);
            let checkout = Git::exists(&root).then(|| Git::open(&root)).transpose()?;
            let within = checkout.as_ref().map_or(Ok(Vec::new()), Git::submodules)?;
            let within = within.into_iter().map(|inner| Submodule {
                path: path.join(&inner.path),
                ..inner
            });
            let within: Vec<Submodule> = within.collect();
            found.push(Submodule {
                path,
                commit: entry.id,
                checkout,
            });
            found.extend(within);
        }
        Ok(found)
    }

    fn is_at(&self, commit: ObjectId) -> bool {
        let repo = self.local();
        repo.head_id().is_ok_and(|head| head.detach() == commit) && repo.index_path().exists()
    }

    /// The tracked files that are not as HEAD has them.
    fn local_changes(&self) -> Result<Vec<BString>> {
        let repo = self.local();
        if !repo.index_path().exists() {
            return Ok(Vec::new());
        }
        let head = repo.head_id().ok().map(gix::Id::detach);
        let mut index = open_index(&repo)?;
        let found = survey(&repo, &mut index, head, &[])
            .map_err(|error| trouble::git("compare a submodule with its git index", &error))?;
        Ok(Vec::from_iter(found.changed))
    }
}
