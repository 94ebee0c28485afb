//! Things without an agent, in the catalogue: what a user says of them, and how it gets there.
//!
//! In:  an [`ExternalNode`]. Out: the writes that make the catalogue hold just that, and a look whether it does.
//!
//! ```text
//! what is held -- plan --> refused, or writes -- sent --> what is held now -- plan --> nothing left to write
//! ```
//!
//! `spec` has what a user writes, `plan` decides; both are pure. Here is the I/O.
//!
//! Never: writes onto a node that has an agent, or that somebody else put there; writes again what is held already.
//!
//! Rules from Consul: agent/consul/catalog_endpoint.go; an agent deletes from the catalogue what is on its node and not
//! its own (agent/local/state.go, hashicorp/consul#7513, #729, #3703, #1188).
//! Proof: `external/tests.rs`, and `tests/contract/external.rs` on each registry that keeps such nodes.

use std::sync::Arc;

use self::plan::Write;
use crate::{
    error::{Error, Kind},
    guard::Guard,
    model::NodeName,
    registry::{NodePart, Registry as _},
};

mod plan;
mod spec;

pub use spec::{ExternalCheck, ExternalNode, ExternalService};

/// Makes the catalogue hold this node as it is given.
pub(crate) async fn put(registry: &Arc<Guard>, node: &ExternalNode) -> Result<(), Error> {
    let wanted = node.define()?;
    let home = registry.agent().await?.node;
    plan::not_of_the_agent(&wanted.name, &home)?;
    let writes = plan::plan(&wanted, registry.catalog_node(&wanted.name).await?.as_ref())?;
    if writes.is_empty() {
        return Ok(());
    }
    for write in &writes {
        match write {
            Write::Put(part) => registry.catalog_register(part).await?,
            Write::Remove(part) => registry.catalog_deregister(&wanted.name, part).await?,
        }
    }
    let held = registry.catalog_node(&wanted.name).await?;
    match plan::plan(&wanted, held.as_ref())?.first() {
        None => Ok(()),
        Some(left) => {
            let (name, registry) = (&wanted.name, registry.describe());
            let what = format!(
                "external node {name}: {registry} took it, and does not show {left}; see who else writes it, and \
                 whether the token may read the node and its services"
            );
            Err(Error::new(Kind::Conflict, what))
        }
    }
}

/// Takes a node out with all that is on it.
pub(crate) async fn remove(registry: &Arc<Guard>, name: &NodeName) -> Result<(), Error> {
    let home = registry.agent().await?.node;
    plan::not_of_the_agent(name, &home)?;
    let Some(held) = registry.catalog_node(name).await? else { return Ok(()) };
    plan::may_touch(&held)?;
    registry.catalog_deregister(name, &NodePart::Node).await?;
    match registry.catalog_node(name).await? {
        None => Ok(()),
        Some(_) => {
            let what = format!(
                "external node {name}: {} took its removal, and shows it still; see who else writes it",
                registry.describe()
            );
            Err(Error::new(Kind::Conflict, what))
        }
    }
}

#[cfg(test)]
mod tests;
