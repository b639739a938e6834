#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How long what is deleted stays away, by the kernel's own events.

    heal.py time NAMESPACE GONE BACK TRIES CMD...   median of TRIES, in ms: from the first event that matches GONE (a
                                                    regular expression) after CMD to the next one that matches BACK
    heal.py writes READY NAMESPACE...               every event of these namespaces, one line each, until killed; makes
                                                    the file READY when it listens

An event is a line: "DELROUTE 10.72.0.0/24 table 5 oif vx1000 proto 212". NAMESPACE is a path."""

import ctypes
import ipaddress
import os
import re
import select
import socket
import struct
import subprocess
import sys
import time

CLONE_NEWNET = 0x40000000
SO_RCVBUFFORCE = 33
SOL_NETLINK, ADD_MEMBERSHIP = 270, 1
NETLINK_ROUTE, NETLINK_NETFILTER = 0, 12
ROUTE_GROUPS = (1, 3, 5, 7, 8, 9, 11, 19)  # link, neigh, v4 address route rule, v6 address route rule
NFT_GROUP = 7
DEADLINE_S = 5
QUIET_S = 0.04

# message type: name, length of the header before the attributes
ROUTE_TYPES = {
    16: ("NEWLINK", 16), 17: ("DELLINK", 16), 20: ("NEWADDR", 8), 21: ("DELADDR", 8),
    24: ("NEWROUTE", 12), 25: ("DELROUTE", 12), 28: ("NEWNEIGH", 12), 29: ("DELNEIGH", 12),
    32: ("NEWRULE", 12), 33: ("DELRULE", 12),
}
NFT_TYPES = {
    0: "NEWTABLE", 2: "DELTABLE", 3: "NEWCHAIN", 5: "DELCHAIN", 6: "NEWRULE", 8: "DELRULE", 9: "NEWSET",
    11: "DELSET", 12: "NEWELEM", 14: "DELELEM",
}
# of NFTA_TABLE, NFTA_CHAIN, NFTA_RULE, NFTA_SET, NFTA_SET_ELEM_LIST: the attributes with the names
NFT_NAMES = {"TABLE": (1,), "CHAIN": (1, 3), "RULE": (1, 2), "SET": (1, 2), "ELEM": (1, 2)}


def attributes(data):
    found, at = {}, 0
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, at)
        if length < 4:
            break
        found.setdefault(kind & 0x3FFF, data[at + 4:at + length])
        at += (length + 3) & ~3
    return found


def address(raw):
    return str(ipaddress.ip_address(raw)) if len(raw) in (4, 16) else raw.hex()


def mac(raw):
    return raw.hex(":")


def u32(raw):
    return struct.unpack("=I", raw)[0]


def text(raw):
    return raw.rstrip(b"\0").decode(errors="replace")


def learning(info):
    """Of a VXLAN device: IFLA_LINKINFO, in it IFLA_INFO_KIND and IFLA_INFO_DATA, in that IFLA_VXLAN_LEARNING"""
    found = attributes(info)
    if text(found.get(1, b"")) != "vxlan":
        return ""
    return " learning" if attributes(found.get(2, b"")).get(7, b"\0")[0] else " nolearning"


class Namespace:
    """Sockets that listen in one namespace."""

    def __init__(self, path):
        self.names, self.path = {}, path
        libc = ctypes.CDLL(None, use_errno=True)
        with open("/proc/self/ns/net", "rb") as own, open(path, "rb") as there:
            if libc.setns(there.fileno(), CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), path)
            self.route = self.listen(NETLINK_ROUTE, ROUTE_GROUPS)
            self.nft = self.listen(NETLINK_NETFILTER, (NFT_GROUP,))
            self.names = {i: name for i, name in socket.if_nameindex()}
            libc.setns(own.fileno(), CLONE_NEWNET)

    @staticmethod
    def listen(protocol, groups):
        s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 32 << 20)
        s.bind((0, 0))
        for g in groups:
            s.setsockopt(SOL_NETLINK, ADD_MEMBERSHIP, g)
        s.setblocking(False)
        return s

    def name(self, index):
        return self.names.get(index, f"#{index}")

    def events(self, sock):
        try:
            data = sock.recv(1 << 20)
        except BlockingIOError:
            return
        at = 0
        while at + 16 <= len(data):
            length, kind = struct.unpack_from("=IH", data, at)
            body = data[at + 16:at + length]
            line = self.route_line(kind, body) if sock is self.route else self.nft_line(kind, body)
            if line:
                yield line
            at += (length + 3) & ~3

    def nft_line(self, kind, body):
        verb = NFT_TYPES.get(kind & 0xFF)
        if kind >> 8 != 10 or not verb:
            return None
        found = attributes(body[4:])
        names = [text(found[n]) for n in NFT_NAMES[verb[3:]] if n in found]
        return f"{verb} {' '.join(names)}"

    def route_line(self, kind, body):
        verb, header = ROUTE_TYPES.get(kind, (None, 0))
        if not verb:
            return None
        a = attributes(body[header:])
        if verb.endswith("LINK"):
            index, flags = struct.unpack_from("=iI", body, 4)
            if body[0] == socket.AF_BRIDGE:
                return None
            self.names[index] = text(a.get(3, b"?"))
            return (f"{verb} {self.names[index]} {'up' if flags & 1 else 'down'} mtu {u32(a.get(4, bytes(4)))}"
                    f" mac {mac(a.get(1, b''))} master {self.name(u32(a[10])) if 10 in a else '-'}"
                    f" alias {text(a.get(20, b'-'))}{learning(a.get(18, b''))}")
        if verb.endswith("ADDR"):
            return f"{verb} {address(a.get(2, a.get(1, b'')))} dev {self.name(struct.unpack_from('=I', body, 4)[0])}"
        if verb.endswith("ROUTE"):
            length, proto = body[1], body[5]
            return (f"{verb} {address(a.get(1, b''))}/{length} table {u32(a.get(15, bytes(4)))}"
                    f" oif {self.name(u32(a[4])) if 4 in a else '-'} proto {proto}")
        if verb.endswith("NEIGH"):
            what = f"fdb {mac(a.get(2, b''))}" if body[0] == socket.AF_BRIDGE else address(a.get(1, b""))
            state = struct.unpack_from("=H", body, 8)[0]
            return (f"{verb} {what} dev {self.name(struct.unpack_from('=i', body, 4)[0])} state {state:#x}"
                    f" dst {address(a[1]) if 1 in a else '-'} lladdr {mac(a.get(2, b''))}")
        return (f"{verb} pref {u32(a.get(6, bytes(4)))} iif {text(a.get(3, b'-'))}"
                f" table {u32(a.get(15, bytes(4)))} proto {a.get(21, b'?')[0]}")


def wait(namespaces, seconds):
    """Events until none came for that long: (monotonic time, namespace, line)."""
    socks = {s: n for n in namespaces for s in (n.route, n.nft)}
    while True:
        ready, _, _ = select.select(list(socks), [], [], seconds)
        if not ready:
            return
        now = time.monotonic()
        for s in ready:
            for line in socks[s].events(s):
                yield now, socks[s], line


def measure(namespace, gone, back, command):
    for _ in wait([namespace], QUIET_S):
        pass
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    begin, seen, end = None, [], time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        for now, _, line in wait([namespace], 0.02):
            seen.append(line)
            if begin is None and re.search(gone, line):
                begin = now
            elif begin is not None and re.search(back, line):
                child.wait()
                return (now - begin) * 1000
            if time.monotonic() >= end:
                break
    child.wait()
    sys.exit("heal.py: %s did not come within %d s of %s; the events:\n  %s" % (
        back if begin is not None else gone, DEADLINE_S, command, "\n  ".join(seen[-40:])))


def main(argv):
    if argv[:1] == ["writes"] and len(argv) > 2:
        namespaces = [Namespace(p) for p in argv[2:]]
        with open(argv[1], "x"):
            pass
        while True:
            for _, n, line in wait(namespaces, 60):
                print(n.path, line, flush=True)
    if argv[:1] == ["time"] and len(argv) > 5:
        namespace = Namespace(argv[1])
        times = sorted(measure(namespace, argv[2], argv[3], argv[5:]) for _ in range(int(argv[4])))
        print("%.1f" % times[len(times) // 2], " ".join("%.1f" % t for t in times))
        return 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
