# SPDX-License-Identifier: BSD-2-Clause
"""
The parent's side in the lab: parentd before a real Knot primary, children at a real server, validating resolvers that ask
all the while. Every way for a key to become trusted, its life, changes that are made and changes that are not.
"""
import json
import threading

import pytest
from lab import net
from lab.hosts import wait_for
from lab.topology import BOOT, HOSTS, PARENT, PLAIN, SIGNED, TARGET_PORT, ZONE

DS_OF_NOBODY = "12345 13 2 " + "ab" * 32
NOTIFY = """
import sys, dns.message, dns.query, dns.opcode, dns.flags
m = dns.message.make_query(sys.argv[1], "CDS")
m.set_opcode(dns.opcode.NOTIFY)
m.flags |= dns.flags.AA
print(dns.query.udp(m, sys.argv[2], port=int(sys.argv[3]), timeout=10).rcode())
"""


class Asker(threading.Thread):
    """Asks the validating resolver for names below the children, and keeps what it must not hear."""

    def __init__(self, lab):
        super().__init__(daemon=True)
        self.lab, self.bad, self.asked, self.over = lab, [], 0, threading.Event()

    def run(self):
        while not self.over.is_set():
            for zone in (SIGNED, PLAIN, BOOT, ZONE):
                r = self.lab.ask("owner", "ad", HOSTS["resolver"], f"www.{zone}", "A")
                self.asked += 1
                if r.get("rcode") != "NOERROR" or not r.get("rdata"):
                    self.bad.append((zone, r))


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

    def edes(self, answer):
        return [e["name"] for e in answer.get("errors", [])]


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


def test_at_apex(family):
    answer = family.upload("first", SIGNED)
    assert (answer["rcode"], answer["state"]) == ("NOERROR", "BOOTSTRAP_AUTO"), answer
    family.becomes("first", SIGNED, "TRUSTED")
    assert family.operator("show", SIGNED)["keys"][0]["method"] == "at-apex"


def test_a_key_that_is_not_there_fails_and_is_told_so(family):
    family.upload("absent", SIGNED)
    family.becomes("absent", SIGNED, "VALIDATION_FAILED")
    answer = family.update("absent", SIGNED, f"add @ DS {DS_OF_NOBODY}")
    assert answer.get("rcode", "REFUSED") == "REFUSED"
    assert family.keystate("first", SIGNED) == "TRUSTED"


def test_refusals_say_what_would_break(lab, family):
    before = family.ds(SIGNED)
    answer = family.update("first", SIGNED, "delete @ DS", f"add @ DS {DS_OF_NOBODY}")
    shown = wait_for("decided", lambda: (not family.operator("show", SIGNED).get("pending"), family.operator("show", SIGNED)), 60)
    assert family.ds(SIGNED) == before, answer
    refused = [r for r in family.operator("audit", SIGNED) if r["verdict"] in ("refused", "dropped")]
    assert refused and "10.53.0.5" in refused[-1]["why"], (answer, shown)
    # a name server that does not answer for the child
    family.update("first", SIGNED, "add @ NS ns.provider-a.example.")
    wait_for("decided", lambda: (not family.operator("show", SIGNED).get("pending"), "waits"), 60)
    assert lab.served("parent", "NS", SIGNED) in ([], ["ns.kids.example."])


def test_rollover_by_a_trusted_key(family):
    answer = family.update("first", SIGNED, f"add @ 300 KEY {family.kids.sig0_record('second')}")
    assert answer["rcode"] == "NOERROR"
    assert family.keystate("second", SIGNED) == "TRUSTED"
    answer = family.update("second", SIGNED, f"delete @ KEY {family.kids.sig0_record('first')}")
    assert answer["rcode"] == "NOERROR" and family.keystate("first", SIGNED) == "UNKNOWN"


def test_rebootstrap_replaces_only_when_it_is_trusted(family):
    answer = family.upload("first", SIGNED, replace=True)
    assert answer["rcode"] == "NOERROR"
    family.becomes("first", SIGNED, "TRUSTED")
    wait_for("the old one gone", lambda: (family.keystate("second", SIGNED) == "UNKNOWN", family.keystate("second", SIGNED)), 30)


def test_at_ns_for_an_insecure_child(family):
    assert family.upload("plain", PLAIN)["rcode"] == "NOERROR"
    family.becomes("plain", PLAIN, "TRUSTED")
    assert family.operator("show", PLAIN)["keys"][0]["method"] == "at-ns"


def test_manual_approval(family):
    family.upload("plain-absent", PLAIN)
    family.becomes("plain-absent", PLAIN, "VALIDATION_FAILED")
    row = next(k for k in family.operator("show", PLAIN)["keys"] if k["state"] == "FAILED")
    family.operator("approve", PLAIN, row["fingerprint"])
    assert family.keystate("plain-absent", PLAIN) == "TRUSTED"
    family.operator("reject", PLAIN, row["fingerprint"])
    assert family.keystate("plain-absent", PLAIN) == "REFUSED"


def test_the_first_ds_by_rfc9615_on_notify(lab, family):
    assert family.ds(BOOT) == []
    out = lab.host["owner"].run("/usr/bin/python3", "-c", NOTIFY, BOOT, HOSTS["registry"], str(TARGET_PORT))
    assert out.stdout.strip() == "0"
    wait_for("DS of boot", lambda: (len(family.ds(BOOT)) >= 1, family.operator("show", BOOT).get("scan")), 60)
    wait_for("boot secure", lambda: lab.secure("resolver", f"www.{BOOT}", "A"), 60)


def test_removal_needs_two_looks(lab, family):
    """The child wants to be insecure: its DS goes, but not at one blow, and resolvers never see anything bogus."""
    assert family.ds(SIGNED)
    answer = family.update("first", SIGNED, "delete @ DS")  # refused: to be asked for again, some time later
    assert family.operator("show", SIGNED)["pending"]["waits_for"] == "confirm", answer
    assert family.ds(SIGNED)

    def asked_again():
        if family.operator("show", SIGNED).get("pending", {}).get("waits_for") == "confirm":
            family.update("first", SIGNED, "delete @ DS")
        return not family.ds(SIGNED), family.operator("show", SIGNED)

    wait_for("DS of signed is gone", asked_again, 90, pause=1)
    wait_for("insecure", lambda: (not lab.secure("resolver", f"www.{SIGNED}", "A")[0], "still secure"), 60)


def test_rollback_by_an_operator(lab, family):
    row = [r for r in family.operator("audit", SIGNED) if r["verdict"] == "accepted"][-1]
    family.operator("rollback", str(row["seq"]))
    wait_for("DS is back", lambda: (bool(family.ds(SIGNED)), family.operator("show", SIGNED)), 60)
    wait_for("secure again", lambda: lab.secure("resolver", f"www.{SIGNED}", "A"), 60)


def test_nobody_saw_anything_bad_meanwhile(lab, asker):
    assert asker.asked > 20 and not asker.bad, asker.bad[:3]
    assert lab.prober()["bad"] == []
    assert not lab.host["resolver"].servfails()


def test_the_audit_trail_is_whole(family):
    assert family.operator("verify")["to"] == family.lab.msctl("registry", "status")["audit_seq"]
