# SPDX-License-Identifier: BSD-2-Clause
"""One network namespace per host, all on one bridge that sits in a namespace of its own."""
import os
import signal
import subprocess

PREFIX = "msplab-"
SWITCH = PREFIX + "switch"


class CommandFailed(Exception):
    """A command that had to work did not; the text has its own words."""


def run(*argv, check=True, **kw):
    done = subprocess.run(argv, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kw)
    if check and done.returncode != 0:
        raise CommandFailed(f"{' '.join(argv)}: exit {done.returncode}: {(done.stderr or done.stdout).strip()[-500:]}")
    return done


def ns(host):
    return PREFIX + host


def existing():
    out = run("ip", "netns", "list").stdout
    return [line.split()[0] for line in out.splitlines() if line.startswith(PREFIX)]


def switch_up():
    run("ip", "netns", "add", SWITCH)
    run("ip", "-n", SWITCH, "link", "set", "lo", "up")
    run("ip", "-n", SWITCH, "link", "add", "br0", "type", "bridge")
    run("ip", "-n", SWITCH, "link", "set", "br0", "up")


def host_up(host, index, addresses):
    port = f"v{index}"
    run("ip", "netns", "add", ns(host))
    run("ip", "-n", ns(host), "link", "set", "lo", "up")
    run("ip", "link", "add", port, "netns", SWITCH, "type", "veth", "peer", "name", "eth0", "netns", ns(host))
    run("ip", "-n", SWITCH, "link", "set", port, "master", "br0", "up")
    for a in addresses:
        run("ip", "-n", ns(host), "addr", "add", f"{a}/16", "dev", "eth0")
    run("ip", "-n", ns(host), "link", "set", "eth0", "up")


def cut(host, up):
    """Take a host off the network, or put it back."""
    run("ip", "-n", ns(host), "link", "set", "eth0", "up" if up else "down")


def pids(host):
    out = run("ip", "netns", "pids", ns(host), check=False).stdout
    return [int(p) for p in out.split()]


def down():
    names = existing()
    for name in names:
        for pid in run("ip", "netns", "pids", name, check=False).stdout.split():
            try:
                os.kill(int(pid), signal.SIGKILL)
            except ProcessLookupError:
                pass
    for name in names:
        run("ip", "netns", "del", name, check=False)


def enter(host, argv, **kw):
    """Run a command on a host and return it finished."""
    return run("ip", "netns", "exec", ns(host), *argv, **kw)


def popen(host, argv, log):
    """Start a long-lived program on a host; its output goes to the log file. Returns its process id."""
    with open(log, "ab") as f:
        p = subprocess.Popen(["ip", "netns", "exec", ns(host), *argv], stdout=f, stderr=subprocess.STDOUT,
                             stdin=subprocess.DEVNULL, start_new_session=True)
    return p.pid
