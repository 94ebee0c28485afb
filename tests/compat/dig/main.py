"""dig, against a registry's DNS. COMPAT_CLIENT is its binary."""

import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from compat import *  # noqa: F403: the words of the house


def dig(*words):
    return run([CLIENT, f"@{DNS_HOST}", "-p", str(DNS_PORT), "+tries=2", "+time=10", *words])


def short(*words):
    return sorted(dig("+short", *words).split("\n"))[1:]


def status(*words):
    said = dig(*words)
    found = re.search("status: ([A-Z]+)", said)
    assert found, said
    return found.group(1)


def answers(*words):
    return int(re.search(r"ANSWER: (\d+)", dig(*words)).group(1))


def lay_out():
    register("web", 8080, "web-1", ["v1", "blue"], Address="10.0.0.1", Weights={"Passing": 3, "Warning": 1})
    register("web", 8081, "web-2", ["v1"], Address="10.0.0.2")
    register("web", 8082, "web-3", ["v1"], Address="10.0.0.3", status="critical")
    register("named", 443, "named-1", Address="host.example.org")
    for n in range(30):
        register("many", 1000 + n, f"many-{n}", Address=f"10.1.0.{n}")
    for name, count in (("web", 2), ("named", 1), ("many", 30)):
        settled(name, count)


def test():
    version(re.search(r"DiG (\S+)", run([CLIENT, "-v"])).group(1))
    lay_out()
    check("A", lambda: equal(short("web.service.consul"), ["10.0.0.1", "10.0.0.2"]))
    check("A over TCP", lambda: equal(short("+tcp", "web.service.consul"), ["10.0.0.1", "10.0.0.2"]))
    check("A by a tag", lambda: equal(short("blue.web.service.consul"), ["10.0.0.1"]))
    check("A of a node", lambda: equal(short("compat.node.consul"), ["127.0.0.1"]))
    check("AAAA where there is none", lambda: equal((status("web.service.consul", "AAAA"), answers("web.service.consul", "AAAA")), ("NOERROR", 0)))
    check("SRV", lambda: equal([line.split()[:3] for line in short("web.service.consul", "SRV")], [["1", "1", "8081"], ["1", "3", "8080"]]))
    check("SRV by RFC 2782", lambda: equal([line.split()[2] for line in short("_web._blue.service.consul", "SRV")], ["8080"]))
    check("SRV to a name", lambda: equal(short("named.service.consul", "SRV"), ["1 1 443 host.example.org."]))
    check("CNAME", lambda: holds(dig("named.service.consul"), "CNAME\thost.example.org."))
    check("ANY", lambda: equal((status("web.service.consul", "ANY"), answers("+tcp", "web.service.consul", "ANY")), ("NOERROR", 2)))
    check("reverse", lambda: equal(short("-x", "127.0.0.1"), ["compat.node.dc1.consul."]))
    check("SOA", lambda: holds(dig("consul", "SOA"), "SOA\tns.consul. hostmaster.consul."))
    check("NXDOMAIN", lambda: equal(status("none.service.consul"), "NXDOMAIN"))
    check("NXDOMAIN with the SOA", lambda: holds(dig("none.service.consul"), "AUTHORITY: 1"))
    check("a question for elsewhere is refused", lambda: equal(status("example.org"), "REFUSED"))
    check("few without EDNS", lambda: equal(answers("+noedns", "many.service.consul"), 3))
    check("all with EDNS", lambda: equal(answers("+bufsize=4096", "many.service.consul"), 30))
    check("all over TCP as SRV", lambda: equal(answers("+tcp", "many.service.consul", "SRV"), 30))
    check("EDNS is answered", lambda: holds(dig("web.service.consul"), "EDNS: version: 0"))
    check("a client's subnet is taken", lambda: equal(status("+subnet=10.0.0.0/8", "web.service.consul"), "NOERROR"))
    check("a cookie does no harm", lambda: equal(status("+cookie", "web.service.consul"), "NOERROR"))
    check("letters of any case come back as they were", lambda: holds(dig("wEb.SeRvIcE.cOnSuL"), ";wEb.SeRvIcE.cOnSuL."))
    check("two questions over one connection", lambda: equal(dig("+tcp", "+keepopen", "+short", "blue.web.service.consul", "compat.node.consul").split(), ["10.0.0.1", "127.0.0.1"]))
    check("a bad opcode is refused", lambda: holds(dig("+opcode=STATUS", "web.service.consul"), "NOTIMP"))
    check("a class that is none of its own is refused", lambda: status("web.service.consul", "CH") in ("REFUSED", "NXDOMAIN", "NOERROR"))


main(test, limit=120)
