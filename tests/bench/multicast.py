# SPDX-License-Identifier: Apache-2.0
"""Rows of bench.py: multicast between a LAN and a network, beside smcroute, igmpproxy and socat.

    tv .50 ---- br0 of the LAN's switch ---- r eth0 192.0.2.1
                                             r br-bench 172.30.1.1/24 ---- c .9

Everything is in namespaces of its own; c stands for a container. Peers get what they need (FORWARD open, routes, a TTL that is
high enough); the role multicast gets a policy of DROP. Each peer runs alone, one after the other within each round.
"""
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time

GROUP = '239.77.1.1'
TV, HOST, CONTAINER = '192.0.2.50', '192.0.2.1', '172.30.1.9'
BYTES, RATE = 1200, 20000


class Bench:
    """The topology, and one program at a time that forwards."""

    def __init__(self, b):
        self.b = b
        self.folder = tempfile.mkdtemp(prefix='bench-')
        self.procs = []
        self.forwarder = []
        os.chmod(self.folder, 0o755)
        self.mping = os.path.join(self.folder, 'mping')
        b.run('cc', '-O2', '-static', os.path.join(b.TOP, 'tests/bench/mping.c'), '-o', self.mping)

    def ns(self, node):
        return f'dr-{self.b.LAB}-m{node}'

    def ip(self, node, line):
        self.b.run('ip', '-n', self.ns(node), *line.split())

    def argv(self, node, *argv):
        return ['nsenter', f'--net=/run/netns/{self.ns(node)}', *map(str, argv)]

    def inside(self, node, *argv):
        return self.b.run(*self.argv(node, *argv))

    def start(self, node, *argv, env=None, ready=False):
        p = subprocess.Popen(self.argv(node, *argv), stdout=subprocess.PIPE if ready else subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL, text=True, env=env)
        self.procs.append(p)
        if ready and p.stdout.readline().strip() != 'ready':
            raise SystemExit(f'bench: {argv[0]} did not begin')
        return p

    def stop(self, p):
        p.kill()
        p.wait()
        self.procs.remove(p)

    def up(self):
        for n in ('sw', 'tv', 'r', 'c'):
            self.b.run('ip', 'netns', 'add', self.ns(n))
            self.ip(n, 'link set dev lo up')
        self.ip('sw', 'link add name br0 type bridge mcast_snooping 0')
        self.ip('sw', 'link set dev br0 up')
        for n, address in (('tv', f'{TV}/24'), ('r', f'{HOST}/24')):
            self.b.run('ip', 'link', 'add', 'name', f'p{n}', 'netns', self.ns('sw'), 'type', 'veth', 'peer', 'name', 'eth0',
                       'netns', self.ns(n))
            self.ip('sw', f'link set dev p{n} master br0 up')
            self.ip(n, f'address add {address} dev eth0')
            self.ip(n, 'link set dev eth0 up')
        self.network()
        self.ip('tv', f'route add 172.30.1.0/24 via {HOST}')
        self.inside('r', 'sysctl', '-qw', 'net.ipv4.ip_forward=1')

    def network(self):
        self.ip('r', 'link add name br-bench type bridge')
        self.ip('r', 'address add 172.30.1.1/24 dev br-bench')
        self.ip('r', 'link set dev br-bench up')
        self.b.run('ip', 'link', 'add', 'name', 'pc', 'netns', self.ns('r'), 'type', 'veth', 'peer', 'name', 'eth0', 'netns',
                   self.ns('c'))
        self.ip('r', 'link set dev pc master br-bench up')
        self.ip('c', f'address add {CONTAINER}/24 dev eth0')
        self.ip('c', 'link set dev eth0 up')
        self.ip('c', 'route add default via 172.30.1.1')

    def network_gone(self):
        self.ip('r', 'link del dev pc')
        self.ip('r', 'link del dev br-bench')

    def down(self):
        for p in list(self.procs):
            self.stop(p)
        for n in ('sw', 'tv', 'r', 'c'):
            subprocess.run(['ip', 'netns', 'del', self.ns(n)], stderr=subprocess.DEVNULL, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    # --- who forwards ---

    def forward(self, name):
        self.quiet()
        getattr(self, f'with_{name}')()

    def quiet(self):
        for p in self.forwarder:
            p.terminate()
            p.wait()
            self.procs.remove(p)
        self.forwarder = []
        shutil.rmtree(f'{self.folder}/state', ignore_errors=True)
        subprocess.run(self.argv('r', 'nft', 'delete', 'table', 'netdev', 'docker-router-multicast'), stderr=subprocess.DEVNULL,
                       check=False)

    def with_nothing(self):
        pass

    def with_docker_router(self):
        state = f'{self.folder}/state'
        os.makedirs(state)
        net = {'name': 'bench', 'id': 'bench', 'bridge': 'br-bench', 'endpoint': 'unix:///x', 'subnets': ['172.30.1.0/24'],
               'gateways': [], 'internal': False, 'icc': True, 'mtu': 1500}
        with open(f'{state}/inventory.json', 'w', encoding='utf-8') as f:
            json.dump({'version': 1, 'last_update': '2024-01-15T10:30:00Z', 'engines': [], 'stacks': [], 'problems': [],
                       'multicast': [{'network': net, 'label': 'ssdp,239.77.0.0/16', 'containers': []}]}, f)
        env = dict(os.environ, STATE_DIR=state, RUN_DIR=f'{self.folder}/run', CONFIG='', INTERFACE='eth0', LOG_LEVEL='error',
                   ROLES='multicast')
        self.forwarder = [self.start('r', self.b.ROUTER, 'host', env=env)]
        self.b.wait('two legs', lambda: self.legs(state) == 2)

    def role(self):
        """The process of the role itself, a child of host."""
        with open(f'{self.folder}/state/host.json', encoding='utf-8') as f:
            return json.load(f)['roles'][0]['pid']

    @staticmethod
    def legs(state):
        try:
            with open(f'{state}/multicast.json', encoding='utf-8') as f:
                return len(json.load(f)['legs'])
        except (OSError, ValueError):
            return 0

    def with_smcroute(self):
        conf = f'{self.folder}/smcroute.conf'
        with open(conf, 'w', encoding='utf-8') as f:
            for one, other in (('eth0', 'br-bench'), ('br-bench', 'eth0')):
                for group in (GROUP, '239.255.255.250'):
                    f.write(f'mgroup from {one} group {group}\nmroute from {one} group {group} to {other}\n')
        self.forwarder = [self.start('r', 'smcrouted', '-n', '-f', conf, '-i', f'bench{os.getpid()}', '-P',
                                     f'{self.folder}/smcroute.pid', '-u', f'{self.folder}/smcroute.sock')]
        self.b.wait('smcroute', lambda: 'br-bench' in self.inside('r', 'cat', '/proc/net/ip_mr_vif'))

    def with_igmpproxy(self):
        conf = f'{self.folder}/igmpproxy.conf'
        with open(conf, 'w', encoding='utf-8') as f:
            f.write('quickleave\nphyint eth0 upstream ratelimit 0 threshold 1\naltnet 0.0.0.0/0\n'
                    'phyint br-bench downstream ratelimit 0 threshold 1\nphyint lo disabled\n')
        self.forwarder = [self.start('r', 'igmpproxy', '-n', conf)]
        self.b.wait('igmpproxy', lambda: 'br-bench' in self.inside('r', 'cat', '/proc/net/ip_mr_vif'))

    def with_socat(self):
        for port, group in ((1900, '239.255.255.250'), (5000, GROUP)):
            self.forwarder.append(self.start(
                'r', 'socat', f'UDP4-RECVFROM:{port},bind={group},reuseaddr,ip-add-membership={group}:eth0,fork' if port == 1900
                else f'UDP4-RECV:{port},bind={group},reuseaddr,rcvbuf=8388608,ip-add-membership={group}:eth0',
                f'UDP4-DATAGRAM:{group}:{port},ip-multicast-if=172.30.1.1,ip-multicast-ttl=4'))
        self.b.wait('socat', lambda: '0.0.0.0' in self.inside('r', 'ss', '-lun') or '239.' in self.inside('r', 'ss', '-lun'))

    def cpu_seconds(self):
        ticks = 0
        pids = [p.pid for p in self.forwarder]
        if os.path.exists(f'{self.folder}/state/multicast.json'):
            pids.append(self.role())
        for pid in pids:
            with open(f'/proc/{pid}/stat', encoding='utf-8') as f:
                fields = f.read().rsplit(') ', 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf('SC_CLK_TCK')

    # --- what is measured ---

    def searches(self, count, wait_ms=1000):
        out = json.loads(self.inside('tv', self.mping, 'search', TV, 4, count, wait_ms))
        return [us / 1000 for us in out if us >= 0]

    def stream(self, rate, seconds):
        """Return: sent, received, CPU of the forwarder in per cent of a core."""
        ear = self.start('c', self.mping, 'hear', CONTAINER, GROUP, 700, ready=True)
        # the first datagrams of a source may be lost or late until its route is there
        self.inside('tv', self.mping, 'send', TV, GROUP, 100, 0.2, BYTES, 8)
        before, begin = self.cpu_seconds(), time.monotonic()
        sent = int(self.inside('tv', self.mping, 'send', TV, GROUP, rate, seconds, BYTES, 8))
        cpu = (self.cpu_seconds() - before) / (time.monotonic() - begin) * 100
        heard = json.loads(ear.stdout.readline())
        ear.wait()
        self.procs.remove(ear)
        # the numbers of the first ones come again: "twice"
        return sent, heard['received'] + heard['twice'] - min(20, heard['twice']), cpu

    def highest(self):
        """Packets a second up to which nothing is lost, within a tenth; what the sender manages counts, not what it was asked."""
        best, low, high = 0, 10000, 200000
        while high / low > 1.1:
            rate = (low * high) ** 0.5
            begin = time.monotonic()
            sent, received, _ = self.stream(rate, 1)
            if received >= sent:
                low, best = rate, max(best, min(rate, sent / max(1, time.monotonic() - begin - 0.9)))
            else:
                high = rate
        return best

    def late_join(self):
        voice = self.start('tv', self.mping, 'send', TV, GROUP, 1000, 4, 200, 8)
        time.sleep(0.5)
        ear = self.start('c', self.mping, 'hear', CONTAINER, GROUP, 300, ready=True)
        heard = json.loads(ear.stdout.readline())
        for p in (ear, voice):
            p.wait()
            self.procs.remove(p)
        return heard['first_us'] / 1000 if heard['received'] else None

    def notify(self):
        ear = self.start('tv', self.mping, 'notified', TV, 5, ready=True)
        sent = int(self.inside('c', self.mping, 'alive', CONTAINER))
        heard = ear.stdout.readline().strip()
        ear.wait()
        self.procs.remove(ear)
        return (int(heard) - sent) / 1000 if heard else None

    def found_again(self, limit):
        """The network is made anew: seconds until a search is answered, or None."""
        self.network_gone()
        self.network()
        device = self.start('c', self.mping, 'device', CONTAINER, ready=True)
        begin = time.monotonic()
        found = None
        while found is None and time.monotonic() - begin < limit:
            if self.searches(1, 50):
                found = time.monotonic() - begin
        self.stop(device)
        return found


def have(tool):
    return shutil.which(tool) is not None


def rows(b):
    """All rows; @b is the module bench."""
    m = Bench(b)
    peers = [p for p, tool in (('smcroute', 'smcrouted'), ('igmpproxy', 'igmpproxy'), ('socat', 'socat')) if have(tool)]
    rounds = max(3, b.ROUNDS // 2)
    try:
        m.up()
        relay(b, m, peers, rounds)
        if os.environ.get('MULTICAST_STREAMS', '1') != '0':
            streams(b, m, peers, rounds)
    finally:
        m.down()


def relay(b, m, peers, rounds):
    device = m.start('c', m.mping, 'device', CONTAINER, ready=True)
    times = {}
    for _ in range(rounds):
        for who in ['docker_router'] + [p for p in peers if p != 'igmpproxy']:
            m.forward(who)
            m.searches(1)
            times.setdefault(who, []).append(statistics.median(m.searches(8) or [999]))
    m.quiet()
    m.stop(device)
    b.single('M-SEARCH to answer, of a server that needs no time', 'ms', times['docker_router'], '<= 1', 2)
    for p in times:
        if p != 'docker_router':
            b.versus(f'the same beside {p}', 'ms', times['docker_router'], times[p], p, None)
    m.forward('docker_router')
    b.single('NOTIFY of a container, to the LAN', 'ms', [t for t in (m.notify() for _ in range(rounds * 2)) if t is not None],
             '<= 100', 2)
    for who in ['docker_router'] + [p for p in peers if p != 'igmpproxy']:
        m.forward(who)
        again = m.found_again(8 if who == 'docker_router' else 4)
        b.note(f'network made anew, with {who}: ' + ('not found again' if again is None else f'found after {again:.2f} s'))
        if who == 'docker_router' and again is not None:
            b.single('network made anew, to found again', 's', [again], '<= 1', 2)
    m.forward('docker_router')
    pid = m.role()
    time.sleep(15)  # the queries of a start are over
    before, begin = b.switches(pid), time.monotonic()
    time.sleep(20)
    b.single('multicast: wake-ups a second, idle', '1/s', [(b.switches(pid) - before) / (time.monotonic() - begin)], '< 2', 2)
    b.single('multicast: resident memory', 'MB', [b.rss_kb(pid) / 1024], '<= 6')
    m.quiet()


def streams(b, m, peers, rounds):
    lost, cpu, joins = {}, {}, {}
    for _ in range(rounds):
        for who in ['docker_router'] + peers:
            m.forward(who)
            sent, received, used = m.stream(RATE, b.SECONDS)
            lost.setdefault(who, []).append(max(0, sent - received) / sent * 100)
            cpu.setdefault(who, []).append(used)
            joins.setdefault(who, []).append(m.late_join() or 9999)
    m.quiet()
    for who in lost:
        b.single(f'{RATE} packets/s to a container, lost: {who}', '%', lost[who], '0' if who == 'docker_router' else None, 2)
        b.single(f'the same, CPU of the forwarder: {who}', '%', cpu[who], '0' if who == 'docker_router' else None)
        b.single(f'late listener, to the first packet: {who}', 'ms', joins[who], '<= 15' if who == 'docker_router' else None)
    if 'smcroute' in peers:
        best = {'docker_router': [], 'smcroute': []}
        for _ in range(rounds):
            for who, rates in best.items():
                m.forward(who)
                rates.append(m.highest() / 1000)
        m.quiet()
        b.versus('highest rate without loss', 'kpps', best['docker_router'], best['smcroute'], 'smcroute', '>= 1.0')
