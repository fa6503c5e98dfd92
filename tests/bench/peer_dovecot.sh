#!/bin/sh
# peer_dovecot - the LMTP delivery rate of an installed Dovecot 2.3, measured with the same load program.
#
#     peer_dovecot.sh LMTP_LOAD FORMAT CONNECTIONS MESSAGES SIZE RECIPIENT
#
# FORMAT: sdbox or mdbox. Dovecot runs in the foreground with a configuration of its own on a free port of 127.0.0.1,
# everything it writes in a scratch directory that is deleted afterwards; the system's configuration is not read. fsync
# stands at its default, with which LMTP replies when the mail is on disk. Needs root (it changes to its own users).
# Prints the JSON line of lmtp_load. Exit 3: no Dovecot here.
set -eu
[ $# -eq 6 ] || { echo 'usage: peer_dovecot.sh LMTP_LOAD FORMAT CONNECTIONS MESSAGES SIZE RECIPIENT' >&2; exit 2; }
load=$1 format=$2 connections=$3 messages=$4 size=$5 recipient=$6
[ "$(id -u)" -eq 0 ] && command -v dovecot >/dev/null && [ -x /usr/lib/dovecot/lmtp ] || exit 3

dir=$(mktemp -d /tmp/peer-dovecot.XXXXXX)
pid=
finish() {
	[ -z "$pid" ] || { kill "$pid" && wait "$pid"; } 2>/dev/null || true
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
mail_location = $format:$dir/mail/%u
passdb {
  driver = static
  args = nopassword=y
}
userdb {
  driver = static
  args = uid=nobody gid=nogroup home=$dir/mail/%u
}
service lmtp {
  process_min_avail = $connections
  inet_listener lmtp {
    address = 127.0.0.1
    port = $port
  }
}
END
dovecot -F -c "$dir/dovecot.conf" &
pid=$!
for _ in $(seq 50); do
	! "$load" "$port" 1 1 1024 warm >/dev/null 2>&1 || break
	sleep 0.2
done
"$load" "$port" "$connections" "$messages" "$size" "$recipient" || { tail -5 "$dir/log" >&2; exit 1; }
echo "mail_fsync: $(doveconf -c "$dir/dovecot.conf" -h mail_fsync), $(dovecot --version)" >&2
