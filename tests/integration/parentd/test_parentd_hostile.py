# SPDX-License-Identifier: BSD-2-Clause
"""
The hostile child, a named row for each thing it may try: what it is told, and that nothing has changed (delegations,
keys, what waits, of the victim and of its siblings). What needs lying servers is in test_parentd_scan.py; what needs
another parentd on the same store in test_parentd_pg.py.

One parentd has all rows, one after the other: each row leaves it as it found it.
"""

import os
import shutil
import struct
import tempfile

import pytest

import parent as h

VICTIM, SIBLING, UPPER = "child.example.", "sibling.example.", "CHILD.Example."
DS = "12345 13 2 " + "ab" * 32
CHANGE = h.replace_ns(VICTIM, ["ns1.evil.test.", "ns2.evil.test."])


class World:
    """The victim has a trusted key, glue and a DS; the sibling has another key; the attacker has one of each."""

    def __init__(self, base):
        self.p = h.Parentd(base).start()
        self.key = h.ChildKey(VICTIM)
        self.sibling = h.ChildKey(SIBLING)
        self.stranger = h.ChildKey(VICTIM)
        self.waiting = h.ChildKey(VICTIM, alg=h.P256)
        self.distrusted = h.ChildKey(VICTIM, alg=h.P384)
        self.p.add_child(VICTIM, [f"{VICTIM} 300 NS ns1.{VICTIM}", f"{VICTIM} 300 NS ns.two.test.", f"ns1.{VICTIM} 300 A 192.0.2.1",
                                  f"{VICTIM} 300 DS {DS}"], keys=[self.key])
        self.p.add_child(SIBLING, [f"{SIBLING} 300 NS ns1.{SIBLING}", f"{SIBLING} 300 NS ns.two.test.",
                                   f"ns1.{SIBLING} 300 A 192.0.2.9"], keys=[self.sibling])
        self.p.add_child("locked.example.")
        self.locked = h.ChildKey("locked.example.")
        self.p.trust(self.locked)
        self.p.ctl("parent lock", child="locked.example.", why="court order")
        for k in (self.waiting, self.distrusted):
            assert self.p.update(k, [h.add(VICTIM, "KEY", k.text)]).rcode == "NOERROR"
        self.p.ctl("parent reject", child=VICTIM, what=self.distrusted.fingerprint)

    def state(self):
        """Everything that an attack must not touch; what was seen and counted is left out."""
        out = []
        for child in (VICTIM, SIBLING, "locked.example."):
            s = self.p.show(child)
            out.append((child, sorted(s["delegation"]), s.get("pending"), s["locked"],
                        sorted((k["fingerprint"], k["state"]) for k in s["keys"])))
        return out, sorted(r["child"] for r in self.p.ctl("parent children")["rows"])

    def verifications(self):
        return self.p.stats()["verifications"]


@pytest.fixture(scope="module")
def world():
    d = tempfile.mkdtemp(prefix="prt")
    w = World(d)
    yield w
    w.p.stop()
    shutil.rmtree(d, ignore_errors=True)


def up(records, key="key", **kw):
    """An UPDATE by one of the world's keys."""
    return lambda w: w.p.update(getattr(w, key), records, **kw)


def raw(make):
    return lambda w: w.p.ask(make(w))


def with_signer(name, key="key"):
    return lambda w: w.p.update(getattr(w, key), CHANGE, sign=dict(signer=name))


def spoiled(make):
    """A good message, changed after it was signed."""
    return lambda w: w.p.ask(make(w.p.signed_update(w.key, CHANGE)))


def flip(octets, at):
    return octets[:at] + bytes([octets[at] ^ 1]) + octets[at + 1:]


def counted(octets, section, by):
    at = 4 + 2 * section
    n, = struct.unpack("!H", octets[at:at + 2])
    return octets[:at] + struct.pack("!H", (n + by) & 0xffff) + octets[at + 2:]


def tag_twin(w):
    """A key with the tag and the algorithm of the victim's, by changing flags that nobody uses until the sums agree."""
    while True:
        k = h.ChildKey(VICTIM)
        want = (w.key.tag - h.key_tag(b"\0\0" + k.rdata[2:])) & 0xffff
        flags = want & ~0x0100
        rdata = struct.pack("!H", flags) + k.rdata[2:]
        if h.key_tag(rdata) == w.key.tag:
            k.flags, k.rdata = flags, rdata
            return k


def twin_update(w):
    return w.p.update(tag_twin(w), CHANGE)


def key_update(rdata, signer="stranger"):
    """KEY RDATA of one's own choice, octet by octet."""
    return lambda w: w.p.update(getattr(w, signer), [h.rr(VICTIM, h.KEY, h.IN, 300, rdata(w))])


def upload_of(make):
    def send(w):
        k = make(w)
        return w.p.update(k, [h.add(k.name, "KEY", k.text)])
    return send


def weak_rsa(_):
    return h.ChildKey(VICTIM, alg=h.RSASHA256, bits=1024)


def zone_key(_):
    return h.ChildKey(VICTIM, flags=0x0100)


def huge_ns(n):
    return [h.delete(VICTIM, "NS")] + [h.add(VICTIM, "NS", f"ns{i}.evil.test.") for i in range(n)]


def compressed_question():
    """A name that points into the header, whose octets change when the signature is cut off."""
    return b"\0\1\x28\0\0\1\0\0\0\0\0\0" + b"\xc0\x00" + struct.pack("!HH", h.SOA, h.IN)


E = h.EDE
# name, what is sent, RCODE (None: no answer at all), EDE codes (None: not looked at)
ROWS = [
    # --- who may speak, and for whom: PROTOCOL G.5 steps 2 to 6
    ("no signature at all", raw(lambda w: h.update_message(CHANGE)), "REFUSED", [E["SIG0_REQUIRED"]]),
    ("a key that nobody has", up(CHANGE, "stranger"), "BADKEY", [E["KEY_UNKNOWN"]]),
    ("a key that nobody has, without EDNS", up(CHANGE, "stranger", edns=False), "NOTAUTH", []),
    ("a key that waits for an operator", up(CHANGE, "waiting"), "REFUSED", [E["MANUAL"]]),
    ("a key that waits, without EDNS", up(CHANGE, "waiting", edns=False), "REFUSED", []),
    ("a key that an operator distrusts", up(CHANGE, "distrusted"), "REFUSED", None),
    ("a sibling's key with the victim's records", up(CHANGE, "sibling"), "REFUSED", [E["NAME"]]),
    ("a sibling's key with the victim's name as signer", with_signer(VICTIM, "sibling"), "BADKEY", [E["KEY_UNKNOWN"]]),
    ("the suffix trick: ample. as signer", with_signer("ample."), "REFUSED", [E["NOT_A_DELEGATION"]]),
    ("the suffix trick: child.ample. as signer", with_signer("child.ample."), "REFUSED", [E["NOT_A_DELEGATION"]]),
    ("the suffix trick: xchild.example. as signer", with_signer("xchild.example."), "REFUSED", [E["NOT_A_DELEGATION"]]),
    ("a dot inside a label: child\\.example. as signer", with_signer("child\\.example."), "REFUSED", [E["NOT_A_DELEGATION"]]),
    ("the parent's apex as signer", with_signer("example."), "REFUSED", [E["NOT_A_DELEGATION"]]),
    ("the root as signer", with_signer("."), "REFUSED", [E["NOT_A_DELEGATION"]]),
    ("a grandchild as signer", with_signer("deep.child.example."), "REFUSED", [E["NOT_A_DELEGATION"]]),
    ("a wildcard as signer", with_signer("*.example."), "REFUSED", [E["NOT_A_DELEGATION"]]),
    ("the receiver's own name as signer", with_signer(h.TARGET), "REFUSED", [E["NOT_A_DELEGATION"]]),
    ("a child that is locked", lambda w: w.p.update(w.locked, h.replace_ns("locked.example.", ["a.test.", "b.test."])), "REFUSED",
     [E["LOCKED"]]),
    ("a key with the victim's key tag", twin_update, None, None),
    # --- the zone section
    ("the child itself as zone", up(CHANGE, zone=VICTIM), "NOTAUTH", None),
    ("a zone of others", up(CHANGE, zone="other."), "NOTAUTH", None),
    ("the root as zone", up(CHANGE, zone="."), "NOTAUTH", None),
    ("two zones", raw(lambda w: w.key.sign(h.message(h.UPDATE, [(h.PARENT, h.SOA, h.IN)] * 2, ((), CHANGE, ())))), "FORMERR", None),
    ("no zone", raw(lambda w: w.key.sign(h.message(h.UPDATE, [], ((), CHANGE, ())))), "FORMERR", None),
    ("zone of class CH", raw(lambda w: w.key.sign(h.message(h.UPDATE, [(h.PARENT, h.SOA, 3)], ((), CHANGE, ())))), "FORMERR", None),
    ("zone of type NS", raw(lambda w: w.key.sign(h.message(h.UPDATE, [(h.PARENT, "NS", h.IN)], ((), CHANGE, ())))), "FORMERR", None),
    # --- the signature: C.3
    ("a bit of the signature is wrong", spoiled(lambda m: flip(m, len(m) - 1)), "NOTAUTH", [E["BAD_SIGNATURE"]]),
    ("a bit of the content is wrong", spoiled(lambda m: flip(m, m.index(b"evil"))), "NOTAUTH", [E["BAD_SIGNATURE"]]),
    ("another message ID than was signed", spoiled(lambda m: flip(m, 1)), "NOTAUTH", [E["BAD_SIGNATURE"]]),
    ("a signature of zeros", lambda w: w.p.update(w.key, CHANGE, sign=dict(signature=bytes(64))), "NOTAUTH", [E["BAD_SIGNATURE"]]),
    ("a signature that is too short", lambda w: w.p.update(w.key, CHANGE, sign=dict(signature=bytes(63))), "FORMERR", None),
    ("a signature that is too long", lambda w: w.p.update(w.key, CHANGE, sign=dict(signature=bytes(65))), "FORMERR", None),
    ("an empty signature", lambda w: w.p.update(w.key, CHANGE, sign=dict(signature=b"")), "FORMERR", None),
    ("expired", lambda w: w.p.update(w.key, CHANGE, sign=dict(inception=-900, expiration=-300)), "NOTAUTH", [E["BAD_TIME"]]),
    ("from the future", lambda w: w.p.update(w.key, CHANGE, sign=dict(inception=300, expiration=600)), "NOTAUTH", [E["BAD_TIME"]]),
    ("valid for a day", lambda w: w.p.update(w.key, CHANGE, sign=dict(inception=-300, expiration=86100)), "NOTAUTH", [E["BAD_TIME"]]),
    ("expires before it begins", lambda w: w.p.update(w.key, CHANGE, sign=dict(inception=300, expiration=-300)), "NOTAUTH",
     [E["BAD_TIME"]]),
    ("times half of the circle apart", lambda w: w.p.update(w.key, CHANGE, sign=dict(inception=-(1 << 31), expiration=300)),
     "NOTAUTH", [E["BAD_TIME"]]),
    ("an algorithm that is no good (RSASHA1)", lambda w: w.p.update(w.key, CHANGE, sign=dict(alg=5)), "NOTAUTH", [E["ALGORITHM"]]),
    ("an algorithm that does not exist", lambda w: w.p.update(w.key, CHANGE, sign=dict(alg=200)), "NOTAUTH", [E["ALGORITHM"]]),
    ("another algorithm than the key's", lambda w: w.p.update(w.key, CHANGE, sign=dict(alg=h.P256)), "BADKEY", [E["KEY_UNKNOWN"]]),
    ("another key tag than the key's", lambda w: w.p.update(w.key, CHANGE, sign=dict(tag=1)), "BADKEY", [E["KEY_UNKNOWN"]]),
    ("covers a type: no SIG(0)", lambda w: w.p.update(w.key, CHANGE, sign=dict(covered=2)), "REFUSED", [E["SIG0_REQUIRED"]]),
    ("two signatures", raw(lambda w: w.key.sign(w.key.sign(h.update_message(CHANGE)))), "FORMERR", None),
    ("an OPT behind the signature", spoiled(lambda m: counted(m, 3, 1) + h.opt_rr()), "FORMERR", None),
    ("a record behind the signature", spoiled(lambda m: counted(m, 3, 1) + h.add("x.test.", "A", "192.0.2.1")), "FORMERR", None),
    ("octets behind the signature", spoiled(lambda m: m + b"\0"), "FORMERR", None),
    ("the signature in the update section",
     raw(lambda w: counted(counted(w.key.sign(h.update_message(CHANGE, edns=False)), 3, -1), 2, 1)), "FORMERR", None),
    # --- what may be in it: G.5 step 4
    ("the sibling's NS beside the victim's", up(CHANGE + [h.add(SIBLING, "NS", "ns.evil.test.")]), "REFUSED", [E["NAME"]]),
    ("NS of the parent's apex", up([h.add(h.PARENT, "NS", "ns.evil.test.")]), "REFUSED", [E["NAME"]]),
    ("NS of the wildcard", up([h.add("*.example.", "NS", "ns.evil.test.")]), "REFUSED", [E["NAME"]]),
    ("NS of a grandchild", up([h.add("deep.child.example.", "NS", "ns.evil.test.")]), "REFUSED", None),
    ("DS of a grandchild", up([h.add("deep.child.example.", "DS", DS)]), "REFUSED", None),
    ("glue below the sibling", up([h.add("ns1.sibling.example.", "A", "192.0.2.66")]), "REFUSED", [E["NAME"]]),
    ("glue outside of the parent", up([h.add("ns.two.test.", "A", "192.0.2.66")]), "REFUSED", [E["NAME"]]),
    ("glue at a name with the victim's as suffix of a label", up([h.add("ns.xchild.example.", "A", "192.0.2.66")]), "REFUSED",
     [E["NAME"]]),
    ("CDS by UPDATE", up([h.add(VICTIM, "CDS", DS)]), "REFUSED", [E["TYPE"]]),
    ("DNSKEY by UPDATE", up([h.add(VICTIM, "DNSKEY", "257 3 15 " + "A" * 43 + "=")]), "REFUSED", [E["TYPE"]]),
    ("TXT by UPDATE", up([h.add(VICTIM, "TXT", "\"x\"")]), "REFUSED", [E["TYPE"]]),
    ("SOA by UPDATE", up([h.add(VICTIM, "SOA", "a. b. 1 1 1 1 1")]), "REFUSED", [E["TYPE"]]),
    ("CNAME by UPDATE", up([h.add(VICTIM, "CNAME", "evil.test.")]), "REFUSED", [E["TYPE"]]),
    ("a type that nobody knows", up([h.rr(VICTIM, 65399, h.IN, 1, b"x")]), "REFUSED", [E["TYPE"]]),
    ("KEY mixed with NS", up(CHANGE + [h.delete(VICTIM, "KEY")]), "REFUSED", [E["KEY_MIXED"]]),
    ("everything of the name deleted", up([h.delete(VICTIM, "ANY")]), "REFUSED", None),
    ("everything of the apex deleted", up([h.delete(h.PARENT, "ANY")]), "REFUSED", [E["NAME"]]),
    ("all NS deleted", up([h.delete(VICTIM, "NS")]), "REFUSED", None),
    ("all NS deleted, one by one", up([h.delete(VICTIM, "NS", f"ns1.{VICTIM}"), h.delete(VICTIM, "NS", "ns.two.test.")]), "REFUSED",
     None),
    ("glue of a name server that stays deleted", up([h.delete(f"ns1.{VICTIM}", "A")]), "REFUSED", None),
    ("a name server below the victim without glue", up(h.replace_ns(VICTIM, [f"ns9.{VICTIM}", "ns.two.test."])), "REFUSED", None),
    ("more name servers than fit", up(huge_ns(14)), "REFUSED", None),
    ("hundreds of name servers", up(huge_ns(500)), "REFUSED", None),
    ("more DS than fit", up([h.add(VICTIM, "DS", f"{i} 13 2 " + "cd" * 32) for i in range(30)]), "REFUSED", None),
    ("DS with a digest that is too short", up([h.rr(VICTIM, 43, h.IN, 1, b"\0\1\x0d\2" + bytes(31))]), "REFUSED", None),
    ("DS of digest type SHA-1", up([h.delete(VICTIM, "DS"), h.add(VICTIM, "DS", "1 13 1 " + "ab" * 20)]), "REFUSED", None),
    ("DS of an algorithm that is not taken", up([h.delete(VICTIM, "DS"), h.add(VICTIM, "DS", "1 1 2 " + "ab" * 32)]), "REFUSED", None),
    ("a name server that is no host name", up(h.replace_ns(VICTIM, ["ns_1.evil.test.", "ns2.evil.test."])), "REFUSED", None),
    ("a name server that is the root", up(h.replace_ns(VICTIM, [".", "ns2.evil.test."])), "REFUSED", None),
    ("glue 0.0.0.0", up([h.delete(f"ns1.{VICTIM}", "A"), h.add(f"ns1.{VICTIM}", "A", "0.0.0.0")]), "REFUSED", None),
    ("glue that is multicast", up([h.delete(f"ns1.{VICTIM}", "A"), h.add(f"ns1.{VICTIM}", "A", "224.0.0.1")]), "REFUSED", None),
    # --- classes and forms: RFC 2136 3.4.1
    ("class ANY with RDATA", up([h.rr(VICTIM, "NS", h.ANY, 0, h.rdata("NS", "a.test."))]), "FORMERR", None),
    ("class ANY with a TTL", up([h.rr(VICTIM, "NS", h.ANY, 1, b"")]), "FORMERR", None),
    ("class NONE with a TTL", up([h.rr(VICTIM, "NS", h.NONE, 1, h.rdata("NS", "a.test."))]), "FORMERR", None),
    ("class NONE, type ANY", up([h.rr(VICTIM, 255, h.NONE, 0, b"")]), "FORMERR", None),
    ("class CH", up([h.rr(VICTIM, "NS", 3, 1, h.rdata("NS", "a.test."))]), "FORMERR", None),
    ("type AXFR", up([h.rr(VICTIM, 252, h.IN, 1, b"")]), "FORMERR", None),
    ("RDATA that ends inside a name", up([h.rr(VICTIM, "NS", h.IN, 1, b"\3abc")]), "FORMERR", None),
    ("an A record of five octets", up([h.rr(f"ns1.{VICTIM}", "A", h.IN, 1, bytes(5))]), "FORMERR", None),
    ("a prerequisite about the sibling", up(CHANGE, prereq=[h.exists(SIBLING, "NS")]), "REFUSED", None),
    ("a prerequisite about the parent", up(CHANGE, prereq=[h.exists(h.PARENT, "SOA")]), "REFUSED", None),
    ("a prerequisite with a TTL", up(CHANGE, prereq=[h.rr(VICTIM, "NS", h.ANY, 9, b"")]), "FORMERR", None),
    ("a prerequisite that does not hold", up(CHANGE, prereq=[h.absent(VICTIM, "NS")]), "YXRRSET", None),
    # --- keys: G.6
    ("an upload of somebody else's key", key_update(lambda w: h.ChildKey(VICTIM).rdata), "BADKEY", [E["KEY_UNKNOWN"]]),
    ("an upload that is too weak (RSA 1024)", upload_of(weak_rsa), None, None),
    ("an upload of a zone key", upload_of(zone_key), None, None),
    ("an upload with another protocol", key_update(lambda w: b"\0\0\4\x0f" + w.stranger.rdata[4:]), "BADKEY", None),
    ("an upload for a child that does not exist", upload_of(lambda w: h.ChildKey("nobody.example.")), "REFUSED", [E["NOT_A_DELEGATION"]]),
    ("an upload for the parent's apex", upload_of(lambda w: h.ChildKey("example.")), "REFUSED", [E["NOT_A_DELEGATION"]]),
    ("an untrusted key that deletes the trusted one", up([h.delete(VICTIM, "KEY")], "stranger"), "BADKEY", [E["KEY_UNKNOWN"]]),
    ("a waiting key that deletes the trusted one", up([h.delete(VICTIM, "KEY")], "waiting"), "REFUSED", None),
    ("the last trusted key deletes itself", lambda w: w.p.update(w.key, [h.delete(VICTIM, "KEY", w.key.text)]), "REFUSED", None),
    ("all keys deleted by the trusted one", up([h.delete(VICTIM, "KEY")]), "REFUSED", None),
    ("a sibling's KEY added by the victim", lambda w: w.p.update(w.key, [h.add(SIBLING, "KEY", w.key.text)]), "REFUSED", [E["NAME"]]),
    ("KEY RDATA that is no key", key_update(lambda w: b"\0\0\3\x0f" + bytes(5), "key"), "REFUSED", None),
    # --- KeyState: B.2
    ("KeyState without a signature", lambda w: w.p.keystate(w.key, sign=False), "REFUSED", None),
    ("KeyState with a bad signature", lambda w: w.p.keystate(w.key, sign=dict(signature=bytes(64))), "NOTAUTH", [E["BAD_SIGNATURE"]]),
    ("KeyState about the sibling", lambda w: w.p.keystate(w.key, name=SIBLING), "REFUSED", None),
    ("KeyState of two octets", lambda w: w.p.keystate(w.key, option_octets=h.option(h.OPT_KEYSTATE, b"\0\1")), "FORMERR", None),
    ("KeyState that claims to be an answer", lambda w: w.p.keystate(w.key, state=4), "FORMERR", None),
    ("KeyState replayed as an UPDATE", raw(lambda w: flip(w.key.sign(h.message(h.QUERY, [(VICTIM, h.KEY, h.IN)])), 2)), None, None),
    # --- NOTIFY: G.3
    ("NOTIFY for what is no child", lambda w: w.p.notify("www.nobody.example."), "REFUSED", [E["NOT_A_DELEGATION"]]),
    ("NOTIFY for the parent", lambda w: w.p.notify(h.PARENT), "REFUSED", None),
    ("NOTIFY about a type that is not published", lambda w: w.p.notify(rdtype="A"), "REFUSED", [E["SCHEME"]]),
    # --- malformed everything
    ("a message cut in the middle", spoiled(lambda m: m[:len(m) // 2]), "FORMERR", None),
    ("a header and nothing else", raw(lambda w: b"\0\1\x28\0" + b"\0\1\0\0\0\0\0\0"), "FORMERR", None),
    ("counts that lie", spoiled(lambda m: counted(m, 2, 7)), "FORMERR", None),
    ("a name that points into the header", raw(lambda w: compressed_question()), "FORMERR", None),
    ("a name that points at itself", raw(lambda w: b"\0\1\x28\0\0\1\0\0\0\0\0\0\xc0\x0c\0\6\0\1"), "FORMERR", None),
    ("two OPT records", raw(lambda w: w.key.sign(h.message(h.UPDATE, [(h.PARENT, h.SOA, h.IN)], ((), CHANGE, (h.opt_rr(),))))), "FORMERR",
     None),
    ("an EDNS version from the future", up(CHANGE, version=1), "BADVERS", None),
    ("an opcode that nobody has", raw(lambda w: h.message(9, [(h.PARENT, h.SOA, h.IN)])), "NOTIMP", None),
    ("an answer instead of a question", lambda w: w.p.send(flip_qr(h.update_message(CHANGE)), tcp=False, timeout=0.3), None, None),
]


def flip_qr(m):
    return m[:2] + bytes([m[2] | 0x80]) + m[3:]


def test_the_matrix_is_as_large_as_promised():
    assert len(ROWS) >= 60 and len({r[0] for r in ROWS}) == len(ROWS)


@pytest.mark.parametrize("send, rcode, ede", [r[1:] for r in ROWS], ids=[r[0].replace(" ", "_") for r in ROWS])
def test_nothing_changes(world, send, rcode, ede):
    before = world.state()
    a = send(world)
    assert world.state() == before
    if rcode is not None:
        assert a is not None and a.rcode == rcode, a
        if a.has_sig:
            assert a.is_signed, "a signature that does not verify"
    else:
        assert a is None or a.rcode != "NOERROR", a
    if ede is not None:
        assert a.ede_codes == ede, a


def test_unknown_keys_cost_no_public_key_operation(world):
    before = world.verifications()
    for name in ("nobody.example.", "ample.", "deep.child.example.", "example."):
        world.p.update(h.ChildKey(name), CHANGE)
        world.p.upload(h.ChildKey(name))
    for _ in range(5):
        world.p.update(world.stranger, CHANGE)
    assert world.verifications() == before


def test_case_is_no_hiding_place(world):
    """A signer name in other letters is the same child, and what it asks for is checked in the same way."""
    before = world.state()
    a = world.p.update(world.key, [h.add(UPPER, "TXT", '"x"')], sign=dict(signer=UPPER))
    assert (a.rcode, a.ede_codes) == ("REFUSED", [E["TYPE"]])
    a = world.p.update(world.stranger, h.replace_ns(UPPER, ["a.test.", "b.test."]), sign=dict(signer=UPPER))
    assert a.rcode == "BADKEY"
    assert world.state() == before


def test_a_message_is_good_once_in_whatever_dress(world):
    m = world.p.signed_update(world.key, [h.add(VICTIM, "NS", f"ns1.{VICTIM}")])
    assert world.p.ask(m).rcode == "NOERROR"
    for tcp in (True, False):
        a = world.p.ask(m, source="127.0.0.7", tcp=tcp)
        assert (a.rcode, a.ede_codes) == ("NOTAUTH", [E["REPLAY"]]), a


def test_an_ecdsa_signature_turned_over_is_the_same_message(world):
    """(r, n - s) verifies, too: it must be known again by r."""
    key = h.ChildKey(SIBLING, alg=h.P256)
    assert world.p.update(world.sibling, [h.add(SIBLING, "KEY", key.text)]).rcode == "NOERROR"
    m = world.p.signed_update(key, [h.add(SIBLING, "NS", "ns.two.test.")])
    n = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551
    other = m[:-32] + (n - int.from_bytes(m[-32:], "big")).to_bytes(32, "big")
    assert world.p.ask(m).rcode == "NOERROR"
    a = world.p.ask(other, source="127.0.0.7")
    assert (a.rcode, a.ede_codes) == ("NOTAUTH", [E["REPLAY"]]), a
    assert world.p.update(world.sibling, [h.delete(SIBLING, "KEY", key.text)]).rcode == "NOERROR"


def test_pending_keys_have_a_limit(world):
    """Whoever fills the list of uploads keeps neither trusted keys nor operators from anything."""
    answers = [world.p.upload(h.ChildKey(SIBLING), replace=False) for _ in range(8)]
    assert any(a.rcode == "REFUSED" for a in answers), answers
    assert sum(s != "TRUSTED" for _, s in world.p.keys(SIBLING)) <= 4
    assert world.p.update(world.sibling, [h.add(SIBLING, "NS", "ns.two.test.")]).rcode == "NOERROR"


def test_ds_cannot_be_taken_away_at_one_blow(world):
    before = world.p.records(VICTIM)
    a = world.p.update(world.key, [h.delete(VICTIM, "DS")])
    assert a is not None
    assert any(r[1] == "DS" for r in world.p.records(VICTIM)), a  # it waits to be confirmed, or was refused
    world.p.ctl("parent reject", raw=True, child=VICTIM)
    assert world.p.records(VICTIM) == before


def flood(world, make, count):
    return [world.p.ask(make(), tcp=False) for _ in range(count)]


def test_a_flood_of_notifies_leads_to_one_scan(world):
    before = world.p.stats()
    answers = [world.p.notify(VICTIM) for _ in range(200)]
    assert all(a is not None and a.rcode == "NOERROR" for a in answers)
    after = world.p.stats()
    assert after["notifies"] - before["notifies"] == 200
    assert after["scans"] - before["scans"] <= 2


def test_a_flood_of_keystates_is_answered_and_stores_nothing(world):
    before = world.p.stats()["audit_seq"]
    for _ in range(100):
        assert world.p.keystate(world.key).state == h.STATE["TRUSTED"]
    assert world.p.stats()["audit_seq"] == before


def test_random_octets(world):
    before = world.state()
    for n in list(range(12, 80, 3)) + [500, 1232]:
        for _ in range(10):
            world.p.send(os.urandom(n), tcp=False, timeout=0.01)
    good = world.p.signed_update(world.key, [h.add(VICTIM, "NS", "ns.two.test.")])  # what is there: some bits are not signed
    for _ in range(300):
        at = int.from_bytes(os.urandom(2), "big") % len(good)
        world.p.send(flip(good, at), tcp=False, timeout=0.01)
    assert world.state() == before
    assert world.p.keystate(world.key).state == h.STATE["TRUSTED"]
