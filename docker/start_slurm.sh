#!/usr/bin/env bash
# Start a Slurm cluster of two nodes on this machine, in a folder of its own, for tests, and wait for it.
#
#   eval "$(docker/start_slurm.sh DIR)"      # prints: export SLURM_CONF=DIR/slurm.conf
#   docker/start_slurm.sh --stop DIR         # ends its jobs and daemons
#
# Needs root and the packages slurm-wlm and munge. Everything lies in DIR, all ports are free ones of 127.0.0.1, and
# jobs run as root: not for other users. A cluster that answers already is left alone.
set -euo pipefail

fail() { echo "start_slurm.sh: $*" >&2; exit 1; }

stop=; if [ "${1:-}" = --stop ]; then stop=yes; shift; fi
[ $# -eq 1 ] || fail "usage: docker/start_slurm.sh [--stop] DIR"
[ "$(id -u)" -eq 0 ] || fail "it needs root; on a cluster nothing of this is needed: sbatch is there"
for program in slurmctld slurmd sbatch munged setsid flock python3; do
    command -v "$program" >/dev/null || fail "$program is missing; on Debian: apt-get install slurm-wlm munge"
done
mkdir -p "$1"
dir=$(cd "$1" && pwd -P)
# A socket's path holds at most 107 characters.
[ ${#dir} -le 80 ] || fail "DIR must have at most 80 characters, found ${#dir}: $dir"
export SLURM_CONF=$dir/slurm.conf
pid_of() { # the number of a daemon that runs, not of another program that has got its number
    local pid; pid=$(cat "$dir/$1.pid" 2>/dev/null) && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "${1%-*}" ] && echo "$pid"
}
answers() {
    pid_of slurmctld >/dev/null && [ "$(timeout 10 sinfo --noheader --Node --states=idle,mixed,allocated --format=%N 2>/dev/null | xargs)" = "one two" ]
}
end() {
    if pid_of slurmctld >/dev/null; then timeout 10 scancel --user=root --signal=KILL 2>/dev/null || true; fi
    for name in slurmctld slurmd-one slurmd-two munged; do
        pid=$(pid_of "$name") || continue
        kill "$pid" 2>/dev/null || true
        for _ in $(seq 50); do kill -0 "$pid" 2>/dev/null || break; sleep 0.2; done
        kill -9 "$pid" 2>/dev/null || true
    done
}

exec 9>"$dir/start.lock" # two starts at once: the second waits and finds the first one's cluster
flock --timeout 90 9 || fail "another start in $dir has not ended for 90 s"
if [ -n "$stop" ]; then end; exit 0; fi
if ! answers; then
    end
    rm -rf "$dir/state" "$dir/spool"
    mkdir -p "$dir/state" "$dir/spool/one" "$dir/spool/two"
    chmod 755 "$dir" # munge wants a way to its socket that all may go and only root may change
    host=$(hostname -s)
    cores=$(nproc)
    memory=$(awk '/^MemTotal:/ {print int($2 / 1024 * 0.95 / 2)}' /proc/meminfo)
    read -r control one two < <(python3 -c '
import socket
found = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
print(*(one.getsockname()[1] for one in found))')
    # More cores than the machine has, so that several jobs run side by side also on a small one.
    node="NodeHostname=$host NodeAddr=127.0.0.1 CPUs=$((cores < 4 ? 4 : cores)) RealMemory=$memory State=UNKNOWN"
    cat >"$SLURM_CONF" <<END
ClusterName=cytosuite
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$control
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$dir/munge.socket
CredType=cred/munge
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool/%n
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd-%n.pid
SlurmctldLogFile=$dir/slurmctld.log
SlurmdLogFile=$dir/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
ReturnToService=2
KillWait=5
MinJobAge=60
SchedulerParameters=sched_interval=2,batch_sched_delay=0
NodeName=one Port=$one $node
NodeName=two Port=$two $node
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
END
    if [ ! -f "$dir/munge.key" ]; then
        (umask 077; head -c 1024 /dev/urandom >"$dir/munge.key")
    fi
    munged --force --socket="$dir/munge.socket" --key-file="$dir/munge.key" --pid-file="$dir/munged.pid" \
        --log-file="$dir/munged.log" --seed-file="$dir/munged.seed" </dev/null >&2 9>&-
    setsid slurmctld -c </dev/null >&2 9>&-
    for name in one two; do setsid slurmd -c -N "$name" </dev/null >&2 9>&-; done
    for _ in $(seq 150); do answers && break; sleep 0.2; done
    if ! answers; then
        tail -n 10 "$dir"/slurm*.log >&2 || true
        end
        fail "Slurm did not answer; the last lines of its logs are above"
    fi
    echo "start_slurm.sh: Slurm runs, logs in $dir" >&2
fi
echo "export SLURM_CONF=$SLURM_CONF"
