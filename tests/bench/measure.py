# SPDX-License-Identifier: BSD-2-Clause
"""Single measurements of one server: transfers, memory, changes, many zones, many clients. Nothing here waits for ever:
each stage runs under `deadline`.
"""

import contextlib
import os
import random
import shutil
import signal
import socket
import statistics
import subprocess
import threading
import time

import dns.message
import dns.name
import dns.update

from intermediates import AGENT, CLIENT, KEY, KEYRING, SIGNED, UNSIGNED, ZONE, Combinerd, Failed, Replay

SAMPLE_S = 0.002
SETTLE_S = 20
REST_S = 1.6  # what a server is left before its memory counts as that of a server at rest
CHANGE_PATIENCE_S = 10
SAMPLED_ZONES = 50
CHUNK = 1 << 20  # of the bare write loop: smaller ones are slower
CLIENTS = 50
PINGS_A_SECOND = 100


class Clock:
    """When the whole bench has to be over."""

    end = float("inf")


@contextlib.contextmanager
def deadline(seconds):
    """What is done within takes no longer: Failed is raised. Not to be nested; for the main thread only."""
    left = Clock.end - time.monotonic()
    if left <= 0:
        raise Failed("the time for the whole bench was up")

    def late(_sig, _frame):
        raise Failed(f"not done within {seconds} s" if seconds <= left else "the time for the whole bench was up")

    signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, min(seconds, left))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def attempt(what, seconds):
    """Its result, or the text that says why there is none."""
    try:
        with deadline(seconds):
            return what()
    except (Failed, OSError, ValueError) as e:
        return str(e) or repr(e)


# --- clients ---


class Client:
    """A client of bench_axfr, ready and waiting for the word to begin."""

    def __init__(self, what, port, signed, *args):
        self.proc = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", CLIENT, what, str(port), *(SIGNED if signed else UNSIGNED),
                                      *map(str, args)],
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1)

    def __enter__(self):
        self.proc.stdout.readline()
        return self

    def line(self):
        with contextlib.suppress(OSError):  # its last words say more
            self.proc.stdin.write("go\n")

    def result(self):
        result = self.proc.stdout.readline()
        if self.proc.wait() != 0 or not result:
            raise Failed(self.proc.stderr.read().strip() or "the client failed")
        return [int(x) for x in result.split()]

    def __exit__(self, *_):
        self.proc.kill()
        self.proc.wait()
        for pipe in (self.proc.stdin, self.proc.stdout, self.proc.stderr):
            with contextlib.suppress(OSError):
                pipe.close()


def client(what, port, signed, *args):
    with Client(what, port, signed, *args) as c:
        c.line()
        return c.result()


def fetch(port, records, signed, *keep):
    """Seconds and octets of one AXFR."""
    took, octets, _, got, rcode = client("fetch", port, signed, ZONE, records + 1, *keep)
    if rcode != 0:
        raise Failed(f"AXFR {'with' if signed else 'without'} TSIG answered {'REFUSED' if rcode == 5 else f'rcode {rcode}'}")
    if got != records + 1:
        raise Failed(f"{got} records instead of {records + 1}")
    return took / 1e9, octets


def fetch_settled(server):
    """NSD answers with the new zone while processes with the old one, and our connection, are still on their way out."""
    end = time.monotonic() + SETTLE_S
    while True:
        try:
            return fetch(server.port, server.source.records, True)
        except Failed:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


def bump(server):
    """Seconds from the NOTIFY of a version that has to be transferred as a whole to the first answer with its SOA."""
    server.rest()
    serial, at = server.source.tell(f"bump {server.port}")
    return (server.wait_serial(serial, 120, notify=True) - at) / 1e9


class Memory(threading.Thread):
    """Peak of a server's processes together, MiB: without pages of files, and proportional set size."""

    def __init__(self, server, pause=SAMPLE_S):
        super().__init__(daemon=True)
        self.server, self.pause, self.anon, self.pss, self.over = server, pause, 0, 0, threading.Event()

    def run(self):
        while not self.over.wait(self.pause):
            anon, pss = self.server.anonymous()
            self.anon, self.pss = max(self.anon, anon), max(self.pss, pss)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()


# --- one large zone ---


def large(kind, base, source, sink, opts, stages):
    """Figures of one server as an intermediate for the source's zone; a text in a figure's place says why it is missing."""
    server, r = kind(base, source, [ZONE], sink), {}
    limit = opts.patience

    def cycle():
        server.start()
        with Memory(server) as memory:
            r["first"] = (server.wait_serial(1, limit) - server.began) / 1e9
            fetch_settled(server)
            bump(server)
            fetch_settled(server)
            time.sleep(0.2)
        r["anon"], r["pss"] = memory.anon, memory.pss
        fetch_settled(server)

    def transfers(signed):
        server.rest()
        runs = [fetch(server.port, source.records, signed) for _ in range(opts.runs)]
        return {"seconds": statistics.median(s for s, _ in runs), "octets": runs[0][1]}

    try:
        failed = attempt(cycle, limit)
        if failed:
            r["failed"] = failed
            return r
        for name, signed in (("plain", False), ("tsig", True)):
            r[name] = attempt(lambda: transfers(signed), limit)
            if kind is Combinerd and isinstance(r[name], dict):
                r[name]["bare"] = attempt(lambda: bare_loop(server, base, signed, opts), limit)
        r["served"] = attempt(lambda: statistics.median(bump(server) for _ in range(opts.runs)), limit)
        if "clients" in stages:
            r["clients"] = attempt(lambda: many_clients(server, opts), limit)
        return r
    finally:
        end(server)


def end(server):
    server.stop()
    shutil.rmtree(server.dir, ignore_errors=True)


def source_alone(source, opts):
    """Seconds that the source takes to send the zone to a client that only reads."""
    return statistics.median(fetch(source.port, source.records, True)[0] for _ in range(opts.runs))


def bare_loop(server, base, signed, opts):
    """Seconds of the same octets from a loop that only writes them, to the same client."""
    path = os.path.join(base, "octets")
    fetch(server.port, server.source.records, signed, path)
    loop = Replay(base, path, CHUNK)
    try:
        return statistics.median(fetch(loop.port, server.source.records, signed)[0] for _ in range(opts.runs))
    finally:
        end(loop)
        os.remove(path)


def many_clients(server, opts):
    """CLIENTS transfers at once, again and again for a while, and what somebody else's questions take meanwhile."""
    records, spreads, jains, slowest = server.source.records, [], [], []
    server.rest()
    before = server.anonymous()[0]
    with Client("ping", server.port, True, ZONE, PINGS_A_SECOND) as ping, Memory(server, 0.05) as memory:
        stop = time.monotonic() + opts.clients_s
        ping.line()
        while time.monotonic() < stop or not slowest:
            took = client("many", server.port, True, ZONE, records + 1, CLIENTS)
            if len(took) != CLIENTS or 0 in took:
                raise Failed(f"{took.count(0) + CLIENTS - len(took)} of {CLIENTS} clients at once got no whole zone")
            rates = [1 / t for t in took]
            slowest.append(max(took) / 1e9)
            spreads.append(max(took) / statistics.median(took))
            jains.append(sum(rates) ** 2 / len(rates) / sum(r * r for r in rates))
        ping.line()
        sent, *took = ping.result()
    lost = sent - len(took)
    took = sorted(took) + [1e9] * lost  # an answer that did not come in a second counts as one
    return {"rounds": len(slowest), "slowest": statistics.median(slowest), "spread": statistics.median(spreads),
            "jain": statistics.median(jains), "each": max(0, memory.anon - before) / CLIENTS,
            "sent": sent, "lost": lost, "p50": took[len(took) // 2] / 1e9, "p99": took[int(len(took) * 0.99)] / 1e9}


# --- changes ---


def changes(kind, base, source, sink, opts):
    """Seconds from an owner's change of one record, and from an agent's UPDATE, to the NOTIFY about it, each."""
    server, r = kind(base, source, [ZONE], sink), {"owner": []}

    def begin():
        server.start()
        server.wait_serial(1, opts.change_patience)
        fetch_settled(server)

    try:
        why = attempt(begin, opts.change_patience)
        if why:
            r["owner-why"] = why
            return r
        before = attempt(lambda: source.tell("stats"), 5)
        r["owner-why"] = attempt(lambda: owner_changes(server, sink, opts.samples, r["owner"]), opts.change_patience)
        after = attempt(lambda: source.tell("stats"), 5)
        if isinstance(before, list) and isinstance(after, list):
            r["transfers"] = [b - a for a, b in zip(before, after)]
        if kind is Combinerd:
            r["update"] = []
            r["update-why"] = attempt(lambda: updates(server, sink, opts.samples, r["update"]),
                                      opts.change_patience)
        return r
    finally:
        end(server)


def owner_changes(server, sink, count, out):
    last = server.source.tell(f"notify {server.port}")[0]
    for _ in range(count):
        time.sleep(random.random() * 0.01)  # not in step with anything of the server's
        sink.clear()
        serial, at = server.source.tell(f"change {server.port}")
        heard, got = sink.wait(last, CHANGE_PATIENCE_S)
        last = got or serial
        out.append((heard - at) / 1e9)


def updates(server, sink, count, out):
    """An UPDATE replaces the NS RRset."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", server.port))
        sock.settimeout(CHANGE_PATIENCE_S)
        last = 0
        for i in range(count):
            time.sleep(random.random() * 0.01)
            u = dns.update.UpdateMessage(ZONE, keyring=KEYRING, keyname=dns.name.from_text(AGENT))
            u.replace(ZONE, 60, "NS", f"ns{i}.provider-a.test.")
            wire = u.to_wire()
            sink.clear()
            began = time.monotonic_ns()
            sock.send(wire)
            heard, last = sink.wait(last, CHANGE_PATIENCE_S)
            answer = sock.recv(4096)
            if answer[3] & 15 != 0:
                raise Failed(f"UPDATE answered rcode {answer[3] & 15}")
            out.append((heard - began) / 1e9)


# --- many zones ---


def zone_names(count):
    return [f"z{i}.test." for i in range(count)]


def ask_until_served(server, numbers):
    """Asks for the SOA of each until each was answered."""
    left = {n: dns.message.make_query(f"z{n}.test.", "SOA", use_edns=False, id=i) for i, n in enumerate(numbers)}
    for q in left.values():
        q.use_tsig(KEYRING, KEY)
    left = {n: q.to_wire() for n, q in left.items()}
    by_id = dict(enumerate(numbers))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", server.port))
        while left:
            for wire in left.values():
                with contextlib.suppress(OSError):
                    sock.send(wire)
            sock.settimeout(0.02)
            with contextlib.suppress(OSError):
                while left:
                    m = sock.recv(4096)
                    if m[3] & 15 == 0 and m[6:8] != b"\0\0":
                        left.pop(by_id.get(int.from_bytes(m[:2], "big")), None)
            server.must_run()


def zones_alone(source):
    """Seconds that the source takes to send every zone to a client that only reads."""
    return client("drain", source.port, True, source.count)[0] / 1e9


def start_until_served(server, source):
    """Seconds from the start to the answer about the last zone: the source has sent every zone to its last octet, and those
    transferred last, with some others, are served.
    """
    source.tell("reset")
    server.start()
    count = len(server.zones)
    while source.tell("count")[0] < count:
        server.must_run()
        time.sleep(0.005)
    last = source.tell(f"last {SAMPLED_ZONES}")
    ask_until_served(server, sorted({*last, *range(0, count, max(1, count // SAMPLED_ZONES))}))
    return (time.monotonic_ns() - server.began) / 1e9


def settled_memory(server, seconds):
    """MiB without pages of files, once it has come to rest."""
    began, last = time.monotonic(), []
    while time.monotonic() < began + seconds:
        last.append(server.anonymous()[0])
        if time.monotonic() > began + REST_S and len(last) >= 4 and max(last[-4:]) <= min(last[-4:]) * 1.005:
            break
        time.sleep(0.2)
    return last[-1]


def many_zones(kind, base, source, sink, opts, limit):
    """Cold start with all of the source's zones, and the memory that each of them takes afterwards."""
    r = {}

    def cold(count):
        server = kind(base, source, zone_names(count), sink)
        try:
            seconds = start_until_served(server, source)
            if count > 1:
                r["seconds"], r["transfers"] = seconds, source.tell("count")[1]
            memory = settled_memory(server, opts.settle_s)
            for _ in range(20):  # not all of them were asked for above
                served = client("sweep", server.port, True, 0, count)[0]
                if served == count:
                    return memory
                time.sleep(0.2)
            raise Failed(f"{count - served} of {count} zones are not served")
        finally:
            end(server)

    full = attempt(lambda: cold(source.count), limit)
    one = attempt(lambda: cold(1), opts.patience) if isinstance(full, float) else None
    if isinstance(full, str):
        r["failed"] = full
    r["idle"] = (full - one) * 1024 / (source.count - 1) if isinstance(one, float) and isinstance(full, float) else one
    return r
