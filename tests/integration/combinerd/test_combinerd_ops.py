# SPDX-License-Identifier: BSD-2-Clause
"""What an operator sees and does: msctl combiner list, show, diff, retransfer, freeze, thaw, accept, audit, drop."""
import json
import os
import socket
import subprocess
import time

import dns.rcode
import pytest

import cmbharness as h

DNSKEY = "257 3 13 " + "mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ=="
CDS = "60485 13 2 " + "D4B7D520E7BB5F0F67674A0CCEB1E3E0614B93C4F9E99B8383F6A1E4469DA50A"
MSCTL = os.path.join(h.BUILD, "tools/msctl/msctl")


def msctl(comb, *args, code=0, as_json=True):
    p = subprocess.run([MSCTL, *(["--json"] if as_json else []), "--socket", comb.control, "combiner", *args], capture_output=True,
                       text=True, timeout=60)
    assert p.returncode == code, (p.returncode, p.stdout, p.stderr)
    if code:
        return p.stderr
    return json.loads(p.stdout) if as_json and p.stdout.strip() else p.stdout


def many(count):
    return [f"n{i}.{h.ZONE} 300 IN A 192.0.2.{i % 250 + 1}" for i in range(count)]


def test_show_tells_who_set_what_when_and_what_is_served(pair):
    _, comb = pair
    before = int(time.time())
    assert comb.rcode(("add", 10, "DNSKEY", DNSKEY)) == "NOERROR"
    assert comb.rcode(("add", 10, "CDS", CDS)) == "NOERROR"
    h.wait_for(lambda: comb.soa("msad.") == 1002 or "CDS" in comb.show()["served"])
    show = msctl(comb, "show", h.ZONE)
    assert show["zone"] == h.ZONE and show["state"] == "serving" and show["owner_serial"] == 1000
    assert show["serial"] == comb.soa("msad.") > 1000
    assert [(c["originator"], c["type"], c["set_by"]) for c in show["contributions"]] == [
        ("local.", "DNSKEY", "msad."), ("local.", "CDS", "msad.")]
    assert all(before <= c["set_at"] <= time.time() + 1 for c in show["contributions"])
    assert "DNSKEY" in show["served"] and "DNSKEY" not in show["owner"] and len(show["owner"]["NS"]) == 2
    assert f" {show['serial']} " in show["served"]["SOA"][0] and " 1000 " in show["owner"]["SOA"][0]
    assert show["primaries"][0]["in_use"] is True and show["primaries"][0]["key"] == "owner."
    assert show["refresh_failures"] == 0 and show["expires_s"] > 0 and show["next_refresh_s"] >= 0
    assert "held" not in show and "frozen" not in show and "last_error" not in show
    text = msctl(comb, "show", h.ZONE, as_json=False)
    assert "contributions:" in text and "msad." in text


def test_signers_that_do_not_answer_are_named(servers, base):
    owner = servers(h.Nsd(base, "owner", h.zone_text(1)))
    nobody = (h.address(), 5300)
    comb = servers(h.Combinerd(base, [owner.where()], signers=[nobody]))
    owner.start()
    comb.start()
    one = h.wait_for(lambda: [s for s in comb.show()["signers"] if s["acknowledged"] is False and s["tries"] >= 1])[0]
    assert one["address"] == f"{nobody[0]}:5300" and one["notified_serial"] == 1
    assert "signers" in comb.show()["waiting_for"]
    assert comb.ctl("combiner list", state="untold")[0]["zone"] == h.ZONE


def test_diff_shows_both_sides_and_what_was_contributed(pair):
    _, comb = pair
    assert comb.rcode(("add", 10, "DNSKEY", DNSKEY)) == "NOERROR"
    h.wait_for(lambda: comb.soa("msad.") == 1001)
    diff = msctl(comb, "diff", h.ZONE)
    assert [d["type"] for d in diff] == ["DNSKEY"] and diff[0]["owner"] == [] and len(diff[0]["served"]) == 1
    assert diff[0]["contributed"] == [{"originator": "local.", "records": diff[0]["served"]}]
    assert msctl(comb, "diff", h.ZONE, as_json=False).splitlines()[1].startswith("+")


def test_freeze_stops_owner_and_agents_until_thawed_and_outlives_a_restart(pair):
    owner, comb = pair
    msctl(comb, "freeze", h.ZONE)
    assert "frozen" in msctl(comb, "freeze", h.ZONE, code=1)
    show = comb.show()
    assert show["frozen"] is True and "thaw" in show["waiting_for"] and show["state"] == "serving"
    assert comb.update(("add", 10, "DNSKEY", DNSKEY)).rcode() != dns.rcode.NOERROR
    owner.change(h.zone_text(1001))
    h.wait_for(lambda: owner.soa("owner.") == 1001)
    assert comb.soa("msad.") == 1000
    assert "thaw" in msctl(comb, "retransfer", h.ZONE, code=1)
    comb.stop()
    comb.start()
    assert comb.show()["frozen"] is True and comb.soa("msad.") == 1000
    assert [z["zone"] for z in msctl(comb, "list", "frozen")] == [h.ZONE]
    msctl(comb, "thaw", h.ZONE)
    assert "not frozen" in msctl(comb, "thaw", h.ZONE, code=1)
    assert "frozen" not in comb.show()
    comb.ctl("combiner retransfer", zone=h.ZONE)
    h.wait_for(lambda: comb.soa("msad.") >= 1001)
    assert comb.rcode(("add", 10, "DNSKEY", DNSKEY)) == "NOERROR"
    what = [a["what"] for a in msctl(comb, "audit", h.ZONE)]
    assert [w for w in what if "frozen" in w or "thawed" in w] == ["frozen", "thawed"]


def test_a_version_that_shrinks_is_held_and_accepted(servers, base):
    owner = servers(h.Nsd(base, "owner", h.zone_text(10, many(200))))
    comb = servers(h.Combinerd(base, [owner.where()], zone_settings="max-shrink = 30;"))
    owner.notify = comb.where()
    owner.start()
    comb.start()
    assert "no version" in msctl(comb, "accept", h.ZONE, code=1)
    owner.change(h.zone_text(11, many(20)))
    show = h.wait_for(lambda: comb.show() if comb.show().get("held") else None, message="held back")
    assert comb.soa("msad.") == 10
    assert show["held"]["owner_serial"] == 11 and show["held"]["records"] < 40 < 150 < show["held"]["records_served"]
    assert show["held"]["reason"] and "accept" in show["waiting_for"] and show["held_back"] is True
    assert msctl(comb, "list", "held")[0]["last_error"]
    msctl(comb, "accept", h.ZONE)
    h.wait_for(lambda: comb.soa("msad.") == 11)
    show = comb.show()
    assert "held" not in show and "last_error" not in show
    assert any("accepted" in a["what"] and a["who"] == "operator" for a in msctl(comb, "audit", h.ZONE))


def test_audit_and_drop(pair):
    _, comb = pair
    assert comb.rcode(("add", 10, "DNSKEY", DNSKEY)) == "NOERROR"
    h.wait_for(lambda: comb.soa("msad.") == 1001)
    audit = msctl(comb, "audit", h.ZONE)
    assert audit[0]["who"] == "msad." and audit[0]["originator"] == "local." and "DNSKEY" in audit[0]["what"]
    assert [a["seq"] for a in audit] == list(range(1, len(audit) + 1))
    assert "nothing of" in msctl(comb, "drop", h.ZONE, "msa.nobody.", code=1)
    msctl(comb, "drop", h.ZONE, "local.")
    h.wait_for(lambda: comb.soa("msad.") == 1002)
    assert comb.show()["contributions"] == [] and "DNSKEY" not in comb.show()["served"]
    assert "nothing of" in msctl(comb, "drop", h.ZONE, "*", code=1)
    last = msctl(comb, "audit", h.ZONE)[-1]
    assert last["who"] == "operator" and "local." in last["what"]
    assert msctl(comb, "audit", h.ZONE, str(last["seq"])) == [last]
    assert comb.rcode(("add", 10, "DNSKEY", DNSKEY)) == "NOERROR"
    msctl(comb, "drop", h.ZONE, "*")
    assert comb.show()["contributions"] == []


def test_retransfer_force_gives_up_a_primary_that_hangs(servers, base):
    hung = socket.create_server((h.address(), 0))  # takes connections and says nothing; over UDP it refuses
    hung.settimeout(20)
    owner = servers(h.Nsd(base, "owner", h.zone_text(5)))
    comb = servers(h.Combinerd(base, [hung.getsockname()], zone_settings="transfer-idle = 600;"))
    owner.start()
    comb.start(wait=False)
    first, _ = hung.accept()
    show = h.wait_for(lambda: comb.show() if "under way" in comb.show().get("waiting_for", "") else None)
    assert show["state"] == "not transferred yet" and f"{hung.getsockname()[0]}:" in show["waiting_for"]
    assert "retransfer ZONE [force]" in msctl(comb, "retransfer", h.ZONE, "now", code=1)
    msctl(comb, "retransfer", h.ZONE, "force")
    second, _ = hung.accept()  # at once, not when the first one has timed out
    assert first.recv(65536) and first.recv(65536) == b""
    comb.primaries = [owner.where()]
    comb.configure()
    comb.signal(1)
    h.wait_for(lambda: "reload" in comb.log_text())
    msctl(comb, "retransfer", h.ZONE, "force")
    h.wait_for(lambda: comb.soa("msad.") == 5)
    for s in (first, second, hung):
        s.close()


def test_what_is_wrong_is_told(pair):
    _, comb = pair
    for verb in ("show", "diff", "retransfer", "freeze", "thaw", "accept", "audit"):
        assert "not configured" in msctl(comb, verb, "other.test.", code=1)
        assert "not a domain name" in msctl(comb, verb, "a..b", code=1)
        assert comb.ctl(f"combiner {verb}", raw=True)["error"] == "EVALUE"
    assert "not configured" in msctl(comb, "drop", "other.test.", "x.", code=1)
    assert comb.ctl("combiner drop", raw=True, zone=h.ZONE)["error"] == "EVALUE"
    assert "state" in msctl(comb, "list", "nonsense", code=1)
    for args in ({"limit": "x"}, {"limit": 1001}, {"limit": -1}, {"after": "a..b"}, {"under": ""}, {"limit": [1]}):
        assert comb.ctl("combiner list", raw=True, **args)["ok"] is False, args
    assert comb.ctl("combiner audit", raw=True, zone=h.ZONE, **{"from": "-1"})["ok"] is False


class Many(h.Combinerd):
    """Beside the zone of the tests, many that no primary has."""

    def __init__(self, base, primaries, count):
        self.names = [f"z{i:05}.many.test." for i in range(count)]
        super().__init__(base, primaries, settings="")

    def configure(self):
        super().configure()
        with open(self.conf) as f:
            text = f.read()
        more = "".join(f', {{ name = "{n}"; identity = "{self.identity}"; signers = ( {{ address = "{self.addr}"; port = 9; unsigned = true; }} );'
                       f' primaries = ( {{ address = "{self.addr}"; port = 9; unsigned = true; }} ); agents = ( {{ tsig-key = "msad."; }} ); }}'
                       for n in self.names)
        at = text.rindex(");")
        h.write(self.conf, text[:at] + more + text[at:])


@pytest.fixture
def crowd(servers, base):
    owner = servers(h.Nsd(base, "owner", h.zone_text(7)))
    comb = servers(Many(base, [owner.where()], 2500))
    owner.start()
    comb.start(wait=False)
    h.wait_for(lambda: comb.soa("msad."), timeout=60)
    return comb


def test_a_list_of_many_zones_comes_in_pieces(crowd):
    comb = crowd
    first = comb.ctl("combiner list")
    assert len(first) == 1000 and first[0]["zone"] == comb.names[0] and first[0]["state"] == "not transferred yet"
    second = comb.ctl("combiner list", after=first[-1]["zone"], limit=3)
    assert [z["zone"] for z in second] == comb.names[1000:1003]
    assert comb.ctl("combiner list", after=h.ZONE) == []
    everything = msctl(comb, "list")
    assert [z["zone"] for z in everything] == comb.names + [h.ZONE]
    assert len(msctl(comb, "list", "never")) == 2500
    assert [z["zone"] for z in msctl(comb, "list", "serving")] == [h.ZONE]
    assert [z["zone"] for z in comb.ctl("combiner list", under="zone.test.")] == [h.ZONE]
    assert len(comb.ctl("combiner list", under="z00007.many.test.")) == 1
    status = comb.ctl("status")
    assert (status["zones"], status["zones_serving"], status["zones_by_state"]["never"]) == (2501, 1, 2500)
