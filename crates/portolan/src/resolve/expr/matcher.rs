//! An expression that was checked against the fields of what it filters, and whether a thing fits it. PURE.
//!
//! In:  a tree and a [`Shape`]; then things, as [`Subject`]. Out: a [`Matcher`], or go-bexpr's words for what is wrong;
//! then yes or no.
//!
//! Never: allocates while it judges, but for what a pattern needs when it is first used; fails while it judges.
//!
//! Rules from go-bexpr 0.1.2: validate.go, evaluate.go. Proof: `expr/tests.rs`.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::fmt;

use regex::bytes::Regex;

use super::{
    FilterError, go, pattern,
    shape::{Kind, Shape, Way},
    tree::{Match, Operator, Tree},
};

/// What stands in a field.
pub enum Value<'a> {
    /// A text.
    Text(&'a str),
    /// A whole number.
    Int(i64),
    /// A truth value.
    Bool(bool),
    /// A list or a map: how many there are, and whether one of the texts, or of the keys, is this. A list of groups holds
    /// nothing by a text.
    Many(usize, &'a dyn Fn(&str) -> bool),
    /// The map has no such key.
    NoKey,
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.debug_tuple("Text").field(text).finish(),
            Self::Int(number) => f.debug_tuple("Int").field(number).finish(),
            Self::Bool(truth) => f.debug_tuple("Bool").field(truth).finish(),
            Self::Many(count, _) => f.debug_tuple("Many").field(count).finish_non_exhaustive(),
            Self::NoKey => f.write_str("NoKey"),
        }
    }
}

/// A thing that can be filtered.
pub trait Subject {
    /// Whether `test` accepts the field at `path`, which is one of its [`Shape`]; in a list, that of any of its members.
    /// `None`: it keeps no such field, so that it counts as empty: `""`, `0`, `false`, no key, no member.
    fn any(&self, path: &[Box<str>], test: &dyn Fn(Value<'_>) -> bool) -> Option<bool>;
}

/// What [`Subject::any`] answers for texts by text: for all of them where the path ends, else for the key that is next.
pub fn any_of_pairs<'a>(
    count: usize,
    get: &dyn Fn(&str) -> Option<&'a str>,
    path: &[Box<str>],
    test: &dyn Fn(Value<'_>) -> bool,
) -> bool {
    match path.first() {
        None => test(Value::Many(count, &|key| get(key).is_some())),
        Some(key) => test(get(key).map_or(Value::NoKey, Value::Text)),
    }
}

/// An expression over things of one shape.
#[derive(Clone, Debug)]
pub struct Matcher {
    plan: Plan,
}

#[derive(Clone, Debug)]
enum Plan {
    All(Box<[Self]>),
    Any(Box<[Self]>),
    Not(Box<Self>),
    Test(Test),
}

#[derive(Clone, Debug)]
struct Test {
    path: Box<[Box<str>]>,
    operator: Operator,
    wanted: Wanted,
    /// The answer for a thing that keeps no such field.
    absent: bool,
}

/// What a field is compared with.
#[derive(Clone, Debug)]
enum Wanted {
    Nothing,
    Text(Box<str>),
    Int(i64),
    Bool(bool),
    Pattern(Regex),
}

impl Matcher {
    /// # Errors
    /// [`FilterError`] when a selector is none of the shape's, cannot be asked that, or is compared with what it cannot be.
    pub(super) fn new(tree: &Tree, shape: Shape) -> Result<Self, FilterError> {
        Ok(Self { plan: Plan::new(tree, shape)? })
    }

    /// Whether it holds for this thing.
    #[must_use]
    pub fn fits(&self, subject: &impl Subject) -> bool {
        self.plan.fits(subject)
    }
}

impl Plan {
    fn new(tree: &Tree, shape: Shape) -> Result<Self, FilterError> {
        let all = |parts: &[Tree]| -> Result<Box<[Self]>, FilterError> {
            parts.iter().map(|part| Self::new(part, shape)).collect()
        };
        Ok(match tree {
            Tree::All(parts) => Self::All(all(parts)?),
            Tree::Any(parts) => Self::Any(all(parts)?),
            Tree::Not(part) => Self::Not(Box::new(Self::new(part, shape)?)),
            Tree::Match(one) => Self::Test(Test::new(one, shape)?),
        })
    }

    fn fits(&self, subject: &dyn Subject) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.fits(subject)),
            Self::Any(parts) => parts.iter().any(|part| part.fits(subject)),
            Self::Not(part) => !part.fits(subject),
            Self::Test(test) => subject.any(&test.path, &|value| test.accepts(&value)).unwrap_or(test.absent),
        }
    }
}

impl Test {
    fn new(one: &Match, shape: Shape) -> Result<Self, FilterError> {
        let dotted = |names: &[Box<str>]| go::quote(&names.join("."));
        let selector = dotted(&one.selector);
        let (kind, way) = shape.find(&one.selector).map_err(|none| {
            let wrong = one.selector.get(..=none.known).unwrap_or(&one.selector);
            FilterError::new(format!("Selector {} is not valid", dotted(wrong))).allowing(&none.allowed)
        })?;
        if !kind.takes(one.operator) {
            let operator = go::quote(one.operator.name());
            let words = format!("Invalid match operator {operator} for selector {selector}");
            return Err(FilterError::new(words).allowing(operators(kind)));
        }
        let wanted = match &one.value {
            None => Wanted::Nothing,
            Some(value) => Wanted::new(value, kind, one.operator).map_err(|why| match why {
                Refused::Value(why) => {
                    let value = go::quote(value);
                    FilterError::new(format!("Failed to coerce value {value} for selector {selector}: {why}"))
                }
                Refused::Pattern(why) => FilterError::new(format!(
                    "Failed to compile regular expression {}: {why}",
                    go::quote(value)
                )),
            })?,
        };
        let mut test =
            Self { path: one.selector.clone().into(), operator: one.operator, wanted, absent: false };
        test.absent = match (way, kind) {
            (Way::InList, _) => false,
            (Way::UnderKey, _) => test.accepts(&Value::NoKey),
            (Way::Plain, Kind::Text) => test.accepts(&Value::Text("")),
            (Way::Plain, Kind::Int | Kind::Uint(_)) => test.accepts(&Value::Int(0)),
            (Way::Plain, Kind::Bool) => test.accepts(&Value::Bool(false)),
            (Way::Plain, _) => test.accepts(&Value::Many(0, &|_| false)),
        };
        Ok(test)
    }

    fn accepts(&self, value: &Value<'_>) -> bool {
        use Operator::{Equal, In, IsEmpty, IsNotEmpty, Matches, NotEqual, NotIn, NotMatches};
        let same = match (value, &self.wanted) {
            // A key that is missing fits whatever does not ask for it. `matches` too: a quirk that is kept.
            (Value::NoKey, _) => return !matches!(self.operator, Equal | IsNotEmpty | In),
            (Value::Text(text), Wanted::Text(wanted)) => match self.operator {
                In | NotIn => text.contains(&**wanted),
                _ => **text == **wanted,
            },
            (Value::Text(text), Wanted::Pattern(pattern)) => pattern.is_match(text.as_bytes()),
            (Value::Int(number), Wanted::Int(wanted)) => number == wanted,
            (Value::Bool(truth), Wanted::Bool(wanted)) => truth == wanted,
            (Value::Many(_, holds), Wanted::Text(wanted)) => holds(wanted),
            (Value::Many(count, _), Wanted::Nothing) => *count == 0,
            // A subject that tells another kind than its shape has does not fit, whatever is asked.
            _ => return false,
        };
        match self.operator {
            Equal | In | IsEmpty | Matches => same,
            NotEqual | NotIn | IsNotEmpty | NotMatches => !same,
        }
    }
}

/// Why a value cannot be compared with.
enum Refused {
    Value(String),
    Pattern(String),
}

impl Wanted {
    fn new(value: &str, kind: Kind, operator: Operator) -> Result<Self, Refused> {
        match kind {
            Kind::Int => go::int(value).map(Self::Int).map_err(Refused::Value),
            Kind::Uint(most) => {
                let number = go::uint(value, most).map_err(Refused::Value)?;
                Ok(Self::Int(i64::try_from(number).unwrap_or(i64::MAX)))
            }
            Kind::Bytes => {
                let byte = go::uint(value, u64::from(u8::MAX)).map_err(Refused::Value)?;
                Ok(Self::Text(byte.to_string().into()))
            }
            Kind::Bool => go::truth(value).map(Self::Bool).map_err(Refused::Value),
            _ if matches!(operator, Operator::Matches | Operator::NotMatches) => {
                pattern::compiled(value).map(Self::Pattern).map_err(Refused::Pattern)
            }
            _ => Ok(Self::Text(value.into())),
        }
    }
}

/// What a kind can be asked, for a person.
fn operators(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Text => &["==", "!=", "in", "not in", "contains", "not contains", "matches", "not matches"],
        Kind::Int | Kind::Uint(_) | Kind::Bool => &["==", "!="],
        Kind::Texts | Kind::Bytes | Kind::Pairs | Kind::Map(_) => {
            &["in", "not in", "contains", "not contains", "is empty", "is not empty"]
        }
        Kind::List(_) => &["is empty", "is not empty"],
        Kind::Group(_) => &[],
    }
}

#[cfg(test)]
mod tests;
