#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A DHCP server that does what its first argument's file says, read anew for each question.

dhcp.py FILE INTERFACE: good, mask (of no bits), lease (of no seconds), outside (gateway, routes and name servers that are
none), overrun (an option longer than the packet), nak (what was given is taken back).
"""
import socket
import struct
import sys

MODE, IFACE = sys.argv[1:3]
SERVER, CLIENT = "198.51.100.1", "198.51.100.201"
DISCOVER, OFFER, REQUEST, ACK, NAK = 1, 2, 3, 5, 6


def option(code, value):
    return bytes((code, len(value))) + value


def ip(text):
    return socket.inet_aton(text)


def options(mode, kind):
    if mode == "overrun": # a host name of 255 bytes, of which some are there
        return b"\x0c\xffshort" + option(53, bytes((kind,)))
    out = option(53, bytes((kind,))) + option(54, ip(SERVER))
    if kind == NAK:
        return out
    out += option(1, ip("0.0.0.0" if mode == "mask" else "255.255.255.0"))
    out += option(51, struct.pack("!I", 0 if mode == "lease" else 600))
    if mode == "outside":
        out += option(3, ip("203.0.113.1")) + option(6, ip("0.0.0.0") + ip("224.0.0.1"))
        out += option(121, b"\x08\x0a" + ip("203.0.113.9") + b"\x00" + ip("203.0.113.1"))
        return out + option(15, b"$(reboot)\nnameserver 203.0.113.66")
    return out + option(3, ip(SERVER))


def answer(request, mode, kind):
    out = struct.pack("!4sIHH4s4s4s4s", b"\x02\x01\x06\x00", struct.unpack("!I", request[4:8])[0], 0, 0x8000, bytes(4),
                      bytes(4) if kind == NAK else ip(CLIENT), ip(SERVER), bytes(4))
    return out + request[28:44] + bytes(64 + 128) + b"\x63\x82\x53\x63" + options(mode, kind) + b"\xff"


def kind_of(request):
    at = 240
    while at + 2 < len(request) and request[at] != 255:
        if request[at] == 53:
            return request[at + 2]
        at += 1 if request[at] == 0 else 2 + request[at + 1]
    return 0


s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, IFACE.encode())
s.bind(("", 67))
while True:
    data = s.recv(2048)
    kind = kind_of(data) if len(data) >= 240 else 0
    with open(MODE, encoding="ascii") as f:
        word = f.read().strip()
    if kind == DISCOVER:
        s.sendto(answer(data, word, OFFER), ("255.255.255.255", 68))
    elif kind == REQUEST:
        s.sendto(answer(data, word, NAK if word == "nak" else ACK), ("255.255.255.255", 68))
