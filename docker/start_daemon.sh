#!/usr/bin/env bash
# Start a Docker daemon of its own in a folder, for machines without one (continuous integration), and wait for it.
#
#   eval "$(docker/start_daemon.sh DIR)"     # prints: export DOCKER_HOST=unix://DIR/docker.sock
#   kill "$(cat DIR/docker.pid)"             # stops it
#
# Needs root and the package docker.io. A daemon that answers already is left alone. Nothing of the machine's own
# Docker, network or firewall is touched: containers here only ever have network `none`.
set -euo pipefail

fail() { echo "start_daemon.sh: $*" >&2; exit 1; }

[ $# -eq 1 ] || fail "usage: docker/start_daemon.sh DIR"
[ "$(id -u)" -eq 0 ] || fail "a Docker daemon needs root; run it with sudo, or point DOCKER_HOST to a running one"
for program in dockerd docker setsid flock; do
    command -v "$program" >/dev/null || fail "$program is missing; on Debian: apt-get install docker.io util-linux"
done
mkdir -p "$1"
dir=$(cd "$1" && pwd -P)
# A socket's path holds at most 107 characters; the longest is exec/containerd/containerd-debug.sock
[ ${#dir} -le 70 ] || fail "DIR must have at most 70 characters, found ${#dir}: $dir"
host=unix://$dir/docker.sock
answers() { timeout 10 docker --host "$host" version >/dev/null 2>&1; }

exec 9>"$dir/start.lock" # two starts at once: the second waits and finds the first one's daemon
flock --timeout 90 9 || fail "another start in $dir has not ended for 90 s"
if ! answers; then
    rm -f "$dir/docker.sock"
    # The number of a dead daemon may by now be that of another program, which dockerd would take for itself.
    old=$(cat "$dir/docker.pid" 2>/dev/null || true)
    [ "$(cat "/proc/${old:-none}/comm" 2>/dev/null || true)" = dockerd ] || rm -f "$dir/docker.pid"
    setsid nohup dockerd --host="$host" --data-root="$dir/data" --exec-root="$dir/exec" \
        --pidfile="$dir/docker.pid" --iptables=false --ip6tables=false --ip-forward=false --ip-masq=false \
        --bridge=none --log-level=warn </dev/null >"$dir/dockerd.log" 2>&1 9>&- &
    pid=$!
    for _ in $(seq 300); do
        answers && break
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.2
    done
    if ! answers; then
        tail -n 20 "$dir/dockerd.log" >&2
        kill "$pid" 2>/dev/null || true
        fail "dockerd did not answer; the last lines of $dir/dockerd.log are above"
    fi
    echo "start_daemon.sh: dockerd runs, log in $dir/dockerd.log" >&2
fi
echo "export DOCKER_HOST=$host"
