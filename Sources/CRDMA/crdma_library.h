/* crdma_library.h: the two libraries' entry points as crdma_load found them. Not for Swift. */
#ifndef CRDMA_LIBRARY_H
#define CRDMA_LIBRARY_H
#include "crdma.h"

/* Macros of the headers that would hide the plain functions. */
#undef ibv_query_port
#undef ibv_reg_mr
#undef ibv_get_device_list

/* name, library: the headers' types serve, their symbols are never linked. */
#define CRDMA_VERBS(X)                                                                                                 \
	X(ibv_get_device_list) X(ibv_free_device_list) X(ibv_get_device_name) X(ibv_query_device) X(ibv_query_port)    \
	X(ibv_alloc_pd) X(ibv_dealloc_pd) X(ibv_reg_mr) X(ibv_dereg_mr) X(ibv_create_comp_channel)                     \
	X(ibv_destroy_comp_channel) X(ibv_create_cq) X(ibv_destroy_cq) X(ibv_get_cq_event) X(ibv_ack_cq_events)        \
	X(ibv_query_qp) X(ibv_modify_qp) X(ibv_fork_init)
#define CRDMA_CONNECTION(X)                                                                                            \
	X(rdma_create_event_channel) X(rdma_destroy_event_channel) X(rdma_get_cm_event) X(rdma_ack_cm_event)           \
	X(rdma_create_id) X(rdma_destroy_id) X(rdma_bind_addr) X(rdma_listen) X(rdma_get_src_port) X(rdma_migrate_id)  \
	X(rdma_resolve_addr) X(rdma_resolve_route) X(rdma_set_option) X(rdma_create_qp) X(rdma_destroy_qp)             \
	X(rdma_connect) X(rdma_accept) X(rdma_reject) X(rdma_disconnect)

struct crdma_library {
	int error;
#define CRDMA_MEMBER(name) typeof(name) *name;
	CRDMA_VERBS(CRDMA_MEMBER)
	CRDMA_CONNECTION(CRDMA_MEMBER)
#undef CRDMA_MEMBER
};
extern struct crdma_library crdma_library;
#endif
