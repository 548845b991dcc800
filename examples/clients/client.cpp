// client.cpp: many calls at once, answered in whatever order. Four cores' worth of work, a future for each call.
// Build: c++ -std=c++17 -o client++ client.cpp -lfallow        Run: ./client++ ../functions/compress.so FILE...
#include <fallow.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

// The library's objects, freed with their owners.
using client_ptr = std::unique_ptr<fallow_client, decltype(&fallow_close)>;
using lease_ptr = std::unique_ptr<fallow_lease, decltype(&fallow_lease_close)>;
using future_ptr = std::unique_ptr<fallow_future, decltype(&fallow_future_free)>;

static void check(int code)
{
	if (code != FALLOW_OK) throw std::runtime_error(std::string(fallow_code_name(code)) + ": " + fallow_message());
}

int main(int argc, char **argv)
try {
	if (argc < 3) throw std::runtime_error("usage: client++ LIBRARY FILE...");
	constexpr size_t largest = 4u << 20;

	fallow_client *raw_client;
	check(fallow_connect(nullptr, &raw_client));
	client_ptr client(raw_client, fallow_close);

	fallow_lease_options options = FALLOW_LEASE_OPTIONS;
	options.cpus = 2;
	options.slots = 2; // every slot has room for the largest file: slots times sizes is the lease's memory
	options.max_input = options.max_output = largest;
	fallow_lease *raw_lease;
	check(fallow_lease_open(client.get(), argv[1], &options, &raw_lease));
	lease_ptr lease(raw_lease, fallow_lease_close);

	for (int first = 2; first < argc; first += 4) { // 2 cores with 2 slots: 4 in flight
		std::vector<std::vector<char>> results;
		std::vector<future_ptr> futures;
		std::vector<size_t> sizes;
		for (int i = first; i < argc && i < first + 4; i++) {
			std::ifstream file(argv[i], std::ios::binary);
			std::vector<char> content((std::istreambuf_iterator<char>(file)), {});
			results.emplace_back(largest);
			sizes.push_back(content.size());
			fallow_future *future;
			check(fallow_submit(lease.get(), "compress_bytes", content.data(), content.size(), results.back().data(),
			                    results.back().size(), &future));
			futures.emplace_back(future, fallow_future_free);
		}
		for (size_t i = 0; i < futures.size(); i++) {
			size_t size = 0;
			int32_t zlib = 0;
			check(fallow_wait(futures[i].get(), &size, &zlib, 30));
			std::printf("%s: %zu -> %zu bytes (zlib says %d)\n", argv[first + i], sizes[i], size, zlib);
		}
	}
	return 0;
} catch (const std::exception &error) {
	std::fprintf(stderr, "client++: %s\n", error.what());
	return 1;
}
