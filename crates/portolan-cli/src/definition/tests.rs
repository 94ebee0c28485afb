//! Files as people write them, what is wrong with others, and that no text does harm.

use std::time::Duration;

use portolan::{Check, CheckId, CheckTls, ServiceId, Status};
use proptest::prelude::*;

use super::*;

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// As Consul runs it when a definition says no more than the interval.
fn each(check: Check, interval: u64) -> Check {
    check.every(seconds(interval)).timeout(seconds(10)).deregister_after(None)
}

/// A shop's front end, with most of what a definition may say.
fn shop() -> Registration {
    let login = Check::https("https://10.1.2.3:8443/login").method("POST").header("Host", "shop.example");
    let login = login.header("X-Trace", "a").header("X-Trace", "b").body("{}").tls(CheckTls::unverified());
    Registration::new("shop", 8443)
        .id("shop-eu-1")
        .address(Address::Given("10.1.2.3".to_owned()))
        .tags(["front", "v2"])
        .meta("zone", "eu-1")
        .meta("version", "2.1.0")
        .weights(Weights { passing: 10, warning: 2 })
        .enable_tag_override(true)
        .tagged_address("wan", "198.51.100.7", 443)
        .check(
            each(login, 10)
                .timeout(seconds(2))
                .with_id(CheckId::new("shop-login").unwrap())
                .named("login page")
                .with_notes("ask the web team")
                .starting(Status::Warning)
                .thresholds(2, 1, 3)
                .deregister_after(Some(seconds(3600))),
        )
        .check(each(Check::tcp_at("10.1.2.3:8443"), 5))
        .check(Check::ttl(seconds(30)).deregister_after(None))
}

const SHOP_HCL: &str = r#"
# The front end.
service {
  name    = "shop"
  id      = "shop-eu-1"
  address = "10.1.2.3"
  port    = 8443
  tags    = ["front", "v2"]
  enable_tag_override = true
  meta = {
    zone    = "eu-1"
    version = "2.1.0"
  }
  weights {
    passing = 10
    warning = 2
  }
  tagged_addresses {
    wan = {
      address = "198.51.100.7"
      port    = 443
    }
  }
  checks = [
    {
      id                                = "shop-login"
      name                              = "login page"
      notes                             = "ask the web team"
      http                              = "https://10.1.2.3:8443/login"
      method                            = "POST"
      header                            = { Host = ["shop.example"], "X-Trace" = ["a", "b"] }
      body                              = "{}"
      tls_skip_verify                   = true
      interval                          = "10s"
      timeout                           = "2s"
      status                            = "warning"
      success_before_passing            = 2
      failures_before_warning           = 1
      failures_before_critical          = 3
      deregister_critical_service_after = "1h"
    },
    { tcp = "10.1.2.3:8443", interval = "5s" },
  ]
  check {
    ttl = "30s"
  }
}
"#;

const SHOP_JSON: &str = r#"{"Service": {
  "ID": "shop-eu-1", "Name": "shop", "Address": "10.1.2.3", "Port": 8443, "Tags": ["front", "v2"],
  "Meta": {"zone": "eu-1", "version": "2.1.0"}, "Weights": {"Passing": 10, "Warning": 2},
  "TaggedAddresses": {"wan": {"Address": "198.51.100.7", "Port": 443}},
  "EnableTagOverride": true, "Kind": "", "Proxy": null,
  "Checks": [
    {"CheckID": "shop-login", "Name": "login page", "Notes": "ask the web team",
     "HTTP": "https://10.1.2.3:8443/login", "Method": "POST",
     "Header": {"Host": ["shop.example"], "X-Trace": ["a", "b"]}, "Body": "{}", "TLSSkipVerify": true,
     "Interval": "10s", "Timeout": "2s", "Status": "warning", "SuccessBeforePassing": 2,
     "FailuresBeforeWarning": 1, "FailuresBeforeCritical": 3, "DeregisterCriticalServiceAfter": "1h"},
    {"TCP": "10.1.2.3:8443", "Interval": "5s"}
  ],
  "Check": {"TTL": "30s"}
}}"#;

const SHOP_TOML: &str = r#"
[service]
name = "shop"
id = "shop-eu-1"
address = "10.1.2.3"
port = 8443
tags = ["front", "v2"]
enable_tag_override = true
meta = { zone = "eu-1", version = "2.1.0" }
weights = { passing = 10, warning = 2 }
tagged_addresses.wan = { address = "198.51.100.7", port = 443 }
check.ttl = "30s"

[[service.checks]]
id = "shop-login"
name = "login page"
notes = "ask the web team"
http = "https://10.1.2.3:8443/login"
method = "POST"
header = { Host = ["shop.example"], X-Trace = ["a", "b"] }
body = "{}"
tls_skip_verify = true
interval = "10s"
timeout = "2s"
status = "warning"
success_before_passing = 2
failures_before_warning = 1
failures_before_critical = 3
deregister_critical_service_after = "1h"

[[service.checks]]
tcp = "10.1.2.3:8443"
interval = "5s"
"#;

#[test]
fn one_definition_reads_alike_in_each_syntax() {
    for (syntax, text) in [(Syntax::Hcl, SHOP_HCL), (Syntax::Json, SHOP_JSON), (Syntax::Toml, SHOP_TOML)] {
        assert_eq!(read(text, syntax).unwrap(), [shop()], "{syntax:?}");
    }
    assert_eq!(read(SHOP_JSON, Syntax::Hcl).unwrap(), [shop()], "Consul reads JSON in .hcl files");
    // The body of a request is a definition by itself.
    let body = SHOP_JSON.strip_prefix(r#"{"Service": "#).and_then(|rest| rest.strip_suffix('}')).unwrap();
    assert_eq!(read(body, Syntax::Json).unwrap(), [shop()]);
}

#[test]
fn what_is_left_out_is_as_consul_has_it() {
    let bare = |name: &str| Registration::new(name, 0).id(name).address(Address::Node);
    assert_eq!(read("service {\n  name = \"a\"\n}", Syntax::Hcl).unwrap(), [bare("a")]);
    let two = "services {\n  name = \"a\"\n}\nservices {\n  name = \"b\"\n}\nservice {\n  name = \"c\"\n}";
    assert_eq!(read(two, Syntax::Hcl).unwrap(), [bare("a"), bare("b"), bare("c")]);
    let two = r#"{"services": [{"name": "a", "id": "", "meta": null}, {"name": "b", "check": null}]}"#;
    assert_eq!(read(two, Syntax::Json).unwrap(), [bare("a"), bare("b")]);
}

fn checks_of(text: &str) -> Result<Vec<Check>, Error> {
    let whole: Value = serde_json::from_str(text).unwrap();
    whole.as_array().unwrap().iter().map(|value| check::read("check", value)).collect()
}

#[test]
fn each_kind_is_read_with_what_belongs_to_it() {
    let web = ServiceId::new("web-1").unwrap();
    let named = CheckTls::verified().server_name("a.b");
    let program = |check| each(check, 10).timeout(seconds(30));
    for (text, expected) in [
        (r#"{"http": "http://a:1/h", "interval": "10s"}"#, each(Check::http("http://a:1/h"), 10)),
        (r#"{"http": "https://a/", "interval": "10s"}"#, each(Check::http("https://a/"), 10)),
        (
            r#"{"tcp": "a:1", "tcp_use_tls": true, "interval": "10s"}"#,
            each(Check::tcp_at("a:1").tls(CheckTls::verified()), 10),
        ),
        (r#"{"udp": "a:1", "interval": "10s"}"#, each(Check::udp().at("a:1"), 10)),
        (r#"{"grpc": "a:1", "interval": "10s"}"#, each(Check::grpc("").at("a:1"), 10)),
        (
            r#"{"grpc": "a:1/pkg.S", "grpc_use_tls": true, "tls_server_name": "a.b", "interval": "10s"}"#,
            each(Check::grpc("pkg.S").at("a:1").tls(named), 10),
        ),
        (
            r#"{"h2ping": "a:1", "interval": "10s"}"#,
            each(Check::h2_ping().at("a:1").tls(CheckTls::verified()), 10),
        ),
        (
            r#"{"H2PING": "a:1", "H2PingUseTLS": false, "interval": "10s"}"#,
            each(Check::h2_ping().at("a:1"), 10),
        ),
        (r#"{"ttl": "15s"}"#, Check::ttl(seconds(15)).deregister_after(None)),
        (r#"{"alias_service": "web-1"}"#, Check::alias_of(web.clone()).deregister_after(None)),
        (
            r#"{"AliasNode": "n", "AliasService": "web-1"}"#,
            Check::alias_of(web).on_node("n").deregister_after(None),
        ),
        (
            r#"{"args": ["/bin/check", "-v"], "interval": "10s"}"#,
            program(Check::script(["/bin/check", "-v"])),
        ),
        (r#"{"ScriptArgs": ["/bin/check"], "interval": "10s"}"#, program(Check::script(["/bin/check"]))),
        (r#"{"os_service": "sshd", "interval": "10s"}"#, program(Check::os_service("sshd"))),
        (
            r#"{"docker_container_id": "c1", "args": ["true"], "interval": "10s"}"#,
            program(Check::docker("c1", ["true"])),
        ),
    ] {
        assert_eq!(checks_of(&format!("[{text}]")).unwrap(), [expected], "{text}");
    }
}

/// Each text is refused, with a message that starts as said.
fn all_refused(table: &[(&str, &str)], whole: impl Fn(&str) -> String) {
    for (text, says) in table {
        let error = read(&whole(text), Syntax::Json).unwrap_err();
        assert_eq!(error.kind(), portolan::Kind::Config);
        assert!(error.to_string().starts_with(says), "{error}\nexpected {says}");
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
}

#[test]
fn what_is_wrong_with_a_file_is_told() {
    let table = [
        (r#"{"services": [{"name": "a"}, {}]}"#, "services[1].name: it is missing"),
        (r#"{"services": {"name": 1}}"#, "services.name: 1 is not a text in quotes"),
        (r#"{"server": true, "service": {"name": "a"}}"#, "server: it is no key of a file of services"),
        (r#"{"service": "web"}"#, "service: \"web\" is no object"),
        (r#"{"service": [{"name": "a"}, {"name": "b"}]}"#, "service: there are 2, and one is allowed"),
        ("{}", "it defines no service"),
        ("[]", "the file: there are 0"),
        ("1", "the file: 1 is no object"),
        (r#"{"service": "#, "it is no JSON: EOF"),
    ];
    all_refused(&table, str::to_owned);
}

#[test]
fn what_is_wrong_with_a_service_is_named_by_its_path_in_the_file() {
    let table = [
        (r#""name": "a", "prot": 1"#, "service.prot: it is no key of a service; the keys are name, port,"),
        (r#""name": "a/b""#, "service: service name: \"a/b\""),
        (r#""name": "a", "port": "80""#, "service.port: \"80\" is not a whole number"),
        (r#""name": "a", "port": 70000"#, "service.port: 70000 is not a whole number"),
        (r#""name": "a", "Name": "b""#, "service.name: it is given twice"),
        (
            r#""name": "a", "tagged_addresses": {}, "TaggedAddresses": {}"#,
            "service.TaggedAddresses: it is given",
        ),
        (
            r#""name": "a", "tagged_addresses": {"wan": {"adress": "x"}}"#,
            "service.tagged_addresses.wan.adress: ",
        ),
        (r#""name": "a", "tags": "b""#, "service.tags: \"b\" is not a list of texts"),
        (r#""name": "a", "tags": [1]"#, "service.tags[0]: 1 is not a text"),
        (r#""name": "a", "tags": [""]"#, "service: tags[0]: "),
        (r#""name": "a", "meta": {"k": 1}"#, "service.meta.k: 1 is not a text"),
        (r#""name": "a", "meta": {"a.b": "1"}"#, "service: meta: the key \"a.b\""),
        (
            r#""name": "a", "meta": {"portolan-needs": "db, x@^^1"}"#,
            "service: meta.portolan-needs: \"x@^^1\": needs[1], character 4: ",
        ),
        (r#""name": "a", "weights": {"passing": 0}"#, "service: weights.passing: 0"),
        (r#""name": "a", "weights": {"pasing": 1}"#, "service.weights.pasing: it is no key of weights"),
        (r#""name": "a", "connect": {"native": true}"#, "service.connect: Portolan is no service mesh"),
        (r#""name": "a", "token": "s3cret""#, "service.token: a token does not belong"),
        (r#""name": "a", "check": {}"#, "service.check: it checks nothing"),
        (r#""name": "a", "check": [{"ttl": "1s"}, {"ttl": "1s"}]"#, "service.check: there are 2"),
        (
            r#""name": "a", "checks": [{"id": "x", "ttl": "1s"}, {"id": "x", "ttl": "1s"}]"#,
            "service: check[1].id: \"x\" is the id of another check",
        ),
    ];
    all_refused(&table, |fields| format!("{{\"service\": {{{fields}}}}}"));
}

#[test]
fn what_is_wrong_with_a_check_is_named_by_its_path_in_the_file() {
    let table = [
        (r#""tcp": "a:1", "intervall": "1s""#, "service.checks[0].interval: it is missing"),
        (
            r#""tcp": "a:1", "interval": "1s", "intervall": "1s""#,
            "service.checks[0].intervall: it is no key of a check; the keys are http,",
        ),
        (r#""tcp": "a:1", "http": "http://a/""#, "service.checks[0]: http and tcp are in one check"),
        (r#""ttl": "1s", "args": ["a"]"#, "service.checks[0]: ttl and args are in one check"),
        (r#""tcp": "a:1", "interval": "0s""#, "service.checks[0].interval: \"0s\" is under 1s"),
        (r#""tcp": "a:1", "interval": 5"#, "service.checks[0].interval: 5 is not a duration in quotes"),
        (r#""tcp": "a", "interval": "1s""#, "service.checks[0].tcp: \"a\" is not \"host:port\""),
        (r#""ttl": "soon""#, "service.checks[0].ttl: \"soon\" is not a duration"),
        (r#""ttl": "10ms""#, "service.checks[0].ttl: \"10ms\" is under 1s"),
        (r#""ttl": "10s", "interval": "1s""#, "service.checks[0].interval: a check that is not run"),
        (r#""ttl": "10s", "timeout": "1s""#, "service.checks[0].timeout: a check that is not run"),
        (r#""ttl": "10s", "status": "fine""#, "service.checks[0].status: \"fine\""),
        (r#""ttl": "10s", "token": "s3cret""#, "service.checks[0].token: a token does not belong"),
        (r#""ttl": "10s", "id": "a", "CheckID": "b""#, "service.checks[0].check_id: it is the same as id"),
        (r#""tcp": "a:1", "interval": "1s", "method": "GET""#, "service.checks[0].method: \"tcp\""),
        (r#""tcp": "a:1", "interval": "1s", "shell": "sh""#, "service.checks[0].shell: "),
        (r#""tcp": "a:1", "interval": "1s", "tls_skip_verify": true"#, "service.checks[0]: tls_skip_verify"),
        (r#""http": "/h", "interval": "1s""#, "service: address: check[0] asks the instance's own"),
    ];
    let whole = |fields: &str| {
        format!("{{\"service\": {{\"name\": \"a\", \"port\": 1, \"checks\": [{{{fields}}}]}}}}")
    };
    all_refused(&table, whole);
}

#[test]
fn hcl_is_not_calculated_and_a_text_is_what_stands_there() {
    let script = |text: &str| {
        let text = format!(
            "service {{\n  name = \"a\"\n  check {{\n    args = [{text}]\n    interval = \"1s\"\n  }}\n}}"
        );
        read(&text, Syntax::Hcl).map(|found| found[0].clone())
    };
    let expected = |arg: &str| {
        let check = each(Check::script([arg]), 1).timeout(seconds(30));
        Registration::new("a", 0).id("a").address(Address::Node).check(check)
    };
    assert_eq!(script("\"a ${HOST} b\"").unwrap(), expected("a ${HOST} b"));
    assert_eq!(script("<<END\nx\nEND\n").unwrap(), expected("x\n"));
    for (text, says) in [
        ("service {\n  name = web\n}", "service.name: it is to be calculated"),
        ("service {\n  name = upper(\"web\")\n}", "service.name: it is to be calculated"),
        ("service {\n  name = \"a\"\n  port = 1 + 1\n}", "service.port: it is to be calculated"),
        ("service {\n  name = \"a\"\n  name = \"b\"\n}", "service.name: it is given twice (line 3)"),
        ("service {\n  check {\n  }\n  check = 1\n}", "service.check: it is given twice"),
        ("service {\n  name = \"a\"\n}\nservice {\n  name = \"b\"\n}", "service: there are 2"),
        ("service \"web\" {\n  port = 1\n}", "service: the label \"web\" has no meaning here"),
        ("service {", "it is no HCL: "),
    ] {
        let error = read(text, Syntax::Hcl).unwrap_err().to_string();
        assert!(error.starts_with(says) && !error.contains('\n'), "{error}\nexpected {says}");
    }
}

#[test]
fn the_format_is_told_by_the_name() {
    for (name, syntax) in [("a.json", Syntax::Json), ("d/b.hcl", Syntax::Hcl), ("c.toml", Syntax::Toml)] {
        assert_eq!(Syntax::of(name.as_ref()).unwrap(), syntax);
    }
    for name in ["web", "web.yaml", ".json", ""] {
        assert!(
            Syntax::of(name.as_ref()).unwrap_err().to_string().contains(".json, .hcl or .toml"),
            "{name}"
        );
    }
}

/// Trees that hold the keys which are looked for, with values of any type below them.
fn tree() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z0-9:/.]{0,8}|10s|passing|http://a:1/h|a:1".prop_map(Value::from),
    ];
    let key = "service|services|name|id|port|tags|meta|Weights|passing|check|Checks|http|tcp|grpc|ttl|args|interval\
               |tagged_addresses|header|status|deregister_critical_service_after|EnableTagOverride|[a-zA-Z_]{0,6}";
    leaf.prop_recursive(5, 64, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(key, inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_text_panics(text in "\\PC{0,200}|[\\[\\]{}()=\",$<a-z0-9 \n]{0,300}") {
        for syntax in [Syntax::Json, Syntax::Hcl, Syntax::Toml] {
            let _read = read(&text, syntax);
        }
    }

    #[test]
    fn no_tree_panics_and_what_is_read_is_right(tree in tree()) {
        if let Ok(found) = read(&tree.to_string(), Syntax::Json) {
            for registration in found {
                prop_assert!(registration.validate().is_ok());
            }
        }
    }

    #[test]
    fn no_depth_panics(open in "[\\[{(]|a=\\[|a \\{|!|-|\"\\$\\{", depth in 0usize..5000) {
        for syntax in [Syntax::Json, Syntax::Hcl, Syntax::Toml] {
            let _read = read(&format!("a = {}", open.repeat(depth)), syntax);
            let _read = read(&open.repeat(depth), syntax);
        }
    }
}
