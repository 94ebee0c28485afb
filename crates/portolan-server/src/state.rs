//! The catalogue and the agent's own state: commands in, changes out. PURE: no I/O, no clock, no task, no lock.
//!
//! In:  a [`Command`] with `now`, or [`State::tick`] when [`State::next_deadline`] has come.
//! Out: a reply, and the [`Changes`]: which keys have a new index, which probes are to be looked at, which rows must last.
//!
//! There is one agent, and its writes go straight into the catalogue in the same step: there is no anti-entropy to
//! wait for. Nodes elsewhere come in by the catalogue's own commands.
//!
//! Never: does half of a command; changes an index without a change, or the other way round.
//!
//! Rules from Consul: agent/consul/state/catalog.go, agent/local/state.go, agent/agent.go; CONSUL-WIRE facts.
//! Proof: `state/tests.rs`, tables and a property test against a model.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
    time::Instant,
};

pub(crate) mod acl;
mod alias;
mod catalog;
mod checks;
mod index;
pub(crate) mod kept;
pub(crate) mod kv;
mod names;
pub(crate) mod prepared;
mod queries;
mod replace;
mod restore;
pub(crate) mod rows;
pub(crate) mod sessions;
pub(crate) mod txn;

use {
    acl::{AclCommand, AclRefused, Acls},
    alias::Followed,
    checks::Live,
    index::{Indexes, Tx},
    kv::{Keys, KvOp, KvShown, TxnFailed},
    names::Names,
    prepared::{Queries, QueryCommand, QueryRefused},
    rows::{
        CheckFacts, CheckRow, CheckSpec, Health, NodeRow, NodeSpec, Origin, ServiceRow, ServiceSpec, Text,
    },
    sessions::{SessionCommand, SessionRefused, Sessions},
};
pub(crate) use {
    checks::{LEAST_DEREGISTER_AFTER, OUTPUT_LIMIT, cut},
    queries::{AgentCheck, CheckScope, Entry, Narrow, ProbeOrder, Tally},
};
pub(crate) use {
    index::{Changes, Key},
    kept::{FORMAT, Kept, RowKey},
    names::{Admit, Owner, Usable},
    restore::{Misfit, Restored},
};

/// One write. What it holds has been checked at the edge; only what needs the state is refused here.
#[derive(Debug)]
pub(crate) enum Command {
    /// Creates or replaces an instance of the agent. Checks that stay keep their status.
    RegisterService { service: Box<ServiceSpec>, checks: Vec<CheckSpec>, others: OtherChecks },
    /// Removes an instance of the agent, with its checks.
    DeregisterService { id: Text },
    /// Adds a check to the agent's node, or to one of its instances.
    RegisterCheck { check: Box<CheckSpec>, service: Option<Text> },
    /// Removes a check of the agent.
    DeregisterCheck { id: Text },
    /// A service tells the status of its TTL check.
    Report { check: Text, status: Health, output: Text },
    /// A probe has run. `generation` is that of its [`ProbeOrder`]: the word of an older definition is dropped.
    Outcome { check: Text, generation: u64, status: Health, output: Text },
    /// Takes an instance (or, with `None`, the node) out of service, or back in (no reason).
    Maintenance { service: Option<Text>, reason: Option<Text> },
    /// Puts a node, an instance and checks into the catalogue, as they are.
    CatalogRegister(Box<CatalogEntry>),
    /// Takes a node, or one instance or check on it, out of the catalogue.
    CatalogDeregister { node: Text, service: Option<Text>, check: Option<Text> },
    /// Changes who may do what.
    Acl(AclCommand),
    /// Opens, renews or ends a session.
    Session(SessionCommand),
    /// Keeps a question under a name, or forgets one.
    Query(QueryCommand),
}

/// What happens to the checks of an instance that its new definition does not name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OtherChecks {
    Keep,
    Remove,
}

/// A registration through the catalogue.
#[derive(Debug)]
pub(crate) struct CatalogEntry {
    pub(crate) node: NodeSpec,
    /// Leave a node that is there as it is.
    pub(crate) skip_node_update: bool,
    pub(crate) service: Option<ServiceSpec>,
    pub(crate) checks: Vec<CatalogCheck>,
}

/// A check that comes through the catalogue: nobody runs it.
#[derive(Debug)]
pub(crate) struct CatalogCheck {
    pub(crate) facts: CheckFacts,
    /// The id of the instance on the same node; `None`: of the node.
    pub(crate) service: Option<Text>,
}

/// Why a command changed nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    UnknownService(Text),
    UnknownCheck(Text),
    /// A check was to be added to an instance that is not there.
    NoSuchService(Text),
    /// A report came for a check that takes none.
    NotTtl(Text),
    /// A check of the catalogue names an instance that is not on its node.
    OrphanCheck {
        check: Text,
        service: Text,
    },
    Acl(AclRefused),
    Session(SessionRefused),
    Query(QueryRefused),
}

impl fmt::Display for Refused {
    /// Consul's texts.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownService(id) => write!(
                f,
                "Unknown service ID {id:?}. Ensure that the service ID is passed, not the service name."
            ),
            Self::UnknownCheck(id) => {
                write!(f, "Unknown check ID {id:?}. Ensure that the check ID is passed, not the check name.")
            }
            Self::NoSuchService(id) => write!(f, "ServiceID {id:?} does not exist"),
            Self::NotTtl(id) => write!(f, "CheckID {id:?} does not have associated TTL"),
            Self::OrphanCheck { check, service } => {
                write!(f, "Unknown service ID '{service}' for check ID '{check}'")
            }
            Self::Acl(why) => why.fmt(f),
            Self::Session(why) => write!(f, "apply failed: {why}"),
            Self::Query(why) => write!(f, "raft apply failed: {why}"),
        }
    }
}

#[derive(Debug)]
struct Node {
    row: Arc<NodeRow>,
    services: BTreeMap<Text, Held>,
    /// The node's own checks.
    checks: BTreeMap<Text, Arc<CheckRow>>,
    /// Which instance each of the other checks belongs to: check ids are unique on a node.
    owners: BTreeMap<Text, Text>,
}

#[derive(Debug)]
struct Held {
    row: Arc<ServiceRow>,
    checks: BTreeMap<Text, Arc<CheckRow>>,
}

/// All that the registry knows.
#[derive(Debug)]
pub(crate) struct State {
    home: Text,
    nodes: BTreeMap<Text, Node>,
    /// Node and id of each service's instances, in the order they are listed.
    by_name: BTreeMap<Text, BTreeSet<(Text, Text)>>,
    names: Names,
    /// The agent's own checks, as they run.
    live: BTreeMap<Text, Live>,
    /// The agent's alias checks, by what they follow.
    aliases: BTreeMap<Followed, BTreeSet<Text>>,
    deadlines: BTreeSet<(Instant, Text)>,
    generations: u64,
    index: Indexes,
    acls: Acls,
    kv: Keys,
    sessions: Sessions,
    queries: Queries,
}

impl State {
    /// A registry that knows its own node, that node's `serfHealth` and the service `consul`, as every Consul does.
    pub(crate) fn new(home: NodeSpec, now: Instant) -> Self {
        let mut state = Self::bare(Text::clone(&home.name));
        let mut tx = state.index.begin(now);
        state.boot(home, &mut tx);
        let _boot = state.commit(tx);
        state
    }

    /// Puts in what every registry has, where it is not there already.
    fn boot(&mut self, home: NodeSpec, tx: &mut Tx) {
        let mut consul = ServiceSpec::new("consul", "consul");
        consul.port = SERVER_PORT;
        let serf = CheckFacts {
            id: "serfHealth".into(),
            name: "Serf Health Status".into(),
            notes: "".into(),
            status: Health::Passing,
            output: "Agent alive and reachable".into(),
            kind: "".into(),
            interval: "".into(),
            timeout: "".into(),
            of: None,
            definition: None,
        };
        let home = self.put_node(home, tx);
        self.put_service(&home, consul, Origin::Catalog, tx);
        self.put_check(&home, serf, tx);
    }

    /// Carries out one command, whole or not at all.
    pub(crate) fn apply(&mut self, command: Command, now: Instant) -> (Result<(), Refused>, Changes) {
        let mut tx = self.index.begin(now);
        let reply = self.carry_out(command, &mut tx);
        (reply, self.commit(tx))
    }

    /// Carries out operations on keys, all of them or none.
    pub(crate) fn apply_kv(
        &mut self,
        ops: &[KvOp],
        now: Instant,
    ) -> (Result<Vec<KvShown>, TxnFailed>, Changes) {
        let mut tx = self.index.begin(now);
        let reply = self.kv_transaction(ops, &mut tx);
        (reply, self.commit(tx))
    }

    fn carry_out(&mut self, command: Command, tx: &mut Tx) -> Result<(), Refused> {
        match command {
            Command::RegisterService { service, checks, others } => {
                self.register_service(*service, checks, others, tx);
                Ok(())
            }
            Command::DeregisterService { id } => self.deregister_service(&id, tx),
            Command::RegisterCheck { check, service } => self.register_check(*check, service, tx),
            Command::DeregisterCheck { id } => self.deregister_check(&id, tx),
            Command::Report { check, status, output } => self.report(&check, status, output, tx),
            Command::Outcome { check, generation, status, output } => {
                self.outcome(&check, generation, status, output, tx);
                Ok(())
            }
            Command::Maintenance { service, reason } => self.maintenance(service, reason, tx),
            Command::CatalogRegister(entry) => self.catalog_register(*entry, tx),
            Command::CatalogDeregister { node, service, check } => {
                self.catalog_deregister(&node, service.as_deref(), check.as_deref(), tx);
                Ok(())
            }
            Command::Acl(command) => self.change_acls(command, tx).map_err(Refused::Acl),
            Command::Session(command) => self.change_sessions(command, tx).map_err(Refused::Session),
            Command::Query(command) => self.change_queries(command, tx).map_err(Refused::Query),
        }
    }

    /// Whether a command may be carried out while nothing can be written: a heartbeat that changes no status, and what a
    /// probe found, which nobody waits for.
    pub(crate) fn needs_no_disk(&self, command: &Command) -> bool {
        match command {
            Command::Report { check, status, .. } => {
                self.check(&self.home, check).is_some_and(|row| row.facts.status == *status)
            }
            Command::Outcome { .. } | Command::Session(SessionCommand::Renew { .. }) => true,
            _ => false,
        }
    }

    /// When [`State::tick`] has something to do.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let of_checks = self.deadlines.first().map(|(at, _)| *at);
        of_checks.into_iter().chain(self.sessions.next_deadline()).min()
    }

    /// Does what is due: silent TTL checks turn critical, long critical instances go, held-back output is shown, sessions
    /// that nobody renewed end.
    pub(crate) fn tick(&mut self, now: Instant) -> Changes {
        let mut tx = self.index.begin(now);
        while let Some((at, check)) = self.deadlines.first().cloned() {
            if at > now {
                break;
            }
            self.check_is_due(&check, &mut tx);
        }
        self.end_late_sessions(&mut tx);
        self.commit(tx)
    }

    fn commit(&mut self, mut tx: Tx) -> Changes {
        self.follow_aliases(&mut tx);
        self.collect_rows(&mut tx);
        self.kv.settle(tx.at);
        let (nodes, by_name) = (&self.nodes, &self.by_name);
        self.index.commit(tx, |key| match key {
            Key::Service(name) => by_name.contains_key(name),
            Key::Node(name) | Key::NodeChecks(name) => nodes.contains_key(name),
            _ => true,
        })
    }

    /// The index of `key`, at least 1.
    pub(crate) fn index(&self, key: &Key) -> u64 {
        let own = match key {
            Key::Kv(name) => self.kv.index(name),
            Key::KvBelow(prefix) => self.kv.index_below(prefix),
            Key::Session(_) | Key::SessionsOn(_) => self.index.of(&Key::Sessions),
            _ => 0,
        };
        self.index.of(key).max(own)
    }

    /// The newest index that was given to anything.
    pub(crate) fn last_index(&self) -> u64 {
        self.index.last()
    }
}

/// The port that the service `consul` names: Consul's servers speak their own protocol there, which we do not.
pub(crate) const SERVER_PORT: u16 = 8300;

#[cfg(test)]
mod tests;
