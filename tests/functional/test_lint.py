"""restantectl lint: files, standard input, mailboxes; online and offline."""

import glob
import json
import os
import subprocess

import pytest

from harness import RESTANTECTL, Server, wrap

HERE = os.path.dirname(os.path.abspath(__file__))
DEMO = os.path.join(HERE, "..", "demo-mail")

GOOD = (b"Date: Tue, 17 Nov 2026 10:00:00 +0000\r\nFrom: a@example.org\r\n"
        b"Message-ID: <1@example.org>\r\n\r\nHello\r\n")
BAD = b"From: a@example.org\r\nTo: nobody, b@example.org\r\n\r\nHello\r\n"


def lint(*argv, stdin=b""):
    p = subprocess.run(wrap([RESTANTECTL, "lint", *argv]), input=stdin, capture_output=True, timeout=60)
    return p.returncode, p.stdout.decode(), p.stderr.decode()


def write(path, data):
    path.write_bytes(data)
    return str(path)


def test_files(tmp_path):
    good, bad = write(tmp_path / "good.eml", GOOD), write(tmp_path / "bad.eml", BAD)
    assert lint(good) == (0, "", "")
    code, out, err = lint(good, bad)
    assert code == 3 and err == ""
    lines = out.splitlines()
    assert lines[0].startswith(f"{bad}:1: error: ") and lines[0].endswith("[missing-date, RFC 5322 section 3.6]")
    assert f"{bad}:2: error: a word without \"@\" or \"<\" at: , b@example.org [bad-address, RFC 5322 section 3.4]" in lines
    assert all(line.startswith(bad + ":") for line in lines)


def test_json_is_one_object_per_finding(tmp_path):
    bad = write(tmp_path / "b\u00e4d\".eml", BAD)
    code, out, _ = lint("--json", bad)
    found = [json.loads(line) for line in out.splitlines()]
    assert code == 3 and {f["code"] for f in found} == {"missing-date", "missing-message-id", "bad-address"}
    assert found[-1] == {"file": bad, "line": 2, "severity": "error", "code": "bad-address", "rfc": 5322,
                         "section": "section 3.4", "text": "a word without \"@\" or \"<\" at: , b@example.org"}


def test_standard_input_and_mbox_line():
    code, out, _ = lint("-", stdin=b"From a Tue Nov 17 10:00:00 2026\r\n" + GOOD)
    assert code == 0 and out.startswith("-:1: note: ") and "[mbox-from, " in out and out.count("\n") == 1


def test_a_file_that_is_missing(tmp_path):
    bad = write(tmp_path / "bad.eml", BAD)
    code, out, err = lint(str(tmp_path / "none"), bad)
    assert code == 1 and "missing-date" in out
    assert err == f"restantectl: {tmp_path}/none: No such file or directory\n"
    assert lint(str(tmp_path))[0] == 1
    assert lint()[0] == 2
    assert lint("--uid", "1", bad)[0] == 2
    assert lint("--mailbox", "INBOX", "anna", "boris")[0] == 2


def test_demo_mail():
    """What the demo is made to show is found, and nothing is said of the mail that is sound."""
    found = {}
    for path in sorted(glob.glob(os.path.join(DEMO, "*.eml"))):
        _, out, _ = lint("--json", path)
        found[os.path.basename(path)[3:-4]] = {
            f["code"] for f in map(json.loads, out.splitlines()) if f["severity"] != "note"}
    sound = ["plain", "html-alternative", "attachment-base64", "attachment-qp", "japanese-iso-2022-jp",
             "japanese-utf8", "mailing-list", "reply", "digest", "no-body", "invitation"]
    assert {name: found[name] for name in sound} == {name: set() for name in sound}
    assert found["utf8-headers"] == {"utf8-header"}
    assert found["long-lines"] == {"line-998"}
    assert {"no-parts", "base64-char", "base64-padding", "qp-escape", "boundary-unclosed"} <= found["malformed-mime"]
    assert {"duplicate-field", "bad-address", "bad-date", "8bit-header", "bad-msg-id", "field-no-colon",
            "word-charset"} <= found["malformed-headers"]


@pytest.mark.parametrize("online", [True, False], ids=["online", "offline"])
def test_mailbox(online):
    with Server({"anna": "secret"}) as s:
        s.start()
        with s.imap("anna", "secret") as c:
            for text in (GOOD, BAD, GOOD + b"caf\xe9\r\n", GOOD + b"=" * 200000 + b"\r\n"):
                c.append("INBOX", None, None, text)
        if not online:
            s.stop()
        out = s.ctl("lint", "--mailbox", "INBOX", "anna", expect=3)
        heads = [line.split(" ")[:2] for line in out.splitlines()]
        assert heads == [["2:1:", "error:"], ["2:1:", "warning:"], ["2:2:", "error:"], ["3:6:", "error:"],
                         ["4:6:", "error:"]]
        assert "no more than 998" in out.splitlines()[-1] and "200000" in out.splitlines()[-1]
        assert s.ctl("lint", "--mailbox", "inbox", "--uid", "1", "anna") == ""
        assert s.ctl("lint", "--mailbox", "Trash", "anna") == ""
        found = [json.loads(line) for line in
                 s.ctl("lint", "--json", "--mailbox", "INBOX", "--uid", "3:*", "anna", expect=3).splitlines()]
        assert [(f["uid"], f["mailbox"], f["code"]) for f in found] == [(3, "INBOX", "8bit-body"), (4, "INBOX", "line-998")]
        s.ctl("lint", "--mailbox", "None", "anna", expect=1)
        s.ctl("lint", "--mailbox", "INBOX", "nobody", expect=1)
        for wrong in ("0", "4:2", "a", "1,", "", "*"):
            s.ctl("lint", "--mailbox", "INBOX", "--uid", wrong, "anna", expect=2)
