//! The published schema of the events, as a validator from outside reads it.

use std::sync::LazyLock;

use jsonschema::Validator;

static SCHEMA: LazyLock<Validator> = LazyLock::new(|| {
    let schema = include_str!("../../examples/events.schema.json");
    let schema = serde_json::from_str(schema).expect("the schema is JSON");
    jsonschema::draft202012::new(&schema).expect("the schema is one")
});

/// What the schema has against a line; `None` if nothing.
pub fn objection(line: &str) -> Option<String> {
    let value = match serde_json::from_str(line) {
        Ok(value) => value,
        Err(error) => return Some(error.to_string()),
    };
    let error = SCHEMA.iter_errors(&value).next()?;
    Some(format!("{error} at `{}`", error.instance_path()))
}

/// The line is what the schema describes.
pub fn check(line: &str) {
    if let Some(objection) = objection(line) {
        panic!("not of the schema: {objection}: {line}");
    }
}
