# syntax=docker/dockerfile:1
# The workers and all commands of helioloop, not root. From the root of the checkout:
#   docker build -f docker/worker.Dockerfile -t helioloop-worker .
#   docker build -f docker/worker.Dockerfile -t helioloop-worker:cuda --build-arg TORCH=cuda .
# TORCH: cpu takes torch's CPU build from PyTorch's own index, cuda the build of the package index with its CUDA
# libraries, wheel a build that the configuration of uv in PYTHON_IMAGE names (find-links).
ARG PYTHON_IMAGE=docker.io/library/python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS dependencies
ARG TORCH=cpu
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_NO_CACHE=1 UV_PYTHON_DOWNLOADS=never VIRTUAL_ENV=/opt/helioloop
WORKDIR /src
RUN python3 -m venv /opt/uv \
    && /opt/uv/bin/python -m pip install --no-cache-dir "uv>=0.9,<1" \
    && /opt/uv/bin/uv venv --python python3 "$VIRTUAL_ENV"
COPY pyproject.toml constraints.txt ./
RUN case "$TORCH" in \
      cpu) build="--torch-backend=cpu" ;; \
      cuda|wheel) build="" ;; \
      *) echo "TORCH is '$TORCH'; it must be cpu, cuda or wheel" >&2; exit 1 ;; \
    esac \
    && /opt/uv/bin/uv pip install ${build:+"$build"} --constraint constraints.txt -r pyproject.toml --extra worker \
    && rm "$VIRTUAL_ENV/.lock"

FROM dependencies AS build
COPY LICENSE README.md ./
COPY core core
COPY backend backend
COPY worker worker
COPY labeling_config labeling_config
RUN /opt/uv/bin/uv pip install --no-deps . && mkdir /own
WORKDIR /
RUN cp -r --parents opt/helioloop/bin/helioloop opt/helioloop/lib/python*/site-packages/helioloop* /own

FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="helioloop worker" org.opencontainers.image.licenses="MIT"
# The folders are made here, so that new named volumes on them belong to this user.
RUN groupadd --gid 10001 helioloop \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin helioloop \
    && install -d -o 10001 -g 10001 /data/models /data/media /data/cache /data/releases
# In two layers: a new version of helioloop changes only the small second one.
COPY --from=dependencies /opt/helioloop /opt/helioloop
COPY --from=build /own/ /
# The root file system may be read-only: what packages write for themselves goes to /tmp.
ENV PATH=/opt/helioloop/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    HELIOLOOP_MODEL_ROOT=/data/models \
    HELIOLOOP_MEDIA_ROOT=/data/media \
    HELIOLOOP_CACHE_ROOT=/data/cache \
    HELIOLOOP_RELEASE_ROOTS='["/data/releases"]' \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
WORKDIR /data
USER 10001:10001
ENTRYPOINT ["helioloop"]
CMD ["worker", "--role", "score"]
