# SPDX-License-Identifier: BSD-2-Clause
"""A primary with many zones, without keys; a combinerd with a configuration of its own; catalogs."""

import os
import socket
import struct
import threading

import dns.exception
import dns.flags
import dns.message
import dns.opcode
import dns.query
import dns.rcode
import dns.rdatatype
import dns.rrset

import cmbharness as h

BATCH = 200


class Primary:
    """Zones by name: (serial, records but the SOA). Counts what it was asked. gate: cleared, transfers stop after the first message."""

    def __init__(self):
        self.addr, self.port = h.address(), 5300
        self.zones, self.asked, self.lock = {}, {"SOA": 0, "AXFR": 0, "IXFR": 0}, threading.Lock()
        self.gate, self.waiting = threading.Event(), threading.Event()
        self.gate.set()
        self.proc = None
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind((self.addr, self.port))
        self.tcp = socket.socket()
        self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.tcp.bind((self.addr, self.port))
        self.tcp.listen(512)
        for target in (self.serve_udp, self.serve_tcp):
            threading.Thread(target=target, daemon=True).start()

    def where(self):
        return self.addr, self.port

    def put(self, name, serial, *records):
        """records: "NAME TTL IN TYPE RDATA". NS and HSYNC of both providers are added."""
        rows = [parse(f"{name} 300 IN NS ns.owner.test.")]
        rows += [parse(h.hsync(i).replace(h.ZONE, name, 1)) for i in (h.IDENTITY, h.OTHER)]
        rows += [parse(r) for r in records]
        with self.lock:
            self.zones[name.lower()] = (serial, rows)

    def soa(self, name, serial):
        return dns.rrset.from_text(name, 300, "IN", "SOA", f"ns.owner.test. host.owner.test. {serial} 3600 600 86400 60")

    def count(self, kind):
        with self.lock:
            return self.asked[kind]

    def answer(self, octets):
        q = dns.message.from_wire(octets)
        kind, name = dns.rdatatype.to_text(q.question[0].rdtype), q.question[0].name.to_text().lower()
        with self.lock:
            self.asked[kind] = self.asked.get(kind, 0) + 1
            zone = self.zones.get(name)
        r = dns.message.make_response(q)
        if q.opcode() == dns.opcode.NOTIFY or zone is None:
            r.set_rcode(dns.rcode.NOERROR if q.opcode() == dns.opcode.NOTIFY else dns.rcode.REFUSED)
            yield r.to_wire()
            return
        serial, rows = zone
        r.flags |= dns.flags.AA
        soa = self.soa(name, serial)
        if kind == "SOA":
            r.answer = [soa]
            yield r.to_wire()
            return
        rows = [soa] + rows + [soa]
        for i in range(0, len(rows), BATCH):
            if i > 0 and not self.gate.is_set():
                self.waiting.set()
                self.gate.wait(60)
            r.answer = rows[i:i + BATCH]
            yield r.to_wire(max_size=65535)

    def serve_udp(self):
        while True:
            try:
                octets, peer = self.udp.recvfrom(65535)
                for wire in self.answer(octets):
                    self.udp.sendto(wire, peer)
            except dns.exception.DNSException:
                continue
            except OSError:
                return

    def serve_tcp(self):
        while True:
            try:
                conn, _ = self.tcp.accept()
            except OSError:
                return
            threading.Thread(target=self.serve_conn, args=(conn,), daemon=True).start()

    def serve_conn(self, conn):
        with conn:
            try:
                while True:
                    head = read(conn, 2)
                    for wire in self.answer(read(conn, struct.unpack("!H", head)[0])):
                        conn.sendall(struct.pack("!H", len(wire)) + wire)
            except (OSError, EOFError, dns.exception.DNSException):
                pass

    def notify(self, comb, name):
        """As RFC 1996 has it, from the primary's address."""
        q = dns.message.make_query(name, "SOA")
        q.set_opcode(dns.opcode.NOTIFY)
        q.flags = (q.flags | dns.flags.AA) & ~dns.flags.RD
        return dns.query.udp(q, comb.addr, port=comb.port, source=self.addr, timeout=5)

    def stop(self):
        self.gate.set()
        for s in (self.udp, self.tcp):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()


def parse(text):
    name, ttl, cls, rdtype, rdata = text.split(None, 4)
    return dns.rrset.from_text(name, int(ttl), cls, rdtype, rdata)


def read(conn, count):
    data = b""
    while len(data) < count:
        more = conn.recv(count - len(data))
        if not more:
            raise EOFError
        data += more
    return data


class Many(h.Combinerd):
    """settings: top level; template: what zones share; zones: entries, as {name: extra settings}."""

    def __init__(self, base, primary, zones=(), settings="", template="", name="combinerd"):
        self.primary, self.entries, self.template = primary, dict.fromkeys(zones, "") if not isinstance(zones, dict) else zones, template
        self.listen = None
        super().__init__(base, [], name=name, settings=settings)

    def configure(self):
        keys = ", ".join(f'{{ name = "{k}"; secret-file = "{self.dir}/{k}secret"; }}' for k in h.SECRETS)
        zones = ",\n".join(f'{{ name = "{n}"; template = "t"; {extra} }}' for n, extra in self.entries.items())
        listen = self.listen or f'{{ address = "{self.addr}"; port = {self.port}; }}'
        self.conf = os.path.join(self.dir, "combinerd.conf")
        h.write(self.conf, f"""
state-dir = "{self.dir}/state"; control = "{self.control}"; log-level = "debug"; map-size = "4G";
listen = ( {listen} );
tsig-keys = ( {keys} );
templates = (
  {{ name = "t"; identity = "{h.IDENTITY}"; refresh-min = 1;
    primaries = ( {{ address = "{self.primary.addr}"; port = {self.primary.port}; source = "{self.addr}"; unsigned = true; }} );
    agents = ( {{ tsig-key = "msad."; }} );
    allow-transfer = ( {{ address = "127.0.0.0/8"; unsigned = true; }} );
    {self.template} }},
  {{ name = "other"; identity = "{h.OTHER}"; refresh-min = 1;
    primaries = ( {{ address = "{self.primary.addr}"; port = {self.primary.port}; source = "{self.addr}"; unsigned = true; }} );
    agents = ( {{ tsig-key = "msad."; }}, {{ tsig-key = "other."; }} );
    allow-transfer = ( {{ address = "127.0.0.0/8"; unsigned = true; }} ); }}
);
zones = (
{zones}
);
{self.settings}
""")

    def start(self, wait=False):
        return super().start(wait)

    def reload(self, good=True):
        word = "daemon-reload " if good else "daemon-reload-failed"
        before = self.log_text().count(word)
        self.configure()
        self.signal(h.signal.SIGHUP)
        h.wait_for(lambda: self.log_text().count(word) > before, message=f"reload; log: {self.dir}/log")

    def serial(self, name):
        """What is served; None: not served (REFUSED, SERVFAIL)."""
        q = dns.message.make_query(name, "SOA")
        q.use_tsig(h.KEYRING, "msad.")
        r = dns.query.udp(q, self.addr, port=self.port, timeout=2)
        return r.answer[0][0].serial if r.rcode() == 0 and r.answer else None

    def rcode_of(self, name):
        q = dns.message.make_query(name, "SOA")
        q.use_tsig(h.KEYRING, "msad.")
        return dns.rcode.to_text(dns.query.udp(q, self.addr, port=self.port, timeout=2).rcode())

    def wait_serial(self, name, serial, timeout=20):
        h.wait_for(lambda: self.serial(name) == serial, timeout=timeout, message=f"{name} {serial}; log: {self.dir}/log")

    def records(self, name):
        return h.transfer(self.addr, self.port, None, zone=name)

    def records_or_none(self, name):
        try:
            return self.records(name)
        except dns.query.TransferError:
            return None


def ask_axfr(addr, port, zone, id_=4711, rcvbuf=None):
    """A connection on which an unsigned AXFR has been asked for; nothing is read yet."""
    s = socket.socket()
    if rcvbuf:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
    s.settimeout(30)
    s.connect((addr, port))
    q = dns.message.make_query(zone, "AXFR", use_edns=-1)
    q.id = id_
    wire = q.to_wire()
    s.sendall(struct.pack("!H", len(wire)) + wire)
    return s


def read_axfr(s):
    """All messages, until the second SOA has come."""
    out, soas = [], 0
    while soas < 2:
        wire = read(s, struct.unpack("!H", read(s, 2))[0])
        out.append(wire)
        m = dns.message.from_wire(wire, one_rr_per_rrset=True, xfr=True) if len(out) == 1 or wire[-60:].find(b"\x00\x06\x00\x01") >= 0 else None
        soas += sum(r.rdtype == dns.rdatatype.SOA for r in m.answer) if m is not None else 0
    return out


# --- catalogs ---


def catalog(name, members, version="2", extra=()):
    """members: {label: zone}, or {label: (zone, property lines ...)}."""
    rows = [f'version.{name} 0 IN TXT "{version}"'] if version is not None else []
    for label, zone in members.items():
        zone, *props = (zone,) if isinstance(zone, str) else zone
        rows.append(f"{label}.zones.{name} 0 IN PTR {zone}")
        rows += [f"{p.split()[0]}.{label}.zones.{name} 0 IN {p.split(None, 1)[1]}" for p in props]
    return rows + list(extra)
