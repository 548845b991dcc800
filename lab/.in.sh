uname -r
mkdir /opt/fallow-programs; mount --bind $PWD/.build/rdma-vm/programs /opt/fallow-programs; export FALLOW_BIN=/opt/fallow-programs
export FALLOW_TEST_RDMA=10.77.0.1,10.77.0.2 FALLOW_TEST_RDMA_CUT="$PWD/lab/rdma-vm.d/wire cut"
export FALLOW_TEST_RDMA_MEND="$PWD/lab/rdma-vm.d/wire mend"
cut -d" " -f1 /proc/uptime
Tests/run bundle 'ConformanceTests|PeerDeathTests|Verbs'
cut -d" " -f1 /proc/uptime
timeout 400 bash Tests/Integration/rdma/t0711-verbs.sh
cut -d" " -f1 /proc/uptime
