//! `/v1/acl/…`: tokens and policies, and what both have in common.
//!
//! In:  calls. Out: commands, or rows.
//!
//! Only the hash of a secret is kept. So a token is told with its secret when it is made, and to the one who shows it;
//! everywhere else as `<hidden>`, which is what Consul tells those who may read tokens but not write them.
//!
//! Never: tells a secret that the caller did not show or is not being given.
//!
//! Rules from Consul 1.21: agent/acl_endpoint.go. Proof: `tests/acl/`.

use std::future::Future;

use axum::response::Response;
use ring::rand::{SecureRandom, SystemRandom};
use serde::Serialize;

use super::{
    call::Call,
    reply::{Outcome, Refusal, freshness, value},
};
use crate::{
    acl::{
        Access, Resource,
        secret::{base64, sum},
    },
    core::Core,
    state::Key,
};

pub(super) mod policy;
pub(super) mod token;

/// A random UUID that nobody can guess (version 4).
pub(super) fn random_uuid() -> Result<String, Refusal> {
    let mut bytes = [0; 16];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_unspecified| Refusal::internal("the system gives no random numbers"))?;
    let bits = u128::from_be_bytes(bytes);
    let bits = (bits & !(0xf << 76) & !(0b11 << 62)) | (0x4 << 76) | (0b10 << 62);
    let hex = format!("{bits:032x}");
    let parts = [hex.get(..8), hex.get(8..12), hex.get(12..16), hex.get(16..20), hex.get(20..)];
    Ok(parts.map(Option::unwrap_or_default).join("-"))
}

/// What changes with the content, as Consul has it beside each row. Opaque to clients.
fn content_hash(content: &impl Serialize) -> Result<String, serde_json::Error> {
    Ok(base64(&sum(&serde_json::to_vec(content)?)))
}

/// Answers a read, once there is something newer than what the caller knows. No `access`: it is for anyone.
fn read<T: Serialize>(
    core: &Core,
    call: &Call,
    key: Key,
    access: Option<Access>,
    look: impl FnOnce() -> Outcome<T> + Send,
) -> impl Future<Output = Outcome> + Send {
    let options = call.read_options(core);
    let pretty = call.layout();
    async move {
        let options = options?;
        let may = || match access {
            Some(access) => call.rights(core)?.require(Resource::Acl, "", access),
            None => {
                call.for_anyone();
                Ok(())
            }
        };
        may()?;
        if options.block.is_some() {
            core.wait(&key, options.block).await?;
            may()?;
        }
        let index = core.look(|state| state.index(&key));
        let mut response: Response = value(&look()?, pretty)?;
        freshness(response.headers_mut(), index, options.consistency);
        Ok(response)
    }
}

/// Refuses whoever may not change rules.
fn may_write(core: &Core, call: &Call) -> Outcome<()> {
    call.rights(core)?.require(Resource::Acl, "", Access::Write)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acl::secret::is_uuid;

    #[test]
    fn a_random_uuid_has_its_form_and_comes_once() {
        let (Ok(one), Ok(other)) = (random_uuid(), random_uuid()) else { panic!("no random numbers") };
        assert!(is_uuid(&one) && one != other, "{one} {other}");
        assert_eq!(one.chars().nth(14), Some('4'), "{one}");
        assert!(matches!(one.chars().nth(19), Some('8' | '9' | 'a' | 'b')), "{one}");
    }
}
