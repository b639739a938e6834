#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The figures that README quotes, each beside its peer in the same run on the same two hosts.

Rows that compare are interleaved round by round; a ratio is taken within each round, and the table shows the median of the
rounds with a 95 % interval (bootstrap with a fixed seed). Single figures show median, minimum and maximum.

    bench.py [ROW...]     throughput rr start connect loss mapped names manynames memory
                          alone peers discovery multicast mcasthosts dlna gossip cluster wireguard driver init
                          attach attachdocker   (default: all)

ROUNDS (9) and SECONDS (2) of the throughput rows can be set in the environment, and ENGINE as for lab/up.
"""
import json
import os
import random
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

import attach
import cluster
import dlna
import driver
import gossip
import init
import mcast_hosts
import multicast
import wireguard

TOP = os.path.realpath(os.path.join(os.path.dirname(__file__), '..', '..'))
LAB = os.environ.setdefault('LAB', 'bench')
LAB_DIR = os.environ.setdefault('LAB_DIR', '/tmp/docker-router-lab')
DIR = os.path.join(LAB_DIR, LAB)
ROUTER = os.environ['DOCKER_ROUTER']
ROUTER_LINK = os.path.join(os.environ['BUILD'], 'docker-router')
ROUNDS = int(os.environ.get('ROUNDS', '9'))
SECONDS = int(os.environ.get('SECONDS', '2'))
results = []


# --- running things ---------------------------------------------------------------------------------------------------

def run(*argv, check=True, **kw):
    r = subprocess.run([str(a) for a in argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **kw)
    if check and r.returncode:
        raise SystemExit(f'bench: {" ".join(map(str, argv))}: exit {r.returncode}: {r.stderr.strip()[-800:]}')
    return r.stdout


def lab(verb, *argv, **kw):
    return run(os.path.join(TOP, 'lab', verb), *argv, **kw)


def docker(host, *argv, **kw):
    return lab('docker', host, *argv, **kw)


def note(text):
    print(f'  {text}', file=sys.stderr, flush=True)


def wait(what, cond, limit=30):
    end = time.monotonic() + limit
    while not cond():
        if time.monotonic() > end:
            raise SystemExit(f'bench: {what} did not come within {limit} s')
        time.sleep(0.02)


def state(host, name):
    try:
        with open(f'{DIR}/{host}/state/{name}', encoding='utf-8') as f:
            return json.load(f)
    except (OSError, ValueError):
        return {}


# --- statistics -------------------------------------------------------------------------------------------------------

def interval(values):
    rng = random.Random(1)
    medians = sorted(statistics.median(rng.choices(values, k=len(values))) for _ in range(2000))
    return medians[50], medians[1949]


def single(row, unit, values, limit=None, digits=1):
    results.append({'row': row, 'unit': unit, 'median': statistics.median(values), 'min': min(values), 'max': max(values),
                    'n': len(values), 'target': limit})
    note(f'{row}: {statistics.median(values):.{digits}f} {unit} ({min(values):.{digits}f} to {max(values):.{digits}f})')


def versus(row, unit, ours, peer, name, target):
    ratios = [a / b for a, b in zip(ours, peer)]
    low, high = interval(ratios)
    results.append({'row': row, 'unit': unit, 'median': statistics.median(ours), 'min': min(ours), 'max': max(ours),
                    'n': len(ours), 'peer': name, 'peer_median': statistics.median(peer), 'ratio': statistics.median(ratios),
                    'ratio_low': low, 'ratio_high': high, 'target': target})
    note(f'{row}: {statistics.median(ours):.2f} {unit} ({min(ours):.2f} to {max(ours):.2f}), {name} '
         f'{statistics.median(peer):.2f} ({min(peer):.2f} to {max(peer):.2f}): ratio {statistics.median(ratios):.2f} '
         f'({low:.2f} to {high:.2f})')


# --- the lab ----------------------------------------------------------------------------------------------------------

def probe_build(folder):
    path = os.path.join(folder, 'probe')
    run('cc', '-O2', '-static', os.path.join(TOP, 'tests/bench/probe.c'), '-o', path)
    os.chmod(path, 0o755)
    return path


def container(host, name, network, *argv, more=()):
    docker(host, 'run', '-d', '--name', name, '--network', network, '-v', f'{PROBE}:/probe:ro', *more, 'lab:1', *argv)


def knows(host, subnet):
    return any(subnet == r['prefix'] for v in state(host, 'router.json').get('vnis', []) for r in v['routes'])


def graded(host, grade):
    return state(host, 'router.json').get('datapath') == grade


def two_stacks():
    """Stack a on h1, b on h2; servers run in both."""
    for i, h in ((1, 'h1'), (2, 'h2')):
        docker(h, 'network', 'create', '--subnet', f'10.7{i}.0.0/24', '--label', 'docker-router.vni=1000', '--label',
               f'docker-router.stack=s{i}', f's{i}')
        container(h, f'c{i}', f's{i}', 'sh', '-c', '/probe echo 7 & exec iperf3 -s')
    wait('the overlay', lambda: knows('h1', '10.72.0.0/24') and knows('h2', '10.71.0.0/24'))
    wait('ping', lambda: ping('c1', '10.72.0.2'))


def ping(name, to):
    return subprocess.run([f'{TOP}/lab/docker', 'h1', 'exec', name, 'ping', '-c1', '-W1', to], stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, check=False).returncode == 0


def swarm():
    """Swarm's own overlay between the same two engines."""
    docker('h1', 'swarm', 'init', '--advertise-addr', '192.0.2.1')
    token = docker('h1', 'swarm', 'join-token', '-q', 'worker').strip()
    docker('h2', 'swarm', 'join', '--token', token, '192.0.2.1:2377')
    docker('h1', 'network', 'create', '-d', 'overlay', '--attachable', '--subnet', '10.90.0.0/24', 'sw')
    container('h1', 'sw1', 'sw', 'sh', '-c', '/probe echo 7 & exec iperf3 -s', more=('--ip', '10.90.0.11'))
    container('h2', 'sw2', 'sw', 'sh', '-c', '/probe echo 7 & exec iperf3 -s', more=('--ip', '10.90.0.12'))
    wait("Swarm's overlay", lambda: ping('sw1', '10.90.0.12'))


def routed():
    """No tunnel: a route on each host."""
    for i, h in ((1, 'h1'), (2, 'h2')):
        o = 3 - i
        docker(h, 'network', 'create', '--subnet', f'10.9{i}.0.0/24', f'r{i}')
        container(h, f'r{i}', f'r{i}', 'sh', '-c', '/probe echo 7 & exec iperf3 -s')
        lab('exec', h, 'ip', 'route', 'add', f'10.9{o}.0.0/24', 'via', f'192.0.2.{o}')
        lab('exec', h, 'iptables', '-I', 'FORWARD', '-s', '10.91.0.0/24', '-d', '10.92.0.0/24', '-j', 'ACCEPT')
        lab('exec', h, 'iptables', '-I', 'FORWARD', '-s', '10.92.0.0/24', '-d', '10.91.0.0/24', '-j', 'ACCEPT')
        lab('exec', h, 'iptables', '-t', 'raw', '-I', 'PREROUTING', '-s', f'10.9{o}.0.0/24', '-j', 'ACCEPT')
        lab('exec', h, 'iptables', '-t', 'nat', '-I', 'POSTROUTING', '-s', f'10.9{i}.0.0/24', '-d', f'10.9{o}.0.0/24', '-j',
            'ACCEPT')
    wait('the routed path', lambda: ping('r1', '10.92.0.2'))


def plain_bridge():
    """A container of h1 that has nothing to do with us."""
    if 'plain' not in docker('h1', 'network', 'ls', '--format', '{{.Name}}').split():
        docker('h1', 'network', 'create', 'plain')
        container('h1', 'p1', 'plain', '/probe', 'echo', '7')


def shortcut_there(host):
    return 'netdev docker-router' in lab('exec', host, 'nft', 'list', 'tables')


def datapath(grade, shortcut='on'):
    want = grade == 'leg' and shortcut == 'on'
    for h in ('h1', 'h2'):
        if not graded(h, grade) or shortcut_there(h) != want:
            lab('service', h, 'router', 'restart', f'DATAPATH={grade}', f'LEG_SHORTCUT={shortcut}')
    wait(f'grade {grade}', lambda: graded('h1', grade) and graded('h2', grade))
    wait('the shortcut', lambda: all(shortcut_there(h) == want for h in ('h1', 'h2')))
    want = 0 if grade == 'leg' else 1
    wait(f'NICs of {grade}', lambda: all(docker(h, 'exec', c, 'ls', '/sys/class/net').split().count('dr1000') == want
                                         for h, c in (('h1', 'c1'), ('h2', 'c2'))))
    wait('ping', lambda: ping('c1', '10.72.0.2'))


def br_netfilter(on):
    for h in ('h1', 'h2'):
        lab('exec', h, 'sysctl', '-qw', f'net.bridge.bridge-nf-call-iptables={int(on)}')


# --- rows -------------------------------------------------------------------------------------------------------------

def busy_seconds():
    with open('/proc/stat', encoding='utf-8') as f:
        v = [int(x) for x in f.readline().split()[1:]]
    return (v[0] + v[1] + v[2] + v[5] + v[6]) / os.sysconf('SC_CLK_TCK')


def iperf(name, to, streams):
    before = busy_seconds()
    out = json.loads(docker('h1', 'exec', name, 'iperf3', '-c', to, '-t', SECONDS, '-P', streams, '-J'))
    cpu = busy_seconds() - before
    got = out['end']['sum_received']
    return got['bits_per_second'] / 1e9, cpu / (got['bytes'] / 1e9)


# The leg without its shortcut, and that where bridged frames do not pass iptables: shows what each of them costs
LEG_LONG = 'leg, LEG_SHORTCUT=off'
LEG_BARE = 'leg, LEG_SHORTCUT=off, br_netfilter off'
LEGS = ('leg', LEG_LONG, LEG_BARE)
PATHS = (('auto', 'c1', '10.72.0.2'), ('swarm', 'sw1', '10.90.0.12'), ('routed', 'r1', '10.92.0.2'),
         *((leg, 'c1', '10.72.0.2') for leg in LEGS))


def rounds(what, measure, paths=PATHS):
    """Each path once a round, the order turned from round to round."""
    got = {p[0]: [] for p in paths}
    for i in range(ROUNDS):
        note(f'{what}: round {i + 1} of {ROUNDS}')
        turn = i % len(paths)
        for path, name, to in paths[turn:] + paths[:turn]:
            if path == 'auto' or path in LEGS:
                datapath(path.split(',')[0], shortcut='off' if 'off' in path else 'on')
            br_netfilter(path != LEG_BARE)
            got[path].append(measure(name, to))
            br_netfilter(True)
    return got


def row_throughput():
    for streams in (1, 8):
        got = rounds(f'TCP, {streams} stream(s)', lambda n, t, s=streams: iperf(n, t, s))
        gbit = {p: [x[0] for x in v] for p, v in got.items()}
        cpu = {p: [x[1] for x in v] for p, v in got.items()}
        for path, target in (('auto', '>= 1.0, low >= 0.97'), ('leg', '>= 0.8'), (LEG_LONG, None), (LEG_BARE, None)):
            versus(f'TCP {streams} stream(s), {path}', 'Gbit/s', gbit[path], gbit['swarm'], 'Swarm overlay', target)
            versus(f'CPU, {streams} stream(s), {path}', 's/GB', cpu[path], cpu['swarm'], 'Swarm overlay', None)
        versus(f'TCP {streams} stream(s), auto', 'Gbit/s', gbit['auto'], gbit['routed'], 'routed, no tunnel', None)


def pids(host, name):
    """The processes of a container."""
    return [int(line) for line in docker(host, 'top', name, '-eo', 'pid').split()[1:]]


def row_rr():
    got = rounds('request/response', lambda n, t: float(docker('h1', 'exec', n, '/probe', 'rr', t, 7, SECONDS)))
    for path, target in (('auto', '>= 1.0'), ('leg', '>= 0.9'), (LEG_LONG, None), (LEG_BARE, None)):
        versus(f'request/response, {path}', '1/s', got[path], got['swarm'], 'Swarm overlay', target)
    versus('request/response, auto', '1/s', got['auto'], got['routed'], 'routed, no tunnel', None)

    # Asking and answering by one processor: what the path itself costs, without waking an idle processor for each packet
    paths = tuple(p for p in PATHS if p[0] in ('auto', 'swarm', 'routed', 'leg'))
    servers = [pid for c in ('c2', 'sw2', 'r2') for pid in pids('h2', c)]
    for pid in servers:
        os.sched_setaffinity(pid, {0})
    try:
        got = rounds('request/response, one processor',
                     lambda n, t: float(docker('h1', 'exec', n, 'taskset', '1', '/probe', 'rr', t, 7, SECONDS)), paths)
    finally:
        for pid in servers:
            os.sched_setaffinity(pid, range(os.cpu_count()))
    for path in ('auto', 'leg'):
        versus(f'request/response, one processor, {path}', '1/s', got[path], got['swarm'], 'Swarm overlay', None)
    versus('request/response, one processor, auto', '1/s', got['auto'], got['routed'], 'routed, no tunnel', None)


def event_ns(host, since, event, want):
    out = docker(host, 'events', '--since', f'{since:.6f}', '--until', f'{time.time() + 0.001:.6f}', '--filter', f'event={event}',
                 '--format', '{{.TimeNano}} {{json .Actor}}')
    for line in out.splitlines():
        ns, actor = line.split(' ', 1)
        if want in actor:
            return int(ns)
    raise SystemExit(f'bench: no {event} event of {want}')


def row_start():
    datapath('auto')
    after, runs = [], {'overlay': [], 'Swarm': [], 'bridge': []}
    plain_bridge()
    plain = docker('h1', 'inspect', '-f', '{{.NetworkSettings.Networks.plain.IPAddress}}', 'p1').strip()
    for i in range(20):
        for kind, network, to in (('overlay', 's1', '10.72.0.2'), ('Swarm', 'sw', '10.90.0.12'), ('bridge', 'plain', plain)):
            begin = time.time()
            out = docker('h1', 'run', '--name', f'first{i}{kind}', '--network', network, '-v', f'{PROBE}:/probe:ro', 'lab:1',
                         '/probe', 'first', to, 7, 10).split()
            runs[kind].append(int(out[1]) / 1e6 - begin * 1e3)
            if kind == 'overlay':
                after.append(max(0, int(out[1]) - event_ns('h1', begin, 'start', f'first{i}{kind}')) / 1e6)
            docker('h1', 'rm', '-f', f'first{i}{kind}')
    single('container start event -> first reply', 'ms', after, '<= 20')
    versus('docker run -> first remote reply', 'ms', runs['overlay'], runs['Swarm'], 'Swarm overlay', None)
    versus('docker run -> first reply', 'ms', runs['overlay'], runs['bridge'], 'plain bridge, same host', None)


def row_connect():
    datapath('auto')
    container('h2', 'echo', 's2', '/probe', 'echo', '7')
    vni = f"{state('h1', 'host.json')['run_dir']}/vni-1000"
    connected, gone = [], []
    with tempfile.NamedTemporaryFile('r') as log:
        monitor = subprocess.Popen(['stdbuf', '-oL', 'nsenter', f'--net={vni}', 'ip', '-ts', '-4', 'monitor', 'route'], stdout=open(log.name, 'w', encoding='utf-8'))
        for i in range(50):
            net, begin = f'n{i}', time.time()
            to = f'10.100.{i}.2'
            docker('h2', 'network', 'create', '--subnet', f'10.100.{i}.0/24', '--label', 'docker-router.vni=1000', '--label',
                   f'docker-router.stack={net}', net)
            client = subprocess.Popen([f'{TOP}/lab/docker', 'h1', 'exec', 'c1', '/probe', 'first', to, '7', '10'], stdout=subprocess.PIPE, text=True)
            docker('h2', 'network', 'connect', '--ip', to, net, 'echo')
            out = client.communicate(timeout=20)[0].split()
            if len(out) != 2:
                raise SystemExit(f'bench: {to} never answered')
            connected.append(max(0, int(out[1]) - event_ns('h2', begin, 'connect', net)) / 1e6)
            docker('h2', 'network', 'disconnect', net, 'echo')
            begin = time.time()
            docker('h2', 'network', 'rm', net)
            destroyed = event_ns('h2', begin, 'destroy', net)

            def seen():
                text = open(log.name, encoding='utf-8').read()
                return re.search(r'\[([0-9T:.-]+)\] Deleted 10\.100\.%d\.0/24 ' % i, text)
            wait(f'the end of {net} on h1', seen, 10)
            stamp = seen().group(1)
            whole, part = stamp.split('.')
            at = time.mktime(time.strptime(whole, '%Y-%m-%dT%H:%M:%S')) + float('0.' + part)
            gone.append(max(0, at * 1e3 - destroyed / 1e6))
        monitor.terminate()
        monitor.wait()
    single('connected to a new network -> answers the other host', 'ms', connected, '<= 150 median, 500 worst')
    single('stack removed -> gone on the other host', 'ms', gone, '<= 150')


def mapped(host, stack):
    for s in state(host, 'discovery.json').get('self', {}).get('stacks', []):
        if s['stack_id'] == stack and s.get('mapped'):
            return s['mapped'][0]['as']
    return None


def row_mapped():
    """The same two containers by their true addresses and by the mapped ones, which a clash of two others brought."""
    datapath('auto')
    for h in ('h1', 'h2'):
        docker(h, 'network', 'create', '--subnet', '10.99.0.0/24', '--label', 'docker-router.vni=1000', '--label',
               'docker-router.stack=clash', 'clash')
    wait('mapped prefixes', lambda: mapped('h1', 's1') and mapped('h2', 's2'))
    to = mapped('h2', 's2').replace('.0/24', '.2')
    wait('ping', lambda: ping('c1', to))
    rate = {'true': [], 'mapped': []}
    gbit = {'true': [], 'mapped': []}
    for i in range(ROUNDS):
        note(f'mapped: round {i + 1} of {ROUNDS}')
        for kind, address in (('true', '10.72.0.2'), ('mapped', to))[::1 if i % 2 else -1]:
            rate[kind].append(float(docker('h1', 'exec', 'c1', '/probe', 'rr', address, 7, SECONDS)))
            gbit[kind].append(iperf('c1', address, 1)[0])
    for h in ('h1', 'h2'):
        docker(h, 'network', 'rm', 'clash')
    versus('request/response, mapped', '1/s', rate['mapped'], rate['true'], 'by true addresses', '>= 0.95')
    versus('TCP 1 stream, mapped', 'Gbit/s', gbit['mapped'], gbit['true'], 'by true addresses', '>= 0.95')


def row_names():
    datapath('auto')
    plain_bridge()
    there = {'names': [], 'Swarm': []}
    gone = {'names': [], 'Swarm': []}
    for i in range(20):
        for kind, client, network, name in (('names', 'c1', 's2', f'n{i}.s2'), ('Swarm', 'sw1', 'sw', f'n{i}sw')):
            x = name.split('.', maxsplit=1)[0]

            def waiter(count, who=client, what=name):
                return subprocess.Popen([f'{TOP}/lab/docker', 'h1', 'exec', who, '/probe', 'name', what, str(count), '60'],
                                        stdout=subprocess.PIPE, text=True)
            begin = time.time()
            w = waiter(1)
            container('h2', x, network, 'sleep', '1000')
            there[kind].append(max(0, int(w.communicate()[0]) - event_ns('h2', begin, 'start', x)) / 1e6)
            begin = time.time()
            w = waiter(0)
            docker('h2', 'kill', x)
            gone[kind].append(max(0, int(w.communicate()[0]) - event_ns('h2', begin, 'die', x)) / 1e6)
            docker('h2', 'rm', x)
    rate = {'remote': [], 'local': [], 'Docker': []}
    usec = {'remote': [], 'local': [], 'Docker': []}
    for i in range(ROUNDS):
        note(f'names: round {i + 1} of {ROUNDS}')
        for kind, client, name in (('remote', 'c1', 'c2.s2'), ('local', 'c1', 'c1'), ('Docker', 'p1', 'p1'))[::1 if i % 2 else -1]:
            out = docker('h1', 'exec', client, '/probe', 'dns', name, SECONDS).split()
            rate[kind].append(float(out[0]))
            usec[kind].append(float(out[1]) / 1e3)
    for kind, limits in (('names', ('<= 200', '<= 3000')), ('Swarm', (None, None))):
        single(f'container starts -> its name resolves on the other host: {kind}', 'ms', there[kind], limits[0])
        single(f'container killed -> its name is gone there: {kind}', 'ms', gone[kind], limits[1])
    versus('queries per second, a remote name', '1/s', rate['remote'], rate['Docker'], "Docker, a local name", '>= 1.0')
    versus("queries per second, Docker's names beside ours", '1/s', rate['local'], rate['Docker'], 'Docker alone', None)
    single('latency of a query, median of a run', 'ms', usec['remote'], '<= 1', 3)


def rss_kb(pid):
    with open(f'/proc/{pid}/status', encoding='utf-8') as f:
        return int(re.search(r'VmRSS:\s+(\d+)', f.read()).group(1))


def switches(pid):
    with open(f'/proc/{pid}/status', encoding='utf-8') as f:
        return int(re.search(r'\nvoluntary_ctxt_switches:\s+(\d+)', f.read()).group(1))


def roles(host):
    return {r['role']: r['pid'] for r in state(host, 'host.json')['roles']}


def row_memory():
    pids = roles('h1')
    before, begin = {r: switches(p) for r, p in pids.items()}, time.monotonic()
    note('idle for 20 s')
    time.sleep(20)
    took = time.monotonic() - begin
    for role, limit in (('inventory', '<= 12'), ('discovery', '<= 6'), ('router', '<= 6'), ('names', '<= 6')):
        single(f'resident memory, 2 hosts: {role}', 'MB', [rss_kb(pids[role]) / 1024], limit)
        single(f'idle wake-ups: {role}', '1/s', [(switches(pids[role]) - before[role]) / took], '< 2', 2)


def row_loss():
    datapath('auto')
    for role in ('inventory', 'discovery', 'router', 'names', 'multicast', 'host'):
        client = subprocess.Popen([f'{TOP}/lab/docker', 'h1', 'exec', 'c1', '/probe', 'pps', '10.72.0.2', '7', '1000', '6'], stdout=subprocess.PIPE, text=True)
        time.sleep(1)
        if role == 'host':
            lab('service', 'h1', 'router', 'kill')
            lab('service', 'h1', 'router', 'start')
        else:
            old = roles('h1')[role]
            os.kill(old, 9)
            wait(f'{role} again', lambda r=role, o=old: roles('h1').get(r, o) not in (0, o))
        sent, received, gap = client.communicate(timeout=30)[0].split()
        single(f'lost at 1,000 pps, kill -9 {role}', 'packets', [int(sent) - int(received)], '0', 0)
        note(f'  longest gap {gap} ms')


def row_alone():
    """The two-container form, in a lab of its own: examples/multi-stack, a on h1, c on h2."""
    os.environ['LAB'], os.environ['ROUTER'] = LAB + '-alone', '0'
    try:
        lab('up', 'two-hosts')
        example = os.path.join(TOP, 'examples/multi-stack/docker-compose.stack-')
        for h, stack in (('h1', 'a'), ('h2', 'c')):
            lab('exec', h, os.path.join(TOP, 'scripts/build.sh'), '--import', env=dict(os.environ, BUILD=os.path.dirname(ROUTER_LINK)))
            lab('compose', h, '-p', f'stack-{stack}', '-f', f'{example}{stack}.yml', 'up', '-d', env=dict(os.environ, IMAGE='lab:1'))
            container(h, f'bench-{stack}', f'stack-{stack}_stack-{stack}', 'sh', '-c', '/probe echo 7 & exec iperf3 -s')
        to = docker('h2', 'inspect', '-f', '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}', 'bench-c').strip()
        wait('the two-container form', lambda: ping('bench-a', to))
        wait('iperf3 there', lambda: 'iperf Done' in docker('h1', 'exec', 'bench-a', 'iperf3', '-c', to, '-n', '1K', check=False))
        got = [iperf('bench-a', to, 1) for _ in range(5)]
        single('TCP 1 stream, two-container form', 'Gbit/s', [g[0] for g in got], None, 2)
        single('request/response, two-container form', '1/s',
               [float(docker('h1', 'exec', 'bench-a', '/probe', 'rr', to, 7, SECONDS)) for _ in range(5)], None, 0)
    finally:
        lab('down', check=False)
        os.environ['LAB'] = LAB
        del os.environ['ROUTER']


# --- 10,000 peers: router and discovery alone, in a namespace of their own ---------------------------------------------

PEERS = 10000
OWN = '00112233445566778899aabbccddeeff'


def peers_files(folder):
    now = time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())
    os.makedirs(folder)
    with open(f'{folder}/host_id', 'w', encoding='utf-8') as f:
        f.write(OWN + '\n')
    net = {'name': 's', 'id': 'abc', 'bridge': 'br-bench', 'endpoint': 'unix:///x', 'subnets': ['10.71.0.0/24'],
           'gateways': ['10.71.0.1'], 'internal': False, 'icc': True, 'mtu': 1500}
    with open(f'{folder}/inventory.json', 'w', encoding='utf-8') as f:
        json.dump({'version': 1, 'last_update': now, 'engines': [], 'problems': [],
                   'stacks': [{'stack_id': 's', 'vni': 1000, 'networks': [net], 'containers': []}]}, f, indent=1)
    peers = []
    for i in range(PEERS):
        ip = f'198.18.{i // 256}.{i % 256}'
        peers.append({'stack_id': f's{i}', 'host_ip': ip, 'vxlan_endpoint': ip + ':4789', 'vni': 1000, 'last_seen': now,
                      'status': 'active', 'subnets': [f'11.{i // 256}.{i % 256}.0/24'], 'host_id': f'{i + 1:032x}',
                      'host_name': f'h{i}', 'seq': 1, 'source': 'multicast'})
    with open(f'{folder}/discovery.json', 'w', encoding='utf-8') as f:
        json.dump({'version': 1, 'last_update': now, 'problems': [], 'peers': peers,
                   'self': {'host_id': OWN, 'host_name': 'h', 'host_ip': '192.0.2.1', 'vxlan_port': 4789, 'seq': 1,
                            'modes': ['multicast'], 'stacks': []}}, f, indent=1)


def ns_make(name):
    run('ip', 'netns', 'add', name)
    for line in ('link set dev lo up', 'link add dev eth0 type veth peer name eth1', 'addr add 192.0.2.1/24 dev eth0',
                 'link set dev eth0 up', 'link set dev eth1 up', 'link add dev br-bench type bridge',
                 'addr add 10.71.0.1/24 dev br-bench', 'link set dev br-bench up'):
        run('ip', '-n', name, *line.split())


def ns_run(net, *argv, **kw):
    return run('nsenter', f'--net={net}', *argv, **kw)


class Router:
    """The role router alone, as root, in namespace @ns."""

    def __init__(self, folder, ns, **more):
        env = dict(os.environ, STATE_DIR=f'{folder}/state', RUN_DIR=f'{folder}/run', **more)
        self.log = open(f'{folder}/log', 'a', encoding='utf-8')
        self.p = subprocess.Popen(['nsenter', f'--net=/run/netns/{ns}', ROUTER, 'router'], env=env, stderr=self.log)

    def stop(self):
        self.p.terminate()
        self.p.wait()
        self.log.close()


def entries_there(vni):
    """Cheap while the router works: only the count of FDB entries, which come first, then of routes, which come last."""
    if not os.path.exists(vni):
        return False
    out = ns_run(vni, 'ip', '-4', 'route', 'show', 'proto', '212', check=False)
    return out.count('dev vx1000') == PEERS


def settled(folder):
    """How long each plan that changed nothing took, from the change of the file on, in microseconds."""
    with open(f'{folder}/log', encoding='utf-8') as f:
        return re.findall(r'nothing to change us=(\d+)', f.read())


def row_peers():
    folder, ns = tempfile.mkdtemp(prefix='bench-'), f'dr-{LAB}-peers'
    vni = f'{folder}/run/{OWN[:8]}/vni-1000'
    ours, batch, again, restarted = [], [], [], []
    memory = None
    try:
        peers_files(f'{folder}/state')
        for i in range(5):
            for n in (ns, ns + '2'):
                ns_make(n)
            begin = time.monotonic()
            r = Router(folder, ns)
            while not entries_there(vni):
                time.sleep(0.01)
                if time.monotonic() - begin > 60:
                    raise SystemExit('bench: 10,000 routes did not come: ' + open(f'{folder}/log', encoding='utf-8').read()[-500:])
            ours.append((time.monotonic() - begin) * 1e3)
            wait('the host table', lambda: ns_run(f'/run/netns/{ns}', 'ip', 'route', 'show', 'table', '1694498815').count('\n') >= PEERS)
            wait('router.json', lambda: '"failed"' in open(f'{folder}/state/router.json', encoding='utf-8').read())
            time.sleep(1)
            memory = rss_kb(r.p.pid) / 1024
            r.stop()
            # the same entries by iproute2, in a namespace of the same kind
            files = {
                'route': ['route replace ' + x.replace('proto 212', '') for x in ns_run(vni, 'ip', '-4', 'route', 'show', 'proto', '212').splitlines() if 'vx1000' in x],
                'neigh': [f'neigh replace {x.split()[0]} lladdr {x.split()[2]} dev vx1000 nud permanent' for x in ns_run(vni, 'ip', '-6', 'neigh', 'show', 'dev', 'vx1000', 'nud', 'permanent').splitlines()],
                'fdb': [f'fdb replace {x.split()[0]} dev vx1000 dst {x.split()[2]} self permanent' for x in ns_run(vni, 'bridge', 'fdb', 'show', 'dev', 'vx1000').splitlines() if ' dst ' in x],
                'host': [],
            }
            for table in set(re.findall(r'lookup (1\d+)', ns_run(f'/run/netns/{ns}', 'ip', '-4', 'rule'))):
                files['host'] += [f'route replace {x.replace("proto 212", "")} table {table}' for x in ns_run(f'/run/netns/{ns}', 'ip', '-4', 'route', 'show', 'table', table).splitlines()]
            run('ip', '-n', ns + '2', 'link', 'add', 'dev', 'vx1000', 'type', 'vxlan', 'id', '1000', 'dstport', '4789', 'local', '192.0.2.1', 'nolearning')
            run('ip', '-n', ns + '2', 'link', 'set', 'dev', 'vx1000', 'up')
            for kind, lines in files.items():
                with open(f'{folder}/{kind}', 'w', encoding='utf-8') as f:
                    f.write('\n'.join(lines) + '\n')
            if i == 0:
                note('entries: ' + ', '.join(f'{len(v)} {k}' for k, v in files.items()))
            begin = time.monotonic()
            for kind in files:
                run('bridge' if kind == 'fdb' else 'ip', *(('-6',) if kind == 'neigh' else ()), '-n', ns + '2', '-batch', f'{folder}/{kind}')
            batch.append((time.monotonic() - begin) * 1e3)
            # again, with nothing to change
            watch = subprocess.Popen(['nsenter', f'--net={vni}', 'ip', 'monitor', 'all'], stdout=open(f'{folder}/writes', 'w', encoding='utf-8'))
            os.truncate(f'{folder}/log', 0)
            begin = time.monotonic()
            r = Router(folder, ns, LOG_LEVEL='debug')
            wait('the second start', lambda: settled(folder))
            restarted.append((time.monotonic() - begin) * 1e3)
            for _ in range(3):
                n = len(settled(folder))
                shutil.copy(f'{folder}/state/discovery.json', f'{folder}/state/.new')
                os.rename(f'{folder}/state/.new', f'{folder}/state/discovery.json')
                wait('the next plan', lambda count=n: len(settled(folder)) > count)
            again += [int(us) / 1e3 for us in settled(folder)[-3:]]
            r.stop()
            watch.terminate()
            watch.wait()
            writes = open(f'{folder}/writes', encoding='utf-8').read().count('\n')
            if writes:
                note(f'netlink writes with nothing to change: {writes}')
            run('umount', '-l', vni)
            for n in (ns, ns + '2'):
                run('ip', 'netns', 'del', n)
            os.remove(vni)
    finally:
        subprocess.run(['umount', '-l', vni], stderr=subprocess.DEVNULL, check=False)
        for n in (ns, ns + '2'):
            subprocess.run(['ip', 'netns', 'del', n], stderr=subprocess.DEVNULL, check=False)
        shutil.rmtree(folder, ignore_errors=True)
    versus('10,000 peers: start -> all in the kernel', 'ms', ours, batch, 'ip -batch, bridge -batch', '<= 1.2')
    single('10,000 peers, file written anew, nothing to change', 'ms', again, '<= 100')
    single('10,000 peers, start again, nothing to change', 'ms', restarted)
    single('resident memory, 10,000 peers: router', 'MB', [memory], '<= 40')


def row_manynames():
    """The role names alone, with 10,000 names of other hosts."""
    folder = tempfile.mkdtemp(prefix='bench-')
    now = time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())
    os.chmod(folder, 0o755)  # names drops its privileges
    p = None
    try:
        peers_files(f'{folder}/state')
        stacks = [{'host_id': f'{s + 1:032x}', 'host_name': f'h{s}', 'stack_id': f's{s}', 'vni': 1000, 'names': [
            {'name': f'name-{n}', 'kind': 'service', 'addresses': [f'11.0.{s}.{n % 250 + 1}']} for n in range(PEERS // 4)]} for s in range(4)]
        with open(f'{folder}/state/discovery.json', encoding='utf-8') as f:
            known = json.load(f)
        known['peers'] = known['peers'][:4]
        for name, what in (('discovery.json', known), ('names.json', {'version': 1, 'last_update': now, 'stacks': stacks, 'problems': []})):
            with open(f'{folder}/state/{name}', 'w', encoding='utf-8') as f:
                json.dump(what, f, indent=1)
        env = dict(os.environ, STATE_DIR=f'{folder}/state', RUN_DIR=f'{folder}/run', LOG_LEVEL='debug', NAMES_LISTEN='off')

        def reads():
            with open(f'{folder}/log', encoding='utf-8') as f:
                return re.findall(r'state files read took_us=(\d+)', f.read())
        ours, broker = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)  # a broker that nothing is asked of
        env['DOCKER_ROUTER_BROKER_FD'] = str(broker.fileno())
        with open(f'{folder}/log', 'w', encoding='utf-8') as log:
            p = subprocess.Popen([ROUTER, 'names'], env=env, stderr=log, pass_fds=[broker.fileno()])
        broker.close()
        wait('names', reads)
        for _ in range(10):
            n = len(reads())
            shutil.copy(f'{folder}/state/names.json', f'{folder}/state/.new')
            os.rename(f'{folder}/state/.new', f'{folder}/state/names.json')
            wait('the next reading', lambda count=n: len(reads()) > count)
        took = [int(us) / 1e3 for us in reads()]
        wait('records.json', lambda: os.path.exists(f'{folder}/state/records.json'))
        with open(f'/proc/{p.pid}/status', encoding='utf-8') as f:
            peak = int(re.search(r'VmHWM:\s+(\d+)', f.read()).group(1)) / 1024
        memory = rss_kb(p.pid) / 1024
        ours.close()
    finally:
        if p:
            p.kill()
            p.wait()
        shutil.rmtree(folder, ignore_errors=True)
    single('10,000 names: file written anew, read', 'ms', took, '<= 100')
    single('resident memory, 10,000 names: names', 'MB', [memory], '<= 20')
    single('the same, at its highest', 'MB', [peak], '<= 20')


SENDERS = 40  # hosts of 250 stacks each


def row_discovery():
    """10,000 peers heard on the wire: 40 real discoveries in one namespace announce to one in another."""
    folder, here, there = tempfile.mkdtemp(prefix='bench-'), f'dr-{LAB}-ear', f'dr-{LAB}-mouth'
    procs = []

    def start(name, ns, ip, stacks, **more):
        path = f'{folder}/{name}'
        os.makedirs(path)
        nets = [{'name': f's{i}', 'id': f'{name}{i}', 'bridge': '', 'endpoint': 'unix:///x', 'subnets': [f'11.{stacks.start // 250}.{i}.0/24'],
                 'gateways': [], 'internal': False, 'icc': True, 'mtu': 1500} for i in range(len(stacks))]
        with open(f'{path}/inventory.json', 'w', encoding='utf-8') as f:
            json.dump({'version': 1, 'last_update': '2024-01-01T00:00:00Z', 'engines': [], 'problems': [], 'stacks': [
                {'stack_id': n['id'], 'vni': 1000, 'networks': [n], 'containers': []} for n in nets]}, f)
        env = dict(os.environ, STATE_DIR=path, HOST_IP=ip, LOG_LEVEL='error', **more)
        procs.append(subprocess.Popen(['nsenter', f'--net=/run/netns/{ns}', ROUTER, 'discovery'], env=env, stderr=subprocess.DEVNULL))
        return procs[-1].pid

    def heard():
        try:
            with open(f'{folder}/ear/discovery.json', encoding='utf-8') as f:
                return f.read().count('"host_ip"') - 1
        except OSError:
            return 0
    try:
        os.chmod(folder, 0o755)
        for n in (here, there):
            run('ip', 'netns', 'add', n)
        run('ip', 'link', 'add', 'dev', 'eth0', 'netns', here, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', there)
        run('ip', '-n', here, 'addr', 'add', '198.51.100.250/24', 'dev', 'eth0')
        for i in range(SENDERS):
            run('ip', '-n', there, 'addr', 'add', f'198.51.100.{i + 1}/24', 'dev', 'eth0')
        for n in (here, there):
            run('ip', '-n', n, 'link', 'set', 'dev', 'eth0', 'up')
        pid = start('ear', here, '198.51.100.250', range(0))
        wait('discovery', lambda: os.path.exists(f'{folder}/ear/discovery.json'))
        begin = time.monotonic()
        for i in range(SENDERS):
            start(f'm{i}-', there, f'198.51.100.{i + 1}', range(i * 250, i * 250 + 250), DISCOVERY_MODE='static',
                  PEERS='198.51.100.250')
        wait('10,000 peers', lambda: heard() >= PEERS, 120)
        note(f'{heard()} peers heard after {time.monotonic() - begin:.1f} s')
        time.sleep(2)
        single('resident memory, 10,000 peers: discovery', 'MB', [rss_kb(pid) / 1024], '<= 40')
    finally:
        for p in procs:
            p.kill()
            p.wait()
        for n in (here, there):
            subprocess.run(['ip', 'netns', 'del', n], stderr=subprocess.DEVNULL, check=False)
        shutil.rmtree(folder, ignore_errors=True)


# --- all of it --------------------------------------------------------------------------------------------------------

def table():
    print(f'\n{"":52} {"median":>10} {"":8} {"min..max":>20}  {"peer":24} {"ratio (95 %)":>22}  to reach')
    for r in results:
        peer = f'{r["peer"]} {r["peer_median"]:.2f}' if 'peer' in r else ''
        ratio = f'{r["ratio"]:.2f} ({r["ratio_low"]:.2f}..{r["ratio_high"]:.2f})' if 'peer' in r else ''
        span = f'{r["min"]:.2f}..{r["max"]:.2f}' if r['n'] > 1 else ''
        print(f'{r["row"]:52} {r["median"]:10.2f} {r["unit"]:8} {span:>20}  {peer:24} {ratio:>22}  {r["target"] or ""}')


def main():
    global PROBE
    rows = {'throughput': row_throughput, 'rr': row_rr, 'start': row_start, 'connect': row_connect, 'loss': row_loss,
            'mapped': row_mapped, 'names': row_names, 'manynames': row_manynames, 'memory': row_memory, 'alone': row_alone, 'peers': row_peers, 'discovery': row_discovery,
            'multicast': lambda: multicast.rows(sys.modules['__main__']),
            'mcasthosts': lambda: mcast_hosts.rows(sys.modules['__main__']),
            'dlna': lambda: dlna.rows(sys.modules['__main__']),
            'init': lambda: init.rows(sys.modules['__main__']),
            'attach': lambda: attach.rows(sys.modules['__main__']),
            'attachdocker': lambda: attach.docker_rows(sys.modules['__main__']),
            'gossip': lambda: gossip.rows(sys.modules['__main__']),
            'cluster': lambda: cluster.rows(sys.modules['__main__']),
            'wireguard': lambda: wireguard.rows(sys.modules['__main__']),
            'driver': lambda: driver.rows(sys.modules['__main__'])}
    wanted = sys.argv[1:] or list(rows)
    if unknown := [w for w in wanted if w not in rows]:
        raise SystemExit(f'bench: no row {unknown[0]}; there are {" ".join(rows)}')
    os.environ['TZ'] = 'UTC'
    time.tzset()
    folder = tempfile.mkdtemp(prefix='bench-')
    os.chmod(folder, 0o755)
    try:
        PROBE = probe_build(folder)
        if set(wanted) - {'alone', 'peers', 'discovery', 'manynames', 'gossip', 'cluster', 'init', 'multicast', 'mcasthosts', 'dlna', 'wireguard', 'driver', 'attach', 'attachdocker'}:
            note('two hosts')
            lab('up', 'two-hosts')
            two_stacks()
            if set(wanted) & {'throughput', 'rr', 'start', 'names'}:
                note("Swarm's overlay beside it")
                swarm()
                routed()
        for w in wanted:
            rows[w]()
    finally:
        if os.path.isdir(DIR):
            lab('down', check=False)
        shutil.rmtree(folder, ignore_errors=True)
    table()
    out = os.path.join(os.environ.get('BUILD', '.'), 'bench.json')
    with open(out, 'w', encoding='utf-8') as f:
        json.dump({'engine': os.environ.get('ENGINE', 'debian'), 'rounds': ROUNDS, 'seconds': SECONDS, 'rows': results}, f, indent=1)
    print(f'\nas JSON: {out}')


if __name__ == '__main__':
    main()
