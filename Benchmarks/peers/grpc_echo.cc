// A unary echo over gRPC C++ (Unix socket), the server in a process of its own. Usage: grpc_echo [rounds] [bytes] [depth]
// One in flight by the synchronous stub; with a depth, so many by the callback interface, and calls a second. Both sides block.
#include "../common/measure.h"
#include "echo.grpc.pb.h"
#include <atomic>
#include <condition_variable>
#include <grpcpp/grpcpp.h>
#include <memory>
#include <mutex>
#include <string>
#include <sys/wait.h>
#include <csignal>
#include <vector>

namespace {

class Service final : public bench::Echo::Service {
	grpc::Status Call(grpc::ServerContext *, const bench::Message *request, bench::Message *reply) override
	{
		reply->set_payload(request->payload());
		return grpc::Status::OK;
	}
};

// Keeps one call in flight until the common count is used up.
struct Lane {
	bench::Echo::Stub *stub;
	std::atomic<long> *left, *running;
	bench::Message request, reply;
	std::unique_ptr<grpc::ClientContext> context;

	void next()
	{
		if (left->fetch_sub(1) <= 0) {
			running->fetch_sub(1);
			return;
		}
		context = std::make_unique<grpc::ClientContext>();
		stub->async()->Call(context.get(), &request, &reply, [this](grpc::Status status) {
			if (!status.ok())
				abort();
			next();
		});
	}
};

void serve(const std::string &address, int ready)
{
	pin_server();
	Service service;
	grpc::ServerBuilder builder;
	builder.AddListeningPort(address, grpc::InsecureServerCredentials());
	builder.SetMaxReceiveMessageSize(-1);
	builder.RegisterService(&service);
	auto server = builder.BuildAndStart();
	if (!server || write(ready, "1", 1) != 1)
		_exit(1);
	server->Wait(); // ended by a signal
}

} // namespace

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 2000, depth = argc > 3 ? atoi(argv[3]) : 0;
	size_t bytes = argc > 2 ? static_cast<size_t>(atol(argv[2])) : 64;
	char folder[] = "/tmp/fallow-bench-XXXXXX", byte;
	int ready[2];
	if (!mkdtemp(folder) || pipe(ready) != 0)
		return perror("grpc_echo"), 1;
	std::string path = std::string(folder) + "/socket", address = "unix:" + path;
	pid_t server = fork();
	if (server == 0) {
		alarm(120);
		serve(address, ready[1]);
		_exit(0);
	}
	close(ready[1]);
	int status = read(ready[0], &byte, 1) == 1 ? 0 : 1;
	pin_client();
	if (status == 0) {
		grpc::ChannelArguments arguments;
		arguments.SetMaxReceiveMessageSize(-1);
		auto stub = bench::Echo::NewStub(grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments));
		bench::Message request, reply;
		request.set_payload(std::string(bytes, 'x'));
		auto round = [&] {
			grpc::ClientContext context;
			if (!stub->Call(&context, request, &reply).ok())
				fprintf(stderr, "grpc_echo: a call failed\n"), exit(1);
		};
		for (int n = 0; n < rounds / 10 + 1; n++)
			round();
		if (depth == 0)
			MEASURE_LONG(rounds, (void)0, round());
		else {
			std::atomic<long> left{rounds}, running{depth};
			std::vector<Lane> lanes(static_cast<size_t>(depth));
			double start = now_us();
			for (auto &lane : lanes) {
				lane.stub = stub.get();
				lane.left = &left;
				lane.running = &running;
				lane.request = request;
				lane.next();
			}
			while (running.load() > 0)
				usleep(200);
			printf("per_second %.0f\n", rounds / (now_us() - start) * 1e6);
		}
	}
	kill(server, SIGKILL);
	waitpid(server, nullptr, 0);
	unlink(path.c_str());
	rmdir(folder);
	return status;
}
