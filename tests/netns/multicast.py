#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Devices and clients of SSDP and mDNS for tests/netns/multicast.sh; everything on the interface eth0.

multicast.py device NAME              an UPnP device and a host NAME.local with a service, until killed; counts in NAME.count
multicast.py search 4|6 TTL           one JSON line: each answer's sender, USN, LOCATION, and after how many ms
multicast.py ask 5353|any NAME        one JSON line: the answers to a question of type A, mDNS
multicast.py browse TYPE              the same for PTR
multicast.py storm SECONDS            a thousand searches a second, each from a port of its own
multicast.py garbage                  what no program should send, to both groups
multicast.py mdns-storm SECONDS       a thousand questions a second, no two alike
multicast.py gmp                      IGMP and MLD: wrong lengths and checksums, then joins of 10,000 groups
multicast.py count SECONDS            one JSON line: datagrams to the groups that were heard
"""
import json
import random
import select
import socket
import struct
import sys
import time

IFACE = "eth0"
SSDP = {4: "239.255.255.250", 6: "ff02::c"}
MDNS = {4: "224.0.0.251", 6: "ff02::fb"}


def index():
    return socket.if_nametoindex(IFACE)


def address():
    import fcntl

    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    return socket.inet_ntoa(fcntl.ioctl(s, 0x8915, struct.pack("256s", IFACE.encode()))[20:24])


def opened(family, port, group=None, ttl=2):
    s = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    mreqn = struct.pack("4s4si", socket.inet_aton(group or "0.0.0.0"), bytes(4), index()) if family == 4 else None
    if family == 4:
        s.bind(("", port))
        s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, ttl)
        s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, mreqn)
        s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 0)
        if group:
            s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, mreqn)
    else:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        s.bind(("", port))
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, ttl)
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index())
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 0)
        if group:
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, socket.inet_pton(socket.AF_INET6, group) + struct.pack("i", index()))
    return s


def to(family, group, port):
    return (group, port) if family == 4 else (group, port, 0, index())


def field(message, name):
    for line in message.split("\r\n"):
        if line.lower().startswith(name.lower() + ":"):
            return line.split(":", 1)[1].strip()
    return ""


# --- DNS ---


def name(text):
    return b"".join(bytes([len(part)]) + part.encode() for part in text.split(".") if part) + b"\0"


def name_read(b, at):
    parts, after = [], None
    while b[at]:
        if b[at] >= 0xC0:
            after = after or at + 2
            at = (b[at] & 0x3F) << 8 | b[at + 1]
            continue
        parts.append(b[at + 1 : at + 1 + b[at]].decode(errors="replace"))
        at += 1 + b[at]
    return ".".join(parts), after or at + 1


def question(text, kind, number=0):
    return struct.pack(">6H", number, 0, 1, 0, 0, 0) + name(text) + struct.pack(">HH", kind, 1)


def records(b):
    _, _, questions, *counts = struct.unpack(">6H", b[:12])
    at = 12
    for _ in range(questions):
        at = name_read(b, at)[1] + 4
    for _ in range(sum(counts)):
        owner, at = name_read(b, at)
        kind, _, _, length = struct.unpack(">HHIH", b[at : at + 10])
        at += 10
        data = b[at : at + length]
        if kind == 1:
            yield owner, "A", socket.inet_ntoa(data)
        elif kind == 12:
            yield owner, "PTR", name_read(b, at)[0]
        at += length


def record(owner, kind, data):
    return name(owner) + struct.pack(">HHIH", kind, 1 if kind == 12 else 0x8001, 120, len(data)) + data


# --- what is run ---


def device(me):
    ssdp = {opened(f, 1900, SSDP[f]): f for f in (4, 6)}
    mdns = {opened(f, 5353, MDNS[f], 255): f for f in (4, 6)}
    counts = {"search": 0, "mdns": 0}
    ip = address()
    services = [
        record("_test._tcp.local", 12, name(f"{me}._test._tcp.local")),
        record(f"{me}.local", 1, socket.inet_aton(ip)),
    ]
    print("ready", flush=True)
    while True:
        for s in select.select(list(ssdp) + list(mdns), [], [])[0]:
            data, peer = s.recvfrom(65535)
            if s in ssdp:
                if not data.startswith(b"M-SEARCH") or b"ssdp:discover" not in data:
                    continue
                counts["search"] += 1
                where = f"http://{ip}:8200/{me}.xml"
                s.sendto(
                    f"HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=60\r\nEXT:\r\nST: ssdp:all\r\n"
                    f"USN: uuid:{me}::upnp:rootdevice\r\nLOCATION: {where}\r\n\r\n".encode(),
                    peer,
                )
            elif len(data) > 12 and not data[2] & 0x80:
                counts["mdns"] += 1
                asked, at = name_read(data, 12)
                matching = [r for r in services if r.startswith(name(asked))]
                if not matching:
                    continue
                legacy = peer[1] != 5353
                head = struct.pack(">6H", *struct.unpack(">H", data[:2]) if legacy else (0,), 0x8400, int(legacy), 1, 0, 0)
                reply = head + (data[12 : at + 4] if legacy else b"") + matching[0]
                s.sendto(reply, peer if legacy else to(mdns[s], MDNS[mdns[s]], 5353))
            with open(f"{me}.count", "w") as f:
                json.dump(counts, f)


SEARCH = 'M-SEARCH * HTTP/1.1\r\nHOST: {}:1900\r\nMAN: "ssdp:discover"\r\nMX: {}\r\nST: {}\r\n\r\n'


def search(family, ttl):
    family = int(family)
    s = opened(family, 0, None, int(ttl))
    begin = time.monotonic()
    s.sendto(SEARCH.format(SSDP[family], 1, "ssdp:all").encode(), to(family, SSDP[family], 1900))
    answers = []
    while (left := begin + 2 - time.monotonic()) > 0:
        if select.select([s], [], [], left)[0]:
            data, peer = s.recvfrom(65535)
            text = data.decode(errors="replace")
            answers.append(
                {
                    "from": peer[0],
                    "usn": field(text, "USN"),
                    "location": field(text, "LOCATION"),
                    "ms": round((time.monotonic() - begin) * 1000, 2),
                }
            )
    print(json.dumps(answers))


def ask(port, text, kind=1):
    s = opened(4, 5353 if port == "5353" else 0, MDNS[4] if port == "5353" else None, 255)
    found = []
    for number in (7, 8):
        end = time.monotonic() + 1.5
        s.sendto(question(text, kind, number if port != "5353" else 0), (MDNS[4], 5353))
        while (left := end - time.monotonic()) > 0:
            if select.select([s], [], [], left)[0]:
                data, _ = s.recvfrom(65535)
                if data[2] & 0x80:
                    found += [r for r in records(data) if r[0] == text and r not in found]
        if found:
            break
    print(json.dumps(found))


def browse(kind):
    ask("any", kind, 12)


def storm(seconds):
    end = time.monotonic() + float(seconds)
    sent = 0
    while time.monotonic() < end:
        s = opened(4, 0)
        s.sendto(SEARCH.format(SSDP[4], 1000000000, f"storm:{sent}").encode(), (SSDP[4], 1900))
        s.close()
        sent += 1
        time.sleep(0.0008)
    print(sent)


def garbage():
    random.seed(1)
    s = opened(4, 0)
    t = opened(4, 5353, None, 255)
    for i in range(300):
        junk = random.randbytes(random.choice((0, 1, 11, 12, 40, 500, 1400)))
        s.sendto(junk, (SSDP[4], 1900))
        t.sendto(junk, (MDNS[4], 5353))
    s.sendto(b"M-SEARCH * HTTP/1.1\r\n" + b"X: y\r\n" * 10000, (SSDP[4], 1900))
    s.sendto(b"NOTIFY * HTTP/1.1\r\nUSN: uuid:x\r\nLOCATION: http://a/\r\nLOCATION: http://b/\r\n\r\n", (SSDP[4], 1900))
    t.sendto(struct.pack(">6H", 0, 0x8400, 0, 65535, 65535, 65535) + b"\xc0\x0c" * 100, (MDNS[4], 5353))
    s.sendto(b"NOTIFY * HTTP/1.1\r\nNTS: ssdp:alive\r\nUSN: uuid:" + b"y" * 60000 + b"\r\n\r\n", (SSDP[4], 1900))
    for mx in ("0", "-1", "1000000000", "99999999999999999999", "1\r\nMX: 5"):
        s.sendto(SEARCH.format(SSDP[4], mx, "garbage").encode(), (SSDP[4], 1900))
    # a header inside another, by line ends that are not CRLF, a fold, a zero byte
    for inside in ("\nLOCATION: http://evil/", "\rLOCATION: http://evil/", "\r\n LOCATION: http://evil/", "\0LOCATION: http://evil/"):
        text = f"NOTIFY * HTTP/1.1\r\nNTS: ssdp:alive\r\nNT: x{inside}\r\nUSN: uuid:evil\r\n\r\n"
        s.sendto(text.encode(), (SSDP[4], 1900))


def mdns_storm(seconds):
    end = time.monotonic() + float(seconds)
    s = opened(4, 5353, None, 255)
    sent = 0
    while time.monotonic() < end:
        s.sendto(question(f"storm-{sent}.local", 1, 0), (MDNS[4], 5353))
        sent += 1
        time.sleep(0.0008)
    print(sent)


def checksum(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def report(groups, lie=0):
    data = struct.pack(">BBHHH", 0x22, 0, 0, 0, len(groups) + lie) + b"".join(struct.pack(">BBH4s", 4, 0, 0, g) for g in groups)
    return data[:2] + struct.pack(">H", checksum(data)) + data[4:]


def gmp():
    random.seed(2)
    s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_IGMP)
    s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, struct.pack("4s4si", bytes(4), bytes(4), index()))
    s.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, b"\x94\x04\0\0")  # router alert
    six = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    six.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index())
    one = [socket.inet_aton("239.9.9.9")]
    whole = report(one)
    for bad in (b"", whole[:3], whole[:8], whole[:-1], whole + b"x" * 1000, report(one, 65534), whole[:2] + b"\0\0" + whole[4:],
                report([socket.inet_aton("224.0.0.251"), socket.inet_aton("10.0.0.1"), bytes(4)])):  # fmt: skip
        s.sendto(bad, ("224.0.0.22", 0))
    for kind in (130, 131, 132, 143):
        for _ in range(30):
            six.sendto(bytes([kind, 0, 0, 0]) + random.randbytes(random.randrange(60)), ("ff02::16", 0, 0, index()))
    for i in range(100):
        s.sendto(report([bytes([239, 20, i, k]) for k in range(100)]), ("224.0.0.22", 0))


def count(seconds):
    sockets = {opened(4, 1900, SSDP[4]): "ssdp", opened(4, 5353, MDNS[4], 255): "mdns"}
    counts = {"ssdp": 0, "mdns": 0}
    print("ready", flush=True)
    end = time.monotonic() + float(seconds)
    while (left := end - time.monotonic()) > 0:
        for s in select.select(list(sockets), [], [], left)[0]:
            s.recvfrom(65535)
            counts[sockets[s]] += 1
    print(json.dumps(counts))


verbs = {"device": device, "search": search, "ask": ask, "browse": browse, "storm": storm, "garbage": garbage, "mdns-storm": mdns_storm, "gmp": gmp, "count": count}
verbs[sys.argv[1]](*sys.argv[2:])
