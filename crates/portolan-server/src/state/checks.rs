//! The agent's own instances and checks: reports, outcomes, time limits, maintenance. PURE.
//!
//! In:  commands of the agent, the outcome of probes, deadlines. Out: statuses in the catalogue, keys touched.
//!
//! ```text
//! registered -> critical or as asked -- report, outcome --> passing | warning | critical
//!                                           TTL runs out --> critical -- deregister-after --> instance removed
//! ```
//!
//! A new output without a new status wakes nobody at once: the agent shows it, the catalogue follows after
//! [`OUTPUT_DELAY`], so that heartbeats with a changing note cost the watchers nothing.
//!
//! Rules from Consul: agent/agent.go `addServiceInternal`, agent/checks/check.go (`StatusHandler`, `CheckTTL`),
//! agent/local/state.go `UpdateCheck`, agent/agent.go `reapServicesInternal`.
//! Never: lets the word of an older definition count; loses the status of a check that stays.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use portolan::format_duration;

use super::{
    OtherChecks, Refused, State,
    index::Tx,
    kept::Place,
    rows::{CheckFacts, CheckOf, CheckSpec, Health, Origin, Probe, ServiceSpec, Text},
};

/// How long the catalogue may show an older output of a check whose status is the same (Consul: `check_update_interval`).
const OUTPUT_DELAY: Duration = Duration::from_secs(300);
/// The least time an instance may be critical before it is removed; a lower wish is raised to it, as in Consul.
pub(crate) const LEAST_DEREGISTER_AFTER: Duration = Duration::from_secs(60);
/// How much of an output is kept, in bytes.
pub(crate) const OUTPUT_LIMIT: usize = 4096;

const NO_REASON: [&str; 2] = [
    "Maintenance mode is enabled for this service, but no reason was provided. This is a default message.",
    "Maintenance mode is enabled for this node, but no reason was provided. This is a default message.",
];

/// A check of the agent while it lives.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) spec: Arc<CheckSpec>,
    /// Told to its probe, so that an answer to an older definition is known.
    pub(super) generation: u64,
    /// The newest output; the catalogue's may be older.
    pub(super) output: Text,
    successes: u32,
    failures: u32,
    expires: Option<Instant>,
    critical_since: Option<Instant>,
    show_output: Option<Instant>,
    /// The deadline it stands under in [`State::deadlines`].
    due: Option<Instant>,
}

impl Live {
    /// A check that ran in an earlier life: its TTL counts from now, and the first run decides.
    pub(super) fn again(
        spec: Arc<CheckSpec>,
        generation: u64,
        output: Text,
        critical_since: Option<Instant>,
        now: Instant,
    ) -> Self {
        let expires = match spec.probe {
            Probe::Ttl(ttl) => now.checked_add(ttl),
            Probe::Run { .. } | Probe::Alias { .. } | Probe::Maintenance => None,
        };
        Self {
            successes: spec.success_before_passing,
            failures: spec.failures_before_critical,
            spec,
            generation,
            output,
            expires,
            critical_since,
            show_output: None,
            due: None,
        }
    }

    fn reap_at(&self) -> Option<Instant> {
        self.critical_since?.checked_add(self.spec.deregister_after?)
    }
}

/// An output as it is kept: cut at [`OUTPUT_LIMIT`] bytes, and saying so.
pub(crate) fn cut(output: &str) -> Text {
    if output.len() <= OUTPUT_LIMIT {
        return output.into();
    }
    let (kept, _) = output.split_at_checked(output.floor_char_boundary(OUTPUT_LIMIT)).unwrap_or(("", output));
    format!("{kept} ... (captured {} of {} bytes)", kept.len(), output.len()).into()
}

impl State {
    pub(super) fn register_service(
        &mut self,
        service: ServiceSpec,
        checks: Vec<CheckSpec>,
        others: OtherChecks,
        tx: &mut Tx,
    ) {
        let (home, id) = (Text::clone(&self.home), Text::clone(&service.id));
        self.put_service(&home, service, Origin::Agent, tx);
        if others == OtherChecks::Remove {
            let held = self.nodes.get(&home).and_then(|node| node.services.get(&id));
            let old: Vec<Text> = held.iter().flat_map(|held| held.checks.keys()).cloned().collect();
            for check in old.iter().filter(|old| !checks.iter().any(|check| check.id == **old)) {
                self.drop_check(&home, check, tx);
            }
        }
        let of = self.check_of(&home, &id);
        for check in checks {
            self.start_check(check, of.clone(), "", tx);
        }
    }

    pub(super) fn deregister_service(&mut self, id: &Text, tx: &mut Tx) -> Result<(), Refused> {
        self.own_service(id)?;
        let home = Text::clone(&self.home);
        self.drop_service(&home, id, tx);
        Ok(())
    }

    fn own_service(&self, id: &Text) -> Result<(), Refused> {
        let held = self.nodes.get(&self.home).and_then(|node| node.services.get(id));
        match held {
            Some(held) if held.row.origin == Origin::Agent => Ok(()),
            _ => Err(Refused::UnknownService(Text::clone(id))),
        }
    }

    pub(super) fn register_check(
        &mut self,
        check: CheckSpec,
        service: Option<Text>,
        tx: &mut Tx,
    ) -> Result<(), Refused> {
        let of = match service {
            None => None,
            Some(id) => match self.own_service(&id) {
                Ok(()) => self.check_of(&self.home, &id),
                Err(_) => return Err(Refused::NoSuchService(id)),
            },
        };
        self.start_check(check, of, "0s", tx);
        Ok(())
    }

    pub(super) fn deregister_check(&mut self, id: &Text, tx: &mut Tx) -> Result<(), Refused> {
        if !self.live.contains_key(id) {
            return Err(Refused::UnknownCheck(Text::clone(id)));
        }
        let home = Text::clone(&self.home);
        self.drop_check(&home, id, tx);
        Ok(())
    }

    /// `never`: how the interval and the timeout are told where there is none, which hangs on how it was registered.
    fn start_check(&mut self, spec: CheckSpec, of: Option<CheckOf>, never: &str, tx: &mut Tx) {
        let id = Text::clone(&spec.id);
        let known = self.check(&self.home, &id);
        let (interval, timeout) = match &spec.probe {
            Probe::Run { interval, timeout, .. } => {
                let timeout = timeout.map_or_else(|| never.to_owned(), format_duration);
                (format_duration(*interval).into(), timeout.into())
            }
            Probe::Ttl(_) | Probe::Alias { .. } | Probe::Maintenance => (never.into(), never.into()),
        };
        let facts = CheckFacts {
            id: Text::clone(&id),
            name: Text::clone(&spec.name),
            notes: Text::clone(&spec.notes),
            status: known.map_or(spec.initial.unwrap_or(Health::Critical), |row| row.facts.status),
            output: known.map_or_else(|| "".into(), |row| Text::clone(&row.facts.output)),
            kind: spec.probe.kind().into(),
            interval,
            timeout,
            of,
            definition: None,
        };
        let home = Text::clone(&self.home);
        let output = Text::clone(&facts.output);
        self.put_check(&home, facts, tx);
        self.go_live(spec, output, tx);
    }

    /// Keeps counters and times of a check that was running; a TTL counts anew, as a registration is a sign of life.
    fn go_live(&mut self, spec: CheckSpec, output: Text, tx: &mut Tx) {
        let id = Text::clone(&spec.id);
        self.index_alias(&spec, tx);
        let expires = match spec.probe {
            Probe::Ttl(ttl) => tx.now.checked_add(ttl),
            _ => None,
        };
        match self.live.get_mut(&id) {
            Some(live) if *live.spec == spec => live.expires = expires,
            old => {
                self.generations = self.generations.saturating_add(1);
                if spec.probe.is_run() || old.as_ref().is_some_and(|old| old.spec.probe.is_run()) {
                    tx.probe(&id);
                }
                let (output, critical_since, show_output, due) = match old {
                    Some(old) => (Text::clone(&old.output), old.critical_since, old.show_output, old.due),
                    None => (output, None, None, None),
                };
                let live = Live {
                    // At their thresholds: the first run decides, as in Consul (`NewStatusHandler`).
                    successes: spec.success_before_passing,
                    failures: spec.failures_before_critical,
                    spec: Arc::new(spec),
                    generation: self.generations,
                    output,
                    expires,
                    critical_since,
                    show_output,
                    due,
                };
                self.live.insert(Text::clone(&id), live);
                if let Some(row) = self.check(&self.home, &id) {
                    tx.keep(row.key, Place::Check(Text::clone(&self.home), Text::clone(&id)));
                }
            }
        }
        self.reschedule(&id);
    }

    /// Stops running a check whose row is gone.
    pub(super) fn forget_live(&mut self, id: &Text, tx: &mut Tx) {
        if let Some(live) = self.live.remove(id) {
            self.unindex_alias(&live.spec);
            if let Some(due) = live.due {
                self.deadlines.remove(&(due, Text::clone(id)));
            }
            if live.spec.probe.is_run() {
                tx.probe(id);
            }
        }
    }

    pub(super) fn reschedule(&mut self, id: &Text) {
        let Some(live) = self.live.get_mut(id) else { return };
        let next = [live.expires, live.reap_at(), live.show_output].into_iter().flatten().min();
        if live.due != next {
            if let Some(due) = live.due {
                self.deadlines.remove(&(due, Text::clone(id)));
            }
            if let Some(next) = next {
                self.deadlines.insert((next, Text::clone(id)));
            }
            live.due = next;
        }
    }

    pub(super) fn report(
        &mut self,
        id: &Text,
        status: Health,
        output: Text,
        tx: &mut Tx,
    ) -> Result<(), Refused> {
        let Some(live) = self.live.get_mut(id) else {
            return Err(Refused::UnknownCheck(Text::clone(id)));
        };
        let Probe::Ttl(ttl) = live.spec.probe else {
            return Err(Refused::NotTtl(Text::clone(id)));
        };
        live.expires = tx.now.checked_add(ttl);
        self.set_status(id, status, output, tx);
        Ok(())
    }

    pub(super) fn outcome(&mut self, id: &Text, generation: u64, status: Health, output: Text, tx: &mut Tx) {
        let Some(live) = self.live.get_mut(id).filter(|live| live.generation == generation) else { return };
        let spec = &live.spec;
        let shown = if status == Health::Critical {
            (live.successes, live.failures) = (0, live.failures.saturating_add(1));
            let warning = match spec.failures_before_warning {
                0 => spec.failures_before_critical,
                failures => failures,
            };
            if live.failures >= spec.failures_before_critical {
                Some(Health::Critical)
            } else {
                (live.failures >= warning).then_some(Health::Warning)
            }
        } else {
            (live.successes, live.failures) = (live.successes.saturating_add(1), 0);
            (live.successes >= spec.success_before_passing).then_some(status)
        };
        if let Some(status) = shown {
            self.set_status(id, status, output, tx);
        }
    }

    pub(super) fn set_status(&mut self, id: &Text, status: Health, output: Text, tx: &mut Tx) {
        let home = Text::clone(&self.home);
        let Some(row) = self.check(&home, id).map(Arc::clone) else { return };
        let Some(live) = self.live.get_mut(id) else { return };
        live.critical_since = match status {
            Health::Critical => live.critical_since.or(Some(tx.now)),
            Health::Passing | Health::Warning => None,
        };
        live.output = Text::clone(&output);
        if row.facts.status != status {
            live.show_output = None;
            self.put_check(&home, CheckFacts { status, output, ..row.facts.clone() }, tx);
        } else if row.facts.output == output {
            live.show_output = None;
        } else {
            live.show_output = live.show_output.or(tx.now.checked_add(OUTPUT_DELAY));
        }
        self.reschedule(id);
    }

    /// Does what one check's deadline asks for; it stands under a later one afterwards, or under none.
    pub(super) fn check_is_due(&mut self, id: &Text, tx: &mut Tx) {
        let now = tx.now;
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        let home = Text::clone(&self.home);
        let Some(live) = self.live.get_mut(id) else {
            self.deadlines.pop_first();
            return;
        };
        if is_due(live.expires) {
            live.expires = None;
            let output: Text = match &*live.output {
                "" => "TTL expired".into(),
                // A check that expires again keeps the words it had.
                last if last.starts_with("TTL expired") => last.into(),
                last => format!("TTL expired (last output before timeout follows): {last}").into(),
            };
            self.set_status(id, Health::Critical, output, tx);
        } else if is_due(live.show_output) {
            live.show_output = None;
            let output = Text::clone(&live.output);
            if let Some(row) = self.check(&home, id) {
                let facts = CheckFacts { output, ..row.facts.clone() };
                self.put_check(&home, facts, tx);
            }
            self.reschedule(id);
        } else {
            live.critical_since = None;
            let of = self.check(&home, id).and_then(|row| row.facts.of.clone());
            match of {
                Some(of) => self.drop_service(&home, &of.id, tx),
                // A check of the node has no instance to remove.
                None => self.reschedule(id),
            }
        }
    }

    pub(super) fn maintenance(
        &mut self,
        service: Option<Text>,
        reason: Option<Text>,
        tx: &mut Tx,
    ) -> Result<(), Refused> {
        let [for_service, for_node] = NO_REASON;
        let (id, name, default, of) = match service {
            Some(id) => {
                self.own_service(&id)?;
                let of = self.check_of(&self.home, &id);
                (format!("_service_maintenance:{id}").into(), "Service Maintenance Mode", for_service, of)
            }
            None => (Text::from("_node_maintenance"), "Node Maintenance Mode", for_node, None),
        };
        let home = Text::clone(&self.home);
        match reason {
            None => self.drop_check(&home, &id, tx),
            // It is on already: the first reason stays.
            Some(_) if self.live.contains_key(&id) => {}
            Some(reason) => {
                let mut check = CheckSpec::new(&id, name, Probe::Maintenance);
                check.notes = if reason.is_empty() { default.into() } else { reason };
                self.start_check(check, of, "", tx);
            }
        }
        Ok(())
    }
}
