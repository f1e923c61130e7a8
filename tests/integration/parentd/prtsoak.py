# SPDX-License-Identifier: BSD-2-Clause
"""
parentd among bad company, for as long as one likes: children with keys of several algorithms that ask for good things and bad
ones, operators, others who change the parent zone at its primary, floods, junk, replays, reloads, a primary that is down now
and then, kill -9.
    prtsoak.py SECONDS [SEED [bind|knot]]
A model of a few lines says what may stand: the last delegation that was granted (or imported, or set), the keys that were
trusted; what was under way at a kill may be there or not. Each round ends in peace: then the books, the zone at the primary and
the model are one, the audit trail is whole and explains each change, and memory and descriptors have stayed put.
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

import parent as h
import primaries

ROUND_S = 5
CHILDREN, PROPOSING = 60, 5
PEACE_S = 60
IS_SANITIZED = any(w in h.BUILD for w in ("asan", "tsan"))
MEMORY_KIB = (2048 if IS_SANITIZED else 128) << 10
DESCRIPTORS = 120
ALGS = (h.ED25519, h.P256, h.P384, h.ED448, h.RSASHA256)
LOST = (OSError, EOFError, dns.exception.DNSException)
DS = "4711 13 2 "


def plain(owner, rdtype, text):
    """A record as it is compared: without TTL, spaces in digests and case."""
    words = text.lower().split(None, 3)
    if rdtype == "DS":
        words[3] = words[3].replace(" ", "")
    return owner.lower(), rdtype, " ".join(words)


def of_lines(lines):
    split = [line.split(None, 4) for line in lines]
    return frozenset(plain(w[0], w[3], w[4]) for w in split)


class Child:
    def __init__(self, name, may_propose):
        self.name, self.proposes = name, may_propose
        self.may = set()       # delegations that may stand
        self.trusted = []      # keys that are
        self.perhaps = []      # and these may be
        self.waits = set()     # proposals of which one may wait
        self.is_locked = False  # None: not known
        self.is_contested = False  # others have changed it since the last peace
        self.uploads = 0
        self.is_littered = False  # others have put addresses there that no server of the delegation has any more

    def is_sure(self):
        return len(self.may) == 1 and not self.perhaps and self.is_locked is not None and not self.is_contested


class Daemon(h.Parentd):
    """With a second policy, and less in the log."""

    def configure(self):
        super().configure()
        with open(self.conf) as f:
            text = f.read()
        propose = self._group(dict(self.policy, mode="propose"))
        text = text.replace("policies = ( {", f'policies = ( {{ name = "careful"; {propose} }}, {{')
        text = text.replace('log-level = "debug"', 'log-level = "notice"')
        h.write(self.conf, text)


class Knot(primaries.Knot):
    """One that does not go back to its zone file when it is started again."""

    has_started = False

    def spawn(self, *argv):
        if self.has_started:
            with open(f"{self.dir}/knot.conf") as f:
                text = f.read()
            h.write(f"{self.dir}/knot.conf", text.replace("zonefile-load: difference-no-serial", "zonefile-load: none"))
        self.has_started = True
        return super().spawn(*argv)


PRIMARIES = {"bind": primaries.Bind, "knot": Knot}


class Soak:
    def __init__(self, base, seed, kind):
        self.seed, self.rnd = seed, random.Random(seed)
        self.over, self.quiet = threading.Event(), threading.Event()
        self.counts, self.told, self.problems = {}, {}, []
        self.lock = threading.Lock()
        self.replays, self.heard = [], []
        self.seq, self.link, self.stands = 1, "", {}
        self.keys = {alg: [] for alg in ALGS}
        self.children = [Child(f"c{i}.example.", i < PROPOSING) for i in range(CHILDREN)]
        first = {c.name: self.content(c.name) for c in self.children}
        self.primary = PRIMARIES[kind](base, [f"{o} 300 IN {t} {x}" for d in first.values() for o, t, x in d])
        secret = os.path.join(base, "secret")
        h.write(secret, primaries.SECRET + "\n", 0o600)
        careful = ", ".join(f'{{ zone = "{c.name}"; policy = "careful"; }}' for c in self.children if c.proposes)
        self.p = Daemon(base, limits=dict(tcp_per_client=60, sweep=0), settings=(
            f'tsig-keys = ( {{ name = "{primaries.KEY}"; algorithm = "hmac-sha256"; secret-file = "{secret}"; }} );\n'
            f"children = ( {careful} );"))
        self.primary.notify = (self.p.addr, self.p.port)
        at = f'address = "{self.primary.addr}"; port = {self.primary.port}; tsig-key = "{primaries.KEY}";'
        self.p.parent_settings = (f'primary : {{ {at} interval = 1; }}; backends = ( {{ name = "primary"; kind = "update"; '
                                  f'{at} retry = 1; retry-max = 1; }} );')
        self.p.configure()
        self.primary.start()
        self.p.start()
        for c in self.children:
            c.may = {of_lines(f"{o} 300 IN {t} {x}" for o, t, x in first[c.name])}
            self.stands[c.name] = next(iter(c.may))
        h.wait_for(lambda: len(self.p.ctl("parent children")["rows"]) == CHILDREN, message="the zone was read")
        for c in self.children:
            for _ in range(self.rnd.choice((1, 1, 2))):
                key = self.key(c)
                self.p.trust(key)
                c.trusted.append(key)

    # --- material ---

    def count(self, what):
        with self.lock:
            self.counts[what] = self.counts.get(what, 0) + 1

    def problem(self, *what):
        with self.lock:
            self.problems.append(what)

    def key(self, c):
        return h.ChildKey(c.name, self.rnd.choice(ALGS[:4] * 3 + ALGS[4:]))

    def content(self, child):
        """Records of a whole delegation."""
        r = self.rnd
        out = [(child, "NS", f"ns{n}.test.") for n in r.sample(range(60), r.choice((2, 2, 3, 4)))]
        if r.random() < 0.4:
            host = f"ns{r.randrange(3)}.{child}"
            out += [(child, "NS", host), (host, "A", f"192.0.2.{r.randrange(1, 255)}")]
            if r.random() < 0.5:
                out.append((host, "AAAA", f"2001:db8::{r.randrange(1, 9999):x}"))
        return out + [(child, "DS", DS + r.randbytes(32).hex()) for _ in range(r.choice((1, 1, 2)))]

    @staticmethod
    def whole(child, records):
        hosts = [f"ns{n}.{child}" for n in range(3)]
        out = [h.delete(child, "NS"), h.delete(child, "DS")] + [h.delete(x, t) for x in hosts for t in ("A", "AAAA")]
        return out + [h.add(o, t, x) for o, t, x in records]

    def some(self, **want):
        fit = [c for c in self.children if all(getattr(c, k) == v for k, v in want.items())]
        return self.rnd.choice(fit) if fit else None

    def ask(self, raw, **kw):
        """None: nobody knows what has become of it."""
        try:
            return self.p.ask(raw, tcp=self.rnd.random() < 0.9 or len(raw) > 1200, timeout=5, **kw)
        except LOST:
            return None

    def order(self, cmd, **args):
        """True, or False: refused; None: not known."""
        try:
            a = self.p.ctl(cmd, raw=True, **args)
        except LOST:
            return None
        self.count(cmd if a["ok"] else cmd + " refused")
        return a["ok"]

    # --- children ---

    def note_told(self, what, a):
        t = "lost" if a is None else f"{a.rcode} {a.ede_codes}" if a.ede_codes else a.rcode
        self.count(f"{what}: {t}")

    def update(self, c=None):
        c = c or self.some()
        if not c.trusted:
            return
        key, records = self.rnd.choice(c.trusted), self.content(c.name)
        new = frozenset(plain(*r) for r in records)
        raw = self.p.signed_update(key, self.whole(c.name, records))
        a = self.ask(raw)
        self.note_told("update", a)
        if a is None:
            (c.waits if c.proposes else c.may).add(new)
        elif a.rcode == "NOERROR":
            if c.is_locked:
                self.problem("granted in spite of the lock", c.name)
            if c.proposes:
                c.waits = {new}
            elif c.is_contested:
                c.may.add(new)
            else:
                c.may = {new}
            self.replays.append(raw)
        elif not (c.is_locked is not False or c.is_contested or c.may == {frozenset()}) and h.EDE["LOCKED"] in a.ede_codes:
            self.problem("refused as locked, is not", c.name)

    def bad_update(self):
        c, other = self.some(), self.some()
        key = self.rnd.choice(c.trusted) if c.trusted else self.key(c)
        good = self.whole(c.name, self.content(c.name))
        signed = self.p.signed_update
        how = self.rnd.choice(("stranger", "other", "broken", "late", "early", "type", "apex", "unsigned", "mixed", "name"))
        if how == "other" and other is c:
            return
        raw = {
            "stranger": lambda: signed(self.key(c), good),
            "other": lambda: signed(key, self.whole(other.name, self.content(other.name))),
            "broken": lambda: (lambda w: w[:-9] + bytes([w[-9] ^ 4]) + w[-8:])(signed(key, good)),
            "late": lambda: signed(key, good, sign=dict(inception=-9000, expiration=-7000)),
            "early": lambda: signed(key, good, sign=dict(inception=7000, expiration=9000)),
            "type": lambda: signed(key, good + [h.add(c.name, "TXT", "hello")]),
            "apex": lambda: signed(key, [h.add("example.", "NS", "ns.evil.test.")]),
            "unsigned": lambda: h.update_message(good),
            "mixed": lambda: signed(key, good + [h.add(c.name, "KEY", key.text)]),
            "name": lambda: signed(key, good, sign=dict(signer="example.")),
        }[how]()
        a = self.ask(raw)
        self.count("bad")
        if a is not None and a.rcode == "NOERROR":
            self.problem("granted", how, c.name, a)

    def replay(self):
        if self.replays:
            raw = self.rnd.choice(self.replays[-200:])
            a = self.ask(raw, source=f"127.9.{self.rnd.randrange(200)}.{self.rnd.randrange(1, 200)}")
            self.count("replay")
            if a is not None and a.rcode == "NOERROR":
                self.problem("a replay was granted", a)

    def rollover(self):
        """By a trusted key: one more, one in place of all, one less."""
        c = self.some()
        if not c.trusted or c.perhaps:
            return
        old, new = self.rnd.choice(c.trusted), self.key(c)
        how = self.rnd.choice(("add", "replace", "drop"))
        if how == "drop" and len(c.trusted) < 2:
            how = "replace"
        victim = self.rnd.choice([k for k in c.trusted if k is not old]) if how == "drop" else None
        records = {"add": lambda: [h.add(c.name, "KEY", new.text)],
                   "replace": lambda: [h.delete(c.name, "KEY"), h.add(c.name, "KEY", new.text)],
                   "drop": lambda: [h.delete(c.name, "KEY", victim.text)]}[how]()
        after = {"add": c.trusted + [new], "replace": [new], "drop": [k for k in c.trusted if k is not victim]}[how]
        a = self.ask(self.p.signed_update(old, records))
        self.note_told("rollover", a)
        if a is None:
            self.blur(c, after)
        elif a.rcode == "NOERROR":
            c.trusted = after

    @staticmethod
    def blur(c, after):
        """Either the keys as they were, or these."""
        both = {k.fingerprint: k for k in c.trusted + after}.values()
        sure = {k.fingerprint for k in c.trusted} & {k.fingerprint for k in after}
        c.perhaps += [k for k in both if k.fingerprint not in sure]
        c.trusted = [k for k in c.trusted if k.fingerprint in sure]

    def upload(self):
        """A key that nobody knows, and an operator who looks at it."""
        c = self.some()
        if c.perhaps or c.uploads >= 4:
            return
        c.uploads += 1
        key, replace = self.key(c), self.rnd.random() < 0.4
        records = [h.delete(c.name, "KEY")] if replace else []
        a = self.ask(self.p.signed_update(key, records + [h.add(c.name, "KEY", key.text)]))
        self.note_told("upload", a)
        if a is None or a.rcode != "NOERROR":
            return
        verb = self.rnd.choice(("approve", "approve", "approve", "reject", "forget"))
        done = self.order("parent " + verb, child=c.name, what=key.fingerprint)
        if verb == "approve":
            after = [key] if replace else c.trusted + [key]
            if done is None:
                self.blur(c, after)
            elif done:
                c.trusted = after

    def keystate(self):
        c = self.some()
        if c.trusted and not c.is_contested and c.may != {frozenset()}:
            try:
                a = self.p.keystate(self.rnd.choice(c.trusted), tcp=True)
            except LOST:
                a = None
            self.count("keystate")
            if a is not None and a.rcode == "NOERROR" and a.state != h.STATE["TRUSTED"]:
                self.problem("a trusted key is not", c.name, a)

    # --- operators and others ---

    def lock_it(self):
        c = self.rnd.random() < 0.7 and self.some(is_locked=True) or self.some()
        lock = not c.is_locked
        done = self.order("parent lock" if lock else "parent unlock", child=c.name, **({"why": "soak"} if lock else {}))
        c.is_locked = lock if done else None if done is None else c.is_locked

    def force(self):
        c = self.some()
        records = self.content(c.name)
        done = self.order("parent set", child=c.name, how="force", records="\n".join(f"{o} 300 {t} {x}" for o, t, x in records))
        new = frozenset(plain(*r) for r in records)
        if done is None or (done and c.is_contested):
            c.may.add(new)
        elif done:
            c.may = {new}
        if done is not False:
            c.waits = set()

    def judge(self):
        c = self.some(proposes=True)
        try:
            pending = self.p.show(c.name).get("pending")
        except (AssertionError, *LOST):
            return
        if pending is None:
            return
        new = of_lines(pending["wanted"])
        if c.waits and new not in c.waits:
            self.problem("waits, and nobody asked for it", c.name)
        verb = self.rnd.choice(("approve", "reject"))
        done = self.order("parent " + verb, child=c.name, what=pending["digest"])
        if verb == "approve" and done is not False:
            c.may = {new} if done and not c.is_contested else c.may | {new}
        if done:
            c.waits = set()

    def others(self):
        """Somebody else changes the zone: a delegation, or takes it out."""
        c = self.some()
        if self.primary.proc is None:
            return
        goes = self.rnd.random() < 0.15 and not c.proposes
        records = [] if goes else self.content(c.name)
        lines = [f"del {x}" for x in (c.name, *(f"ns{n}.{c.name}" for n in range(3)))]
        # who changes what is not published yet competes with us
        try:
            quiet = c.is_sure() and self.p.show(c.name)["published"]
        except (AssertionError, *LOST):
            quiet = False
        try:
            self.primary.nsupdate("\n".join(lines + [f"add {o} 300 {t} {x}" for o, t, x in records]))
        except AssertionError:
            quiet = False
        new = frozenset(plain(*r) for r in records)
        c.may = {new} if quiet else c.may | {new}
        c.is_contested = c.is_littered = True
        if goes:
            self.blur(c, [])
            c.waits = set()
        self.count("removed by others" if goes else "changed by others")

    def primary_sleeps(self):
        if self.primary.proc is not None:
            self.primary.stop()
        else:
            self.primary.start()
        self.count("primary stopped or started")

    def reload(self):
        r = self.rnd
        h.wait_for(self.p.ready, message="ready: before that SIGHUP ends it")
        self.p.limits.update(requests_per_s=r.choice((100000, 5000)), tcp_connections=r.choice((200, 512)),
                             tcp_per_client=r.choice((40, 60)), verify_in_flight=r.choice((16, 512)),
                             scans_in_flight=r.choice((4, 500)), signed_refusals_per_s=r.choice((0, 10, 10000)))
        self.p.configure()
        for _ in range(r.choice((1, 1, 4))):
            self.p.proc.send_signal(1)
        self.count("reloads")

    def scan(self):
        self.order("parent scan", child=self.some().name)

    def read_zone(self):
        self.order("parent import", **({"how": "force"} if self.rnd.random() < 0.5 else {}))

    def kill(self):
        """While orders and questions are under way."""
        crowd = self.rnd.sample(self.children, 8)
        threads = [threading.Thread(target=lambda part=part: [self.update(c) for c in part]) for part in (crowd[:4], crowd[4:])]
        for t in threads:
            t.start()
        time.sleep(self.rnd.choice((0.001, 0.01, 0.03, 0.1)))
        self.alive()
        self.p.kill9()
        for t in threads:
            t.join()
        self.p.start(wait=False)
        if self.rnd.random() < 0.8:
            h.wait_for(self.p.ready, message="ready after a kill")
        self.count("killed")

    # --- company ---

    def nuisance(self):
        r = random.Random(self.seed + 2)
        held = []
        where = (self.p.addr, self.p.port)
        while not self.over.is_set():
            if self.quiet.is_set():
                while held:
                    held.pop().close()
                self.over.wait(0.02)
                continue
            try:
                s = socket.create_connection(where, 2, (f"127.8.0.{r.randrange(1, 250)}", 0))
                s.sendall(r.choice((b"", b"\0", b"\0\x20" + r.randbytes(20), b"\xff\xff" + r.randbytes(3000), r.randbytes(500))))
                held.append(s)
                if len(held) > 40:
                    held.pop(r.randrange(len(held))).close()
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as u:
                    u.sendto(r.randbytes(r.randrange(1, 600)), where)
                    if self.replays:
                        w = bytearray(r.choice(self.replays[-50:]))
                        w[r.randrange(len(w))] ^= 1 << r.randrange(8)
                        if w != self.replays[-1]:
                            u.sendto(w, where)
                self.count("nonsense")
            except OSError:
                pass
            self.over.wait(0.005)

    def flood(self):
        r = random.Random(self.seed + 3)
        while not self.over.is_set():
            if not self.quiet.is_set():
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as u:
                    for _ in range(50):
                        name = r.choice((f"c{r.randrange(CHILDREN)}.example.", "nobody.example.", "example.", "a.c1.example."))
                        q = h.message(h.NOTIFY, [(name, r.choice(("CDS", "CSYNC", "SOA")), h.IN)], flags=0x0400)
                        try:
                            u.sendto(q, (self.p.addr, self.p.port))
                        except OSError:
                            pass
                self.count("floods")
            self.over.wait(0.05)

    # --- rounds ---

    WORK = (("update", 30), ("bad_update", 10), ("replay", 4), ("rollover", 5), ("upload", 4), ("keystate", 6), ("lock_it", 3),
            ("force", 3), ("judge", 6), ("others", 6), ("primary_sleeps", 0.5), ("reload", 1), ("scan", 2), ("read_zone", 1),
            ("kill", 0.6))

    def alive(self):
        if self.p.proc is not None and self.p.proc.poll() is not None:
            raise AssertionError(f"parentd ended ({self.p.proc.returncode}), seed {self.seed}: " + self.p.log_text()[-4000:])

    def storm(self):
        end = time.monotonic() + ROUND_S
        verbs, weights = zip(*self.WORK)
        while time.monotonic() < end and not self.problems:
            getattr(self, self.rnd.choices(verbs, weights)[0])()
            self.alive()

    def in_zone(self):
        out = {c.name: set() for c in self.children}
        for owner, rdtype, text in self.primary.axfr():
            cut = ".".join(owner.split(".")[-3:])
            if cut in out and rdtype in ("NS", "DS", "A", "AAAA"):
                out[cut].add(plain(owner, rdtype, text))
        for c in self.children:
            if c.is_littered:  # who loses against us leaves glue behind that parentd never knew; it is at no server, and ignored
                hosts = {x for _, t, x in out[c.name] if t == "NS"}
                out[c.name] = {r for r in out[c.name] if r[1] not in ("A", "AAAA") or r[0] in hosts}
        return {name: frozenset(x) for name, x in out.items()}

    def is_settled(self):
        self.alive()
        if self.p.ctl("parent children", state="unpublished")["rows"]:
            return False
        zone = self.p.ctl("parent list")[0]
        if zone["being_read"] or zone.get("serial") != self.primary.serial():
            return False
        self.shown = {c.name: self.p.show(c.name) for c in self.children}
        self.zone = self.in_zone()
        return all(self.zone[n] == of_lines(s["delegation"]) for n, s in self.shown.items())

    def settle(self):
        if self.primary.proc is None:
            self.primary.start()
        h.wait_for(self.p.ready, message="ready")
        try:
            h.wait_for(self.is_settled, PEACE_S, 0.2, f"peace, seed {self.seed}")
        except AssertionError:
            for n, s in getattr(self, "shown", {}).items():
                if self.zone[n] != of_lines(s["delegation"]):
                    print("books and zone differ:", n, s, sorted(self.zone[n]))
            print(self.p.ctl("parent children", state="unpublished"), self.p.ctl("parent list"), self.p.ctl("parent backends"), self.primary.serial())
            raise

    def compare(self, c):
        shown = self.shown[c.name]
        have = of_lines(shown["delegation"])
        if have not in c.may:
            self.problem("stands, and may not", c.name, sorted(have), [sorted(m) for m in c.may])
        trusted = {k["fingerprint"] for k in shown["keys"] if k["state"].lower() == "trusted"}
        known = {k.fingerprint: k for k in c.trusted + c.perhaps}
        if not {k.fingerprint for k in c.trusted} <= trusted:
            self.problem("a trusted key has vanished", c.name, [k.tag for k in c.trusted], shown["keys"])
        if not trusted <= set(known):
            self.problem("a key is trusted that nobody trusts", c.name, shown["keys"])
        if c.is_locked is not None and c.is_locked != shown["locked"]:
            self.problem("lock", c.name, c.is_locked)
        if shown["gone"] != (not have):
            self.problem("gone", c.name, shown)
        wants = of_lines(shown["pending"]["wanted"]) if "pending" in shown else None
        if wants is not None and c.waits and wants not in c.waits:
            self.problem("waits, and nobody asked for it", c.name)
        c.may, c.trusted, c.perhaps, c.is_locked = {have}, [known[f] for f in trusted if f in known], [], shown["locked"]
        c.waits, c.is_contested = {wants} if wants is not None else set(), False

    def audit(self):
        """Whole, and from each record to the next."""
        while True:
            v = self.p.ctl("parent verify", **({"from": self.seq, "link": self.link} if self.seq > 1 else {}))
            for a in self.records(self.seq, v["to"]):
                if a["verdict"] in ("accepted", "imported"):
                    before, after = of_lines(a["before"]), of_lines(a["after"])
                    if before != self.stands[a["child"]]:
                        self.problem("a change that the trail does not know", a, sorted(self.stands[a["child"]]))
                    self.stands[a["child"]] = after
                self.count("trail: " + a["verdict"])
            self.seq, self.link = v["to"] + 1, v["link"]
            if not v["more"]:
                break
        for name, s in self.shown.items():
            if self.stands[name] != of_lines(s["delegation"]):
                self.problem("the trail ends elsewhere", name, sorted(self.stands[name]), s["delegation"])

    def records(self, at, last):
        while at <= last:
            answer = self.p.ctl("parent audit", **{"from": at})
            for a in answer["rows"]:
                if at <= a["seq"] <= last:
                    yield a
            if "next" not in answer:
                break
            at = answer["next"]

    def weigh(self):
        pid = self.p.proc.pid

        def few():
            self.fds = len(os.listdir(f"/proc/{pid}/fd"))
            return self.fds < DESCRIPTORS
        h.wait_for(few, message=f"descriptors: {getattr(self, 'fds', None)}")
        with open(f"/proc/{pid}/status") as f:
            kib = int(next(x for x in f if x.startswith("RssAnon")).split()[1])
        assert kib < MEMORY_KIB, kib
        self.counts["peak KiB"] = max(self.counts.get("peak KiB", 0), kib)
        self.counts["last KiB"], self.counts["descriptors"] = kib, self.fds

    def peace(self):
        self.quiet.set()
        self.settle()
        for c in self.children:
            self.compare(c)
        self.audit()
        self.weigh()
        for c in self.children:
            if not c.trusted:
                self.comes_back(c)
        self.count("rounds")
        self.quiet.clear()

    def comes_back(self, c):
        """A child without keys (taken out, and perhaps in again) gets one, once it is delegated: by an operator."""
        if c.may == {frozenset()}:
            if self.rnd.random() < 0.7:
                self.others_add(c)
            return
        key = self.key(c)
        a = self.ask(self.p.signed_update(key, [h.add(c.name, "KEY", key.text)]))
        if a is not None and a.rcode == "NOERROR" and self.order("parent approve", child=c.name, what=key.fingerprint):
            c.trusted = [key]
            self.count("came back")

    def others_add(self, c):
        records = self.content(c.name)
        self.primary.nsupdate("\n".join(f"add {o} 300 {t} {x}" for o, t, x in records))
        c.may, c.is_contested = {frozenset(plain(*r) for r in records)}, True

    def run(self, seconds):
        company = [threading.Thread(target=f, daemon=True) for f in (self.nuisance, self.flood)]
        for t in company:
            t.start()
        end = time.monotonic() + seconds
        try:
            while time.monotonic() < end and not self.problems:
                self.storm()
                if not self.problems:
                    self.peace()
            assert not self.problems, (self.seed, self.problems[:5])
        finally:
            self.over.set()
            for t in company:
                t.join(10)
        return self.counts

    def close(self):
        try:
            self.p.stop()
        finally:
            self.primary.stop()


def soak(seconds, seed, kind="bind"):
    base = tempfile.mkdtemp(prefix="prs")
    story = None
    try:
        story = Soak(base, seed, kind)
        return story.run(seconds)
    finally:
        try:
            if story is not None:
                story.close()
        finally:
            if os.environ.get("PRT_KEEP") is None:
                shutil.rmtree(base, ignore_errors=True)
            else:
                print(base)


if __name__ == "__main__":
    SEED = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(1 << 30)
    print("seed", SEED, flush=True)
    for k, v in sorted(soak(float(sys.argv[1]), SEED, sys.argv[3] if len(sys.argv) > 3 else "bind").items()):
        print(f"{k:40} {v}")
