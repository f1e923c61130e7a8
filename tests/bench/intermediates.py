# SPDX-License-Identifier: BSD-2-Clause
"""combinerd and the name servers that could stand in its place: each a secondary of the bench's source, serving AXFR."""

import base64
import itertools
import os
import signal
import socket
import subprocess
import time

import dns.message
import dns.name
import dns.tsigkeyring

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
BUILD = os.path.join(ROOT, os.environ.get("MSP_BUILD", "build/release"))
CLIENT = os.path.join(BUILD, "tests/bench_axfr")
ZONE = "zone.test."
KEY = "bench."
AGENT = "msad."
SECRET = base64.b64encode(bytes(range(32))).decode()
KEYRING = dns.tsigkeyring.from_text({KEY: SECRET, AGENT: SECRET})
_ports = itertools.count(20000 + os.getpid() % 400 * 50)


class Failed(Exception):
    """A measurement that could not be made; the text says why."""


def free_port():
    while True:
        p = next(_ports)
        with socket.socket() as t, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as u:
            try:
                t.bind(("127.0.0.1", p))
                u.bind(("127.0.0.1", p))
                return p
            except OSError:
                continue


def write(path, text, mode=0o600):
    with open(path, "w") as f:
        f.write(text)
    os.chmod(path, mode)


class Process:
    """In a session of its own, so that what it forks is found: to be measured, and to be ended."""

    everything = []

    def __init__(self, base, name):
        self.dir = os.path.join(base, name)
        os.makedirs(self.dir)
        self.name, self.proc = name, None

    def spawn(self, *argv, **kw):
        with open(os.path.join(self.dir, "log"), "ab") as log:
            argv = ("setpriv", "--pdeathsig", "TERM", *argv)  # nothing outlives the bench, however that ends
            self.proc = subprocess.Popen(argv, stderr=log, cwd=self.dir, start_new_session=True, **{"stdout": log, **kw})
        Process.everything.append(self)

    def members(self):
        """Process IDs of the session."""
        found = []
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    with open(f"/proc/{entry}/stat") as f:
                        if int(f.read().rpartition(")")[2].split()[3]) == self.proc.pid:
                            found.append(int(entry))
                except (OSError, IndexError):
                    continue
        return found

    def stop(self):
        if self.proc is None:
            return
        if self.proc.poll() is None:
            self.proc.terminate()
            try:
                self.proc.wait(10)
            except subprocess.TimeoutExpired:
                pass
        for pid in self.members():
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        self.proc.wait()
        self.proc = None
        Process.everything.remove(self)

    def last_words(self):
        with open(os.path.join(self.dir, "log"), errors="replace") as f:
            return " ".join(f.read()[-300:].split())


class Source(Process):
    def __init__(self, base, records):
        super().__init__(base, f"source-{records}")
        self.port, self.records = free_port(), records
        self.spawn(CLIENT, "source", str(self.port), ZONE, str(records), KEY, SECRET, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                   text=True, bufsize=1)
        if self.proc.stdout.readline() != "ready\n":
            raise Failed("the source did not start: " + self.last_words())

    def tell(self, command, port):
        """Serial and the monotonic time, in nanoseconds, just before it."""
        at = time.monotonic_ns()
        self.proc.stdin.write(f"{command} {port}\n")
        return int(self.proc.stdout.readline()), at


class Intermediate(Process):
    unsigned = True

    def __init__(self, base, source):
        super().__init__(base, f"{self.kind}-{source.records}")
        self.source, self.port = source, free_port()

    def wait_serial(self, wanted, timeout, notify=False):
        """Monotonic nanoseconds when the serial is `wanted` or later. Asks from one message made before: it costs little."""
        q = dns.message.make_query(ZONE, "SOA", use_edns=False)
        q.use_tsig(KEYRING, KEY)
        wire = q.to_wire()
        end = time.monotonic() + timeout
        again = time.monotonic() + 5
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.connect(("127.0.0.1", self.port))
            sock.settimeout(0.1)
            while True:
                try:
                    sock.send(wire)
                    got = soa_serial(sock.recv(4096))
                except OSError:
                    got = None
                if got is not None and got >= wanted:
                    return time.monotonic_ns()
                if self.proc.poll() is not None:
                    raise Failed(f"{self.name} ended: {self.last_words()}")
                if time.monotonic() > end:
                    raise Failed(f"{self.name} does not serve {wanted} after {timeout} s: {self.last_words()}")
                if notify and time.monotonic() > again:
                    self.source.tell("notify", self.port)
                    again = time.monotonic() + 5
                time.sleep(0.001)


def soa_serial(m):
    """The serial in an answer to the question for the zone's SOA; None: it has none."""
    if m[3] & 15 or m[6:8] == b"\0\0":
        return None
    at = 12 + len(dns.name.from_text(ZONE).to_wire()) + 4
    while m[at] != 0 and m[at] < 0xC0:
        at += 1 + m[at]
    at += 1 if m[at] == 0 else 2
    end = at + 10 + int.from_bytes(m[at + 8:at + 10], "big")
    return int.from_bytes(m[end - 20:end - 16], "big")


class Nsd(Intermediate):
    kind, version = "nsd", ("nsd", "-v")

    def start(self, _notify_to):
        write(f"{self.dir}/nsd.conf", f"""server:
  ip-address: 127.0.0.1@{self.port}
  username: ""
  zonesdir: "{self.dir}"
  pidfile: "{self.dir}/nsd.pid"
  database: ""
  xfrdfile: "{self.dir}/xfrd.state"
  xfrdir: "{self.dir}"
  zonelistfile: "{self.dir}/zone.list"
  server-count: {os.cpu_count()}
  xfrd-reload-timeout: 0
remote-control:
  control-enable: no
key:
  name: "{KEY}"
  algorithm: hmac-sha256
  secret: "{SECRET}"
zone:
  name: "{ZONE}"
  zonefile: "{self.dir}/zone"
  request-xfr: AXFR 127.0.0.1@{self.source.port} {KEY}
  allow-notify: 127.0.0.1 {KEY}
  provide-xfr: 127.0.0.1 {KEY}
  provide-xfr: 127.0.0.1 NOKEY
""")
        self.spawn("nsd", "-d", "-c", f"{self.dir}/nsd.conf")


class Knot(Intermediate):
    kind, version = "knot", ("knotd", "-V")

    def start(self, _notify_to):
        write(f"{self.dir}/knot.conf", f"""server:
    listen: 127.0.0.1@{self.port}
    rundir: {self.dir}
database:
    storage: {self.dir}
    journal-db-max-size: 8G
log:
  - target: stdout
    any: warning
key:
  - id: {KEY}
    algorithm: hmac-sha256
    secret: {SECRET}
remote:
  - id: up
    address: 127.0.0.1@{self.source.port}
    key: {KEY}
acl:
  - id: signed
    key: {KEY}
    action: [ transfer, notify ]
  - id: unsigned
    address: 127.0.0.1
    action: transfer
zone:
  - domain: {ZONE}
    storage: {self.dir}
    master: up
    acl: [ signed, unsigned ]
    semantic-checks: off
""")
        self.spawn("knotd", "-c", f"{self.dir}/knot.conf")


class Bind(Intermediate):
    kind, version = "bind", ("named", "-v")

    def start(self, _notify_to):
        write(f"{self.dir}/named.conf", f"""options {{
  directory "{self.dir}"; pid-file "{self.dir}/named.pid"; session-keyfile "{self.dir}/session.key"; lock-file none;
  managed-keys-directory "{self.dir}"; listen-on port {self.port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
  recursion no; dnssec-validation no; notify no; serial-query-rate 1000; request-ixfr no; max-records 0;
}};
controls {{ }};
key "{KEY}" {{ algorithm hmac-sha256; secret "{SECRET}"; }};
zone "{ZONE}" {{
  type secondary; file "{self.dir}/zone"; primaries {{ 127.0.0.1 port {self.source.port} key "{KEY}"; }};
  allow-transfer {{ any; }}; allow-notify {{ key "{KEY}"; }};
}};
""")
        self.spawn("named", "-g", "-c", f"{self.dir}/named.conf")


class Combinerd(Intermediate):
    kind, version = "combinerd", (os.path.join(BUILD, "combinerd/combinerd"), "-V")

    def start(self, notify_to):
        os.makedirs(f"{self.dir}/state")
        write(f"{self.dir}/secret", SECRET + "\n")
        write(f"{self.dir}/combinerd.conf", f"""
state-dir = "{self.dir}/state";
listen = ( {{ address = "127.0.0.1"; port = {self.port}; }} );
tsig-keys = ( {{ name = "{KEY}"; algorithm = "hmac-sha256"; secret-file = "{self.dir}/secret"; }},
              {{ name = "{AGENT}"; algorithm = "hmac-sha256"; secret-file = "{self.dir}/secret"; }} );
zones = ( {{
  name = "{ZONE}"; identity = "msa.provider-a.test.";
  primaries = ( {{ address = "127.0.0.1"; port = {self.source.port}; tsig-key = "{KEY}"; }} );
  signers = ( {{ address = "127.0.0.1"; port = {notify_to}; tsig-key = "{KEY}"; }} );
  agents = ( {{ tsig-key = "{AGENT}"; }} );
  coalesce-ms = 0;
}} );
""")
        self.spawn(self.version[0], "-c", f"{self.dir}/combinerd.conf")
