"""The server's core as clients meet it, whatever the protocol: delays, connections that idle, leave, or never end."""

import os
import random
import re
import resource
import select
import shutil
import signal
import smtplib
import socket
import ssl
import struct
import subprocess
import threading
import time

import pytest

from harness import AT_ONCE_S, PATIENCE_S, RESTANTED, Server, fetch_all, message, set_limit, wait_until, wrap


@pytest.mark.parametrize("listener,attempt,answer", [
    ("pop3", "USER anna\r\nPASS wrong\r\n", b"-ERR [AUTH]"),
    ("imap", "a LOGIN anna wrong\r\n", b"a NO [AUTHENTICATIONFAILED]"),
])
def test_failed_logins_are_answered_late(listener, attempt, answer):
    """Each later than the one before; nobody else waits."""
    def heard(c):
        return bool(select.select([c.sock], [], [], 0)[0])

    def fail(c):
        while not (line := c.line()).startswith(answer):
            assert line.startswith(b"+OK"), line

    with Server({"anna": "anna-secret"}, auth_delay=700) as s:
        s.start()
        with s.raw(listener) as c:
            c.line()
            for least in (0.7, 1.4):
                began = time.monotonic()
                c.send(attempt)
                fail(c)
                assert least <= time.monotonic() - began < least + AT_ONCE_S
            for _ in range(4):                  # on a busy machine another's session may take longer than the delay
                c.send(attempt)
                if attempt.startswith("USER"):
                    assert c.line().startswith(b"+OK")
                s.pop("anna").quit()
                if not heard(c):
                    return
                fail(c)
            raise AssertionError("others wait")


def test_failed_logins_are_logged_alike(server):
    """One form for whoever watches the log for them."""
    with server.raw("imap") as c:
        c.line()
        c.cmd("LOGIN anna wrong", b"NO [AUTHENTICATIONFAILED]")
    with server.raw("pop3") as c:
        c.line()
        c.send("USER anna\r\nPASS wrong\r\n")
        c.line()
        assert c.line().startswith(b"-ERR [AUTH]")
    for proto in ("imap", "pop3"):
        line, = (x for x in server.log().splitlines() if "ev=auth.failed" in x and "proto=%s " % proto in x)
        assert re.search(r" level=warn .* peer=127\.0\.0\.1 user=anna ", line), line
        assert "wrong" not in line.replace("wrong password", "")


def test_passwords_refused_in_clear_are_logged():
    with Server({"anna": "anna-secret"}, lambda t: t.replace("[server]\n", "[server]\nreactors = 1\n").replace(
            "allow_plaintext_on_loopback = yes\n", "")) as s:
        s.start()
        with s.raw("imap") as c:
            c.line()
            c.cmd("LOGIN anna anna-secret", b"NO [PRIVACYREQUIRED]")
            c.cmd("AUTHENTICATE PLAIN AGFubmEAYW5uYS1zZWNyZXQ=", b"NO [PRIVACYREQUIRED]")
        with s.raw("pop3") as c:
            c.line()
            c.send("USER anna\r\n")
            assert c.line().startswith(b"-ERR")
        lines = [x for x in s.log().splitlines() if "ev=auth.failed" in x]
        assert len(lines) == 3 and all(" level=warn " in x and "without TLS" in x for x in lines), lines
        assert "user=anna " in lines[0] and "user=anna " in lines[2]
        assert "anna-secret" not in s.log() and "AGFubmEA" not in s.log()


def test_a_missing_segment_is_permanent(server):
    """What is gone does not come back by asking again."""
    server.deliver("anna", "Subject: gone\r\n\r\n" + "".join(
        "%064x\r\n" % random.getrandbits(256) for _ in range(20000)))
    server.stop()
    bodies = [os.path.join(at, name) for at, _, names in os.walk(server.dir) for name in names
              if os.path.basename(at) == "log" and os.path.getsize(os.path.join(at, name)) >= 200000]
    assert bodies
    for path in bodies:
        os.unlink(path)
    server.start()
    with server.raw("pop3") as c:
        c.line()
        for line in ("USER anna", "PASS anna-secret"):
            c.send(line + "\r\n")
            assert c.line().startswith(b"+OK")
        c.send("RETR 1\r\n")
        assert c.line().startswith(b"-ERR [SYS/PERM]")
    assert "ev=pop3.retr.damaged" in server.log()


def test_over_quota_is_logged(server):
    server.ctl("quota", "set", "anna", "3000")
    with server.raw("imap") as c:
        c.line()
        c.cmd("LOGIN anna anna-secret")
        c.cmd(b"APPEND INBOX {2000+}\r\n" + b"x" * 2000)
        c.cmd(b"APPEND INBOX {2000+}\r\n" + b"x" * 2000, b"NO [OVERQUOTA]")
        c.cmd("SELECT INBOX")
        c.cmd("COPY 1 Sent", b"NO [OVERQUOTA]")
    lines = [x for x in server.log().splitlines() if "ev=imap.overquota" in x]
    assert [re.search(r"user=anna command=(\w+) quota=3000 used=2[0-9]{3}$", x).group(1) for x in lines] == \
        ["APPEND", "COPY"]


# ---- what an admin is told ----

def logged(server, ev, n=1):
    """The `n` lines of that event, waited for."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        lines = [x for x in server.log().splitlines() if " ev=%s " % ev in x]
        if len(lines) >= n or time.monotonic() > deadline:
            assert len(lines) == n, server.log()
            return lines
        time.sleep(0.02)


def edit(server, old, new):
    with open(server.conf) as f:
        text = f.read()
    assert old in text
    with open(server.conf, "w") as f:
        f.write(text.replace(old, new))


def check_conf(server, expect):
    r = subprocess.run(wrap([RESTANTED, "-c", server.conf, "-t"]), capture_output=True, timeout=PATIENCE_S)
    assert r.returncode == expect, r.stderr
    return r.stderr.decode()


def test_a_start_is_silent_but_for_facts(server):
    assert not [x for x in server.log().splitlines() if "level=warn" in x and "server.root" not in x
                and "server.files" not in x]
    line, = logged(server, "volume.opened")
    assert re.search(r" volume=v1 epoch=[0-9]+ segments=[0-9]+ log_bytes=[0-9]+ stop=clean index=(kept|rebuilt) replayed=[0-9]+ damaged=no ms=[0-9]+$", line), line


def test_requests_are_logged_with_their_object(server):
    server.add_user("bert", "hidden-word")
    server.ctl("user", "delete", "--yes", "bert")
    server.ctl("user", "delete", "--yes", "bert", expect=1)
    server.ctl("quota", "set", "anna", "5000")
    lines = [x.split(" ev=control.request ")[1] for x in logged(server, "control.request", 4)]
    assert lines[0].startswith('verb="user add" ') and lines[0].endswith("name=bert exit=0")
    assert lines[1:] == ['verb="user delete" name=bert exit=0', 'verb="user delete" name=bert exit=1',
                         'verb="quota set" name=anna exit=0']
    assert "SCRAM" not in server.log() and "hidden-word" not in server.log()


def test_what_a_reload_cannot_change_is_named(server):
    edit(server, "[server]\n", "[server]\nreactors = 7\n")
    edit(server, "port = %d\n" % server.port("pop3"), "port = %d\n" % (server.port("pop3") + 1))
    server.proc.send_signal(signal.SIGHUP)
    lines = logged(server, "server.needs_restart", 2)
    assert '"[server] reactors"' in lines[0] and "[listen]" in lines[1]


def test_reload_says_why_a_key_cannot_be_read(server):
    os.rename(os.path.join(server.dir, "key.pem"), os.path.join(server.dir, "key.away"))
    server.proc.send_signal(signal.SIGHUP)
    line, = logged(server, "server.reload_failed")
    assert "key.pem" in line and "No such file" in line


def test_a_key_that_others_may_read(server):
    os.chmod(os.path.join(server.dir, "key.pem"), 0o644)
    err = check_conf(server, 0)
    assert "ev=tls.key_mode" in err and "mode=0644" in err
    os.chmod(os.path.join(server.dir, "key.pem"), 0o640)
    assert "tls.key_mode" not in check_conf(server, 0)


def test_a_further_key_that_others_may_read(server):
    for name in ("cert.pem", "key.pem"):
        shutil.copy(os.path.join(server.dir, name), os.path.join(server.dir, "other-" + name))
    os.chmod(os.path.join(server.dir, "other-key.pem"), 0o644)
    with open(server.conf, "a") as f:
        f.write("\n[certificate other]\ncertificate = other-cert.pem\nkey = other-key.pem\n")
    err = check_conf(server, 0)
    assert "ev=tls.key_mode" in err and "other-key.pem" in err


@pytest.mark.parametrize("section,key", [("lmtp", "aliases"), ("auth", "oauth_keys"), ("tls", "client_ca")])
def test_a_file_that_is_not_there_is_found_by_the_check(server, section, key):
    """And not by the first start only."""
    more = "oauth_issuer = https://a.example\noauth_audience = mail\n" if key == "oauth_keys" else ""
    with open(server.conf) as f:
        text = f.read()
    with open(server.conf, "w") as f:
        f.write(text.replace("[tls]\n", "[tls]\nclient_ca = gone\n") if section == "tls" else
                text + "\n[%s]\n%s = gone\n%s" % (section, key, more))
    err = check_conf(server, 2)
    assert "[%s] %s" % (section, key) in err and "gone: No such file" in err, err


def test_aliases_that_are_wrong_are_found_by_the_check(server):
    with open(server.conf, "a") as f:
        f.write("\n[lmtp]\naliases = names\n")
    with open(os.path.join(server.dir, "names"), "w") as f:
        f.write("team anna\n")
    assert "names:1: " in check_conf(server, 2)


def test_a_comment_behind_a_value_is_refused(server):
    edit(server, "log_level = info", "log_level = info  # not debug")
    err = check_conf(server, 2)
    assert "comment" in err and "log_level" in err


def test_t_finds_what_a_start_would(server):
    server.stop()
    edit(server, "path = volumes/v1", "path = volumes/v2")
    err = check_conf(server, 2)
    assert "volume v1: there is no volume in" in err and err.endswith("volumes/v2: mount its disk, put it back from a backup "
        "(restantectl restore) or, only if it was never made, run restantectl volume create v1\n"), err
    edit(server, "path = volumes/v2", "path = volumes/v1")
    os.unlink(os.path.join(server.dir, "cert.pem"))
    assert "cert.pem: No such file" in check_conf(server, 2)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_volume_of_another_owner():
    """The user and the path are named, and no socket stays behind."""
    with Server(user="nobody") as s:
        assert check_conf(s, 0) == ""
        path = os.path.join(s.dir, "volumes", "v1", "index.db")
        os.chown(path, 0, 0)
        os.chown(s.dir, 0, 0)
        edit(s, "control_socket = control.sock", "control_socket = volumes/v1/control.sock")
        for check in (lambda: check_conf(s, 2), lambda: str(pytest.raises(RuntimeError, s.start).value)):
            text = check()
            assert path in text and "user nobody" in text and "Permission denied" in text, text
        assert not [name for name in os.listdir(s.dir) if name.endswith(".sock")]


def test_a_second_server_says_that_it_waits(server):
    pid, log = server.proc.pid, server.log_path
    first = server.proc
    server.proc = None
    try:
        text = str(pytest.raises(RuntimeError, server.start).value)
    finally:
        server.proc, server.log_path = first, log
    assert re.search(r"ev=volume\.waiting volume=v1 pid=%d " % pid, text), text
    assert text.index("volume.waiting") < text.index("server.failed")


def test_ports_are_taken_before_anybody_listens(server):
    """Two that start at once must not share their ports: here one is bound, and waits for a volume."""
    volume = os.path.join(server.dir, "volumes", "v1")
    with Server(conf_edit=lambda text: text.replace("path = volumes/v1", "path = " + volume)) as first, Server() as second:
        ports = {str(second.base + off): str(first.base + off) for off in (24, 110, 143, 993, 995)}
        with open(second.conf) as f:
            text = f.read()
        with open(second.conf, "w") as f:
            f.write(re.sub(r"port = (\d+)", lambda m: "port = " + ports[m.group(1)], text))
        with open(os.path.join(first.top, "log"), "wb") as log:
            waiting = subprocess.Popen(wrap([RESTANTED, "-c", first.conf]), stdin=subprocess.DEVNULL, stderr=log)
        try:
            while True:
                with open(log.name) as f:
                    if "ev=volume.waiting" in f.read():
                        break
                assert waiting.poll() is None
                time.sleep(0.01)
            text = str(pytest.raises(RuntimeError, second.start).value)
            assert waiting.poll() is None, "it was too slow to show anything"
            assert "ev=server.failed" in text and "Address already in use" in text, text
        finally:
            waiting.wait(PATIENCE_S)


DIALOGUES = {
    "lmtp": b"LHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<anna>\r\nRCPT TO:<boris>\r\nDATA\r\nSubject: left\r\n\r\n"
            + b"body\r\n" * 3000 + b".\r\nMAIL FROM:<>\r\nQUIT\r\n",
    "pop3": b"CAPA\r\nUSER anna\r\nPASS anna-secret\r\nUIDL\r\nLIST\r\nRETR 1\r\nDELE 1\r\nRETR 2\r\nQUIT\r\n",
    "imap": b"a LOGIN anna anna-secret\r\nb SELECT INBOX\r\nc FETCH 1:* (FLAGS ENVELOPE BODYSTRUCTURE BODY.PEEK[])\r\n"
            b"d APPEND INBOX {9000+}\r\nSubject: x\r\n\r\n" + b"y" * 8986 + b"\r\ne STORE 1 +FLAGS (\\Seen)\r\n"
            b"f COPY 1 INBOX\r\ng SEARCH TEXT left\r\nh IDLE\r\nDONE\r\ni LOGOUT\r\n",
}


def leave(server, listener, rng):
    """A client that sends a part of its dialogue, maybe reads some, and goes: with FIN, or with RST."""
    text = DIALOGUES[listener.rstrip("s")]
    c = socket.create_connection(("127.0.0.1", server.port(listener)), timeout=PATIENCE_S)
    try:
        if listener.endswith("s"):
            if rng.random() < 0.3:          # in the handshake
                c.send(b"\x16\x03\x01\x02\x00\x01"[:rng.randrange(7)])
                return
            ctx = ssl.create_default_context()
            ctx.check_hostname, ctx.verify_mode = False, ssl.CERT_NONE
            c = ctx.wrap_socket(c)
        c.send(text[:rng.choice([rng.randrange(200), rng.randrange(len(text) + 1)])])
        if rng.random() < 0.5:
            time.sleep(rng.random() * 0.01)
        if rng.random() < 0.5:
            c.recv(rng.randrange(1, 5000))
        if rng.random() < 0.3:
            c.shutdown(socket.SHUT_WR)
            c.recv(100)
    except OSError:
        pass
    finally:
        if rng.random() < 0.5:
            c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        c.close()


def test_clients_that_leave_at_any_moment(server):
    for i in range(5):
        server.deliver(["anna", "boris"], message("first %d" % i, size=100000))

    def run(seed):
        rng = random.Random(seed)
        for _ in range(60):
            leave(server, rng.choice(["lmtp", "pop3", "imap", "imaps", "pop3s"]), rng)

    in_threads(run, range(4))
    server.deliver("boris", message("last"))
    with server.imap("boris") as c:
        assert any(b"Subject: last\r\n" in data for _, data in fetch_all(c).values())


def in_threads(f, args):
    """Run f on every argument at once; what one of them raises is raised here."""
    errors = []

    def run(arg):
        try:
            f(arg)
        except BaseException as e:
            errors.append(e)

    threads = [threading.Thread(target=run, args=(a,)) for a in args]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if errors:
        raise errors[0]


@pytest.mark.parametrize("listener,bytes_each", [("imap", 4096), ("lmtp", 4096), ("imaps", 24576)])
def test_idle_connections_are_cheap(listener, bytes_each):
    """A server holds thousands; one without traffic owns no buffers."""
    count = 1000
    if os.environ.get("RESTANTE_WRAP"):
        count = 50
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, count + 500), hard))
    with Server(conf_edit=lambda t: set_limit(t, "max_connections_per_ip", count)) as s:
        s.start()
        before = s.rss_kb()
        ctx = s.tls()
        idle = []
        for _ in range(count):
            c = socket.create_connection(("127.0.0.1", s.port(listener)), timeout=PATIENCE_S)
            if listener == "imaps":
                c = ctx.wrap_socket(c)
            assert c.recv(1000)
            idle.append(c)
        with socket.create_connection(("127.0.0.1", s.port("lmtp")), timeout=PATIENCE_S) as c:
            assert b"max_connections_per_ip" in c.recv(1000)
        if not s.sanitized():
            assert (s.rss_kb() - before) * 1024 / count < bytes_each
        for c in idle:
            c.close()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_without_descriptors():
    """Who comes when there are none left is turned away; who is there goes on, and later all is well."""
    with Server({"anna": "anna-secret"}) as s:
        s.start()
        with s.imap("anna") as there:
            soft, hard = resource.prlimit(s.server_pid(), resource.RLIMIT_NOFILE)
            used = len(os.listdir("/proc/%d/fd" % s.server_pid()))
            resource.prlimit(s.server_pid(), resource.RLIMIT_NOFILE, (used + 10, hard))
            more = [socket.create_connection(("127.0.0.1", s.port("pop3")), timeout=PATIENCE_S) for _ in range(40)]
            wait_until(lambda: "accept failed" in s.log(), s.log)
            assert there.noop()[0] == "OK"
            for c in more:
                c.close()
            resource.prlimit(s.server_pid(), resource.RLIMIT_NOFILE, (soft, hard))
            s.deliver("anna", message("after all"))
            assert there.select()[1] == [b"1"]
        assert "accept failed" in s.log()


class Deliveries:
    """Threads that deliver numbered messages until told to end, and remember which were acknowledged."""

    def __init__(self, server, threads=4):
        self.server, self.ended, self.acked, self.lock = server, False, [], threading.Lock()
        self.threads = [threading.Thread(target=self.run, args=(i,)) for i in range(threads)]
        for t in self.threads:
            t.start()

    def run(self, number):
        n = 0
        while not self.ended:
            try:
                with self.server.raw("lmtp") as c:
                    c.reply()
                    c.send("LHLO x\r\n")
                    c.reply()
                    while not self.ended:
                        n += 1
                        name = "d%dx%d" % (number, n)
                        c.send("MAIL FROM:<>\r\nRCPT TO:<anna>\r\nRCPT TO:<boris>\r\nDATA\r\n")
                        if [c.reply()[:3] for _ in range(4)] != [b"250", b"250", b"250", b"354"]:
                            break
                        c.send(message(name, size=3000) + ".\r\n")
                        if [c.reply()[:3] for _ in range(2)] != [b"250", b"250"]:
                            break
                        with self.lock:
                            self.acked.append(name)
            except OSError:
                pass
            time.sleep(0.01)

    def end(self):
        self.ended = True
        for t in self.threads:
            t.join()

    def check(self):
        """Each acknowledged message is there, once."""
        for user in ("anna", "boris"):
            with self.server.imap(user) as c:
                got = [re.search(rb"^Subject: (\w+)", d, re.M).group(1).decode() for _, d in fetch_all(c).values()]
            assert len(set(got)) == len(got)
            assert set(self.acked) <= set(got)


def test_sigterm_under_load(server):
    """Each time it ends with 0, and nothing that was acknowledged is missing."""
    load = Deliveries(server)
    readers_ended = threading.Event()

    def read(user):
        while not readers_ended.is_set():
            try:
                with server.raw("imap") as c:
                    c.line()
                    c.send("a LOGIN %s %s-secret\r\nb SELECT INBOX\r\nc FETCH 1:* BODY.PEEK[]\r\nd IDLE\r\n" % (user, user))
                    c.exactly(20000)
            except (OSError, AssertionError):
                pass
            time.sleep(0.01)

    readers = [threading.Thread(target=read, args=(u,)) for u in ("anna", "boris")]
    for r in readers:
        r.start()
    try:
        for i in range(10):
            time.sleep(0.3)
            server.stop()
            server.start()
    finally:
        load.end()
        readers_ended.set()
        for r in readers:
            r.join()
    assert load.acked
    load.check()


def test_sighup_storm(server):
    load = Deliveries(server, 2)
    try:
        for _ in range(200):
            server.proc.send_signal(signal.SIGHUP)
            time.sleep(0.003)
            with server.raw("imap") as c:
                assert c.line().startswith(b"* OK")
    finally:
        load.end()
    assert server.proc.poll() is None
    load.check()


def test_full_pool(server):
    """Two threads, many clients that fetch and hardly read, many that deliver: everybody is served in the end."""
    server.stop()
    with open(server.conf) as f:
        text = f.read()
    with open(server.conf, "w") as f:
        f.write(text.replace("[server]\n", "[server]\npool_threads = 2\n", 1))
    server.start()
    for i in range(4):
        server.deliver("anna", message("big %d" % i, size=2 << 20))
    slow = []
    for _ in range(12):
        c = server.raw("imap")
        c.line()
        c.send("a LOGIN anna anna-secret\r\nb SELECT INBOX\r\nc FETCH 1:* BODY.PEEK[]\r\n")
        slow.append(c)
    began = time.monotonic()

    def deliver(n):
        for i in range(10):
            server.deliver("boris", message("n%dx%d" % (n, i), size=20000))

    in_threads(deliver, range(8))
    if not server.sanitized():
        assert time.monotonic() - began < AT_ONCE_S
    with server.imap("boris") as c:
        assert len(fetch_all(c)) == 80

    def drain(c):
        size = 0
        while not c.have.endswith(b"c OK FETCH completed\r\n") and b"\r\nc OK" not in c.have[-200:]:
            c.have = c.have[-200:] + c.sock.recv(1 << 20)
            size += len(c.have) - 200
        assert size > 8 << 20
        c.close()

    in_threads(drain, slow)


def test_two_volumes_in_one_transaction():
    """Recipients on different volumes get one answer each, in the order of their RCPTs."""
    with Server({"anna": "anna-secret"}) as other, Server({"boris": "boris-secret"}) as s:
        with open(other.conf) as f:
            path = re.search(r"^\[volume .*?^path = (\S+)", f.read(), re.M | re.S).group(1)
        shutil.move(os.path.join(other.dir, path), os.path.join(s.dir, "second"))
        with open(s.conf, "a") as f:
            f.write("\n[volume second]\npath = second\n")
        s.users["anna"] = "anna-secret"
        s.start()
        with s.raw("lmtp") as c:
            c.reply()
            c.send("LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<anna>\r\nRCPT TO:<boris>\r\nRCPT TO:<anna+x>\r\nDATA\r\n")
            assert [c.reply()[:3] for _ in range(6)] == [b"250"] * 5 + [b"354"]
            c.send(message("to both", size=200000) + ".\r\n")
            replies = [c.reply() for _ in range(3)]
            assert all(r.startswith(b"250 2.0.0") for r in replies), replies
        for user in ("anna", "boris"):
            with s.imap(user) as c:
                (_, data), = fetch_all(c).values()
                assert b"Subject: to both\r\n" in data


def test_stalled_volume(server):
    """A log that cannot be written: deliveries get 451 at once, reading goes on, and it resumes when it can."""
    server.deliver("anna", message("before"))
    hard = resource.prlimit(server.server_pid(), resource.RLIMIT_FSIZE)[1]
    resource.prlimit(server.server_pid(), resource.RLIMIT_FSIZE, (1, hard))
    for i in range(5):
        with server.raw("lmtp") as c:
            began = time.monotonic()
            c.send("LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<anna>\r\nRCPT TO:<boris>\r\nDATA\r\n" + message("no %d" % i) + ".\r\n")
            replies = [c.reply() for _ in range(8)]
            assert [r[:4] for r in replies[6:]] == [b"451 ", b"451 "], replies
            assert time.monotonic() - began < AT_ONCE_S
    with server.imap("anna") as c:
        assert len(fetch_all(c)) == 1
    resource.prlimit(server.server_pid(), resource.RLIMIT_FSIZE, (hard, hard))
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            server.deliver("anna", message("after"))
            break
        except smtplib.SMTPDataError as e:
            assert e.smtp_code == 451 and time.monotonic() < deadline
            time.sleep(0.2)
    with server.imap("anna") as c:
        subjects = [re.search(rb"^Subject: (\w+)", d, re.M).group(1) for _, d in fetch_all(c).values()]
    assert subjects == [b"before", b"after"]
