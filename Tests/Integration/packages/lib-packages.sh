# shellcheck shell=bash
# lib-packages.sh: what the scripts about packages share; sourced after lib.sh.
#
#   debian_packages            the packages in the folder $packages: those of $FALLOW_TEST_PACKAGES, or newly built
#   older_packages FOLDER      the same of an older version
#   debian_root PACKAGE...     a minimal Debian with some packages, in the tar file $debian_root_tar that is made once; in a mount name
#                              space of its own, for debootstrap mounts
#   remove_unfinished_root     what remains of one that failed; for clean_up
# shellcheck disable=SC2154,SC2034

debian_packages() {
	packages=${FALLOW_TEST_PACKAGES-}
	[ -z "$packages" ] || return 0
	packages=$work/deb
	FALLOW_COMPRESSION=fast "$tree/packaging/build-deb" "$packages" >"$work/built" 2>&1 || { cat "$work/built"; return 1; }
}

older_packages() { # FOLDER: the same as an older version, 0.0.9
	local package
	mkdir "$1"
	for package in "$packages"/*.deb; do
		dpkg-deb -R "$package" "$1/tree"
		sed -i "s/^Version: .*/Version: 0.0.9/; s/(= [0-9.]*)/(= 0.0.9)/g" "$1/tree/DEBIAN/control"
		dpkg-deb --root-owner-group -Znone -b "$1/tree" "$1/$(basename "${package%%_*}").deb" >/dev/null
		rm -rf "$1/tree"
	done
}

root_begun=''

debian_root() { # PACKAGE...: says what apt says, and fails, when they cannot be had
	local lock
	# Other packages are another file.
	debian_root_tar=$tree/.build/debian-root.$(cksum <<<"$*" | cut -d ' ' -f 1).tar
	# Scripts that want the same may begin at once; the first one does the work. What all begin with is made once, too.
	exec {lock}>"$tree/.build/debian-root.lock"
	flock -w 600 "$lock" || { echo "somebody else has been making a root of Debian for ten minutes"; return 1; }
	[ -s "$tree/.build/debian-root.tar" ] || make_root "$tree/.build/debian-root.tar" bootstrap || return 1
	exec {lock}>&-
	exec {lock}>"$debian_root_tar.lock"
	flock -w 600 "$lock" || { echo "somebody else has been making $debian_root_tar for ten minutes"; return 1; }
	[ -s "$debian_root_tar" ] || make_root "$debian_root_tar" add_packages "$@" || return 1
	exec {lock}>&-
}

make_root() { # FILE COMMAND...: what the command makes of the folder $root_begun
	local file=$1
	shift
	root_begun=$(mktemp -d "$file.XXXXXX") || return 1
	# This folder becomes /, which mktemp closes to everybody but root: then no package can do anything as its own user, and munge,
	# which makes its key so, is not configured.
	chmod 755 "$root_begun"
	"$@" || return 1
	tar -C "$root_begun" --one-file-system -cf "$file.new" . && mv "$file.new" "$file" || return 1
	remove_unfinished_root
}

bootstrap() {
	timeout 500 debootstrap --variant=minbase bookworm "$root_begun" </dev/null >"$work/debootstrap" 2>&1 || { tail -n 20 "$work/debootstrap"; return 1; }
}

add_packages() { # PACKAGE...
	tar -C "$root_begun" -xf "$tree/.build/debian-root.tar" || return 1
	# Of this script's variables a package's scripts need none: a TMPDIR may be no folder there.
	timeout 500 chroot "$root_begun" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive LC_ALL=C \
		sh -c 'apt-get -qq -o Acquire::Retries=3 update && apt-get -qq -o Dpkg::Use-Pty=0 -o Acquire::Retries=3 \
			install -y --no-install-recommends "$@"' sh "$@" </dev/null >"$work/apt" 2>&1 || { tail -n 20 "$work/apt"; return 1; }
	rm -rf --one-file-system "$root_begun"/var/cache/apt/archives/*.deb
}

remove_unfinished_root() {
	local mount
	[ -n "$root_begun" ] || return 0
	for mount in $(awk -v root="$root_begun/" 'index($2, root) == 1 { print $2 }' /proc/self/mounts | sort -r); do umount -l "$mount"; done
	rm -rf --one-file-system "$root_begun"
	root_begun=''
}
