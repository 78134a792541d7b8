/* SPDX-License-Identifier: MIT */
/*
 * operators_test.cc - new and delete in all their forms, on libquire++
 *
 * A program without cmocka, whose names clash with C++.  It prints what is wrong.
 */
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include <malloc.h>
#include <sys/wait.h>
#include <unistd.h>

static unsigned wrong_nr;

static void check(bool right, const char *what)
{
	if (right)
		return;
	std::printf("wrong: %s\n", what);
	wrong_nr++;
}

static volatile std::size_t too_much = SIZE_MAX / 2;
static unsigned handled_nr;

struct given_up {
};

static void handler_that_throws()
{
	handled_nr++;
	throw given_up();
}

static void handler_that_resigns()
{
	handled_nr++;
	std::set_new_handler(nullptr);
}

template <class F> static bool throws_bad_alloc(F make)
{
	try {
		make();
	} catch (const std::bad_alloc &) {
		return true;
	}
	return false;
}

static void a_refusal_throws_or_is_null()
{
	check(throws_bad_alloc([] { ::operator delete(::operator new(too_much)); }), "new throws");
	check(throws_bad_alloc([] { ::operator delete[](::operator new[](too_much)); }),
	      "new[] throws");
	check(throws_bad_alloc([] {
		      ::operator delete(::operator new(too_much, std::align_val_t(64)),
					std::align_val_t(64));
	      }),
	      "aligned new throws");
	check(::operator new(too_much, std::nothrow) == nullptr, "nothrow new is null");
	check(::operator new[](too_much, std::nothrow) == nullptr, "nothrow new[] is null");
	check(::operator new(too_much, std::align_val_t(64), std::nothrow) == nullptr,
	      "nothrow aligned new is null");
}

static void the_handler_is_called()
{
	bool caught = false;

	std::set_new_handler(handler_that_throws);
	try {
		::operator delete(::operator new(too_much));
	} catch (const given_up &) {
		caught = true;
	}
	check(caught && handled_nr == 1, "what the handler throws is passed on");
	check(::operator new(too_much, std::nothrow) == nullptr && handled_nr == 2,
	      "nothrow new catches what the handler throws");
	std::set_new_handler(handler_that_resigns);
	check(throws_bad_alloc([] { ::operator delete(::operator new(too_much)); }) &&
		      handled_nr == 3,
	      "without a handler it throws");
}

struct alignas(256) wide {
	char bytes[300];
};

static void every_form_pairs()
{
	for (std::size_t bytes = 0; bytes < 100000; bytes = bytes * 3 / 2 + 1) {
		std::align_val_t align = std::align_val_t(128);

		::operator delete(::operator new(bytes));
		::operator delete(::operator new(bytes), bytes);
		::operator delete[](::operator new[](bytes));
		::operator delete[](::operator new[](bytes), bytes);
		::operator delete(::operator new(bytes, std::nothrow), std::nothrow);
		::operator delete[](::operator new[](bytes, std::nothrow), std::nothrow);
		::operator delete(::operator new(bytes, align), align);
		::operator delete(::operator new(bytes, align), bytes, align);
		::operator delete[](::operator new[](bytes, align), align);
		::operator delete[](::operator new[](bytes, align), bytes, align);
		::operator delete(::operator new(bytes, align, std::nothrow), align, std::nothrow);
		::operator delete[](::operator new[](bytes, align, std::nothrow), align,
				    std::nothrow);
	}
	std::unique_ptr<wide> one(new wide);
	check(reinterpret_cast<std::uintptr_t>(one.get()) % 256 == 0, "aligned types are aligned");
	std::unique_ptr<wide[]> some(new wide[7]);
	check(reinterpret_cast<std::uintptr_t>(some.get()) % 256 == 0, "and arrays of them");
}

static void the_library_works_on_it()
{
	std::map<std::string, std::vector<int>> map;

	for (int i = 0; i < 2000; i++)
		map[std::to_string(i) + std::string(static_cast<std::size_t>(i % 100), 'x')].resize(
			static_cast<std::size_t>(i), i);
	for (const auto &entry : map)
		check(entry.second.empty() || entry.second.back() == entry.second.front(), "map");
}

static void a_wrong_size_is_misuse()
{
	char line[256] = "";
	int ends[2], status;
	pid_t child;

	if (pipe(ends) != 0)
		return;
	child = fork();
	if (child == 0) {
		dup2(ends[1], 2);
		::operator delete(::operator new(1000), 10);
		_exit(0);
	}
	close(ends[1]);
	check(read(ends[0], line, sizeof(line) - 1) > 0 &&
		      std::strncmp(line, "quire: misuse: wrong size: ", 27) == 0,
	      "the line of a wrong size");
	close(ends[0]);
	check(waitpid(child, &status, 0) == child && WIFSIGNALED(status), "a wrong size stops");
}

int main()
{
	a_refusal_throws_or_is_null();
	the_handler_is_called();
	every_form_pairs();
	the_library_works_on_it();
	a_wrong_size_is_misuse();
	return wrong_nr != 0;
}
