#!/usr/bin/python3
"""Power cuts: runs a program under powercut-record.so, builds by seed what a cut may leave, and checks it.

    test.py --layer SO --work FOLDER --run COMMAND --check COMMAND [--seeds N] [--sync NAME=CALL:PATH[,CALL:PATH]]... [--count] [--journal]

COMMANDs are shell words in which {folder}, {answers}, {cut_ns} and {layer} are filled in. `run` works on an empty folder and writes down what was acknowledged, with the time
on CLOCK_MONOTONIC; it is under the layer itself, unless it takes {layer} to put a server under it. `check` exits 0 when all that was acknowledged before cut_ns is there, and may
say "N of M acknowledged lost", which is added up. Without a fault every seed must pass; then, for each --sync, with that sync taken out, some seed must fail: a sync that nothing
fails without is not needed, or not tested. With --count the losses are only counted; --journal is image.py's.
"""
import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys

SAID_MAX, SEEDS_WITHOUT = 1000, 200
HERE = os.path.dirname(os.path.abspath(__file__))


def words(command, **values):
    return [word.format(**values) for word in shlex.split(command)]


def record(args):
    folder, answers, log = (os.path.join(args.work, name) for name in ('data', 'answers', 'log'))
    shutil.rmtree(args.work, ignore_errors=True)
    os.makedirs(folder)
    environment = dict(os.environ, POWERCUT_FOLDER=folder, POWERCUT_LOG=log)
    if '{layer}' not in args.run:
        environment['LD_PRELOAD'] = args.layer
    subprocess.run(words(args.run, folder=folder, answers=answers, cut_ns=0, layer=args.layer), env=environment, check=True)
    return answers, log


def try_seed(args, answers, log, seed, ignore):
    """(Whether all was there, what was said.)"""
    image = os.path.join(args.work, 'image')
    shutil.rmtree(image, ignore_errors=True)
    command = [sys.executable, os.path.join(HERE, 'image.py'), log, str(seed), image]
    for pattern in ignore:
        command += ['--ignore', pattern]
    if args.journal:
        command.append('--journal')
    cut = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    done = subprocess.run(words(args.check, folder=image, answers=answers, cut_ns=cut['cut_ns'], layer=args.layer), text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120, check=False)
    if done.returncode != 0 and not done.stdout.strip():
        sys.exit(f'the check broke down: {done.stderr[-2000:]}')  # that is no finding
    return done.returncode == 0, f"cut at {cut['cut']} of {cut['records']}: {done.stdout.strip()[:SAID_MAX]}"


def try_all(args, answers, log):
    good, lost, acknowledged = 0, 0, 0
    for seed in range(args.seeds):
        ok, said = try_seed(args, answers, log, seed, [])
        good += ok
        for counted in re.findall(r'(\d+) of (\d+) acknowledged lost', said):
            lost, acknowledged = lost + int(counted[0]), acknowledged + int(counted[1])
        if not ok or args.count:
            print(f'seed {seed}: {said}', flush=True)
    print(f'all syncs: {good} of {args.seeds} seeds good' + (f'; {lost} of {acknowledged} acknowledged lost' if acknowledged else ''), flush=True)
    return good == args.seeds


def try_without(args, answers, log, name, patterns):
    for seed in range(SEEDS_WITHOUT):
        ok, said = try_seed(args, answers, log, seed, patterns)
        if not ok:
            print(f'without {name}: seed {seed} fails as it must: {said.splitlines()[0]}', flush=True)
            return True
    print(f'without {name}: all {SEEDS_WITHOUT} seeds are good: the sync is not needed, or not tested')
    return False


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--layer', required=True)
    parser.add_argument('--work', required=True)
    parser.add_argument('--run', required=True)
    parser.add_argument('--check', required=True)
    parser.add_argument('--seeds', type=int, default=20)
    parser.add_argument('--sync', action='append', default=[])
    parser.add_argument('--count', action='store_true')
    parser.add_argument('--journal', action='store_true')
    args = parser.parse_args()
    args.work, args.layer = os.path.abspath(args.work), os.path.abspath(args.layer)
    answers, log = record(args)
    good = try_all(args, answers, log) or args.count
    for sync in args.sync:
        name, patterns = sync.split('=', 1)
        good = try_without(args, answers, log, name, patterns.split(',')) and good
    shutil.rmtree(args.work)
    sys.exit(0 if good else 1)


if __name__ == '__main__':
    main()
