//! `portolan services`: every name in the catalogue, with its tags; with `--watch`, as they come and go.

use clap::Args as ClapArgs;
use portolan::registry::CatalogQuery;
use serde_json::{Map, Value, json};

use super::ask;
use crate::{
    config::{RegistryArgs, Shell},
    exit::Exit,
    output::{self, table::Table},
};

mod follow;
mod line;

const EXAMPLES: &str = "\
Examples:
  portolan services
  portolan services --json | jq 'keys'
  portolan services --watch
  portolan services --registry https://consul.example:8501 --token-file token

Lines of --watch, the first ones for what is there:
  TIME + name tags   a new service
  TIME ~ name tags   its tags changed
  TIME - name tags   it is gone";

#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    registry: RegistryArgs,
    /// One JSON object: names, with the list of tags; with --watch, one a line and change.
    #[arg(long)]
    json: bool,
    /// Print a line for each service that comes, goes, or changes its tags, until Ctrl-C.
    #[arg(long)]
    watch: bool,
}

pub(crate) async fn run(args: Args, shell: &Shell) -> anyhow::Result<Exit> {
    if args.watch {
        return follow::run(&args, shell).await;
    }
    let registry = args.registry.open()?;
    let query = CatalogQuery::default();
    let services = ask(&registry, registry.services(&query)).await?.value;
    if args.json {
        let object: Map<String, Value> = services
            .iter()
            .map(|(name, tags)| {
                let tags: Vec<&str> = tags.iter().map(AsRef::as_ref).collect();
                (name.to_string(), json!(tags))
            })
            .collect();
        output::print(&format!("{}\n", Value::Object(object)))?;
        return Ok(Exit::Fine);
    }
    let mut table = Table::new(["NAME", "TAGS"]);
    for (name, tags) in &services {
        table.row(vec![name.into(), tags.join(",").into()]);
    }
    output::print(&table.render(shell.color))?;
    if services.is_empty() {
        shell.hint("no service is registered; `portolan register --help` shows how");
    }
    Ok(Exit::Fine)
}
