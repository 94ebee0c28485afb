//! The calls that the table asks for, and how they ended: words only.
//!
//! Proof: `register/keeper/tests.rs`.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

use crate::{
    error::Error,
    model::{CheckId, ServiceId, ServiceName},
    register::{
        RegistrationState,
        step::{Input, Look, Reason},
    },
    registry::{Definition, Registered, Report},
};

/// The name of an agent's node.
pub(crate) type Node = Arc<str>;

/// A call to be made.
#[derive(Debug)]
pub(crate) enum Job {
    /// Ask what the agent holds of these ids, each with its machine's epoch; and who it is: if some are not there, or
    /// if `who`.
    Sweep {
        asked: Vec<(ServiceId, u64)>,
        who: bool,
    },
    /// Wait until the agent goes away, or what it holds of this id changes.
    Tether(ServiceId),
    Send(Box<Definition>, Reason),
    Look(Arc<Definition>),
    /// Look whether it lives on the agent of this node. Another one answers, of the second node.
    Search(Arc<Definition>, Node, Node),
    Announce(ServiceId),
    Maintain(ServiceId),
    Remove(Arc<Definition>),
    /// Remove the instance that was here before this one, and is dead.
    Evict(ServiceId),
    Report {
        id: ServiceId,
        service: ServiceName,
        report: Report,
        within: Duration,
    },
}

/// How a call ended.
#[derive(Debug)]
pub(crate) enum Done {
    Swept {
        asked: Vec<(ServiceId, u64)>,
        outcome: Result<Vec<Registered>, Error>,
        /// Who the agent is; `None` when that was not asked.
        who: Option<Result<Node, Error>>,
    },
    Untied(Result<(), Error>),
    Called(ServiceId, Input),
    /// What the catalogue shows of it, and which instances were here before it.
    Looked(ServiceId, Look, Vec<ServiceId>),
    Evicted,
    Reported {
        id: ServiceId,
        check: CheckId,
        outcome: Result<(), Error>,
    },
}

/// Whether an id was free.
#[derive(Debug)]
pub(crate) enum Insert {
    /// It is ours, under this number.
    Done(u64, watch::Receiver<RegistrationState>),
    /// The one that holds it is being removed.
    Leaving(watch::Receiver<RegistrationState>),
    /// A handle in this process holds it.
    Held,
}
