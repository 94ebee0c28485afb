//! The rules, as tables.

use super::*;

#[test]
fn only_what_http_calls_idempotent_is_sent_twice() {
    let twice = |method| retry_for(Retry::default(), &method, true).idempotent;
    for method in ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"] {
        assert!(twice(method.parse().unwrap()), "{method}");
    }
    for method in ["POST", "PATCH", "CONNECT", "BREW", "get"] {
        assert!(!twice(method.parse().unwrap()), "{method}");
    }
    assert!(retry_for(Retry::default().idempotent(), &Method::POST, true).idempotent, "the caller says so");
    assert_eq!(retry_for(Retry::default(), &Method::GET, false).tries, 1);
    assert_eq!(retry_for(Retry::default().tries(0), &Method::GET, false).tries, 0, "refused, not mended");
}

#[test]
fn a_status_says_whether_the_instance_failed() {
    use FailureKind::{Answer, Overloaded};
    for (status, kind) in [
        (200, None),
        (301, None),
        (400, None),
        (404, None),
        (429, Some(Overloaded)),
        (500, Some(Answer)),
        (501, None),
        (502, Some(Answer)),
        (503, Some(Overloaded)),
        (504, Some(Answer)),
        (505, None),
    ] {
        assert_eq!(kind_of_status(StatusCode::from_u16(status).unwrap()), kind, "{status}");
    }
}

#[test]
fn an_error_counts_by_its_causes_and_is_broken_where_none_is_known() {
    let of = |kind| blame(&RequestError::Caller(io::Error::new(kind, "an error")));
    for (kind, expected) in [
        (io::ErrorKind::ConnectionRefused, FailureKind::Connect),
        (io::ErrorKind::TimedOut, FailureKind::Timeout),
        (io::ErrorKind::ConnectionReset, FailureKind::Broken),
        (io::ErrorKind::UnexpectedEof, FailureKind::Broken),
    ] {
        assert_eq!(of(kind), Blame::Instance(expected), "{kind}");
    }
    let refused = h2::Error::from(h2::Reason::REFUSED_STREAM);
    assert_eq!(blame(&refused), Blame::Instance(FailureKind::Broken), "our own refusal is not the peer's");
}

#[test]
fn a_host_names_a_service() {
    let cases = [
        (Some("web"), None, Ok("web")),
        (Some("web.service.consul"), Some("service.consul"), Ok("web")),
        (Some("webservice.consul"), Some("service.consul"), Err("does not end")),
        (Some("web"), Some("service.consul"), Err("send it with a client of your own")),
        (Some(""), None, Err("names no host")),
        (None, None, Err("names no host")),
    ];
    for (host, suffix, expected) in cases {
        match (service_of(host, suffix), expected) {
            (Ok(name), Ok(expected)) => assert_eq!(name, expected),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (found, expected) => panic!("{host:?} {suffix:?}: {found:?}, not {expected:?}"),
        }
    }
}
