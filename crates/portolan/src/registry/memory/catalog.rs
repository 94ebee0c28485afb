//! What the in-process registry holds, and its indexes. PURE: time comes in as `now`.
//!
//! In:  registrations, reports, a word about maintenance. Out: instances with indexes, and which services changed.
//!
//! Never: moves an index without a change; runs a check.
//!
//! Rules from Consul: agent/consul/state/catalog.go (`maxIndexForService`: an absent service has the index of the last
//! extinction), agent/checks/check.go (`CheckTTL`), agent/agent.go (`addServiceInternal`: replacing the checks of a
//! service ends its maintenance; `reapServicesInternal`).
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use crate::{
    check::CheckKind,
    error::{Error, Kind},
    model::{CheckScope, CheckState, Identity, Instance, ServiceId, ServiceName, Status},
    registry::{CheckDefinition, Definition, Registered, RegisteredCheck, Report, ServiceTags},
};

/// The only datacenter.
pub(super) const DATACENTER: &str = "dc1";
/// The only node.
pub(super) const NODE: &str = "memory";
/// The node's address: an instance without one of its own is there.
pub(super) const NODE_ADDRESS: &str = "127.0.0.1";
/// How much of a check's output is kept, in bytes. Consul: agent/checks/check.go `DefaultBufSize`.
const OUTPUT_LIMIT: usize = 4096;

#[derive(Debug)]
pub(super) struct Catalog {
    index: u64,
    last_extinction: u64,
    services: BTreeMap<ServiceName, u64>,
    entries: BTreeMap<ServiceId, Entry>,
    /// Nothing happens by itself before this. May be too early, never too late.
    next_deadline: Option<Instant>,
}

#[derive(Debug)]
struct Entry {
    definition: Definition,
    checks: BTreeMap<String, Checked>,
    maintenance: Option<String>,
}

#[derive(Debug)]
struct Checked {
    definition: CheckDefinition,
    status: Status,
    output: String,
    /// When silence turns a TTL check critical.
    expires: Option<Instant>,
    /// When an instance that stays critical is removed.
    reap: Option<Instant>,
}

/// Which services a step has changed. All that wait for one of them are to look again.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    pub(super) services: BTreeSet<ServiceName>,
    /// A service lost its last instance, which moves the index of every absent one.
    pub(super) extinction: bool,
}

impl Changes {
    pub(super) fn is_empty(&self) -> bool {
        self.services.is_empty() && !self.extinction
    }
}

impl Catalog {
    pub(super) fn new() -> Self {
        Self {
            index: 1,
            last_extinction: 1,
            services: BTreeMap::new(),
            entries: BTreeMap::new(),
            next_deadline: None,
        }
    }

    pub(super) fn index(&self) -> u64 {
        self.index
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.next_deadline
    }

    /// The index of one service, as a blocking read of it sees it.
    pub(super) fn service_index(&self, service: &ServiceName) -> u64 {
        self.services.get(service).copied().unwrap_or(self.last_extinction)
    }

    pub(super) fn instances(&self, service: &ServiceName) -> Vec<Instance> {
        self.entries.values().filter(|entry| entry.definition.name == *service).map(Entry::instance).collect()
    }

    pub(super) fn services(&self) -> ServiceTags {
        let mut tags: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for Entry { definition, .. } in self.entries.values() {
            let all = tags.entry(definition.name.as_str()).or_default();
            all.extend(definition.tags.iter().map(String::as_str));
        }
        tags.into_iter()
            .map(|(name, tags)| (name.into(), tags.into_iter().map(Into::into).collect()))
            .collect()
    }

    pub(super) fn registered(&self, ids: &[ServiceId]) -> Vec<Registered> {
        ids.iter().filter_map(|id| self.entries.get(id)).map(Entry::registered).collect()
    }

    pub(super) fn register(&mut self, definition: &Definition, now: Instant) -> Changes {
        let mut changes = Changes::default();
        let old = self.entries.get(&definition.id);
        if let Some(old) = old.filter(|old| old.definition.name != definition.name) {
            let name = old.definition.name.clone();
            self.remove(&definition.id, &name, &mut changes);
        }
        let (entry, changed) = Entry::replacing(self.entries.remove(&definition.id), definition, now);
        self.next_deadline = sooner(self.next_deadline, entry.next_deadline());
        self.entries.insert(definition.id.clone(), entry);
        if changed {
            self.touch(&definition.name, &mut changes);
        }
        changes
    }

    pub(super) fn deregister(&mut self, id: &ServiceId) -> Changes {
        let mut changes = Changes::default();
        if let Some(entry) = self.entries.get(id) {
            let name = entry.definition.name.clone();
            self.remove(id, &name, &mut changes);
        }
        changes
    }

    pub(super) fn wipe(&mut self) -> Changes {
        let mut changes = Changes::default();
        for (id, entry) in std::mem::take(&mut self.entries) {
            self.remove(&id, &entry.definition.name, &mut changes);
        }
        changes
    }

    /// Takes a report for a TTL check; by hand, for a check of any kind.
    pub(super) fn report(&mut self, report: &Report, of: Reporter, now: Instant) -> Result<Changes, Error> {
        let id = report.check.as_str();
        let unknown = || {
            let what = format!("check {id:?}: unknown TTL check; register its instance again");
            Error::new(Kind::NotFound, what)
        };
        let (name, found) = self
            .entries
            .values_mut()
            .find_map(|entry| Some((&entry.definition.name, entry.checks.get_mut(id)?)))
            .filter(|(_, check)| of == Reporter::ByHand || check.definition.check.is_ttl())
            .ok_or_else(unknown)?;
        if report.status == Status::Maintenance {
            let what = format!("check {id:?}: maintenance is no status of a check; call maintenance()");
            return Err(Error::new(Kind::Rejected, what));
        }
        let name = name.clone();
        let changed = found.set(report.status, &report.output, now);
        self.next_deadline = sooner(self.next_deadline, found.next_deadline());
        let mut changes = Changes::default();
        if changed {
            self.touch(&name, &mut changes);
        }
        Ok(changes)
    }

    pub(super) fn maintenance(&mut self, id: &ServiceId, reason: Option<&str>) -> Result<Changes, Error> {
        let entry = self.entries.get_mut(id).ok_or_else(|| {
            Error::new(Kind::NotFound, format!("service id {id:?}: not registered; register it first"))
        })?;
        // Consul does not change the reason of a maintenance that is on already.
        let changed = entry.maintenance.is_some() != reason.is_some();
        if changed {
            entry.maintenance = reason.map(str::to_owned);
        }
        let name = entry.definition.name.clone();
        let mut changes = Changes::default();
        if changed {
            self.touch(&name, &mut changes);
        }
        Ok(changes)
    }

    /// Does what is due by itself: TTL checks that were silent, instances that were critical too long.
    pub(super) fn settle(&mut self, now: Instant) -> Changes {
        let mut changes = Changes::default();
        if self.next_deadline.is_none_or(|at| at > now) {
            return changes;
        }
        let mut expired = Vec::new();
        let mut reaped = Vec::new();
        for (id, entry) in &mut self.entries {
            let mut changed = false;
            for check in entry.checks.values_mut() {
                changed |= check.expire(now);
            }
            let reap = entry.checks.values().any(|check| check.reap.is_some_and(|at| at <= now));
            if reap {
                reaped.push((id.clone(), entry.definition.name.clone()));
            } else if changed {
                expired.push(entry.definition.name.clone());
            }
        }
        for name in expired {
            self.touch(&name, &mut changes);
        }
        for (id, name) in reaped {
            self.remove(&id, &name, &mut changes);
        }
        self.next_deadline = self.entries.values().filter_map(Entry::next_deadline).min();
        changes
    }

    fn remove(&mut self, id: &ServiceId, name: &ServiceName, changes: &mut Changes) {
        self.entries.remove(id);
        self.touch(name, changes);
        if !self.entries.values().any(|entry| entry.definition.name == *name) {
            self.services.remove(name);
            self.last_extinction = self.index;
            changes.extinction = true;
        }
    }

    fn touch(&mut self, name: &ServiceName, changes: &mut Changes) {
        self.index = self.index.saturating_add(1);
        self.services.insert(name.clone(), self.index);
        changes.services.insert(name.clone());
    }
}

/// Who speaks for a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reporter {
    /// The service: TTL checks only.
    Service,
    /// A test, in place of the agent that would run the check.
    ByHand,
}

impl Entry {
    /// The entry of `definition` in place of `old`, and whether that is a change anyone can see.
    fn replacing(old: Option<Self>, definition: &Definition, now: Instant) -> (Self, bool) {
        let Some(mut old) = old else {
            let fresh = |check: &CheckDefinition| (check.id.as_str().to_owned(), Checked::new(check, now));
            let checks = definition.checks.iter().map(fresh).collect();
            let maintenance = definition.maintenance.clone();
            return (Self { definition: definition.clone(), checks, maintenance }, true);
        };
        if same(&old.definition, definition) && old.maintenance == definition.maintenance {
            return (old, false);
        }
        let checks = definition
            .checks
            .iter()
            .map(|check| {
                let kept = old.checks.remove(check.id.as_str()).map(|kept| (kept.status, kept.output));
                let mut fresh = Checked::new(check, now);
                if let Some((status, output)) = kept {
                    fresh.set(status, &output, now);
                }
                (check.id.as_str().to_owned(), fresh)
            })
            .collect();
        (Self { definition: definition.clone(), checks, maintenance: definition.maintenance.clone() }, true)
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.checks.values().filter_map(Checked::next_deadline).min()
    }

    fn maintenance_id(&self) -> String {
        CheckState::maintenance_id(&self.definition.id)
    }

    fn instance(&self) -> Instance {
        let Definition { id, name, address, port, tags, meta, weights, .. } = &self.definition;
        let address = if address.is_empty() { NODE_ADDRESS } else { address.as_str() };
        let mut checks: Vec<CheckState> = self
            .checks
            .values()
            .map(|check| {
                let (id, name) = (check.definition.id.as_str(), check.definition.name.as_str());
                CheckState::new(id, name, check.status, CheckScope::Service).output(&check.output)
            })
            .collect();
        if let Some(reason) = &self.maintenance {
            let id = self.maintenance_id();
            let check =
                CheckState::new(&id, "Service Maintenance Mode", Status::Critical, CheckScope::Service);
            checks.insert(0, check.output(reason));
        }
        Instance::new(Identity::new(DATACENTER, NODE, id.as_str()), name.as_str(), address, *port)
            .with_meta(meta.iter().map(|(key, value)| (key.as_str(), value.as_str())))
            .with_tags(tags.iter().map(String::as_str))
            .with_weights(*weights)
            .with_checks(checks)
    }

    fn registered(&self) -> Registered {
        let Definition { id, name, address, port, tags, meta, weights, .. } = &self.definition;
        let mut held = Registered::new(id.clone(), name.as_str(), address, *port);
        held.tags.clone_from(tags);
        held.meta.clone_from(meta);
        held.weights = *weights;
        held.enable_tag_override = self.definition.enable_tag_override;
        held.checks = self
            .checks
            .iter()
            .map(|(id, check)| (id.clone(), RegisteredCheck::new(check.status, check.kind(), &check.output)))
            .collect();
        if let Some(reason) = &self.maintenance {
            let check = RegisteredCheck::new(Status::Maintenance, "maintenance", "").with_notes(reason);
            held.checks.insert(self.maintenance_id(), check);
        }
        held
    }
}

/// Whether nothing that is kept differs. The status that a check starts with is not kept; maintenance is kept apart.
fn same(old: &Definition, new: &Definition) -> bool {
    let plain = |definition: &Definition| {
        let mut plain = Definition { maintenance: None, ..definition.clone() };
        for check in &mut plain.checks {
            check.check.initial = None;
        }
        plain
    };
    plain(old) == plain(new)
}

impl Checked {
    fn new(definition: &CheckDefinition, now: Instant) -> Self {
        // Nobody runs an HTTP or TCP check here, so it would stay critical for ever: it is passing unless told.
        let unless_told = if definition.check.is_ttl() { Status::Critical } else { Status::Passing };
        let status = definition.check.initial.unwrap_or(unless_told);
        let mut check =
            Self { definition: definition.clone(), status, output: String::new(), expires: None, reap: None };
        check.set(status, "", now);
        check
    }

    /// Takes a status, starts the timers anew; whether a reader sees a difference.
    fn set(&mut self, status: Status, output: &str, now: Instant) -> bool {
        let output = shortened(output);
        let changed = self.status != status || self.output != output;
        if status == Status::Critical {
            let after = self.definition.check.deregister_after;
            self.reap = self.reap.or_else(|| now.checked_add(after?));
        } else {
            self.reap = None;
        }
        self.expires = match self.definition.check.kind {
            // One that is critical already has nothing to lose.
            CheckKind::Ttl { ttl } if status != Status::Critical => now.checked_add(ttl),
            _ => None,
        };
        self.status = status;
        self.output = output;
        changed
    }

    fn expire(&mut self, now: Instant) -> bool {
        let due = self.expires.filter(|at| *at <= now);
        due.is_some_and(|at| {
            let last = std::mem::take(&mut self.output);
            let said = if last.is_empty() { String::new() } else { format!(" (last output: {last})") };
            self.set(Status::Critical, &format!("TTL expired{said}"), at)
        })
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.expires.into_iter().chain(self.reap).min()
    }

    fn kind(&self) -> &'static str {
        self.definition.check.kind.as_str()
    }
}

fn sooner(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    one.into_iter().chain(other).min()
}

fn shortened(output: &str) -> String {
    let end = (0..=OUTPUT_LIMIT.min(output.len())).rev().find(|end| output.is_char_boundary(*end));
    output.get(..end.unwrap_or(0)).unwrap_or_default().to_owned()
}
