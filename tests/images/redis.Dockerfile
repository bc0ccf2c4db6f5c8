# Stands in for the published image of Redis where no registry is reached: Debian's package.
FROM docker.io/library/python:3.11-slim-bookworm
RUN apt-get update -qq \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends redis-server redis-tools \
    && install -d -o redis -g redis /data
WORKDIR /data
