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
# A line of JSON for each mail that the SMTP server took; the first line is the server's port.
export MALIKNODE_MAILS=$MALIKNODE_BED_DIR/mails

# It ends with its standard input, and both with the bed.
tail -f /dev/null | node "$END2END/smtp-server.mjs" '{"refused": "refused@example.org"}' >"$MALIKNODE_MAILS" &
for _ in $(seq 1 100); do
  if [ -s "$MALIKNODE_MAILS" ]; then break; fi
  sleep 0.1
done
SMTP_PORT=$(sed -n '1s/.*"port":\([0-9]*\).*/\1/p' "$MALIKNODE_MAILS")
[ -n "$SMTP_PORT" ] || {
  echo "The SMTP server of the tests did not start: ./dev setup --tests" >&2
  exit 1
}

"$MALIKNODE_BIN" serve --root "$MALIKNODE_BED_DIR/root" --listen "127.0.0.1:$PORT" --base "localhost:$PORT" \
  --public-host "$MALIKNODE_BED_HOST" --dns-upstreams "$MALIKNODE_BED_INTERNET" --dns-bootstrap "$MALIKNODE_BED_INTERNET" \
  --dns-fallback "$MALIKNODE_BED_INTERNET" --sign-ups-per-hour 0 --sign-ups-per-hour-total 0 --mail-server "smtp://127.0.0.1:$SMTP_PORT" \
  --mail-from "MalikNode <vpn@example.org>" >"$MALIKNODE_SERVER_LOG" 2>&1 </dev/null &
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
