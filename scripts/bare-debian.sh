#!/usr/bin/env bash
# Proves that a Rust toolchain and `make` are all a newcomer needs: builds a bare Debian root in a
# directory, puts the clone (as committed) and this machine's toolchain into it, runs make there.
#
#     sudo scripts/bare-debian.sh DIRECTORY [TARGET...]      # targets of make; default: demo
#
# The directory must be new or empty and have several GB of room; it stays, to be looked at, until
# you remove it. Needs root, debootstrap and git. MIRROR and SUITE choose another Debian; the
# machine's own mirror, proxies and certificates are taken over, for there may be no other way out.
set -euo pipefail
trap 'echo "failed in line $LINENO" >&2' ERR

usage() { sed -n '5s/^# *//p' "$0" >&2; exit 2; }
[ $# -ge 1 ] || usage
[ "$(id -u)" -eq 0 ] || { echo "must be root, to mount and chroot" >&2; exit 2; }

# In a mount namespace of its own the mounts below end with this process, however it ends, and no
# `rm -rf` of the directory can ever reach the machine's /dev through them.
if [ -z "${IN_NAMESPACE:-}" ]; then
    exec env IN_NAMESPACE=1 unshare --mount --propagation private "$0" "$@"
fi

mkdir -p "$1"
root=$(cd "$1" && pwd)
shift
[ $# -gt 0 ] || set -- demo
[ -z "$(ls -A "$root")" ] || { echo "$root is not empty" >&2; exit 2; }
clone=$(cd "$(dirname "$0")/.." && pwd)
suite=${SUITE:-bookworm}

# The first Debian archive in this machine's sources, of either format; not the security one.
host_mirror() {
    cat /etc/apt/sources.list /etc/apt/sources.list.d/*.{list,sources} 2>/dev/null |
        grep -v '^ *#' | grep -oE 'https?://[^ ]+/debian/?( |$)' | head -n 1
}
mirror=${MIRROR:-$(host_mirror || true)}
mirror=${mirror:-http://deb.debian.org/debian}
mirror=${mirror// /}

stage() { echo "=== $* (at $SECONDS s)"; }

# What git and rustup would have brought along: `make` with git in every instruction one finds, the
# toolchain by rustup, without which there is nothing to prove.
stage "debootstrap $suite from $mirror"
debootstrap --variant=minbase --include=make "$suite" "$root" "$mirror" >"$root.log" 2>&1 ||
    { tail -n 20 "$root.log" >&2; exit 1; }
rm -f "$root.log"

# The way out: mirror, proxy and validity settings of apt, names, certificates.
echo "deb $mirror $suite main" >"$root/etc/apt/sources.list"
for config in /etc/apt/apt.conf /etc/apt/apt.conf.d/*; do
    ! grep -qsE '^ *Acquire::(http|Check|Retries)' "$config" || cp "$config" "$root/etc/apt/apt.conf.d/"
done
cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
mkdir -p "$root/usr/local/share/ca-certificates"
cp -a /usr/local/share/ca-certificates/. "$root/usr/local/share/ca-certificates/" 2>/dev/null || true
for config in /etc/pip.conf "$HOME/.config/pip/pip.conf"; do
    [ ! -f "$config" ] || install -D -m 644 "$config" "$root$config"
done
# Maven takes the machine's own settings for the user's there.
for config in "$HOME/.m2/settings.xml" "${M2_HOME:-/etc/maven}/settings.xml"; do
    [ ! -f "$config" ] || { install -D -m 600 "$config" "$root/root/.m2/settings.xml"; break; }
done
# Where even the mirror speaks TLS, the root certificates cannot come from it.
case $mirror in
https:*) install -D -m 644 /etc/ssl/certs/ca-certificates.crt -t "$root/etc/ssl/certs" ;;
esac

# The toolchain alone; of cargo's home the programs and the configuration, not what it downloaded.
stage "copying the toolchain and the clone"
toolchain=$(cd "$clone" && rustup show active-toolchain | cut -d' ' -f1)
rustup_home=${RUSTUP_HOME:-$HOME/.rustup} cargo_home=${CARGO_HOME:-$HOME/.cargo}
mkdir -p "$root/opt/rustup/toolchains/$toolchain" "$root/opt/cargo" "$root/opt/usage-rater"
cp -a "$rustup_home/settings.toml" "$root/opt/rustup/"
# Its content, for the name may be a link; without its documentation, more than half of it.
tar -C "$rustup_home/toolchains/$toolchain" --exclude=./share/doc -c . |
    tar -C "$root/opt/rustup/toolchains/$toolchain" -x
cp -a "$cargo_home/bin" "$root/opt/cargo/"
cp -a "$cargo_home"/config.toml "$cargo_home"/config "$root/opt/cargo/" 2>/dev/null || true
git -C "$clone" archive HEAD | tar -x -C "$root/opt/usage-rater"

mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"

# Nothing of this machine's environment but what leads out of it.
kept=()
while IFS='=' read -r -d '' name value; do
    case $name in
    *_proxy | *_PROXY | SSL_CERT_FILE | SSL_CERT_DIR | CURL_CA_BUNDLE | PIP_* | \
        MAVEN_OPTS | MAVEN_ARGS | JAVA_TOOL_OPTIONS | \
        RUSTUP_AUTO_INSTALL | CARGO_HTTP_* | CARGO_NET_* | CARGO_REGISTRIES_* | CARGO_SOURCE_*) kept+=("$name=$value") ;;
    esac
done < <(env -0)

stage "make $*"
env -i "${kept[@]}" HOME=/root TERM="${TERM:-dumb}" LANG=C.UTF-8 \
    CARGO_HOME=/opt/cargo RUSTUP_HOME=/opt/rustup \
    PATH=/opt/cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    chroot "$root" make -C /opt/usage-rater "$@"
stage "done; remove $root when you have seen enough"
