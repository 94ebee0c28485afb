//! Each form of name, and what it asks for.

use proptest::prelude::*;

use super::*;
use crate::dns::message::kind::{A, SRV};

fn asked(text: &str, question: u16) -> Asked {
    let name = Name::of_text(&format!("{text}.consul")).unwrap();
    let before = name.ends_in(&Name::of_text("consul").unwrap()).unwrap();
    Asked::of(&name, before, question, "dc1")
}

fn service(service: &str, tag: &str) -> Asked {
    Asked::Service { service: service.to_owned(), tag: tag.to_owned() }
}

fn query(name: &str) -> Asked {
    Asked::Query { name: name.to_owned() }
}

fn node(node: &str, here: bool) -> Asked {
    Asked::Node { node: node.to_owned(), here }
}

#[test]
fn each_form_of_name_asks_for_what_it_says() {
    let ip = |text: &str| Asked::Address(text.parse().unwrap());
    for (text, expected) in [
        ("web.service", service("web", "")),
        ("WEB.Service.DC1", service("web", "")),
        ("blue.web.service", service("web", "blue")),
        ("a.b.web.service", service("web", "a.b")),
        ("_web._tcp.service", service("web", "")),
        ("_web._blue.service", service("web", "blue")),
        ("_web._udp.service.dc1", service("web", "udp")),
        ("_web.service", service("_web", "")),
        ("x._web._tcp.service", service("_tcp", "x._web")),
        ("web.service.dc1.dc", service("web", "")),
        ("web.service.dc2", Asked::Nothing),
        ("web.service.dc2.dc", Asked::Nothing),
        ("web.service.p.peer", Asked::Nothing),
        ("web.service.dc1.dc.p.peer", Asked::Nothing),
        ("web.service.a.b", Asked::Nothing),
        ("web.service.a.b.c", Asked::Nothing),
        ("service", Asked::Nothing),
        // The last word for a kind counts.
        ("node.service", service("node", "")),
        ("web.service.node", node("web.service", true)),
        ("n1.node", node("n1", true)),
        ("a.b.node", node("a.b", true)),
        ("n1.node.dc2", node("n1", false)),
        ("n1.node.p.peer", node("n1", false)),
        ("node", Asked::Nothing),
        ("0a000001.addr", ip("10.0.0.1")),
        ("0A000001.addr.dc1", ip("10.0.0.1")),
        ("0a000001.addr.any.thing", ip("10.0.0.1")),
        ("20010db8000000000000000000000001.addr", ip("2001:db8::1")),
        ("zz.addr", Asked::Nothing),
        ("+a000001.addr", Asked::Nothing),
        ("0a00000.addr", Asked::Nothing),
        ("0a0000011.addr", Asked::Nothing),
        ("x.0a000001.addr", Asked::Nothing),
        ("web.virtual", Asked::Virtual),
        ("web.virtual.a.b", Asked::Nothing),
        ("web.connect", Asked::Nothing),
        ("web.ingress", Asked::Nothing),
        ("q.query", query("q")),
        ("a.Q.query.dc1", query("a.q")),
        ("_q._tcp.query", query("q")),
        ("_a.q._udp.query", query("a.q")),
        ("_q.query", query("_q")),
        ("q.query.dc2", Asked::Nothing),
        ("query", Asked::Nothing),
        ("web", Asked::Nothing),
        ("dc1", Asked::Nothing),
    ] {
        assert_eq!(asked(text, A), expected, "{text}");
    }
    let domain = Name::of_text("consul").unwrap();
    assert_eq!(Asked::of(&domain, 0, A, "dc1"), Asked::Nothing);
}

#[test]
fn a_question_for_srv_need_not_say_that_it_means_a_service() {
    for (text, expected) in [
        ("_web._tcp", service("web", "")),
        ("_web._tcp.dc1", service("web", "")),
        ("_web._blue.dc1.dc", service("web", "blue")),
        ("_web", service("_web", "")),
        ("_web._tcp.dc2", Asked::Nothing),
        ("web", Asked::Nothing),
    ] {
        assert_eq!(asked(text, SRV), expected, "{text}");
        assert_eq!(asked(text, A), Asked::Nothing, "{text} for an address");
    }
}

proptest! {
    #[test]
    fn any_labels_ask_for_something_or_nothing(
        labels in prop::collection::vec(
            prop_oneof!["[a-z_]{1,4}", prop::sample::select(&KINDS[..]).prop_map(str::to_owned), "(dc|dc1|peer)"],
            0..8,
        ),
        srv in any::<bool>(),
    ) {
        let question = if srv { SRV } else { A };
        let name = Name::joined(labels.iter().map(String::as_bytes), &Name::of_text("consul").unwrap()).unwrap();
        // The last label of all is the domain: `consul`, with its length and the root.
        let before = name.as_wire().len().saturating_sub(8);
        let asked = Asked::of(&name, before, question, "dc1");
        if let Asked::Service { service, .. } = asked {
            prop_assert!(labels.iter().any(|label| label.trim_start_matches('_').contains(service.trim_start_matches('_'))));
        }
    }
}
