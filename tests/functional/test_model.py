"""Random operations from several clients, every response compared with a model of the mailboxes. See model/__init__.py.

The seed is printed; `python3 -m model --seed N --operations N` in this directory does the same again, or more.
"""

import os
import random

import pytest

from harness import Server
from model.world import World

OPERATIONS = 8000
SANITIZED_OPERATIONS = 1500


def seeds():
    return [int(os.environ["MODEL_SEED"])] if "MODEL_SEED" in os.environ else [1, random.SystemRandom().randrange(1 << 31)]


@pytest.mark.parametrize("seed", seeds())
def test_clients_see_what_the_model_says(seed):
    print("seed %d" % seed)
    with Server() as server:
        server.start()
        wanted = SANITIZED_OPERATIONS if server.sanitized() else OPERATIONS
        server.stop()
        World(seed, server).run(wanted // len(seeds()))
