//! Keys and values as flags of `deploy`: each is checked here as clap would check the flag.

use std::path::PathBuf;
use std::rc::Rc;

use clap::{Arg, ArgAction, ValueHint};

use super::request;
use super::tree::{Member, Node, Place, Value};
use crate::cli::{self, Layer};
use crate::failure::{Code, Failure, Result};
use crate::plan::{is_path, is_url};

/// Where keys and values stand.
#[derive(Clone, Debug)]
pub enum Source {
    File {
        /// As people know it.
        name: Rc<str>,
        /// What paths in it are relative to.
        folder: PathBuf,
    },
    Request,
}

/// What is said of a flag.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The flag's long name.
    pub key: String,
    /// The flag's id.
    pub id: String,
    /// Without any, it is as if nothing had been said of the flag anywhere before.
    pub words: Vec<Word>,
    pub from_request: bool,
}

/// A flag's value, and where it stands.
#[derive(Clone, Debug)]
pub struct Word {
    pub text: String,
    pub origin: Origin,
    pub layer: Layer,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    File {
        name: Rc<str>,
        place: Place,
    },
    Request,
    /// It follows from a checkout that is there: its origin.
    Checkout(PathBuf),
}

/// Keys that mean nothing in a file, and why.
const REFUSED: [(&str, &str); 7] = [
    (
        "environment",
        "`[repos.NAME.environments.ENV]` is an environment, and `--environment ENV` chooses it",
    ),
    (
        "environments",
        "`[repos.NAME.environments.ENV]` belongs to a repository",
    ),
    (
        "config",
        "`--config FILE` or SDP_CONFIG says which file counts",
    ),
    ("request", "`--request FILE` is told on the command line"),
    ("dry-run", "`--dry-run` is told on the command line"),
    (
        "id",
        "every deployment has an id of its own, which `--id` tells",
    ),
    (
        "repo",
        "the name of a table below `[repos]` is a repository's name",
    ),
];

/// How like a known name an unknown one must be to be taken for a slip, from 0 to 1.
const LIKE: f64 = 0.75;

impl Entry {
    /// Whether it says what is deployed: one without words does not.
    pub fn names_revision(&self) -> bool {
        cli::is_revision(&self.id) && !self.words.is_empty()
    }
}

impl Source {
    /// A failure at a place here.
    pub fn failure(&self, place: Option<Place>, message: &str, hint: impl Into<String>) -> Failure {
        let message = match (self, place) {
            (Source::File { name, .. }, Some(place)) => {
                format!("{name}:{}:{}: {message}", place.line, place.column)
            }
            (Source::File { name, .. }, None) => format!("{name}: {message}"),
            (Source::Request, Some(place)) => {
                let Place { line, column } = place;
                format!("the request, line {line}, column {column}: {message}")
            }
            (Source::Request, None) => format!("the request: {message}"),
        };
        Failure::new(Code::Usage, message).hint(hint)
    }

    /// The entries of a table. A request may write `_` for `-`.
    ///
    /// # Errors
    /// `usage`, with the place; no value is quoted.
    pub fn entries(&self, table: &[Member], layer: Layer) -> Result<Vec<Entry>> {
        let keys = cli::keys();
        table
            .iter()
            .map(|member| self.entry(&keys, member, layer))
            .collect()
    }

    fn entry(&self, keys: &[Arg], member: &Member, layer: Layer) -> Result<Entry> {
        let name = match self {
            Source::Request => member.name.replace('_', "-"),
            Source::File { .. } => member.name.clone(),
        };
        let reason = match self {
            Source::File { .. } => REFUSED.iter().find(|(key, _)| *key == name),
            Source::Request => REFUSED[2..4].iter().find(|(key, _)| *key == name),
        };
        if let Some((_, reason)) = reason {
            let message = format!("`{name}` means nothing here");
            return Err(self.failure(member.place, &message, *reason));
        }
        let Some(key) = keys.iter().find(|key| key_name(key) == name) else {
            let others: &[&str] = match self {
                Source::Request => &request::KEYS,
                Source::File { .. } => &[],
            };
            let known = keys.iter().map(key_name).chain(others.iter().copied());
            return Err(self.unknown("key", &name, member.place, known));
        };
        let words = self.words(key, &name, &member.node)?;
        let mut checked = Vec::new();
        for (text, place) in words {
            check(key, &text)
                .map_err(|(why, hint)| self.failure(place, &format!("`{name}` {why}"), hint))?;
            checked.push(Word {
                text: self.rooted(key, text),
                layer,
                origin: match (self, place) {
                    (Source::File { name, .. }, Some(place)) => Origin::File {
                        name: Rc::clone(name),
                        place,
                    },
                    _ => Origin::Request,
                },
            });
        }
        Ok(Entry {
            key: name,
            id: key.get_id().to_string(),
            words: checked,
            from_request: matches!(self, Source::Request),
        })
    }

    /// A name that is not among those that there are.
    pub fn unknown<'a>(
        &self,
        what: &str,
        name: &str,
        place: Option<Place>,
        known: impl Iterator<Item = &'a str> + Clone,
    ) -> Failure {
        let message = format!("there is no {what} `{name}`");
        let hint = match nearest(name, known.clone()) {
            Some(near) => format!("`{near}` is the nearest"),
            None if what == "key" => "`sdp deploy --help` lists them: the long flags".to_owned(),
            None => {
                let known: Vec<String> = known.map(|name| format!("`{name}`")).collect();
                match known.as_slice() {
                    [] => format!("there is no {what} at all"),
                    known => format!("there are {}", known.join(", ")),
                }
            }
        };
        self.failure(place, &message, hint)
    }

    /// The flag's values as words of a command line.
    fn words(&self, key: &Arg, name: &str, node: &Node) -> Result<Vec<(String, Option<Place>)>> {
        let wrong = |node: &Node, wanted: &str| {
            let message = format!("`{name}` is to be {wanted}, not {}", node.value.kind());
            self.failure(node.place, &message, example(key, name))
        };
        let word = |node: &Node, wanted: &str| match &node.value {
            Value::Text(text) | Value::Number(text) => Ok((text.clone(), node.place)),
            _ => Err(wrong(node, wanted)),
        };
        let is_list = matches!(key.get_action(), ArgAction::Append);
        match &node.value {
            Value::Switch(on) if is_switch(key) => Ok(vec![(on.to_string(), node.place)]),
            _ if is_switch(key) => Err(wrong(node, "true or false")),
            Value::Table(pairs) if cli::is_merged(key.get_id().as_str()) => {
                let pairs = pairs.iter().map(|pair| {
                    let value = match &pair.node.value {
                        Value::Text(text) | Value::Number(text) => text.clone(),
                        Value::Switch(on) => on.to_string(),
                        _ => return Err(wrong(&pair.node, "a table of strings")),
                    };
                    if pair.name.is_empty() || pair.name.contains('=') {
                        let message = format!("a name in `{name}` is empty or has a `=` in it");
                        return Err(self.failure(pair.place, &message, example(key, name)));
                    }
                    Ok((format!("{}={value}", pair.name), pair.node.place))
                });
                pairs.collect()
            }
            Value::List(nodes) if is_list => nodes
                .iter()
                .map(|node| word(node, "an array of strings"))
                .collect(),
            // As a variable that is set to nothing.
            Value::Text(text) if text.is_empty() && !is_list => Ok(Vec::new()),
            _ if is_list => Ok(vec![word(node, "an array of strings")?]),
            _ => Ok(vec![word(node, "a string or a number")?]),
        }
    }

    /// A path in a file is relative to where that is, wherever sdp is started.
    fn rooted(&self, key: &Arg, text: String) -> String {
        let Source::File { folder, .. } = self else {
            return text;
        };
        let rooted = |path: &str| folder.join(path).to_string_lossy().into_owned();
        match (key.get_id().as_str(), key.get_value_hint()) {
            ("volume", _) => match text.split_once(':') {
                Some((source, rest)) if is_path(source) => format!("{}:{rest}", rooted(source)),
                _ => text,
            },
            ("secret", _) => match text.split_once('=') {
                Some((name, file)) => format!("{name}={}", rooted(file)),
                None => text,
            },
            ("url", _) if is_url(&text) => text,
            ("url", _) | (_, ValueHint::FilePath | ValueHint::DirPath) => rooted(&text),
            (_, ValueHint::ExecutablePath) if is_path(&text) => rooted(&text),
            _ => text,
        }
    }
}

/// The later one says it; variables and labels are put together name by name. An entry of no words
/// takes back what was said before.
pub fn lay(below: &mut Vec<Entry>, above: Vec<Entry>) {
    let names_revision = above.iter().any(Entry::names_revision);
    below.retain(|entry| !(names_revision && cli::is_revision(&entry.id)));
    for mut entry in above {
        let same = below.iter().position(|other| other.id == entry.id);
        if let Some(at) = same {
            let former = below.remove(at);
            if cli::is_merged(&entry.id) && !entry.words.is_empty() {
                let names: Vec<&str> = entry
                    .words
                    .iter()
                    .map(|word| cli::name_in(&word.text))
                    .collect();
                let others = former.words.into_iter();
                let mut words: Vec<Word> = others
                    .filter(|word| !names.contains(&cli::name_in(&word.text)))
                    .collect();
                words.append(&mut entry.words);
                entry.words = words;
            }
        }
        below.push(entry);
    }
}

/// Whether a file may not have the key.
#[cfg(test)]
pub fn is_refused(key: &str) -> bool {
    REFUSED.iter().any(|(refused, _)| *refused == key)
}

/// What a flag is called in a file: the program's arguments have no long name.
pub fn key_name(key: &Arg) -> &str {
    key.get_long().unwrap_or(key.get_id().as_str())
}

pub fn is_switch(key: &Arg) -> bool {
    matches!(key.get_action(), ArgAction::SetTrue)
}

pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let known = known.map(|other| (strsim::jaro_winkler(name, other), other));
    let nearest = known.max_by(|(a, _), (b, _)| a.total_cmp(b));
    nearest
        .filter(|(like, _)| *like > LIKE)
        .map(|(_, other)| other)
}

/// Asks clap whether the flag takes the value. A bad default would be a fault in sdp to it.
fn check(key: &Arg, text: &str) -> Result<(), (String, String)> {
    let value = Arg::new("value")
        .long("value")
        .num_args(1)
        .allow_hyphen_values(true)
        .value_parser(key.get_value_parser().clone());
    let alone = clap::Command::new("sdp").no_binary_name(true).arg(value);
    let Err(error) = alone.try_get_matches_from([format!("--value={text}")]) else {
        return Ok(());
    };
    let name = key_name(key);
    let possible = key.get_possible_values();
    if !possible.is_empty() {
        let names: Vec<String> = possible
            .iter()
            .map(|value| format!("`{}`", value.get_name()))
            .collect();
        let why = format!("is to be one of {}", names.join(", "));
        let near = nearest(
            text,
            possible.iter().map(clap::builder::PossibleValue::get_name),
        );
        let hint = near.map_or_else(
            || example(key, name),
            |near| format!("`{near}` is the nearest"),
        );
        return Err((why, hint));
    }
    let cause = std::error::Error::source(&error).map(ToString::to_string);
    // The cause may quote the value, which may be a secret that has come to the wrong place.
    let cause = cause.filter(|cause| text.is_empty() || !cause.contains(text));
    let why = match cause {
        Some(cause) => format!("does not take this value: {cause}"),
        None => "does not take this value".to_owned(),
    };
    Err((why, example(key, name)))
}

fn example(key: &Arg, name: &str) -> String {
    if is_switch(key) {
        return format!("`{name} = true`");
    }
    let default = key.get_default_values().first();
    let default = default.map(|value| value.to_string_lossy().into_owned());
    let value = key.get_value_names().and_then(|names| names.first());
    let word = default.unwrap_or_else(|| value.map_or("...", |value| value.as_str()).to_owned());
    if cli::is_merged(key.get_id().as_str()) {
        format!("`{name} = {{ NAME = \"value\" }}`")
    } else if matches!(key.get_action(), ArgAction::Append) {
        format!("`{name} = [\"{word}\"]`")
    } else if word.parse::<i64>().is_ok() {
        format!("`{name} = {word}`")
    } else {
        format!("`{name} = \"{word}\"`")
    }
}
