/* tally - see tally.h. */
#include "tests/crash/tally.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "tests/crash/rows.h"

#define ROWS_MAX 100

static uint64_t table[ROWS_MAX][SIM_PHASES];    /* the last: random histories */

void
tally_add(size_t row, enum sim_phase phase)
{
	assert(row < ROWS_MAX);
	table[row][phase]++;
}

bool
tally_lacks(size_t r, enum sim_phase phase)
{
	return table[r][phase] == 0 && strchr(rows[r].phases, rows_phase_letters[phase]) != NULL;
}

uint64_t
tally_show(void)
{
	uint64_t empty = 0;

	(void)printf("%-32s", "cuts in");
	for (unsigned p = 0; p < SIM_PHASES; p++)
		(void)printf("%9s", sim_phase_names[p]);
	(void)printf("\n");
	for (size_t r = 0; r <= rows_count; r++) {
		const char *phases = r < rows_count ? rows[r].phases : rows_phase_letters;

		(void)printf("%-32s", r < rows_count ? rows[r].name : "random histories");
		for (unsigned p = 0; p < SIM_PHASES; p++) {
			bool wanted = strchr(phases, rows_phase_letters[p]) != NULL;

			if (table[r][p] == 0 && !wanted)
				(void)printf("%9s", "-");
			else
				(void)printf("%9llu", (unsigned long long)table[r][p]);
			if (table[r][p] == 0 && wanted && r < rows_count && rig_args.only == NULL)
				empty++;
		}
		(void)printf("\n");
	}
	return empty;
}
