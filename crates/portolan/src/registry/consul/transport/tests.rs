//! Deadlines and the content type; the rest is played by a scripted server in `tests/transport_rules.rs`.

use super::*;

#[test]
fn b2_a_blocking_read_waits_for_what_the_server_may_add() {
    let slack = Duration::from_secs(10);
    let with = |wait| deadline(Some(Block { index: 1, wait }), slack);
    assert_eq!(deadline(None, slack), slack);
    assert_eq!(with(Duration::from_secs(160)), Duration::from_secs(180));
    // Consul grants ten minutes at most.
    assert_eq!(with(Duration::from_secs(86_400)), Duration::from_millis(637_500 + 10_000));
    assert_eq!(deadline(Some(Block { index: 1, wait: Duration::MAX }), Duration::MAX), Duration::MAX);
}

#[test]
fn h6_only_json_is_read_as_json() {
    for (kind, good) in [
        (Some("application/json"), true),
        (Some("application/json; charset=utf-8"), true),
        (Some("Application/JSON"), true),
        (None, true),
        (Some("text/html"), false),
        (Some("text/plain; application/json"), false),
    ] {
        let mut headers = HeaderMap::new();
        if let Some(kind) = kind {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        let checked = json_promised("GET /", StatusCode::OK, &headers, b"<p>");
        assert_eq!(checked.is_ok(), good, "{kind:?}");
        assert!(checked.err().is_none_or(|error| error.kind() == Kind::Malformed));
    }
}
