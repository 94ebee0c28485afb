//! What the checker of claims must find, and what it must let pass.

use super::*;

const README: &str =
    "| Feature | how |\n| --- | --- |\n| **Warm** start | disk |\n| [Picks](x.md) | p2c |\n\n| x | y |\n";

fn tests_that_ran() -> BTreeMap<String, Ended> {
    let ran = [("a::good", Ended::Passed), ("a::bad", Ended::Failed), ("a::idle", Ended::Ignored)];
    ran.into_iter().map(|(name, ended)| (name.to_owned(), ended)).collect()
}

/// All claims there must be, each planned, then changed by `change`.
fn judged(change: impl Fn(&mut Vec<Claim>)) -> Vec<String> {
    let laws = (1..=LAWS).map(|number| format!("law-{number}"));
    let complaints = (1..=COMPLAINTS).map(|number| format!("complaint-{number}"));
    let ids = laws.chain(complaints).chain(features(README));
    let claim =
        |id| Claim { id, says: "so".to_owned(), tests: Vec::new(), planned: Some("issue 4".to_owned()) };
    let mut claims = ids.map(claim).collect();
    change(&mut claims);
    judge(&claims, README, &tests_that_ran())
}

#[test]
fn a_row_of_the_readme_gives_its_id() {
    assert_eq!(features(README), ["feature-warm-start", "feature-picks"]);
    assert!(features("| x | Feature |\n| --- | --- |\n| a | b |\n").is_empty());
}

#[test]
fn complete_claims_pass() {
    assert_eq!(judged(|_| {}), Vec::<String>::new());
    assert_eq!(judged(|claims| claims[0].tests.push("a::good".to_owned())), Vec::<String>::new());
}

#[test]
fn a_claim_without_its_proof_is_found() {
    type Change = fn(&mut Vec<Claim>);
    let cases: [(&str, Change); 10] = [
        ("law-1 has no claim", |claims| drop(claims.remove(0))),
        ("feature-picks has no claim", |claims| drop(claims.pop())),
        ("neither tests nor", |claims| claims[0].planned = None),
        ("write it as \"issue 6\"", |claims| claims[0].planned = Some("soon".to_owned())),
        ("law-1: test a::bad failed", |claims| claims[0].tests.push("a::bad".to_owned())),
        ("law-1: test a::idle was ignored", |claims| claims[0].tests.push("a::idle".to_owned())),
        ("law-1: test a::gone did not run", |claims| claims[0].tests.push("a::gone".to_owned())),
        ("does not say what", |claims| claims[0].says.clear()),
        ("complaint-1 is there twice", |claims| claims[0].id = "complaint-1".to_owned()),
        ("law-9 is no law", |claims| claims[0].id = "law-9".to_owned()),
    ];
    for (expected, change) in cases {
        let wrong = judged(change);
        assert!(wrong.iter().any(|line| line.contains(expected)), "{expected}: {wrong:?}");
    }
}

#[test]
fn a_readme_without_the_table_is_found() {
    let wrong = judge(&[], "# Portolan\n", &BTreeMap::new());
    assert!(wrong.iter().any(|line| line.contains("no table")), "{wrong:?}");
}
