/* SPDX-License-Identifier: MIT */
/*
 * start_test.c - programs whose malloc is Quire, in surroundings that are unkind to it
 *
 * Each test confines a child and has it execute a program (uses.c, early.c) with the library preloaded, or one
 * that is linked with quire-malloc.o.  Confined before the exec, the library finds it so when it begins.
 * QUIRE_PROGRAMS is the directory of the programs, QUIRE_MALLOC the library.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <malloc.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "confine.h"
#include "quire_test.h"

#define SYSTEM_REFUSES 6

struct run {
	const char *program, *way;
	void (*confine)(void);
	const char *variable, *value;
	bool linked; /* not preloaded */
};

static const char *programs(void)
{
	const char *directory = getenv("QUIRE_PROGRAMS");

	assert_non_null(directory);
	return directory;
}

/* Runs it with standard error in @text; returns the wait status. */
static int status_of(const struct run *run, char *text, size_t text_bytes)
{
	char path[512];
	int ends[2], status;
	ssize_t got;
	size_t n = 0;
	pid_t child;

	snprintf(path, sizeof(path), "%s/%s%s", programs(), run->program,
		 run->linked ? "_linked" : "");
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	child = child_fork();
	if (child == 0) {
		dup2(ends[1], 2);
		if (!run->linked)
			setenv("LD_PRELOAD", getenv("QUIRE_MALLOC"), 1);
		if (run->variable != NULL)
			setenv(run->variable, run->value, 1);
		if (run->confine != NULL)
			run->confine();
		execl(path, path, run->way, (char *)NULL);
		_exit(127);
	}
	close(ends[1]);
	while ((got = read(ends[0], text + n, text_bytes - 1 - n)) > 0)
		n += (size_t)got;
	text[n] = '\0';
	close(ends[0]);
	status = child_wait(child);
	return status;
}

static void expect_served(struct run run)
{
	char text[4096];
	int status;

	for (unsigned linked = 0; linked < 2; linked++) {
		run.linked = linked != 0;
		status = status_of(&run, text, sizeof(text));
		if (WIFEXITED(status) && WEXITSTATUS(status) == SYSTEM_REFUSES)
			skip_because("the system permits no such thing");
		if (status != 0)
			printf("%s%s %s: status %#x\n%s", run.program, linked ? "_linked" : "",
			       run.way, (unsigned)status, text);
		assert_int_equal(status, 0);
	}
}

/* ---- times -------------------------------------------------------------------------------------- */

static void it_serves_from_the_first_resolver_to_the_last_destructor(void **state)
{
	static const char *const ways[] = { "return", "exit", "quick_exit", "pthread_exit" };

	(void)state;
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		expect_served((struct run){ .program = "malloc_early", .way = ways[i] });
}

/* Each function is bound before the program begins. */
static void it_serves_where_all_is_bound_at_once(void **state)
{
	(void)state;
	expect_served((struct run){ .program = "malloc_early",
				    .way = "exit",
				    .variable = "LD_BIND_NOW",
				    .value = "1" });
}

static void it_serves_plain_programs(void **state)
{
	(void)state;
	expect_served((struct run){ .program = "malloc_uses", .way = "plainly" });
	expect_served((struct run){ .program = "malloc_uses", .way = "threads" });
	expect_served((struct run){ .program = "malloc_uses", .way = "without_environment" });
}

static void it_leaves_no_descriptor_open(void **state)
{
	(void)state;
	expect_served((struct run){ .program = "malloc_uses", .way = "leaves_descriptors" });
}

/* ---- the system ---------------------------------------------------------------------------------- */

static void limit_addresses(void)
{
	confine_limit(RLIMIT_AS, MIB(32));
}

static void it_serves_in_32_MiB_of_addresses(void **state)
{
	(void)state;
	skip_if_sanitized();
	expect_served((struct run){
		.program = "malloc_uses", .way = "little", .confine = limit_addresses });
	expect_served((struct run){
		.program = "malloc_uses", .way = "to_the_end", .confine = limit_addresses });
}

static void it_refuses_at_the_limit_and_recovers(void **state)
{
	(void)state;
	expect_served((struct run){ .program = "malloc_uses",
				    .way = "to_the_end",
				    .variable = "QUIRE_CONF",
				    .value = "limit:64m" });
}

static void it_serves_threads_with_small_stacks(void **state)
{
	(void)state;
	skip_if_sanitized();
	expect_served((struct run){ .program = "malloc_uses", .way = "small_stacks" });
}

static void it_serves_where_memory_is_locked(void **state)
{
	(void)state;
	expect_served((struct run){ .program = "malloc_uses", .way = "locked" });
}

static void it_serves_without_descriptors(void **state)
{
	(void)state;
	expect_served((struct run){ .program = "malloc_uses", .way = "without_descriptors" });
}

static void close_streams(void)
{
	for (int fd = 0; fd < 3; fd++)
		close(fd);
}

static void it_takes_no_standard_stream(void **state)
{
	(void)state;
	expect_served((struct run){ .program = "malloc_uses",
				    .way = "without_streams",
				    .confine = close_streams,
				    .variable = "QUIRE_CONF",
				    .value = "nonsense:1" });
}

static void run_on_the_last_cpu(void)
{
	int cpu = -1, next;
	cpu_set_t set;

	for (unsigned from = 0; (next = allowed_cpu_next(from)) >= 0; from = (unsigned)next + 1)
		cpu = next;
	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	(void)sched_setaffinity(0, sizeof(set), &set);
}

static void it_serves_on_one_cpu(void **state)
{
	(void)state;
	expect_served((struct run){
		.program = "malloc_uses", .way = "threads", .confine = run_on_the_last_cpu });
}

static void it_serves_without_rseq(void **state)
{
	(void)state;
	expect_served((struct run){ .program = "malloc_uses",
				    .way = "threads",
				    .variable = "GLIBC_TUNABLES",
				    .value = "glibc.pthread.rseq=0" });
	expect_served((struct run){ .program = "malloc_uses",
				    .way = "threads",
				    .variable = "QUIRE_CONF",
				    .value = "rseq:off" });
}

static void deny_rseq(void)
{
	confine_deny(SYS_rseq, ENOSYS);
}

static void deny_fences(void)
{
	confine_deny(SYS_membarrier, EPERM);
}

static void deny_vectors(void)
{
	confine_deny(SYS_process_madvise, EPERM);
}

static void deny_names(void)
{
	confine_deny(SYS_prctl, EPERM);
}

static void deny_advice(void)
{
	confine_deny(SYS_madvise, EINVAL);
}

static void deny_threads(void)
{
	confine_deny(SYS_clone3, EPERM);
}

static void it_serves_where_calls_are_denied(void **state)
{
	static void (*const denials[])(void) = { deny_rseq, deny_fences, deny_vectors, deny_names,
						 deny_advice };

	(void)state;
	skip_if_sanitized();
	for (size_t i = 0; i < sizeof(denials) / sizeof(denials[0]); i++)
		expect_served((struct run){
			.program = "malloc_uses", .way = "threads", .confine = denials[i] });
	expect_served((struct run){
		.program = "malloc_uses", .way = "plainly", .confine = deny_threads });
}

static void hide_proc(void)
{
	if (!confine_hide("/proc") || !confine_hide("/sys"))
		_exit(SYSTEM_REFUSES);
}

static void it_serves_without_proc_and_sys(void **state)
{
	(void)state;
	expect_served(
		(struct run){ .program = "malloc_uses", .way = "threads", .confine = hide_proc });
}

/* ---- options -------------------------------------------------------------------------------------- */

static void expect_warning(const char *variable, const char *value, const char *line)
{
	struct run run = {
		.program = "malloc_uses", .way = "little", .variable = variable, .value = value
	};
	char text[4096];

	assert_int_equal(status_of(&run, text, sizeof(text)), 0);
	assert_string_equal(text, line);
}

static void a_wrong_option_is_a_warning(void **state)
{
	(void)state;
	expect_warning(
		"QUIRE_CONF", "limt:64m",
		"quire: unknown option \"limt\" at 1: did you mean \"limit\"? in QUIRE_CONF; "
		"ignored\n");
	expect_warning(
		"QUIRE_MALLOC_CONF", "rseq:maybe,decay:0",
		"quire: bad value \"maybe\" for option \"rseq\" at 6: expected on or off; did "
		"you mean \"on\"? in QUIRE_MALLOC_CONF; ignored\n"
		"quire: bad value \"0\" for option \"decay\" at 7: expected 1..86400000; the "
		"nearest is 1 in QUIRE_MALLOC_CONF; ignored\n");
	expect_warning("QUIRE_CONF", "decay:50", "");
}

/* The rest of the text counts. */
static void options_beside_a_wrong_one_are_used(void **state)
{
	struct run run = { .program = "malloc_uses",
			   .way = "to_the_end",
			   .variable = "QUIRE_MALLOC_CONF",
			   .value = "what:1,limit:64m,why:2" };
	char text[4096];

	(void)state;
	assert_int_equal(status_of(&run, text, sizeof(text)), 0);
	assert_non_null(strstr(text, "\"what\""));
	assert_non_null(strstr(text, "\"why\""));
}

/* ---- other ways to load it ------------------------------------------------------------------------ */

/* In a program with another malloc: each block goes back where it came from. */
static void use_by_name(void *library)
{
	void *(*alloc)(size_t bytes) = (void *(*)(size_t bytes))dlsym(library, "malloc");
	void (*give_back)(void *block) = (void (*)(void *block))dlsym(library, "free");
	void *blocks[100];

	assert_non_null(alloc);
	assert_non_null(give_back);
	for (size_t i = 0; i < 100; i++) {
		blocks[i] = alloc(1 + i * 1000);
		assert_non_null(blocks[i]);
		memset(blocks[i], 1, 1 + i * 1000);
	}
	for (size_t i = 0; i < 100; i++)
		give_back(blocks[i]);
}

static void it_can_be_loaded_while_the_program_runs(void **state)
{
	void *library = dlopen(getenv("QUIRE_MALLOC"), RTLD_NOW | RTLD_LOCAL);

	(void)state;
	assert_non_null(library);
	use_by_name(library);
	dlclose(library);
	library = dlopen(getenv("QUIRE_MALLOC"), RTLD_NOW | RTLD_LOCAL);
	assert_non_null(library);
	use_by_name(library);
	dlclose(library);
}

static void it_can_be_loaded_into_a_namespace(void **state)
{
	void *library = dlmopen(LM_ID_NEWLM, getenv("QUIRE_MALLOC"), RTLD_NOW);

	(void)state;
	skip_if_sanitized();
	if (library == NULL)
		skip_because(dlerror());
	use_by_name(library);
	dlclose(library);
}

static void it_serves_beside_an_auditor(void **state)
{
	(void)state;
	expect_served((struct run){ .program = "malloc_early",
				    .way = "exit",
				    .variable = "LD_AUDIT",
				    .value = getenv("QUIRE_AUDITOR") });
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_serves_from_the_first_resolver_to_the_last_destructor),
		cmocka_unit_test(it_serves_where_all_is_bound_at_once),
		cmocka_unit_test(it_serves_plain_programs),
		cmocka_unit_test(it_leaves_no_descriptor_open),
		cmocka_unit_test(it_serves_in_32_MiB_of_addresses),
		cmocka_unit_test(it_refuses_at_the_limit_and_recovers),
		cmocka_unit_test(it_serves_threads_with_small_stacks),
		cmocka_unit_test(it_serves_where_memory_is_locked),
		cmocka_unit_test(it_serves_without_descriptors),
		cmocka_unit_test(it_takes_no_standard_stream),
		cmocka_unit_test(it_serves_on_one_cpu),
		cmocka_unit_test(it_serves_without_rseq),
		cmocka_unit_test(it_serves_where_calls_are_denied),
		cmocka_unit_test(it_serves_without_proc_and_sys),
		cmocka_unit_test(a_wrong_option_is_a_warning),
		cmocka_unit_test(options_beside_a_wrong_one_are_used),
		cmocka_unit_test(it_can_be_loaded_while_the_program_runs),
		cmocka_unit_test(it_can_be_loaded_into_a_namespace),
		cmocka_unit_test(it_serves_beside_an_auditor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
