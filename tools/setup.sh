# Sourced by quickstart and runtests, which set ROOT, the folder that holds this tree.
# shellcheck shell=bash

PACKAGE_LIST=$ROOT/packaging/debian-packages.txt

say() { printf '%s\n' "$*"; }
give_up() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# Prints the packages of these groups that are not installed.
packages_missing() {
    local group package _
    while read -r group package _; do
        [[ " $* " == *" $group "* ]] || continue
        [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] ||
            printf '%s\n' "$package"
    done <"$PACKAGE_LIST"
}

# Installs what is missing of these groups, and says so first. Where nothing is, apt is left alone.
packages_install() {
    command -v dpkg-query >/dev/null ||
        { say "This is no Debian: taking for granted what $PACKAGE_LIST names."; return; }
    local missing as_root=()
    mapfile -t missing < <(packages_missing "$@")
    ((${#missing[@]})) || return 0
    if ((EUID != 0)); then
        command -v sudo >/dev/null || give_up "needs root or sudo to install: ${missing[*]}"
        as_root=(sudo)
    fi
    say "Installing with apt-get: ${missing[*]}"
    local log
    log=$(mktemp)
    if ! "${as_root[@]}" apt-get update >"$log" 2>&1 </dev/null ||
        ! "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y --no-install-recommends "${missing[@]}" >>"$log" 2>&1 </dev/null; then
        tail -n 30 "$log" >&2
        rm -f "$log"
        give_up "apt-get could not install: ${missing[*]}"
    fi
    rm -f "$log"
}

# build FOLDER [MESON_OPTION...]: configures the folder if it is new, or anew, and compiles.
build() {
    local folder=$1
    shift
    if [[ -f $folder/build.ninja ]]; then
        meson configure "$folder" "$@"
    else
        meson setup "$folder" "$ROOT" "$@"
    fi
    meson compile -C "$folder"
}
