//! What the HTTP interface, the check runners and the embedded door share: one state, its watchers, its clock.
//!
//! In:  commands and questions. Out: replies; watchers woken, once the disk has what changed; the clock and the runners
//! told when they have work.
//!
//! Never: encodes, writes or waits while it holds the state; each hold is one command, or one copy of shared rows.

use std::{
    collections::BTreeSet,
    fmt,
    pin::pin,
    sync::{Arc, PoisonError},
    time::{Duration, SystemTime},
};

use portolan::registry::Block;
use tokio::{
    sync::{Notify, Semaphore},
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use crate::{
    acl::stamp::Stamp,
    api,
    chance::Chance,
    config::ServerConfig,
    durable::{Disk, NotKept, Pending, Started, Written, start},
    encode::Bodies,
    event::Events,
    state::{
        Changes, Command, Key, Refused, State,
        acl::{AclCommand, rows::TokenSpec},
        kv::{KvOp, KvShown, TxnFailed},
        rows::{NodeSpec, Text},
        sessions::SessionCommand,
    },
    store::{Place, Trouble},
    telemetry::Figures,
    wait::{Full, Hub},
};

mod restore;
mod txn;

/// The longest wait of a blocking query. Consul: agent/consul/config.go `MaxQueryTime`.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// The pause of the clock while the disk is so far behind that no index can be given.
const EXHAUSTED: Duration = Duration::from_millis(100);

/// The version of Consul whose interface is spoken, for clients that look at it.
pub(crate) const INTERFACE_VERSION: &str = "1.21.0";

/// One registry.
pub(crate) struct Core {
    pub(crate) config: ServerConfig,
    pub(crate) node_id: Text,
    pub(crate) bodies: Bodies,
    /// Room for the bodies of requests, in KiB.
    pub(crate) room: Arc<Semaphore>,
    /// Cancelled when the registry stops: open blocking queries are answered then.
    pub(crate) stopping: CancellationToken,
    /// Cancelled when somebody asks the registry to end.
    pub(crate) left: CancellationToken,
    pub(crate) started: Stamp,
    pub(crate) events: Events,
    /// `None`: everything is forgotten at the end.
    pub(crate) disk: Option<Disk>,
    pub(crate) figures: Figures,
    pub(crate) hub: Hub,
    clock: Notify,
    probes: Notify,
    #[expect(
        clippy::disallowed_types,
        reason = "held for one command or one copy of Arcs; never while encoding"
    )]
    inner: std::sync::Mutex<Inner>,
}

struct Inner {
    state: State,
    pending: Pending,
    chance: Chance,
    /// Checks whose probes the runners have not looked at yet.
    probes: BTreeSet<Text>,
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core").field("config", &self.config).finish_non_exhaustive()
    }
}

/// Why a command was not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NotDone {
    Refused(Refused),
    NotKept(NotKept),
}

impl fmt::Display for NotDone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refused) => refused.fmt(f),
            Self::NotKept(why) => why.fmt(f),
        }
    }
}

/// The agent's node as the settings have it.
pub(crate) fn home(config: &ServerConfig, node_id: Text) -> NodeSpec {
    let address: Text = config.node_address().to_string().into();
    let family = if config.node_address().is_ipv4() { "ipv4" } else { "ipv6" };
    let tags = ["lan".to_owned(), format!("lan_{family}"), "wan".to_owned(), format!("wan_{family}")];
    let meta = [("consul-network-segment", ""), ("consul-version", INTERFACE_VERSION)];
    NodeSpec {
        name: config.node.as_str().into(),
        id: node_id,
        tagged: Some(tags.iter().map(|tag| (tag.as_str().into(), Text::clone(&address))).collect()),
        address,
        meta: Some(meta.into_iter().map(|(key, value)| (key.into(), value.into())).collect()),
    }
}

impl Core {
    /// A registry that holds its own node only, and forgets all at the end. `config` has been checked.
    pub(crate) fn new(config: ServerConfig) -> Self {
        let mut chance = Chance::new(config.seed_or_new());
        let home = home(&config, chance.uuid().into());
        let state = State::new(home, Instant::now().into_std());
        Self::of(config, chance, Started { state, disk: None, bound: u64::MAX }).with_acls()
    }

    /// A registry as it is on disk, or a new one there. It blocks. `config` has been checked.
    ///
    /// # Errors
    /// [`Trouble`]: why what is there cannot be used.
    pub(crate) fn open(config: ServerConfig, place: Box<dyn Place>) -> Result<Self, Trouble> {
        let mut chance = Chance::new(config.seed_or_new());
        let home = home(&config, chance.uuid().into());
        let started = start(place, home, Instant::now().into_std())?;
        Ok(Self::of(config, chance, started).with_acls())
    }

    /// Puts in what a registry with rules has always, where rules are asked for. Until it is on disk, each start does it.
    fn with_acls(self) -> Self {
        self.start_acls();
        self
    }

    fn start_acls(&self) {
        if !self.config.acl_enabled {
            return;
        }
        let now = calendar();
        let accessor = self.with(|inner| inner.chance.uuid());
        let initial = self.config.acl_initial_management.as_ref();
        let start = AclCommand::Start {
            otherwise: self.config.acl_default_policy,
            datacenter: self.config.datacenter.as_str().into(),
            initial: initial.map(|secret| Box::new(TokenSpec::management(secret, &accessor, now))),
            now,
        };
        // Without it nobody has any right, so a failure opens nothing.
        if let Err(why) = self.apply(Command::Acl(start)) {
            tracing::error!(%why, "the rules could not be put in: every caller is refused");
        }
    }

    fn of(config: ServerConfig, chance: Chance, started: Started) -> Self {
        let Started { state, disk, bound } = started;
        Self {
            node_id: state.home_id(),
            bodies: Bodies::default(),
            room: Arc::new(Semaphore::new(config.limits.max_bodies >> 10)),
            stopping: CancellationToken::new(),
            left: CancellationToken::new(),
            started: calendar(),
            events: Events::default(),
            disk,
            figures: Figures::new(api::endpoints().count()),
            hub: Hub::new(config.limits.max_watchers),
            clock: Notify::new(),
            probes: Notify::new(),
            inner: Inner { state, pending: Pending::new(bound), chance, probes: BTreeSet::new() }.into(),
            config,
        }
    }

    fn with<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> T {
        work(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Carries out a command, and has those woken whom it concerns: now, or once it is on disk. What comes back is to be
    /// waited for ([`Core::kept`]) before anybody is told that it was done.
    ///
    /// # Errors
    /// [`NotDone`]: it changed nothing.
    pub(crate) fn apply(&self, command: Command) -> Result<Written, NotDone> {
        let is_beat =
            matches!(command, Command::Report { .. } | Command::Session(SessionCommand::Renew { .. }));
        let (reply, written) = self.change(is_beat, |state, now, broken| {
            match broken.filter(|_| !state.needs_no_disk(&command)) {
                Some(why) => Err(why),
                None => Ok(state.apply(command, now)),
            }
        })?;
        reply.map_err(NotDone::Refused)?;
        Ok(written)
    }

    /// Carries out operations on keys, all of them or none, as [`Core::apply`] does a command. That some failed is told
    /// once the disk has what they saw, too.
    ///
    /// # Errors
    /// [`NotDone::NotKept`]: nothing was done.
    pub(crate) fn apply_kv(
        &self,
        ops: &[KvOp],
    ) -> Result<(Result<Vec<KvShown>, TxnFailed>, Written), NotDone> {
        self.change(false, |state, now, broken| match broken {
            Some(why) => Err(why),
            None => Ok(state.apply_kv(ops, now)),
        })
    }

    /// `is_beat`: where it changes nothing that must last, nothing is waited for.
    fn change<T>(
        &self,
        is_beat: bool,
        run: impl FnOnce(&mut State, std::time::Instant, Option<NotKept>) -> Result<(T, Changes), NotKept>,
    ) -> Result<(T, Written), NotDone> {
        let now = Instant::now().into_std();
        let broken = self.disk.as_ref().and_then(Disk::broken);
        let (reply, written, changes, sooner) = self.with(|inner| {
            let Inner { state, pending, probes, .. } = inner;
            if !pending.may_change(state) {
                return Err(NotDone::NotKept(NotKept::exhausted()));
            }
            let before = state.next_deadline();
            let (reply, mut changes) = run(state, now, broken).map_err(NotDone::NotKept)?;
            probes.extend(changes.probes.iter().cloned());
            let is_beat = is_beat && changes.rows.is_empty();
            let line = self.hand_over(pending, &mut changes);
            let written = if is_beat { Written::NOTHING } else { line };
            Ok((reply, written, changes, is_sooner(state.next_deadline(), before)))
        })?;
        self.announce(&changes, sooner);
        Ok((reply, written))
    }

    /// Gives what must last, and who is to be woken then, to the one who writes.
    fn hand_over(&self, pending: &mut Pending, changes: &mut Changes) -> Written {
        let Some(disk) = &self.disk else { return Written::NOTHING };
        let written = pending.add(changes);
        disk.notify();
        written
    }

    /// Waits until the disk has it, where there is one.
    ///
    /// # Errors
    /// [`NotKept`]: the disk has it not, though what was done stands in memory.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing: it is written all the same.
    pub(crate) async fn kept(&self, written: Written) -> Result<(), NotKept> {
        match &self.disk {
            Some(disk) => disk.until(written).await,
            None => Ok(()),
        }
    }

    /// Looks at what is to be written, beside the state.
    pub(crate) fn pending<T>(&self, look: impl FnOnce(&State, &mut Pending) -> T) -> T {
        self.with(|inner| look(&inner.state, &mut inner.pending))
    }

    /// Wakes the watchers of `keys`.
    pub(crate) fn wake(&self, keys: &BTreeSet<Key>) {
        if !keys.is_empty() {
            let woken = self.hub.wake(keys);
            tracing::debug!(keys = keys.len(), woken, "the catalogue changed");
        }
    }

    fn announce(&self, changes: &Changes, deadline_is_sooner: bool) {
        if deadline_is_sooner {
            self.clock.notify_one();
        }
        if !changes.probes.is_empty() {
            self.probes.notify_one();
        }
        self.wake(&changes.keys);
    }

    /// Looks at the state. `look` only copies what is shared.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        self.with(|inner| look(&inner.state))
    }

    /// Waits until `key` is above the index that `block` names, the time is over, or the registry stops.
    ///
    /// # Cancel safety
    /// Dropping the future gives its place among the watchers back.
    pub(crate) async fn wait(&self, key: &Key, block: Option<Block>) -> Result<(), Full> {
        let Some(block) = block.filter(|block| block.index > 0) else { return Ok(()) };
        self.wait_while(key, block.wait, |state| state.index(key) <= block.index).await
    }

    /// Waits as long as `same` holds; it is asked again whenever `key` changes.
    pub(crate) async fn wait_while(
        &self,
        key: &Key,
        wait: Duration,
        same: impl Fn(&State) -> bool,
    ) -> Result<(), Full> {
        if !self.look(&same) {
            return Ok(());
        }
        let ticket = self.hub.enter(key)?;
        let wait = wait.min(LONGEST_WAIT);
        // As in Consul, so that those who asked together do not come back together.
        let jitter = self.with(|inner| inner.chance.up_to(wait / 16));
        let mut over = pin!(sleep_until(Instant::now() + wait + jitter));
        loop {
            let mut rung = pin!(ticket.bell.notified());
            rung.as_mut().enable();
            if !self.look(&same) {
                return Ok(());
            }
            tokio::select! {
                () = rung => {}
                () = &mut over => return Ok(()),
                () = self.stopping.cancelled() => return Ok(()),
            }
        }
    }

    /// Takes what the runners have to look at.
    pub(crate) fn take_probes(&self) -> BTreeSet<Text> {
        self.with(|inner| std::mem::take(&mut inner.probes))
    }

    /// Returns once probes came, went or changed.
    pub(crate) async fn probes_changed(&self) {
        self.probes.notified().await;
    }

    /// A generator of its own for a task, from the same seed.
    pub(crate) fn chance(&self) -> Chance {
        self.with(|inner| Chance::new(inner.chance.next()))
    }

    /// Runs the state's deadlines until the registry stops.
    pub(crate) async fn keep_time(&self) {
        loop {
            let next = self.look(State::next_deadline);
            let due = async {
                match next {
                    Some(at) => sleep_until(Instant::from_std(at)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = due => {}
                () = self.clock.notified() => continue,
                () = self.stopping.cancelled() => return,
            }
            let now = Instant::now().into_std();
            let ticked = self.with(|inner| {
                let Inner { state, pending, probes, .. } = inner;
                if !pending.may_change(state) {
                    return None;
                }
                let mut changes = state.tick(now);
                probes.extend(changes.probes.iter().cloned());
                let _nobody_waits = self.hand_over(pending, &mut changes);
                Some(changes)
            });
            match ticked {
                Some(changes) => self.announce(&changes, false),
                None => sleep(EXHAUSTED).await,
            }
        }
    }
}

/// The time by the calendar: tokens are made and end by it.
#[expect(clippy::disallowed_methods, reason = "the shell reads the clock, for a state that does not")]
pub(crate) fn calendar() -> Stamp {
    Stamp::of(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}

/// Whether the clock has to be told. One that waits for a deadline which is later by now finds that out by itself, so the
/// reports of ten thousand TTL checks, each of which may move the first deadline, do not wake it each time.
fn is_sooner(next: Option<std::time::Instant>, before: Option<std::time::Instant>) -> bool {
    next.is_some_and(|next| before.is_none_or(|before| next < before))
}
