"""OAUTHBEARER and XOAUTH2: curl logs in with tokens, over IMAP and POP3, and forged or foreign tokens open nothing."""

import base64
import json
import os
import re
import signal
import subprocess
import time

import pytest

from harness import PATIENCE_S, Raw, Server, message
from tokens import Issuer, Key, b64url

DISCOVERY = "https://id.example.org/.well-known/openid-configuration"


@pytest.fixture(scope="module")
def issuer(tmp_path_factory):
    where = tmp_path_factory.mktemp("issuer")
    where.chmod(0o755)
    os.chmod(where.parent, 0o755)
    it = Issuer(str(where))
    for alg in ("RS256", "ES256"):
        it.key(alg)
    it.publish()
    return it


@pytest.fixture(scope="module")
def server(issuer):
    users = {"anna@example.org": "secret", "bert@example.org": "other", "mover": "third", "closed@example.org": "x"}
    with Server(users, lambda t: issuer.conf(t, admins="mover", oauth_discovery=DISCOVERY)) as s:
        s.start()
        s.deliver("anna@example.org", message())
        yield s


def curl(server, listener, user, token, request=None):
    """Exit status and output of curl with a token; -k: the certificate is a test's own. It takes OAUTHBEARER when it is
    offered, whatever --login-options say."""
    scheme = listener
    url = "%s://127.0.0.1:%d/%s" % (scheme, server.port(listener), "INBOX" if listener.startswith("imap") else "")
    argv = ["curl", "-sSv", "-k", "--max-time", "30", "--user", user, "--oauth2-bearer", token, url]
    if request:
        argv += ["--request", request]
    r = subprocess.run(argv, capture_output=True, timeout=60)
    return r.returncode, r.stdout.decode(), r.stderr.decode("utf-8", "replace")


@pytest.mark.parametrize("alg", ["EdDSA", "RS256", "ES256"])
@pytest.mark.parametrize("listener", ["imaps", "imap", "pop3s", "pop3"])
def test_curl(server, issuer, listener, alg):
    before = len(server.log())
    imap = listener.startswith("imap")
    status, out, err = curl(server, listener, "anna@example.org", issuer.token("anna@example.org", alg),
                            "STATUS INBOX (MESSAGES)" if imap else None)
    assert status == 0, err
    assert re.search(r"\* STATUS INBOX \(MESSAGES 1\)" if imap else r"^1 \d+\r\n$", out), out
    assert "user=anna@example.org mech=OAUTHBEARER" in server.log()[before:]


@pytest.mark.parametrize("alg", ["EdDSA", "RS256", "ES256"])
def test_library_clients(server, issuer, alg):
    """XOAUTH2 as programs in Python do it."""
    message = "user=%s\1auth=Bearer %s\1\1" % ("anna@example.org", issuer.token("anna@example.org", alg))
    c = server.imap(tls=True)
    assert c.authenticate("XOAUTH2", lambda challenge: message.encode())[0] == "OK"
    assert c.select("INBOX")[0] == "OK"
    c.logout()
    p = server.pop(tls=True)
    assert p._shortcmd("AUTH XOAUTH2 " + base64.b64encode(message.encode()).decode()).startswith(b"+OK")
    assert p.stat()[0] == 1
    p.quit()


@pytest.mark.parametrize("changed, why", [
    ({"exp": 1000}, "expired"),
    ({"nbf": 4000000000}, "nbf"),
    ({"aud": "else"}, "audience"),
    ({"iss": "https://other.example.org"}, "issuer"),
    ({"scope": "openid"}, "scope"),
    ({"email_verified": False}, "email_verified"),
    ({"email": None}, "email"),
    ({"email": "nobody@example.org"}, "unknown account"),
])
def test_refused(server, issuer, changed, why):
    before = len(server.log())
    token = issuer.token("anna@example.org", **changed)
    status, out, err = curl(server, "imaps", "anna@example.org", token)
    assert status != 0
    line = [x for x in server.log()[before:].splitlines() if "ev=auth.failed" in x]
    assert len(line) == 1 and why in line[0] and "mech=OAUTHBEARER" in line[0], server.log()[before:]
    assert token.split(".")[2] not in server.log()


def bearer(user, token, extra=""):
    return base64.b64encode(("n,a=%s,\1%sauth=Bearer %s\1\1" % (user, extra, token)).encode()).decode()


def xoauth2(user, token):
    return base64.b64encode(("user=%s\1auth=Bearer %s\1\1" % (user, token)).encode()).decode()


class Text(Raw):
    """Lines of text, perhaps under TLS; the greeting is read."""

    def __init__(self, server, listener):
        super().__init__(server.port(listener))
        if listener.endswith("s"):
            self.sock = server.tls().wrap_socket(self.sock)
        self.greeting = self.line()

    def line(self):
        return super().line().decode()


def imap(server):
    return Text(server, "imaps")


def authenticate(raw, mechanism, message, answer="AQ=="):
    """The challenge as JSON, or None, and the tagged response."""
    raw.send("a AUTHENTICATE %s %s\r\n" % (mechanism, message))
    line = raw.line()
    if not line.startswith("+ "):
        return None, line
    challenge = json.loads(base64.b64decode(line[2:]))
    raw.send(answer + "\r\n")
    return challenge, raw.line()


def test_error_challenge(server, issuer):
    good = {"scope": "mail.all", "openid-configuration": DISCOVERY}
    with imap(server) as raw:
        challenge, line = authenticate(raw, "OAUTHBEARER", base64.b64encode(b"n,a=anna@example.org,\1auth=\1\1").decode())
        assert challenge == dict(good, status="invalid_token")
        assert line.startswith("a NO [AUTHENTICATIONFAILED]")
        challenge, line = authenticate(raw, "XOAUTH2", xoauth2("anna@example.org", "junk"), "")
        assert challenge == dict(good, status="401", schemes="Bearer")
        assert line.startswith("a NO [AUTHENTICATIONFAILED]")
        challenge, line = authenticate(raw, "OAUTHBEARER",
                                       bearer("anna@example.org", issuer.token("anna@example.org", scope="x")), "*")
        assert challenge == dict(good, status="insufficient_scope")
        assert line.startswith("a NO") or line.startswith("a BAD")
        challenge, line = authenticate(raw, "OAUTHBEARER", bearer("anna@example.org", issuer.token("anna@example.org")))
        assert challenge is None and line.startswith("a OK")


def test_other_account(server, issuer):
    token = issuer.token("anna@example.org")
    for mechanism, message in (("OAUTHBEARER", bearer("bert@example.org", token)), ("XOAUTH2", xoauth2("bert@example.org", token)),
                               ("OAUTHBEARER", bearer("nobody", token))):
        with imap(server) as raw:
            challenge, line = authenticate(raw, mechanism, message)
            assert challenge is None and line.startswith("a NO [AUTHORIZATIONFAILED]")
    with imap(server) as raw:
        challenge, line = authenticate(raw, "OAUTHBEARER", bearer("bert@example.org", issuer.token("mover")))
        assert line.startswith("a OK")
    assert "user=bert@example.org" in server.log() and "admin=mover" in server.log()


def test_forged(server, issuer, tmp_path):
    stranger = Key(str(tmp_path), "EdDSA", "one")
    claims = issuer.claims("anna@example.org")
    good = issuer.key("EdDSA").token(claims)
    head, body, sig = good.split(".")
    none = b64url(b'{"alg":"none","kid":"one"}')
    forged = [
        stranger.token(claims),
        stranger.token(claims, jwk=stranger.jwk()),
        issuer.key("EdDSA").token(claims, kid="../../" + issuer.jwks),
        issuer.key("EdDSA").token(claims, alg="RS256"),
        issuer.key("EdDSA").token(claims, crit=["exp"]),
        "%s.%s." % (none, body), "%s.%s.%s" % (none, body, sig),
        "%s.%s.%s" % (head, b64url(json.dumps(dict(claims, email="bert@example.org")).encode()), sig),
    ]
    for token in forged:
        with imap(server) as raw:
            challenge, line = authenticate(raw, "OAUTHBEARER", bearer("", token).replace("n,a=,", "n,,"))
            assert line.startswith("a NO") or line.startswith("a BAD"), token
        with imap(server) as raw:
            challenge, line = authenticate(raw, "XOAUTH2", xoauth2("anna@example.org", token))
            assert challenge["status"] == "401" and line.startswith("a NO"), token


def test_long_token(server, issuer):
    """Some issuers put all groups of a user into the token."""
    token = issuer.token("anna@example.org", groups=["group-%04d" % i for i in range(380)])
    assert 7000 < len(token) < 8192
    for mechanism, message in (("OAUTHBEARER", bearer("anna@example.org", token)), ("XOAUTH2", xoauth2("anna@example.org", token))):
        with imap(server) as raw:
            assert authenticate(raw, mechanism, message)[1].startswith("a OK")
    with Text(server, "pop3s") as raw:
        raw.send("AUTH OAUTHBEARER\r\n")
        assert raw.line().startswith("+ ")
        raw.send(bearer("anna@example.org", token) + "\r\n")
        assert raw.line().startswith("+OK")


def test_no_guess(server, issuer):
    """A client that goes on showing an expired token keeps its owner out neither with a new one nor with the password."""
    expired = issuer.token("bert@example.org", exp=1000)
    for _ in range(12):
        with imap(server) as raw:
            for _ in range(4):
                assert authenticate(raw, "XOAUTH2", xoauth2("bert@example.org", expired))[1].startswith("a NO")
    with imap(server) as raw:
        assert authenticate(raw, "XOAUTH2", xoauth2("bert@example.org", issuer.token("bert@example.org")))[1].startswith("a OK")
    server.imap("bert@example.org", "other", tls=True).logout()


def test_curl_xoauth2(issuer):
    with Server({"anna@example.org": "secret"}, lambda t: issuer.conf(t, mechanisms="XOAUTH2, PLAIN")) as s:
        s.start()
        for listener in ("imaps", "pop3s"):
            status, out, err = curl(s, listener, "anna@example.org", issuer.token("anna@example.org"),
                                    "NOOP" if listener == "imaps" else None)
            assert status == 0, err
            at = len(s.log())
            status, out, err = curl(s, listener, "anna@example.org", issuer.token("anna@example.org", exp=1))
            assert status != 0
            log_until(s, "ev=auth.failed", at)  # when the server has seen that curl has left
        lines = [x for x in s.log().splitlines() if "mech=XOAUTH2" in x]
        assert ["ev=auth.ok" in x for x in lines] == [True, False] * 2, lines
        assert all("ev=auth.failed" in x and "expired" in x for x in lines[1::2])


def log_until(server, word, start=0):
    deadline = time.monotonic() + PATIENCE_S
    while word not in server.log()[start:]:
        assert time.monotonic() < deadline, server.log()[start:]
        time.sleep(0.05)


def works(server, token):
    with imap(server) as raw:
        return authenticate(raw, "OAUTHBEARER", bearer("anna@example.org", token))[1].startswith("a OK")


def test_new_keys(server, issuer, tmp_path):
    """A changed file counts, a broken or missing one does not."""
    new = Key(str(tmp_path), "EdDSA", "two")
    claims = issuer.claims("anna@example.org")
    old_token, new_token = issuer.token("anna@example.org"), new.token(claims)
    assert works(server, old_token) and not works(server, new_token)
    try:
        issuer.publish([new])
        time.sleep(1.1)
        assert works(server, new_token) and not works(server, old_token)
        for text in ("{", '{"keys":[]}', None):
            at = len(server.log())
            if text is None:
                os.unlink(issuer.jwks)
            else:
                with open(issuer.jwks, "w") as f:
                    f.write(text)
            time.sleep(1.1)
            assert works(server, new_token)
            assert "ev=tokens.keys_kept" in server.log()[at:]
            if text is not None:
                at = len(server.log())
                server.proc.send_signal(signal.SIGHUP)
                log_until(server, "ev=server.reload_failed", at)
                assert works(server, new_token)
        kept = server.log().count("tokens.keys_kept")
        time.sleep(1.1)
        assert works(server, new_token)
        assert server.log().count("tokens.keys_kept") == kept
    finally:
        issuer.publish()
    at = len(server.log())
    server.proc.send_signal(signal.SIGHUP)
    log_until(server, "ev=server.reloaded", at)
    assert works(server, old_token) and not works(server, new_token)


def test_only_with_tls_and_keys(issuer):
    with Server({"anna": "secret"}, lambda t: issuer.conf(t).replace("allow_plaintext_on_loopback = yes",
                                                                   "allow_plaintext_on_loopback = no")) as s:
        s.start()
        with Text(s, "imap") as raw:
            assert "AUTH=OAUTHBEARER" not in raw.greeting
            challenge, line = authenticate(raw, "OAUTHBEARER", bearer("anna", "x"))
            assert challenge is None and "[PRIVACYREQUIRED]" in line
        with imap(s) as raw:
            raw.send("b CAPABILITY\r\n")
            assert " AUTH=OAUTHBEARER AUTH=XOAUTH2 " in raw.line()
    with Server({"anna": "secret"}) as s:
        s.start()
        with imap(s) as raw:
            raw.send("b CAPABILITY\r\n")
            assert "OAUTH" not in raw.line()
            raw.line()
            assert authenticate(raw, "OAUTHBEARER", bearer("anna", "x"))[1].startswith("a NO")


@pytest.mark.parametrize("text, says", [
    ("oauth_keys = missing.json\noauth_issuer = a\noauth_audience = b\n", "missing.json"),
    ("oauth_keys = jwks.json\noauth_audience = b\n", "oauth_issuer"),
    ("oauth_keys = jwks.json\noauth_issuer = a\n", "oauth_audience"),
    ("oauth_discovery = http://id.example.org/\n", "https://"),
    ("oauth_skew = 11m\n", "oauth_skew"),
])
def test_configuration(text, says):
    with Server(conf_edit=lambda t: t + "[auth]\n" + text) as s:
        with pytest.raises(RuntimeError) as caught:
            s.start()
        assert says in str(caught.value)
