# SPDX-License-Identifier: BSD-2-Clause
"""Real name servers on loopback high ports, each with one primary zone behind a TSIG key."""
import socket
import subprocess
import time

import dns.message
import dns.query
import dns.rcode
import dns.tsigkeyring
import dns.update

ZONE = "zone.test."
KEY_NAME = "transfer.key."
KEY_ALGORITHM = "hmac-sha256"
KEY_SECRET = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
KEY = f"{KEY_NAME}:{KEY_ALGORITHM}:{KEY_SECRET}"
KEYRING = dns.tsigkeyring.from_text({KEY_NAME: KEY_SECRET})


def free_port():
    """A port that is free for UDP and TCP."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            port = tcp.getsockname()[1]
            try:
                udp.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


class Server:
    """Base: `argv` and `config` are the kind's own."""

    can_update = True

    def __init__(self, directory, zone_text):
        self.directory = directory
        self.port = free_port()
        self.zone_file = directory / "zone"
        self.zone_file.write_text(zone_text)
        self.config_file = directory / "conf"
        self.config_file.write_text(self.config())
        self.log = open(directory / "log", "w")
        self.process = subprocess.Popen(self.argv(), cwd=directory, stdout=self.log, stderr=subprocess.STDOUT)
        self.wait()

    def wait(self):
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                if self.serial() is not None:
                    return
            except (OSError, EOFError, dns.exception.DNSException):
                pass
            time.sleep(0.05)
        self.stop()
        raise AssertionError(f"{type(self).__name__} does not start:\n{(self.directory / 'log').read_text()[-2000:]}")

    def serial(self):
        query = dns.message.make_query(ZONE, "SOA")
        answer = dns.query.udp(query, "127.0.0.1", port=self.port, timeout=1)
        return answer.answer[0][0].serial if answer.rcode() == dns.rcode.NOERROR and answer.answer else None

    def update(self, change):
        """`change` fills a dns.update.UpdateMessage."""
        message = dns.update.UpdateMessage(ZONE, keyring=KEYRING, keyname=KEY_NAME, keyalgorithm=KEY_ALGORITHM)
        change(message)
        before = self.serial()
        answer = dns.query.tcp(message, "127.0.0.1", port=self.port, timeout=5)
        assert answer.rcode() == dns.rcode.NOERROR, answer
        deadline = time.monotonic() + 5
        while self.serial() == before and time.monotonic() < deadline:
            time.sleep(0.02)
        assert self.serial() != before

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


class Named(Server):
    def argv(self):
        return ["/usr/sbin/named", "-g", "-n", "1", "-c", str(self.config_file)]

    def config(self):
        return f"""
key "{KEY_NAME}" {{ algorithm {KEY_ALGORITHM}; secret "{KEY_SECRET}"; }};
options {{
    directory "{self.directory}"; pid-file none; session-keyfile none; recursion no; notify no; dnssec-validation no; max-records-per-type 0;
    listen-on port {self.port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
}};
controls {{ }};
zone "{ZONE}" {{
    type primary; file "{self.zone_file}"; check-names ignore; check-integrity no;
    allow-transfer {{ key "{KEY_NAME}"; }}; allow-update {{ key "{KEY_NAME}"; }};
}};
"""


class Knotd(Server):
    def argv(self):
        return ["/usr/sbin/knotd", "-c", str(self.config_file)]

    def config(self):
        return f"""
server:
    rundir: "{self.directory}"
    listen: 127.0.0.1@{self.port}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: "{self.directory}"
log:
  - target: stderr
    any: info
key:
  - id: {KEY_NAME}
    algorithm: {KEY_ALGORITHM}
    secret: {KEY_SECRET}
acl:
  - id: all
    key: {KEY_NAME}
    action: [transfer, update]
zone:
  - domain: {ZONE}
    storage: "{self.directory}"
    file: "{self.zone_file}"
    acl: all
    semantic-checks: off
    journal-content: changes
"""


class Nsd(Server):
    can_update = False

    def argv(self):
        return ["/usr/sbin/nsd", "-d", "-c", str(self.config_file)]

    def config(self):
        return f"""
server:
    ip-address: 127.0.0.1
    port: {self.port}
    server-count: 1
    username: ""
    chroot: ""
    zonesdir: "{self.directory}"
    database: ""
    pidfile: "{self.directory}/pid"
    xfrdfile: "{self.directory}/xfrd"
    zonelistfile: "{self.directory}/zonelist"
    xfrdir: "{self.directory}"
remote-control:
    control-enable: no
key:
    name: "{KEY_NAME}"
    algorithm: {KEY_ALGORITHM}
    secret: "{KEY_SECRET}"
zone:
    name: "{ZONE}"
    zonefile: "{self.zone_file}"
    provide-xfr: 127.0.0.1 {KEY_NAME}
"""
