# The images that algorithms stand on: Python 3.11 and the locked packages. Built with docker/ as context, without a
# network; `slim` first, `cpu` and `cuda` are a layer of packages for networks upon it:
#   docker build --network none -f docker/base.Dockerfile -t cytosuite/base:slim docker/
#   docker build --network none -f docker/base.Dockerfile --build-arg BASE_IMAGE=cytosuite/base:slim --build-arg KIND=cpu \
#       -t cytosuite/base:cpu docker/
#
# Why this is not a stage of the top-level Dockerfile: the classic builder runs every stage before the target and
# sends the whole context, so each build of an algorithm would carry the wheelhouse. No BuildKit feature is used.
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS packages
ARG KIND=slim
USER 0:0
COPY wheelhouse/${KIND}/ /wheelhouse/
COPY requirements-*.txt /locks/
# pip comes from the wheelhouse, so that a base without pip serves as well. It refuses a wheel without the checksum of the
# lock; only torch's CPU build, which may differ between indexes, has none there. `check` finds a lock that is not closed.
# wheels.txt records what is installed, as `sha256sum --check` reads it.
# Unused at run time: tests, headers, sources of C and stubs; lazy-loader reads __init__.pyi.
# The root is read-only at run time: modules not compiled here would be compiled again in every container. One process, in
# order, with a fixed hash seed: equal sources give equal bytecode, which ignores their time. One RUN, or the packages are
# stored twice.
RUN set -e; export PYTHONPATH=/opt/new:/opt/python PIP_ROOT_USER_ACTION=ignore PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONHASHSEED=0; \
    cd /locks; \
    sed -n 's/^pip==.*sha256:\([0-9a-f]*\).*/\1/p' requirements-pip.txt | sed "s|\$|  $(echo /wheelhouse/pip-*.whl)|" | sha256sum --check --quiet -; \
    if [ "${KIND}" = slim ]; then cp requirements-slim.txt all; else cat requirements-networks.txt "requirements-${KIND}.txt" | grep -v '^-r' > all; fi; \
    grep -v '+cpu' all > hashed; grep '+cpu' all > unhashed || true; \
    pip="python3 $(echo /wheelhouse/pip-*.whl)/pip"; \
    install="$pip install --quiet --no-index --no-deps --no-compile --no-cache-dir --find-links /wheelhouse --target /opt/new"; \
    $install --require-hashes --requirement hashed; \
    if [ -s unhashed ]; then $install --requirement unhashed; fi; \
    $pip check; \
    cd /wheelhouse; rm pip-*.whl; sha256sum *.whl > /locks/new; cat /opt/python/wheels.txt /locks/new 2>/dev/null | sort -k 2 > /opt/new/wheels.txt; \
    cd /opt/new; \
    rm -rf bin torch/include torch/test torch/share/cmake torch/bin/protoc* torch/bin/test_* skimage/data/*.png; \
    find . \( -path ./torch -o -path ./monai -o -path ./triton -o -path ./nvidia \) -prune -o -type d -name tests -prune -exec rm -rf {} +; \
    find . \( -path ./torch -o -path ./triton -o -path ./nvidia \) -prune -o -type f \
        \( -name '*.[ch]' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.pyi' -not -name __init__.pyi \) -exec rm {} +; \
    find . -name '*.a' -delete; \
    python3 -m compileall -qq --invalidation-mode unchecked-hash -s /opt/new -p /opt/python . || true; \
    modules="h5py, imagecodecs, numba, numpy.testing, PIL, pydantic, safetensors, scipy.ndimage, scipy.optimize, scipy.stats, \
skimage.feature, skimage.measure, skimage.morphology, skimage.segmentation, tifffile, zarr.codecs"; \
    if [ "${KIND}" != slim ]; then modules="$modules, torch, monai.networks.nets, monai.transforms, monai.losses"; fi; \
    HOME=/tmp NUMBA_CACHE_DIR=/tmp/numba python3 -B -c "import $modules"; \
    chmod -R a+rX .
# By this label the stage, which the classic builder keeps, is found and removed after the build.
LABEL org.cytosuite.stage="packages"

FROM ${BASE_IMAGE} AS base
USER 0:0
COPY --from=packages /opt/new /opt/python
# A passwd entry, because torch looks up the user's name and a challenge platform takes HOME from there.
RUN set -e; \
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
