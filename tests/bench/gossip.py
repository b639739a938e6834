# SPDX-License-Identifier: Apache-2.0
"""Rows of bench.py: the mode gossip among 20 and 100 real members, beside Debian's serf with 20; and one real member among
1,000, of which the others are real too but share a process (crowd.c).

All members run on lo of one namespace, an address each. What is timed is what all others know, in their discovery.json, or
as `serf members` tells.
"""
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

ROUNDS = 5


class Members:
    def __init__(self, b, count, folder, ns):
        self.b, self.folder, self.ns, self.procs = b, folder, ns, {}
        for i in range(1, count + 1):
            b.run('ip', '-n', ns, 'addr', 'add', f'10.99.{i // 200}.{i % 200 + 1}/16', 'dev', 'lo')

    def start(self, i):
        path = f'{self.folder}/{i}'
        os.makedirs(path, exist_ok=True)
        env = dict(os.environ, STATE_DIR=path, HOST_IP=f'10.99.{i // 200}.{i % 200 + 1}', INTERFACE='lo', CONFIG='', LOG_LEVEL='error',
                   DISCOVERY_MODE='gossip', GOSSIP_JOIN='10.99.0.2', STACK_ID=f's{i}', VNI='1000',
                   STACK_SUBNETS=f'10.{100 + i // 250}.{i % 250}.0/24')
        self.procs[i] = subprocess.Popen(['nsenter', f'--net=/run/netns/{self.ns}', self.b.ROUTER, 'discovery'], env=env,
                                         stderr=subprocess.DEVNULL)

    def stop(self, i, how):
        self.procs[i].send_signal(how)

    def gone(self, i):
        self.procs.pop(i).wait()

    def knows(self, i, other):
        try:
            with open(f'{self.folder}/{i}/discovery.json', encoding='utf-8') as f:
                return f'"s{other}"' in f.read()
        except OSError:
            return False

    def full(self, n):
        def peers(i):
            try:
                with open(f'{self.folder}/{i}/discovery.json', encoding='utf-8') as f:
                    return len(json.load(f)['peers'])
            except (OSError, ValueError):
                return 0
        return all(peers(i) == n - 1 for i in self.procs)

    def until(self, other, want):
        """ms until all know that @other is there, or is not"""
        begin, left = time.monotonic(), [i for i in self.procs if i != other]
        while left and time.monotonic() < begin + 30:
            left = [i for i in left if self.knows(i, other) != want]
        return (time.monotonic() - begin) * 1000


def traffic(ns):
    text = subprocess.run(['nsenter', f'--net=/run/netns/{ns}', 'cat', '/proc/net/dev'], stdout=subprocess.PIPE, text=True, check=True).stdout
    return int(next(line for line in text.splitlines() if line.strip().startswith('lo:')).split(':')[1].split()[0])


def twenty(b, folder, ns, peer):
    m, join, leave, crash = Members(b, 20, folder, ns), [], [], []
    try:
        for i in range(1, 21):
            m.start(i)
        b.wait('20 members', lambda: m.full(20), 60)
        for r in range(ROUNDS):
            time.sleep(2)
            m.stop(20 - r, signal.SIGTERM)
            leave.append(m.until(20 - r, False))
            m.gone(20 - r)
            time.sleep(1)
            m.start(20 - r)
            join.append(m.until(20 - r, True))
            time.sleep(1)
            m.stop(20 - r, signal.SIGKILL)
            crash.append(m.until(20 - r, False))
            m.gone(20 - r)
            m.start(20 - r)
            b.wait('20 members', lambda: m.full(20), 60)
        for row, ours, limit in (('crash', crash, '<= 2000'), ('leave', leave, '<= 100'), ('join', join, '<= 300')):
            name = f'20 members: {row} known to all'
            if row in peer:
                b.versus(name, 'ms', ours, peer[row] * ROUNDS, 'serf', limit)
            else:
                b.single(name, 'ms', ours, limit)
        b.single('resident memory, 20 members: discovery', 'MB', [b.rss_kb(p.pid) / 1024 for p in m.procs.values()], '<= 6')
    finally:
        for p in m.procs.values():
            p.kill()
            p.wait()


def hundred(b, folder, ns):
    m, seconds = Members(b, 100, folder, ns), 20
    try:
        for i in range(1, 101):
            m.start(i)
        b.wait('100 members', lambda: m.full(100), 120)
        time.sleep(10)
        before, woken = traffic(ns), [b.switches(p.pid) for p in m.procs.values()]
        time.sleep(seconds)
        # what lo carries is sent once and received once
        b.single('100 members, idle: sent and received by each', 'kB/s', [2 * (traffic(ns) - before) / seconds / 100 / 1000], '<= 3', 2)
        b.single('100 members, idle: wake-ups of each', '1/s',
                 [(b.switches(p.pid) - w) / seconds for p, w in zip(m.procs.values(), woken)], '<= 15')
    finally:
        for p in m.procs.values():
            p.kill()
            p.wait()


class Hosts:
    """Hosts with a router and a discovery each in the form that needs no Docker, on one switch, and a namespace for the containers
    of each: hN is 192.0.2.N, its stack 10.1NN.0.0/24, of which .2 answers."""

    def __init__(self, b, count, folder):
        self.b, self.count, self.folder, self.procs, self.discovery = b, count, folder, [], {}
        self.made = []
        for n in ['sw', *(f'{k}{i}' for i in range(1, count + 1) for k in 'hc')]:
            self.made.append(self.ns(n))
            b.run('ip', 'netns', 'add', self.ns(n))
        b.run('ip', '-n', self.ns('sw'), 'link', 'add', 'name', 'br0', 'up', 'type', 'bridge')
        for i in range(1, count + 1):
            h, c = self.ns(f'h{i}'), self.ns(f'c{i}')
            b.run('ip', 'link', 'add', 'name', f'p{i}', 'netns', self.ns('sw'), 'type', 'veth', 'peer', 'name', 'eth0', 'netns', h)
            b.run('ip', '-n', self.ns('sw'), 'link', 'set', 'dev', f'p{i}', 'master', 'br0', 'up')
            b.run('ip', 'link', 'add', 'name', 'st', 'netns', h, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', c)
            for ns, dev, address in ((h, 'eth0', f'192.0.2.{i}/24'), (h, 'st', f'10.{100 + i}.0.1/24'), (c, 'eth0', f'10.{100 + i}.0.2/24')):
                b.run('ip', '-n', ns, 'addr', 'add', address, 'dev', dev)
                b.run('ip', '-n', ns, 'link', 'set', 'dev', dev, 'up')
            b.run('ip', '-n', h, 'route', 'add', 'default', 'via', '192.0.2.254')
            b.run('ip', '-n', c, 'route', 'add', 'default', 'via', f'10.{100 + i}.0.1')
            b.run('nsenter', f'--net=/run/netns/{h}', 'sysctl', '-qw', 'net.ipv4.ip_forward=1')
            self.procs.append(self.role(i, 'router'))
            self.procs.append(self.inside(f'c{i}', b.PROBE, 'echo', '7'))

    def ns(self, name):
        return f'dr-{self.b.LAB}-{name}'

    def inside(self, name, *argv, **kw):
        return subprocess.Popen(['nsenter', f'--net=/run/netns/{self.ns(name)}', *argv], stderr=subprocess.DEVNULL, **kw)

    def role(self, i, role):
        path = f'{self.folder}/j{i}'
        os.makedirs(path, exist_ok=True)
        return self.inside(f'h{i}', self.b.ROUTER, role, env=dict(
            os.environ, STATE_DIR=path, RUN_DIR=f'{path}/run', CONFIG='', LOG_LEVEL='error', STACK_ID=f's{i}', VNI='1000',
            STACK_SUBNETS=f'10.{100 + i}.0.0/24', DISCOVERY_MODE='gossip', GOSSIP_JOIN='192.0.2.1', HOST_IP=f'192.0.2.{i}'))

    def join(self, i):
        self.discovery[i] = self.role(i, 'discovery')

    def knows(self, i, n):
        try:
            with open(f'{self.folder}/j{i}/router.json', encoding='utf-8') as f:
                return sum(r['stack_id'] != f's{i}' for v in json.load(f)['vnis'] for r in v['routes']) == n
        except (OSError, ValueError, KeyError):
            return False

    def end(self):
        for p in [*self.procs, *self.discovery.values()]:
            p.kill()
            p.wait()
        for n in self.made:
            subprocess.run(['ip', 'netns', 'del', n], stderr=subprocess.DEVNULL, check=False)


def flows(b, folder):
    """The 20th joins: how long from the start of its discovery until a container of each of the others has an answer of one of its
    own? Its router runs already, and has nothing to do, as under `docker-router host` before `docker-router join`"""
    hosts, took = None, []
    try:
        hosts = Hosts(b, 20, folder)
        for i in range(1, 20):
            hosts.join(i)
        b.wait('19 hosts with routes', lambda: all(hosts.knows(i, 18) for i in range(1, 20)), 120)
        for _ in range(ROUNDS):
            time.sleep(2)
            asking = [hosts.inside(f'c{i}', b.PROBE, 'first', '10.120.0.2', '7', '30', stdout=subprocess.PIPE, text=True) for i in range(1, 20)]
            time.sleep(0.5)
            begin = time.time()
            hosts.join(20)
            first = [int(p.communicate(timeout=60)[0].split()[1]) / 1e6 for p in asking]
            took.append(max(first) - begin * 1e3)
            hosts.discovery[20].send_signal(signal.SIGTERM)
            hosts.discovery.pop(20).wait()
            b.wait('the routes to go', lambda: all(hosts.knows(i, 18) for i in range(1, 20)), 60)
        b.single('20 members: join -> traffic flows from all', 'ms', took, '<= 300')
    finally:
        if hosts:
            hosts.end()


def thousand(b, folder, ns):
    """One discovery, and 999 members by crowd: joined, then at rest"""
    m, known = Members(b, 0, folder, ns), 0
    lines = ''.join(f'addr add 10.99.{i // 200}.{i % 200 + 1}/16 dev lo\n' for i in range(1, 1001))
    b.run('ip', '-n', ns, '-batch', '-', input=lines)
    crowd = subprocess.Popen(['nsenter', f'--net=/run/netns/{ns}', f'{os.environ["BUILD"]}/tests/bench/crowd', '999'], stdout=subprocess.PIPE,
                             text=True)
    try:
        end = time.monotonic() + 300
        while known < 999:
            known = min(map(int, crowd.stdout.readline().split() or '0'))
            if time.monotonic() > end or crowd.poll() is not None:
                raise SystemExit(f'bench: the crowd has not found itself: {known} of 999')
        m.start(1000)
        begin = time.monotonic()
        b.wait('1,000 members', lambda: m.full(1000), 120)
        b.note(f'the real member knows 999 others after {time.monotonic() - begin:.1f} s')
        rss = []
        for _ in range(10):
            time.sleep(1)
            rss.append(b.rss_kb(m.procs[1000].pid) / 1024)
        b.single('resident memory, 1,000 members: discovery', 'MB', rss, '<= 16')
    finally:
        crowd.kill()
        crowd.wait()
        for p in m.procs.values():
            p.kill()
            p.wait()


def serf(b, ns):
    """One join, one crash and one leave: it takes seconds each time"""
    if not shutil.which('serf'):
        b.note('no serf here: nothing beside gossip')
        return {}
    procs = {}

    def ip(i):
        return f'10.98.0.{i}'

    def members(i):
        out = subprocess.run(['nsenter', f'--net=/run/netns/{ns}', 'serf', 'members', f'-rpc-addr={ip(i)}:7373', '-format=json'],
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False).stdout
        try:
            return {x['name']: x['status'] for x in json.loads(out)['members']}
        except (ValueError, KeyError):
            return {}

    def start(i):
        procs[i] = subprocess.Popen(['nsenter', f'--net=/run/netns/{ns}', 'serf', 'agent', f'-node=n{i}', f'-bind={ip(i)}:7946',
                                     f'-rpc-addr={ip(i)}:7373', '-profile=lan', f'-retry-join={ip(1)}', '-retry-interval=1s'],
                                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def until(other, status):
        begin = time.monotonic()
        left = [i for i in procs if i != other]
        while left and time.monotonic() < begin + 60:
            left = [i for i in left if members(i).get(f'n{other}') != status]
        return (time.monotonic() - begin) * 1000
    try:
        for i in range(1, 21):
            b.run('ip', '-n', ns, 'addr', 'add', f'{ip(i)}/24', 'dev', 'lo')
            if i < 20:
                start(i)
        b.wait('19 serfs', lambda: all(list(members(i).values()).count('alive') == 19 for i in (1, 10, 19)), 60)
        time.sleep(3)
        start(20)
        join = until(20, 'alive')
        time.sleep(3)
        procs[20].kill()
        crash = until(20, 'failed')
        procs.pop(20).wait()
        subprocess.Popen(['nsenter', f'--net=/run/netns/{ns}', 'serf', 'leave', f'-rpc-addr={ip(19)}:7373'], stdout=subprocess.DEVNULL)
        return {'join': [join], 'crash': [crash], 'leave': [until(19, 'left')]}
    finally:
        for p in procs.values():
            p.kill()
            p.wait()


def rows(b):
    for what in ('serf', 'twenty', 'flows', 'hundred', 'thousand'):
        ns, folder = f'dr-{b.LAB}-gossip', tempfile.mkdtemp(prefix='bench-')
        os.chmod(folder, 0o755)
        b.run('ip', 'netns', 'add', ns)
        try:
            b.run('ip', '-n', ns, 'link', 'set', 'dev', 'lo', 'up')
            if what == 'serf':
                peer = serf(b, ns)
            elif what == 'twenty':
                twenty(b, folder, ns, peer)
            elif what == 'flows':
                flows(b, folder)
            elif what == 'hundred':
                hundred(b, folder, ns)
            else:
                thousand(b, folder, ns)
        finally:
            subprocess.run(['ip', 'netns', 'del', ns], stderr=subprocess.DEVNULL, check=False)
            shutil.rmtree(folder, ignore_errors=True)
