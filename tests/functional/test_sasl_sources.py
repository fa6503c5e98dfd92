"""Passwords that are checked elsewhere: a real saslauthd, a real sasldb."""

import os
import re
import select
import shutil
import socket
import subprocess
import tempfile
import time

import pytest

from clients import need
from harness import PATIENCE_S, Server
from test_sasl import b64, plain, scram, set_auth, wait_for_log


def make_sasldb(path, **passwords):
    for user, password in passwords.items():
        subprocess.run([need("saslpasswd2", "sasl2-bin"), "-p", "-c", "-f", path, "-u", "mail.example.org", user],
                       input=password.encode(), check=True, capture_output=True)


def log_in(s, user, password):
    """By LOGIN, PLAIN, and POP3's own command: they agree."""
    results = set()
    with s.raw("imap") as c:
        c.line()
        c.send(b"a LOGIN %s \"%s\"\r\n" % (user.encode(), password.encode()))
        results.add(c.imap_until(b"a")[-1].split()[1])
    with s.raw("imap") as c:
        c.line()
        c.send(b"a AUTHENTICATE PLAIN %s\r\n" % b64("\0%s\0%s" % (user, password)).encode())
        results.add(c.imap_until(b"a")[-1].split()[1])
    with s.raw("pop3") as c:
        c.line()
        c.send(b"USER %s\r\nPASS %s\r\n" % (user.encode(), password.encode()))
        c.line()
        results.add({b"+OK": b"OK", b"-ERR": b"NO"}[c.line().split()[0]])
    assert len(results) == 1, results
    return results.pop() == b"OK"


def check_elsewhere(s, source):
    """anna has a password here and another there; nemo is known there only; a locked account stays out."""
    assert log_in(s, "anna", "secret")
    assert log_in(s, "anna", "elsewhere")
    wait_for_log(s, r"ev=auth\.ok .*user=anna .*cred=%s" % source)
    assert not log_in(s, "anna", "wrong")
    assert not log_in(s, "anna", "")
    assert not log_in(s, "nemo", "elsewhere")


def set_hostname(text):
    return re.sub(r"(?m)^\[server\]$", "[server]\nhostname = mail.example.org", re.sub(r"(?m)^hostname.*\n", "", text))


def test_sasldb():
    def edit(text):
        return set_auth(password_sources="restante, sasldb", sasl_config="sasl")(set_hostname(text))
    with Server(users={"anna": "secret"}, conf_edit=edit) as s:
        folder = os.path.join(s.dir, "sasl")
        os.makedirs(folder)
        db = os.path.join(folder, "sasldb2")
        make_sasldb(db, anna="elsewhere", nemo="elsewhere")
        with open(os.path.join(folder, "restante.conf"), "w") as f:
            f.write("sasldb_path: %s\nmech_list: CRAM-MD5 DIGEST-MD5\npwcheck_method: alwaystrue\n" % db)
        s.start()
        check_elsewhere(s, "sasldb")
        with s.raw("imap") as c:                # what the file says beyond the plugin's settings does not count
            assert b"MD5" not in c.line()


@pytest.fixture
def saslauthd():
    """A saslauthd of our own, which asks another server's IMAP."""
    program = shutil.which("saslauthd") or "/usr/sbin/saslauthd"
    assert os.path.exists(program), "saslauthd is not installed (Debian package sasl2-bin; see tools/install-deps)"
    top = tempfile.mkdtemp(prefix="restante-sasl-")
    os.chmod(top, 0o755)
    with Server(users={"anna": "elsewhere", "nemo": "elsewhere", "n@x.example": "realm"}) as other:
        other.start()
        proc = subprocess.Popen([program, "-d", "-r", "-a", "rimap", "-O", "127.0.0.1/%d" % other.port("imap"), "-n", "1",
                                 "-m", top], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL, start_new_session=True)     # it ends its whole process group
        deadline = time.monotonic() + PATIENCE_S
        while not os.path.exists(os.path.join(top, "mux")):
            assert proc.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
        yield top, proc
        if proc.poll() is None:
            proc.terminate()
            proc.wait(PATIENCE_S)
    shutil.rmtree(top)


def test_saslauthd(saslauthd):
    top, proc = saslauthd

    def edit(text):
        return set_auth(password_sources="restante, saslauthd", saslauthd_socket=os.path.join(top, "mux"))(text)
    with Server(users={"anna": "secret", "n@x.example": "secret"}, conf_edit=edit) as s:
        s.start()
        check_elsewhere(s, "saslauthd")
        assert log_in(s, "n@x.example", "realm")
        proc.terminate()
        proc.wait(PATIENCE_S)
        # Nobody answers there: our own passwords still do, the others are "try again later".
        assert log_in(s, "anna", "secret")
        with s.raw("imap") as c:
            c.line()
            assert b"[UNAVAILABLE]" in c.cmd("LOGIN anna elsewhere", expect=b"NO")[-1]


def test_guesses_count_while_a_source_is_down():
    """Later each time, over connections: each guess was one at our own password too. The same again is none."""
    def edit(text):
        return set_auth(password_sources="restante, saslauthd", saslauthd_socket="/nonexistent/mux")(text)
    with Server(users={"anna": "secret"}, conf_edit=edit, auth_delay=300) as s:
        s.start()
        took = []
        for i in (0, 1, 2, 2):
            began = time.monotonic()
            with s.raw("imap") as c:
                c.line()
                if i == 1:
                    c.send("a AUTHENTICATE PLAIN %s\r\n" % b64("\0anna\0wrong%d" % i))
                else:
                    c.send("a LOGIN anna wrong%d\r\n" % i)
                assert b"NO [UNAVAILABLE]" in c.imap_until(b"a")[-1]
            took.append(time.monotonic() - began)
        assert took[0] >= 0.3 and took[1] >= 0.6 and took[2] >= 1.2 and took[3] < 2.4, took
        assert log_in(s, "anna", "secret")


def test_without_our_own_passwords():
    """password_sources without restante: our verifiers let nobody in, by SCRAM neither."""
    with Server(users={"anna": "secret"},
                conf_edit=set_auth(password_sources="saslauthd", saslauthd_socket="/nonexistent/mux")) as s:
        s.start()
        assert "NO" in scram(s, "anna", "secret") and "NO" in plain(s, "anna", "secret")
        with s.raw("imap") as c:
            assert b"AUTH=PLAIN" in c.line() + b"".join(c.cmd("CAPABILITY"))
            assert b"SCRAM" not in b"".join(c.cmd("CAPABILITY"))


def test_saslauthd_hangs():
    """One that takes connections and says nothing costs ten seconds and then an answer, and nobody else their mail."""
    top = tempfile.mkdtemp(prefix="restante-sasl-")
    os.chmod(top, 0o755)
    path = os.path.join(top, "mux")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        os.chmod(path, 0o777)
        listener.listen(5)

        def edit(text):
            return set_auth(password_sources="restante, saslauthd", saslauthd_socket=path)(text)
        with Server(users={"anna": "secret"}, conf_edit=edit) as s:
            s.start()
            with s.raw("imap") as c:
                c.line()
                c.send(b"a LOGIN anna elsewhere\r\n")
                assert log_in(s, "anna", "secret")
                assert not select.select([c.sock], [], [], 0)[0], "the other waited for it"
                assert b"[UNAVAILABLE]" in c.imap_until(b"a")[-1]
    shutil.rmtree(top)
