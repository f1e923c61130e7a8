# SPDX-License-Identifier: BSD-2-Clause
"""Transfers through combinerd beside NSD, Knot and BIND: speed, memory, latency, and the goals. Run by tools/bench xfr.

Everything on loopback, one server at a time, same zone, same source (which answers every request with the whole zone, signed).
Exit 0: every goal met. 1: a goal missed or not measured.
"""

import argparse
import os
import queue
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import dns.message
import dns.name
import dns.update

from intermediates import AGENT, CLIENT, KEY, KEYRING, SECRET, ZONE, Bind, Combinerd, Failed, Knot, Nsd, Process, Source

SMALL = 1000
MEMORY_FOR_BIG_KIB = 12 << 20
BIG = 5000000
PEERS = (Nsd, Knot, Bind)
UPDATE_SECONDS = 15
SAMPLE_S = 0.002
SETTLE_S = 20
QUIET = 15
LOOP_OCTETS = 128 << 20


class TimeUp(Exception):
    pass


# --- single measurements ---


def client(*args, timeout=120):
    """Seconds from the word to start until the result, and the result."""
    with subprocess.Popen([CLIENT, *map(str, args)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, bufsize=1) as p:
        guard = threading.Timer(timeout, p.kill)
        guard.start()
        try:
            p.stdout.readline()
            began = time.monotonic_ns()
            p.stdin.write("go\n")
            result = p.stdout.readline()
            seconds = (time.monotonic_ns() - began) / 1e9
            _, errors = p.communicate()
        except OSError as e:
            raise Failed(str(e)) from None
        finally:
            guard.cancel()
            p.kill()
    if p.returncode != 0 or not result:
        raise Failed(errors.strip() or f"the client took longer than {timeout} s")
    return seconds, [int(x) for x in result.split()]


def fetch(server, signed):
    """Seconds and octets of one AXFR."""
    key = (KEY, SECRET) if signed else ()
    seconds, (octets, _, records, rcode) = client("fetch", server.port, ZONE, server.source.records + 1, *key)
    if rcode != 0:
        raise Failed(f"AXFR {'with' if signed else 'without'} TSIG answered {'REFUSED' if rcode == 5 else f'rcode {rcode}'}")
    if records != server.source.records + 1:
        raise Failed(f"{records} records instead of {server.source.records + 1}")
    return seconds, octets


def fetch_settled(server):
    """NSD answers with the new zone while processes with the old one, and our connection, are still on their way out."""
    end = time.monotonic() + SETTLE_S
    while True:
        try:
            return fetch(server, True)
        except Failed:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


def bump(server, timeout=120):
    """Seconds from the source's new serial and NOTIFY to the first answer with the new SOA."""
    serial, at = server.source.tell("bump", server.port)
    return (server.wait_serial(serial, timeout, notify=True) - at) / 1e9


class Memory(threading.Thread):
    """Peak of a server's processes together: proportional set size, and of that what is not pages of files."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.pss, self.anon, self.over = server, 0, 0, threading.Event()

    def run(self):
        pids, round_ = [], 0
        while not self.over.wait(SAMPLE_S):
            if round_ % 20 == 0:
                pids = self.server.members()
            round_ += 1
            pss = anon = 0
            for pid in pids:
                try:
                    with open(f"/proc/{pid}/smaps_rollup") as f:
                        kib = dict(re.findall(r"^(\w+): +(\d+) kB", f.read(), re.M))
                except OSError:
                    continue
                pss += int(kib.get("Pss", 0))
                anon += int(kib.get("Pss_Anon", 0)) + int(kib.get("Pss_Shmem", 0))
            self.pss, self.anon = max(self.pss, pss), max(self.anon, anon)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()


class NotifySink(threading.Thread):
    """A signer that only hears NOTIFY, notes when, and acknowledges."""

    def __init__(self):
        super().__init__(daemon=True)
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        self.heard = queue.Queue()

    def run(self):
        while True:
            data, peer = self.sock.recvfrom(4096)
            at = time.monotonic_ns()
            q = dns.message.from_wire(data, keyring=KEYRING)
            self.heard.put((at, q.answer[0][0].serial if q.answer else None))
            self.sock.sendto(dns.message.make_response(q).to_wire(), peer)

    def clear(self):
        while not self.heard.empty():
            self.heard.get_nowait()

    def wait(self, timeout):
        try:
            return self.heard.get(timeout=timeout)
        except queue.Empty:
            raise Failed(f"no NOTIFY within {timeout} s") from None


def updates(server, sink, count):
    """Seconds from sending an UPDATE (a new NS RRset) to the NOTIFY about it, each."""
    out, end = [], time.monotonic() + UPDATE_SECONDS
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.connect(("127.0.0.1", server.port))
    sock.settimeout(10)
    time.sleep(0.2)
    for i in range(count):
        if time.monotonic() > end:
            break
        u = dns.update.UpdateMessage(ZONE, keyring=KEYRING, keyname=dns.name.from_text(AGENT))
        u.replace(ZONE, 60, "NS", f"ns{i}.provider-a.test.")
        wire = u.to_wire()
        sink.clear()
        began = time.monotonic_ns()
        sock.send(wire)
        out.append((sink.wait(10)[0] - began) / 1e9)
        answer = sock.recv(4096)
        if answer[3] & 15 != 0:
            raise Failed(f"UPDATE answered rcode {answer[3] & 15}")
    sock.close()
    return out


# --- one server, one zone ---


def repeat(what, runs):
    """Median of the runs, or the text that says why not."""
    try:
        return statistics.median(what() for _ in range(runs))
    except (Failed, subprocess.TimeoutExpired) as e:
        return str(e)


def measure(kind, base, source, sink, opts):
    """A dictionary of figures; a text in a figure's place says why it is missing."""
    server, r = kind(base, source), {}
    try:
        began = time.monotonic_ns()
        server.start(sink.port)
        with Memory(server) as memory:
            r["first"] = (server.wait_serial(1, 120) - began) / 1e9
            fetch_settled(server)
            bump(server)
            fetch_settled(server)
            time.sleep(0.2)
        fetch_settled(server)
        r["pss"], r["anon"] = memory.pss / 1024, memory.anon / 1024
        for name, signed in (("plain", False), ("tsig", True)):
            octets = []

            def once(signed=signed, octets=octets):
                seconds, n = fetch(server, signed)
                octets.append(n)
                return seconds

            seconds = repeat(once, opts.runs)
            r[name] = seconds if isinstance(seconds, str) else (source.records + 1) / seconds
            if octets:
                r[name + "-octets"], r[name + "-seconds"] = octets[0], seconds
        r["served"] = repeat(lambda: bump(server), opts.runs)
        if kind is Combinerd:
            changes(server, sink, r, opts)
    except (Failed, subprocess.TimeoutExpired) as e:
        r["failed"] = str(e)
    finally:
        server.stop()
        shutil.rmtree(server.dir, ignore_errors=True)
    return r


def changes(server, sink, r, opts):
    def to_notify():
        sink.clear()
        serial, at = server.source.tell("bump", server.port)
        while True:
            heard, got = sink.wait(60)
            if got is None or got >= serial:
                server.wait_serial(serial, 60)
                return (heard - at) / 1e9

    r["owner-notify"] = repeat(to_notify, opts.runs)
    try:
        r["updates"] = updates(server, sink, opts.updates)
    except (Failed, OSError) as e:
        r["updates"] = str(e)


# --- the report ---


def short(n):
    return f"{n // 1000000}M" if n % 1000000 == 0 else f"{n // 1000}k"


def version(kind):
    try:
        r = subprocess.run(kind.version, capture_output=True, text=True, timeout=10, check=False)
        return (r.stdout + r.stderr).strip().splitlines()[0]
    except (OSError, IndexError):
        return "?"


def sync_ms():
    """Median milliseconds of write and fsync of 4 KiB where the servers keep their state."""
    with tempfile.TemporaryFile() as f:
        took = []
        for _ in range(20):
            began = time.monotonic()
            f.write(bytes(4096))
            f.flush()
            os.fsync(f.fileno())
            took.append(time.monotonic() - began)
    return statistics.median(took) * 1e3


def others_load(seconds=0.3):
    """What everybody else is doing: busy share of the processors, in per cent of one, while the bench itself rests."""
    def busy():
        with open("/proc/stat") as f:
            v = [int(x) for x in f.readline().split()[1:9]]
        return sum(v) - v[3] - v[4]
    before = busy()
    time.sleep(seconds)
    return (busy() - before) * 100 / os.sysconf("SC_CLK_TCK") / seconds


def machine():
    with open("/proc/cpuinfo") as f:
        model = re.search(r"model name\s*: (.*)", f.read())
    with open("/proc/meminfo") as f:
        memory = re.search(r"MemTotal: +(\d+)", f.read())
    print(f"machine: {os.cpu_count()} cores, {model.group(1) if model else '?'}, {int(memory.group(1)) >> 20} GiB, "
          f"Linux {os.uname().release} {os.uname().machine}, load {os.getloadavg()[0]:.2f}; loopback; "
          f"state in {tempfile.gettempdir()}, fsync of 4 KiB {sync_ms():.2f} ms")
    for kind in (Combinerd,) + PEERS:
        print(f"  {kind.kind}: {version(kind)}")


def fmt(x, form):
    return form.format(x) if isinstance(x, (int, float)) else "-"


def table(records, results, bare):
    print(f"\n{records} records")
    print(f"{'':10} {'AXFR out':>12} {'with TSIG':>12} {'NOTIFY to':>10} {'start to':>10} "
          f"{'peak PSS':>9} {'without':>9} {'AXFR octets':>11}")
    print(f"{'':10} {'RR/s':>12} {'RR/s':>12} {'served ms':>10} {'served ms':>10} {'MiB':>9} {'files MiB':>9} {'per RR':>11}")
    for name, r in results.items():
        print(f"{name:10} {fmt(r.get('plain'), '{:,.0f}'):>12} {fmt(r.get('tsig'), '{:,.0f}'):>12} "
              f"{fmt(scale(r.get('served'), 1e3), '{:.1f}'):>10} {fmt(scale(r.get('first'), 1e3), '{:.0f}'):>10} "
              f"{fmt(r.get('pss'), '{:.1f}'):>9} {fmt(r.get('anon'), '{:.1f}'):>9} "
              f"{fmt(ratio(r.get('tsig-octets'), records + 1), '{:.1f}'):>11}")
    for name, r in results.items():
        for what in ("failed", "plain", "tsig", "served", "owner-notify", "updates"):
            if isinstance(r.get(what), str):
                print(f"  {name}: {what}: {r[what]}")
    if bare:
        print(f"  bare write loop of combinerd's octets with TSIG ({bare[0]:,}): {bare[1] * 1e3:.1f} ms")


def scale(x, by):
    return x * by if isinstance(x, (int, float)) else x


class Goals:
    def __init__(self):
        self.missed = 0

    def line(self, name, measured, wanted, met):
        self.missed += not met
        print(f"goal {name} measured {measured} wanted {wanted} {'met' if met else 'missed'}")

    def value(self, name, value, form, wanted, test, why):
        """`why` stands in for a value that could not be had, as one word."""
        if isinstance(value, (int, float)):
            self.line(name, form.format(value), wanted, test(value))
        else:
            self.line(name, "none:" + re.sub(r"\s+", "_", str(why)), wanted, False)


def best(results, what, fn):
    found = [r[what] for name, r in results.items() if name != "combinerd" and isinstance(r.get(what), (int, float))]
    return fn(found) if len(found) == len(PEERS) else None


def ratio(a, b):
    return a / b if isinstance(a, (int, float)) and isinstance(b, (int, float)) and b > 0 else None


def zone_goals(goals, records, results, bare):
    ours, tag = results.get("combinerd", {}), short(records)

    def why(what):
        text = ours.get(what)
        return text if isinstance(text, str) else ours.get("failed", "a_peer_or_combinerd_gave_no_figure")

    def add(name, value, form, wanted, test, what):
        goals.value(f"{name}-{tag}", value, form, wanted, test, why(what))

    add("axfr-out", ratio(ours.get("plain"), best(results, "plain", max)), "{:.2f}x", ">=5x", lambda v: v >= 5, "plain")
    add("axfr-out-tsig", ratio(ours.get("tsig"), best(results, "tsig", max)), "{:.2f}x", ">=3x", lambda v: v >= 3, "tsig")
    add("axfr-out-tsig-of-bare-loop", ratio(bare[1] if bare else None, ours.get("tsig-seconds")), "{:.2f}", ">=0.5",
        lambda v: v >= 0.5, "tsig")
    add("notify-to-served", ratio(best(results, "served", min), ours.get("served")), "{:.2f}x", ">=2x", lambda v: v >= 2, "served")
    for name, what in (("memory-without-files", "anon"), ("memory-pss", "pss")):
        add(name, ratio(ours.get(what), best(results, what, min)), "{:.2f}x", "<=0.25x", lambda v: v <= 0.25, what)


def change_goals(goals, ours, small, tag):
    def percentile(r, p):
        u = r.get("updates")
        return sorted(u)[min(len(u) - 1, int(len(u) * p))] * 1e3 if isinstance(u, list) and u else None

    why = ours.get("updates") if isinstance(ours.get("updates"), str) else ours.get("failed", "not_measured")
    goals.value(f"update-to-notify-median-{tag}", percentile(ours, 0.5), "{:.2f}ms", "<10ms", lambda v: v < 10, why)
    goals.value(f"update-to-notify-p99-{tag}", percentile(ours, 0.99), "{:.2f}ms", "<50ms", lambda v: v < 50, why)
    goals.value(f"update-cost-{tag}-over-{short(SMALL)}", ratio(percentile(ours, 0.5), percentile(small, 0.5)), "{:.2f}x", "<=1.5x",
                lambda v: v <= 1.5, why)
    # Without IXFR in, an owner's change of one record is a transfer of the whole zone: that is what is measured.
    goals.value(f"owner-change-to-notify-median-{tag}", scale(ours.get("owner-notify"), 1e3), "{:.1f}ms", "<10ms", lambda v: v < 10,
                ours.get("owner-notify", "not_measured"))


UNMEASURED = (("cold-start-10k-zones", ">=2x"), ("cold-start-100k-zones", ">=2x"), ("memory-per-idle-zone", "<=3KiB"),
              ("50-downstreams-at-once", "fair,bounded"))


def bare_loop(ours, runs):
    octets = ours.get("tsig-octets")
    if octets is None:
        return None
    times = LOOP_OCTETS // octets + 1  # many times over: so few octets would be gone before the clock is read
    seconds = repeat(lambda: client("loop", octets * times, 1 << 16)[0] / times, max(runs, 5))
    return None if isinstance(seconds, str) else (octets, seconds)


def run(opts, base, every, small, busy):
    """Fills `every`: records -> (results, bare loop), `small`: what changes cost on a small zone, `busy`: what others did."""
    sink = NotifySink()
    sink.start()
    for records in opts.records:
        source = Source(base, records)
        results = {}
        every[records] = [results, None]
        for kind in (Combinerd,) + PEERS:
            busy.append(others_load())
            print(f"... {kind.kind}, {records} records", file=sys.stderr)
            results[kind.kind] = measure(kind, base, source, sink, opts)
        busy.append(others_load())
        every[records][1] = bare_loop(results["combinerd"], opts.runs)
        source.stop()
    source = Source(base, SMALL)
    small.update(measure(Combinerd, base, source, sink, opts))
    source.stop()


def report(every, small, busy):
    machine()
    for records, (results, bare) in every.items():
        table(records, results, bare)
        u = results.get("combinerd", {}).get("updates")
        if isinstance(u, list) and u:
            print(f"  combinerd: UPDATE to NOTIFY out, {len(u)} one after the other (coalesce-ms 0): "
                  f"median {statistics.median(u) * 1e3:.2f} ms, maximum {max(u) * 1e3:.2f} ms")
    print()
    goals = Goals()
    # What is measured while others work is worth nothing, in whichever direction it errs.
    goals.line("quiet-machine", f"{max(busy, default=0):.0f}%", f"<={QUIET}%", max(busy, default=0) <= QUIET)
    for records, (results, bare) in every.items():
        zone_goals(goals, records, results, bare)
        change_goals(goals, results.get("combinerd", {}), small, short(records))
    for name, wanted in UNMEASURED:
        goals.line(name, "none:not_measured_by_this_bench_yet", wanted, False)
    return goals.missed


def options():
    p = argparse.ArgumentParser(prog="tools/bench xfr")
    p.add_argument("--quick", action="store_true", help="smaller zone, under a minute")
    p.add_argument("--records", help="sizes of zones, comma-separated")
    o = p.parse_args()
    o.runs, o.updates, o.limit_s = (5, 100, 55) if o.quick else (5, 300, 1200)
    if o.records:
        o.records = [max(SMALL, int(n)) for n in o.records.split(",")]
        return o
    o.records = [100000] if o.quick else [625000]
    with open("/proc/meminfo") as f:
        available = int(re.search(r"MemAvailable: +(\d+)", f.read()).group(1))
    if not o.quick and available >= MEMORY_FOR_BIG_KIB:
        o.records.append(BIG)
    elif not o.quick:
        print(f"{BIG} records left out: {available >> 10} MiB of memory available, {MEMORY_FOR_BIG_KIB >> 10} wanted")
    return o


def main():
    opts = options()
    base = tempfile.mkdtemp(prefix="msp-bench-")
    every, small, busy = {}, {}, []

    def time_up(_sig, _frame):
        raise TimeUp

    def interrupted(_sig, _frame):
        raise KeyboardInterrupt

    signal.signal(signal.SIGALRM, time_up)
    signal.signal(signal.SIGTERM, interrupted)
    signal.alarm(opts.limit_s)
    try:
        run(opts, base, every, small, busy)
    except TimeUp:
        print(f"stopped after {opts.limit_s} s: what is missing below was not measured")
    finally:
        signal.alarm(0)
        for p in list(Process.everything):
            p.stop()
        shutil.rmtree(base, ignore_errors=True)
    return 1 if report(every, small, busy) else 0


if __name__ == "__main__":
    sys.exit(main())
