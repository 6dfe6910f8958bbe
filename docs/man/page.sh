#!/bin/sh
# page.sh SCDOC SOCKEYE TEMPLATE [SUBJECT]: a manual page on standard output, with what
# `sockeye help --format=scd SUBJECT` prints in the place of the line @TABLE@.
set -eu

scdoc=$1 sockeye=$2 template=$3 subject=${4:-}
table=$(mktemp)
source=$(mktemp)
trap 'rm -f "$table" "$source"' EXIT

"$sockeye" help --format=scd ${subject:+"$subject"} >"$table"
sed -e "/^@TABLE@\$/{r $table" -e 'd}' "$template" >"$source"
"$scdoc" <"$source"
