# SPDX-License-Identifier: BSD-2-Clause
"""A signed DNS tree in one network namespace: root, TLD, and zones that are secure, insecure, bogus and unreachable.

Addresses are not 127/8, which the library's recursion refuses to ask, and the port is 53, which it always uses.
"""
import base64
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT, TLD, ZONES, SILENT = "10.53.0.1", "10.53.0.2", "10.53.0.3", "10.53.0.9"
ECDSA, ED25519 = "ECDSAP256SHA256", "ED25519"
# zone: (signing algorithm, NSEC3); None = not signed
CHILDREN = {
    "nsec.example.": (ECDSA, False),
    "nsec3.example.": (ED25519, True),
    "insecure.example.": None,
    "bogus.example.": (ECDSA, False),
    "heals.example.": (ECDSA, False),  # bogus until Tree.heal
}
SOA = "@ 300 IN SOA ns hostmaster 1 3600 600 86400 60\n@ 300 IN NS ns\n"


def records(zone):
    blob = base64.b64encode(hashlib.sha256(zone.encode()).digest()).decode()
    big = " ".join('"' + "x" * 200 + '"' for _ in range(40))
    lines = [
        f"$ORIGIN {zone}", "$TTL 300", SOA, f"ns A {ZONES}",
        f'_dns._tcp.msa URI 10 10 "dns://msa.{zone}:8053/"',
        f"msa SVCB 1 msa.{zone} alpn=dot port=8053 ipv4hint=10.53.0.7",
        "msa A 10.53.0.7", "msa A 10.53.0.8",
        f"msa KEY 512 3 15 {blob}",
        f"_8443._tcp.msa TLSA 3 1 1 {hashlib.sha256(zone.encode()).hexdigest()}",
        "msa TYPE65282 \\# 8 0102030405060708",
        'MiXeD.CaSe TXT "case"',
        "alias CNAME alias2", "alias2 CNAME msa",
        "to-other CNAME msa.nsec3.example.",
        "to-insecure CNAME msa.insecure.example.",
        "to-nothing CNAME nowhere.nsec3.example.",
        '*.wild TXT "expanded"',
        f"big TXT {big}",
        "ent.below A 10.53.0.7",
    ]
    lines += [f"n{i} A 10.53.1.{i % 250}" for i in range(300)]
    return "\n".join(lines) + "\n"


class Tree:
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="msp-resolve-")
        self.netns = f"msp-resolve-{os.getpid()}"
        self.processes = []

    def up(self):
        run("ip", "netns", "add", self.netns)
        self.inside("ip", "link", "set", "lo", "up")
        for address in (ROOT, TLD, ZONES, SILENT):
            self.inside("ip", "address", "add", f"{address}/32", "dev", "lo")
        self.conf("root", ROOT, {".": (ECDSA, False)})
        self.conf("tld", TLD, {"example.": (ECDSA, False)})
        self.conf("zones", ZONES, CHILDREN)
        for zone in CHILDREN:
            self.write("zones", zone, records(zone))
        self.write("tld", "example.", self.tld())
        self.write("root", ".", "$ORIGIN .\n$TTL 300\n@ SOA a.rootsrv. hostmaster. 1 3600 600 86400 60\n@ NS a.rootsrv.\n"
                   f"a.rootsrv. A {ROOT}\nexample. NS ns.example.\nns.example. A {TLD}\n" + self.ds("tld", "example."))
        self.anchor = self.write_anchor("anchor", self.ds("root", "."))
        self.nsec_anchor = self.write_anchor("nsec-anchor", self.ds("zones", "nsec.example."))
        for name in ("root", "tld", "zones"):
            self.start("knotd", "-c", self.path(name, "knot.conf"))
        self.start(sys.executable, "-c", "import socket, time\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
                   f"s.bind(('{SILENT}', 53))\ntime.sleep(86400)")
        for address, zone in [(ROOT, "."), (TLD, "example.")] + [(ZONES, z) for z in CHILDREN]:
            self.wait_for(address, zone)

    def heal(self):
        """Give heals.example. its right DS."""
        self.write("tld", "example.", self.tld(healed=True))
        run("knotc", "-c", self.path("tld", "knot.conf"), "-b", "zone-reload", "example.")

    def tld(self, healed=False):
        text = f"$ORIGIN example.\n$TTL 300\n{SOA}ns A {TLD}\n".replace("hostmaster 1", f"hostmaster {1000 if healed else 1}")
        for zone, signed in CHILDREN.items():
            label = zone.split(".")[0]
            text += f"{label} NS ns.{label}\nns.{label} A {ZONES}\n"
            if zone.startswith("bogus") or zone.startswith("heals") and not healed:
                text += f"{label} DS 12345 13 2 {hashlib.sha256(b'another key').hexdigest()}\n"
            elif signed:
                text += self.ds("zones", zone)
        text += f"refuses NS ns.refuses\nns.refuses A {ZONES}\n"  # a delegation to a server that does not have it
        return text + f"silent NS ns.silent\nns.silent A {SILENT}\nsilent DS 1 13 2 {hashlib.sha256(b'x').hexdigest()}\n"

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def conf(self, name, address, zones):
        os.makedirs(self.path(name))
        text = f"""server:
  listen: [ {address}@53 ]
  rundir: {self.path(name)}
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
log:
  - target: {self.path(name, "knot.log")}
    any: info
database:
  storage: {self.path(name)}
  kasp-db-max-size: 20M
  journal-db-max-size: 20M
  timer-db-max-size: 10M
policy:
"""
        for zone, signing in zones.items():
            if signing:
                text += (f"  - id: p{zone}\n    manual: on\n    algorithm: {signing[0]}\n"
                         f"    nsec3: {'on' if signing[1] else 'off'}\n")
        text += "zone:\n"
        for zone, signing in zones.items():
            text += (f"  - domain: {zone}\n    file: {self.path(name, zone + 'zone')}\n    zonefile-load: whole\n"
                     "    journal-content: none\n    zonefile-sync: -1\n")
            if signing:
                text += f"    dnssec-signing: on\n    dnssec-policy: p{zone}\n"
        with open(self.path(name, "knot.conf"), "w", encoding="ascii") as f:
            f.write(text)
        for zone, signing in zones.items():
            if signing:
                for ksk, zsk in (("yes", "no"), ("no", "yes")):
                    run("keymgr", "-c", self.path(name, "knot.conf"), zone, "generate", f"algorithm={signing[0]}",
                        f"ksk={ksk}", f"zsk={zsk}")

    def ds(self, name, zone):
        out = run("keymgr", "-c", self.path(name, "knot.conf"), zone, "ds")
        return next(line for line in out.splitlines() if line.split()[4] == "2") + "\n"

    def write(self, name, zone, text):
        with open(self.path(name, zone + "zone"), "w", encoding="ascii") as f:
            f.write(text)

    def write_anchor(self, name, text):
        with open(self.path(name), "w", encoding="ascii") as f:
            f.write("; a comment\n\n" + text)
        return self.path(name)

    def inside(self, *argv):
        return run("ip", "netns", "exec", self.netns, *argv)

    def start(self, *argv, **kw):
        # With exec the namespace's child is the program itself: what is started is what gets killed.
        kw.setdefault("stdout", subprocess.DEVNULL)
        kw.setdefault("stderr", subprocess.DEVNULL)
        p = subprocess.Popen(["ip", "netns", "exec", self.netns, *argv], **kw)
        self.processes.append(p)
        return p

    def wait_for(self, address, zone):
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            out = subprocess.run(["ip", "netns", "exec", self.netns, "kdig", "+short", "+timeout=1", f"@{address}", zone, "SOA"],
                                 capture_output=True, text=True, check=False).stdout
            if "hostmaster" in out:
                return
            time.sleep(0.1)
        raise RuntimeError(f"{zone} is not served at {address}")

    def down(self):
        for p in self.processes:
            if p.poll() is None:
                p.send_signal(signal.SIGKILL)
            p.wait()
        subprocess.run(["ip", "netns", "del", self.netns], check=False)
        shutil.rmtree(self.dir, ignore_errors=True)


def run(*argv):
    p = subprocess.run(argv, capture_output=True, text=True, check=False)
    if p.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)}: {p.stdout}{p.stderr}")
    return p.stdout


if __name__ == "__main__":  # a tree to play with, until Enter
    tree = Tree()
    try:
        tree.up()
        print(tree.netns, tree.anchor)
        input()
    finally:
        tree.down()
