# SPDX-License-Identifier: BSD-2-Clause
"""
A parentd on loopback, and children in Python: keys, UPDATEs, KeyState inquiries, NOTIFYs, whole or broken in any way;
answers taken apart, their SIG(0) verified. SIG(0) is made and checked here by itself (RFC 2931, PROTOCOL C.1, C.2), on
top of `cryptography`, so that two implementations meet. Everything is polled with a deadline; nothing sleeps.

    p = parent.Parentd(base).start()             # example.; no checks of servers
    key = parent.ChildKey("child.example.")
    p.add_child("child.example.", keys=[key])    # a delegation, and a key that is trusted
    a = p.update(key, parent.replace_ns("child.example.", ["ns1.test.", "ns2.test."]))
    assert a.rcode == "NOERROR" and a.is_signed  # is_signed: by the receiver's key, over the request
    assert p.keystate(key).state == 4
"""

import base64
import hashlib
import itertools
import json
import os
import signal
import socket
import struct
import subprocess
import time

import dns.exception
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.tsigkeyring
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../../.."))
BUILD = os.environ.get("MSP_BUILD", os.path.join(ROOT, "build/release"))
BUILD = BUILD if os.path.isabs(BUILD) else os.path.join(ROOT, BUILD)
PARENTD = os.path.join(BUILD, "parentd/parentd")
MSCTL = os.path.join(BUILD, "tools/msctl/msctl")

PARENT = "example."
CHILD = "child.example."
TARGET = "updates.example."
LIMIT_S = 20
OPT_COOKIE, OPT_EDE, OPT_REPORT, OPT_KEYSTATE = 10, 15, 18, 65002
EDE = {
    name: 49152 + off
    for name, off in dict(
        KEY_UNKNOWN=9, NOT_TRUSTED=10, VALIDATION_FAILED=11, MANUAL=12, BAD_SIGNATURE=13, BAD_TIME=14, REPLAY=15,
        SIG0_REQUIRED=16, ALGORITHM=17, TYPE=19, NAME=20, NOT_A_DELEGATION=21, CHECK=22, KEY_MIXED=23, SCHEME=24,
        CDS=25, CHAIN=26, LOCKED=27).items()
}
IN, NONE, ANY = 1, 254, 255
SOA, OPT, SIG, KEY = 6, 41, 24, 25
QUERY, NOTIFY, UPDATE = 0, 4, 5
STATE = dict(MALFORMED=0, TEMPORARY_FAILURE=1, INQUIRE=2, TRUSTED=4, UNKNOWN=5, INVALID=6, REFUSED=7,
             VALIDATION_FAILED=8, BOOTSTRAP_AUTO=9, BOOTSTRAP_MANUAL=10)
RSASHA256, P256, P384, ED25519, ED448 = 8, 13, 14, 15, 16

_numbers = itertools.count(os.getpid() % 250 * 64 + 1)


def address():
    """A loopback address that nobody else in this run uses."""
    n = next(_numbers)
    return f"127.{130 + n // 60000 % 40}.{n // 250 % 250}.{n % 250 + 1}"


def wait_for(what, timeout=LIMIT_S, every=0.02, message=""):
    end = time.monotonic() + timeout
    last = None
    while time.monotonic() < end:
        try:
            last = what()
            if last:
                return last
        except (OSError, EOFError, dns.exception.DNSException) as e:
            last = e
        time.sleep(every)
    raise AssertionError(f"timed out after {timeout} s: {message or what} (last: {last!r})")


def write(path, text, mode=0o644):
    with open(path + ".new", "w") as f:
        f.write(text)
    os.chmod(path + ".new", mode)
    os.rename(path + ".new", path)


# --- wire -------------------------------------------------------------------------------------------------------------


def wire_name(text):
    """Escapes (\\DDD, \\.) as in zone files; case is kept."""
    return dns.name.from_text(text).to_wire()


def number(rdtype):
    return rdtype if isinstance(rdtype, int) else dns.rdatatype.from_text(rdtype)


def rdata(rdtype, text):
    """RDATA octets of a presentation form; octets stay."""
    if number(rdtype) == KEY:
        rdtype = "DNSKEY"  # the same form, and dnspython knows it
    return text if isinstance(text, bytes) else dns.rdata.from_text("IN", rdtype, text).to_wire()


def rr(owner, rdtype, cls, ttl, octets):
    return wire_name(owner) + struct.pack("!HHIH", number(rdtype), cls, ttl, len(octets)) + octets


def add(owner, rdtype, text, ttl=300):
    """Update record, RFC 2136 2.5.1."""
    return rr(owner, rdtype, IN, ttl, rdata(rdtype, text))


def delete(owner, rdtype, text=None):
    """An RRset, or one record of it. rdtype ANY: all of the name."""
    if text is None:
        return rr(owner, rdtype, ANY, 0, b"")
    return rr(owner, rdtype, NONE, 0, rdata(rdtype, text))


def exists(owner, rdtype, text=None):
    """Prerequisites."""
    return rr(owner, rdtype, ANY, 0, b"") if text is None else rr(owner, rdtype, IN, 0, rdata(rdtype, text))


def absent(owner, rdtype):
    return rr(owner, rdtype, NONE, 0, b"")


def replace_ns(child, hosts, glue=()):
    """The NS RRset becomes this; glue: (host, address)."""
    out = [delete(child, "NS")] + [add(child, "NS", h) for h in hosts]
    for host, addr in glue:
        out.append(add(host, "AAAA" if ":" in addr else "A", addr))
    return out


def option(code, data):
    return struct.pack("!HH", code, len(data)) + data


def keystate_option(key_id, state=2, data=0, text=b"", code=OPT_KEYSTATE):
    return option(code, struct.pack("!HBB", key_id, state, data) + text)


def opt_rr(options=b"", payload=1232, version=0, flags=0):
    return b"\0" + struct.pack("!HHBBHH", OPT, payload, 0, version, flags, len(options)) + options


def message(opcode, question, sections=((), (), ()), flags=0, mid=None, options=b"", edns=True, payload=1232, version=0):
    """question: list of (name, type, class). The OPT is the last of the additional section."""
    mid = int.from_bytes(os.urandom(2), "big") if mid is None else mid
    sections = [list(s) for s in sections]
    if edns:
        sections[2].append(opt_rr(options, payload, version))
    counts = [len(question)] + [len(s) for s in sections]
    out = struct.pack("!HHHHHH", mid, opcode << 11 | flags, *counts)
    for name, rdtype, cls in question:
        out += wire_name(name) + struct.pack("!HH", number(rdtype), cls)
    return out + b"".join(b"".join(s) for s in sections)


def update_message(records, zone=PARENT, prereq=(), **kw):
    return message(UPDATE, [(zone, SOA, IN)], (prereq, records, ()), **kw)


def key_tag(octets):
    ac = sum(b if i & 1 else b << 8 for i, b in enumerate(octets))
    return (ac + (ac >> 16)) & 0xffff


# --- keys and SIG(0) --------------------------------------------------------------------------------------------------


class ChildKey:
    """A SIG(0) key pair. `rdata` is the KEY RDATA."""

    def __init__(self, name=CHILD, alg=ED25519, flags=0, bits=2048):
        self.name, self.alg, self.flags = name, alg, flags
        if alg == ED25519:
            self.private = ed25519.Ed25519PrivateKey.generate()
        elif alg == ED448:
            self.private = ed448.Ed448PrivateKey.generate()
        elif alg in (P256, P384):
            self.private = ec.generate_private_key(ec.SECP256R1() if alg == P256 else ec.SECP384R1())
        elif alg == RSASHA256:
            self.private = rsa.generate_private_key(65537, bits)
        else:
            raise ValueError(alg)
        self.rdata = struct.pack("!HBB", flags, 3, alg) + self.public()

    def public(self):
        if self.alg in (ED25519, ED448):
            return self.private.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        n = self.private.public_key().public_numbers()
        if self.alg == RSASHA256:
            e = n.e.to_bytes((n.e.bit_length() + 7) // 8, "big")
            return bytes([len(e)]) + e + n.n.to_bytes((n.n.bit_length() + 7) // 8, "big")
        size = 32 if self.alg == P256 else 48
        return n.x.to_bytes(size, "big") + n.y.to_bytes(size, "big")

    @property
    def tag(self):
        return key_tag(self.rdata)

    @property
    def text(self):
        """Presentation form of the RDATA."""
        return f"{self.flags} 3 {self.alg} {base64.b64encode(self.rdata[4:]).decode()}"

    @property
    def fingerprint(self):
        return hashlib.sha256(self.rdata).hexdigest()

    def raw_sign(self, data):
        if self.alg in (ED25519, ED448):
            return self.private.sign(data)
        if self.alg == RSASHA256:
            return self.private.sign(data, padding.PKCS1v15(), hashes.SHA256())
        size, h = (32, hashes.SHA256()) if self.alg == P256 else (48, hashes.SHA384())
        r, s = decode_dss_signature(self.private.sign(data, ec.ECDSA(h)))
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")

    def sign(self, msg, request=b"", now=None, inception=-300, expiration=300, signer=None, tag=None, alg=None,
             covered=0, signature=None, owner=b"\0", cls=ANY, ttl=0, labels=0, original_ttl=0):
        """The message with a SIG(0) at its end. Everything can be made wrong; times are seconds from now."""
        now = int(time.time()) if now is None else now
        star = struct.pack("!HBBIIIH", covered, self.alg if alg is None else alg, labels, original_ttl,
                           (now + expiration) & 0xffffffff, (now + inception) & 0xffffffff,
                           self.tag if tag is None else tag)
        star += wire_name(self.name if signer is None else signer)
        sig = self.raw_sign(star + request + msg) if signature is None else signature
        record = owner + struct.pack("!HHIH", SIG, cls, ttl, len(star) + len(sig)) + star + sig
        count = struct.unpack("!H", msg[10:12])[0] + 1
        return msg[:10] + struct.pack("!H", count) + msg[12:] + record

    def save(self, directory, name=None):
        """BIND's key files; the path of the .private one."""
        os.makedirs(directory, exist_ok=True)
        owner = name or self.name
        base = os.path.join(directory, f"K{owner}+{self.alg:03}+{self.tag:05}")
        write(base + ".key", f"{owner} IN KEY {self.text}\n")
        names = {RSASHA256: "RSASHA256", P256: "ECDSAP256SHA256", P384: "ECDSAP384SHA384", ED25519: "ED25519",
                 ED448: "ED448"}
        lines = ["Private-key-format: v1.3", f"Algorithm: {self.alg} ({names[self.alg]})"]
        if self.alg == RSASHA256:
            n = self.private.private_numbers()
            p = n.public_numbers
            for label, value in (("Modulus", p.n), ("PublicExponent", p.e), ("PrivateExponent", n.d), ("Prime1", n.p),
                                 ("Prime2", n.q), ("Exponent1", n.dmp1), ("Exponent2", n.dmq1), ("Coefficient", n.iqmp)):
                octets = value.to_bytes((value.bit_length() + 7) // 8, "big")
                lines.append(f"{label}: {base64.b64encode(octets).decode()}")
        else:
            if self.alg in (P256, P384):
                octets = self.private.private_numbers().private_value.to_bytes(32 if self.alg == P256 else 48, "big")
            else:
                octets = self.private.private_bytes(serialization.Encoding.Raw, serialization.PrivateFormat.Raw,
                                                    serialization.NoEncryption())
            lines.append(f"PrivateKey: {base64.b64encode(octets).decode()}")
        write(base + ".private", "\n".join(lines) + "\n", 0o600)
        return base + ".private"


def raw_verify(key_rdata, signature, data):
    alg, k = key_rdata[3], key_rdata[4:]
    try:
        if alg == ED25519:
            ed25519.Ed25519PublicKey.from_public_bytes(k).verify(signature, data)
        elif alg == ED448:
            ed448.Ed448PublicKey.from_public_bytes(k).verify(signature, data)
        elif alg in (P256, P384):
            n, curve, h = (32, ec.SECP256R1(), hashes.SHA256()) if alg == P256 else (48, ec.SECP384R1(), hashes.SHA384())
            public = ec.EllipticCurvePublicNumbers(int.from_bytes(k[:n], "big"), int.from_bytes(k[n:], "big"), curve)
            der = encode_dss_signature(int.from_bytes(signature[:n], "big"), int.from_bytes(signature[n:], "big"))
            public.public_key().verify(der, data, ec.ECDSA(h))
        else:
            e_len = k[0]
            public = rsa.RSAPublicNumbers(int.from_bytes(k[1:1 + e_len], "big"), int.from_bytes(k[1 + e_len:], "big"))
            public.public_key().verify(signature, data, padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, ValueError):
        return False
    return True


# --- answers ----------------------------------------------------------------------------------------------------------


def name_end(msg, at):
    while True:
        length = msg[at]
        if length == 0:
            return at + 1
        if length & 0xc0 == 0xc0:
            return at + 2
        at += 1 + length


class Answer:
    """A response taken apart. rcode is text, 12 bits; ede a list of (code, text); state None or the KeyState code."""

    def __init__(self, raw, request=b"", receiver=None):
        self.raw, self.request = raw, request
        self.id, self.flags, *self.counts = struct.unpack("!HHHHHH", raw[:12])
        self.opcode = self.flags >> 11 & 15
        self.records, self.options = [], []
        self.has_opt, self.sig_at, self.tsig_at = False, 0, 0
        self.code = self.flags & 15
        at = 12
        for _ in range(self.counts[0]):
            self.question = raw[at:name_end(raw, at) + 4]
            at = name_end(raw, at) + 4
        for section in (1, 2, 3):
            for _ in range(self.counts[section]):
                at = self._record(section, at)
        assert at == len(raw), "octets after the last record"
        self.rcode = dns.rcode.to_text(self.code)
        self.ede = [(struct.unpack("!H", d[:2])[0], d[2:].decode()) for c, d in self.options if c == OPT_EDE]
        self.ede_codes = [c for c, _ in self.ede]
        self.key_id = self.state = self.state_data = self.state_text = None
        for code, data in self.options:
            if code == OPT_KEYSTATE:
                self.key_id, self.state, self.state_data = struct.unpack("!HBB", data[:4])
                self.state_text = data[4:].decode()
        self.cookie = next((d for c, d in self.options if c == OPT_COOKIE), None)
        self.has_sig = self.sig_at != 0
        self.is_signed = receiver is not None and self.verify(receiver)

    def _record(self, section, start):
        raw = self.raw
        at = name_end(raw, start)
        rdtype, cls, ttl, length = struct.unpack("!HHIH", raw[at:at + 10])
        data = raw[at + 10:at + 10 + length]
        self.records.append((section, rdtype, cls, ttl, data))
        if rdtype == OPT:
            self.has_opt = True
            self.code |= (ttl >> 24) << 4
            i = 0
            while i < length:
                code, n = struct.unpack("!HH", data[i:i + 4])
                self.options.append((code, data[i + 4:i + 4 + n]))
                i += 4 + n
        elif rdtype == SIG and data[:2] == b"\0\0":
            self.sig_at, self.sig = start, data
        elif rdtype == 250:
            self.tsig_at = start
        return at + 10 + length

    @property
    def is_truncated(self):
        return self.flags & 0x0200 != 0

    @property
    def signer(self):
        return dns.name.from_wire(self.sig, 18)[0].to_text() if self.has_sig else None

    def verify(self, receiver):
        """Over the whole request (RFC 2931 3.1), by this KEY RDATA."""
        if not self.has_sig or self.sig_at + 11 + len(self.sig) != len(self.raw):
            return False
        end = name_end(self.sig, 18)
        tag, = struct.unpack("!H", self.sig[16:18])
        expiration, inception = struct.unpack("!II", self.sig[8:16])
        if tag != key_tag(receiver) or not inception <= time.time() <= expiration:
            return False
        bare = self.raw[:10] + struct.pack("!H", self.counts[3] - 1) + self.raw[12:self.sig_at]
        return raw_verify(receiver, self.sig[end:], self.sig[:end] + self.request + bare)

    def __repr__(self):
        return (f"<{self.rcode} ede={self.ede} state={self.state} signed={self.is_signed}"
                f"{' TC' if self.is_truncated else ''}>")


# --- the daemon -------------------------------------------------------------------------------------------------------


class Parentd:
    """
    A parentd with a configuration of its own. Without `primary` children are put in by add_child. By default servers
    are not looked at (checks = false), there is no cool-down, and uploaded keys wait for an operator.
    """

    DEFAULT_POLICY = dict(sources=["update", "cds", "csync", "dsboot", "operator"], touch=["ns", "glue", "ds", "key"],
                          bootstrap=["manual"], checks=False, cooldown=0, changes_per_day=0, private_addresses=True,
                          confirm=1)

    def __init__(self, base, parents=(PARENT,), target=TARGET, alg=ED25519, policy=None, limits=None, settings="",
                 parent_settings="", name="parentd", store="", policies=None):
        self.dir = os.path.join(str(base), name)
        os.makedirs(os.path.join(self.dir, "state"), exist_ok=True)
        self.addr, self.port = address(), 5300
        self.control = os.path.join(self.dir, "c.sock")
        self.conf = os.path.join(self.dir, "parentd.conf")
        self.key = ChildKey(target, alg)
        self.key_path = self.key.save(self.dir)
        self.parents, self.target = parents, target
        self.policy = dict(self.DEFAULT_POLICY, **(policy or {}))
        self.policies = policies or {}  # more of them, by name: what differs from `policy`
        self.limits = dict(dict(requests_per_s=100000, failures_per_s=100000, verify_per_name_per_s=100000,
                                signed_refusals_per_s=10000), **(limits or {}))
        self.settings, self.parent_settings, self.store = settings, parent_settings, store
        self.proc = None
        self.configure()

    @staticmethod
    def _value(v):
        if isinstance(v, bool):
            return "true" if v else "false"
        if isinstance(v, (list, tuple)):
            return "[ " + ", ".join(f'"{x}"' for x in v) + " ]"
        return str(v) if isinstance(v, int) else f'"{v}"'

    def _group(self, d):
        return " ".join(f"{k.replace('_', '-')} = {self._value(v)};" for k, v in d.items())

    def configure(self):
        parents = ", ".join(f'{{ zone = "{z}"; policy = "usual"; {self.parent_settings} }}' for z in self.parents)
        all_policies = dict(usual={}, **self.policies)
        policies = ", ".join(f'{{ name = "{n}"; {self._group(dict(self.policy, **p))} }}' for n, p in all_policies.items())
        write(self.conf, f"""
target = "{self.target}";
sig0-keys = [ "{self.key_path}" ];
state-dir = "{self.dir}/state";
control = "{self.control}";
log-level = "debug";
listen = ( {{ address = "{self.addr}"; port = {self.port}; }} );
{self.store}
policies = ( {policies} );
parents = ( {parents} );
limits = {{ {self._group(self.limits)} }};
{self.settings}
""")

    def start(self, wait=True):
        env = dict(os.environ, ASAN_OPTIONS="detect_leaks=1:abort_on_error=0", UBSAN_OPTIONS="print_stacktrace=1")
        self.log = open(os.path.join(self.dir, "log"), "ab")
        self.proc = subprocess.Popen([PARENTD, "-c", self.conf], stdout=self.log, stderr=subprocess.STDOUT,
                                     stdin=subprocess.DEVNULL, cwd=self.dir, env=env)
        if wait:
            wait_for(self.ready, message=f"parentd ready; log: {self.dir}/log")
        return self

    def ready(self):
        if self.proc.poll() is not None:
            raise AssertionError("parentd ended: " + self.log_text()[-2000:])
        return self.ctl("ping", raw=True)["ok"]

    def reload(self):
        """With the settings as they are in this object now."""
        self.configure()
        before = self.log_text().count("daemon-reload ")
        self.proc.send_signal(signal.SIGHUP)
        wait_for(lambda: self.log_text().count("daemon-reload ") > before, message="reloaded")

    def stop(self):
        if self.proc is None:
            return None
        if self.proc.poll() is None:
            self.proc.send_signal(signal.SIGTERM)
        try:
            rc = self.proc.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            self.kill9()
            raise AssertionError("parentd does not stop")
        self.proc = None
        self.log.close()
        text = self.log_text()
        assert not any(w in text for w in ("ERROR: ", "runtime error", "WARNING: ThreadSanitizer")), text[-4000:]
        return rc

    def kill9(self):
        self.proc.kill()
        self.proc.wait()
        self.proc = None
        self.log.close()

    def log_text(self):
        with open(os.path.join(self.dir, "log"), errors="replace") as f:
            return f.read()

    # operators

    def ctl(self, cmd, raw=False, **args):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(LIMIT_S)
            s.connect(self.control)
            s.sendall(json.dumps({"cmd": cmd, "args": args}).encode() + b"\n")
            data = b""
            while not data.endswith(b"\n"):
                more = s.recv(65536)
                if not more:
                    raise EOFError("control socket closed")
                data += more
        answer = json.loads(data)
        if raw:
            return answer
        assert answer["ok"], answer
        return answer.get("data")

    def show(self, child=CHILD):
        return self.ctl("parent show", child=child)

    def stats(self):
        """Counters since the start."""
        return self.ctl("status")

    def records(self, child=CHILD):
        """Of the delegation, as a sorted list of (owner, type, rdata)."""
        out = []
        for line in self.show(child)["delegation"]:
            owner, _ttl, _cls, rdtype, text = line.split(None, 4)
            out.append((owner.lower(), rdtype, text))
        return sorted(out)

    def ns(self, child=CHILD):
        return sorted(r[2] for r in self.records(child) if r[1] == "NS")

    def keys(self, child=CHILD):
        """(tag, state) of each."""
        return sorted((k["tag"], k["state"]) for k in self.show(child)["keys"])

    def add_child(self, child=CHILD, records=None, keys=()):
        """A delegation put in by an operator; then each key is uploaded and approved."""
        if records is None:
            records = [f"{child} 300 NS ns.one.test.", f"{child} 300 NS ns.two.test."]
        self.ctl("parent add", child=child, records="\n".join(records))
        for key in keys:
            self.trust(key)

    def trust(self, key, child=None):
        """Upload a key by an UPDATE that it signs, and approve it as an operator does."""
        child = child or key.name
        a = self.update(key, [add(child, "KEY", key.text)])
        assert a.rcode == "NOERROR", a
        return self.ctl("parent approve", child=child, what=key.fingerprint)

    def approve_change(self, child=CHILD, **kw):
        """The change that waits, as an operator does who has looked at it."""
        return self.ctl("parent approve", child=child, what=self.show(child)["pending"]["digest"], **kw)

    # children

    def send(self, raw, tcp=True, timeout=LIMIT_S, source=None):
        """The answer's octets; None when there is none in time (or the connection is closed)."""
        kind = socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM
        with socket.socket(socket.AF_INET, kind) as s:
            s.settimeout(timeout)
            if source:
                s.bind((source, 0))
            s.connect((self.addr, self.port))
            try:
                if not tcp:
                    s.send(raw)
                    return s.recv(65535)
                s.sendall(struct.pack("!H", len(raw)) + raw)
                head = self._read(s, 2)
                return self._read(s, struct.unpack("!H", head)[0]) if head else None
            except (socket.timeout, ConnectionError):
                return None

    @staticmethod
    def _read(s, n):
        out = b""
        while len(out) < n:
            more = s.recv(n - len(out))
            if not more:
                return None
            out += more
        return out

    def ask(self, raw, **kw):
        """Send and take the answer apart; None without one."""
        answer = self.send(raw, **kw)
        return None if answer is None else Answer(answer, raw, self.key.rdata)

    def signed_update(self, key, records, zone=PARENT, prereq=(), options=b"", edns=True, sign=None, **kw):
        """The octets. sign: arguments of ChildKey.sign."""
        return key.sign(update_message(records, zone, prereq, options=options, edns=edns, **kw), **(sign or {}))

    def update(self, key, records, zone=PARENT, prereq=(), options=b"", edns=True, sign=None, tcp=True, source=None, **kw):
        return self.ask(self.signed_update(key, records, zone, prereq, options, edns, sign, **kw), tcp=tcp, source=source)

    def upload(self, key, replace=True, **kw):
        """PROTOCOL G.6: DEL ANY, ADD, signed by the key itself."""
        records = [delete(key.name, "KEY")] if replace else []
        return self.update(key, records + [add(key.name, "KEY", key.text)], **kw)

    def keystate(self, key, name=None, key_id=None, state=2, data=0, qtype=KEY, text=b"", option_octets=None, sign=None,
                 tcp=True, edns=True):
        octets = option_octets
        if octets is None:
            octets = keystate_option(key.tag if key_id is None else key_id, state, data, text)
        raw = message(QUERY, [(name or key.name, qtype, IN)], options=octets, edns=edns)
        return self.ask(raw if sign is False else key.sign(raw, **(sign or {})), tcp=tcp)

    def notify(self, child=CHILD, rdtype="CDS", tcp=False, options=b"", edns=True, timeout=LIMIT_S, source=None):
        return self.ask(message(NOTIFY, [(child, rdtype, IN)], flags=0x0400, options=options, edns=edns), tcp=tcp,
                        timeout=timeout, source=source)

    def nsupdate(self, key_path, script, zone=PARENT):
        """BIND's, with a SIG(0) key file."""
        return subprocess.run(["nsupdate", "-v", "-k", key_path], text=True, capture_output=True, timeout=LIMIT_S * 2,
                              input=f"server {self.addr} {self.port}\nzone {zone}\n{script}\nsend\nanswer\n")
