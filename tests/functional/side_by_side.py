"""side_by_side.py COUNTFILE [PYTEST-OPTION...] - runs the files of tests beside each other: what tests/check-functional calls.

Each file has a pytest of its own, FUNCTIONAL_JOBS of them at a time (twice as many as there are processors, as tests
mostly wait), the longest first, so that none is left over at the end; those of ALONE come behind them, one by one. A file
whose tests pass has a line, another one all that pytest has printed; with options of pytest's each shows it. A file that
ends early counts as one failure more. What took long is known from the run before, if there was one in this directory.
FUNCTIONAL_FOR=asan or tsan leaves out what a sanitizer has nothing to look for in.
"""

import concurrent.futures
import glob
import os
import re
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as tree

HERE = os.path.dirname(os.path.abspath(__file__))
LOGS = "check-functional.logs"
NAMES = "check-functional.names"
TIMEOUT_S = float(os.environ.get("FUNCTIONAL_TIMEOUT", "3000"))
JOBS = int(os.environ.get("FUNCTIONAL_JOBS") or 2 * os.cpu_count())
NO_TESTS = 5            # pytest's status when options select none
PATIENCE_S = "180"      # what others do on the same processors is no fault
# Longest first; the others follow in any order.
LONGEST = """
model full_disk mta supervisor server sync tls import_remote runbook sessions compress transfer undelete
""".split()
# Programs, pages and packages of others around a server that other files send the same to; and who kills it looks for
# what is on the disk.
OUTSIDE = """
bench clients clients_collect clients_mutt clients_offlineimap clients_script crash dkim login_cost manual mta runbook
saslauthd thunderbird
""".split()
# One command behind the other, for what parsers and restantectl make of it: under AddressSanitizer all the same.
NO_THREADS = """
import_remote lint path sandbox_trace second_user slow_input
""".split()
LEFT_OUT = {"": [], "asan": OUTSIDE, "tsan": OUTSIDE + NO_THREADS}[os.environ.get("FUNCTIONAL_FOR", "")]
ALONE = ["login_cost"]  # behind the others: it compares times by the clock

running = set()
stopped = False


def files():
    """The names of the files: test_imap.py is "imap"."""
    found = {re.fullmatch(r"test_(.*)\.py", os.path.basename(f)).group(1) for f in glob.glob(HERE + "/test_*.py")}
    gone = {*LONGEST, *LEFT_OUT, *ALONE} - found
    if gone:
        sys.exit("no such files of tests: " + " ".join(sorted(gone)))
    last = {name: last_time(name) for name in found}
    return sorted(found - set(LEFT_OUT), key=lambda name: (-last[name], place(name), name))


def place(name):
    return LONGEST.index(name) if name in LONGEST else len(LONGEST)


def last_time(name):
    """The seconds that a file's tests took in the run before."""
    try:
        return sum(float(case.get("time")) for case in tree.parse("%s/%s.xml" % (LOGS, name)).iter("testcase"))
    except (OSError, tree.ParseError):
        return 0


def run_file(name, options):
    """pytest's status, and the seconds it took. An interrupt lets it end the servers it started and write down what it has."""
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-r", "fEsxX", "--tb=short",
            "-o", "faulthandler_timeout=180", "--junitxml=%s/%s.xml" % (LOGS, name), *options, "%s/test_%s.py" % (HERE, name)]
    if stopped:
        return signal.SIGINT, 0
    began = time.monotonic()
    with open("%s/%s.out" % (LOGS, name), "wb") as out:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
    running.add(process)
    for end in (signal.SIGINT, signal.SIGKILL, None):
        try:
            process.wait(TIMEOUT_S if end == signal.SIGINT else 60)
            break
        except subprocess.TimeoutExpired:
            process.send_signal(end)
    running.discard(process)
    return process.returncode, time.monotonic() - began


def outcomes(name, status, options):
    """What became of each test: [(outcome, test)], a test without a name for an early end."""
    found = []
    try:
        for case in tree.parse("%s/%s.xml" % (LOGS, name)).iter("testcase"):
            kinds = {child.tag for child in case}
            outcome = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
            if case.get("name"):                # an interrupted one has none
                found.append((outcome, case.get("name")))
    except (OSError, tree.ParseError) as e:
        print("no result from pytest:", e)
    told = any(outcome == "failed" for outcome, _ in found)
    if not (status == 0 and found or status == 1 and told or status == NO_TESTS and options):
        found.append(("failed", ""))
    return found


def summary(found):
    count = {kind: sum(outcome == kind for outcome, _ in found) for kind in ("passed", "failed", "skipped")}
    return count, ", ".join("%d %s" % (n, kind) for kind, n in count.items())


def report(name, status, seconds, options):
    """Prints how a file of tests went; its outcomes."""
    found = outcomes(name, status, options)
    count, text = summary(found)
    if not found:
        return found
    well = not count["failed"] and not count["skipped"]
    if options or not well:
        with open("%s/%s.out" % (LOGS, name), encoding="utf-8", errors="backslashreplace") as f:
            print(f.read())
    line = "%-5s %-24s %s (%.0f s)" % ("ok" if well else "FAIL" if count["failed"] else "SKIP", name,
                                        "%d passed" % count["passed"] if well else text, seconds)
    print(line + ("" if status in (0, 1) else ", exit status %d" % status), flush=True)
    return found


def stop(*_):
    global stopped
    stopped = True
    for process in list(running):
        process.send_signal(signal.SIGINT)


def run_files(files, jobs, options, names):
    """Runs so many at a time, and writes down what became of each test; the outcomes."""
    everything = []
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        running_as = {pool.submit(run_file, name, options): name for name in files}
        for job in concurrent.futures.as_completed(running_as):
            name = running_as[job]
            found = report(name, *job.result(), options)
            names.writelines("%s %s:%s\n" % (outcome, name, test) for outcome, test in found)
            everything += found
    return everything


def main():
    count_file, *options = sys.argv[1:]
    os.makedirs(LOGS, exist_ok=True)
    chosen = files()
    for old in glob.glob(LOGS + "/*"):
        os.unlink(old)
    for end in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(end, stop)
    os.environ.setdefault("RESTANTE_TEST_PATIENCE", PATIENCE_S)
    everything = []
    with open(NAMES, "w") as names:
        everything += run_files([f for f in chosen if f not in ALONE], JOBS, options, names)
        everything += run_files([f for f in chosen if f in ALONE], 1, options, names)
    count, text = summary(everything)
    with open(count_file, "w") as f:
        print(*count.values(), file=f)
    print("functional tests: " + text)
    return 0 if count["passed"] and not count["failed"] and not count["skipped"] and not stopped else 1


if __name__ == "__main__":
    sys.exit(main())
