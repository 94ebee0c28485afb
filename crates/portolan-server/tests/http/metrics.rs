//! What the registry counts of itself, as Prometheus scrapes it.

use std::time::Duration;

use portolan_server::{DefaultPolicy, ServerConfig, telemetry::METRICS};

use crate::client::{Try, start, start_with};

/// The value of the one line that begins so.
fn value(text: &str, begin: &str) -> Result<u64, String> {
    let rest = text.lines().find_map(|line| line.strip_prefix(begin));
    let rest = rest.ok_or_else(|| format!("{begin} is not in\n{text}"))?;
    rest.trim().parse().map_err(|cause| format!("{begin}{rest}: {cause}"))
}

#[tokio::test]
async fn what_was_asked_and_what_is_there_is_told() -> Try {
    let registry = start().await?;
    let web = r#"{"ID":"w1","Name":"web","Check":{"CheckID":"c1","TTL":"1m","Status":"passing"}}"#;
    registry.send("PUT", "/v1/agent/service/register", web).await?;
    for _ in 0..3 {
        registry.send("GET", "/v1/health/service/web", "").await?;
    }
    // It asks to wait, so it counts as a request and not as a time.
    registry.send("GET", "/v1/health/service/web?index=1&wait=1ms", "").await?;
    registry.send("GET", "/v1/no/such", "").await?;
    let reply = registry.send("GET", "/metrics", "").await?;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    let text = reply.body;
    for metric in METRICS {
        assert!(text.contains(&format!("# TYPE {} {}\n", metric.name, metric.kind.as_str())), "{metric:?}");
    }
    let read = r#"{http_request_method="GET",http_route="/v1/health/service/""#;
    let requests = format!("portolan_server_requests_total{read},http_response_status_code=\"200\"}}");
    assert_eq!(value(&text, &requests)?, 4);
    assert_eq!(value(&text, &format!("portolan_server_request_seconds_count{read}}}"))?, 3);
    let other = r#"{http_request_method="",http_route="other",http_response_status_code="404"}"#;
    assert_eq!(value(&text, &format!("portolan_server_requests_total{other}"))?, 1);
    // And `consul`, which is the registry itself.
    assert_eq!(value(&text, r#"portolan_server_instances{status="passing"}"#)?, 2);
    assert!(value(&text, "portolan_server_connections ")? >= 1);
    registry.stop().await?;
    Ok(())
}

#[tokio::test]
async fn with_rules_it_needs_the_right_to_read_the_agent() -> Try {
    let root = "11111111-1111-4111-8111-111111111111";
    let config = ServerConfig::default()
        .acl_enabled(true)
        .acl_default_policy(DefaultPolicy::Deny)
        .acl_initial_management(Some(portolan_server::Secret::new(root)))
        .grace(Duration::from_secs(1));
    let registry = start_with(config).await?;
    assert_eq!(registry.send("GET", "/metrics", "").await?.status, 403);
    let with = format!("/metrics?token={root}");
    assert_eq!(registry.send("GET", &with, "").await?.status, 200);
    registry.stop().await?;
    Ok(())
}
