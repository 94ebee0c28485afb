//! `/v1/portolan/…` and `/metrics`: what Consul has not: backups, faults on purpose, and figures for Prometheus.
//!
//! In:  calls. Out: a backup as it is made; a registry that holds what a backup holds; the plan of faults, shown or changed.
//!
//! Never: takes a backup on before all of it was found right; shows or changes faults unless that was asked for at the start.
//!
//! Proof: `portolan-cli`, `tests/backup.rs`; `tests/faults/endpoint.rs`.

use std::sync::Arc;

use axum::{body::Body, response::Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use tokio::task::spawn_blocking;

use super::{
    Later,
    call::Call,
    reply::{Outcome, Refusal, value},
};
use crate::{
    acl::{Access, Resource},
    backup::{Checker, NotRestored, Writing, decoded, opened},
    core::Core,
    faults::{Faults, Plan},
    telemetry,
};

/// What was restored.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RestoredJson {
    rows: u64,
    /// Where the indexes are now, at least.
    index: u64,
}

/// `GET /metrics`: the right is that of Consul's `/v1/agent/metrics`.
pub(super) fn metrics(core: &Core, call: &Call) -> Outcome {
    call.rights(core)?.require(Resource::Agent, &core.config.node, Access::Read)?;
    let mut response = Response::new(Body::from(telemetry::prometheus(&telemetry::gather(core))));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(telemetry::KIND));
    Ok(response)
}

/// Whoever reads a backup sees all there is, and whoever restores one puts in what he likes, tokens too. So it takes the right
/// to write those, as a snapshot does in Consul (acl/policy_authorizer.go `Snapshot`).
pub(super) fn may_see_and_replace_all(core: &Core, call: &Call) -> Result<(), Refusal> {
    call.rights(core)?.require(Resource::Acl, "", Access::Write)
}

/// `GET /v1/portolan/backup`.
pub(super) fn backup(core: &Core, call: &Call) -> Outcome {
    may_see_and_replace_all(core, call)?;
    Ok(bytes(Body::new(core.look(Writing::of))))
}

/// An answer that is no text.
pub(super) fn bytes(body: Body) -> Response {
    let mut response = Response::new(body);
    let kind = HeaderValue::from_static("application/octet-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// `PUT /v1/portolan/restore`.
pub(super) fn restore(core: Arc<Core>, call: Call) -> Later {
    Box::pin(async move {
        may_see_and_replace_all(&core, &call)?;
        value(&taken_on(&core, &call).await?, call.layout())
    })
}

/// Puts the backup in the body of a call, plain or as an archive, in the place of what is there.
///
/// # Cancel safety
/// As of [`Core::restore`]: never half.
pub(super) async fn taken_on(core: &Core, call: &Call) -> Outcome<RestoredJson> {
    let body = call.body.clone();
    // Elsewhere: a large archive takes its time, and others are answered meanwhile.
    let read = spawn_blocking(move || {
        let mut checker = Checker::keeping();
        checker.push(&opened(&body)?)?;
        let (summary, rows) = checker.into_rows()?;
        let rows = decoded(rows, summary.index).map_err(NotRestored::Wrong)?;
        Ok::<_, NotRestored>((summary, rows))
    });
    let read = read.await.map_err(|why| Refusal::internal(format!("the backup could not be read: {why}")))?;
    let (summary, rows) = read?;
    core.restore(rows, summary.index).await?;
    let index = core.look(|state| state.last_index());
    tracing::info!(rows = summary.rows, index, "a backup was restored");
    Ok(RestoredJson { rows: summary.rows, index })
}

impl From<NotRestored> for Refusal {
    fn from(why: NotRestored) -> Self {
        match why {
            NotRestored::Wrong(what) => Self::bad(what),
            NotRestored::NotKept(why) => why.into(),
        }
    }
}

/// The faults that may be changed by whoever can connect.
fn faults<'a>(core: &'a Core, call: &Call) -> Result<&'a Faults, Refusal> {
    call.rights(core)?.require(Resource::Operator, "", Access::Write)?;
    let faults = core.config.faults.as_ref().filter(|_| core.config.faults_endpoint);
    faults.ok_or_else(|| {
        let off = "faults cannot be changed over HTTP here; start the registry with --faults-endpoint";
        Refusal::new(StatusCode::FORBIDDEN, off)
    })
}

fn shown(faults: &Faults) -> Response {
    let text = format!("{}# {} requests were hit so far\n", faults.plan(), faults.injected());
    let mut response = Response::new(Body::from(text));
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}

/// `GET /v1/portolan/faults`.
pub(super) fn show_faults(core: &Core, call: &Call) -> Outcome {
    Ok(shown(faults(core, call)?))
}

/// `PUT /v1/portolan/faults`: the body is a plan, as in a file.
pub(super) fn set_faults(core: &Core, call: &Call) -> Outcome {
    let faults = faults(core, call)?;
    let text = std::str::from_utf8(&call.body).map_err(|_cause| Refusal::bad("faults: this is no text"))?;
    let plan = Plan::parse(text).map_err(|error| Refusal::bad(error.to_string()))?;
    tracing::warn!(rules = plan.rules().len(), "faults were asked for: answers are wrong on purpose");
    faults.set(plan);
    Ok(shown(faults))
}

/// `DELETE /v1/portolan/faults`.
pub(super) fn clear_faults(core: &Core, call: &Call) -> Outcome {
    let faults = faults(core, call)?;
    faults.clear();
    Ok(shown(faults))
}
