//! Tracked files that have changed during a build, put back.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use gix::bstr::{BString, ByteSlice as _};

use super::survey::survey;
use super::switch::{Switch, open_index};
use super::{Git, Meter, place, trouble};
use crate::failure::{Code, Failure, Result};

impl Git {
    /// Puts back the tracked files that are not as the commit has them, in submodules too, and names
    /// them. What they were goes to `keep`, which is made only if there is something to keep.
    ///
    /// For a checkout that was clean before something else wrote into it.
    ///
    /// # Errors
    /// `git_failed`, `disk_full`, `permission_denied`.
    pub fn restore(&self, keep: &Path) -> Result<Vec<PathBuf>> {
        let mut restored = self.restore_own(keep)?;
        for (path, submodule) in self.submodule_checkouts()? {
            let within = submodule.restore_own(&keep.join(&path))?;
            restored.extend(within.into_iter().map(|file| path.join(file)));
        }
        Ok(restored)
    }

    /// The tracked files that are not as HEAD has them.
    pub(super) fn local_changes(&self) -> Result<Vec<BString>> {
        let repo = self.local();
        if !repo.index_path().exists() {
            return Ok(Vec::new());
        }
        let head = repo.head_id().ok().map(gix::Id::detach);
        let mut index = open_index(&repo)?;
        let found = survey(&repo, &mut index, head, &[]).map_err(|error| {
            let what = format!("compare `{}` with its git index", self.path().display());
            trouble::git(what, &error)
        })?;
        Ok(Vec::from_iter(found.changed))
    }

    fn restore_own(&self, keep: &Path) -> Result<Vec<PathBuf>> {
        let changed = self.local_changes()?;
        if changed.is_empty() {
            return Ok(Vec::new());
        }
        let repo = self.local();
        let head = repo
            .head_id()
            .map_err(|error| trouble::git("read HEAD", &error))?
            .detach();
        for path in &changed {
            set_aside(
                &place::below(self.path(), path.as_bstr()),
                &place::below(keep, path.as_bstr()),
            )
            .map_err(|error| {
                let what = format_args!("move `{path}` to `{}`", keep.display()).to_string();
                Failure::io(Code::GitFailed, what, error)
            })?;
        }
        let switch = Switch {
            repo: &repo,
            head: Some(head),
            target: head,
            force: true,
            meter: &Meter::default(),
        };
        switch.run(None, || Ok(()))?;
        Ok(changed
            .iter()
            .map(|path| place::below(Path::new(""), path.as_bstr()))
            .collect())
    }
}

/// Moves a file, if it is there.
fn set_aside(file: &Path, to: &Path) -> io::Result<()> {
    if let Some(directory) = to.parent() {
        fs::create_dir_all(directory)?;
    }
    match fs::rename(file, to) {
        Err(error) if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Err(error)
        }
        _ => Ok(()),
    }
}
