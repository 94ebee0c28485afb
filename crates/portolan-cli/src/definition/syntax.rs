//! Three ways to write the same tree: JSON, HCL, TOML. PURE.
//!
//! In:  a text. Out: its tree as JSON has it; an HCL block that stands several times is a list.
//!
//! Never: evaluates anything: a word that is not in quotes, a function or a sum is an error, and `${…}` in a text is
//! what stands there, as for Consul; goes deeper than the parsers go (JSON 128, HCL 64, TOML 80 levels).
//!
//! Rules from Consul: agent/config/config.go `Parse`, which reads HCL 1; hcl-rs reads HCL 2. COMPATIBILITY.md tells
//! what is between them.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::path::Path;

use hcl::{Body, Expression, ObjectKey, Structure, expr::TemplateExpr};
use portolan::Error;
use serde_json::{Map, Value};

/// How a definition file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Syntax {
    Json,
    Hcl,
    Toml,
}

impl Syntax {
    /// By the end of the file's name.
    ///
    /// # Errors
    /// It has none of the three.
    pub(crate) fn of(path: &Path) -> Result<Self, Error> {
        match path.extension().and_then(std::ffi::OsStr::to_str) {
            Some("json") => Ok(Self::Json),
            Some("hcl") => Ok(Self::Hcl),
            Some("toml") => Ok(Self::Toml),
            _ => Err(Error::config("the name tells no format; it ends in .json, .hcl or .toml")),
        }
    }

    pub(super) fn parse(self, text: &str) -> Result<Value, Error> {
        match self {
            Self::Json => serde_json::from_str(text).map_err(|cause| bad("JSON", &cause)),
            Self::Toml => toml::from_str(text).map_err(|cause| bad("TOML", &cause)),
            // Consul reads JSON in an .hcl file too.
            Self::Hcl if text.trim_start().starts_with('{') => Self::Json.parse(text),
            Self::Hcl => body("", hcl::parse(text).map_err(|cause| bad("HCL", &cause))?),
        }
    }
}

/// The parsers draw the place over several lines; one is enough for a log, and for a person.
fn bad(syntax: &str, cause: &dyn std::fmt::Display) -> Error {
    let text = cause.to_string();
    let words: Vec<&str> = text.split_whitespace().collect();
    Error::config(format!("it is no {syntax}: {}", words.join(" ")))
}

fn body(path: &str, body: Body) -> Result<Value, Error> {
    let mut object = Map::new();
    for structure in body.into_inner() {
        match structure {
            Structure::Attribute(attribute) => {
                let key = attribute.key.into_inner();
                let path = join(path, &key);
                let value = expression(&path, attribute.expr)?;
                if object.insert(key.to_string(), value).is_some() {
                    return Err(twice(&path));
                }
            }
            Structure::Block(block) => {
                let key = block.identifier.into_inner();
                let path = join(path, &key);
                if let Some(label) = block.labels.first() {
                    let label = label.as_str();
                    return Err(Error::config(format!(
                        "{path}: the label {label:?} has no meaning here; leave it out"
                    )));
                }
                let value = self::body(&path, block.body)?;
                match object.get_mut(key.as_str()) {
                    None => object.extend([(key.to_string(), Value::Array(vec![value]))]),
                    Some(Value::Array(list)) if list.iter().all(Value::is_object) => list.push(value),
                    Some(_) => return Err(twice(&path)),
                }
            }
        }
    }
    Ok(Value::Object(object))
}

fn twice(path: &str) -> Error {
    Error::config(format!("{path}: it is given twice; leave one out"))
}

fn expression(path: &str, found: Expression) -> Result<Value, Error> {
    match found {
        Expression::Null => Ok(Value::Null),
        Expression::Bool(flag) => Ok(Value::Bool(flag)),
        Expression::Number(number) => Ok(match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Value::from(whole),
            (None, broken) => Value::from(broken),
        }),
        Expression::String(text) => Ok(Value::String(text)),
        // As it is written: Consul knows no templates.
        Expression::TemplateExpr(template) => Ok(Value::String(match *template {
            TemplateExpr::QuotedString(text) if text.contains('\\') => {
                let what = "a text with ${…} and \\ is not read alike everywhere; write this file in JSON";
                return Err(Error::config(format!("{path}: {what}")));
            }
            TemplateExpr::QuotedString(text) => text,
            TemplateExpr::Heredoc(heredoc) => heredoc.template,
        })),
        Expression::Array(list) => {
            let items = list.into_iter().enumerate();
            items.map(|(place, item)| expression(&format!("{path}[{place}]"), item)).collect()
        }
        Expression::Object(object) => {
            let mut map = Map::new();
            for (key, value) in object {
                let key = match key {
                    ObjectKey::Identifier(name) => name.to_string(),
                    ObjectKey::Expression(Expression::String(text)) => text,
                    _ => return Err(Error::config(format!("{path}: a key is no name; write it in quotes"))),
                };
                let value = expression(&join(path, &key), value)?;
                if map.insert(key.clone(), value).is_some() {
                    return Err(twice(&join(path, &key)));
                }
            }
            Ok(Value::Object(map))
        }
        _ => Err(Error::config(format!(
            "{path}: it is to be calculated, which a definition cannot; write the value itself, texts in quotes"
        ))),
    }
}

/// `path.key`, or `key` at the top.
pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}
