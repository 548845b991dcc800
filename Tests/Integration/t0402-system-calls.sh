#!/usr/bin/env bash
# System calls on memory that is not here: EFAULT with the userfaultfd that everybody has, an ordinary call with the one that the
# node's agent hands out, where the site says so.
. "$(dirname "$0")/lib.sh"

says() { # STATUS PATTERN ARGUMENTS of syscalls...
	local wanted=$1 pattern=$2 status=0
	shift 2
	as "$user" "$work/bin/syscalls" "$@" >"$work/answer" 2>&1 || status=$?
	[ "$status" = "$wanted" ] && grep -q "$pattern" "$work/answer" && return 0
	echo "status $status:"
	cat "$work/answer"
	return 1
}

start_lab --nodes 1
programs syscalls
proves 'without a full userfaultfd the kernel refuses' says 3 '^write: Bad address$' without
proves 'as it comes, no agent hands one out, and its setting is named' says 2 '^FALLOW_REFUSED: .*memory.userfaultfd is off'
cd / && stop_lab && rm -rf "$work/lab" || exit 1

start_lab --nodes 1 --setting memory.userfaultfd=true
agent=$(daemon_pid fallowd.node0)
before=$(ls "/proc/$agent/fd" | wc -l)
proves 'with one from the agent an ordinary user writes out and reads into what is not here' says 0 '^system calls read and wrote'
several() { for _ in 1 2 3 4 5 6 7 8 9 10; do says 0 '^system calls read and wrote' || return 1; done; }
proves '... as often as he likes' several
nothing_left() { [ "$(ls "/proc/$agent/fd" | wc -l)" -le "$((before + 1))" ] || { ls -l "/proc/$agent/fd"; return 1; }; }
proves '... and the agent keeps nothing of it open' within 3 nothing_left

finish
