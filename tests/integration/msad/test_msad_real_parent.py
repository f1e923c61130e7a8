# SPDX-License-Identifier: BSD-2-Clause
"""msad and parentd, and nobody in between: parentd publishes what it offers into the parent zone, msad finds it there, and
what comes of it is asked of the parent's own servers. Zones are Knot's; another provider speaks by nsupdate and msctl."""
import json
import os
import signal
import subprocess
import sys
import time

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import world as w  # noqa: E402
from world import CHILD, CHILD2, PARENT, PARENT2, RECEIVER, ZONE  # noqa: E402

TARGET = "recv.example."
TTL = 2  # of what parentd publishes
PAST = f"1 13 2 {'00' * 32}"  # a DS of nobody
NS, NS2 = f"ns.{ZONE}".upper(), f"ns2.{ZONE}".upper()
WITH_NS2 = f"@ NS ns2\nns2 A {CHILD2}\n"
LOCKED = "REFUSED ZONE_LOCKED: the delegation is locked"
BOTH = {"ns": ("ns", "ns2")}


class World(w.World):
    """The parent's receiver is parentd. The parent shows the right DS and one of the past, if not told otherwise."""

    shows_ds, shows_past, shows_second = True, True, True

    def up(self, parentd=None, msad=None, **build):
        """parentd: arguments of start_parentd. msad: of start_msad; False: not yet. build: of World.build."""
        self.build("", **build)
        self.two_parents = build.get("two_parents", False)
        self.start_mock({})
        self.start_parentd(**(parentd or {}))
        if msad is not False:
            self.start_msad(**(msad or {}))

    def delegation(self, two_servers):
        ds = (self.ds("child", ZONE) if self.shows_ds else "") + (f"child DS {PAST}\n" if self.shows_past else "")
        return super().delegation(two_servers and self.shows_second) + ds

    # parentd

    def make_key(self, owner, kind):
        return w.base_tree.run("dnssec-keygen", "-q", "-K", self.dir, "-a", "ED25519", "-T", "KEY", "-n", kind, owner).strip()

    def tag_of(self, key):
        return int(key.rsplit("+", 1)[1])

    def write_parentd_conf(self, keys, sources='"update"', bootstrap='"at-apex"', publish="", policy="", limits="", anchor=None):
        names = ", ".join(f'"{self.path(k)}.private"' for k in keys)
        with open(self.path("parentd.conf"), "w", encoding="ascii") as f:
            f.write(f"""
target = "{TARGET}"; sig0-keys = [ {names} ]; state-dir = "{self.path('pstate')}";
control = "{self.path('p.sock')}"; log-level = "debug";
listen = ( {{ address = "{RECEIVER}"; port = 5353; }} );
resolver : {{ root-servers = [ "{w.ROOT}" ]; trust-anchor-file = "{anchor or self.anchor}"; timeout = 5; }};
tsig-keys = ( {{ name = "agent."; algorithm = "hmac-sha256"; secret-file = "{self.path('agent.secret')}"; }} );
policies = ( {{ name = "open"; sources = [ {sources} ]; bootstrap = [ {bootstrap} ]; bootstrap-retry = 1; ns-min = 1;
  private-addresses = true; cooldown = 0; changes-per-day = 0; ds-ttl = 5; ds-ttl-changed = 0; {policy} }} );
parents = ( {{ zone = "example."; policy = "open"; primary : {{ address = "{PARENT}"; port = 53; tsig-key = "agent."; }};
  publish : {{ how = "update"; addresses = [ "{RECEIVER}" ]; ttl = {TTL}; {publish} }};
  backends = ( {{ name = "primary"; kind = "update"; address = "{PARENT}"; port = 53; tsig-key = "agent."; retry = 1; }} ); }} );
limits = {{ sweep = 0; {limits} }};
probe-ipv6 = false;
""")

    def start_parentd(self, **conf):
        os.makedirs(self.path("pstate"))
        self.write_secret()
        self.receiver_keys = [self.make_key(TARGET, "USER")]
        self.parentd_conf = conf
        self.write_parentd_conf(self.receiver_keys, **conf)
        log = open(self.path("parentd.log"), "ab")
        self.parentd = self.start(w.PARENTD, "-c", self.path("parentd.conf"), stdout=log, stderr=log)
        self.until(lambda: w.call(self.path("p.sock"), "parent show", child=ZONE)["ok"], "child in the books")
        self.until(lambda: self.published(self.receiver_keys), "what parentd publishes")

    def key_text(self, key):
        return self.read(key + ".key").splitlines()[-1].split(" KEY ")[1]

    def published(self, keys):
        """All servers of the parent have exactly these keys of the receiver."""
        want = sorted(self.key_text(k).replace(" ", "").upper() for k in keys)
        return all(self.dig(s, TARGET, "KEY") == want for s in ([PARENT, PARENT2] if self.two_parents else [PARENT]))

    def put_receiver_key(self, key):
        """By somebody else's hand."""
        self.nsupdate(f"server {PARENT}\nzone example.\nupdate delete {TARGET} KEY\n"
                      f"update add {TARGET} {TTL} KEY {self.key_text(key)}\nsend\n")

    def reload_parentd(self, keys=None, **conf):
        self.receiver_keys = keys or self.receiver_keys
        self.parentd_conf = {**self.parentd_conf, **conf}
        self.write_parentd_conf(self.receiver_keys, **self.parentd_conf)
        before = self.read("parentd.log").count("daemon-reload ")
        self.parentd.send_signal(signal.SIGHUP)
        self.until(lambda: self.read("parentd.log").count("daemon-reload ") > before, "the reload")

    def operator(self, cmd, **args):
        """An operator at parentd."""
        answer = w.call(self.path("p.sock"), cmd, **args)
        assert answer["ok"], answer
        return answer.get("data")

    def keys(self):
        """tag: state"""
        return {k["tag"]: k["state"].upper() for k in self.operator("parent show", child=ZONE)["keys"]}

    def audit(self, **want):
        rows = self.operator("parent audit", child=ZONE)["rows"]
        return [r for r in rows if all(r.get(k) == v for k, v in want.items())]

    def put_past_back(self):
        """An operator's slip: the parent shows a DS that nobody asked for."""
        have = self.operator("parent show", child=ZONE)["delegation"]
        records = "\n".join([*have, f"{ZONE} 5 IN DS {PAST}"])
        self.operator("parent set", child=ZONE, records=records, how="force")
        self.until(lambda: len(self.dig(PARENT, ZONE, "DS")) == 2, "a DS of the past")

    # both

    def msctl_status(self):
        out = subprocess.run([w.MSCTL, "--socket", self.path("c.sock"), "parent", "status", ZONE], capture_output=True,
                             text=True, check=True).stdout
        return " ".join(out.split())

    def lines(self, event, **fields):
        """Of msad's log."""
        return [line for line in self.log().splitlines() if f">{event} " in line + " " and
                all(f" {k}={v}" in line for k, v in fields.items())]

    def sent(self, what):
        return len(self.lines("parent-send", what=what))

    def is_idle(self):
        """The parent's servers show what is wanted, and nothing is left to do."""
        s = self.status()
        return s["in_sync"] and s["phase"] == "idle" and s["parent"] == "example."

    def settle(self):
        self.until(self.is_idle, "the end")
        assert self.has_ds()

    def shows(self, server, *ns):
        """NS of the delegation, from the referral (kdig +short shows no authority section)."""
        out = subprocess.run(["ip", "netns", "exec", self.netns, "kdig", "+norec", "+timeout=2", f"@{server}", f"x.{ZONE}", "TXT"],
                             capture_output=True, text=True, check=False).stdout
        lines = [line.upper().split() for line in out.splitlines() if line and not line.startswith(";")]
        glue = {f[0] for f in lines if f[3:4] == ["A"]}
        names = sorted(f[4] for f in lines if f[0] == ZONE.upper() and f[3:4] == ["NS"])
        return names == sorted(ns) and glue == set(ns)

    def change_zone(self, script):
        """At the child's primary: the owner's hand."""
        self.nsupdate(f"server {CHILD}\nzone {ZONE}\n{script}\nsend\n")

    def replace_second(self):
        """At the second server's address: the same records, without signatures."""
        zone = self.inside("kdig", f"@{CHILD}", ZONE, "AXFR")
        self.end_knot("child2")
        w.base_tree.Tree.conf(self, "stranger", CHILD2, {ZONE: None})
        lines = [line for line in zone.splitlines() if line and not line.startswith(";")]
        self.write("stranger", ZONE, "\n".join(x for x in lines[:-1] if x.split()[3] != "RRSIG") + "\n")
        with open(self.path("stranger", "knot.conf"), "a", encoding="ascii") as f:
            f.write("    semantic-checks: off\n")
        self.start_knot("stranger", CHILD2, ZONE)

    def restore_second(self):
        self.end_knot("stranger")
        self.start_knot("child2", CHILD2, ZONE)

    def end_knot(self, name):
        self.knots[name].terminate()
        self.knots[name].wait(20)

    def nsupdate(self, script, key=None):
        argv = ["ip", "netns", "exec", self.netns, "nsupdate", "-v"] + (["-k", self.path(key + ".private")] if key else [])
        r = subprocess.run(argv, input=script, capture_output=True, text=True, check=False, timeout=w.LIMIT_S)
        assert r.returncode == 0, r.stderr
        return r

    def reload_msad(self, **conf):
        self.write_msad_conf(**conf)
        before = len(self.lines("daemon-reload"))
        self.msad.send_signal(signal.SIGHUP)
        self.until(lambda: len(self.lines("daemon-reload")) > before, "the reload")


@pytest.fixture
def world():
    w.need_programs()
    if not os.access(w.PARENTD, os.X_OK):
        pytest.skip("parentd is not built")
    one = World()
    try:
        yield one
        one.stop()
    finally:
        one.down()


def test_parentd_takes_the_key_by_itself_and_a_ds_of_the_past_goes(world):
    world.up()
    world.settle()
    assert world.status()["key_state"] == "TRUSTED"
    # Its key is rolled with the real thing, too.
    before = world.status()["keys"][0]["tag"]
    assert world.ctl("parent roll", zone=ZONE)["ok"]
    world.until(lambda: not world.status()["rolling"] and world.status()["keys"][0]["tag"] != before, "a new key")
    world.settle()
    assert world.keys() == {world.status()["keys"][0]["tag"]: "TRUSTED"}


# --- NOTIFY -----------------------------------------------------------------------------------------------------------


def test_notify_cds_is_answered_scanned_and_seen(world):
    world.up(parentd={"sources": '"cds"', "publish": "update = false; csync = false;"}, msad=False, two_parents=True)
    world.until(lambda: world.operator("parent list")[0].get("read_at"), "the parent zone read")
    assert len(world.dig(PARENT, ZONE, "DS")) == 2 and not world.audit(source="cds")
    world.start_msad()
    world.settle()
    assert world.has_ds(PARENT2)
    assert world.sent("notify") == 1 and not world.lines("parent-send", what="update")  # answered: not sent again
    assert world.operator("status")["notifies"] == 1
    assert [r["verdict"] for r in world.audit(source="cds")][-1] in ("accepted", "published")
    assert not os.path.exists(world.path("state", "parent-keys"))


def test_notify_csync_is_answered_scanned_and_seen(world):
    """NS and glue of a second server; with CDS and CSYNC both are notified, and each finds what it is for."""
    world.shows_second = False
    world.up(parentd={"sources": '"cds", "csync"', "publish": "update = false;"}, msad=BOTH, two_parents=True,
             two_servers=True, zone="@ CSYNC 0 1 NS A AAAA\n")
    world.settle()
    assert world.has_ds(PARENT2) and world.shows(PARENT, NS, NS2) and world.shows(PARENT2, NS, NS2)
    assert world.operator("status")["notifies"] == world.sent("notify") == 2
    for source in ("cds", "csync"):
        assert [r["verdict"] for r in world.audit(source=source)][-1] in ("accepted", "published"), source


# --- UPDATE -----------------------------------------------------------------------------------------------------------


def test_ns_and_glue_go_by_signed_update_when_agents_manage_them_and_not_under_owner(world):
    world.shows_second = False
    world.up(msad=BOTH, two_servers=True, nsmgmt=w.OWNER)
    world.settle()  # DS; not a word about NS
    assert world.status()["ns_not_sent"] == "the owner manages NS"
    assert world.shows(PARENT, NS)
    accepted = world.audit(source="update", verdict="accepted")
    assert accepted and not any(" NS " in json.dumps(r) and NS2.lower() in json.dumps(r).lower() for r in accepted)
    # The owner hands NS over.
    updates = world.sent("update")
    world.change_zone(f"update delete {ZONE} TYPE65282\nupdate add {ZONE} 5 {w.hsync(w.AGENT_NS)}")
    world.until(lambda: world.shows(PARENT, NS, NS2), "both servers at the parent")
    world.settle()
    assert world.sent("update") == updates + 1 and world.status()["ns_not_sent"] == ""
    # One server goes, and its glue with it.
    world.reload_msad()
    world.change_zone(f"update delete {ZONE} NS ns2.{ZONE}")
    world.until(lambda: world.shows(PARENT, NS), "one server at the parent")
    world.settle()
    assert world.operator("parent show", child=ZONE)["published"]
    assert not [r for r in world.operator("parent show", child=ZONE)["delegation"] if "ns2." in r]


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["upload", "update"])
def test_a_locked_child_is_refused_five_times_and_then_a_person_is_asked_for(world, what):
    """What is refused is the first key, or a change by a key that is trusted."""
    world.up(msad=False)
    if what == "update":
        world.start_msad()
        world.settle()
        world.put_past_back()
    world.operator("parent lock", child=ZONE, why="court order 12")
    before = world.sent(what)
    if what == "update":
        world.sync()
    else:
        world.start_msad()
    s = world.until(lambda: (lambda x: x["phase"] == "held" and x["refused"] == 1 and x)(world.status()), "a refusal")
    assert s["answer"] == LOCKED == s["waiting_for"] and s["next_in_s"] is not None, s
    assert LOCKED in world.msctl_status()
    world.until(lambda: world.status()["phase"] == "stopped", "the end of patience")
    s = world.status()
    assert s["waiting_for"] == f"refused five times in a day: {LOCKED}", s
    assert s["waiting_for"] in world.msctl_status() and world.sent(what) == before + 5
    held = [int(line.split("retry_s=")[1].split()[0]) for line in world.lines("parent-held") if "LOCKED" in line]
    assert len(held) == 4 and held[0] <= 1 and held[-1] >= 5  # longer each time: 1, 2, 4, 8, and a jitter
    # A restart does not start the count anew; a person does.
    world.msad.terminate()
    world.msad.wait(20)
    world.start_msad()
    world.until(lambda: world.status()["phase"] == "stopped", "stopped still")
    assert world.sent(what) == before + 5
    world.operator("parent unlock", child=ZONE)
    world.sync()
    world.settle()
    assert world.status()["refused"] == 0 and world.sent(what) == before + 6


def test_a_server_that_fails_the_checks_is_named_and_comes_right_by_itself(world):
    world.up(two_servers=True, msad=BOTH)
    world.settle()
    world.replace_second()
    world.put_past_back()
    world.sync()
    s = world.until(lambda: (lambda x: x["refused"] >= 1 and x)(world.status()), "a refusal")
    assert s["phase"] != "stopped" and f"ns2.{ZONE}" in s["answer"] and CHILD2 in s["answer"], s
    assert f"ns2.{ZONE}" in world.msctl_status() and len(world.dig(PARENT, ZONE, "DS")) == 2
    world.restore_second()
    world.settle()
    assert world.status()["refused"] == 0


def stall(world):
    """msad is between asking for its key's state and its UPDATE: a server of the parent is silent."""
    world.until(lambda: world.status()["phase"] == "published", "the look at the zone's servers")
    world.knots["parent2"].send_signal(signal.SIGSTOP)
    world.until(lambda: world.status()["phase"] == "compare", "the second look at the parent")


def go_on(world):
    world.knots["parent2"].send_signal(signal.SIGCONT)


def fingerprint(world):
    return world.status()["keys"][0]["sha256"]


def test_a_key_that_is_not_trusted_any_more_waits_and_asks_and_stops_with_the_reason(world):
    """REFUSED 49162 is no end: KeyState tells (7: distrusted by an operator)."""
    world.up(two_parents=True)
    world.settle()
    world.put_past_back()
    world.sync()
    stall(world)
    updates = world.sent("update")
    world.operator("parent reject", child=ZONE, what=fingerprint(world))
    go_on(world)
    world.until(lambda: world.status()["phase"] == "stopped", "the end")
    answers = world.lines("parent-answer", to="update")
    assert "KEY_NOT_TRUSTED" in answers[-1].upper().replace("-", "_") and world.sent("update") == updates + 1
    assert [line for line in world.lines("parent-phase", phase="trust")]
    s = world.status()
    assert s["key_state"] == "REFUSED" and s["waiting_for"] and "REFUSED" in s["waiting_for"], s
    assert s["waiting_for"] in world.msctl_status()
    assert not world.sent("upload") > 1  # never again by itself
    world.operator("parent approve", child=ZONE, what=fingerprint(world))
    world.sync()
    world.settle()


def test_a_key_that_parentd_has_forgotten_is_handed_in_once_more(world):
    """BADKEY in answer to an UPDATE: one bootstrap, and the UPDATE again."""
    world.up(two_parents=True)
    world.settle()
    uploads = world.sent("upload")
    world.put_past_back()
    world.sync()
    stall(world)
    world.operator("parent forget", child=ZONE, what=fingerprint(world))
    go_on(world)
    world.settle()
    assert world.sent("upload") == uploads + 1 and list(world.keys().values()) == ["TRUSTED"]
    assert [line for line in world.lines("parent-answer", to="update") if "BADKEY" in line]


def test_an_answer_of_parentd_that_is_not_signed_is_not_believed(world):
    """Out of its budget for signatures parentd answers strangers without one: no word about a key is taken from that."""
    world.up(parentd={"limits": "signed-refusals-per-s = 0;"})
    world.until(lambda: len(world.lines("parent-answer-not-believed")) >= 2, "answers that are not believed")
    assert not world.sent("upload") and not world.keys() and world.status()["key_state"] is None
    world.reload_parentd(limits="")
    world.sync()
    world.settle()
    assert world.sent("upload") == 1


def test_a_key_whose_validation_fails_stops_msad_with_the_reason(world):
    """parentd does not get to see a signed tree that it trusts."""
    world.up(parentd={"anchor": world.write_anchor("wrong", f". DS {PAST}\n")})
    world.until(lambda: world.lines("parent-answer", to="inquire") and world.status()["phase"] == "stopped", "the end")
    assert world.lines("parent-phase", phase="trust")  # first it waited
    s = world.status()
    assert s["key_state"] == "VALIDATION-FAILED" or s["key_state"] == "VALIDATION_FAILED", s
    assert "VALIDATION" in s["waiting_for"] and s["waiting_for"] in world.msctl_status()
    assert world.sent("upload") == 1 and world.sent("update") == 0
    assert list(world.keys().values()) == ["FAILED"]


# --- keys -------------------------------------------------------------------------------------------------------------


def test_a_key_of_another_provider_stays_trusted_beside_ours(world):
    world.up(msad=False, parentd={"bootstrap": '"manual"'})
    other = world.make_key(ZONE, "HOST")
    text = world.key_text(other)
    server = f"server {RECEIVER} 5353\nzone example.\n"
    world.nsupdate(f"{server}update add {ZONE} 3600 KEY {text}\nsend\n", key=other)
    world.operator("parent approve", child=ZONE,
                   what=world.operator("parent show", child=ZONE)["keys"][0]["fingerprint"])
    other_tag = world.tag_of(other)
    assert world.keys() == {other_tag: "TRUSTED"}
    world.reload_parentd(bootstrap='"at-apex"')
    world.start_msad()
    world.settle()
    ours = world.status()["keys"][0]["tag"]
    assert world.keys() == {other_tag: "TRUSTED", ours: "TRUSTED"}
    # Both keys are good for a change.
    world.nsupdate(f"{server}update add {ZONE} 5 DS {PAST}\nsend\n", key=other)
    world.until(lambda: len(world.dig(PARENT, ZONE, "DS")) == 2, "the other provider's change")
    world.sync()
    world.settle()
    # Only who asks for it takes a key away, and only the own one: a rollover.
    assert world.ctl("parent roll", zone=ZONE)["ok"]
    world.until(lambda: not world.status()["rolling"] and world.status()["keys"][0]["tag"] != ours, "a new key")
    world.settle()
    assert world.keys() == {other_tag: "TRUSTED", world.status()["keys"][0]["tag"]: "TRUSTED"}
    # The request to be the only one (DEL ANY, ADD) is the other's own, and explicit.
    world.nsupdate(f"{server}update delete {ZONE} KEY\nupdate add {ZONE} 3600 KEY {text}\nsend\n", key=other)
    assert world.keys() == {other_tag: "TRUSTED"}


def test_the_receivers_key_is_rolled_while_msad_works(world):
    """
    parentd(8): publish the new key beside the old one; a TTL later let it sign; take the old one out. msad asks for its
    key's state all the while, each answer is signed by a key that is published, and each is believed.
    """
    world.up(parentd={"bootstrap": '"manual"'})
    world.until(lambda: world.status()["key_state"] == "BOOTSTRAP-MANUAL" or world.status()["key_state"] == "BOOTSTRAP_MANUAL",
                "the wait for an operator")
    old, new = world.receiver_keys[0], world.make_key(TARGET, "USER")

    def a_ttl():
        """What was published before is in no cache any more, and msad has been at it."""
        answers, end = len(world.lines("parent-answer")), time.monotonic() + TTL + 1
        world.until(lambda: time.monotonic() > end and len(world.lines("parent-answer")) >= answers + 2, "answers")

    for keys in ([old, new], [new, old], [new]):
        world.reload_parentd(keys=keys)
        world.until(lambda: world.published(keys), "the receiver's keys")
        a_ttl()
    world.operator("parent approve", child=ZONE, what=fingerprint(world))
    world.settle()
    assert not world.lines("parent-answer-not-believed") and "not signed" not in world.log()
    assert world.sent("upload") == 1 and world.sent("update") == 1


def test_answers_by_a_key_that_is_not_published_are_not_believed(world):
    """An operator who swaps the signer's key before it is published."""
    world.up()
    world.settle()
    old, new = world.receiver_keys[0], world.make_key(TARGET, "USER")
    world.put_past_back()
    # parentd signs with the new one; the parent zone is made to show the old one again.
    world.reload_parentd(keys=[new])
    world.until(lambda: world.published([new]), "the new key")
    world.put_receiver_key(old)
    updates = world.sent("update")
    world.sync()
    world.until(lambda: len(world.lines("parent-answer-not-believed")) >= 2, "answers that are not believed")
    assert world.sent("update") == updates and len(world.dig(PARENT, ZONE, "DS")) == 2
    world.put_receiver_key(new)
    world.sync()
    world.settle()


# --- what all servers of the parent show ------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["lags", "is silent"])
def test_a_server_of_the_parent_that_lags_keeps_msad_waiting(world, how):
    world.up(two_parents=True)
    world.settle()
    world.put_past_back()
    world.until(lambda: len(world.dig(PARENT2, ZONE, "DS")) == 2, "the same at both servers")
    updates = world.sent("update")
    world.sync()
    if how == "lags":
        world.knotc("parent2", "zone-freeze", "example.")
    world.until(lambda: world.sent("update") > updates, "the UPDATE")
    if how == "is silent":
        world.knots["parent2"].send_signal(signal.SIGSTOP)
    world.until(world.has_ds, "the change at the first server")
    s = world.until(lambda: (lambda x: x["phase"] == "confirm" and "ns2.example." in x["waiting_for"] and x)(world.status()),
                    "the wait for the second server")
    assert not s["in_sync"] and "ns2.example." in world.msctl_status()
    looks = len(world.lines("parent-phase"))
    assert looks and world.sent("update") == updates + 1
    if how == "lags":
        world.knotc("parent2", "zone-thaw", "example.")
        world.knotc("parent2", "zone-refresh", "example.")
    else:
        world.knots["parent2"].send_signal(signal.SIGCONT)
    world.settle()
    assert world.has_ds(PARENT2) and world.sent("update") == updates + 1
