"""Prometheus, which finds what it scrapes in a registry: consul_sd_configs. COMPAT_CLIENT is its binary."""

import json
import os
import re
import sys
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from backends import Backend
from compat import *  # noqa: F403: the words of the house

PORT = free_port()

CONFIG = f"""
global:
  scrape_interval: 1s
  scrape_timeout: 1s
scrape_configs:
  - job_name: named
    consul_sd_configs:
      - server: {HTTP}
        services: [web]
        refresh_interval: 1s
    relabel_configs:
      - source_labels: [__meta_consul_service_id]
        target_label: id
  - job_name: tagged
    consul_sd_configs:
      - server: {HTTP}
        tags: [v1, blue]
        refresh_interval: 1s
  - job_name: all
    consul_sd_configs:
      - server: {HTTP}
        allow_stale: false
        refresh_interval: 1s
    relabel_configs:
      - source_labels: [__meta_consul_service]
        regex: consul
        action: drop
      - source_labels: [__meta_consul_health]
        target_label: health
      - source_labels: [__meta_consul_service_id]
        target_label: id
  - job_name: meta
    consul_sd_configs:
      - server: {HTTP}
        node_meta: {{ rack: r1 }}
        refresh_interval: 1s
"""


def asked(path):
    with urllib.request.urlopen(f"http://127.0.0.1:{PORT}{path}", timeout=10) as answer:
        return json.load(answer)["data"]


def targets(job):
    return [target for target in asked("/api/v1/targets?state=active")["activeTargets"] if target["scrapePool"] == job]


def ids(job):
    return sorted(target["discoveredLabels"]["__meta_consul_service_id"] for target in targets(job))


def becomes(job, wanted):
    eventually(lambda: equal(ids(job), sorted(wanted)))


def discovered(job, id):
    [labels] = [t["discoveredLabels"] for t in targets(job) if t["discoveredLabels"]["__meta_consul_service_id"] == id]
    return {name.removeprefix("__meta_consul_"): value for name, value in labels.items() if name.startswith("__meta_consul_")}


def test():
    version(re.search(r"version (\S+)", run([CLIENT, "--version"])).group(1))
    one, two = Backend("one"), Backend("two")
    register("web", one.port, "web-1", ["v1", "blue"], Address="127.0.0.1", Meta={"team": "shop", "odd-key": "y"})
    register("web", two.port, "web-2", ["v1"], Address="127.0.0.1")
    register("db", two.port, "db-1", status="critical")
    ask("PUT", "/v1/catalog/register", {"Node": "racked", "Address": "127.0.0.1", "NodeMeta": {"rack": "r1"}, "Service": {"Service": "ext", "ID": "ext-1", "Port": one.port, "Tags": ["v1"]}})
    settled("web", 2)

    path = os.path.join(DIR, "prometheus.yml")
    with open(path, "w") as file:
        file.write(CONFIG)
    serve(
        [
            CLIENT,
            f"--config.file={path}",
            f"--storage.tsdb.path={os.path.join(DIR, 'data')}",
            f"--web.listen-address=127.0.0.1:{PORT}",
            "--log.level=warn",
        ],
        PORT,
    )

    check("the services that are named are found", lambda: becomes("named", ["web-1", "web-2"]))
    check("those with all of the tags are found", lambda: becomes("tagged", ["web-1"]))
    check("all services are found where none is named", lambda: becomes("all", ["db-1", "ext-1", "web-1", "web-2"]))
    check("those on nodes with this meta are found", lambda: becomes("meta", ["ext-1"]))

    def labels():
        found = discovered("named", "web-1")
        equal(
            {name: found[name] for name in ("address", "dc", "health", "node", "service", "service_address", "service_id", "service_port", "tags")},
            {
                "address": "127.0.0.1",
                "dc": "dc1",
                "health": "passing",
                "node": "compat",
                "service": "web",
                "service_address": "127.0.0.1",
                "service_id": "web-1",
                "service_port": str(one.port),
                "tags": ",v1,blue,",
            },
        )
        equal((found["service_metadata_team"], found["service_metadata_odd_key"]), ("shop", "y"))
        equal(found["tagged_address_lan"], "127.0.0.1")

    check("each has its labels", labels)
    check("a node's meta is a label", lambda: equal(discovered("meta", "ext-1")["metadata_rack"], "r1"))
    check("an instance without an address is scraped at the node's", lambda: equal([t["labels"]["instance"] for t in targets("all") if t["labels"].get("health") == "critical"], [f"127.0.0.1:{two.port}"]))

    def scraped():
        equal({t["health"] for t in targets("named")}, {"up"})
        found = asked("/api/v1/query?query=up_and_well")["result"]
        equal(sorted({r["metric"]["id"] for r in found if r["metric"]["job"] == "named"}), ["web-1", "web-2"])

    check("what is found is scraped", lambda: eventually(scraped))

    register("web", two.port, "web-3", ["v1", "blue"], Address="127.0.0.1")
    check("an instance that comes is found", lambda: becomes("named", ["web-1", "web-2", "web-3"]))
    check("by its tags too", lambda: becomes("tagged", ["web-1", "web-3"]))
    register("new", one.port, "new-1")
    check("a service that comes is found", lambda: becomes("all", ["db-1", "ext-1", "new-1", "web-1", "web-2", "web-3"]))
    set_health("web-2", "critical")
    check("a change of health is seen", lambda: eventually(lambda: equal(discovered("named", "web-2")["health"], "critical")))
    deregister("web-1")
    check("an instance that leaves is dropped", lambda: becomes("named", ["web-2", "web-3"]))
    deregister("new-1")
    check("a service that leaves is dropped", lambda: becomes("all", ["db-1", "ext-1", "web-2", "web-3"]))

    def failures():
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        found = re.search(r"^prometheus_sd_consul_rpc_failures_total (\S+)", text, re.M)
        equal(found.group(1), "0")

    check("no request of it failed", failures)


main(test, limit=120)
