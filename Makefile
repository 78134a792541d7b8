# SPDX-License-Identifier: MIT
# A thin door to meson and ninja; the build is described in meson.build.

B = build
# make install PREFIX=/opt/quire; the default is meson's, /usr/local
PREFIX =

all: $(B)/build.ninja
	@ninja -C $(B) --quiet

$(B)/build.ninja: | deps
	@meson setup $(B) >$(B).log 2>&1 || { cat $(B).log; exit 1; }
	@mv $(B).log $(B)/setup.log

deps:
	@scripts/install-deps build

# The command alone, and what it loads: a fifth of the steps of the whole.
command: $(B)/build.ninja
	@ninja -C $(B) --quiet command

# A program that needs much memory for a moment, on glibc's malloc() and on Quire's; then a recorded
# compile, recorded storms of vmalloc, and thousands of recorded cgroups made and removed, with our figures
# beside the kernel's.
run: command
	@PYTHONMALLOC=malloc $(B)/quire run --compare -- python3 examples/peak.py
	@echo
	@if [ -e traces/pages-build.katr.zst ]; then \
		$(B)/quire replay traces/pages-build.katr.zst traces/vmalloc-bpf.katr.zst \
			traces/percpu-cgroups-27k.katr.zst; \
	else \
		echo "no recordings here: they are in the repository, and not in what was packed"; \
	fi

test: all
	@meson test -C $(B) --no-rebuild --print-errorlogs -t 4

# What takes minutes.
soak: all
	@meson test -C $(B) --no-rebuild --print-errorlogs --setup soak --suite soak

# Real programs on libquire-malloc: their output and exit status are those on glibc.
preload: all
	@scripts/install-deps preload
	@meson test -C $(B) --no-rebuild --print-errorlogs --setup preload --suite preload

# AFL++ looks for sequences of malloc()'s calls whose answers are wrong, for half an hour.
fuzz:
	@scripts/install-deps fuzz
	@scripts/fuzz

# The sequences of aarch64 on a real arm64 kernel, two CPUs, in a system emulator.
aarch64-system:
	@scripts/install-deps aarch64 aarch64-system
	@scripts/aarch64-system

# The model and race tests as a kernel on four emulated CPUs, with page tables and interrupts of their own, for a minute.
bare: all
	@scripts/install-deps bare || true
	@scripts/bare $(B)

# Each rule broken on purpose must be seen by a scenario.
mutants: all
	@$(B)/quire-explore --mutants

# Each lock, barrier and recheck taken away, one at a time: what sees it.  Hours, or `make sweep ONLY=page/free.c`.
sweep: all
	@scripts/sweep --build $(B) --survivors $(addprefix --only ,$(ONLY))

bench: all
	@scripts/install-deps bench
	@meson test -C $(B) --no-rebuild --benchmark --verbose

# The documents and the manual pages as a folder of HTML: build/site.
site: all
	@scripts/install-deps site
	@scripts/site $(B) $(B)/site

install: all
	@$(if $(PREFIX),meson configure $(B) --prefix=$(PREFIX))
	@meson install -C $(B)

format:
	@scripts/install-deps format
	@scripts/format

clean:
	@rm -rf $(B)

.PHONY: all deps command run test soak preload fuzz aarch64-system bare mutants sweep bench site install format clean
