# SPDX-License-Identifier: BSD-2-Clause
"""Everything may die or vanish at any moment: the lab converges again, and no validating resolver notices."""
import os
import shutil
import random
import signal

import pytest

from lab import net
from lab.hosts import wait_for
from lab.topology import HOSTS, PROVIDERS, ZONE, identity

VICTIMS = ("a-comb", "b-comb", "a-msa", "b-msa", "a-sign", "b-sign")


def serials(lab):
    out = {}
    for p in PROVIDERS:
        soa = lab.served(f"{p}-ns", "SOA")
        out[f"{p}-ns"] = int(soa[0].split()[2])
        shown = lab.msctl(f"{p}-comb", "combiner", "show", ZONE)
        if "serial" in shown:
            out[f"{p}-comb"] = shown["serial"]
    return out


def ahead_or_equal(new, old):
    return (new - old) % 2**32 < 2**31


def instructed(lab, p):
    shown = lab.msctl(f"{p}-comb", "combiner", "show", ZONE)
    return shown.get("contributions"), shown


def without_key(contributions):
    """Whoever has lost its key towards the parent contributes another one."""
    return sorted((r for r in contributions if r["type"] != "KEY"), key=lambda r: (r["originator"], r["type"]))


def converged(lab, marker):
    for p in PROVIDERS:
        texts = lab.served(f"{p}-ns", "TXT", f"marker.{ZONE}")
        if texts != [f'"{marker}"']:
            return False, f"{p}-ns serves {texts}, wanted {marker}"
    bad = [r for r in lab.checks() if not r[1]]
    return not bad, bad[:2]


def asked(lab):
    return sum(c["asked"] for c in lab.prober()["resolvers"].values())


def test_kill_9_ten_times_at_random_moments(lab):
    assert lab.exit == 0, lab.output
    rng = random.Random(20261124)
    order = list(VICTIMS) + rng.choices(VICTIMS, k=4)
    rng.shuffle(order)
    before = serials(lab)
    want = {p: instructed(lab, p)[0] for p in PROVIDERS}
    assert all(want.values())
    for round_no, victim in enumerate(order):
        marker = f"round {round_no}"
        lab.host["owner"].edit(PROVIDERS, [f'marker TXT "{marker}"'])  # a change is under way when the blow falls
        moment = asked(lab) + rng.randrange(60)
        wait_for("a random moment", lambda m=moment: (asked(lab) >= m, asked(lab)), 30)
        lab.host[victim].kill()
        moment = asked(lab) + rng.randrange(100)
        wait_for("a random while", lambda m=moment: (asked(lab) >= m, asked(lab)), 30)
        lab.host[victim].start()
        wait_for(f"round {round_no}: converged after kill -9 of {victim}", lambda m=marker: converged(lab, m), 90, 0.5)
        now = serials(lab)
        assert all(ahead_or_equal(now[h], before[h]) for h in before if h in now), (before, now)
        before = now
        assert {p: instructed(lab, p)[0] for p in PROVIDERS} == want, f"instructions changed when {victim} was killed"
    prober = lab.prober()
    assert prober["bad"] == [] and sum(c["bad"] for c in prober["resolvers"].values()) == 0
    for h in ("resolver", "resolver-b", "resolver-ab"):
        assert lab.host[h].servfails() == []


def health(lab, p, other):
    rows = lab.msctl(f"{p}-msa", "peer", "list")
    rows = rows if isinstance(rows, list) else rows.get("peers", [])
    row = next((r for r in rows if r["identity"] == identity(other)), {})
    return row.get("state"), row.get("health")


def reaches(lab, wanted, p="a", other="b"):
    wait_for(f"{p} sees {other} {wanted}", lambda: (health(lab, p, other)[1] == wanted, health(lab, p, other)), 60, 0.2)


def every_claim_holds_again(lab):
    def holds():
        bad = [r for r in lab.checks() if not r[1]]
        return not bad, bad[:2]
    wait_for("every claim holds again", holds, 60, 0.5)


def union_holds(lab):
    return lab.union_served()[0] and lab.cds_agree()[0]


def test_a_peer_that_vanishes_is_degraded_then_interrupted_and_comes_back(lab):
    reaches(lab, "GREEN")
    net.cut("b-msa", up=False)
    try:
        reaches(lab, "DEGRADED")
        assert union_holds(lab)
        reaches(lab, "INTERRUPTED")
        assert union_holds(lab), "an unreachable peer must change nothing (PROTOCOL F.2 I10)"
    finally:
        net.cut("b-msa", up=True)
    reaches(lab, "GREEN")
    reaches(lab, "GREEN", "b", "a")
    assert union_holds(lab)


@pytest.mark.parametrize("deaf,mute", [("a", "b"), ("b", "a")])
def test_loss_in_one_direction_only_is_noticed_on_both_sides_and_heals(lab, deaf, mute):
    """The mute agent's packets to the deaf one go to a hardware address that nobody has."""
    reaches(lab, "GREEN", deaf, mute)
    net.run("ip", "-n", net.ns(f"{mute}-msa"), "neigh", "replace", HOSTS[f"{deaf}-msa"], "lladdr", "02:00:00:00:00:01", "dev", "eth0",
            "nud", "permanent")
    try:
        reaches(lab, "INTERRUPTED", deaf, mute)
        reaches(lab, "INTERRUPTED", mute, deaf)
        assert union_holds(lab)
    finally:
        net.run("ip", "-n", net.ns(f"{mute}-msa"), "neigh", "del", HOSTS[f"{deaf}-msa"], "dev", "eth0")
    reaches(lab, "GREEN", deaf, mute)
    reaches(lab, "GREEN", mute, deaf)
    assert union_holds(lab)


@pytest.mark.parametrize("p", PROVIDERS)
def test_an_agent_that_lost_its_store_reads_its_combiner_back(lab, p):
    """Foreign keys that sit in the combiner must not be taken for the own signer's, and must stay."""
    agent, want, key_before = lab.host[f"{p}-msa"], instructed(lab, p)[0], lab.agent_key(p)
    agent.kill()
    for f in os.listdir(f"{agent.dir}/state"):
        path = f"{agent.dir}/state/{f}"
        if os.path.isdir(path):  # its keys towards the parent: it makes another one (below)
            shutil.rmtree(path)
        else:
            os.remove(path)
    agent.start()

    def settled():
        shown = lab.msctl(f"{p}-msa", "zone", "show", ZONE)
        whose = {r["owner"] for r in shown.get("keys", [])}
        own = {r["key"] for r in shown.get("keys", []) if r["own"]}
        return shown.get("state") == "in-sync" and len(whose) == 2 and own == {"".join(k.split()[3:]) for k in lab.keys()[p]}, shown
    wait_for("keys are whose they are", settled, 60, 0.3)
    for q in PROVIDERS:
        reaches(lab, "GREEN", q, "b" if q == "a" else "a")
    assert without_key(instructed(lab, p)[0]) == without_key(want)
    with open(agent.log, errors="replace") as f:
        assert "contributed-read-back" in f.read()
    every_claim_holds_again(lab)

    def key_handed_in():
        key, old = lab.agent_key(p), lab.parent_keys()
        with open(agent.log, errors="replace") as f:
            is_too_often = "3 uploads within an hour" in f.read()  # two were for the first keys of both
        return key is not None and key != key_before and (old.get(key) == "TRUSTED" or is_too_often), (key, old)
    wait_for("its new key is trusted, or has to wait for the next hour", key_handed_in, 60, 0.5)
    assert lab.parent_keys()[key_before] == "TRUSTED"  # nobody has taken that one away


def set_ds(lab, rdata):
    """What the TLD says about the zone with B's agent in it."""
    tld, name = lab.host["tld"], identity("b")
    tld.knotc("zone-begin", "example.")
    tld.knotc("zone-unset", "example.", name, "DS", check=False)
    for r in rdata:
        tld.knotc("zone-set", "example.", name, "10", "DS", *r.split())
    tld.knotc("zone-commit", "example.")


@pytest.mark.parametrize("verdict,ds", [("bogus", ["12345 13 2 " + "ab" * 32]), ("insecure", [])])
def test_an_agent_whose_records_are_not_secure_is_not_found_and_the_reason_is_told(lab, verdict, ds):
    """PROTOCOL D.2: insecure or bogus is a failure. What was agreed before stays (F.2 I10)."""
    good = lab.host["b-sign"].ds(identity("b"))
    set_ds(lab, ds)
    try:
        lab.host["a-msa"].kill()  # its agent starts afresh, with nothing in its resolver's cache
        lab.host["a-msa"].start()

        def told():
            rows = lab.msctl("a-msa", "peer", "list")
            row = next((r for r in rows if isinstance(r, dict) and r.get("identity") == identity("b")), {}) if isinstance(rows, list) else {}
            return row.get("state") == "NEEDED" and verdict in row.get("discovery_error", ""), row or rows
        wait_for(f"A says {verdict}", told, 60, 0.3)
        assert union_holds(lab)
    finally:
        set_ds(lab, good)
    reaches(lab, "GREEN", "a", "b")
    reaches(lab, "GREEN", "b", "a")
    assert union_holds(lab)


@pytest.mark.parametrize("host", ["a-comb", "b-comb", "a-msa", "b-msa"])
def test_sighup_reloads_and_nothing_is_lost(lab, host):
    p = host[0]
    before, want = serials(lab), instructed(lab, p)[0]
    with open(lab.host[host].log, errors="replace") as f:
        seen = f.read().count("daemon-reload")
    os.kill(lab.host[host].pid(), signal.SIGHUP)

    def done():
        with open(lab.host[host].log, errors="replace") as f:
            return f.read().count("daemon-reload") > seen, "no daemon-reload in its log"
    wait_for(f"{host} reloaded", done, 30)
    every_claim_holds_again(lab)
    assert instructed(lab, p)[0] == want
    assert all(ahead_or_equal(serials(lab)[h], before[h]) for h in before)


def test_after_all_this_every_claim_still_holds(lab):
    every_claim_holds_again(lab)
