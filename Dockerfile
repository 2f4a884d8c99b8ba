# Truthline without embedded database: it needs TRUTHLINE_DATABASE_URL.
FROM python:3.13-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore

# The parts of requirements.lock that building and running need. Copied before the code, so that
# these layers are kept until a dependency changes.
WORKDIR /build
COPY requirements-build.lock requirements-runtime.lock ./
RUN python -m pip install --require-hashes --only-binary :all: -r requirements-build.lock
# Without pip: nothing is to be installed into the finished image.
RUN python -m venv --without-pip /opt/truthline \
    && python -m pip --python /opt/truthline/bin/python install \
        --require-hashes --only-binary :all: -r requirements-runtime.lock

COPY pyproject.toml README.md LICENSE ./
COPY client/truthline/version.py client/truthline/version.py
COPY app app
COPY migrations migrations
COPY sql sql
RUN python -m hatchling build -t wheel -d dist \
    && python -m pip --python /opt/truthline/bin/python install --no-deps --no-index dist/*.whl

FROM python:3.13-slim-bookworm
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /tmp \
        --shell /usr/sbin/nologin truthline
COPY --from=build /opt/truthline /opt/truthline
ENV PATH=/opt/truthline/bin:$PATH PYTHONUNBUFFERED=1
WORKDIR /tmp
EXPOSE 8000
# By number, so that a cluster can verify that it is not root.
USER 10001:10001

# Checks the process, not the database: restarting the API does not repair a database outage.
HEALTHCHECK --interval=10s --timeout=10s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import http.client, sys; api = http.client.HTTPConnection('127.0.0.1', 8000, timeout=5); api.request('GET', '/livez'); sys.exit(api.getresponse().status != 200)"]
ENTRYPOINT ["truthline"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000"]
