"""A full disk: deliveries get 452 at once, IMAP writers NO, what was answered 250 is there, expunging works, reading goes
on, and service resumes by itself when there is room."""

import json
import os
import random
import re
import subprocess
import threading
import time

import pytest

from harness import AT_ONCE_S, Server, fetch_all, message, wait_until


@pytest.fixture
def small_disk():
    """A server whose volume lies on a tmpfs of 24 MiB."""
    s = Server({})
    mount = os.path.join(s.top, "disk")
    os.mkdir(mount)
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    r = subprocess.run(sudo + ["mount", "-t", "tmpfs", "-o", "size=24m,mode=1777", "tmpfs", mount], capture_output=True)
    if r.returncode != 0:
        s.close()
        pytest.skip("mounting a tmpfs needs root or sudo: " + r.stderr.decode().strip())
    try:
        vol = os.path.join(s.dir, "volumes", "v1")
        subprocess.run(["cp", "-a", vol, mount], check=True)
        os.unlink(os.path.join(mount, "v1", "reserve"))         # made anew, of the size that fits this disk
        with open(s.conf) as f:
            text = f.read()
        with open(s.conf, "w") as f:
            for line in text.splitlines():
                if line.replace(" ", "").startswith("path=") and "v1" in line:
                    line = "path = " + os.path.join(mount, "v1")
                f.write(line + "\n")
        s.add_user("anna", "x-secret")
        s.mount = mount
        yield s
    finally:
        try:
            s.stop()
        finally:
            subprocess.run(sudo + ["umount", mount], check=False)
            s.close()


def noise(n, lines=4000):
    rng = random.Random(n)
    return message("noise %d" % n) + "".join(
        "".join(rng.choices("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", k=72)) + "\r\n"
        for _ in range(lines))


def fill(path):
    with open(path, "wb", buffering=0) as f:
        for size in (65536, 4096, 1):
            try:
                while True:
                    f.write(b"x" * size)
            except OSError:
                pass


def offer(s, text, to="anna"):
    """The reply to one message, which must come at once."""
    begun = time.monotonic()
    with s.raw("lmtp") as c:
        c.reply()
        c.send("LHLO x\r\n")
        c.reply()
        c.send("MAIL FROM:<a@b.example>\r\nRCPT TO:<%s>\r\n" % to)
        r = [c.reply(), c.reply()][1]
        if r.startswith(b"250"):
            c.send("DATA\r\n")
            assert c.reply().startswith(b"354")
            c.send(text + ".\r\n")
            r = c.reply()
    assert time.monotonic() - begun < AT_ONCE_S, r
    return r


def count(s):
    with s.imap("anna") as c:
        return len(fetch_all(c))


def deliver_until_full(s, have, lines):
    """How many anna has then. Each is seen as soon as it is answered."""
    with s.raw("imap") as c:
        c.line()
        c.cmd("LOGIN anna x-secret")
        while True:
            r = offer(s, noise(have, lines))
            if r.startswith(b"250"):
                have += 1
                assert b"* STATUS INBOX (MESSAGES %d)" % have in c.cmd("STATUS INBOX (MESSAGES)")
                assert have < 5000, "the disk does not get full"
                continue
            assert r.startswith(b"452"), "a full disk is 452: %r" % r
            if lines <= 100:
                return have
            lines = 100             # there is often room for a smaller one


def refused_and_read(s, have):
    """On the full disk: reading goes on, and every refusal comes at once."""
    with s.raw("imap") as c:
        c.line()
        c.cmd("LOGIN anna x-secret")
        c.cmd("SELECT INBOX")
        assert len(c.cmd("FETCH 1:* (FLAGS BODY.PEEK[])")) == have + 1
        begun = time.monotonic()
        data = noise(999).encode()
        c.cmd(b"APPEND INBOX {%d+}\r\n%s" % (len(data), data), expect=b"NO")
        for n in range(5):
            c.cmd("STORE 1 FLAGS (k%d)" % n, expect=b"")    # a small one may still be taken
            c.cmd("NOOP")
        assert time.monotonic() - begun < AT_ONCE_S
    for size in (100, 4000, 30000):
        assert offer(s, noise(7, size)).startswith(b"452")


def expunge(s, uids, user="anna"):
    with s.raw("imap") as c:
        c.line()
        c.cmd("LOGIN %s x-secret" % user)
        c.cmd("SELECT INBOX")
        for uid in uids:
            c.cmd("UID STORE %d +FLAGS (\\Deleted)" % uid)
            c.cmd("UID EXPUNGE %d" % uid)


def resumes(s):
    end = time.monotonic() + AT_ONCE_S
    while True:
        r = offer(s, message("after"))
        if r.startswith(b"250"):
            return
        assert time.monotonic() < end, r
        time.sleep(0.1)


def stalls(s):
    """What the log tells of them, in order."""
    return re.findall(r"ev=volume\.(stalled.* reason=\"no space\"|recovered)", s.log())


def says_full(s):
    """What `status` tells."""
    full = json.loads(s.ctl("status", "--json"))["volumes"][0]["full"]
    assert ("volume v1: DISK FULL" in s.ctl("status")) == full
    return full


def test_full_disk(small_disk):
    s = small_disk.start()
    filler = os.path.join(s.mount, "fill")
    s.deliver(["anna"], message("before"))
    fill(filler)
    assert not says_full(s)
    have = deliver_until_full(s, 1, 4000)
    refused_and_read(s, have)
    assert says_full(s)
    expunge(s, [1])
    have -= 1
    refused_and_read(s, have)
    assert len(stalls(s)) == 1 and "volume.progress" not in s.log(), s.log()
    os.unlink(filler)
    assert not says_full(s)
    resumes(s)
    have += 1
    assert count(s) == have
    assert [x.split()[0] for x in stalls(s)] == ["stalled", "recovered"], s.log()
    s.ctl("check")
    s.stop()
    s.start()
    assert count(s) == have


def test_expunging_goes_on(small_disk):
    """Many small changes on a full disk: the index's own files must not eat the reserve."""
    s = small_disk.start()
    for n in range(300):
        s.deliver(["anna"], message("n %d" % n))
    fill(os.path.join(s.mount, "fill"))
    have = deliver_until_full(s, 300, 100)
    expunge(s, range(1, 301))
    assert count(s) == have - 300
    refused_and_read(s, have - 300)


def test_restart_on_a_full_disk(small_disk):
    s = small_disk.start()
    filler = os.path.join(s.mount, "fill")
    for n in range(3):
        s.deliver(["anna"], message("before"))
    fill(filler)
    have = deliver_until_full(s, 3, 4000)
    for uid, end in ((1, s.stop), (2, s.kill)):
        end()
        s.start()
        assert count(s) == have
        have = deliver_until_full(s, have, 4000)        # the end of the log and of the index gave some room back
        refused_and_read(s, have)
        expunge(s, [uid])
        have -= 1
    os.unlink(filler)
    resumes(s)
    assert count(s) == have + 1


@pytest.mark.parametrize("lines", [4000, 40000])
def test_filled_by_mail(small_disk, lines):
    """Nothing else takes the space: mail in the log, and mail out of line."""
    s = small_disk.start()
    have = deliver_until_full(s, 0, lines)
    assert have >= 3
    refused_and_read(s, have)
    expunge(s, [1, 2])
    assert count(s) == have - 2
    s.kill()
    s.start()
    assert count(s) == have - 2
    expunge(s, [3])
    s.ctl("check")


class Glutton:
    """Another program, which takes every byte of the disk as soon as it is free."""

    def __init__(self, mount):
        self.name = os.path.join(mount, "glutton")
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        with open(self.name, "wb", buffering=0) as f:
            while not self.over.is_set():
                try:
                    f.write(b"x" * 4096)
                except OSError:
                    time.sleep(0.0001)

    def sated(self):
        wait_until(lambda: os.statvfs(os.path.dirname(self.name)).f_bavail == 0)

    def stop(self):
        self.over.set()
        self.thread.join()
        os.unlink(self.name)


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("have", [3, 300])              # the WAL's pages lie in the database, or behind its end
def test_start_with_nothing_left(small_disk, killed, have):
    """With the disk full to the last byte and the reserve spent it can be read, changes are refused at once, and it goes
    on by itself when there is room."""
    s = small_disk.start()
    if have == 3:
        for n in range(40):
            s.deliver(["anna"], message("to go"))
        expunge(s, range(1, 41))
        s.stop()
        s.start()
    for n in range(have):
        s.deliver(["anna"], message("before"))
    (s.kill if killed else s.stop)()
    os.truncate(os.path.join(s.mount, "v1", "reserve"), 0)
    fill(os.path.join(s.mount, "rest"))
    glutton = Glutton(s.mount)
    try:
        s.start()
        glutton.sated()
        refused_and_read(s, have)
        assert [x.split()[0] for x in stalls(s)] == ["stalled"], s.log()
        time.sleep(2.5)                 # it looks every second
        refused_and_read(s, have)
        s.ctl("status")
        s.kill()
        s.start()
        glutton.sated()
        refused_and_read(s, have)
    finally:
        glutton.stop()
    os.unlink(os.path.join(s.mount, "rest"))
    resumes(s)
    assert count(s) == have + 1
    s.ctl("check")
    s.stop()
    s.start()
    assert count(s) == have + 1


def test_two_volumes_on_one_disk(small_disk):
    """What one gives up to be emptied with is not taken by deliveries into the other."""
    s = small_disk
    with open(s.conf, "a") as f:
        f.write("\n[volume v2]\npath = %s\n" % os.path.join(s.mount, "v2"))
    s.ctl("volume", "create", "v2")
    s.ctl("user", "add", "--volume", "v2", "ben", stdin="x-secret\n")
    s.start()
    reserve = os.path.join(s.mount, "v1", "reserve")
    assert offer(s, message("before"), "ben").startswith(b"250")
    filler = os.path.join(s.mount, "fill")
    for n in range(100):            # few: what the index's WAL takes cannot come back with the filler
        s.deliver(["anna"], message("n %d" % n))
    fill(filler)
    have = deliver_until_full(s, 100, 100)
    uid = 1
    while os.stat(reserve).st_blocks > 0:
        assert uid < have, "the reserve was never needed"
        expunge(s, [uid])
        uid += 1
    free = os.statvfs(s.mount)
    assert free.f_bavail * free.f_bsize > 1 << 20
    for size in (4000, 100, 30000, 1):
        assert offer(s, noise(7, size), "ben").startswith(b"452")
    other = os.path.join(s.mount, "v2", "reserve")
    assert os.stat(other).st_blocks > 0
    expunge(s, [1], "ben")          # at the cost of its own reserve, not of the other's
    assert os.stat(other).st_blocks == 0
    expunge(s, range(uid, have + 1))
    os.unlink(filler)
    for _ in range(2):              # ben's need not wait for anna's next one
        assert offer(s, message("after"), "ben").startswith(b"250")
    resumes(s)
    assert count(s) == 1 and os.stat(reserve).st_blocks > 0


# What the admin does meanwhile, and whether it is possible; None: as may be.
ADMIN = [
    (["status"], True),
    (["check"], True),
    (["history", "anna"], True),
    (["dump"], True),
    (["user", "list"], True),
    (["expunge", "--older-than", "1h", "anna"], True),
    (["compact", "--dry-run"], True),
    (["backup", "{elsewhere}/backup"], True),
    (["verify", "{elsewhere}/backup"], True),
    (["export", "--format", "mbox", "anna", "{elsewhere}/mail{n}"], True),
    (["backup", "{disk}/backup"], False),
    (["user", "add", "ben"], False),
    (["user", "passwd", "anna"], False),
    (["quota", "set", "anna", "1000000"], False),
    (["mailbox", "create", "anna", "new"], False),
    (["undelete", "anna"], False),
    (["import", "anna", "{elsewhere}/maildir"], False),
]


def administrate(s, n, verbs):
    for argv, possible in verbs:
        if possible is False:       # a tool that ends may have given back what the index's WAL took
            fill(os.path.join(s.mount, "fill-%d" % time.monotonic_ns()))
        argv = [a.format(disk=s.mount, elsewhere=s.top, n=n) for a in argv]
        code, _, err = s.ctl_raw(["-c", s.conf] + argv, "x-secret\n", None)
        assert code in (0, 1) and possible in (None, code == 0), "%s: %d\n%s" % (argv, code, err)
        assert code == 0 or "No space left on device" in err, "%s: %s" % (argv, err)


def test_tools(small_disk):
    """Online, offline behind a kill -9, and online again: what needs room says so and changes nothing, the rest works."""
    s = small_disk.start()
    for n in range(10):
        s.deliver(["anna"], noise(n, 100))
    expunge(s, [1, 2])
    os.makedirs(os.path.join(s.top, "maildir", "cur"))
    os.makedirs(os.path.join(s.top, "maildir", "new"))
    with open(os.path.join(s.top, "maildir", "new", "1"), "w") as f:
        f.write(message("imported"))
    fill(os.path.join(s.mount, "fill"))
    have = deliver_until_full(s, 8, 100)
    fill(os.path.join(s.mount, "rest"))         # what the reserve gave up
    administrate(s, 1, ADMIN)
    s.kill()
    fill(os.path.join(s.mount, "more"))         # what was kept for the log
    administrate(s, 2, ADMIN + [(["reindex"], None)])
    s.start()
    refused_and_read(s, have)
    administrate(s, 3, ADMIN)
    for name in os.listdir(s.mount):
        if name in ("rest", "more") or name.startswith("fill"):
            os.unlink(os.path.join(s.mount, name))
    resumes(s)
    assert count(s) == have + 1
    for argv in (["user", "add", "ben"], ["undelete", "anna"], ["import", "anna", s.top + "/maildir"], ["check"]):
        s.ctl(*argv, stdin="x-secret\n")
    assert count(s) == have + 4
    s.stop()
    s.ctl("reindex")
    s.start()
    assert count(s) == have + 4
    s.ctl("check")


def test_compaction(small_disk):
    """On the full disk, with what the reserve gives, in parts: it is the disk's room that comes back."""
    s = small_disk.start()
    for n in range(5):
        for k in range(10):
            s.deliver(["anna"], noise(10 * n + k, 1500))
        expunge(s, range(10 * n + 1, 10 * n + 9))
        s.stop()                                # a segment each
        s.start()
    fill(os.path.join(s.mount, "fill"))
    have = deliver_until_full(s, 10, 4000)
    out = s.ctl("compact", "--retention", "0s")
    assert int(re.search(r"(\d+) segments made", out).group(1)) > 1, out
    resumes(s)
    assert count(s) == have + 1
    s.ctl("check")
