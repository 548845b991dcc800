/* crdma.h: libibverbs and librdmacm as one module, found at run time. C because libfallow must load on machines without
 * RDMA: what the libraries export is resolved by dlopen(3) here and never linked. What their headers keep in static
 * inlines over tables of function pointers (ibv_post_send, ibv_post_recv, ibv_poll_cq, ibv_req_notify_cq), Swift calls
 * as it is; what they hide in macros (ibv_query_port, ibv_reg_mr) stands here as a function.
 * Unless said otherwise a call gives 0 or a positive errno, and needs crdma_load to have given 0. */
#ifndef CRDMA_H
#define CRDMA_H
#include <infiniband/verbs.h>
#include <rdma/rdma_cma.h>
#include <stdint.h>

/* Loads libibverbs.so.1 and librdmacm.so.1, once, and has libibverbs keep its own pages out of children where the kernel
 * does not copy pinned pages at fork by itself. ENOENT when one is not there, ENOSYS when one is too old. */
int crdma_load(void);

/* ---- crdma_verbs.c: what a device gives ---- */

/* The names of the devices, one after the other, each ending with a NUL; an empty one ends the list. ENOBUFS: no room. */
int crdma_device_names(char *names, size_t size_bytes);
int crdma_query_device(struct ibv_context *context, struct ibv_device_attr *attributes);
/* ibv_query_port is a macro. */
int crdma_query_port(struct ibv_context *context, uint8_t port, struct ibv_port_attr *attributes);
int crdma_alloc_pd(struct ibv_context *context, struct ibv_pd **domain);
void crdma_dealloc_pd(struct ibv_pd *domain);
/* ibv_reg_mr is a macro. ENOMEM is RLIMIT_MEMLOCK's word, too. */
int crdma_reg_mr(struct ibv_pd *domain, void *address, size_t size_bytes, int access, struct ibv_mr **region);
void crdma_dereg_mr(struct ibv_mr *region);
/* Its descriptor is made non-blocking. */
int crdma_create_comp_channel(struct ibv_context *context, struct ibv_comp_channel **channel);
void crdma_destroy_comp_channel(struct ibv_comp_channel *channel);
int crdma_create_cq(struct ibv_context *context, int entries, struct ibv_comp_channel *channel, struct ibv_cq **queue);
void crdma_destroy_cq(struct ibv_cq *queue);
/* Takes all events off a channel that serves one queue, and acknowledges them. How many there were. */
unsigned crdma_drain_comp_channel(struct ibv_comp_channel *channel);
/* A queue pair's retry bounds as the device has them. */
int crdma_query_qp(struct ibv_qp *pair, int mask, struct ibv_qp_attr *attributes);
int crdma_modify_qp(struct ibv_qp *pair, int mask, struct ibv_qp_attr *attributes);

/* ---- crdma_connection.c: rdma_cm ---- */

/* One event of the connection manager, copied and acknowledged. */
struct crdma_event {
	enum rdma_cm_event_type type;
	int status; /* an errno's negative, or a reject reason */
	struct rdma_cm_id *id; /* with a connect request: a new one, the receiver's to destroy */
	uint8_t private_data[256];
	uint8_t private_data_bytes;
};

/* An event channel whose descriptor does not block. ENODEV without /dev/infiniband/rdma_cm, EACCES when it is not ours
 * to open. */
int crdma_open_event_channel(struct rdma_event_channel **channel);
void crdma_close_event_channel(struct rdma_event_channel *channel);
/* EAGAIN when there is none. */
int crdma_next_event(struct rdma_event_channel *channel, struct crdma_event *event);

/* For reliable connections (RDMA_PS_TCP). */
int crdma_create_id(struct rdma_event_channel *channel, struct rdma_cm_id **id);
/* Events are acknowledged as they are taken, so this does not wait for anybody. */
void crdma_destroy_id(struct rdma_cm_id *id);
int crdma_bind(struct rdma_cm_id *id, const struct sockaddr *address);
int crdma_listen(struct rdma_cm_id *id, int backlog);
uint16_t crdma_source_port(struct rdma_cm_id *id); /* the host's byte order */
/* Moves an id to another channel. */
int crdma_migrate(struct rdma_cm_id *id, struct rdma_event_channel *channel);
/* source may be NULL. The answers are events. */
int crdma_resolve_address(struct rdma_cm_id *id, const struct sockaddr *source, const struct sockaddr *destination,
                          int timeout_milliseconds);
int crdma_resolve_route(struct rdma_cm_id *id, int timeout_milliseconds);
/* How long the device waits for an acknowledgement: 4.096 µs times 2 to this power. */
int crdma_set_ack_timeout(struct rdma_cm_id *id, uint8_t exponent);
int crdma_create_qp(struct rdma_cm_id *id, struct ibv_pd *domain, struct ibv_qp_init_attr *shape);
void crdma_destroy_qp(struct rdma_cm_id *id);
int crdma_connect(struct rdma_cm_id *id, struct rdma_conn_param *parameters);
int crdma_accept(struct rdma_cm_id *id, struct rdma_conn_param *parameters);
int crdma_reject(struct rdma_cm_id *id, const void *data, uint8_t size_bytes);
int crdma_disconnect(struct rdma_cm_id *id);
#endif
