# SPDX-License-Identifier: BSD-2-Clause
"""Many zones: templates, cold and warm start, memory, what is loaded when."""

import pytest

import cmbharness as h
import cmbmany as m
from test_combinerd_basic import DNSKEY

MANY = 2000


def names(count):
    return [f"z{i}.many.test." for i in range(count)]


@pytest.fixture
def primary(servers):
    return servers(m.Primary())


def test_zones_of_a_template_share_what_it_says_and_an_entry_goes_before_it(servers, base, primary):
    for zone in ("a.test.", "b.test.", "c.test."):
        primary.put(zone, 5, f"www.{zone} 300 IN A 192.0.2.1")
    comb = servers(m.Many(base, primary, {"a.test.": "", "b.test.": "max-records = 3;", "c.test.": 'agents = ( { tsig-key = "other."; } );'})).start()
    comb.wait_serial("a.test.", 5)
    h.wait_for(lambda: "max-records" in comb.log_text(), message="b.test. has one record too much")
    assert comb.serial("b.test.") is None
    h.wait_for(lambda: comb.records_or_none("c.test."), message="c.test.")
    assert comb.rcode_of("c.test.") == "REFUSED"  # its own agents replace the template's


def test_all_zones_are_there_after_a_cold_and_after_a_warm_start(servers, base, primary):
    zones = names(MANY)
    for i, zone in enumerate(zones):
        primary.put(zone, i + 1, f"www.{zone} 300 IN A 192.0.2.1")
    comb = servers(m.Many(base, primary, zones, settings="zones-loaded-max = 16;")).start()
    h.wait_for(lambda: comb.log_text().count("version zone=") >= MANY, timeout=90, every=0.2, message="all transferred")
    for i in range(0, MANY, 97):
        assert comb.serial(zones[i]) == i + 1
    assert primary.count("AXFR") + primary.count("IXFR") == MANY
    comb.kill9()
    comb.start()
    for i in range(0, MANY, 97):  # at once: nothing has to come first
        assert comb.serial(zones[i]) == i + 1
    h.wait_for(lambda: primary.count("SOA") >= MANY, timeout=60, every=0.1, message="all asked for")
    assert primary.count("AXFR") + primary.count("IXFR") == MANY
    assert comb.serial(zones[-1]) == MANY


def test_instructions_of_zones_at_rest_are_applied_and_survive_kill_9(servers, base, primary):
    zones = names(60)
    for zone in zones:
        primary.put(zone, 10, f"www.{zone} 300 IN A 192.0.2.1")
    comb = servers(m.Many(base, primary, zones, settings="zones-loaded-max = 16;", template="coalesce-ms = 0;")).start()
    for zone in zones:
        comb.wait_serial(zone, 10)
    for zone in zones:
        assert comb.rcode(("add", 300, "DNSKEY", DNSKEY), zone=zone) == "NOERROR"
        assert comb.serial(zone) == 11
    comb.kill9()
    comb.start()
    for zone in zones:
        assert comb.serial(zone) == 11
        assert any(r[2] == "DNSKEY" for r in comb.records(zone))


def test_a_zone_that_grows_does_not_disturb_the_others(servers, base, primary):
    primary.put("big.test.", 1, *[f"n{i}.big.test. 300 IN A 192.0.2.1" for i in range(5000)])
    primary.put("small.test.", 1)
    comb = servers(m.Many(base, primary, ["big.test.", "small.test."])).start()
    comb.wait_serial("big.test.", 1)
    comb.wait_serial("small.test.", 1)
    primary.gate.clear()
    primary.put("big.test.", 2, *[f"m{i}.big.test. 300 IN A 192.0.2.1" for i in range(5000)])
    primary.notify(comb, "big.test.")
    assert primary.waiting.wait(10)
    primary.put("small.test.", 2)
    primary.notify(comb, "small.test.")
    comb.wait_serial("small.test.", 2)
    assert comb.serial("big.test.") == 1
    assert len(comb.records("big.test.")) == 5005
    primary.gate.set()
    comb.wait_serial("big.test.", 2)


def test_a_template_that_changes_the_rules_makes_new_versions_at_the_next_start(servers, base, primary):
    zones = names(30)
    for zone in zones:
        primary.put(zone, 10)
    comb = servers(m.Many(base, primary, zones, template='extra-types = [ "CDNSKEY" ]; coalesce-ms = 0;')).start()
    for zone in zones:
        comb.wait_serial(zone, 10)
        assert comb.rcode(("add", 300, "CDNSKEY", DNSKEY), zone=zone) == "NOERROR"
        assert any(r[2] == "CDNSKEY" for r in comb.records(zone))
    assert comb.stop() == 0
    comb.template = ""
    comb.configure()
    comb.start()
    for zone in zones:  # served from the first answer on as the settings say now, with a serial of its own
        assert comb.serial(zone) == 12
        assert not any(r[2] == "CDNSKEY" for r in comb.records(zone))
