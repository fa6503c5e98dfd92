"""python3 -m model [--seed N] [--operations N] [--runs N] [--log]: from tests/functional, RESTANTE_BUILD set."""

import argparse
import random
import sys
import time

from . import parallel
from .world import run

parser = argparse.ArgumentParser(prog="model")
parser.add_argument("--seed", type=int, help="the first one; at random if not given")
parser.add_argument("--operations", type=int, default=20000)
parser.add_argument("--runs", type=int, default=1, help="with as many seeds")
parser.add_argument("--parallel", action="store_true", help="from threads, with kills; cannot be replayed exactly")
parser.add_argument("--log", action="store_true", help="every command and response on stdout")
args = parser.parse_args()
seed = args.seed if args.seed is not None else random.SystemRandom().randrange(1 << 31)
failed = 0
for seed in range(seed, seed + args.runs):
    print("model: seed %d, %d operations" % (seed, args.operations), flush=True)
    begun = time.monotonic()
    try:
        if args.parallel:
            parallel.run(seed, rounds=max(1, args.operations // 500))
            print("model: well after %.1f s" % (time.monotonic() - begun))
            continue
        world = run(seed, args.operations, sys.stdout if args.log else None)
        print("model: well after %.1f s: %s" % (time.monotonic() - begun, dict(sorted(world.counts.items()))))
    except AssertionError as e:
        failed = 1
        print(e)
sys.exit(failed)
