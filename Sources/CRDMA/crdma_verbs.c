#include "crdma_library.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

static int failure(void) { return errno != 0 ? errno : EIO; }

int crdma_device_names(char *names, size_t size_bytes)
{
	int count = 0, result = 0;
	errno = 0;
	struct ibv_device **devices = crdma_library.ibv_get_device_list(&count);
	if (devices == NULL)
		return failure();
	for (int index = 0; index < count && result == 0; index++) {
		const char *name = crdma_library.ibv_get_device_name(devices[index]);
		size_t bytes = strlen(name) + 1;
		if (bytes + 1 > size_bytes) {
			result = ENOBUFS;
			break;
		}
		memcpy(names, name, bytes);
		names += bytes;
		size_bytes -= bytes;
	}
	*names = 0;
	crdma_library.ibv_free_device_list(devices);
	return result;
}

int crdma_query_device(struct ibv_context *context, struct ibv_device_attr *attributes)
{
	return crdma_library.ibv_query_device(context, attributes);
}

int crdma_query_port(struct ibv_context *context, uint8_t port, struct ibv_port_attr *attributes)
{
	struct verbs_context *extended = verbs_get_ctx_op(context, query_port);
	memset(attributes, 0, sizeof *attributes);
	if (extended != NULL)
		return extended->query_port(context, port, attributes, sizeof *attributes);
	return crdma_library.ibv_query_port(context, port, (struct _compat_ibv_port_attr *)attributes);
}

int crdma_alloc_pd(struct ibv_context *context, struct ibv_pd **domain)
{
	errno = 0;
	*domain = crdma_library.ibv_alloc_pd(context);
	return *domain == NULL ? failure() : 0;
}

void crdma_dealloc_pd(struct ibv_pd *domain) { crdma_library.ibv_dealloc_pd(domain); }

int crdma_reg_mr(struct ibv_pd *domain, void *address, size_t size_bytes, int access, struct ibv_mr **region)
{
	errno = 0;
	*region = crdma_library.ibv_reg_mr(domain, address, size_bytes, access);
	return *region == NULL ? failure() : 0;
}

void crdma_dereg_mr(struct ibv_mr *region) { crdma_library.ibv_dereg_mr(region); }

int crdma_create_comp_channel(struct ibv_context *context, struct ibv_comp_channel **channel)
{
	errno = 0;
	*channel = crdma_library.ibv_create_comp_channel(context);
	if (*channel == NULL)
		return failure();
	int flags = fcntl((*channel)->fd, F_GETFL);
	if (flags >= 0 && fcntl((*channel)->fd, F_SETFL, flags | O_NONBLOCK) == 0)
		return 0;
	int error = failure();
	crdma_library.ibv_destroy_comp_channel(*channel);
	*channel = NULL;
	return error;
}

void crdma_destroy_comp_channel(struct ibv_comp_channel *channel) { crdma_library.ibv_destroy_comp_channel(channel); }

int crdma_create_cq(struct ibv_context *context, int entries, struct ibv_comp_channel *channel, struct ibv_cq **queue)
{
	errno = 0;
	*queue = crdma_library.ibv_create_cq(context, entries, NULL, channel, 0);
	return *queue == NULL ? failure() : 0;
}

void crdma_destroy_cq(struct ibv_cq *queue) { crdma_library.ibv_destroy_cq(queue); }

unsigned crdma_drain_comp_channel(struct ibv_comp_channel *channel)
{
	struct ibv_cq *queue;
	void *context;
	unsigned count = 0;
	while (crdma_library.ibv_get_cq_event(channel, &queue, &context) == 0) {
		crdma_library.ibv_ack_cq_events(queue, 1);
		count++;
	}
	return count;
}

int crdma_query_qp(struct ibv_qp *pair, int mask, struct ibv_qp_attr *attributes)
{
	struct ibv_qp_init_attr shape;
	return crdma_library.ibv_query_qp(pair, attributes, mask, &shape);
}

int crdma_modify_qp(struct ibv_qp *pair, int mask, struct ibv_qp_attr *attributes)
{
	return crdma_library.ibv_modify_qp(pair, attributes, mask);
}
