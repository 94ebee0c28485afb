//! `/v1/snapshot`: all that the registry holds, to be taken away and brought back.
//!
//! In:  a call; a backup of this registry's own. Out: a backup as it is made; or all of it put in the place of what is there.
//!
//! Differs from Consul: the form is that of `portolan backup`. An archive in Consul's form with our rows in it would be taken
//! by a Consul, which then fails to read them when it has thrown away its own; so each refuses the other's at the first bytes.
//! Never: changes anything before all of a backup was found right.
//!
//! Rules from Consul 1.21: agent/snapshot_endpoint.go. Proof: the tests here; `portolan-cli`, `tests/backup.rs`.

use std::sync::Arc;

use http::StatusCode;

use super::{
    Later, bare,
    call::Call,
    own,
    reply::{Outcome, Refusal, freshness_of_keys},
};
use crate::core::Core;

/// How an archive of Consul's begins, which is compressed by gzip.
const GZIP: [u8; 2] = [0x1f, 0x8b];

pub(super) fn save(core: &Core, call: &Call) -> Outcome {
    call.read_options(core)?;
    let index = core.look(|state| state.last_index());
    let mut response = own::backup(core, call)?;
    freshness_of_keys(response.headers_mut(), index.max(1));
    Ok(response)
}

pub(super) fn restore(core: Arc<Core>, call: Call) -> Later {
    Box::pin(async move {
        call.check_datacenter(&core)?;
        own::may_see_and_replace_all(&core, &call)?;
        if call.body.starts_with(&GZIP) {
            let text = "this is a snapshot of Consul's, and nothing was changed: its rows are Consul's own. To copy what \
                        a Consul holds, start it and use `portolan import --from http://consul:8500`";
            return Err(Refusal::internal(format!("failed to read snapshot: {text}")));
        }
        own::taken_on(&core, &call).await.map_err(|refusal| {
            let text = format!("failed to read snapshot: {}", refusal.text());
            Refusal::internal(text)
        })?;
        Ok(bare(StatusCode::OK))
    })
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http::Request;
    use http_body_util::BodyExt as _;

    use super::super::Interface;
    use super::*;
    use crate::ServerConfig;

    async fn ask(interface: &Interface, method: &str, path: &str, body: Vec<u8>) -> (u16, Vec<u8>) {
        let request = Request::builder().method(method).uri(path).body(Body::from(body)).unwrap();
        let (parts, body) = interface.ask(request).await.into_parts();
        (parts.status.as_u16(), body.collect().await.unwrap().to_bytes().to_vec())
    }

    #[tokio::test]
    async fn what_was_saved_comes_back_and_what_is_not_ours_changes_nothing() {
        let registry = || Interface::new(&Arc::new(Core::new(ServerConfig::default().node("n1"))));
        let (one, other) = (registry(), registry());
        ask(&one, "PUT", "/v1/kv/a", b"1".to_vec()).await;
        let query = br#"{"Name":"q","Service":{"Service":"web"}}"#;
        assert_eq!(ask(&one, "POST", "/v1/query", query.to_vec()).await.0, 200);
        let (status, saved) = ask(&one, "GET", "/v1/snapshot", Vec::new()).await;
        assert_eq!(status, 200);

        ask(&other, "PUT", "/v1/kv/b", b"2".to_vec()).await;
        for (body, said) in [
            (vec![0x1f, 0x8b, 8, 0], "portolan import --from"),
            (b"junk".to_vec(), "no backup of portolan's"),
            (Vec::new(), "the backup is empty"),
            (saved[..saved.len() - 1].to_vec(), "failed to read snapshot: the backup"),
        ] {
            let (status, text) = ask(&other, "PUT", "/v1/snapshot", body).await;
            let text = String::from_utf8(text).unwrap();
            assert!(status == 500 && text.contains(said), "{status} {text}");
        }
        assert_eq!(ask(&other, "GET", "/v1/kv/b?raw", Vec::new()).await.0, 200);

        assert_eq!(ask(&other, "PUT", "/v1/snapshot", saved).await, (200, Vec::new()));
        assert_eq!(ask(&other, "GET", "/v1/kv/a?raw", Vec::new()).await, (200, b"1".to_vec()));
        assert_eq!(ask(&other, "GET", "/v1/kv/b?raw", Vec::new()).await.0, 404);
        assert_eq!(ask(&other, "GET", "/v1/query/q/execute", Vec::new()).await.0, 200);
    }
}
