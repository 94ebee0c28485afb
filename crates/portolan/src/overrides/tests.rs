//! The file is followed, and nothing wrong in it ends what it said before. The files are real, the clock is paused.

use std::path::Path;

use super::*;
use crate::{
    Changes, Config, Discovery, Kind, Mark, Reader, Source,
    testing::{Scripted, answer, replace},
    watched::LOOK,
};

fn discovery(path: &Path) -> Discovery {
    Discovery::with_registry(Scripted::new([Ok(answer(&[1], 5))]), Config::default().seed(1).overrides(path))
}

fn places(changes: &[Arc<Instance>]) -> Vec<String> {
    changes.iter().map(|one| one.authority()).collect()
}

/// What a reader is told, soon.
async fn next(watch: &mut Reader) -> Changes {
    tokio::time::timeout(LOOK * 10, watch.changed()).await.unwrap().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_forced_service_is_marked_and_follows_the_file_until_its_line_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("overrides");
    replace(&path, "web=10.9.9.9:80\n");
    let discovery = discovery(&path);
    let web = discovery.service("web").await.unwrap();
    let pick = web.pick().unwrap();
    assert_eq!((pick.authority(), pick.mark()), ("10.9.9.9:80".to_owned(), Mark::Override));
    assert_eq!(pick.freshness().source, Source::Override);
    assert_eq!((web.explain().mark, web.snapshot().instances().len()), (Mark::Override, 1));
    let mut watch = web.watch();
    assert_eq!(places(&next(&mut watch).await.added), ["10.9.9.9:80"]);

    replace(&path, "web=10.9.9.9:80, 10.9.9.8:80\n");
    assert_eq!(places(&next(&mut watch).await.added), ["10.9.9.8:80"]);
    assert!(discovery.warm("web", |web| web.peek(|one| one.mark()) == Ok(Mark::Override)).unwrap());

    replace(&path, "db=10.9.9.9:80");
    let changes = next(&mut watch).await;
    assert_eq!((places(&changes.added), changes.removed.len()), (vec!["10.0.0.1:1001".to_owned()], 2));
    assert_eq!(web.pick().unwrap().mark(), Mark::Ordinary);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_or_missing_file_leaves_what_was_said_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("overrides");
    replace(&path, "web=10.9.9.9:80");
    let discovery = discovery(&path);
    let web = discovery.service("web").await.unwrap();
    for wrong in ["web=10.9.9.9", "web=", "web=10.9.9.9:80\nweb=10.9.9.8:80", &"#".repeat(1_100_000)] {
        replace(&path, wrong);
        tokio::time::sleep(LOOK * 3).await;
        assert_eq!(web.pick().unwrap().authority(), "10.9.9.9:80", "after {:.20}", wrong);
    }
    std::fs::remove_file(&path).unwrap();
    tokio::time::sleep(LOOK * 3).await;
    assert_eq!(web.pick().unwrap().mark(), Mark::Override);
    replace(&path, "");
    let mut watch = web.watch();
    next(&mut watch).await;
    assert_eq!(next(&mut watch).await.removed.len(), 1, "an empty file ends every override");
}

#[tokio::test(start_paused = true)]
async fn at_the_start_a_wrong_file_is_an_error_that_names_setting_file_and_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("overrides");
    let discovery = discovery(&path);
    let error = discovery.service("web").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Config);
    assert!(
        error.chain().starts_with(&format!("overrides: {}: cannot be read: ", path.display())),
        "{}",
        error.chain()
    );
    replace(&path, "web=10.9.9.9:80\n# a comment\ndb=nowhere");
    let text = discovery.service("web").await.unwrap_err().chain();
    assert!(text.contains("is wrong: static list, line 3: \"nowhere\" is not address:port"), "{text}");
    replace(&path, "web=10.9.9.9:80");
    assert!(discovery.service("web").await.is_ok(), "once it is mended, the next call goes on");
    let error = self::discovery(folder.path()).service("web").await.unwrap_err();
    assert!(error.to_string().contains("is no file"), "{error}");
}

#[test]
fn what_did_not_change_keeps_its_list() {
    let now = tokio::time::Instant::now().into_std();
    let list = |text: &str| text.parse::<StaticList>().unwrap();
    let before = Overrides::default().next(&list("web=10.0.0.1:80\ndb=10.0.0.2:80"), now);
    let after = before.next(&list("db=10.0.0.3:80\nweb=10.0.0.1:80"), now + LOOK);
    let of = |table: &Overrides, name: &str| table.of(&ServiceName::new(name).unwrap()).unwrap().clone();
    assert!(Arc::ptr_eq(&of(&before, "web").instances, &of(&after, "web").instances));
    assert_eq!((of(&after, "web").since, of(&after, "db").since), (now, now + LOOK));
}
