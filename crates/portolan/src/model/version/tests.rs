//! Where a version is read from, and that no text is guessed at.

use proptest::prelude::*;

use super::*;
use crate::model::Identity;

fn instance(meta: &[(&str, &str)], tags: &[&str]) -> Instance {
    Instance::new(Identity::default(), "web", "10.0.0.1", 80)
        .with_meta(meta.iter().copied())
        .with_tags(tags.iter().copied())
}

fn shown(reading: &Reading) -> String {
    match reading {
        Reading::None => "none".to_owned(),
        Reading::Known(version) => version.to_string(),
        Reading::Unreadable(unreadable) => unreadable.to_string(),
    }
}

#[test]
fn the_first_place_that_can_be_read_tells_the_version() {
    for (meta, tags, expected) in [
        (&[("version", "2.1.0")][..], &["v1.0.0"][..], "2.1.0"),
        (&[], &["blue", "version=1.2.3", "v1.2.4"], "1.2.4"),
        (&[("version", "latest")], &["v1.2.3"], "1.2.3"),
        (&[("version", "latest")], &["very-old", "version=x"], "\"latest\" in meta:version"),
        (&[], &["v2ray"], "\"2ray\" in tag:v"),
        (&[], &["v2ray", "v1.0.0"], "1.0.0"),
        (&[], &["version="], "none"),
        (&[("version", "")], &["very-old"], "none"),
    ] {
        assert_eq!(shown(&instance(meta, tags).reading()), expected, "{meta:?} {tags:?}");
    }
}

#[test]
fn the_places_and_their_order_can_be_set() {
    let sources: VersionSources =
        ["tag:release-", "meta:app_version"].iter().map(|text| text.parse().unwrap()).collect();
    sources.check().unwrap();
    for (meta, tags, expected) in [
        (&[("app_version", "1.0.0"), ("version", "9.0.0")][..], &["release-2.0.0", "v8.0.0"][..], "2.0.0"),
        (&[("app_version", "1.0.0")], &["release-notes"], "1.0.0"),
        (&[("version", "9.0.0")], &["v8.0.0"], "none"),
    ] {
        let one = instance(meta, tags).with_version_from(&sources);
        assert_eq!(shown(&one.reading()), expected, "{meta:?} {tags:?}");
    }
}

#[test]
fn instances_are_read_again_where_the_places_are_others_and_stay_the_same_ones_where_nothing_differs() {
    let one = Arc::new(instance(&[("version", "1.0.0"), ("app", "2.0")], &[]));
    let mut all = [Arc::clone(&one)];
    VersionSources::default().read_again(&mut all);
    assert!(Arc::ptr_eq(&all[0], &one));
    let same: VersionSources = [VersionSource::Meta("version".into())].into_iter().collect();
    same.read_again(&mut all);
    assert!(Arc::ptr_eq(&all[0], &one));
    let other: VersionSources = [VersionSource::Meta("app".into())].into_iter().collect();
    other.read_again(&mut all);
    assert_eq!((shown(&all[0].reading()), shown(&one.reading())), ("2.0.0".to_owned(), "1.0.0".to_owned()));
}

#[test]
fn places_that_say_nothing_are_refused() {
    for text in ["", "version", "meta:", "tag:", "pair:", "node:x"] {
        let error = text.parse::<VersionSource>().unwrap_err();
        assert!(error.to_string().starts_with(&format!("version source: {text:?} is none")), "{error}");
    }
    let check = |sources: Vec<VersionSource>| {
        sources.into_iter().collect::<VersionSources>().check().unwrap_err().to_string()
    };
    assert!(check(Vec::new()).starts_with("versions: 0 places are not from 1 to 8"));
    assert!(check(vec![VersionSource::TagPrefix("v".into()); 9]).starts_with("versions: 9 places"));
    assert!(check(vec![VersionSource::Meta("".into())]).starts_with("versions: meta: has no key"));
    for source in VersionSources::default().iter() {
        assert_eq!(source.to_string().parse::<VersionSource>().unwrap(), *source);
    }
}

proptest! {
    #[test]
    fn any_meta_and_any_tags_read_as_something(meta in "\\PC{0,24}|v?[0-9.]{0,12}", tags in proptest::collection::vec("v?[0-9.a-z=+-]{0,12}|version=\\PC{0,8}", 0..4)) {
        let tags: Vec<&str> = tags.iter().map(|tag| &**tag).collect();
        let one = instance(&[("version", &meta)], &tags);
        match one.reading() {
            Reading::Known(version) => prop_assert_eq!(Some(version), one.version),
            Reading::Unreadable(what) => {
                prop_assert!(one.version.is_none() && lenient_version(&what.text).is_none());
            }
            Reading::None => prop_assert!(meta.is_empty()),
        }
    }
}
