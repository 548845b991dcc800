# shellcheck shell=bash
# The guest's kernel, Debian's own, only downloaded and unpacked, and the small root that it finds at first: busybox, the
# modules that are needed before the host's files are there, and `first-root`. Both are made once and kept in $cache.

# What the guest loads; what these need comes with them.
modules=(
	virtio_pci 9pnet_virtio 9p overlay virtio_console virtio_rng
	virtio_blk crc32c_generic ext4
	crc32_generic crc32_pclmul rdma_rxe rdma_ucm ib_umad veth dummy
)

prepare() {
	mkdir -p "$cache"
	# Several may begin at once; the first one does the work.
	exec 8>"$cache/lock"
	flock -w 300 8 || fail "another lab/rdma-vm has locked $cache for five minutes"
	[ -f "$cache/kernel/complete" ] || fetch_kernel
	[ "$cache/first-root.cpio" -nt "$parts/first-root" ] && [ "$cache/first-root.cpio" -nt "$parts/kernel.sh" ] &&
		[ "$cache/first-root.cpio" -nt "$cache/kernel/complete" ] || make_first_root
	exec 8>&-
}

fetch_kernel() {
	local package folder
	rm -rf "$cache/kernel" "$cache"/download.*
	folder=$(mktemp -d "$cache/download.XXXXXX")
	# The name of today's kernel is in what the package that always means the newest one depends on.
	package=$(kernel_package)
	[ -n "$package" ] || { update_lists && package=$(kernel_package); }
	[ -n "$package" ] || fail "apt knows no linux-image-amd64: is this Debian, and are its package lists there?"
	echo "lab/rdma-vm: fetching $package" >&2
	download "$package" "$folder" || { update_lists && download "$(kernel_package)" "$folder"; } ||
		fail "cannot download $package"
	dpkg -x "$folder"/*.deb "$folder/kernel"
	depmod -b "$folder/kernel" "$(ls "$folder/kernel/lib/modules")"
	touch "$folder/kernel/complete"
	mv "$folder/kernel" "$cache/kernel"
	rm -rf "$folder"
}

kernel_package() { apt-cache depends linux-image-amd64 2>/dev/null | awk '/Depends: linux-image/ { print $2; exit }'; }

download() { # PACKAGE FOLDER
	# apt's own user often may not enter the folder.
	(cd "$2" && timeout 300 apt-get -qq -o APT::Sandbox::User=root -o Acquire::Retries=3 download "$1")
}

update_lists() {
	local as_root=()
	[ "$(id -u)" = 0 ] || as_root=(sudo -n)
	"${as_root[@]}" timeout 300 apt-get -qq -o Acquire::Retries=3 update >&2
}

kernel_version() { ls "$cache/kernel/lib/modules"; }

make_first_root() {
	local root name file
	root=$(mktemp -d "$cache/first-root.XXXXXX")
	mkdir -p "$root"/{bin,modules,proc,sys,dev,host,changes,root}
	cp "$(command -v busybox)" "$root/bin/busybox"
	for name in sh mount insmod mkdir cat switch_root; do ln -s busybox "$root/bin/$name"; done
	for name in "${modules[@]}"; do
		# Lines such as "insmod /…/rdma_rxe.ko"; what is built in prints none that ends in .ko.
		modprobe -d "$cache/kernel" -S "$(kernel_version)" --show-depends "$name" 2>/dev/null || true
	done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' >"$root/files"
	while read -r file; do
		cp "$file" "$root/modules/"
		printf '%s\n' "${file##*/}"
	done <"$root/files" >"$root/modules/order"
	rm "$root/files"
	cp "$parts/first-root" "$root/init"
	chmod 755 "$root/init"
	(cd "$root" && find . | cpio -o -H newc -R 0:0 --quiet) >"$cache/first-root.cpio.new"
	mv "$cache/first-root.cpio.new" "$cache/first-root.cpio"
	rm -rf "$root"
}
