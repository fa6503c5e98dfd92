"""What the server does with its volumes by itself, and what keeps two pieces of maintenance apart."""
import signal
import time

import pytest

from harness import Server, message

PATIENCE_S = 20


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
