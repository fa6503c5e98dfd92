"""One bad volume does not take the others with it: a start without it, the answers meanwhile, its return."""

import base64
import contextlib
import fcntl
import json
import os
import signal
import sqlite3
import subprocess
import time

import pytest

from harness import PATIENCE_S, RESTANTED, Server, message, wrap
from lmtp_client import begin, configured, say, write_aliases

SECTION = "\n[volume v2]\npath = volumes/v2\n"


def site(conf=None, first=("anna",), second=("boris",)):
    """Accounts in two volumes."""
    def edit(text):
        return (conf(text) if conf else text) + SECTION

    s = Server()
    with open(s.conf) as f:
        text = f.read()
    with open(s.conf, "w") as f:
        f.write(edit(text))
    s.ctl("volume", "create", "v2")
    for volume, names in (("v1", first), ("v2", second)):
        for name in names:
            s.ctl("user", "add", "--volume", volume, name, stdin=name + "-secret\n")
            s.users[name] = name + "-secret"
    return s


def path(s, *parts):
    return os.path.join(s.dir, "volumes", "v2", *parts)


@contextlib.contextmanager
def moved(*names):
    for name in names:
        os.rename(name, name + ".away")
    yield
    for name in names:
        os.rename(name + ".away", name)


def gone(s):
    return moved(path(s))


def without_log(s):
    return moved(path(s, "log"))


@contextlib.contextmanager
def changed_head(s, change):
    with open(path(s, "head"), "r+b") as f:
        whole = f.read()
        f.seek(0)
        f.truncate()
        f.write(change(whole))
    yield
    with open(path(s, "head"), "r+b") as f:
        f.write(whole)


def cut_head(s):
    return changed_head(s, lambda whole: b"")


def garbled_head(s):
    return changed_head(s, lambda whole: b"\xa5" * len(whole))


@contextlib.contextmanager
def locked(s):
    with open(path(s, "head"), "r+b") as f:
        fcntl.lockf(f, fcntl.LOCK_EX)
        yield


def reload(s):
    count = s.log().count("ev=server.reloaded")
    s.proc.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + PATIENCE_S
    while s.log().count("ev=server.reloaded") == count:
        assert time.monotonic() < deadline, s.log()
        time.sleep(0.02)


def imap_says(s, name, password):
    with s.raw("imap") as c:
        c.line()
        c.send("a LOGIN %s %s\r\n" % (name, password))
        return c.line().decode()


def pop_says(s, name, password):
    with s.raw("pop3") as c:
        c.line()
        c.send("USER %s\r\n" % name)
        c.line()
        c.send("PASS %s\r\n" % password)
        return c.line().decode()


def rcpts_say(s, **answers):
    with s.raw("lmtp") as c:
        begin(c)
        for rcpt, answer in answers.items():
            say(c, "RCPT TO:<%s>" % rcpt.replace("__", "@").replace("_", "."), answer)


@pytest.mark.parametrize("bad", [gone, without_log, cut_head, garbled_head, locked])
def test_a_start_without_one_volume(bad):
    with site() as s:
        with bad(s):
            s.start()
            log = s.log()
            assert log.count("level=error ev=volume.unavailable volume=v2 ") == 1 and "SIGHUP" in log
            assert 'unavailable=v2' in [x for x in log.splitlines() if "ev=server.ready" in x][0]
            code, out, err = s.ctl_raw(["-c", s.conf, "status"], expect=1)
            assert "volume v2: NOT AVAILABLE: " in out and "volume v1\n" in out
            told = json.loads(s.ctl("status", "--json", expect=1))
            assert [v["name"] for v in told["unavailable"]] == ["v2"] and told["unavailable"][0]["reason"]
            assert [v["name"] for v in told["volumes"]] == ["v1"]

            s.deliver("anna@example.org", message("as ever"))
            assert "OK" in imap_says(s, "anna", "anna-secret") and pop_says(s, "anna", "anna-secret").startswith("+OK")
            for name in ("boris", "nobody"):
                assert imap_says(s, name, "boris-secret").startswith("a NO [UNAVAILABLE] "), name
                assert pop_says(s, name, "boris-secret").startswith("-ERR [SYS/TEMP] "), name
            rcpts_say(s, anna="250", anna__example_org="250", boris="451 4.3.0", boris__example_org="451 4.3.0",
                      nobody="451 4.3.0")
            assert "ev=lmtp.unknown_user " not in s.log()
            code, out, err = s.ctl_raw(["-c", s.conf, "user", "add", "boris"], stdin="x\n", expect=1)
            assert "volume v2 is not available and may have an account" in err
        reload(s)
        assert "unavailable" in s.ctl("status", "--json")      # an empty list, and exit status 0
        assert "OK" in imap_says(s, "boris", "boris-secret")
        rcpts_say(s, anna="250", boris="250", nobody="550")
        assert "AUTHENTICATIONFAILED" in imap_says(s, "nobody", "x")
        s.ctl("user", "add", "carla", stdin="x\n")


def test_no_empty_volume_is_made_of_one_that_is_missed():
    with site() as s:
        with gone(s):
            s.start()
            assert "mount its disk" in s.log()
            code, out, err = s.ctl_raw(["-c", s.conf, "volume", "create", "v2"], expect=1)
            assert "mount the disk" in err and "volume create --new v2" in err
            assert not os.path.exists(path(s))
            rcpts_say(s, boris="451 4.3.0")
            s.ctl("volume", "create", "--new", "v2")
            os.rename(path(s), path(s) + ".new")


def test_none_opens():
    with site() as s:
        with gone(s), moved(os.path.join(s.dir, "volumes", "v1", "log")):
            text = str(pytest.raises(RuntimeError, s.start).value)
            assert "v1" in text and "ev=server.ready" not in text, text
        with changed_head(s, lambda whole: b""), moved(os.path.join(s.dir, "volumes", "v1", "head")):
            text = str(pytest.raises(RuntimeError, s.start).value)
            assert "v1" in text and "ev=server.ready" not in text, text


def test_who_asks_whether_all_is_well_is_told():
    with site() as s, gone(s):
        r = subprocess.run(wrap([RESTANTED, "-c", s.conf, "-t"]), capture_output=True, timeout=PATIENCE_S)
        assert r.returncode == 2 and b"volume v2" in r.stderr


def test_guesses_are_not_counted():
    """Who lives there and tries again and again is not kept out when it is back; who guesses at the others is."""
    def conf(text):
        return text + "\n[auth]\nmax_failures = 3\nblock_time = 1h\n"

    with site(conf) as s:
        with gone(s):
            s.start()
            for _ in range(6):
                assert "[UNAVAILABLE]" in imap_says(s, "boris", "boris-secret")
        reload(s)
        assert "OK" in imap_says(s, "boris", "boris-secret")
        assert "ev=auth.blocked" not in s.log() and "ev=auth.failed" not in s.log()


def test_sasl_and_admins():
    """An admin who can be found acts as others, though another admin's name cannot be looked up."""
    def conf(text):
        return text + "\n[auth]\nadmins = root2, root1\n"

    def plain(s, authz, name, password):
        with s.raw("imap") as c:
            c.line()
            text = base64.b64encode(("%s\0%s\0%s" % (authz, name, password)).encode()).decode()
            c.send("a AUTHENTICATE PLAIN %s\r\n" % text)
            return c.line().decode()

    with site(conf, first=("anna", "root1"), second=("boris", "root2")) as s:
        with gone(s):
            s.start()
            assert "OK" in plain(s, "anna", "root1", "root1-secret")
            assert "[UNAVAILABLE]" in plain(s, "boris", "root1", "root1-secret")
            assert "[UNAVAILABLE]" in plain(s, "anna", "root2", "root2-secret")
        reload(s)
        assert "OK" in plain(s, "boris", "root1", "root1-secret")


def test_addresses():
    """An address that may be an account's there is not another's, where accounts are called so."""
    conf = configured(catch_all="else.example=anna", aliases="aliases")
    names = ("anna", "anna@one.example", "clara@two.example")
    with site(first=names, second=("anna@two.example", "dora")) as s:
        write_aliases(s, "both: anna, dora\nhers@two.example: anna\n")
        with open(s.conf) as f:
            text = f.read()
        with open(s.conf, "w") as f:
            f.write(conf(text))
        with gone(s):
            s.start()
            rcpts_say(s, anna__one_example="250", clara__two_example="250", anna__three_example="250", hers__two_example="250",
                      anna__two_example="451 4.3.0", both="451 4.3.0", x__else_example="451 4.3.0", dora="451 4.3.0",
                      **{"anna+x@one.example": "250", "anna+x@two.example": "451 4.3.0"})
            told = [x for x in s.log().splitlines() if "ev=lmtp.unknown_user_postponed" in x]
            assert len(told) == 1 and "v2" in told[0]
        reload(s)
        rcpts_say(s, anna__two_example="250", both="250", x__else_example="250", dora="250", dora__two_example="250")


def test_a_record_of_an_address_is_damaged():
    """The account by the local part alone is somebody else."""
    with Server({"anna": "x-secret", "anna@example.org": "x-secret", "boris@example.org": "x-secret"}) as s:
        log = os.path.join(s.dir, "volumes", "v1", "log")
        hurt = 0
        for name in os.listdir(log):
            with open(os.path.join(log, name), "r+b") as f:
                at = f.read().find(b"anna@example.org")
                if at >= 0:
                    f.seek(at + 5)
                    f.write(b"\0")
                    hurt += 1
        assert hurt == 1
        os.unlink(os.path.join(s.dir, "volumes", "v1", "index.db"))
        s.start()
        rcpts_say(s, anna="250", boris__example_org="250", anna__example_org="451 4.3.0", anna__example_com="250")


@contextlib.contextmanager
def index_without_accounts(s, volume):
    """One that cannot be read, nor be made anew: something is where the new one would be."""
    index = os.path.join(s.dir, "volumes", volume, "index.db")
    os.makedirs(index + ".new/in-the-way")
    with contextlib.closing(sqlite3.connect(index)) as db:
        db.execute("ALTER TABLE account RENAME TO lost")
    yield
    os.rmdir(index + ".new/in-the-way")
    os.rmdir(index + ".new")


@pytest.mark.parametrize("broken,well,lost", [("v2", "anna", "boris"), ("v1", "boris", "anna")])
def test_an_index_that_cannot_be_read(broken, well, lost):
    """While it runs: who is found in the other volume is served, whoever is not is told to come again."""
    with site() as s:
        s.start()
        with index_without_accounts(s, broken):
            s.deliver(well, message("as ever"))
            s.deliver(well + "@example.org", message("as ever"))
            assert "OK" in imap_says(s, well, well + "-secret") and pop_says(s, well, well + "-secret").startswith("+OK")
            assert s.ctl("user", "show", well)
            s.ctl("user", "rename", well, lost, expect=3)
            for name in (lost, "nobody"):
                assert "[UNAVAILABLE]" in imap_says(s, name, lost + "-secret"), name
                assert "[SYS/TEMP]" in pop_says(s, name, lost + "-secret"), name
                rcpts_say(s, **{name: "451 4.3.0", name + "__example_org": "451 4.3.0"})
            told = [x for x in s.log().splitlines() if "ev=lmtp.unknown_user_postponed" in x]
            assert len(told) == 1 and "volume " + broken in told[0]
        s.stop()
        s.start()
        assert "OK" in imap_says(s, lost, lost + "-secret")
        rcpts_say(s, **{lost: "250", "nobody": "550"})


def test_it_is_taken_out():
    """Who gives a volume up says so by taking its section out: then its names are unknown."""
    with site() as s:
        with gone(s):
            s.start()
            rcpts_say(s, boris="451 4.3.0")
            with open(s.conf) as f:
                text = f.read()
            with open(s.conf, "w") as f:
                f.write(text.replace(SECTION, ""))
            reload(s)
            rcpts_say(s, boris="550", anna="250")
            assert s.ctl("user", "add", "boris", stdin="x\n")
