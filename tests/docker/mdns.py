#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Who offers a service by mDNS: mdns.py ADDRESS TYPE SECONDS [one-shot]

Asks from ADDRESS (one-shot: from a port of its own, as simple clients do) until somebody answers, at most SECONDS; prints the
names of the instances, one a line. Ends with 1 when there are none.
"""
import select
import socket
import struct
import sys
import time

GROUP = "224.0.0.251"


def name_put(name):
    return b"".join(bytes([len(l)]) + l.encode() for l in name.split(".")) + b"\0"


def name_get(data, at):
    labels, end = [], None
    for _ in range(128):
        n = data[at]
        if n & 0xC0:
            end = end or at + 2
            at = struct.unpack_from("!H", data, at)[0] & 0x3FFF
        elif n:
            labels.append(data[at + 1 : at + 1 + n].decode(errors="replace"))
            at += 1 + n
        else:
            return ".".join(labels), end or at + 1
    raise ValueError("a name without end")


def instances(data, wanted):
    _, flags, questions, answers, _, _ = struct.unpack_from("!6H", data)
    at, found = 12, set()
    if not flags & 0x8000:
        return found
    for _ in range(questions):
        at = name_get(data, at)[1] + 4
    for _ in range(answers):
        name, at = name_get(data, at)
        kind, _, _, length = struct.unpack_from("!HHIH", data, at)
        if kind == 12 and name.lower() == wanted.lower():
            found.add(name_get(data, at + 10)[0])
        at += 10 + length
    return found


def main(address, service, seconds, how=""):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("", 0 if how else 5353))
    s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(address))
    s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255)
    if not how:
        s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(GROUP) + socket.inet_aton(address))
    query = struct.pack("!6H", 7, 0, 1, 0, 0, 0) + name_put(service) + struct.pack("!HH", 12, 1)
    end, ask, found = time.monotonic() + float(seconds), 0.0, set()
    while (now := time.monotonic()) < end and not found:
        if now >= ask:
            s.sendto(query, (GROUP, 5353))
            ask = now + 1.5
        if select.select([s], [], [], max(0, min(ask, end) - now))[0]:
            found |= instances(s.recvfrom(9000)[0], service)
    for name in sorted(found):
        print(name)
    return 0 if found else 1


sys.exit(main(*sys.argv[1:]))
