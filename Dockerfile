# An algorithm's image. `make build-<algorithm>` builds it on the base that its imports need and fills the labels; by hand,
# after the base (docker/base.Dockerfile):
#   docker build --network none --build-arg ALGORITHM=<algorithm> --build-arg BASE=cytosuite/base:slim -t cytosuite/<algorithm> .
# The classic builder suffices; algorithms share the layers of their base, and the core upon it, which is compiled once.
ARG BASE=cytosuite/base:cpu
FROM ${BASE} AS algorithm
USER 0:0
WORKDIR /opt/app
# Compiled here because the root is read-only at run time: Python's bytecode and, where a part has them, numba's kernels, for
# a CPU that every machine has. All of it readable under any user. One name to import, as in a checkout.
ENV NUMBA_CPU_NAME=generic NUMBA_CACHE_DIR=
COPY cytosuite/ /opt/app/cytosuite/
RUN export PYTHONHASHSEED=0; python3 -m compileall -q --invalidation-mode unchecked-hash /opt/app/cytosuite \
    && python3 -m cytosuite.networks.kernels cytosuite.segmentation._kernels \
    && ln -sfn ../algorithms cytosuite/algorithms && chmod -R a+rX cytosuite
# The algorithm and those that it uses, the same in a build by hand.
ARG ALGORITHM
COPY algorithms/ /opt/app/algorithms/
COPY weights/${ALGORITHM}/ /opt/app/model/
RUN export PYTHONHASHSEED=0; used=$(sed -n "s/^uses = //p" "algorithms/${ALGORITHM}/algorithm.toml" | tr -d '[],"') \
    && for folder in algorithms/*/; do case " ${ALGORITHM} $used " in *" $(basename "$folder") "*) ;; *) rm -r "$folder" ;; esac; done \
    && python3 -m compileall -q --invalidation-mode unchecked-hash /opt/app/algorithms \
    && find algorithms -maxdepth 2 -name _kernels.py | sed 's#^#cytosuite/#; s#/#.#g; s#.py$##' | xargs -r python3 -m cytosuite.networks.kernels \
    && chmod -R a+rX algorithms model
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
