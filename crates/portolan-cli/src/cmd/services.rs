//! `portolan services`: every name in the catalogue, with its tags.

use clap::Args as ClapArgs;
use portolan::registry::CatalogQuery;
use serde_json::{Map, Value, json};

use super::ask;
use crate::{
    config::{RegistryArgs, Shell},
    exit::Exit,
    output::{self, table::Table},
};

const EXAMPLES: &str = "\
Examples:
  portolan services
  portolan services --json | jq 'keys'
  portolan services --registry https://consul.example:8501 --token-file token";

#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    registry: RegistryArgs,
    /// One JSON object: names, with the list of tags.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: Args, shell: &Shell) -> anyhow::Result<Exit> {
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
