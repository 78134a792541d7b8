/* SPDX-License-Identifier: MIT */
/*
 * main.c - from the loader's information to the program
 *
 * The loader (qemu -kernel) gives the map of memory and the command line, as PVH has them.  The memory behind the image
 * is the machine's, as far as it goes without a hole and lies below the devices.
 */
#include "machine/bare/main.h"

#include <stdint.h>

#include "base/check.h"
#include "machine/bare/console.h"
#include "machine/bare/cpus.h"
#include "machine/bare/frames.h"
#include "machine/bare/process.h"
#include "machine/bare/threads.h"

#define PVH_MAGIC   UINT32_C(0x336ec578)
#define MAP_RAM	    1u
#define DEVICES	    UINT64_C(0xc0000000)
#define CPUS_WANTED 4u

struct start_information {
	uint32_t magic, version, flags, modules_nr;
	uint64_t modules, command_line, rsdp;
	uint64_t map; /* physical addresses, which are mapped to themselves */
	uint32_t map_nr, reserved;
};

struct map_entry {
	uint64_t start, bytes;
	uint32_t kind, reserved;
};

extern char image_end[];
extern void (*const init_start[])(void), (*const init_end[])(void);

_Noreturn void boot_main(const struct start_information *information);

static void find_memory(const struct start_information *information)
{
	const struct map_entry *map = (const struct map_entry *)information->map;
	uintptr_t image = (uintptr_t)image_end;

	for (uint32_t i = 0; i < information->map_nr; i++) {
		uint64_t end = map[i].start + map[i].bytes;

		if (map[i].kind == MAP_RAM && map[i].start <= image && image < end) {
			frames_begin(image, end < DEVICES ? end : DEVICES);
			return;
		}
	}
	console_print("quire: no memory behind the image\n");
	console_end(CONSOLE_FAILED);
}

static void run(void *arg)
{
	(void)arg;
	for (void (*const *constructor)(void) = init_start; constructor < init_end; constructor++)
		(*constructor)();
	console_end(bare_main() == 0 ? CONSOLE_OK : CONSOLE_FAILED);
}

/* Until the CPU's words exist, not even a CHECK could say where it is. */
void boot_main(const struct start_information *information)
{
	cpus_begin();
	console_begin();
	CHECK_VALUES(information->magic == PVH_MAGIC, information->magic, PVH_MAGIC);
	process_set_command_line((char *)information->command_line);
	find_memory(information);
	cpus_start_others(CPUS_WANTED);
	threads_begin(run);
}
