//! What is kept, for how long, and who encodes.

use std::io::Read as _;

use super::*;

#[test]
fn a_body_is_kept_for_its_index_only() {
    let bodies = Bodies::default();
    bodies.keep("q", 7, &Bytes::from_static(b"[]"));
    assert_eq!(bodies.get("q", 7).as_deref(), Some(&b"[]"[..]));
    assert_eq!(bodies.get("q", 8), None);
    bodies.keep("q", 8, &Bytes::from_static(b"[1]"));
    assert_eq!((bodies.get("q", 7), bodies.get("q", 8).as_deref()), (None, Some(&b"[1]"[..])));
    assert_eq!(bodies.kept.lock().unwrap().newer.bytes, 4);
}

#[test]
fn what_is_kept_is_bounded_and_what_is_asked_for_stays() {
    let bodies = Bodies::default();
    let megabyte = Bytes::from(vec![0; 1 << 20]);
    for question in 0..200 {
        bodies.keep(&question.to_string(), 1, &megabyte);
        assert!(bodies.get("0", 1).is_some(), "it is asked for all the time; the others number {question}");
        let kept = bodies.kept.lock().unwrap();
        let counted =
            |half: &Half| half.of.iter().map(|(question, (_, body))| cost(question, body)).sum::<usize>();
        assert_eq!((kept.newer.bytes, kept.older.bytes), (counted(&kept.newer), counted(&kept.older)));
        assert!(kept.newer.bytes + kept.older.bytes <= KEPT_BYTES);
    }
    assert!(bodies.get("1", 1).is_none());
    bodies.keep("huge", 1, &Bytes::from(vec![0; KEPT_BYTES]));
    assert_eq!(bodies.get("huge", 1), None);
}

#[tokio::test]
async fn one_encodes_and_all_who_ask_meanwhile_wait_for_that() {
    let bodies = Bodies::default();
    let claim = bodies.claim("q").unwrap();
    let waiting = [bodies.claim("q").unwrap_err(), bodies.claim("q").unwrap_err()];
    let other = bodies.claim("another");
    assert!(other.is_ok(), "another question is another body");
    bodies.keep("q", 1, &Bytes::from_static(b"[]"));
    drop(claim);
    for done in waiting {
        done.await;
    }
    assert!(bodies.get("q", 1).is_some());
    assert!(bodies.claim("q").is_ok(), "who gave up without a body leaves the claim to the next");
    drop(other);
    assert!(bodies.claims.lock().unwrap().is_empty());
}

#[test]
fn only_for_what_was_big_the_others_wait() {
    let bodies = Bodies::default();
    bodies.keep("small", 1, &Bytes::from_static(b"[]"));
    bodies.keep("big", 1, &Bytes::from(vec![0; WORTH_WAITING]));
    let worth = ["small", "big", "new"].map(|question| bodies.is_worth_waiting(question));
    assert_eq!(worth, [false, true, false]);
}

#[test]
fn what_is_compressed_comes_back() {
    let body = b"{\"ServiceName\":\"web\"}".repeat(1000);
    let small = gzip(&body).unwrap();
    let mut back = Vec::new();
    flate2::read::GzDecoder::new(&small[..]).read_to_end(&mut back).unwrap();
    assert!(back == body && small.len() < body.len() / 20, "{} of {}", small.len(), body.len());
}

#[test]
fn pretty_is_indented_by_four_and_ends_its_line() {
    let value = BTreeMap::from([("a", vec![1])]);
    assert_eq!(&json(&value, Layout::Compact).unwrap()[..], br#"{"a":[1]}"#);
    assert_eq!(&json(&value, Layout::Pretty).unwrap()[..], b"{\n    \"a\": [\n        1\n    ]\n}\n");
}
