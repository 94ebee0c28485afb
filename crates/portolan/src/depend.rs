//! Who needs whom: declared dependencies, the graph of them, and whether all that a service needs is there.
//!
//! In:  declarations, which travel in the meta of instances, and what the registry says of those they name. Out: a
//! [`Graph`] of all services, and for one of them a [`Readiness`].
//!
//! Never: stops at a declaration that cannot be read.

mod follow;
mod graph;
mod probe;
mod ready;

pub use crate::model::{
    Declared, Importance, Lasts, NEEDS_KEY, Need, Needs, UnreadableNeed,
    declare::{decode, encode},
};
pub(crate) use follow::{Open, Roots, follow};
pub use graph::{Conflict, Edge, Graph, Known, Lack, Node, ServiceAt, Side, Unmet, UnreadableEdge};
pub use ready::{NeedState, OnLoss, Readiness, ReadyChanges, ReadyConfig, ReadyState, Stage};
pub(crate) use ready::{Subject, keep_ready};

/// How many services are looked at. Declarations are other people's: without a bound, one could have us ask for any
/// number.
pub(crate) const MOST_SERVICES: usize = 10_000;
