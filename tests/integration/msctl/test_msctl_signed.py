# SPDX-License-Identifier: BSD-2-Clause
"""query keystate and query hello against a responder that checks our signature and signs its answer, or does worse."""
import struct

import dns.edns
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdatatype
import pytest
from ctlharness import Responder, msctl, sig0

pytestmark = pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")  # of the responder's threads
ADDRESS = "127.0.77.3"
KEYSTATE, MULTISIGNER, EDE = 65002, 65006, 15
EVIL = b"\x1b[31m\r\n\xc2\x9b\xff"


class Key:
    def __init__(self, directory, owner, algorithm="ED25519"):
        k = msctl("--json", "key", "generate", "--dir", directory, "--algorithm", algorithm, owner).json
        self.private, self.public, self.tag = k["file"], k["file"].replace(".private", ".key"), k["tag"]


@pytest.fixture(params=["ED25519", "ECDSAP256SHA256"])
def keys(tmp_path, request):
    for d in ("child", "parent"):
        (tmp_path / d).mkdir()
    return Key(tmp_path / "child", "child.parent.", request.param), Key(tmp_path / "parent", "receiver.parent.", request.param)


@pytest.fixture
def responder():
    started = []

    def start(handler):
        started.append(Responder(ADDRESS, handler))
        return started[-1]
    yield start
    for r in started:
        r.close()


def option(request, code):
    return next((o.data for o in request.options if o.otype == code), None)


class Side:
    """Answers as a receiver, or an agent, does: parse with dnspython, verify with the key of the asking side, sign."""

    def __init__(self, client, server, option_code, change):
        self.client, self.server, self.code, self.change, self.seen, self.verdicts = client, server, option_code, change, [], []

    def __call__(self, wire, how):
        verdict = sig0("verify", self.client.public, stdin=wire)
        self.verdicts.append((verdict.stdout + verdict.stderr).decode().split()[0])
        request = dns.message.from_wire(wire)
        self.seen.append(request)
        c = dict(options=[], rcode=dns.rcode.NOERROR, sign=self.server, truncate=False, id=request.id, tail=lambda w: w, request=wire)
        c.update(self.change(request, how))
        answer = dns.message.Message(id=c["id"])
        answer.flags = dns.flags.QR | dns.flags.AA
        answer.set_opcode(request.opcode())
        answer.question = request.question
        answer.use_edns(0, payload=1232, options=[dns.edns.GenericOption(code, data) for code, data in c["options"]])
        answer.set_rcode(c["rcode"])
        if c["truncate"]:
            answer.flags |= dns.flags.TC
        out = answer.to_wire()
        if c["sign"] is not None:
            self_request = self.server.private + ".request"
            with open(self_request, "wb") as f:
                f.write(c["request"])
            signed = sig0("sign", c["sign"].private, "-r", self_request, stdin=out)
            assert signed.returncode == 0, signed.stderr
            out = signed.stdout
        return c["tail"](out)


def keystate(key_id, state, data=0, text=b""):
    return struct.pack("!HBB", key_id, state, data) + text


def ask_keystate(responder, keys, change, *args):
    client, server = keys
    side = Side(client, server, KEYSTATE, change)
    r = responder(side)
    result = msctl("--json", "query", "keystate", "child.parent.", "--key", client.private, "--timeout", "3", *r.where, *args)
    return side, result


# --- query keystate ---

STATES = {1: "TEMPORARY_FAILURE", 4: "TRUSTED", 5: "UNKNOWN", 6: "INVALID", 7: "REFUSED", 8: "VALIDATION_FAILED", 9: "BOOTSTRAP_AUTO",
          10: "BOOTSTRAP_MANUAL", 0: "MALFORMED"}


@pytest.mark.parametrize("state", STATES)
def test_the_inquiry_is_as_the_protocol_has_it_and_the_state_is_shown(responder, keys, state):
    client, server = keys
    side, r = ask_keystate(responder, keys, lambda q, how: dict(options=[(KEYSTATE, keystate(client.tag, state, 0, b"because"))]),
                           "--peer-key", server.public)
    assert r.code == 0, r.err
    assert r.json == {"rcode": "NOERROR", "signer": "receiver.parent.", "signer_key_tag": server.tag, "signature": "verified",
                      "state": STATES[state], "state_code": state, "key_id": client.tag, "key_data": 0, "text": "because"}
    assert side.verdicts == ["ok"]
    q = side.seen[0]
    assert q.opcode() == dns.opcode.QUERY and str(q.question[0].name) == "child.parent." and q.question[0].rdtype == dns.rdatatype.KEY
    assert option(q, KEYSTATE) == keystate(client.tag, 2)


def test_without_peer_key_the_signature_is_not_checked_and_that_is_told(responder, keys):
    side, r = ask_keystate(responder, keys, lambda q, how: dict(options=[(KEYSTATE, keystate(keys[0].tag, 4))]))
    assert r.code == 0 and r.json["signature"] == "not checked: no --peer-key" and r.json["state"] == "TRUSTED"


@pytest.mark.parametrize("what,change,signature", [
    ("unsigned", dict(sign=None), "none"),
    ("by the wrong key", dict(sign="client"), "not signed by a known key"),
    ("another request's answer", dict(request=bytes(12) + b"\0\0\x01\0\x01"), "signature does not verify"),
    ("changed on the way", dict(tail=lambda w: w[:3] + bytes([w[3] ^ 0x10]) + w[4:]), "signature does not verify"),
])
def test_an_answer_that_is_not_properly_signed_is_not_believed(responder, keys, what, change, signature):
    client, server = keys
    fixed = dict(change)
    if fixed.get("sign") == "client":
        fixed["sign"] = client
    if "request" in fixed:
        fixed["request"] = dns.message.make_query("other.", "KEY").to_wire()
    side, r = ask_keystate(responder, keys, lambda q, how: dict(options=[(KEYSTATE, keystate(client.tag, 4))], **fixed),
                           "--peer-key", server.public)
    assert r.code == 1, what
    assert r.json["signature"] == signature and "not be believed" in r.json["note"]


def test_unsigned_is_not_believed_without_peer_key_either(responder, keys):
    side, r = ask_keystate(responder, keys, lambda q, how: dict(options=[(KEYSTATE, keystate(keys[0].tag, 4))], sign=None))
    assert r.code == 1 and r.json["signature"] == "none" and "not be believed" in r.json["note"]


@pytest.mark.parametrize("data,note", [
    (lambda tag: keystate(tag, 2), "a question, not an answer"), (lambda tag: keystate(tag ^ 1, 4), "about another key"),
    (lambda tag: keystate(tag, 3), "state not assigned"), (lambda tag: keystate(tag, 200), "state not assigned"),
    (lambda tag: b"\x00\x01\x04", "ends early"), (lambda tag: b"", "ends early"), (lambda tag: keystate(tag, 4, 0, b"x" * 1025), "limit"),
])
def test_bad_states(responder, keys, data, note):
    side, r = ask_keystate(responder, keys, lambda q, how: dict(options=[(KEYSTATE, data(keys[0].tag))]), "--peer-key", keys[1].public)
    assert r.code == 1 and note in r.json["note"]


def test_no_state_and_why(responder, keys):
    side, r = ask_keystate(responder, keys, lambda q, how: dict(rcode=dns.rcode.NOTAUTH, options=[
        (EDE, struct.pack("!H", 49161) + EVIL), (EDE, b"\x00"), (EDE, struct.pack("!H", 18))]), "--peer-key", keys[1].public)
    assert r.code == 1 and r.json["rcode"] == "NOTAUTH" and "state" not in r.json
    assert r.json["errors"] == [{"code": 49161, "name": "SIG0_KEY_UNKNOWN", "text": "\\027[31m\\013\\010\\194\\155\\255"},
                                {"code": 18, "name": r.json["errors"][1]["name"], "text": ""}]


def test_extra_text_reaches_no_terminal_unescaped(responder, keys):
    client, server = keys
    side = Side(client, server, KEYSTATE, lambda q, how: dict(options=[(KEYSTATE, keystate(client.tag, 7, 0, EVIL)),
                                                                       (EDE, struct.pack("!H", 49161) + EVIL)]))
    r = msctl("query", "keystate", "child.parent.", "--key", client.private, *responder(side).where)
    assert r.code == 0 and r.out.count("\\027[31m\\013\\010\\194\\155\\255") == 2


def test_a_truncated_answer_is_asked_for_again_over_tcp(responder, keys):
    client, server = keys
    long = b"l" * 1000

    def change(q, how):
        return dict(truncate=True) if how == "udp" else dict(options=[(KEYSTATE, keystate(client.tag, 4, 0, long))])
    side, r = ask_keystate(responder, keys, change, "--peer-key", server.public)
    assert r.code == 0 and r.json["text"] == long.decode() and r.json["signature"] == "verified"
    assert len(side.seen) == 2 and side.verdicts == ["ok", "ok"]


def test_tcp_only(responder, keys):
    side = Side(*keys, KEYSTATE, lambda q, how: dict(options=[(KEYSTATE, keystate(keys[0].tag, 4))]))
    r = responder(side)
    result = msctl("--json", "--tcp", "query", "keystate", "child.parent.", "--key", keys[0].private, *r.where)
    assert result.code == 0 and [how for how, _ in r.requests] == ["tcp"]


@pytest.mark.parametrize("change", [dict(id=1), dict(tail=lambda w: w[:20]), dict(tail=lambda w: b""), dict(tail=lambda w: w[:2] + b"\x00" + w[3:])])
def test_an_answer_to_another_question_is_nobodys_answer(responder, keys, change):
    def fix(q, how):
        c = dict(options=[(KEYSTATE, keystate(keys[0].tag, 4))], **change)
        if "id" in c:
            c["id"] = q.id ^ 1
        return c
    side, r = ask_keystate(responder, keys, fix, "--peer-key", keys[1].public)
    assert r.code in (1, 3) and not r.out and r.err
    if "id" in change:
        assert r.code == 3


@pytest.mark.parametrize("text,word", [(None, "cannot open"), ("", "no record"), ("; only a comment\n", "no record"), ("rubbish\n", ""),
                                       ("a. IN A 192.0.2.1\n", "not KEY")])
def test_a_bad_peer_key_is_told_before_anything_is_sent(responder, keys, tmp_path, text, word):
    path = tmp_path / "peer.key"
    if text is not None:
        path.write_text(text)
    side, r = ask_keystate(responder, keys, lambda q, how: {}, "--peer-key", path)
    assert r.code == 1 and word in r.err and not side.seen


# --- query hello ---


def tlv(kind, value):
    return struct.pack("!HH", kind, len(value)) + value


def tlvs(body):
    out, at = {}, 0
    while at < len(body):
        kind, length = struct.unpack("!HH", body[at:at + 4])
        out[kind] = body[at + 4:at + 4 + length]
        at += 4 + length
    return out


MSA_B = b"\x03msa\x01b\x00"
HELLO = bytes([1, 1, 3, 0]) + tlv(1, MSA_B) + tlv(3, struct.pack("!I", 60)) + tlv(5, bytes(range(32))) + tlv(17, struct.pack("!I", 5))


def ask_hello(responder, keys, change, *args):
    side = Side(*keys, MULTISIGNER, change)
    r = responder(side)
    result = msctl("--json", "query", "hello", "zone.example.", "--key", keys[0].private, "--timeout", "3", *r.where, *args)
    return side, result


def test_hello_is_as_the_protocol_has_it_and_the_answer_is_shown(responder, keys):
    side, r = ask_hello(responder, keys, lambda q, how: dict(options=[(MULTISIGNER, HELLO)]), "--identity", "msa.a.", "--peer-key", keys[1].public)
    assert r.code == 0, r.err
    assert r.json == {"rcode": "NOERROR", "signer": "receiver.parent.", "signer_key_tag": keys[1].tag, "signature": "verified",
                      "operation": "HELLO", "transports": ["DNS"], "synchronization": ["leader-follower", "peer-to-peer"],
                      "identity": "msa.b.", "interval": 60, "group": bytes(range(32)).hex(), "capabilities": ["peer-scope", "pull"]}
    assert side.verdicts == ["ok"]
    q = side.seen[0]
    assert q.opcode() == dns.opcode.NOTIFY and q.flags & dns.flags.AA and not q.answer
    assert str(q.question[0].name) == "zone.example." and q.question[0].rdtype == dns.rdatatype.SOA
    data = option(q, MULTISIGNER)
    assert data[:4] == bytes([1, 1, 3, 0])
    body = tlvs(data[4:])
    assert body[1] == b"\x03msa\x01a\x00"
    # Today's epoch here would make the real agent's messages replays on the other side.
    assert struct.unpack("!QQ", body[4])[0] == 1


def test_a_refused_hello(responder, keys):
    side, r = ask_hello(responder, keys, lambda q, how: dict(rcode=dns.rcode.REFUSED, options=[
        (EDE, struct.pack("!H", 49182) + b"who are you")]), "--peer-key", keys[1].public)
    assert r.code == 1 and r.json["rcode"] == "REFUSED" and r.json["signature"] == "verified"
    assert r.json["errors"] == [{"code": 49182, "name": "MSA_NOT_DESIGNATED", "text": "who are you"}]


def test_a_hello_that_comes_after_the_running_agents_messages_is_explained(responder, keys):
    side, r = ask_hello(responder, keys, lambda q, how: dict(rcode=dns.rcode.NOTAUTH, options=[(EDE, struct.pack("!H", 49167))]),
                        "--peer-key", keys[1].public)
    assert r.code == 1 and "running agent" in r.json["note"]


@pytest.mark.parametrize("change", [dict(), dict(options=[(MULTISIGNER, b"\x01\x01")]), dict(options=[(MULTISIGNER, bytes([2, 1, 1, 0]))]),
                                    dict(options=[(MULTISIGNER, HELLO + tlv(1, MSA_B))]), dict(options=[(MULTISIGNER, HELLO)], sign=None)])
def test_answers_that_are_no_hello(responder, keys, change):
    side, r = ask_hello(responder, keys, lambda q, how: change, "--peer-key", keys[1].public)
    assert r.code == 1 and r.json["rcode"] == "NOERROR"
