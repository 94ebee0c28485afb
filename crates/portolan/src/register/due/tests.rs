//! The order is that of a plain list which is searched whole.
#![expect(clippy::arithmetic_side_effects, reason = "a test's numbers are small")]

use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn at(second: u64) -> Instant {
    #[expect(clippy::disallowed_methods, reason = "any instant will do as the start")]
    static START: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    *START + Duration::from_secs(second)
}

#[test]
fn the_earliest_comes_first_and_not_before_its_time() {
    let mut due = Due::new();
    due.set(&"late", Some(at(5)));
    due.set(&"b", Some(at(3)));
    due.set(&"a", Some(at(3)));
    assert_eq!((due.next(), due.first(at(2))), (Some(at(3)), None));
    assert_eq!(due.first(at(3)), Some("a"));
    due.set(&"a", Some(at(9)));
    assert_eq!(due.first(at(9)), Some("b"), "an old moment counts no more");
    due.set(&"b", None);
    due.set(&"late", None);
    assert_eq!(due.first(at(9)), Some("a"));
    due.set(&"a", None);
    assert_eq!((due.next(), due.first(at(99))), (None, None));
}

proptest! {
    #[test]
    fn it_answers_as_a_list_that_is_searched_whole(
        steps in prop::collection::vec((0u8..6, prop::option::of(0u64..8), 0u64..10), 0..60),
    ) {
        let mut due = Due::new();
        let mut model: BTreeMap<u8, Instant> = BTreeMap::new();
        for (key, when, now) in steps {
            let when = when.map(at);
            due.set(&key, when);
            model.remove(&key);
            model.extend(when.map(|when| (key, when)));
            let first = model.iter().map(|(key, at)| (*at, *key)).min();
            prop_assert_eq!(due.next(), first.map(|(at, _)| at));
            let expected = first.filter(|(first, _)| *first <= at(now)).map(|(_, key)| key);
            prop_assert_eq!(due.first(at(now)), expected);
            prop_assert_eq!((due.order.len(), due.known.len()), (model.len(), model.len()));
        }
    }
}
