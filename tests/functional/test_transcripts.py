"""The player of transcripts: what must fail fails, in the line that the case names, and what must pass passes."""

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
