"""A Dovecot 2.3 on a directory of its own, as another server that mail is moved from.

Nothing of the system's configuration is read; ports are free ones of 127.0.0.1. It can be run by root (it changes to
the users of its package) and by others.
"""

import grp
import imaplib
import os
import poplib
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from harness import PATIENCE_S, free_base_port

PROGRAM = shutil.which("dovecot", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")

CONF = """
base_dir = {dir}/run
state_dir = {dir}/state
log_path = {dir}/log
protocols = imap pop3
listen = 127.0.0.1
first_valid_uid = 0
disable_plaintext_auth = no
auth_mechanisms = plain scram-sha-256
auth_failure_delay = 0
ssl = {ssl}
{certificate}
mail_location = maildir:{dir}/mail/%u
mail_uid = {mail_user}
mail_gid = {mail_group}
pop3_uidl_format = %08Xu%08Xv
passdb {{
  driver = passwd-file
  args = scheme=plain {dir}/masters
  master = yes
}}
passdb {{
  driver = passwd-file
  args = scheme=plain {dir}/passwd
}}
userdb {{
  driver = static
  args = uid={mail_user} gid={mail_group} home={dir}/mail/%u
}}
namespace inbox {{
  inbox = yes
  separator = .
  prefix = INBOX.
  mailbox Sent {{
    auto = subscribe
    special_use = \\Sent
  }}
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = {pop3s}
    ssl = yes
  }}
}}
"""

# What somebody who is not root must add: everything runs as that user, in no chroot.
UNPRIVILEGED = """
default_internal_user = {mail_user}
default_internal_group = {mail_group}
default_login_user = {mail_user}
service anvil {{
  chroot =
}}
service imap-login {{
  chroot =
}}
service pop3-login {{
  chroot =
}}
"""


class Dovecot:
    """`users` maps names to passwords, `masters` those who may log in for others. `tls`: (certificate, key) files.
    `slashes`: names have "/" between their levels, and may hold dots, instead of "." and a prefix."""

    def __init__(self, users, masters=None, tls=None, slashes=False):
        self.users = users
        self.dir = tempfile.mkdtemp(prefix="restante-dovecot-")
        os.chmod(self.dir, 0o755)
        base = free_base_port()
        self.ports = {"imap": base + 143, "imaps": base + 993, "pop3": base + 110, "pop3s": base + 995}
        root = os.geteuid() == 0
        user = "nobody" if root else pwd.getpwuid(os.geteuid()).pw_name
        group = grp.getgrgid(pwd.getpwnam(user).pw_gid).gr_name
        values = dict(self.ports, dir=self.dir, ssl="yes" if tls else "no", mail_user=user, mail_group=group,
                      certificate="ssl_cert = <%s\nssl_key = <%s\n" % tls if tls else "")
        os.mkdir(os.path.join(self.dir, "mail"))
        if root:
            shutil.chown(os.path.join(self.dir, "mail"), user, group)
        self.write("passwd", users)
        self.write("masters", masters or {})
        self.conf = os.path.join(self.dir, "dovecot.conf")
        with open(self.conf, "w") as f:
            text = (CONF + ("" if root else UNPRIVILEGED)).format(**values)
            if slashes:
                text = text.replace("separator = .", "separator = /").replace("prefix = INBOX.", "prefix =")
                text = text.replace("= maildir:", "= sdbox:")
            f.write(text)
        self.proc = None

    def write(self, name, users):
        path = os.path.join(self.dir, name)
        with open(path, "w") as f:
            f.writelines("%s:%s::::::\n" % pair for pair in users.items())
        os.chmod(path, 0o644)

    def start(self):
        self.proc = subprocess.Popen([PROGRAM, "-F", "-c", self.conf], stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.ports["imap"])).close()
                return self
            except OSError:
                assert self.proc.poll() is None and time.monotonic() < deadline, self.log()
                time.sleep(0.05)

    def log(self):
        try:
            with open(os.path.join(self.dir, "log")) as f:
                return f.read()
        except OSError:
            return "no log"

    def close(self):
        if self.proc is not None:
            self.proc.send_signal(signal.SIGTERM)
            self.proc.wait(PATIENCE_S)
            self.proc = None
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.close()

    def imap(self, user):
        c = imaplib.IMAP4("127.0.0.1", self.ports["imap"], timeout=PATIENCE_S)
        c.login(user, self.users[user])
        return c

    def pop(self, user):
        c = poplib.POP3("127.0.0.1", self.ports["pop3"], timeout=PATIENCE_S)
        c.user(user)
        c.pass_(self.users[user])
        return c
