"""The player of transcripts: what must fail fails, in the line that the case names, and what must pass passes. And the
script that holds the tables of the RFCs against what ran."""

import json
import os
import re
import subprocess
import sys

import pytest

import harness

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "transcripts")
BAD = os.path.join(HERE, "selftest", "bad")


def run(*words):
    r = subprocess.run([sys.executable, os.path.join(HERE, "run"), *words], capture_output=True, text=True,
                       env=dict(os.environ, RESTANTE_BUILD=harness.BUILD), timeout=5 * harness.PATIENCE_S)
    return r.returncode, r.stdout + r.stderr


@pytest.fixture(scope="module")
def bad():
    """What a run of all the bad cases said."""
    return run("--keep-going", "--patience", "3", "selftest/bad")


@pytest.mark.parametrize("name", sorted(os.listdir(BAD)))
def test_fails(bad, name):
    with open(os.path.join(BAD, name)) as f:
        line = re.match(r"# Fails in line (\d+)", f.readline()).group(1)
    assert "FAIL  selftest/bad/%s, line %s\n" % (name[:-4], line) in bad[1]


def test_all_failures_are_counted(bad):
    assert bad[0] == 1 and bad[1].endswith("\n0 passed, %d failed\n" % len(os.listdir(BAD)))


@pytest.mark.parametrize("option", ["--verbose", "--tls", "--split"])
def test_passes(option):
    code, out = run(option, "selftest/good")
    assert code == 0 and out.endswith(" passed, 0 failed\n"), out


def test_a_missing_case_is_told():
    code, out = run("there/is-none")
    assert code == 2 and "there/is-none" in out


def coverage(folder, rows, *words):
    """Exit status and output for a table of these rows, with one test of each sort that passed and one that failed."""
    doc = folder / "doc"
    doc.mkdir(exist_ok=True)
    (doc / "README.md").write_text("| not | read |\n")
    (doc / "1.md").write_text("| section | what is asked | where | shown by |\n|---|---|---|---|\n" + rows)
    (folder / "t").write_text(json.dumps({"passed": ["noop/delivery"], "failed": ["select/closed-code"]}))
    (folder / "u").write_text("passed text:test_cut\npassed text:a row\nfailed date:test_mail\n")
    (folder / "f").write_text("passed imap:test_alpn[a]\nfailed imap:test_alpn[b]\npassed imap:test_select_tells_all\n"
                              "skipped mta:test_postfix\n")
    r = subprocess.run([sys.executable, os.path.join(HERE, "coverage"), "--doc", doc, "--transcripts", folder / "t",
                        "--unit", folder / "u", "--functional", folder / "f", *words], capture_output=True, text=True)
    return r.returncode, r.stdout + r.stderr


def test_coverage_counts(tmp_path):
    code, out = coverage(tmp_path, "| 1 | a | `tell.c` imap_tell_changes; words `of` it | `noop/delivery`, functional:imap:test_select_tells_all |\n"
                         "| 2 | b\\|c | | - client |\n| 3 | d | | - not: for a reason |\n"
                         "| 4 | e | | - nothing to show: no such thing |\n\ntext\n")
    assert code == 0, out
    assert re.search(r"^1 +4 +1 +1 +1 +1$", out, re.M) and "transcripts are named by no row" in out


@pytest.mark.parametrize("row, flaw", [
    ("| 1 | no evidence | | |", "neither evidence nor a reason"),
    ("| 1 | no reason | | - not: |", "neither evidence nor a reason"),
    ("| 1 | prose | | it works |", "neither evidence nor a reason"),
    ("| 1 | three cells | `noop/delivery` |", "not a row"),
    ("| 1 | | | - client |", "not a row"),
    ("| 1 | x | | `noop/there-is-none` |", "no such transcript"),
    ("| 1 | x | | `select/closed-code` |", ": failed"),
    ("| 1 | one of two | | `noop/delivery`, `select/closed-code` |", ": failed"),
    ("| 1 | x | | unit:there_is_none:test_x |", "there is no tests/unit"),
    ("| 1 | x | | unit:text:test_there_is_none |", "no such function"),
    ("| 1 | x | | unit:date:test_mail |", ": failed"),
    ("| 1 | x | | unit:address:test_address |", "did not run"),
    ("| 1 | once | | functional:imap:test_alpn |", ": failed"),
    ("| 1 | twice | | `noop/delivery`, `noop/delivery` |", "named twice"),
    ("| 1 | x | `there_is_none.c` | - client |", "there is no there_is_none.c"),
    ("| 1 | x | `tell.c` imap_tell_changes, there_is_none: so | - client |", "tell.c has no there_is_none"),
    ("| 1 | x | | functional:imap:test_append_gives_its_uid |", "did not run")])
def test_coverage_fails(tmp_path, row, flaw):
    code, out = coverage(tmp_path, "| 0 | good | | unit:text:test_fold |\n" + row + "\n")
    assert code == 1 and len(re.findall(r"^FAIL  1.md:4: .*%s" % flaw, out, re.M)) == 1, out


def test_coverage_needs_results(tmp_path):
    assert coverage(tmp_path, "| 0 | good | | `noop/delivery` |\n", "--transcripts", "/nonexistent")[0] == 2
    assert coverage(tmp_path, "| 0 | good | | `noop/delivery` |\n", "--static", "--transcripts", "/nonexistent")[0] == 0
    assert coverage(tmp_path, "")[0] == 1


def test_coverage_wants_links(tmp_path):
    front = tmp_path / "rfc-table.md"
    for text, flaw in (("", "does not link rfc/1.md"), ("[1](rfc/1.md) [2](rfc/2.md)", "links rfc/2.md, which is missing"),
                       ("[1](rfc/1.md)", None)):
        front.write_text(text)
        code, out = coverage(tmp_path, "| 0 | good | | `noop/delivery` |\n")
        assert (code, "FAIL" in out) == ((1, True) if flaw else (0, False)) and (flaw or "") in out
