/* SPDX-License-Identifier: BSD-2-Clause */
/** @file Our SIG(0) keys towards parents: files below the state directory that only msad reads. @source PROTOCOL H.3 */
#ifndef MSAD_KEY_FILE_H
#define MSAD_KEY_FILE_H

#include <msproto/auth/key.h>

/**
 * Make a key named as the zone, and its files (0600, in a directory of mode 0700).
 * @param[out] file its name without a directory, to load it by later; on the heap, the caller's
 */
MSP_CHECKED enum msp_err msa_key_file_make(const char *state_dir, const struct msp_name *zone, struct msp_key **key,
					   char **file, struct msp_why *why);
/** @return as msp_key_load; MSP_EVALUE: not a plain file name */
MSP_CHECKED enum msp_err msa_key_file_load(const char *state_dir, struct msp_span name, struct msp_key **key,
					   char **file, struct msp_why *why);
/** Both halves; what is not there is no fault. */
void msa_key_file_remove(const char *state_dir, struct msp_span name);

#endif
