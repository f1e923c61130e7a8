# SPDX-License-Identifier: BSD-2-Clause
"""A zone, its parent and the root, each a signed Knot in one network namespace; a real msad; a combiner that takes KEY.
Who receives at the parent comes with the subclass."""
import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../resolve"))
import tree as base_tree  # noqa: E402

ROOT_DIR = os.path.abspath(os.path.join(HERE, "../../.."))
BUILD = os.environ.get("MSP_BUILD", os.path.join(ROOT_DIR, "build/release"))
BUILD = BUILD if os.path.isabs(BUILD) else os.path.join(ROOT_DIR, BUILD)
MSAD, PARENTD, MSCTL = (os.path.join(BUILD, p) for p in ("msad/msad", "parentd/parentd", "tools/msctl/msctl"))

ROOT, PARENT, CHILD, RECEIVER, AGENT, COMBINER, PARENT2, CHILD2 = (f"10.59.0.{i}" for i in range(1, 9))
ALL = (ROOT, PARENT, CHILD, RECEIVER, AGENT, COMBINER, PARENT2, CHILD2)
ZONE = "child.example."
SECRET = base64.b64encode(b"x" * 32).decode()
LIMIT_S = 60
OWNER, AGENT_NS = 1, 2  # who manages NS (PROTOCOL A.1)


def need_programs():
    for program in ("knotd", "keymgr", "kdig", "dnssec-keygen", "ip"):
        if shutil.which(program) is None and shutil.which(program, path="/usr/sbin:/sbin") is None:
            pytest.skip(f"{program} is not installed")
    if os.geteuid() != 0:
        pytest.skip("needs root for a network namespace")


def hsync(nsmgmt=AGENT_NS, identity=b"\x03msa\x01a\x04test\x00"):
    """Our provider: ON, it signs."""
    return f"TYPE65282 \\# {3 + len(identity)} 01{nsmgmt:02x}01{identity.hex()}"


def call(path, cmd, **args):
    """One command over a control socket."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(20)
        s.connect(path)
        s.sendall(json.dumps({"cmd": cmd, "args": args}).encode() + b"\n")
        data = b""
        while not data.endswith(b"\n"):
            part = s.recv(65536)
            if not part:
                break
            data += part
    return json.loads(data)


class World(base_tree.Tree):
    """Root, example. and child.example. Both zones can have a second server, which transfers the signed zone."""

    netns_name = "msp-parent"

    def build(self, parent, zone="", nsmgmt=AGENT_NS, two_parents=False, two_servers=False):
        """parent: more lines of the parent zone. zone: of the child's."""
        self.netns = f"{self.netns_name}-{os.getpid()}"
        base_tree.run("ip", "netns", "add", self.netns)
        self.inside("ip", "link", "set", "lo", "up")
        for address in ALL:
            self.inside("ip", "address", "add", f"{address}/32", "dev", "lo")
        self.conf("root", ROOT, {".": ("ECDSAP256SHA256", False)})
        self.conf("parent", PARENT, {"example.": ("ECDSAP256SHA256", False)}, PARENT2 if two_parents else None)
        self.conf("child", CHILD, {ZONE: ("ECDSAP256SHA256", False)}, CHILD2 if two_servers else None)
        soa = "@ SOA ns hostmaster 1 3600 600 86400 5\n@ NS ns\n"
        second = f"@ NS ns2\nns2 A {CHILD2}\n" if two_servers else ""
        self.write("child", ZONE, f"$ORIGIN {ZONE}\n$TTL 5\n{soa}ns A {CHILD}\n{second}@ {hsync(nsmgmt)}\n{zone}")
        second = f"@ NS ns2\nns2 A {PARENT2}\n" if two_parents else ""
        self.write("parent", "example.", f"$ORIGIN example.\n$TTL 5\n{soa}ns A {PARENT}\n{second}"
                   f"{self.delegation(two_servers)}{parent}")
        second = f"example. NS ns2.example.\nns2.example. A {PARENT2}\n" if two_parents else ""
        self.write("root", ".", "$ORIGIN .\n$TTL 5\n@ SOA a.rootsrv. hostmaster. 1 3600 600 86400 5\n@ NS a.rootsrv.\n"
                   f"a.rootsrv. A {ROOT}\nexample. NS ns.example.\nns.example. A {PARENT}\n{second}" +
                   self.ds("parent", "example."))
        self.anchor = self.write_anchor("anchor", self.ds("root", "."))
        self.knots = {}
        for name, address, of in (("root", ROOT, "."), ("parent", PARENT, "example."), ("child", CHILD, ZONE)):
            self.start_knot(name, address, of)
        if two_parents:
            self.second("parent2", PARENT2, "example.", PARENT)
        if two_servers:
            self.second("child2", CHILD2, ZONE, CHILD)

    def delegation(self, two_servers):
        """What the parent shows in the beginning: the zone's servers, and no DS."""
        second = f"child NS ns2.child\nns2.child A {CHILD2}\n" if two_servers else ""
        return f"child NS ns.child\nns.child A {CHILD}\n{second}"

    def conf(self, name, address, zones, second=None):
        """As in the tree, and open to UPDATE and transfers; the zone publishes CDS."""
        super().conf(name, address, zones)
        path = self.path(name, "knot.conf")
        with open(path, encoding="ascii") as f:
            text = f.read()
        remote = f"remote:\n  - id: second\n    address: {second}@53\n" if second else ""
        text = text.replace("policy:\n", f"key:\n  - id: agent.\n    algorithm: hmac-sha256\n    secret: {SECRET}\n{remote}"
                            "acl:\n  - id: local\n    address: 10.59.0.0/24\n    action: [ update, notify, transfer ]\n"
                            "  - id: agent\n    key: agent.\n    action: [ transfer, update ]\npolicy:\n")
        text = text.replace("    zonefile-sync: -1\n", "    zonefile-sync: -1\n    acl: [ local, agent ]\n" +
                            ("    notify: second\n" if second else ""))
        text = text.replace("    manual: on\n", f"    manual: on\n    cds-cdnskey-publish: {'always' if name == 'child' else 'none'}\n")
        with open(path, "w", encoding="ascii") as f:
            f.write(text)

    def start_knot(self, name, address, zone):
        self.knots[name] = self.start("knotd", "-c", self.path(name, "knot.conf"))
        self.wait_for(address, zone)

    def second(self, name, address, zone, of):
        """A server that transfers the zone as it is."""
        base_tree.Tree.conf(self, name, address, {zone: None})
        path = self.path(name, "knot.conf")
        with open(path, encoding="ascii") as f:
            text = f.read()
        text = text.replace("policy:\n", f"remote:\n  - id: first\n    address: {of}@53\n"
                            "acl:\n  - id: local\n    address: 10.59.0.0/24\n    action: [ notify, transfer ]\n")
        text = text[:text.index("    zonefile-load: ")] + ("    zonefile-load: none\n    zonefile-sync: -1\n    master: first\n"
                                                          "    acl: local\n    refresh-max-interval: 2\n")
        with open(path, "w", encoding="ascii") as f:
            f.write(text)
        self.start_knot(name, address, zone)

    def knotc(self, name, *argv):
        base_tree.run("knotc", "-c", self.path(name, "knot.conf"), "-b", *argv)

    def start_mock(self, conf):
        """The combiner, and whatever else `conf` asks for: parentmock.py."""
        self.events = []
        conf = {"child": ZONE, "child_server": CHILD, "combiner": COMBINER, "tsig": {"agent.": SECRET}, **conf}
        self.mock = self.start(sys.executable, os.path.join(HERE, "parentmock.py"), json.dumps(conf), stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=open(self.path("mock.err"), "wb"), text=True)

        def read():
            for line in self.mock.stdout:
                self.events.append(json.loads(line))
        threading.Thread(target=read, daemon=True).start()
        self.until(lambda: self.seen("ready"), "the combiner")

    def write_secret(self):
        with open(self.path("agent.secret"), "w", encoding="ascii") as f:
            os.fchmod(f.fileno(), 0o600)
            f.write(SECRET + "\n")

    def write_msad_conf(self, ns=("ns",), timers="delay = 0; observe = 1; poll = 1; poll-max = 2; key-poll = 1; key-poll-max = 2;"):
        names = ", ".join(f'"{n}.{ZONE}"' for n in ns)
        with open(self.path("msad.conf"), "w", encoding="ascii") as f:
            f.write(f"""
identity = "msa.a.test."; host = "dns.msa.a.test."; sig0-key = "{self.path(self.sig0)}.private";
state-dir = "{self.path('state')}"; control = "{self.path('c.sock')}"; log-level = "debug";
listen = ( {{ address = "{AGENT}"; port = 5399; }} ); zone-listen = ( {{ address = "{AGENT}"; port = 53; }} );
resolver : {{ root-servers = [ "{ROOT}" ]; trust-anchor-file = "{self.anchor}"; timeout = 5; }};
tsig-keys = ( {{ name = "agent."; algorithm = "hmac-sha256"; secret-file = "{self.path('agent.secret')}"; }} );
parent : {{ {timers} }};
zone-poll-max = 1;
zones = ( {{ name = "{ZONE}"; ns = [ {names} ]; dnskey-ttl = 5; parent-sync = "auto";
  signer : {{ address = "{CHILD}"; port = 53; tsig-key = "agent."; }};
  combiner : {{ address = "{COMBINER}"; port = 53; tsig-key = "agent."; }}; }} );
""")

    def start_msad(self, **conf):
        os.makedirs(self.path("state"), exist_ok=True)
        self.write_secret()
        if not hasattr(self, "sig0"):
            self.sig0 = base_tree.run("dnssec-keygen", "-q", "-K", self.dir, "-a", "ED25519", "-T", "KEY", "-n", "HOST",
                                      "dns.msa.a.test.").strip()
        self.write_msad_conf(**conf)
        log = open(self.path("msad.log"), "ab")
        self.msad = self.start(MSAD, "-c", self.path("msad.conf"), stdout=log, stderr=log)

    def stop(self):
        """The agent ends in order, and no sanitizer has a word to say."""
        if not hasattr(self, "msad"):  # the test was skipped
            return
        self.msad.send_signal(signal.SIGTERM)
        assert self.msad.wait(20) == 0, self.log()[-4000:]
        for log in [name for name in ("msad.log", "parentd.log") if os.path.exists(self.path(name))]:
            text = self.read(log)
            assert "ERROR: " not in text and "runtime error" not in text, text[-6000:]

    def daemons(self):
        return [getattr(self, name) for name in ("msad", "parentd") if hasattr(self, name)]

    def seen(self, what):
        return [e for e in self.events if e["what"] == what]

    def read(self, name):
        try:
            with open(self.path(name), errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def log(self):
        return self.read("msad.log")

    def until(self, what, message, limit_s=LIMIT_S):
        """What it returns, when that is true. A daemon of ours that ends is no reason to wait on."""
        end = time.monotonic() + limit_s
        while time.monotonic() < end and all(p.poll() is None for p in self.daemons()):
            try:
                value = what()
            except OSError:
                value = None
            if value:
                return value
            time.sleep(0.1)
        raise AssertionError(f"no {message} in {limit_s} s\n{self.events}\n" +
                             "\n".join(self.read(name)[-6000:] for name in ("mock.err", "parentd.log", "msad.log")))

    def ctl(self, cmd, **args):
        return call(self.path("c.sock"), cmd, **args)

    def status(self):
        return self.ctl("parent status", zone=ZONE)["data"]

    def sync(self):
        self.until(lambda: self.ctl("parent sync", zone=ZONE)["ok"], "the command")

    def dig(self, server, name, rtype):
        out = subprocess.run(["ip", "netns", "exec", self.netns, "kdig", "+short", "+timeout=2", f"@{server}", name, rtype],
                             capture_output=True, text=True, check=False).stdout
        return sorted(line.replace(" ", "").upper() for line in out.splitlines())

    def has_ds(self, server=PARENT):
        """The DS RRset at the parent is the CDS RRset of the zone."""
        ds = self.dig(server, ZONE, "DS")
        return ds and ds == self.dig(CHILD, ZONE, "CDS")


RECV = "0472656376076578616d706c6500"


def dsync(rrtype, scheme):
    """For every child, all at the receiver's port."""
    rdata = f"{rrtype:04x}{scheme:02x}{5353:04x}{RECV}"
    return "".join(f"{owner} TYPE66 \\# {len(rdata) // 2} {rdata}\n" for owner in ("*._dsync", "_dsync"))
