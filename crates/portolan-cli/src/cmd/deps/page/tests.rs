//! The page, the object and the drawings of graphs that have everything that can be shown.

use std::sync::Arc;

use portolan::{Identity, Instance, depend::Graph};

use super::{
    super::{drawing, object},
    *,
};

/// An instance as `id version needs`; `-` is none.
fn instance(service: &str, text: &str) -> Arc<Instance> {
    let mut words = text.splitn(3, ' ');
    let mut next = || words.next().filter(|word| *word != "-");
    let one = Instance::new(Identity::new("dc1", "n", next().unwrap()), service, "10.0.0.1", 80);
    let (version, needs) =
        (next().map(|version| ("version", version)), next().map(|needs| ("portolan-needs", needs)));
    Arc::new(one.with_meta(version.into_iter().chain(needs)))
}

fn graph(services: &[(&str, &[&str])]) -> Graph {
    let all: Vec<(ServiceAt, Vec<Arc<Instance>>)> = services
        .iter()
        .map(|(name, all)| (name.parse().unwrap(), all.iter().map(|text| instance(name, text)).collect()))
        .collect();
    Graph::of(Some("dc1"), all.iter().map(|(at, all)| (at.clone(), &**all)))
}

/// A tree, a need that is not met, a conflict, a cycle, and something unreadable.
fn shop() -> Graph {
    graph(&[
        ("web", &["w1 - api@^2; cache?; db@^15", "w2 - api@^2; cache?"]),
        ("api", &["a1 2.1.0 db@^14"]),
        ("db", &["d1 14.2.0 -"]),
        ("ping", &["p1 - pong", "p2 - pong, x@@1"]),
        ("pong", &["q1 - ping"]),
        ("alone", &["x1 - -"]),
    ])
}

#[test]
fn a_page_shows_trees_and_all_that_is_not_in_order() {
    let graph = shop();
    let page = page(&Scope::of(&graph, None).unwrap(), false);
    let expected = "\
web  2 of 2 healthy
├─ api@^2  met
│  └─ db@^14  met
├─ cache?  unmet: nothing is known of it yet
└─ db@^15  unmet: 1 known, 1 healthy, 0 match ^15  (of 1 of 2 instances)
ping  2 of 2 healthy
└─ pong  met
   └─ ping  met  (a cycle)

Unmet:
  web needs cache?: nothing is known of it yet
  web needs db@^15: 1 known, 1 healthy, 0 match ^15

Conflicts:
  db: alive 14.2.0; api wants ^14; web wants ^15, which none is

Cycles of required needs:
  ping, pong

Unreadable:
  ping (p2): \"x@@1\": needs[1], character 3: that is no requirement of a version; write \"^14\", \">=1.4, <2\" or \
\"=1.2.3\": ";
    assert!(page.starts_with(expected), "{page}");
    assert!(page.ends_with("\n\nStart order:\n  1  cache, db, ping, pong\n  2  api\n  3  web\n"), "{page}");
}

#[test]
fn a_page_of_one_service_shows_both_ways_and_its_part_alone() {
    let graph = shop();
    let name = "db".parse().unwrap();
    let page = page(&Scope::of(&graph, Some(&name)).unwrap(), false);
    let expected = "\
db  1 of 1 healthy

Who needs it:
db  1 of 1 healthy
├─ api  needs db@^14  met
│  └─ web  needs api@^2  met
└─ web  needs db@^15  unmet: 1 known, 1 healthy, 0 match ^15  (of 1 of 2 instances)

Conflicts:
  db: alive 14.2.0; api wants ^14; web wants ^15, which none is

Start order:
  1  db
";
    assert_eq!(page, expected);
}

#[test]
fn what_is_in_order_depends_on_what_is_asked_for() {
    let graph = shop();
    for (name, in_order) in [("web", false), ("db", false), ("ping", false), ("alone", true), ("cache", true)]
    {
        let at = name.parse().unwrap();
        let scope = Scope::of(&graph, Some(&at)).unwrap();
        assert_eq!(scope.is_in_order(), in_order, "{name}: {}", scope.summary());
    }
    let all = Scope::of(&graph, None).unwrap().summary();
    assert!(
        all.starts_with("1 required needs unmet, 1 services")
            && all.ends_with("1 cycles, 1 needs unreadable"),
        "{all}"
    );
    assert!(Scope::of(&graph, Some(&"nobody".parse().unwrap())).is_none());
}

#[test]
fn a_repeated_branch_is_drawn_once() {
    let graph = graph(&[
        ("a", &["1 - b, c"]),
        ("b", &["1 - d"]),
        ("c", &["1 - d"]),
        ("d", &["1 - e"]),
        ("e", &["1 - -"]),
    ]);
    let page = page(&Scope::of(&graph, None).unwrap(), false);
    assert!(page.contains("│  └─ d  met\n│     └─ e  met\n└─ c  met\n   └─ d  met  (as above)\n"), "{page}");
}

#[test]
fn an_object_has_all_of_it() {
    let graph = shop();
    let object = object::object(&Scope::of(&graph, None).unwrap());
    assert_eq!(object["start_order"], serde_json::json!([["cache", "db", "ping", "pong"], ["api"], ["web"]]));
    assert_eq!((&object["cycles"][0][1], &object["in_order"]), (&"pong".into(), &false.into()));
    assert_eq!(object["conflicts"][0]["sides"][1]["served"], false);
    assert_eq!(
        (&object["unmet"][1]["need"], &object["unmet"][0]["required"]),
        (&"db@^15".into(), &false.into())
    );
    let web = object["services"].as_array().unwrap().iter().find(|one| one["service"] == "web").unwrap();
    assert_eq!((&web["needs"][0]["met"], &web["needs"][2]["declared_by"]), (&true.into(), &1.into()));
}

#[test]
fn a_name_cannot_leave_its_quotes_in_a_drawing() {
    let graph = graph(&[("we\"b;#", &["1 - a%22%5D%3Bb@^1?"])]);
    let scope = Scope::of(&graph, None).unwrap();
    let dot = drawing::dot(&scope);
    let expected = "\
digraph dependencies {
  rankdir=LR;
  node [shape=box];
  n0 [label=\"a\\\"];b\", style=dashed];
  n1 [label=\"we\\\"b;#\"];
  n1 -> n0 [label=\"^1\", color=red, style=dashed];
}
";
    assert_eq!(dot, expected);
    let expected = "\
graph LR
  n0[\"a#34;]#59;b\"]
  n1[\"we#34;b#59;#35;\"]
  n1 -.->|\"^1\"| n0
  linkStyle 0 stroke:red
";
    assert_eq!(drawing::mermaid(&scope), expected);
}
