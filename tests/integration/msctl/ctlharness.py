# SPDX-License-Identifier: BSD-2-Clause
"""msctl as a subprocess, and what it talks to: a control socket, a name server, a signing responder."""
import json
import os
import pathlib
import re
import shutil
import socket
import struct
import subprocess
import threading
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
BUILD = ROOT / os.environ.get("MSP_BUILD", "build/release")
MSCTL = BUILD / "tools" / "msctl" / "msctl"
SIG0TOOL = BUILD / "tests" / "sig0tool"
LIMIT_S = 30
PRINTABLE = re.compile(rb"[\x20-\x7e\n]*\Z")


class Result:
    def __init__(self, p, seconds):
        self.code, self.seconds = p.returncode, seconds
        # Whatever the other side said: nothing that a terminal would act on comes out.
        assert PRINTABLE.match(p.stdout), p.stdout
        assert PRINTABLE.match(p.stderr), p.stderr
        self.out, self.err = p.stdout.decode(), p.stderr.decode()

    @property
    def json(self):
        return json.loads(self.out)


def msctl(*args):
    start = time.monotonic()
    p = subprocess.run([str(MSCTL), *map(str, args)], capture_output=True, timeout=LIMIT_S, stdin=subprocess.DEVNULL)
    return Result(p, time.monotonic() - start)


def wait_for(condition, what):
    end = time.monotonic() + LIMIT_S
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            pytest.fail(f"waited {LIMIT_S} s for: {what}")
        time.sleep(0.05)


def free_port(address):
    """Free for UDP and TCP."""
    for _ in range(100):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as t, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as u:
            t.bind((address, 0))
            try:
                u.bind((address, t.getsockname()[1]))
            except OSError:
                continue
            return t.getsockname()[1]
    pytest.fail("no free port")


class FakeDaemon:
    """A control socket whose answer is `answer(request)`: octets, None for silence."""

    def __init__(self, path, answer):
        self.path, self.answer, self.requests, self.conns = str(path), answer, [], []
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.bind(self.path)
        self.sock.listen()
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                conn, _ = self.sock.accept()
            except OSError:
                return
            self.conns.append(conn)
            threading.Thread(target=self.serve, args=(conn,), daemon=True).start()

    def serve(self, conn):
        line = conn.makefile("rb").readline()
        self.requests.append(json.loads(line))
        answer = self.answer(self.requests[-1])
        try:
            if answer is not None:
                conn.sendall(answer)
                conn.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def close(self):
        if self.sock.fileno() >= 0:
            self.sock.shutdown(socket.SHUT_RDWR)  # wakes the thread, which holds the socket open
            self.sock.close()
        for conn in self.conns:
            conn.close()


def good(data):
    return json.dumps({"ok": True, "data": data}).encode() + b"\n"


class Responder:
    """UDP and TCP; handler(wire, "udp" or "tcp") gives the answer's octets, or None."""

    def __init__(self, address, handler):
        self.address, self.port, self.handler, self.requests = address, free_port(address), handler, []
        self.closing = False
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind((address, self.port))
        self.tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.tcp.bind((address, self.port))
        self.tcp.listen()
        threading.Thread(target=self.run_udp, daemon=True).start()
        threading.Thread(target=self.run_tcp, daemon=True).start()

    def answer(self, wire, how):
        self.requests.append((how, wire))
        return self.handler(wire, how)

    def run_udp(self):
        while True:
            try:
                wire, peer = self.udp.recvfrom(65535)
            except OSError:
                return
            if self.closing:
                return
            answer = self.answer(wire, "udp")
            if answer is not None:
                self.udp.sendto(answer, peer)

    def run_tcp(self):
        while True:
            try:
                conn, _ = self.tcp.accept()
            except OSError:
                return
            with conn, conn.makefile("rb") as stream:
                head = stream.read(2)
                if len(head) < 2:
                    continue
                answer = self.answer(stream.read(struct.unpack("!H", head)[0]), "tcp")
                if answer is not None:
                    conn.sendall(struct.pack("!H", len(answer)) + answer)

    @property
    def where(self):
        return [f"@{self.address}", "--port", self.port]

    def close(self):
        self.closing = True
        for s in (self.udp, self.tcp):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()


def sig0(*args, stdin):
    return subprocess.run([str(SIG0TOOL), *map(str, args)], input=stdin, capture_output=True, timeout=LIMIT_S)


def program(name):
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    assert path is not None, f"{name} is not installed"
    return path


class Knot:
    """knotd with zone files; zones maps a name to its text, or to None: configured, never loaded."""

    def __init__(self, directory, address, zones):
        self.address, self.port = address, free_port(address)
        conf = directory / "knot.conf"
        text = f"""
server:
    listen: {address}@{self.port}
    rundir: "{directory}"
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
log:
  - target: stderr
    any: info
database:
    storage: "{directory}/db"
zone:
"""
        for name, body in zones.items():
            text += f"  - domain: {name}\n    storage: \"{directory}\"\n    file: {name}zone\n"
            if body is not None:
                (directory / f"{name}zone").write_text(body)
        conf.write_text(text)
        self.log = open(directory / "knot.log", "wb")
        self.p = subprocess.Popen([program("knotd"), "-c", str(conf)], stdout=self.log, stderr=subprocess.STDOUT,
                                  stdin=subprocess.DEVNULL)

    @property
    def where(self):
        return [f"@{self.address}", "--port", self.port]

    def close(self):
        self.p.terminate()
        try:
            self.p.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            self.p.kill()
            self.p.wait()
        self.log.close()
