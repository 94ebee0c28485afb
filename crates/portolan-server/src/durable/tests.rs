//! What is acknowledged lasts: an error at every operation of the disk in turn, and power lost at any of them.
//!
//! `PORTOLAN_POWER_SEEDS` says how many seeds are played, `PORTOLAN_POWER_SEED` plays one; `cargo xtask power` sets them.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::disallowed_types,
    reason = "a test that overflows fails, as it should; its own book may be locked"
)]

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{runtime::Builder, task::JoinSet, time::timeout};

use super::*;
use crate::{
    chance::Chance,
    config::ServerConfig,
    core::NotDone,
    embed::background,
    state::{
        CatalogEntry, Command, Narrow, OtherChecks,
        rows::{CheckSpec, Health, NodeSpec, Probe, ServiceSpec, Text},
    },
    store::simulated::Simulated,
};

/// In the time of the test: a disk that works again has been noticed long before.
const PATIENCE: Duration = Duration::from_secs(60);

/// What an id may be: what was acknowledged last, and what was tried since without an answer.
type Version = Option<u16>;

/// What the clients of a registry know, over all its lives.
#[derive(Debug, Default)]
struct Known {
    may_be: BTreeMap<Text, Vec<Version>>,
    /// The highest index that was shown for each key.
    shown: BTreeMap<Key, u64>,
    acknowledged: u64,
    refused: u64,
}

impl Known {
    fn trying(&mut self, id: &Text, version: Version) {
        self.may_be.entry(Text::clone(id)).or_insert_with(|| vec![None]).push(version);
    }

    fn done(&mut self, id: &Text, version: Version) {
        self.acknowledged += 1;
        self.may_be.insert(Text::clone(id), vec![version]);
    }
}

type Book = Arc<Mutex<Known>>;

fn noted<T>(book: &Book, note: impl FnOnce(&mut Known) -> T) -> T {
    note(&mut book.lock().unwrap_or_else(PoisonError::into_inner))
}

fn config() -> ServerConfig {
    ServerConfig::default().seed(Some(1))
}

/// An instance whose parts all say which version it is, so that half of one would show.
fn register(id: &Text, version: u16) -> Command {
    let mut service = ServiceSpec::new("web", id);
    service.port = version;
    let mut check = CheckSpec::new(&format!("check:{id}"), "check", Probe::Ttl(Duration::from_secs(3600)));
    check.notes = version.to_string().into();
    Command::RegisterService { service: Box::new(service), checks: vec![check], others: OtherChecks::Remove }
}

/// The same on a node elsewhere, which comes with it.
fn register_far(id: &Text, version: u16) -> Command {
    let name: Text = format!("node:{id}").into();
    let address = version.to_string().into();
    let node = NodeSpec { name, id: "".into(), address, tagged: None, meta: None };
    let mut service = ServiceSpec::new("far", id);
    service.port = version;
    let entry = CatalogEntry { node, skip_node_update: false, service: Some(service), checks: Vec::new() };
    Command::CatalogRegister(Box::new(entry))
}

fn remove(id: &Text) -> Command {
    if id.starts_with("far") {
        return Command::CatalogDeregister { node: format!("node:{id}").into(), service: None, check: None };
    }
    Command::DeregisterService { id: Text::clone(id) }
}

fn put(id: &Text, version: u16) -> Command {
    if id.starts_with("far") { register_far(id, version) } else { register(id, version) }
}

/// Carries out a command as a client sees it: `true` was acknowledged.
async fn write(core: &Core, command: Command) -> Result<bool, String> {
    match core.apply(command) {
        Ok(written) => {
            let ended = timeout(PATIENCE, core.kept(written)).await;
            Ok(ended.map_err(|_late| "a write was never answered".to_owned())?.is_ok())
        }
        // What is not there need not be removed.
        Err(NotDone::Refused(_)) => Ok(true),
        Err(NotDone::NotKept(_)) => Ok(false),
    }
}

/// What the registry holds of each id; an id that is half there is an error.
fn held(core: &Core) -> Result<BTreeMap<Text, u16>, String> {
    let entries = core.look(|state| {
        [state.entries("web", &Narrow::default()), state.entries("far", &Narrow::default())].concat()
    });
    let mut held = BTreeMap::new();
    for entry in entries {
        let spec = &entry.service.spec;
        let version = spec.port.to_string();
        let whole = if spec.id.starts_with("far") {
            *entry.node.spec.address == *version
        } else {
            let own: Vec<_> = entry.checks.iter().filter(|check| check.facts.of.is_some()).collect();
            matches!(own[..], [check] if *check.facts.notes == *version)
        };
        if !whole {
            return Err(format!("{} is half applied: {entry:?}", spec.id));
        }
        held.insert(Text::clone(&spec.id), spec.port);
    }
    Ok(held)
}

fn keys() -> [Key; 5] {
    [Key::Services, Key::Nodes, Key::Checks, Key::Service("web".into()), Key::Service("far".into())]
}

/// What the clients are shown, for later.
fn look(core: &Core, known: &mut Known) {
    for key in keys() {
        let index = core.look(|state| state.index(&key));
        let shown = known.shown.entry(key).or_default();
        *shown = index.max(*shown);
    }
}

/// Judges a registry that has just begun by what the clients know.
fn judge(core: &Core, known: &mut Known) -> Result<(), String> {
    let held = held(core)?;
    for (id, may_be) in &mut known.may_be {
        let is = held.get(id).copied();
        if !may_be.contains(&is) {
            return Err(format!("{id} is {is:?}, and may be one of {may_be:?}"));
        }
        *may_be = vec![is];
    }
    for key in keys() {
        let (index, shown) = (core.look(|state| state.index(&key)), known.shown.get(&key).copied());
        if Some(index) < shown {
            return Err(format!("{key:?} is at {index}, and was shown at {shown:?}"));
        }
    }
    Ok(())
}

/// One client, with ids of its own.
async fn client(
    core: Arc<Core>,
    disk: Simulated,
    book: Book,
    number: u64,
    seed: u64,
    steps: u64,
) -> Result<(), String> {
    let mut chance = Chance::new(seed);
    for _ in 0..steps {
        if disk.is_dead() {
            break;
        }
        let kind = if number.is_multiple_of(2) { "web" } else { "far" };
        let id: Text = format!("{kind}{number}-{}", chance.next() % 3).into();
        let version = u16::try_from(chance.next() % 60_000).ok().filter(|_| !chance.next().is_multiple_of(4));
        noted(&book, |known| known.trying(&id, version));
        let acknowledged =
            write(&core, version.map_or_else(|| remove(&id), |version| put(&id, version))).await?;
        noted(&book, |known| {
            look(&core, known);
            if acknowledged { known.done(&id, version) } else { known.refused += 1 }
        });
        if !acknowledged {
            // As a client that was refused would: not at once.
            sleep(Duration::from_millis(1 + chance.next() % 3_000)).await;
        }
    }
    Ok(())
}

async fn open(disk: &Simulated) -> Result<Result<Arc<Core>, Trouble>, String> {
    let place = Box::new(disk.clone());
    let opened = spawn_blocking(move || Core::open(config(), place)).await;
    Ok(opened.map_err(|panicked| format!("the start panicked: {panicked}"))?.map(Arc::new))
}

/// One life of a registry: clients write until its end, which is a proper one, a cut, or a power loss.
async fn life(core: &Arc<Core>, disk: &Simulated, book: &Book, chance: &mut Chance) -> Result<(), String> {
    let mut tasks = background(core);
    let mut clients = JoinSet::new();
    for number in 0..4 {
        let (core, disk, book) = (Arc::clone(core), disk.clone(), Arc::clone(book));
        let (seed, steps) = (chance.next(), chance.next() % 12);
        clients.spawn(client(core, disk, book, number, seed, steps));
    }
    let mut ended = Ok(());
    while let Some(client) = clients.join_next().await {
        ended = ended.and(client.unwrap_or_else(|panicked| Err(panicked.to_string())));
    }
    let is_proper = chance.next().is_multiple_of(3);
    tasks.shutdown().await;
    ended?;
    if is_proper && close(core).await.is_err() && !disk.is_dead() {
        // It could not be closed, and that is all: what was acknowledged is there.
        noted(book, |known| known.refused += 1);
    }
    Ok(())
}

/// Some lives on one disk, which fails and loses power by chance.
async fn power(seed: u64) -> Result<Known, String> {
    let mut chance = Chance::new(seed);
    let mut disk = Simulated::new(chance.next());
    let book = Book::default();
    for _ in 0..4 {
        match chance.next() % 4 {
            0 => {}
            1 => {
                let from = disk.done() + chance.next() % 150;
                disk.fail(from..from + 1 + chance.next() % 30);
            }
            _ => disk.die_at(disk.done() + chance.next() % 400),
        }
        match open(&disk).await? {
            Ok(core) => {
                noted(&book, |known| judge(&core, known))?;
                life(&core, &disk, &book, &mut chance).await?;
            }
            Err(Trouble::Disk(_)) => {}
            Err(trouble) => return Err(format!("what is on the disk is refused: {trouble}")),
        }
        disk = disk.after_power_loss();
    }
    let core = open(&disk).await?.map_err(|trouble| format!("the disk works, and: {trouble}"))?;
    noted(&book, |known| judge(&core, known))?;
    Ok(noted(&book, std::mem::take))
}

fn played<T>(game: impl Future<Output = T>) -> T {
    let mut builder = Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build().expect("a runtime");
    runtime.block_on(game)
}

fn number(name: &str) -> Option<u64> {
    std::env::var_os(name)?.to_str()?.parse().ok()
}

#[test]
fn what_was_acknowledged_survives_power_loss_at_any_moment() {
    let one = number("PORTOLAN_POWER_SEED");
    let seeds = one.map_or(0..number("PORTOLAN_POWER_SEEDS").unwrap_or(100), |seed| seed..seed + 1);
    let (mut acknowledged, mut refused) = (0, 0);
    for seed in seeds.clone() {
        match played(power(seed)) {
            Ok(known) => {
                acknowledged += known.acknowledged;
                refused += known.refused;
            }
            Err(why) => panic!("seed {seed}: {why}\nagain with: PORTOLAN_POWER_SEED={seed}"),
        }
    }
    assert!(
        one.is_some() || (acknowledged > 10 * (seeds.end - seeds.start) && refused > 0),
        "{acknowledged} {refused}"
    );
}

/// Each write in turn, and what became of it.
async fn script(disk: &Simulated, book: &Book) -> Result<bool, String> {
    let core = match open(disk).await? {
        Ok(core) => core,
        Err(Trouble::Disk(_)) => return Ok(false),
        Err(trouble) => return Err(format!("an error of the disk is taken for {trouble}")),
    };
    noted(book, |known| judge(&core, known))?;
    let mut tasks = background(&core);
    for version in 1..=6 {
        for id in ["web", "far"].map(Text::from) {
            noted(book, |known| known.trying(&id, Some(version)));
            if write(&core, put(&id, version)).await? {
                noted(book, |known| known.done(&id, Some(version)));
            }
            noted(book, |known| look(&core, known));
            // Reads go on, whatever the disk does, and show what was done.
            held(&core)?;
        }
    }
    // A disk that works again is used again.
    let (id, mut works) = (Text::from("web"), false);
    // The second, where the error came with the first.
    for version in 8..=9 {
        sleep(AGAIN * 3).await;
        noted(book, |known| known.trying(&id, Some(version)));
        works = write(&core, put(&id, version)).await?;
        if works {
            noted(book, |known| known.done(&id, Some(version)));
            break;
        }
    }
    tasks.shutdown().await;
    Ok(works)
}

#[test]
fn an_error_at_any_operation_of_the_disk_loses_nothing() {
    let mut tried = 0;
    loop {
        let disk = Simulated::new(tried);
        disk.fail(tried..tried + 1);
        let book = Book::default();
        let judged = played(async {
            let begun = script(&disk, &book).await?;
            let was_reached = disk.done() > tried;
            let left = disk.after_power_loss();
            let core = open(&left).await?.map_err(|trouble| format!("refused: {trouble}"))?;
            noted(&book, |known| judge(&core, known))?;
            // Only an error at the start may keep it from working at the end.
            let known = noted(&book, std::mem::take);
            if !begun && known.acknowledged > 0 {
                return Err("the disk works again, and is not used".to_owned());
            }
            Ok::<_, String>(was_reached)
        });
        match judged {
            Ok(true) => tried += 1,
            Ok(false) => break,
            Err(why) => panic!("operation {tried}: {why}"),
        }
    }
    assert!(tried > 100, "only {tried} operations");
}

#[test]
fn while_the_disk_fails_reads_and_heartbeats_go_on_and_writes_say_why_not() {
    played(async {
        let disk = Simulated::new(1);
        let core = open(&disk).await.unwrap().unwrap();
        let mut tasks = background(&core);
        let id = Text::from("web1");
        assert!(write(&core, put(&id, 1)).await.unwrap());
        let beat = |status| Command::Report { check: "check:web1".into(), status, output: "".into() };
        assert!(write(&core, beat(Health::Passing)).await.unwrap());
        disk.fail(disk.done()..u64::MAX);
        let first = core.apply(put(&id, 2)).unwrap();
        let said = core.kept(first).await.unwrap_err().to_string();
        assert!(said.starts_with("this write is not on disk: ") && said.contains("reads go on"), "{said}");
        assert!(
            matches!(core.apply(put(&id, 3)), Err(NotDone::NotKept(_))),
            "it is refused before it is done"
        );
        assert!(matches!(core.apply(beat(Health::Critical)), Err(NotDone::NotKept(_))));
        assert!(write(&core, beat(Health::Passing)).await.unwrap());
        assert_eq!(held(&core).unwrap().get("web1"), Some(&2), "what was done stands in memory");
        disk.fail(0..0);
        sleep(AGAIN * 3).await;
        assert!(write(&core, put(&id, 4)).await.unwrap());
        tasks.shutdown().await;
        drop(core);
        let core = open(&disk.after_power_loss()).await.unwrap().unwrap();
        assert_eq!(held(&core).unwrap().get("web1"), Some(&4));
    });
}

#[test]
fn watchers_are_woken_when_the_disk_has_it_and_one_group_takes_all_that_wait() {
    played(async {
        let disk = Simulated::new(1);
        let core = open(&disk).await.unwrap().unwrap();
        let before = disk.done();
        // Nobody writes yet: all of these wait for one group.
        let written: Vec<Written> =
            (0..50).map(|n| core.apply(put(&format!("web{n}").into(), 1)).unwrap()).collect();
        let mut tasks = background(&core);
        for written in written {
            core.kept(written).await.unwrap();
        }
        let together = disk.done() - before;
        let before = disk.done();
        assert!(write(&core, put(&"web0".into(), 2)).await.unwrap());
        let alone = disk.done() - before;
        assert!(together < 5 * alone, "{together} operations for 50 writes, {alone} for one");
        tasks.shutdown().await;
    });
}

#[test]
fn the_bound_is_on_disk_before_the_block_is_used_up() {
    let (mut state, mut changes) = (None, Changes::default());
    let now = Instant::now().into_std();
    let home = crate::core::home(&config(), "".into());
    let state = state.get_or_insert_with(|| State::new(home, now));
    let mut pending = Pending::new(state.last_index() + BLOCK / 2 + 2);
    assert!(Batch::take(state, &mut pending, false).is_none(), "there is room, and nothing to write");
    let written = {
        let (reply, made) = state.apply(put(&"web".into(), 1), now);
        reply.unwrap();
        changes.rows.extend(made.rows);
        changes.keys.extend(made.keys);
        pending.add(&mut changes)
    };
    let batch = Batch::take(state, &mut pending, false).unwrap();
    assert_eq!((batch.line, batch.bound), (written.0, pending.bound));
    state.apply(put(&"web".into(), 2), now).0.unwrap();
    let batch = Batch::take(state, &mut pending, false).unwrap();
    assert_eq!(batch.bound, state.last_index() + BLOCK);

    let mut full = Pending::new(state.last_index() + 1);
    assert!(!full.may_change(state), "the next index would be the bound itself");
    full.bound += 1;
    assert!(full.may_change(state));
}

/// What a watcher of `key` at its index of now is woken to.
async fn watched(core: Arc<Core>, key: Key) -> Result<u64, String> {
    let at = core.look(|state| state.index(&key));
    let block = portolan::registry::Block { index: at, wait: Duration::from_secs(600) };
    let waited = timeout(PATIENCE, core.wait(&key, Some(block))).await;
    waited.map_err(|_late| format!("{key:?} was not woken"))?.map_err(|_full| "full".to_owned())?;
    let index = core.look(|state| state.index(&key));
    if index > at { Ok(index) } else { Err(format!("{key:?} went from {at} to {index}")) }
}

#[test]
fn a_restore_wakes_all_is_on_disk_when_it_is_told_and_no_index_goes_down() {
    played(async {
        let (one, mut two) = (Simulated::new(1), Simulated::new(2));
        let from = open(&one).await.unwrap().unwrap();
        let mut tasks = background(&from);
        for version in 1..=5 {
            assert!(write(&from, put(&"web1".into(), version)).await.unwrap());
        }
        // The other is far ahead, or far behind: beyond its own block.
        for far in [0, 3 * BLOCK] {
            let (rows, index) = from.look(|state| (state.rows(), state.last_index() + far));
            let core = open(&two).await.unwrap().unwrap();
            let mut others = background(&core);
            assert!(write(&core, put(&"far9".into(), 9)).await.unwrap());
            let mut watchers = JoinSet::new();
            for key in keys().into_iter().chain([Key::Service("never".into())]) {
                watchers.spawn(watched(Arc::clone(&core), key));
            }
            tokio::task::yield_now().await;
            let was = core.look(State::last_index);
            core.restore(rows, index).await.unwrap();
            while let Some(woken) = watchers.join_next().await {
                let at = woken.unwrap().unwrap();
                assert!(at > was.max(index), "{at}, and {was}, {index}");
            }
            assert_eq!(held(&core).unwrap(), [("web1".into(), 5)].into());
            let shown = core.look(State::last_index);
            others.shutdown().await;
            drop(core);
            two = two.after_power_loss();
            let again = open(&two).await.unwrap().unwrap();
            assert_eq!(held(&again).unwrap(), [("web1".into(), 5)].into());
            assert!(again.look(State::last_index) >= shown);
        }
        tasks.shutdown().await;
    });
}

#[test]
fn a_restore_that_fails_at_any_operation_of_the_disk_is_whole_or_not_at_all() {
    let mut tried = 0;
    loop {
        let reached = played(async {
            let source = open(&Simulated::new(9)).await.unwrap().unwrap();
            assert!(source.apply(put(&"web1".into(), 5)).is_ok());
            let (rows, index) = source.look(|state| (state.rows(), state.last_index() + 2 * BLOCK));
            let disk = Simulated::new(tried);
            let core = open(&disk).await.unwrap().unwrap();
            let mut tasks = background(&core);
            assert!(write(&core, put(&"far9".into(), 9)).await.unwrap());
            let from = disk.done() + tried;
            disk.die_at(from);
            let restored = timeout(PATIENCE, core.restore(rows, index)).await.expect("it is answered");
            let shown = core.look(State::last_index);
            let reached = disk.is_dead();
            tasks.shutdown().await;
            let again = open(&disk.after_power_loss()).await.unwrap().unwrap();
            let (old, new) = ([("far9".into(), 9)].into(), [("web1".into(), 5)].into());
            let is = held(&again).unwrap();
            assert!(is == new || (is == old && restored.is_err()), "operation {tried}: {is:?} {restored:?}");
            assert!(again.look(State::last_index) >= shown, "operation {tried}");
            reached
        });
        if !reached {
            break;
        }
        tried += 1;
    }
    assert!(tried > 10, "only {tried} operations");
}
