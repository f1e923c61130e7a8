# SPDX-License-Identifier: BSD-2-Clause
"""Several parentd on one parent, with their books in one PostgreSQL: what one knows all know, budgets and the memory of
messages are shared, the trail is one; processes and the server are killed under load and nothing acknowledged is lost.
And the backend that shows delegations as tables."""

import random
import threading
import time

import pytest

import parent as h
from pg import postgres  # noqa: F401, the fixture

REFUSED, BADSIG = "REFUSED", "NOTAUTH"


class Pair:
    """Two daemons, a and b: the same receiver, the same store."""

    SETTINGS = "sig0-skew = 0;"

    def __init__(self, postgres, servers, base, count=2, **kw):
        postgres.fresh()
        self.pg, self.base = postgres, base
        self.conn = postgres.conn_file(f"{base}/conn")
        self.all = []
        for n in range(count):
            p = h.Parentd(base, name=f"p{n}", settings=self.SETTINGS, store=f'store = "postgresql"; store-path = "{self.conn}";', **kw)
            if n > 0:
                p.key, p.key_path = self.all[0].key, self.all[0].key_path
                p.configure()
            self.all.append(servers(p))
        for p in self.all:
            p.start()
        self.a, self.b = self.all[:2]

    def children(self, *names):
        """At a; b has heard of them."""
        keys = [h.ChildKey(name) for name in names]
        for key in keys:
            records = [f"{key.name} 300 NS ns.one.test.", f"{key.name} 300 NS ns.two.test."]
            self.a.add_child(key.name, records=records, keys=[key])
        for key in keys:
            h.wait_for(lambda: self.b.keystate(key).state == h.STATE["TRUSTED"], message="b to hear of the child")
        return keys

    def child(self):
        return self.children(h.CHILD)[0]


@pytest.fixture
def pair(postgres, servers, base):
    return Pair(postgres, servers, base)


def asked(p, command, **args):
    """Until it is answered: a reader whose connection the server has closed says so once."""
    return h.wait_for(lambda: p.ctl(command, raw=True, **args).get("data"), message=command)


def audit(p, child=None):
    """All of it, in order."""
    rows, at = [], 1
    while at:
        page = asked(p, "parent audit", child=child or "", **{"from": str(at)})
        rows += page["rows"]
        at = page.get("next")
    return rows


def verified(p):
    """The trail is whole; how many records."""
    at, link, count = 1, "", 0
    while True:
        r = asked(p, "parent verify", link=link, **{"from": str(at)})
        count += r["followed"]
        if not r["more"]:
            return count
        at, link = r["to"] + 1, r["link"]


def ns(n):
    return [f"ns{n}.one.test.", "ns.two.test."]


def accepted(p, child):
    return [r for r in audit(p, child) if r["verdict"] == "accepted"]


# --- what one knows, all know -----------------------------------------------------------------------------------------


def test_a_change_at_one_is_seen_at_the_other(pair):
    key = pair.child()
    assert pair.a.update(key, h.replace_ns(h.CHILD, ns(1))).rcode == "NOERROR"
    assert pair.b.ns() == sorted(ns(1))
    assert pair.b.update(key, h.replace_ns(h.CHILD, ns(2))).rcode == "NOERROR"
    assert pair.a.ns() == sorted(ns(2))


def test_a_key_uploaded_at_one_and_approved_at_the_other_is_trusted_at_both(pair):
    pair.a.add_child()
    key = h.ChildKey()
    assert pair.a.upload(key).rcode == "NOERROR"
    h.wait_for(lambda: pair.b.keystate(key).state == h.STATE["BOOTSTRAP_MANUAL"], message="b to hear of the child")
    pair.b.ctl("parent approve", child=h.CHILD, what=key.fingerprint)
    assert pair.a.keystate(key).state == pair.b.keystate(key).state == h.STATE["TRUSTED"]


def test_a_lock_at_one_holds_at_the_other(pair):
    key = pair.child()
    pair.a.ctl("parent lock", child=h.CHILD, why="asked by the registrant")
    a = pair.b.update(key, h.replace_ns(h.CHILD, ns(1)))
    assert a.rcode == REFUSED and h.EDE["LOCKED"] in a.ede_codes
    pair.b.ctl("parent unlock", child=h.CHILD)
    assert pair.a.update(key, h.replace_ns(h.CHILD, ns(1))).rcode == "NOERROR"


def test_a_message_accepted_by_one_is_a_replay_at_the_other(pair):
    key = pair.child()
    first = pair.a.signed_update(key, h.replace_ns(h.CHILD, ns(1)))
    assert pair.a.ask(first).rcode == "NOERROR"
    assert pair.a.update(key, h.replace_ns(h.CHILD, ns(2))).rcode == "NOERROR"
    a = pair.b.ask(first, source="127.9.9.9")
    assert a.rcode == BADSIG and h.EDE["REPLAY"] in a.ede_codes, a
    assert pair.b.ns() == sorted(ns(2))


def test_a_retransmission_to_the_other_one_is_answered_again_and_changes_nothing(pair):
    key = pair.child()
    first = pair.a.signed_update(key, h.replace_ns(h.CHILD, ns(1)))
    assert pair.a.ask(first).rcode == "NOERROR"
    count = verified(pair.a)
    assert pair.b.ask(first).rcode == "NOERROR"
    assert verified(pair.b) == count


def test_one_message_sent_to_both_at_once_is_done_once(pair):
    key = pair.child()
    for n in range(20):
        octets = pair.a.signed_update(key, h.replace_ns(h.CHILD, ns(n)))
        answers = []
        threads = [threading.Thread(target=lambda p=p, s=s: answers.append(p.ask(octets, source=s)))
                   for p, s in ((pair.a, "127.9.9.1"), (pair.b, "127.9.9.2"))]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert sorted(a.rcode for a in answers) == sorted(["NOERROR", BADSIG]), answers
    assert len(accepted(pair.a, h.CHILD)) == 20


def test_the_budget_of_changes_is_one_for_all(postgres, servers, base):
    pair = Pair(postgres, servers, base, policy=dict(changes_per_day=4))
    key = pair.child()
    answers = [pair.all[n % 2].update(key, h.replace_ns(h.CHILD, ns(n))) for n in range(8)]
    before = len(accepted(pair.a, h.CHILD))
    granted = [a.rcode for a in answers]
    assert granted[0] == "NOERROR" and REFUSED in granted
    assert before <= 4
    for p in pair.all:
        assert p.update(key, h.replace_ns(h.CHILD, ns(9))).rcode == REFUSED
    assert len(accepted(pair.b, h.CHILD)) == before


# --- load -------------------------------------------------------------------------------------------------------------


class Load:
    """Children in threads: each sends one UPDATE after the other, to whichever parentd by chance, and remembers what it
    was told. The number in the name server's name says which UPDATE it was. A child has room for 32 messages that could
    be replayed: signatures are short-lived, and each thread is many children in turn."""

    def __init__(self, pair, threads=6, each=12, seed=1):
        self.pair, self.stop, self.errors = pair, False, []
        keys = pair.children(*(f"c{n}.example." for n in range(threads * each)))
        self.acked = {k.name: [] for k in keys}
        self.sent = {k.name: 0 for k in keys}
        self.told = [0] * threads
        self.threads = [threading.Thread(target=self.run, args=(n, keys[n::threads], random.Random(seed * 1000 + n)))
                        for n in range(threads)]
        for t in self.threads:
            t.start()

    def run(self, number, keys, rng):
        while not self.stop:
            key = keys[rng.randrange(len(keys))]
            n = self.sent[key.name] = self.sent[key.name] + 1
            octets = self.pair.a.signed_update(key, h.replace_ns(key.name, ns(n)), sign=dict(expiration=2))
            try:
                a = rng.choice(self.pair.all).ask(octets, timeout=15)
            except (OSError, EOFError):
                time.sleep(0.02)  # the daemon is down
                continue
            if a is None or a.rcode == "SERVFAIL" or h.EDE["BAD_TIME"] in a.ede_codes:
                continue
            if any("messages within the validity" in text for _, text in a.ede):
                continue
            if a.rcode != "NOERROR":
                self.errors.append(a)
                return
            self.acked[key.name].append(n)
            self.told[number] += 1

    def wait_for(self, more):
        """Each thread is told so many times more that its change was accepted."""
        want = [n + more for n in self.told]
        h.wait_for(lambda: self.errors or all(n >= w for n, w in zip(self.told, want)), timeout=60,
                   message=f"{more} more UPDATEs of each thread")
        assert not self.errors, self.errors

    def end(self):
        self.stop = True
        for t in self.threads:
            t.join(60)
            assert not t.is_alive()
        assert not self.errors, self.errors

    def check(self):
        """Nothing acknowledged is lost, nothing was done twice, the trail is whole and the same at all."""
        counts = {verified(p) for p in self.pair.all}
        assert len(counts) == 1
        p = self.pair.all[0]
        for name, acked in self.acked.items():
            did = [next(int(line.split("ns")[-1].split(".")[0]) for line in r["after"] if ".one.test." in line)
                   for r in accepted(p, name)]
            assert len(did) == len(set(did)), f"{name}: done twice"
            assert not set(acked) - set(did), f"{name}: acknowledged and lost"
            if did:
                assert {x.ns(name)[1] for x in self.pair.all} == {f"ns{did[-1]}.one.test."}


@pytest.fixture
def load(pair):
    load = Load(pair)
    yield load
    load.stop = True
    for t in load.threads:
        t.join(60)


def test_both_at_once_make_one_trail(load):
    load.wait_for(100)
    load.end()
    load.check()


def test_parentd_killed_under_load_loses_nothing_that_was_acknowledged(load):
    for n in range(4):
        load.wait_for(20)
        victim = load.pair.all[n % 2]
        victim.kill9()
        load.wait_for(1)
        victim.start()
    load.wait_for(20)
    load.end()
    load.check()


def test_postgresql_killed_under_load_loses_nothing_that_was_acknowledged(load):
    for _ in range(4):
        load.wait_for(20)
        load.pair.pg.kill()
        load.pair.pg.start()
    load.wait_for(20)
    load.end()
    load.check()


def test_postgresql_stopped_for_a_while_is_a_failure_that_is_told_and_passes(pair):
    key = pair.child()
    pair.pg.stop()
    try:
        for p in pair.all:
            a = p.update(key, h.replace_ns(h.CHILD, ns(1)))
            assert a is None or a.rcode == "SERVFAIL", a
            assert p.ctl("ping", raw=True)["ok"]  # the loop does not wait for it
    finally:
        pair.pg.start()
    for n, p in enumerate(pair.all):
        h.wait_for(lambda: p.update(key, h.replace_ns(h.CHILD, ns(2 + n))).rcode == "NOERROR", message="it to work again")
    assert pair.a.ns() == sorted(ns(3))
    verified(pair.a)


# --- the tables -------------------------------------------------------------------------------------------------------


def table(pg, child=h.CHILD):
    return sorted(r[0] for r in pg.sql(f"SELECT rdata FROM msproto_delegation WHERE child = '{child}' AND type = 'NS'"))


@pytest.fixture
def tables(postgres, servers, base):
    """Two daemons that show their delegations as tables, in the same database here."""
    path = postgres.conn_file(f"{base}/tables")
    return Pair(postgres, servers, base, parent_settings=f'backends = ( {{ name = "table"; kind = "sql"; path = "{path}"; '
                f'retry = "1s"; retry-max = "1s"; }} );')


def has_tables(pg):
    return pg.sql("SELECT to_regclass('msproto_delegation')")[0][0] != ""


def test_the_tables_show_what_is_registered(tables):
    key = tables.child()
    assert tables.a.update(key, h.replace_ns(h.CHILD, ns(1))).rcode == "NOERROR"
    h.wait_for(lambda: has_tables(tables.pg) and table(tables.pg) == sorted(ns(1)), message="the tables to show it")
    assert tables.b.update(key, h.replace_ns(h.CHILD, ns(2))).rcode == "NOERROR"
    h.wait_for(lambda: table(tables.pg) == sorted(ns(2)), message="the tables to show the other's")
    h.wait_for(lambda: tables.a.show()["published"] and tables.b.show()["published"], message="it to be known as published")


def test_the_other_one_goes_on_with_the_tables_when_the_first_is_killed(tables):
    key = tables.child()
    for n, p in enumerate([tables.a, tables.b]):
        assert p.update(key, h.replace_ns(h.CHILD, ns(2 * n))).rcode == "NOERROR"
        h.wait_for(lambda: has_tables(tables.pg) and table(tables.pg) == sorted(ns(2 * n)), message="the tables to show it")
        p.kill9()
        other = tables.all[1 - n]
        assert other.update(key, h.replace_ns(h.CHILD, ns(2 * n + 1))).rcode == "NOERROR"
        h.wait_for(lambda: table(tables.pg) == sorted(ns(2 * n + 1)), message="the other one to do it")
        p.start()


def test_the_tables_lose_nothing_and_do_nothing_twice_when_the_server_is_killed(tables):
    load = Load(tables)
    try:
        for _ in range(3):
            load.wait_for(3)
            tables.pg.kill()
            tables.pg.start()
        load.wait_for(3)
    finally:
        load.stop = True
    load.end()
    load.check()
    for name in (name for name, acked in load.acked.items() if acked):
        h.wait_for(lambda: table(tables.pg, name) == tables.a.ns(name), message=f"the tables to show {name}")
    # The journal, carried out from the beginning, gives the table.
    rows = set()
    for action, *row in tables.pg.sql("SELECT action, child, owner, type, ttl, rdata FROM msproto_delegation_change "
                                      "ORDER BY change"):
        row = tuple(row)
        assert (row in rows) == (action == "delete")
        rows ^= {row}
    assert rows == {tuple(r) for r in tables.pg.sql("SELECT child, owner, type, ttl, rdata FROM msproto_delegation")}
