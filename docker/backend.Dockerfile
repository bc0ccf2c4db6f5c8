# syntax=docker/dockerfile:1
# The ML backend of helioloop: no torch, no compiler, not root. From the root of the checkout:
#   docker build -f docker/backend.Dockerfile -t helioloop-backend .
ARG PYTHON_IMAGE=docker.io/library/python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS dependencies
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_NO_CACHE=1 UV_PYTHON_DOWNLOADS=never VIRTUAL_ENV=/opt/helioloop
WORKDIR /src
RUN python3 -m venv /opt/uv \
    && /opt/uv/bin/python -m pip install --no-cache-dir "uv>=0.9,<1" \
    && /opt/uv/bin/uv venv --python python3 "$VIRTUAL_ENV"
COPY pyproject.toml constraints.txt ./
RUN /opt/uv/bin/uv pip install --constraint constraints.txt -r pyproject.toml --extra backend \
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
LABEL org.opencontainers.image.title="helioloop backend" org.opencontainers.image.licenses="MIT"
# The folder is made here, so that a new named volume on it belongs to this user.
RUN groupadd --gid 10001 helioloop \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin helioloop \
    && install -d -o 10001 -g 10001 /data/models
# In two layers: a new version of helioloop changes only the small second one.
COPY --from=dependencies /opt/helioloop /opt/helioloop
COPY --from=build /own/ /
ENV PATH=/opt/helioloop/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    HELIOLOOP_BACKEND_HOST=0.0.0.0 \
    HELIOLOOP_MODEL_ROOT=/data/models
WORKDIR /data
USER 10001:10001
EXPOSE 9090
ENTRYPOINT ["helioloop"]
CMD ["backend"]
