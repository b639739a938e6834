# SPDX-License-Identifier: Apache-2.0
"""Rows of bench.py: docker-router-init beside tini, dumb-init and cat."""
import os
import shutil
import subprocess
import tempfile
import time

STARTS = 100
MB = 1024


def timed(argv):
    begin = time.perf_counter()
    subprocess.run(argv, check=True)
    return (time.perf_counter() - begin) * 1000


def resident(argv):
    """kB of PID 1 while its program sleeps"""
    p = subprocess.Popen([*argv, 'sleep', '100'])
    try:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with open(f'/proc/{p.pid}/task/{p.pid}/children', encoding='ascii') as f:
                if f.read().strip():
                    break
            time.sleep(0.01)
        with open(f'/proc/{p.pid}/status', encoding='ascii') as f:
            return next(int(line.split()[1]) for line in f if line.startswith('VmRSS'))
    finally:
        p.terminate()
        p.wait()


def pumped(folder, argv, program):
    """Run PROGRAM below ARGV, its stdout read as a shim reads it. Return: seconds, bytes that came"""
    count = os.path.join(folder, 'count')
    with open(count, 'w', encoding='ascii') as out:
        begin = time.perf_counter()
        writer = subprocess.Popen([*argv, *program], stdout=subprocess.PIPE)
        reader = subprocess.Popen(['dd', 'of=/dev/null', 'bs=64k'], stdin=writer.stdout, stderr=out, env={**os.environ, 'LC_ALL': 'C'})
        writer.stdout.close()
        writer.wait()
        reader.wait()
        seconds = time.perf_counter() - begin
    with open(count, encoding='ascii') as f:
        return seconds, int(next(line for line in f if 'bytes' in line).split()[0])


# 20,000 lines of 100 bytes a second, for two seconds; what it does not get to at its time it writes at once
PACED = '''
import sys, time
f, begin, n = open(sys.argv[1], "wb", buffering=0), time.monotonic(), 0
while n < 40000:
    while n < min(40000, (time.monotonic() - begin) * 20000):
        f.write(b"%099d\\n" % n)
        n += 1
    time.sleep(0.001)
'''


def rows(b):
    init = os.path.join(os.path.dirname(os.path.realpath(b.ROUTER)), 'init', 'docker-router-init')
    if not os.path.exists(init):
        raise SystemExit('bench: docker-router-init was not built (package musl-tools)')
    kinds = {'docker-router-init': [init, '--']}
    kinds.update({k: [k, *more, '--'] for k, more in (('tini', ['-s']), ('dumb-init', ['-c'])) if shutil.which(k)})
    with tempfile.TemporaryDirectory(prefix='bench-') as folder:
        over = {k: [] for k in kinds}
        for _ in range(STARTS):
            alone = timed(['true'])
            for k, argv in kinds.items():
                over[k].append(timed([*argv, 'true']) - alone)
        for k, argv in kinds.items():
            b.single(f'start overhead, {k}', 'ms', over[k], 2.0 if k == 'docker-router-init' else None, 2)
            b.single(f'resident memory, {k}', 'kB', [resident(argv)], 1024 if k == 'docker-router-init' else None, 0)
        log = os.path.join(folder, 'log')
        dd = f'dd if=/dev/zero of={log} bs=64k count={MB * 16} status=none'
        ours, cat, lost = [], [], []
        for _ in range(b.ROUNDS):
            # block: cat lets its writer wait too
            seconds, got = pumped(folder, [init, '--log-full=block', '--log', log, '--'], ['sh', '-c', dd])
            if got != MB * 1048576:
                raise SystemExit(f'bench: {MB * 1048576 - got} bytes are missing')
            ours.append(got / seconds / 1e9)
            os.unlink(log)
            os.mkfifo(log)
            seconds, got = pumped(folder, ['sh', '-c', f'{dd} & exec cat {log}'], [])
            cat.append(got / seconds / 1e9)
            lost.append(40000 * 100 - pumped(folder, [init, '--log', log, '--'], ['python3', '-c', PACED, log])[1])
        b.versus('log pump, --log-full=block', 'GB/s', ours, cat, 'cat', 1.0)
        b.single('log pump, 20,000 lines a second, lost', 'bytes', lost, 0, 0)
