# SPDX-License-Identifier: BSD-2-Clause
"""combinerd's serving side: listeners with and without TLS, single requests over each transport, readers at any speed."""

import socket
import struct

import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rrset

import cmbharness as h
import cmbmodel as m
import cmbstream as s


class Primary(m.Primary):
    proc = None


class Server(h.Combinerd):
    """Listens on TLS too: on tls_port for anybody, on mutual_port for clients with one of the certificates."""

    tls_port, mutual_port = 8853, 9853

    def __init__(self, base, primaries, own=None, clients=(), signers_text=None, agents_text=None, **kw):
        self.own, self.clients, self.signers_text, self.agents_text = own, clients, signers_text, agents_text
        super().__init__(base, primaries, **kw)

    def configure(self):
        super().configure()
        with open(self.conf) as f:
            text = f.read()
        if self.own:
            files = f'certificate = "{self.own.cert}"; private-key = "{self.own.key}";'
            pins = ", ".join(f'"{c.pin}"' for c in self.clients)
            tls = f'tls = ( {{ name = "own"; {files} }}, {{ name = "mutual"; {files} pins = [ {pins} ]; }} );\n'
            more = "".join(f'{{ address = "{self.addr}"; port = {p}; transport = "tls"; tls = "{n}"; }}, '
                           for p, n in ((self.tls_port, "own"), (self.mutual_port, "mutual")))
            text = text.replace("listen = (", tls + "listen = ( " + more)
        lines = text.split("\n")
        for i, line in enumerate(lines):
            if self.signers_text and line.strip().startswith("signers ="):
                lines[i] = f"  signers = ( {self.signers_text} );"
            if self.agents_text and line.strip().startswith("agents ="):
                lines[i] = f"  agents = ( {self.agents_text} );"
        h.write(self.conf, "\n".join(lines))


def query(rdtype, key=None, zone=h.ZONE, notify=False, serial=0):
    q = dns.message.make_query(zone, rdtype, use_edns=0)
    if notify:
        q.set_opcode(dns.opcode.NOTIFY)
        q.flags = dns.flags.AA | dns.opcode.to_flags(dns.opcode.NOTIFY)
    if rdtype == "IXFR":
        q.authority.append(dns.rrset.from_text(zone, 0, "IN", "SOA", f". . {serial} 0 0 0 0"))
    if key:
        q.use_tsig(h.KEYRING, key)
    return q


def ask(comb, transport, q, source=None, context=None, port=None, timeout=10):
    """The RCODE of the (first) answer by name."""
    port = port or {"udp": comb.port, "tcp": comb.port, "tls": comb.tls_port}[transport]
    wire = q.to_wire()
    if transport == "udp":
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as u:
            u.settimeout(timeout)
            u.bind((source or "", 0))
            u.sendto(wire, (comb.addr, port))
            data = u.recv(65535)
    else:
        stream = s.Stream(comb.addr, port, (context or s.context()) if transport == "tls" else None, timeout, source)
        try:
            stream.socket.sendall(struct.pack("!H", len(wire)) + wire)
            data = stream.receive()
        finally:
            stream.close()
    return dns.rcode.to_text(data[3] & 15)


def reader(comb, key="signer.", rdtype="AXFR", zone=h.ZONE, rcvbuf=None, serial=0):
    """A socket that has asked for a transfer."""
    wire = query(rdtype, key, zone, serial=serial).to_wire()
    c = socket.socket()
    if rcvbuf:
        c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
    c.settimeout(60)
    c.connect((comb.addr, comb.port))
    c.sendall(struct.pack("!H", len(wire)) + wire)
    return c


def records(wire):
    """ANCOUNT."""
    return struct.unpack("!H", wire[6:8])[0]


def read_transfer(c, want):
    """Messages until `want` records have come (framing SOAs included); None when the connection ends before."""
    out = []
    while want > 0:
        head = m.receive(c, 2)
        body = head and m.receive(c, struct.unpack("!H", head)[0])
        if not body:
            return None
        assert body[3] & 15 == 0
        want -= records(body)
        out.append(body)
    return out
