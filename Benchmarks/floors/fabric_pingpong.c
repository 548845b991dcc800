/* The floor under TransportFabric: fi_writemsg with remote data there and back over FI_EP_MSG, provider tcp, two
 * processes, both polling. Usage: fabric_pingpong [rounds] [auto|manual] [bytes] */
#define _GNU_SOURCE
#include "../common/measure.h"
#include <rdma/fabric.h>
#include <rdma/fi_cm.h>
#include <rdma/fi_domain.h>
#include <rdma/fi_endpoint.h>
#include <rdma/fi_errno.h>
#include <rdma/fi_rma.h>
#include <string.h>
#include <sys/socket.h>
#include <netinet/in.h>

#define CHECK(x) do { ssize_t r_ = (x); if (r_ < 0) { fprintf(stderr, "%s: %s\n", #x, fi_strerror((int)-r_)); _exit(1); } } while (0)
struct window { uint64_t address, key; };

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 20000;
	int manual = argc > 2 && strcmp(argv[2], "manual") == 0;
	size_t bytes = argc > 3 ? (size_t)atol(argv[3]) : 64;
	int pipes[2];
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pipes) != 0) return 1;
	int server = fork() == 0, pipe = pipes[server];
	if (server)
		pin_server();
	else
		pin_client();

	struct fi_info *hints = fi_allocinfo(), *info;
	hints->caps = FI_RMA | FI_MSG;
	hints->ep_attr->type = FI_EP_MSG;
	hints->fabric_attr->prov_name = strdup("tcp");
	hints->addr_format = FI_SOCKADDR_IN;
	hints->domain_attr->mr_mode = FI_MR_LOCAL | FI_MR_VIRT_ADDR | FI_MR_ALLOCATED | FI_MR_PROV_KEY;
	hints->domain_attr->data_progress = hints->domain_attr->control_progress = manual ? FI_PROGRESS_MANUAL : FI_PROGRESS_AUTO;
	char port[16] = "0";
	if (!server && read(pipe, port, sizeof port) != sizeof port) return 1;
	CHECK(fi_getinfo(FI_VERSION(1, 17), "127.0.0.1", port, server ? FI_SOURCE : 0, hints, &info));
	struct fid_fabric *fabric;
	struct fid_eq *eq;
	struct fi_eq_attr eq_attr = { .wait_obj = FI_WAIT_FD };
	CHECK(fi_fabric(info->fabric_attr, &fabric, NULL));
	CHECK(fi_eq_open(fabric, &eq_attr, &eq, NULL));
	char raw[512];
	struct fi_eq_cm_entry *entry = (void *)raw;
	uint32_t event;
	struct fid_pep *pep;
	if (server) {
		CHECK(fi_passive_ep(fabric, info, &pep, NULL));
		CHECK(fi_pep_bind(pep, &eq->fid, 0));
		CHECK(fi_listen(pep));
		struct sockaddr_in name;
		size_t length = sizeof name;
		CHECK(fi_getname(&pep->fid, &name, &length));
		snprintf(port, sizeof port, "%d", ntohs(name.sin_port));
		if (write(pipe, port, sizeof port) != sizeof port) return 1;
		CHECK(fi_eq_sread(eq, &event, entry, sizeof raw, 5000, 0));
		info = entry->info;
	}
	struct fid_domain *domain;
	struct fid_cq *cq;
	struct fid_ep *ep;
	struct fid_mr *mr;
	struct fi_cq_attr cq_attr = { .format = FI_CQ_FORMAT_DATA, .size = 1024, .wait_obj = FI_WAIT_FD };
	CHECK(fi_domain(fabric, info, &domain, NULL));
	CHECK(fi_cq_open(domain, &cq_attr, &cq, NULL));
	CHECK(fi_endpoint(domain, info, &ep, NULL));
	CHECK(fi_ep_bind(ep, &eq->fid, 0));
	CHECK(fi_ep_bind(ep, &cq->fid, FI_TRANSMIT | FI_RECV | FI_SELECTIVE_COMPLETION));
	CHECK(fi_enable(ep));
	size_t half = 16u << 20;
	char *memory = aligned_alloc(4096, 2 * half);
	memset(memory, 1, 2 * half);
	CHECK(fi_mr_reg(domain, memory, 2 * half, FI_WRITE | FI_REMOTE_WRITE, 0, 7, 0, &mr, NULL));
	struct window own = { (info->domain_attr->mr_mode & FI_MR_VIRT_ADDR) ? (uintptr_t)memory : 0, fi_mr_key(mr) }, peer;
	if (server) CHECK(fi_accept(ep, NULL, 0));
	else CHECK(fi_connect(ep, info->dest_addr, NULL, 0));
	CHECK(fi_eq_sread(eq, &event, entry, sizeof raw, 5000, 0));
	if (event != FI_CONNECTED) return 1;
	if (write(pipe, &own, sizeof own) < 0 || read(pipe, &peer, sizeof peer) != sizeof peer) return 1;

	double *took = calloc((size_t)rounds, sizeof *took);
	struct fi_cq_data_entry done;
	for (int n = 0; n < rounds; n++) {
		double start = now_us();
		for (int leg = 0; leg < 2; leg++) {
			if (leg == server) {
				ssize_t r;
				struct iovec iov = { memory, bytes };
				void *descriptor = fi_mr_desc(mr);
				struct fi_rma_iov to = { peer.address + half, bytes, peer.key };
				struct fi_msg_rma message = { &iov, &descriptor, 1, 0, &to, 1, NULL, (uint64_t)n };
				while ((r = fi_writemsg(ep, &message, FI_REMOTE_CQ_DATA)) == -FI_EAGAIN)
					(void)!fi_cq_read(cq, NULL, 0);
				CHECK(r);
			} else {
				ssize_t r;
				while ((r = fi_cq_read(cq, &done, 1)) == -FI_EAGAIN)
					;
				CHECK(r);
				if (done.data != (uint64_t)n) return 2;
			}
		}
		took[n] = now_us() - start;
	}
	if (!server) {
		printf("p50_us %.3f\n", percentile(took, (size_t)rounds, 0.5));
		printf("p99_us %.3f\n", percentile(took, (size_t)rounds, 0.99));
	}
	return 0;
}
