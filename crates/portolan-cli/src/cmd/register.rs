//! `portolan register` and `portolan deregister`: instances, by hand or from a script.
//!
//! In:  flags, or definition files. Out: a call to the agent for each instance, and its id on stdout.
//!
//! It registers once and ends: from then on the agent runs the checks. A service that shall come back by itself after
//! its agent lost it is run by `portolan run`, or holds a registration of the library instead.
//!
//! Never: sends anything of a file before all files are found to be right.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context;
use clap::Args as ClapArgs;
use portolan::{
    Config, Discovery, Error, Registration, Registry, ServiceId, ServiceName, Status,
    registry::{Definition, Registered},
};
use tokio::time::Instant;

use super::{
    ask, dependants, explain,
    instance::{CHECKS, InstanceArgs},
};
use crate::{
    config::{RegistryArgs, Shell},
    definition::{self, Syntax},
    exit::Exit,
    output,
};

/// The largest file that is read: nobody writes a larger one by hand.
const FILE_LIMIT: u64 = 1 << 20;

const EXAMPLES: &str = "\
Examples:
  portolan register web --port 8080 --check http:/health
  portolan register db --port 5432 --address 10.0.0.7 --check tcp --tag primary --meta zone=eu-1
  portolan register job --port 9000 --id job-1 --check ttl:15s
  portolan register api --port 50051 --check grpc:/pkg.Orders --tls --failures-before-critical 3
  portolan register --file /etc/consul.d/web.hcl

Without --check it is passing for as long as its node is.

";

const FILES: &str = "

Files: what `consul services register FILE` takes, in JSON (.json), HCL (.hcl) or TOML (.toml) of the same shape, and
the body of PUT /v1/agent/service/register. As there, an instance without an id has the service's name for it, and
replaces what the agent holds under it. Nothing is sent unless all files are right.";

fn after_help() -> String {
    format!("{EXAMPLES}{CHECKS}{FILES}")
}

/// What a file says instead.
const FLAGS: [&str; 24] = [
    "name",
    "port",
    "address",
    "id",
    "needs",
    "tags",
    "meta",
    "version",
    "zone",
    "region",
    "weight",
    "checks",
    "interval",
    "timeout",
    "deregister_after",
    "initial",
    "success_before_passing",
    "failures_before_warning",
    "failures_before_critical",
    "method",
    "headers",
    "tls",
    "tls_skip_verify",
    "tls_server_name",
];

#[derive(Debug, ClapArgs)]
#[command(after_help = after_help())]
pub(crate) struct Args {
    /// The service's name.
    #[arg(required_unless_present = "files")]
    name: Option<ServiceName>,
    /// The port it listens on.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..), required_unless_present = "files")]
    port: Option<u16>,
    /// A definition file of Consul's, in place of all of this; may be given several times.
    #[arg(long = "file", value_name = "FILE", conflicts_with_all = FLAGS)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    instance: InstanceArgs,
    #[command(flatten)]
    registry: RegistryArgs,
}

#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Examples:\n  portolan deregister web-1\n\nIt ends with 1 when the agent holds no such id."
)]
pub(crate) struct DeregisterArgs {
    /// The id on the agent, as `register` printed it.
    id: ServiceId,
    #[command(flatten)]
    registry: RegistryArgs,
}

pub(crate) async fn run(args: Args, shell: &Shell) -> anyhow::Result<Exit> {
    let discovery = args.registry.discovery(Config::default())?;
    let registry = discovery.registry();
    let (Some(name), Some(port)) = (&args.name, args.port) else {
        return register_files(&args.files, &discovery, shell).await;
    };
    let definition = define(&discovery, &args.instance.registration(name.as_str(), port)?).await?;
    let id = &definition.id;
    let held = ask(&registry, registry.registered(std::slice::from_ref(id))).await?;
    if let Some(other) = held.first().filter(|held| is_alive_elsewhere(&definition, held)) {
        let place = format!("{}:{}", other.address, other.port);
        anyhow::bail!(
            "--id: {id} is held by an instance at {place} that works; give another id, or deregister that one"
        );
    }
    send(&registry, &definition, shell).await?;
    Ok(Exit::Fine)
}

async fn register_files(files: &[PathBuf], discovery: &Discovery, shell: &Shell) -> anyhow::Result<Exit> {
    let registry = discovery.registry();
    let mut all = Vec::new();
    let mut seen: BTreeMap<ServiceId, &Path> = BTreeMap::new();
    for path in files {
        for registration in read_file(path).with_context(|| path.display().to_string())? {
            let definition = define(discovery, &registration).await?;
            if let Some(other) = seen.insert(definition.id.clone(), path) {
                let (id, path, other) = (&definition.id, path.display(), other.display());
                let what = format!("{path}: id: {id:?} stands in {other} already; give each its own");
                return Err(Error::config(what).into());
            }
            all.push(definition);
        }
    }
    for definition in &all {
        send(&registry, definition, shell).await?;
    }
    Ok(Exit::Fine)
}

fn read_file(path: &Path) -> Result<Vec<Registration>, Error> {
    let syntax = Syntax::of(path)?;
    let unreadable = |cause| Error::config("it cannot be read; give a file that can be").caused_by(cause);
    let size = std::fs::metadata(path).map_err(unreadable)?.len();
    if size > FILE_LIMIT {
        return Err(Error::config(format!("it has {size} bytes; {FILE_LIMIT} are allowed")));
    }
    definition::read(&std::fs::read_to_string(path).map_err(unreadable)?, syntax)
}

async fn define(discovery: &Discovery, registration: &Registration) -> anyhow::Result<Definition> {
    let begun = Instant::now();
    let defined = discovery.define(registration).await;
    defined.map_err(|error| explain(error, &discovery.registry().describe(), begun.elapsed()))
}

/// Sends it, and says its id.
async fn send(registry: &Arc<dyn Registry>, definition: &Definition, shell: &Shell) -> anyhow::Result<()> {
    let id = &definition.id;
    ask(registry, registry.register(definition)).await.with_context(|| id.to_string())?;
    output::print(&format!("{id}\n"))?;
    for check in definition.checks.iter().filter(|check| check.check.is_ttl()) {
        let url = format!("/v1/agent/check/pass/{}", check.id);
        shell.hint(&format!("{id}: it is critical until the service reports, by PUT {url}"));
    }
    Ok(())
}

/// Whether the id belongs to another instance that is not known to be dead.
fn is_alive_elsewhere(ours: &Definition, held: &Registered) -> bool {
    let same_place = (&*held.address, held.port) == (ours.address.as_str(), ours.port);
    !same_place && held.status() != Status::Critical
}

pub(crate) async fn deregister(args: DeregisterArgs, shell: &Shell) -> anyhow::Result<Exit> {
    let discovery = args.registry.discovery(Config::default())?;
    let registry = discovery.registry();
    let ids = [args.id];
    let held = ask(&registry, registry.registered(&ids)).await?;
    let [id] = &ids;
    let Some(held) = held.first() else {
        shell.hint(&super::held_by_another(id, &registry));
        return Ok(Exit::No);
    };
    dependants::warn(&discovery, &ServiceName::new(&*held.name)?, id, shell).await;
    ask(&registry, registry.deregister(id)).await?;
    Ok(Exit::Fine)
}
