//! Who is woken, and how many may wait.

use std::pin::pin;

use super::*;

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
