//! `portolan export`: services, checks and keys of a registry as JSON.
//!
//! In:  a registry. Out: one JSON document, which `portolan import --file` takes; with `--only kv` the list that
//! `consul kv import` takes too.
//!
//! Never: changes anything; writes a part of a document.

use std::io::IsTerminal as _;

use clap::Args as ClapArgs;

use super::import::{
    dump::Part,
    read::{self, Progress},
};
use crate::{
    config::{RegistryArgs, Shell},
    exit::Exit,
    output,
};

const EXAMPLES: &str = "\
Examples:
  portolan export > all.json
  portolan export --registry http://consul:8500 > all.json
  portolan export --only kv | consul kv import -

It holds nodes, instances, checks and keys as they are now, one after the other: not all of one moment. For all that a
registry of portolan's keeps, tokens and sessions too, there is `portolan backup`.";

#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Only this: `kv` gives the list that `consul kv import` takes.
    #[arg(long, value_name = "PART")]
    only: Option<Part>,
    #[command(flatten)]
    registry: RegistryArgs,
}

pub(crate) async fn run(args: Args, shell: &Shell) -> anyhow::Result<Exit> {
    let client = args.registry.client()?;
    let mut progress = Progress::new(!shell.quiet && std::io::stderr().is_terminal());
    let dump = read::everything(&client, args.only, &mut progress).await?;
    progress.end();
    for line in dump.left_out() {
        shell.hint(line);
    }
    output::print(&format!("{:#}\n", dump.json(args.only)))?;
    let (nodes, instances, checks, keys) = dump.counts();
    shell.hint(&format!("exported: {nodes} nodes, {instances} instances, {checks} checks, {keys} keys"));
    Ok(Exit::Fine)
}
