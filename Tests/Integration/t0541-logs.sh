#!/usr/bin/env bash
# The daemons' logs: levels by module, read again while everything runs; what is wrong with them is said and changes nothing.
. "$(dirname "$0")/lib.sh"

start_lab --nodes 1
programs functions hold
log_of() { printf '%s/log/%s.out\n' "$FALLOW_LAB" "$1"; } # DAEMON
set_levels() { # FILE TEXT
	sed -i '/^log.levels:/d' "$FALLOW_LAB/etc/fallow.$1.yaml"
	echo "log.levels: $2" >>"$FALLOW_LAB/etc/fallow.$1.yaml"
}
count() { grep -c "$2" "$(log_of "$1")"; } # DAEMON PATTERN
reads() { # DAEMON FILE LEVELS PATTERN
	local before
	before=$(count "$1" "$4")
	set_levels "$2" "$3"
	kill -HUP "$(daemon_pid "$1")"
	within 10 sh -c "[ \$(grep -c '$4' '$(log_of "$1")') -gt $before ]" && daemons_live "$1"
}
leases() { as "$user" "$work/bin/hold" "$work/bin/libfunctions.so" seven '' wait=10 >"$work/leased" && grep -q 'value 7' "$work/leased"; }

begun() { count fallowd.node0 'debug fallowd: .*\[FallowAgent\] .*lease begins'; }
quiet() { leases && [ "$(begun)" = 0 ]; }
proves 'at level info the beginning of a lease is not told' quiet
proves "fallowd reads its levels again on SIGHUP" reads fallowd.node0 node0 info,FallowAgent=debug 'levels=info,FallowAgent=debug.*log levels are read again'
tells() { leases && within 5 sh -c "[ \$(grep -c 'debug fallowd: .*\[FallowAgent\] .*lease begins' '$(log_of fallowd.node0)') = 1 ]"; }
proves '... and the module that may say more does' tells
others_quiet() { ! grep -E ' debug fallowd: ' "$(log_of fallowd.node0)" | grep -vF '[FallowAgent]'; }
proves '... and no other one' others_quiet
proves 'levels that are none are refused by name' reads fallowd.node0 node0 loud 'levels=info,FallowAgent=debug.*log levels stay as they are'
names_the_key() { grep 'log levels stay' "$(log_of fallowd.node0)" | grep -q "log.levels"; }
proves '... with the key that is wrong' names_the_key
still() { leases && [ "$(begun)" -ge 2 ]; }
proves '... and those in force stay' still
proves 'fallowctld does the same' reads fallowctld controller notice 'levels=notice.*log levels are read again'
silent() { leases; ! tail -n +"$(($(grep -n 'levels=notice' "$(log_of fallowctld)" | tail -n 1 | cut -d : -f 1) + 1))" "$(log_of fallowctld)" | grep -E ' (info|debug) '; }
proves '... and says no less important thing from then on' silent
one_line_each() { ! grep -hvE '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{12}Z (trace|debug|info|notice|warning|error|critical) [a-z]+: ' "$(log_of fallowd.node0)" "$(log_of fallowctld)"; }
proves 'each line is an event, with its time and level' one_line_each
finish
