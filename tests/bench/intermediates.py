# SPDX-License-Identifier: BSD-2-Clause
"""combinerd and the name servers that could stand in its place: each a secondary of the bench's source, serving AXFR and
sending NOTIFY. What limits are in their defaults for the good of a network in common use is lifted for all of them.
"""

import base64
import itertools
import os
import queue
import signal
import socket
import subprocess
import threading
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
SIGNED, UNSIGNED = (KEY, SECRET), ("-", "-")
CORES = os.cpu_count()
REST_S = 5
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
    numbers = itertools.count()

    def __init__(self, base, name):
        self.dir = os.path.join(base, f"{name}-{next(self.numbers)}")
        os.makedirs(self.dir)
        self.name, self.proc, self.began = name, None, None

    def spawn(self, *argv, **kw):
        with open(os.path.join(self.dir, "log"), "ab") as log:
            argv = ("setpriv", "--pdeathsig", "TERM", *argv)  # nothing outlives the bench, however that ends
            self.began = time.monotonic_ns()
            self.proc = subprocess.Popen(argv, stderr=log, cwd=self.dir, start_new_session=True, **{"stdout": log, **kw})
        Process.everything.append(self)

    def members(self):
        """Process IDs of the session."""
        found = []
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    with open(f"/proc/{entry}/stat") as f:
                        fields = f.read().rpartition(")")[2].split()
                except OSError:
                    continue
                if fields[0] != "Z" and int(fields[3]) == self.proc.pid:
                    found.append(int(entry))
        return found

    def ticks(self):
        """Processor time used so far, in clock ticks."""
        used = 0
        for pid in self.members():
            try:
                with open(f"/proc/{pid}/stat") as f:
                    used += sum(int(x) for x in f.read().rpartition(")")[2].split()[11:13])
            except OSError:
                continue
        return used

    def rest(self, limit=REST_S):
        """Until it has nothing to do: some write their files after they have begun to serve."""
        end, last = time.monotonic() + limit, -1
        while time.monotonic() < end:
            now = self.ticks()
            if now == last:
                return
            last = now
            time.sleep(0.06)  # several ticks

    def anonymous(self):
        """MiB of all its processes without pages of files, and proportional set size."""
        pss = anon = 0
        for pid in self.members():
            try:
                with open(f"/proc/{pid}/smaps_rollup") as f:
                    kib = dict(line.split()[:2] for line in f.read().splitlines()[1:])
            except OSError:
                continue
            pss += int(kib["Pss:"])
            anon += int(kib["Pss_Anon:"]) + int(kib["Pss_Shmem:"])
        return anon / 1024, pss / 1024

    def stop(self):
        """At once: what it keeps is removed, too. Processes fork while they are counted, hence the loop."""
        if self.proc is None:
            return
        for _ in range(50):
            members = self.members()
            if not members:
                break
            for pid in members:
                try:
                    os.kill(pid, signal.SIGKILL)
                except OSError:
                    pass
            time.sleep(0.01)
        self.proc.wait()
        for pipe in (self.proc.stdin, self.proc.stdout):
            if pipe is not None:
                pipe.close()
        self.proc = None
        Process.everything.remove(self)

    def last_words(self):
        with open(os.path.join(self.dir, "log"), errors="replace") as f:
            return " ".join(f.read()[-300:].split())


class Helper(Process):
    """A part of bench_axfr that is told what to do."""

    def __init__(self, base, name, *args, first=None):
        super().__init__(base, name)
        self.port, self.unread = free_port(), 0
        self.spawn(CLIENT, name, str(self.port), *(first or SIGNED), *map(str, args), stdin=subprocess.PIPE,
                   stdout=subprocess.PIPE, text=True, bufsize=1)
        if self.proc.stdout.readline() != "ready\n":
            raise Failed(f"{name} did not start: {self.last_words()}")

    def tell(self, command):
        """The numbers that it answers. Somebody's time may have been up between question and answer."""
        for _ in range(self.unread):
            self.proc.stdout.readline()
        self.unread = 1
        try:
            self.proc.stdin.write(command + "\n")
            answer = self.proc.stdout.readline()
        except OSError as e:
            raise Failed(f"{self.name}: {e}") from None
        self.unread = 0
        if not answer:
            raise Failed(f"{self.name} ended: {self.last_words()}")
        return [int(x) for x in answer.split()]


class Source(Helper):
    """One large zone."""

    def __init__(self, base, records):
        super().__init__(base, "source", ZONE, records)
        self.records = records


class ZoneSource(Helper):
    """Many small zones."""

    def __init__(self, base, count):
        super().__init__(base, "zones", count)
        self.count = count


class Replay(Helper):
    """A bare write loop of the octets in a file."""

    def __init__(self, base, path, chunk):
        super().__init__(base, "replay", first=(path, str(chunk)))


class Sink(Helper):
    """A signer that only hears NOTIFY, notes when, and acknowledges."""

    def __init__(self, base, quiet=False):
        super().__init__(base, "sink", *(["quiet"] if quiet else []))
        self.heard = queue.Queue()
        threading.Thread(target=self.listen, args=(self.proc.stdout,), daemon=True).start()

    def listen(self, out):
        try:
            for line in out:
                self.heard.put(tuple(int(x) for x in line.split()))
        except ValueError:
            pass  # closed

    def clear(self):
        while not self.heard.empty():
            self.heard.get_nowait()

    def wait(self, after, timeout):
        """When a NOTIFY arrived of a serial later than `after` (or of no serial), and the serial."""
        end = time.monotonic() + timeout
        try:
            while True:
                at, serial = self.heard.get(timeout=max(0, end - time.monotonic()))
                if serial == 0 or serial > after:
                    return at, serial
        except queue.Empty:
            raise Failed(f"no NOTIFY within {timeout} s") from None


class Intermediate(Process):
    """`zones`: names; all of them the same but for the name."""

    def __init__(self, base, source, zones, sink):
        super().__init__(base, self.kind)
        self.source, self.zones, self.sink, self.port = source, zones, sink, free_port()

    def start(self):
        self.configure()
        self.spawn(*self.command())

    def must_run(self):
        if self.proc.poll() is not None:
            raise Failed(f"{self.name} ended: {self.last_words()}")

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
                self.must_run()
                if time.monotonic() > end:
                    raise Failed(f"{self.name} does not serve {wanted} after {timeout} s: {self.last_words()}")
                if notify and time.monotonic() > again:
                    self.source.tell(f"notify {self.port}")
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

    def configure(self):
        zones = "".join(f'zone:\n  name: "{z}"\n  include-pattern: "all"\n' for z in self.zones)
        write(f"{self.dir}/nsd.conf", f"""server:
  ip-address: 127.0.0.1@{self.port}
  username: ""
  zonesdir: "{self.dir}"
  pidfile: "{self.dir}/nsd.pid"
  database: ""
  xfrdfile: "{self.dir}/xfrd.state"
  xfrdir: "{self.dir}"
  zonelistfile: "{self.dir}/zone.list"
  server-count: {CORES}
  xfrd-reload-timeout: 0
remote-control:
  control-enable: no
key:
  name: "{KEY}"
  algorithm: hmac-sha256
  secret: "{SECRET}"
pattern:
  name: "all"
  zonefile: "{self.dir}/%s"
  request-xfr: 127.0.0.1@{self.source.port} {KEY}
  allow-notify: 127.0.0.1 {KEY}
  notify: 127.0.0.1@{self.sink.port} {KEY}
  provide-xfr: 127.0.0.1 {KEY}
  provide-xfr: 127.0.0.1 NOKEY
{zones}""")

    def command(self):
        return "nsd", "-d", "-c", f"{self.dir}/nsd.conf"


class Knot(Intermediate):
    kind, version = "knot", ("knotd", "-V")

    def configure(self):
        zones = "".join(f"  - domain: {z}\n" for z in self.zones)
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
  - id: down
    address: 127.0.0.1@{self.sink.port}
    key: {KEY}
acl:
  - id: signed
    key: {KEY}
    action: [ transfer, notify ]
  - id: unsigned
    address: 127.0.0.1
    action: transfer
template:
  - id: default
    storage: {self.dir}
    master: up
    notify: down
    acl: [ signed, unsigned ]
    semantic-checks: off
zone:
{zones}""")

    def command(self):
        return "knotd", "-c", f"{self.dir}/knot.conf"


class Bind(Intermediate):
    kind, version = "bind", ("named", "-v")

    def configure(self):
        zones = "".join(f'zone "{z}" {{ type secondary; file "{self.dir}/{z}zone"; primaries {{ up; }}; }};\n' for z in self.zones)
        write(f"{self.dir}/named.conf", f"""options {{
  directory "{self.dir}"; pid-file "{self.dir}/named.pid"; session-keyfile "{self.dir}/session.key"; lock-file none;
  managed-keys-directory "{self.dir}"; listen-on port {self.port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
  recursion no; dnssec-validation no; max-records 0; tcp-clients 1000; transfers-out 1000; transfers-in 1000;
  transfers-per-ns 1000; serial-query-rate 100000; notify-rate 100000; startup-notify-rate 100000; notify-delay 0;
  notify explicit; also-notify {{ 127.0.0.1 port {self.sink.port} key "{KEY}"; }};
  allow-transfer {{ any; }}; allow-notify {{ key "{KEY}"; }};
}};
controls {{ }};
key "{KEY}" {{ algorithm hmac-sha256; secret "{SECRET}"; }};
primaries up {{ 127.0.0.1 port {self.source.port} key "{KEY}"; }};
{zones}""")

    def command(self):
        return "named", "-g", "-c", f"{self.dir}/named.conf"


class Combinerd(Intermediate):
    kind, version = "combinerd", (os.path.join(BUILD, "combinerd/combinerd"), "-V")

    def configure(self):
        os.makedirs(f"{self.dir}/state")
        write(f"{self.dir}/secret", SECRET + "\n")
        settings = f"""identity = "msa.provider-a.test.";
  primaries = ( {{ address = "127.0.0.1"; port = {self.source.port}; tsig-key = "{KEY}"; }} );
  signers = ( {{ address = "127.0.0.1"; port = {self.sink.port}; tsig-key = "{KEY}"; }} );
  agents = ( {{ tsig-key = "{AGENT}"; }} );
  allow-transfer = ( {{ address = "127.0.0.1"; unsigned = true; }} );
  coalesce-ms = 0;"""
        zones = ",\n".join(f'{{ name = "{z}"; template = "all"; }}' for z in self.zones)
        write(f"{self.dir}/combinerd.conf", f"""
state-dir = "{self.dir}/state";
listen = ( {{ address = "127.0.0.1"; port = {self.port}; }} );
tcp-per-client-max = 1000;
tcp-connections-max = 1000;
transfers-out-max = 1000;
tsig-keys = ( {{ name = "{KEY}"; algorithm = "hmac-sha256"; secret-file = "{self.dir}/secret"; }},
              {{ name = "{AGENT}"; algorithm = "hmac-sha256"; secret-file = "{self.dir}/secret"; }} );
templates = ( {{
  name = "all"; {settings}
}} );
zones = (
{zones} );
""")

    def command(self):
        return self.version[0], "-c", f"{self.dir}/combinerd.conf"
