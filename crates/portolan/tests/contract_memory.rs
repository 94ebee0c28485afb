//! The contract suite on the in-process registry, a test for each rule.

#[macro_use]
#[path = "contract/suite.rs"]
mod suite;
#[path = "contract/services.rs"]
mod services;

use std::sync::Arc;

use portolan::{Registry, registry::memory::Memory};

async fn make() -> Result<(Arc<dyn Registry>, ()), suite::Failure> {
    Ok((Arc::new(Memory::new()), ()))
}

contract_tests!(make);

#[tokio::test(start_paused = true)]
async fn services_that_come_and_go_are_told_once() -> suite::Outcome {
    services::what_comes_and_goes_is_told_once(Arc::new(Memory::new())).await
}
