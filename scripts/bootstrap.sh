#!/bin/sh
# Sees to the tools the build needs beside the Rust toolchain, or with the argument `kafka` to those
# of scripts/kafka.sh and with `moto` to those of scripts/moto.sh, which tests alone call. Silent and
# quick when nothing is missing, for every `make demo` and `make test` begins here; on Debian and
# Ubuntu it installs what is, given root or password-less sudo, and otherwise says what to type.
set -eu

have() { command -v "$1" >/dev/null 2>&1; }

# True if one of the paths exists; a pattern that matches nothing stays as it is and does not.
exists() {
    for path in "$@"; do
        [ -e "$path" ] && return 0
    done
    return 1
}

# The places where bindgen looks, which opens the library while RocksDB's build script runs.
# `libclang-cpp` lies beside it and is another library, hence the digit in the pattern.
have_libclang() {
    [ -n "${LIBCLANG_PATH:-}" ] ||
        exists /usr/lib/libclang.* /usr/lib64/libclang.* /usr/local/lib/libclang.* \
            /usr/lib/*/libclang.so* /usr/lib/*/libclang-[0-9]*.so* \
            /usr/lib/*/lib/libclang.so* /usr/lib64/*/lib*/libclang.so* \
            /opt/homebrew/opt/llvm/lib/libclang.* /usr/local/opt/llvm/lib/libclang.* \
            /Library/Developer/CommandLineTools/usr/lib/libclang.* \
            /Applications/Xcode.app/Contents/Developer/Toolchains/*/usr/lib/libclang.*
}

have_certificates() {
    exists "${SSL_CERT_FILE:-}" /etc/ssl/certs/ca-certificates.crt /etc/ssl/cert.pem \
        /etc/pki/tls/certs
}

# The independent recomputation in tests/recompute is written in Python and reads time zones.
have_zones() {
    [ -n "${PYTHONTZPATH:-}" ] ||
        exists /usr/share/zoneinfo/Europe/Berlin /usr/lib/zoneinfo/Europe/Berlin \
            /etc/zoneinfo/Europe/Berlin
}

# Debian's python3-minimal is a Python without zoneinfo. Asking Python itself would take too long.
have_python() {
    have python3 || return 1
    [ "$(command -v python3)" != /usr/bin/python3 ] || ! exists /etc/debian_version ||
        exists /usr/lib/python3*/zoneinfo
}

# librdkafka's TLS and SASL.
have_openssl() {
    have pkg-config && pkg-config --exists openssl
}

# Prints the Debian packages that are missing, each with a space before it.
missing() {
    { have cc && have c++; } || printf ' g++'
    have make || printf ' make'
    { have clang && have_libclang; } || printf ' clang'
    have pkg-config || printf ' pkg-config'
    have_openssl || printf ' libssl-dev'
    have_python || printf ' python3'
    have_zones || printf ' tzdata'
    have_certificates || printf ' ca-certificates'
}

# A broker to test against, and in CI what judges the metrics. JAVA stands for the Java that this release of Debian or Ubuntu has.
missing_for_kafka() {
    have java || printf ' JAVA'
    have mvn || printf ' maven'
    # A service of its own comes with it, which only a machine of the CI may be given unasked.
    [ -z "${CI:-}" ] || have promtool || printf ' prometheus'
}

# An S3 server to test against: on Debian, a Python without this package makes no environments.
missing_for_moto() {
    python3 -c 'import ensurepip, venv' 2>/dev/null || printf ' python3-venv'
}

# Kafka needs Java 17 or later; the package `default-jre-headless` is an older one in places.
java_package() {
    for version in 17 21 25; do
        package=openjdk-$version-jre-headless
        if apt-cache show "$package" >/dev/null 2>&1; then break; fi
    done
    echo "$package"
}

install() {
    if [ "$(id -u)" -eq 0 ]; then
        as_root=
    elif have sudo && sudo -n true 2>/dev/null; then
        as_root='sudo -n'
    else
        echo "usage-rater needs these packages; install them, then run make again:" >&2
        set -- "$(echo "$1" | sed "s/ JAVA/ $(java_package)/")"
        echo "    sudo apt-get update && sudo apt-get install -y --no-install-recommends$1" >&2
        exit 1
    fi
    $as_root apt-get -qq update
    set -- "$(echo "$1" | sed "s/ JAVA/ $(java_package)/")"
    echo "Installing what is missing, about a minute:$1"
    # The list of what is unpacked goes nowhere, errors to the terminal. One word per package.
    # shellcheck disable=SC2086
    $as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -qq install -y --no-install-recommends $1 >/dev/null
}

what_is_missing=missing
if [ "${1:-}" = kafka ]; then
    what_is_missing=missing_for_kafka
elif [ "${1:-}" = moto ]; then
    what_is_missing=missing_for_moto
elif ! have cargo; then
    if [ -x "${CARGO_HOME:-$HOME/.cargo}/bin/cargo" ]; then
        echo "cargo is installed but not on the PATH: . ${CARGO_HOME:-$HOME/.cargo}/env" >&2
    else
        echo "cargo is missing. Install Rust with rustup (https://rustup.rs), then call make again:" >&2
        echo "    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh" >&2
    fi
    exit 1
fi

packages=$("$what_is_missing")
[ -n "$packages" ] || exit 0

if ! have apt-get; then
    cat >&2 <<HINT
usage-rater needs a C and C++ compiler, make, clang with libclang, pkg-config, OpenSSL, Python 3.9 or later,
the time zone database and root certificates; its tests Java 17 or later and Maven. By their Debian names
these are missing:$packages
    Fedora:  sudo dnf install gcc-c++ make clang clang-libs pkgconf-pkg-config openssl-devel python3 tzdata
             sudo dnf install java-21-openjdk-headless maven
    macOS:   xcode-select --install; brew install llvm pkgconf openssl python openjdk maven
HINT
    exit 1
fi

install "$packages"
packages=$("$what_is_missing")
[ -z "$packages" ] || { echo "still missing after the installation:$packages" >&2; exit 1; }
