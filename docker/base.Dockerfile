# The image all algorithms share: Python 3.11 and the locked packages. Built with docker/ as context, without a network:
#   docker build --network none -f docker/base.Dockerfile -t cytosuite/base:cpu docker/
#
# Why this is not a stage of the top-level Dockerfile: the classic builder runs every stage before the target and
# sends the whole context, so each build of an algorithm would carry the wheelhouse. No BuildKit feature is used.
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS packages
ARG DEVICE=cpu
COPY wheelhouse/${DEVICE}/ /wheelhouse/
COPY requirements-${DEVICE}.txt /requirements.txt
# pip comes from the wheelhouse, so that a base without pip serves as well; `check` finds a lock that is not closed.
# The root is read-only at run time: modules not compiled here would be compiled again in every container. The
# bytecode ignores the source's time, which a copy may change. One RUN, or the packages are stored twice.
RUN set -e; export PYTHONPATH=/opt/python PIP_ROOT_USER_ACTION=ignore PIP_DISABLE_PIP_VERSION_CHECK=1; \
    pip="python3 $(echo /wheelhouse/pip-*.whl)/pip"; \
    $pip install --quiet --no-index --no-deps --no-compile --no-cache-dir --find-links /wheelhouse \
        --target /opt/python --requirement /requirements.txt; \
    $pip check; \
    cd /opt/python; \
    rm -rf bin torch/include torch/test torch/share/cmake torch/bin/protoc* torch/bin/test_*; \
    find . -name '*.a' -delete; \
    find scipy skimage sympy networkx h5py numba mpmath fsspec -type d -name tests -prune -exec rm -rf {} +; \
    python3 -m compileall -qq -j 0 --invalidation-mode unchecked-hash . || true; \
    HOME=/tmp NUMBA_CACHE_DIR=/tmp/numba python3 -B -c "import h5py, imagecodecs, numba, numpy.testing, PIL, pydantic, safetensors, \
scipy.ndimage, scipy.optimize, scipy.stats, skimage.measure, skimage.segmentation, SimpleITK, tifffile, torch, \
monai.networks.nets, monai.transforms, monai.losses"; \
    chmod -R a+rX .
# By this label the stage, which the classic builder keeps, is found and removed after the build.
LABEL org.cytosuite.stage="packages"

FROM ${BASE_IMAGE} AS base
COPY --from=packages /opt/python /opt/python
# A passwd entry, because torch looks up the user's name and a challenge platform takes HOME from there.
RUN set -e; \
    grep -q '^[^:]*:[^:]*:1000:' /etc/group || echo 'user:x:1000:' >> /etc/group; \
    grep -q '^[^:]*:[^:]*:1000:' /etc/passwd || echo 'user:x:1000:1000::/tmp:/usr/sbin/nologin' >> /etc/passwd; \
    mkdir -p /input /output /opt/ml/model /opt/app; \
    chown 1000:1000 /output /opt/ml/model
# CYTOSUITE_* are not set here: the mount points are the defaults of the library.
ENV HOME=/tmp \
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
