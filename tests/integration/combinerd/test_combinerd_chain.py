# SPDX-License-Identifier: BSD-2-Clause
"""
A long chain of random changes at a real primary, each as an IXFR through combinerd: after every one the content is compared with
the primary's own transfer, and with a copy that lives on nothing but combinerd's IXFR answers. Over TCP with TSIG, and over TLS.
"""

import base64
import hashlib
import os
import random
import subprocess

import dns.exception
import dns.name
import dns.query
import dns.rcode
import dns.update
import pytest

import cmbharness as h
import cmbmodel as m
import cmbstream as s

STEPS = int(os.environ.get("MSP_CHAIN_STEPS", "1000"))
NAMES = [f"n{i}.{h.ZONE}" for i in range(60)] + [f"Mixed{i}.CASE.{h.ZONE}" for i in range(10)] + [f"*.w.{h.ZONE}", f"a.b.c.d.{h.ZONE}"]
TYPES = {
    "A": lambda r: f"192.0.2.{r.randrange(256)}",
    "AAAA": lambda r: f"2001:db8::{r.randrange(65536):x}",
    "TXT": lambda r: '"' + "x" * r.randrange(1, 200) + f'{r.randrange(1000)}"',
    "MX": lambda r: f"{r.randrange(100)} m{r.randrange(50)}.{h.ZONE}",
    "TYPE65400": lambda r: f"\\# 4 {r.randrange(1 << 32):08x}",
}


class KnotPrimary(h.Knot):
    """Takes dynamic updates."""

    def start(self):
        super().start()
        path = f"{self.dir}/knot.conf"
        with open(path) as f:
            text = f.read()
        h.write(path, text.replace("action: [ transfer, notify ]", "action: [ transfer, notify, update ]")
                .replace("semantic-checks: off", "semantic-checks: off\n    journal-max-depth: 1000"))
        self.knotc("reload")
        return self


class BindPrimary(h.Bind):
    """Takes dynamic updates; with TLS on a port of its own."""

    certificate = None

    def start(self):
        self.tls_port = h.port()
        return super().start()

    def spawn(self, *argv, **kw):
        path = f"{self.dir}/named.conf"
        with open(path) as f:
            text = f.read()
        text = text.replace("type primary;", f'type primary; allow-update {{ key "{self.key}"; }};')
        if self.certificate:
            text = text.replace("recursion no;", f"recursion no; listen-on port {self.tls_port} tls t {{ 127.0.0.1; }};")
            text += f'tls t {{ cert-file "{self.certificate.cert}"; key-file "{self.certificate.key}"; }};\n'
        h.write(path, text)
        super().spawn(*argv, **kw)


class Certificate:
    def __init__(self, base, name):
        self.cert, self.key = os.path.join(base, name + ".pem"), os.path.join(base, name + ".key")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                        "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", "-keyout", self.key, "-out", self.cert],
                       check=True, capture_output=True)
        os.chmod(self.key, 0o600)
        spki = subprocess.run(["openssl", "x509", "-in", self.cert, "-noout", "-pubkey"], check=True, capture_output=True).stdout
        der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], input=spki, check=True, capture_output=True).stdout
        self.pin = base64.b64encode(hashlib.sha256(der).digest()).decode()


class TlsCombinerd(h.Combinerd):
    """Its primary is asked over TLS and known by its key; it answers on a TLS port too."""

    def __init__(self, base, primary, primary_cert, own_cert, **kw):
        self.primary_cert, self.own_cert = primary_cert, own_cert
        self.tls_port = 8853
        super().__init__(base, [primary], **kw)

    def configure(self):
        super().configure()
        with open(self.conf) as f:
            text = f.read()
        text = text.replace('tsig-key = "owner.";', 'tsig-key = "owner."; transport = "tls"; tls = "to-owner";')
        text = text.replace("listen = (", f"""tls = ( {{ name = "to-owner"; pins = [ "{self.primary_cert.pin}" ]; }},
  {{ name = "own"; certificate = "{self.own_cert.cert}"; private-key = "{self.own_cert.key}"; }} );
listen = ( {{ address = "{self.addr}"; port = {self.tls_port}; transport = "tls"; tls = "own"; }}, """)
        h.write(self.conf, text)


# So many that differences are always shorter than the zone.
ZONE_FILE = h.zone_text(1, [f"big{i}.{h.ZONE} 60 IN TXT {'x' * 100}" for i in range(300)])


def change(primary, rnd, present):
    """One UPDATE of one to five changes; whether the primary took it."""
    u = dns.update.UpdateMessage(h.ZONE, keyring=h.KEYRING, keyname=dns.name.from_text(primary.key))
    for _ in range(rnd.choice((1, 1, 1, 2, 5))):
        if present and rnd.random() < 0.45:
            name, rdtype, rdata = rnd.choice(sorted(present))
            if rnd.random() < 0.8:
                u.delete(dns.name.from_text(name), rdtype, rdata)
                present.discard((name, rdtype, rdata))
            else:
                u.delete(dns.name.from_text(name), rdtype)
                present -= {p for p in present if p[:2] == (name, rdtype)}
            continue
        name, rdtype = rnd.choice(NAMES), rnd.choice(sorted(TYPES))
        rdata = TYPES[rdtype](rnd)
        ttl = {n: t for n, t in zip(NAMES, range(60, 60 + len(NAMES)))}[name]
        u.add(dns.name.from_text(name), ttl, rdtype, rdata)
        present.add((name, rdtype, rdata))
    r = dns.query.tcp(u, primary.addr, port=primary.port, timeout=10)
    assert r.rcode() == 0, dns.rcode.to_text(r.rcode())


def walk(primary, comb, stream, seed, steps):
    rnd = random.Random(seed)
    present, copy = set(), s.Copy()
    copy.update(stream)
    whole = copy.whole
    for i in range(steps):
        change(primary, rnd, present)
        m.notify(comb.where(), primary.key)  # some primaries take their time
        if rnd.random() < 0.1:  # instructions in between: the two serial lines part
            assert comb.rcode(("replace", 10, "NS", f"ns{i % 7}.x.test.")) == "NOERROR"
        want = h.content(primary.axfr(primary.key))
        h.wait_for(lambda: h.content(stream.transfer()) == want, message=f"step {i}, seed {seed}")
        copy.update(stream)
        assert h.content(copy.records) == want, f"by IXFR, step {i}, seed {seed}"
        assert copy.records == {r for r in stream.transfer() if r[2] != "SOA"}, f"apex, step {i}, seed {seed}"
    assert copy.whole == whole, "an answer to IXFR was a whole zone"
    return copy


def incremental(comb):
    """Transfers from the primary: (incremental, whole), as the log tells."""
    lines = [x for x in comb.log_text().splitlines() if "transfer-in" in x]
    return sum("IXFR" in x for x in lines), sum("AXFR" in x for x in lines)


@pytest.mark.parametrize("kind", [KnotPrimary, BindPrimary], ids=["knot", "bind"])
def test_chain_over_tcp_with_tsig(servers, base, kind):
    seed = int(os.environ.get("MSP_SEED", "0")) or random.randrange(1 << 30)
    primary = servers(kind(base, "owner", ZONE_FILE))
    comb = servers(h.Combinerd(base, [primary.where()], zone_settings="coalesce-ms = 0;"))
    primary.notify = comb.where()
    primary.start()
    comb.start()
    walk(primary, comb, s.Stream(*comb.where()), seed, STEPS)
    ixfr, axfr = incremental(comb)
    assert ixfr >= STEPS * 0.9 and axfr <= 2, (ixfr, axfr)  # several changes may come in one answer


def test_chain_over_tls_with_tsig(servers, base):
    seed = int(os.environ.get("MSP_SEED", "0")) or random.randrange(1 << 30)
    own, owners = Certificate(base, "combiner.test"), Certificate(base, "owner.test")
    primary = servers(BindPrimary(base, "owner", ZONE_FILE))
    primary.certificate = owners
    comb = TlsCombinerd(base, (primary.addr, 0), owners, own, zone_settings="coalesce-ms = 0;")
    primary.notify = comb.where()
    primary.start()
    comb.primaries = [(primary.addr, primary.tls_port)]
    comb.configure()
    servers(comb)
    comb.start()
    stream = s.Stream(comb.addr, comb.tls_port, s.context(own.cert))
    walk(primary, comb, stream, seed, STEPS)
    ixfr, axfr = incremental(comb)
    assert ixfr >= STEPS * 0.9 and axfr <= 2, (ixfr, axfr)
