# shellcheck shell=bash
# debian-root.sh: a minimal Debian with some packages, in a tar file that is made once; sourced, in a mount name space of its own
# (debootstrap mounts). What remains of one that failed is removed by remove_unfinished_root, which clean_up calls.
root_begun=''

# Makes the file if need be, and says which it is in debian_root_tar. Other packages are another file.
# shellcheck disable=SC2154,SC2034
debian_root() { # PACKAGE...: says what apt says, and fails, when they cannot be had
	local cache
	cache=$tree/.build/debian-root.$(cksum <<<"$*" | cut -d ' ' -f 1).tar
	debian_root_tar=$cache
	# Scripts that want the same one may begin at once; the first one does the work.
	exec {root_lock}>"$cache.lock"
	flock -w 600 "$root_lock" || { echo "somebody else has been making $cache for ten minutes"; return 1; }
	if [ ! -s "$cache" ]; then
		root_begun=$(mktemp -d "$cache.XXXXXX")
		# This folder becomes /, which mktemp closes to everybody but root: then no package can do anything as its own user, and munge,
		# which makes its key so, is not configured.
		chmod 755 "$root_begun"
		debootstrap --variant=minbase bookworm "$root_begun" >"$work/debootstrap" 2>&1 || { tail -n 20 "$work/debootstrap"; return 1; }
		# Of this script's variables a package's scripts need none: a TMPDIR may be no folder there.
		timeout 500 chroot "$root_begun" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive LC_ALL=C \
			sh -c 'apt-get -qq -o Acquire::Retries=3 update && apt-get -qq -o Dpkg::Use-Pty=0 -o Acquire::Retries=3 \
				install -y --no-install-recommends "$@"' sh "$@" </dev/null >"$work/apt" 2>&1 || { tail -n 20 "$work/apt"; return 1; }
		rm -rf --one-file-system "$root_begun"/var/cache/apt/archives/*.deb
		tar -C "$root_begun" --one-file-system -cf "$cache.new" . && mv "$cache.new" "$cache" || return 1
		remove_unfinished_root
	fi
	exec {root_lock}>&-
}

remove_unfinished_root() {
	local mount
	[ -n "$root_begun" ] || return 0
	for mount in $(awk -v root="$root_begun/" 'index($2, root) == 1 { print $2 }' /proc/self/mounts | sort -r); do umount -l "$mount"; done
	rm -rf --one-file-system "$root_begun"
	root_begun=''
}
