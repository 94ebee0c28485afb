//! What is asked of both registries: each endpoint, for things that are there and things that are not.

use crate::site::{ROOT, Site, Try};

/// A request; `again` puts right what it changed where it was allowed.
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) body: &'static str,
    pub(crate) again: Option<(&'static str, &'static str)>,
}

const fn get(path: &'static str) -> Request {
    Request { method: "GET", path, body: "", again: None }
}

const fn put(path: &'static str, body: &'static str) -> Request {
    Request { method: "PUT", path, body, again: None }
}

const fn undone(path: &'static str, body: &'static str, again: (&'static str, &'static str)) -> Request {
    Request { method: "PUT", path, body, again: Some(again) }
}

const fn delete(path: &'static str) -> Request {
    Request { method: "DELETE", path, body: "", again: None }
}

const REGISTER: &str = "/v1/agent/service/register";
const CHECK: &str = "/v1/agent/check/register";
const CATALOG: &str = "/v1/catalog/register";
const OUT: &str = "/v1/catalog/deregister";

const WEB: &str = r#"{"ID":"w1","Name":"web","Port":80}"#;
const DB: &str = r#"{"ID":"d1","Name":"db","Port":5432}"#;
const T1: &str = r#"{"ID":"t1","Name":"web-tmp"}"#;
const WEB_CHECK: &str = r#"{"ID":"c1","Name":"c1","TTL":"30m","ServiceID":"w1","Status":"passing"}"#;
const NODE_CHECK: &str = r#"{"ID":"nc","Name":"nc","TTL":"30m","Status":"passing"}"#;
const SPARE_CHECK: &str = r#"{"ID":"tc","Name":"tc","TTL":"30m","Status":"passing"}"#;
const SPARE_OF_WEB: &str = r#"{"ID":"ts","Name":"ts","TTL":"30m","ServiceID":"w1","Status":"passing"}"#;
const FAR: &str = r#"{"Node":"far","Address":"10.0.0.9","Service":{"ID":"w9","Service":"web","Port":1}}"#;
const FAR_DB: &str = r#"{"Node":"far","Address":"10.0.0.9","Service":{"ID":"d9","Service":"db"}}"#;
const FAR_SPARE: &str = r#"{"Node":"far","Address":"10.0.0.9","Service":{"ID":"tf","Service":"web"}}"#;
const FAR_CHECK: &str =
    r#"{"Node":"far","Address":"10.0.0.9","Check":{"CheckID":"nf","Name":"nf","Status":"passing"}}"#;
const FAR_OF_WEB: &str = r#"{"Node":"far","Address":"10.0.0.9","Check":{"CheckID":"cf","Name":"cf","ServiceID":"w9","Status":"passing"}}"#;

/// What all of them are about.
const FILLED: [(&str, &str); 15] = [
    (REGISTER, WEB),
    (REGISTER, DB),
    (REGISTER, T1),
    (CHECK, WEB_CHECK),
    (CHECK, NODE_CHECK),
    (CHECK, SPARE_CHECK),
    (CHECK, SPARE_OF_WEB),
    (CATALOG, FAR),
    (CATALOG, FAR_DB),
    (CATALOG, FAR_SPARE),
    (CATALOG, FAR_CHECK),
    (CATALOG, FAR_OF_WEB),
    ("/v1/kv/web", "1"),
    ("/v1/kv/db", "1"),
    ("/v1/session/create", "{}"),
];

pub(crate) async fn fill(site: &Site) -> Try {
    for (path, body) in FILLED {
        site.write(path, body).await?;
    }
    Ok(())
}

/// Waits until the agent's own things are in the catalogue again.
pub(crate) async fn settled(site: &Site) -> Try {
    let read = |path: &'static str| site.ask("GET", path, "", Some(ROOT));
    loop {
        let (services, checks) = (read("/v1/catalog/node/n1").await?, read("/v1/health/node/n1").await?);
        let there = |body: &str, words: &[&str]| words.iter().all(|word| body.contains(&format!("{word:?}")));
        if there(&services.body, &["w1", "d1", "t1", "db"]) && there(&checks.body, &["c1", "nc", "tc", "ts"])
        {
            return Ok(());
        }
        tokio::task::yield_now().await;
    }
}

/// Words that tell what an answer shows.
pub(crate) const WORDS: [&str; 12] =
    ["web", "db", "n1", "far", "w1", "w9", "d1", "d9", "c1", "nc", "cf", "nf"];

pub(crate) const REQUESTS: &[Request] = &[
    get("/v1/agent/self"),
    get("/v1/agent/members"),
    get("/v1/agent/services"),
    get("/v1/agent/service/w1"),
    get("/v1/agent/service/none"),
    get("/v1/agent/checks"),
    get("/v1/agent/health/service/id/w1"),
    get("/v1/agent/health/service/id/none"),
    get("/v1/agent/health/service/name/web"),
    get("/v1/agent/health/service/name/none"),
    get("/v1/catalog/datacenters"),
    get("/v1/catalog/nodes"),
    get("/v1/catalog/services"),
    get("/v1/catalog/service/web"),
    get("/v1/catalog/service/db"),
    get("/v1/catalog/service/none"),
    get("/v1/catalog/node/n1"),
    get("/v1/catalog/node/far"),
    get("/v1/catalog/node/none"),
    get("/v1/catalog/node-services/far"),
    get("/v1/catalog/node-services/none"),
    get("/v1/health/service/web"),
    get("/v1/health/service/web?passing"),
    get("/v1/health/service/none"),
    get("/v1/health/node/n1"),
    get("/v1/health/node/far"),
    get("/v1/health/checks/web"),
    get("/v1/health/state/any"),
    get("/v1/status/leader"),
    get("/v1/status/peers"),
    get("/v1/acl/tokens"),
    get("/v1/acl/token/00000000-0000-0000-0000-000000000002"),
    get("/v1/acl/token/44444444-4444-4444-8444-444444444444"),
    get("/v1/acl/token/self"),
    get("/v1/acl/policies"),
    get("/v1/acl/policy/00000000-0000-0000-0000-000000000001"),
    get("/v1/acl/policy/name/global-management"),
    get("/v1/acl/policy/name/none"),
    put("/v1/acl/bootstrap", ""),
    put("/v1/acl/policy", r#"{"Name":""}"#),
    put("/v1/acl/policy", r#"{"Name":"bad","Rules":"acl = \"all\""}"#),
    put("/v1/acl/policy/44444444-4444-4444-8444-444444444444", r#"{"Name":"a"}"#),
    put("/v1/acl/token", r#"{"AccessorID":"bad"}"#),
    put("/v1/acl/token/44444444-4444-4444-8444-444444444444", "{}"),
    Request {
        method: "DELETE",
        path: "/v1/acl/token/44444444-4444-4444-8444-444444444444",
        body: "",
        again: None,
    },
    Request {
        method: "DELETE",
        path: "/v1/acl/policy/00000000-0000-0000-0000-000000000001",
        body: "",
        again: None,
    },
    get("/v1/kv/web"),
    get("/v1/kv/web?raw"),
    get("/v1/kv/none"),
    get("/v1/kv/?recurse"),
    get("/v1/kv/?keys"),
    get("/v1/kv/w?keys"),
    put("/v1/kv/web", "1"),
    put("/v1/kv/none?cas=7", "1"),
    put("/v1/kv/web?acquire=none", "1"),
    delete("/v1/kv/none"),
    delete("/v1/kv/none?recurse"),
    delete("/v1/kv/we/b?recurse"),
    put("/v1/txn", r#"[{"KV":{"Verb":"get","Key":"web"}},{"KV":{"Verb":"get-tree","Key":"d"}}]"#),
    put("/v1/txn", r#"[{"KV":{"Verb":"check-index","Key":"web","Index":1}}]"#),
    put("/v1/txn", r#"[{"KV":{"Verb":"check-not-exists","Key":"none"}}]"#),
    put("/v1/txn", r#"[{"KV":{"Verb":"set","Key":"web","Value":"MQ=="}},{"KV":{"Verb":"get","Key":"db"}}]"#),
    put("/v1/txn", r#"[{"KV":{"Verb":"delete-tree","Key":"none"}}]"#),
    get("/v1/session/list"),
    get("/v1/session/node/n1"),
    get("/v1/session/info/44444444-4444-4444-8444-444444444444"),
    put("/v1/session/create", r#"{"NodeChecks":[]}"#),
    put("/v1/session/renew/44444444-4444-4444-8444-444444444444", ""),
    put("/v1/session/destroy/44444444-4444-4444-8444-444444444444", ""),
    put("/v1/event/fire/web", ""),
    put("/v1/agent/check/pass/c1", ""),
    put("/v1/agent/check/pass/nc", ""),
    put("/v1/agent/check/pass/none", ""),
    put("/v1/agent/check/warn/tc", ""),
    put("/v1/agent/check/fail/ts", ""),
    put("/v1/agent/check/update/nc", r#"{"Status":"passing"}"#),
    put("/v1/agent/service/maintenance/w1?enable=false", ""),
    put("/v1/agent/service/maintenance/none?enable=false", ""),
    put("/v1/agent/maintenance?enable=false", ""),
    put(REGISTER, WEB),
    put(REGISTER, DB),
    put(CHECK, WEB_CHECK),
    put(CHECK, NODE_CHECK),
    put(CHECK, r#"{"ID":"c9","Name":"c9","TTL":"30m","ServiceID":"none"}"#),
    put(CATALOG, FAR),
    put(CATALOG, FAR_DB),
    put(CATALOG, FAR_CHECK),
    put(CATALOG, FAR_OF_WEB),
    put(OUT, r#"{"Node":"far","ServiceID":"none"}"#),
    put(OUT, r#"{"Node":"far","CheckID":"none"}"#),
    put(OUT, r#"{"Node":"none"}"#),
    put("/v1/agent/service/deregister/none", ""),
    put("/v1/agent/check/deregister/none", ""),
    undone(
        CATALOG,
        r#"{"Node":"far2","Address":"10.0.0.8","Service":{"ID":"w8","Service":"web"}}"#,
        (OUT, r#"{"Node":"far2"}"#),
    ),
    undone(CATALOG, r#"{"Node":"far","Address":"10.0.0.7"}"#, (CATALOG, FAR)),
    undone(
        CATALOG,
        r#"{"Node":"far","Address":"10.0.0.9","Service":{"ID":"d9","Service":"web"}}"#,
        (CATALOG, FAR_DB),
    ),
    undone(OUT, r#"{"Node":"far","ServiceID":"tf"}"#, (CATALOG, FAR_SPARE)),
    undone(OUT, r#"{"Node":"far","CheckID":"nf"}"#, (CATALOG, FAR_CHECK)),
    undone(OUT, r#"{"Node":"far","CheckID":"cf"}"#, (CATALOG, FAR_OF_WEB)),
    undone(REGISTER, r#"{"ID":"d1","Name":"web"}"#, (REGISTER, DB)),
    undone("/v1/agent/check/deregister/tc", "", (CHECK, SPARE_CHECK)),
    undone("/v1/agent/check/deregister/ts", "", (CHECK, SPARE_OF_WEB)),
    undone("/v1/agent/service/deregister/t1", "", (REGISTER, T1)),
];
