//! Generated expressions: the same rows fit, the same expressions are wrong.

use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

use crate::{
    generate::{ENDPOINTS, expression},
    world::{Told, Try, World},
};

/// So many are compared unless `PORTOLAN_FILTERS` names another number. Issue 9 asks for 10,000: `cargo xtask filters`.
const COUNT: usize = 500;

#[expect(
    clippy::disallowed_methods,
    reason = "the command that runs this says how many, and from which seed"
)]
fn named(variable: &str, otherwise: usize) -> Try<usize> {
    match std::env::var(variable) {
        Ok(text) => text.parse().map_err(|_cause| format!("{variable}: {text:?} is not a number").into()),
        Err(_) => Ok(otherwise),
    }
}

#[tokio::test]
async fn generated_expressions_are_judged_as_a_real_consul_judges_them() -> Try {
    let (count, seed) = (named("PORTOLAN_FILTERS", COUNT)?, named("PORTOLAN_FILTERS_SEED", 1)?);
    let world = World::start().await?;
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&u64::try_from(seed)?.to_le_bytes());
    let mut runner =
        TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let endpoints: Vec<_> = ENDPOINTS.iter().filter(|endpoint| endpoint.since <= world.minor).collect();
    let (mut some, mut wrong, mut differ) = (0, 0, Vec::new());
    for at in 0..count {
        let endpoint = endpoints[at % endpoints.len()];
        let text = expression(endpoint).new_tree(&mut runner).map_err(|reason| reason.to_string())?.current();
        let (ours, theirs) =
            (world.ours(endpoint.path, &text).await?, world.theirs(endpoint.path, &text).await?);
        match &theirs {
            Told::Rows(rows) => some += usize::from(!rows.is_empty()),
            _ => wrong += 1,
        }
        if ours != theirs {
            differ.push(format!("{} {text:?}\n  ours   {ours:?}\n  theirs {theirs:?}", endpoint.path));
        }
    }
    let verdict = format!("{count} expressions from seed {seed}: {some} with rows, {wrong} wrong");
    assert!(differ.is_empty(), "{verdict}; {} differ:\n{}", differ.len(), differ.join("\n"));
    // Else nothing was compared.
    assert!(some > count / 5 && wrong > count / 10, "{verdict}");
    Ok(())
}
