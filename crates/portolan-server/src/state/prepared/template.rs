//! Queries that stand for many names: what they come to for one of them. PURE.
//!
//! In:  a query and a name that begins as it does. Out: the query for that name; what is wrong with the template.
//!
//! ```text
//! "${name.suffix}"  "v-${match(1)}"  "$${kept}"
//! ```
//!
//! Consul reads HIL here, a language with arithmetic and conditions. Of that, variables and `match` with a number are read,
//! which is all that its documentation uses; the rest is refused.
//!
//! Never: fails for a name, once it was compiled; reads a pattern that takes more than linear time.
//!
//! Rules from Consul 1.21: agent/consul/prepared_query/template.go, walk.go. Proof: the tests here; `tests/differential/`.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::fmt;

use regex::Regex;

use super::rows::{QuerySpec, Wanted};
use crate::state::rows::{Pairs, Text};

/// What is wrong with a template, in Consul's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadTemplate(String);

impl fmt::Display for BadTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "failed compiling template: {}", self.0)
    }
}

/// What of a text is wrong: it cannot be read, or not be carried out.
enum Wrong {
    Format(String),
    Evaluation(String),
}

/// What a name gives to the variables.
struct Names<'a> {
    full: &'a str,
    prefix: &'a str,
    suffix: &'a str,
    parts: Vec<&'a str>,
}

/// The pattern of a template, if it has one; and that all its texts can be carried out.
///
/// # Errors
/// [`BadTemplate`]: which text is wrong.
pub(super) fn compile(spec: &QuerySpec) -> Result<Option<Regex>, BadTemplate> {
    let regexp = spec.template.as_ref().map(|template| &*template.regexp).filter(|text| !text.is_empty());
    let bad = |why: regex::Error| BadTemplate(format!("Bad Regexp: error parsing regexp: {why}"));
    let regexp = regexp.map(Regex::new).transpose().map_err(bad)?;
    rendered(spec, regexp.as_ref(), &spec.name)?;
    Ok(regexp)
}

/// The query for one name.
///
/// # Errors
/// [`BadTemplate`]: one of its texts is wrong, which [`compile`] tells before.
pub(super) fn rendered(
    spec: &QuerySpec,
    regexp: Option<&Regex>,
    name: &str,
) -> Result<QuerySpec, BadTemplate> {
    let parts = regexp.and_then(|regexp| regexp.captures(name));
    let parts = parts.map(|parts| parts.iter().map(|part| part.map_or("", |part| part.as_str())).collect());
    let names = Names {
        full: name,
        prefix: &spec.name,
        suffix: name.strip_prefix(&*spec.name).unwrap_or(name),
        parts: parts.unwrap_or_default(),
    };
    let wanted = Wanted {
        service: names.text("Service.Service", &spec.wanted.service)?,
        failover: super::rows::Failover {
            datacenters: names
                .list("Service.Failover.Datacenters", spec.wanted.failover.datacenters.as_deref())?,
            ..spec.wanted.failover.clone()
        },
        only_passing: spec.wanted.only_passing,
        ignore_checks: names.list("Service.IgnoreCheckIDs", spec.wanted.ignore_checks.as_deref())?,
        near: names.text("Service.Near", &spec.wanted.near)?,
        tags: names.list("Service.Tags", spec.wanted.tags.as_deref())?,
        node_meta: names.pairs("Service.NodeMeta", spec.wanted.node_meta.as_ref())?,
        service_meta: names.pairs("Service.ServiceMeta", spec.wanted.service_meta.as_ref())?,
        connect: spec.wanted.connect,
    };
    let mut rendered = QuerySpec { wanted, ..spec.clone() };
    if spec.template.as_ref().is_some_and(|template| template.remove_empty_tags)
        && let Some(tags) = &mut rendered.wanted.tags
    {
        tags.retain(|tag| !tag.is_empty());
    }
    Ok(rendered)
}

impl Names<'_> {
    fn text(&self, field: &str, text: &str) -> Result<Text, BadTemplate> {
        self.carried_out(text).map(Text::from).map_err(|wrong| {
            BadTemplate(match wrong {
                Wrong::Format(why) => format!("Bad format '{text}' in {field}: {why}"),
                Wrong::Evaluation(why) => format!("Bad evaluation for '{text}' in {field}: {why}"),
            })
        })
    }

    fn list(&self, field: &str, texts: Option<&[Text]>) -> Result<Option<Vec<Text>>, BadTemplate> {
        let each = |(place, text): (usize, &Text)| self.text(&format!("{field}[{place}]"), text);
        texts.map(|texts| texts.iter().enumerate().map(each).collect()).transpose()
    }

    fn pairs(&self, field: &str, pairs: Option<&Pairs>) -> Result<Option<Pairs>, BadTemplate> {
        let each = |(key, text): (&Text, &Text)| {
            Ok((Text::clone(key), self.text(&format!("{field}[{key}]"), text)?))
        };
        pairs.map(|pairs| pairs.iter().map(each).collect()).transpose()
    }

    fn carried_out(&self, text: &str) -> Result<String, Wrong> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            // `$${` is what stands for `${` itself.
            if let Some(before) = before.strip_suffix('$') {
                out.push_str(before);
                out.push_str("${");
                rest = after;
                continue;
            }
            out.push_str(before);
            let Some((inside, after)) = after.split_once('}') else {
                let end = text.chars().count().saturating_add(1);
                return Err(Wrong::Format(format!(
                    "parse error at 1:{end}: expected \"}}\" but found end of string"
                )));
            };
            let begin = text.len().saturating_sub(after.len()).saturating_sub(inside.len());
            out.push_str(self.value(inside, begin)?);
            rest = after;
        }
        out.push_str(rest);
        Ok(out)
    }

    /// What stands in braces, which begin at `begin`.
    fn value(&self, inside: &str, begin: usize) -> Result<&str, Wrong> {
        let word = inside.trim();
        let is_name = |word: &str| {
            word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && word.bytes().all(|c| c.is_ascii_alphanumeric() || b"_.-".contains(&c))
        };
        let column = begin.saturating_add(inside.len()).saturating_sub(inside.trim_start().len());
        match word {
            "name.full" => return Ok(self.full),
            "name.prefix" => return Ok(self.prefix),
            "name.suffix" => return Ok(self.suffix),
            // There are no segments here.
            "agent.segment" => return Ok(""),
            word if is_name(word) => {
                return Err(Wrong::Evaluation(format!("1:{column}: unknown variable accessed: {word}")));
            }
            _ => {}
        }
        match word.split_once('(').map(|(function, argument)| (function.trim(), argument)) {
            Some(("match", argument)) => {
                let number = argument.strip_suffix(')').and_then(|number| number.trim().parse::<i64>().ok());
                let number = number.ok_or_else(|| {
                    Wrong::Format(format!("1:{column}: match takes a number, as in ${{match(1)}}"))
                })?;
                // What is not there is nothing, as a group that took no part.
                Ok(usize::try_from(number)
                    .ok()
                    .and_then(|at| self.parts.get(at))
                    .copied()
                    .unwrap_or_default())
            }
            Some((function, _)) if is_name(function) => {
                Err(Wrong::Evaluation(format!("1:{column}: unknown function called: {function}")))
            }
            _ => Err(Wrong::Format(format!(
                "1:{column}: only name.full, name.prefix, name.suffix, agent.segment and match(N) are read here"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::state::prepared::rows::{Failover, Template};

    fn query(service: &str, regexp: &str, tags: &[&str]) -> QuerySpec {
        let wanted = Wanted {
            service: service.into(),
            failover: Failover::default(),
            only_passing: false,
            ignore_checks: None,
            near: "".into(),
            tags: Some(tags.iter().map(|tag| Text::from(*tag)).collect()),
            node_meta: None,
            service_meta: None,
            connect: false,
        };
        QuerySpec {
            id: "".into(),
            name: "geo-".into(),
            session: "".into(),
            token: None,
            template: Some(Template { regexp: regexp.into(), remove_empty_tags: true }),
            wanted,
            ttl: "".into(),
        }
    }

    fn for_name(spec: &QuerySpec, name: &str) -> (String, Vec<String>) {
        let regexp = compile(spec).unwrap();
        let wanted = rendered(spec, regexp.as_ref(), name).unwrap().wanted;
        (wanted.service.to_string(), wanted.tags.unwrap().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_name_gives_its_parts() {
        let pattern = r"^geo-(.*?)-([^\-]+)?$";
        for (service, tags, name, expected, left) in [
            ("${name.suffix}", vec![], "geo-web", "web", vec![]),
            ("${match(1)}", vec!["${match(2)}", "!x"], "geo-web-v1", "web", vec!["v1", "!x"]),
            ("${ match( 1 ) }", vec!["${match(2)}"], "geo-web-", "web", vec![]),
            (
                "${name.full}|${name.prefix}",
                vec!["$${a}${agent.segment}"],
                "geo-x",
                "geo-x|geo-",
                vec!["${a}"],
            ),
            ("${match(9)}x${match(-1)}", vec![], "geo-web-v1", "x", vec![]),
            ("plain $ { }", vec![], "geo-", "plain $ { }", vec![]),
            // Found without case, but cut off as it is written.
            ("${name.suffix}", vec![], "GEO-web", "GEO-web", vec![]),
        ] {
            assert_eq!(
                for_name(&query(service, pattern, &tags), name),
                (expected.to_owned(), left.iter().map(ToString::to_string).collect()),
                "{service} {name}"
            );
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (service, regexp, said) in [
            (
                "${bogus}",
                "",
                "Bad evaluation for '${bogus}' in Service.Service: 1:3: unknown variable accessed: bogus",
            ),
            (
                "a${upper(name.full)}",
                "",
                "Bad evaluation for 'a${upper(name.full)}' in Service.Service: 1:4: unknown function called: upper",
            ),
            (
                "${name.full",
                "",
                "Bad format '${name.full' in Service.Service: parse error at 1:12: expected \"}\" but found end of string",
            ),
            ("x", "(", "Bad Regexp: error parsing regexp: "),
        ] {
            let failed = compile(&query(service, regexp, &[])).unwrap_err().to_string();
            assert!(failed.starts_with(&format!("failed compiling template: {said}")), "{failed}");
        }
        assert!(compile(&query("${1 + 1}", "", &[])).is_err());
    }

    proptest! {
        #[test]
        fn what_was_compiled_never_fails(text in "[a-z${}().1]{0,24}|\\PC*", name in "\\PC{0,12}") {
            let spec = query(&text, "^geo-(.)?", &["${match(1)}"]);
            if let Ok(regexp) = compile(&spec) {
                prop_assert!(rendered(&spec, regexp.as_ref(), &name).is_ok());
            }
        }
    }
}
