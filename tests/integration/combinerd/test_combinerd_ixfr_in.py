# SPDX-License-Identifier: BSD-2-Clause
"""IXFR in: from real primaries, and from one that gets it wrong in every way that RFC 1995 and RFC 8945 know of."""

import pytest

import cmbharness as h
import cmbliar as l
import cmbmodel as m


def with_setting(kind, file, old, new):
    """A server that has one more line in its configuration."""
    class Server(kind):
        def spawn(self, *argv, **kw):
            path = f"{self.dir}/{file}"
            with open(path) as f:
                text = f.read()
            assert old in text
            h.write(path, text.replace(old, new))
            super().spawn(*argv, **kw)
    return Server


Knot = with_setting(h.Knot, "knot.conf", "zonefile-sync: -1", "zonefile-sync: -1\n    zonefile-load: difference")
Bind = with_setting(h.Bind, "named.conf", "type primary;", "type primary; ixfr-from-differences yes;")


@pytest.fixture
def setup(servers, base):
    """A primary of ours with version 1000, and a combinerd that serves it."""
    def make(records=l.SOURCE, settings="", **kw):
        primary = servers(l.Liar(records, **kw)).start()
        comb = servers(h.Combinerd(base, [primary.where()], zone_settings=settings)).start()
        l.wait_served(comb, primary.records(), "first transfer")
        primary.forget()
        return primary, comb
    return make


def go(primary, comb, message=""):
    m.notify(comb.where(), "owner.")
    l.wait_served(comb, primary.records(), message)
    h.wait_for(lambda: comb.show()["owner_serial"] == primary.serial, message="serial")


@pytest.mark.parametrize("kind", [Knot, Bind], ids=["knot", "bind"])
def test_differences_from_real_primaries(servers, base, kind):
    owner = servers(kind(base, "owner", h.zone_text(1, [f"n{i}.{h.ZONE} 300 IN A 192.0.2.1" for i in range(50)])))
    comb = servers(h.Combinerd(base, [owner.where()]))
    owner.notify = comb.where()
    owner.start()
    comb.start()
    for step in range(1, 6):
        owner.change(h.zone_text(1 + step, [f"n{i}.{h.ZONE} 300 IN A 192.0.2.{1 + step if i == step else 1}" for i in range(50 + step)]))
        h.wait_for(lambda: owner.soa("owner.") == 1 + step, message="the owner's own serial")
        m.notify(comb.where(), "owner.")
        want = h.content(owner.axfr("owner."))
        h.wait_for(lambda: l.served(comb) == want, message=f"step {step}")
    kinds = l.transfers(comb)
    assert kinds[0] == "AXFR" and kinds[1:] == ["IXFR"] * (len(kinds) - 1) and len(kinds) >= 2, kinds


def test_one_and_several_versions(setup):
    primary, comb = setup()
    primary.change(add=[l.a("one")])
    go(primary, comb, "one version")
    primary.change(delete=[l.a("one")], add=[l.a("two"), l.a("three")])
    primary.change(delete=[l.a("two")])
    primary.change(add=[l.a("one", "192.0.2.99"), m.record(f'{h.ZONE} 300 IN TXT "second"')])
    go(primary, comb, "three at once")
    assert l.transfers(comb) == ["AXFR", "IXFR", "IXFR"]
    assert primary.count("AXFR") == 0 and primary.count("IXFR") == 2
    assert all(is_tcp for q, is_tcp in primary.queries if q == "IXFR")  # never by UDP


def test_apex_and_hsync_by_differences(setup):
    primary, comb = setup()
    one = m.record(h.hsync(h.OTHER))
    primary.change(delete=[one, m.record(f"{h.ZONE} 300 IN NS ns2.owner.test.")], add=[m.record(f"{h.ZONE} 300 IN NS ns3.owner.test.")])
    go(primary, comb)
    assert h.apex_set(comb.axfr(), "NS") == {r[3] for r in m.wire(primary.records()) if r[2] == "NS"}
    assert l.transfers(comb)[-1] == "IXFR"
    # and with another TTL: all of them go, all of them come
    ns = [r for r in primary.records() if r[2] == 2]
    primary.change(delete=ns, add=[(n, 60, t, rd) for n, _, t, rd in ns])
    go(primary, comb)
    assert {r[1] for r in comb.axfr() if r[2] == "NS"} == {60}


def test_whole_zone_in_answer_to_ixfr(setup):
    primary, comb = setup()
    primary.ixfr = False
    primary.change(add=[l.a("one")])
    go(primary, comb)
    assert l.transfers(comb) == ["AXFR", "AXFR"] and primary.count("AXFR") == 0


def test_nothing_new_is_a_confirmation(setup):
    primary, comb = setup()
    before = comb.show()
    primary.script["SOA"] = lambda q, held: [m.soa(1001)]  # says that it has something, and has nothing
    m.notify(comb.where(), "owner.")
    h.wait_for(lambda: primary.count("IXFR") == 1, message="IXFR")
    h.wait_for(lambda: comb.show()["refresh_state"] == "waiting", message="end of the round")
    after = comb.show()
    assert after["serial"] == before["serial"] and primary.count("AXFR") == 0
    assert "refresh-failed" not in comb.log_text()


def sneak(*rows):
    return lambda q, held: list(rows)


GOOD = l.a("www", "192.0.2.1")
LIES = {
    "deletes what is not there": sneak(*l.diff(1000, 1001, delete=[l.a("nobody")])),
    "deletes another value": sneak(*l.diff(1000, 1001, delete=[l.a("www", "192.0.2.2")])),
    "deletes an apex record that is not there": sneak(*l.diff(1000, 1001, delete=[m.record(f"{h.ZONE} 300 IN NS nobody.test.")])),
    "adds what is there": sneak(*l.diff(1000, 1001, add=[GOOD])),
    "adds an apex record that is there": sneak(*l.diff(1000, 1001, add=[m.record(f"{h.ZONE} 300 IN NS ns1.owner.test.")])),
    "adds an HSYNC that is there": sneak(*l.diff(1000, 1001, add=[m.record(h.hsync(h.OTHER))])),
    "adds the same twice": sneak(*l.diff(1000, 1001, add=[l.a("x"), l.a("x")])),
    "leaves another serial": sneak(*l.diff(999, 1001)),
    "leaves a SOA that is not ours": sneak(*l.diff(1000, 1001, refresh=1)),
    "chain with a gap": sneak(m.soa(1003), m.soa(1000), m.soa(1001), m.soa(1002), m.soa(1003), m.soa(1003)),
    "goes backwards": sneak(m.soa(1001), m.soa(1000), m.soa(999), m.soa(1001)),
    "ends before the end": sneak(m.soa(1001), m.soa(1000), m.soa(1001), m.soa(1000), m.soa(1001)),
    "takes the last NS": sneak(*l.diff(1000, 1001, delete=[r for r in l.SOURCE if r[2] == 2])),
    "NOTIMP": "NOTIMP",
    "FORMERR": "FORMERR",
    "SERVFAIL": "SERVFAIL",
    "REFUSED": "REFUSED",
}


@pytest.mark.parametrize("lie", LIES, ids=[x.replace(" ", "-") for x in LIES])
def test_whatever_is_wrong_the_whole_zone_is_taken_at_once(setup, lie):
    primary, comb = setup()
    primary.script["IXFR"] = LIES[lie]
    primary.change(add=[l.a("fresh")], serial=1003 if "gap" in lie else None)
    go(primary, comb, lie)
    assert primary.count("IXFR") == 1 and primary.count("AXFR") == 1 and primary.count("SOA") == 1, primary.queries
    assert l.transfers(comb) == ["AXFR", "AXFR"]
    # that IXFR is not to be had is remembered, that one was wrong is not
    primary.change(add=[l.a("fresher")])
    del primary.script["IXFR"]
    go(primary, comb, lie + ", next version")
    assert l.transfers(comb)[-1] == ("AXFR" if lie in ("NOTIMP", "FORMERR", "SERVFAIL", "REFUSED") else "IXFR")


@pytest.mark.parametrize("batch", [1, 3, 1000])
def test_the_last_message_must_be_signed(setup, batch):
    primary, comb = setup()
    primary.unsigned, primary.batch = (0,), batch
    primary.change(add=[l.a("forged")])
    m.notify(comb.where(), "owner.")
    h.wait_for(lambda: "refresh-failed" in comb.log_text(), message="refusal")
    assert l.served(comb) == h.content({*m.wire(primary.records(1000))})
    assert comb.show()["owner_serial"] == 1000
    primary.unsigned = (1,) if batch == 1 else ()  # others may go without
    go(primary, comb, "signed at the end")


@pytest.mark.parametrize("cut", [0, 1, 4])
def test_a_cut_connection_leaves_the_last_good_version(setup, cut):
    primary, comb = setup([*l.SOURCE, *l.FILLER])
    before = l.served(comb)
    primary.batch, primary.cut = 5, cut
    primary.change(delete=l.FILLER[:20], add=[l.a(f"x{i}") for i in range(20)])
    m.notify(comb.where(), "owner.")
    h.wait_for(lambda: "refresh-failed" in comb.log_text(), message="failure")
    assert l.served(comb) == before
    primary.cut = None
    go(primary, comb, "whole again")  # and nothing of the half is left in it


def test_differences_are_not_asked_for_when_told_so(setup):
    primary, comb = setup(settings="ixfr = false;")
    primary.change(add=[l.a("one")])
    go(primary, comb)
    assert primary.count("IXFR") == 0 and primary.count("AXFR") == 1


def test_duplicates_in_a_whole_zone_collapse_and_differences_fit_afterwards(setup):
    primary, comb = setup([*l.SOURCE, l.a("twice")])
    primary.script["AXFR"] = lambda q, held: [m.soa(1000), *l.SOURCE, l.a("twice"), m.record(f'twice.{h.ZONE} 300 IN TXT "x"'),
                                              l.a("twice"), m.soa(1000)]
    comb.ctl("combiner retransfer", zone=h.ZONE)
    h.wait_for(lambda: primary.count("AXFR") == 1 and len(l.transfers(comb)) == 2, message="retransfer")
    assert sum(r[0] == f"twice.{h.ZONE}" and r[2] == "A" for r in comb.axfr()) == 1
    primary.versions[1000].add(m.record(f'twice.{h.ZONE} 300 IN TXT "x"'))
    primary.change(delete=[l.a("twice")])
    go(primary, comb)
    assert l.transfers(comb)[-1] == "IXFR"
    assert not any(r[0] == f"twice.{h.ZONE}" and r[2] == "A" for r in comb.axfr())


def test_signatures_that_go_make_the_whole_zone_be_looked_at(setup):
    sig = m.record(f"{h.ZONE} 300 IN RRSIG SOA 13 2 300 20400101000000 20200101000000 1 {h.ZONE} AAAA")
    other = m.record(f"{h.ZONE} 300 IN RRSIG SOA 13 2 300 20410101000000 20200101000000 1 {h.ZONE} AAAA")
    primary, comb = setup()
    primary.change(add=[sig])
    go(primary, comb)
    assert comb.show()["pass_through"] is True and l.transfers(comb)[-1] == "IXFR"
    primary.change(delete=[sig], add=[other])
    go(primary, comb)
    assert comb.show()["pass_through"] is True and l.transfers(comb)[-1] == "IXFR"
    primary.change(delete=[other])
    go(primary, comb)
    assert comb.show()["pass_through"] is False and l.transfers(comb)[-1] == "AXFR"
