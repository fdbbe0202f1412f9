# An algorithm's image. `make build-<algorithm>` builds it on the base that its imports need and fills the labels; by hand,
# after the base (docker/base.Dockerfile):
#   docker build --network none --build-arg ALGORITHM=<algorithm> --build-arg BASE=cytosuite/base:slim -t cytosuite/<algorithm> .
# The classic builder suffices; algorithms share the layers of their base.
ARG BASE=cytosuite/base:cpu
FROM ${BASE} AS algorithm
ARG ALGORITHM
USER 0:0
COPY algorithms/${ALGORITHM}/ /opt/app/algorithms/${ALGORITHM}/
WORKDIR /opt/app
# Packages that the base lacks, from the wheels that `make` collects; most algorithms need none. Where the list has
# checksums pip holds the wheels against them, but those that were built of sources.txt; another version of a package replaces
# the base's, file by file; wheels.txt records what is installed, as in the base. No package stands in for a module of Python.
# First, because it takes minutes where others change.
RUN set -e; cd "algorithms/${ALGORITHM}"; if [ -f requirements.txt ]; then \
        export PYTHONPATH=/opt/python PIP_ROOT_USER_ACTION=ignore PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONHASHSEED=0; \
        pip="python3 $(echo wheels/pip-*.whl)/pip"; \
        install="$pip install --quiet --no-index --no-deps --no-compile --no-cache-dir --find-links wheels --target /opt/new"; \
        sed '/^-r/d' requirements.txt > wheels/hashed; $install --requirement wheels/hashed; \
        if [ -f sources.txt ]; then sed 's/ --hash=.*//' sources.txt > wheels/built; $install --requirement wheels/built; fi; \
        python3 -c 'import os, sys; [os.remove(f"/opt/new/{name}") for name in os.listdir("/opt/new") if name[-3:] == ".py" and name[:-3] in sys.stdlib_module_names]'; \
        python3 -m compileall -qq --invalidation-mode unchecked-hash -s /opt/new -p /opt/python /opt/new || true; \
        python3 -c "from importlib.metadata import distributions as found; \
            name = lambda own: own.name.lower().replace('-', '_'); new = set(map(name, found(path=['/opt/new']))); \
            old = [own for own in found(path=['/opt/python']) if name(own) in new]; \
            [file.locate().unlink(missing_ok=True) for own in old for file in own.files or ()]"; \
        touch /opt/python/wheels.txt; find /opt/python -mindepth 1 -type d -empty -delete; \
        chmod -R a+rX /opt/new; cp -a /opt/new/. /opt/python; $pip check; rm wheels/pip-*.whl; \
        for wheel in wheels/*.whl; do name="${wheel##*/}"; sed -i "/  ${name%%-*}-/Id" /opt/python/wheels.txt; done; \
        (cd wheels; sha256sum -- *.whl) >> /opt/python/wheels.txt; rm -rf /opt/new wheels; \
    fi
COPY cytosuite/ /opt/app/cytosuite/
COPY algorithms/__init__.py /opt/app/algorithms/
COPY weights/${ALGORITHM}/ /opt/app/model/
# One name to import, as in a checkout.
RUN ln -sfn ../algorithms /opt/app/cytosuite/algorithms
# Compiled here because the root is read-only at run time: Python's bytecode and, where an algorithm has them, numba's
# kernels, for a CPU that every machine has. All of it readable under any user.
ENV NUMBA_CPU_NAME=generic NUMBA_CACHE_DIR=
RUN export PYTHONHASHSEED=0; python3 -m compileall -q --invalidation-mode unchecked-hash /opt/app \
    && python3 -m cytosuite.networks.kernels $(find cytosuite/segmentation/ "algorithms/${ALGORITHM}/" -maxdepth 1 -name _kernels.py 2>/dev/null | sed 's#^algorithms#cytosuite/algorithms#; s#//*#.#g; s#.py$##') \
    && chmod -R a+rX /opt/app
USER 1000:1000
# The exec form does not expand build arguments: the entry point reads the environment.
ENV CYTOSUITE_ALGORITHM=${ALGORITHM}
ENTRYPOINT ["python3", "-m", "cytosuite.container"]
CMD ["exec"]
# Last, because they change with every commit. `make` adds org.cytosuite.source-digest, by which a stale image is known.
ARG VERSION=0
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
ARG SOURCE=unknown
LABEL org.opencontainers.image.title="cytosuite ${ALGORITHM}" \
    org.opencontainers.image.description="The algorithm ${ALGORITHM} of cytosuite: /input to /output, one case at a time" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}" \
    org.opencontainers.image.created="${CREATED}" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.source="${SOURCE}" \
    org.grand-challenge.api-method="exec" \
    org.cytosuite.algorithm="${ALGORITHM}"
