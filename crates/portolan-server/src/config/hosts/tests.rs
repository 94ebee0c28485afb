//! Whose `Host` and `Origin` is served: tables, and a property over anything.

use http::HeaderValue;
use proptest::prelude::*;

use super::*;

fn hosts(allowed: &[&str]) -> Hosts {
    let allowed: Vec<_> = allowed.iter().map(|&name| name.to_owned()).collect();
    Hosts::new("Box-7", &allowed).unwrap()
}

fn headers(host: &[&str], origin: Option<&str>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for host in host {
        headers.append(header::HOST, HeaderValue::from_str(host).unwrap());
    }
    if let Some(origin) = origin {
        headers.insert(header::ORIGIN, HeaderValue::from_str(origin).unwrap());
    }
    headers
}

const SERVED: u16 = 200;

fn status(served: Result<(), Foreign>) -> u16 {
    served.map_or_else(|foreign| foreign.status().as_u16(), |()| SERVED)
}

#[test]
fn a_host_is_served_by_its_own_names_and_by_those_that_are_allowed() {
    for (host, expected) in [
        ("127.0.0.1:8500", 200),
        ("127.0.0.1", 200),
        ("[::1]:8500", 200),
        ("[::1]", 200),
        ("192.0.2.7:8500", 200),
        ("localhost:8500", 200),
        ("LocalHost.", 200),
        ("a.localhost:1", 200),
        ("box-7:8500", 200),
        ("BOX-7", 200),
        ("registry.example:8500", 200),
        ("REGISTRY.example.", 200),
        ("a.b.corp:80", 200),
        ("evil.example", 403),
        ("corp", 403),
        ("evilcorp", 403),
        ("localhost.evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("registry.example.evil", 403),
        // What a browser takes for an address is sent as one; this is a name.
        ("0x7f000001", 403),
        ("2130706433", 403),
        ("::1", 400),
        ("[::1", 400),
        ("[evil]", 400),
        ("[::1]evil", 400),
        ("user@localhost", 400),
        ("localhost:80:80", 400),
        ("localhost:port", 400),
        ("a b", 400),
        ("", 400),
    ] {
        let ours = hosts(&["registry.example", "*.corp"]);
        let served = ours.check(Version::HTTP_11, &Uri::from_static("/v1"), &headers(&[host], None), None);
        assert_eq!(status(served), expected, "{host:?}");
    }
}

#[test]
fn an_origin_is_served_when_it_is_the_registry_itself_or_is_allowed() {
    for (origin, expected) in [
        ("http://127.0.0.1:8500", 200),
        ("https://registry.example", 200),
        ("http://registry.example:9", 200),
        ("http://box-7", 200),
        ("http://127.0.0.1:3000", 403),
        ("http://localhost:8500", 403),
        ("http://192.0.2.9", 403),
        ("https://evil.example", 403),
        ("null", 403),
        ("", 403),
        ("file://", 403),
        ("http://registry.example@evil.example", 403),
    ] {
        let ours = hosts(&["registry.example"]);
        let headers = headers(&["127.0.0.1:8500"], Some(origin));
        let served = ours.check(Version::HTTP_11, &Uri::from_static("/v1"), &headers, None);
        assert_eq!(status(served), expected, "{origin:?}");
    }
}

#[test]
fn authority_and_host_must_both_be_ours_and_one_of_them_there() {
    let ours = hosts(&[]);
    for (version, uri, host, expected) in [
        (Version::HTTP_2, "http://localhost/v1", &[][..], 200),
        (Version::HTTP_2, "http://evil.example/v1", &[], 403),
        (Version::HTTP_2, "http://localhost/v1", &["evil.example"], 403),
        (Version::HTTP_2, "/v1", &[], 400),
        (Version::HTTP_11, "http://evil.example/v1", &["localhost"], 403),
        (Version::HTTP_11, "/v1", &[], 400),
        (Version::HTTP_11, "/v1", &["localhost", "localhost"], 400),
        (Version::HTTP_10, "/v1", &[], 200),
        (Version::HTTP_10, "/v1", &["evil.example"], 403),
    ] {
        let served = ours.check(version, &uri.parse().unwrap(), &headers(host, None), None);
        assert_eq!(status(served), expected, "{version:?} {uri} {host:?}");
    }
}

#[test]
fn over_https_the_name_that_the_client_verified_is_ours() {
    let ours = hosts(&[]);
    for (certified, expected) in [(Some("Registry.example"), 200), (Some("other.example"), 403), (None, 403)]
    {
        let headers = headers(&["registry.example:8501"], None);
        let served = ours.check(Version::HTTP_11, &Uri::from_static("/v1"), &headers, certified);
        assert_eq!(status(served), expected, "{certified:?}");
    }
}

#[test]
fn any_host_and_origin_is_served_when_all_are_allowed() {
    let all = hosts(&["*"]);
    let headers = headers(&["evil.example"], Some("null"));
    assert_eq!(all.check(Version::HTTP_11, &Uri::from_static("/"), &headers, None), Ok(()));
}

#[test]
fn what_is_refused_is_named_with_the_setting_that_allows_it() {
    let says = Foreign::Host("evil.example".to_owned()).text();
    assert!(says.contains("\"evil.example\"") && says.contains("allowed_hosts (--allow-host)"), "{says}");
    for wrong in ["", "http://a", "a:80", "*a", "a/b", "*.", "[::1]"] {
        let error = Hosts::new("n", &[wrong.to_owned()]).unwrap_err();
        assert!(error.to_string().starts_with("allowed_hosts: "), "{wrong:?}: {error}");
    }
}

proptest! {
    #[test]
    fn no_host_or_origin_panics_and_none_that_is_not_listed_is_served(host in "\\PC{0,100}", origin in "\\PC{0,100}") {
        let ours = hosts(&[]);
        let mut headers = HeaderMap::new();
        for (name, value) in [(header::HOST, &host), (header::ORIGIN, &origin)] {
            headers.insert(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        if ours.check(Version::HTTP_11, &Uri::from_static("/"), &headers, None).is_ok() {
            prop_assert!(origin.contains(&host) || origin.to_ascii_lowercase().contains("box-7"), "{host:?} {origin:?}");
        }
    }
}
