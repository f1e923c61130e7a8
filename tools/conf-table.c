/* SPDX-License-Identifier: BSD-2-Clause */
/* At build time: the settings of one daemon as msp_conf_table writes them, for its man page. Linked with that daemon's
 * conf.c. */
#include <msproto/kit/conf.h>

#include <stdio.h>

extern const struct msp_conf_schema CONF_SCHEMA;

int main(void)
{
	struct msp_buf table;
	enum msp_err err;

	msp_buf_init(&table, 1u << 20);
	err = msp_conf_table(&CONF_SCHEMA, &table);
	if (err == MSP_OK && fputs(msp_buf_text(&table), stdout) == EOF)
		err = MSP_EIO;
	msp_buf_fini(&table);
	return err == MSP_OK && fflush(stdout) == 0 ? 0 : 1;
}
