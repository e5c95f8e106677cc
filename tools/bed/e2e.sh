#!/usr/bin/env bash
# Starts the real server with an empty root inside a bed, then runs Playwright. ./dev test e2e runs
#   tools/bed/bed.sh tools/bed/e2e.sh [PLAYWRIGHT ARGUMENTS…]
# MALIKNODE_BIN is the server. MALIKNODE_SERVER_LOG is its log, which holds the operator's first sign-in.
set -euo pipefail
[ "${MALIKNODE_BED:-}" = 1 ] || {
  echo "e2e.sh runs inside a bed: tools/bed/bed.sh tools/bed/e2e.sh" >&2
  exit 2
}
END2END=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../end2end" && pwd)
PORT=8085
export MALIKNODE_SERVER_LOG=$MALIKNODE_BED_DIR/server.log
export BASE=http://localhost:$PORT

"$MALIKNODE_BIN" serve --root "$MALIKNODE_BED_DIR/root" --listen "127.0.0.1:$PORT" --base "localhost:$PORT" \
  --public-host "$MALIKNODE_BED_HOST" --dns-upstreams "$MALIKNODE_BED_INTERNET" --dns-bootstrap "$MALIKNODE_BED_INTERNET" \
  --dns-fallback "$MALIKNODE_BED_INTERNET" --sign-ups-per-hour 0 --sign-ups-per-hour-total 0 >"$MALIKNODE_SERVER_LOG" 2>&1 </dev/null &
server=$!

show_log() {
  echo "The server's log:" >&2
  tail -n 60 "$MALIKNODE_SERVER_LOG" | sed 's/^/  | /' >&2
}

ready=0
for _ in $(seq 1 300); do
  if curl -fsS -o /dev/null --max-time 5 "http://127.0.0.1:$PORT/" -H "Host: localhost:$PORT" 2>/dev/null; then
    ready=1
    break
  fi
  kill -0 "$server" 2>/dev/null || break
  sleep 0.1
done
if [ "$ready" = 0 ]; then
  echo "The server did not answer at $BASE." >&2
  show_log
  exit 1
fi

cd "$END2END"
status=0
node_modules/.bin/playwright test "$@" </dev/null || status=$?
# The bed runs as root. The files that the tests left get the owner of the checkout.
for left in test-results playwright-report; do
  if [ -e "$left" ]; then chown -R --reference=package.json "$left"; fi
done
[ "$status" -eq 0 ] || show_log
kill -TERM "$server" 2>/dev/null || true
wait "$server" || true
exit "$status"
