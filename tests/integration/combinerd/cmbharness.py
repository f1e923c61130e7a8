# SPDX-License-Identifier: BSD-2-Clause
"""Real name servers around a combinerd on loopback: start, stop, ask. Everything is polled, nothing sleeps blindly."""

import base64
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import types

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
import dns.rdtypes.ANY.RP
import dns.rdtypes.nsbase
import dns.rrset
import dns.tsig
import dns.tsigkeyring
import dns.update

# RFC 1035 types with names that dnspython takes for opaque: it would hand out compression pointers as they stand.
_names = types.ModuleType("cmbnames")
for _n in ("MD", "MF", "MB", "MG", "MR"):
    setattr(_names, _n, type(_n, (dns.rdtypes.nsbase.NSBase,), {}))
_names.MINFO = type("MINFO", (dns.rdtypes.ANY.RP.RP,), {})
for _n, _t in (("MD", 3), ("MF", 4), ("MB", 7), ("MG", 8), ("MR", 9), ("MINFO", 14)):
    dns.rdata.register_type(_names, _t, _n)

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../../.."))
BUILD = os.environ.get("MSP_BUILD", os.path.join(ROOT, "build/release"))
BUILD = BUILD if os.path.isabs(BUILD) else os.path.join(ROOT, BUILD)
COMBINERD = os.path.join(BUILD, "combinerd/combinerd")

ZONE = "zone.test."
IDENTITY = "msa.provider-a.test."
OTHER = "msa.provider-b.test."
HSYNC = 65282
PERMITTED = ("DNSKEY", "CDS", "CSYNC", "NS")
SECRETS = {n: base64.b64encode(bytes([i + 1]) * 32).decode() for i, n in enumerate(("owner.", "signer.", "msad.", "other."))}
KEYRING = dns.tsigkeyring.from_text(SECRETS)

_numbers = itertools.count(os.getpid() % 200 * 64 + 1)
_ports = itertools.count(20000 + os.getpid() % 200 * 100)


def address():
    """A loopback address nobody else in this run uses."""
    n = next(_numbers)
    return f"127.{80 + n // 60000 % 40}.{n // 250 % 250}.{n % 250 + 1}"


def port():
    """BIND only listens on addresses that an interface has: 127.0.0.1 and a port of its own."""
    while True:
        p = next(_ports)
        with socket.socket() as s, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as u:
            try:
                s.bind(("127.0.0.1", p))
                u.bind(("127.0.0.1", p))
                return p
            except OSError:
                continue


def wait_for(what, timeout=20.0, every=0.02, message=""):
    end = time.monotonic() + timeout
    last = None
    while time.monotonic() < end:
        try:
            last = what()
            if last:
                return last
        except (OSError, EOFError, dns.exception.DNSException) as e:
            last = e
        time.sleep(every)
    raise AssertionError(f"timed out after {timeout} s: {message or what} (last: {last!r})")


def write(path, text, mode=0o644):
    with open(path + ".new", "w") as f:
        f.write(text)
    os.chmod(path + ".new", mode)
    os.rename(path + ".new", path)


def hsync(identity, state=1, nsmgmt=2, sign=1):
    wire = bytes([state, nsmgmt, sign]) + dns.name.from_text(identity).to_wire()
    return f"{ZONE} 300 IN TYPE65282 \\# {len(wire)} {wire.hex()}"


def zone_text(serial, extra=(), hsyncs=None, refresh=3600):
    lines = [f"{ZONE} 300 IN SOA ns.owner.test. host.owner.test. {serial} {refresh} 5 86400 60",
             f"{ZONE} 300 IN NS ns1.owner.test.", f"{ZONE} 300 IN NS ns2.owner.test.",
             f"www.{ZONE} 300 IN A 192.0.2.1", f'{ZONE} 300 IN TXT "owner"']
    lines += hsyncs if hsyncs is not None else [hsync(IDENTITY), hsync(OTHER)]
    return "\n".join(lines + list(extra)) + "\n"


class Server:
    """A process, its directory, its log."""

    def __init__(self, base, name):
        self.dir = os.path.join(str(base), name)
        os.makedirs(self.dir, exist_ok=True)
        self.name, self.proc = name, None

    def spawn(self, *argv, **kw):
        self.log = open(os.path.join(self.dir, "log"), "ab")
        self.proc = subprocess.Popen(argv, stdout=self.log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd=self.dir, **kw)

    def signal(self, sig):
        if self.proc and self.proc.poll() is None:
            self.proc.send_signal(sig)

    def stop(self):
        self.signal(signal.SIGTERM)
        self.join()

    def join(self, timeout=20):
        if self.proc is None:
            return None
        try:
            rc = self.proc.wait(timeout)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            self.proc.wait()
            rc = None
        self.proc = None
        self.log.close()
        return rc

    def log_text(self):
        if not os.path.exists(os.path.join(self.dir, "log")):
            return ""
        with open(os.path.join(self.dir, "log"), errors="replace") as f:
            return f.read()

    def where(self):
        return self.addr, self.port

    def ask(self, rdtype, key=None, name=ZONE, timeout=2.0, tcp=False, edns=True, raw=False):
        q = dns.message.make_query(name, rdtype, use_edns=0 if edns else -1)
        if key:
            q.use_tsig(KEYRING, key)
        fn = dns.query.tcp if tcp else dns.query.udp
        return fn(q, self.addr, timeout=timeout, port=self.port)

    def soa(self, key=None):
        r = self.ask("SOA", key)
        for rrset in r.answer:
            if rrset.rdtype == dns.rdatatype.SOA:
                return rrset[0].serial
        return None

    def axfr(self, key="signer.", rdtype="AXFR", serial=0, zone=ZONE, timeout=60):
        return transfer(self.addr, self.port, key, rdtype, serial, zone, timeout)


def messages(addr, port_, key, rdtype="AXFR", serial=0, zone=ZONE, timeout=60):
    kw = dict(keyring=KEYRING, keyname=dns.name.from_text(key)) if key else {}
    yield from dns.query.xfr(addr, zone, rdtype=rdtype, serial=serial, relativize=False, port=port_, timeout=timeout,
                             lifetime=timeout * 2, **kw)


def transfer(addr, port_, key, rdtype="AXFR", serial=0, zone=ZONE, timeout=60):
    """All records in order as (name, ttl, type, wire)."""
    out = []
    for m in messages(addr, port_, key, rdtype, serial, zone, timeout):
        for rrset in m.answer:
            for rd in rrset:
                out.append((rrset.name.to_text(), rrset.ttl, dns.rdatatype.to_text(rrset.rdtype), rd.to_wire()))
    return out


def apex_set(records, rdtype):
    return {r[3] for r in records if r[0].lower() == ZONE and r[2] == rdtype}


def content(records, drop=PERMITTED):
    """What must pass unchanged: everything but the SOA and the permitted apex RRsets. Names and RDATA with their case."""
    return {r for r in records if r[2] != "SOA" and not (r[0].lower() == ZONE and r[2] in drop)}


def serial_of(records):
    import struct
    assert records[0][2] == "SOA" and records[-1][2] == "SOA" and records[0] == records[-1]
    return struct.unpack("!I", records[0][3][-20:-16])[0]


class Combinerd(Server):
    def __init__(self, base, primaries, signers=(), name="combinerd", zone_settings="", settings="", identity=IDENTITY, zones=None):
        super().__init__(base, name)
        self.addr, self.port = address(), 5300
        self.control = os.path.join(self.dir, "c.sock")
        os.makedirs(os.path.join(self.dir, "state"), exist_ok=True)
        for k, v in SECRETS.items():
            write(os.path.join(self.dir, k + "secret"), v + "\n", 0o600)
        self.primaries, self.signers = primaries, list(signers)
        self.zone_settings, self.settings, self.identity = zone_settings, settings, identity
        self.configure()

    def configure(self):
        def remote(r, key):
            return f'{{ address = "{r[0]}"; port = {r[1]}; source = "{self.addr}"; tsig-key = "{key}"; }}'
        keys = ", ".join(f'{{ name = "{k}"; algorithm = "hmac-sha256"; secret-file = "{self.dir}/{k}secret"; }}' for k in SECRETS)
        self.conf = os.path.join(self.dir, "combinerd.conf")
        write(self.conf, f"""
state-dir = "{self.dir}/state";
control = "{self.control}";
log-level = "debug";
map-size = "2G";
listen = ( {{ address = "{self.addr}"; port = {self.port}; }} );
tsig-keys = ( {keys} );
{self.settings}
zones = ( {{
  name = "{ZONE}"; identity = "{self.identity}";
  primaries = ( {", ".join(remote(p, "owner.") for p in self.primaries)} );
  signers = ( {", ".join(remote(s, "signer.") for s in self.signers) or remote((self.addr, 9), "signer.")} );
  agents = ( {{ tsig-key = "msad."; }} );
  refresh-min = 1;
  {self.zone_settings}
}} );
""")

    def start(self, wait=True):
        env = dict(os.environ, ASAN_OPTIONS="detect_leaks=1:abort_on_error=0", UBSAN_OPTIONS="print_stacktrace=1")
        self.spawn(COMBINERD, "-c", self.conf, env=env)
        wait_for(self.ready, message=f"combinerd ready; log: {self.dir}/log")
        if wait:
            wait_for(lambda: self.soa("msad."), message="zone served")
        return self

    def ready(self):
        if self.proc.poll() is not None:
            raise AssertionError("combinerd ended: " + self.log_text()[-2000:])
        return self.ctl("ping", raw=True)["ok"]

    def kill9(self):
        self.signal(signal.SIGKILL)
        self.join()

    def stop(self):
        self.signal(signal.SIGTERM)
        rc = self.join()
        text = self.log_text()
        assert not any(w in text for w in ("ERROR: ", "runtime error", "WARNING: ThreadSanitizer")), text[-4000:]
        return rc

    def ctl(self, cmd, raw=False, **args):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(10)
            s.connect(self.control)
            s.sendall(json.dumps({"cmd": cmd, "args": args}).encode() + b"\n")
            data = b""
            while not data.endswith(b"\n"):
                more = s.recv(65536)
                if not more:
                    raise EOFError("control socket closed")
                data += more
        answer = json.loads(data)
        if raw:
            return answer
        assert answer["ok"], answer
        return answer.get("data")

    def show(self):
        return self.ctl("combiner show", zone=ZONE)

    def update(self, *changes, key="msad.", zone=ZONE, edns=True, prereq=(), tcp=True, name=None):
        """changes: (verb, rdtype, ...) on the apex, e.g. ("add", 300, "NS", "ns.x."). Returns the response."""
        u = make_update(*changes, key=key, zone=zone, edns=edns, prereq=prereq, name=name)
        fn = dns.query.tcp if tcp else dns.query.udp
        return fn(u, self.addr, timeout=10, port=self.port)

    def rcode(self, *changes, **kw):
        return dns.rcode.to_text(self.update(*changes, **kw).rcode())

    def nsupdate(self, script, key="msad."):
        auth = f"key hmac-sha256:{key} {SECRETS[key]}\n" if key else ""
        return subprocess.run(["nsupdate"], input=f"server {self.addr} {self.port}\nzone {ZONE}\n{auth}{script}\nsend\n", text=True,
                              capture_output=True, timeout=30)


def make_update(*changes, key="msad.", zone=ZONE, edns=True, prereq=(), name=None):
    u = dns.update.UpdateMessage(zone, keyring=KEYRING if key else None, keyname=dns.name.from_text(key) if key else None)
    if edns:
        u.use_edns(0)
    at = dns.name.from_text(name or zone)
    for p in prereq:
        getattr(u, p[0])(at, *p[1:])
    for c in changes:
        getattr(u, c[0])(dns.name.from_text(c[-1]["name"]) if isinstance(c[-1], dict) else at,
                         *(c[1:-1] if isinstance(c[-1], dict) else c[1:]))
    return u


def ede(response):
    for o in response.options:
        if o.otype == 15:
            return o.code
    return None


# --- foreign servers ---


class Nsd(Server):
    """Owner (primary) or downstream (secondary)."""

    def __init__(self, base, name, zone_file=None, notify=None, upstream=None, key="owner."):
        super().__init__(base, name)
        self.addr, self.port, self.key = address(), 5300, key
        keys = "".join(f'key:\n  name: "{k}"\n  algorithm: hmac-sha256\n  secret: "{v}"\n' for k, v in SECRETS.items())
        zone = f'zone:\n  name: "{ZONE}"\n  zonefile: "{self.dir}/zone"\n'
        if upstream:
            zone += (f'  request-xfr: {upstream[0]}@{upstream[1]} {key}\n  allow-notify: 127.0.0.0/8 {key}\n'
                     f'  provide-xfr: 127.0.0.0/8 {key}\n  outgoing-interface: {self.addr}\n')
        else:
            write(f"{self.dir}/zone", zone_file)
            zone += f'  provide-xfr: 127.0.0.0/8 {key}\n  outgoing-interface: {self.addr}\n'
        self.base_conf = f"""server:
  ip-address: {self.addr}@{self.port}
  username: ""
  zonesdir: "{self.dir}"
  pidfile: "{self.dir}/nsd.pid"
  database: ""
  xfrdfile: "{self.dir}/xfrd.state"
  xfrdir: "{self.dir}"
  zonelistfile: "{self.dir}/zone.list"
  server-count: 1
  verbosity: 2
  xfrd-reload-timeout: 0
  zonefiles-check: yes
remote-control:
  control-enable: yes
  control-interface: "{self.dir}/ctl"
"""
        self.zone_conf, self.keys, self.notify = zone, keys, notify

    def start(self):
        extra = f"  notify: {self.notify[0]}@{self.notify[1]} {self.key}\n" if self.notify else ""
        write(f"{self.dir}/nsd.conf", self.base_conf + self.keys + self.zone_conf + extra)
        self.spawn("nsd", "-d", "-c", f"{self.dir}/nsd.conf")
        wait_for(lambda: self.ask("SOA", timeout=0.5), message="nsd answers")
        return self

    def change(self, zone_file):
        write(f"{self.dir}/zone", zone_file)
        subprocess.run(["nsd-control", "-c", f"{self.dir}/nsd.conf", "reload", ZONE], check=True, capture_output=True)


class Knot(Server):
    def __init__(self, base, name, zone_file=None, notify=None, upstream=None, key="owner."):
        super().__init__(base, name)
        self.addr, self.port, self.key = address(), 5300, key
        self.notify, self.upstream = notify, upstream
        if zone_file:
            write(f"{self.dir}/zone", zone_file)

    def start(self):
        keys = "".join(f"  - id: {k}\n    algorithm: hmac-sha256\n    secret: {v}\n" for k, v in SECRETS.items())
        remotes, zone = "", ""
        if self.upstream:
            remotes += f"  - id: up\n    address: {self.upstream[0]}@{self.upstream[1]}\n    via: {self.addr}\n    key: {self.key}\n"
            zone += "    master: up\n    zonefile-load: none\n    zonefile-sync: -1\n    journal-content: all\n"
        else:
            zone += f"    file: {self.dir}/zone\n    zonefile-sync: -1\n"
        if self.notify:
            remotes += f"  - id: down\n    address: {self.notify[0]}@{self.notify[1]}\n    via: {self.addr}\n    key: {self.key}\n"
            zone += "    notify: down\n"
        remotes = "remote:\n" + remotes if remotes else ""
        write(f"{self.dir}/knot.conf", f"""server:
    listen: {self.addr}@{self.port}
    rundir: {self.dir}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
    tcp-io-timeout: 60000  # half a second by default: a reader in Python may be slower on a busy machine
database:
    storage: {self.dir}
log:
  - target: stdout
    any: debug
key:
{keys}
{remotes}
acl:
  - id: xfr
    key: {self.key}
    action: [ transfer, notify ]
zone:
  - domain: {ZONE}
    storage: {self.dir}
    acl: xfr
    semantic-checks: off
{zone}""")
        self.spawn("knotd", "-c", f"{self.dir}/knot.conf")
        wait_for(lambda: self.ask("SOA", timeout=0.5), message="knot answers")
        return self

    def knotc(self, *args):
        return subprocess.run(["knotc", "-s", f"{self.dir}/knot.sock", "-b", *args], check=True, capture_output=True, text=True)

    def change(self, zone_file):
        write(f"{self.dir}/zone", zone_file)
        self.knotc("zone-reload", ZONE)


class Bind(Server):
    def __init__(self, base, name, zone_file=None, notify=None, upstream=None, key="owner."):
        super().__init__(base, name)
        self.addr, self.port, self.key = "127.0.0.1", port(), key
        self.notify, self.upstream = notify, upstream
        if zone_file:
            write(f"{self.dir}/zone", zone_file)

    def start(self):
        keys = "".join(f'key "{k}" {{ algorithm hmac-sha256; secret "{v}"; }};\n' for k, v in SECRETS.items())
        zone = f'allow-transfer {{ key "{self.key}"; }}; '
        if self.upstream:
            zone += f'allow-notify {{ key "{self.key}"; }}; type secondary; masterfile-format text; file "{self.dir}/zone"; primaries {{ {self.upstream[0]} port {self.upstream[1]} key "{self.key}"; }}; '
        else:
            zone += f'type primary; file "{self.dir}/zone"; check-names ignore; '
        if self.notify:
            zone += f'notify explicit; also-notify {{ {self.notify[0]} port {self.notify[1]} key "{self.key}"; }}; '
        else:
            zone += "notify no; "
        write(f"{self.dir}/named.conf", f"""options {{
  directory "{self.dir}"; pid-file "{self.dir}/named.pid"; session-keyfile "{self.dir}/session.key";
  listen-on port {self.port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
  recursion no; dnssec-validation no; notify-delay 0; max-records 0; max-records-per-type 0; max-types-per-name 0; check-integrity no;
  managed-keys-directory "{self.dir}"; lock-file none; startup-notify-rate 1000; notify-rate 1000; serial-query-rate 1000;
}};
controls {{ }};
{keys}
zone "{ZONE}" {{ {zone} }};
""")
        self.spawn("named", "-g", "-c", f"{self.dir}/named.conf")
        wait_for(lambda: self.ask("SOA", timeout=0.5), message="named answers")
        return self

    def change(self, zone_file):
        write(f"{self.dir}/zone", zone_file)
        self.signal(signal.SIGHUP)


OWNERS = {"nsd": Nsd, "knot": Knot, "bind": Bind}
MISSING = [p for p in ("nsd", "knotd", "named", "nsupdate") if shutil.which(p) is None]
