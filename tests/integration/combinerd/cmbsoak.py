# SPDX-License-Identifier: BSD-2-Clause
"""
combinerd among bad company, for as long as one likes: two primaries that now and then are slow, half-open or lying, signers that
read slowly, hang or talk nonsense, random edits and instructions, kill -9.
    cmbsoak.py SECONDS [SEED]
What must hold all the time: a serial names one content and never goes back; what is served is a version that the owner really had;
nothing acknowledged is lost. Each round ends in peace, and then the newest version must be there. Memory and descriptors stay put.
"""

import os
import random
import shutil
import socket
import struct
import sys
import tempfile
import threading
import time

import dns.exception
import dns.name

import cmbharness as h
import cmbmodel as m
import cmbstream as s

ROUND_S = 6
MEMORY_KIB = 96 << 10
DESCRIPTORS = 200


class Shared:
    """The owner's versions, which both primaries serve."""

    def __init__(self, rnd):
        self.rnd, self.lock = rnd, threading.Lock()
        records = [m.record(x) for x in h.zone_text(1).splitlines()[1:]]
        records += [m.record(f"n{i}.{h.ZONE} 60 IN A 192.0.2.{i % 250}") for i in range(400)]
        self.versions = {1: set(records)}
        self.contents = {frozenset(h.content(m.wire(records)))}

    def edit(self):
        with self.lock:
            last = next(reversed(self.versions))
            now = set(self.versions[last])
            for _ in range(self.rnd.choice((1, 1, 2, 30))):
                if self.rnd.random() < 0.5:
                    plain = sorted((r for r in now if r[0] != dns.name.from_text(h.ZONE)), key=repr)
                    now.discard(self.rnd.choice(plain))
                else:
                    i = self.rnd.randrange(1000)
                    now.add(m.record(f"n{i}.{h.ZONE} 60 IN A 192.0.2.{self.rnd.randrange(250)}"))
            self.contents.add(frozenset(h.content(m.wire(now))))  # before anybody can be given it
            self.versions[last + self.rnd.choice((1, 1, 1, 7))] = now


class Moody(m.Primary):
    """honest, or one of the methods below."""

    MOODS = ("slow", "mute", "cut", "garbage", "unsigned", "forged", "wrong_id", "phantom_delete", "double_add", "broken_chain",
             "endless", "refused", "no_apex")

    def __init__(self, shared):
        super().__init__([], refresh=2)
        self.shared, self.mood, self.told = shared, "honest", {}
        self.versions = shared.versions

    def answer(self, octets, is_tcp):
        mood = self.mood
        self.told[mood] = self.told.get(mood, 0) + 1
        with self.shared.lock:
            good = list(super().answer(octets, is_tcp))
        if mood == "honest" or (mood in ("cut", "endless", "slow") and not is_tcp):
            yield from good
        elif mood == "slow":
            for x in good:
                time.sleep(0.3)
                yield x
        elif mood == "mute":
            time.sleep(3)
        elif mood == "cut":
            yield from good[:-1]
            raise ConnectionAbortedError
        elif mood == "garbage":
            yield good[0][:2] + bytes(b ^ 0x5a for b in good[0][2:]) if good else b""
        elif mood == "wrong_id":
            for x in good:
                yield bytes([x[0] ^ 1]) + x[1:]
        elif mood == "forged":
            yield from [x[:-10] + bytes([x[-10] ^ 1]) + x[-9:] for x in good]
        elif mood == "endless":
            for _ in range(200):
                yield from good[:1]
        else:
            yield from getattr(self, mood)(octets)

    def rewrite(self, octets, fn):
        q = m.dns.message.from_wire(octets, keyring=h.KEYRING)
        rdtype = m.dns.rdatatype.to_text(q.question[0].rdtype)
        with self.shared.lock:
            versions = list(self.versions.items())
        yield from m.messages(q, fn(self.rows(q, rdtype, versions), rdtype))

    def unsigned(self, octets):
        q = m.dns.message.from_wire(octets, keyring=h.KEYRING)
        with self.shared.lock:
            rows = self.rows(q, m.dns.rdatatype.to_text(q.question[0].rdtype), list(self.versions.items()))
        q.tsig = None
        yield from m.messages(q, rows)

    def refused(self, octets):
        q = m.dns.message.from_wire(octets, keyring=h.KEYRING)
        r = m.dns.message.make_response(q)
        r.set_rcode(5)
        yield r.to_wire()

    def phantom_delete(self, octets):
        ghost = m.record(f"ghost.{h.ZONE} 60 IN A 192.0.2.254")
        return self.rewrite(octets, lambda rows, t: rows[:2] + [ghost] + rows[2:] if t == "IXFR" and len(rows) > 3 else rows)

    def double_add(self, octets):
        here = m.record(f"{h.ZONE} 300 IN NS ns1.owner.test.")
        return self.rewrite(octets, lambda rows, t: rows[:-1] + [here] + rows[-1:] if t == "IXFR" and len(rows) > 3 else rows)

    def broken_chain(self, octets):
        return self.rewrite(octets, lambda rows, t: [rows[0], m.soa(99)] + rows[2:] if t == "IXFR" and len(rows) > 3 else rows)

    def no_apex(self, octets):
        apex = dns.name.from_text(h.ZONE)
        return self.rewrite(octets, lambda rows, t: [r for r in rows if r[0] != apex or r[2] == 6] if t == "AXFR" else rows)


class Soak:
    def __init__(self, base, seed):
        self.seed, self.rnd = seed, random.Random(seed)
        self.base, self.over, self.problems = base, threading.Event(), []
        self.shared = Shared(random.Random(seed + 1))
        self.primaries = [Moody(self.shared).start() for _ in range(2)]
        self.comb = h.Combinerd(base, [p.where() for p in self.primaries], settings="notify-tries = 1; tcp-per-client-max = 40; stall-max = 2;",
                                zone_settings="coalesce-ms = 0; transfer-idle = 1; retry-min = 1; retry-max = 1; refresh-max = 2; max-shrink = 0;")
        self.comb.start()
        self.seen, self.highest, self.lock = {}, None, threading.Lock()
        self.ns, self.maybe = None, set()
        self.counts = {}

    def count(self, what):
        self.counts[what] = self.counts.get(what, 0) + 1

    def note(self, serial, records):
        """records without SOA, as served with serial."""
        content = frozenset(records)
        with self.lock:
            if self.seen.setdefault(serial, content) != content:
                self.problems.append(f"two contents with serial {serial}")
        with self.shared.lock:
            if frozenset(h.content(content)) not in self.shared.contents:
                self.problems.append(f"serial {serial} is no version that the owner had")

    def ahead(self, serial, before):
        if before is not None and serial != before and (serial - before) & 0xffffffff >= 1 << 31:
            self.problems.append(f"serial {serial} after {before}")

    # --- company, each in a thread ---

    def signer(self):
        copy, stream = s.Copy(), None
        while not self.over.is_set():
            try:
                stream = stream or s.Stream(*self.comb.where(), timeout=5)
                before = copy.serial
                copy.update(stream)
                self.ahead(copy.serial, before)
                self.note(copy.serial, copy.records)
                self.count("refreshed")
                time.sleep(0.05)
            except (OSError, EOFError, dns.exception.DNSException, m.Refused):
                stream = None
                time.sleep(0.05)
            except AssertionError as e:
                self.problems.append(f"IXFR: {e}")
                copy, stream = s.Copy(), None

    def slow_signer(self):
        while not self.over.is_set():
            try:
                with socket.create_connection(self.comb.where(), 5) as c:
                    c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                    q = m.dns.message.make_query(h.ZONE, "AXFR", use_edns=-1)
                    q.use_tsig(h.KEYRING, "signer.")
                    w = q.to_wire()
                    c.sendall((struct.pack("!H", len(w)) + w) * 3)
                    for _ in range(20):
                        if self.over.wait(0.1) or not c.recv(100):
                            break
                self.count("slow")
            except OSError:
                time.sleep(0.1)

    def nuisance(self):
        rnd = random.Random(self.seed + 2)
        while not self.over.is_set():
            try:
                with socket.create_connection(self.comb.where(), 5) as c:
                    c.sendall(rnd.choice((b"", b"\0", b"\0\x20" + rnd.randbytes(20), b"\xff\xff" + rnd.randbytes(3000), rnd.randbytes(500))))
                    self.over.wait(rnd.choice((0, 0.01, 0.5)))
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as u:
                    u.sendto(rnd.randbytes(rnd.randrange(1, 600)), self.comb.where())
                self.count("nonsense")
            except OSError:
                time.sleep(0.1)

    def instruct(self):
        name = f"ns{self.rnd.randrange(1000)}.x.test."
        try:
            if self.comb.update(("replace", 10, "NS", name)).rcode() == 0:
                self.ns, self.maybe = name, set()
                self.count("instructed")
        except (OSError, EOFError, dns.exception.DNSException):
            self.maybe.add(name)

    # --- rounds ---

    def storm(self):
        end = time.monotonic() + ROUND_S
        while time.monotonic() < end and not self.problems:
            for p in self.primaries:
                p.mood = self.rnd.choice(("honest",) * 6 + Moody.MOODS)
            for _ in range(self.rnd.randrange(1, 5)):
                self.shared.edit()
                for p in self.primaries:
                    try:
                        p.notify(self.comb.where(), 0.5)
                    except (OSError, dns.exception.DNSException):
                        pass
                if self.rnd.random() < 0.3:
                    self.instruct()
                time.sleep(self.rnd.uniform(0, 0.2))
            if self.rnd.random() < 0.15:
                self.comb.kill9()
                self.comb.start(wait=False)
                self.count("killed")

    def peace(self):
        for p in self.primaries:
            p.mood = "honest"
        self.shared.edit()
        want = h.content(m.wire(self.primaries[0].records()))

        def settled():
            self.primaries[0].notify(self.comb.where(), 1)
            return h.content(self.comb.axfr()) == want
        h.wait_for(settled, 30, 0.1, f"the newest version, seed {self.seed}")
        served = {r[3] for r in self.comb.axfr() if r[0] == h.ZONE and r[2] == "NS"}
        if self.ns is not None:
            wanted = {dns.name.from_text(n).to_wire() for n in {self.ns} | self.maybe}
            assert len(served) == 1 and served <= wanted, f"instruction lost, seed {self.seed}"
        with open(f"/proc/{self.comb.proc.pid}/status") as f:
            kib = int(next(x for x in f if x.startswith("RssAnon")).split()[1])
        fds = len(os.listdir(f"/proc/{self.comb.proc.pid}/fd"))
        assert kib < MEMORY_KIB and fds < DESCRIPTORS, (kib, fds)
        self.counts["peak KiB"] = max(self.counts.get("peak KiB", 0), kib)
        self.count("rounds")

    def run(self, seconds):
        company = [threading.Thread(target=f, daemon=True) for f in (self.signer, self.slow_signer, self.nuisance)]
        for t in company:
            t.start()
        end = time.monotonic() + seconds
        try:
            while time.monotonic() < end and not self.problems:
                self.storm()
                self.peace()
            assert not self.problems, (self.seed, self.problems[:5])
        finally:
            self.over.set()
            for t in company:
                t.join(10)
        for p in self.primaries:
            for mood, n in p.told.items():
                self.counts[mood] = self.counts.get(mood, 0) + n
        return self.counts

    def close(self):
        self.comb.stop()
        for p in self.primaries:
            p.stop()


def soak(seconds, seed):
    base = tempfile.mkdtemp(prefix="cms")
    story = Soak(base, seed)
    try:
        return story.run(seconds)
    finally:
        story.close()
        shutil.rmtree(base, ignore_errors=True)


if __name__ == "__main__":
    print(soak(float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(1 << 30)))
