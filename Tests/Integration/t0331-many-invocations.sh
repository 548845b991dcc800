#!/usr/bin/env bash
# 200,000 invocations through one worker, across the 16-bit boundary, and payloads of 1 B to 8 MiB, compared byte for byte.
. "$(dirname "$0")/lib.sh"

start_lab --nodes 2
programs functions many hold witness
many() { timeout 300 setpriv --reuid="$user" --regid="$(id -g "$user")" --init-groups "$work/bin/many" "$work/bin/libfunctions.so" "$@"; }
says() { # PATTERN COMMAND...
	local pattern=$1
	shift
	"$@" >"$work/many" 2>&1 || { cat "$work/many"; return 1; }
	grep -q "$pattern" "$work/many"
}
proves '200,000 invocations through one worker on the same node' says 'invocations 200000' many 200000
proves 'payloads of 1 B to 8 MiB there, each power of two and its neighbours' grep -q 'sizes 70' "$work/many"
proves '200,000 invocations through one worker on another node' says 'invocations 200000' many 200000 remote
proves 'payloads of 1 B to 8 MiB there' grep -q 'sizes 70' "$work/many"
beats=$(beats_file in-order)
"$work/bin/as" "$user" "$work/bin/hold" "$work/bin/libfunctions.so" burn "$beats" cpus=8 wait=10 in-order >"$work/hold" 2>&1 &
proves 'calls submitted to 8 workers all start, whichever is waited for first' "$work/bin/witness" --wait 8 "$beats"
finish
