//! Which requests get which answer, and that none of them panics.

use proptest::prelude::*;

use super::*;

fn route(method: &str, target: &str, accept: Option<&str>) -> Route {
    Route::of(&Paths::default(), method, target, accept)
}

#[test]
fn each_path_asks_its_question_and_others_are_not_there() {
    for (target, expected) in [
        ("/livez", Route::Show(HealthView::Live, Form::Text)),
        ("/readyz", Route::Show(HealthView::Ready, Form::Text)),
        ("/health", Route::Show(HealthView::Check, Form::Text)),
        ("/health?", Route::Show(HealthView::Check, Form::Text)),
        ("/health/", Route::NotFound),
        ("/Health", Route::NotFound),
        ("/healthz", Route::NotFound),
        ("/", Route::NotFound),
        ("", Route::NotFound),
    ] {
        assert_eq!(route("GET", target, None), expected, "{target:?}");
    }
}

#[test]
fn only_get_and_head_are_answered() {
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "get", ""] {
        assert_eq!(route(method, "/health", None), Route::WrongMethod, "{method}");
        assert_eq!(route(method, "/none", None), Route::NotFound, "{method}");
    }
    assert_eq!(route("HEAD", "/livez", None), Route::Show(HealthView::Live, Form::Text));
    let headers = HealthResponse::wrong_method().headers;
    assert!(headers.contains(&("allow", "GET, HEAD")), "{headers:?}");
}

#[test]
fn json_is_written_where_it_is_named_and_consul_gets_text() {
    for (target, accept, expected) in [
        ("/health", None, Form::Text),
        ("/health", Some("text/plain, text/*, */*"), Form::Text),
        ("/health", Some("*/*"), Form::Text),
        ("/health", Some("application/*"), Form::Text),
        ("/health", Some("application/health+json"), Form::Json),
        ("/health", Some("Application/JSON"), Form::Json),
        ("/health", Some("text/html, application/json;q=0.5"), Form::Json),
        ("/health", Some("application/json; q=0, text/plain"), Form::Text),
        ("/health", Some("application/json;q=0.000"), Form::Text),
        ("/health", Some("application/jsonp"), Form::Text),
        ("/health?format=json", None, Form::Json),
        ("/health?a=b&format=json", Some("*/*"), Form::Json),
        ("/health?format=jsonp", None, Form::Text),
        ("/health?xformat=json", None, Form::Text),
    ] {
        let found = route("GET", target, accept);
        assert_eq!(found, Route::Show(HealthView::Check, expected), "{target} {accept:?}");
    }
}

#[test]
fn a_path_that_a_router_would_read_otherwise_is_refused_and_two_that_are_the_same() {
    let paths = |check: &str| Paths { check: check.to_owned(), ..Paths::default() };
    for (check, named) in [
        ("", "health.check_path: \"\""),
        ("health", "health.check_path: \"health\""),
        ("/a b", "A-Z a-z 0-9"),
        ("/{all}", "A-Z a-z 0-9"),
        ("/:all", "A-Z a-z 0-9"),
        ("/*all", "A-Z a-z 0-9"),
        ("/a?b", "A-Z a-z 0-9"),
        ("/é", "A-Z a-z 0-9"),
        ("/livez", "paths of their own"),
        ("/readyz", "paths of their own"),
        (&format!("/{}", "a".repeat(255)), "up to 255"),
    ] {
        let error = paths(check).validate().unwrap_err();
        assert_eq!(error.kind(), Kind::Config);
        assert!(error.to_string().contains(named), "{check:?}: {error}");
    }
    assert!(Paths { ready: "/livez".into(), ..Paths::default() }.validate().is_err());
    for check in ["/", "/health", "/a/b-c_d.e~f", &format!("/{}", "a".repeat(254))] {
        paths(check).validate().unwrap();
    }
}

proptest! {
    #[test]
    fn no_request_panics(method in ".{0,8}", target in "/?.{0,40}", accept in proptest::option::of(".{0,60}")) {
        let found = route(&method, &target, accept.as_deref());
        let there = ["/livez", "/readyz", "/health"].contains(&target.split('?').next().unwrap_or_default());
        prop_assert_eq!(found == Route::NotFound, !there);
    }
}
