# SPDX-License-Identifier: BSD-2-Clause
"""Commands that go to a daemon's control socket: what is asked, how answers are shown, and every way to get no answer."""
import json
import os
import subprocess

import pytest
from ctlharness import MSCTL, ROOT, FakeDaemon, good, msctl

EVIL = "a\x1b[31m\x07\r\n\x7f\x9b\u202eb"
EVIL_SHOWN = "a\\027[31m\\007\\013\\010\\127\\194\\155\\226\\128\\174b"


@pytest.fixture
def daemon(tmp_path):
    started = []

    def start(answer):
        d = FakeDaemon(tmp_path / f"s{len(started)}.sock", answer if callable(answer) else lambda request: answer)
        started.append(d)
        return d
    yield start
    for d in started:
        d.close()


def columns(line, heads):
    return [line.index(h) for h in heads]


PEER = {"identity": "msa.b.example.", "state": "operational", "state_for_s": 93784, "health": "green", "health_for_s": 5,
        "shared_zones": 1, "zones": [{"zone": "z.example.", "membership": "member"}], "host": "dns.msa.b.example.",
        "addresses": ["192.0.2.1:5399", "[2001:db8::1]:5399"], "key_tags": [4711], "located_for_s": 7, "discovery_error": "",
        "interval_s": 60, "transports": 1, "synchronization": 3, "capabilities": 5, "beat_received_s": 3, "beat_answered_s": None,
        "next_action": "heartbeat", "next_in_s": 57}


@pytest.mark.parametrize("words,args", [
    (["zone", "list"], {}), (["zone", "show", "z.example."], {"zone": "z.example."}), (["zone", "refresh", "z."], {"zone": "z."}),
    (["peer", "list"], {}), (["peer", "show", "msa.b."], {"identity": "msa.b."}), (["combiner", "list"], {}),
    (["combiner", "show", "z."], {"zone": "z."}), (["combiner", "diff", "z."], {"zone": "z."}),
    (["combiner", "retransfer", "z."], {"zone": "z."}), (["status"], {}),
    (["combiner", "retransfer", "z.", "force"], {"zone": "z.", "how": "force"}), (["combiner", "list", "held"], {"state": "held"}),
    (["combiner", "freeze", "z."], {"zone": "z."}), (["combiner", "thaw", "z."], {"zone": "z."}),
    (["combiner", "accept", "z."], {"zone": "z."}), (["combiner", "audit", "z."], {"zone": "z."}),
    (["combiner", "audit", "z.", "7"], {"zone": "z.", "from": "7"}),
    (["combiner", "drop", "z.", "msa.b."], {"zone": "z.", "originator": "msa.b."}),
    (["combiner", "drop", "z.", "*"], {"zone": "z.", "originator": "*"}),
])
def test_what_is_asked(daemon, words, args):
    d = daemon(good(None))
    r = msctl("--socket", d.path, *words)
    assert (r.code, r.out, r.err) == (0, "", "")
    command = " ".join(w for w in words if w not in args.values())
    assert d.requests == [{"cmd": command, "args": args}]


def test_peer_list_shows_the_important_columns_aligned_and_json_shows_all(daemon):
    other = dict(PEER, identity="m.c.", state="needed", addresses=[], key_tags=[], beat_received_s=None, discovery_error="URI: bogus")
    d = daemon(good([PEER, other]))
    lines = msctl("--socket", d.path, "peer", "list").out.splitlines()
    heads = lines[0].split()
    assert heads == ["identity", "state", "state_for_s", "health", "shared_zones", "addresses", "key_tags", "beat_received_s",
                     "next_action", "next_in_s", "discovery_error"]
    starts = columns(lines[0], ["identity", "state ", "state_for_s", "health", "shared_zones", "addresses", "key_tags",
                                "beat_received_s", "next_action", "next_in_s", "discovery_error"])
    cells = [[line[a:b].strip() for a, b in zip(starts, starts[1:] + [None])] for line in lines[1:]]
    assert cells[0] == ["msa.b.example.", "operational", "93784", "green", "1", "192.0.2.1:5399,[2001:db8::1]:5399", "4711", "3",
                        "heartbeat", "57", "-"]
    assert cells[1][0] == "m.c." and cells[1][5:8] == ["-", "-", "-"] and cells[1][10] == "URI: bogus"
    assert not any(line != line.rstrip() for line in lines)
    assert msctl("--json", "--socket", d.path, "peer", "list").json == [PEER, other]
    d = daemon(good([PEER]))
    assert "discovery_error" not in msctl("--socket", d.path, "peer", "list").out  # empty in every row


def test_zone_show_has_its_tables_below(daemon):
    d = daemon(good({"zone": "z.", "state": "working", "waiting_for": "", "earliest_expiration": 1700000000,
                     "group": [{"identity": "a.", "self": True, "contribution": {"version": 3}}, {"identity": "b.", "self": False}],
                     "keys": [], "cds": {"state": "closed", "not_met": "a peer's keys", "deep": {"x": {"y": {"z": {"q": 1}}}}}}))
    out = msctl("--socket", d.path, "zone", "show", "z.").out
    lines = out.splitlines()
    assert "zone:                z." in lines and "waiting_for:         -" in lines
    assert "earliest_expiration: 2023-11-14T22:13:20Z" in lines
    assert "keys:                -" in lines
    at = lines.index("group:")
    assert lines[at + 1].split()[:2] == ["identity", "self"] and lines[at + 2].split()[:2] == ["a.", "yes"]
    assert lines[at + 2].index("yes") == lines[at + 3].index("no") == lines[at + 1].index("self")
    assert "  not_met: a peer's keys" in lines


def test_records_stand_a_line_each(daemon):
    records = ["z. 60 IN DNSKEY 257 3 13 AAAA", "z. 60 IN DNSKEY 256 3 13 BBBB"]
    d = daemon(good({"zone": "z.", "notes": ["a note", "another"], "signers": [],
                     "contributions": [{"originator": "msa.b.", "type": "DNSKEY", "records": records}],
                     "served": {"DNSKEY": records, "CDS": []}}))
    lines = msctl("--socket", d.path, "combiner", "show", "z.").out.splitlines()
    for text in ("  " + "a note", "    " + records[0]):
        assert text in lines
    first = next(line for line in lines if line.startswith("  msa.b."))
    second = lines[lines.index(first) + 1]
    assert first.index("z. 60") == second.index("z. 60") and second.strip() == records[1]


def test_combiner_diff_reads_like_diff(daemon):
    data = [{"type": "DNSKEY", "owner": ["z. DNSKEY same", "z. DNSKEY gone"], "served": ["z. DNSKEY same", "z. DNSKEY new"]},
            {"type": "CDS", "owner": [], "served": ["z. CDS x"]}]
    d = daemon(good(data))
    lines = msctl("--socket", d.path, "combiner", "diff", "z.").out.splitlines()
    assert [line.split(None, 1) for line in lines] == [["change", "record"], ["-", "z. DNSKEY gone"], ["+", "z. DNSKEY new"],
                                                       ["+", "z. CDS x"]]
    assert msctl("--json", "--socket", d.path, "combiner", "diff", "z.").json == data
    assert msctl("--socket", daemon(good([])).path, "combiner", "diff", "z.").out == ""


def test_combiner_list_asks_until_it_has_all_zones(daemon):
    zones = [f"z{i:05}.example." for i in range(2500)]

    def answer(request):
        assert request["cmd"] == "combiner list" and request["args"].get("state") == "serving"
        after = request["args"].get("after", "")
        return good([{"zone": z, "state": "serving", "serial": 1} for z in zones if z > after][:1000])
    d = daemon(answer)
    r = msctl("--json", "--socket", d.path, "combiner", "list", "serving")
    assert r.code == 0 and [row["zone"] for row in r.json] == zones and len(d.requests) == 3
    d = daemon(answer)
    assert len(msctl("--socket", d.path, "combiner", "list", "serving").out.splitlines()) == 2501


def test_combiner_list_is_not_kept_busy_for_ever(daemon):
    """Whoever answers with the same full page again and again is asked twice."""
    page = good([{"zone": f"z{i}.", "state": "serving"} for i in range(1000)])
    d = daemon(page)
    r = msctl("--json", "--socket", d.path, "combiner", "list")
    assert r.code == 0 and len(d.requests) == 2
    rows = good([{"state": "serving"}] * 1000)
    d = daemon(rows)
    assert msctl("--socket", d.path, "combiner", "list").code == 0 and len(d.requests) == 1


def test_combiner_show_says_who_set_what_when_and_what_is_waited_for(daemon):
    d = daemon(good({"zone": "z.", "state": "serving", "waiting_for": "an operator: a version is held back, see msctl combiner accept",
                     "waiting_s": 12, "last_error": "it shrinks", "last_error_at": 1700000000,
                     "held": {"owner_serial": 7, "records": 3, "reason": "3 records instead of 900"},
                     "primaries": [{"address": "192.0.2.1:53", "transport": "tls", "tls": "x", "in_use": True}],
                     "signers": [{"address": "192.0.2.2:53", "transport": "dns", "key": "k.", "acknowledged": False, "tries": 2,
                                  "notified_serial": 9, "last_error": "no answer in time"}],
                     "contributions": [{"originator": "msa.b.", "type": "CDS", "set_by": "k.", "set_at": 1700000001, "records": ["z. 1 IN CDS x"]}]}))
    lines = msctl("--socket", d.path, "combiner", "show", "z.").out.splitlines()
    text = [" ".join(line.split()) for line in lines]
    assert "last_error_at: 2023-11-14T22:13:20Z" in text and "waiting_s: 12" in text
    assert "originator type set_by set_at records" in text and "msa.b. CDS k. 2023-11-14T22:13:21Z z. 1 IN CDS x" in text
    assert "reason: 3 records instead of 900" in text
    assert "192.0.2.2:53 dns k. 9 no 2 no answer in time" in text
    assert "192.0.2.1:53 tls - yes" in text


def test_combiner_audit_reads_like_a_log(daemon):
    d = daemon(good([{"seq": 1, "at": 1700000000, "who": "msad.", "originator": "msa.b.", "what": "DNSKEY 2 records"},
                     {"seq": 2, "at": 1700000001, "who": "operator", "what": "freeze"}]))
    lines = [" ".join(line.split()) for line in msctl("--socket", d.path, "combiner", "audit", "z.").out.splitlines()]
    assert lines == ["seq at who originator what", "1 2023-11-14T22:13:20Z msad. msa.b. DNSKEY 2 records",
                     "2 2023-11-14T22:13:21Z operator - freeze"]


def test_completion_offers_commands_states_and_zones(daemon, tmp_path):
    d = daemon(good([{"zone": "a.example.", "state": "serving"}, {"zone": "b.example.", "state": "serving"}]))
    (tmp_path / "msctl").write_text(f'#!/bin/sh\nexec "{MSCTL}" --socket "{d.path}" "$@"\n')
    (tmp_path / "msctl").chmod(0o755)

    def complete(*words):
        script = (f'source "{ROOT}/tools/msctl/msctl.bash"; COMP_WORDS=(msctl "$@"); COMP_CWORD=$#; _msctl; '
                  'printf "%s\\n" "${COMPREPLY[@]}"')
        p = subprocess.run(["bash", "-c", script, "bash", *words], capture_output=True, text=True, timeout=30,
                           env=dict(os.environ, PATH=f"{tmp_path}:{os.environ['PATH']}"))
        assert p.stderr == ""
        return p.stdout.split()
    assert complete("co") == ["combiner", "conf"]
    assert complete("combiner", "") == ["list", "show", "diff", "retransfer", "freeze", "thaw", "accept", "audit", "drop"]
    assert complete("--json", "combiner", "t") == ["thaw"]
    assert complete("combiner", "list", "f") == ["frozen", "failing"]
    assert complete("combiner", "freeze", "b") == ["b.example."]
    assert "--timeout" in complete("--t")


# --- nothing that the other side says reaches the terminal as it is (ctlharness looks at every octet) ---


@pytest.mark.parametrize("data", [EVIL, [EVIL], {EVIL: EVIL}, [{EVIL: EVIL}], {"x": [{EVIL: [EVIL]}]}, {"x": {EVIL: [EVIL, "b c"]}},
                                  {"x": {"y": [EVIL]}}])
@pytest.mark.parametrize("json_too", [[], ["--json"]])
def test_control_characters_are_escaped(daemon, data, json_too):
    r = msctl(*json_too, "--socket", daemon(good(data)).path, "zone", "refresh", "z.")  # no columns chosen
    assert r.code == 0
    if json_too:
        assert r.json == data
    else:
        assert EVIL_SHOWN in r.out


def test_control_characters_in_a_refusal_are_escaped(daemon):
    d = daemon(json.dumps({"ok": False, "error": "EREFUSED", "why": EVIL}).encode() + b"\n")
    r = msctl("--socket", d.path, "zone", "list")
    assert r.code == 1 and EVIL_SHOWN in r.err


@pytest.mark.parametrize("data", [True, 7, -1.5, "word", None, [], {}, [[]], [[1, [2]]], [1, {"a": 1}], [{"a": 1}, 2], [{}], [{"a": {}}],
                                  {"a": [[]]}, {"a": None, "epoch": -1, "last_ok": 0}, [{"k" * 5000: "v" * 50000}],
                                  {"a": {"b": {"c": {"d": {"e": {"f": {"g": 1}}}}}}}, [{str(i): i for i in range(100)}]])
def test_any_shape_of_data_is_shown_somehow(daemon, data):
    for args in ([], ["--json"]):
        r = msctl(*args, "--socket", daemon(good(data)).path, "zone", "list")
        assert r.code == 0 and r.err == ""
        if args and data is not None:
            assert r.json == data


# --- no, nobody, nonsense ---


@pytest.mark.parametrize("error", ["ENOTFOUND", "EREFUSED", "ESTATE", "EBUSY", "ENOMEM"])
def test_the_daemon_says_no(daemon, error):
    d = daemon(json.dumps({"ok": False, "error": error, "why": "zone x. is not known here"}).encode() + b"\n")
    r = msctl("--socket", d.path, "zone", "show", "x.")
    assert (r.code, r.out) == (1, "") and r.err == "msctl: zone show: zone x. is not known here\n"


def test_no_socket(tmp_path):
    r = msctl("--socket", tmp_path / "none.sock", "zone", "list")
    assert (r.code, r.out) == (3, "")
    assert f"{tmp_path}/none.sock: No such file or directory" in r.err and "is the daemon running?" in r.err


def test_nobody_listens_any_more(daemon):
    d = daemon(None)
    d.close()
    r = msctl("--socket", d.path, "zone", "list")
    assert (r.code, r.out) == (3, "") and "refused" in r.err


def test_a_path_that_is_no_socket(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path, "", tmp_path / ("x" * 200)):
        r = msctl("--socket", path, "zone", "list")
        assert (r.code, r.out) == (3, "") and r.err


@pytest.mark.parametrize("answer", [b"", b"\n", b"garbage\n", b"[]\n", b"{}\n", b'{"ok":1}\n', b'{"ok":true', b"\0\0\0\n", b"\xff\xfe\n",
                                    b'{"ok":true}{"ok":true}\n', b"[" * 100000 + b"\n", b'{"ok":false}\n', b"HTTP/1.1 400 Bad Request\r\n"])
def test_garbage_is_not_taken_for_an_answer(daemon, answer):
    r = msctl("--socket", daemon(answer).path, "zone", "list")
    assert r.code == 3 and not r.out and r.err


def test_a_huge_answer_is_shown(daemon):
    rows = [{"zone": f"zone{i}.example.", "state": "in-sync", "serial": i} for i in range(20000)]
    r = msctl("--socket", daemon(good(rows)).path, "zone", "list")
    assert r.code == 0 and len(r.out.splitlines()) == 20001


def test_an_endless_answer_is_given_up(daemon):
    r = msctl("--socket", daemon(b"x" * (20 << 20)).path, "--timeout", "20", "zone", "list")
    assert r.code == 1 and not r.out and "limit" in r.err


def test_a_silent_daemon_is_waited_for_no_longer_than_asked(daemon):
    for answer in (None, b'{"ok":true,'):
        d = daemon(lambda request, a=answer: a)
        r = msctl("--socket", d.path, "--timeout", "1", "zone", "list")
        assert r.code == 3 and not r.out and r.seconds < 5


def test_status_of_all_daemons_is_labelled():
    """The default sockets are the machine's own; whatever runs here, each daemon has its part."""
    r = msctl("--json", "status")
    running = [os.path.exists(f"/run/{d}/control.sock") for d in ("msad", "combinerd", "parentd")]
    assert list(r.json) == ["msad", "combinerd", "parentd"]
    assert r.code == (0 if any(running) else 3)
    for name, is_there in zip(r.json, running):
        assert ("error" in r.json[name]) == (not is_there)
    text = msctl("status").out.splitlines()
    assert "msad:" in text and "combinerd:" in text and "parentd:" in text
