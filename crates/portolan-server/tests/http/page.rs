//! The page over sockets: beside the interface, and before another registry.

use portolan::registry::consul::{Consul, ConsulConfig, PassedToken};
use portolan_server::{DefaultPolicy, Page, Secret, ServerConfig};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::timeout,
};

use crate::client::{PATIENCE, Registry, Reply, Try, parse, send, start_with};

const ROOT: &str = "11111111-1111-4111-8111-111111111111";

fn with_page() -> ServerConfig {
    ServerConfig::default().ui(true)
}

#[tokio::test]
async fn the_page_stands_beside_the_interface_and_is_there_only_when_it_is_asked_for() -> Try {
    let registry = start_with(with_page()).await?;
    let root = registry.get("/").await?;
    assert_eq!((root.status, root.header("location")), (301, "/ui/"));
    let page = registry.get("/ui/").await?;
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    assert!(
        page.header("content-security-policy").starts_with("default-src 'none'; script-src 'self';"),
        "{:?}",
        page.headers
    );
    let script = registry.get("/ui/main.js").await?;
    assert_eq!((script.status, script.header("x-content-type-options")), (200, "nosniff"));
    assert_eq!(registry.get("/v1/status/leader").await?.status, 200);
    let unknown = registry.get("/v1/nothing").await?;
    assert!(unknown.status == 404 && unknown.body.starts_with("Invalid URL path"), "{}", unknown.body);

    let without = start_with(ServerConfig::default()).await?;
    for path in ["/", "/ui/", "/ui/main.js"] {
        let reply = without.get(path).await?;
        assert!(reply.status == 404 && reply.body.starts_with("Invalid URL path"), "{path}: {}", reply.body);
    }
    Ok(())
}

#[tokio::test]
async fn what_a_browser_has_already_is_not_sent_again() -> Try {
    let registry = start_with(with_page()).await?;
    let tag = registry.get("/ui/page.css").await?.header("etag").to_owned();
    let reply =
        ask(&registry, &format!("GET /ui/page.css HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: {tag}\r\n"))
            .await?;
    assert_eq!((reply.status, reply.body.as_str(), reply.header("etag")), (304, "", tag.as_str()));
    Ok(())
}

/// A page before a registry, until the tasks are dropped.
async fn before(registry: &Registry, token: PassedToken) -> Try<(std::net::SocketAddr, JoinSet<()>)> {
    let config = ConsulConfig::default().address(format!("http://{}", registry.addr))?.token(ROOT)?;
    let page = Page::bind(([127, 0, 0, 1], 0).into(), Consul::new(config), token).await?;
    let addr = page.addr();
    let mut tasks = JoinSet::new();
    tasks.spawn(page.run(std::future::pending()));
    Ok((addr, tasks))
}

async fn ask(registry: &Registry, head: &str) -> Try<Reply> {
    ask_at(registry.addr, head).await
}

async fn ask_at(addr: std::net::SocketAddr, head: &str) -> Try<Reply> {
    let mut stream = TcpStream::connect(addr).await?;
    stream.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes()).await?;
    let mut answer = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut answer)).await??;
    parse(&answer)
}

#[tokio::test]
async fn before_another_registry_its_interface_is_passed_on_and_nothing_else() -> Try {
    let registry = start_with(ServerConfig::default()).await?;
    registry.write("/v1/agent/service/register", r#"{"Name":"web"}"#).await?;
    let (addr, _tasks) = before(&registry, PassedToken::Theirs).await?;
    let page = send(addr, "GET", "/ui/", "").await?;
    assert!(page.status == 200 && page.body.starts_with("<!doctype html>"));
    assert_eq!(send(addr, "GET", "/", "").await?.header("location"), "/ui/");

    let services = send(addr, "GET", "/v1/catalog/services?pretty", "").await?;
    let direct = registry.get("/v1/catalog/services?pretty").await?;
    assert_eq!((services.status, &services.body, services.index()), (200, &direct.body, direct.index()));
    assert_eq!(services.header("x-content-type-options"), "nosniff");

    let written = send(addr, "PUT", "/v1/agent/service/deregister/web", "").await?;
    assert_eq!(written.status, 200);
    assert_eq!(registry.get("/v1/agent/services").await?.body, "{}");
    for (method, path, status) in [
        ("GET", "/v1/kv/nothing", 404),
        ("PUT", "/v1/agent/service/deregister/web", 404),
        ("DELETE", "/v1/kv/a", 405),
        ("GET", "/other", 404),
    ] {
        assert_eq!(send(addr, method, path, "").await?.status, status, "{method} {path}");
    }
    Ok(())
}

#[tokio::test]
async fn foreign_pages_and_rebound_names_are_refused() -> Try {
    let registry = start_with(ServerConfig::default()).await?;
    let (addr, _tasks) = before(&registry, PassedToken::OrOurs).await?;
    for (head, status) in [
        ("GET /v1/status/leader HTTP/1.1\r\nHost: localhost\r\n".to_owned(), 200),
        ("GET /v1/status/leader HTTP/1.1\r\nHost: evil.example\r\n".to_owned(), 403),
        ("GET /ui/ HTTP/1.1\r\nHost: evil.example\r\n".to_owned(), 403),
        (
            format!(
                "PUT /v1/agent/maintenance?enable=true HTTP/1.1\r\nHost: {addr}\r\nOrigin: http://evil.example\r\n"
            ),
            403,
        ),
        (
            format!(
                "PUT /v1/agent/maintenance?enable=true HTTP/1.1\r\nHost: {addr}\r\nOrigin: http://{addr}\r\n"
            ),
            200,
        ),
    ] {
        assert_eq!(ask_at(addr, &head).await?.status, status, "{head}");
    }
    Ok(())
}

#[tokio::test]
async fn the_commands_own_token_is_handed_out_only_when_it_was_told_to() -> Try {
    let config = ServerConfig::default()
        .acl_enabled(true)
        .acl_default_policy(DefaultPolicy::Deny)
        .acl_initial_management(Some(Secret::new(ROOT)));
    let registry = start_with(config).await?;
    for (token, status) in [(PassedToken::Theirs, 403), (PassedToken::OrOurs, 200)] {
        let (addr, _tasks) = before(&registry, token).await?;
        assert_eq!(send(addr, "GET", "/v1/agent/self", "").await?.status, status, "{token:?}");
        let head = |token: &str| {
            format!("GET /v1/agent/self HTTP/1.1\r\nHost: localhost\r\nX-Consul-Token: {token}\r\n")
        };
        assert_eq!(ask_at(addr, &head(ROOT)).await?.status, 200, "{token:?}, theirs");
        assert_eq!(ask_at(addr, &head("wrong")).await?.status, 403, "{token:?}, theirs, which is wrong");
    }
    Ok(())
}

#[tokio::test]
async fn a_registry_that_is_away_is_said_to_be() -> Try {
    let registry = start_with(ServerConfig::default()).await?;
    let (addr, _tasks) = before(&registry, PassedToken::Theirs).await?;
    let at = registry.addr.to_string();
    registry.stop().await?;
    let reply = send(addr, "GET", "/v1/status/leader", "").await?;
    assert!(
        reply.status == 502 && reply.body.contains(&at) && reply.body.contains("cannot connect"),
        "{}",
        reply.body
    );
    assert_eq!(send(addr, "GET", "/ui/", "").await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn only_this_machine_can_be_listened_for() {
    let consul = Consul::new(ConsulConfig::default());
    let error = Page::bind(([0, 0, 0, 0], 0).into(), consul, PassedToken::Theirs).await.unwrap_err();
    assert!(error.to_string().starts_with("addr: others than this machine could reach 0.0.0.0:0"), "{error}");
}
