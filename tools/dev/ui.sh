# shellcheck shell=bash
# The output of ./dev: one line for each step, with what it did and how long it took. A step that fails
# shows the end of its log and a message that says what to do.

if [ -t 1 ]; then
  bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' red=$'\e[31m' yellow=$'\e[33m' plain=$'\e[0m'
else
  bold='' dim='' green='' red='' yellow='' plain=''
fi

say() { printf '%s\n' "$*"; }
warn() { printf '%s!%s %s\n' "$yellow" "$plain" "$*"; }
die() {
  printf '%s✗%s %s\n' "$red" "$plain" "$*" >&2
  exit 1
}

now_ms() { date +%s%3N; }
seconds_since() {
  local ms=$(($(now_ms) - $1))
  printf '%d.%d s' $((ms / 1000)) $((ms % 1000 / 100))
}

# Inside a step: sets the text that its line adds ("already installed"). The last note wins.
note() { printf '%s' "$*" >"$STEP_NOTE"; }
# Inside a step: sets the message that is shown if it fails.
hint() { printf '%s' "$*" >"$STEP_HINT"; }

# Creates the files of this process. A log that another ./dev still writes is moved, not truncated.
new_step_files() {
  # BASHPID, not $$: a step may run beside others, in a subshell.
  STEP_NOTE=$LOGS/.note.$BASHPID STEP_HINT=$LOGS/.hint.$BASHPID
  rm -f "$STEP_NOTE" "$STEP_HINT" "$STEP_NOTE.updated"
  if [ -e "$STEP_LOG" ]; then mv -f "$STEP_LOG" "$STEP_LOG.old"; fi
}

announce_later() {
  local sleeper
  # A separate process, so that none remains that holds our output open when this one is killed.
  sleep 3 >/dev/null 2>&1 &
  sleeper=$!
  trap 'kill "$sleeper" 2>/dev/null; exit' TERM
  wait "$sleeper"
  printf '… %s\n' "$1"
}

STEP_RC=0
# try_step TITLE[|REMARK] FUNCTION ARGS…: runs the function in a subshell with errexit on and its output in a
# log. Never ends the script; leaves the status in STEP_RC. The remark is shown only while it runs.
try_step() {
  local title=${1%%|*} pending=${1/|/: } started text announcer=
  shift
  mkdir -p "$LOGS"
  STEP_LOG=$LOGS/$(printf '%s' "$*" | tr -cs 'A-Za-z0-9_.\n' '-' | cut -c1-60).log
  new_step_files
  started=$(now_ms)
  if [ -t 1 ]; then
    printf '%s… %s%s' "$dim" "$pending" "$plain"
  else
    # In a log, only steps that take long are announced.
    announce_later "$pending" 9>&- &
    announcer=$!
  fi
  # Not `if ( … )`: bash ignores errexit in a condition, even inside the subshell.
  set +e
  (
    set -e
    "$@"
  ) >"$STEP_LOG" 2>&1 </dev/null
  STEP_RC=$?
  if [ -n "$announcer" ]; then
    kill "$announcer" 2>/dev/null
    wait "$announcer" 2>/dev/null
  else
    printf '\r\e[K'
  fi
  set -e
  text=$(cat "$STEP_NOTE" 2>/dev/null || true)
  STEP_ADVICE=$(cat "$STEP_HINT" 2>/dev/null || true)
  rm -f "$STEP_NOTE" "$STEP_HINT" "$STEP_NOTE.updated"
  if [ "$STEP_RC" -eq 0 ]; then
    printf '%s✓%s %s%s %s(%s)%s\n' "$green" "$plain" "$title" "${text:+ · $text}" "$dim" "$(seconds_since "$started")" "$plain"
  else
    printf '%s✗%s %s%s %s(%s)%s\n' "$red" "$plain" "$title" "${text:+ · $text}" "$dim" "$(seconds_since "$started")" "$plain"
  fi
}

# Shows why the last step failed.
explain_step() {
  say "  ${dim}the last lines of $STEP_LOG:${plain}"
  tail -n "${1:-15}" "$STEP_LOG" | sed 's/^/  | /'
  [ -z "$STEP_ADVICE" ] || say "  $STEP_ADVICE"
}

# step TITLE FUNCTION ARGS…: does the same, and ends the script if the step fails.
step() {
  try_step "$@"
  [ "$STEP_RC" -eq 0 ] && return
  explain_step 25
  exit 1
}

# Runs a command under a lock: two setups would install the same things into the same folders.
with_lock() {
  mkdir -p "$CACHE"
  exec 9>"$CACHE/setup.lock"
  if ! flock -n 9; then
    say "Another ./dev is setting this machine up; waiting for it."
    flock 9
  fi
  "$@"
  exec 9>&-
}
