"""A model of several mailboxes, clients that keep the caches real ones keep, and random operations on both.

wire.py      connection and strict parser: a response that is not understood is a failure
oracle.py    what the mailboxes hold now and held at any MODSEQ
session.py   one client: what it was told, compared with the oracle after each command
operations.py  what a client may do next, and what must come of it
world.py     one run: a server, its clients, the seed, the log of operations
parallel.py  the same clients at once from threads: only order and eventual equality can be checked
"""
