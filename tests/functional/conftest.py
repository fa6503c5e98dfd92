import os
import re

import pytest

from harness import Server


@pytest.fixture
def server():
    """A running server with the accounts anna and boris."""
    with Server({"anna": "anna-secret", "boris": "boris-secret"}) as s:
        s.start()
        yield s


@pytest.fixture(scope="module")
def shared():
    """As `server`, one for all tests of a file: each test takes accounts or mailboxes of its own."""
    with Server({"anna": "anna-secret", "boris": "boris-secret"}) as s:
        s.start()
        yield s


@pytest.fixture
def home(shared, request):
    """A home directory and an account of the test's own: (server, user, directory)."""
    user = re.sub(r"\W", "-", request.node.name)[:60]
    shared.add_user(user)
    path = os.path.join(shared.top, "home-" + user)
    os.makedirs(path)
    return shared, user, path


@pytest.fixture
def lmtp(shared):
    """A connection to the shared server that has said LHLO."""
    with shared.raw("lmtp") as c:
        assert c.reply().startswith(b"220 ")
        c.send("LHLO mta.example.org\r\n")
        c.hello = c.reply()
        assert c.hello.startswith(b"250")
        yield c
