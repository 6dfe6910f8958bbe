#!/bin/sh
# page.sh SCDOC SOCKEYE TEMPLATE [SUBJECT]: a manual page on standard output, with the options that
# `sockeye help --format=scd SUBJECT` prints in the place of the line @OPTIONS@.
set -eu

scdoc=$1 sockeye=$2 template=$3 subject=${4:-}
options=$(mktemp)
source=$(mktemp)
trap 'rm -f "$options" "$source"' EXIT

[ -z "$subject" ] || "$sockeye" help --format=scd "$subject" >"$options"
sed -e "/^@OPTIONS@\$/{r $options" -e 'd}' "$template" >"$source"
"$scdoc" <"$source"
