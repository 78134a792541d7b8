/* SPDX-License-Identifier: MIT */
/* console.h - the serial line, and the end of the machine */
#ifndef MACHINE_BARE_CONSOLE_H
#define MACHINE_BARE_CONSOLE_H

#include <stdarg.h>
#include <stddef.h>

enum console_status {
	CONSOLE_OK,
	CONSOLE_FAILED,
};

void console_begin(void);
/* Writes all of it before anything else is written.  Any context. */
void console_write(const char *text, size_t bytes);
/* %s %c %d %u %x %p %% with l, ll, z, # and a width; returns the length that it has, or would have. */
int console_format(char *text, size_t bytes, const char *format, va_list args);
__attribute__((format(__printf__, 1, 2))) int console_print(const char *format, ...);
/* Ends qemu: its exit status is 33 + 2 * @status, which no refusal of its own has. */
_Noreturn void console_end(enum console_status status);

#endif
