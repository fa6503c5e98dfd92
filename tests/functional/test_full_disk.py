"""A full disk: deliveries get 452, IMAP writers NO, reading goes on, and service resumes by itself when there is room."""

import os
import random
import subprocess

import pytest

from harness import Server, fetch_all, message


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


def noise(n):
    rng = random.Random(n)
    return message("noise %d" % n) + "".join(
        "".join(rng.choice("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") for _ in range(72)) + "\r\n"
        for _ in range(4000))


def test_full_disk(small_disk):
    s = small_disk.start()
    fill = os.path.join(s.mount, "fill")
    s.deliver(["anna"], message("before"))
    with open(fill, "wb") as f:
        try:
            while True:
                f.write(b"x" * 65536)
                f.flush()
        except OSError:
            pass
    accepted, code = 1, 0
    with s.raw("lmtp") as c:
        c.reply()
        c.send("LHLO x\r\n")
        c.reply()
        for n in range(80):
            c.send("MAIL FROM:<a@b.example>\r\nRCPT TO:<anna>\r\n")
            codes = [c.reply()[:3], c.reply()[:3]]
            if codes != [b"250", b"250"]:
                code = codes[-1]
                break
            c.send("DATA\r\n")
            assert c.reply().startswith(b"354")
            c.send(noise(n) + ".\r\n")
            r = c.reply()
            if not r.startswith(b"250"):
                code = r
                break
            accepted += 1
    assert code.startswith(b"452"), "a full disk is 452: %r" % code
    with s.raw("imap") as c:
        c.line()
        c.cmd("LOGIN anna x-secret")
        c.cmd("SELECT INBOX")
        assert len(c.cmd("FETCH 1:* (FLAGS BODY.PEEK[])")) == accepted + 1
        data = noise(999).encode()
        c.cmd(b"APPEND INBOX {%d+}\r\n%s" % (len(data), data), expect=b"NO")
    os.unlink(fill)
    s.deliver(["anna"], message("after"))
    with s.imap("anna") as c:
        assert len(fetch_all(c)) == accepted + 1
    s.ctl("check")
    s.stop()
    s.start()
    with s.imap("anna") as c:
        assert len(fetch_all(c)) == accepted + 1
