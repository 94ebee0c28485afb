//! Who is woken, and how many may wait.

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::atomic::{AtomicBool, Ordering},
    task::{Context, Wake, Waker},
    time::Duration,
};

use portolan::registry::Block;
use proptest::prelude::*;

use super::*;
use crate::{
    config::ServerConfig,
    core::Core,
    state::{
        CatalogEntry, Command, Narrow, OtherChecks, State,
        rows::{CheckSpec, Health, NodeSpec, Probe, ServiceSpec},
    },
};

fn service(name: &str) -> Key {
    Key::Service(name.into())
}

#[tokio::test]
async fn a_change_to_one_service_wakes_no_watcher_of_another() {
    let hub = Hub::new(10);
    let (a, b) = (service("a"), service("b"));
    let (on_a, on_b) = (hub.enter(&a).unwrap(), hub.enter(&b).unwrap());
    let mut rung_a = pin!(on_a.bell.notified());
    let mut rung_b = pin!(on_b.bell.notified());
    assert!(!rung_a.as_mut().enable() && !rung_b.as_mut().enable());

    assert_eq!(hub.wake(&BTreeSet::from([a.clone(), Key::Services])), 1);

    assert!(rung_a.as_mut().enable(), "the watcher of a is woken");
    assert!(!rung_b.as_mut().enable(), "the watcher of b sleeps on");
}

#[tokio::test]
async fn a_place_is_given_back_and_the_limit_holds() {
    let hub = Hub::new(2);
    let a = service("a");
    let one = hub.enter(&a).unwrap();
    let two = hub.enter(&a).unwrap();
    assert!(hub.enter(&a).is_err());
    assert!(hub.enter(&service("b")).is_err(), "the limit is over all keys");
    drop(one);
    let three = hub.enter(&a).unwrap();
    drop((two, three));
    assert_eq!(hub.wake(&BTreeSet::from([a])), 0);
    assert!(hub.places.lock().unwrap().of.is_empty(), "no place is kept for nobody");
}

#[tokio::test]
async fn a_key_wakes_who_waits_for_it_or_for_a_beginning_of_it() {
    let below = |prefix: &str| Key::KvBelow(prefix.into());
    let kv = |name: &str| Key::Kv(name.into());
    let on = ["", "a", "a/", "a/b", "a/bc", "a/c", "ä", "b", "a/b/c/d/e"];
    let (on, keys) = (on.map(below), [kv("a/b"), kv("a")]);
    for (changed, woken) in [
        ("a/b", vec!["", "a", "a/", "a/b"]),
        ("a", vec!["", "a"]),
        ("a/bcd", vec!["", "a", "a/", "a/b", "a/bc"]),
        ("äb", vec!["", "ä"]),
        ("zzz", vec![""]),
        ("", vec![""]),
    ] {
        let hub = Hub::new(100);
        let tickets: Vec<_> = on.iter().chain(&keys).map(|key| hub.enter(key).unwrap()).collect();
        let mut bells: Vec<_> = tickets.iter().map(|ticket| Box::pin(ticket.bell.notified())).collect();
        for bell in &mut bells {
            bell.as_mut().enable();
        }
        hub.wake(&BTreeSet::from([kv(changed)]));
        let rung: Vec<_> = bells.iter_mut().map(|bell| bell.as_mut().enable()).collect();
        for (key, rung) in on.iter().chain(&keys).zip(rung) {
            let expected = match key {
                Key::KvBelow(prefix) => woken.contains(&&**prefix),
                key => *key == kv(changed),
            };
            assert_eq!(rung, expected, "{changed:?} changed, {key:?}");
        }
    }
}

/// Notes that it was woken.
#[derive(Debug, Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// One who waits for a key, as a blocking query does.
struct Watcher<'a> {
    key: &'a Key,
    index: u64,
    absent: bool,
    flag: Arc<Flag>,
    waits: Pin<Box<dyn Future<Output = Result<(), Full>> + 'a>>,
}

impl<'a> Watcher<'a> {
    fn new(core: &'a Core, key: &'a Key) -> Self {
        let (index, absent) = core.look(|state| (state.index(key), is_absent(state, key)));
        let block = Block { index, wait: Duration::from_secs(600) };
        let waits = Box::pin(core.wait(key, Some(block)));
        let mut watcher = Self { key, index, absent, flag: Arc::default(), waits };
        assert!(!watcher.is_answered(), "{key:?} is at the index that is known");
        watcher
    }

    fn is_answered(&mut self) -> bool {
        let waker = Waker::from(Arc::clone(&self.flag));
        self.waits.as_mut().poll(&mut Context::from_waker(&waker)).is_ready()
    }

    fn is_woken(&self) -> bool {
        self.flag.0.load(Ordering::SeqCst)
    }
}

fn is_absent(state: &State, key: &Key) -> bool {
    match key {
        Key::Service(name) => state.entries(name, &Narrow::default()).is_empty(),
        Key::Node(name) | Key::NodeChecks(name) => state.node(name).is_none(),
        _ => false,
    }
}

/// A runtime for its clock alone: nothing runs but what is polled by hand.
fn still<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.unwrap().block_on(test)
}

fn register(name: &str, id: &str, port: u16) -> Command {
    let service = Box::new(ServiceSpec { port, ..ServiceSpec::new(name, id) });
    let check = CheckSpec::new(&format!("c-{id}"), "c", Probe::Ttl(Duration::from_secs(30)));
    Command::RegisterService { service, checks: vec![check], others: OtherChecks::Keep }
}

#[test]
fn of_a_thousand_services_with_a_watcher_each_a_change_of_one_wakes_one() {
    still(async {
        let core = Core::new(ServerConfig::default());
        let names: Vec<String> = (0..1_000).map(|number| format!("s{number}")).collect();
        for name in &names {
            assert!(core.apply(register(name, name, 1)).is_ok());
        }
        let keys: Vec<Key> = names.iter().map(|name| service(name)).collect();
        let mut watchers: Vec<Watcher<'_>> = keys.iter().map(|key| Watcher::new(&core, key)).collect();
        assert!(core.apply(register("s7", "s7", 2)).is_ok());
        let woken: Vec<_> = watchers.iter().filter(|watcher| watcher.is_woken()).map(|one| one.key).collect();
        assert_eq!(woken, [&service("s7")]);
        assert!(watchers.iter_mut().all(|watcher| watcher.is_answered() == (*watcher.key == service("s7"))));
    });
}

#[derive(Clone, Debug)]
enum Step {
    Register { name: u8, id: u8, port: u16 },
    Deregister { id: u8 },
    Report { id: u8, status: Health },
    Far { node: u8, name: u8 },
    FarGone { node: u8 },
    Maintain { on: bool },
    Wait { seconds: u64 },
}

impl Step {
    fn any() -> impl Strategy<Value = Self> {
        let status = prop_oneof![Just(Health::Passing), Just(Health::Critical)];
        prop_oneof![
            4 => (0..3u8, 0..4u8, 0..2u16).prop_map(|(name, id, port)| Self::Register { name, id, port }),
            2 => (0..4u8).prop_map(|id| Self::Deregister { id }),
            4 => (0..4u8, status).prop_map(|(id, status)| Self::Report { id, status }),
            2 => (0..2u8, 0..3u8).prop_map(|(node, name)| Self::Far { node, name }),
            1 => (0..2u8).prop_map(|node| Self::FarGone { node }),
            1 => any::<bool>().prop_map(|on| Self::Maintain { on }),
            2 => (1..40u64).prop_map(|seconds| Self::Wait { seconds }),
        ]
    }

    fn command(&self) -> Option<Command> {
        Some(match self {
            Self::Register { name, id, port } => register(&format!("s{name}"), &format!("i{id}"), *port),
            Self::Deregister { id } => Command::DeregisterService { id: format!("i{id}").into() },
            Self::Report { id, status } => {
                Command::Report { check: format!("c-i{id}").into(), status: *status, output: "".into() }
            }
            Self::Far { node, name } => {
                let node = NodeSpec {
                    name: format!("far{node}").into(),
                    id: "".into(),
                    address: "10.0.0.1".into(),
                    tagged: None,
                    meta: None,
                };
                let service = Some(ServiceSpec::new(&format!("s{name}"), "far"));
                let entry = CatalogEntry { node, skip_node_update: false, service, checks: vec![] };
                Command::CatalogRegister(Box::new(entry))
            }
            Self::FarGone { node } => {
                Command::CatalogDeregister { node: format!("far{node}").into(), service: None, check: None }
            }
            Self::Maintain { on } => Command::Maintenance { service: None, reason: on.then(|| "r".into()) },
            Self::Wait { .. } => return None,
        })
    }
}

proptest! {
    #[test]
    fn whoever_has_a_new_answer_is_woken_and_nobody_else(steps in prop::collection::vec(Step::any(), 1..25)) {
        still(async {
            let core = Core::new(ServerConfig::default());
            let mut keys = vec![Key::Nodes, Key::Services, Key::Checks];
            keys.extend((0..3).map(|n| service(&format!("s{n}"))));
            for node in ["portolan", "far0", "far1"] {
                keys.extend([Key::Node(node.into()), Key::NodeChecks(node.into())]);
            }
            let mut time = pin!(core.keep_time());
            let mut clock = Context::from_waker(Waker::noop());
            let mut watchers: Vec<Watcher<'_>> = keys.iter().map(|key| Watcher::new(&core, key)).collect();
            for step in &steps {
                match step.command() {
                    Some(command) => drop(core.apply(command)),
                    None => {
                        let Step::Wait { seconds } = step else { continue };
                        tokio::time::advance(Duration::from_secs(*seconds)).await;
                    }
                }
                // The clock's own task: it does what is due, and learns of what comes sooner.
                prop_assert!(time.as_mut().poll(&mut clock).is_pending());
                for watcher in &mut watchers {
                    let (index, absent) =
                        core.look(|state| (state.index(watcher.key), is_absent(state, watcher.key)));
                    // The index of what is not there follows what else is not there any more.
                    let changed = index != watcher.index && !(watcher.absent && absent);
                    prop_assert_eq!(watcher.is_woken(), changed, "{:?} at {:?}", watcher.key, step);
                    prop_assert_eq!(watcher.is_answered(), changed);
                    if changed {
                        *watcher = Watcher::new(&core, watcher.key);
                    }
                }
            }
            Ok(())
        })?;
    }
}
