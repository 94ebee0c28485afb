//! Alias checks: as healthy as another service, or as a node. PURE.
//!
//! In:  what turned in a command: a check with another status, an instance that came or went. Out: the statuses of the
//! aliases that follow it, in the same command.
//!
//! Never: goes round for ever where aliases follow each other in a circle; costs anything where there is no alias.
//!
//! Rules from Consul: agent/checks/alias.go `processChecks` (the node's own checks count too, and the first critical
//! one decides), agent/local/state.go `notifyIfAliased` (a new output alone is no news).
//! Proof: `state/tests/aliases.rs`.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};

use super::{
    State,
    index::Tx,
    rows::{CheckSpec, Health, Probe, Text},
};

/// A node and one of its instances; no instance: the node itself.
pub(super) type Followed = (Text, Option<Text>);

/// How often one alias is looked at in one command. More than any sensible chain needs; it ends a circle.
const LOOKS: u8 = 8;

impl State {
    /// Takes in what the agent's check follows from now on, in place of what it followed.
    pub(super) fn index_alias(&mut self, spec: &CheckSpec, tx: &mut Tx) {
        if let Some(old) = self.live.get(&spec.id).and_then(|live| self.followed(&live.spec)) {
            self.unindex(&old, &spec.id);
        }
        if let Some(followed) = self.followed(spec) {
            tx.turned.insert(followed.clone());
            self.aliases.entry(followed).or_default().insert(Text::clone(&spec.id));
        }
    }

    /// Takes in what a check followed in an earlier life: its status stands already.
    pub(super) fn follow_again(&mut self, spec: &CheckSpec) {
        if let Some(followed) = self.followed(spec) {
            self.aliases.entry(followed).or_default().insert(Text::clone(&spec.id));
        }
    }

    /// The check is gone.
    pub(super) fn unindex_alias(&mut self, spec: &CheckSpec) {
        if let Some(followed) = self.followed(spec) {
            self.unindex(&followed, &spec.id);
        }
    }

    fn unindex(&mut self, followed: &Followed, id: &Text) {
        if let Some(followers) = self.aliases.get_mut(followed) {
            followers.remove(id);
            if followers.is_empty() {
                self.aliases.remove(followed);
            }
        }
    }

    fn followed(&self, spec: &CheckSpec) -> Option<Followed> {
        let Probe::Alias { node, service } = &spec.probe else { return None };
        Some((Text::clone(node.as_ref().unwrap_or(&self.home)), service.clone()))
    }

    /// Something that an alias may follow has turned.
    pub(super) fn turned(&self, node: &Text, service: Option<&Text>, tx: &mut Tx) {
        if !self.aliases.is_empty() {
            tx.turned.insert((Text::clone(node), service.cloned()));
        }
    }

    /// Gives the aliases of all that turned their status, and those that follow them, and so on.
    pub(super) fn follow_aliases(&mut self, tx: &mut Tx) {
        let mut looks: BTreeMap<Text, u8> = BTreeMap::new();
        while let Some(turned) = tx.turned.pop_first() {
            for id in self.followers(&turned) {
                let looked = looks.entry(Text::clone(&id)).or_default();
                if *looked < LOOKS {
                    *looked = looked.saturating_add(1);
                    self.follow(&id, tx);
                }
            }
        }
    }

    /// A check of a node concerns the aliases of all its instances.
    fn followers(&self, turned: &Followed) -> Vec<Text> {
        match turned {
            (_, Some(_)) => self.aliases.get(turned).into_iter().flatten().cloned().collect(),
            (node, None) => {
                let on_node = self.aliases.range(turned..).take_while(|((other, _), _)| other == node);
                let followers: BTreeSet<&Text> = on_node.flat_map(|(_, followers)| followers).collect();
                followers.into_iter().cloned().collect()
            }
        }
    }

    fn follow(&mut self, id: &Text, tx: &mut Tx) {
        let Some(Probe::Alias { node, service }) = self.live.get(id).map(|live| &live.spec.probe) else {
            return;
        };
        let (status, output) = self.alias_status(id, node.as_ref(), service.as_ref());
        self.set_status(id, status, super::cut(&output), tx);
    }

    fn alias_status(&self, own: &Text, node: Option<&Text>, service: Option<&Text>) -> (Health, String) {
        let on = self.nodes.get(node.unwrap_or(&self.home));
        let held = service.and_then(|id| on?.services.get(id));
        let (mut status, mut output) = (Health::Passing, "No checks found.".to_owned());
        let of_node = on.into_iter().flat_map(|on| on.checks.values());
        // The agent itself does not know of the checks that others put on its node.
        let of_node = of_node.filter(|check| node.is_some() || self.live.contains_key(&check.facts.id));
        // One of the node that followed itself would never be well again (in Consul it is not).
        let of_node = of_node.filter(|check| check.facts.id != *own);
        let mut found = held.is_some();
        for check in of_node.chain(held.into_iter().flat_map(|held| held.checks.values())) {
            let facts = &check.facts;
            found |= service.is_none();
            if facts.status != Health::Passing {
                status = facts.status;
                output = format!("Aliased check {:?} failing: {}", facts.name, facts.output);
                if status == Health::Critical {
                    break;
                }
            } else if status == Health::Passing {
                "All checks passing.".clone_into(&mut output);
            }
        }
        if found {
            return (status, output);
        }
        let (service, node) = (service.map_or("", |id| id), node.map_or("", |name| name));
        (Health::Critical, format!("Service {service} could not be found on node {node}"))
    }
}
