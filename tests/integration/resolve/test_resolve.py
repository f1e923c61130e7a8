# SPDX-License-Identifier: BSD-2-Clause
"""The resolver worker against a signed tree of real servers: what is secure comes out, everything else comes with a reason."""
import glob
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

sys.path.insert(0, os.path.dirname(__file__))
from tree import ROOT, Tree  # noqa: E402

TOOL = os.path.join(os.environ.get("MSP_BUILD", "build/release"), "tests", "resolvetool")
TIMEOUT_MS = 3000


class Resolver:
    def __init__(self, tree, anchor=None):
        self.p = tree.start(TOOL, "-a", anchor or tree.anchor, "-r", ROOT, "-t", str(TIMEOUT_MS), stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.log = []
        self.reader = threading.Thread(target=lambda: self.log.extend(self.p.stderr), daemon=True)
        self.reader.start()

    def send(self, line):
        self.p.stdin.write(line + "\n")
        self.p.stdin.flush()

    def receive(self, count=1):
        lines = [self.p.stdout.readline().rstrip("\n") for _ in range(count)]
        assert all(lines), "".join(self.log)
        return lines

    def command(self, line):
        self.send(line)
        return self.receive()[0]

    def ask(self, name, rtype):
        """(verdict, why, owner, ttl, sorted records)"""
        return self.result(self.command(f"{name} {rtype}"))

    def ask_open(self, name, rtype):
        """(verdict, owner, sorted records, owner of the SOA or None when not negative)"""
        line = self.command(f"~{name} {rtype}")
        line, negative, soa = line.partition("|soa ")
        verdict, _, owner, _, records = self.result(line)
        return verdict, owner, records, soa if negative else None

    @staticmethod
    def result(line):
        head, why, owner, rdata = line.split("|", 3)
        name, _, ttl = owner.partition(" ")
        return head.split(" ")[2], why, name, int(ttl or 0), sorted(rdata.split("; ")) if rdata else []

    def worker(self):
        """Process ids of the workers, found as children of the tool."""
        tool = self.p.pid
        with open(f"/proc/{tool}/task/{tool}/children", encoding="ascii") as f:
            return [int(x) for x in f.read().split()]

    def close(self):
        self.p.stdin.close()
        assert self.p.wait(timeout=15) == 0
        self.reader.join(timeout=5)


@pytest.fixture(scope="module")
def tree():
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    t = Tree()
    try:
        t.up()
        yield t
    finally:
        t.down()


@pytest.fixture(scope="module")
def shared(tree):
    r = Resolver(tree)
    yield r
    r.close()
    assert not [line for line in r.log if "rror" in line], "".join(r.log)


@pytest.fixture
def resolver(tree):
    r = Resolver(tree)
    yield r
    r.close()


@pytest.mark.parametrize("zone", ["nsec.example.", "nsec3.example."])
def test_records_of_signed_zones_are_secure(shared, zone):
    verdict, _, owner, ttl, records = shared.ask(f"msa.{zone}", "A")
    assert (verdict, owner, records) == ("secure", f"msa.{zone}", ["10.53.0.7", "10.53.0.8"])
    assert 0 < ttl <= 300
    assert shared.ask(f"_dns._tcp.msa.{zone}", "URI")[4] == [f'10 10 "dns://msa.{zone}:8053/"']
    assert shared.ask(f"msa.{zone}", "KEY")[4][0].startswith("512 3 15 ")
    assert shared.ask(f"_8443._tcp.msa.{zone}", "TLSA")[4][0].lower().startswith("3 1 1 ")
    assert shared.ask(f"msa.{zone}", "SVCB")[0] == "secure"
    assert shared.ask(f"msa.{zone}", "TYPE65282")[0] == "secure"
    assert len(shared.ask(zone, "DNSKEY")[4]) == 2
    assert shared.ask(f"mixed.case.{zone}", "TXT")[4] == ['"case"']


@pytest.mark.parametrize("zone", ["nsec.example.", "nsec3.example."])
def test_denials_are_secure_too(shared, zone):
    assert shared.ask(f"nowhere.{zone}", "A")[:2] == ("nodata", "name does not exist")
    assert shared.ask(f"msa.{zone}", "TXT")[:2] == ("nodata", "no records of this type")
    assert shared.ask(f"below.{zone}", "A")[:2] == ("nodata", "no records of this type")  # empty non-terminal


@pytest.mark.parametrize("zone", ["nsec.example.", "nsec3.example."])
def test_wildcards_expand_secure(shared, zone):
    assert shared.ask(f"any.thing.wild.{zone}", "TXT")[::2] == ("secure", f"any.thing.wild.{zone}", ['"expanded"'])


def test_cnames_are_followed_to_their_secure_end(shared):
    assert shared.ask("alias.nsec.example.", "A")[::2] == ("secure", "msa.nsec.example.", ["10.53.0.7", "10.53.0.8"])
    assert shared.ask("to-other.nsec.example.", "A")[2] == "msa.nsec3.example."
    assert shared.ask("alias.nsec.example.", "CNAME")[4] == ["alias2.nsec.example."]


def test_cnames_to_nothing_and_to_unsigned_zones_give_no_records(shared):
    assert shared.ask("to-nothing.nsec.example.", "A")[::4] == ("nodata", [])
    assert shared.ask("to-insecure.nsec.example.", "A")[::4] == ("insecure", [])


def test_unsigned_zones_are_insecure(shared):
    verdict, why, _, _, records = shared.ask("msa.insecure.example.", "A")
    assert (verdict, records) == ("insecure", [])
    assert why


ADDRESSES = ["10.53.0.7", "10.53.0.8"]


@pytest.mark.parametrize("zone,verdict", [("nsec.example.", "secure"), ("nsec3.example.", "secure"), ("insecure.example.", "insecure")])
def test_open_look_ups_hand_out_what_there_is(shared, zone, verdict):
    assert shared.ask_open(f"msa.{zone}", "A") == (verdict, f"msa.{zone}", ADDRESSES, None)
    assert shared.ask_open(f"any.thing.wild.{zone}", "TXT") == (verdict, f"any.thing.wild.{zone}", ['"expanded"'], None)
    assert shared.ask_open(f"alias.{zone}", "A") == (verdict, f"msa.{zone}", ADDRESSES, None)


@pytest.mark.parametrize("zone,verdict", [("nsec.example.", "secure"), ("nsec3.example.", "secure"), ("insecure.example.", "insecure")])
def test_open_denials_name_the_zone_that_denies(shared, zone, verdict):
    for name in (f"nowhere.{zone}", f"far.below.nowhere.{zone}"):  # the name does not exist
        assert shared.ask_open(name, "A") == (verdict, "", [], zone)
        assert shared.ask_open(name, "A") == (verdict, "", [], zone)  # from the cache
    for name in (f"msa.{zone}", f"below.{zone}", zone):  # it does, the type does not
        assert shared.ask_open(name, "TYPE66") == (verdict, "", [], zone)
    assert shared.ask_open(f"any.thing.wild.{zone}", "A") == (verdict, "", [], zone)  # at a wildcard
    assert shared.ask_open(f"wild.{zone}", "A") == (verdict, "", [], zone)


def test_an_open_denial_above_a_cut_names_the_parent(shared):
    assert shared.ask_open("nowhere.example.", "TYPE66") == ("secure", "", [], "example.")
    assert shared.ask_open("nsec._dsync.example.", "TYPE66") == ("secure", "", [], "example.")
    assert shared.ask_open("_dsync.example.", "TYPE66") == ("secure", "", [], "example.")


def test_open_look_ups_follow_cnames_into_other_zones(shared):
    assert shared.ask_open("to-other.nsec.example.", "A") == ("secure", "msa.nsec3.example.", ADDRESSES, None)
    assert shared.ask_open("to-insecure.nsec.example.", "A") == ("insecure", "msa.insecure.example.", ADDRESSES, None)
    assert shared.ask_open("to-nothing.nsec.example.", "A") == ("secure", "", [], "nsec3.example.")


def test_an_open_look_up_leaves_the_secure_one_as_strict_as_it_was(shared):
    assert shared.ask_open("n1.insecure.example.", "A")[0] == "insecure"
    assert shared.ask("n1.insecure.example.", "A")[::4] == ("insecure", [])
    assert shared.ask("nowhere.insecure.example.", "A")[::4] == ("insecure", [])


def test_open_look_ups_of_bogus_names_give_nothing(shared):
    assert shared.ask_open("msa.bogus.example.", "A") == ("bogus", "", [], None)
    assert shared.ask_open("nowhere.bogus.example.", "A") == ("bogus", "", [], None)


def test_open_look_ups_that_fail_are_not_negative(shared):
    verdict, owner, records, soa = shared.ask_open("www.silent.example.", "A")
    assert verdict in ("timeout", "failed") and (owner, records, soa) == ("", [], None)
    assert shared.ask_open("www.refuses.example.", "A") == ("failed", "", [], None)  # its servers know no such zone


def test_a_wrong_ds_is_bogus_and_gives_no_records(shared):
    start = time.monotonic()
    verdict, why, _, _, records = shared.ask("msa.bogus.example.", "A")
    assert (verdict, records) == ("bogus", [])
    assert "bogus" in why
    assert time.monotonic() - start >= 0.5  # asked again before it was believed
    assert shared.ask("nowhere.bogus.example.", "A")[0] == "bogus"


def test_a_repaired_zone_is_secure_at_once_whatever_is_cached(tree, resolver):
    assert resolver.ask("msa.heals.example.", "A")[0] == "bogus"
    tree.heal()
    assert resolver.ask("msa.heals.example.", "A")[::4] == ("secure", ["10.53.0.7", "10.53.0.8"])
    assert resolver.ask("msa.bogus.example.", "A")[0] == "bogus"


def test_many_bogus_answers_at_once_are_all_told(resolver):
    resolver.send(" ".join(f"n{i}.bogus.example. A msa.nsec.example. A" for i in range(100)))
    verdicts = [resolver.result(line)[0] for line in resolver.receive(200)]
    assert verdicts.count("bogus") == verdicts.count("secure") == 100


def test_large_answers_arrive_by_tcp(shared):
    assert len(shared.ask("big.nsec.example.", "TXT")[4][0]) > 8000


def test_servers_that_do_not_answer_are_a_timeout(shared):
    start = time.monotonic()
    assert shared.ask("www.silent.example.", "A")[0] in ("timeout", "failed")
    assert time.monotonic() - start < TIMEOUT_MS / 1000 + 2


def test_what_no_anchor_covers_is_not_secure(tree):
    r = Resolver(tree, anchor=tree.nsec_anchor)
    assert r.ask("msa.nsec.example.", "A")[0] == "secure"
    verdict, _, _, _, records = r.ask("msa.nsec3.example.", "A")
    assert verdict in ("indeterminate", "insecure") and not records  # the library has used both words for it
    r.close()


def test_three_hundred_at_once_are_queued_and_all_answered(resolver):
    names = [f"n{i}.{zone}" for i in range(150) for zone in ("nsec.example.", "nsec3.example.")]
    resolver.send(" ".join(f"{n} A" for n in names))
    lines = resolver.receive(len(names))
    assert {line.split(" ")[0] for line in lines} == set(names)
    assert all(resolver.result(line)[0] == "secure" for line in lines)


def test_a_killed_worker_costs_one_lookup_and_a_restart(resolver):
    assert resolver.ask("msa.nsec.example.", "A")[0] == "secure"
    for n in range(1, 4):
        resolver.send("www.silent.example. A")  # under way for seconds
        time.sleep(0.3)
        [pid] = resolver.worker()
        os.kill(pid, signal.SIGKILL)
        verdict, why, _, _, _ = resolver.result(resolver.receive()[0])
        assert verdict == "failed" and "worker" in why
        assert resolver.ask("msa.nsec3.example.", "A")[0] == "secure"
        assert resolver.command("restarts") == str(n)


def test_a_flush_forgets_what_was_cached(resolver):
    resolver.ask("msa.nsec.example.", "A")
    time.sleep(1.1)
    assert resolver.ask("msa.nsec.example.", "A")[3] < 300  # from the cache
    [old] = resolver.worker()
    resolver.command("flush")
    assert resolver.ask("msa.nsec.example.", "A")[3] == 300
    assert resolver.command("restarts") == "0"  # on purpose is not counted
    deadline = time.monotonic() + 5
    while old in resolver.worker() and time.monotonic() < deadline:
        resolver.ask("msa.nsec.example.", "A")  # the loop reaps it
    assert old not in resolver.worker()


def test_the_worker_has_few_rights(resolver):
    resolver.ask("msa.nsec.example.", "A")
    [pid] = resolver.worker()
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
    assert status["NoNewPrivs"].strip() == "1"
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0
    with open(f"/proc/{pid}/environ", "rb") as f:
        assert f.read().split(b"\0") == [b"PATH=/usr/bin:/bin", b"LANG=C", b""]


def test_a_worker_that_cannot_read_its_anchor_fails_the_lookups(tree):
    r = Resolver(tree, anchor="/nonexistent")
    assert r.ask("msa.nsec.example.", "A")[0] == "failed"
    r.close()
    assert any("/nonexistent" in line for line in r.log)


def test_nothing_is_left_in_the_temporary_directory(tree):
    before = set(glob.glob("/tmp/getdns-root-dns-servers-*"))
    r = Resolver(tree)
    r.ask("msa.nsec.example.", "A")
    r.command("flush")
    r.ask("msa.nsec.example.", "A")
    r.close()
    assert set(glob.glob("/tmp/getdns-root-dns-servers-*")) - before == set()
