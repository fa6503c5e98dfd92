"""What the tests of mail programs share: finding them, running them, and an account with a home of its own."""

import mailbox
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import time

from harness import PATIENCE_S, fetch_all


def need(program, package):
    """A missing client fails the test: a run without it would prove nothing."""
    path = shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    assert path, "%s is not installed (Debian package %s; see tools/install-deps)" % (program, package)
    return path


def run(argv, home, expect=0, env=None, stdin=None):
    r = subprocess.run(argv, input=(stdin or "").encode(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       env=dict(os.environ, HOME=home, **(env or {})), timeout=PATIENCE_S * 2)
    text = r.stdout.decode("utf-8", "replace")
    assert r.returncode == expect, "%s: exit %d\n%s" % (" ".join(argv), r.returncode, text)
    return text


def run_on_terminal(argv, home, seconds=PATIENCE_S):
    """A program that wants a terminal, until it ends by itself; what it wrote there."""
    pid, fd = pty.fork()
    if pid == 0:
        os.environ.update(HOME=home, TERM="xterm", LINES="40", COLUMNS="120", LC_ALL="C.UTF-8")
        os.chdir(home)
        try:
            os.execv(argv[0], argv)
        finally:
            os._exit(127)
    out = b""
    deadline = time.monotonic() + seconds
    status = None
    try:
        while True:
            ready, _, _ = select.select([fd], [], [], max(0, deadline - time.monotonic()))
            assert ready, "%s did not end; the terminal says:\n%s" % (argv[0], printable(out))
            try:
                more = os.read(fd, 65536)
            except OSError:             # the other side is closed
                break
            if not more:
                break
            out += more
        _, status = os.waitpid(pid, 0)
    finally:
        if status is None:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        os.close(fd)
    assert os.waitstatus_to_exitcode(status) == 0, printable(out)
    return printable(out)


def printable(data):
    """What stood on the terminal, without its control sequences."""
    return re.sub(r"\x1b(\[[0-9;?]*[A-Za-z]|[()][A-Z0-9]|[=>])", "", data.decode("utf-8", "replace"))


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        f.write(text)
    os.chmod(path, 0o600)
    return path


def read(path):
    with open(path, "rb") as f:
        return f.read().decode("utf-8", "backslashreplace")


def subjects(text):
    """The Subject fields of what is a message, or several behind each other."""
    return sorted(re.findall(r"(?m)^Subject: (.*?)\r?$", text))


def state(server, user, box="INBOX"):
    """[(subject, flags)] of a mailbox on the server, \\Recent left out."""
    with server.imap(user) as c:
        return sorted((re.search(rb"(?m)^Subject: (.*?)\r$", data).group(1).decode(),
                       [f.decode() for f in flags if f != b"\\Recent"])
                      for flags, data in fetch_all(c, box).values())


def uid_of(server, user, subject, box="INBOX"):
    with server.imap(user) as c:
        for uid, (_, data) in fetch_all(c, box).items():
            if b"\r\nSubject: " + subject.encode() + b"\r\n" in data:
                return str(uid)
    raise AssertionError("no message " + subject)


def change(server, user, subject, flags, expunge=False, box="INBOX"):
    """Another client of the same account sets flags on a message, and perhaps expunges."""
    uid = uid_of(server, user, subject, box)
    with server.imap(user) as c:
        c.select(box)
        assert c.uid("STORE", uid, "+FLAGS", "(%s)" % flags)[0] == "OK"
        if expunge:
            assert c.expunge()[0] == "OK"


def maildir_subjects(path):
    """[(subject, flags)] of a Maildir."""
    return sorted((m["Subject"], m.get_flags()) for m in mailbox.Maildir(path, create=False))
