# SPDX-License-Identifier: BSD-2-Clause
"""Guards at the door: limits that refuse, and a shrinking that waits for an operator; what is served stays what it was."""

import pytest

import cmbharness as h
import cmbliar as l
import cmbmodel as m

START = [*l.SOURCE, *l.FILLER]


@pytest.fixture
def setup(servers, base):
    def make(settings, records=START, **kw):
        primary = servers(l.Liar(records, **kw)).start()
        comb = servers(h.Combinerd(base, [primary.where()], zone_settings=settings)).start()
        l.wait_served(comb, primary.records(), "first transfer")
        h.wait_for(lambda: comb.show()["refresh_state"] == "waiting", message="rest")
        primary.forget()
        return primary, comb
    return make


def trouble(comb, text):
    def look():
        return text in comb.log_text()
    h.wait_for(look, message=text)


@pytest.mark.parametrize("ixfr", [True, False])
@pytest.mark.parametrize("setting,name,add", [
    ("max-records = 80;", "max-records", [l.a(f"x{i}") for i in range(30)]),
    ("max-rrset = 200;", "max-rrset", [l.a("big", f"192.0.2.{i}") for i in range(60)]),
    ("max-names = 70;", "max-names", [l.a(f"x{i}") for i in range(100)]),
], ids=["records", "rrset", "names"])
def test_limits_refuse_and_the_served_version_stays(setup, ixfr, setting, name, add):
    primary, comb = setup(setting, ixfr=ixfr)
    before = comb.axfr()
    primary.change(add=add)
    m.notify(comb.where(), "owner.")
    trouble(comb, name)
    h.wait_for(lambda: comb.show()["refresh_state"] == "waiting", message="rest")
    assert comb.axfr() == before
    primary.change(delete=add, add=[l.a("fine")])
    m.notify(comb.where(), "owner.")
    l.wait_served(comb, primary.records(), "the next one is fine")


@pytest.mark.parametrize("ixfr", [True, False])
def test_a_zone_that_shrinks_too_much_is_held_and_fetched_once(setup, ixfr):
    primary, comb = setup("max-shrink = 20;", ixfr=ixfr)
    before = comb.axfr()
    primary.change(delete=l.FILLER[:30])
    m.notify(comb.where(), "owner.")
    trouble(comb, "version-held")
    h.wait_for(lambda: comb.show()["refresh_state"] == "waiting", message="rest")
    assert comb.axfr() == before
    fetched = primary.count("AXFR") + primary.count("IXFR")
    for _ in range(3):  # its serial is known: it is asked for, and not fetched again
        asked = primary.count("SOA")
        m.notify(comb.where(), "owner.")
        h.wait_for(lambda: primary.count("SOA") > asked and comb.show()["refresh_state"] == "waiting", message="another round")
    assert primary.count("AXFR") + primary.count("IXFR") == fetched
    assert comb.axfr() == before
    primary.change(add=l.FILLER[:28])  # the owner sees to it
    m.notify(comb.where(), "owner.")
    l.wait_served(comb, primary.records(), "corrected")


def test_what_is_held_can_be_accepted(setup):
    primary, comb = setup("max-shrink = 20;")
    primary.change(delete=l.FILLER[:30])
    m.notify(comb.where(), "owner.")
    trouble(comb, "version-held")
    comb.ctl("combiner accept", zone=h.ZONE)
    l.wait_served(comb, primary.records(), "accepted")
    primary.change(add=[l.a("next")])
    m.notify(comb.where(), "owner.")
    l.wait_served(comb, primary.records(), "and on it goes")
    assert l.transfers(comb)[-1] == "IXFR"


def test_what_is_held_confirms_nothing(setup):
    primary, comb = setup("max-shrink = 20; refresh-max = 1; retry-max = 1; expire-min = 4; expire-max = 4;")
    primary.change(delete=l.FILLER[:30])
    m.notify(comb.where(), "owner.")
    trouble(comb, "version-held")
    trouble(comb, "zone-expired")
    comb.ctl("combiner accept", zone=h.ZONE)
    l.wait_served(comb, primary.records(), "accepted, and alive")


def test_another_primary_with_a_good_version_is_not_hidden_by_one_that_shrinks(servers, base):
    bad, good = servers(l.Liar(START)).start(), servers(l.Liar(START)).start()
    comb = servers(h.Combinerd(base, [bad.where(), good.where()], zone_settings="max-shrink = 20;")).start()
    l.wait_served(comb, good.records())
    bad.change(delete=l.FILLER[:30], serial=2000)
    good.change(add=[l.a("one")])
    m.notify(comb.where(), "owner.")
    l.wait_served(comb, good.records())


@pytest.mark.parametrize("rows", [
    lambda: [m.soa(1001), m.soa(1001)],
    lambda: [m.soa(1001), l.a("x"), m.soa(1001)],
], ids=["nothing but SOA", "no NS"])
def test_soa_and_ns_must_be_there(setup, rows):
    primary, comb = setup("max-shrink = 0;")
    before = comb.axfr()
    primary.script["SOA"] = lambda q, held: [m.soa(1001)]
    primary.script["IXFR"] = primary.script["AXFR"] = lambda q, held: rows()
    m.notify(comb.where(), "owner.")
    trouble(comb, "no NS RRset")
    assert comb.axfr() == before
