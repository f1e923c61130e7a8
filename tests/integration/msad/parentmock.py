# SPDX-License-Identifier: BSD-2-Clause
"""Runs inside the test's network namespace: a combiner that takes KEY, and, when it is given a name, a receiver at the parent.

Its SIG(0) is written here on top of `cryptography`, so that no code of ours judges its own octets. What happened goes to
standard output, a JSON line each. Commands come on standard input: `mode NAME` (see Receiver)."""
import base64
import json
import socket
import struct
import sys
import threading
import time

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.query
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.tsigkeyring
import dns.update
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

KEYSTATE, EDE = 65002, 15
TRUSTED, UNKNOWN, AUTO = 4, 5, 9
SIG = 24
lock = threading.Lock()


def say(what, **more):
    with lock:
        print(json.dumps({"what": what, **more}), flush=True)


def key_tag(rdata):
    ac = sum(o << 8 if i % 2 == 0 else o for i, o in enumerate(rdata))
    return (ac + (ac >> 16)) & 0xFFFF


def last_record(wire):
    """(offset, type, RDATA) of the last record; the library does not read a SIG(0) in an UPDATE."""
    counts, at = struct.unpack("!4H", wire[4:12]), 12
    for _ in range(counts[0]):
        at += dns.name.from_wire(wire, at)[1] + 4
    found = None
    for _ in range(sum(counts[1:])):
        start, at = at, at + dns.name.from_wire(wire, at)[1]
        rtype, _, _, length = struct.unpack("!HHIH", wire[at:at + 10])
        found, at = (start, rtype, wire[at + 10:at + 10 + length]), at + 10 + length
    assert at == len(wire)
    return found


def split_sig0(wire):
    """(SIG RDATA without the signature, signature, message without the record, signer, tag) of the last record."""
    found = last_record(wire)
    if found is None or found[1] != SIG:
        return None
    at, _, rdata = found
    tag = struct.unpack("!H", rdata[16:18])[0]
    signer, used = dns.name.from_wire(rdata, 18)
    head = rdata[:18 + used]
    arcount = struct.unpack("!H", wire[10:12])[0]
    plain = wire[:10] + struct.pack("!H", arcount - 1) + wire[12:at]
    return head, rdata[18 + used:], plain, signer, tag


def verify(key_rdata, wire):
    head, signature, plain, _, _ = split_sig0(wire)
    alg, pub = key_rdata[3], key_rdata[4:]
    try:
        if alg == 15:
            ed25519.Ed25519PublicKey.from_public_bytes(pub).verify(signature, head + plain)
        else:
            assert alg == 13
            point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + pub)
            der = encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
            point.verify(der, head + plain, ec.ECDSA(hashes.SHA256()))
        return True
    except InvalidSignature:
        return False


class Receiver:
    """modes: honest; unsigned (answers without a signature); forged (signed with another key); deaf (no answers)"""

    def __init__(self, conf):
        self.name, self.child = dns.name.from_text(conf["name"]), dns.name.from_text(conf["child"])
        self.parent, self.conf, self.mode = dns.name.from_text(conf["parent"]), conf, "honest"
        self.private = ed25519.Ed25519PrivateKey.from_private_bytes(base64.b64decode(conf["private"]))
        self.other = ed25519.Ed25519PrivateKey.generate()
        self.keys = {}  # RDATA -> state

    def sign(self, wire, request):
        key = self.other if self.mode == "forged" else self.private
        now = int(time.time())
        public = self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        head = struct.pack("!HBBIIIH", 0, 15, 0, 0, now + 300, now - 300, key_tag(b"\0\0\3\x0f" + public)) + self.name.to_wire()
        signature = key.sign(head + request + wire)
        rdata = head + signature
        arcount = struct.unpack("!H", wire[10:12])[0]
        return (wire[:10] + struct.pack("!H", arcount + 1) + wire[12:] +
                b"\0" + struct.pack("!HHIH", SIG, 255, 0, len(rdata)) + rdata)

    def published(self, rdata):
        """The KEY RRset of the zone, as its own server serves it, has this key."""
        r = dns.query.tcp(dns.message.make_query(self.child, "KEY"), self.conf["child_server"], timeout=3)
        return any(rr.to_wire() == rdata for rrset in r.answer for rr in rrset if rrset.rdtype == dns.rdatatype.KEY)

    def update(self, m, wire, known):
        """RCODE, EDE of an UPDATE."""
        records = [(rrset, rr) for rrset in m.authority for rr in rrset]
        types = {rrset.rdtype for rrset in m.authority}
        if any(rrset.name != self.child and not rrset.name.is_subdomain(self.child) for rrset in m.authority):
            return dns.rcode.REFUSED, 20
        if types == {dns.rdatatype.KEY}:
            if any(rrset.deleting == dns.rdataclass.ANY for rrset in m.authority):
                say("key-del-any")
                return dns.rcode.REFUSED, 20
            rdata = records[0][1].to_wire()
            if known is None and not verify(rdata, wire):
                return dns.rcode.NOTAUTH, 13
            self.keys.setdefault(rdata, AUTO)
            say("upload", tag=key_tag(rdata), records=len(records))
            return dns.rcode.NOERROR, None
        if known is None:
            return dns.rcode.BADKEY, 9
        if self.keys[known] != TRUSTED:
            return dns.rcode.REFUSED, 10
        up = dns.update.UpdateMessage(self.parent)
        for rrset, rr in records:
            if rrset.deleting == dns.rdataclass.NONE:
                up.delete(rrset.name, rr)
            else:
                up.add(rrset.name, rrset.ttl, rr)
        r = dns.query.tcp(up, self.conf["parent_server"], timeout=5)
        say("update", rcode=dns.rcode.to_text(r.rcode()), records=[f"{rs.deleting or 'ADD'} {rs.name} {dns.rdatatype.to_text(rs.rdtype)} {rr}"
                                                                   for rs, rr in records])
        return r.rcode(), None

    def answer(self, wire):
        claim = split_sig0(wire)
        m = dns.message.from_wire(claim[2] if claim else wire)
        if m.opcode() == dns.opcode.NOTIFY:
            say("notify", type=dns.rdatatype.to_text(m.question[0].rdtype))
            return dns.message.make_response(m).to_wire()
        if claim is None:
            return dns.message.make_response(m).to_wire()
        _, _, _, signer, tag = claim
        assert signer == self.child
        for rdata, state in self.keys.items():
            if state == AUTO and self.published(rdata):
                self.keys[rdata] = TRUSTED
        known = next((k for k in self.keys if key_tag(k) == tag and verify(k, wire)), None)
        r = dns.message.make_response(m)
        options = []
        if m.opcode() == dns.opcode.UPDATE:
            rcode, ede = self.update(m, wire, known)
            if ede is not None:
                options.append(dns.edns.GenericOption(EDE, struct.pack("!H", 49152 + ede) + b"says the mock"))
            r.authority.clear()
        else:
            rcode, state = dns.rcode.NOERROR, self.keys[known] if known is not None else UNKNOWN
            options.append(dns.edns.GenericOption(KEYSTATE, struct.pack("!HBB", tag, state, 0)))
            say("inquiry", tag=tag, state=state, type=dns.rdatatype.to_text(m.question[0].rdtype))
        r.use_edns(0, options=options)
        r.set_rcode(rcode)
        out = r.to_wire()
        return out if self.mode == "unsigned" else self.sign(out, wire)


class Combiner:
    """Takes KEY of the zone, and puts it into the zone at its signer."""

    def __init__(self, conf):
        self.conf, self.keyring = conf, dns.tsigkeyring.from_text(conf["tsig"])

    def answer(self, wire):
        q = dns.message.from_wire(wire, keyring=self.keyring)
        r = dns.message.make_response(q)
        if q.opcode() == dns.opcode.UPDATE:
            up = dns.update.UpdateMessage(self.conf["child"])
            up.delete(dns.name.from_text(self.conf["child"]), "KEY")
            for rrset in q.authority:
                assert rrset.rdtype == dns.rdatatype.KEY, rrset
                for rr in rrset:
                    if not rrset.deleting:
                        up.add(rrset.name, rrset.ttl, rr)
            r.set_rcode(dns.query.tcp(up, self.conf["child_server"], timeout=5).rcode())
            say("combined", keys=sum(len(s) for s in q.authority if not s.deleting))
        return r.to_wire()


def serve_tcp(where, answer):
    listener = socket.create_server(where, backlog=64)

    def talk(s):
        with s, s.makefile("rb") as f:
            s.settimeout(10)
            while len(head := f.read(2)) == 2:
                reply = answer(f.read(int.from_bytes(head, "big")))
                if reply:
                    s.sendall(len(reply).to_bytes(2, "big") + reply)

    def one(s):
        try:
            talk(s)
        except OSError:
            pass
        except Exception as e:  # pylint: disable=broad-except
            say("error", text=repr(e))

    while True:
        s, _ = listener.accept()
        threading.Thread(target=one, args=(s,), daemon=True).start()


def serve_udp(where, answer):
    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    u.bind(where)
    while True:
        wire, peer = u.recvfrom(65536)
        try:
            reply = answer(wire)
            if reply:
                u.sendto(reply, peer)
        except Exception as e:  # pylint: disable=broad-except
            say("error", text=repr(e))


def main():
    conf = json.loads(sys.argv[1])
    receiver, servers = None, [(serve_tcp, ((conf["combiner"], 53), Combiner(conf).answer))]

    def receive(wire):
        return None if receiver.mode == "deaf" else receiver.answer(wire)

    if "name" in conf:
        receiver, where = Receiver(conf), (conf["address"], conf["port"])
        servers += [(serve_tcp, (where, receive)), (serve_udp, (where, receive))]
    for fn, args in servers:
        threading.Thread(target=fn, args=args, daemon=True).start()
    say("ready")
    for line in sys.stdin:
        receiver.mode = line.split()[1]
        say("mode", mode=receiver.mode)


main()
