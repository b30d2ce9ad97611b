//! `sdp.toml`: where it is, whether it may be trusted, and what it says of whom.

use std::env;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::entries::{self, Entry, Origin, Source, Word, lay};
use super::tree::{self, Member, Place, Value};
use super::trust::{any_checkout_around, check_owner, checkout_around, pushed};
use crate::cli::{self, Layer};
use crate::failure::{Code, Failure, Result};
use crate::git::Git;
use crate::plan::{self, Repository, Warning};
use crate::redact;
use crate::shell::quoted;

/// A file that is read to its end, so that it must have one.
const LARGEST: u64 = 1024 * 1024;

const NAME: &str = "sdp.toml";

/// A configuration, every key of which is known and every value of which clap takes.
#[derive(Debug)]
pub struct File {
    source: Source,
    defaults: Vec<Entry>,
    services: Vec<Service>,
}

/// A repository, or one of its environments.
#[derive(Debug)]
struct Service {
    repository: String,
    environment: Option<String>,
    /// Of its table.
    place: Option<Place>,
    entries: Vec<Entry>,
}

impl File {
    /// Reads the file that counts: the one that was asked for, else the first that there is in the
    /// current directory, the user's and the host's. One in a checkout that is deployed never
    /// does: whoever can push to it could mount the host. Nor does one that merely happens to be in
    /// the current directory if that is in any checkout.
    ///
    /// # Errors
    /// `usage`, with file, line and column; those of the file system.
    pub fn find(
        asked: Option<&Path>,
        deployed: &[PathBuf],
        warnings: &mut Vec<Warning>,
    ) -> Result<Option<File>> {
        if let Some(path) = asked {
            return match File::read(path, deployed, warnings)? {
                Ok(file) => Ok(Some(file)),
                Err(checkout) => Err(Failure::new(Code::Usage, pushed(path, &checkout))
                    .hint("keep the host's configuration outside of what is deployed")),
            };
        }
        for path in candidates() {
            // A directory in its place is told as such.
            if path.symlink_metadata().is_err() {
                continue;
            }
            if path == Path::new(NAME)
                && let Some(checkout) = any_checkout_around(&path)
            {
                warnings.push(Warning {
                    line: format!(
                        "`{}` lies in the checkout `{}`, and does not count: whoever pushes there could change it",
                        path.display(),
                        checkout.display()
                    ),
                    hint: format!(
                        "keep the host's configuration in /etc/sdp or ~/.config/sdp; `--config ./{NAME}` takes this one"
                    ),
                });
                continue;
            }
            match File::read(&path, deployed, warnings)? {
                Ok(file) => return Ok(Some(file)),
                Err(checkout) => warnings.push(Warning {
                    line: format!("{}, and does not count", pushed(&path, &checkout)),
                    hint: "keep the host's configuration in /etc/sdp or ~/.config/sdp".to_owned(),
                }),
            }
        }
        Ok(None)
    }

    /// `Err`: it lies in this checkout, which is deployed.
    fn read(
        path: &Path,
        deployed: &[PathBuf],
        warnings: &mut Vec<Warning>,
    ) -> Result<Result<File, PathBuf>> {
        let io = |error| {
            let what = format_args!("read `{}`", path.display());
            Failure::io(Code::Usage, what, error).hint(format!("`ls -l {}`", quoted(path)))
        };
        let absolute = std::path::absolute(path).map_err(io)?;
        if let Some(checkout) = checkout_around(&absolute, deployed) {
            return Ok(Err(checkout));
        }
        // A pipe may have no writer, and nobody owns what comes out of it.
        let file = plan::open_file(path).map_err(io)?;
        let metadata = file.metadata().map_err(io)?;
        check_owner(path, &metadata)?;
        let text = std::io::read_to_string(file.take(LARGEST + 1)).map_err(io)?;
        if text.len() as u64 > LARGEST {
            let message = format!("`{}` is larger than 1 MiB", path.display());
            return Err(Failure::new(Code::Usage, message).hint("it is to be a file of settings"));
        }
        let folder = absolute.parent().unwrap_or(Path::new("/")).to_owned();
        let name: Rc<str> = path.display().to_string().into();
        let file = File::parse(&text, &Source::File { name, folder })?;
        let own = file
            .services
            .iter()
            .filter_map(|service| Some(file.target(service).ok()?.path));
        let own: Vec<PathBuf> = own.collect();
        if let Some(checkout) = checkout_around(&absolute, &own) {
            return Ok(Err(checkout));
        }
        if metadata.mode() & 0o044 != 0 && file.holds_secrets() {
            warnings.push(Warning {
                line: format!(
                    "`{}` holds secrets, and other users can read it",
                    path.display()
                ),
                hint: format!(
                    "`chmod 600 {}`; or keep them in an `env-file`",
                    quoted(path)
                ),
            });
        }
        Ok(Ok(file))
    }

    fn parse(text: &str, source: &Source) -> Result<File> {
        let document = tree::from_toml(text).map_err(|fault| {
            let hint = "values are strings in quotes, numbers, true or false, and arrays of them";
            source.failure(fault.place, &fault.message, hint)
        })?;
        let mut file = File {
            defaults: Vec::new(),
            services: Vec::new(),
            source: source.clone(),
        };
        for member in &document {
            match member.name.as_str() {
                "defaults" => {
                    file.defaults = source.entries(table(source, member)?, Layer::Defaults)?;
                    let mut own = file.defaults.iter();
                    if let Some(entry) =
                        own.find(|entry| matches!(entry.key.as_str(), "path" | "url"))
                    {
                        let message =
                            format!("`{}` cannot be the same of all repositories", entry.key);
                        let hint = "put it below `[repos.NAME]`";
                        return Err(source.failure(place_of(entry), &message, hint));
                    }
                }
                "repos" => {
                    for member in table(source, member)? {
                        file.add_repository(member)?;
                    }
                }
                other => {
                    let known = ["defaults", "repos"];
                    let failure = source.unknown("table", other, member.place, known.into_iter());
                    let is_key = cli::keys()
                        .iter()
                        .any(|key| entries::key_name(key) == other);
                    return Err(if is_key {
                        failure.hint("put it below `[defaults]` or `[repos.NAME]`")
                    } else {
                        failure
                    });
                }
            }
        }
        file.check_services()?;
        Ok(file)
    }

    fn add_repository(&mut self, member: &Member) -> Result<()> {
        let source = &self.source;
        let (environments, keys): (Vec<_>, Vec<_>) = table(source, member)?
            .iter()
            .cloned()
            .partition(|member| member.name == "environments");
        let mut services = vec![Service {
            repository: name_of(source, member)?,
            environment: None,
            place: member.place,
            entries: source.entries(&keys, Layer::Repository)?,
        }];
        for environment in environments.iter().map(|member| table(source, member)) {
            for environment in environment? {
                services.push(Service {
                    repository: member.name.clone(),
                    environment: Some(name_of(source, environment)?),
                    place: environment.place,
                    entries: source.entries(table(source, environment)?, Layer::Environment)?,
                });
            }
        }
        self.services.append(&mut services);
        Ok(())
    }

    /// No two services share a name or a checkout: one would replace the other.
    fn check_services(&self) -> Result<()> {
        let mut known: Vec<cli::Place> = Vec::new();
        for service in &self.services {
            let Ok(target) = self.target(service) else {
                continue;
            };
            let same_path = |other: &&cli::Place| {
                other.path == target.path && other.is_fixed && target.is_fixed
            };
            let same_name = |other: &&cli::Place| other.name == target.name;
            if let Some(other) = known.iter().find(same_name) {
                let message = format!("there is another service called `{}`", other.name);
                let hint = "an environment is called `REPOSITORY-ENVIRONMENT`; rename one of them";
                return Err(self.source.failure(service.place, &message, hint));
            }
            if let Some(other) = known.iter().find(same_path) {
                let path = target.path.display();
                let message = format!(
                    "`{}` and `{}` are both at `{path}`",
                    other.name, target.name
                );
                let hint = "give each its own `path`, as a checkout is one service";
                return Err(self.source.failure(service.place, &message, hint));
            }
            known.push(target);
        }
        Ok(())
    }

    /// Where it is.
    pub fn folder(&self) -> Option<&Path> {
        match &self.source {
            Source::File { folder, .. } => Some(folder),
            Source::Request => None,
        }
    }

    /// What the file says of REPO, and where that is then. It need not be a name in the file: a checkout
    /// is the service that has it.
    ///
    /// # Errors
    /// `usage`, for an environment that there is not, or that is not the one whose checkout REPO is.
    pub fn select(
        &self,
        repo: &str,
        environment: Option<&str>,
    ) -> Result<(Vec<Entry>, Option<cli::Place>)> {
        let mut entries = self.defaults.clone();
        let (word, service) = (repo, self.service_at(repo));
        let repo = service.map_or(repo, |service| service.repository.as_str());
        let own = service.and_then(|service| service.environment.as_deref());
        if let (Some(own), Some(other)) = (own, environment)
            && own != other
        {
            let message = format!(
                "`{word}` is the checkout of the environment `{own}`, and `{other}` is asked for"
            );
            let hint = format!(
                "`{repo} --environment {other}` has another checkout; else leave out `--environment` (SDP_ENVIRONMENT counts, too)"
            );
            return Err(Failure::new(Code::Usage, message).hint(hint));
        }
        let environment = environment.or(own);
        let is_repo = |service: &&Service| service.repository == repo;
        let find = |environment: Option<&str>| {
            let mut services = self.services.iter().filter(is_repo);
            services.find(|service| service.environment.as_deref() == environment)
        };
        let Some(repository) = find(None) else {
            return match environment {
                None => Ok((entries, None)),
                Some(_) => {
                    let names = self
                        .services
                        .iter()
                        .map(|service| service.repository.as_str());
                    Err(self.source.unknown("repository", repo, None, names))
                }
            };
        };
        lay(&mut entries, repository.entries.clone());
        let mut chosen = repository;
        if let Some(environment) = environment {
            let Some(found) = find(Some(environment)) else {
                let of_repository = self.services.iter().filter(is_repo);
                let names = of_repository.filter_map(|service| service.environment.as_deref());
                return Err(self.source.unknown(
                    "environment",
                    environment,
                    repository.place,
                    names,
                ));
            };
            // A checkout of its own, even where the repository says where its one is.
            entries.retain(|entry| entry.key != "path");
            lay(&mut entries, found.entries.clone());
            chosen = found;
        }
        let target = self.target(chosen)?;
        if target.is_fixed && !entries.iter().any(|entry| entry.key == "path") {
            entries.push(self.derived("path", &target.path, chosen.place));
        }
        if environment.is_some() && !entries.iter().any(|entry| entry.key == "url") {
            let of_repository = self.target(repository)?.path;
            let origin = (!Git::exists(&target.path))
                .then(|| Git::open(&of_repository).ok()?.origin())
                .flatten();
            if let Some(url) = origin {
                entries.push(Entry {
                    words: vec![Word {
                        text: url,
                        origin: Origin::Checkout(of_repository),
                        layer: Layer::Repository,
                    }],
                    ..self.derived("url", Path::new(""), None)
                });
            }
        }
        Ok((entries, Some(target)))
    }

    /// The service whose checkout a word is that is no name in the file.
    fn service_at(&self, word: &str) -> Option<&Service> {
        if plan::is_url(word) || self.services.iter().any(|known| known.repository == word) {
            return None;
        }
        let word = cli::Repo {
            word: word.to_owned(),
            place: None,
        };
        let checkout = Repository::resolve(&word).ok()?.path;
        let is_there = |service: &&Service| {
            let target = self.target(service);
            target.is_ok_and(|target| target.path == checkout)
        };
        self.services.iter().find(is_there)
    }

    /// What to tell of a word for a repository that is nearly one of the file's names, and nothing else.
    pub fn likely_slip(&self, word: &str) -> Option<Warning> {
        let names = self.services.iter();
        let names = names.map(|service| service.repository.as_str());
        let near = entries::nearest(word, names)?;
        let is_more = plan::is_url(word) || plan::named(word).exists();
        (!is_more).then(|| Warning {
            line: format!("sdp.toml has no `{word}`"),
            hint: format!("it has `{near}`"),
        })
    }

    /// What follows from a table without standing there.
    fn derived(&self, key: &str, path: &Path, place: Option<Place>) -> Entry {
        let name = match &self.source {
            Source::File { name, .. } => Rc::clone(name),
            Source::Request => Rc::from(""),
        };
        let place = place.unwrap_or(Place { line: 1, column: 1 });
        Entry {
            key: key.to_owned(),
            id: key.to_owned(),
            words: vec![Word {
                text: path.to_string_lossy().into_owned(),
                origin: Origin::File { name, place },
                layer: Layer::Repository,
            }],
            from_request: false,
        }
    }

    /// Where a service is. An environment has its checkout beside the repository's.
    fn target(&self, service: &Service) -> Result<cli::Place> {
        let said = |entries: &[Entry], key: &str| {
            let entry = entries.iter().find(|entry| entry.key == key)?;
            Some(entry.words.first()?.text.clone())
        };
        let repository = self
            .services
            .iter()
            .find(|other| other.repository == service.repository && other.environment.is_none());
        let repository = repository.map_or(&[][..], |repository| &repository.entries);
        let name = match &service.environment {
            Some(environment) => format!("{}-{environment}", service.repository),
            None => service.repository.clone(),
        };
        let own = said(&service.entries, "path");
        let has_url = said(&service.entries, "url")
            .or_else(|| said(repository, "url"))
            .is_some();
        let is_fixed = own.is_some() || has_url || said(repository, "path").is_some();
        let path = match (own, said(repository, "path"), &service.environment) {
            (Some(path), ..) => PathBuf::from(path),
            (None, Some(path), Some(environment)) => {
                let path = path.trim_end_matches('/');
                format!("{path}-{environment}").into()
            }
            _ if has_url => plan::home()?.join(&name),
            _ => plan::below_root(&name),
        };
        let path = plan::resolved(&path).map_err(|error| {
            Failure::io(
                Code::Usage,
                format_args!("find the checkout of `{name}`"),
                error,
            )
        })?;
        Ok(cli::Place {
            name,
            path,
            is_fixed,
        })
    }

    fn holds_secrets(&self) -> bool {
        let services = self.services.iter().flat_map(|service| &service.entries);
        self.defaults.iter().chain(services).any(|entry| {
            entry
                .words
                .iter()
                .any(|word| match word.text.split_once('=') {
                    Some((name, value)) if matches!(entry.key.as_str(), "env" | "build-env") => {
                        !value.is_empty() && redact::speaks_of_secrets(name)
                    }
                    _ => entry.key == "url" && redact::url(&word.text) != word.text,
                })
        })
    }
}

fn candidates() -> Vec<PathBuf> {
    let below = |variable: &str, rest: &str| {
        let base = env::var_os(variable).filter(|value| !value.is_empty())?;
        Some(Path::new(&base).join(rest).join("sdp").join(NAME))
    };
    let of_user = below("XDG_CONFIG_HOME", "").or_else(|| below("HOME", ".config"));
    let here = std::iter::once(PathBuf::from(NAME));
    here.chain(of_user)
        .chain([Path::new("/etc/sdp").join(NAME)])
        .collect()
}

fn table<'a>(source: &Source, member: &'a Member) -> Result<&'a [Member]> {
    match &member.node.value {
        Value::Table(members) => Ok(members),
        other => {
            let message = format!("`{}` is to be a table, not {}", member.name, other.kind());
            Err(source.failure(member.node.place, &message, "`[repos.NAME]` begins one"))
        }
    }
}

/// A name that containers and checkouts can bear.
fn name_of(source: &Source, member: &Member) -> Result<String> {
    plan::checked_name("NAME", &member.name).map_err(|failure| {
        let message = "this name is of no use to a container";
        source.failure(member.place, message, failure.hint.unwrap_or_default())
    })?;
    Ok(member.name.clone())
}

fn place_of(entry: &Entry) -> Option<Place> {
    match &entry.words.first()?.origin {
        Origin::File { place, .. } => Some(*place),
        _ => None,
    }
}
