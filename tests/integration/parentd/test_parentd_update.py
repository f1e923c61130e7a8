# SPDX-License-Identifier: BSD-2-Clause
"""UPDATE and KeyState against a running parentd: what is granted, what is refused and how, what is never told."""

import base64
import os
import socket
import threading

import dns.name
import dns.query
import dns.rcode
import dns.tsig
import dns.tsigkeyring
import dns.update
import pytest

import parent as h

INVALID_DATA = 24  # RFC 8914


def test_update_replaces_the_delegation_and_the_answer_is_signed(parent, key):
    a = parent.update(key, h.replace_ns(h.CHILD, ["ns1.child.example.", "ns.two.test."], [("ns1.child.example.", "192.0.2.1")]))
    assert a.rcode == "NOERROR" and a.is_signed and a.signer == h.TARGET
    assert parent.ns() == ["ns.two.test.", "ns1.child.example."]
    assert ("ns1.child.example.", "A", "192.0.2.1") in parent.records()


@pytest.mark.parametrize("alg", [h.RSASHA256, h.P256, h.P384, h.ED25519, h.ED448])
def test_every_algorithm_signs(parent, alg):
    key = h.ChildKey(alg=alg)
    parent.add_child(keys=[key])
    for tcp in (True, False):
        a = parent.update(key, h.replace_ns(h.CHILD, [f"ns{int(tcp)}.test.", "ns9.test."]), tcp=tcp)
        assert a.rcode == "NOERROR" and a.is_signed, a
    assert parent.ns() == ["ns0.test.", "ns9.test."]


def test_the_receivers_key_may_be_of_any_algorithm(servers, base):
    for alg in (h.RSASHA256, h.P256, h.P384, h.ED448):
        p = servers(h.Parentd(base, alg=alg, name=f"parentd{alg}")).start()
        key = h.ChildKey()
        p.add_child(keys=[key])
        a = p.update(key, h.replace_ns(h.CHILD, ["ns1.test.", "ns2.test."]), tcp=False)
        assert a.rcode == "NOERROR" and a.is_signed, a


def test_deltas_and_ds(parent, key):
    ds = "12345 13 2 " + "ab" * 32
    assert parent.update(key, [h.add(h.CHILD, "NS", "ns.three.test."), h.add(h.CHILD, "DS", ds)]).rcode == "NOERROR"
    assert parent.ns() == ["ns.one.test.", "ns.three.test.", "ns.two.test."]
    assert any(r[1] == "DS" for r in parent.records())
    assert parent.update(key, [h.delete(h.CHILD, "NS", "ns.one.test.")]).rcode == "NOERROR"
    assert parent.ns() == ["ns.three.test.", "ns.two.test."]


def test_prerequisites_are_honoured(parent, key):
    change = h.replace_ns(h.CHILD, ["ns1.test.", "ns2.test."])
    a = parent.update(key, change, prereq=[h.exists(h.CHILD, "NS", "ns.other.test.")])
    assert a.rcode == "NXRRSET" and a.is_signed
    a = parent.update(key, change, prereq=[h.exists(h.CHILD, "NS", "ns.one.test."), h.exists(h.CHILD, "NS", "ns.two.test."),
                                           h.absent(h.CHILD, "DS")])
    assert a.rcode == "NOERROR"


def test_unknown_key_is_badkey(parent, key):
    stranger = h.ChildKey()
    a = parent.update(stranger, h.replace_ns(h.CHILD, ["ns1.test.", "ns2.test."]))
    assert (a.rcode, a.ede_codes, a.is_signed) == ("BADKEY", [h.EDE["KEY_UNKNOWN"]], True)
    a = parent.update(stranger, h.replace_ns(h.CHILD, ["ns1.test.", "ns2.test."]), edns=False)
    assert (a.rcode, a.has_opt) == ("NOTAUTH", False)
    assert parent.ns() == ["ns.one.test.", "ns.two.test."]


@pytest.mark.parametrize("name", ["stranger.example.", "example.", "ample.", "child.ample.", "grand.child.example.", "."])
def test_who_is_no_child_is_refused(parent, key, name):
    other = h.ChildKey(name)
    a = parent.update(other, [h.add(h.CHILD, "NS", "ns1.test.")])
    assert (a.rcode, a.ede_codes) == ("REFUSED", [h.EDE["NOT_A_DELEGATION"]])


def test_the_zone_section_names_a_parent_of_ours(parent, key):
    change = h.replace_ns(h.CHILD, ["ns1.test.", "ns2.test."])
    assert parent.update(key, change, zone=h.CHILD).rcode == "NOTAUTH"
    raw = h.message(h.UPDATE, [(h.PARENT, h.SOA, h.IN), (h.PARENT, h.SOA, h.IN)], ((), change, ()))
    assert parent.ask(key.sign(raw)).rcode == "FORMERR"
    raw = h.message(h.UPDATE, [(h.PARENT, "NS", h.IN)], ((), change, ()))
    assert parent.ask(key.sign(raw)).rcode == "FORMERR"
    raw = h.message(h.UPDATE, [(h.PARENT, h.SOA, 3)], ((), change, ()))
    assert parent.ask(key.sign(raw)).rcode == "FORMERR"


def test_signatures_that_are_no_good(parent, key):
    change = h.replace_ns(h.CHILD, ["ns1.test.", "ns2.test."])
    raw = h.update_message(change)
    a = parent.ask(raw)
    assert (a.rcode, a.ede_codes, a.has_sig) == ("REFUSED", [h.EDE["SIG0_REQUIRED"]], False)
    a = parent.ask(key.sign(raw, signature=b"\1" * 64))
    assert (a.rcode, a.ede_codes) == ("NOTAUTH", [h.EDE["BAD_SIGNATURE"]])
    for times in (dict(inception=-900, expiration=-300), dict(inception=300, expiration=600),
                  dict(inception=-300, expiration=86100), dict(inception=300, expiration=-300)):
        a = parent.ask(key.sign(raw, **times))
        assert (a.rcode, a.ede_codes) == ("NOTAUTH", [h.EDE["BAD_TIME"]]), times
    a = parent.ask(key.sign(raw, alg=5, signature=b"\1" * 64))
    assert (a.rcode, a.ede_codes) == ("NOTAUTH", [h.EDE["ALGORITHM"]])
    assert parent.ask(key.sign(key.sign(raw))).rcode == "FORMERR"
    assert parent.ask(key.sign(raw, signature=b"\1" * 63)).rcode == "FORMERR"
    # not the last record
    late = key.sign(raw) + h.opt_rr()
    late = late[:10] + (3).to_bytes(2, "big") + late[12:]
    assert parent.ask(late).rcode == "FORMERR"
    assert parent.ns() == ["ns.one.test.", "ns.two.test."]


def test_a_message_counts_once(parent, key):
    raw = parent.signed_update(key, h.replace_ns(h.CHILD, ["ns1.test.", "ns2.test."]))
    assert parent.ask(raw).rcode == "NOERROR"
    assert parent.update(key, h.replace_ns(h.CHILD, ["ns3.test.", "ns4.test."])).rcode == "NOERROR"
    assert parent.ask(raw).rcode == "NOERROR"  # a retransmission: nothing is done again
    assert parent.ns() == ["ns3.test.", "ns4.test."]
    a = parent.ask(raw, source="127.0.0.9")
    assert (a.rcode, a.ede_codes) == ("NOTAUTH", [h.EDE["REPLAY"]])
    assert parent.ns() == ["ns3.test.", "ns4.test."]


def test_a_restart_does_not_forget_what_was_seen(parent, key):
    raw = parent.signed_update(key, h.replace_ns(h.CHILD, ["ns1.test.", "ns2.test."]))
    assert parent.ask(raw).rcode == "NOERROR"
    parent.kill9()
    parent.start()
    assert parent.ns() == ["ns1.test.", "ns2.test."]
    assert parent.update(key, h.replace_ns(h.CHILD, ["ns3.test.", "ns4.test."])).rcode == "NOERROR"
    assert parent.ask(raw, source="127.0.0.9").ede_codes == [h.EDE["REPLAY"]]
    assert parent.ns() == ["ns3.test.", "ns4.test."]


def test_policy_test_says_what_an_update_comes_to(parent, key):
    """The trial, and then the message itself."""
    ds = "12345 13 2 " + "ab" * 32
    hosts = ["ns.one.test.", "ns.two.test."]
    cases = [(["ns.one.test."], [], "refused", "shape"), (["ns.one.test.", "ns.new.test."], [], "allowed", "apply"),
             (hosts, [ds], "allowed", "apply"), (hosts, [], "refused", "confirm-delete")]
    for ns, dss, decision, rule in cases:
        lines = [f"{h.CHILD} 300 NS {n}" for n in ns] + [f"{h.CHILD} 300 DS {d}" for d in dss]
        said = parent.ctl("parent policy", what="test", child=h.CHILD, source="update", records="\n".join(lines))
        assert (said["decision"], said["rule"]) == (decision, rule), said
        assert said["may_touch"] == ["ns", "ds", "glue", "key"] and said.get("servers_are_checked") in (None, False)
        before = parent.records()
        a = parent.update(key, h.replace_ns(h.CHILD, ns) + [h.delete(h.CHILD, "DS")] + [h.add(h.CHILD, "DS", d) for d in dss])
        assert a.rcode == {"allowed": "NOERROR", "refused": "REFUSED"}[decision], (a, said)
        assert (parent.records() == before) == (decision == "refused")
    # a look can say less than an UPDATE
    for source, may, allowed in (("cds", ["ds"], False), ("csync", ["ns", "glue"], True), ("dsboot", ["ds"], False),
                                 ("tsig", [], False), ("operator", ["ns", "ds", "glue"], True)):
        records = f"{h.CHILD} 300 NS ns.one.test.\n{h.CHILD} 300 NS ns.new.test.\n{h.CHILD} 300 DS {ds}"
        said = parent.ctl("parent policy", what="test", child=h.CHILD, source=source, records=records)
        assert said["may_touch"] == may and said["touches"] == ["ns"], said
        assert (said["decision"] == "allowed") == allowed and (allowed or said["why"]), said


def test_upload_waits_and_takes_nothing_away(parent, key):
    new = h.ChildKey(alg=h.P256)
    a = parent.upload(new, options=h.keystate_option(new.tag))
    assert a.rcode == "NOERROR" and a.is_signed and a.state == h.STATE["BOOTSTRAP_MANUAL"]
    a = parent.update(new, h.replace_ns(h.CHILD, ["ns1.test.", "ns2.test."]))
    assert (a.rcode, a.ede_codes) == ("REFUSED", [h.EDE["MANUAL"]])
    assert parent.update(key, h.replace_ns(h.CHILD, ["ns1.test.", "ns2.test."])).rcode == "NOERROR"
    parent.ctl("parent approve", child=h.CHILD, what=new.fingerprint)
    assert parent.keystate(new).state == h.STATE["TRUSTED"]
    assert parent.keystate(key).state == h.STATE["UNKNOWN"]  # the upload said DEL: it replaces


def test_rollover_by_a_trusted_key(parent, key):
    new = h.ChildKey(alg=h.P256)
    assert parent.update(key, [h.add(h.CHILD, "KEY", new.text)]).rcode == "NOERROR"
    assert parent.keystate(new).state == h.STATE["TRUSTED"]
    assert parent.update(new, [h.delete(h.CHILD, "KEY", key.text)]).rcode == "NOERROR"
    assert parent.keystate(key).state == h.STATE["UNKNOWN"]
    a = parent.update(new, [h.delete(h.CHILD, "KEY", new.text)])
    assert a.rcode == "REFUSED"
    assert parent.keystate(new).state == h.STATE["TRUSTED"]


def test_an_upload_that_is_not_signed_by_itself(parent, key):
    mine, theirs = h.ChildKey(), h.ChildKey()
    a = parent.update(mine, [h.add(h.CHILD, "KEY", theirs.text)])
    assert (a.rcode, a.ede_codes) == ("BADKEY", [h.EDE["KEY_UNKNOWN"]])
    a = parent.update(mine, [h.add(h.CHILD, "KEY", mine.text), h.add(h.CHILD, "KEY", theirs.text)])
    assert a.rcode == "BADKEY"
    a = parent.update(mine, [h.add(h.CHILD, "KEY", mine.text), h.add(h.CHILD, "NS", "ns.evil.test.")])
    assert a.rcode == "BADKEY"
    assert [s for _, s in parent.keys()] == ["TRUSTED"] or len(parent.keys()) == 1


def spoilt(octets, alg):
    """A key with these octets for a public key; it signs with anything of the right length."""
    k = h.ChildKey(alg=h.P256)
    k.alg, k.rdata = alg, bytes([0, 0, 3, alg]) + octets
    return k, dict(alg=alg, signature=bytes(range(1, {h.P384: 97, h.ED448: 115}.get(alg, 65))))


@pytest.mark.parametrize("edns", [True, False])
@pytest.mark.parametrize("bits", [512, 1024, 2040, 8192])
def test_an_upload_of_an_rsa_key_of_a_wrong_length_is_refused_for_that(parent, key, bits, edns):
    weak = h.ChildKey(alg=h.RSASHA256, bits=1024)
    sign = {}  # with 1024 bits all is as it should be, but for that
    if bits != 1024:
        weak.rdata = weak.rdata[:8] + b"\xc1" * (bits // 8)
        sign = dict(signature=bytes(range(1, 9)) * (bits // 64 + 1))
    options = h.keystate_option(weak.tag) if edns else b""
    a = parent.upload(weak, options=options, edns=edns, sign=sign)
    assert (a.rcode, a.is_signed) == ("REFUSED", True), a
    if edns:
        assert (a.ede_codes, a.state, a.key_id) == ([INVALID_DATA], h.STATE["INVALID"], weak.tag)
        words = "KEY RDATA of 1032 octets cannot be read" if bits == 8192 else f"an RSA key of {bits} bits: 2048 to 4096 are taken"
        assert words in a.ede[0][1]
    assert parent.upload(weak, sign=sign).state is None  # nobody has asked
    assert parent.keys() == [(key.tag, "TRUSTED")]


@pytest.mark.parametrize("alg, octets, words", [
    (h.ED25519, b"\1" * 31, "a key of algorithm 15 has 32 octets, not 31"), (h.P256, b"\1" * 10, "algorithm 13 has 64 octets, not 10"),
    (h.P256, b"\1" * 64, "no public key of algorithm 13"), (h.P384, b"\1", "algorithm 14 has 96 octets, not 1"),
    (h.ED448, b"\1" * 32, "algorithm 16 has 57 octets, not 32")])
def test_an_upload_that_no_key_can_be_read_from_is_refused_for_that(parent, key, alg, octets, words):
    bad, sign = spoilt(octets, alg)
    a = parent.upload(bad, options=h.keystate_option(bad.tag), sign=sign)
    assert (a.rcode, a.ede_codes, a.state, a.is_signed) == ("REFUSED", [INVALID_DATA], h.STATE["INVALID"], True)
    assert words in a.ede[0][1]
    # from a trusted key, too: what is wrong is said, and the key that asks is as trusted as it was
    a = parent.update(key, [h.add(h.CHILD, "KEY", bad.text)], options=h.keystate_option(key.tag))
    assert (a.rcode, a.ede_codes, a.state) == ("REFUSED", [INVALID_DATA], h.STATE["TRUSTED"])
    assert words in a.ede[0][1]
    (row,) = [r for r in parent.ctl("parent audit", child=h.CHILD)["rows"] if r["verdict"] == "refused"]
    assert words in row["why"] and row["who"] == f"key {key.tag}"
    assert parent.keys() == [(key.tag, "TRUSTED")]


def test_a_trusted_key_brings_in_no_weak_one(parent, key):
    weak = h.ChildKey(alg=h.RSASHA256, bits=1024)
    a = parent.update(key, [h.add(h.CHILD, "KEY", weak.text)])
    assert (a.rcode, a.ede_codes) == ("REFUSED", [INVALID_DATA])
    assert "an RSA key of 1024 bits: 2048 to 4096 are taken" in a.ede[0][1]
    assert parent.keys() == [(key.tag, "TRUSTED")]


def test_a_key_of_an_algorithm_that_is_not_taken_is_refused(parent, key):
    bad, sign = spoilt(b"\3\1\0\1" + b"\xc1" * 256, 5)
    asks = h.keystate_option(bad.tag)
    a = parent.upload(bad, options=asks, sign=sign)
    assert (a.rcode, a.ede_codes, a.state, a.is_signed) == ("NOTAUTH", [h.EDE["ALGORITHM"]], h.STATE["REFUSED"], True)
    assert parent.keystate(bad, sign=sign).state == h.STATE["REFUSED"]
    a = parent.update(key, [h.add(h.CHILD, "KEY", bad.text)])
    assert (a.rcode, a.ede_codes) == ("REFUSED", [INVALID_DATA]) and "algorithm 5 is not taken" in a.ede[0][1]


def test_a_weak_key_is_told_nothing_of_who_is_no_child(parent, key):
    weak = h.ChildKey("stranger.example.", alg=h.RSASHA256, bits=1024)
    assert parent.upload(weak, options=h.keystate_option(weak.tag)).rcode == "FORMERR"


def test_keystate_only_for_who_asks_and_signed(parent, key):
    a = parent.keystate(key)
    assert (a.rcode, a.state, a.key_id, a.state_data, a.is_signed) == ("NOERROR", h.STATE["TRUSTED"], key.tag, 0, True)
    assert parent.keystate(key, qtype="ANY").state == h.STATE["TRUSTED"]
    assert parent.keystate(key, tcp=False).state == h.STATE["TRUSTED"]
    stranger = h.ChildKey()
    a = parent.keystate(stranger)
    assert (a.state, a.is_signed) == (h.STATE["UNKNOWN"], True)
    a = parent.keystate(key, sign=False)
    assert (a.rcode, a.state) == ("REFUSED", None)
    a = parent.keystate(key, sign=dict(signature=b"\1" * 64))
    assert (a.rcode, a.state, a.ede_codes) == ("NOTAUTH", None, [h.EDE["BAD_SIGNATURE"]])
    a = parent.update(key, [h.add(h.CHILD, "NS", "ns.three.test.")])
    assert a.state is None


@pytest.mark.parametrize("octets", [b"", b"\1", b"\1\2\2", None])
def test_malformed_keystate(parent, key, octets):
    a = parent.keystate(key, option_octets=h.option(h.OPT_KEYSTATE, octets)) if octets is not None else \
        parent.keystate(key, state=3)
    assert (a.rcode, a.state, a.is_signed) == ("FORMERR", h.STATE["MALFORMED"], True)


def test_keystate_compat_02(servers, base):
    p = servers(h.Parentd(base, settings="keystate-compat-02 = true;")).start()
    key = h.ChildKey()
    p.add_child(keys=[key])
    assert p.keystate(key, state=0).state == h.STATE["TRUSTED"]
    assert p.keystate(key, state=1).state == h.STATE["TRUSTED"]


def test_notify_is_answered(parent, key):
    a = parent.notify()
    assert (a.rcode, a.flags & 0x8400) == ("NOERROR", 0x8400)
    assert parent.notify(rdtype="CSYNC").rcode == "NOERROR"
    a = parent.notify("sibling.example.")
    assert (a.rcode, a.ede_codes) == ("REFUSED", [h.EDE["NOT_A_DELEGATION"]])
    a = parent.notify(rdtype="DNSKEY")
    assert (a.rcode, a.ede_codes) == ("REFUSED", [h.EDE["SCHEME"]])
    raw = h.message(h.NOTIFY, [(h.CHILD, "CDS", h.IN), (h.CHILD, "CSYNC", h.IN)], flags=0x0400)
    assert parent.send(raw, tcp=False, timeout=0.5) is None


def test_cookies(parent, key):
    client = os.urandom(8)
    a = parent.notify(options=h.option(h.OPT_COOKIE, client))
    assert a.cookie[:8] == client and len(a.cookie) == 24
    b = parent.notify(options=h.option(h.OPT_COOKIE, a.cookie))
    assert b.rcode == "NOERROR" and b.cookie[:8] == client
    assert parent.notify(options=h.option(h.OPT_COOKIE, b"1234567")).rcode == "FORMERR"


def test_what_is_no_request_of_ours(parent, key):
    assert parent.ask(h.message(2, [(h.PARENT, "SOA", h.IN)])).rcode == "NOTIMP"
    a = parent.ask(h.message(h.QUERY, [("www.test.", "A", h.IN)]))
    assert a.rcode == "REFUSED"
    assert parent.ask(h.message(h.QUERY, [(h.PARENT, "SOA", h.IN)], version=1)).rcode == "BADVERS"
    raw = h.update_message([h.add(h.CHILD, "NS", "ns1.test.")])
    a = parent.ask(raw[:-3])
    assert (a.rcode, a.has_opt, a.has_sig) == ("FORMERR", False, False)
    assert parent.send(raw[:2] + bytes([raw[2] | 0x80]) + raw[3:], tcp=False, timeout=0.3) is None


def test_source_budget(servers, base):
    p = servers(h.Parentd(base, limits=dict(requests_per_s=5))).start()
    key = h.ChildKey()
    p.add_child(keys=[key])
    answers = [p.notify("sibling.example.", timeout=0.2) for _ in range(10)]
    assert 0 < sum(a is not None for a in answers) < 10
    assert p.stats()["dropped"] > 0
    for _ in range(10):  # what is verified costs nothing
        assert p.keystate(key).state == h.STATE["TRUSTED"]


def test_many_at_once(parent):
    keys = [h.ChildKey(f"c{i}.example.", h.P256) for i in range(8)]
    for k in keys:
        parent.add_child(k.name, keys=[k])
    problems = []

    def child(k):
        try:
            for n in range(20):
                a = parent.update(k, h.replace_ns(k.name, [f"ns{n}.test.", "ns.two.test."]), tcp=n % 2 == 0)
                if a is None or a.rcode != "NOERROR" or not a.is_signed:
                    problems.append((k.name, n, a))
        except Exception as e:  # noqa: BLE001
            problems.append((k.name, e))

    threads = [threading.Thread(target=child, args=(k,)) for k in keys]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not problems
    for k in keys:
        assert parent.ns(k.name) == ["ns.two.test.", "ns19.test."]


def test_reload_and_stop_under_load(servers, base):
    p = servers(h.Parentd(base)).start()
    key = h.ChildKey(alg=h.P256)
    p.add_child(keys=[key])
    done = threading.Event()
    counts = {"answered": 0}

    def load():
        while not done.is_set():
            try:
                if p.update(key, h.replace_ns(h.CHILD, ["ns1.test.", "ns2.test."]), tcp=False) is not None:
                    counts["answered"] += 1
            except OSError:
                return

    threads = [threading.Thread(target=load, daemon=True) for _ in range(4)]
    for t in threads:
        t.start()
    h.wait_for(lambda: counts["answered"] > 5, message="answers")
    for _ in range(5):
        p.reload()
    before = counts["answered"]
    h.wait_for(lambda: counts["answered"] > before + 5, message="answers after the reload")
    assert p.stop() == 0  # with requests under way; sanitizers look for what is left
    done.set()


# --- registrars -------------------------------------------------------------------------------------------------------


@pytest.fixture
def registrar(servers, base):
    """A parentd where the key `registrar.` speaks for child.example. alone."""
    secret = base64.b64encode(bytes(range(32))).decode()
    h.write(f"{base}/secret", secret + "\n", 0o600)
    keys = ", ".join(f'{{ name = "{n}"; algorithm = "hmac-sha256"; secret-file = "{base}/secret"; }}'
                     for n in ("registrar.", "nobody."))
    p = servers(h.Parentd(base, policy=dict(sources=["update", "tsig", "operator"]), settings=f"""
tsig-keys = ( {keys} );
registrars = ( {{ tsig-key = "registrar."; children = [ "{h.CHILD}" ]; }} );
""")).start()
    for child in (h.CHILD, "sibling.example."):
        p.add_child(child)
    ring = dns.tsigkeyring.from_text({n: secret for n in ("registrar.", "nobody.", "stranger.")})

    def update(child=h.CHILD, name="registrar.", hosts=("ns1.test.", "ns2.test."), glue=None):
        u = dns.update.UpdateMessage(h.PARENT, keyring=ring, keyname=dns.name.from_text(name))
        u.use_edns(0)
        if glue:
            u.replace(dns.name.from_text(glue), 300, "A", "192.0.2.99")
        else:
            u.replace(dns.name.from_text(child), 300, "NS", *hosts)
        return dns.query.tcp(u, p.addr, port=p.port, timeout=h.LIMIT_S)  # checks the answer's TSIG

    p.registrar_update = update
    return p


def test_a_registrar_updates_its_children(registrar):
    r = registrar.registrar_update(hosts=("ns1.child.example.", "ns2.test."))
    assert r.rcode() == dns.rcode.REFUSED  # no glue
    assert registrar.registrar_update().rcode() == dns.rcode.NOERROR
    assert registrar.ns() == ["ns1.test.", "ns2.test."]
    r = registrar.registrar_update(child="sibling.example.")
    assert r.rcode() == dns.rcode.REFUSED
    assert registrar.ns("sibling.example.") == ["ns.one.test.", "ns.two.test."]
    r = registrar.registrar_update(glue="deep.ns1.child.example.")
    assert r.rcode() == dns.rcode.NOERROR  # idle glue: taken, and dropped
    assert len(registrar.records()) == 2


def test_nobody_else_does(registrar):
    assert registrar.registrar_update(name="nobody.").rcode() == dns.rcode.REFUSED
    with pytest.raises(dns.tsig.PeerBadKey):
        registrar.registrar_update(name="stranger.")
    assert registrar.ns() == ["ns.one.test.", "ns.two.test."]


# --- answers that wait for the checks ---------------------------------------------------------------------------------

SILENT = [f"{h.CHILD} 300 NS ns1.{h.CHILD}", f"{h.CHILD} 300 NS ns2.{h.CHILD}", f"ns1.{h.CHILD} 300 A 127.0.0.2",
          f"ns2.{h.CHILD} 300 A 127.0.0.3"]


@pytest.mark.parametrize("defer", [True, False])
def test_servers_that_say_nothing(servers, base, defer):
    """They take the connection and say nothing: the answer does not wait for longer than sync-limit."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.4", 0))
        silent.listen(64)
        port = silent.getsockname()[1]
        p = servers(h.Parentd(base, policy=dict(checks=True, check_tries=4), limits=dict(sync_limit_ms=300, defer=defer),
                              settings=f"probe-port = {port};\nprobe-timeout = 30;\nprobe-ipv6 = false;")).start()
        key = h.ChildKey()
        p.add_child(records=SILENT, keys=[key])
        a = p.update(key, [h.add(h.CHILD, "NS", f"ns3.{h.CHILD}"), h.add(f"ns3.{h.CHILD}", "A", "127.0.0.4")])
        assert a.is_signed
        assert f"ns3.{h.CHILD}" not in p.ns()
        if defer:
            assert a.rcode == "NOERROR"
            assert "pending" in p.show()
        else:
            assert (a.rcode, a.ede_codes) == ("SERVFAIL", [23])
            assert "pending" not in p.show()


def test_servers_that_cannot_be_reached(servers, base):
    """Whatever is said at once, nothing is registered, and the child is told at its next UPDATE or now."""
    p = servers(h.Parentd(base, policy=dict(checks=True, check_tries=1), limits=dict(sync_limit_ms=20000),
                          settings="probe-port = 9;\nprobe-timeout = 1;\nprobe-ipv6 = false;")).start()
    key = h.ChildKey()
    p.add_child(records=SILENT, keys=[key])
    a = p.update(key, [h.add(h.CHILD, "NS", f"ns3.{h.CHILD}"), h.add(f"ns3.{h.CHILD}", "A", "127.0.0.4")])
    assert a.rcode == "REFUSED" and a.is_signed and a.ede_codes[0] in (h.EDE["CHECK"], h.EDE["CHAIN"]), a
    assert f"ns3.{h.CHILD}" not in p.ns()


def test_forged_sources_keep_nobody_out(servers, base):
    """Failed verifications over UDP, whose source may be forged, do not count against who comes over TCP from there."""
    p = servers(h.Parentd(base, limits=dict(failures_per_s=3))).start()
    key = h.ChildKey()
    p.add_child(keys=[key])
    for _ in range(20):
        p.update(key, h.replace_ns(h.CHILD, ["ns1.test.", "ns2.test."]), sign=dict(signature=os.urandom(64)), tcp=False)
    assert p.stats()["bad_signatures"] < 20  # no more is verified of what comes so
    assert p.update(key, h.replace_ns(h.CHILD, ["ns1.test.", "ns2.test."])).rcode == "NOERROR"
    assert p.ns() == ["ns1.test.", "ns2.test."]
