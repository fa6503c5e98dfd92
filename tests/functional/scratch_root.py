"""A root directory of its own for a program that cannot be installed beside another one (tools/install-deps unpacks them).

It holds the package's files, the libraries and further programs it needs, a user database and a few devices, and nothing
else: what runs in it by chroot(2) can neither find the system's configuration nor touch its files.
"""

import glob
import os
import re
import shutil
import stat
import subprocess

CACHE = "/var/cache/restante-tests"

DEVICES = {"null": (1, 3), "zero": (1, 5), "random": (1, 8), "urandom": (1, 9)}


def libraries(program):
    """The files that the dynamic linker would load for it, itself included."""
    r = subprocess.run(["ldd", program], capture_output=True, text=True)
    assert "not found" not in r.stdout, (program, r.stdout)
    return re.findall(r"(/\S+) \(0x", r.stdout)


class ScratchRoot:
    def __init__(self, top, package, users, programs=("/bin/sh",)):
        """`users` maps names to ids, of users and groups alike; the first 100 are taken."""
        self.top = top
        self.package(package)
        for program in programs:
            self.copy(program)
        self.user_database(dict({"root": 0}, **users))
        for d in ("dev", "tmp", "run", "var/log", "var/spool"):
            os.makedirs(self.path(d), exist_ok=True)
        os.chmod(self.path("tmp"), 0o1777)
        for name, (major, minor) in DEVICES.items():
            os.mknod(self.path("dev", name), stat.S_IFCHR | 0o666, os.makedev(major, minor))
            os.chmod(self.path("dev", name), 0o666)

    def path(self, *parts):
        return os.path.join(self.top, *(p.lstrip("/") for p in parts))

    def package(self, name):
        source = os.path.join(CACHE, name, "root")
        assert os.path.exists(os.path.join(CACHE, name, "complete")), name + " is missing: tools/install-deps tests"
        shutil.copytree(source, self.top, symlinks=True, dirs_exist_ok=True)
        os.chmod(self.top, 0o755)
        for program in glob.glob(self.path("**"), recursive=True):
            if os.path.isfile(program) and os.access(program, os.X_OK) and not os.path.islink(program):
                with open(program, "rb") as f:
                    if f.read(4) == b"\x7fELF":
                        for library in libraries(program):
                            self.copy(library)

    def copy(self, source):
        """A program or library of the system, under its own name, with what it needs."""
        target = self.path(source)
        if os.path.exists(target):
            return
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copy(os.path.realpath(source), target)
        for library in libraries(source):
            self.copy(library)

    def user_database(self, users):
        self.write("etc/passwd", "".join("%s:x:%d:%d::/:/bin/sh\n" % (n, i, i) for n, i in users.items()))
        self.write("etc/group", "".join("%s:x:%d:\n" % (n, i) for n, i in users.items()))
        self.write("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n")
        self.write("etc/hosts", "127.0.0.1 localhost\n")

    def write(self, name, text, mode=0o644):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "w") as f:
            f.write(text)
        os.chmod(self.path(name), mode)

    def command(self, *argv):
        return ["chroot", self.top, *argv]
