"""Random operations from several clients, every response compared with a model of the mailboxes. See model/__init__.py.

The seed is printed; MODEL_SEED=N does the same again, and `make model` runs longer.
"""

import os
import random

import pytest

from harness import Server
from model import parallel
from model.world import World

OPERATIONS = 4000
SANITIZED_OPERATIONS = 700
RARE = ["put back", "mailbox pruned", "resumed below the floor", "fetch with VANISHED below the floor"]


def seeds():
    if "MODEL_SEED" in os.environ:
        return [int(os.environ["MODEL_SEED"])]
    return [1, random.SystemRandom().randrange(1 << 31)]


def is_slow(server):
    server.start()
    slow = server.sanitized()
    server.stop()
    return slow


@pytest.mark.parametrize("seed", seeds())
def test_clients_see_what_the_model_says(seed):
    print("seed %d" % seed)
    with Server() as server:
        slow = is_slow(server)
        world = World(seed, server)
        world.run(SANITIZED_OPERATIONS if slow else OPERATIONS)
    if seed == 1 and not slow:          # it has tried what is rare
        assert all(world.counts[what] > 0 for what in RARE), world.counts


@pytest.mark.parametrize("kill", [False, True])
def test_clients_at_once_agree_in_the_end(kill):
    seed = seeds()[-1]
    print("seed %d" % seed)
    with Server() as server:
        parallel.Run(server, seed, 3 if is_slow(server) else 8, 60, kill).finish()
