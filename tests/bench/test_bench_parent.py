# SPDX-License-Identifier: BSD-2-Clause
"""The bench's own parts do what they say, on little work: what they count is what the daemon counted."""

import os
import shutil
import tempfile

import pytest

import registry as bench
from intermediates import Process


@pytest.fixture
def base():
    d = tempfile.mkdtemp(prefix="msp-bench-")
    yield d
    for p in list(Process.everything):
        p.stop()
    shutil.rmtree(d, ignore_errors=True)


@pytest.fixture
def keys(base):
    d = os.path.join(base, "keys")
    os.makedirs(d)
    bench.once(base, "keys", bench.CLIENT, "keys", d, 8)
    return d


def test_updates_are_counted_and_all_of_them_stored(base, keys):
    s = bench.Parentd(base, 50, keys)
    s.start()
    r = bench.load(base, s, 0, 50, 200, 20, keys)
    assert (r["done"], r["rcodes"]) == (200, {"0": 200})
    c = s.counters()
    assert (c["updates_accepted"], c["verifications"], c["signatures"]) == (200, 200, 200)
    s.stop()
    shown = dict(line.split() for line in bench.once(base, "show", bench.CHILDREN, "show", s.store, bench.PARENT, 0, 50).splitlines())
    assert len(shown) == 50 and {bench.round_of(d) for d in shown.values()} == {3}


def test_a_flood_of_each_kind(base, keys):
    s = bench.Parentd(base, 20, keys, limits="sync-limit-ms = 0; sweep = 0; verify-per-name-per-s = 5;")
    s.start()
    plan = bench.Plan(True)
    unknown = bench.flood(base, s, "unknown", plan, keys, 2000, 1, 1000)
    assert unknown["sent"] > 0 and unknown["taken"] == unknown["sent"] and unknown["verifications"] == 0
    forged = bench.flood(base, s, "forged", plan, keys, 2000, 1, 1)
    assert 0 < forged["verifications"] <= 5 * 4 and forged["rcodes"]["0"] == 0
    notify = bench.flood(base, s, "notify", plan, keys, 2000, 1, 20)
    assert notify["notifies"] == notify["taken"] and notify["rcodes"]["0"] == notify["answers"]


def test_servers_are_looked_at(base, keys):
    with bench.Farm(base, 20) as farm:
        s = bench.Parentd(base, 20, keys, policy="", dnskey=farm.dnskey, settings=f"probe-port = {farm.port};",
                          limits="sync-limit-ms = 20000; sweep = 0;")
        s.start()
        r = bench.load(base, s, 0, 20, 40, 10, keys, f"dnskey:{farm.dnskey}")
        assert r["rcodes"] == {"0": 40} and s.counters()["checks"] == 40


@pytest.mark.parametrize("kind", [bench.Knot, bench.Bind])
def test_peers_take_the_same_updates(base, kind):
    s = kind(base, 50)
    s.start()
    for turns in (2, 4):  # the second run does not say again what the first has said
        r = bench.load(base, s, 0, 50, 100, 10, f"{bench.KEY}:{bench.SECRET}")
        assert r["rcodes"] == {"0": 100}
        assert s.round == turns and s.ds("c7") == turns - 1


def test_goals_have_a_line_each(base, keys, capsys):
    """Nothing measured: every goal is missed, and says so."""
    out = {n: {"failed": "not measured"} for n in ("openssl", "knot", "bind", "parentd", "checked", "kill9", "attacks", "store",
                                                   "lookup", "scans")}
    missed = bench.report(bench.Plan(True), out, [0])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("goal ")]
    assert missed == len(lines) - 1 and all(line.split()[-1] in ("met", "missed") for line in lines) and len(lines) >= 16
