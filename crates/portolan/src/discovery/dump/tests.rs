//! Everything that is there is in it, with its reason; and what is gone is not.

use super::*;
use crate::{
    Config,
    error::Kind,
    registry::Answer,
    testing::{Scripted, instance},
};

#[tokio::test(start_paused = true)]
async fn every_view_and_resolver_is_told_with_age_source_failure_and_reasons() {
    let blue = instance(1).with_tags(["blue"]);
    let registry = Scripted::new([Ok(Answer::new(vec![blue.into(), instance(2).into()], 7))]);
    let discovery = Discovery::with_registry(Arc::<Scripted>::clone(&registry), Config::default().seed(1));
    let select = Select::default().tag("blue").max_age(Duration::from_secs(9), OnStale::ServeStale);
    let web = discovery.service_with("web", select).await.unwrap();
    drop(discovery.service_with("web", Select::default()).await.unwrap());
    registry.push(Err(Kind::Busy));
    web.watch().wait_until(|now| now.failure().is_some(), Duration::from_secs(60)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;

    let dump = discovery.dump();
    assert_eq!((dump.views.len(), dump.resolvers.len()), (1, 1), "one resolver is gone");
    let (view, resolver) = (&dump.views[0], &dump.resolvers[0]);
    assert_eq!((view.resolvers, view.count(Status::Passing)), (1, 2));
    assert_eq!(resolver.explanation.left_out.len(), 1);
    let age = view.age.unwrap().as_millis();
    let expected = format!(
        "\
registry: a scripted registry
view web: source live, age {age} ms, index 7, 1 resolvers, 2 passing, 0 warning, 0 critical, 0 maintenance, 0 held; 1 reads failed: scripted
resolver web: 1 usable, mark ordinary, source live, age {age} ms
  left out n1/web-2: lacks the tag \"blue\"
"
    );
    assert_eq!(dump.to_string(), expected);
    let json: Value = serde_json::from_str(&dump.to_json()).unwrap();
    let view = &json["views"][0];
    assert_eq!(
        (&view["source"], &view["index"], &view["instances"]["passing"]),
        (&json!("live"), &json!(7), &json!(2))
    );
    assert_eq!(view["failure"], json!({"text": "scripted", "count": 1}));
    let resolver = &json["resolvers"][0];
    assert_eq!(resolver["left_out"], json!([{"id": "n1/web-2", "why": "lacks the tag \"blue\""}]));
    assert_eq!((&resolver["mark"], &resolver["select"]["max_age_ms"]), (&json!("ordinary"), &json!(9000)));
    assert_eq!(resolver["usable"][0]["address"], "10.0.0.1:1001");

    drop(web);
    assert!(discovery.dump().resolvers.is_empty());
}

#[tokio::test(start_paused = true)]
async fn of_many_resolvers_that_are_gone_none_is_kept() {
    let registry = Scripted::new([Ok(Answer::new(vec![instance(1).into()], 7))]);
    let discovery = Discovery::with_registry(registry, Config::default().seed(1));
    let _web = discovery.service("web").await.unwrap();
    for _ in 0..500 {
        drop(discovery.service_with("web", Select::default()).await.unwrap());
    }
    assert_eq!(discovery.dump().resolvers.len(), 1);
    assert!(discovery.inner.views.noted() < 16, "{}", discovery.inner.views.noted());
}
