//! A test a finding.

use portolan::Status;

use super::{
    super::{
        finding::sort,
        tests::{instance, seen, told},
    },
    *,
};

const GOOD: &[Status] = &[Status::Passing];

#[test]
fn needs_are_judged_as_the_graph_judges_them() {
    let web =
        instance("web", "n1", "web-1", GOOD).with_meta([("portolan-needs", "db@^14; cache?; x@@1; dc2/far")]);
    let db = instance("db", "n1", "db-1", GOOD).with_meta([("version", "13.0.0")]);
    let mut found = findings(&seen([web.clone(), db]));
    sort(&mut found);
    let names: Vec<&str> = told(&found).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["unmet-need", "unreadable-need", "unmet-optional"], "{found:#?}");
    assert_eq!(told(&found)[0].1, "web needs db@^14: 1 known, 1 healthy, 0 match ^14");
    assert_eq!(told(&found)[2].1, "web needs cache?: no instance is registered");
    assert_eq!(found[1].places, ["n1/web-1"]);
    let fresh = instance("db", "n1", "db-1", GOOD).with_meta([("version", "14.2.0")]);
    assert!(findings(&seen([web, fresh])).iter().all(|finding| finding.code != Code::UnmetNeed));
}

#[test]
fn a_version_that_cannot_be_read_is_told_with_what_stands_there() {
    let odd = instance("web", "n1", "web-1", GOOD).with_meta([("version", "latest")]);
    let good = instance("web", "n2", "web-2", GOOD).with_meta([("version", "1.2.3")]);
    let found = findings(&seen([odd, good, instance("web", "n3", "web-3", GOOD)]));
    assert_eq!(told(&found), [("unreadable-version", "web: 1 of 3 with a version that cannot be read")]);
    assert!(found[0].places[0].starts_with("n1/web-1: \"latest\" in "), "{found:?}");
}
