//! `--request`: one JSON object with the flags of a deployment, so that no secret stands in the
//! process list.

use std::fs::File;
use std::io::{IsTerminal as _, Read};
use std::path::Path;

use super::entries::{Entry, Source};
use super::tree::{self, Member, Node, Value};
use crate::cli::{Layer, Login};
use crate::failure::{Code, Failure, Result};
use crate::plan::is_path;
use crate::shell::quoted;

/// Nobody writes more settings by hand, and no program should.
const LARGEST: u64 = 1024 * 1024;

const NULL: Value = Value::Other(tree::NOTHING);

/// The keys of a request beside flags.
pub const KEYS: [&str; 3] = ["repository", "environment", "creds"];

/// What a request says.
#[derive(Debug, Default)]
pub struct Request {
    pub entries: Vec<Entry>,
    /// REPO.
    pub repository: Option<String>,
    pub environment: Option<String>,
    pub login: Option<Login>,
}

/// Reads the object from a file, or from standard input for `-`, to its end.
///
/// # Errors
/// `usage`; those of the file system.
pub fn read(path: &Path) -> Result<Vec<Member>> {
    let io = |error| {
        let what = format_args!("read the request from `{}`", path.display());
        Failure::io(Code::Usage, what, error).hint(format!(
            "`ls -l {}`; `--request -` reads standard input",
            quoted(path)
        ))
    };
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        let stdin = std::io::stdin();
        if stdin.is_terminal() {
            let message = "`--request -` reads standard input, which is a terminal";
            return Err(Failure::new(Code::Usage, message)
                .hint("`sdp deploy --request - < request.json`, or a pipe"));
        }
        stdin.take(LARGEST + 1).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes))
    };
    if read.map_err(io)? as u64 > LARGEST {
        return Err(Source::Request.failure(
            None,
            "it is larger than 1 MiB",
            "files of variables are named with `env-file`",
        ));
    }
    tree::from_json(&bytes).map_err(|fault| {
        let hint = r#"one object, such as {"repository": "shop", "branch": "main"}"#;
        Source::Request.failure(fault.place, &fault.message, hint)
    })
}

/// What may be secret in a request, with names: nobody has checked it yet.
pub fn secrets(members: &[Member]) -> Vec<(String, String)> {
    let mut secrets = Vec::new();
    for member in members {
        let is_harmless = ["id", "repository", "environment", "path", "branch", "tag"];
        if is_harmless.contains(&member.name.as_str()) {
            continue;
        }
        secrets.extend(pairs(&member.name, &member.node));
    }
    secrets
}

fn pairs(name: &str, node: &Node) -> Vec<(String, String)> {
    match &node.value {
        Value::Table(members) => {
            let pairs = members
                .iter()
                .map(|member| pairs(&member.name, &member.node));
            pairs.flatten().collect()
        }
        Value::List(nodes) => nodes.iter().flat_map(|node| pairs(name, node)).collect(),
        Value::Text(text) => {
            let (name, value) = text.split_once('=').unwrap_or((name, text));
            vec![(name.to_owned(), value.to_owned())]
        }
        _ => Vec::new(),
    }
}

/// The deployment's id, if it is one.
pub fn id(members: &[Member]) -> Option<&str> {
    match &members
        .iter()
        .find(|member| member.name == "id")?
        .node
        .value
    {
        Value::Text(id) => Some(id),
        _ => None,
    }
}

/// # Errors
/// `usage`, naming the key; no value is quoted.
pub fn request(members: Vec<Member>) -> Result<Request> {
    let mut request = Request::default();
    let mut flags = Vec::new();
    for member in members {
        match member.name.as_str() {
            // As programs write what they do not have.
            _ if member.node.value == NULL => {}
            "repository" => request.repository = Some(text(&member)?),
            "environment" => request.environment = Some(text(&member)?),
            "creds" => request.login = Some(login(&member)?),
            _ => flags.push(member),
        }
    }
    let names: Vec<String> = flags
        .iter()
        .map(|flag| flag.name.replace('_', "-"))
        .collect();
    if let Some(at) = (1..names.len()).find(|at| names[..*at].contains(&names[*at])) {
        let message = format!("`{}` is given twice, with `-` and with `_`", names[at]);
        return Err(Source::Request.failure(None, &message, "leave out one of them"));
    }
    request.entries = Source::Request.entries(&flags, Layer::Request)?;
    // A checkout names a repository, too, and is no name below $SDP_ROOT.
    let path = request.entries.iter().find(|entry| entry.key == "path");
    let path = path.and_then(|entry| Some(entry.words.first()?.text.clone()));
    let path = path.map(|path| {
        if is_path(&path) {
            path
        } else {
            format!("./{path}")
        }
    });
    request.repository = request.repository.or(path);
    Ok(request)
}

fn text(member: &Member) -> Result<String> {
    match &member.node.value {
        Value::Text(text) if !text.is_empty() => Ok(text.clone()),
        Value::Text(_) => {
            let message = format!("`{}` is empty", member.name);
            Err(Source::Request.failure(None, &message, "leave it out, or fill it in"))
        }
        other => {
            let message = format!("`{}` is to be a string, not {}", member.name, other.kind());
            let hint = format!("{{\"{}\": \"...\"}}", member.name);
            Err(Source::Request.failure(None, &message, hint))
        }
    }
}

fn login(member: &Member) -> Result<Login> {
    let wrong = |message: &str| {
        let hint = r#"{"creds": {"user": "...", "token": "..."}}"#;
        Source::Request.failure(None, message, hint)
    };
    let Value::Table(members) = &member.node.value else {
        return Err(wrong("`creds` is to be an object"));
    };
    let (mut user, mut token) = (None, None);
    for member in members {
        match member.name.as_str() {
            "user" => user = Some(text(member)?),
            "token" => token = Some(text(member)?),
            _ => {
                return Err(wrong(
                    "`creds` has a key that is neither `user` nor `token`",
                ));
            }
        }
    }
    match token {
        Some(token) => Ok(Login { user, token }),
        None => Err(wrong("`creds` has no `token`")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn faults_name_the_key_and_quote_no_value() {
        for (json, named) in [
            (r#"{"image": ["hunter2"]}"#, "`image`"),
            (r#"{"port": "hunter2"}"#, "`port`"),
            (r#"{"pull": "hunter2"}"#, "`pull`"),
            (r#"{"force": "hunter2"}"#, "`force`"),
            (r#"{"env": {"TOKEN": ["hunter2"]}}"#, "`env`"),
            (r#"{"env": {"": "hunter2"}}"#, "`env`"),
            (r#"{"creds": "hunter2"}"#, "`creds`"),
            (
                r#"{"creds": {"token": "hunter2", "pass": "hunter2"}}"#,
                "`creds`",
            ),
            (r#"{"repository": {"a": "hunter2"}}"#, "`repository`"),
            (
                r#"{"env_file": "hunter2", "env-file": "hunter2"}"#,
                "`env-file`",
            ),
            (r#"{"imagee": "hunter2"}"#, "`image`"),
            (r#"{"repo": "hunter2"}"#, "`repository`"),
            (r#"{"config": "hunter2"}"#, "`config`"),
        ] {
            let members = tree::from_json(json.as_bytes()).unwrap();
            let failure = request(members).unwrap_err();
            let said = format!("{} {}", failure.message, failure.hint.as_deref().unwrap());
            assert!(said.contains(named), "{json}: {said}");
            assert!(!said.contains("hunter2"), "{json}: {said}");
        }
    }

    #[test]
    fn null_is_as_if_it_were_not_there() {
        let json = r#"{"repository": "shop", "branch": null, "creds": null, "tag": "v1"}"#;
        let request = request(tree::from_json(json.as_bytes()).unwrap()).unwrap();
        let keys: Vec<&str> = request
            .entries
            .iter()
            .map(|entry| entry.key.as_str())
            .collect();
        assert_eq!(keys, ["tag"]);
        assert!(request.login.is_none());
    }
}
