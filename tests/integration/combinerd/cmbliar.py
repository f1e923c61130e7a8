# SPDX-License-Identifier: BSD-2-Clause
"""A primary that does what its script says, right or wrong, and counts what it was asked."""

import struct
import threading

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.renderer
import dns.rrset
import dns.tsig

import cmbharness as h
import cmbmodel as m

BADSIG, BADKEY = 16, 17
SOURCE = [m.record(x) for x in h.zone_text(1).splitlines()[1:]]
FILLER = [m.record(f"n{i}.{h.ZONE} 300 IN A 192.0.2.{i % 250 + 1}") for i in range(60)]


class Cut(OSError):
    """Close the connection here."""


class Liar(m.Primary):
    """
    script: type of question -> what to answer: a function of (query, held serial) that gives records, or an RCODE's text.
    batch: records of a message. unsigned: numbers of messages, from the end, without TSIG. cut: messages before the connection is cut.
    keys: names of the keys known. gate: cleared, SOA queries wait.
    """

    def __init__(self, records=SOURCE, serial=1000, addr=None, **kw):
        super().__init__(records, serial, **kw)
        self.proc = None
        self.addr = addr or self.addr
        self.script, self.batch, self.unsigned, self.cut = {}, m.BATCH, (), None
        self.keys = {"owner."}
        self.gate = threading.Event()
        self.gate.set()

    def count(self, rdtype):
        with self.lock:
            return sum(q[0] == rdtype for q in self.queries)

    def forget(self):
        with self.lock:
            self.queries.clear()

    def answer(self, octets, is_tcp):
        try:
            q = dns.message.from_wire(octets, keyring={dns.name.from_text(k): h.KEYRING[dns.name.from_text(k)] for k in self.keys})
        except dns.message.UnknownTSIGKey:
            yield from bad_key(octets)
            return
        rdtype = dns.rdatatype.to_text(q.question[0].rdtype)
        with self.lock:
            self.queries.append((rdtype, is_tcp))
            versions = list(self.versions.items())
        if rdtype == "SOA":
            self.gate.wait(20)
        said = self.script.get(rdtype)
        if callable(said):
            held = [rr[0].serial for rr in q.authority if rr.rdtype == dns.rdatatype.SOA]
            said = said(q, held[0] if held else None)
        if isinstance(said, str):
            yield from self.render(q, [], dns.rcode.from_text(said))
        else:
            yield from self.render(q, said if said is not None else self.rows(q, rdtype, versions))

    def render(self, q, rows, rcode=0):
        chunks = [rows[i:i + self.batch] for i in range(0, len(rows), self.batch)] or [[]]
        is_stream = rcode == 0 and q.question[0].rdtype != dns.rdatatype.SOA
        ctx = None
        for i, chunk in enumerate(chunks):
            if is_stream and self.cut is not None and i >= self.cut:
                raise Cut
            r = dns.renderer.Renderer(q.id, dns.flags.QR | dns.flags.AA | rcode, max_size=65535)
            if i == 0:
                r.add_question(q.question[0].name, q.question[0].rdtype)
            for name, ttl, _, rd in chunk:
                r.add_rrset(dns.renderer.ANSWER, dns.rrset.from_rdata(name, ttl, rd))
            r.write_header()
            if q.had_tsig and not (is_stream and len(chunks) - 1 - i in self.unsigned):
                key = h.KEYRING[q.keyname]
                key = key if isinstance(key, dns.tsig.Key) else dns.tsig.Key(q.keyname, key)
                ctx = r.add_multi_tsig(ctx, q.keyname, key, 300, q.id, 0, b"", q.mac, key.algorithm)
                r.write_header()
            elif ctx is not None:
                ctx.update(r.get_wire())  # RFC 8945 5.3.1: the next TSIG covers it
            yield r.get_wire()


def bad_key(octets):
    """RFC 8945 5.2.1: NOTAUTH, and a TSIG with BADKEY and without MAC."""
    q = dns.message.from_wire(octets, keyring=h.KEYRING)
    r = dns.renderer.Renderer(q.id, dns.flags.QR | dns.rcode.NOTAUTH, max_size=65535)
    r.add_question(q.question[0].name, q.question[0].rdtype)
    r.write_header()
    wire = bytearray(r.get_wire())
    rdata = q.keyalgorithm.to_wire() + struct.pack("!HIHHHHH", 0, 0, 300, 0, q.id, BADKEY, 0)
    wire += q.keyname.to_wire() + struct.pack("!HHIH", 250, 255, 0, len(rdata)) + rdata
    struct.pack_into("!H", wire, 10, 1)
    yield bytes(wire)


def diff(old, new, delete=(), add=(), **kw):
    """One difference sequence, framed."""
    return [m.soa(new), m.soa(old, **kw), *delete, m.soa(new), *add, m.soa(new)]


def a(name, address="192.0.2.77"):
    return m.record(f"{name}.{h.ZONE} 300 IN A {address}")


def transfers(comb):
    """Kinds of the transfers that were taken, in order."""
    return [x.split("kind=")[1].split()[0] for x in comb.log_text().splitlines() if "transfer-in" in x]


def served(comb):
    return h.content(comb.axfr())


def wait_served(comb, records, message="", timeout=20):
    """Until combinerd serves these records of the owner's (the permitted apex RRsets are not compared)."""
    want = {r for r in m.wire(records) if not (r[0].lower() == h.ZONE and r[2] in h.PERMITTED)}
    try:
        h.wait_for(lambda: served(comb) == want, message=message, timeout=timeout)
    except AssertionError:
        got = served(comb)
        raise AssertionError(f"{message}: missing {list(want - got)[:5]}, too much {list(got - want)[:5]}\n{comb.log_text()[-3000:]}") from None


def edit_conf(comb, *changes):
    with open(comb.conf) as f:
        text = f.read()
    for old, new in changes:
        assert old in text, (old, text)
        text = text.replace(old, new)
    h.write(comb.conf, text)
