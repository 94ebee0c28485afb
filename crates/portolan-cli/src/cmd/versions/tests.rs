//! The page and the object over instances of several versions, with a file of splits and without.

use portolan::{CheckScope, CheckState, Identity};

use super::*;

fn one(id: u16, version: &str, status: Status) -> Instance {
    let check = CheckState::new("c", "c", status, CheckScope::Service);
    let instance = Instance::new(Identity::new("dc1", "n", &format!("web-{id}")), "web", "10.0.0.1", id);
    instance.with_meta([("version", version)]).with_checks(vec![check])
}

async fn explained(splits: Option<&str>) -> Explanation {
    let all = [
        one(1, "1.4.0", Status::Passing),
        one(2, "1.4.0", Status::Passing),
        one(3, "2.0.0", Status::Passing),
        one(4, "2.0.0", Status::Critical),
        one(5, "", Status::Critical),
        one(6, "two\u{1b}", Status::Critical),
    ];
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::default();
    config.splits = splits.map(|text| {
        let path = folder.path().join("splits");
        std::fs::write(&path, text).unwrap();
        path
    });
    let list = StaticList::new().with(ServiceName::new("web").unwrap(), all);
    let discovery = Discovery::with_registry(Arc::new(list), config);
    discovery.service_with("web", Select::default()).await.unwrap().explain()
}

#[tokio::test]
async fn a_row_a_version_the_newest_first_and_what_cannot_be_read_below() {
    let page = page(&[explained(None).await], false);
    assert_eq!(
        page,
        "SERVICE  VERSION  INSTANCES  PASSING  WARNING  CRITICAL  MAINTENANCE  SHARE  PART\n\
         web      2.0.0    2          1        0        1         0            33.3%  -\n\
         web      1.4.0    2          2        0        0         0            66.7%  -\n\
         web      -        1          0        0        1         0            0.0%   -\n\
         \n\
         web: n/web-6 has no readable version: \"two\\u{1b}\" in meta:version\n"
    );
}

#[tokio::test]
async fn with_a_file_of_splits_the_share_is_that_of_the_split() {
    let known = explained(Some("web = 90 ^1, 10 ^2, 5 ^3")).await;
    let page = page(std::slice::from_ref(&known), false);
    assert!(
        page.contains("web      2.0.0    2          1        0        1         0            10.0%  ^2\n"),
        "{page}"
    );
    assert!(page.contains("90.0%  ^1\n"), "{page}");
    assert!(page.ends_with("web: ^3 of weight 5 gets 0.0% with 0 usable\n"), "{page}");
    let object = object(&known);
    assert_eq!(object["versions"][0]["version"], "2.0.0");
    assert_eq!(
        (&object["versions"][0]["passing"], &object["versions"][0]["critical"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(object["versions"][2]["version"], Value::Null);
    assert_eq!(object["unreadable"][0]["id"], "web-6");
    assert_eq!(object["split"][1]["weight"], 10);
}
