"""A root of Debian 13 (trixie) with Dovecot 2.4 and Cyrus 3.10 in it, made once and kept, and how a program is run in it.

debootstrap makes a minimal one with Dovecot; Cyrus, whose packages exclude Dovecot's, is unpacked over it, with the libraries
that it names installed. Nothing of the host is changed, and nothing in the root is started. What is mounted in it is so in a
mount namespace of the program that needs it, and is gone with its last process.
"""

import os
import shutil
import subprocess

SUITE = "trixie"
DOVECOT = "dovecot-imapd,dovecot-pop3d,dovecot-lmtpd"

# The libraries of a package have no alternatives, and their names begin with lib.
CYRUS = r"""
set -eu
export DEBIAN_FRONTEND=noninteractive
apt-get -q update
mkdir /tmp/cyrus
cd /tmp/cyrus
apt-get -q -o APT::Sandbox::User=root download cyrus-common cyrus-imapd cyrus-pop3d
libraries=$(for deb in *.deb; do dpkg-deb -f "$deb" Depends; done | tr ',' '\n' | sed -n 's/^ *\(lib[^ ]*\).*/\1/p' | sort -u)
apt-get -q install -y --no-install-recommends sasl2-bin libsasl2-modules-db $libraries
for deb in *.deb; do dpkg-deb -x "$deb" /; done
cd /
rm -rf /tmp/cyrus
apt-get clean
ln -sf /proc/self/mounts /etc/mtab
echo "127.0.0.1 localhost $(hostname)" >/etc/hosts
rm -f /etc/resolv.conf
"""

ENTER = """
root=$1
shared=$2
shift 2
mount --rbind /dev "$root/dev" && mount --rbind /proc "$root/proc" || exit
if [ -n "$shared" ]; then
	mkdir -p "$root$shared" && mount --bind "$shared" "$root$shared" || exit
fi
exec chroot "$root" "$@"
"""


class NotMade(Exception):
    pass


def inside(root, shared, argv):
    """`argv` in that root, where the directory `shared` is what it is outside. The process that is started becomes the program."""
    return ["unshare", "--mount", "sh", "-c", ENTER, "sh", root, shared, *argv]


def mirror_of_host():
    """Where this machine's apt gets Debian from, or nothing."""
    try:
        r = subprocess.run(["apt-get", "indextargets", "--format", "$(LABEL) $(SITE)", "Created-By: Packages"],
                           capture_output=True, text=True)
    except OSError:
        return ""
    sites = [line.split(" ", 1)[1] for line in r.stdout.splitlines() if line.startswith("Debian ")]
    return sites[0] if sites else ""


def run_step(what, argv, log, progress):
    """Its lines go to the log, the last one to the terminal."""
    progress.say("trixie: " + what)
    with open(log, "a") as out:
        out.write("$ %s\n" % " ".join(argv[:8]))
        with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace") as proc:
            last = ""
            for line in proc.stdout:
                out.write(line)
                last = line.strip() or last
                progress.passing("trixie: " + last)
    if proc.returncode:
        raise NotMade("%s failed: %s (all of it is in %s)" % (what, last or "nothing said", log))


def what_lacks():
    if os.geteuid() != 0:
        return "it needs root"
    for program, package in (("debootstrap", "debootstrap"), ("unshare", "util-linux"), ("chroot", "coreutils")):
        if not shutil.which(program):
            return "there is no %s (Debian: %s)" % (program, package)
    return ""


def make(cache, mirror, progress):
    """The root below `cache`, made if it is not there yet; raises NotMade."""
    root, unfinished = os.path.join(cache, "root"), os.path.join(cache, "unfinished")
    why = what_lacks()
    if why:
        raise NotMade(why)
    if os.path.isdir(root):
        return root
    shutil.rmtree(unfinished, ignore_errors=True)
    os.makedirs(cache, exist_ok=True)
    log = os.path.join(cache, "log")
    open(log, "w").close()
    mirror = mirror or mirror_of_host()
    progress.say("trixie: a root of it is made in %s, once: some three minutes and 600 MB" % cache)
    run_step("debootstrap with Dovecot", ["unshare", "--mount", "debootstrap", "--variant=minbase", "--include=" + DOVECOT,
                                          SUITE, unfinished] + ([mirror] if mirror else []), log, progress)
    policy = os.path.join(unfinished, "usr/sbin/policy-rc.d")
    with open(policy, "w") as f:
        f.write("#!/bin/sh\nexit 101\n")
    os.chmod(policy, 0o755)
    run_step("Cyrus unpacked over it", inside(unfinished, "", ["sh", "-c", CYRUS]), log, progress)
    for program in ("usr/sbin/dovecot", "usr/lib/dovecot/lmtp", "usr/lib/cyrus/bin/master", "usr/lib/cyrus/bin/pop3d"):
        if not os.path.exists(os.path.join(unfinished, program)):
            raise NotMade("%s is not in it (see %s)" % (program, log))
    os.rename(unfinished, root)
    return root


def system_name(root):
    with open(os.path.join(root, "etc/os-release")) as f:
        return next((line.split("=", 1)[1].strip().strip('"') for line in f if line.startswith("PRETTY_NAME=")), SUITE)
