/* SPDX-License-Identifier: MIT */
/*
 * start_test.c - programs whose malloc is Quire, in surroundings that are unkind to it
 *
 * Each test confines a child and has it execute a program (uses.c, early.c) with the library preloaded, or one
 * that is linked with quire-malloc.o.  Confined before the exec, the library finds it so when it begins.
 * QUIRE_PROGRAMS is the directory of the programs, QUIRE_MALLOC the library, QUIRE_WRAPPER that of wrapper.c.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <malloc.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "calls.h"
#include "confine.h"
#include "quire_test.h"

#define SYSTEM_REFUSES 6

/* System calls of a program like "ls" from its first block on: 26, and 3 more where memory can have names.  uses.c has
 * the bound on memory. */
#define LIKE_LS_CALLS_MAX 29u

struct run {
	const char *program, *way;
	void (*confine)(void);
	const char *variable, *value;
	bool linked;	       /* not preloaded */
	const char *directory; /* NULL: QUIRE_PROGRAMS */
	const char *preload;   /* NULL: QUIRE_MALLOC */
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

	snprintf(path, sizeof(path), "%s/%s%s",
		 run->directory != NULL ? run->directory : programs(), run->program,
		 run->linked ? "_linked" : "");
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	child = child_fork();
	if (child == 0) {
		dup2(ends[1], 2);
		if (!run->linked)
			setenv("LD_PRELOAD",
			       run->preload != NULL ? run->preload : getenv("QUIRE_MALLOC"), 1);
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

/* Replaces itself, so that what is counted begins in the program. */
static void begin_like_ls(void *arg)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/malloc_uses%s", programs(), (const char *)arg);
	if (*(const char *)arg == '\0')
		setenv("LD_PRELOAD", getenv("QUIRE_MALLOC"), 1);
	execl(path, path, "like_ls", (char *)NULL);
	_exit(127);
}

static void a_small_program_costs_few_calls_and_little_memory(void **state)
{
	static char preloaded[] = "", linked[] = "_linked";
	char *const ways[] = { preloaded, linked };
	struct calls calls;

	(void)state;
	skip_if_sanitized();
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		if (!calls_count(begin_like_ls, ways[i], &calls))
			skip_because("no process may be traced here");
		if (WIFEXITED(calls.status) && WEXITSTATUS(calls.status) == SYSTEM_REFUSES)
			skip_because("the system permits no such thing");
		assert_int_equal(calls.status, 0);
		print_message("%u system calls\n", calls.nr);
		assert_in_range(calls.nr, 1, LIKE_LS_CALLS_MAX);
	}
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

/* ---- much ------------------------------------------------------------------------------------------ */

static void it_serves_with_1_TiB_of_addresses(void **state)
{
	(void)state;
	skip_if_sanitized();
	expect_served((struct run){ .program = "malloc_uses",
				    .way = "threads",
				    .variable = "QUIRE_CONF",
				    .value = "limit:1t,zones:8" });
}

static bool setting_write(const char *name, const char *value)
{
	char path[128];
	FILE *file;
	bool written;

	snprintf(path, sizeof(path), "/proc/sys/vm/%s", name);
	file = fopen(path, "w");
	if (file == NULL)
		return false;
	written = fputs(value, file) >= 0;
	return fclose(file) == 0 && written;
}

static void setting_read(const char *name, char *value, size_t bytes)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/sys/vm/%s", name);
	file = fopen(path, "r");
	assert_non_null(file);
	assert_non_null(fgets(value, (int)bytes, file));
	fclose(file);
}

#define KBYTES_NEVER_REACHED "1099511627776"
#define RATIO_OF_LINUX	     "50"

static struct {
	char mode[32], kbytes[32], ratio[32];
	bool changed;
} overcommit;

/* Runs however the test ends.  Writing the limit's kbytes or its ratio makes the other one 0. */
static int restore_overcommit(void **state)
{
	bool done;

	(void)state;
	if (!overcommit.changed)
		return 0;
	done = setting_write("overcommit_memory", overcommit.mode);
	if (strtoul(overcommit.ratio, NULL, 10) != 0)
		done = setting_write("overcommit_ratio", overcommit.ratio) && done;
	else if (strtoul(overcommit.kbytes, NULL, 10) != strtoul(KBYTES_NEVER_REACHED, NULL, 10))
		done = setting_write("overcommit_kbytes", overcommit.kbytes) && done;
	else /* another run of this test was at it */
		done = setting_write("overcommit_ratio", RATIO_OF_LINUX) && done;
	return done ? 0 : -1;
}

/*
 * The setting is the whole system's, so it is changed for a moment, and with a limit that nobody reaches: what is
 * looked at is which mappings are charged.  Where it is so anyhow nothing is changed; elsewhere somebody has to permit
 * it, since a test that is killed leaves it behind.
 */
static void it_is_charged_for_little_where_memory_is_never_overcommitted(void **state)
{
	(void)state;
	skip_if_sanitized();
	setting_read("overcommit_memory", overcommit.mode, sizeof(overcommit.mode));
	setting_read("overcommit_kbytes", overcommit.kbytes, sizeof(overcommit.kbytes));
	setting_read("overcommit_ratio", overcommit.ratio, sizeof(overcommit.ratio));
	if (overcommit.mode[0] != '2') {
		if (getenv("QUIRE_SYSTEM_SETTINGS") == NULL)
			skip_because("it changes the system: QUIRE_SYSTEM_SETTINGS=1 permits that");
		overcommit.changed = setting_write("overcommit_kbytes", KBYTES_NEVER_REACHED);
		if (!overcommit.changed || !setting_write("overcommit_memory", "2"))
			skip_because("/proc/sys/vm/overcommit_memory cannot be written");
	}
	expect_served((struct run){ .program = "malloc_uses", .way = "charged" });
}

/* ---- rights ----------------------------------------------------------------------------------------- */

#define NOBODY 65534

static void become_nobody(void)
{
	if (setgid(NOBODY) != 0 || setuid(NOBODY) != 0)
		_exit(SYSTEM_REFUSES);
}

static void copy_file(const char *from, const char *to, mode_t mode)
{
	char buffer[65536];
	int source = open(from, O_RDONLY), target = open(to, O_WRONLY | O_CREAT | O_EXCL, 0700);
	ssize_t n;

	assert_true(source >= 0);
	assert_true(target >= 0);
	while ((n = read(source, buffer, sizeof(buffer))) > 0)
		assert_int_equal(write(target, buffer, (size_t)n), n);
	assert_int_equal(n, 0);
	assert_int_equal(fchmod(target, mode), 0);
	close(source);
	close(target);
}

/* Runs a copy of the linked program, with these bits, as a user without rights. */
static int status_of_copy(mode_t mode, const char *way, char *text, size_t text_bytes)
{
	char directory[] = "/tmp/quire-start-XXXXXX", from[512], to[512];
	struct run run = { .program = "malloc_uses",
			   .way = way,
			   .confine = become_nobody,
			   .variable = "QUIRE_CONF",
			   .value = "limit:64m,nonsense:1",
			   .linked = true };
	int status;

	assert_non_null(mkdtemp(directory));
	assert_int_equal(chmod(directory, 0755), 0);
	snprintf(from, sizeof(from), "%s/malloc_uses_linked", programs());
	snprintf(to, sizeof(to), "%s/malloc_uses_linked", directory);
	copy_file(from, to, mode);
	run.directory = directory;
	status = status_of(&run, text, text_bytes);
	unlink(to);
	rmdir(directory);
	return status;
}

/* A set-user-ID program does not let its user say how much it may have, nor write to its standard error. */
static void with_another_users_rights_no_variable_is_read(void **state)
{
	char text[4096];
	int status;

	(void)state;
	if (geteuid() != 0)
		skip_because("needs to be root, to be somebody else");
	status = status_of_copy(04755, "privileged", text, sizeof(text));
	if (WIFEXITED(status) && WEXITSTATUS(status) == SYSTEM_REFUSES)
		skip_because("no set-user-ID programs in /tmp");
	assert_int_equal(status, 0);
	assert_string_equal(text, "");
	status = status_of_copy(0755, "unprivileged", text, sizeof(text));
	assert_int_equal(status, 0);
	assert_non_null(strstr(text, "\"nonsense\""));
}

/* ---- other mallocs ---------------------------------------------------------------------------------- */

/* Both libraries preloaded, in this order. */
static void expect_served_by_two(const char *first, const char *second, const char *way,
				 const char *line)
{
	char preload[1024], text[4096];
	struct run run = { .program = "malloc_uses", .way = way, .preload = preload };
	int status;

	snprintf(preload, sizeof(preload), "%s:%s", first, second);
	status = status_of(&run, text, sizeof(text));
	if (status != 0 || strcmp(text, line) != 0)
		printf("%s %s: status %#x\n%s", preload, way, (unsigned)status, text);
	assert_int_equal(status, 0);
	assert_string_equal(text, line);
}

static const char *const ways_beside_another[] = { "plainly", "threads", "arrays" };
#define WAYS_BESIDE (sizeof(ways_beside_another) / sizeof(ways_beside_another[0]))

/* In front it sees all calls and hands them on; behind it sees none. */
static void it_serves_beside_a_library_that_wraps_malloc(void **state)
{
	const char *quire = getenv("QUIRE_MALLOC"), *wrapper = getenv("QUIRE_WRAPPER");

	(void)state;
	skip_if_sanitized();
	for (size_t i = 0; i + 1 < WAYS_BESIDE; i++) {
		expect_served_by_two(wrapper, quire, ways_beside_another[i],
				     "wrapper: many calls\n");
		expect_served_by_two(quire, wrapper, ways_beside_another[i],
				     "wrapper: few calls\n");
	}
	expect_served_by_two(wrapper, quire, "arrays", "wrapper: many calls\n");
}

/* The first one serves, and the other has nothing to do.  jemalloc 5.3.0 has no reallocarray(). */
static void it_serves_beside_a_malloc_that_is_whole(void **state)
{
	static const char *const others[] = { "libjemalloc.so.2", "libmimalloc.so.2",
					      "libtcmalloc_minimal.so.4" };
	const char *quire = getenv("QUIRE_MALLOC");
	unsigned found_nr = 0;

	(void)state;
	skip_if_sanitized();
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		struct run run = { .program = "malloc_uses",
				   .way = "little",
				   .preload = others[i] };
		char text[4096];

		/* The loader says so if there is none. */
		if (status_of(&run, text, sizeof(text)) != 0 || text[0] != '\0')
			continue;
		found_nr++;
		for (size_t way = 0; way < WAYS_BESIDE; way++) {
			expect_served_by_two(others[i], quire, ways_beside_another[way], "");
			expect_served_by_two(quire, others[i], ways_beside_another[way], "");
		}
	}
	if (found_nr == 0)
		skip_because("no other malloc is installed");
}

/* ---- options -------------------------------------------------------------------------------------- */

/* What a program with an option writes to stderr, in @text. */
static void run_little(const char *variable, const char *value, char *text, size_t text_bytes)
{
	struct run run = {
		.program = "malloc_uses", .way = "little", .variable = variable, .value = value
	};

	assert_int_equal(status_of(&run, text, text_bytes), 0);
}

static void expect_warning(const char *variable, const char *value, const char *line)
{
	char text[4096];

	run_little(variable, value, text, sizeof(text));
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

static void a_profile_beside_what_looks_at_every_block_is_a_warning(void **state)
{
	char text[4096];

	(void)state;
	run_little("QUIRE_CONF", "profile:64k,debug:on", text, sizeof(text)); /* and what leaks */
	assert_ptr_equal(strstr(text, "quire: profile does not go with debug; ignored\n"), text);
	expect_warning("QUIRE_CONF", "hardened:on,profile:64k",
		       "quire: profile does not go with hardened; ignored\n");
	expect_warning("QUIRE_CONF", "sample:100,profile:64k",
		       "quire: profile does not go with sample; ignored\n");
	expect_warning("QUIRE_CONF", "profile:64k", "");
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

/* The longest that is read, so that nothing is left for the next variable. */
static void set_longest_conf(void)
{
	char text[4096];

	memset(text, '1', sizeof(text) - 1);
	memcpy(text, "decay:", strlen("decay:"));
	text[sizeof(text) - 1] = '\0';
	setenv("QUIRE_CONF", text, 1);
}

static void options_behind_the_longest_text_are_ignored(void **state)
{
	struct run run = { .program = "malloc_uses",
			   .way = "little",
			   .confine = set_longest_conf,
			   .variable = "QUIRE_MALLOC_CONF",
			   .value = "decay:50" };
	char text[4096];

	(void)state;
	assert_int_equal(status_of(&run, text, sizeof(text)), 0);
	assert_non_null(strstr(text, "for option \"decay\" at 7"));
	assert_non_null(strstr(text, "quire: too long a text in QUIRE_MALLOC_CONF; ignored\n"));
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
		cmocka_unit_test(a_small_program_costs_few_calls_and_little_memory),
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
		cmocka_unit_test(it_serves_with_1_TiB_of_addresses),
		cmocka_unit_test_teardown(
			it_is_charged_for_little_where_memory_is_never_overcommitted,
			restore_overcommit),
		cmocka_unit_test(with_another_users_rights_no_variable_is_read),
		cmocka_unit_test(it_serves_beside_a_library_that_wraps_malloc),
		cmocka_unit_test(it_serves_beside_a_malloc_that_is_whole),
		cmocka_unit_test(a_wrong_option_is_a_warning),
		cmocka_unit_test(a_profile_beside_what_looks_at_every_block_is_a_warning),
		cmocka_unit_test(options_beside_a_wrong_one_are_used),
		cmocka_unit_test(options_behind_the_longest_text_are_ignored),
		cmocka_unit_test(it_can_be_loaded_while_the_program_runs),
		cmocka_unit_test(it_can_be_loaded_into_a_namespace),
		cmocka_unit_test(it_serves_beside_an_auditor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
