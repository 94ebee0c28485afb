"""Consul's own command, against a registry. COMPAT_CLIENT is its binary."""

import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from compat import *  # noqa: F403: the words of the house


def consul(*words, stdin="", code=0):
    return run([CLIENT, *words], stdin=stdin, code=code, env={"CONSUL_HTTP_ADDR": HTTP})


def refused(*words, stdin=""):
    return consul(*words, stdin=stdin, code=1)


def write(name, text):
    path = os.path.join(DIR, name)
    with open(path, "w") as file:
        file.write(text)
    return path


def rows(text):
    """A table of the command: each line as its words."""
    return [line.split() for line in text.strip().splitlines()]


def services():
    hcl = write(
        "web.hcl",
        """
service {
  name = "web"
  id = "web-1"
  port = 8080
  tags = ["v1", "blue"]
  meta = { team = "shop" }
  check {
    id = "web-up"
    ttl = "10m"
    status = "passing"
  }
}
""",
    )
    many = write(
        "many.json",
        json.dumps(
            {
                "services": [
                    {"name": "db", "id": "db-1", "port": 5432, "address": "10.0.0.1"},
                    {"name": "db", "id": "db-2", "port": 5433, "weights": {"passing": 3, "warning": 1}},
                ]
            }
        ),
    )
    check("services register: a file in HCL", lambda: holds(consul("services", "register", hcl), "Registered service: web"))

    def as_written():
        found = ask("GET", "/v1/agent/service/web-1")
        equal((found["Port"], found["Tags"], found["Meta"]), (8080, ["v1", "blue"], {"team": "shop"}))
        equal([c["CheckID"] for c in ask("GET", "/v1/agent/checks").values() if c["ServiceID"] == "web-1"], ["web-up"])

    check("services register: all of it is there", as_written)
    check("services register: several in a file in JSON", lambda: equal(consul("services", "register", many).count("Registered service: db"), 2))
    check(
        "services register: by flags",
        lambda: holds(
            consul("services", "register", "-name=cache", "-id=cache-1", "-port=6379", "-address=10.0.0.9", "-tag=a", "-tag=b", "-meta=k=v"),
            "Registered service: cache",
        ),
    )

    def by_flags():
        found = ask("GET", "/v1/agent/service/cache-1")
        equal((found["Port"], found["Address"], found["Tags"], found["Meta"]), (6379, "10.0.0.9", ["a", "b"], {"k": "v"}))

    check("services register: the flags are there", by_flags)
    bad = write("bad.json", json.dumps({"service": {"name": "web", "port": 1, "check": {"ttl": "nonsense"}}}))
    check("services register: a wrong duration is refused", lambda: holds(refused("services", "register", bad).lower(), "error"))
    settled("web", 1)
    settled("db", 2)
    settled("cache", 1)


def catalog():
    check("catalog datacenters", lambda: equal(consul("catalog", "datacenters"), "dc1\n"))
    check("catalog services", lambda: equal(consul("catalog", "services"), "cache\nconsul\ndb\nweb\n"))
    check("catalog services -tags", lambda: holds(rows(consul("catalog", "services", "-tags")), ["web", "blue,v1"]))
    check("catalog services -node", lambda: equal(consul("catalog", "services", "-node=compat"), "cache\nconsul\ndb\nweb\n"))
    check("catalog services -node of a node that is not there", lambda: equal(consul("catalog", "services", "-node=none").strip(), "No services match the given query - try expanding your search."))

    def nodes():
        head, row = rows(consul("catalog", "nodes"))
        equal(head, ["Node", "ID", "Address", "DC"])
        equal((row[0], row[2:]), ("compat", ["127.0.0.1", "dc1"]))
        assert re.fullmatch("[0-9a-f]{8}", row[1]), row

    check("catalog nodes", nodes)

    def detailed():
        head, row = rows(consul("catalog", "nodes", "-detailed"))
        equal(head, ["Node", "ID", "Address", "DC", "TaggedAddresses", "Meta"])
        assert re.fullmatch("[0-9a-f-]{36}", row[1]), row
        holds(" ".join(row), "lan=127.0.0.1")

    check("catalog nodes -detailed", detailed)
    check("catalog nodes -service", lambda: equal(len(rows(consul("catalog", "nodes", "-service=web"))), 2))
    check("catalog nodes -service of one that is not there", lambda: holds(consul("catalog", "nodes", "-service=none"), "No nodes match the given query"))
    check("catalog nodes -filter", lambda: equal(len(rows(consul("catalog", "nodes", '-filter=Node == "compat"'))), 2))
    check("catalog nodes -near", lambda: equal(len(rows(consul("catalog", "nodes", "-near=_agent"))), 2))
    check("another datacenter is refused", lambda: holds(refused("catalog", "nodes", "-datacenter=none"), "No path to datacenter"))


def kv():
    check("kv put", lambda: equal(consul("kv", "put", "app/name", "web"), "Success! Data written to: app/name\n"))
    check("kv get", lambda: equal(consul("kv", "get", "app/name"), "web\n"))
    check("kv put from standard input, with flags", lambda: holds(consul("kv", "put", "-flags=42", "app/stdin", "-", stdin="two\nlines"), "Success"))

    def detailed():
        said = {row[0]: row[1:] for row in rows(consul("kv", "get", "-detailed", "app/stdin")) if row}
        equal((said["Flags"], said["Key"], said["LockIndex"], said["Session"]), (["42"], ["app/stdin"], ["0"], ["-"]))

    check("kv get -detailed", detailed)
    from_file = write("value.txt", "from a file")
    check("kv put from a file", lambda: holds(consul("kv", "put", "app/sub/file", f"@{from_file}"), "Success"))
    check("kv put -base64", lambda: holds(consul("kv", "put", "-base64", "app/b64", "aGVsbG8="), "Success"))
    check("kv get -base64", lambda: equal(consul("kv", "get", "-base64", "app/b64"), "aGVsbG8=\n"))
    check("kv put of an empty value", lambda: holds(consul("kv", "put", "app/empty"), "Success"))
    check("kv get of an empty value", lambda: equal(consul("kv", "get", "app/empty"), "\n"))
    check("kv get -recurse", lambda: equal(consul("kv", "get", "-recurse", "app/"), "app/b64:hello\napp/empty:\napp/name:web\napp/stdin:two\nlines\napp/sub/file:from a file\n"))
    check("kv get -recurse -detailed", lambda: equal(consul("kv", "get", "-recurse", "-detailed", "app/").count("ModifyIndex"), 5))
    check("kv get -keys", lambda: equal(consul("kv", "get", "-keys", "app/"), "app/b64\napp/empty\napp/name\napp/stdin\napp/sub/\n"))
    check("kv get -keys -separator", lambda: equal(consul("kv", "get", "-keys", "-separator=", "app/s"), "app/stdin\napp/sub/file\n"))
    check("kv get of a key that is not there", lambda: equal(refused("kv", "get", "none"), "Error! No key exists at: none\n"))

    def index():
        return str(ask("GET", "/v1/kv/app/name")[0]["ModifyIndex"])

    check("kv put -cas with an old index is refused", lambda: holds(refused("kv", "put", "-cas", "-modify-index=1", "app/name", "x"), "CAS failed"))
    check("kv put -cas with the index", lambda: holds(consul("kv", "put", "-cas", f"-modify-index={index()}", "app/name", "shop"), "Success"))
    check("kv delete -cas with an old index is refused", lambda: holds(refused("kv", "delete", "-cas", "-modify-index=1", "app/name"), "CAS failed"))
    check("kv delete -cas with the index", lambda: holds(consul("kv", "delete", "-cas", f"-modify-index={index()}", "app/name"), "Success! Deleted key: app/name"))
    exported = {}

    def export():
        exported["text"] = consul("kv", "export", "app/")
        equal([row["key"] for row in json.loads(exported["text"])], ["app/b64", "app/empty", "app/stdin", "app/sub/file"])
        equal({row["key"]: row["flags"] for row in json.loads(exported["text"])}["app/stdin"], 42)

    check("kv export", export)
    check("kv delete -recurse", lambda: equal(consul("kv", "delete", "-recurse", "app/"), "Success! Deleted keys with prefix: app/\n"))
    check("kv delete of a key that is not there", lambda: equal(consul("kv", "delete", "none"), "Success! Deleted key: none\n"))
    check("kv import", lambda: equal(consul("kv", "import", "-", stdin=exported["text"]).count("Imported: "), 4))
    check("kv import brings back what was exported", lambda: equal(json.loads(consul("kv", "export", "app/")), json.loads(exported["text"])))


def session(name):
    return ask("PUT", "/v1/session/create", {"Name": name, "TTL": "60s", "LockDelay": "0s"})["ID"]


def locks():
    def acquired():
        id = session("by hand")
        holds(consul("kv", "put", "-acquire", f"-session={id}", "held", "x"), "Lock acquired on: held")
        other = session("other")
        holds(refused("kv", "put", "-acquire", f"-session={other}", "held", "y"), "Did not acquire lock")
        holds(consul("kv", "get", "-detailed", "held"), id)
        holds(consul("kv", "put", "-release", f"-session={id}", "held", "x"), "Lock released on: held")
        for each in (id, other):
            ask("PUT", f"/v1/session/destroy/{each}")

    check("kv put -acquire and -release", acquired)
    child = 'echo "held by $$"; test -n "$CONSUL_LOCK_HELD"'
    check("lock runs its child under the lock", lambda: holds(consul("lock", "job", child), "held by "))

    def given_back():
        """No key is held at once, and no session lives on for longer than twice its TTL: the command may not wait for its end."""
        lines = consul("kv", "get", "-recurse", "-detailed", "job").splitlines()
        equal([line for line in lines if line.startswith("Session") and not line.endswith("-")], [])
        eventually(lambda: equal(ask("GET", "/v1/session/list"), []), patience=40)

    check("lock gives the lock back", given_back)
    check("lock -child-exit-code", lambda: holds(consul("lock", "-child-exit-code", "job", "exit 2", code=2), "exit status 2"))
    check("lock -n is a semaphore", lambda: holds(consul("lock", "-n=2", "seats", "echo seated"), "seated"))

    def held():
        # The holder lives until its standard input ends.
        holder = start(
            [CLIENT, "lock", "-http-addr", HTTP, "-pass-stdin", "job", "echo got it; cat >/dev/null"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        equal(holder.stdout.readline(), "got it\n")
        holds(refused("lock", "-try=1s", "job", "echo never"), "lock acquisition")
        waiter = start([CLIENT, "lock", "-http-addr", HTTP, "job", "echo my turn"], stdout=subprocess.PIPE, text=True)
        holder.stdin.close()
        equal(holder.wait(PATIENCE), 0)
        equal(waiter.communicate(timeout=PATIENCE)[0], "my turn\n")

    check("lock -try gives up, and a waiter gets the lock after the holder", held)


class Watch:
    """`consul watch` with a child that writes what it gets into a file, a line for each call."""

    count = 0

    def __init__(self, *words):
        Watch.count += 1
        self.path = os.path.join(DIR, f"watch-{Watch.count}")
        open(self.path, "w").close()
        # Each call is one write of one line, so that no half of one is read.
        child = f'said=$(cat); printf "%s\\n" "$said" >> {self.path}'
        self.process = start([CLIENT, "watch", f"-http-addr={HTTP}", *words, child], stdout=subprocess.DEVNULL)

    def saw(self, test):
        """Waits until the newest call got what passes the test."""

        def newest():
            with open(self.path) as file:
                calls = file.read().splitlines()
            assert calls, "it was not called"
            value = json.loads(calls[-1])
            assert test(value), f"got {calls[-1]}"

        eventually(newest)

    def end(self):
        self.process.kill()
        self.process.wait()


def watched(name, words, before, change, after):
    """A watch shows what is there, then the change, and its one-time form what is there now."""

    def test():
        watch = Watch(*words)
        try:
            watch.saw(before)
            change()
            watch.saw(after)
            assert after(json.loads(consul("watch", *words))), "the one-time form differs"
        finally:
            watch.end()

    check(f"watch -type={name}", test)


def watches():
    put = lambda key, value: ask("PUT", f"/v1/kv/{key}", value)
    put("w/one", "1")
    watched("key", ["-type=key", "-key=w/one"], lambda v: v["Value"] == "MQ==", lambda: put("w/one", "2"), lambda v: v["Value"] == "Mg==")
    watched("keyprefix", ["-type=keyprefix", "-prefix=w/"], lambda v: len(v) == 1, lambda: put("w/two", "2"), lambda v: len(v) == 2)
    watched("services", ["-type=services"], lambda v: "late" not in v, lambda: register("late", 1), lambda v: "late" in v)
    watched(
        "nodes",
        ["-type=nodes"],
        lambda v: [n["Node"] for n in v] == ["compat"],
        lambda: ask("PUT", "/v1/catalog/register", {"Node": "other", "Address": "10.0.0.2"}),
        lambda v: [n["Node"] for n in v] == ["compat", "other"],
    )
    watched(
        "service",
        ["-type=service", "-service=late", "-passingonly=true"],
        lambda v: [i["Service"]["Port"] for i in v] == [1],
        lambda: set_health("late", "critical"),
        lambda v: v == [],
    )
    watched(
        "service -tag",
        ["-type=service", "-service=late", "-tag=new"],
        lambda v: v == [],
        lambda: register("late", 1, tags=["new"]),
        lambda v: [i["Service"]["Tags"] for i in v] == [["new"]],
    )
    watched(
        "checks",
        ["-type=checks", "-state=warning"],
        lambda v: v == [],
        lambda: set_health("late", "warning"),
        lambda v: [c["ServiceID"] for c in v] == ["late"],
    )
    watched(
        "checks -service",
        ["-type=checks", "-service=late"],
        lambda v: [c["Status"] for c in v] == ["warning"],
        lambda: set_health("late", "passing"),
        lambda v: [c["Status"] for c in v] == ["passing"],
    )
    ask("PUT", "/v1/catalog/deregister", {"Node": "other"})
    deregister("late")


def events():
    def fired():
        assert re.fullmatch("Event ID: [0-9a-f-]{36}\n", consul("event", "-name=deploy", "-service=web", "payload"))
        last = eventually(lambda: ask("GET", "/v1/event/list?name=deploy")[-1])
        equal((last["Name"], last["Payload"], last["ServiceFilter"]), ("deploy", "cGF5bG9hZA==", "web"))

    check("event", fired)
    check("event without a name is refused", lambda: holds(refused("event"), "Event name must be specified"))
    watched(
        "event",
        ["-type=event", "-name=deploy"],
        lambda v: [e["Payload"] for e in v] == ["cGF5bG9hZA=="],
        lambda: consul("event", "-name=deploy", "-service=web", "again"),
        lambda v: v[-1]["Payload"] == "YWdhaW4=",
    )


def maintenance():
    check("maint -enable -service", lambda: holds(consul("maint", "-enable", "-service=web-1", "-reason=upgrade"), "Service maintenance is now enabled for \"web-1\""))
    check("maint takes the instance out", lambda: settled("web", 0))

    def listed():
        said = consul("maint")
        for part in ("Service:", "web-1", "Reason:", "upgrade"):
            holds(said, part)

    check("maint lists what is in maintenance", listed)
    check("maint -disable -service", lambda: holds(consul("maint", "-disable", "-service=web-1"), "disabled"))
    check("maint gives the instance back", lambda: settled("web", 1))
    check("maint -enable of the node", lambda: holds(consul("maint", "-enable", "-reason=moving"), "Node maintenance is now enabled"))
    check("maint of the node takes all instances out", lambda: settled("db", 0))
    check("maint lists the node", lambda: holds(consul("maint"), "moving"))
    check("maint -disable of the node", lambda: holds(consul("maint", "-disable"), "Node maintenance is now disabled"))
    check("maint of the node gives them back", lambda: settled("db", 2))
    check("maint of an instance that is not there is refused", lambda: holds(refused("maint", "-enable", "-service=none"), "none"))


def agent():
    def members():
        head, row = rows(consul("members"))
        equal(head[:4], ["Node", "Address", "Status", "Type"])
        equal((row[0], row[1].split(":")[0], row[2], row[3], row[6]), ("compat", "127.0.0.1", "alive", "server", "dc1"))

    check("members", members)
    check("members -detailed", lambda: holds(consul("members", "-detailed"), "role=consul"))
    check("members -status", lambda: equal(consul("members", "-status=left", code=2), ""))

    def info():
        said = consul("info")
        for part in ("agent:", "check_monitors = ", "consul:", "leader = true", "server = true", "runtime:"):
            holds(said, part)

    check("info", info)
    check("rtt of the node to itself", lambda: eventually(lambda: holds(consul("rtt", "compat", "compat"), "Estimated compat <-> compat rtt")))
    check("operator raft list-peers", lambda: holds(consul("operator", "raft", "list-peers"), "leader"))
    check("operator autopilot get-config", lambda: holds(consul("operator", "autopilot", "get-config"), "CleanupDeadServers = true"))
    check("keyring -list without encryption is refused", lambda: holds(refused("keyring", "-list"), "encryption not enabled"))
    check("config list", lambda: equal(consul("config", "list", "-kind=service-defaults"), ""))


def strangers(path):
    """The archive as the other registry would have made it: Raft's snapshots are of version 1, Portolan's of 1000."""
    with tarfile.open(path) as archive:
        files = {file.name: archive.extractfile(file).read() for file in archive}
    meta = json.loads(files["meta.json"])
    version = meta["Version"]
    files["meta.json"] = json.dumps({**meta, "Version": 1001 - version}).encode()
    sums = [f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in ("meta.json", "state.bin")]
    files["SHA256SUMS"] = "".join(sums).encode()
    other = os.path.join(DIR, "other.snap")
    # As Go ends an archive: newer Consuls count what is behind it.
    tarfile.RECORDSIZE = tarfile.BLOCKSIZE
    with tarfile.open(other, "w:gz") as archive:
        for name, content in files.items():
            file = tarfile.TarInfo(name)
            file.size = len(content)
            archive.addfile(file, io.BytesIO(content))
    return version, other


def snapshot():
    path = os.path.join(DIR, "state.snap")

    def save():
        ask("PUT", "/v1/kv/snap/key", "before")
        holds(consul("snapshot", "save", path), "Saved and verified snapshot to index")

    check("snapshot save", save)
    check("snapshot inspect", lambda: holds(consul("snapshot", "inspect", path), "Version"))

    def restore():
        ask("PUT", "/v1/kv/snap/key", "after")
        holds(consul("snapshot", "restore", path), "Restored snapshot")
        eventually(lambda: equal(consul("kv", "get", "snap/key"), "before\n"))

    check("snapshot restore", restore)

    def strange():
        ask("PUT", "/v1/kv/snap/key", "kept")
        version, other = strangers(path)
        holds(refused("snapshot", "restore", other), "unsupported snapshot version 1000" if version == 1 else "a snapshot of Consul's")
        equal(consul("kv", "get", "snap/key"), "kept\n")

    check("snapshot restore of the other's archive is refused, and changes nothing", strange)
    bad = write("bad.snap", "this is no snapshot")
    check("snapshot restore of what is none is refused", lambda: holds(refused("snapshot", "restore", bad), "Error"))


def end():
    check("services deregister by -id", lambda: holds(consul("services", "deregister", "-id=cache-1"), "Deregistered service: cache-1"))
    check("services deregister by a file", lambda: equal(consul("services", "deregister", os.path.join(DIR, "many.json")).count("Deregistered service: db-"), 2))
    check("services deregister by a file in HCL", lambda: holds(consul("services", "deregister", os.path.join(DIR, "web.hcl")), "Deregistered service: web-1"))
    check("what is deregistered is gone", lambda: eventually(lambda: equal(consul("catalog", "services"), "consul\n")))
    # A Consul that keeps nothing on disk forgets at a reload what was registered: so it comes last.
    check("reload", lambda: holds(consul("reload"), "Configuration reload triggered"))


def test():
    version(re.search(r"v(\S+)", run([CLIENT, "version"])).group(1))
    for part in (services, catalog, kv, locks, watches, events, maintenance, agent, end, snapshot):
        part()


main(test, limit=240)
