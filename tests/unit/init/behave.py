#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""behave.py PROGRAM [tini|dumb-init]: what tini and dumb-init promise, asked of docker-router-init, or of one of them. TAP.

What one of the others does differently is skipped, with the reason, so that the three can be compared.
"""
import os
import pty
import select
import signal
import stat
import subprocess
import sys
import termios
import time

from tap import ALL_SIGNALS, DEADLINE, LISTENER, OWN, Child, Failed, Skipped, check, children, equal, proc, run_all, unshared, until

PROGRAM = os.path.realpath(sys.argv[1])
KIND = sys.argv[2] if len(sys.argv) > 2 else 'ours'
PYTHON = sys.executable


def init(*argv, group=False):
    options = {'ours': ['-g'] if group else [], 'tini': ['-s', '-g'] if group else ['-s'],
               'dumb-init': [] if group else ['-c']}[KIND]
    return [PROGRAM, *options, '--', *argv]


def ours_only(why):
    if KIND != 'ours':
        raise Skipped(f'{KIND} {why}')


@check('every exit status is passed on')
def exit_statuses(_):
    for n in (0, 1, 2, 42, 126, 127, 128, 137, 255):
        equal(f'exit {n}', n, Child(*init('sh', '-c', f'exit {n}')).status())


@check('a program that a signal ended: 128 + n')
def exit_signals(_):
    for n in (1, 2, 3, 9, 14, 15, 34, 64):
        # whoever runs this may have it ignored
        code = f'import os, resource, signal; resource.setrlimit(resource.RLIMIT_CORE, (0, 0)); {n} == 9 or ' \
               f'signal.signal({n}, signal.SIG_DFL); os.kill(os.getpid(), {n}); import time; time.sleep(60)'
        equal(f'signal {n}', 128 + n, Child(*init(PYTHON, '-c', code)).status())


@check('a program that does not exist: 127, one that cannot be run: 126')
def exit_exec(folder):
    if KIND == 'dumb-init':
        raise Skipped('dumb-init ends with 2')
    path = f'{folder}/program'
    with open(path, 'w', encoding='ascii') as f:
        f.write('no program')
    equal('nothing there', 127, Child(*init('/no/such/program')).status())
    equal('not in PATH', 127, Child(*init('no-such-program')).status())
    equal('not executable', 126, Child(*init(path)).status())
    equal('a folder', 126, Child(*init(folder)).status())


@check('every signal is passed on, real-time ones too')
def signals(_):
    c = Child(*init(PYTHON, '-c', LISTENER))
    equal('begin', 'ready', c.line())
    for n in ALL_SIGNALS:
        if n in OWN:
            continue
        if KIND == 'tini' and n in (signal.SIGTTIN, signal.SIGTTOU):
            continue
        if KIND == 'dumb-init' and n > 31:
            continue
        if KIND == 'dumb-init' and n in (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU):
            continue
        c.kill(n)
        equal(f'signal {n}', str(int(n)), c.line())
    os.kill(children(c.pid)[0], signal.SIGKILL)
    equal('status', 137, c.status())


@check('a burst of signals, none of them lost between two kinds')
def burst(_):
    c = Child(*init(PYTHON, '-c', LISTENER))
    equal('begin', 'ready', c.line())
    kinds = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH, signal.SIGTERM)
    for n in kinds:
        c.kill(n)
    equal('those that came', sorted(kinds), sorted(int(c.line()) for _ in kinds))
    os.kill(children(c.pid)[0], signal.SIGKILL)
    c.status()


@check('SIGTERM at any moment of the start ends it')
def early_term(_):
    for i in range(40):
        c = Child(*init('sleep', '1000'))
        time.sleep(i / 20000)
        c.kill(signal.SIGTERM)
        status = c.status()
        if status not in (143, -15):
            raise Failed(f'status {status} after {i / 20} ms')


@check('mask and ignored signals of the program are those that init was started with')
def mask(_):
    code = 'import signal, sys; signal.pthread_sigmask(signal.SIG_BLOCK, {10}); signal.signal(12, signal.SIG_IGN); ' \
           'import os; os.execv(sys.argv[1], sys.argv[1:])'
    look = ['grep', '-E', '^Sig(Blk|Ign)', '/proc/self/status']
    want = subprocess.run([PYTHON, '-c', code, '/usr/bin/env', *look], stdout=subprocess.PIPE, check=True).stdout
    if KIND == 'dumb-init':
        raise Skipped('dumb-init clears the mask')
    equal('mask', want, Child(PYTHON, '-c', code, *init(*look)).rest())


@check('stopped by SIGTSTP, and goes on with SIGCONT')
def stop_continue(_):
    if KIND == 'dumb-init':
        raise Skipped('dumb-init stops itself too')
    c = Child(*init('sleep', '1000'))
    kid = until('the program', lambda: children(c.pid))[0]
    until('it is sleep', lambda: proc(kid, 'Name') == 'sleep')
    c.kill(signal.SIGTSTP)
    until('stopped', lambda: (proc(kid, 'State') or '').startswith('T'))
    # it may have to get a processor yet, but one that is stopped would never sleep
    until('init waits', lambda: (proc(c.pid, 'State') or '').startswith('S'))
    c.kill(signal.SIGCONT)
    until('running', lambda: (proc(kid, 'State') or '').startswith('S'))
    c.kill(signal.SIGTERM)
    equal('status', 143, c.status())


@check('as PID 1 it reaps what others left')
def reap_pid1(_):
    prefix = unshared('-f', '-p', '--mount-proc', '--kill-child')
    code = '''
import os, time
for i in range(200):
    if os.fork() == 0:
        if os.fork() == 0:
            os._exit(0)
        os._exit(0)
    os.wait()
end = time.monotonic() + 60
while time.monotonic() < end:
    pids = [p for p in os.listdir("/proc") if p.isdigit()]
    if len(pids) == 2:
        break
    time.sleep(0.01)
print(len(pids), open("/proc/1/comm").read())
'''
    out = Child(*prefix, *init(PYTHON, '-c', code)).rest().decode().split()
    equal('processes', '2', out[0])


@check('PID 1 ends when the program ends, whatever it left running')
def leftover(_):
    prefix = unshared('-f', '-p', '--mount-proc', '--kill-child')
    c = Child(*prefix, *init('sh', '-c', 'setsid sleep 1000 >/dev/null 2>&1 & trap "" TERM; exit 5'))
    equal('status', 5, c.status())


@check('where it is not PID 1 it adopts orphans')
def subreaper(_):
    if KIND == 'dumb-init':
        raise Skipped('dumb-init does not')
    code = '''
import os, time
if os.fork() == 0:
    if os.fork() == 0:
        while os.getppid() == int(os.environ["MIDDLE"]) if "MIDDLE" in os.environ else False: pass
        time.sleep(1000)
    os._exit(0)
os.wait()
print("ready", flush=True)
time.sleep(1000)
'''
    c = Child(*init(PYTHON, '-c', code))
    equal('begin', 'ready', c.line())
    kids = until('two children', lambda: len(children(c.pid)) == 2 and children(c.pid))
    orphan = kids[1]
    os.kill(orphan, signal.SIGKILL)
    until('the orphan is reaped', lambda: len(children(c.pid)) == 1)
    c.kill(signal.SIGTERM)
    equal('status', 143, c.status())


@check('to the whole group, when asked to')
def group(_):
    c = Child(*init('sh', '-c', 'trap "" USR1; sleep 1000 & echo $!; wait; wait', group=True))
    pid = int(c.line())
    until('it is sleep', lambda: proc(pid, 'Name') == 'sleep')
    c.kill(signal.SIGTERM)
    equal('status', 143, c.status())
    until('the grandchild is gone', lambda: proc(pid, 'State') is None or proc(pid, 'State').startswith('Z'))


@check('without that, to the program alone')
def no_group(_):
    c = Child(*init('sh', '-c', 'trap "echo term" TERM; sleep 1000 & echo $!; while :; do wait; done'))
    pid = int(c.line())
    until('it is sleep', lambda: proc(pid, 'Name') == 'sleep')
    c.kill(signal.SIGTERM)
    equal('the program', 'term', c.line())
    if proc(pid, 'State') is None:
        raise Failed('the grandchild got the signal too')
    for kid in children(c.pid):
        os.kill(kid, signal.SIGKILL)
    os.kill(pid, signal.SIGKILL)
    equal('status', 137, c.status())


class Terminal:
    """ARGV as the leader of a session, on a terminal; we are its other end."""
    def __init__(self, run):
        self.got = b''
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            run()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)

    def until(self, words):
        end = time.monotonic() + DEADLINE
        while words not in self.got:
            if time.monotonic() > end:
                raise Failed(f'{words!r} did not come: {self.got!r}')
            try:
                if select.select([self.fd], [], [], 1)[0]:
                    self.got += os.read(self.fd, 4096)
            except OSError as e:
                raise Failed(f'{words!r} did not come: {self.got!r}') from e
        self.got = self.got[self.got.index(words) + len(words):]

    def status(self):
        def ended():
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            return pid and [status]
        status = until('the end', ended)[0]
        self.pid = 0
        return os.waitstatus_to_exitcode(status)


@check('the program has the terminal: it reads, and gets what keys send')
def terminal(_):
    code = '''
import os, signal
print("foreground", os.tcgetpgrp(0) == os.getpgrp(), flush=True)
print("read", input(), flush=True)
def on(n, _):
    print("signal", n, flush=True)
signal.signal(signal.SIGINT, on)
signal.signal(signal.SIGTSTP, on)
print("waiting", flush=True)
while True:
    signal.pause()
'''
    argv = init(PYTHON, '-c', code)
    with Terminal(lambda: os.execv(argv[0], argv)) as t:
        t.until(b'foreground True')
        os.write(t.fd, b'words\n')
        t.until(b'read words')
        t.until(b'waiting')
        os.write(t.fd, b'\x03')
        t.until(b'signal 2')
        os.write(t.fd, b'\x1a')
        t.until(b'signal 20')
        os.kill(t.pid, signal.SIGTERM)
        equal('status', 143, t.status())


@check('it does not stop at a terminal that others have')
def background(_):
    """In the background of a terminal with TOSTOP: taking the foreground and writing must not stop it."""
    def shell():
        attributes = termios.tcgetattr(0)
        attributes[3] |= termios.TOSTOP
        termios.tcsetattr(0, termios.TCSANOW, attributes)
        kid = os.fork()
        if kid == 0:
            os.setpgid(0, 0)
            os.execv(PROGRAM, init('sh', '-c', 'echo went; exit 3'))
        _, status = os.waitpid(kid, os.WUNTRACED)
        os._exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else 99)
    with Terminal(shell) as t:
        t.until(b'went')
        equal('status', 3, t.status())


@check('without stdin, stdout and stderr')
def closed(folder):
    code = f'import os, sys; [os.close(i) for i in range(3)]; os.execv(sys.argv[1], sys.argv[1:])'
    equal('status', 4, Child(PYTHON, '-c', code, *init('sh', '-c', f'echo x >{folder}/x; exit 4')).status())


@check('no descriptor of init is the program\'s')
def descriptors(_):
    out = Child(*init('ls', '/proc/self/fd')).rest().split()
    equal('descriptors', [b'0', b'1', b'2', b'3'], out)


@check('an exit status that counts as good')
def ok_status(_):
    flag = '-e'
    if KIND == 'dumb-init':
        raise Skipped('dumb-init has no such thing')
    equal('143 is 0', 0, Child(PROGRAM, flag, '143', '--', 'sh', '-c', 'kill $$').status())
    equal('144 is not', 144, Child(PROGRAM, flag, '143', '--', 'sh', '-c', 'exit 144').status())


@check('another signal instead')
def rewrite(_):
    if KIND == 'tini':
        raise Skipped('tini has no such thing')
    c = Child(PROGRAM, '-r', '15:2', '-r', '10:0', '--', PYTHON, '-c', LISTENER)
    equal('begin', 'ready', c.line())
    c.kill(signal.SIGUSR1)
    c.kill(signal.SIGTERM)
    equal('signal', '2', c.line())
    for kid in children(c.pid):
        os.kill(kid, signal.SIGKILL)
    c.status()


@check('a signal when the parent dies')
def death_signal(_):
    if KIND == 'dumb-init':
        raise Skipped('dumb-init has no such thing')
    flags = ['-p', 'TERM'] if KIND == 'ours' else ['-s', '-p', 'SIGTERM']
    parent = Child('sh', '-c', '"$@" & echo $!; wait', 'sh', PROGRAM, *flags, '--', PYTHON, '-c', LISTENER)
    pid = int(parent.line())
    equal('begin', 'ready', parent.line())
    kid = children(pid)[0]
    parent.kill(signal.SIGKILL)
    equal('signal', '15', parent.line())
    os.kill(kid, signal.SIGKILL)
    until('init is gone', lambda: proc(pid, 'State') is None)


@check('wrong usage: 2, and what is allowed')
def usage(_):
    ours_only('has its own')
    for argv, words in ((['--lgo', 'x'], 'did you mean --log'), ([], 'a program to run is missing'),
                        (['--log', 'x', '--', 'true'], 'absolute path'), (['--wait-for', 'db:5', 'true'], 'tcp://'),
                        (['--log-full', 'maybe', 'true'], 'block or drop'), (['--also', "'x", 'true'], 'not closed')):
        c = Child(PROGRAM, *argv)
        equal(f'{argv}', 2, c.status())
        if words not in c.err:
            raise Failed(f'{argv}: {c.err}')
    equal('--help', 0, Child(PROGRAM, '--help').status())
    equal('hold x', 2, Child(PROGRAM, 'hold', 'x').status())
    equal('wait-net x', 2, Child(PROGRAM, 'wait-net', 'x').status())


@check('it needs nothing from the image, and little memory')
def small(_):
    ours_only('is another size')
    if b'interpreter' in subprocess.run(['file', PROGRAM], stdout=subprocess.PIPE, check=False).stdout or \
            b'/ld-' in open(PROGRAM, 'rb').read(4096):
        raise Skipped('this build is not static')
    if not os.stat(PROGRAM).st_mode & stat.S_IXOTH:
        raise Failed('not everybody may run it')
    c = Child(PROGRAM, '--', 'sleep', '1000')
    until('the program', lambda: children(c.pid))
    kb = int(proc(c.pid, 'VmRSS').split()[0])
    if kb > 1024:
        raise Failed(f'{kb} kB resident')
    c.kill(signal.SIGTERM)
    equal('status', 143, c.status())


def side(folder, words, *more):
    return [PROGRAM, *more, '--also', words, '--']


@check('side processes: several, started again, ended with the program')
def also(folder):
    ours_only('has none')
    log = f'{folder}/also'
    once = f'sh -c "echo one >>{log}; exit 3"'
    stays = f'sh -c "echo $$ >{folder}/pid; exec sleep 1000"'
    c = Child(PROGRAM, '--also', once, '--also', stays, '--', 'sleep', '1000')
    until('started a third time', lambda: os.path.exists(log) and open(log, encoding='ascii').read().count('one') >= 3)
    pid = int(until('the other', lambda: os.path.exists(f'{folder}/pid') and open(f'{folder}/pid', encoding='ascii').read().strip()))
    equal('whose child it is', str(c.pid), proc(pid, 'PPid'))
    c.kill(signal.SIGTERM)
    equal('status', 143, c.status())
    until('the side process is gone', lambda: proc(pid, 'State') is None)
    if 'started again' not in c.err or 'status=3' not in c.err:
        raise Failed(f'nothing was said: {c.err}')


@check('side processes: policies never and on-failure')
def also_policies(folder):
    ours_only('has none')
    c = Child(PROGRAM, '--also-restart', 'never', '--also', f'sh -c "echo n >>{folder}/n; exit 1"',
              '--also-restart=on-failure', '--also', f'sh -c "echo f >>{folder}/f; [ $(grep -c f {folder}/f) = 2 ]"',
              '--also-restart', 'always', '--also', f'sh -c "echo a >>{folder}/a"', '--', 'sleep', '1000')

    def count(name):
        try:
            return len(open(f'{folder}/{name}', encoding='ascii').readlines())
        except OSError:
            return 0
    until('always: four times', lambda: count('a') >= 4)
    until('the others were started', lambda: count('n') and count('f') >= 2)
    equal('never', 1, count('n'))
    equal('on-failure: until it went well', 2, count('f'))
    c.kill(signal.SIGTERM)
    equal('status', 143, c.status())


@check('side processes: one that does not heed SIGTERM is killed, and one that does not exist is no end')
def also_stubborn(folder):
    ours_only('has none')
    c = Child(PROGRAM, '--also', f'sh -c "trap : TERM; echo $$ >{folder}/pid; while :; do sleep 1; done"', '--also', '/no/such/program',
              '--', 'sh', '-c', f'until [ -s {folder}/pid ]; do sleep 0.01; done; exit 6')
    equal('status', 6, c.status())
    pid = int(open(f'{folder}/pid', encoding='ascii').read())
    until('the side process is gone', lambda: proc(pid, 'State') is None)


@check('hold: stays, reaps, and ends with 0 when told to')
def hold(_):
    ours_only('has no such thing')
    prefix = unshared('-f', '-p', '--mount-proc', '--kill-child')
    for n in (signal.SIGTERM, signal.SIGINT):
        c = Child(*prefix, PROGRAM, 'hold')
        kid = until('it', lambda: children(c.pid))[0]
        until('it is there', lambda: proc(kid, 'Name') == os.path.basename(PROGRAM)[:15] and
              int(proc(kid, 'SigBlk'), 16) & 1 << (signal.SIGTERM - 1))
        os.kill(kid, signal.SIGHUP)
        os.kill(kid, n)
        equal('status', 0, c.status())


run_all()
