//! What one request to a registry is, before it is sent. PURE: types.
//!
//! In:  a target, and what is to be done there. Out: a [`Call`] that knows its connections, and whether another address
//! may answer it.
//!
//! Never: lets a question to the agent itself, or a write, go to any address but the first.

use http::Method;

use super::target::Target;
use crate::registry::Block;

/// Which connections a call uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// Reads that wait.
    Watch,
    /// Everything else.
    Call,
    /// TTL reports: a late one turns an instance critical.
    Report,
}

/// What a good answer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wants {
    /// JSON.
    Json,
    /// Nothing that matters.
    Nothing,
}

/// One request.
#[derive(Debug)]
pub(super) struct Call {
    /// The word for metrics.
    pub(super) operation: &'static str,
    pub(super) lane: Lane,
    pub(super) method: Method,
    pub(super) target: Target,
    pub(super) body: Option<Vec<u8>>,
    pub(super) block: Option<Block>,
    pub(super) wants: Wants,
    /// Of a read that any agent can answer; the others are for the first address alone.
    pub(super) read: Option<Read>,
}

/// What a read asks for.
#[derive(Clone, Debug)]
pub(super) struct Read {
    /// The path and what it is about, without the index.
    pub(super) question: String,
    /// Whether it is about another datacentre than the agent's own.
    pub(super) far: bool,
}

impl Call {
    /// A read that any agent can answer.
    pub(super) fn read(operation: &'static str, target: Target, block: Option<Block>, far: bool) -> Self {
        let read = Some(Read { question: target.as_str().to_owned(), far });
        Self { read, ..Self::get(operation, target, block) }
    }

    /// A question to the first address.
    pub(super) fn get(operation: &'static str, target: Target, block: Option<Block>) -> Self {
        let lane = if block.is_some() { Lane::Watch } else { Lane::Call };
        Self {
            operation,
            lane,
            method: Method::GET,
            target: target.block(block),
            body: None,
            block,
            wants: Wants::Json,
            read: None,
        }
    }

    pub(super) fn put(operation: &'static str, target: Target, body: Option<Vec<u8>>) -> Self {
        Self {
            operation,
            lane: Lane::Call,
            method: Method::PUT,
            target,
            body,
            block: None,
            wants: Wants::Nothing,
            read: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_read_tells_its_question_without_the_index_and_a_call_to_the_first_address_none() {
        let target = || Target::new("/v1/health/service").segment("web");
        let block = Some(Block { index: 7, wait: Duration::from_secs(60) });
        for (block, lane) in [(None, Lane::Call), (block, Lane::Watch)] {
            let call = Call::read("health", target(), block, true);
            let read = call.read.unwrap();
            assert_eq!((read.question.as_str(), read.far), (target().as_str(), true));
            assert_eq!((call.method, call.lane, call.block), (Method::GET, lane, block));
            assert_eq!(call.target.as_str() == target().as_str(), block.is_none());
            assert!(Call::get("agent", target(), block).read.is_none());
        }
        let put = Call::put("register", target(), Some(vec![1]));
        assert!(put.read.is_none() && put.method == Method::PUT && put.body.is_some());
    }
}
