"""restantectl(8) and what `--help` says agree: the same verbs, and of each the same options."""

import collections
import os
import re
import subprocess

from harness import RESTANTECTL

PAGE = os.path.join(os.path.dirname(__file__), "..", "..", "doc", "restantectl.8")


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
    verbs = {" ".join(re.match(r"(?: ?[a-z]+)+", form).group().split())
             for form in re.findall(r"restantectl (?:\[-c FILE\] )?([a-z].*)", usage)}
    assert set(page) == verbs
    for verb, options in page.items():
        usage, _, text = help_of(*verb.split()).partition("\n\n")
        told = set(re.findall(r"--([a-z0-9-]+)", usage)) | set(re.findall(r"(?m)^  --([a-z0-9-]+)", text))
        assert options == told, verb
