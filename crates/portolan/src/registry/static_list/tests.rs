//! What a line of text says, and what a list answers.

use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;

use super::*;

fn name(text: &str) -> ServiceName {
    text.parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_line_lists_the_addresses_of_a_service() {
    let list: StaticList =
        "# ours\n\nweb = 10.0.0.1:80, host.internal:81\ndb=[fd00::1]:5432\nnone=".parse().unwrap();
    for (service, expected) in [
        ("web", vec!["10.0.0.1:80", "host.internal:81"]),
        ("db", vec!["[fd00::1]:5432"]),
        ("none", vec![]),
        ("x", vec![]),
    ] {
        let answer = list.service(&ServiceQuery::new(name(service))).await.unwrap();
        let found: Vec<String> = answer.value.iter().map(|one| one.authority()).collect();
        assert_eq!(found, expected, "{service}");
        assert_eq!(answer.meta.index, 1);
    }
}

#[test]
fn a_bad_line_is_named_with_its_number() {
    for (text, says) in [
        ("web=10.0.0.1:80\nnonsense", "line 2: has no \"=\""),
        ("=10.0.0.1:80", "line 1: service name: \"\" is empty"),
        ("web=10.0.0.1", "line 1: \"10.0.0.1\" is not address:port"),
        ("web=10.0.0.1:0", "\"10.0.0.1:0\" is not"),
        ("web=10.0.0.1:65536", "\"10.0.0.1:65536\" is not"),
        ("web=fd00::1:80", "\"fd00::1:80\" is not"),
        ("web=[nonsense]:80", "\"[nonsense]:80\" is not"),
        ("web=a b:80", "\"a b:80\" is not"),
        ("web=a:1,a:1", "\"a:1\" is given twice"),
        ("web=a:1\nweb=b:1", "line 2: service \"web\" has a line already"),
    ] {
        let error = text.parse::<StaticList>().unwrap_err();
        assert_eq!(error.kind(), Kind::Config);
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_blocking_read_waits_and_says_the_same() {
    let one =
        Instance::new(Identity::new("dc1", "n", "web-1"), "web", "10.0.0.1", 80).with_tags(["b", "a", "b"]);
    let list = StaticList::new().with(name("web"), [one]);
    let wait = Duration::from_secs(30);
    let began = Instant::now();
    let first = list.service(&ServiceQuery::new(name("web"))).await.unwrap();
    let second = list.service(&ServiceQuery::new(name("web")).block(1, wait)).await.unwrap();
    assert_eq!((first, began.elapsed()), (second, wait));
    let tags = list.services(&CatalogQuery::default()).await.unwrap().value;
    assert_eq!(tags["web"].iter().map(|tag| &**tag).collect::<Vec<_>>(), ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn writes_are_rejected_and_say_why() {
    let list = StaticList::new();
    let id: ServiceId = "web-1".parse().unwrap();
    let definition = Definition::new(id.clone(), name("web"), "10.0.0.1", 80);
    for outcome in
        [list.register(&definition).await, list.deregister(&id).await, list.maintenance(&id, None).await]
    {
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), Kind::Rejected);
        assert!(error.to_string().contains("it never changes"), "{error}");
    }
    assert!(list.registered(&[id]).await.unwrap().is_empty());
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,40}") {
        let _read = text.parse::<StaticList>();
        let _read = format!("web={text}").parse::<StaticList>();
    }
}
