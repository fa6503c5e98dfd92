"""Dovecot 2.3 of the distribution at its best on loopback: mdbox with zstd, login processes that serve many connections,
IMAP processes that are used again, an auth cache, COMPRESS, TLS tickets, no limits of clients in the way.

It runs in the foreground with a configuration of its own; that of the system is not read. Needs root, as it changes to its
own users. `mail_fsync` stands as shipped (optimized): LMTP and APPEND reply when the mail is on the disk, flags are not
synced.
"""

import os
import shutil

from server import PASSWORD, Server, first_line

CONFIG = """
base_dir = %(dir)s/run
state_dir = %(dir)s/state
log_path = %(dir)s/log
protocols = imap pop3 lmtp
listen = 127.0.0.1
ssl = yes
ssl_cert = <%(cert)s
ssl_key = <%(key)s
disable_plaintext_auth = no
first_valid_uid = 1
mail_uid = nobody
mail_gid = nogroup
mail_location = mdbox:%(dir)s/mail/%%u
mail_plugins = zlib
mail_max_userip_connections = 0
default_process_limit = 200
default_client_limit = 16000
default_vsz_limit = 4G
auth_cache_size = 16M
auth_cache_ttl = 1 hour
auth_mechanisms = plain
import_environment = TZ LD_PRELOAD
imap_hibernate_timeout = %(hibernate)s
plugin {
  zlib_save = zstd
}
protocol imap {
  mail_plugins = zlib imap_zlib
}
passdb {
  driver = static
  args = password=%(password)s
}
userdb {
  driver = static
  args = uid=nobody gid=nogroup home=%(dir)s/mail/%%u allow_all_users=yes
}
service imap-login {
  service_count = 0
  process_min_avail = 2
  inet_listener imap {
    address = 127.0.0.1
    port = %(imap)d
  }
  inet_listener imaps {
    address = 127.0.0.1
    port = %(imaps)d
  }
}
service pop3-login {
  service_count = 0
  process_min_avail = 2
  inet_listener pop3 {
    address = 127.0.0.1
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
  service_count = %(imap_service_count)d
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
  service_count = 0
  process_min_avail = 4
}
service lmtp {
  process_min_avail = 8
  inet_listener lmtp {
    address = 127.0.0.1
    port = %(lmtp)d
  }
}
"""


class Dovecot(Server):
    name, title = "dovecot", "Dovecot"

    def __init__(self, top, cert):
        super().__init__(top, cert)
        if os.geteuid() != 0:
            self.why_not = "it needs root to start"
        elif not all(map(os.path.exists, ("/usr/sbin/dovecot", "/usr/lib/dovecot/imap", "/usr/lib/dovecot/pop3",
                                          "/usr/lib/dovecot/lmtp"))):
            self.why_not = "not installed (Debian: dovecot-imapd dovecot-pop3d dovecot-lmtpd)"

    def prepare(self, users):
        os.mkdir(self.dir + "/mail")
        shutil.chown(self.dir + "/mail", "nobody", "nogroup")
        with open(self.dir + "/dovecot.conf", "w") as f:
            f.write(self.configuration())

    def configuration(self):
        return CONFIG % dict(self.ports, dir=self.dir, cert=self.cert, key=self.key, password=PASSWORD,
                             hibernate="1s" if self.hibernates else "0", imap_service_count=1 if self.hibernates else 0,
                             imap_ahead=0 if self.hibernates else 16)

    def argv(self):
        return ["/usr/sbin/dovecot", "-F", "-c", self.dir + "/dovecot.conf"]

    def version(self):
        return first_line(["dovecot", "--version"]).split()[0]

    def mail_parts(self):
        return [self.dir + "/mail"]


class DovecotHibernated(Dovecot):
    """Idle sessions wait in one process; those that served them end."""

    name, title, hibernates = "dovecot-hibernated", "Dovecot, hibernated", True
