# SPDX-License-Identifier: BSD-2-Clause
"""
The hostile child, a named row for each thing it may try: what it is told (RCODE, extended errors, KeyState: all of
each), and that nothing has changed (delegations, keys, what waits, of the victim and of its siblings). What can be sent
without EDNS is sent once more without. Every line of the table of errors (PROTOCOL B.5) has its rows. What needs
lying servers is in test_parentd_scan.py; what needs another parentd on the same store in test_parentd_pg.py.

One parentd has all rows, one after the other: each row leaves it as it found it.
"""

import collections
import os
import shutil
import struct
import tempfile
import time

import pytest

import family as f
import parent as h
from test_parentd_bootstrap import failing, reports, tree, whole_tree  # noqa: F401

VICTIM, SIBLING, UPPER = "child.example.", "sibling.example.", "CHILD.Example."
DS = "12345 13 2 " + "ab" * 32
CHANGE = h.replace_ns(VICTIM, ["ns1.evil.test.", "ns2.evil.test."])


AUTO = dict(bootstrap=["unsigned"], bootstrap_retry=1, unsigned_vantages=1, unsigned_rounds=1000)
POLICIES = dict(auto=AUTO, looked=dict(checks=True, scan_retry=["1", "1", "1", "1"]), narrow=dict(touch=["ns", "glue", "key"]),
                closed=dict(sources=["cds", "operator"]))
CHILDREN = {"auto.example.": "auto", "failed.example.": "auto", "looked.example.": "looked", "narrow.example.": "narrow",
            "closed.example.": "closed"}


class World:
    """
    The victim has a trusted key, glue and a DS; the sibling has another key; the attacker has one of each kind that is
    not trusted. looked.example. has real servers, which are looked at; so do the two whose keys are looked for.
    """

    def __init__(self, base):
        children = ", ".join(f'{{ zone = "{c}"; policy = "{p}"; }}' for c, p in CHILDREN.items())
        self.p = h.Parentd(base, policies=POLICIES, limits=dict(sweep=0), settings=f"children = ( {children} ); "
                           f"probe-port = {f.PORT}; probe-ipv6 = false; probe-timeout = 2;").start()
        self.key = h.ChildKey(VICTIM)
        self.sibling = h.ChildKey(SIBLING)
        self.stranger = h.ChildKey(VICTIM)
        self.waiting = h.ChildKey(VICTIM, alg=h.P256)
        self.distrusted = h.ChildKey(VICTIM, alg=h.P384)
        self.p.add_child(VICTIM, [f"{VICTIM} 300 NS ns1.{VICTIM}", f"{VICTIM} 300 NS ns.two.test.", f"ns1.{VICTIM} 300 A 192.0.2.1",
                                  f"{VICTIM} 300 DS {DS}"], keys=[self.key])
        self.p.add_child(SIBLING, [f"{SIBLING} 300 NS ns1.{SIBLING}", f"{SIBLING} 300 NS ns.two.test.",
                                   f"ns1.{SIBLING} 300 A 192.0.2.9"], keys=[self.sibling])
        self.locked, self.narrow, self.closed = (h.ChildKey(f"{x}.example.") for x in ("locked", "narrow", "closed"))
        self.p.add_child("locked.example.", keys=[self.locked])
        self.p.add_child("narrow.example.", keys=[self.narrow])
        self.p.add_child("closed.example.")
        self.p.ctl("parent lock", child="locked.example.", why="court order")
        for k in (self.waiting, self.distrusted):
            assert self.p.update(k, [h.add(VICTIM, "KEY", k.text)]).rcode == "NOERROR"
        self.p.ctl("parent reject", child=VICTIM, what=self.distrusted.fingerprint)
        self.nodes = []
        self.real_children(base)

    def serve(self, base, zone):
        """Two servers below the child, on addresses of their own."""
        zone.hosts = [(f"ns{i}.{zone.name}", h.address()) for i in (1, 2)]
        self.nodes += [f.Liar(base, zone.copy(), addr).start() for _host, addr in zone.hosts]
        return zone

    def real_children(self, base):
        self.auto, self.failed = h.ChildKey("auto.example."), h.ChildKey("failed.example.")
        for k in (self.auto, self.failed):
            shown = k if k is self.auto else h.ChildKey(k.name)
            zone = self.serve(base, f.Zone(k.name).put("TYPE25", f"\\# {len(shown.rdata)} {shown.rdata.hex()}"))
            self.p.add_child(k.name, zone.delegation())
            assert self.p.upload(k).rcode == "NOERROR"
        self.looked = h.ChildKey("looked.example.")
        zone = self.serve(base, f.Zone("looked.example.").key())
        self.p.add_child(zone.name, zone.delegation(ds=zone.keys), keys=[self.looked])
        self.lame = f.Liar(base, zone.copy(), h.address()).start()
        self.lame.no_aa = True
        self.nodes.append(self.lame)
        h.wait_for(lambda: self.p.keys("failed.example.")[0][1] == "FAILED", message="three looks, all in vain")
        assert self.p.keys("auto.example.")[0][1] == "KNOWN"

    def stop(self):
        for n in self.nodes:
            n.stop()
        self.p.stop()

    def state(self):
        """Everything that an attack must not touch; what was seen and counted is left out."""
        out = []
        for child in (VICTIM, SIBLING, "locked.example.", *CHILDREN):
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
    w.stop()
    shutil.rmtree(d, ignore_errors=True)


def up(records, key="key", asks=False, **kw):
    """An UPDATE by one of the world's keys; asks: with a KeyState inquiry on it."""
    def send(w, **more):
        k = getattr(w, key)
        options = h.keystate_option(k.tag) if asks else b""
        return w.p.update(k, records(w) if callable(records) else records, **dict(dict(options=options), **kw, **more))
    send.can_be_bare = not asks
    return send


def raw(make):
    return lambda w: w.p.ask(make(w))


def with_signer(name, key="key", **kw):
    return up(CHANGE, key, sign=dict(signer=name), **kw)


def spoiled(make, asks=False):
    """A good message, changed after it was signed."""
    def send(w, edns=True):
        options = h.keystate_option(w.key.tag) if asks else b""
        return w.p.ask(make(w.p.signed_update(w.key, CHANGE, edns=edns, options=options)))
    send.can_be_bare = not asks
    return send


def twice(asks=False):
    """What is there already, asked for and granted; then the same message from elsewhere."""
    def send(w, edns=True):
        options = h.keystate_option(w.key.tag) if asks else b""
        m = w.p.signed_update(w.key, [h.add(VICTIM, "NS", "ns.two.test.")], edns=edns, options=options)
        assert w.p.ask(m).rcode == "NOERROR"
        return w.p.ask(m, source="127.0.0.7")
    send.can_be_bare = not asks
    return send


def unsigned(asks=False):
    def send(w, edns=True):
        return w.p.ask(h.update_message(CHANGE, edns=edns, options=h.keystate_option(w.key.tag) if asks else b""))
    send.can_be_bare = not asks
    return send


def inquiry(key="key", **kw):
    return lambda w: w.p.keystate(getattr(w, key), **kw)


def as_opcode(octets, opcode):
    return octets[:2] + bytes([octets[2] & 0x87 | opcode << 3]) + octets[3:]


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


def by(make, records=None, asks=False):
    """An UPDATE by a key made for it: the victim's delegation (records), or an upload of that key."""
    def send(w, edns=True):
        k = make(w)
        options = h.keystate_option(k.tag) if asks else b""
        return w.p.update(k, records or [h.rr(k.name, h.KEY, h.IN, 300, k.rdata)], edns=edns, options=options)
    send.can_be_bare = not asks
    return send


def key_update(rdata, signer="stranger"):
    """KEY RDATA of one's own choice, octet by octet."""
    return up(lambda w: [h.rr(VICTIM, h.KEY, h.IN, 300, rdata(w))], signer)


def weak_rsa(_):
    return h.ChildKey(VICTIM, alg=h.RSASHA256, bits=1024)


def zone_key(_):
    return h.ChildKey(VICTIM, flags=0x0100)


def off_the_curve(_):
    """Its tag and its signature are its own; no point of the curve is."""
    k = h.ChildKey(VICTIM, alg=h.P256)
    k.rdata = k.rdata[:-1] + bytes([k.rdata[-1] ^ 1])
    return k


def huge_ns(n):
    return [h.delete(VICTIM, "NS")] + [h.add(VICTIM, "NS", f"ns{i}.evil.test.") for i in range(n)]


def compressed_question():
    """A name that points into the header, whose octets change when the signature is cut off."""
    return b"\0\1\x28\0\0\1\0\0\0\0\0\0" + b"\xc0\x00" + struct.pack("!HH", h.SOA, h.IN)


def flip_qr(m):
    return m[:2] + bytes([m[2] | 0x80]) + m[3:]


def datagram(octets):
    """Over UDP, where silence shows."""
    return lambda w: w.p.ask(octets, tcp=False, timeout=0.3)


def zones(section):
    """An UPDATE with this zone section."""
    def send(w, edns=True):
        return w.p.ask(w.key.sign(h.message(h.UPDATE, section, ((), CHANGE, ()), edns=edns)))
    send.can_be_bare = True
    return send


def resigned(m):
    """With one more signature behind that of whoever it was."""
    return h.ChildKey(VICTIM).sign(m)


def inquiry_message(w):
    return h.message(h.QUERY, [(VICTIM, h.KEY, h.IN)], options=h.keystate_option(w.key.tag))


def lame(w):
    """One more server for looked.example., which does not answer for it."""
    return [h.add("looked.example.", "NS", "ns3.looked.example."), h.add("ns3.looked.example.", "A", w.lame.addr)]


E, S = h.EDE, h.STATE
BLOCKED, PROHIBITED, NOT_AUTHORITATIVE, INVALID = 15, 18, 20, 24  # RFC 8914
SILENCE = None
# state: the KeyState in the answer, signed; None: there is none. ede: all codes. rcode SILENCE: no answer at all
Row = collections.namedtuple("Row", "name send rcode ede state", defaults=[None])
ROWS = [Row(*r) for r in [
    # --- the table of errors, PROTOCOL B.5; with what is said of the key to who asks
    ("a key that nobody has", up(CHANGE, "stranger"), "BADKEY", [E["KEY_UNKNOWN"]]),
    ("a key that nobody has, asking", up(CHANGE, "stranger", asks=True), "BADKEY", [E["KEY_UNKNOWN"]], S["UNKNOWN"]),
    ("a key that is still looked for", up(h.replace_ns("auto.example.", ["a.test.", "b.test."]), "auto"), "REFUSED", [E["NOT_TRUSTED"]]),
    ("a key that is still looked for, asking", up(h.replace_ns("auto.example.", ["a.test.", "b.test."]), "auto", asks=True), "REFUSED",
     [E["NOT_TRUSTED"]], S["BOOTSTRAP_AUTO"]),
    ("a key that was looked for in vain", up(h.replace_ns("failed.example.", ["a.test.", "b.test."]), "failed"), "REFUSED",
     [E["VALIDATION_FAILED"]]),
    ("a key that was looked for in vain, asking", up(h.replace_ns("failed.example.", ["a.test.", "b.test."]), "failed", asks=True),
     "REFUSED", [E["VALIDATION_FAILED"]], S["VALIDATION_FAILED"]),
    ("a key that waits for an operator", up(CHANGE, "waiting"), "REFUSED", [E["MANUAL"]]),
    ("a key that waits for an operator, asking", up(CHANGE, "waiting", asks=True), "REFUSED", [E["MANUAL"]], S["BOOTSTRAP_MANUAL"]),
    ("a key that an operator distrusts", up(CHANGE, "distrusted"), "REFUSED", [E["NOT_TRUSTED"]]),
    ("a key that an operator distrusts, asking", up(CHANGE, "distrusted", asks=True), "REFUSED", [E["NOT_TRUSTED"]], S["REFUSED"]),
    ("a bit of the signature is wrong", spoiled(lambda m: flip(m, len(m) - 1)), "NOTAUTH", [E["BAD_SIGNATURE"]]),
    ("a bit of the signature is wrong, asking", spoiled(lambda m: flip(m, len(m) - 1), asks=True), "NOTAUTH", [E["BAD_SIGNATURE"]]),
    ("expired", up(CHANGE, sign=dict(inception=-900, expiration=-300)), "NOTAUTH", [E["BAD_TIME"]]),
    ("expired, asking", up(CHANGE, asks=True, sign=dict(inception=-900, expiration=-300)), "NOTAUTH", [E["BAD_TIME"]]),
    ("a replay in the window", twice(), "NOTAUTH", [E["REPLAY"]]),
    ("a replay in the window, asking", twice(asks=True), "NOTAUTH", [E["REPLAY"]], S["TRUSTED"]),
    ("no signature at all", unsigned(), "REFUSED", [E["SIG0_REQUIRED"]]),
    ("no signature at all, asking", unsigned(asks=True), "REFUSED", [E["SIG0_REQUIRED"]]),
    ("two signatures", spoiled(resigned), "FORMERR", []),
    ("a record behind the signature", spoiled(lambda m: counted(m, 3, 1) + h.add("x.test.", "A", "192.0.2.1")), "FORMERR", []),
    ("a KeyState option that is broken", up(CHANGE, options=h.option(h.OPT_KEYSTATE, b"\0\1")), "FORMERR", [], S["MALFORMED"]),
    ("a cookie that is too short", up(CHANGE, options=h.option(h.OPT_COOKIE, b"1234567")), "FORMERR", []),
    ("an option that is longer than its OPT", up(CHANGE, options=b"\xff\xf0\x00\x09x"), "FORMERR", []),
    # --- its codes that are not in a row above
    ("an algorithm that is no good (RSASHA1)", up(CHANGE, sign=dict(alg=5)), "NOTAUTH", [E["ALGORITHM"]]),
    ("an algorithm that does not exist", up(CHANGE, sign=dict(alg=200)), "NOTAUTH", [E["ALGORITHM"]]),
    ("a type that this child may not change", up([h.add("narrow.example.", "DS", DS)], "narrow"), "REFUSED", [E["TYPE"]]),
    ("an upload where uploads are closed", by(lambda w: w.closed), "REFUSED", [E["SCHEME"]]),
    ("a name server that does not serve the child", up(lame, "looked"), "REFUSED", [E["CHECK"]]),
    ("a DS that no server's keys match", up([h.delete("looked.example.", "DS"), h.add("looked.example.", "DS", DS)], "looked"), "REFUSED",
     [E["CHAIN"]]),
    ("a child that is locked", up(h.replace_ns("locked.example.", ["a.test.", "b.test."]), "locked"), "REFUSED", [E["LOCKED"]]),
    ("a child that is locked, asking", up(h.replace_ns("locked.example.", ["a.test.", "b.test."]), "locked", asks=True), "REFUSED",
     [E["LOCKED"]], S["TRUSTED"]),
    ("a new key for a child that is locked", by(lambda w: h.ChildKey("locked.example.")), "REFUSED", [E["LOCKED"]]),
    # --- who may speak, and for whom: PROTOCOL G.5 steps 2 to 6
    ("a sibling's key with the victim's records", up(CHANGE, "sibling"), "REFUSED", [E["NAME"]]),
    ("a sibling's key with the victim's name as signer", with_signer(VICTIM, "sibling"), "BADKEY", [E["KEY_UNKNOWN"]]),
    ("the suffix trick: ample. as signer", with_signer("ample."), "REFUSED", [E["NOT_A_DELEGATION"]]),
    ("the suffix trick: child.ample. as signer", with_signer("child.ample."), "REFUSED", [E["NOT_A_DELEGATION"]]),
    ("the suffix trick: xchild.example. as signer", with_signer("xchild.example."), "REFUSED", [E["NOT_A_DELEGATION"]]),
    ("a dot inside a label: child\\.example. as signer", with_signer("child\\.example."), "REFUSED", [E["NOT_A_DELEGATION"]]),
    ("the parent's apex as signer", with_signer("example."), "REFUSED", [E["NOT_A_DELEGATION"]]),
    ("the root as signer", with_signer("."), "REFUSED", [E["NOT_A_DELEGATION"]]),
    ("a grandchild as signer", with_signer("deep.child.example."), "REFUSED", [E["NOT_A_DELEGATION"]]),
    ("a grandchild as signer, asking", with_signer("deep.child.example.", asks=True), "REFUSED", [E["NOT_A_DELEGATION"]], S["UNKNOWN"]),
    ("a wildcard as signer", with_signer("*.example."), "REFUSED", [E["NOT_A_DELEGATION"]]),
    ("the receiver's own name as signer", with_signer(h.TARGET), "REFUSED", [E["NOT_A_DELEGATION"]]),
    ("a key with the victim's key tag", by(tag_twin, CHANGE), "NOTAUTH", [E["BAD_SIGNATURE"]]),
    ("a key with the victim's key tag, asking", by(tag_twin, CHANGE, asks=True), "NOTAUTH", [E["BAD_SIGNATURE"]]),
    # --- the zone section
    ("the child itself as zone", up(CHANGE, zone=VICTIM), "NOTAUTH", [NOT_AUTHORITATIVE]),
    ("a zone of others", up(CHANGE, zone="other."), "NOTAUTH", [NOT_AUTHORITATIVE]),
    ("the root as zone", up(CHANGE, zone="."), "NOTAUTH", [NOT_AUTHORITATIVE]),
    ("two zones", zones([(h.PARENT, h.SOA, h.IN)] * 2), "FORMERR", []),
    ("no zone", zones([]), "FORMERR", []),
    ("zone of class CH", zones([(h.PARENT, h.SOA, 3)]), "FORMERR", []),
    ("zone of type NS", zones([(h.PARENT, "NS", h.IN)]), "FORMERR", []),
    # --- the signature: C.3
    ("a bit of the content is wrong", spoiled(lambda m: flip(m, m.index(b"evil"))), "NOTAUTH", [E["BAD_SIGNATURE"]]),
    ("another message ID than was signed", spoiled(lambda m: flip(m, 1)), "NOTAUTH", [E["BAD_SIGNATURE"]]),
    ("a signature of zeros", up(CHANGE, sign=dict(signature=bytes(64))), "NOTAUTH", [E["BAD_SIGNATURE"]]),
    ("a signature that is too short", up(CHANGE, sign=dict(signature=bytes(63))), "FORMERR", []),
    ("a signature that is too long", up(CHANGE, sign=dict(signature=bytes(65))), "FORMERR", []),
    ("an empty signature", up(CHANGE, sign=dict(signature=b"")), "FORMERR", []),
    ("from the future", up(CHANGE, sign=dict(inception=300, expiration=600)), "NOTAUTH", [E["BAD_TIME"]]),
    ("valid for a day", up(CHANGE, sign=dict(inception=-300, expiration=86100)), "NOTAUTH", [E["BAD_TIME"]]),
    ("expires before it begins", up(CHANGE, sign=dict(inception=300, expiration=-300)), "NOTAUTH", [E["BAD_TIME"]]),
    ("times half of the circle apart", up(CHANGE, sign=dict(inception=-(1 << 31), expiration=300)), "NOTAUTH", [E["BAD_TIME"]]),
    ("another algorithm than the key's", up(CHANGE, sign=dict(alg=h.P256)), "BADKEY", [E["KEY_UNKNOWN"]]),
    ("another key tag than the key's", up(CHANGE, sign=dict(tag=1)), "BADKEY", [E["KEY_UNKNOWN"]]),
    ("covers a type: no SIG(0)", up(CHANGE, sign=dict(covered=2)), "REFUSED", [E["SIG0_REQUIRED"]]),
    ("an OPT behind the signature", spoiled(lambda m: counted(m, 3, 1) + h.opt_rr()), "FORMERR", []),
    ("octets behind the signature", spoiled(lambda m: m + b"\0"), "FORMERR", []),
    ("the signature in the update section",
     raw(lambda w: counted(counted(w.key.sign(h.update_message(CHANGE, edns=False)), 3, -1), 2, 1)), "FORMERR", []),
    # --- what may be in it: G.5 step 4
    ("the sibling's NS beside the victim's", up(CHANGE + [h.add(SIBLING, "NS", "ns.evil.test.")]), "REFUSED", [E["NAME"]]),
    ("NS of the parent's apex", up([h.add(h.PARENT, "NS", "ns.evil.test.")]), "REFUSED", [E["NAME"]]),
    ("NS of the wildcard", up([h.add("*.example.", "NS", "ns.evil.test.")]), "REFUSED", [E["NAME"]]),
    ("NS of a grandchild", up([h.add("deep.child.example.", "NS", "ns.evil.test.")]), "REFUSED", [E["TYPE"]]),
    ("DS of a grandchild", up([h.add("deep.child.example.", "DS", DS)]), "REFUSED", [E["TYPE"]]),
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
    ("everything of the name deleted", up([h.delete(VICTIM, "ANY")]), "REFUSED", [E["TYPE"]]),
    ("everything of the apex deleted", up([h.delete(h.PARENT, "ANY")]), "REFUSED", [E["NAME"]]),
    ("all NS deleted", up([h.delete(VICTIM, "NS")]), "REFUSED", [E["CHECK"]]),
    ("all NS deleted, one by one", up([h.delete(VICTIM, "NS", f"ns1.{VICTIM}"), h.delete(VICTIM, "NS", "ns.two.test.")]), "REFUSED",
     [E["CHECK"]]),
    ("glue of a name server that stays deleted", up([h.delete(f"ns1.{VICTIM}", "A")]), "REFUSED", [E["CHECK"]]),
    ("a name server below the victim without glue", up(h.replace_ns(VICTIM, [f"ns9.{VICTIM}", "ns.two.test."])), "REFUSED", [E["CHECK"]]),
    ("more name servers than fit", up(huge_ns(14)), "REFUSED", [E["CHECK"]]),
    ("hundreds of name servers", up(huge_ns(500)), "REFUSED", [E["CHECK"]]),
    ("more DS than fit", up([h.add(VICTIM, "DS", f"{i} 13 2 " + "cd" * 32) for i in range(30)]), "REFUSED", [E["CHECK"]]),
    ("DS with a digest that is too short", up([h.rr(VICTIM, 43, h.IN, 1, b"\0\1\x0d\2" + bytes(31))]), "REFUSED", [E["CHECK"]]),
    ("DS of digest type SHA-1", up([h.delete(VICTIM, "DS"), h.add(VICTIM, "DS", "1 13 1 " + "ab" * 20)]), "REFUSED", [E["CHECK"]]),
    ("DS of an algorithm that is not taken", up([h.delete(VICTIM, "DS"), h.add(VICTIM, "DS", "1 1 2 " + "ab" * 32)]), "REFUSED",
     [E["CHECK"]]),
    ("a name server that is no host name", up(h.replace_ns(VICTIM, ["ns_1.evil.test.", "ns2.evil.test."])), "REFUSED", [E["CHECK"]]),
    ("a name server that is the root", up(h.replace_ns(VICTIM, [".", "ns2.evil.test."])), "REFUSED", [E["CHECK"]]),
    ("glue 0.0.0.0", up([h.delete(f"ns1.{VICTIM}", "A"), h.add(f"ns1.{VICTIM}", "A", "0.0.0.0")]), "REFUSED", [E["CHECK"]]),
    ("glue that is multicast", up([h.delete(f"ns1.{VICTIM}", "A"), h.add(f"ns1.{VICTIM}", "A", "224.0.0.1")]), "REFUSED", [E["CHECK"]]),
    # --- classes and forms: RFC 2136 3.4.1
    ("class ANY with RDATA", up([h.rr(VICTIM, "NS", h.ANY, 0, h.rdata("NS", "a.test."))]), "FORMERR", []),
    ("class ANY with a TTL", up([h.rr(VICTIM, "NS", h.ANY, 1, b"")]), "FORMERR", []),
    ("class NONE with a TTL", up([h.rr(VICTIM, "NS", h.NONE, 1, h.rdata("NS", "a.test."))]), "FORMERR", []),
    ("class NONE, type ANY", up([h.rr(VICTIM, 255, h.NONE, 0, b"")]), "FORMERR", []),
    ("class CH", up([h.rr(VICTIM, "NS", 3, 1, h.rdata("NS", "a.test."))]), "FORMERR", []),
    ("type AXFR", up([h.rr(VICTIM, 252, h.IN, 1, b"")]), "FORMERR", []),
    ("RDATA that ends inside a name", up([h.rr(VICTIM, "NS", h.IN, 1, b"\3abc")]), "FORMERR", []),
    ("an A record of five octets", up([h.rr(f"ns1.{VICTIM}", "A", h.IN, 1, bytes(5))]), "FORMERR", []),
    ("a prerequisite about the sibling", up(CHANGE, prereq=[h.exists(SIBLING, "NS")]), "REFUSED", [E["NAME"]]),
    ("a prerequisite about the parent", up(CHANGE, prereq=[h.exists(h.PARENT, "SOA")]), "REFUSED", [E["NAME"]]),
    ("a prerequisite with a TTL", up(CHANGE, prereq=[h.rr(VICTIM, "NS", h.ANY, 9, b"")]), "FORMERR", []),
    ("a prerequisite that does not hold", up(CHANGE, prereq=[h.absent(VICTIM, "NS")]), "YXRRSET", []),
    ("a prerequisite that does not hold, asking", up(CHANGE, asks=True, prereq=[h.absent(VICTIM, "NS")]), "YXRRSET", [], S["TRUSTED"]),
    ("a prerequisite of who is not trusted", up(lambda w: [h.add(VICTIM, "KEY", w.waiting.text)], "waiting", prereq=[h.exists(VICTIM, "NS")]),
     "REFUSED", [E["NOT_TRUSTED"]]),
    # --- keys: G.6
    ("an upload of somebody else's key", key_update(lambda w: h.ChildKey(VICTIM).rdata), "BADKEY", [E["KEY_UNKNOWN"]]),
    ("an upload that is too weak (RSA 1024)", by(weak_rsa), "REFUSED", [INVALID]),
    ("an upload that is too weak (RSA 1024), asking", by(weak_rsa, asks=True), "REFUSED", [INVALID], S["INVALID"]),
    ("an upload of a zone key", by(zone_key), "REFUSED", [INVALID]),
    ("an upload of a zone key, asking", by(zone_key, asks=True), "REFUSED", [INVALID], S["INVALID"]),
    ("an upload of a point off the curve", by(off_the_curve), "REFUSED", [INVALID]),
    ("an upload of a point off the curve, asking", by(off_the_curve, asks=True), "REFUSED", [INVALID], S["INVALID"]),
    ("an upload with another protocol", key_update(lambda w: b"\0\0\4\x0f" + w.stranger.rdata[4:]), "BADKEY", [E["KEY_UNKNOWN"]]),
    ("an upload for a child that does not exist", by(lambda w: h.ChildKey("nobody.example.")), "REFUSED", [E["NOT_A_DELEGATION"]]),
    ("an upload for the parent's apex", by(lambda w: h.ChildKey("example.")), "REFUSED", [E["NOT_A_DELEGATION"]]),
    ("an upload of what an operator distrusts", by(lambda w: w.distrusted), "REFUSED", [E["NOT_TRUSTED"]]),
    ("an untrusted key that deletes the trusted one", up([h.delete(VICTIM, "KEY")], "stranger"), "BADKEY", [E["KEY_UNKNOWN"]]),
    ("a waiting key that deletes the trusted one", up([h.delete(VICTIM, "KEY")], "waiting"), "REFUSED", [E["NOT_TRUSTED"]]),
    ("the last trusted key deletes itself", up(lambda w: [h.delete(VICTIM, "KEY", w.key.text)]), "REFUSED", [PROHIBITED]),
    ("all keys deleted by the trusted one", up([h.delete(VICTIM, "KEY")]), "REFUSED", [PROHIBITED]),
    ("a sibling's KEY added by the victim", up(lambda w: [h.add(SIBLING, "KEY", w.key.text)]), "REFUSED", [E["NAME"]]),
    ("KEY RDATA that is no key", key_update(lambda w: b"\0\0\3\x0f" + bytes(5), "key"), "REFUSED", [INVALID]),
    # --- KeyState: B.2; its codes are in test_parentd_keystate.py
    ("KeyState without a signature", inquiry(sign=False), "REFUSED", [E["SIG0_REQUIRED"]]),
    ("KeyState with a bad signature", inquiry(sign=dict(signature=bytes(64))), "NOTAUTH", [E["BAD_SIGNATURE"]]),
    ("KeyState that is over", inquiry(sign=dict(inception=-900, expiration=-300)), "NOTAUTH", [E["BAD_TIME"]]),
    ("KeyState with two signatures", raw(lambda w: resigned(w.key.sign(inquiry_message(w)))), "FORMERR", []),
    ("KeyState about the sibling", inquiry(name=SIBLING), "REFUSED", [PROHIBITED]),
    ("KeyState about the parent", inquiry(name=h.PARENT, sign=dict(signer=h.PARENT)), "REFUSED", [NOT_AUTHORITATIVE]),
    ("KeyState of two octets", inquiry(option_octets=h.option(h.OPT_KEYSTATE, b"\0\1")), "FORMERR", [], S["MALFORMED"]),
    ("KeyState that claims to be an answer", inquiry(state=4), "FORMERR", [], S["MALFORMED"]),
    ("KeyState without EDNS: a question about KEY", inquiry(edns=False), "REFUSED", []),
    ("KeyState replayed as an UPDATE", raw(lambda w: as_opcode(w.key.sign(inquiry_message(w)), h.UPDATE)), "FORMERR", []),
    ("an UPDATE replayed as KeyState",
     raw(lambda w: as_opcode(w.p.signed_update(w.key, CHANGE, options=h.keystate_option(w.key.tag)), h.QUERY)), "REFUSED",
     [NOT_AUTHORITATIVE]),
    # --- NOTIFY: G.3
    ("NOTIFY for what is no child", lambda w: w.p.notify("www.nobody.example."), "REFUSED", [E["NOT_A_DELEGATION"]]),
    ("NOTIFY for what is no child, without EDNS", lambda w: w.p.notify("www.nobody.example.", edns=False), "REFUSED", []),
    ("NOTIFY for the parent", lambda w: w.p.notify(h.PARENT), "REFUSED", [E["NOT_A_DELEGATION"]]),
    ("NOTIFY about a type that is not published", lambda w: w.p.notify(rdtype="A"), "REFUSED", [E["SCHEME"]]),
    ("NOTIFY about a type that is not published, without EDNS", lambda w: w.p.notify(rdtype="A", edns=False), "REFUSED", []),
    ("NOTIFY for two children", datagram(h.message(h.NOTIFY, [(VICTIM, "CDS", h.IN), (SIBLING, "CDS", h.IN)], flags=0x0400)), SILENCE, []),
    # --- malformed everything
    ("a message cut in the middle", spoiled(lambda m: m[:len(m) // 2]), "FORMERR", []),
    ("a header and nothing else", raw(lambda w: b"\0\1\x28\0" + b"\0\1\0\0\0\0\0\0"), "FORMERR", []),
    ("less than a header", datagram(b"\0\1\x28\0\0\1\0\0\0\0\0"), SILENCE, []),
    ("counts that lie", spoiled(lambda m: counted(m, 2, 7)), "FORMERR", []),
    ("a name that points into the header", raw(lambda w: compressed_question()), "FORMERR", []),
    ("a name that points at itself", raw(lambda w: b"\0\1\x28\0\0\1\0\0\0\0\0\0\xc0\x0c\0\6\0\1"), "FORMERR", []),
    ("two OPT records", raw(lambda w: w.key.sign(h.message(h.UPDATE, [(h.PARENT, h.SOA, h.IN)], ((), CHANGE, (h.opt_rr(),))))), "FORMERR",
     []),
    ("an EDNS version from the future", lambda w: w.p.update(w.key, CHANGE, version=1), "BADVERS", []),
    ("an opcode that nobody has", raw(lambda w: h.message(9, [(h.PARENT, h.SOA, h.IN)])), "NOTIMP", []),
    ("an answer instead of a question", datagram(flip_qr(h.update_message(CHANGE))), SILENCE, []),
]]
BY_NAME = {r.name: r for r in ROWS}


def bare(r):
    """The row without EDNS: an answer without, and an RCODE of four bits."""
    return Row(r.name + ", without EDNS", lambda w: r.send(w, edns=False), {"BADKEY": "NOTAUTH"}.get(r.rcode, r.rcode), [])


# What is about an option cannot be said without.
BARE = [bare(r) for r in ROWS if getattr(r.send, "can_be_bare", False) and r.state is None and "option" not in r.name and "cookie" not in r.name]
# Event, row, RCODE, extended error, RCODE without EDNS: PROTOCOL B.5.
ERRORS = [
    ("SIG(0) key unknown", "a key that nobody has", "BADKEY", ["KEY_UNKNOWN"], "NOTAUTH"),
    ("not trusted", "a key that is still looked for", "REFUSED", ["NOT_TRUSTED"], "REFUSED"),
    ("validation failed", "a key that was looked for in vain", "REFUSED", ["VALIDATION_FAILED"], "REFUSED"),
    ("manual only", "a key that waits for an operator", "REFUSED", ["MANUAL"], "REFUSED"),
    ("bad signature", "a bit of the signature is wrong", "NOTAUTH", ["BAD_SIGNATURE"], "NOTAUTH"),
    ("outside time window", "expired", "NOTAUTH", ["BAD_TIME"], "NOTAUTH"),
    ("replay", "a replay in the window", "NOTAUTH", ["REPLAY"], "NOTAUTH"),
    ("signature required", "no signature at all", "REFUSED", ["SIG0_REQUIRED"], "REFUSED"),
    ("malformed count", "two signatures", "FORMERR", [], "FORMERR"),
    ("malformed position", "a record behind the signature", "FORMERR", [], "FORMERR"),
]
REPORTED = {"CDS"}  # in reports alone: at the end


def test_the_matrix_is_as_large_as_promised():
    names = [r.name for r in ROWS + BARE]
    assert len(ROWS) >= 60 and len(set(names)) == len(names)


@pytest.mark.parametrize("row, rcode, ede, without", [e[1:] for e in ERRORS], ids=[e[0].replace(" ", "_") for e in ERRORS])
def test_the_table_of_errors_has_its_rows(row, rcode, ede, without):
    assert (BY_NAME[row].rcode, BY_NAME[row].ede) == (rcode, [E[x] for x in ede])
    assert (bare(BY_NAME[row]).rcode, bare(BY_NAME[row]).name in [r.name for r in BARE]) == (without, True)


def test_every_extended_error_has_a_row():
    assert set(E) - REPORTED == {name for name, code in E.items() if any(r.ede == [code] for r in ROWS)}


@pytest.mark.parametrize("r", ROWS + BARE, ids=[r.name.replace(" ", "_") for r in ROWS + BARE])
def test_nothing_changes(world, r):
    before = world.state()
    a = r.send(world)
    assert world.state() == before
    if r.rcode is SILENCE:
        assert a is None, a
        return
    assert a is not None and (a.rcode, a.ede_codes, a.state) == (r.rcode, r.ede, r.state), a
    assert not a.has_sig or a.is_signed, "a signature that does not verify"
    assert a.state is None or a.is_signed, "a KeyState that nobody can believe"
    assert not a.has_opt or r not in BARE, "an OPT that nobody asked for"


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


# --- floods of inquiries, with budgets as an operator has them ---

FLOOD, SIGNED_S, NAME_S, FAILED_S = 300, 5, 8, 6


@pytest.fixture
def small(servers, base):
    """The budgets are full, and so small that the flood is above each of them on whatever machine."""
    p = servers(h.Parentd(base, limits=dict(signed_refusals_per_s=SIGNED_S, verify_per_name_per_s=NAME_S, failures_per_s=FAILED_S))).start()
    p.good, p.stranger, p.waiting, p.distrusted = (h.ChildKey(VICTIM, alg=a) for a in (h.ED25519, h.ED25519, h.P256, h.P384))
    p.add_child(VICTIM, keys=[p.good])
    for k in (p.waiting, p.distrusted):
        assert p.update(k, [h.add(VICTIM, "KEY", k.text)]).rcode == "NOERROR"
    p.ctl("parent reject", child=VICTIM, what=p.distrusted.fingerprint)
    return p


def inquiries(p, key, **sign):
    """As many as there are in a flood: the answers, what they cost, and the seconds that it took."""
    before, begin, shown = p.stats(), time.monotonic(), p.show(VICTIM)
    raw = [key.sign(h.message(h.QUERY, [(VICTIM, h.KEY, h.IN)], options=h.keystate_option(key.tag)), **sign) for _ in range(FLOOD)]
    answers = [p.ask(m, tcp=False) for m in raw]
    took = time.monotonic() - begin
    after = p.stats()
    assert p.keystate(p.good, tcp=True).state == h.STATE["TRUSTED"], "the budgets of others are not the trusted child's"
    assert after["audit_seq"] == before["audit_seq"]
    assert (shown["delegation"], [k["state"] for k in shown["keys"]]) == \
        (p.show(VICTIM)["delegation"], [k["state"] for k in p.show(VICTIM)["keys"]])
    return answers, {k: after[k] - before[k] for k in ("verifications", "signatures")}, took


def within(count, per_s, took):
    """A bucket holds as much as comes in a second."""
    return count <= per_s * (took + 1) + 1


def test_a_flood_of_keystates_by_a_key_that_nobody_has(small):
    answers, cost, took = inquiries(small, small.stranger)
    said = [a for a in answers if a.state is not None]
    assert said and all(a.state == h.STATE["UNKNOWN"] and a.is_signed and a.key_id == small.stranger.tag for a in said)
    assert all(not a.has_sig for a in answers if a.state is None), "a signature is spent on an answer only with what was asked for"
    assert cost["verifications"] == 0, "no public-key operation for a key that is not there"
    assert within(cost["signatures"], SIGNED_S, took) and within(len(said), SIGNED_S, took)


@pytest.mark.parametrize("who, state", [("waiting", "BOOTSTRAP_MANUAL"), ("distrusted", "REFUSED")])
def test_a_flood_of_keystates_by_a_key_that_is_known_and_not_trusted(small, who, state):
    answers, cost, took = inquiries(small, getattr(small, who))
    said = [a for a in answers if a.state is not None]
    assert said and all(a.rcode == "NOERROR" and a.state == h.STATE[state] and a.is_signed for a in said)
    over = [a for a in answers if a.state is None]
    assert all((a.rcode, a.ede_codes, a.has_sig) == ("SERVFAIL", [BLOCKED], False) for a in over), over[:3]
    assert within(cost["verifications"], NAME_S, took) and within(cost["signatures"], NAME_S, took)


def test_a_flood_of_forged_keystates(small):
    """A tag that is known, a signature that is not good: nothing is said of the key, and not much done about it."""
    answers, cost, took = inquiries(small, small.good, signature=bytes(64))
    assert all(a.state is None for a in answers)
    told = {(a.rcode, *a.ede_codes) for a in answers}
    assert told <= {("NOTAUTH", E["BAD_SIGNATURE"]), ("REFUSED", BLOCKED), ("SERVFAIL", BLOCKED)}, told
    assert within(cost["verifications"], min(NAME_S, FAILED_S), took) and within(cost["signatures"], SIGNED_S, took)


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


# --- the code that no answer has ---


def test_cds_that_differ_are_reported_with_a_code_of_their_own(failing):  # noqa: F811
    """Each is signed, and signs; they are not the same (PROTOCOL G.4, 49177)."""
    zone, nodes, parent, agent = failing("er.ns3.op.", sweep=0)
    for node, key in zip(nodes, zone.keys):
        shows = zone.copy().cds([key])
        shows.unsigned.clear()
        node.change(shows)
    before = [r for r in parent.records(zone.name) if r[1] == "DS"]
    for _ in range(6):  # differences may pass: it takes some looks until they are told
        parent.ctl("parent scan", child=zone.name)
    h.wait_for(lambda: reports(agent), message="a report")
    assert reports(agent) == [f"_er.59.{zone.name}{E['CDS']}._er.er.ns3.op."]
    assert [r for r in parent.records(zone.name) if r[1] == "DS"] == before
