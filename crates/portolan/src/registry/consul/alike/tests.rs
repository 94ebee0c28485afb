//! What is read by its likeness is what the parser reads, whatever differs.
#![expect(clippy::arithmetic_side_effects, reason = "small numbers, of the tests' own")]

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// An entry with every field that is read, and some that are not.
fn full() -> Value {
    json!({
        "Node": {"ID": "5b7f", "Node": "n1", "Address": "10.0.0.1", "Datacenter": "dc1", "Meta": {"a": "b", "zone": "z1", "region": "r1"},
                 "Locality": {"Region": "eu", "Zone": "z2"}, "TaggedAddresses": {"lan": "10.0.0.1"}, "ModifyIndex": 12},
        "Service": {"ID": "web-1", "Service": "web", "Tags": ["http", "v1"], "Address": "10.1.0.1",
                    "Meta": {"k": "v", "zone": "z3"}, "Port": 8080, "Weights": {"Passing": 10, "Warning": 1, "Other": 3},
                    "Namespace": "team", "Partition": "east", "PeerName": "other", "Locality": {"Region": "eu", "Zone": "z4"},
                    "EnableTagOverride": false, "Proxy": {"Upstreams": [{"Port": 8080, "ID": "web-1"}, [1, -2.5e3]]},
                    "ModifyIndex": 12},
        "Checks": [
            {"CheckID": "serfHealth", "Name": "Serf", "Status": "passing", "Output": "alive", "ServiceID": "",
             "Type": "", "Definition": {}, "ServiceTags": []},
            {"CheckID": "service:web-1", "Name": "check", "Status": "warning", "Output": "a \"b\"\n", "ServiceID": "web-1",
             "Type": "http", "Definition": {"Interval": "10s"}, "ServiceTags": ["http"], "ModifyIndex": 1200},
        ],
        "Extra": "one",
    })
}

/// Reads the second after the first, and says whether it could be followed.
fn check(first: &[u8], second: &[u8]) -> Result<bool, TestCaseError> {
    let mut entries = Entries::new(CheckOutput::Drop);
    let _base = entries.read(first);
    prop_assert_eq!(entries.read(second).is_some(), super::first(second).is_some());
    let mut entries = Entries::new(CheckOutput::Keep);
    prop_assert!(entries.read(first).is_some(), "{}", String::from_utf8_lossy(first));
    let expected = super::first(second).map(|(piece, entry)| (piece, format!("{entry:?}")));
    let found = entries.read(second).map(|(piece, entry)| (piece, format!("{entry:?}")));
    prop_assert_eq!(found, expected, "{}", String::from_utf8_lossy(second));
    Ok(entries.known.first().is_some_and(|newest| newest.was_followed))
}

/// Each value in it, by its pointer.
fn pointers(value: &Value, at: &str, to: &mut Vec<String>) {
    to.push(at.to_owned());
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| pointers(value, &format!("{at}/{key}"), to)),
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(n, value)| pointers(value, &format!("{at}/{n}"), to))
        }
        _ => {}
    }
}

#[test]
fn whatever_differs_is_read_as_the_parser_reads_it() -> Result<(), TestCaseError> {
    let (base, mut places) = (full(), Vec::new());
    pointers(&base, "", &mut places);
    let texts = ["", "x", "another text, and a longer one", "q\"uote", "é😀", "\u{1}", "back\\slash"];
    let numbers = [json!(0), json!(7), json!(70_000), json!(-1), json!(1.5), json!(u64::MAX), json!(1e300)];
    let others = [json!(null), json!(true), json!([]), json!({}), json!(["x"]), json!({"zone": "x"})];
    let values = texts.map(|text| json!(text)).into_iter().chain(numbers).chain(others);
    let written = serde_json::to_vec(&base).unwrap();
    for (place, value) in places.iter().flat_map(|place| values.clone().map(move |value| (place, value))) {
        let mut changed = base.clone();
        *changed.pointer_mut(place).unwrap() = value;
        let changed = serde_json::to_vec(&changed).unwrap();
        check(&written, &changed)?;
        if first(&changed).is_some() {
            check(&changed, &written)?;
        }
    }
    Ok(())
}

#[test]
fn what_differs_most_often_needs_no_parser() -> Result<(), TestCaseError> {
    let base = full();
    let written = serde_json::to_vec(&base).unwrap();
    for (place, value) in [
        ("/Node/ID", json!("other")),
        ("/Node/Node", json!("node-12345")),
        ("/Node/Address", json!("10.0.0.23")),
        ("/Node/Meta/zone", json!("other")),
        ("/Node/Meta/region", json!("other")),
        ("/Node/Locality/Zone", json!("")),
        ("/Node/Locality/Region", json!("other")),
        ("/Node/ModifyIndex", json!(1_234_567)),
        ("/Service/ID", json!("é")),
        ("/Service/Address", json!("")),
        ("/Service/Tags/1", json!("v2")),
        ("/Service/Meta/k", json!("other")),
        ("/Service/Port", json!(9)),
        ("/Service/Weights/Passing", json!(100)),
        ("/Service/Weights/Warning", json!(70_000)),
        ("/Service/Locality/Zone", json!("other")),
        ("/Service/Locality/Region", json!("")),
        ("/Service/Proxy/Upstreams/0/Port", json!(1)),
        ("/Checks/1/CheckID", json!("service:web-2")),
        ("/Checks/1/Name", json!("other")),
        ("/Checks/1/Status", json!("critical")),
        ("/Checks/1/ServiceID", json!("web-2")),
        ("/Checks/1/Type", json!("tcp")),
        ("/Checks/1/ServiceTags/0", json!("\u{1}\\\"")),
    ] {
        let mut changed = base.clone();
        *changed.pointer_mut(place).unwrap() = value;
        let changed = serde_json::to_vec(&changed).unwrap();
        assert!(check(&written, &changed)? && check(&changed, &written)?, "{place}");
    }
    Ok(())
}

#[test]
fn an_entry_that_is_written_oddly_is_followed_by_nothing_else() -> Result<(), TestCaseError> {
    let rest = r#""Checks":[]}"#;
    for (one, other) in [
        (
            r#"{"Node":{"Node":"n","Meta":{"zone":"a","zone":"b"}},"Service":{"ID":"i","Service":"s"},"#,
            r#""a""#,
        ),
        (
            r#"{"Node":{"Node":"n","Meta":{"zone":"a","zone":null}},"Service":{"ID":"i","Service":"s"},"#,
            r#""a""#,
        ),
        (
            r#"{"Node":{"Node":"n","Meta":{"region":"a","region":"b"}},"Service":{"ID":"i","Service":"s"},"#,
            r#""a""#,
        ),
        (r#"{"Node":{"Node":"n"},"Service":{"ID":"i","Service":"s","Meta":{"k":"a","k":"b"}},"#, r#""a""#),
        (r#"{"Node":{"Node":"n"},"Service":{"ID":"i","Service":"s","Meta":{"k":"a","k":null}},"#, r#""a""#),
        (
            r#"{"Node":{"Node":"n"},"Service":{"ID":"i","Service":"s","Meta":{"k":"a","\u006b":"b"}},"#,
            r#""a""#,
        ),
        (r#"{"Node":{"Node":"n"},"Service":{"ID":"i","Service":"s","P\u006frt":12},"#, "12"),
        (r#"{"Node":["n","1","d"],"Service":["i","s","a",12],"#, "12"),
        (r#"{"N\u006fde":{"Node":"n"},"Service":{"ID":"i","Service":"s"},"#, r#""n""#),
    ] {
        let one = format!("{one}{rest}");
        for value in [r#""other""#, "99"] {
            let other = one.replace(other, value);
            prop_assert_ne!(&one, &other);
            check(one.as_bytes(), other.as_bytes())?;
        }
    }
    Ok(())
}

/// Entries of so many shapes.
fn shapes(count: usize) -> Vec<Vec<u8>> {
    let shape = |number| {
        let mut entry = full();
        entry["Service"]["Tags"] = json!(vec!["t"; number]);
        serde_json::to_vec(&entry).unwrap()
    };
    (0..count).map(shape).collect()
}

#[test]
fn a_few_shapes_are_followed_in_any_order() {
    let written = shapes(SHAPES);
    let mut entries = Entries::new(CheckOutput::Drop);
    for entry in &written {
        entries.read(entry).unwrap();
    }
    for (turn, entry) in (0..100).zip(written.iter().cycle()) {
        entries.read(entry).unwrap();
        entries.read(&written[turn % 3]).unwrap();
        assert!(entries.known[0].was_followed);
    }
    assert_eq!((entries.pause, entries.left), (0, 0), "none was looked at in vain");
}

#[test]
fn an_output_that_is_dropped_may_be_any_text_and_one_that_is_kept_only_a_plain_one() {
    let written = |output: &str| {
        let mut entry = full();
        entry["Checks"][0]["Output"] = json!(output);
        serde_json::to_vec(&entry).unwrap()
    };
    let (one, plain, odd) = (written("alive"), written("well"), written("a \"b\"\n"));
    for (output, other, is_followed) in [
        (CheckOutput::Drop, &plain, true),
        (CheckOutput::Drop, &odd, true),
        (CheckOutput::Keep, &plain, true),
        (CheckOutput::Keep, &odd, false),
    ] {
        let mut entries = Entries::new(output);
        entries.read(&one).unwrap();
        entries.read(other).unwrap();
        assert_eq!(entries.known[0].was_followed, is_followed, "{output:?}");
    }
}

#[test]
fn of_many_shapes_the_last_few_are_remembered() {
    let written = shapes(SHAPES + 3);
    let mut entries = Entries::new(CheckOutput::Drop);
    for entry in &written {
        entries.read(entry).unwrap();
        // Each is followed, so that to look at the next is not in vain.
        entries.read(entry).unwrap();
        assert!(entries.known.len() <= SHAPES);
    }
    assert_eq!(entries.known.len(), SHAPES);
}

#[test]
fn where_no_entry_is_like_another_few_are_looked_at() {
    let mut common = full();
    let written: Vec<Vec<u8>> = (0..1_000)
        .map(|number| {
            let mut entry = full();
            entry["Extra"] = json!({format!("{number}"): 1});
            serde_json::to_vec(&entry).unwrap()
        })
        .collect();
    let mut entries = Entries::new(CheckOutput::Drop);
    let mut alone = 0;
    for entry in &written {
        entries.alone = None;
        entries.read(entry).unwrap();
        alone += usize::from(entries.alone.is_some());
    }
    assert!(alone > 970, "{alone}");
    // And yet one that comes again and again among them is followed.
    let mut followed = 0;
    for (number, entry) in written.iter().enumerate() {
        entries.read(entry).unwrap();
        common["Node"]["Node"] = json!(format!("node {number}"));
        let common = serde_json::to_vec(&common).unwrap();
        entries.alone = None;
        let (_, entry) = entries.read(common.leak()).unwrap();
        followed +=
            usize::from(entry.node.node.as_str() == format!("node {number}") && entries.alone.is_none());
    }
    assert!(followed > 900, "{followed}");
}

#[test]
fn what_is_too_deep_or_too_much_is_left_to_the_parser() -> Result<(), TestCaseError> {
    let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    let entry = |extra: &str| {
        format!(r#"{{"Extra":{extra},"Node":{{"Node":"n"}},"Service":{{"ID":"i","Service":"s"}}}}"#)
    };
    for (extra, is_followed) in [
        (deep(30), true),
        (deep(100), false),
        (deep(200_000), false),
        (format!("[{}1]", "1,".repeat(900)), true),
        (format!("[{}1]", "1,".repeat(200_000)), false),
    ] {
        let (one, other) = (entry(&extra), entry(&extra).replace("\"i\"", "\"j\""));
        prop_assert_eq!(check(one.as_bytes(), other.as_bytes())?, is_followed);
    }
    Ok(())
}

/// Damage to bytes: one is put in, set or taken out.
fn harm() -> impl Strategy<Value = (usize, u8, u8)> {
    let byte =
        prop_oneof![prop::sample::select(b"{}[]\",:\\ 01-.eEnudD8/\x1f\xff\xc3\xa9".to_vec()), any::<u8>()];
    (any::<usize>(), byte, 0u8..3)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn one_after_another_is_read_as_the_parser_reads_it(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<bool>()), 1..12)
    ) {
        let (base, mut places) = (full(), Vec::new());
        pointers(&base, "", &mut places);
        // What must be equal, or has escapes, is read by the parser.
        let fixed = ["/Namespace", "/Partition", "/PeerName", "/1/Output"];
        places.retain(|place| {
            let is_scalar = base.pointer(place).is_some_and(|value| value.is_string() || value.is_u64());
            is_scalar && !fixed.iter().any(|fixed| place.ends_with(fixed))
        });
        let (mut now, mut bodies) = (base.clone(), vec![serde_json::to_vec(&base).unwrap()]);
        for (place, value, is_anew) in changes {
            if is_anew {
                now = base.clone();
            }
            let value_at = now.pointer_mut(place.get::<String>(&places)).unwrap();
            *value_at = if value_at.is_string() {
                json!(value.get(&["", "x", "a longer text than it was", "é"]))
            } else {
                json!(value.get(&[0, 7, 1_234_567]))
            };
            bodies.push(serde_json::to_vec(&now).unwrap());
        }
        let mut entries = Entries::new(CheckOutput::Keep);
        for (number, body) in bodies.iter().enumerate() {
            let expected = first(body).map(|(piece, entry)| (piece, format!("{entry:?}")));
            let found = entries.read(body).map(|(piece, entry)| (piece, format!("{entry:?}")));
            prop_assert_eq!(found, expected, "{}", number);
        }
        prop_assert_eq!(entries.known.len(), 1, "all are of one shape");
    }

    #[test]
    fn no_bytes_are_read_otherwise(harms in proptest::collection::vec(harm(), 1..6)) {
        let base = serde_json::to_vec(&full()).unwrap();
        let mut bytes = base.clone();
        for (at, byte, how) in harms {
            let at = at % bytes.len();
            match how {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.remove(at)),
            }
        }
        check(&base, &bytes)?;
        if first(&bytes).is_some() {
            check(&bytes, &base)?;
        }
    }
}
