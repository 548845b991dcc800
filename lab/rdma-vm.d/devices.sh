# shellcheck shell=bash
# The guest's RDMA devices: rxe, which speaks RoCE v2 over any network interface. $guest_net says which ones.

make_devices() {
	case $guest_net in
	pair) make_pair ;;
	dummy) make_dummy ;;
	none) true ;;
	esac
}

make_dummy() {
	ip link add v1 type dummy && ip addr add 10.77.0.1/24 dev v1 && ip link set v1 up &&
		rdma link add rxe1 type rxe netdev v1
}

# Two devices on the two ends of one wire, in one network namespace. The kernel would deliver what goes from one of its own
# addresses to another by itself, so rules put the look-up of local addresses last, and only what came in by the wire is local.
make_pair() {
	local end
	ip link add v1 type veth peer name v2 || return
	# A wire that is lossless, as RoCE's are. What a device answers to reads of 1 MiB leaves in one go, and the kernel drops of
	# what arrives in one go all but 1,000 packets, unless told otherwise.
	sysctl -qw net.ipv4.conf.all.rp_filter=0 net.core.netdev_max_backlog=100000
	for end in 1 2; do
		ip addr add "10.77.0.$end/32" dev "v$end" && ip link set "v$end" up || return
		sysctl -qw "net.ipv4.conf.v$end.accept_local=1" "net.ipv4.conf.v$end.rp_filter=0" \
			"net.ipv4.conf.v$end.arp_ignore=1" "net.ipv4.conf.v$end.arp_announce=2"
		ip rule add pref "$end" iif "v$end" lookup local
	done
	ip route add 10.77.0.2/32 dev v1 src 10.77.0.1 table 101
	ip route add 10.77.0.1/32 dev v2 src 10.77.0.2 table 102
	ip rule add pref 10 from 10.77.0.1 to 10.77.0.2 lookup 101
	ip rule add pref 11 from 10.77.0.2 to 10.77.0.1 lookup 102
	ip rule add pref 12 to 10.77.0.2 oif v1 lookup 101
	ip rule add pref 13 to 10.77.0.1 oif v2 lookup 102
	ip rule add pref 100 lookup local
	ip rule del pref 0
	for end in 1 2; do rdma link add "rxe$end" type rxe netdev "v$end" || return; done
	# Both ends know each other's hardware address from the first packet on.
	ping -q -c 1 -W 5 -I 10.77.0.2 10.77.0.1 >/dev/null
}
