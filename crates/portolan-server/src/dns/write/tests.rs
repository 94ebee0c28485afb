use std::sync::Arc;

use hickory_proto::op::Message;
use proptest::prelude::*;

use super::*;
use crate::dns::{message::Edns, record::Soa};

pub(in crate::dns) fn name(text: &str) -> Name {
    Name::of_text(text).unwrap()
}

pub(in crate::dns) fn request(text: &str, kind: u16, edns: Option<u16>) -> Request {
    let edns = edns.map(|size| Edns { size, subnet: None });
    let question = Question { name: name(text), kind, class: 1 };
    Request { id: 7, flags: flag::RECURSION_DESIRED, question, edns }
}

pub(in crate::dns) const MANNER: Manner =
    Manner { rcode: Rcode::NoError, flags: flag::AUTHORITATIVE, edns: true };

/// What another program reads in a message: owner, time to live, type and content of each record.
pub(in crate::dns) fn read(bytes: &[u8]) -> (Message, [Vec<String>; 3]) {
    let message = Message::from_vec(bytes).unwrap();
    let lines = |records: &[hickory_proto::rr::Record]| {
        records
            .iter()
            .map(|one| format!("{} {} {} {}", one.name, one.ttl, one.record_type(), one.data))
            .collect::<Vec<_>>()
    };
    let sections = [lines(&message.answers), lines(&message.authorities), lines(&message.additionals)];
    (message, sections)
}

fn record(owner: &str, data: Data) -> Record {
    Record { owner: name(owner), ttl: 5, data }
}

fn soa() -> Data {
    let (primary, mailbox) = (name("ns.consul"), name("hostmaster.consul"));
    let soa = Soa { primary, mailbox, serial: 9, refresh: 3600, retry: 600, expire: 86_400, least_ttl: 0 };
    Data::Soa(Arc::new(soa))
}

#[test]
fn another_program_reads_each_kind_of_record_as_it_was_meant() {
    let target = name("0a000001.addr.dc1.Consul");
    let answers = [
        record("Web.service.Consul", Data::Srv { weight: 3, port: 80, target: target.clone() }),
        record("Web.service.Consul", Data::A([10, 0, 0, 1].into())),
        record("Web.service.Consul", Data::Aaaa("2001:db8::1".parse().unwrap())),
        record("Web.service.Consul", Data::Cname(name("x.example"))),
        record("Consul", Data::Ns(name("n1.node.dc1.consul"))),
        record("1.0.0.10.in-addr.arpa", Data::Ptr(name("n1.node.dc1.consul"))),
        record("n1.node.consul", Data::Txt("a=b".into())),
        record("n1.node.consul", Data::Txt("".into())),
        record("n1.node.consul", Data::Txt("x".repeat(300).into())),
    ];
    let extra = [record("0a000001.addr.dc1.Consul", Data::A([10, 0, 0, 1].into()))];
    let authority = [record("consul", soa())];
    let request = request("Web.service.Consul", kind::ANY, Some(1232));
    let bytes = message(&request, MANNER, &answers, &authority, extra.iter());
    let (message, [read_answers, read_authority, read_extra]) = read(&bytes);
    let expected = [
        "Web.service.Consul. 5 SRV 1 3 80 0a000001.addr.dc1.Consul.",
        "Web.service.Consul. 5 A 10.0.0.1",
        "Web.service.Consul. 5 AAAA 2001:db8::1",
        "Web.service.Consul. 5 CNAME x.example.",
        "Consul. 5 NS n1.node.dc1.consul.",
        "1.0.0.10.in-addr.arpa. 5 PTR n1.node.dc1.consul.",
        "n1.node.consul. 5 TXT a=b",
        "n1.node.consul. 5 TXT ",
    ];
    assert_eq!(read_answers[..8], expected);
    assert!(read_answers[8].starts_with("n1.node.consul. 5 TXT xxx"), "{}", read_answers[8]);
    assert_eq!(read_authority, ["consul. 5 SOA ns.consul. hostmaster.consul. 9 3600 600 86400 0"]);
    assert_eq!(read_extra, ["0a000001.addr.dc1.Consul. 5 A 10.0.0.1"]);
    let header = &message.metadata;
    assert!(header.authoritative && header.recursion_desired && !header.truncation);
    assert_eq!((header.id, message.edns.map(|edns| edns.max_payload())), (7, Some(1232)));
}

#[test]
fn a_name_that_stood_before_costs_two_bytes_unless_its_case_differs() {
    let length = |owner: &str| {
        let answers = [record(owner, Data::A([10, 0, 0, 1].into()))];
        message(&request("web.service.consul", kind::A, None), MANNER, &answers, &[], [].iter()).len()
    };
    let question = HEADER + name("web.service.consul").as_wire().len() + 4;
    assert_eq!(length("web.service.consul"), question + 2 + 14);
    assert_eq!(length("db.service.consul"), question + 3 + 2 + 14);
    assert_eq!(length("web.service.Consul"), question + 20 + 14);
}

proptest! {
    #[test]
    fn names_of_any_kind_come_out_as_they_went_in(
        names in prop::collection::vec(prop::collection::vec("[a-cA]{1,3}", 0..5), 1..60),
    ) {
        let names: Vec<Name> = names.iter().map(|labels| name(&labels.join("."))).collect();
        let pairs = names.iter().zip(names.iter().rev());
        let answers: Vec<Record> = pairs
            .enumerate()
            .map(|(at, (owner, target))| {
                let data = match at % 3 {
                    0 => Data::Srv { weight: 1, port: 2, target: target.clone() },
                    1 => Data::Cname(target.clone()),
                    _ => Data::Txt("t".into()),
                };
                Record { owner: owner.clone(), ttl: 1, data }
            })
            .collect();
        let bytes = message(&request("a.b", kind::ANY, None), MANNER, &answers, &[], [].iter());
        let (_, [lines, ..]) = read(&bytes);
        let spelled = |name: &Name| format!("{name:?}");
        let expected: Vec<String> = answers
            .iter()
            .map(|one| match &one.data {
                Data::Srv { target, .. } => format!("{} 1 SRV 1 1 2 {}", spelled(&one.owner), spelled(target)),
                Data::Cname(target) => format!("{} 1 CNAME {}", spelled(&one.owner), spelled(target)),
                _ => format!("{} 1 TXT t", spelled(&one.owner)),
            })
            .collect();
        prop_assert_eq!(lines, expected);
    }
}
