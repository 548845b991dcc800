# Fallow. `make help` lists the targets; any of them starts from a machine that has Swift, git and make alone.

prefix ?= /usr/local
DESTDIR ?=
bindir = $(prefix)/bin
sbindir = $(prefix)/sbin
libexecdir = $(prefix)/libexec/fallow
libdir = $(prefix)/lib
# Where `fallow run` finds libfallow-preload.so.
preloaddir = $(prefix)/lib/fallow
unitdir = $(prefix)/lib/systemd/system
includedir = $(prefix)/include
sysconfdir ?= /etc
SLURM_PLUGIN_DIR ?= /usr/lib/$(shell gcc -print-multiarch 2>/dev/null)/slurm-wlm
SWIFT ?= swift
docs_base ?=

STAMPS := .build/stamps
RELEASE := .build/release
# Without debugging information, which installing strips anyway: it costs a twentieth of the build. Functions keep their names.
SWIFT_FLAGS := --explicit-target-dependency-import-check error -debug-info-format none
# Huge pages for the compiler's memory, where the kernel gives them: a twelfth less of the processor's time.
SWIFT_BUILD := GLIBC_TUNABLES=glibc.malloc.hugetlb=1 $(SWIFT) build -c release
SWIFT_SOURCES := $(wildcard Sources Tests examples Benchmarks Package.swift)
SHELL_SCRIPTS = $(shell git ls-files | xargs awk 'FNR == 1 && /^\#!.*sh$$/ { print FILENAME } FNR > 1 { nextfile }' 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help deps build build-tests plugin pager examples test test-unit test-faults test-plugin test-pager test-integration test-rdma test-packages test-systemd demo bench bench-rdma gate screenshots install install-tree uninstall deb rpm \
	format lint docs clean

help: ## list the targets
	@echo 'make TARGET, where TARGET is one of'
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1|\2/p' Makefile | awk -F'|' '{ printf "%-20s %s\n", $$1, $$2 }'
	@echo 'Variables: prefix ($(prefix)), DESTDIR, SLURM_PLUGIN_DIR'

deps: $(STAMPS)/deps ## install the Debian packages that building and testing need
$(STAMPS)/deps: .ci/packages .ci/install-packages
	@.ci/install-packages .ci/packages
	@mkdir -p $(@D) && touch $@

build: $(STAMPS)/deps plugin pager ## build everything for release
	@# The compiler leaves thousands of empty folders where temporary files go.
	@mkdir -p .build/tmp
	TMPDIR=$(CURDIR)/.build/tmp $(SWIFT_BUILD) $(SWIFT_FLAGS)
	@rm -rf .build/tmp
	@ln -sf libfallow-c.so $(RELEASE)/libfallow.so.0 && ln -sf libfallow-c.so $(RELEASE)/libfallow.so
	+@$(MAKE) --no-print-directory -C examples FALLOW=../$(RELEASE)

plugin: $(STAMPS)/deps ## build the Slurm plugin alone
	+@$(MAKE) --no-print-directory -C slurm-plugin PLUGIN_BUILD=$(CURDIR)/.build/plugin

pager: $(STAMPS)/deps ## build libfallow-pager and libfallow-preload alone
	+@$(MAKE) --no-print-directory -C pager PAGER_BUILD=$(CURDIR)/.build/pager

examples: build ## build the example programs and functions

# The tests come out of the same build as the programs.
build-tests test-unit test-faults test-rdma: SWIFT_FLAGS += --build-tests
build-tests: build

# Builds by `make build-tests`, with the tests in C beside it.
test: $(STAMPS)/deps plugin pager ## all tests: units, the plugin's in C, integration on a real Slurm
	+@Tests/run all

test-unit: build ## the unit tests and the transports' conformance suite
	@Tests/run unit

test-faults: build ## 1,000 seeded faults of donors under remote memory
	@Tests/run faults

test-plugin: plugin ## the plugin's tests in C
	@Tests/run plugin

test-pager: pager ## the pager's tests in C
	@Tests/run pager

test-integration: build ## the numbered scripts on a lab cluster; needs root
	@Tests/run integration

test-rdma: build ## RDMA devices, and a node with real cores under cgroup v2, in a guest of QEMU's
	@.ci/install-packages .ci/packages-rdma || true
	@Tests/run rdma

test-packages: build ## the packages: built, looked at, installed, upgraded and purged in a Debian of their own; needs root
	@.ci/install-packages .ci/packages-packaging
	@Tests/run packages

test-systemd: build ## the packages under real systemd, in a guest of QEMU's; needs root
	@.ci/install-packages .ci/packages-packaging
	@.ci/install-packages .ci/packages-rdma || true
	@Tests/run systemd

demo: build ## three nodes, real jobs, real functions, in two minutes; needs root
	@lab/demo

bench: build ## measurements: a table, .build/bench/*.json and a drawing; ROWS="shm large" picks
	@Benchmarks/run $(ROWS)

bench-rdma: build ## the row of RDMA verbs alone: on RDMA devices, or in the guest of lab/rdma-vm
	@Benchmarks/run verbs

gate: build ## what one hot invocation executes, beside what is stored
	@Tests/run gate

screenshots: build ## the pictures of the web page in docs/screenshots; needs root and chromium
	@lab/screenshots

install: build ## install to DESTDIR and prefix
	+@$(MAKE) --no-print-directory install-tree
	.ci/install-site '$(DESTDIR)' '$(prefix)' '$(sysconfdir)'

# What was built, into DESTDIR; the site's own files are .ci/install-site's, or those of a package's scripts.
install-tree:
	install -D -s -m 755 -t $(DESTDIR)$(bindir) $(RELEASE)/fallow
	install -D -s -m 755 -t $(DESTDIR)$(sbindir) $(RELEASE)/fallowd $(RELEASE)/fallowctld
	install -D -s -m 755 -t $(DESTDIR)$(libexecdir) $(RELEASE)/fallow-executor $(RELEASE)/fallow-donor $(RELEASE)/fallow-slurm-reader
	install -D -s -m 644 $(RELEASE)/libfallow-c.so $(DESTDIR)$(libdir)/libfallow.so.0
	ln -sf libfallow.so.0 $(DESTDIR)$(libdir)/libfallow.so
	install -D -s -m 644 -t $(DESTDIR)$(libdir) .build/pager/libfallow-pager.so.1
	ln -sf libfallow-pager.so.1 $(DESTDIR)$(libdir)/libfallow-pager.so
	install -D -s -m 644 -t $(DESTDIR)$(preloaddir) .build/pager/libfallow-preload.so
	install -D -m 644 -t $(DESTDIR)$(includedir) pager/include/fallow_pager.h
	install -D -m 644 -t $(DESTDIR)$(includedir) Sources/CFallow/include/fallow.h
	install -D -s -m 644 -t $(DESTDIR)$(SLURM_PLUGIN_DIR) .build/plugin/spank_fallow.so
	.ci/make-manual $(RELEASE) .build/man
	for page in .build/man/*; do install -D -m 644 -t $(DESTDIR)$(prefix)/share/man/man$${page##*.} $$page || exit; done
	install -d $(DESTDIR)$(unitdir)
	for unit in fallow.slice fallowd.service fallowctld.service; do \
		sed 's|@prefix@|$(prefix)|g' systemd/$$unit >$(DESTDIR)$(unitdir)/$$unit && chmod 644 $(DESTDIR)$(unitdir)/$$unit || exit; done
	install -D -m 644 systemd/fallow.sysusers $(DESTDIR)$(prefix)/lib/sysusers.d/fallow.conf
	install -D -m 644 systemd/fallow.tmpfiles $(DESTDIR)$(prefix)/lib/tmpfiles.d/fallow.conf
	.ci/install-vendor '$(DESTDIR)' '$(prefix)'

uninstall: ## remove what install installed; the site's own configuration stays
	rm -f $(DESTDIR)$(bindir)/fallow $(DESTDIR)$(sbindir)/fallowd $(DESTDIR)$(sbindir)/fallowctld
	rm -f $(DESTDIR)$(libexecdir)/fallow-donor $(DESTDIR)$(libexecdir)/fallow-slurm-reader
	rm -f $(DESTDIR)$(libexecdir)/fallow-executor $(DESTDIR)$(libdir)/libfallow.so $(DESTDIR)$(libdir)/libfallow.so.0
	rm -f $(DESTDIR)$(preloaddir)/libfallow-preload.so $(DESTDIR)$(libdir)/libfallow-pager.so $(DESTDIR)$(libdir)/libfallow-pager.so.1 $(DESTDIR)$(includedir)/fallow_pager.h
	rm -f $(DESTDIR)$(includedir)/fallow.h $(DESTDIR)$(SLURM_PLUGIN_DIR)/spank_fallow.so
	rm -f $(DESTDIR)$(unitdir)/fallow.slice $(DESTDIR)$(unitdir)/fallowd.service $(DESTDIR)$(unitdir)/fallowctld.service
	rm -f $(DESTDIR)$(prefix)/lib/sysusers.d/fallow.conf $(DESTDIR)$(prefix)/lib/tmpfiles.d/fallow.conf
	rm -f $(DESTDIR)$(prefix)/share/man/man1/fallow.1 $(DESTDIR)$(prefix)/share/man/man1/fallow-*.1
	rm -f $(DESTDIR)$(prefix)/share/man/man5/fallow.yaml.5 $(DESTDIR)$(prefix)/share/man/man8/fallowd.8 $(DESTDIR)$(prefix)/share/man/man8/fallowctld.8
	.ci/install-site --remove '$(DESTDIR)' '$(prefix)' '$(sysconfdir)'
	rm -rf $(DESTDIR)$(prefix)/share/fallow
	rmdir --ignore-fail-on-non-empty $(DESTDIR)$(libexecdir) 2>/dev/null || true

deb: build ## packages for Debian, to .build/deb
	@.ci/install-packages .ci/packages-packaging
	@packaging/build-deb .build/deb

rpm: build ## packages for RPM, to .build/rpm
	@.ci/install-packages .ci/packages-packaging
	@packaging/build-rpm .build/rpm

format: ## put the Swift sources into form
	$(SWIFT) format format --in-place -r $(SWIFT_SOURCES)

lint: $(STAMPS)/deps ## complain about form, of Swift and of shell scripts
	$(SWIFT) format lint --strict -r $(SWIFT_SOURCES)
	shellcheck --severity=warning $(SHELL_SCRIPTS)

docs: build ## the documentation as a site, to .build/docs; docs_base=/fallow where it is shown at https://server/fallow
	@.ci/install-packages .ci/packages-docs
	@.ci/build-site $(RELEASE) .build/docs
	@.ci/document-modules $(RELEASE)/Modules .build/docs/swift $(docs_base)/swift
	@.ci/site/check-links .build/docs

clean: ## remove everything that was built
	rm -rf .build
