//! `portolan maint on|off`: an instance, or the agent's whole node, out of service for a while.
//!
//! In:  an id, or `--node`. Out: one call to the agent. Callers stop choosing what is in maintenance; its process and its
//! checks go on.

use std::sync::Arc;

use clap::{Args as ClapArgs, ValueEnum};
use portolan::{Config, Kind, Registry, ServiceId, ServiceName};

use super::{ask, dependants};
use crate::{
    config::{RegistryArgs, Shell},
    exit::Exit,
};

const EXAMPLES: &str = "\
Examples:
  portolan maint on web-1 --reason \"disk is replaced\"
  portolan maint off web-1
  portolan maint on --node

It speaks to the agent that holds the instance. It ends with 1 when the agent holds no such id.";

#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// `on`: out of service. `off`: back in.
    #[arg(value_enum, value_name = "on|off", hide_possible_values = true)]
    state: State,
    /// The id on the agent, as `register` printed it.
    #[arg(required_unless_present = "node", conflicts_with = "node")]
    id: Option<ServiceId>,
    /// All instances on the agent's node.
    #[arg(long)]
    node: bool,
    /// Why, for whoever looks. The agent keeps the first one until `off`.
    #[arg(long, value_name = "TEXT", default_value_t, hide_default_value = true)]
    reason: String,
    #[command(flatten)]
    registry: RegistryArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum State {
    On,
    Off,
}

pub(crate) async fn run(args: Args, shell: &Shell) -> anyhow::Result<Exit> {
    let client = args.registry.client()?;
    let registry: Arc<dyn Registry> = Arc::new(client.clone());
    let reason = (args.state == State::On).then_some(args.reason.as_str());
    let Some(id) = &args.id else {
        ask(&registry, client.node_maintenance(reason)).await?;
        return Ok(Exit::Fine);
    };
    let ids = std::slice::from_ref(id);
    let held = ask(&registry, registry.registered(ids)).await?;
    let Some(held) = held.first() else {
        shell.hint(&super::held_by_another(id, &registry));
        return Ok(Exit::No);
    };
    if args.state == State::On {
        let discovery = args.registry.discovery(Config::default())?;
        dependants::warn(&discovery, &ServiceName::new(&*held.name)?, id, shell).await;
    }
    match registry.maintenance(id, reason).await {
        // It left between two questions.
        Err(gone) if gone.kind() == Kind::NotFound => {
            shell.hint(&super::held_by_another(id, &registry));
            Ok(Exit::No)
        }
        done => ask(&registry, async { done }).await.map(|()| Exit::Fine),
    }
}
