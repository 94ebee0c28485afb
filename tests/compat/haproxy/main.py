"""HAProxy, which finds its servers by DNS: SRV for address and port, A for the address alone. COMPAT_CLIENT is its binary."""

import csv
import os
import re
import socket
import sys
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from backends import Backend
from compat import *  # noqa: F403: the words of the house

BY_SRV, BY_TAG, BY_A, STATS = (free_port() for _ in range(4))

# A tenth of a second in place of HAProxy's own ten: the program is to be over soon.
CONFIG = f"""
global
    stats socket ipv4@127.0.0.1:{STATS} level admin

defaults
    mode http
    timeout connect 2s
    timeout client 10s
    timeout server 10s
    option redispatch
    retries 3

resolvers registry
    nameserver one {DNS_HOST}:{DNS_PORT}
    accepted_payload_size 8192
    resolve_retries 3
    timeout resolve 100ms
    timeout retry 500ms
    hold valid 100ms
    hold obsolete 100ms
    hold nx 100ms
    hold other 1s
    hold refused 1s
    hold timeout 1s

frontend by_srv
    bind 127.0.0.1:{BY_SRV}
    default_backend by_srv

frontend by_tag
    bind 127.0.0.1:{BY_TAG}
    default_backend by_tag

frontend by_a
    bind 127.0.0.1:{BY_A}
    default_backend by_a

backend by_srv
    balance roundrobin
    server-template web 5 _web._tcp.service.consul resolvers registry init-addr none

backend by_tag
    balance roundrobin
    server-template blue 5 _web._blue.service.consul resolvers registry init-addr none

backend by_a
    balance roundrobin
    server-template fixed 5 fixed.service.consul:PORT resolvers registry resolve-prefer ipv4 init-addr none
"""


def ask(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
        return answer.read().decode()


def served_by(port, names):
    """So many requests as there are places in turn are answered by all of these and by nobody else."""
    eventually(lambda: equal(sorted({ask(port) for _ in range(12)}), sorted(names)))


def stats(command):
    with socket.create_connection(("127.0.0.1", STATS), timeout=10) as stream:
        stream.sendall(command.encode() + b"\n")
        return b"".join(iter(lambda: stream.recv(65536), b"")).decode()


def servers(backend):
    rows = csv.DictReader(stats("show stat").lstrip("# ").splitlines())
    return sorted(row["addr"] for row in rows if row["pxname"] == backend and row["svname"] != "BACKEND" and row["status"].startswith(("UP", "no check")))


def test():
    version(re.search(r"version (\S+)", run([CLIENT, "-v"])).group(1))
    one, two, three, sick, moved = (Backend(name, f"127.0.1.{n}") for n, name in enumerate(("one", "two", "three", "sick", "moved"), 1))
    register("web", one.port, "web-1", ["blue"], Address=one.host)
    register("web", two.port, "web-2", Address=two.host, Weights={"Passing": 10, "Warning": 1})
    register("web", sick.port, "web-4", Address=sick.host, status="critical")
    fixed = Backend("a", "127.0.2.1")
    other = Backend("b", "127.0.2.2", fixed.port)
    for each in (fixed, other):
        register("fixed", each.port, f"fixed-{each.name}", Address=each.host)
    settled("web", 2)
    settled("fixed", 2)

    path = os.path.join(DIR, "haproxy.cfg")
    with open(path, "w") as file:
        file.write(CONFIG.replace("PORT", str(fixed.port)))
    check("the settings are taken", lambda: run([CLIENT, "-c", "-f", path]) and None)
    serve([CLIENT, "-db", "-f", path], STATS)
    address = lambda *all: sorted(f"{each.host}:{each.port}" for each in all)

    check("SRV: the healthy are asked, and the critical is not", lambda: served_by(BY_SRV, ["one", "two"]))
    check("SRV: the servers have the registered addresses and ports", lambda: equal(servers("by_srv"), address(one, two)))
    check("SRV by a tag", lambda: served_by(BY_TAG, ["one"]))
    check("A: all addresses are asked", lambda: served_by(BY_A, ["a", "b"]))
    check("A: the servers have the registered addresses", lambda: equal(servers("by_a"), address(fixed, other)))

    register("web", three.port, "web-3", Address=three.host)
    check("SRV: one that comes is asked", lambda: served_by(BY_SRV, ["one", "two", "three"]))
    set_health("web-2", "critical")
    check("SRV: one that fails is asked no more", lambda: served_by(BY_SRV, ["one", "three"]))
    set_health("web-2", "passing")
    check("SRV: one that is well again is asked again", lambda: served_by(BY_SRV, ["one", "two", "three"]))
    deregister("web-1")
    check("SRV: one that leaves is asked no more", lambda: served_by(BY_SRV, ["two", "three"]))

    register("web", moved.port, "web-3", Address=moved.host)
    check("SRV: one that moves is asked at its new place", lambda: served_by(BY_SRV, ["moved", "two"]))
    deregister("fixed-a")
    check("A: one that leaves is asked no more", lambda: served_by(BY_A, ["b"]))

    def resolved():
        seen = {}
        for line in stats("show resolvers registry").splitlines():
            name, _, count = line.partition(":")
            if count.strip().isdigit():
                seen[name.strip()] = int(count)
        assert seen["valid"] > 10, seen
        bad = ("invalid", "too_big", "truncated", "refused")
        equal({name: seen[name] for name in bad}, dict.fromkeys(bad, 0))

    check("no answer was invalid, truncated or refused", resolved)
    for id in ("web-2", "web-3"):
        deregister(id)

    def none_left():
        try:
            said = ask(BY_SRV)
        except urllib.error.HTTPError as error:
            equal(error.code, 503)
            return
        raise AssertionError(f"answered by {said}")

    check("SRV: with nobody left nobody is asked", lambda: eventually(none_left))


main(test, limit=120)
