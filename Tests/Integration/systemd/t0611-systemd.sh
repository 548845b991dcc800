#!/usr/bin/env bash
# The packages under real systemd: a guest of QEMU's boots a Debian whose process 1 it is, and units.sh is run there.
[ "${FALLOW_PACKAGES_APART-}" = 1 ] || FALLOW_PACKAGES_APART=1 exec unshare --mount --propagation private "$0" "$@"
. "$(dirname "$0")/../lib.sh"
. "$here/packages/lib-packages.sh"
eval "$(declare -f clean_up | sed '1s/clean_up/clean_up_files/')"
clean_up() {
	remove_unfinished_root
	clean_up_files
}

# A Debian with Slurm's daemons, and what the packages depend on.
debian_root systemd-sysv dbus procps munge slurmctld slurmd slurm-client slurm-wlm-basic-plugins libcurl4 libsqlite3-0 libstdc++6 \
	libslurm38 python3-minimal libpython3-stdlib || exit 1
debian_packages || exit 1
older_packages "$work/old"

# Its disk. The guest writes to a copy that only it sees.
root=$work/root
mkdir "$root"
tar -C "$root" -xf "$debian_root_tar"
echo guest >"$root/etc/hostname"
printf '127.0.0.1 localhost\n10.77.0.1 guest\n' >"$root/etc/hosts"
: >"$root/etc/fstab"
mke2fs -q -t ext4 -m 0 -O ^metadata_csum_seed -d "$root" "$work/disk" 3G || exit 1
rm -rf --one-file-system "$root"

mkdir "$work/guest"
for program in functions hold; do
	case $program in
	functions) made=(-shared -fPIC -o "$work/guest/libfunctions.so") ;;
	*) made=(-o "$work/guest/$program") ;;
	esac
	gcc "${made[@]}" "$here/programs/$program.c" -D_GNU_SOURCE -O2 -Wall -Wextra -Werror -I"$tree/Sources/CFallow/include" \
		-L"$tree/.build/release" -l:libfallow.so.0 || exit 1
done

"$tree/lab/rdma-vm" run --disk "$work/disk" --cpus 1x2x1 --memory 2560 --limit 480 -- \
	"/host$here/systemd/units.sh" "/host$packages" "/host$work/old" "/host$work/guest" >"$work/guest.said" 2>&1
status=$?
grep -vE '^[0-9]+ passed, [0-9]+ failed$' "$work/guest.said"
# Counted here: a guest whose time was up has not counted.
passed=$(grep -c '^ok ' "$work/guest.said") failed=$(grep -c '^not ok ' "$work/guest.said")
[ "$status" = 0 ] || [ "$failed" -gt 0 ] || { echo "the guest ended with status $status"; failed=1; }
grep -qE '^[0-9]+ passed, [0-9]+ failed$' "$work/guest.said" || { echo 'the guest did not come to its end'; failed=$((failed + 1)); }
finish
