#!/usr/bin/env bash
# The example clients in C, C++ and Swift do what they say, for an ordinary user, on a real cluster.
. "$(dirname "$0")/lib.sh"

start_lab --nodes 2
cp -r "$tree/examples" "$work/examples"
examples() { make -s -C "$work/examples" FALLOW="$FALLOW_LAB/lib" INCLUDE="-I$tree/Sources/CFallow/include" "$@"; }
examples clean
proves 'the example functions and clients compile without a warning' examples functions clients
install -m 755 "${FALLOW_BIN:-$tree/.build/release}/swift-example" "$work/bin/swift-example"
chmod -R a+rX "$work/examples"

prints() { # PATTERN COMMAND...: as an ordinary user
	local said pattern=$1
	shift
	said=$(timeout 60 "$work/bin/as" "$user" "$@" 2>&1) || { echo "status $?: $said"; return 1; }
	grep -qE -- "$pattern" <<<"$said" || { echo "nothing like '$pattern' in: $said"; return 1; }
}
text=$work/examples/functions/text.so
proves 'C: one call, and its result' prints '^reverse\(fallow\) = wollaf$' "$work/examples/clients/client" "$text"
proves 'C++: real files are compressed on the workers at once' prints '^/etc/services: ' \
	"$work/examples/clients/client++" "$work/examples/functions/compress.so" /etc/services /bin/true /bin/ls
proves 'Swift: one call' prints '^reverse\(fallow\) = wollaf$' "$work/bin/swift-example" "$text"
proves 'Swift: several calls under way' prints '^reverse\(reclaimed\) = demialcer$' "$work/bin/swift-example" "$text"
proves 'C: a library that is not there is an error' refuses 'nonexistent' as "$user" "$work/examples/clients/client" /nonexistent.so
proves 'Swift: a library that is not there is an error' refuses 'nonexistent' as "$user" "$work/bin/swift-example" /nonexistent.so
proves 'nothing of the leases is left' within 5 no_lease_runs node0 node1
finish
