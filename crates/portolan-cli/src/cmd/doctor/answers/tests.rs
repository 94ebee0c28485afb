//! A test a finding: what causes it, and what looks like it and is none.

use portolan::registry::AnswerMeta;

use super::{
    super::{
        sockets::Load,
        tests::{seen, told},
    },
    *,
};

fn with(change: impl FnOnce(&mut AnswerMeta)) -> Seen {
    let mut meta = AnswerMeta::new(7);
    change(&mut meta);
    let mut all = seen([]);
    all.answers = vec![("/v1/catalog/nodes".to_owned(), meta)];
    all
}

#[test]
fn a_server_without_a_leader_is_told_and_one_that_does_not_say_is_not() {
    for (known, count) in [(Some(false), 1), (Some(true), 0), (None, 0)] {
        let all = with(|meta| meta.known_leader = known);
        assert_eq!(findings(&all).len(), count, "{known:?}");
    }
    assert_eq!(findings(&with(|meta| meta.known_leader = Some(false)))[0].code, Code::NoLeader);
}

#[test]
fn an_answer_that_is_filtered_is_told_and_one_that_cannot_tell_is_noted() {
    let all = with(|meta| meta.filtered_by_acls = Some(true));
    assert_eq!(told(&findings(&all)), [("hidden-by-acl", "1 answers leave out what the token may not see")]);
    assert_eq!((findings(&all)[0].places.len(), unread(&all)), (1, None));
    let old = with(|meta| meta.maybe_acl = true);
    assert_eq!(findings(&old), []);
    assert!(unread(&old).unwrap().why.contains("before 1.11"));
}

#[test]
fn a_server_that_heard_from_the_leader_long_ago_is_told() {
    let old = with(|meta| meta.last_contact = Some(Duration::from_millis(1_001)));
    assert_eq!(
        told(&findings(&old)),
        [("stale-reads", "the answering server last heard from the leader 1.001s ago")]
    );
    assert_eq!(findings(&with(|meta| meta.last_contact = Some(Duration::from_secs(1)))), []);
}

#[test]
fn an_index_that_goes_back_is_told_once_for_each_question() {
    let mut all = seen([]);
    all.indexes = [("a", 5), ("b", 9), ("a", 5), ("b", 8), ("b", 7), ("a", 6)]
        .map(|(question, index)| (question.to_owned(), index))
        .to_vec();
    let found = findings(&all);
    assert_eq!(told(&found), [("index-went-back", "an index went back between two reads")]);
    assert_eq!(found[0].places, ["b: 9, then 8"]);
}

#[test]
fn clocks_are_apart_only_beyond_what_a_header_cannot_say() {
    let millis = Duration::from_millis;
    let clock =
        |theirs: u64| Clock { before: millis(100_400), after: millis(100_500), theirs: millis(theirs) };
    for (theirs, told) in [
        (100_000, None),
        (102_000, None),
        (103_000, Some("2s ahead of")),
        (98_000, None),
        (97_000, Some("2s behind")),
        (0, Some("1m39s behind")),
    ] {
        let mut all = seen([]);
        all.clocks = vec![clock(theirs)];
        let what = findings(&all).first().map(|finding| finding.what.clone());
        let expected = told.map(|told| format!("the registry's clock is {told} this machine's"));
        assert_eq!(what, expected, "{theirs}");
        all.clocks.push(clock(100_000));
        assert_eq!(findings(&all), [], "one answer had the right time: {theirs}");
    }
}

#[test]
fn four_fifths_of_the_connections_are_near_the_limit() {
    for (connections, limit, near) in
        [(160, Some(200), true), (159, Some(200), false), (160, None, false), (8, Some(10), true)]
    {
        let mut all = seen([]);
        all.agent.connections = limit;
        all.load =
            Some(Load { from: "127.0.0.1".parse().unwrap(), to: "127.0.0.1:8500".to_owned(), connections });
        assert_eq!(findings(&all).len(), usize::from(near), "{connections} {limit:?}");
    }
}
