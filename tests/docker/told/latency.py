#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""latency.py DIR: in a lab with a container "swing" on h1 that is healthy while /tmp/ok exists: from Docker's event
("healthy", "die") to inventory.json of h1 and to names.json of h2. Fails when the middle one of several takes longer
than a person would bear."""
import json
import os
import socket
import subprocess
import sys
import threading
import time

lab, top = sys.argv[1], os.path.dirname(os.path.abspath(__file__)) + "/../../.."
inventory, names = lab + "/h1/state/inventory.json", lab + "/h2/state/names.json"
events = {}


def listen():
    s = socket.socket(socket.AF_UNIX)
    s.connect(lab + "/h1/docker.sock")
    s.sendall(b"GET /v1.41/events HTTP/1.1\r\nHost: d\r\n\r\n")
    for line in s.makefile("rb"):
        if line.startswith(b"{"):
            e = json.loads(line)
            events[e["Action"]] = e["timeNano"] / 1e9


def docker(*args):
    subprocess.run([top + "/lab/docker", "h1", *args], check=True, stdout=subprocess.DEVNULL)


def load(path):
    try:
        with open(path) as f:
            return json.load(f)
    except (OSError, ValueError):
        return {}


def in_inventory():
    return any(c["name"] == "swing" and c.get("health") == "healthy"
               for s in load(inventory).get("stacks", []) for c in s["containers"])


def in_names():
    return any(n["name"] == "swing" for s in load(names).get("stacks", []) for n in s["names"])


def measure(action, present, act):
    """Return: ms from the event to each of the two files"""
    seen = {}

    def watch(key, test):
        end = time.time() + 10
        while time.time() < end:
            now = time.time()
            if test() == present:
                seen[key] = now
                return
            time.sleep(0.0005)

    events.pop(action, None)
    threads = [threading.Thread(target=watch, args=("inventory", in_inventory)),
               threading.Thread(target=watch, args=("names", in_names))]
    for t in threads:
        t.start()
    act()
    for t in threads:
        t.join()
    end = time.time() + 5
    while action not in events and time.time() < end:
        time.sleep(0.001)
    return [round((seen[k] - events[action]) * 1000, 1) for k in ("inventory", "names")]


def middle(what, limit, runs):
    mid = [sorted(r[i] for r in runs)[len(runs) // 2] for i in (0, 1)]
    print(f"{what}: inventory.json after {mid[0]} ms, names.json of the other host after {mid[1]} ms; all: {runs}")
    if mid[1] > limit:
        sys.exit(f"{what}: more than {limit} ms")


threading.Thread(target=listen, daemon=True).start()
time.sleep(0.2)  # a listener more or less changes nothing of what is measured
up, down = [], []
for _ in range(5):
    up.append(measure("health_status: healthy", True, lambda: docker("exec", "swing", "touch", "/tmp/ok")))
    down.append(measure("die", False, lambda: docker("restart", "-t", "0", "swing")))
middle("healthy", 200, up)
middle("died", 200, down)
