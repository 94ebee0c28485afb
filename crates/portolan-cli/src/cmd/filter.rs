//! Which instances a person asked for: by tag, meta, version and expression.
//!
//! In:  flags. Out: the library's own filter, so that the command and a program agree.

use clap::Args;
use portolan::{Exclusion, Instance, Requirement, Select};

use crate::config::Pair;

/// The flags that narrow a service down.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Filter {
    /// Only instances with this tag; several: with all of them.
    #[arg(long = "tag", value_name = "TAG", help_heading = "Filter")]
    tags: Vec<String>,
    /// Only instances with this pair in their meta; several: with all of them.
    #[arg(long = "meta", value_name = "KEY=VALUE", help_heading = "Filter")]
    meta: Vec<Pair>,
    /// Only instances of these versions: `^2.1` (or 2.1), `>=1.4, <2`, `=1.2.3`, `latest`, `latest-minor`; with ` +pre`
    /// also their pre-releases.
    #[arg(long = "version", value_name = "REQUIREMENT", help_heading = "Filter")]
    version: Option<Requirement>,
    /// Only instances that fit this expression, in Consul's language of filters: `Service.Meta.team == "shop" and
    /// "canary" not in Service.Tags`.
    #[arg(long = "filter", value_name = "EXPR", help_heading = "Filter")]
    expression: Option<portolan::Filter>,
}

impl Filter {
    /// The flags as the library takes them.
    pub(crate) fn select(&self) -> Select {
        let mut select = Select::default();
        for tag in &self.tags {
            select = select.tag(tag);
        }
        for pair in &self.meta {
            select = select.meta(&pair.key, &pair.value);
        }
        select.filter = self.expression.clone();
        match &self.version {
            Some(version) => select.version(version.clone()),
            None => select,
        }
    }
}

/// Whether the instance was asked for, whatever its health. Where `latest` can be asked for, `select` is resolved among all
/// that are known.
pub(crate) fn fits(select: &Select, one: &Instance) -> bool {
    !select.refuses(one).as_ref().is_some_and(Exclusion::is_unasked)
}

#[cfg(test)]
mod tests {
    use portolan::{CheckScope, CheckState, Identity, Status};

    use super::*;

    #[test]
    fn health_is_another_question() {
        let check = CheckState::new("c", "c", Status::Critical, CheckScope::Service);
        let one = Instance::new(Identity::new("dc1", "n", "web-1"), "web", "10.0.0.1", 1)
            .with_tags(["blue", "b"])
            .with_meta([("team", "x"), ("version", "1.2.0")])
            .with_checks(vec![check]);
        let filter = |tags: &[&str], meta: &[&str], version: Option<&str>| Filter {
            tags: tags.iter().map(ToString::to_string).collect(),
            meta: meta.iter().map(|pair| pair.parse().unwrap()).collect(),
            version: version.map(|text| text.parse().unwrap()),
            expression: None,
        };
        let expression = |text: &str| Filter { expression: Some(text.parse().unwrap()), ..Filter::default() };
        for (filter, expected) in [
            (Filter::default(), true),
            (filter(&["blue", "b"], &["team=x"], Some("1.2.0")), true),
            (filter(&["blue", "c"], &[], None), false),
            (filter(&[], &["team=y"], None), false),
            (filter(&[], &["zone=a"], None), false),
            (filter(&[], &[], Some("1.3.0")), false),
            (filter(&[], &[], Some(">=1.1, <2")), true),
            (filter(&[], &[], Some("=1.2.1")), false),
            (expression("Service.Meta.team == x and blue in Service.Tags"), true),
            (expression("Checks.Status == passing"), false),
        ] {
            assert_eq!(fits(&filter.select(), &one), expected, "{filter:?}");
        }
    }
}
