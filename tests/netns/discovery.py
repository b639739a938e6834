#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What tests/netns/discovery.sh needs that a shell is too slow for: measuring, hostile datagrams, crowds."""
import json
import os
import select
import socket
import statistics
import struct
import sys
import time

GROUP, PORT = "239.1.1.1", 4790


def message(kind="ANNOUNCE", **fields):
    m = {"type": kind, "version": 1, "stack_id": "x", "host_ip": "192.0.2.4", "vni": 1000, "timestamp": int(time.time()),
         "host_id": "00000000000000000000000000000bad", "seq": 1, "subnets": ["10.99.0.0/24"]}
    m.update(fields)
    return json.dumps({k: v for k, v in m.items() if v is not None}).encode()


def sender(ip):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((ip, 0))
    s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(ip))
    return s


def peers(path):
    try:
        with open(path) as f:
            return {p["stack_id"] for p in json.load(f)["peers"]}
    except (OSError, ValueError):
        return None


def inventory(directory, stacks):
    doc = {"version": 1, "last_update": "2024-01-15T10:30:00Z", "engines": [], "problems": [], "stacks": [
        {"stack_id": s, "vni": 1000, "uplink": "", "containers": [], "networks": [
            {"name": s, "id": s, "bridge": "br-0", "endpoint": "unix:///x", "subnets": [p], "gateways": [],
             "internal": False, "icc": True, "mtu": 1500}]} for s, p in stacks]}
    new = os.path.join(directory, ".inventory.new")
    with open(new, "w") as f:
        json.dump(doc, f)
    os.rename(new, os.path.join(directory, "inventory.json"))


def wait_ms(path, want, deadline_s=5):
    begin = time.monotonic()
    while time.monotonic() < begin + deadline_s:
        seen = peers(path)
        if seen is not None and want(seen):
            return (time.monotonic() - begin) * 1000
        time.sleep(0.0003)
    raise SystemExit("not within %d s" % deadline_s)


def measure(h1, h2):
    """inventory.json of h1 changes -> discovery.json of h2 says so, 20 times; prints medians and worst."""
    base = [("shop", "10.71.0.0/24")]
    came, went = [], []
    for i in range(20):
        name = "m%d" % i
        time.sleep(0.05)  # what follows on the heels of another change is gathered for 5 ms
        inventory(h1, base + [(name, "10.90.%d.0/24" % i)])
        came.append(wait_ms(os.path.join(h2, "discovery.json"), lambda s: name in s))
        time.sleep(0.05)
        inventory(h1, base)
        went.append(wait_ms(os.path.join(h2, "discovery.json"), lambda s: name not in s))
    text = "comes %.1f ms median, %.1f worst; goes %.1f median, %.1f worst" % (
        statistics.median(came), max(came), statistics.median(went), max(went))
    print(text)
    if statistics.median(came) > 100 or statistics.median(went) > 150:
        raise SystemExit(1)


def never_lacks(path, stack, seconds):
    end = time.monotonic() + float(seconds)
    while time.monotonic() < end:
        seen = peers(path)
        if seen is not None and stack not in seen:
            print("lacks it")
            return
        time.sleep(0.0005)
    print("never")


def hostile(own, target, its_id, friend_id):
    s = sender(own)

    def send(data):
        s.sendto(data, (GROUP, PORT))
        s.sendto(data, (target, PORT))
        time.sleep(0.005)

    good = message()
    for data in (b"", b"{", good[:60], b"[" * 8000, b"\xff\x00\xfe" * 100, b"[" * 60000, b"null",
                 good.replace(b'"seq": 1', b'"port": NaN')):
        if data:
            send(data)
    for fields in ({"vni": 0}, {"vni": 16777216}, {"vni": "1000"}, {"port": "NaN"}, {"port": 0}, {"seq": -1},
                   {"stack_id": "a\x1b[2J"}, {"stack_id": ["a"]}, {"host_id": "short"}, {"subnets": "10.0.0.0/8"},
                   {"subnets": ["10.1.%d.0/24" % i for i in range(65)]}, {"vtep_mac": "02:00:00:00:00:01"},
                   {"vtep_ip": "10.0.0.1"}, {"part": 9, "parts": 2}):
        send(message(**fields))
    send(message(version=2))
    send(message(host_ip="192.0.2.77"))
    send(message(host_ip="192.0.2.2"))
    send(message(host_id=friend_id, stack_id="blog", seq=1 << 60, subnets=["10.66.0.0/24"]))
    send(message("GOODBYE", host_id=friend_id, stack_id="blog", seq=1 << 60))
    send(message(stack_id="mixed", subnets=["0.0.0.0/0", "10.99.0.0/24", "192.0.2.0/24", "224.0.0.0/8", "127.0.0.0/8",
                                            "8.0.0.0/6", "fe80::/64", "2000::/3"]))
    send(message(host_id=its_id))
    send(message("GOODBYE", host_id=its_id))


def flood(own, target, n):
    s = sender(own)
    for i in range(int(n)):
        s.sendto(message(stack_id="flood%d" % i), (target, PORT))
        if i % 50 == 49:
            time.sleep(0.002)


def older(own):
    """As the program that this family comes from: listens on the group, asks there, from another socket."""
    listen = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listen.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listen.bind((GROUP, PORT))
    listen.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                      struct.pack("4s4s", socket.inet_aton(GROUP), socket.inet_aton(own)))
    s = sender(own)
    ask = {"type": "QUERY", "version": 1, "stack_id": "stack-a", "host_ip": own, "vni": 1000,
           "timestamp": int(time.time())}
    s.sendto(json.dumps(ask).encode(), (GROUP, PORT))
    end, missing = time.monotonic() + 7, {(s, "RESPONSE"), (listen, "ANNOUNCE")}
    while missing and time.monotonic() < end:
        for sock in select.select([s, listen], [], [], 0.5)[0]:
            m = json.loads(sock.recv(1024))
            print(m["type"], m["stack_id"], flush=True)
            if m["stack_id"] == "shop":
                missing.discard((sock, m["type"]))


def crowd(target, n):
    """N peers of 40 addresses, as 40 hosts with many stacks would announce them."""
    n = int(n)
    for a in range(40):
        ip = "192.0.2.%d" % (100 + a)
        os.system("ip address add %s/24 dev eth0 2>/dev/null" % ip)
        s = sender(ip)
        for i in range(a, n, 40):
            s.sendto(message(stack_id="crowd%d" % i, host_ip=ip, host_id="%032x" % (0xC0000 + a), vni=77,
                             host_name="host-%d" % a, subnets=["10.%d.%d.0/24" % (100 + i // 256, i % 256)]),
                     (target, PORT))
            if i % 5 == 0:
                time.sleep(0.0005)


COMMANDS = {"measure": measure, "never-lacks": never_lacks, "hostile": hostile, "flood": flood, "older": older,
            "crowd": crowd}

if __name__ == "__main__":
    COMMANDS[sys.argv[1]](*sys.argv[2:])
