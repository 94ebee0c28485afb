//! Each kind of field with each question, whether it is there, in a list, under a key, or not kept.

use std::collections::BTreeMap;

use super::*;
use crate::resolve::expr::Expression;

/// What stands at a path; what is not here is not kept.
enum Field {
    Text(&'static str),
    Int(i64),
    Bool(bool),
    Texts(&'static [&'static str]),
    Pairs(&'static [(&'static str, &'static str)]),
}

struct Thing(BTreeMap<&'static str, Field>);

impl Subject for Thing {
    fn any(&self, path: &[Box<str>], test: &dyn Fn(Value<'_>) -> bool) -> Option<bool> {
        let whole = path.join(".");
        if let Some((parent, key)) = path.split_last().map(|(key, parent)| (parent.join("."), key))
            && let Some(Field::Pairs(pairs)) = self.0.get(&*parent)
        {
            let get = |wanted: &str| pairs.iter().find(|(key, _)| *key == wanted).map(|(_, value)| *value);
            return Some(any_of_pairs(pairs.len(), &get, std::slice::from_ref(key), test));
        }
        Some(match self.0.get(&*whole)? {
            Field::Text(text) => test(Value::Text(text)),
            Field::Int(number) => test(Value::Int(*number)),
            Field::Bool(truth) => test(Value::Bool(*truth)),
            Field::Texts(all) => test(Value::Many(all.len(), &|wanted| all.contains(&wanted))),
            Field::Pairs(pairs) => {
                let get =
                    |wanted: &str| pairs.iter().find(|(key, _)| *key == wanted).map(|(_, value)| *value);
                any_of_pairs(pairs.len(), &get, &[], test)
            }
        })
    }
}

fn matcher(text: &str, shape: Shape) -> Result<Matcher, FilterError> {
    text.parse::<Expression>()?.over(shape)
}

fn fits(text: &str, shape: Shape, thing: &Thing) -> bool {
    matcher(text, shape).unwrap_or_else(|wrong| panic!("{text}: {wrong}")).fits(thing)
}

#[test]
fn each_kind_is_asked_what_it_can_be() {
    let thing = Thing(BTreeMap::from([
        ("Service", Field::Text("web-1")),
        ("Port", Field::Int(80)),
        ("EnableTagOverride", Field::Bool(true)),
        ("Tags", Field::Texts(&["blue"])),
        ("Meta", Field::Pairs(&[("team", "shop")])),
    ]));
    for (text, expected) in [
        ("Service == `web-1`", true),
        ("Service == web", false),
        ("Service != web", true),
        ("Service != `web-1`", false),
        ("web in Service", true),
        ("api in Service", false),
        ("api not in Service", true),
        ("web not in Service", false),
        ("Service matches `^web-\\d$`", true),
        ("Service matches `^web$`", false),
        ("Service not matches `^web$`", true),
        ("Service not matches `^web`", false),
        ("Port == 80", true),
        ("Port == 81", false),
        ("Port != 81", true),
        ("Port != 80", false),
        ("EnableTagOverride == true", true),
        ("EnableTagOverride == f", false),
        ("EnableTagOverride != true", false),
        ("blue in Tags", true),
        ("green in Tags", false),
        ("green not in Tags", true),
        ("Tags is empty", false),
        ("Tags is not empty", true),
        ("team in Meta", true),
        ("zone in Meta", false),
        ("Meta is empty", false),
        ("Meta.team == shop", true),
        ("Meta.team != shop", false),
        ("Meta.team matches `^s`", true),
        ("Meta.zone == \"\"", false),
        ("Meta.zone != a", true),
    ] {
        assert_eq!(fits(text, Shape::AgentServices, &thing), expected, "{text}");
    }
}

#[test]
fn what_is_not_kept_counts_as_empty() {
    let nothing = Thing(BTreeMap::new());
    for (text, shape, expected) in [
        ("Service == \"\"", Shape::AgentServices, true),
        ("Service != \"\"", Shape::AgentServices, false),
        ("Service matches `^$`", Shape::AgentServices, true),
        ("Port == 0", Shape::AgentServices, true),
        ("Port == 80", Shape::AgentServices, false),
        ("EnableTagOverride == false", Shape::AgentServices, true),
        ("EnableTagOverride == true", Shape::AgentServices, false),
        ("Tags is empty", Shape::AgentServices, true),
        ("blue in Tags", Shape::AgentServices, false),
        ("blue not in Tags", Shape::AgentServices, true),
        ("Meta.team != shop", Shape::AgentServices, true),
        ("Meta.team == \"\"", Shape::AgentServices, false),
        ("Meta.team matches x", Shape::AgentServices, true),
        // In a list that is empty nothing holds.
        ("Checks.Status == \"\"", Shape::Entries, false),
        ("Checks.Status != passing", Shape::Entries, false),
        ("Checks is empty", Shape::Entries, true),
        ("Checks.ServiceTags is empty", Shape::Entries, false),
        ("Proxy.Upstreams is empty", Shape::AgentServices, true),
        ("Proxy.Upstreams.DestinationName == \"\"", Shape::AgentServices, false),
    ] {
        assert_eq!(fits(text, shape, &nothing), expected, "{text}");
    }
}

/// A thing whose values are of other kinds than its shape has.
#[test]
fn a_value_of_another_kind_never_fits() {
    let odd = Thing(BTreeMap::from([("Port", Field::Text("80")), ("Service", Field::Int(1))]));
    for text in ["Port == 80", "Port != 80", "Service == `1`", "Service != `1`", "Service matches `.`"] {
        assert!(!fits(text, Shape::AgentServices, &odd), "{text}");
    }
}

#[test]
fn what_a_kind_cannot_be_asked_is_refused_with_what_it_can() {
    for (text, shape, ends) in [
        (
            "Tags == a",
            Shape::AgentServices,
            "allowed: in, not in, contains, not contains, is empty, is not empty",
        ),
        (
            "Service is empty",
            Shape::AgentServices,
            "allowed: ==, !=, in, not in, contains, not contains, matches, not matches",
        ),
        ("EnableTagOverride matches t", Shape::AgentServices, "allowed: ==, !="),
        ("a in Checks", Shape::Entries, "allowed: is empty, is not empty"),
        ("Service is empty", Shape::Entries, "Invalid match operator \"Is Empty\" for selector \"Service\""),
        ("Port matches `8`", Shape::AgentServices, "allowed: ==, !="),
    ] {
        let wrong = matcher(text, shape).unwrap_err().to_string();
        assert!(wrong.ends_with(ends), "{text}: {wrong}");
    }
}

#[test]
fn a_value_shows_what_it_is() {
    let shown = |value: Value<'_>| format!("{value:?}");
    assert_eq!(shown(Value::Text("a")), "Text(\"a\")");
    assert_eq!(shown(Value::Int(-1)), "Int(-1)");
    assert_eq!(shown(Value::Bool(true)), "Bool(true)");
    assert_eq!(shown(Value::Many(2, &|_| false)), "Many(2, ..)");
    assert_eq!(shown(Value::NoKey), "NoKey");
}
