# SPDX-License-Identifier: BSD-2-Clause
"""
The parent's side in the lab: parentd before a real Knot primary, children at a real server, validating resolvers that ask
all the while. Every way for a key to become trusted, its life, changes that are made and changes that are not. What counts
is what the primary serves: whoever is trusted makes a change there, whoever is not makes none.
"""
import contextlib
import json
import threading
import time
from collections import Counter

import pytest
from lab import net
from lab.hosts import wait_for
from lab.topology import (BOOT, HOSTS, KIDS_NS, KIDS_NS_2, OPEN, PARENT, PLAIN, PROVIDERS, RESOLVERS, SIGNED, TARGET_PORT, TORN,
                          TTL, ZONE, ns_name)

DS_OF_NOBODY = "12345 13 2 " + "ab" * 32
NS_1, NS_2 = f"NS {KIDS_NS}", f"NS {KIDS_NS_2}"
EXTRA_DS = f"DS {DS_OF_NOBODY}"  # which harms nobody as long as another one fits
NOTIFY = """
import sys, dns.message, dns.query, dns.opcode, dns.flags
m = dns.message.make_query(sys.argv[1], sys.argv[4])
m.set_opcode(dns.opcode.NOTIFY)
m.flags |= dns.flags.AA
print(dns.query.udp(m, sys.argv[2], port=int(sys.argv[3]), timeout=10).rcode())
"""


class Asker(threading.Thread):
    """
    Asks every validating resolver for names below the children and keeps what it must not hear: no answer, or one that is
    secure where it must not be, or insecure. At any time one resolver's cache is empty and the others' are as they are.
    """

    def __init__(self, lab):
        super().__init__(daemon=True)
        self.lab, self.bad, self.rounds, self.over = lab, [], 0, threading.Event()
        self.secure = dict.fromkeys((SIGNED, ZONE), True) | dict.fromkeys((PLAIN, BOOT, OPEN, TORN), False)  # None: either
        self.heard = Counter()  # (resolver, zone, cold, secure) -> answers

    def run(self):
        while not self.over.is_set():
            for i, resolver in enumerate(RESOLVERS):
                self.look(resolver, (self.rounds // 6 + i) % len(RESOLVERS) == 0)
            self.rounds += 1

    def look(self, resolver, cold):
        wanted = dict(self.secure)
        for zone in wanted if cold else ():
            self.lab.host[resolver].control("flush_zone", zone)
        heard = self.lab.ask("owner", "each", HOSTS[resolver], *(f"www.{zone}" for zone in wanted))
        for zone, want in wanted.items():
            r = heard.get(f"www.{zone}", heard)
            good = r.get("rcode") == "NOERROR" and r["rdata"]
            if not good or (want is not None and want == self.secure[zone] and r["ad"] != want):
                self.bad.append((time.strftime("%H:%M:%S"), resolver, zone, "cold" if cold else "warm", want, r))
            self.heard[resolver, zone, cold, r.get("ad")] += 1

    @contextlib.contextmanager
    def becomes(self, zone, secure):
        """What is done here changes whether the zone is secure; afterwards every resolver must say so."""
        self.secure[zone] = None
        yield
        for resolver in RESOLVERS:
            def says(resolver=resolver):
                r = self.lab.ask("owner", "ad", HOSTS[resolver], f"www.{zone}", "A")
                return r.get("rcode") == "NOERROR" and r["ad"] == secure, r
            wait_for(f"{zone} {'secure' if secure else 'insecure'} at {resolver}", says, 60)
        self.secure[zone] = secure

    def all_well(self):
        """Now, from empty caches, and all the while before."""
        for resolver in RESOLVERS:
            self.look(resolver, cold=True)
        assert not self.bad, self.bad[:3]


class Family:
    """The lab's children, from anywhere: msctl acts as them."""

    def __init__(self, lab):
        self.lab, self.kids, self.registry = lab, lab.host["kids"], lab.host["registry"]
        files = [f for f in net.run("ls", self.registry.dir).stdout.split() if f.endswith(".key") and f.startswith("Kupdates")]
        self.receiver = f"{self.registry.dir}/{files[0]}"

    def msctl(self, *args, stdin=None):
        r = self.lab.host["owner"].run(self.lab.program("msctl"), "--json", *args, check=False, input=stdin)
        try:
            return json.loads(r.stdout)
        except ValueError:
            return {"error": (r.stderr or r.stdout).strip()[-300:]}

    def query(self, what, key, *args, stdin=None):
        return self.msctl("query", what, "--key", self.kids.key_file(key), "--peer-key", self.receiver, "--port", str(TARGET_PORT),
                          f"@{HOSTS['registry']}", *args, stdin=stdin)

    def keystate(self, key, child):
        return self.query("keystate", key, child).get("state")

    def update(self, key, child, *lines):
        return self.query("update", key, child, PARENT, "-", stdin="\n".join(lines) + "\n")

    def upload(self, key, child, replace=False):
        return self.update(key, child, *(["delete @ KEY"] if replace else []), f"add @ 300 KEY {self.kids.sig0_record(key)}")

    def becomes(self, key, child, state, timeout=60):
        return wait_for(f"{key} {state}", lambda: (self.keystate(key, child) == state, self.keystate(key, child)), timeout)

    def operator(self, *args):
        return self.lab.msctl("registry", "parent", *args)

    def ds(self, child):
        return self.lab.served("parent", "DS", child)

    def notify(self, child, rdtype):
        out = self.lab.host["owner"].run("/usr/bin/python3", "-c", NOTIFY, child, HOSTS["registry"], str(TARGET_PORT), rdtype)
        assert out.stdout.strip() == "0"

    def follows(self, child, rdtype, want):
        """One NOTIFY, and the parent's primary comes to say `want`: at once, or when 60 s have passed since the last one."""
        self.notify(child, rdtype)
        wait_for(f"{rdtype} of {child} at the primary", lambda: (self.primary(child) == want, self.operator("show", child)), 90)

    def primary(self, child):
        """What the parent's primary says of a delegation: "TYPE RDATA"."""
        r = self.lab.ask("owner", "referral", HOSTS["parent"], child)
        assert r.get("rcode") == "NOERROR", r
        return r["rdata"]

    def decided(self, child):
        return wait_for("decided", lambda: (not self.operator("show", child).get("pending"), self.operator("show", child)), 60)

    def makes(self, key, child, verb, record):
        """The key has a record added or deleted, and the primary serves it so; nothing else changes."""
        before = self.primary(child)
        answer = self.update(key, child, f"{verb} @ {record}")
        assert answer["rcode"] == "NOERROR", answer
        want = sorted(before + [record]) if verb == "add" else [r for r in before if r != record]
        assert want != before
        wait_for(f"{verb} {record} by {key} at the primary", lambda: (self.primary(child) == want, self.operator("show", child)), 60)

    def may_act(self, key, child, record):
        self.makes(key, child, "add", record)
        self.makes(key, child, "delete", record)

    def may_not_act(self, key, child, record):
        before = self.primary(child)
        answer = self.update(key, child, f"add @ {record}")
        assert answer.get("rcode") != "NOERROR", answer
        self.decided(child)
        assert self.primary(child) == before
        return answer


@pytest.fixture(scope="module")
def asker(lab):
    a = Asker(lab)
    a.start()
    yield a
    a.over.set()
    a.join(30)


@pytest.fixture(scope="module")
def family(lab, asker):
    return Family(lab)


def test_the_lab_is_up_with_parentd_as_its_parent(lab, family):
    assert lab.exit == 0
    rows = family.operator("audit", ZONE)
    assert any(r["verdict"] == "accepted" and r["source"] == "update" for r in rows)  # DS of both came by UPDATE
    assert any(r["rule"] == "at-apex" for r in rows)


def test_dsync_is_found_and_secure(lab, family):
    for child in (ZONE, SIGNED):
        r = family.msctl("query", "dsync", child, f"@{HOSTS['resolver']}")
        assert {row["use"] for row in r["records"]} == {"update", "notify"}, r


# --- two agents, a key each -------------------------------------------------------------------------------------------


def test_each_agent_has_a_key_of_its_own_that_the_parent_trusts(lab, family):
    """H.3: bootstrapped one after the other, and the second did not evict the first."""
    held = {k["fingerprint"]: k for k in family.operator("keys", ZONE)}
    assert len(held) == 2 and {k["state"] for k in held.values()} == {"TRUSTED"}
    own = {}
    for p in PROVIDERS:
        status = lab.msctl(f"{p}-msa", "parent", "status", ZONE)
        assert (status["key_state"], status["in_sync"], status["key_missing"], status["key_trouble"]) == ("TRUSTED", True, "", "")
        own[p] = next(k for k in status["keys"] if k["in_use"])
        assert held[own[p]["sha256"]]["method"] == "at-apex"
    assert own["a"]["sha256"] != own["b"]["sha256"]
    uploads = [r["who"] for r in family.operator("audit", ZONE) if r["rule"] == "G.6: upload"]
    assert sorted(uploads) == sorted(f"key {own[p]['tag']}" for p in PROVIDERS)
    for p in PROVIDERS:
        assert len(lab.served(f"{p}-ns", "KEY")) == 2


@pytest.mark.parametrize("gone,acts", [("a", "b"), ("b", "a")])
def test_when_one_agent_is_gone_the_other_one_acts_with_its_own_key(lab, family, tmp_path, gone, acts):
    good = family.primary(ZONE)
    tag = next(k["tag"] for k in lab.msctl(f"{acts}-msa", "parent", "status", ZONE)["keys"] if k["in_use"])
    lab.host[f"{gone}-msa"].kill()
    try:
        records = tmp_path / "records"
        records.write_text("".join(f"{ZONE} 10 IN {r}\n" for r in good + [EXTRA_DS]))
        family.operator("set", ZONE, str(records), "force")  # an operator's slip
        wait_for("the slip at the primary", lambda: (family.primary(ZONE) == sorted(good + [EXTRA_DS]), family.operator("show", ZONE)), 60)
        slip = family.operator("audit", ZONE)[-1]["seq"]
        lab.msctl(f"{acts}-msa", "parent", "sync", ZONE)
        wait_for(f"{acts} has it mended", lambda: (family.primary(ZONE) == good, lab.msctl(f"{acts}-msa", "parent", "status", ZONE)), 60)
        mended = [r for r in family.operator("audit", ZONE) if r["seq"] > slip and r["verdict"] == "accepted"]
        assert [(r["source"], r["who"]) for r in mended] == [("update", f"key {tag}")]
    finally:
        lab.host[f"{gone}-msa"].start()

    def settled():
        status = lab.msctl(f"{gone}-msa", "parent", "status", ZONE)
        return (status.get("phase"), status.get("key_state"), status.get("in_sync")) == ("idle", "TRUSTED", True), status

    wait_for(f"{gone} is back and has nothing to do", settled, 60)
    assert lab.keys_trusted()[0], lab.keys_trusted()
    assert family.primary(ZONE) == good and len(family.operator("keys", ZONE)) == 2


# --- one child, its keys ----------------------------------------------------------------------------------------------


def test_at_apex(family):
    answer = family.upload("first", SIGNED)
    assert (answer["rcode"], answer["state"]) == ("NOERROR", "BOOTSTRAP_AUTO"), answer
    family.becomes("first", SIGNED, "TRUSTED")
    assert family.operator("show", SIGNED)["keys"][0]["method"] == "at-apex"
    family.may_act("first", SIGNED, EXTRA_DS)


def test_a_key_that_is_not_there_fails_and_is_told_so(family):
    family.upload("absent", SIGNED, replace=True)  # what it would replace stays
    family.becomes("absent", SIGNED, "VALIDATION_FAILED")
    answer = family.may_not_act("absent", SIGNED, EXTRA_DS)
    assert answer["rcode"] == "REFUSED"
    assert family.keystate("first", SIGNED) == "TRUSTED"


def test_refusals_say_what_would_break(family):
    before = family.primary(SIGNED)
    answer = family.update("first", SIGNED, "delete @ DS", f"add @ {EXTRA_DS}")
    shown = family.decided(SIGNED)
    refused = [r for r in family.operator("audit", SIGNED) if r["verdict"] in ("refused", "dropped")]
    assert refused and "10.53.0.5" in refused[-1]["why"], (answer, shown)
    # a name server that does not answer for the child
    seq = refused[-1]["seq"]
    family.update("first", SIGNED, f"add @ NS {ns_name('a')}")
    family.decided(SIGNED)
    refused = [r for r in family.operator("audit", SIGNED) if r["verdict"] in ("refused", "dropped") and r["seq"] > seq]
    assert refused and HOSTS["a-ns"] in refused[-1]["why"], refused
    assert family.primary(SIGNED) == before and any(r.startswith("DS ") for r in before) and NS_1 in before


def test_rollover_by_a_trusted_key(family):
    answer = family.update("first", SIGNED, f"add @ 300 KEY {family.kids.sig0_record('second')}")
    assert answer["rcode"] == "NOERROR"
    assert family.keystate("second", SIGNED) == "TRUSTED"
    family.makes("second", SIGNED, "add", EXTRA_DS)
    answer = family.update("second", SIGNED, f"delete @ KEY {family.kids.sig0_record('first')}")
    assert answer["rcode"] == "NOERROR" and family.keystate("first", SIGNED) == "UNKNOWN"
    family.may_not_act("first", SIGNED, f"DS 54321 13 2 {'cd' * 32}")
    family.makes("second", SIGNED, "delete", EXTRA_DS)


def test_rebootstrap_replaces_only_when_it_is_trusted(family):
    answer = family.upload("first", SIGNED, replace=True)
    assert answer["rcode"] == "NOERROR"
    family.becomes("first", SIGNED, "TRUSTED")
    wait_for("the old one gone", lambda: (family.keystate("second", SIGNED) == "UNKNOWN", family.keystate("second", SIGNED)), 30)
    family.may_not_act("second", SIGNED, EXTRA_DS)
    family.may_act("first", SIGNED, EXTRA_DS)


def test_csync_brings_a_server_and_its_glue(lab, family, asker):
    """RFC 7477; the child stays secure."""
    before = family.primary(SIGNED)
    family.kids.add_server(SIGNED)
    wait_for("CSYNC served", lambda: (lab.served("kids", "CSYNC", SIGNED), lab.served("kids", "NS", SIGNED)), 30)
    family.follows(SIGNED, "CSYNC", sorted(before + [f"NS ns.{SIGNED}", f"ns.{SIGNED} A {HOSTS['kids']}"]))
    row = [r for r in family.operator("audit", SIGNED) if r["verdict"] == "accepted"][-1]
    assert row["source"] == "csync", row
    asker.all_well()


def test_at_ns_for_an_insecure_child(family):
    assert family.upload("plain", PLAIN)["rcode"] == "NOERROR"
    family.becomes("plain", PLAIN, "TRUSTED")
    assert family.operator("show", PLAIN)["keys"][0]["method"] == "at-ns"
    family.may_act("plain", PLAIN, NS_2)


def test_manual_approval(family):
    family.upload("plain-absent", PLAIN)
    family.becomes("plain-absent", PLAIN, "VALIDATION_FAILED")
    family.may_not_act("plain-absent", PLAIN, NS_2)
    row = next(k for k in family.operator("show", PLAIN)["keys"] if k["state"] == "FAILED")
    family.operator("approve", PLAIN, row["fingerprint"])
    assert family.keystate("plain-absent", PLAIN) == "TRUSTED"
    family.may_act("plain-absent", PLAIN, NS_2)
    family.operator("reject", PLAIN, row["fingerprint"])
    assert family.keystate("plain-absent", PLAIN) == "REFUSED"
    family.may_not_act("plain-absent", PLAIN, NS_2)


# --- children without DNSSEC, at two servers --------------------------------------------------------------------------


def key_row(family, child, key):
    return next(k for k in family.operator("keys", child) if k["tag"] == tag_of(family, key))


def tag_of(family, key):
    return int(family.kids.key_file(key).rsplit("+", 1)[1].split(".")[0])


def test_unsigned_by_looks_that_agree(lab, family):
    """Both servers, and a resolver elsewhere: three looks over four seconds here, days in real life."""
    begun = time.time()
    answer = family.upload("open", OPEN)
    assert (answer["rcode"], answer["state"]) == ("NOERROR", "BOOTSTRAP_AUTO"), answer
    family.may_not_act("open", OPEN, f"NS {ns_name('a')}")  # not yet
    row = wait_for("two looks on record", lambda: (key_row(family, OPEN, "open").get("rounds", 0) >= 2, key_row(family, OPEN, "open")), 30)
    assert row["state"] == "KNOWN"
    family.becomes("open", OPEN, "TRUSTED")
    assert time.time() - begun > 3  # four by a clock of whole seconds
    assert key_row(family, OPEN, "open")["method"] == "unsigned"
    family.makes("open", OPEN, "delete", NS_2)
    family.makes("open", OPEN, "add", NS_2)


def test_unsigned_where_the_servers_disagree_fails_until_they_agree(lab, family):
    assert family.upload("torn", TORN)["rcode"] == "NOERROR"
    family.becomes("torn", TORN, "VALIDATION_FAILED")
    why = [r["why"] for r in family.operator("audit", TORN) if "FAILED" in r["why"]]
    assert "shows something else" in why[-1]
    family.may_not_act("torn", TORN, f"NS {ns_name('a')}")
    second = lab.host["kids-2"]
    second.show_torn("torn")
    second.knotc("zone-reload", TORN.rstrip("."))
    wait_for("both show it", lambda: (lab.served("kids", "KEY", TORN) == lab.served("kids-2", "KEY", TORN),
                                      lab.served("kids-2", "KEY", TORN)), 30)
    assert family.upload("torn", TORN)["rcode"] == "NOERROR"
    family.becomes("torn", TORN, "TRUSTED")
    assert key_row(family, TORN, "torn")["method"] == "unsigned"


@pytest.mark.parametrize("verdict", ["reject", "approve"])
def test_where_an_operator_approves_changes_the_primary_waits_for_that(family, verdict):
    before = family.primary(TORN)
    assert NS_2 in before
    answer = family.update("torn", TORN, f"delete @ {NS_2}")
    waits = wait_for("waits for an operator", lambda: (family.operator("show", TORN).get("pending", {}).get("waits_for") == "operator",
                                                       (answer, family.operator("show", TORN))), 60)[1]["pending"]
    assert family.primary(TORN) == before
    if verdict == "reject":
        family.operator("reject", TORN)
        family.decided(TORN)
        assert family.primary(TORN) == before
    else:
        family.operator("approve", TORN, waits["digest"])
        wait_for("at the primary", lambda: (family.primary(TORN) == [r for r in before if r != NS_2], family.operator("show", TORN)), 60)


# --- DS: the first, the last, the way back ----------------------------------------------------------------------------


def test_the_first_ds_by_rfc9615_on_notify(lab, family, asker):
    assert family.ds(BOOT) == []
    with asker.becomes(BOOT, True):
        family.notify(BOOT, "CDS")
        wait_for("DS of boot", lambda: (len(family.ds(BOOT)) >= 1, family.operator("show", BOOT).get("scan")), 60)


def caches_run_out():
    end = time.monotonic() + TTL + 1
    wait_for("caches run out", lambda: (time.monotonic() >= end, "waiting for the TTL"), TTL + 5)


def test_ksk_rollover_by_cds(lab, family, asker):
    """RFC 6781 4.1.2, both sign: the child is secure all the while, with empty caches and with old ones."""
    before, old = family.primary(SIGNED), family.kids.ds(SIGNED)
    assert [f"DS {ds}" for ds in old] == [r for r in before if r.startswith("DS ")]
    key = family.kids.add_ksk(SIGNED)
    new = [ds for ds in family.kids.ds(SIGNED) if ds not in old]
    wait_for("CDS of the new one", lambda: (lab.served("kids", "CDS", SIGNED) == new, lab.served("kids", "CDS", SIGNED)), 30)
    caches_run_out()  # DNSKEY without the new one
    assert family.primary(SIGNED) == before
    family.follows(SIGNED, "CDS", sorted([r for r in before if not r.startswith("DS ")] + [f"DS {ds}" for ds in new]))
    row = [r for r in family.operator("audit", SIGNED) if r["verdict"] == "accepted"][-1]
    assert row["source"] == "cds", row
    asker.all_well()
    caches_run_out()  # DS of the old one
    family.kids.drop_ksk(SIGNED, old[0].split()[0], key)
    wait_for("one KSK", lambda: (len(lab.served("kids", "DNSKEY", SIGNED)) == 2, lab.served("kids", "DNSKEY", SIGNED)), 30)
    asker.all_well()
    caches_run_out()
    asker.all_well()


def test_removal_needs_two_looks(family, asker):
    """The child wants to be insecure: its DS goes, but not at one blow, and resolvers never see anything bogus."""
    def asked_again():
        if family.operator("show", SIGNED).get("pending", {}).get("waits_for") == "confirm":
            family.update("first", SIGNED, "delete @ DS")
        return not family.ds(SIGNED), family.operator("show", SIGNED)

    assert family.ds(SIGNED)
    with asker.becomes(SIGNED, False):
        answer = family.update("first", SIGNED, "delete @ DS")  # refused: to be asked for again, some time later
        assert family.operator("show", SIGNED)["pending"]["waits_for"] == "confirm", answer
        assert family.ds(SIGNED)
        wait_for("DS of signed is gone", asked_again, 90, pause=1)
    asker.all_well()


def test_rollback_by_an_operator(family, asker):
    row = [r for r in family.operator("audit", SIGNED) if r["verdict"] == "accepted"][-1]
    with asker.becomes(SIGNED, True):
        family.operator("rollback", str(row["seq"]))
        wait_for("DS is back", lambda: (bool(family.ds(SIGNED)), family.operator("show", SIGNED)), 60)
    asker.all_well()


def test_nobody_saw_anything_bad_meanwhile(lab, asker):
    for resolver in RESOLVERS:
        for cold in (True, False):
            for zone, secure in {SIGNED: True, ZONE: True, BOOT: True, PLAIN: False, OPEN: False, TORN: False}.items():
                assert asker.heard[resolver, zone, cold, secure] >= 10, (resolver, zone, cold, asker.heard)
            heard = Counter()
            for (of, _, is_cold, ad), n in asker.heard.items():
                heard[ad] += n if (of, is_cold) == (resolver, cold) else 0
            print(f"{resolver} {'cold' if cold else 'warm'}: {heard[True]} secure, {heard[False]} insecure")
        assert not lab.host[resolver].servfails()
    assert not asker.bad, asker.bad[:3]
    assert lab.prober()["bad"] == []


def test_the_audit_trail_is_whole(family):
    assert family.operator("verify")["to"] == family.lab.msctl("registry", "status")["audit_seq"]
