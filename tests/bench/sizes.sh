# sizes - read by the scripts that measure a peer's use of the disk.

# sizes NAME FIND_ARGUMENTS: two JSON members, the bytes of the files found and the bytes of their blocks on the disk.
sizes() {
	name=$1
	shift
	find "$@" -type f -printf '%s %b\n' | awk -v name="$name" '
		{ bytes += $1; disk += $2 * 512; files++ }
		END { printf "\"%s_bytes\": %.0f, \"%s_disk_bytes\": %.0f, \"%s_files\": %d", name, bytes, name, disk, name, files }'
}
