/* SPDX-License-Identifier: MIT */
/* terminal.c - the views on a terminal: ncurses */
#include "top/top.h"

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <ncurses.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static enum top_view view_of(int key, enum top_view now)
{
	switch (key) {
	case 'm':
		return VIEW_MAIN;
	case 's':
		return VIEW_SIZES;
	case 'o':
		return VIEW_ORDERS;
	case 'c':
		return VIEW_CPUS;
	case 'b':
		return VIEW_BLOCKS;
	case 'a':
		return VIEW_AREAS;
	case 'f':
		return VIEW_FIGURES;
	case 'h':
	case '?':
		return VIEW_HELP;
	default:
		return now;
	}
}

/* How far the view is moved then; top_screen's skip is bounded where it is drawn. */
static unsigned skip_of(int key, const struct top_screen *screen)
{
	unsigned skip = screen->skip, page = screen->lines > 2 ? screen->lines - 2 : 1;

	switch (key) {
	case KEY_DOWN:
		return skip + 1;
	case KEY_UP:
		return skip != 0 ? skip - 1 : 0;
	case KEY_NPAGE:
		return skip + page;
	case KEY_PPAGE:
		return skip > page ? skip - page : 0;
	case KEY_HOME:
		return 0;
	case KEY_END:
		return screen->body;
	default:
		return skip;
	}
}

/* Draws what the screen has room for, and no further down than the view's last line. */
static void draw(const struct top_state *state, enum top_view view, struct top_screen *screen)
{
	unsigned room = screen->lines - 1, most;

	top_draw(state, view, screen);
	most = screen->body > room ? screen->body - room : 0;
	if (screen->skip <= most)
		return;
	screen->skip = most;
	top_draw(state, view, screen);
}

static void put_keys(const struct top_screen *screen, int line, int columns)
{
	unsigned last = screen->skip + screen->used - 1;
	char text[32];
	int bytes;

	attrset(A_REVERSE);
	mvaddnstr(line, 0,
		  "m main s sizes o orders c CPUs b blocks a areas f figures h help q quit",
		  columns);
	bytes = snprintf(text, sizeof(text), "%u of %u", last, screen->body);
	if (last < screen->body || screen->skip != 0)
		mvaddnstr(line, columns > bytes ? columns - bytes : 0, text, columns);
	attrset(A_NORMAL);
}

static void show(const struct top_state *state, enum top_view view, struct top_screen *screen)
{
	int lines, columns;

	getmaxyx(stdscr, lines, columns);
	screen->lines = lines < 2 ? 1 : (unsigned)lines - 1; /* the last has the keys */
	screen->columns = (unsigned)columns;
	if (screen->lines > TOP_LINES_MAX)
		screen->lines = TOP_LINES_MAX;
	if (screen->columns > TOP_COLUMNS_MAX)
		screen->columns = TOP_COLUMNS_MAX;
	draw(state, view, screen);
	erase();
	for (unsigned i = 0; i < screen->used; i++) {
		attrset(screen->is_bold[i] ? A_BOLD : A_NORMAL);
		mvaddstr((int)i, 0, screen->line[i]);
	}
	put_keys(screen, lines - 1, columns);
	refresh();
}

/* Without a key, getch() has waited for it; or it has not, since the terminal is gone. */
static bool is_gone(int key)
{
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };

	return key == ERR && poll(&input, 1, 0) == 1 &&
	       (input.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0;
}

static int run(const struct top_options *options, struct top_state *state,
	       struct top_screen *screen)
{
	enum top_view view = VIEW_MAIN;
	int error = 0;

	for (unsigned looks = 1; !error; looks++) {
		enum top_view before = view;
		int key;

		show(state, view, screen);
		if (options->looks != 0 && looks == options->looks)
			break;
		key = getch();
		if (key == 'q' || is_gone(key))
			break;
		view = view_of(key, view);
		screen->skip = view == before ? skip_of(key, screen) : 0;
		error = top_look_patiently(options, state);
	}
	return error;
}

int top_terminal(const struct top_options *options, struct top_state *state)
{
	static struct top_screen screen;
	int delay_ms = (int)(options->delay_seconds * 1000), error;
	SCREEN *terminal;

	setlocale(LC_CTYPE, "");
	screen.utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
	terminal = newterm(NULL, stdout, stdin);
	if (terminal == NULL) {
		fprintf(stderr, "quire top: TERM=%s is not known here: --batch or --json\n",
			getenv("TERM") != NULL ? getenv("TERM") : "");
		return -ENOTTY;
	}
	cbreak();
	noecho();
	keypad(stdscr, TRUE);
	curs_set(0);
	timeout(delay_ms > 0 ? delay_ms : 1);
	error = run(options, state, &screen);
	endwin();
	delscreen(terminal);
	return error;
}
