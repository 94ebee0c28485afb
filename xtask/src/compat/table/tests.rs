//! What is a failure, and what the table says.

use super::*;

const KNOWN: &[Known] = &[Known { client: "c", check: "kv", registry: "Consul 1.8", why: "it has none" }];

fn ran(registry: &str, said: &str, ended_well: Option<bool>) -> Ran {
    Ran::read(registry.to_owned(), said, ended_well)
}

fn row(consul: &str, consul_well: bool, portolan: &str, portolan_well: bool) -> Row {
    let ran =
        [ran("Consul 1.8.7", consul, Some(consul_well)), ran("Portolan", portolan, Some(portolan_well))];
    Row::judged_by("c", &ran, KNOWN)
}

#[test]
fn what_is_known_is_told_and_is_no_failure() {
    let row = row("version 1\nok a\nfailed kv -- 404\nnoise", false, "version 1\nok a\nok kv", true);
    assert!(failures(std::slice::from_ref(&row)).is_empty(), "{row:?}");
    let text = markdown(&[row]);
    assert!(
        text.starts_with("| client | version | Consul 1.8.7 | Portolan |\n| --- | --- | --- | --- |\n"),
        "{text}"
    );
    assert!(text.contains("| c | 1 | 1 of 2 | 2 of 2 |\n"), "{text}");
    assert!(text.contains("- Consul 1.8.7, c: kv: it has none\n"), "{text}");
}

#[test]
fn a_failure_on_the_other_registry_is_one() {
    let row = row("ok a\nfailed kv -- 404", false, "ok a\nfailed kv -- 405", false);
    assert_eq!(failures(std::slice::from_ref(&row)), ["FAILED c on Portolan: kv: 405"]);
    assert_eq!(count(&[row]), (2, 1));
}

#[test]
fn what_is_known_and_holds_is_a_failure() {
    let row = row("ok kv", true, "ok kv", true);
    let [failure] = failures(&[row]).try_into().unwrap();
    assert!(failure.contains("remove it there"), "{failure}");
}

#[test]
fn an_assertion_that_was_not_made_everywhere_is_a_failure() {
    let row = row("ok a\nfailed kv -- 404\nok b", false, "ok a\nok kv", true);
    assert_eq!(failures(&[row]), ["FAILED c on Portolan: b: was not asserted"]);
}

#[test]
fn a_program_whose_end_and_words_do_not_agree_is_broken() {
    for (said, ended_well, why) in [
        ("ok a", None, "limit"),
        ("ok a", Some(false), "no assertion failed"),
        ("failed a -- x", Some(true), "ended with 0"),
        ("", Some(true), "asserted nothing"),
    ] {
        let row = Row::judged_by("c", &[ran("Portolan", said, ended_well)], &[]);
        assert!(failures(&[row]).iter().any(|line| line.contains(why)), "{said:?} {ended_well:?}");
    }
}

#[test]
fn a_name_that_failed_once_has_failed() {
    let row = Row::judged_by("c", &[ran("Portolan", "failed a -- x\nok a", Some(false))], &[]);
    assert_eq!(failures(&[row]), ["FAILED c on Portolan: a: x"]);
}

#[test]
fn a_client_that_cannot_be_had_fails_on_both() {
    let row = Row::not_to_be_had("c", ["Consul 1.8.7".to_owned(), "Portolan".to_owned()], "no npm");
    assert_eq!(count(&[row]), (0, 2));
}
