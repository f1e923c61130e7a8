# SPDX-License-Identifier: BSD-2-Clause
"""SIGHUP: a good file is taken, a bad one changes nothing, and nothing that was acknowledged is lost."""

import os
import signal
import socket
import time

import cmbharness as h
from test_combinerd_basic import CDS, DNSKEY


def reloaded(comb, word):
    return comb.log_text().count(word)


def test_a_reload_keeps_zone_instructions_and_serial_and_takes_new_settings(pair):
    _, comb = pair
    assert comb.nsupdate(f"update add {h.ZONE} 10 DNSKEY {DNSKEY}\nupdate add {h.ZONE} 10 CDS {CDS}").returncode == 0
    before = comb.axfr()
    contributions = comb.show()["contributions"]
    comb.zone_settings = 'extra-types = [ "CDNSKEY" ];'
    comb.configure()
    comb.signal(signal.SIGHUP)
    h.wait_for(lambda: reloaded(comb, "daemon-reload"), message="reload logged")
    h.wait_for(lambda: comb.soa("msad.") == h.serial_of(before), message="served again")
    assert comb.show()["contributions"] == contributions
    assert set(comb.axfr()) == set(before)
    r = comb.nsupdate(f"update add {h.ZONE} 10 CDNSKEY {DNSKEY}")
    assert r.returncode == 0, r.stderr  # was refused before: the new setting is in force
    assert len(h.apex_set(comb.axfr(), "CDNSKEY")) == 1


def test_a_bad_file_is_refused_and_the_old_configuration_stays(pair):
    _, comb = pair
    before = comb.axfr()
    comb.settings = 'no-such-setting = 1;'
    comb.configure()
    comb.signal(signal.SIGHUP)
    h.wait_for(lambda: reloaded(comb, "daemon-reload-failed"), message="refusal logged")
    assert "no-such-setting" in comb.log_text()
    assert set(comb.axfr()) == set(before)
    assert comb.nsupdate(f"update add {h.ZONE} 10 DNSKEY {DNSKEY}").returncode == 0


def test_many_reloads_in_a_row_end_well(pair):
    _, comb = pair
    for _ in range(20):
        comb.signal(signal.SIGHUP)
        h.wait_for(lambda: comb.soa("msad.") is not None, message="served")
    assert comb.proc.poll() is None


def test_a_key_file_that_cannot_be_used_is_refused_too(pair):
    _, comb = pair
    before = comb.axfr()
    os.chmod(comb.dir + "/owner.secret", 0o644)
    comb.signal(signal.SIGHUP)
    h.wait_for(lambda: reloaded(comb, "daemon-reload-failed"), message="refusal logged")
    assert "owner.secret" in comb.log_text()
    assert set(comb.axfr()) == set(before)


def test_an_address_that_is_taken_is_tried_again_until_it_is_free(pair):
    _, comb = pair
    with socket.socket() as s:
        s.bind((h.address(), 5300))
        s.listen()
        with open(comb.conf) as f:
            text = f.read()
        h.write(comb.conf, text.replace("listen = ( {", f'listen = ( {{ address = "{s.getsockname()[0]}"; port = 5300; }}, {{'))
        comb.signal(signal.SIGHUP)
        h.wait_for(lambda: reloaded(comb, "reload-failed") >= 2, message="tried again")
        comb.signal(signal.SIGHUP)  # while it is at it: harmless
    h.wait_for(lambda: comb.soa("msad.") == 1000, message="served again")


def test_stop_while_a_reload_cannot_open_its_address(pair):
    _, comb = pair
    with socket.socket() as s:
        s.bind((h.address(), 5300))
        s.listen()
        with open(comb.conf) as f:
            text = f.read()
        h.write(comb.conf, text.replace("listen = ( {", f'listen = ( {{ address = "{s.getsockname()[0]}"; port = 5300; }}, {{'))
        comb.signal(signal.SIGHUP)
        h.wait_for(lambda: reloaded(comb, "reload-failed"), message="failure logged")
        t = time.monotonic()
        assert comb.stop() == 0
        assert time.monotonic() - t < 5
