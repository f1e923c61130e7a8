# SPDX-License-Identifier: BSD-2-Clause
"""An owner's primary in this process: keeps every version as plain records, answers SOA, AXFR and IXFR, TSIG-signed."""

import socket
import socketserver
import struct
import threading

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.query
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.renderer
import dns.rrset
import dns.tsig

import cmbharness as h

BATCH = 200  # records in a message


class Refused(Exception):
    """The answer's RCODE."""


def record(line):
    """(owner, TTL, type, RDATA) of 'owner ttl IN type rdata'."""
    owner, ttl, _, rdtype, rdata = line.split(None, 4)
    return (dns.name.from_text(owner), int(ttl), dns.rdatatype.from_text(rdtype),
            dns.rdata.from_text("IN", rdtype, rdata))


def soa(serial, refresh=3600):
    return record(f"{h.ZONE} 300 IN SOA ns.owner.test. host.owner.test. {serial} {refresh} 5 86400 60")


def wire(records):
    """As cmbharness.content() gives what was transferred: a set of (owner, TTL, type, wire)."""
    return {(n.to_text(), ttl, dns.rdatatype.to_text(t), rd.to_wire()) for n, ttl, t, rd in records}


class Primary:
    """versions: serial -> set of records without the SOA, in order of their making."""

    def __init__(self, records, serial=1, ixfr=True, refresh=3600):
        self.addr, self.port = h.address(), 5300
        self.lock = threading.Lock()
        self.versions, self.ixfr, self.refresh = {serial: set(records)}, ixfr, refresh
        self.queries = []
        self.servers = []

    def start(self):
        outer = self

        class Tcp(socketserver.BaseRequestHandler):
            def handle(self):
                while True:
                    head = receive(self.request, 2)
                    if head is None:
                        return
                    body = receive(self.request, struct.unpack("!H", head)[0])
                    if body is None:
                        return
                    try:
                        for m in outer.answer(body, True):
                            self.request.sendall(struct.pack("!H", len(m)) + m)
                    except OSError:
                        return

        class Udp(socketserver.BaseRequestHandler):
            def handle(self):
                for m in outer.answer(self.request[0], False):
                    self.request[1].sendto(m, self.client_address)

        class TcpServer(socketserver.ThreadingTCPServer):
            allow_reuse_address = daemon_threads = True

        class UdpServer(socketserver.ThreadingUDPServer):
            allow_reuse_address = daemon_threads = True
        for cls, handler in ((TcpServer, Tcp), (UdpServer, Udp)):
            s = cls((self.addr, self.port), handler)
            self.servers.append(s)
            threading.Thread(target=s.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def stop(self):
        for s in self.servers:
            s.shutdown()
            s.server_close()
        self.servers = []

    def where(self):
        return self.addr, self.port

    @property
    def serial(self):
        with self.lock:
            return next(reversed(self.versions))

    def records(self, serial=None):
        with self.lock:
            return self.versions[serial if serial is not None else next(reversed(self.versions))]

    def change(self, delete=(), add=(), serial=None):
        """The next version; returns its serial."""
        with self.lock:
            last = next(reversed(self.versions))
            serial = serial if serial is not None else last + 1
            self.versions[serial] = (self.versions[last] - set(delete)) | set(add)
            return serial

    def notify(self, to, timeout=5):
        return notify(to, "owner.", timeout)

    # --- answers ---

    def answer(self, octets, is_tcp):
        try:
            q = dns.message.from_wire(octets, keyring=h.KEYRING)
        except dns.exception.DNSException:
            return
        if not q.question:
            return
        rdtype = dns.rdatatype.to_text(q.question[0].rdtype)
        with self.lock:
            self.queries.append((rdtype, is_tcp))
            versions = list(self.versions.items())
        rows = self.rows(q, rdtype, versions)
        yield from messages(q, rows)

    def rows(self, q, rdtype, versions):
        serial, records = versions[-1]
        now = soa(serial, self.refresh)
        if rdtype == "SOA":
            return [now]
        held = [rr[0].serial for rr in q.authority if rr.rdtype == dns.rdatatype.SOA]
        if rdtype == "IXFR" and self.ixfr and held:
            known = [s for s, _ in versions]
            if held[0] == serial:
                return [now]
            if held[0] in known:
                rows = [now]
                at = known.index(held[0])
                for (old, before), (new, after) in zip(versions[at:], versions[at + 1:]):
                    rows += [soa(old, self.refresh), *order(before - after), soa(new, self.refresh), *order(after - before)]
                return rows + [now]
        return [now, *order(records), now]


def notify(to, key, timeout=5):
    """In the name of a primary, without its delays."""
    q = dns.message.make_query(h.ZONE, "SOA", use_edns=-1)
    q.set_opcode(dns.opcode.NOTIFY)
    q.flags = dns.flags.AA | dns.opcode.to_flags(dns.opcode.NOTIFY)
    q.use_tsig(h.KEYRING, key)
    return dns.query.udp(q, to[0], port=to[1], timeout=timeout)


def order(records):
    return sorted(records, key=lambda r: (r[0], r[2], r[3]))


def messages(q, rows):
    """Rendered by hand: dnspython's own message would join equal records, and an IXFR has some twice."""
    ctx = None
    for i in range(0, len(rows), BATCH):
        r = dns.renderer.Renderer(q.id, dns.flags.QR | dns.flags.AA, max_size=65535)
        if i == 0:
            r.add_question(q.question[0].name, q.question[0].rdtype)
        for name, ttl, _, rd in rows[i:i + BATCH]:
            r.add_rrset(dns.renderer.ANSWER, dns.rrset.from_rdata(name, ttl, rd))
        r.write_header()
        if q.had_tsig:
            key = h.KEYRING[q.keyname]
            key = key if isinstance(key, dns.tsig.Key) else dns.tsig.Key(q.keyname, key)
            ctx = r.add_multi_tsig(ctx, q.keyname, key, 300, q.id, 0, b"", q.mac, key.algorithm)
            r.write_header()
        yield r.get_wire()


def receive(s, n):
    data = b""
    while len(data) < n:
        try:
            more = s.recv(n - len(data))
        except OSError:
            return None
        if not more:
            return None
        data += more
    return data
