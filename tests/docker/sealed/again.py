#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Says again what was recorded; run in the network namespace of a hostile node.

    again.py replay|change|own FILE TO [PORT]   the datagrams of discovery in the pcap FILE, to TO and to the group, or
                                                those to PORT, to TO alone: as they were, from the same address and port;
                                                with a bit changed; from our own address. Prints how many."""

import random
import socket
import struct
import sys

PORT = 4790
GROUP = "239.1.1.1"


def recorded(path, port):
    """(source address, source port, payload) of each"""
    with open(path, "rb") as f:
        data = f.read()
    at = 24
    while at + 16 <= len(data):
        length = struct.unpack_from("<I", data, at + 8)[0]
        frame = data[at + 16:at + 16 + length]
        at += 16 + length
        if len(frame) < 42 or frame[12:14] != b"\x08\x00" or frame[23] != 17:
            continue
        udp = 14 + (frame[14] & 15) * 4
        source, to, size = struct.unpack_from("!HHH", frame, udp)
        if to == port:
            yield socket.inet_ntoa(frame[26:30]), source, frame[udp + 8:udp + size]


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff or 0xffff


def packet(source, port, to, to_port, payload):
    ends = socket.inet_aton(source) + socket.inet_aton(to)
    udp = struct.pack("!HHHH", port, to_port, 8 + len(payload), 0)
    total = checksum(ends + struct.pack("!BBH", 0, 17, 8 + len(payload)) + udp + payload)
    udp = struct.pack("!HHHH", port, to_port, 8 + len(payload), total)
    return struct.pack("!BBHHHBBH", 0x45, 0, 28 + len(payload), 0, 0, 1, 17, 0) + ends + udp + payload


def main():
    how, path, to = sys.argv[1:4]
    to_port = int(sys.argv[4]) if len(sys.argv) > 4 else PORT
    random.seed(1)
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    raw.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("192.0.2.66"))
    n = 0
    for source, port, payload in recorded(path, to_port):
        if how == "change":
            at = random.randrange(1, len(payload))
            payload = payload[:at] + bytes([payload[at] ^ 1 << random.randrange(8)]) + payload[at + 1:]
        if how == "own":
            source = "192.0.2.66"
        for end in (to, GROUP) if to_port == PORT else (to,):
            raw.sendto(packet(source, port, end, to_port, payload), (end, 0))
            n += 1
    print(n)


main()
