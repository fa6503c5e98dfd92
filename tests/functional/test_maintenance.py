"""What the server does with its volumes by itself, and what keeps two pieces of maintenance apart."""
import json
import os
import signal
import subprocess
import threading
import time

import pytest

from harness import PATIENCE_S, RESTANTECTL, Server, message, send


def wait_log(s, text, n=1):
    deadline = time.monotonic() + PATIENCE_S
    while s.log().count(text) < n:
        assert time.monotonic() < deadline, "%s is not in the log:\n%s" % (text, s.log())
        time.sleep(0.05)


def edit(s, change):
    with open(s.conf) as f:
        text = change(f.read())
    with open(s.conf, "w") as f:
        f.write(text)


def reload(s):
    n = s.log().count("ev=server.reloaded")
    s.proc.send_signal(signal.SIGHUP)
    wait_log(s, "ev=server.reloaded", n + 1)


def copy_to(s, user, folder, subject):
    text = message(subject=subject).encode()
    with s.imap(user) as imap:
        imap.append(folder, None, None, text)


def count(s, user, folder):
    with s.imap(user) as imap:
        imap.select('"%s"' % folder)
        typ, data = imap.search(None, "ALL")
        return len(data[0].split())


def test_autoexpunge():
    with Server(users={"anna": "secret", "ben": "secret"}) as s:
        s.start()
        with s.imap("anna") as imap:
            imap.create('"Old things"')
        for folder in ("Trash", "Junk", '"Old things"', "INBOX"):
            for i in range(3):
                copy_to(s, "anna", folder, "%s %d" % (folder, i))
        copy_to(s, "ben", "Trash", "of ben")
        edit(s, lambda t: t + "\n[maintenance]\nautoexpunge = \\Trash 1s, Old things 1s, junk 1d\n")
        time.sleep(2.5)
        reload(s)
        wait_log(s, "ev=mailbox.autoexpunged", 3)
        assert count(s, "anna", "Trash") == 0 and count(s, "anna", "Old things") == 0
        assert count(s, "anna", "Junk") == 3, "a day has not passed"
        assert count(s, "anna", "INBOX") == 3, "nobody named it"
        assert count(s, "ben", "Trash") == 0
        lines = [x for x in s.log().splitlines() if "ev=mailbox.autoexpunged" in x]
        assert any('account=anna mailbox=Trash messages=3 ' in x for x in lines), lines
        s.ctl("undelete", "--mailbox", "Trash", "anna")
        assert count(s, "anna", "Trash") == 3
        assert "sound" in s.ctl("check")


@pytest.mark.parametrize("value", ["Trash", "Trash 30", "30d", "Trash 0d", "Trash 30d,, Junk 3d", "Trash 30w",
                                   ", ".join("M%d 1d" % i for i in range(17))])
def test_autoexpunge_refused(value):
    with Server() as s:
        edit(s, lambda t: t + "\n[maintenance]\nautoexpunge = %s\n" % value)
        code, out, err = s.ctl_raw(["-c", s.conf, "status"], expect=None)
        assert code != 0 and "autoexpunge" in err


def status(s, expect=0):
    return {v["name"]: v for v in json.loads(s.ctl("status", "--json", expect=expect))["volumes"]}


def section(name):
    return "\n[volume %s]\npath = volumes/%s\n" % (name, name)


def test_a_volume_is_added_to_a_running_server():
    with Server(users={"anna": "secret"}) as s:
        s.start()
        edit(s, lambda t: t + section("v2"))
        reload(s)
        wait_log(s, "ev=volume.unavailable volume=v2")
        assert "restantectl volume create v2" in s.log()
        assert list(status(s, 1)) == ["v1"]

        ending = threading.Event()
        failed = []

        def use():
            while not ending.is_set():
                try:
                    assert count(s, "anna", "INBOX") == 0
                except Exception as e:      # noqa: BLE001: told by the main thread
                    failed.append(e)

        user = threading.Thread(target=use)
        user.start()
        s.ctl("volume", "create", "--new", "v2")
        reload(s)
        assert list(status(s)) == ["v1", "v2"]
        assert "ev=server.needs_restart" not in s.log()
        s.ctl("user", "add", "--volume", "v2", "ben", stdin="secret\n")
        s.users["ben"] = "secret"
        s.deliver("ben", message())
        assert count(s, "ben", "INBOX") == 1
        reload(s)
        assert s.log().count("ev=volume.opened volume=v2") == 1, "it is open already"

        s.ctl("volume", "retire", "--to", "v1", "v2")
        edit(s, lambda t: t.replace(section("v2"), ""))
        reload(s)
        wait_log(s, 'ev=server.needs_restart key="[volume v2]"')
        assert list(status(s)) == ["v1", "v2"], "sessions may use it"
        ending.set()
        user.join()
        assert not failed
        s.stop()
        s.start()
        assert list(status(s)) == ["v1"]
        assert count(s, "ben", "INBOX") == 1


def test_one_restore_at_a_time():
    """A move under way: an undelete of the same volume is told so, and reading and status go on."""
    with Server(users={"anna": "secret", "ben": "secret"}) as s:
        edit(s, lambda t: t + section("v2"))
        s.ctl("volume", "create", "v2")
        s.start()
        lmtp = s.lmtp()
        for i in range(40):
            send(lmtp, "anna", message(subject="number %d" % i, size=1000000))
        lmtp.quit()
        move = subprocess.Popen([RESTANTECTL, "-c", s.conf, "user", "move", "anna", "v2"], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE)
        deadline = time.monotonic() + PATIENCE_S
        while "moving" not in status(s)["v1"]:
            assert time.monotonic() < deadline and move.poll() is None
        assert status(s)["v1"]["moving"] == "anna"
        assert "being moved      anna" in s.ctl("status")
        for argv in (["undelete", "ben"], ["user", "move", "ben", "v2"], ["restore", "--at", "0s", "ben"]):
            code, out, err = s.ctl_raw(["-c", s.conf] + argv, expect=1)
            assert "a move of accounts is under way" in err, err
        out, err = move.communicate(timeout=PATIENCE_S * 3)
        assert move.returncode == 0, err
        s.ctl("user", "move", "ben", "v2")
        assert "moving" not in status(s)["v1"] and "work" not in status(s)["v1"]


def test_two_backups_one_after_the_other():
    with Server(users={"anna": "secret"}) as s:
        s.start()
        lmtp = s.lmtp()
        for i in range(10):
            send(lmtp, "anna", message(subject="number %d" % i, size=1000000))
        lmtp.quit()
        to = os.path.join(s.top, "backup")
        argv = [RESTANTECTL, "-c", s.conf, "backup"]
        first = subprocess.Popen(argv + ["--rate", "3M", to], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        deadline = time.monotonic() + PATIENCE_S
        while status(s)["v1"].get("under_way") != "a backup":
            assert time.monotonic() < deadline and first.poll() is None
        code, out, err = s.ctl_raw(["-c", s.conf, "backup", to])
        assert "a backup is under way; waiting" in err
        assert first.wait(PATIENCE_S) == 0
        st = status(s)["v1"]
        assert st["backed_up_to"] == os.path.join(to, "v1") and st["backed_up_us"] > 0
        assert "backup in" in s.ctl("status")
        s.ctl_raw(["verify", to])
        s.stop()
        assert status(s)["v1"]["backed_up_us"] == st["backed_up_us"]
        s.start()
        assert status(s)["v1"]["backed_up_to"] == st["backed_up_to"], "known after a restart"


def test_purge_is_logged():
    with Server(users={"anna": "secret"}) as s:
        s.start()
        s.deliver("anna", message(Message_ID="<secret@example.org>"))
        s.ctl("purge", "--yes", "--message-id", "<secret@example.org>", "--reason", "a key\nlevel=x")
        line, = [x for x in s.log().splitlines() if "ev=volume.purged" in x]
        assert "volume=v1 sha256=" in line and "messages=1 kept=0 reason=" in line
        dump = json.loads("[" + ",".join(x for x in s.ctl("dump", "--json").splitlines() if '"purge"' in x) + "]")
        assert len(dump) == 1 and dump[0]["by"] == "admin"
