//! `/v1/snapshot`: all that the registry holds, to be taken away and brought back.
//!
//! In:  a call; an archive of this registry's own, or a backup as `portolan backup` writes it. Out: an archive that Consul's
//! command saves and inspects, and that no Consul takes on; or all of it put in the place of what is there.
//!
//! Never: changes anything before all of a backup was found right; holds up other calls while it packs.
//!
//! Rules from Consul 1.21: agent/snapshot_endpoint.go. Proof: the tests here; `cargo xtask compat`, client `consul`.

use std::sync::Arc;

use axum::body::Body;
use http::StatusCode;
use tokio::task::spawn_blocking;

use super::{
    Later, bare,
    call::Call,
    own,
    reply::{Refusal, freshness_of_keys},
};
use crate::{
    backup::{Writing, wrapped},
    core::Core,
};

/// # Cancel safety
/// Nothing is changed; what is packed meanwhile is thrown away.
pub(super) fn save(core: Arc<Core>, call: Call) -> Later {
    Box::pin(async move {
        call.read_options(&core)?;
        own::may_see_and_replace_all(&core, &call)?;
        let backup = core.look(Writing::of);
        let index = backup.index();
        let failed = |why: String| Refusal::internal(format!("failed to write snapshot: {why}"));
        let packed = spawn_blocking(move || wrapped(backup)).await.map_err(|why| failed(why.to_string()))?;
        let packed = packed.map_err(|trouble| failed(trouble.to_string()))?;
        let mut response = own::bytes(Body::from(packed));
        freshness_of_keys(response.headers_mut(), index.max(1));
        Ok(response)
    })
}

pub(super) fn restore(core: Arc<Core>, call: Call) -> Later {
    Box::pin(async move {
        call.check_datacenter(&core)?;
        own::may_see_and_replace_all(&core, &call)?;
        own::taken_on(&core, &call).await.map_err(|refusal| {
            let text = format!("failed to read snapshot: {}", refusal.text());
            Refusal::internal(text)
        })?;
        Ok(bare(StatusCode::OK))
    })
}

#[cfg(test)]
mod tests {
    use http::Request;
    use http_body_util::BodyExt as _;

    use super::super::Interface;
    use super::*;
    use crate::ServerConfig;

    async fn ask(interface: &Interface, method: &str, path: &str, body: Vec<u8>) -> (u16, Vec<u8>) {
        let request = Request::builder().method(method).uri(path).body(Body::from(body)).unwrap();
        let Ok(response) = interface.ask(request).await;
        let (parts, body) = response.into_parts();
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
            (vec![0x1f, 0x8b, 8, 0], "the archive is no snapshot, or damaged"),
            (b"junk".to_vec(), "no backup of portolan's"),
            (Vec::new(), "the backup is empty"),
            (saved[..saved.len() - 1].to_vec(), "failed to read snapshot: the archive"),
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
