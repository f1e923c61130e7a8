# SPDX-License-Identifier: BSD-2-Clause
"""Transfers through combinerd beside NSD, Knot and BIND: speed, memory, latency, many zones, many clients, and the goals.
Run by tools/bench xfr.

Everything on loopback, one server at a time, same zones, same source. Exit 0: every goal met. 1: a goal missed or not
measured.
"""

import argparse
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

from intermediates import Bind, Combinerd, Failed, Knot, Nsd, Process, Sink, Source, ZoneSource
from measure import CLIENTS, Clock, attempt, changes, deadline, large, many_zones, source_alone, zones_alone

MEMORY_FOR_BIG_KIB = 12 << 20
BIG = 5000000
PEERS = (Nsd, Knot, Bind)
ALL = (Combinerd,) + PEERS
QUIET = 15
SLOW_PEER_S = 120  # a peer that would take longer for many zones is left out, but for the one that the goal names


class Plan:
    """How much is done. Thresholds do not depend on it."""

    def __init__(self, quick, records, big):
        self.quick = quick
        self.records = records or [100000 if quick else 625000]
        self.sizes = sorted({1000, 10000, 100000, 1000000, self.records[0]})
        if big:
            self.records.append(BIG)
        self.zones = [2000] if quick else [10000, 100000]
        self.samples = 50 if quick else 200
        self.limit_s = 57 if quick else 1560
        self.patience = 10 if quick else 240  # of each stage of each server
        self.change_patience = 4 if quick else 30
        self.clients_s = 1.5 if quick else 4
        self.settle_s = 2.4 if quick else 6
        self.runs = 9 if quick else 5


# --- the report ---


def short(n):
    return f"{n // 1000000}M" if n % 1000000 == 0 else f"{n // 1000}k"


def version(kind):
    try:
        r = subprocess.run(kind.version, capture_output=True, text=True, timeout=10, check=False)
        return (r.stdout + r.stderr).strip().splitlines()[0]
    except (OSError, IndexError, subprocess.TimeoutExpired):
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
    for kind in ALL:
        print(f"  {kind.kind}: {version(kind)}")


def get(r, *path):
    """What is at the end of the path; None when there is a text or nothing on the way."""
    for key in path:
        r = r.get(key) if isinstance(r, dict) else None
    return r if isinstance(r, (int, float, list, dict)) else None


def reason(r, *path):
    """Why there is nothing at the end of the path."""
    if isinstance(r, dict) and "failed" in r:
        return r["failed"]
    for key in path:
        r = r.get(key) if isinstance(r, dict) else r
    return r if isinstance(r, str) else "not measured"


def scale(x, by):
    return x * by if isinstance(x, (int, float)) else None


def ratio(a, b):
    return a / b if isinstance(a, (int, float)) and isinstance(b, (int, float)) and b > 0 else None


def median(values):
    return statistics.median(values) if values else None


def p99(values):
    return sorted(values)[int(len(values) * 0.99)] if values else None


def rate(r, name, records):
    return ratio(records + 1, get(r, name, "seconds"))


def print_table(title, heads, rows, notes=()):
    """`rows`: name -> numbers with their formats."""
    print(f"\n{title}")
    for i in range(2):
        print(f"{'':10}" + "".join(f"{h[i]:>14}" for h in heads))
    for name, cells in rows.items():
        print(f"{name:10}" + "".join(f"{form.format(v) if v is not None else '-':>14}" for v, form in cells))
    for line in notes:
        print(f"  {line}")


def large_report(records, results, alone):
    heads = (("AXFR out", "RR/s"), ("with TSIG", "RR/s"), ("AXFR octets", "per RR"), ("NOTIFY to", "served ms"),
             ("start to", "served ms"), ("peak without", "files MiB"), ("peak PSS", "MiB"))
    rows, notes = {}, []
    for name, r in results.items():
        rows[name] = ((rate(r, "plain", records), "{:,.0f}"), (rate(r, "tsig", records), "{:,.0f}"),
                      (ratio(get(r, "tsig", "octets"), records + 1), "{:.1f}"), (scale(get(r, "served"), 1e3), "{:.1f}"),
                      (scale(get(r, "first"), 1e3), "{:.0f}"), (get(r, "anon"), "{:.1f}"), (get(r, "pss"), "{:.1f}"))
        notes += [f"{name}: {what}: {r[what]}" for what in ("failed", "plain", "tsig", "served") if isinstance(r.get(what), str)]
        for what in ("plain", "tsig"):
            if get(r, what, "bare"):
                notes.append(f"{name}'s {get(r, what, 'octets'):,} octets ({what}): {get(r, what, 'seconds') * 1e3:.2f} ms, "
                             f"from a bare write loop {get(r, what, 'bare') * 1e3:.2f} ms")
            elif isinstance(get(r, what), dict):
                if "bare" in r[what]:
                    notes.append(f"{name}: bare write loop ({what}): {r[what]['bare']}")
    if isinstance(alone, float):
        text = f"the source alone, to a client that only reads: {alone * 1e3:.1f} ms, part of every NOTIFY to served"
        ours = ratio(get(results, "combinerd", "served"), alone)
        notes.append(text + (f"; combinerd takes {ours:.1f} times that" if ours else ""))
    print_table(f"{records} records", heads, rows, notes)


def clients_report(records, results):
    heads = (("all served", "s"), ("slowest to", "median"), ("Jain's", "index"), ("growth each", "MiB"),
             ("others' SOA", "median ms"), ("others' SOA", "p99 ms"), ("questions", "lost"))
    rows, notes = {}, []
    for name, r in results.items():
        c = get(r, "clients")
        rows[name] = ((get(c, "slowest"), "{:.2f}"), (get(c, "spread"), "{:.2f}"), (get(c, "jain"), "{:.3f}"),
                      (get(c, "each"), "{:.2f}"), (scale(get(c, "p50"), 1e3), "{:.2f}"), (scale(get(c, "p99"), 1e3), "{:.2f}"),
                      (get(c, "lost"), "{}"))
        if c is None:
            notes.append(f"{name}: {reason(r, 'clients')}")
        else:
            notes.append(f"{name}: {c['rounds']} rounds, {c['sent']} questions")
    print_table(f"{CLIENTS} clients at once, {records} records, with TSIG", heads, rows, notes)


def changes_report(every):
    print("\nchanges, one after the other, time to NOTIFY out (combinerd: coalesce-ms 0)")
    for size, results in every.items():
        for name, r in results.items():
            for what, title in (("owner", "owner's IXFR"), ("update", "UPDATE")):
                if what in r:
                    print(f"  {short(size):>5} records, {name:9} {title:12} " + changes_text(r, what))


def changes_text(r, what):
    took = r[what]
    text = f"{len(took):4} samples"
    if took:
        text += (f", median {median(took) * 1e3:.2f} ms, p99 {p99(took) * 1e3:.2f} ms, "
                 f"maximum {max(took) * 1e3:.2f} ms")
    if what == "owner" and "transfers" in r:
        text += "; the source answered {} SOA, {} AXFR, {} IXFR".format(*r["transfers"])
    return text + (f"; {r[what + '-why']}" if r[what + "-why"] else "")


def zones_report(count, results, alone):
    heads = (("start to all", "served s"), ("zones", "a second"), ("transfers", "at the source"), ("idle zone", "KiB"))
    rows, notes = {}, []
    for name, r in results.items():
        rows[name] = ((get(r, "seconds"), "{:.2f}"), (ratio(count, get(r, "seconds")), "{:,.0f}"), (get(r, "transfers"), "{}"),
                      (get(r, "idle"), "{:.2f}"))
        notes += [f"{name}: {r[what]}" for what in ("failed", "idle") if isinstance(r.get(what), str)]
    if isinstance(alone, float):
        notes.append(f"the source alone, to a client that only reads: {count / alone:,.0f} zones a second, a connection each")
    print_table(f"{count} zones of seven records, nothing kept from before", heads, rows, notes)


# --- the goals ---


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
            self.line(name, "none:" + re.sub(r"\s+", "_", str(why).strip()), wanted, False)


def best(results, fn, figure):
    """The best of the peers, and why there is none: all of them must have been measured."""
    found, names = [], [k.kind for k in PEERS]
    for name in names:
        v = figure(results.get(name, {}))
        if v is None:
            return None, f"{name} gave no figure"
        found.append(v)
    return fn(found), None


def large_goals(goals, records, results):
    ours, tag = results.get("combinerd", {}), short(records)

    def against(name, peers, mine, over, form, wanted, test, *path):
        theirs, why = best(results, peers, mine)
        value = ratio(mine(ours), theirs) if over else ratio(theirs, mine(ours))
        if mine(ours) is None:
            why = reason(ours, *path)
        goals.value(f"{name}-{tag}", value, form, wanted, test, why)

    against("axfr-out", max, lambda r: rate(r, "plain", records), True, "{:.2f}x", ">=5x", lambda v: v >= 5, "plain")
    against("axfr-out-tsig", max, lambda r: rate(r, "tsig", records), True, "{:.2f}x", ">=3x", lambda v: v >= 3, "tsig")
    goals.value(f"axfr-out-of-bare-loop-{tag}", ratio(get(ours, "plain", "bare"), get(ours, "plain", "seconds")), "{:.2f}", ">=0.5",
                lambda v: v >= 0.5, reason(ours, "plain", "bare"))
    against("notify-to-served", min, lambda r: get(r, "served"), False, "{:.2f}x", ">=2x", lambda v: v >= 2, "served")
    for name, what in (("memory-without-files", "anon"), ("memory-pss", "pss")):
        against(name, min, lambda r, what=what: get(r, what), True, "{:.2f}x", "<=0.25x", lambda v: v <= 0.25, what)


def clients_goals(goals, results):
    ours = results.get("combinerd", {})
    c, name, why = get(ours, "clients"), f"{CLIENTS}-clients", reason(ours, "clients")
    goals.value(f"{name}-slowest-to-median", get(c, "spread"), "{:.2f}x", "<=1.5x", lambda v: v <= 1.5, why)
    goals.value(f"{name}-jain", get(c, "jain"), "{:.3f}", ">=0.9", lambda v: v >= 0.9, why)
    goals.value(f"{name}-memory-each", get(c, "each"), "{:.2f}MiB", "<=2MiB", lambda v: v <= 2, why)
    goals.value(f"{name}-others-p99", scale(get(c, "p99"), 1e3), "{:.2f}ms", "<50ms", lambda v: v < 50, why)


def changes_goals(goals, every, main, samples):
    def add(name, size, what, figure, limit):
        r = every.get(size, {}).get("combinerd", {})
        took = r.get(what, [])
        enough = len(took) >= samples
        goals.value(f"{name}-{short(size)}", scale(figure(took), 1e3), "{:.2f}ms" + ("" if enough else f"({len(took)}_samples)"),
                    f"<{limit}ms", lambda v: v < limit and enough, r.get(f"{what}-why") or r.get("owner-why") or "not measured")

    for name, what in (("owner-change-to-notify", "owner"), ("update-to-notify", "update")):
        add(f"{name}-median", main, what, median, 10)
        add(f"{name}-p99", main, what, p99, 50)
        small, big = (every.get(n, {}).get("combinerd", {}) for n in (1000, 1000000))
        enough = min(len(small.get(what, [])), len(big.get(what, []))) >= samples
        cost = ratio(median(big.get(what)), median(small.get(what))) if enough else None
        goals.value(f"{name}-cost-1M-over-1k", cost, "{:.2f}x", "<=2x", lambda v: v <= 2,
                    big.get(f"{what}-why") or small.get(f"{what}-why") or "not measured")


def zones_goals(goals, every, counts):
    for count in counts:
        results = every.get(count, {})
        ours, knot, tag = results.get("combinerd", {}), results.get("knot", {}), short(count)
        why = f"knot: {reason(knot, 'seconds')}" if get(ours, "seconds") else reason(ours, "seconds")
        goals.value(f"cold-start-{tag}-zones", ratio(get(knot, "seconds"), get(ours, "seconds")), "{:.2f}x_knot", ">=2x",
                    lambda v: v >= 2, why)
        goals.value(f"memory-per-idle-zone-{tag}", get(ours, "idle"), "{:.2f}KiB", "<=3KiB", lambda v: v <= 3, reason(ours, "idle"))


# --- the run ---


class Results:
    def __init__(self):
        self.large, self.alone, self.changes, self.zones, self.zones_alone, self.busy = {}, {}, {}, {}, {}, []


def say(text):
    print("... " + text, file=sys.stderr)


def helper(make):
    """A source or a sink, which is not waited for without end either."""
    with deadline(60):
        return make()


def run_large(plan, base, sink, out, records):
    source = helper(lambda: Source(base, records))
    try:
        out.alone[records] = attempt(lambda: source_alone(source, plan), plan.patience)
        for kind in ALL:
            out.busy.append(others_load())
            say(f"{kind.kind}, {records} records")
            stages = ("clients",) if records == plan.records[0] else ()
            out.large.setdefault(records, {})[kind.kind] = large(kind, base, source, sink, plan, stages)
    finally:
        source.stop()


def run_changes(plan, base, sink, out):
    for size in plan.sizes:
        source = helper(lambda: Source(base, size))
        try:
            for kind in ALL if size == plan.records[0] and not plan.quick else (Combinerd,):
                out.busy.append(others_load())
                say(f"{kind.kind}, changes of {size} records")
                out.changes.setdefault(size, {})[kind.kind] = changes(kind, base, source, sink, plan)
        finally:
            source.stop()


def too_slow(plan, out, kind, count):
    """Why a peer is left out of a start with so many zones."""
    if kind in (Combinerd, Knot) or count == plan.zones[0]:
        return None
    before = get(out.zones.get(plan.zones[0], {}).get(kind.kind), "seconds")
    if before is None:
        return f"left out: gave no figure for {plan.zones[0]} zones"
    would = before * count / plan.zones[0]
    return f"left out: would take {would:.0f} s or more, limit {SLOW_PEER_S} s" if would > SLOW_PEER_S else None


def zones_limit(plan, kind):
    return plan.patience if kind in (Combinerd, Knot) else min(plan.patience, SLOW_PEER_S)


def run_zones(plan, base, out, count):
    source, sink = helper(lambda: ZoneSource(base, count)), helper(lambda: Sink(base, quiet=True))
    try:
        out.zones_alone[count] = attempt(lambda: zones_alone(source), plan.patience)
        for kind in ALL:
            why = too_slow(plan, out, kind, count)
            if why is None:
                out.busy.append(others_load())
                say(f"{kind.kind}, {count} zones")
            out.zones.setdefault(count, {})[kind.kind] = \
                {"failed": why} if why else many_zones(kind, base, source, sink, plan, zones_limit(plan, kind))
    finally:
        source.stop()
        sink.stop()


def run(plan, base, out):
    sink = helper(lambda: Sink(base))
    run_large(plan, base, sink, out, plan.records[0])
    run_changes(plan, base, sink, out)
    for count in plan.zones:
        run_zones(plan, base, out, count)
    for records in plan.records[1:]:
        run_large(plan, base, sink, out, records)


def report(plan, out):
    machine()
    for records, results in out.large.items():
        large_report(records, results, out.alone.get(records))
    clients_report(plan.records[0], out.large.get(plan.records[0], {}))
    changes_report(out.changes)
    for count, results in out.zones.items():
        zones_report(count, results, out.zones_alone.get(count))
    print()
    goals = Goals()
    # What is measured while others work is worth nothing, in whichever direction it errs.
    busiest = max(out.busy, default=0)
    goals.line("quiet-machine", f"{busiest:.0f}%", f"<={QUIET}%", busiest <= QUIET)
    for records in plan.records:
        large_goals(goals, records, out.large.get(records, {}))
    clients_goals(goals, out.large.get(plan.records[0], {}))
    changes_goals(goals, out.changes, plan.records[0], plan.samples)
    zones_goals(goals, out.zones, plan.zones)
    return goals.missed


def options():
    p = argparse.ArgumentParser(prog="tools/bench xfr")
    p.add_argument("--quick", action="store_true", help="smaller work, under a minute")
    p.add_argument("--records", help="sizes of the large zones, comma-separated; the first is the one for changes and many clients")
    o = p.parse_args()
    with open("/proc/meminfo") as f:
        available = int(re.search(r"MemAvailable: +(\d+)", f.read()).group(1))
    big = not o.quick and not o.records
    if big and available < MEMORY_FOR_BIG_KIB:
        print(f"{available >> 10} MiB of memory available, {MEMORY_FOR_BIG_KIB >> 10} wanted: {BIG} records may not fit")
    return Plan(o.quick, [max(1000, int(n)) for n in o.records.split(",")] if o.records else None, big)


def main():
    plan = options()
    base = tempfile.mkdtemp(prefix="msp-bench-")
    out = Results()

    def interrupted(_sig, _frame):
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupted)
    began = time.monotonic()
    Clock.end = began + plan.limit_s
    try:
        run(plan, base, out)
    except Failed as e:
        print(f"stopped: {e}: what is missing below was not measured")
    finally:
        for p in list(Process.everything):
            p.stop()
        shutil.rmtree(base, ignore_errors=True)
    missed = report(plan, out)
    say(f"{time.monotonic() - began:.0f} s")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
