//! Between the library's types and the registry's rows. No I/O.
//!
//! In:  rows, or definitions. Out: instances, or rows to be.
//!
//! Never: loses a field that the HTTP interface would tell.

use std::sync::Arc;

use portolan::{
    Check, CheckId, CheckKind, CheckScope, CheckState, CheckTls, Error, Identity, Instance, NodeName,
    ServiceId, ServiceName, Status, Weights,
    registry::{
        CheckDefinition, CheckOutput, Definition, NodeCheck, NodeDefinition, NodeService, Registered,
        RegisteredCheck,
    },
};

use crate::{
    complete,
    config::{NO_SCRIPTS, Scripts},
    state::{
        AgentCheck, CatalogCheck, CatalogEntry, Entry, LEAST_DEREGISTER_AFTER, cut,
        rows::{
            Ask, CheckFacts, CheckRow, CheckSpec, Health, HttpProbe, NodeRow, NodeSpec, Pairs, Probe,
            ServiceRow, ServiceSpec, TaggedAddress, Text, Trust,
        },
    },
};

/// The library's status of a check.
fn status(health: Health) -> Status {
    match health {
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
        let state = CheckState::new(&facts.id, &facts.name, status(facts.status), scope);
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
    let of_node = |key| node.meta.as_ref().and_then(|meta| meta.get(key)).map(Arc::clone);
    let given = spec.locality.as_ref();
    let zone = given.map(|locality| &locality.zone).filter(|zone| !zone.is_empty()).map(Arc::clone);
    let region = given.map(|locality| &locality.region).filter(|region| !region.is_empty()).map(Arc::clone);
    instance.zone = zone.or_else(|| instance.zone.take()).or_else(|| of_node("zone"));
    instance.region = region.or_else(|| instance.region.take()).or_else(|| of_node("region"));
    instance
}

/// What the agent holds of one instance.
pub(super) fn registered(id: &ServiceId, row: &ServiceRow, checks: &[AgentCheck]) -> Registered {
    let spec = &row.spec;
    let mut held = Registered::new(id.clone(), &spec.name, &spec.address, spec.port);
    held.tags = spec.tags.iter().map(|tag| tag.to_string()).collect();
    held.meta = spec.meta.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
    held.weights = Weights { passing: spec.passing_weight, warning: spec.warning_weight };
    held.enable_tag_override = spec.enable_tag_override;
    held.checks = checks
        .iter()
        .map(|check| {
            let facts = &check.row.facts;
            // Maintenance is told by the id, as everywhere.
            let maintenance = CheckState::is_maintenance(&facts.id);
            let status = if maintenance { Status::Maintenance } else { status(facts.status) };
            let held = RegisteredCheck::new(status, &facts.kind, &check.output);
            (facts.id.to_string(), held.with_notes(&facts.notes))
        })
        .collect();
    held
}

/// A definition as the state takes it, not completed yet.
pub(super) fn definition(
    given: &Definition,
    scripts: Scripts,
) -> Result<(ServiceSpec, Vec<CheckSpec>), String> {
    let mut spec = ServiceSpec::new(given.name.as_str(), given.id.as_str());
    spec.address = given.address.as_str().into();
    spec.port = given.port;
    spec.tags = given.tags.iter().map(|tag| tag.as_str().into()).collect();
    spec.meta = given.meta.iter().map(|(key, value)| (key.as_str().into(), value.as_str().into())).collect();
    (spec.passing_weight, spec.warning_weight) = (given.weights.passing, given.weights.warning);
    spec.enable_tag_override = given.enable_tag_override;
    spec.tagged = given
        .tagged_addresses
        .iter()
        .map(|(tag, (address, port))| {
            (tag.as_str().into(), TaggedAddress { address: address.as_str().into(), port: *port })
        })
        .collect();
    let mut checks = given.checks.iter().map(|given| check(given, scripts)).collect::<Result<Vec<_>, _>>()?;
    checks.extend(given.maintenance.as_deref().map(|reason| maintenance(&given.id, reason)));
    Ok((spec, checks))
}

/// Maintenance that is there in the same moment as its instance.
fn maintenance(id: &ServiceId, reason: &str) -> CheckSpec {
    let id = CheckState::maintenance_id(id);
    let mut spec = CheckSpec::new(&id, "Service Maintenance Mode", Probe::Maintenance);
    spec.notes = reason.into();
    spec.initial = Some(Health::Critical);
    spec
}

fn check(given: &CheckDefinition, scripts: Scripts) -> Result<CheckSpec, String> {
    let id = given.id.as_str();
    given.check.validate(&format!("check {id}")).map_err(|wrong| wrong.to_string())?;
    let mut spec = CheckSpec::new(id, &given.name, probe(&given.check, scripts)?);
    spec.notes = given.check.notes.as_deref().unwrap_or_default().into();
    spec.initial = given.check.initial.and_then(health);
    spec.success_before_passing = given.check.success_before_passing.into();
    spec.failures_before_warning = given.check.failures_before_warning.into();
    spec.failures_before_critical = given.check.failures_before_critical.into();
    spec.deregister_after = given.check.deregister_after.map(|after| after.max(LEAST_DEREGISTER_AFTER));
    Ok(spec)
}

fn probe(check: &Check, scripts: Scripts) -> Result<Probe, String> {
    let ask = match &check.kind {
        CheckKind::Ttl { ttl } => return Ok(Probe::Ttl(*ttl)),
        CheckKind::Alias { node, service } => {
            let node = node.as_deref().map(Into::into);
            return Ok(Probe::Alias { node, service: service.as_ref().map(|id| id.as_str().into()) });
        }
        CheckKind::Http { target, method, headers, body, tls } => {
            let values = |values: &Vec<String>| values.iter().map(|value| value.as_str().into()).collect();
            let request = HttpProbe {
                url: target.as_str().into(),
                method: method.as_deref().unwrap_or("GET").into(),
                headers: headers.iter().map(|(name, all)| (name.as_str().into(), values(all))).collect(),
                body: body.as_str().into(),
                redirects: true,
                trust: tls.as_ref().map(trust).unwrap_or_default(),
            };
            complete::http_target(target)?;
            Ask::Http(Arc::new(request))
        }
        CheckKind::Tcp { target, tls } => {
            Ask::Tcp { target: whole("TCP", target.as_deref())?, tls: tls.as_ref().map(trust) }
        }
        CheckKind::Udp { target } => Ask::Udp { target: whole("UDP", target.as_deref())? },
        CheckKind::Grpc { target, service, tls } => Ask::Grpc {
            target: whole("GRPC", target.as_deref())?,
            service: service.as_str().into(),
            tls: tls.as_ref().map(trust),
        },
        CheckKind::H2Ping { target, tls } => {
            Ask::H2Ping { target: whole("H2PING", target.as_deref())?, tls: tls.as_ref().map(trust) }
        }
        CheckKind::Script { args } => match scripts {
            Scripts::Allowed => Ask::Script { args: args.iter().map(|arg| arg.as_str().into()).collect() },
            Scripts::Refused => return Err(NO_SCRIPTS.to_owned()),
        },
        other => {
            return Err(format!("{} checks are not run by this registry; use another kind", other.as_str()));
        }
    };
    Ok(Probe::Run { ask, interval: check.interval, timeout: Some(check.timeout) })
}

fn whole(field: &str, target: Option<&str>) -> Result<Text, String> {
    let target = target.ok_or_else(|| format!("a {field} check needs its target: host:port"))?;
    complete::host_port(field, target)?;
    Ok(target.into())
}

fn trust(tls: &CheckTls) -> Trust {
    Trust { skip_verify: tls.skip_verify, server_name: tls.server_name.as_deref().map(Into::into) }
}

/// A node of the catalogue with all that is on it.
pub(super) fn node(
    row: &NodeRow,
    services: &[Arc<ServiceRow>],
    checks: &[Arc<CheckRow>],
) -> Result<NodeDefinition, Error> {
    let texts =
        |pairs: &Pairs| pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
    let mut node = NodeDefinition::new(NodeName::new(&row.spec.name)?, &row.spec.address);
    node.meta = row.spec.meta.as_ref().map(texts).unwrap_or_default();
    for row in services {
        let spec = &row.spec;
        let mut service = NodeService::new(ServiceName::new(&spec.name)?, spec.port);
        service.address = spec.address.to_string();
        service.tags = spec.tags.iter().map(|tag| tag.to_string()).collect();
        service.meta = texts(&spec.meta);
        service.weights = Weights { passing: spec.passing_weight, warning: spec.warning_weight };
        node.services.insert(ServiceId::new(&spec.id)?, service);
    }
    for row in checks {
        let facts = &row.facts;
        let check = NodeCheck::new(&*facts.name, status(facts.status), &*facts.output);
        let of = facts.of.as_ref().map(|of| ServiceId::new(&of.id)).transpose()?;
        let checks = match of.and_then(|id| node.services.get_mut(&id)) {
            Some(service) => &mut service.checks,
            None => &mut node.checks,
        };
        checks.insert(CheckId::new(&facts.id)?, check);
    }
    Ok(node)
}

/// A write into the catalogue as the state takes it.
pub(super) fn catalog_entry(part: &NodeDefinition) -> Result<CatalogEntry, String> {
    let pairs = |texts: &std::collections::BTreeMap<String, String>| -> Pairs {
        texts.iter().map(|(key, value)| (key.as_str().into(), value.as_str().into())).collect()
    };
    if part.services.len() > 1 {
        return Err(format!("{} services in one write; send each alone", part.services.len()));
    }
    let node = NodeSpec {
        name: part.name.as_str().into(),
        id: "".into(),
        address: part.address.as_str().into(),
        tagged: None,
        meta: Some(pairs(&part.meta)),
    };
    if node.address.is_empty() {
        return Err("Must provide address if SkipNodeUpdate is not set".to_owned());
    }
    complete::check_meta(&pairs(&part.meta)).map_err(|why| format!("Invalid node metadata: {why}"))?;
    let mut entry = CatalogEntry { node, skip_node_update: false, service: None, checks: Vec::new() };
    for (id, check) in &part.checks {
        entry.checks.push(catalog_check(id, check, None)?);
    }
    for (id, given) in &part.services {
        let mut spec = ServiceSpec::new(given.name.as_str(), id.as_str());
        spec.address = given.address.as_str().into();
        spec.port = given.port;
        spec.tags = given.tags.iter().map(|tag| tag.as_str().into()).collect();
        spec.meta = pairs(&given.meta);
        (spec.passing_weight, spec.warning_weight) = (given.weights.passing, given.weights.warning);
        complete::sound(&spec)?;
        for (check, state) in &given.checks {
            entry.checks.push(catalog_check(check, state, Some(Text::clone(&spec.id)))?);
        }
        entry.service = Some(spec);
    }
    Ok(entry)
}

fn catalog_check(id: &CheckId, check: &NodeCheck, service: Option<Text>) -> Result<CatalogCheck, String> {
    let status = health(check.status).ok_or_else(|| {
        format!("check {id}: maintenance is no status of a check; use passing, warning or critical")
    })?;
    let empty = || Text::from("");
    let facts = CheckFacts {
        id: id.as_str().into(),
        name: check.name.as_str().into(),
        notes: empty(),
        status,
        output: cut(&check.output),
        kind: empty(),
        interval: empty(),
        timeout: empty(),
        of: None,
        definition: None,
    };
    Ok(CatalogCheck { facts, service })
}
