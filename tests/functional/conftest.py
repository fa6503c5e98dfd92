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
