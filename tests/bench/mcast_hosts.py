# SPDX-License-Identifier: Apache-2.0
"""Rows of bench.py: a stream from one of three hosts over the overlay, in a lab of its own with dockerds."""
import os
import subprocess
import tempfile
import time

VNI = 1000
HOSTS = ('h1', 'h2', 'h3')
STREAM = 'tests/docker/stream.py'
JOINS = 10

# prints the time from the join to the first datagram, in milliseconds
JOIN = '''
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[2], 5000))
s.settimeout(20)
begin = time.monotonic()
s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(sys.argv[2]) + socket.inet_aton(sys.argv[1]))
s.recv(2000)
print((time.monotonic() - begin) * 1000)
'''


def argv(b, host, *command):
    pid = b.docker(host, 'inspect', '-f', '{{.State.Pid}}', f'm{host}').strip()
    return ['nsenter', f'--net=/proc/{pid}/ns/net', *map(str, command)]


def address(host):
    return f'10.7{host[1:]}.0.2'


def send(b, host, group, count):
    return subprocess.Popen(argv(b, host, os.path.join(b.TOP, STREAM), 'send', address(host), group, count, 1000, 1))


def hear(b, host, group, count):
    p = subprocess.Popen(argv(b, host, os.path.join(b.TOP, STREAM), 'hear', address(host), group, 60, count),
                         stdout=subprocess.PIPE, text=True)
    p.stdout.readline()
    return p


def tunnel(b, host, *command):
    return b.run('nsenter', f'--net={b.state(host, "router.json")["vnis"][0]["namespace"]}', *command)


def to_hosts(b, group):
    """Addresses that h1's tunnel sends the group to"""
    mac = '01:00:5e:' + ':'.join(f'{int(x) & (0x7f if i == 0 else 0xff):02x}' for i, x in enumerate(group.split('.')[1:]))
    return [line.split(' dst ')[1].split()[0] for line in tunnel(b, 'h1', 'bridge', 'fdb').splitlines()
            if line.startswith(mac) and ' dst ' in line]


def received(b, host):
    text = tunnel(b, host, 'ip', '-s', 'link', 'show', 'dev', f'vx{VNI}').splitlines()
    at = next(i for i, line in enumerate(text) if 'RX:' in line)
    return int(text[at + 1].split()[1])


def rows(b):
    os.environ['LAB'] = b.LAB + '-mcast'
    old, b.DIR = b.DIR, os.path.join(b.LAB_DIR, os.environ['LAB'])
    folder = tempfile.mkdtemp(prefix='bench-')
    script = os.path.join(folder, 'join.py')
    with open(script, 'w', encoding='utf-8') as f:
        f.write(JOIN)
    try:
        b.note('three hosts')
        b.lab('up', 'three-hosts')
        for h in HOSTS:
            b.docker(h, 'network', 'create', '--subnet', f'10.7{h[1:]}.0.0/24', '--label', f'docker-router.vni={VNI}', '--label',
                     f'docker-router.stack=s{h}', '--label', 'docker-router.multicast=overlay,239.1.0.0/16', 'bench')
            b.docker(h, 'run', '-d', '--name', f'm{h}', '--network', 'bench', 'lab:1', 'sleep', '3600')
        b.wait('the overlay', lambda: all(len(v['routes']) >= 3 for h in HOSTS for v in b.state(h, 'router.json').get('vnis', [{'routes': []}])))
        group = '239.1.1.1'
        ear = hear(b, 'h2', group, 10000)
        b.wait('the way to h2', lambda: to_hosts(b, group) == ['192.0.2.2'])
        before = received(b, 'h3')
        send(b, 'h1', group, 10000).wait()
        lost = 10000 - int(ear.communicate(timeout=60)[0].split()[0])
        b.single('stream to one of three hosts over the overlay: lost', 'packets', [lost], '0', 0)
        b.single('the same: packets at the host without a listener', 'packets', [received(b, 'h3') - before], '0', 0)
        took = []
        for i in range(JOINS):
            group = f'239.1.2.{i + 1}'
            sender = send(b, 'h1', group, 6000)
            time.sleep(0.5)
            took.append(float(b.run(*argv(b, 'h2', 'python3', script, address('h2'), group))))
            sender.terminate()
            sender.wait()
        b.single('join of a late receiver on another host, to the first packet', 'ms', took, '<= 15')
    finally:
        b.lab('down', check=False)
        os.environ['LAB'], b.DIR = b.LAB, old
        os.unlink(script)
        os.rmdir(folder)
