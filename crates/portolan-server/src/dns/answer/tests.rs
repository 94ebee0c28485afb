use std::time::{Duration, Instant};

use super::*;
use crate::{
    config::Dns,
    dns::message::kind::{A, AAAA, ANY, NS, PTR, SOA, SRV, TXT},
    state::{
        CatalogEntry, Command, OtherChecks,
        rows::{CheckSpec, Health, NodeSpec, Pairs, Probe, ServiceSpec, TaggedAddress},
    },
};

const MX: u16 = 15;

fn name(text: &str) -> Name {
    Name::of_text(text).unwrap()
}

fn node(name: &str, address: &str) -> NodeSpec {
    let meta = Pairs::from([("rack".into(), "7".into())]);
    NodeSpec { name: name.into(), id: "".into(), address: address.into(), tagged: None, meta: Some(meta) }
}

struct World {
    state: State,
    now: Instant,
    dns: Dns,
    heard: Heard,
    edns: bool,
}

impl World {
    fn new() -> Self {
        let now = tokio::time::Instant::now().into_std();
        let state = State::new(node("home", "127.0.0.1"), now);
        let dns = Dns::default()
            .node_ttl(Duration::from_secs(3))
            .service_ttl(BTreeMap::from([("*".to_owned(), Duration::from_secs(9))]));
        Self { state, now, dns, heard: Heard::new(), edns: false }
    }

    fn put(&mut self, on: NodeSpec, service: ServiceSpec) {
        let entry =
            CatalogEntry { node: on, skip_node_update: false, service: Some(service), checks: Vec::new() };
        assert_eq!(self.state.apply(Command::CatalogRegister(Box::new(entry)), self.now).0, Ok(()));
    }

    fn agent(&mut self, service: ServiceSpec, status: Health) {
        let check = CheckSpec {
            initial: Some(status),
            ..CheckSpec::new(&service.id, "c", Probe::Ttl(Duration::from_secs(60)))
        };
        let (service, checks) = (Box::new(service), vec![check]);
        let command = Command::RegisterService { service, checks, others: OtherChecks::Keep };
        assert_eq!(self.state.apply(command, self.now).0, Ok(()));
    }

    fn answer(&self, text: &str, kind: u16) -> Answer {
        let zone = Zone::new(&self.dns, "dc1");
        let setting =
            Setting { zone: &zone, catalogue: &self.state, heard: &self.heard, edns: self.edns, time: 77 };
        answer(&Question { name: name(text), kind, class: 1 }, &setting, &mut Chance::new(1))
    }

    /// The code, and the sections as text, sorted.
    fn told(&self, text: &str, kind: u16) -> (Rcode, [Vec<String>; 3]) {
        match self.answer(text, kind).outcome {
            Outcome::Here(rcode, Sections { answers, authority, extra }) => {
                let extra: Vec<Record> = extra.into_iter().map(|extra| extra.record).collect();
                let lines = |records: &[Record]| {
                    let mut lines: Vec<String> = records.iter().map(line).collect();
                    lines.sort();
                    lines
                };
                (rcode, [lines(&answers), lines(&authority), lines(&extra)])
            }
            Outcome::Forward => (Rcode::Refused, Default::default()),
        }
    }

    fn answers(&self, text: &str, kind: u16) -> Vec<String> {
        let (rcode, [answers, ..]) = self.told(text, kind);
        assert_eq!(rcode, Rcode::NoError, "{text}");
        answers
    }
}

fn line(record: &Record) -> String {
    let Record { owner, ttl, data } = record;
    let data = match data {
        Data::A(ip) => format!("A {ip}"),
        Data::Aaaa(ip) => format!("AAAA {ip}"),
        Data::Cname(name) => format!("CNAME {name:?}"),
        Data::Ns(name) => format!("NS {name:?}"),
        Data::Ptr(name) => format!("PTR {name:?}"),
        Data::Srv { weight, port, target } => format!("SRV {weight} {port} {target:?}"),
        Data::Soa(soa) => format!("SOA {:?} {:?} {}", soa.primary, soa.mailbox, soa.serial),
        Data::Txt(text) => format!("TXT {text}"),
    };
    format!("{owner:?} {ttl} {data}")
}

fn at(address: &str, port: u16) -> ServiceSpec {
    ServiceSpec { address: address.into(), port, ..ServiceSpec::new("web", &format!("{address}:{port}")) }
}

const ZONE: &str = "consul. 0 SOA ns.consul. hostmaster.consul. 77";

#[test]
fn a_service_is_told_by_its_addresses_and_an_instance_without_one_by_its_nodes() {
    let mut world = World::new();
    world.put(node("n1", "10.0.0.1"), at("", 1));
    world.put(node("n2", "10.0.0.2"), at("10.0.9.9", 1));
    world.put(node("n3", "10.0.0.3"), at("10.0.9.9", 2));
    world.put(node("n4", "10.0.0.4"), at("2001:db8::1", 2));
    let owner = "Web.service.Consul";
    let expected = ["10.0.0.1", "10.0.9.9"].map(|ip| format!("{owner}. 9 A {ip}"));
    assert_eq!(world.answers(owner, A), expected);
    assert_eq!(world.answers(owner, AAAA), [format!("{owner}. 9 AAAA 2001:db8::1")]);
    assert_eq!(world.answers(owner, ANY).len(), 3);
    assert_eq!(world.answers(owner, TXT).len(), 3, "as Consul does");
    world.dns = world.dns.clone().a_record_limit(Some(1));
    assert_eq!(world.answers(owner, A).len(), 1);
}

#[test]
fn who_is_critical_is_not_told_and_who_warns_only_where_that_will_do() {
    let mut world = World::new();
    world.agent(at("10.0.0.1", 1), Health::Passing);
    world.agent(ServiceSpec { warning_weight: 4, ..at("10.0.0.2", 2) }, Health::Warning);
    world.agent(at("10.0.0.3", 3), Health::Critical);
    let srv = world.answers("web.service.consul", SRV);
    assert_eq!(
        srv,
        [
            "web.service.consul. 9 SRV 1 1 0a000001.addr.dc1.consul.",
            "web.service.consul. 9 SRV 4 2 0a000002.addr.dc1.consul.",
        ]
    );
    world.dns = world.dns.clone().only_passing(true);
    assert_eq!(world.answers("web.service.consul", A), ["web.service.consul. 9 A 10.0.0.1"]);
    world.agent(at("10.0.0.1", 1), Health::Critical);
    world.dns = world.dns.clone().only_passing(false);
    let gone = Command::DeregisterService { id: "10.0.0.2:2".into() };
    assert_eq!(world.state.apply(gone, world.now).0, Ok(()));
    let dead = Command::Report { check: "10.0.0.1:1".into(), status: Health::Critical, output: "".into() };
    assert_eq!(world.state.apply(dead, world.now).0, Ok(()));
    let (rcode, sections) = world.told("web.service.consul", A);
    assert_eq!((rcode, sections), (Rcode::NxDomain, [vec![], vec![ZONE.to_owned()], vec![]]));
}

#[test]
fn srv_leads_to_an_address_by_a_name_in_the_domain_as_the_question_spells_it() {
    let mut world = World::new();
    world.put(node("N1", "10.0.0.1"), at("", 1));
    world.put(node("n2", "10.0.0.2"), at("2001:db8::1", 2));
    let (rcode, [answers, authority, extra]) = world.told("_Web._tcp.CONSUL", SRV);
    assert_eq!((rcode, authority), (Rcode::NoError, vec![]));
    let v6 = "20010db8000000000000000000000001.addr.dc1.CONSUL.";
    assert_eq!(
        answers,
        [
            "_Web._tcp.CONSUL. 9 SRV 1 1 N1.node.dc1.CONSUL.".to_owned(),
            format!("_Web._tcp.CONSUL. 9 SRV 1 2 {v6}"),
        ]
    );
    assert_eq!(
        extra,
        [
            format!("{v6} 9 AAAA 2001:db8::1"),
            "N1.node.dc1.CONSUL. 9 A 10.0.0.1".to_owned(),
            "N1.node.dc1.CONSUL. 9 TXT rack=7".to_owned(),
            "n2.node.dc1.CONSUL. 9 TXT rack=7".to_owned(),
        ]
    );
    world.dns = world.dns.clone().node_meta_txt(false);
    assert_eq!(world.told("_web._tcp.consul", SRV).1[2].len(), 2);
}

#[test]
fn the_family_that_is_asked_for_is_told_where_an_instance_has_both() {
    let mut world = World::new();
    let tagged = |address: &str| TaggedAddress { address: address.into(), port: 1 };
    let tagged = [("lan_ipv4".into(), tagged("10.0.0.9")), ("lan_ipv6".into(), tagged("2001:db8::9"))];
    world.put(node("n1", "10.0.0.1"), ServiceSpec { tagged: tagged.into(), ..at("10.0.0.9", 1) });
    assert_eq!(world.answers("web.service.consul", A), ["web.service.consul. 9 A 10.0.0.9"]);
    assert_eq!(world.answers("web.service.consul", AAAA), ["web.service.consul. 9 AAAA 2001:db8::9"]);
    assert_eq!(world.answers("web.service.consul", ANY), ["web.service.consul. 9 AAAA 2001:db8::9"]);
}

#[test]
fn what_is_not_there_and_what_is_not_of_the_kind_are_told_apart() {
    let mut world = World::new();
    world.put(node("n1", "10.0.0.1"), at("", 1));
    let zone = || vec![ZONE.to_owned()];
    for (text, kind, rcode, authority) in [
        ("nope.service.consul", A, Rcode::NxDomain, zone()),
        ("red.web.service.consul", A, Rcode::NxDomain, zone()),
        ("web.service.dc2.consul", A, Rcode::NxDomain, zone()),
        ("nope.consul", A, Rcode::NxDomain, zone()),
        ("consul", A, Rcode::NxDomain, zone()),
        ("web.service.consul", AAAA, Rcode::NoError, zone()),
        ("web.service.consul", MX, Rcode::NoError, zone()),
        ("nope.node.consul", A, Rcode::NxDomain, zone()),
        ("nope.node.consul", MX, Rcode::NoError, vec![]),
        ("n1.node.consul", SRV, Rcode::NoError, vec![]),
        ("n1.node.dc2.consul", A, Rcode::NxDomain, zone()),
        ("web.virtual.consul", A, Rcode::NoError, vec![]),
        ("web.connect.consul", A, Rcode::NxDomain, zone()),
        ("q.query.consul", A, Rcode::NxDomain, zone()),
        ("9.9.9.9.in-addr.arpa", PTR, Rcode::NxDomain, zone()),
        ("example.com", A, Rcode::Refused, vec![]),
        ("consul.example", A, Rcode::Refused, vec![]),
    ] {
        let (told, [answers, zone, _]) = world.told(text, kind);
        assert_eq!((told, zone), (rcode, authority), "{text} {kind}");
        assert!(answers.is_empty(), "{text} {kind}: {answers:?}");
    }
    assert_eq!(world.told("web.consul", 252).0, Rcode::NotImp);
}

#[test]
fn a_node_is_told_with_its_meta() {
    let world = World::new();
    let (_, [answers, _, extra]) = world.told("HOME.node.consul", A);
    assert_eq!(answers, ["HOME.node.consul. 3 A 127.0.0.1"]);
    assert_eq!(extra, ["HOME.node.consul. 3 TXT rack=7"]);
    let (_, [answers, _, extra]) = world.told("home.node.dc1.consul", AAAA);
    assert_eq!((answers.len(), extra.len()), (0, 1));
    assert_eq!(world.answers("home.node.consul", TXT), ["home.node.consul. 3 TXT rack=7"]);
    assert_eq!(world.answers("home.node.consul", ANY).len(), 2);
}

#[test]
fn meta_is_quoted_where_it_would_be_read_otherwise() {
    let pairs = [("a=b", "c`d"), ("rfc1035-x", "bare"), (" k ", "v")];
    let meta = pairs.map(|(key, value)| (key.into(), value.into())).into();
    let spec = NodeSpec { meta: Some(meta), ..node("n", "10.0.0.1") };
    let told: Vec<String> = instance::meta(&spec, &name("n"), 0).map(|one| line(&one)).collect();
    assert_eq!(told, ["n. 0 TXT ` k` =v", "n. 0 TXT a`=b=c``d", "n. 0 TXT bare"]);
}

#[test]
fn the_zone_tells_of_itself_and_of_its_servers_under_any_name() {
    let mut world = World::new();
    let (_, [answers, authority, extra]) = world.told("any.thing.Consul", SOA);
    assert_eq!(answers, [ZONE]);
    assert_eq!(authority, ["Consul. 3 NS home.node.dc1.consul."]);
    assert_eq!(extra, ["home.node.dc1.consul. 3 A 127.0.0.1"]);
    assert_eq!(world.answers("consul", NS), ["consul. 3 NS home.node.dc1.consul."]);
    world.dns = world.dns.clone().alt_domain(Some("alt.example".to_owned()));
    assert_eq!(
        world.answers("x.alt.example", SOA),
        ["alt.example. 0 SOA ns.alt.example. hostmaster.alt.example. 77"]
    );
    assert_eq!(world.answers("x.alt.example", NS), ["alt.example. 3 NS home.node.dc1.alt.example."]);
}

#[test]
fn an_address_in_a_name_is_told_and_whose_an_address_is() {
    let mut world = World::new();
    world.put(node("n6", "2001:db8::5"), at("10.0.7.7", 1));
    assert_eq!(world.answers("0A000001.addr.DC1.Consul", A), ["0a000001.addr.dc1.Consul. 3 A 10.0.0.1"]);
    let (_, [answers, authority, extra]) = world.told("0a000001.addr.consul", AAAA);
    assert_eq!((answers.len(), authority.len(), extra.len()), (0, 0, 1));
    assert_eq!(
        world.answers("1.0.0.127.IN-addr.arpa", PTR),
        ["1.0.0.127.IN-addr.arpa. 0 PTR home.node.dc1.consul."]
    );
    assert_eq!(
        world.answers("7.7.0.10.in-addr.arpa", A),
        ["7.7.0.10.in-addr.arpa. 0 PTR web.service.dc1.consul."]
    );
    let v6 = "5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa";
    assert_eq!(world.answers(v6, PTR), [format!("{v6}. 0 PTR n6.node.dc1.consul.")]);
    for odd in ["arpa", "1.in-addr.arpa", "256.0.0.10.in-addr.arpa", "01.0.0.10.in-addr.arpa", "x.ip6.arpa"] {
        assert_eq!(world.told(odd, PTR).0, Rcode::NxDomain, "{odd}");
    }
    world.dns = world.dns.clone().recursors(vec![([127, 0, 0, 1], 53).into()]);
    assert_eq!(world.answer("9.9.9.9.in-addr.arpa", PTR).outcome, Outcome::Forward);
}

#[test]
fn a_name_as_an_address_is_told_where_no_instance_has_an_address() {
    let mut world = World::new();
    world.put(node("n1", "10.0.0.1"), at("Db.example", 1));
    assert_eq!(world.answers("web.service.consul", A), ["web.service.consul. 9 CNAME Db.example."]);
    assert_eq!(world.answers("web.service.consul", SRV), ["web.service.consul. 9 SRV 1 1 Db.example."]);
    assert!(world.answer("web.service.consul", A).wanted.is_empty(), "there is nobody to ask");
    world.dns = world.dns.clone().recursors(vec![([127, 0, 0, 1], 53).into()]);
    assert_eq!(world.answer("web.service.consul", A).wanted, BTreeSet::from([name("Db.example")]));
    let heard =
        |number| Record { owner: name("Db.example"), ttl: 60, data: Data::A([1, 1, 1, number].into()) };
    world.heard.insert(name("Db.example"), (0..7).map(heard).collect());
    assert_eq!(world.answers("web.service.consul", A).len(), 1 + 5, "the least a client takes");
    world.edns = true;
    let answers = world.answers("web.service.consul", A);
    assert_eq!((answers.len(), &*answers[0]), (1 + 7, "Db.example. 9 A 1.1.1.0"));
    assert_eq!(world.told("web.service.consul", SRV).1[2].len(), 7 + 1);
    world.put(node("n2", "10.0.0.2"), at("10.0.0.3", 1));
    assert_eq!(world.answers("web.service.consul", A), ["web.service.consul. 9 A 10.0.0.3"]);
}

#[test]
fn a_name_in_the_domain_is_followed_and_not_for_ever() {
    let mut world = World::new();
    world.put(node("n1", "10.0.0.1"), at("db.service.consul", 1));
    let db = |address: &str| ServiceSpec { address: address.into(), ..ServiceSpec::new("db", "d") };
    world.put(node("n2", "10.0.0.2"), db("10.0.0.9"));
    assert_eq!(
        world.answers("web.service.consul", A),
        ["db.service.consul. 9 A 10.0.0.9", "web.service.consul. 9 CNAME db.service.consul.",]
    );
    world.put(node("n2", "host.example"), db("web.service.consul"));
    let round = world.answers("web.service.consul", A);
    assert_eq!(round.len(), 4, "{round:?}");
    // One whose address is the very name that is asked for is told by its node.
    world.put(node("n1", "10.0.0.1"), at("web.service.consul", 1));
    let own = world.answers("web.service.consul", SRV);
    assert!(own.contains(&"web.service.consul. 9 SRV 1 1 n1.node.dc1.consul.".to_owned()), "{own:?}");
}

#[test]
fn many_names_that_lead_to_many_are_not_followed_without_end() {
    let mut world = World::new();
    for number in 0..60 {
        for (service, target) in [("web", "db"), ("db", "web")] {
            let address = format!("{target}.service.consul").into();
            let spec = ServiceSpec { address, ..ServiceSpec::new(service, &format!("{service}{number}")) };
            world.put(node(&format!("n{number}"), "10.0.0.1"), spec);
        }
    }
    let (rcode, [answers, _, extra]) = world.told("web.service.consul", SRV);
    assert_eq!(rcode, Rcode::NoError);
    assert!(answers.len() == 60 && extra.len() <= 60 * 6, "{} {}", answers.len(), extra.len());
}

#[test]
fn a_node_without_a_name_in_dns_is_told_by_its_address() {
    let mut world = World::new();
    let long = "n".repeat(64);
    world.put(node(&long, "10.0.0.1"), at("", 1));
    assert_eq!(
        world.answers("web.service.consul", SRV),
        ["web.service.consul. 9 SRV 1 1 0a000001.addr.dc1.consul."]
    );
}

#[test]
fn any_instance_comes_first_about_as_often_as_another() {
    let mut world = World::new();
    for number in 1..=4 {
        world.put(node("n1", "10.0.0.1"), at(&format!("10.0.0.{number}"), 1));
    }
    let zone = Zone::new(&world.dns, "dc1");
    let (mut chance, mut first) = (Chance::new(5), BTreeMap::<String, u32>::new());
    for _ in 0..4000 {
        let setting =
            Setting { zone: &zone, catalogue: &world.state, heard: &world.heard, edns: false, time: 0 };
        let question = Question { name: name("web.service.consul"), kind: A, class: 1 };
        let Outcome::Here(_, sections) = answer(&question, &setting, &mut chance).outcome else { panic!() };
        *first.entry(line(&sections.answers[0])).or_default() += 1;
    }
    assert!(first.len() == 4 && first.values().all(|count| (850..1150).contains(count)), "{first:?}");
}
