# SPDX-License-Identifier: BSD-2-Clause
"""
How a key becomes trusted, and how a child gets its first DS: at the apex and at signal names in a signed tree of real
servers (a network namespace of its own), by many looks at an unsigned child, by an operator. And reports of what failed.
"""

import contextlib
import ctypes
import os
import socket
import sys
import threading

import dns.flags
import dns.message
import dns.rrset
import pytest

import family as f
import parent as h

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../resolve"))
import tree as t  # noqa: E402

ZONES_2, PLAIN, AGENT = "10.53.0.4", "10.53.0.5", "10.53.0.6"
LIARS = ["10.53.0.7", "10.53.0.8"]  # ns3.op., ns4.op.: nothing is there but what a test puts there
SIGNED = (t.ECDSA, False)
CLONE_NEWNET = 0x40000000
NS = ["ns1.op.", "ns2.op."]


@contextlib.contextmanager
def inside(netns):
    """This thread, and what it starts, in the namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/thread-self/ns/net") as here, open(f"/run/netns/{netns}") as there:
        assert libc.setns(there.fileno(), CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
        try:
            yield
        finally:
            assert libc.setns(here.fileno(), CLONE_NEWNET) == 0


def signal(label, child, ns):
    return f"{label}.{child}_signal.{ns}"


class Tree(t.Tree):
    """
    root, example. and op. (a DNS operator) signed, plain. not. Each child of example. is a story; its zone is at both
    servers of the operator.
    """

    def __init__(self):
        super().__init__()
        self.keys, self.texts, self.signals, self.ns = {}, {}, [], {}
        self.secure = ("apex.example.", "other.example.", "rebootstrap.example.")
        for name in self.secure:
            self.child(name, shows=h.ChildKey() if name == "other.example." else None)
        for name in ("ns.example.", "one.example.", "differs.example.", "silent.example."):
            self.child(name)
        self.child("mixed.example.", ns=["ns1.op.", "ns1.plain."])
        self.say("ns.example.", *NS)
        self.say("mixed.example.", "ns1.op.")
        self.say("one.example.", "ns1.op.")
        self.say("differs.example.", "ns1.op.")
        self.say("differs.example.", "ns2.op.", key=h.ChildKey())
        self.say("silent.example.", *NS)
        self.texts["silent.example."] = self.texts["silent.example."].replace(" KEY ", " TYPE65280 \\# 1 00 ; ")
        self.zones = {}
        for name in ("first.example.", "lies.example.", "half.example."):
            z = f.Zone(name, [(n, "") for n in NS]).key().cds(cdnskey=True)
            self.zones[name], self.texts[name], self.ns[name] = z, z.text(), NS
        for ns in NS:
            self.vouch("first.example.", ns)
        self.vouch("lies.example.", "ns1.op.")
        self.vouch("lies.example.", "ns2.op.", f.Zone("lies.example.").key().cds(cdnskey=True))
        self.vouch("half.example.", "ns1.op.")

    def child(self, name, ns=None, shows=None):
        key = h.ChildKey(name)
        ns = ns or NS
        self.keys[name], self.ns[name] = key, ns
        self.texts[name] = "\n".join([f"{name} 300 SOA ns1.op. hostmaster.op. 1 3600 600 86400 60"] + [f"{name} 300 NS {n}" for n in ns] +
                                     [f"{name} 1 KEY {(shows or key).text}"]) + "\n"

    def say(self, child, *servers, key=None):
        self.signals += [f"{signal('_sig0key', child, ns)} 1 KEY {(key or self.keys[child]).text}" for ns in servers]

    def vouch(self, child, ns, zone=None):
        for (_owner, rdtype), texts in (zone or self.zones[child]).records.items():
            self.signals += [f"{signal('_dsboot', child, ns)} 300 {rdtype} {text}" for text in texts]

    def up(self):
        t.run("ip", "netns", "add", self.netns)
        self.inside("ip", "link", "set", "lo", "up")
        for address in (t.ROOT, t.TLD, t.ZONES, ZONES_2, PLAIN, AGENT, *LIARS):
            self.inside("ip", "address", "add", f"{address}/32", "dev", "lo")
        self.conf("root", t.ROOT, {".": SIGNED})
        self.conf("tld", t.TLD, {"example.": SIGNED, "op.": SIGNED})
        self.conf("zones", f"{t.ZONES}@53, {ZONES_2}@53, {PLAIN}",
                  dict({name: SIGNED if name in self.secure else None for name in self.texts}, **{"plain.": None}))
        for name, text in self.texts.items():
            self.write("zones", name, text)
        soa = "@ 300 IN SOA ns hostmaster 1 3600 600 86400 60\n@ 300 IN NS ns\n"
        self.write("zones", "plain.", f"$ORIGIN plain.\n{soa}ns A {PLAIN}\nns1 A {PLAIN}\n")
        delegations = "".join(f"{name} 300 NS {n}\n" for name in self.texts for n in self.ns[name])
        delegations += "".join(self.ds("zones", name) for name in self.secure)
        self.write("tld", "example.", f"$ORIGIN example.\n{soa}ns A {t.TLD}\n{delegations}")
        self.write("tld", "op.", f"$ORIGIN op.\n{soa}ns A {t.TLD}\nns1 A {t.ZONES}\nns2 A {ZONES_2}\n"
                   f"er.ns1 NS agent\ner.ns3 NS agent\nagent A {AGENT}\nns3 A {LIARS[0]}\nns4 A {LIARS[1]}\n" + "\n".join(self.signals) + "\n")
        self.write("root", ".", "$ORIGIN .\n$TTL 300\n@ SOA a.rootsrv. hostmaster. 1 3600 600 86400 60\n@ NS a.rootsrv.\n"
                   f"a.rootsrv. A {t.ROOT}\nexample. NS ns.op.\nop. NS ns.op.\nns.op. A {t.TLD}\n"
                   f"plain. NS ns.plain.\nns.plain. A {PLAIN}\n" + self.ds("tld", "example.") + self.ds("tld", "op."))
        self.anchor = self.write_anchor("anchor", self.ds("root", "."))
        for name in ("root", "tld", "zones"):
            self.start("knotd", "-c", self.path(name, "knot.conf"))
        for address, zone in [(t.ROOT, "."), (t.TLD, "example."), (t.TLD, "op.")] + [(t.ZONES, z) for z in self.texts]:
            self.wait_for(address, zone)

    def delegation(self, name):
        lines = [f"{name} 300 NS {n}" for n in self.ns[name]]
        return lines + ([self.ds("zones", name).strip()] if name in self.secure else [])


@pytest.fixture(scope="module")
def whole_tree():
    tree = Tree()
    try:
        tree.up()
        yield tree
    finally:
        tree.down()


@pytest.fixture
def tree(whole_tree):
    with inside(whole_tree.netns):
        yield whole_tree


POLICY = dict(bootstrap=["at-apex", "at-ns", "manual"], bootstrap_retry=1, checks=True, bootstrap_ds="rfc9615",
              sources=["update", "cds", "dsboot"], scan_retry=["1", "1", "1", "1"])


def in_tree(servers, base, tree, limits=None, **policy):
    settings = (f'resolver = {{ trust-anchor-file = "{tree.anchor}"; root-servers = [ "{t.ROOT}" ]; }}; probe-ipv6 = false;')
    return servers(h.Parentd(base, policy=dict(POLICY, **policy), limits=limits or {"sweep": 0}, settings=settings)).start()


def until_state(parent, key, name, child=None):
    h.wait_for(lambda: parent.keystate(key, name=child).state == h.STATE[name],
               message=f"{name}; it is {parent.keystate(key, name=child)}", timeout=30)


@pytest.mark.parametrize("child", ["apex.example.", "ns.example.", "mixed.example."])
def test_a_key_that_dns_vouches_for_is_trusted(servers, base, tree, child):
    parent = in_tree(servers, base, tree)
    key = tree.keys[child]
    parent.add_child(child, tree.delegation(child))
    a = parent.upload(key)
    assert a.rcode == "NOERROR" and a.is_signed, a
    until_state(parent, key, "TRUSTED")


@pytest.mark.parametrize("child", ["other.example.", "one.example.", "differs.example.", "silent.example."],
                         ids=["apex-shows-another", "one-server-silent", "servers-differ", "apex-shows-none"])
def test_a_key_that_dns_does_not_vouch_for_fails(servers, base, tree, child):
    parent = in_tree(servers, base, tree)
    key = tree.keys[child]
    parent.add_child(child, tree.delegation(child))
    assert parent.upload(key).rcode == "NOERROR"
    until_state(parent, key, "VALIDATION_FAILED")
    a = parent.update(key, h.replace_ns(child, ["ns1.op.", "ns3.op."]))
    assert a.rcode == "REFUSED" and a.ede_codes == [h.EDE["VALIDATION_FAILED"]]


def test_an_upload_that_fails_takes_no_trusted_key_away(servers, base, tree):
    child = "rebootstrap.example."
    parent = in_tree(servers, base, tree)
    good, bad = tree.keys[child], h.ChildKey(child)
    parent.add_child(child, tree.delegation(child))
    assert parent.upload(good).rcode == "NOERROR"
    until_state(parent, good, "TRUSTED")
    assert parent.upload(bad).rcode == "NOERROR"  # DEL ANY, ADD
    until_state(parent, bad, "VALIDATION_FAILED")
    assert parent.keystate(good).state == h.STATE["TRUSTED"]


def test_a_rebootstrap_replaces_the_key_once_the_new_one_is_trusted(servers, base, tree):
    child = "rebootstrap.example."
    parent = in_tree(servers, base, tree)
    old, new = h.ChildKey(child), tree.keys[child]
    parent.add_child(child, tree.delegation(child))
    parent.trust(old)
    assert parent.upload(new).rcode == "NOERROR"
    until_state(parent, new, "TRUSTED")
    assert parent.keystate(old).state == h.STATE["UNKNOWN"]


def test_without_the_method_an_operator_decides(servers, base, tree):
    parent = in_tree(servers, base, tree, bootstrap=["manual"])
    key = tree.keys["apex.example."]
    parent.add_child(key.name, tree.delegation(key.name))
    assert parent.upload(key).rcode == "NOERROR"
    until_state(parent, key, "BOOTSTRAP_MANUAL")
    parent.ctl("parent approve", child=key.name, what=key.fingerprint)
    until_state(parent, key, "TRUSTED")
    second = h.ChildKey(key.name)
    assert parent.upload(second).rcode == "NOERROR"
    parent.ctl("parent reject", child=key.name, what=second.fingerprint)
    until_state(parent, second, "REFUSED")
    assert parent.keystate(key).state == h.STATE["TRUSTED"]


def ds(parent, child):
    return [r[2] for r in parent.records(child) if r[1] == "DS"]


def test_first_ds_by_signal_names(servers, base, tree):
    child = "first.example."
    parent = in_tree(servers, base, tree)
    parent.add_child(child, tree.delegation(child))
    assert parent.notify(child, "CDS").rcode == "NOERROR"
    h.wait_for(lambda: ds(parent, child), message=f"DS; {parent.show(child)['scan']}")
    assert ds(parent, child)[0].split()[0] == tree.zones[child].keys[0].ds().split()[0]


@pytest.mark.parametrize("child", ["lies.example.", "half.example."])
def test_no_first_ds_when_signal_names_do_not_all_vouch_for_it(servers, base, tree, child):
    parent = in_tree(servers, base, tree)
    parent.add_child(child, tree.delegation(child))
    assert parent.notify(child, "CDS").rcode == "NOERROR"
    h.wait_for(lambda: "signal name" in parent.log_text() or "RFC 9615" in (parent.show(child)["scan"].get("result") or ""),
               message="refused, or waits")
    assert ds(parent, child) == []


# --- reports ----------------------------------------------------------------------------------------------------------


class Agent:
    """Where reports go: says NOERROR to everything, and remembers the names."""

    def __init__(self):
        self.names = set()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((AGENT, 53))
        self.socket.settimeout(0.1)
        self.is_stopped = False
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while not self.is_stopped:
            try:
                wire, peer = self.socket.recvfrom(4096)
            except socket.timeout:
                continue
            q = dns.message.from_wire(wire)
            self.names.add((q.question[0].name.to_text().lower(), q.question[0].rdtype))
            a = dns.message.make_response(q)
            a.flags |= dns.flags.AA
            zone = dns.name.Name(q.question[0].name.labels[-4:])  # er.ns1.op., er.ns3.op.
            a.authority.append(dns.rrset.from_text(zone, 60, "IN", "SOA", "agent.op. h.op. 1 3600 600 86400 60"))
            self.socket.sendto(a.to_wire(), peer)

    def stop(self):
        self.is_stopped = True
        self.thread.join()
        self.socket.close()


@pytest.mark.parametrize("channel,is_sent", [("er.ns1.op.", True), ("er.victim.op.", False)])
def test_a_scan_that_fails_is_reported_where_the_childs_server_wants_it(servers, base, tree, channel, is_sent):
    child = "half.example."
    agent = servers(Agent())
    parent = in_tree(servers, base, tree)
    parent.add_child(child, tree.delegation(child))
    a = parent.notify(child, "CDS", options=h.option(h.OPT_REPORT, h.wire_name(channel)))
    assert a.rcode == "NOERROR"
    wanted = f"_er.59.{child}{h.EDE['CHECK']}._er.{channel}"
    other = f"_er.59.{child}{h.EDE['CDS']}._er.{channel}"
    if is_sent:
        h.wait_for(lambda: {(wanted, 16), (other, 16)} & agent.names, message=f"a report; {agent.names}")
    else:
        h.wait_for(lambda: "verdict=refused" in parent.log_text(), message="refused")
        assert not agent.names


@pytest.fixture
def failing(servers, base, tree):
    """A secure child whose servers show CDS that nothing signs, and offer a channel or none; nobody sends a NOTIFY."""
    zone = f.Zone("broken.example.", [("ns3.op.", ""), ("ns4.op.", "")]).key().cds()
    old = zone.keys[0]
    zone.unsigned.add((zone.name, "CDS"))
    zone.key().cds()
    nodes = [servers(f.Liar(base, zone.copy(), addr, port=53)) for addr in LIARS]

    def start(channel, **limits):
        for n in nodes:
            n.channel = channel
            n.start()
        agent = servers(Agent())
        parent = in_tree(servers, base, tree, limits=dict({"sweep": 1, "scan_rate": 100}, **limits))
        parent.add_child(zone.name, zone.delegation(ds=[old]))
        return zone, nodes, parent, agent

    return start


def reports(agent):
    return sorted({name for name, rdtype in agent.names if rdtype == 16 and name.startswith("_er.")})


def test_what_the_sweep_finds_broken_is_reported_where_the_childs_servers_want_it(failing):
    zone, nodes, parent, agent = failing("er.ns3.op.")
    want = f"_er.59.{zone.name}{h.EDE['CHAIN']}._er.er.ns3.op."
    h.wait_for(lambda: want in reports(agent), message=f"a report; {agent.names}")
    # Something else of the same kind, within the hour: on record, and no report.
    agent.names.clear()
    signed = zone.copy()
    signed.unsigned.clear()
    nodes[0].change(signed)
    h.wait_for(lambda: "refused: ns4" in parent.show(zone.name)["scan"]["result"], message="refused anew")
    assert reports(agent) == []
    # A restart forgets nothing that the next answers do not say again.
    parent.kill9()
    parent.start()
    nodes[0].change(zone.copy())
    h.wait_for(lambda: want in reports(agent), message=f"a report; {agent.names}")


@pytest.mark.parametrize("channel", [None, "er.victim.op.", "op.", "."])
def test_where_nobody_wants_reports_or_for_others_none_are_sent(failing, channel):
    zone, _nodes, parent, agent = failing(channel)
    h.wait_for(lambda: "refused" in (parent.show(zone.name)["scan"].get("result") or ""), message="refused")
    scans = parent.stats()["scans"]
    h.wait_for(lambda: parent.stats()["scans"] > scans + 2, message="the sweep has been by again")
    assert not agent.names


def test_a_key_that_fails_for_good_is_reported_where_the_childs_servers_want_it(servers, base, tree, failing):
    zone, _nodes, parent, agent = failing("er.ns3.op.", sweep=0)
    key = h.ChildKey(zone.name)
    assert parent.upload(key).rcode == "NOERROR"
    until_state(parent, key, "VALIDATION_FAILED", zone.name)
    want = f"_er.25.{zone.name}{h.EDE['VALIDATION_FAILED']}._er.er.ns3.op."
    h.wait_for(lambda: want in reports(agent), message=f"a report; {agent.names}")


# --- children without DNSSEC ------------------------------------------------------------------------------------------

UNSIGNED = dict(bootstrap=["unsigned"], bootstrap_retry=1, unsigned_vantages=3, unsigned_rounds=3, unsigned_span=2,
                checks=False)


def unsigned(servers, base, **policy):
    """A child at two servers of its own, and two resolvers that see it from elsewhere."""
    key = h.ChildKey()
    zone = f.Zone(hosts=[(f"ns{i}.{h.CHILD}", h.address()) for i in (1, 2)]).put("TYPE25", generic(key))
    nodes = [servers(f.Liar(base, zone.copy(), addr)).start() for _host, addr in zone.hosts]
    nodes += [servers(f.Liar(base, zone.copy(), h.address(), ra=True)).start() for _ in range(2)]
    vantages = ", ".join(f'{{ address = "{n.addr}"; port = {f.PORT}; }}' for n in nodes[2:])
    parent = servers(h.Parentd(base, policy=dict(UNSIGNED, **policy), limits={"sweep": 0},
                               settings=f"probe-port = {f.PORT}; probe-ipv6 = false; vantages = ( {vantages} );")).start()
    parent.add_child(h.CHILD, zone.delegation())
    return parent, key, zone, nodes


def generic(key):
    return f"\\# {len(key.rdata)} {key.rdata.hex()}"


def test_an_unsigned_childs_key_is_trusted_after_rounds_that_agree(servers, base):
    parent, key, _zone, nodes = unsigned(servers, base)
    assert parent.upload(key).rcode == "NOERROR"
    until_state(parent, key, "TRUSTED")
    assert all(n.asked.get("KEY", n.asked.get("TYPE25", 0)) == 3 for n in nodes), [n.asked for n in nodes]


@pytest.mark.parametrize("who", [1, 3], ids=["server", "vantage"])
def test_one_point_of_view_that_differs_makes_it_fail(servers, base, who):
    parent, key, zone, nodes = unsigned(servers, base)
    nodes[who].change(zone.copy().put("TYPE25", generic(h.ChildKey())))
    assert parent.upload(key).rcode == "NOERROR"
    until_state(parent, key, "VALIDATION_FAILED")


def test_a_server_out_of_reach_neither_proves_nor_disproves(servers, base):
    parent, key, _zone, nodes = unsigned(servers, base)
    nodes[1].rcode = "SERVFAIL"
    assert parent.upload(key).rcode == "NOERROR"
    h.wait_for(lambda: nodes[0].asked.get("KEY", nodes[0].asked.get("TYPE25", 0)) > 3, message="looked at again and again")
    assert parent.keystate(key).state == h.STATE["BOOTSTRAP_AUTO"]
    nodes[1].rcode = None
    until_state(parent, key, "TRUSTED")


def test_rounds_are_durable(servers, base):
    parent, key, _zone, nodes = unsigned(servers, base, unsigned_span=4)
    assert parent.upload(key).rcode == "NOERROR"
    h.wait_for(lambda: nodes[0].asked, message="the first round")
    h.wait_for(lambda: parent.show()["keys"][0].get("rounds") == 1, message="which is on record")
    parent.kill9()
    parent.start()
    until_state(parent, key, "TRUSTED")
    assert nodes[0].asked.get("KEY", nodes[0].asked.get("TYPE25", 0)) == 3


def test_too_few_points_of_view_prove_nothing(servers, base):
    parent, key, _zone, nodes = unsigned(servers, base, unsigned_vantages=4)
    assert parent.upload(key).rcode == "NOERROR"
    h.wait_for(lambda: nodes[0].asked.get("KEY", nodes[0].asked.get("TYPE25", 0)) > 3, message="looked at again and again")
    assert parent.keystate(key).state == h.STATE["BOOTSTRAP_AUTO"]
