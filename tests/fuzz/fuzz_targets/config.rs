//! sdp.toml and a request are read, or refused with a place and without a word of what stands there.
//!
//!     cargo +nightly fuzz run --fuzz-dir tests/fuzz config -- -max_total_time=300
#![no_main]

use libfuzzer_sys::fuzz_target;
use tree::{Fault, Member, Node, Value, from_json, from_toml};

// The file itself, as the crate need not show it to anybody.
#[path = "../../../src/config/tree.rs"]
mod tree;

/// No parser has a reason to say it unless it quotes.
const SECRET: &str = "qzxhunter2";

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        check_toml(text);
        check_toml(&format!("{text}\nsecret = \"{SECRET}\"\n{text}"));
        check_toml(&format!("{text}{SECRET}{text}"));
    }
    check_json(bytes);
    check_json(&[bytes, SECRET.as_bytes(), bytes].concat());
});

fn check_toml(text: &str) {
    match from_toml(text) {
        Ok(members) => {
            each(&members, &mut |place| {
                let place = place.expect("everything has a place in a file");
                assert!(is_in(text, place), "{place:?}");
            });
            // The same in JSON is the same.
            if let Some(json) = json(&members) {
                let again = from_json(json.to_string().as_bytes()).expect("JSON of our own");
                assert!(again.len() == members.len());
            }
        }
        Err(fault) => check_fault(text, &fault),
    }
}

fn check_json(bytes: &[u8]) {
    if let Err(fault) = from_json(bytes) {
        assert!(!fault.message.contains(SECRET), "{fault:?}");
    }
}

fn check_fault(text: &str, fault: &Fault) {
    assert!(!fault.message.contains(SECRET), "{fault:?}");
    assert!(!fault.message.is_empty());
    let place = fault.place.expect("a fault has a place in a file");
    assert!(is_in(text, place), "{place:?}");
}

/// The place after the last character counts, too.
fn is_in(text: &str, place: tree::Place) -> bool {
    let line = text.split('\n').nth(place.line - 1);
    line.is_some_and(|line| (1..=line.chars().count() + 1).contains(&place.column))
}

fn each(members: &[Member], f: &mut impl FnMut(Option<tree::Place>)) {
    for member in members {
        f(member.place);
        each_node(&member.node, f);
    }
}

fn each_node(node: &Node, f: &mut impl FnMut(Option<tree::Place>)) {
    f(node.place);
    assert!(!node.value.kind().is_empty());
    match &node.value {
        Value::List(nodes) => nodes.iter().for_each(|node| each_node(node, f)),
        Value::Table(members) => each(members, f),
        Value::Switch(_) | Value::Number(_) | Value::Text(_) | Value::Other(_) => {}
    }
}

/// `None`: JSON has no such value.
fn json(members: &[Member]) -> Option<serde_json::Value> {
    let pairs = members.iter().map(|member| Some((member.name.clone(), json_of(&member.node)?)));
    pairs.collect::<Option<serde_json::Map<_, _>>>().map(Into::into)
}

fn json_of(node: &Node) -> Option<serde_json::Value> {
    match &node.value {
        Value::Switch(on) => Some((*on).into()),
        Value::Text(text) => Some(text.as_str().into()),
        Value::List(nodes) => nodes.iter().map(json_of).collect(),
        Value::Table(members) => json(members),
        Value::Number(_) | Value::Other(_) => None,
    }
}
