"""dnspython, against a registry's DNS: a resolver as programs use it, and messages as they are on the wire."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from compat import *  # noqa: F403: the words of the house

import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.resolver
import dns.reversename
import dns.version

resolver = dns.resolver.Resolver(configure=False)
resolver.nameservers = [DNS_HOST]
resolver.port = DNS_PORT
resolver.lifetime = PATIENCE


def texts(name, kind, **options):
    return sorted(rdata.to_text() for rdata in resolver.resolve(name, kind, **options))


def over(send, name, kind, **options):
    return send(dns.message.make_query(name, kind, **options), DNS_HOST, port=DNS_PORT, timeout=PATIENCE)


def raises(kind, ask):
    try:
        answer = ask()
    except kind:
        return
    raise AssertionError(f"it was answered: {answer}")


def lay_out():
    register("web", 8080, "web-1", ["v1", "blue"], Address="10.0.0.1", Weights={"Passing": 3, "Warning": 1})
    register("web", 8081, "web-2", ["v1"], Address="10.0.0.2")
    register("web", 8082, "web-3", ["v1"], Address="10.0.0.3", status="critical")
    register("six", 1, "six-1", Address="fd00::1")
    register("named", 443, "named-1", Address="host.example.org")
    register("local", 9000, "local-1")
    for n in range(40):
        register("many", 1000 + n, f"many-{n}", Address=f"10.1.0.{n}")
    for name, count in (("web", 2), ("six", 1), ("named", 1), ("local", 1), ("many", 40)):
        settled(name, count)


def names():
    check("A gives the healthy alone", lambda: equal(texts("web.service.consul", "A"), ["10.0.0.1", "10.0.0.2"]))
    check("A with the datacenter", lambda: equal(texts("web.service.dc1.consul", "A"), ["10.0.0.1", "10.0.0.2"]))
    check("A by a tag", lambda: equal(texts("blue.web.service.consul", "A"), ["10.0.0.1"]))
    check("names are without case", lambda: equal(texts("WEB.Service.CONSUL", "A"), ["10.0.0.1", "10.0.0.2"]))
    check("AAAA", lambda: equal(texts("six.service.consul", "AAAA"), ["fd00::1"]))
    check("no A where there is only AAAA", lambda: raises(dns.resolver.NoAnswer, lambda: texts("six.service.consul", "A")))
    check("an address of the node", lambda: equal(texts("local.service.consul", "A"), ["127.0.0.1"]))
    check("a service that is not there", lambda: raises(dns.resolver.NXDOMAIN, lambda: texts("none.service.consul", "A")))
    check("a node", lambda: equal(texts("compat.node.consul", "A"), ["127.0.0.1"]))
    check("a name as the address", lambda: equal(texts("named.service.consul", "CNAME"), ["host.example.org."]))
    check("a name in reverse", lambda: equal(texts(dns.reversename.from_address("127.0.0.1"), "PTR"), ["compat.node.dc1.consul."]))
    check("SOA", lambda: holds(resolver.resolve("consul", "SOA")[0].to_text(), "ns.consul. hostmaster.consul."))
    check("NS", lambda: equal(texts("consul", "NS"), ["compat.node.dc1.consul."]))


def records():
    def srv():
        found = sorted((r.port, r.weight, r.priority) for r in resolver.resolve("web.service.consul", "SRV"))
        equal(found, [(8080, 3, 1), (8081, 1, 1)])

    check("SRV has ports and weights", srv)
    check("SRV by RFC 2782", lambda: equal(sorted(r.port for r in resolver.resolve("_web._tcp.service.consul", "SRV")), [8080, 8081]))
    check("SRV by RFC 2782 with a tag", lambda: equal(sorted(r.port for r in resolver.resolve("_web._blue.service.consul", "SRV")), [8080]))

    def additional():
        answer = over(dns.query.tcp, "web.service.consul", "SRV")
        targets = {rdata.target for rrset in answer.answer for rdata in rrset}
        found = {rrset.name for rrset in answer.additional if rrset.rdtype == dns.rdatatype.A}
        assert targets and targets <= found, f"{targets} and {found}"
        equal(sorted(t for t in (texts(target, "A")[0] for target in targets)), ["10.0.0.1", "10.0.0.2"])

    check("SRV brings the addresses of its targets, and they can be asked for", additional)
    check("resolve_name", lambda: equal([a for a in resolver.resolve_name("six.service.consul").addresses()], ["fd00::1"]))


def wire():
    def negative():
        answer = over(dns.query.udp, "none.service.consul", "A")
        equal((answer.rcode(), [r.rdtype for r in answer.authority]), (dns.rcode.NXDOMAIN, [dns.rdatatype.SOA]))

    check("what is not there has the SOA with it", negative)

    def authoritative():
        answer = over(dns.query.udp, "web.service.consul", "A")
        assert answer.flags & dns.flags.AA, dns.flags.to_text(answer.flags)
        equal({rrset.ttl for rrset in answer.answer}, {0})

    check("answers are authoritative and not to be kept", authoritative)
    check("few over UDP without EDNS", lambda: equal(sum(len(r) for r in over(dns.query.udp, "many.service.consul", "A").answer), 3))

    def edns():
        answer = over(dns.query.udp, "many.service.consul", "A", use_edns=0, payload=4096)
        assert sum(len(r) for r in answer.answer) > 3
        equal(answer.edns, 0)

    check("more over UDP with EDNS", edns)
    check("all over TCP", lambda: equal(sum(len(r) for r in over(dns.query.tcp, "many.service.consul", "A").answer), 40))
    check("all over TCP as SRV", lambda: equal(sum(len(r) for r in over(dns.query.tcp, "many.service.consul", "SRV").answer), 40))
    check("the order changes", lambda: eventually(lambda: differ()))
    check("a question for elsewhere is refused", lambda: equal(over(dns.query.udp, "example.org", "A").rcode(), dns.rcode.REFUSED))


def differ():
    first = [texts_in_order() for _ in range(5)]
    assert len(set(first)) > 1, first


def texts_in_order():
    return tuple(r.to_text() for r in resolver.resolve("many.service.consul", "A", tcp=True))


def changes():
    def leaves():
        set_health("web-2", "critical")
        eventually(lambda: equal(texts("web.service.consul", "A"), ["10.0.0.1"]))

    check("an instance that fails is left out", leaves)

    def gone():
        deregister("web-1")
        eventually(lambda: raises(dns.resolver.NXDOMAIN, lambda: texts("web.service.consul", "A")))

    check("without a healthy one the name is not there", gone)


def test():
    version(dns.version.version)
    lay_out()
    for part in (names, records, wire, changes):
        part()


main(test, limit=120)
