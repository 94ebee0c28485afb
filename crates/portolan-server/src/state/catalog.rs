//! How nodes, instances and checks get into the catalogue and out of it. PURE.
//!
//! In:  definitions, and the transaction that they belong to. Out: rows replaced, keys touched.
//!
//! Never: touches a key for a definition that was there already; leaves a check without its instance.
//!
//! Rules from Consul: agent/consul/state/catalog.go `ensureNodeTxn`, `ensureServiceTxn`, `ensureCheckTxn` and their
//! counterparts that delete. Differs: the agent's own node cannot be changed or removed through the catalogue (in
//! Consul the agent puts it right a minute later).
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{collections::BTreeMap, sync::Arc};

use super::{
    CatalogCheck, CatalogEntry, Held, Key, Node, Refused, State,
    index::Tx,
    kept::Place,
    rows::{
        CheckFacts, CheckOf, CheckRow, Health, NodeRow, NodeSpec, Origin, ServiceRow, ServiceSpec, Text,
        folded,
    },
};

impl State {
    /// Creates or replaces a node; its name is returned for what follows.
    pub(super) fn put_node(&mut self, spec: NodeSpec, tx: &mut Tx) -> Text {
        let name = Text::clone(&spec.name);
        match self.nodes.get_mut(&name) {
            Some(node) if node.row.spec == spec => return name,
            Some(node) => {
                let NodeRow { key, create, .. } = *node.row;
                self.names.node_left(&node.row.spec);
                self.names.node_came(&spec);
                node.row = Arc::new(NodeRow { key, spec, create, modify: tx.at });
                tx.keep(key, Place::Node(Text::clone(&name)));
            }
            None => {
                let key = tx.new_key();
                self.names.node_came(&spec);
                let row = Arc::new(NodeRow { key, spec, create: tx.at, modify: tx.at });
                tx.keep(key, Place::Node(Text::clone(&name)));
                let node =
                    Node { row, services: BTreeMap::new(), checks: BTreeMap::new(), owners: BTreeMap::new() };
                self.nodes.insert(Text::clone(&name), node);
                tx.touch(Key::NodeChecks(Text::clone(&name)));
            }
        }
        tx.touch(Key::Nodes);
        tx.touch(Key::Node(Text::clone(&name)));
        self.touch_services_of(&name, tx);
        name
    }

    /// An answer about a service shows its nodes and their checks too, so they move its index.
    fn touch_services_of(&self, node: &Text, tx: &mut Tx) {
        for held in self.nodes.get(node).iter().flat_map(|node| node.services.values()) {
            tx.touch_instance_of(&held.row.spec);
        }
    }

    fn touch_instance(&self, node: &Text, id: &Text, name: &Text, tx: &mut Tx) {
        tx.touch(Key::Services);
        tx.touch(Key::Node(Text::clone(node)));
        tx.touch_service(name);
        self.turned(node, Some(id), tx);
        if *node == self.home {
            tx.touch(Key::AgentService(Text::clone(id)));
        }
    }

    /// Creates or replaces an instance on a node that is there.
    pub(super) fn put_service(&mut self, node: &Text, spec: ServiceSpec, origin: Origin, tx: &mut Tx) {
        let Some(on) = self.nodes.get_mut(node) else { return };
        let (id, name) = (Text::clone(&spec.id), Text::clone(&spec.name));
        let of = CheckOf { id: Text::clone(&id), name: Text::clone(&name), tags: Arc::clone(&spec.tags) };
        let place = Place::Service(Text::clone(node), Text::clone(&id));
        let mut left = None;
        // Whom it is, and was, a proxy for.
        let mut spoken_for = Vec::from_iter(spec.destination().cloned());
        match on.services.get_mut(&id) {
            Some(held) if held.row.spec == spec && held.row.origin == origin => return,
            Some(held) => {
                left = Some(Text::clone(&held.row.spec.name)).filter(|old| *old != name);
                spoken_for.extend(held.row.spec.destination().cloned());
                let ServiceRow { key, create, .. } = *held.row;
                self.names.service_left(node, &held.row.spec);
                self.names.service_came(node, &spec);
                held.row = Arc::new(ServiceRow { key, spec, origin, create, modify: tx.at });
                tx.keep(key, place);
            }
            None => {
                let key = tx.new_key();
                self.names.service_came(node, &spec);
                let row = ServiceRow { key, spec, origin, create: tx.at, modify: tx.at };
                tx.keep(key, place);
                on.services.insert(Text::clone(&id), Held { row: Arc::new(row), checks: BTreeMap::new() });
            }
        }
        if let Some(old) = left {
            self.unlist(node, &id, &old, tx);
        }
        self.by_name.entry(folded(&name)).or_default().insert((Text::clone(node), Text::clone(&id)));
        self.touch_instance(node, &id, &name, tx);
        spoken_for.iter().for_each(|of| tx.touch_service(of));
        self.rename_checks(node, &id, &of, tx);
    }

    /// Checks repeat the name and tags of their instance; they follow when those change.
    fn rename_checks(&mut self, node: &Text, id: &Text, of: &CheckOf, tx: &mut Tx) {
        let Some(held) = self.nodes.get_mut(node).and_then(|node| node.services.get_mut(id)) else { return };
        for check in held.checks.values_mut().filter(|check| check.facts.of.as_ref() != Some(of)) {
            let facts = CheckFacts { of: Some(of.clone()), ..check.facts.clone() };
            let CheckRow { key, create, .. } = **check;
            let place = Place::Check(Text::clone(node), Text::clone(&facts.id));
            *check = Arc::new(CheckRow { key, node: Text::clone(node), facts, create, modify: tx.at });
            tx.keep(key, place);
            tx.touch(Key::Checks);
            tx.touch(Key::NodeChecks(Text::clone(node)));
        }
    }

    fn unlist(&mut self, node: &Text, id: &Text, name: &Text, tx: &mut Tx) {
        let listed = folded(name);
        if let Some(instances) = self.by_name.get_mut(&listed) {
            instances.remove(&(Text::clone(node), Text::clone(id)));
            if instances.is_empty() {
                self.by_name.remove(&listed);
            }
        }
        tx.touch_service(name);
    }

    /// Removes an instance and its checks.
    pub(super) fn drop_service(&mut self, node: &Text, id: &Text, tx: &mut Tx) {
        let Some(held) = self.nodes.get(node).and_then(|node| node.services.get(id)) else { return };
        let checks: Vec<Text> = held.checks.keys().cloned().collect();
        for check in &checks {
            self.drop_check(node, check, tx);
        }
        let Some(held) = self.nodes.get_mut(node).and_then(|node| node.services.remove(id)) else { return };
        tx.keep(held.row.key, Place::Service(Text::clone(node), Text::clone(id)));
        self.names.service_left(node, &held.row.spec);
        let name = Text::clone(&held.row.spec.name);
        self.unlist(node, id, &name, tx);
        self.touch_instance(node, id, &name, tx);
        tx.touch_instance_of(&held.row.spec);
    }

    /// Creates or replaces a check; the instance that it names is there.
    pub(super) fn put_check(&mut self, node: &Text, facts: CheckFacts, tx: &mut Tx) {
        let id = Text::clone(&facts.id);
        let owner = facts.of.as_ref().map(|of| Text::clone(&of.id));
        if facts.status == Health::Critical {
            self.end_sessions_of_check(node, &id, tx);
        }
        let before = self.check(node, &id).map(Arc::clone);
        let moved =
            before.as_ref().is_some_and(|row| row.facts.of.as_ref().map(|of| &of.id) != owner.as_ref());
        if moved {
            self.drop_check_row(node, &id, tx);
        }
        if before.as_ref().is_some_and(|row| row.facts == facts) {
            return;
        }
        let (key, create) =
            before.as_ref().map_or_else(|| (tx.new_key(), tx.at), |row| (row.key, row.create));
        tx.keep(key, Place::Check(Text::clone(node), Text::clone(&id)));
        if moved || before.is_none_or(|row| row.facts.status != facts.status) {
            self.turned(node, owner.as_ref(), tx);
        }
        self.touch_check(node, facts.of.as_ref(), tx);
        let row = Arc::new(CheckRow { key, node: Text::clone(node), facts, create, modify: tx.at });
        let Some(on) = self.nodes.get_mut(node) else { return };
        match owner {
            None => {
                on.checks.insert(id, row);
            }
            Some(service) => {
                if let Some(held) = on.services.get_mut(&service) {
                    held.checks.insert(Text::clone(&id), row);
                    on.owners.insert(id, service);
                }
            }
        }
    }

    fn touch_check(&self, node: &Text, of: Option<&CheckOf>, tx: &mut Tx) {
        tx.touch(Key::Checks);
        tx.touch(Key::NodeChecks(Text::clone(node)));
        match of {
            Some(of) => {
                tx.touch_service(&of.name);
                let held = self.nodes.get(node).and_then(|node| node.services.get(&of.id));
                held.iter().for_each(|held| tx.touch_instance_of(&held.row.spec));
            }
            None => self.touch_services_of(node, tx),
        }
    }

    /// The check of this id on a node, whomever it speaks for.
    pub(super) fn check(&self, node: &str, id: &str) -> Option<&Arc<CheckRow>> {
        let node = self.nodes.get(node)?;
        match node.owners.get(id) {
            Some(service) => node.services.get(service)?.checks.get(id),
            None => node.checks.get(id),
        }
    }

    fn drop_check_row(&mut self, node: &Text, id: &str, tx: &mut Tx) {
        let Some(on) = self.nodes.get_mut(node) else { return };
        let row = match on.owners.remove(id) {
            Some(service) => on.services.get_mut(&service).and_then(|held| held.checks.remove(id)),
            None => on.checks.remove(id),
        };
        if let Some(row) = row {
            tx.keep(row.key, Place::Check(Text::clone(node), id.into()));
            let of = row.facts.of.as_ref();
            self.turned(node, of.map(|of| &of.id), tx);
            self.touch_check(node, of, tx);
        }
    }

    /// Removes a check, and stops it if the agent runs it.
    pub(super) fn drop_check(&mut self, node: &Text, id: &Text, tx: &mut Tx) {
        self.drop_check_row(node, id, tx);
        self.end_sessions_of_check(node, id, tx);
        if *node == self.home {
            self.forget_live(id, tx);
        }
    }

    pub(super) fn catalog_register(&mut self, entry: CatalogEntry, tx: &mut Tx) -> Result<(), Refused> {
        let name = Text::clone(&entry.node.name);
        let known = self.nodes.contains_key(&name);
        let new_id = entry.service.as_ref().map(|service| &service.id);
        for CatalogCheck { facts, service } in &entry.checks {
            let Some(id) = service.as_ref().filter(|id| Some(*id) != new_id) else { continue };
            if !self.nodes.get(&name).is_some_and(|node| node.services.contains_key(id)) {
                let (check, service) = (Text::clone(&facts.id), Text::clone(id));
                return Err(Refused::OrphanCheck { check, service });
            }
        }
        if name != self.home && !(known && entry.skip_node_update) {
            self.put_node(entry.node, tx);
        }
        if let Some(service) = entry.service
            && !self.is_of_agent(&name, &service.id)
        {
            self.put_service(&name, service, Origin::Catalog, tx);
        }
        for check in entry.checks {
            self.put_catalog_check(&name, check, tx);
        }
        Ok(())
    }

    pub(super) fn put_catalog_check(&mut self, node: &Text, check: CatalogCheck, tx: &mut Tx) {
        let CatalogCheck { mut facts, service } = check;
        if *node == self.home && (self.live.contains_key(&facts.id) || &*facts.id == "serfHealth") {
            return;
        }
        facts.of = service.and_then(|id| self.check_of(node, &id));
        self.put_check(node, facts, tx);
    }

    /// What the checks of an instance repeat of it.
    pub(super) fn check_of(&self, node: &Text, id: &Text) -> Option<CheckOf> {
        let spec = &self.nodes.get(node)?.services.get(id)?.row.spec;
        Some(CheckOf {
            id: Text::clone(&spec.id),
            name: Text::clone(&spec.name),
            tags: Arc::clone(&spec.tags),
        })
    }

    /// Whether the agent itself answers for an instance: the catalogue's commands leave those alone.
    pub(super) fn is_of_agent(&self, node: &Text, id: &str) -> bool {
        let held = self.nodes.get(node).and_then(|node| node.services.get(id));
        *node == self.home && held.is_some_and(|held| held.row.origin == Origin::Agent || id == "consul")
    }

    pub(super) fn catalog_deregister(
        &mut self,
        node: &Text,
        service: Option<&str>,
        check: Option<&str>,
        tx: &mut Tx,
    ) {
        match (service, check) {
            (Some(id), _) => {
                if !self.is_of_agent(node, id) {
                    self.drop_service(node, &id.into(), tx);
                }
            }
            (None, Some(id)) => {
                let ours = *node == self.home && (self.live.contains_key(id) || id == "serfHealth");
                if !ours {
                    self.drop_check(node, &id.into(), tx);
                }
            }
            (None, None) if *node != self.home => self.drop_node(node, tx),
            (None, None) => {}
        }
    }

    fn drop_node(&mut self, node: &Text, tx: &mut Tx) {
        let Some(on) = self.nodes.get(node) else { return };
        let services: Vec<Text> = on.services.keys().cloned().collect();
        let checks: Vec<Text> = on.checks.keys().cloned().collect();
        for id in &services {
            self.drop_service(node, id, tx);
        }
        for id in &checks {
            self.drop_check(node, id, tx);
        }
        self.end_sessions_of_node(node, tx);
        if let Some(on) = self.nodes.remove(node) {
            self.names.node_left(&on.row.spec);
            tx.keep(on.row.key, Place::Node(Text::clone(node)));
        }
        tx.touch(Key::Nodes);
        tx.touch(Key::Node(Text::clone(node)));
        tx.touch(Key::NodeChecks(Text::clone(node)));
    }
}
