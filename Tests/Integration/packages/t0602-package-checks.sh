#!/usr/bin/env bash
# What the packages say of themselves: lintian, the RPM spec, and the units, whose bounds an agent of a lab is held to.
. "$(dirname "$0")/../lib.sh"
. "$here/packages/lib-packages.sh"

mkdir "$work/rpm" "$work/lintian.tmp"
debian_packages || exit 1
# lintian leaves files where temporary ones go.
clean() { TMPDIR=$work/lintian.tmp timeout 300 lintian --fail-on error,warning --allow-root --no-cfg "$packages"/*.deb; }
clean >"$work/lintian" 2>&1 &
lintian=$!

proves 'the RPM spec builds' "$tree/packaging/build-rpm" "$work/rpm"
four_packages() { [ "$(cd "$work/rpm" && ls -- *.rpm | sed 's/-[0-9].*//' | sort | paste -sd ' ')" = 'fallow fallow-slurm libfallow libfallow-devel' ]; }
proves '... four packages' four_packages
names() { sed 's|.*/||; s|\.gz$||' | grep -vE '^(changelog|copyright|fallow|)$' | sort -u; }
same_files() { # By their names: the folders are each distribution's own.
	diff <(for p in "$packages"/*.deb; do dpkg-deb -c "$p" | awk '$1 !~ /^d/ { print $6 }'; done | names) \
		<(for p in "$work"/rpm/*.rpm; do rpm -qlp "$p"; done | grep -vE '^/usr/(lib|libexec|share)/fallow$' | names)
}
proves '... with the files that the Debian packages have' same_files
wants_slurm() { rpm -qp --requires "$work"/rpm/fallow-slurm-*.rpm | grep -xE 'slurm < 22\.06'; }
proves '... the plugin for the Slurm that it was built for' wants_slurm
shells_good() { local script; for script in "$tree"/packaging/debian/*.p[or][se]*; do sh -n "$script" || return 1; done; }
proves 'the scripts of the packages are good shell' shells_good

# The units, as they are installed.
mkdir "$work/units"
dpkg-deb -x "$packages"/fallow_*.deb "$work/units"
unit() { printf '%s/lib/systemd/system/%s\n' "$work/units" "$1"; }
# What every machine has.
install -D /bin/sh "$work/units/bin/sh"
# Not `! ... | grep`: systemd-analyze fails, for what it misses in such a root, and with pipefail that would be taken for nothing found.
units_good() {
	local said
	said=$(systemd-analyze verify --man=no --root="$work/units" fallowd.service fallowctld.service fallow.slice 2>&1 | grep fallow | grep -v 'sysinit.target not found')
	[ -z "$said" ] || { echo "$said"; return 1; }
}
proves 'systemd finds nothing wrong with the units' units_good
exposed() { # UNIT LIMIT: tenths, as systemd-analyze counts how much a service may do
	systemd-analyze security --offline=yes --threshold="$2" "$(unit "$1")"
}
proves 'fallowctld may do little' exposed fallowctld.service 20
alone() { ! grep -E '^(Requires|PartOf|BindsTo|Requisite)=.*slurm' "$work"/units/lib/systemd/system/*; }
proves 'nothing is bound to slurmd' alone
in_slice() { grep -qx 'Slice=fallow.slice' "$(unit fallowd.service)" && grep -qx 'Delegate=yes' "$(unit fallowd.service)" &&
	grep -qx 'CPUWeight=idle' "$(unit fallow.slice)" && grep -qx 'LimitMEMLOCK=infinity' "$(unit fallowd.service)"; }
proves 'the agent is in fallow.slice, of the least weight, and has its cgroups to itself' in_slice

# Agents and the co-scheduler with no capabilities but their units'.
start_lab --nodes 2 --login
programs functions hold
capabilities() { # UNIT: as setpriv has them
	sed -n 's/^CapabilityBoundingSet=//p' "$(unit "$1")" | tr ' ' '\n' | sed -n 's/^CAP_/+/p' | tr '[:upper:]' '[:lower:]' | paste -sd ,
}
bounded_start() { # NAME UNIT
	local set file=$FALLOW_LAB/commands/$1
	set=$(capabilities "$2")
	kill "$(daemon_pid "$1")"
	while daemons_live "$1" >/dev/null; do sleep 0.05; done
	# After the variables, before the program.
	python3 - "$file" "setpriv --bounding-set=-all${set:+,$set}" <<'PYTHON'
import shlex, sys
words = shlex.split(open(sys.argv[1]).read())
at = next(i for i, w in enumerate(words) if "=" not in w)
open(sys.argv[1], "w").write(shlex.join(words[:at] + sys.argv[2].split() + words[at:]))
PYTHON
	"$tree/lab/cluster" restart "$1"
}
for name in node0 node1 login; do proves "fallowd of $name starts with its unit's capabilities" bounded_start "fallowd.$name" fallowd.service; done
proves "fallowctld starts with its unit's, which are none" bounded_start fallowctld fallowctld.service
none_left() { grep -qx 'CapBnd:	0000000000000000' "/proc/$(daemon_pid fallowctld)/status" && grep -qx 'CapEff:	0000000000000000' "/proc/$(daemon_pid fallowctld)/status"; }
proves '... really' none_left
proves '... nodes lend' within 20 is_true "len([n for n in data if n['offer']['cores'] == 8]) == 2" nodes
ran() { as "$user" env "FALLOW_CLIENT_SOCKET=$(client_socket "$1")" "$work/bin/hold" "$work/bin/libfunctions.so" seven '' "node=$2" wait=10 >"$work/ran" && grep -q 'value 7' "$work/ran" && grep " $3\$" "$work/ran"; }
proves '... a function runs, over shared memory' ran node0 node0 shm
proves '... and on another node, over the network' ran login node1 fabric
proves '... jobs take what was lent' gives 0 srun -N2 --exclusive true
donor() { as "$user" env "FALLOW_CLIENT_SOCKET=$(client_socket node0)" timeout 60 fallow run --remote-mem=256M --local-mem=32M -- \
	python3 -c 'b = bytearray(200 << 20); b[::4096] = b"x" * (len(b) // 4096); print(sum(b[::4096]) // ord("x"))'; }
proves '... and memory is lent' donor
daemons_told_all() { ! grep -hiE 'permission|not permitted|EPERM' "$FALLOW_LAB"/log/fallow*.out; }
proves '... nothing was refused to them' daemons_told_all

wait "$lintian"
status=$?
found_nothing() { cat "$work/lintian"; [ "$status" = 0 ] && ! grep -E '^[EW]:' "$work/lintian"; }
proves 'lintian finds nothing wrong with the packages' found_nothing
finish
