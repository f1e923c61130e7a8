# SPDX-License-Identifier: BSD-2-Clause
"""Several primaries, keys, addresses, transports; NOTIFYs in any number."""

import socket
import ssl
import time

import dns.exception
import pytest

import cmbharness as h
import cmbliar as l
import cmbmodel as m
from test_combinerd_chain import Certificate, TlsCombinerd


def combinerd(servers, base, primaries, settings="", changes=(), start=True, **kw):
    comb = servers(h.Combinerd(base, [p.where() for p in primaries], zone_settings=settings, **kw))
    l.edit_conf(comb, *changes)
    return comb.start() if start else comb


def go(primary, comb, message=""):
    m.notify(comb.where(), "owner.")
    l.wait_served(comb, primary.records(), message)
    h.wait_for(lambda: comb.show()["owner_serial"] == primary.serial, message="serial")


class Dead:
    """An address where nobody listens."""

    def __init__(self):
        self.addr, self.port = h.address(), 5300

    def where(self):
        return self.addr, self.port


def test_a_dead_primary_does_not_matter_when_there_is_another(servers, base):
    good = servers(l.Liar()).start()
    comb = combinerd(servers, base, [Dead(), good])
    good.change(add=[l.a("one")])
    go(good, comb)
    good.change(add=[l.a("two")])
    begin = time.monotonic()
    go(good, comb)
    assert time.monotonic() - begin < 5  # the dead one is known by now: nobody waits for its time-outs again


def test_a_primary_that_is_behind_does_not_hide_one_that_is_ahead(servers, base):
    behind, ahead = servers(l.Liar()).start(), servers(l.Liar()).start()
    comb = combinerd(servers, base, [behind, ahead])
    ahead.change(add=[l.a("one")])
    go(ahead, comb)
    assert behind.count("SOA") >= 1


def test_a_lying_primary_is_passed_over(servers, base):
    liar, good = servers(l.Liar()).start(), servers(l.Liar()).start()
    comb = combinerd(servers, base, [liar, good])
    liar.script["SOA"] = lambda q, held: [m.soa(5000)]
    liar.script["IXFR"] = liar.script["AXFR"] = lambda q, held: [m.soa(5000), l.a("evil"), m.soa(5001)]
    good.change(add=[l.a("one")])
    go(good, comb)
    assert liar.count("AXFR") >= 1  # it was given its chance


def test_the_source_of_a_notify_is_asked_first(servers, base):
    first, second = servers(l.Liar()).start(), servers(l.Liar()).start()
    comb = combinerd(servers, base, [first, second])
    first.forget()
    second.forget()
    second.change(add=[l.a("one")])
    notify_from(second, comb)
    l.wait_served(comb, second.records())
    assert first.queries == []


def notify_from(primary, comb, key="owner."):
    import dns.flags
    import dns.message
    import dns.opcode
    import dns.query
    q = dns.message.make_query(h.ZONE, "SOA", use_edns=-1)
    q.flags = dns.flags.AA | dns.opcode.to_flags(dns.opcode.NOTIFY)
    q.use_tsig(h.KEYRING, key)
    return dns.query.udp(q, comb.addr, port=comb.port, timeout=5, source=primary.addr)


def test_notifies_in_any_number_make_one_query_in_flight_and_one_queued(servers, base):
    primary = servers(l.Liar()).start()
    comb = combinerd(servers, base, [primary])
    h.wait_for(lambda: comb.show()["refresh_state"] == "waiting", message="rest")
    primary.forget()
    primary.gate.clear()
    for _ in range(200):
        m.notify(comb.where(), "owner.")
    assert primary.count("SOA") == 1
    primary.gate.set()
    h.wait_for(lambda: comb.show()["refresh_state"] == "waiting", message="rest after the storm")
    assert primary.count("SOA") == 2
    for _ in range(20):
        m.notify(comb.where(), "owner.")
        h.wait_for(lambda: comb.show()["refresh_state"] == "waiting", message="rest")
    assert primary.count("SOA") <= 2 + 2 * 20


@pytest.mark.parametrize("where", ["first", "later"])
def test_key_rollover(servers, base, where):
    primary = servers(l.Liar()).start()
    primary.keys = {"other."} if where == "first" else {"owner."}
    comb = combinerd(servers, base, [primary], changes=[('tsig-key = "owner."', 'tsig-key = "owner."; tsig-key-next = "other."')])
    primary.keys = {"other."}
    primary.change(add=[l.a("one")])
    go(primary, comb)
    primary.forget()
    primary.change(add=[l.a("two")])
    go(primary, comb, "the key that worked is remembered")
    assert "other-key" in comb.log_text()
    primary.keys = {"owner."}  # rolled back
    primary.change(add=[l.a("three")])
    go(primary, comb, "back again")


def test_key_rollover_with_a_real_primary(servers, base):
    class Rolled(h.Bind):
        def spawn(self, *argv, **kw):
            path = f"{self.dir}/named.conf"
            with open(path) as f:
                text = f.read()
            h.write(path, text.replace('key "owner." {', 'key "gone." {'))
            super().spawn(*argv, **kw)
    owner = servers(Rolled(base, "owner", h.zone_text(1), key="other."))
    owner.start()
    comb = combinerd(servers, base, [owner], changes=[('tsig-key = "owner."', 'tsig-key = "owner."; tsig-key-next = "other."')])
    assert l.served(comb) == h.content(owner.axfr("other."))


def test_a_wrong_key_is_told_and_nothing_is_taken(servers, base):
    primary = servers(l.Liar()).start()
    primary.keys = {"signer."}
    comb = combinerd(servers, base, [primary], start=False).start(wait=False)
    h.wait_for(lambda: "NOTAUTH" in comb.log_text(), message="the reason")
    with pytest.raises((dns.exception.DNSException, EOFError, OSError)):
        comb.axfr()


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(("::1", 0))
        return True
    except OSError:
        return False


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on loopback")
def test_ipv6(servers, base):
    class Six(l.Liar):
        def start(self):
            import socketserver
            socketserver.ThreadingTCPServer.address_family = socketserver.ThreadingUDPServer.address_family = socket.AF_INET6
            try:
                return super().start()
            finally:
                socketserver.ThreadingTCPServer.address_family = socketserver.ThreadingUDPServer.address_family = socket.AF_INET
    primary = Six(addr="::1")
    primary.port = h.port()
    servers(primary).start()
    comb = servers(h.Combinerd(base, [primary.where()]))
    l.edit_conf(comb, (f'source = "{comb.addr}"; tsig-key = "owner."', 'tsig-key = "owner."'))
    comb.start()
    primary.change(add=[l.a("one")])
    go(primary, comb)
    assert l.transfers(comb) == ["AXFR", "IXFR"]


def test_the_source_address_is_the_one_of_the_settings(servers, base):
    with socket.create_server((h.address(), 5300)) as s:
        s.settimeout(20)
        addr = s.getsockname()
        comb = servers(h.Combinerd(base, [addr]))
        comb.start(wait=False)
        conn, peer = s.accept()
        conn.close()
        assert peer[0] == comb.addr


def test_a_primary_that_comes_to_life_is_used_soon(servers, base):
    primary = l.Liar()
    comb = combinerd(servers, base, [primary], start=False).start(wait=False)
    h.wait_for(lambda: "refresh-failed" in comb.log_text(), message="first failure")
    servers(primary).start()
    m.notify(comb.where(), "owner.")
    l.wait_served(comb, primary.records(), timeout=30)


def test_half_open_primaries_cost_their_zone_only(servers, base):
    """One accepts and says nothing; another zone's primary is asked all the same, and the second of this zone, too."""
    with socket.create_server((h.address(), 5300), backlog=64) as s:
        silent = Dead()
        silent.addr, silent.port = s.getsockname()
        good = servers(l.Liar()).start()
        comb = combinerd(servers, base, [silent, good], settings="transfer-idle = 1;")
        l.wait_served(comb, good.records(), timeout=30)


def test_expiry_while_all_primaries_are_dead_and_back(servers, base):
    primary = servers(l.Liar(refresh=1)).start()
    comb = combinerd(servers, base, [primary], settings="refresh-max = 1; retry-max = 1; expire-min = 3; expire-max = 3;")
    l.wait_served(comb, primary.records())
    primary.script["SOA"] = primary.script["AXFR"] = primary.script["IXFR"] = "SERVFAIL"
    h.wait_for(lambda: "zone-expired" in comb.log_text(), message="expiry")
    with pytest.raises((dns.exception.DNSException, EOFError, OSError)):
        comb.axfr()
    primary.script.clear()
    m.notify(comb.where(), "owner.")
    l.wait_served(comb, primary.records(), "alive again")


ZONES = 300


class ManyZones(h.Nsd):
    """The same zone under many names."""

    def __init__(self, base, name):
        super().__init__(base, name, "@ 300 IN SOA ns.owner.test. host.owner.test. 1 3600 5 86400 60\n@ 300 IN NS ns1.owner.test.\n")
        self.zone_conf = "".join(f'zone:\n  name: "z{i}.test."\n  zonefile: "{self.dir}/zone"\n  provide-xfr: 127.0.0.0/8 owner.\n'
                                 for i in range(ZONES))
        h.write(f"{self.dir}/nsd.conf", self.base_conf + self.keys + self.zone_conf)

    def start(self):
        self.spawn("nsd", "-d", "-c", f"{self.dir}/nsd.conf")
        h.wait_for(lambda: self.ask("SOA", name="z1.test.", timeout=0.5), message="nsd answers")
        return self


def test_many_zones_do_not_wait_for_a_silent_primary_one_after_the_other(servers, base):
    owner = servers(ManyZones(base, "owner")).start()
    with socket.create_server((h.address(), 5300), backlog=100) as hole:
        comb = servers(h.Combinerd(base, [hole.getsockname(), owner.where()], zone_settings="transfer-idle = 1;"))
        with open(comb.conf) as f:
            head, zone = f.read().split("zones = ( {")
        zones = ", ".join(f'{{ name = "z{i}.test."; template = "t"; }}' for i in range(ZONES))
        h.write(comb.conf, head + "templates = ( {" + zone.replace(f'name = "{h.ZONE}";', 'name = "t";') + f"zones = ( {zones} );\n")
        comb.start(wait=False)
        h.wait_for(lambda: comb.ctl("status")["zones_serving"] == ZONES, timeout=30, message="all of them")
        # those that were there first found it out, the others were spared
        assert comb.log_text().count("refresh-failed") <= 64


class TlsLiar(l.Liar):
    """Streams are TLS; UDP is as it was, and must not be asked."""

    def __init__(self, certificate, **kw):
        super().__init__(**kw)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_3
        self.context.set_alpn_protocols(["dot"])
        self.context.load_cert_chain(certificate.cert, certificate.key)

    def start(self):
        super().start()
        s = self.servers[0]
        s.socket = self.context.wrap_socket(s.socket, server_side=True)
        return self


@pytest.fixture
def tls(servers, base):
    own, owners = Certificate(base, "combiner.test"), Certificate(base, "owner.test")
    primary = servers(TlsLiar(owners)).start()
    comb = servers(TlsCombinerd(base, primary.where(), owners, own)).start()
    l.wait_served(comb, primary.records())
    primary.forget()
    return primary, comb


def test_over_tls_ixfr_asks_and_fetches_in_one(tls):
    primary, comb = tls
    m.notify(comb.where(), "owner.")
    h.wait_for(lambda: primary.queries and comb.show()["refresh_state"] == "waiting", message="nothing new")
    assert [q for q, _ in primary.queries] == ["IXFR"]
    primary.change(add=[l.a("one")])
    go(primary, comb)
    assert {q for q, _ in primary.queries} == {"IXFR"} and all(is_tcp for _, is_tcp in primary.queries)
    assert l.transfers(comb) == ["AXFR", "IXFR"]


@pytest.mark.parametrize("lie", ["inconsistent", "NOTIMP", "whole"])
def test_over_tls_whatever_is_wrong_the_whole_zone_is_taken(tls, lie):
    primary, comb = tls
    if lie == "whole":
        primary.ixfr = False
    else:
        primary.script["IXFR"] = lie if lie == "NOTIMP" else lambda q, held: l.diff(1000, 1001, delete=[l.a("nobody")])
    primary.change(add=[l.a("one")])
    go(primary, comb)
    asked = [q for q, _ in primary.queries]
    assert asked == {"inconsistent": ["IXFR", "AXFR"], "NOTIMP": ["IXFR", "SOA", "AXFR"], "whole": ["IXFR"]}[lie]
    assert all(is_tcp for _, is_tcp in primary.queries)
    primary.forget()
    primary.script.clear()
    primary.change(add=[l.a("two")])
    go(primary, comb)
    assert [q for q, _ in primary.queries][0] == ("SOA" if lie == "NOTIMP" else "IXFR")


def test_over_tls_a_wrong_certificate_gets_nothing_and_gives_nothing(servers, base):
    own, right, wrong = Certificate(base, "combiner.test"), Certificate(base, "right.test"), Certificate(base, "wrong.test")
    primary = servers(TlsLiar(wrong)).start()
    comb = servers(TlsCombinerd(base, primary.where(), right, own)).start(wait=False)
    h.wait_for(lambda: "refresh-failed" in comb.log_text(), message="refusal")
    assert primary.queries == []
    assert "transfer-in" not in comb.log_text()
