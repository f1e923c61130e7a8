/* SPDX-License-Identifier: BSD-2-Clause */
/** @file What trust.c needs of the keyring and of the replay memory. Internal to auth. */
#ifndef AUTH_TRUSTINT_H
#define AUTH_TRUSTINT_H

#include <msproto/auth/trust.h>

/** Keys of the owner with this algorithm and tag, at most MSP_KEYRING_SAME_TAG. @return how many are in out */
size_t msp_keyring_find(const struct msp_keyring *ring, const struct msp_name *owner, uint8_t alg, uint16_t tag,
			const struct msp_key *out[MSP_KEYRING_SAME_TAG]);
/** Remember the digest until then; MSP_SEEN_BEFORE when it is remembered and has not expired. */
enum msp_seen msp_replay_note(struct msp_replay *r, const uint8_t digest[32], struct msp_wall now,
			      struct msp_wall until);

#endif
