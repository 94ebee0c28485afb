//! `/v1/agent/health/service/…`: the health of the agent's own instances as a status code, for load balancers.
//!
//! In:  a name or an id. Out: 200 passing, 429 warning, 503 critical or in maintenance, 404 unknown.
//!
//! Rules from Consul: agent/agent_endpoint.go `AgentHealthServiceByID`, `AgentHealthServiceByName`.
//! Never: counts the node's `serfHealth`, which the agent does not run.

use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use portolan::CheckState;
use serde::Serialize;

use super::{
    call::Call,
    reply::{Outcome, Refusal, value},
};
use crate::{
    acl::{Access, Resource},
    core::Core,
    encode::{AgentServiceJson, HealthCheckJson},
    state::{
        AgentCheck, CheckScope,
        rows::{Health, ServiceRow},
    },
};

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct InfoJson<'a> {
    aggregated_status: &'static str,
    service: Option<AgentServiceJson<'a>>,
    checks: Option<Vec<HealthCheckJson<'a>>>,
}

/// From well to worst.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Sum {
    Of(Health),
    Maintenance,
}

impl Sum {
    fn of(checks: &[AgentCheck]) -> Self {
        let each = checks.iter().map(|check| {
            // Told by the id, as Consul does: one that was registered with its instance is a TTL check.
            let facts = &check.row.facts;
            if CheckState::is_maintenance(&facts.id) { Self::Maintenance } else { Self::Of(facts.status) }
        });
        each.max().unwrap_or(Self::Of(Health::Passing))
    }

    fn word(self) -> &'static str {
        match self {
            Self::Of(health) => health.as_str(),
            Self::Maintenance => "maintenance",
        }
    }

    fn code(self) -> StatusCode {
        match self {
            Self::Of(Health::Passing) => StatusCode::OK,
            Self::Of(Health::Warning) => StatusCode::TOO_MANY_REQUESTS,
            Self::Of(Health::Critical) | Self::Maintenance => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

fn info<'a>(row: &'a ServiceRow, checks: &'a [AgentCheck], datacenter: &'a str) -> InfoJson<'a> {
    InfoJson {
        aggregated_status: Sum::of(checks).word(),
        service: Some(AgentServiceJson::new(&row.spec, datacenter)),
        checks: Some(checks.iter().map(HealthCheckJson::new).collect()),
    }
}

pub(super) fn by_id(core: &Core, call: &Call) -> Outcome {
    let id = call.name("Missing serviceID").map_err(Refusal::by_server)?;
    let rights = call.rights(core)?;
    let found = core.look(|state| {
        Some((state.agent_service(id)?, state.checks_of_agent_service(id, CheckScope::WithNode)))
    });
    let Some((row, checks)) = found else {
        let reason = format!("ServiceId {id} not found");
        let nothing = InfoJson { aggregated_status: "critical", service: None, checks: None };
        return answer(call, StatusCode::NOT_FOUND, &reason, &nothing);
    };
    rights.require(Resource::Service, &row.spec.name, Access::Read)?;
    let sum = Sum::of(&checks);
    answer(call, sum.code(), sum.word(), &info(&row, &checks, &core.config.datacenter))
}

pub(super) fn by_name(core: &Core, call: &Call) -> Outcome {
    let name = call.name("Missing service Name").map_err(Refusal::by_server)?;
    call.rights(core)?.require(Resource::Service, name, Access::Read)?;
    let found: Vec<_> = core.look(|state| {
        let named = state.agent_services().into_iter().filter(|row| *row.spec.name == *name);
        named
            .map(|row| {
                let checks = state.checks_of_agent_service(&row.spec.id, CheckScope::WithNode);
                (row, checks)
            })
            .collect()
    });
    let infos: Vec<_> =
        found.iter().map(|(row, checks)| info(row, checks, &core.config.datacenter)).collect();
    match found.iter().map(|(_, checks)| Sum::of(checks)).max() {
        Some(worst) => answer(call, worst.code(), worst.word(), &infos),
        None => answer(call, StatusCode::NOT_FOUND, &format!("ServiceName {name} Not Found"), &infos),
    }
}

fn answer(call: &Call, code: StatusCode, reason: &str, shown: &impl Serialize) -> Outcome {
    let mut response = if call.wants_text || call.param("format") == Some("text") {
        let mut response: Response = Refusal::new(code, reason).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        response
    } else {
        value(shown, call.layout())?
    };
    *response.status_mut() = code;
    if let Ok(reason) = HeaderValue::from_str(reason) {
        response.headers_mut().insert("x-consul-reason", reason);
    }
    Ok(response)
}
