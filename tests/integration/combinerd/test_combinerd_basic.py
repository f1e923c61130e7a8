# SPDX-License-Identifier: BSD-2-Clause
"""combinerd between real servers: transfer in and out, instructions, NOTIFY, history."""

import pytest

import cmbharness as h

DNSKEY = "257 3 13 " + "mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ=="
DNSKEY2 = "256 3 13 " + "oJMRESz5E4gYzS/q6XDrvU1qMPYIjCWzJaOau8XNEZeqCYKD5ar0IRd8KqXXFJkqmVfRvMGPmM1x8fGAa2XhSA=="
CDS = "60485 13 2 " + "D4B7D520E7BB5F0F67674A0CCEB1E3E0614B93C4F9E99B8383F6A1E4469DA50A"
CSYNC = "0 1 NS A AAAA"


def test_zone_passes_and_instructions_are_merged(pair):
    owner, comb = pair
    before = owner.axfr("owner.")
    after = comb.axfr()
    assert h.content(before) == h.content(after)
    assert h.serial_of(after) == 1000
    assert {r[0] for r in after if r[2] == "NS"} == {h.ZONE}
    r = comb.nsupdate(f"update add {h.ZONE} 10 DNSKEY {DNSKEY}\nupdate add {h.ZONE} 10 CDS {CDS}\n"
                      f"update add {h.ZONE} 30 CSYNC {CSYNC}\nupdate add {h.ZONE} 60 NS ns.provider-a.test.\n")
    assert r.returncode == 0, r.stderr
    after = comb.axfr()
    assert h.serial_of(after) == 1001
    assert len(h.apex_set(after, "DNSKEY")) == 1 and len(h.apex_set(after, "CDS")) == 1
    assert len(h.apex_set(after, "CSYNC")) == 1
    assert {x[1] for x in after if x[2] == "DNSKEY"} == {10}
    assert [x for x in after if x[2] == "NS"] == [(h.ZONE, 60, "NS", b"\x02ns\x0aprovider-a\x04test\x00")]
    assert h.content(before) == h.content(after)


def test_nsupdate_adds_and_deletes(pair):
    _, comb = pair
    assert comb.nsupdate(f"update add {h.ZONE} 10 DNSKEY {DNSKEY}").returncode == 0
    assert comb.nsupdate(f"update add {h.ZONE} 10 DNSKEY {DNSKEY2}").returncode == 0
    h.wait_for(lambda: len(h.apex_set(comb.axfr(), "DNSKEY")) == 2)
    assert comb.nsupdate(f"update delete {h.ZONE} DNSKEY {DNSKEY}").returncode == 0
    h.wait_for(lambda: len(h.apex_set(comb.axfr(), "DNSKEY")) == 1)
    assert comb.nsupdate(f"update delete {h.ZONE} DNSKEY").returncode == 0
    h.wait_for(lambda: len(h.apex_set(comb.axfr(), "DNSKEY")) == 0)
    assert comb.nsupdate(f"update add {h.ZONE} 10 CDS {CDS}\nupdate add {h.ZONE} 10 NS a.x.test.").returncode == 0
    assert comb.nsupdate(f"update delete {h.ZONE}").returncode == 0
    assert comb.show()["contributions"] == []


@pytest.mark.parametrize("script", [f'update add {h.ZONE} 10 TXT "no"', f"update add www.{h.ZONE} 10 A 192.0.2.7",
                                    f"update add www.{h.ZONE} 10 NS a.x.test.", f"update delete {h.ZONE} TXT",
                                    f"update add {h.ZONE} 10 CDNSKEY {DNSKEY}", f"update add {h.ZONE} 10 A 192.0.2.7"])
def test_nsupdate_is_refused_what_is_not_in_the_licence(pair, script):
    _, comb = pair
    before = comb.show()
    r = comb.nsupdate(script)
    assert "REFUSED" in r.stderr, r.stderr
    after = comb.show()
    assert (after["contributions"], after["serial"]) == (before["contributions"], before["serial"])


@pytest.mark.parametrize("kind", ["nsd", "knot", "bind"])
def test_owner_changes_come_through_by_notify(servers, base, kind):
    owner = servers(h.OWNERS[kind](base, "owner", h.zone_text(100)))
    comb = servers(h.Combinerd(base, [owner.where()]))
    owner.notify = comb.where()
    owner.start()
    comb.start()
    for serial in (101, 102, 110):
        owner.change(h.zone_text(serial, [f"n{serial}.{h.ZONE} 60 IN A 192.0.2.9"]))
        h.wait_for(lambda s=serial: comb.soa("msad.") == s, message=f"serial {serial}")
        assert h.content(owner.axfr("owner.")) == h.content(comb.axfr())


def test_owner_changes_come_through_by_timer(servers, base):
    owner = servers(h.Nsd(base, "owner", h.zone_text(100, refresh=1)))
    comb = servers(h.Combinerd(base, [owner.where()]))
    owner.start()
    comb.start()
    owner.change(h.zone_text(101, refresh=1))
    h.wait_for(lambda: comb.soa("msad.") == 101)


@pytest.mark.parametrize("kind", ["nsd", "knot", "bind"])
def test_downstream_follows(servers, base, kind):
    """A real secondary as signer: notified, transfers with TSIG, gets apex and owner changes."""
    owner = servers(h.Nsd(base, "owner", h.zone_text(100)))
    comb = servers(h.Combinerd(base, [owner.where()]))
    down = servers(h.OWNERS[kind](base, "down", upstream=comb.where(), key="signer."))
    comb.signers = [down.where()]
    comb.configure()
    owner.notify = comb.where()
    owner.start()
    comb.start()
    down.start()
    h.wait_for(lambda: down.soa() == 100, message="first transfer")
    assert comb.nsupdate(f"update add {h.ZONE} 10 DNSKEY {DNSKEY}").returncode == 0
    h.wait_for(lambda: down.soa() == 101, message="apex change")
    assert [r.to_text() for r in down.ask("DNSKEY").answer[0]][0].startswith("257 3 13")
    owner.change(h.zone_text(101, [f"new.{h.ZONE} 60 IN A 192.0.2.9"]))
    h.wait_for(lambda: down.soa() == 102, message="owner change")
    assert down.ask("A", name=f"new.{h.ZONE}").answer
    assert h.content(owner.axfr("owner.")) == h.content(comb.axfr()) == h.content(down.axfr("signer."))
    h.wait_for(lambda: all(s["acknowledged"] for s in comb.show()["signers"]), message="NOTIFY acknowledged")


def test_knot_takes_apex_changes_by_ixfr(servers, base):
    owner = servers(h.Nsd(base, "owner", h.zone_text(100)))
    comb = servers(h.Combinerd(base, [owner.where()]))
    down = servers(h.Knot(base, "down", upstream=comb.where(), key="signer."))
    comb.signers = [down.where()]
    comb.configure()
    owner.start()
    comb.start()
    down.start()
    h.wait_for(lambda: down.soa() == 100)
    for i in range(3):
        assert comb.nsupdate(f"update add {h.ZONE} 10 NS n{i}.x.test.").returncode == 0
        h.wait_for(lambda i=i: down.soa() == 101 + i)
    log = down.log_text()
    assert log.count("IXFR, incoming") >= 6 and log.count("AXFR, incoming") == 2 and "fallback" not in log, log
    assert h.content(comb.axfr(), ()) == h.content(down.axfr("signer."), ())


def test_ixfr_to_dnspython_equals_axfr(pair):
    _, comb = pair
    versions = {comb.soa("msad."): set(comb.axfr())}
    for i in range(6):
        comb.update(("add", 10 + i, "NS", f"n{i}.x.test."), ("replace", 10, "DNSKEY", DNSKEY if i % 2 else DNSKEY2))
        h.wait_for(lambda i=i: comb.soa("msad.") == 1001 + i)
        versions[1001 + i] = set(comb.axfr())
    newest = max(versions)
    for serial, state in versions.items():
        records = comb.axfr(rdtype="IXFR", serial=serial)
        if serial == newest:
            assert len(records) == 1
            continue
        assert apply_ixfr(set(state), records) == versions[newest]


def apply_ixfr(state, records):
    """RFC 1995 4, literally."""
    assert records[0][2] == "SOA" and records[-1] == records[0]
    deleting = False
    for r in records[1:-1]:
        if r[2] == "SOA":
            deleting = not deleting
        if deleting:
            assert r in state, r
            state.remove(r)
        else:
            assert r not in state, r
            state.add(r)
    return state


def test_ixfr_from_unknown_serial_is_a_full_zone_and_udp_falls_back_to_soa(pair):
    _, comb = pair
    comb.update(("add", 10, "DNSKEY", DNSKEY))
    h.wait_for(lambda: comb.soa("msad.") == 1001)
    assert set(comb.axfr(rdtype="IXFR", serial=5)) == set(comb.axfr())
    import dns.message, dns.query, dns.rrset
    for serial, want in ((1000, True), (5, False), (1001, False)):
        q = dns.message.make_query(h.ZONE, "IXFR")
        q.authority.append(dns.rrset.from_text(h.ZONE, 0, "IN", "SOA", f". . {serial} 0 0 0 0"))
        q.use_tsig(h.KEYRING, "signer.")
        r = dns.query.udp(q, comb.addr, port=comb.port, timeout=5, one_rr_per_rrset=True)
        assert (len(r.answer) > 1) == want, (serial, r)


def test_read_back_by_query(pair):
    _, comb = pair
    comb.update(("add", 10, "DNSKEY", DNSKEY))
    r = comb.ask("DNSKEY", "msad.")
    assert r.flags & 0x0400 and len(r.answer) == 1 and r.answer[0].ttl == 10
    assert len(comb.ask("NS", "signer.").answer[0]) == 2
    assert comb.ask("CDS", "msad.").authority[0].rdtype == 6
    for rdtype, key, name in (("TXT", "msad.", h.ZONE), ("ANY", "msad.", h.ZONE), ("SOA", None, h.ZONE), ("DNSKEY", "other.", h.ZONE),
                              ("A", "signer.", f"www.{h.ZONE}"), ("AXFR", "msad.", h.ZONE), ("SOA", "msad.", "x.test.")):
        r = comb.ask(rdtype, key, name, tcp=rdtype == "AXFR")
        assert (r.rcode(), r.answer) == (5, []), (rdtype, key, name, r)
        assert h.ede(r) in (18, 20)


def test_control_commands(pair):
    _, comb = pair
    comb.update(("add", 10, "DNSKEY", DNSKEY))
    assert comb.ctl("status")["zones_serving"] == 1
    assert comb.ctl("combiner list")[0]["serial"] == 1001
    show = comb.show()
    assert show["state"] == "serving" and show["contributions"][0]["originator"] == "local."
    diff = comb.ctl("combiner diff", zone=h.ZONE)
    assert [d["type"] for d in diff] == ["DNSKEY"] and diff[0]["owner"] == []
    assert comb.ctl("zone show", raw=True, zone="nope.test.")["ok"] is False
    comb.ctl("combiner retransfer", zone=h.ZONE)
    h.wait_for(lambda: comb.soa("msad.") == 1002, message="a forced transfer makes a new version")


def test_signed_zone_passes_untouched(servers, base):
    sig = f"{h.ZONE} 300 IN RRSIG SOA 13 2 300 20300101000000 20200101000000 1 {h.ZONE} AAAA"
    key = f"{h.ZONE} 300 IN DNSKEY {DNSKEY}"
    owner = servers(h.Nsd(base, "owner", h.zone_text(7, [sig, key])))
    comb = servers(h.Combinerd(base, [owner.where()]))
    owner.start()
    comb.start()
    assert set(owner.axfr("owner.")) == set(comb.axfr())
    r = comb.update(("add", 10, "DNSKEY", DNSKEY2))
    assert (r.rcode(), h.ede(r)) == (5, 49192)
    assert comb.show()["pass_through"] is True


def test_failover_to_second_primary(servers, base):
    owner = servers(h.Nsd(base, "owner", h.zone_text(5)))
    comb = servers(h.Combinerd(base, [(h.address(), 5300), owner.where()]))
    owner.start()
    comb.start()
    assert comb.soa("msad.") == 5
