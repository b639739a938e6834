# SPDX-License-Identifier: Apache-2.0
"""Rows of bench.py: `docker run` on a network of the driver, beside one of Docker's own bridge networks.

    gw 198.51.100.1, DHCP server ---- br0 of the LAN's switch ---- h1 eth1 in br-lan

A run is `docker run --rm IMAGE true` as a whole; what counts is the difference within each round, whose order turns. The DHCP server is
dnsmasq without its ping, so that next to nothing of the time is the server's. With BOOT=1 (a minute more): how long dockerd
takes to answer, with the driver alive, dead and hanging.
"""
import os
import signal
import subprocess
import time


def up(b):
    name = f'dr-{b.LAB}'
    os.environ['ROUTER_ENV'] = f'ROLES=inventory,discovery,router,driver DRIVER_SOCKET=/run/docker/plugins/{name}.sock'
    b.lab('up', 'lan')
    h1, gw = f'dr-{b.LAB}-h1', f'dr-{b.LAB}-gw'
    b.run('nsenter', f'--net=/run/netns/{h1}', 'sysctl', '-qw', 'net.bridge.bridge-nf-call-iptables=0')
    for line in ('link add dev br-lan type bridge', 'link set dev eth1 master br-lan', 'link set dev br-lan up'):
        b.run('ip', '-n', h1, *line.split())
    server = subprocess.Popen(
        ['nsenter', f'--net=/run/netns/{gw}', 'dnsmasq', '--keep-in-foreground', '--conf-file=/dev/null', '--no-resolv', '--no-hosts',
         '--port=0', '--interface=eth0', '--bind-interfaces', '--dhcp-range=198.51.100.50,198.51.100.99,3600', '--no-ping',
         '--dhcp-option=3,198.51.100.1', f'--dhcp-leasefile={b.DIR}/leases', '--pid-file=', '--user=root', '--log-facility=/dev/null'])
    b.wait('the driver', lambda: os.path.exists(f'/run/docker/plugins/{name}.sock'))
    b.docker('h1', 'network', 'create', 'plain')
    b.docker('h1', 'network', 'create', '-d', name, '-o', 'ipam=static', '--subnet', '198.51.100.0/24', '--ip-range',
             '198.51.100.192/27', '--gateway', '198.51.100.1', '-o', 'parent=br-lan', 'static')
    b.docker('h1', 'network', 'create', '-d', name, '--ipam-driver', 'null', '-o', 'parent=br-lan', 'dhcp')
    return server


def runs(b):
    networks = ['plain', 'static', 'dhcp']
    took = {n: [] for n in networks}
    for n in networks:  # once, not counted
        b.docker('h1', 'run', '--rm', '--network', n, 'lab:1', 'true')
    for r in range(b.ROUNDS):
        for n in networks[r % 3:] + networks[:r % 3]:
            begin = time.monotonic()
            b.docker('h1', 'run', '--rm', '--network', n, 'lab:1', 'true')
            took[n].append((time.monotonic() - begin) * 1000)
    b.single("docker run on Docker's own bridge", 'ms', took['plain'])
    for n, limit in (('static', 10), ('dhcp', 100)):
        b.single(f'docker run on the driver, {n}: more than that', 'ms', [x - y for x, y in zip(took[n], took['plain'])], limit)


def driver_pid(b):
    return next((r['pid'] for r in b.state('h1', 'host.json').get('roles', []) if r['role'] == 'driver'), 0)


def boot(b):
    def dockerd():
        b.lab('service', 'h1', 'dockerd', 'stop')
        begin = time.monotonic()
        b.lab('service', 'h1', 'dockerd', 'start')
        return (time.monotonic() - begin) * 1000

    rounds = range(min(b.ROUNDS, 5))
    b.single('dockerd start to answer, driver alive', 'ms', [dockerd() for _ in rounds], digits=0)
    pid = driver_pid(b)
    os.kill(pid, signal.SIGSTOP)
    b.single('the same, driver hangs', 'ms', [dockerd() for _ in rounds], digits=0)
    os.kill(pid, signal.SIGKILL)
    b.lab('service', 'h1', 'router', 'stop')
    b.single('the same, driver dead', 'ms', [dockerd() for _ in rounds], digits=0)


def rows(b):
    if os.path.isdir(b.DIR):
        b.lab('down')
    server = up(b)
    try:
        runs(b)
        if os.environ.get('BOOT') == '1':
            boot(b)
    finally:
        server.terminate()
        server.wait()
        b.lab('down', check=False)
