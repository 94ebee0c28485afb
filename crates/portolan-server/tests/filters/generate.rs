//! Expressions over the fields of an endpoint, from a seed: nearly all can be read, most of those fit the fields, and one in
//! six is broken somewhere.

use proptest::prelude::*;

/// An endpoint, and what it can be filtered by.
pub(crate) struct Endpoint {
    pub(crate) path: &'static str,
    /// The minor version of Consul that began to filter it.
    pub(crate) since: u32,
    pub(crate) texts: &'static [&'static str],
    pub(crate) many: &'static [&'static str],
    pub(crate) numbers: &'static [&'static str],
    pub(crate) truths: &'static [&'static str],
}

const NODE: Endpoint = Endpoint {
    path: "",
    since: 0,
    texts: &[
        "Node",
        "Address",
        "Datacenter",
        "Meta.rack",
        "Meta[`external-node`]",
        "TaggedAddresses.wan",
        "Meta.no",
    ],
    many: &["TaggedAddresses"],
    numbers: &[],
    truths: &[],
};
const SERVICE: Endpoint = Endpoint {
    path: "",
    since: 0,
    texts: &[
        "Kind",
        "ID",
        "Service",
        "Address",
        "Meta.k",
        "Meta[\"a-b\"]",
        "Meta.n",
        "Meta.empty",
        "Meta.no",
        "TaggedAddresses.wan.Address",
        "Connect.Native.no",
    ],
    many: &["Tags", "Meta", "TaggedAddresses"],
    numbers: &[
        "Port",
        "Weights.Passing",
        "Weights.Warning",
        "TaggedAddresses.wan.Port",
        "TaggedAddresses.no.Port",
    ],
    truths: &["EnableTagOverride"],
};
const FLAT: Endpoint = Endpoint {
    path: "",
    since: 0,
    texts: &[
        "Node",
        "Address",
        "Datacenter",
        "NodeMeta.rack",
        "TaggedAddresses.wan",
        "ServiceKind",
        "ServiceID",
        "ServiceName",
        "ServiceAddress",
        "ServiceMeta.k",
        "ServiceMeta[`a-b`]",
        "ServiceMeta.no",
        "ServiceTaggedAddresses.wan.Address",
        "ServiceProxy.DestinationServiceName",
    ],
    many: &["ServiceTags", "ServiceMeta", "ServiceTaggedAddresses"],
    numbers: &[
        "ServicePort",
        "ServiceWeights.Passing",
        "ServiceTaggedAddresses.no.Port",
        "ServiceTaggedAddresses.wan.Port",
        "ServiceProxy.Upstreams.LocalBindPort",
    ],
    truths: &["ServiceEnableTagOverride", "ServiceConnect.Native"],
};
const CHECK: Endpoint = Endpoint {
    path: "",
    since: 0,
    texts: &["Node", "CheckID", "Name", "Status", "Notes", "Output", "ServiceID", "ServiceName"],
    many: &["ServiceTags"],
    numbers: &[],
    truths: &[],
};
const ENTRY: Endpoint = Endpoint {
    path: "/v1/health/service/web",
    since: 0,
    texts: &[
        "Node.Node",
        "Node.Address",
        "Node.Meta.rack",
        "Node.Meta.no",
        "Service.ID",
        "Service.Service",
        "Service.Address",
        "Service.Meta.k",
        "Service.Meta[\"a-b\"]",
        "Service.Meta.no",
        "Service.TaggedAddresses.wan.Address",
        "Checks.CheckID",
        "Checks.Name",
        "Checks.Status",
        "Checks.Notes",
        "Checks.ServiceID",
        "Service.Proxy.DestinationServiceName",
        "Service.Proxy.Upstreams.DestinationName",
    ],
    many: &["Service.Tags", "Service.Meta", "Service.TaggedAddresses", "Checks.ServiceTags"],
    numbers: &[
        "Service.Port",
        "Service.Weights.Passing",
        "Service.TaggedAddresses.wan.Port",
        "Service.Proxy.LocalServicePort",
    ],
    truths: &["Service.EnableTagOverride", "Service.Connect.Native", "Service.Proxy.Expose.Checks"],
};

pub(crate) const ENDPOINTS: &[Endpoint] = &[
    ENTRY,
    Endpoint { path: "/v1/catalog/service/web", ..FLAT },
    Endpoint { path: "/v1/catalog/services", since: 16, ..FLAT },
    Endpoint { path: "/v1/catalog/nodes", ..NODE },
    Endpoint { path: "/v1/catalog/node/test-node", ..SERVICE },
    Endpoint { path: "/v1/catalog/node-services/ext1", since: 8, ..SERVICE },
    Endpoint { path: "/v1/health/node/test-node", ..CHECK },
    Endpoint { path: "/v1/health/checks/web", ..CHECK },
    Endpoint { path: "/v1/health/state/any", ..CHECK },
    Endpoint { path: "/v1/agent/services", ..SERVICE },
    Endpoint { path: "/v1/agent/checks", ..CHECK },
];

const VALUES: &[&str] = &[
    "web",
    "w1",
    "db",
    "\"a\"",
    "`x y`",
    "\"\"",
    "v",
    "passing",
    "critical",
    "\"10.0.0.1\"",
    "r1",
    "true",
    "1",
    "80",
    "c1",
    "\"é\"",
    "\"\\u00c9\"",
    "\"v\\tw\"",
    "`v\\tw`",
    "\"h.example\"",
    "h.example",
    "a.b",
    "a[\"b c\"]",
    "\"\\x61\"",
    "\"\\141\"",
    "\"v.1\"",
    "n",
    "\"80\"",
    "-1",
    "0",
    "not",
    "in",
    "\"test-node\"",
];
const NUMBERS: &[&str] = &[
    "80",
    "0",
    "-1",
    "8080",
    "\"0x50\"",
    "\"0120\"",
    "\"0b1010000\"",
    "\"8_0\"",
    "\"+80\"",
    "3",
    "1",
    "\"-0\"",
    "\"0o120\"",
    "\"9223372036854775807\"",
    "9223372036854775808",
    "\"08\"",
    "\"1__0\"",
    "\"0x\"",
    "1.5",
    "abc",
    "\"\"",
    "\" 80\"",
];
const TRUTHS: &[&str] = &["true", "false", "\"TRUE\"", "t", "F", "1", "\"0\"", "yes", "tRUE", "\"\""];
const PATTERNS: &[&str] = &[
    "`^w`",
    "`\\d+`",
    "\"^web$\"",
    "`(?i)WEB`",
    "`a|b`",
    "`^.$`",
    "`\\w\\s\\w`",
    "`[^a-z]`",
    "`^$`",
    "``",
    "`(`",
    "`a**`",
    "`[z-a]`",
    "`x{2,1}`",
    "`x{1001}`",
    "`(?x)a`",
    "`\\pL`",
    "`\\p{Greek}`",
    "`\\Qx y\\E`",
    "`[[:alpha:]]{3}`",
    "`[[:no:]]`",
    "`\\1`",
    "`\\C`",
    "`a{,2}`",
    "`]`",
    "`[]a]`",
    "`\\bweb\\b`",
    "`(?P<n>w)`",
    "`(?P=n)`",
    "`*`",
    "`a|*`",
    "`\\x{e9}`",
    "`\\x{110000}`",
    "`[&&w]`",
    "`[[w]`",
    "`(?s).`",
    "`^*`",
    "`)`",
    "`[`",
    "`\\`",
];
const BREAKS: &[&str] =
    &["(", ")", "[", "]", "\"", "`", ".", "=", " ", "\n", "!", "-", "0", "é", " and ", " not ", "in ", "\\"];

fn of(list: &'static [&'static str]) -> BoxedStrategy<&'static str> {
    if list.is_empty() { Just("Nothing.here").boxed() } else { prop::sample::select(list).boxed() }
}

/// One comparison, nearly always of a field with what it can be compared with.
fn comparison(endpoint: &'static Endpoint) -> BoxedStrategy<String> {
    let Endpoint { texts, many, numbers, truths, .. } = endpoint;
    let equality = || of(&[" == ", " != ", "==", "!=", "\t==\n"]);
    let within = || of(&[" in ", " not in "]);
    let contains = || of(&[" contains ", " not contains "]);
    let empty = || of(&[" is empty", " is not empty", "  is  not  empty"]);
    let matches = || of(&[" matches ", " not matches "]);
    let three =
        |one, two, three| (one, two, three).prop_map(|(a, b, c): (&str, &str, &str)| [a, b, c].concat());
    prop_oneof![
        6 => three(of(texts), equality(), of(VALUES)),
        3 => three(of(VALUES), within(), of(texts)),
        2 => three(of(texts), contains(), of(VALUES)),
        4 => three(of(texts), matches(), of(PATTERNS)),
        4 => three(of(VALUES), within(), of(many)),
        3 => three(of(many), contains(), of(VALUES)),
        3 => (of(many), empty()).prop_map(|(one, two)| [one, two].concat()),
        3 => three(of(numbers), equality(), of(NUMBERS)),
        2 => three(of(truths), equality(), of(TRUTHS)),
        // What does not go together.
        1 => three(of(many), matches(), of(PATTERNS)),
        1 => three(of(numbers), contains(), of(NUMBERS)),
        1 => (of(texts), empty()).prop_map(|(one, two)| [one, two].concat()),
        1 => three(of(&["Foo", "Service", "Node.Foo", "Checks", "CreateIndex", "Tags.x", "not"]), equality(), of(VALUES)),
        1 => of(&["Checks is empty", "Checks is not empty", "Service is empty", "Node == 1"]).prop_map(str::to_owned),
    ]
    .boxed()
}

/// An expression. Parentheses are at most three deep: each level costs go-bexpr four times as much.
pub(crate) fn expression(endpoint: &'static Endpoint) -> BoxedStrategy<String> {
    let whole = comparison(endpoint).prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| parts.join(" and ")),
            prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| parts.join(" or ")),
            inner.clone().prop_map(|part| format!("not {part}")),
            inner.clone().prop_map(|part| format!("not not {part}")),
            inner.clone().prop_map(|part| format!("({part})")),
            inner.prop_map(|part| format!("not ( {part} )")),
        ]
    });
    let broken = (whole.clone(), any::<prop::sample::Index>(), of(BREAKS), 0..3_usize);
    let broken = broken.prop_map(|(text, at, with, way)| {
        let chars: Vec<char> = text.chars().collect();
        let at = at.index(chars.len().saturating_add(1));
        let (before, after) = chars.split_at(at);
        let (before, after) = (before.iter().collect::<String>(), after.iter());
        match way {
            0 => format!("{before}{with}{}", after.collect::<String>()),
            1 => format!("{before}{}", after.skip(2).collect::<String>()),
            _ => before,
        }
    });
    prop_oneof![5 => whole, 1 => broken].boxed()
}
