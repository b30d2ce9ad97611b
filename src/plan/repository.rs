//! What is deployed: what REPO means, and where that is.

use std::env;
use std::path::{Path, PathBuf};

use super::arguments::usage;
use crate::cli::{self, Repo};
use crate::failure::{Code, Failure, Result};
use crate::git::{self, Git, Login};

/// What is deployed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    /// Safe as a part of a container's and a file's name.
    pub name: String,
    /// The checkout; absolute, free of symbolic links where it exists.
    pub path: PathBuf,
    /// Where to clone from, if there is no checkout yet.
    pub url: Option<String>,
    /// It was named by a path, which means this checkout and no other of the same name.
    pub by_path: bool,
    /// sdp.toml has its name.
    pub is_configured: bool,
}

impl Repository {
    /// Finds out what `repo` means: a name in sdp.toml, a git URL, a path, or a directory's name
    /// below `$SDP_ROOT` or among the clones of URLs.
    ///
    /// # Errors
    /// `usage`, where no name can be made of it.
    pub fn resolve(repo: &Repo) -> Result<Repository> {
        Repository::with_login(repo, None, None).map(|(repository, _)| repository)
    }

    /// The same for a deployment, and what the URL says of user and password: it is kept without.
    pub(super) fn with_login(
        repo: &Repo,
        path: Option<&Path>,
        url: Option<&str>,
    ) -> Result<(Repository, Option<Login>)> {
        let place = repo.place.as_ref();
        let repo = repo.word.as_str();
        if repo.is_empty() {
            return Err(usage(
                "REPO is empty",
                "`sdp deploy .` deploys the checkout in this directory",
            ));
        }
        let repo_is_url = place.is_none() && is_url(repo);
        let by_path = match place {
            Some(place) => path.is_some() || place.is_fixed || is_path(repo),
            None => path.is_some() || is_path(repo),
        };
        let by_path = by_path && !repo_is_url;
        let url = url.or(repo_is_url.then_some(repo)).map(str::to_owned);
        if let Some(path) = path
            && !repo_is_url
        {
            refuse_two_checkouts(repo, place, path)?;
        }
        let is_named = path.is_some() && !is_path(repo);
        let path = match path.or(place.map(|place| place.path.as_path())) {
            Some(path) => path.to_owned(),
            None if repo_is_url => home()?.join(name_of(repo)?),
            None if is_path(repo) => PathBuf::from(repo),
            None if url.is_some() => below_root(repo),
            None => named(repo),
        };
        let path = resolved(&path).map_err(|error| {
            Failure::io(
                Code::Usage,
                format_args!("find `{}`", path.display()),
                error,
            )
        })?;
        let name = if let Some(place) = place {
            place.name.clone()
        } else if repo_is_url || is_named {
            name_of(repo)?
        } else {
            name_of(&path.to_string_lossy())?
        };
        let (url, login) = match url {
            Some(url) => {
                let (url, login) = git::split_login(&absolute_url(&url))?;
                (Some(url), login)
            }
            None => (None, None),
        };
        let repository = Repository {
            name,
            path,
            url,
            by_path,
            is_configured: place.is_some(),
        };
        Ok((repository, login))
    }
}

/// Of a path and another one neither could be meant alone; that of an environment is beside its
/// repository's.
fn refuse_two_checkouts(repo: &str, place: Option<&cli::Place>, path: &Path) -> Result<()> {
    let known = resolved(path).ok();
    let is_of_service = place.is_some_and(|place| known.as_ref() == Some(&place.path));
    if !is_path(repo) || is_of_service || resolved(Path::new(repo)).ok() == known {
        return Ok(());
    }
    Err(usage(
        format!("`{repo}` and `--path {}` are two checkouts", path.display()),
        "give one of them; before `--path`, a name is what the service is called (SDP_PATH counts, too)",
    ))
}

pub fn is_url(text: &str) -> bool {
    text.contains("://") || scp_like(text).is_some()
}

/// A path is a URL, too; relative to where sdp was started, not to the checkout.
fn absolute_url(url: &str) -> String {
    match std::path::absolute(url) {
        Ok(path) if !is_url(url) => path.to_string_lossy().into_owned(),
        _ => url.to_owned(),
    }
}

/// Whether a word is a path and no name.
pub fn is_path(word: &str) -> bool {
    word.contains('/') || word == "." || word == ".."
}

/// The checkout that a name alone means: below `$SDP_ROOT`, else where one that was named by its URL alone
/// was cloned to.
pub fn named(name: &str) -> PathBuf {
    let below = below_root(name);
    let cloned = home().ok().map(|home| home.join(name));
    let cloned = cloned.filter(|cloned| !below.exists() && Git::exists(cloned));
    cloned.unwrap_or(below)
}

/// Where a directory that is named by a name alone lies.
pub fn below_root(name: &str) -> PathBuf {
    env::var_os("SDP_ROOT")
        .map_or_else(PathBuf::new, PathBuf::from)
        .join(name)
}

/// The absolute path without symbolic links, as far as it exists; the same before and after a clone.
///
/// # Errors
/// Those of the file system.
pub fn resolved(path: &Path) -> std::io::Result<PathBuf> {
    resolve_links(&std::path::absolute(path)?)
}

fn resolve_links(path: &Path) -> std::io::Result<PathBuf> {
    match path.canonicalize() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            match (path.parent(), path.file_name()) {
                (Some(parent), Some(name)) => Ok(resolve_links(parent)?.join(name)),
                _ => Err(error),
            }
        }
        resolved => resolved,
    }
}

/// `host:path`, git's short form of an ssh URL, unless that is a file's name.
fn scp_like(text: &str) -> Option<&str> {
    let (host, path) = text.split_once(':')?;
    (!host.is_empty() && !host.contains('/') && !Path::new(text).exists()).then_some(path)
}

/// The last component without `.git`, with everything that a container's name cannot hold replaced.
fn name_of(repo: &str) -> Result<String> {
    let path = scp_like(repo).unwrap_or(repo).trim_end_matches('/');
    let last = path.rsplit('/').next().unwrap_or(path);
    let name: String = last
        .strip_suffix(".git")
        .unwrap_or(last)
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "_.-".contains(c) {
                c
            } else {
                '-'
            }
        })
        .collect();
    let name = name.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
    if name.is_empty() {
        return Err(usage(
            format!("no name can be made of `{repo}`"),
            "give a directory whose name has a letter or digit in it",
        ));
    }
    Ok(name.to_owned())
}

/// Where what is named by a URL alone is cloned to.
///
/// # Errors
/// `usage`, where there is no home directory.
pub fn home() -> Result<PathBuf> {
    let below = |variable: &str, rest: &str| {
        env::var_os(variable)
            .filter(|value| !value.is_empty())
            .map(|base| Path::new(&base).join(rest))
    };
    below("SDP_HOME", "")
        .or_else(|| below("XDG_DATA_HOME", "sdp"))
        .or_else(|| below("HOME", ".local/share/sdp"))
        .ok_or_else(|| {
            usage(
                "there is no home directory to clone into",
                "`--path DIR`, or set SDP_HOME",
            )
        })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_name_is_made_of_the_last_component() {
        assert_eq!(name_of("https://h/team/shop.git").unwrap(), "shop");
        assert_eq!(name_of("git@h:team/shop.git/").unwrap(), "shop");
        assert_eq!(name_of("/srv/größer shop").unwrap(), "gr--er-shop");
        assert_eq!(name_of("/srv/.shop").unwrap(), "shop");
        assert_eq!(name_of("/").unwrap_err().code, Code::Usage);
    }
}
