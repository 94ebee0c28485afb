//! `portolan gc`: instances that are dead, found and, with `--yes`, removed.
//!
//! In:  one read of every service; with `--critical-for` a watch of those that are critical. Out: a line for each dead
//! instance, and with `--yes` its removal: through the agent where it is the agent's own, else from the catalogue.
//!
//! Never: removes anything without `--yes`; takes a registry that did not answer for one that said "critical"; touches
//! what is in maintenance; takes an external node for dead, which has no agent.
//!
//! Rules from Consul: agent/consul/leader.go (`serfHealth` is critical once gossip calls a node failed); a dead node
//! stays for `reconnect_timeout`, 72 h.

use std::{sync::Arc, time::Duration};

use clap::Args as ClapArgs;
use portolan::{
    Config, Instance, Registry, ServiceId, ServiceName,
    registry::{CatalogQuery, CheckOutput, ServiceQuery, consul::Consul},
};
use serde_json::Value;

use super::{ask, signal::Ending};
use crate::{
    config::{RegistryArgs, Shell, duration},
    exit::Exit,
    output,
};

mod find;
mod watch;

use find::{Dead, Way, Why};

const EXAMPLES: &str = "\
Examples:
  portolan gc
  portolan gc --critical-for 10m
  portolan gc web --critical-for 10m --yes

Dead is an instance whose node is dead (its serfHealth is critical), and with --critical-for one that is critical all
that time. Consul does not tell since when it is, so gc watches for so long; Ctrl-C ends it, and nothing is removed.

Ways of removal:
  agent      it is the agent's own: deregistered there, and it stays away
  catalogue  its node is dead: taken out of the catalogue; an agent that comes back brings it back
  put back?  another agent holds it, which lives: taken out of the catalogue, and that agent brings it back with its
             next sync (a minute or two); run gc with --registry at that agent";

#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Only this service. Default: all.
    name: Option<ServiceName>,
    /// Also instances that are critical for so long, from now on.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    critical_for: Option<Duration>,
    /// Remove what was found. Without it, it is only listed.
    #[arg(long)]
    yes: bool,
    /// One JSON array of objects.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    registry: RegistryArgs,
}

pub(crate) async fn run(args: Args, shell: &Shell) -> anyhow::Result<Exit> {
    let mut ending = Ending::listen()?;
    tokio::select! {
        done = collect(&args, shell) => done,
        asked = ending.asked() => {
            asked?;
            shell.hint("interrupted: what is not listed as removed was left alone");
            Ok(Exit::No)
        }
    }
}

async fn collect(args: &Args, shell: &Shell) -> anyhow::Result<Exit> {
    let client = args.registry.client()?;
    let registry: Arc<dyn Registry> = Arc::new(client.clone());
    let here = ask(&registry, registry.agent()).await?.node;
    let known = instances(&registry, args.name.as_ref()).await?;
    let mut dead: Vec<Dead> = known.iter().filter_map(|one| find::on_dead_node(one, &here)).collect();
    let critical: Vec<Arc<Instance>> = known.iter().filter(|one| find::is_critical(one)).cloned().collect();
    match args.critical_for {
        Some(time) if !critical.is_empty() => {
            let count = critical.len();
            let time_text = portolan::format_duration(time);
            shell.hint(&format!(
                "{count} critical now; watching for {time_text}, as Consul does not tell since when"
            ));
            let discovery = args.registry.discovery(Config::default())?;
            let stayed = watch::stay_critical(&discovery, critical, time).await;
            // What is left are watches and their connections; they end with the discovery.
            if let Err(late) = discovery.close(Duration::from_secs(1)).await {
                tracing::debug!(error = late.chain(), "the watch did not end in time");
            }
            dead.extend(stayed?.iter().map(|one| Dead::new(one, Why::CriticalFor(time), &here)));
        }
        None if !critical.is_empty() => {
            let count = critical.len();
            shell
                .hint(&format!("{count} more critical now; --critical-for 10m watches whether they stay so"));
        }
        _ => {}
    }
    dead.sort_by(|one, other| one.instance.identity.cmp(&other.instance.identity));
    if args.json {
        output::print(&format!("{}\n", Value::Array(dead.iter().map(Dead::json).collect())))?;
    } else if !dead.is_empty() {
        output::print(&find::table(&dead, shell.color))?;
    }
    match (dead.is_empty(), args.yes) {
        (true, _) => shell.hint("nothing dead was found"),
        (false, false) => shell.hint("nothing was removed; --yes removes them"),
        (false, true) => remove(&client, &registry, &dead, shell).await?,
    }
    Ok(Exit::Fine)
}

/// Every instance of every service, or of one.
async fn instances(
    registry: &Arc<dyn Registry>,
    only: Option<&ServiceName>,
) -> anyhow::Result<Vec<Arc<Instance>>> {
    let names: Vec<ServiceName> = match only {
        Some(name) => vec![name.clone()],
        None => {
            let query = CatalogQuery::default();
            let all = ask(registry, registry.services(&query)).await?.value;
            all.keys().filter_map(|name| ServiceName::new(name).ok()).collect()
        }
    };
    let mut found = Vec::new();
    for name in names {
        let query = ServiceQuery::new(name).output(CheckOutput::Drop);
        found.extend(ask(registry, registry.service(&query)).await?.value);
    }
    Ok(found)
}

/// Removes each, after a last look: what came back to life since it was listed stays.
async fn remove(
    client: &Consul,
    registry: &Arc<dyn Registry>,
    dead: &[Dead],
    shell: &Shell,
) -> anyhow::Result<()> {
    for one in dead {
        let (id, node) = (&one.instance.identity.id, &one.instance.identity.node);
        let query = ServiceQuery::new(ServiceName::new(&*one.instance.service)?).output(CheckOutput::Drop);
        let now = ask(registry, registry.service(&query)).await?.value;
        let found = now.iter().find(|now| now.identity == one.instance.identity);
        match found {
            None => shell.hint(&format!("{id} on {node}: gone already")),
            Some(now) if !one.is_still_so(now) => {
                shell.hint(&format!("{id} on {node}: alive again, left alone"))
            }
            Some(_) => {
                match one.way {
                    Way::Agent => {
                        let id = ServiceId::new(&**id)?;
                        ask(registry, registry.deregister(&id)).await?;
                    }
                    Way::Catalogue | Way::PutBack => {
                        ask(registry, client.deregister_from_catalog(&one.instance.identity)).await?;
                    }
                }
                shell.hint(&format!("{id} on {node}: removed ({})", one.way.as_str()));
            }
        }
    }
    Ok(())
}
