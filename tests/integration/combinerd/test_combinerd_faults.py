# SPDX-License-Identifier: BSD-2-Clause
"""
Something goes wrong at every single operation on combinerd's files in a short life of a zone: first transfer, instructions, an
incremental change, a whole new zone. After a restart: what was acknowledged is there, no serial went back, no serial names two
contents, what is served is the owner's last version with the instructions.
"""

import concurrent.futures
import os
import shutil
import tempfile

import dns.exception
import dns.name
import pytest

import cmbharness as h
import cmbmodel as m

FAULTIO = os.path.join(h.BUILD, "tests/libfaultio.so")
EVERY = int(os.environ.get("MSP_FAULT_EVERY", "1"))  # look at each EVERY-th operation only
WORKERS = 2
DISK_ERRORS = ("enospc", "eio", "erofs")
PATIENCE = 20


def ahead(a, b):
    return a == b or (a - b) & 0xffffffff < 1 << 31


class Died(Exception):
    """The daemon, as the fault wanted."""


class Wrong(Exception):
    """A promise was broken."""


class Life:
    """One run. What a client may rely on is written down as it happens."""

    def __init__(self, fault):
        self.disk_stays_bad = fault.split(":")[0] in DISK_ERRORS
        self.patience = 1.5 if self.disk_stays_bad else PATIENCE
        self.base = tempfile.mkdtemp(prefix="cmf")
        self.primary = m.Primary([m.record(x) for x in h.zone_text(1).splitlines()[1:]] +
                                 [m.record(f"n{i}.{h.ZONE} 60 IN A 192.0.2.{i % 250}") for i in range(60)]).start()
        self.comb = h.Combinerd(self.base, [self.primary.where()], settings="notify-tries = 1;", zone_settings="coalesce-ms = 0;")
        self.log = os.path.join(self.base, "ops")
        self.fault = fault
        self.acked, self.maybe = set(), set()
        self.seen = {}  # serial -> content

    def close(self):
        self.comb.kill9()
        self.primary.stop()
        shutil.rmtree(self.base, ignore_errors=True)

    def spawn(self, fault):
        env = dict(os.environ)
        if fault:
            env.update(LD_PRELOAD=FAULTIO, FAULT=fault, FAULT_LOG=self.log, FAULT_DIR=os.path.join(self.comb.dir, "state"))
            env["ASAN_OPTIONS"] = "verify_asan_link_order=0"  # for builds with it: its runtime comes second, which does no harm here
        self.comb.spawn(h.COMBINERD, "-c", self.comb.conf, env=env)

    def alive(self):
        if self.comb.proc.poll() is not None:
            raise Died

    def until(self, what, patience=None):
        def check():
            self.alive()
            return what()
        return h.wait_for(check, patience or self.patience, every=0.01)

    def look(self):
        """The content served, under its serial."""
        records = self.comb.axfr()
        serial, content = h.serial_of(records), frozenset(r for r in records if r[2] != "SOA")
        if self.seen.setdefault(serial, content) != content:
            raise Wrong(f"two contents with serial {serial}")
        return serial, content

    def instruct(self, *change):
        self.alive()
        key = change[0], change[-1]
        self.maybe.add(key)  # until its answer is here, and for good without one
        try:
            ok = self.comb.update(change).rcode() == 0
        except (OSError, EOFError, dns.exception.DNSException):
            self.until(lambda: False, 1)
        if ok:
            self.acked.add(key)
        return ok

    def change(self, *args, **kw):
        self.primary.change(*args, **kw)
        self.tell()

    def tell(self):
        try:
            self.primary.notify(self.comb.where(), 1)
        except (OSError, dns.exception.DNSException):
            self.alive()

    def has_owner(self, content):
        return h.content(content) == h.content(m.wire(self.primary.records()))

    def live(self):
        """The life that the fault falls into."""
        self.until(lambda: self.comb.ctl("ping", raw=True)["ok"])
        self.until(lambda: self.comb.soa("msad."))
        self.look()
        self.instruct("add", 10, "NS", "n1.x.test.")
        self.look()
        self.change(add=[m.record(f"new.{h.ZONE} 60 IN A 192.0.2.77")], delete=[m.record(f"n5.{h.ZONE} 60 IN A 192.0.2.5")])
        self.until(lambda: self.has_owner(self.look()[1]))
        self.instruct("add", 10, "NS", "n2.x.test.")
        self.look()
        self.primary.ixfr = False
        self.change(add=[m.record(f"b{i}.{h.ZONE} 60 IN A 192.0.2.1") for i in range(40)])
        self.until(lambda: self.has_owner(self.look()[1]))
        self.instruct("delete", "NS", "n1.x.test.")
        self.look()
        self.comb.signal(15)
        self.comb.join()

    def run(self):
        self.spawn(self.fault)
        try:
            self.live()
        except Died:
            pass
        except AssertionError:  # timed out: with a disk that stays bad nothing new need come
            if not self.disk_stays_bad:
                raise
            self.comb.kill9()
        self.comb.join(5)
        self.patience = PATIENCE

    def names(self, content):
        return {r[3] for r in content if r[0] == h.ZONE and r[2] == "NS"}

    def check_again(self):
        """Started without faults: everything that was promised holds."""
        self.spawn(None)
        self.until(lambda: self.comb.ctl("ping", raw=True)["ok"])
        self.until(lambda: self.comb.soa("msad."))
        first, _ = self.look()
        for s in self.seen:
            assert ahead(first, s), f"serial {first} after {s}"
        self.tell()
        self.until(lambda: self.has_owner(self.look()[1]))
        _, content = self.look()
        served = self.names(content)
        for verb, name in self.acked:
            gone = ("delete", name) in self.acked | self.maybe
            if verb == "add" and not gone:
                assert dns.name.from_text(name).to_wire() in served, f"acknowledged {name} is lost"
            if verb == "delete":
                assert dns.name.from_text(name).to_wire() not in served, f"{name} came back"
        held = {e["type"] for e in self.comb.show()["contributions"]}
        assert held <= {"NS"}
        # and goes on
        assert self.instruct("add", 10, "NS", "n9.x.test.")
        last, _ = self.look()
        assert ahead(last, first) and last != first
        assert self.comb.stop() == 0


def one(fault):
    life = Life(fault)
    try:
        life.run()
        life.check_again()
        return None
    except (AssertionError, Died, Wrong, OSError, dns.exception.DNSException) as e:
        return f"{fault}: {type(e).__name__} {e}; log: {life.comb.log_text()[-1500:]}"
    finally:
        life.close()


@pytest.fixture(scope="module")
def operations():
    """Names of the operations of an undisturbed life."""
    life = Life("log")
    try:
        life.run()
        with open(life.log) as f:
            ops = [line.split() for line in f]
        life.check_again()
    finally:
        life.close()
    assert len(ops) > 40 and {"fdatasync", "pwrite"} <= {o[1] for o in ops}
    return [o[1] for o in ops]


def all_of(faults):
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        problems = [p for p in pool.map(one, faults) if p]
    assert not problems, f"{len(problems)} of {len(faults)}:\n" + "\n".join(problems[:5])


def test_killed_before_each_operation(operations):
    all_of([f"kill:{n}" for n in range(0, len(operations), EVERY)])


def test_killed_in_the_middle_of_each_write(operations):
    all_of([f"torn:{n}" for n, op in enumerate(operations) if "write" in op][::EVERY])


# A disk that turns bad and stays bad: the daemon may end or go on, refuse or serve what it has; the restart, on a good disk,
# must find everything.


@pytest.mark.parametrize("error", DISK_ERRORS)
def test_disk_turns_bad_at_each_operation(operations, error):
    step = max(EVERY, len(operations) // 25)
    all_of([f"{error}:{n}" for n in range(0, len(operations), step)])
