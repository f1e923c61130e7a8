#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Writes rr-bind.txt: TYPE<TAB>presentation<TAB>hex of the uncompressed RDATA, as BIND's named-rrchecker reads and prints
them. For the types that dnspython does not know, and for a second opinion on the others.

Run once: ./make-rr-bind.py > rr-bind.txt
"""
import subprocess
import sys

B64 = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="
HEX = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

INPUT = {
    "A": ["192.0.2.1"], "NS": ["ns1.Example.", r"\000\255.example."], "MD": ["m.example."], "MF": ["m.example."],
    "CNAME": ["c.example."], "SOA": ["a. b. 1 1h30m 2w 4 5"], "MB": ["m.example."], "MG": ["m.example."], "MR": ["m.example."],
    "NULL": [r"\# 3 abcdef"], "PTR": ["p.example."], "HINFO": ["a b"], "MINFO": ["a. b."], "MX": ["10 a."],
    "TXT": ['"a b""c" d', r'"\000\001\255\"\\;"', r"a\ b \; \"", '""'], "RP": ["a. b."], "AFSDB": ["1 a."], "X25": ["311061700956"],
    "ISDN": ['"150862028003217" "004"', "150862028003217"], "RT": ["1 a."], "NSAP": ["0x47.0005.80"], "NSAP-PTR": ["a."],
    "SIG": ["TYPE0 15 0 0 20261124041015 20261124040301 22135 child.parent.example. " + B64], "KEY": ["512 3 15 " + B64, "49152 3 0"],
    "PX": ["1 a. b."], "GPOS": ["1 2 3"], "AAAA": ["2001:db8::1", "::ffff:192.0.2.1"], "EID": ["0102"], "NIMLOC": ["0102"],
    "SRV": ["1 2 3 a."], "NAPTR": ['1 2 "u" "E2U+sip" "!^.*$!sip:info@example.com!" .'], "KX": ["1 a."],
    "CERT": ["PGP 1 ED25519 " + B64, "URI 0 0 " + B64], "DNAME": ["a."], "APL": ["1:192.168.32.0/21 !2:2001:db8::/32", ""],
    "DS": ["1 RSASHA256 2 " + HEX], "SSHFP": ["1 2 " + HEX],
    "IPSECKEY": ["10 3 2 gw.example. " + B64, "10 0 2 . " + B64, "10 1 2 192.0.2.1 " + B64, "10 2 2 2001:db8::1 " + B64],
    "RRSIG": ["DNSKEY 13 2 3600 20261201000000 20261124000000 1 example. " + B64], "NSEC": ["b.example. A TYPE65282 URI"],
    "DNSKEY": ["257 3 13 " + B64], "DHCID": [B64], "NSEC3": ["1 0 0 - 2vptu5timamqttgl4luu9kg21e0aor3s A", "1 1 5 ab 2vptu5timamqttgl4luu9kg21e0aor3s"],
    "NSEC3PARAM": ["1 0 5 ab"], "TLSA": ["3 1 1 " + HEX], "SMIMEA": ["3 1 1 " + HEX], "HIP": ["2 2001 AQID a. b.", "2 2001 AQID"],
    "NINFO": ["a"], "RKEY": ["0 3 8 " + B64], "TALINK": ["a. b."], "CDS": ["0 0 0 00"], "CDNSKEY": ["0 3 0 AA=="], "OPENPGPKEY": [B64],
    "CSYNC": ["66 3 A NS AAAA"], "ZONEMD": ["1 1 1 " + HEX + HEX[:32]],
    "SVCB": ["1 . port=1", "1 . mandatory=alpn,port alpn=h2 port=1 key65282=\"a b\"", r'1 f. alpn="f\\\\oo\\,bar,h2"', "0 a.",
             "1 . ech=" + B64 + " ipv6hint=2001:db8::1 no-default-alpn alpn=h3", r'1 f. key667="hello\210qoo"', "1 . dohpath=/q{?dns}"],
    "HTTPS": ["1 . alpn=h2"], "DSYNC": ["ANY 2 5302 a.", "CDS NOTIFY 5300 a."], "SPF": ["a"], "UINFO": [r"\# 1 01"], "UID": [r"\# 1 01"],
    "GID": [r"\# 1 01"], "UNSPEC": [r"\# 1 01"], "NID": ["1 0014:4fff:ff20:ee64"], "L32": ["1 10.0.0.1"], "L64": ["1 2001:0db8:1140:1000"],
    "LP": ["1 a."], "EUI48": ["00-00-5e-00-53-2a"], "EUI64": ["00-00-5e-ef-10-00-00-2a"], "URI": ['10 1 "https://a.example/\\"\\\\"'],
    "CAA": ['0 issue "ca.example"', '128 tbs "Unknown"', r'0 issue "\255"'], "AVC": ["a"], "DOA": ['0 1 2 "text/plain" ' + B64, '4294967295 1 2 "" -'],
    "AMTRELAY": ["10 1 2 2001:db8::15", "10 0 3 a.", "0 0 0 ."], "RESINFO": ["qnamemin exterr=15-17"], "WALLET": ["a b"],
    "TA": ["1 8 2 " + HEX], "DLV": ["1 8 2 " + HEX],
}


def check(option, mnemonic, text):
    run = subprocess.run(["named-rrchecker", option, "-o", "."], input=f"IN {mnemonic} {text}\n", capture_output=True, text=True)
    return run.stdout.strip() if run.returncode == 0 else None


def main():
    print("# Made by make-rr-bind.py with BIND's named-rrchecker. TYPE<TAB>presentation<TAB>hex")
    for mnemonic, lines in INPUT.items():
        for text in lines:
            generic, own = check("-u", mnemonic, text), check("-p", mnemonic, text)
            if generic is None or own is None:
                print(f"refused: {mnemonic} {text}", file=sys.stderr)
                continue
            hexed = "".join(generic.split("\\#", 1)[1].split()[1:]).lower()
            own = own.split("\t", 2)[2] if own.count("\t") >= 2 else ""
            for form in dict.fromkeys([text, own]):
                print(f"{mnemonic}\t{form}\t{hexed}")


main()
