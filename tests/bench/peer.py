"""Dovecot 2.3 from the distribution as a server to measure against: IMAP over TLS and LMTP on free ports of 127.0.0.1.

It runs in the foreground with a configuration of its own, everything it writes in a scratch directory that is deleted
afterwards; the system's configuration is not read. Login processes serve many connections each, as its manual advises for
speed; all else stands at its default: an IMAP process for each connection. Needs root, as it changes to its own users.
"""

import os
import shutil
import socket
import subprocess
import tempfile
import time

CONFIG = """
base_dir = %(dir)s/run
state_dir = %(dir)s/state
log_path = %(dir)s/log
protocols = imap lmtp
listen = 127.0.0.1
ssl = yes
ssl_cert = <%(dir)s/cert.pem
ssl_key = <%(dir)s/key.pem
first_valid_uid = 1
mail_location = mdbox:%(dir)s/mail/%%u
mail_max_userip_connections = 0
default_process_limit = 5000
default_client_limit = 16000
passdb {
  driver = static
  args = password=secret
}
userdb {
  driver = static
  args = uid=nobody gid=nogroup home=%(dir)s/mail/%%u
}
service imap-login {
  service_count = 0
  process_min_avail = 2
  inet_listener imap {
    port = 0
  }
  inet_listener imaps {
    port = %(imaps)d
  }
}
service lmtp {
  inet_listener lmtp {
    address = 127.0.0.1
    port = %(lmtp)d
  }
}
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Dovecot:
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="peer-dovecot-", dir="/tmp")
        os.chmod(self.dir, 0o755)
        os.mkdir(self.dir + "/mail")
        shutil.chown(self.dir + "/mail", "nobody", "nogroup")
        self.ports = {"imaps": free_port(), "lmtp": free_port()}
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-subj", "/CN=localhost", "-keyout", self.dir + "/key.pem", "-out", self.dir + "/cert.pem"],
                       check=True, capture_output=True)
        with open(self.dir + "/dovecot.conf", "w") as f:
            f.write(CONFIG % dict(self.ports, dir=self.dir))
        self.proc = None

    @staticmethod
    def is_here():
        return os.geteuid() == 0 and all(map(os.path.exists, (
            "/usr/sbin/dovecot", "/usr/lib/dovecot/imap", "/usr/lib/dovecot/lmtp")))

    def port(self, name):
        return self.ports[name]

    def __enter__(self):
        self.proc = subprocess.Popen(["/usr/sbin/dovecot", "-F", "-c", self.dir + "/dovecot.conf"])
        for _ in range(50):
            time.sleep(0.2)
            try:
                socket.create_connection(("127.0.0.1", self.ports["lmtp"])).close()
                break
            except ConnectionRefusedError:
                pass
        return self

    def __exit__(self, *exc):
        self.proc.terminate()
        self.proc.wait()
        shutil.rmtree(self.dir, ignore_errors=True)
