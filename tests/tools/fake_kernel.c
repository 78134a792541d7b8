/* SPDX-License-Identifier: MIT */
#include "fake_kernel.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "shell.h"

#define PAGE_BYTES   4096u
#define HEADER_BYTES 16u

/* Of each event; of a stack: its callers, from 16 on. */
#define PAYLOAD_BYTES 64u
#define CALLERS_NR    3u
#define STACK_BYTES   (16u + CALLERS_NR * (unsigned)sizeof(unsigned long))

/* Where a text lies that a field only points to. */
#define TEXT_OFFSET 40u

/* In the count of a page's bytes. */
#define MISSED_EVENTS (UINT64_C(1) << 31)
#define MISSED_STORED (UINT64_C(1) << 30)

const struct fake_format fake_formats[FAKE_FORMATS_NR] = {
	[FAKE_PAGE_ALLOC] = { "kmem",
			      "mm_page_alloc",
			      71,
			      { { "int", "migratetype", 8, 4 },
				{ "unsigned int", "order", 12, 4 },
				{ "unsigned long", "gfp_flags", 16, 8 },
				{ "unsigned long", "pfn", 24, 8 } } },
	[FAKE_PAGE_FREE] = { "kmem",
			     "mm_page_free",
			     72,
			     { { "unsigned int", "order", 8, 4 },
			       { "unsigned long", "pfn", 16, 8 } } },
	[FAKE_PAGE_FREE_BATCHED] = { "kmem",
				     "mm_page_free_batched",
				     70,
				     { { "unsigned long", "pfn", 16, 8 } } },
	[FAKE_PERCPU_ALLOC] = { "percpu",
				"percpu_alloc_percpu",
				80,
				{ { "void *", "ptr", 8, 8 },
				  { "void *", "base_addr", 16, 8 },
				  { "int", "off", 24, 4 },
				  { "bool", "is_atomic", 28, 1 },
				  { "size_t", "align", 32, 8 },
				  { "size_t", "size", 40, 8 },
				  { "unsigned long", "call_site", 48, 8 } } },
	[FAKE_PERCPU_FREE] = { "percpu", "percpu_free_percpu", 81, { { "void *", "ptr", 8, 8 } } },
	[FAKE_VMAP_ALLOC] = { "vmalloc",
			      "alloc_vmap_area",
			      90,
			      { { "int", "failed", 8, 4 },
				{ "unsigned long", "size", 16, 8 },
				{ "unsigned long", "addr", 24, 8 },
				{ "unsigned long", "vend", 32, 8 },
				{ "unsigned long", "vstart", 40, 8 },
				{ "unsigned long", "align", 48, 8 } } },
	[FAKE_VMAP_FREE] = { "vmalloc",
			     "free_vmap_area_noflush",
			     91,
			     { { "unsigned long", "va_start", 8, 8 } } },
	[FAKE_TASK_RENAME] = { "task",
			       "task_rename",
			       60,
			       { { "pid_t", "pid", 8, 4 }, { "char", "newcomm[16]", 12, 16 } } },
	[FAKE_PRINT] = { "ftrace",
			 "print",
			 5,
			 { { "unsigned long", "ip", 8, 8 }, { "char", "buf[]", 16, 0 } } },
	/* Fewer come than there is room for. */
	[FAKE_STACK] = { "ftrace",
			 "kernel_stack",
			 4,
			 { { "unsigned long", "caller[8]", 16, 64 } } },
	[FAKE_CACHE_ALLOC] = { "kmem",
			       "kmem_cache_alloc",
			       74,
			       { { "__data_loc char[]", "name", 8, 4 },
				 { "size_t", "bytes_req", 16, 8 },
				 { "size_t", "bytes_alloc", 24, 8 },
				 { "const void *", "ptr", 32, 8 } } },
	[FAKE_CACHE_FREE] = { "kmem", "kmem_cache_free", 75, { { "const void *", "ptr", 8, 8 } } },
};

static void require(bool is_right, const char *what)
{
	if (!is_right) {
		fprintf(stderr, "fake_kernel: %s: %s\n", what, strerror(errno));
		abort();
	}
}

void fake_init(struct fake_kernel *kernel)
{
	*kernel = (struct fake_kernel){ .directory = "/tmp/fake_kernel.XXXXXX" };
	require(mkdtemp(kernel->directory) != NULL, kernel->directory);
}

void fake_fini(struct fake_kernel *kernel)
{
	require(shell_remove(kernel->directory) == 0, kernel->directory);
	for (unsigned cpu = 0; cpu < FAKE_CPUS_NR; cpu++)
		bytes_free(&kernel->pages[cpu]);
}

/* ---- raw pages -------------------------------------------------------------------------------- */

static uint64_t *page_word(struct fake_kernel *kernel, uint32_t cpu, unsigned word)
{
	return (uint64_t *)(void *)(kernel->pages[cpu].data + kernel->begin[cpu]) + word;
}

static void pad_page(struct fake_kernel *kernel, uint32_t cpu)
{
	while (kernel->pages[cpu].nr % PAGE_BYTES != 0)
		bytes_put_byte(&kernel->pages[cpu], 0);
}

static void begin_page(struct fake_kernel *kernel, uint32_t cpu, uint64_t ns)
{
	uint64_t header[2] = { ns, 0 };

	pad_page(kernel, cpu);
	kernel->begin[cpu] = kernel->pages[cpu].nr;
	bytes_put(&kernel->pages[cpu], header, sizeof(header));
	kernel->ns[cpu] = ns;
}

static void put_field(uint8_t *payload, const struct fake_field *field, uint64_t value)
{
	const void *from = (const void *)(uintptr_t)value;

	if (strncmp(field->type, "__data_loc", strlen("__data_loc")) == 0) {
		size_t text_bytes = strlen(from) + 1;

		memcpy(payload + TEXT_OFFSET, from, text_bytes);
		value = TEXT_OFFSET | text_bytes << 16;
		memcpy(payload + field->offset, &value, field->bytes_nr);
	} else if (strcmp(field->name, "caller[8]") == 0) {
		memcpy(payload + field->offset, from, CALLERS_NR * sizeof(unsigned long));
	} else if (strchr(field->name, '[') != NULL) {
		strcpy((char *)payload + field->offset, from);
	} else {
		memcpy(payload + field->offset, &value, field->bytes_nr);
	}
}

void fake_event(struct fake_kernel *kernel, struct fake_event event)
{
	const struct fake_format *format = &fake_formats[event.format];
	struct bytes *pages = &kernel->pages[event.cpu];
	uint8_t payload[PAYLOAD_BYTES] = { 0 };
	uint16_t id = (uint16_t)format->id;
	uint32_t head;

	memcpy(payload, &id, 2);
	payload[2] = event.flags;
	memcpy(payload + 4, &event.pid, 4);
	for (unsigned i = 0; format->fields[i].name != NULL; i++)
		put_field(payload, &format->fields[i], event.values[i]);
	size_t bytes_nr = event.format == FAKE_STACK ? STACK_BYTES : PAYLOAD_BYTES;

	if (pages->nr == 0 ||
	    pages->nr - kernel->begin[event.cpu] + 4 + sizeof(payload) > PAGE_BYTES)
		begin_page(kernel, event.cpu, event.ns);
	/* Length in words, and the time since the event before. */
	head = (uint32_t)(bytes_nr / 4) | (uint32_t)(event.ns - kernel->ns[event.cpu]) << 5;
	bytes_put(pages, &head, 4);
	bytes_put(pages, payload, bytes_nr);
	kernel->ns[event.cpu] = event.ns;
	*page_word(kernel, event.cpu, 1) = pages->nr - kernel->begin[event.cpu] - HEADER_BYTES;
}

void fake_lose(struct fake_kernel *kernel, uint32_t cpu, uint64_t ns, uint64_t lost_nr)
{
	struct fake_event event = { .format = FAKE_PRINT, .cpu = cpu, .ns = ns };

	event.values[1] = (uint64_t)(uintptr_t) "after a loss";
	begin_page(kernel, cpu, ns);
	fake_event(kernel, event);
	*page_word(kernel, cpu, 1) |= MISSED_EVENTS | MISSED_STORED;
	/* The number follows the page's events. */
	bytes_put(&kernel->pages[cpu], &lost_nr, sizeof(lost_nr));
	kernel->begin[cpu] = kernel->pages[cpu].nr;
	pad_page(kernel, cpu);
}

/* ---- files ------------------------------------------------------------------------------------ */

/* A file of the directory, with the folders that lead to it. */
__attribute__((format(printf, 3, 4))) static void put_file(const struct fake_kernel *kernel,
							   const char *text, const char *format,
							   ...)
{
	char path[256];
	va_list arguments;
	int nr = snprintf(path, sizeof(path), "%s/", kernel->directory);
	struct bytes bytes = { .nr = 0 };

	va_start(arguments, format);
	vsnprintf(path + nr, sizeof(path) - (size_t)nr, format, arguments);
	va_end(arguments);
	for (char *slash = path + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
		*slash = '\0';
		require(mkdir(path, 0777) == 0 || errno == EEXIST, path);
		*slash = '/';
	}
	bytes_put(&bytes, text, strlen(text));
	file_write(path, &bytes);
	bytes_free(&bytes);
}

static void put_format(const struct fake_kernel *kernel, const struct fake_format *format)
{
	char text[2048];
	size_t nr = (size_t)snprintf(
		text, sizeof(text),
		"name: %s\nID: %u\nformat:\n"
		"\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n"
		"\tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;\n"
		"\tfield:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;\n"
		"\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n",
		format->name, format->id);

	for (const struct fake_field *field = format->fields; field->name != NULL; field++)
		nr += (size_t)snprintf(text + nr, sizeof(text) - nr,
				       "\tfield:%s %s;\toffset:%u;\tsize:%u;\tsigned:%d;\n",
				       field->type, field->name, field->offset, field->bytes_nr,
				       strcmp(field->type, "int") == 0);
	snprintf(text + nr, sizeof(text) - nr, "\nprint fmt: \"\"\n");
	put_file(kernel, text, "trace/events/%s/%s/format", format->system, format->name);
}

static void put_formats(const struct fake_kernel *kernel)
{
	put_file(kernel,
		 "\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;\n"
		 "\tfield: local_t commit;\toffset:8;\tsize:8;\tsigned:1;\n"
		 "\tfield: int overwrite;\toffset:8;\tsize:1;\tsigned:1;\n"
		 "\tfield: char data;\toffset:16;\tsize:4080;\tsigned:0;\n",
		 "trace/events/header_page");
	for (unsigned i = 0; i < FAKE_FORMATS_NR; i++)
		if ((kernel->without >> i & 1) == 0)
			put_format(kernel, &fake_formats[i]);
}

static void put_figures(const struct fake_kernel *kernel)
{
	put_file(kernel,
		 "MemTotal:     1000 kB\nActive(anon):  7 kB\nVmallocUsed: 44 kB\n"
		 "Percpu:       55 kB\n",
		 "proc/meminfo");
	put_file(kernel, "Node 0, zone   Normal  1 2 3 4 5 6 7 8 9 10 11 \n", "proc/buddyinfo");
	put_file(kernel,
		 "Node 0, zone   Normal\n  per-node stats\n      nr_free_cma 0\n"
		 "  pages free     321\n        boost    0\n        min      10\n        low      "
		 "13\n"
		 "        high     16\n        spanned  4095\n        present  3998\n"
		 "        managed  3840\n  pagesets\n"
		 "    cpu: 0\n              count:    6\n              high:     14\n"
		 "              batch:    1\n"
		 "    cpu: 1\n              count:    5\n              high:     14\n"
		 "              batch:    1\n",
		 "proc/zoneinfo");
	put_file(kernel, "nr_free_pages 321\npgfault 9\n", "proc/vmstat");
	put_file(kernel,
		 "0x00000000a-0x00000000b   20480 f+0x1/0x2 pages=4 vmalloc\n"
		 "0x00000000b-0x00000000c    8192 unpurged vm_area\n",
		 "proc/vmallocinfo");
	put_file(kernel,
		 "ffffffff81000000 T first_site\nffffffff81000100 t second_site\n"
		 "ffffffff81000200 t alloc_vmap_area\nffffffff81000300 T __vmalloc_node_noprof\n",
		 "proc/kallsyms");
	put_file(kernel, "worker\n", "proc/40/comm");
}

void fake_write(struct fake_kernel *kernel, pid_t pid)
{
	static const char *const files[] = { "tracing_on", "trace_clock", "buffer_size_kb",
					     "trace_marker" };
	char path[256];

	put_formats(kernel);
	put_figures(kernel);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		put_file(kernel, "", "trace/instances/quire-%d/%s", (int)pid, files[i]);
	for (unsigned i = 0; i < FAKE_FORMATS_NR; i++)
		if ((kernel->without >> i & 1) == 0)
			put_file(kernel, "0", "trace/instances/quire-%d/events/%s/%s/enable",
				 (int)pid, fake_formats[i].system, fake_formats[i].name);
	put_file(kernel, "", "trace/instances/quire-%d/events/vmalloc/alloc_vmap_area/trigger",
		 (int)pid);
	for (unsigned cpu = 0; cpu < FAKE_CPUS_NR; cpu++) {
		put_file(kernel, "entries: 0\noverrun: 0\n",
			 "trace/instances/quire-%d/per_cpu/cpu%u/stats", (int)pid, cpu);
		pad_page(kernel, cpu);
		snprintf(path, sizeof(path),
			 "%s/trace/instances/quire-%d/per_cpu/cpu%u/trace_pipe_raw",
			 kernel->directory, (int)pid, cpu);
		file_write(path, &kernel->pages[cpu]);
	}
}
