//! `portolan deps [NAME]`: who needs whom, and whether it is there.
//!
//! In:  the declarations of all services, read once. Out: a page, or the same as JSON, for Graphviz, or for Mermaid; with
//! `--check` an exit code.
//!
//! Never: another judgement than the library's.

use std::time::Duration;

use clap::Args as ClapArgs;
use portolan::{Config, depend::ServiceAt};
use tokio::time::Instant;

use super::explain;
use crate::{
    config::{RegistryArgs, Shell, duration},
    exit::Exit,
    output,
};

mod drawing;
mod object;
mod page;
mod scope;

use scope::Scope;

const EXAMPLES: &str = "\
Examples:
  portolan deps
  portolan deps web
  portolan deps --check && deploy
  portolan deps --dot | dot -Tsvg > deps.svg
  portolan deps --json | jq '.unmet[] | {service, need, lack}'

A service declares its needs in meta, under portolan-needs (and -2, -3, … where they are long): by the library, by
`portolan run --needs` or `register --needs`, or in a definition file of Consul's, which knows no field for it:
  \"meta\": {\"portolan-needs\": \"db@^14; cache?\"}

A need is written [DATACENTER/]SERVICE[@REQUIREMENT] and marks: `:N` at least N healthy instances, `?` optional, `!`
at the start only. Several are parted by commas or semicolons.

--check ends with 1 when a required need is not met, when versions conflict, when required needs form a cycle, or when
a declaration cannot be read.";

#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Only this service: what it needs, and who needs it. `dc2/db` is one of another datacentre. Default: all.
    name: Option<ServiceAt>,
    /// End with 1 unless all is in order.
    #[arg(long)]
    check: bool,
    /// One JSON object.
    #[arg(long, conflicts_with_all = ["dot", "mermaid"])]
    json: bool,
    /// A graph for Graphviz.
    #[arg(long, conflicts_with = "mermaid")]
    dot: bool,
    /// A graph for Mermaid.
    #[arg(long)]
    mermaid: bool,
    /// How long it may take to read all services.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "20s")]
    within: Duration,
    #[command(flatten)]
    registry: RegistryArgs,
}

pub(crate) async fn run(args: Args, shell: &Shell) -> anyhow::Result<Exit> {
    let discovery = args.registry.discovery(Config::default())?;
    let begun = Instant::now();
    let graph = discovery.read_dependencies(args.within).await;
    let graph = graph.map_err(|error| explain(error, &discovery.registry().describe(), begun.elapsed()))?;
    let Some(scope) = Scope::of(&graph, args.name.as_ref()) else {
        let name = args.name.map(|name| name.to_string()).unwrap_or_default();
        shell.hint(&format!("{name}: it is not registered, and nobody needs it; see `portolan services`"));
        return Ok(Exit::No);
    };
    let text = match (args.json, args.dot, args.mermaid) {
        (true, _, _) => format!("{}\n", object::object(&scope)),
        (_, true, _) => drawing::dot(&scope),
        (_, _, true) => drawing::mermaid(&scope),
        _ => page::page(&scope, shell.color),
    };
    output::print(&text)?;
    if scope.is_empty() {
        shell.hint("no service declares what it needs; `portolan deps --help` shows how");
    }
    if !args.check || scope.is_in_order() {
        return Ok(Exit::Fine);
    }
    shell.hint(&format!("not in order: {}", scope.summary()));
    Ok(Exit::No)
}
