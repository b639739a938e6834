# SPDX-License-Identifier: Apache-2.0
"""Rows of bench.py: containers of two hosts through WireGuard, beside bare wireguard-go between the same hosts.

Both are wireguard-go, where the kernel has no WireGuard: what is compared is what VXLAN, bridge and NIC cost on top. A lab of
its own, since encryption is a setting of both hosts. Turn by turn, the order turned from round to round.
"""
import json
import os
import shutil
import subprocess
import tempfile
import time

INSIDE = {'h1': '198.51.100.1', 'h2': '198.51.100.2'}
PORT = 51999


class Bare:
    """wireguard-go in the namespaces of both hosts, nothing above it; iperf3 answers on h2."""

    def __init__(self, b, folder):
        self.b, self.procs = b, []
        keys = {h: b.run('wg', 'genkey').strip() for h in INSIDE}
        public = {h: subprocess.run(['wg', 'pubkey'], input=k, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
                  for h, k in keys.items()}
        for n, (h, other) in enumerate((('h1', 'h2'), ('h2', 'h1')), 1):
            name = f'bench{os.getpid() % 100000}-{n}'
            self.start(h, 'wireguard-go', '-f', name, env=dict(os.environ, LOG_LEVEL='silent', WG_PROCESS_FOREGROUND='1'))
            b.wait('wireguard-go', lambda s=f'/var/run/wireguard/{name}.sock': os.path.exists(s))
            key = os.path.join(folder, h)
            with open(os.open(key, os.O_CREAT | os.O_WRONLY, 0o600), 'w', encoding='utf-8') as f:
                f.write(keys[h])
            b.run('wg', 'set', name, 'private-key', key, 'listen-port', PORT, 'peer', public[other], 'endpoint',
                  f'192.0.2.{3 - n}:{PORT}', 'allowed-ips', f'{INSIDE[other]}/32')
            for line in (f'addr add {INSIDE[h]}/24 dev {name}', f'link set dev {name} mtu 1440 up'):
                b.run('ip', '-n', f'dr-{b.LAB}-{h}', *line.split())
        self.start('h2', 'iperf3', '-s', '-B', INSIDE['h2'])

    def start(self, host, *argv, env=None):
        self.procs.append(subprocess.Popen(['nsenter', f'--net=/run/netns/dr-{self.b.LAB}-{host}', *argv], env=env,
                                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

    def iperf(self, streams):
        out = self.b.run('nsenter', f'--net=/run/netns/dr-{self.b.LAB}-h1', 'iperf3', '-c', INSIDE['h2'], '-t', self.b.SECONDS, '-P',
                         streams, '-J')
        return json.loads(out)['end']['sum_received']['bits_per_second'] / 1e9

    def stop(self):
        for p in self.procs:
            p.kill()
            p.wait()


def rows(b):
    """All rows; @b is the module bench."""
    if not shutil.which('wireguard-go') or not shutil.which('wg'):
        b.note('no wireguard-go or no wg: no rows of WireGuard')
        return
    if os.path.isdir(b.DIR):
        b.lab('down')
    folder, bare = tempfile.mkdtemp(prefix='bench-'), None
    try:
        key = os.path.join(folder, 'cluster.key')
        with open(os.open(key, os.O_CREAT | os.O_WRONLY, 0o600), 'w', encoding='utf-8') as f:
            f.write(b.run(b.ROUTER, 'keygen'))
        with open(os.path.join(folder, 'topology'), 'w', encoding='utf-8') as f:
            f.write('switch sw\n' + ''.join(f'host h{n} 192.0.2.{n}/24 ENCRYPTION=wireguard CLUSTER_KEY_FILE={key}\n' for n in (1, 2)))
        b.lab('up', os.path.join(folder, 'topology'))
        b.two_stacks()
        bare = Bare(b, folder)
        b.wait('bare WireGuard', lambda: subprocess.run(['nsenter', f'--net=/run/netns/dr-{b.LAB}-h1', 'ping', '-c1', '-W1', INSIDE['h2']],
                                                        stdout=subprocess.DEVNULL, check=False).returncode == 0)
        for streams in (1, 8):
            ours, peer = [], []
            for i in range(b.ROUNDS):
                b.note(f'WireGuard, {streams} stream(s): round {i + 1} of {b.ROUNDS}')
                pair = [(ours, lambda: b.iperf('c1', '10.72.0.2', streams)[0]), (peer, lambda: bare.iperf(streams))]
                for got, measure in pair if i % 2 else reversed(pair):
                    got.append(measure())
                    time.sleep(0.2)
            b.versus(f'WireGuard, TCP {streams} stream(s)', 'Gbit/s', ours, peer, 'bare wireguard-go', '>= 0.9')
    finally:
        if bare:
            bare.stop()
        b.lab('down', check=False)
        shutil.rmtree(folder, ignore_errors=True)
