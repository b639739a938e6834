# SPDX-License-Identifier: Apache-2.0
"""Rows of bench.py: a cluster of two Docker hosts whose peers come from etcd, sealed. How long a change in etcd takes to be a
route in the kernel, and what a flow of 1,000 packets a second loses while the cluster key is changed, while etcd is away
for longer than its leases live, and while discovery is killed.

What matters is that the lease runs out while etcd is away: it is 5 s here, 30 s otherwise, and etcd is away for 20 s. As long as one
likes with LEASE and OUTAGE in the environment, both in seconds.
"""
import base64
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

CHANGES = 21
LEASE_S, OUTAGE_S = int(os.environ.get('LEASE', '5')), int(os.environ.get('OUTAGE', '20'))
NODE = '192.0.2.9'


class Etcd:
    def __init__(self, b, folder):
        self.b, self.folder, self.proc = b, folder, None
        self.enter = ['nsenter', f'--net=/run/netns/dr-{b.LAB}-store']

    def start(self):
        with open(f'{self.folder}/etcd.log', 'a', encoding='utf-8') as log:
            self.proc = subprocess.Popen([*self.enter, 'etcd', '--data-dir', f'{self.folder}/etcd', '--log-level', 'warn', '--logger', 'zap',
                                          '--listen-client-urls', f'http://{NODE}:2379', '--advertise-client-urls', f'http://{NODE}:2379',
                                          '--listen-peer-urls', 'http://127.0.0.1:2380'], stdout=log, stderr=log)

    def kill(self):
        if self.proc:
            self.proc.send_signal(signal.SIGKILL)
            self.proc.wait()

    def ctl(self, *argv):
        return self.b.run(*self.enter, 'etcdctl', '--endpoints', f'http://{NODE}:2379', *argv, env=dict(os.environ, ETCDCTL_API='3'))


# in the namespace of etcd: a key and a value a line, base64; says when it began to put them
PUT = """
import http.client, json, sys, time
for line in sys.stdin:
    key, value = line.split()
    c = http.client.HTTPConnection(sys.argv[1], 2379, timeout=10)
    c.connect()
    begin = time.time()
    c.request('POST', '/v3/kv/put', json.dumps({'key': key, 'value': value}))
    c.getresponse().read()
    print(begin, flush=True)
"""


def changes(b, etcd):
    """From the begin of a put until `ip monitor` in the router namespace tells of the route. In clear, so that it can be put by hand."""
    vni, took, host = f"{b.state('h1', 'host.json')['run_dir']}/vni-1000", [], '7' * 32
    with tempfile.NamedTemporaryFile('r') as log:
        with open(log.name, 'w', encoding='utf-8') as out:
            writer = subprocess.Popen([*etcd.enter, 'python3', '-c', PUT, NODE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            monitor = subprocess.Popen(['stdbuf', '-oL', 'nsenter', f'--net={vni}', 'ip', '-ts', '-4', 'monitor', 'route'], stdout=out)
        try:
            time.sleep(0.5)
            for i in range(CHANGES):
                value = {'stack_id': f'new{i}', 'host_ip': '192.0.2.77', 'vxlan_endpoint': '192.0.2.77:4789', 'vni': 1000, 'host_id': host,
                         'seq': i + 1, 'subnets': [f'10.100.{i}.0/24']}
                pair = [base64.b64encode(x.encode()).decode() for x in (f'/docker-router/discovery/new{i}/{host}/1000', json.dumps(value))]
                writer.stdin.write(' '.join(pair) + '\n')
                writer.stdin.flush()
                put = float(writer.stdout.readline())

                def seen(n=i):
                    with open(log.name, encoding='utf-8') as f:
                        return re.search(r'\[([0-9T:.-]+)\] 10\.100\.%d\.0/24 ' % n, f.read())
                b.wait(f'the route of change {i}', seen, 30)
                whole, part = seen().group(1).split('.')
                at = time.mktime(time.strptime(whole, '%Y-%m-%dT%H:%M:%S')) + float('0.' + part)
                took.append(max(0, at - put) * 1000)
        finally:
            for p in (monitor, writer):
                p.terminate()
                p.wait()
    b.single('etcd change -> route in the kernel', 'ms', took, '<= 50 median')


def flow(b, seconds):
    return subprocess.Popen([f'{b.TOP}/lab/docker', 'h1', 'exec', 'c1', '/probe', 'pps', '10.72.0.2', '7', '1000', str(seconds)],
                            stdout=subprocess.PIPE, text=True)


def lost(b, client):
    sent, received, gap = client.communicate(timeout=120)[0].split()
    b.note(f'  longest gap {gap} ms')
    return int(sent) - int(received)


def tell(b, row, values):
    b.single(f'lost at 1,000 pps, {row}', 'packets', values, '0', 0)


def on(b, host, *argv, **kw):
    return b.lab('exec', host, 'docker-router', *argv, **kw)


def key_seals(b, host, key):
    return b.state(host, 'discovery.json').get('self', {}).get('key_id', '') == key


def key_first(b):
    """The first key, to hosts that run: from clear to sealed"""
    key = b.run(b.ROUTER, 'keygen')
    for h in ('h1', 'h2'):
        on(b, h, 'key', 'add', input=key)
    listed = json.loads(on(b, 'h1', 'key', 'list', '--format', 'json'))['keys']
    for h in ('h1', 'h2'):
        b.wait(f'{h} seals', lambda h=h: key_seals(b, h, listed[0]['id']))
    return listed[0]['id']


def key_changed(b, old):
    """add, use and remove on both hosts"""
    key = b.run(b.ROUTER, 'keygen')
    for h in ('h1', 'h2'):
        on(b, h, 'key', 'add', input=key)
    new = json.loads(on(b, 'h1', 'key', 'list', '--format', 'json'))['keys'][1]['id']
    for h in ('h1', 'h2'):
        on(b, h, 'key', 'use', new)
        b.wait(f'{h} seals', lambda h=h: key_seals(b, h, new))
    for h in ('h1', 'h2'):
        on(b, h, 'key', 'remove', old)
    return new


def rows(b):
    """All rows; @b is the module bench."""
    if not shutil.which('etcd') or not shutil.which('etcdctl'):
        b.note('no etcd: no rows of clusters')
        return
    if os.path.isdir(b.DIR):
        b.lab('down')
    folder, etcd = tempfile.mkdtemp(prefix='bench-'), None
    try:
        settings = f'DISCOVERY_MODE=etcd ETCD_ENDPOINTS=http://{NODE}:2379 ETCD_LEASE_TTL={LEASE_S} PEER_TIMEOUT=10 ANNOUNCE_INTERVAL=2'
        with open(os.path.join(folder, 'topology'), 'w', encoding='utf-8') as f:
            f.write(f'switch sw\nnode store {NODE}/24\n' + ''.join(f'host h{n} 192.0.2.{n}/24 {settings}\n' for n in (1, 2)))
        b.lab('up', os.path.join(folder, 'topology'))
        etcd = Etcd(b, folder)
        etcd.start()
        b.wait('etcd', lambda: 'is healthy' in subprocess.run([*etcd.enter, 'etcdctl', '--endpoints', f'http://{NODE}:2379', 'endpoint', 'health'],
               env=dict(os.environ, ETCDCTL_API='3'), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False).stdout)
        b.two_stacks()
        b.note('changes in etcd')
        changes(b, etcd)
        etcd.ctl('del', '--prefix', '/docker-router/discovery/new')
        client = flow(b, 4)
        time.sleep(1)
        key, changed = key_first(b), []
        tell(b, 'the first cluster key', [lost(b, client)])
        for _ in range(3):
            client = flow(b, 4)
            time.sleep(1)
            key = key_changed(b, key)
            changed.append(lost(b, client))
        tell(b, 'the cluster key is changed', changed)
        client = flow(b, LEASE_S + OUTAGE_S + 12)
        time.sleep(1)
        etcd.kill()
        time.sleep(OUTAGE_S)
        etcd.start()
        tell(b, f'etcd away {OUTAGE_S} s, leases of {LEASE_S} s', [lost(b, client)])
        client = flow(b, 8)
        time.sleep(1)
        old = b.roles('h1')['discovery']
        os.kill(old, signal.SIGKILL)
        b.wait('discovery again', lambda: b.roles('h1').get('discovery', old) not in (0, old))
        tell(b, 'kill -9 discovery, mode etcd', [lost(b, client)])
    finally:
        if etcd:
            etcd.kill()
        if os.path.isdir(b.DIR):
            b.lab('down', check=False)
        shutil.rmtree(folder, ignore_errors=True)
