//! What is in the catalogue that both are asked about.

use serde_json::{Value, json};

use crate::site::{Site, Try};

fn node(name: &str, address: &str) -> Value {
    json!({ "Node": name, "Address": address, "NodeMeta": { "rack": "7" } })
}

fn with(mut node: Value, service: Value, status: &str) -> Value {
    let id = service["ID"].clone();
    node["Service"] = service;
    node["Checks"] = json!([{ "CheckID": format!("c-{}", id.as_str().unwrap_or_default()), "Name": "c", "Status": status, "ServiceID": id }]);
    node
}

/// The registrations, as `/v1/catalog/register` takes them.
fn registrations() -> Vec<Value> {
    let ext = || node("ext1", "10.1.0.1");
    let at = |service: &str, id: &str, address: &str, port: u16| json!({ "Service": service, "ID": id, "Address": address, "Port": port });
    let mut tagged = at("web", "web1", "", 80);
    tagged["Tags"] = json!(["v1", "Blue", "a.b"]);
    let mut weighed = at("web", "web2", "10.2.0.2", 81);
    weighed["Weights"] = json!({ "Passing": 7, "Warning": 3 });
    weighed["Tags"] = json!(["v1"]);
    let mut warning = at("web", "web3", "10.2.0.3", 82);
    warning["Weights"] = json!({ "Passing": 7, "Warning": 3 });
    let mut dual = at("dual", "dual", "10.6.0.1", 80);
    dual["TaggedAddresses"] = json!({
        "lan_ipv4": { "Address": "10.6.0.4", "Port": 80 }, "lan_ipv6": { "Address": "2001:db8::64", "Port": 80 }
    });
    let mut meta = node("meta", "10.1.0.9");
    meta["NodeMeta"] = json!({ "rfc1035-note": "bare", "RFC1035-Upper": "bare too", "k": "v=w`x" });
    let mut both = node("both", "10.1.0.8");
    both["TaggedAddresses"] = json!({ "lan_ipv4": "10.1.8.4", "lan_ipv6": "2001:db8::84" });
    let mut sick = with(node("sick", "10.1.0.5"), at("sickly", "s", "", 1), "passing");
    sick["Checks"] = json!([{ "CheckID": "disk", "Name": "disk", "Status": "critical" }]);
    let mut all = vec![
        with(ext(), tagged, "passing"),
        with(ext(), weighed, "passing"),
        with(node("Upper", "10.1.0.2"), warning, "warning"),
        with(node("Upper", "10.1.0.2"), at("web", "web4", "10.2.0.4", 83), "critical"),
        with(node("six", "2001:db8::6"), at("web", "web5", "2001:db8::5", 84), "passing"),
        with(node("six", "2001:db8::6"), at("six", "six", "", 84), "passing"),
        with(node("a.b", "10.1.0.3"), at("dotted", "dotted", "", 85), "passing"),
        with(ext(), at("Caps", "caps", "10.2.0.9", 86), "passing"),
        with(ext(), at("dead", "dead", "10.2.0.8", 87), "critical"),
        sick,
        with(ext(), at("named", "named", "Db.Example", 88), "passing"),
        with(ext(), at("mixed", "mixed1", "db.example", 89), "passing"),
        with(ext(), at("mixed", "mixed2", "10.2.0.7", 90), "passing"),
        with(node("hosted", "host.example"), at("hosted", "hosted", "", 91), "passing"),
        with(ext(), at("inner", "inner", "web.service.consul", 92), "passing"),
        with(ext(), at("self", "self", "self.service.consul", 93), "passing"),
        with(ext(), at("loop", "loop", "pool.service.consul", 94), "passing"),
        with(ext(), at("pool", "pool", "loop.service.consul", 95), "passing"),
        with(ext(), dual, "passing"),
        with(both, at("both", "both", "", 96), "passing"),
        with(ext(), at("dup", "dup1", "10.2.0.6", 97), "passing"),
        with(ext(), at("dup", "dup2", "10.2.0.6", 97), "passing"),
        with(ext(), at("dup", "dup3", "10.2.0.6", 98), "passing"),
        meta,
        node("meet", "10.2.0.6"),
    ];
    for number in 0..40 {
        let address = format!("10.3.0.{number}");
        let id = format!("many{number}");
        all.push(with(
            node(&format!("m{number}"), &format!("10.4.0.{number}")),
            at("many", &id, &address, 80),
            "passing",
        ));
    }
    all
}

/// The prepared queries.
fn queries() -> [Value; 5] {
    let of = |name: &str, service: Value| json!({ "Name": name, "Service": service });
    let mut kept = of("kept", json!({ "Service": "web", "Tags": ["v1"] }));
    kept["DNS"] = json!({ "TTL": "30s" });
    let mut template = of("geo-", json!({ "Service": "${name.suffix}" }));
    template["Template"] = json!({ "Type": "name_prefix_match" });
    [
        kept,
        template,
        of("Fine", json!({ "Service": "web", "OnlyPassing": true })),
        of("a.b", json!({ "Service": "dual" })),
        of("down", json!({ "Service": "dead" })),
    ]
}

/// Writes it.
pub(crate) async fn fill(site: &Site) -> Try {
    for registration in registrations() {
        site.put("/v1/catalog/register", &registration).await?;
    }
    for query in queries() {
        site.send(reqwest::Method::POST, "/v1/query", &query).await?;
    }
    Ok(())
}

/// Questions: a name, and types to ask for.
pub(crate) const QUESTIONS: &str = "
web.service.consul A AAAA ANY SRV TXT MX CNAME PTR NS SOA HINFO
WeB.SerVice.ConSul A SRV NS SOA
web.service.dc1.consul A SRV
web.service.DC1.consul A
web.service.dc2.consul A SRV
web.service.dc1.dc.consul A
web.service.dc2.dc.consul A
web.service.p.peer.consul A
web.service.a.b.c.consul A
v1.web.service.consul A SRV
blue.web.service.consul A SRV
BLUE.web.service.dc1.consul SRV
a.b.web.service.consul A
red.web.service.consul A SRV
_web._tcp.service.consul SRV A
_web._tcp.consul SRV A
_web._tcp.dc1.consul SRV
_web._tcp.service.dc1.consul SRV
_web._v1.service.consul SRV A
_web._Blue.service.consul SRV
_web._udp.service.consul SRV
_web._red.service.consul SRV
_web.service.consul SRV
_web.consul SRV
_web._tcp.dc2.consul SRV
web.consul A SRV
six.service.consul A AAAA SRV ANY
dotted.service.consul SRV A
caps.service.consul A SRV
CAPS.service.consul A
dead.service.consul A SRV
sickly.service.consul A
nope.service.consul A SRV SOA NS
service.consul A
consul A NS SOA SRV ANY TXT
dc1.consul A
nope.consul A
named.service.consul A AAAA SRV ANY TXT MX
mixed.service.consul A SRV AAAA
hosted.service.consul A SRV
inner.service.consul A SRV AAAA
self.service.consul A SRV
loop.service.consul A
dual.service.consul A AAAA SRV ANY
both.service.consul A AAAA SRV
dup.service.consul A SRV
consul.service.consul A SRV
n1.node.consul A AAAA TXT ANY SRV MX SOA NS
N1.Node.CONSUL A
n1.node.dc1.consul A TXT
n1.node.dc2.consul A
n1.node.dc1.dc.consul A
ext1.node.consul A TXT ANY
upper.node.consul A
six.node.consul A AAAA ANY
a.b.node.consul A
both.node.consul A AAAA ANY
hosted.node.consul A AAAA ANY TXT
meta.node.consul TXT A ANY
nope.node.consul A TXT MX
node.consul A
0a010001.addr.consul A AAAA ANY SRV
0A010001.ADDR.consul A
0a010001.addr.dc1.consul A
0a010001.addr.dc9.consul A
0a010001.addr.any.thing.consul A
20010db8000000000000000000000005.addr.consul AAAA A ANY
zz.addr.consul A
0a01000g.addr.consul A
x.0a010001.addr.consul A
addr.consul A
web.connect.consul A SRV
web.ingress.consul A
web.virtual.consul A AAAA
web.virtual.a.b.consul A
q.query.consul A SRV
_q._tcp.query.consul SRV
web.query.dc2.consul A
kept.query.consul A SRV AAAA ANY TXT MX
KEPT.Query.dc1.consul A
kept.query.dc2.consul A
_kept._tcp.query.consul SRV
fine.query.consul A SRV
a.b.query.consul A AAAA SRV
down.query.consul A SRV
geo-six.query.consul A AAAA SRV
geo-nope.query.consul A
query.consul A
1.0.1.10.in-addr.arpa PTR A ANY SOA
1.0.1.10.IN-ADDR.arpa PTR
6.0.2.10.in-addr.arpa PTR
2.0.2.10.in-addr.arpa PTR
1.0.0.127.in-addr.arpa PTR
99.0.2.10.in-addr.arpa PTR SOA
5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa PTR
6.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa PTR
1.in-addr.arpa PTR
arpa PTR
example.com A MX
com A
consul.example A
xconsul A
web.service.consul.example A
web.service.consul AXFR
x.alt.example A SOA NS
web.service.alt.example A SRV
web.service.ALT.example SRV
n1.node.alt.example A
";
