# SPDX-License-Identifier: BSD-2-Clause
"""Each server that operators run, as the owner's primary above combinerd and as the signer's secondary below it."""

import os
import sqlite3
import subprocess

import pytest

import cmbharness as h
import cmbmodel as m

SCHEMA = "/usr/share/doc/pdns-backend-sqlite3/schema.sqlite3.sql"


class Pdns(h.Server):
    """Owner (primary) or downstream (secondary), gsqlite3."""

    def __init__(self, base, name, zone_file=None, notify=None, upstream=None, key="owner."):
        super().__init__(base, name)
        self.addr, self.port, self.key = h.address(), 5300, key
        self.zone_file, self.notify, self.upstream = zone_file, notify, upstream

    def start(self):
        d, z, k = self.dir, h.ZONE.rstrip("."), self.key.rstrip(".")
        os.makedirs(f"{d}/run", exist_ok=True)
        h.write(f"{d}/pdns.conf", f"""launch=gsqlite3
gsqlite3-database={d}/pdns.db
gsqlite3-dnssec=yes
local-address={self.addr}
local-port={self.port}
query-local-address={self.addr}
socket-dir={d}/run
daemon=no
guardian=no
setuid=
setgid=
primary=yes
secondary=yes
allow-notify-from=127.0.0.0/8
allow-axfr-ips=127.0.0.0/8
only-notify=
xfr-cycle-interval=1
cache-ttl=0
query-cache-ttl=0
negquery-cache-ttl=0
zone-cache-refresh-interval=0
zone-metadata-cache-ttl=0
""")
        db = sqlite3.connect(f"{d}/pdns.db")
        with open(SCHEMA) as f:
            db.executescript(f.read())
        db.close()
        self.util("import-tsig-key", k, "hmac-sha256", h.SECRETS[self.key])
        if self.upstream:
            self.util("create-secondary-zone", z, f"{self.upstream[0]}:{self.upstream[1]}")
            self.util("activate-tsig-key", z, k, "secondary")
        else:
            self.load(self.zone_file)
        self.util("activate-tsig-key", z, k, "primary")
        self.spawn("/usr/sbin/pdns_server", f"--config-dir={d}")
        h.wait_for(lambda: self.ask("SOA", timeout=0.5), message="pdns answers")
        return self

    def util(self, *args):
        return subprocess.run(["/usr/bin/pdnsutil", f"--config-dir={self.dir}", *args], check=True, capture_output=True, text=True).stdout

    def load(self, zone_file):
        h.write(f"{self.dir}/zone", zone_file)
        self.util("load-zone", h.ZONE.rstrip("."), f"{self.dir}/zone")

    def change(self, zone_file):
        self.load(zone_file)


PRIMARIES = {**h.OWNERS, "pdns": Pdns}
EXTRA = [f"a{i}.{h.ZONE} 60 IN A 192.0.2.{i}" for i in range(1, 200)] + [f"sub.{h.ZONE} 60 IN NS ns.sub.{h.ZONE}",
                                                                      f"ns.sub.{h.ZONE} 60 IN AAAA 2001:db8::1", f'*.{h.ZONE} 60 IN TXT "w"']


@pytest.mark.parametrize("kind", sorted(PRIMARIES))
def test_as_the_owners_primary(servers, base, kind):
    owner = servers(PRIMARIES[kind](base, "owner", h.zone_text(1000, EXTRA)))
    comb = servers(h.Combinerd(base, [owner.where()], zone_settings="coalesce-ms = 0; max-shrink = 0;"))
    owner.notify = comb.where()
    owner.start()
    comb.start()
    assert h.content(comb.axfr()) == h.content(owner.axfr("owner."))
    assert comb.rcode(("add", 10, "NS", "ns.b.test.")) == "NOERROR"
    for serial, extra in ((1001, EXTRA + [f"new.{h.ZONE} 60 IN A 192.0.2.250"]), (1002, EXTRA[:20]), (1003, EXTRA)):
        owner.change(h.zone_text(serial, extra))
        m.notify(comb.where(), "owner.")
        h.wait_for(lambda: h.content(comb.axfr()) == h.content(owner.axfr("owner.")) and owner.soa() == serial, message=f"version {serial}")
    assert len(h.apex_set(comb.axfr(), "NS")) == 1


@pytest.mark.parametrize("kind", sorted(PRIMARIES))
def test_as_the_signers_secondary(servers, base, kind):
    """It fetches the first version whole and follows instructions and the owner's changes, with NOTIFY alone."""
    primary = m.Primary([m.record(x) for x in h.zone_text(1, EXTRA).splitlines()[1:]]).start()
    comb = h.Combinerd(base, [primary.where()], zone_settings="coalesce-ms = 0;")
    down = PRIMARIES[kind](base, "down", upstream=comb.where(), key="signer.")
    comb.signers = [down.where()]
    comb.configure()
    servers(comb).start()
    servers(down).start()
    try:
        def same():
            return {r for r in down.axfr("signer.") if r[2] != "SOA"} == {r for r in comb.axfr() if r[2] != "SOA"}
        h.wait_for(same, 30, message=f"{kind} has the first version")
        for i in range(5):
            assert comb.rcode(("replace", 10, "NS", f"ns{i}.b.test.")) == "NOERROR"
            h.wait_for(same, 30, message=f"{kind} follows instruction {i}")
            primary.change(add=[m.record(f"c{i}.{h.ZONE} 60 IN A 192.0.2.{i}")], delete=[m.record(EXTRA[i])])
            primary.notify(comb.where())
            h.wait_for(lambda: any(r[0] == f"c{i}.{h.ZONE}" for r in comb.axfr()), message="taken from the owner")
            h.wait_for(same, 30, message=f"{kind} follows the owner's change {i}")
    finally:
        primary.stop()
