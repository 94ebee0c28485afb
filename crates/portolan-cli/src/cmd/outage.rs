//! What a person who follows something is told of the registry: once that it went away, and once that it is back.

use std::time::Duration;

use portolan::Failure;

use crate::config::Shell;

/// How often to look.
pub(crate) const LOOK: Duration = Duration::from_millis(500);

/// Remembers what the person was told.
#[derive(Debug, Default)]
pub(crate) struct Outage {
    told: bool,
}

impl Outage {
    /// Tells what changed, given the failure that reads meet at present.
    pub(crate) fn look(&mut self, failure: Option<&Failure>, shell: &Shell) {
        match failure {
            Some(failure) if !self.told => {
                self.told = true;
                let text = &failure.text;
                shell.hint(&format!("the registry does not answer, what was known stands: {text}"));
            }
            None if self.told => {
                self.told = false;
                shell.hint("the registry answers again");
            }
            _ => {}
        }
    }
}
