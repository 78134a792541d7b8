/* SPDX-License-Identifier: MIT */
#include "common/command.h"

#include <stddef.h>

const struct command *const commands[] = {
	&command_run,	    &command_stats,   &command_top,    &command_conf,
	&command_doctor,    &command_record,  &command_replay, &command_report,
	&command_symbolize, &command_explore, &command_ktest,  NULL,
};
