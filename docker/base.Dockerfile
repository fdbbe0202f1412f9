# The images that algorithms stand on: Python 3.11 and the locked packages. Built with docker/ as context, without a
# network; `slim` first, `cpu` and `cuda` are a layer of packages for networks upon it, and the packages of an algorithm's own
# list are a layer upon one of these:
#   docker build --network none -f docker/base.Dockerfile -t cytosuite/base:slim docker/
#   docker build --network none -f docker/base.Dockerfile --build-arg BASE_IMAGE=cytosuite/base:slim --build-arg KIND=cpu \
#       -t cytosuite/base:cpu docker/
#
# Why this is not a stage of the top-level Dockerfile: the classic builder runs every stage before the target and
# sends the whole context, so each build of an algorithm would carry the packages. No BuildKit feature is used.
ARG BASE_IMAGE=python:3.11-slim-bookworm
FROM ${BASE_IMAGE}
ARG KIND=slim
USER 0:0
# packages.py made them on the host, of files with the checksums of the lock: replaced.txt names the versions that they replace.
COPY packages/${KIND}/ /opt/python/
# The root is read-only at run time: modules not compiled here would be compiled again in every container. Two processes, each
# in order and with a fixed hash seed: equal sources give equal bytecode, which ignores their time.
# A passwd entry, because torch looks up the user's name and a challenge platform takes HOME from there.
RUN set -e; cd /opt/python; export PYTHONPATH=/opt/python PYTHONHASHSEED=0; \
    if [ -f replaced.txt ]; then python3 -B -c "from importlib.metadata import distributions; \
        gone, there = open('replaced.txt').read().split(), list(distributions(path=['.'])); \
        old = [d for d in there if f'{d.name}=={d.version}'.lower().replace('_', '-') in gone]; \
        new = {str(file) for d in there if d not in old for file in d.files or ()}; \
        [d.locate_file(path).unlink(missing_ok=True) for d in old for file in d.files or () for path in ( \
            file.parent / '__pycache__' / f'{file.stem}.cpython-311.pyc', *([] if str(file) in new else [file]))]"; \
        rm replaced.txt; find . -mindepth 1 -type d -empty -delete; \
    fi; \
    find . -name '*.py' | sort | while read -r file; do name="${file##*/}"; \
        [ -e "${file%/*}/__pycache__/${name%.py}.cpython-311.pyc" ] || echo "$file"; done > /tmp/all; \
    split -n l/2 /tmp/all /tmp/half; \
    for half in /tmp/halfaa /tmp/halfab; do \
        python3 -m compileall -qq --invalidation-mode unchecked-hash -s . -p /opt/python -i "$half" & \
    done; wait; rm /tmp/all /tmp/half*; \
    modules="h5py, imagecodecs, numba, numpy.testing, PIL, pydantic, safetensors, scipy.ndimage, scipy.optimize, scipy.stats, \
skimage.feature, skimage.measure, skimage.morphology, skimage.segmentation, tifffile, zarr.codecs"; \
    if [ -d torch ]; then modules="$modules, torch, monai.networks.nets, monai.transforms, monai.losses"; fi; \
    HOME=/tmp NUMBA_CACHE_DIR=/tmp/numba python3 -B -c "import $modules"; \
    grep -q '^[^:]*:[^:]*:1000:' /etc/group || echo 'user:x:1000:' >> /etc/group; \
    grep -q '^[^:]*:[^:]*:1000:' /etc/passwd || echo 'user:x:1000:1000::/tmp:/usr/sbin/nologin' >> /etc/passwd; \
    mkdir -p /input /output /opt/ml/model /opt/app; \
    chown 1000:1000 /output /opt/ml/model
# The mount points are the defaults of the library. Servers bind all interfaces: scripts of challenges reach them from another
# container or by a published port; what runs without a network has none to bind.
ENV HOME=/tmp \
    CYTOSUITE_ADDRESS=0.0.0.0 \
    LANG=C.UTF-8 \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONPATH=/opt/app:/opt/python \
    NUMBA_CACHE_DIR=/tmp/numba \
    MPLCONFIGDIR=/tmp/matplotlib \
    TORCHINDUCTOR_CACHE_DIR=/tmp/torchinductor \
    XDG_CACHE_HOME=/tmp/cache
USER 1000:1000
WORKDIR /opt/app
