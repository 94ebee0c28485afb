//! Between the library's types and the registry's rows. No I/O.
//!
//! In:  rows, or definitions. Out: instances, or rows to be.
//!
//! Never: loses a field that the HTTP interface would tell.

use std::sync::Arc;

use portolan::{
    Check, CheckKind, CheckScope, CheckState, Identity, Instance, ServiceId, Status, Weights,
    registry::{CheckDefinition, CheckOutput, Definition, Registered, RegisteredCheck},
};

use crate::{
    complete,
    state::{
        AgentCheck, Entry, LEAST_DEREGISTER_AFTER,
        rows::{CheckSpec, Health, HttpProbe, Pairs, Probe, ServiceRow, ServiceSpec},
    },
};

/// The library's status of a check; maintenance is told by its kind.
fn status(health: Health, kind: &str) -> Status {
    match health {
        _ if kind == Probe::Maintenance.kind() => Status::Maintenance,
        Health::Passing => Status::Passing,
        Health::Warning => Status::Warning,
        Health::Critical => Status::Critical,
    }
}

/// The registry's status; there is none for maintenance, which is a check of its own.
pub(super) fn health(status: Status) -> Option<Health> {
    match status {
        Status::Passing => Some(Health::Passing),
        Status::Warning => Some(Health::Warning),
        Status::Critical => Some(Health::Critical),
        Status::Maintenance => None,
    }
}

/// An instance with the health of its checks and its node's.
pub(super) fn instance(entry: &Entry, datacenter: &str, output: CheckOutput) -> Instance {
    let (node, spec) = (&entry.node.spec, &entry.service.spec);
    let identity = Identity::new(datacenter, &node.name, &spec.id);
    let address = if spec.address.is_empty() { &node.address } else { &spec.address };
    let checks = entry.checks.iter().map(|check| {
        let facts = &check.facts;
        let scope = if facts.of.is_some() { CheckScope::Service } else { CheckScope::Node };
        let state = CheckState::new(&facts.id, &facts.name, status(facts.status, &facts.kind), scope);
        match output {
            CheckOutput::Keep => state.output(&facts.output),
            CheckOutput::Drop => state,
        }
    });
    let pairs = |pairs: &Pairs| -> Vec<(Arc<str>, Arc<str>)> {
        pairs.iter().map(|(key, value)| (Arc::clone(key), Arc::clone(value))).collect()
    };
    let meta = pairs(&spec.meta);
    let mut instance = Instance::new(identity, &spec.name, address, spec.port)
        .with_tags(spec.tags.iter().map(|tag| &**tag))
        .with_meta(meta.iter().map(|(key, value)| (&**key, &**value)))
        .with_weights(Weights { passing: spec.passing_weight, warning: spec.warning_weight })
        .with_checks(checks.collect());
    let given = spec.locality.as_ref().map(|locality| &locality.zone).filter(|zone| !zone.is_empty());
    if let Some(zone) = given {
        instance.zone = Some(Arc::clone(zone));
    } else if instance.zone.is_none() {
        instance.zone = node.meta.as_ref().and_then(|meta| meta.get("zone")).map(Arc::clone);
    }
    instance
}

/// What the agent holds of one instance.
pub(super) fn registered(id: &ServiceId, row: &ServiceRow, checks: &[AgentCheck]) -> Registered {
    let spec = &row.spec;
    let mut held = Registered::new(id.clone(), &spec.name, &spec.address, spec.port);
    held.tags = spec.tags.iter().map(|tag| tag.to_string()).collect();
    held.meta = spec.meta.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
    held.weights = Weights { passing: spec.passing_weight, warning: spec.warning_weight };
    held.checks = checks
        .iter()
        .map(|check| {
            let facts = &check.row.facts;
            let status = status(facts.status, &facts.kind);
            (facts.id.to_string(), RegisteredCheck::new(status, &facts.kind, &check.output))
        })
        .collect();
    held
}

/// A definition as the state takes it, not completed yet.
pub(super) fn definition(given: &Definition) -> Result<(ServiceSpec, Vec<CheckSpec>), String> {
    let mut spec = ServiceSpec::new(given.name.as_str(), given.id.as_str());
    spec.address = given.address.as_str().into();
    spec.port = given.port;
    spec.tags = given.tags.iter().map(|tag| tag.as_str().into()).collect();
    spec.meta = given.meta.iter().map(|(key, value)| (key.as_str().into(), value.as_str().into())).collect();
    (spec.passing_weight, spec.warning_weight) = (given.weights.passing, given.weights.warning);
    let checks = given.checks.iter().map(check).collect::<Result<Vec<_>, _>>()?;
    Ok((spec, checks))
}

fn check(given: &CheckDefinition) -> Result<CheckSpec, String> {
    let id = given.id.as_str();
    given.check.validate(&format!("check {id}")).map_err(|wrong| wrong.to_string())?;
    let mut spec = CheckSpec::new(id, &given.name, probe(&given.check)?);
    spec.initial = given.check.initial.and_then(health);
    spec.success_before_passing = given.check.success_before_passing.into();
    spec.failures_before_warning = given.check.failures_before_warning.into();
    spec.failures_before_critical = given.check.failures_before_critical.into();
    spec.deregister_after = given.check.deregister_after.map(|after| after.max(LEAST_DEREGISTER_AFTER));
    Ok(spec)
}

fn probe(check: &Check) -> Result<Probe, String> {
    match &check.kind {
        CheckKind::Http { target, method, headers, body, .. } => {
            complete::http_target(target)?;
            let values = |values: &Vec<String>| values.iter().map(|value| value.as_str().into()).collect();
            let request = HttpProbe {
                url: target.as_str().into(),
                method: method.as_deref().unwrap_or("GET").into(),
                headers: headers.iter().map(|(name, all)| (name.as_str().into(), values(all))).collect(),
                body: body.as_str().into(),
            };
            Ok(Probe::Http {
                request: Arc::new(request),
                interval: check.interval,
                timeout: Some(check.timeout),
            })
        }
        CheckKind::Tcp { target, tls: None } => {
            let target = target.as_deref().ok_or("a TCP check needs its target: host:port")?;
            complete::tcp_target(target)?;
            Ok(Probe::Tcp { target: target.into(), interval: check.interval, timeout: Some(check.timeout) })
        }
        CheckKind::Ttl { ttl } => Ok(Probe::Ttl(*ttl)),
        other => Err(format!("this kind of check cannot be run here: {other:?}")),
    }
}
