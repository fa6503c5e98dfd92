"""What the servers of a benchmark have in common: a directory, ports, processes that are counted together, an end.

A server's processes are kept in a control group of its own (v1 cpuacct or v2), so that the time of processes that ended
counts as well; without the right to make one, /proc is summed over the living and what their parents waited for. Only
processes started here are ended, and by pid. Memory is PSS, as shared pages count once.
"""

import os
import shutil
import signal
import socket
import subprocess
import time

TICK = os.sysconf("SC_CLK_TCK")
PASSWORD = "secret"
SETTLE_S = 0.5          # processes that are started ahead may not all be there when the first one answers
V1, V2 = "/sys/fs/cgroup/cpuacct", "/sys/fs/cgroup"


def free_ports(count, given={}):
    """Different ports below those that the kernel gives to clients, never one twice, nor one of another program of the tests."""
    found = []
    for port in range(21000 + os.getpid() % 2000, 32000):
        if port in given:
            continue
        taken = socket.socket(socket.AF_UNIX)
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                taken.bind("\0restante-test-port-%d" % port)       # as tests/functional/harness.py has it
                s.bind(("127.0.0.1", port))
            except OSError:
                taken.close()
                continue
        given[port] = taken
        found.append(port)
        if len(found) == count:
            return found
    raise RuntimeError("no free ports")


def make_certificate(where):
    """An ECDSA certificate (P-256) for all servers; (certificate, key)."""
    cert, key = os.path.join(where, "cert.pem"), os.path.join(where, "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-days", "30", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                    "-keyout", key, "-out", cert], check=True, capture_output=True)
    os.chmod(key, 0o644)        # read by three users, and worth nothing
    return cert, key


def first_line(argv, **more):
    r = subprocess.run(argv, capture_output=True, text=True, **more)
    return ((r.stdout or r.stderr).splitlines() or [""])[0].strip()


def children(pid):
    """A process and all below it."""
    found = [pid]
    for p in found:
        try:
            for thread in os.listdir("/proc/%d/task" % p):
                with open("/proc/%d/task/%s/children" % (p, thread)) as f:
                    found += [int(c) for c in f.read().split()]
        except OSError:
            continue
    return found


class Group:
    """A control group, if one can be made."""

    def __init__(self, name):
        self.path, self.usage = None, None
        for top, usage in ((V1, "cpuacct.usage"), (V2, "cpu.stat")):
            path = os.path.join(top, "restante-bench-%s-%d" % (name, os.getpid()))
            if not os.path.exists(os.path.join(top, usage)) and top == V1:
                continue
            try:
                os.mkdir(path)
            except OSError:
                continue
            if os.path.exists(os.path.join(path, usage)):
                self.path, self.usage = path, os.path.join(path, usage)
                return
            os.rmdir(path)

    def enter(self):
        """Runs in the child, before the server's program."""
        with open(os.path.join(self.path, "cgroup.procs"), "w") as f:
            f.write("0")

    def pids(self):
        with open(os.path.join(self.path, "cgroup.procs")) as f:
            return [int(line) for line in f]

    def seconds(self):
        with open(self.usage) as f:
            text = f.read()
        if self.usage.endswith("cpuacct.usage"):
            return int(text) / 1e9
        return int(text.split("usage_usec", 1)[1].split()[0]) / 1e6

    def remove(self):
        try:
            os.rmdir(self.path)
        except OSError:
            pass            # a process lives on: stop() has said so


def proc_seconds(pids):
    total = 0
    for pid in pids:
        try:
            with open("/proc/%d/stat" % pid) as f:
                fields = f.read().rsplit(")", 1)[1].split()
            total += sum(int(n) for n in fields[11:15])
        except OSError:
            continue
    return total / TICK


class Server:
    """A subclass says `name` and `title`, and implements prepare(), argv() and version()."""

    name = title = ""
    why_not = ""            # why it cannot run here
    relaxed = False
    hibernates = False      # sessions at rest leave their process
    delays = False          # it leaves Nagle's algorithm on: the generator acknowledges at once, or each answer waits 40 ms

    def __init__(self, top, cert):
        self.dir = os.path.join(top, self.name)
        os.makedirs(self.dir)
        os.chmod(self.dir, 0o755)
        self.cert, self.key = cert
        kinds = ("imap", "imaps", "pop3", "lmtp")
        self.ports = dict(zip(kinds, free_ports(len(kinds))))
        self.proc, self.group, self.users = None, Group(self.name), []

    # -- for the subclass --

    def prepare(self, users):
        """Make configuration and accounts."""
        raise NotImplementedError

    def argv(self):
        raise NotImplementedError

    def version(self):
        raise NotImplementedError

    def environment(self):
        return None

    def inside(self, argv):
        """How a program of it is run: of one in a root of its own, there."""
        return argv

    def first_start(self, users):
        """Started for the first time: what can only be made now."""

    def mail_parts(self):
        """Name and directory of what holds mail on the disk."""
        raise NotImplementedError

    def mailbox(self, user, name):
        """What RCPT TO gets to deliver into a mailbox."""
        return user

    # -- its life --

    def start(self, wait=True, preload=None):
        """With `preload`, a library of the benchmark's in all of the server's processes."""
        env = dict(self.environment() or os.environ)
        if preload:
            env["LD_PRELOAD"] = preload
        self.log = open(os.path.join(self.dir, "stderr"), "ab")
        enter = self.group.enter if self.group.path else None
        self.proc = subprocess.Popen(self.inside(self.argv()), stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                                     preexec_fn=enter, env=env, cwd=self.dir)
        self.wait_for("imap", b"* OK")
        if wait:
            self.wait_for("lmtp", b"220 ")
            self.wait_for("pop3", b"+OK")
            time.sleep(SETTLE_S)
        return self

    def wait_for(self, kind, greeting, patience=60):
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if self.proc.poll() is not None:
                raise RuntimeError("%s ended with %d; see %s" % (self.title, self.proc.returncode, self.dir))
            try:
                with socket.create_connection(("127.0.0.1", self.ports[kind]), timeout=5) as s:
                    if s.recv(100).startswith(greeting):
                        return
            except OSError:
                pass
            time.sleep(0.002)
        raise RuntimeError("%s does not answer on its %s port; see %s" % (self.title, kind, self.dir))

    def pids(self):
        if self.group.path:
            return self.group.pids()
        return children(self.proc.pid) if self.proc else []

    def stop(self):
        if self.proc is None:
            return
        mine = self.pids()
        self.proc.send_signal(signal.SIGTERM)
        try:
            self.proc.wait(60)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            self.proc.wait()
        self.proc = None
        self.log.close()
        self.end_rest(mine)

    def end_rest(self, mine):
        """What did not end with its master, by its pid; a pid counts only while it is in our group."""
        for sig, patience in ((None, 5), (signal.SIGTERM, 5), (signal.SIGKILL, 5)):
            deadline = time.monotonic() + patience
            while time.monotonic() < deadline:
                left = set(self.pids()) & set(mine) if not self.group.path else self.pids()
                if not left:
                    return
                if sig:
                    for pid in left:
                        try:
                            os.kill(pid, sig)
                        except ProcessLookupError:
                            pass
                time.sleep(0.02)
        raise RuntimeError("%s: processes live on: %s" % (self.title, self.pids()))

    def close(self):
        try:
            self.stop()
        finally:
            if self.group.path:
                self.group.remove()
            shutil.rmtree(self.dir, ignore_errors=True)

    # -- what it takes --

    def cpu(self):
        """Seconds of processor, of all its processes that there are and were."""
        return self.group.seconds() if self.group.path else proc_seconds(self.pids())

    def pss(self):
        """Bytes of memory of all its processes."""
        total = 0
        for pid in self.pids():
            try:
                with open("/proc/%d/smaps_rollup" % pid) as f:
                    total += sum(int(line.split()[1]) for line in f if line.startswith("Pss:"))
            except OSError:
                continue
        return total * 1024

    def disk(self):
        """Bytes of the disk's blocks of all that holds mail. The server is stopped."""
        total, seen = 0, set()
        for top in self.mail_parts():
            for root, _, names in os.walk(top):
                for name in names:
                    st = os.lstat(os.path.join(root, name))
                    if st.st_ino not in seen:
                        seen.add(st.st_ino)
                        total += st.st_blocks * 512
        return total
