//! `portolan backup` and `portolan restore`: all that a registry of ours keeps, as a file, and back.
//!
//! In:  a file or a pipe. Out: a backup that was read again before it is said to be one; a registry that holds what it holds.
//!
//! ```text
//! registry -> a file beside the wanted one -> synced, read again, each sum and the end mark checked -> renamed
//! ```
//!
//! Never: leaves a part of a backup under its name; replaces a file unasked; sends a backup that is not right.

use std::{io::IsTerminal as _, path::PathBuf};

use anyhow::{Context as _, anyhow};
use clap::Args as ClapArgs;
use portolan::{
    Kind,
    registry::consul::{Consul, ConsulConfig},
};
use portolan_server::{
    ServerConfig,
    backup::{self, LARGEST},
};
use tokio::{task::spawn_blocking, time::Instant};

use super::explain;
use crate::{
    config::{RegistryArgs, Shell},
    exit::{Exit, Usage},
};

mod file;

/// A large backup on a slow disk takes its time.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(600);

const BACKUP_EXAMPLES: &str = "\
Examples:
  portolan backup /var/backups/portolan.backup
  portolan backup --force today.backup
  portolan backup - | gzip > portolan.backup.gz

It speaks to a registry that runs (`portolan serve`), which goes on meanwhile. The file is read again and checked before
it gets its name. A backup holds all that the registry keeps, so keep it as safe as the registry.";

const RESTORE_EXAMPLES: &str = "\
Examples:
  portolan restore /var/backups/portolan.backup
  gunzip < portolan.backup.gz | portolan restore -
  portolan restore taken-by-consul-snapshot-save.snap
  portolan restore /var/backups/portolan.backup --data-dir /var/lib/portolan

What the backup holds takes the place of everything that the registry has. Without --data-dir it speaks to a registry
that runs: whoever watches is told, and indexes only go up. With --data-dir no registry may run there; the old file is
kept.";

#[derive(Debug, ClapArgs)]
#[command(after_help = BACKUP_EXAMPLES)]
pub(crate) struct BackupArgs {
    /// Where to write it; `-` is stdout.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Replace a file that is there.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    registry: RegistryArgs,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = RESTORE_EXAMPLES)]
pub(crate) struct RestoreArgs {
    /// The backup; `-` is stdin.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The data directory of a registry that does not run, in place of one that does.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["registry", "token", "token_file"])]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    registry: RegistryArgs,
}

/// The way to the registry, for answers and questions as long as a backup.
fn client(args: &RegistryArgs) -> anyhow::Result<Consul> {
    let config: ConsulConfig = args.consul()?;
    Ok(Consul::new(config.body_limit(LARGEST).request_timeout(PATIENCE)))
}

/// What went wrong between us and the registry.
fn failed(error: portolan::Error, client: &Consul, begun: Instant) -> anyhow::Error {
    use portolan::Registry as _;
    if error.kind() == Kind::NotFound {
        let what = "this is no registry of portolan's; Consul's own are saved by `consul snapshot save`";
        return anyhow!(Usage(format!("{}: {what}", client.describe())));
    }
    explain(error, &client.describe(), begun.elapsed())
}

pub(crate) async fn backup(args: BackupArgs, shell: &Shell) -> anyhow::Result<Exit> {
    let to_pipe = args.file.as_os_str() == "-";
    if to_pipe && std::io::stdout().is_terminal() {
        return Err(
            Usage("FILE: a backup is no text for a terminal; name a file, or pipe it".to_owned()).into()
        );
    }
    if !to_pipe {
        file::may_write(&args.file, args.force)?;
    }
    let (client, begun) = (client(&args.registry)?, Instant::now());
    let bytes = client.backup().await.map_err(|error| failed(error, &client, begun))?;
    let from = {
        use portolan::Registry as _;
        client.describe()
    };
    let received = backup::check(&*bytes).with_context(|| format!("what {from} sent is of no use"))?;
    if to_pipe {
        spawn_blocking(move || file::to_stdout(&bytes)).await??;
        shell.hint(&format!("backed up: {received}; what reads the pipe must see to it that it is kept"));
        return Ok(Exit::Fine);
    }
    let path = args.file.clone();
    let kept = spawn_blocking(move || file::write(&path, &bytes, args.force)).await??;
    shell.hint(&format!("backed up to {}, and read again: {kept}", args.file.display()));
    Ok(Exit::Fine)
}

pub(crate) async fn restore(args: RestoreArgs, shell: &Shell) -> anyhow::Result<Exit> {
    let path = args.file.clone();
    let (bytes, found) = spawn_blocking(move || file::read(&path)).await??;
    if let Some(dir) = args.data_dir {
        let config = ServerConfig::default().data_dir(Some(dir.clone()));
        let replaced = spawn_blocking(move || backup::replace(&config, &bytes)).await??;
        shell.hint(&format!("restored into {}: {}", dir.display(), replaced.summary));
        if let Some(aside) = replaced.aside {
            shell.hint(&format!("the file as it was is {}", aside.display()));
        }
        return Ok(Exit::Fine);
    }
    let (client, begun) = (client(&args.registry)?, Instant::now());
    client.restore(bytes).await.map_err(|error| failed(error, &client, begun))?;
    shell.hint(&format!("restored: {found}"));
    Ok(Exit::Fine)
}
