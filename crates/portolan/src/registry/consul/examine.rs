//! What only an examiner asks: answers of any endpoint as they came, with what their headers say, and the agent's log.
//!
//! In:  the path of an endpoint that changes nothing. Out: one exchange, or the lines of the log as they come.
//!
//! Never: is needed to register or to find anything; reads what it passes on.
//!
//! Rules from Consul: agent/agent_endpoint.go `AgentMonitor`. Proof: `portolan-cli`, `tests/doctor.rs`, on a real Consul
//! and on the embedded registry.

use std::time::Duration;

use bytes::Bytes;

use super::{
    Consul,
    call::{Call, Wants},
    target::Target,
};
use crate::{
    error::Error,
    registry::{AnswerMeta, Block, Consistency},
};

/// The longest line of a log that is kept; what is longer is no line that anybody wrote.
const LINE: usize = 16 * 1024;

/// A complete answer, as it came.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Document {
    /// What its headers say.
    pub meta: AnswerMeta,
    /// The time on the registry's clock, as it wrote it into the header `Date`.
    pub date: Option<String>,
    /// JSON, which nobody has read yet.
    pub body: Bytes,
}

impl Consul {
    /// The answer of an endpoint to a plain read, as JSON that nobody has read yet. Asked of the first address alone.
    ///
    /// # Errors
    /// The kind of the refusal; [`Kind::Malformed`](crate::Kind::Malformed) where the answer does not call itself JSON.
    ///
    /// # Cancel safety
    /// Nothing is changed.
    pub async fn document(
        &self,
        path: &'static str,
        consistency: Consistency,
        block: Option<Block>,
    ) -> Result<Document, Error> {
        let target = Target::new(path).consistency(consistency);
        let received = self.transport.exchange(Call::get("examine", target, block)).await?;
        let date = received.date.as_ref().and_then(|date| Some(date.to_str().ok()?.to_owned()));
        Ok(Document { meta: received.meta, date, body: received.body })
    }

    /// Gives each line of the agent's log from now on, until `within` has passed or the agent ends it.
    ///
    /// # Errors
    /// The kind of the refusal: denied without `agent:read`, not found where the registry has no log to give.
    ///
    /// # Cancel safety
    /// Nothing is changed; dropping it ends the reading.
    pub async fn agent_log(&self, within: Duration, mut each: impl FnMut(&str)) -> Result<(), Error> {
        let target = Target::new("/v1/agent/monitor").pair("loglevel", "debug");
        let call = Call { wants: Wants::Nothing, ..Call::get("examine", target, None) };
        let mut rest = Vec::new();
        let lines = self.transport.follow(call, |part| {
            rest.extend_from_slice(part);
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                each(String::from_utf8_lossy(rest.get(..end).unwrap_or_default()).trim_end());
                rest.drain(..=end);
            }
            if rest.len() > LINE {
                rest.clear();
            }
        });
        match tokio::time::timeout(within, lines).await {
            Ok(ended) => ended,
            Err(_time_is_up) => Ok(()),
        }
    }
}
