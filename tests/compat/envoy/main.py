"""Envoy, which finds its hosts by DNS: STRICT_DNS and LOGICAL_DNS. Its binary lies beside this Python."""

import json
import os
import re
import sys
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from backends import Backend
from compat import *  # noqa: F403: the words of the house

ENVOY = os.path.join(os.path.dirname(sys.executable), "envoy")
ADMIN, FRONT = free_port(), free_port()


def cluster(name, kind, host, port, family="V4_ONLY", tcp=False):
    return {
        "name": name,
        "type": kind,
        "connect_timeout": "2s",
        "dns_refresh_rate": "0.1s",
        "dns_lookup_family": family,
        "typed_dns_resolver_config": {
            "name": "envoy.network.dns_resolver.cares",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig",
                "resolvers": [{"socket_address": {"address": DNS_HOST, "port_value": DNS_PORT}}],
                "use_resolvers_as_fallback": False,
                "dns_resolver_options": {"use_tcp_for_dns_lookups": tcp, "no_default_search_domain": True},
            },
        },
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": {"socket_address": {"address": host, "port_value": port}}}}]}],
        },
    }


def config(port, six_port):
    routes = [{"match": {"prefix": f"/{name}"}, "route": {"cluster": name, "timeout": "10s"}} for name in ("strict", "logical", "tagged", "six")]
    manager = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "front",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}],
    }
    loopback = lambda port: {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    return {
        "admin": {"address": loopback(ADMIN)},
        "static_resources": {
            "listeners": [
                {
                    "name": "front",
                    "address": loopback(FRONT),
                    "filter_chains": [{"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}],
                }
            ],
            "clusters": [
                cluster("strict", "STRICT_DNS", "web.service.consul", port),
                cluster("tagged", "STRICT_DNS", "blue.web.service.consul", port),
                cluster("logical", "LOGICAL_DNS", "web.service.dc1.consul", port),
                cluster("six", "STRICT_DNS", "six.service.consul", six_port, family="V6_ONLY"),
                cluster("many", "STRICT_DNS", "many.service.consul", 1, tcp=True),
            ],
        },
    }


def admin(path):
    with urllib.request.urlopen(f"http://127.0.0.1:{ADMIN}{path}", timeout=10) as answer:
        return answer.read().decode()


def hosts(name):
    """What Envoy has found for a cluster."""
    [found] = [c for c in json.loads(admin("/clusters?format=json"))["cluster_statuses"] if c["name"] == name]
    return sorted(host["address"]["socket_address"]["address"] for host in found.get("host_statuses", []))


def becomes(name, wanted):
    eventually(lambda: equal(hosts(name), sorted(wanted)))


def served_by(name, wanted):
    def ask():
        with urllib.request.urlopen(f"http://127.0.0.1:{FRONT}/{name}", timeout=10) as answer:
            return answer.read().decode()

    eventually(lambda: equal(sorted({ask() for _ in range(12)}), sorted(wanted)))


def test():
    version(re.search(r"/(\d+\.\d+\.\d+)/", run([ENVOY, "--version"])).group(1))
    one = Backend("one", "127.0.0.2")
    two, three, sick = (Backend(name, host, one.port) for name, host in (("two", "127.0.0.3"), ("three", "127.0.0.4"), ("sick", "127.0.0.5")))
    register("web", one.port, "web-1", ["blue"], Address=one.host)
    register("web", two.port, "web-2", Address=two.host)
    register("web", sick.port, "web-4", Address=sick.host, status="critical")
    register("six", one.port, "six-1", Address="fd00::1")
    for n in range(40):
        register("many", 1, f"many-{n}", Address=f"10.1.0.{n}")
    for name, count in (("web", 2), ("six", 1), ("many", 40)):
        settled(name, count)

    path = os.path.join(DIR, "envoy.json")
    with open(path, "w") as file:
        json.dump(config(one.port, one.port), file)
    serve([ENVOY, "-c", path, "--log-level", "error", "--concurrency", "1", "--disable-hot-restart"], ADMIN)

    check("STRICT_DNS has the healthy, and not the critical", lambda: becomes("strict", [one.host, two.host]))
    check("STRICT_DNS: requests reach them", lambda: served_by("strict", ["one", "two"]))
    check("STRICT_DNS by a tag", lambda: served_by("tagged", ["one"]))
    check("LOGICAL_DNS has one of them", lambda: eventually(lambda: equal(len(hosts("logical")), 1)))
    check("LOGICAL_DNS: requests reach healthy ones alone", lambda: eventually(logical))
    check("AAAA", lambda: becomes("six", ["fd00::1"]))
    check("all of many over TCP", lambda: becomes("many", [f"10.1.0.{n}" for n in range(40)]))

    register("web", three.port, "web-3", Address=three.host)
    check("one that comes is asked", lambda: served_by("strict", ["one", "two", "three"]))
    set_health("web-2", "critical")
    check("one that fails is asked no more", lambda: served_by("strict", ["one", "three"]))
    set_health("web-2", "passing")
    check("one that is well again is asked again", lambda: served_by("strict", ["one", "two", "three"]))
    deregister("web-1")
    check("one that leaves is asked no more", lambda: served_by("strict", ["two", "three"]))
    check("with nobody left for its tag a cluster is empty", lambda: becomes("tagged", []))

    def answers():
        said = admin("/stats?filter=dns")
        found = {name: int(count) for name, count in re.findall(r"^(\S+): (\d+)$", said, re.M)}
        parsed = [name for name, count in found.items() if "get_addr_failure" in name or "timeouts" in name or "parse" in name if count]
        equal(parsed, [])

    check("no answer failed", answers)


def logical():
    found = set()
    for _ in range(12):
        with urllib.request.urlopen(f"http://127.0.0.1:{FRONT}/logical", timeout=10) as answer:
            found.add(answer.read().decode())
    assert found <= {"one", "two"}, found


main(test, limit=120)
