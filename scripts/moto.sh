#!/bin/sh
# An S3 server for tests and trying things out: moto, on this machine only, in memory.
#
#     scripts/moto.sh fetch             installs it into the cache, once
#     scripts/moto.sh run [BUCKET]      runs it until its standard input ends, with a bucket in it
#
# `run` prints its address, alone on a line, as soon as it answers. Whatever key a client has, it is
# let in. Needs Python 3.9 or later with venv.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cache=${USAGE_RATER_CACHE:-$HOME/.cache/usage-rater}
moto=$cache/moto-5.2.1

fail() { echo "moto: $*" >&2; exit 3; }

# The environment gets its name when it is whole. It is made anew where what it holds has changed.
fetch() {
    if cmp -s "$here/moto/requirements.txt" "$moto/requirements.txt"; then return; fi
    for old in "$moto".partial.*; do
        [ ! -e "$old" ] || kill -0 "${old##*.}" 2>/dev/null || rm -rf "$old"
    done
    partial=$moto.partial.$$
    mkdir -p "$cache"
    echo "Downloading moto, 40 MB, once." >&2
    {
        python3 -m venv "$partial" &&
            "$partial/bin/python" -m pip install --disable-pip-version-check --quiet \
                --requirement "$here/moto/requirements.txt"
    } >&2 || { rm -rf "$partial"; fail "the download has failed"; }
    cp "$here/moto/requirements.txt" "$partial/requirements.txt"
    # Another download may have been quicker. Its programs are called by their module, so the
    # environment may be moved.
    if ! cmp -s "$here/moto/requirements.txt" "$moto/requirements.txt"; then
        [ ! -e "$moto" ] || mv "$moto" "$partial/old"
        mv "$partial" "$moto" 2>/dev/null || true
    fi
    rm -rf "$partial" "$moto/old" "${moto:?}/${partial##*/}"
    [ -e "$moto/requirements.txt" ] || fail "nothing at $moto after the download"
}

run() {
    fetch
    exec "$moto/bin/python" "$here/moto/serve.py" "$@"
}

case ${1:-} in
fetch) fetch ;;
run) shift; run "$@" ;;
*) sed -n '4,5s/^# *//p' "$0" >&2; exit 2 ;;
esac
