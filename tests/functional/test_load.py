"""The load generator of tests/bench: each mode does a few operations and finds what it must find. What it measures is
another matter; here a change of the server or of the generator that breaks a benchmark is noticed."""

import json
import os
import signal
import subprocess

import pytest

from harness import BUILD, PATIENCE_S, Server, set_limit

LOAD = os.path.join(BUILD, "load")
USERS = 2
FILLED = 240            # messages of both users
LARGE = 2000000


def limits(text):
    for key in ("max_connections_per_account", "max_connections_per_ip"):
        text = set_limit(text, key, 100)
    return text


@pytest.fixture(scope="module")
def filled():
    with Server({"user%d" % i: "secret" for i in range(USERS)}, conf_edit=limits) as s:
        s.start()
        row = load(s, "lmtp", "fill", "--messages", FILLED, "-c", 2, "--largest", LARGE, "--size-mean", 8000)
        assert row["messages"] == FILLED + 1 and row["bytes"] > LARGE
        yield s


def run(server, listener, *args):
    argv = [LOAD, "-p", server.port(listener), "--users", USERS] + list(args)
    return subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=PATIENCE_S * 3)


def load(server, listener, *args):
    """The JSON of a run that must be good."""
    r = run(server, listener, *args)
    assert r.returncode == 0 and r.stderr == "", r
    row = json.loads(r.stdout)
    assert row["errors"] == 0 and row["ops"] > 0 and row["seconds"] > 0
    assert row["p50_ms"] <= row["p99_ms"] <= row["max_ms"]
    return row


def count_inbox(server, user):
    with server.imap(user) as c:
        return int(c.select(readonly=True)[1][0])


# ---- every message comes back as it was made ----

@pytest.mark.parametrize("listener, flags", [
    ("imap", []), ("imaps", ["--tls"]), ("imap", ["--compress"]), ("imaps", ["--tls", "--compress"])])
def test_bodies(filled, listener, flags):
    row = load(filled, listener, *flags, "--verify", "-c", USERS, "bodies")
    assert row["verified"] == row["messages"] == sum(count_inbox(filled, "user%d" % i) for i in range(USERS))


@pytest.mark.parametrize("listener, flags", [("pop3", []), ("pop3s", ["--tls"])])
def test_pop3(filled, listener, flags):
    row = load(filled, listener, *flags, "--verify", "pop3")
    assert row["verified"] == row["messages"] == count_inbox(filled, "user0")


def test_random(filled):
    assert load(filled, "imaps", "--tls", "--quickack", "random", "-n", 5)["messages"] == 5
    assert load(filled, "imap", "random", "-n", 20, "--verify")["verified"] == 20


def test_verify_notices_other_mail(server):
    server.add_user("user0", "secret")
    server.deliver("user0", "From: a@example.org\r\nSubject: not of the generator\r\n\r\nx\r\n")
    r = run(server, "imap", "--verify", "bodies")
    assert r.returncode == 1 and "not of this generator" in r.stderr and r.stdout == ""


# ---- sessions ----

@pytest.mark.parametrize("flags, resumed", [([], 0), (["--tls"], 0), (["--tls", "--resume"], 18)])
def test_login(filled, flags, resumed):
    row = load(filled, "imaps" if flags else "imap", *flags, "-c", 2, "-n", 20, "login")
    assert row["ops"] == 20 and row.get("resumed", 0) == resumed and row.get("handshakes", 0) == (20 if flags else 0)


def test_select(filled):
    assert load(filled, "imap", "select", "INBOX", "-n", 3)["exists"] == count_inbox(filled, "user0")


def test_session(filled):
    before = count_inbox(filled, "user0")
    assert load(filled, "imap", "session", "-n", 4, "-c", 2, "--lmtp-port", filled.port("lmtp"))["messages"] == 4
    assert load(filled, "imaps", "--tls", "--compress", "session", "-n", 2, "--no-wait")["ops"] == 2
    assert count_inbox(filled, "user0") == before           # each session files one away and gets one


def test_exists(filled):
    assert load(filled, "imap", "exists", "-n", 6, "-c", 2, "--lmtp-port", filled.port("lmtp"))["messages"] == 6


def test_idle(filled):
    p = subprocess.Popen([LOAD, "-p", str(filled.port("imaps")), "--tls", "-c", "12", "--users", str(USERS), "idle"],
                         stdout=subprocess.PIPE, text=True)
    try:
        assert json.loads(p.stdout.readline()) == {"ready": 12}
        p.send_signal(signal.SIGTERM)
        assert json.loads(p.communicate(timeout=PATIENCE_S)[0])["ops"] == 12
        assert p.returncode == 0
    finally:
        if p.poll() is None:
            p.kill()
            p.wait()


# ---- reading ----

@pytest.mark.parametrize("items", ["(UID FLAGS)", "(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)"])
def test_fetch(filled, items):
    assert load(filled, "imap", "fetch", items, "-n", 2)["messages"] == 2 * count_inbox(filled, "user0")


def test_late(filled):
    assert load(filled, "imap", "late", "-n", 5)["bytes"] == 5 * 65536


def test_search(filled):
    assert load(filled, "imap", "search", "HEADER", "X-Load", "real.1.", "-n", 2)["matches"] > 0
    assert load(filled, "imap", "command", "NOOP", "-n", 3)["ops"] == 3


def test_qresync(filled):
    row = load(filled, "imap", "qresync", "-n", 3)
    assert row["messages"] == 300 and row["exists"] == count_inbox(filled, "user0")


# ---- changing ----

@pytest.mark.parametrize("mode", ["copy", "move", "expunge"])
def test_many(filled, mode):
    before = count_inbox(filled, "user0")
    assert load(filled, "imap", mode, 100, "-n", 2)["messages"] == 200
    assert count_inbox(filled, "user0") == before


def test_store(filled):
    load(filled, "imap", "store", "-n", 7, "-c", 2)
    with filled.imap("user0") as c:
        c.select(readonly=True)
        assert c.search(None, "FLAGGED")[1] == [b""]        # none is left behind


def test_append(filled):
    assert load(filled, "imap", "append", "-n", 10, "-c", 2, "--mailbox", "a", "--mail", "text")["messages"] == 10
    assert load(filled, "imap", "multiappend", 5, "-n", 2, "--mailbox", "b", "--seed", 9)["messages"] == 10
    row = load(filled, "imap", "bodies", "--mailbox", "b", "--verify")
    assert row["verified"] == 10
    assert load(filled, "imap", "search", "--mailbox", "b", "UNSEEN")["matches"] == 1


def test_lmtp(filled):
    assert load(filled, "lmtp", "lmtp", "-n", 6, "-c", 2, "--recipients", 2)["messages"] == 12
    assert load(filled, "lmtp", "lmtp", "-t", "0.1", "--mail", "text", "--bdat")["messages"] > 0


# ---- the mail, and wrong answers ----

@pytest.mark.parametrize("kind, mean, deflated", [("text", (4000, 6000), (0.38, 0.48)), ("real", (30000, 60000), (0.5, 0.7))])
def test_mail(filled, kind, mean, deflated, tmp_path):
    row = load(filled, "lmtp", "mail", "-n", 500, "--mail", kind, "--out", tmp_path)
    assert mean[0] < row["mean"] < mean[1] and deflated[0] < row["deflated"] < deflated[1]
    assert sum(f.stat().st_size for f in tmp_path.iterdir()) == row["bytes"]


def test_the_same_mail_again(filled, tmp_path):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        (tmp_path / name).mkdir()
        load(filled, "lmtp", "mail", "-n", 20, "--seed", seed, "--out", tmp_path / name)
    a, b, c = ([f.read_bytes() for f in sorted((tmp_path / n).iterdir())] for n in "abc")
    assert a == b and not set(a) & set(c)
    assert all(line.endswith(b"\r") and not line.startswith(b".") for m in a for line in m.split(b"\n")[:-1])


def test_wrong_answers_end_it(filled):
    for args, text in ((["-w", "wrong", "login"], "wanted l1 OK"), (["copy", 100000], "are to be copied"),
                       (["command", "BOGUS"], "BAD")):
        r = run(filled, "imap", *args)
        assert r.returncode == 1 and text in r.stderr and r.stdout == "", r
    assert run(filled, "imap", "nonsense").returncode == 2


def test_mail_of_files(tmp_path):
    """Each delivery has a header of its own and the file's octets, dots at the beginning of lines among them."""
    (tmp_path / "1").write_bytes(b"Subject: dots\r\n\r\n.\r\n..\r\n.x\r\n\r\n.")
    (tmp_path / "2").write_bytes(b"Subject: plain\r\n\r\ntext\r\n")
    (tmp_path / "1").write_bytes((tmp_path / "1").read_bytes() + b"\r\n")
    with Server({"user0": "secret"}, conf_edit=limits) as s:
        s.start()
        row = load(s, "lmtp", "--users", 1, "--mail", "%s/" % tmp_path, "--messages", 5, "fill")
        assert row["messages"] == 5
        row = load(s, "imap", "--users", 1, "--mail", "%s/" % tmp_path, "--verify", "bodies")
        assert row["verified"] == 5
        with s.imap("user0") as c:
            c.select(readonly=True)
            marks = [c.fetch(str(n), "(BODY.PEEK[HEADER.FIELDS (X-LOAD)])")[1][0][1] for n in range(1, 6)]
            assert len(set(marks)) == 5
            assert c.fetch("3", "(BODY.PEEK[TEXT])")[1][0][1] == b".\r\n..\r\n.x\r\n\r\n.\r\n"


def test_no_files_of_mail(tmp_path):
    with Server({"user0": "secret"}, conf_edit=limits) as s:
        s.start()
        r = run(s, "lmtp", "--mail", "%s/" % tmp_path, "--messages", 1, "fill")
        assert r.returncode == 1 and "no messages in" in r.stderr
