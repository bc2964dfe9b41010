#!/bin/sh
# Fetches a Node with a built-in SQLite, and the better-sqlite3 that runs on it, for
# test/integration/sqlite-drivers.test.ts. Both go into a cache outside the checkout; npm checks what
# it downloads. Run again, it does nothing.
set -eu

cache="${TENANTKEYS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tenantkeys}/sqlite-drivers"
mkdir -p "$cache"
[ -f "$cache/package.json" ] || echo '{ "private": true }' > "$cache/package.json"
if [ ! -x "$cache/node_modules/node/bin/node" ] || [ ! -d "$cache/node_modules/better-sqlite3" ]; then
  npm install --prefix "$cache" --no-audit --no-fund --loglevel=error node@22 better-sqlite3@13
fi
"$cache/node_modules/node/bin/node" --version
