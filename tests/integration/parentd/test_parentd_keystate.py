# SPDX-License-Identifier: BSD-2-Clause
"""
KeyState on the wire, code by code (PROTOCOL B.2, G.6): who gets which answer to an inquiry and to an UPDATE that
carries one, over UDP and TCP, with the KEY-ID of the request, signed by the receiver; and who gets none.
"""

import contextlib
import os
import shutil
import sqlite3
import struct
import tempfile

import pytest

import family as f
import parent as h

S, E = h.STATE, h.EDE
AUTO = dict(bootstrap=["unsigned"], bootstrap_retry=1, unsigned_vantages=1, unsigned_rounds=1000)
LOOKED_FOR = ("auto.example.", "failed.example.")
RECEIVER_TO_CHILD = [1, 4, 5, 6, 7, 8, 9, 10]
UNASSIGNED = [3, 11, 12, 127, 128, 255]


class World:
    """A key in each state that a key can be in; two children have servers, where their keys are looked for."""

    def __init__(self, base):
        children = ", ".join(f'{{ zone = "{c}"; policy = "auto"; }}' for c in LOOKED_FOR)
        strict = '{ zone = "strict.example."; policy = "strict"; }'
        self.p = h.Parentd(base, policies=dict(auto=AUTO, strict=dict(key_algorithms=["15"])), limits=dict(sweep=0),
                           settings=f"children = ( {children}, {strict} ); probe-port = {f.PORT}; probe-ipv6 = false;").start()
        self.trusted, self.stranger = h.ChildKey(), h.ChildKey()
        self.manual, self.distrusted = h.ChildKey(alg=h.P256), h.ChildKey(alg=h.P384)
        self.nobody, self.grandchild = h.ChildKey("nobody.example."), h.ChildKey("deep.child.example.")
        self.p.add_child(keys=[self.trusted])
        for k in (self.manual, self.distrusted):
            assert self.p.update(k, [h.add(h.CHILD, "KEY", k.text)]).rcode == "NOERROR"
        self.p.ctl("parent reject", child=h.CHILD, what=self.distrusted.fingerprint)
        self.p.add_child("strict.example.")
        self.nodes = []
        self.auto, self.failed = (self.looked_for(base, name) for name in LOOKED_FOR)
        h.wait_for(lambda: self.p.keys("failed.example.")[0][1] == "FAILED", message="three looks, all in vain")

    def looked_for(self, base, name):
        """The first shows its key, the second one shows another."""
        key = h.ChildKey(name)
        shown = key if name == LOOKED_FOR[0] else h.ChildKey(name)
        zone = f.Zone(name, [(f"ns{i}.{name}", h.address()) for i in (1, 2)])
        zone.put("TYPE25", f"\\# {len(shown.rdata)} {shown.rdata.hex()}")
        self.nodes += [f.Liar(base, zone.copy(), addr).start() for _host, addr in zone.hosts]
        self.p.add_child(name, zone.delegation())
        assert self.p.upload(key).rcode == "NOERROR"
        return key

    def stop(self):
        for n in self.nodes:
            n.stop()
        self.p.stop()


@pytest.fixture(scope="module")
def world():
    d = tempfile.mkdtemp(prefix="prt")
    w = World(d)
    yield w
    w.stop()
    shutil.rmtree(d, ignore_errors=True)


def is_told(a, state, key_id):
    """The whole option, and what makes it worth believing."""
    assert a is not None and a.is_signed and a.signer == h.TARGET, a
    assert [c for c, _ in a.options].count(h.OPT_KEYSTATE) == 1
    assert (a.state, a.key_id, a.state_data) == (S[state], key_id, 0), a
    assert 0 < len(a.state_text) <= 128
    return a


# --- inquiries ---

# key, code, RCODE, extended error
INQUIRIES = [
    ("trusted", "TRUSTED", "NOERROR", []),
    ("auto", "BOOTSTRAP_AUTO", "NOERROR", []),
    ("manual", "BOOTSTRAP_MANUAL", "NOERROR", []),
    ("failed", "VALIDATION_FAILED", "NOERROR", []),
    ("distrusted", "REFUSED", "NOERROR", []),
    ("stranger", "UNKNOWN", "NOERROR", []),
    ("nobody", "UNKNOWN", "REFUSED", [E["NOT_A_DELEGATION"]]),
    ("grandchild", "UNKNOWN", "REFUSED", [E["NOT_A_DELEGATION"]]),
]


@pytest.mark.parametrize("tcp", [True, False], ids=["tcp", "udp"])
@pytest.mark.parametrize("qtype", ["KEY", "ANY"])
@pytest.mark.parametrize("who, state, rcode, ede", INQUIRIES, ids=[i[0] for i in INQUIRIES])
def test_an_inquiry(world, who, state, rcode, ede, qtype, tcp):
    key = getattr(world, who)
    a = is_told(world.p.keystate(key, qtype=qtype, tcp=tcp), state, key.tag)
    assert (a.rcode, a.ede_codes) == (rcode, ede)


@pytest.mark.parametrize("alg", [h.RSASHA256, h.P256, h.P384, h.ED25519, h.ED448])
def test_an_inquiry_with_each_algorithm(servers, base, alg):
    p = servers(h.Parentd(base)).start()
    p.add_child()
    key = h.ChildKey(alg=alg)
    is_told(p.keystate(key), "UNKNOWN", key.tag)
    p.trust(key)
    is_told(p.keystate(key), "TRUSTED", key.tag)


def test_a_key_goes_through_its_states(servers, base):
    """One key, from nothing to trusted and to distrusted; and a child that is no more."""
    p = servers(h.Parentd(base)).start()
    old, key = h.ChildKey(), h.ChildKey()
    p.add_child(keys=[old])
    is_told(p.keystate(key), "UNKNOWN", key.tag)
    is_told(p.upload(key, options=h.keystate_option(key.tag)), "BOOTSTRAP_MANUAL", key.tag)
    is_told(p.keystate(key), "BOOTSTRAP_MANUAL", key.tag)
    p.ctl("parent approve", child=h.CHILD, what=key.fingerprint)
    is_told(p.keystate(key), "TRUSTED", key.tag)
    is_told(p.keystate(old), "UNKNOWN", old.tag)  # it was replaced
    p.ctl("parent reject", child=h.CHILD, what=key.fingerprint)
    is_told(p.keystate(key), "REFUSED", key.tag)
    a = p.upload(key, options=h.keystate_option(key.tag))  # nobody but an operator takes that back
    assert (is_told(a, "REFUSED", key.tag).rcode, a.ede_codes) == ("REFUSED", [E["NOT_TRUSTED"]])


# --- on UPDATEs ---

NS = [h.add(h.CHILD, "NS", "ns.two.test.")]  # what is there
UPDATES = [
    ("trusted", "TRUSTED", "NOERROR", []),
    ("auto", "BOOTSTRAP_AUTO", "REFUSED", [E["NOT_TRUSTED"]]),
    ("manual", "BOOTSTRAP_MANUAL", "REFUSED", [E["MANUAL"]]),
    ("failed", "VALIDATION_FAILED", "REFUSED", [E["VALIDATION_FAILED"]]),
    ("distrusted", "REFUSED", "REFUSED", [E["NOT_TRUSTED"]]),
    ("stranger", "UNKNOWN", "BADKEY", [E["KEY_UNKNOWN"]]),
    ("nobody", "UNKNOWN", "REFUSED", [E["NOT_A_DELEGATION"]]),
]


@pytest.mark.parametrize("tcp", [True, False], ids=["tcp", "udp"])
@pytest.mark.parametrize("who, state, rcode, ede", UPDATES, ids=[u[0] for u in UPDATES])
def test_an_update_that_asks(world, who, state, rcode, ede, tcp):
    key = getattr(world, who)
    records = NS if key.name == h.CHILD else [h.add(key.name, "NS", "ns.two.test.")]
    a = is_told(world.p.update(key, records, options=h.keystate_option(key.tag), tcp=tcp), state, key.tag)
    assert (a.rcode, a.ede_codes) == (rcode, ede)


def off_the_curve():
    k = h.ChildKey(alg=h.P256)
    k.rdata = k.rdata[:-1] + bytes([k.rdata[-1] ^ 1])
    return k


@pytest.mark.parametrize("make, state", [
    (lambda: h.ChildKey(flags=0x0100), "INVALID"),
    (off_the_curve, "INVALID"),
    (lambda: h.ChildKey("strict.example.", alg=h.P256), "REFUSED"),
], ids=["a-zone-key", "a-point-off-the-curve", "an-algorithm-that-policy-refuses"])
def test_an_upload_of_what_cannot_be_taken(world, make, state):
    key = make()
    a = world.p.update(key, [h.rr(key.name, h.KEY, h.IN, 300, key.rdata)], options=h.keystate_option(key.tag))
    assert is_told(a, state, key.tag).rcode == "REFUSED" and a.ede_codes == [24]
    is_told(world.p.keystate(key), "UNKNOWN", key.tag)  # nothing of it was kept


# --- when the store cannot tell ---


@contextlib.contextmanager
def spoiled(p):
    """The only child's record in the books' file cannot be read for a while; what was changed lately is not there yet."""
    with contextlib.closing(sqlite3.connect(os.path.join(p.dir, "state", "parentd.db"), timeout=h.LIMIT_S, isolation_level=None)) as db:
        h.wait_for(lambda: not db.execute("SELECT 1 FROM kv WHERE bucket = 'fresh'").fetchall(), message="the record in its place")
        (good,), = db.execute("SELECT value FROM kv WHERE bucket = 'child'").fetchall()
        db.execute("UPDATE kv SET value = ? WHERE bucket = 'child'", (b"\xff",))
        try:
            yield
        finally:
            db.execute("UPDATE kv SET value = ? WHERE bucket = 'child'", (good,))


def test_a_store_that_fails_is_a_temporary_failure(servers, base):
    p = servers(h.Parentd(base)).start()
    key = h.ChildKey()
    p.add_child(keys=[key])
    with spoiled(p):
        a = is_told(p.keystate(key), "TEMPORARY_FAILURE", key.tag)
        assert a.rcode == "SERVFAIL"
        a = is_told(p.update(key, NS, options=h.keystate_option(key.tag)), "TEMPORARY_FAILURE", key.tag)
        assert a.rcode == "SERVFAIL"
        a = p.update(key, NS)
        assert (a.rcode, a.state) == ("SERVFAIL", None)  # nobody asked
    is_told(p.keystate(key), "TRUSTED", key.tag)
    assert p.update(key, NS).rcode == "NOERROR"


# --- malformed: code 0, and as much of the KEY-ID as can be read ---


def malformed(tag):
    """What is in the option, and the KEY-ID of the answer."""
    rows = [("empty", b"", 0), ("one-octet", b"\1", 0), ("no-state", struct.pack("!H", tag), tag),
            ("no-data", struct.pack("!HB", tag, 2), tag), ("data-not-zero", struct.pack("!HBB", tag, 2, 1), tag),
            ("another-key", struct.pack("!HBB", tag ^ 1, 2, 0), tag ^ 1),
            ("endless-text", struct.pack("!HBB", tag, 2, 0) + b"x" * 1025, tag)]
    rows += [(f"code-{c}", struct.pack("!HBB", tag, c, 0), tag) for c in [0] + RECEIVER_TO_CHILD + UNASSIGNED]
    return rows


MALFORMED = [r[0] for r in malformed(0)]
ABOUT_AN_UPDATE = [n for n in MALFORMED if n != "another-key"]  # an UPDATE is not about the key of the option


@pytest.mark.parametrize("what", MALFORMED)
def test_an_inquiry_that_is_malformed(world, what):
    octets, key_id = next(r[1:] for r in malformed(world.trusted.tag) if r[0] == what)
    a = is_told(world.p.keystate(world.trusted, option_octets=h.option(h.OPT_KEYSTATE, octets)), "MALFORMED", key_id)
    assert (a.rcode, a.ede_codes) == ("FORMERR", [])


@pytest.mark.parametrize("what", ABOUT_AN_UPDATE)
def test_an_update_with_a_malformed_option_does_nothing(world, what):
    octets, key_id = next(r[1:] for r in malformed(world.trusted.tag) if r[0] == what)
    before = world.p.records()
    a = world.p.update(world.trusted, [h.add(h.CHILD, "NS", "ns.evil.test.")], options=h.option(h.OPT_KEYSTATE, octets))
    assert is_told(a, "MALFORMED", key_id).rcode == "FORMERR"
    assert world.p.records() == before


def test_text_is_for_people_and_changes_nothing(world):
    for text in (b"why?", "h\u00e9 \u202e".encode(), b"\xff\xfe\0\x1b[31m", b"x" * 1024):
        is_told(world.p.keystate(world.trusted, text=text), "TRUSTED", world.trusted.tag)
    assert "\x1b" not in world.p.log_text()


# --- layout of draft 02 ---


def test_the_older_layout_gets_the_same_answers(servers, base):
    """0 and 1 were "begin the bootstrap": inquiries where that is configured."""
    p = servers(h.Parentd(base, settings="keystate-compat-02 = true;")).start()
    trusted, manual, stranger = h.ChildKey(), h.ChildKey(), h.ChildKey()
    p.add_child(keys=[trusted])
    assert p.update(manual, [h.add(h.CHILD, "KEY", manual.text)]).rcode == "NOERROR"
    for code in (0, 1, 2):
        for key, state in ((trusted, "TRUSTED"), (manual, "BOOTSTRAP_MANUAL"), (stranger, "UNKNOWN")):
            is_told(p.keystate(key, state=code), state, key.tag)
    for code in UNASSIGNED + RECEIVER_TO_CHILD[1:]:
        is_told(p.keystate(trusted, state=code), "MALFORMED", trusted.tag)


@pytest.mark.parametrize("code", [0, 1])
def test_the_older_layout_is_known_by_its_type(world, code):
    """Draft 02 asked with ANY: its codes come with nothing else. With KEY they are malformed (above)."""
    for who, state in (("trusted", "TRUSTED"), ("manual", "BOOTSTRAP_MANUAL"), ("auto", "BOOTSTRAP_AUTO"), ("stranger", "UNKNOWN")):
        key = getattr(world, who)
        is_told(world.p.keystate(key, state=code, qtype="ANY"), state, key.tag)
    for other in (3, 4, 11):
        is_told(world.p.keystate(world.trusted, state=other, qtype="ANY"), "MALFORMED", world.trusted.tag)


# --- who is told nothing ---


@pytest.mark.parametrize("sign, rcode, ede", [
    (False, "REFUSED", E["SIG0_REQUIRED"]),
    (dict(signature=bytes(64)), "NOTAUTH", E["BAD_SIGNATURE"]),
    (dict(inception=-900, expiration=-300), "NOTAUTH", E["BAD_TIME"]),
], ids=["unsigned", "bad-signature", "expired"])
@pytest.mark.parametrize("on", ["inquiry", "update"])
def test_who_cannot_show_the_key_is_told_nothing_of_it(world, on, sign, rcode, ede):
    key = world.trusted
    if on == "inquiry":
        a = world.p.keystate(key, sign=sign)
    elif sign is False:
        a = world.p.ask(h.update_message(NS, options=h.keystate_option(key.tag)))
    else:
        a = world.p.update(key, NS, options=h.keystate_option(key.tag), sign=sign)
    assert (a.rcode, a.ede_codes, a.state) == (rcode, [ede], None)


@pytest.mark.parametrize("alg", [5, 200])
@pytest.mark.parametrize("on", ["inquiry", "update"])
def test_an_algorithm_that_is_not_taken_is_refused_whatever_the_key(world, on, alg):
    """G.6: 7 for a forbidden algorithm. It says nothing of what is held here."""
    key = world.stranger
    sign = dict(alg=alg)
    a = world.p.keystate(key, sign=sign) if on == "inquiry" else world.p.update(key, NS, options=h.keystate_option(key.tag), sign=sign)
    assert (is_told(a, "REFUSED", key.tag).rcode, a.ede_codes) == ("NOTAUTH", [E["ALGORITHM"]])


def test_nobody_is_told_who_has_not_asked(world):
    for key in (world.trusted, world.manual, world.stranger, world.distrusted):
        a = world.p.update(key, NS)
        assert a.state is None and a.is_signed
        a = world.p.update(key, NS, edns=False)
        assert not a.has_opt
    assert world.p.notify(options=h.keystate_option(world.trusted.tag)).state is None


def test_no_signature_no_state(servers, base):
    """Answers to what does not verify are signed within a budget: above it the option stays out (B.2, fail closed)."""
    p = servers(h.Parentd(base, limits=dict(signed_refusals_per_s=0))).start()
    key = h.ChildKey()
    p.add_child(keys=[key])
    a = p.keystate(h.ChildKey())
    assert (a.rcode, a.has_sig, a.state) == ("NOERROR", False, None)
    a = p.keystate(key, state=3)
    assert (a.rcode, a.has_sig, a.state) == ("FORMERR", False, None)
    is_told(p.keystate(key), "TRUSTED", key.tag)  # who is known is answered signed
