//! Register, block, change, wake: each change that a waiter of a real Consul is woken by wakes one here.

use std::net::SocketAddr;

use crate::{
    ask::{PATIENCE, Reply, Try, ask},
    compare::differences,
    table::{Both, settled},
    version,
};

const REGISTER: &str = "/v1/agent/service/register";
const CATALOG: &str = "/v1/catalog/register";
const OUT: &str = "/v1/catalog/deregister";
const WEB: &str = r#"{"Name":"web","ID":"w1","Port":80,"Check":{"TTL":"30m"}}"#;
const WEB_MOVED: &str = r#"{"Name":"web","ID":"w1","Port":81,"Check":{"TTL":"30m"}}"#;
const PROXY: &str = r#"{"Name":"wp","Kind":"connect-proxy","Port":90,"Proxy":{"DestinationServiceName":"web"},"Check":{"TTL":"30m"}}"#;
const FAR: &str = r#"{"Node":"far","Address":"10.0.0.7","Service":{"ID":"d9","Service":"db"}}"#;
const FAR_META: &str = r#"{"Node":"far","Address":"10.0.0.7","NodeMeta":{"zone":"b"}}"#;

/// Who waits for what, and the change that wakes it. Each row finds what those before it left.
const WAKES: &[(&str, &str, &str)] = &[
    ("/v1/health/service/web?", REGISTER, WEB),
    ("/v1/catalog/services?", REGISTER, r#"{"Name":"other"}"#),
    ("/v1/catalog/service/WEB?", REGISTER, WEB_MOVED),
    ("/v1/health/service/web?passing&", "/v1/agent/check/pass/service:w1", ""),
    ("/v1/health/checks/web?", "/v1/agent/check/warn/service:w1", ""),
    ("/v1/health/state/critical?", "/v1/agent/check/fail/service:w1", ""),
    ("/v1/health/node/n1?", "/v1/agent/check/pass/service:w1", ""),
    ("/v1/health/service/web?", "/v1/agent/service/maintenance/w1?enable=true", ""),
    ("/v1/health/service/web?", "/v1/agent/service/maintenance/w1?enable=false", ""),
    ("/v1/health/service/web?", "/v1/agent/maintenance?enable=true", ""),
    ("/v1/health/service/web?", "/v1/agent/maintenance?enable=false", ""),
    ("/v1/health/connect/web?", REGISTER, PROXY),
    ("/v1/health/connect/web?", "/v1/agent/check/pass/service:wp", ""),
    ("/v1/catalog/connect/web?", "/v1/agent/service/deregister/wp", ""),
    ("/v1/catalog/nodes?", CATALOG, FAR),
    (
        "/v1/catalog/node/FAR?",
        CATALOG,
        r#"{"Node":"far","Address":"10.0.0.7","Service":{"ID":"x9","Service":"x"}}"#,
    ),
    ("/v1/health/service/db?node-meta=zone:b&", CATALOG, FAR_META),
    ("/v1/catalog/service/x?", OUT, r#"{"Node":"far","ServiceID":"x9"}"#),
    ("/v1/health/service/db?stale&", OUT, r#"{"Node":"far"}"#),
    ("/v1/health/service/web?cached&", "/v1/agent/service/deregister/w1", ""),
    ("/v1/catalog/services?", "/v1/agent/service/deregister/other", ""),
];

fn index(reply: &Reply) -> Try<u64> {
    Ok(reply.headers.get("x-consul-index").ok_or("no index")?.parse()?)
}

/// Waits for a change, and makes it; the answers before and after.
async fn woken(addr: SocketAddr, watch: &str, change: &str, body: &str) -> Try<(Reply, Reply)> {
    let before = ask(addr, "GET", watch.trim_end_matches(['?', '&']), "").await?;
    // Twice the patience: a wait that ends by itself is a failure.
    let path = format!("{watch}index={}&wait={}s", index(&before)?, PATIENCE.as_secs() * 2);
    let changed = async {
        let reply = ask(addr, "PUT", change, body).await?;
        if reply.status == 200 {
            Ok(())
        } else {
            Err(format!("{change}: {} {}", reply.status, reply.body).into())
        }
    };
    let waits = ask(addr, "GET", &path, "");
    let (after, ()) = tokio::try_join!(waits, changed)?;
    Ok((before, after))
}

#[tokio::test]
async fn what_wakes_a_waiter_of_a_real_consul_wakes_one_here() -> Try {
    let is_coarse = version::minor()? < 21;
    let both = Both::start().await?;
    for (watch, change, body) in WAKES {
        for addr in [both.consul.addr, both.ours] {
            let (before, after) = woken(addr, watch, change, body)
                .await
                .map_err(|why| format!("{watch} waits for {change} {body} at {addr}: {why}"))?;
            assert!(index(&after)? > index(&before)?, "{watch} {change} {body} at {addr}");
        }
        // A waiter may be woken amid a change; what stands at the end is the same.
        tokio::time::timeout(PATIENCE, settled(both.consul.addr)).await??;
        let path = watch.trim_end_matches(['?', '&']);
        let ours = ask(both.ours, "GET", path, "").await?;
        let theirs = ask(both.consul.addr, "GET", path, "").await?;
        let mut left = differences(path, &ours, &theirs);
        // `-dev` indents, 1.8 has other headers, an agent a cache that is filled.
        left.retain(|one| {
            one.place.starts_with("body /") && !is_coarse && !one.place.contains("/Services/consul/")
        });
        assert!(left.is_empty(), "{watch} after {change} {body}: {left:?}");
    }
    both.stop().await
}
