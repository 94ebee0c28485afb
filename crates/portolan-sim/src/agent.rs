//! The agent of a run: what it holds of each id, the checks that it runs, what it reaps, and what it brings into the
//! catalogue.
//!
//! In:  registrations, reports, an operator's maintenance, somebody's meddling; `now`. Out: what it holds, and what
//! happened by itself since it was asked last.
//!
//! Never: does anything between two questions; each one first brings it up to the moment ([`Agent::settle`]).
//!
//! Rules from Consul 1.21: agent/agent.go (`addServiceInternal`: a check that stays keeps its status, one that is not
//! named goes; `reapServicesInternal`; `loadChecks`), agent/local/state.go (anti-entropy).

use std::{collections::BTreeMap, time::Duration};

use portolan::{
    Check, CheckKind, CheckScope, CheckState, Identity, Instance, ServiceId, Status, Weights,
    registry::{Definition, Registered, RegisteredCheck, Report},
};
use tokio::time::Instant;

use crate::{chance::Chance, model::Model};

/// How often the agent looks for instances to reap.
const REAPING: Duration = Duration::from_secs(30);

/// How a check comes to its status.
#[derive(Clone, Debug)]
enum Runs {
    /// Silence until then is critical.
    Silence { ttl: Duration, until: Instant },
    /// The agent asks the process behind the port.
    Asked { every: Duration, next: Instant },
    /// It stays as it is.
    Never,
}

/// A check, as the agent holds it.
#[derive(Clone, Debug)]
pub(crate) struct HeldCheck {
    kind: &'static str,
    pub(crate) status: Status,
    runs: Runs,
    deregister_after: Option<Duration>,
    critical_since: Option<Instant>,
}

/// An instance, as the agent holds it.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    name: String,
    address: String,
    pub(crate) port: u16,
    pub(crate) tags: Vec<String>,
    pub(crate) meta: BTreeMap<String, String>,
    pub(crate) weights: Weights,
    pub(crate) checks: BTreeMap<String, HeldCheck>,
    /// An operator has taken it out of service, for this reason.
    pub(crate) maintenance: Option<String>,
}

/// What the agent did by itself.
#[derive(Clone, Debug)]
pub(crate) enum Happened {
    /// A TTL check was not reported in time.
    Silent { id: String, ttl: Duration, at: Instant },
    /// An instance was critical for so long that it is gone.
    Reaped { id: String, at: Instant },
}

/// Which processes answer on which port, and how well they are.
pub(crate) type Processes = BTreeMap<u16, Status>;

/// One agent.
#[derive(Debug)]
pub(crate) struct Agent {
    node: &'static str,
    pub(crate) services: BTreeMap<String, Held>,
    reap_at: Instant,
    /// How often it was started.
    life: u64,
    /// When it next compares all it holds with the catalogue.
    sync_at: Instant,
}

impl HeldCheck {
    fn new(check: &Check, now: Instant, chance: &mut Chance) -> Self {
        let (kind, runs) = match &check.kind {
            CheckKind::Ttl { ttl } => ("ttl", Runs::Silence { ttl: *ttl, until: now + *ttl }),
            CheckKind::Http { .. } => {
                let most = u64::try_from(check.interval.as_millis()).unwrap_or(1);
                ("http", Runs::Asked { every: check.interval, next: now + chance.millis(0, most) })
            }
            _ => ("tcp", Runs::Never),
        };
        let mut held = Self {
            kind,
            status: Status::Critical,
            runs,
            deregister_after: check.deregister_after,
            critical_since: None,
        };
        held.say(check.initial.unwrap_or(Status::Critical), now);
        held
    }

    /// Whether the service itself reports it.
    pub(crate) fn is_reported(&self) -> bool {
        matches!(self.runs, Runs::Silence { .. })
    }

    fn say(&mut self, status: Status, at: Instant) {
        self.status = status;
        if status == Status::Critical {
            self.critical_since.get_or_insert(at);
        } else {
            self.critical_since = None;
        }
    }

    fn reported(&mut self, status: Status, now: Instant) -> bool {
        let Runs::Silence { ttl, until } = &mut self.runs else { return false };
        *until = now + *ttl;
        self.say(status, now);
        true
    }

    /// Brings it up to `now`; says when its TTL passed, and which.
    fn settle(&mut self, process: Option<Status>, now: Instant) -> Option<(Duration, Instant)> {
        match &mut self.runs {
            Runs::Silence { ttl, until } if *until <= now => {
                let (ttl, at) = (*ttl, *until);
                *until = now + Duration::from_secs(1 << 30);
                self.say(Status::Critical, at);
                Some((ttl, at))
            }
            Runs::Asked { every, next } if *next <= now => {
                while *next <= now {
                    *next += *every;
                }
                self.say(process.unwrap_or(Status::Critical), now);
                None
            }
            _ => None,
        }
    }
}

impl Held {
    fn new(sent: &Definition, before: Option<&Self>, now: Instant, chance: &mut Chance) -> Self {
        let checks = sent.checks.iter().map(|check| {
            let mut held = HeldCheck::new(&check.check, now, chance);
            if let Some(old) = before.and_then(|before| before.checks.get(check.id.as_str())) {
                held.status = old.status;
                held.critical_since = old.critical_since;
            }
            (check.id.as_str().to_owned(), held)
        });
        Self {
            name: sent.name.as_str().to_owned(),
            address: sent.address.clone(),
            port: sent.port,
            tags: sent.tags.clone(),
            meta: sent.meta.clone(),
            weights: sent.weights,
            checks: checks.collect(),
            // Its check is one of the checks: what is not named goes.
            maintenance: sent.maintenance.clone(),
        }
    }

    /// Somebody else's: without checks it works; with one it does not.
    pub(crate) fn foreign(name: &str, port: u16, works: bool, now: Instant) -> Self {
        let check = HeldCheck {
            kind: "tcp",
            status: Status::Critical,
            runs: Runs::Never,
            deregister_after: None,
            critical_since: Some(now),
        };
        let sick = (!works).then(|| ("theirs".to_owned(), check));
        Self {
            name: name.to_owned(),
            address: "10.9.9.9".to_owned(),
            port,
            tags: Vec::new(),
            meta: BTreeMap::new(),
            weights: Weights::default(),
            checks: sick.into_iter().collect(),
            maintenance: None,
        }
    }

    /// The worst of its checks.
    pub(crate) fn status(&self) -> Status {
        let worst = self.checks.values().map(|check| check.status).max().unwrap_or(Status::Passing);
        if self.maintenance.is_some() { Status::Maintenance } else { worst }
    }

    /// Whether it is the instance that was sent, and not one that lives elsewhere.
    pub(crate) fn is_at(&self, sent: &Definition) -> bool {
        self.address == sent.address && self.port == sent.port
    }

    /// What Consul's hash of it is made of: nothing of its checks.
    pub(crate) fn plain(&self) -> (String, u16, Vec<String>, BTreeMap<String, String>) {
        (self.address.clone(), self.port, self.tags.clone(), self.meta.clone())
    }

    /// Whether it is held just as it was sent.
    pub(crate) fn is_as_sent(&self, sent: &Definition) -> bool {
        let kinds = sent.checks.iter().map(|check| match check.check.kind {
            CheckKind::Ttl { .. } => (check.id.as_str(), "ttl"),
            CheckKind::Http { .. } => (check.id.as_str(), "http"),
            _ => (check.id.as_str(), "tcp"),
        });
        let held = self.checks.iter().map(|(id, check)| (id.as_str(), check.kind));
        self.is_at(sent)
            && self.name == sent.name.as_str()
            && self.tags == sent.tags
            && self.meta == sent.meta
            && self.weights == sent.weights
            && kinds.collect::<BTreeMap<_, _>>() == held.collect()
    }

    fn registered(&self, id: &ServiceId) -> Registered {
        let mut found = Registered::new(id.clone(), &self.name, &self.address, self.port);
        found.tags.clone_from(&self.tags);
        found.meta.clone_from(&self.meta);
        found.weights = self.weights;
        let own = self.checks.iter();
        found.checks =
            own.map(|(id, check)| (id.clone(), RegisteredCheck::new(check.status, check.kind, ""))).collect();
        if let Some(reason) = &self.maintenance {
            let check = RegisteredCheck::new(Status::Maintenance, "maintenance", "").with_notes(reason);
            found.checks.insert(format!("_service_maintenance:{id}"), check);
        }
        found
    }

    fn instance(&self, node: &str, id: &str) -> Instance {
        let own = self.checks.iter().map(|(id, check)| (id.clone(), check.status));
        let set =
            self.maintenance.iter().map(|_| (format!("_service_maintenance:{id}"), Status::Maintenance));
        let checks =
            own.chain(set).map(|(id, status)| CheckState::new(&id, &id, status, CheckScope::Service));
        Instance::new(Identity::new("dc1", node, id), &self.name, &self.address, self.port)
            .with_tags(self.tags.iter().map(String::as_str))
            .with_meta(self.meta.iter().map(|(key, value)| (key.as_str(), value.as_str())))
            .with_weights(self.weights)
            .with_checks(checks.collect())
    }
}

impl Agent {
    pub(crate) fn new(node: &'static str, now: Instant) -> Self {
        Self { node, services: BTreeMap::new(), reap_at: now + REAPING, life: 0, sync_at: now }
    }

    pub(crate) fn node(&self) -> &'static str {
        self.node
    }

    /// Another one after each start.
    pub(crate) fn life(&self) -> (&'static str, u64) {
        (self.node, self.life)
    }

    /// Brings everything up to `now`.
    pub(crate) fn settle(&mut self, processes: &Processes, now: Instant) -> Vec<Happened> {
        let mut happened = Vec::new();
        for (id, held) in &mut self.services {
            let process = processes.get(&held.port).copied();
            for check in held.checks.values_mut() {
                if let Some((ttl, at)) = check.settle(process, now) {
                    happened.push(Happened::Silent { id: id.clone(), ttl, at });
                }
            }
        }
        while self.reap_at <= now {
            let at = self.reap_at;
            self.reap_at += REAPING;
            self.services.retain(|id, held| {
                let reaped = held.checks.values().any(|check| {
                    let since = check.critical_since.zip(check.deregister_after);
                    since.is_some_and(|(since, after)| since + after <= at)
                });
                if reaped {
                    happened.push(Happened::Reaped { id: id.clone(), at });
                }
                !reaped
            });
        }
        happened
    }

    /// Something changed: the catalogue follows in a moment.
    pub(crate) fn touch(&mut self, now: Instant, chance: &mut Chance) {
        self.sync_at = self.sync_at.min(now + chance.millis(0, 200));
    }

    /// Brings the catalogue up to what is held, when it is time.
    pub(crate) fn sync(&mut self, catalogue: &mut Model, now: Instant, chance: &mut Chance) {
        if self.sync_at > now {
            return;
        }
        // The catalogue may lose what was there: everything is compared from time to time.
        self.sync_at = now + chance.millis(3_000, 10_000);
        for name in OWN {
            let (content, _) = catalogue.content(name);
            for there in content.iter().filter(|there| *there.identity.node == *self.node) {
                let held = self.services.get(&*there.identity.id).filter(|held| held.name == name);
                match held.map(|held| held.instance(self.node, &there.identity.id)) {
                    Some(wanted) if wanted == **there => {}
                    wanted => catalogue.set(name, &there.identity, wanted),
                }
            }
            for (id, held) in self.services.iter().filter(|(_, held)| held.name == name) {
                let identity = Identity::new("dc1", self.node, id);
                if !content.iter().any(|there| there.identity == identity) {
                    catalogue.set(name, &identity, Some(held.instance(self.node, id)));
                }
            }
        }
    }

    pub(crate) fn registered(&self, ids: &[ServiceId]) -> Vec<Registered> {
        ids.iter().filter_map(|id| Some(self.services.get(id.as_str())?.registered(id))).collect()
    }

    pub(crate) fn register(&mut self, sent: &Definition, now: Instant, chance: &mut Chance) {
        let before = self.services.get(sent.id.as_str());
        let held = Held::new(sent, before, now, chance);
        self.services.insert(sent.id.as_str().to_owned(), held);
        self.touch(now, chance);
    }

    /// Says whether there was something.
    pub(crate) fn deregister(&mut self, id: &str, now: Instant, chance: &mut Chance) -> bool {
        self.touch(now, chance);
        self.services.remove(id).is_some()
    }

    /// Says whether there is such a TTL check.
    pub(crate) fn report(&mut self, report: &Report, now: Instant, chance: &mut Chance) -> bool {
        self.touch(now, chance);
        let check = self.services.values_mut().find_map(|held| held.checks.get_mut(report.check.as_str()));
        check.is_some_and(|check| check.reported(report.status, now))
    }

    /// Says whether there is such an instance.
    pub(crate) fn maintenance(
        &mut self,
        id: &str,
        reason: Option<&str>,
        now: Instant,
        chance: &mut Chance,
    ) -> bool {
        self.touch(now, chance);
        let Some(held) = self.services.get_mut(id) else { return false };
        match reason {
            // Setting it again does not change the reason.
            Some(_) if held.maintenance.is_some() => {}
            wanted => held.maintenance = wanted.map(str::to_owned),
        }
        true
    }

    /// It was started again: with its data (what it runs itself is critical until it has run), or without.
    pub(crate) fn restart(&mut self, with_data: bool, now: Instant, chance: &mut Chance) {
        self.life += 1;
        if !with_data {
            self.services.clear();
        }
        for check in self.services.values_mut().flat_map(|held| held.checks.values_mut()) {
            match &mut check.runs {
                Runs::Silence { ttl, until } if check.status != Status::Critical => *until = now + *ttl,
                Runs::Asked { every, next } => {
                    let most = u64::try_from(every.as_millis()).unwrap_or(1);
                    *next = now + chance.millis(0, most);
                    check.say(Status::Critical, now);
                }
                _ => {}
            }
        }
        self.touch(now, chance);
    }
}

/// The services that the registrations of a run belong to.
pub(crate) const OWN: [&str; 2] = ["mail", "pay"];
