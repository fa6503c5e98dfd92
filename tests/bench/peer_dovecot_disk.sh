#!/bin/sh
# peer_dovecot_disk - what mail takes on the disk in an installed Dovecot 2.3: mdbox with zstd.
#
#     peer_dovecot_disk.sh MAIL_DIR
#
# Like peer_dovecot.sh: a configuration of its own, a free port of 127.0.0.1, a scratch directory that is deleted
# afterwards. feed.py delivers the mail. The level of zstd is the default one (3). Needs root and python3. Prints one JSON
# line: the files with messages apart from the indexes and their cache. Exit 3: no Dovecot here.
set -eu
[ $# -eq 1 ] || { echo 'usage: peer_dovecot_disk.sh MAIL_DIR' >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
[ "$(id -u)" -eq 0 ] && command -v dovecot >/dev/null && [ -x /usr/lib/dovecot/lmtp ] || exit 3
. "$here/sizes.sh"

dir=$(mktemp -d "${TMPDIR:-/tmp}/peer-dovecot.XXXXXX")
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
chmod 755 "$dir"
mkdir "$dir/mail"
chown nobody:nogroup "$dir/mail"
port=$((20000 + $$ % 10000))
cat >"$dir/dovecot.conf" <<END
base_dir = $dir/run
state_dir = $dir/state
log_path = $dir/log
protocols = lmtp
listen = 127.0.0.1
ssl = no
first_valid_uid = 1
mail_location = mdbox:$dir/mail/%u
mail_plugins = zlib
plugin {
  zlib_save = zstd
}
passdb {
  driver = static
  args = nopassword=y
}
userdb {
  driver = static
  args = uid=nobody gid=nogroup home=$dir/mail/%u
}
service lmtp {
  inet_listener lmtp {
    address = 127.0.0.1
    port = $port
  }
}
END
dovecot -F -c "$dir/dovecot.conf" &
pid=$!
for _ in $(seq 50); do
	! python3 -c "import smtplib; smtplib.LMTP('127.0.0.1', $port).quit()" 2>/dev/null || break
	sleep 0.2
done
fed=$(python3 "$here/feed.py" "$port" "$1" bench) || { tail -5 "$dir/log" >&2; exit 1; }
stop
printf '{"what": "disk", "server": "dovecot-mdbox-zstd", "version": "%s", "fed": %s, ' "$(dovecot --version)" "$fed"
sizes mail "$dir/mail" -name 'm.[0-9]*'
printf ', '
sizes index "$dir/mail" -name 'dovecot*'
printf ', '
sizes other "$dir/mail" ! -name 'm.[0-9]*' ! -name 'dovecot*'
printf '}\n'
