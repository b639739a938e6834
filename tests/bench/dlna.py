# SPDX-License-Identifier: Apache-2.0
"""Rows of bench.py: a real minidlna in a container starts, and when does the LAN hear of it? In a lab of its own.

Beside each figure stands the server itself: the same heard, or asked for, on its own network, which no router can be faster than.
All are counted from the moment in which Docker says that the container runs.
"""
import datetime
import os
import re
import shutil
import subprocess
import tempfile
import time

NET, TV = 'media', '192.0.2.50'
SCRIPT = 'tests/docker/dlna.py'

# what the tests of DLNA share, without a test around it
SHARED = '''set -euo pipefail
TOP=$1 DIR=$2 ENGINE=debian
docker_on() { "$TOP/lab/docker" "$@"; }
step() { :; }
. "$TOP/tests/docker/dlna/lib.sh"
"${@:3}"'''

# asks every 60 ms, in other words each time, since the same ones again and again are not passed on; prints when the first
# answer was there
SEARCH = '''
import select, socket, sys, time
me = sys.argv[1]
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(me))
s.bind((me, 0))
print("ready", flush=True)
for n in range(1000):
    s.sendto(b'M-SEARCH * HTTP/1.1\\r\\nHOST: 239.255.255.250:1900\\r\\nMAN: "ssdp:discover"\\r\\nMX: 1\\r\\n'
             b'ST: upnp:rootdevice\\r\\nCPFN.UPNP.ORG: %d\\r\\n\\r\\n' % n, ('239.255.255.250', 1900))
    if select.select([s], [], [], 0.06)[0] and b'rootDesc.xml' in s.recv(9000):
        print(time.time())
        break
'''


class Bench:
    def __init__(self, b, folder):
        self.b, self.folder, self.procs = b, folder, []
        self.script = os.path.join(folder, 'search.py')
        with open(self.script, 'w', encoding='utf-8') as f:
            f.write(SEARCH)

    def shared(self, *argv):
        self.b.run('bash', '-c', SHARED, 'bash', self.b.TOP, self.b.DIR, *argv)

    def start(self, node, *argv):
        """A program in the network namespace of a node, that has said it is ready"""
        p = subprocess.Popen([os.path.join(self.b.TOP, 'lab/exec'), node, *argv], stdout=subprocess.PIPE, text=True)
        self.procs.append(p)
        p.stdout.readline()
        return p

    def end(self, p):
        p.kill()
        p.wait()
        p.stdout.close()
        self.procs.remove(p)

    def end_all(self):
        for p in list(self.procs):
            self.end(p)

    def started(self):
        text = self.b.docker('h1', 'inspect', '-f', '{{.State.StartedAt}}', 'minidlna').strip()
        return datetime.datetime.fromisoformat(re.sub(r'(\.\d{6})\d*Z', r'\1+00:00', text)).timestamp()

    def network(self, subnet):
        if self.b.docker('h1', 'ps', '-aq'):
            self.b.docker('h1', 'rm', '-f', 'minidlna')
            self.b.docker('h1', 'network', 'rm', NET)
        self.b.docker('h1', 'network', 'create', '--subnet', f'{subnet}.0/24', '--label', 'docker-router.multicast=ssdp', NET)

    def relayed(self):
        return len(self.b.state('h1', 'multicast.json').get('legs', [])) == 2 and self.found(TV, 'tv') is not None

    def found(self, address, node):
        p = self.start(node, 'python3', self.script, address)
        return self.answer(p)

    def answer(self, p):
        """The time that a searcher prints"""
        line = p.stdout.readline()
        self.end(p)
        return float(line) if line else None

    @staticmethod
    def alive(p, sender, since):
        """The time of the first NOTIFY of @sender after @since that says it is there"""
        for line in p.stdout:
            words = line.split()  # one that leaves has no LOCATION
            if words[0] == 'ssdp:alive' and words[2].startswith(sender) and float(words[3]) >= since:
                return float(words[3])
        raise SystemExit('bench: no NOTIFY within a minute')

    def ears(self, subnet):
        """Who listens on its own network, and on the LAN"""
        return [self.start(node, 'python3', os.path.join(self.b.TOP, SCRIPT), 'listen', address, '60')
                for node, address in (('h1', f'{subnet}.1'), ('tv', TV))]

    def heard(self, ears, subnet):
        """Milliseconds from the container's start to its NOTIFY, for both"""
        begin = self.started()
        times = [self.alive(ears[0], f'{subnet}.', begin), self.alive(ears[1], '192.0.2.1', begin)]
        for p in ears:
            self.end(p)
        return [(t - begin) * 1000 for t in times]

    def restart(self):
        """NOTIFY after a restart; not one on the heels of another, which would be taken for a storm"""
        time.sleep(3)
        ears = self.ears('172.30.0')
        self.b.docker('h1', 'restart', '-t', '2', 'minidlna')
        return self.heard(ears, '172.30.0')

    def anew(self, n):
        """NOTIFY in a network made anew"""
        subnet = f'172.31.{n}'
        self.network(subnet)
        ears = self.ears(subnet)
        self.shared('minidlna_run', 'h1', 'minidlna', NET)
        return self.heard(ears, subnet)

    def anew_found(self, n):
        """Milliseconds from the container's start in a network made anew until a search finds it, for both"""
        subnet = f'172.32.{n}'
        self.network(subnet)
        searchers = [self.start('h1', 'python3', self.script, f'{subnet}.1'),
                     self.start('tv', 'python3', self.script, TV)]
        self.shared('minidlna_run', 'h1', 'minidlna', NET)
        times = [self.answer(p) for p in searchers]
        if None in times:
            raise SystemExit('bench: not found again within a minute')
        begin = self.started()
        return [(t - begin) * 1000 for t in times]


def beside(b, row, pairs, target):
    """The server itself, ours, and what the way adds: the starts of a server differ more than that"""
    b.single(f'{row}: the server itself', 'ms', [p[0] for p in pairs])
    b.single(f'{row}: at the LAN', 'ms', [p[1] for p in pairs])
    b.single(f'{row}: what the way adds', 'ms', [p[1] - p[0] for p in pairs], target)


def rows(b):
    if not shutil.which('minidlnad'):
        b.note('no minidlnad here (package minidlna)')
        return
    os.environ['LAB'] = b.LAB + '-dlna'
    old, b.DIR = b.DIR, os.path.join(b.LAB_DIR, os.environ['LAB'])
    folder = tempfile.mkdtemp(prefix='bench-')
    topology = os.path.join(folder, 'topology')
    with open(topology, 'w', encoding='utf-8') as f:
        f.write('switch sw\nnode tv 192.0.2.50/24\nhost h1 192.0.2.1/24\n')
    m = Bench(b, folder)
    try:
        b.note('a television and a minidlna')
        b.lab('up', topology)
        m.shared('minidlna_image', 'h1')
        m.network('172.30.0')
        m.shared('minidlna_run', 'h1', 'minidlna', NET)
        b.wait('minidlna at the television', m.relayed)
        beside(b, 'container restart to NOTIFY', [m.restart() for _ in range(b.ROUNDS)], '<= 100')
        beside(b, 'network made anew to NOTIFY', [m.anew(i) for i in range(b.ROUNDS)], '<= 1000')
        beside(b, 'network made anew to found', [m.anew_found(i) for i in range(b.ROUNDS)], '<= 1000')
    finally:
        m.end_all()
        b.lab('down', check=False)
        os.environ['LAB'], b.DIR = b.LAB, old
        shutil.rmtree(folder)
