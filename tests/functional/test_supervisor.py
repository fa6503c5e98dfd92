"""The process that was started, and the server that it starts: crashes, signals, who may read and change what."""

import imaplib
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

import pytest

from harness import AT_ONCE_S, PATIENCE_S, RESTANTECTL, RESTANTED, Server, message, wrap

ROOT = os.geteuid() == 0
as_root = pytest.mark.skipif(not ROOT, reason="only root can become another user")


def logged(server, ev, n=1):
    """The first `n` lines of that event, waited for."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        lines = [x for x in server.log().splitlines() if re.search(r" ev=%s( |$)" % re.escape(ev), x)]
        if len(lines) >= n:
            return lines
        assert time.monotonic() < deadline, server.log()
        time.sleep(0.02)


def status_of(pid):
    with open("/proc/%d/status" % pid) as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def alive(pid):
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def deadly(server, sig):
    """Sanitizers catch SIGSEGV, report it, and end by a status of their own."""
    return signal.SIGKILL if server.sanitized() else sig


def crash(server, n, sig=signal.SIGSEGV):
    """The n-th crash of the server proper; returns when the next one is ready."""
    os.kill(server.server_pid(), deadly(server, sig))
    logged(server, "server.crashed", n)
    return logged(server, "server.ready", n + 1)[-1]


# ---- crashes ----

def test_a_crashed_server_is_started_again(server):
    """Within a second; what was acknowledged is there, and the pid to signal is the same."""
    server.deliver("anna", message("before"))
    first = server.server_pid()
    ready = crash(server, 1)
    assert server.server_pid() != first and not alive(first)
    assert " pid=%d " % server.proc.pid in ready
    line, = logged(server, "server.crashed")
    assert " level=error " in line and " pid=%d signal=%d " % (first, deadly(server, signal.SIGSEGV)) in line and " crashes=1 restart_ms=0" in line
    server.deliver("anna", message("after"))
    with server.imap("anna") as c:
        assert c.select()[1] == [b"2"]
    assert "pid %d," % server.proc.pid in server.ctl("status")


def test_connections_wait_while_the_server_is_down(server):
    """A client that comes in the gap is served by the next server: it is neither refused nor reset."""
    waits = []

    def come(listener):
        with server.raw(listener) as c:
            began = time.monotonic()
            first = c.line()
            assert first.startswith((b"* OK", b"+OK", b"220")), first
            waits.append(time.monotonic() - began)

    os.kill(server.server_pid(), signal.SIGSTOP)        # it would accept them before it dies
    threads = [threading.Thread(target=come, args=(p,)) for p in ("imap", "pop3", "lmtp") * 10]
    for t in threads:
        t.start()
    time.sleep(0.3)
    crash(server, 1, signal.SIGKILL)
    for t in threads:
        t.join(PATIENCE_S)
    assert len(waits) == 30
    with socket.socket(socket.AF_UNIX) as c:
        c.connect(os.path.join(server.dir, "lmtp.sock"))
        assert c.recv(100).startswith(b"220")


def test_crash_after_crash_waits_longer(server):
    crash(server, 1)
    crash(server, 2)
    os.kill(server.server_pid(), deadly(server, signal.SIGSEGV))
    last = logged(server, "server.crashed", 3)[-1]
    waits = [int(re.search(r"restart_ms=(\d+)", x).group(1)) for x in logged(server, "server.crashed", 3)]
    assert waits == [0, 1000, 2000], last
    server.proc.send_signal(signal.SIGTERM)     # also while it waits
    assert server.proc.wait(PATIENCE_S) == 0
    server.proc = None
    assert not os.path.exists(os.path.join(server.dir, "lmtp.sock"))


def test_what_sighup_brought_outlives_a_crash(server):
    """And what only a restart changes does not come by one."""
    with open(server.conf) as f:
        text = f.read()
    with open(server.conf, "w") as f:
        f.write(text.replace("log_level = info", "log_level = debug").replace(
            "port = %d\n" % server.port("pop3"), "port = %d\n" % (server.port("pop3") + 1)))
    server.proc.send_signal(signal.SIGHUP)
    logged(server, "server.reloaded")
    assert "[listen]" in logged(server, "server.needs_restart")[0]
    with open(server.conf, "w") as f:
        f.write("nonsense")                     # the file of the next SIGHUP, not of the next crash
    crash(server, 1)
    server.pop("anna").quit()
    assert " level=debug " in server.log().split("ev=server.crashed")[1]
    server.proc.send_signal(signal.SIGHUP)
    assert "nonsense" in logged(server, "server.reload_failed")[0] or "section" in logged(server, "server.reload_failed")[0]
    server.pop("anna").quit()


# ---- one process to its caller ----

@pytest.mark.parametrize("sig", [signal.SIGKILL, signal.SIGSEGV])
def test_when_it_dies_all_of_it_dies(server, sig):
    """However, and at once: a new one can be started on the spot."""
    for _ in range(3):
        child = server.server_pid()
        server.proc.send_signal(deadly(server, sig))
        server.proc.wait()
        deadline = time.monotonic() + AT_ONCE_S
        while alive(child) and time.monotonic() < deadline:
            time.sleep(0.001)
        assert not alive(child)
        server.proc = None
        server.start()
    server.deliver("anna", message("all is well"))


def test_killed_in_the_middle_of_a_start(server):
    """At any moment of it: nothing stays behind."""
    for ms in range(0, 60, 3):
        server.stop()
        p = subprocess.Popen(wrap([RESTANTED, "-c", server.conf]), stderr=subprocess.PIPE)
        time.sleep(ms / 1000)
        p.kill()
        text = p.communicate(timeout=PATIENCE_S)[1]     # ends when nobody has the pipe any more
        assert b"server.crashed" not in text, text
        server.start()


def test_terminated_in_the_middle_of_a_start(server):
    server.stop()
    for ms in range(0, 60, 3):
        p = subprocess.Popen(wrap([RESTANTED, "-c", server.conf]), stderr=subprocess.PIPE)
        time.sleep(0.02 + ms / 1000)
        p.terminate()
        text = p.communicate(timeout=PATIENCE_S)[1]
        assert p.returncode in (0, -signal.SIGTERM), text       # the latter before anything was begun
        assert b"server.crashed" not in text, text
    server.start()


def test_the_servers_end_is_the_end(server):
    """Whoever terminates the child has terminated the server."""
    os.kill(server.server_pid(), signal.SIGTERM)
    assert server.proc.wait(PATIENCE_S) == 0
    server.proc = None
    assert "ev=server.stopped" in server.log() and "server.crashed" not in server.log()


def test_a_server_that_hangs_is_killed_at_the_end():
    """Not before its time, and what it acknowledged is there."""
    with Server({"anna": "anna-secret"}, lambda t: t.replace("[server]\n", "[server]\nstop_timeout = 2s\n")) as s:
        s.start()
        s.deliver("anna", message("kept"))
        pid = s.server_pid()
        os.kill(pid, signal.SIGSTOP)
        began = time.monotonic()
        s.proc.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        s.proc.send_signal(signal.SIGTERM)                  # again: no more and no less time
        assert s.proc.wait(PATIENCE_S) == 1 and not alive(pid)
        s.proc = None
        assert 1.9 < time.monotonic() - began < 20
        assert " level=error ev=server.killed pid=%d " % pid in s.log() and "server.crashed" not in s.log()
        s.start()
        assert s.imap("anna", "anna-secret").select("INBOX")[1] == [b"1"]


def test_a_start_that_fails_is_not_repeated(server):
    """Not by the supervisor: its exit says so."""
    server.stop()
    head = os.path.join(server.dir, "volumes", "v1", "head")
    os.rename(head, head + ".away")
    with open(head, "wb") as f:
        f.write(b"x" * os.path.getsize(head + ".away"))
    text = str(pytest.raises(RuntimeError, server.start).value)
    assert "ended with 1:" in text and text.count("ev=server.failed") == 1 and "server.crashed" not in text, text
    os.rename(head + ".away", head)
    server.start()


def break_certificate(server):
    """As a renewal is that has written one of two files. Returns how to end it."""
    path = os.path.join(server.dir, "cert.pem")
    with open(path, "rb") as f:
        good = f.read()

    def write(data):
        with open(path, "wb") as f:
            f.write(data)

    write(b"half a certificate\n")
    return lambda: write(good)


def test_a_crash_in_an_unlucky_moment(server):
    """What keeps the next server from starting may be gone in a second; connections wait as long."""
    mend = break_certificate(server)
    os.kill(server.server_pid(), signal.SIGKILL)
    lines = logged(server, "server.start_failed", 2)
    assert " level=error " in lines[0] and " status=2 failed=1 restart_ms=1000" in lines[0], lines
    assert "failed=2 restart_ms=2000" in lines[1], lines
    with server.raw("pop3") as c:
        mend()
        assert c.line().startswith(b"+OK")
    logged(server, "server.ready", 2)
    failed = len(logged(server, "server.start_failed"))
    mend = break_certificate(server)
    os.kill(server.server_pid(), signal.SIGKILL)
    assert " failed=1 " in logged(server, "server.start_failed", failed + 1)[failed]
    server.proc.send_signal(signal.SIGTERM)
    assert server.proc.wait(PATIENCE_S) == 0
    server.proc = None
    mend()


def first_child(pid):
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
            children = f.read().split()
        if children:
            return int(children[-1])
    raise AssertionError("no child")


def test_a_terminal_that_hangs_up_in_the_middle_of_a_start(server):
    """SIGHUP is for the supervisor, but a terminal and `killall` send it to all; the server may not be ready for it."""
    for ms in range(0, 50, 5):
        server.stop()
        log = open(os.path.join(server.top, "log-hup-%d" % ms), "wb")
        server.log_path = log.name
        server.proc = subprocess.Popen(wrap([RESTANTED, "-c", server.conf]), stdin=subprocess.DEVNULL, stderr=log)
        child = first_child(server.proc.pid)
        time.sleep(ms / 1000)
        os.kill(child, signal.SIGHUP)
        logged(server, "server.ready")
        assert "server.crashed" not in server.log()


def descriptors(pid):
    there, found = "/proc/%d/fd" % pid, {}
    for n in os.listdir(there):
        try:
            found[int(n)] = os.readlink(os.path.join(there, n))
        except FileNotFoundError:
            pass                # closed meanwhile
    return found


@pytest.mark.parametrize("closed", ["0<&- 1>&- 2>&-", "2>&-", "0<&-"])
def test_standard_descriptors_that_are_closed(server, closed):
    """No file and no socket takes their places: lines of the log would be written into it."""
    server.stop()
    server.proc = subprocess.Popen(wrap(["sh", "-c", 'exec "$0" -c "$1" ' + closed, RESTANTED, server.conf]),
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            server.pop("anna").quit()
            break
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    for pid in (server.proc.pid, first_child(server.proc.pid)):
        standard = {n: to for n, to in descriptors(pid).items() if n < 3}
        assert len(standard) == 3
        assert all(to == "/dev/null" or to.startswith("pipe:") for to in standard.values()), standard
    server.deliver("anna", message("all is well"))
    server.proc.terminate()
    server.proc.communicate(timeout=PATIENCE_S)
    assert server.proc.returncode == 0
    server.proc = None
    r = subprocess.run(wrap(["sh", "-c", '"$0" -c "$1" dump >&-', RESTANTECTL, server.conf]), capture_output=True)
    assert r.returncode == 1, r
    server.ctl("check")
    server.start()


def test_nothing_is_inherited(server):
    """What whoever started us has open is none of the server's business."""
    server.stop()
    with open("/etc/passwd") as f:
        os.set_inheritable(f.fileno(), True)
        log = open(os.path.join(server.top, "log-fds"), "wb")
        server.log_path = log.name
        server.proc = subprocess.Popen(wrap([RESTANTED, "-c", server.conf]), stdin=subprocess.DEVNULL, stderr=log,
                                       pass_fds=[f.fileno()])
        logged(server, "server.ready")
    assert "/etc/passwd" in descriptors(server.proc.pid).values()
    assert "/etc/passwd" not in descriptors(server.server_pid()).values()


def test_modes_of_sockets(server):
    """As configured, whatever the umask, from the first moment on."""
    server.stop()
    before = os.umask(0o027)
    try:
        server.start()
    finally:
        os.umask(before)
    modes = {n: oct(os.stat(os.path.join(server.dir, n)).st_mode & 0o7777) for n in ("lmtp.sock", "control.sock")}
    assert modes == {"lmtp.sock": "0o666", "control.sock": "0o600"}


def test_the_server_option_is_not_for_people(server):
    for tie in ("0,1", "2,2", "x", "99,1"):
        r = subprocess.run([RESTANTED, "-c", server.conf, "--server", tie], capture_output=True, timeout=PATIENCE_S,
                           stdin=subprocess.DEVNULL)
        assert r.returncode == 1 and b"--server is for restanted itself" in r.stderr, r.stderr


def test_a_program_that_was_replaced_changes_nothing(server):
    """What runs goes on with what was started, also after a crash."""
    server.stop()
    build = tempfile.mkdtemp(prefix="restante-test-", dir=server.top)
    mine = os.path.join(build, "restanted")
    shutil.copy(RESTANTED, mine)
    log = open(os.path.join(server.top, "log-replaced"), "wb")
    server.log_path = log.name
    server.proc = subprocess.Popen(wrap([mine, "-c", server.conf]), stdin=subprocess.DEVNULL, stderr=log)
    logged(server, "server.ready")
    os.unlink(mine)
    with open(mine, "w") as f:
        f.write("#!/bin/sh\nexit 77\n")
    os.chmod(mine, 0o755)
    crash(server, 1)
    server.pop("anna").quit()


def test_systemd_hears_of_one_process(server):
    """Only from the process that it started, and with all that Type=notify and notify-reload want."""
    server.stop()
    path = os.path.join(server.top, "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        s.bind(path)
        s.settimeout(PATIENCE_S)

        def heard():
            data, anc, _, _ = s.recvmsg(1000, 100)
            pid = int.from_bytes(anc[0][2][:4], "little")
            assert pid == server.proc.pid
            return data.decode()

        server.start(env={"NOTIFY_SOCKET": path})
        assert heard() == "READY=1"
        server.proc.send_signal(signal.SIGHUP)
        assert re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=\d+", heard())
        assert heard() == "READY=1"
        with open("/proc/%d/environ" % server.server_pid(), "rb") as f:
            assert b"NOTIFY_SOCKET" not in f.read()
        server.stop()
        with pytest.raises(AttributeError):
            heard()                             # the process has gone; what it said is there
    server.start()


# ---- who may what ----

@as_root
def test_what_init_makes_as_root():
    """The server's user owns the volumes; it reads the rest, and can change and replace nothing of it."""
    with Server({"anna": "anna-secret"}, user="nobody") as s:
        nobody = pwd.getpwnam("nobody")
        facts = {name: os.stat(os.path.join(s.dir, name)) for name in ("", "restante.conf", "key.pem", "cert.pem", "volumes")}
        assert {k: (v.st_uid, oct(v.st_mode & 0o7777)) for k, v in facts.items()} == {
            "": (0, "0o1775"), "restante.conf": (0, "0o640"), "key.pem": (0, "0o640"), "cert.pem": (0, "0o644"),
            "volumes": (nobody.pw_uid, "0o700")}

        def as_nobody(*argv):
            return subprocess.run(argv, user="nobody", group=nobody.pw_gid, extra_groups=[], capture_output=True).returncode

        assert as_nobody("cat", s.conf) == 0
        for argv in (["sh", "-c", "echo >> " + s.conf], ["mv", s.conf, s.conf + ".x"], ["rm", "-f", s.conf],
                     ["mv", os.path.join(s.dir, "key.pem"), s.dir + "/x"], ["rmdir", s.dir + "/volumes"]):
            assert as_nobody(*argv) != 0, argv
        s.start()
        assert "server.conf_owner" not in s.log() and "server.root" not in s.log()
        assert status_of(s.proc.pid)["Uid"].split() == ["0"] * 4
        assert status_of(s.server_pid())["Uid"].split() == [str(nobody.pw_uid)] * 4
        assert status_of(s.server_pid())["CapEff"] == "0" * 16
        s.deliver("anna", message("hello"))
        assert "pid %d" % s.proc.pid in s.ctl("status")
        s.ctl("quota", "set", "anna", "5000")
        s.stop()
        s.ctl("check")
        s.start()


@as_root
def test_a_key_that_only_root_may_read():
    """Root opens it for the server: at the start, at SIGHUP, and after a crash."""
    with Server({"anna": "anna-secret"}, user="nobody") as s:
        key = os.path.join(s.dir, "key.pem")
        os.chown(key, 0, 0)
        os.chmod(key, 0o600)
        s.start()
        s.imap("anna", tls=True).logout()
        s.proc.send_signal(signal.SIGHUP)
        logged(s, "server.reloaded")
        crash(s, 1)
        s.imap("anna", tls=True).logout()


@as_root
@pytest.mark.parametrize("trick", ["link", "hard link", "directory"])
def test_root_reads_nothing_that_the_user_could_have_put_there(trick):
    """A server that was broken into might put a link to a file of root's where the key was."""
    with Server(user="nobody") as s:
        nobody = pwd.getpwnam("nobody")
        secret = os.path.join(s.top, "secret.pem")
        key = os.path.join(s.dir, "key.pem")
        shutil.move(key, secret)
        os.chown(secret, 0, 0)
        os.chmod(secret, 0o600)
        if trick == "link":
            os.symlink(secret, key)
            os.lchown(key, nobody.pw_uid, nobody.pw_gid)
        elif trick == "hard link":
            os.link(secret, key)
        else:
            keys = os.path.join(s.dir, "keys")
            os.mkdir(keys)
            os.chown(keys, nobody.pw_uid, nobody.pw_gid)
            os.link(secret, os.path.join(keys, "key.pem"))
            with open(s.conf) as f:
                text = f.read()
            with open(s.conf, "w") as f:
                f.write(text.replace("key = key.pem", "key = keys/key.pem"))
        text = str(pytest.raises(RuntimeError, s.start).value)
        assert "key.pem: Permission denied, as user nobody; and root does not read it for it" in text, text


@as_root
def test_a_configuration_in_the_users_hands_is_told():
    with Server(user="nobody") as s:
        os.chown(s.conf, pwd.getpwnam("nobody").pw_uid, -1)
        s.start()
        line, = logged(s, "server.conf_owner")
        assert "user=nobody" in line and "file=" + s.conf in line


@as_root
def test_the_user_is_fixed_at_the_start():
    """SIGHUP and a crash do not make it root."""
    with Server(user="nobody") as s:
        s.start()
        with open(s.conf) as f:
            text = f.read()
        with open(s.conf, "w") as f:
            f.write(text.replace("user = nobody", "user = root"))
        s.proc.send_signal(signal.SIGHUP)
        assert "[server] user" in logged(s, "server.needs_restart")[0]
        logged(s, "server.reloaded")
        crash(s, 1)
        assert status_of(s.server_pid())["Uid"].split() == [str(pwd.getpwnam("nobody").pw_uid)] * 4


# ---- IPv6 ----

def test_ipv6_listeners():
    """::1 and :: take IPv6 only; the same port of IPv4 is another listener's."""
    def with_ipv6(text):
        return text + "\n[listen six]\nprotocol = imap\naddress = ::1\nport = 143\n".replace("143", str(port)) + \
            "\n[listen all-six]\nprotocol = pop3\naddress = ::\nport = %d\n" % (port + 1)

    with socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))                  # without IPv6 this test fails, rather than saying nothing
        port = probe.getsockname()[1]
    with Server({"anna": "anna-secret"}, with_ipv6) as s:
        s.start()
        assert "imap=[::1]:%d " % port in logged(s, "server.ready")[0]
        with imaplib.IMAP4("::1", port, timeout=PATIENCE_S) as c:
            c.login("anna", "anna-secret")      # ::1 is loopback: allowed without TLS
        with socket.create_connection(("::1", port + 1)) as c:
            assert c.recv(100).startswith(b"+OK")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port + 1))
