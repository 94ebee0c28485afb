//! The file is followed, and nothing wrong in it ends what it said before. The files are real, the clock is paused.

use std::path::Path;

use crate::{
    Config, Discovery, Kind, Requirement, Resolver, Select,
    model::Instance,
    registry::Answer,
    testing::{Scripted, instance, replace},
    watched::LOOK,
};

/// Two instances, of 1.4.0 and of 2.0.0.
fn discovery(path: &Path) -> Discovery {
    let of = |id: u16, version: &str| -> std::sync::Arc<Instance> {
        instance(id).with_meta([("version", version)]).into()
    };
    let answer = Answer::new(vec![of(1, "1.4.0"), of(2, "2.0.0")], 5);
    Discovery::with_registry(Scripted::new([Ok(answer)]), Config::default().seed(1).splits(path))
}

/// How many of a hundred keys get 2.0.0.
fn newest(web: &Resolver) -> usize {
    let is_new = |key: &u8| web.pick_by_key(&[*key]).unwrap().port == 1002;
    (0..100u8).filter(is_new).count()
}

#[tokio::test(start_paused = true)]
async fn a_split_follows_the_file_and_a_wrong_one_leaves_what_it_said_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("splits");
    replace(&path, "web = 100 ^1");
    let discovery = discovery(&path);
    let web = discovery.service("web").await.unwrap();
    assert_eq!(newest(&web), 0);
    let then = async |text: &str| {
        replace(&path, text);
        tokio::time::sleep(LOOK * 3).await;
        newest(&web)
    };
    let half = then("# half of it\nweb = 50 ^1, 50 ^2").await;
    assert!((30..70).contains(&half), "{half} of 100");
    for wrong in [
        "web 1 ^1",
        "web = ^1",
        "web = 0 ^1",
        "web = 1 ^1\nweb = 1 ^2",
        "web = 1 ^^1",
        &"#".repeat(1_100_000),
    ] {
        assert_eq!(then(wrong).await, half, "after {wrong:.20}");
    }
    assert_eq!(then("web = 0 ^1, 1 ^2").await, 100);
    assert_eq!(then("web = 1 ^1, 0 ^2").await, 0, "stepped back");
    let both = then("").await;
    assert!((20..80).contains(&both), "{both} of 100: without its line, nothing is said of versions");
}

#[tokio::test(start_paused = true)]
async fn the_file_stands_above_the_program_and_lets_through_what_the_caller_lets() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("splits");
    replace(&path, "web = 1 ^2");
    let discovery = discovery(&path);
    let web = discovery.service("web").await.unwrap();
    web.set_split(Some("1 ^1".parse().unwrap()));
    tokio::time::sleep(LOOK).await;
    assert_eq!(newest(&web), 100);
    let one: Requirement = "^1".parse().unwrap();
    let careful = discovery.service_with("web", Select::default().version(one)).await.unwrap();
    let none = careful.pick().unwrap_err().to_string();
    assert!(none.starts_with("web: 2 known, 2 healthy, 0 match ^1 and ^2: "), "{none}");
    replace(&path, "");
    tokio::time::sleep(LOOK * 3).await;
    assert_eq!(newest(&web), 0, "now the program's own counts");
}

#[tokio::test(start_paused = true)]
async fn at_the_start_a_wrong_file_is_an_error_that_names_setting_file_and_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("splits");
    let discovery = discovery(&path);
    let error = discovery.service("web").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Config);
    let shown = error.chain();
    assert!(shown.starts_with(&format!("splits: {}: cannot be read: ", path.display())), "{shown}");
    replace(&path, "db = 1 ^1\n\nweb = 95 ^1, 5 ^^2");
    let text = discovery.service("web").await.unwrap_err().chain();
    let says = "is wrong: splits, line 3: split, part 2: \"^^2\" is no version requirement, at character 2";
    assert!(text.contains(says), "{text}");
    replace(&path, "db = 1 ^1");
    assert!(discovery.service("web").await.is_ok(), "once it is mended, the next call goes on");
}
