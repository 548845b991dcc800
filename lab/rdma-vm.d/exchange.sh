# shellcheck shell=bash
# What the guest's first script and the service of a guest with a disk share: the ways to the host. $exchange is the folder shared with it.
# shellcheck disable=SC2154

# The command's output goes to two ports, which the host reads.
port() { # NAME
	local folder
	for folder in /sys/class/virtio-ports/*; do
		[ "$(cat "$folder/name")" = "$1" ] || continue
		printf '/dev/%s\n' "${folder##*/}"
		return 0
	done
	return 1
}

power_off() {
	dmesg >"$exchange/dmesg"
	sync -f "$exchange"
	echo o >/proc/sysrq-trigger
	sleep 5
	echo b >/proc/sysrq-trigger
}

run_command() {
	export RDMA_VM_SHARED=$exchange/shared
	cut -d ' ' -f 1 /proc/uptime >"$exchange/ready"
	env "${guest_variables[@]}" bash "$exchange/command" </dev/null
	echo $? >"$exchange/status.new"
	mv "$exchange/status.new" "$exchange/status"
}
