# SPDX-License-Identifier: BSD-2-Clause
"""The parent zone at a real primary that takes UPDATE with TSIG, gives AXFR and sends NOTIFY: BIND, Knot, PowerDNS."""

import os
import signal
import socket
import sqlite3
import subprocess

import dns.message
import dns.query
import dns.rdatatype
import dns.tsigkeyring
import dns.zone

import parent as h

SCHEMA = "/usr/share/doc/pdns-backend-sqlite3/schema.sqlite3.sql"
KEY = "primary."
SECRET = "cHJpbWFyeS1zZWNyZXQtb2YtdGhlLXBhcmVudC16b25l"
KEYRING = dns.tsigkeyring.from_text({KEY: SECRET})


def zone_text(lines=(), serial=1):
    return "\n".join([f"example. 300 IN SOA ns.example. h.example. {serial} 3600 600 86400 60",
                      "example. 300 IN NS ns.example.", "ns.example. 300 IN A 192.0.2.1",
                      "www.example. 300 IN A 192.0.2.80", *lines]) + "\n"


class Primary:
    def __init__(self, base, lines=(), notify=None):
        self.dir = os.path.join(str(base), type(self).__name__.lower())
        os.makedirs(self.dir, exist_ok=True)
        self.addr, self.port = h.address(), 5300
        self.lines, self.notify, self.proc = list(lines), notify, None

    def spawn(self, *argv):
        self.log = open(os.path.join(self.dir, "log"), "ab")
        self.proc = subprocess.Popen(argv, stdout=self.log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                     cwd=self.dir)
        h.wait_for(lambda: self.serial() is not None, message=f"primary answers; log: {self.dir}/log")
        return self

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
        self.log.close()

    def log_text(self):
        with open(os.path.join(self.dir, "log"), errors="replace") as f:
            return f.read()

    def serial(self):
        a = dns.query.tcp(dns.message.make_query("example.", "SOA"), self.addr, timeout=2, port=self.port)
        return a.answer[0][0].serial if a.answer else None

    def axfr(self):
        """Records of the zone as (owner, type, rdata), without the SOA."""
        z = dns.zone.from_xfr(dns.query.xfr(self.addr, "example.", port=self.port, keyring=KEYRING, keyname=KEY,
                                            relativize=False, lifetime=h.LIMIT_S), relativize=False)
        return sorted((n.to_text(), dns.rdatatype.to_text(r.rdtype), x.to_text().lower())
                      for n, node in z.items() for r in node for x in r if r.rdtype != dns.rdatatype.SOA)

    def at(self, child):
        return [r for r in self.axfr() if r[0] == child or r[0].endswith("." + child)]

    def nsupdate(self, script):
        r = subprocess.run(["nsupdate", "-v", "-y", f"hmac-sha256:{KEY}:{SECRET}"], text=True, capture_output=True,
                           timeout=h.LIMIT_S,
                           input=f"server {self.addr} {self.port}\nzone example.\n{script}\nsend\n")
        assert r.returncode == 0, r.stderr


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Bind(Primary):
    grants = f"grant {KEY} zonesub ANY;"

    def __init__(self, *args, **kw):
        super().__init__(*args, **kw)
        self.addr, self.port = "127.0.0.1", free_port()  # it listens on addresses of interfaces only

    def start(self):
        if not os.path.exists(f"{self.dir}/zone"):
            h.write(f"{self.dir}/zone", zone_text(self.lines))
        notify = "notify no;"
        if self.notify:
            notify = f"notify explicit; also-notify {{ {self.notify[0]} port {self.notify[1]}; }}; notify-source {self.addr};"
        h.write(f"{self.dir}/named.conf", f"""options {{
  directory "{self.dir}"; pid-file "{self.dir}/named.pid"; session-keyfile "{self.dir}/session.key";
  listen-on port {self.port} {{ {self.addr}; }}; listen-on-v6 {{ none; }};
  recursion no; dnssec-validation no; notify-delay 0; notify-rate 1000;
  managed-keys-directory "{self.dir}"; lock-file none;
}};
controls {{ }};
key "{KEY}" {{ algorithm hmac-sha256; secret "{SECRET}"; }};
zone "example." {{ type primary; file "{self.dir}/zone"; {notify}
  allow-transfer {{ key "{KEY}"; }}; check-names ignore; update-policy {{ {self.grants} }}; }};
""")
        return self.spawn("named", "-g", "-c", f"{self.dir}/named.conf")


class Knot(Primary):
    def start(self):
        if not os.path.exists(f"{self.dir}/zone"):
            h.write(f"{self.dir}/zone", zone_text(self.lines))
        remote, notify = "", ""
        if self.notify:
            remote = f"remote:\n  - id: down\n    address: {self.notify[0]}@{self.notify[1]}\n    via: {self.addr}\n"
            notify = "    notify: down\n"
        h.write(f"{self.dir}/knot.conf", f"""server:
    listen: {self.addr}@{self.port}
    rundir: {self.dir}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: {self.dir}
log:
  - target: stdout
    any: info
key:
  - id: {KEY}
    algorithm: hmac-sha256
    secret: {SECRET}
{remote}
acl:
  - id: ours
    key: {KEY}
    action: [ transfer, update ]
zone:
  - domain: example.
    storage: {self.dir}
    acl: ours
    file: {self.dir}/zone
    zonefile-sync: -1
    zonefile-load: difference-no-serial
    journal-content: all
{notify}""")
        return self.spawn("knotd", "-c", f"{self.dir}/knot.conf")


class Pdns(Primary):
    def util(self, *args):
        return subprocess.run(["/usr/bin/pdnsutil", f"--config-dir={self.dir}", *args], check=True,
                              capture_output=True, text=True).stdout

    def start(self):
        d = self.dir
        os.makedirs(f"{d}/run", exist_ok=True)
        first = not os.path.exists(f"{d}/pdns.db")
        notify = f"also-notify={self.notify[0]}:{self.notify[1]}\nonly-notify=\n" if self.notify else ""
        h.write(f"{d}/pdns.conf", f"""launch=gsqlite3
gsqlite3-database={d}/pdns.db
gsqlite3-dnssec=yes
local-address={self.addr}
local-port={self.port}
query-local-address={self.addr}
socket-dir={d}/run
daemon=no
guardian=no
setuid=
setgid=
primary=yes
xfr-cycle-interval=1
dnsupdate=yes
allow-dnsupdate-from=127.0.0.0/8
allow-axfr-ips=
{notify}cache-ttl=0
query-cache-ttl=0
negquery-cache-ttl=0
zone-cache-refresh-interval=0
zone-metadata-cache-ttl=0
""")
        if first:
            db = sqlite3.connect(f"{d}/pdns.db")
            with open(SCHEMA) as f:
                db.executescript(f.read())
            db.close()
            h.write(f"{d}/zone", zone_text(self.lines))
            self.util("load-zone", "example", f"{d}/zone")
            self.util("set-kind", "example", "primary")
            self.util("import-tsig-key", "primary", "hmac-sha256", SECRET)
            self.util("activate-tsig-key", "example", "primary", "primary")
            self.util("set-meta", "example", "TSIG-ALLOW-DNSUPDATE", "primary")
            self.util("set-meta", "example", "SOA-EDIT-DNSUPDATE", "INCREASE")
            self.util("set-meta", "example", "NOTIFY-DNSUPDATE", "1")
        return self.spawn("/usr/sbin/pdns_server", f"--config-dir={d}")


KINDS = {"bind": Bind, "knot": Knot, "pdns": Pdns}


def knot_secondary(d, port, zone, up):
    """Configuration of a Knot in directory d that takes the zone from `up`, with the key."""
    h.write(f"{d}/knot.conf", f"""server:
    listen: 127.0.0.1@{port}
    rundir: {d}
database:
    storage: {d}
log:
  - target: stdout
    any: info
key:
  - id: {KEY}
    algorithm: hmac-sha256
    secret: {SECRET}
remote:
  - id: up
    address: {up.addr}@{up.port}
    key: {KEY}
acl:
  - id: up
    key: {KEY}
    action: notify
zone:
  - domain: {zone}
    storage: {d}
    master: up
    acl: up
""")
