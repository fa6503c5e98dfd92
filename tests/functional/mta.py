"""Real MTAs in front of a server under test, each with a configuration, queue and ports of its own.

Postfix is installed, but neither its configuration nor a service of the system is used or touched. Exim and OpenSMTPD
cannot be installed beside it and run in roots of their own (scratch_root.py). All change their identity, so this needs
root. Mail for example.org goes to the server's unix socket, for tcp.example to its TCP port.
"""

import os
import re
import shutil
import smtplib
import socket
import subprocess
import time

from harness import PATIENCE_S, free_port
from scratch_root import ScratchRoot


def read(path):
    try:
        with open(path, errors="replace") as f:
            return f.read()
    except FileNotFoundError:
        return ""


def chrooted(master):
    """As on Debian."""
    return re.sub(r"(?m)^((\{smtp\} inet|lmtp unix)(?: \S){2,}? )[-n]( - - (?:smtpd|lmtp))$", r"\1y\3", master)


def overridden(main, later):
    """main.cf with each name once: of a second one every process warns, and postlogd may block on its own warnings."""
    for name in re.findall(r"(?m)^(\w+) =", later):
        main = re.sub(r"(?m)^%s =.*\n" % name, "", main)
    return main + later


def documented(block, server):
    """What doc/mta.md says for it, for the ports of this server."""
    page = read(os.path.join(os.path.dirname(__file__), "..", "..", "doc", "mta.md"))
    text = re.search("(?ms)^```%s\n(.*?)^```$" % re.escape(block), page).group(1)
    return text.replace("10024", str(server.port("lmtp")))


def listen_in(server, root):
    """One more listener for the server, which is not started yet: a socket that can be reached from inside that root."""
    os.makedirs(root.path("run/restante"))
    with open(server.conf, "a") as f:
        f.write("\n[listen mta]\nprotocol = lmtp\nsocket = %s\n" % root.path("run/restante/lmtp.sock"))


class Mta:
    """What all have in common: `top` is their directory, made here. They are made before the server is started."""

    # What the trace header says they speak.
    protocols = {"example.org": "LMTP", "tcp.example": "LMTP"}
    # Any refusal is a reason to try again for OpenSMTPD.
    bounces = True

    def __init__(self, top):
        self.top = top
        self.smtp = free_port()
        os.mkdir(top)
        os.chmod(top, 0o755)

    def wait_listening(self):
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.smtp), PATIENCE_S).close()
                return
            except ConnectionRefusedError:
                assert self.daemon.poll() is None and time.monotonic() < deadline, self.log()
                time.sleep(0.05)

    def send(self, rcpts, text, sender="boris@example.org", **options):
        with smtplib.SMTP("127.0.0.1", self.smtp, local_hostname="client.example.net", timeout=PATIENCE_S) as c:
            assert c.sendmail(sender, rcpts, text, **options) == {}

    def wait_empty(self):
        """Until everything is delivered or bounced."""
        deadline = time.monotonic() + PATIENCE_S
        while self.queue().strip():
            assert time.monotonic() < deadline, self.queue() + self.log()
            time.sleep(0.2)
            self.retry()


POSTFIX_MAIN = """
compatibility_level = 3.6
queue_directory = {top}/queue
data_directory = {top}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
maillog_file = {top}/log
maillog_file_prefixes = {top}
myhostname = mta.example.net
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
alias_database =
message_size_limit = 52428800
mailbox_size_limit = 0
virtual_mailbox_domains = example.org, tcp.example, tls.example, auth.example
virtual_transport = lmtp:unix:{sock}
transport_maps = inline:{{ tcp.example=lmtp:inet:127.0.0.1:{port}, tls.example=lmtptls:inet:127.0.0.1:{port},
  auth.example=lmtpauth:inet:127.0.0.1:{port} }}
default_transport = error:this MTA delivers to the server under test only
smtputf8_enable = yes
notify_classes =
minimal_backoff_time = 1s
maximal_backoff_time = 2s
queue_run_delay = 1s
"""

POSTFIX_MASTER = """
{smtp} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 1 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
lmtp unix - - n - - lmtp
lmtptls unix - - n - - lmtp
  -o lmtp_tls_security_level=encrypt
lmtpauth unix - - n - - lmtp
  -o lmtp_tls_security_level=encrypt -o lmtp_sasl_auth_enable=yes
  -o lmtp_sasl_password_maps=static:mta:mta-secret -o lmtp_sasl_security_options=noanonymous
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix(Mta):
    protocols = {**Mta.protocols, "tls.example": "LMTPS", "auth.example": "LMTPSA"}
    master = POSTFIX_MASTER

    def __init__(self, server):
        super().__init__(os.path.join(server.top, "postfix"))
        for name in ("conf", "queue", "data"):
            os.mkdir(os.path.join(self.top, name))
            os.chmod(os.path.join(self.top, name), 0o755)
        shutil.chown(os.path.join(self.top, "data"), "postfix")
        values = {"top": self.top, "sock": os.path.join(server.dir, "lmtp.sock"), "port": server.port("lmtp"),
                  "smtp": self.smtp}
        for name, text in (("main.cf", self.configuration(server)), ("master.cf", self.master)):
            with open(os.path.join(self.top, "conf", name), "w") as f:
                f.write(text.format(**values).lstrip())
        self.run("postfix", "start")

    def configuration(self, server):
        return POSTFIX_MAIN

    def stop(self):
        self.run("postfix", "stop")

    def retry(self):
        self.run("postqueue", "-f")

    def queue(self):
        """What waits, or nothing."""
        text = self.run("postqueue", "-p")
        return "" if "is empty" in text else text

    def run(self, command, *args):
        r = subprocess.run([command, "-c", os.path.join(self.top, "conf"), *args], capture_output=True, text=True,
                           stdin=subprocess.DEVNULL, timeout=PATIENCE_S)
        assert r.returncode == 0, (command, args, r.stdout, r.stderr, self.log())
        return r.stdout

    def log(self):
        return read(os.path.join(self.top, "log"))


EXIM_CONF = r"""
primary_hostname = mta.example.net
daemon_smtp_ports = {smtp}
local_interfaces = 127.0.0.1
log_file_path = /var/log/exim-%slog
spool_directory = /var/spool/exim
smtputf8_advertise_hosts = *
acl_smtp_rcpt = accept_all
message_size_limit = 50M
queue_run_in_order
accept_8bitmime
smtp_accept_queue_per_connection = 0
tls_advertise_hosts =
keep_environment =

begin acl
accept_all:
  accept

begin routers
by_socket:
  driver = accept
  domains = example.org
  transport = by_socket
by_port:
  driver = manualroute
  domains = tcp.example
  route_list = * 127.0.0.1
  self = send
  transport = by_port

begin transports
by_socket:
  driver = lmtp
  socket = /run/restante/lmtp.sock
  batch_max = 20
  user = Debian-exim
by_port:
  driver = smtp
  protocol = lmtp
  port = {port}
  allow_localhost
  hosts_try_fastopen =

begin retry
*  *  F,1h,1s
"""


class DocumentedPostfix(Postfix):
    """As doc/mta.md has it; the clients are strangers, and time is short."""

    master = chrooted(POSTFIX_MASTER)

    def configuration(self, server):
        text, n = re.subn("(?m)^(address_verify_negative_expire_time =) 1m$", r"\1 4s", documented("postfix", server))
        assert n == 1
        return overridden(POSTFIX_MAIN, "mynetworks = 192.0.2.1\naddress_verify_poll_delay = 1s\n" + text)


class DocumentedPostfixSocket(DocumentedPostfix):
    def configuration(self, server):
        private = os.path.join(self.top, "queue", "private")
        os.mkdir(private)
        shutil.chown(private, "postfix")
        os.chmod(private, 0o700)
        with open(server.conf, "a") as f:
            f.write("\n" + documented("conf", server).replace("/var/spool/postfix/private", private))
        return overridden(super().configuration(server), documented("postfix socket", server))


class Exim(Mta):
    protocols = {**Mta.protocols, "tcp.example": "LMTPS"}

    def __init__(self, server):
        super().__init__(os.path.join(server.top, "exim"))
        self.root = ScratchRoot(self.top, "exim4-daemon-heavy", {"Debian-exim": 101})
        self.root.write("etc/exim4/exim4.conf", self.configuration(server).format(
            smtp=self.smtp, port=server.port("lmtp")))
        for d in ("var/spool/exim", "var/log"):
            os.makedirs(self.root.path(d), exist_ok=True)
            os.chown(self.root.path(d), 101, 101)
        listen_in(server, self.root)
        self.daemon = subprocess.Popen(self.root.command("/usr/sbin/exim4", "-bdf", "-q1s"), stdin=subprocess.DEVNULL,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.wait_listening()

    def configuration(self, server):
        return EXIM_CONF

    def stop(self):
        self.daemon.terminate()
        self.daemon.wait(PATIENCE_S)

    def run(self, *args):
        r = subprocess.run(self.root.command("/usr/sbin/exim4", *args), capture_output=True, text=True,
                           stdin=subprocess.DEVNULL, timeout=PATIENCE_S)
        assert r.returncode == 0, (args, r.stdout, r.stderr, self.log())
        return r.stdout

    def retry(self):
        self.run("-qff")

    def queue(self):
        return self.run("-bp")

    def log(self):
        return read(self.root.path("var/log/exim-mainlog")) + read(self.root.path("var/log/exim-paniclog"))


class DocumentedExim(Exim):
    def configuration(self, server):
        head, _ = EXIM_CONF.split("  accept\n", 1)
        acl, routers, transports = (documented("exim " + part, server) for part in ("acl", "routers", "transports"))
        return "%s%s  accept\nbegin routers\n%sbegin transports\n%sbegin retry\n*  *  F,1h,1s\n" % (
            head, acl, routers, transports)


OPENSMTPD_CONF = r"""
table users {{ "@" = "vmail" }}
queue ttl 1h
smtp max-message-size 50M
listen on 127.0.0.1 port {smtp} hostname mta.example.net
action "by socket" lmtp "/run/restante/lmtp.sock" rcpt-to virtual <users>
action "by port" lmtp "127.0.0.1:{port}" rcpt-to virtual <users>
match from any for domain "example.org" action "by socket"
match from any for domain "tcp.example" action "by port"
"""


class OpenSMTPD(Mta):
    bounces = False

    def __init__(self, server):
        super().__init__(os.path.join(server.top, "opensmtpd"))
        self.root = ScratchRoot(self.top, "opensmtpd", {"opensmtpd": 102, "opensmtpq": 103, "vmail": 1000, "nobody": 65534})
        self.root.write("etc/smtpd.conf", self.configuration(server).format(
            smtp=self.smtp, port=server.port("lmtp")))
        self.root.write("etc/mailname", "mta.example.net\n")
        os.chown(self.root.path("usr/sbin/smtpctl"), 0, 103)
        os.chmod(self.root.path("usr/sbin/smtpctl"), 0o2755)
        os.makedirs(self.root.path("var/lib/opensmtpd/empty"), mode=0o755, exist_ok=True)
        os.makedirs(self.root.path("var/run"), exist_ok=True)
        listen_in(server, self.root)
        self.output = open(self.root.path("var/log/smtpd"), "wb")
        self.daemon = subprocess.Popen(self.root.command("/usr/sbin/smtpd", "-d"), stdin=subprocess.DEVNULL,
                                       stdout=self.output, stderr=self.output)
        self.wait_listening()

    def configuration(self, server):
        return OPENSMTPD_CONF

    def stop(self):
        self.daemon.terminate()
        self.daemon.wait(PATIENCE_S)
        self.output.close()

    def control(self, *args):
        r = subprocess.run(self.root.command("/usr/sbin/smtpctl", *args), capture_output=True, text=True,
                           stdin=subprocess.DEVNULL, timeout=PATIENCE_S)
        return r.stdout + r.stderr

    def retry(self):
        self.control("schedule", "all")

    def queue(self):
        return self.control("show", "queue")

    def give_up(self):
        """Remove what still waits."""
        for line in self.queue().splitlines():
            self.control("remove", line.split("|")[0])

    def log(self):
        return read(self.root.path("var/log/smtpd"))


class DocumentedOpenSMTPD(OpenSMTPD):
    def configuration(self, server):
        listener = OPENSMTPD_CONF.split("action")[0]
        return listener + documented("opensmtpd", server).replace("{", "{{").replace("}", "}}")
