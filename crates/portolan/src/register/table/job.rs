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
        step::{Input, Reason},
    },
    registry::{Definition, Registered, Report},
};

/// A call to be made.
#[derive(Debug)]
pub(crate) enum Job {
    /// Ask what the agent holds of these ids; each with its machine's epoch.
    Sweep(Vec<(ServiceId, u64)>),
    Send(Box<Definition>, Reason),
    Verify(Arc<Definition>),
    Remove(Arc<Definition>),
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
    Swept(Vec<(ServiceId, u64)>, Result<Vec<Registered>, Error>),
    Called(ServiceId, Input),
    Reported { id: ServiceId, check: CheckId, outcome: Result<(), Error> },
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
