# SPDX-License-Identifier: BSD-2-Clause
"""Several processes on one set of books in PostgreSQL, killed and left without a server in the middle of it. What each
has been told must be what is in the books: nothing acknowledged is lost, nothing happens twice, no budget and no memory
of messages is shared out twice, and there is one trail without a gap."""

import collections
import os
import random
import signal
import subprocess
import time

import pytest

from pg import Postgres, postgres, program  # noqa: F401, the fixture

MESSAGES, LIMIT = 8, 5  # as in books_pg_main.c
MAIN = program("books_pg_main")


def wait_for(what, timeout=60.0, message=""):
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if what():
            return
        time.sleep(0.02)
    raise AssertionError(f"timed out after {timeout} s: {message}")


class Crowd:
    """Workers on one store, and what they have written."""

    def __init__(self, postgres, tmp, children=20, timeout_ms=5000):
        self.pg, self.tmp, self.children, self.timeout_ms, self.proc, self.number = postgres, tmp, children, timeout_ms, {}, 0
        self.conn = postgres.conn_file(tmp / "conn")

    def start(self):
        self.number += 1
        name = f"w{self.number}"
        with open(self.tmp / (name + ".err"), "wb") as err:
            self.proc[name] = subprocess.Popen([MAIN, self.conn, "work", name, str(self.children), self.log(name),
                                                str(self.timeout_ms)], stderr=err)
        return name

    def log(self, name):
        return str(self.tmp / (name + ".log"))

    def fates(self):
        """(fate, job) of all that were told one."""
        out = []
        for n in range(1, self.number + 1):
            if os.path.exists(self.log(f"w{n}")):
                with open(self.log(f"w{n}")) as f:
                    out += [tuple(line.split()) for line in f.read().splitlines()]
        return out

    def done(self, name):
        try:
            with open(self.log(name)) as f:
                return f.read().count("ok ")
        except FileNotFoundError:
            return 0

    def wait_for_work(self, jobs, names=None):
        """Everybody does so many more."""
        for name in names or list(self.proc):
            want = self.done(name) + jobs
            wait_for(lambda: self.done(name) >= want, message=f"{name} to do {jobs} jobs")

    def kill(self, name):
        p = self.proc.pop(name)
        p.kill()
        p.wait()

    def stop(self):
        for p in self.proc.values():
            p.send_signal(signal.SIGTERM)
        for name, p in self.proc.items():
            assert p.wait(120) == 0, (name, (self.tmp / (name + ".err")).read_text())
        self.proc = {}

    def close(self):
        for p in self.proc.values():
            p.kill()
            p.wait()

    def check(self, killed=0):
        """Books against what was told. killed: processes whose last jobs nobody was told of."""
        r = subprocess.run([MAIN, self.conn, "check"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120)
        assert r.returncode == 0, r.stderr
        lines = [line.split() for line in r.stdout.splitlines()]
        records = [(child, rule, why, who) for word, child, rule, why, who in (x for x in lines if x[0] == "record")]
        children = {x[1]: [int(n) for n in x[2:]] for x in lines if x[0] == "child"}
        due = [x[1] for x in lines if x[0] == "due"]
        last = next(x for x in lines if x[0] == "last")
        assert int(last[1]) == int(last[2]) == len(records)

        happened = collections.Counter(who for _, _, _, who in records)
        assert max(happened.values()) == 1, "a job was done twice"
        fates = self.fates()
        told = collections.Counter(job for _, job in fates)
        assert max(told.values()) == 1, "a job's owner was told twice"
        lost = {job for fate, job in fates if fate == "ok"} - set(happened)
        assert not lost, f"acknowledged and not there: {lost}"
        denied = {job for fate, job in fates if fate != "ok"} & set(happened)
        assert not denied, f"failed and there all the same: {denied}"
        assert len(set(happened) - set(told)) <= killed * 64

        rules = collections.defaultdict(list)
        for child, rule, why, who in records:
            rules[child, rule].append(why)
        for child, (count, seen, changes, due_at) in children.items():
            assert count == len(rules[child, "count"]), "an update was lost"
            messages = rules[child, "message"]
            assert sorted(messages) == sorted(set(messages)) and len(messages) == seen, "a message was accepted twice"
            assert changes == len(rules[child, "change"]) <= LIMIT, "a budget was exceeded"
        assert sorted(due) == sorted(child for child, c in children.items() if c[3] != 0)
        return fates, records


@pytest.fixture
def crowd(postgres, tmp_path):
    postgres.fresh()
    crowd = Crowd(postgres, tmp_path)
    yield crowd
    crowd.close()


def of(fates, fate):
    return sum(1 for f, _ in fates if f == fate)


def test_four_processes_share_one_set_of_books(crowd):
    for _ in range(4):
        crowd.start()
    crowd.wait_for_work(1000)
    crowd.stop()
    fates, records = crowd.check()
    assert {who.split(".")[0] for _, _, _, who in records} == {"w1", "w2", "w3", "w4"}
    # 20 children have 8 messages and 5 changes each, whoever brings them.
    assert of(fates, "ok") == len(records) and of(fates, "EREPLAY") > 0 and of(fates, "ELIMIT") > 0
    assert sum(1 for r in records if r[1] == "message") == 20 * MESSAGES
    assert sum(1 for r in records if r[1] == "change") == 20 * LIMIT
    assert {f for f, _ in fates} == {"ok", "EREPLAY", "ELIMIT"}


def test_processes_killed_under_load_lose_nothing_that_was_acknowledged(crowd):
    crowd.start()
    killed = 0
    for _ in range(6):
        victim = crowd.start()
        crowd.wait_for_work(100, [victim])
        crowd.kill(victim)
        killed += 1
    crowd.wait_for_work(200)
    crowd.stop()
    fates, _ = crowd.check(killed)
    assert {f for f, _ in fates} <= {"ok", "EREPLAY", "ELIMIT"}


def test_a_server_killed_and_started_again_under_load_loses_nothing_that_was_acknowledged(crowd):
    for _ in range(3):
        crowd.start()
    for _ in range(4):
        crowd.wait_for_work(100)
        crowd.pg.kill()
        crowd.pg.start()
    crowd.wait_for_work(100)
    crowd.stop()
    crowd.check()


def test_a_server_that_is_away_for_long_fails_jobs_and_nothing_else(crowd):
    for _ in range(2):
        crowd.start()
    crowd.wait_for_work(100)
    crowd.pg.stop()
    wait_for(lambda: of(crowd.fates(), "ENET") >= 2 * 64, message="jobs to be given up")
    crowd.pg.start()
    crowd.wait_for_work(100)
    crowd.stop()
    crowd.check()


def test_a_server_that_stands_still_for_a_while_loses_nothing(crowd):
    for _ in range(2):
        crowd.start()
    crowd.wait_for_work(100)
    crowd.pg.freeze()
    try:
        end = time.monotonic() + 0.5
        wait_for(lambda: time.monotonic() > end)  # they stand still with it
    finally:
        crowd.pg.thaw()
    crowd.wait_for_work(100)
    crowd.stop()
    crowd.check()


def test_processes_and_server_killed_at_random(crowd):
    rng = random.Random(20261124)
    killed = 0
    for _ in range(3):
        crowd.start()
    for _ in range(8):
        crowd.wait_for_work(rng.randrange(1, 60))
        if rng.random() < 0.5:
            crowd.kill(rng.choice(sorted(crowd.proc)))
            killed += 1
            crowd.start()
        else:
            crowd.pg.kill()
            crowd.pg.start()
    crowd.wait_for_work(20)
    crowd.stop()
    crowd.check(killed)


def test_a_commit_that_is_given_up_here_and_happens_there_happens_once(crowd):
    """Every 50th transaction commits for longer than its client waits: what has become of it is asked too early unless
    that waits for the end of it, and the jobs are done twice unless it is asked."""
    crowd.timeout_ms = 700
    crowd.start()
    crowd.wait_for_work(1)
    crowd.pg.sql("""CREATE SEQUENCE turn; CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN IF nextval('turn') % 50 = 0 THEN PERFORM pg_sleep(3); END IF; RETURN NULL; END $$;
        CREATE CONSTRAINT TRIGGER dawdle AFTER UPDATE ON msproto_store DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW WHEN (NEW.bucket = 'meta' AND NEW.key = 'head') EXECUTE FUNCTION dawdle()""")
    crowd.start()
    wait_for(lambda: int(crowd.pg.sql("SELECT last_value FROM turn")[0][0]) > 100, message="two slow commits")
    crowd.stop()
    crowd.check()


def test_another_server_takes_over_and_has_all_that_was_acknowledged(tmp_path):
    """A standby that acknowledges with the primary, named second in the connection string, is promoted under load."""
    primary, standby = Postgres(), None
    crowd = Crowd(primary, tmp_path)
    try:
        primary.start()
        standby = primary.standby().start()
        primary.sql("ALTER SYSTEM SET synchronous_standby_names = '*'")
        primary.sql("SELECT pg_reload_conf()")
        wait_for(lambda: primary.sql("SELECT sync_state FROM pg_stat_replication") == [["sync"]], message="the standby")
        primary.conn_file(tmp_path / "conn", primary.conninfo.replace(primary.dir, f"{primary.dir},{standby.dir}"))
        for _ in range(2):
            crowd.start()
        crowd.wait_for_work(100)
        primary.kill()
        standby.promote()
        crowd.wait_for_work(100)
        crowd.stop()
        crowd.check()
    finally:
        crowd.close()
        for server in (primary, standby):
            if server:
                server.close()


def hold(crowd, what):
    p = subprocess.Popen([MAIN, crowd.conn, "hold", what], stdout=subprocess.PIPE, text=True)
    crowd.proc[f"hold{p.pid}"] = p
    return p, p.stdout.readline().strip()


def test_one_process_alone_holds_until_it_is_gone(crowd):
    first, said = hold(crowd, "backend")
    assert said == "held"
    assert hold(crowd, "backend")[1] == "EBUSY"
    assert hold(crowd, "sweep")[1] == "held"
    first.kill()
    first.wait()
    wait_for(lambda: hold(crowd, "backend")[1] == "held", message="the lock of a process that was killed")
