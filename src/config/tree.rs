//! What stands in sdp.toml or in a request, before it is known what may: names, values, and places.
//!
//! Nothing of the crate is named here, so that the fuzz targets take the file as it is. No fault
//! quotes a value, which may be a secret.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A place in a file; both from 1, the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

/// Text that cannot be read, and where.
#[derive(Debug)]
pub struct Fault {
    pub place: Option<Place>,
    pub message: String,
}

/// A value with its place; JSON's have none.
#[derive(Clone, Debug)]
pub struct Node {
    pub value: Value,
    pub place: Option<Place>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Switch(bool),
    /// As it is written, in decimal.
    Number(String),
    Text(String),
    List(Vec<Node>),
    Table(Vec<Member>),
    /// What no key takes: `a date`, `nothing`.
    Other(&'static str),
}

/// JSON's `null`.
pub const NOTHING: &str = "nothing";

/// A name in a table, and its value.
#[derive(Clone, Debug)]
pub struct Member {
    pub name: String,
    /// Of the name.
    pub place: Option<Place>,
    pub node: Node,
}

impl PartialEq for Member {
    fn eq(&self, other: &Member) -> bool {
        (&self.name, &self.node) == (&other.name, &other.node)
    }
}

/// Places tell nothing about whether two values are the same.
impl PartialEq for Node {
    fn eq(&self, other: &Node) -> bool {
        self.value == other.value
    }
}

impl Value {
    /// What it is, in words.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Switch(_) => "true or false",
            Value::Number(_) => "a number",
            Value::Text(_) => "a string",
            Value::List(_) => "an array",
            Value::Table(_) => "a table",
            Value::Other(kind) => kind,
        }
    }
}

/// Reads TOML 1.1.
///
/// # Errors
/// The first fault in it.
pub fn from_toml(text: &str) -> Result<Vec<Member>, Fault> {
    let lines = Lines::of(text);
    let table = DeTable::parse(text).map_err(|error| Fault {
        place: error.span().map(|span| lines.place(span.start)),
        message: error.message().to_owned(),
    })?;
    Ok(members(&lines, table.get_ref()))
}

fn members(lines: &Lines<'_>, table: &DeTable<'_>) -> Vec<Member> {
    let members = table.iter().map(|(name, value)| Member {
        name: name.get_ref().to_string(),
        place: Some(lines.place(name.span().start)),
        node: node(lines, value),
    });
    members.collect()
}

fn node(lines: &Lines<'_>, value: &Spanned<DeValue<'_>>) -> Node {
    let place = lines.place(value.span().start);
    let value = match value.get_ref() {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Value::Number(number.to_string()),
            Err(_) => Value::Other("a number that is too large"),
        },
        DeValue::Float(number) => Value::Number(number.as_str().to_owned()),
        DeValue::Boolean(on) => Value::Switch(*on),
        DeValue::Datetime(_) => Value::Other("a date"),
        DeValue::Array(values) => {
            Value::List(values.iter().map(|value| node(lines, value)).collect())
        }
        DeValue::Table(table) => Value::Table(members(lines, table)),
    };
    Node {
        value,
        place: Some(place),
    }
}

/// Where the lines of a text begin.
struct Lines<'a> {
    text: &'a str,
    begin: Vec<usize>,
}

impl Lines<'_> {
    fn of(text: &str) -> Lines<'_> {
        let ends = text.match_indices('\n').map(|(at, _)| at + 1);
        Lines {
            text,
            begin: std::iter::once(0).chain(ends).collect(),
        }
    }

    fn place(&self, offset: usize) -> Place {
        let line = self.begin.partition_point(|begin| *begin <= offset);
        let begin = self.begin.get(line - 1).copied().unwrap_or_default();
        let before = self.text.get(begin..offset).unwrap_or_default();
        Place {
            line,
            column: before.chars().count() + 1,
        }
    }
}

/// Reads one JSON object, and nothing after it.
///
/// # Errors
/// The first fault in it.
pub fn from_json(bytes: &[u8]) -> Result<Vec<Member>, Fault> {
    let fault = |place, message: &str| Fault {
        place,
        message: message.to_owned(),
    };
    let node: Node = serde_json::from_slice(bytes).map_err(|error| {
        let place = Some(Place {
            line: error.line(),
            column: error.column(),
        });
        match error.classify() {
            serde_json::error::Category::Eof => fault(place, "it ends too early"),
            // The one thing that a node refuses by itself.
            serde_json::error::Category::Data => fault(place, "a key is given twice"),
            _ => fault(place, "this is no JSON"),
        }
    })?;
    match node.value {
        Value::Table(members) => Ok(members),
        other => Err(fault(
            None,
            &format!("an object is to be here, not {}", other.kind()),
        )),
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Node, D::Error> {
        let value = deserializer.deserialize_any(Values)?;
        Ok(Node { value, place: None })
    }
}

struct Values;

impl<'de> Visitor<'de> for Values {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, on: bool) -> Result<Value, E> {
        Ok(Value::Switch(on))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number.to_string()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number.to_string()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Number(number.to_string()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Other(NOTHING))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = seq.next_element()? {
            nodes.push(node);
        }
        Ok(Value::List(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut members = Vec::new();
        let mut names = HashSet::new();
        while let Some((name, node)) = map.next_entry::<String, Node>()? {
            if !names.insert(name.clone()) {
                return Err(A::Error::custom("twice"));
            }
            members.push(Member {
                name,
                place: None,
                node,
            });
        }
        Ok(Value::Table(members))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn values_are_the_same_in_both_and_toml_has_places() {
        let toml =
            from_toml("# first\nport = 0x1F90\n  [a.\"b c\"]\n  on = true\n  list = ['x', 1.5]\n")
                .unwrap();
        let json = from_json(br#"{"port": 8080, "a": {"b c": {"on": true, "list": ["x", 1.5]}}}"#)
            .unwrap();
        assert_eq!(toml, json);
        let Value::Table(a) = &toml[1].node.value else {
            panic!()
        };
        let Value::Table(b) = &a[0].node.value else {
            panic!()
        };
        let at = |line, column| Some(Place { line, column });
        assert_eq!((toml[0].place, toml[0].node.place), (at(2, 1), at(2, 8)));
        assert_eq!((b[0].place, b[0].node.place), (at(4, 3), at(4, 8)));
    }

    #[test]
    fn faults_have_a_place_and_quote_nothing() {
        let faults = [
            from_toml("a = 1\nb = hunter2\n"),
            from_toml("a = \"hunter2\n"),
            from_toml("a = \"hunter2\"\na = \"hunter2\"\n"),
            from_toml("hunter2"),
            from_json(b"{\"a\": hunter2}"),
            from_json(b"{\"a\": \"hunter2\"} hunter2"),
            from_json(b"{\"hunter2\": 1, \"hunter2\": 1}"),
            from_json(b"{\"a\": \"hunter2"),
            from_json(b"[\"hunter2\"]"),
        ];
        for (number, fault) in faults.into_iter().enumerate() {
            let fault = fault.unwrap_err();
            assert!(!fault.message.contains("hunter2"), "{number}: {fault:?}");
            assert_eq!(fault.place.is_none(), number == 8, "{number}: {fault:?}");
        }
    }
}
