"""restantectl, online and offline, and what an admin may do wrong."""

import json
import os
import re
import signal
import stat
import subprocess
import time

import pytest

from harness import PATIENCE_S, RESTANTECTL, RESTANTED, Server, fetch_all, message, wrap


def volume(s):
    return os.path.join(s.dir, "volumes", "v1")


def test_init_refuses_to_overwrite(server):
    code, out, err = server.ctl_raw(["init", server.dir], expect=None)
    assert code == 1 and server.dir in err


def test_init_makes_what_the_manual_says(server):
    assert os.path.isfile(server.conf)
    assert os.path.isfile(os.path.join(volume(server), "head"))
    assert os.path.isdir(os.path.join(volume(server), "log"))
    assert stat.S_IMODE(os.stat(os.path.join(server.dir, "lmtp.sock")).st_mode) == 0o666


@pytest.mark.parametrize("online", [True, False], ids=["online", "offline"])
def test_users(online):
    with Server() as s:
        if online:
            s.start()
        assert s.ctl("user", "add", "anna", stdin="first\n") == "anna: added to v1\n"
        imported = s.ctl("user", "import", stdin="\ufeffboris:b-secret\n\nclara:c:with:colons\n")
        assert imported == "2 accounts added\n"
        assert s.ctl("user", "import", stdin="emil\n", expect=1) == "0 accounts added, 1 line failed\n"
        names = s.ctl("user", "list").split()
        assert {"anna", "boris", "clara"} <= set(names)
        s.ctl("user", "add", "ANNA", stdin="x\n", expect=1)
        assert s.ctl("user", "passwd", "anna", stdin="second\n") == "anna: the password is set\n"
        s.ctl("user", "passwd", "nobody", stdin="second\n", expect=1)
        s.ctl("user", "delete", "--yes", "boris")
        s.ctl("user", "delete", "--yes", "boris", expect=1)
        if not online:
            s.start()
        s.imap("anna", "second").logout()
        s.imap("clara", "c:with:colons").logout()
        for user, password in (("anna", "first"), ("boris", "b-secret")):
            with pytest.raises(Exception):
                s.imap(user, password)
        assert "INBOX" in s.ctl("mailbox", "list", "anna")


def test_the_error_is_the_first_line(server):
    for words in (["foo"], ["help", "foo"], ["--json", "status"], []):
        code, out, err = server.ctl_raw(words, expect=2)
        assert out == "" and len(err.splitlines()) == 2 and "--help" in err, err
    for words, why in ((["user", "foo"], "unknown verb: user foo"), (["user"], "user: what is to be done?"),
                       (["help", "user", "foo"], "unknown verb: user foo"), (["user", "add"], "missing: NAME")):
        code, out, err = server.ctl_raw(words, expect=2)
        assert out == "" and err.startswith("restantectl: %s\nusage: restantectl " % why), err


def test_help_is_a_verb(server):
    for words in ([], ["user"], ["user", "add"], ["check"]):
        assert server.ctl_raw(["help"] + words)[1] == server.ctl_raw(words + ["--help"])[1]
    assert server.ctl_raw(["help", "--help"])[1] == server.ctl_raw(["--help"])[1]


def test_what_else_is_missing_is_named(server):
    for words in (["user", "app-password", "add", "anna"], ["user", "app-password", "revoke", "anna"]):
        assert "missing: LABEL\n" in server.ctl_raw(["-c", server.conf] + words, expect=2)[2]
    assert "missing: --to VOLUME\n" in server.ctl_raw(["-c", server.conf, "volume", "retire", "v1"], expect=2)[2]
    r = subprocess.run(wrap([RESTANTED]), capture_output=True, timeout=60)
    assert r.returncode == 2 and r.stderr.endswith(b"restanted: missing: -c FILE\n"), r.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")
def test_who_may_not_is_named():
    with Server(user="nobody") as s:
        os.mkdir(s.top + "/closed", 0o755)
        with open(s.conf, "a") as f:
            f.write("\n[volume v2]\npath = %s/closed/v2\n" % s.top)
        err = s.ctl_raw(["-c", s.conf, "volume", "create", "v2"], expect=1)[2]
        assert "user nobody, who must be able to write to %s/closed\n" % s.top in err, err
        volume = s.dir + "/volumes/v1"
        os.chown(volume, 0, 0)
        err = s.ctl_raw(["-c", s.conf, "check", "--volume", "v1"], expect=1)[2]
        assert err == "restantectl: as the user nobody: %s: open: Permission denied\n" % volume
        os.chmod(s.dir, 0o700)
        os.chown(s.dir, 0, 0)
        err = s.ctl_raw(["-c", s.conf, "user", "list"], expect=1)[2]
        assert "the user nobody must be able to pass" in err and "as root" not in err, err


def test_who_reads_no_more_is_no_error(server):
    r, w = os.pipe()
    os.close(r)
    with os.fdopen(w, "wb") as gone:
        p = subprocess.run(wrap([RESTANTECTL, "-c", server.conf, "status"]), stdout=gone, stderr=subprocess.PIPE,
                           timeout=60)
    assert (p.returncode, p.stderr) == (0, b"")


def test_without_a_terminal_nothing_is_asked():
    with Server({"anna": "secret"}) as s:
        code, out, err = s.ctl_raw(["-c", s.conf, "user", "delete", "anna"], expect=2)
        assert err.endswith("all its mail? Without a terminal to ask on, say so with --yes\n"), err
        assert "anna" in s.ctl("user", "list")


@pytest.mark.parametrize("online", [True, False], ids=["online", "offline"])
def test_hidden_capabilities(online):
    with Server({"anna": "secret", "boris": "secret"}) as s:
        if online:
            s.start()
        assert s.ctl("user", "hide", "anna", "idle", "MOVE") == "anna: hides IDLE MOVE\n"
        s.ctl("user", "hide", "anna", "AUTH=PLAIN", expect=1)
        s.ctl("user", "hide", "anna", expect=2)
        s.ctl("user", "unhide", "anna", expect=2)
        if not online:
            s.start()
        anna, boris = s.imap("anna", "secret"), s.imap("boris", "secret")
        shown = anna.capability()[1][0].split()
        assert b"IDLE" not in shown and b"MOVE" not in shown and b"UIDPLUS" in shown
        assert b"MOVE" in boris.capability()[1][0].split()
        assert json.loads(s.ctl("user", "show", "--json", "anna"))["hidden"] == ["IDLE", "MOVE"]
        assert s.ctl("user", "unhide", "anna", "move") == "anna: hides IDLE\n"
        assert s.ctl("user", "unhide", "--all", "anna") == "anna: nothing is hidden\n"
        assert b"MOVE" in s.imap("anna", "secret").capability()[1][0].split()


def test_passwords_are_never_stored_in_clear():
    with Server({"anna": "correct-horse-battery"}) as s:
        for root, _, files in os.walk(s.dir):
            for name in files:
                path = os.path.join(root, name)
                if stat.S_ISREG(os.stat(path).st_mode):
                    with open(path, "rb") as f:
                        assert b"correct-horse" not in f.read(), path
        assert "correct-horse" not in s.ctl("dump")


@pytest.mark.parametrize("argv,stdin", [
    ([], ""), (["frob"], ""), (["user"], ""), (["user", "add"], ""), (["quota", "set", "anna"], ""),
    (["quota", "set", "anna", "many"], ""), (["user", "frob", "x"], ""), (["check", "--frob"], ""),
], ids=lambda v: " ".join(v) if isinstance(v, list) else "")
def test_usage_errors(shared, argv, stdin):
    code, out, err = shared.ctl_raw(["-c", shared.conf] + argv, stdin, expect=None)
    assert code == 2 and ("usage" in err.lower() or "restantectl --help" in err), (code, err)


@pytest.mark.parametrize("argv,word", [
    (["user", "add"], "NAME"), (["quota", "set"], "NAME"), (["quota", "set", "anna"], "BYTES or --messages"), (["init"], "DIR"),
], ids=lambda v: " ".join(v) if isinstance(v, list) else "")
def test_what_is_missing_is_named(shared, argv, word):
    code, out, err = shared.ctl_raw(["-c", shared.conf] + argv, expect=None)
    assert code == 2 and "missing: %s\n" % word in err


def test_without_a_terminal_delete_wants_yes(server):
    code, out, err = server.ctl_raw(["-c", server.conf, "user", "delete", "boris"], "yes\n", expect=None)
    assert code == 2 and "--yes" in err and not out
    assert "boris" in server.ctl("user", "list")


def test_a_missing_default_configuration_is_explained(shared):
    code, out, err = shared.ctl_raw(["status"], expect=None)
    if code == 0:
        pytest.skip("there is one")
    assert code == 1 and "-c FILE" in err and "init" in err
    code, out, err = shared.ctl_raw(["-c", shared.conf + ".none", "status"], expect=None)
    assert code == 1 and shared.conf in err and "init" not in err


def test_help_and_version():
    for prog in (RESTANTECTL, RESTANTED):
        r = subprocess.run(wrap([prog, "--help"]), capture_output=True, timeout=60)
        assert r.returncode == 0 and b"sage" in r.stdout
        r = subprocess.run(wrap([prog, "--version"]), capture_output=True, timeout=60)
        assert r.returncode == 0 and b"0." in r.stdout


def test_empty_password_is_refused(shared):
    shared.ctl("user", "add", "empty", stdin="\n", expect=1)
    shared.ctl("user", "add", "none", stdin="", expect=1)


def test_status(server):
    server.deliver(["anna"], message("x"))
    st = json.loads(server.ctl("status", "--json"))
    text = json.dumps(st)
    assert "v1" in text
    assert server.ctl("status")
    server.stop()
    json.loads(server.ctl("status", "--json"))


def test_dump_shows_every_record(server):
    server.deliver(["anna"], message("dumped"))
    for line in server.ctl("dump", "--json").splitlines():
        json.loads(line)
    server.stop()
    text = server.ctl("dump")
    for word in ("account", "mailbox", "blob", "messages"):
        assert word in text


@pytest.mark.parametrize("online", [True, False], ids=["online", "offline"])
def test_check_is_clean_and_writes_nothing(server, online):
    for i in range(5):
        server.deliver(["anna", "boris"], message("m%d" % i, size=20000))
    if not online:
        server.stop()
        before = tree(server)
    server.ctl("check")
    if not online:
        assert tree(server) == before


def tree(s):
    out = {}
    for root, _, files in os.walk(volume(s)):
        for name in files:
            path = os.path.join(root, name)
            with open(path, "rb") as f:
                out[path] = f.read()
    return out


def test_check_finds_a_flipped_byte(server):
    for i in range(5):
        server.deliver(["anna"], message("m%d" % i, size=30000))
    server.stop()
    log = os.path.join(volume(server), "log")
    seg = max((os.path.join(log, n) for n in os.listdir(log)), key=os.path.getsize)
    with open(seg, "r+b") as f:
        size = len(f.read().rstrip(b"\0"))
        f.seek(size // 2)
        byte = f.read(1)
        f.seek(size // 2)
        f.write(bytes([byte[0] ^ 0x55]))
    out = server.ctl("check", expect=3)
    assert os.path.basename(seg).split(".")[0] in out or "segment" in out
    server.start()
    server.ctl("check", expect=3)
    with server.imap("boris") as c:
        assert fetch_all(c) == {}
    server.deliver(["anna"], message("after the damage"))


def test_check_before_the_index_is_made(server):
    """As after a restore: the index is not there yet, which is no damage."""
    server.deliver(["anna"], message("kept"))
    server.stop()
    os.unlink(os.path.join(volume(server), "index.db"))
    before = tree(server)
    out = server.ctl("check")
    assert "v1: index: not there; the next start makes it anew\nv1: log sound: " in out
    assert " 1 message, " in out
    assert tree(server) == before
    server.start()
    assert "v1: sound: " in server.ctl("check")


def test_a_bad_configuration_is_named(server):
    server.stop()
    with open(server.conf) as f:
        text = f.read()
    for addition, word in (("[server]\nfrob = 1\n", "frob"), ("[frobs]\nx = 1\n", "frobs")):
        bad = server.conf + ".bad"
        with open(bad, "w") as f:
            f.write(text.replace("[server]\n", addition, 1) if addition.startswith("[server]") else text + addition)
        r = subprocess.run(wrap([RESTANTED, "-c", bad, "-t"]), capture_output=True, timeout=60)
        err = r.stderr.decode()
        assert r.returncode == 2 and word in err and bad in err, err
        assert any(ch.isdigit() for ch in err.split(bad)[1][:6]), "the line number: " + err
    r = subprocess.run(wrap([RESTANTED, "-c", server.conf, "-t"]), capture_output=True, timeout=60)
    assert r.returncode == 0, r.stderr


@pytest.mark.parametrize("section, words", [
    ("[listen x]\nprotocol = lmtp\nsocket = x.sock\ngroup = nonesuch\n", ["[listen x] group", "nonesuch"]),
    ("[listen x]\nprotocol = lmtp\nsocket = nonesuch/x.sock\n", ["[listen x] socket", "/nonesuch"]),
    ("[auth]\npassword_sources = nonesuch\n", ["password_sources", "nonesuch"]),
    ("[volume x]\npath = volumes/x\n", ["/volumes/x: mount its disk", "restantectl volume create x"]),
])
def test_what_the_start_refuses_the_test_of_the_configuration_does(section, words):
    with Server() as s:
        with open(s.conf, "a") as f:
            f.write("\n" + section)
        r = subprocess.run(wrap([RESTANTED, "-c", s.conf, "-t"]), capture_output=True, timeout=60)
        assert r.returncode == 2 and all(w in r.stderr.decode() for w in words), r.stderr


def test_port_in_use_is_an_error(server):
    with Server() as s:
        with open(server.conf) as f:
            ports = f.read()
        with open(s.conf) as f:
            text = f.read()
        with open(s.conf, "w") as f:
            f.write(text.replace(str(s.port("imap")), str(server.port("imap"))))
        with pytest.raises(RuntimeError) as e:
            s.start()
        assert str(server.port("imap")) in str(e.value)


def test_sighup_reloads(server):
    c = server.imap("anna")
    server.proc.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + PATIENCE_S
    while "reload" not in server.log():
        assert time.monotonic() < deadline, server.log()
        time.sleep(0.05)
    assert c.noop()[0] == "OK"
    server.imap("anna").logout()


def test_sigterm_says_bye(server):
    with server.raw("imap") as c:
        c.line()
        c.cmd("LOGIN anna anna-secret")
        server.stop()
        assert c.line().startswith(b"* BYE")


def test_deleted_users_mail_is_gone(server):
    server.deliver(["boris"], message("secret"))
    server.ctl("user", "delete", "--yes", "boris")
    with server.raw("lmtp") as c:
        c.reply()
        c.send("LHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<boris>\r\n")
        c.reply()
        c.reply()
        assert c.reply().startswith(b"550 5.1.1")
    server.add_user("boris", "new-secret")
    with server.imap("boris", "new-secret") as c:
        assert fetch_all(c) == {}


def test_a_second_volume(server):
    server.ctl("volume", "create", "v2", expect=1)
    with open(server.conf, "a") as f:
        f.write("\n[volume v2]\npath = volumes/v2\n")
    server.ctl("volume", "create", "v2")
    server.ctl("volume", "create", "v2", expect=1)
    server.stop()
    server.start()
    server.ctl("user", "add", "--volume", "v2", "clara", stdin="c-secret\n")
    server.deliver(["anna", "clara"], message("for two volumes"))
    for user, password in (("anna", "anna-secret"), ("clara", "c-secret")):
        with server.imap(user, password) as c:
            assert len(fetch_all(c)) == 1
    server.ctl("user", "add", "--volume", "v2", "anna", stdin="x\n", expect=1)
    server.ctl("check")


def test_check_and_scrub_name_whom_damage_concerns(server):
    server.deliver("anna", message("whose"))
    server.stop()
    log = os.path.join(server.dir, "volumes", "v1", "log")
    server.start()
    sound = server.ctl("scrub")
    assert ": sound: " in sound and sound.endswith("damage 0\n")
    for name in os.listdir(log):
        with open(os.path.join(log, name), "r+b") as f:
            data = f.read()
            # In the last frames of each: the last one may be about a reply that was read.
            for frame in list(re.finditer(b"RFR1", data))[-2:]:
                at = min(frame.start() + 100, len(data) - 1)
                f.seek(at)
                f.write(bytes([data[at] ^ 1]))
    for verb in ("scrub", "check"):
        lines = [json.loads(x) for x in server.ctl(verb, "--json", expect=3).splitlines()]
        whom = [(c["account"], c["mailbox"], c["uids"]) for x in lines for c in x.get("concerns", []) if "uids" in c]
        assert ("anna", "INBOX", "1") in whom, lines
        assert lines[-1]["sound"] is False
    assert "; anna/INBOX UID 1\n" in server.ctl("scrub", expect=3)
