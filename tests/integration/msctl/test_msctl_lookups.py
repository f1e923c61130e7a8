# SPDX-License-Identifier: BSD-2-Clause
"""query hsync and query dsync against a real knotd."""
import dns.message
import dns.name
import dns.query
import dns.rcode
import pytest
from ctlharness import Knot, Responder, msctl, wait_for

ADDRESS = "127.0.77.53"
HEAD = "$TTL 300\n@ SOA ns.host. admin.host. 7 3600 900 604800 300\n@ NS ns.host.\n"


def name(text):
    return dns.name.from_text(text).to_wire()


def hsync(state, nsmgmt, sign, *names, tail=b""):
    rdata = bytes([state, nsmgmt, sign]) + b"".join(name(n) for n in names) + tail
    return f"@ TYPE65282 \\# {len(rdata)} {rdata.hex()}\n"


def raw(rrtype, owner, rdata):
    return f"{owner} {rrtype} \\# {len(rdata)} {rdata.hex()}\n"


def dsync(owner, rrtype=59, scheme=1, port=5300, target="scanner.parent."):
    return raw("TYPE66", owner, rrtype.to_bytes(2, "big") + bytes([scheme]) + port.to_bytes(2, "big") + name(target))


EVIL = b"\x04a\x1b[m\x00"
ZONES = {
    "good.example.": HEAD + hsync(1, 2, 1, "msa.a.example.") + hsync(2, 1, 2, "msa.B.example."),
    "five.example.": HEAD + hsync(1, 2, 1, "agent.a.example.", ".") + hsync(1, 2, 2, "agent.b.example.", "agent.a.example."),
    "none.example.": HEAD,
    "bad.example.": HEAD + raw("TYPE65282", "@", b"\x01\x02") + raw("TYPE65282", "@", b"\x01\x02\x01\x05abc") +
                    hsync(1, 2, 1, "a.", "b.", tail=b"\x07") + hsync(0, 1, 1, "zero.example.") + hsync(1, 9, 1, "nine.example.") +
                    hsync(1, 1, 200, "private.example.") + hsync(1, 1, 1, "fine.example."),
    "twice.example.": HEAD + hsync(1, 2, 1, "msa.a.example.") + hsync(2, 2, 1, "MSA.a.example."),
    "evil.example.": HEAD + raw("TYPE65282", "@", b"\x01\x01\x01" + EVIL),
    # G.2: a record for the one child; a wildcard; at the parent only
    "p1.": HEAD + dsync("child._dsync") + dsync("child._dsync", 255, 2, 53, "updates.parent."),
    "p2.": HEAD + dsync("*._dsync"),
    "p3.": HEAD + dsync("_dsync"),
    "p4.": HEAD,
    # deeper children: the second form, with the parent's labels known from the SOA; the third
    "deep.": HEAD + dsync("a.b.child._dsync"),
    "deep3.": HEAD + dsync("_dsync"),
    # the _dsync subtree as a zone of its own
    "own.": HEAD + "_dsync NS ns.host.\n", "_dsync.own.": HEAD + dsync("*"),
    # a first form that says no, while the apex of the subtree cannot be asked
    "half.": HEAD, "_dsync.half.": None,
    "broken.": None,
    "uses.": HEAD + dsync("c._dsync", 59, 1, 0) + dsync("c._dsync", 62, 0, 53) + dsync("c._dsync", 59, 99, 53) + dsync("c._dsync", 255, 3, 0, ".") +
             dsync("c._dsync", 255, 4, 443),
    "evil.": HEAD + raw("TYPE66", "c._dsync", b"\x00\x3b\x01\x14\xb4" + EVIL),
}


@pytest.fixture(scope="module")
def knot(tmp_path_factory):
    k = Knot(tmp_path_factory.mktemp("knot"), ADDRESS, ZONES)

    def answers():
        assert k.p.poll() is None, open(k.log.name).read()
        try:
            q = dns.message.make_query("p4.", "SOA")
            return dns.query.udp(q, ADDRESS, port=k.port, timeout=1).rcode() == dns.rcode.NOERROR
        except (OSError, dns.exception.Timeout):
            return False
    try:
        wait_for(answers, "knotd answers")
        yield k
    finally:
        k.close()


def ask(knot, what, of, *args):
    return msctl("--json", "query", what, of, *knot.where, *args)


def rows(result):
    return {r["hsync"]: r["valid"] for r in result.json["records"]}


@pytest.mark.parametrize("how", [[], ["--tcp"]])
def test_hsync_in_words(knot, how):
    r = ask(knot, "hsync", "good.example.", *how)
    assert r.code == 0
    assert rows(r) == {"ON AGENT YES msa.a.example.": "yes", "OFF OWNER NO msa.B.example.": "yes"}
    assert r.json["rcode"] == "NOERROR" and r.json["dnssec"] is False and r.json["zone"] == "good.example."


def test_hsync_table_is_aligned(knot):
    lines = msctl("query", "hsync", "good.example", *knot.where).out.splitlines()
    at = lines.index("records:")
    assert lines[at + 1].split() == ["hsync", "ttl", "valid"]
    assert {lines[at + i].index("300") for i in (2, 3)} == {lines[at + 1].index("ttl")}


def test_hsync_of_five_fields(knot):
    r = ask(knot, "hsync", "five.example.")
    assert r.code == 0
    assert rows(r) == {"ON AGENT SIGN agent.a.example. .": "yes", "ON AGENT NOSIGN agent.b.example. agent.a.example.": "yes"}


def test_malformed_hsync_records_are_shown_as_such(knot):
    r = ask(knot, "hsync", "bad.example.")
    assert r.code == 1
    assert len(rows(r)) == 7
    assert [h for h, valid in rows(r).items() if valid == "yes"] == ["ON OWNER YES fine.example."]
    assert rows(r)["\\# 2 0102"] == "ends early" and rows(r)["0 OWNER YES zero.example."] == "value not defined"
    assert sum(h.startswith("\\#") for h in rows(r)) == 3


def test_an_identity_listed_twice_is_told(knot):
    r = ask(knot, "hsync", "twice.example.")
    assert r.code == 1 and sorted(rows(r).values()) == ["identity listed twice", "yes"]


def test_control_characters_in_names_do_not_come_through(knot):
    assert "a\\027[m." in msctl("query", "hsync", "evil.example.", *knot.where).out
    assert "a\\027[m." in msctl("query", "dsync", "c.evil.", *knot.where).out


@pytest.mark.parametrize("zone,rcode", [("none.example.", "NOERROR"), ("absent.none.example.", "NXDOMAIN"), ("broken.", "SERVFAIL"),
                                        ("not-here.", "REFUSED")])
def test_no_hsync(knot, zone, rcode):
    r = ask(knot, "hsync", zone)
    assert r.code == 1 and r.json["records"] == [] and r.json["rcode"] == rcode


@pytest.mark.parametrize("child,asked,owner", [
    ("child.p1.", ["child._dsync.p1."], "child._dsync.p1."),
    ("any.p2.", ["any._dsync.p2."], "any._dsync.p2."),
    ("x.p3.", ["x._dsync.p3.", "_dsync.p3."], "_dsync.p3."),
    ("a.b.child.deep.", ["a._dsync.b.child.deep.", "a.b.child._dsync.deep."], "a.b.child._dsync.deep."),
    ("a.b.child.deep3.", ["a._dsync.b.child.deep3.", "a.b.child._dsync.deep3.", "_dsync.deep3."], "_dsync.deep3."),
    ("any.own.", ["any._dsync.own."], "any._dsync.own."),
])
def test_dsync_search_of_three_forms(knot, child, asked, owner):
    r = ask(knot, "dsync", child)
    assert r.code == 0, r.err
    assert r.json["asked"] == asked
    assert {row["owner"] for row in r.json["records"]} == {owner}
    assert "CDS NOTIFY 5300 scanner.parent." in {row["rdata"] for row in r.json["records"]}


@pytest.mark.parametrize("child,asked", [("x.p4.", ["x._dsync.p4.", "_dsync.p4."]),
                                         ("x.y.p4.", ["x._dsync.y.p4.", "x.y._dsync.p4.", "_dsync.p4."])])
def test_dsync_search_ends_after_the_last_denial(knot, child, asked):
    r = ask(knot, "dsync", child)
    assert r.code == 1 and r.json["asked"] == asked and r.json["records"] == [] and r.json["rcode"] == "NXDOMAIN"


def test_an_error_is_no_denial(knot):
    r = ask(knot, "dsync", "x.broken.")
    assert r.code == 1 and not r.out and "x._dsync.broken.: SERVFAIL" in r.err
    r = ask(knot, "dsync", "x.y.half.")  # the first form is denied, the second cannot be asked
    assert r.code == 1 and not r.out and "x.y._dsync.half.: SERVFAIL" in r.err
    r = ask(knot, "dsync", "x.nowhere.")
    assert r.code == 1 and not r.out and "REFUSED" in r.err


def test_dsync_records_of_no_use_are_told(knot):
    r = ask(knot, "dsync", "c.uses.")
    assert r.code == 0
    assert sorted(row["use"] for row in r.json["records"]) == ["api", "no scanner here", "no: port 0", "no: scheme 0", "no: scheme not known"]
    assert {row["use"] for row in ask(knot, "dsync", "child.p1.").json["records"]} == {"notify", "update"}


def test_nobody_there():
    r = msctl("query", "hsync", "a.", "@127.0.77.1", "--port", "1", "--timeout", "2")
    assert (r.code, r.out) == (3, "") and "127.0.77.1:1: " in r.err


def test_silence_is_waited_for_no_longer_than_asked():
    quiet = Responder("127.0.77.2", lambda wire, how: None)
    try:
        r = msctl("query", "dsync", "a.b.", *quiet.where, "--timeout", "1")
        assert (r.code, r.out) == (3, "") and r.seconds < 4
        assert len(quiet.requests) == 2  # sent again once, and no second form after silence
    finally:
        quiet.close()
