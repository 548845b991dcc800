/* The floor under TransportVerbs: RDMA WRITE_WITH_IMM there and back over a reliable connection, busy on both sides, one
 * in flight. Usage:
 *   verbs_pingpong server ADDRESS PORT [rounds] [bytes]
 *   verbs_pingpong client ADDRESS PORT [rounds] [bytes] [own ADDRESS]
 * The client prints p50_us and p99_us a round trip. Small messages go inline; every 64th send is signalled. Both sides end
 * after 60 s whatever happens. */
#define _GNU_SOURCE
#include "../common/measure.h"
#include <arpa/inet.h>
#include <rdma/rdma_cma.h>
#include <string.h>

enum { depth = 128, most_inline = 64, signal_every = 64 };
struct window { uint64_t address; uint32_t key; uint32_t unused; };
struct side {
	struct rdma_cm_id *id;
	struct ibv_cq *sent, *received;
	struct ibv_mr *region;
	char *memory; /* what goes out, then what comes in */
	size_t bytes;
	struct window peer;
	unsigned long posted;
};

static void fail(const char *what)
{
	perror(what);
	exit(1);
}
#define MUST(call) do { if ((call) != 0) fail(#call); } while (0)

static struct rdma_cm_event *await(struct rdma_event_channel *channel, enum rdma_cm_event_type type)
{
	struct rdma_cm_event *event;
	MUST(rdma_get_cm_event(channel, &event));
	if (event->event != type)
		fprintf(stderr, "verbs_pingpong: %s instead of %s\n", rdma_event_str(event->event), rdma_event_str(type)), exit(1);
	return event;
}

static void post_receive(struct side *side)
{
	struct ibv_recv_wr request = { 0 }, *bad;
	MUST(ibv_post_recv(side->id->qp, &request, &bad));
}

static void prepare(struct side *side, struct rdma_cm_id *id, size_t bytes)
{
	struct ibv_qp_init_attr attributes = { .qp_type = IBV_QPT_RC, .sq_sig_all = 0,
		.cap = { .max_send_wr = depth, .max_recv_wr = depth, .max_send_sge = 1, .max_recv_sge = 1, .max_inline_data = most_inline } };
	side->id = id;
	side->bytes = bytes;
	if (!(side->sent = ibv_create_cq(id->verbs, depth, NULL, NULL, 0)) || !(side->received = ibv_create_cq(id->verbs, depth, NULL, NULL, 0)))
		fail("ibv_create_cq");
	attributes.send_cq = side->sent;
	attributes.recv_cq = side->received;
	MUST(rdma_create_qp(id, NULL, &attributes));
	side->memory = aligned_alloc(4096, (2 * bytes + 8191) / 4096 * 4096);
	memset(side->memory, 1, 2 * bytes);
	side->region = ibv_reg_mr(id->pd, side->memory, 2 * bytes, IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE);
	if (!side->region)
		fail("ibv_reg_mr");
	for (int n = 0; n < depth; n++)
		post_receive(side);
}

static struct rdma_conn_param introduce(struct side *side, struct window *own)
{
	*own = (struct window){ (uintptr_t)side->memory + side->bytes, side->region->rkey, 0 };
	return (struct rdma_conn_param){ .private_data = own, .private_data_len = sizeof *own, .responder_resources = 1,
		.initiator_depth = 1, .retry_count = 7, .rnr_retry_count = 7 };
}

static void complete(struct ibv_cq *queue, struct ibv_wc *done)
{
	int count;
	while ((count = ibv_poll_cq(queue, 1, done)) == 0)
		;
	if (count < 0 || done->status != IBV_WC_SUCCESS)
		fprintf(stderr, "verbs_pingpong: %s\n", count < 0 ? "polling failed" : ibv_wc_status_str(done->status)), exit(1);
}

static void transmit(struct side *side, uint32_t number)
{
	int signalled = ++side->posted % signal_every == 0;
	struct ibv_sge piece = { (uintptr_t)side->memory, (uint32_t)side->bytes, side->region->lkey };
	struct ibv_send_wr request = { .sg_list = &piece, .num_sge = 1, .opcode = IBV_WR_RDMA_WRITE_WITH_IMM, .imm_data = htonl(number),
		.send_flags = (signalled ? IBV_SEND_SIGNALED : 0) | (side->bytes <= most_inline ? IBV_SEND_INLINE : 0),
		.wr.rdma = { side->peer.address, side->peer.key } }, *bad;
	struct ibv_wc done;
	MUST(ibv_post_send(side->id->qp, &request, &bad));
	if (signalled)
		complete(side->sent, &done);
}

static void receive(struct side *side, uint32_t number)
{
	struct ibv_wc done;
	complete(side->received, &done);
	if (ntohl(done.imm_data) != number)
		fprintf(stderr, "verbs_pingpong: message %u instead of %u\n", ntohl(done.imm_data), number), exit(1);
	post_receive(side);
}

static void serve(struct rdma_event_channel *channel, struct sockaddr_in *address, size_t bytes, uint32_t rounds)
{
	struct rdma_cm_id *listener;
	struct side side = { 0 };
	struct window own;
	MUST(rdma_create_id(channel, &listener, NULL, RDMA_PS_TCP));
	MUST(rdma_bind_addr(listener, (struct sockaddr *)address));
	MUST(rdma_listen(listener, 1));
	struct rdma_cm_event *event = await(channel, RDMA_CM_EVENT_CONNECT_REQUEST);
	memcpy(&side.peer, event->param.conn.private_data, sizeof side.peer);
	prepare(&side, event->id, bytes);
	rdma_ack_cm_event(event);
	struct rdma_conn_param parameters = introduce(&side, &own);
	MUST(rdma_accept(side.id, &parameters));
	rdma_ack_cm_event(await(channel, RDMA_CM_EVENT_ESTABLISHED));
	for (uint32_t n = 0; n < rounds; n++) {
		receive(&side, n);
		transmit(&side, n);
	}
	rdma_ack_cm_event(await(channel, RDMA_CM_EVENT_DISCONNECTED));
}

static void ask(struct rdma_event_channel *channel, struct sockaddr_in *address, struct sockaddr_in *own_address, size_t bytes,
		uint32_t warm, uint32_t rounds)
{
	struct rdma_cm_id *id;
	struct side side = { 0 };
	struct window own;
	uint32_t n = 0;
	MUST(rdma_create_id(channel, &id, NULL, RDMA_PS_TCP));
	MUST(rdma_resolve_addr(id, (struct sockaddr *)own_address, (struct sockaddr *)address, 5000));
	rdma_ack_cm_event(await(channel, RDMA_CM_EVENT_ADDR_RESOLVED));
	MUST(rdma_resolve_route(id, 5000));
	rdma_ack_cm_event(await(channel, RDMA_CM_EVENT_ROUTE_RESOLVED));
	prepare(&side, id, bytes);
	struct rdma_conn_param parameters = introduce(&side, &own);
	MUST(rdma_connect(id, &parameters));
	struct rdma_cm_event *event = await(channel, RDMA_CM_EVENT_ESTABLISHED);
	memcpy(&side.peer, event->param.conn.private_data, sizeof side.peer);
	rdma_ack_cm_event(event);
	for (; n < warm; n++) {
		transmit(&side, n);
		receive(&side, n);
	}
	MEASURE_LONG(rounds, (void)0, {
		transmit(&side, n);
		receive(&side, n);
		n++;
	});
	rdma_disconnect(id);
}

int main(int argc, char **argv)
{
	if (argc < 4)
		return fprintf(stderr, "usage: verbs_pingpong server|client ADDRESS PORT [rounds] [bytes] [own ADDRESS]\n"), 2;
	uint32_t rounds = argc > 4 ? (uint32_t)atoi(argv[4]) : 2000, warm = rounds / 10;
	size_t bytes = argc > 5 ? (size_t)atol(argv[5]) : 1;
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[3])) }, own = { .sin_family = AF_INET };
	if (rounds < 1 || bytes < 1 || inet_pton(AF_INET, argv[2], &address.sin_addr) != 1 ||
	    (argc > 6 && inet_pton(AF_INET, argv[6], &own.sin_addr) != 1))
		return fprintf(stderr, "verbs_pingpong: addresses are like 10.0.0.1; at least one round, at least one byte\n"), 2;
	struct rdma_event_channel *channel = rdma_create_event_channel();
	if (!channel)
		fail("rdma_create_event_channel");
	alarm(60);
	if (strcmp(argv[1], "server") == 0) {
		pin_server();
		serve(channel, &address, bytes, warm + rounds);
	} else {
		pin_client();
		ask(channel, &address, argc > 6 ? &own : NULL, bytes, warm, rounds);
	}
	return 0;
}
