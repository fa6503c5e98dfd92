"""What the running server is refused by its sandbox: nothing. Seen by strace from its first call to its last, while all that
libraries load and read late is made use of."""

import os
import re
import shutil
import ssl
import subprocess
import time

from clients import need
from harness import PATIENCE_S, RESTANTED, Server, message
from test_guard import set_auth
from test_sandbox import CHARSETS, hup
from test_sasl_sources import log_in, saslauthd     # noqa: F401 (a fixture)
from test_supervisor import ROOT
from test_tls import Authority, make_pair, openssl, set_tls

# Libraries ask for these and do without (sandbox_seccomp.c): flags of clone3 cannot be seen, io_uring passes by every filter.
# And privileges.c tries whether root's rights are gone.
EXPECTED = {"clone3", "io_uring_setup", "setuid"}


LATE = {"TZ": "Europe/Berlin", "LANG": "de_DE.UTF-8"}


def can_be_traced():
    """Not beside valgrind, and a leak checker does not run under another's eyes."""
    with open(RESTANTED, "rb") as f:
        return not os.environ.get("RESTANTE_WRAP") and re.search(rb"lib[at]san", f.read()) is None


def start_traced(s):
    """strace watches from aside (-D), so that the process started is the supervisor as ever."""
    trace = os.path.join(s.top, "trace")
    with open(os.path.join(s.top, "log-traced"), "wb") as log:
        s.log_path = log.name
        s.proc = subprocess.Popen([need("strace", "strace"), "-D", "-f", "-qq", "-o", trace, "-e", "status=failed",
                                   RESTANTED, "-c", s.conf], stdin=subprocess.DEVNULL, stderr=log,
                                  env=dict(os.environ, **LATE))
    deadline = time.monotonic() + PATIENCE_S
    while "ev=server.ready" not in s.log():
        assert s.proc.poll() is None and time.monotonic() < deadline, s.log()
        time.sleep(0.05)
    return trace


def refusals(trace, supervisor):
    """{(system call, errno): its first line}, of all but the supervisor, which has no sandbox."""
    found = {}
    with open(trace, errors="replace") as f:
        for line in f:
            m = re.match(r"(\d+) +(?:<\.\.\. )?(\w+).*= -1 (EACCES|EPERM|ENOSYS) ", line)
            if m and int(m.group(1)) != supervisor and m.group(2) not in EXPECTED:
                found.setdefault(m.group(2, 3), line.rstrip())
    return found


def revocations(authority, *revoked):
    """The authority's list, of certificates."""
    where = authority.where
    if not os.path.exists(where + "/index.txt"):
        open(where + "/index.txt", "w").close()
        with open(where + "/crlnumber", "w") as f:
            f.write("01\n")
        with open(where + "/ca.conf", "w") as f:
            f.write("[ca]\ndefault_ca = c\n[c]\ndatabase = index.txt\ncrlnumber = crlnumber\ndefault_md = sha256\n"
                    "default_crl_days = 5\n")
    ca = ("ca", "-config", "ca.conf", "-cert", "ca.pem", "-keyfile", "ca.key")
    for cert in revoked:
        openssl(*ca, "-revoke", cert, cwd=where)
    openssl(*ca, "-gencrl", "-out", "crl.pem", cwd=where)
    return where + "/crl.pem"


def greeting(s, version, ciphers=None, pair=None):
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ctx.check_hostname, ctx.verify_mode = False, ssl.CERT_NONE
    ctx.minimum_version = ctx.maximum_version = version
    if ciphers:
        ctx.set_ciphers(ciphers)
    if pair:
        ctx.load_cert_chain(*pair)
    with s.raw("imaps") as c:
        try:
            c.sock = ctx.wrap_socket(c.sock)
            return c.line()
        except (ssl.SSLError, ConnectionResetError):
            return b""


def make_certificates(s):
    for name, kind in (("own", "ec"), ("rsa", "rsa")):
        make_pair(s.dir, name, ["mail.example"], kind)


def handshakes(s):
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        assert greeting(s, version).startswith(b"* OK")
    for kind in ("ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"):
        assert greeting(s, ssl.TLSVersion.TLSv1_2, kind).startswith(b"* OK"), kind


def mail_in_all_alphabets(s):
    for charset, word in CHARSETS:
        s.deliver("anna", message("x").encode().replace(b"one line\r\n", word.encode(charset) + b"\r\n").replace(
            b"Subject: x", b"Content-Type: text/plain; charset=%s\r\nSubject: x" % charset.encode()))
    with s.imap("anna") as c:
        c.select()
        assert c.search("UTF-8", "BODY", '"%s"' % "x")[0] == "OK"
        assert c.fetch("1:*", "(INTERNALDATE ENVELOPE PREVIEW)")[0] == "OK"


def test_nothing_that_is_needed_is_refused(saslauthd, tmp_path):     # noqa: F811
    top, _ = saslauthd
    authority = Authority(str(tmp_path))
    anna = authority.sign("anna", "email:anna")

    def edit(text):
        text = set_tls(text, certificate="own.pem", key="own.key", client_ca="ca.pem", client_crl="crl.pem")
        text = set_auth(text, password_sources="restante, saslauthd", saslauthd_socket=os.path.join(top, "mux"))
        return text + "\n[certificate rsa]\ncertificate = rsa.pem\nkey = rsa.key\n"
    with Server({"anna": "secret"}, edit, user="nobody" if ROOT else None) as s:
        make_certificates(s)
        shutil.copy(authority.where + "/ca.pem", s.dir)
        shutil.copy(revocations(authority), s.dir)
        trace = start_traced(s) if can_be_traced() else s.start(LATE) and None
        handshakes(s)
        assert greeting(s, ssl.TLSVersion.TLSv1_3, pair=anna).startswith(b"* OK")
        assert log_in(s, "anna", "secret") and log_in(s, "anna", "elsewhere") and not log_in(s, "anna", "wrong")
        mail_in_all_alphabets(s)
        s.pop("anna").quit()
        # New certificates, and a list that has anna's on it.
        make_certificates(s)
        shutil.copy(revocations(authority, anna[0]), s.dir)
        hup(s)
        handshakes(s)
        assert greeting(s, ssl.TLSVersion.TLSv1_3, pair=anna) == b""
        os.makedirs(s.top + "/copies", mode=0o777)
        os.chmod(s.top + "/copies", 0o777)
        s.ctl("backup", s.top + "/copies")
        s.ctl("compact", "--all")
        s.ctl("check")
        supervisor = s.proc.pid
        assert not trace or " seccomp=yes" in s.log()
        s.stop()
        found = refusals(trace, supervisor) if trace else {}
        assert not found, "\n".join(found.values())
