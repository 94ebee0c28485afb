//! Who waits is woken by what it waits for, by both registries.

use tokio::{task::yield_now, time::timeout};

use crate::site::{PATIENCE, Reply, Site, Try};

/// What is waited for, what is written, and what is shown then.
const WAKES: &[(&str, &str, &str, &str, u16, &str)] = &[
    ("/v1/kv/a", "PUT", "/v1/kv/a", "2", 200, "Mg=="),
    ("/v1/kv/a", "DELETE", "/v1/kv/a", "", 404, ""),
    ("/v1/kv/new", "PUT", "/v1/kv/new", "3", 200, "Mw=="),
    ("/v1/kv/dir?recurse", "PUT", "/v1/kv/dir/x", "4", 200, "dir/x"),
    ("/v1/kv/dir/?keys", "DELETE", "/v1/kv/dir/x", "", 200, "dir/y"),
    ("/v1/kv/dir?recurse", "DELETE", "/v1/kv/dir/?recurse", "", 404, ""),
    ("/v1/kv/?recurse", "PUT", "/v1/txn", r#"[{"KV":{"Verb":"set","Key":"t","Value":"NQ=="}}]"#, 200, "NQ=="),
    ("/v1/session/list", "PUT", "/v1/session/create", r#"{"Name":"one"}"#, 200, "one"),
    ("/v1/session/node/test-node", "PUT", "/v1/session/create", r#"{"Name":"two"}"#, 200, "two"),
    ("/v1/event/list?name=deploy", "PUT", "/v1/event/fire/deploy", "bye", 200, "Ynll"),
];

async fn after(site: &Site, path: &str, index: &str) -> Try<Reply> {
    let sign = if path.contains('?') { '&' } else { '?' };
    site.ask("GET", &format!("{path}{sign}index={index}&wait=20s"), "").await
}

async fn woken(site: &Site) -> Try {
    for (path, body) in [("/v1/kv/a", "1"), ("/v1/kv/dir/y", "1"), ("/v1/event/fire/deploy", "hi")] {
        site.write(path, body).await?;
    }
    for (watched, method, path, body, status, shows) in WAKES {
        let index = loop {
            let now = site.ask("GET", watched, "").await?;
            // An event takes its way through Consul's gossip.
            if !watched.contains("event") || now.body.contains("aGk=") {
                break now.index().to_owned();
            }
            yield_now().await;
        };
        let change = async {
            // So that the other one waits already; it must be woken in any case.
            yield_now().await;
            site.ask(method, path, (*body).to_owned()).await
        };
        let (seen, changed) =
            timeout(PATIENCE, async { tokio::join!(after(site, watched, &index), change) }).await?;
        assert_eq!(changed?.status, 200, "{method} {path}");
        let seen = seen?;
        let mut seen = if seen.index() == index { after(site, watched, &index).await? } else { seen };
        // Consul wakes more than it must: those are asked again.
        while !seen.body.contains(shows) || seen.status != *status {
            assert_ne!(seen.index(), index, "{} {watched}: {seen:?}", site.address);
            let newer = seen.index().to_owned();
            seen = timeout(PATIENCE, after(site, watched, &newer)).await??;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_change_wakes_who_waits_for_it() -> Try {
    let ours = Site::embedded().await?;
    woken(&ours).await?;
    ours.stop().await
}

#[tokio::test]
async fn a_change_wakes_who_waits_for_it_in_a_consul_too() -> Try {
    woken(&Site::real().await?).await
}
