#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A stream: stream.py send ADDRESS GROUP COUNT RATE TTL [BYTES] | hear ADDRESS GROUP SECONDS [COUNT [SOURCE]]

ADDRESS, the sender's or the listener's own, tells the interface: of IPv6 that is eth0. hear says "listening", then how
many datagrams of port 5000 came and from whom; it ends after SECONDS, or half a second after COUNT of them. SOURCE: only
from there, by a source-specific join.
"""
import socket
import struct
import sys
import time

MCAST_JOIN_SOURCE_GROUP = 46


def index():
    return socket.if_nametoindex("eth0")


def sockaddr(address):
    if ":" in address:
        return struct.pack("=HHI16sI", socket.AF_INET6, 0, 0, socket.inet_pton(socket.AF_INET6, address), 0).ljust(128, b"\0")
    return struct.pack("=HH4s", socket.AF_INET, 0, socket.inet_aton(address)).ljust(128, b"\0")


def send(address, group, count, rate, ttl, size="1200"):
    if ":" in group:
        s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        s.bind((address, 0))
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index())
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, int(ttl))
    else:
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind((address, 0))
        s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(address))
        s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, int(ttl))
    begin = time.monotonic()
    for i in range(int(count)):
        s.sendto(b"x" * int(size), (group, 5000))
        ahead = begin + (i + 1) / float(rate) - time.monotonic()
        if ahead > 0.001:
            time.sleep(ahead)


def join(s, address, group, source):
    level = socket.IPPROTO_IPV6 if ":" in group else socket.IPPROTO_IP
    if source:
        s.setsockopt(level, MCAST_JOIN_SOURCE_GROUP, struct.pack("=II", index(), 0) + sockaddr(group) + sockaddr(source))
    elif ":" in group:
        s.setsockopt(level, socket.IPV6_JOIN_GROUP, socket.inet_pton(socket.AF_INET6, group) + struct.pack("=I", index()))
    else:
        s.setsockopt(level, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(group) + socket.inet_aton(address))


def hear(address, group, seconds, count="0", source=""):
    s = socket.socket(socket.AF_INET6 if ":" in group else socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    s.bind((group, 5000))
    join(s, address, group, source)
    print("listening", flush=True)
    heard, sources, end = 0, set(), time.monotonic() + float(seconds)
    while (left := end - time.monotonic()) > 0:
        s.settimeout(left)
        try:
            sources.add(s.recvfrom(2000)[1][0])
        except socket.timeout:
            break
        heard += 1
        if heard == int(count):
            end = min(end, time.monotonic() + 0.5)
    print(heard, *sorted(sources), flush=True)


{"send": send, "hear": hear}[sys.argv[1]](*sys.argv[2:])
