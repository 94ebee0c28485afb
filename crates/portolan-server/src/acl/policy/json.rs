//! Reads rules that are written in JSON into the tree that HCL comes to. PURE: text in, a tree out.
//!
//! In:  `{"service": {"web": {"policy": "write"}}}`. Out: items with one key each; one that stands twice is there twice, as
//! in HCL, so that a denial is not lost to what comes after it.
//!
//! Never: goes deeper than serde_json does (128).

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::hcl::{Item, Place, Value, Wrong};

/// The items of a text.
pub(super) fn parse(text: &str) -> Result<Vec<Item>, Wrong> {
    match serde_json::from_str::<Read>(text) {
        Ok(Read(Some(Value::Object(items)))) => Ok(items),
        Ok(_) => Err(Wrong("the rules are not an object".to_owned())),
        Err(error) => Err(Wrong(format!("At {}:{}: {error}", error.line(), error.column().max(1)))),
    }
}

/// A value; `None` is `null`.
struct Read(Option<Value>);

impl<'de> Deserialize<'de> for Read {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Read;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Read, E> {
        Ok(Read(Some(Value::Truth(truth))))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Read, E> {
        Ok(Read(Some(Value::Number(number.to_string()))))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Read, E> {
        Ok(Read(Some(Value::Number(number.to_string()))))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Read, E> {
        Ok(Read(Some(Value::Number(number.to_string()))))
    }

    fn visit_str<E>(self, text: &str) -> Result<Read, E> {
        Ok(Read(Some(Value::Text(text.to_owned()))))
    }

    fn visit_unit<E>(self) -> Result<Read, E> {
        Ok(Read(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Read, A::Error> {
        let mut read = Vec::new();
        while let Some(Read(value)) = values.next_element()? {
            read.extend(value);
        }
        Ok(Read(Some(Value::List(read))))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Read, A::Error> {
        let mut items = Vec::new();
        while let Some((key, Read(value))) = fields.next_entry::<String, Read>()? {
            items.extend(value.map(|value| Item { at: Place::UNKNOWN, keys: vec![key], value }));
        }
        Ok(Read(Some(Value::Object(items))))
    }
}
