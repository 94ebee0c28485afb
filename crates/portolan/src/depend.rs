//! Who needs whom: declared dependencies, the graph of them, and whether all that a service needs is there.
//!
//! In:  declarations, which travel in the meta of instances, and what the registry says of those they name. Out: a
//! [`Graph`] of all services.
//!
//! Never: stops at a declaration that cannot be read.

mod declare;
mod graph;
mod need;

pub(crate) use declare::fit;
pub use declare::{Declared, NEEDS_KEY, UnreadableNeed, decode, encode};
pub use graph::{Conflict, Edge, Graph, Known, Lack, Node, ServiceAt, Side, Unmet, UnreadableEdge};
pub use need::{Importance, Lasts, Need, Needs};

/// How many services are looked at. Declarations are other people's: without a bound, one could have us ask for any
/// number.
pub(crate) const MOST_SERVICES: usize = 10_000;
