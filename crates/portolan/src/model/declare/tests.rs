//! Declarations as pairs of meta: what survives, what is refused, what damage does.

use proptest::prelude::*;

use super::{super::need::tests::any_need, *};

fn meta(pairs: &[(String, String)]) -> Meta {
    pairs.iter().map(|(key, value)| (Arc::from(&**key), Arc::from(&**value))).collect()
}

fn needs(text: &str) -> Needs {
    text.parse().unwrap()
}

/// A declaration of about so many bytes.
fn long(bytes: usize) -> Needs {
    let name = "n".repeat(98);
    (0..bytes / 100).map(|_| name.parse::<Need>().unwrap()).collect()
}

#[test]
fn a_short_declaration_is_one_pair_that_a_person_can_read() {
    let pairs = encode(&needs("db@^14,cache?"));
    assert_eq!(pairs, [("portolan-needs".to_owned(), "db@^14; cache?".to_owned())]);
    assert_eq!(encode(&Needs::default()), []);
    assert_eq!(decode(&Meta::default()), Declared::default());
}

#[test]
fn one_written_by_hand_with_commas_is_read() {
    let pairs = [("portolan-needs".to_owned(), "db@>=1.4, <2, cache?".to_owned())];
    assert_eq!(decode(&meta(&pairs)).needs, needs("db@>=1.4, <2; cache?").as_slice());
}

#[test]
fn a_damaged_need_is_unreadable_and_the_others_stand() {
    for (pairs, readable, whys) in [
        (&[("portolan-needs", "db@^14; x@^^; cache?")][..], "db@^14; cache?", &["needs[1]"][..]),
        (&[("portolan-needs", "db; ca\\")], "db", &["portolan-needs-2 is missing"]),
        (&[("portolan-needs-2", "db")], "", &["portolan-needs is missing"]),
        (&[("portolan-needs", "db"), ("portolan-needs-2", "x")], "db", &["stands in portolan-needs-2"]),
        (
            &[("portolan-needs", "db; ca\\"), ("portolan-needs-3", "x")],
            "db",
            &["portolan-needs-2 is missing"],
        ),
        (&[("portolan-needs", "db; ca\\"), ("portolan-needs-2", "che")], "db; cache", &[]),
        (&[("portolan-needs", "db"), ("portolan-needs-x", "?"), ("portolan-needs-1", "?")], "db", &[]),
    ] {
        let pairs: Vec<_> =
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let declared = decode(&meta(&pairs));
        assert_eq!(declared.needs, needs(readable).as_slice(), "{pairs:?}");
        assert_eq!(declared.unreadable.len(), whys.len(), "{declared:?}");
        for (unreadable, why) in declared.unreadable.iter().zip(whys) {
            assert!(unreadable.why.contains(why), "{unreadable:?}");
        }
    }
}

#[test]
fn what_does_not_fit_is_refused_and_told_by_how_much() {
    let given =
        |count: usize| (0..count).map(|n| (format!("key{n}"), "v".to_owned())).collect::<BTreeMap<_, _>>();
    let three = long(1400);
    assert_eq!(fit(&three, &given(61)).unwrap().len(), 3);
    let error = fit(&three, &given(62)).unwrap_err().to_string();
    assert!(error.starts_with("needs: the declaration has 1") && error.contains("takes 3 pairs"), "{error}");
    assert!(error.contains("beside 62 that are given: 65") && error.contains("take away 1 pairs"), "{error}");
    // Without needs, it is for meta's own rules to say.
    assert_eq!(fit(&Needs::default(), &given(70)).unwrap(), []);
}

#[test]
fn a_declaration_in_meta_is_taken_if_it_is_the_only_one_and_can_be_read() {
    let by_hand = |value: &str| BTreeMap::from([("portolan-needs".to_owned(), value.to_owned())]);
    assert_eq!(fit(&Needs::default(), &by_hand("db, cache?")).unwrap(), []);
    assert_eq!(needs_in(&by_hand("db, cache?")), needs("db; cache?"));
    let error = fit(&Needs::default(), &by_hand("cache?, db@^^14")).unwrap_err().to_string();
    assert!(error.starts_with("meta.portolan-needs: \"db@^^14\": needs[1], character 5: "), "{error}");
    let error = fit(&needs("db"), &by_hand("cache")).unwrap_err().to_string();
    assert!(error.starts_with("meta.portolan-needs: this key is written from `needs`"), "{error}");
}

proptest! {
    #[test]
    fn any_declaration_survives_and_keeps_consuls_limits(all in proptest::collection::vec(any_need(), 0..80)) {
        let all: Needs = all.into_iter().collect();
        let pairs = encode(&all);
        for (key, value) in &pairs {
            prop_assert!(key.len() <= 128 && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'), "{}", key);
            prop_assert!(!value.is_empty() && value.len() <= 512, "{} bytes", value.len());
        }
        let declared = decode(&meta(&pairs));
        prop_assert_eq!(&declared.needs[..], all.as_slice());
        prop_assert_eq!(declared.unreadable, []);
    }

    #[test]
    fn a_lost_part_is_noticed_and_no_need_is_made_up(
        all in proptest::collection::vec(any_need(), 20..80), lost in any::<prop::sample::Index>()
    ) {
        let all: Needs = all.into_iter().collect();
        let mut pairs = encode(&all);
        pairs.remove(lost.index(pairs.len()));
        if !pairs.is_empty() {
            let declared = decode(&meta(&pairs));
            prop_assert!(!declared.unreadable.is_empty());
            prop_assert_eq!(&declared.needs[..], &all.as_slice()[..declared.needs.len()]);
        }
    }

    #[test]
    fn no_meta_panics(values in proptest::collection::vec("[a-z@;,\\\\%:?! ]{0,20}", 1..4)) {
        let pairs: Vec<_> = (1..).zip(values).map(|(part, value)| (key(part), value)).collect();
        let _read = decode(&meta(&pairs));
    }
}
