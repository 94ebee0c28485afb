//! The differences that are meant, and why.

/// A difference, or a kind of them.
pub(crate) struct Known {
    /// `METHOD path body`; `*` stands for anything.
    pub(crate) request: &'static str,
    /// The place of the difference; `*` stands for anything.
    pub(crate) place: &'static str,
    pub(crate) why: &'static str,
    /// Whether it must occur: not where an agent leaves something to chance.
    pub(crate) always: bool,
}

const fn known(request: &'static str, place: &'static str, why: &'static str) -> Known {
    Known { request, place, why, always: true }
}

const fn at_times(request: &'static str, place: &'static str, why: &'static str) -> Known {
    Known { request, place, why, always: false }
}

const ITS_OWN: &str = "each has its own ports, version and features";
const WORDS: &str = "each parser has its own words for what is wrong; these name the field and the fix";
const STRICT: &str = "what nobody could use is refused instead of kept";
const ON_TIME: &str = "answers from memory are as new as any cache: there is nothing to miss first";

const NO_INDEX: &str = "a refusal has no index: there is nothing to wait for";
const NULL: &str = "an empty list is one, not null";
const MESH: &str =
    "settings of a mesh that is not there are refused, where a Consul keeps them for when it is on";

/// Beside a Consul 1.21.
pub(crate) const KNOWN: &[Known] = &[
    known("*", "layout", "`-dev` writes indented JSON; here `?pretty` alone does"),
    known("GET /v1/*/status/leader*", "*", "a redirect has no page: no client reads it"),
    known("GET /v1//status/leader", "*", "a redirect has no page: no client reads it"),
    known("GET /v1/health/service", "header content-type", "a redirect has no page: no client reads it"),
    known("GET /v1/health/service", "text", "a redirect has no page: no client reads it"),
    known("GET /v1/health/service/%ff", "*", "a name that is no UTF-8 is refused: no name is"),
    known("GET /v1/status/leader*", "body ", ITS_OWN),
    known("GET /v1/status/peers*", "body /0", ITS_OWN),
    known("GET /v1/agent/self", "body /Config/Version", ITS_OWN),
    known("GET /v1/agent/self", "body /Coord", "there are no coordinates"),
    known("GET /v1/agent/self", "body /DebugConfig/*", "the settings are not Consul's"),
    known("GET /v1/agent/self", "body /Stats/*", "the figures are not Consul's"),
    known("GET /v1/agent/self", "body /Member/Port", ITS_OWN),
    known("GET /v1/agent/self", "body /Member/Tags/*", ITS_OWN),
    known("GET /v1/agent/members*", "body /0/Port", ITS_OWN),
    known("GET /v1/agent/members*", "body /0/Tags/*", ITS_OWN),
    known("GET /v1/agent/host", "body *", "the machine is not read: its name and system are told"),
    known("GET /v1/agent/version", "body /HumanVersion", ITS_OWN),
    known(
        "PUT /v1/agent/join/127.0.0.1",
        "*",
        "there is nobody to join: refused, where an agent joins itself",
    ),
    known("PUT /v1/agent/service/register []", "text", WORDS),
    known("PUT /v1/agent/service/register \"web\"", "text", WORDS),
    known("PUT /v1/agent/service/register nonsense", "text", WORDS),
    known("PUT /v1/agent/service/register {\"Name\":7}", "text", WORDS),
    known("PUT /v1/agent/service/register {\"Name\":\"x\",*", "text", WORDS),
    known("PUT /v1/agent/check/register {\"Name\":\"x\",\"TTL\":\"1 m\"}", "text", WORDS),
    known("PUT /v1/agent/check/update/nc {\"Status\":7}", "text", WORDS),
    known("PUT /v1/catalog/register []", "text", WORDS),
    known("PUT /v1/catalog/register {\"Node\":7,*", "text", WORDS),
    known("PUT /v1/catalog/register {\"Node\":\"x\",*", "text", WORDS),
    known("PUT /v1/catalog/deregister {\"Node\":7}", "text", WORDS),
    known("PUT /v1/agent/service/register *{\"TTL\":true}}", "*", STRICT),
    known(
        "GET /v1/agent/services*",
        "body /x/TaggedAddresses",
        "follows from the registration that was refused",
    ),
    known("PUT /v1/catalog/register *\"NodeMeta\":{\"a b\":\"1\"}}", "*", STRICT),
    known("PUT /v1/catalog/register *\"Status\":\"well\"}}", "*", STRICT),
    known("GET /v1/catalog/nodes?wait=-1s", "*", STRICT),
    known(
        "GET /v1/catalog/nodes?peer=x",
        "*",
        "there are no peers: refused, where Consul shows its own nodes",
    ),
    known(
        "GET /v1/agent/checks",
        "body /service:w1/ServiceTags/1",
        "checks have their instance's newest tags",
    ),
    at_times(
        "GET /v1/agent/checks",
        "body /alias/Output",
        "any of the failing checks is named; an agent picks by chance",
    ),
    at_times("GET /v1/agent/health/*", "body /Checks/*/Output", "the same"),
    at_times("GET /v1/health/connect/side", "body /0/Checks/*/Output", "the same"),
    known(
        "GET /v1/catalog/node*",
        "body /Services/*/Meta",
        "the meta of `consul` is of a cluster; an empty one is none",
    ),
    known("GET /v1/catalog/node*", "body /Services/*/Port", ITS_OWN),
    known("GET /v1/catalog/service/consul", "body /0/ServiceMeta/*", "the meta of `consul` is of a cluster"),
    known("GET /v1/catalog/service/consul", "body /0/ServicePort", ITS_OWN),
    known("GET /v1/health/service/consul", "body /0/Service/Meta", "the meta of `consul` is of a cluster"),
    known("GET /v1/health/service/consul", "body /0/Service/Port", ITS_OWN),
    known(
        "GET /v1/catalog/node-services/n1",
        "body /Services/*/Proxy/*",
        "a service with a sidecar is shown with the sidecar's own proxy by 1.21.4, which is a mistake",
    ),
    known("*?dc=nowhere", "header x-consul-*", NO_INDEX),
    known("GET /v1/query/*", "header x-consul-*", NO_INDEX),
    known("GET /v1/connect/*", "header x-consul-*", NO_INDEX),
    known("* /v1/discovery-chain/*", "header x-consul-*", NO_INDEX),
    known("POST /v1/query/a", "header allow", "one table says which methods a path has: `OPTIONS` too"),
    known("* /v1/operator/*/configuration*", "body /Servers/*/Address", ITS_OWN),
    known("GET /v1/operator/autopilot/*", "body *Address", ITS_OWN),
    known("GET /v1/operator/autopilot/*", "body *Version", ITS_OWN),
    known(
        "PUT /v1/operator/autopilot/configuration {\"MaxTrailingLogs\":300}",
        "*",
        "one server: there is nothing to set, and none is taken as if it were",
    ),
    known(
        "GET /v1/agent/metrics?format=prometheus",
        "*",
        "told at once, where Consul wants a retention time first",
    ),
    known("PUT /v1/snapshot*", "text", WORDS),
    known("POST /v1/query []", "text", WORDS),
    known("POST /v1/query *\"Regexp\":\"^t-*", "text", WORDS),
    at_times(
        "GET *near=*",
        "body /*",
        "an agent that is young has no coordinate yet: nothing is sorted then",
    ),
    at_times("PUT /v1/txn *", "body */Tags", NULL),
    at_times("PUT /v1/txn *", "body */ServiceTags", NULL),
    at_times("GET /v1/catalog/node/tx", "body */Tags", NULL),
    known("PUT /v1/config *", "text", WORDS),
    known("PUT /v1/config {\"Kind\":\"service-defaults\"*", "*", MESH),
    known("PUT /v1/coordinate/update []", "text", WORDS),
    known("GET *?cached*", "header x-cache", ON_TIME),
    known("GET *?cached*", "header age", ON_TIME),
    known("GET /v1/health/service/web?*", "header x-consul-query-backend", "there is no streaming backend"),
];

const FOUND: &str = "1.21: what is not there is not found";
const LATER: &str = "1.8 does not know it";

/// Beside a Consul 1.8, of which statuses alone are compared.
pub(crate) const KNOWN_OF_1_8: &[Known] = &[
    known("GET /v1/health/service", "status", "1.21: the method is kept, 307"),
    known("GET /v1/*/status/leader*", "status", "1.21: the method is kept, 307"),
    known("GET /v1//status/leader", "status", "1.21: the method is kept, 307"),
    known("PUT /v1//agent/service/register *", "status", "1.21: the method is kept, 307"),
    known("GET /v1/health/service/%ff", "status", "a name that is no UTF-8 is refused: no name is"),
    known("* /v1/operator/raft/transfer-leader*", "status", LATER),
    known("GET /v1/operator/autopilot/state*", "status", LATER),
    known("* /v1/operator/usage*", "status", LATER),
    known("GET /v1/exported-services", "status", LATER),
    known("GET /v1/peerings", "status", LATER),
    known("* /v1/peering/*", "status", LATER),
    known("GET /v1/config/exported-services", "status", LATER),
    known("PUT /v1/config {\"Kind\":\"service-intentions\"*", "status", LATER),
    known("PUT /v1/config?cas=x *", "status", LATER),
    known(
        "DELETE /v1/config/service-defaults/nope?cas=x",
        "status",
        "1.21: the index that is compared is read",
    ),
    known("* /v1/connect/intentions*", "status", "1.8 keeps intentions though the mesh is off"),
    known("PUT /v1/config {\"Kind\":\"service-defaults\"*", "status", MESH),
    known(
        "PUT /v1/operator/autopilot/configuration {\"MaxTrailingLogs\":300}",
        "status",
        "one server: there is nothing to set, and none is taken as if it were",
    ),
    known("GET /v1/agent/version", "status", LATER),
    known("GET /v1/agent/metrics?format=prometheus", "status", "1.21: 200 and a header"),
    known("*\"Locality\":{\"Region\"*", "status", LATER),
    known("*\"SocketPath\"*", "status", LATER),
    known("GET /v1/agent/service/unix", "status", LATER),
    known("GET *?filter=ServiceSocketPath==*", "status", LATER),
    known("*?partition=*", "status", LATER),
    known("GET *?sg=x", "status", LATER),
    known("PUT /v1/agent/check/register *\"ServiceID\":\"nope\"}", "status", FOUND),
    known("PUT /v1/agent/check/*/nope*", "status", FOUND),
    known("PUT /v1/agent/check/pass/", "status", FOUND),
    known("PUT /v1/agent/*/deregister/*", "status", FOUND),
    known(
        "PUT /v1/agent/join/127.0.0.1",
        "status",
        "there is nobody to join: refused, where an agent joins itself",
    ),
    known("PUT /v1/agent/service/register *{\"TTL\":true}}", "status", STRICT),
    known("PUT /v1/catalog/register *\"NodeMeta\":{\"a b\":\"1\"}}", "status", STRICT),
    known("PUT /v1/catalog/register *\"Status\":\"well\"}}", "status", STRICT),
    known("GET /v1/catalog/nodes?wait=-1s", "status", STRICT),
    known("GET /v1/catalog/nodes?peer=x", "status", LATER),
];

/// Whether `pattern`, in which `*` stands for anything, is all of `text`.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((begin, rest)) => text.strip_prefix(begin).is_some_and(|text| {
            rest.is_empty()
                || text.char_indices().any(|(at, _)| matches(rest, text.get(at..).unwrap_or_default()))
        }),
    }
}

#[test]
fn a_star_stands_for_anything() {
    for (pattern, text, is) in [
        ("a", "a", true),
        ("a", "ab", false),
        ("a*", "ab", true),
        ("*", "", true),
        ("a*c", "abc", true),
        ("a*c", "abd", false),
        ("*/Meta", "body /0/Meta", true),
        ("*/Meta", "body /0/Meta/x", false),
        ("GET *?cached*", "GET /v1/a?cached", true),
    ] {
        assert_eq!(matches(pattern, text), is, "{pattern} {text}");
    }
}
