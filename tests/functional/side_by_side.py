"""side_by_side.py COUNTFILE [PYTEST-OPTION...] - runs the files of tests beside each other: what tests/check-functional calls.

Each file has a pytest of its own, FUNCTIONAL_JOBS of them at a time (twice as many as there are processors, as tests
mostly wait), the longest first, so that none is left over at the end; those of ALONE come behind them, one by one. A file
whose tests pass has a line, another one all that pytest has printed; with options of pytest's each shows it. A file that
ends early counts as one failure more.
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
full_disk supervisor mta model sync server runbook tls sessions compress undelete import_remote transfer imap memory
dkim admin maintenance clients_collect proxy purge pop3 verbs sasl compact pace guard credentials oauth lmtp
""".split()
ALONE = ["login_cost"]  # behind the others: it compares times by the clock

running = set()
stopped = False


def files():
    """The names of the files: test_imap.py is "imap"."""
    found = sorted(re.fullmatch(r"test_(.*)\.py", os.path.basename(f)).group(1) for f in glob.glob(HERE + "/test_*.py"))
    return sorted(found, key=lambda name: LONGEST.index(name) if name in LONGEST else len(LONGEST))


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
    well = status == 0 and found or status == NO_TESTS and options
    if not well and "failed" not in (outcome for outcome, _ in found):
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
    for old in glob.glob(LOGS + "/*"):
        os.unlink(old)
    for end in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(end, stop)
    os.environ.setdefault("RESTANTE_TEST_PATIENCE", PATIENCE_S)
    everything = []
    with open(NAMES, "w") as names:
        everything += run_files([f for f in files() if f not in ALONE], JOBS, options, names)
        everything += run_files([f for f in files() if f in ALONE], 1, options, names)
    count, text = summary(everything)
    with open(count_file, "w") as f:
        print(*count.values(), file=f)
    print("functional tests: " + text)
    return 0 if count["passed"] and not count["failed"] and not stopped else 1


if __name__ == "__main__":
    sys.exit(main())
