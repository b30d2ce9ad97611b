//! Submodules: whether they are in the work tree as the commit has them. To fetch them is the `git`
//! program's work.

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use gix::ObjectId;
use gix::bstr::BString;
use gix::index::entry::{Flags, Mode};

use super::program::Program;
use super::{Git, trouble};
use crate::failure::{Code, Failure, Result};

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
    /// Where that fails, once more from the URLs that the commit names. Not before: somebody may have
    /// configured others that do.
    ///
    /// # Errors
    /// `git_failed` with git's last lines, `git_locked`, or the interruption.
    pub async fn update_submodules(&self, program: Program<'_>, force: bool) -> Result<()> {
        self.refuse_severed()?;
        self.remove_half_clones()?;
        for submodule in self.submodules()? {
            // Of a lock file in its way there git only says that it exists.
            if let Some(checkout) = submodule.checkout
                && (force || !checkout.is_at(submodule.commit))
            {
                checkout.refuse_locked_index()?;
            }
        }
        let mut arguments = vec!["submodule", "update", "--init", "--recursive"];
        if force {
            arguments.push("--force");
        }
        match program.run(&[], &arguments).await {
            Err(failure) if failure.code == Code::GitFailed => {
                let before = self.configurations()?;
                let sync = ["submodule", "sync", "--recursive"];
                if program.run(&[], &sync).await.is_err() || self.configurations()? == before {
                    return Err(failure);
                }
                self.remove_half_clones()?;
                program.run(&[], &arguments).await
            }
            ended => ended,
        }
    }

    /// git neither repairs a submodule whose files are there and whose repository is not, nor says how to.
    fn refuse_severed(&self) -> Result<()> {
        for Submodule { path, .. } in self.submodules()? {
            if is_severed(&self.path().join(&path)) {
                let message = format!(
                    "the repository of the submodule `{}` is gone",
                    path.display()
                );
                return Err(Failure::new(Code::GitFailed, message).hint(format!(
                    "`mv` {} out of the checkout, and deploy again: `--submodules` brings it anew",
                    path.display()
                )));
            }
        }
        Ok(())
    }

    /// What the configuration of this repository and of its submodules says.
    fn configurations(&self) -> Result<Vec<Option<Vec<u8>>>> {
        let submodules = self.submodule_checkouts()?.into_iter();
        let all = std::iter::once(self.clone()).chain(submodules.map(|(_, checkout)| checkout));
        Ok(all
            .map(|git| fs::read(git.local().common_dir().join("config")).ok())
            .collect())
    }

    /// Removes what a git that was killed has left of the first clone of a submodule: git takes it for
    /// the whole, and fails.
    fn remove_half_clones(&self) -> Result<()> {
        let repo = self.local();
        let submodules = repo
            .submodules()
            .map_err(|error| trouble::git("read `.gitmodules`", &error))?;
        for submodule in submodules.into_iter().flatten() {
            let (Ok(git_dir), Ok(root)) = (submodule.git_dir(), submodule.work_dir()) else {
                continue;
            };
            if !is_half(&git_dir) {
                if git_dir.is_dir() && Git::exists(&root) {
                    Git::open(&root)?.remove_half_clones()?;
                }
                continue;
            }
            let link = root.join(".git");
            let mut files = fs::read_dir(&root).into_iter().flatten().flatten();
            // Whatever else there is, git has not written it.
            if files.all(|file| file.path() == link) {
                let removed =
                    fs::remove_dir_all(&git_dir).and_then(|()| match fs::remove_file(link) {
                        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
                        _ => Ok(()),
                    });
                removed.map_err(|error| {
                    let what = format_args!("remove `{}`", git_dir.display()).to_string();
                    Failure::io(Code::GitFailed, what, error)
                })?;
            }
        }
        Ok(())
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
            let is_there = Git::exists(&root) && !is_severed(&root);
            let checkout = is_there.then(|| Git::open(&root)).transpose()?;
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
}

/// Whether nothing was ever checked out from a repository: it has an unborn HEAD, and no index.
fn is_half(git_dir: &Path) -> bool {
    git_dir.is_dir()
        && !git_dir.join("index").exists()
        && gix::open(git_dir).map_or(true, |repo| repo.head_id().is_err())
}

/// Whether the repository that the work tree at `root` belongs to is gone.
fn is_severed(root: &Path) -> bool {
    let link = root.join(".git");
    link.is_file() && !gix::discover::path::from_gitdir_file(&link).is_ok_and(|dir| dir.is_dir())
}
