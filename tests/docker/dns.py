#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""DNS by hand, for the tests of names.

  dns.py serve ADDRESS LOG            an upstream: A is 198.51.100.53, TXT is 1800 bytes, "nx..." and names without a dot do not exist; each query
                                      is written to LOG as hex, without its id
  dns.py ask ADDRESS[:PORT] NAME TYPE [tcp] [edns=BYTES] [hex=OPTIONS] [from=PORT] [wait=SECONDS]
                                      prints the rcode and the records, sorted, or "timeout" or "refused"
  dns.py loop ADDRESS NAME ANSWER     asks every 10 ms until killed, with a retry after 0.5 s; prints a line for each
                                      lookup that failed or was answered otherwise; at the end how many there were
  dns.py garbage ADDRESS COUNT        datagrams that are no queries
"""
import random
import signal
import socket
import struct
import sys
import time

TYPES = {"A": 1, "SOA": 6, "PTR": 12, "TXT": 16, "AAAA": 28, "HTTPS": 65, "ANY": 255}
RCODES = {0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 5: "REFUSED"}


def name_bytes(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".") if label) + b"\0"


def query(name, kind, edns=0, options=b""):
    head = struct.pack(">HHHHHH", random.randrange(65536), 0x0100, 1, 0, 0, 1 if edns else 0)
    opt = b"\0" + struct.pack(">HHIH", 41, edns, 0, len(options)) + options if edns else b""
    return head + name_bytes(name) + struct.pack(">HH", TYPES[kind], 1) + opt


def name_read(b, at):
    labels, end = [], None
    while True:
        if b[at] >= 0xC0:
            end = end or at + 2
            at = (b[at] & 0x3F) << 8 | b[at + 1]
        elif b[at] == 0:
            return ".".join(labels), end or at + 1
        else:
            labels.append(b[at + 1:at + 1 + b[at]].decode())
            at += b[at] + 1


def text(b):
    _, flags, questions, answers, authorities, _ = struct.unpack(">HHHHHH", b[:12])
    at, out = 12, []
    for _ in range(questions):
        at = name_read(b, at)[1] + 4
    for i in range(answers + authorities):
        at = name_read(b, at)[1]
        kind, _, _, size = struct.unpack(">HHIH", b[at:at + 10])
        at += 10
        if kind == 1:
            out.append(socket.inet_ntop(socket.AF_INET, b[at:at + 4]))
        elif kind == 28:
            out.append(socket.inet_ntop(socket.AF_INET6, b[at:at + 16]))
        elif kind in (6, 12):
            out.append(("ns:" if i >= answers else "") + name_read(b, at)[0])
        else:
            out.append(f"{size}bytes")
        at += size
    return " ".join([RCODES.get(flags & 15, str(flags & 15))] + (["TC"] if flags & 0x200 else []) + sorted(out))


def where(address):
    host, _, port = address.partition(":")
    return host, int(port or 53)


def ask(address, q, tcp=False, wait=5.0, port=0):
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM)
    s.settimeout(wait)
    try:
        s.bind(("", port))
        s.connect(where(address))
        if tcp:
            s.sendall(struct.pack(">H", len(q)) + q)
            f = s.makefile("rb")
            return f.read(struct.unpack(">H", f.read(2))[0])
        s.send(q)
        while True:
            b = s.recv(65535)
            if b[:2] == q[:2]:
                return b
    except TimeoutError:
        return None
    except ConnectionError:
        return b""
    finally:
        s.close()


def reply(q):
    name, at = name_read(q, 12)
    kind = struct.unpack(">H", q[at:at + 2])[0]
    question, rcode, records = q[12:at + 4], 0, b""
    count = 0
    if name.lower().startswith("nx") or "." not in name:
        rcode = 3
    elif kind == 1:
        records, count = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) + bytes([198, 51, 100, 53]), 1
    elif kind == 16:
        data = (b"\xc8" + b"x" * 200) * 9
        records, count = b"\xc0\x0c" + struct.pack(">HHIH", 16, 1, 60, len(data)) + data, 1
    return q[:2] + struct.pack(">HHHHH", 0x8180 | rcode, 1, count, 0, 0) + question + records


def serve(address, log):
    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    u.bind(where(address))
    print("listening", flush=True)
    with open(log, "a", encoding="ascii") as f:
        while True:
            q, client = u.recvfrom(65535)
            print(q[2:].hex(), file=f, flush=True)
            try:
                u.sendto(reply(q), client)
            except (UnicodeDecodeError, IndexError, struct.error):
                pass  # some of the garbage comes through


def loop(address, name, answer):
    done = []
    signal.signal(signal.SIGTERM, lambda *_: done.append(1))
    count = 0
    while not done:
        b = ask(address, query(name, "A"), wait=0.5) or ask(address, query(name, "A"), wait=2)
        count += 1
        if not b or text(b) != answer:
            print(f"lookup {count}: {text(b) if b else 'timeout'}", flush=True)
        time.sleep(0.01)
    print(f"{count} lookups", flush=True)


def garbage(address, count):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    r = random.Random(7)
    good = query("web.shop.docker-router.internal", "A", 1232)
    for _ in range(count):
        b = bytearray(good)
        for _ in range(r.randrange(1, 6)):
            b[r.randrange(len(b))] = r.randrange(256)
        s.sendto(bytes(b[:r.randrange(len(b) + 1)]), where(address))


def main():
    verb, args = sys.argv[1], sys.argv[2:]
    if verb == "serve":
        serve(*args)
    elif verb == "loop":
        loop(*args)
    elif verb == "garbage":
        garbage(args[0], int(args[1]))
    else:
        words = dict(w.partition("=")[::2] for w in args[3:])
        q = query(args[1], args[2], int(words.get("edns", 0)), bytes.fromhex(words.get("hex", "")))
        b = ask(args[0], q, "tcp" in words, float(words.get("wait", 5)), int(words.get("from", 0)))
        print(text(b) if b else "timeout" if b is None else "refused")


main()
