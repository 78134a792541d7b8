/* SPDX-License-Identifier: MIT */
/* terminal.c - the views on a terminal: ncurses */
#include "top/top.h"

#include <locale.h>
#include <langinfo.h>
#include <ncurses.h>
#include <string.h>

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
	top_draw(state, view, screen);
	erase();
	for (unsigned i = 0; i < screen->used; i++) {
		attrset(screen->is_bold[i] ? A_BOLD : A_NORMAL);
		mvaddstr((int)i, 0, screen->line[i]);
	}
	attrset(A_REVERSE);
	mvaddnstr(lines - 1, 0,
		  "m main  s sizes  o orders  c CPUs  a areas  f figures  h help  q quit", columns);
	attrset(A_NORMAL);
	refresh();
}

int top_terminal(const struct top_options *options, struct top_state *state)
{
	static struct top_screen screen;
	enum top_view view = VIEW_MAIN;
	int delay_ms = (int)(options->delay_seconds * 1000), key;
	bool is_lost = false;

	setlocale(LC_CTYPE, "");
	screen.utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
	initscr();
	cbreak();
	noecho();
	curs_set(0);
	timeout(delay_ms > 0 ? delay_ms : 1);
	for (unsigned looks = 1;; looks++) {
		show(state, view, &screen);
		if (options->looks != 0 && looks == options->looks)
			break;
		key = getch();
		if (key == 'q')
			break;
		view = view_of(key, view);
		is_lost = top_look(&options->wanted, state) != 0; /* its page was removed */
		if (is_lost)
			break;
	}
	endwin();
	return is_lost ? 1 : 0;
}
