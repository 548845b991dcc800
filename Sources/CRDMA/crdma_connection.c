#include "crdma_library.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static const char device[] = "/dev/infiniband/rdma_cm";

/* librdmacm's results: 0, or -1 with errno. */
static int checked(int result)
{
	if (result == 0)
		return 0;
	return errno != 0 ? errno : EIO;
}

int crdma_open_event_channel(struct rdma_event_channel **channel)
{
	/* Asked first, because librdmacm writes to standard error when it is not there. */
	if (access(device, R_OK | W_OK) != 0)
		return errno == ENOENT ? ENODEV : errno;
	errno = 0;
	*channel = crdma_library.rdma_create_event_channel();
	if (*channel == NULL)
		return errno != 0 ? errno : EIO;
	int flags = fcntl((*channel)->fd, F_GETFL);
	if (flags >= 0 && fcntl((*channel)->fd, F_SETFL, flags | O_NONBLOCK) == 0)
		return 0;
	int error = errno;
	crdma_library.rdma_destroy_event_channel(*channel);
	*channel = NULL;
	return error;
}

void crdma_close_event_channel(struct rdma_event_channel *channel) { crdma_library.rdma_destroy_event_channel(channel); }

int crdma_next_event(struct rdma_event_channel *channel, struct crdma_event *event)
{
	struct rdma_cm_event *taken;
	errno = 0;
	int error = checked(crdma_library.rdma_get_cm_event(channel, &taken));
	if (error != 0)
		return error == EWOULDBLOCK ? EAGAIN : error;
	event->type = taken->event;
	event->status = taken->status;
	event->id = taken->id;
	event->private_data_bytes = 0;
	switch (taken->event) {
	case RDMA_CM_EVENT_CONNECT_REQUEST:
	case RDMA_CM_EVENT_CONNECT_RESPONSE:
	case RDMA_CM_EVENT_ESTABLISHED:
	case RDMA_CM_EVENT_REJECTED:
		if (taken->param.conn.private_data != NULL) {
			event->private_data_bytes = taken->param.conn.private_data_len;
			memcpy(event->private_data, taken->param.conn.private_data, event->private_data_bytes);
		}
		break;
	default:
		break;
	}
	crdma_library.rdma_ack_cm_event(taken);
	return 0;
}

int crdma_create_id(struct rdma_event_channel *channel, struct rdma_cm_id **id)
{
	errno = 0;
	return checked(crdma_library.rdma_create_id(channel, id, NULL, RDMA_PS_TCP));
}

void crdma_destroy_id(struct rdma_cm_id *id) { crdma_library.rdma_destroy_id(id); }

int crdma_bind(struct rdma_cm_id *id, const struct sockaddr *address)
{
	errno = 0;
	return checked(crdma_library.rdma_bind_addr(id, (struct sockaddr *)address));
}

int crdma_listen(struct rdma_cm_id *id, int backlog)
{
	errno = 0;
	return checked(crdma_library.rdma_listen(id, backlog));
}

uint16_t crdma_source_port(struct rdma_cm_id *id) { return ntohs(crdma_library.rdma_get_src_port(id)); }

int crdma_migrate(struct rdma_cm_id *id, struct rdma_event_channel *channel)
{
	errno = 0;
	return checked(crdma_library.rdma_migrate_id(id, channel));
}

int crdma_resolve_address(struct rdma_cm_id *id, const struct sockaddr *source, const struct sockaddr *destination,
                          int timeout_milliseconds)
{
	errno = 0;
	return checked(crdma_library.rdma_resolve_addr(id, (struct sockaddr *)source, (struct sockaddr *)destination,
	                                               timeout_milliseconds));
}

int crdma_resolve_route(struct rdma_cm_id *id, int timeout_milliseconds)
{
	errno = 0;
	return checked(crdma_library.rdma_resolve_route(id, timeout_milliseconds));
}

int crdma_set_ack_timeout(struct rdma_cm_id *id, uint8_t exponent)
{
	errno = 0;
	return checked(
	    crdma_library.rdma_set_option(id, RDMA_OPTION_ID, RDMA_OPTION_ID_ACK_TIMEOUT, &exponent, sizeof exponent));
}

int crdma_create_qp(struct rdma_cm_id *id, struct ibv_pd *domain, struct ibv_qp_init_attr *shape)
{
	errno = 0;
	return checked(crdma_library.rdma_create_qp(id, domain, shape));
}

void crdma_destroy_qp(struct rdma_cm_id *id) { crdma_library.rdma_destroy_qp(id); }

int crdma_connect(struct rdma_cm_id *id, struct rdma_conn_param *parameters)
{
	errno = 0;
	return checked(crdma_library.rdma_connect(id, parameters));
}

int crdma_accept(struct rdma_cm_id *id, struct rdma_conn_param *parameters)
{
	errno = 0;
	return checked(crdma_library.rdma_accept(id, parameters));
}

int crdma_reject(struct rdma_cm_id *id, const void *data, uint8_t size_bytes)
{
	errno = 0;
	return checked(crdma_library.rdma_reject(id, data, size_bytes));
}

int crdma_disconnect(struct rdma_cm_id *id)
{
	errno = 0;
	return checked(crdma_library.rdma_disconnect(id));
}
