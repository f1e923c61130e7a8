# SPDX-License-Identifier: BSD-2-Clause
"""
Children of a parent with their servers on loopback addresses, port PORT: zones signed here (dnspython), served by NSD,
Knot, BIND, or by a Python server that can lie, stay silent or be slow. What a server serves is its own copy, so that
providers of one child can differ.

    z = family.Zone("child.example.")
    z.key().cds()                               # one key, its DNSKEY and CDS
    a, b = servers(family.Nsd(base, z)), servers(family.Liar(base, z))
    parent.add_child(z.name, z.delegation([a, b], ds=z.keys[:1]))
"""

import os
import signal
import socket
import socketserver
import struct
import subprocess
import threading
import time

import dns.dnssec
import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdata
import dns.rdataset
import dns.rdatatype
import dns.rrset
from cryptography.hazmat.primitives.asymmetric import ec

import parent as h



def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


PORT = free_port()  # of all servers of this run: BIND can have 127.0.0.1 alone
DELETE = "0 0 0 00"


class Key:
    """A key that signs everything of a zone: its DNSKEY has SEP set."""

    def __init__(self, zone):
        self.private = ec.generate_private_key(ec.SECP256R1())
        self.zone = dns.name.from_text(zone)
        self.dnskey = dns.dnssec.make_dnskey(self.private.public_key(), "ECDSAP256SHA256", 257)

    def ds(self, digest="SHA256"):
        return dns.dnssec.make_ds(self.zone, self.dnskey, digest).to_text()

    def sign(self, rrset, inception):
        return dns.dnssec.sign(rrset, self.private, self.zone, self.dnskey, inception=inception,
                               expiration=inception + 86400)


class Zone:
    """Records as text; signed when asked for. Copies (of other providers) share keys that are handed over."""

    def __init__(self, name=h.CHILD, hosts=None):
        self.name = name
        self.hosts = hosts or []     # name servers, in the NS RRset; addresses come with the servers
        self.keys, self.foreign = [], []  # foreign: DNSKEYs of other providers, which do not sign here
        self.signers = None          # of the DNSKEY RRset; None: all keys
        self.records = {}            # (owner, type): [rdata]
        self.unsigned = set()        # (owner, type) left unsigned
        self.serial, self.age = 1, 3600

    def key(self, key=None):
        self.keys.append(key or Key(self.name))
        return self

    def put(self, rdtype, *rdatas, owner=None):
        self.records[(owner or self.name, rdtype)] = list(rdatas)
        return self

    def cds(self, keys=None, cdnskey=False, digest="SHA256"):
        """CDS of these keys (None: of all), or the sentinel."""
        if keys == DELETE:
            return self.put("CDS", DELETE)
        keys = self.keys if keys is None else keys
        self.put("CDS", *[k.ds(digest) for k in keys])
        return self.put("CDNSKEY", *[k.dnskey.to_text() for k in keys]) if cdnskey else self

    def no_cds(self):
        self.records.pop((self.name, "CDS"), None)
        self.records.pop((self.name, "CDNSKEY"), None)
        return self

    def csync(self, types="NS A AAAA", flags=1, serial=0):
        return self.put("CSYNC", f"{serial} {flags} {types}")

    def copy(self):
        z = Zone(self.name, self.hosts)
        z.keys, z.foreign, z.signers = list(self.keys), list(self.foreign), self.signers
        z.records, z.unsigned = {k: list(v) for k, v in self.records.items()}, set(self.unsigned)
        z.serial, z.age = self.serial, self.age
        return z

    def rrsets(self):
        """[(RRset, RRSIG RRset or None)]"""
        all_records = dict(self.records)
        ns = [host for host, _addr in self.hosts]
        all_records.setdefault((self.name, "SOA"), [f"ns.{self.name} hostmaster.{self.name} {self.serial} 3600 600 86400 60"])
        all_records.setdefault((self.name, "NS"), ns)
        for host, addr in self.hosts:
            if dns.name.from_text(host).is_subdomain(dns.name.from_text(self.name)):
                all_records.setdefault((host, "A"), []).append(addr)
        if self.keys:
            all_records[(self.name, "DNSKEY")] = [k.dnskey.to_text() for k in self.keys + self.foreign]
            self.add_nsec(all_records)
        out = []
        inception = int(time.time()) - self.age
        for (owner, rdtype), texts in all_records.items():
            rrset = dns.rrset.from_text_list(owner, 300, "IN", rdtype, sorted(set(texts)))
            keys = self.keys if rdtype != "DNSKEY" or self.signers is None else self.signers
            sigs = None
            if keys and (owner, rdtype) not in self.unsigned:
                sigs = dns.rrset.from_rdata_list(dns.name.from_text(owner), 300, [k.sign(rrset, inception) for k in keys])
            out.append((rrset, sigs))
        return out

    @staticmethod
    def add_nsec(records):
        """BIND holds a zone without for unsigned."""
        owners = sorted({dns.name.from_text(owner) for owner, _ in records})
        for owner, following in zip(owners, owners[1:] + owners[:1]):
            types = {rdtype for name, rdtype in records if dns.name.from_text(name) == owner} | {"NSEC", "RRSIG"}
            records[(owner.to_text(), "NSEC")] = [f"{following} {' '.join(sorted(types))}"]

    def text(self):
        return "\n".join(s.to_text() for pair in self.rrsets() for s in pair if s is not None) + "\n"

    def delegation(self, ds=()):
        lines = [f"{self.name} 300 NS {host}" for host, _ in self.hosts]
        lines += [f"{host} 300 A {addr}" for host, addr in self.hosts if host.endswith("." + self.name)]
        return lines + [f"{self.name} 300 DS {k.ds()}" for k in ds]


# --- real servers -----------------------------------------------------------------------------------------------------


class Server:
    """One zone on an address of its own. change(zone): serve this from now on."""

    ADDRESS = None

    def __init__(self, base, zone, addr=None):
        self.addr = addr or self.ADDRESS or h.address()
        self.dir = os.path.join(str(base), f"{type(self).__name__.lower()}-{self.addr}")
        os.makedirs(self.dir, exist_ok=True)
        self.zone, self.proc = zone, None
        self.path = os.path.join(self.dir, "zone")

    def start(self):
        h.write(self.path, self.zone.text())
        self.configure()
        with open(os.path.join(self.dir, "log"), "ab") as log:
            self.proc = subprocess.Popen(self.argv(), stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                         cwd=self.dir)
        h.wait_for(lambda: self.serial() == self.zone.serial, message=f"{type(self).__name__} serves; {self.dir}/log")
        return self

    def serial(self):
        a = dns.query.tcp(dns.message.make_query(self.zone.name, "SOA"), self.addr, timeout=2, port=PORT)
        return a.answer[0][0].serial if a.answer else None

    def change(self, zone):
        zone.serial = max(zone.serial, self.zone.serial + 1)
        self.zone = zone
        h.write(self.path, zone.text())
        self.proc.send_signal(signal.SIGHUP)
        h.wait_for(lambda: self.serial() == zone.serial, message="the new zone is served")

    def stop(self):
        if self.proc is None:
            return
        self.proc.send_signal(signal.SIGTERM)
        try:
            self.proc.wait(h.LIMIT_S)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            self.proc.wait()
        self.proc = None


class Nsd(Server):
    def configure(self):
        h.write(self.dir + "/nsd.conf", f"""server:
  ip-address: {self.addr}@{PORT}
  server-count: 1
  username: ""
  chroot: ""
  zonesdir: "{self.dir}"
  zonelistfile: "{self.dir}/zone.list"
  database: ""
  pidfile: "{self.dir}/pid"
  xfrdfile: "{self.dir}/xfrd"
  logfile: "{self.dir}/log"
  xfrdir: "{self.dir}"
remote-control:
  control-enable: no
zone:
  name: {self.zone.name}
  zonefile: {self.path}
""")

    def argv(self):
        return ["/usr/sbin/nsd", "-d", "-c", self.dir + "/nsd.conf"]


class Bind(Server):
    ADDRESS = "127.0.0.1"  # it listens on addresses of interfaces only: one at a time

    def configure(self):
        h.write(self.dir + "/named.conf", f"""options {{ directory "{self.dir}"; pid-file "{self.dir}/pid";
  listen-on port {PORT} {{ {self.addr}; }}; listen-on-v6 {{ none; }}; recursion no; notify no; session-keyfile none;
  dnssec-validation no; check-names primary ignore; }};
controls {{ }};
zone "{self.zone.name}" {{ type primary; file "{self.path}"; check-integrity no; }};
""")

    def argv(self):
        return ["/usr/sbin/named", "-g", "-c", self.dir + "/named.conf"]


class Knot(Server):
    def configure(self):
        h.write(self.dir + "/knot.conf", f"""server:
  listen: [ {self.addr}@{PORT} ]
  rundir: {self.dir}
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
log:
  - target: stderr
    any: info
database:
  storage: {self.dir}
  kasp-db-max-size: 20M
  journal-db-max-size: 20M
  timer-db-max-size: 10M
zone:
  - domain: {self.zone.name}
    file: {self.path}
    zonefile-load: whole
    zonefile-sync: -1
    journal-content: none
    semantic-checks: off
""")

    def argv(self):
        return ["/usr/sbin/knotd", "-c", self.dir + "/knot.conf"]


# --- a server that may lie --------------------------------------------------------------------------------------------


class Liar:
    """
    Answers over TCP and UDP from a Zone. Knobs, at any time: delay_s for each question; mute (types that are never
    answered); rcode for everything; no_aa; ra (it is a resolver); deaf (connections are taken, nothing is read);
    channel (where reports of errors are to go, RFC 9567); `asked` counts questions over TCP by type. Over UDP: udp
    ("answers", "mute", "truncates", or an RCODE); `asked_udp` counts.
    """

    ADDRESS = None

    def __init__(self, _base, zone, addr=None, ra=False, port=None):
        self.ra, self.port, self.channel = ra, port or PORT, None
        self.udp, self.asked_udp, self.datagrams = "answers", 0, None
        self.addr, self.zone = addr or h.address(), zone
        self.delay_s, self.mute, self.rcode, self.no_aa, self.deaf = 0, set(), None, False, False
        self.asked, self.server = {}, None

    def start(self):
        self.change(self.zone)
        liar = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                try:
                    liar.converse(self.request)
                except OSError:
                    pass

        class Datagram(socketserver.BaseRequestHandler):
            def handle(self):
                octets, s = self.request
                out = liar.answer_udp(octets)
                if out is not None:
                    s.sendto(out, self.client_address)

        class Threads(socketserver.ThreadingTCPServer):
            allow_reuse_address, daemon_threads, request_queue_size = True, True, 128

        self.server = Threads((self.addr, self.port), Handler)
        self.datagrams = socketserver.UDPServer((self.addr, self.port), Datagram)
        for s in (self.server, self.datagrams):
            threading.Thread(target=s.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def change(self, zone):
        self.zone = zone
        self.sets = {(r.name, r.rdtype): (r, s) for r, s in zone.rrsets()}

    def stop(self):
        for s in (self.server, self.datagrams):
            if s is not None:
                s.shutdown()
                s.server_close()
        self.server = self.datagrams = None

    def answer_udp(self, wire):
        self.asked_udp += 1
        a = self.answer(dns.message.from_wire(wire))
        if self.udp == "truncates":
            a.answer, a.flags = [], a.flags | dns.flags.TC
        elif self.udp not in ("answers", "mute"):
            a.answer = []
            a.set_rcode(dns.rcode.from_text(self.udp))
        return None if self.udp == "mute" else a.to_wire()

    def converse(self, s):
        s.settimeout(h.LIMIT_S)
        while True:
            if self.deaf:
                time.sleep(0.1)  # until it is told otherwise, or the other side gives up
                if s.recv(1, socket.MSG_PEEK) == b"":
                    return
                continue
            head = self.read(s, 2)
            wire = self.read(s, struct.unpack("!H", head)[0]) if head else None
            if wire is None:
                return
            q = dns.message.from_wire(wire)
            rdtype = dns.rdatatype.to_text(q.question[0].rdtype)
            self.asked[rdtype] = self.asked.get(rdtype, 0) + 1
            if rdtype in self.mute:
                continue
            time.sleep(self.delay_s)
            out = self.answer(q).to_wire(max_size=65535)
            s.sendall(struct.pack("!H", len(out)) + out)

    @staticmethod
    def read(s, n):
        out = b""
        while len(out) < n:
            more = s.recv(n - len(out))
            if not more:
                return None
            out += more
        return out

    def answer(self, q):
        a = dns.message.make_response(q)
        if self.channel is not None and q.edns >= 0:
            a.use_edns(0, q.ednsflags, options=[dns.edns.GenericOption(h.OPT_REPORT, h.wire_name(self.channel))])
        if self.rcode is not None:
            a.set_rcode(dns.rcode.from_text(self.rcode))
            return a
        if self.ra:
            a.flags |= dns.flags.RA
        elif not self.no_aa:
            a.flags |= dns.flags.AA
        rrset, sigs = self.sets.get((q.question[0].name, q.question[0].rdtype), (None, None))
        if rrset is not None:
            a.answer.append(rrset)
            if sigs is not None and q.ednsflags & dns.flags.DO:
                a.answer.append(sigs)
        return a
