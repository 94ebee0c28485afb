//! Which address is told to which registry.

use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[tokio::test]
async fn the_route_to_a_registry_on_this_machine_is_loopback() {
    let auto = Address::Auto;
    assert_eq!(find(&auto, None).await.unwrap(), "127.0.0.1");
    assert_eq!(find(&auto, Some("127.0.0.1:8500")).await.unwrap(), "127.0.0.1");
}

#[tokio::test]
async fn a_given_address_is_not_judged_by_the_network() {
    let given = Address::Given("127.0.0.1".into());
    assert_eq!(find(&given, Some("consul.invalid:8500")).await.unwrap(), "127.0.0.1");
}

#[tokio::test]
async fn an_interface_gives_its_address_and_an_unknown_one_is_named() {
    let all = if_addrs::get_if_addrs().unwrap();
    let loopback = all.iter().find(|interface| interface.is_loopback()).unwrap();
    let found = find(&Address::Interface(loopback.name.clone()), None).await.unwrap();
    assert!(ip(&found).is_loopback(), "{found}");
    let error = find(&Address::Interface("nosuch0".into()), None).await.unwrap_err();
    assert!(
        error.to_string().starts_with("address: there is no interface \"nosuch0\"; there are"),
        "{error}"
    );
}

#[tokio::test]
async fn a_registry_whose_name_does_not_resolve_is_a_retryable_error_with_the_fix() {
    let error = find(&Address::Auto, Some("no such host:8500")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unreachable);
    assert!(error.to_string().contains("give an address"), "{error}");
}

#[test]
fn loopback_is_not_told_to_a_registry_elsewhere() {
    for (found, registry, taken) in [
        ("127.0.0.1", Some("127.0.0.1"), true),
        ("::1", Some("127.0.0.1"), true),
        ("127.0.0.1", None, true),
        ("127.0.0.1", Some("10.0.0.1"), false),
        ("::1", Some("fd00::1"), false),
        ("::ffff:127.0.0.1", Some("10.0.0.1"), false),
        ("10.0.0.2", Some("10.0.0.1"), true),
        ("0.0.0.0", Some("127.0.0.1"), false),
        ("::", None, false),
    ] {
        let judged = usable("auto", ip(found), registry.map(ip));
        assert_eq!(judged.is_ok(), taken, "{found} to {registry:?}: {judged:?}");
        if let Err(error) = judged {
            assert!(error.to_string().starts_with("address: auto found"), "{error}");
        }
    }
}

#[test]
fn an_interfaces_first_global_address_is_taken_and_ipv4_before_ipv6() {
    for (addresses, expected) in [
        (vec!["fd00::1", "10.0.0.1", "10.0.0.2"], Some("10.0.0.1")),
        (vec!["169.254.1.1", "fe80::1", "fd00::1"], Some("fd00::1")),
        (vec!["169.254.1.1", "fe80::1"], None),
        (vec!["::1", "127.0.0.1"], Some("::1")),
        (vec![], None),
    ] {
        let addresses: Vec<IpAddr> = addresses.into_iter().map(ip).collect();
        assert_eq!(best(&addresses), expected.map(ip), "{addresses:?}");
    }
}
