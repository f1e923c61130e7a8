# SPDX-License-Identifier: BSD-2-Clause
"""parentd as a registry would use it, beside the TSIG-signed UPDATE of Knot and BIND in the same run: tools/bench parent
[--quick]. What is not timing decides: every figure is one of this machine and this run, goals are ratios where they can be.
"""

import argparse
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

import dns.message
import dns.query

from intermediates import BUILD, KEY, SECRET, Failed, Process, free_port, write
from measure import Clock, attempt
from xfr import QUIET, Goals, get, others_load, ratio, reason, say, scale, sync_ms

PARENT = "parent.test."
TARGET = "updates.parent.test."
CLIENT = os.path.join(BUILD, "tests/bench_parent")
CHILDREN = os.path.join(BUILD, "parentd/bench_parent_children")
BOOKS = os.path.join(BUILD, "parentd/bench_books")
FARM = os.path.join(BUILD, "tests/bench_farm")
PARENTD = os.path.join(BUILD, "parentd/parentd")
MSCTL = os.path.join(BUILD, "tools/msctl/msctl")
OUTSTANDING = 100
CHECKED_OUTSTANDING = 500
FARM_ADDRESS, FARM_ADDRESSES = "127.77.0.1", 16
MADE_UP = "0101030d" + "00" * 64  # a DNSKEY that nobody serves
MIB = 1 << 20


class Plan:
    def __init__(self, quick):
        self.quick = quick
        self.children = 5000 if quick else 20000
        self.messages = 20000 if quick else 200000
        self.sequential = 1000 if quick else 5000
        self.checked = 2000 if quick else 20000
        self.flood_s = 3 if quick else 10
        self.junk = 100000
        self.notifies = 60000
        self.store = 100000 if quick else 1500000
        self.scan = 3000 if quick else 20000
        self.patience = 20 if quick else 60
        self.limit_s = 58 if quick else 1200


class Run(Process):
    """A program that does one thing and says what came of it in a line of JSON; "ready" first, then it waits to be told."""

    def __init__(self, base, name, *argv):
        super().__init__(base, name)
        self.spawn(*map(str, argv), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

    def ready(self):
        line = self.proc.stdout.readline()
        if line != "ready\n":
            raise Failed(f"{self.name} did not get ready: {line} {self.last_words()}")
        return self

    def go(self):
        self.proc.stdin.write("\n")
        return self

    def result(self):
        line = self.proc.stdout.readline()
        self.stop()
        try:
            return json.loads(line)
        except ValueError:
            raise Failed(f"{self.name}: {line} {self.last_words()}") from None


def once(base, name, *argv):
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failed(f"{name}: {(done.stderr or done.stdout).strip()[-300:]}")
    return done.stdout


class Server(Process):
    """Something that takes UPDATEs for PARENT on a port of its own."""

    def __init__(self, base, children):
        super().__init__(base, self.kind)
        self.children, self.port, self.round = children, free_port(), 0

    def start(self):
        self.configure()
        self.spawn(*self.command())
        return self.wait()

    def wait(self, timeout=60):
        """Seconds from the start to the first answer."""
        q = dns.message.make_query(PARENT, "SOA").to_wire()
        end = time.monotonic() + timeout
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.connect(("127.0.0.1", self.port))
            s.settimeout(0.05)
            while True:
                try:
                    s.send(q)
                    s.recv(4096)
                    return (time.monotonic_ns() - self.began) / 1e9
                except OSError:
                    pass
                if self.proc.poll() is not None:
                    raise Failed(f"{self.name} ended: {self.last_words()}")
                if time.monotonic() > end:
                    raise Failed(f"{self.name} does not answer: {self.last_words()}")
                time.sleep(0.002)

    def cpu(self):
        """Seconds of processor time, of all its threads and processes, finer than clock ticks."""
        total = 0
        for pid in self.members():
            for task in os.listdir(f"/proc/{pid}/task"):
                try:
                    with open(f"/proc/{pid}/task/{task}/schedstat") as f:
                        total += int(f.read().split()[0])
                except OSError:
                    continue
        return total / 1e9

    def rss(self):
        """MiB, of all its processes."""
        total = 0
        for pid in self.members():
            with open(f"/proc/{pid}/status") as f:
                found = re.search(r"VmRSS:\s+(\d+) kB", f.read())
            total += int(found.group(1)) if found else 0
        return total / 1024

    def ds(self, child):
        """The first four octets of the digest: the round that it was made in."""
        answer = dns.query.udp(dns.message.make_query(f"{child}.{PARENT}", "DS"), "127.0.0.1", port=self.port, timeout=5)
        return round_of(answer.answer[0][0].digest.hex())

    def zone_text(self):
        ds = "12345 13 2 " + "00" * 32
        lines = [f"$ORIGIN {PARENT}", "$TTL 3600", f"@ SOA ns.{PARENT} host.{PARENT} 1 3600 600 86400 3600", f"@ NS ns.{PARENT}",
                 "ns A 127.0.0.1"]
        for i in range(self.children):
            lines += [f"c{i} NS ns1.farm.test.", f"c{i} NS ns2.farm.test.", f"c{i} DS {ds}"]
        return "\n".join(lines) + "\n"


class Knot(Server):
    kind = "knot"

    def configure(self):
        write(f"{self.dir}/zone", self.zone_text())
        write(f"{self.dir}/knot.conf", f"""server:
    rundir: "{self.dir}"
    listen: 127.0.0.1@{self.port}
log:
  - target: stderr
    any: error
database:
    storage: "{self.dir}"
key:
  - id: {KEY}
    algorithm: hmac-sha256
    secret: {SECRET}
acl:
  - id: update
    key: {KEY}
    action: update
zone:
  - domain: {PARENT}
    file: "{self.dir}/zone"
    acl: update
    zonefile-sync: -1
    semantic-checks: off
""")

    def command(self):
        return ["/usr/sbin/knotd", "-c", f"{self.dir}/knot.conf"]


class Bind(Server):
    kind = "bind"

    def configure(self):
        write(f"{self.dir}/zone", self.zone_text())
        write(f"{self.dir}/named.conf", f"""options {{ directory "{self.dir}"; listen-on port {self.port} {{ 127.0.0.1; }};
  listen-on-v6 {{ none; }}; pid-file "{self.dir}/pid"; session-keyfile "{self.dir}/session"; recursion no; check-names master ignore;
  dnssec-validation no; update-quota 1000; }};
controls {{ }};
logging {{ channel quiet {{ stderr; severity error; }}; category default {{ quiet; }}; }};
key "{KEY}" {{ algorithm hmac-sha256; secret "{SECRET}"; }};
zone "{PARENT}" {{ type primary; file "{self.dir}/zone"; allow-update {{ key "{KEY}"; }}; check-integrity no; }};
""")

    def command(self):
        return ["/usr/sbin/named", "-g", "-c", f"{self.dir}/named.conf"]


class Parentd(Server):
    kind = "parentd"
    settings = ""
    policy = "checks = false;"
    limits = "sync-limit-ms = 0; sweep = 0;"
    dnskey = MADE_UP
    requests = 10000000  # of one source prefix a second: all of this comes from one

    def __init__(self, base, children, keys, **kw):
        super().__init__(base, children)
        self.keys = keys
        for name, value in kw.items():
            setattr(self, name, value)
        self.store, self.metrics = f"{self.dir}/parentd.db", free_port()

    def configure(self):
        once(self.dir, "key", MSCTL, "key", "generate", "--dir", self.dir, "--algorithm", "ECDSAP256SHA256", TARGET)
        own = next(f for f in os.listdir(self.dir) if f.endswith(".private"))
        write(f"{self.dir}/parentd.conf", f"""target = "{TARGET}"; sig0-keys = [ "{self.dir}/{own}" ];
state-dir = "{self.dir}"; control = "{self.dir}/sock"; log-level = "error";
listen = ( {{ address = "127.0.0.1"; port = {self.port}; }} );
metrics : {{ address = "127.0.0.1"; port = {self.metrics}; }};
policies = ( {{ name = "bench"; sources = [ "update", "cds" ]; bootstrap = [ "manual" ]; cooldown = 0; changes-per-day = 0;
  private-addresses = true; {self.policy} }} );
parents = ( {{ zone = "{PARENT}"; policy = "bench"; }} );
limits : {{ requests-per-s = {self.requests}; {self.limits} }};
probe-ipv6 = false; {self.settings}
""")
        if self.children:
            once(self.dir, "load", CHILDREN, "load", self.store, PARENT, 0, self.children, self.keys,
                 FARM_ADDRESS, FARM_ADDRESSES, self.dnskey)

    def command(self):
        return [PARENTD, "-c", f"{self.dir}/parentd.conf"]

    def ds(self, child):
        shown = json.loads(once(self.dir, "show", MSCTL, "--socket", f"{self.dir}/sock", "--json", "parent", "show", f"{child}.{PARENT}"))
        return round_of(next(r for r in shown["delegation"] if " DS " in r).split()[-1])

    def counters(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}/metrics", timeout=10) as r:
            rows = [line.split() for line in r.read().decode().splitlines() if line and line[0] != "#" and "{" not in line]
        return {name.removeprefix("parentd_").removesuffix("_total"): float(value) for name, value in rows}


# --- single measurements ---


def load(base, server, first, children, messages, outstanding, credential, *more):
    """Each message is a change: one that brings nothing new is answered by Knot and BIND without writing anything."""
    began = server.round
    run = Run(base, "update", CLIENT, "update", server.port, PARENT, first, children, began, messages, outstanding, credential, *more)
    run.ready()
    server.round += (messages - 1) // children + 1
    before = server.cpu()
    r = run.go().result()
    r["server_cpu_us"] = (server.cpu() - before) / max(1, r["done"]) * 1e6
    if r["done"] != messages or r["rcodes"].get("0", 0) != messages:
        raise Failed(f"{server.kind}: {r['done']} of {messages} answered, RCODEs {r['rcodes']}")
    last = messages - 1
    if not more and server.ds(f"c{first + last % children}") != began + last // children:
        raise Failed(f"{server.kind} does not have the last change")
    return r


def peer(base, kind, plan):
    s = kind(base, plan.children)
    try:
        s.start()
        credential = f"{KEY}:{SECRET}"
        load(base, s, 0, plan.children, plan.sequential, OUTSTANDING, credential)  # warm
        few = plan.messages // 10
        return {"busy": load(base, s, 0, plan.children, few, OUTSTANDING, credential),
                "sequential": load(base, s, 0, plan.children, plan.sequential // 2, 1, credential)}
    finally:
        s.stop()


def openssl_speed(plan):
    """Updates a second that verifying and signing alone allow: of one core, and of all together."""
    def rates(*multi):
        out = once("", "openssl", "openssl", "speed", "-mr", "-seconds", 1, *multi, "ecdsap256")
        row = next(line for line in out.splitlines() if line.startswith("+F4:") or line.startswith("+F5:"))
        fields = row.split(":")
        return float(fields[-2]), float(fields[-1])  # seconds for a signature and for a verification
    each = []
    for multi in ((), ("-multi", os.cpu_count())):
        sign, verify = rates(*multi)
        sign, verify = (1 / sign if sign > 1 else sign), (1 / verify if verify > 1 else verify)
        each.append(1 / (sign + verify))
    return {"one": each[0], "all": each[1]}


def updates(base, plan, keys):
    s = Parentd(base, plan.children, keys)
    try:
        s.start()
        load(base, s, 0, plan.children, plan.sequential, OUTSTANDING, keys)
        out = {"busy": load(base, s, 0, plan.children, plan.messages, OUTSTANDING, keys),
               "sequential": load(base, s, 0, plan.children, plan.sequential, 1, keys)}
        out["stats"] = s.counters()
        return out
    finally:
        s.stop()


def checked(base, plan, keys):
    """The same with every server looked at before the answer: a farm, two addresses for each child."""
    with Farm(base, plan.children) as farm:
        s = Parentd(base, plan.children, keys, policy="", dnskey=farm.dnskey, settings=f"probe-port = {farm.port};",
                    limits="sync-limit-ms = 60000; sweep = 0;")
        try:
            s.start()
            r = load(base, s, 0, plan.children, plan.checked, CHECKED_OUTSTANDING, keys, f"dnskey:{farm.dnskey}")
            r["stats"] = s.counters()
            return r
        finally:
            s.stop()


def kill9(base, plan, keys):
    """Killed in the middle of a load: what was granted must be there."""
    s = Parentd(base, plan.children, keys)
    acked = f"{s.dir}/acked"
    try:
        s.start()
        run = Run(base, "update", CLIENT, "update", s.port, PARENT, 0, plan.children, 0, plan.messages, OUTSTANDING, keys, acked)
        run.ready().go()
        end = time.monotonic() + 20
        while s.counters()["updates_accepted"] < plan.messages / 10:
            if time.monotonic() > end:
                raise Failed("no load to be killed in")
            time.sleep(0.01)
        os.killpg(s.proc.pid, signal.SIGKILL)
        r = run.result()
        with open(acked) as f:
            granted = dict(line.split() for line in f)
        kept = dict(line.split() for line in
                    once(base, "show", CHILDREN, "show", s.store, PARENT, 0, plan.children).splitlines() if " " in line)
        # a later UPDATE of the same child may have been stored without its answer having gone out
        lost = [c for c, d in granted.items() if kept.get(c, "") != d and round_of(kept.get(c, "")) < round_of(d)]
        return {"granted": sum(r["rcodes"].values()), "children": len(granted), "lost": len(lost)}
    finally:
        s.stop()


def round_of(digest):
    return int.from_bytes(bytes.fromhex(digest[:8] or "00000000"), "little") if digest else -1


def flood(base, s, kind, plan, keys, rate, seconds, children):
    before = s.counters(), s.cpu()
    r = Run(base, "flood", CLIENT, "flood", s.port, PARENT, kind, 0, children, rate, seconds, keys).ready().go().result()
    time.sleep(0.2)
    after = s.counters(), s.cpu()
    got = after[0]["requests"] - before[0]["requests"]
    return {"sent": r["sent"], "taken": got, "answers": r["answers"], "rcodes": r["rcodes"],
            "us": (after[1] - before[1]) / got * 1e6 if got else None,
            "verifications": after[0]["verifications"] - before[0]["verifications"],
            "rate": got / seconds, "notifies": after[0]["notifies"] - before[0]["notifies"]}


def attacks(base, plan, keys):
    """First with the limits of sources as they are by default, as operators have them; then without, so that every single
    message is answered."""
    out = {}
    s = Parentd(base, plan.children, keys, requests=100)
    try:
        s.start()
        out["unknown"] = flood(base, s, "unknown", plan, keys, 50000, plan.flood_s, 1000000)
        quiet = load(base, s, 0, plan.children, plan.sequential, 4, keys)
        junk = Run(base, "flood", CLIENT, "flood", s.port, PARENT, "unknown", 0, 1000000, plan.junk, plan.flood_s, keys).ready()
        again = Run(base, "update", CLIENT, "update", s.port, PARENT, 0, plan.children, s.round, plan.sequential, 4, keys).ready()
        junk.go()
        time.sleep(0.3)
        under = again.go().result()
        sent = junk.result()
        out["junk"] = {"quiet_p99": quiet["p99_us"], "p99": under["p99_us"], "sent_rate": sent["sent"] / sent["seconds"],
                       "done": under["done"], "resent": under["resent"]}
    finally:
        s.stop()
    s = Parentd(base, plan.children, keys, limits="sync-limit-ms = 0; sweep = 0; verify-per-name-per-s = 50; "
                "failures-per-s = 1000000;")
    try:
        s.start()
        out["unknown-answered"] = flood(base, s, "unknown", plan, keys, 50000, plan.flood_s, 1000000)
        out["forged"] = flood(base, s, "forged", plan, keys, 20000, plan.flood_s, 1)
        out["notify"] = flood(base, s, "notify", plan, keys, plan.notifies, plan.flood_s, plan.children)
        return out
    finally:
        s.stop()


def store(base, plan, keys):
    """As many children as .se has."""
    s = Parentd(base, plan.store, keys)
    try:
        s.configure()
        size = sum(os.path.getsize(os.path.join(s.dir, f)) for f in os.listdir(s.dir) if f.startswith("parentd.db"))
        s.spawn(*s.command())
        started = s.wait()
        load(base, s, 0, plan.store, plan.sequential, OUTSTANDING, keys)
        end = time.monotonic() + 30
        while s.counters()["children"] == 0 and time.monotonic() < end:  # until it has counted them in the background
            time.sleep(0.1)
        s.rest()
        return {"disk": size, "start": started, "rss": s.rss()}
    finally:
        s.stop()


def lookup(base, plan):
    where = os.path.join(base, "books")
    os.makedirs(where)
    return json.loads(once(base, "books", BOOKS, where, plan.store, plan.messages, OUTSTANDING))


class Farm(Process):
    """Servers for the children of PARENT."""

    def __init__(self, base, children):
        super().__init__(base, "farm")
        self.port = free_port()
        self.spawn(FARM, "-p", PARENT, "-a", FARM_ADDRESS, "-n", str(FARM_ADDRESSES), "-P", str(self.port), "-c", str(children),
                   "-w", str(children), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            self.dnskey = json.loads(self.proc.stdout.readline())["dnskey"]
        except ValueError:
            raise Failed(f"farm: {self.last_words()}") from None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def scans(base, plan, keys):
    """Every child has a CDS, which must be validated at both of its servers."""
    with Farm(base, plan.scan) as farm:
        s = Parentd(base, plan.scan, keys, policy="", dnskey=farm.dnskey, settings=f"probe-port = {farm.port};",
                    limits="scans-in-flight = 500; scan-rate = 1000000; sweep = 1;")
        try:
            s.start()
            end, began = time.monotonic() + plan.patience, None
            while True:
                c = s.counters()
                if began is None and c["scans"] > 0:
                    began, first = time.monotonic(), c["scans"]
                if c["scans"] >= plan.scan:
                    took = time.monotonic() - began
                    return {"rate": (c["scans"] - first) / took, "scans": c["scans"], "failures": c["scan_failures"]}
                if time.monotonic() > end:
                    raise Failed(f"{c['scans']:.0f} scans of {plan.scan}, {c['scan_failures']:.0f} failed")
                time.sleep(0.1)
        finally:
            s.stop()


# --- the report ---


def report(plan, out, busy):
    print(f"machine: {os.cpu_count()} cores, fsync of 4 KiB {sync_ms():.2f} ms; loopback")
    print("\nUPDATEs, one DS in place of another, answers signed (TSIG hmac-sha256; parentd: SIG(0) ECDSAP256SHA256)")
    print(f"{'':26}{'a second':>12}{'p50 us':>12}{'p99 us':>12}{'CPU us each':>14}")
    for name in ("knot", "bind", "parentd"):
        for what in ("busy", "sequential"):
            r = get(out[name], what)
            row = f"{r['rate']:12,.0f}{r['p50_us']:12,.0f}{r['p99_us']:12,.0f}{r['server_cpu_us']:14.1f}" if r else \
                "  " + reason(out[name], what)
            print(f"{name + ', ' + str(OUTSTANDING if what == 'busy' else 1) + ' outstanding':26}{row}")
    print(f"verify + sign by OpenSSL alone: {get(out['openssl'], 'one') or 0:,.0f} a second on one core, "
          f"{get(out['openssl'], 'all') or 0:,.0f} on all; its part of parentd's CPU time for one: "
          f"{(ratio(ratio(1e6, get(out['openssl'], 'one')), get(out['parentd'], 'busy', 'server_cpu_us')) or 0):.2f}")
    for name in ("checked", "kill9", "attacks", "store", "lookup", "scans"):
        print(f"{name}: {json.dumps({k: v for k, v in out[name].items() if k != 'stats'})}")
    print()
    goals = Goals()
    busiest = max(busy, default=0)
    goals.line("quiet-machine", f"{busiest:.0f}%", f"<={QUIET}%", busiest <= QUIET)
    ours, rates = out["parentd"], [get(out[n], "busy", "rate") for n in ("knot", "bind")]
    best = max([r for r in rates if r is not None], default=None)
    why = reason(ours, "busy") if get(ours, "busy") is None else "no_peer"
    goals.value("update-beside-the-faster-peer", ratio(get(ours, "busy", "rate"), best), "{:.2f}x", ">=1.5x", lambda v: v >= 1.5, why)
    goals.value("update-of-openssl", ratio(get(ours, "busy", "rate"), get(out["openssl"], "all")), "{:.2f}", ">=0.70",
                lambda v: v >= 0.7, why)
    goals.value("update-sequential-beside-knot", ratio(get(ours, "sequential", "rate"), get(out["knot"], "sequential", "rate")),
                "{:.2f}x", ">=1x", lambda v: v >= 1, why)
    goals.value("update-p99", get(ours, "busy", "p99_us"), "{:.0f}us", "<100000us", lambda v: v < 100000, why)
    goals.value("update-with-checks", get(out["checked"], "rate"), "{:.0f}/s", ">0/s", lambda v: v > 0, reason(out["checked"], "rate"))
    goals.value("lost-by-kill", get(out["kill9"], "lost"), "{:.0f}", "0", lambda v: v == 0, reason(out["kill9"], "lost"))
    a = out["attacks"]
    goals.value("unknown-key-cpu", get(a, "unknown", "us"), "{:.2f}us", "<5us", lambda v: v < 5, reason(a, "unknown"))
    verified = [get(a, n, "verifications") for n in ("unknown", "unknown-answered")]
    goals.value("unknown-key-verifications", None if None in verified else sum(verified), "{:.0f}", "0", lambda v: v == 0,
                reason(a, "unknown"))
    goals.value("p99-under-junk", ratio(get(a, "junk", "p99"), get(a, "junk", "quiet_p99")), "{:.2f}x", "<=2x", lambda v: v <= 2,
                reason(a, "junk"))
    goals.value("forged-verifications", get(a, "forged", "verifications"), "{:.0f}", f"<={50 * (plan.flood_s + 2)}",
                lambda v: v <= 50 * (plan.flood_s + 2), reason(a, "forged"))
    goals.value("notify-accept", ratio(get(a, "notify", "notifies"), plan.flood_s), "{:.0f}/s", ">=50000/s", lambda v: v >= 50000,
                reason(a, "notify"))
    st, share = out["store"], plan.store / 1500000
    goals.value(f"store-disk-{plan.store}", get(st, "disk") / MIB if get(st, "disk") else None, "{:.0f}MiB", f"<{1024 * share:.0f}MiB",
                lambda v: v < 1024 * share, reason(st, "disk"))
    goals.value(f"store-resident-{plan.store}", get(st, "rss"), "{:.0f}MiB", "<100MiB", lambda v: v < 100, reason(st, "rss"))
    goals.value(f"store-start-{plan.store}", get(st, "start"), "{:.2f}s", "<2s", lambda v: v < 2, reason(st, "start"))
    goals.value(f"look-up-p99-{plan.store}", scale(get(out["lookup"], "peek_p99_ms"), 1000), "{:.0f}us", "<1000us",
                lambda v: v < 1000, reason(out["lookup"], "peek_p99_ms"))
    goals.value("scans", get(out["scans"], "rate"), "{:.0f}/s", ">=1000/s", lambda v: v >= 1000, reason(out["scans"], "rate"))
    return goals.missed


def run(plan, base, out, busy):
    keys = os.path.join(base, "keys")
    os.makedirs(keys)
    once(base, "keys", CLIENT, "keys", keys, 256)
    stages = (("openssl", lambda: openssl_speed(plan)), ("knot", lambda: peer(base, Knot, plan)),
              ("bind", lambda: peer(base, Bind, plan)), ("parentd", lambda: updates(base, plan, keys)),
              ("checked", lambda: checked(base, plan, keys)), ("kill9", lambda: kill9(base, plan, keys)),
              ("attacks", lambda: attacks(base, plan, keys)), ("store", lambda: store(base, plan, keys)),
              ("lookup", lambda: lookup(base, plan)), ("scans", lambda: scans(base, plan, keys)))
    for name, measure in stages:
        busy.append(others_load())
        say(name)
        r = attempt(measure, plan.limit_s)
        out[name] = r if isinstance(r, dict) else {"failed": str(r)}


def main():
    p = argparse.ArgumentParser(prog="tools/bench parent")
    p.add_argument("--quick", action="store_true", help="smaller work, under a minute")
    plan = Plan(p.parse_args().quick)
    base = tempfile.mkdtemp(prefix="msp-bench-")
    names = ("openssl", "knot", "bind", "parentd", "checked", "kill9", "attacks", "store", "lookup", "scans")
    out, busy = {n: {"failed": "not measured"} for n in names}, []
    began = time.monotonic()
    Clock.end = began + plan.limit_s

    def interrupted(_sig, _frame):
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupted)
    try:
        run(plan, base, out, busy)
    except Failed as e:
        print(f"stopped: {e}: what is missing below was not measured")
    finally:
        for proc in list(Process.everything):
            proc.stop()
        shutil.rmtree(base, ignore_errors=True)
    missed = report(plan, out, busy)
    say(f"{time.monotonic() - began:.0f} s")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
