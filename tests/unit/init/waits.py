#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""waits.py PROGRAM: what docker-router-init and wait-net wait for, in namespaces of their own. TAP."""
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

from tap import Child, Failed, Skipped, check, children, equal, proc, run_all, unshared, until

PROGRAM = os.path.realpath(sys.argv[1])


def network(script, *argv, more=()):
    """ARGV in a network of its own, which SCRIPT has set up; it reads commands for a shell there from stdin"""
    if not shutil.which('ip'):
        raise Skipped('no ip here (iproute2)')
    prefix = unshared('-n', '-m')
    c = Child(*prefix, 'sh', '-c', f'mount -t tmpfs none /tmp; ip link set lo up; {script}; "$@" & pid=$!; '
              'while read -r line; do eval "$line"; done; wait $pid; echo "status $?"', 'sh', *argv,
              stdin=subprocess.PIPE, env={**os.environ, **dict(more)})
    until('it waits', lambda: [p for p in children(c.pid) if proc(p, 'Name') == os.path.basename(PROGRAM)[:15]])
    return c


def tell(c, line):
    c.p.stdin.write(line.encode() + b'\n')
    c.p.stdin.flush()


def done(c, line=None):
    """The last lines of the shell's, and what the program said"""
    if line:
        tell(c, line)
    return c.rest().decode().split('\n')


def still_waits(c):
    """It has looked at least once more, and waits"""
    pid = until('it', lambda: [p for p in children(c.pid) if proc(p, 'Name') == os.path.basename(PROGRAM)[:15]])[0]
    time.sleep(0.05)
    if proc(pid, 'State') is None:
        raise Failed('it did not wait')


@check('nothing to wait for')
def nothing(_):
    equal('status', 0, Child(PROGRAM, 'wait-net').status())
    equal('0 in NETWORKWAIT', 0, Child(PROGRAM, 'wait-net', env={**os.environ, 'NETWORKWAIT': '0'}).status())
    equal('lo', 0, Child(*unshared('-n'), 'sh', '-c', f'ip link set lo up; exec {PROGRAM} wait-net --if lo').status())


@check('an interface that comes, and comes up')
def interface(_):
    c = network('true', PROGRAM, 'wait-net', '--if', 'eth1')
    still_waits(c)
    tell(c, 'ip link add name eth1 type veth peer name far')
    still_waits(c)
    tell(c, 'ip link set eth1 up')
    still_waits(c)  # no carrier: the other end is down
    equal('end', ['status 0', ''], done(c, 'ip link set far up'))


@check('an address: a link-local one is none')
def address(_):
    c = network('ip link add name eth1 type veth peer name far; ip link set eth1 up; ip link set far up', PROGRAM, 'wait-net',
                '--if', 'eth1', '--address')
    still_waits(c)
    tell(c, 'ip addr add fe80::77/64 dev eth1 nodad')
    still_waits(c)
    tell(c, 'ip addr add 192.0.2.1/24 dev far')
    still_waits(c)
    equal('end', ['status 0', ''], done(c, 'ip addr add 192.0.2.2/24 dev eth1'))


@check('an IPv6 address, once it is known to be nobody else\'s')
def tentative(_):
    c = network('ip link add name eth1 type veth peer name far; ip link set eth1 up; ip link set far up', PROGRAM, 'wait-net',
                '--if', 'eth1', '--address')
    equal('tentative ones', ['0', ''],
          done(c, 'ip addr add 2001:db8::1/64 dev eth1; wait $pid && ip -6 addr show dev eth1 tentative scope global | grep -c inet6; exit'))


@check('the flag of NETWORKWAIT')
def flag(_):
    c = network('true', PROGRAM, 'wait-net', '--if', 'lo', more={'NETWORKWAIT': '1'})
    still_waits(c)
    tell(c, 'echo >/tmp/other')
    still_waits(c)
    equal('end', ['status 0', ''], done(c, 'echo >/tmp/.nsnetsetup'))


@check('too late: status 1, and what is missing')
def timeout(_):
    for argv, words in ((('--if', 'nope0'), 'interface nope0'), (('--if', 'lo', '--for', 'unix:/no/such'), 'unix:/no/such')):
        c = Child(*unshared('-n'), 'sh', '-c', 'ip link set lo up; exec "$@"', 'sh', PROGRAM, 'wait-net', *argv, '--timeout', '1')
        equal(f'{argv}: status', 1, c.status())
        if f'still waiting for {words}' not in c.err:
            raise Failed(c.err)
    c = Child(PROGRAM, '--wait-if', 'nope0', '--wait-timeout', '1', '--', 'echo', 'never')
    equal('init: output', b'', c.rest())
    equal('init: status', 1, c.p.returncode)


@check('it says what it waits for, once')
def says(_):
    c = Child(PROGRAM, 'wait-net', '--for', 'unix:/no/such', '--timeout', '4')
    equal('status', 1, c.status())
    equal('lines', 1, c.err.count('waiting for=unix:/no/such'))




@check('a server that comes: TCP by address and by name, unix sockets of all kinds')
def targets(folder):
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    for target, kind, address, family in (
            (f'tcp://127.0.0.1:{port}', socket.SOCK_STREAM, ('127.0.0.1', port), socket.AF_INET),
            (f'tcp://localhost:{port}', socket.SOCK_STREAM, ('127.0.0.1', port), socket.AF_INET),
            (f'unix:{folder}/stream', socket.SOCK_STREAM, f'{folder}/stream', socket.AF_UNIX),
            (f'unix:{folder}/dgram', socket.SOCK_DGRAM, f'{folder}/dgram', socket.AF_UNIX),
            (f'unix:{folder}/seq', socket.SOCK_SEQPACKET, f'{folder}/seq', socket.AF_UNIX),
            (f'unix:@init-test-{os.getpid()}', socket.SOCK_STREAM, f'\0init-test-{os.getpid()}', socket.AF_UNIX)):
        s = socket.socket(family, kind)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        c = Child(PROGRAM, '--wait-for', target, '--', 'echo', 'started')
        until('it waits', lambda c=c: children(c.pid))
        s.bind(address)
        if kind != socket.SOCK_DGRAM:
            if c.p.poll() is not None:
                raise Failed('it did not wait until somebody listens')
            s.listen()
        equal(target, b'started\n', c.rest())
        s.close()


@check('a name by DNS, in a static executable, whatever nsswitch.conf says')
def dns(folder):
    """A server that knows one name, in a network and a file system of its own"""
    code = f'''
import os, socket, struct, sys, threading
os.system("mount --bind {folder}/resolv.conf /etc/resolv.conf && mount --bind {folder}/nsswitch.conf /etc/nsswitch.conf; ip link set lo up")
d = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); d.bind(("127.0.0.1", 53))
t = socket.socket(); t.bind(("127.0.0.9", 5432)); t.listen()
def serve():
    while True:
        q, a = d.recvfrom(512)
        kind = struct.unpack(">H", q[-4:-2])[0]
        ours = q[12:].startswith(b"\\x02db\\x04test\\x00")
        head = q[:2] + (b"\\x81\\x80" if ours else b"\\x81\\x83") + q[4:6] + (b"\\x00\\x01" if ours and kind == 1 else b"\\x00\\x00") + b"\\x00" * 4
        d.sendto(head + q[12:] + (b"\\xc0\\x0c\\x00\\x01\\x00\\x01\\x00\\x00\\x00\\x3c\\x00\\x04\\x7f\\x00\\x00\\x09" if ours and kind == 1 else b""), a)
threading.Thread(target=serve, daemon=True).start()
print(os.waitstatus_to_exitcode(os.system({PROGRAM!r} + " wait-net --for tcp://db.test:5432 --timeout 30")), flush=True)
print(os.waitstatus_to_exitcode(os.system({PROGRAM!r} + " wait-net --for tcp://nobody.test:5432 --timeout 1")), flush=True)
os._exit(0)
'''
    with open(f'{folder}/resolv.conf', 'w', encoding='ascii') as f:
        f.write('nameserver 127.0.0.1\n')
    with open(f'{folder}/nsswitch.conf', 'w', encoding='ascii') as f:
        f.write('hosts: nosuchmodule\n')
    c = Child(*unshared('-n', '-m'), sys.executable, '-c', code)
    out = c.rest().decode().split()
    if b'/ld-' in open(PROGRAM, 'rb').read(4096) and out[0] != '0':
        raise Skipped('this build is not static, and reads nsswitch.conf')
    equal('found, and not', ['0', '1'], out)


@check('ended while it waits')
def ended(_):
    for n in (signal.SIGTERM, signal.SIGINT):
        c = Child(PROGRAM, '--wait-if', 'nope0', '--also', 'sleep 1000', '--', 'echo', 'never')
        kids = until('both', lambda c=c: len(children(c.pid)) == 2 and children(c.pid))
        c.kill(signal.SIGUSR1)
        c.kill(n)
        equal('output', b'', c.rest())
        equal('status', 128 + n, c.p.returncode)
        until('the end of what it started', lambda kids=kids: not any(proc(k, 'State') for k in kids))


@check('a side process makes the interface that is waited for')
def made_by_side(folder):
    if not shutil.which('ip'):
        raise Skipped('no ip here (iproute2)')
    script = f'{folder}/client'
    with open(script, 'w', encoding='ascii') as f:
        f.write('#!/bin/sh\nip link add name eth1 type veth peer name far\nip link set far up\nip link set eth1 up\n'
                'ip addr add 192.0.2.9/24 dev eth1\nexec sleep 1000\n')
    os.chmod(script, 0o755)
    c = Child(*unshared('-n'), PROGRAM, '--also', script, '--wait-if', 'eth1', '--wait-address', '--', 'ip', '-br', 'addr', 'show', 'dev', 'eth1')
    if b'192.0.2.9/24' not in c.rest():
        raise Failed(c.err)


run_all()
