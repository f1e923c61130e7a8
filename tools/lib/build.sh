#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# build.sh PRESET [TARGET...]: configure and build quietly; the compiler's words come out only when something fails.
set -euo pipefail
root=$(cd "$(dirname "$(readlink -f "$0")")/../.." && pwd)
preset=$1
shift
log=$(mktemp)
trap 'rm -f "$log"' EXIT
cd "$root"
if ! { cmake --preset "$preset" && cmake --build --preset "$preset" ${1:+--target "$@"}; } >"$log" 2>&1; then
	tail -60 "$log" >&2
	echo "build of $preset failed" >&2
	exit 1
fi
