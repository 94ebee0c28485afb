//! The graph: edges, unmet needs, conflicts, cycles, order; and that changes add up to what is built anew.

use proptest::prelude::*;

use super::*;
use crate::{error::Kind, model::Status};

fn at(text: &str) -> ServiceAt {
    let name = |name: &str| ServiceName::new(name).unwrap();
    match text.split_once('/') {
        Some((datacenter, service)) => ServiceAt::elsewhere(datacenter, name(service)),
        None => ServiceAt::here(name(text)),
    }
}

#[test]
fn a_service_is_read_as_it_is_shown() {
    let far: ServiceAt = "dc2/db".parse().unwrap();
    assert_eq!((far.datacenter().map(|name| &**name), far.service().as_str()), (Some("dc2"), "db"));
    assert_eq!(far, at("dc2/db"));
    let near: ServiceAt = "db".parse().unwrap();
    assert_eq!((near.datacenter(), near.service().as_str()), (None, "db"));
    assert_eq!([far, near].map(|one| one.to_string()), ["dc2/db", "db"]);
    for wrong in ["/db", "dc2/", "dc2/db/x", ""] {
        assert_eq!(wrong.parse::<ServiceAt>().unwrap_err().kind(), Kind::Config, "{wrong}");
    }
}

/// An instance of a service, `id@version status needs`; the last three may be left out.
fn instance(of: &ServiceAt, text: &str) -> Arc<Instance> {
    let mut words = text.splitn(3, ' ');
    let (id, version) = words.next().map(|word| word.split_once('@').unwrap_or((word, ""))).unwrap();
    let identity = Identity::new(of.datacenter().map_or("dc1", |name| name), "node", id);
    let mut instance = Instance::new(identity, of.service().as_str(), "10.0.0.1", 80);
    let mut meta = vec![("version", version)];
    meta.retain(|(_, version)| !version.is_empty());
    instance.status = match words.next().unwrap_or("passing") {
        "warning" => Status::Warning,
        "critical" => Status::Critical,
        _ => Status::Passing,
    };
    if let Some(needs) = words.next() {
        meta.push(("portolan-needs", needs));
    }
    Arc::new(instance.with_meta(meta))
}

/// The graph of services, each with its instances.
fn graph(services: &[(&str, &[&str])]) -> Graph {
    let all: Vec<(ServiceAt, Vec<Arc<Instance>>)> = services
        .iter()
        .map(|(name, instances)| (at(name), instances.iter().map(|text| instance(&at(name), text)).collect()))
        .collect();
    Graph::of(Some("dc1"), all.iter().map(|(at, instances)| (at.clone(), &**instances)))
}

fn names<'a>(all: impl IntoIterator<Item = &'a ServiceAt>) -> Vec<String> {
    all.into_iter().map(ToString::to_string).collect()
}

/// `web`, on `api` and perhaps `cache`; `api` on `db`, of which there is one.
fn shop() -> Graph {
    graph(&[
        ("web", &["w1 passing api@^2, cache?", "w2 passing api@^2, cache?"]),
        ("api", &["a1@2.1.0 passing db@^14:2"]),
        ("db", &["d1@14.2.0", "d2@14.2.0 critical"]),
    ])
}

#[test]
fn edges_go_from_those_who_declare_to_what_they_need() {
    let shop = shop();
    assert_eq!(shop.home(), Some("dc1"));
    assert_eq!(names(shop.nodes().map(|(at, _)| at)), ["api", "db", "web"]);
    assert_eq!(names(shop.wanted()), ["api", "cache", "db"]);
    let edges = shop.edges(&at("web"));
    assert_eq!(names(edges.iter().map(Edge::to)), ["api", "cache"]);
    assert_eq!(edges[0].by().len(), 2, "both instances declare it");
    assert_eq!(names(shop.needs_of(&at("db")).map(|(from, _)| from)), ["api"]);
    assert_eq!(names(shop.needs_of(&at("web")).map(|(from, _)| from)), Vec::<String>::new());
    assert!(shop.leads(&at("web"), &at("db")) && !shop.leads(&at("db"), &at("web")));
    assert!(!shop.leads(&at("web"), &at("cache")), "an optional need leads nowhere");
}

#[test]
fn instances_that_declare_different_needs_give_an_edge_for_each() {
    let mixed = graph(&[("web", &["w1 passing db@^14", "w2 passing db@^15", "w3 passing db@^15"])]);
    let edges: Vec<_> =
        mixed.edges(&at("web")).iter().map(|edge| (edge.need().to_string(), edge.by().len())).collect();
    assert_eq!(edges, [("db@^14".to_owned(), 1), ("db@^15".to_owned(), 2)]);
}

#[test]
fn what_cannot_be_read_is_marked_and_the_graph_stands() {
    let damaged = graph(&[("web", &["w1 passing db@^14; x@^^; cache"]), ("db", &["d1@14.0.0"])]);
    assert_eq!(names(damaged.edges(&at("web")).iter().map(Edge::to)), ["cache", "db"]);
    let unreadable: Vec<_> = damaged.unreadable().collect();
    assert_eq!((unreadable.len(), unreadable[0].0, &*unreadable[0].1.what.text), (1, &at("web"), "x@^^"));
    assert_eq!(&*unreadable[0].1.by[0].id, "w1");
}

#[test]
fn a_need_that_is_not_met_says_what_there_is() {
    let lacks: Vec<String> =
        shop().unmet().map(|(from, one)| format!("{from} {}: {}", one.need, one.lack)).collect();
    assert_eq!(
        lacks,
        [
            "api db@^14:2: 2 known, 1 healthy, 1 match ^14; 2 are needed",
            "web cache?: nothing is known of it yet"
        ]
    );
    for (have, need, lack) in [
        (&["d1@14.0.0"][..], "db@^15", Some("1 known, 1 healthy, 0 match ^15")),
        (&["d1@14.0.0 critical"], "db", Some("1 known, 0 healthy")),
        (&["d1 warning"], "db", Some("1 known, 0 healthy")),
        (&["d1"], "db", None),
        (&["d1"], "db@*", Some("1 known, 1 healthy, 0 match *")),
        (&[], "db", Some("no instance is registered")),
        (&["d1@1.0.0", "d2@2.0.0"], "db@latest:2", Some("2 known, 2 healthy, 1 match latest; 2 are needed")),
        (&["d1@1.0.0", "d2@2.0.0 critical"], "db@latest", None),
    ] {
        let all = graph(&[("web", &[&format!("w1 passing {need}")]), ("db", have)]);
        let found = all.unmet().next().map(|(_, one)| one.lack.to_string());
        assert_eq!(found.as_deref(), lack, "{have:?} {need}");
    }
}

#[test]
fn a_need_in_another_datacentre_is_met_there_and_one_that_names_home_here() {
    let all = graph(&[
        ("web", &["w1 passing dc2/db, dc1/cache"]),
        ("cache", &["c1"]),
        ("dc2/db", &["d1 passing log"]),
        ("log", &["l1"]),
    ]);
    assert_eq!(names(all.edges(&at("web")).iter().map(Edge::to)), ["cache", "dc2/db"]);
    // What is needed without a datacentre is needed where it is declared.
    let unmet: Vec<_> = all.unmet().map(|(from, one)| format!("{from} {}", one.to)).collect();
    assert_eq!(unmet, ["dc2/db dc2/log"]);
}

#[test]
fn cycles_are_found_and_an_optional_need_breaks_one() {
    let three = graph(&[
        ("a", &["a1 passing b"]),
        ("b", &["b1 passing c"]),
        ("c", &["c1 passing a"]),
        ("d", &["d1 passing a"]),
        ("self", &["s1 passing self"]),
    ]);
    assert_eq!(three.cycles().iter().map(names).collect::<Vec<_>>(), [vec!["a", "b", "c"], vec!["self"]]);
    assert!(three.leads(&at("a"), &at("a")) && !three.leads(&at("a"), &at("d")));
    assert_eq!(
        three.start_order().iter().map(names).collect::<Vec<_>>(),
        [vec!["a", "b", "c", "self"], vec!["d"]]
    );
    let broken = graph(&[("a", &["a1 passing b"]), ("b", &["b1 passing a?"])]);
    assert!(broken.cycles().is_empty());
    assert_eq!(broken.start_order().iter().map(names).collect::<Vec<_>>(), [["b"], ["a"]]);
}

#[test]
fn the_start_order_has_what_is_needed_before_who_needs_it() {
    let stages: Vec<_> = shop().start_order().iter().map(names).collect();
    assert_eq!(stages, [vec!["cache", "db"], vec!["api"], vec!["web"]]);
}

#[test]
fn versions_that_do_not_go_together_are_a_conflict_unless_each_finds_its_own() {
    for (alive, wants, conflict) in [
        (&["d1@1.4.0"][..], ["db@^1", "db@^2"], true),
        (&["d1@1.4.0 warning"], ["db@^1", "db@^2"], true),
        (&["d1@1.4.0", "d2@2.0.0"], ["db@^1", "db@^2"], false),
        (&["d1@1.4.0", "d2@2.0.0 critical"], ["db@^1", "db@^2"], true),
        (&["d1@1.4.0"], ["db@^1", "db@~1.4"], false),
        (&["d1@1.4.0"], ["db@^2", "db@^2"], false),
        (&["d1@1.4.0"], ["db", "db@^2"], false),
        (&["d1@1.4.0 critical"], ["db@^1", "db@^2"], false),
        (&[], ["db@^1", "db@^2"], false),
    ] {
        let [one, other] = wants.map(|need| format!("x1 passing {need}"));
        let all = graph(&[("db", alive), ("web", &[&one]), ("job", &[&other])]);
        let found: Vec<_> = all.conflicts().collect();
        assert_eq!(found.len(), usize::from(conflict), "{alive:?} {wants:?}");
        if let Some((at, found)) = found.first() {
            assert_eq!((at.to_string(), found.alive.len(), found.sides.len()), ("db".to_owned(), 1, 2));
            assert_eq!(found.sides.iter().filter(|side| !side.served).count(), 1);
        }
    }
}

#[test]
fn each_side_of_a_conflict_names_all_who_are_on_it_once() {
    let all = graph(&[
        ("db", &["d1@1.4.0"]),
        ("web", &["w1 passing db@^1, db@^1:2"]),
        ("job", &["j1 passing db@^1"]),
        ("api", &["a1 passing db@^2"]),
    ]);
    let (_, conflict) = all.conflicts().next().unwrap();
    let sides: Vec<_> =
        conflict.sides.iter().map(|side| (side.requirement.to_string(), names(&side.dependants))).collect();
    let side = |requirement: &str, who: &[&str]| {
        (requirement.to_owned(), who.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    assert_eq!(sides.len(), 2, "{sides:?}");
    assert!(
        sides.contains(&side("^1", &["job", "web"])) && sides.contains(&side("^2", &["api"])),
        "{sides:?}"
    );
}

#[test]
fn within_a_cycle_it_is_enough_to_be_registered() {
    let all = graph(&[("db", &["d1@14.0.0 critical"]), ("cache", &[])]);
    let lack = |need: &str| {
        let need: Need = need.parse().unwrap();
        let node = all.node(&ServiceAt::here(need.service().clone()));
        Lack::of_registered(&need, node).map(|lack| lack.to_string())
    };
    assert_eq!((lack("db"), lack("db@^14")), (None, None));
    assert_eq!(lack("db@^15").as_deref(), Some("1 known, 0 healthy, 0 match ^15"));
    assert_eq!(lack("cache").as_deref(), Some("no instance is registered"));
    assert_eq!(lack("web").as_deref(), Some("nothing is known of it yet"));
}

#[test]
fn who_needs_the_last_instance_is_told_before_it_goes() {
    let all = graph(&[
        ("web", &["w1 passing db"]),
        ("job", &["j1 passing db:2, cache"]),
        ("db", &["d1", "d2 critical"]),
        ("cache", &["c1", "c2"]),
    ]);
    let lost = |name: &str, id: &str| {
        let lost = all.lost_without(&at(name), &Identity::new("dc1", "node", id));
        lost.into_iter().map(|(from, need, lack)| format!("{from} {need}: {lack}")).collect::<Vec<_>>()
    };
    assert_eq!(lost("db", "d1"), ["web db: 1 known, 0 healthy"], "what job needs is not there as it is");
    assert!(lost("db", "d2").is_empty() && lost("cache", "c1").is_empty() && lost("none", "x").is_empty());
}

#[test]
fn a_chain_of_ten_thousand_is_walked() {
    let chain: Vec<(ServiceAt, Vec<Arc<Instance>>)> = (0..10_000)
        .map(|n| {
            let at = at(&format!("s{n}"));
            let one = instance(&at, &format!("i passing s{}", n + 1));
            (at, vec![one])
        })
        .collect();
    let graph = Graph::of(None, chain.iter().map(|(at, all)| (at.clone(), &**all)));
    assert_eq!((graph.start_order().len(), graph.cycles().len()), (10_001, 0));
    assert!(graph.leads(&at("s0"), &at("s10000")));
}

/// A change of one of six services, one of them elsewhere: its instances; or nothing is known of it any more.
fn any_change() -> impl Strategy<Value = (ServiceAt, Option<Vec<Arc<Instance>>>)> {
    let service = prop_oneof![Just("a"), Just("b"), Just("c"), Just("d"), Just("e"), Just("dc2/a")];
    let need = prop_oneof!["[a-e]", "[a-e]@\\^[12]", "[a-e][?!]", "dc[12]/[ab]", "a:2", "x@@", "a@latest"];
    let needs = proptest::collection::vec(need, 0..4).prop_map(|all| all.join("; "));
    let version = prop_oneof![Just(""), Just("@1.0.0"), Just("@2.1.0")];
    let status = prop_oneof![Just("passing"), Just("warning"), Just("critical")];
    let one = (0..3_u8, version, status, needs);
    let instances = proptest::option::of(proptest::collection::vec(one, 0..3));
    (service, instances).prop_map(|(name, instances)| {
        let at = at(name);
        let built = instances.map(|all| {
            let mut all: Vec<_> = all
                .into_iter()
                .map(|(id, version, status, needs)| {
                    instance(&at, &format!("i{id}{version} {status} {needs}"))
                })
                .collect();
            all.dedup_by(|one, other| one.identity == other.identity);
            all
        });
        (at, built)
    })
}

proptest! {
    #[test]
    fn after_any_changes_the_graph_equals_the_one_built_anew(changes in proptest::collection::vec(any_change(), 1..24)) {
        let mut world: BTreeMap<ServiceAt, Vec<Arc<Instance>>> = BTreeMap::new();
        let mut graph = Graph::new(Some("dc1"));
        for (at, instances) in changes {
            graph = graph.with(&at, instances.as_deref());
            match instances {
                Some(instances) => drop(world.insert(at, instances)),
                None => drop(world.remove(&at)),
            }
            let anew = Graph::of(Some("dc1"), world.iter().map(|(at, all)| (at.clone(), &**all)));
            prop_assert_eq!(&graph, &anew);
        }
    }

    #[test]
    fn every_service_starts_after_all_it_needs_but_for_its_own_cycle(
        changes in proptest::collection::vec(any_change(), 1..12)
    ) {
        let graph = changes.iter().fold(Graph::new(Some("dc1")), |graph, (at, all)| graph.with(at, all.as_deref()));
        let stage = |at: &ServiceAt| graph.start_order().iter().position(|all| all.contains(at));
        for (from, node) in graph.nodes().filter(|(_, node)| node.is_there()) {
            for edge in node.edges().iter().filter(|edge| edge.need().is_required()) {
                let one_cycle = graph.leads(edge.to(), from);
                let together = graph.cycles().iter().any(|all| all.contains(from) && all.contains(edge.to()));
                prop_assert_eq!(one_cycle, together);
                if one_cycle {
                    prop_assert_eq!(stage(from), stage(edge.to()));
                } else {
                    prop_assert!(stage(from) > stage(edge.to()) && stage(edge.to()).is_some());
                }
            }
        }
    }
}
