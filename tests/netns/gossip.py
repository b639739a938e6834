#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The hostile host of tests/netns/gossip.sh: garbage, forgeries and half streams to a member, from ADDRESS to TARGET."""
import os
import random
import socket
import struct
import sys
import time

PORT = 4791
ADDRESS, TARGET, HOST_ID = sys.argv[2], sys.argv[3], bytes.fromhex(sys.argv[5])


def tcp():
    s = socket.socket()
    s.settimeout(5)
    s.bind((ADDRESS, 0))
    s.connect((TARGET, PORT))
    return s


def alive(host, incarnation, address):
    return b"\x01" + host + struct.pack(">Q", incarnation) + b"\x04" + socket.inet_aton(address) + struct.pack(">H", PORT)


def message(kind, host, incarnation, body=b""):
    return b"DG\x01" + bytes([kind]) + host + struct.pack(">QQI", incarnation, 0, 7) + body


def datagrams():
    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    u.bind((ADDRESS, PORT))
    dead = b"\x03" + HOST_ID + struct.pack(">Q", 2 ** 40)
    mine = alive(b"\x66" * 16, 9, ADDRESS)
    for i in range(300):
        n = random.randrange(1500)
        u.sendto(os.urandom(n), (TARGET, PORT))
        u.sendto(b"\x01" + os.urandom(n), (TARGET, PORT))  # as if it were sealed
        u.sendto(message(5, b"\x66" * 16, 9, mine + dead), (TARGET, PORT))
        u.sendto(message(1, b"\x66" * 16, 9, bytes(16) + mine), (TARGET, PORT))
        if i % 50 == 0:
            time.sleep(0.05)


def streams():
    hello = b"DGS\x01"
    for payload in (os.urandom(4000), hello, hello + b"\x00" + bytes(16) + struct.pack(">I", 0xffffffff),
                    hello + b"\x11" + bytes(200), hello + b"\x10" + bytes(64 + 16) + os.urandom(3000), b"GET / HTTP/1.1\r\n\r\n",
                    hello + b"\x00" + bytes(16) + struct.pack(">I", 60) + message(6, b"\x66" * 16, 9)):
        s = tcp()
        try:
            s.sendall(payload)
            s.settimeout(10)
            while s.recv(4096):
                pass
        except (ConnectionError, socket.timeout):
            pass
        s.close()
    # many that say nothing: cut off, whatever they wait for
    idle = []
    for _ in range(200):
        try:
            idle.append(tcp())
        except OSError:
            break
    end = time.monotonic() + 15
    for s in idle:
        try:
            s.settimeout(max(0.1, end - time.monotonic()))
            while s.recv(4096):
                pass
        except ConnectionError:
            pass
        except socket.timeout:
            raise SystemExit("a silent stream is still open")


datagrams()
streams()
