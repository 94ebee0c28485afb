//! `portolan checks NAME`: every check of every instance, with what it said.
//!
//! In:  one read of the registry. Out: a line, or an object, for each check, the worst of an instance first.
//!
//! Never: leaves a check out; prints more than a line of an output in the table.

use std::sync::Arc;

use clap::Args as ClapArgs;
use portolan::{
    CheckScope, CheckState, Instance, Registry, ServiceName, Status, registry::consul::Inspected,
};
use serde_json::{Value, json};

use super::ask;
use crate::{
    config::{RegistryArgs, Shell},
    exit::Exit,
    output::{
        self,
        table::{Cell, Table},
    },
};

/// How much of an output the table shows, in characters.
const SHOWN: usize = 100;

const EXAMPLES: &str = "\
Examples:
  portolan checks web
  portolan checks web --failing
  portolan checks web --json | jq -r '.[] | select(.status != \"passing\") | .output'

The table shows the first line of an output, at most 100 characters; --json has all of it. Checks of the node, as
serfHealth, count for all of its instances. An output that changes while the status stays is some minutes late here.";

#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The service's name.
    name: ServiceName,
    /// Only checks that are not passing.
    #[arg(long)]
    failing: bool,
    /// One JSON array of objects.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    registry: RegistryArgs,
}

pub(crate) async fn run(args: Args, shell: &Shell) -> anyhow::Result<Exit> {
    let client = args.registry.client()?;
    let registry: Arc<dyn Registry> = Arc::new(client.clone());
    let found = ask(&registry, client.inspect(&args.name)).await?;
    let rows: Vec<Row<'_>> = found
        .iter()
        .flat_map(rows)
        .filter(|row| !args.failing || row.check.status != Status::Passing)
        .collect();
    if args.json {
        output::print(&format!("{}\n", Value::Array(rows.iter().map(Row::json).collect())))?;
    } else if !rows.is_empty() {
        output::print(&table(&rows, shell.color))?;
    }
    if rows.is_empty() {
        let name = &args.name;
        shell.hint(&match found.len() {
            0 => format!(
                "{name}: no instance is known to {}; `portolan services` lists the names",
                registry.describe()
            ),
            _ if args.failing => format!("{name}: no check fails"),
            count => format!("{name}: none of {count} instances has a check"),
        });
    }
    Ok(Exit::Fine)
}

/// A check of an instance.
struct Row<'a> {
    instance: &'a Instance,
    check: &'a CheckState,
    kind: &'a str,
}

fn rows(inspected: &Inspected) -> Vec<Row<'_>> {
    let instance = &*inspected.instance;
    let kind = |check: &CheckState| inspected.kinds.get(&*check.id).map_or("", |kind| &**kind);
    let mut rows: Vec<Row<'_>> =
        instance.checks.iter().map(|check| Row { instance, check, kind: kind(check) }).collect();
    rows.sort_by(|one, other| {
        other.check.status.cmp(&one.check.status).then(one.check.id.cmp(&other.check.id))
    });
    rows
}

impl Row<'_> {
    fn json(&self) -> Value {
        let Self { instance, check, kind } = self;
        let scope = match check.scope {
            CheckScope::Node => "node",
            CheckScope::Service => "service",
        };
        json!({
            "instance": &*instance.identity.id,
            "service": &*instance.service,
            "node": &*instance.identity.node,
            "check": &*check.id,
            "name": &*check.name,
            "kind": kind,
            "scope": scope,
            "status": check.status.as_str(),
            "output": &*check.output,
        })
    }
}

fn table(rows: &[Row<'_>], color: bool) -> String {
    let mut table = Table::new(["INSTANCE", "NODE", "CHECK", "KIND", "STATUS", "OUTPUT"]);
    for Row { instance, check, kind } in rows {
        table.row(vec![
            Cell::new(&instance.identity.id),
            Cell::new(&instance.identity.node),
            Cell::new(&check.id),
            Cell::new(kind),
            Cell::new(check.status.as_str()).ink(check.status),
            Cell::new(first_line(&check.output)),
        ]);
    }
    table.render(color)
}

/// The first line, as far as it is shown; `…` says that there is more.
fn first_line(output: &str) -> String {
    let output = output.trim();
    let line = output.lines().next().unwrap_or_default();
    let shown: String = line.chars().take(SHOWN).collect();
    if shown.len() < output.len() { format!("{}…", shown.trim_end()) } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_is_shown_by_its_first_line_and_more_is_marked() {
        assert_eq!(first_line("HTTP GET: 200 OK\n"), "HTTP GET: 200 OK");
        assert_eq!(first_line("a\nb"), "a…");
        assert_eq!(first_line(&"é".repeat(101)), format!("{}…", "é".repeat(100)));
        assert_eq!(first_line(&"é".repeat(100)), "é".repeat(100));
        assert_eq!(first_line(""), "");
    }
}
