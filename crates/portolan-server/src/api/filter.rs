//! `?filter=`: the expression of a call, over the rows that its endpoint answers with.
//!
//! In:  a call, and rows. Out: those that fit; or Consul's 500 with the words of what is wrong, before anything is waited for.
//!
//! The library has the language (`portolan::expr`); what is here says which fields a path has, and how a row tells them
//! ([`rows`]). Whatever a blocking read answers with is [`Filtered`], so that a new one cannot forget it.
//!
//! Never: copies a row; keeps a filtered body, which hardly anybody would ask for again.
//!
//! Rules from Consul 1.21: agent/consul/catalog_endpoint.go, health_endpoint.go, agent/agent_endpoint.go (`CreateFilter`).
//! Proof: `tests/filters`, against a real Consul.

use std::sync::Arc;

use portolan::expr::{Expression, Matcher, Shape};

use super::{call::Call, reply::Refusal};
use crate::state::{
    AgentCheck, Entry,
    rows::{CheckRow, NodeRow, ServiceRow},
};

mod rows;

use rows::{Check, Flat, Member, Node, Service, Whole};

/// What each path can be filtered by. A path that is not here takes no filter, as in Consul.
const SHAPES: &[(&str, Shape)] = &[
    ("/v1/agent/members", Shape::Members),
    ("/v1/agent/services", Shape::AgentServices),
    ("/v1/catalog/node-services/", Shape::NodeServices),
    ("/v1/catalog/node/", Shape::NodeServices),
    ("/v1/catalog/nodes", Shape::Nodes),
    ("/v1/catalog/service/", Shape::CatalogServices),
    ("/v1/catalog/services", Shape::CatalogServices),
    ("/v1/health/checks/", Shape::Checks),
    ("/v1/health/node/", Shape::Checks),
    ("/v1/health/service/", Shape::Entries),
    ("/v1/health/state/", Shape::Checks),
];

/// What a call asks of the rows that it gets.
pub(super) struct Filter {
    asked: Option<(Matcher, Shape)>,
}

fn unreadable(words: &str) -> Refusal {
    Refusal::internal(format!("Failed to create boolean expression evaluator: {words}"))
}

impl Filter {
    /// # Errors
    /// A refusal in Consul's words, where the expression cannot be read or does not fit the path's fields.
    pub(super) fn of(call: &Call) -> Result<Self, Refusal> {
        let Some(text) = call.param("filter").filter(|text| !text.is_empty()) else {
            return Ok(Self { asked: None });
        };
        let Some((_, shape)) = SHAPES.iter().find(|(path, _)| call.path.starts_with(path)) else {
            return Ok(Self { asked: None });
        };
        let matcher = text.parse::<Expression>().and_then(|expression| expression.over(*shape));
        Ok(Self { asked: Some((matcher.map_err(|error| unreadable(error.words()))?, *shape)) })
    }

    /// Whether every row fits.
    pub(super) fn is_none(&self) -> bool {
        self.asked.is_none()
    }

    /// Leaves out what does not fit.
    pub(super) fn leave_fitting(&self, found: &mut impl Filtered, datacenter: &str) {
        if let Some((matcher, shape)) = &self.asked {
            found.leave_fitting(matcher, *shape, datacenter);
        }
    }
}

/// What can be answered in part.
pub(super) trait Filtered {
    fn leave_fitting(&mut self, matcher: &Matcher, shape: Shape, datacenter: &str);
}

impl Filtered for Vec<Entry> {
    fn leave_fitting(&mut self, matcher: &Matcher, shape: Shape, datacenter: &str) {
        self.retain(|entry| match shape {
            Shape::CatalogServices => {
                matcher.fits(&Flat { node: &entry.node.spec, service: &entry.service.spec, datacenter })
            }
            _ => matcher.fits(&Whole { entry, datacenter }),
        });
    }
}

impl Filtered for Vec<Arc<CheckRow>> {
    fn leave_fitting(&mut self, matcher: &Matcher, _: Shape, _: &str) {
        self.retain(|row| matcher.fits(&Check { row, output: &row.facts.output }));
    }
}

impl Filtered for Vec<Arc<NodeRow>> {
    fn leave_fitting(&mut self, matcher: &Matcher, _: Shape, datacenter: &str) {
        self.retain(|row| matcher.fits(&Node { spec: &row.spec, datacenter }));
    }
}

/// Instances without their checks: of a service those tags are told that its fitting instances have.
impl Filtered for Vec<(Arc<NodeRow>, Arc<ServiceRow>)> {
    fn leave_fitting(&mut self, matcher: &Matcher, _: Shape, datacenter: &str) {
        self.retain(|(node, row)| matcher.fits(&Flat { node: &node.spec, service: &row.spec, datacenter }));
    }
}

/// A node with its instances: the node stays.
impl Filtered for Option<(Arc<NodeRow>, Vec<Arc<ServiceRow>>)> {
    fn leave_fitting(&mut self, matcher: &Matcher, shape: Shape, datacenter: &str) {
        if let Some((_, services)) = self {
            services.leave_fitting(matcher, shape, datacenter);
        }
    }
}

impl Filtered for Vec<Arc<ServiceRow>> {
    fn leave_fitting(&mut self, matcher: &Matcher, _: Shape, _: &str) {
        self.retain(|row| matcher.fits(&Service { spec: &row.spec }));
    }
}

/// The agent's own instances that fit.
pub(super) fn services(call: &Call, mut rows: Vec<Arc<ServiceRow>>) -> Result<Vec<Arc<ServiceRow>>, Refusal> {
    Filter::of(call)?.leave_fitting(&mut rows, "");
    Ok(rows)
}

/// The agent's members that fit.
pub(super) fn members(
    call: &Call,
    members: Vec<serde_json::Value>,
) -> Result<Vec<serde_json::Value>, Refusal> {
    let Some((matcher, _)) = Filter::of(call)?.asked else { return Ok(members) };
    Ok(members.into_iter().filter(|one| matcher.fits(&Member(one))).collect())
}

/// The agent's own checks that fit. Consul looks at the fields only when there is a check to look at
/// (agent/agent_endpoint.go `AgentChecks` makes its filter without a type).
pub(super) fn checks(call: &Call, mut checks: Vec<AgentCheck>) -> Result<Vec<AgentCheck>, Refusal> {
    let Some(text) = call.param("filter").filter(|text| !text.is_empty()) else { return Ok(checks) };
    let expression = text.parse::<Expression>().map_err(|error| unreadable(error.words()))?;
    if !checks.is_empty() {
        let matcher = expression.over(Shape::Checks).map_err(|error| Refusal::internal(error.words()))?;
        checks.retain(|check| matcher.fits(&Check { row: &check.row, output: &check.output }));
    }
    Ok(checks)
}
