//! What `cargo test` wrote, and what must be read out of it.

use super::*;

fn package(name: &str, targets: &[(&str, &str, &str)]) -> Package {
    let targets = targets.iter().map(|(name, kind, path)| Target {
        name: (*name).to_owned(),
        kind: vec![(*kind).to_owned()],
        src_path: path.into(),
    });
    Package { name: name.to_owned(), features: BTreeMap::new(), targets: targets.collect() }
}

fn packages() -> Vec<Package> {
    vec![
        package("the-cli", &[("chart", "bin", "/c/the-cli/src/main.rs")]),
        package(
            "chart",
            &[("chart", "lib", "/c/chart/src/lib.rs"), ("con_tract", "test", "/c/chart/tests/con_tract.rs")],
        ),
        package("chart-server", &[("chart_server", "lib", "/c/chart-server/src/lib.rs")]),
    ]
}

const SAID: &str = "\
   Compiling chart v0.1.0 (/c/chart)
     Running unittests src/lib.rs (target/debug/deps/chart-0a1b2c3d)

running 3 tests
test model::tests::a_name ... ok
test model::tests::later ... ignored, needs a network
test roll::tests::a_weight ... FAILED

failures:
---- roll::tests::a_weight stdout ----
thread 'x' panicked: test result: nothing ... ok
failures:
    roll::tests::a_weight

test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.02s

     Running tests/con_tract.rs (/elsewhere/deps/con_tract-ffff)
test on_consul ... ok
test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.02s
     Running unittests src/main.rs (target/debug/deps/chart-99)
test cmd::tests::exits ... ok
test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.02s
   Doc-tests chart_server
test chart-server/src/lib.rs - (line 3) ... ok
test chart-server/src/state.rs - state::State::apply (line 3) - compile ... ok
test chart-server/src/state.rs - state::State::apply (line 30) ... FAILED
test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.02s
";

#[test]
fn each_test_is_named_by_where_it_lives() {
    let tests = read(SAID, &packages()).tests;
    let expected = [
        ("chart-server::doc", Ended::Passed),
        ("chart-server::doc::state::State::apply", Ended::Failed),
        ("chart::model::tests::a_name", Ended::Passed),
        ("chart::model::tests::later", Ended::Ignored),
        ("chart::roll::tests::a_weight", Ended::Failed),
        ("con_tract::on_consul", Ended::Passed),
        ("the-cli::cmd::tests::exits", Ended::Passed),
    ];
    let found: Vec<(&str, Ended)> = tests.iter().map(|(name, ended)| (name.as_str(), *ended)).collect();
    assert_eq!(found, expected);
}

#[test]
fn the_counts_are_those_of_the_summaries() {
    assert_eq!(read(SAID, &packages()).count, Count { passed: 5, failed: 2 });
}

#[test]
fn odd_output_is_no_test() {
    for odd in
        ["", "test", "test x", "test x ... maybe", "test result:", "Running", "Running x (", "Doc-tests"]
    {
        assert_eq!(read(odd, &packages()), Results::default(), "{odd:?}");
    }
}
