//! Defaults, what is refused, and what only a warning is said about.

use super::*;

#[test]
fn the_defaults_are_those_people_know() {
    let check = Check::http("/health");
    assert_eq!((check.interval, check.timeout), (Duration::from_secs(10), Duration::from_secs(5)));
    assert_eq!(check.deregister_after, Some(Duration::from_secs(600)));
    assert_eq!(check.initial, None);
}

#[test]
fn what_is_wrong_is_named_with_its_field() {
    for (check, says) in [
        (Check::http("health"), "c.http: \"health\" is neither a path"),
        (Check::http("/a b"), "c.http: \"/a b\" is neither a path"),
        (Check::http("/a\tb"), "c.http: \"/a\\tb\" is neither a path"),
        (Check::http("http://"), "c.http: \"http://\" is not a URL"),
        (Check::tcp_at("db"), "c.tcp: \"db\" is not \"host:port\""),
        (Check::tcp_at("db:0"), "c.tcp: \"db:0\""),
        (Check::tcp_at(":80"), "c.tcp: \":80\""),
        (Check::tcp_at("a b:80"), "c.tcp: \"a b:80\""),
        (Check::tcp_at("a/b:80"), "c.tcp: \"a/b:80\""),
        (Check::tcp_at("a\tb:80"), "c.tcp: \"a\\tb:80\""),
        (Check::tcp().every(Duration::ZERO), "c.interval: \"0s\" is under 1s"),
        (Check::tcp().timeout(Duration::ZERO), "c.timeout: \"0s\""),
        (Check::ttl(Duration::from_millis(10)), "c.ttl: \"10ms\" is under 1s"),
        (Check::tcp().starting(Status::Maintenance), "c.status: \"maintenance\""),
        (Check::tcp().thresholds(0, 3, 2), "c.failures_before_warning: \"3\""),
        (Check::tcp().deregister_after(Some(Duration::ZERO)), "c.deregister_after: \"0s\" is no time"),
        (Check::udp().at("db"), "c.udp: \"db\" is not \"host:port\""),
        (Check::grpc("").at("db:1/x"), "c.grpc: \"db:1/x\""),
        (Check::grpc("a\nb"), "c.grpc: \"a\\nb\" holds a control character"),
        (Check::h2_ping().at(""), "c.h2ping: \"\""),
        (Check::alias_of_node(""), "c.alias: \"\" names neither"),
        (Check::of(CheckKind::Alias { node: None, service: None }), "c.alias: \"\" names neither"),
        (Check::script::<&str>([]), "c.args: \"\" names no program"),
        (Check::script([""]), "c.args: \"\" names no program"),
        (Check::script(["a", "b\0"]), "c.args: "),
        (Check::os_service(""), "c.os_service: \"\" is no name"),
        (Check::docker("", ["true"]), "c.docker_container_id: \"\""),
        (Check::docker("c1", Vec::<String>::new()), "c.args: \"\""),
        (Check::http("/h").method("GE T"), "c.method: \"GE T\" is no HTTP method"),
        (Check::http("/h").header("a b", "c"), "c.header: \"a b\" is no name"),
        (Check::http("/h").header("x", "secret\n"), "c.header: \"x\" has a value"),
        (Check::https("http://a/"), "c.tls: \"http://a/\" is not TLS"),
        (Check::tcp().tls(CheckTls::verified().server_name("a b")), "c.tls_server_name: \"a b\""),
    ] {
        let error = check.validate("c").unwrap_err();
        assert!(error.to_string().starts_with(says), "{error}");
    }
}

#[test]
fn a_setting_that_a_kind_does_not_have_is_refused() {
    let second = Duration::from_secs(1);
    for (check, says) in [
        (Check::tcp().method("PUT"), "c.method: \"tcp\" checks have no such setting"),
        (Check::ttl(second).header("a", "b"), "c.header: \"ttl\""),
        (Check::udp().body("x"), "c.body: \"udp\""),
        (Check::udp().tls(CheckTls::verified()), "c.tls: \"udp\""),
        (Check::http("/h").at("a:1"), "c.target: \"http\""),
        (Check::tcp().on_node("n").body(""), "c.node: \"tcp\""),
        (Check::script(["true"]).every(Duration::ZERO), "c.interval: \"0s\""),
    ] {
        let error = check.validate("c").unwrap_err();
        assert!(error.to_string().starts_with(says), "{error}");
    }
}

#[test]
fn what_can_be_sent_is_accepted() {
    let second = Duration::from_secs(1);
    for check in [
        Check::http("/h"),
        Check::http("https://a.b:1/x"),
        Check::tcp_at("[::1]:80"),
        Check::ttl(second),
        Check::tcp().every(second),
        Check::tcp().deregister_after(Some(second * 60)),
        Check::tcp().deregister_after(Some(second)),
        Check::http("/h").method("PROPFIND").header("Host", "a").body("b"),
        Check::https("/h").tls(CheckTls::unverified().server_name("a.b")),
        Check::udp().at("a:1"),
        Check::grpc("pkg.Service").at("[::1]:1").tls(CheckTls::verified()),
        Check::h2_ping().tls(CheckTls::verified()),
        Check::alias_of(ServiceId::new("web-1").unwrap()).on_node("n2"),
        Check::alias_of_node("n2").every(Duration::ZERO),
        Check::script(["/bin/true", ""]),
        Check::os_service("sshd"),
        Check::docker("c1", ["true"]),
        Check::tcp().deregister_after(None),
        // A threshold of zero is none.
        Check::tcp().thresholds(0, 2, 3),
        Check::tcp().thresholds(0, 3, 3),
        Check::tcp().thresholds(0, 3, 0),
    ] {
        check.validate("c").unwrap();
    }
    assert!(Check::ttl(second).is_ttl() && !Check::tcp().is_ttl());
}

#[test]
fn what_is_hardly_meant_is_a_warning_that_names_its_field() {
    let second = Duration::from_secs(1);
    for (check, says) in [
        (Check::tcp(), vec![]),
        (Check::tcp().every(second * 5), vec![]),
        (
            Check::tcp().every(second * 4),
            vec!["c.timeout: 5s is over the interval, 4s: runs come late".to_owned()],
        ),
        // It has neither.
        (Check::ttl(second).every(second), vec![]),
        (
            Check::udp().deregister_after(Some(second * 59)),
            vec!["c.deregister_after: 59s is under 1m, Consul's least: 1m is used".to_owned()],
        ),
        (Check::udp().deregister_after(Some(second * 60)), vec![]),
    ] {
        assert_eq!(check.warnings("c"), says, "{check:?}");
    }
}

#[test]
fn each_kind_has_consuls_word_and_says_whether_it_is_run() {
    for (check, word, run) in [
        (Check::http("/h"), "http", true),
        (Check::tcp(), "tcp", true),
        (Check::udp(), "udp", true),
        (Check::grpc(""), "grpc", true),
        (Check::h2_ping(), "h2ping", true),
        (Check::ttl(DEFAULT_TTL), "ttl", false),
        (Check::alias_of_node("n"), "alias", false),
        (Check::script(["true"]), "script", true),
        (Check::os_service("sshd"), "os_service", true),
        (Check::docker("c", ["true"]), "docker", true),
    ] {
        assert_eq!((check.kind.as_str(), check.kind.is_run()), (word, run));
    }
}
