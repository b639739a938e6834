# SPDX-License-Identifier: Apache-2.0
"""Rows of bench.py: what it costs to give containers NICs, beside a script that does it command by command.

In namespaces of its own, without dockerd: an inventory.json says which containers there are, and network namespaces stand for
them, so that what is measured is the role, its broker and the kernel.
"""
import json
import os
import subprocess
import tempfile
import time

COUNT = 200
HOST = "drb-%d" % os.getpid()


def sh(*argv):
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)


def inside(*argv):
    return ["nsenter", "--net=/run/netns/" + HOST, "--"] + list(argv)


def container(i, n_nics):
    nics = [{"parent": "br-lan", "name": "lan%d" % k, "address": "10.%d.%d.%d/8" % (10 + k, i // 200, 1 + i % 200)}
            for k in range(n_nics)]
    return {"container": {"id": "%064x" % i, "name": "c%d" % i, "sandbox": "/run/netns/%s-%d" % (HOST, i)},
            "owner": "c%d" % i, "running": True, "nics": nics}


def inventory(folder, containers):
    text = json.dumps({"version": 1, "engines": [], "stacks": [], "attach": containers})
    with open(folder + "/new", "w") as f:
        f.write(text)
    os.rename(folder + "/new", folder + "/inventory.json")


def nics(folder):
    try:
        with open(folder + "/attach.json") as f:
            return json.load(f)["nics"]
    except (OSError, ValueError):
        return []


def written(folder):
    try:
        return os.stat(folder + "/attach.json").st_ino
    except OSError:
        return None


def wait_ready(folder, count, seconds=120):
    end, seen = time.monotonic() + seconds, None
    while time.monotonic() < end:
        version = written(folder)
        if version == seen: # reading hundreds of NICs takes time from those who are measured
            time.sleep(0.002)
            continue
        seen = version
        got = [n for n in nics(folder) if n["state"] == "ready"]
        if len(got) == count:
            return got
    raise SystemExit("attach: not all NICs are ready in %d s" % seconds)


def role_pid(folder):
    with open(folder + "/host.json") as f:
        return [r["pid"] for r in json.load(f)["roles"] if r["role"] == "attach"][0]


def memory_kb(pid):
    with open("/proc/%d/status" % pid) as f:
        return [int(line.split()[1]) for line in f if line.startswith("VmRSS")][0]


def by_script(i):
    """What a script does, command by command."""
    ns, end = "%s-%d" % (HOST, i), "scr%d" % i
    begin = time.monotonic()
    for argv in (["ip", "link", "add", "name", end, "type", "veth", "peer", "name", "scrpeer"],
                 ["ip", "link", "set", end, "master", "br-lan"], ["ip", "link", "set", end, "up"],
                 ["ip", "link", "set", "scrpeer", "netns", ns]):
        sh(*inside(*argv))
    for argv in (["link", "set", "scrpeer", "name", "scr0"], ["addr", "add", "10.99.0.%d/8" % (1 + i), "dev", "scr0"],
                 ["link", "set", "scr0", "up"]):
        sh("ip", "-n", ns, *argv)
    return (time.monotonic() - begin) * 1000


def measure(b, folder):
    alone = []
    for i in range(20):
        inventory(folder, [container(k, 1) for k in range(i + 1)])
        alone = wait_ready(folder, i + 1)
    b.single("attach: one NIC, in the role", "ms", [n["attach_us"] / 1000 for n in alone], 1.5, 2)
    b.single("attach: one NIC, by a script", "ms", [by_script(i) for i in range(20)])
    inventory(folder, [])
    wait_ready(folder, 0)
    before = memory_kb(role_pid(folder))
    begin = time.monotonic()
    inventory(folder, [container(i, 2) for i in range(COUNT)])
    wait_ready(folder, 2 * COUNT)
    b.single("attach: %d containers x 2 NICs at once, all ready" % COUNT, "s", [time.monotonic() - begin], 1, 2)
    b.single("attach: memory without any", "MiB", [before / 1024])
    b.single("attach: memory with %d containers x 2 NICs" % COUNT, "MiB", [memory_kb(role_pid(folder)) / 1024], 8)


def rows(b):
    host = None
    with tempfile.TemporaryDirectory(prefix="bench-attach-") as top:
        folder, run = top + "/state", top + "/run"
        try:
            sh("ip", "netns", "add", HOST)
            for i in range(COUNT):
                sh("ip", "netns", "add", "%s-%d" % (HOST, i))
            sh(*inside("ip", "link", "add", "name", "br-lan", "type", "bridge"))
            sh(*inside("ip", "link", "set", "br-lan", "up"))
            env = dict(os.environ, STATE_DIR=folder, RUN_DIR=run, ROLES="attach", CONFIG=top + "/config")
            open(top + "/config", "w").close()
            with open(top + "/log", "w") as log:
                host = subprocess.Popen(inside(b.ROUTER, "host"), env=env, stderr=log, stdout=log)
            end = time.monotonic() + 20
            while not os.path.exists(folder + "/host.json") and time.monotonic() < end:
                time.sleep(0.05)
            measure(b, folder)
        finally:
            if host:
                host.terminate()
                host.wait()
            for i in range(COUNT):
                subprocess.run(["ip", "netns", "del", "%s-%d" % (HOST, i)], stderr=subprocess.DEVNULL)
            subprocess.run(["ip", "netns", "del", HOST], stderr=subprocess.DEVNULL)

