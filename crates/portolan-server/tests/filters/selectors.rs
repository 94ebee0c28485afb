//! Each field of each endpoint, and those that there are not: what it can be asked, and how a wrong question is refused.

use crate::world::{Told, Try, World};

/// An endpoint, what its fields begin with, and their names: Consul's, and some that it hides.
const FIELDS: &[(&str, &[&str])] = &[
    ("/v1/catalog/nodes", NODE),
    ("/v1/catalog/service/web", FLAT),
    ("/v1/catalog/services", FLAT),
    ("/v1/catalog/node-services/test-node", SERVICE),
    ("/v1/catalog/node/test-node", SERVICE),
    ("/v1/health/service/web", ENTRY),
    ("/v1/health/state/any", CHECK),
    ("/v1/health/checks/web", CHECK),
    ("/v1/health/node/test-node", CHECK),
    ("/v1/agent/checks", CHECK),
    ("/v1/agent/services", SERVICE),
    ("/v1/agent/members", MEMBER),
];

const NODE: &[&str] = &[
    "ID",
    "Node",
    "Address",
    "Datacenter",
    "Partition",
    "PeerName",
    "TaggedAddresses",
    "TaggedAddresses.lan",
    "Meta",
    "Meta.a",
    "Meta.a.b",
    "Locality",
    "Locality.Zone",
    "RaftIndex",
    "CreateIndex",
    "ModifyIndex",
    "node",
    "Foo",
];
const SERVICE: &[&str] = &[
    "Kind",
    "ID",
    "Service",
    "Tags",
    "Tags.a",
    "Address",
    "TaggedAddresses",
    "TaggedAddresses.wan",
    "TaggedAddresses.wan.Address",
    "TaggedAddresses.wan.Port",
    "TaggedAddresses.no.Port",
    "Meta",
    "Meta.k",
    "Port",
    "SocketPath",
    "Weights",
    "Weights.Passing",
    "Weights.Warning",
    "EnableTagOverride",
    "Locality",
    "Proxy",
    "Proxy.EnvoyExtensions",
    "Proxy.EnvoyExtensions.Name",
    "Proxy.EnvoyExtensions.Required",
    "Proxy.EnvoyExtensions.Arguments",
    "Proxy.DestinationServiceName",
    "Proxy.LocalServicePort",
    "Proxy.Mode",
    "Proxy.Config",
    "Proxy.Upstreams",
    "Proxy.Upstreams.DestinationName",
    "Proxy.Upstreams.LocalBindPort",
    "Proxy.Upstreams.MeshGateway.Mode",
    "Proxy.Upstreams.Config",
    "Proxy.Upstreams.IngressHosts",
    "Proxy.MeshGateway",
    "Proxy.MeshGateway.Mode",
    "Proxy.Expose.Checks",
    "Proxy.Expose.Paths",
    "Proxy.Expose.Paths.ListenerPort",
    "Proxy.Expose.Paths.ParsedFromCheck",
    "Proxy.TransparentProxy.OutboundListenerPort",
    "Proxy.TransparentProxy.DialedDirectly",
    "Proxy.MutualTLSMode",
    "Proxy.AccessLogs.Enabled",
    "Proxy.AccessLogs.JSONFormat",
    "Connect",
    "Connect.Native",
    "Connect.SidecarService",
    "Connect.PeerMeta",
    "LocallyRegisteredAsSidecar",
    "EnterpriseMeta",
    "PeerName",
    "CreateIndex",
    "ContentHash",
    "Datacenter",
    "Namespace",
];
const FLAT: &[&str] = &[
    "ID",
    "Node",
    "Address",
    "Datacenter",
    "TaggedAddresses",
    "TaggedAddresses.wan",
    "NodeMeta",
    "NodeMeta.a",
    "ServiceKind",
    "ServiceID",
    "ServiceName",
    "ServiceTags",
    "ServiceAddress",
    "ServiceTaggedAddresses",
    "ServiceTaggedAddresses.wan.Port",
    "ServiceWeights.Warning",
    "ServiceMeta",
    "ServiceMeta.k",
    "ServicePort",
    "ServiceSocketPath",
    "ServiceEnableTagOverride",
    "ServiceProxy.Mode",
    "ServiceConnect.Native",
    "ServiceLocality",
    "PeerName",
    "Partition",
    "ServicePeerName",
    "CreateIndex",
    "Service",
];
const CHECK: &[&str] = &[
    "Node",
    "CheckID",
    "CheckId",
    "Name",
    "Status",
    "Notes",
    "Output",
    "ServiceID",
    "ServiceName",
    "ServiceTags",
    "Type",
    "Interval",
    "Timeout",
    "ExposedPort",
    "PeerName",
    "Definition",
    "Definition.HTTP",
    "EnterpriseMeta",
    "CreateIndex",
];
const ENTRY: &[&str] = &[
    "Node",
    "Node.Node",
    "Node.Meta",
    "Node.PeerName",
    "Service",
    "Service.ID",
    "Service.Proxy.Mode",
    "Service.Connect.Native",
    "Checks",
    "Checks.Status",
    "Checks.ServiceTags",
    "Checks.ExposedPort",
    "Checks.Definition",
    "ID",
];
const MEMBER: &[&str] = &[
    "Name",
    "Addr",
    "Port",
    "Tags",
    "Tags.dc",
    "Tags.no",
    "Status",
    "ProtocolMin",
    "ProtocolMax",
    "ProtocolCur",
    "DelegateMin",
    "DelegateMax",
    "DelegateCur",
    "Foo",
];

#[tokio::test]
async fn each_field_takes_what_it_takes_in_consul() -> Try {
    let world = World::start().await?;
    let (mut asked, mut differ) = (0, Vec::new());
    for (path, fields) in FIELDS {
        for field in *fields {
            // What is in a node's id is chance, but for this.
            let part = if *field == "ID" { "x" } else { "1" };
            for question in [
                format!("{field} == \"1\""),
                format!("{field} is empty"),
                format!("\"{part}\" not in {field}"),
                format!("{field} matches `{part}`"),
                format!("{field} != \"300\""),
            ] {
                let (ours, theirs) =
                    (world.ours(path, &question).await?, world.theirs(path, &question).await?);
                asked += 1;
                // Older ones know fewer fields, and filter fewer endpoints. A proxy that there is none of makes the agent's
                // handler panic.
                let ignored = matches!(*path, "/v1/catalog/services" | "/v1/agent/members");
                let compared = match theirs {
                    Told::Nothing => *path != "/v1/agent/services",
                    Told::Rows(_) => world.minor >= 21 || !ignored,
                    Told::Wrong(..) => world.minor >= 21,
                };
                if compared && ours != theirs {
                    differ.push(format!("{path} {question:?}\n  ours   {ours:?}\n  theirs {theirs:?}"));
                }
            }
        }
    }
    assert!(differ.is_empty(), "{asked} questions, {} differ:\n{}", differ.len(), differ.join("\n"));
    Ok(())
}

#[tokio::test]
async fn a_filter_narrows_and_moves_no_index() -> Try {
    let world = World::start().await?;
    for (path, filter, expected) in [
        (
            "/v1/health/service/web",
            "Checks.Status == critical",
            Told::Rows(vec!["ext1 e1".into(), "test-node w2".into()]),
        ),
        (
            "/v1/catalog/services",
            "ServiceName == web and ServicePort == 80",
            Told::Rows(vec!["web a,b,v.1,x y".into()]),
        ),
        ("/v1/agent/services", "Port == 5432", Told::Rows(vec!["db ".into()])),
        // Where there is no row, an agent's checks are not asked which fields they have.
        ("/v1/health/service/none", "Foo == 1", Told::Wrong(500, FOO.to_owned())),
    ] {
        assert_eq!(world.ours(path, filter).await?, expected, "{path} {filter}");
    }
    Ok(())
}

const FOO: &str = "Failed to create boolean expression evaluator: Selector \"Foo\" is not valid";
