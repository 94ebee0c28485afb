//! Every endpoint asks for a right: with what each needs to be carried out, so that a new one without a row here fails.

use std::collections::BTreeSet;

use http_body_util::BodyExt;

use super::*;
use crate::{
    DefaultPolicy, Secret, ServerConfig,
    state::prepared::{
        QueryCommand,
        rows::{Failover, QuerySpec, Wanted},
    },
};

const ROOT: &str = "11111111-1111-4111-8111-111111111111";
const ACCESSOR: &str = "22222222-2222-4222-8222-222222222222";
const SECRET: &str = "33333333-3333-4333-8333-333333333333";

const QUERY: &str = "66666666-6666-4666-8666-666666666666";

/// What anyone may have, whatever the rules.
const FOR_ANYONE: [&str; 7] = [
    // Whoever names a session that is not there is told so: it has no node whose rules could count.
    "/v1/session/destroy/",
    "/v1/session/renew/",
    "/v1/catalog/datacenters",
    "/v1/status/leader",
    "/v1/status/peers",
    "/v1/acl/bootstrap",
    "/v1/coordinate/datacenters",
];

/// There is no mesh, and whoever asks is told so.
fn is_of_the_mesh(path: &str) -> bool {
    let of_it = [
        "/v1/connect/",
        "/v1/agent/connect/",
        "/v1/config",
        "/v1/discovery-chain/",
        "/v1/peering",
        "/v1/exported",
    ];
    of_it.iter().any(|begin| path.starts_with(begin))
}

/// What follows an endpoint's path, and its body, so that it succeeds where all is allowed.
fn sample(endpoint: &Endpoint) -> Option<(String, String)> {
    let (rest, body) = sample_of_the_rest(endpoint).or_else(|| sample_of_the_catalogue(endpoint))?;
    Some((rest.to_owned(), body.to_owned()))
}

/// The same of what is neither the agent's nor the catalogue's, nor keys and rules.
fn sample_of_the_rest(endpoint: &Endpoint) -> Option<(&'static str, &'static str)> {
    Some(match (endpoint.method, endpoint.path) {
        (Verb::Delete, "/v1/operator/raft/peer") => ("?id=none", ""),
        (_, "/v1/operator/raft/transfer-leader") => ("", ""),
        (_, "/v1/operator/autopilot/configuration" | "/v1/operator/keyring") => ("", "{}"),
        (Verb::Post, "/v1/query") => ("", r#"{"Name":"q","Service":{"Service":"web"}}"#),
        (Verb::Get, "/v1/query/") => ("found/execute", ""),
        (Verb::Put, "/v1/query/") => (QUERY, r#"{"Name":"q","Service":{"Service":"web"}}"#),
        (Verb::Delete, "/v1/query/") => (QUERY, ""),
        (Verb::Put, "/v1/coordinate/update") => {
            ("", r#"{"Node":"n1","Coord":{"Vec":[0,0,0,0,0,0,0,0],"Error":1.5}}"#)
        }
        (Verb::Get, "/v1/coordinate/node/") => ("n1", ""),
        (Verb::Put, "/v1/config") => ("", r#"{"Kind":"mesh"}"#),
        (Verb::Get, "/v1/config/") => ("mesh", ""),
        (Verb::Delete, "/v1/config/") => ("mesh/mesh", ""),
        (_, path) if is_of_the_mesh(path) && path.ends_with('/') => ("x", "{}"),
        (_, path) if is_of_the_mesh(path) => ("?source=a&destination=b&by=source&name=a", "{}"),
        _ => return None,
    })
}

fn sample_of_the_catalogue(endpoint: &Endpoint) -> Option<(&'static str, &'static str)> {
    let (rest, body) = match (endpoint.method, endpoint.path) {
        (Verb::Get, "/v1/agent/service/" | "/v1/agent/health/service/id/") => ("w1", ""),
        (Verb::Get, "/v1/agent/health/service/name/" | "/v1/catalog/service/" | "/v1/health/service/") => {
            ("web", "")
        }
        (
            Verb::Get,
            "/v1/health/checks/"
            | "/v1/health/connect/"
            | "/v1/health/ingress/"
            | "/v1/catalog/connect/"
            | "/v1/catalog/gateway-services/",
        ) => ("web", ""),
        (Verb::Put, "/v1/agent/reload" | "/v1/agent/leave") => ("", ""),
        (Verb::Put, "/v1/agent/join/" | "/v1/agent/force-leave/") => ("somebody", ""),
        (Verb::Get, "/v1/catalog/node/" | "/v1/catalog/node-services/" | "/v1/health/node/") => ("n1", ""),
        (Verb::Get, "/v1/health/state/") => ("any", ""),
        (Verb::Get, "/v1/kv/") => ("a", ""),
        (Verb::Get, "/v1/session/info/") => ("none", ""),
        (Verb::Get, "/v1/session/node/") => ("n1", ""),
        (Verb::Put, "/v1/kv/") => ("a", "1"),
        (Verb::Delete, "/v1/kv/") => ("?recurse", ""),
        (Verb::Put, "/v1/session/create") => ("", "{}"),
        (Verb::Put, "/v1/session/destroy/" | "/v1/session/renew/") => {
            ("55555555-5555-4555-8555-555555555555", "")
        }
        (Verb::Put, "/v1/txn") => ("", r#"[{"KV":{"Verb":"set","Key":"a","Value":"MQ=="}}]"#),
        (Verb::Put, "/v1/event/fire/") => ("deploy", ""),
        (Verb::Get, "/v1/acl/policy/name/") => ("global-management", ""),
        (Verb::Get, "/v1/acl/policy/") => ("00000000-0000-0000-0000-000000000001", ""),
        (Verb::Get, "/v1/acl/token/") => ("00000000-0000-0000-0000-000000000002", ""),
        (Verb::Get, path) if !path.ends_with('/') => ("", ""),
        (Verb::Put, "/v1/agent/service/register") => {
            ("", r#"{"ID":"w1","Name":"web","Check":{"CheckID":"c1","TTL":"1m"}}"#)
        }
        (Verb::Put, "/v1/agent/service/deregister/") => ("w1", ""),
        (Verb::Put, "/v1/agent/service/maintenance/") => ("w1?enable=false", ""),
        (Verb::Put, "/v1/agent/maintenance") => ("?enable=false", ""),
        (Verb::Put, "/v1/agent/check/register") => ("", r#"{"ID":"nc","Name":"nc","TTL":"1m"}"#),
        (Verb::Put, "/v1/agent/check/deregister/") => ("c1", ""),
        (Verb::Put, "/v1/agent/check/pass/" | "/v1/agent/check/warn/" | "/v1/agent/check/fail/") => {
            ("c1", "")
        }
        (Verb::Put, "/v1/agent/check/update/") => ("c1", r#"{"Status":"passing"}"#),
        (Verb::Put, "/v1/catalog/register") => ("", r#"{"Node":"far","Address":"10.0.0.9"}"#),
        (Verb::Put, "/v1/catalog/deregister") => ("", r#"{"Node":"far"}"#),
        (Verb::Put, "/v1/acl/bootstrap") => ("", ""),
        (Verb::Put, "/v1/acl/policy") => ("", r#"{"Name":"a","Rules":"acl = \"read\""}"#),
        (Verb::Put, "/v1/acl/policy/") => ("", r#"{"Name":"b"}"#),
        (Verb::Put, "/v1/acl/token") => ("", "{}"),
        (Verb::Put, "/v1/acl/token/") => (ACCESSOR, "{}"),
        (Verb::Delete, "/v1/acl/token/") => (ACCESSOR, ""),
        // It needs a policy whose id is not known before: asked below.
        (Verb::Delete, "/v1/acl/policy/") => ("44444444-4444-4444-8444-444444444444", ""),
        (Verb::Put, "/v1/snapshot" | "/v1/portolan/restore" | "/v1/portolan/faults") => ("", ""),
        (Verb::Delete, "/v1/portolan/faults") => ("", ""),
        _ => return None,
    };
    Some((rest, body))
}

fn core() -> Arc<Core> {
    let config = ServerConfig::default()
        .node("n1")
        .acl_enabled(true)
        .acl_default_policy(DefaultPolicy::Deny)
        .acl_initial_management(Some(Secret::new(ROOT)))
        .faults_endpoint(true);
    Arc::new(Core::new(config))
}

async fn ask(
    router: &Interface,
    method: &str,
    path: &str,
    body: &str,
    token: Option<&str>,
) -> (StatusCode, String) {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(token) = token {
        request = request.header("X-Consul-Token", token);
    }
    let request = request.body(Body::from(body.to_owned())).unwrap();
    let Ok(response) = router.ask(request).await;
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (parts.status, String::from_utf8_lossy(&body).into_owned())
}

/// Something of each kind that the samples are about.
async fn filled() -> (Interface, Arc<Core>) {
    let core = core();
    let router = Interface::new(&core);
    let token = format!(r#"{{"AccessorID":"{ACCESSOR}","SecretID":"{SECRET}"}}"#);
    for (path, body) in [
        ("/v1/agent/service/register", r#"{"ID":"w1","Name":"web","Check":{"CheckID":"c1","TTL":"1m"}}"#),
        ("/v1/acl/token", token.as_str()),
        ("/v1/kv/a", "1"),
    ] {
        assert_eq!(ask(&router, "PUT", path, body, Some(ROOT)).await.0, StatusCode::OK, "{path}");
    }
    let named = prepared("found");
    let _written = core.apply(crate::state::Command::Query(QueryCommand::Put(Box::new(named)))).unwrap();
    (router, core)
}

/// A query for `web`.
fn prepared(name: &str) -> QuerySpec {
    let wanted = Wanted {
        service: "web".into(),
        failover: Failover::default(),
        only_passing: false,
        ignore_checks: Some(vec!["c1".into()]),
        near: "".into(),
        tags: None,
        node_meta: None,
        service_meta: None,
        connect: false,
    };
    let (session, ttl) = ("".into(), "".into());
    QuerySpec { id: QUERY.into(), name: name.into(), session, token: None, template: None, wanted, ttl }
}

/// The status for one who may do everything; of what there is not it is `any`.
fn expected_of_one_who_may(endpoint: &Endpoint, any: StatusCode) -> StatusCode {
    match (endpoint.method, endpoint.path) {
        (_, path) if is_of_the_mesh(path) => any,
        // There was one from the start.
        (_, "/v1/acl/bootstrap") => StatusCode::FORBIDDEN,
        (Verb::Delete, "/v1/acl/policy/") | (_, "/v1/session/renew/") => StatusCode::NOT_FOUND,
        // Nothing is no backup.
        (_, "/v1/portolan/restore") => StatusCode::BAD_REQUEST,
        (Verb::Put, "/v1/snapshot") => StatusCode::INTERNAL_SERVER_ERROR,
        // There is no cluster, and no key.
        (_, "/v1/operator/raft/peer" | "/v1/operator/raft/transfer-leader" | "/v1/operator/keyring") => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
        (Verb::Put, "/v1/operator/autopilot/configuration") => StatusCode::INTERNAL_SERVER_ERROR,
        (_, "/v1/agent/join/" | "/v1/agent/force-leave/") => StatusCode::INTERNAL_SERVER_ERROR,
        // Its check is critical.
        (_, "/v1/agent/health/service/id/" | "/v1/agent/health/service/name/") => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        _ => StatusCode::OK,
    }
}

#[tokio::test]
async fn every_endpoint_asks_for_a_right_and_whoever_has_none_gets_nothing() {
    for endpoint in ENDPOINTS {
        let (method, path) = (endpoint.method.as_str(), endpoint.path);
        let (rest, body) =
            sample(endpoint).unwrap_or_else(|| panic!("{method} {path} needs a row in `sample`"));
        let (router, _core) = filled().await;
        let target = format!("{path}{rest}");

        let (status, said) = ask(&router, method, &target, &body, None).await;
        let is_open = FOR_ANYONE.contains(&path) || is_of_the_mesh(path);
        let has_nothing = status == StatusCode::FORBIDDEN
            || matches!(said.as_str(), "[]" | "{}" | "null")
            || said == r#"{"Node":null,"Services":null}"#
            || said.starts_with(r#"{"Results":null,"#)
            || said.contains(r#""Nodes":[],"#);
        assert!(is_open || has_nothing, "{method} {target} for one without rights: {status} {said}");
        assert!(
            // A transaction tells of each operation why it was not carried out.
            endpoint.method == Verb::Get
                || is_open
                || status == StatusCode::FORBIDDEN
                || (path == "/v1/txn" && said.contains("Permission denied")),
            "{method} {target}: {status}"
        );

        let (status, said) = ask(&router, method, &target, &body, Some(SECRET)).await;
        assert!(!said.contains(SECRET) || path == "/v1/acl/token/self", "{method} {target}: {status} {said}");
        if !FOR_ANYONE[2..].contains(&path) && !is_of_the_mesh(path) {
            let (status, said) = ask(&router, method, &target, &body, Some("nobody")).await;
            let expected = if path == "/v1/acl/token/self" {
                "token does not exist: ACL not found"
            } else {
                "ACL not found"
            };
            let known = [expected, "ACL not found"].contains(&said.as_str());
            assert!(status == StatusCode::FORBIDDEN && known, "{method} {target}: {status} {said}");
        }

        let (status, said) = ask(&router, method, &target, &body, Some(ROOT)).await;
        let expected = expected_of_one_who_may(endpoint, status);
        assert_eq!(status, expected, "{method} {target} for one who may do everything: {said}");
    }
}

#[tokio::test]
async fn an_endpoint_that_forgot_to_ask_tells_nothing() {
    const FORGETFUL: &[Endpoint] =
        &[get("/v1/forgetful", |_, call| reply::value(&"all of it", call.layout()))];
    let request = Request::builder().uri("/v1/forgetful").body(Body::empty()).unwrap();
    let response = answer(core(), FORGETFUL, request).await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(&body[..], b"this endpoint asked for no right; please report this bug");
}

#[tokio::test]
async fn without_rules_the_endpoints_about_them_are_not_there() {
    let core = Arc::new(Core::new(ServerConfig::default()));
    let router = Interface::new(&core);
    let mut seen = BTreeSet::new();
    for endpoint in ENDPOINTS.iter().filter(|endpoint| endpoint.path.starts_with(ABOUT_RULES)) {
        let (status, said) = ask(&router, endpoint.method.as_str(), endpoint.path, "", Some(ROOT)).await;
        assert_eq!((status.as_u16(), said.as_str()), (401, "ACL support disabled"), "{}", endpoint.path);
        seen.insert(endpoint.path);
    }
    assert_eq!(seen.len(), 9);
    // A token counts for nothing, whatever it is.
    assert_eq!(ask(&router, "GET", "/v1/catalog/nodes", "", Some("nobody")).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_backup_from_before_there_were_rules_leaves_them_as_they_begin() {
    let without = Arc::new(Core::new(ServerConfig::default().node("n1")));
    let response = Interface::new(&without)
        .ask(Request::builder().uri("/v1/portolan/backup").body(Body::empty()).unwrap());
    let Ok(response) = response.await;
    let backup = response.into_body().collect().await.unwrap().to_bytes();
    let (router, core) = filled().await;
    let before = core.look(|state| state.last_index());
    for (token, expected) in [(None, 403), (Some(SECRET), 403), (Some(ROOT), 200)] {
        let mut request = Request::builder().method("PUT").uri("/v1/portolan/restore");
        if let Some(token) = token {
            request = request.header("X-Consul-Token", token);
        }
        let Ok(response) = router.ask(request.body(Body::from(backup.clone())).unwrap()).await;
        assert_eq!(response.status().as_u16(), expected, "{token:?}");
    }
    // What was there is gone, with its tokens; what a registry with rules has from the start is there.
    assert_eq!(ask(&router, "GET", "/v1/catalog/nodes", "", Some(SECRET)).await.0, StatusCode::FORBIDDEN);
    let (status, services) = ask(&router, "GET", "/v1/catalog/services", "", Some(ROOT)).await;
    assert_eq!((status, services.as_str()), (StatusCode::OK, r#"{"consul":[]}"#));
    assert!(core.look(|state| state.last_index()) > before);
}
