"""Passwords as they are kept: hashes taken over from elsewhere, app passwords, locks; online and offline."""

import imaplib
import json
import poplib
import time
import warnings

import pytest

from harness import AT_ONCE_S, PATIENCE_S, Server, message
from test_sasl import gsasl

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import crypt

SHA512 = crypt.crypt("pencil", "$6$abcdefgh$")
BCRYPT = crypt.crypt("pencil", "$2b$05$abcdefghijklmnopqrstuu")
YESCRYPT = crypt.crypt("pencil", "$y$j9T$abcdefgh$")
# The example of RFC 7677, as Dovecot writes it.
SCRAM = ("4096,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,"
         "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=")


def credentials(s, name):
    return {c["name"]: c for c in json.loads(s.ctl("user", "show", "--json", name))["credentials"]}


def refuses_imap(s, user, password):
    with pytest.raises(imaplib.IMAP4.error):
        s.imap(user, password)


def refuses_pop(s, user, password):
    with pytest.raises(poplib.error_proto):
        s.pop(user, password)


@pytest.mark.parametrize("online", [True, False], ids=["online", "offline"])
def test_import_of_hashes(online):
    lines = [
        "shadow:{CRYPT}" + SHA512,
        "blowfish:{BLF-CRYPT}" + BCRYPT + ":1000:1000::/home/b::userdb_quota=x",
        "yes:{CRYPT}" + YESCRYPT,
        "sha:{SHA512-CRYPT}" + SHA512 + ":1001",
        "scram:{SCRAM-SHA-256}" + SCRAM,
        "plain:{PLAIN}{CRYPT}x:y",
        "words:{not a scheme",
    ]
    bad = [
        "m:{CRYPT}$1$abcdefgh$4wpe9m3BeGJqSvUjzRpKt/",
        "n:{MD5-CRYPT}$1$abcdefgh$4wpe9m3BeGJqSvUjzRpKt/",
        "o:{CRYPT}$6$rounds=999999999$abcdefgh$" + SHA512.split("$")[-1],
        "p:" + SHA512,
        "q:{SHA512-CRYPT}" + BCRYPT,
        "r:{SCRAM-SHA-256}1,AAAA,BBBB,CCCC",
        "s:{CRYPT}" + SHA512[:-3],
    ]
    with Server() as s:
        if online:
            s.start()
        code, out, err = s.ctl_raw(["-c", s.conf, "user", "import"], stdin="\n".join(lines + bad) + "\n", expect=None)
        assert code == 1 and out == "7 accounts added, 7 lines failed\n"
        for n in range(8, 15):
            assert "line %d: " % n in err
        assert "MD5" in err and "takes too long" in err and "{PLAIN}{MD5-CRYPT}" in err and "write {CRYPT}" in err
        assert "pencil" not in out + err and SHA512 not in out + err
        assert credentials(s, "shadow")["password"]["kinds"] == ["{CRYPT}$6$"]
        assert credentials(s, "scram")["password"]["kinds"] == ["SCRAM-SHA-256"]
        if not online:
            s.start()
        for user in ("shadow", "blowfish", "yes", "sha", "scram"):
            refuses_imap(s, user, "Pencil")
            s.imap(user, "pencil").logout()
            s.pop(user, "pencil").quit()
        s.imap("plain", "{CRYPT}x:y").logout()
        s.imap("words", "{not a scheme").logout()


@pytest.mark.parametrize("online", [True, False], ids=["online", "offline"])
def test_app_passwords(online):
    with Server({"anna": "secret"}) as s:
        if online:
            s.start()
        phone = s.ctl("user", "app-password", "add", "anna", "phone").strip()
        laptop = s.ctl("user", "app-password", "add", "--only", "pop3,lmtp", "anna", "laptop").strip()
        assert len(phone) == 34 and phone != laptop
        told = json.loads(s.ctl("user", "app-password", "add", "--json", "--only", "imap", "anna", "tv"))
        assert told["label"] == "tv" and told["name"] == "anna"
        s.ctl("user", "app-password", "add", "anna", "phone", expect=1)
        s.ctl("user", "app-password", "add", "anna", "my phone", expect=1)
        s.ctl("user", "app-password", "add", "anna", expect=2)
        s.ctl("user", "app-password", "add", "--only", "imap,nntp", "anna", "x", expect=2)
        s.ctl("user", "app-password", "drop", "anna", "phone", expect=2)
        s.ctl("user", "app-password", "add", "nobody", "x", expect=1)
        listed = s.ctl("user", "app-password", "list", "anna")
        assert [line.split("\t")[0] for line in listed.splitlines()] == ["laptop", "phone", "tv"]
        assert listed.splitlines()[0].endswith("\tpop3,lmtp") and listed.splitlines()[1].endswith("\tall")
        for line in s.ctl("user", "app-password", "list", "--json", "anna").splitlines():
            row = json.loads(line)
            assert abs(row["created_us"] / 1e6 - time.time()) < 100 and row["kinds"] == ["SHA-256"]
        if not online:
            s.start()
        s.imap("anna", phone).logout()
        s.imap("anna", phone.replace("-", "").upper()).logout()
        s.pop("anna", laptop).quit()
        refuses_imap(s, "anna", laptop)
        assert 'text="app:laptop is not for this protocol (--only)"' in s.log()
        refuses_pop(s, "anna", told["password"])
        s.imap("anna", told["password"]).logout()
        assert s.ctl("user", "app-password", "revoke", "anna", "phone").startswith("anna: app password phone revoked")
        refuses_imap(s, "anna", phone)
        s.ctl("user", "app-password", "revoke", "anna", "phone", expect=1)
        s.imap("anna", "secret").logout()
        shown = s.ctl("user", "show", "anna") + s.ctl("dump") + s.ctl("history", "anna")
        assert "app:laptop\tSHA-256 only=pop3,lmtp\n" in shown
        assert "credential removed: app:phone" in shown
        for secret in (phone, laptop, told["password"], "SHA-256$", "SHA-1$"):
            assert secret not in shown


@pytest.mark.parametrize("online", [True, False], ids=["online", "offline"])
def test_lock(online):
    with Server({"anna": "secret", "boris": "secret"}) as s:
        if online:
            s.start()
        assert s.ctl("user", "lock", "anna").startswith("anna: locked")
        assert s.ctl("account", "lock", "anna").startswith("anna: locked")
        s.ctl("user", "lock", "nobody", expect=1)
        rows = {line.split("\t")[0]: line for line in s.ctl("user", "list").splitlines()}
        assert rows["anna"].endswith("\tlocked") and not rows["boris"].endswith("\tlocked")
        assert json.loads(s.ctl("user", "show", "--json", "anna"))["locked"] is True
        if not online:
            s.start()
        refuses_imap(s, "anna", "secret")
        refuses_pop(s, "anna", "secret")
        s.imap("boris", "secret").logout()
        assert s.ctl("account", "unlock", "anna") == "anna: unlocked\n"
        s.imap("anna", "secret").logout()
        told = s.ctl("history", "anna")
        assert told.count("account locked") == 1 and told.count("account unlocked") == 1


def come_again(s, name, password):
    """The second time is answered from memory (server/familiar.c)."""
    for _ in range(3):
        s.imap(name, password).logout()
        s.pop(name, password).quit()


def test_who_came_a_short_while_ago_is_not_let_in_by_what_was_true_then():
    """Each change holds at once: nobody is answered from a memory older than it."""
    with Server({"anna": "secret", "boris": "other"}) as s:
        with open(s.conf, "a") as f:
            f.write("\n[volume v2]\npath = volumes/v2\n")
        s.ctl("volume", "create", "v2")
        s.start()
        come_again(s, "anna", "secret")
        s.ctl("user", "hide", "anna", "IDLE")
        assert b" IDLE" not in s.imap("anna", "secret").capability()[1][0]
        s.ctl("user", "lock", "anna")
        refuses_imap(s, "anna", "secret")
        refuses_pop(s, "anna", "secret")
        s.ctl("user", "unlock", "anna")
        come_again(s, "anna", "secret")
        s.ctl("user", "passwd", "anna", stdin="second\n")
        refuses_imap(s, "anna", "secret")
        come_again(s, "anna", "second")
        phone = s.ctl("user", "app-password", "add", "anna", "phone").strip()
        come_again(s, "anna", phone)
        come_again(s, "anna", "second")
        s.ctl("user", "app-password", "revoke", "anna", "phone")
        refuses_imap(s, "anna", phone)
        come_again(s, "anna", "second")
        s.ctl("user", "rename", "anna", "carla")
        refuses_imap(s, "anna", "second")
        come_again(s, "carla", "second")
        s.ctl("user", "move", "carla", "v2")
        with s.raw("imap") as c:
            c.line()
            c.cmd("LOGIN carla second")
            c.cmd("CREATE there")
        assert "there" in s.ctl("dump", "--volume", "v2")
        s.ctl("user", "delete", "--yes", "carla")
        refuses_imap(s, "carla", "second")
        s.ctl("user", "rename", "boris", "carla")
        refuses_imap(s, "carla", "second")
        come_again(s, "carla", "other")


def test_hide_warns_of_what_is_no_capability():
    """The names that the tool knows are those that the server has."""
    with Server({"anna": "secret", "boris": "secret"}) as s:
        s.start()
        code, out, err = s.ctl_raw(["-c", s.conf, "user", "hide", "anna", "IDEL", "IDLE"])
        assert out == "anna: hides IDEL IDLE\n" and "IDEL: this server has no such capability" in err
        assert "IDLE: " not in err
        shown = s.imap("boris", "secret").capability()[1][0].decode().split()
        names = [n for n in shown if n.upper() != "IMAP4REV1" and not n.startswith("AUTH=")]
        # APPENDLIMIT=1000 and the like are hidden by what stands before the number.
        names = {n if not n.split("=")[-1].isdigit() else n.split("=")[0] for n in names}
        assert len(names) > 20
        assert s.ctl_raw(["-c", s.conf, "user", "hide", "boris"] + sorted(names) + ["QUOTA", "LITERAL-"])[2] == ""


def test_lock_and_credentials_go_with_the_account():
    """Moved to another volume, deleted and brought back, put back from a backup: the same passwords, locked or not."""
    with Server({"anna": "secret"}) as s:
        with open(s.conf, "a") as f:
            f.write("\n[volume v2]\npath = volumes/v2\n")
        s.ctl("volume", "create", "v2")
        s.start()
        phone = s.ctl("user", "app-password", "add", "anna", "phone").strip()
        s.deliver("anna", message("one"))
        s.ctl("user", "lock", "anna")
        s.ctl("user", "move", "anna", "v2")
        assert json.loads(s.ctl("user", "show", "--json", "anna"))["locked"] is True
        s.ctl("user", "delete", "--yes", "anna")
        s.ctl("undelete", "--account", "anna")
        assert json.loads(s.ctl("user", "show", "--json", "anna"))["locked"] is True
        refuses_imap(s, "anna", phone)
        s.ctl("user", "unlock", "anna")
        s.imap("anna", phone).logout()
        s.imap("anna", "secret").logout()


def wait_for_kinds(s, name, kinds):
    deadline = time.monotonic() + PATIENCE_S
    while credentials(s, name)["password"]["kinds"] != kinds:
        assert time.monotonic() < deadline, credentials(s, name)
        time.sleep(0.02)


@pytest.mark.parametrize("way", ["imap", "plain", "pop3"])
@pytest.mark.parametrize("kept,before", [("{CRYPT}" + SHA512, ["{CRYPT}$6$"]), ("{SCRAM-SHA-256}" + SCRAM, ["SCRAM-SHA-256"])],
                         ids=["crypt", "one SCRAM"])
def test_the_first_login_with_the_password_makes_both_verifiers(kept, before, way):
    """A hash that was taken over, or a value of before there was SCRAM-SHA-1, as the volume's first release wrote them. A
    wrong password changes nothing, and sessions go on: the password is the same."""
    with Server() as s:
        s.ctl("user", "import", stdin="anna:%s\n" % kept)
        s.start()
        refuses_imap(s, "anna", "Pencil")
        assert credentials(s, "anna")["password"]["kinds"] == before
        assert gsasl(s, "SCRAM-SHA-1", user="anna", password="pencil", tls=False).returncode != 0
        if way == "pop3":
            c = s.pop("anna", "pencil")
        else:
            c = s.imap()
            if way == "imap":
                c.login("anna", "pencil")
            else:
                c.authenticate("PLAIN", lambda _: b"\0anna\0pencil")
        wait_for_kinds(s, "anna", ["SCRAM-SHA-256", "SCRAM-SHA-1"])
        assert s.log().count("ev=auth.upgraded") == 1
        c.noop()
        for mechanism in ("SCRAM-SHA-1", "SCRAM-SHA-256"):
            assert gsasl(s, mechanism, user="anna", password="pencil", tls=False).returncode == 0
            assert gsasl(s, mechanism, user="anna", password="Pencil", tls=False).returncode != 0
        s.imap("anna", "pencil").logout()
        s.stop()
        s.start()
        assert credentials(s, "anna")["password"]["kinds"] == ["SCRAM-SHA-256", "SCRAM-SHA-1"]
        assert gsasl(s, "SCRAM-SHA-1", user="anna", password="pencil", tls=False).returncode == 0


def test_a_revoked_app_password_ends_the_sessions():
    """At once, whatever they do; with another one the account is there at once."""
    with Server({"anna": "secret", "boris": "secret"}) as s:
        s.start()
        phone, laptop = (s.ctl("user", "app-password", "add", "anna", x).strip() for x in ("phone", "laptop"))
        idling, pop, other = s.raw("imap"), s.raw("pop3"), s.raw("imap")
        with idling, pop, other:
            for c, name, password in ((idling, "anna", phone), (other, "boris", "secret")):
                c.line()
                c.cmd("LOGIN %s %s" % (name, password))
            idling.cmd("SELECT INBOX")
            idling.send("i IDLE\r\n")
            assert idling.line().startswith(b"+ ")
            pop.line()
            for text in ("USER anna", "PASS " + phone):
                pop.send(text + "\r\n")
                assert pop.line().startswith(b"+OK")
            s.ctl("user", "app-password", "revoke", "anna", "phone")
            began = time.monotonic()
            assert idling.line().startswith(b"* BYE ") and pop.line().startswith(b"-ERR ")
            assert idling.at_eof() and pop.at_eof() and time.monotonic() - began < AT_ONCE_S
            other.cmd("NOOP")
        refuses_imap(s, "anna", phone)
        s.imap("anna", laptop).logout()
