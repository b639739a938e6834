#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""logs.py PROGRAM: what --log of docker-router-init does with a program's log file, whatever program, reader and file do. TAP."""
import os
import re
import select
import signal
import socket
import stat
import subprocess
import sys
import threading
import time

from tap import DEADLINE, Child, Failed, check, children, equal, proc, run_all, unshared, until

PROGRAM = os.path.realpath(sys.argv[1])
PYTHON = sys.executable
LOST = re.compile(rb'^docker-router-init: .*: (\d+) lines \((\d+) bytes\) were lost.*\n', re.M)

# With drop, the default, nothing can be lost of less than 1 MiB; what writes more and must come out whole says block, since this
# machine may have other things to do than to read.

# Writes COUNT lines of WIDTH bytes, each with its number; says when it is done
WRITER = '''
import os, sys
path, count, width = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
with open(path, "a", buffering=1) as f:
    for i in range(count):
        f.write(f"{i:09d} ".ljust(width - 1, "x") + "\\n")
print("done", file=sys.stderr, flush=True)
'''


def lines(count, width, first=0):
    return b''.join(f'{i:09d} '.ljust(width - 1, 'x').encode() + b'\n' for i in range(first, count))


def is_fifo(path):
    try:
        return stat.S_ISFIFO(os.lstat(path).st_mode)
    except OSError:
        return False


def logged(*argv, path, more=(), **kw):
    return Child(PROGRAM, '--log', path, *more, '--', *argv, **kw)


def pump_of(c):
    """The pump, by its name: the name of init belongs to what is to become the program, too, and to the leak detector's
    process, without which a build with sanitizers never ends."""
    return next((p for p in children(c.pid) if proc(p, 'Name') == 'log-pump' and not (proc(p, 'State') or 'Z').startswith('Z')), None)


@check('what is written comes out, to the last line')
def plain(folder):
    for _ in range(5):
        c = logged(PYTHON, '-c', WRITER, f'{folder}/log', '10000', '80', path=f'{folder}/log')
        equal('output', True, c.rest() == lines(10000, 80))
        equal('status', 0, c.p.returncode)


@check('to stderr, several logs, and the program\'s own stdout')
def several(folder):
    code = f'for i in $(seq 500); do echo a$i >>{folder}/a; echo b$i >>{folder}/b=c.log; echo c$i >>{folder}/c; echo s$i; done'
    c = Child(PROGRAM, '--log', f'{folder}/a', '--log', f'{folder}/b=c.log=stdout', f'--log={folder}/c=stderr', '--', 'sh', '-c', code)
    out = c.rest().decode().split()
    for letter in 'abs':
        equal(letter, [f'{letter}{i}' for i in range(1, 501)], [w for w in out if w[0] == letter])
    equal('c', [f'c{i}' for i in range(1, 501)], c.err.split())


@check('lines of several writers stay whole')
def whole(folder):
    code = f'for p in 1 2 3 4; do {PYTHON} -c \'{WRITER}\' {folder}/$((p % 2)) 5000 $((p * 150)) & done; wait'
    c = Child(PROGRAM, '--log-full=block', '--log', f'{folder}/0', '--log', f'{folder}/1', '--', 'sh', '-c', code)
    widths = {}
    for line in c.rest().splitlines(True):
        widths[len(line)] = widths.get(len(line), 0) + 1
    equal('lines of each width', {150: 5000, 300: 5000, 450: 5000, 600: 5000}, widths)


@check('a file that was there is kept, an empty one and a FIFO are used')
def existing(folder):
    path = f'{folder}/log'
    for content, kept in (('old\n', 'log.old'), ('older\n', 'log.old.1')):
        if os.path.lexists(path):
            os.unlink(path)
        with open(path, 'w', encoding='ascii') as f:
            f.write(content)
        equal('output', b'new\n', logged('sh', '-c', f'echo new >>{path}', path=path).rest())
        with open(f'{folder}/{kept}', encoding='ascii') as f:
            equal(kept, content, f.read())
    equal('with the FIFO of the last time', b'again\n', logged('sh', '-c', f'echo again >{path}', path=path).rest())
    os.unlink(path)
    with open(path, 'w', encoding='ascii'):
        pass
    equal('with an empty file', b'more\n', logged('sh', '-c', f'echo more >{path}', path=path).rest())
    os.unlink(path)
    os.symlink('/dev/stdout', path)
    equal('with a link', b'link\n', logged('sh', '-c', f'echo link >{path}', path=path).rest())
    equal('what is there', ['log', 'log.old', 'log.old.1', 'log.old.2'], sorted(os.listdir(folder)))


@check('folders are made; what cannot be placed ends it with 1 and a reason')
def placing(folder):
    equal('a folder that was not there', b'x\n', logged('sh', '-c', f'echo x >{folder}/a/b/log', path=f'{folder}/a/b/log').rest())
    os.mkdir(f'{folder}/dir')
    with open(f'{folder}/file', 'w', encoding='ascii') as f:
        f.write('x')
    for path, words in ((f'{folder}/dir', 'neither a file nor a FIFO'), ('/dev/null', 'neither a file nor a FIFO'),
                        (f'{folder}/file/log', 'Not a directory')):
        c = logged('echo', 'never', path=path)
        equal(f'{path}: output', b'', c.rest())
        equal(f'{path}: status', 1, c.p.returncode)
        if words not in c.err:
            raise Failed(f'{path}: {c.err}')
    prefix = unshared('-m')
    c = Child(*prefix, 'sh', '-c', f'touch {folder}/m {folder}/n; echo old >{folder}/m; mount --bind {folder}/n {folder}/m && echo y >{folder}/m &&'
              f' exec {PROGRAM} --log {folder}/m -- true')
    equal('a mount: status', 1, c.status())
    if 'mount its folder' not in c.err:
        raise Failed(c.err)


@check('a program without rights can write, opened in any way that programs open logs')
def opened(folder):
    path = f'{folder}/log'
    code = f'''
import os
os.getuid() or os.setuid(65534)
for mode in ("w", "a", "a+", "w+"):
    with open({path!r}, mode, buffering=1) if "+" not in mode else os.fdopen(os.open({path!r}, os.O_RDWR | os.O_CREAT | os.O_APPEND), "w") as f:
        f.write(mode + "\\n")
'''
    equal('output', b'w\na\na+\nw+\n', logged(PYTHON, '-c', code, path=path).rest())


@check('a program that cuts and seeks goes on')
def cut_and_seek(folder):
    path = f'{folder}/log'
    code = f'''
import errno, os
fd = os.open({path!r}, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
os.write(fd, b"one\\n")
for call, want in ((lambda: os.lseek(fd, 0, os.SEEK_SET), errno.ESPIPE), (lambda: os.ftruncate(fd, 0), errno.EINVAL)):
    try:
        call()
    except OSError as e:
        os.write(fd, str(e.errno == want).encode() + b"\\n")
os.truncate({path!r}, 0) if False else os.close(os.open({path!r}, os.O_WRONLY | os.O_TRUNC))
os.write(fd, b"two\\n")
'''
    equal('output', b'one\nTrue\nTrue\ntwo\n', logged(PYTHON, '-c', code, path=path).rest())


@check('the reader is killed, again and again: no writer gets SIGPIPE, nothing is lost')
def reader_dies(folder):
    path = f'{folder}/log'
    c = logged(PYTHON, '-c', WRITER, path, '100000', '200', path=path, more=('--log-full=block',))
    got, killed = [], 0
    reader = threading.Thread(target=lambda: got.append(c.rest(DEADLINE * 3)))
    reader.start()
    while reader.is_alive() and killed < 20:
        pid = pump_of(c)
        if pid:
            try:
                os.kill(pid, signal.SIGKILL)
                killed += 1
            except ProcessLookupError:
                pass
        time.sleep(0.01)
    reader.join(DEADLINE * 3)
    equal('status', 0, c.p.returncode)
    equal('output', True, got[0] == lines(100000, 200))
    if not killed or 'started again' not in c.err:
        raise Failed(f'killed {killed} times: {c.err[:300]}')


def written(c):
    """Wait until the writer is done, which it says on stderr"""
    got = b''
    end = time.monotonic() + DEADLINE
    while b'done' not in got:
        if not select.select([c.p.stderr], [], [], max(0, end - time.monotonic()))[0]:
            raise Failed('the writer is not done: it waits')
        got += os.read(c.p.stderr.fileno(), 4096)


@check('stdout is not read: the writer does not wait, whole lines are dropped and counted to the byte')
def drop(folder):
    path = f'{folder}/log'
    count, width = 60000, 100
    c = logged(PYTHON, '-c', WRITER, path, str(count), str(width), path=path)
    written(c)
    out = c.rest()
    equal('status', 0, c.p.returncode)
    lost = [(int(a), int(b)) for a, b in LOST.findall(out)]
    if not lost:
        raise Failed('nobody says that something was lost')
    kept = LOST.sub(b'', out)
    equal('bytes', count * width, len(kept) + sum(b for _, b in lost))
    equal('lines', count, kept.count(b'\n') + sum(a for a, _ in lost))
    numbers = [int(line[:9]) for line in kept.splitlines()]
    equal('lines that are not whole', [], [line for line in kept.splitlines(True) if len(line) != width][:3])
    equal('in order', numbers, sorted(set(numbers)))
    equal('the first', 0, numbers[0])


@check('stdout is slow: what is dropped and what comes make the whole')
def slow(folder):
    path = f'{folder}/log'
    count, width = 120000, 50
    c = logged(PYTHON, '-c', WRITER, path, str(count), str(width), path=path)
    out = b''
    while True:
        data = os.read(c.p.stdout.fileno(), 65536)
        if not data:
            break
        out += data
        time.sleep(0.002)
    equal('status', 0, c.status())
    kept = LOST.sub(b'', out)
    lost = [(int(a), int(b)) for a, b in LOST.findall(out)]
    equal('bytes', count * width, len(kept) + sum(b for _, b in lost))
    equal('lines that are not whole', [], [line for line in kept.splitlines(True) if len(line) != width][:3])


@check('stdout is not read, --log-full=block: the writer waits, nothing is lost')
def block(folder):
    path = f'{folder}/log'
    count, width = 60000, 100
    c = logged(PYTHON, '-c', WRITER, path, str(count), str(width), path=path, more=('--log-full', 'block'))
    until('the FIFO is full', lambda: fifo_is_full(path))
    if select.select([c.p.stderr], [], [], 0.2)[0]:
        raise Failed('the writer is done, and should wait')
    equal('output', True, c.rest() == lines(count, width))


def fifo_is_full(path):
    if not is_fifo(path):
        return False
    fd = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    try:
        return not select.select([], [fd], [], 0)[1]
    finally:
        os.close(fd)


@check('nobody ever reads stdout: it ends all the same')
def stuck(folder):
    path = f'{folder}/log'
    c = logged(PYTHON, '-c', WRITER, path, '60000', '100', path=path)
    written(c)
    end = time.monotonic() + DEADLINE
    while c.p.poll() is None and time.monotonic() < end:
        time.sleep(0.05)
    equal('status', 0, c.p.poll())


@check('stdout is closed: the program goes on')
def closed(folder):
    path = f'{folder}/log'
    r, w = os.pipe()
    c = Child(PROGRAM, '--log', path, '--', PYTHON, '-c', WRITER, path, '60000', '100', stdout=w)
    os.close(w)
    os.read(r, 1000)
    os.close(r)
    written(c)
    equal('status', 0, c.status())


def rotation(folder, rotate, wanted, race=False):
    """A program that logs, rotates, and opens anew; with @race init sleeps meanwhile"""
    path = f'{folder}/log'
    code = f'''
import os, sys
f = open({path!r}, "a", buffering=1)
f.write("one\\n")
print("a", file=sys.stderr, flush=True); sys.stdin.readline()
{rotate}
f.write("two\\n")
g = open({path!r}, "a", buffering=1)
g.write("three\\n")
f.close()
print("b", file=sys.stderr, flush=True); sys.stdin.readline()
g.write("four\\n")
h = open({path!r}, "a", buffering=1)
h.write("five\\n")
'''
    c = logged(PYTHON, '-c', code, path=path, stdin=subprocess.PIPE)
    equal('begin', b'a', os.read(c.p.stderr.fileno(), 1))
    os.read(c.p.stderr.fileno(), 1)
    if race:
        os.kill(c.pid, signal.SIGSTOP)
        until('init sleeps', lambda: proc(c.pid, 'State').startswith('T'))
    c.p.stdin.write(b'\n')
    c.p.stdin.flush()
    equal('rotated', b'b', os.read(c.p.stderr.fileno(), 1))
    if race:
        equal('the file of the program', False, is_fifo(path))
        os.kill(c.pid, signal.SIGCONT)
    until('a FIFO is back', lambda: is_fifo(path))
    c.p.stdin.write(b'\n')
    c.p.stdin.flush()
    c.p.stdin.close()
    c.p.stdin = None
    equal('output', wanted, sorted(c.rest().split()))
    equal('status', 0, c.p.returncode)


ALL = sorted([b'one', b'two', b'three', b'four', b'five'])


@check('rotation: renamed')
def rotate_rename(folder):
    rotation(folder, f'os.rename("{folder}/log", "{folder}/log.1")', ALL)
    equal('what is there', ['log', 'log.1'], sorted(os.listdir(folder)))


@check('rotation: renamed, and the program is faster')
def rotate_race(folder):
    rotation(folder, f'os.rename("{folder}/log", "{folder}/log.1")', ALL, race=True)
    equal('a FIFO', True, is_fifo(f'{folder}/log'))


@check('rotation: removed')
def rotate_remove(folder):
    rotation(folder, f'os.unlink("{folder}/log")', ALL)


@check('rotation: removed, and the program is faster')
def rotate_remove_race(folder):
    rotation(folder, f'os.unlink("{folder}/log")', ALL, race=True)


@check('rotation: the whole folder is removed and made anew')
def rotate_folder(folder):
    path = f'{folder}/sub/log'
    c = logged('sh', '-c', f'echo one >>{path}; rm -r {folder}/sub; until [ -p {path} ]; do sleep 0.01; done; echo two >>{path};'
               f'rm -r {folder}/sub; until [ -p {path} ]; do sleep 0.01; done; echo three >>{path}', path=path)
    equal('output', b'one\ntwo\nthree\n', c.rest())


@check('rotation: a file in the FIFO\'s place gives its space back, and is let go when nobody writes to it')
def adopted(folder):
    path = f'{folder}/log'
    code = f'''
import os, sys
print("a", file=sys.stderr, flush=True); sys.stdin.readline()
os.unlink({path!r})
f = open({path!r}, "a", buffering=1)
print("b", file=sys.stderr, flush=True); sys.stdin.readline()
for i in range(100000):
    f.write(f"{{i:099d}}\\n")
f.close()
print("c", file=sys.stderr, flush=True); sys.stdin.readline()
'''
    c = logged(PYTHON, '-c', code, path=path, stdin=subprocess.PIPE, more=('--log-full=block',))
    got = []
    reader = threading.Thread(target=lambda: [got.append(d) for d in iter(lambda: os.read(c.p.stdout.fileno(), 1 << 20), b'')])
    reader.start()

    def step():
        c.p.stdin.write(b'\n')
        c.p.stdin.flush()
    os.read(c.p.stderr.fileno(), 2)
    os.kill(c.pid, signal.SIGSTOP)
    step()
    os.read(c.p.stderr.fileno(), 2)
    os.kill(c.pid, signal.SIGCONT)
    until('a FIFO is back', lambda: is_fifo(path))
    step()
    os.read(c.p.stderr.fileno(), 2)
    until('all of it', lambda: sum(map(len, got)) == 10000000)

    def held():
        return [n for n in os.listdir(f'/proc/{c.pid}/fd') if stat.S_ISREG(os.stat(f'/proc/{c.pid}/fd/{n}').st_mode)]
    until('it is let go', lambda: not held())
    step()
    reader.join(DEADLINE)
    equal('status', 0, c.p.wait(DEADLINE))
    equal('output', True, b''.join(got) == b''.join(f'{i:099d}\n'.encode() for i in range(100000)))


@check('stdout is a file, one to append to, a socket, /dev/null')
def kinds(folder):
    path = f'{folder}/log'
    for flags in (os.O_WRONLY, os.O_WRONLY | os.O_APPEND):
        fd = os.open(f'{folder}/out', flags | os.O_CREAT | os.O_TRUNC)
        equal('status', 0, logged(PYTHON, '-c', WRITER, path, '30000', '100', path=path, stdout=fd, more=('--log-full=block',)).status())
        os.close(fd)
        with open(f'{folder}/out', 'rb') as f:
            equal('file', True, f.read() == lines(30000, 100))
    a, b = socket.socketpair()
    c = logged(PYTHON, '-c', WRITER, path, '30000', '100', path=path, stdout=b, more=('--log-full=block',))
    b.close()
    out = b''.join(iter(lambda: a.recv(65536), b''))
    a.close()
    equal('status', 0, c.status())
    equal('socket', True, out == lines(30000, 100))
    with open('/dev/null', 'w', encoding='ascii') as f:
        equal('status', 0, logged(PYTHON, '-c', WRITER, path, '30000', '100', path=path, stdout=f).status())


@check('stdout is a terminal that is stopped: the program goes on')
def terminal(folder):
    path = f'{folder}/log'
    ours, theirs = os.openpty()
    c = logged(PYTHON, '-c', WRITER, path, '60000', '100', path=path, stdout=theirs)
    os.close(theirs)
    written(c)
    out = b''
    try:
        while True:
            data = os.read(ours, 65536)
            if not data:
                break
            out += data
    except OSError:
        pass
    os.close(ours)
    equal('status', 0, c.status())
    out = out.replace(b'\r\n', b'\n')
    kept = LOST.sub(b'', out)
    equal('bytes', 6000000, len(kept) + sum(int(b) for _, b in LOST.findall(out)))


@check('a long line, and one that never ends, are dropped in pieces that are counted')
def long_lines(folder):
    path = f'{folder}/log'
    code = f'''
import sys
with open({path!r}, "wb", buffering=0) as f:
    f.write(b"y" * 3000000 + b"\\n")
    f.write(b"z" * 3000000)
print("done", file=sys.stderr, flush=True)
'''
    c = logged(PYTHON, '-c', code, path=path)
    written(c)
    out = c.rest()
    equal('status', 0, c.p.returncode)
    kept = LOST.sub(b'', out)
    # each gap may begin with an end of line of ours
    extra = len(kept) + sum(int(b) for _, b in LOST.findall(out)) - 6000001
    if not 0 <= extra <= len(LOST.findall(out)):
        raise Failed(f'{extra} bytes too many')


@check('as PID 1 in a container\'s namespaces, with a pipe for stdout')
def pid1(folder):
    path = f'{folder}/log'
    prefix = unshared('-f', '-p', '--mount-proc', '--kill-child')
    c = Child(*prefix, PROGRAM, '--log', path, '--', PYTHON, '-c', WRITER, path, '10000', '80')
    equal('output', True, c.rest() == lines(10000, 80))
    equal('status', 0, c.p.returncode)


run_all()
