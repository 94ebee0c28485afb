//! Runs all rules of the suite on one registry, for a registry that is slow to start. Use beside `suite.rs`.

use std::{future::Future, pin::Pin, sync::Arc};

use portolan::Registry;

use crate::suite::{self, Outcome};

type Running = Pin<Box<dyn Future<Output = Outcome> + Send>>;

macro_rules! in_turn {
    (($registry:ident) $($rule:ident),*) => {
        [$((
            stringify!($rule),
            caught(Box::pin({
                let registry = Arc::clone(&$registry);
                async move { suite::$rule(registry.as_ref()).await }
            }))
            .await,
        )),*]
    };
}

/// Runs all rules, one after the other, and names those that do not hold.
pub(crate) async fn run_all(registry: Arc<dyn Registry>) -> Outcome {
    let failed: Vec<String> = contract_rules! { in_turn registry }
        .into_iter()
        .filter_map(|(rule, outcome)| outcome.err().map(|failure| format!("  {rule}: {failure}")))
        .collect();
    if failed.is_empty() {
        return Ok(());
    }
    Err(format!("rules that do not hold on {}:\n{}", registry.describe(), failed.join("\n")).into())
}

/// Runs a rule so that an assertion in it fails this rule alone.
async fn caught(rule: Running) -> Outcome {
    let mut one = tokio::task::JoinSet::new();
    one.spawn(rule);
    match one.join_next().await {
        Some(Ok(outcome)) => outcome,
        Some(Err(panicked)) => {
            let text = panicked.into_panic().downcast_ref::<String>().cloned();
            Err(text.unwrap_or_else(|| "an assertion failed".to_owned()).into())
        }
        None => Err("the rule did not run".into()),
    }
}
