/* SPDX-License-Identifier: MIT */
/*
 * malloc/linux/operators.cc - new and delete on malloc's family, for C++ programs: libquire++
 *
 * A C++ library's own operators call malloc(), too.  These save that call, and hand on what a compiler knows of a
 * block when it is deleted: a size or an alignment that the block was not made with is misuse.
 *
 * The one file in C++: it throws, and must catch what a new_handler throws.
 */
#include <cstddef>
#include <cstdlib>
#include <new>

extern "C" {
void free_sized(void *block, std::size_t bytes) noexcept;
void free_aligned_sized(void *block, std::size_t align, std::size_t bytes) noexcept;
}

namespace
{

void *take(std::size_t bytes, std::size_t align)
{
	return align == 0 ? std::malloc(bytes) : ::aligned_alloc(align, bytes);
}

/* As the standard says: the handler finds memory, replaces itself, throws, or ends the program. */
__attribute__((noinline, cold)) void *take_with_handler(std::size_t bytes, std::size_t align)
{
	for (;;) {
		std::new_handler handler = std::get_new_handler();
		void *block;

		if (handler == nullptr)
			throw std::bad_alloc();
		handler();
		block = take(bytes, align);
		if (block != nullptr)
			return block;
	}
}

inline void *make(std::size_t bytes, std::size_t align)
{
	void *block = take(bytes, align);

	return __builtin_expect(block != nullptr, 1) ? block : take_with_handler(bytes, align);
}

inline void *make_or_null(std::size_t bytes, std::size_t align) noexcept
{
	try {
		return make(bytes, align);
	} catch (...) {
		return nullptr;
	}
}

inline std::size_t number(std::align_val_t align)
{
	return static_cast<std::size_t>(align);
}

} // namespace

void *operator new(std::size_t bytes)
{
	return make(bytes, 0);
}

void *operator new[](std::size_t bytes)
{
	return make(bytes, 0);
}

void *operator new(std::size_t bytes, const std::nothrow_t &) noexcept
{
	return make_or_null(bytes, 0);
}

void *operator new[](std::size_t bytes, const std::nothrow_t &) noexcept
{
	return make_or_null(bytes, 0);
}

void *operator new(std::size_t bytes, std::align_val_t align)
{
	return make(bytes, number(align));
}

void *operator new[](std::size_t bytes, std::align_val_t align)
{
	return make(bytes, number(align));
}

void *operator new(std::size_t bytes, std::align_val_t align, const std::nothrow_t &) noexcept
{
	return make_or_null(bytes, number(align));
}

void *operator new[](std::size_t bytes, std::align_val_t align, const std::nothrow_t &) noexcept
{
	return make_or_null(bytes, number(align));
}

void operator delete(void *block) noexcept
{
	std::free(block);
}

void operator delete[](void *block) noexcept
{
	std::free(block);
}

void operator delete(void *block, const std::nothrow_t &) noexcept
{
	std::free(block);
}

void operator delete[](void *block, const std::nothrow_t &) noexcept
{
	std::free(block);
}

void operator delete(void *block, std::size_t bytes) noexcept
{
	free_sized(block, bytes);
}

void operator delete[](void *block, std::size_t bytes) noexcept
{
	free_sized(block, bytes);
}

void operator delete(void *block, std::align_val_t) noexcept
{
	std::free(block);
}

void operator delete[](void *block, std::align_val_t) noexcept
{
	std::free(block);
}

void operator delete(void *block, std::align_val_t, const std::nothrow_t &) noexcept
{
	std::free(block);
}

void operator delete[](void *block, std::align_val_t, const std::nothrow_t &) noexcept
{
	std::free(block);
}

void operator delete(void *block, std::size_t bytes, std::align_val_t align) noexcept
{
	free_aligned_sized(block, number(align), bytes);
}

void operator delete[](void *block, std::size_t bytes, std::align_val_t align) noexcept
{
	free_aligned_sized(block, number(align), bytes);
}
