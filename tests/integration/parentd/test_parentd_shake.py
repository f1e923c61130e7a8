# SPDX-License-Identifier: BSD-2-Clause
"""Stops, kills and reloads with other settings while everything is under way: nothing accepted is lost, no memory is misused."""

import os
import random
import signal
import socket
import sys
import time

import parent as h

ROUNDS = int(os.environ.get("MSP_SHAKE_ROUNDS", "12"))
CHILDREN = 6
POLICY = dict(checks=True, check_tries=3, sources=["update", "cds", "csync", "dsboot", "operator"], bootstrap=["at-apex", "at-ns", "unsigned", "manual"],
              bootstrap_retry=1, scan_retry=["1", "1", "1", "1"])


class Mute:
    """Takes connections, and never says anything."""

    def __init__(self, addr):
        self.addr = addr

    def start(self):
        self.s = socket.create_server((self.addr, 5353), backlog=512)
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        return self

    def stop(self):
        self.s.close()
        self.udp.close()


def backend(d, name, kind):
    return {
        "file": f'{{ name = "{name}"; kind = "file"; path = "{d}/{name}"; retry = 1; retry-max = 1; }}',
        "slow": f'{{ name = "{name}"; kind = "file"; path = "{d}/{name}"; command = [ "/bin/sleep", "0.3" ]; retry = 1; }}',
        "stuck": f'{{ name = "{name}"; kind = "hook"; command = [ "/bin/sleep", "600" ]; timeout = 2; retry = 1; }}',
        "hook": f'{{ name = "{name}"; kind = "hook"; command = [ "/bin/true" ]; retry = 1; }}',
        "down": f'{{ name = "{name}"; kind = "update"; address = "127.0.0.1"; port = 1; tsig-key = "k."; retry = 1; }}',
    }[kind]


SETS = (["file"], ["slow", "stuck"], ["down"], [], ["hook", "file", "down"], ["stuck"], ["file", "hook"])


def settle(p, which):
    p.parent_settings = "backends = ( " + ", ".join(backend(p.dir, f"b{i}", k) for i, k in enumerate(which)) + " );" if which else ""
    p.configure()


def test_nothing_is_lost_and_nothing_breaks_whatever_ends_when(servers, base):
    rnd = random.Random(int(os.environ.get("MSP_SHAKE_SEED", "4")))
    mute = servers(Mute(h.address())).start()
    secret = os.path.join(str(base), "k.secret")
    h.write(secret, "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0")
    os.chmod(secret, 0o600)
    p = servers(h.Parentd(base, policy=dict(POLICY, checks=False), limits=dict(sweep=1, sync_limit_ms=200), settings=(
        "probe-port = 5353; probe-ipv6 = false; probe-timeout = 1; resolver = { root-servers = [ \"" + mute.addr + "\" ]; timeout = 1; };\n"
        f'tsig-keys = ( {{ name = "k."; algorithm = "hmac-sha256"; secret-file = "{secret}"; }} );')))
    settle(p, ["file"])
    p.start()
    keys = {}
    for n in range(CHILDREN):
        name = f"c{n}.example."
        keys[name] = h.ChildKey(name)
        p.add_child(name, [f"{name} 300 NS ns.{name}", f"{name} 300 NS ns.two.test.", f"ns.{name} 300 A {mute.addr}"], keys=[keys[name]])
    accepted = {}
    for turn in range(ROUNDS):
        for name, key in keys.items():
            if rnd.random() < 0.7:
                ns = [f"ns{turn}.{name[:-1]}.test.", "ns.two.test."]
                a = p.update(key, h.replace_ns(name, ns))
                if a is not None and a.rcode == "NOERROR":
                    accepted[name] = sorted(ns)
            else:
                other = h.ChildKey(name)
                p.upload(other)  # a bootstrap that never ends
            p.notify(name, rnd.choice(["CDS", "CSYNC"]))
            p.ctl("parent scan", child=name)
        time.sleep(rnd.random() * 0.4)
        for _ in range(rnd.randrange(3)):
            settle(p, rnd.choice(SETS))
            p.proc.send_signal(signal.SIGHUP)
            time.sleep(rnd.random() * 0.2)
        if rnd.random() < 0.4:
            p.kill9()
            p.start()
        elif rnd.random() < 0.6:
            began = time.monotonic()
            assert p.stop() == 0
            assert time.monotonic() - began < 5 * (4 if "asan" in h.BUILD else 1), "the stop waited for somebody"
            p.start()
        for name, ns in accepted.items():
            assert p.ns(name) == ns, f"round {turn}"
        assert len(os.listdir(f"/proc/{p.proc.pid}/fd")) < 200
    settle(p, ["file"])
    p.reload()

    def in_file():
        with open(f"{p.dir}/b0") as f:
            lines = [line.split() for line in f if line[0] != ";"]
        return {name: sorted(x[4] for x in lines if x[0] == name and x[3] == "NS") for name in accepted} == accepted

    h.wait_for(in_file, message="what was accepted is in the file")
    h.wait_for(lambda: p.ctl("parent children", state="unpublished")["rows"] == [], message="published")
    assert p.stop() == 0
