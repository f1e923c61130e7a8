# SPDX-License-Identifier: BSD-2-Clause
# Sourced by tools/lab, tools/test and tools/bench: install what packaging/debian-packages.txt names and the machine lacks.
# Services that packages would start are kept from starting: the lab and the tests start their own.

msp_packages_missing() {
	local package
	sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$1" | while read -r package; do
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || echo "$package"
	done
}

msp_packages_install() {
	local missing policy=/usr/sbin/policy-rc.d made='' log status=0
	missing=$(msp_packages_missing "$1" | tr '\n' ' ')
	[ -n "$missing" ] || return 0
	if [ "$(id -u)" != 0 ]; then
		echo "these packages are missing, run this as root: $missing" >&2
		return 1
	fi
	echo "installing from Debian: $missing" >&2
	log=$(mktemp)
	if [ ! -e "$policy" ]; then
		printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy" && made=1
	fi
	apt-get update -qq >"$log" 2>&1 || true # an old list may do; if not, install says so
	# shellcheck disable=SC2086 # a list of words
	DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing >>"$log" 2>&1 || status=$?
	[ -z "$made" ] || rm -f "$policy"
	[ "$status" = 0 ] || tail -20 "$log" >&2
	rm -f "$log"
	return "$status"
}
