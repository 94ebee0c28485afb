//! `portolan discover NAME`: the healthy instances, now.
//!
//! In:  one read of the registry, narrowed by flags. Out: a table, JSON, or a line a template makes of each.
//!
//! Never: shows an instance that is not passing unless `--all` asks for it.

use std::{fmt::Write as _, sync::Arc};

use clap::Args as ClapArgs;
use portolan::{
    Instance, ServiceName, Status,
    registry::{CheckOutput, ServiceQuery},
};
use serde_json::Value;

use super::{
    ask,
    filter::{self, Filter},
};
use crate::{
    config::{RegistryArgs, Shell},
    exit::Exit,
    output::{self, instance, template::Template},
};

const EXAMPLES: &str = "\
Examples:
  portolan discover web
  portolan discover web --tag blue --version '^2'
  portolan discover web --format '{{address}}:{{port}}'
  portolan discover web --exit-code -q >/dev/null || echo \"no web today\"

Keys of --format: id, node, address, port, zone, region, version, status, tags, weight, datacenter, meta.KEY";

#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The service's name.
    name: ServiceName,
    #[command(flatten)]
    filter: Filter,
    /// Also the instances that are warning, critical or in maintenance.
    #[arg(long)]
    all: bool,
    /// One JSON array of objects.
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// A line for each instance, with its values for `{{key}}`.
    #[arg(long, value_name = "TEMPLATE")]
    format: Option<Template>,
    /// End with 1 when there is none.
    #[arg(long)]
    exit_code: bool,
    #[command(flatten)]
    registry: RegistryArgs,
}

pub(crate) async fn run(args: Args, shell: &Shell) -> anyhow::Result<Exit> {
    let registry = args.registry.open()?;
    let output = if args.all { CheckOutput::Keep } else { CheckOutput::Drop };
    let query = ServiceQuery::new(args.name.clone()).output(output);
    let mut known = ask(&registry, registry.service(&query)).await?.value;
    known.sort_by(|a, b| a.identity.cmp(&b.identity));
    let select = args.filter.select().resolved(&known);
    let asked_for = known.iter().map(Arc::as_ref).filter(|one| filter::fits(&select, one));
    let wanted: Vec<&Instance> = asked_for.filter(|one| args.all || one.status == Status::Passing).collect();
    output::print(&rendered(&args, &wanted, shell.color))?;
    if wanted.is_empty() {
        shell.hint(&none_line(&args.name, &known));
        if args.exit_code {
            return Ok(Exit::No);
        }
    }
    Ok(Exit::Fine)
}

fn rendered(args: &Args, wanted: &[&Instance], color: bool) -> String {
    if let Some(template) = &args.format {
        return wanted.iter().map(|one| template.line(one)).collect();
    }
    if args.json {
        return format!("{}\n", Value::Array(wanted.iter().map(|one| instance::json(one)).collect()));
    }
    if wanted.is_empty() {
        return String::new();
    }
    instance::table(wanted, color)
}

/// Why the list is empty, in one line.
fn none_line(name: &ServiceName, known: &[Arc<Instance>]) -> String {
    if known.is_empty() {
        return format!("{name}: no instance is known to the registry; `portolan services` lists the names");
    }
    let mut line = format!("{name}: none of {} known fits:", known.len());
    for status in [Status::Passing, Status::Warning, Status::Critical, Status::Maintenance] {
        let count = known.iter().filter(|one| one.status == status).count();
        if count > 0 {
            let _infallible = write!(line, " {count} {status},");
        }
    }
    format!("{}; `portolan why {name}` tells the reasons", line.trim_end_matches(','))
}

#[cfg(test)]
mod tests {
    use portolan::{CheckScope, CheckState, Identity};

    use super::*;

    #[test]
    fn an_empty_list_says_why() {
        let name: ServiceName = "web".parse().unwrap();
        assert!(none_line(&name, &[]).starts_with("web: no instance is known"));
        let make = |id: &str, status| {
            let instance = Instance::new(Identity::new("dc1", "n", id), "web", "10.0.0.1", 1);
            Arc::new(instance.with_checks(vec![CheckState::new("c", "c", status, CheckScope::Service)]))
        };
        let known = [make("a", Status::Critical), make("b", Status::Critical), make("c", Status::Warning)];
        assert_eq!(
            none_line(&name, &known),
            "web: none of 3 known fits: 1 warning, 2 critical; `portolan why web` tells the reasons"
        );
    }
}
