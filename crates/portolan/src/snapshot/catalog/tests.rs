//! Each difference is told once, to readers of any speed.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn tags(list: &[(&str, &[&str])]) -> Arc<ServiceTags> {
    let own =
        |(name, tags): &(&str, &[&str])| ((*name).into(), tags.iter().map(|tag| (*tag).into()).collect());
    Arc::new(list.iter().map(own).collect())
}

fn catalog(services: &[(&str, &[&str])], held: &[(&str, &[&str])]) -> Catalog {
    Catalog { services: tags(services), held: tags(held), ..Catalog::nothing(None) }
}

fn names(list: &ServiceTags) -> String {
    list.keys().map(AsRef::as_ref).collect::<Vec<_>>().join(" ")
}

#[test]
fn each_kind_of_difference_is_told_in_its_own_list() {
    let old = catalog(&[("api", &["a"]), ("db", &[]), ("web", &["x"])], &[("back", &["1"]), ("gone", &[])]);
    let new =
        catalog(&[("api", &["a"]), ("back", &["2"]), ("new", &["n"]), ("web", &["x", "y"])], &[("db", &[])]);
    let changes = CatalogChanges::between(&old, &new);
    assert_eq!(changes.added, *tags(&[("new", &["n"])]));
    assert_eq!(changes.removed, *tags(&[("gone", &[])]));
    assert_eq!(changes.held, *tags(&[("db", &[])]));
    assert_eq!(changes.returned, *tags(&[("back", &["2"])]));
    let retagged: Vec<_> =
        changes.retagged.iter().map(|one| (&*one.name, one.before.len(), one.now.len())).collect();
    assert_eq!(retagged, [("back", 1, 1), ("web", 1, 2)]);
    assert!(CatalogChanges::between(&new, &new.clone()).is_empty());
    assert!(
        CatalogChanges::between(
            &new,
            &catalog(
                &[("api", &["a"]), ("back", &["2"]), ("new", &["n"]), ("web", &["x", "y"])],
                &[("db", &[])]
            )
        )
        .is_empty(),
        "equal content in another allocation"
    );
}

#[test]
fn a_difference_in_one_list_is_told_though_the_other_is_the_very_same() {
    let old = catalog(&[("web", &[])], &[("db", &[])]);
    let released = Catalog { held: tags(&[]), ..old.clone() };
    assert_eq!(names(&CatalogChanges::between(&old, &released).removed), "db");
    let gone = Catalog { services: tags(&[]), ..old.clone() };
    assert_eq!(names(&CatalogChanges::between(&old, &gone).removed), "web");
}

/// What is told next; a reader that is told nothing fails, and waits for ever no more.
async fn told(reader: &mut CatalogReader) -> Result<CatalogChanges, Error> {
    tokio::time::timeout(Duration::from_secs(3600), reader.changed()).await.expect("nothing is told")
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_gets_one_set_of_changes_and_a_confirmation_wakes_nobody() {
    let mut writer = Writer::new(Arc::new(Catalog::nothing(None)));
    let mut reader = writer.catalog_reader();
    writer.publish(Arc::new(catalog(&[("web", &[])], &[])));
    assert_eq!(names(&told(&mut reader).await.unwrap().added), "web");
    writer.publish(Arc::new(catalog(&[("passing-by", &[]), ("web", &[])], &[])));
    writer.publish(Arc::new(catalog(&[("db", &[])], &[])));
    let changes = told(&mut reader).await.unwrap();
    assert_eq!((names(&changes.added), names(&changes.removed)), ("db".into(), "web".into()));
    writer.publish(Arc::new((*writer.current()).clone()));
    let silent = tokio::time::timeout(Duration::from_secs(3600), reader.changed()).await;
    assert!(silent.is_err(), "told of a confirmation: {silent:?}");
    let mut late = writer.catalog_reader();
    assert_eq!(names(&told(&mut late).await.unwrap().added), "db", "what is there is news to a new reader");
    writer.publish(Arc::new(catalog(&[], &[])));
    drop(writer);
    assert_eq!(names(&told(&mut reader).await.unwrap().removed), "db", "the last word is told");
    assert_eq!(told(&mut reader).await.unwrap_err().kind(), Kind::Closed);
}

#[tokio::test(start_paused = true)]
async fn waiting_ends_with_the_deadline_or_with_the_view() {
    let writer = Writer::new(Arc::new(Catalog::nothing(None)));
    let reader = writer.catalog_reader();
    let within = Duration::from_secs(5);
    assert_eq!(reader.wait_until(Catalog::is_known, within).await.unwrap_err().kind(), Kind::Timeout);
    assert!(reader.wait_until(|now| !now.is_known(), within).await.is_ok());
    drop(writer);
    assert_eq!(reader.wait_until(Catalog::is_known, within).await.unwrap_err().kind(), Kind::Closed);
}

fn lists() -> impl Strategy<Value = BTreeMap<u8, (u8, bool)>> {
    proptest::collection::btree_map(0u8..6, (0u8..3, any::<bool>()), 0..6)
}

fn built(list: &BTreeMap<u8, (u8, bool)>) -> Catalog {
    let pick = |wanted: bool| {
        let some = list.iter().filter(|(_, (_, held))| *held == wanted);
        Arc::new(
            some.map(|(name, (tag, _))| (name.to_string().into(), vec![tag.to_string().into()])).collect(),
        )
    };
    Catalog { services: pick(false), held: pick(true), ..Catalog::nothing(None) }
}

/// What a consumer does with what it is told.
fn apply(picture: &mut BTreeMap<Arc<str>, (Vec<Arc<str>>, bool)>, changes: &CatalogChanges) {
    for (name, tags) in &changes.added {
        assert!(picture.insert(Arc::clone(name), (tags.clone(), false)).is_none(), "{name}: told twice");
    }
    for name in changes.removed.keys() {
        assert!(picture.remove(name).is_some(), "{name}: was not there");
    }
    for (name, tags) in &changes.held {
        picture.entry(Arc::clone(name)).or_insert_with(|| (tags.clone(), true)).1 = true;
    }
    for name in changes.returned.keys() {
        picture.get_mut(name).unwrap().1 = false;
    }
    for one in &changes.retagged {
        let had = std::mem::replace(&mut picture.get_mut(&one.name).unwrap().0, one.now.clone());
        assert_eq!(had, one.before);
    }
}

proptest! {
    /// Law 1 for consumers: whoever applies what it is told has the newest list, whichever moments it missed.
    #[test]
    fn applying_the_changes_gives_the_newest_list(moments in proptest::collection::vec((lists(), any::<bool>()), 1..12)) {
        let mut picture = BTreeMap::new();
        let mut seen = Catalog::nothing(None);
        for (list, looks) in moments {
            let now = built(&list);
            if !looks { continue; }
            apply(&mut picture, &CatalogChanges::between(&seen, &now));
            let truth: BTreeMap<_, _> = now.services.iter().map(|(name, tags)| (Arc::clone(name), (tags.clone(), false)))
                .chain(now.held.iter().map(|(name, tags)| (Arc::clone(name), (tags.clone(), true)))).collect();
            prop_assert_eq!(&picture, &truth);
            seen = now;
        }
    }
}
