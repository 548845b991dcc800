#!/usr/bin/env bash
# The Debian packages: installed into a Debian of their own, reporting only, upgraded under a running older version whose leases
# are told, removed, and purged without a trace.
# Everything is mounted in a name space of its own, and nothing of it is left when files are removed.
[ "${FALLOW_PACKAGES_APART-}" = 1 ] || FALLOW_PACKAGES_APART=1 exec unshare --mount --propagation private "$0" "$@"
. "$(dirname "$0")/../lib.sh"
. "$here/packages/lib-packages.sh"

root=$work/root
eval "$(declare -f clean_up | sed '1s/clean_up/clean_up_lab/')"
clean_up() {
	leave_root
	remove_unfinished_root
	clean_up_lab
}
leave_root() {
	local mount
	[ ! -s "$root/run/systemd/fallowd.pid" ] || kill -9 "$(cat "$root/run/systemd/fallowd.pid")" 2>/dev/null
	for mount in $(awk -v root="$root" '$2 == root || index($2, root "/") == 1 { print $2 }' /proc/self/mounts | sort -r); do umount -l "$mount"; done
	if grep -qF " $root" /proc/self/mounts; then
		echo "something is still mounted below $root; nothing is removed" >&2
		exit 1
	fi
}
inside() { timeout 100 chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive LC_ALL=C "$@"; }

# A minimal Debian with what the packages depend on, so that apt has nothing to fetch later.
debian_root munge libcurl4 libsqlite3-0 libstdc++6 libslurm38 slurm-client systemd-standalone-sysusers libc6-dev gcc || exit 1

debian_packages || exit 1
five_packages() { [ "$(cd "$packages" && ls -- *.deb | sed 's/_.*//' | sort | paste -sd ' ')" = 'fallow fallow-slurm libfallow-dev libfallow-pager1 libfallow0' ]; }
proves 'five packages are built' five_packages
of_this_slurm() { dpkg-deb -f "$packages"/fallow-slurm_*.deb Depends | grep -E 'libslurm38 \(>= 22\.05\), libslurm38 \(<< 22\.06~\)'; }
proves 'the plugin wants the Slurm that it was built for' of_this_slurm
proves '... and the rest wants none' sh -c "! dpkg-deb -f $packages/fallow_*.deb Depends | grep slurm"

older_packages "$work/old"

mkdir "$root"
# A root file system is a mount point, else executors cannot have mounts of their own.
mount --bind "$root" "$root"
tar -C "$root" -xf "$debian_root_tar"
mount -t proc proc "$root/proc"
# Device files of its own: debootstrap's.
mkdir -p "$root/dev/pts"
mount -t devpts -o newinstance,ptmxmode=666 devpts "$root/dev/pts"
mkdir -p "$root/run/systemd/system" "$root/packages"
install -m 755 "$here/packages/systemctl" "$root/usr/bin/systemctl"
files() { (cd "$root" && find . -xdev \( -path ./proc -o -path ./dev -o -path ./sys -o -path ./packages -o -path ./run/systemd \) -prune -o \
	! -path './var/log/*' ! -path './var/cache/*' ! -path './var/lib/dpkg/*' ! -path './var/lib/apt/*' ! -path './etc/*-' -printf '%p %y\n' | sort); }
files >"$work/before"
accounts() { sort "$root/etc/passwd" "$root/etc/group"; }
accounts >"$work/accounts"

mv "$work"/old/*.deb "$root/packages/"
proves 'they install' inside sh -c 'apt-get -q install -y --no-install-recommends /packages/*.deb'
proves '... and start nothing' sh -c "! grep -E '^(--[a-z]+ )*(start|restart|enable)' $root/var/log/systemctl"
settings() { inside fallow doctor --show-config | awk -v key="$1" '$1 == key { print $2, $3 }'; }
reports_only() { [ "$(settings lend.unallocated) $(settings lend.lent)" = 'false /etc/fallow/fallow.yaml false /etc/fallow/fallow.yaml' ]; }
proves 'a fresh install only reports' reports_only
names_its_own() { [ "$(settings executor.path)" = '/usr/libexec/fallow/fallow-executor /usr/share/fallow/fallow.yaml' ]; }
proves '... and knows its own programs by the package' names_its_own
proves '... whose configuration the daemons call good' inside sh -c 'fallowd --check && fallowctld --check'
complete() { # Nothing that a program or a library of ours needs is missing.
	! inside sh -c 'ldd /usr/bin/fallow /usr/sbin/fallowd /usr/sbin/fallowctld /usr/libexec/fallow/* /usr/lib/*/libfallow*.so.? /usr/lib/fallow/* \
		/usr/lib/*/slurm-wlm/spank_fallow.so' | grep 'not found'
}
proves '... with every library there is to them' complete
proves 'donors have their user' grep -q '^fallow:.*/nologin$' "$root/etc/passwd"
proves 'srun there knows --serverless' sh -c "timeout 100 chroot $root env SLURM_CONF=/packages/slurm.conf sh -c 'echo ClusterName=x >/packages/slurm.conf
	echo SlurmctldHost=x >>/packages/slurm.conf; echo PlugStackConfig=/etc/slurm/plugstack.conf >>/packages/slurm.conf; srun --help' | grep -- --serverless"
# Not `! ... | grep`: systemd-analyze fails, for what it misses in such a root, and with pipefail that would be taken for nothing found.
units_good() {
	local said
	said=$(systemd-analyze verify --man=no --root="$root" fallowd.service fallowctld.service fallow.slice 2>&1 | grep fallow | grep -v 'sysinit.target not found')
	[ -z "$said" ] || { echo "$said"; return 1; }
}
proves 'systemd finds nothing wrong with the units' units_good
cat >"$root/packages/program.c" <<'C'
#include <fallow.h>
#include <fallow_pager.h>
int main(void) { return fallow_code_name(0) == 0; }
C
proves 'a program is compiled and linked with the libraries' inside sh -c 'cd /packages && gcc program.c -lfallow -lfallow-pager && ./a.out'
every_page() { # Each command and option of the programs has its place in the manual, and troff has no complaint.
	local page
	for page in "$root"/usr/share/man/man*/fallow*.gz; do
		zcat "$page" | man --warnings -E UTF-8 -l -Tutf8 -Z - 2>&1 >/dev/null | grep . && return 1
	done
	for page in $("$FALLOW_LAB/bin/fallow" --experimental-dump-help | python3 -c 'import json, sys
for c in json.load(sys.stdin)["command"]["subcommands"]:
    if c["commandName"] != "help": print(c["commandName"])'); do
		zcat "$root/usr/share/man/man1/fallow-$page.1.gz" | grep -q '^.SH OPTIONS' || { echo "no page of fallow $page"; return 1; }
	done
	for page in $("$FALLOW_LAB/bin/fallow" doctor --show-config --config "$work/empty.yaml" | awk 'NR > 1 { print $1 }'); do
		zcat "$root/usr/share/man/man5/fallow.yaml.5.gz" | grep -qF "$page" || { echo "no word of $page"; return 1; }
	done
}

# The packaged agent takes the place of a lab's, by the same folder, and serves its jobs and programs.
start_lab --nodes 1
programs functions hold
: >"$work/empty.yaml"
proves 'the manual has a page of every command, which says what the program says' every_page
kill "$(daemon_pid fallowd.node0)"
no_agent() { ! daemons_live fallowd.node0 >/dev/null; }
within 10 no_agent
mkdir -p "$root$FALLOW_LAB" "$root$work/scratch"
mount --bind "$work/scratch" "$root$work/scratch"
mount -t sysfs -o ro sysfs "$root/sys"
mount --bind "$FALLOW_LAB" "$root$FALLOW_LAB"
mount --rbind /sys/fs/cgroup "$root/sys/fs/cgroup"
grep -vE '^(executor.path|donor.path|slurm.reader_path|state_directory)' "$FALLOW_LAB/etc/fallow.node0.yaml" >"$root/etc/fallow/fallow.yaml"
echo '# of the site' >>"$root/etc/fallow/fallow.yaml"
cp "$root/etc/fallow/fallow.yaml" "$work/site.yaml"
echo "$FALLOW_LAB/notify" >"$root/run/systemd/notify"
python3 "$here/packages/notices.py" "$FALLOW_LAB/notify" "$work/notices" &
within 5 test -S "$FALLOW_LAB/notify"
service() { inside systemctl "$1" fallowd.service; }
agent() { cat "$root/run/systemd/fallowd.pid"; }

proves 'the packaged agent starts' service start
says_ready() { within 10 grep -qx READY=1 "$work/notices" || { tail -n 5 "$root/var/log/fallowd"; return 1; }; }
proves '... says so to systemd when it serves' says_ready
proves '... and gives signs of life' within 10 grep -qx WATCHDOG=1 "$work/notices"
proves '... and lends' within 10 node_is node0 "node['offer']['cores'] == 8"
held() { "$work/bin/as" "$user" "$work/bin/hold" "$work/bin/libfunctions.so" burn "$(beats_file "$1")" cpus=2 wait=10 >"$work/$1.said" 2>&1 & }
leased() { grep -q '^leased' "$work/$1.said"; }
held first
proves 'a function runs in an executor of the package' within 10 leased first
rm "$root"/packages/*.deb
cp "$packages"/*.deb "$root/packages/"
old=$(agent)
proves 'it is upgraded while it runs' inside sh -c 'apt-get -q install -y --no-install-recommends /packages/*.deb'
told() { grep -q '^ended FALLOW_OUTCOME_UNKNOWN.*the lease ended' "$work/first.said"; }
proves '... the lease ended with a word' within 5 told
[ -s "$work/first.said" ] && sed 's/^/    /' "$work/first.said"
proves '... the agent said that it stops, and then that it serves' within 10 sh -c "awk '/STOPPING=1/ { s = 1 } /READY=1/ && s { r = 1 } END { exit !r }' $work/notices"
proves '... it is another process' sh -c "[ '$old' != '$(agent)' ]"
proves '... stopped before its files were replaced' sh -c "awk '/stop fallowd/ { s = NR } /start fallowd/ { t = NR } END { exit !(s && t > s) }' $root/var/log/systemctl"
proves '... and lends again' within 10 node_is node0 "node['offer']['cores'] == 8"
proves "... and the site's file is as it was" cmp "$root/etc/fallow/fallow.yaml" "$work/site.yaml"
held second
proves 'a function runs again' within 10 leased second
kill -9 "$(agent)"
inside sh -c "$(sed -n 's/^ExecStopPost=//p' "$root/lib/systemd/system/fallowd.service")" >"$work/cleaned" 2>&1
no_trace() { [ -z "$(find /sys/fs/cgroup -maxdepth 5 -path "*fallow-lab-$(lab_id)/node0*")" ] && [ ! -e "$FALLOW_LAB/run/node0/report.sock" ] && [ ! -e "$FALLOW_LAB/run/node0/client.sock" ]; }
proves 'what an agent that was killed leaves is cleaned up by its unit' no_trace
start_again() {
	local before
	before=$(grep -c READY=1 "$work/notices")
	service start
	within 20 sh -c "[ \$(grep -c READY=1 $work/notices) -gt $before ]"
}
start_again
within 10 node_is node0 "node['offer']['cores'] == 8 and node['lastReportSeconds'] < 1"
proves 'the clean-up leaves an agent that serves alone' refuses 'serves on' chroot "$root" /usr/sbin/fallowd --clean-up
service stop
proves 'an agent that is stopped offers nothing, at once' within 1 node_is node0 "node['offer']['cores'] == 0 and 'stopped' in (node['withheldReason'] or '')"
start_again

proves 'they are removed' inside apt-get -q remove -y fallow fallow-slurm libfallow0 libfallow-pager1 libfallow-dev
proves '... the agent is stopped first' sh -c "! kill -0 $(agent 2>/dev/null || echo 999999999) 2>/dev/null"
proves "... and the site's file stays" cmp "$root/etc/fallow/fallow.yaml" "$work/site.yaml"
proves '... no line asks Slurm for a plugin that is gone' sh -c "! test -e $root/etc/slurm/plugstack.conf.d/fallow.conf"
proves 'they are purged' inside apt-get -q purge -y fallow fallow-slurm
umount -l "$root/sys/fs/cgroup" "$root/sys" "$root$FALLOW_LAB" "$root$work/scratch"
(cd "$root" && rmdir ".$FALLOW_LAB" && rmdir -p ".$work/scratch") 2>/dev/null
mkdir -p "$root/tmp"
chmod 1777 "$root/tmp"
nothing_stays() { files | diff "$work/before" - && accounts | diff "$work/accounts" -; }
proves '... and nothing stays' nothing_stays
finish
