# SPDX-License-Identifier: BSD-2-Clause
"""The operator's side: every command of msctl for parentd, and acting as a child from anywhere."""

import json
import os
import sqlite3
import subprocess
import urllib.request

import pytest

import parent as h
import primaries

DS = "12345 13 2 " + "ab" * 32


def msctl(p, *args, code=0, stdin=None, as_json=True):
    r = subprocess.run([h.MSCTL, *(["--json"] if as_json else []), "--socket", p.control, *args], text=True, capture_output=True,
                       input=stdin, timeout=h.LIMIT_S)
    assert r.returncode == code, (r.stdout, r.stderr)
    return json.loads(r.stdout) if as_json and code == 0 and r.stdout else r.stdout + r.stderr


def records(child=h.CHILD, ns=("ns.one.test.", "ns.two.test."), more=()):
    return "".join(f"{child} 300 IN NS {n}\n" for n in ns) + "".join(f"{m}\n" for m in more)


def test_add_show_and_list(parent):
    for i in range(5):
        msctl(parent, "parent", "add", f"c{i}.example.", "-", stdin=records(f"c{i}.example."))
    rows = msctl(parent, "parent", "children")
    assert [r["child"] for r in rows] == [f"c{i}.example." for i in range(5)] and all(r["ns"] == 2 for r in rows)
    assert msctl(parent, "parent", "show", "c3.example.")["delegation"] == [
        "c3.example. 300 IN NS ns.one.test.", "c3.example. 300 IN NS ns.two.test."]
    assert msctl(parent, "parent", "list")[0]["policy"] == "usual"
    assert "no such child" in msctl(parent, "parent", "show", "nobody.example.", code=1)
    assert "below no parent" in msctl(parent, "parent", "show", "child.other.", code=1)
    assert "state: locked" in msctl(parent, "parent", "children", "green", code=1)
    assert "line 2" in msctl(parent, "parent", "add", "x.example.", "-", stdin="x.example. NS a.\nx.example. TXT oops\n", code=1)


def test_lists_come_in_pieces(parent):
    names = [f"c{i:04}.example." for i in range(30)]
    for n in names:
        parent.ctl("parent add", child=n, records=records(n))
    got, after = [], None
    while True:
        answer = parent.ctl("parent children", limit=7, **({"after": after} if after else {}))
        got += [r["child"] for r in answer["rows"]]
        after = answer.get("after")
        if after is None:
            break
    assert got == names


def test_keys_by_fingerprint(parent):
    parent.add_child()
    k = h.ChildKey()
    parent.upload(k)
    assert [r["fingerprint"] for r in msctl(parent, "parent", "keys")] == [k.fingerprint]
    assert [r["state"] for r in msctl(parent, "parent", "keys", h.CHILD)] == ["MANUAL"]
    assert [r["child"] for r in msctl(parent, "parent", "children", "operator")] == [h.CHILD]
    assert "64 hexadecimal digits" in msctl(parent, "parent", "approve", h.CHILD, "12345", code=1)
    msctl(parent, "parent", "approve", h.CHILD, "ff" * 32, code=1)  # nobody has it
    msctl(parent, "parent", "approve", h.CHILD, ":".join(k.fingerprint[i:i + 2] for i in range(0, 64, 2)))
    assert parent.keystate(k).state == h.STATE["TRUSTED"]
    msctl(parent, "parent", "reject", h.CHILD, k.fingerprint)
    assert parent.keystate(k).state == h.STATE["REFUSED"]
    msctl(parent, "parent", "forget", h.CHILD, k.fingerprint)
    assert parent.keystate(k).state == h.STATE["UNKNOWN"]
    who = [r["who"] for r in msctl(parent, "parent", "audit", h.CHILD) if r["who"].startswith("operator")]
    assert any(len(w.split()) == 2 and w.split()[1] != "-" for w in who), who


def test_lock_and_unlock(parent, key):
    msctl(parent, "parent", "lock", h.CHILD, "court order")
    a = parent.update(key, h.replace_ns(h.CHILD, ["ns1.test.", "ns2.test."]))
    assert (a.rcode, a.ede_codes) == ("REFUSED", [h.EDE["LOCKED"]])
    assert msctl(parent, "parent", "show", h.CHILD)["lock_why"] == "court order"
    assert [r["child"] for r in msctl(parent, "parent", "children", "locked")] == [h.CHILD]
    msctl(parent, "parent", "unlock", h.CHILD)
    assert parent.update(key, h.replace_ns(h.CHILD, ["ns1.test.", "ns2.test."])).rcode == "NOERROR"


def test_propose_approve_reject(servers, base):
    p = servers(h.Parentd(base, policy=dict(mode="propose"))).start()
    key = h.ChildKey()
    p.add_child(keys=[key])
    for verb, after in (("reject", ["ns.one.test.", "ns.two.test."]), ("approve", ["ns1.test.", "ns2.test."])):
        assert p.update(key, h.replace_ns(h.CHILD, ["ns1.test.", "ns2.test."])).rcode == "NOERROR"
        assert p.ns() == ["ns.one.test.", "ns.two.test."]
        shown = msctl(p, "parent", "show", h.CHILD)
        assert shown["pending"]["who"] == f"key {key.tag}" and len(shown["pending"]["wanted"]) == 2
        digest = shown["pending"]["digest"]
        assert "another one" in msctl(p, "parent", verb, h.CHILD, digest[:-1] + ("0" if digest[-1] != "0" else "1"), code=1)
        msctl(p, "parent", verb, h.CHILD, digest)
        assert p.ns() == after
    msctl(p, "parent", "approve", h.CHILD, digest, code=1)  # nothing waits


def test_a_change_that_was_not_looked_at_is_not_approved(servers, base):
    """Between `show` and `approve` the child puts another change in place of the one that waits."""
    p = servers(h.Parentd(base, policy=dict(mode="propose"))).start()
    key = h.ChildKey()
    p.add_child(keys=[key])
    assert p.update(key, h.replace_ns(h.CHILD, ["ns1.test.", "ns2.test."])).rcode == "NOERROR"
    seen = msctl(p, "parent", "show", h.CHILD)["pending"]["digest"]
    assert p.update(key, h.replace_ns(h.CHILD, ["ns1.evil.test.", "ns2.evil.test."])).rcode == "NOERROR"
    assert "another one" in msctl(p, "parent", "approve", h.CHILD, seen, "force", code=1)
    assert p.ns() == ["ns.one.test.", "ns.two.test."]
    msctl(p, "parent", "reject", h.CHILD)
    assert "pending" not in msctl(p, "parent", "show", h.CHILD)


def test_a_child_is_added_once(parent, key):
    """Adding it again is no way around locks and gates."""
    assert "there already" in msctl(parent, "parent", "add", h.CHILD, "-", stdin=records(ns=("a.evil.test.", "b.evil.test.")), code=1)
    assert parent.ns() == ["ns.one.test.", "ns.two.test."]


def test_set_and_rollback(parent, key):
    assert parent.update(key, h.replace_ns(h.CHILD, ["ns1.test.", "ns2.test."])).rcode == "NOERROR"
    seq = [r["seq"] for r in msctl(parent, "parent", "audit", h.CHILD) if r["verdict"] == "accepted"][-1]
    msctl(parent, "parent", "rollback", str(seq))
    assert parent.ns() == ["ns.one.test.", "ns.two.test."]
    msctl(parent, "parent", "set", h.CHILD, "-", stdin=records(ns=("ns7.test.", "ns8.test.")))
    assert parent.ns() == ["ns7.test.", "ns8.test."]
    # the gates hold for operators, too, unless they say force
    msctl(parent, "parent", "set", h.CHILD, "-", stdin=records(ns=("ns7.test.",)), code=1)
    msctl(parent, "parent", "set", h.CHILD, "-", "force", stdin=records(ns=("ns7.test.",)))
    assert parent.ns() == ["ns7.test."]
    msctl(parent, "parent", "rollback", "1000000", code=1)


def test_policy_test_says_what_would_happen_and_changes_nothing(parent, key):
    before = parent.records()
    cases = [(records(ns=("ns1.test.", "ns2.test.")), "allowed", None), (records(ns=("ns1.test.",)), "refused", "shape"),
             (records(ns=("ns1.child.example.", "ns2.test.")), "refused", "shape")]
    for text, decision, rule in cases:
        r = msctl(parent, "parent", "policy", "test", h.CHILD, "update", "-", stdin=text)
        assert r["decision"] == decision and (rule is None or r["rule"] == rule), r
    r = msctl(parent, "parent", "policy", "test", h.CHILD, "tsig", "-", stdin=records(ns=("ns1.test.", "ns2.test.")))
    assert r["decision"] == "refused" and r["rule"]
    assert parent.records() == before and msctl(parent, "parent", "audit", h.CHILD)[-1]["verdict"] != "accepted"


def test_the_audit_trail_is_whole_and_a_change_of_it_shows(servers, base):
    p = servers(h.Parentd(base)).start()
    key = h.ChildKey()
    p.add_child(keys=[key])
    for n in range(20):
        assert p.update(key, h.replace_ns(h.CHILD, [f"ns{n}.test.", "ns.two.test."])).rcode == "NOERROR"
    h.wait_for(lambda: msctl(p, "parent", "children", "unpublished") == [])
    rows = msctl(p, "parent", "audit")
    assert [r["seq"] for r in rows] == list(range(1, len(rows) + 1))
    last = [r for r in rows if r["verdict"] == "accepted"][-1]
    assert last["before"] != last["after"] and last["who"] == f"key {key.tag}"
    assert msctl(p, "parent", "verify")["to"] == len(rows)
    assert [r["seq"] for r in msctl(p, "parent", "audit", "5")] == list(range(5, len(rows) + 1))
    p.stop()
    db = sqlite3.connect(f"{p.dir}/state/parentd.db")
    at, value = db.execute("select key, value from kv where bucket = 'audit' order by key limit 1 offset 9").fetchone()
    db.execute("update kv set value = ? where bucket = 'audit' and key = ?", (value[:-1] + bytes([value[-1] ^ 1]), at))
    db.commit()
    db.close()
    p.start()
    text = msctl(p, "parent", "verify", code=1)
    assert "10" in text or "11" in text, text  # the record itself, or the one behind it


@pytest.mark.parametrize("how", ["delete from kv where rowid in (select rowid from kv where bucket = 'audit' "
                                 "order by key desc limit 3)",
                                 "delete from kv where bucket = 'audit'"])
def test_an_audit_trail_that_lost_its_end_is_not_whole(servers, base, how):
    p = servers(h.Parentd(base)).start()
    key = h.ChildKey()
    p.add_child(keys=[key])
    for n in range(5):
        assert p.update(key, h.replace_ns(h.CHILD, [f"ns{n}.test.", "ns.two.test."])).rcode == "NOERROR"
    h.wait_for(lambda: msctl(p, "parent", "children", "unpublished") == [])
    last = msctl(p, "parent", "verify")["to"]
    p.stop()
    db = sqlite3.connect(f"{p.dir}/state/parentd.db")
    assert db.execute(how.replace("rowid", "key")).rowcount > 0
    db.commit()
    db.close()
    p.start()
    text = msctl(p, "parent", "verify", code=1)
    assert f"there have been {last}" in text, text


def test_acting_as_a_child(parent, tmp_path):
    parent.add_child()
    key = h.ChildKey()
    path = key.save(str(tmp_path))
    receiver = os.path.join(parent.dir, os.path.basename(parent.key_path).replace(".private", ".key"))
    opts = ["--key", path, "--peer-key", receiver, "--port", str(parent.port), f"@{parent.addr}"]
    assert msctl(parent, "query", "keystate", *opts, h.CHILD)["state"] == "UNKNOWN"
    r = msctl(parent, "query", "update", *opts, h.CHILD, h.PARENT, "-", stdin=f"add @ 300 KEY {key.text}\n")
    assert (r["rcode"], r["signature"], r["state"]) == ("NOERROR", "verified", "BOOTSTRAP_MANUAL")
    msctl(parent, "parent", "approve", h.CHILD, key.fingerprint)
    changes = f"; a comment\ndelete {h.CHILD} NS\nadd {h.CHILD} 300 NS ns1.test.\nadd @ NS ns2.test.\nadd @ DS {DS}\n"
    assert msctl(parent, "query", "update", *opts, h.CHILD, h.PARENT, "-", stdin=changes)["rcode"] == "NOERROR"
    assert parent.ns() == ["ns1.test.", "ns2.test."]
    refused = msctl(parent, "query", "update", *opts, h.CHILD, h.PARENT, "-", stdin="add @ TXT x\n", code=1)
    assert "UPDATE_TYPE" in refused
    assert "line 1" in msctl(parent, "query", "update", *opts, h.CHILD, h.PARENT, "-", stdin="put @ NS x.\n", code=1)


def test_status_metrics_and_health(servers, base):
    port = primaries.free_port()
    p = servers(h.Parentd(base, settings=f'metrics : {{ address = "127.0.0.1"; port = {port}; }};')).start()
    key = h.ChildKey()
    p.add_child(keys=[key])
    assert p.update(key, h.replace_ns(h.CHILD, ["ns1.test.", "ns2.test."])).rcode == "NOERROR"
    p.update(h.ChildKey(), h.replace_ns(h.CHILD, ["ns3.test.", "ns4.test."]))

    def get(path):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=h.LIMIT_S) as r:
            return r.read().decode()

    text = get("/metrics")
    values = dict(line.split() for line in text.splitlines() if line and line[0] != "#" and "{" not in line)
    assert values["parentd_updates_total"] == "3" and values["parentd_unknown_keys_total"] == "1"
    assert values["parentd_changes_total"] == "1"
    assert get("/healthz") == "ok\n"
    s = msctl(p, "status")
    assert s["daemon"] == "parentd" and s["updates"] == 3
    msctl(p, "parent", "set", h.CHILD, "-", stdin=records(ns=("ns7.test.", "ns8.test.")))
    assert msctl(p, "status")["changes"] == 2  # whoever made them


def test_without_a_backend_what_is_accepted_is_published(servers, base):
    p = servers(h.Parentd(base)).start()
    key = h.ChildKey()
    p.add_child(keys=[key])
    assert p.update(key, h.replace_ns(h.CHILD, ["ns1.test.", "ns2.test."])).rcode == "NOERROR"
    h.wait_for(lambda: msctl(p, "parent", "children", "unpublished") == [])
    h.wait_for(lambda: msctl(p, "parent", "backends")[0]["behind"] == 0)
    b, = msctl(p, "parent", "backends")
    assert b["backend"] == "none" and not b["down"] and b["set_aside"] == 0 and "standby" not in b


@pytest.mark.parametrize("text, says", [
    ('policies = ( { name = "usual"; sources = [ "everybody" ]; } );', "everybody"),
    ('policies = ( { name = "usual"; ns-min = 5; ns-max = 2; } );', "ns-min is above ns-max"),
    ('registrars = ( { tsig-key = "nobody."; all = true; } );', "not in tsig-keys"),
    ('children = ( { zone = "a.example."; policy = "none"; } );', "no such policy"),
    ('store = "postgresql";', "store-path"),
    ('nonsense = 1;', "nonsense"),
])
def test_bad_settings_are_named(servers, base, text, says):
    p = h.Parentd(base)
    with open(p.conf) as f:
        good = f.read()
    if text.startswith("policies"):
        good = "\n".join(line for line in good.splitlines() if not line.startswith("policies"))
    h.write(p.conf, good + "\n" + text + "\n")
    r = subprocess.run([h.MSCTL, "conf", "check", "parentd", p.conf], text=True, capture_output=True)
    assert r.returncode != 0 and says in r.stdout + r.stderr, r


def test_the_example_is_good(base):
    """But for the files that it names."""
    r = subprocess.run([h.PARENTD, "-n", "-c", os.path.join(h.ROOT, "packaging/examples/parentd.conf")], text=True,
                       capture_output=True)
    assert r.returncode == 0, r.stderr


def test_children_of_a_parent_that_is_not_configured_any_more_are_left_as_they_are(servers, base):
    p = servers(h.Parentd(base, parents=("example.", "other."), policy=dict(bootstrap=["at-ns"], bootstrap_retry=1))).start()
    for zone in p.parents:
        p.add_child("child." + zone)
        assert p.upload(h.ChildKey("child." + zone), zone=zone).rcode == "NOERROR"

    def other():
        return p.show("child.other.")["keys"][0]

    before = other()
    p.stop()
    p.parents = ("other.",)
    p.configure()
    p.start()
    # both are due, and the one that cannot be seen to comes first
    h.wait_for(lambda: other() != before, message="the other one is looked at")
    assert "below no parent" in msctl(p, "parent", "show", "child.example.", code=1)
    p.parents = ("example.", "other.")
    p.reload()
    assert [k["state"] for k in p.show("child.example.")["keys"]] == ["KNOWN"]
