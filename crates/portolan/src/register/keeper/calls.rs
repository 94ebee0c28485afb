//! The calls that the table asks for, each with a deadline.
//!
//! In:  a job. Out: how it ended.
//!
//! Never: decides what follows; removes an instance that somebody else has put under the id.
//!
//! Proof: `keeper/tests.rs`.

use std::{future::Future, sync::Arc, time::Duration};

use tokio::time::{Instant, timeout};

use crate::{
    error::{Error, Kind},
    guard::Guard,
    model::{CheckScope, Instance, ServiceId, Status},
    register::{
        define, is_this,
        step::{DRAINING, Input, Look},
        table::{Done, Job, Node},
    },
    registry::{Definition, Registered, Registry as _, Report, ServiceQuery},
    telemetry,
};

/// How long the tether waits. Consul's longest is 10 min; what lies between may allow less.
const TETHER: Duration = Duration::from_secs(300);

pub(super) async fn perform(registry: &Guard, job: Job, limit: Duration) -> Done {
    match job {
        Job::Sweep { asked, who } => sweep(registry, asked, who, limit).await,
        Job::Tether(id) => Done::Untied(registry.tether(&id, TETHER).await),
        Job::Send(definition, reason) => {
            let outcome = within(limit, registry.register(&definition)).await;
            if outcome.is_ok() {
                let (service, reason) = (definition.name.to_string(), reason.label());
                metrics::counter!(telemetry::REGISTRATIONS, "service" => service, "reason" => reason)
                    .increment(1);
            }
            let input = match outcome {
                Ok(()) => Input::Sent,
                Err(error) => Input::SendFailed(error.kind(), error.chain()),
            };
            Done::Called(definition.id, input)
        }
        Job::Look(definition) => look(registry, &definition, limit).await,
        Job::Search(definition, home, agent) => {
            Done::Called(definition.id.clone(), search(registry, &definition, &home, &agent, limit).await)
        }
        Job::Announce(id) => {
            let done = within(limit, registry.maintenance(&id, None)).await.is_ok();
            Done::Called(id, Input::Announced(done))
        }
        Job::Maintain(id) => {
            let done = within(limit, registry.maintenance(&id, Some(DRAINING))).await;
            Done::Called(id, Input::Maintained(done.map_err(|error| error.kind())))
        }
        Job::Remove(definition) => {
            let input = match remove(registry, &definition, limit).await {
                Ok(()) => Input::Removed,
                Err(error) => Input::RemoveFailed(error.kind(), error.chain()),
            };
            Done::Called(definition.id.clone(), input)
        }
        Job::Evict(id) => {
            match within(limit, registry.deregister(&id)).await {
                Ok(()) => tracing::info!(%id, "removed an instance whose process is dead: ours has its port"),
                Err(error) => tracing::warn!(
                    %id,
                    error = error.chain(),
                    "an instance whose process is dead could not be removed; deregister it by hand, or wait for its \
                     deregister-after"
                ),
            }
            Done::Evicted
        }
        Job::Report { id, service, report, within: limit } => {
            let outcome = tell(registry, service.as_str(), &report, limit).await;
            Done::Reported { id, check: report.check, outcome }
        }
    }
}

async fn within<T>(limit: Duration, call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    match timeout(limit, call).await {
        Ok(outcome) => outcome,
        Err(late) => {
            let limit = crate::format_duration(limit);
            Err(Error::new(Kind::Timeout, format!("the agent did not answer in {limit}")).caused_by(late))
        }
    }
}

async fn sweep(registry: &Guard, asked: Vec<(ServiceId, u64)>, who: bool, limit: Duration) -> Done {
    let ids: Vec<ServiceId> = asked.iter().map(|(id, _)| id.clone()).collect();
    let outcome = within(limit, registry.registered(&ids)).await;
    // One that is not there may be on another agent.
    let missing = outcome.as_ref().is_ok_and(|held| held.len() < ids.len());
    let named = outcome.is_ok() && (who || missing);
    let who = if named { Some(within(limit, registry.agent()).await.map(|agent| agent.node)) } else { None };
    Done::Swept { asked, outcome, who }
}

async fn catalogue(
    registry: &Guard,
    definition: &Definition,
    limit: Duration,
) -> Result<Vec<Arc<Instance>>, Error> {
    let query = ServiceQuery::new(definition.name.clone());
    within(limit, registry.service(&query)).await.map(|answer| answer.value)
}

async fn look(registry: &Guard, definition: &Definition, limit: Duration) -> Done {
    let id = definition.id.clone();
    let all = match catalogue(registry, definition, limit).await {
        Ok(all) => all,
        Err(error) => return Done::Looked(id, Look::Failed(error.kind()), Vec::new()),
    };
    let Some(ours) = all.iter().find(|one| is_this(definition, one)) else {
        return Done::Looked(id, Look::Absent, Vec::new());
    };
    let look = if usable(ours) { Look::Usable } else { Look::Unusable };
    Done::Looked(id, look, define::predecessors(ours, &all))
}

/// Whether a caller may choose it, of those that allow a warning too.
fn usable(one: &Instance) -> bool {
    matches!(one.status, Status::Passing | Status::Warning)
}

/// Whether its node has not failed. Of one that has, an instance is no more than remembered.
fn on_a_live_node(one: &Instance) -> bool {
    !one.checks.iter().any(|check| check.scope == CheckScope::Node && check.status == Status::Critical)
}

/// Whether the instance lives on the agent that it was sent to, while another one answers. Without a `home` nobody knows
/// which that was.
async fn search(
    registry: &Guard,
    definition: &Definition,
    home: &Node,
    agent: &Node,
    limit: Duration,
) -> Input {
    let all = match catalogue(registry, definition, limit).await {
        Ok(all) => all,
        Err(error) => {
            let other = if home.is_empty() { "another node" } else { home };
            return Input::SearchFailed(format!(
                "the agent of node {agent:?} answers now, and nobody says whether it lives on {other}: {}",
                error.chain()
            ));
        }
    };
    let id = definition.id.as_str();
    let is_home = |one: &Instance| {
        let named = one.identity.node == *home;
        named || home.is_empty() && one.identity.node != *agent && is_this(definition, one)
    };
    let there = all.iter().find(|one| *one.identity.id == *id && is_home(one));
    match there.filter(|one| on_a_live_node(one)) {
        Some(one) => Input::LivesThere(format!(
            "agent: node {agent:?} answers now, and {id:?} lives on node {:?}; is a load balancer before the agents? \
             Give the address of one agent",
            &*one.identity.node
        )),
        None if home.is_empty() => Input::LivesNowhere("the agent does not have it any more".to_owned()),
        None => Input::LivesNowhere(format!(
            "the agent of node {agent:?} answers in place of {home:?}, which is gone"
        )),
    }
}

async fn tell(registry: &Guard, service: &str, report: &Report, limit: Duration) -> Result<(), Error> {
    let began = Instant::now();
    let outcome = within(limit, registry.report(report)).await;
    let label = outcome.as_ref().map_or_else(|error| telemetry::kind_label(error.kind()), |()| "ok");
    let service = service.to_owned();
    metrics::histogram!(telemetry::REPORT_SECONDS, "service" => service.clone()).record(began.elapsed());
    metrics::counter!(telemetry::REPORTS, "service" => service, "outcome" => label).increment(1);
    outcome
}

/// Removes an instance and looks whether it is gone. One that somebody else has put under the id stays.
async fn remove(registry: &Guard, definition: &Definition, limit: Duration) -> Result<(), Error> {
    let ids = [definition.id.clone()];
    let ours = |held: &Registered| *held.address == *definition.address && held.port == definition.port;
    // Not without having looked: a successor under the same id would go in place of us.
    if !within(limit, registry.registered(&ids)).await?.iter().any(ours) {
        return Ok(());
    }
    match within(limit, registry.deregister(&definition.id)).await {
        Err(error) if error.kind() != Kind::NotFound => return Err(error),
        _ => {}
    }
    if within(limit, registry.registered(&ids)).await?.iter().any(ours) {
        return Err(Error::new(Kind::Unavailable, "the agent said yes and still holds it"));
    }
    Ok(())
}
