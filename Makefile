# The few commands a person needs. CMake and Ninja do the work (CMakeLists.txt); tools/setup says what is installed and why.
BUILD ?= build
JOBS ?= $(shell nproc)
export BUILD

.PHONY: build run demo test lint bench soak fuzz interop deb test-deb afternoon setup clean

build: $(BUILD)/build.ninja ui/dist/index.html
	@ninja -C $(BUILD)

ui/dist/index.html: ui/index.html ui/package-lock.json ui/vite.config.ts ui/tools/types.mjs docs/openapi.json $(wildcard ui/src/*.ts ui/src/*.tsx ui/src/*.css ui/src/*/*.ts)
	@tools/setup build
	@cd ui && { npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null || \
	    { echo "make: npm could not fetch the page's packages (ui/package-lock.json); can this machine reach npm's registry?" >&2; false; }; }
	@cd ui && npm run --silent build -- --logLevel warn

$(BUILD)/build.ninja: CMakeLists.txt cmake/rooms.cmake
	@tools/setup build
	@cmake -G Ninja -S . -B $(BUILD) $(if $(ONNXRUNTIME_ROOT),-DONNXRUNTIME_ROOT=$(ONNXRUNTIME_ROOT)) >/dev/null

setup:
	@tools/setup

run:
	@tools/setup build
	@$(MAKE) --no-print-directory build
	@$(BUILD)/hilum serve

demo:
	@tools/setup build test
	@$(MAKE) --no-print-directory build
	@HILUM=$(abspath $(BUILD))/hilum tests/demo.py $(if $(ONCE),--once)

test:
	@tools/setup build test
	@$(MAKE) --no-print-directory build
	@ctest --test-dir $(BUILD) --output-on-failure -j $(JOBS)

lint:
	@tools/setup build lint
	@tools/lint

bench:
	@tools/setup build test
	@$(MAKE) --no-print-directory build
	@bench/run
	@bench/tls.py

soak:
	@tools/setup build test
	@$(MAKE) --no-print-directory build
	@HILUM=$(BUILD)/hilum /usr/bin/python3 tests/outside/soak_kill.py $(or $(KILLS),100) $(or $(SEED),1)
	@ninja -C $(BUILD) soak-powercut

# FUZZ: seconds and targets, as in FUZZ="60 reader"
fuzz:
	@tools/setup build test lint
	@tools/fuzz $(FUZZ)

# Other people's validators that come from npm by name: 0 complaints about what leaves as FHIR. And each SQL statement on two databases.
interop:
	@tools/setup build test interop
	@$(MAKE) --no-print-directory build
	@src/fhir/tests/interop.sh $(abspath $(BUILD))
	@tests/interop/statements.py
	@tests/interop/rsyslog.py
	@tests/interop/clients.py
	@tests/interop/keycloak.py
	@tests/interop/at_rest.py

# The package for Debian 12 (docs/install.md).
deb:
	@tools/setup build
	@$(MAKE) --no-print-directory build
	@tools/deb $(BUILD)

# The package's whole life in a clean Debian; needs root and Debian's mirror.
test-deb: deb
	@tools/setup interop
	@BUILD=$(BUILD) /usr/bin/python3 tests/interop/deb.py

# An IT department's afternoon with the package, in a clean Debian and a network of its own; needs root and Debian's mirror.
afternoon:
	@tools/setup build test interop
	@$(MAKE) --no-print-directory build
	@BUILD=$(BUILD) tests/outside/afternoon.py

clean:
	@rm -rf $(BUILD)
