"""A real restanted on a directory of its own, and small clients for it.

Everything listens on 127.0.0.1 with free ports; nothing outside the temporary directory is touched, and only processes
started here are ended, by pid. Binaries come from the directory named by RESTANTE_BUILD.
"""

import email.utils
import imaplib
import os
import poplib
import random
import re
import shutil
import signal
import smtplib
import socket
import ssl
import subprocess
import tempfile
import time

# The library's clients give up on long lines that real mail has.
imaplib._MAXLINE = poplib._MAXLINE = 10 * 1000 * 1000

BUILD = os.environ.get("RESTANTE_BUILD", os.path.join(os.path.dirname(__file__), "..", ".."))
RESTANTED = os.path.join(BUILD, "restanted")
RESTANTECTL = os.path.join(BUILD, "restantectl")
OFFSETS = {"imap": 143, "imaps": 993, "pop3": 110, "pop3s": 995, "lmtp": 24}
# A sanitizer's build is several times slower, and so is a busy machine.
PATIENCE_S = float(os.environ.get("RESTANTE_TEST_PATIENCE", "60"))
# What "at once" is there: less than the 10 s that a session has to take leave when nobody ends it.
AT_ONCE_S = min(PATIENCE_S / 4, 8)
# Sanitizers speak on stderr; any of these words there fails the test that started the server.
SANITIZER_WORDS = ("AddressSanitizer", "ThreadSanitizer", "runtime error:", "LeakSanitizer", "MemorySanitizer")


taken_ports = {}


def take_ports(first, offsets):
    """Ports that are free, or None. Other runs of the tests leave them alone until they are given back."""
    taken = []
    try:
        for off in offsets:
            taken.append(socket.socket(socket.AF_UNIX))
            taken[-1].bind("\0restante-test-port-%d" % (first + off))
            with socket.socket() as s:
                s.bind(("127.0.0.1", first + off))
    except OSError:
        for s in taken:
            s.close()
        return None
    taken_ports[first] = taken
    return first


def free_ports(low, high, offsets):
    """Below those that the system gives to clients."""
    for _ in range(200):
        first = take_ports(random.randrange(low, high), offsets)
        if first:
            return first
    raise RuntimeError("no free ports")


def free_base_port():
    """A base N whose five ports are free."""
    return free_ports(20000, 31000, OFFSETS.values())


def free_port():
    return free_ports(10000, 20000, [0])


def give_back_ports(first):
    for s in taken_ports.pop(first, []):
        s.close()


def wait_until(what, told=lambda: ""):
    """Waits for an event, for as long as patience lasts; what `what` has returned then."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := what()):
        assert time.monotonic() < deadline, told()
        time.sleep(0.02)
    return found


def server_env():
    """The environment, with a quarantine of AddressSanitizer's that leaves limits of memory a meaning."""
    options = [o for o in (os.environ.get("ASAN_OPTIONS"), "quarantine_size_mb=8") if o]
    return dict(os.environ, ASAN_OPTIONS=":".join(options))


def is_running(pid):
    """Whether a thread of the process is left: its first one may be a zombie while others still hold files and locks."""
    try:
        threads = os.listdir("/proc/%d/task" % pid)
    except (FileNotFoundError, ProcessLookupError):
        return False
    return any(thread_is_running(pid, thread) for thread in threads)


def thread_is_running(pid, thread):
    try:
        with open("/proc/%d/task/%s/stat" % (pid, thread)) as f:
            return f.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wrap(argv):
    """The command that runs a built program: a prefix (setarch, valgrind) may be asked for."""
    return os.environ.get("RESTANTE_WRAP", "").split() + argv


def set_limit(text, key, value):
    """The configuration with one [limits] key set."""
    lines = [line for line in text.splitlines() if not re.match(r"%s\s*=" % key, line)]
    if "[limits]" not in lines:
        lines.append("[limits]")
    lines.insert(lines.index("[limits]") + 1, "%s = %s" % (key, value))
    return "\n".join(lines) + "\n"


class Server:
    """One volume with its daemon. `users` maps names to passwords. Failed logins are answered after `auth_delay` ms."""

    def __init__(self, users=None, conf_edit=None, user="root" if os.geteuid() == 0 else None, auth_delay=0):
        self.top = tempfile.mkdtemp(prefix="restante-test-")
        os.chmod(self.top, 0o755)
        self.dir = os.path.join(self.top, "site")
        self.base = free_base_port()
        self.conf = os.path.join(self.dir, "restante.conf")
        self.proc = None
        self.users = {}
        argv = ["init", self.dir, "--base-port", str(self.base)]
        if user:
            argv += ["--user", user]
        self.ctl_raw(argv)
        with open(self.conf) as f:
            text = f.read()
        if os.environ.get("RESTANTE_WRAP"):
            text = text.replace("[server]\n", "[server]\nsandbox = no\n", 1)      # valgrind has work of its own
        if conf_edit:
            text = conf_edit(text)
        with open(self.conf, "w") as f:
            f.write(set_limit(text, "auth_delay", auth_delay))
        for name, password in (users or {}).items():
            self.add_user(name, password)

    # -- processes --

    def start(self, env=None):
        assert self.proc is None
        self.log_path = os.path.join(self.top, "log-%d" % time.monotonic_ns())
        self.log_file = open(self.log_path, "wb")
        self.proc = subprocess.Popen(wrap([RESTANTED, "-c", self.conf]), stdin=subprocess.DEVNULL,
                                     stderr=self.log_file, env=dict(server_env(), **(env or {})))
        deadline = time.monotonic() + PATIENCE_S
        while b"ev=server.ready" not in self.log().encode():
            if self.proc.poll() is not None:
                code, self.proc = self.proc.returncode, None
                raise RuntimeError("restanted ended with %d:\n%s" % (code, self.log()))
            if time.monotonic() > deadline:
                raise RuntimeError("restanted is not ready:\n" + self.log())
            time.sleep(0.01)
        return self

    def log(self):
        with open(self.log_path, "rb") as f:
            return f.read().decode("utf-8", "backslashreplace")

    def stop(self):
        """SIGTERM, and it must end well."""
        if self.proc is None:
            return
        self.proc.send_signal(signal.SIGTERM)
        code = self.proc.wait(PATIENCE_S)
        self.proc = None
        self.check_log()
        assert code == 0, "exit %d after SIGTERM:\n%s" % (code, self.log())

    def server_pid(self):
        """The server proper: a child of the supervisor that was started, and another one after a crash."""
        return int(re.findall(r"ev=server\.ready .*? server_pid=([0-9]+)", self.log())[-1])

    def kill(self):
        """The supervisor at once, and the server with it: gone when this returns."""
        server = self.server_pid()
        self.proc.send_signal(signal.SIGKILL)
        self.proc.wait()
        self.proc = None
        deadline = time.monotonic() + PATIENCE_S
        while is_running(server):
            assert time.monotonic() < deadline, "the server outlives its supervisor"
            time.sleep(0.01)
        self.check_log()

    def check_log(self):
        text = self.log()
        for word in SANITIZER_WORDS:
            assert word not in text, text

    def close(self):
        try:
            self.stop()
        finally:
            if self.proc is not None:
                self.proc.kill()
                self.proc.wait()
            shutil.rmtree(self.top, ignore_errors=True)
            give_back_ports(self.base)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def rss_kb(self):
        with open("/proc/%d/status" % self.server_pid()) as f:
            return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))

    def cpu_seconds(self):
        """What the server has used of the processors, which the machine's other work does not lengthen."""
        with open("/proc/%d/stat" % self.server_pid()) as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_slack(self):
        """What limits of memory are multiplied with: a sanitizer keeps shadows and quarantines of all that is used, and
        caches for each thread, more of them the busier the machine is."""
        return 20 if self.sanitized() else 1

    def sanitized(self):
        """A build with a sanitizer, or under valgrind: slow, and its memory says nothing."""
        with open("/proc/%d/maps" % self.proc.pid) as f:
            return bool(os.environ.get("RESTANTE_WRAP") or re.search(r"lib[at]san", f.read()))

    # -- the admin's tool --

    def ctl_raw(self, argv, stdin="", expect=0):
        patience = PATIENCE_S * 3 + stdin.count("\n")      # a line may have a password, to be hashed
        r = subprocess.run(wrap([RESTANTECTL] + argv), input=stdin.encode(), capture_output=True, timeout=patience)
        out, err = r.stdout.decode("utf-8", "replace"), r.stderr.decode("utf-8", "replace")
        for word in SANITIZER_WORDS:
            assert word not in err, err
        if expect is not None:
            assert r.returncode == expect, "restantectl %s: exit %d\n%s%s" % (argv, r.returncode, out, err)
        return r.returncode, out, err

    def ctl(self, *argv, stdin="", expect=0):
        """stdout of `restantectl -c FILE argv...`, which must exit with `expect`."""
        return self.ctl_raw(["-c", self.conf] + list(argv), stdin, expect)[1]

    def add_user(self, name, password="secret"):
        self.ctl("user", "add", name, stdin=password + "\n")
        self.users[name] = password

    # -- clients --

    def port(self, listener):
        return self.base + OFFSETS[listener]

    def tls(self):
        """Trusts exactly the certificate that init made."""
        for root, _, files in os.walk(self.dir):
            for name in files:
                path = os.path.join(root, name)
                if not os.path.isfile(path):
                    continue
                with open(path, "rb") as f:
                    if f.read(27) == b"-----BEGIN CERTIFICATE-----":
                        ctx = ssl.create_default_context(cafile=path)
                        ctx.check_hostname = False
                        return ctx
        raise RuntimeError("no certificate below " + self.dir)

    def imap(self, user=None, password=None, tls=False):
        if tls:
            c = imaplib.IMAP4_SSL("127.0.0.1", self.port("imaps"), ssl_context=self.tls(), timeout=PATIENCE_S)
        else:
            c = imaplib.IMAP4("127.0.0.1", self.port("imap"), timeout=PATIENCE_S)
        if user:
            c.login(user, password or self.users[user])
        return c

    def pop(self, user=None, password=None, tls=False, utf8=False):
        if tls:
            c = poplib.POP3_SSL("127.0.0.1", self.port("pop3s"), context=self.tls(), timeout=PATIENCE_S)
        else:
            c = poplib.POP3("127.0.0.1", self.port("pop3"), timeout=PATIENCE_S)
        if utf8:
            c.utf8()
        if user:
            c.user(user)
            c.pass_(password or self.users[user])
        return c

    def lmtp(self, unix=False):
        if unix:
            return smtplib.LMTP(os.path.join(self.dir, "lmtp.sock"), 0, local_hostname="mta.example.org")
        c = smtplib.LMTP("127.0.0.1", self.port("lmtp"), local_hostname="mta.example.org")
        c.sock.settimeout(PATIENCE_S)
        return c

    def deliver(self, rcpt, message, sender="sender@example.org"):
        """One message over LMTP; every recipient must be accepted."""
        with self.lmtp() as c:
            send(c, rcpt, message, sender)

    def raw(self, listener):
        return Raw(self.port(listener))


def send(lmtp, rcpt, message, sender="sender@example.org"):
    """smtplib reads one reply behind the data; LMTP gives one for each recipient."""
    rcpt = [rcpt] if isinstance(rcpt, str) else rcpt
    refused = lmtp.sendmail(sender, rcpt, message, mail_options=["BODY=8BITMIME"])
    assert refused == {}, refused
    for _ in rcpt[1:]:
        code, text = lmtp.getreply()
        assert code == 250, text


class Raw:
    """Bytes out, bytes in: for what the library's clients cannot send."""

    def __init__(self, port):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.have = b""
        self.tags = 0

    def send(self, data):
        self.sock.sendall(data if isinstance(data, bytes) else data.encode())

    def line(self):
        """The next line, without its CRLF; b"" at the end of the connection."""
        while b"\r\n" not in self.have:
            more = self.sock.recv(65536)
            if not more:
                rest, self.have = self.have, b""
                return rest
            self.have += more
        line, self.have = self.have.split(b"\r\n", 1)
        return line

    def exactly(self, n):
        while len(self.have) < n:
            more = self.sock.recv(65536)
            assert more, "connection ended"
            self.have += more
        data, self.have = self.have[:n], self.have[n:]
        return data

    def reply(self):
        """One SMTP-like reply, all its lines."""
        lines = [self.line()]
        while lines[-1][3:4] == b"-":
            lines.append(self.line())
        return b"\n".join(lines)

    def imap_until(self, tag):
        """All responses up to the tagged one, literals inside them; a list of bytes."""
        out = []
        while True:
            line = self.line()
            assert line != b"" or self.have, "connection ended before %r: %r" % (tag, out)
            while True:
                m = re.search(rb"\{(\d+)\}$", line)
                if not m:
                    break
                line += b"\r\n" + self.exactly(int(m.group(1))) + self.line()
            out.append(line)
            if line.startswith(tag + b" "):
                return out

    def cmd(self, text, expect=b"OK"):
        """One IMAP command; the responses, the tagged one last, which must say `expect`."""
        self.tags += 1
        tag = b"t%d" % self.tags
        self.send(tag + b" " + (text if isinstance(text, bytes) else text.encode()) + b"\r\n")
        out = self.imap_until(tag)
        assert out[-1].startswith(tag + b" " + expect), out[-3:]
        return out

    def at_eof(self):
        try:
            return self.sock.recv(1) == b""
        except ConnectionResetError:
            return True

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


def message(subject="hello", body="one line\r\n", size=0, **headers):
    """A small RFC 5322 message with CRLF line ends, filled up to about `size` bytes."""
    head = {"From": "Sender <sender@example.org>", "To": "anna@example.org", "Subject": subject,
            "Date": "Tue, 03 Nov 2026 10:00:00 +0100", "Message-ID": email.utils.make_msgid(domain="example.org")}
    head.update({k.replace("_", "-"): v for k, v in headers.items()})
    text = "".join("%s: %s\r\n" % kv for kv in head.items()) + "\r\n" + body
    rng = random.Random(subject)
    lines = ["".join(rng.choices("abcdefghij klmnopqrstuvwxyz", k=70)) + "\r\n" for _ in range(500)]
    while len(text) < size:
        text += "".join(rng.choice(lines) for _ in range(1 + min(200, (size - len(text)) // 72)))
    return text


def strip_trace(data):
    """What the MTA sent: without the Return-Path and Received fields that the server put in front."""
    assert data.startswith(b"Return-Path: "), data[:80]
    head = data.index(b"\r\n") + 2
    assert data[head:head + 10] == b"Received: ", data[:200]
    end = head
    while True:
        end = data.index(b"\r\n", end) + 2
        if data[end:end + 1] not in (b" ", b"\t"):
            return data[end:]


def fetch_all(imap, mailbox="INBOX"):
    """{uid: (flags, bytes)} of a mailbox."""
    typ, _ = imap.select(mailbox, readonly=True)
    assert typ == "OK"
    typ, data = imap.uid("FETCH", "1:*", "(FLAGS BODY.PEEK[])")
    assert typ == "OK"
    out = {}
    for item in data:
        if isinstance(item, tuple):
            uid = int(re.search(rb"UID (\d+)", item[0]).group(1))
            flags = re.search(rb"FLAGS \(([^)]*)\)", item[0]).group(1).split()
            out[uid] = (sorted(flags), item[1])
    return out
