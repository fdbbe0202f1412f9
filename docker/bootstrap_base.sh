#!/usr/bin/env bash
# Make a Debian 12 base image with Python 3.11 where no image registry is reachable.
#
#   docker/bootstrap_base.sh TAG [MIRROR]
#
# Then build with BASE_IMAGE=TAG. Needs mmdebstrap and a Docker daemon (DOCKER_HOST is honoured). Packages come
# from MIRROR, else from Debian's own. An image that is there already is left alone.
set -euo pipefail

fail() { echo "bootstrap_base.sh: $*" >&2; exit 1; }

[ $# -ge 1 ] || fail "usage: docker/bootstrap_base.sh TAG [MIRROR]"
tag=$1
shift
command -v mmdebstrap >/dev/null || fail "mmdebstrap is missing; on Debian: apt-get install mmdebstrap"
command -v docker >/dev/null || fail "the docker command is missing; on Debian: apt-get install docker.io"
docker version >/dev/null 2>&1 || fail "no Docker daemon answers; start one with docker/start_daemon.sh DIR"

if docker image inspect "$tag" >/dev/null 2>&1; then
    echo "bootstrap_base.sh: $tag is there already" >&2
    exit 0
fi

# merged-usr spares usrmerge and with it perl; essential spares apt: a build has no network. 102 MB instead of 245 MB.
# python3-distutils and not python3-pip: packages are unpacked on the host. libstdc++6 is what wheels expect.
# The last hook removes what differs from build to build or is this machine's own, and the caches of tools.
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-0}
mmdebstrap --quiet --variant=essential \
    --include=usr-is-merged,python3,python3-distutils,libstdc++6 \
    --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr \
    --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-include=/usr/share/doc/*/copyright' \
    --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --customize-hook='cd "$1" && find var/log var/cache var/backups run tmp -type f -delete && \
        rm -rf etc/hostname etc/resolv.conf etc/machine-id var/lib/apt var/lib/dpkg/*-old' \
    bookworm "$root/base.tar" "$@" >"$root/log" 2>&1 || { tail -n 15 "$root/log" >&2; fail "mmdebstrap failed, see above"; }
docker import \
    --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8' \
    --change 'CMD ["python3"]' \
    "$root/base.tar" "$tag" >/dev/null || fail "docker import of $tag failed"
echo "bootstrap_base.sh: made $tag" >&2
