//! What is handed on of a trace, and what is not.

use proptest::{collection::vec, prelude::*};

use super::*;

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn handed_on(from: &[(&'static str, &str)]) -> Vec<(String, String)> {
    let mut incoming = HeaderMap::new();
    for (name, value) in from {
        incoming.append(*name, HeaderValue::from_str(value).unwrap());
    }
    let mut outgoing = HeaderMap::new();
    propagate(&incoming, &mut outgoing);
    outgoing.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect()
}

#[test]
fn a_well_formed_trace_is_handed_on_as_it_is() {
    let later = format!("{}-more", PARENT.replacen("00", "01", 1));
    for parent in [PARENT, &later] {
        let found =
            handed_on(&[("traceparent", parent), ("tracestate", "a=1, b@c=x y"), ("tracestate", ",d=2")]);
        let expected = [("traceparent", parent), ("tracestate", "a=1, b@c=x y"), ("tracestate", ",d=2")];
        assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
}

#[test]
fn nothing_malformed_is_handed_on() {
    let zeros = |count: usize| "0".repeat(count);
    for parent in [
        String::new(),
        PARENT.to_uppercase(),
        PARENT.replacen("00", "ff", 1),
        format!("{PARENT}-more"),
        format!("{PARENT}0"),
        PARENT.replace("-01", ""),
        PARENT.replace("4bf92f3577b34da6a3ce929d0e0e4736", &zeros(32)),
        PARENT.replace("00f067aa0ba902b7", &zeros(16)),
        PARENT.replace("4bf9", "4bg9"),
    ] {
        assert!(handed_on(&[("traceparent", &parent), ("tracestate", "a=1")]).is_empty(), "{parent:?}");
    }
    assert!(handed_on(&[("traceparent", PARENT), ("traceparent", PARENT)]).is_empty());
    assert!(handed_on(&[("tracestate", "a=1")]).is_empty());
}

#[test]
fn a_malformed_state_is_left_behind_and_the_parent_goes_on() {
    let many: Vec<String> = (0..33).map(|number| format!("k{number}=1")).collect();
    let long = format!("a={}", "x".repeat(257));
    for state in ["a", "=1", "A=1", "a=", "a=1=2", "a=1,a=2", "a=\t", &many.join(","), &long] {
        let found = handed_on(&[("traceparent", PARENT), ("tracestate", state)]);
        assert_eq!(found, [("traceparent".to_owned(), PARENT.to_owned())], "{state:?}");
    }
}

#[test]
fn a_trace_that_is_there_stays() {
    let incoming = HeaderMap::from_iter([(TRACEPARENT, HeaderValue::from_static(PARENT))]);
    let own = HeaderValue::from_static("00-11111111111111111111111111111111-2222222222222222-00");
    let mut outgoing = HeaderMap::from_iter([(TRACEPARENT, own.clone())]);
    propagate(&incoming, &mut outgoing);
    assert_eq!(outgoing.get(TRACEPARENT), Some(&own));
}

proptest! {
    #[test]
    fn any_bytes_are_judged_and_what_is_handed_on_has_the_form(
        parent in "(0[01]|ff)-[0-9a-f]{31,33}-[0-9a-f]{15,17}-[0-9a-fA-F]{2}(-[ -~]{0,3})?",
        state in vec(any::<u8>(), 0..40),
    ) {
        let mut incoming = HeaderMap::from_iter([(TRACEPARENT, HeaderValue::from_str(&parent).unwrap())]);
        if let Ok(state) = HeaderValue::from_bytes(&state) {
            incoming.insert(TRACESTATE, state);
        }
        let mut outgoing = HeaderMap::new();
        propagate(&incoming, &mut outgoing);
        if outgoing.contains_key(TRACEPARENT) {
            let has_form = parent.len() == 55 || (parent.starts_with("01") && parent.len() > 55);
            let flags = parent.get(53..55).unwrap();
            prop_assert!(has_form && !parent.starts_with("ff") && flags == flags.to_lowercase(), "{parent:?}");
        } else {
            prop_assert!(outgoing.is_empty());
        }
    }
}
