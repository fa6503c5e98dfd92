"""Cyrus IMAP 3.6 of the distribution, unpacked beside Dovecot, whose packages it excludes, into the benchmark's directory.

Nothing of it is installed or configured in the system: `apt-get download` and `dpkg -x`, its libraries found by
LD_LIBRARY_PATH. At its best on loopback: processes started ahead, its own idled, locks and process notes in memory, passwords
compared in clear from sasldb. Syncs, delayed expunge and databases stand as shipped; that of TLS sessions is off, as it
costs a sync for each handshake and no client resumes with it (TLS 1.3). Needs root: master changes to the
user that mail belongs to.
"""

import glob
import imaplib
import os
import shutil
import subprocess

from server import PASSWORD, Server, first_line

PACKAGES = ("cyrus-common", "cyrus-imapd", "cyrus-pop3d", "libical3", "libpcre3", "libpq5", "libwrap0", "libxapian30",
            "libjansson4", "libzephyr4", "sasl2-bin", "libsasl2-modules-db")
USER = "nobody"

IMAPD = """
configdirectory: %(dir)s/conf
defaultpartition: default
partition-default: %(dir)s/spool
proc_path: %(fast)s/proc
mboxname_lockpath: %(fast)s/lock
sievedir: %(dir)s/sieve
lmtpsocket: %(dir)s/conf/socket/lmtp
idlesocket: %(dir)s/conf/socket/idle
notifysocket: %(dir)s/conf/socket/notify
cyrus_user: nobody
cyrus_group: nogroup
altnamespace: no
unixhierarchysep: yes
hashimapspool: true
umask: 077
autocreate_post: yes
autocreate_quota: 0
duplicatesuppression: no
munge8bit: no
reject8bit: no
allowplaintext: yes
popminpoll: 0
maxlogins_per_host: 0
maxlogins_per_user: 0
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: %(dir)s/sasldb2
sasl_mech_list: PLAIN
sasl_auto_transition: no
servername: localhost
tls_server_cert: %(cert)s
tls_server_key: %(key)s
tls_session_timeout: 0
"""

CYRUS = """
START {
	recover cmd="%(bin)s/ctl_cyrusdb -C %(dir)s/imapd.conf -r"
}
SERVICES {
	imap cmd="%(bin)s/imapd -C %(dir)s/imapd.conf -U 10000" listen="127.0.0.1:%(imap)d" prefork=17 maxchild=20000
	imaps cmd="%(bin)s/imapd -C %(dir)s/imapd.conf -s -U 10000" listen="127.0.0.1:%(imaps)d" prefork=17 maxchild=20000
	pop3 cmd="%(bin)s/pop3d -C %(dir)s/imapd.conf -U 10000" listen="127.0.0.1:%(pop3)d" prefork=5 maxchild=1000
	lmtp cmd="%(bin)s/lmtpd -C %(dir)s/imapd.conf -a -U 10000" listen="127.0.0.1:%(lmtp)d" prefork=9 maxchild=1000
}
DAEMON {
	idled cmd="%(bin)s/idled -C %(dir)s/imapd.conf -d"
}
EVENTS {
}
"""


def unpack(root):
    """The packages below `root`; why not, or nothing."""
    if os.path.exists(root + "/usr/lib/cyrus/bin/pop3d"):
        return ""
    debs = root + "-debs"
    os.makedirs(debs, exist_ok=True)
    os.makedirs(root, exist_ok=True)
    r = subprocess.run(["apt-get", "download", *PACKAGES], cwd=debs, capture_output=True, text=True)
    if r.returncode:
        return "apt-get download: " + (r.stderr.strip().splitlines() or ["failed"])[-1]
    for deb in sorted(glob.glob(debs + "/*.deb")):
        subprocess.run(["dpkg", "-x", deb, root], check=True)
    shutil.rmtree(debs)
    return ""


class Cyrus(Server):
    name, title = "cyrus", "Cyrus"
    delays = True

    def __init__(self, top, cert, root):
        self.root = root
        super().__init__(top, cert)
        self.bin = root + "/usr/lib/cyrus/bin"
        self.why_not = "it needs root to start" if os.geteuid() != 0 else self.unpack()

    def unpack(self):
        return unpack(self.root)

    def environment(self):
        lib = self.root + "/usr/lib/x86_64-linux-gnu"
        return dict(os.environ, LD_LIBRARY_PATH=":".join(glob.glob(self.root + "/usr/lib/*-linux-gnu") or [lib]),
                    CYRUS_USER=USER)

    def prepare(self, users):
        self.fast = os.path.join("/dev/shm", "restante-bench-cyrus-%d" % os.getpid())
        for path in ("spool", "sieve", "conf", "conf/db", "conf/socket"):
            os.mkdir(os.path.join(self.dir, path))
        for path in ("", "proc", "lock"):
            os.mkdir(os.path.join(self.fast, path))
        words = dict(self.ports, dir=self.dir, bin=self.bin, cert=self.cert, key=self.key, fast=self.fast)
        for name, text in (("imapd.conf", IMAPD), ("cyrus.conf", CYRUS)):
            with open(os.path.join(self.dir, name), "w") as f:
                f.write(text % words)
        passwd = self.root + "/usr/sbin/saslpasswd2"
        for user in users:
            subprocess.run(self.inside([passwd, "-p", "-c", "-f", self.dir + "/sasldb2", "-u", "localhost", user]),
                           input=PASSWORD.encode(), check=True, env=self.environment())
        for top in (self.dir, self.fast):
            for root, dirs, files in os.walk(top):
                for name in [root] + [os.path.join(root, f) for f in files]:
                    shutil.chown(name, USER, "nogroup")

    def first_start(self, users):
        """Accounts get their INBOX at their first login; two deliveries at once would both want to make it."""
        for user in users:
            with imaplib.IMAP4("127.0.0.1", self.ports["imap"]) as c:
                c.login(user, PASSWORD)

    def argv(self):
        return [self.bin + "/master", "-C", self.dir + "/imapd.conf", "-M", self.dir + "/cyrus.conf",
                "-p", self.dir + "/pid"]

    def version(self):
        text = first_line(self.inside([self.bin + "/cyr_info", "version"]), env=self.environment())
        return text.replace("cyrus-imapd", "").strip()

    def mail_parts(self):
        return [self.dir + "/spool", self.dir + "/conf"]

    def close(self):
        try:
            super().close()
        finally:
            shutil.rmtree(getattr(self, "fast", ""), ignore_errors=True)
