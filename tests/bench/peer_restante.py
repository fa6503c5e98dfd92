"""Restante, as built, with the configuration that `restantectl init` makes and the benchmark's limits raised."""

import os
import re
import subprocess

from server import PASSWORD, Server, first_line

RAISED = """
[limits]
message_size = 100M
max_connections = 60000
max_connections_per_ip = 60000
max_connections_per_account = 0
"""


class Restante(Server):
    name, title = "restante", "Restante"
    addresses = 1           # 127.0.0.1 and so many less one behind it have an imap listener, for crowds beyond the ports of one

    def __init__(self, top, cert, build):
        self.build = build
        super().__init__(top, cert)
        if not os.path.exists(os.path.join(build, "restanted")):
            self.why_not = "there is no restanted in %s" % build

    def ctl(self, *argv, stdin=""):
        subprocess.run([os.path.join(self.build, "restantectl"), *argv], input=stdin.encode(), check=True,
                       stdout=subprocess.DEVNULL)

    def prepare(self, users):
        site = os.path.join(self.dir, "site")
        self.conf = os.path.join(site, "restante.conf")
        self.ctl("init", site, "--base-port", "20000", "--user", "root")
        with open(self.conf) as f:
            text = f.read()
        text = text[:text.index("\n[limits]")] + RAISED
        text = re.sub(r"(?s)\[listen lmtp-socket\].*?(?=\n\[)", "", text)
        text = re.sub(r"(?s)\[listen pop3s\].*?(?=\n\[)", "", text)
        for kind, port in self.ports.items():
            text = re.sub(r"(protocol = %s\n.*\n)port = .*" % kind, r"\g<1>port = %d" % port, text)
        text = text.replace("durability = strict", "durability = " + ("relaxed" if self.relaxed else "strict"))
        text = text.replace("certificate = cert.pem", "certificate = " + self.cert)
        text = text.replace("key = key.pem", "key = " + self.key)
        for k in range(1, self.addresses):
            text += "\n[listen imap%d]\nprotocol = imap\naddress = 127.0.0.%d\nport = %d\n" % (k, k + 1, self.ports["imap"])
        with open(self.conf, "w") as f:
            f.write(text)
        for user in users:
            self.ctl("-c", self.conf, "user", "add", user, stdin=PASSWORD + "\n")

    def argv(self):
        return [os.path.join(self.build, "restanted"), "-c", self.conf]

    def version(self):
        return first_line([os.path.join(self.build, "restantectl"), "--version"])

    def mail_parts(self):
        return [os.path.join(self.dir, "site", "volumes")]


class RestanteRelaxed(Restante):
    name, title, relaxed = "restante-relaxed", "Restante, relaxed", True
