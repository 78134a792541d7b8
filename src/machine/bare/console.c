/* SPDX-License-Identifier: MIT */
/* console.c - the serial line, and the end of the machine */
#include "machine/bare/console.h"

#include "machine/bare/spin.h"
#include "machine/bare/x86.h"

#define SERIAL	     0x3f8u
#define SERIAL_LINE  (SERIAL + 5)
#define SERIAL_EMPTY 0x20u
/* isa-debug-exit: qemu exits with twice what is written there, plus 1. */
#define EXIT_PORT    0xf4u
#define EXIT_BASE    16u

#define LINE_BYTES 512

static struct spin line;

void console_begin(void)
{
	port_write8(SERIAL + 1, 0); /* no interrupts */
	port_write8(SERIAL + 3, 3); /* 8 bits, no parity */
	port_write8(SERIAL + 2, 7); /* queues, emptied */
}

void console_write(const char *text, size_t bytes)
{
	uint64_t flags = spin_acquire(&line);

	for (size_t i = 0; i < bytes; i++) {
		while ((port_read8(SERIAL_LINE) & SERIAL_EMPTY) == 0)
			pause_briefly();
		port_write8(SERIAL, (uint8_t)text[i]);
	}
	spin_release(&line, flags);
}

struct sink {
	char *text;
	size_t bytes, at;
};

static void put(struct sink *sink, char c)
{
	if (sink->at + 1 < sink->bytes)
		sink->text[sink->at] = c;
	sink->at++;
}

static void put_number(struct sink *sink, uint64_t value, unsigned base, unsigned width, char fill)
{
	char digits[24];
	unsigned nr = 0;

	do {
		digits[nr++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value != 0);
	for (unsigned i = nr; i < width; i++)
		put(sink, fill);
	while (nr != 0)
		put(sink, digits[--nr]);
}

static void put_string(struct sink *sink, const char *string, unsigned width, bool left)
{
	unsigned bytes = 0;

	while (string[bytes] != '\0')
		bytes++;
	for (unsigned i = bytes; !left && i < width; i++)
		put(sink, ' ');
	for (unsigned i = 0; i < bytes; i++)
		put(sink, string[i]);
	for (unsigned i = bytes; left && i < width; i++)
		put(sink, ' ');
}

/* What stands between % and the letter. */
struct directive {
	bool alternate, left;
	char fill;
	unsigned width, longs;
};

static const char *read_directive(const char *at, struct directive *d)
{
	*d = (struct directive){ .fill = ' ' };
	for (;; at++) {
		if (*at == '#')
			d->alternate = true;
		else if (*at == '-')
			d->left = true;
		else if (*at == '0')
			d->fill = '0';
		else
			break;
	}
	for (; *at >= '0' && *at <= '9'; at++)
		d->width = d->width * 10 + (unsigned)(*at - '0');
	for (; *at == 'l' || *at == 'z'; at++)
		d->longs++;
	return at;
}

static void put_signed(struct sink *sink, int64_t value, const struct directive *d)
{
	if (value < 0)
		put(sink, '-');
	put_number(sink, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, 10, d->width, d->fill);
}

static void put_unsigned(struct sink *sink, uint64_t value, char letter, const struct directive *d)
{
	if (letter == 'p' || d->alternate)
		put_string(sink, "0x", 0, false);
	put_number(sink, value, letter == 'u' ? 10 : 16, d->width, d->fill);
}

int console_format(char *text, size_t bytes, const char *format, va_list args)
{
	struct sink sink = { text, bytes, 0 };
	struct directive d;

	for (const char *at = format; *at != '\0'; at++) {
		if (*at != '%') {
			put(&sink, *at);
			continue;
		}
		at = read_directive(at + 1, &d);
		if (*at == 's')
			put_string(&sink, va_arg(args, const char *), d.width, d.left);
		else if (*at == 'c')
			put(&sink, (char)va_arg(args, int));
		else if (*at == 'd' || *at == 'i')
			put_signed(&sink, d.longs ? va_arg(args, int64_t) : va_arg(args, int), &d);
		else if (*at == 'u' || *at == 'x' || *at == 'p')
			put_unsigned(&sink,
				     d.longs || *at == 'p' ? va_arg(args, uint64_t)
							   : va_arg(args, unsigned),
				     *at, &d);
		else
			put(&sink, *at);
	}
	if (bytes != 0)
		text[sink.at < bytes ? sink.at : bytes - 1] = '\0';
	return (int)sink.at;
}

int console_print(const char *format, ...)
{
	char text[LINE_BYTES];
	va_list args;
	int bytes;

	va_start(args, format);
	bytes = console_format(text, sizeof(text), format, args);
	va_end(args);
	console_write(text, (size_t)bytes < sizeof(text) ? (size_t)bytes : sizeof(text) - 1);
	return bytes;
}

void console_end(enum console_status status)
{
	port_write8(EXIT_PORT, (uint8_t)(EXIT_BASE + status));
	for (;;)
		__asm__ volatile("cli\n\thlt");
}
