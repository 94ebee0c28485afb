//! Reads JSON bodies as Consul does: names in any case and with or without underscores, unknown names refused.
//!
//! In:  bytes. Out: typed values, or a refusal that names the field.
//!
//! Never: takes a number for a text or the other way round; ignores a field that it does not know.
//!
//! Rules from Consul: agent/http.go `decodeBody`, lib/json.go; the duration forms of agent/structs/check_type.go.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::reply::Refusal;
use crate::state::rows::{Pairs, Text};

pub(super) type Decoded<T> = Result<T, Refusal>;

fn failed(why: impl std::fmt::Display) -> Refusal {
    Refusal::bad(format!("Request decode failed: {why}"))
}

/// The same, where Consul begins its word otherwise.
pub(super) fn object_of(begin: &str, body: &[u8]) -> Decoded<Map<String, Value>> {
    object(body).map_err(|refusal| refusal.reworded("Request decode failed", begin))
}

/// The object in a body. What follows it is not looked at, as in Consul.
pub(super) fn object(body: &[u8]) -> Decoded<Map<String, Value>> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(failed("EOF"));
    }
    let mut reader = serde_json::Deserializer::from_slice(body);
    match Value::deserialize(&mut reader) {
        Ok(Value::Object(fields)) => Ok(fields),
        // Go leaves its structure as it is.
        Ok(Value::Null) => Ok(Map::new()),
        Ok(other) => Err(wrong("the body", &other, "an object")),
        Err(error) if error.is_eof() => Err(failed("unexpected EOF")),
        Err(error) => Err(failed(error)),
    }
}

/// Goes through the fields that are given: `each` gets the name in lower case without underscores, and says whether
/// it knows it.
pub(super) fn fields(
    given: &Map<String, Value>,
    mut each: impl FnMut(&str, &Value) -> Decoded<bool>,
) -> Decoded<()> {
    for (name, value) in given {
        let plain: String = name.chars().filter(|c| *c != '_').map(|c| c.to_ascii_lowercase()).collect();
        if !value.is_null() && !each(&plain, value)? {
            return Err(failed(format!("json: unknown field {name:?}")));
        }
    }
    Ok(())
}

fn wrong(field: &str, found: &Value, wanted: &str) -> Refusal {
    let found = match found {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    failed(format!("json: cannot unmarshal {found} into field {field} of type {wanted}"))
}

pub(super) fn map<'a>(field: &str, value: &'a Value) -> Decoded<&'a Map<String, Value>> {
    value.as_object().ok_or_else(|| wrong(field, value, "object"))
}

pub(super) fn list<'a>(field: &str, value: &'a Value) -> Decoded<&'a [Value]> {
    value.as_array().map(Vec::as_slice).ok_or_else(|| wrong(field, value, "list"))
}

pub(super) fn text(field: &str, value: &Value) -> Decoded<Text> {
    value.as_str().map(Text::from).ok_or_else(|| wrong(field, value, "string"))
}

pub(super) fn truth(field: &str, value: &Value) -> Decoded<bool> {
    value.as_bool().ok_or_else(|| wrong(field, value, "bool"))
}

/// A whole number from `least` to `most`.
pub(super) fn number(field: &str, value: &Value, least: i64, most: i64) -> Decoded<i64> {
    let Value::Number(found) = value else { return Err(wrong(field, value, "int")) };
    match found.as_i64() {
        Some(number) if (least..=most).contains(&number) => Ok(number),
        _ => Err(Refusal::bad(format!(
            "Invalid {field}: {found} is not a whole number from {least} to {most}"
        ))),
    }
}

/// A port. Consul takes any number here; what nobody can connect to is refused.
pub(super) fn port(field: &str, value: &Value) -> Decoded<u16> {
    Ok(u16::try_from(number(field, value, 0, 65_535)?).unwrap_or_default())
}

pub(super) fn texts(field: &str, value: &Value) -> Decoded<Arc<[Text]>> {
    list(field, value)?.iter().map(|each| text(field, each)).collect()
}

pub(super) fn pairs(field: &str, value: &Value) -> Decoded<Pairs> {
    map(field, value)?.iter().map(|(key, each)| Ok((key.as_str().into(), text(field, each)?))).collect()
}

/// Names with several values each, as HTTP headers have.
pub(super) fn multi(field: &str, value: &Value) -> Decoded<BTreeMap<Text, Vec<Text>>> {
    map(field, value)?
        .iter()
        .map(|(key, each)| Ok((key.as_str().into(), texts(field, each)?.to_vec())))
        .collect()
}

/// A duration: text as Go writes it, or a number of nanoseconds.
pub(super) fn duration(field: &str, value: &Value) -> Decoded<Duration> {
    match value {
        Value::String(text) => portolan::parse_duration(field, text).map_err(failed),
        Value::Number(_) => {
            let nanos = number(field, value, 0, i64::MAX)?;
            Ok(Duration::from_nanos(u64::try_from(nanos).unwrap_or_default()))
        }
        other => Err(wrong(field, other, "duration")),
    }
}

/// Refuses a field that changes what happens but is not there yet, unless it is empty.
pub(super) fn not_yet(field: &str, value: &Value) -> Decoded<()> {
    let empty = match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(fields) => fields.values().all(|value| not_yet(field, value).is_ok()),
    };
    if empty { Ok(()) } else { Err(Refusal::bad(format!("{field} is not supported yet; leave it out"))) }
}
