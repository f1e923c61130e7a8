# SPDX-License-Identifier: BSD-2-Clause
"""A real msad, a real signed tree (Knot) in a network namespace, and at the parent a receiver written here: from CDS in the zone
to DS at the parent without a hand on it."""
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
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../resolve"))
import tree as base_tree  # noqa: E402

ROOT_DIR = os.path.abspath(os.path.join(HERE, "../../.."))
BUILD = os.environ.get("MSP_BUILD", os.path.join(ROOT_DIR, "build/release"))
BUILD = BUILD if os.path.isabs(BUILD) else os.path.join(ROOT_DIR, BUILD)
MSAD, PARENTD = os.path.join(BUILD, "msad/msad"), os.path.join(BUILD, "parentd/parentd")

ROOT, PARENT, CHILD, RECEIVER, AGENT, COMBINER = (f"10.59.0.{i}" for i in range(1, 7))
ZONE = "child.example."
SECRET = base64.b64encode(b"x" * 32).decode()
LIMIT_S = 60


class World(base_tree.Tree):
    """root, example. (the parent, with DSYNC) and child.example. (the zone, with CDS), each a Knot of its own."""

    def up(self, dsync, real=False):
        """real: parentd itself receives, and the parent shows a DS of the past beside the right one."""
        self.netns = f"msp-parent-{os.getpid()}"
        base_tree.run("ip", "netns", "add", self.netns)
        self.inside("ip", "link", "set", "lo", "up")
        for address in (ROOT, PARENT, CHILD, RECEIVER, AGENT, COMBINER):
            self.inside("ip", "address", "add", f"{address}/32", "dev", "lo")
        self.conf("root", ROOT, {".": ("ECDSAP256SHA256", False)})
        self.conf("parent", PARENT, {"example.": ("ECDSAP256SHA256", False)})
        self.conf("child", CHILD, {ZONE: ("ECDSAP256SHA256", False)})
        self.receiver_key = ed25519.Ed25519PrivateKey.generate()
        public = base64.b64encode(self.receiver_key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
        self.real = real
        if real:
            self.parentd_key = base_tree.run("dnssec-keygen", "-q", "-K", self.dir, "-a", "ED25519", "-T", "KEY", "-n", "USER",
                                             "recv.example.").strip()
            with open(self.path(self.parentd_key + ".key"), encoding="ascii") as f:
                public = next(line for line in f if not line.startswith(";")).split()[-1]
            dsync += self.ds("child", ZONE) + f"child DS 1 13 2 {'00' * 32}\n"
        identity = b"\x03msa\x01a\x04test\x00"
        self.write("child", ZONE, f"$ORIGIN {ZONE}\n$TTL 5\n@ SOA ns hostmaster 1 3600 600 86400 5\n@ NS ns\nns A {CHILD}\n"
                   f"@ TYPE65282 \\# {3 + len(identity)} 010201{identity.hex()}\n")
        self.write("parent", "example.", "$ORIGIN example.\n$TTL 5\n@ SOA ns hostmaster 1 3600 600 86400 5\n@ NS ns\n"
                   f"ns A {PARENT}\nchild NS ns.child\nns.child A {CHILD}\nrecv A {RECEIVER}\nrecv KEY 0 3 15 {public}\n"
                   'recv SVCB 1 . key65282="at-apex"\n' + dsync)
        self.write("root", ".", "$ORIGIN .\n$TTL 5\n@ SOA a.rootsrv. hostmaster. 1 3600 600 86400 5\n@ NS a.rootsrv.\n"
                   f"a.rootsrv. A {ROOT}\nexample. NS ns.example.\nns.example. A {PARENT}\n" + self.ds("parent", "example."))
        self.anchor = self.write_anchor("anchor", self.ds("root", "."))
        for name in ("root", "parent", "child"):
            self.start("knotd", "-c", self.path(name, "knot.conf"))
        for address, zone in ((ROOT, "."), (PARENT, "example."), (CHILD, ZONE)):
            self.wait_for(address, zone)
        self.events, self.mock = [], None
        self.start_mock()
        if real:
            self.start_parentd()
        self.start_msad()

    def conf(self, name, address, zones):
        """As in the tree, and open to UPDATE and transfers; the zone publishes CDS."""
        super().conf(name, address, zones)
        path = self.path(name, "knot.conf")
        with open(path, encoding="ascii") as f:
            text = f.read()
        text = text.replace("policy:\n", f"key:\n  - id: agent.\n    algorithm: hmac-sha256\n    secret: {SECRET}\n"
                            "acl:\n  - id: local\n    address: 10.59.0.0/24\n    action: [ update, notify ]\n"
                            "  - id: agent\n    key: agent.\n    action: [ transfer, update ]\npolicy:\n")
        text = text.replace("    zonefile-sync: -1\n", "    zonefile-sync: -1\n    acl: [ local, agent ]\n")
        text = text.replace("    manual: on\n", f"    manual: on\n    cds-cdnskey-publish: {'always' if name == 'child' else 'none'}\n")
        with open(path, "w", encoding="ascii") as f:
            f.write(text)

    def start_mock(self):
        conf = {"name": "recv.example.", "child": ZONE, "parent": "example.", "child_server": CHILD, "parent_server": PARENT,
                "address": RECEIVER, "port": 5999 if self.real else 5353, "combiner": COMBINER, "tsig": {"agent.": SECRET},
                "private": base64.b64encode(self.receiver_key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())).decode()}
        self.mock = self.start(sys.executable, os.path.join(HERE, "parentmock.py"), json.dumps(conf), stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=open(self.path("mock.err"), "wb"), text=True)

        def read():
            for line in self.mock.stdout:
                self.events.append(json.loads(line))
        threading.Thread(target=read, daemon=True).start()
        self.until(lambda: self.seen("ready"), "the receiver")

    def start_parentd(self):
        os.makedirs(self.path("pstate"))
        self.write_secret()
        with open(self.path("parentd.conf"), "w", encoding="ascii") as f:
            f.write(f"""
target = "recv.example."; sig0-keys = [ "{self.path(self.parentd_key)}.private" ]; state-dir = "{self.path('pstate')}";
control = "{self.path('p.sock')}"; log-level = "debug";
listen = ( {{ address = "{RECEIVER}"; port = 5353; }} );
resolver : {{ root-servers = [ "{ROOT}" ]; trust-anchor-file = "{self.anchor}"; timeout = 5; }};
tsig-keys = ( {{ name = "agent."; algorithm = "hmac-sha256"; secret-file = "{self.path('agent.secret')}"; }} );
policies = ( {{ name = "open"; sources = [ "update" ]; bootstrap = [ "at-apex" ]; bootstrap-retry = 1; ns-min = 1;
  private-addresses = true; }} );
parents = ( {{ zone = "example."; policy = "open"; primary : {{ address = "{PARENT}"; port = 53; tsig-key = "agent."; }};
  backends = ( {{ name = "primary"; kind = "update"; address = "{PARENT}"; port = 53; tsig-key = "agent."; }} ); }} );
probe-ipv6 = false;
""")
        log = open(self.path("parentd.log"), "ab")
        self.parentd = self.start(PARENTD, "-c", self.path("parentd.conf"), stdout=log, stderr=log)

    def write_secret(self):
        with open(self.path("agent.secret"), "w", encoding="ascii") as f:
            os.fchmod(f.fileno(), 0o600)
            f.write(SECRET + "\n")

    def start_msad(self):
        os.makedirs(self.path("state"), exist_ok=True)
        self.write_secret()
        if not hasattr(self, "sig0"):
            self.sig0 = base_tree.run("dnssec-keygen", "-q", "-K", self.dir, "-a", "ED25519", "-T", "KEY", "-n", "HOST",
                                      "dns.msa.a.test.").strip()
        with open(self.path("msad.conf"), "w", encoding="ascii") as f:
            f.write(f"""
identity = "msa.a.test."; host = "dns.msa.a.test."; sig0-key = "{self.path(self.sig0)}.private";
state-dir = "{self.path('state')}"; control = "{self.path('c.sock')}"; log-level = "debug";
listen = ( {{ address = "{AGENT}"; port = 5399; }} ); zone-listen = ( {{ address = "{AGENT}"; port = 53; }} );
resolver : {{ root-servers = [ "{ROOT}" ]; trust-anchor-file = "{self.anchor}"; timeout = 5; }};
tsig-keys = ( {{ name = "agent."; algorithm = "hmac-sha256"; secret-file = "{self.path('agent.secret')}"; }} );
parent : {{ delay = 0; observe = 1; poll = 1; poll-max = 2; key-poll = 1; key-poll-max = 2; }};
zone-poll-max = 1;
zones = ( {{ name = "{ZONE}"; ns = [ "ns.{ZONE}" ]; dnskey-ttl = 5; parent-sync = "auto";
  signer : {{ address = "{CHILD}"; port = 53; tsig-key = "agent."; }};
  combiner : {{ address = "{COMBINER}"; port = 53; tsig-key = "agent."; }}; }} );
""")
        log = open(self.path("msad.log"), "ab")
        self.msad = self.start(MSAD, "-c", self.path("msad.conf"), stdout=log, stderr=log)

    def stop(self):
        """The agent ends in order, and no sanitizer has a word to say."""
        if not hasattr(self, "msad"):  # the test was skipped
            return
        self.msad.send_signal(signal.SIGTERM)
        assert self.msad.wait(20) == 0, self.log()[-4000:]
        assert "ERROR: " not in self.log() and "runtime error" not in self.log(), self.log()[-6000:]

    def seen(self, what):
        return [e for e in self.events if e["what"] == what]

    def mode(self, mode):
        n = len(self.seen("mode"))
        self.mock.stdin.write(f"mode {mode}\n")
        self.mock.stdin.flush()
        self.until(lambda: len(self.seen("mode")) > n, "the mode")

    def log(self):
        with open(self.path("msad.log"), errors="replace") as f:
            return f.read()

    def until(self, what, message):
        end = time.monotonic() + LIMIT_S
        while time.monotonic() < end:
            try:
                value = what()
            except OSError:
                value = None
            if value:
                return value
            time.sleep(0.1)
        with open(self.path("mock.err")) as f:
            err = f.read()
        if self.real:
            with open(self.path("parentd.log"), errors="replace") as f:
                err += f.read()[-6000:]
        raise AssertionError(f"no {message} in {LIMIT_S} s\n{self.events}\n{err}\n{self.log()[-6000:]}")

    def ctl(self, cmd, **args):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(5)
            s.connect(self.path("c.sock"))
            s.sendall(json.dumps({"cmd": cmd, "args": args}).encode() + b"\n")
            data = b""
            while not data.endswith(b"\n"):
                part = s.recv(65536)
                if not part:
                    break
                data += part
        return json.loads(data)

    def status(self):
        return self.ctl("parent status", zone=ZONE)["data"]

    def dig(self, server, name, rtype):
        out = subprocess.run(["ip", "netns", "exec", self.netns, "kdig", "+short", "+timeout=2", f"@{server}", name, rtype],
                             capture_output=True, text=True, check=False).stdout
        return sorted(line.replace(" ", "").upper() for line in out.splitlines())

    def has_ds(self):
        """The DS RRset at the parent is the CDS RRset of the zone."""
        ds = self.dig(PARENT, ZONE, "DS")
        return ds and ds == self.dig(CHILD, ZONE, "CDS")


RECV = "0472656376076578616d706c6500"


def dsync(rrtype, scheme):
    rdata = f"{rrtype:04x}{scheme:02x}{5353:04x}{RECV}"
    return "".join(f"{owner} TYPE66 \\# {len(rdata) // 2} {rdata}\n" for owner in ("*._dsync", "_dsync"))


@pytest.fixture
def world():
    for program in ("knotd", "keymgr", "kdig", "dnssec-keygen", "ip"):
        if shutil.which(program) is None and shutil.which(program, path="/usr/sbin:/sbin") is None:
            pytest.skip(f"{program} is not installed")
    if os.geteuid() != 0:
        pytest.skip("needs root for a network namespace")
    w = World()
    try:
        yield w
        w.stop()
    finally:
        w.down()


def test_a_new_zone_gets_its_ds_by_signed_update_with_a_key_bootstrapped_on_the_way(world):
    world.up(dsync(255, 2))
    world.until(world.has_ds, "DS at the parent")
    world.until(lambda: world.status()["in_sync"], "word that the parent's servers show it")
    s = world.status()
    assert s["key_state"] == "TRUSTED" and s["phase"] == "idle" and s["parent"] == "example."
    assert [e["state"] for e in world.seen("inquiry")][0] == 5  # asked before it was handed in
    assert len(world.seen("upload")) == 1 and world.seen("upload")[0]["records"] == 1
    assert not world.seen("key-del-any") and not world.seen("error")
    assert len(world.seen("update")) == 1
    assert s["keys"][0]["served"] and s["keys"][0]["tag"] == world.seen("upload")[0]["tag"]
    # The key is msad's alone.
    keys = os.listdir(world.path("state", "parent-keys"))
    assert len(keys) == 2
    for k in keys:
        if k.endswith(".private"):
            assert os.stat(world.path("state", "parent-keys", k)).st_mode & 0o777 == 0o600
    assert os.stat(world.path("state", "parent-keys")).st_mode & 0o777 == 0o700
    # Nothing more is sent; a restart uses the same key and finds nothing to do.
    world.msad.terminate()
    world.msad.wait(20)
    sent = len(world.events)
    world.start_msad()
    world.until(lambda: world.status()["in_sync"] and world.status()["parent"] == "example.", "a look after the restart")
    world.until(lambda: world.ctl("parent sync", zone=ZONE)["ok"], "the command")
    world.until(lambda: world.status()["phase"] == "idle", "the look")
    assert not [e for e in world.events[sent:] if e["what"] in ("upload", "update")]
    assert sorted(os.listdir(world.path("state", "parent-keys"))) == sorted(keys)


def test_answers_that_the_receiver_has_not_signed_are_not_believed(world):
    world.up(dsync(255, 2))
    world.until(lambda: world.seen("ready"), "the receiver")
    world.mode("forged")
    world.until(lambda: "parent-answer-not-believed" in world.log(), "a refusal to believe")
    assert not world.seen("update")
    world.mode("unsigned")
    time_before = len(world.seen("inquiry"))
    world.until(lambda: len(world.seen("inquiry")) > time_before, "another try")
    world.mode("honest")
    world.ctl("parent sync", zone=ZONE)
    world.until(world.has_ds, "DS at the parent")


def test_a_parent_that_only_takes_notify_is_notified(world):
    world.up(dsync(59, 1))
    world.until(lambda: world.seen("notify"), "a NOTIFY")
    assert world.seen("notify")[0]["type"] == "CDS"
    assert world.until(lambda: world.status()["phase"] == "confirm", "the wait for the parent")
    assert not world.seen("upload") and not os.path.exists(world.path("state", "parent-keys"))


def test_a_parent_that_takes_nothing_leaves_it_to_a_person(world):
    world.up("")
    world.until(lambda: world.status()["phase"] == "by-hand", "the word that a person must act")
    assert [line.replace(" ", "").upper().partition("INDS")[2] for line in world.status()["to_add"]] == world.dig(CHILD, ZONE, "CDS")


def test_a_key_is_rolled_on_command(world):
    world.up(dsync(255, 2))
    world.until(lambda: world.status()["in_sync"], "agreement")
    before = world.status()["keys"][0]["tag"]
    assert world.ctl("parent roll", zone=ZONE)["ok"]
    world.until(lambda: not world.status()["rolling"] and world.status()["keys"][0]["tag"] != before, "a new key")
    assert len(world.status()["keys"]) == 1
    world.until(lambda: len(world.dig(CHILD, ZONE, "KEY")) == 1, "one KEY in the zone")
    assert len(os.listdir(world.path("state", "parent-keys"))) == 2


def test_parentd_takes_the_key_by_itself_and_a_ds_of_the_past_goes(world):
    if not os.access(PARENTD, os.X_OK):
        pytest.skip("parentd is not built")
    world.up(dsync(255, 2), real=True)
    assert len(world.dig(PARENT, ZONE, "DS")) == 2
    world.until(world.has_ds, "right DS at the parent")
    world.until(lambda: world.status()["in_sync"], "word that the parent's servers show it")
    assert world.status()["key_state"] == "TRUSTED"
    # Its key is rolled with the real thing, too.
    before = world.status()["keys"][0]["tag"]
    assert world.ctl("parent roll", zone=ZONE)["ok"]
    world.until(lambda: not world.status()["rolling"] and world.status()["keys"][0]["tag"] != before, "a new key")
    world.until(lambda: world.status()["phase"] == "idle", "the end")
    assert world.has_ds()
