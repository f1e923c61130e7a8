/* SPDX-License-Identifier: BSD-2-Clause */
/** @file The agent's commands on the control socket. arg of each is a struct msa_shell ** (the shell in force). */
#ifndef MSAD_CTL_H
#define MSAD_CTL_H

#include <msproto/kit/control.h>

extern const struct msp_command msa_commands[];

#endif
