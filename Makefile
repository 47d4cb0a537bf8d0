# The few commands a person needs. CMake and Ninja do the work (CMakeLists.txt); tools/setup says what is installed and why.
BUILD ?= build
JOBS ?= $(shell nproc)

.PHONY: build run demo test lint bench soak fuzz interop setup clean

build: $(BUILD)/build.ninja
	@ninja -C $(BUILD)

$(BUILD)/build.ninja: CMakeLists.txt cmake/rooms.cmake
	@tools/setup build run
	@cmake -G Ninja -S . -B $(BUILD) >/dev/null

setup:
	@tools/setup

run: build
	@tools/setup run
	@$(BUILD)/hilum serve

demo:
	@tools/setup build test run
	@$(MAKE) --no-print-directory build
	@tests/demo.py $(if $(ONCE),--once)

test:
	@tools/setup build test run
	@$(MAKE) --no-print-directory build
	@ctest --test-dir $(BUILD) --output-on-failure -j $(JOBS)

lint:
	@tools/setup build lint
	@tools/lint

bench:
	@tools/setup build test run
	@$(MAKE) --no-print-directory build
	@bench/run

clean:
	@rm -rf $(BUILD)
