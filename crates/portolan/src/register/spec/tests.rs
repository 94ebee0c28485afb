//! What a registration may say, field by field.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::error::Kind;

fn web() -> Registration {
    Registration::http("web", 8080)
}

#[test]
fn what_is_wrong_is_named_with_its_field() {
    let many = |count: usize| (0..count).map(|n| format!("t{n}"));
    let crowded = many(65).fold(web(), |spec, key| spec.meta(key, "v"));
    let needy = many(64).fold(web(), |spec, key| spec.meta(key, "v"));
    let twin = || Check::tcp().with_id("twin".parse().unwrap());
    for (spec, says) in [
        (Registration::new("", 80), "service name: \"\" is empty"),
        (Registration::new("a/b", 80), "service name: \"a/b\""),
        (web().id(""), "service id: \"\" is empty"),
        (web().address(Address::Given(String::new())), "address: \"\" is empty"),
        (web().address(Address::Given("0.0.0.0".into())), "address: \"0.0.0.0\" means every address"),
        (web().address(Address::Given("::".into())), "address: \"::\" means every address"),
        (web().address(Address::Given("224.0.0.1".into())), "address: \"224.0.0.1\" is a multicast"),
        (web().address(Address::Given("10.0.0.1:80".into())), "address: \"10.0.0.1:80\" is neither"),
        (web().address(Address::Given("[::1]".into())), "address: \"[::1]\" is neither"),
        (web().address(Address::Given("a b".into())), "address: \"a b\" is neither"),
        (web().address(Address::Given("a\u{7}b".into())), "address: \"a\\u{7}b\" is neither"),
        (web().address(Address::Given("a".repeat(254))), "address: \"aaa"),
        (web().address(Address::Interface(String::new())), "address: \"interface:\" names no interface"),
        (web().tag(""), "tags[0]: it is empty"),
        (web().tags(["a", "b\n"]), "tags[1]: "),
        (web().tags(many(257)), "tags: 257 are given"),
        (crowded, "meta: 65 pairs are given"),
        (
            needy.needs(["db".parse().unwrap()]),
            "needs: the declaration has 2 bytes and takes 1 pairs of meta",
        ),
        (web().meta("portolan-needs", "db@^^1"), "meta.portolan-needs: \"db@^^1\": needs[0]"),
        (web().meta("a.b", "v"), "meta: the key \"a.b\" is not"),
        (web().meta("", "v"), "meta: the key \"\" is not"),
        (web().meta("k".repeat(129), "v"), "meta: the key \"kkk"),
        (web().meta("k", "v".repeat(513)), "meta.k: the value has 513 bytes"),
        (web().version("v".repeat(513)), "meta.version: the value has 513 bytes"),
        (web().weights(Weights { passing: 0, warning: 1 }), "weights.passing: 0 is under 1"),
        (web().check(Check::http("health")), "check[1].http: \"health\" is neither"),
        (web().checks([twin(), twin()]), "check[1].id: \"twin\" is the id of another check"),
        (web().checks(vec![Check::tcp(); 65]), "checks: 65 are given"),
        (Registration::http("web", 0), "port: 0 cannot be checked by check[0]"),
        (Registration::tcp("web", 0), "port: 0 cannot be checked by check[0]"),
        (web().address(Address::Node), "address: check[0] asks the instance's own address"),
        (web().tagged_address("", "10.0.0.1", 0), "tagged_addresses: \"\" is empty"),
        (web().tagged_address("wan", "a\n", 0), "tagged_addresses: \"wan\""),
    ] {
        let error = spec.validate().unwrap_err();
        assert_eq!(error.kind(), Kind::Config);
        assert!(error.to_string().starts_with(says), "{error}\nexpected {says}");
    }
}

#[test]
fn what_consul_takes_is_taken() {
    let full = (0..64).fold(web(), |spec, n| spec.meta(format!("{n:-<128}"), "v".repeat(512)));
    for spec in [
        web(),
        full,
        Registration::ttl("web", 0),
        Registration::new("web", 0).check(Check::http("http://elsewhere:80/")),
        web().weights(Weights { passing: 65_535, warning: 0 }),
        web().address(Address::Given("fd00::1".into())),
        web().address(Address::Given("a".repeat(253))),
        web().tags((0..256).map(|n| format!("t{n}"))),
        Registration::new("web", 80).checks(vec![Check::tcp(); 64]),
        web().address(Address::Given("web-1.internal".into())),
    ] {
        spec.validate().unwrap();
    }
}

#[test]
fn an_address_reads_from_text_and_writes_back() {
    for (text, expected) in [
        ("auto", Address::Auto),
        ("node", Address::Node),
        ("interface:eth0", Address::Interface("eth0".into())),
        ("10.0.0.1", Address::Given("10.0.0.1".into())),
        ("fd00::1", Address::Given("fd00::1".into())),
    ] {
        let read: Address = text.parse().unwrap();
        assert_eq!((read.to_string().as_str(), read), (text, expected));
    }
    assert!("interface:".parse::<Address>().is_err());
}

#[test]
fn the_short_forms_have_the_defaults_people_know() {
    assert_eq!(web().checks, [Check::http("/health").every(Duration::from_secs(10))]);
    assert_eq!(Registration::ttl("web", 1).checks, [Check::ttl(Duration::from_secs(30))]);
    assert_eq!(Registration::tcp("web", 1).checks, [Check::tcp()]);
    assert!(Registration::new("web", 1).checks.is_empty());
    assert_eq!(web().zone("a").meta["zone"], "a");
    assert_eq!(web().region("eu").meta["region"], "eu");
}

#[test]
fn what_is_hardly_meant_is_warned_of_with_its_place() {
    let second = Duration::from_secs(1);
    let odd = web().check(Check::udp().every(second).deregister_after(Some(second)));
    assert!(odd.validate().is_ok() && web().warnings().is_empty());
    let warnings = odd.warnings();
    let starts = warnings.iter().map(|text| text.split(' ').next().unwrap()).collect::<Vec<_>>();
    assert_eq!(starts, ["check[1].timeout:", "check[1].deregister_after:"]);
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,20}", port: u16) {
        let spec = Registration::http(text.clone(), port).id(text.clone()).tag(text.clone()).meta(text.clone(), text.clone());
        let _judged = spec.address(Address::Given(text.clone())).check(Check::tcp_at(text)).validate();
    }
}
