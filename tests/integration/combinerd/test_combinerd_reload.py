# SPDX-License-Identifier: BSD-2-Clause
"""SIGHUP: a good file is taken, a bad one changes nothing, and nothing that was acknowledged is lost."""

import os
import signal
import socket
import struct

import pytest

import cmbharness as h
import cmbliar as l
import cmbmany as m
import cmbmodel as p
import cmbserve as v
from test_combinerd_basic import CDS, DNSKEY


def reloaded(comb, word):
    return comb.log_text().count(word)


def test_a_reload_keeps_zone_instructions_and_serial_and_takes_new_settings(pair):
    _, comb = pair
    assert comb.nsupdate(f"update add {h.ZONE} 10 DNSKEY {DNSKEY}\nupdate add {h.ZONE} 10 CDS {CDS}").returncode == 0
    before = comb.axfr()
    contributions = comb.show()["contributions"]
    comb.zone_settings = 'extra-types = [ "CDNSKEY" ];'
    comb.configure()
    comb.signal(signal.SIGHUP)
    h.wait_for(lambda: reloaded(comb, "daemon-reload"), message="reload logged")
    h.wait_for(lambda: comb.soa("msad.") == h.serial_of(before), message="served again")
    assert comb.show()["contributions"] == contributions
    assert set(comb.axfr()) == set(before)
    r = comb.nsupdate(f"update add {h.ZONE} 10 CDNSKEY {DNSKEY}")
    assert r.returncode == 0, r.stderr  # was refused before: the new setting is in force
    assert len(h.apex_set(comb.axfr(), "CDNSKEY")) == 1


def test_more_transfers_may_be_permitted_than_at_the_start(servers, base):
    """Each holds a snapshot of the zone store, which has places for what it was opened with."""
    records = [*l.SOURCE, *(p.record(f'r{i}.{h.ZONE} 300 IN TXT "{"x" * 200}"') for i in range(30000))]
    primary = servers(v.Primary(records, 1000)).start()
    comb = servers(h.Combinerd(base, [primary.where()], settings="transfers-out-max = 1; transfers-in-max = 1;")).start()
    comb.settings = "transfers-out-max = 2000; tcp-per-client-max = 100;"
    comb.configure()
    comb.signal(signal.SIGHUP)
    h.wait_for(lambda: reloaded(comb, "daemon-reload"), message="reload logged")
    wire = v.query("AXFR", "signer.").to_wire()
    clients = [v.reader(comb, rcvbuf=4096) for _ in range(12)]
    for c in clients:
        c.sendall((struct.pack("!H", len(wire)) + wire) * 95)
    h.wait_for(lambda: comb.ctl("status")["transfers_out_now"] == 12 * 96, 180, message="all of them")
    assert len(comb.axfr()) == len(records) + 2
    for c in clients:
        c.close()
    h.wait_for(lambda: comb.ctl("status")["transfers_out_now"] == 0, message="all over")


def test_settings_that_change_nothing_served_do_not_load_the_zone_at_each_start(pair):
    _, comb = pair
    comb.zone_settings = 'extra-types = [ "CDNSKEY" ];'
    comb.configure()
    comb.signal(signal.SIGHUP)
    h.wait_for(lambda: reloaded(comb, "daemon-reload"), message="reload logged")
    h.wait_for(lambda: not comb.ctl("zone list", state="busy"), message="rest")
    comb.stop()
    comb.start(wait=False)
    comb.stop()
    comb.start(wait=False)
    assert comb.ctl("zone list", state="loaded") == []
    assert comb.soa("msad.") == 1000


def test_zones_in_line_for_a_primary_that_is_gone_go_where_the_reload_says(servers, base):
    count = 40
    gone = (h.address(), 5300)
    owner = h.Nsd(base, "owner", h.zone_text(1000))
    text = "@ 300 IN SOA ns.owner.test. host.owner.test. 1 3600 5 86400 60\n@ 300 IN NS ns1.owner.test.\n"
    h.write(f"{owner.dir}/zone", text)
    owner.zone_conf = "".join(f'zone:\n  name: "z{i}.test."\n  zonefile: "{owner.dir}/zone"\n  provide-xfr: 127.0.0.0/8 owner.\n'
                              for i in range(count))
    h.write(f"{owner.dir}/nsd.conf", owner.base_conf + owner.keys + owner.zone_conf)
    servers(owner).spawn("nsd", "-d", "-c", f"{owner.dir}/nsd.conf")
    h.wait_for(lambda: owner.ask("SOA", name="z1.test.", timeout=0.5), message="nsd answers")
    comb = servers(h.Combinerd(base, [gone]))

    def configure(primary):
        comb.primaries = [primary]
        comb.configure()
        with open(comb.conf) as f:
            head, zone = f.read().split("zones = ( {")
        zones = ", ".join(f'{{ name = "z{i}.test."; template = "t"; }}' for i in range(count))
        h.write(comb.conf, head + "templates = ( {" + zone.replace(f'name = "{h.ZONE}";', 'name = "t";') + f"zones = ( {zones} );\n")

    configure(gone)
    comb.start(wait=False)
    h.wait_for(lambda: "refresh-failed" in comb.log_text(), message="nobody there")
    configure(owner.where())
    comb.signal(signal.SIGHUP)
    h.wait_for(lambda: comb.ctl("status")["zones_serving"] == count, timeout=10, message="all of them")


def test_a_bad_file_is_refused_and_the_old_configuration_stays(pair):
    _, comb = pair
    before = comb.axfr()
    comb.settings = 'no-such-setting = 1;'
    comb.configure()
    comb.signal(signal.SIGHUP)
    h.wait_for(lambda: reloaded(comb, "daemon-reload-failed"), message="refusal logged")
    assert "no-such-setting" in comb.log_text()
    assert set(comb.axfr()) == set(before)
    assert comb.nsupdate(f"update add {h.ZONE} 10 DNSKEY {DNSKEY}").returncode == 0


def test_many_reloads_in_a_row_end_well(pair):
    _, comb = pair
    for _ in range(20):
        comb.signal(signal.SIGHUP)
        h.wait_for(lambda: comb.soa("msad.") is not None, message="served")
    assert comb.proc.poll() is None


def test_a_key_file_that_cannot_be_used_is_refused_too(pair):
    _, comb = pair
    before = comb.axfr()
    os.chmod(comb.dir + "/owner.secret", 0o644)
    comb.signal(signal.SIGHUP)
    h.wait_for(lambda: reloaded(comb, "daemon-reload-failed"), message="refusal logged")
    assert "owner.secret" in comb.log_text()
    assert set(comb.axfr()) == set(before)


def test_an_address_that_is_taken_refuses_the_reload_and_serving_goes_on(pair):
    _, comb = pair
    with open(comb.conf) as f:
        text = f.read()
    with socket.socket() as s:
        s.bind((h.address(), 5300))
        s.listen()
        other = s.getsockname()[0]
        h.write(comb.conf, text.replace("listen = ( {", f'listen = ( {{ address = "{other}"; port = 5300; }}, {{'))
        comb.signal(signal.SIGHUP)
        h.wait_for(lambda: reloaded(comb, "daemon-reload-failed"), message="refused")
        assert comb.soa("msad.") == 1000
    comb.signal(signal.SIGHUP)
    h.wait_for(lambda: h.transfer(other, 5300, "signer."), message="served at the new address")
    h.write(comb.conf, text)
    comb.signal(signal.SIGHUP)
    h.wait_for(lambda: not listens(other), message="address given up")
    assert comb.soa("msad.") == 1000


def listens(addr, port=5300):
    with socket.socket() as s:
        return s.connect_ex((addr, port)) == 0


@pytest.fixture
def many(servers, base):
    primary = servers(m.Primary())
    for zone in ("a.test.", "b.test.", "c.test."):
        primary.put(zone, 10, f"www.{zone} 300 IN A 192.0.2.1")
    comb = servers(m.Many(base, primary, ["a.test.", "b.test."], template="coalesce-ms = 0;")).start()
    comb.wait_serial("a.test.", 10)
    comb.wait_serial("b.test.", 10)
    return primary, comb


def test_zones_come_and_go_with_a_reload(many):
    primary, comb = many
    del comb.entries["b.test."]
    comb.entries["c.test."] = ""
    before = primary.count("AXFR") + primary.count("IXFR")
    comb.reload()
    assert comb.rcode_of("b.test.") in ("REFUSED", "NOTAUTH")
    comb.wait_serial("c.test.", 10)
    assert comb.serial("a.test.") == 10
    assert primary.count("AXFR") + primary.count("IXFR") == before + 1  # a.test. was not touched


def test_a_zone_that_was_removed_comes_back_with_its_instructions_and_a_higher_serial(many):
    _, comb = many
    assert comb.rcode(("add", 300, "DNSKEY", DNSKEY), zone="b.test.") == "NOERROR"
    assert comb.serial("b.test.") == 11
    del comb.entries["b.test."]
    comb.reload()
    assert comb.rcode_of("b.test.") in ("REFUSED", "NOTAUTH")
    comb.entries["b.test."] = ""
    comb.reload()
    h.wait_for(lambda: (comb.serial("b.test.") or 0) > 11, message="back, beyond what was handed out")
    assert any(r[2] == "DNSKEY" for r in comb.records("b.test."))


def test_more_zones_than_there_may_be_can_have_been_here_before(many):
    """What is kept of those that are gone is not in the way of those that are there, and is there when they are back."""
    primary, comb = many
    primary.put("d.test.", 10)
    assert comb.rcode(("add", 300, "DNSKEY", DNSKEY), zone="b.test.") == "NOERROR"
    comb.settings = "zones-max = 2;"
    for zones in ("a", "ac", "c", "cd", "d", "db"):
        comb.entries = {f"{z}.test.": "" for z in zones}
        comb.reload()
        for z in zones:
            h.wait_for(lambda: comb.serial(f"{z}.test."), message=z)
    h.wait_for(lambda: (comb.serial("b.test.") or 0) > 11, message="back, beyond what was handed out")
    assert any(r[2] == "DNSKEY" for r in comb.records("b.test."))
    before = comb.serial("b.test.")
    comb.entries = {"d.test.": ""}
    comb.reload()
    comb.stop()
    comb.start()
    assert comb.serial("d.test.") == 10
    comb.entries["b.test."] = ""
    comb.reload()
    h.wait_for(lambda: (comb.serial("b.test.") or 0) >= before, message="back again")
    assert any(r[2] == "DNSKEY" for r in comb.records("b.test."))


def test_a_template_s_new_settings_hold_after_a_reload_and_make_new_versions(many):
    _, comb = many
    comb.template += ' extra-types = [ "CDNSKEY" ];'
    comb.reload()
    assert comb.rcode(("add", 300, "CDNSKEY", DNSKEY), zone="a.test.") == "NOERROR"
    assert any(r[2] == "CDNSKEY" for r in comb.records("a.test."))
    comb.template = "coalesce-ms = 0;"
    comb.reload()
    h.wait_for(lambda: not any(r[2] == "CDNSKEY" for r in comb.records("a.test.")), message="no longer applied")
    assert comb.serial("a.test.") == 12
    assert comb.serial("b.test.") == 10


def big(primary, serial, count=40000):
    primary.put("big.test.", serial, *[f'n{i}.big.test. 300 IN TXT "{"x" * 180} {serial} {i}"' for i in range(count)])


@pytest.fixture
def large(servers, base):
    primary = servers(m.Primary())
    big(primary, 1)
    comb = servers(m.Many(base, primary, ["big.test."])).start()
    comb.wait_serial("big.test.", 1, timeout=60)
    return primary, comb


def test_a_slow_transfer_out_is_not_disturbed_by_reloads_and_new_versions(large):
    primary, comb = large
    whole = m.read_axfr(m.ask_axfr(comb.addr, comb.port, "big.test."))
    slow = m.ask_axfr(comb.addr, comb.port, "big.test.", rcvbuf=65536)
    first = m.read(slow, 100)
    assert comb.ctl("status")["transfers_out_now"] == 1
    comb.template = "history-entries = 7;"
    for _ in range(3):
        comb.reload()
    big(primary, 2, 1)
    comb.template = "max-shrink = 0;"
    comb.reload()
    primary.notify(comb, "big.test.")
    comb.wait_serial("big.test.", 2)
    stream = b"".join(len(w).to_bytes(2, "big") + w for w in whole)
    assert first + m.read(slow, len(stream) - 100) == stream
    slow.close()
    h.wait_for(lambda: comb.ctl("status")["transfers_out_now"] == 0, message="over")


def test_the_zone_of_a_slow_transfer_out_may_be_removed(large):
    primary, comb = large
    slow = m.ask_axfr(comb.addr, comb.port, "big.test.", rcvbuf=65536)
    m.read(slow, 100)
    primary.put("a.test.", 10)
    comb.entries = {"a.test.": ""}
    comb.reload()
    assert comb.rcode_of("big.test.") in ("REFUSED", "NOTAUTH")
    comb.wait_serial("a.test.", 10)
    slow.close()
    h.wait_for(lambda: comb.ctl("status")["transfers_out_now"] == 0, message="over")
    assert comb.serial("a.test.") == 10


def test_a_fetch_under_way_is_not_disturbed_by_a_reload(large):
    primary, comb = large
    primary.gate.clear()
    big(primary, 2)
    asked = primary.count("AXFR") + primary.count("IXFR")
    primary.notify(comb, "big.test.")
    assert primary.waiting.wait(10)
    comb.template = "history-entries = 7;"
    comb.reload()
    comb.reload()
    assert comb.serial("big.test.") == 1
    primary.gate.set()
    comb.wait_serial("big.test.", 2)
    assert primary.count("AXFR") + primary.count("IXFR") == asked + 1


def test_stop_with_a_slow_client_and_a_silent_primary(large):
    primary, comb = large
    slow = m.ask_axfr(comb.addr, comb.port, "big.test.", rcvbuf=65536)
    m.read(slow, 100)
    primary.gate.clear()
    big(primary, 2)
    primary.notify(comb, "big.test.")
    assert primary.waiting.wait(10)
    assert comb.stop() == 0
    slow.close()
