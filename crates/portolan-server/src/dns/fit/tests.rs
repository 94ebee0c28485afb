use super::*;
use crate::dns::{
    message::Rcode,
    name::Name,
    record::{Data, Extra},
    write::tests::{MANNER, name, read, request},
};

const CUT: Cut = Cut { most_without_edns: 3, told: false };

/// So many instances as SRV, each with its address and its node's meta.
fn srv(count: u8) -> Sections {
    let mut sections = Sections::default();
    for number in 0..count {
        let target = name(&format!("0a0000{number:02x}.addr.dc1.consul"));
        let of = sections.answers.len();
        let data = Data::Srv { weight: 1, port: 80, target: target.clone() };
        sections.answers.push(Record { owner: name("web.service.consul"), ttl: 0, data });
        let meta = Data::Txt("rack=7".into());
        for (owner, data, needed) in [
            (target, Data::A([10, 0, 0, number].into()), true),
            (name(&format!("n{number}.node.dc1.consul")), meta, false),
        ] {
            sections.extra.push(Extra { record: Record { owner, ttl: 0, data }, of, needed });
        }
    }
    sections
}

fn addresses(count: u8, owner: &Name) -> Sections {
    let address = |number| Record { owner: owner.clone(), ttl: 0, data: Data::A([10, 0, 0, number].into()) };
    Sections { answers: (0..count).map(address).collect(), ..Sections::default() }
}

/// How many records the sections have, whether it says that it was cut, and how long it is.
fn shape(bytes: &[u8]) -> ([usize; 3], bool, usize) {
    let (message, sections) = read(bytes);
    (sections.map(|section| section.len()), message.metadata.truncation, bytes.len())
}

fn fitted(edns: Option<u16>, sections: &Sections, over: Over, cut: Cut) -> ([usize; 3], bool, usize) {
    shape(&fit(&request("web.service.consul", kind::SRV, edns), MANNER, sections, over, cut))
}

#[test]
fn a_client_without_edns_gets_three_records_each_with_its_address() {
    let (counts, cut, length) = fitted(None, &srv(10), Over::Udp, CUT);
    assert_eq!((counts, cut), ([3, 0, 3], false));
    assert!(length <= 512, "{length}");
    assert_eq!(fitted(Some(512), &srv(10), Over::Udp, CUT).0, [3, 0, 3], "with EDNS for 512 bytes");
    assert_eq!(
        fitted(None, &srv(3), Over::Udp, CUT).0,
        [3, 0, 6],
        "with all of three there is room for more"
    );
    let none = Cut { most_without_edns: 8, told: false };
    let (counts, _, length) = fitted(None, &srv(10), Over::Udp, none);
    assert!(counts[0] < 8 && counts[0] > 2 && length <= 512, "{counts:?} {length}");
}

#[test]
fn a_cut_answer_says_so_where_that_is_asked_for() {
    let told = Cut { told: true, ..CUT };
    assert!(fitted(None, &srv(10), Over::Udp, told).1);
    assert!(fitted(Some(600), &srv(10), Over::Udp, told).1);
    assert!(!fitted(None, &srv(3), Over::Udp, told).1, "not cut");
    assert!(!fitted(Some(4096), &srv(10), Over::Udp, told).1, "not cut");
    // Only what came along had to go: there is nothing to come back for.
    let whole = fitted(Some(4096), &srv(20), Over::Udp, told).2;
    let size = u16::try_from(whole).unwrap();
    assert_eq!(fitted(Some(size), &srv(20), Over::Udp, told).0[0], 20);
    assert!(!fitted(Some(size), &srv(20), Over::Udp, told).1);
}

#[test]
fn as_many_records_as_fit_are_sent_and_no_more() {
    let sections = srv(200);
    let mut before = 0;
    for size in (513..9000).step_by(331) {
        let ([answers, _, extra], _, length) = fitted(Some(size), &sections, Over::Udp, CUT);
        assert!(length <= usize::from(size), "{length} of {size}");
        assert!(answers >= before, "{answers} in {size}, {before} in less");
        if answers < 200 {
            assert_eq!(extra, answers);
            // One more would be the answer, of 18 + 26 bytes, and its address, of 16.
            assert!(length + 60 > usize::from(size) - 8, "{length} of {size}: there is room for another");
        }
        before = answers;
    }
    assert_eq!(fitted(Some(65_535), &sections, Over::Udp, CUT).0, [200, 0, 400]);
}

#[test]
fn over_tcp_all_is_sent_that_a_message_can_hold() {
    assert_eq!(fitted(None, &srv(200), Over::Tcp, CUT).0, [200, 0, 400]);
    let mut many = srv(0);
    for _ in 0..10 {
        let at = many.answers.len();
        let more = srv(200);
        many.answers.extend(more.answers);
        many.extra.extend(more.extra.into_iter().map(|extra| Extra { of: extra.of + at, ..extra }));
    }
    let ([answers, ..], cut, length) = fitted(None, &many, Over::Tcp, Cut { told: true, ..CUT });
    assert!(cut && answers > 900 && answers <= 1024 && length <= 65_523, "{answers} {length}");
}

#[test]
fn a_long_name_leaves_room_for_fewer_and_the_last_one_stays() {
    let long = ["a".repeat(60), "b".repeat(60), "c".repeat(60), "web.service.consul".to_owned()].join(".");
    let owner = name(&long);
    let ask = request(&long, kind::A, None);
    let bytes = fit(&ask, MANNER, &addresses(10, &owner), Over::Udp, CUT);
    // Without shortened names one is 210 + 14 bytes.
    assert_eq!(shape(&bytes).0, [1, 0, 0]);
    let meta = |number: usize| {
        let data = Data::Txt("x".repeat(200 + number).into());
        Extra { record: Record { owner: owner.clone(), ttl: 0, data }, of: 0, needed: false }
    };
    let one = Sections { extra: (0..60).map(meta).collect(), ..addresses(1, &owner) };
    let bytes = fit(&ask, MANNER, &one, Over::Udp, CUT);
    assert_eq!(shape(&bytes).0, [1, 0, 0], "what came along went first");
}

#[test]
fn an_answer_without_records_keeps_what_it_says_of_the_zone() {
    let sections = Sections { authority: addresses(1, &name("consul")).answers, ..Sections::default() };
    let manner = Manner { rcode: Rcode::NxDomain, ..MANNER };
    let bytes = fit(&request("x.consul", kind::A, None), manner, &sections, Over::Udp, CUT);
    assert_eq!(shape(&bytes).0, [0, 1, 0]);
}
