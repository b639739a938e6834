#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A stream: stream.py send ADDRESS GROUP COUNT RATE TTL | hear ADDRESS GROUP SECONDS [COUNT]

ADDRESS, the sender's or the listener's own, tells the interface. hear says "listening", then how many datagrams of port 5000
came and from whom; it ends after SECONDS, or half a second after COUNT of them.
"""
import socket
import sys
import time




def send(address, group, count, rate, ttl):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((address, 0))
    s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(address))
    s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, int(ttl))
    begin = time.monotonic()
    for i in range(int(count)):
        s.sendto(b"x" * 1200, (group, 5000))
        ahead = begin + (i + 1) / float(rate) - time.monotonic()
        if ahead > 0.001:
            time.sleep(ahead)


def hear(address, group, seconds, count="0"):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    s.bind((group, 5000))
    s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(group) + socket.inet_aton(address))
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
