# SPDX-License-Identifier: BSD-2-Clause
"""A transfer client over TCP or TLS that gives the records as they come, and a copy of a zone kept by IXFR as RFC 1995 says."""

import socket
import ssl
import struct

import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

import cmbharness as h
import cmbmodel as m


class Stream:
    """One connection. tls: an ssl.SSLContext, or None."""

    def __init__(self, addr, port, tls=None, timeout=30, source=None):
        raw = socket.create_connection((addr, port), timeout, source_address=(source, 0) if source else None)
        self.socket = tls.wrap_socket(raw) if tls else raw

    def close(self):
        self.socket.close()

    def send(self, q):
        w = q.to_wire()
        self.socket.sendall(struct.pack("!H", len(w)) + w)

    def receive(self):
        head = m.receive(self.socket, 2)
        body = head and m.receive(self.socket, struct.unpack("!H", head)[0])
        if body is None:
            raise EOFError("connection closed")
        return body

    def transfer(self, key="signer.", rdtype="AXFR", serial=0, zone=h.ZONE):
        """Records in order, framing SOAs included, every message's TSIG verified."""
        q = dns.message.make_query(zone, rdtype, use_edns=-1)
        if rdtype == "IXFR":
            q.authority.append(dns.rrset.from_text(zone, 0, "IN", "SOA", f". . {serial} 0 0 0 0"))
        if key:
            q.use_tsig(h.KEYRING, key)
        self.send(q)
        rows, ctx, signed = [], None, False
        while not complete(rows, rdtype, serial):
            r = dns.message.from_wire(self.receive(), keyring=h.KEYRING if key else None, request_mac=q.mac if key else b"", xfr=True,
                                      tsig_ctx=ctx, multi=True, one_rr_per_rrset=True)
            ctx, signed = r.tsig_ctx, r.had_tsig
            if r.rcode() != 0:
                raise m.Refused(dns.rcode.to_text(r.rcode()))
            for rrset in r.answer:
                rows += [(rrset.name.to_text(), rrset.ttl, dns.rdatatype.to_text(rrset.rdtype), rd.to_wire()) for rd in rrset]
        assert signed or not key, "last message unsigned"
        return rows


def soa_serial(row):
    return struct.unpack("!I", row[3][-20:-16])[0]


def complete(rows, rdtype, held):
    if not rows:
        return False
    if rdtype == "IXFR" and len(rows) == 1:
        return soa_serial(rows[0]) == held
    if len(rows) < 2 or rows[-1] != rows[0]:
        return False
    if rdtype == "AXFR" or rows[1][2] != "SOA":
        return True
    # RFC 1995 4: the new SOA stands first, before the last additions, and last.
    return sum(1 for r in rows if r[2] == "SOA" and r == rows[0]) == 3


class Copy:
    """What a secondary holds that asks for differences."""

    def __init__(self):
        self.serial, self.records = None, set()
        self.incremental = self.whole = 0

    def refresh(self, rows):
        assert rows[0][2] == "SOA"
        serial = soa_serial(rows[0])
        if len(rows) == 1:
            assert serial == self.serial
            return
        if self.serial is None or rows[1][2] != "SOA":
            self.whole += 1
            self.records = {r for r in rows if r[2] != "SOA"}
        else:
            self.incremental += 1
            at, deleting = self.serial, False
            for r in rows[1:-1]:
                if r[2] == "SOA":
                    deleting = not deleting
                    assert not deleting or soa_serial(r) == at, (soa_serial(r), at)
                    at = soa_serial(r)
                elif deleting:
                    assert r in self.records, f"deletes {r}, which is not there"
                    self.records.remove(r)
                else:
                    assert r not in self.records, f"adds {r}, which is there"
                    self.records.add(r)
            assert at == serial, (at, serial)
        self.serial = serial

    def update(self, stream, key="signer."):
        self.refresh(stream.transfer(key, "IXFR" if self.serial is not None else "AXFR", self.serial or 0))


def context(cafile=None, alpn=("dot",), certfile=None, keyfile=None):
    """TLS 1.3 with the ALPN that RFC 9103 wants; the server's certificate is checked when cafile is given."""
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.minimum_version = ssl.TLSVersion.TLSv1_3
    c.check_hostname = False
    if cafile:
        c.load_verify_locations(cafile)
    else:
        c.verify_mode = ssl.CERT_NONE
    c.set_alpn_protocols(list(alpn))
    if certfile:
        c.load_cert_chain(certfile, keyfile)
    return c
