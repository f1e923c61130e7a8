# SPDX-License-Identifier: BSD-2-Clause
"""Catalog zones (RFC 9432) as their consumer."""

import subprocess

import dns.flags
import dns.message
import dns.opcode
import dns.query
import pytest

import cmbharness as h
import cmbmany as m
from test_combinerd_basic import DNSKEY

CAT, CAT2 = "catalog.test.", "second.test."
CATALOGS = f'''catalogs = ( {{ zone = "{CAT}"; template = "t"; groups = ( {{ group = "special"; template = "other"; }} ); }},
                           {{ zone = "{CAT2}"; template = "t"; }} );'''


class World:
    def __init__(self, servers, base):
        self.primary = servers(m.Primary())
        self.serial = {}
        for zone in ("a.test.", "b.test.", "c.test."):
            self.primary.put(zone, 10, f"www.{zone} 300 IN A 192.0.2.1")
        self.comb = servers(m.Many(base, self.primary, [CAT, CAT2], settings=CATALOGS, template="coalesce-ms = 0; max-shrink = 0;"))

    def publish(self, members, name=CAT, wait=True, **kw):
        """A new version of the catalog; returns when its pass is over."""
        self.serial[name] = self.serial.get(name, 0) + 1
        self.primary.put(name, self.serial[name], *m.catalog(name, members, **kw))
        if self.comb.proc is None:
            return
        before = self.passes(name)
        self.primary.notify(self.comb, name)
        if wait:
            h.wait_for(lambda: self.passes(name) > before, message=f"pass over; log: {self.comb.dir}/log")

    def passes(self, name):
        text = self.comb.log_text()
        return text.count(f"catalog catalog={name}") + text.count(f"catalog-broken catalog={name}")

    def start(self, members, second=None):
        self.publish(members)
        self.publish(second or {}, CAT2)
        self.comb.start()
        h.wait_for(lambda: self.passes(CAT) and self.passes(CAT2), message="catalogs")

    def served(self, zone):
        self.comb.wait_serial(zone, 10)

    def gone(self, zone):
        h.wait_for(lambda: self.comb.rcode_of(zone) in ("REFUSED", "NOTAUTH"), message=f"{zone} gone")


@pytest.fixture
def world(servers, base):
    return World(servers, base)


def test_members_come_and_go(world):
    world.start({"u1": "a.test."})
    world.served("a.test.")
    world.publish({"u1": "a.test.", "u2": "b.test."})
    world.served("b.test.")
    world.publish({"u2": "b.test."})
    world.gone("a.test.")
    assert world.comb.serial("b.test.") == 10
    assert world.comb.serial(CAT) == 3  # the catalog itself is a zone like any other


def test_members_are_served_at_once_after_a_restart(world):
    world.start({"u1": "a.test.", "u2": "b.test."})
    world.served("a.test.")
    world.served("b.test.")
    world.comb.kill9()
    world.primary.stop()
    world.comb.start()
    assert world.comb.serial("a.test.") == 10
    assert world.comb.serial("b.test.") == 10


def test_instructions_and_serial_of_a_member_outlive_its_removal(world):
    world.start({"u1": "a.test."})
    world.served("a.test.")
    assert world.comb.rcode(("add", 300, "DNSKEY", DNSKEY), zone="a.test.") == "NOERROR"
    assert world.comb.serial("a.test.") == 11
    world.publish({})
    world.gone("a.test.")
    world.publish({"u1": "a.test."})
    h.wait_for(lambda: (world.comb.serial("a.test.") or 0) > 11, message="back, with a serial beyond what was handed out")
    assert any(r[2] == "DNSKEY" for r in world.comb.records("a.test."))


def test_another_unique_label_resets_the_zone(world):
    world.start({"u1": "a.test."})
    world.served("a.test.")
    assert world.comb.rcode(("add", 300, "DNSKEY", DNSKEY), zone="a.test.") == "NOERROR"
    world.publish({"u9": "a.test."})
    assert "catalog-member-reset" in world.comb.log_text()
    h.wait_for(lambda: (world.comb.serial("a.test.") or 0) > 11, message="transferred anew, no serial used twice")
    assert not any(r[2] == "DNSKEY" for r in world.comb.records("a.test."))


def test_the_group_says_the_template_and_may_change(world):
    world.start({"u1": ("a.test.", 'group TXT "special"'), "u2": ("b.test.", 'group TXT "unknown"')})
    world.served("a.test.")
    world.served("b.test.")
    change = ("add", 300, "DNSKEY", DNSKEY)
    assert world.comb.rcode(change, zone="a.test.", key="other.") == "NOERROR"
    assert world.comb.rcode(change, zone="b.test.", key="other.") in ("REFUSED", "NOTAUTH")
    world.publish({"u1": "a.test.", "u2": ("b.test.", 'group TXT "x"', 'group TXT "special"')})
    assert world.comb.rcode(("delete", "DNSKEY"), zone="a.test.", key="other.") in ("REFUSED", "NOTAUTH")
    assert world.comb.rcode(change, zone="b.test.", key="other.") == "NOERROR"


@pytest.mark.parametrize("broken,why", [
    (dict(version=None), "no version"),
    (dict(version="1"), "version other than 2"),
    (dict(extra=[f'version.{CAT} 0 IN TXT "3"']), "more than one version"),
    (dict(extra=[f"u2.zones.{CAT} 0 IN PTR c.test."]), "more than one PTR"),
    (dict(extra=[f"u3.zones.{CAT} 0 IN PTR b.test."]), "listed twice"),
])
def test_a_broken_catalog_changes_nothing(world, broken, why):
    world.start({"u1": "a.test."})
    world.served("a.test.")
    world.publish({"u2": "b.test."}, **broken)
    assert "catalog-broken" in world.comb.log_text() and why in world.comb.log_text()
    assert world.comb.serial("a.test.") == 10
    assert world.comb.rcode_of("b.test.") in ("REFUSED", "NOTAUTH")
    world.publish({"u2": "b.test."})
    world.served("b.test.")
    world.gone("a.test.")


def test_a_name_that_is_configured_or_in_another_catalog_is_refused(world):
    world.comb.entries["c.test."] = ""
    world.comb.configure()
    world.start({"u1": "a.test.", "u2": "c.test.", "u3": CAT}, second={"v1": "a.test.", "v2": "b.test."})
    world.served("b.test.")
    world.served("a.test.")
    world.served("c.test.")
    text = world.comb.log_text()
    assert text.count("catalog-member-refused") >= 3
    assert "another catalog has it" in text and "it is configured" in text
    loser = CAT if f"catalog-member-refused catalog={CAT} zone=a.test." in text else CAT2
    world.publish({"u2": "c.test."} if loser == CAT else {"v2": "b.test."}, loser)  # gone from the one that never had it
    assert world.comb.serial("a.test.") == 10
    assert world.comb.serial("c.test.") == 10


def test_a_member_moves_to_another_catalog_with_coo_and_keeps_its_state(world):
    world.start({"u1": "a.test."})
    world.served("a.test.")
    assert world.comb.rcode(("add", 300, "DNSKEY", DNSKEY), zone="a.test.") == "NOERROR"
    world.publish({"u1": "a.test."}, CAT2)
    assert "another catalog has it" in world.comb.log_text()
    world.publish({"u1": ("a.test.", f"coo PTR {CAT2}")})
    h.wait_for(lambda: world.comb.log_text().count(f"catalog catalog={CAT2}") >= 3, message="the other one looked again")
    world.publish({})
    assert world.comb.serial("a.test.") == 11
    assert any(r[2] == "DNSKEY" for r in world.comb.records("a.test."))
    world.publish({}, CAT2)
    world.gone("a.test.")


def test_unknown_properties_are_ignored(world):
    world.start({"u1": ("a.test.", 'color TXT "red"', "ext.x TXT \"y\"")})
    world.served("a.test.")


def test_the_shrink_guard_holds_for_catalogs(world):
    world.comb.template = "coalesce-ms = 0; max-shrink = 50;"
    world.comb.configure()
    world.start({f"u{i}": f"m{i}.test." for i in range(40)} | {"ua": "a.test."})
    world.served("a.test.")
    world.publish({"u1": "m1.test."}, wait=False)
    h.wait_for(lambda: "version-held" in world.comb.log_text(), message="held")
    assert world.comb.serial("a.test.") == 10
    world.comb.ctl("combiner accept", zone=CAT)
    world.gone("a.test.")


def test_a_catalog_that_is_no_longer_configured_takes_its_members_with_it(world):
    world.start({"u1": "a.test.", "u2": "b.test."}, second={"v1": "c.test."})
    for zone in ("a.test.", "b.test.", "c.test."):
        world.served(zone)
    world.comb.settings = f'catalogs = ( {{ zone = "{CAT2}"; template = "t"; }} );'
    world.comb.reload()
    world.gone("a.test.")
    world.gone("b.test.")
    assert world.comb.serial("c.test.") == 10
    assert world.comb.serial(CAT) is not None


def test_two_thousand_members_come_without_a_pause(world):
    members = {f"u{i}": f"z{i}.many.test." for i in range(2000)}
    for zone in members.values():
        world.primary.put(zone, 10)
    world.start(members)
    h.wait_for(lambda: world.comb.log_text().count("version zone=z") >= 2000, timeout=90, every=0.2, message="all there")
    world.publish({k: v for k, v in members.items() if k.endswith("7")})
    world.gone("z0.many.test.")
    assert world.comb.serial("z7.many.test.") == 10


class KnotProducer(h.Server):
    """Knot as the catalog's primary. It answers questions about a catalog over TCP only."""

    def __init__(self, base):
        super().__init__(base, "producer")
        self.addr, self.port = h.address(), 5300

    def members(self, *zones):
        text = f"""server:
    listen: {self.addr}@{self.port}
    rundir: {self.dir}
database:
    storage: {self.dir}
log:
  - target: stdout
    any: debug
acl:
  - id: all
    address: 127.0.0.0/8
    action: transfer
zone:
  - domain: {CAT}
    catalog-role: generate
    storage: {self.dir}
    acl: all
"""
        for zone in zones:
            h.write(f"{self.dir}/{zone}zone", f"{zone} 300 IN SOA ns.test. host.test. 10 3600 600 86400 60\n{zone} 300 IN NS ns.test.\n")
            text += f"""  - domain: {zone}
    file: {self.dir}/{zone}zone
    storage: {self.dir}
    zonefile-sync: -1
    catalog-role: member
    catalog-zone: {CAT}
    acl: all
"""
        h.write(f"{self.dir}/knot.conf", text)
        if self.proc is not None:
            subprocess.run(["knotc", "-s", f"{self.dir}/knot.sock", "-b", "reload"], check=True, capture_output=True)

    def start(self):
        self.spawn("knotd", "-c", f"{self.dir}/knot.conf")
        h.wait_for(lambda: self.ask("SOA", name="a.test.", timeout=0.5).answer, message="knot answers")

    def notify(self, comb):
        q = dns.message.make_query(CAT, "SOA", use_edns=-1)
        q.flags = dns.flags.AA | dns.opcode.to_flags(dns.opcode.NOTIFY)
        dns.query.udp(q, comb.addr, port=comb.port, source=self.addr, timeout=2)


def test_members_of_a_catalog_that_knot_makes_come_and_go(servers, base):
    producer = servers(KnotProducer(base))
    producer.members("a.test.")
    producer.start()
    comb = servers(m.Many(base, producer, [CAT], settings=f'catalogs = ( {{ zone = "{CAT}"; template = "t"; }} );',
                          template="coalesce-ms = 0; max-shrink = 0;"))
    comb.start()
    comb.wait_serial("a.test.", 10)
    producer.members("a.test.", "b.test.")

    def has(zone):
        producer.notify(comb)
        return comb.rcode_of(zone) == "NOERROR"
    h.wait_for(lambda: has("b.test."), message="the new member")
    producer.members("b.test.")
    h.wait_for(lambda: not has("a.test."), message="the old member is gone")
