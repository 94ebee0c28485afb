//! Faults shown and changed over HTTP, where that was asked for.

use portolan_server::ServerConfig;

use crate::client::{Try, start, start_with};

const AT: &str = "/v1/portolan/faults";

#[tokio::test]
async fn faults_are_shown_set_and_cleared_where_that_was_asked_for() -> Try {
    let registry = start_with(ServerConfig::default().faults_endpoint(true)).await?;
    assert_eq!(registry.get(AT).await?.body, "seed 0\n# 0 requests were hit so far\n");
    let plan = "seed 7\n* * 503 1  # all of it\n";
    assert_eq!(registry.put(AT, plan).await?.body, "seed 7\n* * 503 1\n# 0 requests were hit so far\n");
    assert_eq!(registry.get("/v1/status/leader").await?.status, 503);
    // It is never hit itself, and what it shows can be put back.
    let shown = registry.get(AT).await?;
    assert_eq!((shown.status, shown.header("content-type")), (200, "text/plain; charset=utf-8"));
    assert_eq!(shown.body, "seed 7\n* * 503 1\n# 1 requests were hit so far\n");
    assert_eq!(registry.put(AT, &shown.body).await?.status, 200);

    let wrong = registry.put(AT, "GET /a rest 1\n* * 500 1\nseed x\n").await?;
    assert_eq!(wrong.status, 400);
    for says in ["faults, line 1: fault \"GET /a rest 1\"", "; faults, line 3: seed: \"x\""] {
        assert!(wrong.body.contains(says), "{}", wrong.body);
    }
    assert_eq!(registry.get("/v1/status/leader").await?.status, 503, "a wrong plan changes nothing");
    assert_eq!(registry.send("DELETE", AT, "").await?.status, 200);
    assert_eq!(registry.get("/v1/status/leader").await?.status, 200);
    let other = registry.send("POST", AT, "").await?;
    assert_eq!((other.status, other.header("allow")), (405, "OPTIONS,GET,PUT,DELETE"));
    Ok(())
}

#[tokio::test]
async fn without_that_nobody_can_plant_a_fault() -> Try {
    let registry = start().await?;
    for (method, body) in [("GET", ""), ("PUT", "* * 503 1\n"), ("DELETE", "")] {
        let reply = registry.send(method, AT, body).await?;
        assert_eq!(reply.status, 403, "{method}");
        assert!(reply.body.contains("start the registry with --faults-endpoint"), "{}", reply.body);
    }
    assert_eq!(registry.get("/v1/status/leader").await?.status, 200);
    Ok(())
}
