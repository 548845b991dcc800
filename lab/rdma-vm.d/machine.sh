# shellcheck shell=bash
# Starting the guest, reading what it says, and ending it, whatever happens to us.

run_guest() { # COMMAND...
	local machine clock ended='' status
	folder=$(mktemp -d "${TMPDIR:-/tmp}/fallow-rdma-vm.XXXXXX")
	start_caretaker
	trap end_guest EXIT
	trap 'exit 130' INT TERM HUP
	write_exchange "$@"
	write_first_root
	mkfifo "$folder/out" "$folder/err"
	cat "$folder/out" &
	local readers=("$!")
	cat "$folder/err" >&2 &
	readers+=("$!")
	start_machine
	setpriv --pdeathsig KILL sleep "$limit" {caretaker}>&- &
	clock=$!
	wait -n -p ended "$machine" "$clock" || true
	if [ "$ended" = "$clock" ]; then
		kill -KILL "$machine"
		echo "lab/rdma-vm: the time of $limit s is up" >&2
	fi
	kill "$clock" 2>/dev/null || true
	wait "$machine" 2>/dev/null || true
	wait "${readers[@]}" || true
	status=$(cat "$folder/exchange/status" 2>/dev/null) || status=125
	[ "$ended" != "$clock" ] || status=124
	[ "$status" -lt 124 ] || [ -f "$folder/exchange/status" ] || show_console
	exit "$status"
}

# Removes the folder when we are gone, even by SIGKILL: it waits for the end of a pipe that only we hold open.
start_caretaker() {
	exec {caretaker}> >(
		trap '' INT TERM HUP
		cat >/dev/null
		[ "$keep" = 1 ] || rm -rf --one-file-system "$folder"
	)
	caretaker_pid=$!
}

end_guest() {
	trap - EXIT
	trap '' INT TERM HUP
	local job
	for job in $(jobs -p); do kill -KILL "$job" 2>/dev/null || true; done
	[ "$keep" = 0 ] || echo "lab/rdma-vm: kept in $folder" >&2
	exec {caretaker}>&-
	wait "$caretaker_pid" 2>/dev/null || true
}

write_exchange() { # COMMAND...
	mkdir -p "$folder/exchange/shared"
	chmod 755 "$folder"
	cp "$parts/guest" "$parts/guest-of-disk" "$parts/devices.sh" "$parts/exchange.sh" "$parts/steady.sh" \
		"$folder/exchange/"
	printf '%q ' "$@" >"$folder/exchange/command"
	printf 'guest_net=%q guest_tree=%q guest_folder=%q guest_variables=(%s)\n' "$net" "$tree" "$PWD" \
		"${variables[*]@Q}" >"$folder/exchange/settings"
}

# The table of CPUs, if any, is an archive of its own before the first root.
write_first_root() {
	if [ "$numbering" = interleaved ]; then
		mkdir -p "$folder/tables/kernel/firmware/acpi"
		python3 "$parts/interleaved.py" "$sockets" "$cores" "$threads" >"$folder/tables/kernel/firmware/acpi/apic.aml"
		(cd "$folder/tables" && find kernel | cpio -o -H newc -R 0:0 --quiet) >"$folder/first-root.cpio"
	fi
	cat "$cache/first-root.cpio" >>"$folder/first-root.cpio"
}

# TCG, since KVM is seldom there and does not start an unmodified kernel everywhere. An Intel CPU, for QEMU's AMD has no
# threads. The kernel is told not to probe for what a slow machine fails at. In a session of its own, so that a terminal's
# signals come to us alone, and that the scheduler's autogroups give it a share of its own beside others' builds.
start_machine() {
	local disk_devices=()
	# What is written to the disk is gone with the guest.
	[ -z "$disk" ] || disk_devices=(-drive "file=$disk,if=none,id=disk,format=raw,snapshot=on" -device "virtio-blk-pci,drive=disk")
	setpriv --pdeathsig KILL setsid qemu-system-x86_64 \
		-name fallow-rdma-vm -accel tcg,thread=multi,tb-size=512 -cpu max,vendor=GenuineIntel \
		-machine q35,usb=off,vmport=off,graphics=off -nodefaults -no-user-config -display none -no-reboot \
		-smp "$((sockets * cores * threads)),sockets=$sockets,cores=$cores,threads=$threads" -m "$memory" \
		-kernel "$cache/kernel/boot/vmlinuz-$(kernel_version)" -initrd "$folder/first-root.cpio" \
		-append "console=ttyS0 panic=-1 mitigations=off tsc=reliable no_timer_check nokaslr nowatchdog \
cryptomgr.notests random.trust_cpu=on audit=0 cgroup_no_v1=all systemd.getty_auto=no" \
		-chardev "file,id=console,path=$folder/console" -serial chardev:console \
		-device virtio-rng-pci -device virtio-serial-pci \
		-chardev "file,id=out,path=$folder/out" -device virtserialport,chardev=out,name=out \
		-chardev "file,id=err,path=$folder/err" -device virtserialport,chardev=err,name=err \
		"${disk_devices[@]}" \
		-fsdev local,id=host,path=/,security_model=none,readonly=on,multidevs=remap \
		-device virtio-9p-pci,fsdev=host,mount_tag=host \
		-fsdev "local,id=exchange,path=$folder/exchange,security_model=none" \
		-device virtio-9p-pci,fsdev=exchange,mount_tag=exchange \
		</dev/null >"$folder/qemu" 2>&1 {caretaker}>&- &
	machine=$!
}

show_console() {
	local file
	echo "lab/rdma-vm: the guest gave no status; the end of what it and QEMU said:" >&2
	for file in "$folder/console" "$folder/qemu"; do
		[ ! -s "$file" ] || tail -n 25 "$file" | sed 's/^/    /' >&2
	done
}
