//! Nodes without an agent, written into the catalogue through the guard.
//!
//! In:  an [`ExternalNode`], or the name of one. Out: a catalogue that holds it, or does not.
//!
//! Never: keeps what it wrote: nobody but the caller says how such a thing is.
//!
//! Proof: `tests/contract/external.rs`.

use super::Discovery;
use crate::{
    error::{Error, Kind},
    model::NodeName,
    register::{ExternalNode, external},
};

impl Discovery {
    /// Puts a node without an agent, with its services and the health you say they have, into the catalogue of the agent's
    /// datacentre; or changes what was put there, so that the catalogue holds just what is given. Whether it does is looked
    /// at before this returns. What is held already is not sent again.
    ///
    /// Unlike [`register`](Self::register) it is done once: nothing keeps it, runs its checks or takes it out. One writer a
    /// node: another one's services are removed. A check that Consul-ESM or an operator put on the node stays.
    ///
    /// # Errors
    /// [`Kind::Config`], naming the field that is wrong; nothing was sent then. [`Kind::Conflict`] when the node has an
    /// agent, which would delete what is written there, or was not written as an external node; or when the catalogue
    /// shows something else afterwards. [`Kind::Rejected`] when the registry keeps no such nodes. Otherwise what a call
    /// to the registry can fail with: some of it may have been written, and the same call again is safe.
    ///
    /// # Cancel safety
    /// Dropped, some of it may have been written; the same call again is safe.
    pub async fn put_external(&self, node: &ExternalNode) -> Result<(), Error> {
        node.validate()?;
        self.open_for_external()?;
        external::put(&self.inner.guard, node).await
    }

    /// Takes an external node out of the catalogue, with all that is on it, and looks whether it is gone. One that is not
    /// there is fine.
    ///
    /// # Errors
    /// As for [`put_external`](Self::put_external).
    ///
    /// # Cancel safety
    /// Dropped, it may have been taken out; the same call again is safe.
    pub async fn remove_external(&self, name: &str) -> Result<(), Error> {
        let name = NodeName::new(name)?;
        self.open_for_external()?;
        external::remove(&self.inner.guard, &name).await
    }

    fn open_for_external(&self) -> Result<(), Error> {
        self.inner.config.check()?;
        if self.inner.tasks.is_closed() {
            return Err(Error::new(Kind::Closed, "external node: the discovery is closed; make a new one"));
        }
        Ok(())
    }
}
