//! Needs as text: every form, every mistake, and that what is written is read.

use proptest::prelude::*;

use super::*;

/// Any need, of names with any characters that a name may have.
pub(in crate::model) fn any_need() -> impl Strategy<Value = Need> {
    let name = || prop_oneof!["[a-z][a-z0-9-]{0,8}", "[^/\\p{Cc}]{1,12}", "[@:?!;,%<>=^~* \\\\\"é]{1,4}"];
    let name = move || name().prop_filter("a service's name", |name| ServiceName::new(name).is_ok());
    let requirement = prop_oneof![
        Just("^14"),
        Just(">=1.4, <2"),
        Just("=1.2.3-rc.1"),
        Just("*"),
        Just("~2.1"),
        Just("1.*"),
        Just("latest")
    ];
    let datacenter = proptest::option::of(name());
    let version = proptest::option::of(requirement);
    (name(), datacenter, version, 0_u16.., any::<bool>(), any::<bool>()).prop_map(
        |(service, datacenter, version, least, optional, at_start)| {
            let mut need = Need::new(ServiceName::new(service).unwrap()).at_least(least);
            need = need.in_datacenter(&datacenter.unwrap_or_default());
            if let Some(version) = version {
                need = need.version(version.parse().unwrap());
            }
            need = if optional { need.optional() } else { need };
            if at_start { need.at_start() } else { need }
        },
    )
}

#[test]
fn a_need_is_read_in_each_of_its_forms() {
    let db = || Need::new(ServiceName::new("db").unwrap());
    let v14 = || "^14".parse().unwrap();
    for (text, need, shown) in [
        ("db", db(), "db"),
        (" db ", db(), "db"),
        ("db@^14", db().version(v14()), "db@^14"),
        ("db?", db().optional(), "db?"),
        ("db:3", db().at_least(3), "db:3"),
        ("db:1", db(), "db"),
        ("db!", db().at_start(), "db!"),
        ("db!?:2", db().at_start().optional().at_least(2), "db:2?!"),
        (
            "dc2/db@^14:2?!",
            db().in_datacenter("dc2").version(v14()).at_least(2).optional().at_start(),
            "dc2/db@^14:2?!",
        ),
    ] {
        let read: Need = text.parse().unwrap();
        assert_eq!((&read, &*read.to_string()), (&need, shown), "{text:?}");
    }
    assert_eq!(
        (db().importance(), db().optional().importance()),
        (Importance::Required, Importance::Optional)
    );
    let odd: Need = "a%20b%40c".parse().unwrap();
    assert_eq!(odd.service().as_str(), "a b@c");
}

#[test]
fn a_list_is_parted_at_semicolons_or_else_at_commas_outside_of_requirements() {
    for (text, parts) in [
        ("", &[][..]),
        (" ; ", &[""]),
        ("db", &["db"]),
        ("db@^14,cache?", &["db@^14", "cache?"]),
        ("db@>=1.4, <2 , cache", &["db@>=1.4, <2", "cache"]),
        ("db@>=1.4, <2; cache;", &["db@>=1.4, <2", "cache"]),
        ("db,,cache", &["db", "", "cache"]),
        ("db@1.*, *;", &["db@1.*, *"]),
    ] {
        assert_eq!(pieces(text).iter().map(|piece| piece.text).collect::<Vec<_>>(), parts, "{text:?}");
    }
    for (text, shown) in [
        ("db@>=1.4, <2", "db@>=1.4, <2;"),
        ("db@^14", "db@^14"),
        ("db@>=1.4, <2; cache", "db@>=1.4, <2; cache"),
    ] {
        assert_eq!(text.parse::<Needs>().unwrap().to_string(), shown);
    }
}

#[test]
fn a_mistake_is_told_with_its_place_its_text_and_its_character() {
    for (text, begins) in [
        ("cache, db@^^14", "needs[1]: \"db@^^14\": at character 5: that is no requirement of a version"),
        ("db,", "needs[1]: \"\": at character 1: it is empty"),
        (
            "a b",
            "needs[0]: \"a b\": at character 2: ' ' cannot stand in a name; where it is meant, write %20",
        ),
        ("/db", "needs[0]: \"/db\": at character 1: no datacentre stands before"),
        ("dc/a/b", "needs[0]: \"dc/a/b\": at character 5: '/' cannot stand in a name"),
        ("dc/", "needs[0]: \"dc/\": at character 4: that is no service's name"),
        ("db:0", "needs[0]: \"db:0\": at character 4: no number of instances from 1 to 65535"),
        ("db:70000", "needs[0]: \"db:70000\": at character 4: no number"),
        ("db??", "needs[0]: \"db??\": at character 4: no mark stands here"),
        ("db:2:2", "needs[0]: \"db:2:2\": at character 5: no mark stands here"),
        ("é%2", "needs[0]: \"é%2\": at character 2: \"%\" is not followed"),
        ("%ff", "needs[0]: \"%ff\": at character 1: the bytes after"),
        ("%2f", "needs[0]: \"%2f\": at character 1: that is no service's name"),
        ("db@", "needs[0]: \"db@\": at character 4: that is no requirement"),
    ] {
        let error = text.parse::<Needs>().unwrap_err();
        assert!(error.to_string().starts_with(begins), "{text:?}: {error}");
        assert_eq!(error.kind(), crate::Kind::Config);
    }
    // What was wrong with the requirement, or with the name, is the error's cause.
    for text in ["db@^^14", "%2f"] {
        let error = text.parse::<Need>().unwrap_err();
        assert!(std::error::Error::source(&error).is_some(), "{error:?}");
    }
}

proptest! {
    #[test]
    fn any_need_survives_being_written_and_read(need in any_need()) {
        prop_assert_eq!(&need.to_string().parse::<Need>().unwrap(), &need, "{}", need);
    }

    #[test]
    fn any_list_survives_being_written_and_read(needs in proptest::collection::vec(any_need(), 0..6)) {
        let needs: Needs = needs.into_iter().collect();
        prop_assert_eq!(&needs.to_string().parse::<Needs>().unwrap(), &needs, "{}", needs);
    }

    #[test]
    fn no_text_panics(text in ".{0,40}") {
        let _read = text.parse::<Needs>();
    }
}
