#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a hostile host sends; run in its network namespace.

    evil.py send refused|subnets TO OUR-ID PEER-ID
                                                 all datagrams of a kind to TO port 4790, and print how many; OUR-ID is the
                                                 host_id of TO, PEER-ID that of another host that TO knows
    evil.py flood TO SECONDS COUNT SOURCES VNI   COUNT announcements of stacks that do not exist, evenly from SOURCES own
                                                 addresses 192.0.2.100 and up, in SECONDS; again and again until it is ended
    evil.py frame TO VNI MAC FROM-IP TO-IP PORT TEXT [SOURCE SIZE]
                                                 a VXLAN frame with a UDP datagram inside; with SOURCE, the outer address, in
                                                 two fragments, of which the first has SIZE bytes of UDP, a multiple of 8"""

import itertools
import json
import socket
import struct
import sys
import time

ME = "192.0.2.66"
ID = "ee" * 16


def announce(**fields):
    message = {
        "type": "ANNOUNCE", "version": 1, "stack_id": "evil", "host_ip": ME, "vni": 1000, "timestamp": 1700000000,
        "host_id": ID, "host_name": "evil", "port": 4789, "seq": int(time.time() * 1000), "part": 1, "parts": 1,
        "subnets": ["10.66.0.0/24"],
    }
    message.update(fields)
    return json.dumps({k: v for k, v in message.items() if v is not None})


def hostile(ours, peers):
    """Name: datagram. All of them are refused."""
    good = announce()
    return {
        "empty": b"",
        "truncated": good[:-20],
        "truncated in a string": good[:30],
        "nothing but brackets": "[" * 8000,
        "64 kB of nesting": "[" * 32000 + "]" * 32000,
        "64 kB of objects": '{"a":' * 10000,
        "64 kB": announce(stack_id="x" * 60000),
        "noise": bytes((i * 7919 + 13) % 256 for i in range(1400)),
        "zero bytes": b"\0" * 1400,
        "text after it": good + "{}",
        "a list": "[%s]" % good,
        "a key twice": good[:-1] + ',"vni":2000}',
        "a zero in a name": announce(stack_id="a\0b"),
        "invalid UTF-8": good.encode().replace(b"evil", b"\xff\xfe\xfd"),
        "NaN": good.replace("4789", "NaN"),
        "port 4789.5": announce(port=4789.5),
        "port 0": announce(port=0),
        "port 65536": announce(port=65536),
        "port of text": announce(port="4789"),
        "a port of a thousand digits": good.replace("4789", "4" * 1000),
        "port 1e400": good.replace("4789", "1e400"),
        "VNI 0": announce(vni=0),
        "VNI 2^24": announce(vni=1 << 24),
        "negative VNI": announce(vni=-1),
        "VNI a list": announce(vni=[1000]),
        "no VNI": announce(vni=None),
        "no version": announce(version=None),
        "version 2": announce(version=2),
        "unknown type": announce(type="DESTROY"),
        "type a number": announce(type=1),
        "path as a name": announce(stack_id="../../etc/passwd"),
        "shell as a name": announce(stack_id="$(reboot)"),
        "terminal codes as a name": announce(stack_id="\x1b[2J"),
        "empty name": announce(stack_id=""),
        "host_id too short": announce(host_id="ee"),
        "host_id a path": announce(host_id="../" * 10 + "ee"),
        "host_id of the receiver": announce(host_id=ours),
        "host_id of the receiver, goodbye": announce(host_id=ours, type="GOODBYE"),
        "host_ip of the receiver": announce(host_ip="192.0.2.1"),
        "host_ip of a peer": announce(host_ip="192.0.2.2", host_id=peers),
        "host_ip of nobody": announce(host_ip="192.0.2.200"),
        "host_ip unspecified": announce(host_ip="0.0.0.0"),
        "host_ip loopback": announce(host_ip="127.0.0.1"),
        "host_ip multicast": announce(host_ip="239.1.1.1"),
        "host_ip no address": announce(host_ip="192.0.2.66; reboot"),
        "goodbye of a peer": announce(type="GOODBYE", host_ip="192.0.2.2", host_id=peers, stack_id="two", seq=1 << 60),
        "goodbye of a peer, own address": announce(type="GOODBYE", host_id=peers, stack_id="two", seq=1 << 60),
        "a peer that moved here": announce(host_id=peers, stack_id="two", subnets=["10.72.0.0/24"], seq=1 << 60),
        "VTEP MAC of somebody else": announce(vtep_mac="02:00:00:00:00:01"),
        "VTEP address of somebody else": announce(vtep_ip="fe80::1"),
        "part 2 of 1": announce(part=2),
        "part 1 of 1000": announce(parts=1000),
        "1000 subnets": announce(subnets=["10.%d.%d.0/24" % (i // 250, i % 250) for i in range(300)]),
        "subnets no list": announce(subnets="10.66.0.0/24"),
        "a subnet no prefix": announce(subnets=["10.66.0.0/33"]),
    }


def greedy():
    """Name: announcement of a stack whose subnet may not become a route; the stack itself may be known."""
    return {
        "all addresses as subnet": announce(stack_id="evil-all", subnets=["0.0.0.0/0"]),
        "half of all addresses as subnet": announce(stack_id="evil-half", subnets=["0.0.0.0/1", "128.0.0.0/1"]),
        "all IPv6 addresses as subnet": announce(stack_id="evil-all6", subnets=["::/0"]),
        "the underlay as subnet": announce(stack_id="evil-net", subnets=["192.0.2.0/24"]),
        "a host of the underlay as subnet": announce(stack_id="evil-host", subnets=["192.0.2.2/32"]),
        "a supernet of the underlay": announce(stack_id="evil-super", subnets=["192.0.0.0/16"]),
        "loopback as subnet": announce(stack_id="evil-lo", subnets=["127.0.0.0/8"]),
        "multicast as subnet": announce(stack_id="evil-mc", subnets=["224.0.0.0/4"]),
        "link-local as subnet": announce(stack_id="evil-ll", subnets=["169.254.0.0/16", "fe80::/10"]),
        "the receiver's own subnet": announce(stack_id="evil-own", subnets=["10.71.0.0/24"]),
        "a part of the receiver's own subnet": announce(stack_id="evil-part", subnets=["10.71.0.8/29"]),
        "a peer's subnet": announce(stack_id="evil-peer", subnets=["10.72.0.0/24"]),
        "one address of a peer's subnet": announce(stack_id="evil-one", subnets=["10.72.0.10/32"]),
        "Docker's own network": announce(stack_id="evil-docker", subnets=["172.17.0.0/16"]),
    }


def send(to, data, source=None):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    if source:
        s.bind((source, 0))
    s.sendto(data if isinstance(data, bytes) else data.encode(), (to, 4790))
    s.close()


def flood(to, seconds, count, sources, vni):
    sockets = []
    for i in range(sources):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind(("192.0.2.%d" % (100 + i), 4790))
        sockets.append(s)
    begin = time.monotonic()
    for n in itertools.count():
        i = n % count
        source = i % sources
        data = announce(host_ip="192.0.2.%d" % (100 + source), host_id="%032x" % (0xE0000000 + i), stack_id="s%d" % i,
                        vni=vni, subnets=["10.%d.%d.0/24" % (100 + i // 250 % 150, i % 250)])
        wait = begin + seconds * n / count - time.monotonic()
        if wait > 0.002:
            time.sleep(wait)
        try:
            sockets[source].sendto(data.encode(), (to, 4790))
        except BlockingIOError:
            pass


def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data[:len(data) & ~1]))
    if len(data) & 1:
        total += data[-1] << 8
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ip_packet(source, to, payload, proto=17, ident=1, offset=0, more=False):
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), ident, offset // 8 | (0x2000 if more else 0), 64,
                         proto, 0, socket.inet_aton(source), socket.inet_aton(to))
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + payload


def udp(source_port, port, payload):
    return struct.pack("!HHHH", source_port, port, 8 + len(payload), 0) + payload  # 0: no checksum


def frame(to, vni, mac, source, target, port, text, outer_source=None, size=8):
    ethernet = bytes.fromhex(mac.replace(":", "")) + bytes.fromhex("020000000066") + b"\x08\x00"
    inner = ethernet + ip_packet(source, target, udp(1234, port, text.encode()))
    vxlan = struct.pack("!II", 0x08000000, vni << 8) + inner
    if not outer_source:
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.sendto(vxlan, (to, 4789))
        return
    s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    outer, ident = udp(5555, 4789, vxlan), int(time.time() * 1000) & 0xFFFF
    s.sendto(ip_packet(outer_source, to, outer[:size], ident=ident, more=True), (to, 0))
    s.sendto(ip_packet(outer_source, to, outer[size:], ident=ident, offset=size), (to, 0))


def main(argv):
    if argv[:1] == ["send"] and len(argv) == 5:
        datagrams = hostile(argv[3], argv[4]) if argv[1] == "refused" else greedy()
        for data in datagrams.values():
            send(argv[2], data)
        print(len(datagrams))
    elif argv[:1] == ["flood"] and len(argv) == 6:
        flood(argv[1], float(argv[2]), int(argv[3]), int(argv[4]), int(argv[5]))
    elif argv[:1] == ["frame"] and len(argv) in (8, 10):
        frame(argv[1], int(argv[2]), argv[3], argv[4], argv[5], int(argv[6]), *argv[7:9], *map(int, argv[9:]))
    else:
        print(__doc__, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
