# SPDX-License-Identifier: BSD-2-Clause
"""A primary over TLS that is known by nothing but its TLSA record, looked up and validated in a signed tree of real servers."""

import base64
import os
import sys

import pytest

import cmbharness as h
from test_combinerd_chain import Certificate

sys.path.insert(0, os.path.join(h.ROOT, "tests/integration/resolve"))
import tree as signed  # noqa: E402

PORT, TLS_PORT = 5300, 5853


@pytest.fixture
def world(base, monkeypatch):
    """The tree with the certificate's key in one secure and one bogus zone, and BIND as the primary."""
    cert = Certificate(base, "owner.nsec.example")
    record = f"_853._tcp.owner TLSA 3 1 1 {base64.b64decode(cert.pin).hex()}\nowner A {signed.ZONES}\n"
    plain = signed.records
    monkeypatch.setattr(signed, "records", lambda zone: plain(zone) + record)
    t = signed.Tree()
    try:
        t.up()
        h.write(f"{base}/zone", h.zone_text(7, [f"a{i}.{h.ZONE} 60 IN A 192.0.2.{i}" for i in range(50)]))
        h.write(f"{base}/named.conf", f"""options {{ directory "{base}"; pid-file none; session-keyfile "{base}/session.key";
  listen-on port {TLS_PORT} tls t {{ {signed.ZONES}; }}; listen-on-v6 {{ none; }}; recursion no; dnssec-validation no; notify no; lock-file none; }};
tls t {{ cert-file "{cert.cert}"; key-file "{cert.key}"; }};
key "owner." {{ algorithm hmac-sha256; secret "{h.SECRETS["owner."]}"; }};
controls {{ }};
zone "{h.ZONE}" {{ type primary; file "{base}/zone"; check-names ignore; allow-transfer {{ key "owner."; }}; }};
""")
        t.start("named", "-g", "-c", f"{base}/named.conf")
        yield t
    finally:
        t.down()


class Combinerd(h.Combinerd):
    """In the tree's namespace. auth_name: whose TLSA record is asked for."""

    def __init__(self, base, world, auth_name):
        self.world, self.auth_name = world, auth_name
        super().__init__(base, [(signed.ZONES, TLS_PORT)])

    def configure(self):
        self.addr = signed.ZONES
        super().configure()
        with open(self.conf) as f:
            text = f.read()
        text = text.replace('tsig-key = "owner.";', 'tsig-key = "owner."; transport = "tls"; tls = "o";')
        text = text.replace("listen = (", f"""tls = ( {{ name = "o"; tlsa = true; auth-name = "{self.auth_name}"; }} );
resolver : {{ trust-anchor-file = "{self.world.anchor}"; root-servers = [ "{signed.ROOT}" ]; }};
listen = (""")
        h.write(self.conf, text)

    def spawn(self, *argv, **kw):
        super().spawn("ip", "netns", "exec", self.world.netns, *argv, **kw)

    def state(self):
        return self.ctl("combiner show", zone=h.ZONE)


def test_a_primary_is_believed_by_its_tlsa_record(servers, base, world):
    comb = servers(Combinerd(base, world, "owner.nsec.example")).start(wait=False)
    h.wait_for(lambda: "transfer-in" in comb.log_text(), 40, message=f"transferred; log: {comb.dir}/log")
    assert "owner-serial=7" in comb.log_text()


@pytest.mark.parametrize("zone", ["bogus", "insecure"])
def test_a_record_that_is_not_secure_makes_nobody_believed(servers, base, world, zone):
    comb = servers(Combinerd(base, world, f"owner.{zone}.example")).start(wait=False)
    h.wait_for(lambda: comb.log_text().count("refresh-failed") >= 3, 40, message=f"refused; log: {comb.dir}/log")
    assert "transfer-in" not in comb.log_text()
