# SPDX-License-Identifier: BSD-2-Clause
"""Stopping in the middle of things: quickly, cleanly, with nothing leaked (the sanitizers look)."""

import signal
import socket
import struct
import time

import dns.message
import dns.rrset

import cmbharness as h
from test_combinerd_transparency import big_zone


def stalled_transfer(comb):
    """Asks for the zone and never reads."""
    q = dns.message.make_query(h.ZONE, "AXFR")
    q.use_tsig(h.KEYRING, "signer.")
    wire = q.to_wire()
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.connect((comb.addr, comb.port))
    s.sendall(struct.pack("!H", len(wire)) + wire)
    return s


def test_stop_with_transfers_under_way(servers, base):
    owner = servers(h.Nsd(base, "owner", big_zone("nsd", 150_000)))
    comb = servers(h.Combinerd(base, [owner.where()]))
    owner.start()
    comb.start(wait=False)
    h.wait_for(lambda: comb.soa("msad."), 30)
    socks = [stalled_transfer(comb) for _ in range(5)]
    h.wait_for(lambda: comb.ctl("status")["transfers_out_now"] >= 1, message="a transfer is under way")
    t = time.monotonic()
    comb.signal(signal.SIGTERM)
    rc = comb.join(15)
    assert rc == 0, comb.log_text()[-3000:]
    assert time.monotonic() - t < 5
    for s in socks:
        s.close()
    comb.start()
    assert comb.soa("msad.") == 1


def test_stalled_readers_are_cut_off_after_the_time_allowed(servers, base):
    owner = servers(h.Nsd(base, "owner", big_zone("nsd", 150_000)))
    comb = servers(h.Combinerd(base, [owner.where()], settings="stall-max = 2; transfer-out-max = 2; transfers-out-max = 3;"))
    owner.start()
    comb.start(wait=False)
    h.wait_for(lambda: comb.soa("msad."), 30)
    socks = [stalled_transfer(comb) for _ in range(3)]
    h.wait_for(lambda: comb.ctl("status")["transfers_out_now"] == 3)
    q = dns.message.make_query(h.ZONE, "AXFR")
    q.use_tsig(h.KEYRING, "signer.")
    assert dns.query.tcp(q, comb.addr, port=comb.port, timeout=3).rcode() == 2  # no more at a time
    h.wait_for(lambda: comb.ctl("status")["transfers_out_now"] == 0, 30, message="given up")
    assert len(comb.axfr()) > 140_000
    for s in socks:
        s.close()


def test_configuration_errors_are_told(servers, base):
    import subprocess
    comb = h.Combinerd(base, [("127.0.0.1", 9)])
    text = open(comb.conf).read()
    assert subprocess.run([h.COMBINERD, "-c", comb.conf, "-n"], capture_output=True).returncode == 0
    for old, new, want in (('tsig-key = "msad."', 'tsig-key = "nobody."', "nobody."), ("refresh-min = 1;", "refresh-min = 0;", "refresh-min"),
                           ("refresh-min = 1;", 'extra-types = [ "TXT" ];', "TXT"), ("refresh-min = 1;", "no-such-setting = 1;", "no-such-setting")):
        h.write(comb.conf, text.replace(old, new))
        r = subprocess.run([h.COMBINERD, "-c", comb.conf, "-n"], capture_output=True, text=True)
        assert r.returncode == 1 and want in r.stderr + r.stdout, (old, r)
