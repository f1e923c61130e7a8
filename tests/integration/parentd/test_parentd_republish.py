# SPDX-License-Identifier: BSD-2-Clause
"""
What parentd publishes in the parent zone by UPDATE and somebody takes out comes back: at a reload, and at a start.

PowerDNS (4.7) answers FORMERR to an UPDATE that has a type which it does not know, and DSYNC is one: there the records of
the target go by UPDATE, and DSYNC has to come in another way.
"""

import pytest

import parent as h
import primaries
from test_parentd_publish import PLAIN, WILD, parentd

BACKEND = ('backends = ( {{ name = "one"; kind = "update"; address = "{addr}"; port = {port}; '
           'tsig-key = "{key}"; retry = 1; }} );')


def shown(primary):
    """Of all that is published, as (owner, type, RDATA)."""
    return [r for r in primary.axfr() if r[0] in (WILD, PLAIN, h.TARGET)]


NO_DSYNC = "wildcard = false; plain = false;"
KNOWS_DSYNC = ["bind", "knot"]


def start(servers, base, kind):
    primary = servers(primaries.KINDS[kind](base)).start()
    p = parentd(servers, base, 'how = "update"; addresses = [ "192.0.2.53" ];' + ("" if kind in KNOWS_DSYNC else NO_DSYNC),
                BACKEND.format(addr=primary.addr, port=primary.port, key=primaries.KEY)).start()
    h.wait_for(lambda: [r for r in shown(primary) if r[1] == "KEY"], message="published")
    return primary, p


@pytest.mark.parametrize("kind", sorted(primaries.KINDS))
def test_records_that_somebody_took_out_come_back(servers, base, kind):
    primary, p = start(servers, base, kind)
    before = shown(primary)
    dsync = {(WILD, "TYPE66"), (PLAIN, "TYPE66")} if kind in KNOWS_DSYNC else set()
    assert {(r[0], r[1]) for r in before} == dsync | {(h.TARGET, "A"), (h.TARGET, "KEY"), (h.TARGET, "SVCB")}
    # All of them; parentd is told by the reload that an operator does.
    primary.nsupdate("\n".join(f"update delete {name}" for name in (WILD, PLAIN, h.TARGET)))
    assert not shown(primary)
    p.reload()
    h.wait_for(lambda: shown(primary) == before, message="back after a reload")
    # Some of them, and something that is not right is put there: after a start of parentd.
    p.stop()
    other = h.ChildKey(h.TARGET)
    primary.nsupdate(f"update delete {WILD}\nupdate delete {h.TARGET} KEY\nupdate add {h.TARGET} 300 KEY {other.text}\n"
                     f"update delete {h.TARGET} A\nupdate add {h.TARGET} 300 A 192.0.2.66")
    assert shown(primary) != before
    p.start()
    h.wait_for(lambda: shown(primary) == before, message="back after a start")
    # Whoever has them does not get another serial for nothing.
    serial = primary.serial()
    published = p.log_text().count(">published ")
    p.reload()
    h.wait_for(lambda: p.log_text().count(">published ") > published, message="another round")
    assert shown(primary) == before
    if kind != "pdns":  # it counts an UPDATE that changes nothing
        assert primary.serial() == serial


@pytest.mark.parametrize("kind", KNOWS_DSYNC)
def test_what_is_switched_off_is_taken_out_and_nothing_of_others(servers, base, kind):
    primary, p = start(servers, base, kind)
    foreign = "TYPE66 \\# 8 " + "003b010035" + "017800"
    primary.nsupdate(f"update add {WILD} 300 {foreign}")
    p.parent_settings = p.parent_settings.replace('how = "update";', 'how = "update"; update = false; csync = false;')
    p.reload()
    h.wait_for(lambda: len([r for r in shown(primary) if r[0] == PLAIN]) == 1, message="two are taken out")
    assert len([r for r in shown(primary) if r[0] == WILD]) == 2  # one of ours, and the other one
    assert [r for r in primary.axfr() if r[0] == "www.example."]


def test_they_come_back_when_the_primary_was_away(servers, base):
    primary, p = start(servers, base, "knot")
    before = shown(primary)
    primary.nsupdate("\n".join(f"update delete {name}" for name in (WILD, PLAIN, h.TARGET)))
    primary.stop()
    p.reload()
    h.wait_for(lambda: "publish-failed" in p.log_text(), message="an attempt")
    primary.start()
    h.wait_for(lambda: shown(primary) == before, message="back when it is there again")


def test_a_primary_that_does_not_know_the_type_is_told_of(servers, base):
    """Nothing is half published, and the log says why."""
    primary = servers(primaries.KINDS["pdns"](base)).start()
    p = parentd(servers, base, 'how = "update"; addresses = [ "192.0.2.53" ];',
                BACKEND.format(addr=primary.addr, port=primary.port, key=primaries.KEY)).start()
    if h.wait_for(lambda: "publish-failed" in p.log_text() or shown(primary), message="an attempt") and shown(primary):
        pytest.skip("this PowerDNS takes DSYNC")
    assert "why=FORMERR" in p.log_text() and not shown(primary)
