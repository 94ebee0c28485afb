"""py-consul, against a registry: the client that Python programs use, blocking and with asyncio."""

import asyncio
import base64
import os
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from compat import *  # noqa: F403: the words of the house

import consul
import consul.aio

client = consul.Consul(host=HTTP_HOST, port=HTTP_PORT)


def later(change):
    """Makes a change in a moment, while the caller waits for it."""
    thread = threading.Timer(0.3, change)
    thread.daemon = True
    thread.start()


def registration():
    check(
        "a service is registered",
        lambda: equal(
            client.agent.service.register(
                "web",
                service_id="web-1",
                address="10.0.0.1",
                port=8080,
                tags=["v1", "blue"],
                meta={"team": "shop"},
                weights={"Passing": 3, "Warning": 1},
                tagged_addresses={"lan": {"address": "10.0.0.1", "port": 8080}},
                check=consul.Check.ttl("10m"),
                enable_tag_override=True,
            ),
            True,
        ),
    )

    def as_sent():
        found = client.agent.services()["web-1"]
        equal((found["Service"], found["Address"], found["Port"], found["Tags"]), ("web", "10.0.0.1", 8080, ["v1", "blue"]))
        equal((found["Meta"], found["Weights"], found["EnableTagOverride"]), ({"team": "shop"}, {"Passing": 3, "Warning": 1}, True))
        equal(found["TaggedAddresses"]["lan"], {"Address": "10.0.0.1", "Port": 8080})

    check("the agent has it as it was sent", as_sent)
    check("agent.service_definition", lambda: equal(client.agent.service_definition("web-1")["Port"], 8080))
    check("agent.services with a filter", lambda: equal(list(client.agent.services(filter_expr='Service == "web"')), ["web-1"]))

    def kinds():
        port = free_port()
        for name, made in {
            "http": consul.Check.http(f"http://127.0.0.1:{port}/", "10m", timeout="1s", deregister="1h", header={"x-foo": ["bar"]}),
            "tcp": consul.Check.tcp("127.0.0.1", port, "10m", timeout="1s"),
            "grpc": consul.Check.grpc(f"127.0.0.1:{port}", "10m", timeout="1s"),
        }.items():
            equal(client.agent.service.register(f"by-{name}", port=port, check=made), True)
            eventually(lambda: equal([c["Status"] for c in client.agent.checks().values() if c["ServiceID"] == f"by-{name}"], ["critical"]))
            equal(client.agent.service.deregister(f"by-{name}"), True)

    check("checks by HTTP, TCP and gRPC are taken and run", kinds)

    def over_tls():
        made = consul.Check.grpc(f"127.0.0.1:{free_port()}", "10m", use_tls=True, tls_skip_verify=True)
        equal(client.agent.service.register("by-tls", check=made), True)
        equal(client.agent.service.deregister("by-tls"), True)

    check("a check by gRPC over TLS is taken", over_tls)


def checks():
    ttl = "service:web-1"
    check("a TTL check begins critical", lambda: equal(client.agent.checks()[ttl]["Status"], "critical"))
    check("ttl_pass", lambda: equal(client.agent.check.ttl_pass(ttl, "all well"), True))
    check("its note is its output", lambda: equal(client.agent.checks()[ttl]["Output"], "all well"))
    check("the catalogue follows", lambda: eventually(lambda: equal(len(client.health.service("web", passing=True)[1]), 1)))
    check("ttl_warn", lambda: equal(client.agent.check.ttl_warn(ttl), True))
    check("health.checks has the warning", lambda: eventually(lambda: equal([c["Status"] for c in client.health.checks("web")[1]], ["warning"])))
    check("ttl_fail", lambda: equal(client.agent.check.ttl_fail(ttl), True))
    check("health.state has the critical", lambda: eventually(lambda: equal([c["ServiceID"] for c in client.health.state("critical")[1]], ["web-1"])))

    def unknown():
        # 500 before Consul 1.9, 404 since: to this client the one is an exception, the other False.
        try:
            assert client.agent.check.ttl_pass("none") is False
        except consul.ConsulException:
            pass

    check("a report for a check that is not there is refused", unknown)
    client.agent.check.ttl_pass(ttl)
    check("a check of its own", lambda: equal(client.agent.check.register("disk", check=consul.Check.ttl("10m"), check_id="disk-1", notes="of the node"), True))
    check("it is there with its notes", lambda: equal(client.agent.checks()["disk-1"]["Notes"], "of the node"))
    check("a check of a service", lambda: equal(client.agent.check.register("deep", check=consul.Check.ttl("10m"), check_id="deep-1", service_id="web-1"), True))
    check("it counts for the service", lambda: eventually(lambda: equal(len(client.health.service("web", passing=True)[1]), 0)))
    for id in ("disk-1", "deep-1"):
        check(f"check.deregister of {id}", lambda id=id: equal(client.agent.check.deregister(id), True))
    check("the service is healthy again", lambda: eventually(lambda: equal(len(client.health.service("web", passing=True)[1]), 1)))

    def maintenance():
        equal(client.agent.service.maintenance("web-1", True, "upgrade"), True)
        eventually(lambda: equal(len(client.health.service("web", passing=True)[1]), 0))
        equal(client.agent.service.maintenance("web-1", False), True)
        eventually(lambda: equal(len(client.health.service("web", passing=True)[1]), 1))

    check("service.maintenance", maintenance)

    def of_node():
        equal(client.agent.maintenance(True, "moving"), True)
        eventually(lambda: equal(len(client.health.service("web", passing=True)[1]), 0))
        equal(client.agent.maintenance(False), True)
        eventually(lambda: equal(len(client.health.service("web", passing=True)[1]), 1))

    check("agent.maintenance", of_node)


def catalog():
    check("catalog.datacenters", lambda: equal(client.catalog.datacenters(), ["dc1"]))
    check("catalog.nodes", lambda: equal([n["Node"] for n in client.catalog.nodes()[1]], ["compat"]))
    check("catalog.services", lambda: equal(sorted(client.catalog.services()[1]["web"]), ["blue", "v1"]))
    check("catalog.service by a tag", lambda: equal([s["ServiceID"] for s in client.catalog.service("web", tag="blue")[1]], ["web-1"]))
    check("catalog.service by a tag that none has", lambda: equal(client.catalog.service("web", tag="red")[1], []))
    check("catalog.node", lambda: equal(sorted(client.catalog.node("compat")[1]["Services"]), ["consul", "web-1"]))
    check("catalog.node of one that is not there", lambda: equal(client.catalog.node("none")[1], None))
    check("health.node", lambda: equal(sorted(c["CheckID"] for c in client.health.node("compat")[1]), ["serfHealth", "service:web-1"]))
    check("health.service near the agent, with a filter", lambda: equal(len(client.health.service("web", near="_agent", filter_expr="v1 in Service.Tags")[1]), 1))
    check("health.service by the node's meta", lambda: equal(client.health.service("web", node_meta={"rack": "r1"})[1], []))
    check("a filter that does not parse is refused", lambda: refuses(lambda: client.health.service("web", filter_expr="x ==")))

    def external():
        equal(client.catalog.register("ext", "10.9.9.9", service={"Service": "old", "ID": "old-1", "Port": 1}, check={"Node": "ext", "CheckID": "c", "Name": "c", "Status": "passing", "ServiceID": "old-1"}, node_meta=None), True)
        equal([(s["Node"], s["Address"]) for s in client.catalog.service("old")[1]], [("ext", "10.9.9.9")])
        equal(client.catalog.deregister("ext"), True)
        equal(client.catalog.service("old")[1], [])

    check("catalog.register and deregister", external)
    check("status.leader and peers", lambda: equal([client.status.leader()], client.status.peers()))
    check("agent.members", lambda: equal([m["Name"] for m in client.agent.members()], ["compat"]))
    check("agent.self", lambda: equal(client.agent.self()["Config"]["NodeName"], "compat"))
    check("agent.metrics", lambda: holds(client.agent.metrics(), "Gauges"))


def refuses(ask):
    try:
        ask()
    except consul.ConsulException:
        return
    raise AssertionError("it was answered")


def blocking():
    def changes():
        index, _ = client.health.service("web", passing=True)
        later(lambda: client.agent.check.ttl_fail("service:web-1"))
        after, found = client.health.service("web", passing=True, index=index, wait="30s")
        assert int(after) > int(index), (index, after)
        equal(found, [])
        client.agent.check.ttl_pass("service:web-1")

    check("a wait on a service ends with its change", changes)

    def times_out():
        settled("web", 1)
        index, before = client.kv.get("none/at/all")
        assert before is None
        equal(client.kv.get("none/at/all", index=index, wait="1s")[1], None)

    check("a wait ends with its time", times_out)

    def keys():
        index, _ = client.kv.get("block/key")
        later(lambda: client.kv.put("block/key", "new"))
        equal(client.kv.get("block/key", index=index, wait="30s")[1]["Value"], b"new")

    check("a wait on a key that is not there ends when it comes", keys)


def kv():
    check("kv.put", lambda: equal(client.kv.put("app/a", "one"), True))
    check("kv.get", lambda: equal(client.kv.get("app/a")[1]["Value"], b"one"))
    check("kv.put of bytes and flags", lambda: equal(client.kv.put("app/b", b"\x00\xff", flags=2**64 - 1), True))
    check("bytes and flags come back", lambda: equal([client.kv.get("app/b")[1][k] for k in ("Value", "Flags")], [b"\x00\xff", 2**64 - 1]))
    check("kv.put of nothing", lambda: equal(client.kv.put("app/none", None), True))
    check("a value of nothing is None", lambda: equal(client.kv.get("app/none")[1]["Value"], None))
    check("a key with spaces and umlauts", lambda: (client.kv.put("app/ä b", "x"), equal(client.kv.get("app/ä b")[1]["Value"], b"x"))[1])
    check("kv.get of what is not there", lambda: equal(client.kv.get("none")[1], None))
    check("kv.get recurse", lambda: equal([k["Key"] for k in client.kv.get("app/", recurse=True)[1]], ["app/a", "app/b", "app/none", "app/ä b"]))
    check("kv.get keys with a separator", lambda: equal(client.kv.get("a", keys=True, separator="/")[1], ["app/"]))
    index = client.kv.get("app/a")[1]["ModifyIndex"]
    check("kv.put cas", lambda: equal([client.kv.put("app/a", "x", cas=0), client.kv.put("app/a", "x", cas=1), client.kv.put("app/a", "x", cas=index)], [False, False, True]))
    check("kv.delete cas", lambda: equal(client.kv.delete("app/a", cas=1), False))
    check("kv.get consistent and stale", lambda: equal([client.kv.get("app/a", consistency=c)[1]["Value"] for c in ("consistent", "stale")], [b"x", b"x"]))

    def transaction():
        value = base64.b64encode(b"both").decode()
        done = client.txn.put([{"KV": {"Verb": "set", "Key": "txn/a", "Value": value}}, {"KV": {"Verb": "get", "Key": "txn/a"}}])
        equal([r["KV"]["Key"] for r in done["Results"]], ["txn/a", "txn/a"])
        equal(client.kv.get("txn/a")[1]["Value"], b"both")

    check("txn.put", transaction)

    def rolled_back():
        try:
            client.txn.put([{"KV": {"Verb": "delete", "Key": "txn/a"}}, {"KV": {"Verb": "check-index", "Key": "app/a", "Index": 1}}])
        except consul.ConsulException as error:
            holds(str(error), "409")
        equal(client.kv.get("txn/a")[1]["Value"], b"both")

    check("a transaction that fails changes nothing", rolled_back)
    check("kv.delete", lambda: equal(client.kv.delete("app/a"), True))
    check("kv.delete recurse", lambda: (equal(client.kv.delete("app/", recurse=True), True), equal(client.kv.get("app/", recurse=True)[1], None))[1])


def sessions():
    made = {}

    def create():
        made["one"] = client.session.create("one", ttl=30, lock_delay=0, behavior="delete")
        made["two"] = client.session.create("two", ttl=30, lock_delay=0)
        equal(len(client.session.list()[1]), 2)

    check("session.create", create)
    one, two = made.get("one"), made.get("two")
    check("session.info", lambda: equal([client.session.info(one)[1][k] for k in ("Name", "Behavior", "TTL")], ["one", "delete", "30s"]))
    check("session.node", lambda: equal(len(client.session.node("compat")[1]), 2))
    check("session.renew", lambda: equal(client.session.renew(one)["ID"], one))
    check("session.renew of one that is not there", lambda: refused_renewal())
    check("a lock", lambda: equal([client.kv.put("lock", "a", acquire=one), client.kv.put("lock", "b", acquire=two)], [True, False]))
    check("the lock names its session", lambda: equal(client.kv.get("lock")[1]["Session"], one))
    check("a lock is released by its holder alone", lambda: equal([client.kv.put("lock", "a", release=two), client.kv.put("lock", "a", release=one)], [False, True]))

    def deletes():
        equal(client.kv.put("lock", "a", acquire=one), True)
        equal(client.session.destroy(one), True)
        equal(client.kv.get("lock")[1], None)

    check("a session that deletes takes its key along", deletes)
    check("session.destroy", lambda: (equal(client.session.destroy(two), True), equal(client.session.list()[1], []))[1])


def refused_renewal():
    try:
        client.session.renew("8f7a2b1c-0000-0000-0000-000000000000")
    except consul.NotFound:
        return
    raise AssertionError("it was renewed")


def events():
    check("event.fire", lambda: equal(client.event.fire("deploy", "v2", service="web")["Name"], "deploy"))
    check("event.list", lambda: eventually(lambda: equal([e["Payload"] for e in client.event.list("deploy")[1]], [b"v2"])))


def queries():
    made = {}

    def create():
        made["id"] = client.query.create("web", name="web-query", onlypassing=True, ttl="10s")["ID"]

    check("query.create", create)
    check("query.get", lambda: equal(client.query.get(made["id"])[0]["Name"], "web-query"))
    check("query.execute", lambda: equal([n["Service"]["ID"] for n in client.query.execute("web-query")["Nodes"]], ["web-1"]))
    check("query.delete", lambda: (equal(client.query.delete(made["id"]), True), equal(client.query.list(), []))[1])
    check("operator.raft_config", lambda: equal([s["Node"] for s in client.operator.raft_config()["Servers"]], ["compat"]))
    check("coordinate.nodes", lambda: equal([n["Node"] for n in eventually(lambda: client.coordinate.nodes()[1] or 1 / 0)], ["compat"]))


def snapshots():
    def there_and_back():
        client.kv.put("snap", "before")
        saved = client.snapshot.save()
        client.kv.put("snap", "after")
        equal(client.snapshot.restore(saved), True)
        eventually(lambda: equal(client.kv.get("snap")[1]["Value"], b"before"))

    check("snapshot.save and restore", there_and_back)


def asynchronous():
    async def go():
        client = consul.aio.Consul(host=HTTP_HOST, port=HTTP_PORT)
        try:
            equal(await client.kv.put("aio", "one"), True)
            index, data = await client.kv.get("aio")
            equal(data["Value"], b"one")
            waiting = asyncio.create_task(client.kv.get("aio", index=index, wait="30s"))
            await asyncio.sleep(0.2)
            await client.kv.put("aio", "two")
            equal((await asyncio.wait_for(waiting, PATIENCE))[1]["Value"], b"two")
            equal([s["Service"]["ID"] for s in (await client.health.service("web"))[1]], ["web-1"])
        finally:
            close = client.close()
            if close is not None:
                await close

    check("with asyncio: keys, a wait, health", lambda: asyncio.run(go()))


def test():
    version(consul.__version__)
    for part in (registration, checks, catalog, blocking, kv, sessions, events, asynchronous, queries):
        part()
    check("a service is deregistered", lambda: equal(client.agent.service.deregister("web-1"), True))
    check("it is gone", lambda: eventually(lambda: equal(client.catalog.service("web")[1], [])))
    snapshots()


main(test, limit=120)
