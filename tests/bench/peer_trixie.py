"""Dovecot 2.4 and Cyrus 3.10 of Debian 13 in a root of their own (trixie.py), each at its best on loopback, under the names
that modes.py has for the peers.

Dovecot as peer_dovecot.py has 2.3, in 2.4's words. The thresholds of malloc are raised: as shipped, 2.4 has each allocation
above 128 KB mapped and unmapped, and a random body takes twice the processor. Cyrus as peer_cyrus.py has 3.6.
"""

import imaplib
import os

import trixie
from peer_cyrus import Cyrus
from peer_dovecot import Dovecot
from server import PASSWORD, first_line

MALLOC_THRESHOLD = 32 << 20     # the most that glibc takes

CONFIG = """
dovecot_config_version = 2.4.1
dovecot_storage_version = 2.4.1
base_dir = %(dir)s/run
state_dir = %(dir)s/state
log_path = %(dir)s/log
protocols = imap pop3 lmtp
listen = 127.0.0.1
ssl = yes
ssl_server_cert_file = %(cert)s
ssl_server_key_file = %(key)s
auth_allow_cleartext = yes
first_valid_uid = 1
mail_uid = nobody
mail_gid = nogroup
mail_driver = mdbox
mail_path = %(dir)s/mail/%%{user}
mail_plugins = mail_compress
mail_compress_write_method = zstd
mail_max_userip_connections = unlimited
default_process_limit = 200
default_client_limit = 16000
default_vsz_limit = 4G
auth_cache_size = 16M
auth_cache_ttl = 1 hour
auth_mechanisms = plain
lmtp_user_concurrency_limit = unlimited
import_environment {
  LD_PRELOAD = %%{env:LD_PRELOAD}
  MALLOC_MMAP_THRESHOLD_ = %(malloc)d
  MALLOC_TRIM_THRESHOLD_ = %(malloc)d
}
imap_hibernate_timeout = %(hibernate)s
passdb static {
  password = %(password)s
}
userdb static {
  allow_all_users = yes
  fields {
    uid = nobody
    gid = nogroup
    home = %(dir)s/mail/%%{user}
  }
}
service imap-login {
  restart_request_count = unlimited
  process_min_avail = 2
  inet_listener imap {
    port = %(imap)d
  }
  inet_listener imaps {
    port = %(imaps)d
  }
}
service pop3-login {
  restart_request_count = unlimited
  process_min_avail = 2
  inet_listener pop3 {
    port = %(pop3)d
  }
  inet_listener pop3s {
    port = 0
  }
}
service auth {
  client_limit = 100000
}
service anvil {
  client_limit = 100000
}
service imap {
  restart_request_count = %(imap_requests)s
  process_limit = 16000
  process_min_avail = %(imap_ahead)d
  unix_listener imap-master {
    user = dovecot
  }
}
service imap-hibernate {
  process_limit = 1
  unix_listener imap-hibernate {
    mode = 0666
  }
}
service pop3 {
  restart_request_count = unlimited
  process_min_avail = 4
}
service lmtp {
  restart_request_count = unlimited
  process_min_avail = 8
  inet_listener lmtp {
    port = %(lmtp)d
  }
}
"""


class Dovecot24(Dovecot):
    def __init__(self, top, cert, root):
        super().__init__(top, cert)
        self.top, self.root, self.why_not = top, root, ""

    def configuration(self):
        return CONFIG % dict(self.ports, dir=self.dir, cert=self.cert, key=self.key, password=PASSWORD,
                             hibernate="1s" if self.hibernates else "0", malloc=MALLOC_THRESHOLD,
                             imap_requests="1" if self.hibernates else "unlimited",
                             imap_ahead=0 if self.hibernates else 16)

    def inside(self, argv):
        return trixie.inside(self.root, self.top, argv)

    def first_start(self, users):
        """Two first deliveries at once to a user both make INBOX, and one fails."""
        for user in users:
            with imaplib.IMAP4("127.0.0.1", self.ports["imap"]) as c:
                c.login(user, PASSWORD)
                c.select()

    def version(self):
        return first_line(self.inside(["/usr/sbin/dovecot", "--version"])).split()[0]


class Dovecot24Hibernated(Dovecot24):
    name, title, hibernates = "dovecot-hibernated", "Dovecot, hibernated", True


class Cyrus310(Cyrus):
    def __init__(self, top, cert, root):
        self.top, self.chroot = top, root
        super().__init__(top, cert, "")

    def unpack(self):
        return ""

    def inside(self, argv):
        return trixie.inside(self.chroot, self.top, argv)

    def environment(self):
        return dict(os.environ, CYRUS_USER="nobody")
