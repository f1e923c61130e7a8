# SPDX-License-Identifier: BSD-2-Clause
"""SIG(0) against BIND's nsupdate and Perl's Net::DNS::SEC. PROTOCOL C.1 to C.4."""
import socket
import struct
import subprocess
import threading

import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.update
import pytest
from authlab import HERE, LIMIT_S, need, read_frame

ALGORITHMS = {8: "RSASHA256", 13: "ECDSAP256SHA256", 14: "ECDSAP384SHA384", 15: "ED25519", 16: "ED448"}
SIG0_RR_MIN = 11 + 18 + 1 + 64


def bind_key(directory, number, name="child.parent.example."):
    size = ["-b", "2048"] if number == 8 else []
    out = subprocess.run([need("dnssec-keygen"), "-q", "-a", ALGORITHMS[number], *size, "-T", "KEY", "-n", "HOST",
                          "-K", str(directory), name], capture_output=True, check=True, text=True, timeout=LIMIT_S)
    return f"{directory}/{out.stdout.strip()}.private"


def public(private):
    return private.removesuffix(".private") + ".key"


class Listener(threading.Thread):
    """Takes one message over UDP or TCP, keeps it, answers with what `answer` makes of it."""

    def __init__(self, tcp, answer):
        super().__init__(daemon=True)
        self.tcp, self.answer, self.request = tcp, answer, None
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM)
        self.sock.settimeout(LIMIT_S)
        self.sock.bind(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        if tcp:
            self.sock.listen()
        self.start()

    def run(self):
        if not self.tcp:
            self.request, peer = self.sock.recvfrom(65535)
            self.sock.sendto(self.answer(self.request), peer)
            return
        conn, _ = self.sock.accept()
        conn.settimeout(LIMIT_S)
        with conn, conn.makefile("rb") as stream:
            self.request = read_frame(stream)
            reply = self.answer(self.request)
            conn.sendall(struct.pack("!H", len(reply)) + reply)

    def wait(self):
        self.join(LIMIT_S)
        self.sock.close()
        assert self.request is not None, "nothing received"
        return self.request


def bare_answer(request):
    """Header and zone section of a NOERROR answer."""
    end = 12
    while request[end] != 0:
        end += 1 + request[end]
    return request[:2] + bytes([request[2] | 0x80, 0]) + b"\0\1" + bytes(6) + request[12:end + 5]


def nsupdate(private, port, tcp):
    script = f"server 127.0.0.1 {port}\nzone parent.example.\n" \
             "update delete child.parent.example. NS\n" \
             "update add child.parent.example. 3600 NS ns1.child.parent.example.\n" \
             "update add ns1.child.parent.example. 3600 AAAA 2001:db8::53\nsend\n"
    return subprocess.run([need("nsupdate"), "-k", private, "-t", str(LIMIT_S), *(["-v"] if tcp else [])],
                          input=script, text=True, capture_output=True, timeout=LIMIT_S)


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
@pytest.mark.parametrize("maker", ["bind", "ours"])
@pytest.mark.parametrize("number", ALGORITHMS)
def test_updates_signed_by_nsupdate_verify(tool, tmp_path, number, maker, tcp):
    """With BIND's key files, and with ours, which BIND must be able to read."""
    if maker == "bind":
        private = bind_key(tmp_path, number)
    else:
        private = tool.keygen("child.parent.example.", ALGORITHMS[number], tmp_path)
    request_file = tmp_path / "request"

    def answer(request):  # signed by the same key: nsupdate must at least live with it
        request_file.write_bytes(request)
        return tool.sign(private, bare_answer(request), "-r", request_file)

    listener = Listener(tcp, answer)
    result = nsupdate(private, listener.port, tcp)
    request = listener.wait()
    assert result.returncode == 0, result.stderr
    assert (request[2] >> 3 & 15) == dns.opcode.UPDATE
    ok, text = tool.verify(public(private), request)
    assert ok, text
    assert text.startswith(f"child.parent.example. {ALGORITHMS[number]} ")
    for at in (0, 20, len(request) // 2, len(request) - 1):
        changed = bytearray(request)
        changed[at] ^= 1
        assert not tool.verify(public(private), bytes(changed))[0]


def test_a_signature_by_another_key_of_the_same_name_is_refused(tool, tmp_path):
    mine, other = (bind_key(tmp_path, 15) for _ in range(2))
    listener = Listener(False, bare_answer)
    assert nsupdate(mine, listener.port, False).returncode == 0
    assert tool.verify(public(other), listener.wait()) == (False, "ENOKEY")


# --- Net::DNS::SEC ---


def perl(*args, stdin=b""):
    command = [need("perl"), str(HERE / "netdns.pl"), *map(str, args)]
    return subprocess.run(command, input=stdin, capture_output=True, timeout=LIMIT_S)


@pytest.fixture(scope="module", autouse=True)
def net_dns_sec():
    if subprocess.run([need("perl"), "-MNet::DNS::SEC", "-e", "1"], capture_output=True).returncode != 0:
        pytest.skip("Net::DNS::SEC is not installed")


def update_message():
    update = dns.update.Update("parent.example.")
    update.delete("child", "NS")
    update.add("child", 3600, "NS", "ns1.child.parent.example.")
    update.add("ns1.child", 3600, "A", "192.0.2.53")
    return update.to_wire()


@pytest.mark.parametrize("number", ALGORITHMS)
@pytest.mark.parametrize("kind", ["update", "edns-query"])
def test_our_requests_verify_in_perl(tool, tmp_path, number, kind):
    private = bind_key(tmp_path, number)
    if kind == "update":
        message = update_message()
    else:
        query = dns.message.make_query("child.parent.example.", "KEY", use_edns=0, payload=1232,
                                       options=[dns.edns.GenericOption(65002, bytes.fromhex("56770200"))])
        message = query.to_wire()
    signed = tool.sign(private, message)
    assert len(signed) >= len(message) + SIG0_RR_MIN
    result = perl("verify", public(private), stdin=signed)
    assert result.stdout == b"ok\n", result.stdout + result.stderr
    changed = bytearray(signed)
    changed[-1] ^= 1
    assert perl("verify", public(private), stdin=bytes(changed)).stdout != b"ok\n"


@pytest.mark.parametrize("number", ALGORITHMS)
def test_requests_signed_by_perl_verify(tool, tmp_path, number):
    private = bind_key(tmp_path, number)
    result = perl("update", private, "parent.example")
    assert result.returncode == 0, result.stderr
    ok, text = tool.verify(public(private), result.stdout)
    assert ok, text
    changed = bytearray(result.stdout)
    changed[30] ^= 1
    assert not tool.verify(public(private), bytes(changed))[0]


def test_keys_saved_by_us_are_read_by_perl(tool, tmp_path):
    for number in ALGORITHMS:
        private = tool.keygen("child.parent.example.", ALGORITHMS[number], tmp_path)
        result = perl("update", private, "parent.example")
        assert result.returncode == 0, result.stderr
        ok, text = tool.verify(public(private), result.stdout)
        assert ok, text


def test_responses_of_perl_leave_the_request_out_and_need_compat(tool, tmp_path):
    private = bind_key(tmp_path, 15)
    request = tool.sign(private, update_message())
    request_file = tmp_path / "request"
    request_file.write_bytes(request)
    signed = perl("sign", private, stdin=bare_answer(request)).stdout
    assert tool.verify(public(private), signed, "-r", request_file) == (False, "ESIG")
    assert tool.verify(public(private), signed, "-r", request_file, "-c")[0]
    # Ours covers the request, as RFC 2931 says; compat mode takes it, too.
    ours = tool.sign(private, bare_answer(request), "-r", request_file)
    assert tool.verify(public(private), ours, "-r", request_file)[0]
    assert tool.verify(public(private), ours, "-r", request_file, "-c")[0]
    assert tool.verify(public(private), ours) == (False, "ESIG")


def test_time_outside_the_window_is_refused(tool, tmp_path):
    private = bind_key(tmp_path, 15)
    signed = tool.sign(private, update_message(), "-t", 1795492800)
    for offset, want in ((0, True), (-310, True), (310, True), (-311, False), (311, False)):
        ok, text = tool.verify(public(private), signed, "-t", 1795492800 + offset)
        assert ok == want, (offset, text)
        if not want:
            assert text == "ETIME"
