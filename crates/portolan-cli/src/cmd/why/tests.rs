//! The page that a person reads, from an in-process registry.

use std::sync::Arc;

use portolan::{
    Check, CheckId, Discovery, Locality, Prefer, Registry, Select,
    registry::{CheckDefinition, Definition, memory::Memory},
};

use super::*;

async fn register(memory: &Memory, id: &str, tag: &str) {
    let mut definition = Definition::new(id.parse().unwrap(), "web".parse().unwrap(), "10.0.0.1", 80);
    definition.tags.push(tag.to_owned());
    let check = CheckId::new(format!("service:{id}")).unwrap();
    definition.checks.push(CheckDefinition::new(check, "alive", Check::http("http://10.0.0.1/health")));
    memory.register(&definition).await.unwrap();
}

async fn explained(memory: &Memory, select: Select) -> Explanation {
    explained_at(memory, select, Locality::default()).await
}

async fn explained_at(memory: &Memory, select: Select, here: Locality) -> Explanation {
    let view = ViewConfig::default().check_output(CheckOutput::Keep);
    let config = Config::default().view(view).seed(1).locality(here);
    let discovery = Discovery::with_registry(Arc::new(memory.clone()), config);
    discovery.service_with("web", select).await.unwrap().explain()
}

#[tokio::test(start_paused = true)]
async fn the_page_names_who_is_left_out_and_what_its_check_said() {
    let memory = Memory::new();
    for (id, tag) in [("web-1", "blue"), ("web-2", "blue"), ("web-3", "green")] {
        register(&memory, id, tag).await;
    }
    let output = "HTTP GET http://10.0.0.1/health: 500\nOut\u{1b}[2Jput: no database";
    memory.set_check(&"service:web-2".parse().unwrap(), Status::Critical, output).unwrap();
    let known = explained(&memory, Select::default().tag("blue")).await;
    let text = page(&known, "a registry", Some(Duration::from_millis(7)), false);
    let node = &known.snapshot.instances()[0].identity.node;
    let index = known.snapshot.freshness().index;
    let expected = format!(
        "\
web: 1 of 3 known instances can be picked
source live, age 7 ms, index {index}, from a registry

Can be picked:
ID     ADDRESS      NODE    ZONE  VERSION  STATUS   WEIGHT  TAGS
web-1  10.0.0.1:80  {node}  -     -        passing  1       blue

Left out:
{node}/web-2  10.0.0.1:80  critical by check \"service:web-2\"
  critical  alive (service:web-2)
    HTTP GET http://10.0.0.1/health: 500
    Out\\u{{1b}}[2Jput: no database
{node}/web-3  10.0.0.1:80  lacks the tag \"blue\"

What to do: look at the checks above, and at the log of those instances
"
    );
    assert_eq!(text, expected);
    let object = object(&known, "a registry", None);
    assert_eq!(object["left_out"][1]["why"], "lacks the tag \"blue\"");
    assert_eq!(object["none"], Value::Null);
}

#[tokio::test(start_paused = true)]
async fn none_has_its_type_and_a_next_step() {
    let memory = Memory::new();
    let known = explained(&memory, Select::default()).await;
    let text = page(&known, "a registry", None, false);
    assert!(text.contains("(NeverSeen)"), "{text}");
    assert!(text.ends_with("What to do: check the name with `portolan services`, or register one with `portolan register web --port PORT`\n"), "{text}");
    register(&memory, "web-1", "blue").await;
    let known = explained(&memory, Select::default().tag("green")).await;
    let text = page(&known, "a registry", None, false);
    assert!(text.contains("(NoneUsable)") && text.contains("ask for other tags"), "{text}");
    assert_eq!(object(&known, "a registry", None)["none"]["kind"], "NoneUsable");
}

#[tokio::test(start_paused = true)]
async fn in_a_panic_the_sick_are_shown_with_their_reason_and_the_picks_with_their_mark() {
    let memory = Memory::new();
    for id in ["web-1", "web-2", "web-3", "web-4"] {
        register(&memory, id, "blue").await;
        memory.set_check(&format!("service:{id}").parse().unwrap(), Status::Critical, "").unwrap();
    }
    let known = explained(&memory, Select::default()).await;
    let text = page(&known, "a registry", None, false);
    assert!(text.contains("4 of 4 known instances can be picked"), "{text}");
    assert!(text.contains("picks are marked panic"), "{text}");
    assert!(
        text.contains("Picked anyway:") && text.contains("critical by check \"service:web-4\""),
        "{text}"
    );
    let object = object(&known, "a registry", None);
    assert_eq!(
        (object["mark"].as_str(), object["picked_anyway"].as_array().map(Vec::len)),
        (Some("panic"), Some(4))
    );
}

#[tokio::test(start_paused = true)]
async fn the_page_tells_each_share_with_its_groups_and_who_gets_none() {
    let memory = Memory::new();
    for (id, zone, rank) in [
        ("web-1", "a", "1"),
        ("web-2", "b", "1"),
        ("web-3", "b", "1"),
        ("web-4", "b", "2"),
        ("web-5", "b", "1"),
    ] {
        let mut definition = Definition::new(id.parse().unwrap(), "web".parse().unwrap(), "10.0.0.1", 80);
        definition.meta = [("zone", zone), ("rank", rank)].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        memory.register(&definition).await.unwrap();
    }
    let zone = Prefer::SameZone { callers: Some(40), among: 1 };
    let select = Select::default().prefer(zone).prefer(Prefer::priority("rank"));
    let known = explained_at(&memory, select, Locality::default().zone("a")).await;
    let text = page(&known, "a registry", None, false);
    let expected = "
Each gets of the requests:
ID     SHARE  GROUPS
web-1  50.0%  same zone, \"a\" 50.0%; rank 1 100.0%
web-2  16.7%  another zone than \"a\" 50.0%; rank 1 100.0%
web-3  16.7%  another zone than \"a\" 50.0%; rank 1 100.0%
web-5  16.7%  another zone than \"a\" 50.0%; rank 1 100.0%
";
    assert!(text.contains(expected), "{text}");
    assert!(text.contains("web-4  10.0.0.1:80  others are preferred: rank 2\n"), "{text}");
    let object = object(&known, "a registry", None);
    assert_eq!(object["usable"][0]["share"]["groups"][1], json!({"group": "rank 1", "part": 1.0}));
    assert_eq!(object["left_out"][0]["why"], "others are preferred: rank 2");
}
