# SPDX-License-Identifier: BSD-2-Clause
"""A PostgreSQL that hangs: its connections are there, and nothing is answered. What needs no database is served as ever."""

import json
import signal
import socket
import threading
import urllib.request

import dns.message
import dns.query

import parent as h
import primaries
from pg import postgres  # noqa: F401, the fixture
from test_parentd_pg import asked, ns, verified


class Frozen:
    """A daemon with a zone to serve and with metrics, whose PostgreSQL stands still: connections are there, no answers."""

    def __init__(self, postgres, servers, base, more="", settings=""):
        postgres.fresh()
        self.pg, self.port = postgres, primaries.free_port()
        conn = postgres.conn_file(f"{base}/conn")
        self.p = servers(h.Parentd(base, settings=f'metrics : {{ address = "127.0.0.1"; port = {self.port}; }}; {settings}',
                                   parent_settings='publish : { how = "primary"; ns = [ "ns.one.test." ]; };' + more,
                                   store=f'store = "postgresql"; store-path = "{conn}";')).start()
        self.key = h.ChildKey()
        self.p.add_child(keys=[self.key])
        h.wait_for(lambda: self.soa().rcode() == 0, message="the zone is served")
        h.wait_for(lambda: not self.peeks(), message="names that are not there are known without a look")

    def soa(self):
        return dns.query.udp(dns.message.make_query("_dsync.example.", "SOA"), self.p.addr, port=self.p.port, timeout=h.LIMIT_S)

    def ask(self, name):
        return self.p.update(h.ChildKey(name), h.replace_ns(name, ns(1)), tcp=False)

    def peeks(self):
        """Looks into the books for a child that is not there."""
        def count():
            lines = self.get("/metrics")[1].splitlines()
            return int(next(line for line in lines if line.startswith("parentd_books_peeks_total")).split()[1])
        before = count()
        assert self.ask("nobody.example.").rcode == "REFUSED"
        return count() - before

    def get(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=h.LIMIT_S) as r:
            return r.status, r.read().decode()

    def is_served(self):
        """What needs no database is answered."""
        assert self.soa().rcode() == 0
        assert self.ask("nobody.example.").rcode == "REFUSED"
        assert self.p.notify().rcode == "NOERROR"
        status, text = self.get("/metrics")
        assert status == 200 and "parentd_backend_behind" in text
        assert self.get("/healthz")[0] == 200
        assert self.p.stats()["audit_seq"] > 0
        assert self.p.ctl("parent list") and self.p.ctl("parent backends") and self.p.ctl("parent records", parent="example.")
        return True


class Asked(threading.Thread):
    """A command under way."""

    def __init__(self, p, command, **args):
        super().__init__(daemon=True)
        self.p, self.command, self.args, self.answer = p, command, args, None
        self.start()

    def run(self):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(120)
            s.connect(self.p.control)
            s.sendall(json.dumps({"cmd": self.command, "args": self.args}).encode() + b"\n")
            self.answer = json.loads(s.makefile().readline() or '{"ok": false}')  # closed: it has ended meanwhile


def test_a_server_that_hangs_holds_up_nobody_who_does_not_need_it(postgres, servers, base):  # noqa: F811
    """The commands are asked one after the other: while the last one waits, all others are answered."""
    x = Frozen(postgres, servers, base)
    assert x.p.update(x.key, h.replace_ns(h.CHILD, ns(1))).rcode == "NOERROR"
    before = verified(x.p)
    postgres.freeze()
    try:
        asked_ = [Asked(x.p, "parent children"), Asked(x.p, "parent show", child=h.CHILD), Asked(x.p, "parent audit"),
                  Asked(x.p, "parent verify"), Asked(x.p, "parent lock", child=h.CHILD, why="court order")]
        for _ in range(3):
            assert x.is_served()
        assert sum(a.is_alive() for a in asked_) >= 2, [a.answer for a in asked_]
        # no more than a few wait, and that is said; what needs no database is answered as before
        more = [Asked(x.p, "parent show", child=h.CHILD) for _ in range(8)]
        h.wait_for(lambda: any(a.answer and a.answer.get("error") == "EBUSY" for a in more), message="too many")
        assert x.is_served() and any(a.is_alive() for a in asked_ + more)
        x.p.parent_settings = x.p.parent_settings.replace("ns.one.test.", "ns.two.test.")
        x.p.reload()  # the new zone waits for the books: the old one is served
        assert x.is_served() and "ns.one.test." in x.soa().to_text()
    finally:
        postgres.thaw()
    for a in asked_ + more:
        a.join(120)
        assert a.answer is not None
    locked = h.wait_for(lambda: x.p.ctl("parent show", raw=True, child=h.CHILD).get("data"), message="well again")["locked"]
    assert locked or not asked_[4].answer["ok"]  # an order that was given is there
    if locked:
        asked(x.p, "parent unlock", child=h.CHILD)
    assert x.p.ns() == sorted(ns(1))
    assert h.wait_for(lambda: x.p.update(x.key, h.replace_ns(h.CHILD, ns(2))).rcode == "NOERROR", message="granted again")
    assert verified(x.p) > before
    h.wait_for(lambda: "ns.two.test." in x.soa().to_text(), message="the new zone is served")


def test_a_reload_does_not_wait_for_an_import_that_waits(postgres, servers, base):  # noqa: F811
    """The command that was given before it still waits when the new settings are there."""
    h.write(f"{base}/tsig", primaries.SECRET + "\n", 0o600)
    x = Frozen(postgres, servers, base,
               f'primary : {{ address = "127.0.0.1"; port = {primaries.free_port()}; tsig-key = "{primaries.KEY}"; interval = 3600; }};',
               f'tsig-keys = ( {{ name = "{primaries.KEY}"; algorithm = "hmac-sha256"; secret-file = "{base}/tsig"; }} );')
    h.wait_for(lambda: not x.p.ctl("parent list")[0]["being_read"], message="at rest")
    postgres.freeze()
    try:
        waiting = Asked(x.p, "parent show", child=h.CHILD)
        assert x.soa().rcode() == 0
        x.p.ctl("parent import")
        h.wait_for(lambda: x.p.ctl("parent list")[0]["being_read"], message="the import waits for the books")
        x.p.reload()
        for _ in range(3):
            assert x.soa().rcode() == 0 and x.p.ctl("parent list")[0]["being_read"]
        assert waiting.is_alive()
    finally:
        postgres.thaw()
    waiting.join(120)
    h.wait_for(lambda: not x.p.ctl("parent list")[0]["being_read"], message="at rest again")
    assert x.p.stop() == 0


def test_commands_that_wait_at_the_stop_are_dropped(postgres, servers, base):  # noqa: F811
    """It ends when the database goes on, with nothing left behind."""
    x = Frozen(postgres, servers, base)
    postgres.freeze()
    try:
        waiting = [Asked(x.p, "parent children") for _ in range(5)]
        assert x.is_served()
        x.p.proc.send_signal(signal.SIGTERM)
        for a in waiting[1:]:
            a.join(h.LIMIT_S)  # their connections are closed at once
            assert not a.answer["ok"]
    finally:
        postgres.thaw()
    x.p.proc.wait(3 * h.LIMIT_S)
    assert x.p.stop() == 0
