//! The same questions to a real Consul and to the registry: what differs is listed, with why, and does differ.

use std::{collections::BTreeSet, time::Duration};

use portolan_server::Dns;
use serde_json::json;

use crate::{
    ask::{Told, Way, ask, kind},
    catalogue::{QUESTIONS, fill},
    site::{Site, Try},
    version::minor,
};

/// What is answered otherwise than by Consul 1.21: none of these questions.
const DIFFERENCES: &[(&str, &[&str])] = &[];

/// What 1.8 answers otherwise than 1.21 does: the newer one is followed.
const OLD: &[(&str, &[&str])] = &[
    ("a query has no name in the form of RFC 2782", &["_kept._tcp.query.consul SRV"]),
    (
        "names in records are spelled as the domain is configured, not as the question spells it",
        &[
            "WeB.SerVice.ConSul SRV",
            "WeB.SerVice.ConSul NS",
            "WeB.SerVice.ConSul SOA",
            "web.service.alt.example SRV",
            "web.service.ALT.example SRV",
            "x.alt.example A",
            "x.alt.example NS",
            "x.alt.example SOA",
        ],
    ),
    ("there is no `DC.dc`", &["web.service.dc1.dc.consul A", "n1.node.dc1.dc.consul A"]),
    (
        "an address of a family that was not asked for is an answer, not an additional record",
        &[
            "0a010001.addr.consul AAAA",
            "0a010001.addr.consul SRV",
            "20010db8000000000000000000000005.addr.consul A",
        ],
    ),
    (
        "who has an address that nobody has is a failure",
        &["99.0.2.10.in-addr.arpa PTR", "99.0.2.10.in-addr.arpa SOA", "1.in-addr.arpa PTR", "arpa PTR"],
    ),
    ("what is no address is there, and empty", &["zz.addr.consul A"]),
    ("there are no virtual addresses", &["web.virtual.consul A", "web.virtual.consul AAAA"]),
    (
        "a node's meta does not tell the version",
        &[
            "consul.service.consul SRV",
            "n1.node.consul A",
            "n1.node.consul AAAA",
            "n1.node.consul TXT",
            "n1.node.consul ANY",
            "N1.Node.CONSUL A",
            "n1.node.dc1.consul A",
            "n1.node.dc1.consul TXT",
        ],
    ),
    (
        "what a name in the domain leads to is cut as for a client without EDNS",
        &[
            "inner.service.consul A",
            "inner.service.consul SRV",
            "inner.service.consul AAAA",
            "loop.service.consul A",
        ],
    ),
    ("records of a node are not counted", &["meta.node.consul ANY", "meta.node.consul TXT"]),
];

/// All questions: as they are listed above, and in parts.
fn questions() -> Try<Vec<(String, String, u16)>> {
    let mut all = Vec::new();
    for line in QUESTIONS.lines().filter(|line| !line.is_empty()) {
        let mut words = line.split(' ');
        let name = words.next().unwrap_or_default();
        for word in words {
            all.push((format!("{name} {word}"), name.to_owned(), kind(word)?));
        }
    }
    Ok(all)
}

fn expected(old: bool) -> impl Iterator<Item = &'static (&'static str, &'static [&'static str])> {
    DIFFERENCES.iter().chain(OLD.iter().filter(move |_| old))
}

struct Compared {
    asked: usize,
    unexpected: Vec<String>,
    /// The listed differences that were seen.
    seen: BTreeSet<&'static str>,
}

/// The port of the service `consul` is that of Consul's servers among themselves.
fn without_ports(mut told: Told) -> Told {
    for line in told.answers.iter_mut().filter(|line| line.starts_with("consul.service.consul. ")) {
        let words: Vec<&str> = line.split(' ').collect();
        *line = words
            .iter()
            .enumerate()
            .map(|(at, word)| if at == 5 { "PORT" } else { *word })
            .collect::<Vec<_>>()
            .join(" ");
    }
    told
}

async fn compare(consul: &Site, ours: &Site, prefix: &str) -> Try<Compared> {
    let mut compared = Compared { asked: 0, unexpected: Vec::new(), seen: BTreeSet::new() };
    let old = minor()? < 20;
    for (label, name, kind) in questions()? {
        for way in [Way::Udp, Way::Edns(4096), Way::Tcp] {
            let theirs = ask(consul.dns, &name, kind, way).await?;
            let mine = ask(ours.dns, &name, kind, way).await?;
            let [theirs, mine] = [theirs, mine].map(without_ports);
            compared.asked += 1;
            if same(&theirs, &mine, way, consul, &name, kind).await? {
                continue;
            }
            match expected(old).find(|(_, labels)| labels.contains(&label.as_str())) {
                Some((why, _)) => {
                    compared.seen.insert(why);
                }
                None => {
                    let difference = format!("{prefix}{label} {way:?}\n  Consul {theirs}\n  ours   {mine}");
                    compared.unexpected.push(difference);
                }
            }
        }
    }
    Ok(compared)
}

/// Whether two answers say the same. Where Consul took some of its records at random, as many of the same are enough.
async fn same(theirs: &Told, mine: &Told, way: Way, consul: &Site, name: &str, kind: u16) -> Try<bool> {
    if theirs == mine {
        return Ok(true);
    }
    if way == Way::Tcp || theirs.head != mine.head || theirs.answers.len() != mine.answers.len() {
        return Ok(false);
    }
    let whole = ask(consul.dns, name, kind, Way::Tcp).await?;
    let cut = whole.answers.len() > theirs.answers.len();
    let some_of = |some: &[String], all: &[String]| some.iter().all(|line| all.contains(line));
    Ok(cut
        && some_of(&mine.answers, &whole.answers)
        && some_of(&mine.extra, &whole.extra)
        && theirs.extra.len() == mine.extra.len()
        && theirs.authority == mine.authority)
}

fn judge(compared: &[Compared], least: usize) {
    let asked: usize = compared.iter().map(|one| one.asked).sum();
    let unexpected: Vec<&String> = compared.iter().flat_map(|one| &one.unexpected).collect();
    assert!(
        unexpected.is_empty(),
        "{} of {asked} differ:\n{}",
        unexpected.len(),
        unexpected.iter().map(|line| line.as_str()).collect::<Vec<_>>().join("\n")
    );
    assert!(asked >= least, "{asked}");
}

#[tokio::test]
async fn a_real_consul_answers_the_same() -> Try {
    let consul = Site::consul(json!({})).await?;
    let ours = Site::registry(Dns::default()).await?;
    fill(&consul).await?;
    fill(&ours).await?;
    let plain = compare(&consul, &ours, "").await?;

    let settings = json!({
        "alt_domain": "alt.example",
        "dns_config": {
            "node_ttl": "3s", "service_ttl": { "*": "9s", "we*": "7s", "dup": "5s" }, "only_passing": true,
            "enable_truncate": true, "udp_answer_limit": 2, "enable_additional_node_meta_txt": false
        },
    });
    let set = Site::consul(settings).await?;
    let ttls = [("*", 9), ("we*", 7), ("dup", 5)];
    let ttls = ttls.map(|(name, seconds)| (name.to_owned(), Duration::from_secs(seconds)));
    let dns = Dns::default()
        .alt_domain(Some("alt.example".to_owned()))
        .node_ttl(Duration::from_secs(3))
        .service_ttl(ttls.into())
        .only_passing(true)
        .enable_truncate(true)
        .udp_answer_limit(2)
        .node_meta_txt(false);
    let ours_set = Site::registry(dns).await?;
    fill(&set).await?;
    fill(&ours_set).await?;
    let settings = compare(&set, &ours_set, "set: ").await?;

    let all = [plain, settings];
    judge(&all, 800);
    for (why, _) in expected(minor()? < 20) {
        let seen = all.iter().any(|one| one.seen.contains(why));
        assert!(seen, "{why}: is listed as a difference, and is none any more");
    }
    Ok(())
}

#[tokio::test]
async fn no_more_addresses_are_told_than_may_be() -> Try {
    let consul = Site::consul(json!({ "dns_config": { "a_record_limit": 2 } })).await?;
    let ours = Site::registry(Dns::default().a_record_limit(Some(2))).await?;
    fill(&consul).await?;
    fill(&ours).await?;
    for word in ["A", "ANY", "SRV", "TXT"] {
        for way in [Way::Udp, Way::Edns(4096), Way::Tcp] {
            let theirs = ask(consul.dns, "many.service.consul", kind(word)?, way).await?;
            let mine = ask(ours.dns, "many.service.consul", kind(word)?, way).await?;
            assert_eq!(
                (mine.head, mine.answers.len()),
                (theirs.head, theirs.answers.len()),
                "{word} {way:?}"
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn as_many_records_as_consul_sends_are_sent() -> Try {
    let consul = Site::consul(json!({})).await?;
    let ours = Site::registry(Dns::default()).await?;
    fill(&consul).await?;
    fill(&ours).await?;
    for word in ["A", "SRV"] {
        for way in [
            Way::Udp,
            Way::Edns(512),
            Way::Edns(700),
            Way::Edns(1232),
            Way::Edns(4096),
            Way::Edns(65_535),
            Way::Tcp,
        ] {
            let theirs = ask(consul.dns, "many.service.consul", kind(word)?, way).await?;
            let mine = ask(ours.dns, "many.service.consul", kind(word)?, way).await?;
            let [had, have] = [&theirs, &mine].map(|told| told.answers.len());
            // Consul leaves EDNS out of a cut answer, and looks for the number of records less closely.
            assert!(
                have == had || (have.abs_diff(had) <= 2 && matches!(way, Way::Edns(_))),
                "{word} {way:?}: Consul {had}, ours {have}"
            );
            assert_eq!(theirs.code(), mine.code());
            if word == "SRV" && have < 40 {
                assert_eq!(mine.extra.len(), have, "{way:?}: each with its address");
            }
        }
    }
    Ok(())
}
