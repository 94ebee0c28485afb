//! The registry's truth: what every service holds, at which index, and what it held at every earlier moment.
//!
//! In:  changes of instances, resets, restores. Out: contents with an index as Consul counts them: one count for the
//! whole registry, and for each service the count of its last change.
//!
//! Never: forgets a moment: the law of ages is judged by it.

use std::{collections::BTreeMap, sync::Arc};

use portolan::{Identity, Instance};
use tokio::time::Instant;

/// What a service holds, ordered by identity.
pub(crate) type Content = Arc<[Arc<Instance>]>;

/// The first index of a registry's life; a lie's is below it.
const FIRST_INDEX: u64 = 10;
/// So many earlier states are kept.
const LOGGED: usize = 64;

/// One service.
#[derive(Clone, Debug)]
struct Entry {
    instances: BTreeMap<Identity, Arc<Instance>>,
    content: Content,
    index: u64,
}

/// A state of the registry, to return to or to be stuck at.
#[derive(Clone, Debug)]
pub(crate) struct Moment {
    pub(crate) at: Instant,
    services: BTreeMap<String, Entry>,
}

/// The registry.
#[derive(Debug)]
pub(crate) struct Model {
    services: BTreeMap<String, Entry>,
    /// For each service, since when it holds what.
    history: BTreeMap<String, Vec<(Instant, Content)>>,
    raft: u64,
    saved: Option<Moment>,
    /// The states of this life, oldest first: what a server shows that replays its log.
    log: Vec<Moment>,
    /// What a reset lost, and its owners will register again.
    lost: Vec<(String, Arc<Instance>)>,
}

impl Model {
    pub(crate) fn new(names: &[&str]) -> Self {
        let empty = Entry { instances: BTreeMap::new(), content: Arc::default(), index: FIRST_INDEX };
        let services = names.iter().map(|name| ((*name).to_owned(), empty.clone())).collect();
        let history = names.iter().map(|name| ((*name).to_owned(), vec![(Instant::now(), Arc::default())]));
        Self {
            services,
            history: history.collect(),
            raft: FIRST_INDEX,
            saved: None,
            log: Vec::new(),
            lost: Vec::new(),
        }
    }

    /// What a service holds, and its index. A service that was never heard of holds nothing.
    pub(crate) fn content(&self, name: &str) -> (Content, u64) {
        content_of(&self.services, name)
    }

    /// Creates, replaces or (with `None`) removes one instance.
    pub(crate) fn set(&mut self, name: &str, identity: &Identity, to: Option<Instance>) {
        self.log();
        self.raft += 1;
        let Some(entry) = self.services.get_mut(name) else { return };
        match to {
            Some(instance) => {
                let instance = Arc::new(instance);
                entry.instances.insert(instance.identity.clone(), instance);
            }
            None => {
                entry.instances.remove(identity);
            }
        }
        entry.index = self.raft;
        self.settle(name);
    }

    fn log(&mut self) {
        if self.log.len() >= LOGGED {
            self.log.drain(..LOGGED / 2);
        }
        self.log.push(self.moment());
    }

    /// An earlier state of this life.
    pub(crate) fn logged(&self, place: usize) -> Option<&Moment> {
        self.log.get(place)
    }

    /// How many of them there are.
    pub(crate) fn log_len(&self) -> usize {
        self.log.len()
    }

    /// The index moves, the content does not: a check's output, or a node's other service.
    pub(crate) fn touch(&mut self, name: &str) {
        self.raft += 1;
        if let Some(entry) = self.services.get_mut(name) {
            entry.index = self.raft;
        }
    }

    /// The registry starts anew with a low index: with its data, or without.
    pub(crate) fn reset(&mut self, with_data: bool) {
        self.raft = FIRST_INDEX;
        let mut names = Vec::new();
        for (name, entry) in &mut self.services {
            names.push(name.clone());
            entry.index = FIRST_INDEX;
            if !with_data {
                let gone = std::mem::take(&mut entry.instances);
                self.lost.extend(gone.into_values().map(|instance| (name.clone(), instance)));
            }
        }
        self.saved = None;
        self.log.clear();
        names.iter().for_each(|name| self.settle(name));
    }

    /// Loses all but one instance of a service, without a word.
    pub(crate) fn lose_most(&mut self, name: &str) {
        self.raft += 1;
        let Some(entry) = self.services.get_mut(name) else { return };
        let kept = entry.instances.pop_first();
        let gone = std::mem::take(&mut entry.instances);
        self.lost.extend(gone.into_values().map(|instance| (name.to_owned(), instance)));
        entry.instances.extend(kept);
        entry.index = self.raft;
        self.settle(name);
    }

    /// An owner whose instance was lost registers it again. Says whether there was one.
    pub(crate) fn return_one(&mut self) -> bool {
        let Some((name, instance)) = self.lost.pop() else { return false };
        let identity = &instance.identity;
        let there = self.services.get(&name).is_some_and(|entry| entry.instances.contains_key(identity));
        if !there {
            self.set(&name, identity, Some((*instance).clone()));
        }
        true
    }

    /// Saves a snapshot of the registry.
    pub(crate) fn save(&mut self) {
        self.saved = Some(self.moment());
    }

    /// Restores the saved snapshot: contents and indexes of then. Says whether there was one.
    pub(crate) fn restore(&mut self) -> bool {
        let Some(saved) = &self.saved else { return false };
        self.services.clone_from(&saved.services);
        self.log.clear();
        self.raft = self.services.values().map(|entry| entry.index).max().unwrap_or(FIRST_INDEX);
        let names: Vec<String> = self.services.keys().cloned().collect();
        names.iter().for_each(|name| self.settle(name));
        true
    }

    /// What the registry holds now, for a server that gets stuck at it.
    pub(crate) fn moment(&self) -> Moment {
        Moment { at: Instant::now(), services: self.services.clone() }
    }

    /// When the registry last held this; `None`: never.
    pub(crate) fn last_true(&self, name: &str, content: &[Arc<Instance>]) -> Option<Instant> {
        let history = self.history.get(name)?;
        let place = history.iter().rposition(|(_, held)| **held == *content)?;
        Some(history.get(place + 1).map_or_else(Instant::now, |(since, _)| *since))
    }

    /// Brings a service's list and history up to its instances.
    fn settle(&mut self, name: &str) {
        let Some(entry) = self.services.get_mut(name) else { return };
        let mut list: Vec<Arc<Instance>> = entry.instances.values().cloned().collect();
        list.sort_by(|left, right| left.identity.cmp(&right.identity));
        if *list != *entry.content {
            entry.content = list.into();
        }
        let Some(history) = self.history.get_mut(name) else { return };
        if history.last().is_none_or(|(_, held)| *held != entry.content) {
            history.push((Instant::now(), Arc::clone(&entry.content)));
        }
    }
}

impl Moment {
    /// What a service held then.
    pub(crate) fn content(&self, name: &str) -> (Content, u64) {
        content_of(&self.services, name)
    }
}

fn content_of(services: &BTreeMap<String, Entry>, name: &str) -> (Content, u64) {
    services
        .get(name)
        .map_or_else(|| (Arc::default(), FIRST_INDEX), |entry| (Arc::clone(&entry.content), entry.index))
}
