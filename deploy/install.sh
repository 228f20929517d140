#!/bin/sh
# Install the units, the configuration and the command `njord` of a server: Debian 12 or any other with systemd >= 252.
# It may be run again at any time, also after an update: what is in /etc/njord is never overwritten.
#   sudo deploy/install.sh            code in /opt/njord with its .venv (make install)
#   DESTDIR=build/root deploy/install.sh  into another root, as a package is built; needs no root
set -eu

source="$(cd "$(dirname "$0")" && pwd)"
project="$(dirname "$source")"
root="${DESTDIR:-}"
etc="$root/etc/njord"
units="$root/etc/systemd/system"

fail() {
    echo "install.sh: $1" >&2
    exit "$2"
}

if [ -z "$root" ]; then
    [ "$(id -u)" = 0 ] || fail "must be run as root; DESTDIR=/some/folder installs there without" 2
    [ "$project" = /opt/njord ] || fail "the units run /opt/njord, and this is $project: move it there" 2
    [ -x /opt/njord/.venv/bin/python ] || fail "/opt/njord/.venv is missing: run 'make install' in /opt/njord first" 1
    [ -x /usr/bin/redis-server ] || fail "/usr/bin/redis-server is missing: apt install redis-server" 1
fi

install -d "$units/njord-.service.d" "$root/etc/sysusers.d" "$root/etc/tmpfiles.d" "$root/usr/local/bin" \
    "$etc/config/risk_policies"
install -m 0644 "$source"/systemd/*.service "$source"/systemd/*.timer "$source"/systemd/*.target "$units"
install -m 0644 "$source"/systemd/njord-.service.d/*.conf "$units/njord-.service.d"
install -m 0644 "$source/sysusers.d/njord.conf" "$root/etc/sysusers.d"
install -m 0644 "$source/tmpfiles.d/njord.conf" "$root/etc/tmpfiles.d"
install -m 0755 "$source/njord" "$root/usr/local/bin/njord"

configure() { # from, to: install it where there is none
    if [ ! -e "$2" ]; then
        install -m 0644 "$1" "$2"
    elif ! cmp -s "$1" "$2"; then
        echo "kept: $2 (what is shipped now: diff $2 $1)"
    fi
}

for file in base portfolio strategies paper live; do
    configure "$project/config/$file.yaml" "$etc/config/$file.yaml"
done
for file in "$project"/config/risk_policies/*.yaml; do
    configure "$file" "$etc/config/risk_policies/$(basename "$file")"
done
configure "$source/etc/site.yaml" "$etc/config/site.yaml"
configure "$source/etc/redis.conf" "$etc/redis.conf"
configure "$source/etc/njord.env" "$etc/njord.env"

if [ -z "$root" ]; then
    systemd-sysusers /etc/sysusers.d/njord.conf
    systemd-tmpfiles --create /etc/tmpfiles.d/njord.conf
    if [ -d /run/systemd/system ]; then
        systemctl daemon-reload
    fi
fi

cat <<END
installed. Next:
  njord config check
  systemctl enable --now njord.target njord-md-ingest@BTC-USDT
END
