//! `portolan import`: what a Consul or a file holds, copied into a registry.
//!
//! In:  services, checks and keys. Out: those that are not there yet, written; what was copied and what was not, told.
//!
//! ```text
//! source -> dump --+
//!                  +--> what is missing, what is the same, what is other --> writes, one by one
//! target -> dump --+
//! ```
//!
//! Never: removes anything; writes over what differs, unless that was asked for, nor over what changed since it was read;
//! touches what the target's own agent answers for.

use std::{
    io::{IsTerminal as _, Read as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::Args as ClapArgs;
use portolan::{Registry as _, registry::consul::Consul};
use serde_json::Value;
use tokio::task::spawn_blocking;

use crate::{
    config::{RegistryArgs, Shell},
    exit::{Exit, Usage},
};

pub(super) mod dump;
mod plan;
pub(super) mod read;
mod write;

use dump::{Dump, Part};
use plan::Own;
use read::Progress;

/// The largest file that is read.
const LARGEST: u64 = 256 << 20;

const EXAMPLES: &str = "\
Examples:
  portolan import --from http://consul:8500
  portolan import --from http://consul:8500 --only kv
  portolan import --file all.json
  consul kv export | portolan import --file -

It copies nodes, instances and checks with the status they have, and keys with their flags. Nobody runs those checks in
the registry they are copied to. It can be repeated: what is the same already is not written again, what differs is left
alone unless --overwrite is given, and nothing is ever removed. Sessions and locks, tokens and policies, prepared
queries, config entries and intentions are not copied.";

#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The registry to copy from.
    #[arg(long, value_name = "URL", required_unless_present = "file")]
    from: Option<String>,
    /// A file with the ACL token for the registry to copy from.
    #[arg(long, value_name = "FILE", requires = "from")]
    from_token_file: Option<PathBuf>,
    /// What `portolan export` or `consul kv export` wrote, in place of a registry; `-` is stdin.
    #[arg(long, value_name = "FILE", conflicts_with = "from")]
    file: Option<PathBuf>,
    /// Only this.
    #[arg(long, value_name = "PART")]
    only: Option<Part>,
    /// Replace what is there already and differs.
    #[arg(long)]
    overwrite: bool,
    #[command(flatten)]
    registry: RegistryArgs,
}

pub(crate) async fn run(args: Args, shell: &Shell) -> anyhow::Result<Exit> {
    let target = args.registry.client()?;
    let mut progress = Progress::new(!shell.quiet && std::io::stderr().is_terminal());
    let source = match (&args.from, args.file) {
        (Some(url), _) => {
            let from =
                RegistryArgs::other(url, args.from_token_file.as_deref()).client().context("--from")?;
            if from.describe() == target.describe() {
                let what = "--from: is the registry that is copied to; name another with --registry";
                return Err(Usage(what.to_owned()).into());
            }
            read::everything(&from, args.only, &mut progress).await?
        }
        (None, Some(path)) => {
            let dump = spawn_blocking(move || from_file(&path)).await??;
            dump.only(args.only)
        }
        (None, None) => return Err(Usage("--from: name a registry, or a file with --file".to_owned()).into()),
    };
    let there = read::everything(&target, args.only, &mut progress).await?;
    let own = own(&target).await?;
    let plan = plan::plan(&source, &there, &own, args.overwrite);
    let done = write::carry_out(&target, &plan, &mut progress).await;
    progress.end();
    source.left_out().iter().chain(&plan.left_out).for_each(|line| shell.hint(line));
    let (done, ended) = done;
    done.lines(&plan, args.overwrite).iter().for_each(|line| shell.hint(line));
    ended?;
    Ok(Exit::Fine)
}

/// The node of the agent that is written to.
async fn own(target: &Consul) -> anyhow::Result<Own> {
    let told = read::json(target, &["agent", "self"], &[]).await?;
    let text =
        |name: &str| told.pointer(&format!("/Config/{name}")).and_then(Value::as_str).unwrap_or_default();
    // What is written there by others stays with us: there is no sync that would undo it.
    Ok(Own { name: text("NodeName").to_owned(), keeps: text("Revision").starts_with("portolan-") })
}

fn from_file(path: &Path) -> anyhow::Result<Dump> {
    let from_pipe = path.as_os_str() == "-";
    let shown = if from_pipe { "stdin".to_owned() } else { path.display().to_string() };
    let mut bytes = Vec::new();
    let limit = LARGEST.saturating_add(1);
    let read = if from_pipe {
        std::io::stdin().lock().take(limit).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes))
    };
    let read = read.with_context(|| format!("{shown}: cannot be read"))?;
    if u64::try_from(read).unwrap_or(u64::MAX) > LARGEST {
        return Err(Usage(format!("{shown}: is over {LARGEST} bytes; export in parts, with --only")).into());
    }
    Dump::parse(&bytes).map_err(|wrong| Usage(format!("{shown}: {wrong}")).into())
}
