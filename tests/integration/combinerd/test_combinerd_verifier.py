# SPDX-License-Identifier: BSD-2-Clause
"""The verifier and ZONEMD. Digests are checked by dnspython, knotd and ldns-verify-zone, none of which know ours."""
import os
import shutil
import subprocess
import sys

import dns.dnssec
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.zone
import pytest

import cmbharness as h
import cmbmodel as m

DNSKEY = "257 3 13 " + "mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ=="
PLACEHOLDERS = [f"{h.ZONE} 77 IN ZONEMD 1 1 1 {'00' * 48}", f"{h.ZONE} 77 IN ZONEMD 1 1 2 {'00' * 64}",
                f"{h.ZONE} 77 IN ZONEMD 1 1 240 {'00' * 12}"]
MIXED = [f"B.{h.ZONE} 60 IN MX 10 Mail.{h.ZONE}", f"a.b.{h.ZONE} 60 IN A 192.0.2.1", f"a.b.{h.ZONE} 60 IN AAAA 2001:db8::1",
         f"*.{h.ZONE} 60 IN TXT \"wild\" \"card\"", f"\\000.{h.ZONE} 60 IN A 192.0.2.3", f"sub.{h.ZONE} 60 IN NS ns.sub.{h.ZONE}",
         f"ns.sub.{h.ZONE} 60 IN A 192.0.2.7", f"_s._tcp.{h.ZONE} 60 IN SRV 1 2 3 Target.{h.ZONE}"]

VERIFIER = """#!{python}
import sys, os
zone, serial = sys.argv[1:3]
lines = sys.stdin.read().splitlines()
assert lines[0].split()[:4:3] == [zone, "SOA"] and lines[0].split()[6] == serial, lines[0]
with open("{log}", "a") as f:
    f.write(f"{{zone}} {{serial}} {{len(lines)}}\\n")
if any(" TXT " in l and "poison" in l for l in lines):
    print("looked at", len(lines), "records")
    print("record with poison", file=sys.stderr)
    sys.exit(1)
if any("sleepy" in l for l in lines):
    import time
    time.sleep(1000)
"""


def records_of(comb):
    return comb.axfr()


def as_zone(records):
    z = dns.zone.Zone(dns.name.from_text(h.ZONE), relativize=False)
    for name, ttl, rdtype, wire in records:
        t = dns.rdatatype.from_text(rdtype)
        rd = dns.rdata.from_wire(dns.rdataclass.IN, t, wire, 0, len(wire))
        z.find_rdataset(dns.name.from_text(name), t, rd.covers(), create=True).add(rd, ttl)
    return z


def zonemds(records):
    return sorted((r[3][0:4], r[3][4], r[3][5]) for r in records if r[2] == "ZONEMD")


def check_digests(records, hashes=(1, 2)):
    serial = h.serial_of(records)
    got = {r[3][5]: r for r in records if r[2] == "ZONEMD"}
    assert set(got) == set(hashes)
    z = as_zone(records)
    for alg, r in got.items():
        assert r[3][:6] == serial.to_bytes(4, "big") + bytes([1, alg]) and r[1] == 77
        assert z._compute_digest(alg) == r[3][6:], alg
    z.verify_digest()


@pytest.fixture
def inspected(servers, base):
    def start(owner_text, zone_settings, kind=h.Nsd, **kw):
        owner = servers(kind(base, "owner", owner_text))
        comb = servers(h.Combinerd(base, [owner.where()], zone_settings=zone_settings, **kw))
        owner.notify = comb.where()
        owner.start()
        return owner, comb
    return start


def verifier(base, extra=""):
    path, log = os.path.join(base, "verify"), os.path.join(base, "verify.log")
    h.write(path, VERIFIER.format(python="/usr/bin/python3", log=log), 0o755)
    return f'verifier = [ "{path}", "%z", "%s" ]; {extra}', lambda: open(log).read().split("\n")[:-1] if os.path.exists(log) else []


def test_a_version_that_the_verifier_refuses_is_not_served(inspected, base):
    setting, log = verifier(base)
    owner, comb = inspected(h.zone_text(10), setting)
    comb.start()
    assert comb.soa("msad.") == 10 and log() == [f"{h.ZONE} 10 7"]
    owner.change(h.zone_text(11, [f'bad.{h.ZONE} 60 IN TXT "poison"']))
    show = h.wait_for(lambda: comb.show() if "poison" in comb.show().get("last_error", "") else None)
    assert "record with poison" in show["last_error"] and show["state"] == "serving" and show["serial"] == 10
    assert comb.soa("msad.") == 10 and comb.ctl("status")["refused_versions"] >= 1
    assert not [r for r in comb.axfr() if b"poison" in r[3]]
    owner.change(h.zone_text(12, [f'good.{h.ZONE} 60 IN TXT "cured"']))
    h.wait_for(lambda: comb.soa("msad.") == 12)
    assert "last_error" not in comb.show()


def test_a_version_that_was_refused_is_fetched_again_only_when_somebody_asks(inspected, base):
    setting, log = verifier(base)
    owner, comb = inspected(h.zone_text(10), setting)
    comb.start()
    owner.change(h.zone_text(11, [f'bad.{h.ZONE} 60 IN TXT "poison"']))
    h.wait_for(lambda: "poison" in comb.show().get("last_error", ""))

    def rest():
        h.wait_for(lambda: comb.show()["refresh_state"] == "waiting", message="rest")

    def runs():
        return sum(line.split()[1] == "11" for line in log())
    rest()
    assert runs() == 1
    for _ in range(5):
        m.notify(comb.where(), "owner.")
        rest()
    assert runs() == 1 and "poison" in comb.show()["last_error"] and comb.soa("msad.") == 10
    comb.ctl("combiner retransfer", zone=h.ZONE)
    h.wait_for(lambda: runs() == 2, message="once more")
    rest()
    comb.zone_settings = setting + "verifier-timeout = 7;"  # the reload may have brought another verifier
    comb.configure()
    comb.signal(1)
    h.wait_for(lambda: "daemon-reload" in comb.log_text())
    m.notify(comb.where(), "owner.")
    h.wait_for(lambda: runs() == 3, message="and after a reload")
    owner.change(h.zone_text(12))
    h.wait_for(lambda: comb.soa("msad.") == 12)
    assert "last_error" not in comb.show()


def test_the_verifier_sees_contributions_too(inspected, base):
    setting, log = verifier(base)
    _, comb = inspected(h.zone_text(10), setting)
    comb.start()
    assert comb.rcode(("add", 10, "DNSKEY", DNSKEY)) == "NOERROR"
    h.wait_for(lambda: comb.soa("msad.") == 11)
    assert log() == [f"{h.ZONE} 10 7", f"{h.ZONE} 11 8"]


def test_pages_found_damaged_by_the_inspection_are_fetched_anew(inspected, base):
    """Else no instruction would ever be served again: the owner's serial is the same."""
    setting, _ = verifier(base)
    _, comb = inspected(h.zone_text(10, [f'r{i}.{h.ZONE} 60 IN TXT "{"x" * 200}"' for i in range(2000)]), setting)
    comb.start()
    with open(comb.dir + "/state/zones.lmdb", "r+b") as f:
        data = f.read()
        f.seek(data.index(b"x" * 200, len(data) // 2))
        f.write(b"y")
    assert comb.rcode(("add", 10, "DNSKEY", DNSKEY)) == "NOERROR"
    h.wait_for(lambda: comb.soa("msad.") == 11 and h.apex_set(comb.axfr(), "DNSKEY"), message="fetched anew")
    assert "pages-damaged" in comb.log_text() and len(comb.axfr()) == 2000 + 9


def test_no_notify_for_a_refused_version(inspected, base, servers):
    setting, _ = verifier(base)
    down = servers(h.Nsd(base, "down", upstream=("127.0.0.1", 1), key="signer."))
    owner, comb = inspected(h.zone_text(10), setting, signers=[down.where()])
    comb.start()
    before = comb.ctl("status")
    owner.change(h.zone_text(11, [f'bad.{h.ZONE} 60 IN TXT "poison"']))
    h.wait_for(lambda: "poison" in comb.show().get("last_error", ""))
    assert all(s.get("notified_serial") == 10 for s in comb.show()["signers"])
    assert comb.ctl("status")["versions"] == before["versions"]


def test_a_verifier_that_hangs_is_ended_and_reload_and_stop_do_not_wait(inspected, base):
    setting, _ = verifier(base, "verifier-timeout = 1;")
    owner, comb = inspected(h.zone_text(10), setting)
    comb.start()
    owner.change(h.zone_text(11, [f'bad.{h.ZONE} 60 IN TXT "sleepy"']))
    h.wait_for(lambda: "not through in 1 s" in comb.show().get("last_error", ""))
    assert comb.soa("msad.") == 10
    comb.zone_settings = verifier(base, "verifier-timeout = 600;")[0]
    comb.configure()
    comb.signal(1)
    h.wait_for(lambda: "reload" in comb.log_text())
    comb.ctl("combiner retransfer", zone=h.ZONE)
    h.wait_for(lambda: comb.show().get("waiting_for") == "the verifier")
    assert comb.soa("msad.") == 10
    assert comb.stop() == 0


def test_a_program_that_is_not_there(inspected, base):
    _, comb = inspected(h.zone_text(10), 'verifier = [ "/nonexistent/verifier" ];')
    comb.start(wait=False)
    h.wait_for(lambda: "/nonexistent/verifier" in comb.show().get("last_error", ""))
    assert comb.show()["state"] == "not transferred yet"


@pytest.mark.parametrize("kind", ["nsd", "knot", "bind"])
def test_zonemd_is_recomputed(inspected, base, kind):
    owner, comb = inspected(h.zone_text(10, PLACEHOLDERS + MIXED), 'zonemd = "recompute";', kind=h.OWNERS[kind])
    comb.start()
    records = comb.axfr()
    check_digests(records)
    assert comb.rcode(("add", 10, "DNSKEY", DNSKEY)) == "NOERROR"
    h.wait_for(lambda: comb.soa("msad.") == 11)
    check_digests(comb.axfr())
    # A client that follows by IXFR ends up with the same, ZONEMD included.
    state = {r[:3] + (r[3],) for r in records}
    assert apply_ixfr(state, comb.axfr(rdtype="IXFR", serial=10)) == set(comb.axfr())
    owner.change(h.zone_text(20, PLACEHOLDERS + MIXED[:3]))
    h.wait_for(lambda: comb.soa("msad.") == 20)
    check_digests(comb.axfr())
    comb.stop()
    comb.start()
    check_digests(comb.axfr())


def apply_ixfr(state, answer):
    """RFC 1995 4: SOA new; then for each version SOA old, deleted, SOA new, added; SOA new. Or a whole zone."""
    if len(answer) > 1 and answer[1][2] != "SOA":
        return set(answer)
    state, deleting = set(state), False
    for r in answer[1:-1]:
        if r[2] == "SOA":
            deleting = not deleting
        if deleting:
            assert r in state, r
            state.discard(r)
        else:
            state.add(r)
    return state


def test_zonemd_is_stripped_when_it_would_be_wrong(inspected):
    _, comb = inspected(h.zone_text(10, PLACEHOLDERS[:1]), 'zonemd = "strip";')
    comb.start()
    assert comb.rcode(("add", 10, "DNSKEY", DNSKEY)) == "NOERROR"
    h.wait_for(lambda: comb.soa("msad.") == 11)
    assert zonemds(comb.axfr()) == []
    assert any("ZONEMD" in n for n in comb.show()["notes"])


def test_without_zonemd_of_the_owner_none_is_made(inspected):
    _, comb = inspected(h.zone_text(10, MIXED), 'zonemd = "recompute";')
    comb.start()
    assert zonemds(comb.axfr()) == []


def test_ldns_verifies_what_is_served(inspected, base):
    tool = shutil.which("ldns-verify-zone")
    assert tool, "ldnsutils"
    _, comb = inspected(h.zone_text(10, PLACEHOLDERS[:2] + MIXED), f'zonemd = "recompute"; verifier = [ "{tool}", "-Z", "-V", "2" ];')
    comb.start()
    check_digests(comb.axfr())
    path = os.path.join(base, "served.zone")
    as_zone(comb.axfr()).to_file(path, relativize=False)
    p = subprocess.run([tool, "-Z", "-V", "2", path], capture_output=True, text=True, timeout=60)
    assert p.returncode == 0, p.stdout + p.stderr


def test_knot_verifies_what_is_served(inspected, servers, base):
    """knotd as the signer, told to take no zone whose ZONEMD does not verify."""
    down = servers(h.Knot(base, "down", upstream=("127.0.0.1", 1), key="signer."))
    owner, comb = inspected(h.zone_text(10, PLACEHOLDERS[:2] + MIXED), 'zonemd = "recompute";', signers=[down.where()])
    comb.start()
    down.upstream = comb.where()
    down.start()
    text = open(f"{down.dir}/knot.conf").read()
    down.stop()
    conf = text.replace("    semantic-checks: off\n", "    semantic-checks: off\n    zonemd-verify: on\n")
    assert conf != text
    h.write(f"{down.dir}/knot.conf", conf)
    down.spawn("knotd", "-c", f"{down.dir}/knot.conf")
    h.wait_for(lambda: down.soa() == 10, message="knotd has verified and taken the zone")
    comb.update(("add", 10, "DNSKEY", DNSKEY))
    h.wait_for(lambda: down.soa() == 11)
    assert "ZONEMD" in down.log_text()


def test_a_large_zone_in_no_order(inspected, base):
    """More runs than are merged; and the verifier reads all of it."""
    lines = [f"h{i * 7919 % 20011:05}.{h.ZONE} 60 IN A 192.0.2.{i % 250 + 1}" for i in range(20011)]
    setting, log = verifier(base)
    _, comb = inspected(h.zone_text(10, PLACEHOLDERS[:1] + lines), f'zonemd = "recompute"; {setting}')
    comb.start(wait=False)
    h.wait_for(lambda: comb.soa("msad."), timeout=60)
    records = comb.axfr()
    check_digests(records, (1,))
    assert log() == [f"{h.ZONE} 10 {len(records) - 1}"]
