# SPDX-License-Identifier: Apache-2.0
"""Rows of bench.py: what it costs to give containers NICs, beside a script that does it command by command.

First in namespaces of its own, without dockerd: an inventory.json says which containers there are, and network namespaces stand
for them, so that what is measured is the role, its broker and the kernel. Then (attachdocker) with a dockerd:

    h1: br-lan 203.0.113.254, UDP echo ---- eth1 of the container, which asks every half millisecond until it is answered

beside a script that hears of the container's start as we do, and beside `docker network connect`.
"""
import http.client
import json
import os
import socket
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
    begin = time.monotonic()
    inventory(folder, [])
    wait_ready(folder, 0)
    b.single("attach: the same containers stop at once, all NICs gone", "s", [time.monotonic() - begin], None, 2)


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



# --- with a dockerd ---------------------------------------------------------------------------------------------------

BY_EVENT = """
docker events --filter event=start --filter label=bench.shell --format '{{.ID}}' | while read -r id; do
    set -- $(printf 'GET /containers/%s/json HTTP/1.0\\r\\n\\r\\n' "$id" | socat -t 5 - "UNIX:${DOCKER_HOST#unix://}" |
        sed '1,/^.$/d' | jq -r '"\\(.State.Pid) \\(.Config.Labels["bench.shell"])"')
    ip link add name "s$1" type veth peer name eth1 netns "$1"
    ip link set "s$1" master br-lan up
    nsenter -t "$1" -n sh -c "ip addr add $2 dev eth1; ip link set eth1 up"
done
"""


def started(b, kind, i):
    """Milliseconds from dockerd's start event of a container to what its NIC brought first."""
    name, address = f'{kind}{i}', f'203.0.113.{(1 if kind == "ours" else 101) + i}/24'
    labels = {'ours': ['docker-router.attach=br-lan:eth1', f'docker-router.attach.eth1.address={address}'],
              'script': [f'bench.shell={address}']}[kind]
    begin = time.time()
    out = b.docker('h1', 'run', '--name', name, '--network', 'none', '-v', f'{b.PROBE}:/probe:ro',
                   *[x for one in labels for x in ('--label', one)], 'lab:1', '/probe', 'first', '203.0.113.254', 7, 10).split()
    took = (int(out[1]) - b.event_ns('h1', begin, 'start', name)) / 1e6
    b.docker('h1', 'rm', '-f', name)
    return took


def starts(b):
    took = {'ours': [], 'script': []}
    for i in range(-1, b.ROUNDS * 2):
        for kind in sorted(took, reverse=i % 2):
            ms = started(b, kind, i + 1)
            if i >= 0:  # the first is not counted
                took[kind].append(ms)
    b.versus('container start event -> answered through its NIC', 'ms', took['ours'], took['script'], 'script by events', '<= 15')


def by_api(path, network):
    api = http.client.HTTPConnection('docker')
    api.sock = socket.socket(socket.AF_UNIX)
    api.sock.connect(path)
    begin = time.monotonic()
    api.request('POST', f'/networks/{network}/connect', json.dumps({'Container': 'still'}), {'Content-Type': 'application/json'})
    status = api.getresponse().status
    took = (time.monotonic() - begin) * 1000
    api.close()
    if status != 200:
        raise SystemExit(f'attach: network connect: {status}')
    return took


def plugged(b, folder):
    """A NIC for a container that runs: until attach.json says that it is ready, and what of that is the role's."""
    def verb(*argv):
        b.run(b.ROUTER_LINK, *argv, env=dict(os.environ, STATE_DIR=folder))
    begin = time.monotonic()
    verb('plug', 'still', 'br-lan:eth7 address=203.0.113.99/24')
    nic = wait_ready(folder, 1)[0]
    took = time.monotonic() - begin
    verb('unplug', 'still')
    wait_ready(folder, 0)
    return took * 1000, nic['attach_us'] / 1000


def connects(b, folder):
    plug, role, api, command = [], [], [], []
    b.docker('h1', 'network', 'create', 'other')
    b.docker('h1', 'network', 'create', 'more')
    b.docker('h1', 'run', '-d', '--name', 'still', '--network', 'other', 'lab:1', 'sleep', '100000')
    client = ['docker', '-H', f'unix://{b.DIR}/h1/docker.sock', 'network', 'connect', 'more', 'still']
    for i in range(-1, b.ROUNDS * 2):
        whole, own = plugged(b, folder)
        raw = by_api(f'{b.DIR}/h1/docker.sock', 'more')
        b.docker('h1', 'network', 'disconnect', 'more', 'still')
        begin = time.monotonic()
        b.run(*client)
        cli = (time.monotonic() - begin) * 1000
        b.docker('h1', 'network', 'disconnect', 'more', 'still')
        if i >= 0:
            for values, value in ((plug, whole), (role, own), (api, raw), (command, cli)):
                values.append(value)
    b.versus('attach: one NIC of a container, in the role', 'ms', role, api, 'network connect (API)', '<= 1.5')
    b.versus('docker-router plug -> NIC ready', 'ms', plug, command, 'docker network connect', None)


def docker_rows(b):
    if os.path.isdir(b.DIR):
        b.lab('down')
    os.environ['ROUTER_ENV'] = 'ROLES=inventory,discovery,router,attach'
    b.lab('up', 'lan')
    helpers = []
    try:
        for line in ('link add dev br-lan address 02:00:00:00:00:fe type bridge', 'link set dev eth1 master br-lan',
                     'link set dev br-lan up', 'addr add 203.0.113.254/24 dev br-lan'):
            b.lab('exec', 'h1', 'ip', *line.split())
        for argv in ((b.PROBE, 'echo', '7'), ('sh', '-c', BY_EVENT)):
            helpers.append(subprocess.Popen([f'{b.TOP}/lab/exec', 'h1', *argv], start_new_session=True))
        starts(b)
        connects(b, f'{b.DIR}/h1/state')
    finally:
        for h in helpers:
            os.killpg(h.pid, 15)
            h.wait()
        os.environ.pop('ROUTER_ENV', None)
        b.lab('down', check=False)
