# SPDX-License-Identifier: Apache-2.0
"""What the suites of docker-router-init share: TAP, waiting with a deadline, programs that tell what happens to them."""
import os
import select
import signal
import subprocess
import sys
import tempfile
import time

DEADLINE = 60  # seconds; far beyond what anything takes, also on a machine with other things to do
checks = []


class Failed(Exception):
    pass


class Skipped(Exception):
    pass


def check(words):
    """A function that is a point of the TAP, called WORDS."""
    def add(f):
        checks.append((words, f))
        return f
    return add


def equal(what, want, got):
    if want != got:
        raise Failed(f'{what}: wanted {want!r}, got {got!r}')


def until(what, cond, limit=DEADLINE):
    end = time.monotonic() + limit
    while True:
        value = cond()
        if value:
            return value
        if time.monotonic() > end:
            raise Failed(f'{what}: not within {limit} s')
        time.sleep(0.005)


def run_all():
    failed = 0
    print(f'1..{len(checks)}', flush=True)
    for i, (words, f) in enumerate(checks, 1):
        with tempfile.TemporaryDirectory(prefix='init-test-') as folder:
            os.chmod(folder, 0o755)
            try:
                f(folder)
                print(f'ok {i} - {words}', flush=True)
            except Skipped as e:
                print(f'ok {i} - {words} # SKIP {e}', flush=True)
            except (Failed, OSError, subprocess.SubprocessError, ValueError) as e:
                failed += 1
                print(f'not ok {i} - {words}\n# ' + f'{type(e).__name__}: {e}'.replace('\n', '\n# '), flush=True)
            finally:
                Child.end_all()
    sys.exit(1 if failed else 0)


class Child:
    """A process with pipes, whose lines are read with a deadline; ended with its test."""
    live = []

    def __init__(self, *argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, **kw):
        self.p = subprocess.Popen([str(a) for a in argv], stdout=stdout, stderr=stderr, stdin=stdin, **kw)
        self.pid = self.p.pid
        self.got = b''
        Child.live.append(self)

    def line(self, limit=DEADLINE):
        end = time.monotonic() + limit
        while b'\n' not in self.got:
            ready, _, _ = select.select([self.p.stdout], [], [], max(0, end - time.monotonic()))
            data = os.read(self.p.stdout.fileno(), 65536) if ready else b''
            if not data:
                raise Failed(f'no line came; so far: {self.got!r}')
            self.got += data
        line, _, self.got = self.got.partition(b'\n')
        return line.decode()

    def rest(self, limit=DEADLINE):
        """What else is on stdout until its end, and the exit status (negative: a signal)."""
        out, err = self.p.communicate(timeout=limit)
        self.err = (err or b'').decode(errors='replace')
        return self.got + (out or b'')

    def status(self, limit=DEADLINE):
        self.rest(limit)
        return self.p.returncode

    def kill(self, number):
        os.kill(self.pid, number)

    @staticmethod
    def end_all():
        for c in Child.live:
            if c.p.poll() is None:
                # what it left behind has nobody's pipe to write to, and is killed with its namespace or by name of its test
                c.p.kill()
                c.p.wait()
            for f in (c.p.stdout, c.p.stderr, c.p.stdin):
                if f:
                    f.close()
        Child.live = []


def proc(pid, key):
    """A line of /proc/PID/status"""
    try:
        with open(f'/proc/{pid}/status', encoding='ascii', errors='replace') as f:
            for line in f:
                if line.startswith(key + ':'):
                    return line.split(':', 1)[1].strip()
    except OSError:
        pass
    return None


def children(pid):
    try:
        with open(f'/proc/{pid}/task/{pid}/children', encoding='ascii') as f:
            return [int(p) for p in f.read().split()]
    except OSError:
        return []


def unshared(*options):
    """A prefix for a command in namespaces of its own"""
    mine = [] if os.getuid() == 0 else ['-r']
    prefix = ['unshare', *mine, *options, '--']
    if subprocess.run([*prefix, 'true'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode:
        raise Skipped('no namespaces may be made here')
    return prefix


ALL_SIGNALS = [n for n in range(1, 65) if n not in (signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD, 32, 33)]
# what a fault of its own sends to an init
OWN = (signal.SIGILL, signal.SIGTRAP, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGSEGV, signal.SIGSYS)

# Tells every signal that it gets, a line each, until SIGTERM
LISTENER = '''
import os, signal, sys
every = set(range(1, 65)) - {9, 19, 32, 33}
signal.pthread_sigmask(signal.SIG_BLOCK, every)
print("ready", flush=True)
while True:
    n = signal.sigwait(every)
    if n != signal.SIGCHLD:
        print(int(n), flush=True)
'''
