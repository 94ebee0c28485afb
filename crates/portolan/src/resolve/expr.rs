//! Filter expressions: Consul's language of conditions on what a registry holds. PURE.
//!
//! In:  a text such as `Service.Meta.version matches "^2" and "blue" in Service.Tags`. Out: an [`Expression`], which no
//! fields are known to yet; a [`Matcher`] over things of one [`Shape`]; a [`Filter`] over instances; or a
//! [`FilterError`] that says where the text is wrong and what could stand there.
//!
//! ```text
//! text -- parse --> tree -- shape --> matcher -- subject --> yes or no
//! ```
//!
//! What fits, and what is an error with which words, is as Consul has it, quirks included: a condition on a key that is
//! missing holds with `!=`, `not in`, `matches` and `not matches`; one on a list of checks holds where it does for any.
//!
//! Never: panics; reads a text without a bound on its length and depth; answers with an error once a matcher is made.
//!
//! Rules from go-bexpr 0.1.2, the version of Consul 1.21 (go.mod). Proof: `expr/tests.rs`, the fuzz target `expr`, and
//! `tests/filters.rs` of the server, where a real Consul judges the same expressions.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{fmt, str::FromStr, sync::Arc};

use crate::{error::Error, model::Instance};

mod go;
mod instance;
mod matcher;
mod parse;
mod pattern;
mod shape;
mod tree;

pub use matcher::{Matcher, Subject, Value, any_of_pairs};
pub use shape::Shape;

/// A filter expression. Which fields it may name depends on what it is to filter: see [`over`](Self::over).
///
/// It is written so that it parses to the same expression: values in double quotes, keys that are no names in brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expression {
    tree: tree::Tree,
}

impl Expression {
    /// The expression over things of one shape.
    ///
    /// # Errors
    /// [`FilterError`] when a selector is none of the shape's, cannot be asked that, or is compared with what it cannot be.
    pub fn over(&self, shape: Shape) -> Result<Matcher, FilterError> {
        Matcher::new(&self.tree, shape)
    }
}

impl FromStr for Expression {
    type Err = FilterError;

    /// # Errors
    /// [`FilterError`] with the place and what could stand there.
    fn from_str(text: &str) -> Result<Self, FilterError> {
        match parse::parse(text) {
            Ok(tree) => Ok(Self { tree }),
            Err(failure) => {
                let before = text.get(..failure.at).unwrap_or(text);
                let place = before.chars().count().saturating_add(1);
                Err(FilterError { place: Some(place), ..FilterError::new(failure.words) })
            }
        }
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tree.fmt(f)
    }
}

/// Which instances to choose from, as an expression in Consul's language of filters.
///
/// The selectors are those of Consul's `/v1/health/service`, as far as an instance keeps their values: `Node.Node`,
/// `Node.Datacenter`, `Service.ID`, `.Service`, `.Tags`, `.Address` (where to connect), `.Port`, `.Meta.KEY`,
/// `.Weights.Passing`, `.Weights.Warning`, `Checks.CheckID`, `.Name`, `.Status`.
///
/// ```
/// use portolan::{Filter, Select};
///
/// let filter: Filter = r#"Service.Meta.team == "shop" and "canary" not in Service.Tags"#.parse()?;
/// let select = Select::default().filter(filter);
///
/// let wrong = "Service.Prot == 80".parse::<Filter>().unwrap_err();
/// assert!(wrong.to_string().starts_with(r#"filter: Selector "Service.Prot" is not valid; allowed: ID, Service, Tags"#));
/// # Ok::<(), portolan::FilterError>(())
/// ```
#[derive(Clone)]
pub struct Filter {
    inner: Arc<Inner>,
}

struct Inner {
    text: String,
    expression: Expression,
    matcher: Matcher,
}

impl Filter {
    /// Whether the instance fits.
    #[must_use]
    pub fn fits(&self, instance: &Instance) -> bool {
        self.inner.matcher.fits(instance)
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.inner.text
    }
}

impl FromStr for Filter {
    type Err = FilterError;

    /// # Errors
    /// [`FilterError`] that names the place, or the selector, and what is allowed there.
    fn from_str(text: &str) -> Result<Self, FilterError> {
        let expression: Expression = text.parse()?;
        let matcher = expression.over(Shape::Instances)?;
        Ok(Self { inner: Arc::new(Inner { text: text.to_owned(), expression, matcher }) })
    }
}

impl PartialEq for Filter {
    fn eq(&self, other: &Self) -> bool {
        self.inner.expression == other.inner.expression
    }
}

impl Eq for Filter {}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Filter").field(&self.inner.text).finish()
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.text)
    }
}

/// A text that is no filter expression, or none over what it is to filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterError {
    words: Box<str>,
    place: Option<usize>,
    allowed: Box<str>,
}

impl FilterError {
    fn new(words: String) -> Self {
        Self { words: words.into(), place: None, allowed: Box::default() }
    }

    fn allowing(mut self, allowed: &[&str]) -> Self {
        self.allowed = allowed.join(", ").into();
        self
    }

    /// What is wrong, in Consul's words.
    #[must_use]
    pub fn words(&self) -> &str {
        &self.words
    }

    /// Which of the text's characters is wrong: the first is 1. `None` where it is a selector, an operator or a value
    /// that does not fit what is filtered: [`words`](Self::words) quotes it.
    #[must_use]
    pub fn place(&self) -> Option<usize> {
        self.place
    }
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "filter: {}", self.words)?;
        if !self.allowed.is_empty() {
            write!(f, "; allowed: {}", self.allowed)?;
        }
        Ok(())
    }
}

impl std::error::Error for FilterError {}

impl From<FilterError> for Error {
    fn from(error: FilterError) -> Self {
        Self::config(error.to_string())
    }
}

#[cfg(test)]
mod tests;
