# SPDX-License-Identifier: BSD-2-Clause
"""Who may do what: each rule is a conjunction of address, transport and key, tried over each transport."""

import shutil
import subprocess
import tempfile

import pytest

import cmbharness as h
import cmbserve as v
import cmbstream as s
from test_combinerd_basic import CDS, DNSKEY
from test_combinerd_chain import Certificate

SRC = {n: h.address() for n in ("any", "tcp", "udp", "tls", "pinned", "keyed", "stranger")}


@pytest.fixture(scope="module")
def site():
    base = tempfile.mkdtemp(prefix="cmb")
    own, known, unknown = (Certificate(base, n) for n in ("own.test", "known.test", "unknown.test"))
    owner = h.Nsd(base, "owner", h.zone_text(1000))
    rules = ", ".join([
        f'{{ address = "{SRC["any"]}"; unsigned = true; }}',
        f'{{ address = "{SRC["tcp"]}"; unsigned = true; transport = "tcp"; }}',
        f'{{ address = "{SRC["udp"]}"; unsigned = true; transport = "udp"; }}',
        f'{{ address = "{SRC["tls"]}"; unsigned = true; transport = "tls"; }}',
        f'{{ address = "{SRC["pinned"]}"; cert-pins = [ "{known.pin}" ]; }}',
        f'{{ address = "{SRC["keyed"]}"; tsig-key = "other."; transport = "tls"; }}',
    ])
    comb = v.Server(base, [owner.where()], own, [known, unknown], zone_settings=f"""
  allow-transfer = ( {rules} );
  allow-notify = ( {{ address = "{SRC["tcp"]}"; unsigned = true; transport = "tcp"; }},
                   {{ address = "{SRC["tls"]}"; tsig-key = "other."; transport = "tls"; }} );
""")
    owner.notify = comb.where()
    owner.start()
    comb.start()
    comb.known, comb.unknown = known, unknown
    yield comb
    try:
        comb.stop()
    finally:
        owner.stop()
        shutil.rmtree(base, ignore_errors=True)


def outcomes(comb, source, key, notify=False):
    """Which transports take it: UDP (SOA), TCP and TLS (the whole zone)."""
    out = set()
    for transport in ("udp", "tcp", "tls"):
        q = v.query("SOA" if notify or transport == "udp" else "AXFR", key, notify=notify)
        rcode = v.ask(comb, transport, q, source)
        assert rcode in ("NOERROR", "REFUSED"), rcode
        if rcode == "NOERROR":
            out.add(transport)
    return out


@pytest.mark.parametrize("source,key,want", [
    ("any", None, {"udp", "tcp", "tls"}),
    ("any", "other.", set()),            # unsigned = true is about requests without TSIG
    ("tcp", None, {"tcp"}),
    ("udp", None, {"udp"}),
    ("tls", None, {"tls"}),
    ("tls", "other.", set()),
    ("pinned", None, set()),             # no certificate was asked for on these listeners
    ("keyed", None, set()),
    ("keyed", "other.", {"tls"}),
    ("keyed", "owner.", set()),
    ("stranger", None, set()),
    ("stranger", "other.", set()),
    ("stranger", "signer.", {"udp", "tcp", "tls"}),  # signers: by their key, from anywhere
    ("stranger", "msad.", {"udp"}),      # agents ask, and do not transfer
])
def test_transfers(site, source, key, want):
    assert outcomes(site, SRC[source], key) == want


@pytest.mark.parametrize("source,key,want", [
    ("tcp", None, {"tcp"}),
    ("tls", "other.", {"tls"}),
    ("tls", None, set()),
    ("udp", None, set()),
    ("stranger", None, set()),
    ("stranger", "signer.", set()),
    ("stranger", "owner.", {"udp", "tcp", "tls"}),
])
def test_notify(site, source, key, want):
    assert outcomes(site, SRC[source], key, notify=True) == want


def test_certificates(site):
    q = v.query("AXFR")
    contexts = {n: s.context(certfile=c.cert, keyfile=c.key) for n, c in (("known", site.known), ("unknown", site.unknown))}
    port = site.mutual_port

    def go(source, name):
        return v.ask(site, "tls", q, SRC[source], contexts[name], port)
    assert go("pinned", "known") == "NOERROR"
    assert go("pinned", "unknown") == "REFUSED"  # good enough for the listener, not for the rule
    assert go("stranger", "known") == "REFUSED"
    assert go("tls", "unknown") == "NOERROR"     # another rule
    with pytest.raises((OSError, EOFError)):
        v.ask(site, "tls", q, SRC["pinned"], s.context(), port)


def test_whole_zone_is_the_same_over_tcp_and_tls(site):
    plain, over_tls = s.Stream(site.addr, site.port), s.Stream(site.addr, site.tls_port, s.context())
    rows = plain.transfer()
    assert len(rows) > 5 and over_tls.transfer() == rows
    kdig = subprocess.run(
        ["kdig", f"@{site.addr}", "-p", str(site.tls_port), "+tls", "+noall", "+answer", "-y", f"hmac-sha256:signer.:{h.SECRETS['signer.']}",
         h.ZONE, "AXFR"], capture_output=True, text=True, timeout=20)
    assert kdig.returncode == 0 and len([l for l in kdig.stdout.splitlines() if l and l[0] != ";"]) == len(rows), kdig.stdout + kdig.stderr
    plain.close()
    over_tls.close()


def test_refusals_tell_rule_and_transport(site):
    source = h.address()
    for transport in ("udp", "tcp", "tls"):
        v.ask(site, transport, v.query("SOA" if transport == "udp" else "AXFR", "other."), source)
        v.ask(site, transport, v.query("SOA", "other.", notify=True), source)
    lines = [l for l in site.log_text().splitlines() if "refused" in l and source in l]
    assert len(lines) == 6
    for transport in ("udp", "tcp", "tls"):
        mine = [l for l in lines if f"transport={transport}" in l]
        assert len(mine) == 2 and all("rule=" in l for l in mine), lines


def test_updates_come_over_tls_too(site):
    u = h.make_update(("add", 300, "CDS", CDS))
    assert v.ask(site, "tls", u) == "NOERROR"
    assert v.ask(site, "tls", h.make_update(("add", 300, "CDS", CDS), key="signer.")) == "REFUSED"


def test_both_keys_of_a_rollover(servers, base):
    owner = servers(h.Nsd(base, "owner", h.zone_text(1000)))
    comb = servers(v.Server(base, [owner.where()], signers_text='{ address = "127.0.0.1"; port = 9; tsig-key = "signer."; tsig-key-next = "other."; }'))
    owner.start()
    comb.start()
    assert len(comb.axfr("signer.")) == len(comb.axfr("other.")) > 5
    assert v.ask(comb, "tcp", v.query("AXFR", "msad.")) == "REFUSED"
    assert v.ask(comb, "tcp", v.query("AXFR")) == "REFUSED"
    assert comb.rcode(("add", 300, "DNSKEY", DNSKEY), key="other.") == "REFUSED"
