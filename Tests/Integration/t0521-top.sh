#!/usr/bin/env bash
# `fallow top` on a real terminal: what it shows, its keys, sizes, ends; and what it prints for pipes.
. "$(dirname "$0")/lib.sh"

start_lab --nodes 3
programs functions hold
on_terminal() { timeout 100 /usr/bin/python3 "$here/programs/top_terminal.py" "$1"; }

proves 'it shows the nodes' on_terminal shows
proves 'its keys do what the help says' on_terminal keys
proves 'it fits 20 columns, and follows the size' on_terminal narrow
proves 'it gives the terminal back, whatever signal ends it' on_terminal signals
proves '... and while it is suspended' on_terminal suspended
proves 'it sends what changed, and no more' on_terminal calm
proves 'it needs no colour' on_terminal colourless
proves 'it ends with its terminal' on_terminal gone

proves '--once prints the nodes for pipes' sh -c "fallow top --once | grep -q '^node2 ' && ! fallow top --once | grep -q '$(printf '\033')'"
once_is_nodes() { # But for the memory and what is seconds old.
	diff <(fallow top --once | awk '/^node/ { print $1, $2, $3, $4, $5, $6 }') <(fallow nodes | awk '/^node/ { print $1, $2, $3, $4, $5, $8 }')
}
proves '... the same as fallow nodes' once_is_nodes
"$work/bin/as" "$user" "$work/bin/hold" "$work/bin/libfunctions.so" burn "$(beats_file beats)" cpus=2 wait=10 >"$work/held" 2>&1 &
within 10 grep -q ^leased "$work/held"
proves '--view leases prints leases' sh -c "fallow top --once --view leases | grep -E ' func +$user '"
proves 'fallow leases fits 80 columns' sh -c "fallow leases | awk 'length > 80 { wide = 1 } END { exit wide || NR < 2 }'"
proves '--json has all of it' is_true "data['status']['cores'] == 24 and len(data['nodes']) == 3 and data['leases'][0]['cpus'] == 2" top
ordinary() { as "$other" fallow top --once --view leases | awk '/func/ { found = 1 } END { exit found }'; }
proves 'an ordinary user sees no leases of others' ordinary
proves 'a dumb terminal is refused with what works' refuses 'fallow top --once' env TERM=dumb fallow top
proves 'no terminal is, too' refuses 'fallow top --once' env TERM=xterm fallow top
proves 'an odd period is refused' refuses '0.1 to 3600' fallow top --every 0
python3 "$here/programs/crowd.py" "$FALLOW_CONTROLLER_URL" z 1000 40 >"$work/crowd" 2>&1 &
crowd=$!
within 20 grep -q reported "$work/crowd"
proves 'with 1,000 nodes it answers keys at once, without flicker, and costs little' on_terminal crowd
sed 's/^/# /' "$work/said"
kill "$crowd"
FALLOW_TEST_CONTROLLER=$(daemon_pid fallowctld)
export FALLOW_TEST_CONTROLLER
proves 'it goes on, and says so, when fallowctld is gone' on_terminal controller_gone
finish
