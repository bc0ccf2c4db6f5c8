# Stands in for Label Studio's published image where no registry is reached: the same version from the package index,
# with what docker/compose.yml relies on (entry point with ENV_INJECT_SOURCES, user 1001, data folder).
FROM docker.io/library/python:3.11-slim-bookworm
ENV UV_LINK_MODE=copy UV_NO_CACHE=1 UV_PYTHON_DOWNLOADS=never VIRTUAL_ENV=/opt/label-studio
COPY constraints-label-studio.txt /
RUN python3 -m venv /opt/uv \
    && /opt/uv/bin/python -m pip install --no-cache-dir "uv>=0.9,<1" \
    && /opt/uv/bin/uv venv --python python3 "$VIRTUAL_ENV" \
    && /opt/uv/bin/uv pip install --constraint /constraints-label-studio.txt label-studio==1.23.2 \
    && useradd --uid 1001 --gid 0 --no-create-home --home-dir /label-studio label-studio \
    && install -d -o 1001 -g 0 -m 770 /label-studio /label-studio/data
COPY label-studio-entrypoint.sh /
ENV PATH=/opt/label-studio/bin:$PATH LABEL_STUDIO_BASE_DATA_DIR=/label-studio/data
WORKDIR /label-studio
USER 1001
ENTRYPOINT ["bash", "/label-studio-entrypoint.sh"]
CMD ["label-studio"]
