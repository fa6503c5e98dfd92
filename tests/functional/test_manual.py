"""The manual pages and the programs agree: the verbs and their options; what stands in the log."""

import collections
import glob
import os
import re
import subprocess

from harness import RESTANTECTL

TOP = os.path.join(os.path.dirname(__file__), "..", "..")
PAGE = os.path.join(TOP, "doc", "restantectl.8")


def help_of(*verb):
    r = subprocess.run([RESTANTECTL, *verb, "--help"], capture_output=True, text=True, check=True)
    return r.stdout + r.stderr


def synopsis():
    """{verb: {option}}"""
    with open(PAGE, encoding="utf-8") as f:
        text = re.search(r"(?s)^\.Sh SYNOPSIS\n(.*?)^\.Sh ", f.read(), re.M).group(1)
    out = collections.defaultdict(set)
    for form in re.split(r"(?m)^\.Nm.*\n", text):
        m = re.search(r"(?m)^\.Cm (.*)$", form)
        if m is None:
            continue
        first, *others = m.group(1).split(" | ")
        above = first.split()[:-1]
        for verb in [first] + [" ".join(above + [last]) for last in others]:
            out[verb] |= set(re.findall(r"Fl -([a-z0-9-]+)", form))
    return dict(out)


def test_the_synopsis_is_what_help_says():
    page = synopsis()
    usage = help_of()
    verbs = {" ".join(re.match(r"(?: ?[a-z]+(?:-[a-z]+)*)+", form).group().split())
             for form in re.findall(r"restantectl (?:\[-c FILE\] )?([a-z].*)", usage)}
    assert set(page) == verbs
    for verb, options in page.items():
        usage, _, text = help_of(*verb.split()).partition("\n\n")
        told = set(re.findall(r"--([a-z0-9-]+)", usage)) | set(re.findall(r"(?m)^  --([a-z0-9-]+)", text))
        assert options == told, verb


def test_the_example_fits_the_unit():
    """What it writes to, the unit lets it; sockets lie in a directory that the unit makes."""
    with open(os.path.join(TOP, "doc", "restante.conf.5"), encoding="utf-8") as f:
        example = f.read().split(".Sh EXAMPLES")[1]
    with open(os.path.join(TOP, "doc", "restante.service"), encoding="utf-8") as f:
        unit = f.read()
    writable = re.findall(r"(?m)^ReadWritePaths=(.*)", unit) + [
        "/run/" + name for name in re.findall(r"(?m)^RuntimeDirectory=(.*)", unit)]
    paths = re.findall(r"(?m)^(?:path|socket) = (.*)", example)
    assert len(paths) >= 2
    for path in paths:
        assert any(path.startswith(place + "/") for place in writable), path
    for section in re.findall(r"(?ms)^\[listen.*?(?=^$|\Z)", example):
        assert "mode = 0660" not in section or "group = " in section, section


def events():
    """(names of log lines in the sources, but for those that only `log_level = debug` shows; all strings that look so)"""
    out, words = set(), set()
    name = re.compile(r'"([a-z0-9_]+(?:\.[a-z0-9_]+)+)"')
    for folder in ("server", "server/*", "index", "store"):
        for path in glob.glob(os.path.join(TOP, folder, "*.c")):
            with open(path, encoding="utf-8") as f:
                text = f.read()
            words |= set(name.findall(text))
            for call in re.findall(r"\b(?:session_log|log_[a-z]+)\([^;]*\);", text):
                if "LOGLEVEL_DEBUG" not in call and not call.startswith(("log_cstr(", "log_str(")):
                    out |= set(name.findall(call))
    return out, words


def test_the_log_is_in_the_manual():
    with open(os.path.join(TOP, "doc", "restanted.8"), encoding="utf-8") as f:
        page = f.read()
    found, words = events()
    assert len(found) > 60 and {"auth.failed", "lmtp.delivered", "volume.opened"} <= found
    told = set(re.findall(r"\bev=([a-z0-9_.]+[a-z])", page))
    assert sorted(found - told) == []
    assert sorted(told - words) == [], "no such event"
