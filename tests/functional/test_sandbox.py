"""What the sandbox leaves to the server: everything that it needs, also what is loaded late. (What it takes: test_sandbox.c.)"""

import os
import pwd
import re
import shutil
import signal
import subprocess
import time

import pytest

from harness import PATIENCE_S, RESTANTED, Server, fetch_all, message, wrap
from test_supervisor import ROOT, as_root, crash, logged, status_of


def hup(server):
    n = server.log().count("ev=server.reload")
    server.proc.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + PATIENCE_S
    while server.log().count("ev=server.reload") == n:
        assert time.monotonic() < deadline, server.log()
        time.sleep(0.02)
    assert "ev=server.reload_failed" not in server.log(), server.log()


def edit(server, old, new):
    with open(server.conf) as f:
        text = f.read()
    assert old in text
    with open(server.conf, "w") as f:
        f.write(text.replace(old, new, 1))


def test_it_holds_in_every_thread(server):
    """Also after a crash; and the log says so."""
    for n in range(2):
        pid = server.server_pid()
        for tid in os.listdir("/proc/%d/task" % pid):
            facts = thread_status(pid, tid)
            assert facts["Seccomp"] == "2" and facts["NoNewPrivs"] == "1", (tid, facts)
        if n == 0:
            crash(server, 1)
    for line in logged(server, "server.sandbox", 2):
        assert re.search(r" level=info ev=server\.sandbox landlock=[1-9][0-9]* seccomp=yes$", line), line
    # The supervisor has none, as it opens files for the server; it never reads a byte from outside.
    assert thread_status(server.proc.pid, str(server.proc.pid))["Seccomp"] == "0"


def thread_status(pid, tid):
    with open("/proc/%d/task/%s/status" % (pid, tid)) as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def test_what_the_sandbox_does_not_learn_by_sighup(server):
    """saslauthd, if nobody but the server itself was asked at the start: the log says so, and who can log in still can."""
    with open(server.conf) as f:
        text = f.read()
    with open(server.conf, "w") as f:
        f.write(text + "\n[auth]\npassword_sources = restante, saslauthd\n")
    hup(server)
    assert '"[auth] password_sources"' in logged(server, "server.needs_restart")[0]
    server.imap("anna").logout()
    server.stop()
    server.start()
    hup(server)
    assert "needs_restart" not in server.log()
    with open(server.conf, "w") as f:
        f.write(text)
    server.stop()
    server.start()


def test_more_connections_than_files():
    """A higher number that comes by SIGHUP: root's rights are gone."""
    with Server({"anna": "anna-secret"}, lambda text: text.replace("#max_connections = 16000", "max_connections = 100"),
                user="nobody" if ROOT else None) as s:
        log = open(os.path.join(s.top, "log-files"), "wb")
        s.log_path = log.name
        s.proc = subprocess.Popen(wrap(["sh", "-c", 'ulimit -n 4000; exec "$0" -c "$1"', RESTANTED, s.conf]),
                                  stdin=subprocess.DEVNULL, stderr=log)
        logged(s, "server.ready")
        assert "ev=server.files" not in s.log()
        edit(s, "max_connections = 100", "max_connections = 5000")
        hup(s)
        facts = logged(s, "server.files")[0]
        assert " limit=4000 needed=6024 " in facts and "LimitNOFILE" in facts
        s.imap("anna").logout()


def test_it_can_be_switched_off():
    with Server(conf_edit=lambda t: t.replace("[server]\n", "[server]\nsandbox = no\n")) as s:
        s.start()
        facts = status_of(s.server_pid())
        assert facts["Seccomp"] == "0" and facts["NoNewPrivs"] == "1"
        assert "server.sandbox" not in s.log()
        edit(s, "sandbox = no", "sandbox = yes")
        s.proc.send_signal(signal.SIGHUP)
        assert '"[server] sandbox"' in logged(s, "server.needs_restart")[0]


# Character sets whose converters the C library loads only when they are asked for.
CHARSETS = [("iso-2022-jp", "日本語の手紙"), ("euc-kr", "한국어 편지"), ("gb18030", "中文信件"), ("koi8-u", "Лист"),
            ("iso-8859-8", "מכתב"), ("windows-1255", "שלום"), ("big5", "中文")]


@pytest.mark.parametrize("charset,word", CHARSETS)
def test_character_sets_are_loaded_late(server, charset, word):
    body = word.encode(charset)
    text = message("x").encode().replace(b"one line\r\n", body + b"\r\n").replace(
        b"Subject: x", b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=%s\r\nSubject: x" % charset.encode())
    server.deliver("anna", text)
    with server.raw("imap") as c:
        c.line()
        c.cmd("LOGIN anna anna-secret")
        c.cmd("SELECT INBOX")
        want = word.encode()
        c.send(b"s SEARCH CHARSET UTF-8 BODY {%d+}\r\n%s\r\n" % (len(want), want))
        assert b"* SEARCH 1" in c.imap_until(b"s")
        assert want in b"".join(c.cmd("FETCH 1 PREVIEW"))


@pytest.mark.parametrize("kind", [["ed25519"], ["rsa:2048"], ["ec", "-pkeyopt", "ec_paramgen_curve:secp384r1"]])
def test_certificates_of_other_kinds_come_by_sighup(kind):
    """Into the same directory, and into another one that nobody has heard of at the start."""
    with Server({"anna": "anna-secret"}, user="nobody" if ROOT else None) as s:
        s.start()
        s.imap("anna", tls=True).logout()
        for where in ("", "elsewhere/"):
            os.makedirs(os.path.join(s.dir, where), exist_ok=True)
            files = [os.path.join(s.dir, where + name) for name in ("new-key.pem", "new-cert.pem")]
            r = subprocess.run(["openssl", "req", "-x509", "-nodes", "-newkey"] + kind +
                               ["-subj", "/CN=" + kind[0].split(":")[0], "-keyout", files[0], "-out", files[1], "-days", "2"],
                               capture_output=True)
            assert r.returncode == 0, r.stderr
            os.chmod(files[0], 0o600)           # root's, if root runs this
            with open(s.conf) as f:
                text = f.read()
            text = re.sub(r"(?m)^certificate = .*", "certificate = " + where + "new-cert.pem", text)
            with open(s.conf, "w") as f:
                f.write(re.sub(r"(?m)^key = .*", "key = " + where + "new-key.pem", text))
            hup(s)
            r = subprocess.run(["openssl", "s_client", "-connect", "127.0.0.1:%d" % s.port("imaps"), "-CAfile", files[1],
                                "-verify_return_error"], input=b"a LOGOUT\r\n", capture_output=True, timeout=PATIENCE_S)
            assert b"Verify return code: 0 (ok)" in r.stdout, r.stdout + r.stderr


def test_a_volume_beside_another_comes_by_sighup():
    """One elsewhere takes a restart, and the log names the place."""
    with Server({"anna": "anna-secret"}, user="nobody" if ROOT else None) as s, Server({"boris": "x"}) as other:
        for name, at in (("v2", s.dir + "/volumes/v2"), ("v3", s.top + "/v3")):
            shutil.copytree(other.dir + "/volumes/v1", at)
            if ROOT:
                subprocess.run(["chown", "-R", "nobody", at], check=True)
        with open(s.conf) as f:
            text = f.read()
        s.start()
        with open(s.conf, "w") as f:
            f.write(text + "\n[volume v2]\npath = volumes/v2\n")
        hup(s)
        assert "volume=v2" in logged(s, "volume.opened", 2)[1]
        s.users["boris"] = "x"
        s.imap("boris").logout()
        s.deliver("boris", message("beside"))


@pytest.mark.parametrize("user", ["nobody", "root"] if ROOT else [None])
def test_backups_go_where_they_may(user):
    with Server({"anna": "anna-secret"}, user=user, conf_edit=lambda t: t.replace(
            "[server]\n", "[server]\nsandbox_paths = /var/lib/restante-test-backups\n")) as s:
        s.start()
        s.deliver("anna", message("kept"))
        os.mkdir(s.top + "/copies")
        os.chmod(s.top + "/copies", 0o777)
        s.ctl("backup", s.top + "/copies")      # below /tmp, always allowed
        with s.imap("anna") as c:
            assert len(fetch_all(c)) == 1
        code, _, err = s.ctl_raw(["-c", s.conf, "backup", "/var/spool/restante-no"], expect=None)
        assert code == 1 and "sandbox_paths" in err, err
        if user == "root":
            assert "add it to sandbox_paths" in err and "mkdir" not in err, err


@as_root
def test_an_account_of_another_user_is_nobodys():
    """CapBnd and the rest: nothing to regain."""
    with Server(user="nobody") as s:
        s.start()
        facts = status_of(s.server_pid())
        assert facts["CapPrm"] == facts["CapEff"] == facts["CapInh"] == "0" * 16
        assert facts["Groups"].split() == [str(pwd.getpwnam("nobody").pw_gid)]
