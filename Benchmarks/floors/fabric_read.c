/* The floor under a donor's memory over TransportFabric: fi_readmsg over FI_EP_MSG, provider tcp, two processes, manual
 * progress. Both poll, or both sleep on their queue's descriptor. Usage: fabric_read ROUNDS polling|blocking BYTES DEPTH
 * Prints p50_us and p99_us with a depth of 1, gigabytes_per_second always. */
#define _GNU_SOURCE
#include "../common/measure.h"
#include <rdma/fabric.h>
#include <rdma/fi_cm.h>
#include <rdma/fi_domain.h>
#include <rdma/fi_endpoint.h>
#include <rdma/fi_errno.h>
#include <rdma/fi_rma.h>
#include <string.h>
#include <poll.h>
#include <sys/socket.h>
#include <netinet/in.h>

#define CHECK(x) do { ssize_t r_ = (x); if (r_ < 0) { fprintf(stderr, "%s: %s\n", #x, fi_strerror((int)-r_)); _exit(1); } } while (0)
struct window { uint64_t address, key; };

struct watched { struct fid_fabric *fabric; struct fid_cq *cq; struct fid_eq *eq; int cq_fd, eq_fd; };

static void nap(struct watched *w)
{
	struct fid *both[2] = { &w->cq->fid, &w->eq->fid };
	struct pollfd fds[2] = { { w->cq_fd, POLLIN, 0 }, { w->eq_fd, POLLIN, 0 } };
	if (fi_trywait(w->fabric, both, 2) == 0) poll(fds, 2, 50);
}

int main(int argc, char **argv)
{
	if (argc != 5) return 2;
	int rounds = atoi(argv[1]), blocking = strcmp(argv[2], "blocking") == 0, depth = atoi(argv[4]);
	size_t bytes = (size_t)atol(argv[3]);
	int pipes[2];
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pipes) != 0) return 1;
	int child = fork(), server = child == 0, pipe = pipes[server];
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
	hints->domain_attr->data_progress = hints->domain_attr->control_progress = FI_PROGRESS_MANUAL;
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
	size_t half = 128u << 20;
	char *memory = aligned_alloc(4096, 2 * half);
	memset(memory, 1, 2 * half);
	CHECK(fi_mr_reg(domain, memory, 2 * half, FI_READ | FI_REMOTE_READ, 0, 7, 0, &mr, NULL));
	struct window own = { (info->domain_attr->mr_mode & FI_MR_VIRT_ADDR) ? (uintptr_t)memory : 0, fi_mr_key(mr) }, peer;
	if (server) CHECK(fi_accept(ep, NULL, 0));
	else CHECK(fi_connect(ep, info->dest_addr, NULL, 0));
	CHECK(fi_eq_sread(eq, &event, entry, sizeof raw, 5000, 0));
	if (event != FI_CONNECTED) return 1;
	if (write(pipe, &own, sizeof own) < 0 || read(pipe, &peer, sizeof peer) != sizeof peer) return 1;

	struct watched w = { fabric, cq, eq, -1, -1 };
	CHECK(fi_control(&cq->fid, FI_GETWAIT, &w.cq_fd));
	CHECK(fi_control(&eq->fid, FI_GETWAIT, &w.eq_fd));
	if (server) {
		for (;;) {
			ssize_t r = fi_cq_read(cq, NULL, 0);
			if ((r < 0 && r != -FI_EAGAIN) || fi_eq_read(eq, &event, raw, sizeof raw, 0) > 0) return 0;
			if (blocking) nap(&w);
		}
	}
	double *took = calloc((size_t)rounds, sizeof *took), busy = cpu_us(child), begin = now_us(), start = begin;
	int posted = 0, over = 0;
	uint64_t state = 1;
	while (over < rounds) {
		while (posted < rounds && posted - over < depth) {
			state = state * 6364136223846793005u + 1442695040888963407u;
			size_t offset = (size_t)(state >> 20) % (half / bytes) * bytes;
			struct iovec to = { memory + (size_t)(posted % depth) * bytes, bytes };
			void *descriptor = fi_mr_desc(mr);
			struct fi_rma_iov from = { peer.address + offset, bytes, peer.key };
			struct fi_msg_rma message = { &to, &descriptor, 1, 0, &from, 1, NULL, 0 };
			ssize_t r = fi_readmsg(ep, &message, FI_COMPLETION);
			if (r == -FI_EAGAIN) break;
			CHECK(r);
			posted++;
		}
		struct fi_cq_data_entry done[16];
		ssize_t r = fi_cq_read(cq, done, 16);
		if (r == -FI_EAGAIN) {
			if (blocking) nap(&w);
			continue;
		}
		CHECK(r);
		if (depth == 1) {
			double now = now_us();
			took[over] = now - start;
			start = now;
		}
		over += (int)r;
	}
	double span = now_us() - begin;
	if (depth == 1) {
		printf("p50_us %.3f\n", percentile(took, (size_t)rounds, 0.5));
		printf("p99_us %.3f\n", percentile(took, (size_t)rounds, 0.99));
	}
	printf("gigabytes_per_second %.4f\n", (double)rounds * (double)bytes / span / 1e3);
	printf("donor_cpu_us_per_get %.3f\n", (cpu_us(child) - busy) / rounds);
	fi_shutdown(ep, 0);
	return 0;
}
