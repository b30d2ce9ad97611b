//! `examples/sdp.schema.json`, by which editors complete and check sdp.toml: made from the flags.

use clap::{Arg, ArgAction};
use serde_json::{Map, Value, json};

use super::entries::{self, is_switch, key_name};
use crate::cli;

/// What keys mean that are no flags.
const ABOUT: [(&str, &str); 4] = [
    (
        "sdp.toml",
        "The host's settings for sdp, never read from a repository that is deployed. A flag beats a variable beats this file.",
    ),
    (
        "defaults",
        "What holds for everything that is deployed, unless it is said otherwise.",
    ),
    ("repos", "What is deployed: `sdp deploy NAME`."),
    (
        "environments",
        "Deployments of their own: `sdp deploy NAME --environment ENV`. What is not said here is as in the repository.",
    ),
];

fn about(name: &str) -> &'static str {
    ABOUT
        .iter()
        .find(|(known, _)| *known == name)
        .map_or("", |(_, text)| text)
}

fn is_number(key: &Arg) -> bool {
    let parsed = |text: &str| {
        let value = Arg::new("value")
            .long("value")
            .value_parser(key.get_value_parser().clone());
        let command = clap::Command::new("sdp").no_binary_name(true).arg(value);
        command.try_get_matches_from(["--value", text]).is_ok()
    };
    parsed("7") && !parsed("no number")
}

fn property(key: &Arg) -> Value {
    let help = key.get_help().map(ToString::to_string).unwrap_or_default();
    let default = key.get_default_values().first();
    let default = default.map(|value| value.to_string_lossy().into_owned());
    let names: Vec<String> = key
        .get_possible_values()
        .iter()
        .map(|value| value.get_name().to_owned())
        .collect();
    let text = json!({"type": "string"});
    let scalar = json!({"type": ["string", "number"]});
    let mut property = if is_switch(key) {
        json!({"type": "boolean"})
    } else if cli::is_merged(key.get_id().as_str()) {
        json!({"anyOf": [
            {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}},
            {"type": "array", "items": text},
            text
        ]})
    } else if matches!(key.get_action(), ArgAction::Append) {
        json!({"anyOf": [{"type": "array", "items": scalar}, scalar]})
    } else if !names.is_empty() {
        json!({"enum": names})
    } else if is_number(key) {
        json!({"type": ["integer", "string"]})
    } else {
        scalar
    };
    property["description"] = help.into();
    if let Some(default) = default.filter(|_| !is_switch(key)) {
        property["default"] = match default.parse::<i64>() {
            Ok(number) => number.into(),
            Err(_) => default.into(),
        };
    }
    property
}

fn schema() -> Value {
    let keys = cli::keys();
    let keys = keys
        .iter()
        .filter(|key| !entries::is_refused(key_name(key)));
    let keys: Map<String, Value> = keys
        .map(|key| (key_name(key).to_owned(), property(key)))
        .collect();
    let refer = |name: &String| {
        (
            name.clone(),
            json!({"$ref": format!("#/definitions/{name}")}),
        )
    };
    let environment: Map<String, Value> = keys.keys().map(refer).collect();
    let mut defaults = environment.clone();
    defaults.retain(|name, _| !matches!(name.as_str(), "path" | "url"));
    let mut repository = environment.clone();
    repository.insert(
        "environments".to_owned(),
        json!({
            "description": about("environments"),
            "type": "object",
            "additionalProperties": table(&environment)
        }),
    );
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "sdp.toml",
        "description": about("sdp.toml"),
        "type": "object",
        "properties": {
            "defaults": {"description": about("defaults"), "allOf": [table(&defaults)]},
            "repos": {
                "description": about("repos"),
                "type": "object",
                "additionalProperties": table(&repository)
            }
        },
        "additionalProperties": false,
        "definitions": keys
    })
}

fn table(properties: &Map<String, Value>) -> Value {
    json!({"type": "object", "properties": properties, "additionalProperties": false})
}

#[test]
fn the_schema_for_editors_is_current() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/sdp.schema.json");
    let current = format!("{:#}\n", schema());
    if std::env::var_os("SDP_WRITE_SCHEMA").is_some() {
        std::fs::write(file, &current).expect("write the schema");
    }
    let written = std::fs::read_to_string(file).unwrap_or_default();
    assert!(
        written == current,
        "stale: `SDP_WRITE_SCHEMA=1 cargo test --lib the_schema_for_editors`"
    );
}
