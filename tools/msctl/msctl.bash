# SPDX-License-Identifier: BSD-2-Clause
# Completion for bash: commands and options as msctl itself lists them, zones as combinerd or the agent knows them.

_msctl_zones() # combiner|zone: names of zones; at most 1000, and only when the daemon answers
{
	msctl --json --timeout 1 "$1" list 2>/dev/null | sed -n 's/^ *"zone": "\(.*\)",\{0,1\}$/\1/p' | head -n 1000
}

_msctl()
{
	local cur=${COMP_WORDS[COMP_CWORD]} words=() i

	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		--json | --tcp | @*) ;;
		--*) ((i++)) ;;
		*) words+=("${COMP_WORDS[i]}") ;;
		esac
	done
	COMPREPLY=()
	if [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(msctl --help | sed -n 's/^  *\(--[a-z-]*\).*/\1/p')" -- "$cur")
		return
	fi
	case ${#words[@]} in
	0) mapfile -t COMPREPLY < <(compgen -W "$(msctl --help | sed -n 's/^  \([a-z]*\) .*/\1/p' | sort -u)" -- "$cur") ;;
	1) mapfile -t COMPREPLY < <(compgen -W "$(msctl --help | sed -n "s/^  ${words[0]} \([a-z]*\) .*/\1/p")" -- "$cur") ;;
	2)
		case "${words[*]}" in
		"combiner list") mapfile -t COMPREPLY < <(compgen -W "serving never expired damaged frozen held failing busy \
			untold loaded trouble" -- "$cur") ;;
		"combiner "* | "zone "*) mapfile -t COMPREPLY < <(compgen -W "$(_msctl_zones "${words[0]}")" -- "$cur") ;;
		esac ;;
	esac
}
complete -F _msctl msctl
