#!/bin/sh
# peer_cyrus - what mail takes on the disk in an installed Cyrus IMAP 3 (Debian: cyrus-imapd).
#
#     peer_cyrus.sh MAIL_DIR
#
# Cyrus runs with a configuration of its own, lmtpd alone, on a free port of 127.0.0.1; all that it writes is in a
# scratch directory that is deleted afterwards. feed.py delivers the mail. Suppression of duplicates is off, as the mail
# has some, and so is the change of 8-bit characters in headers. Needs root (master changes to the user cyrus) and
# python3. Prints one JSON line: messages apart from the mailbox's index and cache, and these apart from the databases of
# the installation. Exit 3: no Cyrus here.
set -eu
[ $# -eq 1 ] || { echo 'usage: peer_cyrus.sh MAIL_DIR' >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
bin=/usr/lib/cyrus/bin
[ "$(id -u)" -eq 0 ] && [ -x $bin/master ] && [ -x $bin/lmtpd ] && id cyrus >/dev/null 2>&1 || exit 3
. "$here/sizes.sh"

dir=$(mktemp -d "${TMPDIR:-/tmp}/peer-cyrus.XXXXXX")
pid=
stop() {
	[ -z "$pid" ] || { kill "$pid" && wait "$pid"; } 2>/dev/null || true
	pid=
}
finish() {
	stop
	rm -rf "$dir"
}
trap finish EXIT
trap 'exit 1' INT TERM
port=$((20000 + $$ % 10000))
mkdir "$dir/spool" "$dir/conf" "$dir/conf/db" "$dir/conf/socket" "$dir/conf/proc" "$dir/conf/lock" "$dir/sieve"
cat >"$dir/imapd.conf" <<END
configdirectory: $dir/conf
defaultpartition: default
partition-default: $dir/spool
proc_path: $dir/conf/proc
mboxname_lockpath: $dir/conf/lock
sievedir: $dir/sieve
lmtpsocket: $dir/conf/socket/lmtp
idlesocket: $dir/conf/socket/idle
notifysocket: $dir/conf/socket/notify
autocreate_post: yes
autocreate_quota: 0
duplicatesuppression: no
munge8bit: no
END
cat >"$dir/cyrus.conf" <<END
START {
	recover cmd="ctl_cyrusdb -C $dir/imapd.conf -r"
}
SERVICES {
	lmtp cmd="lmtpd -C $dir/imapd.conf -a" listen="127.0.0.1:$port" prefork=1
}
EVENTS {
}
END
chown -R cyrus: "$dir"
$bin/master -C "$dir/imapd.conf" -M "$dir/cyrus.conf" -p "$dir/pid" >"$dir/log" 2>&1 &
pid=$!
for _ in $(seq 50); do
	! python3 -c "import smtplib; smtplib.LMTP('127.0.0.1', $port).quit()" 2>/dev/null || break
	sleep 0.2
done
fed=$(python3 "$here/feed.py" "$port" "$1" bench) || { cat "$dir/log" >&2; exit 1; }
stop
printf '{"what": "disk", "server": "cyrus", "version": "%s", "fed": %s, ' \
	"$(dpkg-query -W -f '${Version}' cyrus-imapd 2>/dev/null || echo unknown)" "$fed"
sizes mail "$dir/spool" -name '[0-9]*.'
printf ', '
sizes index "$dir/spool" -name 'cyrus.*'
printf ', '
sizes other "$dir/conf"
printf '}\n'
