#!/bin/sh
# Installs what the tests of the databases need and this machine lacks, from Debian's packages: a
# PostgreSQL server of Debian, PgBouncer, and libfaketime, which gives one process another clock.
# The tests start servers of their own, on free ports of 127.0.0.1. Run again, it does nothing.
set -eu

missing=
ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || missing="$missing postgresql"
[ -x /usr/sbin/pgbouncer ] || missing="$missing pgbouncer"
ls /usr/lib/*/faketime/libfaketime.so.1 >/dev/null 2>&1 || missing="$missing libfaketime"
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
  echo "Missing, and there is no apt-get to install them:$missing" >&2
  exit 1
fi
sudo=
[ "$(id -u)" = 0 ] || sudo='sudo -n'
apt() {
  # shellcheck disable=SC2086
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get -q -o Acquire::Retries=3 \
    -o DPkg::Lock::Timeout=300 "$@" </dev/null
}
apt update
# shellcheck disable=SC2086
apt install -y --no-install-recommends $missing
