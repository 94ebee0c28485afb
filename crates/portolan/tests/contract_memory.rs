//! The contract suite on the in-process registry, a test for each rule.

#[macro_use]
#[path = "contract/suite.rs"]
mod suite;

use std::sync::Arc;

use portolan::{Registry, registry::memory::Memory};

async fn make() -> Result<(Arc<dyn Registry>, ()), suite::Failure> {
    Ok((Arc::new(Memory::new()), ()))
}

contract_tests!(make);
